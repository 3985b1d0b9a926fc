"""Collect learners that use other libraries, each of which is an extra.

`SklearnLearner` needs scikit-learn (extra `sklearn`), `JaxLearner` JAX (extra `jax`), and `TorchLearner` PyTorch (extra `torch`).
Each learner is imported when its name is first used, so that it needs only its own library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sims.learners.adapters.estimator import SklearnLearner
    from sims.learners.adapters.gradient import JaxLearner
    from sims.learners.adapters.module import TorchLearner

__all__ = ["JaxLearner", "SklearnLearner", "TorchLearner"]

_MODULES = {"JaxLearner": "gradient", "SklearnLearner": "estimator", "TorchLearner": "module"}


def __getattr__(name: str) -> Any:
    """Import and return a learner of this package."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name!r}, expected one of {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
