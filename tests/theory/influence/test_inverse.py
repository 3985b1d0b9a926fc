"""Every solver against dense algebra written out here: known spectra, Krylov spaces, Neumann series, truncated decompositions."""

import numpy as np
import pytest
import strategies
from assertions import assert_close, assert_identical
from hypothesis import given
from hypothesis import strategies as st

from theory.influence.inverse import SOLVERS, System, null_space_size, solve

EPS = np.finfo(np.float64).eps
SIZES = st.integers(1, 8)
SCALES = st.sampled_from([1e-12, 1.0, 1e9])


def of_spectrum(rng, spectrum):
    """A symmetric matrix with these eigenvalues, and its random eigenvectors."""
    vectors = np.linalg.qr(rng.standard_normal((len(spectrum), len(spectrum))))[0]
    matrix = (vectors * spectrum) @ vectors.T
    return (matrix + matrix.T) / 2.0, vectors


def positive_spectrum(rng, size, condition):
    """From 1 / condition to 1, both included where size > 1."""
    return np.sort(condition ** -np.concatenate([rng.random(max(size - 2, 0)), [0.0, 1.0]]))[-size:]


def positive_system(seed, size, condition=30.0, outputs=2, scale=1.0, floor=0.0):
    """A System with a positive definite matrix, and x by its spectrum."""
    rng = np.random.default_rng(seed)
    spectrum = scale * positive_spectrum(rng, size, condition) + floor
    matrix, vectors = of_spectrum(rng, spectrum)
    right = rng.standard_normal((size, outputs))
    return System(matrix, right, floor), (vectors / spectrum) @ vectors.T @ right


def krylov_solution(matrix, b, steps):
    """argmin of ||x - A^-1 b||_A over span(b, A b, .., A^(steps - 1) b), by a basis orthogonalised twice."""
    basis = np.empty((len(b), 0))
    v = b
    for _ in range(steps):
        for _ in range(2):
            v = v - basis @ (basis.T @ v)
        basis = np.column_stack([basis, v / np.linalg.norm(v)])
        v = matrix @ basis[:, -1]
    return basis @ np.linalg.solve(basis.T @ matrix @ basis, basis.T @ b)


def solver_options(solver, system):
    """With which it solves a well-conditioned positive definite system to rounding."""
    size, largest = len(system.matrix), np.abs(np.linalg.eigvalsh(system.matrix)).max()
    return {
        "exact": {},
        "pseudo_inverse": {},
        "conjugate_gradients": {"iterations": 20 * size},
        "lissa": {"depth": 1500, "scale": largest},
        "low_rank": {"rank": size},
        "nystroem": {"rank": size},
    }[solver]


every_solver = pytest.mark.parametrize("solver", SOLVERS)


# --- all solvers -----------------------------------------------------------------------------------------------------------


@every_solver
@given(SIZES, strategies.SEEDS, SCALES)
def test_every_solver_taken_to_the_end_inverts_a_positive_definite_matrix(solver, size, seed, scale):
    """LiSSA's error is (1 - 1/30)^1501 < 1e-22; the others' is rounding, 30 P eps; at any scale of the matrix."""
    system, x = positive_system(seed, size, scale=scale)
    found = solve(system, solver, **solver_options(solver, system))
    assert_close(found, x, rtol=100 * 30 * size * EPS, call=f"{solver} at size {size}")


@pytest.mark.parametrize("solver", ["exact", "pseudo_inverse", "low_rank", "nystroem"])
@given(SIZES, strategies.SEEDS, st.sampled_from([1.0, 1e3, 1e6]), SCALES)
def test_direct_solvers_of_full_rank_invert_an_indefinite_matrix(solver, size, seed, condition, scale):
    rng = np.random.default_rng(seed)
    spectrum = scale * positive_spectrum(rng, size, condition) * rng.choice([-1.0, 1.0], size)
    matrix, vectors = of_spectrum(rng, spectrum)
    system = System(matrix, rng.standard_normal((size, 2)))
    expected = (vectors / spectrum) @ vectors.T @ system.right
    found = solve(system, solver, **solver_options(solver, system))
    assert_close(found, expected, rtol=100 * size * EPS * condition, call=f"{solver} at condition {condition:g}")


