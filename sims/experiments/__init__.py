"""Experiments: one file each, found by itself; every file defines `EXPERIMENT`."""

import importlib
import pkgutil

from sims.experiments.shared.experiment import Experiment

__all__ = ["Experiment", "all_experiments"]


def all_experiments() -> dict[str, Experiment]:
    """Every experiment of this package by name. Two files with one name are an error."""
    found: dict[str, Experiment] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        experiment = getattr(module, "EXPERIMENT", None)
        if isinstance(experiment, Experiment):
            if experiment.name in found:
                raise ValueError(f"experiment {experiment.name} is defined twice")
            found[experiment.name] = experiment
    return found
