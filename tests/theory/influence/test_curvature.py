"""Curvature models against loops over points, complex steps of a plain network, and cases where a model is exact."""

import dataclasses

import numpy as np
import plain_mlp as plain
import pytest
import statsmodels.api as sm
import strategies
from assertions import arrays_of, assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from sims.learners import LeastSquares, Logistic
from sims.learners.mlp import MLP
from theory.influence.curvature import CURVATURES, curvature_matrix
from theory.response import Fit, Layer, Linearization, stacked

OF_THE_FIT = ("gauss_newton", "fisher", "empirical_fisher", "kfac", "ekfac")
OF_THE_HESSIAN = ("hessian", "diagonal", "absolute")
every_curvature = pytest.mark.parametrize("kind", CURVATURES)
every_curvature_of_the_fit = pytest.mark.parametrize("kind", OF_THE_FIT)
SHAPES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=3)


def made_up(rng, shapes=((3, 2), (2, 1)), n=5, seeds=2, penalty=0.3, weights=None, layers=None):
    """A linearization with arbitrary layers (in, out), slopes, curvatures c > 0, Fisher and Hessian, no two of them related."""
    if layers is None:
        layers = [(rng.standard_normal((seeds, n, i)), rng.standard_normal((seeds, n, o))) for i, o in shapes]
    gradients = np.concatenate([np.einsum("rni,rno->rnio", a, d).reshape(seeds, n, -1) for a, d in layers], axis=2)
    size = gradients.shape[2]
    slopes, positive = rng.standard_normal((seeds, n)), rng.uniform(0.2, 2.0, (2, seeds, n))
    half = rng.standard_normal((seeds, size, size))
    fit = Fit(
        gradients=gradients,
        slopes=slopes,
        curvatures=positive[0],
        fisher=positive[1],
        layers=tuple(Layer(*factors) for factors in layers),
        weights=rng.uniform(0.0, 2.0, n) if weights is None else weights,
        penalty=penalty,
    )
    outputs = rng.standard_normal((seeds, 2, size))
    points = slopes[:, :, None] * gradients
    return Linearization(np.zeros((seeds, size)), half + half.swapaxes(1, 2), points, outputs, np.zeros(seeds), fit)


def network(loss, hidden=(3, 2), n=6, seed=0, **options):
    """A network after a few steps: not converged, so that its Hessian has a bend."""
    rng = np.random.default_rng(seed)
    y = {"squared": rng.standard_normal(n), "logistic": np.resize([0.0, 1.0], n), "softmax": np.arange(n) % 3}[loss]
    options = {"steps": 40, "learning_rate": 0.3, "l2": 0.02, "activation": "tanh"} | options
    if loss == "softmax":
        options = {"y_query": [0, 1]} | options
    return MLP(rng.standard_normal((n, 2)), options.pop("y", y), rng.standard_normal((2, 2)), hidden=hidden, loss=loss, **options)


def some_weights(n, seed=1):
    """Around 1, one of them 0."""
    return np.concatenate([[0.0], np.random.default_rng(seed).uniform(0.3, 2.0, n - 1)])


def blocks(at, matrices):
    """Per layer the diagonal blocks (R, in * out, in * out)."""
    found, start = [], 0
    for layer in at.fit.layers:
        stop = start + layer.inputs.shape[2] * layer.deltas.shape[2]
        found.append(matrices[:, start:stop, start:stop])
        start = stop
    return found


def without_penalty(at, kind):
    """The data part of a curvature."""
    return curvature_matrix(at, kind) - at.fit.penalty * np.eye(at.params.shape[1])


def distance(one, other):
    """Frobenius, summed over seeds and layers."""
    return np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(one, other, strict=True)))


# --- Gauss-Newton and the Fishers --------------------------------------------------------------------------------------------


@given(SHAPES, st.integers(1, 6), strategies.SEEDS)
def test_gauss_newton_and_fishers_are_sums_over_points_of_outer_products(shapes, n, seed):
    at = made_up(np.random.default_rng(seed), shapes, n)
    size, fit = at.params.shape[1], at.fit
    factors = {"gauss_newton": fit.curvatures, "fisher": fit.fisher, "empirical_fisher": fit.slopes**2}
    for kind, factor in factors.items():
        expected = np.zeros((2, size, size))
        for r in range(2):
            for i in range(n):
                expected[r] += fit.weights[i] / n * factor[r, i] * np.outer(fit.gradients[r, i], fit.gradients[r, i])
            expected[r] += fit.penalty * np.eye(size)
        assert_close(curvature_matrix(at, kind), expected, rtol=1e-13, call=kind)