@every_solver
def test_one_parameter_is_a_division(solver):
    system = System(np.array([[4.0]]), np.array([[1.0, -3.0]]))
    assert_close(solve(system, solver, **solver_options(solver, system)), [[0.25, -0.75]], rtol=1e-15, call=solver)


@every_solver
def test_a_right_side_of_zero_has_the_solution_zero_and_leaves_its_neighbours_alone(solver):
    system, _ = positive_system(0, 5, outputs=3)
    right = system.right * [1.0, 0.0, 1.0]
    options = solver_options(solver, system)
    found = solve(System(system.matrix, right), solver, **options)
    assert_identical(found[:, 1], np.zeros(5), call=solver)
    assert_close(found[:, [0, 2]], solve(System(system.matrix, right[:, [0, 2]]), solver, **options), rtol=1e-13, call=solver)


@every_solver
def test_columns_solved_together_are_those_solved_alone(solver):
    system, _ = positive_system(1, 6, outputs=4)
    options = {"iterations": 3} if solver == "conjugate_gradients" else solver_options(solver, system)
    alone = [solve(System(system.matrix, system.right[:, [k]]), solver, **options) for k in range(4)]
    assert_close(solve(system, solver, **options), np.hstack(alone), rtol=1e-13, call=solver)


@every_solver
def test_solvers_do_not_write_into_what_they_are_given(solver):
    system, x = positive_system(2, 5)
    for array in (system.matrix, system.right):
        array.flags.writeable = False
    assert_close(solve(system, solver, **solver_options(solver, system)), x, rtol=1e-11, call=solver)


@pytest.mark.parametrize("solver", ["exact", "nystroem"])
@given(st.integers(1, 4), st.integers(1, 4), strategies.SEEDS, SCALES)
def test_a_singular_matrix_is_refused_with_the_size_of_its_null_space_and_what_to_do(solver, rank, null, seed, scale):
    rng = np.random.default_rng(seed)
    matrix, _ = of_spectrum(rng, scale * np.concatenate([rng.uniform(0.5, 2.0, rank), np.zeros(null)]))
    system = System(matrix, np.ones((rank + null, 1)))
    with pytest.raises(np.linalg.LinAlgError, match=rf"singular: {null} of its {rank + null} .*'pseudo_inverse' or damping > 0"):
        solve(system, solver, **solver_options(solver, system))


@pytest.mark.parametrize(
    ("solver", "options"), [("conjugate_gradients", {"iterations": 5}), ("lissa", {"depth": 5, "scale": 9.0})]
)
@pytest.mark.parametrize(
    ("spectrum", "least"), [([1.0, 0.0], "0"), ([1.0, -0.25], "-0.25"), ([-1.0, -2.0], "-2"), ([1.0, 1e-16], "1e-16")]
)
def test_iterations_that_need_a_positive_definite_matrix_refuse_others(solver, options, spectrum, least):
    """CG divides by p^T A p, which is 0 for diag(1, 0) at the second step; LiSSA grows without bound."""
    message = f"cannot converge: the least eigenvalue is {least} .*raise damping by more than that.*'gauss_newton'"
    with pytest.raises(np.linalg.LinAlgError, match=message):
        solve(System(np.diag(spectrum), np.ones((2, 1))), solver, **options)


@every_solver
def test_options_that_a_solver_does_not_have_are_refused_with_those_that_it_has(solver):
    system, _ = positive_system(0, 3)
    expected = ".*".join(["expected", *(f"'{name}'" for name in solver_options(solver, system))])
    with pytest.raises(ValueError, match=rf"{solver} got the options \[.*'tolerance'\], {expected}"):
        solve(system, solver, **solver_options(solver, system), tolerance=1e-3)


