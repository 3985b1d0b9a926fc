"""Compute attributions from checkpoints of training (TracIn, SOURCE) and from projected gradients (TRAK).

Every score estimates D_i(1) = dF/dw_i at w = 1 for each seed, with its sign and factor 1/N: shape (R, N, M). With
full batches and the step theta_{t+1} = theta_t - eta_t grad L(theta_t; w) the exact derivative is

    D_i = -(1/N) grad f(theta_T)^T sum_t [prod_{s>t} (I - eta_s H_s)] eta_t grad l_i(theta_t).

TracIn leaves out the product and takes grad f at theta_t too; SOURCE keeps the product, with H and grad l_i constant on
segments. All of them replace minibatches by their mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from theory.influence.attribution import Attribution
from theory.response import Array, Fit, Linearization
from theory.streams import stream

__all__ = ["Checkpoint", "gradient_dot", "source", "tracin", "trak"]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint is the model after `steps` steps since the previous checkpoint or the start, and their mean learning rate.

    learning_rate is the effective one, rate / (1 - momentum): the factor by which a gradient moves the parameters in the end.
    """

    linearization: Linearization
    steps: int
    learning_rate: float

    def __post_init__(self) -> None:
        if self.steps != int(self.steps) or self.steps < 1:
            raise ValueError(f"steps = {self.steps}, expected a whole number >= 1, the steps since the previous checkpoint")
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0.0):
            raise ValueError(f"learning_rate = {self.learning_rate}, expected a finite number > 0, the mean rate of these steps")


def tracin(checkpoints: Sequence[Checkpoint]) -> Attribution:
    """Compute -(1/N) sum_k steps_k rate_k grad f(theta_k) . grad l_i(theta_k): (R, N, M).

    It is D_i(1) to first order in the training time sum_k steps_k rate_k, for checkpoints so dense that gradients hardly change
    between them. Source: Pruthi et al. 2020, TracInCP; theirs is the reduction of the query's loss by steps on l_i without 1/N,
    ours the change of its output.

    >>> from sims.learners import MLP
    >>> from theory.metrics import relative_error
    >>> from theory.response import weight_derivative
    >>> X, y = np.array([[-1.0], [0.5], [1.0]]), np.array([0, 1, 1])
    >>> network = MLP(X, y, X[:1], hidden=(2,), steps=20, learning_rate=0.1, snapshots=tuple(range(2, 21, 2)))
    >>> D = weight_derivative(network, np.ones(3), [0])[:, -1:]
    >>> relative_error(tracin(network.checkpoints(np.ones(3), [0])).mean, D) < 0.5
    True
    """
    parts = [-c.steps * c.learning_rate * _gradient_products(c.linearization) for c in _checked(checkpoints)]
    return Attribution(np.sum(parts, axis=0), "tracin", _training_diagnostics(checkpoints))


def gradient_dot(checkpoints: Sequence[Checkpoint]) -> Attribution:
    """Compute TracIn with all gradients at the last checkpoint: -(1/N) (sum_k steps_k rate_k) grad f . grad l_i, (R, N, M).

    Source: Charpiat et al. 2019 (grad-dot), without a rate; the training time gives ours the units of D_i(1).
    """
    scores = -_training_time(_checked(checkpoints)) * _gradient_products(checkpoints[-1].linearization)
    return Attribution(scores, "gradient_dot", _training_diagnostics(checkpoints))


