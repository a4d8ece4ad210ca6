r"""From bytes to code points: UTF-8, by itself or within a JSON string with its escapes.

The state of a decoder is a number: which part of a character has been read (`kind`, from bit 24
on), and its bits so far. 0 is between characters. Only shortest forms of UTF-8 are taken, and
surrogates only as escaped pairs, which are one code point.

    decode(spelling, state, byte) -> dead, or the next state, or a code point that is now whole
    span(state, spelling, i)      -> the i-th range of code points that a part can still become

A part is "settled" where all it can become leads to the same place: only the number of bytes that
are still to come is remembered, so that the texts around it have fewer states.
"""

from sampler.kernels.grammar.compile import inlined, kernel

RAW, CANONICAL, FREE = range(3)  # spellings, as in `Spelling` of the program

REFUSED = -1
WHOLE_CHARACTER = 1 << 32  # added to a code point that has been read
KIND = 24
BITS = (1 << KIND) - 1

# Kinds: TAIL + n waits for n bytes of UTF-8; HEX + n has n digits after \u; PAIR and PAIR_ESCAPE
# wait for the backslash and the u of the second half, LOW_HALF_HEX + n has n digits of it;
# SETTLED_TAIL and SETTLED_HEX wait for n bytes or digits
TAIL, ESCAPE, HEX, PAIR, PAIR_ESCAPE, LOW_HALF_HEX = 0, 4, 5, 9, 10, 11
SETTLED_TAIL, SETTLED_HEX = 16, 20

_BACKSLASH, _QUOTE, _SPACE, _SLASH, _U = 0x5C, 0x22, 0x20, 0x2F, 0x75
_LETTERS = (0x62, 0x74, 0x6E, 0x66, 0x72, 0x22, 0x5C, 0x2F)  # b t n f r " \ /
_ESCAPED = (0x08, 0x09, 0x0A, 0x0C, 0x0D, 0x22, 0x5C, 0x2F)
_TILDE = 0x7E
_HIGH_HALF, _LOW_HALF, _AFTER_HALVES = 0xD800, 0xDC00, 0xE000


@inlined
def _hex_digit(byte: int) -> int:
    """The value of a hexadecimal digit; -1 of another byte."""
    if 0x30 <= byte <= 0x39:
        return byte - 0x30
    letter = byte | 0x20
    return letter - 0x57 if 0x61 <= letter <= 0x66 else -1


@kernel
def _first_byte(spelling: int, byte: int) -> int:
    if byte < 0x80:
        if spelling == RAW:
            return WHOLE_CHARACTER | byte
        if byte == _BACKSLASH:
            return ESCAPE << KIND
        return REFUSED if byte < _SPACE or byte == _QUOTE else WHOLE_CHARACTER | byte
    if byte < 0xC2 or byte > 0xF4:
        return REFUSED
    if byte < 0xE0:
        return 1 << KIND | (byte & 0x1F)
    return 2 << KIND | (byte & 0x0F) if byte < 0xF0 else 3 << KIND | (byte & 0x07)


@kernel
def _tail_byte(left: int, bits: int, byte: int) -> int:
    if byte & 0xC0 != 0x80:
        return REFUSED
    bits = bits << 6 | (byte & 0x3F)
    if left == 1:
        return WHOLE_CHARACTER | bits
    if left == 2:  # too long a form, or half of a pair
        refused = bits < 0x20 or _HIGH_HALF >> 6 <= bits < _AFTER_HALVES >> 6
    else:
        refused = not 0x10 <= bits <= 0x10F
    return REFUSED if refused else (left - 1) << KIND | bits


@kernel
def _hex_byte(spelling: int, seen: int, bits: int, byte: int) -> int:
    digit = _hex_digit(byte)
    if digit < 0:
        return REFUSED
    bits = bits << 4 | digit
    if seen < 3:
        return (HEX + seen + 1) << KIND | bits
    if _HIGH_HALF <= bits < _LOW_HALF:
        return PAIR << KIND | (bits - _HIGH_HALF)
    is_printable = _SPACE <= bits <= _TILDE
    if _LOW_HALF <= bits < _AFTER_HALVES or (spelling == CANONICAL and is_printable):
        return REFUSED
    return WHOLE_CHARACTER | bits


@kernel
def _low_half_byte(seen: int, bits: int, byte: int) -> int:
    digit = _hex_digit(byte)
    if digit < 0:
        return REFUSED
    high, low = bits >> 12, (bits & 0xFFF) << 4 | digit
    if seen < 3:
        return (LOW_HALF_HEX + seen + 1) << KIND | high << 12 | low
    if not _LOW_HALF <= low < _AFTER_HALVES:
        return REFUSED
    return WHOLE_CHARACTER | (0x10000 + (high << 10) + low - _LOW_HALF)


