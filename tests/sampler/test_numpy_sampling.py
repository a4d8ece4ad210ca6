"""What answers until the kernels are compiled: the same tokens, logprobs and state."""

from collections import Counter

import numpy as np
import pytest
from reference import green_list, philox
from reference.batches import EVERYTHING, noise
from reference.cases import LARGEST_VOCABULARY, Case, packed, random_case
from reference.comparison import OPEN, SAME, sampled, token_problem
from reference.sampling import UNDECIDED, reference_distribution, reference_token

from sampler import BatchSampler, SampledTokens, SamplingParameters
from sampler import batch_sampler as batch_sampler_module
from sampler.kernels.row import ROW, edits_at
from sampler.numpy_sampling import context_seed, green_ids, sample_rows, uniform
from sampler.numpy_truncation import by_rank, cumulative, first, shortest

CHAIN = SamplingParameters(temperature=0.7, top_k=50, top_p=0.95, seed=5)


@pytest.fixture
def in_numpy(monkeypatch) -> None:
    """As if no kernel were ever ready."""
    monkeypatch.setattr(batch_sampler_module, "answering", lambda kernel: sample_rows)


def verdict(case: Case) -> str:
    expected = reference_distribution(
        case.logits, case.parameters, case.context, len(case.prompt), case.allowed
    )
    token = reference_token(
        case.logits, case.parameters, expected, case.parameters.seed, len(case.generated)
    )
    if token.slack <= UNDECIDED:
        return OPEN
    return token_problem(sampled(case), 0, token) or SAME


def parity(seed: int, count: int) -> None:
    verdicts: Counter = Counter()
    for index in range(count):
        case = random_case(seed, index)
        found = verdict(case)
        assert found in (SAME, OPEN), f"random_case({seed}, {index}): {found}\n{case.parameters}"
        verdicts[found] += 1
    assert verdicts[OPEN] <= 0.002 * count


def test_random_rows(in_numpy):
    parity(seed=30, count=4_000)


def test_logits_that_the_exponent_cannot_tell_apart_are_ranked_by_themselves(in_numpy):
    logits = np.array([1.0, *(1e-20 * (i + 1) for i in range(9))], np.float32)
    assert verdict(Case(logits, SamplingParameters(top_p=0.5, seed=1, top_n_tokens=10))) == SAME


@pytest.mark.slow
def test_fifty_thousand_random_rows(in_numpy):
    parity(seed=31, count=50_000)


