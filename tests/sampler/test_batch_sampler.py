import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.batches import DRAW, EVERYTHING, bits, noise, one_row
from reference.cases import Case, packed, random_case
from reference.comparison import same_float32, sampled, token_problem
from reference.sampling import UNDECIDED, raw_logprobs, reference_distribution, reference_token
from strategies import cases

from sampler import BatchSampler, SamplingParameters
from sampler.errors import InvalidParameterError, LogitsError


def chi_square_tail(statistic: float, degrees: int) -> float:
    """The chance of a larger chi-square; the closed form that even degrees of freedom have."""
    half = statistic / 2.0
    return math.exp(-half) * sum(half**i / math.factorial(i) for i in range(degrees // 2))


# --- what is drawn


@settings(max_examples=200, deadline=None)
@given(cases())
def test_token_logprob_top_tokens_and_errors_are_the_reference_ones(case):
    expected = reference_distribution(
        case.logits, case.parameters, case.context, len(case.prompt), case.allowed
    )
    seed, position = case.parameters.seed, len(case.generated)
    token = reference_token(case.logits, case.parameters, expected, seed, position)
    if token.slack > UNDECIDED:
        assert token_problem(sampled(case), 0, token) is None


def test_every_step_of_a_sequence_is_the_reference_step():
    sampler, handle = one_row(EVERYTHING, 64, prompt=[1, 2, 2])
    context = [1, 2, 2]
    for step in range(60):
        logits = noise(64, seed=step)
        distribution = reference_distribution(logits, EVERYTHING, context, 3)
        token = reference_token(logits, EVERYTHING, distribution, sampler.seed(handle), step)
        given_tokens = sampler.sample(logits[None])
        assert token_problem(given_tokens, 0, token) is None
        context.append(int(given_tokens.token_ids[0]))


@pytest.mark.parametrize("by", ["position", "seed"])
def test_tokens_are_drawn_as_often_as_they_are_probable(by):
    """A right sampler fails with probability 1e-6, for seeds and positions taken at random."""
    probabilities = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.03, 0.02])
    logits = np.log(probabilities).astype(np.float32)[None]
    draws, counts = 20_000, np.zeros(9)
    sampler, handle = one_row(replace(DRAW, seed=2024), 9)
    for seed in range(draws):
        if by == "seed":
            sampler.remove(handle)
            handle = sampler.add(replace(DRAW, seed=seed))
        counts[sampler.sample(logits).token_ids[0]] += 1
    expected = draws * probabilities
    statistic = float(np.sum((counts - expected) ** 2 / expected))
    assert chi_square_tail(statistic, 8) > 1e-6


def test_shapes_and_types_of_what_is_returned():
    sampler = BatchSampler(50, 3)
    for n in (0, 4, 2):
        sampler.add(replace(DRAW, top_n_tokens=n))
    tokens = sampler.sample(noise(3, 50))
    assert (tokens.token_ids.dtype, tokens.token_ids.shape) == (np.int64, (3,))
    assert (tokens.logprobs.dtype, tokens.logprobs.shape) == (np.float32, (3,))
    assert (tokens.top_token_ids.dtype, tokens.top_token_ids.shape) == (np.int64, (3, 4))
    assert (tokens.top_logprobs.dtype, tokens.top_logprobs.shape) == (np.float32, (3, 4))
    assert tokens.top_token_ids[0].tolist() == [-1] * 4
    assert tokens.top_token_ids[2, 2:].tolist() == [-1, -1]
    assert tokens.top_logprobs[2, 2:].tolist() == [-math.inf, -math.inf]
    assert tokens.errors == {}


def test_fewer_top_tokens_than_asked_when_fewer_are_kept():
    sampler, _ = one_row(replace(DRAW, top_k=2, top_n_tokens=5), 10)
    tokens = sampler.sample(np.arange(10, dtype=np.float32)[None])
    assert tokens.top_token_ids[0].tolist() == [9, 8, -1, -1, -1]


def test_raw_logprobs_and_top_tokens_are_the_models_own():
    logits = np.array([[1.0, np.nan, 3.0, -np.inf, 2.0]], np.float32)
    bitmask = packed(np.array([True, False, False, True, True]))[None]
    parameters = replace(DRAW, temperature=0.1, top_k=1, logprobs="raw", top_n_tokens=4)
    sampler, _ = one_row(parameters, 5)
    tokens = sampler.sample(logits, bitmask)
    log_sum = math.log(math.exp(1.0) + math.exp(3.0) + math.exp(2.0))
    assert tokens.token_ids.tolist() == [4]
    assert tokens.logprobs[0] == np.float32(2.0 - log_sum)
    assert tokens.top_token_ids[0].tolist() == [2, 4, 0, -1]


