"""Turn any JAX model into a learner that trains many weights and seeds at once and differentiates through training."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownLambdaType=false
# Functions that JAX transforms have no types.

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sims.learners.adapters.description import described
from sims.learners.adapters.training import TrainedLearner, answers_of
from sims.learners.shared import checks
from sims.learners.shared.class_outputs import ClassOutput, OutputName, as_class_output
from theory.response import Array, Linearization

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


@dataclass(frozen=True, eq=False, repr=False)
class JaxLearner(TrainedLearner):
    """A JAX model f_m = output(theta, x_qm), trained on L(theta; w) = (1/N) sum_i w_i loss(theta, x_i, y_i) + (l2/2) ||theta||^2.

    `init(key)` returns the start for key = jax.random.key(seed), a pytree of floats. `loss(params, x, y)` returns a scalar for
    one row x (d,) of X (N, d) and its label y. `output(params, x)` returns a scalar for one row of X_query (M, d), or C >= 2
    logits (C,). Of these, `answer` is what a query is asked: with its class in `y_query`, its "margin" or "log_probability", or
    the logit of class k for an integer k (as in `sims.learners.MLP`).

    Training is `steps` steps at `learning_rate` of `optimizer` "sgd" (with `momentum`), "adam" or "adamw" (with `betas` and
    `eps`), on all points or on minibatches of `batch_size`, with a constant rate or `schedule="cosine"`. Steps and batches are
    those of MLP. Or it is your own `train(params, weights, X, y) -> params`, with one more parameter `key` if it draws
    numbers. `train` may take any steps that JAX can differentiate (lax.scan, lax.fori_loop). Weight 0 must be deletion in it.
    A penalty in `train` must be the stated `l2`, which only `linearize` reads: it raises OtherObjectiveError if gradients at two
    trained models show another one.

    Everything is computed in float64, whatever the settings of JAX, on the device that JAX prefers. The same seeds give the same
    bits. `mode="forward"`, which "auto" is here, differentiates training with a memory that does not depend on the number of
    steps; "reverse" is faster if there are fewer outputs than points, but stores every step. `chunk` models are trained at once,
    by default 64: take more on a GPU, fewer if memory is short. `has_bias=True` says that X needs no column of ones.

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
    answer: OutputName = field(default="margin", kw_only=True)

    block_rows = 64

    def __post_init__(self) -> None:
        self._check_training()
        self._check_answers(self._probed(), self.answer, "answer")

    def fingerprint(self) -> dict[str, Any]:
        """Return the values that decide every bit of the answers; stores recognise the learner by them."""
        functions = ("init", "loss", "output", "train")
        options = ("X", "y", "X_query", "steps", "learning_rate", "l2", "optimizer", "momentum", "betas", "eps", "batch_size")
        more = ("schedule", "answer", "y_query", "mode", "chunk")
        return {
            "functions": self.name or {name: described(getattr(self, name), name) for name in functions},
            "jax": [jax.__version__, jax.devices()[0].device_kind],
            **{name: getattr(self, name) for name in (*options, *more)},
        }

    def initial_params(self, seeds: Sequence[int]) -> Array:
        """Return theta_0 (R, P), the leaves of the pytree one after the other (jax.flatten_util.ravel_pytree)."""
        with jax.enable_x64(True):
            return np.stack([np.asarray(self._raveled(_key(seed))) for seed in checks.as_seeds(seeds)])

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute the outputs (B, R, M) after training with weights (B, N)."""
        return self._mapped(self._compiled["respond"], weights, seeds, (self.n_outputs,), self._chunk)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute d outputs / d w (B, R, M, N), the derivative of `respond` through every step of training."""
        directions = self.n_outputs if self.mode == "reverse" else self.n_points
        shape, chunk = (self.n_outputs, self.n_points), max(1, self._chunk // directions)
        return self._mapped(self._compiled["jacobian"], weights, seeds, shape, chunk)

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Compute the gradients and the Hessian of L at the trained parameters, for weights (N,); adamw has no penalty in L."""
        w, numbers = checks.as_weight_vector(weights, self.n_points), checks.as_seeds(seeds)
        parts = [self._linearized(w, seed) for seed in numbers]
        params, hessian, points, outputs, norm = (np.stack(part) for part in zip(*parts, strict=True))
        self._require_finite(norm[None, :, None], w[None], numbers)
        if self.train is not None:
            again = [(w, parts[0])]  # the first model is there already

            def trained(weights: Array) -> tuple[Array, Array]:
                found = again.pop()[1] if again else self._linearized(weights, int(numbers[0]))
                return found[2], found[0]

            self._require_stated_penalty(w, trained)
        return Linearization(params, hessian, points, outputs, norm)

    def _linearized(self, weights: Array, seed: int) -> list[Array]:
        """Compute the arrays of a Linearization for one seed."""
        with jax.enable_x64(True):
            key, batches = _key(seed), self._batches((seed,))
            one = None if batches is None else (batches[0][0], batches[1][0])
            found = self._compiled["linearize"](weights, self._raveled(key), key, one, self.X, self.y, self.X_query)
            return [np.asarray(part) for part in found]

    def _parts(self, params: Array) -> dict[str, Array]:
        with jax.enable_x64(True):
            leaves = jax.tree_util.tree_leaves_with_path(self._unravel(params))
            return {jax.tree_util.keystr(path) or "theta": np.asarray(leaf) for path, leaf in leaves}

    def _ask(self, n_outputs: int) -> ClassOutput:
        return as_class_output(self.answer, self.y_query, self.n_outputs, n_outputs)

    # --- one model, as JAX sees it -----------------------------------------------------------------------------------------

    def _losses(self, params: Params, X: Any, y: Any) -> Any:
        return jax.vmap(self.loss, in_axes=(None, 0, 0))(params, X, y)

    def _data_term(self, theta: Any, shares: Any, X: Any, y: Any) -> Any:
        return shares @ self._losses(self._unravel(theta), X, y)

    def _objective(self, theta: Any, w: Any, X: Any, y: Any) -> Any:
        return self._data_term(theta, w / len(X), X, y) + 0.5 * self._optimizer.penalty * theta @ theta

    def _trained(self, w: Any, theta: Any, key: Any, batches: Any, X: Any, y: Any) -> Any:
        if self.train is not None:
            extra = {"key": key} if "key" in inspect.signature(self.train).parameters else {}
            return ravel_pytree(self.train(self._unravel(theta), w, X, y, **extra))[0]

        def step(state: Any, at: tuple[Any, Any]) -> tuple[Any, None]:
            scales, batch = at
            points, shares = (slice(None), 1.0 / len(X)) if batch is None else batch
            gradient = jax.grad(self._data_term)(state[0], w[points] * shares, X[points], y[points])
            return self._optimizer.step(state, gradient, scales, jnp), None

        start = (theta, *(jnp.zeros_like(theta) for _ in range(self._optimizer.memories)))
        return lax.scan(step, start, (jnp.asarray(self._scales), batches))[0][0]

    def _outputs(self, theta: Any, X_query: Any) -> Any:
        found = jax.vmap(self.output, in_axes=(None, 0))(self._unravel(theta), X_query)
        if found.ndim == 1:
            return found
        asked = self._ask(found.shape[1])
        return answers_of(found, (asked.chosen.T, asked.rivals.T), jnp, jax.nn.logsumexp)

    def _respond(self, w: Any, theta: Any, key: Any, batches: Any, X: Any, y: Any, X_query: Any) -> Any:
        return self._outputs(self._trained(w, theta, key, batches, X, y), X_query)

    def _linearize(self, w: Any, theta: Any, key: Any, batches: Any, X: Any, y: Any, X_query: Any) -> Any:
        at = self._trained(w, theta, key, batches, X, y)
        return (
            at,
            jax.hessian(self._objective)(at, w, X, y),
            jax.jacrev(lambda t: self._losses(self._unravel(t), X, y))(at),
            jax.jacrev(self._outputs)(at, X_query),
            jnp.linalg.norm(jax.grad(self._objective)(at, w, X, y)),
        )

    @cached_property
    def _compiled(self) -> dict[str, Callable[..., Any]]:
        """Return the compiled functions: `respond` and `jacobian` for a chunk of replicas, `linearize` for one."""
        derivative = jax.jacrev if self.mode == "reverse" else jax.jacfwd
        replicas = (0, 0, 0, 0, None, None, None)
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

    @property
    def _chunk(self) -> int:
        return self.chunk or 64

    def _mapped(
        self, kernel: Callable[..., Any], weights: ArrayLike, seeds: Sequence[int], shape: tuple[int, ...], chunk: int
    ) -> Array:
        """Apply the compiled kernel to every (weights, seed)."""
        numbers = checks.as_seeds(seeds)
        with jax.enable_x64(True):
            keys = jnp.stack([_key(seed) for seed in numbers])
            starts, batches = jnp.stack([self._raveled(key) for key in keys]), self._batches(numbers)

            def found(w: Array, seed: NDArray[np.intp]) -> Array:
                own = None if batches is None else (batches[0][seed], batches[1][seed])
                return np.asarray(kernel(w, starts[seed], keys[seed], own, self.X, self.y, self.X_query))

            return self._in_chunks(weights, numbers, shape, chunk, found)

    def _probed(self) -> int | None:
        """Return the number of outputs, None for a scalar; raise TypeError unless the functions return what they should."""
        with jax.enable_x64(True):
            leaves = jax.tree.leaves(self.init(_key(0)))
            wrong = [str(jnp.asarray(leaf).dtype) for leaf in leaves if not jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)]
            if wrong or not leaves:
                raise TypeError(f"init(key) has leaves of type {wrong}, expected a pytree of floating-point arrays")
            params = jax.eval_shape(self._unravel, jnp.zeros(sum(jnp.size(leaf) for leaf in leaves)))
            x, y = jnp.asarray(self.X[0]), jnp.asarray(self.y[0])
            loss, output = jax.eval_shape(self.loss, params, x, y), jax.eval_shape(self.output, params, x)
        if getattr(loss, "shape", None) != () or loss.dtype != jnp.float64:
            raise TypeError(
                f"loss(params, x, y) is {loss}, expected a float64 scalar for one row: take [0] or a sum, and set float32 nowhere"
            )
        shape = getattr(output, "shape", (0, 0))
        if len(shape) > 1 or shape in ((0,), (1,)) or output.dtype != jnp.float64:
            raise TypeError(
                f"output(params, x) is {output}, expected a float64 scalar for one row, or C >= 2 logits (C,): take [0] or a "
                "sum, and set float32 nowhere"
            )
        return shape[0] if shape else None


def _key(seed: int) -> Any:
    """Return the JAX key of a seed."""
    return jax.random.key(seed, impl="threefry2x32")