@pytest.mark.parametrize(
    "values",
    [
        {"do_sample": True},
        {"top_p": 0.90123456},  # no multiple of 1 / V, so that flat rows are decided too
        {"typical_p": 0.90123456},
        {"min_p": 0.01, "temperature": 0.3},
        {"top_k": 1_001, "top_p": 0.95123456, "typical_p": 0.95123456, "min_p": 1e-3},
        {"watermark": True, "repetition_penalty": 1.2, "logprobs": "raw", "top_n_tokens": 20},
        {"top_n_tokens": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("spread", [0.0, 1.0, 8.0], ids=["flat", "wide", "peaked"])
@pytest.mark.parametrize("share", [None, 0.1], ids=["all", "tenth"])
def test_the_largest_vocabulary(in_numpy, values, spread, share):
    rng = np.random.default_rng(3)
    allowed = None if share is None else packed(rng.random(LARGEST_VOCABULARY) < share)
    case = Case(
        logits=rng.normal(0.0, spread, LARGEST_VOCABULARY).astype(np.float32),
        parameters=SamplingParameters(seed=11, **values),
        prompt=(5, LARGEST_VOCABULARY - 1),
        generated=(7,),
        bitmask=allowed,
    )
    assert verdict(case) == SAME


def state(sampler: BatchSampler) -> list[tuple]:
    """All that is kept of each row, but what is scratch of a kernel."""
    parameters, tables, touched, recent, _ = sampler._slots.arrays
    rows = parameters.view(ROW)
    names = ["id", "occurrences", "generated", "bias"]
    return [
        (row.item(), table[names][: row["touched_size"]].tolist(), bits.tolist(), last.tolist())
        for row, (table, bits), last in zip(
            rows,
            [edits_at(row, slot, tables, touched) for slot, row in enumerate(rows)],
            recent,
            strict=True,
        )
    ]


def run(
    steps: int, compiled: set[int], monkeypatch
) -> tuple[list[SampledTokens], list[list[tuple]]]:
    """Tokens and states of mixed rows; the kernels answer in the steps `compiled` only."""
    vocab_size = 3_000
    rows = [
        EVERYTHING,
        CHAIN,
        SamplingParameters(seed=6),
        SamplingParameters(frequency_penalty=1.0, presence_penalty=0.5, seed=1),
        SamplingParameters(top_p=0.9, watermark=True, seed=2),
        SamplingParameters(typical_p=0.9, logprobs="raw", top_n_tokens=2, seed=3),
        SamplingParameters(temperature=1.5, repetition_penalty=1.5, seed=4),
    ]
    sampler = BatchSampler(vocab_size, len(rows))
    for parameters in rows:
        sampler.add(parameters, [2, 3, 5])
    tokens, states = [], []
    for step in range(steps):
        logits = noise(len(rows), vocab_size, seed=step)
        logits[2, 0] = np.nan if step == 4 else 0.0  # an error, and nothing moves on
        with monkeypatch.context() as patch:
            if step not in compiled:
                patch.setattr(batch_sampler_module, "answering", lambda kernel: sample_rows)
            sampler._everyone = None
            tokens.append(sampler.sample(logits))
        states.append(state(sampler))
    return tokens, states


def test_tokens_and_state_are_those_of_the_kernels_whenever_these_take_over(monkeypatch):
    expected, states = run(40, set(range(40)), monkeypatch)
    for compiled in (set(), set(range(20, 40)), set(range(1, 40, 2))):
        given, given_states = run(40, compiled, monkeypatch)
        for one, other in zip(expected, given, strict=True):
            np.testing.assert_array_equal(one.token_ids, other.token_ids)
            np.testing.assert_array_equal(one.top_token_ids, other.top_token_ids)
            assert one.errors.keys() == other.errors.keys()
            for name in ("logprobs", "processed_logprobs", "top_logprobs"):
                np.testing.assert_allclose(getattr(one, name), getattr(other, name), 2e-7, 2e-9)
        assert given_states == states
    assert any(tokens.errors for tokens in expected)


def test_a_row_with_an_error_does_not_move(in_numpy):
    sampler = BatchSampler(40, 2)
    for _ in range(2):
        sampler.add(CHAIN, [1])
    logits = noise(2, 40)
    logits[0, 3] = np.inf
    tokens = sampler.sample(logits)
    assert tokens.token_ids[0] == -1
    assert list(tokens.errors) == [0]
    logits[0, 3] = 0.0
    alone = BatchSampler(40, 1)
    alone.add(CHAIN, [1])
    np.testing.assert_array_equal(
        sampler.sample(logits).token_ids[0], alone.sample(logits[:1]).token_ids[0]
    )


def test_the_logits_are_left_as_they_are(in_numpy):
    logits = noise(1, 500)
    kept = logits.copy()
    sampler = BatchSampler(400, 1)  # fewer ids than columns
    sampler.add(EVERYTHING, [1, 2])
    sampler.sample(logits, np.full((1, 10), -1, np.int32))
    np.testing.assert_array_equal(logits, kept)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 100_000])
def test_cumulative_sums_are_exact_to_rounding_and_never_fall(size):
    rng = np.random.default_rng(size)
    for weights in (np.full(size, 0.1), rng.random(size) ** 20):
        sums = cumulative(weights)
        exact = np.cumsum(weights.astype(np.longdouble))
        np.testing.assert_allclose(sums, exact.astype(float), atol=1e-13 * float(exact[-1]), rtol=0)
        assert np.all(np.diff(sums) >= 0.0)


@pytest.mark.parametrize("size", [1, 5, 64, 1_000, 20_000])
def test_the_first_of_many_values_are_those_of_a_stable_sort(size):
    rng = np.random.default_rng(size)
    for values in (rng.normal(size=size), np.round(rng.normal(size=size)), np.zeros(size)):
        values = values.astype(np.float32)
        order = np.argsort(-values, kind="stable")
        for count in {1, 2, size // 300 + 1, size // 2 + 1, size - 1 or 1, size, size + 1}:
            np.testing.assert_array_equal(first(values, count), np.sort(order[:count]))
            np.testing.assert_array_equal(by_rank(values, count), order[:count])


@pytest.mark.parametrize("size", [1, 5, 300, 30_000])
def test_the_shortest_set_is_a_prefix_of_a_stable_sort(size):
    rng = np.random.default_rng(size)
    rows = (
        rng.normal(size=size) * 5,
        np.round(rng.normal(size=size)),
        np.zeros(size),
        -(10.0 ** rng.uniform(-320, 308, size)),
        np.where(rng.random(size) < 0.5, -np.inf, rng.normal(size=size)),
    )
    for keys in rows:
        keys[0] = 0.0
        keys = np.minimum(keys, 0.0)
        weights = np.exp(keys)
        order = np.argsort(-keys, kind="stable")
        sums = cumulative(weights[order])
        for share in (1e-9, 0.10123456, 0.9123456, 1.0 - 1e-7):
            count = 1 + np.searchsorted(sums, share * sums[-1])
            kept = shortest(keys, weights, share * sums[-1])
            np.testing.assert_array_equal(kept, np.sort(order[:count]))


def test_random_numbers_and_green_lists_are_those_of_the_definition():
    rng = np.random.default_rng(1)
    for seed in [0, 2**64 - 1, *rng.integers(0, 2**64, 20, dtype=np.uint64).tolist()]:
        for position in (0, 1, 2**40 + 3):
            assert uniform(seed, position) == philox.uniform(seed, position)
        context = rng.integers(0, 150_000, 4).tolist()
        mixed = context_seed(seed, context)
        assert mixed == green_list.context_seed(seed, context)
        gamma = float(rng.uniform(0.001, 0.999))
        green = green_ids(mixed, int(gamma * 2**32), 100)
        assert green.tolist() == [green_list.is_green(mixed, i, gamma) for i in range(100)]