@given(cases(), st.data())
def test_scores_are_the_models_own_logprobs_of_given_tokens(case, data):
    ids, logprobs = raw_logprobs(case.logits)
    expected = dict(zip(ids.tolist(), logprobs.tolist(), strict=True))
    asked = data.draw(st.lists(st.integers(0, case.vocab_size - 1), max_size=4))
    rows = np.tile(case.logits, (len(asked), 1))
    sampler = BatchSampler(case.vocab_size, 1)
    if asked and (np.isnan(case.logits).any() or np.isposinf(case.logits).any()):
        with pytest.raises(LogitsError, match="NaN or"):
            sampler.score(rows, asked)
        return
    scores = sampler.score(rows, asked)
    assert (scores.dtype, scores.shape) == (np.float32, (len(asked),))
    for token_id, score in zip(asked, scores, strict=True):
        assert same_float32(score, expected.get(token_id, -math.inf))


# --- rows are alone in a batch


@pytest.mark.parametrize("vocab_size", [1, 33, 257])
def test_a_row_is_the_same_alone_and_anywhere_in_a_mixed_batch(vocab_size):
    """Three steps of 24 rows of all kinds, in two orders, against each row alone: bit by bit."""
    rows = [random_case(5, index, vocab_size) for index in range(24)]
    everything = np.full_like(packed(np.ones(vocab_size, bool)), -1)
    masks = np.stack([everything if case.bitmask is None else case.bitmask for case in rows])
    alone = [alone_bits(case, mask) for case, mask in zip(rows, masks, strict=True)]
    for order in (np.arange(24), np.random.default_rng(6).permutation(24)):
        sampler = BatchSampler(vocab_size, 24)
        handles = {int(place): filled(sampler, rows[place]) for place in order[::-1]}
        for step in range(3):
            logits = np.stack([step_logits(rows[place], step) for place in order])
            tokens = sampler.sample(logits, masks[order], [handles[int(i)] for i in order])
            for row, place in enumerate(order):
                n = rows[place].parameters.top_n_tokens
                assert bits(tokens, row, n) == alone[place][step]


def filled(sampler: BatchSampler, case: Case) -> int:
    handle = sampler.add(case.parameters, case.prompt)
    for token_id in case.generated:
        sampler.push(handle, token_id)
    return handle


def step_logits(case: Case, step: int) -> np.ndarray:
    return np.roll(case.logits, step)


def alone_bits(case: Case, mask: np.ndarray) -> list[tuple]:
    sampler = BatchSampler(case.vocab_size, 1)
    filled(sampler, case)
    n = case.parameters.top_n_tokens
    steps = [sampler.sample(step_logits(case, step)[None], mask[None]) for step in range(3)]
    return [bits(tokens, 0, n) for tokens in steps]


def test_a_row_with_an_error_neither_moves_nor_touches_its_neighbours():
    logits = noise(4, 40)
    bad = logits.copy()
    bad[1, 5] = np.nan
    bad[2] = -np.inf
    with_errors, without = BatchSampler(40, 4), BatchSampler(40, 4)
    for seed in range(4):
        for sampler in (with_errors, without):
            sampler.add(replace(EVERYTHING, seed=seed), [1, 2])
    failed = with_errors.sample(bad)
    good = without.sample(logits)
    assert sorted(failed.errors) == [1, 2]
    assert all(isinstance(error, LogitsError) for error in failed.errors.values())
    assert failed.token_ids[[1, 2]].tolist() == [-1, -1]
    assert failed.top_token_ids[[1, 2]].tolist() == [[-1] * 3] * 2
    assert [bits(failed, row, 3) for row in (0, 3)] == [bits(good, row, 3) for row in (0, 3)]
    again = with_errors.sample(logits[1:3], rows=[1, 2])
    assert [bits(again, row, 3) for row in (0, 1)] == [bits(good, row, 3) for row in (1, 2)]


def test_errors_are_keyed_by_the_place_in_the_result():
    sampler = BatchSampler(4, 3)
    handles = [sampler.add(DRAW) for _ in range(3)]
    logits = np.zeros((2, 4), np.float32)
    logits[0] = np.nan
    assert list(sampler.sample(logits, rows=[handles[2], handles[0]]).errors) == [0]


