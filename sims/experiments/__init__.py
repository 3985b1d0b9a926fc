"""The package holds the experiments: every module in it defines one as `EXPERIMENT` and needs no entry in a list."""

import importlib
import pkgutil

from sims.experiments.shared.experiment import Experiment

__all__ = ["Experiment", "all_experiments"]


def all_experiments() -> dict[str, Experiment]:
    """Return every experiment of this package by its name.

    Raises ValueError if a module has no `EXPERIMENT`, or if two experiments have the same name.
    """
    found: dict[str, Experiment] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.ispkg:  # shared
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        experiment = getattr(module, "EXPERIMENT", None)
        if not isinstance(experiment, Experiment):
            raise ValueError(f"{module.__name__} has no EXPERIMENT: what experiments share belongs into sims/experiments/shared")
        if experiment.name in found:
            raise ValueError(f"experiment {experiment.name} is defined twice")
        found[experiment.name] = experiment
    return found
