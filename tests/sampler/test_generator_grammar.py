"""Requests with a grammar: their text stays inside it, and nobody else notices."""

import asyncio
import json
import re
import threading

import jsonschema
import numpy as np
import pytest
from scripted_models import (
    END,
    PATIENCE,
    SIZE,
    ScriptedModel,
    Watched,
    byte_tokenizer,
    hash_model,
    joined,
    request,
    wire,
)

from sampler import Generator, default_generator
from sampler.errors import GrammarError, LogitsError, SamplerError, UnsupportedSchemaError
from sampler.grammar import GrammarCompiler, GrammarMatcher

LETTERS = {"type": "regex", "value": "[a-z]{2,6}"}
SCHEMA = {
    "type": "object",
    "properties": {"size": {"enum": ["s", "m"]}, "ok": {"type": "boolean"}},
    "required": ["size", "ok"],
    "additionalProperties": False,
}
SETTINGS = {"max_new_tokens": 60, "do_sample": True, "details": True, "temperature": 2.0}


def test_the_text_is_one_of_the_grammar_and_the_details_say_so(make_generator):
    generator = make_generator(hash_model)
    for seed in range(20):
        answer = generator.generate(request(grammar=LETTERS, seed=seed, **SETTINGS))
        assert re.fullmatch(LETTERS["value"], answer.generated_text)
        assert answer.details.finish_reason == "eos_token"
        assert answer.to_dict()["details"]["grammar_complete"] is True


@pytest.mark.parametrize("make", [default_generator, None])
def test_a_schema_is_kept_token_by_token(make_generator, make):
    generator = make() if make else make_generator(hash_model)
    with generator:
        for seed in range(10):
            grammar = {"type": "json", "value": SCHEMA}
            body = request("JSON: ", grammar=grammar, seed=seed, **SETTINGS)
            *_, last = generator.generate_stream(body)
            if last.details.finish_reason == "eos_token":
                jsonschema.validate(json.loads(last.generated_text), SCHEMA)
                assert last.details.grammar_complete
            else:  # the model went on about white space, which the grammar allows
                assert last.details.finish_reason == "length"


def test_what_the_model_wants_most_is_not_drawn_when_the_grammar_forbids_it(make_generator):
    generator = make_generator(ScriptedModel({"p": b"1ab2cd"}))
    for event in generator.generate_stream(request("p", grammar=LETTERS, top_n_tokens=5)):
        for token in event.top_tokens:
            assert token.id == END or token.text.isalpha()
    assert event.generated_text.isalpha()


@pytest.mark.parametrize(
    ("script", "more", "reason", "complete"),
    [
        (b"abc", {}, "eos_token", True),
        (b"abcdef", {"max_new_tokens": 1}, "length", False),
        (b"abcdef", {"max_new_tokens": 2}, "length", True),
        (b"abcdef", {"stop": ["bc"]}, "stop_sequence", True),
        (b"abcdef", {"stop": ["bc"], "trim_stop": True}, "stop_sequence", False),
        (b"abcdef", {"stop": ["a"]}, "stop_sequence", False),
        (b"abc", {"ignore_eos": True, "max_new_tokens": 9}, "length", True),
    ],
)
def test_whether_the_text_is_complete_is_told(make_generator, script, more, reason, complete):
    generator = make_generator(ScriptedModel({"p": script}))
    settings = {"grammar": LETTERS, "details": True, **more}
    *_, last = generator.generate_stream(request("p", **settings))
    assert last.details.finish_reason == reason
    assert last.details.grammar_complete is complete
    answer = generator.generate(request("p", **settings))
    assert answer.details.grammar_complete is complete


def test_min_new_tokens_goes_on_as_long_as_the_grammar_does(make_generator):
    generator = make_generator(ScriptedModel({"p": b"ab"}))
    settings = {"grammar": LETTERS, "details": True}
    told = generator.generate(request("p", min_new_tokens=4, **settings)).details
    assert told.generated_tokens == 5
    told = generator.generate(request("p", min_new_tokens=50, **settings)).details
    assert (told.generated_tokens, told.finish_reason) == (7, "eos_token")
    assert told.grammar_complete


