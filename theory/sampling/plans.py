"""Plan retrainings for a quantity: D(1), leave-one-out or Shapley values, of learners that need no derivative.

A plan says with which weights to retrain, and makes an estimate with standard errors from the responses. It consists of
independent groups of rows. Each group gives an estimate of its own, sum_r c_r F(w_r) with the plan's contrasts c, and the
spread between groups gives the standard error. So the groups may have the same seeds, and F is that of these seeds; or every
group its own, and then F is the mean over all seeds, and the standard error includes theirs. All rows of one group need the
same seeds.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from theory.display import Displayed, span
from theory.inputs import as_count, as_number, as_numbers, as_seed
from theory.memory import require_memory
from theory.response import Array
from theory.sampling.hadamard import hadamard, hadamard_orders
from theory.streams import stream

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Estimate", "Plan", "for_influence", "for_leave_one_out", "for_shapley"]


@dataclass(frozen=True, repr=False)
class Estimate(Displayed):
    """An estimate has values, their standard errors, and words on the bias that the standard errors leave out."""

    quantity: str
    values: Array  # (N, M)
    standard_errors: Array  # (N, M), from the spread between groups; 0 where one group gives F's own value
    degrees_of_freedom: Array  # (N, M) of Student's t for intervals
    bias: str

    def confidence_interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Return pointwise Student t intervals at the given level: lower and upper ends (N, M)."""
        level = as_number("level", level, "0 < level < 1", above=0.0, below=1.0)
        quantile = np.asarray(scipy.special.stdtrit(self.degrees_of_freedom, 0.5 + 0.5 * level))
        half = quantile * self.standard_errors
        return self.values - half, self.values + half

    def facts(self) -> dict[str, object]:
        """Return the quantity, the shape, the range of standard errors and what is known of the bias."""
        n_points, n_outputs = self.values.shape
        shape = {"n_points": n_points, "n_outputs": n_outputs}
        return {"quantity": self.quantity, **shape, "standard_errors": span(self.standard_errors), "bias": self.bias}

    def to_xarray(self) -> "xr.Dataset":
        """Return values, standard errors and degrees of freedom, with the dimensions point and output."""
        import xarray as xr

        names = ("values", "standard_errors", "degrees_of_freedom")
        n_points, n_outputs = self.values.shape
        return xr.Dataset(
            {("value" if name == "values" else name): (("point", "output"), getattr(self, name)) for name in names},
            coords={"point": range(n_points), "output": range(n_outputs)},
            attrs={"quantity": self.quantity, "bias": self.bias},
        )


