"""Edges taken apart (T16): jumps against closed forms, beta against the table, and wrong derivatives that must not pass."""

from dataclasses import dataclass

import numpy as np
import pytest
from assertions import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

from sims.experiments.shared.problem import Problem
from sims.learners import MLP, LeastSquares, MovingJump
from theory.edges import chosen_edges, decompose_edges
from theory.laws import Bernoulli, TwoPoint
from theory.metrics import relative_error
from theory.response import branch_of, mean_response
from theory.subsets import all_masks

EPS = np.finfo(float).eps


@dataclass(frozen=True)
class Like:
    """The same responses, with a derivative that is `factor` times that at weights + `shift`, and branches only if asked for."""

    learner: object
    factor: float = 1.0
    shift: float = 0.0

    @property
    def n_points(self):
        return self.learner.n_points

    @property
    def n_outputs(self):
        return self.learner.n_outputs

    def respond(self, weights, seeds):
        return self.learner.respond(weights, seeds)

    def weight_jacobian(self, weights, seeds):
        return self.factor * self.learner.weight_jacobian(weights + self.shift, seeds)


class LikeWithBranches(Like):
    def branch(self, weights, seeds):
        return self.learner.branch(weights, seeds)


def relu(data, n, steps, *, activation="relu", rate=0.3):
    """A network of 3 units on one of three data sets: two of classes, one of numbers."""
    options = {"hidden": (3,), "activation": activation, "learning_rate": rate}
    if data == "line":
        x = np.linspace(-1.0, 1.5, n)[:, None]
        network = {"hidden": (4,), "activation": activation, "loss": "squared", "steps": steps, "learning_rate": rate}
        return MLP(x, 2.0 * np.sin(4.0 * x[:, 0]), [[0.3], [-0.7]], **network)
    return Problem(data, "mlp", **options, n_points=n, n_queries=2).build(steps=steps)


def beta_of(learner, seeds, p=0.5):
    """beta by its definition, E[F | i in S] - E[F | i not in S], from retraining on every subset; no code of theory.edges."""
    masks = all_masks(learner.n_points)
    F = mean_response(learner, masks, seeds)
    weight = np.prod(np.where(masks == 1.0, p, 1.0 - p), axis=1)
    means = [[np.average(F[masks[:, i] == bit], axis=0, weights=weight[masks[:, i] == bit]) for bit in (1, 0)] for i in
             range(learner.n_points)]  # fmt: skip
    return np.array([present - absent for present, absent in means])


# --- relu networks, which jump inside edges -------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["xor", "two_moons", "line"])
@pytest.mark.parametrize("n", [4, 5])
def test_beta_of_a_relu_network_is_the_average_derivative_plus_its_jumps_however_many(data, n):
    learner = relu(data, n, 20)
    edges, seeds = decompose_edges(learner, [0]), [0]
    assert edges.finished.all()
    for p in (0.5, 0.8):
        assert_close(edges.coefficients(Bernoulli(p))[0], beta_of(learner, seeds, p), rtol=1e-9, call=f"{data} {n} {p}")
    assert edges.gap < 1e-9


@pytest.mark.parametrize(("data", "n"), [("xor", 4), ("two_moons", 5), ("line", 4)])
def test_on_drawn_edges_of_sixty_steps_hundreds_of_jumps_and_the_integral_make_up_the_change(data, n):
    learner, rng = relu(data, n, 60), np.random.default_rng(n)
    subsets = rng.integers(0, 2, (2, n)).astype(float)
    edges = chosen_edges(learner, [0], [0, 1], subsets)
    rows = np.repeat(subsets[:, None], 2, axis=1)
    rows[np.arange(2), :, np.arange(2)] = (0.0, 1.0)
    change = np.diff(learner.respond(rows.reshape(-1, n), [0])[:, 0].reshape(2, 2, -1), axis=1)[:, 0]
    total = (edges.integral + edges.jumps)[:, 0].sum(axis=1)
    assert edges.finished.all()
    assert len(edges.jump_table) > 100
    assert relative_error(total, change) < 1e-9
    assert relative_error(edges.integral[:, 0].sum(axis=1), change) > 1e-3


