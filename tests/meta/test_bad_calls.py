"""No bad argument of a public function becomes a number: each is refused by this project's own code, in words that help.

`CALLS` has a good call of every name in `dfdw`, and for each of its arguments the kind of thing that it is; `BAD` has what is
wrong for a kind. Every combination must be refused by an error that names the argument and says what is expected.
"""

import re
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import dfdw
from theory.response import Linearization

ROOT = Path(__file__).parents[2]
ERRORS = (ValueError, TypeError, MemoryError, ArithmeticError, OSError)

X = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 4.0]])
Y, LABELS, QUERY = np.array([1.0, 0.0, 2.0, 5.0]), np.array([0.0, 1.0, 0.0, 1.0]), X[:2]
RIDGE = dfdw.LeastSquares(X, Y, QUERY, l2=0.1)
TABLE = dfdw.response_table(RIDGE, (0,)).mean
STREAMED = dfdw.streamed_table(RIDGE, (0,), [dfdw.Bernoulli(0.5)])
AT = RIDGE.linearize(np.ones(4), (0,))
MASKS = dfdw.independent(dfdw.Bernoulli(0.5), n_subsets=12, n_points=4, seed=0).masks
RESPONSES = MASKS @ X
EFFECTS = np.arange(1.0, 9.0).reshape(1, 4, 2)
TRUTH = dfdw.Truth.of(RIDGE)


def right_attribution(problem):
    return problem.exact()


class Unwritable:
    def __repr__(self):
        raise RuntimeError("no text")


def entry(array, value, dtype=float):
    """An array with another last entry."""
    array = np.array(array, dtype=dtype)
    array.flat[-1] = value
    return array


def arrays(good):
    """What is no array of real finite numbers, in the shape of a good one."""
    return {
        "None": None,
        "text": "abc",
        "bytes": b"abc",
        "an object": Unwritable(),
        "a function": np.mean,
        "NaN": entry(good, np.nan),
        "infinite": entry(good, -np.inf),
        "complex": np.asarray(good) + 0j,
        "masked": np.ma.masked_equal(good, 1.0),
        "masked nowhere": np.ma.array(good),
        "objects": np.asarray(good).astype(object),
        "None inside": entry(good, None, object),
        "texts": np.asarray(good).astype(str),
        "dates": np.asarray(good).astype("datetime64[s]"),
        "ragged": [[1.0, 2.0], [1.0]],
        "a number": 0.5,
        "empty": [],
        "one axis more": np.asarray(good)[None],
        "too large for float64": [[10**400]],
    }


def numbers(*wrong):
    """What is no number at all, and numbers that are out of bounds."""
    common = (None, "0.5", b"1", 0.5j, np.nan, np.inf, -np.inf, True, [0.5], np.ones(2), Unwritable(), np.ma.masked)
    return {f"{type(value).__name__} {k}": value for k, value in enumerate((*common, *wrong))}


SEEDS = {
    "a fraction": [0.7],
    "a whole float": [1.0, 2.0],
    "one number": 0.7,
    "one integer": 3,
    "text": "012",
    "bytes": b"012",
    "empty": [],
    "repeated": [0, 0],
    "negative": [-1],
    "too large": [2**63],
    "far too large": [10**30],
    "too many": range(10**12),
    "True": [True],
    "NaN": [np.nan],
    "complex": [1j],
    "texts": ["0"],
    "None": None,
    "None inside": [0, None],
    "a set": {0, 1},
    "a dict": {0: 1},
    "rows": [[0], [1]],
    "an array without dimensions": np.array(3),
    "a masked array": np.ma.masked_equal([0, 1], 1).astype(float),
    "objects": [Unwritable()],
}
SEED = dict(enumerate((1.5, 1.0, "1", None, -1, 2**63, True, [0], np.nan, 1j, np.array([1]), Unwritable())))
EXECUTOR = dict(enumerate(("4", 2.5, True, 0, -1, [], ProcessPoolExecutor, Unwritable(), np.nan, 2.0, np.array([2]))))
STORE = dict(enumerate(("", "  ", 3, b"x", ["a"], "a\0b", True, __file__, Unwritable())))
LAW = dict(enumerate((None, "bernoulli", 0.5, dfdw.Bernoulli, Unwritable(), np.ones(2))))
LEARNER = dict(enumerate((None, "logistic", 3, dfdw.LeastSquares, Unwritable(), np.ones((4, 2)), [RIDGE])))
NAME = dict(enumerate(("other", "", None, 3, b"exact", ["exact"], True, np.array(["exact", "x"]), Unwritable())))
COUNT = numbers(0, -1, 1.5)
POSITIVE = numbers(0.0, -1.0)
PENALTY = numbers(-1.0)

