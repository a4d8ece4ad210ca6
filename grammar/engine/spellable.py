"""Vocabularies that have no token for some byte: which texts their tokens can still spell.

Such a byte is never allowed, even where a longer token has it; so a text is left out whole if it
needs one, and none ends up where only such a byte could follow. Almost every vocabulary has a token
for each byte that text can have, and nothing of this is used.

Rejected: following the tokens instead of their bytes. Whether some sequence of tokens completes a
text would have to be searched in an automaton that has no end.
"""

import numpy as np
import numpy.typing as npt

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar.engine.program import Op, Program, Spelling
from sampler.grammar.text.dfa import TextDfa

MAX_STATES = 10_000  # of a language, that are searched for a text
_PRINTABLE = range(0x20, 0x7F)

Flags = npt.NDArray[np.bool_]


def spellable_points(usable: Flags) -> Flags:
    """bool[0x110000]: the code points that can be written in UTF-8 with `usable`, bool[256]."""
    points = np.zeros(0x110000, np.bool_)
    points[:0x80] = usable[:0x80]
    for low, high, lead, tails in (
        (0x80, 0x800, 0xC0, 1),
        (0x800, 0x10000, 0xE0, 2),
        (0x10000, 0x110000, 0xF0, 3),
    ):
        numbers = np.arange(low, high)
        points[low:high] = usable[lead | numbers >> 6 * tails]
        for tail in range(tails):
            points[low:high] &= usable[0x80 | numbers >> 6 * tail & 0x3F]
    points[0xD800:0xE000] = False
    return points


def check_cells(program: Program, first: int, usable: Flags) -> None:
    """None; raises GrammarError if a cell from `first` on needs a byte that is not usable."""
    is_whole = bool(usable[list(_PRINTABLE)].all())
    for op, argument in zip(program.ops[first:], program.arguments[first:], strict=True):
        bytes_taken: Flags | None = None
        if op == Op.BYTE:
            bytes_taken = np.arange(256) == argument
        elif op == Op.BYTES:
            bytes_taken = np.frombuffer(program.byte_sets[argument], np.uint8) != 0
        if bytes_taken is not None and not (bytes_taken & usable).any():
            raise GrammarError(
                "the tokens of this vocabulary cannot spell what the grammar asks for: none is"
                f" byte {bytes([int(bytes_taken.argmax())])!r} by itself"
            )
        in_string = op == Op.CHARACTER or (
            op == Op.TEXT and program.texts[argument].spelling != Spelling.RAW
        )
        if in_string and not is_whole:
            missing = bytes(byte for byte in _PRINTABLE if not usable[byte])
            raise GrammarError(
                "the tokens of this vocabulary cannot spell all strings of JSON: none is one of the"
                f" bytes {missing!r} by itself"
            )


class SpellableDfa(TextDfa):
    """The texts of `dfa` in which every character is one of `points`."""

    def __init__(self, dfa: TextDfa, points: Flags) -> None:
        self._dfa = dfa
        self.class_starts = dfa.class_starts
        self.class_ids = dfa.class_ids
        self.class_count = dfa.class_count
        in_run = np.logical_or.reduceat(points, np.asarray(dfa.class_starts))
        self._spellable = [False] * dfa.class_count
        for number, has_some in zip(dfa.class_ids, in_run.tolist(), strict=True):
            self._spellable[number] |= has_some
        self._lives = {0: False}
        self.start = dfa.start if self._is_live(dfa.start) else 0

    def row(self, state: int) -> list[int]:
        """As `TextDfa.row`."""
        return [after if self._is_live(after) else 0 for after in self._reached(state)]

    def is_accepting(self, state: int) -> bool:
        """As `TextDfa.is_accepting`."""
        return self._dfa.is_accepting(state)

    def takes_everything(self, state: int) -> bool:
        """False: nothing is known."""
        return False

    @property
    def excluded_words(self) -> None:
        """Nothing is known."""
        return None

    def _reached(self, state: int) -> list[int]:
        pairs = zip(self._dfa.row(state), self._spellable, strict=True)
        return [after if is_spellable else 0 for after, is_spellable in pairs]

    def _is_live(self, state: int) -> bool:
        """Whether a text leads from `state` to an end."""
        known = self._lives.get(state)
        if known is None:
            known = self._lives[state] = self._finds_an_end(state)
        return known

    def _finds_an_end(self, state: int) -> bool:
        seen, work = {state}, [state]
        while work:
            one = work.pop()
            if self._lives.get(one) or self._dfa.is_accepting(one):
                return True
            new = set(self._reached(one)) - seen - {0}
            seen |= new
            work += new
            if len(seen) > MAX_STATES:
                raise GrammarLimitError("states that are searched for a text", "more", MAX_STATES)
        self._lives.update(dict.fromkeys(seen, False))
        return False
