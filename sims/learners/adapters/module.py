"""Turn any PyTorch module into a learner that trains many weights and seeds at once and differentiates through training."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownLambdaType=false, reportMissingImports=false
# pyright: reportUnknownParameterType=false, reportUnknownMemberType=false, reportUntypedBaseClass=false
# PyTorch need not be installed where types are checked.

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sims.learners.adapters.description import described
from sims.learners.adapters.module_checks import LOSSES, Probe
from sims.learners.adapters.recording import recorded
from sims.learners.adapters.training import TrainedLearner, answers_of
from sims.learners.shared import checks
from sims.learners.shared.class_outputs import ClassOutput, OutputName, as_class_output
from theory.response import Array, Linearization

try:
    import torch
    from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vjp, vmap
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ImportError as error:
    raise ImportError("TorchLearner needs PyTorch: pip install 'dfdw[torch]'") from error

__all__ = ["TorchLearner"]

State = tuple[Any, ...]
"""What one step of training changes: theta (P,) and the memory of the optimiser."""


@dataclass(frozen=True, eq=False, repr=False)
class TorchLearner(TrainedLearner):
    """A PyTorch `module`, trained on L(theta; w) = (1/N) sum_i w_i loss(module(x_i), y_i) + (l2/2) ||theta||^2.

    `module` is a function without arguments that builds an nn.Module, such as a class. It is called after
    torch.manual_seed(seed), so that every seed has the start that the module's own initialisation draws. Or it is an nn.Module:
    then its parameters are the start for every seed, as in fine-tuning. theta has the parameters that require a gradient; the
    others, and buffers, stay what they are. Float32 parameters and buffers are converted to float64, in which all is computed.

    module(X) has shape (N, C), (N, 1) or (N,), for X (N, d). `loss(outputs, y)` returns one number per row, shape (N,), as
    PyTorch's losses do with reduction="none"; with one output, outputs have shape (N,). Or it is a name: "logistic" and "squared"
    for one output, "softmax" for the classes 0 .. C - 1, as in `sims.learners.MLP`. X and y are given to the module and to the
    loss as int64 where they are arrays of whole numbers (tokens, classes), else as float64.

    Rows must not see each other, because weight 0 must be deletion. Batch normalisation, buffers that change, dropout in training
    mode and other random numbers are refused, with what to do; LayerNorm and GroupNorm are fine.

    With one output, this is the answer to a query. With C outputs, `output` chooses it: with the query's class in `y_query` its
    "margin" or "log_probability", or the logit of class k for an integer k; or a function of the outputs (M, C) that returns
    (M,). Optimisers, batches and schedules are those of MLP. Or training is your own `train(params, weights, X, y) -> params`
    with `params` a dict of tensors by name, for torch.func.functional_call and torch.func.grad; it must not write in place, and
    it must have the penalty `l2` that `linearize` reads.

    Stores recognise a module by its source text and its state at seed 0; without readable source text, give a `name`. `mode`
    is how training is differentiated: "reverse", over the outputs, or "forward", over the points; "auto" takes the cheaper one.
    `chunk` models are trained at once, by default as many as fit in a processor's cache. All is computed in one thread, so that
    bits do not depend on the number of cores, with the same bits for the same seeds; other processes take other subsets. `device`
    is "cuda" where there is one, else "cpu"; on a GPU bits are those that PyTorch's own algorithms promise.
    `has_bias=True` says that X needs no column of ones.

    >>> X = np.array([[-1.0], [0.0], [1.0]])
    >>> line = TorchLearner(lambda: torch.nn.Linear(1, 1), "squared", X, [0.0, 1.0, 2.0], X, steps=200, learning_rate=0.5)
    >>> line.respond(np.ones((1, 3)), seeds=(0, 1)).round(6).tolist()
    [[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]]
    """

    module: Any = field(repr=False)
    loss: Any = field(repr=False)
    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    output: OutputName | Callable[[Any], Any] = field(default="margin", kw_only=True)
    device: str | None = field(default=None, kw_only=True)

    block_rows = 128

    def __post_init__(self) -> None:
        whole = {name: _is_whole(getattr(self, name)) for name in ("X", "y")}
        self._check_training()
        if whole["X"] and (self.X_query == np.floor(self.X_query)).all():
            checks.store(self, X=_whole(self.X), X_query=_whole(self.X_query))
        if whole["y"]:
            checks.store(self, y=_whole(self.y))
        if isinstance(self.loss, str):
            checks.one_of("loss", self.loss, tuple(LOSSES))
            checks.store(self, y=_TARGETS[self.loss](self.y, len(self.X)))
        elif not callable(self.loss):
            raise TypeError(f"loss is {self.loss!r}, expected a function of (outputs, y) or one of {', '.join(LOSSES)}")
        checks.store(self, device=self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if isinstance(self.module, torch.nn.Module):
            checks.store(self, module=copy.deepcopy(self.module))
        elif not callable(self.module):
            raise TypeError(f"module is {self.module!r}, expected an nn.Module, or a function without arguments that builds one")
        with _alone():
            probe = Probe(self._built, self._loss, self.output if callable(self.output) else None, *self._tensors)
            n_outputs = probe.outputs()
            if callable(self.output):
                if self.y_query is not None:
                    raise ValueError("y_query with an output function, expected none: the function knows what it asks")
            else:
                self._check_answers(n_outputs, self.output, "output")

    # --- what a learner has ------------------------------------------------------------------------------------------------

    def fingerprint(self) -> dict[str, Any]:
        """Return the values that decide every bit of the answers; stores recognise the learner by them."""
        options = ("X", "y", "X_query", "steps", "learning_rate", "l2", "optimizer", "momentum", "betas", "eps", "batch_size")
        more = ("schedule", "y_query", "mode", "chunk", "device")
        functions = (
            {} if self.name else {name: _told(getattr(self, name), name) for name in ("module", "loss", "output", "train")}
        )
        return {
            "functions": self.name or functions,
            "state": {name: value.detach().cpu().numpy() for name, value in self._built(0).state_dict().items()},
            "torch": torch.__version__,
            **{name: getattr(self, name) for name in (*options, *more)},
        }

    def initial_params(self, seeds: Sequence[int]) -> Array:
        """Return theta_0 (R, P), the trained parameters one after the other, in the order of module.named_parameters()."""
        return np.stack([self._start(seed).cpu().numpy() for seed in checks.as_seeds(seeds)])

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute the outputs (B, R, M) after training with weights (B, N)."""
        return self._mapped(self._respond, weights, seeds, (self.n_outputs,), 0)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute d outputs / d w (B, R, M, N), the derivative of `respond` through every step of training."""
        reverse = self.mode == "reverse" or (self.mode == "auto" and self.n_outputs <= 2 * self.n_points)
        directions = self.n_outputs if reverse else self.n_points
        if self.train is not None:
            work = self._own_jacobian(jacrev if reverse else jacfwd)
        else:
            work = self._reverse if reverse else self._forward
        return self._mapped(work, weights, seeds, (self.n_outputs, self.n_points), directions)

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Compute the gradients and the Hessian of L at the trained parameters, for weights (N,); adamw has no penalty in L."""
        w, numbers = checks.as_weight_vector(weights, self.n_points), checks.as_seeds(seeds)
        trained = [self._trained_at(w, seed) for seed in numbers]
        parts = [self._derivatives(w, theta) for theta in trained]
        hessian, points, outputs, norm = (np.stack(part) for part in zip(*parts, strict=True))
        params = np.stack(trained)
        self._require_finite(norm[None, :, None], w[None], numbers)
        if self.train is not None:

            def of(weights: Array) -> tuple[Array, Array]:
                theta = params[0] if weights is w else self._trained_at(weights, numbers[0])
                return (points[0] if weights is w else self._derivatives(weights, theta)[1]), theta

            self._require_stated_penalty(w, of)
        return Linearization(params, hessian, points, outputs, norm)

    # --- one model, as torch.func sees it ----------------------------------------------------------------------------------

    def _built(self, seed: int) -> Any:
        """Return a float64 module with the start of a seed."""
        if isinstance(self.module, torch.nn.Module):
            made = copy.deepcopy(self.module)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(int(seed))
                made = self.module()
            if not isinstance(made, torch.nn.Module):
                raise TypeError(
                    f"module() returned {type(made).__name__}, expected an nn.Module: pass a function that builds one"
                )
        return made.double().to(self.device)

    @cached_property
    def _tensors(self) -> tuple[Any, Any, Any]:
        return tuple(torch.tensor(getattr(self, name), device=self.device) for name in ("X", "y", "X_query"))

    @cached_property
    def _example(self) -> Any:
        return self._built(0)

    @cached_property
    def _shapes(self) -> dict[str, Any]:
        return {name: p.shape for name, p in self._example.named_parameters() if p.requires_grad}

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        """Return what is not trained: buffers, and parameters without a gradient."""
        module = self._example
        frozen = {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}
        return {**frozen, **dict(module.named_buffers())}

    def _start(self, seed: int) -> Any:
        """Return theta_0 (P,) of a seed; raise ValueError if the module of this seed has other buffers than that of seed 0."""
        module = self._built(seed)
        found = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        for name, value in self._fixed.items():
            if not torch.equal(found[name], value):
                raise ValueError(
                    f"{name} of the module differs between seeds 0 and {seed} and is not trained, expected the same for all "
                    "seeds: make it a parameter that requires a gradient, or draw it with a fixed seed of its own"
                )
        return torch.cat([found[name].detach().reshape(-1) for name in self._shapes])

    def _named(self, theta: Any) -> dict[str, Any]:
        parts = torch.split(theta, [shape.numel() for shape in self._shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def _parts(self, params: Array) -> dict[str, Array]:
        return {name: value.reshape(-1).numpy() for name, value in self._named(torch.from_numpy(params)).items()}

    @cached_property
    def _loss(self) -> Callable[[Any, Any], Any]:
        return LOSSES[self.loss] if isinstance(self.loss, str) else self.loss

    def _module_outputs(self, params: dict[str, Any], X: Any) -> Any:
        found = functional_call(self._example, {**self._fixed, **params}, (X,))
        return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found

    def _losses(self, params: dict[str, Any], X: Any, y: Any) -> Any:
        return self._loss(self._module_outputs(params, X), y)

    def _gradient(self, theta: Any, shares: Any, X: Any, y: Any) -> Any:
        """Compute the gradient (P,) of sum_i shares_i l_i."""
        by_name = grad(lambda params: (shares * self._losses(params, X, y)).sum())(self._named(theta))
        return torch.cat([by_name[name].reshape(-1) for name in self._shapes])

    def _step(self, state: State, w: Any, batch: Any, scales: Any, X: Any, y: Any) -> State:
        """Do one step of one model."""
        if batch is None:
            gradient = self._gradient(state[0], w / len(X), X, y)
        else:
            points, shares = batch
            gradient = self._gradient(state[0], torch.gather(w, 0, points) * shares, X[points], y[points])
        return self._optimizer.step(state, gradient, scales, torch)

    def _answers(self, theta: Any) -> Any:
        """Compute the answers (M,) of one model."""
        found = self._module_outputs(self._named(theta), self._tensors[2])
        if callable(self.output):
            return self.output(found)
        if found.ndim == 1:
            return found
        asked = self._ask(found.shape[1])
        chosen, rivals = (torch.from_numpy(np.ascontiguousarray(part.T)).to(self.device) for part in (asked.chosen, asked.rivals))
        return answers_of(found, (chosen, rivals), torch, torch.logsumexp)

    def _ask(self, n_outputs: int) -> ClassOutput:
        if callable(self.output):
            raise TypeError("an output function is asked itself")
        return as_class_output(self.output, self.y_query, self.n_outputs, n_outputs)

    # --- many models -------------------------------------------------------------------------------------------------------

    @cached_property
    def _size(self) -> int:
        """Return how many numbers one step of one model computes."""
        return self._recorded("step", 1, 0)[1]

    def _chunk(self, rows: int, directions: int) -> int:
        """Return how many models are trained at once for so many weight vectors, with so many directions: a power of two.

        It does not depend on the seeds, so that every seed has the same bits alone and among others.
        """
        if self.chunk is not None:
            return max(1, self.chunk // max(1, directions))
        size = 1 if self.train is not None else self._size
        fitting = _CACHE_NUMBERS // (size * (1 + 2 * directions))
        asked = min(max(_FEWEST_MODELS, 4 * 2 ** (rows - 1).bit_length()), _MOST_MODELS) // (2 if directions else 1)
        return 2 ** (max(1, min(fitting, asked)).bit_length() - 1)

    @cached_property
    def _graphs(self) -> dict[tuple[str, int, int], tuple[Callable[..., Any], int]]:
        return {}

    def _recorded(self, kind: str, models: int, directions: int) -> tuple[Callable[..., Any], int]:
        """Return `step`, or its derivative `push` or `pull` in so many directions, recorded for a chunk of models, and its size.

        They take state, weights, batch, scales, X and y, and for derivatives the tangents of state and weights, or the adjoint of
        the next state. A record spares what torch.func does in every call.
        """
        if (kind, models, directions) not in self._graphs:
            X, y, _ = self._tensors
            state = tuple(self._start(0).repeat(models, 1) for _ in range(1 + self._optimizer.memories))
            w = torch.ones(models, self.n_points, dtype=torch.float64, device=self.device)
            batch, scales = None, torch.from_numpy(self._scales[0]).to(self.device)
            if (drawn := self._batches((0,))) is not None:
                batch = tuple(torch.from_numpy(part[0, 0]).to(self.device).repeat(models, 1) for part in drawn)
            own = (0, 0, None if batch is None else 0, None, None, None)

            def push(state: State, w: Any, batch: Any, scales: Any, X: Any, y: Any, moved: State, along: Any) -> Any:
                def step(state: State, w: Any) -> State:
                    return self._step(state, w, batch, scales, X, y)

                return vmap(lambda *tangents: jvp(step, (state, w), tangents)[1])(moved, along)

            def pull(state: State, w: Any, batch: Any, scales: Any, X: Any, y: Any, adjoint: State) -> Any:
                return vmap(vjp(lambda state, w: self._step(state, w, batch, scales, X, y), state, w)[1])(adjoint)

            many = tuple(part[:, None].repeat(1, directions, 1) for part in state)
            more = {"step": (), "push": (many, w[:, None].repeat(1, directions, 1)), "pull": (many,)}[kind]
            work = {"step": self._step, "push": push, "pull": pull}[kind]
            over_models = vmap(work, in_dims=(*own, *(0 for _ in more)))
            self._graphs[kind, models, directions] = recorded(over_models, state, w, batch, scales, X, y, *more)
        return self._graphs[kind, models, directions]

    def _mapped(
        self, work: Callable[..., Any], weights: ArrayLike, seeds: Sequence[int], shape: tuple[int, ...], directions: int
    ) -> Array:
        """Apply work(weights, start, batches of every step) to every (weights, seed)."""
        values, numbers = checks.as_weights(weights, self.n_points), checks.as_seeds(seeds)
        with _alone():
            starts, batches = torch.stack([self._start(seed) for seed in numbers]), self._batches(numbers)

            def found(w: Array, seed: NDArray[np.intp]) -> Array:
                if batches is None:
                    drawn: list[Any] = [None] * (self.steps or 0)
                else:
                    points, shares = (torch.from_numpy(part[seed].swapaxes(0, 1)).to(self.device) for part in batches)
                    drawn = list(zip(points.contiguous(), shares.contiguous(), strict=True))
                return work(torch.from_numpy(w).to(self.device), starts[seed], drawn).cpu().numpy()

            return self._in_chunks(values, numbers, shape, self._chunk(len(values), directions), found)

    @cached_property
    def _every_scale(self) -> Any:
        return torch.from_numpy(self._scales).to(self.device)

    def _before(self, theta: Any) -> State:
        """Return the state (R, P) before the first step."""
        return (theta, *(torch.zeros_like(theta) for _ in range(self._optimizer.memories)))

    def _advance(self, state: State, w: Any, batches: list[Any], first: int, stop: int) -> Iterator[State]:
        """Yield the states after steps first .. stop - 1."""
        X, y, _ = self._tensors
        step = self._recorded("step", len(w), 0)[0]
        for t in range(first, stop):
            state = step(state, w, batches[t], self._every_scale[t], X, y)
            yield state

    def _trained(self, w: Any, theta: Any, batches: list[Any]) -> Any:
        """Train models with weights w (R, N) from theta (R, P)."""
        if self.train is not None:
            return vmap(self._own, in_dims=(0, 0))(w, theta)
        state = self._before(theta)
        for after in self._advance(state, w, batches, 0, len(batches)):
            state = after
        return state[0]

    def _own(self, w: Any, theta: Any) -> Any:
        """Train one model by the user's own function."""
        X, y, _ = self._tensors
        found = self.train(self._named(theta), w, X, y) if self.train is not None else {}
        return torch.cat([found[name].reshape(-1) for name in self._shapes])

    def _respond(self, w: Any, theta: Any, batches: list[Any]) -> Any:
        return vmap(self._answers)(self._trained(w, theta, batches))

    def _own_jacobian(self, derivative: Callable[..., Any]) -> Callable[[Any, Any, list[Any]], Any]:
        """Return the derivative through the user's own training."""
        each = vmap(derivative(lambda w, theta: self._answers(self._own(w, theta))))
        return lambda w, theta, batches: each(w, theta)

    def _forward(self, w: Any, theta: Any, batches: list[Any]) -> Any:
        """Compute the derivatives (R, M, N) with N tangents that are carried along."""
        X, y, _ = self._tensors
        models, points = w.shape
        push, step = self._recorded("push", models, points)[0], self._recorded("step", models, 0)[0]
        along = torch.eye(points, dtype=torch.float64, device=self.device).repeat(models, 1, 1)
        state = self._before(theta)
        moved = tuple(torch.zeros(models, points, part.shape[1], dtype=torch.float64, device=self.device) for part in state)
        for t, batch in enumerate(batches):
            at = (state, w, batch, self._every_scale[t], X, y)
            moved, state = push(*at, moved, along), step(*at)
        return (moved[0] @ vmap(jacrev(self._answers))(state[0]).mT).mT

    def _reverse(self, w: Any, theta: Any, batches: list[Any]) -> Any:
        """Compute the derivatives (R, M, N) with M adjoints that are carried back, through states stored every `stride` steps."""
        X, y, _ = self._tensors
        state, steps = self._before(theta), len(batches)
        stride = max(1, min(steps, _STATE_NUMBERS // (len(state) * theta.numel())))
        kept: list[State] = []
        trail: list[State] = []  # the states before the steps of the last piece
        for first in range(0, steps, stride):
            kept.append(state)
            trail = []
            for after in self._advance(state, w, batches, first, min(first + stride, steps)):
                trail.append(state)
                state = after
        last = vmap(jacrev(self._answers))(state[0])
        pull = self._recorded("pull", len(w), last.shape[1])[0]
        adjoint = (last, *(torch.zeros_like(last) for _ in state[1:]))
        found = torch.zeros(*last.shape[:2], self.n_points, dtype=torch.float64, device=self.device)
        for first, begin in reversed(list(zip(range(0, steps, stride), kept, strict=True))):
            stop = min(first + stride, steps)
            if stop < steps:
                trail = [begin, *self._advance(begin, w, batches, first, stop - 1)]
            for t in reversed(range(first, stop)):
                adjoint, in_weights = pull(trail[t - first], w, batches[t], self._every_scale[t], X, y, adjoint)
                found += in_weights
        return found

    # --- linearisation -----------------------------------------------------------------------------------------------------

    def _trained_at(self, w: Array, seed: int) -> Array:
        """Return the parameters (P,) that are trained with weights (N,)."""
        models = self._chunk(1, 0)
        with _alone():
            theta, drawn = self._start(seed), self._batches((seed,))
            batches: list[Any] = [None] * (self.steps or 0)
            if drawn is not None:
                parts = (torch.from_numpy(part[0]).to(self.device)[:, None].repeat(1, models, 1) for part in drawn)
                batches = list(zip(*parts, strict=True))
            weights = torch.tensor(w, device=self.device).repeat(models, 1)
            return self._trained(weights, theta.repeat(models, 1), batches)[0].cpu().numpy()

    def _derivatives(self, weights: Array, params: Array) -> tuple[Array, Array, Array, float]:
        """Compute Hessian (P, P), point gradients (N, P), output gradients (M, P) and ||grad L|| at parameters (P,)."""
        X, y, _ = self._tensors
        with _alone():
            theta, shares = (torch.tensor(part, device=self.device) for part in (params, weights / self.n_points))
            penalty = self._optimizer.penalty
            gradient, pull = vjp(lambda t: self._gradient(t, shares, X, y) + penalty * t, theta)
            every = torch.eye(len(theta), dtype=torch.float64, device=self.device)
            hessian = vmap(pull, chunk_size=_HESSIAN_ROWS)(every)[0]
            points = jacrev(lambda t: self._losses(self._named(t), X, y), chunk_size=_HESSIAN_ROWS)(theta)
            outputs = jacrev(self._answers, chunk_size=_HESSIAN_ROWS)(theta)
            found = (hessian.cpu().numpy(), points.cpu().numpy(), outputs.cpu().numpy())
            return (*found, float(torch.linalg.vector_norm(gradient)))


@contextmanager
def _alone() -> Generator[None]:
    """Compute in one thread, without PyTorch's own graph, and attention by plain products, which can be differentiated twice."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.set_num_threads(threads)


def _is_whole(values: Any) -> bool:
    return np.asarray(values).dtype.kind in "iu"


def _whole(values: Array) -> Any:
    whole = values.astype(np.int64)
    whole.flags.writeable = False
    return whole


def _told(value: Any, name: str) -> Any:
    """Describe a function, or a module by the classes and the attributes of its parts; its tensors are told by its state."""
    if not isinstance(value, torch.nn.Module):
        return described(value, name)
    inside = {part: {key: _plain(held) for key, held in vars(each).items()} for part, each in value.named_modules()}
    held = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
    return {
        part or "module": {
            "class": described(type(value.get_submodule(part)), f"the class of {name}.{part}"),
            **{key: described(found, f"{name}.{part}.{key}") for key, found in attributes.items() if key not in held},
        }
        for part, attributes in inside.items()
    }


def _plain(value: Any) -> Any:
    """Return a tensor as an array, and PyTorch's own marks as text."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    return str(value) if isinstance(value, torch.dtype | torch.device) else value


_TARGETS: dict[str, Callable[[ArrayLike, int], Any]] = {
    "logistic": checks.as_labels,
    "squared": checks.as_targets,
    "softmax": checks.as_classes,
}
_CACHE_NUMBERS = 2**22  # float64 numbers of one step of all models of a chunk
_FEWEST_MODELS, _MOST_MODELS = 32, 1024
_STATE_NUMBERS = 2**25  # float64 numbers of the states that reverse mode stores
_HESSIAN_ROWS = 64
