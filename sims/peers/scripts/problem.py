"""Rebuild a stored truth's model in PyTorch, and run a library's methods on it, each in a process of its own.

It needs numpy and PyTorch only. A script `from_LIBRARY.py` lists its runs and calls `main`.
"""

import json
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[1]
TRUTHS = ("logistic_spector", "softmax_iris", "two_moons_converged", "two_moons_young")
"""The truths that libraries are run on unless they say otherwise."""


@dataclass(frozen=True)
class Run:
    """A run is a method of a library with options, on one truth: `compute(truth, **options)` returns scores."""

    method: str
    compute: Callable
    options: dict = field(default_factory=dict)
    target: str = "loss"  # what the scores are for: the queries' losses or margins
    promise: str = ""  # what the documentation says of the scores, in its own words
    place: str = ""  # where it says so


class Truth:
    """A stored truth: its arrays as attributes, and the model of its first seed."""

    def __init__(self, path: Path):
        """Read NAME.npz, and NAME.json beside it."""
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        self.name, self.sha256, self.loss_function = facts["name"], facts["sha256"], facts["loss_function"]
        with np.load(path) as file:
            self.arrays = {key: file[key] for key in file.files}
        self.n, self.m, self.penalty = len(self.arrays["X"]), len(self.arrays["X_query"]), float(self.arrays["l2"])
        self.n_params = self.arrays["params"].shape[1]

    def network(self, dtype: str = "float64"):
        """Return the trained model as a Sequential of Linear layers with tanh between them."""
        return self._network("", dtype)

    def start(self, dtype: str = "float64"):
        """Return the same before training."""
        return self._network("init_", dtype)

    def _network(self, prefix: str, dtype: str):
        import torch
        from torch import nn

        layers, k = [], 1
        while f"{prefix}weight_{k}" in self.arrays:
            weight, bias = self.arrays[f"{prefix}weight_{k}"][0], self.arrays.get(f"{prefix}bias_{k}")
            linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=getattr(torch, dtype))
            with torch.no_grad():
                linear.weight.copy_(torch.tensor(weight))
                if bias is not None:
                    linear.bias.copy_(torch.tensor(bias[0]))
            layers += [nn.Tanh()] * (k > 1) + [linear]
            k += 1
        return nn.Sequential(*layers)

    def data(self, dtype: str = "float64"):
        """Return X, y, X_query and y_query as tensors; targets have the shape of the model's output, or are classes."""
        import torch

        def targets(y):
            return torch.tensor(y, dtype=torch.int64) if self.classes else torch.tensor(y, dtype=getattr(torch, dtype))[:, None]

        X, X_query = (torch.tensor(self.arrays[key], dtype=getattr(torch, dtype)) for key in ("X", "X_query"))
        return X, targets(self.arrays["y"]), X_query, targets(self.arrays["y_query"])

    def training(self, dtype: str = "float64"):
        """Return the training points as a Dataset."""
        from torch.utils.data import TensorDataset

        return TensorDataset(*self.data(dtype)[:2])

    def queries(self, dtype: str = "float64"):
        """Return the queries as a Dataset."""
        from torch.utils.data import TensorDataset

        return TensorDataset(*self.data(dtype)[2:])

    @property
    def classes(self) -> bool:
        """Whether there is one output per class."""
        return self.loss_function == "margin"

    def loss(self, reduction: str = "none"):
        """Return the loss module."""
        from torch import nn

        return nn.CrossEntropyLoss(reduction=reduction) if self.classes else nn.BCEWithLogitsLoss(reduction=reduction)

    def margins(self, output, target):
        """Return the margins (batch,) of outputs: the logit, or log p_y / (1 - p_y)."""
        import torch

        if not self.classes:
            return output[..., 0]
        own = output.gather(-1, target[..., None])[..., 0]
        others = torch.where(torch.arange(output.shape[-1]) == target[..., None], -torch.inf, output)
        return own - torch.logsumexp(others, dim=-1)


