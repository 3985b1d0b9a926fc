"""List what was found in the libraries: what the documentation says, what came out, and the formula of the scores."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit

from sims.peers import formulas
from sims.peers.stored import Record, records, truths
from sims.referee import Truth
from theory.response import Array

__all__ = ["FINDINGS", "TOLERANCE", "Checked", "Finding", "checked", "relative_error"]

TOLERANCE = 1e-6
"""The relative error up to which a formula reproduces scores; a finding above it is not printed."""

Formula = Callable[[Truth, Record], Array]


@dataclass(frozen=True)
class Finding:
    """A finding names runs of a library by `picks`, and a formula that gives their scores (N, M)."""

    library: str
    method: str
    title: str
    verdict: str  # right, as documented, or differs
    came_out: str
    formula: str
    picks: Callable[[Record], bool]
    scores: Formula
    promise: tuple[str, str] = ("", "")  # what the documentation says, and where; by default what is said of the whole method


@dataclass(frozen=True)
class Checked:
    """A finding, the runs on which its formula agrees, and the largest relative error of the formula on them."""

    finding: Finding
    runs: tuple[Record, ...]
    error: float


def relative_error(scores: Array, formula: Array) -> float:
    """Compute ||scores - formula|| / ||scores||, infinite where scores are not finite."""
    return float(np.linalg.norm(scores - formula) / np.linalg.norm(scores)) if np.isfinite(scores).all() else np.inf


def checked(finding: Finding) -> Checked:
    """Compute the formula of every run that the finding picks."""
    runs = [run for run in _records(finding.library) if run.method == finding.method and not run.error and finding.picks(run)]
    errors = [relative_error(run.by_point(), finding.scores(truths()[run.truth], run)) for run in runs]
    return Checked(finding, tuple(runs), max(errors, default=np.inf))


@cache
def _records(library: str) -> list[Record]:
    return records(library)


# --- formulas -------------------------------------------------------------------------------------------------------------------


def _penalty(truth: Truth, run: Record) -> float:
    return {"N l2": truth.n_points * truth.l2, "l2": truth.l2, None: 1e-6}[run.options["hessian_reg"]]


def _captum(truth: Truth, run: Record) -> Array:
    return formulas.bilinear(truth, "loss", formulas.sum_of_hessians(truth, _penalty(truth, run)))


def _captum_positive(truth: Truth, run: Record) -> Array:
    values, vectors = np.linalg.eigh(formulas.sum_of_hessians(truth, _penalty(truth, run)))
    kept = vectors[:, values > 1e-5]
    inverse = kept / values[values > 1e-5] @ kept.T
    return formulas.point_gradients(truth) @ inverse @ formulas.query_gradients(truth, "loss").T


def _gradients(truth: Truth, run: Record) -> Array:
    return formulas.bilinear(truth, run.judged_as)


def _batches(truth: Truth, run: Record) -> Array:
    return formulas.batched(truth, run.judged_as, run.options["batch"] or truth.n_points, truth.l2)


def _data_inf(truth: Truth, run: Record) -> Array:
    found = np.zeros((truth.n_points, truth.n_queries))
    for layer in formulas.layers(truth, "loss"):
        points, queries = (each.reshape(len(each), -1) for each in layer.gradients)
        solved = [(queries - (queries @ g)[:, None] * g / (truth.l2 + g @ g)) / truth.l2 for g in points]
        found += points @ np.mean(solved, axis=0).T
    return found


def _transposed(truth: Truth, run: Record) -> Array:
    """Return E-K-FAC with transposed eigenvectors, whose signs are those that come nearest."""
    layers, fitted = (formulas.layers(truth, run.judged_as, of_points=target) for target in ("loss", run.judged_as))
    each = list[list[Array]]()
    for layer, fit in zip(layers, fitted, strict=True):
        free = [layer.inputs.shape[1] - 1, layer.slopes.shape[1] - 1]
        signs = itertools.product((1,), *[(1, -1)] * free[0], (1,), *[(1, -1)] * free[1])
        each.append([formulas.kronecker(layer, truth.l2, fit.slopes, transposed=sign) for sign in signs])
    return min((np.sum(parts, axis=0) for parts in itertools.product(*each)), key=lambda f: relative_error(run.by_point(), f))


def _direct(truth: Truth, run: Record) -> Array:
    return formulas.batched(truth, run.judged_as, truth.n_points, truth.l2)


def _gauss_newton(truth: Truth, run: Record) -> Array:
    g = formulas.point_gradients(truth)
    n_batches = -(-truth.n_points // run.options["batch"])
    size = g.shape[1]
    return formulas.bilinear(truth, "loss", g.T @ g / ((n_batches - 1) * size) + truth.l2 * np.eye(size))


def _first_queries(truth: Truth, run: Record) -> Array:
    found = _direct(truth, run)
    found[:, formulas.point_gradients(truth).shape[1] :] = 0.0
    return found


def _square_roots(truth: Truth, run: Record) -> Array:
    """Return (E-)K-FAC whose slopes are those of sum_c sqrt(p_c) log p_c with sqrt(p_c) held fixed."""
    layers = formulas.layers(truth, "loss", of_points="margin")
    p = expit(_margins_of_points(truth))[:, None]
    slope = np.sqrt(p * (1.0 - p)) * (np.sqrt(1.0 - p) - np.sqrt(p))
    own, corrected = formulas.layers(truth, "loss"), run.options["update_diagonal"]
    parts = [
        formulas.kronecker(layer, truth.l2, margins.slopes * slope, corrected=corrected)
        for layer, margins in zip(own, layers, strict=True)
    ]
    return np.sum(parts, axis=0)


def _margins_of_points(truth: Truth) -> Array:
    assert truth.model is not None
    last = formulas.layers(truth, "loss")[-1]
    n_layers = sum(name.startswith("weight_") for name in truth.model.layers)
    weight, bias = truth.model.layers[f"weight_{n_layers}"][0], truth.model.layers.get(f"bias_{n_layers}")
    return (last.inputs @ np.append(weight[0], [] if bias is None else bias[0])[:, None])[:, 0]


def _kronfluence(truth: Truth, run: Record) -> Array:
    kind = run.options["strategy"]
    if kind == "identity":
        return formulas.bilinear(truth, run.judged_as)
    damping = {"l2": truth.l2, "default": 1e-8}[run.options["damping_factor"]]
    if kind == "diagonal":
        g = formulas.point_gradients(truth)
        return formulas.bilinear(truth, run.judged_as, np.diag(np.square(g).mean(axis=0) + damping))
    layers = formulas.layers(truth, run.judged_as)
    return np.sum([formulas.kronecker(layer, damping, corrected=kind == "ekfac") for layer in layers], axis=0)


def _trak(truth: Truth, run: Record) -> Array:
    """Return TRAK with no projection: the ridge inverse is divided by the mean of its entries' sizes."""
    assert truth.model is not None
    assert truth.y_query is not None
    signs, size = 2.0 * truth.y - 1.0, truth.model.params.shape[1]
    away = 1.0 - expit(signs * _margins_of_points(truth))
    features = -formulas.point_gradients(truth) / away[:, None]
    kernel = features.T @ features / size + truth.n_points * truth.l2 / size * np.eye(size)
    inverse = np.asarray(np.linalg.inv(kernel), np.float64)
    inverse /= np.abs(inverse).mean()
    targets = (2.0 * truth.y_query - 1.0)[:, None] * formulas.query_gradients(truth, "margin")
    return away[:, None] * (features @ inverse @ targets.T) / size


