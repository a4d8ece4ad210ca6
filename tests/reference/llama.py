"""A Llama model in float64, one sequence at a time and without a cache: the definition.

Source: Touvron et al., arXiv 2302.13971; Su et al., arXiv 2104.09864 (rotation of adjacent pairs);
Ainslie et al., arXiv 2305.13245; the formats of weights as ggml defines them.
"""

import numpy as np

F32, F16, Q4_0, Q4_1, Q8_0 = 0, 1, 2, 3, 8


def dequantised(data: bytes, kind: int, inputs: int) -> np.ndarray:
    """float64[outputs, inputs]: the weights that the bytes of a tensor stand for."""
    raw = np.frombuffer(data, np.uint8)
    if kind in (F32, F16):
        dtype = np.float32 if kind == F32 else np.float16
        return raw.view(dtype).astype(np.float64).reshape(-1, inputs)
    numbers = {Q4_0: 1, Q4_1: 2, Q8_0: 1}[kind]
    codes = 32 if kind == Q8_0 else 16
    blocks = raw.reshape(-1, 2 * numbers + codes)
    scales = blocks[:, : 2 * numbers].copy().view(np.float16).astype(np.float64)
    packed = blocks[:, 2 * numbers :]
    if kind == Q8_0:
        weights = scales[:, :1] * packed.view(np.int8)
    else:
        nibbles = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float64)
        offset = scales[:, 1:] if kind == Q4_1 else -8 * scales[:, :1]
        weights = scales[:, :1] * nibbles + offset
    return weights.reshape(-1, inputs)


def forward(token_ids: list[int], sizes: dict, weights: dict[str, np.ndarray]) -> np.ndarray:
    """float64[len(token_ids), vocab]: the logits after each token.

    sizes : layers, heads, kv_heads, epsilon, rotation_base; weights : by the names in a file,
    without ".weight"; a model without "output" uses "token_embd".
    """
    x = weights["token_embd"][token_ids]
    for layer in range(sizes["layers"]):
        part = {
            name.split(".")[2]: w for name, w in weights.items() if name.startswith(f"blk.{layer}.")
        }
        normed = _normed(x, part["attn_norm"], sizes["epsilon"])
        x = x + _attention(normed, sizes, part) @ part["attn_output"].T
        normed = _normed(x, part["ffn_norm"], sizes["epsilon"])
        gate = normed @ part["ffn_gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (normed @ part["ffn_up"].T)) @ part["ffn_down"].T
    output = weights.get("output", weights["token_embd"])
    return _normed(x, weights["output_norm"], sizes["epsilon"]) @ output.T


def _normed(x: np.ndarray, weight: np.ndarray, epsilon: float) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + epsilon) * weight


def _attention(x: np.ndarray, sizes: dict, part: dict[str, np.ndarray]) -> np.ndarray:
    count, heads, kv_heads = len(x), sizes["heads"], sizes["kv_heads"]
    queries = _rotated((x @ part["attn_q"].T).reshape(count, heads, -1), sizes["rotation_base"])
    keys = _rotated((x @ part["attn_k"].T).reshape(count, kv_heads, -1), sizes["rotation_base"])
    values = (x @ part["attn_v"].T).reshape(count, kv_heads, -1)
    attended = np.empty_like(queries)
    for h in range(heads):
        shared = h // (heads // kv_heads)
        scores = queries[:, h] @ keys[:, shared].T / np.sqrt(queries.shape[2])
        scores[np.triu_indices(count, 1)] = -np.inf  # no position sees a later one
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        attended[:, h] = shares / shares.sum(axis=1, keepdims=True) @ values[:, shared]
    return attended.reshape(count, -1)


def _rotated(x: np.ndarray, base: float) -> np.ndarray:
    """Each adjacent pair as a complex number, turned by position * base**(-2 i / size)."""
    count, _, size = x.shape
    angles = np.outer(np.arange(count), base ** (-np.arange(0, size, 2) / size))
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)[:, None]
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)
