"""Optimal linear datamodels, against weighted least squares in statsmodels on every point of the law's support."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import statsmodels.api as sm
import strategies
from assertions import assert_close, assert_identical
from hypothesis import find, given, settings
from hypothesis import strategies as st
from statsmodels.tools.sm_exceptions import SingularMatrixWarning

from sims.learners import LeastSquares
from theory import transforms, values
from theory.datamodel import Datamodel, grid_rows, optimal_datamodel, quadrature_datamodel
from theory.laws import Bernoulli, FixedSize, Gaussian, Poisson, TwoPoint
from theory.subsets import all_masks, sizes

FIXED = settings(derandomize=True, database=None, deadline=None)
SEEDS = [0]


@dataclass(frozen=True)
class ClosedForm:
    """A learner that is a formula: F(w) = sum_k c_k prod_i w_i^e_ki, monomials e (K, N), c (K, M)."""

    exponents: np.ndarray
    factors: np.ndarray

    @property
    def n_points(self):
        return self.exponents.shape[1]

    @property
    def n_outputs(self):
        return self.factors.shape[1]

    def respond(self, weights, seeds):
        monomials = np.prod(np.asarray(weights)[:, None, :] ** self.exponents, axis=2)
        return np.repeat((monomials @ self.factors)[:, None], len(seeds), axis=1)


def count(table):
    return len(table).bit_length() - 1


def product_weights(n, p):
    return np.array([p ** mask.bit_count() * (1.0 - p) ** (n - mask.bit_count()) for mask in range(2**n)])


def weighted_fits(design, table, weights):
    return [sm.WLS(column, sm.add_constant(design, has_constant="add"), weights=weights).fit() for column in table.T]


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
@settings(max_examples=25)
@given(table=strategies.tables(min_points=2))
def test_bernoulli_datamodel_is_weighted_least_squares_on_all_subsets(p, table):
    """1e-10 relative, and what rounding of F leaves where a coefficient or R^2 happens to vanish."""
    weights = product_weights(count(table), p)
    fits = weighted_fits(all_masks(count(table)), table, weights)
    datamodel, scale = optimal_datamodel(table, Bernoulli(p)), np.abs(table).max()
    assert_close(datamodel.coefficients, np.transpose([fit.params[1:] for fit in fits]), rtol=1e-10, atol=1e-13 * scale)
    assert_close(datamodel.intercept, [fit.params[0] for fit in fits], rtol=1e-10, atol=1e-13 * scale)
    assert_close(datamodel.residual_variance, [weights @ fit.resid**2 for fit in fits], rtol=1e-10, atol=1e-13 * scale**2)
    assert_close(datamodel.predict(all_masks(count(table))), np.transpose([fit.fittedvalues for fit in fits]), rtol=1e-10)
    variance = weights @ (table - weights @ table) ** 2
    theirs = [fit.rsquared for fit in fits]
    assert_close(datamodel.r_squared, theirs, rtol=1e-10, atol=1e-13 * (scale**2 / variance).max())
    assert datamodel.law == Bernoulli(p)


@pytest.mark.parametrize("spread", [0.01, 0.3, 1.0])
@settings(max_examples=25)
@given(table=strategies.tables(min_points=2))
def test_two_point_datamodel_is_least_squares_on_its_grid(spread, table):
    """The columns 1 +- spread and the constant have condition 1/spread: so much rounding is statsmodels' own."""
    grid = 1.0 + spread * (2.0 * all_masks(count(table)) - 1.0)
    fits = weighted_fits(grid, table, np.ones(len(table)))
    datamodel, rounding = optimal_datamodel(table, TwoPoint(spread)), 1e-13 / spread**2
    scale = np.abs(table).max()
    assert_close(datamodel.coefficients, np.transpose([f.params[1:] for f in fits]), rtol=1e-10, atol=rounding * scale)
    assert_close(datamodel.intercept, [fit.params[0] for fit in fits], rtol=1e-10, atol=rounding * scale)
    atol = rounding * (scale**2 / table.var(axis=0)).max()
    assert_close(datamodel.r_squared, [fit.rsquared for fit in fits], rtol=1e-10, atol=atol)
    halves = optimal_datamodel(table).coefficients / (2.0 * spread)
    assert_close(datamodel.coefficients, halves, rtol=1e-12, atol=1e-13 / spread * scale)


