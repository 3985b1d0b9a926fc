"""The ledger of a learner of one's own: what can be judged is, by the same claims, and the rest says why not."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_close, assert_identical
from wavy import Wavy

from sims.experiments import all_experiments
from sims.experiments.identity import IdentityConfig
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.results import save
from sims.learners import MLP
from sims.ledger.judge import judge_learner
from theory.claims import Status

PROBLEM = Problem("spector", "logistic", (("l2", 0.1),), n_points=8)
LOGISTIC = PROBLEM.build()


class Bare:
    """A learner without derivatives: the same responses, `respond` and nothing else."""

    def __init__(self, learner=LOGISTIC):
        self.learner, self.n_points, self.n_outputs = learner, learner.n_points, learner.n_outputs

    def respond(self, weights, seeds):
        return self.learner.respond(weights, seeds)


class MasksOnly(Bare):
    masks_only = True

    def respond(self, weights, seeds):
        assert np.isin(weights, (0.0, 1.0)).all()
        return super().respond(weights, seeds)


class Stepped(Bare):
    """The response of a fit that stops early: right to 1e-3."""

    def respond(self, weights, seeds):
        return np.round(super().respond(weights, seeds), 3)


def verdicts(study):
    return {claim.id: verdict for claim, verdict in study.verdicts}


def reasons(study):
    """Why the other claims are not judged."""
    assert not {claim.id for claim, _ in study.not_judged} & set(verdicts(study))
    return {claim.id: reason for claim, reason in study.not_judged}


@pytest.fixture(scope="module")
def whole():
    return judge_learner(LOGISTIC)


@pytest.fixture(scope="module")
def bare():
    return judge_learner(Bare(), name="mine", unit="logit")


def test_a_learner_with_derivatives_gets_the_verdicts_of_the_projects_own_experiment(whole):
    found = verdicts(whole)
    assert {name: verdict.status for name, verdict in found.items()} == {
        "C1": Status.HOLDS_WHEN,
        "C5": found["C5"].status,
        "C6": Status.FAILS,
        "T1": Status.HOLDS,
        "T2": Status.HOLDS_WHEN,
        "T2 local": Status.HOLDS,
    }
    expected = all_experiments()["identity"].run(IdentityConfig(PROBLEM, nodes=(5, 10)))
    (result,) = whole.results["identity"]
    for name in ("beta", "derivative", "leave_one_out", "hessian_influence", "derivative_at_p", "r_squared"):
        assert_identical(result[name], expected[name], call=name)
    assert_close(result.average_derivative, expected.average_derivative, rtol=1e-6, call="other nodes")
    assert "left_out" not in result.attrs


def test_without_derivatives_d1_comes_from_differences_and_the_rest_says_why_not(whole, bare):
    found, (result,) = verdicts(bare), bare.results["identity"]
    assert found["C6"].status == Status.FAILS
    assert found["C6"].figure == pytest.approx(verdicts(whole)["C6"].figure, rel=1e-9)
    assert found["T2 local"].status == Status.HOLDS
    assert_close(result.derivative, whole.results["identity"][0].derivative, rtol=1e-9, call="D(1) by differences")
    assert "by differences" in result.derivative.attrs["long_name"]
    assert reasons(bare)["C1"] == "identity: Bare has no linearize"
    assert reasons(bare)["T2"] == "identity: Bare has no weight_jacobian"


def test_the_ledger_is_text_that_names_what_was_not_judged(bare):
    judged, rest = str(bare).split("Not judged")
    assert "mine" in judged
    assert "C1: identity: Bare has no linearize" in rest
    assert "needs more than the table of one learner" in rest
    assert "C2" in rest
    assert "C6:" not in rest.replace("C6 networks:", "")


@pytest.mark.parametrize(("kind", "reason"), [(MasksOnly, "takes weights 0 and 1 only"), (Stepped, "F jumps near w = 1")])
def test_a_derivative_that_cannot_be_had_is_never_a_verdict(kind, reason):
    study = judge_learner(kind())
    found, (result,) = verdicts(study), study.results["identity"]
    assert "derivative" not in result
    assert list(result.reference.values) == ["LOO"]
    for name in ("C6", "T2 local"):
        assert reason in reasons(study)[name]
    assert found["T1"].status == Status.HOLDS


def test_an_average_derivative_that_has_not_converged_is_not_judged():
    data = PROBLEM.load()
    steep = MLP(data.X[:6, 1:], data.y[:6], data.X_query[:1, 1:], hidden=(2,), steps=100, learning_rate=2.0)
    found = reasons(judge_learner(steep, 2))
    assert "still changes by" in found["T2"]
    assert "the curvature is singular" in found["C1"]


def test_the_table_is_stored_and_resumed_and_the_result_can_be_saved(tmp_path):
    learner = Wavy(n_points=6, log=str(tmp_path / "log"))
    first = judge_learner(learner, 2, store=tmp_path / "table")
    computed = learner.computed()
    second = judge_learner(learner, 2, store=tmp_path / "table")
    xr.testing.assert_identical(first.results["identity"][0], second.results["identity"][0])
    assert len(learner.computed()) < 2 * len(computed)
    save(first.results["identity"][0], tmp_path)


def test_too_many_points_to_enumerate_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"21 training points have 2\*\*21 subsets, .*fit_sampled"):
        judge_learner(Wavy(n_points=21))
