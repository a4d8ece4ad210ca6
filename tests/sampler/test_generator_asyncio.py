"""The asyncio doors: the same events, and tasks that are cancelled at any point."""

import asyncio
import contextlib
import gc
import threading

import pytest
from scripted_models import (
    PATIENCE,
    Watched,
    hash_model,
    request,
    scheduler_threads,
    wait_until_queued,
    wire,
)

from sampler.errors import (
    IncompleteGenerationError,
    IncompleteStreamError,
    InvalidParameterError,
    LogitsError,
    ModelCallbackError,
)

LONG = {"max_new_tokens": 400, "ignore_eos": True, "do_sample": True, "seed": 1, "details": True}
SHORT = {**LONG, "max_new_tokens": 5}


async def read(stream):
    return wire([event async for event in stream])


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(PATIENCE):
            return await coroutine

    return asyncio.run(bounded())


async def until(holds, *arguments):
    """Waits for another thread without holding up the event loop."""
    await asyncio.to_thread(holds, *arguments)


def test_the_events_and_the_answer_are_those_of_the_other_doors(make_generator):
    generator = make_generator()
    for parameters in (SHORT, {**SHORT, "best_of": 3, "decoder_input_details": True}):
        asked = request("a prompt", **parameters)
        expected = wire(generator.generate_stream(asked)), generator.generate(asked)

        async def both(asked=asked):
            return await asyncio.gather(
                read(generator.agenerate_stream(asked)), generator.agenerate(asked)
            )

        assert tuple(run(both())) == expected


def test_many_tasks_of_one_loop_are_served_together(make_generator):
    generator = make_generator(max_batch_size=4, max_waiting=64)

    async def all_of_them():
        return await asyncio.gather(
            *(read(generator.agenerate_stream(request(f"{n}", **SHORT))) for n in range(40))
        )

    expected = [wire(generator.generate_stream(request(f"{n}", **SHORT))) for n in range(40)]
    assert run(all_of_them()) == expected


def test_several_event_loops_share_a_generator(make_generator):
    generator = make_generator()
    expected = wire(generator.generate_stream(request("a", **SHORT)))
    told = []

    def loop():
        told.append(run(read(generator.agenerate_stream(request("a", **SHORT)))))

    threads = [threading.Thread(target=loop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert told == [expected] * 4


def test_errors_come_with_the_first_event(make_generator):
    generator = make_generator()

    async def refused():
        stream = generator.agenerate_stream(request("a", top_p=42.5))
        with pytest.raises(InvalidParameterError, match="top_p"):
            await anext(stream)
        with pytest.raises(InvalidParameterError, match="top_p"):
            await generator.agenerate(request("a", top_p=42.5))

    run(refused())


def test_failures_while_tokens_are_generated_are_raised(make_generator):
    def model(batch):
        logits = hash_model(batch)
        for row, view in enumerate(batch):
            if len(view.token_ids) == 4:
                logits[row] = float("nan")
            if len(view.token_ids) == 20:
                raise ValueError("no")
        return logits

    generator = make_generator(model)

    async def failing():
        stream = generator.agenerate_stream(request("a", **LONG))
        assert [(await anext(stream)).index for _ in range(3)] == [1, 2, 3]
        with pytest.raises(LogitsError):
            await anext(stream)
        with pytest.raises(ModelCallbackError, match="ValueError: no"):
            await generator.agenerate(request("a prompt of text", **LONG))

    run(failing())


@pytest.fixture
def held(make_generator):
    """A generator of one row that is held up before each call."""
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1)
    generator.model = model
    return generator


async def begun(generator):
    """A stream that has had one event and is held up in its second call."""
    stream = generator.agenerate_stream(request("first", **LONG))
    generator.model.allow(1)
    assert (await anext(stream)).index == 1
    await until(generator.model.wait_for_call, 2)
    return stream


def assert_only_the_next_request_goes_on(generator):
    generator.model.let_go()
    assert len(list(generator.generate_stream(request("next", **SHORT)))) == 5
    calls = generator.model.calls
    assert calls == [[0]] * 2 + [[1]] * 5
    assert generator.model.released == [0, 1]


def test_closing_a_stream_frees_its_row_before_the_next_step(held):
    async def close():
        stream = await begun(held)
        await stream.aclose()
        assert_only_the_next_request_goes_on(held)

    run(close())


def test_a_stream_that_is_let_go_of_frees_its_row(held):
    async def let_go():
        stream = await begun(held)
        del stream
        gc.collect()
        await asyncio.sleep(0)  # the loop closes it
        await asyncio.sleep(0)
        assert_only_the_next_request_goes_on(held)

    run(let_go())


@pytest.mark.parametrize("door", ["agenerate", "agenerate_stream"])
def test_cancelling_a_task_frees_its_row_before_the_next_step(held, door):
    async def work():
        if door == "agenerate":
            await held.agenerate(request("first", **LONG))
        else:
            await read(held.agenerate_stream(request("first", **LONG)))

    async def cancel():
        task = asyncio.create_task(work())
        held.model.allow(1)
        await until(held.model.wait_for_call, 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_only_the_next_request_goes_on(held)

    run(cancel())


def test_a_task_that_times_out_frees_its_row(held):
    async def time_out():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await held.agenerate(request("first", **LONG))
        held.model.let_go()
        return await held.agenerate(request("next", **SHORT))

    assert run(time_out()).details.generated_tokens == 5


def test_a_loop_that_closes_amid_a_request_ends_it(held):
    async def begin():
        stream = held.agenerate_stream(request("first", **LONG))
        held.model.allow(1)
        await anext(stream)
        await until(held.model.wait_for_call, 2)
        streams.append(stream)

    streams = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    held.model.let_go()
    held.model.wait_until(lambda model: model.released == [0])
    assert len(held.generate(request("next", **SHORT)).details.tokens) == 5
    with contextlib.suppress(StopIteration):
        streams.pop().aclose().send(None)


def test_closing_the_generator_ends_tasks_with_an_error(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1)

    async def close():
        tasks = [
            asyncio.create_task(generator.agenerate(request("a", **LONG))),
            asyncio.create_task(read(generator.agenerate_stream(request("b", **LONG)))),
        ]
        await until(model.wait_for_call, 1)
        await until(wait_until_queued, generator, 1)
        closing = asyncio.create_task(asyncio.to_thread(generator.close))
        model.let_go()
        await closing
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = [type(answer) for answer in answers]
        assert kinds == [IncompleteGenerationError, IncompleteStreamError]
        with pytest.raises(IncompleteGenerationError, match="the generator is closed"):
            await generator.agenerate(request("a"))

    run(close())


def test_a_stream_that_is_never_read_asks_for_nothing(make_generator):
    model = Watched()
    generator = make_generator(model)

    async def unread():
        generator.agenerate_stream(request("a", **LONG))

    run(unread())
    assert model.entered == 0
    assert not scheduler_threads()
