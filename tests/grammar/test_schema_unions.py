"""Objects and arrays of several shapes, followed by the slow matcher byte by byte."""

from hypothesis import given, settings
from hypothesis import strategies as st
from reference.program import ReferenceMatcher
from schema_values import CANONICAL, Values, digits, takes, text, texts_of

from sampler.grammar.schema.emit import write_program
from sampler.grammar.schema.layout import Layout
from sampler.grammar.schema.shapes import ArrayShape, KeyClass, ObjectShape, Property, Value
from sampler.grammar.text.terms import current_pool


def test_alternatives_of_one_type_may_overlap() -> None:
    values = Values()
    zero, digit = values.node(Value(("0",))), values.node(Value(numbers=digits()))
    objects = (
        ObjectShape((Property("kind", zero, True), Property("a", digit, True)), ()),
        ObjectShape((Property("kind", digit, True), Property("b", digit, True)), ()),
    )
    arrays = (ArrayShape((), zero, 1, 2), ArrayShape((digit,), None, 0, 1))
    values.define(values.root, Value(("null",), objects=objects, arrays=arrays))
    program = write_program(values, Layout("any"), CANONICAL)
    for valid in ('{"kind": 0, "a": 7}', '{"kind": 0, "b": 7}', "[0, 0]", "[7]", "[]", "null"):
        assert takes(program, valid), valid
    for invalid in ('{"kind": 7, "a": 7}', '{"kind": 0}', "[7, 0]", "[0, 0, 0]", "nul", ""):
        assert not takes(program, invalid), invalid


@st.composite
def unions(draw: st.DrawFn) -> tuple[Values, tuple[ObjectShape, ...]]:
    """Shapes that have keys and values in common, in any order."""
    values = Values()
    nodes = [values.node(Value(literals)) for literals in (("0",), ("1",), ("0", "1"), ("0",))]
    keys = text(current_pool().literal("x")), text(current_pool().words("xy"))
    shapes = []
    for _ in range(draw(st.integers(2, 3))):
        names = draw(st.permutations("abc"))[: draw(st.integers(0, 3))]
        properties = tuple(
            Property(name, draw(st.sampled_from(nodes)), draw(st.booleans())) for name in names
        )
        is_open = draw(st.booleans())
        extras = (KeyClass(draw(st.sampled_from(keys)), draw(st.sampled_from(nodes))),)
        shapes.append(ObjectShape(properties, extras if is_open else ()))
    return values, tuple(shapes)


@given(drawn=unions())
@settings(max_examples=40, deadline=None)
def test_objects_of_several_shapes_are_those_of_each(
    drawn: tuple[Values, tuple[ObjectShape, ...]],
) -> None:
    values, shapes = drawn
    found = []
    for objects in [*((shape,) for shape in shapes), shapes]:
        values.define(values.root, Value(objects=objects))
        program = write_program(values, Layout("compact"), CANONICAL)
        found.append(set(texts_of(program, 19)))
    assert found[-1] == set.union(*found[:-1])


def test_alternatives_that_begin_alike_are_one_course() -> None:
    """Courses that double at each level would be too many for the slow matcher."""
    values = Values()
    shapes = tuple(
        ObjectShape(
            (
                Property("left", values.root, True),
                Property("right", values.root, False),
                Property("operator", values.node(Value(words=(operator,))), True),
            ),
            (),
        )
        for operator in "+-*"
    )
    values.define(values.root, Value(numbers=digits(), objects=shapes))
    matcher = ReferenceMatcher(write_program(values, Layout("compact"), CANONICAL))
    assert matcher.accept_bytes(b'{"left":' * 30 + b"1")
    assert matcher.accept_bytes(b',"right":2,"operator":"+"}' + b',"operator":"*"}' * 29)
    assert matcher.is_accepting()


def test_alternatives_with_very_many_ways_on_are_written_one_by_one() -> None:
    values = Values()
    zero, one = values.node(Value(("0",))), values.node(Value(("1",)))
    names = [f"{number:02}" for number in range(14)]
    shapes = []
    for order in (names, names[::-1], names[::2] + names[1::2], names[7:] + names[:7]):
        properties = tuple(Property(name, zero, False) for name in order)
        shapes.append(ObjectShape((*properties, Property("end", one, True)), ()))
    values.define(values.root, Value(objects=tuple(shapes)))
    program = write_program(values, Layout("compact"), CANONICAL)
    assert takes(program, '{"13":0,"04":0,"end":1}')
    assert takes(program, '{"07":0,"13":0,"00":0,"end":1}')
    assert not takes(program, '{"13":0,"04":0,"07":0,"end":1}')
    assert not takes(program, '{"07":0,"13":0,"00":0}')
