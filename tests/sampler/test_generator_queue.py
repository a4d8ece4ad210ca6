"""The waiting queue: who may wait, who is next, and how places are given back."""

import asyncio
import contextlib
import threading

import pytest
from scripted_models import PATIENCE, Watched, hash_row, request, wire

from sampler.errors import (
    GrammarError,
    IncompleteGenerationError,
    InvalidParameterError,
    ModelCallbackError,
    OverloadedError,
)
from sampler.job import Job

SETTINGS = {"max_new_tokens": 3, "ignore_eos": True, "do_sample": True, "seed": 1}


@pytest.fixture
def full(make_generator):
    """A generator with one row taken, held up in its first call, and room for two to wait."""
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1, max_waiting=2)
    long = {**SETTINGS, "max_new_tokens": 100}
    generator.running = generator.generate_stream(request("running", **long))
    model.wait_for_call(1)
    generator.model = model
    return generator


def assert_places(generator, count):
    """Exactly `count` more requests may wait; they are ended again."""
    streams = [generator.generate_stream(request("w", **SETTINGS)) for _ in range(count)]
    with pytest.raises(OverloadedError) as caught:
        generator.generate_stream(request("w", **SETTINGS))
    assert caught.value.to_dict() == {"error": "Model is overloaded", "error_type": "overloaded"}
    assert caught.value.http_status == 429
    for stream in streams:
        stream.close()
    step(generator)


def step(generator):
    """Lets the call that is held up end, and returns when the next one has begun."""
    number = generator.model.entered
    generator.model.allow(1)
    generator.model.wait_for_call(number + 1)


def test_more_than_max_waiting_is_refused_and_the_others_are_served(full):
    waiting = [full.generate_stream(request("w", **SETTINGS)) for _ in range(2)]
    for door in (full.generate_stream, full.generate):
        with pytest.raises(OverloadedError):
            door(request("w"))
    full.model.let_go()
    assert len(list(full.running)) == 100
    assert wire(waiting[0]) == wire(waiting[1])


def test_a_free_row_is_no_waiting_place(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=3, max_waiting=1)
    streams = [generator.generate_stream(request("a", **SETTINGS)) for _ in range(4)]
    with pytest.raises(OverloadedError):
        generator.generate_stream(request("a", **SETTINGS))
    model.let_go()
    assert len({str(wire(stream)) for stream in streams}) == 1


def test_a_request_counts_while_it_is_given_its_row(make_generator, monkeypatch):
    generator = make_generator(max_batch_size=1, max_waiting=1)
    entered, free = threading.Event(), threading.Event()
    add = generator._scheduler._sampler.add

    def slow_add(*arguments):
        entered.set()
        assert free.wait(PATIENCE)
        return add(*arguments)

    monkeypatch.setattr(generator._scheduler._sampler, "add", slow_add)
    streams = [generator.generate_stream(request("a", **SETTINGS))]
    assert entered.wait(PATIENCE)
    streams.append(generator.generate_stream(request("b", **SETTINGS)))
    with pytest.raises(OverloadedError):
        generator.generate_stream(request("c", **SETTINGS))
    free.set()
    assert [len(list(stream)) for stream in streams] == [3, 3]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (request("a", top_p=42.5), InvalidParameterError),
        (request(""), InvalidParameterError),
        (request("a", grammar={"type": "regex", "value": "("}), GrammarError),
        (request("a", grammar={"type": "json", "value": {"type": 5}}), GrammarError),
    ],
)
def test_a_refused_request_gives_its_place_back(full, wrong, error):
    for _ in range(5):
        with pytest.raises(error):
            full.generate_stream(wrong)
        with pytest.raises(error):
            asyncio.run(full.agenerate(wrong))
    assert_places(full, 2)


def test_a_request_that_is_closed_before_its_start_gives_its_place_back(full):
    for _ in range(3):
        full.generate_stream(request("w", **SETTINGS)).close()
        step(full)
        assert_places(full, 2)


def test_a_task_that_is_cancelled_while_it_waits_gives_its_place_back(full):
    async def wait_a_little():
        task = asyncio.create_task(full.agenerate(request("w", **SETTINGS)))
        while not full._scheduler._reserved:
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(wait_a_little())
    step(full)
    assert_places(full, 2)


def test_a_request_that_is_closed_while_it_is_looked_at_gives_its_place_back_once(full):
    class ClosedAtTheSecondLook(Job):
        looks = 0

        @property
        def cancelled(self):
            self.looks += 1
            return self.looks > 1

        @cancelled.setter
        def cancelled(self, value):
            self.looks += value

    stream = full.generate_stream(request("w", **SETTINGS))
    vars(stream._job).pop("cancelled")
    stream._job.__class__ = ClosedAtTheSecondLook
    step(full)
    step(full)
    assert not full._scheduler._reserved
    assert_places(full, 2)


def test_finished_and_failed_requests_give_their_places_back(make_generator):
    def model(batch):
        if any(view.token_ids[0] == ord("!") for view in batch):
            raise ValueError("no")
        return [hash_row(view.token_ids).tolist() for view in batch]

    generator = make_generator(model, max_batch_size=1, max_waiting=1)
    for _ in range(3):
        assert generator.generate(request("a", **SETTINGS)).generated_text
        with pytest.raises(ModelCallbackError):
            generator.generate(request("!", **SETTINGS))
        assert generator.generate(request("a", best_of=3, **SETTINGS)).generated_text


def test_requests_start_in_the_order_they_came(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1)
    streams = [generator.generate_stream(request(p, **SETTINGS)) for p in "abcdef"]
    model.let_go()
    for stream in streams:
        list(stream)
    firsts = [chr(model.contexts[number][0]) for number in range(6)]
    assert firsts == list("abcdef")
    assert model.calls == [[number] for number in range(6) for _ in range(3)]


def test_a_request_of_many_candidates_does_not_keep_the_others_waiting(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=2)
    many = generator.generate_stream(request("M", best_of=16, **SETTINGS))
    singles = [generator.generate_stream(request(p, **SETTINGS)) for p in "abcd"]
    model.let_go()
    assert len(list(many)) == 3
    for stream in singles:
        list(stream)
    started = "".join(chr(model.contexts[number][0]) for number in sorted(model.contexts))
    assert started.count("M") == 16
    # a row goes to the candidates and to the others in turn; the first call may see M alone
    assert started.index("d") <= 8
    assert [c for c in started if c != "M"] == list("abcd")


def test_two_requests_of_many_candidates_take_turns(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=1)
    streams = [generator.generate_stream(request(p, best_of=4, **SETTINGS)) for p in "MN"]
    model.let_go()
    for stream in streams:
        list(stream)
    started = "".join(chr(model.contexts[number][0]) for number in range(8))
    assert started in ("MNMNMNMN", "MMNMNMNN")


def test_waiting_requests_join_as_soon_as_rows_are_free(make_generator):
    model = Watched(held=True)
    generator = make_generator(model, max_batch_size=2)
    lengths = {"a": 1, "b": 4, "c": 2, "d": 2}
    streams = [
        generator.generate_stream(request(p, **{**SETTINGS, "max_new_tokens": lengths[p]}))
        for p in lengths
    ]
    model.wait_for_call(1)
    model.let_go()
    for stream in streams:
        list(stream)
    assert model.calls[-3:] in ([[1, 2], [1, 3], [3]], [[1, 2], [1, 3], [1, 3]])


def test_no_place_is_lost_when_the_generator_closes(make_generator):
    generator = make_generator()
    generator.close()
    for _ in range(200):
        with pytest.raises(IncompleteGenerationError):
            generator.generate_stream(request("a"))
