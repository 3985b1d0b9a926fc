"""Turn any scikit-learn estimator into a learner, with one fit per weight vector and seed."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# scikit-learn has no types.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sims.learners.adapters.description import described
from sims.learners.shared import checks
from sims.learners.shared.representation import short_repr
from theory.inputs import as_number, shown
from theory.response import Array
from theory.subsets import name_subset

try:
    import sklearn
    from sklearn.base import clone, is_classifier, is_regressor
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter
except ImportError as error:
    raise ImportError("SklearnLearner needs scikit-learn: pip install 'dfdw[sklearn]'") from error

__all__ = ["SklearnLearner"]

OUTPUTS = ("margin", "probability", "regression")


@dataclass(frozen=True, eq=False)
class SklearnLearner:
    """A scikit-learn `estimator`, cloned and fitted to the rows of X (N, d) and y (N,) with w_i > 0, with sample_weight w_i.

    The outputs f are those at X_query (M, d). Weight 0 is exactly deletion: the row is left out, and a subset is fitted by
    `fit(X[rows], y[rows])`. The estimator keeps its own objective. Most estimators do not divide sum_i w_i l_i, so that
    Ridge(alpha) has l2 = alpha / N and LogisticRegression(C) has l2 = 1 / (C N) in this project's objective. Every
    `random_state`, also of the estimator's parts, is set to the seed. An estimator without one is fitted once for all seeds.
    There are no derivatives.

    `output` is "margin" (the default of classifiers: decision_function, or else the log-odds of predict_proba), "probability", or
    "regression" (the default of regressors: predict, in the units of y). Margin and probability belong to the class `positive`.
    Of two labels this is the larger one by default. With more classes you must name it, and its margin is the log-odds against
    all other classes together.

    `undefined` says what happens where a subset cannot be fitted: "error" raises a ValueError, and a number is the answer for all
    queries. Such a subset has fewer points than `min_points`, or, for classifiers, no point of `positive` or no point of any
    other class.

    `weights_to` names the parameters of `fit` that get the weights. None finds `sample_weight` and, in a pipeline, the
    `sample_weight` of every step that has one (an unweighted scaler would treat w_i = 0.5 like 1). If there is none, weights
    other than 0 and 1 are refused.
    """

    estimator: Any
    X: Array = field(repr=False)
    y: NDArray[Any] = field(repr=False)
    X_query: Array = field(repr=False)
    output: Literal["margin", "probability", "regression"] | None = None
    undefined: float | Literal["error"] = "error"
    min_points: int = 1
    positive: Any = None
    weights_to: tuple[str, ...] | None = None

    block_rows = 16
    normalization = "sum"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if isinstance(self.estimator, type) or not (hasattr(self.estimator, "fit") and hasattr(self.estimator, "get_params")):
            raise TypeError(
                f"estimator is {self.estimator!r}, expected a scikit-learn estimator such as LogisticRegression(C=1.0)"
            )
        X = checks.as_design(self.X)
        checks.store(self, estimator=clone(self.estimator), X=X, X_query=checks.as_queries(self.X_query, X.shape[1]))
        checks.store(self, output=self._as_output(), min_points=checks.as_count("min_points", self.min_points))
        if self.output == "regression":
            checks.store(self, y=checks.as_targets(self.y, len(X)))
        else:
            y = _as_classes(self.y, len(X))
            checks.store(self, y=y, positive=_as_positive_class(np.unique(y).tolist(), self.positive))
        if not (isinstance(self.undefined, str) and self.undefined == "error"):
            checks.store(self, undefined=_as_answer(self.undefined))
        if isinstance(self.weights_to, str):
            raise TypeError(f"weights_to is {self.weights_to!r}, expected names in a tuple: ({self.weights_to!r},)")
        names = _weight_parameters(self.estimator) if self.weights_to is None else self.weights_to
        checks.store(self, weights_to=tuple(names))

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    @property
    def masks_only(self) -> bool:
        """Return whether weights must be 0 or 1 because no part of the estimator takes a sample weight."""
        return not self.weights_to

    def fingerprint(self) -> dict[str, Any]:
        """Return the values that decide every bit of the answers; stores recognise the learner by them."""
        model = _seeded(self.estimator, self._random, 0)
        fields = ("X", "y", "X_query", "output", "undefined", "min_points", "positive", "weights_to")
        return {
            "estimator": described(model, "estimator"),
            "sklearn": sklearn.__version__,
            **{name: getattr(self, name) for name in fields},
        }

    @cached_property
    def _random(self) -> tuple[str, ...]:
        """Return the names of the parameters that are set to the seed."""
        names = self.estimator.get_params(deep=True)
        return tuple(name for name in names if name.split("__")[-1] == "random_state")

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute f (B, R, M) after fitting with weights (B, N)."""
        values, numbers = checks.as_weights(weights, self.n_points), checks.as_seeds(seeds)
        if self.masks_only and not np.isin(values, (0.0, 1.0)).all():
            row = values[np.argwhere(~np.isin(values, (0.0, 1.0)))[0][0]]
            raise ValueError(
                f"{name_subset(row)}: {type(self.estimator).__name__}.fit has no sample_weight, expected weights 0 and 1; "
                "name the parameter of fit that takes weights in weights_to=(..), or take another estimator"
            )
        answers = np.empty((len(values), len(numbers), self.n_outputs))
        for answer, w in zip(answers, values, strict=True):
            answer[:] = self._answers(w, numbers)
        return answers

    def _answers(self, w: Array, seeds: Sequence[int]) -> Array:
        """Compute f (R, M) for one weight vector, or (1, M) for all seeds if nothing is random."""
        rows = np.flatnonzero(w)
        missing = self._missing(rows)
        if missing and isinstance(self.undefined, float):
            return np.full((1, self.n_outputs), self.undefined)
        if missing:
            raise ValueError(
                f"{name_subset(w)} {missing}: {type(self.estimator).__name__} is not fitted there; say undefined=NUMBER, "
                "the answer for such subsets (0.0 is an undecided margin, 0.5 an undecided probability), to go on"
            )
        return np.stack([self._answer(w, rows, seed) for seed in (seeds if self._random else seeds[:1])])

    def _answer(self, w: Array, rows: NDArray[np.intp], seed: int) -> Array:
        """Compute f (M,) for one weight vector and one seed; the error names both if the estimator fails."""
        model = _seeded(self.estimator, self._random, seed)
        try:
            names = () if (w[rows] == 1.0).all() else self.weights_to or ()  # some draw different random numbers with weights
            model.fit(self.X[rows], self.y[rows], **dict.fromkeys(names, w[rows]))
            answer = np.asarray(self._output_of(model, self.X_query.copy()), dtype=np.float64)
        except Exception as error:  # another library can raise any error, and does not know which subset this is
            raise ValueError(
                f"{type(self.estimator).__name__} failed on {name_subset(w)}, seed {seed}: {type(error).__name__}: {error}"
            ) from error
        if answer.shape != (self.n_outputs,) or not np.isfinite(answer).all():
            why = "; a probability of 0 or 1 has no finite log-odds: say output='probability'" if self.output == "margin" else ""
            raise ArithmeticError(
                f"{type(self.estimator).__name__} answered {answer} on {name_subset(w)}, seed {seed}, expected "
                f"{self.n_outputs} finite numbers{why}"
            )
        return answer

    def _missing(self, rows: NDArray[np.intp]) -> str:
        """Return the reason why nothing can be fitted on these points, or an empty string."""
        if len(rows) < self.min_points:
            return f"has {len(rows)} points" if len(rows) else "is empty"
        if self.output == "regression":
            return ""
        is_positive = self.y[rows] == self.positive
        if is_positive.all() or not is_positive.any():
            return f"has {'nothing but' if is_positive.all() else 'no point of'} class {self.positive!r}"
        return ""

    def _output_of(self, model: Any, X: Array) -> Any:
        """Compute the outputs of a fitted model at inputs X."""
        if self.output == "regression":
            return model.predict(X)
        column = list(model.classes_).index(self.positive)
        if self.output == "probability":
            return model.predict_proba(X)[:, column]
        if self._is_binary and hasattr(model, "decision_function"):
            return (1.0 if column else -1.0) * model.decision_function(X)
        probabilities = np.asarray(model.predict_proba(X), dtype=np.float64)
        with np.errstate(divide="ignore"):
            return np.log(probabilities[:, column]) - np.log(np.delete(probabilities, column, axis=1).sum(axis=1))

    @cached_property
    def _is_binary(self) -> bool:
        return len(np.unique(self.y)) == 2

    def _as_output(self) -> str:
        """Return the kind of output; raise ValueError if it is unknown or the estimator has no default."""
        if self.output is not None:
            checks.one_of("output", self.output, OUTPUTS)
            return self.output
        if is_classifier(self.estimator):
            return "margin"
        if is_regressor(self.estimator):
            return "regression"
        raise ValueError(f"{self.estimator!r} is neither a classifier nor a regressor: say output=, one of {', '.join(OUTPUTS)}")


