"""`Generator.trace`: the step it shows is the one that the stream has taken."""

import asyncio
import math
import threading

import numpy as np
import pytest
from scripted_models import (
    END,
    PATIENCE,
    SIZE,
    TOOL,
    Watched,
    byte_vocabulary,
    favouring,
    hash_model,
    hash_row,
    request,
    wait_until_queued,
    word,
)

from sampler import Generator, SamplingParameters, next_token_distribution, trace_step
from sampler.errors import (
    GrammarError,
    IncompleteGenerationError,
    InvalidParameterError,
    LogitsError,
    ModelCallbackError,
    OverloadedError,
)
from sampler.limits import Limits

CHAIN = {
    "temperature": 0.7,
    "top_k": 30,
    "top_p": 0.9,
    "watermark": True,
    "repetition_penalty": 1.3,
    "frequency_penalty": 0.4,
    "presence_penalty": 0.2,
    "logit_bias": {"97": 1.5},
    "seed": 9,
    "ignore_eos": True,
}
DIGITS = {"type": "regex", "value": "[0-9]{2}x"}


def asked(tokens=(), top_n=20, alternatives=(), **parameters) -> dict:
    own = {"tokens": list(tokens), "top_n": top_n, "alternatives": list(alternatives)}
    return {**request("prompt", **parameters), **own}


def by_id(trace) -> dict:
    return {alternative.id: alternative for alternative in trace.alternatives}


@pytest.mark.parametrize(
    "parameters",
    [{}, CHAIN, {"temperature": 0.5, "min_new_tokens": 3}, {"presence_penalty": 1.0}],
    ids=["greedy", "chain", "short", "edited"],
)
def test_the_last_stage_of_each_token_is_what_it_was_drawn_from(make_generator, parameters):
    generator = make_generator()
    drawn = {**parameters, "max_new_tokens": 6, "top_n_tokens": 20}
    events = list(generator.generate_stream(request("prompt", **drawn)))
    ids = [event.token.id for event in events]
    assert len(ids) > 2
    for index, event in enumerate(events):
        trace = generator.trace(asked(ids[:index], **drawn))
        last = trace.listed[-1]
        if trace.stages[-1].name == "greedy":
            assert [token.id for token in last] == [event.token.id]
            continue
        assert [token.id for token in last] == [token.id for token in event.top_tokens]
        assert [token.logprob for token in last] == pytest.approx(
            [token.logprob for token in event.top_tokens], rel=1e-6
        )
        assert [(t.text, t.special) for t in last] == [
            (t.text, t.special) for t in event.top_tokens
        ]
        assert event.token.id in trace.stages[-1]


def test_a_temperature_next_to_zero_leaves_logprobs_that_no_float32_can_hold(make_generator):
    wire = make_generator().trace(asked(temperature=1e-270)).to_dict()
    logprobs = [token["logprob"] for token in wire["stages"][-1]["tokens"]]
    assert logprobs[0] == 0.0
    assert set(logprobs[1:]) == {None}


def test_stages_are_those_of_the_library(make_generator):
    tokens = [word(b"the"), 97]
    trace = make_generator().trace(asked(tokens, **CHAIN))
    prompt = list(b"prompt")
    parameters = SamplingParameters(
        **{
            name: value for name, value in CHAIN.items() if name not in ("ignore_eos", "logit_bias")
        },
        logit_bias={97: 1.5},
    )
    expected = trace_step(hash_row(prompt + tokens), parameters, prompt, tokens, n=20)
    assert [s.name for s in trace.stages] == [s.name for s in expected]
    for stage, own in zip(trace.stages, expected, strict=True):
        assert stage.token_ids.tolist() == own.token_ids.tolist()
        assert stage.logprobs.tolist() == own.logprobs.tolist()
    drawn_from = next_token_distribution(
        hash_row(prompt + tokens), parameters, prompt + tokens, len(prompt)
    )
    assert trace.stages[-1].size == len(drawn_from.token_ids)


def test_alternatives_are_all_that_is_listed_and_asked_for(make_generator):
    trace = make_generator().trace(asked(top_n=2, alternatives=[5, 5, TOOL], top_k=3))
    own = trace.stages[0]
    assert [stage.name for stage in trace.stages] == ["model", "top_k"]
    assert {a.id for a in trace.alternatives} == {*own.token_ids.tolist(), 5, TOOL}
    assert [a.id for a in trace.alternatives][-2:] == [5, TOOL]
    five = by_id(trace)[5]
    assert five.removed_by == "top_k" and five.reason is None
    assert five.logprobs == (own.logprob(5), -math.inf)
    assert by_id(trace)[TOOL].special and by_id(trace)[TOOL].text == "<|tool|>"
    wire = trace.to_dict()
    assert wire["alternatives"][-2]["logprobs"][1] is None
    assert [stage["size"] for stage in wire["stages"]] == [SIZE, 3]


