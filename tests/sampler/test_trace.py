"""Every stage of a step is the reference's; the last one is what the token is drawn from."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from reference.cases import LARGEST_VOCABULARY, Case, packed, random_case
from reference.comparison import distribution_of
from reference.sampling import UNDECIDED, Outcome, raw_logprobs, reference_distribution
from strategies import cases

from sampler import SamplingParameters, Watermark, next_token_distribution, trace_step
from sampler.errors import InvalidParameterError, LogitsError
from sampler.trace import removed_by

ORDER = [
    *("watermark", "repetition_penalty", "frequency_penalty", "presence_penalty", "logit_bias"),
    *("mask", "temperature", "top_k", "top_p", "typical_p", "min_p"),
]
NEUTRAL = {field.name: field.default for field in fields(SamplingParameters)}
ROW = np.array([3.0, 1.0, 2.0, 0.0, -1.0, 2.0], np.float32)


def traced(case: Case, n: int = LARGEST_VOCABULARY):
    try:
        return trace_step(
            case.logits, case.parameters, case.prompt, case.generated, bitmask=case.bitmask, n=n
        )
    except LogitsError:
        return None


def up_to(case: Case, stage: str) -> Case:
    """The case with nothing behind `stage`."""
    later = ORDER[ORDER.index(stage) + 1 :]
    values = {name: NEUTRAL[name] for name in later if name != "mask"}
    parameters = replace(case.parameters, do_sample=True, **values)
    return replace(case, parameters=parameters, bitmask=None if "mask" in later else case.bitmask)


def assert_same(stage, token_ids, logprobs) -> None:
    assert stage.token_ids.tolist() == token_ids.tolist()
    np.testing.assert_allclose(stage.logprobs, logprobs, rtol=1e-9, atol=1e-9)


def check(case: Case) -> None:
    """All stages of `case` against the reference, the last one against the library too."""
    expected = reference_distribution(
        case.logits, case.parameters, case.context, len(case.prompt), case.allowed
    )
    stages = traced(case)
    assert (stages is None) == (expected.outcome is not Outcome.DRAWABLE)
    if stages is None:
        return
    names = [stage.name for stage in stages]
    assert names[0] == "model"
    assert_same(stages[0], *raw_logprobs(case.logits))
    for stage in stages[1 : -1 if expected.greedy else None]:
        part = up_to(case, stage.name)
        own = reference_distribution(
            part.logits, part.parameters, part.context, len(part.prompt), part.allowed
        )
        if own.outcome is Outcome.DRAWABLE and own.slack > UNDECIDED:
            assert_same(stage, own.token_ids, own.logprobs)
    if expected.slack > UNDECIDED:
        last = distribution_of(case)
        assert_same(stages[-1], last.token_ids, last.logprobs)
        assert stages[-1].size == len(last.token_ids)
    assert (names[-1] == "greedy") == expected.greedy
    between = [name for name in names[1:] if name != "greedy"]
    assert between == [name for name in ORDER if name in between]
    active = [name for name in ORDER if name != "mask" and is_active(case, name, expected.greedy)]
    assert [name for name in between if name != "mask"] == active
    assert ("mask" in between) == (case.bitmask is not None)


def is_active(case: Case, name: str, greedy: bool) -> bool:
    value = getattr(case.parameters, name)
    if name == "watermark":
        width = value.context_width if isinstance(value, Watermark) else 1
        return bool(value) and len(case.context) >= width
    if name == "logit_bias":
        return any((value or {}).values())
    is_edit = ORDER.index(name) < ORDER.index("mask")
    return value != NEUTRAL[name] and (is_edit or not greedy)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_stages_are_the_reference_ones(case):
    check(case)


def test_stages_of_random_rows_are_the_reference_ones():
    for index in range(400):
        check(random_case(77, index))


def test_a_stage_knows_every_id_and_lists_the_first():
    stages = trace_step(ROW, SamplingParameters(temperature=2.0, top_k=2), n=1)
    assert [(stage.name, stage.size) for stage in stages] == [
        ("model", 6),
        ("temperature", 6),
        ("top_k", 2),
    ]
    assert [stage.token_ids.tolist() for stage in stages] == [[0], [0], [0]]
    assert 2 in stages[2] and 5 not in stages[2] and 6 not in stages[2] and -1 not in stages[2]
    assert stages[2].logprob(2) == pytest.approx(-0.5 - math.log1p(math.exp(-0.5)))
    assert stages[2].logprob(5) == -math.inf
    assert [removed_by(stages, i) for i in range(6)] == [None, "top_k", None, *["top_k"] * 3]


def test_the_first_processor_that_removes_an_id_is_named():
    parameters = SamplingParameters(
        do_sample=True, logit_bias={1: -math.inf}, top_k=3, min_p=0.4, repetition_penalty=1.5
    )
    row = ROW.copy()
    row[4] = -math.inf
    mask = packed(np.array([True, True, False, True, True, True]))
    stages = trace_step(row, parameters, [3], [0], bitmask=mask)
    assert [stage.name for stage in stages] == [
        *("model", "repetition_penalty", "logit_bias", "mask", "top_k", "min_p")
    ]
    assert [removed_by(stages, i) for i in range(6)] == [
        *(None, "logit_bias", "mask", "min_p", "model", None)
    ]


def test_a_greedy_row_ends_with_the_one_id_that_is_taken():
    parameters = SamplingParameters(temperature=0.0, top_k=3, presence_penalty=2.0)
    stages = trace_step(ROW, parameters, [], [0], n=3)
    assert [stage.name for stage in stages] == ["model", "presence_penalty", "greedy"]
    taken = stages[-1]
    assert (taken.size, taken.token_ids.tolist()) == (1, [2])
    expected = next_token_distribution(ROW, parameters, [0])
    assert taken.logprobs == pytest.approx(expected.logprobs, rel=1e-14)
    assert taken.logprobs[0] == stages[1].logprob(2)
    assert removed_by(stages, 0) == "greedy"


def test_what_is_no_logit_counts_as_minus_infinity_where_the_mask_forbids_it():
    row = np.array([1.0, math.nan, 2.0, 3e38], np.float32)
    mask = packed(np.array([True, False, True, False]))
    parameters = SamplingParameters(do_sample=True, logit_bias={3: 3e38})
    stages = trace_step(row, parameters, bitmask=mask)
    assert [stage.size for stage in stages] == [3, 2, 2]
    assert [removed_by(stages, i) for i in range(4)] == [None, "model", None, "logit_bias"]
    with pytest.raises(LogitsError, match="NaN"):
        trace_step(row, parameters)


@pytest.mark.parametrize(
    ("row", "text"), [([-math.inf, math.nan], "NaN"), ([-math.inf, -math.inf], "no token")]
)
def test_a_row_of_which_nothing_can_be_drawn_is_an_error(row, text):
    with pytest.raises(LogitsError, match=text):
        trace_step(np.array(row, np.float32), SamplingParameters())


@pytest.mark.parametrize("n", [0, -1, 1.0, True, "3"])
def test_n_must_be_a_positive_integer(n):
    with pytest.raises(InvalidParameterError, match="`n`"):
        trace_step(ROW, SamplingParameters(), n=n)


@pytest.mark.parametrize(
    "arguments",
    [
        {"logits": np.zeros((1, 4), np.float32)},
        {"logits": np.zeros(0, np.float32)},
        {"prompt_token_ids": [6]},
        {"generated_token_ids": [-1]},
        {"bitmask": np.ones(1, np.int64)},
    ],
)
def test_wrong_shapes_and_ids_are_refused_by_name(arguments):
    with pytest.raises(InvalidParameterError, match="`"):
        trace_step(**{"logits": ROW, "parameters": SamplingParameters(), **arguments})


def test_nothing_that_is_given_changes():
    row, mask = ROW.copy(), np.array([7], np.int32)
    parameters = SamplingParameters(watermark=True, presence_penalty=1.0, top_k=2)
    trace_step(row, parameters, [1], [2, 3], bitmask=mask)
    assert row.tobytes() == ROW.tobytes()
    assert mask.tolist() == [7]
