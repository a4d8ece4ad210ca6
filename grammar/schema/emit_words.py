"""Cells of constant texts: one after the other, and several as a trie."""

from collections.abc import Iterable

from sampler.grammar.engine.program import Op, Program, Spelling

_ESCAPED = frozenset('"\\')


def emit_characters(program: Program, text: str, spelling: Spelling) -> None:
    """None; cells that take `text`, spelled so.

    In a canonical JSON string a printable ASCII character has one spelling, which is plain bytes;
    the others have several.
    """
    if spelling == Spelling.RAW:
        program.emit_bytes(text.encode())
        return
    if spelling == Spelling.CANONICAL and text.isascii() and text.isprintable():
        program.emit_bytes(text.replace("\\", "\\\\").replace('"', '\\"').encode())
        return
    for character in text:
        if spelling == Spelling.FREE or not " " <= character <= "~":
            program.emit(Op.CHARACTER, ord(character))
        elif character in _ESCAPED:
            program.emit_bytes(b"\\" + character.encode())
        else:
            program.emit(Op.BYTE, ord(character))


def emit_words(program: Program, words: Iterable[str], spelling: Spelling) -> list[int]:
    """The JUMP cells that end the `words`, to be pointed at what comes next.

    The words share the cells of their common beginnings, so that as many courses are open at once
    as there are different next characters.
    """
    ordered, ends = sorted(set(words)), []
    # Groups that wait: the SPLIT that leads to the first, all of them, and where they differ.
    waiting: list[tuple[int | None, list[tuple[int, int]], int]] = [(None, [(0, len(ordered))], 0)]
    while waiting:
        split, groups, depth = waiting.pop()
        if split is not None:
            program.point(split, program.end)
        (low, high), *others = groups
        if others:
            waiting.append((program.emit(Op.SPLIT), others, depth))
        common = _common_length(ordered[low], ordered[high - 1])
        emit_characters(program, ordered[low][depth:common], spelling)
        if high - low == 1:
            ends.append(program.emit(Op.JUMP))
        else:
            waiting.append((None, _groups(ordered, low, high, common), common))
    return ends


def _common_length(one: str, other: str) -> int:
    """How many characters both begin with."""
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    low, high = 0, shorter  # one[:low] is common, one[:high] is not
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _groups(words: list[str], low: int, high: int, depth: int) -> list[tuple[int, int]]:
    """The parts of ``words[low:high]`` that go on in the same way at `depth`."""
    groups, first = [], low
    for index in range(low + 1, high + 1):
        if index == high or words[index][depth : depth + 1] != words[first][depth : depth + 1]:
            groups.append((first, index))
            first = index
    return groups
