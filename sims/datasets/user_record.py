"""The module says in words, and records in a results folder, what was made of a user's CSV file."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Any, cast

from sims.datasets.cells import in_order, plain, quoted
from sims.datasets.dialect import SEPARATORS
from sims.datasets.features import Category
from sims.datasets.target import MOST_CODES
from sims.datasets.user_file import Drawn, UserData, gaps_in_words
from theory.storage import ResultsFolder

__all__ = ["in_words", "write_down"]

_ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 (with its mark)",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252 (it is not UTF-8)",
}


def in_words(drawn: Drawn) -> Iterator[str]:
    """Yield lines that say how the file was read, and what was skipped, filled, left out or turned into categories."""
    table, made = drawn.table, drawn.features
    decimal = " with decimal commas" if table.decimal == "," else ""
    yield (
        f"{drawn.user.path}: {len(drawn.target.y):,} rows in {_ENCODINGS[table.encoding]}, separated by "
        f"{SEPARATORS[table.separator]}{decimal}; {len(made.columns)} feature{'' if len(made.columns) == 1 else 's'}, "
        f"target {drawn.user.target!r}{_classes(drawn)}"
    )
    if table.note:
        yield f"numbers: {table.note}"
    if reasons := {**table.left_out, **made.left_out}:
        alike: dict[str, list[str]] = {}
        for name, reason in reasons.items():
            alike.setdefault(reason, []).append(name)
        shown = [f"{quoted('column', names, 6)} ({reason})" for reason, names in alike.items()]
        yield f"left out: {'; '.join(shown)}"
    if drawn.rows.skipped:
        yield f"{gaps_in_words(drawn.rows, len(drawn.target.y))}: skipped"
    if drawn.user.fill and not made.fills:
        yield "no row that is used has a gap: nothing is filled"
    if made.fills:
        shown = [
            f"{name!r} {plain(value) if isinstance(value, str) else f'{value:g}'} in {count} of them"
            for name, (value, count) in made.fills.items()
        ]
        yield f"gaps in the rows below are filled with the {drawn.user.fill} of the training rows: {'; '.join(shown)}"
    if made.categories:
        yield f"categories: {'; '.join(_category(name, category) for name, category in made.categories.items())}"


def _classes(drawn: Drawn) -> str:
    if drawn.data.labels:
        (others, _), (zero, one) = drawn.target.members, drawn.data.labels
        rest = f" ({_listed(list(others))})" if len(others) > 1 else ""
        return f" (0 = {zero!r}{rest}, 1 = {one!r})"
    values = in_order(drawn.table.target.values, drawn.table.decimal, drawn.table.thousands)
    return f" (its {len(values)} values {', '.join(values)} taken as numbers)" if len(values) <= MOST_CODES else ""


def _category(name: str, category: Category) -> str:
    untrained = f" (in no training row, counted as {plain(category.baseline)}: {_listed([*category.untrained])})"
    return f"{name!r} {_listed([*category.levels])} against {plain(category.baseline)}{untrained if category.untrained else ''}"


def _listed(texts: list[str], most: int = 6) -> str:
    return ", ".join(map(plain, texts[:most])) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def write_down(user: UserData, n_points: int, out: Path) -> Path:
    """Write OUT/<file>-<N>.rows.json, which records the training rows, the query rows and all values that decided them.

    A folder holds results of only one description of a file. Raises ValueError, with the differences, if `out` holds those of
    another description.
    """
    folder = ResultsFolder.made(out)
    written = [
        name for name, sha256 in folder.listed().items() if sha256 and fnmatchcase(name, f"{escape(user.label)}-*.rows.json")
    ]
    for name in written:
        found, wanted = json.loads(cast(bytes, folder.get(name)))["data"], json.loads(json.dumps(asdict(user)))
        differences = [f"{k} was {found.get(k)!r}, is {v!r}" for k, v in wanted.items() if k != "path" and found.get(k) != v]
        if differences:
            raise ValueError(
                f"{out} holds another run on {user.label}: {'; '.join(differences)}. Choose another --out, or delete {out}"
            )
    lines = ",\n".join(
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in _record(user.drawn(n_points)).items()
    )
    return folder.put(f"{user.label}-{n_points}.rows.json", f"{{\n{lines}\n}}\n".encode())


def _record(drawn: Drawn) -> dict[str, Any]:
    """Return everything that a file of chosen rows holds, as plain values."""
    table, made, data, target = drawn.table, drawn.features, drawn.data, drawn.target
    return {
        "data": asdict(drawn.user),
        "said": [*in_words(drawn)],
        "encoding": table.encoding,
        "separator": table.separator,
        "decimal": table.decimal,
        "columns": data.columns,
        "standardised": "by mean and standard deviation of the training rows",
        "categories": {name: asdict(category) for name, category in made.categories.items()},
        "left_out": {**table.left_out, **made.left_out},
        "fills": {name: {"value": value, "cells": count} for name, (value, count) in made.fills.items()},
        "classes": dict(zip(data.labels, (0, 1), strict=True)) if data.labels else None,
        "values_of_classes": target.members or None,
        "rows": "counted from 0, the first one below the header; empty lines do not count",
        "gaps": drawn.rows.gaps,
        "skipped_rows": drawn.rows.skipped,
        "train_rows": data.train_rows,
        "query_rows": data.query_rows,
    }