MATRIX = {**arrays(X), "one axis": X[0], "no columns": X[:, :0], "no rows": X[:0]}
VECTOR = {**arrays(Y), "too short": Y[:3], "a column": Y[:, None]}
LABEL = {**arrays(LABELS), "three labels": [0, 1, 2, 1], "one label": [1, 1, 1, 1], "signs": [-1, 1, -1, 1]}
CLASS = {**{k: v for k, v in LABEL.items() if k != "three labels"}, "a class without points": [0, 2, 0, 2]}
QUERIES = {**arrays(QUERY), "other columns": X[:, :1]}
TABLES = {**arrays(TABLE), "one row less": TABLE[:-1], "one row": TABLE[:1], "one axis": TABLE[:, 0], "no columns": TABLE[:, :0]}
WEIGHTS = {**arrays(np.ones((3, 4))), "too few": np.ones((3, 3)), "no rows": np.ones((0, 4)), "negative": -np.ones((3, 4))}
WEIGHT = {**arrays(np.ones(4)), "too few": np.ones(3), "negative": [1.0, 1.0, -1.0, 1.0]}
MASK = {**arrays(MASKS), "fractions": MASKS / 2.0, "no rows": MASKS[:0], "fewer rows": MASKS[:8], "integer masks": np.arange(12)}
RESPONSE = {**arrays(RESPONSES), "one axis": RESPONSES[:, 0], "fewer rows": RESPONSES[:8]}
GROUPS = {**arrays(np.arange(12.0)), "short": [0, 1], "one": [0] * 12}
GROUPS = {k: v for k, v in GROUPS.items() if k not in ("None", "texts")}
ROW_WEIGHTS = {**arrays(np.ones(12)), "zero": np.zeros(12), "negative": -np.ones(12)}
ROW_WEIGHTS = {k: v for k, v in ROW_WEIGHTS.items() if k != "None"}
EFFECT = {**arrays(EFFECTS[0]), "another shape": EFFECTS[0, :3], "transposed": EFFECTS[0].T}
PREDICTED = {**arrays(RESPONSES), "another shape": RESPONSES[:3], "one axis": RESPONSES[:, 0]}

DATA = {"X": MATRIX, "y": VECTOR, "X_query": QUERIES}
GOOD = {"X": X, "y": Y, "X_query": QUERY}
FIT = {"masks": MASKS, "responses": RESPONSES}
NOT_A_LINEARIZATION = {
    **dict(enumerate((None, "at", TABLE, Linearization, Unwritable(), RIDGE))),
    **{
        f"{name} {kind}": Linearization(**{**{f: getattr(AT, f) for f in AT.__dataclass_fields__}, name: value})
        for name in ("params", "hessian", "point_gradients", "output_gradients", "gradient_norm")
        for kind, value in {
            "NaN": entry(getattr(AT, name), np.nan),
            "complex": getattr(AT, name) + 0j,
            "masked": np.ma.array(getattr(AT, name)),
            "of another shape": getattr(AT, name)[..., :0],
            "missing": None,
        }.items()
    },
}

