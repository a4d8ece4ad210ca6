"""What goes wrong with one request ends it, by name, and changes nothing for the others."""

import threading

import numpy as np
import pytest
from scripted_models import (
    SIZE,
    Watched,
    WithPromptLogits,
    hash_model,
    request,
    scheduler_threads,
    wire,
)

from sampler import BatchSampler
from sampler.candidate import Candidate
from sampler.errors import InvalidParameterError, LogitsError, ModelCallbackError, SamplerError

PROMPTS = ["one", "two", "three"]
SETTINGS = {"max_new_tokens": 6, "do_sample": True, "seed": 4, "details": True, "ignore_eos": True}


def asked(prompt):
    return request(prompt, **SETTINGS)


def alone(make_generator, prompt, **parameters):
    """The events of a request when nothing else goes on and nothing goes wrong."""
    return wire(
        make_generator(hash_model).generate_stream(request(prompt, **SETTINGS, **parameters))
    )


def is_marked(view):
    return view.token_ids[0] == ord("!") and len(view.token_ids) >= 3


def with_row(change):
    """The hash model, but `change` is done to the row of a marked sequence."""

    def model(batch):
        logits = hash_model(batch)
        for row, view in enumerate(batch):
            if is_marked(view):
                change(logits[row])
        return logits

    return model


def with_answer(answer):
    """The hash model, but a batch with a marked sequence is answered by `answer(logits)`."""

    def model(batch):
        logits = hash_model(batch)
        return answer(logits) if any(map(is_marked, batch)) else logits

    return model


def raising(error):
    def answer(logits):
        raise error

    return answer


def set_nan(row):
    row[7] = np.nan


def set_infinite(row):
    row[0] = np.inf


def forbid_all(row):
    row[:] = -np.inf


@pytest.mark.parametrize("change", [set_nan, set_infinite, forbid_all])
def test_a_bad_row_fails_alone(make_generator, change):
    generator = make_generator(with_row(change), max_batch_size=8)
    streams = {prompt: generator.generate_stream(asked(prompt)) for prompt in ["!", *PROMPTS]}
    with pytest.raises(LogitsError):
        list(streams.pop("!"))
    for prompt, stream in streams.items():
        assert wire(stream) == alone(make_generator, prompt)


def test_events_before_a_failure_have_been_told(make_generator):
    stream = make_generator(with_row(set_nan)).generate_stream(asked("!"))
    assert [next(stream).index, next(stream).index] == [1, 2]
    with pytest.raises(LogitsError, match="NaN"):
        next(stream)
    assert list(stream) == []


class NoArray:
    def __array__(self, *_, **__):
        raise RuntimeError("not on this device")


class NoText(Exception):
    def __str__(self):
        raise RuntimeError("no text either")


BAD_ANSWERS = {
    "exception": raising(ValueError("out of memory")),
    "exception without text": raising(NoText()),
    "stop iteration": raising(StopIteration()),
    "system exit": raising(SystemExit(1)),
    "keyboard interrupt": raising(KeyboardInterrupt()),
    "generator exit": raising(GeneratorExit()),
    "one of ours": raising(InvalidParameterError("`x` must be y")),
    "nothing": lambda logits: None,
    "text": lambda logits: "logits",
    "integers": lambda logits: logits.astype(np.int32),
    "booleans": lambda logits: logits > 0,
    "complex numbers": lambda logits: logits.astype(np.complex64),
    "objects": lambda logits: logits.astype(object),
    "one dimension": lambda logits: logits[0],
    "three dimensions": lambda logits: logits[None],
    "a row more": lambda logits: np.concatenate([logits, logits[:1]]),
    "a row less": lambda logits: logits[1:],
    "a column less": lambda logits: logits[:, :-1],
    "ragged lists": lambda logits: [[0.0] * SIZE, [0.0]],
    "no array": lambda logits: NoArray(),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_fails_exactly_the_rows_that_were_shown(make_generator, name):
    model = Watched(with_answer(BAD_ANSWERS[name]), held=True)
    generator = make_generator(model, max_batch_size=2)
    shown = [generator.generate_stream(asked("!")), generator.generate_stream(asked("seen"))]
    waiting = [generator.generate_stream(asked(prompt)) for prompt in PROMPTS]
    model.let_go()
    for stream in shown:
        with pytest.raises(ModelCallbackError) as caught:
            list(stream)
        assert caught.value.to_dict()["error_type"] == "generation"
    for prompt, stream in zip(PROMPTS, waiting, strict=True):
        assert wire(stream) == alone(make_generator, prompt)
    assert sorted(model.released) == list(range(5))
    assert wire(generator.generate_stream(asked("later"))) == alone(make_generator, "later")


def test_the_error_of_a_callback_has_its_cause_and_says_what_it_was(make_generator):
    cause = ValueError("out of memory")
    generator = make_generator(with_answer(raising(cause)))
    with pytest.raises(ModelCallbackError, match="ValueError: out of memory") as caught:
        generator.generate(asked("!"))
    assert caught.value.__cause__ is cause


def test_requests_that_fail_together_get_errors_of_their_own(make_generator):
    model = Watched(with_answer(raising(ValueError("no"))), held=True)
    generator = make_generator(model)
    streams = [generator.generate_stream(asked(prompt)) for prompt in ("!", "b")]
    model.let_go()
    errors = []
    for stream in streams:
        with pytest.raises(ModelCallbackError) as caught:
            list(stream)
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert str(errors[0]) == str(errors[1])


class BadPrompts(WithPromptLogits):
    def __init__(self, answer):
        self._answer = answer

    def prompt_logits(self, view):
        logits = super().prompt_logits(view)
        return self._answer(logits) if view.token_ids[0] == ord("!") else logits


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_prompt_that_cannot_be_scored_fails_alone(make_generator, name):
    generator = make_generator(BadPrompts(BAD_ANSWERS[name]))
    neighbour = generator.generate_stream(asked("one"))
    with pytest.raises(ModelCallbackError):
        generator.generate(request("!a", decoder_input_details=True, **SETTINGS))
    assert wire(neighbour) == alone(make_generator, "one")
    scored = generator.generate_stream(request("two", decoder_input_details=True, **SETTINGS))
    assert wire(scored) == alone(make_generator, "two", decoder_input_details=True)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt(), NoText()])
