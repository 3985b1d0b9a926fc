"""The experiment measures the linear datamodeling score (LDS) of attributions, and of datamodels by number of retrainings."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.digits import CONVERGED, NETWORK, TEN_DIGITS, YOUNG
from sims.experiments.shared.effects import derivatives, linearizations
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, labelled, measured
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.scores import HESSIAN_BASED, PRACTICE, SCORES, TRAINED, Practice, along_training
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import CONVEX
from theory.laws import Bernoulli
from theory.metrics import rank_correlations
from theory.response import Array
from theory.sampling.designs import independent
from theory.streams import stream

__all__ = ["EXPERIMENT", "QUALITIES", "TARGETS", "LdsConfig", "run"]

PROBABILITIES = (0.5, 0.9)
TARGETS = (*(f"p = {p:g}" for p in PROBABILITIES), "1 to 3 removed")
"""Kinds of subsets whose responses are predicted; no attribution was fitted to these subsets."""

ESTIMATES = ("D(1)", "LOO", *SCORES, *TRAINED)
QUALITIES = ("lds", "pearson", "relative_error", "slope")
HALVES = ("all outputs", "even outputs", "odd outputs")
"""Outputs that are predicted; a single output is its own half."""


@dataclass(frozen=True)
class LdsConfig:
    """A config sets the learner, the retrainings of a datamodel, the independent designs, the seeds and score settings.

    A design has as many random subsets at each p as the largest of `retrainings`, of which a datamodel takes the first, and
    `n_subsets` fresh subsets per target.
    """

    problem: Problem
    retrainings: tuple[int, ...] = setting("numbers of subsets that datamodels are fitted to", within="[1, inf)")
    n_subsets: int = setting("fresh subsets on which predictions are judged, for every target", 200, within="[2, inf)")
    n_designs: int = setting("independent designs", 8, within="[2, inf)")
    n_seeds: int = 1
    practice: Practice = PRACTICE
    without: tuple[str, ...] = field(default=(), metadata={"fixed": True})  # scores that would take too long, of ESTIMATES

    def __post_init__(self) -> None:
        wrong = set(self.without) - {*SCORES, *TRAINED}
        if wrong:
            raise ValueError(f"without has {sorted(wrong)}, expected names from {', '.join((*SCORES, *TRAINED))}")


def run(config: LdsConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure how well sums of effects over absent points predict F, averaged over seeds, on fresh subsets.

    `score` holds the attributions that need no retraining on subsets, and leave-one-out, which needs N + 1 retrainings.
    `datamodel` holds OLS on the first m independent draws at each p. Both are means over designs, which share no subset, drawn or
    fresh; their standard errors are over designs. `score_of_design` and `datamodel_of_design` have what each design gives on
    either half of the outputs, so that a choice made on one half can be judged on the other; and, for standard errors over
    seeds, what it gives without each of the seeds. A value is NaN if it is undefined, if the score is one of `without`, or if OLS
    has too few subsets.
    """
    learner, seeds, steps = config.problem.build(), tuple(range(config.n_seeds)), int(config.problem.number("steps"))
    n, ones, most = learner.n_points, np.ones(learner.n_points), max(config.retrainings)
    (at,) = linearizations(learner, seeds)
    removals = retrain(learner, seeds, part="leave-one-out", weights=np.vstack([ones, 1.0 - np.eye(n)])).samples
    follow = bool(steps) and not set(TRAINED) <= set(config.without)
    (followed,) = along_training(config.problem, (steps,) if follow else (), seeds, config.practice)
    effects = {"D(1)": derivatives(learner, ones, seeds)[0], "LOO": removals[:, :1] - removals[:, 1:]}
    effects |= {name: make(config.practice, at) for name, make in SCORES.items() if name not in config.without}
    effects |= {name: score for name, score in followed.items() if name not in config.without}
    scores = np.stack([effects.get(name, np.full_like(effects["LOO"], np.nan)) for name in ESTIMATES])  # (E, R, N, M)

    def retrained(part: str, masks: Array) -> Array:
        """Return responses (design, R, subset, M) to masks (design, subset, N)."""
        samples = retrain(learner, seeds, part=part, weights=masks.reshape(-1, n)).samples
        return samples.reshape(len(seeds), *masks.shape[:2], -1).swapaxes(0, 1)

    fresh = dict(zip(TARGETS, _fresh_subsets(n, config.n_designs, config.n_subsets), strict=True))
    truth = {target: retrained(f"fresh {target}", masks) for target, masks in fresh.items()}
    fits: list[Array] = []  # by p: (design, retrainings, R, N, M)
    for p in PROBABILITIES:
        masks = _designs(p, config.n_designs, most, n)
        responses = retrained(f"p={p:g}", masks)
        fits.append(
            np.array([[_ols(s[:m], f[:, :m]) for m in config.retrainings] for s, f in zip(masks, responses, strict=True)])
        )
    without = ("none", *map(str, seeds)) if len(seeds) > 1 else ("none",)
    found: list[Array] = []  # by design: (without, target, E + P * K, half, quality)
    for design in range(config.n_designs):
        both = np.concatenate([scores, *(fit[design] for fit in fits)])
        parts = [_without(seed, both, [truth[t][design] for t in TARGETS]) for seed in without]
        found.append(np.array([[_quality(e, fresh[t][design], f) for t, f in zip(TARGETS, fs, strict=True)] for e, fs in parts]))
    each = np.array(found).transpose(0, 4, 1, 2, 3, 5)  # (design, half, without, target, estimate, quality)
    coords = {"design": range(config.n_designs), "half": HALVES, "without": without, "target": TARGETS}
    by_score = array(each[..., : len(ESTIMATES), :], **coords, estimate=ESTIMATES, quality=QUALITIES)
    shape = (*each.shape[:4], len(PROBABILITIES), len(config.retrainings), len(QUALITIES))
    fitted = {"p": PROBABILITIES, "retrainings": config.retrainings, "quality": QUALITIES}
    by_fit = array(each[..., len(ESTIMATES) :, :].reshape(shape), **coords, **fitted)
    order = ("p", "retrainings", "target", "quality")
    variables: Variables = {
        "score": (
            _over_designs(by_score, "target", "estimate", "quality"),
            "predicted against retrained response of fresh subsets",
        ),
        "datamodel": (_over_designs(by_fit, *order), "the same of sampled datamodels"),
        "score_of_design": (by_score.sel(half=list(HALVES[1:])), "the same of each design, on half of the outputs"),
        "datamodel_of_design": (by_fit.sel(half=list(HALVES[1:])), "the same of each design, on half of the outputs"),
    }
    result = labelled("lds", config, variables).assign_attrs(hessian_based=HESSIAN_BASED, n_outputs=learner.n_outputs)
    return with_conditioning(result, [learner], seeds)


