"""Experiments: every file here defines one, `EXPERIMENT`, and is found without a list."""

import importlib
import pkgutil

from sims.experiments.shared.experiment import Experiment

__all__ = ["Experiment", "all_experiments"]


def all_experiments() -> dict[str, Experiment]:
    """Find every experiment of this package, by name; a file without one, or two with one name, are an error."""
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
