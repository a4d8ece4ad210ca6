"""Programs of hand-made values, followed by the slow matcher byte by byte."""

import json
from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.program import ReferenceMatcher
from schema_values import (
    CANONICAL,
    FREE,
    Values,
    any_json,
    digits,
    dumped,
    takes,
    text,
    texts_of,
)

from sampler.errors import InvalidParameterError
from sampler.grammar.engine.program import Op, Program, Spelling
from sampler.grammar.schema.emit import write_program
from sampler.grammar.schema.layout import ENDLESS, LONGEST_RUN, LONGEST_RUN_INSIDE, Layout
from sampler.grammar.schema.shapes import ArrayShape, KeyClass, Node, ObjectShape, Property, Value
from sampler.grammar.text.terms import current_pool

LAYOUTS = ("any", "compact", "spaced", 0, 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=0) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=JSON, written_as=st.sampled_from(LAYOUTS))
@settings(max_examples=60, deadline=None)
def test_any_value_is_taken_in_its_own_layout(value: object, written_as: object) -> None:
    for whitespace in LAYOUTS:
        program = write_program(any_json(), Layout(whitespace), CANONICAL)
        same = dumped(value, written_as) == dumped(value, whitespace)
        assert takes(program, dumped(value, written_as)) == (same or whitespace == "any")


