"""The module checks that stored pictures still agree with the results.

It compares files with their sidecars, and sidecars with a picture drawn from today's results.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from figures.attempts import Absent
from figures.pictures import Picture
from theory.storage import digest

__all__ = ["is_drawn", "mismatches", "other_versions"]


def is_drawn(folder: Path, name: str) -> bool:
    """Return whether any file of a figure exists."""
    return any((folder / f"{name}.{suffix}").exists() for suffix in ("png", "svg", "json"))


def mismatches(folder: Path, name: str, now: Picture | Absent) -> list[str]:
    """List all differences between the files of a figure, their sidecar, and the figure drawn from today's results."""
    try:
        sidecar = _read(folder, name)
    except ValueError as error:
        return [str(error)]
    return [*_damages(folder, sidecar), *(_differences(sidecar, now) if isinstance(now, Picture) else [now.reason])]


def other_versions(folder: Path, now: Picture) -> list[str]:
    """List the versions that have changed since a figure was drawn; if there are any, bytes cannot be compared."""
    before, after = _read(folder, now.name)["versions"], now.record["versions"]
    return [
        f"{name} {before.get(name)}, now {after.get(name)}" for name in {**before, **after} if before.get(name) != after.get(name)
    ]


def _read(folder: Path, name: str) -> Mapping[str, Any]:
    file = folder / f"{name}.json"
    if not file.exists():
        raise ValueError(f"{file.name} is missing, so nothing says what the picture was made of")
    try:
        record = json.loads(file.read_bytes())
        parts = {key: dict(record[key]) for key in ("results", "scripts", "versions", "files")}
        return {"description": str(record["description"]), **parts}
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{file.name} is not a sidecar ({error!r})") from error


def _damages(folder: Path, sidecar: Mapping[str, Any]) -> Iterator[str]:
    """Yield a text for each file that is missing or differs from the one that the sidecar records."""
    for name, sha256 in sidecar["files"].items():
        file = folder / name
        if not file.is_file():
            yield f"{name} is missing"
        elif digest(file.read_bytes()) != sha256:
            yield f"{name} is not the picture that its sidecar describes: it was changed or damaged"


def _differences(sidecar: Mapping[str, Any], now: Picture) -> Iterator[str]:
    """Yield a text for each change in results, scripts or bytes between the stored picture and one drawn today."""
    record, causes = now.record, 0
    for experiment in dict.fromkeys([*sidecar["results"], *record["results"]]):
        before, after = sidecar["results"].get(experiment, {}), record["results"].get(experiment, {})
        for case in dict.fromkeys([*before, *after]):
            if before.get(case) == after.get(case):
                continue
            causes += 1
            if case not in after:
                yield f"it shows {experiment}: {case}, which the results no longer have"
            elif case not in before:
                yield f"the results have {experiment}: {case}, which it does not show"
            else:
                parts = [part for part in after[case] if before[case].get(part) != after[case][part]] or ["seeds"]
                yield f"{experiment}: {case} has changed since ({', '.join(parts)})"
    for script in dict.fromkeys([*sidecar["scripts"], *record["scripts"]]):
        if sidecar["scripts"].get(script) != record["scripts"].get(script):
            causes += 1
            yield f"figures/{script} has changed since"
    if not causes and sidecar["versions"] == record["versions"]:
        if sidecar["description"] != record["description"]:
            yield "its description is another one although results, script and versions are the same: theory has changed since"
        for name, sha256 in record["files"].items():
            if sidecar["files"].get(name) != sha256:
                yield f"{name} drawn again has other bytes although results, script and versions are the same"
