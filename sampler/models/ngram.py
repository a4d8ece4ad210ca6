"""The embedded model `demo-ngram`: a demo, not a language model to rely on.

A byte-pair n-gram of order 4 over three kinds of document (speech, novel, JSON), so small that it
comes inside the package and answers in well under a millisecond. It makes the first command after
installation print something, and gives tests a real model with real text behind it.

The rule of the file: a row of logits follows from the row's token ids alone. What is remembered
for a sequence only saves work, and is checked against the ids before it is used. Sums run in a
fixed order over float64, the logarithm is our own, and nothing is reduced by BLAS, so the bits are
the same on every CPU and in every batch.

How a row is made. Each kind k has its own interpolated n-gram,

    p_k(w | x y z) = a_k(x y z, w) + b_k(x y z) * p_k(w | y z),   down to the uniform distribution

and the row is the mixture sum_k posterior_k * p_k. The posterior is the forward pass of a hidden
Markov model whose state is the kind, with a small chance to switch at every token; a tag such as
``<|json|>`` sets it outright. So a JSON prompt is continued as JSON, tagged or not.

One trie holds all kinds: its first level is the kind, which backing off never drops.

Source: S. Chen and J. Goodman, An Empirical Study of Smoothing Techniques for Language Modeling
(1998), section 3, for the n-grams; M. Herbster and M. Warmuth, Tracking the Best Expert (1998),
section 5 (fixed share), for the mixture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError
from sampler.models.demo import EOS_TOKEN_ID, KINDS, SPECIAL_TOKENS, TAGS
from sampler.models.demo.trie import ORDER, Floats, Ints, Level, unpack

_SWITCH = 0.01  # chance that the kind changes at a token
_NEGLIGIBLE = 2.0**-9  # a kind less probable than this does not enter the mixture
_MAX_STATES = 1024
_EVEN = (1 / len(KINDS),) * len(KINDS)
# What a special token makes of the posterior: a new document, of any kind or of the tag's.
_AFTER_SPECIAL = [
    _EVEN,
    *(tuple((kind in kinds) / len(kinds) for kind in KINDS) for kinds in TAGS.values()),
]

Rows = npt.NDArray[np.float32]
Mixture = tuple[float, ...]


class SequenceView(Protocol):
    """What the model is shown of one sequence."""

    @property
    def id(self) -> object:
        """What tells this sequence from the others."""

    @property
    def token_ids(self) -> npt.ArrayLike:
        """The whole context, oldest token first."""


@dataclass(frozen=True)
class _State:
    """What the model knows after some tokens.

    Attributes
    ----------
    token_ids : the tokens
    nodes : int64[ORDER, kinds], for each n below ORDER the node of the last n tokens, -1 for none
    mixture : the share of each kind in the next token
    """

    token_ids: Ints
    nodes: Ints
    mixture: Mixture


class NgramModel:
    """A model callback: a demo, not a language model to rely on.

    Parameters
    ----------
    levels : the trie of all kinds, see `sampler.models.demo.trie`
    vocab_size : columns of the logits
    """

    name = "demo-ngram"

    def __init__(self, levels: Sequence[Level], vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self._levels = levels
        self._uniform = 1 / (vocab_size - len(TAGS))
        self._unigrams = [self._unigram_row(kind) for kind in range(len(KINDS))]
        self._states: dict[object, _State] = {}
        nothing = np.full((ORDER, len(KINDS)), -1)
        nothing[0] = np.arange(len(KINDS))
        before = _State(np.empty(0, np.int64), nothing, _EVEN)
        nodes, _, mixtures = self._advance(before, np.array([EOS_TOKEN_ID]))
        self._start = _State(before.token_ids, nodes[0], mixtures[0])

    @classmethod
    def load(cls, path: str | Path | None = None) -> "NgramModel":
        """The model of an artefact that ``sampler.models.demo.train`` wrote.

        Parameters
        ----------
        path : the file; None is the one that comes with the package
        """
        embedded = resources.files("sampler.models.demo").joinpath("ngram.npz")
        with (embedded if path is None else Path(path)).open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            return cls(unpack(arrays, len(KINDS)), int(arrays["vocab_size"]))

    def __call__(self, batch: Sequence[SequenceView]) -> Rows:
        """Logits of the next token of each sequence: float32[len(batch), vocab_size].

        They are natural logarithms of probabilities; the tags have -inf.

        Raises
        ------
        InvalidParameterError : a token id that the vocabulary does not have
        """
        logits = np.empty((len(batch), self.vocab_size), np.float32)
        for row, view in enumerate(batch):
            state = self._state_of(view)
            logits[row] = self._logits(state.nodes, state.mixture)
        return logits

    def prompt_logits(self, view: SequenceView) -> Rows:
        """Logits after each token: row i is what a call gives for ``token_ids[: i + 1]``.

        float32[len(token_ids), vocab_size]. Raises as a call does.
        """
        nodes, _, mixtures = self._advance(self._start, self._checked_ids(view.token_ids))
        logits = np.empty((len(mixtures), self.vocab_size), np.float32)
        for row, mixture in enumerate(mixtures):
            logits[row] = self._logits(nodes[row], mixture)
        return logits

    def token_logprobs(self, token_ids: npt.ArrayLike) -> Floats:
        """The natural logarithm of the probability of each token after those before it.

        float64[len(token_ids)]; the first token is taken to begin a document. A tag has -inf.
        """
        ids = self._checked_ids(token_ids)
        _, likelihoods, mixtures = self._advance(self._start, ids)
        weighted = likelihoods * np.array([self._start.mixture, *mixtures[:-1]])
        weighted[(ids > EOS_TOKEN_ID) & (ids < len(SPECIAL_TOKENS))] = 0
        with np.errstate(divide="ignore"):
            logprobs: Floats = np.log(weighted.sum(axis=1))
        return logprobs

    def release(self, id: object) -> None:
        """Nothing; what was kept for the sequence `id` is dropped."""
        self._states.pop(id, None)

    def _state_of(self, view: SequenceView) -> _State:
        """The state after all tokens of a sequence, from the last one kept for it if it fits."""
        ids = self._checked_ids(view.token_ids)
        state = self._states.pop(view.id, self._start)
        if not np.array_equal(state.token_ids, ids[: len(state.token_ids)]):
            state = self._start
        if len(ids) > len(state.token_ids):
            nodes, _, mixtures = self._advance(state, ids[len(state.token_ids) :])
            state = _State(ids.copy(), nodes[-1], mixtures[-1])
        if len(self._states) >= _MAX_STATES:
            del self._states[next(iter(self._states))]
        self._states[view.id] = state
        return state

    def _checked_ids(self, token_ids: npt.ArrayLike) -> Ints:
        ids = np.asarray(token_ids, np.int64)
        if len(ids) and not 0 <= ids.min() <= ids.max() < self.vocab_size:
            wrong = ids[(ids < 0) | (ids >= self.vocab_size)][0]
            raise InvalidParameterError(
                f"`token_ids` must be >= 0 and < {self.vocab_size}. Given: {wrong}"
            )
        return ids

    def _advance(self, state: _State, ids: Ints) -> tuple[Ints, Floats, list[Mixture]]:
        """Three things for each token of `ids`, which follow `state`.

        The nodes after it, int64[n, ORDER, kinds]; its probability for each kind before it came,
        float64[n, kinds]; the mixture after it. To the n-grams every special token is a boundary between documents.
        """
        tokens = np.where(ids < len(SPECIAL_TOKENS), EOS_TOKEN_ID, ids)[:, None]
        probability = np.full((len(ids), len(KINDS)), self._uniform)
        found = np.broadcast_to(state.nodes[0], probability.shape)
        nodes = []
        for order, level in enumerate(self._levels):
            nodes.append(found)
            parents = np.concatenate([state.nodes[order : order + 1], found[:-1]])
            found = level.find(parents, tokens)
            probability = probability * level.backoff[parents] + level.weights[found]
        mixtures = []
        mixture = state.mixture
        for token_id, likelihoods in zip(ids.tolist(), probability.tolist(), strict=True):
            mixture = _next_mixture(mixture, token_id, likelihoods)
            mixtures.append(mixture)
        return np.stack(nodes, axis=1), probability, mixtures

    def _logits(self, nodes: Ints, mixture: Mixture) -> Rows:
        """One row: the mixture of what the kinds expect."""
        row = np.zeros(self.vocab_size)
        for kind, share in enumerate(mixture):
            if share:
                self._add_kind(row, nodes[:, kind].tolist(), kind, share)
        return _log(row)

    def _add_kind(self, row: Floats, nodes: list[int], kind: int, share: float) -> None:
        """Add to `row` what one kind expects, times its `share` of the mixture."""
        for order in range(ORDER - 1, 0, -1):
            level, node = self._levels[order], nodes[order]
            if node >= 0:
                children = slice(level.first[node], level.first[node + 1])
                row[level.tokens[children]] += level.weights[children] * share
                share *= level.backoff[node]
        row += self._unigrams[kind] * share

    def _unigram_row(self, kind: int) -> Floats:
        """What a kind expects when nothing is known of the context: float64[vocab_size]."""
        level = self._levels[0]
        row = np.full(self.vocab_size, self._uniform * level.backoff[kind])
        children = slice(level.first[kind], level.first[kind + 1])
        row[level.tokens[children]] += level.weights[children]
        row[EOS_TOKEN_ID + 1 : len(SPECIAL_TOKENS)] = 0
        return row


def _next_mixture(mixture: Mixture, token_id: int, likelihoods: Sequence[float]) -> Mixture:
    """The mixture after one more token: a step of the forward algorithm."""
    if token_id < len(SPECIAL_TOKENS):
        return _AFTER_SPECIAL[token_id]
    joint = [share * likelihood for share, likelihood in zip(mixture, likelihoods, strict=True)]
    total = _sum(joint)
    switched = [(1 - _SWITCH) * share / total + _SWITCH / len(KINDS) for share in joint]
    total = _sum(switched)
    return tuple(share / total for share in switched)


def _sum(values: Sequence[float]) -> float:
    """The sum, left to right; the built-in `sum` rounds otherwise from Python 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total


def _log(values: Floats) -> Rows:
    """The natural logarithm, rounded to float32; 0 gives -inf.

    Only multiplications, additions and divisions, which IEEE 754 defines to the last bit:
    log(m 2**e) = e log 2 + 2 atanh((m - 1) / (m + 1)) for m in [sqrt(1/2), sqrt(2)), by the series
    of atanh up to s**15. The error is below 1e-12.
    """
    mantissa, exponent = np.frexp(values)
    small = mantissa < 0.7071067811865476
    mantissa = np.where(small, mantissa * 2, mantissa)
    s = (mantissa - 1) / (mantissa + 1)
    square = s * s
    series = np.full(len(values), 1 / 15)
    for divisor in (13, 11, 9, 7, 5, 3, 1):
        series *= square
        series += 1 / divisor
    result = (exponent - small) * 0.6931471805599453 + 2 * s * series
    logarithms = result.astype(np.float32)
    logarithms[values == 0] = -np.inf
    return logarithms