def source(checkpoints: Sequence[Checkpoint]) -> Attribution:
    """Compute SOURCE, segmented unrolled differentiation: -grad f(theta_T)^T sum_k [prod_{l>k} S_l] r_{k,i}, (R, N, M).

        S_k = (I - eta_k H_k)^{K_k},        r_{k,i} = (1/N) [sum_{j < K_k} (I - eta_k H_k)^j] eta_k g_{k,i}.

    Segment k has K_k steps of rate eta_k; its Hessian H_k and point gradients g_{k,i} are means over the checkpoints at its two
    ends (for the first segment: those at its end). With checkpoints every h steps the error is O((h eta)^2) + O(eta) at fixed
    training time: a trapezoidal rule, where training uses the left end of each step. A segment of K steps between converged
    models gives the exact Hessian influence with each 1/lambda times 1 - (1 - eta lambda)^K, much as damping 1/(K eta) would.

    Source: Bae et al. 2024. Theirs has S = exp(-eta K H) in place of our power (the same to O(eta)), an EK-FAC Gauss-Newton
    matrix in place of our exact Hessian, and a few long segments with means over several checkpoints.

    >>> from sims.learners import MLP
    >>> from theory.metrics import relative_error
    >>> from theory.response import weight_derivative
    >>> X, y = np.array([[-1.0], [0.5], [1.0]]), np.array([0, 1, 1])
    >>> network = MLP(X, y, X[:1], hidden=(2,), steps=20, learning_rate=0.1, snapshots=tuple(range(2, 21, 2)))
    >>> D = weight_derivative(network, np.ones(3), [0])[:, -1:]
    >>> scores = source(network.checkpoints(np.ones(3), [0])).mean
    >>> relative_error(scores, D) < 0.05
    True
    """
    last = _checked(checkpoints)[-1].linearization
    n_seeds, n_points, _ = last.point_gradients.shape
    scores, adjoint = np.zeros((n_seeds, n_points, last.output_gradients.shape[1])), last.output_gradients
    extremes = list[Array]()
    for k in reversed(range(len(checkpoints))):
        ends = [c.linearization for c in checkpoints[max(k - 1, 0) : k + 1]]
        values, vectors = np.linalg.eigh(_mean([end.hessian for end in ends]))
        extremes.append(values[:, [0, -1]])
        steps, rate = checkpoints[k].steps, checkpoints[k].learning_rate
        with np.errstate(over="ignore", invalid="ignore"):  # overflow raises the error below
            power, total = _powers(rate * values, steps)
            modes = adjoint @ vectors  # (R, M, P)
            gradients = _mean([end.point_gradients for end in ends]) @ vectors  # (R, N, P)
            scores -= rate / n_points * gradients @ (modes * total[:, None]).swapaxes(1, 2)
            adjoint = modes * power[:, None] @ vectors.swapaxes(1, 2)
        bad = ~(np.isfinite(scores).all(axis=(1, 2)) & (np.isfinite(adjoint).all(axis=(1, 2)) | (k == 0)))
        if bad.any():
            seed = int(np.argmax(bad))
            least, largest = values[seed, 0], values[seed, -1]
            raise ArithmeticError(
                f"source overflows in segment {k}, seed number {seed}: {steps} steps of rate {rate:g} with a Hessian whose "
                f"eigenvalues go from {least:.3g} to {largest:.3g}; take checkpoints closer together, or fewer steps"
            )
    eigenvalues = {"least_eigenvalue": np.min(extremes, axis=(0, 2)), "largest_eigenvalue": np.max(extremes, axis=(0, 2))}
    return Attribution(scores, "source", _training_diagnostics(checkpoints) | eigenvalues)


def trak(linearization: Linearization, *, dimension: int, seed: int, reweight: bool = True) -> Attribution:
    """Compute TRAK, -(1/N) phi_q^T K^-1 phi_i dl_i/df with phi = Q^T grad f, Q (P, dimension) orthonormal: (R, N, M).

        K = (1/N) sum_i w_i c_i phi_i phi_i^T + penalty I,        c_i = d^2 l_i/df^2, or 1 for `reweight=False`.

    The columns of Q span Gaussian vectors drawn from `seed`, the same for every model; a smaller dimension has the first columns
    of a larger one. With all P dimensions and `reweight` this is the Gauss-Newton influence, which is D_i(1) if f is linear in
    theta and training converged. Source: Park et al. 2023. Theirs has c_i = 1 (`reweight=False`), which gives up the units of
    D_i(1) unless the loss is squared; no penalty; a Gaussian matrix, which without a penalty has the same scores as its
    orthonormal basis; separate means over models of the slopes and of the other factors, where ours are means of scores; and a
    soft threshold, which ours leaves out.
    """
    fit = linearization.fit
    if fit is None:
        raise ValueError("trak needs the model at its training points: the learner's linearize does not provide it (fit is None)")
    basis = _orthonormal(fit.gradients.shape[2], dimension, seed)
    points, queries = fit.gradients @ basis, linearization.output_gradients @ basis
    strength = fit.weights * (fit.curvatures if reweight else np.ones_like(fit.curvatures))
    kernels = np.einsum("rn,rni,rnj->rij", strength, points, points) / points.shape[1] + fit.penalty * np.eye(dimension)
    least = _least_eigenvalues(kernels, fit)
    solved = np.asarray(np.linalg.solve(kernels, queries.swapaxes(1, 2)), dtype=np.float64)
    scores = -(1.0 / points.shape[1]) * fit.slopes[:, :, None] * (points @ solved)
    return Attribution(scores, "trak", {"least_eigenvalue": least, "gradient_norm": linearization.gradient_norm})


