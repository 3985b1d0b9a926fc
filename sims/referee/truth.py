"""Define Truth: a trained model with the exact effects of its training points on the margins and losses of its queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from numpy.typing import ArrayLike

from sims.referee.losses import LOSSES
from theory.display import Displayed
from theory.inputs import shown
from theory.response import Array

if TYPE_CHECKING:
    import xarray as xr

    from sims.retrain import engine

__all__ = ["QUANTITIES", "TARGETS", "Model", "Subsets", "Target", "Truth"]

Target = Literal["margin", "loss"]
TARGETS: tuple[Target, ...] = ("margin", "loss")
"""What is attributed: the margins of the queries (the outputs of the learner), or their losses."""

QUANTITIES = {
    "D1": "D(1) = dF/dw at w = 1, the derivative with respect to the weights of the training points",
    "loo": "leave-one-out F(1) - F(1 - e_i)",
    "beta": "optimal datamodel coefficient over uniform subsets, the Banzhaf value",
    "shapley": "Shapley value",
}
"""The exact effects of training points, by the names that they have in a file."""


@dataclass(frozen=True, eq=False)
class Model:
    """The models trained at w = 1, one per seed, and their derivatives."""

    params: Array  # (R, P)
    init: Array | None  # (R, P), the starts
    layers: Mapping[str, Array]  # weight_1 (R, out, in), bias_1 (R, out), .. and init_weight_1, ..
    hessian: Array  # (R, P, P)
    point_gradients: Array  # (R, N, P)
    output_gradients: Array  # (R, M, P), of the margins
    curvatures: Mapping[
        str, Array
    ]  # approximations of the Hessian (R, P, P): gauss_newton, fisher, empirical_fisher, kfac, ekfac
    point_hessians: Array | None  # (R, N, P, P), of the points' losses; None where they would be large


@dataclass(frozen=True, eq=False)
class Subsets:
    """F on subsets: masks (B, N) and responses (B, M) by target; `complete` where these are all 2^N in the order of masks."""

    masks: Array
    responses: Mapping[str, Array]
    complete: bool


@dataclass(frozen=True, eq=False, repr=False)
class Truth(Displayed):
    """A truth is a trained model with the exact effects of its N training points on M queries.

    The effects of the arrays' names, `D1`, `loo`, `beta`, `shapley` and the same with `_loss`, are (N, M) means over seeds.

    >>> from sims.learners import LeastSquares
    >>> truth = Truth.of(LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0), y_query=[1.0])  # one point: F(w) = w / (w + 1)
    >>> [float(effect[0, 0]) for effect in (truth.D1, truth.loo, truth.beta, truth.shapley)]
    [0.25, 0.5, 0.5, 0.5]
    >>> float(truth.D1_loss[0, 0])  # the loss (F - 1)^2 / 2 has the derivative (F - 1) dF/dw
    -0.125
    """

    name: str
    X: Array
    y: Array
    X_query: Array
    y_query: Array | None
    l2: float
    loss_function: str  # one of LOSSES, or "" without targets of the queries
    seeds: tuple[int, ...]
    margin_by_seed: Array  # (R, M)
    effects: Mapping[str, Array]  # by D1, loo, .., D1_loss, ..: (R, N, M)
    errors: Mapping[str, Array]  # by the same names: (N, M), standard errors over drawn subsets
    subsets: Subsets
    model: Model | None = None
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(
        cls,
        learner: Any,
        seeds: Sequence[int] = (0,),
        *,
        y_query: ArrayLike | None = None,
        name: str = "",
        most_exact: int = 16,
        n_retrainings: int | None = None,
        executor: "engine.Executor | int | None" = None,
        progress: bool = False,
    ) -> "Truth":
        """Compute the truth of a learner that has X, y, X_query and l2, by retraining on all subsets or on drawn ones.

        The loss of a query needs its target: `y_query`, or that of the learner. With more than `most_exact` points, beta and
        Shapley values are estimated from `n_retrainings` trainings each (by default 100 per point, at most 40,000), with standard
        errors; D(1) and leave-one-out stay exact. Without `weight_jacobian`, D(1) comes from differences of F, with their error.
        """
        from sims.referee.computing import computed

        return cls(
            **computed(
                learner,
                seeds,
                y_query,
                name,
                most_exact=most_exact,
                n_retrainings=n_retrainings,
                executor=executor,
                progress=progress,
            )
        )

    # --- arrays by their names --------------------------------------------------------------------------------------------------

    @property
    def margin(self) -> Array:
        """The outputs of the queries at w = 1, (M,), means over seeds."""
        return self.margin_by_seed.mean(axis=0)

    @property
    def loss(self) -> Array:
        """The losses of the queries at w = 1, (M,), means over seeds."""
        self._require_target("loss")
        assert self.y_query is not None
        return LOSSES[self.loss_function].value(self.margin_by_seed, self.y_query).mean(axis=0)

    @property
    def D1(self) -> Array:  # noqa: N802  the symbol of the theory
        return self.effect("D1")

    @property
    def loo(self) -> Array:
        return self.effect("loo")

    @property
    def beta(self) -> Array:
        return self.effect("beta")

    @property
    def shapley(self) -> Array:
        return self.effect("shapley")

    @property
    def D1_loss(self) -> Array:  # noqa: N802
        return self.effect("D1", "loss")

    @property
    def loo_loss(self) -> Array:
        return self.effect("loo", "loss")

    @property
    def beta_loss(self) -> Array:
        return self.effect("beta", "loss")

    @property
    def shapley_loss(self) -> Array:
        return self.effect("shapley", "loss")

    @property
    def table(self) -> Array:
        """F on all 2^N subsets (2^N, M); ValueError where subsets were drawn."""
        return self._complete("responses")

    @property
    def table_loss(self) -> Array:
        """The mean loss on all 2^N subsets (2^N, M)."""
        self._require_target("loss")
        return self._complete("responses_loss")

    @property
    def masks(self) -> Array:
        return self.subsets.masks

    @property
    def responses(self) -> Array:
        return self.subsets.responses["responses"]

    @property
    def n_points(self) -> int:
        return self.X.shape[0]

    @property
    def n_queries(self) -> int:
        return self.margin_by_seed.shape[1]

    def effect(self, quantity: str, target: Target = "margin") -> Array:
        """Return one of `QUANTITIES` on margins or losses: (N, M), the mean over seeds."""
        return self.effects[self._key(quantity, target)].mean(axis=0)

    def error(self, quantity: str, target: Target = "margin") -> Array:
        """Return its standard error over drawn subsets (N, M), 0 where nothing was drawn."""
        return self.errors[self._key(quantity, target)]

    def seed(self, seed: int) -> "Truth":
        """Return the truth of one seed alone, for scores of one trained model. The responses to subsets stay means over seeds."""
        if seed not in self.seeds:
            raise ValueError(f"seed {shown(seed)}, expected one of {', '.join(map(str, self.seeds))}")
        at = slice(r := self.seeds.index(seed), r + 1)
        model = self.model and Model(**{name: _cut(value, at) for name, value in vars(self.model).items()})
        return replace(
            self,
            seeds=(seed,),
            margin_by_seed=self.margin_by_seed[at],
            effects={key: value[at] for key, value in self.effects.items()},
            model=model,
        )

    def _key(self, quantity: str, target: Target) -> str:
        if quantity not in QUANTITIES:
            raise ValueError(f"quantity {shown(quantity)}, expected one of {', '.join(QUANTITIES)}")
        self._require_target(target)
        return quantity + ("_loss" if target == "loss" else "")

    def _require_target(self, target: str) -> None:
        if target not in TARGETS:
            raise ValueError(f"target {shown(target)}, expected one of {', '.join(TARGETS)}")
        if target == "loss" and not self.loss_function:
            raise ValueError(f"{self.name} has no losses, because its queries have no targets: give y_query to Truth.of")

    def _complete(self, key: str) -> Array:
        if not self.subsets.complete:
            raise ValueError(f"{self.name} has no table: its {len(self.masks)} subsets were drawn, see masks and responses")
        return self.subsets.responses[key]

    # --- display and files ------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, object]:
        """Return the name and the sizes."""
        sizes = {"n_points": self.n_points, "n_queries": self.n_queries, "n_seeds": len(self.seeds)}
        return {"name": self.name, **sizes, "n_params": "unknown" if self.model is None else self.model.params.shape[1]}

    def to_xarray(self) -> "xr.Dataset":
        """Return the effects on every point and query, means over seeds, with their standard errors."""
        import xarray as xr

        arrays = {key: values.mean(axis=0) for key, values in self.effects.items()}
        arrays |= {f"{key}_error": values for key, values in self.errors.items()}
        return xr.Dataset({key: (("point", "query"), values) for key, values in arrays.items()})

    def save(self, folder: Path | str) -> Path:
        """Write NAME.npz and NAME.json into a folder, and return the path of the first; see `sims.referee.files`."""
        from sims.referee.files import save

        return save(self, folder)


def _cut(value: Any, seeds: slice) -> Any:
    """Return arrays whose first axis is the seed, or a mapping of such arrays, for some seeds."""
    if isinstance(value, Mapping):
        return {name: array[seeds] for name, array in cast("Mapping[str, Array]", value).items()}
    return None if value is None else value[seeds]
