"""exp, log and sums against 40 decimal digits."""

import math
from decimal import Context, Decimal, localcontext

import numpy as np
import pytest

from sampler.kernels.numeric import exp_of_negative, log, total

DIGITS = Context(prec=40, Emin=-99_999, Emax=99_999)
MOST_ULPS = 2.0
LARGEST_VOCABULARY = 152_000


def ulps(given: float, exact: Decimal) -> float:
    """How many units in the last place of the exact value `given` is off."""
    return float(abs(Decimal(given) - exact) / Decimal(math.ulp(float(exact))))


def spread_out(smallest: float, largest: float, count: int) -> np.ndarray:
    """Positive numbers of every magnitude between two."""
    rng = np.random.default_rng(12)
    return np.exp(rng.uniform(math.log(smallest), math.log(largest), count))


def test_exp_is_within_two_units_in_the_last_place():
    everyday = np.random.default_rng(13).uniform(0.0, 745.0, 2_000)
    # where the argument reduction takes its next step, and where results become subnormal
    steps = (np.arange(1, 1_000) + 0.5) * math.log(2.0)
    points = np.concatenate(
        [everyday, steps, steps * (1 + 1e-15), spread_out(1e-300, 745.0, 1_000)]
    )
    with localcontext(DIGITS):
        worst = max(ulps(exp_of_negative(-t), Decimal(-t).exp()) for t in points.tolist())
    assert worst <= MOST_ULPS


@pytest.mark.parametrize(
    ("t", "expected"),
    [(0.0, 1.0), (-0.0, 1.0), (-746.5, 0.0), (-1e300, 0.0), (-math.inf, 0.0)],
)
def test_exp_at_its_ends(t, expected):
    assert exp_of_negative(t) == expected


def test_log_is_within_two_units_in_the_last_place():
    near_one = 1.0 + np.random.default_rng(14).uniform(-0.3, 0.5, 1_000)
    nearer = 1.0 + spread_out(1e-15, 1e-2, 500)
    points = np.concatenate([spread_out(1e-300, 1e300, 2_000), near_one, nearer, [5e-324, 2**-0.5]])
    with localcontext(DIGITS):
        worst = max(ulps(log(x), Decimal(x).ln()) for x in points.tolist())
    assert worst <= MOST_ULPS
    assert log(1.0) == 0.0


@pytest.mark.parametrize("kind", ["equal", "uniform", "softmax", "one large"])
def test_the_sum_of_a_whole_vocabulary_has_13_digits(kind):
    rng = np.random.default_rng(15)
    weights = {
        "equal": np.full(LARGEST_VOCABULARY, 0.1),
        "uniform": rng.uniform(size=LARGEST_VOCABULARY),
        "softmax": np.exp(rng.normal(0.0, 5.0, LARGEST_VOCABULARY) - 20.0),
        "one large": np.where(np.arange(LARGEST_VOCABULARY) == 77, 1.0, 1e-12),
    }[kind]
    for size in (1, 255, 256, 257, LARGEST_VOCABULARY):
        exact = math.fsum(weights[:size])
        assert abs(total(weights, size) - exact) <= 1e-13 * exact