def test_two_hundred_steps_of_a_relu_network_jumps_often_on_one_edge():
    edges = chosen_edges(relu("two_moons", 4, 200, rate=0.05), [0], [0], np.array([[0.0, 1.0, 1.0, 0.0]]))
    assert len(edges.jump_table) > 50
    assert edges.finished.all()
    assert edges.gap < 1e-9


def test_beta_over_two_levels_of_the_weights_contains_the_jumps_too():
    learner, law = relu("two_moons", 4, 20), TwoPoint(0.5)
    edges = decompose_edges(learner, [0], levels=law.levels)
    rows = 0.5 + all_masks(4)
    F, signs = mean_response(learner, rows, [0]), 2.0 * all_masks(4) - 1.0
    assert edges.has_jumps
    assert_close(edges.coefficients(law)[0], signs.T @ F / 8.0, rtol=1e-9)  # Cov(F, w_i) / s^2 = mean(F sign_i) 2 / (high - low)
    with pytest.raises(ValueError, match=r"has the levels \(0.0, 1.0\), expected \(0.5, 1.5\)"):
        edges.coefficients(Bernoulli(0.5))


def test_without_branches_the_same_jumps_are_found_by_what_the_integral_leaves_unexplained():
    """Rounding takes a threshold back and forth over up to 32 floats; a jump found there may begin 16 floats earlier."""
    learner = relu("two_moons", 4, 20)
    told, found = decompose_edges(learner, [0]), decompose_edges(Like(learner), [0])
    assert found.has_jumps
    assert_close(found.coefficients(Bernoulli(0.5))[0], beta_of(learner, [0]), rtol=1e-9)
    for t, size in zip(told.jump_table.t, told.jump_table.size, strict=True):
        if np.abs(size).max() > 1e-3:
            assert np.abs(found.jump_table.t - t).min() <= 48 * 2.0**-53, f"jump of {size} at {t}"


def test_seeds_jump_at_different_places_and_the_mean_over_seeds_contains_them_all():
    learner, seeds = relu("xor", 4, 20), [0, 3, 5]
    edges = decompose_edges(learner, seeds)
    assert set(edges.jump_table.seed) <= {0, 1, 2}
    assert len(set(edges.jump_table.seed)) > 1
    assert_close(edges.coefficients(Bernoulli(0.3))[0], beta_of(learner, seeds, 0.3), rtol=1e-9)


def test_where_the_branch_is_the_same_on_both_sides_a_relu_network_is_smooth():
    """Central differences with a step of 1e-4 of the response are the derivative, to the order 2, at random places."""
    learner, rng = relu("two_moons", 5, 60), np.random.default_rng(0)
    w, h = rng.uniform(0.1, 1.5, (200, 5)), 1e-4
    up, down = w.copy(), w.copy()
    up[:, 0] += h
    down[:, 0] -= h
    same = (branch_of(learner, up, [0]) == branch_of(learner, down, [0])).all(axis=(1, 2))
    quotient = (learner.respond(up, [0]) - learner.respond(down, [0]))[:, 0] / (2.0 * h)
    error = np.abs(quotient - learner.weight_jacobian_column(w, [0], 0)[:, 0]).max(axis=1)
    assert 100 < same.sum() < 200
    assert error[same].max() < 1e-6
    assert error[~same].max() > 1e-3


# --- wrong derivatives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Like, LikeWithBranches], ids=["no branches", "branches"])
@pytest.mark.parametrize(("activation", "data"), [("tanh", "xor"), ("relu", "two_moons")])
@pytest.mark.parametrize("wrong", [{"factor": 1.01}, {"shift": 0.02}], ids=["1.01", "shifted"])
def test_a_derivative_that_is_slightly_wrong_is_not_made_up_for_by_jumps(kind, activation, data, wrong):
    learner = relu(data, 4, 20, activation=activation)
    edges, beta = decompose_edges(kind(learner, **wrong), [0], most_trainings=300_000), beta_of(learner, [0])
    error = relative_error(edges.coefficients(Bernoulli(0.5))[0], beta)
    assert 3e-3 < error < 0.1
    assert edges.gap > 3e-3


