"""Every bad input is refused before any computing, by an error that says where it is, what it is, and what was expected."""

import numpy as np
import pytest

from sims.learners import LeastSquares, Logistic
from sims.learners.linear import batched, erm

X = np.column_stack([np.ones(6), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]])
Y = {LeastSquares: np.array([1.0, 3.0, 2.0, 5.0, 4.0, 6.0]), Logistic: np.array([0.0, 0.0, 1.0, 0.0, 1.0, 1.0])}
ONES = np.ones((1, 6))
every_learner = pytest.mark.parametrize("cls", [LeastSquares, Logistic])
every_method = pytest.mark.parametrize("method", ["respond", "weight_jacobian"])
every_undefined_subset_call = pytest.mark.parametrize("method", ["respond", "weight_jacobian", "linearize"])


def changed(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


def build(cls, **given):
    return cls(**{"X": X, "y": Y[cls], "X_query": X[:2], "l2": 0.1, **given})


@pytest.fixture
def no_computing(monkeypatch):
    """Nothing past the checks may run."""

    def refuse(*args, **options):
        raise AssertionError("computing began before the input was refused")

    for module, name in ((erm, "in_blocks"), (erm, "penalty_scale"), (batched, "packed_outer_products"), (batched, "factor")):
        monkeypatch.setattr(module, name, refuse)


# --- data ------------------------------------------------------------------------------------------------------------------

BAD_DATA = {
    "NaN in X": ({"X": changed(X, (3, 1), np.nan)}, r"^X\[3, 1\] is nan \(row 3, column 1\): expected a finite number"),
    "inf in X": ({"X": changed(X, (5, 0), np.inf)}, r"^X\[5, 0\] is inf \(row 5, column 0\): expected a finite number"),
    "X of one dimension": ({"X": X[:, 1]}, r"^X has shape \(6,\), expected \(rows, columns\) with at least one of each"),
    "X of three dimensions": ({"X": X[None]}, r"^X has shape \(1, 6, 2\), expected \(rows, columns\)"),
    "X without rows": ({"X": X[:0], "y": []}, r"^X has shape \(0, 2\), expected \(rows, columns\) with at least one of each"),
    "X without columns": ({"X": X[:, :0]}, r"^X has shape \(6, 0\), expected \(rows, columns\) with at least one of each"),
    "y too short": ({"y": [0.0, 1.0]}, r"^y has shape \(2,\), expected \(6,\): one number per row of X$"),
    "y of one column": (
        {"y": np.eye(6)[:, :1]},
        r"^y has shape \(6, 1\), expected \(6,\): one number per row of X: pass y\[:, 0\]",
    ),
    "y of one row": ({"y": np.eye(6)[:1]}, r"^y has shape \(1, 6\), expected \(6,\)"),
    "NaN in y": ({"y": changed(np.eye(6)[0], 4, np.nan)}, r"^y\[4\] is nan \(row 4\): expected a finite number"),
    "inf in y": ({"y": changed(np.eye(6)[0], 0, -np.inf)}, r"^y\[0\] is -inf \(row 0\): expected a finite number"),
    "NaN in X_query": (
        {"X_query": changed(X, (1, 1), np.nan)},
        r"^X_query\[1, 1\] is nan \(row 1, column 1\)",
    ),
    "inf in X_query": ({"X_query": changed(X, (0, 0), -np.inf)}, r"^X_query\[0, 0\] is -inf"),
    "X_query with other columns": ({"X_query": X[:, [0, 1, 1]]}, r"^X_query has 3 columns, X has 2: expected the same columns"),
    "X_query of one dimension": ({"X_query": X[0]}, r"^X_query has shape \(2,\), expected \(rows, columns\)"),
    "X_query without rows": ({"X_query": X[:0]}, r"^X_query has shape \(0, 2\), expected \(rows, columns\) with at least one"),
    "negative l2": ({"l2": -0.5}, r"^l2 = -0\.5, expected a finite number >= 0"),
    "NaN l2": ({"l2": np.nan}, r"^l2 = nan, expected a finite number >= 0"),
    "text as l2": ({"l2": "0.1"}, r"^l2 = '0\.1', expected a finite number >= 0"),
    "infinite l2": ({"l2": np.inf}, r"^l2 = inf, expected a finite number >= 0"),
    "unknown normalization": (
        {"normalization": "mean"},
        r"^normalization 'mean' is unknown, expected one of \('n_points', 'sum', 'weight_sum', 'support'\)",
    ),
}


@every_learner
@pytest.mark.parametrize(("given", "message"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data_is_refused_when_the_learner_is_made(cls, given, message, no_computing):
    with pytest.raises(ValueError, match=message):
        build(cls, **given)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([-1, -1, 1, -1, 1, 1], r"^y\[0\] is -1, expected labels 0 and 1: recode the two classes"),
        ([0, 0, 1, 0, 1, 2], r"^y\[5\] is 2, expected labels 0 and 1"),
        ([0, 0.5, 1, 0, 1, 1], r"^y\[1\] is 0\.5, expected labels 0 and 1"),
        ([0, 0, 0, 0, 0, 0], r"^every label is 0, expected both 0 and 1: a classifier needs two classes"),
        ([1, 1, 1, 1, 1, 1], r"^every label is 1, expected both 0 and 1"),
    ],
)
def test_labels_other_than_both_0_and_1_are_refused(y, message, no_computing):
    with pytest.raises(ValueError, match=message):
        build(Logistic, y=y)


def test_unknown_choice_for_undefined_subsets_is_refused(no_computing):
    with pytest.raises(ValueError, match=r"^undefined is 'zero', expected 'error' or 'min_norm'"):
        build(LeastSquares, undefined="zero")


@every_learner
@pytest.mark.parametrize("convert", [np.ndarray.tolist, lambda array: array.astype(int), np.asfortranarray])
def test_lists_integers_and_other_memory_orders_are_accepted(cls, convert):
    weights = np.array([[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]])
    learner = build(cls, X=convert(X), y=convert(Y[cls]), X_query=convert(X[:2]))
    np.testing.assert_array_equal(learner.respond(convert(weights), np.array([0])), build(cls).respond(weights, (0,)))


@every_learner
@every_method
def test_the_guard_against_computing_does_stop_good_input(cls, method, no_computing):
    with pytest.raises(AssertionError, match="computing began"):
        getattr(build(cls), method)(ONES, (0,))


# --- weights and seeds -----------------------------------------------------------------------------------------------------

BAD_WEIGHTS = {
    "one dimension": (ONES[0], r"^weights has shape \(6,\), expected \(B, 6\): one column per training point"),
    "three dimensions": (ONES[None], r"^weights has shape \(1, 1, 6\), expected \(B, 6\)"),
    "too few columns": (ONES[:, :5], r"^weights has shape \(1, 5\), expected \(B, 6\)"),
    "too many columns": (np.ones((3, 7)), r"^weights has shape \(3, 7\), expected \(B, 6\)"),
    "transposed": (np.ones((6, 1)), r"^weights has shape \(6, 1\), expected \(B, 6\)"),
    "negative": (changed(np.ones((3, 6)), (2, 4), -0.25), r"^weights\[2, 4\] is -0\.25, expected >= 0: weight 0 is deletion"),
    "NaN": (changed(np.ones((3, 6)), (1, 0), np.nan), r"^weights\[1, 0\] is nan \(row 1, column 0\): expected a finite number"),
    "inf": (changed(np.ones((3, 6)), (0, 5), np.inf), r"^weights\[0, 5\] is inf \(row 0, column 5\): expected a finite number"),
}


@every_learner
@every_method
@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_are_refused(cls, method, l2, weights, message, no_computing):
    with pytest.raises(ValueError, match=message):
        getattr(build(cls, l2=l2), method)(weights, (0,))


@every_learner
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (ONES, r"^weights has shape \(1, 6\), expected \(6,\): one weight per training point"),
        (ONES[0, :4], r"^weights has shape \(4,\), expected \(6,\)"),
        (changed(ONES[0], 3, -1.0), r"^weights\[.*3\] is -1, expected >= 0"),
        (changed(ONES[0], 3, np.nan), r"^weights\[.*3\] is nan .*expected a finite number"),
    ],
)
def test_linearize_wants_one_good_weight_vector(cls, weights, message, no_computing):
    with pytest.raises(ValueError, match=message):
        build(cls).linearize(weights, (0,))