CALLS = {
    "LeastSquares": (GOOD, {**DATA, "l2": PENALTY, "undefined": NAME, "normalization": NAME}),
    "SoftmaxRegression": (
        {**GOOD, "y": LABELS, "l2": 0.1, "output": 0},
        {**DATA, "y": CLASS, "l2": PENALTY, "normalization": NAME, "output": {**NAME, "too large": 2, "negative": -1}},
    ),
    "Logistic": ({**GOOD, "y": LABELS, "l2": 0.1}, {**DATA, "y": LABEL, "l2": PENALTY, "normalization": NAME}),
    "KernelSum": (GOOD, {**DATA, "bandwidth": POSITIVE}),
    "MovingJump": (GOOD, {**DATA, "init_scale": POSITIVE}),
    "Bistable": (GOOD, {**DATA, "steps": COUNT, "learning_rate": POSITIVE, "init_scale": POSITIVE, "l2": PENALTY}),
    "Interpolator": (GOOD, {**DATA, "width": COUNT, "l2": PENALTY, "bandwidth": POSITIVE}),
    "OneStep": ({**GOOD, "y": LABELS}, {**DATA, "y": LABEL, "loss": NAME, "learning_rate": POSITIVE}),
    "MLP": (
        {**GOOD, "y": LABELS, "steps": 2},
        {
            **DATA,
            "y": LABEL,
            "hidden": dict(enumerate((None, 3, "8", (0,), (1.5,), (True,), (np.nan,), ("3",), [[3]], Unwritable()))),
            "activation": NAME,
            "loss": NAME,
            "steps": COUNT,
            "learning_rate": POSITIVE,
            "l2": PENALTY,
            "momentum": numbers(-0.1, 1.0),
            "batch_size": {k: v for k, v in numbers(0, 1.5, 5).items() if v is not None},
            "init_scale": POSITIVE,
            "schedule": NAME,
            "jitter": numbers(-0.1, 1.0),
            "snapshots": dict(enumerate((None, 3, "1", (0,), (9,), (1.5,), (True,), (2, 1), (1, 1), [[1]]))),
        },
    ),
    "Bernoulli": ({"p": 0.5}, {"p": numbers(0.0, 1.0, -1.0)}),
    "TwoPoint": ({"scale": 0.5}, {"scale": numbers(0.0, 1.5)}),
    "Gaussian": ({"sigma": 0.1}, {"sigma": numbers(0.0, -1.0)}),
    "FixedSize": ({"k": 2}, {"k": numbers(0, -1, 1.5)}),
    "independent": (
        {"law": dfdw.Bernoulli(0.5), "n_subsets": 4, "n_points": 4, "seed": 0},
        {"law": LAW, "n_subsets": {**COUNT, "huge": 10**15}, "n_points": {**COUNT, "huge": 10**15}, "seed": SEED},
    ),
    "antithetic": (
        {"law": dfdw.Bernoulli(0.5), "n_subsets": 4, "n_points": 4, "seed": 0},
        {
            "law": {**LAW, "skew": dfdw.Bernoulli(0.25), "odd": dfdw.FixedSize(1)},
            "n_subsets": {**COUNT, "odd": 3, "huge": 10**15},
            "n_points": COUNT,
            "seed": SEED,
        },
    ),
    "fold_over": (
        {"n_replicates": 1, "n_points": 3, "seed": 0},
        {
            "n_replicates": {**COUNT, "huge": 10**15},
            "n_points": {**COUNT, "huge": 10**9},
            "seed": SEED,
            "order": {**{k: v for k, v in COUNT.items() if v is not None}, "too small": 2, "unknown": 92, "huge": 10**15},
        },
    ),
    "for_influence": (
        {"n_points": 4, "n_retrainings": 32, "seed": 0},
        {
            "n_points": {**COUNT, "huge": 10**15},
            "n_retrainings": {**COUNT, "too few": 31, "huge": 10**15},
            "seed": SEED,
            "scale": numbers(0.0, 1.5),
            "order": numbers(0, 1, 3, 2.5),
        },
    ),
    "for_leave_one_out": (
        {"n_points": 4, "n_retrainings": 5, "seed": 0},
        {"n_points": {**COUNT, "huge": 10**15}, "n_retrainings": {**COUNT, "too few": 4, "huge": 10**15}, "seed": SEED},
    ),
    "for_shapley": (
        {"n_points": 4, "n_retrainings": 56, "seed": 0},
        {"n_points": {**COUNT, "huge": 10**15}, "n_retrainings": {**COUNT, "too few": 55, "huge": 10**15}, "seed": SEED},
    ),
    "response_table": (
        {"learner": RIDGE, "seeds": (0,)},
        {
            "learner": LEARNER,
            "seeds": SEEDS,
            "weights": {k: v for k, v in WEIGHTS.items() if k != "None"},
            "store": STORE,
            "executor": EXECUTOR,
        },
    ),
    "streamed_table": (
        {"learner": RIDGE, "seeds": (0,), "laws": [dfdw.Bernoulli(0.5)]},
        {
            "learner": LEARNER,
            "seeds": SEEDS,
            "laws": {
                **dict(LAW.items()),
                "empty": [],
                "inside": [None],
                "no levels": [dfdw.Poisson()],
                "a class": [dfdw.Bernoulli],
            },
            "store": STORE,
            "executor": EXECUTOR,
        },
    ),
    "streamed_datamodels": ({"streamed": STREAMED}, {"streamed": {**LEARNER, "a table": TABLE}}),
    "attribute": (
        {"learner": RIDGE, "most_exact": 0},
        {
            "learner": LEARNER,
            "n_seeds": {**COUNT, "huge": 10**15},
            "most_exact": numbers(-1, 1.5),
            "n_retrainings": {**{k: v for k, v in COUNT.items() if v is not None}, "too few": 20, "huge": 10**15},
            "seed": SEED,
            "executor": EXECUTOR,
        },
    ),
    "judge_learner": (
        {"learner": RIDGE},
        {
            "learner": LEARNER,
            "n_seeds": {**COUNT, "huge": 10**15},
            "name": dict(enumerate(("", 3, b"x", [], True))),
            "unit": dict(enumerate(("", 3, b"x", []))),
            "store": STORE,
            "executor": EXECUTOR,
        },
    ),
    "check_learner": (
        {"learner": RIDGE},
        {
            "learner": LEARNER,
            "seeds": SEEDS,
            "rtol": numbers(0.0, -1.0, 1.0),
            "rebuild": dict(enumerate((3, "f", [], Unwritable()))),
            "leave_out": dict(enumerate(("order is free", ["order"], [3], 3, None, [None]))),
        },
    ),
    "judge_scores": (
        {"scores": TRUTH.D1, "truth": TRUTH},
        {
            "scores": {k: v for k, v in arrays(TRUTH.D1).items() if k not in ("NaN", "infinite")},
            "truth": LEARNER,
            "target": NAME,
            "seed": {k: v for k, v in SEED.items() if v is not None and v is not True} | {"none of the truth": 5},
        },
    ),
    "load_truth": ({"name_or_file": "logistic_spector"}, {"name_or_file": {**NAME, "no file": "nothing.npz", "a folder": ROOT}}),
    "check_attribution": (
        {"attribute": right_attribution},
        {
            "attribute": dict(enumerate((None, 3, "f", [], np.ones(2), Unwritable()))),
            "problems": dict(enumerate((None, "logistic", ["hinge"], [], 3, [3], Unwritable()))),
            "rtol": numbers(0.0, -1.0, 1.0),
            "leave_out": dict(enumerate((["order"], [3], 3, None, [None]))),
        },
    ),
    "conformance": (
        {"attribute": right_attribution},
        {
            "attribute": dict(enumerate((None, 3, "f", [], np.ones(2), Unwritable()))),
            "problems": dict(enumerate((None, "logistic", ["hinge"], [], 3, [3], Unwritable()))),
            "rtol": numbers(0.0, -1.0, 1.0),
        },
    ),
    "data_set": (
        {"name": "spector", "n_points": 8},
        {"name": NAME, "n_points": {k: v for k, v in numbers(0, -1, 1.5, 10**9, 7).items() if v is not None}},
    ),
    "load_results": (
        {"out": ROOT / "nothing", "experiment": "identity"},
        {"out": {**STORE, "None": None}, "experiment": dict(enumerate(("", None, 3, b"x", "..", [], True)))},
    ),
    "optimal_datamodel": (
        {"table": TABLE},
        {"table": TABLES, "law": {**LAW, "no levels": dfdw.Poisson(), "too large": dfdw.FixedSize(4)}},
    ),
    "quadrature_datamodel": (
        {"learner": RIDGE, "law": dfdw.TwoPoint(0.5), "seeds": (0,), "nodes": 2},
        {"learner": LEARNER, "law": {**LAW, "no product": dfdw.FixedSize(2)}, "seeds": SEEDS, "nodes": COUNT},
    ),
    "average_derivative": (
        {"learner": RIDGE, "law": dfdw.Bernoulli(0.5), "seeds": (0,), "nodes": 2},
        {
            "learner": LEARNER,
            "law": {**LAW, "too large": dfdw.FixedSize(4)},
            "seeds": SEEDS,
            "nodes": {**{k: v for k, v in COUNT.items() if v is not None}, "huge": 10**9},
        },
    ),
    "optimal_pair_datamodel": (
        {"table": TABLE},
        {"table": TABLES, "law": {**LAW, "no levels": dfdw.Poisson(), "one size": dfdw.FixedSize(2)}},
    ),
    "average_second_derivative": (
        {"learner": RIDGE, "law": dfdw.Bernoulli(0.5), "seeds": (0,), "nodes": 2},
        {
            "learner": LEARNER,
            "law": {**LAW, "no product": dfdw.FixedSize(2)},
            "seeds": SEEDS,
            "nodes": {**{k: v for k, v in COUNT.items() if v is not None}, "huge": 10**9},
            "tolerance": numbers(0.0, 1.0),
        },
    ),
    "fit_sampled_pairs": (
        {"masks": MASKS[:, :3], "responses": RESPONSES, "law": dfdw.Bernoulli(0.5)},
        {
            "masks": MASK,
            "responses": RESPONSE,
            "law": {**LAW, "one size": dfdw.FixedSize(2), "no subsets": dfdw.Poisson()},
            "groups": GROUPS,
            "row_weights": ROW_WEIGHTS,
            "errors": NAME,
        },
    ),
    "weight_derivative": (
        {"learner": RIDGE, "weights": np.ones(4), "seeds": (0,)},
        {"learner": LEARNER, "weights": WEIGHT, "seeds": SEEDS},
    ),
    "finite_difference": (
        {"learner": RIDGE, "weights": np.ones(4), "seeds": (0,)},
        {
            "learner": LEARNER,
            "weights": WEIGHT,
            "seeds": SEEDS,
            "rtol": numbers(-1.0),
            "atol": numbers(-1.0),
            "initial_step": POSITIVE,
        },
    ),
    "leave_one_out": ({"table": TABLE}, {"table": TABLES}),
    "shapley": ({"table": TABLE}, {"table": TABLES}),
    "banzhaf": ({"table": TABLE}, {"table": TABLES, "p": numbers(-0.1, 1.1)}),
    "semivalue": (
        {"table": TABLE, "law": [0.25] * 4},
        {
            "table": TABLES,
            "law": {
                **arrays([0.25] * 4),
                "sum": [1.0] * 4,
                "negative": [2.0, -1.0, 0.0, 0.0],
                "short": [1.0],
                "one size": dfdw.FixedSize(2),
                "a class": dfdw.Shapley,
                "other levels": dfdw.TwoPoint(0.5),
            },
        },
    ),
    "beta_shapley": ({"table": TABLE, "a": 4, "b": 1}, {"table": TABLES, "a": POSITIVE, "b": POSITIVE}),
    "BetaShapley": ({"a": 4, "b": 1}, {"a": POSITIVE, "b": POSITIVE}),
    "Semivalue": ({"size_probabilities": [0.25] * 4}, {"size_probabilities": {**arrays([0.25] * 4), "sum": [1.0] * 4}}),
    "fit_sampled": (
        FIT,
        {
            "masks": MASK,
            "responses": RESPONSE,
            "method": NAME,
            "law": {
                **{k: v for k, v in LAW.items() if v is not None},
                "another size": dfdw.FixedSize(2),
                "no subsets": dfdw.Poisson(),
            },
            "groups": GROUPS,
            "row_weights": ROW_WEIGHTS,
            "errors": NAME,
            "keep_covariance": dict(enumerate((None, "yes", 1, [], Unwritable()))),
        },
    ),
    "compare": ({"estimate": EFFECTS[0], "reference": EFFECTS[0]}, {"estimate": EFFECT, "reference": EFFECT}),
    "lds": ({"predicted": RESPONSES, "actual": RESPONSES}, {"predicted": PREDICTED, "actual": PREDICTED}),
    "error_budget": (
        {"chain": {"beta": EFFECTS, "D": 2.0 * EFFECTS}},
        {
            "chain": {
                **dict(enumerate((None, "beta", EFFECTS, [EFFECTS, EFFECTS], {}, {"beta": EFFECTS}, Unwritable()))),
                **{f"second {kind}": {"beta": EFFECTS, "D": value} for kind, value in arrays(EFFECTS).items()},
            }
        },
    ),
    **dict.fromkeys(
        ("influence", "hessian_influence"),
        (
            {"linearization": AT},
            {
                "linearization": NOT_A_LINEARIZATION,
                "method": NAME,
                "damping": PENALTY,
                "curvature": {k: v for k, v in NAME.items() if v is not None},
                "rank": {"none of exact": 1},
                "seeds": {"no option": 1},
            },
        ),
    ),
}
"""Of every name: the arguments of a good call, and what is bad for each."""