@pytest.mark.parametrize(
    ("solver", "given", "missing"),
    [
        ("conjugate_gradients", {}, "iterations"),
        ("lissa", {"depth": 3}, "scale"),
        ("low_rank", {}, "rank"),
        ("nystroem", {"seed": 1}, "rank"),
    ],
)
def test_options_that_a_solver_needs_are_asked_for(solver, given, missing):
    with pytest.raises(ValueError, match=rf"{solver} got the options .*, expected .*'{missing}'"):
        solve(positive_system(0, 3)[0], solver, **given)


def test_an_unknown_solver_is_refused_with_the_list_of_known_ones():
    with pytest.raises(ValueError, match=r"solver 'cholesky' is unknown, expected one of exact, pseudo_inverse, .*nystroem"):
        solve(positive_system(0, 3)[0], "cholesky")


@pytest.mark.parametrize(
    ("solver", "option", "values", "expected"),
    [
        ("pseudo_inverse", "cutoff", (-1e-3, 1.0, 2.0, np.nan), "expected 0 <= cutoff < 1"),
        ("conjugate_gradients", "iterations", (0, -1, 2.5, np.nan, np.inf), "expected a whole number >= 1"),
        ("lissa", "depth", (0, -1, 2.5, np.nan, np.inf), "expected a whole number >= 1"),
        ("lissa", "scale", (0.5, 0.1, -3.0, np.inf, np.nan), "expected > 0.5, half the largest eigenvalue"),
        ("low_rank", "rank", (0, 4, 2.5, np.nan, np.inf), "expected a whole number from 1 to the 3 parameters"),
        ("nystroem", "rank", (0, 4, 2.5, np.nan, np.inf), "expected a whole number from 1 to the 3 parameters"),
        ("nystroem", "seed", (-1, 0.5, np.nan), "expected a whole number >= 0"),
    ],
)
def test_bad_values_of_options_are_refused_with_what_was_expected(solver, option, values, expected):
    system = System(np.diag([0.25, 0.5, 1.0]), np.ones((3, 1)))
    for value in values:
        with pytest.raises(ValueError, match=rf"{option} = {value}[,:] {expected}"):
            solve(system, solver, **(solver_options(solver, system) | {option: value}))


def test_nystroem_of_lower_rank_without_a_floor_is_refused_and_says_what_to_do():
    with pytest.raises(ValueError, match=r"nystroem of rank 2 < 3 without a penalty is singular: take damping > 0"):
        solve(System(np.eye(3), np.ones((3, 1))), "nystroem", rank=2)


# --- null space ------------------------------------------------------------------------------------------------------------


def test_the_null_space_is_what_is_at_most_the_cutoff_times_the_largest_eigenvalue():
    matrix = np.diag([-4.0, 1.0, -0.5, 0.0])
    assert [null_space_size(matrix, cutoff) for cutoff in (0.0, 0.1, 0.125, 0.2, 0.25, 1.0)] == [1, 1, 2, 2, 3, 4]


@given(st.integers(1, 5), st.integers(0, 4), strategies.SEEDS, SCALES)
def test_without_a_cutoff_the_null_space_is_what_is_zero_to_working_precision(rank, null, seed, scale):
    rng = np.random.default_rng(seed)
    matrix, _ = of_spectrum(
        rng, scale * np.concatenate([rng.uniform(0.5, 2.0, rank) * rng.choice([-1, 1], rank), np.zeros(null)])
    )
    assert null_space_size(matrix) == null
    assert null_space_size(np.zeros((null + 1, null + 1))) == null + 1


def test_working_precision_is_p_eps():
    """Diagonal matrices have exact eigenvalues: 2 eps is zero in two dimensions, 3 eps is not."""
    assert [null_space_size(np.diag([1.0, k * EPS])) for k in (1, 2, 3)] == [1, 1, 0]
    assert [null_space_size(np.diag([1.0, 1.0, k * EPS])) for k in (3, 4)] == [1, 0]


