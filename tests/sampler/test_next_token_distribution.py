import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from reference.cases import Case, packed
from reference.comparison import distribution_of, distribution_problem
from reference.sampling import UNDECIDED, Outcome, reference_distribution
from strategies import cases

from sampler import SamplingParameters, Watermark, next_token_distribution
from sampler.errors import InvalidParameterError, LogitsError

LN2 = math.log(2.0)
# probabilities 1/2, 1/4, 1/8, 1/16, 1/16, not in order of their ids
DYADIC = np.array([-3 * LN2, -LN2, -4 * LN2, -4 * LN2, -2 * LN2], np.float32)


def kept(logits, bitmask=None, **parameters) -> list[int]:
    given = SamplingParameters(do_sample=True, **parameters)
    logits = np.array(logits, np.float32)
    return next_token_distribution(logits, given, bitmask=bitmask).token_ids.tolist()


@settings(max_examples=300, deadline=None)
@given(cases())
def test_ids_order_logprobs_and_refusals_are_the_reference_ones(case):
    expected = reference_distribution(
        case.logits, case.parameters, case.context, len(case.prompt), case.allowed
    )
    if expected.slack > UNDECIDED:
        assert distribution_problem(case, expected) is None


@given(cases())
def test_a_distribution_is_ranked_normalised_and_allowed(case):
    distribution = distribution_of(case)
    if distribution is None:
        return
    ids, logprobs = distribution.token_ids, distribution.logprobs
    assert ids.dtype == np.int64 and logprobs.dtype == np.float64
    assert ids.shape == logprobs.shape
    assert len(set(ids.tolist())) == len(ids) >= 1
    assert case.allowed is None or np.all(case.allowed[ids])
    assert np.all(np.diff(logprobs) <= 0.0)
    if not distribution.greedy:
        assert math.fsum(np.exp(logprobs)) == pytest.approx(1.0, abs=1e-9)
    forbidden = (case.parameters.logit_bias or {}).items()
    assert not {i for i, bias in forbidden if bias == -math.inf} & set(ids.tolist())


@given(cases())
def test_what_is_only_reported_changes_nothing(case):
    plain = replace(case.parameters, seed=None, logprobs="processed", top_n_tokens=0)
    first, second = distribution_of(case), distribution_of(replace(case, parameters=plain))
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert first.token_ids.tobytes() == second.token_ids.tobytes()
        assert first.logprobs.tobytes() == second.logprobs.tobytes()


@given(cases(drawable=True))
def test_temperature_zero_is_the_argmax_whatever_else_is_set(case):
    greedy = replace(case, parameters=replace(case.parameters, temperature=0.0))
    expected = reference_distribution(
        case.logits, greedy.parameters, case.context, len(case.prompt), case.allowed
    )
    distribution = distribution_of(greedy)
    if expected.outcome is Outcome.DRAWABLE:
        assert distribution is not None and distribution.greedy
        assert distribution.token_ids.tolist() == expected.token_ids.tolist()


def test_top_k_keeps_exactly_k_and_of_equal_logits_the_lower_ids():
    assert kept([1.0, 2.0, 2.0, 3.0, 2.0], top_k=3) == [3, 1, 2]
    assert kept(np.zeros(100), top_k=7) == list(range(7))


@pytest.mark.parametrize("top_k", [0, 5, 6, 2**62])
def test_top_k_of_zero_or_of_the_vocabulary_and_more_keeps_all(top_k):
    assert kept(DYADIC, top_k=top_k) == [1, 4, 0, 2, 3]


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [(1e-12, [1]), (0.49, [1]), (0.51, [1, 4]), (0.74, [1, 4]), (0.76, [1, 4, 0])],
)
def test_top_p_keeps_the_shortest_set_of_that_mass(top_p, expected):
    assert kept(DYADIC, top_p=top_p) == expected


def test_top_p_is_a_share_of_what_top_k_kept():
    # of (1/2, 1/4, 1/8) the first two weigh 6/7 = 0.857
    assert kept(DYADIC, top_k=3, top_p=0.85) == [1, 4]
    assert kept(DYADIC, top_k=3, top_p=0.86) == [1, 4, 0]


def test_typical_p_ranks_by_the_distance_from_the_entropy():
    # the entropy is 1.875 ln 2, and -log p is 1, 2, 3, 4, 4 times ln 2
    assert kept(DYADIC, typical_p=0.2) == [4]
    assert kept(DYADIC, typical_p=0.3) == [1, 4]
    assert kept(DYADIC, typical_p=0.8) == [1, 4, 0]
    assert kept(DYADIC, typical_p=0.9) == [1, 4, 0, 2]


def test_min_p_is_relative_to_the_best_one_left():
    assert kept(DYADIC, min_p=0.3) == [1, 4]
    assert kept(DYADIC, min_p=0.2) == [1, 4, 0]
    # typical_p 0.2 leaves id 4 alone, which is then the best
    assert kept(DYADIC, typical_p=0.2, min_p=1.0) == [4]


def test_truncations_see_the_temperature_and_the_rank_does_not():
    # at temperature 2 the weights are square roots: 0.315, 0.223, 0.158, 0.111, 0.111 of 0.918
    assert kept(DYADIC, top_p=0.51, temperature=2.0) == [1, 4]
    assert kept(DYADIC, top_p=0.6, temperature=2.0) == [1, 4, 0]
    # weights that are equal after rounding are still ranked by their logits
    assert kept([0.0, 1e-30, 0.0], top_k=1, temperature=1e6) == [1]


def test_minus_infinity_is_never_kept():
    assert kept([-math.inf, 0.0, -math.inf], top_k=3) == [1]


def test_negative_zero_equals_zero():
    assert kept([-0.0, 0.0, -0.0], top_k=2) == [0, 1]