def _values(truth: Truth, run: Record) -> Array:
    return truth.effect({"shapley": "shapley", "banzhaf": "beta"}[run.options["index"]], run.judged_as)


def _double(run: Record) -> bool:
    return run.options.get("dtype") == "float64"


def _whole(run: Record) -> bool:
    return run.options["batch"] is None


def _positive(truth: str, penalty: object) -> bool:
    values = np.linalg.eigvalsh(formulas.sum_of_hessians(truths()[truth], _VALUE[penalty](truths()[truth])))
    return bool(values.min() > 1e-5)


_VALUE: dict[object, Callable[[Truth], float]] = {
    "N l2": lambda truth: truth.n_points * truth.l2,
    "l2": lambda truth: truth.l2,
    None: lambda truth: 1e-6,
}

FINDINGS: tuple[Finding, ...] = (
    Finding(
        "captum",
        "NaiveInfluenceFunction",
        "right with hessian_reg = N l2, whatever the batches",
        "right",
        "The scores are -D(1) of the losses, with the sign of the change on removal and without a factor, if hessian_reg is N "
        "times the l2 of the mean objective.",
        "g_i^T (sum_j H_j + N l2 I)^-1 g_q = (1/N) g_i^T (mean_j H_j + l2 I)^-1 g_q",
        lambda run: _double(run) and run.options["hessian_reg"] == "N l2" and _positive(run.truth, "N l2"),
        _captum,
    ),
    Finding(
        "captum",
        "NaiveInfluenceFunction",
        "hessian_reg is added to the sum of the points' Hessians",
        "as documented",
        "With hessian_reg = l2 or the default, 1e-6, the penalty is N times too small or as good as left out: the "
        "scores are off by "
        "factors and keep a rest, see the table. The documentation says so in two places.",
        "g_i^T (sum_j H_j + hessian_reg I)^-1 g_q",
        lambda run: _double(run) and run.options["hessian_reg"] != "N l2" and run.truth in ("logistic_spector", "softmax_iris"),
        _captum,
        (
            "explicitly computes the Hessian over batches in `hessian_dataloader` (and sums them); We add an entry to "
            "the hessian's "
            "diagonal entries before computing its eigenvalues / eigenvectors. This is that entry.",
            "docstring of NaiveInfluenceFunction.__init__, show_progress and hessian_reg",
        ),
    ),
    Finding(
        "captum",
        "NaiveInfluenceFunction",
        "negative eigenvalues of the Hessian are left out",
        "differs",
        "Where the Hessian has negative eigenvalues (a network before convergence, or a penalty that is too small), only its "
        "positive eigenvalues are inverted. The documentation speaks of the top eigenvalues, of a pseudo-inverse of "
        "the square root of "
        "the Hessian, and of ground truth, but not of negative eigenvalues.",
        "g_i^T V_+ diag(1 / v_+) V_+^T g_q with the eigenvalues v_+ > 1e-5 of sum_j H_j + hessian_reg I",
        lambda run: (
            _double(run)
            and "tolerance" not in run.options
            and run.truth.startswith("two_moons")
            and not _positive(run.truth, run.options["hessian_reg"])
        ),
        _captum_positive,
    ),
    Finding(
        "captum",
        "TracInCP",
        "right, whatever the batches and the reduction",
        "right",
        "The scores are products of gradients, for per-example, summed and mean losses.",
        "g_i^T g_q",
        _double,
        _gradients,
    ),
    Finding(
        "dattri",
        "IFAttributorExplicit",
        "right in one batch, up to N",
        "right",
        "With all points in one batch the scores are -N D(1); regularization is the l2 of the mean objective.",
        "g_i^T (mean_j H_j + l2 I)^-1 g_q",
        lambda run: _double(run) and _whole(run),
        _batches,
    ),
    Finding(
        "dattri",
        "IFAttributorExplicit",
        "with several batches, inverses are added up",
        "differs",
        "The scores are a sum over batches of scores with each batch's own Hessian. So they grow with the number of "
        "batches, and "
        "are no estimate of those in one batch. The documentation says that smaller batches may be less accurate.",
        "sum_b g_i^T (mean_{j in b} H_j + l2 I)^-1 g_q",
        lambda run: _double(run) and not _whole(run) and run.options["batch"] < truths()[run.truth].n_points,
        _batches,
    ),
    Finding(
        "dattri",
        "IFAttributorDataInf",
        "as in its paper",
        "right",
        "The scores are those of the DataInf formula by layer, mean and inverse exchanged, times N. It runs in single "
        "precision "
        "only.",
        "sum over layers of g_i^T mean_j (l2 I + g_j g_j^T)^-1 g_q",
        lambda run: run.truth != "softmax_iris",
        _data_inf,
    ),
    Finding(
        "dattri",
        "IFAttributorEKFAC",
        "eigenvectors stand where their transposes should",
        "differs",
        "Rotations are by U in place of U^T, so the result depends on the signs that the eigensolver gives to "
        "eigenvectors; with a "
        "bias, flatten(W) followed by b is read as rows of one more entry. The formula takes the nearest of all signs. "
        "The moments "
        "are those of the target function, which for margins is not the loss that the documentation names. On "
        "two_moons_converged "
        "small eigenvalues leave their vectors undetermined, and the formula says nothing.",
        "sum over layers of <G_i, U_s^T ((U_s G_q U_a^T) / (lambda + l2)) U_a>, lambda = mean_j (U_s G_j U_a^T)^2",
        lambda run: _double(run) and run.truth in ("logistic_spector", "two_moons_young"),
        _transposed,
        (
            "The inner product attributor with EK-FAC inverse FIM transformation. [..] The FIM will be estimated on this "
            "function.",
            "docstring of IFAttributorEKFAC; of its argument task, on the loss function",
        ),
    ),
    Finding(
        "pyDVL",
        "DirectInfluence",
        "right, whatever the batches, up to N",
        "right",
        "The scores are -N D(1) of the losses; regularization is the l2 of the mean objective.",
        "g_i^T (mean_j H_j + l2 I)^-1 g_q",
        lambda run: _double(run) and "second_order_mode" not in run.options,
        _direct,
    ),
    Finding(
        "pyDVL",
        "DirectInfluence",
        "the Gauss-Newton matrix is divided by (batches - 1) times the number of parameters",
        "differs",
        "With one batch the divisor is 0, and all scores are NaN. The documentation of the function has the sum over "
        "points, that of "
        "GaussNewtonBatchOperation their mean.",
        "g_i^T (sum_j g_j g_j^T / ((B - 1) P) + l2 I)^-1 g_q for B batches and P parameters",
        lambda run: _double(run) and "second_order_mode" in run.options and not _whole(run),
        _gauss_newton,
        (
            "Compute the Gauss-Newton matrix, i.e. $$ \\sum_{i=1}^N \\nabla_{\\theta}\\ell(m(x_i; \\theta), y) "
            "\\nabla_{\\theta}\\ell(m(x_i; \\theta), y)^t,$$",
            "docstring of pydvl.influence.torch.functional.gauss_newton",
        ),
    ),
    Finding(
        "pyDVL",
        "CgInfluence",
        "right for one query at a time, up to N",
        "right",
        "With a tight tolerance and one query in a call, the scores are -N D(1) of the losses.",
        "g_i^T (mean_j H_j + l2 I)^-1 g_q",
        lambda run: _double(run) and run.options.get("queries_at_once") == 1,
        _direct,
    ),
    Finding(
        "pyDVL",
        "CgInfluence",
        "zeros beyond as many queries as there are parameters",
        "differs",
        "With more queries than parameters in a call, those after the first P have scores that are exactly 0.",
        "g_i^T (mean_j H_j + l2 I)^-1 g_q for the first P queries, 0 for the others",
        lambda run: (
            _double(run)
            and "queries_at_once" not in run.options
            and run.options.get("rtol") == 1e-12
            and run.truth == "logistic_spector"
        ),
        _first_queries,
    ),
    Finding(
        "pyDVL",
        "EkfacInfluence",
        "the weights of the classes are square roots of probabilities",
        "differs",
        "The moments are those of the gradient of sum_c sqrt(p_c) log p_c, where the Fisher matrix needs the mean over "
        "classes of "
        "squared gradients: for two classes p (1 - p) (sqrt(p) - sqrt(1 - p))^2 in place of p (1 - p), 0 for p = 1/2. "
        "It runs in "
        "single precision only.",
        "(E-)K-FAC with the slopes sqrt(p (1 - p)) (sqrt(1 - p) - sqrt(p)) of the outputs",
        lambda run: True,
        _square_roots,
    ),
    Finding(
        "kronfluence",
        "Analyzer",
        "right, up to N and its curvature",
        "right",
        "With the summed loss and true labels, every strategy gives what its documentation says, whatever the batches; "
        "damping_factor is the l2 of the mean objective.",
        "g_i^T A^-1 g_q, A = I, the diagonal of mean_j g_j g_j^T, its K-FAC or its E-K-FAC, plus damping_factor I",
        lambda run: (
            _double(run)
            and run.options["reduction"] == "sum"
            and run.options["use_empirical_fisher"] is True
            and run.options["damping_factor"] == "l2"
        ),
        _kronfluence,
        (
            "The computed loss as a scalar tensor. [..] approximates empirical Fisher (using true labels) instead of true Fisher "
            "(using sampled labels from model's outputs) [..] Damping factor for inverse Hessian-vector product (iHVP).",
            "docstring of Task.compute_train_loss; kronfluence.arguments, use_empirical_fisher and damping_factor",
        ),
    ),
    Finding(
        "shapiq",
        "ExactComputer",
        "right",
        "right",
        "Exact Shapley and Banzhaf values are those of the truth.",
        "the Shapley value, and beta(1/2)",
        lambda run: True,
        _values,
    ),
    Finding(
        "statsmodels",
        "OLSInfluence.dfbeta",
        "right",
        "right",
        "Ridge regression is least squares with the rows sqrt(N l2) I appended; its changes of parameters on removal give the "
        "leave-one-out effects on the predictions, with our sign.",
        "leave-one-out F(1) - F(1 - e_i)",
        lambda run: True,
        lambda truth, run: truth.loo,
    ),
    Finding(
        "dfdw",
        "influence exact",
        "right",
        "right",
        "The scores are D(1) of the margins where training has converged, and the influence of the final model where it has not.",
        "-(1/N) g_i^T (mean_j H_j + l2 I)^-1 g_q",
        lambda run: True,
        lambda truth, run: -_direct(truth, run) / truth.n_points,
    ),
    Finding(
        "traker",
        "TRAKer",
        "as in its paper without a projection, with an arbitrary scale",
        "right",
        "The inverse is divided by the mean of the sizes of its entries, so the scale of the scores depends on the "
        "penalty and on "
        "the parameters' units; with lambda_reg = N l2 / P they are what the paper says up to that scale. "
        "It runs in single precision; on two_moons_converged the formula agrees to 4e-6.",
        "(1 - p_i) f_i^T (F^T F + N l2 I)^-1 f_q, f the gradients of the margins of the labels, divided by mean |inverse|",
        lambda run: run.options["projection"] == "none" and run.options["lambda_reg"] != "0" and run.truth == "logistic_spector",
        _trak,
    ),
)
"""What was found, by library."""
