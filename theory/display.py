"""How results show themselves: a line in a terminal, a small table in a notebook, labelled arrays, a data frame."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:  # loaded by the methods that need them
    import pandas as pd
    import xarray as xr

__all__ = ["Displayed", "span"]


class Displayed(ABC):
    """A result that names its main facts and can be labelled."""

    @abstractmethod
    def facts(self) -> Mapping[str, object]:
        """What a reader should see first: name -> number or short text."""

    @abstractmethod
    def to_xarray(self) -> "xr.Dataset":
        """All arrays, with named dimensions."""

    def to_dataframe(self) -> "pd.DataFrame":
        """`to_xarray` in long form: one row per combination of the dimensions, one column per variable."""
        return self.to_xarray().to_dataframe().reset_index()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self.facts().items())})"

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in self.facts().items())
        return f"<table><caption>{type(self).__name__}</caption>{''.join(rows)}</table>"


def span(values: ArrayLike) -> str:
    """The range of the numbers that are defined, to three digits.

    >>> span([0.5, float("nan"), 0.75]), span([2.0, 2.0]), span([float("nan")])
    ('0.5 to 0.75', '2', 'undefined')
    """
    numbers = np.asarray(values, dtype=np.float64)
    defined = numbers[~np.isnan(numbers)]
    if not defined.size:
        return "undefined"
    low, high = f"{defined.min():.3g}", f"{defined.max():.3g}"
    return low if low == high else f"{low} to {high}"