def _powers(x: Array, steps: int) -> tuple[Array, Array]:
    """Return (1 - x)^K and sum_{j<K} (1 - x)^j = (1 - (1 - x)^K) / x (K at x = 0), without cancellation for small x."""
    slow = x < 0.5
    exponent = steps * np.log1p(-np.where(slow, x, 0.0))
    power = np.where(slow, np.exp(exponent), (1.0 - x) ** steps)
    moved = np.where(slow, -np.expm1(exponent), 1.0 - power)
    return power, np.where(x == 0.0, float(steps), moved / np.where(x == 0.0, 1.0, x))


def _training_time(checkpoints: Sequence[Checkpoint]) -> float:
    return sum(c.steps * c.learning_rate for c in checkpoints)


def _training_diagnostics(checkpoints: Sequence[Checkpoint]) -> dict[str, Array]:
    """Return diagnostics per seed: the training time, steps times rate, and ||grad L|| at its end."""
    norms = checkpoints[-1].linearization.gradient_norm
    return {"training_time": np.full(len(norms), _training_time(checkpoints)), "gradient_norm": norms}


def _gradient_products(at: Linearization) -> Array:
    """Return (1/N) grad f . grad l_i: (R, N, M)."""
    return at.point_gradients @ at.output_gradients.swapaxes(1, 2) / at.point_gradients.shape[1]


def _orthonormal(size: int, dimension: int, seed: int) -> Array:
    """Return an orthonormal basis (size, dimension) of the span of Gaussian vectors; a smaller one is its first columns."""
    if dimension != int(dimension) or not 1 <= dimension <= size:
        raise ValueError(f"dimension = {dimension}, expected 1 to the {size} parameters: a projection cannot add dimensions")
    return np.linalg.qr(stream("TRAK projection", seed).standard_normal((dimension, size)).T)[0]


def _least_eigenvalues(kernels: Array, fit: Fit) -> Array:
    """Return the least eigenvalue of every seed's kernel (R,); LinAlgError if one is singular to working precision."""
    values = np.abs(np.linalg.eigvalsh(kernels))
    rank = (values > values.shape[1] * np.finfo(np.float64).eps * values.max(axis=1, keepdims=True)).sum(axis=1)
    if rank.min() < values.shape[1]:
        raise np.linalg.LinAlgError(
            f"the kernel of seed number {np.argmin(rank)} is singular: rank {rank.min()} in dimension {values.shape[1]}, from "
            f"{fit.gradients.shape[1]} points and penalty {fit.penalty:g}; take dimension <= {rank.min()} or an l2 penalty"
        )
    return values.min(axis=1)


def _checked(checkpoints: Sequence[Checkpoint]) -> Sequence[Checkpoint]:
    """Return the checkpoints; ValueError unless there is one or more, all with the same seeds, points, outputs and parameters."""
    if not checkpoints:
        raise ValueError("checkpoints is empty, expected at least one: the trained model")
    shapes = [(c.linearization.point_gradients.shape, c.linearization.output_gradients.shape) for c in checkpoints]
    for k, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"checkpoint {k} has point and output gradients of shapes {shape}, checkpoint 0 {shapes[0]}: expected (R, N, P) "
                "and (R, M, P) of one learner and the same seeds"
            )
    return checkpoints


def _mean(arrays: Sequence[Array]) -> Array:
    return np.mean(np.stack(arrays), axis=0)
