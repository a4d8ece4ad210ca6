"""A compiled grammar: one automaton over one vocabulary, shared by every text that follows it."""

import threading
import weakref
from collections.abc import Sequence

from sampler.errors import GrammarError
from sampler.forking import call_in_children
from sampler.grammar.engine.automaton import Automaton
from sampler.grammar.engine.limits import AutomatonLimits
from sampler.grammar.engine.matcher import GrammarMatcher
from sampler.grammar.engine.program import Program
from sampler.grammar.engine.token_block import TokenBlock
from sampler.grammar.engine.tokens import TokenTrie

_blocks: "weakref.WeakKeyDictionary[TokenTrie, TokenBlock]" = weakref.WeakKeyDictionary()


class CompiledGrammar:
    """Thread-safe, and the same for everybody, though it learns as texts are followed.

    Parameters
    ----------
    program : what is followed
    token_trie : the tokens of the vocabulary
    warnings : what is only annotated, or narrower than the schema asks for
    distinct_keys : whether no object may have the same key twice (texts are then JSON)
    limits : what the automaton may take

    Attributes
    ----------
    warnings : as given, a list

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
        limits: AutomatonLimits | None = None,
    ) -> None:
        self.tokens = token_trie
        self.warnings = list(warnings)
        self.distinct_keys = distinct_keys
        self.automaton = Automaton(program, _block_of(token_trie), limits or AutomatonLimits())
        self._begin_anew()
        call_in_children(self._begin_anew)
        self._start = self.automaton.start()
        if not self._start:
            raise GrammarError("the tokens of this vocabulary cannot spell any matching text")

    def _begin_anew(self) -> None:
        """With a lock that is free: at first, and in a forked process."""
        self.lock = threading.Lock()

    def matcher(self) -> GrammarMatcher:
        """A new matcher at the beginning of the text."""
        return GrammarMatcher(self, self._start)

    @property
    def nbytes(self) -> int:
        """The memory that this grammar takes now, in bytes."""
        return self.automaton.nbytes


def _block_of(trie: TokenTrie) -> TokenBlock:
    block = _blocks.get(trie)
    if block is None:
        block = _blocks[trie] = TokenBlock(trie)
    return block
