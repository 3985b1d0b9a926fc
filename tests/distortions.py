"""What can go wrong with scores, made from a truth by numpy alone, and the causes that the judge should name."""

import numpy as np


def inverse_products(truth, matrices, points=None):
    """-(1/N) grad f^T A^-1 grad l_i of every seed, written out; mean over seeds."""
    model = truth.model
    points = model.point_gradients if points is None else points
    found = [
        -p @ np.linalg.inv(a) @ q.T / truth.n_points for a, p, q in zip(matrices, points, model.output_gradients, strict=True)
    ]
    return np.mean(found, axis=0)


def distortions(truth, rng):
    """Yield a name, scores, and the causes that must be named (a set; of alternatives, a frozenset of which one must be)."""
    D, N, M, model = truth.D1, truth.n_points, truth.n_queries, truth.model
    unit = np.eye(model.hessian.shape[1])
    l2 = truth.l2

    def batches(size):
        parts = [model.point_hessians[:, k : k + size].mean(axis=1) + l2 * unit for k in range(0, N, size)]
        return sum(inverse_products(truth, part) for part in parts)

    order, points = np.roll(np.arange(M), 1), np.roll(np.arange(N), 3)
    hole, zeros = D.copy(), D.copy()
    hole[2], zeros[:, M // 2 :] = np.nan, 0.0
    yield "undistorted", D, set()
    yield "transposed", D.T, set()
    yield "sign", -D, {"sign"}
    yield "times N", N * D, {"times N"}
    yield "minus N", -N * D, {"sign", "times N"}
    yield "minus N, transposed", -N * D.T, {"sign", "times N"}
    yield "divided by N", D / N, {"divided by N"}
    yield "the size of a batch", 3.0 * D, {"times a count"}
    yield "a mean over batches", D / 3.0, {"divided by a count"}
    yield "another factor", 0.377 * D, {"scale"}
    yield "queries in another order", D[:, order], {"order of queries"}
    yield "points in another order", D[points], {"order of points"}
    yield "leave-one-out for D(1)", truth.loo, set()
    yield "the change on removal", -truth.loo, {"sign"}
    yield "beta", truth.beta, set()
    yield "Shapley", truth.shapley, set()
    yield "the loss", truth.D1_loss, {"other target"}
    yield "the loss times -N", -N * truth.D1_loss, {"other target", "sign", "times N"}
    yield "batches of 3", batches(3), {"batches"}
    yield "batches of 1, times -1", -batches(1), {"batches", "sign"}
    yield "damping 0.03", inverse_products(truth, model.hessian + 0.03 * unit), {"damping"}
    yield "damping 0.03, -N", -N * inverse_products(truth, model.hessian + 0.03 * unit), {"damping", "sign", "times N"}
    if np.linalg.cond(model.hessian - l2 * unit).max() < 1e8:  # else an inverse is rounding
        yield "no penalty", inverse_products(truth, model.hessian - l2 * unit), {"no_penalty"}
    yield "the penalty twice", inverse_products(truth, model.hessian + l2 * unit), {"double_penalty"}
    pushed = model.point_gradients + l2 * model.params[:, None]
    yield "the penalty in the loss of a point", inverse_products(truth, model.hessian, pushed), {"penalty_in_loss"}
    yield "empirical Fisher", inverse_products(truth, model.curvatures["empirical_fisher"]), {"empirical_fisher"}
    yield "K-FAC", inverse_products(truth, model.curvatures["kfac"]), {"kfac"}
    yield "products of gradients", inverse_products(truth, np.repeat(unit[None], len(model.params), axis=0)), {"gradients"}
    yield "a factor per query", D * rng.uniform(0.5, 2.0, M), {"factor per query"}
    yield "a factor per point", D * rng.uniform(0.5, 2.0, (N, 1)), {"factor per point"}
    yield "noise of 1%", D + 0.01 * np.std(D) * rng.standard_normal(D.shape), {"approximation"}
    yield "noise of 25%", D + 0.25 * np.std(D) * rng.standard_normal(D.shape), {"rough"}
    yield "only ranks", np.sign(D) * np.abs(D / D.std()) ** 1.6, {"only ranks"}
    yield "not right at all", rng.standard_normal(D.shape), {"not right"}
    yield "single precision", D.astype(np.float32), set()
    yield "single precision, -N", (-N * D).astype(np.float32), {"sign", "times N"}
    yield "a row of NaN", hole, {"not finite"}
    yield "queries left at zero", zeros, {"zeros"}
    yield "constant", np.full(D.shape, 0.3), {"constant"}
    yield "nothing", np.zeros(D.shape), {"constant"}