# --- pseudo-inverse and low rank -------------------------------------------------------------------------------------------


@given(st.integers(2, 8), strategies.SEEDS)
def test_pseudo_inverse_is_numpy_pinv_at_every_cutoff_between_eigenvalues(size, seed):
    rng = np.random.default_rng(seed)
    spectrum = 10.0 ** -np.arange(size) * rng.choice([-1.0, 1.0], size)
    matrix, _ = of_spectrum(rng, spectrum)
    right = rng.standard_normal((size, 3))
    for kept in range(1, size + 1):
        cutoff = 0.3 * 10.0 ** -(kept - 1.0)
        expected = np.linalg.pinv(matrix, rcond=cutoff) @ right
        found = solve(System(matrix, right), "pseudo_inverse", cutoff=cutoff)
        assert_close(found, expected, rtol=100 * size * EPS * 10.0 ** (kept - 1), call=f"{kept} of {size} eigenvalues")


def test_an_eigenvalue_exactly_at_the_cutoff_is_left_out():
    system = System(np.diag([4.0, -1.0]), np.ones((2, 1)))
    assert_identical(solve(system, "pseudo_inverse", cutoff=0.25), [[0.25], [0.0]])
    assert_identical(solve(system, "pseudo_inverse", cutoff=0.2499), [[0.25], [-1.0]])
    assert_identical(solve(System(np.zeros((2, 2)), np.ones((2, 1))), "pseudo_inverse"), np.zeros((2, 1)), call="zero matrix")


@given(st.integers(2, 8), st.data(), strategies.SEEDS)
def test_low_rank_is_the_truncated_singular_value_decomposition(size, data, seed):
    """|eigenvalues| at least 20% apart, so that which are the largest is not in doubt; those of negative sign are kept too."""
    rng, rank = np.random.default_rng(seed), data.draw(st.integers(1, size))
    spectrum = rng.permutation(1.2 ** -np.arange(size)) * rng.choice([-1.0, 1.0], size)
    matrix, _ = of_spectrum(rng, spectrum)
    right = rng.standard_normal((size, 2))
    u, singular, vt = np.linalg.svd(matrix)
    expected = (vt[:rank].T / singular[:rank]) @ u[:, :rank].T @ right
    assert_close(solve(System(matrix, right), "low_rank", rank=rank), expected, rtol=1e-12, call=f"{rank} of {size}")


@given(st.integers(1, 4), st.integers(1, 4), strategies.SEEDS)
def test_low_rank_beyond_the_rank_of_the_matrix_adds_nothing(rank, null, seed):
    """Not 1 / rounding times rounding: every further eigenvalue is zero to working precision."""
    rng = np.random.default_rng(seed)
    matrix, _ = of_spectrum(rng, np.concatenate([rng.uniform(0.5, 2.0, rank), np.zeros(null)]))
    system = System(matrix, rng.standard_normal((rank + null, 2)))
    expected = np.linalg.pinv(matrix, rcond=1e-10) @ system.right
    for kept in range(rank, rank + null + 1):
        assert_close(solve(system, "low_rank", rank=kept), expected, rtol=1e-12, call=f"rank {kept} of {rank}")


def test_low_rank_gives_the_same_bits_again_even_inside_equal_eigenvalues():
    """Penalised Gauss-Newton matrices of more parameters than points have many eigenvalues equal to the penalty."""
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((60, 4))
    system = System(factor @ factor.T + 0.1 * np.eye(60), rng.standard_normal((60, 2)))
    assert_identical(solve(system, "low_rank", rank=12), solve(system, "low_rank", rank=12))


# --- conjugate gradients ---------------------------------------------------------------------------------------------------