@pytest.mark.parametrize("p", [0.2, 0.8])
def test_the_law_matters_once_points_interact(p):
    find(
        strategies.integer_tables(),
        lambda t: not np.allclose(optimal_datamodel(t, Bernoulli(p)).coefficients, optimal_datamodel(t).coefficients, rtol=0.1),
        settings=FIXED,
    )


@given(strategies.tables(), strategies.PROBABILITIES)
def test_coefficients_are_the_difference_of_conditional_means_and_the_gradient_of_the_extension(table, p):
    n, weights = count(table), product_weights(count(table), p)
    atol = 1e-13 * np.abs(table).max() / min(p, 1.0 - p)
    coefficients = optimal_datamodel(table, Bernoulli(p)).coefficients
    for i, present in enumerate(all_masks(n).T == 1.0):
        with_i = weights[present] @ table[present] / weights[present].sum()
        without = weights[~present] @ table[~present] / weights[~present].sum()
        assert_close(coefficients[i], with_i - without, atol=atol)
    assert_close(coefficients, values.banzhaf(table, p), atol=atol)


@given(strategies.tables(), strategies.PROBABILITIES)
def test_the_residual_is_orthogonal_to_a_constant_and_to_every_weight(table, p):
    weights, masks = product_weights(count(table), p), all_masks(count(table))
    residual = table - optimal_datamodel(table, Bernoulli(p)).predict(masks)
    normal_equations = np.c_[np.ones(len(masks)), masks].T @ (weights[:, None] * residual)
    assert_close(normal_equations, np.zeros_like(normal_equations), atol=1e-12 * np.abs(table).max())


@given(strategies.tables(), strategies.PROBABILITIES)
def test_r_squared_is_the_degree_one_share_of_the_variance(table, p):
    """T8: R^2 = B_1 / Var F = p (1 - p) sum_i beta_i^2 / Var F, and what is left is B_2 + .. + B_N."""
    datamodel, mass = optimal_datamodel(table, Bernoulli(p)), transforms.degree_mass(table, p)
    weights = product_weights(count(table), p)
    variance = weights @ (table - weights @ table) ** 2
    atol = 1e-12 * (weights @ table**2).max() / variance.min()
    assert_close(datamodel.r_squared, p * (1.0 - p) * (datamodel.coefficients**2).sum(axis=0) / variance, atol=atol)
    assert_close(datamodel.r_squared, mass[1] / variance, atol=atol)
    assert_close(datamodel.residual_variance, mass[2:].sum(axis=0), atol=1e-12 * (weights @ table**2).max())


def test_r_squared_of_a_pair_is_two_thirds_and_is_missed_without_the_variance_of_a_weight():
    """F = 4 for {0, 1}, else 0: mean 1, variance 3, beta = (2, 2), R^2 = (1/4) (4 + 4) / 3."""
    datamodel = optimal_datamodel([[0.0], [0.0], [0.0], [4.0]])
    assert_close(datamodel.coefficients, [[2.0], [2.0]], rtol=1e-15)
    assert_close(datamodel.intercept, [-1.0], rtol=1e-15)
    assert_close(datamodel.residual_variance, [1.0], rtol=1e-15)
    assert_close(datamodel.r_squared, [2.0 / 3.0], rtol=1e-15)
    assert (datamodel.coefficients**2).sum() / 3.0 > 1.0


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=6), strategies.PROBABILITIES)
def test_an_affine_response_is_recovered_with_nothing_left_over(terms, p):
    table = (7.0 + all_masks(len(terms)) @ np.array(terms, dtype=float))[:, None]
    datamodel = optimal_datamodel(table, Bernoulli(p))
    scale = 7.0 + np.abs(terms).sum()
    assert_close(datamodel.coefficients[:, 0], np.array(terms, dtype=float), atol=1e-13 * scale / min(p, 1.0 - p))
    assert_close(datamodel.intercept, [7.0], atol=1e-12 * scale / min(p, 1.0 - p))
    assert datamodel.residual_variance[0] <= (1e-12 * scale / min(p, 1.0 - p)) ** 2
    if any(terms):
        assert_close(datamodel.r_squared, [1.0], atol=1e-12)
    else:
        assert math.isnan(datamodel.r_squared[0])


