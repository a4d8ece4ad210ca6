"""Getting the kernels of language models ready without a file: compiled once on a machine."""

import numpy as np

from sampler.kernels.quantised import Q8_0
from sampler.models.gguf.cache import BlockCache
from sampler.models.gguf.llama import LlamaConfig, check_finite
from sampler.models.gguf.metadata import Metadata
from sampler.models.gguf.network import LlamaNetwork, Rows
from sampler.models.gguf.reader import GGUFFile, Tensor

_SIZE = 32  # of everything in the smallest model there can be
_MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_VECTORS = ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm")


def compile_kernels() -> None:
    """Nothing; afterwards every kernel that a `GGUFModel` calls is compiled, or loaded."""
    config = LlamaConfig(
        layers=1,
        context_length=_SIZE,
        embedding=_SIZE,
        feed_forward=_SIZE,
        heads=1,
        kv_heads=1,
        head_size=_SIZE,
        vocab_size=_SIZE,
        epsilon=1e-5,
        rotation_base=1e4,
    )
    outputs = {f"blk.0.{name}": _SIZE for name in _MATRICES}
    outputs |= {"token_embd": _SIZE} | dict.fromkeys(_VECTORS, 1)
    # all tensors are the same zeros
    tensors = {
        f"{name}.weight": Tensor(f"{name}.weight", _SIZE, rows, Q8_0, 0)
        for name, rows in outputs.items()
    }
    zeros = np.frombuffer(bytes(tensors["token_embd.weight"].size), np.uint8)
    file = GGUFFile(Metadata(), tensors, zeros)
    check_finite(file)
    network = LlamaNetwork(file, config, 1, 1)
    cache = BlockCache(1, 1, _SIZE, 1 << 20, False)
    row = np.zeros(1, np.int64)
    network.logits(network.forward(Rows(row, row, row, np.zeros((1, 1), np.int64)), cache.blocks))