@pytest.mark.parametrize("wrong", [{"factor": 1.01}, {"shift": 0.02}], ids=["1.01", "shifted"])
def test_beside_a_real_jump_a_wrong_derivative_still_shows(wrong):
    def piecewise(t):
        return np.sin(3.0 * t) + 0.7 * (t > 0.3)

    learner = OneEdge(piecewise, lambda t: 3.0 * np.cos(3.0 * t))
    right, edges = decompose_edges(learner, [0]), decompose_edges(Like(learner, **wrong), [0])
    assert len(right.jump_table) == len(edges.jump_table) == 1
    assert_close(edges.jump_table.size, [[0.7]], rtol=1e-9)
    assert right.gap < 1e-9
    assert edges.gap > 1e-3


def test_a_steep_rise_is_no_jump():
    """F = w / (w + l2) rises within l2 of 0. What is integrated there was counted a second time, as F(1e-9) - F(0)."""
    for l2 in (1e-3, 1e-6, 1e-9):
        edges = decompose_edges(LeastSquares([[1.0]], [1.0], [[1.0]], l2=l2), [0])
        assert not edges.has_jumps
        assert_close(edges.coefficients(Bernoulli(0.5))[0], [[1.0 / (1.0 + l2)]], rtol=1e-9, call=f"l2 = {l2}")


# --- closed forms -------------------------------------------------------------------------------------------------------------


def test_a_moving_threshold_jumps_where_its_argument_vanishes():
    """f = sign(r + a.w): the derivative is 0, and the jump is 2 sign(a_i) at t = -(r + sum_{j != i} a_j w_j) / a_i."""
    rng = np.random.default_rng(2)
    X, y, q = rng.standard_normal((4, 2)), rng.standard_normal(4), rng.standard_normal((1, 2))
    learner, seeds = MovingJump(X, y, q, init_scale=0.2), range(12)
    edges = decompose_edges(learner, seeds)
    a = (q @ X.T * y)[0] / 4.0
    found = {(int(e), int(s)): (t, size[0]) for e, s, t, size in zip(*vars(edges.jump_table).values(), strict=True)}
    starts = {s: threshold(learner, seed) for s, seed in enumerate(seeds)}
    expected = {}
    for e, (i, subset) in enumerate(zip(edges.points, edges.subsets, strict=True)):
        for s, start in starts.items():
            t = -(start + a @ subset) / a[i]
            if 0.0 < t < 1.0:
                expected[e, s] = (t, 2.0 * np.sign(a[i]))
    assert found.keys() == expected.keys()
    assert len(found) > 10
    for key, (t, size) in expected.items():
        assert found[key][0] == pytest.approx(t, abs=20 * EPS / np.abs(a).min())  # rounding of a.w, over the slope
        assert found[key][1] == size
    assert_close(edges.coefficients(Bernoulli(0.4))[0], beta_of(learner, seeds, 0.4), rtol=1e-13)


def threshold(learner, seed):
    """The start r of a seed, from the responses of a threshold on one point whose weight moves it."""
    probe = MovingJump([[1.0]], [-1.0], [[1.0], [-1.0]], init_scale=learner.init_scale)  # sign(r - w), sign(r + w)
    low, high = 0.0, 10.0
    output = 0 if probe.respond([[0.0]], [seed])[0, 0, 0] > 0.0 else 1
    first = probe.respond([[0.0]], [seed])[0, 0, output]
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if probe.respond([[middle]], [seed])[0, 0, output] == first else (low, middle)
    return high if output == 0 else -high