def _fresh_subsets(n: int, designs: int, count: int) -> list[Array]:
    """Draw the fresh subsets of every target, (designs, count, N) each."""
    rows = designs * count
    draws = [Bernoulli(p).draw(n_subsets=rows, n_points=n, rng=stream(f"lds p={p:g}", 0)) for p in PROBABILITIES]
    rng, few = stream("lds few", 0), np.ones((rows, n))
    for row in few:
        row[rng.permutation(n)[: rng.integers(1, 4)]] = 0.0
    return [masks.reshape(designs, count, n) for masks in (*draws, few)]


def _designs(p: float, designs: int, count: int, n: int) -> Array:
    """Draw independent subsets at p, (designs, count, N)."""
    return np.stack([independent(Bernoulli(p), n_subsets=count, n_points=n, seed=seed).masks for seed in range(designs)])


def _ols(masks: Array, responses: Array) -> Array:
    """Return the coefficients (R, N, M) of least squares on masks (m, N) for responses (R, m, M); NaN if m is too small."""
    n_seeds, _, n_outputs = responses.shape
    centred = masks - masks.mean(axis=0)
    gram, n = centred.T @ centred, masks.shape[1]
    if np.linalg.matrix_rank(gram, hermitian=True) < n:
        return np.full((n_seeds, n, n_outputs), np.nan)
    together = responses.swapaxes(0, 1).reshape(len(masks), -1)
    solved = np.asarray(scipy.linalg.solve(gram, centred.T @ together, assume_a="pos"), dtype=np.float64)
    return solved.reshape(n, n_seeds, n_outputs).swapaxes(0, 1)


