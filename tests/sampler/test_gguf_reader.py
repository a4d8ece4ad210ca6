import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_gguf import (
    INNER,
    KINDS,
    TOKENS,
    WIDTH,
    text,
    tiny_metadata,
    tiny_tensors,
    written,
)

from sampler.errors import InvalidParameterError
from sampler.models import GGUFModel
from sampler.models.gguf import reader
from sampler.models.gguf.metadata import GGUFError
from sampler.models.gguf.reader import read_gguf

GOOD = written(tiny_metadata(), tiny_tensors())
HEADER = len(GOOD) - sum(len(data) for _, _, data in tiny_tensors().values())


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "given.gguf"
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def refused(write):
    """Writes a file and gives the message with which it is refused."""

    def refused(data):
        with pytest.raises(GGUFError) as caught:
            GGUFModel(write(data), kv_cache_bytes=1 << 20)
        return str(caught.value)

    return refused


def changed_metadata(**changes):
    """A file with other metadata; None leaves a key out, "__" stands for a dot."""
    metadata = tiny_metadata()
    for key, value in changes.items():
        metadata[key.replace("__", ".")] = value
    return written({k: v for k, v in metadata.items() if v is not None}, tiny_tensors())


def changed_tensors(**changes):
    """A file with other tensors; None leaves one out, "__" stands for a dot."""
    tensors = tiny_tensors()
    for name, tensor in changes.items():
        tensors[name.replace("__", ".") + ".weight"] = tensor
    return written(tiny_metadata(), {k: v for k, v in tensors.items() if v is not None})


def entry(key, kind, value):
    """A file whose only metadata entry is this one."""
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
    return head + text(key) + struct.pack("<I", kind) + value


# --- what is read


def test_metadata_and_tensors_are_those_of_the_file(write):
    file = read_gguf(write(GOOD))
    tokens = file.metadata.texts("tokenizer.ggml.tokens", most=1000)
    assert (len(tokens), list(tokens), tokens[-2:]) == (len(TOKENS), TOKENS, TOKENS[-2:])
    assert file.metadata["llama.rope.freq_base"] == 10_000.0
    assert file.metadata["tokenizer.ggml.add_bos_token"] is False
    assert file.metadata["tokenizer.ggml.token_type"].tolist()[:4] == [3, 3, 3, 1]
    assert file.tensors.keys() == tiny_tensors().keys()
    for name, (kind, shape, data) in tiny_tensors().items():
        tensor = file.tensors[name]
        assert (tensor.kind, tensor.inputs, tensor.size) == (kind, shape[0], len(data))
        assert file.data[tensor.offset : tensor.offset + tensor.size].tobytes() == data


@pytest.mark.parametrize(
    ("kind", "code", "value"),
    [
        (0, "B", 255),
        (1, "b", -128),
        (2, "H", 65535),
        (3, "h", -2),
        (4, "I", 2**32 - 1),
        (5, "i", -5),
        (6, "f", 0.5),
        (7, "?", True),
        (10, "Q", 2**64 - 1),
        (11, "q", -9),
        (12, "d", 0.1),
    ],
)
def test_every_type_of_number_is_read_alone_and_in_arrays(write, kind, code, value):
    file = read_gguf(write(entry("key", kind, struct.pack("<" + code, value))))
    assert file.metadata["key"] == value
    assert type(file.metadata["key"]) is type(value)
    packed = struct.pack("<IQ2" + code, kind, 2, value, value)
    assert read_gguf(write(entry("key", 9, packed))).metadata["key"].tolist() == [value, value]


def test_version_2_is_read_too(write):
    assert read_gguf(write(GOOD[:4] + struct.pack("<I", 2) + GOOD[8:])).tensors


# --- what is refused


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    for path in (tmp_path / "absent.gguf", tmp_path, "a\0b", b"x", 5, None):
        with pytest.raises(GGUFError) as caught:
            read_gguf(path)
        assert str(caught.value).count("cannot be read: ") == 1
    assert issubclass(GGUFError, InvalidParameterError)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"GG", "truncated"),
        (b"GGML" + GOOD[4:], "must begin with b'GGUF'. Given: b'GGML'"),
        (GOOD[:4] + struct.pack("<I", 1) + GOOD[8:], "version must be 2 or 3"),
        (GOOD[:4] + struct.pack(">I", 3) + GOOD[8:], "version must be 2 or 3"),
        (GOOD[:8] + struct.pack("<Q", 2**63) + GOOD[16:], "number of tensors must be <= 16384"),
        (GOOD[:16] + struct.pack("<Q", 2**40) + GOOD[24:], "metadata entries must be <= 4096"),
        (GOOD[:-1], "truncated file: 'output.weight' ends at byte"),
        (GOOD[: HEADER // 2], "truncated file"),
        (entry("key", 13, b""), "'key' has an unknown metadata type. Given: 13"),
        (entry("key", 8, struct.pack("<Q", 2**63)), "truncated file"),
        (entry("key", 8, struct.pack("<Q", 1) + b"\xff"), "not UTF-8"),
        (entry("key", 9, struct.pack("<IQ", 4, 2**61)), "must have <= 2097152 elements together"),
        (entry("key", 9, struct.pack("<IQ", 8, 2**61)), "must have <= 2097152 elements together"),
        (entry("key", 9, struct.pack("<IQQ", 8, 1, 1) + b"\xff"), "not UTF-8"),
        (entry("key", 9, struct.pack("<IQ", 9, 1)), "array of texts or numbers"),
        (entry("key", 9, struct.pack("<IQ", 10, 1 << 20)), "truncated file"),
    ],
)
def test_broken_files_are_refused_with_the_reason(refused, data, message):
    assert message in refused(data)