def test_a_minimum_norm_fit_jumps_at_zero_where_the_point_adds_a_direction():
    """All of F(1_S + e_i) - F(1_S) is the jump if x_i is not in the span of S, since the fit does not depend on positive weights.

    The first place beside 0 is t = 2^-53, where the fit errs by about eps / sqrt(t) = 2 sqrt(eps).
    """
    rng = np.random.default_rng(4)
    X, y, q = rng.standard_normal((5, 5)), rng.standard_normal(5), rng.standard_normal((2, 5))
    learner = LeastSquares(X, y, q, undefined="min_norm")
    edges = decompose_edges(learner, [0])
    assert (edges.jump_table.t == 0.0).all()
    assert len(edges.jump_table) == len(edges.points) == 5 * 2**4
    for i, subset, jump in zip(edges.points, edges.subsets, edges.jumps[:, 0, 0], strict=True):
        without, with_point = (np.linalg.pinv(X[on]) @ y[on] for on in (subset == 1.0, (subset == 1.0) | (np.arange(5) == i)))
        assert_close(jump, q @ (with_point - without), atol=1e3 * np.sqrt(EPS), rtol=0.0)
    assert np.abs(edges.integral).max() < 1e-6


class NearestNeighbour:
    """The value of the nearest training point of positive weight, 0 without any; d F / d w = 0 between jumps."""

    n_outputs = 1

    def __init__(self, x, y, query):
        self.x, self.y, self.query, self.n_points = np.array(x), np.array(y), query, len(x)

    def respond(self, weights, seeds):
        distance = np.where(np.asarray(weights) > 0.0, np.abs(self.x - self.query), np.inf)
        value = np.where(np.isfinite(distance).any(axis=1), self.y[distance.argmin(axis=1)], 0.0)
        return np.repeat(value[:, None, None], len(seeds), axis=1)

    def weight_jacobian(self, weights, seeds):
        return np.zeros((len(weights), len(seeds), 1, self.n_points))


class WeightedNeighbour(NearestNeighbour):
    """The neighbour of least distance / weight: it changes inside an edge, at w_i = d_i / min_j (d_j / w_j)."""

    def respond(self, weights, seeds):
        with np.errstate(divide="ignore"):
            distance = np.abs(self.x - self.query) / np.asarray(weights)
        value = np.where(np.isfinite(distance).any(axis=1), self.y[distance.argmin(axis=1)], 0.0)
        return np.repeat(value[:, None, None], len(seeds), axis=1)


def test_a_nearest_neighbour_jumps_at_zero_where_the_new_point_is_nearer():
    learner = NearestNeighbour([0.3, -0.5, 1.0, 0.1], [2.0, -1.0, 5.0, 1.0], 0.0)
    edges = decompose_edges(learner, [0])
    assert (edges.jump_table.t == 0.0).all()
    distance = np.abs(learner.x)
    for i, subset, jump in zip(edges.points, edges.subsets, edges.jumps[:, 0].sum(axis=1)[:, 0], strict=True):
        others = [j for j in range(4) if subset[j]]
        nearest = min(others, key=lambda j: distance[j], default=None)
        before = learner.y[nearest] if others else 0.0
        assert jump == (learner.y[i] - before if not others or distance[i] < distance[nearest] else 0.0)
    assert_close(edges.coefficients(Bernoulli(0.5))[0], beta_of(learner, [0]), rtol=1e-14)


def test_a_weighted_neighbour_jumps_where_the_nearest_one_changes():
    learner = WeightedNeighbour([0.3, -0.5, 1.0, 0.1], [2.0, -1.0, 5.0, 1.0], 0.0)
    edges = decompose_edges(learner, [0])
    distance, table = np.abs(learner.x), edges.jump_table
    for e, (i, subset) in enumerate(zip(edges.points, edges.subsets, strict=True)):
        nearest = min((distance[j] for j in range(4) if subset[j]), default=np.inf)
        t = distance[i] / nearest if np.isfinite(nearest) else 0.0
        found = table.t[table.edge == e]
        if t < 1.0:
            assert len(found) == 1
            assert abs(found[0] - t) <= 4 * EPS
        else:
            assert not len(found)
    assert_close(edges.coefficients(Bernoulli(0.5))[0], beta_of(learner, [0]), rtol=1e-14)


# --- random piecewise functions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OneEdge:
    """A learner with one point: F(w) = value(w), whose derivative between jumps is slope(w)."""

    value: object
    slope: object
    n_points = 1
    n_outputs = 1

    def respond(self, weights, seeds):
        return np.repeat(self.value(np.asarray(weights)[:, :1])[:, None], len(seeds), axis=1)

    def weight_jacobian(self, weights, seeds):
        return np.repeat(self.slope(np.asarray(weights)[:, :1])[:, None, :, None], len(seeds), axis=1)


