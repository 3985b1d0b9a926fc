"""The packed solver against numpy.linalg on random systems of every order in use."""

import numpy as np
import pytest
from assertions import assert_close, assert_identical

from sims.learners.linear import batched

ORDERS = range(1, 9)
EPS = np.finfo(np.float64).eps
BATCH = 50


def packed(matrices):
    """Lower triangles of (B, d, d), replica-last, column by column."""
    d = matrices.shape[1]
    return np.stack([matrices[:, i, j] for j in range(d) for i in range(j, d)])


def spd(order, batch=BATCH, condition=1e3):
    """Random symmetric positive definite matrices (B, d, d) with that condition number, and the generator."""
    rng = np.random.default_rng(order)
    q = np.linalg.qr(rng.standard_normal((batch, order, order)))[0]
    return (q * np.geomspace(1.0, 1.0 / condition, order)) @ q.transpose(0, 2, 1), rng


@pytest.mark.parametrize("order", ORDERS)
def test_packed_outer_products_pack_the_weighted_normal_matrix(order):
    rng = np.random.default_rng(order)
    X, w = rng.integers(-5, 6, (7, order)).astype(float), rng.integers(0, 4, (7, BATCH)).astype(float)
    assert_identical(batched.packed_outer_products(X) @ w, packed(np.einsum("ni,nb,nj->bij", X, w, X)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("queries", [None, 3])
def test_factor_and_solve_equal_numpy_solve(order, queries):
    """Backward stable for positive definite systems: the error is at most order * eps * condition (Higham 2002, thm. 10.4)."""
    matrices, rng = spd(order)
    right = rng.standard_normal((order, BATCH) if queries is None else (order, queries, BATCH))
    solution = batched.solve(batched.factor(packed(matrices)), right.copy())
    expected = np.linalg.solve(matrices, right.reshape(order, -1, BATCH).transpose(2, 0, 1)).transpose(1, 2, 0)
    assert_close(solution, expected.reshape(right.shape), rtol=4 * order * EPS * 1e3, call=f"order {order}")


@pytest.mark.parametrize("order", ORDERS)
def test_factor_is_the_ldl_factorisation(order):
    matrices, _ = spd(order)
    factored = batched.factor(packed(matrices))
    lower, d = np.zeros_like(matrices), batched.diagonal(factored)
    entries = iter(factored)
    for j in range(order):
        for i in range(j, order):
            lower[:, i, j] = next(entries) if i > j else next(entries) * 0.0 + 1.0
    assert (d > 0.0).all()
    assert_close(np.einsum("bik,kb,bjk->bij", lower, d, lower), matrices, atol=4 * order * EPS, call=f"order {order}")


def test_systems_that_are_not_positive_definite_are_solved_too():
    """Without row exchanges: here the pivots 2 and -3 - 1/2 are far from 0."""
    A = np.array([[2.0, 1.0], [1.0, -3.0]])
    solution = batched.solve(batched.factor(packed(A[None])), np.array([[1.0], [2.0]]))
    assert_close(solution[:, 0], np.linalg.solve(A, [1.0, 2.0]), rtol=4 * EPS)


def test_factor_and_solve_work_in_place():
    matrices, rng = spd(4)
    A, right = packed(matrices), rng.standard_normal((4, BATCH))
    assert batched.factor(A) is A
    assert batched.solve(A, right) is right


def test_diagonal_is_a_copy_and_add_to_diagonal_adds_a_multiple_of_the_identity_per_replica():
    matrices, rng = spd(5)
    A, amount = packed(matrices), rng.standard_normal(BATCH)
    before = batched.diagonal(A)
    batched.add_to_diagonal(A, amount)
    assert_identical(before, np.diagonal(matrices, axis1=1, axis2=2).T)
    assert_identical(A, packed(matrices + amount[:, None, None] * np.eye(5)))


@pytest.mark.parametrize("order", ORDERS)
def test_the_condition_bound_is_never_below_the_condition_of_the_scaled_matrix(order):
    matrices, _ = spd(order)
    root = np.sqrt(np.einsum("bii->bi", matrices))
    scaled = matrices / root[:, :, None] / root[:, None, :]
    bound = batched.condition_bound(batched.factor(packed(matrices)), batched.diagonal(packed(matrices)))
    condition = np.linalg.cond(scaled)
    assert (bound >= condition * (1 - 1e-9)).all()
    assert (bound <= np.e * order * condition ** max(order - 1, 1) * (1 + 1e-9)).all(), (
        "det >= least eigenvalue to the power d - 1"
    )


@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_singular_matrix_has_a_condition_bound_beyond_any_use(order):
    _, rng = spd(order)
    thin = rng.standard_normal((BATCH, order, order - 1))
    A = packed(thin @ thin.transpose(0, 2, 1))
    assert (batched.condition_bound(batched.factor(A.copy()), batched.diagonal(A)) > 1e10).all()


def test_a_singular_replica_does_not_touch_its_neighbours():
    matrices, rng = spd(3)
    right = rng.standard_normal((3, BATCH))
    alone = batched.solve(batched.factor(packed(matrices)), right.copy())
    matrices[10] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        beside = batched.solve(batched.factor(packed(matrices)), right.copy())
    assert not np.isfinite(beside[:, 10]).any()
    assert_identical(np.delete(beside, 10, axis=1), np.delete(alone, 10, axis=1))
