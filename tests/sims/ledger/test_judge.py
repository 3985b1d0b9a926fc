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
from sims.ledger.judge import judge_learner
from theory.claims import Status

PROBLEM = Problem("spector", "logistic", l2=0.1, n_points=8)
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
        **dict.fromkeys(("T3", "T4", "T5", "T7", "T8", "T13", "T13 places", "T17"), Status.HOLDS),
        "T18": Status.HOLDS_WHEN,
    }
    expected = all_experiments()["identity"].run(IdentityConfig(PROBLEM))
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


class Neighbour:
    """The value of the nearest point of positive weight: constant between jumps at w_i = 0, so that its derivative is 0."""

    n_points, n_outputs = 5, 2
    x, y, queries = np.array([0.3, -0.5, 1.0, 0.1, -0.8]), np.array([2.0, -1.0, 5.0, 1.0, 3.0]), (0.0, -0.6)

    def respond(self, weights, seeds):
        distances = np.abs(self.x - np.array(self.queries)[:, None])  # (M, N)
        reached = np.where(np.asarray(weights)[:, None] > 0.0, distances, np.inf)
        value = np.where(np.isfinite(reached).any(axis=2), self.y[reached.argmin(axis=2)], 0.0)
        return np.repeat(value[:, None], len(seeds), axis=1)

    def weight_jacobian(self, weights, seeds):
        return np.zeros((len(weights), len(seeds), self.n_outputs, self.n_points))


MOONS = Problem("two_moons", "mlp", hidden=(3,), activation="relu", steps=20, learning_rate=0.3, n_points=4, n_queries=2)


@pytest.mark.parametrize(
    ("learner", "n_seeds"),
    [
        (MOONS.build(), 1),
        (Problem("xor", "moving_jump", n_points=5).build(), 4),
        (Problem("two_moons", "least_squares", l2=0.0, undefined="min_norm", n_points=5).build(), 1),
        (Neighbour(), 1),
    ],
    ids=["relu", "moving threshold", "minimum norm", "nearest neighbour"],
)
def test_learners_that_jump_get_a_verdict_on_the_sum_of_derivative_and_jumps(learner, n_seeds):
    """They were answered "still changes by nan" or "not judged"."""
    verdict = verdicts(judge_learner(learner, n_seeds))["T16"]
    assert verdict.status is Status.HOLDS
    assert verdict.figure < 1e-6


def test_two_wells_are_steep_and_no_jump():
    bistable = Problem("xor", "bistable", steps=30, learning_rate=0.1, n_points=4).build()
    study = judge_learner(bistable)
    assert verdicts(study)["T2"].status is Status.HOLDS_WHEN
    assert "no case has a jump of F that was found" in reasons(study)["T16"]


def test_a_wrong_derivative_fails_on_a_learner_that_jumps_and_on_one_that_does_not():
    class OnePercent(Bare):
        def weight_jacobian(self, weights, seeds):
            return 1.01 * self.learner.weight_jacobian(weights, seeds)

    for learner, identifier in ((LOGISTIC, "T2"), (MOONS.build(), "T16")):
        verdict = verdicts(judge_learner(OnePercent(learner)))[identifier]
        assert verdict.status is Status.FAILS
        assert 1e-3 < verdict.figure < 0.1


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


class Given:
    """A response in closed form, f(w) (B, M), with its derivative in every weight (B, M, N)."""

    def __init__(self, respond, jacobian, n_points=3):
        self._respond, self._jacobian, self.n_points, self.n_outputs = respond, jacobian, n_points, 1

    def respond(self, weights, seeds):
        return np.repeat(self._respond(np.asarray(weights))[:, None, None], len(seeds), axis=1)

    def weight_jacobian(self, weights, seeds):
        w = np.asarray(weights)
        slope = np.repeat(self._jacobian(w)[:, None, None, None], len(seeds), axis=1)
        return np.repeat(slope, self.n_points, axis=3)


def of_sum(f, derivative):
    return Given(lambda w: f(w.sum(axis=1) - w.shape[1]), lambda w: derivative(w.sum(axis=1) - w.shape[1]))


