"""Python types wherever a schema is; each test names the package that it needs."""

import dataclasses
import enum
import json
import subprocess
import sys
import typing

import pytest
from reference.program import ReferenceMatcher

from sampler.errors import GrammarError, InvalidParameterError, UnsupportedSchemaError
from sampler.grammar.schema import SchemaOptions, translate_schema
from sampler.grammar.schema.python_types import schema_of
from sampler.limits import Limits


class Colour(enum.Enum):
    RED = "red"
    NUMBER_3 = 3


@dataclasses.dataclass
class Tree:
    name: str
    branches: "list[Tree]" = dataclasses.field(default_factory=list)
    unlike_json: object = dataclasses.field(default_factory=object)


class Point(typing.NamedTuple):
    x: int
    y: int


class Inner(typing.TypedDict, total=False):
    number: typing.Required[int]
    text: str


class Outer(typing.TypedDict):
    inner: list[Inner] | None
    same: typing.Optional[Inner]  # noqa: UP045
    count: typing.Annotated[int, "how many"]
    word: typing.NotRequired[typing.Literal["a", "b"]]


def takes(given: object, text: str) -> bool:
    schema = schema_of(given)
    source = schema if isinstance(schema, str) else json.dumps(schema)
    matcher = ReferenceMatcher(translate_schema(source, SchemaOptions(), Limits()).program)
    return matcher.accept_bytes(text.encode()) and matcher.is_accepting()


@pytest.mark.parametrize("schema", [True, False, {}, {"type": "null"}, '{"type": "null"}', "nul"])
def test_schemas_come_back_as_they_are(schema: object) -> None:
    assert schema_of(schema) is schema


@pytest.mark.parametrize("given", [None, 3, 0.5, object(), [], (int,), len, Tree("a"), Colour.RED])
def test_other_objects_are_refused(given: object) -> None:
    with pytest.raises(GrammarError, match=f"Python type. Given: {type(given).__name__}"):
        schema_of(given)


def test_schemas_need_no_other_package() -> None:
    code = (
        "import sys; from sampler.grammar.schema.python_types import schema_of;"
        "schema_of({}); sys.exit(bool({'pydantic', 'outlines'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pydantic_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(InvalidParameterError, match=r"needs pydantic: pip install"):
        schema_of(Tree)


ROWS = [
    (Colour, ['"red"', "3"], ['"RED"', '"3"', "null"]),
    (Tree, ['{"name": "a"}', '{"name": "a", "branches": [{"name": "b"}]}'], ["{}", '{"name": 1}']),
    (Point, ["[1, 2]"], ["[1]", "[1, 2, 3]", '{"x": 1, "y": 2}']),
    (Inner, ['{"number": 1}', '{"number": 1, "text": ""}'], ['{"text": ""}']),
    (
        Outer,
        [
            '{"inner": null, "same": {"number": 1}, "count": 2}',
            '{"inner": [{"number": 1}], "same": null, "count": 2, "word": "b"}',
        ],
        [
            '{"inner": null, "same": null}',
            '{"inner": [{}], "same": null, "count": 2}',
            '{"inner": null, "same": null, "count": 2, "word": "c"}',
        ],
    ),
    (typing.Literal["a", 1, None], ['"a"', "1", "null"], ['"b"', "true"]),
    (int | None, ["1", "null"], ['"1"', "1.5"]),
    (typing.Union[Colour, bool], ['"red"', "true"], ["1"]),  # noqa: UP007
    (dict[str, list[int]], ['{"a": [1]}', "{}"], ['{"a": 1}', "[]"]),
    (typing.Annotated[list[Tree], "trees"], ['[{"name": ""}]'], ["[1]"]),
    (typing.NewType("Name", str), ['"a"'], ["1"]),
    (typing.Any, ["1", "{}"], [""]),
]


@pytest.mark.parametrize(("given", "valid", "invalid"), ROWS)
def test_types_of_the_standard_library(given: object, valid: list[str], invalid: list[str]) -> None:
    pydantic = pytest.importorskip("pydantic")
    for text in valid:
        assert takes(given, text), text
        if given not in (Inner, Outer):  # pydantic wants those of typing_extensions itself
            pydantic.TypeAdapter(given).validate_json(text)
    for text in invalid:
        assert not takes(given, text), text


@pytest.mark.parametrize(
    "given", [typing.Callable[[int], int], GrammarError, list[typing.ForwardRef("Missing")]]
)
def test_types_without_a_schema_are_refused(given: object) -> None:
    pytest.importorskip("pydantic")
    with pytest.raises(GrammarError, match="no JSON Schema can be made of"):
        schema_of(given)


def test_models_keep_their_constraints() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Person(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=3)
        age: int = pydantic.Field(ge=0, alias="years")
        friends: "list[Person]" = pydantic.Field(default_factory=list)

    assert takes(Person, '{"name": "abc", "years": 1, "friends": [{"name": "", "years": 0}]}')
    for invalid in ('{"name": "abcd", "years": 1}', '{"name": "a", "years": -1}', '{"name": "a"}'):
        assert not takes(Person, invalid)


def test_terms_stand_for_whole_strings() -> None:
    pydantic, types = pytest.importorskip("pydantic"), pytest.importorskip("outlines.types")
    dsl = pytest.importorskip("outlines.types.dsl")

    class Order(pydantic.BaseModel):
        day: types.date
        code: types.Regex("[a-z]|[0-9]+")
        like: str = pydantic.Field(pattern="b")

    assert takes(Order, '{"day": "2024-01-31", "code": "12", "like": "abc"}')
    assert not takes(Order, '{"day": "2024-01-31!", "code": "12", "like": "b"}')
    assert not takes(Order, '{"day": "2024-01-31", "code": "a1", "like": "b"}')
    assert takes(dsl.String("a.") | types.integer, '"a."')
    assert not takes(dsl.String("a.") | types.integer, '"ab"')
    assert takes(list[types.Regex("a|b")], '["a", "b"]')
    assert not takes(list[types.Regex("a|b")], '["ab"]')


def test_terms_with_a_schema_of_their_own() -> None:
    dsl = pytest.importorskip("outlines.types.dsl")
    assert takes(dsl.JsonSchema({"type": "integer"}), "12")
    assert takes(dsl.Choice(["a", 1]), "1")
    assert not takes(dsl.Choice(["a", 1]), '"1"')
    with pytest.raises(UnsupportedSchemaError, match="context-free grammars"):
        schema_of(dsl.CFG("start: 'a'"))
    with pytest.raises(GrammarError, match="no JSON Schema can be made of"):
        schema_of(dsl.String("a") + dsl.CFG("start: 'a'"))
