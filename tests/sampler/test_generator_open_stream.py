"""Streams for a server: bounded buffers, refusal at once, and what observers are told."""

import asyncio

import pytest
from scripted_models import (
    PATIENCE,
    Watched,
    request,
    wait_until_queued,
    wire,
)

from sampler.errors import (
    IncompleteGenerationError,
    InvalidParameterError,
    OverloadedError,
    SamplerError,
)
from sampler.observing import Load, Observer

LONG = {"max_new_tokens": 60, "ignore_eos": True, "do_sample": True, "seed": 1, "details": True}
SHORT = {**LONG, "max_new_tokens": 5}


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(PATIENCE):
            return await coroutine

    return asyncio.run(bounded())


async def quiet(model, calls):
    """Waits until the model was called so often, and then for a call that does not come."""
    await asyncio.to_thread(model.wait_for_call, calls)
    await asyncio.sleep(0.1)
    assert model.entered == calls


def test_a_row_waits_for_its_reader_and_then_goes_on_as_if_nothing_had_been(make_generator):
    model = Watched()
    generator = make_generator(model)
    expected = wire(generator.generate_stream(request("a", **LONG)))
    model.entered = 0

    async def slow():
        with generator.open_stream(request("a", **LONG), max_buffered_events=4) as stream:
            await stream.prepared()
            await quiet(model, 4)
            events = await stream.next_events()
            assert len(events) == 4
            await quiet(model, 8)
            while more := await stream.next_events():
                assert len(more) <= 4
                events += more
            return events

    assert wire(run(slow())) == expected
    assert model.entered == 60


def test_a_slow_reader_holds_up_nobody_else(make_generator):
    model = Watched()
    generator = make_generator(model, max_batch_size=2)
    expected = wire(generator.generate_stream(request("b", **LONG)))

    async def both():
        with generator.open_stream(request("a", **LONG), max_buffered_events=1) as slow:
            await slow.prepared()
            other = [event async for event in generator.agenerate_stream(request("b", **LONG))]
            assert len(await slow.next_events()) == 1
            return other

    assert wire(run(both())) == expected


def test_closing_a_row_that_is_held_up_frees_it(make_generator):
    model = Watched()
    generator = make_generator(model, max_batch_size=1)

    async def close():
        with generator.open_stream(request("a", **LONG), max_buffered_events=1) as slow:
            await slow.prepared()
            await quiet(model, 1)
            waiting = generator.open_stream(request("c", **LONG))
            await asyncio.to_thread(wait_until_queued, generator, 1)
            assert generator.load == Load(running=1, waiting=1)
            waiting.close()
            assert generator.load.waiting == 0
        return await generator.agenerate(request("b", **SHORT))

    assert run(close()).details.generated_tokens == 5
    model.wait_until(lambda model: len(model.released) == 2)
    assert generator.load == Load(running=0, waiting=0)


def test_a_full_queue_refuses_at_once(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1, max_waiting=1)

    async def overload():
        with generator.open_stream(request("a", **SHORT)) as first:
            await asyncio.to_thread(model.wait_for_call, 1)
            with generator.open_stream(request("b", **SHORT)) as second:
                with pytest.raises(OverloadedError):
                    generator.open_stream(request("c", **SHORT))
                model.let_go()
                return [len([e async for e in stream]) for stream in (first, second)]

    assert run(overload()) == [5, 5]


def test_a_request_is_known_to_be_valid_before_its_first_token(make_generator):
    model = Watched(held=True)
    generator = make_generator(model)

    async def prepare():
        with generator.open_stream(request("abc", **SHORT)) as stream:
            assert (await stream.prepared()).details
            assert stream.prompt_tokens == 3
            assert stream.times.begun <= stream.times.prepared
            assert stream.times.ended is None
        with generator.open_stream(request("a", top_p=42.5)) as stream:
            with pytest.raises(InvalidParameterError, match="top_p"):
                await stream.prepared()
            with pytest.raises(InvalidParameterError, match="top_p"):
                await stream.next_events()

    run(prepare())


def test_a_stream_can_be_failed_from_outside(make_generator):
    model = Watched(held=True)
    generator = make_generator(model)

    async def fail():
        with generator.open_stream(request("a", **LONG)) as stream:
            model.allow(1)
            (event,) = await stream.next_events()
            assert event.index == 1
            stream.fail(IncompleteGenerationError("no"))
            with pytest.raises(IncompleteGenerationError, match="no"):
                await stream.next_events()
            assert await stream.next_events() == []

    run(fail())


def test_a_closed_generator_opens_nothing(make_generator):
    generator = make_generator()
    assert not generator.closed
    generator.close()
    assert generator.closed

    async def refused():
        with pytest.raises(IncompleteGenerationError, match="the generator is closed"):
            generator.open_stream(request("a"))

    run(refused())


class Notes(Observer):
    def __init__(self):
        self.steps = []
        self.compiles = []

    def stepped(self, step):
        self.steps.append(step)

    def grammar_compiled(self, seconds):
        self.compiles.append(seconds)


def test_observers_are_told_of_steps_and_grammars(make_generator):
    generator = make_generator(max_batch_size=4)
    notes = Notes()
    generator.observe(notes)
    generator.observe(Observer())
    generator.generate(request("a", **SHORT))
    assert [step.batch_size for step in notes.steps] == [1] * 5
    assert all(step.mask_seconds == 0 < step.draw_seconds for step in notes.steps)
    assert all(step.model_seconds > 0 for step in notes.steps)
    assert notes.compiles == []
    grammar = {"type": "regex", "value": "[ab]{5}"}
    generator.generate(request("a", **SHORT, grammar=grammar))
    assert len(notes.compiles) == 1
    assert all(step.mask_seconds > 0 for step in notes.steps[5:])


def test_a_grammar_that_is_refused_is_told_of_too(make_generator):
    generator = make_generator()
    notes = Notes()
    generator.observe(notes)
    with pytest.raises(SamplerError):
        generator.generate(request("a", grammar={"type": "regex", "value": "("}))
    assert len(notes.compiles) == 1


def test_times_are_in_the_order_of_the_stages(make_generator):
    generator = make_generator()

    async def whole():
        with generator.open_stream(request("a", **SHORT), stream=False) as stream:
            (event,) = await stream.next_events()
            assert event.index == 5
            assert stream.response().details.generated_tokens == 5
            return stream.times

    times = run(whole())
    assert times.begun < times.prepared < times.started < times.ended