@dataclass(frozen=True, repr=False)
class Plan(Displayed):
    """A plan has the weights (m, N) to retrain with, and `estimate`, which turns the responses into the quantity.

    The quantity is a sum of terms; each group of rows estimates one of them. With z_g = sum_{rows r of g} c_r F(w_r),

        value = sum_terms mean_g z_g,    error^2 = sum_terms (variance of z_g) / (number of groups),

    with the degrees of freedom of Welch 1947 and Satterthwaite 1946. A term of a single group is exact, and adds no error.
    """

    quantity: str
    weights: Array  # (m, N), what to retrain with
    contrasts: Array  # (m, N), c: column i estimates the value of point i
    groups: NDArray[np.intp]  # (m,), 0, 1, .., G - 1: which rows were drawn together, and need the same seeds
    terms: NDArray[np.intp]  # (G,), 0, 1, ..: which term of the quantity a group estimates
    bias: str

    def estimate(self, responses: ArrayLike) -> Estimate:
        """Estimate the quantity from responses (m, M): row r is F at `weights[r]`.

        >>> plan = for_leave_one_out(n_points=2, n_retrainings=3, seed=0)
        >>> plan.weights.tolist()
        [[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
        >>> plan.estimate([[6.0], [2.0], [5.0]]).values.tolist()
        [[4.0], [1.0]]
        """
        found = as_numbers("responses", responses, "(m, M), a row per row of plan.weights", finite=True)
        m = len(self.weights)
        if found.ndim != 2 or len(found) != m or not found.shape[1]:
            raise ValueError(f"responses has shape {found.shape}, expected ({m}, M): a row per row of plan.weights")
        n_groups, n_points = len(self.terms), self.weights.shape[1]
        found = found - found[0]  # the contrasts of a group sum to 0
        per_group = np.empty((n_groups, n_points, found.shape[1]))
        for group in range(n_groups):
            rows = self.groups == group
            per_group[group] = self.contrasts[rows].T @ found[rows]
        terms = [per_group[self.terms == term] for term in range(int(self.terms.max()) + 1)]
        values = np.sum([z.mean(axis=0) for z in terms], axis=0)
        variances = [z.var(axis=0, ddof=1) / len(z) for z in terms if len(z) > 1]
        if not variances:
            return Estimate(self.quantity, values, np.zeros_like(values), np.full_like(values, np.inf), self.bias)
        total = np.sum(variances, axis=0)
        degrees = np.array([len(z) - 1.0 for z in terms if len(z) > 1])
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.asarray(variances) / total
            freedom = 1.0 / np.tensordot(1.0 / degrees, shares**2, axes=(0, 0))
        return Estimate(self.quantity, values, np.sqrt(total), np.where(total > 0.0, freedom, degrees.sum()), self.bias)

    def facts(self) -> dict[str, object]:
        """Return the quantity, the numbers of retrainings, points and groups, and what is known of the bias."""
        m, n_points = self.weights.shape
        sizes = {"n_retrainings": m, "n_points": n_points, "n_groups": len(self.terms)}
        return {"quantity": self.quantity, **sizes, "bias": self.bias}

    def to_xarray(self) -> "xr.Dataset":
        """Return weights and contrasts with the dimensions row and point, and the group of every row."""
        import xarray as xr

        arrays = {"weights": (("row", "point"), self.weights), "contrasts": (("row", "point"), self.contrasts)}
        return xr.Dataset({**arrays, "group": ("row", self.groups)}, attrs={"quantity": self.quantity, "bias": self.bias})