def test_names_that_stand_twice_are_refused(refused):
    twice = b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + 2 * (text("a") + struct.pack("<IB", 0, 1))
    assert "unique. Given twice: 'a'" in refused(twice)
    metadata = tiny_metadata()
    one = written(metadata, {"a": tiny_tensors()["output_norm.weight"]})
    two = written(metadata, {k: tiny_tensors()["output_norm.weight"] for k in ("a", "b")})
    assert "a" in refused(one)
    assert "tensor names must be unique" in refused(two.replace(text("b"), text("a")))


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("blk__0__attn_q", (14, (64, 128), bytes(64 * 128)), "Given: Q6_K (14)"),
        ("blk__0__attn_q", (99, (64, 128), bytes(64 * 128)), "Given: unknown (99)"),
        ("blk__0__attn_q", (3, (64, 96), bytes(64 * 60)), "128 rows of 64. Given: 96 of 64"),
        ("blk__0__attn_q", (3, (48, 96), bytes(64 * 60)), "multiple of 32"),
        ("blk__0__attn_q", (3, (0, 96), b""), "multiple of 32"),
        ("blk__0__attn_q", (3, (64, 0), b""), "no other may be 0"),
        ("blk__0__attn_q", (3, (), b""), "1 to 4 dimensions. Given: 0"),
        ("blk__0__attn_q", (3, (64, 2**32, 2**32, 2**62), b""), "truncated file"),
        ("blk__0__attn_q", None, "`blk.0.attn_q.weight` is missing"),
        ("output_norm", None, "`output_norm.weight` is missing"),
        ("blk__0__attn_q__bias", (0, (32,), bytes(128)), "not supported in a Llama model"),
        ("rope_freqs", (0, (32,), bytes(128)), "'rope_freqs.weight'"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(refused, name, tensor, message):
    assert message in refused(changed_tensors(**{name: tensor}))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_weights_that_are_no_numbers_are_refused(refused, kind, value):
    tensors = tiny_tensors(kind)
    _, shape, data = tensors["blk.1.ffn_down.weight"]
    number = np.array(value, np.float32 if kind == KINDS["F32"] else np.float16).tobytes()
    block = len(data) // (INNER * WIDTH // 32)
    data = data[:block] + number + data[block + len(number) :]
    tensors["blk.1.ffn_down.weight"] = kind, shape, data
    assert "`blk.1.ffn_down.weight` must be finite" in refused(written(tiny_metadata(), tensors))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("general__architecture", "qwen2", "must be 'llama'. Given: 'qwen2'"),
        ("general__architecture", None, "must be a text. Given: None"),
        ("general__alignment", 0, "`general.alignment` must be an integer from 1"),
        ("general__alignment", 48, "must be a multiple of 48"),
        ("llama__block_count", 4_000_000_000, "`llama.block_count` must be an integer"),
        ("llama__block_count", 1_000_000, "the file has 21 tensors"),
        ("llama__block_count", 1, "not supported in a Llama model: 'blk.1"),
        ("llama__block_count", 3, "`blk.2.attn_norm.weight` is missing"),
        ("llama__block_count", "2", "Given: '2'"),
        ("llama__context_length", 0, "`llama.context_length` must be an integer from 1"),
        ("llama__context_length", 2**21, "`llama.context_length` must be an integer from 1"),
        ("llama__embedding_length", 32, "rows of 32"),
        (
            "llama__attention__head_count",
            3,
            "a multiple of `llama.attention.head_count_kv`. Given: 32, 3 and 2",
        ),
        ("llama__attention__head_count", None, "`llama.attention.head_count`"),
        ("llama__attention__key_length", 40, "must be an integer from 40"),
        *(
            ("llama__attention__layer_norm_rms_epsilon", value, "number from 1e-12 to 1.0. Given:")
            for value in (0.0, -1e-5, 2.0, np.nan, np.inf, -np.inf, None, "1e-5", True)
        ),
        *(
            ("llama__rope__freq_base", value, "`llama.rope.freq_base` must be a number from 1.0")
            for value in (0.0, 0.5, -1e4, 1e13, np.nan, np.inf, "1e4", True)
        ),
        ("llama__rope__scale_linear", 2.0, "'llama.rope.scale_linear'"),
        ("llama__rope__scaling__type", "linear", "'llama.rope.scaling.type'"),
        ("llama__expert_count", 8, "'llama.expert_count'"),
        ("llama__vocab_size", 7, "`llama.vocab_size`"),
        ("general__quantization_version", 1, "`general.quantization_version`"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(refused, key, value, message):
    assert message in refused(changed_metadata(**{key: value}))


@pytest.mark.parametrize(
    ("limit", "most", "message"),
    [
        ("MAX_HEADER_BYTES", 1000, "header of more than 1000 bytes"),
        ("MAX_ENTRIES", 21, "metadata entries must be <= 21. Given: 22"),
        ("MAX_TENSORS", 20, "tensors must be <= 20. Given: 21"),
        ("MAX_ELEMENTS", 400, "must have <= 400 elements together. Given: 528 or more"),
        ("MAX_TEXT_BYTES", 500, "keys, names and texts must have <= 500 bytes together"),
    ],
)
def test_a_header_beyond_a_limit_is_refused(refused, monkeypatch, limit, most, message):
    monkeypatch.setattr(reader, limit, most)
    assert message in refused(GOOD)


def test_a_text_beyond_the_limit_is_refused_before_it_is_decoded(refused, monkeypatch):
    monkeypatch.setattr(reader, "MAX_TEXT_BYTES", 100)
    long = struct.pack("<Q", 101) + b"\xff" * 101
    assert "a text must have <= 100 bytes. Given: 101" in refused(entry("key", 8, long))
    array = struct.pack("<IQ", 8, 1) + long
    assert "a text must have <= 100 bytes. Given: 101" in refused(entry("key", 9, array))


def header_of(tensors, entries):
    """A header of given parts, and no data."""
    counts = struct.pack("<IQQ", 3, len(tensors), len(entries))
    return b"GGUF" + counts + b"".join(entries) + b"".join(tensors) + bytes(200)


def memory_to_read(path):
    """The most bytes that Python had while it read the file."""
    tracemalloc.start()
    try:
        read_gguf(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_arrays_take_no_more_memory_than_their_bytes_in_the_file(write):
    texts = struct.pack("<IIQ", 9, 8, 50_000) + text("ab") * 50_000
    numbers = struct.pack("<IIQ", 9, 0, 200_000) + bytes(200_000)
    entries = [text("a") + texts, text("b") + texts, text("c") + numbers]
    data = header_of([], entries)
    assert memory_to_read(write(data)) < len(data)


@pytest.mark.parametrize("what", ["entries", "tensors"])
def test_as_many_parts_as_there_may_be_take_little_memory(write, what):
    tensor = struct.pack("<I4QIQ", 4, 32, 1, 1, 1, 0, 0)
    count = {"entries": reader.MAX_ENTRIES, "tensors": reader.MAX_TENSORS}[what]
    names = [text(str(i)) for i in range(count)]
    parts = {
        "entries": [name + struct.pack("<Iq", 11, -(2**60)) for name in names],
        "tensors": [name + tensor for name in names],
    }
    data = header_of(**{"tensors": [], "entries": [], what: parts[what]})
    assert memory_to_read(write(data)) < 10 << 20


# --- whatever the bytes are


def try_to_run(path):
    """Loads and runs a file: it works, or a GGUFError says why not."""
    try:
        model = GGUFModel(path, kv_cache_bytes=1 << 20)
    except GGUFError:
        return
    except InvalidParameterError as error:
        assert "kv_cache_bytes" in str(error)
        return
    view = type("View", (), {"id": 0, "token_ids": np.array([1, 2])})
    assert model([view]).shape == (1, model.vocab_size)


@settings(max_examples=300)
@given(st.integers(0, len(GOOD) - 1))
def test_a_cut_file_is_always_refused(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("cut") / "cut.gguf"
    path.write_bytes(GOOD[:size])
    with pytest.raises(GGUFError):
        GGUFModel(path, kv_cache_bytes=1 << 20)


edits = st.lists(
    st.tuples(st.integers(0, HEADER), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4
)


@settings(max_examples=400)
@given(edits)
def test_a_corrupted_header_is_read_or_refused(tmp_path_factory, edits):
    data = bytearray(GOOD)
    for at, replacement in edits:
        data[at : at + len(replacement)] = replacement
    path = tmp_path_factory.mktemp("corrupted") / "corrupted.gguf"
    path.write_bytes(data)
    try_to_run(path)


@settings(max_examples=300)
@given(st.binary(max_size=300), st.integers(0, 4), st.integers(0, 4))
def test_random_bytes_are_refused(tmp_path_factory, data, tensors, entries):
    path = tmp_path_factory.mktemp("random") / "random.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, tensors, entries) + data)
    with pytest.raises(GGUFError):
        GGUFModel(path, kv_cache_bytes=1 << 20)