@given(st.integers(1, 7), strategies.SEEDS)
def test_each_step_of_conjugate_gradients_is_the_best_point_of_its_krylov_space(size, seed):
    system, x = positive_system(seed, size)
    for steps in range(1, size + 1):
        expected = np.stack([krylov_solution(system.matrix, b, steps) for b in system.right.T], axis=1)
        found = solve(system, "conjugate_gradients", iterations=steps)
        assert_close(found, expected, rtol=1e-9, call=f"{steps} steps in {size} dimensions")
    assert_close(found, x, rtol=1e-9, call="P steps are exact")


@given(st.integers(2, 8), strategies.SEEDS)
def test_the_error_of_conjugate_gradients_decreases_in_the_norm_of_the_matrix(size, seed):
    """And within Chebyshev's bound 2 ((sqrt(c) - 1) / (sqrt(c) + 1))^k of the start, c the condition (Saad 2003, eq. 6.128)."""
    system, x = positive_system(seed, size, outputs=1)
    paths = [np.zeros_like(x), *(solve(system, "conjugate_gradients", iterations=k) for k in range(1, size + 1))]
    errors = np.array([np.sqrt(((p - x).T @ system.matrix @ (p - x)).item()) for p in paths])
    assert (np.diff(errors) <= 1e-12 * errors[0]).all()
    rate = (np.sqrt(30.0) - 1.0) / (np.sqrt(30.0) + 1.0)
    assert (errors <= 2.0 * rate ** np.arange(size + 1) * errors[0] + 1e-12 * errors[0]).all()


def test_fewer_steps_than_dimensions_are_not_exact():
    system, x = positive_system(3, 6)
    for steps in range(1, 5):
        assert np.abs(solve(system, "conjugate_gradients", iterations=steps) - x).max() > 1e-3 * np.abs(x).max()


# --- LiSSA -----------------------------------------------------------------------------------------------------------------


@given(SIZES, st.sampled_from([1, 2, 3, 10, 40]), st.sampled_from([0.51, 0.8, 1.0, 3.0]), strategies.SEEDS)
def test_lissa_is_the_partial_sum_of_the_neumann_series(size, depth, share, seed):
    """x_depth = (1 / scale) sum_{k=0}^{depth} (I - A / scale)^k b: depth + 1 terms."""
    system, _ = positive_system(seed, size)
    scale = share * np.linalg.eigvalsh(system.matrix)[-1]
    factor = np.eye(size) - system.matrix / scale
    series = sum(np.linalg.matrix_power(factor, k) for k in range(depth + 1)) / scale
    assert_close(solve(system, "lissa", depth=depth, scale=scale), series @ system.right, rtol=1e-12, call=f"depth {depth}")


@given(SIZES, st.integers(1, 60), st.sampled_from([0.6, 1.0, 4.0]), strategies.SEEDS)
def test_the_error_of_lissa_is_the_power_of_one_minus_eigenvalue_over_scale(size, depth, share, seed):
    """x - x_depth = (I - A / scale)^(depth + 1) x, component by component."""
    system, x = positive_system(seed, size)
    scale = share * np.linalg.eigvalsh(system.matrix)[-1]
    values, vectors = np.linalg.eigh(system.matrix)
    error = vectors @ ((1.0 - values[:, None] / scale) ** (depth + 1) * (vectors.T @ x))
    found = solve(system, "lissa", depth=depth, scale=scale)
    assert_close(x - found, error, atol=1e-12 * np.abs(x).max(), call=f"depth {depth}, scale {share} of the largest")


def test_lissa_is_accepted_just_above_half_the_largest_eigenvalue_and_converges_slowly_there():
    system = System(np.diag([1.0, 2.0]), np.ones((2, 1)))
    assert_close(solve(system, "lissa", depth=40000, scale=1.001), [[1.0], [0.5]], rtol=1e-12)
    assert abs(solve(system, "lissa", depth=100, scale=1.001)[1, 0] - 0.5) > 0.3


