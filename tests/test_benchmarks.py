"""The sampling benchmark works end to end and times nobody who answers another question.

No time is looked at here. Peers that are not installed are skipped by name.
"""

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reference.sampling import reference_distribution

from benchmarks.sampling_checks import WrongAnswer, check
from benchmarks.sampling_contenders import HOMES, find
from benchmarks.sampling_numpy import NumpySort
from benchmarks.sampling_rows import CHAINS, SHAPES, Problem, bitmask_of, row_of

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "bench_sampling.py"
VOCAB_SIZE = 4_000
DRAWS = 3_000


def installed(name):
    kinds, missing = find([name])
    if missing:
        pytest.skip(f"{name}: {missing[name]}")
    return kinds[0]


@pytest.mark.parametrize("name", HOMES)
def test_contenders_draw_from_the_distribution_of_the_definition(name):
    kind = installed(name)
    chains = [chain for chain in CHAINS.values() if kind.refuses(chain) is None]
    assert len(chains) >= 3
    for chain, shape, batch_size in itertools.product(chains, SHAPES, (1, 3)):
        problem = Problem(chain, shape, VOCAB_SIZE, batch_size)
        check(kind(problem), problem)


@pytest.mark.parametrize("name", [name for name in HOMES if name != "np.max"])
def test_draws_have_the_frequencies_of_the_definition(name):
    """Pearson's chi-square, fixed seeds; each chain has a false alarm of 1e-6."""
    kind = installed(name)
    for chain in ("top-k-top-p", "top-p", "typical-p", "min-p", "mask"):
        problem = Problem(CHAINS[chain], "flat", 256, 1)
        if kind.refuses(problem.chain) is None:
            probs = expected_probabilities(problem)
            assert_frequencies(drawn(kind(problem)), probs)


def expected_probabilities(problem):
    row, mask = problem.logits[0][0], problem.bitmasks[0]
    allowed = None if mask is None else unpacked(mask[0])
    expected = reference_distribution(row, problem.chain.parameters, allowed=allowed)
    probs = np.zeros(problem.vocab_size)
    probs[expected.token_ids] = np.exp(expected.logprobs)
    return probs


def drawn(contender):
    """How often each token of the first row is drawn."""
    contender.restart()
    one = contender.inputs[0]
    tokens = []
    for _ in range(DRAWS):
        token_ids, *_ = contender.step(one)
        tokens.append(int(np.asarray(token_ids).item()))
    return np.bincount(tokens, minlength=256)


def assert_frequencies(counts, probs):
    """Tokens expected less than 20 times count as one, which is left out where nothing is left."""
    assert not counts[probs == 0].any()
    likely = probs >= 20 / DRAWS
    means = np.append(probs[likely], probs[~likely].sum()) * DRAWS
    seen = np.append(counts[likely], counts[~likely].sum())
    statistic = ((seen - means) ** 2)[means > 0] / means[means > 0]
    freedom = len(statistic) - 1
    # the approximation of Wilson and Hilferty: the quantile 4.75 standard deviations up
    spread = 2 / (9 * freedom)
    assert statistic.sum() < freedom * (1 - spread + 4.75 * math.sqrt(spread)) ** 3


def test_a_contender_that_keeps_too_much_is_not_timed():
    problem = Problem(CHAINS["top-p"], "peaked", VOCAB_SIZE, 1)
    wrong = NumpySort(problem)
    wrong.given = CHAINS["temperature"].parameters
    with pytest.raises(WrongAnswer, match="kept 4000 ids"):
        check(wrong, problem)


def test_the_best_token_of_a_peaked_row_has_probability_0_7_at_temperature_0_7():
    for number in range(3):
        row = row_of("peaked", VOCAB_SIZE, number).astype(np.float64)
        weights = np.exp((row - row.max()) / 0.7)
        assert weights.max() / weights.sum() == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize(("allowed", "count"), [(0.1, 400), (10, 10), (100, 100)])
def test_masks_allow_as_many_ids_as_they_say(allowed, count):
    assert unpacked(bitmask_of(allowed, VOCAB_SIZE, 0)).sum() == count


def test_the_context_of_a_penalty_has_distinct_ids():
    problem = Problem(CHAINS["penalty"], "peaked", VOCAB_SIZE, 1)
    assert len(set(problem.context.tolist())) == 512


def test_a_run_prints_a_table_and_writes_every_figure(tmp_path):
    names = ["np.max", "sampler", "numpy-sort"]
    command = [sys.executable, str(SCRIPT), "--chains", "top-k-top-p", "call", "--contenders"]
    command += [*names, "--vocab-sizes", "1000", "--rounds", "2", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "V = 1,000, B = 1, peaked rows" in done.stdout
    document = json.loads((tmp_path / "sampling.json").read_text("utf-8"))
    assert document["machine"]["versions"]["numpy"] == np.__version__
    results = document["results"]
    assert [record["contender"] for record in results] == names * 4  # two chains, two shapes
    assert {record["vocab_size"] for record in results} == {1000, 64}
    for record in results:
        assert 0 < record["minimum_us"] <= record["median_us"]
        assert record["ratio"] > 0
        assert record["kept"] == ("" if record["contender"] == "np.max" else "exact")


def test_pytest_benchmark_times_the_same_calls(tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ROOT]
    command += ["-c", ROOT / "pyproject.toml", SCRIPT, "-k", "call-greedy and numpy-sort"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def unpacked(bitmask):
    return np.unpackbits(bitmask.view(np.uint8), bitorder="little").astype(bool)