@every_learner
@pytest.mark.parametrize("method", ["respond", "weight_jacobian", "linearize"])
@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ((), r"^seeds is empty, expected at least one"),
        ((0, 3, 0), r"^seeds \(0, 3, 0\) must be distinct integers >= 0"),
        ((2, -1), r"^seeds \(2, -1\) must be distinct integers >= 0"),
        (3, r"^seeds = 3, expected a sequence of integers >= 0, such as range\(8\) or \(0,\)"),
        ((0, None), r"^seeds = \(0, None\), expected a sequence of integers"),
    ],
)
def test_bad_seeds_are_refused(cls, method, seeds, message, no_computing):
    with pytest.raises(ValueError, match=message):
        getattr(build(cls), method)(ONES[0] if method == "linearize" else ONES, seeds)


# --- subsets without an optimum --------------------------------------------------------------------------------------------


def call(learner, method, weights):
    weights = np.asarray(weights, dtype=np.float64)
    return getattr(learner, method)(weights if method == "linearize" else np.stack([np.ones(6), weights]), (0,))


@every_undefined_subset_call
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0, 0, 0, 0, 0, 0], r"^subset \{\} \(mask 0\) is empty: no optimum exists with l2 = 0; use l2 > 0"),
        ([1, 1, 0, 1, 0, 0], r"^subset \{0, 1, 3\} \(mask 11\) has points of class 0 only: no optimum exists with l2 = 0"),
        ([1, 1, 0, 0, 1, 1], r"^subset \{0, 1, 4, 5\} \(mask 51\) is separable: no optimum exists with l2 = 0; use l2 > 0"),
        ([1, 0, 2, 0, 0, 0.5], r"^subset \{0, 2, 5\} \(mask 37\) is separable: no optimum exists with l2 = 0; use l2 > 0"),
    ],
)
def test_logistic_without_penalty_names_the_subset_that_has_no_optimum(method, weights, message):
    with pytest.raises(ValueError, match=message):
        call(build(Logistic, l2=0.0), method, weights)


