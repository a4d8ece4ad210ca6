"""Python types as JSON Schemas: pydantic models, dataclasses, `Literal`, enums, terms of outlines.

Pydantic does the work; it and outlines are imported only when somebody gives an object of theirs,
or a type.
"""

import importlib
import json
import sys
import typing
from collections.abc import Mapping
from functools import reduce
from importlib.util import find_spec
from operator import or_
from types import UnionType
from typing import Any

from sampler.errors import GrammarError, InvalidParameterError, UnsupportedSchemaError


def schema_of(given: object) -> Mapping[str, Any] | bool | str:
    """The JSON Schema of what is `given`.

    Parameters
    ----------
    given : a schema (an object, a boolean or a text), which comes back as it is; or a type: a
        pydantic model, a dataclass, a TypedDict, a NamedTuple, an Enum, a ``Literal``, a union, a
        generic alias as ``list[int]``, a builtin type; or a term of ``outlines.types``, which
        stands for the JSON strings that match it as a whole, unless it has a schema of its own

    Raises
    ------
    GrammarError : neither a schema nor a type that has one
    UnsupportedSchemaError : a context-free grammar of outlines
    InvalidParameterError : pydantic is needed and not installed
    """
    if isinstance(given, Mapping | bool | str):
        return given
    terms = sys.modules.get("outlines.types.dsl")  # imported by whoever has made a term
    if terms is not None and isinstance(given, terms.Term):
        if isinstance(given, terms.JsonSchema):
            return str(given.schema)
        if isinstance(given, terms.Choice):
            return {"enum": list(given.items)}
        if isinstance(given, terms.CFG):
            raise UnsupportedSchemaError("context-free grammars have no JSON Schema", "CFG")
    elif not _is_type(given):
        raise GrammarError(
            "a JSON Schema must be an object, a boolean, a text or a Python type. Given:"
            f" {type(given).__name__}"
        )
    return _schema_of_type(given)


def _is_type(given: object) -> bool:
    """Whether `given` is a class, or a type as `typing` writes it."""
    return (
        isinstance(given, type | typing.NewType)
        or typing.get_origin(given) is not None
        or hasattr(given, "__value__")  # of `type Name = ...`
    )


def _schema_of_type(given: object) -> dict[str, Any]:
    if find_spec("pydantic") is None:
        raise InvalidParameterError(
            "a Python type as a schema needs pydantic: pip install 'token-sampler[outlines]'"
        )
    pydantic = importlib.import_module("pydantic")
    try:
        adapter = pydantic.TypeAdapter(_readable(given))
        schema = adapter.json_schema(schema_generator=_generator())
    except (pydantic.PydanticUserError, NameError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise GrammarError(f"no JSON Schema can be made of {given!r}: {reason}") from error
    return dict(json.loads(json.dumps(schema)))  # nothing in it is shared


def _generator() -> type:
    """What writes schemas as pydantic does, but with terms that match whole strings."""
    base: Any = importlib.import_module("pydantic.json_schema").GenerateJsonSchema

    class Generator(base):  # type: ignore[misc]
        ignored_warning_kinds = frozenset(["skipped-choice", "non-serializable-default"])

        def generate_inner(self, schema: Any) -> Any:
            written = super().generate_inner(schema)
            if "pattern" in written and _is_of_term(schema):
                return written | {"pattern": f"^(?:{written['pattern']})$"}
            return written

    return Generator


def _is_of_term(schema: Mapping[str, Any]) -> bool:
    """Whether a term of outlines says what the JSON Schema of the core schema `schema` is."""
    terms = sys.modules.get("outlines.types.dsl")
    makers = schema.get("metadata", {}).get("pydantic_js_functions", ())
    return terms is not None and any(
        isinstance(getattr(maker, "__self__", None), terms.Term) for maker in makers
    )


def _readable(given: Any, around: tuple[object, ...] = ()) -> Any:
    """`given` with other TypedDicts: before Python 3.12 pydantic reads only typing_extensions'."""
    if sys.version_info >= (3, 12) or given in around:
        return given
    if typing.is_typeddict(given):
        extensions = importlib.import_module("typing_extensions")
        fields = {}
        for name, hint in typing.get_type_hints(given, include_extras=True).items():
            while typing.get_origin(hint) in (typing.Required, typing.NotRequired):
                (hint,) = typing.get_args(hint)
            hint = _readable(hint, (*around, given))
            is_required = name in given.__required_keys__
            fields[name] = hint if is_required else extensions.NotRequired[hint]
        return extensions.TypedDict(given.__name__, fields)
    arguments = typing.get_args(given)
    readable = tuple(_readable(part, around) for part in arguments)
    if all(new is old for new, old in zip(readable, arguments, strict=True)):
        return given
    origin = typing.get_origin(given)
    return reduce(or_, readable) if origin is UnionType else origin[readable]
