"""One JSON Schema document: its draft, the places of its subschemas, its references.

References are resolved inside the document only. Evaluation of single values is left to the
`jsonschema` package; the two keywords that it reads by other rules than ours (`pattern` with
Python's syntax, `format` as an annotation) are refused where it would need them.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from sampler.errors import GrammarError, GrammarLimitError, UnsupportedSchemaError

Schema = dict[str, Any] | bool

LATEST = 2020
_DRAFTS = {
    "http://json-schema.org/draft-04/schema": (4, "Draft4Validator"),
    "http://json-schema.org/draft-06/schema": (6, "Draft6Validator"),
    "http://json-schema.org/draft-07/schema": (7, "Draft7Validator"),
    "https://json-schema.org/draft/2019-09/schema": (2019, "Draft201909Validator"),
    "https://json-schema.org/draft/2020-12/schema": (LATEST, "Draft202012Validator"),
}
_ONE = [
    "additionalProperties",
    "additionalItems",
    "items",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
]
_LISTS = ["allOf", "anyOf", "oneOf", "prefixItems", "items"]
_MAPS = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "dependencies",
]


def escape(token: str) -> str:
    """`token` as a part of a JSON pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")


class SchemaDocument:
    """A document that is a valid schema of its draft.

    Parameters
    ----------
    text : canonical JSON, see `load_schema`
    formats : "assert" or "annotate"

    Raises
    ------
    GrammarError : not a valid schema of the draft that ``$schema`` names
    UnsupportedSchemaError : another ``$schema`` than drafts 4, 6, 7, 2019-09 and 2020-12
    """

    def __init__(self, text: str, formats: str) -> None:
        self.root: Schema = json.loads(text)
        dialect = self.root.get("$schema") if isinstance(self.root, dict) else None
        self.draft, validator = LATEST, "Draft202012Validator"
        if isinstance(dialect, str):
            if dialect.rstrip("#") not in _DRAFTS:
                raise UnsupportedSchemaError(f"unknown dialect {dialect!r}", "$schema", "/$schema")
            self.draft, validator = _DRAFTS[dialect.rstrip("#")]
        self._validator = _checked_validator(self.root, validator, formats)
        self._pointers: dict[int, str] = {}
        self._anchors: dict[str, Schema] = {}
        self._made: list[Schema] = []  # keeps made-up schemas alive, so that ids stay their own
        self.register(self.root, "")

    def register(self, schema: Schema, pointer: str) -> Schema:
        """`schema` itself, after noting the places of it and of its subschemas."""
        self._made.append(schema)
        waiting = [(schema, pointer)]
        while waiting:
            place, where = waiting.pop()
            if isinstance(place, dict) and id(place) not in self._pointers:
                self._pointers[id(place)] = where
                self._note_anchor(place)
                waiting.extend(_subschemas(place, where))
        return schema

    def _note_anchor(self, schema: dict[str, Any]) -> None:
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(keyword), str):
                self._anchors.setdefault(schema[keyword], schema)
        name = schema.get("id" if self.draft == 4 else "$id")
        if isinstance(name, str) and name.startswith("#"):
            self._anchors.setdefault(name[1:], schema)

    def pointer(self, schema: Schema, keyword: str | None = None) -> str:
        """Where `schema` stands, or its `keyword`, as a JSON pointer; "" is the root."""
        place = self._pointers.get(id(schema), "")
        return place if keyword is None else f"{place}/{escape(keyword)}"

    def check_base(self, schema: dict[str, Any]) -> None:
        """None; refuses a subschema that changes the base of references."""
        keyword = "id" if self.draft == 4 else "$id"
        name = schema.get(keyword)
        if schema is not self.root and isinstance(name, str) and not name.startswith("#"):
            where = self.pointer(schema, keyword)
            raise UnsupportedSchemaError("supported at the root only", keyword, where)

    def resolve(self, reference: str, pointer: str) -> Schema:
        """The subschema that `reference` (which stands at `pointer`) names.

        Raises
        ------
        UnsupportedSchemaError : it leads to another document
        GrammarError : it names nothing
        """
        base, _, fragment = reference.partition("#")
        root = self.root if isinstance(self.root, dict) else {}
        own = root.get("id" if self.draft == 4 else "$id")
        if base and base != str(own or "").rstrip("#"):
            raise UnsupportedSchemaError(f"{reference!r} leads out of the schema", "$ref", pointer)
        fragment = unquote(fragment)
        found = self._at(fragment) if fragment[:1] in ("", "/") else self._anchors.get(fragment)
        if not isinstance(found, dict | bool):
            raise GrammarError(f"`$ref` at {pointer!r}: {reference!r} names no schema")
        return self.register(found, fragment)

    def _at(self, pointer: str) -> Any:
        place: Any = self.root
        for token in pointer.split("/")[1:]:
            token = token.replace("~1", "/").replace("~0", "~")
            if isinstance(place, dict) and token in place:
                place = place[token]
            elif isinstance(place, list) and token.isdecimal() and int(token) < len(place):
                place = place[int(token)]
            else:
                return None
        return place

    def is_valid(self, value: object, schema: Schema) -> bool:
        """Whether `value` is valid under `schema`, a part of this document or made of such."""
        from referencing.exceptions import Unresolvable

        try:
            return next(iter(self._validator.descend(value, schema)), None) is None
        except Unresolvable as error:
            where = self.pointer(schema, "$ref")
            raise UnsupportedSchemaError(f"{error} is not in the schema", "$ref", where) from error
        except RecursionError as error:
            raise GrammarError(f"endless recursion at {self.pointer(schema)!r}") from error


def _subschemas(schema: dict[str, Any], pointer: str) -> Iterator[tuple[Schema, str]]:
    for keyword in _ONE:
        if isinstance(schema.get(keyword), dict):
            yield schema[keyword], f"{pointer}/{keyword}"
    for keyword in _LISTS:
        if isinstance(schema.get(keyword), list):
            for index, part in enumerate(schema[keyword]):
                yield part, f"{pointer}/{keyword}/{index}"
    for keyword in _MAPS:
        if isinstance(schema.get(keyword), Mapping):
            for name, part in schema[keyword].items():
                yield part, f"{pointer}/{keyword}/{escape(name)}"


def _checked_validator(root: Schema, class_name: str, formats: str) -> Any:
    """A validator of `root`, after checking `root` against the schema of its draft."""
    import jsonschema
    from referencing import Registry

    validator = getattr(jsonschema, class_name)
    try:
        # without formats: they would check `pattern` against Python's syntax
        validator.check_schema(root, format_checker=jsonschema.FormatChecker(formats=()))
    except jsonschema.SchemaError as error:
        where = "".join(f"/{escape(str(token))}" for token in error.absolute_path)
        raise GrammarError(f"{error.message} (at {where or '/'!r})") from error
    except RecursionError as error:
        raise GrammarLimitError("nesting of the schema", "too deep to check", 64) from error
    refused = {"pattern": _refuse, "patternProperties": _refuse}
    if formats == "assert":
        refused["format"] = _refuse
    return jsonschema.validators.extend(validator, refused)(root, registry=Registry())


def _refuse(validator: Any, value: Any, instance: object, schema: Any) -> Iterator[Any]:
    keyword = "pattern"
    for keyword in ("format", "patternProperties", "pattern"):
        if schema.get(keyword) is value:
            break
    if isinstance(instance, dict if keyword == "patternProperties" else str):
        raise UnsupportedSchemaError("not supported beside enum or const", keyword)
    return iter(())
