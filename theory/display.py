"""Show results as a line in a terminal, a table in a notebook, labelled arrays or a data frame."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:  # at run time, each method imports what it needs
    import pandas as pd
    import xarray as xr

__all__ = ["Displayed", "span"]


class Displayed(ABC):
    """A displayed result prints its `facts` and converts to labelled arrays and data frames."""

    @abstractmethod
    def facts(self) -> Mapping[str, object]:
        """Return the main facts about the result: name -> number or short text."""

    @abstractmethod
    def to_xarray(self) -> "xr.Dataset":
        """Return all arrays with named dimensions."""

    def to_dataframe(self) -> "pd.DataFrame":
        """Return the arrays of `to_xarray` as a table: a row per combination of the dimensions, a column per variable."""
        return self.to_xarray().to_dataframe().reset_index()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self.facts().items())})"

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in self.facts().items())
        return f"<table><caption>{type(self).__name__}</caption>{''.join(rows)}</table>"


def span(values: ArrayLike) -> str:
    """Return the range of the numbers that are not NaN, to three digits.

    >>> span([0.5, float("nan"), 0.75]), span([2.0, 2.0]), span([float("nan")])
    ('0.5 to 0.75', '2', 'undefined')
    """
    numbers = np.asarray(values, dtype=np.float64)
    defined = numbers[~np.isnan(numbers)]
    if not defined.size:
        return "undefined"
    low, high = f"{defined.min():.3g}", f"{defined.max():.3g}"
    return low if low == high else f"{low} to {high}"
