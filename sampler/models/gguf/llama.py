"""What a model of the Llama family needs of a GGUF file: its sizes and its tensors, all checked.

Fail closed: a tensor or a ``llama.`` key that is not known here could change what the model
computes (biases, experts, scaled rotations), so it is refused by name and not ignored.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sampler.errors import shown
from sampler.kernels.lanes import LANES
from sampler.kernels.quantised import TILE, dequantise, is_finite
from sampler.models.gguf.metadata import GGUFError, Metadata
from sampler.models.gguf.reader import GGUFFile, Tensor
from sampler.models.gguf.tokens import tokens_of

_KNOWN_KEYS = {
    f"llama.{key}"
    for key in (
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.layer_norm_rms_epsilon",
        "attention.value_length",
        "block_count",
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "rope.dimension_count",
        "rope.freq_base",
        "vocab_size",
    )
}

_MIN_EPSILON = 1e-12  # with 0, a row of zeros would become NaN

Vector = npt.NDArray[np.float32]
Shape = tuple[int, int]  # outputs, inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaConfig:
    """The sizes of a model.

    Attributes
    ----------
    layers : number of layers
    context_length : positions that the model was made for
    embedding : numbers of a token between layers
    feed_forward : numbers inside the feed-forward part
    heads : of queries, a multiple of `kv_heads`
    kv_heads : heads of keys and values
    head_size : numbers of a head, a multiple of 32
    vocab_size : tokens
    epsilon : added to the mean square of a norm, > 0
    rotation_base : of the rotations of positions
    """

    layers: int
    context_length: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocab_size: int
    epsilon: float
    rotation_base: float

    @classmethod
    def from_metadata(cls, metadata: Metadata) -> "LlamaConfig":
        """The sizes that the metadata give; raises GGUFError for what is not a known Llama."""
        architecture = metadata.text("general.architecture")
        if architecture != "llama":
            raise GGUFError(f"`general.architecture` must be 'llama'. Given: {shown(architecture)}")
        _refuse(key for key in metadata if key.startswith("llama.") and key not in _KNOWN_KEYS)
        heads = metadata.integer("llama.attention.head_count")
        embedding = metadata.integer("llama.embedding_length")
        size = embedding // heads or 1
        config = cls(
            layers=metadata.integer("llama.block_count"),
            context_length=metadata.integer("llama.context_length", high=1 << 20),
            embedding=embedding,
            feed_forward=metadata.integer("llama.feed_forward_length"),
            heads=heads,
            kv_heads=metadata.integer("llama.attention.head_count_kv", default=heads),
            head_size=metadata.integer("llama.attention.key_length", default=size),
            vocab_size=len(tokens_of(metadata)),
            epsilon=metadata.number("llama.attention.layer_norm_rms_epsilon", _MIN_EPSILON, 1.0),
            rotation_base=metadata.number("llama.rope.freq_base", 1.0, 1e12, default=10_000.0),
        )
        config._check(metadata)
        return config

    def _check(self, metadata: Metadata) -> None:
        """Refuses sizes that do not belong together, or that the kernels do not take."""
        for key, expected in (
            ("general.quantization_version", 2),
            ("llama.attention.value_length", self.head_size),
            ("llama.rope.dimension_count", self.head_size),
            ("llama.vocab_size", self.vocab_size),
        ):
            metadata.integer(key, default=expected, low=expected, high=expected)
        if self.head_size % (2 * LANES) or self.heads % self.kv_heads:
            raise GGUFError(
                f"heads must have a multiple of {2 * LANES} numbers, `llama.attention.head_count`"
                " must be a multiple of `llama.attention.head_count_kv`."
                f" Given: {self.head_size}, {self.heads} and {self.kv_heads}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The weights of one layer; norms are vectors, the rest stays quantised in the file."""

    attention_norm: Vector
    query: Tensor
    key: Tensor
    value: Tensor
    attention_output: Tensor
    feed_forward_norm: Vector
    gate: Tensor
    up: Tensor
    down: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaWeights:
    """The weights of a model; `output` is `embedding` itself where the file has no other."""

    embedding: Tensor
    layers: tuple[Layer, ...]
    output_norm: Vector
    output: Tensor


