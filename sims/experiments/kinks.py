"""The experiment measures what differentiating through the training of a relu network misses at kinks, step by smaller step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.effects import derivatives, scores_or_undefined, split_by_time
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.hinge import HingeDescent
from sims.experiments.shared.labels import Measured, Variables, array, labelled, measured, table
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import DERIVATIVES, MLP
from theory.datamodel import optimal_datamodel
from theory.metrics import jackknife, relative_error
from theory.response import Array, Learner
from theory.streams import stream

__all__ = ["EXPERIMENT", "KinksConfig", "coarse_derivative", "run"]


@dataclass(frozen=True)
class KinksConfig:
    """A config sets the network, the step sizes, the training time, the seeds, and the differences that are the reference.

    The step size eta is the length of a step of the flow, learning rate / (1 - momentum), and training takes time / eta steps.
    """

    problem: Problem
    step_sizes: tuple[float, ...] = setting("step sizes, the largest first", (0.16, 0.08, 0.04, 0.02), within="(0, inf)")
    time: float = setting("training time: step size times number of steps", 10.0, within="(0, inf)")
    n_seeds: int = 32
    windows: tuple[float, float] = setting("half-widths of the two windows of the differences of F", (0.1, 0.07), within="(0, 1)")
    nodes: int = setting("differences of F in each window", 8, within="[2, inf)")
    edge_nodes: int = setting("nodes on the edge from w_0 = 0 to 1; 0: none", 16, within="[0, inf)")
    sweep_step: float = setting("step size of all comparisons below", 0.08, within="(0, inf)")
    sweep_nodes: int = setting("differences of F in each window for the comparisons below", 4, within="[2, inf)")
    widths: tuple[int, ...] = setting("widths that are compared, of every hidden layer", (), within="none or [1, inf)")
    sizes: tuple[int, ...] = setting("numbers of training points that are compared", (), within="none or [1, inf)")
    training_times: tuple[float, ...] = setting("training times that are compared", (), within="none or (0, inf)")
    penalties: tuple[float, ...] = setting("penalties l2 that are compared", (), within="none or [0, inf)")
    activations: tuple[str, ...] = setting("activations that are compared", ())
    sharpness: tuple[float, ...] = setting("values of s for softplus, log(1 + exp(s z)) / s", (), within="none or (0, inf)")
    sharpness_steps: tuple[float, ...] = setting("step sizes for the values of s", (0.32, 0.08), within="(0, inf)")
    edge_widths: tuple[int, ...] = setting("widths that are compared on the edge", (), within="none or [1, inf)")
    edge_seeds: int = setting("seeds for the widths on the edge", 8, within="[1, inf)")
    beta_steps: tuple[int, ...] = setting(
        "numbers of steps after which beta is compared with D(1)", (), within="none or [1, inf)"
    )
    beta_penalty: float = setting("penalty l2 where beta is compared", 0.01, within="[0, inf)")
    hinge_penalty: float = setting("penalty l2 of a linear model with hinge loss; 0: none is trained", 0.0, within="[0, inf)")
    edges: int = setting("random edges per point on which D is averaged where beta is compared", 1, within="[1, inf)")
    beta_seeds: int = setting("seeds where beta is compared", 8, within="[2, inf)")


def run(config: KinksConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare D(1), unrolled and with the terms of crossings, with coarse differences of F, for every step size.

    For a given seed F jumps in w by amounts that fall with the step, hundreds of times between w = 0 and 1. So the reference is
    a line through many differences in a window around w = 1 (`coarse_derivative`): the mean over two windows, which share no
    difference. `reference_error` is half of how far the two are apart, relative to it: noise of the jumps, and curvature. An
    error below it is no error that was found. Some seeds have a jump near w = 1 that does not fall with the step (T9): no
    derivative sees it, and it can dominate means over seeds, but not medians.

    `error` has the relative errors ||D(1) - reference|| / ||reference|| of every seed, `mean_error` that of the means over seeds,
    with the standard error by the jackknife. `order` is the slope of log `error` on log step size, mean over seeds.
    `correction` is ||sum of the terms of crossings|| / ||D(1) with them||, which needs no reference. On the edge from w_0 = 0 to
    w_0 = 1 `edge_missed` is how far the integral of each derivative is from the change of F, for the smallest step.

    The comparisons change one thing at a time, at one step size. `width_error`, `width_reference_error`, `width_correction` and
    `width_crossings` are as above, by width; so are those that begin with size (the first N points of one data set), time,
    penalty and activation, and with sharpness, for softplus at several step sizes. leaky_relu has no corrected derivative, nor
    are its crossings counted: they are NaN. `edge_width_missed` is `edge_missed` by width.

    After each of `beta_steps`, on all subsets: `beta_error` is how far the datamodel's coefficients are from D(1), and
    `influence_error` how far Hessian influence is, for the means over seeds, with standard errors by the jackknife.
    `average_missed` is how far the average of D over random edges of the cube is from the average change of F on them, which is
    beta for all edges (T2, without the jumps of T16).

    With `hinge_penalty` a linear model is trained on the hinge loss for a time of 8 / l2, whose kink is in the output
    (`sims.experiments.shared.hinge`): `hinge_error` compares D(1), and its projection along the kinks of the support vectors in
    the place of the corrected one, by step size. Raises TypeError if the learner is not a network.
    """
    seeds, steps = tuple(range(config.n_seeds)), tuple(sorted(config.step_sizes, reverse=True))
    found = [_Compared.of(config, step, seeds) for step in steps]
    at, kinds, by_seed = {"step_size": steps}, {"derivative": DERIVATIVES}, {"seed": seeds}

    def mean_error(derivative: str, step: float) -> Measured:
        return found[steps.index(step)].mean_error(derivative)

    errors = np.array([[one.errors(kind) for one in found] for kind in DERIVATIVES])
    variables: Variables = {
        "error": (array(errors, **kinds, **at, **by_seed), "||D(1) - difference of F|| / ||difference of F|| of a seed"),
        "mean_error": (table(mean_error, **kinds, **at), "the same for the means over seeds"),
        "reference_error": (
            array([one.reference_errors() for one in found], **at, **by_seed),
            "half of the relative difference of the two windows",
        ),
        "mean_reference_error": (array([one.mean_reference_error() for one in found], **at), "the same for the means over seeds"),
        "order": (_order(errors, steps), "slope of log error on log step size, mean over seeds"),
        "correction": (array([one.corrections() for one in found], **at, **by_seed), "terms of crossings relative to D(1)"),
        "crossings": (
            array([one.crossings for one in found], **at, **by_seed, kind=("all", "sliding")),
            "crossings per training",
        ),
    }
    if config.edge_nodes:
        variables |= _on_an_edge(config, steps[-1], seeds)
    if config.edge_nodes and config.edge_widths:
        variables |= _edges_by_width(config)
    for name, values, problems in _sweeps(config):
        if values:
            variables |= _swept(config, name, values, problems, seeds)
    if config.sharpness:
        variables |= _by_sharpness(config, seeds)
    if config.hinge_penalty:
        variables |= _on_hinge(config, steps)
    if config.beta_steps:
        variables |= _beside_beta(config, range(config.beta_seeds), retrain)
    return _with_warning(labelled("kinks", config, variables).assign_attrs(n_seeds=config.n_seeds))


