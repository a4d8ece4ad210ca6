"""The states of texts as the kernels have them: numbered through, with rows of the next ones."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar.engine.arrays import AutomatonArrays
from sampler.grammar.engine.program import Spelling, Text
from sampler.grammar.engine.spellable import SpellableDfa
from sampler.grammar.text.dfa import TextDfa
from sampler.kernels.grammar import memory

_SURROGATES = 0xD800
_ENDLESS = 1 << 40
_FEW_CHARACTERS = 4096  # of words that are brought at once
_NEVER_PLAIN = (0x22, 0x5C)


class _Language:
    """A `TextDfa` and the numbers of its states; `has_window` if lengths are counted beside it."""

    def __init__(self, dfa: TextDfa, classes: int, has_window: bool) -> None:
        self.dfa = dfa
        self.classes = classes  # where its classes begin
        self.has_window = has_window
        self.numbers = {0: 0}
        self._plain: frozenset[int] | None = None

    def loops(self, state: int, row: list[int]) -> bool:
        """Whether every plain character leads from `state` back to it."""
        if self._plain is None:
            self._plain = _plain_classes(self.dfa)
        return all(row[number] == state for number in self._plain)


class TextStates:
    """Numbers the states of all texts of an automaton and brings their rows to its arrays.

    `points` are the code points that can be spelled (bool[0x110000]), None for all; `max_states`
    is how many there may be.

    Not thread-safe.
    """

    def __init__(
        self, arrays: AutomatonArrays, points: npt.NDArray[np.bool_] | None, max_states: int
    ) -> None:
        self._points = points
        self._max_states = max_states
        self._narrowed: dict[int, SpellableDfa] = {}
        self._arrays = arrays
        self._languages: dict[tuple[int, bool], _Language] = {}
        self._states: list[tuple[_Language, int] | None] = [None]  # 0 is dead
        self._texts = 0
        self._class_words = 0
        self._row_words = 1
        self._reach = 0

    def __len__(self) -> int:
        return len(self._states)

    def read(self, texts: list[Text]) -> None:
        """None; brings the texts that are more than before."""
        if len(texts) == self._texts:
            return
        size = memory.TEXT_SIZE
        table = self._arrays.room(memory.TEXTS, size * len(texts))
        for number in range(self._texts, len(texts)):
            text = texts[number]
            window = _window(text)
            language = self._language(self._spellable(text), window[1] >= 0)
            start = self._number(language, language.dfa.start)
            fields = (language.classes, int(text.spelling), *window, start)
            table[size * number : size * (number + 1)] = fields
        self._texts = len(texts)

    def load_row(self, number: int) -> None:
        """None; brings the row of text state `number`."""
        known = self._states[number]
        assert known is not None
        language, state = known
        dfa = language.dfa
        words = dfa.excluded_words if state == dfa.start and not language.has_window else None
        if words is not None and sum(map(len, words)) <= _FEW_CHARACTERS:
            self._load_all_but(words, language, number)
            return
        row = dfa.row(state)
        numbers = language.numbers
        after = [numbers[s] if s in numbers else self._number(language, s) for s in row]
        end = self._row_words + len(row)
        rows = self._arrays.room(memory.TEXT_ROWS, end)
        rows[self._row_words : end] = after
        at = number * memory.TEXT_STATE_SIZE
        states = self._arrays.room(memory.TEXT_STATES, at)
        states[at + memory.TEXT_ROW] = self._row_words
        if dfa.takes_everything(state):
            states[at + memory.TEXT_FLAGS] |= memory.TAKES_EVERYTHING
            if language.loops(state, row):
                states[at + memory.TEXT_FLAGS] |= memory.LOOPS
            if dfa.is_accepting(state) and all(following == state for following in row[1:]):
                states[at + memory.TEXT_FLAGS] |= memory.FREE_TEXT
        self._row_words = end

    def _load_all_but(self, words: Sequence[str], language: _Language, number: int) -> None:
        """None; brings the rows of all states of a language that has all texts but `words`.

        They are the nodes of the words as a tree, and one for whatever has left it: known without
        derivatives, and all at once. The keys of most objects are such a language.
        """
        dfa, size = language.dfa, memory.TEXT_STATE_SIZE
        before, letters, ends = _tree_of(words)
        nodes = len(before)  # of which each has a row, after that of the beginning and of `away`
        away, end = len(self._states), len(self._states) + 1 + nodes
        self._states.extend([(language, 0)] * (end - away))
        rows = np.full((nodes + 2, dfa.class_count), away, np.int32)
        rows[before, _classes_of(dfa, letters)] = np.arange(away + 1, end)
        rows[:, 0] = 0  # surrogates
        flags = np.full(nodes + 2, memory.TAKES_EVERYTHING | memory.ACCEPTING, np.int32)
        flags[ends] = memory.TAKES_EVERYTHING
        flags[1] |= memory.LOOPS | memory.FREE_TEXT
        places = np.arange(self._row_words, self._row_words + rows.size, dfa.class_count)
        self._row_words += rows.size
        table = self._arrays.room(memory.TEXT_ROWS, self._row_words)
        table[places[0] : self._row_words] = rows.ravel()
        states = self._arrays.room(memory.TEXT_STATES, size * end)
        for field, values in ((memory.TEXT_ROW, places), (memory.TEXT_FLAGS, flags)):
            states[size * number + field] = values[0]
            states[size * away + field : size * end : size] = values[1:]

    def _spellable(self, text: Text) -> TextDfa:
        """The texts that the vocabulary can spell; in JSON strings that is all, with escapes."""
        points = self._points if text.spelling == Spelling.RAW else None
        if points is None:
            return text.dfa
        if text.max_length >= 0 or text.min_length > 0:
            raise GrammarError(
                "the tokens of this vocabulary cannot spell all characters, so the number of"
                " characters of a text cannot be bounded"
            )
        key = id(text.dfa)
        if key not in self._narrowed:
            self._narrowed[key] = SpellableDfa(text.dfa, points)
        return self._narrowed[key]

    def _language(self, dfa: TextDfa, has_window: bool) -> _Language:
        """The language of `dfa`; its states have a `shortest` only if there is a window."""
        key = id(dfa), has_window
        if key not in self._languages:
            twin = self._languages.get((id(dfa), not has_window))
            classes = self._put_classes(dfa) if twin is None else twin.classes
            self._languages[key] = _Language(dfa, classes, has_window)
        return self._languages[key]

    def _put_classes(self, dfa: TextDfa) -> int:
        starts = np.asarray(dfa.class_starts, np.int32)
        ids = np.asarray(dfa.class_ids, np.int32)
        ascii_runs = np.searchsorted(starts, np.arange(128), "right") - 1
        begin, end = self._class_words, self._class_words + memory.RUN_STARTS + 2 * len(starts)
        classes = self._arrays.room(memory.CLASSES, end)
        classes[begin] = len(starts)
        classes[begin + memory.ASCII : begin + memory.RUN_STARTS] = ids[ascii_runs]
        classes[begin + memory.RUN_STARTS : end] = np.concatenate((starts, ids))
        self._class_words = end
        return begin

    def _number(self, language: _Language, state: int) -> int:
        """The number of a state, a new one if need be."""
        known = language.numbers.get(state)
        if known is not None:
            return known
        if len(self._states) > self._max_states:
            raise GrammarLimitError(
                "states of the texts of a grammar", len(self._states), self._max_states
            )
        number = language.numbers[state] = len(self._states)
        self._states.append((language, state))
        at = number * memory.TEXT_STATE_SIZE
        states = self._arrays.room(memory.TEXT_STATES, at + memory.TEXT_STATE_SIZE)
        if language.dfa.is_accepting(state):
            states[at + memory.TEXT_FLAGS] = memory.ACCEPTING
        if language.has_window:
            shortest = language.dfa.shortest(state)
            states[at + memory.TEXT_SHORTEST] = shortest
            if shortest > self._reach:
                self._reach = shortest
                self._arrays.block[memory.REACH] = shortest
                # the states that stand for others are looked for anew
                self._arrays[memory.STATES][memory.CANONICAL :: memory.STATE_SIZE] = 0
        return number


def _window(text: Text) -> tuple[int, int]:
    """The least and the greatest number of code points; no text comes to `_ENDLESS`."""
    if text.min_length > _ENDLESS:
        raise GrammarLimitError("characters of a text", text.min_length, _ENDLESS)
    return text.min_length, text.max_length if text.max_length <= _ENDLESS else -1


def _tree_of(words: Sequence[str]) -> tuple[list[int], str, list[int]]:
    """(the node before each node, the characters that lead there, the nodes of whole `words`).

    The words are sorted. Their beginning is node 0; the others are numbered from 2 on.
    """
    before, letters, ends = list[int](), list[str](), list[int]()
    path, last = [0], ""
    for word in words:
        shared = 0
        for one, other in zip(last, word, strict=False):
            if one != other:
                break
            shared += 1
        del path[shared + 1 :]
        following = len(before) + 2
        path.extend(range(following, following + len(word) - shared))
        before += path[shared:-1]
        letters.append(word[shared:])
        ends.append(path[-1])
        last = word
    return before, "".join(letters), ends


def _classes_of(dfa: TextDfa, text: str) -> npt.NDArray[np.int32]:
    """The class of each character."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    runs = np.searchsorted(np.asarray(dfa.class_starts, np.uint32), points, "right") - 1
    return np.asarray(dfa.class_ids, np.int32)[runs]


def _plain_classes(dfa: TextDfa) -> frozenset[int]:
    """The classes with a code point from U+0020 that is no surrogate, ``"`` or backslash."""
    plain = set()
    ends = (*dfa.class_starts[1:], 0x110000)
    for start, end, number in zip(dfa.class_starts, ends, dfa.class_ids, strict=True):
        points = range(max(start, 0x20), end)
        if start != _SURROGATES and len(points) > sum(p in points for p in _NEVER_PLAIN):
            plain.add(number)
    return frozenset(plain)