def test_candidates_share_a_grammar_and_each_keeps_to_it(make_generator):
    generator = make_generator(hash_model, max_batch_size=3)
    answer = generator.generate(request(grammar=LETTERS, best_of=8, seed=1, **SETTINGS)).to_dict()
    losers = answer["details"]["best_of_sequences"]
    texts = [answer["generated_text"], *(loser["generated_text"] for loser in losers)]
    assert len(set(texts)) > 4
    for text in texts:
        assert re.fullmatch(LETTERS["value"], text)
    assert all(loser["grammar_complete"] is True for loser in losers)


def test_the_same_grammar_is_compiled_once(make_generator):
    generator = make_generator(hash_model)
    compiled = generator._grammars.compile(LETTERS)
    generator.generate(request(grammar=LETTERS, **SETTINGS))
    assert generator._grammars.compile(dict(LETTERS)) is compiled


def test_neighbours_with_and_without_a_grammar_change_nothing_for_each_other(make_generator):
    grammars = [None, LETTERS, {"type": "json", "value": SCHEMA}, {"type": "regex", "value": "a*"}]
    bodies = [request(grammar=grammars[n % 4], seed=n, **SETTINGS) for n in range(24)]
    generator = make_generator(hash_model, max_batch_size=7)
    streams = [generator.generate_stream(body) for body in bodies]
    together = [wire(stream) for stream in streams]
    assert together == [wire(generator.generate_stream(body)) for body in bodies]
    assert len({json.dumps(events) for events in together}) > 12


@pytest.mark.parametrize(
    ("grammar", "error"),
    [
        ({"type": "regex", "value": "("}, GrammarError),
        ({"type": "regex", "value": "(?=a)b"}, GrammarError),
        ({"type": "regex", "value": "(a)\\1"}, UnsupportedSchemaError),
        ({"type": "json", "value": {"not": {"uniqueItems": True}}}, UnsupportedSchemaError),
        ({"type": "json", "value": "example_value"}, SamplerError),
        ({"type": "json", "value": False}, GrammarError),
    ],
)
def test_a_bad_grammar_fails_its_request_before_it_starts(make_generator, grammar, error):
    model = Watched()
    generator = make_generator(model)
    neighbour = generator.generate_stream(request("n", seed=1, **SETTINGS))
    with pytest.raises(error) as caught:
        generator.generate(request("a", grammar=grammar, **SETTINGS))
    assert caught.value.to_dict()["error_type"] == "validation"
    alone = make_generator(hash_model).generate_stream(request("n", seed=1, **SETTINGS))
    assert wire(neighbour) == wire(alone)
    assert len(model.contexts) == 1


def test_a_grammar_needs_an_end_of_sequence():
    with Generator(hash_model, byte_tokenizer(), eos_token_ids=[]) as generator:
        with pytest.raises(GrammarError, match="end-of-sequence"):
            generator.generate(request(grammar=LETTERS, **SETTINGS))
        assert generator.generate(request(seed=1, **SETTINGS)).details.grammar_complete is None