def test_rows_chooses_which_rows_and_in_which_order():
    logits = noise(3, 40)
    sampler, whole = BatchSampler(40, 3), BatchSampler(40, 3)
    handles = [sampler.add(replace(EVERYTHING, seed=seed)) for seed in range(3)]
    for seed in range(3):
        whole.add(replace(EVERYTHING, seed=seed))
    expected = whole.sample(logits)
    chosen = sampler.sample(logits[[2, 0]], rows=[handles[2], handles[0]])
    assert [bits(chosen, row, 3) for row in (0, 1)] == [bits(expected, row, 3) for row in (2, 0)]
    late = sampler.sample(logits[[1]], rows=[handles[1]])
    assert bits(late, 0, 3) == bits(expected, 1, 3)


def test_no_rows_give_no_tokens():
    tokens = BatchSampler(4, 2).sample(np.zeros((0, 4), np.float32))
    assert (tokens.token_ids.shape, tokens.errors) == ((0,), {})


# --- history


def test_pushing_a_token_is_the_same_as_having_drawn_it():
    drawn, drawn_row = one_row(EVERYTHING, 64, prompt=[5])
    pushed, pushed_row = one_row(EVERYTHING, 64, prompt=[5])
    for step in range(20):
        logits = noise(1, 64, seed=step)
        expected = drawn.sample(logits)
        if step % 3:
            pushed.push(pushed_row, int(expected.token_ids[0]))
        else:
            assert bits(pushed.sample(logits), 0, 3) == bits(expected, 0, 3)
    assert drawn.seed(drawn_row) == pushed.seed(pushed_row)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_rollback_returns_to_the_exact_state(moves):
    """Steps and rollbacks in any order: each position gives the token it gave the first time."""
    sampler, handle = one_row(EVERYTHING, 64, prompt=[5, 6])
    straight, _ = one_row(EVERYTHING, 64, prompt=[5, 6])
    expected = [bits(straight.sample(noise(1, 64, seed=step)), 0, 3) for step in range(40)]
    position = 0
    for steps, back in moves:
        for _ in range(steps):
            tokens = sampler.sample(noise(1, 64, seed=position))
            assert bits(tokens, 0, 3) == expected[position]
            position += 1
        sampler.rollback(handle, min(back, position))
        position -= min(back, position)


def test_forced_tokens_can_be_taken_back():
    sampler, handle = one_row(EVERYTHING, 64, prompt=[5])
    untouched, _ = one_row(EVERYTHING, 64, prompt=[5])
    for token_id in (5, 9, 9, 63):
        sampler.push(handle, token_id)
    sampler.rollback(handle, 4)
    assert bits(sampler.sample(noise(1, 64)), 0, 3) == bits(untouched.sample(noise(1, 64)), 0, 3)


@pytest.mark.parametrize("n", [-1, 3])
def test_rollback_stops_at_the_prompt(n):
    sampler, handle = one_row(DRAW, 8, prompt=[1, 2, 3])
    sampler.push(handle, 4)
    sampler.push(handle, 5)
    with pytest.raises(InvalidParameterError, match="`n`"):
        sampler.rollback(handle, n)


def test_a_new_row_knows_nothing_of_the_one_whose_place_it_takes():
    sampler, first = one_row(EVERYTHING, 64, prompt=[1, 2, 3])
    for step in range(5):
        sampler.sample(noise(1, 64, seed=step))
    sampler.remove(first)
    for parameters in (DRAW, replace(DRAW, frequency_penalty=2.0, top_n_tokens=3)):
        handle = sampler.add(parameters, [9])
        fresh, _ = one_row(parameters, 64, prompt=[9])
        logits = noise(1, 64, seed=7)
        assert bits(sampler.sample(logits), 0, 3) == bits(fresh.sample(logits), 0, 3)
        with pytest.raises(InvalidParameterError, match="handle"):
            sampler.push(first, 1)
        sampler.remove(handle)


# --- seeds


def tokens_of(parameters: SamplingParameters, steps: int = 12) -> tuple[list[int], int]:
    sampler, handle = one_row(parameters, 500)
    drawn = [int(sampler.sample(noise(1, 500, seed=i)).token_ids[0]) for i in range(steps)]
    return drawn, sampler.seed(handle)


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**63, 2**64 - 1])
def test_the_same_seed_gives_the_same_tokens(seed):
    parameters = SamplingParameters(do_sample=True, seed=seed)
    assert tokens_of(parameters) == tokens_of(parameters)
    assert tokens_of(parameters)[1] == seed


def test_both_halves_of_the_seed_matter():
    drawn = {tuple(tokens_of(replace(DRAW, seed=seed))[0]) for seed in (0, 1, 2**32, 2**63)}
    assert len(drawn) == 4


def test_a_seed_that_was_drawn_replays_its_tokens():
    unseeded = SamplingParameters(do_sample=True)
    first, second = tokens_of(unseeded), tokens_of(unseeded)
    assert first[1] != second[1]
    assert tokens_of(replace(unseeded, seed=first[1])) == first