def coarse_derivative(learner: Learner, seeds: Sequence[int], window: float, nodes: int) -> Array:
    """Compute dF/dw at w = 1 from differences F(1 + h) - F(1 - h) of one weight at a time, shape (R, M, N).

    With h = (k + 1/2) `window` / `nodes` for k = 0 .. nodes - 1, the result is the coefficient a of the least-squares fit
    a 2h + b 2h^3. It is exact for polynomials of degree up to 4. Jumps of F that are close to each other average out.

    >>> line = MLP([[1.0]], [1.0], [[1.0]], hidden=(), loss="squared", steps=1, learning_rate=0.5, init_scale=1e-9)
    >>> coarse_derivative(line, [0], 0.1, 4).round(6).tolist()  # one step from 0: theta = b = w / 2, F = w
    [[[1.0]]]
    """
    n, h = learner.n_points, window * (np.arange(nodes) + 0.5) / nodes
    rows = 1.0 + np.concatenate([sign * x * np.eye(n) for x in h for sign in (1.0, -1.0)])
    F = learner.respond(rows, seeds).reshape(nodes, 2, n, len(seeds), -1)
    weights = np.linalg.pinv(np.column_stack([2.0 * h, 2.0 * h**3]))[0]
    return np.moveaxis(np.tensordot(weights, F[:, 0] - F[:, 1], 1), 0, -1)


