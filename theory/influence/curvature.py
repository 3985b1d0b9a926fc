"""Compute the Hessian of L at a trained model or an approximation of it: symmetric (P, P) per seed, penalty included.

With J_i = grad f_i, c_i = d^2l/df^2, g_i = grad l_i, all at the trained parameters and weights w,

    Hessian           (1/N) sum_i w_i Hess l_i + penalty I
    Gauss-Newton      (1/N) sum_i w_i c_i J_i J_i^T + penalty I              leaves out Hess f; Schraudolph 2002
    Fisher            with E (dl/df)^2 over targets drawn from the model for c_i (equal for both losses here)
    empirical Fisher  (1/N) sum_i w_i g_i g_i^T + penalty I                  of the given targets; Kunstner et al. 2019
    K-FAC             per layer A (x) G + penalty I, A the mean of inputs inputs^T, G = (1/N) sum_i w_i c_i deltas deltas^T
    E-K-FAC           K-FAC's eigenvectors, Gauss-Newton's diagonal in that basis; George et al. 2018, Grosse et al. 2023
    diagonal          the Hessian's diagonal
    absolute          the Hessian with the absolute values of its eigenvalues (saddle-free); Dauphin et al. 2014

With C classes the sums over i are over i and classes c, with p_c for c_i and grad log p_c for J_i (Gauss-Newton, Fisher, K-FAC).
K-FAC is by Martens & Grosse 2015, who sample targets where the mean over targets is exact here.
"""

from collections.abc import Callable

import numpy as np
import scipy

from theory.response import Array, Fit, Linearization

__all__ = ["CURVATURES", "curvature_matrix", "required_fit"]


def curvature_matrix(linearization: Linearization, kind: str = "hessian") -> Array:
    """Compute one of `CURVATURES` for every seed: (R, P, P)."""
    if kind not in CURVATURES:
        raise ValueError(f"curvature {kind!r} is unknown, expected one of {', '.join(CURVATURES)}")
    return CURVATURES[kind](linearization)


def required_fit(linearization: Linearization, what: str) -> Fit:
    """Return the linearization's `fit`; ValueError if it has none."""
    if linearization.fit is None:
        raise ValueError(
            f"{what} needs the model at its training points, and this linearization has fit = None: "
            "use a learner whose linearize provides fit, or a method that needs only the Hessian"
        )
    return linearization.fit


def _hessian(at: Linearization) -> Array:
    return at.hessian


def _diagonal(at: Linearization) -> Array:
    return at.hessian * np.eye(at.hessian.shape[-1])


def _absolute(at: Linearization) -> Array:
    values, vectors = np.linalg.eigh(at.hessian)
    return (vectors * np.abs(values)[:, None]) @ vectors.swapaxes(1, 2)


def _gauss_newton(at: Linearization) -> Array:
    fit = required_fit(at, "Gauss-Newton")
    vectors, coefficients = fit.curvature_rows()
    return _gram(vectors, fit.weights[:, None] * coefficients, fit.penalty)


def _fisher(at: Linearization) -> Array:
    fit = required_fit(at, "Fisher")
    if fit.classes is not None:
        return _gauss_newton(at)
    return _gram(fit.gradients[:, :, None], (fit.weights * fit.fisher)[:, :, None], fit.penalty)


def _empirical_fisher(at: Linearization) -> Array:
    fit = required_fit(at, "empirical Fisher")
    return _gram(at.point_gradients[:, :, None], (fit.weights * np.ones_like(fit.slopes))[:, :, None], fit.penalty)


def _gram(vectors: Array, coefficients: Array, penalty: float) -> Array:
    """Return (1/N) sum_ik coefficients_ik v_ik v_ik^T + penalty I, for vectors (R, N, K, P) and coefficients (R, N, K)."""
    n_seeds, n, per_point, size = vectors.shape
    rows, shares = vectors.reshape(n_seeds, n * per_point, size), coefficients.reshape(n_seeds, n * per_point, 1)
    return (rows * shares).swapaxes(1, 2) @ rows / n + penalty * np.eye(size)


def _kfac(at: Linearization) -> Array:
    return _by_layer(required_fit(at, "K-FAC"), _kronecker)


def _ekfac(at: Linearization) -> Array:
    return _by_layer(required_fit(at, "E-K-FAC"), _corrected)


def _by_layer(fit: Fit, block: Callable[[Fit, Array, Array, int], Array]) -> Array:
    """Build block-diagonal matrices from block(fit, inputs, deltas (N, K, out), seed number) of every layer, plus the penalty."""
    layers = fit.layers if fit.classes is None else fit.classes.layers
    matrices = [
        scipy.linalg.block_diag(
            *(block(fit, at.inputs[r], at.deltas[r].reshape(len(at.inputs[r]), -1, at.deltas.shape[-1]), r) for at in layers)
        )
        for r in range(len(fit.slopes))
    ]
    return np.asarray(matrices, dtype=np.float64) + fit.penalty * np.eye(len(matrices[0]))


def _shares(fit: Fit, r: int) -> Array:
    """Return w_i c_ik / N, (N, K)."""
    return fit.weights[:, None] * fit.curvature_rows()[1][r] / len(fit.weights)


def _factors(fit: Fit, inputs: Array, deltas: Array, r: int) -> tuple[Array, Array]:
    """Return A, the mean of inputs inputs^T weighted by w, and G = (1/N) sum_ik w_i c_ik deltas deltas^T."""
    of_points = fit.weights / (fit.weights.sum() or 1.0)
    pushes = deltas.reshape(-1, deltas.shape[-1])
    return (inputs.T * of_points) @ inputs, (pushes.T * _shares(fit, r).ravel()) @ pushes


def _kronecker(fit: Fit, inputs: Array, deltas: Array, r: int) -> Array:
    return np.asarray(np.kron(*_factors(fit, inputs, deltas, r)), dtype=np.float64)


def _corrected(fit: Fit, inputs: Array, deltas: Array, r: int) -> Array:
    """Return U diag(s) U^T, U the eigenvectors of A (x) G and s the diagonal of U^T (Gauss-Newton block) U."""
    of_inputs, of_deltas = (np.linalg.eigh(factor)[1] for factor in _factors(fit, inputs, deltas, r))
    pushes = (_shares(fit, r)[:, :, None] * (deltas @ of_deltas) ** 2).sum(axis=1)
    scale = np.einsum("ni,no->io", (inputs @ of_inputs) ** 2, pushes)
    vectors = np.kron(of_inputs, of_deltas)
    return (vectors * scale.ravel()) @ vectors.T


CURVATURES: dict[str, Callable[[Linearization], Array]] = {
    "hessian": _hessian,
    "gauss_newton": _gauss_newton,
    "fisher": _fisher,
    "empirical_fisher": _empirical_fisher,
    "kfac": _kfac,
    "ekfac": _ekfac,
    "diagonal": _diagonal,
    "absolute": _absolute,
}
"""Each name has a function of a linearization that returns the matrices (R, P, P)."""