# --- Nystroem --------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 8), strategies.SEEDS, st.sampled_from([1e-3, 1.0]), SCALES)
def test_nystroem_is_exact_once_its_rank_reaches_that_of_the_matrix_without_its_floor(size, seed, floor, scale):
    """Whatever the draw: C V (V^T C V)^+ V^T C = C when V^T has full rank on the range of C.

    With k columns for rank k, V^T may come near to missing a direction of the range: then eps / sigma_min^2 / floor is lost.
    """
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, size + 1))
    factor, right = rng.uniform(0.5, 2.0, rank), rng.standard_normal((size, 2))
    matrix, _ = of_spectrum(rng, scale * (np.concatenate([factor, np.zeros(size - rank)]) + floor))
    expected = np.linalg.solve(matrix, right)
    for kept, rtol in ((rank, 1e-6), (size, 1e-10)):
        found = solve(System(matrix, right, scale * floor), "nystroem", rank=kept, seed=int(rng.integers(1000)))
        assert_close(found, expected, rtol=rtol, call=f"rank {kept} for {rank} of {size}")


def implied_matrix(system, rank, seed=0):
    """C_k, from the solutions for b = e_j: inverse less the floor."""
    size = len(system.matrix)
    inverse = solve(System(system.matrix, np.eye(size), system.floor), "nystroem", rank=rank, seed=seed)
    return np.linalg.inv(inverse) - system.floor * np.eye(size)


@given(st.integers(3, 8), st.data(), strategies.SEEDS)
def test_nystroem_of_lower_rank_agrees_with_the_matrix_on_that_many_directions_and_is_below_it_elsewhere(size, data, seed):
    """C - C_k is a Schur complement: positive semidefinite, of rank P - k; C_k is positive semidefinite, of rank k."""
    rank = data.draw(st.integers(1, size - 1))
    system, _ = positive_system(seed, size, floor=0.2)
    low, whole = implied_matrix(system, rank), system.matrix - 0.2 * np.eye(size)
    rounding = 1e-9  # of an inverse of condition 6, on matrices of norm 1, with C V of condition up to 1e4
    assert_close(low, low.T, atol=rounding, call="symmetric")
    for name, matrix, expected in (("C_k", low, rank), ("C - C_k", whole - low, size - rank)):
        values = np.linalg.eigvalsh((matrix + matrix.T) / 2.0)
        assert values[0] >= -rounding, f"{name} has the eigenvalue {values[0]:.1e}"
        assert (values > rounding).sum() <= expected, f"{name} has rank > {expected}: {values}"
    assert np.linalg.eigvalsh(low)[-rank] > rounding


def test_nystroem_draws_directions_by_its_seed():
    system, x = positive_system(4, 6, floor=0.1)
    first, again, other = (solve(system, "nystroem", rank=3, seed=s) for s in (1, 1, 2))
    assert_identical(first, again)
    assert_identical(solve(system, "nystroem", rank=3), solve(system, "nystroem", rank=3, seed=0), call="the default is 0")
    assert np.abs(first - other).max() > 1e-3
    assert np.abs(first - x).max() > 1e-3 * np.abs(x).max()  # three of six directions are not all


@pytest.mark.parametrize("floor", [1e-1, 1e-3, 1e-6, 1e-8])
def test_nystroem_of_a_decaying_spectrum_keeps_its_digits(floor):
    """Eigenvalues 1, 0.1, .., 1e-11 on a floor: rounding of C, P eps, is felt as P eps / floor."""
    rng = np.random.default_rng(0)
    spectrum = 10.0 ** -np.arange(12.0) + floor
    matrix, vectors = of_spectrum(rng, spectrum)
    right = rng.standard_normal((12, 2))
    expected = (vectors / spectrum) @ vectors.T @ right
    found = solve(System(matrix, right, floor), "nystroem", rank=12)
    assert_close(found, expected, rtol=100 * 12 * EPS / floor, call=f"floor {floor:g}")


def test_nystroem_of_nothing_but_a_floor_divides_by_it():
    found = solve(System(0.3 * np.eye(4), np.ones((4, 1)), 0.3), "nystroem", rank=2)
    assert_close(found, np.full((4, 1), 1.0 / 0.3), rtol=1e-14)
