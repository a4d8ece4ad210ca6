"""One GGUF model in several generators, and in forked processes."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scripted_models import PATIENCE, wire
from tiny_gguf import CONTEXT, tiny_file

from sampler import Generator
from sampler.models import GGUFModel
from sampler.models.gguf.sequences import ContextLengthError

START = """
    import os, sys, threading, warnings
    from types import SimpleNamespace
    import numpy as np
    from sampler.models import GGUFModel
    from sampler.models.gguf import network

    warnings.simplefilter("ignore", DeprecationWarning)
    network.WORTH_SHARING = 0

    def view(sequence_id, token_ids):
        return SimpleNamespace(id=sequence_id, token_ids=np.array(token_ids))

    model = GGUFModel(sys.argv[1], threads=2, prefill_rows=8)
    ids = list(range(40))
    expected = model([view(0, ids)]).tobytes()

    def fork_and_check():
        child = os.fork()
        for sequence_id in (0, 1):
            assert model([view(sequence_id, ids)]).tobytes() == expected
            assert model([view(sequence_id, ids[:30])]).tobytes() != expected
        if child:
            assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_file(tmp_path_factory.mktemp("gguf"))


def asked_of(name):
    """Some requests of one generator; all begin alike."""
    return [
        {
            "inputs": "hello world " * 3 + name * number,
            "parameters": {
                "seed": number,
                "do_sample": True,
                "max_new_tokens": 10 + number,
                "details": True,
                "decoder_input_details": number % 3 == 0,
            },
        }
        for number in range(8)
    ]


def events_of(model, requests):
    """The wire events of requests of one generator, all submitted at once."""
    with (
        Generator(model, model.tokenizer, 4, eos_token_ids=[]) as generator,
        ThreadPoolExecutor(len(requests)) as pool,
    ):
        return list(pool.map(lambda asked: wire(generator.generate_stream(asked)), requests))


@pytest.mark.parametrize("prefix_reuse", [False, True])
def test_generators_with_one_model_give_the_same_events_as_alone(path, prefix_reuse):
    names = ["one ", "two ", "three "]
    expected = [events_of(GGUFModel(path), asked_of(name)) for name in names]
    model = GGUFModel(path, prefix_reuse=prefix_reuse)
    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(lambda name: events_of(model, asked_of(name)), names)) == expected
    assert model._cache.available == len(model._cache.blocks)


class Between:
    """A model; `act` runs once, between the first call that fails a row and what follows it."""

    def __init__(self, model, act):
        self.model = model
        self.acts = [act]
        self.row_error = model.row_error
        self.release = model.release

    def __call__(self, batch):
        logits = self.model(batch)
        if np.isnan(logits).any() and self.acts:
            self.acts.pop()()
        return logits


def test_a_request_that_fails_in_one_generator_fails_in_no_other(path):
    model = GGUFModel(path)
    short = {"inputs": "h", "parameters": {"max_new_tokens": 9, "seed": 1, "do_sample": True}}
    texts = []
    with Generator(model, model.tokenizer, eos_token_ids=[]) as second:
        between = Between(model, lambda: texts.append(second.generate(short).generated_text))
        with Generator(between, model.tokenizer, eos_token_ids=[]) as first:
            with pytest.raises(ContextLengthError):
                first.generate({"inputs": "h" * (CONTEXT + 1)})
            texts.append(first.generate(short).generated_text)
    assert texts[0] == texts[1]


def run(path, code):
    """Runs START and `code` in a process of its own, which must end well and soon."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(START) + textwrap.dedent(code), str(path)],
        cwd=Path(__file__).parents[2],
        timeout=PATIENCE,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_goes_on_with_threads_of_its_own(path):
    run(path, "fork_and_check()")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_call_that_another_thread_was_amid_holds_up_no_forked_process(path):
    run(
        path,
        """
        amid, over = threading.Event(), threading.Event()
        forward = model._network.forward

        def slow_forward(rows, cache):
            if threading.current_thread() is thread and rows.positions[0] >= 24:
                cache[:] = np.nan
                amid.set()
                over.wait()
            return forward(rows, cache)

        model._network.forward = slow_forward
        thread = threading.Thread(target=lambda: model([view(2, [7] * 40)]), daemon=True)
        thread.start()
        amid.wait()
        if os.fork():
            over.set()
            thread.join()
            assert os.wait()[1] == 0
        else:
            del model._network.forward
            fork_and_check()
        """,
    )
