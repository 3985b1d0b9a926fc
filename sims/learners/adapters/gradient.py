"""Turn any JAX model into a learner that trains many weights and seeds at once and differentiates through training."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownLambdaType=false
# Functions that JAX transforms have no types.

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sims.learners.adapters.description import described
from sims.learners.adapters.penalty import Leaves, OtherObjectiveError, other_penalty
from sims.learners.shared import checks
from sims.learners.shared.representation import short_repr
from theory.response import Array, Linearization
from theory.subsets import name_subset

try:
    import jax
    from jax import lax
    from jax import numpy as jnp
    from jax.flatten_util import ravel_pytree
except ImportError as error:
    raise ImportError("JaxLearner needs JAX: pip install 'dfdw[jax]'") from error

__all__ = ["JaxLearner"]

Params = Any
"""The parameters of a model: any pytree of floating-point arrays."""


@dataclass(frozen=True, eq=False)
class JaxLearner:
    """A JAX model f_m = output(theta, x_qm), trained on L(theta; w) = (1/N) sum_i w_i loss(theta, x_i, y_i) + (l2/2) ||theta||^2.

    `init(key)` returns the start for key = jax.random.key(seed), a pytree of floats. `loss(params, x, y)` and `output(params, x)`
    return a scalar for one row x (d,) of X (N, d) or X_query (M, d) and one label y. Training is `steps` steps of gradient
    descent at `learning_rate`, or your own `train(params, weights, X, y) -> params`, with one more parameter `key` if it draws
    numbers. `train` may take any steps that JAX can differentiate (lax.scan, lax.fori_loop). Weight 0 must be deletion in it.
    A penalty in `train` must be the stated `l2`, which only `linearize` reads: it raises OtherObjectiveError if gradients at two
    trained models show another one.

    Everything is computed in float64, whatever the settings of JAX, on the device that JAX prefers. The same seeds give the same
    bits. `mode="forward"` differentiates training with a memory that does not depend on the number of steps; "reverse" is faster
    if there are fewer outputs than points, but stores every step. `chunk` models are trained at once: take more on a GPU, fewer
    if memory is short.

    Stores recognise the functions by their source text and the values that they read from outside. If the source text cannot be
    read, give a `name`, any text that you change whenever you change the functions. For worker processes the functions must be
    defined in a module; lambdas do not work.
    """

    init: Callable[[Any], Params] = field(repr=False)
    loss: Callable[[Params, Any, Any], Any] = field(repr=False)
    output: Callable[[Params, Any], Any] = field(repr=False)
    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    steps: int | None = None
    learning_rate: float | None = None
    l2: float = 0.0
    train: Callable[..., Params] | None = field(default=None, repr=False)
    mode: Literal["forward", "reverse"] = "forward"
    chunk: int = 64
    name: str | None = None

    block_rows = 64

    __repr__ = short_repr

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.store(self, X=X, y=checks.as_targets(self.y, len(X)), X_query=checks.as_queries(self.X_query, X.shape[1]))
        checks.store(self, l2=checks.as_penalty(self.l2), chunk=checks.as_count("chunk", self.chunk))
        checks.one_of("mode", self.mode, ("forward", "reverse"))
        descent = (self.steps is not None, self.learning_rate is not None)
        if (self.train is None and not all(descent)) or (self.train is not None and any(descent)):
            raise ValueError(
                f"steps = {self.steps}, learning_rate = {self.learning_rate}, train = {self.train}: expected both numbers, for "
                "gradient descent, or a train function of your own and neither"
            )
        if self.steps is not None and self.learning_rate is not None:
            checks.store(self, steps=checks.as_count("steps", self.steps))
            checks.store(self, learning_rate=checks.as_positive("learning_rate", self.learning_rate))
        self._require_scalars()

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # compiled functions are not pickled

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    def fingerprint(self) -> dict[str, Any]:
        """Return the values that decide every bit of the answers; stores recognise the learner by them."""
        functions = ("init", "loss", "output", "train")
        options = ("X", "y", "X_query", "steps", "learning_rate", "l2", "mode", "chunk")
        return {
            "functions": self.name or {name: described(getattr(self, name), name) for name in functions},
            "jax": [jax.__version__, jax.devices()[0].device_kind],
            **{name: getattr(self, name) for name in options},
        }

    def initial_params(self, seeds: Sequence[int]) -> Array:
        """Return theta_0 (R, P), the leaves of the pytree one after the other (jax.flatten_util.ravel_pytree)."""
        with jax.enable_x64(True):
            return np.stack([np.asarray(self._raveled(_key(seed))) for seed in checks.as_seeds(seeds)])

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute the outputs (B, R, M) after training with weights (B, N)."""
        return self._mapped(self._compiled["respond"], weights, seeds, (self.n_outputs,), self.chunk)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute d outputs / d w (B, R, M, N), the derivative of `respond` through every step of training."""
        directions = self.n_points if self.mode == "forward" else self.n_outputs
        shape, chunk = (self.n_outputs, self.n_points), max(1, self.chunk // directions)
        return self._mapped(self._compiled["jacobian"], weights, seeds, shape, chunk)

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Compute the gradients and the Hessian of L at the trained parameters, for weights (N,)."""
        w, parts = checks.as_weight_vector(weights, self.n_points), list[list[Array]]()
        with jax.enable_x64(True):
            for seed in checks.as_seeds(seeds):
                key, compiled = _key(seed), self._compiled["linearize"]
                parts.append([np.asarray(part) for part in compiled(w, self._raveled(key), key, self.X, self.y, self.X_query)])
        params, hessian, points, outputs, norm = (np.stack(part) for part in zip(*parts, strict=True))
        self._require_finite(norm[None, :, None], w[None], seeds)
        if self.train is not None:
            self._require_stated_penalty(w, points[0], params[0], int(seeds[0]))
        return Linearization(params, hessian, points, outputs, norm)

    def _require_stated_penalty(self, weights: Array, point_gradients: Array, params: Array, seed: int) -> None:
        """Raise OtherObjectiveError if `train` has minimised the objective with another penalty than `l2`."""
        first = self._gradient_by_leaf(weights, point_gradients, params)
        if not other_penalty([first], self.l2):
            return
        w = weights * np.linspace(0.5, 1.5, self.n_points)
        with jax.enable_x64(True):
            key = _key(seed)
            found = self._compiled["linearize"](w, self._raveled(key), key, self.X, self.y, self.X_query)
        second = self._gradient_by_leaf(w, np.asarray(found[2]), np.asarray(found[0]))
        if other := other_penalty([first, second], self.l2):
            by_leaf = ", ".join(f"{value:.3g} on {name}" for name, value in other.items())
            one = f"l2={next(iter(other.values())):.3g}, or " if len({f"{value:.3g}" for value in other.values()}) == 1 else ""
            raise OtherObjectiveError(
                f"train minimises the losses with the penalty (mu/2) ||.||^2, mu = {by_leaf}, but l2 = {self.l2:g} is stated: "
                f"gradients and Hessian would be those of another objective. Say {one}put into train the penalty l2 on all "
                "parameters"
            )

    def _gradient_by_leaf(self, weights: Array, point_gradients: Array, params: Array) -> tuple[Leaves, float]:
        """Return gradient of L and values of every leaf of the parameters, and the size of the losses' part of the gradient."""
        parts = weights[:, None] * point_gradients / self.n_points
        gradient = parts.sum(axis=0) + self.l2 * params
        with jax.enable_x64(True):
            gradients, values = (jax.tree_util.tree_leaves_with_path(self._unravel(part)) for part in (gradient, params))
        leaves = {
            jax.tree_util.keystr(path) or "theta": (np.asarray(g), np.asarray(value))
            for (path, g), (_, value) in zip(gradients, values, strict=True)
        }
        return leaves, float(np.linalg.norm(parts, axis=1).sum())

    # --- one model, as JAX sees it -----------------------------------------------------------------------------------------

    def _losses(self, params: Params, X: Any, y: Any) -> Any:
        return jax.vmap(self.loss, in_axes=(None, 0, 0))(params, X, y)

    def _objective(self, theta: Any, w: Any, X: Any, y: Any) -> Any:
        return w @ self._losses(self._unravel(theta), X, y) / len(X) + 0.5 * self.l2 * theta @ theta

    def _trained(self, w: Any, theta: Any, key: Any, X: Any, y: Any) -> Any:
        if self.train is not None:
            extra = {"key": key} if "key" in inspect.signature(self.train).parameters else {}
            return ravel_pytree(self.train(self._unravel(theta), w, X, y, **extra))[0]

        def step(theta: Any, _: None) -> tuple[Any, None]:
            return theta - self.learning_rate * jax.grad(self._objective)(theta, w, X, y), None

        return lax.scan(step, theta, length=self.steps)[0]

    def _outputs(self, theta: Any, X_query: Any) -> Any:
        return jax.vmap(self.output, in_axes=(None, 0))(self._unravel(theta), X_query)

    def _respond(self, w: Any, theta: Any, key: Any, X: Any, y: Any, X_query: Any) -> Any:
        return self._outputs(self._trained(w, theta, key, X, y), X_query)

    def _linearize(self, w: Any, theta: Any, key: Any, X: Any, y: Any, X_query: Any) -> Any:
        at = self._trained(w, theta, key, X, y)
        return (
            at,
            jax.hessian(self._objective)(at, w, X, y),
            jax.jacrev(lambda t: self._losses(self._unravel(t), X, y))(at),
            jax.jacrev(self._outputs)(at, X_query),
            jnp.linalg.norm(jax.grad(self._objective)(at, w, X, y)),
        )

    @cached_property
    def _compiled(self) -> dict[str, Callable[..., Any]]:
        """Return the compiled functions: `respond` and `jacobian` for a chunk of (weights, start, key), `linearize` for one."""
        derivative = jax.jacfwd if self.mode == "forward" else jax.jacrev
        replicas = (0, 0, 0, None, None, None)
        return {
            "respond": jax.jit(jax.vmap(self._respond, in_axes=replicas)),
            "jacobian": jax.jit(jax.vmap(derivative(self._respond), in_axes=replicas)),
            "linearize": jax.jit(self._linearize),
        }

    def _raveled(self, key: Any) -> Any:
        return ravel_pytree(self.init(key))[0].astype(jnp.float64)

    @cached_property
    def _unravel(self) -> Callable[[Any], Params]:
        like = jax.tree.map(lambda leaf: jnp.zeros(jnp.shape(leaf), jnp.float64), self.init(_key(0)))
        return ravel_pytree(like)[1]

    # --- many models --------------------------------------------------------------------------------------------------------

    def _mapped(
        self, kernel: Callable[..., Any], weights: ArrayLike, seeds: Sequence[int], shape: tuple[int, ...], chunk: int
    ) -> Array:
        """Apply the kernel to every (weights, seed) in chunks of one fixed size.

        Rounding therefore does not depend on the other weights and seeds of the call.
        """
        values, numbers = checks.as_weights(weights, self.n_points), checks.as_seeds(seeds)
        answers = np.empty((len(values) * len(numbers), *shape))
        with jax.enable_x64(True):
            keys = jnp.stack([_key(seed) for seed in numbers])
            starts = jnp.stack([self._raveled(key) for key in keys])
            for start in range(0, len(answers), chunk):
                replica = np.arange(start, start + chunk) % len(answers)
                row, seed = np.divmod(replica, len(numbers))
                found = np.asarray(kernel(values[row], starts[seed], keys[seed], self.X, self.y, self.X_query))
                answers[start : start + chunk] = found[: len(answers) - start]
        shaped = answers.reshape(len(values), len(numbers), *shape)
        self._require_finite(shaped, values, numbers)
        return shaped

    def _require_finite(self, answers: Array, weights: Array, seeds: Sequence[int]) -> None:
        """Raise ArithmeticError, with the weights and the seed, if an answer is not finite."""
        if not np.isfinite(answers).all():
            row, seed = (int(k) for k in np.argwhere(~np.isfinite(answers))[0][:2])
            raise ArithmeticError(
                f"{self!r} is not finite on {name_subset(weights[row])}, seed {tuple(seeds)[seed]}: training diverged (take a "
                "smaller learning_rate), or a function is not finite there"
            )

    def _require_scalars(self) -> None:
        """Raise TypeError unless `init` returns floats, and `loss` and `output` return float64 scalars."""
        with jax.enable_x64(True):
            leaves = jax.tree.leaves(self.init(_key(0)))
            wrong = [str(jnp.asarray(leaf).dtype) for leaf in leaves if not jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)]
            if wrong or not leaves:
                raise TypeError(f"init(key) has leaves of type {wrong}, expected a pytree of floating-point arrays")
            params = jax.eval_shape(self._unravel, jnp.zeros(sum(jnp.size(leaf) for leaf in leaves)))
            x, y = jnp.asarray(self.X[0]), jnp.asarray(self.y[0])
            for name, found in (
                ("loss(params, x, y)", jax.eval_shape(self.loss, params, x, y)),
                ("output(params, x)", jax.eval_shape(self.output, params, x)),
            ):
                if getattr(found, "shape", None) != () or found.dtype != jnp.float64:
                    raise TypeError(
                        f"{name} is {found}, expected a float64 scalar for one row: take [0] or a sum, and set float32 nowhere"
                    )


def _key(seed: int) -> Any:
    """Return the JAX key of a seed."""
    return jax.random.key(seed, impl="threefry2x32")
