"""Errors of single rows by whole matrices, against the loop over groups of rows."""

import numpy as np
import pytest
from assertions import assert_close, assert_identical

from theory.sampling import regression


@pytest.fixture
def fitted():
    rng = np.random.default_rng(0)
    masks, responses = rng.integers(0, 2, (40, 6)).astype(np.float64), rng.standard_normal((40, 3))
    omega = rng.uniform(0.5, 2.0, 40)
    rows = regression.centred(masks, responses, omega / omega.mean())
    return rows, regression.least_squares(rows, singular_along_one=False)


@pytest.mark.parametrize("full", [False, True])
def test_errors_of_single_rows_are_those_of_groups_of_one_row_each(fitted, full):
    by_groups = regression.score_covariance(regression.group_scores(*fitted, None), full=full)
    assert_close(regression.error_covariance(*fitted, None, full=full), by_groups, rtol=1e-12)


def test_what_a_row_leaves_is_its_residual_in_a_fit_without_it(fitted):
    rows, solution = fitted
    without = regression.without_own_row(rows, solution)
    x, root = np.column_stack([rows.root, rows.x]), rows.root
    for r in (0, 17):
        kept = np.arange(len(x)) != r
        beta = np.linalg.lstsq(x[kept], rows.y[kept], rcond=None)[0]
        assert_close(without[r], rows.y[r] - x[r] @ beta, rtol=1e-11, call=f"row {r} of weight {root[r]:.2f}")


def test_a_row_that_alone_decides_a_coefficient_has_no_residual_without_it():
    x = np.vstack([np.tile(np.eye(2)[1], (5, 1)), np.eye(2)[:1], np.zeros((4, 2))])
    rows = regression.centred(x, np.arange(10.0)[:, None], np.ones(10))
    without = regression.without_own_row(rows, regression.least_squares(rows, singular_along_one=False))
    assert_identical(np.isnan(without[:, 0]), np.arange(10) == 5)
