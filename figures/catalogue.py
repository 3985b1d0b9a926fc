"""The module finds the figures of this package: every module `fig_NAME` is one."""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["FigureModule", "figure_module", "names"]


class FigureModule(Protocol):
    """A figure module defines these names; the first line of its docstring is the caption."""

    __doc__: str | None
    __name__: str
    EXPERIMENTS: tuple[str, ...]
    """The experiments whose results `data` takes, in this order."""
    CLAIMS: tuple[str, ...]
    """The claims that the picture illustrates; the report shows it with the first of them that was judged."""

    def data(self, *results: "Sequence[xr.Dataset]") -> Any:
        """Return the numbers of the picture from the results of each experiment; raise ValueError if there are none."""
        ...

    def alt(self, data: Any) -> str:
        """Describe the picture in a sentence or two, from the data, for readers who cannot see it."""
        ...

    def draw(self, data: Any) -> "Figure":
        """Draw the picture from the data."""
        ...


def names() -> list[str]:
    """Return the names of all figures in alphabetical order."""
    package = importlib.import_module("figures")
    return sorted(m.name.removeprefix("fig_") for m in pkgutil.iter_modules(package.__path__) if m.name.startswith("fig_"))


def figure_module(name: str) -> FigureModule:
    """Import the module of a figure."""
    return cast(FigureModule, importlib.import_module(f"figures.fig_{name}"))
