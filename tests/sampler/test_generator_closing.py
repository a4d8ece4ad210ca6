"""Requests that end early, and generators that end before their requests do."""

import contextlib
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest
from scripted_models import (
    PATIENCE,
    Watched,
    byte_vocabulary,
    hash_model,
    request,
    scheduler_threads,
    wait_until_queued,
    wire,
)

from sampler import Generator
from sampler.errors import IncompleteGenerationError, ModelCallbackError

LONG = {"max_new_tokens": 500, "ignore_eos": True, "do_sample": True, "seed": 1}
SHORT = {**LONG, "max_new_tokens": 3}


def close(streams):
    streams.pop().close()


def let_go(streams):
    streams.pop()


def leave_the_block(streams):
    with streams.pop():
        pass


def stop_reading(streams):
    for _ in streams.pop():
        break


@pytest.mark.parametrize("end", [close, let_go, leave_the_block, stop_reading])
def test_an_iterator_that_is_let_go_of_frees_its_row_before_the_next_step(make_generator, end):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1)
    streams = [generator.generate_stream(request("first", **LONG))]
    second = generator.generate_stream(request("second", **SHORT))
    model.allow(2)
    model.wait_for_call(3)
    end(streams)
    model.let_go()
    assert len(list(second)) == 3
    assert model.calls == [[0], [0], [0], [1], [1], [1]]
    assert model.released == [0, 1]


def test_a_request_that_is_closed_while_it_waits_never_starts(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1)
    first = generator.generate_stream(request("first", **SHORT))
    second = generator.generate_stream(request("second", **SHORT))
    third = generator.generate_stream(request("third", **SHORT))
    second.close()
    model.let_go()
    assert len(list(first)) == len(list(third)) == 3
    assert len(model.contexts) == 2
    assert bytes(model.contexts[1][:5]) == b"third"
    assert list(second) == []


def test_closing_ends_all_candidates_of_a_request(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=3)
    many = generator.generate_stream(request("many", best_of=5, **LONG))
    model.allow(2)
    model.wait_for_call(3)
    many.close()
    model.let_go()
    model.wait_until(lambda model: sorted(model.released) == [0, 1, 2])
    assert len(generator.generate(request("next", **SHORT)).generated_text) > 0
    assert model.calls[-1] == [3]


def test_closing_wakes_a_thread_that_waits_for_the_next_event(make_generator):
    model = Watched(held=True)
    stream = make_generator(model).generate_stream(request("first", **LONG))
    read = []
    readers = [threading.Thread(target=lambda: read.append(list(stream))) for _ in range(3)]
    for reader in readers:
        reader.start()
    model.wait_for_call(1)
    stream.close()
    for reader in readers:
        reader.join(PATIENCE)
        assert not reader.is_alive()
    assert read == [[], [], []]


