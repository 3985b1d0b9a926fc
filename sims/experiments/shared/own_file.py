"""The module loads an experiment from a user's own Python file, so that worker processes find it too."""

import importlib
import importlib.util
import re
import sys
import traceback
from pathlib import Path

from sims.experiments import all_experiments
from sims.experiments.shared.experiment import Experiment

__all__ = ["experiment_in", "is_file_name"]


def is_file_name(name: str) -> bool:
    """Return whether the name of an experiment means a file: it ends with .py or has a slash."""
    return name.endswith(".py") or "/" in name or "\\" in name


def experiment_in(file: Path) -> tuple[Experiment, str]:
    """Return the `EXPERIMENT` of a Python file, and the name of its module.

    The folder of the file is added to `sys.path`, as Python does for a script: it can import its neighbours, and worker processes
    import it by its name. Raises ValueError where the file is missing or has no experiment, where its name is that of another
    module, where it cannot be imported (with the line), or where its experiment has the name of one of the package.
    """
    if not file.is_file():
        raise ValueError(f"{file} is no file, expected a Python file with EXPERIMENT = Experiment(..)")
    module, folder = file.stem, str(file.parent.resolve())
    if file.suffix != ".py" or not module.isidentifier():
        raise ValueError(f"{file.name}, expected a name that Python can import, such as my_experiment.py: rename the file")
    if folder not in sys.path:
        sys.path.append(folder)
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != file.resolve():
        there = "built in" if spec is None or spec.origin is None else spec.origin
        raise ValueError(f"{file.name} has the name of another module ({there}): rename the file")
    experiment = getattr(_imported(module, file), "EXPERIMENT", None)
    if not isinstance(experiment, Experiment):
        found = "no EXPERIMENT" if experiment is None else f"EXPERIMENT of type {type(experiment).__name__}"
        raise ValueError(f"{file} has {found}, expected EXPERIMENT = Experiment(..) at the end, as in sims/experiments")
    if experiment.name in all_experiments():
        raise ValueError(f"{file}: experiment {experiment.name!r} has the name of one of the package: rename it")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", experiment.name):
        raise ValueError(f"{file}: the name {experiment.name!r} is that of a folder, expected letters, digits, _ and -")
    return experiment, module


def _imported(module: str, file: Path) -> object:
    try:
        return importlib.import_module(module)
    except SyntaxError as error:
        raise ValueError(f"{error.filename or file}, line {error.lineno}: {error.msg}") from error
    except Exception as error:  # whatever a user's file does wrong
        own = file.resolve()
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == own]
        where = f", line {lines[-1]}" if lines else ""
        raise ValueError(f"{file}{where}: {type(error).__name__}: {error}") from error