def load_weights(file: GGUFFile, config: LlamaConfig) -> LlamaWeights:
    """The weights of a model; of the matrices, nothing is read yet.

    Raises
    ------
    GGUFError : a tensor is missing, not known, or of another shape
    """
    if config.layers > len(file.tensors):
        raise GGUFError(
            f"`llama.block_count` is {config.layers}, the file has {len(file.tensors)} tensors"
        )
    tensors = _Tensors(file)
    width = config.embedding
    embedding = tensors.matrix("token_embd", (config.vocab_size, width))
    tied = "output.weight" not in file.tensors
    weights = LlamaWeights(
        embedding=embedding,
        layers=tuple(_layer(tensors, config, f"blk.{i}.") for i in range(config.layers)),
        output_norm=tensors.vector("output_norm", width),
        output=embedding if tied else tensors.matrix("output", (config.vocab_size, width)),
    )
    _refuse(tensors.unused())
    return weights


def check_finite(file: GGUFFile) -> None:
    """None; reads all weights, and raises GGUFError when one is infinity or NaN."""
    for tensor in file.tensors.values():
        if not is_finite(file.data, (tensor.offset, tensor.size), tensor.kind):
            raise GGUFError(f"`{tensor.name}` must be finite. Given: infinity or NaN")


def _layer(tensors: "_Tensors", config: LlamaConfig, prefix: str) -> Layer:
    width, inner = config.embedding, config.feed_forward
    queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
    return Layer(
        attention_norm=tensors.vector(prefix + "attn_norm", width),
        query=tensors.matrix(prefix + "attn_q", (queries, width)),
        key=tensors.matrix(prefix + "attn_k", (keys, width)),
        value=tensors.matrix(prefix + "attn_v", (keys, width)),
        attention_output=tensors.matrix(prefix + "attn_output", (width, queries)),
        feed_forward_norm=tensors.vector(prefix + "ffn_norm", width),
        gate=tensors.matrix(prefix + "ffn_gate", (inner, width)),
        up=tensors.matrix(prefix + "ffn_up", (inner, width)),
        down=tensors.matrix(prefix + "ffn_down", (width, inner)),
    )


class _Tensors:
    """Hands out the tensors of a file by name and shape, and knows which are left."""

    def __init__(self, file: GGUFFile) -> None:
        self._file = file
        self._left = dict(file.tensors)

    def matrix(self, name: str, shape: Shape) -> Tensor:
        tensor = self._take(name, shape)
        if tensor.outputs < TILE:
            raise GGUFError(f"`{tensor.name}` must have >= {TILE} rows. Given: {tensor.outputs}")
        return tensor

    def vector(self, name: str, size: int) -> Vector:
        tensor = self._take(name, (1, size))
        vector = np.empty(size, np.float32)
        dequantise(self._file.data, tensor.offset, tensor.kind, vector)
        return vector

    def _take(self, name: str, shape: Shape) -> Tensor:
        tensor = self._left.pop(f"{name}.weight", None)
        if tensor is None:
            raise GGUFError(f"the tensor `{name}.weight` is missing")
        if (tensor.outputs, tensor.inputs) != shape:
            raise GGUFError(
                f"`{tensor.name}` must have {shape[0]} rows of {shape[1]}."
                f" Given: {tensor.outputs} of {tensor.inputs}"
            )
        return tensor

    def unused(self) -> Iterator[str]:
        return iter(self._left)


def _refuse(unknown: Iterator[str]) -> None:
    names = sorted(unknown)
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        listed = ", ".join(shown(name) for name in names[:3])
        raise GGUFError(f"not supported in a Llama model: {listed}{more}")
