"""Programs of small schemas against `jsonschema`, in every layout that `json.dumps` writes."""

import json

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_values import dumped, takes

from sampler.errors import GrammarError
from sampler.grammar.schema import SchemaOptions, translate_schema
from sampler.limits import Limits

LAYOUTS = ("any", "compact", "spaced", 0, 1, 4)
NAMES = ("a", "b", 'c"\n', "x", "é")  # written in this order; schemas name the first ones

SCALARS = [
    {"type": "null"},
    {"type": ["integer", "null"]},
    {"type": "string", "maxLength": 2},
    {"enum": ["", "é", 1, [0, {"a": [], "b": {}}], {"b": None}]},
    {"const": {"a": {"x": [True]}}},
    {"type": "integer", "minimum": -1, "maximum": 12},
    True,
]


def _counts(draw: st.DrawFn, what: str) -> dict[str, int]:
    least, room = draw(st.integers(0, 3)), draw(st.none() | st.integers(0, 2))
    bounds = {f"min{what}": least} if least else {}
    return bounds if room is None else bounds | {f"max{what}": least + room}


@st.composite
def _objects(draw: st.DrawFn, inner: st.SearchStrategy) -> dict[str, object]:
    names = NAMES[: draw(st.integers(0, 3))]
    schema: dict[str, object] = {"type": "object", "properties": {n: draw(inner) for n in names}}
    if required := [name for name in names if draw(st.booleans())]:
        schema["required"] = required
    if draw(st.booleans()):
        schema["additionalProperties"] = draw(st.just(False) | inner)
    return schema | _counts(draw, "Properties")


@st.composite
def _arrays(draw: st.DrawFn, inner: st.SearchStrategy) -> dict[str, object]:
    schema: dict[str, object] = {"type": "array", "prefixItems": draw(st.lists(inner, max_size=2))}
    if not schema["prefixItems"]:
        del schema["prefixItems"]
    schema["items"] = draw(st.just(False) | inner)
    return schema | _counts(draw, "Items")


SCHEMAS = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        _objects(inner)
        | _arrays(inner)
        | st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    ),
    max_leaves=6,
)


def _ordered(value: dict[str, object]) -> dict[str, object]:
    return {name: value[name] for name in NAMES if name in value}


SCALAR_VALUES = st.sampled_from([None, True, 0, 1, -1, 12, 13, "", "é", "abc"])
VALUES = st.recursive(
    SCALAR_VALUES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5).map(_ordered)
        | st.sampled_from([[0, {"a": [], "b": {}}], {"b": None}, {"a": {"x": [True]}}])
    ),
    max_leaves=10,
)


def program_of(schema: object, **options: object):
    try:
        return translate_schema(json.dumps(schema), SchemaOptions(**options), Limits()).program
    except GrammarError as error:
        assert "no JSON value" in str(error)
        return None


@given(schema=SCHEMAS, values=st.lists(VALUES, min_size=6, max_size=6), layout=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_small_schemas_take_what_jsonschema_takes(schema, values, layout) -> None:
    whitespace = layout.draw(st.sampled_from(LAYOUTS))
    program = program_of(schema, whitespace=whitespace)
    anyhow = program_of(schema, spelling="free")
    validator = jsonschema.Draft202012Validator(schema)
    for value in values:
        is_valid = validator.is_valid(value)
        texts = ((program, dumped(value, whitespace)), (anyhow, json.dumps(value, indent=9) + "\n"))
        for given_program, text in texts:
            is_taken = given_program is not None and takes(given_program, text)
            assert is_taken == is_valid, text
