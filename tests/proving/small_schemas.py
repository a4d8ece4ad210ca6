"""Hypothesis strategies for schemas whose keywords bear on the values of `SCALARS` and `NAMES`."""

from typing import Any

from hypothesis import strategies as st
from reference.schema_texts import FEW, INNER, NAMES, SCALARS

TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]
PATTERNS = ["^a", "b", "^[ab]$", "^(a|bb)*$", "a$", "^$", "."]
COUNTS = st.integers(0, 3)


def _one_of(**groups: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """One of some keywords, with its value."""
    return st.one_of([value.map(lambda v, w=word: {w: v}) for word, value in groups.items()])


def scalars() -> st.SearchStrategy[Any]:
    """Schemas without schemas inside."""
    names = st.sampled_from(TYPES)
    several = st.lists(names, min_size=1, max_size=3, unique=True)
    listed = st.lists(st.sampled_from([*SCALARS, *INNER[-2:], [1, 2]]), min_size=1, max_size=4)
    bound = st.sampled_from([-1, 0, 1, 2, 1.5])
    keywords = _one_of(
        type=names | several,
        enum=listed.filter(_differ),
        const=st.sampled_from(INNER),
        minimum=bound,
        maximum=bound,
        exclusiveMinimum=bound,
        exclusiveMaximum=bound,
        multipleOf=st.sampled_from([1, 2, 0.5, 1.5]),
        minLength=COUNTS,
        maxLength=COUNTS,
        pattern=st.sampled_from(PATTERNS),
        required=st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True),
        minItems=COUNTS,
        maxItems=COUNTS,
        uniqueItems=st.just(True),
        minProperties=COUNTS,
        maxProperties=COUNTS,
        dependentRequired=st.dictionaries(
            st.sampled_from(NAMES),
            st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            min_size=1,
            max_size=2,
        ),
    )
    typed = st.builds(lambda name: {"type": name}, names)
    return st.one_of(st.sampled_from([True, False, {}]), typed, keywords, _merged(keywords))


def schemas_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas with some of `inner` inside."""
    several = st.lists(inner, min_size=1, max_size=3)
    whole = st.just({"$ref": "#"})  # ends where values do, so only inside of containers
    inside = st.one_of(inner, inner, inner, whole)
    members = st.dictionaries(st.sampled_from(NAMES), inside, min_size=1, max_size=3)
    by_pattern = st.dictionaries(st.sampled_from(["^a", "b$"]), inside, min_size=1, max_size=2)
    named = _one_of(pattern=st.sampled_from(PATTERNS), maxLength=COUNTS, enum=st.just(["a", "b"]))
    required = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)
    objects = st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("object"),
            "properties": members,
            "patternProperties": by_pattern,
            "additionalProperties": inside,
            "propertyNames": named,
            "required": required,
            "dependentSchemas": st.dictionaries(st.sampled_from(NAMES), inner, min_size=1),
            "minProperties": COUNTS,
            "maxProperties": COUNTS,
            "unevaluatedProperties": inside,
        },
    )
    contains = st.fixed_dictionaries(
        {"contains": inner}, optional={"minContains": COUNTS, "maxContains": COUNTS}
    )
    arrays = st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("array"),
            "prefixItems": st.lists(inside, min_size=1, max_size=3),
            "items": inside,
            "minItems": COUNTS,
            "maxItems": COUNTS,
            "uniqueItems": st.booleans(),
            "unevaluatedItems": inside,
        },
    )
    combined = _one_of(allOf=several, anyOf=several, oneOf=several, **{"not": inner})
    conditions = st.fixed_dictionaries({"if": inner}, optional={"then": inner, "else": inner})
    parts = st.one_of(objects, arrays, contains, combined, conditions)
    return st.one_of(objects, arrays, combined, _merged(parts))


def _merged(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda *some: {k: v for one in some for k, v in one.items()}, parts, parts)


def _differ(values: list[Any]) -> bool:
    return len(set(map(repr, values))) == len(values)


def _caged(schema: Any) -> dict[str, Any]:
    """`schema` for few values only, all of them in the universe."""
    few = {"enum": FEW}
    cage = {
        "type": ["null", "boolean", "string", "array", "object"],
        "pattern": "^[ab]{0,2}$",
        "items": few,
        "maxItems": 2,
        "properties": {"a": few, "b": few},
        "additionalProperties": False,
    }
    return {"allOf": [cage, schema]}


def _with_definition(schema: Any, definition: Any) -> Any:
    return schema if isinstance(schema, bool) else {**schema, "$defs": {"d": definition}}


def small_schemas(leaves: int = 6) -> st.SearchStrategy[Any]:
    """Schemas of up to `leaves` schemas without schemas inside; some are caged, some refer."""
    schemas = st.recursive(scalars(), schemas_of, max_leaves=leaves)
    defined = {"$ref": "#/$defs/d"}
    referring = st.recursive(scalars() | st.just(defined), schemas_of, max_leaves=leaves)
    with_definition = st.builds(_with_definition, referring, st.one_of(scalars(), schemas))
    return st.one_of(schemas, schemas, with_definition, schemas.map(_caged))
