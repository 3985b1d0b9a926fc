"""The module builds a user's own learner on a user's own data: `make(X, y, X_query)`, named as MODULE:FUNCTION."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sims.datasets import DataSet
from sims.datasets.user_file import UserData
from theory.answers import require_learner
from theory.response import Learner, has_own_bias

__all__ = ["MadeLearner", "load_function"]


@dataclass(frozen=True)
class MadeLearner:
    """A made learner takes the place of a `Problem`: `function`, such as "mymodule:make", builds it on a user's CSV file.

    The function gets copies of the arrays that the project's own learners get: X (N, d) and X_query (M, d), whose first column
    is 1 and whose other columns are standardised, and y (N,), which is 0 or 1 for two classes and standardised else. A class
    with `has_bias = True` gets no column of ones. Processes import the module by its name, from the current folder first.
    """

    data: UserData
    function: str
    n_points: int

    @property
    def name(self) -> str:
        """Return the name that the ledger shows: file, number of training points and function."""
        return f"{self.label}-{self.n_points} {self.learner}"

    @property
    def label(self) -> str:
        return self.data.label

    @property
    def learner(self) -> str:
        """Return the name of the function with dots."""
        return self.function.replace(":", ".")

    def shown_options(self) -> dict[str, str]:
        """Return no options: only the function knows them."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Return the attributes of a result: N, the unit of outputs, rows of the file, class labels."""
        used = self.load()
        return {
            "n_points": len(used.X),
            "options": "{}",
            "unit": "units of the output",
            "train_rows": list(used.train_rows),
            "query_rows": list(used.query_rows),
            **self.data.facts(),
            **({"labels": list(used.labels)} if used.labels else {}),
        }

    def described(self) -> dict[str, Any]:
        """Return everything that decides the problem but the function's own text, which the store of its table records."""
        return asdict(self)

    def load(self) -> DataSet:
        """Return the training points and queries."""
        return self.data.load(self.n_points)

    def build(self) -> Learner:
        """Call the function, and check what it returns; ValueError or TypeError says what is wrong with it."""
        used = self.load()
        make: Any = load_function(self.function)
        columns = slice(1 if has_own_bias(make) else 0, None)
        X, y, X_query = used.X[:, columns].copy(), used.y.copy(), used.X_query[:, columns].copy()
        try:
            learner: Any = make(X, y, X_query)
        except Exception as error:
            raise ValueError(
                f"{self.function} failed on X {X.shape}, y {y.shape}, X_query {X_query.shape}: {type(error).__name__}: {error}"
            ) from error
        try:
            require_learner(learner)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.function} returned no learner: {error}") from None
        if learner.n_points != len(y):
            raise ValueError(
                f"{self.function} returned a learner with n_points = {learner.n_points}, expected {len(y)}, the rows of X"
            )
        return learner


def load_function(text: str) -> Callable[[Any, Any, Any], Any]:
    """Return the function that a text such as "mymodule:make" names; ValueError says what is missing."""
    module_name, _, name = text.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise ValueError(f"learner {text!r}: expected MODULE:FUNCTION, such as mymodule:make for make in mymodule.py")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ValueError(f"learner {text!r}: no module {module_name} in {here} or among the installed packages") from None
        raise ValueError(f"learner {text!r}: {module_name} imports {error.name}, which is not installed") from error
    except Exception as error:
        raise ValueError(f"learner {text!r}: importing {module_name} raised {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if callable(value) and getattr(value, "__module__", "") == module_name]
        raise ValueError(f"learner {text!r}: {module.__file__} has no {name}; it has {', '.join(own) or 'no function'}")
    function: Any = getattr(module, name)
    if not callable(function):
        raise ValueError(f"learner {text!r}: {name} is a {type(function).__name__}, expected a function make(X, y, X_query)")
    try:
        inspect.signature(function).bind(*np.empty(3))
    except TypeError:
        raise ValueError(
            f"learner {text!r}: {name}{inspect.signature(function)} cannot be called as {name}(X, y, X_query), expected a "
            "function or a class of three arguments"
        ) from None
    except ValueError:
        pass  # a function of C has no signature: the call itself will tell
    return function
