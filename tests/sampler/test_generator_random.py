"""Random requests to the embedded model: a SamplerError or events that keep every rule."""

import json
import math

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from scripted_models import joined, wire

from sampler import Generator, Limits, default_generator
from sampler.errors import GrammarError, InvalidParameterError, LogitsError, SamplerError

LIMITS = Limits(max_input_tokens=60, max_total_tokens=70, max_best_of=3, max_top_n_tokens=4)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
)
LEGAL = {
    "do_sample": st.booleans(),
    "temperature": st.one_of(st.floats(0.0, 3.0), st.sampled_from([0, 1, 1e-9, 1e9])),
    "top_k": st.integers(0, 5000),
    "top_p": st.floats(0.0, 1.0, exclude_min=True),
    "typical_p": st.floats(0.0, 1.0, exclude_min=True),
    "min_p": st.floats(0.0, 1.0),
    "repetition_penalty": st.floats(0.1, 3.0),
    "frequency_penalty": st.floats(-2.0, 2.0),
    "presence_penalty": st.floats(-2.0, 2.0),
    "logit_bias": st.dictionaries(
        st.integers(0, 4095).map(str), st.one_of(st.floats(-50, 50), st.just(-math.inf)), max_size=4
    ),
    "watermark": st.one_of(st.booleans(), st.just({"gamma": 0.25, "delta": 4.0})),
    "logprobs": st.sampled_from(["raw", "processed", None]),
    "top_n_tokens": st.integers(0, 4),
    "max_new_tokens": st.integers(1, 10),
    "min_new_tokens": st.integers(0, 10),
    "stop": st.lists(
        st.one_of(st.sampled_from([" ", "e", "th", "<|end|>"]), st.text(min_size=1, max_size=3)),
        max_size=3,
    ),
    "ignore_eos": st.booleans(),
    "trim_stop": st.booleans(),
    "best_of": st.integers(1, 3),
    "truncate": st.integers(1, 60),
    "return_full_text": st.booleans(),
    "details": st.booleans(),
    "decoder_input_details": st.booleans(),
    "grammar": st.sampled_from(
        [
            {"type": "regex", "value": "[a-z ]{1,9}"},
            {"type": "json", "value": {"enum": ["a", "bcd", 5]}},
            {"type": "json", "value": "no schema"},
            {"type": "regex", "value": "("},
        ]
    ),
}
PROMPTS = st.one_of(
    st.sampled_from(["The state", '{"a": ', "<|json|>{", "<|end|>", " ", "👍🏽", "日本語"]),
    st.text(max_size=40),
)


@st.composite
def parameters(draw):
    """Any subset of the parameters; most values are legal, now and then one is anything."""
    names = draw(st.sets(st.sampled_from(sorted(LEGAL)), max_size=10))
    values = {name: draw(LEGAL[name]) for name in sorted(names)}
    values.setdefault("max_new_tokens", draw(LEGAL["max_new_tokens"]))
    values["seed"] = draw(st.integers(0, 2**64 - 1))
    if draw(st.integers(0, 9)) == 0:
        values[draw(st.sampled_from([*sorted(LEGAL), "seed", "unknown"]))] = draw(ANYTHING)
    return values


@pytest.fixture(scope="module")
def generator():
    with default_generator(limits=LIMITS, max_batch_size=2) as made:
        yield made


def check_events(generator: Generator, body: dict, events: list) -> None:
    """Everything that holds for any stream."""
    given, last = body["parameters"], events[-1]
    vocabulary = generator.vocabulary
    assert [e.index for e in events] == list(range(1, len(events) + 1))
    assert all(e.generated_text is e.details is None for e in events[:-1])
    prefix = body["inputs"] if given.get("return_full_text") else ""
    assert last.generated_text == prefix + joined(events)
    assert len(events) <= (given.get("max_new_tokens") or LIMITS.max_total_tokens)
    asked = given.get("top_n_tokens") or 0
    for e in events:
        assert 0 <= e.token.id < vocabulary.size
        assert -math.inf < e.token.logprob <= 0.0
        assert len(e.top_tokens) <= asked
        best = [token.logprob for token in e.top_tokens]
        assert best == sorted(best, reverse=True)
        assert not e.token.special or e.token.id in vocabulary.special_token_ids
    assert json.loads(json.dumps(wire(events), allow_nan=False)) == wire(events)
    wanted = given.get("details") or given.get("decoder_input_details")
    assert (last.details is not None) == bool(wanted)
    if last.details is not None:
        check_details(generator, body, events)


def check_details(generator: Generator, body: dict, events: list) -> None:
    given, details = body["parameters"], events[-1].details
    limit = given.get("max_new_tokens")
    assert details.generated_tokens == len(events)
    assert (details.finish_reason == "length") == (
        len(events) == (limit or LIMITS.max_total_tokens - details.input_length)
    )
    if details.finish_reason == "eos_token":
        assert events[-1].token.id in generator.vocabulary.eos_token_ids
        assert len(events) > (given.get("min_new_tokens") or 0) or "grammar" in given
    count = len(generator.vocabulary.encode(body["inputs"]))
    assert details.input_length == min(count, given.get("truncate") or count)
    assert len(details.best_of_sequences) == (given.get("best_of") or 1) - 1
    if given.get("decoder_input_details"):
        assert len(details.prefill) == details.input_length
    assert (details.grammar_complete is None) == (given.get("grammar") is None)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(inputs=PROMPTS, values=parameters())
def test_any_request_is_refused_by_name_or_answered_by_the_rules(generator, inputs, values):
    body = {"inputs": inputs, "parameters": values}
    try:
        events = list(generator.generate_stream(body))
    except SamplerError as error:
        event(type(error).__name__)
        assert error.to_dict()["error"]
        with pytest.raises(type(error)):
            generator.generate(body)
        assert isinstance(error, InvalidParameterError | GrammarError | LogitsError)
        return
    event("answered")
    check_events(generator, body, events)
    answer = generator.generate(body)
    assert answer.generated_text == events[-1].generated_text
    if answer.details is not None and events[-1].details.seed is not None:
        assert [token.to_dict() for token in answer.details.tokens] == [
            told["token"] for told in wire(events)
        ]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(asked=st.lists(st.tuples(PROMPTS, parameters()), min_size=2, max_size=6))
def test_random_neighbours_change_nothing(generator, asked):
    bodies = [{"inputs": inputs, "parameters": values} for inputs, values in asked]
    together = []
    for body in bodies:
        try:
            together.append(generator.generate_stream(body))
        except SamplerError as error:
            together.append(error)
    told = [outcome(stream) for stream in together]
    alone = []
    for body in bodies:
        try:
            alone.append(outcome(generator.generate_stream(body)))
        except SamplerError as error:
            alone.append(outcome(error))
    assert told == alone


def outcome(stream):
    """The wire events of a stream and the error that ended it, if any."""
    if isinstance(stream, SamplerError):
        return [], stream.to_dict()
    events = []
    try:
        for told in stream:
            events.append(told.to_dict())
    except SamplerError as error:
        return events, error.to_dict()
    return events, None
