"""SklearnLearner against estimators fitted by hand on every subset, and what it says where there is nothing to fit."""

import itertools

import numpy as np
import pytest
from assertions import assert_close, assert_identical

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sims.learners import LeastSquares, Logistic
from sims.learners.adapters import SklearnLearner
from sims.retrain import response_table
from sims.retrain.provenance import settings_of
from sims.testing import check_learner
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.response import DifferentiableLearner

RNG = np.random.default_rng(1)
X, X_QUERY = RNG.standard_normal((6, 2)), RNG.standard_normal((3, 2))
LABELS, TARGETS = np.array([0, 1, 0, 1, 1, 0]), RNG.standard_normal(6)
EXACT = LogisticRegression(solver="newton-cholesky", tol=1e-12)


def margin(model):
    return model.decision_function(X_QUERY)


def probability(model):
    return model.predict_proba(X_QUERY)[:, list(model.classes_).index(1)]


def log_odds(model):
    return np.subtract(*np.log(model.predict_proba(X_QUERY)).T[::-1])


def prediction(model):
    return model.predict(X_QUERY)


CASES = {
    "logistic": (LogisticRegression(), LABELS, margin, {}),
    "naive Bayes": (GaussianNB(var_smoothing=0.3), LABELS, log_odds, {}),
    "pipeline": (make_pipeline(StandardScaler(), LogisticRegression()), LABELS, margin, {}),
    "nested pipeline": (make_pipeline(make_pipeline(StandardScaler()), LogisticRegression()), LABELS, margin, {}),
    "forest": (RandomForestClassifier(3), LABELS, probability, {"output": "probability"}),
    "neighbour": (KNeighborsClassifier(1), LABELS, probability, {"output": "probability"}),
    "ridge": (Ridge(alpha=0.5), TARGETS, prediction, {}),
    "regression forest": (RandomForestRegressor(3), TARGETS, prediction, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_table_equals_fits_by_hand_on_every_subset(name):
    estimator, y, answer, options = CASES[name]
    found = response_table(SklearnLearner(estimator, X[:5], y[:5], X_QUERY, undefined=7.0, **options), (3, 0)).samples
    for (k, seed), subset in itertools.product(enumerate((3, 0)), range(2**5)):
        rows = [i for i in range(5) if subset >> i & 1]
        expected = np.full(3, 7.0)
        if rows and (y is TARGETS or len(set(y[rows])) == 2):
            model = clone(estimator)
            if "random_state" in model.get_params():
                model.set_params(random_state=seed)
            expected = answer(model.fit(X[rows], y[rows]))
        assert_close(found[k, subset], expected, rtol=1e-12, call=f"{name} on {rows}, seed {seed}")


def test_ridge_has_the_exact_datamodel_of_our_least_squares():
    ours = LeastSquares(X, TARGETS, X_QUERY, l2=0.1)
    theirs = SklearnLearner(Ridge(alpha=0.6, fit_intercept=False), X, TARGETS, X_QUERY, undefined=0.0)
    tables = [response_table(learner, (0,)).mean for learner in (theirs, ours)]
    for p in (0.3, 0.5, 0.9):
        found, expected = (optimal_datamodel(table, Bernoulli(p)) for table in tables)
        assert_close(found.coefficients, expected.coefficients, rtol=1e-10, call=f"beta at p = {p}")
        assert_close(found.r_squared, expected.r_squared, rtol=1e-10, call=f"R^2 at p = {p}")


def test_sample_weights_are_the_projects_weights():
    weights = RNG.uniform(0.2, 2.0, (5, 6))
    weights[0, 2] = 0.0
    ridge = SklearnLearner(Ridge(alpha=0.6, fit_intercept=False), X, TARGETS, X_QUERY)
    assert_close(ridge.respond(weights, (0,)), LeastSquares(X, TARGETS, X_QUERY, l2=0.1).respond(weights, (0,)), rtol=1e-10)
    logistic = SklearnLearner(clone(EXACT).set_params(C=1 / 0.6, fit_intercept=False), X, LABELS, X_QUERY)
    assert_close(logistic.respond(weights, (0,)), Logistic(X, LABELS, X_QUERY, l2=0.1).respond(weights, (0,)), rtol=1e-8)


@pytest.mark.parametrize(
    ("estimator", "y", "options"),
    [
        (Ridge(alpha=0.5), TARGETS, {}),
        (EXACT, LABELS, {}),
        (make_pipeline(StandardScaler(), EXACT), LABELS, {}),
        (KNeighborsRegressor(2), TARGETS, {}),
    ],
    ids=["ridge", "logistic", "pipeline", "neighbours"],
)
def test_the_contract_is_kept(estimator, y, options):
    learner = SklearnLearner(estimator, X, y, X_QUERY, **options)
    assert not isinstance(learner, DifferentiableLearner)
    report = check_learner(learner, rtol=1e-8)
    report.raise_if_broken()
    assert "weight 0 is deletion" in report.passed
    skipped = {finding.law: finding.reason for finding in report.skipped}
    assert "no weight_jacobian" in skipped["Jacobian is the derivative"]
    assert ("weight 2 is a duplicate" in skipped) == (not learner.weights_to)


def test_a_scaler_without_the_weights_breaks_the_contract_and_the_pipeline_gives_them():
    estimator = make_pipeline(StandardScaler(), EXACT)
    learner = SklearnLearner(estimator, X, LABELS, X_QUERY)
    assert learner.weights_to == ("standardscaler__sample_weight", "logisticregression__sample_weight")
    last = SklearnLearner(estimator, X, LABELS, X_QUERY, weights_to=("logisticregression__sample_weight",))
    assert "weight 2 is a duplicate" in {finding.law for finding in check_learner(last, rtol=1e-8).broken}


def test_a_forest_breaks_the_laws_that_its_bootstrap_cannot_keep_and_no_other():
    learner = SklearnLearner(RandomForestRegressor(3), X, TARGETS, X_QUERY)
    assert {finding.law for finding in check_learner(learner).broken} == {"weight 2 is a duplicate", "order is free"}


def test_the_users_estimator_and_arrays_are_never_modified():
    estimator, rows = make_pipeline(StandardScaler(copy=False), RandomForestClassifier(3, random_state=5)), X.copy()
    learner = SklearnLearner(estimator, rows, LABELS, X_QUERY, output="probability")
    learner.respond(np.ones((1, 6)), (1,))
    assert_identical(rows, X, call="X")
    assert estimator[-1].random_state == 5
    assert not hasattr(estimator[-1], "classes_")
    estimator.set_params(randomforestclassifier__n_estimators=1)
    assert learner.estimator[-1].n_estimators == 3


def test_every_random_state_is_the_seed_and_an_estimator_without_one_is_fitted_once():
    bagging = make_pipeline(StandardScaler(), BaggingClassifier(DecisionTreeClassifier(max_features=1), 3))
    learner = SklearnLearner(bagging, X, LABELS, X_QUERY, output="probability")
    answers = learner.respond(np.ones((1, 6)), range(6))[0]
    assert len(np.unique(answers, axis=0)) > 1
    assert_identical(learner.respond(np.ones((1, 6)), range(6))[0], answers, call="a second time")
    by_hand = clone(bagging).set_params(baggingclassifier__random_state=4, baggingclassifier__estimator__random_state=4)
    assert_close(answers[4], by_hand.fit(X, LABELS).predict_proba(X_QUERY)[:, 1], rtol=1e-15)
    same = SklearnLearner(Ridge().set_params(random_state=None), X, TARGETS, X_QUERY).respond(np.ones((1, 6)), (0, 1))
    assert_identical(same[:, 0], same[:, 1])


# --- classes -----------------------------------------------------------------------------------------------------------------


def test_labels_may_be_text_and_the_stated_class_turns_the_sign():
    names = np.array(["no", "yes"])[LABELS]
    plain, text, turned = (
        SklearnLearner(LogisticRegression(), X, y, X_QUERY, **options).respond(np.ones((1, 6)), (0,))
        for y, options in ((LABELS, {}), (names, {}), (names, {"positive": "no"}))
    )
    assert_identical(text, plain)
    assert_identical(turned, -plain)


@pytest.mark.parametrize("output", ["margin", "probability"])
def test_of_many_classes_the_stated_one_is_asked_against_all_others(output):
    y = np.array([0, 1, 2, 2, 1, 0])
    found = SklearnLearner(LogisticRegression(), X, y, X_QUERY, positive=1, output=output, undefined=7.0)
    for rows in (range(6), [0, 1, 2], [0, 1], [1, 2, 3]):
        p = LogisticRegression().fit(X[rows], y[rows]).predict_proba(X_QUERY)[:, list(np.unique(y[rows])).index(1)]
        expected = p if output == "probability" else np.log(p / (1.0 - p))
        mask = np.isin(np.arange(6), rows).astype(float)[None]
        assert_close(found.respond(mask, (0,))[0, 0], expected, rtol=1e-12, call=f"{output} on {rows}")
    without = np.array([[1.0, 0.0, 1.0, 1.0, 0.0, 1.0]])
    assert_identical(found.respond(without, (0,))[0, 0], np.full(3, 7.0), call="no point of class 1")


# --- what is refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0, 0, 0, 0, 0, 0], r"subset \{\} \(mask 0\) is empty"),
        ([1, 0, 1, 0, 0, 0], r"subset \{0, 2\} \(mask 5\) has no point of class 1"),
        ([0, 1, 0, 1, 0, 0], r"subset \{1, 3\} \(mask 10\) has nothing but class 1"),
    ],
)
def test_a_subset_with_nothing_to_fit_is_named_and_never_a_silent_number(weights, message):
    learner = SklearnLearner(LogisticRegression(), X, LABELS, X_QUERY)
    with pytest.raises(ValueError, match=f"{message}.* say undefined=NUMBER"):
        learner.respond(np.array([weights], dtype=float), (0,))