NEEDED = {  # what else a call needs for the argument to matter
    ("fit_sampled", "penalty"): {"method": "ridge"},
    ("fit_sampled", "n_folds"): {"method": "ridge"},
    ("influence", "cutoff"): {"method": "pseudo_inverse"},
    ("influence", "iterations"): {"method": "conjugate_gradients"},
    ("influence", "rank"): {"method": "low_rank"},
    ("influence", "depth"): {"method": "lissa", "scale": 100.0},
    ("influence", "scale"): {"method": "lissa", "depth": 3},
    ("influence", "seed"): {"method": "nystroem", "rank": 2},
}
MORE = {
    ("fit_sampled", "penalty"): {k: v for k, v in POSITIVE.items() if v is not None},
    ("fit_sampled", "n_folds"): numbers(0, 1, 2.5, 13),
    ("influence", "cutoff"): numbers(-0.1, 1.0),
    ("influence", "iterations"): COUNT,
    ("influence", "rank"): {**COUNT, "more than parameters": 99},
    ("influence", "depth"): COUNT,
    ("influence", "scale"): POSITIVE,
    ("influence", "seed"): {**numbers(-1, 1.5), "too large": 2**63},
}


def cases():
    for name, (good, bad) in CALLS.items():
        for argument, values in bad.items():
            yield from ((name, argument, label, {**good, argument: value}) for label, value in values.items())
    for (name, argument), values in MORE.items():
        for label, value in values.items():
            yield name, argument, label, {**CALLS[name][0], **NEEDED[name, argument], argument: value}


