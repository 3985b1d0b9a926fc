"""Define gradient descent for learners in other libraries: options, steps, batches, and what is said of what does not fit.

All that does not differentiate is here; a learner adds the gradients of its library.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sims.learners.adapters.penalty import Leaves, OtherObjectiveError, other_penalty
from sims.learners.shared import checks
from sims.learners.shared.batches import batch_numbers, n_epochs
from sims.learners.shared.class_outputs import ClassOutput
from sims.learners.shared.representation import short_repr
from theory.response import Array
from theory.subsets import name_subset

__all__ = ["OPTIMIZERS", "SCHEDULES", "Batches", "Optimizer", "TrainedLearner", "answers_of"]

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "cosine")
MODES = ("auto", "forward", "reverse")

Batches = tuple[NDArray[np.int64], Array]
"""Points of the batch of every step (R, steps, S), and their shares of its sum: 1/|batch|, and 0 for entries that fill it up."""


@dataclass(frozen=True)
class Optimizer:
    """The steps of `sgd`, `adam` and `adamw`, for the arrays of any library; `sims.learners.MLP` says what they are.

    A state is (theta,), (theta, v) with momentum, or (theta, m, v). `numbers` is the library, for its `where` and `sqrt`.
    """

    name: str
    l2: float
    momentum: float
    betas: tuple[float, float]
    eps: float

    @property
    def memories(self) -> int:
        """Return how many arrays like theta a state has beside it."""
        return 2 if self.name != "sgd" else int(self.momentum > 0.0)

    @property
    def penalty(self) -> float:
        """Return the penalty of the objective: 0 for adamw, whose decay is not in the gradient."""
        return 0.0 if self.name == "adamw" else self.l2

    def scales(self, rates: Array) -> Array:
        """Return for every step its rate, 1 - b_1^t and 1 - b_2^t, shape (steps, 3).

        >>> Optimizer("adam", 0.0, 0.0, (0.5, 0.75), 1e-8).scales(np.array([0.1, 0.1])).tolist()
        [[0.1, 0.5, 0.25], [0.1, 0.75, 0.4375]]
        """
        t = np.arange(1, len(rates) + 1)
        return np.stack([rates, *(1.0 - np.power(beta, t, dtype=np.float64) for beta in self.betas)], axis=1)

    def step(self, state: tuple[Any, ...], gradient: Any, scales: Any, numbers: Any) -> tuple[Any, ...]:
        """Return the state after one step; `gradient` is that of the losses, without the penalty.

        >>> Optimizer("sgd", 0.5, 0.0, (0.9, 0.999), 1e-8).step((np.ones(2),), np.array([0.5, 0.0]), [0.1, 1.0, 1.0], np)
        (array([0.9 , 0.95]),)
        """
        theta, *memory = state
        rate = scales[0]
        g = gradient + self.penalty * theta if self.penalty else gradient
        if self.name == "sgd":
            velocity = self.momentum * memory[0] + g if memory else g
            return (theta - rate * velocity, *([velocity] if memory else []))
        first, second = self.betas
        m, v = first * memory[0] + (1.0 - first) * g, second * memory[1] + (1.0 - second) * g * g
        moved = v > 0.0  # where it is not, m = 0, too, and m / (s + eps) has the derivative dm / eps: s = sqrt(v) has none
        spread = numbers.where(moved, numbers.sqrt(numbers.where(moved, v / scales[2], 1.0)), 0.0)
        kept = theta * (1.0 - rate * self.l2) if self.name == "adamw" else theta
        return kept - rate * (m / scales[1]) / (spread + self.eps), m, v


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedLearner(ABC):
    """The options of gradient descent that learners of all libraries share; `sims.learners.MLP` has the same.

    A subclass has the fields X, y and X_query, and the names of its functions and options for messages.
    """

    steps: int | None = None
    learning_rate: float | None = None
    l2: float = 0.0
    optimizer: str = "sgd"
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    batch_size: int | None = None
    schedule: str = "constant"
    train: Callable[..., Any] | None = field(default=None, repr=False)
    y_query: ArrayLike | None = field(default=None, repr=False)
    mode: Literal["auto", "forward", "reverse"] = "auto"
    chunk: int | None = None
    name: str | None = None
    has_bias: bool = False

    __repr__ = short_repr

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # compiled functions are not pickled

    def _check_training(self) -> None:
        """Check the data and all options of training, and store them."""
        X, y = np.asarray(self._data("X")), np.asarray(self._data("y"))
        design = checks.as_design(X)
        targets, queries = checks.as_targets(y, len(design)), checks.as_queries(self._data("X_query"), design.shape[1])
        checks.store(self, X=design, y=targets, X_query=queries, l2=checks.as_penalty(self.l2))
        if self.chunk is not None:
            checks.store(self, chunk=checks.as_count("chunk", self.chunk))
        for name, known in (("mode", MODES), ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            checks.one_of(name, getattr(self, name), known)
        descent = (self.steps is not None, self.learning_rate is not None)
        if (self.train is None and not all(descent)) or (self.train is not None and any(descent)):
            raise ValueError(
                f"steps = {self.steps}, learning_rate = {self.learning_rate}, train = {self.train}: expected both numbers, for "
                "gradient descent, or a train function of your own and neither"
            )
        self._check_optimizer()
        if self.steps is not None and self.learning_rate is not None:
            checks.store(self, steps=checks.as_count("steps", self.steps))
            checks.store(self, learning_rate=checks.as_positive("learning_rate", self.learning_rate))

    def _check_optimizer(self) -> None:
        """Check the options of the optimiser, and refuse those that it does not have."""
        if np.shape(self.betas) != (2,):
            raise ValueError(f"betas = {self.betas}, expected two numbers (b_1, b_2) with 0 <= b < 1")
        first, second = (checks.as_fraction(f"betas[{k}]", beta) for k, beta in enumerate(self.betas))
        checks.store(self, betas=(first, second), eps=checks.as_positive("eps", self.eps))
        checks.store(self, momentum=checks.as_fraction("momentum", self.momentum))
        defaults = {f.name: f.default for f in fields(TrainedLearner)}
        adam = self.optimizer != "sgd"
        own = ("optimizer", "momentum", "betas", "eps", "batch_size", "schedule")
        other = own if self.train is not None else ("momentum",) if adam else ("betas", "eps")
        for name in other:
            if getattr(self, name) != defaults[name]:
                owner = "a train function of your own" if self.train is not None else f"optimizer {self.optimizer}"
                raise ValueError(f"{name} = {getattr(self, name)!r} with {owner}, expected none: it does not use {name}")
        if self.batch_size is not None:
            checks.store(self, batch_size=checks.as_count("batch_size", self.batch_size))
            if self.batch_size > self.n_points:
                raise ValueError(
                    f"batch_size = {self.batch_size}, expected 1 to the {self.n_points} training points, or None for all"
                )

    def _check_answers(self, n_outputs: int | None, asked: Any, name: str) -> None:
        """Check what the queries ask of C outputs, or refuse y_query and the option if there is one output, None."""
        if n_outputs is not None:
            self._ask(n_outputs)
            if self.y_query is not None:
                labels = np.array(self.y_query, dtype=np.float64)
                labels.flags.writeable = False
                checks.store(self, y_query=labels)
        elif self.y_query is not None or asked != "margin":
            given = "y_query" if self.y_query is not None else f"{name} = {asked!r}"
            raise ValueError(f"{given} for a model with one output, expected none: this output is the answer")

    @abstractmethod
    def _ask(self, n_outputs: int) -> ClassOutput:
        """Return what the queries ask of C outputs."""

    def _data(self, name: str) -> Any:
        return getattr(self, name)

    @property
    def n_points(self) -> int:
        return len(self._data("X"))

    @property
    def n_outputs(self) -> int:
        return len(self._data("X_query"))

    @cached_property
    def _optimizer(self) -> Optimizer:
        return Optimizer(self.optimizer, self.l2, self.momentum, self.betas, self.eps)

    @cached_property
    def _scales(self) -> Array:
        """Return rate_t, 1 - b_1^t and 1 - b_2^t, shape (steps, 3)."""
        steps, rate = self.steps or 0, self.learning_rate or 0.0
        t = np.arange(steps)
        decay = np.ones(steps) if self.schedule == "constant" else 0.5 * (1.0 + np.cos(np.pi * t / max(1, steps)))
        return self._optimizer.scales(rate * decay)

    def batches(self, seeds: Sequence[int]) -> NDArray[np.bool_]:
        """Return which points are in the minibatch of each step, shape (R, steps, N); the weights do not matter."""
        numbers, steps = checks.as_seeds(seeds), self.steps or 0
        drawn = self._batches(numbers)
        members = np.ones((len(numbers), steps, self.n_points), dtype=bool)
        if drawn is not None:
            members[:] = False
            r, t, k = np.nonzero(drawn[1])
            members[r, t, drawn[0][r, t, k]] = True
        return members

    def _batches(self, seeds: Sequence[int]) -> Batches | None:
        """Draw the minibatches of every seed; None where every batch has all points."""
        n, size = self.n_points, self.batch_size or self.n_points
        if size == n or self.steps is None:
            return None
        points = np.zeros((len(seeds), self.steps, size), dtype=np.int64)
        shares = np.zeros(points.shape)
        for r, seed in enumerate(seeds):
            numbers = batch_numbers(int(seed), n, size, n_epochs(n, size, self.steps))
            for t in range(self.steps):
                epoch, number = divmod(t, -(-n // size))
                members = np.flatnonzero(numbers[epoch] == number)
                points[r, t, : len(members)], shares[r, t, : len(members)] = members, 1.0 / len(members)
        return points, shares

    @abstractmethod
    def _parts(self, params: Array) -> dict[str, Array]:
        """Return the named arrays of parameters that a vector (P,) contains."""

    def _require_finite(self, answers: Array, weights: Array, seeds: Sequence[int]) -> None:
        """Raise ArithmeticError, with the weights and the seed, if an answer (B, R, ..) is not finite."""
        if not np.isfinite(answers).all():
            row, seed = (int(k) for k in np.argwhere(~np.isfinite(answers))[0][:2])
            raise ArithmeticError(
                f"{self!r} is not finite on {name_subset(weights[row])}, seed {tuple(seeds)[seed]}: training diverged (take a "
                "smaller learning_rate), or a function is not finite there"
            )

    def _require_stated_penalty(self, weights: Array, trained: Callable[[Array], tuple[Array, Array]]) -> None:
        """Raise OtherObjectiveError if `train` has minimised the objective with another penalty than `l2`.

        `trained` maps weights to the point gradients (N, P) and the parameters (P,) of the model that is trained with them.
        """
        first = self._gradient_by_part(weights, *trained(weights))
        if not other_penalty([first], self.l2):
            return
        w = weights * np.linspace(0.5, 1.5, self.n_points)
        second = self._gradient_by_part(w, *trained(w))
        if other := other_penalty([first, second], self.l2):
            by_leaf = ", ".join(f"{value:.3g} on {name}" for name, value in other.items())
            one = f"l2={next(iter(other.values())):.3g}, or " if len({f"{value:.3g}" for value in other.values()}) == 1 else ""
            raise OtherObjectiveError(
                f"train minimises the losses with the penalty (mu/2) ||.||^2, mu = {by_leaf}, but l2 = {self.l2:g} is stated: "
                f"gradients and Hessian would be those of another objective. Say {one}put into train the penalty l2 on all "
                "parameters"
            )

    def _gradient_by_part(self, weights: Array, point_gradients: Array, params: Array) -> tuple[Leaves, float]:
        """Return gradient of L and values of every array of parameters, and the size of the losses' part of the gradient."""
        parts = weights[:, None] * point_gradients / self.n_points
        gradient, values = self._parts(parts.sum(axis=0) + self.l2 * params), self._parts(params)
        return {name: (gradient[name], values[name]) for name in values}, float(np.linalg.norm(parts, axis=1).sum())

    def _in_chunks(
        self,
        weights: ArrayLike,
        seeds: Sequence[int],
        shape: tuple[int, ...],
        chunk: int,
        kernel: Callable[[Array, NDArray[np.intp]], Array],
    ) -> Array:
        """Apply kernel(weights (chunk, N), numbers of seeds (chunk,)) to every (weights, seed) in chunks of one fixed size.

        Rounding therefore does not depend on the other weights and seeds of the call.
        """
        values, numbers = checks.as_weights(weights, self.n_points), checks.as_seeds(seeds)
        answers = np.empty((len(values) * len(numbers), *shape))
        for start in range(0, len(answers), chunk):
            row, seed = np.divmod(np.arange(start, start + chunk) % len(answers), len(numbers))
            answers[start : start + chunk] = kernel(values[row], seed)[: len(answers) - start]
        shaped = answers.reshape(len(values), len(numbers), *shape)
        self._require_finite(shaped, values, numbers)
        return shaped


def answers_of(outputs: Any, asked: tuple[Any, Any], numbers: Any, log_sum_exp: Callable[..., Any]) -> Any:
    """Return the answers (M,) to queries with outputs (M, C) in any library; `asked` are `ClassOutput`'s arrays as (M, C).

    >>> z = np.array([[0.0, 1.0, 0.0]])
    >>> own = np.array([[False, True, False]])
    >>> answers_of(z, (own, ~own), np, lambda z, axis: np.log(np.exp(z).sum(axis))).round(6).tolist()  # 1 - log 2
    [0.306853]
    """
    chosen, rivals = asked
    own = numbers.where(chosen, outputs, 0.0).sum(-1)
    return own - log_sum_exp(numbers.where(rivals, outputs, -np.inf), -1) if rivals.any() else own
