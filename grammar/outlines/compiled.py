"""A compiled grammar: one automaton over one vocabulary, shared by every sequence that uses it."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sampler.errors import GrammarError
from sampler.forking import call_in_children
from sampler.grammar.bitmask import words_per_row
from sampler.grammar.budget import check_time
from sampler.grammar.outlines.automaton import DEAD, Bools, ByteAutomaton, can_reach
from sampler.grammar.outlines.distinct_keys import KeyScanner, QuotedTokens
from sampler.grammar.outlines.matcher import GrammarMatcher
from sampler.grammar.outlines.token_tree import TokenTree, ranges

MASK_CACHE_BYTES = 16 << 20


class CompiledGrammar:
    """Immutable and thread-safe; made by `GrammarCompiler`. `matcher()` follows one text.

    Attributes
    ----------
    warnings : what is only annotated, or narrower than the schema asks for

    Raises
    ------
    GrammarError : the vocabulary cannot spell any text of the language
    """

    def __init__(
        self,
        automaton: ByteAutomaton,
        tree: TokenTree,
        quoted_tokens: QuotedTokens | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        self.automaton = automaton
        self.tree = tree
        self.quoted_tokens = quoted_tokens
        self.warnings = list(warnings)
        self.completable = _completable(automaton, tree)
        if not self.completable[automaton.initial]:
            raise GrammarError("the tokens of this vocabulary cannot spell any matching text")
        self._words = words_per_row(tree.vocab_size)
        self._masks: OrderedDict[int, npt.NDArray[np.int32]] = OrderedDict()
        self._begin_anew()
        call_in_children(self._begin_anew)

    def _begin_anew(self) -> None:
        """With a lock that is free: at first, and in a forked process."""
        self._lock = threading.Lock()

    def matcher(self) -> GrammarMatcher:
        """A new matcher at the beginning of the text."""
        scanner = KeyScanner() if self.quoted_tokens is not None else None
        return GrammarMatcher(self, self.automaton.initial, scanner)

    @property
    def is_worn(self) -> bool:
        """False: nothing of it grows."""
        return False

    @property
    def nbytes(self) -> int:
        """An upper bound of the memory this grammar takes, in bytes, kept masks included."""
        masks = len(self.automaton.accepting) * self._words * 4
        return self.automaton.nbytes + self.completable.nbytes + min(masks, MASK_CACHE_BYTES)

    def mask(self, state: int) -> npt.NDArray[np.int32]:
        """``int32[ceil(vocab / 32)]``: the tokens allowed in `state`, ends of sequence included.

        Kept for the next visit (the least recently used one goes first); not to be written to.
        """
        with self._lock:
            known = self._masks.get(state)
            if known is not None:
                self._masks.move_to_end(state)
                return known
        words = self._walked_mask(state)
        with self._lock:
            self._masks[state] = words
            while len(self._masks) > max(1, MASK_CACHE_BYTES // words.nbytes):
                self._masks.popitem(last=False)
        return words

    def _walked_mask(self, state: int) -> npt.NDArray[np.int32]:
        nodes, states = self.automaton.walk(state, self.tree)
        nodes = nodes[self.completable[states]]
        allowed = np.zeros(self._words * 32, dtype=np.bool_)
        allowed[
            self.tree.token_ids[ranges(self.tree.first_token[nodes], self.tree.token_count[nodes])]
        ] = True
        if self.automaton.accepting[state]:
            allowed[list(self.tree.eos_token_ids)] = True
        return np.packbits(allowed, bitorder="little").view("<i4").astype(np.int32, copy=False)

    def advance(self, state: int, data: bytes) -> int:
        """The state after `data`; `DEAD` where no token could complete the text."""
        state = self.automaton.advance(state, data)
        return state if state != DEAD and self.completable[state] else DEAD


def _completable(automaton: ByteAutomaton, tree: TokenTree) -> Bools:
    """``bool[states]``: whether tokens of `tree` lead from a state to an accepting one.

    A vocabulary with a token for every single byte in use can spell whatever bytes can; others
    are followed token by token.
    """
    if bool(tree.single_bytes[automaton.used_bytes()].all()):
        return np.ones(len(automaton.accepting), dtype=np.bool_)
    sources, targets = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for state in range(len(automaton.accepting)):
        check_time()
        reached = np.unique(automaton.walk(state, tree)[1])
        sources.append(np.full(len(reached), state))
        targets.append(reached)
    return can_reach(automaton.accepting, np.concatenate(sources), np.concatenate(targets))