CASES: dict[tuple[str, str], dict[str, dict]] = {}
for _name, _argument, _label, _call in cases():
    CASES.setdefault((_name, _argument), {})[str(_label)] = _call


def test_every_public_name_has_its_calls():
    assert sum(map(len, CASES.values())) >= 235
    elsewhere = {"JaxLearner", "SklearnLearner", "TorchLearner"}  # tests/sims/learners has theirs, which need extras
    elsewhere |= {"Truth"}  # tests/sims/referee has bad calls of Truth.of
    elsewhere |= {"Problem", "Experiment"}  # and tests/sims/experiments has those of what is only built when it is run
    assert set(dfdw.__all__) - set(CALLS) - elsewhere == {"LeaveOneOut", "Poisson", "Shapley"}  # which have no argument


@pytest.mark.parametrize("name", CALLS)
def test_the_good_call_works(name):
    if name != "judge_learner":  # which takes long
        getattr(dfdw, name)(**CALLS[name][0])


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_bad_arguments_are_refused_here_and_named(name, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label, call in CASES[name, argument].items():
        with pytest.raises(ERRORS) as caught:
            raise LookupError(f"{label}: nothing was refused, {getattr(dfdw, name)(**call)}")
        message = str(caught.value)
        place = Path(traceback.extract_tb(caught.value.__traceback__)[-1].filename)
        assert place.is_relative_to(ROOT), f"{label}: raised in {place}: {message}"
        assert re.search(r"expected|must be|[:;,] (use|take|pass|leave|draw|choose|fewer)", message), f"{label}: {message}"
        assert re.search(rf"(?i){'|'.join(NAMES.get(argument, (argument,)))}", message), f"{label}: {message}"
        assert not list(tmp_path.iterdir()), label


NAMES = {
    "law": ("law", "^k = ", "FixedSize", "size_probabilities"),
    "y": (r"\by\b", "label"),
    "learner": ("learner", "respond"),
    "responses": ("responses", "response"),
    "masks": ("masks", "subsets"),
    "rank": ("rank", "options"),
    "seeds": ("seeds", "options"),
    "n_replicates": ("replicates",),
    "n_points": ("n_points", "points"),
    "n_seeds": ("seeds",),
    "name": ("name", "data set"),
    "name_or_file": ("truth", "file"),
}
"""Words for an argument in messages, where its own name is not the only one."""


# --- what is recognised is used -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seeds",
    [[0, 2], range(0, 3, 2), (0, 2), np.array([0, 2]), np.array([0, 2], np.uint8), (2 * k for k in range(2)), iter([0, 2])],
    ids=lambda seeds: type(seeds).__name__,
)
def test_integers_of_every_kind_are_seeds(seeds):
    jump = dfdw.MovingJump(X, Y, QUERY)
    np.testing.assert_array_equal(dfdw.response_table(jump, seeds).samples, dfdw.response_table(jump, (0, 2)).samples)