def _as_classes(y: Any, n_points: int) -> NDArray[Any]:
    """Return y as a read-only copy; raise ValueError unless it has shape (N,) and holds numbers or text."""
    if isinstance(y, np.ma.MaskedArray):
        raise ValueError("y is a masked array, expected numbers or text, one per row; drop the rows that are masked")
    values = np.array(y)
    if values.shape != (n_points,) or values.dtype.hasobject:
        raise ValueError(
            f"y has shape {values.shape} and type {values.dtype}, expected ({n_points},) numbers or text, one per row"
        )
    values.flags.writeable = False
    return values


def _as_positive_class(classes: list[Any], positive: Any) -> Any:
    """Return the class whose margin or probability is the output; raise ValueError if it is unknown or undecided."""
    if len(classes) < 2:
        raise ValueError(f"every label is {classes[0]!r}, expected two classes or more")
    if positive is None and len(classes) > 2:
        raise ValueError(f"y has the classes {classes}: say positive=, the one whose margin or probability is the output")
    if positive is not None and positive not in classes:
        raise ValueError(f"positive is {positive!r}, expected one of {classes}")
    return classes[-1] if positive is None else positive


def _as_answer(undefined: Any) -> float:
    """Return the answer as a float; raise ValueError unless it is a finite number."""
    try:
        return as_number("undefined", undefined)
    except ValueError:
        raise ValueError(f"undefined is {shown(undefined)}, expected 'error' or a finite number") from None


def _seeded(estimator: Any, names: Sequence[str], seed: int) -> Any:
    """Return a clone whose random states are set to the seed."""
    return clone(estimator).set_params(**dict.fromkeys(names, seed))


def _weight_parameters(estimator: Any, prefix: str = "") -> Iterator[str]:
    """Yield the names of the parameters of `fit` that take sample weights."""
    if isinstance(estimator, Pipeline):
        for name, step in estimator.steps:
            yield from _weight_parameters(step, f"{prefix}{name}__")
    elif hasattr(estimator, "fit") and has_fit_parameter(estimator, "sample_weight"):
        yield f"{prefix}sample_weight"
