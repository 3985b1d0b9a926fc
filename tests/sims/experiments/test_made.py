"""A learner of one's own on one's own data: found by name, called with the data, and checked before anything is computed."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sims.datasets.user_file import as_user_data
from sims.experiments.shared.cases import Job, run_cases
from sims.experiments.shared.made import MadeLearner
from sims.ledger.cases import cases_of
from theory.claims import judge

SAMPLE = Path(__file__).parents[3] / "examples" / "vote96.csv"
MODULE = """
import numpy as np


class Ridge:
    def __init__(self, X, y, X_query):
        self.X, self.y, self.X_query, self.n_points, self.n_outputs = X, y, X_query, len(X), len(X_query)

    def respond(self, weights, seeds):
        hessian = np.einsum("bi,ij,ik->bjk", weights, self.X, self.X) / len(self.X) + 0.1 * np.eye(self.X.shape[1])
        theta = np.linalg.solve(hessian, (weights * self.y @ self.X / len(self.X))[..., None])[..., 0]
        return np.repeat((theta @ self.X_query.T)[:, None], len(seeds), axis=1)


class Biased(Ridge):
    has_bias = True


def two(X, y):
    return Ridge(X, y, X)


def nothing(X, y, X_query):
    return None


def fewer(X, y, X_query):
    return Ridge(X[1:], y[1:], X_query)


def fails(X, y, X_query):
    raise KeyError("gone")


number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_model_of_a_test.py").write_text(MODULE)
    (tmp_path / "own_module_that_fails.py").write_text("import no_such_library")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "own_model_of_a_test"
    sys.modules.pop("own_model_of_a_test", None)


def made(function, n_points=6):
    return MadeLearner(as_user_data(SAMPLE, "vote"), function, n_points)


def test_the_function_gets_what_other_learners_get(module):
    learner, used = made(f"{module}:Ridge").build(), as_user_data(SAMPLE, "vote").load(6)
    assert np.array_equal(learner.X, used.X)
    assert np.array_equal(learner.y, used.y)
    assert learner.X.flags.writeable
    assert (learner.X[:, 0] == 1.0).all()
    assert made(f"{module}:Biased").build().X.shape == (6, used.X.shape[1] - 1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("no_such_module_of_mine:make", "no module no_such_module_of_mine in .* or among the installed packages"),
        ("own_module_that_fails:make", "own_module_that_fails imports no_such_library, which is not installed"),
        ("own_model_of_a_test:make", "has no make; it has Ridge, Biased, two, nothing, fewer, fails"),
        ("own_model_of_a_test:number", "number is a int, expected a function"),
        ("own_model_of_a_test:two", r"two\(X, y\) cannot be called as two\(X, y, X_query\)"),
        ("own_model_of_a_test:nothing", "returned no learner: learner is a NoneType without respond, expected n_points"),
        ("own_model_of_a_test:fewer", "n_points = 5, expected 6, the rows of X"),
        ("own_model_of_a_test:fails", r"failed on X \(6, 6\), y \(6,\), X_query \(8, 6\): KeyError: 'gone'"),
        ("own_model_of_a_test:", "expected MODULE:FUNCTION"),
        (":make", "expected MODULE:FUNCTION"),
    ],
)
def test_what_is_wrong_with_a_function_is_said_before_anything_is_computed(module, function, message):
    with pytest.raises(ValueError, match=message):
        made(function).build()


def test_processes_import_the_function_by_its_name(module, tmp_path):
    cases = cases_of(made(f"{module}:Ridge"), 1, patience=600.0)
    assert set(cases.configs) == {"identity", "spectrum", "expansion", "pairs", "fixed_size"}
    results = run_cases([Job(name, cases.configs[name]) for name in ("spectrum", "fixed_size")], out=tmp_path / "out", executor=2)
    ledger = judge(results, cases.left_out)
    assert {claim.id for claim, _ in ledger.verdicts} == {"C5", "T7"}
    assert results["spectrum"][0].attrs["learner"] == f"{module}.Ridge"