@given(value=JSON, ascii_only=st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_spelling_is_taken_in_free_spelling(value: object, ascii_only: bool) -> None:
    program = write_program(any_json(FREE), Layout("any"), FREE)
    written = json.dumps(value, ensure_ascii=ascii_only, indent=200).replace("/", "\\/")
    assert takes(program, f" \r\n\t{written}\n")


def test_frames_of_a_recursive_value_are_few_and_written_when_called() -> None:
    program = write_program(any_json(), Layout("any"), CANONICAL)
    matcher = ReferenceMatcher(program)
    assert program.frame_starts.count(-1) < len(program.frame_starts)
    assert matcher.accept_bytes(b'{"a": [{"b": [[')
    frames = len(program.frame_starts)
    assert matcher.accept_bytes(b'[[[{"c": [[[[{"d": {"e": [')
    assert len(program.frame_starts) == frames


def test_indent_has_frames_for_each_level_in_use() -> None:
    program = write_program(any_json(), Layout(1), CANONICAL)
    nested: object = None
    for _ in range(30):
        nested = {"a": [nested]}
    assert takes(program, json.dumps(nested, indent=1))
    assert not takes(program, json.dumps(nested, indent=2))


def test_texts_of_frames_that_close_have_a_certain_end() -> None:
    """What the automaton is promised: after the last byte of such a text no other one can come."""
    values = Values()
    items = [values.node(Value(literals)) for literals in (("1", "12"), ("1", "2"))]
    ones = text(current_pool().repeat(current_pool().literal("1"), 1), Spelling.RAW)
    items += [values.node(Value(numbers=ones)), values.node(Value(words=("a", "ab")))]
    arrays = tuple(ArrayShape((), node, 0, 1) for node in items)
    objects = (ObjectShape((Property("k", items[0], False),), ()),)
    values.define(values.root, Value(("null",), arrays=arrays, objects=objects))
    program = write_program(values, Layout("any"), CANONICAL)
    assert takes(program, "[12]") and takes(program, '["ab"]') and takes(program, '{"k":12}')
    closing = [frame for frame, closes in enumerate(program.frame_closes) if closes]
    assert len(closing) == 4  # arrays, objects, strings, and what leads to a key or word
    for frame in closing:
        program.frame_starts[0] = program.emit(Op.CALL, frame)
        program.emit(Op.ACCEPT)
        assert all(following == "" for following in after_texts(program, 5))


def after_texts(program: Program, longest: int) -> Iterator[str]:
    """What can come after each text of up to `longest` bytes, runs of spaces of one at most."""
    waiting = [(b"", ReferenceMatcher(program))]
    while waiting:
        written, matcher = waiting.pop()
        following = bytes(matcher.allowed_bytes()).translate(None, b"\t\r\n")
        if matcher.is_accepting():
            yield following.decode()
        if written.endswith(b" "):
            following = following.replace(b" ", b"")
        for byte in following if len(written) < longest else b"":
            after = matcher.copy()
            after.accept_byte(byte)
            waiting.append((written + bytes([byte]), after))


def property_sets(shape: ObjectShape) -> set[str]:
    """The compact texts of a shape whose values are all 0, without free keys."""
    found = set()
    for chosen in product((False, True), repeat=len(shape.properties)):
        names = [part.name for part, taken in zip(shape.properties, chosen, strict=True) if taken]
        left_out = [part for part, taken in zip(shape.properties, chosen, strict=True) if not taken]
        most = len(names) if shape.max_properties is None else shape.max_properties
        is_complete = not any(part.is_required for part in left_out)
        if is_complete and shape.min_properties <= len(names) <= most:
            found.add(dumped(dict.fromkeys(names, 0), "compact"))
    return found


@st.composite
def object_shapes(draw: st.DrawFn) -> tuple[Values, ObjectShape]:
    values = Values()
    zero = values.node(Value(("0",)))
    flags = draw(st.lists(st.booleans(), max_size=5))
    properties = tuple(Property("abcde"[i], zero, flag) for i, flag in enumerate(flags))
    least = draw(st.integers(0, len(flags)))
    most = draw(st.none() | st.integers(max(least, sum(flags)), len(flags)))
    return values, ObjectShape(properties, (), least, most)


@given(drawn=object_shapes())
@settings(max_examples=120, deadline=None)
def test_objects_have_exactly_the_properties_that_they_may_have(
    drawn: tuple[Values, ObjectShape],
) -> None:
    values, shape = drawn
    values.define(values.root, Value(objects=(shape,)))
    program = write_program(values, Layout("compact"), CANONICAL)
    assert set(texts_of(program, 40)) == property_sets(shape)


@given(
    flags=st.lists(st.booleans(), max_size=3),
    least=st.integers(0, 4),
    room=st.none() | st.integers(0, 3),
)
@settings(max_examples=20, deadline=None)
def test_free_keys_come_after_the_named_ones_and_are_counted(
    flags: list[bool], least: int, room: int | None
) -> None:
    values, pool = Values(), current_pool()
    zero, one = values.node(Value(("0",))), values.node(Value(("1",)))
    properties = tuple(Property("abc"[i], zero, flag) for i, flag in enumerate(flags))
    extras = tuple(
        KeyClass(text(pool.repeat(pool.literal(letter), 1)), node)
        for letter, node in (("x", zero), ("y", one))
    )
    most = None if room is None else max(least, sum(flags) + 1) + room
    shape = ObjectShape(properties, extras, least, most)
    values.define(values.root, Value(objects=(shape,)))
    program = write_program(values, Layout("compact"), CANONICAL)
    matches = set()
    for members in product(["a", "b", "c", "x", "y"], repeat=4):
        for count in range(5):
            matches.add("".join(members[:count]))
    for names in matches:
        named = [name for name in names if name in "abc"]
        is_ordered = names == "".join(sorted(named)) + names[len(named) :]
        is_known = set(named) <= {part.name for part in properties}
        has_all = {part.name for part in properties if part.is_required} <= set(named)
        is_counted = least <= len(names) <= (99 if most is None else most)
        is_distinct = len(set(named)) == len(named)
        written = ",".join(f'"{name}":{int(name == "y")}' for name in names)
        expected = is_ordered and is_known and has_all and is_counted and is_distinct
        assert takes(program, f"{{{written}}}") == expected, names


@given(
    prefix=st.integers(0, 3),
    least=st.integers(0, 6),
    room=st.none() | st.integers(0, 4),
    whitespace=st.sampled_from(LAYOUTS),
    is_number=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_arrays_have_as_many_items_as_they_may_have(
    prefix: int, least: int, room: int | None, whitespace: object, is_number: bool
) -> None:
    values = Values()
    first = values.node(Value(("0",)))
    rest = values.node(Value(numbers=digits()) if is_number else Value(("1",)))
    most = None if room is None else max(least, prefix) + room
    shape = ArrayShape((first,) * prefix, None if most == prefix else rest, least, most)
    values.define(values.root, Value(arrays=(shape,)))
    program = write_program(values, Layout(whitespace), CANONICAL)
    for count in range(12):
        items = [0] * min(count, prefix) + [1] * max(count - prefix, 0)
        expected = least <= count <= (99 if most is None else most)
        assert takes(program, dumped(items, whitespace)) == expected, count


@pytest.mark.parametrize("shape_counts", [(0, 3), (2, 3), (3, 3), (1, None)])
def test_arrays_have_no_dead_ends(shape_counts: tuple[int, int | None]) -> None:
    values = Values()
    one = values.node(Value(("1", "12"), words=("a", "ab")))
    values.define(values.root, Value(arrays=(ArrayShape((one,), one, *shape_counts),)))
    program = write_program(values, Layout("compact"), CANONICAL)
    for written in texts_of(program, 9):
        assert shape_counts[0] <= len(json.loads(written)) <= (shape_counts[1] or 99)


def test_a_hundred_optional_properties_take_few_cells_and_courses() -> None:
    values = Values()
    node = values.node(Value(("null",), digits(), words=("x",)))
    names = [f"property {number}" for number in range(100)]
    shape = ObjectShape(tuple(Property(name, node, False) for name in names), ())
    values.define(values.root, Value(objects=(shape,)))
    program = write_program(values, Layout("any"), CANONICAL)
    assert takes(program, json.dumps(dict.fromkeys(names[::7], 1)))
    assert takes(program, json.dumps(dict.fromkeys([names[0], names[99]], 1)))
    assert not takes(program, json.dumps(dict.fromkeys([names[1], names[0]], 1)))
    assert len(program.ops) < 100 * 60


def test_values_of_many_properties_are_looked_at_when_they_are_reached() -> None:
    values = Values()
    names = [f"property {number}" for number in range(50)]
    nodes = [values.node(Value((str(number),))) for number in range(50)]
    properties = tuple(Property(name, node, False) for name, node in zip(names, nodes, strict=True))
    values.define(values.root, Value(objects=(ObjectShape(properties, ()),)))
    looked_at = []

    class Watched:
        root = values.root

        def expand(self, node: Node) -> Value:
            looked_at.append(node)
            return values.expand(node)

    matcher = ReferenceMatcher(write_program(Watched(), Layout(2), CANONICAL))
    assert matcher.accept_bytes(b'{\n  "property 7": 7,\n  "property 12": 12\n}')
    assert looked_at == [values.root, nodes[7], nodes[12]]


def test_runs_of_white_space_are_bounded_unless_spelling_is_free() -> None:
    free = write_program(any_json(FREE), Layout("any"), FREE)
    canonical = write_program(any_json(), Layout("any"), CANONICAL)
    long, inside = " " * LONGEST_RUN, " " * LONGEST_RUN_INSIDE
    fits = f'{{{long}"a"{inside}:{inside}[{long}1{inside},{long}{{{long}}}{long}]{long}}}'
    assert takes(canonical, fits)
    assert takes(free, fits)
    for wider in ('{"a": [1,2]} ', f"[{long} 1]", f"[{long} ]", f"[1{inside} ,2]"):
        assert not takes(canonical, wider)
        assert takes(free, wider)


@pytest.mark.parametrize("whitespace", [-1, 17, True, "", "Any", None, 2.0])
def test_unknown_white_space_is_refused(whitespace: object) -> None:
    with pytest.raises(InvalidParameterError, match="`whitespace` must be"):
        Layout(whitespace)


def test_gaps_of_each_layout() -> None:
    assert Layout("any", is_endless=True).opening(3) == ENDLESS
    assert Layout("any", is_endless=True).outside == ENDLESS
    assert Layout("any").outside == Layout(2, is_endless=True).outside == b""
    assert Layout(2).opening(1) == b"\n    "
    assert Layout(2).closing(1) == b"\n  "
    assert Layout(0).after_comma(5) == b"\n"
    assert (Layout("spaced").opening(1), Layout("spaced").after_comma(1)) == (b"", b" ")