def test_a_release_that_raises_is_logged_and_changes_nothing(make_generator, error, caplog):
    class Model:
        def __call__(self, batch):
            return hash_model(batch)

        def release(self, sequence_id):
            raise error

    generator = make_generator(Model(), max_batch_size=2)
    streams = [generator.generate_stream(asked(prompt)) for prompt in PROMPTS]
    for prompt, stream in zip(PROMPTS, streams, strict=True):
        assert wire(stream) == alone(make_generator, prompt)
    assert any("release" in record.getMessage() for record in caplog.records)


def test_a_failing_candidate_ends_its_request_and_no_other(make_generator):
    generator = make_generator(with_row(set_nan), max_batch_size=3)
    many = generator.generate_stream(request("!", best_of=5, **SETTINGS))
    neighbour = generator.generate_stream(asked("one"))
    with pytest.raises(LogitsError):
        list(many)
    assert wire(neighbour) == alone(make_generator, "one")


def test_a_bad_request_is_refused_before_it_reaches_the_others(make_generator):
    generator = make_generator(hash_model)
    neighbour = generator.generate_stream(asked("one"))
    for wrong in [
        {"inputs": 5},
        request("a", top_p=42.5),
        request("a", tpo_k=1),
        request("a", logit_bias={str(SIZE): 1.0}),
        request("a", max_new_tokens=10**9),
        request("a" * 5000),
        "no request",
        None,
    ]:
        with pytest.raises(InvalidParameterError):
            generator.generate_stream(wrong)
        with pytest.raises(InvalidParameterError):
            generator.generate(wrong)
    assert wire(neighbour) == alone(make_generator, "one")


def test_a_consumer_that_never_reads_holds_up_nobody(make_generator):
    generator = make_generator(hash_model, max_batch_size=1)
    unread = generator.generate_stream(asked("unread"))
    assert wire(generator.generate_stream(asked("one"))) == alone(make_generator, "one")
    assert wire(unread) == alone(make_generator, "unread")


def test_a_model_that_changes_what_it_is_shown_harms_nobody(make_generator):
    def model(batch):
        logits = hash_model(batch)
        for view in batch:
            for array in (view.token_ids, view.new_token_ids):
                with pytest.raises(ValueError, match="read-only"):
                    array[0] = 0
            with pytest.raises(AttributeError):
                view.id = 17
            with pytest.raises(AttributeError):
                view.token_ids = ()
        batch.clear()
        return logits

    generator = make_generator(model)
    assert wire(generator.generate_stream(asked("one"))) == alone(make_generator, "one")


def test_a_fault_inside_the_engine_ends_what_runs_and_the_next_request_works(
    make_generator, monkeypatch, caplog
):
    def fault(*_, **__):
        raise RuntimeError("a fault")

    generator = make_generator(hash_model)
    with monkeypatch.context() as patched:
        patched.setattr(BatchSampler, "sample", fault)
        with pytest.raises(SamplerError, match="internal error"):
            generator.generate(asked("one"))
    assert "the scheduler failed" in caplog.text
    assert wire(generator.generate_stream(asked("one"))) == alone(make_generator, "one")


class Panic(BaseException):
    """What the native libraries raise is no Exception either."""


def test_a_panic_in_a_request_ends_it_alone(make_generator, monkeypatch, caplog):
    take = Candidate.take

    def panicking(candidate, draw):
        if candidate.plan.prompt_token_ids[0] == ord("!"):
            raise Panic("index out of bounds")
        take(candidate, draw)

    monkeypatch.setattr(Candidate, "take", panicking)
    generator = make_generator(hash_model)
    neighbour = generator.generate_stream(asked("one"))
    with pytest.raises(SamplerError, match="index out of bounds"):
        generator.generate(asked("!"))
    assert "a request failed" in caplog.text
    assert wire(neighbour) == alone(make_generator, "one")


@pytest.mark.parametrize("columns", [SIZE - 1, 0, 1e6, "many", True])
def test_a_model_for_a_smaller_vocabulary_is_refused(make_generator, columns):
    class Model(WithPromptLogits):
        vocab_size = columns

    with pytest.raises(InvalidParameterError, match=f"must be an integer >= {SIZE}"):
        make_generator(Model())


def test_only_the_thread_that_serves_is_ever_started(make_generator):
    generator = make_generator(hash_model)
    assert not scheduler_threads()
    before = threading.active_count()
    for prompt in PROMPTS:
        generator.generate(asked(prompt))
    assert threading.active_count() == before + 1
