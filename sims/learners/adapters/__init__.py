"""Learners made of other libraries' parts: `SklearnLearner` (scikit-learn, extra `sklearn`) and `JaxLearner` (JAX, extra `jax`).

Each is loaded when it is asked for, so that neither library is needed for the other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sims.learners.adapters.estimator import SklearnLearner
    from sims.learners.adapters.gradient import JaxLearner

__all__ = ["JaxLearner", "SklearnLearner"]

_MODULES = {"JaxLearner": "gradient", "SklearnLearner": "estimator"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name!r}, expected one of {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
