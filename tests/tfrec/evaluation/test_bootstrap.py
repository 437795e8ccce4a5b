"""Intervals of means over users, compared with the formulas for many and for few users."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec.evaluation.bootstrap import interval, intervals


def test_the_interval_of_many_users_is_near_the_normal_one():
    values = np.random.default_rng(1).normal([0.3, 5.0], [0.2, 2.0], (4000, 2))
    half = 1.96 * values.std(axis=0) / math.sqrt(4000)
    ends = intervals(values)
    np.testing.assert_allclose(ends[:, 0], values.mean(axis=0) - half, atol=0.1 * half.min())
    np.testing.assert_allclose(ends[:, 1], values.mean(axis=0) + half, atol=0.1 * half.max())
    assert ends[0, 1] - ends[0, 0] == pytest.approx(2 * half[0], rel=0.05)


def test_a_column_has_the_same_interval_alone_and_among_others():
    values = np.random.default_rng(2).random((100, 3))
    np.testing.assert_allclose(intervals(values), [interval(column) for column in values.T])


def test_few_users_have_students_t_interval_and_one_user_an_unbounded_one():
    # Student's t of 2 degrees of freedom is 4.3027: 0.2 -+ 4.3027 * 0.1 / sqrt(3), and twice that.
    values = np.array([[0.1, 0.2], [0.2, 0.4], [0.3, 0.6]])
    assert intervals(values).tolist() == [
        pytest.approx([-0.04841, 0.44841], abs=1e-5),
        pytest.approx([-0.09683, 0.89683], abs=1e-5),
    ]
    assert interval(np.array([0.5])) == (-math.inf, math.inf)
    assert interval(np.array([])) == (-math.inf, math.inf)


def test_an_interval_is_cut_at_the_possible_values():
    # Student's t of 1 degree of freedom is 12.706: 0.5 -+ 12.706 * 0.5.
    assert interval(np.array([0.0, 1.0]), (0.0, 1.0)) == (0, 1)
    assert interval(np.array([0.0, 1.0])) == (pytest.approx(-5.853, abs=1e-3), pytest.approx(6.853, abs=1e-3))


@pytest.mark.parametrize("users", [5, 500])
def test_equal_values_have_an_interval_of_width_zero(users):
    assert interval(np.full(users, 0.1)) == (pytest.approx(0.1, abs=1e-15),) * 2


@pytest.mark.parametrize("users", [5, 500])
def test_a_column_with_a_nan_has_a_nan_interval_and_other_columns_do_not(users):
    values = np.random.default_rng(3).random((users, 2))
    values[0, 1] = math.nan
    ends = intervals(values)
    assert np.isnan(ends[1]).all()
    assert tuple(ends[0]) == pytest.approx(interval(values[:, 0]))