def test_a_weight_that_underflows_is_kept_with_its_finite_logprob():
    parameters = SamplingParameters(do_sample=True, temperature=0.5)
    distribution = next_token_distribution(np.array([0.0, -3000.0], np.float32), parameters)
    assert distribution.token_ids.tolist() == [0, 1]
    assert distribution.logprobs.tolist() == [0.0, -6000.0]


def test_one_id_is_certain():
    distribution = next_token_distribution(
        np.array([-7.5], np.float32), SamplingParameters(do_sample=True)
    )
    assert (distribution.token_ids.tolist(), distribution.logprobs.tolist()) == ([0], [0.0])


def test_greedy_reports_the_log_softmax_of_the_edited_masked_row_without_temperature():
    logits = np.array([3.0, 9.0, 2.0, 1.0], np.float32)
    parameters = SamplingParameters(temperature=0.0, top_k=1, logit_bias={2: 4.0})
    bitmask = packed(np.array([True, False, True, True]))
    distribution = next_token_distribution(logits, parameters, bitmask=bitmask)
    assert distribution.greedy
    assert distribution.token_ids.tolist() == [2]
    expected = 6.0 - math.log(math.exp(3.0) + math.exp(6.0) + math.exp(1.0))
    assert distribution.logprobs[0] == pytest.approx(expected, rel=1e-14)


def test_every_edit_is_applied_in_order_and_rounded_to_float32():
    logits = np.array([2.0, -1.0, 0.5, 0.25], np.float32)
    parameters = SamplingParameters(
        do_sample=True,
        repetition_penalty=1.3,
        frequency_penalty=0.7,
        presence_penalty=0.1,
        logit_bias={3: 0.3},
    )
    distribution = next_token_distribution(logits, parameters, [0, 1, 1, 1], prompt_length=2)
    one = np.float32(-1.0 * 1.3)
    one = np.float32(float(one) - 0.7 * 2)
    one = np.float32(float(one) - 0.1)
    z = [float(np.float32(2.0 / 1.3)), float(one), 0.5, float(np.float32(0.25 + 0.3))]
    log_sum = math.log(math.fsum(map(math.exp, z)))
    given = dict(zip(distribution.token_ids.tolist(), distribution.logprobs, strict=True))
    assert [given[i] for i in range(4)] == pytest.approx([x - log_sum for x in z], rel=1e-14)


def test_the_watermark_needs_as_many_tokens_as_its_context_is_wide():
    watermark = Watermark(context_width=2, delta=5.0, gamma=0.3)
    case = Case(np.zeros(200, np.float32), SamplingParameters(do_sample=True, watermark=watermark))
    shorter, enough = (
        distribution_of(replace(case, prompt=(3,))),
        distribution_of(replace(case, prompt=(3,), generated=(4,))),
    )
    assert len(set(shorter.logprobs)) == 1
    assert len(set(enough.logprobs)) == 2
    green = np.count_nonzero(enough.logprobs == enough.logprobs[0])
    assert 20 < green < 100


def test_ids_beyond_a_short_mask_are_forbidden():
    short = np.array([-1], np.int32)
    assert kept(np.zeros(40), bitmask=short) == list(range(32))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_logit_is_an_error_only_where_it_is_allowed(bad):
    logits = np.array([1.0, bad, 2.0], np.float32)
    with pytest.raises(LogitsError):
        next_token_distribution(logits, SamplingParameters())
    assert kept(logits, bitmask=packed(np.array([True, False, True]))) == [2, 0]


def test_an_edit_that_overflows_float32_is_an_error():
    logits = np.array([3e38, 0.0], np.float32)
    with pytest.raises(LogitsError):
        next_token_distribution(logits, SamplingParameters(logit_bias={0: 3e38}))


@pytest.mark.parametrize(
    ("logits", "bitmask"),
    [([-math.inf, -math.inf], None), ([1.0, 2.0], 0), ([1.0, -math.inf], 2)],
)
def test_a_row_with_nothing_allowed_is_an_error(logits, bitmask):
    mask = None if bitmask is None else np.array([bitmask], np.int32)
    with pytest.raises(LogitsError):
        next_token_distribution(np.array(logits, np.float32), SamplingParameters(), bitmask=mask)


@pytest.mark.parametrize(
    ("logits", "arguments"),
    [
        (np.zeros((1, 4), np.float32), {}),
        (np.zeros(0, np.float32), {}),
        (np.float32(1.0), {}),
        (np.zeros(4, np.int64), {}),
        (np.zeros(4, np.complex64), {}),
        (np.array(["a", "b"]), {}),
        (np.zeros(4, np.float32), {"context_token_ids": [4], "prompt_length": 1}),
        (np.zeros(4, np.float32), {"context_token_ids": [-1]}),
        (np.zeros(4, np.float32), {"context_token_ids": [1], "prompt_length": 2}),
        (np.zeros(4, np.float32), {"context_token_ids": [1], "prompt_length": -1}),
        (np.zeros(4, np.float32), {"bitmask": np.ones(1, np.int64)}),
        (np.zeros(4, np.float32), {"bitmask": np.ones(4, bool)}),
        (np.zeros(4, np.float32), {"bitmask": np.ones((1, 1), np.int32)}),
    ],
)
def test_wrong_shapes_types_and_ids_are_refused_by_name(logits, arguments):
    with pytest.raises(InvalidParameterError, match="`"):
        next_token_distribution(logits, SamplingParameters(), **arguments)


def test_a_bias_for_an_id_outside_the_vocabulary_is_refused():
    with pytest.raises(InvalidParameterError, match="logit_bias"):
        next_token_distribution(np.zeros(4, np.float32), SamplingParameters(logit_bias={4: 1.0}))