@settings(max_examples=25)
@given(st.one_of(strategies.logistics(), strategies.least_squares()), strategies.SEEDS)
def test_gauss_newton_and_fisher_of_linear_models_are_the_hessian(learner, seed):
    at = learner.linearize(some_weights(learner.n_points, seed), [0])
    for kind in ("gauss_newton", "fisher"):
        assert_close(curvature_matrix(at, kind), at.hessian, rtol=1e-10, call=kind)
    assert np.abs(curvature_matrix(at, "empirical_fisher") - at.hessian).max() > 1e-6 * np.abs(at.hessian).max()


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton", "fisher"])
@given(seed=strategies.SEEDS)
def test_hessian_gauss_newton_and_fisher_of_logistic_regression_are_the_information_of_statsmodels(kind, seed):
    """Observed and expected information with frequency weights w are both N (A - l2 I) at the penalised optimum."""
    rng = np.random.default_rng(seed)
    X, y, w = (
        rng.standard_normal((9, 3)),
        rng.permutation([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        rng.uniform(0.1, 3.0, 9),
    )
    at = Logistic(X, y, X[:2], l2=0.2).linearize(w, [0])
    model = sm.GLM(y, X, family=sm.families.Binomial(), freq_weights=w)
    for observed in (True, False):
        expected = -model.hessian(at.params[0], observed=observed) / 9.0 + 0.2 * np.eye(3)
        assert_close(curvature_matrix(at, kind)[0], expected, rtol=1e-10, call=f"{kind}, observed {observed}")


@pytest.mark.parametrize("normalization", ["n_points", "sum", "weight_sum", "support"])
@pytest.mark.parametrize("make", [Logistic, LeastSquares])
def test_gauss_newton_is_the_hessian_whatever_divides_the_data_term(make, normalization):
    """The linearization divides by N throughout; the penalty that it carries is what is left of l2 then."""
    rng = np.random.default_rng(0)
    learner = make(rng.standard_normal((7, 2)), np.resize([0.0, 1.0], 7), np.eye(2), l2=0.7, normalization=normalization)
    at = learner.linearize(some_weights(7), [0])
    assert_close(curvature_matrix(at, "gauss_newton"), at.hessian, rtol=1e-12, call=normalization)


@pytest.mark.parametrize("hidden", [(), (3,), (3, 2)])
@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_curvatures_of_a_network_are_products_of_its_complex_step_jacobian(loss, hidden):
    """J^T diag(w c) J / N + l2 I; c = E s^2 for both losses: labels of probability p, y = f + noise of variance 1."""
    learner, weights, seeds = network(loss, hidden), some_weights(6), (0, 5)
    at = learner.linearize(weights, seeds)
    slope = plain.LOSSES[loss][1]
    for r in range(2):
        theta = at.params[r]
        f = np.array([plain.output(learner, theta, x) for x in learner.X])
        jacobian = plain.complex_step(lambda t: np.array([plain.output(learner, t, x) for x in learner.X]), theta)
        curvatures = [plain.complex_step(lambda a, y=y: slope(a, y), [a])[0, 0] for a, y in zip(f, learner.y, strict=True)]
        p = plain.sigmoid(f)
        drawn = (1 - p) * slope(f, 0.0) ** 2 + p * slope(f, 1.0) ** 2
        if loss == "squared":  # exact for a polynomial of degree 2
            nodes, mass = np.polynomial.hermite_e.hermegauss(3)
            drawn = (slope(f[:, None], f[:, None] + nodes) ** 2) @ mass / mass.sum()
        points = np.stack([plain.point_gradient(learner, theta, i) for i in range(6)])
        ridge = learner.l2 * np.eye(len(theta))
        expected = {
            "gauss_newton": (jacobian.T * (weights * curvatures)) @ jacobian / 6 + ridge,
            "fisher": (jacobian.T * (weights * drawn)) @ jacobian / 6 + ridge,
            "empirical_fisher": (points.T * weights) @ points / 6 + ridge,
            "diagonal": np.diag(np.diag(plain.hessian(learner, theta, weights))),
        }
        for kind, matrix in expected.items():
            assert_close(curvature_matrix(at, kind)[r], matrix, rtol=1e-10, call=f"{kind} of {hidden}")


@pytest.mark.parametrize("hidden", [(), (3,), (3, 2)])
def test_curvatures_of_a_softmax_network_are_products_of_its_complex_step_jacobian(hidden):
    """J_i^T (diag(p_i) - p_i p_i^T) J_i over all logits: the Hessian of the loss in the logits, and E s s^T over drawn classes.

    K-FAC from its definition: the mean of inputs inputs^T, times the mean of D^T (diag(p) - p p^T) D with D = d logits / dz.
    """
    learner, weights = network("softmax", hidden), some_weights(6)
    at = learner.linearize(weights, (0, 5))
    for r in range(2):
        theta = at.params[r]
        shares, size = weights / 6.0, len(theta)
        slopes = [plain.complex_step(lambda t, x=x: plain.forward(learner, t, x)[1][-1], theta) for x in learner.X]
        p = [np.exp(f - plain.log_sum_exp(f)) for f in (plain.forward(learner, theta, x)[1][-1] for x in learner.X)]
        middle = [np.diag(q) - np.outer(q, q) for q in p]
        drawn = [sum(q[c] * np.outer(q - np.eye(3)[c], q - np.eye(3)[c]) for c in range(3)) for q in p]
        points = np.stack([plain.point_gradient(learner, theta, i) for i in range(6)])
        expected = {
            "gauss_newton": sum(s * j.T @ a @ j for s, j, a in zip(shares, slopes, middle, strict=True)),
            "fisher": sum(s * j.T @ a @ j for s, j, a in zip(shares, slopes, drawn, strict=True)),
            "empirical_fisher": (points.T * shares) @ points,
        }
        for kind, matrix in expected.items():
            assert_close(
                curvature_matrix(at, kind)[r], matrix + learner.l2 * np.eye(size), rtol=1e-10, call=f"{kind} of {hidden}"
            )
        blocks_of, start = [], 0
        for k, layer in enumerate(at.fit.layers):
            inputs, outputs = layer.inputs.shape[2], layer.deltas.shape[2]
            entering = np.array([[*plain.forward(learner, theta, x)[0][k], 1.0] for x in learner.X])
            bias = slice(start + (inputs - 1) * outputs, start + inputs * outputs)  # df/db = df/dz
            of_inputs = (entering.T * weights) @ entering / weights.sum()
            of_outputs = sum(s * j[:, bias].T @ m @ j[:, bias] for s, j, m in zip(shares, slopes, middle, strict=True))
            blocks_of.append(np.kron(of_inputs, of_outputs))
            start = bias.stop
        wanted = linalg.block_diag(*blocks_of) + learner.l2 * np.eye(size)
        assert_close(curvature_matrix(at, "kfac")[r], wanted, rtol=1e-10, call=f"kfac of {hidden}")


def test_ekfac_of_a_softmax_network_has_the_diagonal_of_gauss_newton_in_the_basis_of_kfac():
    at = network("softmax").linearize(some_weights(6), (0, 5))
    kinds = ("ekfac", "gauss_newton", "kfac")
    ekfac, exact, kfac = (blocks(at, without_penalty(at, kind)) for kind in kinds)
    for layer, (block, expected, product) in enumerate(zip(ekfac, exact, kfac, strict=True)):
        assert_close(np.trace(block, axis1=1, axis2=2), np.trace(expected, axis1=1, axis2=2), rtol=1e-12, call="trace")
        commutator = block @ product - product @ block
        assert_close(commutator, np.zeros_like(block), atol=1e-11 * np.abs(block).max() * np.abs(product).max(), call="basis")
        assert distance([block], [expected]) <= distance([product], [expected]), f"layer {layer}"


@pytest.mark.parametrize("hidden", [(), (3, 2)])
@pytest.mark.parametrize("kind", ["gauss_newton", "kfac", "ekfac"])
def test_curvatures_of_a_softmax_network_of_two_classes_on_one_output_are_those_of_the_other(kind, hidden):
    """Gauss-Newton in the margin m alone, c = p (1 - p), is that of all classes if there are two: m = f_y - f_other."""
    learner = network("softmax", hidden, y=np.resize([0, 1], 6), y_query=[0, 1])
    at = learner.linearize(some_weights(6), (0,))
    one = dataclasses.replace(at, fit=dataclasses.replace(at.fit, classes=None))
    assert_close(curvature_matrix(at, kind), curvature_matrix(one, kind), rtol=1e-11, call=kind)


def test_gauss_newton_of_a_network_leaves_out_the_bend_of_its_output():
    """H - GN = (1/N) sum w_i slope_i Hess f_i, which is 0 only where the model is linear in theta or fits every point."""
    at = network("squared").linearize(np.ones(6), [0])
    assert np.abs(curvature_matrix(at, "gauss_newton") - at.hessian).max() > 1e-2 * np.abs(at.hessian).max()
    assert np.linalg.eigvalsh(at.hessian[0])[0] < 0.0 < np.linalg.eigvalsh(curvature_matrix(at, "gauss_newton")[0])[0]
    linear = network("squared", hidden=()).linearize(np.ones(6), [0])
    assert_close(curvature_matrix(linear, "gauss_newton"), linear.hessian, rtol=1e-12, call="no hidden layer")


# --- K-FAC -------------------------------------------------------------------------------------------------------------------


@given(SHAPES, st.integers(1, 6), strategies.SEEDS)
def test_kfac_is_per_layer_the_product_of_means_entry_by_entry(shapes, n, seed):
    """Entry ((i, o), (i', o')) = A_ii' G_oo', parameters W (in, out) row by row; zero between layers."""
    at = made_up(np.random.default_rng(seed), shapes, n)
    fit, share = at.fit, at.fit.weights / at.fit.weights.sum()
    found = without_penalty(at, "kfac")
    rest = found.copy()
    for layer, block in zip(fit.layers, blocks(at, found), strict=True):
        for r in range(2):
            inputs, outputs = layer.inputs.shape[2], layer.deltas.shape[2]
            A, G = np.zeros((inputs, inputs)), np.zeros((outputs, outputs))
            for k in range(n):
                A += share[k] * np.outer(layer.inputs[r, k], layer.inputs[r, k])
                G += fit.weights[k] * fit.curvatures[r, k] / n * np.outer(layer.deltas[r, k], layer.deltas[r, k])
            expected = np.einsum("ij,op->iojp", A, G).reshape(block[r].shape)
            assert_close(block[r], expected, rtol=1e-12, atol=1e-15, call="block")
    for block in blocks(at, rest):
        block[:] = 0.0
    assert not rest.any()


def test_kfac_and_ekfac_are_exact_for_a_linear_layer_with_squared_loss():
    """c = 1 and deltas = 1 for every point: G is a number that does not vary with the inputs. At any weights."""
    for learner in (network("squared", hidden=()), LeastSquares(*least_squares_data(), l2=0.1)):
        for weights in (np.ones(6), some_weights(6)):
            at = learner.linearize(weights, [0])
            for kind in ("kfac", "ekfac"):
                assert_close(curvature_matrix(at, kind), curvature_matrix(at, "gauss_newton"), rtol=1e-12, call=kind)
                assert_close(curvature_matrix(at, kind), at.hessian, rtol=1e-12, call=kind)


def least_squares_data():
    """X, y and queries."""
    rng = np.random.default_rng(2)
    return rng.standard_normal((6, 3)), rng.standard_normal(6), np.eye(3)


@pytest.mark.parametrize("kind", ["kfac", "ekfac"])
@pytest.mark.parametrize("hidden", [(), (3,), (3, 2)])
@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_kfac_and_ekfac_of_a_single_point_are_gauss_newton_in_every_layer(loss, hidden, kind):
    """One point's product of outer products is the outer product of products. The five others have weight 0."""
    at = network(loss, hidden).linearize(0.7 * np.eye(6)[1], [0, 3])
    pairs = zip(blocks(at, curvature_matrix(at, kind)), blocks(at, curvature_matrix(at, "gauss_newton")), strict=True)
    for layer, (found, expected) in enumerate(pairs):
        assert_close(found, expected, rtol=1e-12, call=f"layer {layer}")


@pytest.mark.parametrize("kind", ["kfac", "ekfac"])
@given(strategies.SEEDS)
def test_kfac_and_ekfac_are_gauss_newton_where_inputs_are_independent_of_deltas(kind, seed):
    """All pairs of 3 inputs and 4 deltas, weights and c in product form as well: the mean of products is their product."""
    rng = np.random.default_rng(seed)
    k, m = 3, 4
    layers = []
    for inputs, outputs in ((3, 2), (2, 2)):
        entering, leaving = rng.standard_normal((2, k, inputs)), rng.standard_normal((2, m, outputs))
        layers.append((np.repeat(entering, m, axis=1), np.tile(leaving, (1, k, 1))))
    of_inputs, of_deltas, c = rng.uniform(0.2, 2.0, k), rng.uniform(0.2, 2.0, m), rng.uniform(0.2, 2.0, (2, m))
    at = made_up(rng, n=k * m, layers=layers, weights=np.repeat(of_inputs, m) * np.tile(of_deltas, k))
    at = dataclasses.replace(at, fit=dataclasses.replace(at.fit, curvatures=np.tile(c, (1, k))))
    pairs = zip(blocks(at, curvature_matrix(at, kind)), blocks(at, curvature_matrix(at, "gauss_newton")), strict=True)
    for found, expected in pairs:
        assert_close(found, expected, rtol=1e-12, call="block")
    other = dataclasses.replace(at, fit=dataclasses.replace(at.fit, weights=rng.permutation(at.fit.weights)))
    gaps = distance(blocks(other, curvature_matrix(other, kind)), blocks(other, curvature_matrix(other, "gauss_newton")))
    assert gaps > 1e-4  # dependent through the weights


@pytest.mark.parametrize("kind", ["kfac", "ekfac"])
def test_kfac_and_ekfac_of_a_logistic_layer_or_a_network_are_not_gauss_newton(kind):
    for learner in (network("logistic", hidden=(), steps=200), network("squared")):
        at = learner.linearize(np.ones(6), [0])
        exact = blocks(at, without_penalty(at, "gauss_newton"))
        gap = distance(blocks(at, without_penalty(at, kind)), exact) / distance(exact, [0.0 * block for block in exact])
        assert 0.005 < gap < 1.0


@given(SHAPES, st.integers(2, 6), strategies.SEEDS)
def test_ekfac_is_never_further_from_gauss_newton_than_kfac(shapes, n, seed):
    """In the Frobenius norm of every layer's block: its diagonal is the best one in K-FAC's basis (George et al. 2018)."""
    at = made_up(np.random.default_rng(seed), shapes, n)
    exact = blocks(at, curvature_matrix(at, "gauss_newton"))
    kfac, ekfac = (blocks(at, curvature_matrix(at, kind)) for kind in ("kfac", "ekfac"))
    for layer, of_layer in enumerate(exact):
        error, bound = distance([ekfac[layer]], [of_layer]), distance([kfac[layer]], [of_layer])
        assert error <= bound + 1e-12 * np.abs(of_layer).max(), f"layer {layer}: {error} > {bound}"


@given(SHAPES, st.integers(1, 6), strategies.SEEDS)
def test_ekfac_has_the_diagonal_of_gauss_newton_in_the_basis_of_kfac_and_nothing_else(shapes, n, seed):
    """And so its trace, which K-FAC gets wrong. The basis is one of eigenvectors of K-FAC's block, by numpy here."""
    at = made_up(np.random.default_rng(seed), shapes, n)
    kinds = ("ekfac", "gauss_newton", "kfac")
    ekfac, exact, kfac = (blocks(at, without_penalty(at, kind)) for kind in kinds)
    for layer, block, expected, product in zip(at.fit.layers, ekfac, exact, kfac, strict=True):
        assert_close(np.trace(block, axis1=1, axis2=2), np.trace(expected, axis1=1, axis2=2), rtol=1e-12, call="trace")
        commutator = block @ product - product @ block
        assert_close(commutator, np.zeros_like(block), atol=1e-11 * np.abs(block).max() * np.abs(product).max(), call="basis")
        for r in range(2):
            values, basis = np.linalg.eigh(product[r])
            gaps = np.diff(values)
            if layer.inputs.shape[1] == 1 or (gaps.size and gaps.min() < 1e-6 * values[-1]):
                continue  # the basis is not unique
            rotated = basis.T @ block[r] @ basis
            wanted = np.diag(np.diag(basis.T @ expected[r] @ basis))
            assert_close(rotated, wanted, atol=1e-8 * np.abs(wanted).max(), call="diagonal")


def test_kfac_gets_the_trace_wrong_where_ekfac_does_not():
    at = made_up(np.random.default_rng(0))
    ekfac, exact, kfac = (np.trace(without_penalty(at, kind)[0]) for kind in ("ekfac", "gauss_newton", "kfac"))
    assert ekfac == pytest.approx(exact, rel=1e-12)
    assert abs(kfac / exact - 1.0) > 0.05


# --- what all curvatures of the fit share ------------------------------------------------------------------------------------


@every_curvature_of_the_fit
def test_a_point_of_weight_zero_does_not_matter(kind):
    rng = np.random.default_rng(3)
    weights = np.array([1.3, 0.0, 0.4, 1.0, 2.0])
    at = made_up(rng, weights=weights)
    other = made_up(np.random.default_rng(4), weights=weights)

    def spliced(a, b, axis=1):
        return np.where(np.expand_dims(weights == 0.0, tuple(k for k in range(a.ndim) if k != axis)), b, a)

    layers = tuple(
        Layer(spliced(one.inputs, two.inputs), spliced(one.deltas, two.deltas))
        for one, two in zip(at.fit.layers, other.fit.layers, strict=True)
    )
    names = ("gradients", "slopes", "curvatures", "fisher")
    fit = dataclasses.replace(
        at.fit, layers=layers, **{name: spliced(getattr(at.fit, name), getattr(other.fit, name)) for name in names}
    )
    points = spliced(at.point_gradients, other.point_gradients)
    changed = dataclasses.replace(at, fit=fit, point_gradients=points)
    assert_close(curvature_matrix(changed, kind), curvature_matrix(at, kind), rtol=1e-13, call=kind)
    awake = dataclasses.replace(changed, fit=dataclasses.replace(fit, weights=weights + 0.5))
    asleep = dataclasses.replace(at, fit=dataclasses.replace(at.fit, weights=weights + 0.5))
    assert np.abs(curvature_matrix(awake, kind) - curvature_matrix(asleep, kind)).max() > 1e-3  # with weight it does


def taken(at, points):
    """The linearization with these points only, in this order, at weight 1 each."""
    fit = at.fit
    layers = tuple(Layer(layer.inputs[:, points], layer.deltas[:, points]) for layer in fit.layers)
    some = {name: getattr(fit, name)[:, points] for name in ("gradients", "slopes", "curvatures", "fisher")}
    fit = dataclasses.replace(fit, layers=layers, weights=np.ones(len(points)), **some)
    return dataclasses.replace(at, fit=fit, point_gradients=at.point_gradients[:, points])


@every_curvature_of_the_fit
def test_weights_are_multiplicities_with_the_fixed_n(kind):
    """Weights (2, 0, 3, 1, 1) on N = 5 are the points 0, 0, 2, 2, 2, 3, 4: the sum over 7 points, divided by 5."""
    at = made_up(np.random.default_rng(5), weights=np.array([2.0, 0.0, 3.0, 1.0, 1.0]))
    repeated = taken(at, [0, 0, 2, 2, 2, 3, 4])
    assert_close(without_penalty(at, kind), 7 / 5 * without_penalty(repeated, kind), rtol=1e-13, call=kind)


@every_curvature_of_the_fit
def test_the_data_part_is_proportional_to_the_weights_and_the_penalty_stands_once_beside_it(kind):
    at = made_up(np.random.default_rng(6), penalty=0.0)
    size = at.params.shape[1]

    def of(weights, penalty):
        return curvature_matrix(dataclasses.replace(at, fit=dataclasses.replace(at.fit, weights=weights, penalty=penalty)), kind)

    assert_close(of(3.0 * at.fit.weights, 0.0), 3.0 * of(at.fit.weights, 0.0), rtol=1e-13, call="data")
    assert_close(
        of(at.fit.weights, 0.7) - of(at.fit.weights, 0.0), np.stack([0.7 * np.eye(size)] * 2), atol=1e-14, call="penalty"
    )
    assert_identical(of(0.0 * at.fit.weights, 0.7), np.stack([0.7 * np.eye(size)] * 2), call="nobody")


@every_curvature_of_the_fit
def test_curvatures_of_the_fit_do_not_look_at_the_hessian_and_have_no_negative_eigenvalue(kind):
    at = made_up(np.random.default_rng(7), penalty=0.0)
    assert_identical(curvature_matrix(dataclasses.replace(at, hessian=np.nan * at.hessian), kind), curvature_matrix(at, kind))
    for matrix in curvature_matrix(at, kind):
        assert np.linalg.eigvalsh(matrix)[0] >= -1e-13 * np.abs(matrix).max()


@every_curvature_of_the_fit
def test_a_missing_fit_is_refused_and_says_what_to_do(kind):
    at = dataclasses.replace(made_up(np.random.default_rng(8)), fit=None)
    with pytest.raises(ValueError, match=r"needs the model at its training points.*fit = None: use a learner whose linearize"):
        curvature_matrix(at, kind)


# --- of the Hessian ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 7), strategies.SEEDS)
def test_absolute_is_the_positive_root_of_the_square_of_the_hessian(size, seed):
    """|H| = (H H)^(1/2), by Schur's method; condition 4 of H is 16 of H H."""
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.standard_normal((2, size, size)))[0]
    spectrum = rng.uniform(0.5, 2.0, (2, size)) * rng.choice([-1.0, 1.0], (2, size))
    hessian = (vectors * spectrum[:, None]) @ vectors.swapaxes(1, 2)
    at = dataclasses.replace(made_up(rng, ((size, 1),)), hessian=hessian)
    expected = np.stack([linalg.sqrtm(h @ h).real for h in hessian])
    assert_close(curvature_matrix(at, "absolute"), expected, rtol=1e-12, call="absolute")
    positive = dataclasses.replace(at, hessian=expected)
    assert_close(curvature_matrix(positive, "absolute"), expected, rtol=1e-13, call="of a positive definite Hessian")


def test_absolute_of_a_saddle_by_hand():
    """[[0, 2], [2, 0]] has the eigenvalues 2 and -2: |H| = 2 I."""
    at = dataclasses.replace(made_up(np.random.default_rng(0), ((2, 1),), seeds=1), hessian=np.array([[[0.0, 2.0], [2.0, 0.0]]]))
    assert_close(curvature_matrix(at, "absolute"), [[[2.0, 0.0], [0.0, 2.0]]], rtol=1e-15)


def test_the_diagonal_keeps_the_diagonal_of_the_hessian_and_its_signs():
    at = made_up(np.random.default_rng(9))
    assert_identical(curvature_matrix(at, "diagonal"), np.stack([np.diag(np.diag(h)) for h in at.hessian]))
    assert np.diag(at.hessian[0]).min() < 0.0
    assert_identical(curvature_matrix(at), at.hessian, call="the default is the Hessian")


# --- the table of curvatures -------------------------------------------------------------------------------------------------


def test_every_curvature_is_tested_as_one_of_the_fit_or_of_the_hessian():
    assert set(OF_THE_FIT) | set(OF_THE_HESSIAN) == set(CURVATURES)


def test_an_unknown_curvature_is_refused_with_the_list_of_known_ones():
    at = made_up(np.random.default_rng(0))
    for kind in ("laplace", ""):
        with pytest.raises(ValueError, match=rf"curvature '{kind}' is unknown, expected one of {', '.join(CURVATURES)}"):
            curvature_matrix(at, kind)


@every_curvature
def test_seeds_together_are_the_seeds_alone(kind):
    learner, weights = network("logistic", hidden=(3,)), some_weights(6)
    together = curvature_matrix(learner.linearize(weights, (0, 4, 2)), kind)
    parts = [learner.linearize(weights, (seed,)) for seed in (0, 4, 2)]
    assert_close(together, np.concatenate([curvature_matrix(part, kind) for part in parts]), rtol=1e-11, call=kind)
    assert_close(together, curvature_matrix(stacked(parts), kind), rtol=1e-11, call=f"{kind}, stacked")
    assert np.abs(together[0] - together[1]).max() > 1e-3


@every_curvature
def test_curvatures_are_symmetric_and_do_not_write_into_the_linearization(kind):
    at = made_up(np.random.default_rng(10))
    for array in arrays_of(at).values():
        array.flags.writeable = False
    matrices = curvature_matrix(at, kind)
    assert matrices.shape == (2, 8, 8)
    assert_close(matrices, matrices.swapaxes(1, 2), rtol=1e-15, call=kind)
