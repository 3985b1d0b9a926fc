"""Experiments that train on the full data set only, and parameters in `identity`: closed forms, loops and simulated intervals."""

import numpy as np
import pytest
from assertions import assert_close

from sims.experiments.approximations import ApproximationsConfig
from sims.experiments.approximations import run as run_approximations
from sims.experiments.convergence import ConvergenceConfig
from sims.experiments.convergence import run as run_convergence
from sims.experiments.identity import IdentityConfig
from sims.experiments.identity import run as run_identity
from sims.experiments.optima import OptimaConfig, spread
from sims.experiments.optima import run as run_optima
from sims.experiments.shared.problem import Problem
from theory.intervals import half_width
from theory.streams import stream

LINEAR = {"hidden": (), "loss": "squared", "l2": 0.05, "learning_rate": 0.3}


def descended(X, y, weights, theta, steps, rate, l2):
    """Gradient descent on (1/N) sum w_i (x_i theta - y_i)^2 / 2 + (l2/2) ||theta||^2, step by step."""
    for _ in range(steps):
        theta = theta - rate * (X.T @ (weights * (X @ theta - y)) / len(X) + l2 * theta)
    return theta


@pytest.fixture(scope="module")
def plain():
    """The training of a linear model by a loop: design with the bias last, targets, queries, starts."""
    learner = Problem("noisy_line", "mlp", **LINEAR, n_points=6).build()
    design, queries = (np.column_stack([x, np.ones(len(x))]) for x in (learner.X, learner.X_query))
    return design, learner.y, queries, learner.initial_params(range(3))


def test_convergence_stops_where_a_loop_finds_the_gradient_small_and_compares_with_differences(plain):
    X, y, queries, starts = plain
    config = ConvergenceConfig(Problem("noisy_line", "mlp", **LINEAR, n_points=6), n_seeds=3, steps=60, levels=(0.1, 0.01))
    found = run_convergence(config)
    hessian, ones = X.T @ X / 6 + 0.05 * np.eye(2), np.ones(6)
    for r, start in enumerate(starts):

        def gradient(theta):
            return np.linalg.norm(X.T @ (X @ theta - y) / 6 + 0.05 * theta)

        for level in (0.1, 0.01):
            steps = int(found.steps.sel(level=level, seed=r))
            ratio = gradient(descended(X, y, ones, start, steps, 0.3, 0.05)) / gradient(start)
            earlier = gradient(descended(X, y, ones, start, steps - 1, 0.3, 0.05)) / gradient(start)
            assert ratio <= level < earlier  # up to 60 steps, few numbers of steps are no snapshots
            theta = descended(X, y, ones, start, steps, 0.3, 0.05)
            influence = -(queries @ np.linalg.solve(hessian, X.T * (X @ theta - y))).T / 6
            h = 1e-5
            exact = np.array(
                [
                    queries
                    @ (
                        descended(X, y, ones + h * e, start, steps, 0.3, 0.05)
                        - descended(X, y, ones - h * e, start, steps, 0.3, 0.05)
                    )
                    / (2 * h)
                    for e in np.eye(6)
                ]
            )
            error = np.linalg.norm(influence - exact) / np.linalg.norm(exact)
            assert float(found.error.sel(level=level, seed=r)) == pytest.approx(error, rel=1e-5)
    assert bool((found.least_eigenvalue > 0.0).all())
    assert bool(found.attrs["convex"])
    assert float(found.error.sel(level=0.1).max()) > 0.05  # wrong without any negative eigenvalue


