"""Compute the arrays of a `Truth`: effects from all subsets or from drawn ones, derivatives at the trained models."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sims.referee.losses import LOSSES, loss_of
from sims.referee.truth import Model, Subsets
from sims.retrain import engine, response_table
from theory.answers import named, require_learner
from theory.datamodel import fit_sampled, optimal_datamodel
from theory.derivatives import finite_difference
from theory.influence.curvature import curvature_matrix
from theory.inputs import as_count, as_seeds, shown
from theory.laws import Bernoulli
from theory.response import Array, DifferentiableLearner, Linearization, normalization_of
from theory.sampling.designs import for_leave_one_out, for_shapley, independent
from theory.sampling.fit import SampledDatamodel
from theory.sampling.plans import Estimate
from theory.subsets import all_masks
from theory.values import leave_one_out, shapley

__all__ = ["computed"]

CURVATURES = ("gauss_newton", "fisher", "empirical_fisher", "kfac", "ekfac")
"""Approximations of the Hessian that a truth holds, by their names in `theory.influence.curvature`."""

MOST_HESSIANS = 4_000_000
"""The most numbers that the Hessians of all points may have; larger ones are left out."""


def computed(
    learner: Any,
    seeds: Sequence[int],
    y_query: ArrayLike | None,
    name: str,
    *,
    most_exact: int,
    n_retrainings: int | None,
    executor: engine.Executor | int | None,
    progress: bool,
) -> dict[str, Any]:
    """Return the fields of the `Truth` of a learner; see `Truth.of`."""
    require_learner(learner)
    _require_data(learner)
    seeds, n = as_seeds(seeds), int(learner.n_points)
    loss, targets = loss_of(learner, y_query)
    margins = response_table(learner, seeds, weights=np.ones((1, n))).samples[:, 0]

    def trained(weights: Array | None) -> Array:
        """Return F (B, K, R, M): margins, and losses where there are targets."""
        samples = response_table(learner, seeds, weights=weights, executor=executor, progress=progress).samples
        both = [samples] if targets is None else [samples, LOSSES[loss].value(samples, targets)]
        return np.stack(both).transpose(2, 0, 1, 3)

    exact = n <= as_count("most_exact", most_exact, least=0)
    wanted = max(min(40_000, 100 * n), 16 * n) if n_retrainings is None else as_count("n_retrainings", n_retrainings)
    found = _of_all(n, trained) if exact else _of_drawn(n, trained, wanted)
    tails = ("",) if targets is None else ("", "_loss")
    effects = {q + tail: values[:, k].swapaxes(0, 1) for q, values in found.effects.items() for k, tail in enumerate(tails)}
    errors = {q + tail: values[:, k] for q, values in found.errors.items() for k, tail in enumerate(tails)}
    effects["D1"], errors["D1"] = _derivative(learner, seeds)
    if targets is not None:
        slopes = LOSSES[loss].slope(margins, targets)  # (R, M)
        effects["D1_loss"] = effects["D1"] * slopes[:, None]
        errors["D1_loss"] = errors["D1"] * np.abs(slopes).max(axis=0)
    subsets = {f"responses{tail}": found.responses[:, k].mean(axis=1) for k, tail in enumerate(tails)}
    return {
        "name": _as_name(name) if name else type(learner).__name__,
        "X": np.asarray(learner.X, dtype=np.float64),
        "y": np.asarray(learner.y, dtype=np.float64),
        "X_query": np.asarray(learner.X_query, dtype=np.float64),
        "y_query": targets,
        "l2": float(learner.l2),
        "loss_function": loss,
        "seeds": seeds,
        "margin_by_seed": margins,
        "effects": effects,
        "errors": errors,
        "subsets": Subsets(found.masks, subsets, exact),
        "model": _model(learner, seeds),
        "about": {"learner": type(learner).__name__, "options": _options(learner), "how": found.how},
    }


@dataclass(frozen=True)
class _Found:
    """What retraining gave: effects (N, K, R, M), standard errors (N, K, M) of their means over seeds, F (B, K, R, M)."""

    effects: dict[str, Array]
    errors: dict[str, Array]
    masks: Array
    responses: Array
    how: str


def _of_all(n: int, trained: Callable[[Array | None], Array]) -> _Found:
    """Compute the effects from all subsets."""
    table = trained(None)
    effects = {
        "beta": _by_column(lambda f: optimal_datamodel(f).coefficients, table),
        "loo": _by_column(leave_one_out, table),
        "shapley": _by_column(shapley, table),
    }
    zero = np.zeros((n, table.shape[1], table.shape[3]))
    return _Found(effects, dict.fromkeys(effects, zero), all_masks(n), table, f"all {len(table)} subsets")


def _of_drawn(n: int, trained: Callable[[Array | None], Array], wanted: int) -> _Found:
    """Estimate beta and Shapley values from `wanted` trainings each, and compute leave-one-out exactly."""
    design = independent(Bernoulli(0.5), n_subsets=wanted, n_points=n, seed=0)
    orders = for_shapley(n_points=n, n_retrainings=wanted, seed=0)
    removals = for_leave_one_out(n_points=n, n_retrainings=n + 1, seed=0)
    halves, ordered = trained(design.masks), trained(orders.weights)
    beta, beta_error = _estimated(halves, lambda f: _values(fit_sampled(design, f)))
    value, value_error = _estimated(ordered, lambda f: _values(orders.estimate(f)))
    removal = _by_column(lambda f: removals.estimate(f).values, trained(removals.weights))
    effects = {"beta": beta, "loo": removal, "shapley": value}
    errors = {"beta": beta_error, "loo": np.zeros_like(beta_error), "shapley": value_error}
    how = f"beta from {wanted} drawn subsets, Shapley values from {len(orders.weights)} drawn trainings, the rest exact"
    return _Found(effects, errors, design.masks.astype(np.float64), halves, how)


def _by_column(measure: Callable[[Array], Array], responses: Array) -> Array:
    """Apply a measure (B, columns) -> (N, columns) to responses (B, ..): (N, ..)."""
    found = measure(responses.reshape(len(responses), -1))
    return found.reshape(len(found), *responses.shape[1:])


def _estimated(responses: Array, estimate: Callable[[Array], tuple[Array, Array]]) -> tuple[Array, Array]:
    """Estimate effects (N, K, R, M), and the standard errors (N, K, M) of their means over seeds, from F (B, K, R, M)."""
    both = np.concatenate([responses, responses.mean(axis=2, keepdims=True)], axis=2)
    values, errors = (x.reshape(len(x), *both.shape[1:]) for x in estimate(both.reshape(len(both), -1)))
    return values[:, :, :-1], errors[:, :, -1]


def _values(found: SampledDatamodel | Estimate) -> tuple[Array, Array]:
    """Return estimated effects and their standard errors, (N, columns) each."""
    return (found.coefficients if isinstance(found, SampledDatamodel) else found.values), found.standard_errors


def _derivative(learner: Any, seeds: Sequence[int]) -> tuple[Array, Array]:
    """Return D(1) of every seed (R, N, M), and the error of its mean (N, M), 0 where it is exact."""
    ones, shape = np.ones(learner.n_points), (learner.n_points, learner.n_outputs)
    if isinstance(learner, DifferentiableLearner):
        return learner.weight_jacobian(ones[None], seeds)[0].swapaxes(1, 2), np.zeros(shape)
    each = [finite_difference(learner, ones, (seed,)) for seed in seeds]
    return np.stack([found.derivative for found in each]), np.mean([found.error for found in each], axis=0)


def _model(learner: Any, seeds: Sequence[int]) -> Model | None:
    """Return the trained models and their derivatives, or None for a learner without `linearize`."""
    if not hasattr(learner, "linearize"):
        return None
    at: Linearization = learner.linearize(np.ones(learner.n_points), seeds)
    init: Array | None = learner.initial_params(seeds) if hasattr(learner, "initial_params") else None
    by_layer: Callable[[Array], dict[str, Array]] = getattr(learner, "layers", lambda params: {})
    layers = by_layer(at.params)
    if init is not None:
        layers |= {f"init_{name}": values for name, values in by_layer(init).items()}
    given = {} if at.fit is None else {kind: curvature_matrix(at, kind) for kind in CURVATURES}
    return Model(
        params=at.params,
        init=init,
        layers=layers,
        hessian=at.hessian,
        point_gradients=at.point_gradients,
        output_gradients=at.output_gradients,
        curvatures=given,
        point_hessians=_point_hessians(learner, at),
    )


def _point_hessians(learner: Any, at: Linearization) -> Array | None:
    """Return the Hessians of the points' losses (R, N, P, P), or None where they are unknown or large.

    Of a model that is linear in its parameters they are the Gauss-Newton terms; then these add up to the whole Hessian.
    """
    n_seeds, n_points, size = at.point_gradients.shape
    if n_seeds * n_points * size**2 > MOST_HESSIANS:
        return None
    if hasattr(learner, "point_hessians"):
        return learner.point_hessians(at.params)
    if at.fit is None:
        return None
    vectors, coefficients = at.fit.curvature_rows()
    terms = np.einsum("rnk,rnki,rnkj->rnij", coefficients, vectors, vectors)
    whole = terms.mean(axis=1) + at.fit.penalty * np.eye(size)
    return terms if np.allclose(whole, at.hessian, rtol=0.0, atol=1e-12 * np.abs(at.hessian).max()) else None


def _as_name(name: str) -> str:
    """Return a name that can be that of a file; ValueError for others."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(f"name {shown(name)}, expected the name of a file: letters, digits, '_', '.' and '-'")
    return name


def _options(learner: Any) -> dict[str, Any]:
    """Return the options of a learner, the fields of its dataclass that are no arrays: what training and the model need."""
    found = {f.name: getattr(learner, f.name) for f in fields(learner)} if is_dataclass(learner) else {}
    return {name: value for name, value in found.items() if isinstance(value, bool | int | float | str | tuple | None)}


def _require_data(learner: Any) -> None:
    """Raise ValueError unless the learner has what a truth needs beside its answers."""
    if missing := [name for name in ("X", "y", "X_query", "l2") if not hasattr(learner, name)]:
        raise ValueError(f"{named(learner)} has no {', '.join(missing)}, expected a learner with X, y, X_query and l2")
    if (divisor := normalization_of(learner)) != "n_points":
        raise ValueError(f"{named(learner)} has normalization {divisor!r}, expected 'n_points': effects have the factor 1/N")