def test_the_largest_seed_is_stored_and_read(tmp_path):
    jump, seeds = dfdw.MovingJump(X, Y, QUERY), (2**63 - 1, 0)
    first = dfdw.response_table(jump, seeds, store=tmp_path / "a").samples
    np.testing.assert_array_equal(dfdw.response_table(jump, seeds, store=str(tmp_path / "a")).samples, first)


@pytest.mark.parametrize("kind", [list, np.float32, np.int64, np.longdouble, bool])
def test_arrays_of_every_real_kind_are_used(kind):
    masks = MASKS.tolist() if kind is list else MASKS.astype(kind)
    np.testing.assert_array_equal(
        dfdw.response_table(RIDGE, (0,), weights=masks).samples, dfdw.response_table(RIDGE, (0,), weights=MASKS).samples
    )


@pytest.mark.parametrize("p", [np.float64(0.25), np.float32(0.25), np.array(0.25)])
def test_numbers_of_every_real_kind_are_used(p):
    law = dfdw.Bernoulli(p)
    assert law == dfdw.Bernoulli(0.25)
    assert repr(law) == "Bernoulli(p=0.25)"
    assert hash(law) == hash(dfdw.Bernoulli(0.25))


def test_a_number_of_processes_may_be_of_numpy():
    np.testing.assert_array_equal(dfdw.response_table(RIDGE, (0,), executor=np.int64(2)).mean, TABLE)