def test_logistic_without_penalty_refuses_touching_classes_and_collinear_columns():
    touching = build(Logistic, X=X[[0, 1, 2, 2, 3, 4]], y=[0, 0, 0, 1, 1, 1], l2=0.0)
    with pytest.raises(ValueError, match=r"^subset \{0, 1, 2, 3, 4, 5\} \(mask 63\) is separable"):
        touching.respond(ONES, (0,))
    collinear = build(Logistic, X=X[:, [0, 1, 1]], X_query=X[:, [0, 1, 1]], l2=0.0)
    with pytest.raises(ValueError, match=r"\(mask 63\) has rank 2 in 3 columns: no optimum exists with l2 = 0; use l2 > 0"):
        collinear.respond(ONES, (0,))


@every_undefined_subset_call
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0, 0, 0, 0, 0, 0], r"^subset \{\} \(mask 0\) has rank 0 in 2 columns: no unique optimum exists with l2 = 0"),
        ([0, 0, 0, 0, 1, 0], r"^subset \{4\} \(mask 16\) has rank 1 in 2 columns: .*use l2 > 0 or undefined='min_norm'"),
        ([0, 0, 0.5, 0, 0, 0], r"^weights \[0\. *, 0\. *, 0\.5.*\] has rank 1 in 2 columns: no unique optimum exists"),
    ],
)
def test_least_squares_without_penalty_names_the_subset_that_has_no_optimum(method, weights, message):
    with pytest.raises(ValueError, match=message):
        call(build(LeastSquares, l2=0.0), method, weights)
    assert call(build(LeastSquares, l2=0.0, undefined="min_norm"), method, weights) is not None


def test_least_squares_names_the_first_bad_subset_beyond_the_first_block():
    learner, weights = build(LeastSquares, l2=0.0), np.ones((5000, 6))
    weights[4500, 1:] = 0.0
    with pytest.raises(ValueError, match=r"^subset \{0\} \(mask 1\) has rank 1 in 2 columns"):
        learner.respond(weights, (0,))


def test_a_fit_that_cannot_be_certified_names_the_weights_and_what_to_do():
    learner = build(Logistic, X=X * [1.0, 1e12], X_query=X, l2=1e-3)
    what = r"Logistic\(N=6, M=6, l2=0\.001\) did not reach \|\|grad L\|\| <= 1e-10"
    message = what + r" on subset \{0, 1, 2, 3, 4, 5\} \(mask 63\): it stands at .*; standardise the columns of X or raise l2"
    with pytest.raises(ArithmeticError, match=message):
        learner.respond(ONES, (0,))


@every_learner
def test_learners_cannot_be_changed_after_they_are_made(cls):
    learner = build(cls)
    with pytest.raises(AttributeError):
        learner.l2 = 1.0
    for array in (learner.X, learner.y, learner.X_query):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7.0
