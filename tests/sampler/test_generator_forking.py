"""Generators in a forked process, which has the memory of its parent and none of its threads."""

import os
import subprocess
import sys
import textwrap

import pytest
from scripted_models import PATIENCE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
START = """
    import asyncio, os, threading, warnings
    import sampler
    from sampler.errors import IncompleteGenerationError

    warnings.simplefilter("ignore", DeprecationWarning)
    generator = sampler.default_generator()
    body = {"inputs": "a", "parameters": {"max_new_tokens": 5, "do_sample": True, "seed": 1}}
    expected = generator.generate(body)

    def fork():
        global child
        child = os.fork()

    def wait():
        if child:
            assert os.waitpid(child, 0)[1] == 0
"""


def run(code):
    """Runs START and `code` in a process of its own, which must end well and soon."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(START) + textwrap.dedent(code)],
        timeout=PATIENCE,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_forked_process_goes_on_with_a_thread_of_its_own():
    run("""
        fork()
        assert generator.generate(body) == expected
        wait()
    """)


def test_a_forked_process_has_asyncio_too():
    run("""
        asyncio.run(generator.agenerate(body))
        fork()
        assert asyncio.run(generator.agenerate(body)) == expected
        wait()
    """)


def test_what_another_thread_was_in_the_middle_of_holds_up_no_forked_process():
    run("""
        held, over = threading.Event(), threading.Event()

        def hold():
            with generator._scheduler._condition, generator._preparers._shutdown_lock:
                held.set()
                over.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        fork()
        over.set()
        assert generator.generate(body) == expected
        wait()
    """)


def test_the_rows_of_requests_of_the_first_process_are_free_in_a_forked_one():
    run("""
        generator = sampler.default_generator(max_batch_size=1, max_waiting=1)
        long = {"inputs": "a", "parameters": {"max_new_tokens": 8000, "ignore_eos": True}}
        streams = [generator.generate_stream(long) for _ in range(2)]
        next(streams[0])
        fork()
        if not child:
            assert generator.generate(body) == expected
            assert len(generator._scheduler._live) == 0
        for stream in streams:
            stream.close()
        wait()
    """)


def test_a_grammar_that_another_thread_compiles_is_compiled_anew_in_a_forked_process():
    run("""
        grammar = {"type": "regex", "value": "[a-z]{2,6}"}
        asked = {"inputs": "a", "parameters": {**body["parameters"], "grammar": grammar}}
        cache, backend = generator._grammars._cache, generator._grammars._backend
        amid, over = threading.Event(), threading.Event()
        compile_regex = backend.regex

        def slow_compile(*arguments):
            with cache._lock, backend._lock:
                amid.set()
                over.wait()
            return compile_regex(*arguments)

        backend.regex = slow_compile
        answers = []
        thread = threading.Thread(target=lambda: answers.append(generator.generate(asked)))
        thread.start()
        amid.wait()
        fork()
        del backend.regex
        over.set()
        if child:
            thread.join()
        answers.append(generator.generate(asked))
        assert len(answers) == (2 if child else 1)
        assert len({answer.generated_text for answer in answers}) == 1
        wait()
    """)


def test_a_closed_generator_stays_closed_in_a_forked_process():
    run("""
        generator.close()
        fork()
        try:
            generator.generate(body)
        except IncompleteGenerationError:
            pass
        else:
            raise AssertionError("it is open")
        wait()
    """)