@kernel
def decode(spelling: int, state: int, byte: int) -> int:
    """The state after `byte`, or `WHOLE_CHARACTER` + a code point, or `REFUSED`; none settled."""
    kind, bits = state >> KIND, state & BITS
    if kind == 0:
        return _first_byte(spelling, byte)
    if kind < ESCAPE:
        return _tail_byte(kind - TAIL, bits, byte)
    if kind == ESCAPE:
        if byte == _U:
            return HEX << KIND
        for i in range(len(_LETTERS)):
            if byte == _LETTERS[i] and (byte != _SLASH or spelling == FREE):
                return WHOLE_CHARACTER | _ESCAPED[i]
        return REFUSED
    if kind < PAIR:
        return _hex_byte(spelling, kind - HEX, bits, byte)
    if kind == PAIR:
        return PAIR_ESCAPE << KIND | bits if byte == _BACKSLASH else REFUSED
    if kind == PAIR_ESCAPE:
        return LOW_HALF_HEX << KIND | bits << 12 if byte == _U else REFUSED
    return _low_half_byte(kind - LOW_HALF_HEX, bits, byte)


@inlined
def after_settled(state: int, byte: int) -> int:
    """The settled state after `byte`; 0 where the character is whole now; or `REFUSED`."""
    kind = state >> KIND
    if kind < SETTLED_HEX:
        left, taken = kind - SETTLED_TAIL, byte & 0xC0 == 0x80
    else:
        left, taken = kind - SETTLED_HEX, _hex_digit(byte) >= 0
    if not taken:
        return REFUSED
    return 0 if left == 1 else (kind - 1) << KIND


@kernel
def settled(spelling: int, state: int) -> int:
    """What is remembered of a part when all that it can become is the same.

    0 where not every byte or digit that may follow is legal; that surrogates are not is for the
    caller to see.
    """
    kind, bits = state >> KIND, state & BITS
    if kind < ESCAPE:
        is_clipped = (kind == 2 and bits == 0) or (kind == 3 and (bits == 0 or bits == 4))
        return 0 if is_clipped else (SETTLED_TAIL + kind) << KIND
    if not HEX < kind < PAIR:
        return 0
    left = 4 - (kind - HEX)
    low, high = bits << 4 * left, (bits + 1 << 4 * left) - 1
    has_printable = low <= _TILDE and high >= _SPACE
    return 0 if spelling == CANONICAL and has_printable else (SETTLED_HEX + left) << KIND


@inlined
def span_count(state: int) -> int:
    """How many ranges `span` has for a part; some may be empty."""
    kind = state >> KIND
    return len(_LETTERS) + 3 if kind == ESCAPE else 3 if HEX <= kind < PAIR else 1


@kernel
def _span_of_digits(spelling: int, seen: int, bits: int, i: int) -> tuple[int, int]:
    r"""Of ``\\u`` and `seen` digits: below and above what is left out, and by pairs."""
    shift = 4 * (4 - seen)
    low, high = bits << shift, (bits + 1 << shift) - 1
    if i == 0:
        return low, min(high, _SPACE - 1) if spelling == CANONICAL else high
    if i == 1:
        return (max(low, _TILDE + 1), high) if spelling == CANONICAL else (1, 0)
    first, last = max(low, _HIGH_HALF), min(high, _LOW_HALF - 1)
    if first > last:
        return 1, 0
    return 0x10000 + ((first - _HIGH_HALF) << 10), 0x103FF + ((last - _HIGH_HALF) << 10)


@kernel
def span(spelling: int, state: int, i: int) -> tuple[int, int]:
    """The first and last code point of range `i` of what a part can become; empty: first > last.

    Halves of pairs may be in it: no text has them.
    """
    kind, bits = state >> KIND, state & BITS
    if kind < ESCAPE:
        shift = 6 * kind
        least = 0x80 if kind == 1 else 0x800 if kind == 2 else 0x10000
        return max(bits << shift, least), min((bits + 1 << shift) - 1, 0x10FFFF)
    if kind == ESCAPE:
        if i < len(_LETTERS):
            is_taken = _LETTERS[i] != _SLASH or spelling == FREE
            return (_ESCAPED[i], _ESCAPED[i]) if is_taken else (1, 0)
        return _span_of_digits(spelling, 0, 0, i - len(_LETTERS))
    if kind < PAIR:
        return _span_of_digits(spelling, kind - HEX, bits, i)
    high, first, last = bits, _LOW_HALF, _AFTER_HALVES - 1
    if kind >= LOW_HALF_HEX:
        shift = 4 * (4 - (kind - LOW_HALF_HEX))
        high, low = bits >> 12, bits & 0xFFF
        first, last = max(first, low << shift), min(last, (low + 1 << shift) - 1)
    base = 0x10000 + (high << 10) - _LOW_HALF
    return base + first, base + last
