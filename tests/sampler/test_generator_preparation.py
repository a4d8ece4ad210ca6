"""What happens to requests that take long to prepare, before they have a row."""

import asyncio
import subprocess
import sys
import textwrap
import threading

import pytest
from scripted_models import PATIENCE, Watched, byte_vocabulary, request

from sampler import GenerateResponse, Limits
from sampler.errors import IncompleteGenerationError, OverloadedError

SHORT = {"max_new_tokens": 5, "ignore_eos": True, "do_sample": True, "seed": 1, "details": True}


def runaway(value):
    """A grammar whose compile looks at a constant 2 to the power of 50 times."""
    definitions = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(50)}
    schema = {"$defs": {**definitions, "d50": {}}, "$ref": "#/$defs/d0", "const": value}
    return {"type": "json", "value": schema}


RUNAWAY = runaway(1)
PATIENT = Limits(grammar_compile_seconds=1000 * PATIENCE)


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(PATIENCE):
            return await coroutine

    return asyncio.run(bounded())


class SlowVocabulary:
    """Holds up the tokenizer of a generator."""

    def __init__(self, monkeypatch):
        self.entered, self.free = threading.Event(), threading.Semaphore(0)
        encode = type(byte_vocabulary()).encode

        def slow(vocabulary, text):
            if text == "slow":
                self.entered.set()
                assert self.free.acquire(timeout=PATIENCE)
            return encode(vocabulary, text)

        monkeypatch.setattr(type(byte_vocabulary()), "encode", slow)


def test_a_task_that_is_cancelled_while_it_is_prepared_never_starts(make_generator, monkeypatch):
    model = Watched()
    generator = make_generator(model, max_batch_size=1, max_waiting=5)
    slow = SlowVocabulary(monkeypatch)

    async def cancel():
        for _ in range(3):
            slow.entered.clear()
            task = asyncio.create_task(generator.agenerate(request("slow", **SHORT)))
            await asyncio.to_thread(slow.entered.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not generator._scheduler._reserved
        slow.free.release(3)
        return await generator.agenerate(request("next", **SHORT))

    assert run(cancel()).details.generated_tokens == 5
    assert {bytes(context[:4]) for context in model.contexts.values()} == {b"next"}


def test_a_request_in_preparation_holds_up_neither_the_loop_nor_others(make_generator, monkeypatch):
    generator = make_generator(max_waiting=1000)
    slow = SlowVocabulary(monkeypatch)

    async def beside():
        tasks = [
            asyncio.create_task(generator.agenerate(request("slow", **SHORT))) for _ in range(100)
        ]
        answer = await generator.agenerate(request("next", **SHORT))
        assert not any(task.done() for task in tasks)
        slow.free.release(100)
        await asyncio.gather(*tasks)
        return answer

    assert run(beside()).details.generated_tokens == 5


def test_preparing_refuses_at_once_what_has_no_place(make_generator, monkeypatch):
    generator = make_generator(max_batch_size=2, max_waiting=3)
    slow = SlowVocabulary(monkeypatch)

    async def crowd():
        tasks = [
            asyncio.create_task(generator.agenerate(request("slow", **SHORT))) for _ in range(20)
        ]
        refused, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        while len(refused) < 15:
            done, _ = await asyncio.wait(set(tasks) - refused, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        slow.free.release(100)
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = run(crowd())
    assert sum(isinstance(answer, OverloadedError) for answer in answers) == 15
    assert sum(isinstance(answer, GenerateResponse) for answer in answers) == 5


def test_closing_amid_a_preparation_ends_it_with_an_error(make_generator, monkeypatch):
    generator = make_generator()
    slow = SlowVocabulary(monkeypatch)

    async def close():
        task = asyncio.create_task(generator.agenerate(request("slow", **SHORT)))
        await asyncio.to_thread(slow.entered.wait, PATIENCE)
        generator.close()
        slow.free.release(100)
        with pytest.raises(IncompleteGenerationError, match="the generator is closed"):
            await task

    run(close())


async def compiling(generator, count):
    """Returns when so many compiles run."""
    while len(generator._grammars._cache._in_work) != count:
        await asyncio.sleep(0.001)


def test_a_task_that_is_cancelled_amid_its_compile_leaves_its_place(make_generator):
    generator = make_generator(max_batch_size=1, max_waiting=1, limits=PATIENT)

    async def cancel():
        for _ in range(3):
            tasks = [
                asyncio.create_task(generator.agenerate(request("a", grammar=RUNAWAY)))
                for _ in range(2)
            ]
            await compiling(generator, 1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            answer = await generator.agenerate(request("next", **SHORT))
            await compiling(generator, 0)
        return answer

    assert run(cancel()).details.generated_tokens == 5


def test_one_slow_grammar_holds_up_no_other(make_generator):
    generator = make_generator(limits=PATIENT)

    async def beside():
        slow = asyncio.create_task(generator.agenerate(request("a", grammar=RUNAWAY)))
        await compiling(generator, 1)
        for letter in "bc":
            grammar = {"type": "regex", "value": letter}
            answer = await generator.agenerate(request("a", grammar=grammar, max_new_tokens=9))
            assert answer.generated_text == letter
        assert not slow.done()
        slow.cancel()

    run(beside())


def test_closing_amid_compiles_ends_their_requests_as_incomplete(make_generator):
    generator = make_generator(limits=PATIENT)

    async def close():
        tasks = [
            asyncio.create_task(generate(request("a", grammar=grammar)))
            for grammar in (RUNAWAY, RUNAWAY, runaway(2), runaway(3))
            for generate in (
                generator.agenerate,
                lambda body: asyncio.to_thread(generator.generate, body),
            )
        ]
        await compiling(generator, 3)
        generator.close()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in run(close())] == [IncompleteGenerationError] * 8


def test_a_request_that_timed_out_amid_its_compile_does_not_hold_up_the_exit():
    code = f"""
        import asyncio
        import sampler

        async def main():
            limits = sampler.Limits(grammar_compile_seconds={PATIENT.grammar_compile_seconds})
            generator = sampler.default_generator(limits=limits)
            body = {{"inputs": "a", "parameters": {{"grammar": {RUNAWAY}}}}}
            try:
                await asyncio.wait_for(generator.agenerate(body), 0.5)
            except TimeoutError:
                print("timed out")

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], timeout=2 * PATIENCE, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, b"timed out\n"), done.stderr
