"""The package makes data sets: `real` ones, those of `several_classes`, `synthetic` ones, and those from a user's own CSV file.

A user's file is recognised by `dialect`, read by `csv_file` cell by cell (`cells`), and turned into `features` and a `target`;
`user_file` draws its rows, `user_record` says and writes down what was done, `cost` refuses what would not end. `base` defines
the class `DataSet`. To add a data set, write a function with `@register` in `real`, in `synthetic` or in a new file of this
package. Every module of the package is imported, so a new file needs no entry in a list.
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
