"""What each keyword allows and forbids, text by text; the tables stand in data/."""

import json
from pathlib import Path

import jsonschema
import pytest

from sampler.errors import UnsupportedSchemaError

_DATA = Path(__file__).parent / "data"
SCHEMAS = json.loads((_DATA / "schemas.json").read_text("utf-8"))
REFUSED = json.loads((_DATA / "refused_schemas.json").read_text("utf-8"))


def _refuse_repeated_keys(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is repeated")
    return dict(pairs)


def is_valid(schema, text):
    """What the jsonschema package says of `text`; repeated keys and what is not JSON is invalid."""
    try:
        value = json.loads(
            text, object_pairs_hook=_refuse_repeated_keys, parse_constant=_refuse_repeated_keys
        )
    except ValueError:
        return False
    validator = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    return validator(schema, format_checker=validator.FORMAT_CHECKER).is_valid(value)


@pytest.mark.parametrize("row", SCHEMAS, ids=lambda row: row["name"])
def test_table_agrees_with_jsonschema(row):
    for text in [*row["valid"], *row.get("narrowed", ())]:
        # its patterns are Python's, without \p
        assert "\\p" in str(row["schema"]) or is_valid(row["schema"], text), text
    for text in row["invalid"]:
        assert "\\p" in str(row["schema"]) or not is_valid(row["schema"], text), text


@pytest.mark.parametrize("row", SCHEMAS, ids=lambda row: row["name"])
def test_texts_of_a_schema(row, compiler, accepts):
    grammar = compiler.compile_json_schema(row["schema"])
    for text in row["valid"]:
        assert accepts(grammar, text), text
    for text in [*row["invalid"], *row.get("narrowed", ())]:
        assert not accepts(grammar, text), text


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: json.dumps(row["schema"]))
def test_schema_is_refused_with_keyword_and_place(row, compiler):
    with pytest.raises(UnsupportedSchemaError) as refusal:
        compiler.compile_json_schema(row["schema"])
    assert (refusal.value.keyword, refusal.value.json_pointer) == (row["keyword"], row["pointer"])
    where = repr(row["pointer"]) if row["pointer"] else "the root"
    assert str(refusal.value).startswith(f"`{row['keyword']}` at {where}: ")