def loaders(truth: Truth, batch: int | None, dtype: str = "float64"):
    """Return loaders of the training points, in batches of `batch` (None: all), and of the queries, all at once."""
    from torch.utils.data import DataLoader

    training, queries = truth.training(dtype), truth.queries(dtype)
    return DataLoader(training, batch or len(training)), DataLoader(queries, len(queries))


def main(library: str, runs: list[Run], truths: tuple[str, ...] = TRUTHS) -> None:
    """Run what is not stored yet: python from_LIBRARY.py [--again] [TRUTH ..]; scores go to scores/LIBRARY.npz and .json."""
    arguments = sys.argv[1:]
    paths = [HERE / "truths" / f"{name}.npz" for name in truths if name in arguments or not set(arguments) & set(truths)]
    out = Path(os.environ.get("PEERS_OUT", HERE / "scores"))
    records, arrays = stored(out / library)
    if "--again" in arguments:
        done = {path.stem for path in paths}
        records = {key: record for key, record in records.items() if record["truth"] not in done}
    own, kept = version(library), {}
    versions = {name: version(name) for name in ("numpy", "torch") if _has(name)}
    for path in paths:
        truth = Truth(path)
        for run in runs:
            key = "/".join([truth.name, run.method, *(f"{k}={v}" for k, v in run.options.items()), run.target])
            facts = {
                "library": library,
                "version": own,
                "versions": versions,
                "truth": truth.name,
                "truth_sha256": truth.sha256,
                "method": run.method,
                "options": run.options,
                "target": run.target,
                "promise": run.promise,
                "place": run.place,
            }
            old = records.get(key, {})
            if {**old, "error": ""} == {**facts, "error": ""}:
                kept[key] = old
                continue
            scores, error = _forked(run, truth)
            arrays.pop(key, None)
            if scores is not None:
                arrays[key] = scores
            kept[key] = {**facts, "error": error}
            print(f"{library} {key}: {error or scores.shape}", flush=True)
            store(out / library, {**records, **kept}, arrays)
    done = {path.stem for path in paths}
    kept |= {key: record for key, record in records.items() if record["truth"] not in done}
    store(out / library, kept, {key: value for key, value in arrays.items() if key in kept})


def stored(path: Path) -> tuple[dict, dict]:
    """Read the records and the arrays of a library."""
    if not path.with_suffix(".json").exists():
        return {}, {}
    records = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    with np.load(path.with_suffix(".npz")) as file:
        return records, {key: file[key] for key in file.files}


def store(path: Path, records: dict, arrays: dict) -> None:
    """Write them, the arrays first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".npz", ".json"):
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False, prefix=".", suffix=suffix) as file:
            if suffix == ".npz":
                np.savez_compressed(file, **{key: arrays[key] for key in sorted(arrays)})
            else:
                file.write((json.dumps(records, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
        os.chmod(file.name, 0o644)
        os.replace(file.name, path.with_suffix(suffix))


def _has(name: str) -> bool:
    try:
        return bool(version(name))
    except ImportError:
        return False


def _forked(run: Run, truth: Truth) -> tuple[np.ndarray | None, str]:
    """Compute in a child process; return the scores and "", or None and the error."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.npz"
        child = os.fork()
        if not child:
            try:
                _in_child(run, truth, Path(folder), answer)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        if not answer.exists():
            return None, "the process ended without an answer"
        with np.load(answer) as file:
            return (file["scores"], "") if "scores" in file else (None, str(file["error"]))


def _in_child(run: Run, truth: Truth, folder: Path, answer: Path) -> None:
    os.chdir(folder)
    if _has("torch"):
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  libraries draw from it
    warnings.simplefilter("ignore")
    log = os.open("log", os.O_CREAT | os.O_WRONLY)
    os.dup2(log, 1), os.dup2(log, 2)
    try:
        scores = run.compute(truth, **run.options)
        if hasattr(scores, "detach"):
            scores = scores.detach().cpu().numpy()
        np.savez(answer, scores=np.asarray(scores))
    except BaseException as error:  # whatever a library raises is what came out
        message = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        if "PEERS_TRACE" in os.environ:
            message = traceback.format_exc()
        np.savez(answer, error=np.str_(message.replace(str(folder), "FOLDER")))
