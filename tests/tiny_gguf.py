"""Small GGUF files with all parts of a Llama model, by a writer that can also write wrong ones."""

import struct
from pathlib import Path

import numpy as np
from reference.llama import F16, F32, Q4_0, Q4_1, Q8_0, dequantised
from tokenizers import pre_tokenizers

KINDS = {"F32": F32, "F16": F16, "Q4_0": Q4_0, "Q4_1": Q4_1, "Q8_0": Q8_0}
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w"]
TOKENS = SPECIALS + ALPHABET + [merge.replace(" ", "") for merge in MERGES]
SIZES = {"layers": 2, "heads": 4, "kv_heads": 2, "epsilon": 1e-5, "rotation_base": 10_000.0}
WIDTH, INNER, HEAD, CONTEXT = 64, 96, 32, 128
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CODES = {int: (4, "I"), float: (6, "f"), bool: (7, "?")}


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: object) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, np.ndarray):
        assert value.dtype == np.int32
        return struct.pack("<IIQ", 9, 5, len(value)) + value.tobytes()
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    kind, code = _CODES[type(value)]
    return struct.pack("<I" + code, kind, value)


def written(metadata: dict, tensors: dict[str, tuple[int, tuple[int, ...], bytes]]) -> bytes:
    """A file of metadata and of tensors: (type, dimensions, data), the data aligned to 32."""
    described, data = [], b""
    for name, (kind, dimensions, values) in tensors.items():
        data += bytes(-len(data) % 32)
        shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        described.append(text(name) + shape + struct.pack("<IQ", kind, len(data)))
        data += values
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + _value(value) for key, value in metadata.items())
    head += b"".join(described)
    return head + bytes(-len(head) % 32) + data


def tiny_metadata() -> dict:
    return {
        "general.architecture": "llama",
        "llama.block_count": SIZES["layers"],
        "llama.context_length": CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": SIZES["heads"],
        "llama.attention.head_count_kv": SIZES["kv_heads"],
        "llama.attention.key_length": HEAD,
        "llama.attention.value_length": HEAD,
        "llama.attention.layer_norm_rms_epsilon": SIZES["epsilon"],
        "llama.rope.freq_base": SIZES["rotation_base"],
        "llama.rope.dimension_count": HEAD,
        "llama.vocab_size": len(TOKENS),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.token_type": np.array(
            [3] * len(SPECIALS) + [1] * (len(TOKENS) - len(SPECIALS)), np.int32
        ),
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": TEMPLATE,
    }


def random_blocks(random: np.random.Generator, kind: int, count: int, scale: float) -> bytes:
    """`count` weights of about the size `scale`, a multiple of 32."""
    if kind in (F32, F16):
        dtype = np.float32 if kind == F32 else np.float16
        return (random.normal(size=count) * scale).astype(dtype).tobytes()
    step = scale / {Q4_0: 4.6, Q4_1: 4.6, Q8_0: 74}[kind]
    scales = (random.uniform(0.7, 1.4, size=(count // 32, 1)) * step).astype(np.float16)
    codes = random.integers(0, 256, (count // 32, 32 if kind == Q8_0 else 16), np.uint8)
    parts = [scales.view(np.uint8)]
    if kind == Q4_1:
        minimum = (-7.5 * scales.astype(np.float64)).astype(np.float16)
        parts.append(minimum.view(np.uint8))
    return np.concatenate([*parts, codes], axis=1).tobytes()


def tiny_tensors(kind: int = Q4_1, seed: int = 0, tied: bool = False) -> dict:
    """The tensors of a model, matrices in one format and norms in float32."""
    random = np.random.default_rng([seed, kind])
    queries, keys = SIZES["heads"] * HEAD, SIZES["kv_heads"] * HEAD
    shapes = {"token_embd": (WIDTH, len(TOKENS))}
    for layer in range(SIZES["layers"]):
        shapes |= {
            f"blk.{layer}.{name}": shape
            for name, shape in {
                "attn_norm": (WIDTH,),
                "attn_q": (WIDTH, queries),
                "attn_k": (WIDTH, keys),
                "attn_v": (WIDTH, keys),
                "attn_output": (queries, WIDTH),
                "ffn_norm": (WIDTH,),
                "ffn_gate": (WIDTH, INNER),
                "ffn_up": (WIDTH, INNER),
                "ffn_down": (INNER, WIDTH),
            }.items()
        }
    shapes |= {"output_norm": (WIDTH,)} | ({} if tied else {"output": (WIDTH, len(TOKENS))})
    tensors = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            data = random.uniform(0.5, 1.5, shape).astype(np.float32).tobytes()
            tensors[name + ".weight"] = F32, shape, data
        else:
            scale = 1.0 if name == "token_embd" else 2.0 * shape[0] ** -0.5
            data = random_blocks(random, kind, shape[0] * shape[1], scale)
            tensors[name + ".weight"] = kind, shape, data
    return tensors


def reference_weights(tensors: dict) -> dict[str, np.ndarray]:
    """The tensors for `reference.llama.forward`."""
    return {
        name.removesuffix(".weight"): dequantised(data, kind, shape[0]).squeeze()
        for name, (kind, shape, data) in tensors.items()
    }


def tiny_file(folder: Path, kind: int = Q4_1, seed: int = 0, tied: bool = False) -> Path:
    path = folder / f"tiny-{kind}-{seed}-{tied}.gguf"
    path.write_bytes(written(tiny_metadata(), tiny_tensors(kind, seed, tied)))
    return path