def test_an_estimator_that_needs_more_points_says_so_by_subset_unless_min_points_does():
    neighbours = KNeighborsRegressor(3)
    pair = np.array([[1.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    with pytest.raises(
        ValueError, match=r"KNeighborsRegressor failed on subset \{0, 1\} \(mask 3\), seed 2: ValueError: Expected n_n"
    ):
        SklearnLearner(neighbours, X, TARGETS, X_QUERY).respond(pair, (2,))
    stated = SklearnLearner(neighbours, X, TARGETS, X_QUERY, min_points=3, undefined=0.0)
    assert_identical(stated.respond(pair, (2,))[0, 0], np.zeros(3))
    assert response_table(stated, (0,)).samples.shape == (1, 64, 3)


def test_weights_that_an_estimator_cannot_take_are_refused_and_0_and_1_are_not():
    learner = SklearnLearner(KNeighborsRegressor(1), X, TARGETS, X_QUERY)
    assert learner.masks_only
    learner.respond(np.eye(6), (0,))
    with pytest.raises(ValueError, match=r"weights \[0.5, .*fit has no sample_weight, expected weights 0 and 1"):
        learner.respond(np.full((1, 6), 0.5), (0,))


def test_a_probability_of_one_has_no_margin():
    with pytest.raises(ArithmeticError, match=r"answered \[.*inf.* on subset \{0, 1, 2, 3, 4, 5\}.* say output='probability'"):
        SklearnLearner(DecisionTreeClassifier(), X, LABELS, X_QUERY).respond(np.ones((1, 6)), (0,))


class Unkind(ClassifierMixin, BaseEstimator):
    def __init__(self, depth=1):
        self.depth = depth

    def fit(self, X, y, sample_weight=None):
        raise RuntimeError("no reason at all")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"estimator": LogisticRegression}, TypeError, "expected a scikit-learn estimator such as"),
        ({"estimator": StandardScaler()}, ValueError, "neither a classifier nor a regressor: say output="),
        ({"y": [0, 1, 2, 2, 1, 0]}, ValueError, r"y has the classes \[0, 1, 2\]: say positive="),
        ({"y": [1] * 6}, ValueError, "every label is 1, expected two classes"),
        ({"y": [0, 1]}, ValueError, r"y has shape \(2,\)"),
        ({"positive": 5}, ValueError, r"positive is 5, expected one of \[0, 1\]"),
        ({"undefined": "skip"}, ValueError, "undefined is 'skip', expected 'error' or a finite number"),
        ({"undefined": np.nan}, ValueError, "undefined is nan, expected 'error' or a finite number"),
        ({"output": "logit"}, ValueError, "output 'logit' is unknown, expected one of margin"),
        ({"weights_to": "sample_weight"}, TypeError, r"expected names in a tuple: \('sample_weight',\)"),
        ({"min_points": 0}, ValueError, "min_points = 0, expected a whole number >= 1"),
        ({"X_query": X_QUERY[:, :1]}, ValueError, "X_query has 1 columns, X has 2"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, error, message):
    with pytest.raises(error, match=message):
        SklearnLearner(**{"estimator": LogisticRegression(), "X": X, "y": LABELS, "X_query": X_QUERY, **change})


def test_whatever_an_estimator_raises_names_learner_subset_and_seed():
    with pytest.raises(
        ValueError, match=r"Unkind failed on subset \{0, 1, 2\} \(mask 7\), seed 9: RuntimeError: no reason at all"
    ):
        SklearnLearner(Unkind(), X, LABELS, X_QUERY).respond(np.array([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]]), (9,))


