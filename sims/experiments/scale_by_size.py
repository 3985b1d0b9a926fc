"""The experiment measures how the excess of beta over (1/p) D(1; l2/p) falls with the number of points (T6), on real data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from sims.experiments.scale_at_size import ScaleAtSizeConfig
from sims.experiments.scale_at_size import run as at_one_size
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, labelled, progress_bar, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.retrain import Responses
from theory.response import Learner

__all__ = ["EXPERIMENT", "ScaleBySizeConfig", "run"]


@dataclass(frozen=True)
class ScaleBySizeConfig:
    """A config sets the problem at its largest size, all sizes, the inclusion probabilities, and the subsets drawn per point.

    The data set should draw its rows anew for every size: from nested rows the interval of a fitted exponent is too narrow.
    """

    problem: Problem
    sizes: tuple[int, ...] = setting("numbers of training points", within="[1, inf)")
    probabilities: tuple[float, ...] = (0.5, 0.9)
    draws_per_point: int = setting("subsets that are drawn for every point of a size, 2000 at least", 4, within="[1, inf)")


def run(config: ScaleBySizeConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure slope - 1 of beta^(p) on (1/p) D(1; l2/p), mean over outputs, for every size and p, as `scale_at_size` does.

    beta comes from subsets drawn with a control variate. Standard errors are HC3 over the subsets; the mean over outputs has the
    mean of their standard errors, since all outputs share their subsets, which is an upper bound.
    """
    show = progress_bar("scale by size", progress)
    found = {config.sizes[k]: _at(config, config.sizes[k], retrain) for k in show(range(len(config.sizes)))}
    columns = found[config.sizes[0]].columns_per_point * config.sizes[0]

    def over_sizes(name: str) -> xr.DataArray:
        return table(lambda n: found[n][name].mean("output"), sample_size=config.sizes)

    variables: Variables = {
        "excess": (over_sizes("slope_at_mean") - 1.0, "slope of beta on D(p1), which is D(1; l2/p) / p, less 1"),
        "excess_error": (over_sizes("standard_error_at_mean"), "of the excess (HC3)"),
        "second_order": (over_sizes("second_order") - 1.0, "excess that second and third derivatives predict"),
        "unexplained": (over_sizes("unexplained"), "||beta - slope D(p1)||^2 / ||beta||^2, less what errors of beta add"),
        "unexplained_error": (over_sizes("unexplained_error"), "its standard error"),
        "columns_per_point": (array([float(columns) / n for n in config.sizes], sample_size=config.sizes), "d / N"),
    }
    return labelled("scale_by_size", config, variables).assign_attrs(l2=config.problem.number("l2"))


def _at(config: ScaleBySizeConfig, n: int, retrain: Retrain) -> xr.Dataset:
    """Return the result of `scale_at_size` at one size, with the estimator that has a control variate."""

    def part_of_this_size(
        learner: Learner, seeds: Sequence[int], *, part: str = "", weights: ArrayLike | None = None
    ) -> Responses:
        return retrain(learner, seeds, part=f"N{n}{part}", weights=weights)

    draws = max(2000, config.draws_per_point * n)
    one = ScaleAtSizeConfig(replace(config.problem, n_points=n), config.probabilities, draws)
    return at_one_size(one, retrain=part_of_this_size).sel(estimator="control variate", drop=True)


def _resize(config: ScaleBySizeConfig, n_points: int) -> ScaleBySizeConfig:
    raise ValueError(f"its sizes are {', '.join(map(str, config.sizes))}, not {n_points}")


def _case(data: str, sizes: tuple[int, ...], l2: float) -> ScaleBySizeConfig:
    return ScaleBySizeConfig(Problem(data, "logistic", l2=l2, n_points=sizes[-1], n_queries=16), sizes)


def _sizes(first: int, last: int, count: int) -> tuple[int, ...]:
    return tuple(int(n) for n in np.round(np.geomspace(first, last, count)))


EXPERIMENT = Experiment(
    name="scale_by_size",
    question="Does what beta has beyond (1/p) D(1; l2/p) fall as 1/N?",
    cases=(
        _case("fair_anew", _sizes(150, 750, 8), 1e-2),
        _case("randhie", _sizes(200, 1000, 10), 1e-2),
        _case("anes96", _sizes(150, 850, 10), 1e-2),
        _case("fair_anew", _sizes(250, 1000, 8), 1e-6),
    ),
    small=(_case("fair_anew", (60, 90, 130, 200), 1e-2),),
    run=run,
    resize=_resize,
    most_points=lambda config: None,
)
