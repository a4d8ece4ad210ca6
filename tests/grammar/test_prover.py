"""Valid instances of real schemas, respelled and mutated: masks agree with the oracle on all texts.

The schemas are MaskBench's development half, the oracle is the jsonschema package. Every text is
fed with ``spelling="free"`` and ``property_order="any"``, under which all valid texts must be
taken; an invalid one with the defaults too, and neither may take it.
"""

import gzip
import hashlib
import itertools
import json
from pathlib import Path

import pytest
from example_tokenizers import shared_tokenizer
from proving.prover import Effort, Prover, keywords_of

from sampler import Vocabulary
from sampler.grammar import GrammarCompiler

MASKBENCH = Path(__file__).parents[3] / "shared" / "maskbench" / "dev.jsonl.gz"
SUITE = MASKBENCH.parents[1] / "json-schema-test-suite" / "tests" / "draft2020-12"
MOST_FORBIDDEN = 0.005
QWEN3_END = 151645


def schemas(every, chosen=0):
    """One in `every` of the development schemas that have a valid instance."""
    if not MASKBENCH.exists():
        pytest.skip(f"the schemas of MaskBench are not at {MASKBENCH}")
    with gzip.open(MASKBENCH, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            digest = hashlib.sha1(f"{row['name']}.json".encode()).hexdigest()
            is_chosen = int(digest[:8], 16) % every == chosen
            if is_chosen and any(test["valid"] for test in row["tests"]):
                yield row["name"], row["schema"], row["tests"]


def assert_nothing_is_proven(prover, rows, least_schemas, least_valid, least_invalid):
    tally = prover.tally
    try:
        for row in rows:
            prover.try_schema(*row)
    finally:
        print("\n" + tally.table())
        for fault in tally.faults:
            print(json.dumps(fault._asdict(), ensure_ascii=False))
    assert tally.totals["schemas"] >= least_schemas
    assert tally.totals["valid"] >= least_valid
    assert tally.totals["invalid"] >= least_invalid
    assert not tally.totals["instances that the oracle labels otherwise"]
    assert not tally.totals["under"]
    assert tally.totals["over"] < MOST_FORBIDDEN * tally.totals["valid"]
    assert tally.totals["schemas that reach a limit"] < MOST_FORBIDDEN * tally.totals["schemas"]


def test_no_text_of_some_schemas_is_judged_wrongly(compiler, vocabulary):
    prover = Prover(compiler, vocabulary, Effort())
    assert_nothing_is_proven(prover, schemas(every=22), 150, 3000, 2000)


def suite():
    """The groups of JSON-Schema-Test-Suite, whose instances are labelled too."""
    if not SUITE.exists():
        pytest.skip(f"JSON-Schema-Test-Suite is not at {SUITE}")
    for path in sorted(SUITE.glob("*.json")):
        for group in json.loads(path.read_text("utf-8")):
            name = f"{path.stem}: {group['description']}"
            if path.stem not in ("format", "refRemote", "vocabulary"):
                yield name, group["schema"], group["tests"]


def test_no_text_of_the_suite_is_judged_wrongly(compiler, vocabulary):
    prover = Prover(compiler, vocabulary, Effort(respellings=4, mutants=8))
    assert_nothing_is_proven(prover, suite(), 300, 5000, 2500)


class Forgetful:
    """A compiler that leaves a keyword out of all schemas, or is asked for other options."""

    def __init__(self, compiler, keyword="", **options):
        self._compiler, self._keyword, self._options = compiler, keyword, options

    def compile_json_schema(self, schema, **options):
        return self._compiler.compile_json_schema(
            without(schema, self._keyword), **{**options, **self._options}
        )


def without(schema, keyword):
    if isinstance(schema, dict):
        return {word: without(v, keyword) for word, v in schema.items() if word != keyword}
    return [without(item, keyword) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize(
    "keyword",
    ["required", "additionalProperties", "enum", "type", "pattern", "minimum", "oneOf"],
)
def test_a_forgotten_keyword_is_proven(keyword, compiler, vocabulary):
    prover = Prover(Forgetful(compiler, keyword), vocabulary, Effort(longest=500))
    users = (row for row in schemas(every=22) if keyword in keywords_of(row[1]))
    for row in itertools.islice(users, 8):
        prover.try_schema(*row)
    assert prover.tally.wrong["invalid", f"keyword {keyword}"]


@pytest.mark.parametrize(
    ("option", "classes"),
    [
        ({"spelling": "canonical"}, ["other numbers", "\\uXXXX throughout", "any escapes"]),
        ({"property_order": "schema"}, ["shuffled properties"]),
        ({"whitespace": "compact"}, ["spaced", "indented by a tab", "random white space"]),
    ],
)
def test_a_spelling_that_is_not_taken_is_proven(option, classes, compiler, vocabulary):
    prover = Prover(Forgetful(compiler, **option), vocabulary, Effort())
    for row in itertools.islice(schemas(every=22), 24):
        prover.try_schema(*row)
    assert {fault.kind for fault in prover.tally.faults} == {"over"}
    assert all(prover.tally.wrong["valid", f"spelling {name}"] for name in classes)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_no_text_of_the_whole_half_is_judged_wrongly(part, compiler, vocabulary):
    prover = Prover(compiler, vocabulary, Effort(respellings=14, mutants=25, longest=30_000))
    assert_nothing_is_proven(prover, schemas(every=8, chosen=part), 500, 15_000, 8_000)


@pytest.mark.slow
def test_no_text_in_tokens_of_a_large_vocabulary_is_judged_wrongly():
    vocabulary = Vocabulary.from_tokenizer(shared_tokenizer("qwen3"), eos_token_ids=[QWEN3_END])
    prover = Prover(GrammarCompiler(vocabulary), vocabulary, Effort())
    assert_nothing_is_proven(prover, schemas(every=22, chosen=1), 150, 3000, 2000)
