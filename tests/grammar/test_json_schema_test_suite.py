"""The required tests of JSON-Schema-Test-Suite, draft 2020-12, as texts through masks.

Each instance is written as `json.dumps` does, with and without escapes, and fed in tokens of one
byte and in the longest that fit. The texts are fed as they are written: the vocabulary is the small
one of these tests, which splits bytes, so that no tokenizer normalises them.

A test is right when its valid instance is taken through the end of sequence, or its invalid one is
refused. It is not right where the schema is refused at compile; except that a schema may be refused
because no JSON value satisfies it when all its instances are invalid.
"""

import json
from collections import Counter
from pathlib import Path

import pytest
from proving.feeding import Feeder
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from sampler.errors import GrammarError

SUITE = Path(__file__).parents[3] / "shared" / "json-schema-test-suite"
TESTS = 1299
LEAST_RIGHT = 0.85

SCOPE = "refused: which of several $dynamicAnchor is meant depends on the way to the reference"
DIALECT = "refused: a $schema of one's own"

# Groups of tests that are not all right, by file and description, with the reason for each.
NOT_RIGHT = {
    "not: collect annotations inside a 'not', even if collection is disabled": (
        "refused: unevaluatedProperties inside of `not`"
    ),
    "vocabulary: ignore unrecognized optional vocabulary": DIALECT,
    "vocabulary: schema that uses custom metaschema with with no validation vocabulary": DIALECT,
    "defs: validate definition against metaschema": SCOPE,
    "ref: remote ref, containing refs itself": SCOPE,
    "unevaluatedItems: unevaluatedItems with $dynamicRef": SCOPE,
    "unevaluatedProperties: unevaluatedProperties with $dynamicRef": SCOPE,
    **{
        f"dynamicRef: {description}": SCOPE
        for description in (
            "A $dynamicRef resolves to the first $dynamicAnchor still in scope that is encountered"
            " when the schema is evaluated",
            "A $dynamicRef with intermediate scopes that don't include a matching $dynamicAnchor"
            " does not affect dynamic scope resolution",
            "A $dynamicRef that initially resolves to a schema with a matching $dynamicAnchor"
            " resolves to the first $dynamicAnchor in the dynamic scope",
            "multiple dynamic paths to the $dynamicRef keyword",
            "after leaving a dynamic scope, it is not used by a $dynamicRef",
            "strict-tree schema, guards against misspelled properties",
            "tests for implementation dynamic anchor and reference link",
            "$ref and $dynamicAnchor are independent of order - $defs first",
            "$ref and $dynamicAnchor are independent of order - $ref first",
            "$dynamicRef skips over intermediate resources - direct reference",
            "$dynamicRef avoids the root of each schema, but scopes are still registered",
        )
    },
}


def groups():
    """Each group of tests with its name; none where the suite is absent."""
    for path in sorted((SUITE / "tests" / "draft2020-12").glob("*.json")):
        for group in json.loads(path.read_text("utf-8")):
            yield f"{path.stem}: {group['description']}", group


GROUPS = dict(groups())
pytestmark = pytest.mark.skipif(not GROUPS, reason=f"JSON-Schema-Test-Suite is not at {SUITE}")


def parameter(name):
    reason = NOT_RIGHT.get(name)
    marks = [pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True)] if reason else []
    return pytest.param(name, id=name, marks=marks)


@pytest.fixture(scope="module")
def registry():
    """The documents that the suite refers to, by the addresses that it expects them at."""
    resources = []
    for path in sorted((SUITE / "remotes").rglob("*.json")):
        address = f"http://localhost:1234/{path.relative_to(SUITE / 'remotes').as_posix()}"
        if "/v1/" not in address:
            contents = json.loads(path.read_text("utf-8"))
            resource = Resource.from_contents(contents, default_specification=DRAFT202012)
            resources.append((address, resource))
    return Registry().with_resources(resources)


@pytest.fixture(scope="module")
def outcomes(compiler, vocabulary, registry):
    """What becomes of each test of a group: right, refused, wrongly accepted or rejected."""
    feeder, known = Feeder(vocabulary), {}

    def outcomes_of(name):
        if name not in known:
            known[name] = _outcomes(GROUPS[name], compiler, feeder, registry)
        return known[name]

    return outcomes_of


def _outcomes(group, compiler, feeder, registry):
    tests = group["tests"]
    try:
        grammar = compiler.compile_json_schema(
            group["schema"],
            property_order="any",
            spelling="free",
            formats="annotate",
            registry=registry,
        )
    except GrammarError as error:
        if "no JSON value satisfies" in str(error):
            if not any(test["valid"] for test in tests):
                return ["right"] * len(tests)
            return ["wrongly rejected" if test["valid"] else "refused" for test in tests]
        return [f"refused: {error}"] * len(tests)
    return [_outcome(grammar, feeder, test) for test in tests]


def _outcome(grammar, feeder, test):
    """Of one test; wrong as soon as one writing or tokenisation of the instance is."""
    for ensure_ascii in (False, True):
        data = json.dumps(test["data"], ensure_ascii=ensure_ascii).encode()
        for ids in (feeder.longest(data), feeder.bytewise(data)):
            if feeder.takes(grammar, ids) != test["valid"]:
                return "wrongly rejected" if test["valid"] else "wrongly accepted"
    return "right"


@pytest.mark.parametrize("name", [parameter(name) for name in GROUPS])
def test_all_tests_of_a_group_are_right(name, outcomes):
    found = {
        test["description"]: outcome
        for test, outcome in zip(GROUPS[name]["tests"], outcomes(name), strict=True)
        if outcome != "right"
    }
    assert not found, json.dumps(GROUPS[name]["schema"])


def test_most_tests_are_right_and_nothing_invalid_is_accepted(outcomes):
    counts = Counter(outcome.partition(":")[0] for name in GROUPS for outcome in outcomes(name))
    print(f"\nJSON-Schema-Test-Suite, draft 2020-12, {counts.total()} tests: {dict(counts)}")
    assert counts.total() == TESTS
    assert counts["wrongly accepted"] == 0
    assert counts["right"] >= LEAST_RIGHT * TESTS


def test_the_table_names_groups_of_the_suite():
    assert set(NOT_RIGHT) <= set(GROUPS)
    assert len(GROUPS) == len(list(groups())), "two groups have the same name"
