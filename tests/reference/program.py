"""What a program takes, straight from the definitions in `sampler.grammar.engine.program`.

Sets of configurations as frozensets of tuples, whole stacks and unsaturated counts; characters by
the ranges of code points that a spelling which has begun can still become.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sampler.grammar.engine.program import COUNT_SHIFT, Op, Program, Spelling, Text

Range = tuple[int, int]  # the first and the last code point

ANY: list[Range] = [(0, 0xD7FF), (0xE000, 0x10FFFF)]
NEVER_RAW_IN_JSON: list[Range] = [(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C)]
PRINTABLE_ASCII: Range = (0x20, 0x7E)
SHORT_ESCAPES = {ord("b"): 8, ord("t"): 9, ord("n"): 10, ord("f"): 12, ord("r"): 13} | {
    ord(character): ord(character) for character in '"\\/'
}
JSON_SPACE = b" \t\n\r"


def within(ranges: Iterable[Range], low: int, high: int) -> list[Range]:
    """The part of `ranges` from `low` to `high`."""
    clipped = [(max(low, first), min(high, last)) for first, last in ranges]
    return [(first, last) for first, last in clipped if first <= last]


def without(ranges: Iterable[Range], low: int, high: int) -> list[Range]:
    """The part of `ranges` outside of `low` to `high`."""
    ranges = list(ranges)
    return within(ranges, 0, low - 1) + within(ranges, high + 1, 0x10FFFF)


def utf8_completions(begun: bytes) -> list[Range]:
    """The code points whose UTF-8 is `begun`, or begins with it; `begun` is not empty."""
    lead, rest = begun[0], begun[1:]
    if lead < 0x80:
        size, bits, least = 1, lead, 0
    elif lead < 0xC0 or lead >= 0xF8:
        return []
    elif lead < 0xE0:
        size, bits, least = 2, lead & 0x1F, 0x80
    elif lead < 0xF0:
        size, bits, least = 3, lead & 0x0F, 0x800
    else:
        size, bits, least = 4, lead & 0x07, 0x10000
    if len(begun) > size or any(byte & 0xC0 != 0x80 for byte in rest):
        return []
    for byte in rest:
        bits = bits << 6 | byte & 0x3F
    open_bits = 6 * (size - len(begun))
    low, high = bits << open_bits, (bits + 1 << open_bits) - 1
    return within(ANY, max(low, least), high)


def hex_range(digits: bytes) -> Range | None:
    """The numbers of four hexadecimal digits that begin with `digits`; None where none does."""
    if len(digits) > 4 or any(digit not in b"0123456789abcdefABCDEF" for digit in digits):
        return None
    low = int(digits or b"0", 16) << 4 * (4 - len(digits))
    return low, low + (1 << 4 * (4 - len(digits))) - 1


def unicode_escape_completions(digits: bytes) -> list[Range]:
    r"""The code points with a spelling ``\uXXXX`` or ``\uXXXX\uXXXX`` that begins so.

    `digits` is what follows the first ``\u``.
    """
    first, rest = hex_range(digits[:4]), digits[4:]
    if first is None:
        return []
    high_halves = within([(0xD800, 0xDBFF)], *first)
    if not rest:
        spans = [(paired(low, 0xDC00), paired(high, 0xDFFF)) for low, high in high_halves]
        return within(ANY, *first) + spans
    second = hex_range(rest[2:])
    if second is None or not b"\\u".startswith(rest[:2]):
        return []
    low_halves = within([(0xDC00, 0xDFFF)], *second)
    return [(paired(h, low), paired(h, high)) for h, _ in high_halves for low, high in low_halves]


def paired(high_half: int, low_half: int) -> int:
    """The code point of a surrogate pair."""
    return 0x10000 + (high_half - 0xD800 << 10) + low_half - 0xDC00


def completions(spelling: Spelling, begun: bytes) -> list[Range]:
    """The code points with a spelling that is `begun`, or begins with it."""
    if not begun:
        return ANY
    if spelling == Spelling.RAW:
        return utf8_completions(begun)
    if begun[0] != ord("\\"):
        ranges = utf8_completions(begun)
        for never in NEVER_RAW_IN_JSON:
            ranges = without(ranges, *never)
        return ranges
    by_number = unicode_escape_completions(begun[2:])
    if spelling == Spelling.CANONICAL:
        by_number = without(by_number, *PRINTABLE_ASCII)
    by_letter = {letter: (point, point) for letter, point in SHORT_ESCAPES.items()}
    if spelling == Spelling.CANONICAL:
        del by_letter[ord("/")]
    if len(begun) == 1:
        return [*by_letter.values(), *by_number]
    if begun[1] == ord("u"):
        return by_number
    return [by_letter[begun[1]]] if len(begun) == 2 and begun[1] in by_letter else []


def spelled(spelling: Spelling, begun: bytes) -> int | None:
    """The code point that `begun` spells, whole; None for a part, or for nothing."""
    ranges = completions(spelling, begun)
    if len(ranges) != 1 or ranges[0][0] != ranges[0][1]:
        return None
    (point, _), is_escape = ranges[0], begun[0] == ord("\\") and spelling != Spelling.RAW
    if not is_escape:
        return point if begun == chr(point).encode() else None
    if begun[1:2] != b"u":
        return point if len(begun) == 2 else None
    return point if len(begun) == (6 if point < 0x10000 else 12) else None


class TextPlace(NamedTuple):
    """How far a text has come."""

    state: int
    count: int  # of whole characters
    begun: bytes  # of the next one


class Configuration(NamedTuple):
    """One course: where it is, and what it returns to."""

    cell: int
    stack: tuple[tuple[int, int], ...]  # (return cell, register of the caller), innermost last
    register: int
    place: TextPlace | bytes | int | None = None  # of TEXT, CHARACTER, SPACE; None elsewhere


Configurations = frozenset[Configuration]


class ReferenceMatcher:
    """Follows one text through `program`, a byte at a time.

    Parameters
    ----------
    program : its first frame is the whole text
    most : configurations at once

    Raises
    ------
    RecursionError : more configurations than `most`, as where a frame calls itself without end
        before it takes a byte
    """

    def __init__(self, program: Program, most: int = 20_000) -> None:
        self._program, self._most = program, most
        self._after: dict[tuple[Configurations, int], Configurations] = {}
        first = Configuration(self._start_of(0), (), 0)
        self._now = self._closure([first])

    def accept_byte(self, byte: int) -> bool:
        """Whether `byte` can come next; if so it becomes part of the text."""
        after = self._step(self._now, byte)
        if after:
            self._now = after
        return bool(after)

    def accept_bytes(self, data: bytes) -> bool:
        """Whether `data` can come next; if so it becomes part of the text, else nothing changes."""
        after = self._steps(self._now, data)
        if after:
            self._now = after
        return bool(after)

    def is_accepting(self) -> bool:
        """Whether the text may end here."""
        return any(self._op(one) == Op.ACCEPT and not one.stack for one in self._now)

    def copy(self) -> "ReferenceMatcher":
        """A second matcher in the same state, independent from here on."""
        twin = object.__new__(ReferenceMatcher)
        twin.__dict__.update(self.__dict__)
        return twin

    def allowed_bytes(self) -> list[int]:
        """The bytes that can come next."""
        return [byte for byte in range(256) if self._step(self._now, byte)]

    def allowed_tokens(self, tokens: Sequence[bytes]) -> list[int]:
        """The indices of the tokens that can come next; never one without bytes."""
        return [i for i, token in enumerate(tokens) if token and self._steps(self._now, token)]

    def _op(self, one: Configuration) -> int:
        return self._program.ops[one.cell]

    def _argument(self, one: Configuration) -> int:
        return self._program.arguments[one.cell]

    def _start_of(self, frame: int) -> int:
        self._program.write_frame(frame)
        return self._program.frame_starts[frame]

    def _steps(self, now: Configurations, data: bytes) -> Configurations:
        for byte in data:
            if not now:
                break
            now = self._step(now, byte)
        return now

    def _step(self, now: Configurations, byte: int) -> Configurations:
        if (now, byte) not in self._after:
            taken = [after for one in now for after in self._take(one, byte)]
            self._after[now, byte] = self._closure(taken)
        return self._after[now, byte]

    def _closure(self, configurations: Iterable[Configuration]) -> Configurations:
        """All that is reached without a byte, less what only passes on."""
        found: set[Configuration] = set()
        work = [self._entered(one) for one in configurations]
        while work:
            one = work.pop()
            if one in found:
                continue
            found.add(one)
            if len(found) > self._most:
                raise RecursionError(f"more than {self._most} courses at once")
            work += [self._entered(after) for after in self._pass(one)]
        stays = (Op.BYTE, Op.BYTES, Op.CHARACTER, Op.TEXT, Op.SPACE, Op.ACCEPT)
        return frozenset(one for one in found if self._op(one) in stays)

    def _entered(self, one: Configuration) -> Configuration:
        """`one` with the place that its cell begins with."""
        if one.place is not None:
            return one
        if self._op(one) == Op.TEXT:
            dfa = self._program.texts[self._argument(one)].dfa
            return one._replace(place=TextPlace(dfa.start, 0, b""))
        if self._op(one) == Op.CHARACTER:
            return one._replace(place=b"")
        return one._replace(place=0) if self._op(one) == Op.SPACE else one

    def _pass(self, one: Configuration) -> Iterator[Configuration]:
        """Where `one` gets to without a byte."""
        argument, register = self._argument(one), one.register
        onward = Configuration(one.cell + 1, one.stack, register)
        match self._op(one):
            case Op.JUMP:
                yield onward._replace(cell=argument)
            case Op.SPLIT:
                yield onward
                yield onward._replace(cell=argument)
            case Op.CALL:
                stack = (*one.stack, (one.cell + 1, register))
                yield Configuration(self._start_of(argument), stack, 0)
            case Op.RETURN if one.stack:
                cell, register_of_caller = one.stack[-1]
                yield Configuration(cell, one.stack[:-1], register_of_caller)
            case Op.COUNT if _count(one.register, argument) < _limit(argument):
                yield onward._replace(register=register + 1)
            case Op.COUNT:
                yield onward
            case Op.AT_LEAST if _count(one.register, argument) >= _limit(argument):
                yield onward
            case Op.BELOW if _count(one.register, argument) < _limit(argument):
                yield onward
            case Op.MARK if not register >> argument & 1:
                yield onward._replace(register=register | 1 << argument)
            case Op.MARKED if (
                register & self._program.masks[argument] == (self._program.masks[argument])
            ):
                yield onward
            case Op.UNMARKED if (
                register & self._program.masks[argument] != (self._program.masks[argument])
            ):
                yield onward
            case Op.SPACE:
                yield onward
            case Op.TEXT if _may_end(self._program.texts[argument], one.place):
                yield onward

    def _take(self, one: Configuration, byte: int) -> Iterator[Configuration]:
        """Where `one` gets to by `byte`, before it passes on."""
        argument = self._argument(one)
        onward = Configuration(one.cell + 1, one.stack, one.register)
        match self._op(one):
            case Op.BYTE if byte == argument:
                yield onward
            case Op.BYTES if self._program.byte_sets[argument][byte]:
                yield onward
            case Op.SPACE if byte in JSON_SPACE and one.place < argument:
                yield one._replace(place=one.place + 1)
            case Op.CHARACTER:
                begun = one.place + bytes([byte])
                if spelled(Spelling.FREE, begun) == argument:
                    yield onward
                elif within(completions(Spelling.FREE, begun), argument, argument):
                    yield one._replace(place=begun)
            case Op.TEXT:
                place = _after_byte(self._program.texts[argument], one.place, byte)
                if place is not None:
                    yield one._replace(place=place)


def _count(register: int, argument: int) -> int:
    return register % 2 ** (argument >> COUNT_SHIFT)


def _limit(argument: int) -> int:
    return argument % 2**COUNT_SHIFT


def _may_end(text: Text, place: TextPlace) -> bool:
    whole = not place.begun and place.count >= text.min_length
    return whole and text.dfa.is_accepting(place.state)


def _after_byte(text: Text, place: TextPlace, byte: int) -> TextPlace | None:
    """The place after one more byte; None where the text cannot be completed."""
    begun = place.begun + bytes([byte])
    point = spelled(text.spelling, begun)
    if point is not None:
        state = next(_states_after(text, place, (point, point)))
        return (
            TextPlace(state, place.count + 1, b"") if _fits(text, state, place.count + 1) else None
        )
    for span in completions(text.spelling, begun):
        for state in _states_after(text, place, span):
            if _fits(text, state, place.count + 1):
                return place._replace(begun=begun)
    return None


def _states_after(text: Text, place: TextPlace, span: Range) -> Iterator[int]:
    """The states after one of the code points of `span`."""
    row, starts = text.dfa.row(place.state), text.dfa.class_starts
    first, last = bisect_right(starts, span[0]) - 1, bisect_right(starts, span[1]) - 1
    for run in range(first, last + 1):
        yield row[text.dfa.class_ids[run]]


def _fits(text: Text, state: int, count: int) -> bool:
    """Whether a text that has `count` code points and is at `state` can be completed."""
    if state == 0 or text.max_length < 0:
        return state != 0
    return count + max(text.dfa.shortest(state), text.min_length - count) <= text.max_length
