"""The slow twin of the automaton, on programs written by hand whose texts are plain to see."""

import itertools
import random
import re
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program_strategies import Frame, Sketch, TableDfa, sketches
from reference.program import ReferenceMatcher, completions, spelled, within

from sampler.grammar.engine.program import REGISTER_BITS, Op, Program, Spelling, Text

SHORT = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 0x22: '"', 0x5C: "\\", 0x2F: "/"}
EDGES = [0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x1F600, 0x10FFFF]
ANYTHING = ([], [[1]], {1})  # a table: every text


def spellings(spelling, point):
    """Every spelling of a code point, hexadecimal digits in one of their cases each."""
    raw = chr(point).encode()
    if spelling == Spelling.RAW:
        return {raw}
    is_canonical = spelling == Spelling.CANONICAL
    found = {raw} if point >= 0x20 and point not in (0x22, 0x5C) else set()
    if point in SHORT and not (is_canonical and point == 0x2F):
        found.add(b"\\" + SHORT[point].encode())
    if is_canonical and 0x20 <= point <= 0x7E:
        return found
    units = chr(point).encode("utf-16-be").hex()
    for digits in (units, units.upper(), units.title()):
        found.add("".join("\\u" + digits[i : i + 4] for i in range(0, len(digits), 4)).encode())
    return found


@pytest.mark.parametrize("spelling", Spelling)
def test_characters_are_decoded_from_all_their_spellings(spelling):
    for point in [*range(0x130), *EDGES, *random.Random(1).sample(range(0xE000, 0x110000), 100)]:
        for data in spellings(spelling, point):
            assert spelled(spelling, data) == point
            for part in (data[:n] for n in range(len(data))):
                assert spelled(spelling, part) is None
                assert within(completions(spelling, part), point, point)
            assert not any(completions(spelling, data + bytes([byte])) for byte in range(256))


@given(st.binary(min_size=1, max_size=4))
@settings(max_examples=500)
def test_raw_characters_are_those_of_utf8(data):
    try:
        (character,) = data.decode()
    except ValueError:  # no UTF-8, or several characters
        character = None
    assert spelled(Spelling.RAW, data) == (character and ord(character))


def accepts(program, text):
    matcher = ReferenceMatcher(program)
    return matcher.accept_bytes(text) and matcher.is_accepting()


def texts_over(letters, length):
    for size in range(1, length + 1):
        yield from map(bytes, itertools.product(letters, repeat=size))


def agrees(sketch, pattern, letters, length):
    """Whether exactly the texts that match are accepted."""
    program, compiled = sketch.program(), re.compile(pattern)
    return all(
        accepts(program, text) == bool(compiled.fullmatch(text))
        for text in texts_over(letters, length)
    )


def plain(*nodes):
    return Frame("plain", (("all", list(nodes)),))


def byte(data):
    return "bytes", data


def test_splits_jumps_and_byte_sets():
    either = ("either", [byte(b"ab"), byte(b"a"), ("set", frozenset(b"ac"))])
    assert agrees(Sketch([plain(("many", either), byte(b"b"))], []), b"(ab|a|[ac])*b", b"abc", 5)


def test_a_counter_bounds_how_often_a_loop_runs():
    counted = Frame("counted", (("either", [byte(b"a"), byte(b"ab")]), 2, 3, REGISTER_BITS))
    sketch = Sketch([plain((Op.CALL, 1), byte(b"c")), counted], [])
    assert agrees(sketch, b"(a|ab){2,3}c", b"abc", 6)


def test_the_counter_of_a_caller_is_its_own():
    frames = [
        Frame("counted", (("all", [byte(b"x"), (Op.CALL, 1)]), 2, 2, 2)),
        Frame("counted", (byte(b"a"), 1, 3, 2)),
    ]
    assert agrees(Sketch(frames, []), b"(xa{1,3}){2}", b"xa", 8)


def test_marks_let_each_item_come_once_and_masks_ask_for_some():
    items = [byte(b"a"), byte(b"b"), byte(b"c")]
    sketch = Sketch([plain((Op.CALL, 1), byte(b".")), Frame("marked", (items, 0b101))], [])
    pattern = b"(?=.*a)(?=.*c)(?!.*(.).*\\1)[abc]*\\."
    assert agrees(sketch, pattern, b"abc.", 4)


def test_frames_nest_and_return():
    item = ("either", [(Op.CALL, 1), byte(b"a")])
    sketch = Sketch([plain((Op.CALL, 1)), Frame("plain", (("many", item),), b"[]")], [])
    program = sketch.program()
    for text in texts_over(b"[a]", 6):
        depth, whole = 0, text[:1] == b"["
        for i, letter in enumerate(text):
            depth += {ord("["): 1, ord("]"): -1}.get(letter, 0)
            whole = whole and (depth > 0 or i == len(text) - 1)
        assert accepts(program, text) == (whole and depth == 0)


def test_frames_are_written_when_they_are_called():
    sketch = Sketch(
        [plain(("either", [byte(b"a"), ("all", [byte(b"b"), (Op.CALL, 1)])])), plain()], []
    )
    program = sketch.program()
    matcher = ReferenceMatcher(program)
    assert program.frame_starts[1] < 0
    assert matcher.accept_byte(ord("b"))
    assert program.frame_starts[1] >= 0


