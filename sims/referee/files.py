"""Write a `Truth` as a file that numpy alone can read, and read it again.

Arrays of NAME.npz, for N training points, M queries, R seeds, P parameters and B subsets:

- the problem: X (N, d), y (N,), X_query (M, d), y_query (M,), l2 ();
- the models trained at w = 1: params and, if training has a start, init (R, P); the same by layer as weight_1 (R, out, in),
  bias_1 (R, out), init_weight_1, ..; margin and loss (M,) of the queries, means over seeds, and margin_by_seed (R, M);
- the effects D1, loo, beta and shapley (N, M) on the queries' margins, and D1_loss, .. on their losses, means over seeds; the
  same for each seed as D1_by_seed, .. (R, N, M); D1_error, .. (N, M), standard errors over drawn subsets, 0 without drawing;
- the derivatives at the models: hessian and its approximations curvature_gauss_newton, _fisher, _empirical_fisher, _kfac and
  _ekfac (R, P, P), point_gradients (R, N, P), output_gradients (R, M, P) of the margins, and point_hessians (R, N, P, P) of the
  points' losses, without the penalty, where they are not large;
- F on subsets, means over seeds: masks (B, N), and responses and responses_loss (B, M) of drawn subsets, or table and table_loss
  (2^N, M) of all, whose row k is the subset of the points i whose bit i of k is set. Masks and either of them are the masks and
  margins of the datamodels layout: (models, points) and (models, queries).

NAME.json says what they mean in words (`CONVENTIONS`), how they were made, with which versions, and the file's sha256.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sims.referee.truth import QUANTITIES, Model, Subsets, Truth
from theory.inputs import shown
from theory.response import Array
from theory.storage.files import write_whole

if TYPE_CHECKING:
    from sims.retrain import engine

__all__ = ["CONVENTIONS", "FORMAT", "load", "load_truth", "save"]

FORMAT = 1
"""The version of the arrays and of their meaning."""

CONVENTIONS = {
    "objective": "L(theta; w) = (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2 over all parameters; N is fixed",
    "output": "F(w) is the mean over the seeds of the margin (or of the loss) of a query after training with weights w",
    "sign": "an effect is positive if the point raises the margin (or the loss)",
    "scale": "an effect is the change of F for a change of w_i by 1; w_i l_i has the factor 1/N in L, so the effect has it, too",
    "parameters": "params has W (in, out) row by row, then b, layer after layer; weight_1 and so on are (out, in), as in PyTorch",
    "subsets": "masks (models, points) and table or responses (models, queries) are masks and margins of the datamodels layout",
    **QUANTITIES,
}
"""What the arrays of a truth mean."""


def save(truth: Truth, folder: Path | str) -> Path:
    """Write NAME.npz and NAME.json into a folder; return the path of the first.

    >>> import tempfile
    >>> from sims.learners import LeastSquares
    >>> truth = Truth.of(LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0), name="one_point")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(truth, folder)
    ...     path.name, float(np.load(path)["D1"][0, 0]), float(load(path).D1[0, 0])
    ('one_point.npz', 0.25, 0.25)
    """
    from sims.retrain.provenance import environment

    file = io.BytesIO()
    np.savez_compressed(file, **_arrays(truth))
    content, path = file.getvalue(), Path(folder) / f"{truth.name}.npz"
    facts = {
        "name": truth.name,
        "format": FORMAT,
        "sha256": hashlib.sha256(content).hexdigest(),
        "loss_function": truth.loss_function,
        **truth.about,
        "conventions": CONVENTIONS,
        "versions": environment(),
    }
    write_whole(path.with_suffix(".json"), (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
    return write_whole(path, content)


def load(path: Path | str) -> Truth:
    """Read a truth from NAME.npz, with NAME.json beside it; ValueError for other files, versions, or a file that was changed."""
    path = Path(path)
    facts, content = _facts(path), path.read_bytes()
    if facts.get("format") != FORMAT:
        raise ValueError(f"{path.with_suffix('.json')} has format {facts.get('format')}, expected {FORMAT}: write the truth anew")
    if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
        raise ValueError(f"{path} has another sha256 than {path.with_suffix('.json')} says: it was changed, write the truth anew")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no .npz file of plain arrays: {error}") from None
    keys = [key for key in arrays if key.removesuffix("_loss") in QUANTITIES]
    responses = {key.replace("table", "responses"): arrays[key] for key in _RESPONSES if key in arrays}
    return Truth(
        name=facts["name"],
        X=arrays["X"],
        y=arrays["y"],
        X_query=arrays["X_query"],
        y_query=arrays.get("y_query"),
        l2=float(arrays["l2"]),
        loss_function=facts["loss_function"],
        seeds=tuple(arrays["seeds"].tolist()),
        margin_by_seed=arrays["margin_by_seed"],
        effects={key: arrays[f"{key}_by_seed"] for key in keys},
        errors={key: arrays[f"{key}_error"] for key in keys},
        subsets=Subsets(arrays["masks"].astype(np.float64), responses, "table" in arrays),
        model=_model(arrays) if "params" in arrays else None,
        about={key: facts[key] for key in ("learner", "options", "how")},
    )


def load_truth(name_or_file: str | Path, *, executor: "engine.Executor | int | None" = None, progress: bool = False) -> Truth:
    """Return the truth of a named problem, computed here, or the one in a file NAME.npz that was written before.

    >>> truth = load_truth("logistic_spector")
    >>> truth.D1.shape, truth.table.shape
    ((16, 16), (65536, 16))
    """
    from sims.experiments.shared.problem import listed, meant  # with all experiments' learners: imported when it is used
    from sims.referee.problems import PROBLEMS

    if isinstance(name_or_file, Path) or (isinstance(name_or_file, str) and name_or_file.endswith(".npz")):
        return load(name_or_file)
    if not isinstance(name_or_file, str) or name_or_file not in PROBLEMS:
        near = meant(name_or_file, PROBLEMS) if isinstance(name_or_file, str) else shown(name_or_file)
        raise ValueError(f"truth {near} There is no such truth, expected a file NAME.npz, or one of {listed(PROBLEMS)}")
    return PROBLEMS[name_or_file].truth(name_or_file, executor=executor, progress=progress)


_RESPONSES = ("table", "table_loss", "responses", "responses_loss")
_CURVATURE = "curvature_"
_PARTS = ("params", "init", "hessian", "point_gradients", "output_gradients", "point_hessians")


def _model(arrays: Mapping[str, Array]) -> Model:
    """Return the models of a file."""
    return Model(
        layers={key: values for key, values in arrays.items() if key.removeprefix("init_").startswith(("weight_", "bias_"))},
        curvatures={key.removeprefix(_CURVATURE): values for key, values in arrays.items() if key.startswith(_CURVATURE)},
        **{name: arrays.get(name) for name in _PARTS},  # pyright: ignore[reportArgumentType]
    )


def _arrays(truth: Truth) -> dict[str, Any]:
    """Return all arrays of the file by name."""
    found: dict[str, Any] = {"X": truth.X, "y": truth.y, "X_query": truth.X_query, "l2": truth.l2, "seeds": truth.seeds}
    found |= {"margin": truth.margin, "margin_by_seed": truth.margin_by_seed}
    if truth.y_query is not None:
        found |= {"y_query": truth.y_query, "loss": truth.loss}
    for key, values in truth.effects.items():
        found |= {key: values.mean(axis=0), f"{key}_by_seed": values, f"{key}_error": truth.errors[key]}
    found |= {"masks": truth.masks.astype(np.bool_)}
    kind = "table" if truth.subsets.complete else "responses"
    found |= {key.replace("responses", kind): values for key, values in truth.subsets.responses.items()}
    if (model := truth.model) is not None:
        parts = {name: value for name in _PARTS if (value := getattr(model, name)) is not None}
        found |= {**model.layers, **parts, **{_CURVATURE + kind: values for kind, values in model.curvatures.items()}}
    return found


def _facts(path: Path) -> dict[str, Any]:
    """Return the content of NAME.json."""
    if path.suffix != ".npz" or not path.is_file():
        raise ValueError(f"{path} is no .npz file, expected one that `truth NAME --out DIR` wrote")
    beside = path.with_suffix(".json")
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{beside} cannot be read ({error}), expected the file that `truth` wrote beside {path.name}") from None
    return facts