@pytest.mark.parametrize("method", ["fill_next_token_bitmask", "accept_token", "is_accepting"])
@pytest.mark.parametrize("fault", [GrammarError("a limit"), RuntimeError("a bug")])
def test_a_grammar_that_fails_amid_a_text_fails_its_request_alone(
    make_generator, monkeypatch, caplog, method, fault
):
    generator = make_generator(hash_model)
    settings = {"seed": 1, **SETTINGS}
    alone = wire(generator.generate_stream(request("n", **settings)))
    bounded = wire(generator.generate_stream(request("b", grammar=LETTERS, **settings)))
    original, failing = (
        getattr(GrammarMatcher, method),
        generator._grammars.compile({"type": "regex", "value": "z+"}),
    )

    def method_that_fails(matcher, *arguments):
        if matcher.grammar is failing:
            raise fault
        return original(matcher, *arguments)

    monkeypatch.setattr(GrammarMatcher, method, method_that_fails)
    caplog.set_level("CRITICAL")
    streams = [
        generator.generate_stream(request("n", **settings)),
        generator.generate_stream(request("b", grammar=LETTERS, **settings)),
        generator.generate_stream(
            request("f", grammar={"type": "regex", "value": "z+"}, **{**settings, "best_of": 2})
        ),
    ]
    with pytest.raises(SamplerError, match=str(fault)):
        list(streams.pop())
    assert [wire(stream) for stream in streams] == [alone, bounded]


def test_a_model_that_rules_out_all_that_the_grammar_allows_fails_its_row(make_generator):
    def model(batch):
        logits = hash_model(batch)
        for row, view in enumerate(batch):
            if view.token_ids[0] == ord("!"):
                logits[row, ord("a") :] = -np.inf
        return logits

    generator = make_generator(model)
    neighbour = generator.generate_stream(request("n", grammar=LETTERS, seed=1, **SETTINGS))
    with pytest.raises(LogitsError, match="no token is allowed"):
        generator.generate(request("!", grammar=LETTERS, **SETTINGS))
    assert re.fullmatch(LETTERS["value"], joined(list(neighbour)))


def test_values_that_are_no_number_do_not_matter_where_the_grammar_forbids(make_generator):
    def model(batch):
        logits = hash_model(batch)
        logits[:, ord("0") : ord("9") + 1] = np.nan
        logits[:, 200:256] = np.inf
        return logits

    settings = {"grammar": LETTERS, "seed": 3, "top_n_tokens": 3, **SETTINGS}
    generator, clean = make_generator(model), make_generator(hash_model)
    assert wire(generator.generate_stream(request("p", **settings))) == wire(
        clean.generate_stream(request("p", **settings))
    )
    assert SIZE % 32, "the last word of the mask is not full"


class SlowCompiles:
    """Holds up the compile of every grammar."""

    def __init__(self, monkeypatch):
        self.entered, self.free = threading.Event(), threading.Event()
        compile_grammar = GrammarCompiler.compile

        def slow(compiler, specification, cancelled):
            self.entered.set()
            assert self.free.wait(PATIENCE)
            return compile_grammar(compiler, specification, cancelled)

        monkeypatch.setattr(GrammarCompiler, "compile", slow)


def test_a_compile_that_takes_long_holds_up_no_tokens(make_generator, monkeypatch):
    slow = SlowCompiles(monkeypatch)
    generator = make_generator(max_batch_size=1)
    texts = []

    def generate():
        texts.append(generator.generate(request(grammar=LETTERS, **SETTINGS)).generated_text)

    waiting = threading.Thread(target=generate)
    waiting.start()
    assert slow.entered.wait(PATIENCE)
    for _ in range(3):
        assert generator.generate(request(**SETTINGS)).generated_text
    assert not texts
    slow.free.set()
    waiting.join(PATIENCE)
    assert re.fullmatch(LETTERS["value"], texts[0])


def test_a_task_that_is_cancelled_amid_a_compile_never_starts(make_generator, monkeypatch):
    slow, model = SlowCompiles(monkeypatch), Watched()
    generator = make_generator(model)

    async def cancel():
        task = asyncio.create_task(generator.agenerate(request("g", grammar=LETTERS, **SETTINGS)))
        await asyncio.to_thread(slow.entered.wait, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        slow.free.set()
        while generator._scheduler._reserved:
            await asyncio.sleep(0.001)
        await generator.agenerate(request("n", **SETTINGS))

    asyncio.run(cancel())
    assert [context[0] for context in model.contexts.values()] == [ord("n")]