@dataclass(frozen=True)
class _Compared:
    """Both derivatives, (R, M, N) each, the two references, and the numbers of crossings (R, 2), at one step size.

    For leaky_relu there is only the unrolled one; the errors of the other are NaN, and the numbers too.
    """

    derivatives: dict[str, Array]
    references: tuple[Array, Array]
    crossings: Array

    @classmethod
    def of(cls, config: KinksConfig, step: float, seeds: Sequence[int]) -> "_Compared":
        some, (wide, narrow) = _learner(config, step, "unrolled"), config.windows
        ones = np.ones((1, some.n_points))
        derivatives = {"unrolled": some.weight_jacobian(ones, seeds)[0]}
        crossings = np.full((len(seeds), 2), np.nan)
        if some.activation != "leaky_relu":
            derivatives["crossings"] = _learner(config, step, "crossings").weight_jacobian(ones, seeds)[0]
            crossings = some.crossings(ones, seeds)[0].astype(np.float64)
        references = (coarse_derivative(some, seeds, window, config.nodes) for window in (wide, narrow))
        return cls(derivatives, (next(references), next(references)), crossings)

    @property
    def reference(self) -> Array:
        first, second = self.references
        return 0.5 * (first + second)

    def errors(self, kind: str) -> list[float]:
        if kind not in self.derivatives:
            return [np.nan] * len(self.reference)
        return [relative_error(*pair) for pair in zip(self.derivatives[kind], self.reference, strict=True)]

    def mean_error(self, kind: str) -> Measured:
        pair = self.derivatives[kind], self.reference
        return measured(relative_error(*(x.mean(axis=0) for x in pair)), jackknife(relative_error, *pair))

    def reference_errors(self) -> list[float]:
        return [relative_error(*pair) for pair in zip(self.references[0], self.reference, strict=True)]

    def mean_reference_error(self) -> float:
        return relative_error(self.references[0].mean(axis=0), self.reference.mean(axis=0))

    def corrections(self) -> list[float]:
        if "crossings" not in self.derivatives:
            return [np.nan] * len(self.reference)
        pairs = zip(self.derivatives["unrolled"], self.derivatives["crossings"], strict=True)
        return [relative_error(*pair) for pair in pairs]


def _sweeps(config: KinksConfig) -> list[tuple[str, Sequence[Any], list[KinksConfig]]]:
    """Return the name, the values and the configs of every comparison in which one thing changes."""
    problem = config.problem
    network = _learner(config, config.sweep_step, "unrolled")

    def changed(values: Sequence[Any], option: str) -> list[KinksConfig]:
        return [replace(config, problem=problem.changed(**{option: value})) for value in values]

    return [
        ("width", config.widths, [_of_width(config, len(network.hidden), width) for width in config.widths]),
        ("size", config.sizes, [replace(config, problem=replace(problem, n_points=size)) for size in config.sizes]),
        ("time", config.training_times, [replace(config, time=time) for time in config.training_times]),
        ("penalty", config.penalties, changed(config.penalties, "l2")),
        ("activation", config.activations, changed(config.activations, "activation")),
    ]


def _of_width(config: KinksConfig, n_layers: int, width: int) -> KinksConfig:
    """Return the config with this width of every hidden layer."""
    return replace(config, problem=config.problem.changed(hidden=(width,) * n_layers))


def _swept(config: KinksConfig, name: str, values: Sequence[Any], changed: list[KinksConfig], seeds: Sequence[int]) -> Variables:
    """Compare both derivatives with differences at `sweep_step`, for every changed config."""
    at = {name: tuple(values)}
    found = [_Compared.of(replace(one, nodes=config.sweep_nodes), config.sweep_step, seeds) for one in changed]
    return _described(found, name, at, (len(values),), seeds)


def _by_sharpness(config: KinksConfig, seeds: Sequence[int]) -> Variables:
    """Compare the derivative of softplus networks with differences, by sharpness and step size."""
    at = {"sharpness_step": config.sharpness_steps, "sharpness": config.sharpness}
    found = [
        _Compared.of(
            replace(config, problem=config.problem.changed(activation="softplus", sharpness=s), nodes=config.sweep_nodes),
            step,
            seeds,
        )
        for step in config.sharpness_steps
        for s in config.sharpness
    ]
    return _described(found, "sharpness", at, (len(config.sharpness_steps), len(config.sharpness)), seeds)


