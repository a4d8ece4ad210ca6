"""The decoder of the kernels against the slow one of the reference, part by part."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.program import ANY, completions, spelled, within

from sampler.grammar.engine.program import Spelling
from sampler.kernels.grammar import decoder

SPELLINGS = list(Spelling)
POINTS = [0, 0x08, 0x1F, 0x20, 0x22, 0x2F, 0x5C, 0x61, 0x7E, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF]
POINTS += [0xE000, 0xFFFF, 0x10000, 0x1F600, 0x10FFFF]


def merged(ranges):
    """The same code points as ranges that do not touch each other."""
    found = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        elif low <= high:
            found.append((low, high))
    return found


def ways_to_write(point):
    """Ways to write a code point, not all of them legal."""
    character = chr(point)
    units = character.encode("utf-16-be")
    escape = "".join(f"\\u{int.from_bytes(units[i : i + 2]):04x}" for i in range(0, len(units), 2))
    ways = [character.encode(), escape.encode(), escape.upper().replace("U", "u").encode()]
    return [*ways, json.dumps(character)[1:-1].encode(), b"\\" + character.encode()]


def check(spelling, data):
    """The same verdict on each beginning of `data`, and the same code points that it can become."""
    state = 0
    for end in range(1, len(data) + 1):
        state = decoder.decode(int(spelling), state, data[end - 1])
        begun = data[:end]
        expected = completions(spelling, begun)
        point = spelled(spelling, begun)
        if point is not None:
            assert state == decoder.WHOLE_CHARACTER | point, begun
            return
        if state == decoder.REFUSED:
            assert not merged(expected), begun
            return
        assert 0 < state < decoder.WHOLE_CHARACTER
        spans = [decoder.span(int(spelling), state, i) for i in range(decoder.span_count(state))]
        found = [span for low, high in spans for span in within(ANY, low, high) if low <= high]
        assert merged(found) == merged(expected), begun


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("point", POINTS)
def test_characters_are_read_however_they_are_written(spelling, point):
    for data in ways_to_write(point):
        check(spelling, data)


@given(spelling=st.sampled_from(SPELLINGS), data=st.binary(min_size=1, max_size=4))
def test_any_bytes_get_the_same_verdict(spelling, data):
    check(spelling, data)


PARTS = st.text("0128dDfFuU\\cCeE", min_size=1, max_size=11).map(str.encode)


@given(spelling=st.sampled_from([Spelling.CANONICAL, Spelling.FREE]), rest=PARTS)
def test_escapes_get_the_same_verdict(spelling, rest):
    check(spelling, b"\\" + rest)
    check(spelling, b"\\u" + rest)
    check(spelling, b"\\uD83d\\u" + rest)


@given(character=st.characters(codec="utf-8"))
def test_a_settled_part_waits_for_as_many_bytes_as_its_character_has(character):
    data, state = character.encode(), 0
    for at, byte in enumerate(data[:-1]):
        state = decoder.decode(decoder.RAW, state, byte)
        short = decoder.settled(decoder.RAW, state)
        for tail in data[at + 1 :] if short else b"":
            assert decoder.after_settled(short, ord("a")) == decoder.REFUSED
            short = decoder.after_settled(short, tail)
        assert short == 0