@st.composite
def piecewise(draw):
    """Cuts in (0, 1), and a cubic on every piece, of no round numbers: pieces that no node sees must not cancel by chance."""
    cuts = sorted(draw(st.lists(st.floats(0.001, 0.999), min_size=0, max_size=5, unique_by=lambda x: round(x, 3))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.array(cuts), rng.uniform(-2.0, 2.0, (len(cuts) + 1, 4))


def evaluate(cuts, cubics, t):
    return np.einsum("...k,...k->...", cubics[np.searchsorted(cuts, t, side="left")], t[..., None] ** np.arange(4))


def test_jumps_at_round_numbers_are_not_taken_for_rounding():
    """A learner that drops a point below a quarter, half or three quarters of its weight jumps where the intervals meet."""
    learner = OneEdge(lambda t: np.floor(4.0 * np.nextafter(t, 0.0)), np.zeros_like)
    edges = decompose_edges(learner, [0])
    assert edges.jump_table.t.tolist() == [0.25, 0.5, 0.75]
    assert edges.jump_table.size.ravel().tolist() == [1.0] * 3
    assert edges.gap == 0.0


@settings(max_examples=40)
@given(piecewise())
def test_jumps_of_random_piecewise_cubics_are_found_and_integrals_are_exact(function):
    """A cubic with coefficients up to 2 is at most 8, rounded to 20 eps; cuts lie between the float found and the next."""
    cuts, cubics = function
    slopes = cubics[:, 1:] * np.arange(1, 4)
    learner = OneEdge(
        lambda t: evaluate(cuts, cubics, t),
        lambda t: np.einsum("...k,...k->...", slopes[np.searchsorted(cuts, t, side="left")], t[..., None] ** np.arange(3)),
    )
    edges = decompose_edges(learner, [0], tolerance=1e-12)
    sides = np.array([[np.polyval(cubics[k + side][::-1], cut) for side in (0, 1)] for k, cut in enumerate(cuts)]).reshape(-1, 2)
    sizes = sides[:, 1] - sides[:, 0]
    order = np.argsort(edges.jump_table.t)
    clear = np.abs(sizes) > 1e-9
    assert len(order) == clear.sum()
    assert (np.abs(edges.jump_table.t[order] - cuts[clear]) <= 2.0**-52).all()
    assert_close(edges.jump_table.size[order, 0], sizes[clear], atol=400 * EPS, rtol=0.0)
    assert edges.finished.all()
    assert abs(float((edges.change - edges.integral - edges.jumps).sum())) < 1e-10


# --- budgets ------------------------------------------------------------------------------------------------------------------


def test_with_few_trainings_edges_are_drawn_and_the_average_has_a_standard_error():
    learner = relu("two_moons", 5, 20)
    edges = decompose_edges(learner, [0], most_trainings=24_000)
    assert edges.sampled
    assert edges.finished.all()
    assert edges.gap < 1e-9
    value, error = edges.coefficients(Bernoulli(0.5))
    assert (error > 0.0).all()
    assert (np.abs(value - beta_of(learner, [0])) < 5.0 * error).mean() > 0.7  # few edges of each point: t has few degrees


def test_where_trainings_run_out_the_edges_are_said_to_be_unfinished():
    edges = decompose_edges(relu("xor", 4, 200), [0], most_trainings=3_000)
    assert not edges.finished.all()


def test_what_cannot_be_taken_apart_is_refused_with_what_to_do():
    class Blind(NearestNeighbour):
        weight_jacobian = None

    learner = NearestNeighbour([0.0, 1.0], [1.0, 2.0], 0.2)
    with pytest.raises(ValueError, match="expected two weights 0 <= low < high"):
        decompose_edges(learner, [0], levels=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"subsets has shape \(1, 3\), expected \(1, 2\) of zeros and ones"):
        chosen_edges(learner, [0], [0], np.zeros((1, 3)))
    with pytest.raises(ValueError, match="tolerance = 0, expected a number > 0"):
        decompose_edges(learner, [0], tolerance=0)
