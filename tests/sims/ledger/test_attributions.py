"""`attribute`, against brute force, scikit-learn and direct calls; its CSV as pandas reads it; the command as a user meets it."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from assertions import assert_close, assert_identical
from click.testing import CliRunner

import dfdw
from sims.__main__ import cli
from sims.datasets.user_file import as_user_data
from sims.experiments.shared.user_cases import user_problem
from sims.ledger.attributions import COLUMNS, attributions_csv, attributions_text
from theory.laws import Bernoulli
from theory.sampling.designs import for_shapley, independent

SAMPLE = Path(__file__).parents[3] / "examples" / "vote96.csv"
N, L2 = 6, 0.2


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(N), rng.standard_normal((N, 2))])
    return X, np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0]), np.column_stack([np.ones(2), rng.standard_normal((2, 2))])


@pytest.fixture(scope="module")
def learner(data):
    return dfdw.Logistic(*data, l2=L2)


@pytest.fixture(scope="module")
def exact(learner):
    return dfdw.attribute(learner)


class MasksOnly:
    """A learner with `respond` alone."""

    masks_only = True

    def __init__(self, learner):
        self.learner, self.n_points, self.n_outputs = learner, learner.n_points, learner.n_outputs

    def respond(self, weights, seeds):
        return self.learner.respond(weights, seeds)


def test_every_score_is_what_a_direct_call_gives(learner, exact):
    table = dfdw.response_table(learner, [0]).mean
    assert_identical(exact.beta.values, dfdw.optimal_datamodel(table).coefficients)
    assert_identical(exact.leave_one_out.values, dfdw.leave_one_out(table))
    assert_identical(exact.shapley.values, dfdw.shapley(table))
    assert_identical(exact.derivative.values, dfdw.weight_derivative(learner, np.ones(N), [0]))
    assert_identical(exact.influence.values, dfdw.hessian_influence(learner.linearize(np.ones(N), [0])))
    for name in ("beta_error", "derivative_error", "shapley_error"):
        assert_identical(exact[name].values, np.zeros((N, 2)))


def test_scores_are_those_of_scikit_learn_retrained_on_every_subset(data, exact):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, X_query = data
    F = {}
    for size in range(N + 1):
        for subset in itertools.combinations(range(N), size):
            kept, rest = list(subset), y[list(subset)]
            if not subset:
                F[subset] = np.zeros(2)
                continue
            both = np.r_[rest, 1.0 - rest[0]]  # a point of weight 0 has the other class, which scikit-learn asks for
            fit = linear_model.LogisticRegression(C=1.0 / (N * L2), fit_intercept=False, tol=1e-12, max_iter=10_000)
            fit.fit(np.vstack([X[kept], X[:1]]), both, sample_weight=np.r_[np.ones(size), 0.0])
            F[subset] = X_query @ fit.coef_[0]
    everyone = tuple(range(N))
    for i in range(N):
        others = [k for k in everyone if k != i]
        gains = {s: F[tuple(sorted((*s, i)))] - F[s] for size in range(N) for s in itertools.combinations(others, size)}
        shapley = sum(g * math.factorial(len(s)) * math.factorial(N - 1 - len(s)) for s, g in gains.items()) / math.factorial(N)
        assert_close(exact.shapley.values[i], shapley, rtol=1e-5, atol=1e-6)
        assert_close(exact.beta.values[i], np.mean(list(gains.values()), axis=0), rtol=1e-5, atol=1e-6)
        assert_close(exact.leave_one_out.values[i], F[everyone] - F[tuple(others)], rtol=1e-5, atol=1e-6)


def test_drawn_subsets_give_the_direct_calls_and_cover_the_exact_scores(learner, exact):
    drawn = dfdw.attribute(learner, most_exact=0, n_retrainings=600, seed=3)
    design = independent(Bernoulli(0.5), n_subsets=600, n_points=N, seed=3)
    fit = dfdw.fit_sampled(design, dfdw.response_table(learner, [0], weights=design.masks).mean)
    plan = for_shapley(n_points=N, n_retrainings=600, seed=3)
    shapley = plan.estimate(dfdw.response_table(learner, [0], weights=plan.weights).mean)
    assert_identical(drawn.beta.values, fit.coefficients)
    assert_identical(drawn.beta_error.values, fit.standard_errors)
    assert_identical(drawn.shapley.values, shapley.values)
    assert_identical(drawn.shapley_error.values, shapley.standard_errors)
    assert_identical(drawn.derivative.values, exact.derivative.values)
    assert_close(drawn.leave_one_out, exact.leave_one_out, rtol=1e-12)
    for name in ("beta", "shapley"):
        assert (abs(drawn[name] - exact[name]) <= 5.0 * drawn[f"{name}_error"]).all()
        assert (drawn[f"{name}_error"] > 0.0).all()
    assert drawn.attrs["n_retrainings"] == 600 + len(plan.weights) + N + 1


def test_a_learner_without_derivatives_has_differences_and_one_of_masks_has_none(learner, exact):
    bare = MasksOnly(learner)
    found = dfdw.attribute(bare)
    assert np.isnan(found.derivative).all()
    assert np.isnan(found.influence).all()
    assert set(json.loads(found.attrs["left_out"])) == {"derivative", "influence"}
    assert_identical(found.beta.values, exact.beta.values)
    bare.masks_only = False
    found = dfdw.attribute(bare)
    assert_close(found.derivative, exact.derivative, rtol=1e-7, atol=1e-9)
    assert (found.derivative_error > 0.0).any()


def test_pandas_reads_the_same_numbers(exact):
    text = attributions_csv(exact.assign(influence=exact.influence * np.nan), [3, 5, 7, 11, 13, 17], [2, 4])
    frame = pd.read_csv(pd.io.common.StringIO(text), float_precision="round_trip")
    assert list(frame) == list(COLUMNS)
    assert frame.influence.isna().all()
    for name in ("beta", "derivative", "leave_one_out", "shapley", "shapley_error"):
        table = frame.pivot(index="train_row", columns="query_row", values=name)
        assert_identical(table.loc[[3, 5, 7, 11, 13, 17], [2, 4]].to_numpy(), exact[name].values)


def test_the_summary_names_the_rows_with_the_largest_effects(exact):
    lines = attributions_text(exact, range(10, 16), [2, 4], "logit").splitlines()
    beta = exact.beta.values[:, 0]
    first = next(k for k, line in enumerate(lines) if "raise it most" in line)
    last = next(k for k, line in enumerate(lines) if "lower it most" in line)
    assert int(lines[first + 1].split()[0]) == 10 + beta.argmax()
    assert int(lines[last + 1].split()[0]) == 10 + beta.argmin()
    assert lines[:2] == [
        "query row 2, logit: effect of each training row, by all 64 subsets (rows count",
        "from 0, below the line of names)",
    ]
    positive = exact.assign(beta=abs(exact.beta))
    assert "lower it most: none" in attributions_text(positive, range(6), [0, 1], "logit")
    assert "all 6 rows and 1 query:" in attributions_text(exact, range(6), [0], "logit")


@pytest.mark.parametrize("error", [0.0, 0.00123])
def test_the_summary_fits_into_80_columns_with_errors_too(exact, error):
    tiny = exact * -0.000123456
    tiny = tiny.assign_attrs(exact.attrs).assign(beta_error=exact.beta_error + error, shapley_error=exact.shapley_error + error)
    lines = attributions_text(tiny, range(100_000, 100_006), [2], "logit").splitlines()
    assert max(map(len, lines)) <= (80 if error == 0.0 else 88)
    header = next(line for line in lines if line.lstrip().startswith("row"))
    first = next(line for line in lines if line.startswith("  1000"))
    assert len(header) == len(first)


@pytest.mark.parametrize("points", ["6", "24"])
def test_the_command_writes_the_scores_of_the_learner_on_the_file(tmp_path, points):
    asked = ["attribute", "--data", str(SAMPLE), "--target", "vote", "--points", points, "--queries", "3", "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, asked)
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(tmp_path / "attributions.csv", float_precision="round_trip")
    rows = json.loads(next(tmp_path.glob("*.rows.json")).read_text())
    assert frame.train_row.tolist() == rows["train_rows"] * 3
    assert frame.query_row.unique().tolist() == rows["query_rows"]
    task = as_user_data(SAMPLE, "vote", n_queries=3)
    direct = dfdw.attribute(user_problem(task, "logistic", int(points)).build())
    for name in list(COLUMNS)[2:]:
        assert_identical(frame[name].to_numpy(), direct[name].values.T.ravel())
    told = json.loads((tmp_path / "attributions.json").read_text())
    assert told["columns"] == COLUMNS
    assert told["file"] == "vote96.csv"
    assert "raise it most" in result.output
    assert str(tmp_path / "attributions.csv") in result.output.replace("\n", "")
    assert CliRunner().invoke(cli, ["check", str(tmp_path)]).exit_code == 0


def test_the_command_needs_a_file():
    result = CliRunner().invoke(cli, ["attribute", "--target", "vote"])
    assert result.exit_code == 2
    assert "--data FILE.csv --target COLUMN" in result.output
