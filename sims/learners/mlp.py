"""Define networks trained by gradient descent from random starts, with exact derivatives through every step of training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sims.learners.network.descent import Batches, Descent, DivergedError, Optimizer
from sims.learners.network.kernels import ACTIVATIONS, LOSSES, OPTIMIZERS
from sims.learners.network.objective import Objective
from sims.learners.network.passes import Network, Readout
from sims.learners.network.second import second_derivative
from sims.learners.shared import checks
from sims.learners.shared.batches import batch_numbers, n_epochs
from sims.learners.shared.class_outputs import OutputName, as_query_classes
from sims.learners.shared.representation import short_repr
from theory.influence.trajectory import Checkpoint
from theory.response import Array, Branches, Linearization
from theory.streams import stream
from theory.subsets import name_subset

__all__ = ["MLP"]

SCHEDULES = ("constant", "cosine")
DERIVATIVES = ("unrolled", "crossings")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class MLP:
    """A network f(x; theta) with layers d -> hidden.. -> C after `steps` steps of gradient descent on L(theta; w).

    L = (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2, where theta contains all parameters. With one output, C = 1, the loss is
    l = log(1 + exp(-(2y - 1) f)) for labels 0 and 1 (`loss="logistic"`; f is a logit), or l = (f - y)^2 / 2 ("squared"; f is in
    the units of y). `loss="softmax"` has one output per class 0 .. C - 1, which must all occur in y, and
    l = log sum_k exp f_k - f_y. Every layer has a bias, so that X (N, d) needs no column of ones. With an empty `hidden` the
    model is linear. Activations are tanh, softplus, relu, leaky_relu, identity and gelu; gelu is z Phi(z) with the normal
    distribution Phi, leaky_relu is max(z, z / 100), and softplus is log(1 + exp(s z)) / s with s = `sharpness`.

    With one output, the answer to a query is f. With softmax, `output` chooses it. For the query's class c in `y_query` it is
    "margin", f_c - log sum_{k != c} exp f_k = log p_c / (1 - p_c) (Park et al. 2023), or "log_probability", log p_c. For an
    integer k it is the logit f_k, without `y_query`. For C = 2 the margin is f_c - f_{1-c}, but the network is not the one with
    one output: it has two columns of last weights, which start at random and are both trained and penalised.

    A step of `optimizer="sgd"` is v <- momentum v + g, theta <- theta - rate_t v. Here g is grad L. With `batch_size`, g is the
    gradient of (1/|batch|) sum_{i in batch} w_i l_i plus the penalty. Batches go through random orders of all points, which
    depend on the seed but not on the weights. rate_t is learning_rate, or learning_rate (1 + cos(pi t / steps)) / 2 for
    `schedule="cosine"`. Step number t of "adam", t = 1, 2, .., is, entry by entry with `betas` = (b_1, b_2) (Kingma & Ba 2015),

        m <- b_1 m + (1 - b_1) g,   v <- b_2 v + (1 - b_2) g^2,
        theta <- theta - rate m / (1 - b_1^t) / (sqrt(v / (1 - b_2^t)) + eps).

    "adamw" leaves the penalty out of g and of L, and multiplies theta by 1 - rate l2 before the step (Loshchilov & Hutter 2019).
    PyTorch's optimisers do the same. While all gradients of an entry have been 0, v = 0, and its step has the derivative of
    m / (1 - b_1^t) / eps. This derivative is exact, but it holds only for gradients far below eps: between 0 and eps the answer
    nearly jumps, as it does from the subset without points to others. With eps = 0.1, say, it does not. Where an entry of g
    changes its sign, the derivative is continuous, but it has a kink.

    `derivative` says what `weight_jacobian` is for relu. "unrolled" differentiates every step, as automatic differentiation does.
    Where a unit changes between on and off, the gradient jumps, and this derivative lacks a term that does not vanish for small
    steps. "crossings" adds it (`sims.learners.network.crossings`). With one hidden layer and full batches the error is then of
    the order of the step; with more layers or minibatches it is much smaller for most seeds, and large for a few. It takes two to
    four times as long. leaky_relu lacks the term, too, and has no "crossings". For smooth activations both are the same.

    The seed draws the start: W is init_scale times standard normal / sqrt(inputs of the layer), and b = 0. `jitter` changes every
    start at random by that relative amount, which shows how training amplifies rounding. With `snapshots` (t1, t2, ..) there are
    outputs after each of these numbers of steps; output k * n_queries + q belongs to query q at snapshot k.

    >>> X = np.array([[-1.0], [1.0]])
    >>> network = MLP(X, [0, 1], X, hidden=(2,), steps=50, snapshots=(1, 50))
    >>> network.n_outputs, network.respond(np.ones((3, 2)), seeds=range(5)).shape  # 2 queries at each snapshot
    (4, (3, 5, 4))
    >>> bool((network.respond(np.ones((1, 2)), [0])[0, 0, 2:] * [-1.0, 1.0] > 0.0).all())  # both labels are learnt
    True
    >>> classes = MLP([[-1.0], [0.0], [1.0]], [0, 1, 2], X, hidden=(4,), steps=50, loss="softmax", y_query=[0, 2],
    ...               optimizer="adam", learning_rate=0.1)
    >>> bool((classes.respond(np.ones((1, 3)), [0]) > 0.0).all())  # each query's class has more than half of the probability
    True
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    hidden: tuple[int, ...] = (8,)
    activation: str = "tanh"
    loss: str = "logistic"
    steps: int = 500
    learning_rate: float = 0.5
    l2: float = 0.0
    momentum: float = 0.0
    batch_size: int | None = None
    init_scale: float = 1.0
    schedule: str = "constant"
    snapshots: tuple[int, ...] = ()
    jitter: float = 0.0
    y_query: ArrayLike | None = field(default=None, repr=False)
    output: OutputName = "margin"
    optimizer: str = "sgd"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    derivative: str = "unrolled"
    sharpness: float = 1.0

    block_rows = 64
    """The number of subsets in one canonical block of the retraining engine."""
    has_bias = True

    __repr__ = short_repr

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.one_of("loss", self.loss, LOSSES)
        checks.one_of("activation", self.activation, ACTIVATIONS)
        checks.one_of("schedule", self.schedule, SCHEDULES)
        checks.one_of("optimizer", self.optimizer, OPTIMIZERS)
        checks.one_of("derivative", self.derivative, DERIVATIVES)
        y = _TARGETS[self.loss](self.y, len(X))
        checks.store(self, X=X, y=y, X_query=checks.as_queries(self.X_query, X.shape[1]), l2=checks.as_penalty(self.l2))
        checks.store(self, hidden=checks.as_counts("hidden", self.hidden))
        checks.store(self, steps=checks.as_count("steps", self.steps))
        checks.store(self, learning_rate=checks.as_positive("learning_rate", self.learning_rate))
        checks.store(self, init_scale=checks.as_positive("init_scale", self.init_scale))
        checks.store(self, momentum=checks.as_fraction("momentum", self.momentum))
        checks.store(self, jitter=checks.as_fraction("jitter", self.jitter))
        if self.batch_size is not None:
            checks.store(self, batch_size=checks.as_count("batch_size", self.batch_size))
            if self.batch_size > len(X):
                raise ValueError(f"batch_size = {self.batch_size}, expected 1 to the {len(X)} training points, or None for all")
        times = checks.as_counts("snapshots", self.snapshots)
        if list(times) != sorted(set(times)) or max(times, default=1) > self.steps:
            raise ValueError(f"snapshots {self.snapshots}, expected increasing numbers of steps from 1 to steps = {self.steps}")
        checks.store(self, snapshots=times)
        self._check_activation()
        self._check_optimizer()
        self._check_output()

    def _check_activation(self) -> None:
        """Check the sharpness, and refuse it for other activations than softplus, and corrections that are not known."""
        checks.store(self, sharpness=checks.as_positive("sharpness", self.sharpness))
        if self.activation != "softplus" and self.sharpness != MLP.sharpness:
            raise ValueError(f"sharpness = {self.sharpness:g} with {self.activation}, expected 1: only softplus has it")
        if self.activation == "leaky_relu" and self.derivative == "crossings":
            raise ValueError("derivative = 'crossings' with leaky_relu, expected 'unrolled': the correction is for relu only")

    def _check_optimizer(self) -> None:
        """Check betas and eps, and refuse options that the optimiser does not have."""
        if np.shape(self.betas) != (2,):
            raise ValueError(f"betas = {self.betas}, expected two numbers (b_1, b_2) with 0 <= b < 1")
        first, second = (checks.as_fraction(f"betas[{k}]", beta) for k, beta in enumerate(self.betas))
        checks.store(self, betas=(first, second), eps=checks.as_positive("eps", self.eps))
        if self.optimizer == "sgd" and (self.betas, self.eps) != (MLP.betas, MLP.eps):
            raise ValueError(f"betas = {self.betas} and eps = {self.eps:g} with sgd, expected none: only adam and adamw use them")
        if self.optimizer != "sgd" and self.momentum:
            raise ValueError(f"momentum = {self.momentum:g} with {self.optimizer}, expected 0: its first moment is betas[0]")
        if self.optimizer != "sgd" and self.derivative == "crossings":
            raise ValueError(
                f"derivative = 'crossings' with {self.optimizer}, expected optimizer sgd: the correction is for its steps only"
            )

    def _check_output(self) -> None:
        """Check what the queries ask, and refuse the options of several outputs if there is one."""
        if self.loss == "softmax":
            if self.y_query is not None:
                what = "one class per row of X_query"
                checks.store(self, y_query=checks.as_targets(self.y_query, len(self.X_query), "y_query", what))
            as_query_classes(self.output, self.y_query, len(self.X_query), self.n_classes)
            checks.store(self, output=self.output if isinstance(self.output, str) else int(self.output))
        elif self.y_query is not None or self.output != MLP.output:
            name = "y_query" if self.y_query is not None else f"output = {self.output!r}"
            raise ValueError(f"{name} with loss {self.loss!r}, expected none: such a network has one output, which is the answer")

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self._times) * len(self.X_query)

    @property
    def n_classes(self) -> int:
        """Return C, the number of outputs of the network."""
        return int(self.y.max()) + 1 if self.loss == "softmax" else 1

    @property
    def _times(self) -> tuple[int, ...]:
        """Return the numbers of steps after which there are outputs."""
        return self.snapshots or (self.steps,)

    @cached_property
    def _network(self) -> Network:
        return Network((self.X.shape[1], *self.hidden, self.n_classes), self.activation, self.sharpness)

    @cached_property
    def _readout(self) -> Readout:
        if self.loss != "softmax":
            return Readout("logit", np.zeros(len(self.X_query), dtype=np.int64))
        return Readout(*as_query_classes(self.output, self.y_query, len(self.X_query), self.n_classes))

    @cached_property
    def _descent(self) -> Descent:
        t = np.arange(self._times[-1])
        decay = np.ones(len(t)) if self.schedule == "constant" else 0.5 * (1.0 + np.cos(np.pi * t / self.steps))
        rates = self.learning_rate * decay
        optimizer = Optimizer(self.optimizer, self.l2, self.momentum, self.betas, self.eps)
        return Descent(
            self._network,
            self.X,
            self.y,
            self.X_query,
            self._readout,
            self.loss,
            rates,
            optimizer,
            self._times,
            self.derivative == "crossings",
        )

    def initial_params(self, seeds: Sequence[int]) -> Array:
        """Draw theta_0 (R, P); each layer has W (in, out) in row-major order, then b (out)."""
        params = np.zeros((len(checks.as_seeds(seeds)), self._network.n_params))
        for row, seed in zip(params, seeds, strict=True):
            normal = stream("MLP initial parameters", seed).standard_normal
            for layer in self._network.layers(row):
                inputs = len(layer) - 1
                layer[:-1] = self.init_scale * normal((inputs, layer.shape[1])) / np.sqrt(inputs)
            if self.jitter:
                row *= 1.0 + self.jitter * stream("MLP jitter", seed).standard_normal(len(row))
        return params

    def batches(self, seeds: Sequence[int]) -> NDArray[np.bool_]:
        """Return which points are in the minibatch of each step, shape (R, steps, N); the weights do not matter."""
        numbers, sizes = self._batches(seeds)
        epoch, number = np.divmod(np.arange(self.steps), len(sizes))
        return (numbers[epoch % len(numbers)] == number[:, None, None]).transpose(2, 0, 1)

    def _batches(self, seeds: Sequence[int]) -> Batches:
        """Draw the minibatches of every seed."""
        n, size = self.n_points, self.batch_size or self.n_points
        sizes = np.minimum(size, n - np.arange(0, n, size))
        epochs = n_epochs(n, size, self.steps)
        numbers = np.stack([batch_numbers(seed, n, size, epochs) for seed in checks.as_seeds(seeds)], axis=-1)
        return Batches(numbers, sizes)

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute the outputs (B, R, M) after training with weights (B, N)."""
        return self._trained(self._descent.outputs, weights, seeds)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute d outputs / d w (B, R, M, N), the derivative of `respond` through every step of training.

        It is exact, but for relu with derivative="crossings": then it has what crossings of kinks add to the mean over seeds.
        """
        return self._trained(self._descent.jacobian, weights, seeds)

    def weight_jacobian_column(self, weights: ArrayLike, seeds: Sequence[int], point: int) -> Array:
        """Compute d outputs / d w_point (B, R, M), a column of `weight_jacobian` up to rounding, for a fraction of its cost."""
        if not 0 <= point < self.n_points:
            raise ValueError(f"point {point}, expected a training point, 0 to {self.n_points - 1}")
        return self._trained(partial(self._descent.jacobian_column, point=point), weights, seeds)

    def weight_second_derivative(self, weights: ArrayLike, seeds: Sequence[int], point: int, other: int) -> Array:
        """Compute d^2 outputs / dw_point dw_other (B, R, M), the exact second derivative of `respond` through every step.

        It is computed in NumPy, at some thirty times the cost of `respond`. For relu it is the second derivative of the branch
        that training took: what kinks add to the second derivative of a mean is not in it.
        """
        if self.derivative != "unrolled":
            raise ValueError(f"weight_second_derivative with derivative={self.derivative!r}, expected 'unrolled'")
        i, j = (checks.as_point(name, k, self.n_points) for name, k in (("point", point), ("other", other)))
        return self._trained(partial(second_derivative, self._descent, point=i, other=j), weights, seeds)

    def branch(self, weights: ArrayLike, seeds: Sequence[int]) -> Branches:
        """Say which branch training took for weights (B, N): integers (B, R, K) that are equal where no kink was crossed between.

        For relu and leaky_relu they are a hash of the activation pattern: which units are on, at every step for every point of
        positive weight, and at every snapshot for every query. Where the pattern is the same, outputs are smooth in w; where it
        changes, they can jump, because the gradient jumps at a kink. The other activations are smooth, and have one branch.

        >>> X = np.array([[-1.0], [1.0]])
        >>> network = MLP(X, [0, 1], X, hidden=(2,), steps=20, activation="relu")
        >>> len(np.unique(network.branch(np.c_[np.linspace(0.1, 1.0, 50), np.ones(50)], [3]), axis=0))
        8
        """
        if self.activation not in ("relu", "leaky_relu") or not self.hidden:
            return np.zeros((len(checks.as_weights(weights, self.n_points)), len(checks.as_seeds(seeds)), 1), dtype=np.int64)
        return self._trained(self._descent.branches, weights, seeds).astype(np.int64)

    def crossings(self, weights: ArrayLike, seeds: Sequence[int]) -> NDArray[np.int64]:
        """Count how often a relu unit changes between on and off at a training point, between one gradient there and the next.

        The result (B, R, 2) has the number of these crossings during the whole training, and the number of those after which
        training slides along the kink: the gradients on both sides push back to it (`sims.learners.network.crossings`), and it
        steps to and fro. Both are 0 for smooth activations; adam and leaky_relu are refused.

        >>> X = np.array([[-1.0], [1.0]])
        >>> network = MLP(X, [0, 1], X, hidden=(2,), steps=20, activation="relu")
        >>> network.crossings(np.ones((1, 2)), [3, 4]).tolist()
        [[[1, 0], [1, 0]]]
        """
        if self.optimizer != "sgd":
            raise ValueError(f"crossings of {self.optimizer}, expected optimizer sgd: whether a crossing slides is known for it")
        if self.activation == "leaky_relu":
            raise ValueError("crossings of leaky_relu, expected relu or a smooth activation: they are counted for relu only")
        return self._trained(self._descent.crossing_counts, weights, seeds).astype(np.int64)

    def amplification(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute ||d theta_t / d theta_0||_2 at every snapshot t, or after all steps; shape (B, R, K).

        It is the spectral norm of the product of the Jacobians of all steps, the largest factor by which training amplifies a
        small change of the start or a rounding error. Errors in the derivatives of outputs grow by up to its square.
        """
        return self._trained(self._descent.amplification, weights, seeds)

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Compute the gradients and the Hessian of the full-batch L at the trained parameters, for weights (N,).

        The L of adamw has no penalty. With softmax the `fit` is about the margin of every point's own class, and has `classes`.
        """
        if len(self._times) > 1:
            raise ValueError(f"linearize with {len(self._times)} snapshots, expected one: use linearizations")
        return self.linearizations(weights, seeds)[0]

    def linearizations(self, weights: ArrayLike, seeds: Sequence[int]) -> tuple[Linearization, ...]:
        """Compute the result of `linearize` at every snapshot."""
        w = checks.as_weight_vector(weights, self.n_points)
        params = self._trained(self._descent.parameters, w[None], seeds)[0]  # (R, K, P)
        return tuple(self._descent.at(np.ascontiguousarray(theta.T), w) for theta in params.swapaxes(0, 1))

    def checkpoints(self, weights: ArrayLike, seeds: Sequence[int]) -> tuple[Checkpoint, ...]:
        """Compute the linearization at every snapshot, with its number of steps and their mean rate.

        The steps are those since the previous snapshot, and the rate is the mean of rate_t / (1 - momentum). The methods of
        `theory.influence.trajectory` need them. They are about steps that are multiples of the gradient, so adam is refused.
        """
        if self.optimizer != "sgd":
            raise ValueError(f"checkpoints of {self.optimizer}, expected optimizer sgd: the others' steps have no rate for theta")
        rates = np.split(self._descent.rates, self._times[:-1])
        return tuple(
            Checkpoint(at, len(segment), float(segment.mean()) / (1.0 - self.momentum))
            for at, segment in zip(self.linearizations(weights, seeds), rates, strict=True)
        )

    def outputs(self, params: ArrayLike, X: ArrayLike) -> Array:
        """Compute f (R, n) at inputs X (n, d) for any parameters (R, P), trained or not; with softmax all logits (R, n, C)."""
        inputs, theta = checks.as_queries(X, self.X.shape[1]), self._as_params(params)
        f = np.ascontiguousarray(self._network.outputs(theta, inputs).transpose(2, 0, 1))
        return f if self.loss == "softmax" else f[:, :, 0]

    def layers(self, params: ArrayLike) -> dict[str, Array]:
        """Return parameters (R, P) by layer k = 1, 2, ..: weight_k (R, out, in) and bias_k (R, out), as PyTorch has them.

        >>> layers = MLP([[1.0], [2.0]], [0, 1], [[1.0]], hidden=(2,)).layers(np.arange(7.0)[None])
        >>> {name: values[0].tolist() for name, values in layers.items() if name.endswith("1")}
        {'weight_1': [[0.0], [1.0]], 'bias_1': [2.0, 3.0]}
        """
        found = dict[str, Array]()
        for k, layer in enumerate(self._network.layers(self._as_params(params)), 1):
            found |= {f"weight_{k}": layer[:-1].transpose(2, 1, 0), f"bias_{k}": layer[-1].T}
        return found

    def point_hessians(self, params: ArrayLike) -> Array:
        """Compute the Hessian of every point's loss at parameters (R, P), trained or not: (R, N, P, P)."""
        theta, penalty = self._as_params(params), self._descent.optimizer.penalty * np.eye(self._network.n_params)
        each = [self.n_points * (self._descent.at(theta, w).hessian - penalty) for w in np.eye(self.n_points)]
        return np.stack(each, axis=1)

    def objective(self, weights: ArrayLike, *, tilts: Array, stiffness: float, centre: Array) -> Objective:
        """Return the objective (1/N) sum_j (w_j l_j - c_j f_j) + (stiffness/2) ||theta - centre||^2.

        The weights are (N,), the tilts c (R, N) and the centre (R, P). L(theta; w) is the case with tilts 0, stiffness l2 and
        centre 0. The network must have one output.
        """
        if self.loss == "softmax":
            raise ValueError(
                "objective of a network with softmax, expected one output: tilts are defined for loss logistic or squared"
            )
        w = checks.as_weight_vector(weights, self.n_points)[:, None]
        return Objective(self._network, self.X, self.y, self.loss, w, tilts.T, stiffness, self._as_params(centre))

    def _as_params(self, params: ArrayLike) -> Array:
        """Return parameters (R, P) as a contiguous array (P, R); raise ValueError for another shape."""
        values = np.asarray(params, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != self._network.n_params:
            raise ValueError(f"parameters have shape {values.shape}, expected (R, {self._network.n_params}): one row per seed")
        return np.ascontiguousarray(values.T)

    def _trained(self, work: Callable[[Array, Array, Batches], Result], weights: ArrayLike, seeds: Sequence[int]) -> Result:
        """Call `work` with weights, initial parameters and batches; raise ArithmeticError if training diverges."""
        values = checks.as_weights(weights, self.n_points)
        initial = np.ascontiguousarray(self.initial_params(seeds).T)
        try:
            return work(values, initial, self._batches(seeds))
        except DivergedError as error:
            raise ArithmeticError(
                f"{self!r} diverged on {name_subset(values[error.row])}, seed {tuple(seeds)[error.seed]}, at step {error.step}: "
                "parameters or their derivatives are not finite; take a smaller learning_rate"
            ) from None


_TARGETS: dict[str, Callable[[ArrayLike, int], Array]] = {
    "logistic": checks.as_labels,
    "squared": checks.as_targets,
    "softmax": lambda y, n_points: checks.as_classes(y, n_points).astype(np.float64),
}

LEARNER = MLP
