"""Right attributions keep every law, also those of statsmodels; ten that are wrong on purpose break the right ones."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import statsmodels.api as sm

from sims.learners import LeastSquares, Logistic
from sims.testing import check_attribution, conformance
from sims.testing.attribution_problems import PROBLEMS, problem
from sims.testing.attributions import ATTRIBUTION_LAWS
from theory.influence import hessian_influence


def parts(p):
    """Predictions, curvatures and the Hessian of a problem, by hand."""
    f = p.X @ p.theta
    mean = 1.0 / (1.0 + np.exp(-f)) if p.loss == "logistic" else f
    bend = mean * (1.0 - mean) if p.loss == "logistic" else np.ones_like(f)
    H = p.X.T * (p.weights * bend) @ p.X / len(f) + p.l2 * np.eye(len(p.theta), dtype=p.X.dtype)
    return mean, bend, H


def right(p):
    mean, _, H = parts(p)
    return -((mean - p.y)[:, None] * p.X) @ np.linalg.solve(H, p.X_query.T) / p.n_points


def of_the_project(p):
    make = Logistic if p.loss == "logistic" else LeastSquares
    return hessian_influence(make(p.X, p.y, p.X_query, l2=p.l2).linearize(p.weights, (0,)))


def one_step_of_statsmodels(p):
    """DFBETA by the one-step (infinitesimal) method of GLM, undone to the derivative; penalised rows are pseudo-data."""
    if (p.weights != 1.0).any() or p.X.dtype != np.float64:
        raise NotImplementedError("statsmodels' influence has no case weights here")
    family = sm.families.Binomial() if p.loss == "logistic" else sm.families.Gaussian()
    n, d = p.X.shape
    if p.loss == "logistic":
        raise NotImplementedError("no pseudo-data give a ridge penalty to a logistic GLM")
    X, y = np.vstack([p.X, np.sqrt(n * p.l2) * np.eye(d)]), np.r_[p.y, np.zeros(d)]
    fitted = sm.GLM(y, X, family=family).fit()
    influence = fitted.get_influence()
    dfbeta = fitted.params - influence.params_one
    leverage = influence.hat_matrix_diag[:n, None]
    return np.asarray(dfbeta)[:n] * (1.0 - leverage) @ p.X_query.T


@pytest.mark.parametrize("attribute", [right, of_the_project], ids=lambda f: f.__name__)
def test_right_attributions_keep_every_law(attribute):
    report = check_attribution(attribute)
    assert report.passed == tuple(ATTRIBUTION_LAWS), str(report)


def test_the_one_step_influence_of_statsmodels_keeps_the_laws_that_it_can_be_asked_for():
    report = check_attribution(one_step_of_statsmodels, problems=["squared"])
    assert not report.broken, str(report)
    assert {finding.law for finding in report.skipped} == {"weight 0 is deletion", "single precision is enough"}


def per_sum(p):
    return right(p) * p.n_points


def turned(p):
    return -right(p)


def in_batches(p):
    size, (mean, bend, _) = p.batch_size or p.n_points, parts(p)
    total = np.zeros((len(p.theta), len(p.X_query)))
    for start in range(0, p.n_points, size):
        k = slice(start, start + size)
        H = p.X[k].T * (p.weights * bend)[k] @ p.X[k] / len(p.X[k]) + p.l2 * np.eye(len(p.theta))
        total += np.linalg.solve(H, p.X_query.T)
    return -((mean - p.y)[:, None] * p.X) @ total / p.n_points


def without_penalty(p):
    mean, _, H = parts(p)
    return -((mean - p.y)[:, None] * p.X) @ np.linalg.solve(H - p.l2 * np.eye(len(H)), p.X_query.T) / p.n_points


def penalty_in_points(p):
    mean, _, H = parts(p)
    return -((mean - p.y)[:, None] * p.X + p.l2 * p.theta) @ np.linalg.solve(H, p.X_query.T) / p.n_points


def of_probabilities(p):
    chance = 1.0 / (1.0 + np.exp(-p.X_query @ p.theta))
    return right(p) * chance * (1.0 - chance)


def normalised_over_queries(p):
    scores = right(p)
    return scores / np.linalg.norm(scores)


def sorted_by_label(p):
    return right(p)[np.argsort(p.y, kind="stable")]


def ignoring_weights(p):
    return right(type(p)(**{**vars(p), "weights": np.ones_like(p.weights)}))


clock = iter(range(10**6))


def random_each_time(p):
    return right(p) * (1.0 + 1e-8 * next(clock))


def overwriting(p):
    scores = right(p)
    p.X[0] += 1.0
    return scores


def losing_digits(p):
    return right(p) if p.X.dtype == np.float64 else np.round(right(p), 2)


def transposed(p):
    return right(p).T


def looked_up_by_content(p):
    """A dictionary from points to scores: of equal points only the last has one."""
    scores, place = right(p), {tuple(x): i for i, x in enumerate(p.X)}
    return np.array([scores[i] if place[tuple(x)] == i else np.zeros(len(p.X_query)) for i, x in enumerate(p.X)])


BROKEN = {
    per_sum: ({"scores are exact", "scores have the factor 1/N"}, "times too large"),
    turned: ({"scores are exact", "the sign is right"}, "The sign is turned"),
    in_batches: ({"batches do not matter"}, "inverses"),
    without_penalty: ({"scores are exact", "the penalty is in the Hessian once", "weight 0 is deletion"}, "without the penalty"),
    penalty_in_points: (
        {"scores are exact", "weight 0 is deletion", "the penalty is in the Hessian once"},
        "gradient of the penalty",
    ),
    of_probabilities: (
        {"scores are exact", "scores are linear in the output", "weight 0 is deletion", "the penalty is in the Hessian once"},
        "factor of its own",
    ),
    normalised_over_queries: (
        {
            "scores are exact",
            "scores have the factor 1/N",
            "queries do not matter to each other",
            "scores are linear in the output",
        },
        "normalisation over all queries",
    ),
    ignoring_weights: ({"weight 0 is deletion"}, "do not enter the Hessian"),
    random_each_time: ({"scores are the same in every call"}, "without a fixed seed"),
    losing_digits: ({"single precision is enough"}, "accuracy lost"),
    looked_up_by_content: ({"scores have the factor 1/N", "equal points have equal scores"}, "looked up by their content"),
    transposed: (set(ATTRIBUTION_LAWS), "transpose them"),
}


@pytest.mark.parametrize("attribute", BROKEN, ids=lambda f: f.__name__)
def test_what_is_wrong_on_purpose_breaks_the_right_laws_with_the_right_cause(attribute):
    report, (laws, words) = check_attribution(attribute), BROKEN[attribute]
    assert {finding.law for finding in report.broken} == laws
    assert words in str(report)
    with pytest.raises(AssertionError, match="BROKEN"):
        report.raise_if_broken()


def test_scores_in_another_order_are_seen():
    report = check_attribution(sorted_by_label)
    assert {"scores are exact", "order is free"} <= {finding.law for finding in report.broken}
    assert "points are in another order" in str(report)


def test_a_method_that_writes_to_its_inputs_is_seen():
    report = check_attribution(overwriting)
    assert "X was changed by a call" in str(report)


def test_a_method_that_fails_breaks_laws_and_the_check_goes_on():
    report = check_attribution(lambda p: 1 / 0)
    assert len(report.broken) == len(ATTRIBUTION_LAWS)
    assert "ZeroDivisionError" in str(report)


test_as_a_user_writes_it = conformance(right)


def test_a_file_with_one_line_is_a_test_suite(tmp_path):
    file = tmp_path / "test_mine.py"
    file.write_text(
        "import numpy as np\nfrom sims.testing import conformance\n"
        "test_mine = conformance(lambda problem: -problem.exact(), problems=['squared'])\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "2 failed, 11 passed" in done.stdout, done.stdout
    assert "likely cause" in done.stdout


@pytest.mark.parametrize("loss", PROBLEMS)
def test_the_exact_scores_are_the_slopes_of_retraining(loss):
    p, h = problem(loss), 1e-5
    for i in range(p.n_points):
        ends = [p.learner.respond(p.weights + sign * h * np.eye(p.n_points)[i : i + 1], (0,))[0, 0] for sign in (1, -1)]
        np.testing.assert_allclose(p.exact()[i], (ends[0] - ends[1]) / (2 * h), atol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"attribute": None}, "expected a function"),
        ({"problems": "logistic"}, "expected some of logistic, squared in a list"),
        ({"problems": ["hinge"]}, "expected some of"),
        ({"problems": []}, "expected some of"),
        ({"leave_out": ["other"]}, "expected laws"),
        ({"rtol": 0.0}, "rtol"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        check_attribution(**{"attribute": right, **arguments})


def test_pytest_is_needed_only_for_the_test():
    assert importlib.util.find_spec("pytest") is not None
    code = "import sys; import sims.testing; assert 'pytest' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
