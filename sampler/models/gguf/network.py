"""The forward pass: rows of tokens through the layers to hidden states, and on to logits.

A row is one token of one sequence at one position. Rows see each other only through the cache of
keys and values, which all rows of a call enter before any of them looks.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sampler.forking import call_in_children
from sampler.kernels.llama import attend, gate, remember, rms_norm, rotate, rotations
from sampler.kernels.numeric import exp_of_negative, log
from sampler.kernels.quantised import TILE, dequantise, product, row_bytes
from sampler.models.gguf.cache import Ids
from sampler.models.gguf.llama import Layer, LlamaConfig, load_weights
from sampler.models.gguf.reader import Bytes, GGUFFile, Tensor

WORTH_SHARING = 1 << 22  # multiplications; fewer take no longer than waking another thread

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some tokens to go through the layers, any sequences mixed, each sequence in order.

    Attributes
    ----------
    token_ids : int64[rows]
    positions : int64[rows], from 0
    sequences : int64[rows], which of the `tables` a row belongs to
    tables : int64[sequences, blocks], where the keys and values of a sequence are in the cache
    """

    token_ids: Ids
    positions: Ids
    sequences: Ids
    tables: Ids

    def __getitem__(self, part: slice) -> "Rows":
        """Some of the rows."""
        return Rows(self.token_ids[part], self.positions[part], self.sequences[part], self.tables)


class LlamaNetwork:
    """The layers of one model.

    Parameters
    ----------
    file : holds the weights
    config : the sizes
    max_rows : that one call of `forward` may have
    threads : that share each product
    """

    def __init__(self, file: GGUFFile, config: LlamaConfig, max_rows: int, threads: int) -> None:
        self.max_rows = max_rows
        self._config = config
        self._weights = load_weights(file, config)
        inner = max(config.embedding, config.feed_forward, config.heads * config.head_size)
        self._products = _Products(file.data, inner, threads)
        self._data = file.data
        self._frequencies = _frequencies(config)
        self._scores = np.empty(config.context_length, np.float32)
        queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
        widths = {
            "hidden": config.embedding,
            "normed": config.embedding,
            "queries": queries,
            "keys": keys,
            "values": keys,
            "attended": queries,
            "gate": config.feed_forward,
            "up": config.feed_forward,
        }
        self._work = {
            name: np.empty((max_rows, width), np.float32) for name, width in widths.items()
        }
        self._rotation = np.empty((max_rows, config.head_size // 2, 2), np.float32)

    def forward(self, rows: Rows, cache: Floats) -> Floats:
        """The hidden states after all layers, float32[rows, embedding]; valid until the next call.

        Parameters
        ----------
        rows : at most `max_rows`
        cache : the blocks of keys and values, written to
        """
        count = len(rows.token_ids)
        work = {name: array[:count] for name, array in self._work.items()}
        embedding = self._weights.embedding
        step = row_bytes(embedding.kind, embedding.inputs)
        for row, token_id in enumerate(rows.token_ids.tolist()):
            at = embedding.offset + token_id * step
            dequantise(self._data, at, embedding.kind, work["hidden"][row])
        rotation = self._rotation[:count]
        rotations(rows.positions, self._frequencies, rotation)
        for number, layer in enumerate(self._weights.layers):
            self._attention(number, layer, rows, (work, rotation, cache))
            self._feed_forward(layer, work)
        self._norm(work["hidden"], self._weights.output_norm, work["normed"])
        return work["normed"]

    def logits(self, hidden: Floats) -> Floats:
        """The logits after hidden states of `forward`: float32[rows, vocab_size]."""
        logits = np.empty((len(hidden), self._config.vocab_size), np.float32)
        self._products.fill(self._weights.output, hidden, logits)
        return logits

    def _attention(
        self,
        number: int,
        layer: Layer,
        rows: Rows,
        arrays: tuple[dict[str, Floats], Floats, Floats],
    ) -> None:
        work, rotation, cache = arrays
        where = rows.positions, rows.sequences, rows.tables
        normed, queries, keys, values = (
            work[name] for name in ("normed", "queries", "keys", "values")
        )
        self._norm(work["hidden"], layer.attention_norm, normed)
        self._products.fill(layer.query, normed, queries)
        self._products.fill(layer.key, normed, keys)
        self._products.fill(layer.value, normed, values)
        rotate(queries, rotation)
        rotate(keys, rotation)
        remember(where, number, keys, values, cache)
        attend(where, number, queries, cache, self._scores, work["attended"])
        self._products.fill(layer.attention_output, work["attended"], normed)
        np.add(work["hidden"], normed, out=work["hidden"])

    def _feed_forward(self, layer: Layer, work: dict[str, Floats]) -> None:
        hidden, normed, gated, up = (work[name] for name in ("hidden", "normed", "gate", "up"))
        self._norm(hidden, layer.feed_forward_norm, normed)
        self._products.fill(layer.gate, normed, gated)
        self._products.fill(layer.up, normed, up)
        gate(gated, up)
        self._products.fill(layer.down, gated, normed)
        np.add(hidden, normed, out=hidden)

    def _norm(self, x: Floats, weight: Floats, out: Floats) -> None:
        rms_norm(x, weight, self._config.epsilon, out)


class _Products:
    """Products with the weights of a file, the outputs shared among threads."""

    def __init__(self, data: Bytes, max_inputs: int, threads: int) -> None:
        self._data = data
        self._work = [np.empty((TILE, max_inputs), np.float32) for _ in range(threads)]
        self._begin_anew()
        call_in_children(self._begin_anew)

    def _begin_anew(self) -> None:
        """With threads of its own: at first, and in a forked process, where it has none."""
        threads = len(self._work)
        self._pool = ThreadPoolExecutor(threads, "sampler-products") if threads > 1 else None

    def fill(self, tensor: Tensor, x: Floats, y: Floats) -> None:
        """Fills y[r, o] with the products of rows of `x` and the outputs of `tensor`."""
        where = tensor.offset, tensor.kind
        if self._pool is None or x.size * tensor.outputs < WORTH_SHARING:
            product(self._data, where, (0, tensor.outputs), x, y, self._work[0])
            return
        tiles, threads = tensor.outputs // TILE, len(self._work)
        bounds = [i * tiles // threads * TILE for i in range(threads)]
        others = []
        for start, stop, work in zip(
            bounds, [*bounds[1:], tensor.outputs], self._work, strict=True
        ):
            if start < stop:
                arguments = self._data, where, (start, stop), x, y, work
                others.append(self._pool.submit(product, *arguments))
        for other in others:
            other.result()


def _frequencies(config: LlamaConfig) -> npt.NDArray[np.float64]:
    """base**(-2 i / size) radians per position, for each pair i of a head."""
    logarithm = log(config.rotation_base)
    size = config.head_size
    return np.array([exp_of_negative(-2 * i / size * logarithm) for i in range(size // 2)])
