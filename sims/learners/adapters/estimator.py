"""Any scikit-learn estimator as a learner: one fit per weight vector and seed."""

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
    """f at X_query (M, d) of a clone of `estimator`, fitted to the rows of X (N, d) and y (N,) with w_i > 0, sample_weight w_i.

    Weight 0 is deletion exactly: the row is not there, and a subset is `fit(X[rows], y[rows])` as one would write it. The
    estimator's own objective is kept; most sum w_i l_i without dividing it, so that Ridge(alpha) is l2 = alpha / N and
    LogisticRegression(C) is l2 = 1 / (C N) here. Every `random_state`, those of parts included, is the seed; an estimator without
    one is fitted once for all seeds. There are no derivatives.

    output: "margin" (a classifier's default: decision_function, or else the log-odds of predict_proba), "probability", or
    "regression" (a regressor's default: predict, in the units of y). Margin and probability are of the class `positive`, the
    larger of two labels unless stated; with more classes it must be, and the margin is its log-odds against all others.

    undefined: what is answered where there is nothing to fit (fewer points than `min_points`, for classifiers a class of two
    missing, or `positive` or every other): "error", or a number for all queries of such subsets.

    weights_to: the names of fit's parameters that get the weights; None finds `sample_weight` and, in a pipeline, that of every
    step that has one (an unweighted scaler would see w_i = 0.5 as 1). Without any, weights other than 0 and 1 are refused.
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
        if self.undefined != "error":
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
        """Whether weights must be 0 or 1: nothing in this estimator takes a sample weight."""
        return not self.weights_to

    def fingerprint(self) -> dict[str, Any]:
        """What decides every bit of the answers, for stores."""
        model = _seeded(self.estimator, self._random, 0)
        fields = ("X", "y", "X_query", "output", "undefined", "min_points", "positive", "weights_to")
        return {
            "estimator": described(model, "estimator"),
            "sklearn": sklearn.__version__,
            **{name: getattr(self, name) for name in fields},
        }

    @cached_property
    def _random(self) -> tuple[str, ...]:
        """The parameters that take the seed."""
        names = self.estimator.get_params(deep=True)
        return tuple(name for name in names if name.split("__")[-1] == "random_state")

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """f (B, R, M) after fitting with weights (B, N)."""
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
        """(R, M), or one row for all seeds where nothing is random."""
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
        model = _seeded(self.estimator, self._random, seed)
        try:
            names = () if (w[rows] == 1.0).all() else self.weights_to or ()  # some draw other numbers where weights are given
            model.fit(self.X[rows], self.y[rows], **dict.fromkeys(names, w[rows]))
            answer = np.asarray(self._output_of(model, self.X_query.copy()), dtype=np.float64)
        except Exception as error:  # whatever another library raises: it does not know which subset this is
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
        """Why there is nothing to fit on these points, or nothing."""
        if len(rows) < self.min_points:
            return f"has {len(rows)} points" if len(rows) else "is empty"
        if self.output == "regression":
            return ""
        is_positive = self.y[rows] == self.positive
        if is_positive.all() or not is_positive.any():
            return f"has {'nothing but' if is_positive.all() else 'no point of'} class {self.positive!r}"
        return ""

    def _output_of(self, model: Any, X: Array) -> Any:
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
        if self.output is not None:
            checks.one_of("output", self.output, OUTPUTS)
            return self.output
        if is_classifier(self.estimator):
            return "margin"
        if is_regressor(self.estimator):
            return "regression"
        raise ValueError(f"{self.estimator!r} is neither a classifier nor a regressor: say output=, one of {', '.join(OUTPUTS)}")


def _as_classes(y: Any, n_points: int) -> NDArray[Any]:
    values = np.array(y)
    if values.shape != (n_points,) or values.dtype.hasobject:
        raise ValueError(
            f"y has shape {values.shape} and type {values.dtype}, expected ({n_points},) numbers or text, one per row"
        )
    values.flags.writeable = False
    return values


def _as_positive_class(classes: list[Any], positive: Any) -> Any:
    if len(classes) < 2:
        raise ValueError(f"every label is {classes[0]!r}, expected two classes or more")
    if positive is None and len(classes) > 2:
        raise ValueError(f"y has the classes {classes}: say positive=, the one whose margin or probability is the output")
    if positive is not None and positive not in classes:
        raise ValueError(f"positive is {positive!r}, expected one of {classes}")
    return classes[-1] if positive is None else positive


def _as_answer(undefined: Any) -> float:
    if isinstance(undefined, str) or not np.isfinite(undefined):
        raise ValueError(f"undefined is {undefined!r}, expected 'error' or a finite number")
    return float(undefined)


def _seeded(estimator: Any, names: Sequence[str], seed: int) -> Any:
    """A clone whose random states are the seed."""
    return clone(estimator).set_params(**dict.fromkeys(names, seed))


def _weight_parameters(estimator: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(estimator, Pipeline):
        for name, step in estimator.steps:
            yield from _weight_parameters(step, f"{prefix}{name}__")
    elif hasattr(estimator, "fit") and has_fit_parameter(estimator, "sample_weight"):
        yield f"{prefix}sample_weight"