def _described(
    found: "list[_Compared]", name: str, at: Mapping[str, Sequence[Any]], shape: tuple[int, ...], seeds: Sequence[int]
) -> Variables:
    """Return the errors, those of the reference, the corrections and the crossings of comparisons, whose values are `at`."""
    kinds, by_seed, n = {"derivative": DERIVATIVES}, {"seed": seeds}, len(seeds)
    errors = np.array([[one.errors(kind) for one in found] for kind in DERIVATIVES]).reshape(2, *shape, n)
    references = np.array([one.reference_errors() for one in found]).reshape(*shape, n)
    corrections = np.array([one.corrections() for one in found]).reshape(*shape, n)
    crossings = np.array([one.crossings for one in found]).reshape(*shape, n, 2)
    return {
        f"{name}_error": (array(errors, **kinds, **at, **by_seed), f"`error` by {name}"),
        f"{name}_reference_error": (array(references, **at, **by_seed), f"`reference_error` by {name}"),
        f"{name}_correction": (array(corrections, **at, **by_seed), f"`correction` by {name}"),
        f"{name}_crossings": (array(crossings, **at, **by_seed, kind=("all", "sliding")), f"`crossings` by {name}"),
    }


def _learner(config: KinksConfig, step: float, derivative: str) -> MLP:
    """Build the network with this step of the flow and this derivative."""
    problem = config.problem
    rate, count = step * (1.0 - problem.number("momentum")), max(1, round(config.time / step))
    learner = problem.build(learning_rate=rate, steps=count, derivative=derivative)
    if not isinstance(learner, MLP):
        raise TypeError(f"{problem.name} is not a network, expected the learner mlp")
    return learner


def _order(errors: Array, steps: Sequence[float]) -> Measured:
    """Fit log error (derivatives, steps, R) = a + order log step for every seed; return the mean order and its standard error."""
    x = np.log(steps) - np.mean(np.log(steps))
    with np.errstate(divide="ignore", invalid="ignore"):  # without any error there is no order: NaN
        slopes = np.einsum("s,dsr->dr", x, np.log(errors)) / (x @ x)
        spread = slopes.std(axis=1, ddof=1) if slopes.shape[1] > 1 else np.full(len(slopes), np.nan)
    return measured(slopes.mean(axis=1), spread / np.sqrt(slopes.shape[1]), derivative=DERIVATIVES)


def _on_an_edge(config: KinksConfig, step: float, seeds: Sequence[int]) -> Variables:
    """Compare the change of F from w_0 = 0 to 1, the other weights 1, with integrals of D_0 by the midpoint rule."""
    change, integrals, missed = _edge(config, step, seeds)
    by_output = {"output": range(change.shape[1])}
    return {
        "edge_change": (array(change.mean(axis=0), **by_output), "F at w_0 = 1 minus F at w_0 = 0, mean over seeds"),
        "edge_integral": (
            array([integrals[kind].mean(axis=0) for kind in DERIVATIVES], derivative=DERIVATIVES, **by_output),
            "integral of D_0 from w_0 = 0 to 1, mean over seeds",
        ),
        "edge_missed": (
            array(missed, derivative=DERIVATIVES, seed=seeds),
            "||integral of D_0 - change of F|| / ||change of F|| of a seed",
        ),
    }


def _edges_by_width(config: KinksConfig) -> Variables:
    """Compare changes of F on the edge with integrals of D_0, for every width of the hidden layers."""
    seeds, n_layers = range(config.edge_seeds), len(_learner(config, config.sweep_step, "unrolled").hidden)
    missed = [_edge(_of_width(config, n_layers, width), config.sweep_step, seeds)[2] for width in config.edge_widths]
    values = np.array(missed).swapaxes(0, 1)
    at = {"derivative": DERIVATIVES, "edge_width": config.edge_widths, "edge_seed": seeds}
    return {"edge_width_missed": (array(values, **at), "`edge_missed` by width")}


def _edge(config: KinksConfig, step: float, seeds: Sequence[int]) -> tuple[Array, dict[str, Array], list[list[float]]]:
    """Return the change of F on the edge (R, M), the integrals (R, M) of both derivatives, and what they miss of each seed."""
    learners = {kind: _learner(config, step, kind) for kind in DERIVATIVES}
    some, nodes = learners["unrolled"], (np.arange(config.edge_nodes) + 0.5) / config.edge_nodes
    rows = np.ones((config.edge_nodes, some.n_points))
    rows[:, 0] = nodes
    ends = np.ones((2, some.n_points))
    ends[0, 0] = 0.0
    before, after = some.respond(ends, seeds)
    change = after - before  # (R, M)
    integrals = {kind: learner.weight_jacobian_column(rows, seeds, 0).mean(axis=0) for kind, learner in learners.items()}
    return (
        change,
        integrals,
        [[relative_error(*pair) for pair in zip(integrals[kind], change, strict=True)] for kind in DERIVATIVES],
    )