def test_space_is_bounded():
    assert agrees(Sketch([plain(byte(b"a"), (Op.SPACE, 2))], []), b"a[ \n]{0,2}", b"a \n", 5)


def test_texts_have_their_window_of_lengths():
    text = (ANYTHING, Spelling.CANONICAL, 1, 2)
    program = Sketch([plain(("string", [(Op.TEXT, 0)]))], [text]).program()
    for inner, taken in (
        ("", False),
        ("a", True),
        ("é日", True),
        ("abc", False),
        ('\\"\\\\', True),
        ("\\n\\u00e9", True),
        ("\\ud83d\\ude00a", True),
        ("\\u0061", False),
        ("\\/", False),
        ("\\ud83d", False),
        ("\\ude00", False),
        ("\n", False),
    ):
        assert accepts(program, f'"{inner}"'.encode()) == taken, inner


def test_a_part_of_a_character_lives_only_while_some_whole_one_can_come():
    # classes: below U+00E9, U+00E9, above; only é is taken, once
    table = ([0xE9, 0xEA], [[0, 2, 0, 0, 0], [0]], {2})
    free = Sketch([plain(("string", [(Op.TEXT, 0)]))], [(table, Spelling.FREE, 0, -1)]).program()
    assert accepts(free, '"é"'.encode())
    assert accepts(free, b'"\\u00E9"')
    for dead in (
        b'"a',
        b'"\xc2',
        b'"\xc3\xa8',
        b'"\xe2',
        b'"\\n',
        b'"\\u1',
        b'"\\u00ea',
        b'"\xc3\xa9a',
    ):
        matcher = ReferenceMatcher(free)
        assert matcher.accept_bytes(dead[:-1])
        assert not matcher.accept_byte(dead[-1])


def test_a_character_has_every_spelling_of_json():
    program = Sketch([plain(("string", [(Op.CHARACTER, 0x2F)]))], []).program()
    taken = [b"/", b"\\/", b"\\u002f", b"\\u002F"]
    assert all(accepts(program, b'"%b"' % text) for text in taken)
    assert not any(accepts(program, b'"%b"' % text) for text in (b"", b"a", b"\\u002e", b"//"))


def test_allowed_tokens_are_those_that_can_come_next():
    counted = Frame("counted", (byte(b"ab"), 1, 2, 2))
    matcher = ReferenceMatcher(Sketch([counted], []).program())
    tokens = [b"a", b"ab", b"b", b"abab", b"ababa", b"", b"ba"]
    assert matcher.allowed_tokens(tokens) == [0, 1, 3]
    assert matcher.accept_bytes(b"a")
    assert matcher.allowed_tokens(tokens) == [2, 6]
    assert matcher.allowed_bytes() == [ord("b")]


def test_a_copy_goes_its_own_way():
    matcher = ReferenceMatcher(Sketch([Frame("counted", (byte(b"a"), 2, 2, 2))], []).program())
    twin = matcher.copy()
    assert matcher.accept_bytes(b"aa")
    assert matcher.is_accepting()
    assert not twin.is_accepting()
    assert not matcher.accept_byte(ord("a"))
    assert twin.accept_bytes(b"aa")


def test_a_frame_that_calls_itself_without_a_byte_is_told():
    program = Program()

    def write():
        program.emit(Op.CALL, 0)
        program.emit(Op.RETURN)

    program.declare_frame(write, closes=False)
    with pytest.raises(RecursionError):
        ReferenceMatcher(program, most=500)


@given(st.lists(st.integers(0x20, 0x7E), max_size=3), st.data())
def test_tables_know_their_lengths_and_what_they_take(edges, data):
    states = data.draw(st.integers(1, 3))
    row = st.lists(st.integers(0, states), min_size=1, max_size=4)
    rows = data.draw(st.lists(row, min_size=states, max_size=states))
    dfa = TableDfa(edges, rows, data.draw(st.sets(st.integers(1, states))))
    for state in range(1, states + 1):
        live = [after for after in dfa.row(state) if after]
        if dfa.is_accepting(state):
            assert dfa.shortest(state) == 0
        elif live:
            assert dfa.shortest(state) == 1 + min(map(dfa.shortest, live))
        if dfa.takes_everything(state):
            for point in {*range(0x20, 0x7F), 0xD7FF, 0xE000, 0x10FFFF} - {0x22, 0x5C}:
                after = dfa.row(state)[dfa.class_ids[bisect_right(dfa.class_starts, point) - 1]]
                assert after
                assert dfa.takes_everything(after)


@given(sketches(), sketches(spells_json=False))
@settings(max_examples=20, deadline=None)
def test_sketches_make_equal_programs(one, other):
    for sketch in (one, other):
        programs = sketch.program(), sketch.program()
        for program in programs:
            for frame in range(len(sketch.frames)):
                program.write_frame(frame)
        assert programs[0].ops == programs[1].ops
        assert programs[0].arguments == programs[1].arguments
        assert all(isinstance(text, Text) for text in programs[0].texts)
