"""A JSON Schema as the program of its texts.

Frames of the program are written when they are first called, but whatever has to be refused is
refused here: a document with keywords that are not always supported is looked at as a whole.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar.budget import Budget
from sampler.grammar.engine.program import Program, Spelling
from sampler.grammar.schema.demands import Overlaps, numbers_under
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.emit import write_program
from sampler.grammar.schema.expand import Expander
from sampler.grammar.schema.layout import LONGEST_RUN, Layout
from sampler.grammar.schema.merge import Condition
from sampler.grammar.schema.options import SchemaOptions
from sampler.grammar.schema.texts import Texts
from sampler.grammar.text.formats import NARROWED
from sampler.grammar.text.numbers import narrowed
from sampler.limits import Limits

# Keywords that are supported in some places only.
_PARTLY = frozenset(
    [
        "not",
        "if",
        "oneOf",
        "contains",
        "uniqueItems",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "patternProperties",
        "propertyNames",
        "unevaluatedProperties",
        "unevaluatedItems",
        "$dynamicRef",
        "$recursiveRef",
    ]
)


class Translation(NamedTuple):
    """A program, and what is to be known of it.

    Attributes
    ----------
    program : of the texts that the schema allows
    compares_items : whether the matcher has to see to it that items are distinct
    keys_run_out : whether it has to see to it that no key is begun for which there is none left;
        that no object has a key twice is up to it always
    warnings : what is only annotated, or narrower than the schema
    """

    program: Program
    compares_items: bool
    keys_run_out: bool
    warnings: list[str]


def translate_schema(
    source: str,
    options: SchemaOptions,
    limits: Limits,
) -> Translation:
    """The program of the texts that the schema `source` (canonical JSON) allows.

    Parameters
    ----------
    source : see `load_schema`
    options : how texts are written
    limits : of the compile

    Raises
    ------
    GrammarError : not a schema, or one that no value satisfies
    UnsupportedSchemaError : a keyword that cannot be enforced exactly
    GrammarLimitError : larger than a limit
    """
    try:
        with Budget.of_compile(limits):
            return _translate(source, options)
    except RecursionError as error:
        what, limit = "nesting of the schema, references followed", limits.max_grammar_depth
        raise GrammarLimitError(what, f"> {limit}", limit) from error


def _translate(source: str, options: SchemaOptions) -> Translation:
    root, warnings = json.loads(source), list[str]()
    is_untyped = isinstance(root, dict) and "properties" in root and "type" not in root
    if options.object_root and is_untyped:
        warnings.append("/: no type is given beside `properties`: narrowed to objects")
        root["type"] = "object"
    documents = Documents(root, options.registry)
    spelling = Spelling.CANONICAL if options.spelling == "canonical" else Spelling.FREE
    texts = Texts(spelling, options.formats == "assert")
    in_any_order = options.property_order == "any"
    expander = Expander(documents, texts, in_any_order)
    if in_any_order or _has_to_be_checked(documents, texts):
        overlaps: dict[Schema, Sequence[tuple[int, int]]] = {}
        more: Overlaps = {}
        with suppress(GrammarError):  # what is wrong may be out of reach
            more = expander.overlaps_of(documents.alternatives)
        while more or (more := expander.check()):
            for schema, pairs in more.items():
                overlaps[schema] = (*overlaps.get(schema, ()), *pairs)
            expander, more = Expander(documents, texts, in_any_order, overlaps), {}
    if expander.is_empty(expander.root):
        raise GrammarError("no JSON value satisfies the schema")
    program = write_program(
        expander, Layout(options.whitespace), spelling, in_any_order=in_any_order
    )
    warnings = [*_narrowed(options, documents), *warnings, *_annotated(documents, texts)]
    warnings += _narrowed_numbers(documents, spelling)
    return Translation(program, expander.compares_items, expander.keys_run_out, warnings)


def _has_to_be_checked(documents: Documents, texts: Texts) -> bool:
    """Whether something in the documents could have to be refused."""
    try:
        for schema in documents.references:  # grows while other documents are found
            documents.resolve(schema, "$ref")
        for pattern, where in documents.patterns.items():
            texts.condition(Condition("pattern", pattern, where))
    except GrammarError:
        return True  # perhaps; it may be out of reach
    return not _PARTLY.isdisjoint(documents.used)


def _narrowed(options: SchemaOptions, documents: Documents) -> Iterator[str]:
    """What the options leave out of all texts that the schema allows."""
    used = documents.used
    if options.spelling == "canonical":
        yield "strings: the slash is not escaped, and printable ASCII never written as \\uXXXX"
        yield "integers: written without fraction and exponent"
        if not used.isdisjoint(("enum", "const")):
            yield "constants: written as `json.dumps` writes them"
    elif not used.isdisjoint(("not", "oneOf", "if", "contains")):
        yield "numbers: without an exponent where single ones, or multiples, are left out"
    if options.whitespace != "any":
        yield f"whitespace: exactly that of {options.whitespace!r}"
    elif options.spelling == "canonical":
        yield f"whitespace: up to {LONGEST_RUN} characters, none outside the value"
    if options.property_order == "schema" and not used.isdisjoint(("properties", "required")):
        yield "objects: named properties are written in the order of the schema"


def _annotated(documents: Documents, texts: Texts) -> Iterator[str]:
    """What the specification lets pass, and formats that are narrower than they could be."""
    for where in documents.unknown:
        yield f"{where}: unknown keyword, not enforced"
    for name, places in documents.formats.items():
        for where in places:
            if name not in texts.formats:
                yield f"{where}: format {name!r} is not enforced"
            elif name in NARROWED:
                yield f"{where}: format {name!r} is narrowed to {NARROWED[name]}"


def _narrowed_numbers(documents: Documents, spelling: Spelling) -> Iterator[str]:
    """The places whose numbers are not written in every way."""
    for schema in documents.numeric:
        given = schema.get("type")
        is_integer = given == "integer" or (isinstance(given, list) and "number" not in given)
        interval = numbers_under(schema, is_integer).interval
        missing = narrowed(interval, is_integer, spelling)
        if missing is not None:
            yield f"{schema.pointer or '/'}: numbers are written with {missing}"