def _without(seed: str, effects: Array, truths: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Average effects (E, R, N, M) and responses (R, B, M) over all seeds but one: (E, N, M) and (B, M) each."""
    kept = [r for r in range(effects.shape[1]) if str(r) != seed]
    return effects[:, kept].mean(axis=1), [truth[kept].mean(axis=0) for truth in truths]


_LARGEST = 1e150


def _quality(effects: Array, masks: Array, actual: Array) -> Array:
    """Measure sums of effects (E, N, M) over absent points against responses (B, M) by `QUALITIES`, on `HALVES` of the outputs.

    The shape is (E, half, quality). NaN for an effect that is undefined, or so large that its square is no number (SOURCE on a
    long segment with negative eigenvalues).
    """
    m, values = effects.shape[2], np.full((len(effects), len(HALVES), len(QUALITIES)), np.nan)
    defined = np.flatnonzero(np.abs(np.nan_to_num(effects, nan=np.inf)).max(axis=(1, 2)) < _LARGEST)
    predicted = -np.einsum("bn,enm->bem", 1.0 - masks, effects[defined], optimize=True)
    wide = predicted.reshape(len(masks), -1), np.tile(actual, (1, len(defined)))
    ranks = rank_correlations(*wide).reshape(len(defined), m)
    p, a = predicted - predicted.mean(axis=0), (actual - actual.mean(axis=0))[:, None]
    pp, pa, aa = (np.square(p).sum(axis=0), (p * a).sum(axis=0), np.square(a).sum(axis=0))  # (E, M), the last (1, M)
    with np.errstate(divide="ignore", invalid="ignore"):
        pearson = pa / np.sqrt(pp * aa)
        for half, outputs in enumerate((slice(None), slice(0, None, 2), slice(1, None, 2) if m > 1 else slice(None))):
            size = aa[:, outputs].sum(axis=1)
            wrong = np.sqrt(np.maximum((pp - 2.0 * pa + aa)[:, outputs].sum(axis=1), 0.0) / size)
            both = ranks[:, outputs].mean(axis=1), pearson[:, outputs].mean(axis=1)
            values[defined, half] = np.stack([*both, wrong, pa[:, outputs].sum(axis=1) / size], axis=1)
    return values


def _over_designs(each: xr.DataArray, *dims: str) -> Measured:
    """Average over designs, of all outputs and seeds; the standard error is NaN for one design."""
    values = each.sel(half=HALVES[0], without="none", drop=True).transpose("design", *dims)
    error = values.std("design", ddof=1) / np.sqrt(values.sizes["design"]) if values.sizes["design"] > 1 else np.nan * values[0]
    coords = {name: values[name].values for name in dims}
    return measured(values.mean("design").values, error.values, errors_over="independent designs", **coords)


_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}


def _user_case(problem: Problem, small: bool) -> LdsConfig:
    n = problem.n_points or 0
    if problem.learner in CONVEX:
        retrainings = tuple(n * k for k in (2, 5, 10, 20) if n * k <= max(500 if small else 4_000, 5 * n))
        return LdsConfig(problem, retrainings, n_subsets=50 if small else 125, n_designs=4)
    trained = problem.changed(steps=100 if small else 500)
    retrainings = tuple(n * k for k in ((2, 5) if small else (2, 5, 10)))
    return LdsConfig(trained, retrainings, n_subsets=20 if small else 60, n_designs=3, n_seeds=2 if small else 4)


_MOONS = Problem("two_moons", "mlp", **_NETWORK, n_points=40)
_FEW = (1.5, 2, 2.5, 3, 4, 5, 10, 20)


_COSTLY = ("pseudo-inverse", "Newton step", "damped |H|", *TRAINED)
"""Scores that need all eigenvectors of a Hessian, Hessians at many steps, or one for every point."""


def _each(n: int, *per_point: float) -> tuple[int, ...]:
    """Return the retrainings of N points."""
    return tuple(round(n * count) for count in per_point)


EXPERIMENT = Experiment(
    name="lds",
    question="Which attribution ranks the responses to other training sets best, and how much do more retrainings help?",
    cases=(
        LdsConfig(Problem("spector", "logistic", l2=0.1), _each(16, 2, 3, 4, 5, 7.5, 10, 12.5, 15, 20, 50)),
        LdsConfig(Problem("fair", "logistic", l2=0.01, n_points=200), _each(200, 5, 7.5, 10, 12.5, 15, 20, 50), n_designs=5),
        LdsConfig(_MOONS.changed(steps=10), _each(40, *_FEW), n_subsets=60, n_designs=6, n_seeds=4),
        LdsConfig(_MOONS.changed(steps=500), _each(40, *_FEW), n_subsets=60, n_designs=5, n_seeds=4),
        LdsConfig(replace(_MOONS, data_seed=1).changed(steps=10), _each(40, *_FEW), n_subsets=60, n_designs=4, n_seeds=4),
        *(
            LdsConfig(replace(NETWORK, n_points=21).changed(steps=steps), _each(21, *_FEW), n_subsets=60, n_designs=4, n_seeds=4)
            for steps in (YOUNG, CONVERGED)
        ),
        LdsConfig(TEN_DIGITS, _each(500, 1.5, 2, 3, 4), n_subsets=60, n_designs=4, without=_COSTLY),
    ),
    small=(
        LdsConfig(
            Problem("spector", "logistic", l2=0.1, n_points=10, n_queries=2),
            (20, 50, 100, 200),
            n_subsets=40,
            n_designs=4,
        ),
        LdsConfig(
            Problem("two_moons", "mlp", **_NETWORK, steps=30, n_points=10, n_queries=2),
            (20, 50, 100, 200),
            n_subsets=40,
            n_designs=4,
            n_seeds=2,
        ),
    ),
    run=run,
    user_case=_user_case,
    most_points=lambda config: None,
)
