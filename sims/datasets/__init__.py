"""Data sets: `real` ones, `synthetic` ones, and a user's own file (`user_file`, read by `csv_file`); `base` says what one is.

To add one, write a function with `@register` in `real` or `synthetic`, or in a new file here, which is found without a list.
"""

import importlib
import pkgutil

from sims.datasets.base import DataSet, by_name, names, standardised
from sims.datasets.real import fair, longley, spector, stackloss
from sims.datasets.synthetic import noisy_line, one_point, two_classes, two_moons, with_eigenvalues, with_leverages, xor

__all__ = [
    "DataSet",
    "by_name",
    "fair",
    "longley",
    "names",
    "noisy_line",
    "one_point",
    "spector",
    "stackloss",
    "standardised",
    "two_classes",
    "two_moons",
    "with_eigenvalues",
    "with_leverages",
    "xor",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")  # registers its data sets
