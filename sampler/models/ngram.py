"""The embedded model `demo-ngram`: a demo, not a language model to rely on.

An n-gram of order 4 over byte-pair tokens, trained on speeches, a novel and JSON, so small that it
comes inside the package and answers in well under a millisecond. It makes the first command after
installation print something, and gives tests a real model with real text behind it.

The rule of the file: a row of logits follows from the row's token ids alone. What is remembered
for a sequence only saves work, and is checked against the ids before it is used. Sums run in a
fixed order over float64, the logarithm is our own, and nothing is reduced by BLAS, so the bits are
the same on every CPU and in every batch.

How a row is made. Each kind k has its own interpolated n-gram,

    p_k(w | x y z) = a_k(x y z, w) + b_k(x y z) * p_k(w | y z),   down to the uniform distribution

and the row is the mixture sum_k posterior_k * p_k. The posterior is the forward pass of a hidden
Markov model whose state is the kind, with a small chance to switch at every token. So a JSON prompt
is continued as JSON. A tag such as ``<|json|>`` leaves only the kinds that it names.

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
from sampler.models.demo.trie import ORDER, Floats, Ints, Trie, unpack

_SWITCH = 0.002  # chance that the kind changes at a token
_NEGLIGIBLE = 0.01  # a kind with a smaller share has no say in the next token
_MAX_KNOWN = 1024  # sequences whose state is kept
_BITS_OF_ROOT_HALF = 0x3FE6A09E667F3BCD
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
    nodes : int64[ORDER, kinds], for each n below ORDER the node of the last n tokens, -1 for none
    prior : the mixture that the document began with
    mixture : the share of each kind in the next token
    """

    nodes: Ints
    prior: Mixture
    mixture: Mixture