def _on_hinge(config: KinksConfig, steps: Sequence[float]) -> Variables:
    """Compare the derivative of a linear model on the hinge loss, and its projection, with differences, by step size."""
    l2, given, (wide, narrow) = config.hinge_penalty, _learner(config, steps[0], "unrolled"), config.windows
    points, queries = (np.column_stack([X, np.ones(len(X))]) for X in (given.X, given.X_query))
    errors, references = np.empty((2, len(steps))), np.empty(len(steps))
    for k, step in enumerate(steps):
        learner = HingeDescent(points, 2.0 * given.y - 1.0, queries, round(_HINGE_TIME / (l2 * step)), step, l2)
        first, second = (coarse_derivative(learner, [0], window, config.sweep_nodes)[0] for window in (wide, narrow))
        reference = 0.5 * (first + second)
        errors[:, k] = [relative_error(D, reference) for D in learner.derivatives()]
        references[k] = relative_error(first, reference)
    return {
        "hinge_error": (array(errors, derivative=DERIVATIVES, step_size=steps), "`error` of a linear model with hinge loss"),
        "hinge_reference_error": (array(references, step_size=steps), "`reference_error` of a linear model with hinge loss"),
    }


_HINGE_TIME = 8.0
"""Training time times l2: what is left of the start is exp(-8)."""


def _beside_beta(config: KinksConfig, seeds: Sequence[int], retrain: Retrain) -> Variables:
    """Compare beta, Hessian influence and averages over edges with each derivative, after each of `beta_steps`."""
    penalised, times = replace(config, problem=config.problem.changed(l2=config.beta_penalty)), config.beta_steps
    learners = {
        kind: replace(_learner(penalised, config.sweep_step, kind), steps=max(times), snapshots=tuple(times))
        for kind in DERIVATIVES
    }
    some = learners["unrolled"]
    require_per_subset(some, 6 * len(seeds) * some.n_outputs, "kinks")
    samples = retrain(some, tuple(seeds)).samples
    beta = split_by_time(np.stack([optimal_datamodel(one).coefficients for one in samples]), len(times))
    ones = np.ones(some.n_points)
    scores = [scores_or_undefined(at) for at in some.linearizations(ones, seeds)]
    rows, change = _random_edges(some, config, seeds)
    found = np.empty((3, 2, 2, len(times)))  # what, value and error, derivative, time
    for k, learner in enumerate(learners.values()):
        D = derivatives(learner, ones, seeds, len(times))
        average = split_by_time(_averages(learner, rows, seeds), len(times))
        for t in range(len(times)):
            for what, (estimate, reference) in enumerate(((beta[t], D[t]), (scores[t], D[t]), (average[t], change[t]))):
                found[what, :, k, t] = _error_of_means(estimate, reference)
    at = {"derivative": DERIVATIVES, "after": times}
    names = {
        "beta_error": "||beta - D(1)|| / ||D(1)||, means over seeds",
        "influence_error": "||Hessian influence - D(1)|| / ||D(1)||, means over seeds",
        "average_missed": "||average of D on edges - average change of F|| / ||average change of F||, means over seeds",
    }
    return {name: (measured(*found[what], **at), text) for what, (name, text) in enumerate(names.items())}


def _error_of_means(estimate: Array, reference: Array) -> tuple[float, float]:
    """Return the relative error of the means of (R, N, M) over seeds, and its standard error; NaN for an undefined estimate."""
    if not np.isfinite(estimate).all():
        return np.nan, np.nan
    value = relative_error(estimate.mean(axis=0), reference.mean(axis=0))
    return value, float(jackknife(relative_error, estimate, reference))


