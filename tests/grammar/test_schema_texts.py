"""What each keyword allows and forbids, text by text; the tables stand in data/.

A row of schemas.json lists texts that are `valid`, `invalid`, and valid but `narrowed` away by the
options' defaults. The outlines backend `outlines_narrows` some of the valid ones too, or
`outlines_refuses` the schema with a keyword at a pointer.
"""

import json

import jsonschema
import pytest
from schema_tables import REFUSED, SCHEMAS, is_read_by_python, object_of

from sampler.errors import GrammarError, UnsupportedSchemaError


def _refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def is_valid(schema, text):
    """What the jsonschema package says of `text`; repeated keys and what is not JSON is invalid."""
    try:
        value = json.loads(text, object_pairs_hook=object_of, parse_constant=_refuse_constant)
    except ValueError:
        return False
    validator = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    return validator(schema, format_checker=validator.FORMAT_CHECKER).is_valid(value)


def assert_refused(compiler, schema, keyword, pointer):
    with pytest.raises(UnsupportedSchemaError) as refusal:
        compiler.compile_json_schema(schema)
    assert (refusal.value.keyword, refusal.value.json_pointer) == (keyword, pointer)
    where = repr(pointer) if pointer else "the root"
    assert str(refusal.value).startswith(f"`{keyword}` at {where}: ")


@pytest.mark.parametrize(
    "row", [row for row in SCHEMAS if is_read_by_python(row["schema"])], ids=lambda row: row["name"]
)
def test_table_agrees_with_jsonschema(row):
    for text in [*row["valid"], *row.get("narrowed", ())]:
        assert is_valid(row["schema"], text), text
    for text in row["invalid"]:
        assert not is_valid(row["schema"], text), text


@pytest.mark.parametrize("row", SCHEMAS, ids=lambda row: row["name"])
def test_texts_of_a_schema(row, compiler, accepts):
    grammar = compiler.compile_json_schema(row["schema"])
    for text in row["valid"]:
        assert accepts(grammar, text), text
    for text in [*row["invalid"], *row.get("narrowed", ())]:
        assert not accepts(grammar, text), text


@pytest.mark.parametrize("row", SCHEMAS, ids=lambda row: row["name"])
def test_texts_of_a_schema_in_the_free_spelling(row, compiler, accepts):
    """Only the order of named properties and the spelling of constants stay narrow."""
    grammar = compiler.compile_json_schema(row["schema"], spelling="free")
    for text in row["valid"]:
        assert accepts(grammar, f" {text}\n"), text
    for text in row["invalid"]:
        assert not accepts(grammar, text), text


@pytest.mark.parametrize("row", SCHEMAS, ids=lambda row: row["name"])
def test_texts_of_a_schema_under_the_outlines_backend(row, outlines_compiler, accepts):
    if "outlines_refuses" in row:
        assert_refused(outlines_compiler, row["schema"], *row["outlines_refuses"])
        return
    grammar = outlines_compiler.compile_json_schema(row["schema"])
    narrows = row.get("outlines_narrows", [])
    for text in row["valid"]:
        assert accepts(grammar, text) == (text not in narrows), text
    for text in [*row["invalid"], *row.get("narrowed", ())]:
        assert not accepts(grammar, text), text


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: json.dumps(row["schema"]))
def test_schema_is_refused_with_keyword_and_place(row, compiler):
    if "error" in row:  # what it means is known: nothing
        with pytest.raises(GrammarError, match=row["error"]) as error:
            compiler.compile_json_schema(row["schema"])
        assert not isinstance(error.value, UnsupportedSchemaError)
    else:
        assert_refused(compiler, row["schema"], row["keyword"], row["pointer"])


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: json.dumps(row["schema"]))
def test_schema_is_refused_by_the_outlines_backend(row, outlines_compiler):
    assert_refused(outlines_compiler, row["schema"], row["keyword"], row["pointer"])