def test_scales_are_added_until_the_error_of_local_datamodels_falls_as_their_square():
    """At s = 1/32, the least of the scales, a response that turns within 1/200 of w = 1 gives no order yet."""
    bend = of_sum(lambda x: np.tanh(200.0 * x + 0.5), lambda x: 200.0 / np.cosh(np.clip(200.0 * x + 0.5, -300, 300)) ** 2)
    study = judge_learner(bend)
    (found,) = study.results["identity"]
    assert found.local_error[2] > 0.1
    assert found.sizes["scale"] > 5
    assert (np.diff(np.log2(found.scale)) == -1.0).all()
    assert verdicts(study)["T2 local"].status is Status.HOLDS


def test_a_kink_near_w_1_is_no_verdict_on_local_datamodels():
    """F has a kink at a sum of weights of 3.0000001, nearer than any scale: the order is that of the kink."""
    at = 1e-7
    kinked = of_sum(lambda x: np.abs(x - at) + 0.1 * x**2, lambda x: np.sign(x - at) + 0.2 * x)
    study = judge_learner(kinked)
    assert "T2 local" not in verdicts(study) or verdicts(study)["T2 local"].status is not Status.FAILS
    assert all(claim.id not in ("T13", "T2", "T4", "T5") or v.status is not Status.FAILS for claim, v in study.verdicts)


def test_a_derivative_that_exploded_is_a_warning_and_no_verdict_on_the_essay():
    wild = of_sum(lambda x: np.sin(1e9 * x) + x, lambda x: 1e9 * np.cos(1e9 * x) + 1.0)
    study = judge_learner(wild, patience=0.0)
    (warning,) = study.warnings
    assert "D(1) is as large as 1.0e+09" in warning
    assert "Take fewer steps" in warning
    assert warning in str(study)
    assert reasons(study)["C6"].startswith("D(1) is no slope of F that could be observed")
    assert not [claim.id for claim, verdict in study.verdicts if verdict.status is Status.FAILS and claim.id not in ("C5", "T18")]
    assert "more than patience = 0 seconds" in reasons(study)["T2"]


def test_an_additive_response_has_no_pairs_to_judge():
    """Its interactions are rounding, and their relative errors were called failures."""
    study = judge_learner(Problem("two_moons", "kernel_sum", n_points=6).build())
    assert "F has no interactions" in reasons(study)["T17"]
    assert "beta is leave-one-out but for rounding" in reasons(study)["T18"]
    failed = {claim.id for claim, verdict in study.verdicts if verdict.status is Status.FAILS}
    assert failed == {"T13 places"}  # all scores agree


def test_a_constant_response_fails_nothing():
    study = judge_learner(Given(lambda w: np.ones(len(w)), lambda w: np.zeros(len(w))))
    assert {verdict.status for _, verdict in study.verdicts} <= {Status.HOLDS, Status.HOLDS_WHEN, Status.INCONCLUSIVE}


class OtherDivisor(Bare):
    normalization = "weight_sum"

    def linearize(self, weights, seeds):
        return self.learner.linearize(weights, seeds)


def test_influence_of_a_loss_that_is_divided_by_another_number_is_not_judged():
    assert "normalization = 'weight_sum'" in reasons(judge_learner(OtherDivisor()))["C1"]


def test_a_notebook_shows_a_row_per_claim_with_folded_evidence_and_escapes_it(whole):
    html = judge_learner(Bare(), name="<b>mine</b>")._repr_html_()
    assert "<b>mine" not in html
    assert "&lt;b&gt;mine&lt;/b&gt;" in html
    assert html.count("<tr>") == 1 + len(verdicts(judge_learner(Bare())))
    assert html.count("<details>") == html.count("<tr>")
    for claim, reason in whole.not_judged:
        assert claim.id in whole._repr_html_()
        assert reason.split(",")[0].replace("'", "&#x27;").replace("<", "&lt;").replace(">", "&gt;") in whole._repr_html_()


def test_the_cost_is_said_before_anything_is_trained_where_progress_is_shown(capsys):
    judge_learner(Bare(), progress=True)
    assert capsys.readouterr().err.startswith("Bare-8: 256 subsets x 1 seed, then about ")
    judge_learner(Bare())
    assert capsys.readouterr().err == ""  # no terminal
