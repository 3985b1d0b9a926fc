"""The module loads real data sets of more than two classes, whose files ship with the package (`files/README.md`: licences).

The classes are numbered 0, 1, .. in `y` and `y_query`; `labels` has their names in this order. Training rows come from a random
order of the rows of each class, one class after the other in turn, so that all have as many points, or one more. The queries are
the last rows of these orders, the same for every number of points.
"""

import csv
import gzip
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from sims.datasets.base import DataSet, checked_size, register, standardised
from theory.response import Array
from theory.streams import stream

__all__ = ["digits", "digits_components", "digits_pooled", "iris"]


@register
def digits(n_points: int = 500, seed: int = 0) -> DataSet:
    """Return handwritten digits, 8 x 8 pixels, ten classes (Alpaydin & Kaynak 1998).

    Columns: an intercept and 64 pixels, row by row, from 0 (white) to 1 (black): a sixteenth of the counts of the file. Queries:
    two of each class.
    """
    pixels, digit = _digits()
    names = tuple(f"pixel {row}{column}" for row in range(8) for column in range(8))
    return _drawn("digits", pixels, digit, tuple(map(str, range(10))), n_points, seed, names, of_each=2)


@register
def digits_pooled(n_points: int = 12, seed: int = 0) -> DataSet:
    """Return the handwritten digits 3, 5 and 8, in 4 x 4 blocks of four pixels.

    Columns: an intercept and the means of 16 blocks, row by row, from 0 to 1. Queries: four of each class.
    """
    pixels, digit = _digits()
    blocks = pixels.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
    names = tuple(f"block {row}{column}" for row in range(4) for column in range(4))
    return _drawn("digits_pooled", blocks, digit, _CONFUSED, n_points, seed, names, of_each=4)


@register
def digits_components(n_points: int = 12, seed: int = 0) -> DataSet:
    """Return the handwritten digits 3, 5 and 8 by 8 principal components.

    Columns: an intercept and the scores of the first 8 principal components of the pixels of all 3s, 5s and 8s in the file (the
    labels are not used), in standard deviations of the first; the largest loading of each component is positive. Queries: four of
    each class.
    """
    pixels, digit = _digits()
    rows = np.isin(digit, [int(label) for label in _CONFUSED])
    centred = pixels - pixels[rows].mean(axis=0)
    loadings = np.linalg.svd(centred[rows], full_matrices=False)[2][:8]
    loadings *= np.sign(loadings[np.arange(8), np.abs(loadings).argmax(axis=1)])[:, None]
    scores = centred @ loadings.T
    names = tuple(f"component {k}" for k in range(1, 9))
    scaled = scores / scores[rows, 0].std()
    return _drawn("digits_components", scaled, digit, _CONFUSED, n_points, seed, names, of_each=4)


@register
def iris(n_points: int = 14, seed: int = 0) -> DataSet:
    """Return the iris flowers of three species (Fisher 1936; Anderson 1935).

    Columns: an intercept, lengths and widths of sepals and petals (cm), standardised by the training rows. Queries: four of each
    species.
    """
    names, values, species = _iris()
    labels = tuple(dict.fromkeys(species))
    code = np.array([labels.index(name) for name in species])
    rows, queries = _rows("iris", code, len(labels), n_points, seed, of_each=4)
    X = standardised(values, rows, names, "iris")
    return _data_set("iris", X, code, labels, rows, queries, names, "Fisher 1936, Annals of Eugenics 7:179")


_CONFUSED = ("3", "5", "8")
"""Digits that are taken for each other."""


def _drawn(
    name: str,
    X: Array,
    digit: NDArray[np.int64],
    labels: tuple[str, ...],
    n_points: int,
    seed: int,
    columns: tuple[str, ...],
    *,
    of_each: int,
) -> DataSet:
    """Return the data set of these digits, with the columns as they are."""
    code = np.array([labels.index(str(d)) if str(d) in labels else -1 for d in digit])
    rows, queries = _rows("digits", code, len(labels), n_points, seed, of_each=of_each)
    return _data_set(name, X, code, labels, rows, queries, columns, "Alpaydin & Kaynak 1998, UCI Machine Learning Repository")


def _rows(
    file: str, code: NDArray[np.int64], n_classes: int, n_points: int, seed: int, *, of_each: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return training rows, one class after the other in turn, and query rows, for codes (rows,) of which -1 is left out."""
    orders = [
        stream(f"rows of {file}, class {label}", seed).permutation(np.flatnonzero(code == label)) for label in range(n_classes)
    ]
    smallest = min(map(len, orders)) - of_each
    checked_size(n_points, n_classes * smallest, file)
    if n_points < n_classes:
        raise ValueError(f"n_points = {n_points}, expected {n_classes} or more for {file}: one of each class")
    rows = [orders[k % n_classes][k // n_classes] for k in range(n_points)]
    return np.array(rows), np.concatenate([order[-of_each:] for order in orders])


def _data_set(
    name: str,
    X: Array,
    code: NDArray[np.int64],
    labels: tuple[str, ...],
    rows: NDArray[np.int64],
    queries: NDArray[np.int64],
    columns: tuple[str, ...],
    source: str,
) -> DataSet:
    design = np.column_stack([np.ones(len(X)), X])
    picked, asked = tuple(map(int, rows)), tuple(map(int, queries))
    y, y_query = code.astype(np.float64)[rows], code.astype(np.float64)[queries]
    return DataSet(
        name, design[rows], y, design[queries], ("intercept", *columns), "logit", source, picked, asked, labels, y_query=y_query
    )


@lru_cache(maxsize=1)
def _digits() -> tuple[Array, NDArray[np.int64]]:
    """Return the pixels (1797, 64) from 0 to 1, and the digits (1797,)."""
    text = gzip.decompress(_file("digits.csv.gz")).decode()
    table = np.array([row.split(",") for row in text.splitlines()], dtype=np.int64)
    return table[:, :-1] / 16.0, table[:, -1]


@lru_cache(maxsize=1)
def _iris() -> tuple[tuple[str, ...], Array, list[str]]:
    """Return the names of the columns, their values (150, 4) and the species (150,)."""
    header, *rows = csv.reader(_file("iris.csv").decode().splitlines())
    return tuple(header[:-1]), np.array([row[:-1] for row in rows], dtype=np.float64), [row[-1] for row in rows]


def _file(name: str) -> bytes:
    return (files("sims.datasets") / "files" / name).read_bytes()