class NgramModel:
    """A model callback: a demo, not a language model to rely on.

    Parameters
    ----------
    trie : the n-grams of all kinds
    vocab_size : columns of the logits
    """

    name = "demo-ngram"

    def __init__(self, trie: Trie, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self._trie = trie
        self._uniform = 1 / (vocab_size - len(TAGS))
        self._unigrams = [self._unigram_row(kind) for kind in range(len(KINDS))]
        nothing = np.full((ORDER, len(KINDS)), -1)
        nothing[0] = np.arange(len(KINDS))
        self._start, _ = self._step(_State(nothing, _EVEN, _EVEN), EOS_TOKEN_ID)
        self._known: dict[object, tuple[Ints, _State]] = {}  # by id: the tokens, the state after

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
            logits[row] = self._logits(self._state_of(view))
        return logits

    def prompt_logits(self, view: SequenceView) -> Rows:
        """Logits after each token: row i is what a call gives for ``token_ids[: i + 1]``.

        float32[len(token_ids), vocab_size]. Raises as a call does.
        """
        ids = np.asarray(view.token_ids, np.int64)
        logits = np.empty((len(ids), self.vocab_size), np.float32)
        for row, (state, _) in enumerate(self._walk(self._start, ids)):
            logits[row] = self._logits(state)
        return logits

    def token_logprobs(self, token_ids: npt.ArrayLike) -> Floats:
        """The natural logarithm of the probability of each token after those before it.

        float64[len(token_ids)]; the first token is taken to begin a document. A tag has -inf.
        Raises as a call does.
        """
        ids = np.asarray(token_ids, np.int64)
        probability = np.array([likelihood for _, likelihood in self._walk(self._start, ids)])
        probability[(ids > EOS_TOKEN_ID) & (ids < len(SPECIAL_TOKENS))] = 0
        with np.errstate(divide="ignore"):
            logprobs: Floats = np.log(probability)
        return logprobs

    def release(self, id: object) -> None:
        """Nothing; what was kept for the sequence `id` is dropped."""
        self._known.pop(id, None)

    def _state_of(self, view: SequenceView) -> _State:
        """The state after all tokens of a sequence, going on from what is known of it."""
        ids = np.array(view.token_ids, np.int64)
        past, state = self._known.pop(view.id, (ids[:0], self._start))
        if not np.array_equal(past, ids[: len(past)]):
            past, state = ids[:0], self._start
        if steps := self._walk(state, ids[len(past) :]):
            state, _ = steps[-1]
        if len(self._known) >= _MAX_KNOWN:
            for oldest in list(self._known)[:1]:  # which another thread may drop meanwhile
                self._known.pop(oldest, None)
        self._known[view.id] = ids, state
        return state

    def _walk(self, state: _State, token_ids: Ints) -> list[tuple[_State, float]]:
        """The state after each token, and the probability that the token had."""
        steps = []
        for token_id in token_ids.tolist():
            if not 0 <= token_id < self.vocab_size:
                raise InvalidParameterError(
                    f"`token_ids` must be >= 0 and < {self.vocab_size}. Given: {token_id}"
                )
            state, likelihood = self._step(state, token_id)
            steps.append((state, likelihood))
        return steps

    def _step(self, state: _State, token_id: int) -> tuple[_State, float]:
        """The state after one more token, and the probability that it had.

        The n-grams take every special token for the boundary between documents.
        """
        special = token_id < len(SPECIAL_TOKENS)
        found = self._trie.find(state.nodes, EOS_TOKEN_ID if special else token_id)
        likelihoods = [self._uniform] * len(KINDS)
        backoff, weights = self._trie.backoff[state.nodes], self._trie.weights[found]
        for left, added in zip(backoff.tolist(), weights.tolist(), strict=True):
            likelihoods = [
                likelihood * left[kind] + added[kind] for kind, likelihood in enumerate(likelihoods)
            ]
        nodes = state.nodes.copy()
        nodes[1:] = found[:-1]
        if special:
            after = _State(nodes, _AFTER_SPECIAL[token_id], _AFTER_SPECIAL[token_id])
        else:
            after = _State(nodes, state.prior, _posterior(state, likelihoods))
        return after, _dot(_without_negligible(state.mixture), likelihoods)

    def _logits(self, state: _State) -> Rows:
        """One row: the mixture of what the kinds expect."""
        row = np.zeros(self.vocab_size)
        for kind, share in enumerate(_without_negligible(state.mixture)):
            if share:
                self._add_kind(row, state.nodes[:, kind].tolist(), kind, share)
        return _log(row)

    def _add_kind(self, row: Floats, nodes: list[int], kind: int, share: float) -> None:
        """Add to `row` what one kind expects, times its `share` of the mixture."""
        for node in reversed(nodes[1:]):
            if node >= 0:
                tokens, weights = self._trie.children(node)
                row[tokens] += weights * share
                share *= self._trie.backoff[node]
        row += self._unigrams[kind] * share

    def _unigram_row(self, kind: int) -> Floats:
        """What a kind expects when nothing is known of the context: float64[vocab_size]."""
        row = np.full(self.vocab_size, self._uniform * self._trie.backoff[kind])
        tokens, weights = self._trie.children(kind)
        row[tokens] += weights
        row[EOS_TOKEN_ID + 1 : len(SPECIAL_TOKENS)] = 0
        return row


def _posterior(state: _State, likelihoods: Sequence[float]) -> Mixture:
    """The mixture after a token of these likelihoods: a step of the forward algorithm."""
    total = _dot(state.mixture, likelihoods)
    return tuple(
        (1 - _SWITCH) * share * likelihood / total + _SWITCH * initial
        for share, likelihood, initial in zip(state.mixture, likelihoods, state.prior, strict=True)
    )


def _without_negligible(mixture: Mixture) -> Mixture:
    """The same mixture of fewer kinds, so that a text does not slip into another kind by chance."""
    large = [1.0 if share >= _NEGLIGIBLE else 0.0 for share in mixture]
    total = _dot(mixture, large)
    return tuple(share * said / total for share, said in zip(mixture, large, strict=True))


def _dot(mixture: Mixture, values: Sequence[float]) -> float:
    """The sum of products, left to right: `sum` itself rounds otherwise from Python 3.12 on."""
    total = 0.0
    for share, value in zip(mixture, values, strict=True):
        total += share * value
    return total


def _log(values: Floats) -> Rows:
    """The natural logarithm, rounded to float32; 0 gives -inf.

    Only operations that IEEE 754 defines to the last bit: a value is m 2**e with m from sqrt(1/2)
    to sqrt(2), and log m = 2 atanh(s), s = (m - 1) / (m + 1), by the series of atanh up to s**11.
    The error is below 1e-10.
    """
    bits = values.view(np.int64)
    exponent = (bits - _BITS_OF_ROOT_HALF) >> 52
    mantissa = (bits - (exponent << 52)).view(np.float64)
    s = (mantissa - 1) / (mantissa + 1)
    square = s * s
    series = square * (2 / 11)
    for divisor in (9, 7, 5, 3):
        series += 2 / divisor
        series *= square
    series += 2
    result = exponent * 0.6931471805599453 + s * series
    logarithms = result.astype(np.float32)
    logarithms[values == 0] = -np.inf
    return logarithms