def test_what_the_grammar_forbids_is_explained(make_generator):
    ids = [ord("4"), ord("x"), END, TOOL, word(b"the")]
    trace = make_generator().trace(asked([ord("1")], 1, ids, grammar=DIGITS))
    assert [stage.name for stage in trace.stages] == ["model", "mask", "greedy"]
    told = by_id(trace)
    assert [told[i].removed_by for i in ids[1:]] == ["mask"] * 4
    assert told[ord("4")].removed_by in (None, "greedy") and told[ord("4")].reason is None
    assert told[ord("x")].reason == "after `1` there cannot be `x`; expected: a digit"
    assert told[END].reason == "the text cannot end after `1`; expected: a digit"
    assert told[TOOL].reason == "a special token is no text; expected: a digit"


def test_an_end_before_min_new_tokens_is_explained(make_generator):
    trace = make_generator().trace(asked([97], 1, [END, TOOL], min_new_tokens=2))
    assert by_id(trace)[END].reason == "no end of sequence before `min_new_tokens` = 2 tokens"
    assert by_id(trace)[TOOL].removed_by != "mask"
    trace = make_generator().trace(asked([97, 97], 1, [END], min_new_tokens=2))
    assert "mask" not in [stage.name for stage in trace.stages]


def test_a_finished_grammar_still_allows_the_end(make_generator):
    trace = make_generator().trace(asked(b"12x", 1, [END, 97], grammar=DIGITS, min_new_tokens=9))
    assert trace.stages[-1].token_ids.tolist() == [END]
    assert "the end of the text" in by_id(trace)[97].reason


def test_what_a_stream_has_more_is_left_out(make_generator):
    """`best_of`, prompt logprobs and lengths change nothing of one step."""
    plain, more = (
        make_generator(Watched()).trace(asked([97], do_sample=True, **extra)).to_dict()
        for extra in ({}, {"best_of": 3, "decoder_input_details": True, "max_new_tokens": 1})
    )
    assert plain == more


def test_the_model_is_shown_prompt_and_tokens_once_and_released(make_generator):
    model = Watched()
    make_generator(model).trace(asked([97, 98]))
    assert model.contexts == {0: [*b"prompt", 97, 98]}
    assert model.shown == {0: [*b"prompt", 97, 98]}
    assert model.released == [0]


def test_a_trace_changes_nothing_of_the_streams_beside_it(make_generator):
    model = Watched(held=True)
    generator = make_generator(model)
    body = request("prompt", **CHAIN, max_new_tokens=8)
    stream = generator.generate_stream(body)
    model.wait_for_call(1)
    traces = []
    thread = threading.Thread(target=lambda: traces.append(generator.trace(asked([97], **CHAIN))))
    thread.start()
    wait_until_queued(generator, 1)
    model.let_go()
    ids = [event.token.id for event in stream]
    thread.join(PATIENCE)
    assert any(len(call) == 2 for call in model.calls)
    assert ids == [event.token.id for event in make_generator().generate_stream(body)]
    assert traces[0].to_dict() == make_generator().trace(asked([97], **CHAIN)).to_dict()


@pytest.mark.parametrize(
    ("wrong", "texts"),
    [
        ({"tokens": [SIZE]}, ["`tokens[0]`"]),
        ({"tokens": [97, -1]}, ["`tokens[1]`"]),
        ({"tokens": "ab"}, ["`tokens`"]),
        ({"tokens": None}, ["`tokens`"]),
        ({"tokens": [1.0]}, ["`tokens[0]`"]),
        ({"top_n": 0}, ["`top_n`", "> 0"]),
        ({"top_n": 21}, ["`top_n`", "<= 20"]),
        ({"alternatives": [SIZE]}, ["`alternatives[0]`"]),
        ({"alternatives": [1] * 21}, ["`alternatives`", "<= 20"]),
        ({"tokens": [97] * 8192}, ["`tokens`"]),
        ({"typo": 1}, ["unknown field `typo`"]),
        ({"inputs": "", "top_n": 0}, ["`inputs` cannot be empty", "`top_n`"]),
        ({"parameters": {"top_p": 2}, "tokens": [-1]}, ["`top_p`", "`tokens[0]`"]),
    ],
)
def test_everything_that_is_wrong_is_named_at_once(make_generator, wrong, texts):
    generator = make_generator()
    with pytest.raises(InvalidParameterError) as caught:
        generator.trace({"inputs": "prompt", **wrong})
    for text in texts:
        assert text in str(caught.value)
    assert generator.load.waiting == generator.load.running == 0


def test_a_body_that_is_no_object_is_refused(make_generator):
    with pytest.raises(InvalidParameterError, match="object"):
        make_generator().trace([1])


def test_there_must_be_room_for_the_token(make_generator):
    generator = make_generator(limits=Limits(max_total_tokens=8, max_input_tokens=6))
    assert generator.trace(asked([97]))
    with pytest.raises(InvalidParameterError, match="`tokens` must be < 8"):
        generator.trace(asked([97, 97]))