@pytest.mark.parametrize("n", [2, 6, 12, 16])
def test_r_squared_of_a_constant_response_is_undefined_however_large_the_table(n):
    rng = np.random.default_rng(n)
    constants = np.append([0.0, 1.0, 3.0163523317323583e-05, -12521.519434446158], rng.standard_normal(8))
    table = np.tile(constants, (2**n, 1))
    laws = [Bernoulli(0.5), Bernoulli(0.057300283101857405), Bernoulli(0.4284184519590896), TwoPoint(0.3), FixedSize(n // 2)]
    defined = {law: r_squared for law in laws if not np.isnan(r_squared := optimal_datamodel(table, law).r_squared).all()}
    assert not defined, f"a constant has no R^2, got {defined}"


def test_r_squared_of_a_response_that_varies_just_above_rounding_is_defined():
    table = 1.0 + 1e-12 * np.random.default_rng(0).standard_normal((64, 1))
    assert 0.0 < optimal_datamodel(table).r_squared[0] < 1.0


@given(strategies.tables(max_outputs=1), strategies.PROBABILITIES, strategies.SEEDS)
def test_coefficients_are_linear_in_the_response(table, p, seed):
    """So beta[E_r f] = E_r beta[f]."""
    rng = np.random.default_rng(seed)
    other, (a, b) = rng.standard_normal(table.shape), rng.standard_normal(2)
    both = optimal_datamodel(np.hstack([table, other, a * table + b * other]), Bernoulli(p))
    atol = 1e-12 * (np.abs(table).max() + 10.0) / min(p, 1.0 - p)
    for part in (both.coefficients, both.intercept[None]):
        assert_close(part[:, 2], a * part[:, 0] + b * part[:, 1], atol=atol)


@given(strategies.tables(), strategies.SEEDS)
def test_prediction_is_intercept_plus_weighted_coefficients(table, seed):
    datamodel = optimal_datamodel(table)
    weights = np.random.default_rng(seed).uniform(0.0, 2.0, (3, count(table)))
    by_hand = np.tile(datamodel.intercept, (3, 1))
    for row, i, m in np.ndindex(3, *datamodel.coefficients.shape):
        by_hand[row, m] += weights[row, i] * datamodel.coefficients[i, m]
    assert_close(datamodel.predict(weights), by_hand, atol=1e-13 * np.abs(table).max() * count(table))


@settings(max_examples=25)
@given(strategies.tables(min_points=2), st.data())
def test_fixed_size_datamodel_is_least_squares_with_a_free_constant(table, data):
    """T7: the design is singular; statsmodels takes the pseudo-inverse and so another representative."""
    n = count(table)
    k = data.draw(st.integers(1, n - 1), label="k")
    chosen = sizes(n) == k
    masks, responses = all_masks(n)[chosen], table[chosen]
    datamodel = optimal_datamodel(table, FixedSize(k))
    for m, column in enumerate(responses.T):
        with pytest.warns(SingularMatrixWarning, match="rank-deficient"):
            fit = sm.OLS(column, sm.add_constant(masks, has_constant="add")).fit(method="pinv")
        ours, theirs = datamodel.coefficients[:, m], fit.params[1:]
        scale = np.abs(column).max()
        assert_close(datamodel.predict(masks)[:, m], fit.fittedvalues, atol=1e-10 * scale)
        assert_close(np.subtract.outer(ours, ours), np.subtract.outer(theirs, theirs), atol=1e-10 * scale)
        assert_close(datamodel.residual_variance[m], np.mean(fit.resid**2), atol=1e-10 * scale**2)
        assert_close(datamodel.r_squared[m], fit.rsquared, atol=1e-10 * (scale / np.std(column)) ** 2)
        assert abs(ours.sum()) <= 1e-12 * scale * n
    assert datamodel.law == FixedSize(k)


@given(strategies.tables(min_points=2), st.data())
def test_fixed_size_coefficients_are_scaled_differences_of_conditional_means(table, data):
    """T7: beta_i = ((N - 1) / N) (E[F | i in S] - E[F | i not in S])."""
    n = count(table)
    k = data.draw(st.integers(1, n - 1), label="k")
    masks = [m for m in range(2**n) if m.bit_count() == k]
    for i, beta in enumerate(optimal_datamodel(table, FixedSize(k)).coefficients):
        with_i = np.mean([table[m] for m in masks if m >> i & 1], axis=0)
        without = np.mean([table[m] for m in masks if not m >> i & 1], axis=0)
        assert_close(beta, (n - 1) / n * (with_i - without), atol=1e-13 * np.abs(table).max())


def test_fixed_size_coefficients_without_the_factor_n_minus_1_over_n_do_not_fit():
    """F = |S and {0}| among subsets of one of two points: means differ by 1, the swap 0 -> 1 costs 1, so beta = (1/2, -1/2)."""
    datamodel = optimal_datamodel([[5.0], [1.0], [0.0], [9.0]], FixedSize(1))
    assert_close(datamodel.coefficients, [[0.5], [-0.5]], rtol=1e-15)
    assert_close(datamodel.predict([[1.0, 0.0], [0.0, 1.0]]), [[1.0], [0.0]], atol=1e-15)
    assert_close(np.diff(2.0 * datamodel.coefficients[:, 0]), [-2.0], rtol=1e-15)  # without (N - 1)/N: twice the swap


@given(strategies.tables(min_points=2), st.data())
def test_the_free_constant_changes_predictions_only_off_size_k(table, data):
    n = count(table)
    k, constant = data.draw(st.integers(1, n - 1), label="k"), data.draw(st.sampled_from([-3.0, 0.5, 100.0]), label="c")
    datamodel = optimal_datamodel(table, FixedSize(k))
    shifted = datamodel.with_free_constant(constant)
    atol = 1e-13 * n * (np.abs(table).max() + abs(constant))
    change = shifted.predict(all_masks(n)) - datamodel.predict(all_masks(n))
    expected = np.repeat(constant * (sizes(n) - k)[:, None].astype(float), table.shape[1], axis=1)
    assert_close(change, expected, atol=atol)
    assert_close(shifted.coefficients, datamodel.coefficients + constant, atol=atol)
    assert_identical(shifted.residual_variance, datamodel.residual_variance)


@given(strategies.tables(min_points=2, max_points=5), st.data())
def test_responses_off_size_k_do_not_matter_to_a_fixed_size_datamodel(table, data):
    k = data.draw(st.integers(1, count(table) - 1), label="k")
    changed = np.where((sizes(count(table)) == k)[:, None], table, 1e6)
    assert_identical(optimal_datamodel(changed, FixedSize(k)).coefficients, optimal_datamodel(table, FixedSize(k)).coefficients)


def test_contrasts_at_fixed_size_are_not_those_of_independent_draws():
    def contrasts_differ(table):
        fixed, independent = optimal_datamodel(table, FixedSize(2)), optimal_datamodel(table, Bernoulli(0.5))
        return not np.allclose(np.diff(fixed.coefficients, axis=0), np.diff(independent.coefficients, axis=0), rtol=0.1)

    find(strategies.integer_tables(min_points=4, max_points=4), contrasts_differ, settings=FIXED)


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_grid_rows_count_in_base_k_lowest_digit_first(k, n, data):
    start, stop = sorted(data.draw(st.lists(st.integers(0, k**n), min_size=2, max_size=2), label="rows"))
    points = np.linspace(0.5, 2.0, k)
    expected = [[points[row // k**i % k] for i in range(n)] for row in range(start, stop)]
    assert_identical(grid_rows(points, start, stop, n), np.reshape(expected, (stop - start, n)))


@pytest.mark.parametrize("law", [Bernoulli(0.3), TwoPoint(0.4)], ids=repr)
@settings(max_examples=10)
@given(learner=strategies.least_squares(max_points=6))
def test_quadrature_of_a_two_level_law_is_its_table(law, learner):
    low, high = law.levels
    table = learner.respond(low + (high - low) * all_masks(learner.n_points), SEEDS)[:, 0]
    expected, got = optimal_datamodel(table, law), quadrature_datamodel(learner, law, SEEDS, 2)
    scale = np.abs(table).max() / (high - low)
    for name in ("coefficients", "intercept", "residual_variance"):
        assert_close(getattr(got, name), getattr(expected, name), atol=1e-12 * max(scale, scale**2), call=name)


def polynomial_learner(n=3, degree=3, seed=0):
    rng = np.random.default_rng(seed)
    return ClosedForm(rng.integers(0, degree + 1, (6, n)), rng.standard_normal((6, 2)))


@pytest.mark.parametrize("law", [Gaussian(0.1), Poisson()], ids=repr)
def test_quadrature_datamodel_of_a_polynomial_is_its_covariance_with_the_weight(law):
    """beta_i = Cov(F, w_i) / s^2 monomial by monomial, from moments known in closed form."""
    learner = polynomial_learner()
    if isinstance(law, Gaussian):
        s2 = law.sigma**2
        moment = [1.0, 1.0, 1.0 + s2, 1.0 + 3.0 * s2, 1.0 + 6.0 * s2 + 3.0 * s2**2]
    else:
        moment = [1.0, 1.0, 2.0, 5.0, 15.0]  # Bell numbers
    expected = np.zeros((learner.n_points, learner.n_outputs))
    mean = np.zeros(learner.n_outputs)
    for exponents, factor in zip(learner.exponents, learner.factors, strict=True):
        expectation = math.prod(moment[e] for e in exponents)
        mean += factor * expectation
        for i, e in enumerate(exponents):
            others = math.prod(moment[x] for j, x in enumerate(exponents) if j != i)
            expected[i] += factor * others * (moment[e + 1] - moment[e]) / law.variance
    datamodel = quadrature_datamodel(learner, law, SEEDS, 4)
    assert_close(datamodel.coefficients, expected, rtol=1e-11)
    assert_close(datamodel.intercept, mean - expected.sum(axis=0), rtol=1e-11)


def test_quadrature_datamodel_with_too_few_nodes_misses_the_polynomial():
    coarse, fine = (quadrature_datamodel(polynomial_learner(), Poisson(), SEEDS, nodes).coefficients for nodes in (2, 4))
    assert np.abs(coarse - fine).max() > 0.1 * np.abs(fine).max()


def test_quadrature_datamodel_reads_its_grid_in_blocks():
    """7^5 rows: more than one block, none of them full at the end."""
    learner = ClosedForm(np.eye(5, dtype=int), np.arange(1.0, 6.0)[:, None])
    datamodel = quadrature_datamodel(learner, Gaussian(0.1), SEEDS, 7)
    assert_close(datamodel.coefficients[:, 0], np.arange(1.0, 6.0), rtol=1e-11)
    assert_close(datamodel.r_squared, [1.0], atol=1e-11)


def test_a_grid_beyond_memory_is_refused_with_its_size():
    learner = LeastSquares(np.eye(40), np.ones(40), np.eye(40)[:1], l2=0.1)
    with pytest.raises(
        MemoryError, match=r"a grid of 5\*\*40 weight vectors needs .* GiB, .* are free: use fewer nodes or fewer"
    ):
        quadrature_datamodel(learner, Gaussian(0.1), SEEDS, 5)


@pytest.mark.parametrize("law", [Gaussian(0.1), Poisson(), "uniform"])
def test_a_law_that_does_not_live_on_subsets_is_refused(law):
    with pytest.raises(TypeError, match="is not a law on a table of subsets, expected Bernoulli, TwoPoint or FixedSize"):
        optimal_datamodel(np.zeros((4, 1)), law)


def test_a_k_of_all_points_is_refused():
    with pytest.raises(ValueError, match="k = 3 with N = 3 points, expected 1 <= k <= N - 1 = 2"):
        optimal_datamodel(np.zeros((8, 1)), FixedSize(3))


def test_a_free_constant_is_refused_where_coefficients_are_identified():
    with pytest.raises(ValueError, match="coefficients of this datamodel are identified: only a FixedSize law"):
        optimal_datamodel(np.zeros((4, 1))).with_free_constant(1.0)


@pytest.mark.parametrize("weights", [np.ones(2), np.ones((3, 3)), np.ones((1, 1, 2))])
def test_predict_refuses_weights_of_other_points(weights):
    datamodel = Datamodel(np.zeros(1), np.zeros((2, 1)), np.zeros(1), np.zeros(1), Bernoulli(0.5))
    with pytest.raises(ValueError, match=r"weights has shape \(.*\), expected \(B, 2\): one column per training point"):
        datamodel.predict(weights)


@pytest.mark.parametrize("law", [Bernoulli(0.5), TwoPoint(0.3), FixedSize(1)], ids=repr)
def test_what_is_not_a_table_is_refused(law):
    with pytest.raises(ValueError, match=r"table has shape \(4,\), expected \(2\*\*N, M\)"):
        optimal_datamodel(np.zeros(4), law)
    with pytest.raises(ValueError, match=r"table has 5 rows, expected 2\*\*N"):
        optimal_datamodel(np.zeros((5, 1)), law)
    with pytest.raises(ValueError, match=r"table\[3, 1\] is nan.*finite"):
        optimal_datamodel([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, math.nan]], law)


@pytest.mark.parametrize("law", [Bernoulli(0.5), FixedSize(5)])
def test_r_squared_of_a_nearly_constant_response_does_not_depend_on_a_shift(law):
    spread = np.random.default_rng(0).integers(-4, 5, (2**10, 1)) * 2.0**-48  # exact beside 1
    assert_close(optimal_datamodel(1.0 + spread, law).r_squared, optimal_datamodel(spread, law).r_squared, rtol=1e-9)


# --- labelled and shown ---------------------------------------------------------------------------------------------------------


def test_a_datamodel_can_be_labelled_and_shown():
    """F = 1 where both points are present, and twice that: beta = 1/2, intercept -1/4, R^2 = 2/3."""
    model = optimal_datamodel([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 2.0]])
    assert repr(model) == "Datamodel(n_points=2, n_outputs=2, law=Bernoulli(p=0.5), r_squared=0.667)"
    assert "<tr><th>r_squared</th><td>0.667</td></tr>" in model._repr_html_()
    labelled = model.to_xarray()
    assert labelled.coefficients.dims == ("point", "output")
    assert {labelled[name].dims for name in ("intercept", "residual_variance", "r_squared")} == {("output",)}
    assert labelled.attrs == {"law": "Bernoulli(p=0.5)"}
    frame = model.to_dataframe()
    assert list(frame.columns) == ["point", "output", "coefficients", "intercept", "residual_variance", "r_squared"]
    assert frame[["point", "output", "coefficients", "intercept"]].to_numpy().tolist() == [
        [0.0, 0.0, 0.5, -0.25],
        [0.0, 1.0, 1.0, -0.5],
        [1.0, 0.0, 0.5, -0.25],
        [1.0, 1.0, 1.0, -0.5],
    ]
