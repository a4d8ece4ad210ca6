"""The tables of schemas in tests/grammar/data, and what the jsonschema package says of texts."""

import functools
import json
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

import jsonschema

_DATA = Path(__file__).parent / "grammar" / "data"
SCHEMAS = json.loads((_DATA / "schemas.json").read_text("utf-8"))
REFUSED = json.loads((_DATA / "refused_schemas.json").read_text("utf-8"))

_NOT_OF_PYTHON = ("\\p", "[[:", "&&")  # what Python's `re` does not know, or warns of


def is_read_by_python(schema):
    """Whether the patterns of `schema` mean the same to jsonschema, which reads them with `re`."""
    written = json.dumps(schema).replace("\\\\", "\\")
    return not any(syntax in written for syntax in _NOT_OF_PYTHON)


def exact_number(text):
    """A number with a fraction or an exponent; exact unless the exponent has too many digits."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return float(text)


def object_of(pairs):
    """The members of an object; ValueError if a key is repeated."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is repeated")
    return dict(pairs)


@functools.cache
def _validator_of(written):
    schema = json.loads(written, parse_float=Decimal)  # 0.1 is a tenth on both sides
    validator = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    extended = jsonschema.validators.extend(validator, {"pattern": _check_pattern})
    return extended(schema, format_checker=validator.FORMAT_CHECKER)


def _check_pattern(validator, pattern, instance, schema):
    """As jsonschema does it, except where ECMA-262 and Python differ.

    Classes may be those of ASCII, and U+FEFF is white space.
    """
    if isinstance(instance, str) and not (
        re.search(pattern, instance)
        or re.search(pattern, instance, re.ASCII)
        or re.search(pattern, instance.replace("\ufeff", " "))
    ):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def is_valid(schema, text):
    """Whether `text` is valid under `schema`."""
    try:
        assert_valid(schema, text)
    except jsonschema.ValidationError:
        return False
    return True


def assert_valid(schema, text):
    """None; fails unless `text` is JSON without repeated keys, and valid under `schema`."""
    value = json.loads(text, object_pairs_hook=object_of, parse_float=exact_number)
    _validator_of(json.dumps(schema)).validate(value)


def asking_twice(levels):
    """A constant that is looked at 2 to the power of `levels` times."""
    definitions = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {
        "$defs": {**definitions, f"d{levels}": {"type": "integer"}},
        "$ref": "#/$defs/d0",
        "const": 1,
    }
