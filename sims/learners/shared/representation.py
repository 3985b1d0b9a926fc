"""How a learner is shown in messages and notebooks."""

from dataclasses import MISSING, fields
from typing import Any, cast

__all__ = ["short_repr"]


def short_repr(self: object) -> str:
    """Name the class, N, M, and the options that are not at their default: `MLP(N=8, M=3, steps=50)`.

    Options are the fields of the dataclass but those with `repr=False`, such as the data. A class uses it as its `__repr__`.
    """
    learner = cast(Any, self)
    options = {f.name: getattr(learner, f.name) for f in fields(learner) if f.repr}
    defaults = {f.name: f.default for f in fields(learner) if f.default is not MISSING}
    shown = {name: value for name, value in options.items() if name not in defaults or value != defaults[name]}
    sizes = {"N": learner.n_points, "M": learner.n_outputs}
    return f"{type(learner).__name__}({', '.join(f'{name}={value!r}' for name, value in {**sizes, **shown}.items())})"
