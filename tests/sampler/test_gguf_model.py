import hashlib
import os
import platform
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.llama import forward
from tiny_gguf import (
    CONTEXT,
    KINDS,
    SIZES,
    TOKENS,
    reference_weights,
    tiny_file,
    tiny_metadata,
    tiny_tensors,
    written,
)

from sampler import Generator
from sampler.errors import InvalidParameterError, LogitsError
from sampler.models import GGUFModel
from sampler.models.gguf import model as gguf_model
from sampler.models.gguf import network
from sampler.models.gguf.cache import BLOCK_TOKENS
from sampler.models.gguf.reader import GGUFError
from sampler.models.gguf.sequences import CacheFullError, ContextLengthError

TOKEN_BYTES = SIZES["layers"] * SIZES["kv_heads"] * 32 * 2 * 4  # keys and values of one token
BLOCK_BYTES = TOKEN_BYTES * BLOCK_TOKENS
DIGEST = """
import sys, hashlib
from types import SimpleNamespace
import numpy as np
from sampler.models import GGUFModel
logits = GGUFModel(sys.argv[1]).prompt_logits(SimpleNamespace(id=0, token_ids=np.arange(50)))
print(hashlib.sha256(logits.tobytes()).hexdigest())
"""
contexts = st.lists(st.integers(0, len(TOKENS) - 1), min_size=1, max_size=60)


def view(sequence_id, token_ids):
    return SimpleNamespace(id=sequence_id, token_ids=np.array(token_ids, np.int64))


def random_ids(seed, length):
    return np.random.default_rng(seed).integers(0, len(TOKENS), length).tolist()