def _random_edges(learner: MLP, config: KinksConfig, seeds: Sequence[int]) -> tuple[Array, list[Array]]:
    """Draw edges of the cube for every point, each point of the others with probability 1/2.

    Return rows of weights (N, edges x nodes, N) at the midpoints, and the mean changes of F (R, N, M) for every time.
    """
    n, nodes = learner.n_points, (np.arange(config.sweep_nodes * 2) + 0.5) / (config.sweep_nodes * 2)
    corners = stream("kinks, random edges", 0).integers(0, 2, (n, config.edges, n)).astype(np.float64)
    rows, changes = np.repeat(corners, len(nodes), axis=1), list[Array]()
    for i in range(n):
        ends = np.repeat(corners[i], 2, axis=0)
        ends[:, i] = np.tile([0.0, 1.0], config.edges)
        F = learner.respond(ends, seeds)
        changes.append((F[1::2] - F[::2]).mean(axis=0))
        rows[i, :, i] = np.tile(nodes, config.edges)
    return rows, split_by_time(np.stack(changes, axis=1), len(config.beta_steps))


def _averages(learner: MLP, rows: Array, seeds: Sequence[int]) -> Array:
    """Average D_i over the rows (N, B, N) of point i, (R, N, K M)."""
    return np.stack([learner.weight_jacobian_column(rows[i], seeds, i).mean(axis=0) for i in range(len(rows))], axis=1)


def _with_warning(result: xr.Dataset) -> xr.Dataset:
    """Return the result, with an attribute `warning` that says how far the unrolled derivative is off, if it is at all."""
    last = result.isel(step_size=-1)
    correction = float(last.correction.median())
    if correction == 0.0:
        return result
    total, sliding = last.crossings.mean("seed").values
    text = (
        f"training crosses kinks {total:.0f} times ({sliding / total:.0%} of them sliding) at step size "
        f"{float(last.step_size):g}: D(1) that is differentiated step by step lacks {correction:.2g} of D(1) "
        "(median over seeds), at any step size"
    )
    return result.assign_attrs(warning=text)


_RELU: dict[str, Any] = {"hidden": (8,), "activation": "relu"}
_SWEEPS: dict[str, Any] = {
    "widths": (4, 8, 16, 32, 64),
    "edge_widths": (4, 16, 64, 256),
    "sizes": (6, 8, 10, 12),
    "training_times": (2.5, 10.0, 40.0),
    "penalties": (0.0, 0.003, 0.03),
    "beta_steps": (1, 10, 100, 1000),
}
_SHARPNESS = (1.0, 16.0, 256.0, 1024.0, 4096.0, 2.0**18)


def _problem(data: str, **options: Any) -> Problem:
    return Problem(data, "mlp", **{**_RELU, **options}, n_points=8, n_queries=4)


def _user_case(problem: Problem, small: bool) -> KinksConfig:
    relu = problem.changed("steps", "learning_rate", activation="relu")
    return KinksConfig(relu, step_sizes=(0.16, 0.08), n_seeds=4, edge_nodes=0) if small else KinksConfig(relu)


EXPERIMENT = Experiment(
    name="kinks",
    question="Is what differentiates through the training of a relu network the derivative of its response?",
    cases=(
        KinksConfig(_problem("xor"), **_SWEEPS, activations=("relu", "leaky_relu", "gelu", "tanh"), sharpness=_SHARPNESS),
        KinksConfig(_problem("two_moons"), **_SWEEPS, activations=("relu", "leaky_relu")),
        KinksConfig(_problem("spector"), hinge_penalty=0.03),
        KinksConfig(_problem("xor", hidden=(6, 5)), step_sizes=(0.04, 0.02, 0.01, 0.005), n_seeds=64, edge_nodes=0),
        KinksConfig(_problem("two_moons", momentum=0.5)),
        KinksConfig(_problem("spector", batch_size=4)),
        KinksConfig(_problem("xor", activation="tanh"), step_sizes=(0.16, 0.08)),
    ),
    small=(
        KinksConfig(
            Problem("xor", "mlp", hidden=(4,), activation="relu", n_points=5, n_queries=2),
            step_sizes=(0.2, 0.1, 0.05),
            time=5.0,
            n_seeds=4,
            nodes=4,
            edge_nodes=8,
            sweep_step=0.1,
            sweep_nodes=2,
            widths=(4, 16),
            edge_widths=(4, 16),
            edge_seeds=2,
            activations=("relu", "tanh"),
            sharpness=(1.0, 64.0),
            sharpness_steps=(0.2,),
            beta_steps=(1, 10),
            beta_seeds=2,
            hinge_penalty=0.1,
        ),
    ),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS, at_most=8),
    most_points=lambda config: 12 if config.beta_steps else None,
    varies={"learning_rate": "step_sizes", "steps": "time", "snapshots": "time", "derivative": "the experiment itself"},
)