def test_tokens_must_be_what_the_grammar_allows(make_generator):
    generator = make_generator()
    with pytest.raises(InvalidParameterError, match=r"`tokens\[1\]`.*expected: a digit"):
        generator.trace(asked(b"1x", grammar=DIGITS))
    with pytest.raises(GrammarError):
        generator.trace(asked(grammar={"type": "regex", "value": "("}))
    assert generator.load.waiting == 0


def test_a_row_of_which_nothing_can_be_drawn_and_a_model_that_fails_are_errors(make_generator):
    generator = make_generator(lambda batch: np.full((len(batch), SIZE), np.nan))
    with pytest.raises(LogitsError):
        generator.trace(asked())

    def broken(batch):
        raise RuntimeError("no weights")

    generator = make_generator(broken)
    with pytest.raises(ModelCallbackError, match="no weights"):
        generator.trace(asked())
    assert generator.load.waiting == generator.load.running == 0


def test_padding_of_the_model_is_no_part_of_the_row(make_generator):
    generator = make_generator(
        lambda batch: np.pad(hash_model(batch), ((0, 0), (0, 9)), constant_values=99.0)
    )
    assert generator.trace(asked()).to_dict() == make_generator().trace(asked()).to_dict()


def test_a_trace_takes_a_place_and_gives_it_back(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1, max_waiting=1)
    stream = generator.generate_stream(request("prompt", max_new_tokens=2, ignore_eos=True))
    model.wait_for_call(1)
    traces = []
    thread = threading.Thread(target=lambda: traces.append(generator.trace(asked([97]))))
    thread.start()
    wait_until_queued(generator, 1)
    with pytest.raises(OverloadedError):
        generator.trace(asked())
    model.let_go()
    thread.join(PATIENCE)
    assert len(list(stream)) == 2
    assert len(traces) == 1
    assert generator.load.waiting == generator.load.running == 0


def test_asyncio_traces_are_the_same_and_can_be_cancelled(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1)

    async def run():
        task = asyncio.create_task(generator.atrace(asked([97], **CHAIN)))
        await asyncio.to_thread(model.wait_for_call, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        model.let_go()
        return (await generator.atrace(asked([97], **CHAIN))).to_dict()

    assert asyncio.run(run()) == make_generator().trace(asked([97], **CHAIN)).to_dict()
    assert model.released == [0, 1]
    assert generator.load.waiting == 0


def test_nothing_is_computed_for_somebody_who_left_after_the_model_step(
    make_generator, monkeypatch
):
    from sampler.step_trace import Question

    model = Watched()
    generator = make_generator(model, max_batch_size=1)
    answered = []
    answer = Question.answer
    monkeypatch.setattr(
        Question, "answer", lambda own, row: answered.append(own.token_ids) or answer(own, row)
    )

    async def run():
        with generator._tracing:  # somebody else's answer takes long
            tasks = [asyncio.create_task(generator.atrace(asked([i]))) for i in (97, 98)]
            await asyncio.to_thread(model.wait_until, lambda model: len(model.released) == 2)
            tasks[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await tasks[0]
        return await tasks[1]

    assert asyncio.run(run())
    generator.close()
    generator._preparers.shutdown()
    assert answered == [(98,)]


def test_closing_the_generator_ends_a_trace_with_an_error(make_generator):
    model = Watched(held=True)
    generator = make_generator(model)
    errors = []

    def trace():
        try:
            generator.trace(asked())
        except IncompleteGenerationError as error:
            errors.append(error)

    threads = [threading.Thread(target=trace), threading.Thread(target=generator.close)]
    threads[0].start()
    model.wait_for_call(1)
    threads[1].start()
    while not generator.closed:
        threads[1].join(0.001)
    model.let_go()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    with pytest.raises(IncompleteGenerationError):
        generator.trace(asked())
    with pytest.raises(IncompleteGenerationError):
        asyncio.run(generator.atrace(asked()))
    assert len(errors) <= 1


def test_a_prompt_that_is_cut_is_traced_as_it_is_generated():
    def last_two(batch):
        return np.stack([favouring(int(view.token_ids[-2])) for view in batch])

    with Generator(last_two, byte_vocabulary()) as generator:
        body = {**request("abcdef", truncate=2), "tokens": [], "top_n": 1}
        assert generator.trace(body).stages[-1].token_ids.tolist() == [ord("e")]


def test_where_an_explanation_would_take_too_much_that_is_said(make_generator, monkeypatch):
    from sampler.errors import GrammarLimitError
    from sampler.grammar import GrammarMatcher

    def too_much(matcher, token_ids):
        raise GrammarLimitError("states of a grammar", 9, 8)

    monkeypatch.setattr(GrammarMatcher, "explain_tokens", too_much)
    told = by_id(make_generator().trace(asked([], 1, [END], grammar=DIGITS)))
    assert told[END].removed_by == "mask"
    assert "states of a grammar must be <= 8" in told[END].reason
