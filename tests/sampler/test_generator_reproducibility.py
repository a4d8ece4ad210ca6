"""The same seeded request gives the same bytes, whatever else goes on."""

import contextlib
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from scripted_models import PATIENCE, Watched, byte_vocabulary, hash_model

from sampler import Generator, default_generator
from sampler.errors import SamplerError

COMMON = {"details": True, "max_new_tokens": 25}
REQUESTS = {
    "greedy": {"repetition_penalty": 1.3, "top_n_tokens": 3},
    "plain": {"do_sample": True, "seed": 0},
    "truncated": {"temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.01, "seed": 2**64 - 1},
    "typical": {"typical_p": 0.8, "seed": 5, "frequency_penalty": 0.5, "presence_penalty": -0.5},
    "watermarked": {"watermark": True, "do_sample": True, "seed": 6, "logprobs": "raw"},
    "biased": {"logit_bias": {"40": 3.0, "41": -5.0}, "top_k": 100, "seed": 7, "top_n_tokens": 2},
    "bounded": {
        "min_new_tokens": 8,
        "stop": ["e ", "th"],
        "trim_stop": True,
        "top_p": 0.8,
        "seed": 8,
    },
    "candidates": {"best_of": 3, "temperature": 1.1, "seed": 9},
    "scored": {"decoder_input_details": True, "return_full_text": True, "top_k": 9, "seed": 1},
}
PROMPT = "My fellow citizens"


def body(name, **more):
    return {"inputs": PROMPT, "parameters": {**COMMON, **REQUESTS[name], **more}}


def bytes_of(generator, asked):
    return "\n".join(json.dumps(event.to_dict()) for event in generator.generate_stream(asked))


def hash_generator(**options):
    return Generator(hash_model, byte_vocabulary(), **options)


MAKERS = [hash_generator, default_generator]


@pytest.fixture(scope="module", params=MAKERS, ids=["hash", "embedded"])
def maker(request):
    return request.param


@pytest.fixture(scope="module")
def alone(maker):
    """What each request gives when it is the only one its generator ever sees."""
    answers = {}
    for name in REQUESTS:
        with maker() as generator:
            answers[name] = bytes_of(generator, body(name))
    return answers


def neighbour(generator, number, ended):
    """One request after the other, each read to a different place, some of them not legal."""
    random = np.random.default_rng(number)
    names = list(REQUESTS)
    while not ended.is_set():
        name = names[random.integers(len(names))]
        asked = body(name, seed=int(random.integers(2**63)), max_new_tokens=30)
        asked["inputs"] = PROMPT * int(random.integers(1, 4))
        if random.random() < 0.2:
            asked["parameters"]["top_p"] = 42.5
        with contextlib.suppress(SamplerError), generator.generate_stream(asked) as stream:
            for _ in zip(range(random.integers(1, 40)), stream, strict=False):
                pass


@contextlib.contextmanager
def neighbours(generator, count):
    ended = threading.Event()
    threads = [
        threading.Thread(target=neighbour, args=(generator, number, ended))
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_among_neighbours_that_come_and_go(maker, alone):
    with maker(max_batch_size=12, max_waiting=64) as generator, neighbours(generator, 32):
        for name, expected in alone.items():
            assert bytes_of(generator, body(name)) == expected, name


class Unreliable:
    """The hash model, but some sequences get a row from which nothing can be drawn."""

    def __call__(self, batch):
        logits = hash_model(batch)
        for row, view in enumerate(batch):
            if len(view.token_ids) > len(PROMPT) + 5 and len(view.token_ids) % 17 == 0:
                logits[row] = np.nan
        return logits

    def release(self, sequence_id):
        if sequence_id % 3 == 0:
            raise RuntimeError("cannot release")


def test_among_neighbours_that_fail(caplog):
    caplog.set_level("CRITICAL")
    with Generator(Unreliable(), byte_vocabulary(), max_batch_size=8) as generator:
        short = {name: body(name, max_new_tokens=12) for name in REQUESTS}
        quiet = {name: bytes_of(generator, asked) for name, asked in short.items()}
        with neighbours(generator, 16):
            for name, asked in short.items():
                assert bytes_of(generator, asked) == quiet[name]
    with hash_generator() as generator:
        assert quiet == {name: bytes_of(generator, asked) for name, asked in short.items()}


@pytest.mark.parametrize("max_batch_size", [1, 2, 5])
def test_at_any_batch_size_all_at_once(maker, alone, max_batch_size):
    with maker(max_batch_size=max_batch_size) as generator:
        streams = {name: generator.generate_stream(body(name)) for name in REQUESTS}
        for name, stream in streams.items():
            told = "\n".join(json.dumps(event.to_dict()) for event in stream)
            assert told == alone[name], name


def test_again_and_again_in_one_generator(maker, alone):
    with maker() as generator:
        for _ in range(2):
            assert {name: bytes_of(generator, body(name)) for name in REQUESTS} == alone


def test_in_another_process(maker, alone):
    code = (
        "import sys, json; sys.path[:0] = json.loads(sys.argv[1]);"
        "import importlib.util as u;"
        "spec = u.spec_from_file_location('here', sys.argv[2]);"
        "here = u.module_from_spec(spec); spec.loader.exec_module(here);"
        "generator = getattr(here, sys.argv[3])();"
        "print(json.dumps({n: here.bytes_of(generator, here.body(n)) for n in here.REQUESTS}))"
    )
    paths = [path for path in sys.path if path.endswith("tests")]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(paths), __file__, maker.__name__],
        timeout=2 * PATIENCE,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "17"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == alone


def test_many_threads_share_one_generator_and_the_model_is_called_by_one(make_generator):
    model = Watched()
    generator = make_generator(model, max_batch_size=4, max_waiting=64)
    told = [[] for _ in range(16)]

    def generate(number):
        for turn in range(4):
            name = list(REQUESTS)[(number + turn) % len(REQUESTS)]
            told[number].append((name, bytes_of(generator, body(name, max_new_tokens=8))))

    threads = [threading.Thread(target=generate, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    expected = {name: bytes_of(generator, body(name, max_new_tokens=8)) for name in REQUESTS}
    assert all(answer == expected[name] for answers in told for name, answer in answers)
    assert sum(map(len, told)) == 64
    assert not model.overlapped
    assert sorted(model.released) == list(range(max(model.released) + 1))
    assert sorted(model.shown) == sorted(model.released)
    assert model.shown == model.contexts
