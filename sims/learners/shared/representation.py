"""Define how a learner is shown in messages and notebooks."""

from dataclasses import MISSING, fields
from typing import Any

__all__ = ["short_repr"]


def short_repr(self: Any) -> str:
    """Return the class name, N, M, and the options that differ from their default, such as `MLP(N=8, M=3, steps=50)`.

    The options are the fields of the dataclass without those that have `repr=False`, such as the data. A class uses this function
    as its `__repr__`.
    """
    options = {f.name: getattr(self, f.name) for f in fields(self) if f.repr}
    defaults = {f.name: f.default for f in fields(self) if f.default is not MISSING}
    shown = {name: value for name, value in options.items() if name not in defaults or value != defaults[name]}
    sizes = {"N": self.n_points, "M": self.n_outputs}
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in {**sizes, **shown}.items())})"