# --- stores and processes ----------------------------------------------------------------------------------------------------


def test_a_store_resumes_for_the_same_estimator_and_says_which_parameter_differs(tmp_path):
    first, same, other = (
        SklearnLearner(make_pipeline(StandardScaler(), LogisticRegression(C=c)), X, LABELS, X_QUERY, undefined=0.0)
        for c in (1.0, 1.0, 2.0)
    )
    table = response_table(first, (0,), store=tmp_path / "t").samples
    assert_identical(response_table(same, (0,), store=tmp_path / "t").samples, table)
    with pytest.raises(ValueError, match=r"learner\.estimator.*the store has .*'C': 1.0.*this run .*'C': 2.0"):
        response_table(other, (0,), store=tmp_path / "t")


def test_an_estimator_is_told_by_its_class_its_version_and_all_its_parameters():
    def told(estimator):
        return settings_of(SklearnLearner(estimator, X, TARGETS, X_QUERY))["learner"]

    functions = [Pipeline([("f", FunctionTransformer(f)), ("r", Ridge())]) for f in (np.tanh, np.sin)]
    kinds = [Ridge(), Ridge(alpha=2.0), KNeighborsRegressor(1), *functions, RandomForestRegressor(3)]
    assert len({str(told(kind)) for kind in kinds}) == len(kinds)
    assert told(RandomForestRegressor(3, random_state=1)) == told(RandomForestRegressor(3))  # the seed replaces it
    assert told(Ridge())["sklearn"] == __import__("sklearn").__version__


def test_two_processes_give_the_bits_of_one():
    learner = SklearnLearner(RandomForestRegressor(2), X, TARGETS, X_QUERY, undefined=0.0)
    assert_identical(response_table(learner, (0,), executor=2).samples, response_table(learner, (0,)).samples)