def bits(logits):
    return np.ascontiguousarray(logits).tobytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_file(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module")
def model(path):
    return GGUFModel(path)


@pytest.fixture(scope="module")
def alone(path):
    """The logits of a context by a model that never saw anything else."""
    plain = GGUFModel(path, prefill_rows=1, prefix_reuse=False)

    def logits(token_ids):
        answer = plain([view("alone", token_ids)])[0]
        plain.release("alone")
        return answer

    return logits


# --- the right numbers


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_logits_are_those_of_the_reference(kind, tied, tmp_path):
    model = GGUFModel(tiny_file(tmp_path, kind, tied=tied))
    weights = reference_weights(tiny_tensors(kind, tied=tied))
    token_ids = random_ids(kind, 50)
    expected = forward(token_ids, SIZES, weights)
    assert expected.std() > 0.5
    np.testing.assert_allclose(model.prompt_logits(view(0, token_ids)), expected, atol=2e-4)


def test_the_answer_is_one_float32_row_for_each_view(model):
    logits = model([view(1, [5, 6, 7]), view(2, [9])])
    assert (logits.dtype, logits.shape) == (np.float32, (2, len(TOKENS)))
    assert model.vocab_size == len(TOKENS) == model.tokenizer.get_vocab_size()
    assert model([]).shape == (0, len(TOKENS))
    assert (model.context_length, model.eos_token_ids) == (CONTEXT, (0, 2))


# --- the same bits


@settings(max_examples=40)
@given(st.lists(contexts, min_size=1, max_size=5), st.integers(1, 70), st.booleans())
def test_bits_depend_on_nothing_but_the_context(path, alone, batch, prefill_rows, prefix_reuse):
    model = GGUFModel(path, prefill_rows=prefill_rows, prefix_reuse=prefix_reuse)
    logits = model([view(number, ids) for number, ids in enumerate(batch)])
    for row, ids in zip(logits, batch, strict=True):
        assert bits(row) == bits(alone(ids))


@settings(max_examples=25)
@given(contexts, st.integers(1, 59), st.lists(contexts, max_size=2))
def test_bits_do_not_depend_on_how_a_context_grew(model, alone, ids, cut, others):
    views = [view(("other", number), other) for number, other in enumerate(others)]
    if cut < len(ids):
        model([view("grows", ids[:cut]), *views])
    assert bits(model([*views, view("grows", ids)])[-1]) == bits(alone(ids))
    for seen in ["grows", *(v.id for v in views)]:
        model.release(seen)


def test_bits_do_not_depend_on_the_number_of_threads(path, alone, monkeypatch):
    monkeypatch.setattr(network, "WORTH_SHARING", 0)
    ids = random_ids(1, 40)
    for threads in (2, 3, 7):
        model = GGUFModel(path, threads=threads)
        logits = model([view(0, ids), view(1, ids[:3])])
        assert bits(logits[0]) == bits(alone(ids))
        assert bits(logits[1]) == bits(alone(ids[:3]))


def digest_of(path, **environment):
    """A hash over the logits of 50 tokens, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", DIGEST, str(path)],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def digest_here(path):
    logits = GGUFModel(path).prompt_logits(view(0, np.arange(50)))
    return hashlib.sha256(logits.tobytes()).hexdigest()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86 processors")
@pytest.mark.parametrize("name", ["generic", pytest.param("x86-64-v3", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["Q4_1", pytest.param("F16", marks=pytest.mark.slow)])
def test_bits_do_not_depend_on_the_processor(name, kind, tmp_path):
    path = tiny_file(tmp_path, KINDS[kind])
    processor = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert digest_of(path, **processor) == digest_here(path)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_the_plain_functions_give_the_same_bits(kind, tmp_path):
    path = tiny_file(tmp_path, kind)
    assert digest_of(path, NUMBA_DISABLE_JIT="1") == digest_here(path)


def test_prompt_logits_are_the_rows_of_calls(model, alone):
    ids = random_ids(2, 37)
    logits = model.prompt_logits(view("prompt", ids))
    assert logits.shape == (37, len(TOKENS))
    for length in range(1, 38):
        assert bits(logits[length - 1]) == bits(alone(ids[:length]))
    assert bits(model([view("prompt", ids)])[0]) == bits(logits[-1])
    model.release("prompt")


def test_a_context_that_did_not_grow_or_was_replaced_gets_its_own_logits(model, alone):
    ids, others = random_ids(3, 40), random_ids(4, 30)
    for given_ids in (ids, ids, ids[:20], others, ids):
        assert bits(model([view("same", given_ids)])[0]) == bits(alone(given_ids))
    model.release("same")


def test_a_batch_with_one_id_twice_is_refused_and_harms_nobody(model, alone):
    ids = random_ids(5, 20)
    for second in (ids, ids[:7], random_ids(6, 20)):
        with pytest.raises(InvalidParameterError, match=r"each id once\. Given twice: 'twice'"):
            model([view("twice", ids), view("other", ids), view("twice", second)])
    assert bits(model([view("twice", ids)])[0]) == bits(alone(ids))
    model.release("twice")


# --- reuse of beginnings


def rows_run(model, monkeypatch):
    """Counts the rows that go through the layers from now on."""
    counted = []
    forward = model._network.forward
    monkeypatch.setattr(
        model._network,
        "forward",
        lambda rows, cache: (counted.append(len(rows.token_ids)), forward(rows, cache))[1],
    )
    return counted


def test_a_known_beginning_is_not_computed_again(path, monkeypatch):
    model = GGUFModel(path)
    start = random_ids(6, 2 * BLOCK_TOKENS)
    counted = rows_run(model, monkeypatch)
    model([view(0, [*start, 5])])
    model([view(1, [*start, 6, 7])])  # beside a living sequence
    model.release(0)
    model.release(1)
    model([view(2, [*start, 8])])  # after both have left
    model([view(3, start)])  # the last token is always computed
    assert counted == [33, 2, 1, BLOCK_TOKENS]


def test_without_reuse_everything_is_computed(path, monkeypatch):
    model = GGUFModel(path, prefix_reuse=False)
    counted = rows_run(model, monkeypatch)
    for sequence_id in (0, 1):
        model([view(sequence_id, random_ids(6, 40))])
    assert counted == [40, 40]


# --- limits


def test_when_memory_runs_out_the_newest_sequence_fails_and_the_others_go_on(path, alone):
    model = GGUFModel(path, kv_cache_bytes=4 * BLOCK_BYTES)
    old, new = random_ids(7, 40), random_ids(8, 16)
    model([view("old", old[:30]), view("new", new)])
    assert model.row_error("new") is None
    logits = model([view("new", [*new, 1]), view("old", old)])  # 2 + 3 blocks
    assert np.isnan(logits[0]).all()
    assert isinstance(model.row_error("new"), CacheFullError)
    assert str(4 * BLOCK_BYTES) in str(model.row_error("new"))
    assert model.row_error("old") is None
    assert bits(logits[1]) == bits(alone(old))
    assert np.isnan(model([view("new", [*new, 1])])).all()  # it stays failed
    model.release("new")
    model.release("old")
    assert bits(model([view("new", new)])[0]) == bits(alone(new))


def test_a_sequence_larger_than_the_memory_fails_alone(path):
    model = GGUFModel(path, kv_cache_bytes=2 * BLOCK_BYTES)
    assert np.isnan(model([view(0, random_ids(9, 33))])).all()
    assert isinstance(model.row_error(0), CacheFullError)
    with pytest.raises(CacheFullError):
        model.prompt_logits(view(1, random_ids(9, 33)))
    for number in (0, 1):
        model.release(number)
    assert np.isfinite(model([view(2, random_ids(9, 32))])).all()


def test_kept_blocks_make_room_for_new_sequences(path, alone):
    model = GGUFModel(path, kv_cache_bytes=3 * BLOCK_BYTES)
    for seed in range(12):
        ids = random_ids(seed % 5, 40)
        assert bits(model([view(seed, ids)])[0]) == bits(alone(ids))
        model.release(seed)


def test_a_context_longer_than_the_models_fails_its_row(model):
    logits = model([view(0, random_ids(10, CONTEXT + 1)), view(1, random_ids(10, CONTEXT))])
    assert np.isnan(logits[0]).all()
    assert np.isfinite(logits[1]).all()
    assert isinstance(model.row_error(0), ContextLengthError)
    assert f"1 to {CONTEXT} tokens. Given: {CONTEXT + 1}" in str(model.row_error(0))
    assert model.row_error("never seen") is None
    model.release(0)
    model.release(1)


@pytest.mark.parametrize("ids", [[], [-1], [3, len(TOKENS)]])
def test_wrong_tokens_fail_their_row(model, ids):
    assert np.isnan(model([view("wrong", ids)])).all()
    assert isinstance(model.row_error("wrong"), InvalidParameterError)
    model.release("wrong")


@pytest.mark.parametrize(
    "options",
    [
        {"kv_cache_bytes": BLOCK_BYTES - 1},
        {"kv_cache_bytes": 1e9},
        {"kv_cache_bytes": 1 << 60},
        {"prefill_rows": 0},
        {"prefill_rows": True},
        {"prefix_reuse": 1},
        {"threads": 0},
        {"threads": 257},
    ],
)
def test_options_outside_their_range_are_refused(path, options):
    with pytest.raises(InvalidParameterError, match=f"`{next(iter(options))}` must be"):
        GGUFModel(path, **options)


def test_integers_of_numpy_are_options_of_a_model(path, alone):
    numbers = {"threads": np.int64(2), "prefill_rows": np.int8(100)}
    model = GGUFModel(path, kv_cache_bytes=np.int32(1 << 20), **numbers)
    assert type(model.kv_cache_tokens) is int
    ids = random_ids(11, 120)[:CONTEXT]
    assert bits(model([view(0, ids), view(1, ids[::-1])])[0]) == bits(alone(ids))


def file_with(folder, name, data):
    """A small file in which one tensor has other data."""
    tensors = tiny_tensors(KINDS["F32"])
    kind, shape, _ = tensors[name]
    tensors[name] = kind, shape, data
    path = folder / "other.gguf"
    path.write_bytes(written(tiny_metadata(), tensors))
    return path


def test_options_are_looked_at_before_the_tokenizer_and_the_weights(tmp_path, monkeypatch):
    path = file_with(tmp_path, "output_norm.weight", np.full(64, np.nan, np.float32).tobytes())
    with pytest.raises(GGUFError, match="must be finite"):
        GGUFModel(path)
    monkeypatch.setattr(gguf_model, "tokenizer_of", None)
    for options in ({"kv_cache_bytes": 5}, {"prefill_rows": 0}, {"threads": 0}):
        with pytest.raises(InvalidParameterError, match=next(iter(options))):
            GGUFModel(path, **options)


@pytest.mark.parametrize("epsilon", [0.0, -1e-5, 1e-30, float("nan")])
def test_an_epsilon_that_protects_from_nothing_is_refused(tmp_path, epsilon):
    key = "llama.attention.layer_norm_rms_epsilon"
    path = tmp_path / "epsilon.gguf"
    path.write_bytes(written({**tiny_metadata(), key: epsilon}, tiny_tensors()))
    with pytest.raises(GGUFError, match=f"`{key}` must be a number from 1e-12"):
        GGUFModel(path)


def test_prompt_logits_beyond_their_limit_are_a_wrong_parameter(path, monkeypatch):
    monkeypatch.setattr(gguf_model, "MAX_PROMPT_LOGITS_BYTES", 20 * 4 * len(TOKENS))
    model = GGUFModel(path)
    assert model.prompt_logits(view("short", random_ids(1, 20))).shape == (20, len(TOKENS))
    message = "`decoder_input_details` must be false for prompts of > 20 tokens.*Given: 21 tokens"
    with pytest.raises(InvalidParameterError, match=message) as refused:
        model.prompt_logits(view("long", random_ids(1, 21)))
    assert type(refused.value) is InvalidParameterError
    with Generator(model, model.tokenizer) as generator:
        asked = {"max_new_tokens": 2, "details": True, "decoder_input_details": True}
        with pytest.raises(InvalidParameterError, match=message):
            generator.generate({"inputs": "h" * 21, "parameters": asked})
        assert generator.generate({"inputs": "h" * 20, "parameters": asked}).details.prefill


@pytest.mark.parametrize("call", ["__call__", "prompt_logits"])
def test_a_call_that_was_interrupted_leaves_nothing_behind(path, alone, monkeypatch, call):
    model = GGUFModel(path, prefill_rows=8)
    ids, forward = random_ids(3, 40), model._network.forward

    def interrupted(rows, cache):
        if rows.positions[0] >= 24:
            raise KeyboardInterrupt
        return forward(rows, cache)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(model._network, "forward", interrupted)
        sequence = view(0, ids)
        getattr(model, call)([sequence] if call == "__call__" else sequence)
    assert model._cache.available == len(model._cache.blocks)
    assert bits(model([view(0, ids), view(1, ids)])) == bits(alone(ids)) * 2


def test_numbers_that_overflow_fail_their_row_and_nothing_else(tmp_path):
    name = "blk.0.ffn_up.weight"
    _, _, data = tiny_tensors(KINDS["F32"])[name]
    path = file_with(tmp_path, name, (np.frombuffer(data, np.float32) * 1e37).tobytes())
    assert not np.isfinite(GGUFModel(path)([view(0, [5, 6, 7])])).any()


# --- in the engine


def generate_all(model, requests, batch_size):
    """The wire events of requests that are all submitted at once."""
    events = [None] * len(requests)
    with Generator(
        model, model.tokenizer, batch_size, eos_token_ids=model.eos_token_ids
    ) as generator:

        def run(number):
            stream = generator.generate_stream(requests[number])
            events[number] = [event.to_dict() for event in stream]

        threads = [threading.Thread(target=run, args=(n,)) for n in range(len(requests))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return events


def test_events_are_the_same_in_any_batch_with_and_without_reuse(path):
    requests = [
        {
            "inputs": "hello world 123 " * (1 + number % 3) + str(number),
            "parameters": {
                "seed": number,
                "do_sample": True,
                "top_p": 0.9,
                "max_new_tokens": 5 + number % 7,
                "details": True,
                "decoder_input_details": False,
            },
        }
        for number in range(20)
    ]
    expected = generate_all(GGUFModel(path, prefix_reuse=False), requests, 1)
    for batch_size in (1, 4, 16):
        for prefix_reuse in (False, True):
            model = GGUFModel(path, prefix_reuse=prefix_reuse, prefill_rows=8)
            assert generate_all(model, requests, batch_size) == expected


def test_a_request_beyond_the_context_ends_with_an_error_and_no_other_does(path):
    model = GGUFModel(path)
    with Generator(model, model.tokenizer, eos_token_ids=[]) as generator:
        short = generator.generate_stream({"inputs": "h", "parameters": {"max_new_tokens": 9}})
        with pytest.raises((LogitsError, ContextLengthError)):
            generator.generate({"inputs": "h" * 120, "parameters": {"max_new_tokens": 20}})
        assert len(list(short)) == 9


# --- warming up

COMPILED = """
import sys
from types import SimpleNamespace
import numpy as np
from sampler.kernels import llama, numeric, quantised
from sampler.models import GGUFModel
from sampler.models.gguf import model as gguf_model
from sampler.models.gguf import network
from sampler.models.gguf.warmup import compile_kernels

KERNELS = [*vars(llama).values(), *vars(quantised).values(), numeric.log, numeric.exp_of_negative]

def signatures():
    return [len(kernel.signatures) for kernel in KERNELS if hasattr(kernel, "signatures")]

compile_kernels()
before = signatures()
for threads in (1, 2):
    network.WORTH_SHARING = 0
    model = GGUFModel(sys.argv[1], threads=threads)
    batch = [SimpleNamespace(id=row, token_ids=np.arange(3 + row)) for row in range(3)]
    model(batch)
    model.prompt_logits(batch[0])
print(sum(before) > 10, before == signatures())
"""


def test_after_warming_up_nothing_is_left_to_compile(path):
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "True True\n", done.stderr


def test_a_sequence_that_could_not_run_alone_takes_no_other_with_it(path):
    model = GGUFModel(path, kv_cache_bytes=4 * BLOCK_BYTES)
    alone = bits(GGUFModel(path)([view(2, [2] * 5)]))
    logits = model([view(1, [1] * 60 + [2] * (4 * BLOCK_TOKENS - 59)), view(2, [2] * 5)])
    assert isinstance(model.row_error(1), CacheFullError)
    assert model.row_error(2) is None
    assert bits(logits[1:]) == alone


def test_a_pipe_is_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    with pytest.raises(InvalidParameterError, match="it is not a file"):
        GGUFModel(pipe)
