"""exp, log and sums against correctly rounded arithmetic."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sampler.kernels.numeric import exp_of_negative, log, total


def units_in_the_last_place(got, wanted):
    return abs(got - wanted) / math.ulp(wanted)


@given(st.floats(min_value=-708.0, max_value=0.0))
def test_exp_is_within_two_units_in_the_last_place(t):
    assert units_in_the_last_place(exp_of_negative(t), math.exp(t)) <= 2


def test_exp_is_exact_at_zero_and_zero_far_below():
    assert exp_of_negative(0.0) == 1.0
    assert exp_of_negative(-0.0) == 1.0
    assert exp_of_negative(-746.0) == 0.0
    assert exp_of_negative(-1e308) == 0.0
    assert exp_of_negative(-np.inf) == 0.0


@given(st.floats(min_value=-746.0, max_value=-708.0))
def test_exp_underflows_gradually(t):
    assert abs(exp_of_negative(t) - math.exp(t)) <= 2 * math.ulp(math.exp(t))


def test_exp_is_monotonic_where_its_pieces_meet():
    for k in range(1, 1000):
        edge = -(k + 0.5) * math.log(2.0)
        around = [edge + i * math.ulp(edge) for i in range(-20, 21)]
        values = [exp_of_negative(t) for t in around]
        for t, value in zip(around, values, strict=True):
            assert units_in_the_last_place(value, math.exp(t)) <= 2


@given(st.floats(min_value=5e-324, max_value=1.7e308))
def test_log_is_within_two_units_in_the_last_place(x):
    if x == 1.0:
        assert log(x) == 0.0
    else:
        assert units_in_the_last_place(log(x), math.log(x)) <= 2


@given(st.floats(min_value=0.9, max_value=1.1))
def test_log_keeps_its_precision_near_one(x):
    wanted = math.log1p(x - 1.0)
    assert log(x) == wanted or units_in_the_last_place(log(x), wanted) <= 2


def test_a_total_of_many_equal_weights_has_no_bias():
    for size in (1, 255, 256, 257, 152_000):
        for weight in (1.0, 0.1, 1 / 3, 0.7):
            values = np.full(size, weight)
            wanted = math.fsum(values)
            assert abs(total(values, size) - wanted) <= 1e-13 * wanted


def test_a_total_looks_only_at_the_first_elements():
    values = np.ones(1000)
    values[300:] = np.nan
    assert total(values, 300) == 300.0
    assert total(values, 0) == 0.0
