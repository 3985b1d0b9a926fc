"""Solve A x = b for the symmetric matrices of influence functions, exactly or by the approximations used in practice.

Every solver takes a `System`, in which b has one column per output, and its own options. Iterative solvers use A in products A v
only, as they would if A were too large to form; whether they converge is first checked by the eigenvalues of A.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from theory.inputs import as_count, as_number
from theory.response import Array
from theory.streams import stream

__all__ = ["SOLVERS", "System", "null_space_size", "solve"]


@dataclass(frozen=True, eq=False)
class System:
    """A system is A x = b: matrix A (P, P) symmetric, right b (P, M); A contains the term `floor` I."""

    matrix: Array
    right: Array
    floor: float = 0.0

    @cached_property
    def eigenvalues(self) -> Array:
        """Return the eigenvalues of A in increasing order."""
        return np.asarray(scipy.linalg.eigvalsh(self.matrix), dtype=np.float64)

    @property
    def null_space(self) -> int:
        """Return how many eigenvalues of A are zero to working precision."""
        return _null(self.eigenvalues, None)

    @property
    def operator(self) -> "scipy.sparse.linalg.LinearOperator":
        """Return A as a function v -> A v."""
        return scipy.sparse.linalg.aslinearoperator(self.matrix)


def solve(system: System, solver: str, **options: float) -> Array:
    """Return x (P, M), computed by one of `SOLVERS`; ValueError for options that this solver does not have."""
    if solver not in SOLVERS:
        raise ValueError(f"solver {solver!r} is unknown, expected one of {', '.join(SOLVERS)}")
    known = list(inspect.signature(SOLVERS[solver]).parameters.values())[1:]
    wrong = set(options) - {parameter.name for parameter in known}
    missing = {parameter.name for parameter in known if parameter.default is parameter.empty} - set(options)
    if wrong or missing:
        raise ValueError(
            f"{solver} got the options {sorted(options)}, expected {[str(parameter).split(':')[0] for parameter in known]}"
        )
    return SOLVERS[solver](system, **options)


def null_space_size(matrix: Array, cutoff: float | None = None) -> int:
    """Count the eigenvalues that are at most `cutoff` (default: P eps) times the largest, in absolute value."""
    return _null(np.asarray(scipy.linalg.eigvalsh(matrix), dtype=np.float64), cutoff)


def _null(eigenvalues: Array, cutoff: float | None) -> int:
    sizes = np.abs(eigenvalues)
    return int((sizes <= (_rounding(sizes) if cutoff is None else cutoff) * sizes.max()).sum())


def _exact(system: System) -> Array:
    """Solve by dense elimination; LinAlgError if the matrix is singular to working precision."""
    null = system.null_space
    if null:
        raise np.linalg.LinAlgError(
            f"the curvature is singular: {null} of its {len(system.matrix)} eigenvalues are zero to working precision, so the "
            "influence is not defined; use method='pseudo_inverse' or damping > 0, add an l2 penalty or remove collinear columns"
        )
    return np.asarray(scipy.linalg.solve(system.matrix, system.right, assume_a="sym"))


def _pseudo_inverse(system: System, cutoff: float = 1e-10) -> Array:
    """Solve without the eigenvalues that are at most `cutoff` times the largest, in absolute value."""
    share = as_number("cutoff", cutoff, "0 <= cutoff < 1, a fraction of the largest absolute eigenvalue", least=0.0, below=1.0)
    return _on_largest(system, len(system.matrix), share)


def _conjugate_gradients(system: System, iterations: int) -> Array:
    """Take `iterations` steps from 0 per column, fewer if the residual reaches rounding level (Hestenes & Stiefel 1952).

    LinAlgError unless A is positive definite: on other A a step may divide by 0.
    """
    steps = as_count("iterations", iterations)
    _positive_eigenvalues(system, "conjugate gradients")
    columns = [
        scipy.sparse.linalg.cg(system.operator, b, rtol=np.finfo(np.float64).eps, maxiter=steps)[0] for b in system.right.T
    ]
    return np.stack(columns, axis=1)


def _lissa(system: System, depth: int, scale: float) -> Array:
    """Compute x = v_depth / scale with v_0 = b, v_{t+1} = b + (I - A / scale) v_t (Agarwal et al. 2017, Koh & Liang 2017).

    Every product is over all points, where the sources draw a batch. Converges iff every eigenvalue is in (0, 2 scale).
    """
    steps, half = as_count("depth", depth), _positive_eigenvalues(system, "LiSSA")[-1] / 2.0
    as_number("scale", scale, f"> {half:.6g}, half the largest eigenvalue: LiSSA cannot converge otherwise", above=half)
    product, v = system.operator, system.right
    for _ in range(steps):
        v = system.right + v - product.matmat(v) / scale
    return v / scale


def _low_rank(system: System, rank: int) -> Array:
    """Solve on the `rank` eigenvectors of largest absolute eigenvalue, with 0 on the others (Schioppa et al. 2022).

    Lanczos iteration would find the same eigenvectors, but depends on its start where eigenvalues are equal.
    """
    return _on_largest(system, _rank(rank, len(system.matrix)), _rounding(system.matrix))


def _nystroem(system: System, rank: int, seed: int = 0) -> Array:
    """Compute (C_k + floor I)^-1 b with C = A - floor I and C_k = C V (V^T C V)^+ V^T C, V (P, rank) random orthonormal.

    Frangella et al. 2023; Hataya & Yamada 2023 take columns of I for V. Both invert by Woodbury's identity, which saves time on
    large A; here C_k + floor I is solved directly.
    """
    size = len(system.matrix)
    kept = _rank(rank, size)
    if kept < size and not system.floor > 0.0:
        raise ValueError(f"nystroem of rank {kept} < {size} without a penalty is singular: take damping > 0")
    normal = stream("nystroem", as_count("seed", seed, least=0)).standard_normal((size, kept))
    basis = np.linalg.qr(normal)[0]
    image = system.operator.matmat(basis) - system.floor * basis
    values, vectors = np.linalg.eigh(basis.T @ image)
    large = np.abs(values) > _rounding(system.matrix) * np.abs(values).max()
    root = image @ vectors[:, large]  # C_k = root diag(1 / values) root^T
    return _exact(System((root / values[large]) @ root.T + system.floor * np.eye(size), system.right))


def _on_largest(system: System, rank: int, cutoff: float) -> Array:
    """Solve on the `rank` eigenvectors of largest absolute eigenvalue, without those of at most `cutoff` times the largest."""
    values, vectors = np.linalg.eigh(system.matrix)
    sizes = np.abs(values)
    largest = np.argsort(sizes)[len(sizes) - rank :]
    kept = largest[sizes[largest] > cutoff * sizes.max()]
    return vectors[:, kept] @ ((vectors[:, kept].T @ system.right) / values[kept, None])


def _positive_eigenvalues(system: System, solver: str) -> Array:
    """Return the eigenvalues in increasing order; LinAlgError if one is negative, or zero to working precision."""
    values = system.eigenvalues
    if not values[0] > _rounding(values) * values[-1]:
        raise np.linalg.LinAlgError(
            f"{solver} cannot converge: the least eigenvalue is {values[0]:.3g} (the largest {values[-1]:.3g}), expected > 0 "
            "beyond rounding; raise damping by more than that, or use a positive curvature such as 'gauss_newton'"
        )
    return values


def _rounding(rows: Array) -> float:
    """Return P eps for P rows of a matrix or P eigenvalues: eigenvalues up to this times the largest count as zero."""
    return len(rows) * float(np.finfo(np.float64).eps)


def _rank(rank: float, size: int) -> int:
    if as_number("rank", rank, expected := f"a whole number from 1 to the {size} parameters", least=1.0, most=size) % 1.0:
        raise ValueError(f"rank = {rank}, expected {expected}")
    return int(rank)


SOLVERS: dict[str, Callable[..., Array]] = {
    "exact": _exact,
    "pseudo_inverse": _pseudo_inverse,
    "conjugate_gradients": _conjugate_gradients,
    "lissa": _lissa,
    "low_rank": _low_rank,
    "nystroem": _nystroem,
}
"""Each name has a function of a System and its options that returns x (P, M)."""
