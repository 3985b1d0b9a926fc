"""Compute this package's own scores on the same truths, as records beside those of the libraries."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sims.peers.slim import NAMES, TRUTHS
from sims.referee.problems import PROBLEMS
from sims.retrain.provenance import environment
from theory.influence import influence
from theory.influence.trajectory import gradient_dot, source, tracin, trak
from theory.response import Array, Linearization
from theory.storage.files import write_whole

__all__ = ["scores", "write"]

_METHODS: tuple[tuple[str, dict[str, float]], ...] = (
    ("exact", {}),
    ("newton", {}),
    ("damped", {"damping": 0.01}),
    ("conjugate_gradients", {"iterations": 3}),
    ("conjugate_gradients", {"iterations": 50}),
    ("lissa", {"depth": 5000, "scale": 10.0}),
    ("low_rank", {"rank": 3}),
    ("gauss_newton", {}),
    ("fisher", {}),
    ("empirical_fisher", {}),
    ("kfac", {}),
    ("ekfac", {}),
    ("diagonal", {}),
    ("absolute", {}),
)
_SNAPSHOTS = {"two_moons_young": tuple(range(2, 21, 2)), "two_moons_converged": tuple(range(100, 10_001, 100))}
_PATHS: dict[str, Callable[..., Any]] = {"tracin": tracin, "gradient_dot": gradient_dot, "source": source}


def scores(name: str) -> Iterator[tuple[str, dict[str, Any], Array | Exception]]:
    """Yield every method with its options and scores (N, M) for the margins of a named problem, trained from its first start.

    A method that refuses a matrix, because it is singular or indefinite, yields its error in place of scores.
    """
    learner: Any = PROBLEMS[name].problem.build()
    ones = np.ones(learner.n_points)
    at: Linearization = learner.linearize(ones, [0])
    for method, options in _METHODS:
        try:
            yield (
                f"influence {method}",
                dict(options),
                influence(at, method, damping=options.get("damping", 0.0), **_others(options)).mean,
            )
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            yield f"influence {method}", dict(options), error
    if at.fit is not None and at.fit.classes is None:
        for reweight in (True, False):
            dimension = at.fit.gradients.shape[2]
            found = trak(at, dimension=dimension, seed=0, reweight=reweight).mean
            yield "trajectory trak", {"dimension": dimension, "reweight": reweight}, found
    if name in _SNAPSHOTS:
        checkpoints = replace(learner, snapshots=_SNAPSHOTS[name]).checkpoints(ones, [0])
        for path, compute in _PATHS.items():
            yield f"trajectory {path}", {"checkpoints": len(checkpoints)}, compute(checkpoints).mean


def _others(options: dict[str, float]) -> dict[str, Any]:
    """Return the options of the solver, all but the damping."""
    return {name: value for name, value in options.items() if name != "damping"}


def write(folder: Path) -> list[Path]:
    """Write dfdw.npz and dfdw.json into a folder, in the layout of the libraries' scores."""
    facts, arrays = dict[str, Any](), dict[str, Array]()
    versions = environment()
    for name in NAMES:
        sha256 = json.loads((TRUTHS / f"{name}.json").read_text(encoding="utf-8"))["sha256"]
        for method, options, found in scores(name):
            key = "/".join([name, method, *(f"{k}={v}" for k, v in options.items())])
            if not isinstance(found, Exception):
                arrays[key] = found
            facts[key] = {
                "library": "dfdw",
                "version": versions["dfdw"],
                "versions": {"numpy": versions["numpy"]},
                "truth": name,
                "truth_sha256": sha256,
                "method": method,
                "options": options,
                "target": "margin",
                "promise": "",
                "place": "",
                "error": f"{type(found).__name__}: {found}"[:200] if isinstance(found, Exception) else "",
            }
    path = folder / "dfdw.npz"
    np.savez_compressed(path, allow_pickle=False, **arrays)
    return [path, write_whole(path.with_suffix(".json"), (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())]
