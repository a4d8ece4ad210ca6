"""A compiled grammar: one automaton over one vocabulary, shared by every text that follows it."""

import os
import threading
import weakref
from collections.abc import Sequence
from itertools import count

from sampler.errors import GrammarError
from sampler.grammar.engine.automaton import Automaton
from sampler.grammar.engine.distinct import DistinctScanner
from sampler.grammar.engine.graph import dot_of
from sampler.grammar.engine.keys import KeyScanner
from sampler.grammar.engine.matcher import GrammarMatcher, Scanner
from sampler.grammar.engine.program import Program
from sampler.grammar.engine.token_block import TokenBlock
from sampler.grammar.engine.tokens import TokenTrie
from sampler.grammar.saving import Origin, write_grammar
from sampler.limits import AutomatonLimits

_blocks: "weakref.WeakKeyDictionary[TokenTrie, TokenBlock]" = weakref.WeakKeyDictionary()


_grammars: "weakref.WeakSet[CompiledGrammar]" = weakref.WeakSet()
_numbers = count()


class CompiledGrammar:
    """Thread-safe, and the same for everybody, though it learns as texts are followed.

    Parameters
    ----------
    program : what is followed
    token_trie : the tokens of the vocabulary
    warnings : what is only annotated, or narrower than the schema asks for
    distinct_keys : whether no object may have the same key twice (texts are then JSON)
    compares_items : whether items of arrays must be distinct too
    keys_run_out : whether an object may have had all keys that begin in some way
    limits : what the automaton may take
    origin : what it was compiled from

    Attributes
    ----------
    warnings : as given, a list
    tokens : as given, `token_trie`
    lock : nobody but who holds it may use an automaton of this grammar
    number : locks of several grammars are taken in this order

    Raises
    ------
    GrammarError : the vocabulary cannot spell any text of the language
    GrammarLimitError : a limit is passed at the beginning already
    """

    def __init__(
        self,
        program: Program,
        token_trie: TokenTrie,
        warnings: Sequence[str] = (),
        distinct_keys: bool = False,
        compares_items: bool = False,
        keys_run_out: bool = False,
        limits: AutomatonLimits | None = None,
        origin: Origin | None = None,
    ) -> None:
        self._origin = origin
        self.tokens = token_trie
        self.warnings = list(warnings)
        self.distinct_keys = distinct_keys
        self._compares_items, self._keys_run_out = compares_items, keys_run_out
        self._program = program
        self._block = _block_of(token_trie)
        if self._block.unspelled:
            self.warnings.append(
                "vocabulary: texts that need a byte that is no token by itself are left out:"
                f" {self._block.unspelled!r}"
            )
        self._limits = limits or AutomatonLimits()
        self.lock = threading.Lock()
        self.number = next(_numbers)
        self._begin()
        if not self._start:
            raise GrammarError("the tokens of this vocabulary cannot spell any matching text")
        _grammars.add(self)

    def _begin(self) -> None:
        """With an automaton that has been nowhere yet."""
        self._automaton = Automaton(self._program, self._block, self._limits)
        self._distinct: DistinctScanner | None = None
        if self._compares_items or self._keys_run_out:
            self._distinct = DistinctScanner(self._automaton, None, self._compares_items)
        self._start = self._automaton.start()

    def write_ahead(self, seconds: float) -> None:
        """None; does for about `seconds` what the first masks will need, and would wait for."""
        with self.lock:
            self._automaton.write_ahead(seconds)

    def matcher(self) -> GrammarMatcher:
        """A new matcher at the beginning of the text."""
        with self.lock:
            if self._automaton.is_half_full:
                self._begin()  # the matchers that there are keep theirs until they end
            scans_keys = self.distinct_keys and not self._keys_run_out
            keys = KeyScanner(self._block) if scans_keys else None
            scanner: Scanner | None = keys
            if self._distinct is not None:
                scanner = self._distinct.beside(keys)
            return GrammarMatcher(self, self._automaton, self._start, scanner)

    def save(self, path: str | os.PathLike[str]) -> None:
        """None; writes a file that `GrammarCompiler.load` makes this grammar of again.

        Raises
        ------
        GrammarError : it was not compiled by a GrammarCompiler
        OSError : the file cannot be written
        """
        if self._origin is None:
            raise GrammarError("only what a GrammarCompiler has compiled can be saved")
        write_grammar(path, self._origin, self.tokens.digest)

    def to_dot(self, max_positions: int = 200) -> str:
        """The automaton of all texts, from their beginning on, as a graph for Graphviz.

        A circle is a place in the text, a double one where it may end; what stands at an arrow are
        the bytes that lead on. That the keys of an object must differ is not seen in it.

        Parameters
        ----------
        max_positions : >= 1

        Raises
        ------
        GrammarLimitError : there are more positions, as in all grammars that nest without a bound
        """
        with self.lock:
            return dot_of(self._automaton, self._start, max_positions)

    @property
    def is_worn(self) -> bool:
        """Whether the languages of its texts have grown so far that it is better compiled anew."""
        return any(text.dfa.is_half_full for text in self._program.texts)

    @property
    def nbytes(self) -> int:
        """The memory that this grammar takes now, in bytes."""
        return self._automaton.nbytes


def _block_of(trie: TokenTrie) -> TokenBlock:
    block = _blocks.get(trie)
    if block is None:
        block = _blocks[trie] = TokenBlock(trie)
    return block


# A process that forks waits until no other thread changes a grammar: the child, which has the
# memory but not the threads, would find it half changed.
_held: list[CompiledGrammar] = []


def _hold_all() -> None:
    _held.extend(sorted(_grammars, key=lambda grammar: grammar.number))
    for grammar in _held:
        grammar.lock.acquire()


def _release_all() -> None:
    while _held:
        _held.pop().lock.release()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_release_all)
