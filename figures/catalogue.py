"""The figures of this package: one module `fig_NAME` each, found by itself."""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["FigureModule", "figure_module", "names"]


class FigureModule(Protocol):
    """What a figure's file defines; the first line of its docstring is the caption."""

    __doc__: str | None
    __name__: str
    EXPERIMENTS: tuple[str, ...]
    """Whose results `data` reads."""
    CLAIMS: tuple[str, ...]
    """The claims that the picture illustrates, the one it belongs to first."""

    def data(self, *results: "Sequence[xr.Dataset]") -> Any:
        """The numbers of the picture, from the results of each experiment; ValueError where they have none for it."""
        ...

    def alt(self, data: Any) -> str:
        """What the picture shows and what is to be seen, for those who do not see it: a sentence or two, made of the data."""
        ...

    def draw(self, data: Any) -> "Figure":
        """The picture."""
        ...


def names() -> list[str]:
    """Every figure, in the order of the alphabet."""
    package = importlib.import_module("figures")
    return sorted(m.name.removeprefix("fig_") for m in pkgutil.iter_modules(package.__path__) if m.name.startswith("fig_"))


def figure_module(name: str) -> FigureModule:
    """The module of a figure."""
    return cast(FigureModule, importlib.import_module(f"figures.fig_{name}"))