def for_influence(*, n_points: int, n_retrainings: int, seed: int, scale: float = 0.25, order: Literal[2, 4] = 4) -> Plan:
    """Plan at most m retrainings that estimate D_i(1) = dF/dw_i at w = 1, with no derivative of the learner.

    Where F is smooth and the same seeds serve every retraining, `theory.derivatives.finite_difference` is nearer: its error is
    some 1e-10 after 11 N to 15 N retrainings. This plan is for noise in the retrainings, and its errors show the noise. Each
    group is a fold-over design: for the rows v of a Hadamard matrix of order n >= N, with random columns and signs, it retrains
    at 1 + s v and at 1 - s v, and estimates b_i(s) = mean_v v_i [F(1 + s v) - F(1 - s v)] / (2 s). Even degrees of F cancel,
    and first degrees do not mix. The expectation is beta of the law {1 - s, 1 + s} (T2):

        E b_i(s) = D_i(1) + s^2 [ d_i^3 F / 6 + sum_{j != i} d_i d_j^2 F / 2 ] + O(s^4).

    order=2 takes b(s) at the one scale s. order=4 takes (4 b(s/2) - b(s)) / 3, from a third of the groups at s and two thirds
    at s/2, and is unbiased up to O(s^4). Both scales have groups of their own, so that the interactions that random signs
    leave, of order s^2, show in the standard error, which then exceeds the bias where s is small: intervals of 95% covered D(1)
    in 92% to 98% at s = 1/4, in less where s is larger and no noise is added. The bias is not in the standard error. To see it,
    halve s. At order=2 it can be most of the error: on logistic regression without noise, N = 12, s = 1/4, intervals covered
    E b_i(s) in 94% to 95%, but D(1) in 16% to 48%. Take order=2 only where noise is larger than the bias.

    Cost: 2 n retrainings per group, four groups at least (two for order=2), n the least order >= N of `hadamard_orders`. Noise
    of variance v in every retraining becomes v / (s^2 m) at order=2, and 11 times that at order=4; one point at a time, it would
    be N times as much. So choose s larger, up to 1, where F jumps or every group has new seeds, and smaller where nothing is
    random. On a relu network with new seeds in every group, N = 12, s = 1/2, the relative error of 384 times 4 trainings was 0.13
    at either order; one point at a time 0.10 at order 2 and 0.17 at order 4; p beta^(p) of as many subsets 0.44.
    Sources: Plackett & Burman 1946; Box & Wilson 1951; Richardson 1911.

    >>> from sims.learners import LeastSquares
    >>> from sims.retrain import response_table
    >>> learner = LeastSquares([[1.0], [1.0]], [1.0, 1.0], [[1.0]], l2=1.0)  # F(w) = (w_0 + w_1) / (w_0 + w_1 + 2)
    >>> plan = for_influence(n_points=2, n_retrainings=16, seed=0)
    >>> F = response_table(learner, [0], weights=plan.weights).mean
    >>> plan.estimate(F).values.round(3).tolist()  # D(1) = 2 / 4^2
    [[0.125], [0.125]]
    """
    n, m = _sizes(n_points, n_retrainings)
    bounds = f"{_LEAST_SCALE:g} <= scale <= 1: no weight 1 - scale may be negative, nor differences be lost in rounding"
    scale = as_number("scale", scale, bounds, least=_LEAST_SCALE, most=1.0)
    power = as_number("order", order, "2 or 4: the bias falls as scale**order")
    if power not in (2, 4):
        raise ValueError(f"order = {order}, expected 2 or 4: the bias falls as scale**order")
    least = int(power)
    fewer = "; order=2 needs half as many" if order == 4 else ""
    way_out = f"{fewer}; where F is smooth, finite_difference is nearer, with some {12 * n}"
    _require_enough(m, least * 2 * n, way_out)
    columns = next(k for k in hadamard_orders(2 * max(n, 4)) if k >= n)
    _require_enough(m, least * 2 * columns, way_out)
    n_groups, rng = m // (2 * columns), stream("plan for influence", seed)
    coarse = n_groups if order == 2 else max(2, n_groups // 3)
    terms = (np.arange(n_groups) >= coarse).astype(np.intp)
    matrix, weights, contrasts = hadamard(columns), list[Array](), list[Array]()
    for term in terms:
        signs = matrix[:, rng.permutation(columns)[:n]] * (rng.integers(0, 2, n) * 2.0 - 1.0)
        step = scale if term == 0 else 0.5 * scale
        factor = 1.0 if order == 2 else (-1.0, 4.0)[term] / 3.0
        weights += [1.0 + step * signs, 1.0 - step * signs]
        contrasts += [factor / (2.0 * step * columns) * sign * signs for sign in (1.0, -1.0)]
    size = f"scale^{least}, scale = {scale:g}"
    return _plan("D(1)", weights, contrasts, 2 * columns, terms, f"of order {size}; it is not in the standard errors")


def for_leave_one_out(*, n_points: int, n_retrainings: int, seed: int) -> Plan:
    """Plan at most m retrainings that give LOO_i = F(1) - F(1 - e_i), from N + 1 of them exactly.

    Each group retrains on all points, and on all but one for every point. Nothing is drawn, so that `seed` changes nothing. More
    than one group is of use if groups have seeds of their own: they show the error of the seeds.

    Fewer than N + 1 are refused: m - 1 < N changes of F can't tell N effects apart. On N = 12 points and 8 retrainings, least
    squares on subsets at p = 0.9 had a relative error of 0.7 to 0.8, with or without pairs (T18).

    >>> plan = for_leave_one_out(n_points=3, n_retrainings=4, seed=0)
    >>> estimate = plan.estimate(plan.weights @ [[1.0], [2.0], [4.0]])
    >>> estimate.values.tolist(), estimate.standard_errors.tolist()
    ([[1.0], [2.0], [4.0]], [[0.0], [0.0], [0.0]])
    """
    n, m = _sizes(n_points, n_retrainings)
    as_seed(seed)
    _require_enough(m, n + 1, f": all points, and all but each of {n}; fewer can't tell {n} effects apart")
    n_groups = m // (n + 1)
    weights = np.concatenate([np.ones((1, n)), 1.0 - np.eye(n)])
    contrasts = np.concatenate([np.ones((1, n)), -np.eye(n)])
    bias = "none for the F that is retrained; the error of its seeds shows if groups have seeds of their own"
    return _plan("leave-one-out", [weights] * n_groups, [contrasts] * n_groups, n + 1, np.zeros(n_groups, dtype=np.intp), bias)


def for_shapley(*, n_points: int, n_retrainings: int, seed: int) -> Plan:
    """Plan at most m retrainings that estimate Shapley values without bias.

    A point's Shapley value is the mean of F(S + i) - F(S) over orders in which the points are added. Each group takes an order,
    its reverse, and the same of orders shifted by N/J, 2 N/J, ..: 2 J orders, which visit each point at 2 J evenly spread places.
    An order and its reverse cancel all interactions of two points (antithetic, Mitchell et al. 2022), and the spread removes most
    of what depends on the size of S (stratified, Maleki et al. 2013). The values sum to F(1) - F(0) exactly.

    Cost: 2 J (N - 1) + 2 retrainings per group. J is the largest of 4, 3, 2 that leaves five groups. Four groups with J = 2, or
    16 N - 8 retrainings, are the least. At equal cost the error of J = 2 was 0.6 to 0.8 of that of J = 1, and J = 3 and 4 gained
    up to 1/5 more. Intervals of 95% covered the exact values in 91% to 96%, with four groups the least. Where the whole table
    fits, `theory.values.shapley` is exact.

    >>> plan = for_shapley(n_points=2, n_retrainings=24, seed=0)
    >>> pair = plan.weights.prod(axis=1, keepdims=True)  # F = 1 where both points are present
    >>> plan.estimate(pair).values.tolist()
    [[0.5], [0.5]]
    """
    n, m = _sizes(n_points, n_retrainings)
    cost = {shifts: 2 * shifts * (n - 1) + 2 for shifts in (4, 3, 2)}
    _require_enough(m, 4 * cost[2], ": four groups")
    shifts = next((k for k in cost if m >= 5 * cost[k]), 2)
    n_groups, rng = m // cost[shifts], stream("plan for Shapley", seed)
    weights, contrasts = list[Array](), list[Array]()
    for _ in range(n_groups):
        order = rng.permutation(n)
        shifted = [np.roll(order, k * n // shifts) for k in range(shifts)]
        ends = np.zeros((2, n))  # contrasts of the empty and the full set
        weights.append(np.stack([np.zeros(n), np.ones(n)]))
        contrasts.append(ends)
        for places in (np.argsort(way) for one in shifted for way in (one, one[::-1])):
            sizes = np.arange(n + 1)[:, None]
            gain = ((places == sizes - 1).astype(np.float64) - (places == sizes)) / (2.0 * shifts)  # F(S + i) - F(S)
            weights.append((places < sizes[1:-1]).astype(np.float64))
            contrasts.append(gain[1:-1])
            ends += gain[[0, -1]]
    return _plan("Shapley", weights, contrasts, cost[shifts], np.zeros(n_groups, dtype=np.intp), "none")


_LEAST_SCALE = 1e-6
"""Least scale of `for_influence`: rounding of F, 1e-16, becomes 1e-10 in its differences."""


def _sizes(n_points: int, n_retrainings: int) -> tuple[int, int]:
    """Return N and m; raise an error unless they are whole numbers and the plan fits into memory."""
    n, m = as_count("n_points", n_points), as_count("n_retrainings", n_retrainings)
    require_memory(32 * n * m, f"a plan of n_retrainings = {m} with n_points = {n}", "take fewer")
    return n, m


def _require_enough(n_retrainings: int, least: int, why: str) -> None:
    if n_retrainings < least:
        raise ValueError(f"n_retrainings = {n_retrainings}, expected at least {least}{why}")


def _plan(
    quantity: str, weights: list[Array], contrasts: list[Array], group_rows: int, terms: NDArray[np.intp], bias: str
) -> Plan:
    groups = np.repeat(np.arange(len(terms), dtype=np.intp), group_rows)
    return Plan(quantity, np.concatenate(weights), np.concatenate(contrasts), groups, terms, bias)
