"""The grammar benchmark works end to end and times nobody who answers wrongly.

No time is looked at here. Peers that are not installed are skipped by name.
"""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from example_tokenizers import trained_byte_level

from benchmarks.grammar_cases import CASES, STATES
from benchmarks.grammar_contenders import HOMES, Sampler, find
from benchmarks.grammar_timing import Course, WrongAnswer, entrants
from sampler import Vocabulary

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "bench_grammar.py"


def contender(name):
    kinds, missing = find([name])
    if missing:
        pytest.skip(f"{name}: {missing[name]}")
    tokenizer = trained_byte_level()
    vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[0])
    return kinds[0](tokenizer, vocabulary), Course(tokenizer, 0)


@pytest.mark.parametrize("name", CASES)
def test_values_are_what_the_cases_say(name):
    validator = jsonschema.Draft202012Validator(CASES[name].schema)
    assert all(map(validator.is_valid, CASES[name].values))
    assert not any(map(validator.is_valid, CASES[name].others))


@pytest.mark.parametrize("name", STATES)
def test_states_are_places_in_a_text_of_their_case(name):
    state = STATES[name]
    assert any(text.startswith(state.prefix) for text in state.case.texts)
    assert state.case in CASES.values()


@pytest.mark.parametrize("name", HOMES)
def test_contenders_answer_the_same_question(name):
    found, course = contender(name)
    failures = []
    for case in CASES.values():
        list(entrants([found], case, course, failures))
    assert len(failures) <= len(CASES) // 2, failures


def test_who_takes_what_is_invalid_is_not_timed():
    found, course = contender("sampler")

    class Careless(Sampler):
        def compile(self, source):
            return super().compile("true")

    found.__class__ = Careless
    failures = []
    assert list(entrants([found], CASES["bounded"], course, failures)) == []
    assert "takes" in failures[0]
    with pytest.raises(WrongAnswer):
        course.check(found, found.compile(""), CASES["record"])


def test_a_run_prints_tables_and_writes_every_figure(tmp_path):
    command = [sys.executable, str(SCRIPT), "--states", "string", "bounded", "--cases", "record"]
    command += ["--contenders", "sampler", "--rounds", "2", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "string with maxLength 40" in done.stdout
    results = json.loads((tmp_path / "grammar.json").read_text("utf-8"))["results"]
    assert [one["title"] for one in results] == [
        "inside string",
        "string with maxLength 40",
        "record of three",
    ]
    for one in results:
        assert one["compiles"] == 2
        assert one["first_mask_us"] > 0
        assert one["again_us"] <= one["again_maximum_us"]


def test_pytest_benchmark_times_the_same_calls(tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ROOT]
    command += ["-c", ROOT / "pyproject.toml", SCRIPT, "-k", "sampler and (record or comma)"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
