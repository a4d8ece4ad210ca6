"""A JSON Schema as one regular expression over the texts that it allows.

Rule of the file: what comes out is never wider than the schema. What cannot be expressed is
refused with its keyword and place; what is narrower is listed in the warnings. None stands for
"no value is valid" and moves up until an alternative, an optional property or the root decides.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sampler.errors import (
    GrammarError,
    GrammarLimitError,
    UnsupportedSchemaError,
)
from sampler.grammar.outlines import schema_numbers
from sampler.grammar.outlines.pattern_regex import any_of
from sampler.grammar.outlines.regex_grammar import Translation, checked_size
from sampler.grammar.outlines.schema_containers import Containers
from sampler.grammar.outlines.schema_document import Schema, SchemaDocument
from sampler.grammar.outlines.schema_flatten import Flat, Flattener, constrains
from sampler.grammar.outlines.schema_keywords import (
    ABOUT,
    ANNOTATIONS,
    REFUSED,
    assertions,
    is_known,
)
from sampler.grammar.outlines.schema_layout import (
    LONGEST_RUN,
    LONGEST_RUN_INSIDE,
    Layout,
)
from sampler.grammar.outlines.schema_numbers import Bound
from sampler.grammar.outlines.schema_strings import ANY_STRING, json_literal, strings
from sampler.grammar.schema.options import SchemaOptions
from sampler.limits import Limits

ANY_DEPTH = 2  # nesting of values that the schema leaves free
_SPELLING = (
    "strings: characters beyond ASCII are written as themselves, and only quotation marks,"
    " backslashes and control characters are escaped"
)


def check_options(options: SchemaOptions) -> None:
    """None; raises UnsupportedSchemaError for options that this backend does not have."""
    Layout(options.whitespace)
    if options.spelling == "free":
        raise UnsupportedSchemaError("'free' is not supported by outlines", "spelling")
    if options.property_order == "any":
        raise UnsupportedSchemaError("'any' is not supported by outlines", "property_order")
    if options.registry is not None:
        raise UnsupportedSchemaError("other documents are not supported by outlines", "registry")


def translate_schema(source: str, options: SchemaOptions, limits: Limits) -> Translation:
    """The texts that the schema `source` (canonical JSON) allows, for the backend.

    Raises
    ------
    GrammarError : not a schema, or one that no value satisfies
    UnsupportedSchemaError : a keyword that cannot be enforced exactly
    GrammarLimitError : larger than a limit
    """
    try:
        return _Translator(source, options, limits).translation()
    except RecursionError as error:
        what, limit = "nesting of the schema, references followed", limits.max_grammar_depth
        raise GrammarLimitError(what, f"> {limit}", limit) from error


class _Translator:
    def __init__(self, source: str, options: SchemaOptions, limits: Limits) -> None:
        self.document = SchemaDocument(source, options.formats)
        self.flattener = Flattener(self.document)
        self.layout = Layout(options.whitespace)
        self.options = options
        self.limits = limits
        self.warnings: dict[str, None] = {}
        self.containers = Containers(self.layout, limits, self.warnings, self.any_value, self.value)
        self._open: set[int] = set()
        self._known: dict[tuple[int, int], str | None] = {}

    def translation(self) -> Translation:
        root = self.document.root
        keywords = root.keys() if isinstance(root, dict) and self.options.object_root else {}
        if isinstance(root, dict) and "properties" in keywords and "type" not in keywords:
            self.warnings["/: no type is given beside `properties`: narrowed to objects"] = None
            root["type"] = "object"
        regex = self.value(root, 0)
        if regex is None:
            raise GrammarError("no JSON value satisfies the schema")
        general = [_SPELLING]
        if self.options.whitespace == "any":
            general.append(
                f"whitespace: up to {LONGEST_RUN} characters beside brackets and after commas,"
                f" {LONGEST_RUN_INSIDE} before commas and around colons, none outside the value"
            )
        else:
            general.append(f"whitespace: exactly that of {self.options.whitespace!r}")
        return Translation(regex, [*general, *self.warnings], self.containers.free_keys)

    def value(self, schema: Schema, level: int) -> str | None:
        """The values under `schema`; `level` is the number of containers around them."""
        key = (id(schema), level if self.layout.is_indented else 0)
        if isinstance(schema, bool) or key not in self._known:
            self._known[key] = self._new_value(schema, level)
        return self._known[key]

    def _new_value(self, schema: Schema, level: int) -> str | None:
        if id(schema) in self._open and not isinstance(schema, bool):
            where = self.document.pointer(schema, "$ref" if "$ref" in schema else None)
            raise UnsupportedSchemaError("recursive schemas are not supported", "$ref", where)
        if len(self._open) >= self.limits.max_grammar_depth:
            limit = self.limits.max_grammar_depth
            raise GrammarLimitError("nesting of the schema, references followed", limit + 1, limit)
        flat = self.flattener.flatten(schema)
        self._open.add(id(schema))
        try:
            regex = None if flat is None else self.flat_value(flat, level)
        finally:
            self._open.discard(id(schema))
        return checked_size(regex, self.limits)

    def flat_value(self, flat: Flat, level: int) -> str | None:
        if flat.values is not None:
            if not all(isinstance(value, str | bool | None) for value in flat.values):
                self.warnings["constants: written as `json.dumps` writes them"] = None
            return any_of(self.constant(value, level) for value in flat.values)
        self._list_annotations(flat)
        if not constrains(flat, self.document.draft):
            return self.any_value(level)
        for keyword in ("anyOf", "oneOf"):
            if keyword in flat.keywords:
                return self._alternatives(flat, keyword, level)
        self._refuse(flat)
        return any_of(self._typed(kind, flat, level) for kind in sorted(flat.types))

    def _list_annotations(self, flat: Flat) -> None:
        for keyword in flat.keywords:
            if keyword not in ANNOTATIONS and not is_known(keyword, self.document.draft):
                self.warnings[f"{flat.where[keyword]}: unknown keyword, not enforced"] = None

    def _refuse(self, flat: Flat) -> None:
        for keyword in assertions(flat.keywords, self.document.draft):
            about = ABOUT.get(keyword)
            if keyword in REFUSED and (about is None or about in flat.types):
                raise UnsupportedSchemaError(REFUSED[keyword], keyword, flat.where[keyword])

    def _alternatives(self, flat: Flat, keyword: str, level: int) -> str | None:
        """The values under any (or, known to be disjoint, exactly one) of the alternatives."""
        siblings = Flat(
            {word: value for word, value in flat.keywords.items() if word != keyword}, flat.where
        )
        words = list(flat.keywords)
        comes_first = "properties" in words and words.index(keyword) < words.index("properties")
        merged = [
            self._with_siblings(siblings, option, comes_first) for option in flat.keywords[keyword]
        ]
        branches = [branch for branch in merged if branch is not None]
        if keyword == "oneOf":
            for index, branch in enumerate(branches):
                if not all(self.flattener.disjoint(branch, other) for other in branches[:index]):
                    raise UnsupportedSchemaError(
                        "the alternatives are not certain to exclude each other (by type, const,"
                        " enum or a required property)",
                        keyword,
                        flat.where[keyword],
                    )
        return any_of([self.flat_value(branch, level) for branch in branches])

    def _with_siblings(self, siblings: Flat, option: Schema, comes_first: bool) -> Flat | None:
        """`option` merged with the keywords beside its keyword; the first ones' properties lead."""
        if not constrains(siblings, self.document.draft):
            return self.flattener.flatten(option)
        where = next(iter(siblings.where.values()), "").rpartition("/")[0]
        pair = [self.document.register(siblings.keywords, where), option]
        both: Schema = {"allOf": pair[::-1] if comes_first else pair}
        return self.flattener.flatten(self.document.register(both, where))

    def _typed(self, kind: str, flat: Flat, level: int) -> str | None:
        simple = {"null": "null", "boolean": "(?:true|false)"}
        if kind in simple:
            return simple[kind]
        if kind == "string":
            depth = self.limits.max_grammar_depth
            return strings(flat, depth, self.options.formats, self.warnings)
        translate: Callable[[Flat, int], str | None] = {
            "object": self.containers.objects,
            "array": self.containers.arrays,
        }.get(kind, lambda flat, _: self._numbers(flat, kind))
        return translate(flat, level)

    def _numbers(self, flat: Flat, kind: str) -> str | None:
        kind = self._multiples(flat, kind)
        low = _bound(flat.keywords, "minimum", "exclusiveMinimum")
        high = _bound(flat.keywords, "maximum", "exclusiveMaximum")
        if kind == "integer":
            self.warnings["integers: written without fraction and exponent"] = None
            return schema_numbers.integers(low, high)
        if low is None and high is None:
            self.warnings["numbers: written with at most two digits of exponent"] = None
            return schema_numbers.NUMBER
        self.warnings["numbers with bounds: written without exponent"] = None
        return schema_numbers.numbers(low, high)

    def _multiples(self, flat: Flat, kind: str) -> str:
        """The type that has the multiples of `multipleOf`: integers of 1, 0.5, 0.25, 0.1..."""
        step = flat.keywords.get("multipleOf")
        if step is None:
            return kind
        step = Fraction(Decimal(str(step)))
        if step == 1 or (kind == "integer" and step.numerator == 1):
            return "integer"
        raise UnsupportedSchemaError(
            "supported for integers and steps that divide 1 only",
            "multipleOf",
            flat.where["multipleOf"],
        )

    def constant(self, value: Any, level: int) -> str:
        if isinstance(value, str):
            return json_literal(value)
        if isinstance(value, list):
            return self.containers.listed([self.constant(item, level + 1) for item in value], level)
        if isinstance(value, dict):
            members = {name: self.constant(item, level + 1) for name, item in value.items()}
            return self.containers.mapped(members, level)
        return json.dumps(value).replace("+", "\\+").replace(".", "\\.")

    def any_value(self, level: int, depth: int = ANY_DEPTH) -> str:
        """Any JSON value nested up to `depth`."""
        self.warnings[
            f"free values: nested up to {ANY_DEPTH} deep, keys without escapes, short exponents"
        ] = None
        scalars = ["null", "true", "false", schema_numbers.NUMBER, ANY_STRING]
        if depth == 0:
            return any_of(scalars) or ""
        inner = self.any_value(level + 1, depth - 1)
        return (
            any_of(
                [
                    *scalars,
                    self.containers.array_of(inner, level),
                    self.containers.map_of(inner, level),
                ]
            )
            or ""
        )


def _bound(keywords: dict[str, Any], including: str, excluding: str) -> Bound | None:
    """The tighter one of an inclusive and an exclusive bound; draft 4 has a flag for the latter."""
    limit, excluded = keywords.get(including), keywords.get(excluding)
    if isinstance(excluded, bool):
        return None if limit is None else Bound(Decimal(str(limit)), excluded)
    bounds = [
        Bound(Decimal(str(value)), is_excluded)
        for value, is_excluded in ((limit, False), (excluded, True))
        if value is not None
    ]
    if not bounds:
        return None
    sign = 1 if including == "minimum" else -1
    return max(bounds, key=lambda bound: (sign * bound.value, bound.excluded))