def test_threads_that_share_an_iterator_get_each_event_once_and_all_end(make_generator):
    stream = make_generator().generate_stream(request("first", **LONG))
    read = []
    readers = [threading.Thread(target=lambda: read.append(list(stream))) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(PATIENCE)
        assert not reader.is_alive()
    assert sorted(event.index for events in read for event in events) == list(range(1, 501))


def test_closing_an_iterator_twice_or_at_its_end_is_nothing(make_generator):
    generator = make_generator()
    stream = generator.generate_stream(request("first", **SHORT))
    assert len(list(stream)) == 3
    stream.close()
    stream.close()
    assert list(stream) == []
    assert len(list(generator.generate_stream(request("first", **SHORT)))) == 3


def test_closing_the_generator_ends_live_and_waiting_requests_with_an_error(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=2)
    streams = [
        generator.generate_stream(request(prompt, **LONG)) for prompt in ("a", "b", "c", "d")
    ]
    failed = []

    def generate():
        with pytest.raises(IncompleteGenerationError) as caught:
            generator.generate(request("e", **LONG))
        failed.append(caught.value)

    whole = threading.Thread(target=generate)
    whole.start()
    model.allow(2)
    model.wait_for_call(3)
    wait_until_queued(generator, 3)
    closer = threading.Thread(target=generator.close)
    closer.start()
    model.let_go()
    closer.join(PATIENCE)
    whole.join(PATIENCE)
    for stream in streams:
        with pytest.raises(IncompleteGenerationError) as caught:
            list(stream)
        failed.append(caught.value)
    whole_form = {"error": "Incomplete generation", "error_type": "incomplete_generation"}
    stream_form = {
        "error": "Incomplete generation stream",
        "error_type": "incomplete_generation_stream",
    }
    assert [error.to_dict() for error in failed] == [whole_form] + 4 * [stream_form]
    assert sorted(model.released) == sorted({i for call in model.calls for i in call})
    assert not scheduler_threads()


def test_a_closed_generator_takes_no_requests(make_generator):
    for used in (False, True):
        generator = make_generator()
        if used:
            generator.generate(request("a", **SHORT))
        generator.close()
        generator.close()
        with pytest.raises(IncompleteGenerationError, match="the generator is closed"):
            generator.generate(request("a"))
        with pytest.raises(IncompleteGenerationError, match="the generator is closed"):
            generator.generate_stream(request("a"))


def test_events_that_came_before_the_close_can_still_be_read(make_generator):
    model = Watched(held=True)
    generator = make_generator(model)
    stream = generator.generate_stream(request("first", **LONG))
    model.allow(2)
    model.wait_for_call(3)
    closer = threading.Thread(target=generator.close)
    closer.start()
    assert [next(stream).index, next(stream).index] == [1, 2]
    model.let_go()
    closer.join(PATIENCE)
    with pytest.raises(IncompleteGenerationError):
        list(stream)


def test_a_callback_may_close_the_generator(make_generator):
    def model(batch):
        if len(batch[0].token_ids) == 3:
            made[0].close()
        return hash_model(batch)

    made = [make_generator(model)]
    with pytest.raises(IncompleteGenerationError):
        made[0].generate(request("a", **LONG))
    made[0].close()
    assert not scheduler_threads()


def test_threads_may_close_the_generator_together(make_generator):
    model = Watched(held=True)
    generator = make_generator(model)
    stream = generator.generate_stream(request("a", **LONG))
    model.wait_for_call(1)
    left = []

    def close_it():
        generator.close()
        left.append(scheduler_threads())

    closers = [threading.Thread(target=close_it) for _ in range(4)]
    for closer in closers:
        closer.start()
    model.let_go()
    for closer in closers:
        closer.join(PATIENCE)
    assert left == [[], [], [], []]
    with pytest.raises(IncompleteGenerationError):
        list(stream)


def test_a_generator_that_is_let_go_of_ends_its_thread():
    generator = Generator(hash_model, byte_vocabulary())
    generator.generate(request("a", **SHORT))
    (thread,) = scheduler_threads()
    alive = weakref.ref(generator)
    del generator
    gc.collect()
    assert alive() is None
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_failed_request_keeps_no_generator_alive():
    def model(batch):
        raise ValueError("no")

    generator = Generator(model, byte_vocabulary())
    gc.collect()
    gc.disable()  # what is still reachable by nothing but a cycle stays
    try:
        with contextlib.suppress(ModelCallbackError):
            generator.generate(request("a", **SHORT))
        alive = weakref.ref(generator)
        del generator
        assert alive() is None
    finally:
        gc.enable()
    assert not scheduler_threads()


@pytest.mark.parametrize(
    "door", [Generator.generate, lambda generator, body: list(generator.generate_stream(body))]
)
def test_a_request_that_is_served_leaves_nothing_for_the_garbage_collector(make_generator, door):
    generator = make_generator()
    body = request("a", best_of=2, do_sample=True, grammar={"type": "regex", "value": "a{9}"})
    door(generator, body)
    gc.collect()
    gc.disable()
    try:
        door(generator, body)
        generator.close()  # the thread lets go of the last request too
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = {type(left).__name__ for left in gc.garbage}
        assert not kinds & {"SequenceContext", "SequenceView", "Candidate", "Job"}, kinds
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_an_iterator_keeps_its_generator_alive():
    stream = Generator(hash_model, byte_vocabulary()).generate_stream(request("a", **SHORT))
    gc.collect()
    assert [event["index"] for event in wire(stream)] == [1, 2, 3]
    del stream
    gc.collect()
    assert not scheduler_threads()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_events_of_a_stream_stay_in_the_process_that_asked_for_them(make_generator):
    model = Watched(held=True)
    stream = make_generator(model).generate_stream(request("a", **SHORT))
    model.wait_for_call(1)
    child = os.fork()
    if child == 0:
        try:
            next(stream)
        except IncompleteGenerationError as error:
            os._exit(7 if "another process" in str(error) else 1)
        finally:
            os._exit(2)
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 7
    model.let_go()
    assert len(list(stream)) == 3


@pytest.mark.parametrize("last", ["next(stream)", "stream.close()", "del generator", "exit()"])
def test_an_interpreter_that_exits_amid_requests_does_not_hang(last):
    code = f"""
        import threading
        import sampler

        generator = sampler.default_generator(max_batch_size=1)
        body = {{"inputs": "a", "parameters": {{"ignore_eos": True, "max_new_tokens": 4000}}}}
        stream = generator.generate_stream(body)
        waiting = generator.generate_stream(body)
        threading.Thread(target=lambda: next(iter(waiting), None), daemon=True).start()
        threading.Thread(target=generator.generate, args=(body,), daemon=True).start()
        {last}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], timeout=2 * PATIENCE, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert b"Fatal" not in done.stderr