def test_optima_of_a_convex_model_are_one_and_every_regular_choice_gives_the_derivative():
    problem = Problem("noisy_line", "mlp", **LINEAR, steps=400, n_points=6)
    found = run_optima(OptimaConfig(problem, n_seeds=4, cutoffs=(1e-10, 1e-6), dampings=(0.1,)))
    assert float(found.spread.sel(of="F")) < 1e-8
    assert float(found.error.sel(choice=["cut-off 1e-10", "cut-off 1e-06"]).max()) < 1e-8
    assert int(found.null_space.max()) == 0
    # X^T X = N I: H = (1 + l2) I, and damping divides all scores by the same number: too small, and right in direction
    assert_close(found.slope.sel(choice="damping 0.1"), np.full(4, 1.05 / 1.15), rtol=1e-8, call="slope")
    assert_close(found.error.sel(choice="damping 0.1"), np.full(4, 0.1 / 1.15), rtol=1e-8, call="error")
    assert float(found.direction_error.sel(choice="damping 0.1").max()) < 1e-8


def test_optima_counts_the_eigenvalues_that_are_zero_where_a_linear_model_has_more_parameters_than_points():
    """Four points, six columns and a bias: the Hessian has rank 4 of 7."""
    options = {"hidden": (), "loss": "squared", "l2": 0.0, "learning_rate": 0.1, "steps": 50}
    found = run_optima(OptimaConfig(Problem("longley", "mlp", **options, n_points=4), n_seeds=3))
    assert int(found.attrs["n_params"]) == 7
    assert found.null_space.values.tolist() == found.near_null.values.tolist() == [3, 3, 3]


def test_the_spread_is_the_deviation_relative_to_the_mean_and_its_interval_covers():
    """40 models whose effects have mean 1 and deviation 1/2 in 64 places: a spread of 1/2, 200 times."""
    draws = 1.0 + 0.5 * stream("spread", 0).standard_normal((200, 40, 8, 8))
    direct = np.sqrt(draws[0].var(axis=0, ddof=1).sum()) / np.linalg.norm(draws[0].mean(axis=0))
    assert spread(draws[0])[0] == pytest.approx(direct, rel=1e-12)
    heavy = stream("models", 0).standard_normal((200, 40, 1, 1))  # all places of a model move together
    for effects, truth in ((draws, 0.5), (1.0 + 0.5 * heavy * np.ones((8, 8)), 0.5)):
        figures = [spread(x) for x in effects]
        covers = [abs(value - truth) <= half_width(error, 39) for value, error in figures]
        assert 0.90 <= np.mean(covers) <= 0.98


def test_damping_adds_its_share_of_the_eigenvalue_and_one_conjugate_gradient_adds_nothing_where_all_are_equal():
    """X^T X = N I: H = (1 + l2) I, and damping d leaves 1 / (1 + l2 + d) where 1 / (1 + l2) was."""
    found = run_approximations(ApproximationsConfig(Problem("noisy_line", "least_squares", l2=0.1, n_points=8)))
    assert float(found.added.sel(approximation="damping")) == pytest.approx(0.01 / 1.11, rel=1e-9)
    assert float(found.added.sel(approximation="all together")) == pytest.approx(0.01 / 1.11, rel=1e-9)
    for name in ("Gauss-Newton", "conjugate gradients", "LiSSA"):
        assert abs(float(found.added.sel(approximation=name))) < 1e-12
    assert_close(found.by_damping, found.damping / (1.1 + found.damping), rtol=1e-9, call="by damping")
    assert float(found.measured.sel(approximation="damping", measure="slope")) == pytest.approx(1.1 / 1.11, rel=1e-9)
    assert bool(found.attrs["linear"])


def test_the_derivative_of_the_parameters_is_that_of_ridge_regression():
    problem = Problem("longley", "least_squares", l2=0.1, n_points=8)
    found, learner = run_identity(IdentityConfig(problem, probabilities=(0.5,))), problem.build()
    X, y = learner.X, learner.y
    hessian = X.T @ X / 8 + 0.1 * np.eye(X.shape[1])
    theta = np.linalg.solve(hessian, X.T @ y / 8)
    expected = (np.linalg.solve(hessian, X.T) * (y - X @ theta)).T / 8
    assert_close(found.parameter_influence, expected, rtol=1e-9, call="-(1/N) H^-1 grad l_i")
    assert_close(found.parameter_difference, expected, rtol=1e-7, call="differences of the parameters")
