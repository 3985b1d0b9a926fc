"""check_learner finds the one law that each learner broken on purpose breaks; test_every_learner.py has those that are right."""

import zlib
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from sims.learners import MLP, LeastSquares
from sims.testing import check_learner
from sims.testing import report as testing

RNG = np.random.default_rng(0)
X, X_QUERY, TARGETS = RNG.standard_normal((6, 2)), RNG.standard_normal((2, 2)), RNG.standard_normal(6)


# --- broken on purpose ------------------------------------------------------------------------------------------------------


class _Ridge(LeastSquares):
    """What the broken ones below get right; they are told apart from it by one line each."""


class _CentredWithoutWeights(_Ridge):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + self.y.mean()


class _SquaredWeights(_Ridge):
    def respond(self, weights, seeds):
        return super().respond(np.square(weights), seeds)

    def weight_jacobian(self, weights, seeds):
        return 2.0 * np.asarray(weights)[:, None, None] * super().weight_jacobian(np.square(weights), seeds)


class _FirstPointIsSpecial(_Ridge):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + self.X[0, 0]


class _BatchShares(_Ridge):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 1e-6 * np.asarray(weights).sum()


class _ForgetsTheLastBlock(_Ridge):
    block_rows = 32

    def respond(self, weights, seeds):
        answers = super().respond(weights, seeds)
        answers[32:] = 0.0
        return answers


class _WritesToWeights(_Ridge):
    def respond(self, weights, seeds):
        weights *= 0.5
        return super().respond(weights, seeds)


class _HandsOutItsCache(_Ridge):
    cache = {}  # noqa: RUF012

    def respond(self, weights, seeds):
        key = (id(self), np.asarray(weights).tobytes(), tuple(seeds))
        return self.cache.setdefault(key, super().respond(weights, seeds))


class _Unseeded(_Ridge):
    def respond(self, weights, seeds):
        answers = super().respond(weights, seeds)
        return answers + 1e-12 * np.random.default_rng().standard_normal(answers.shape)


class _SeedByPosition(_Ridge):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + np.arange(len(seeds))[:, None]


class _TwoOverN(_Ridge):
    def weight_jacobian(self, weights, seeds):
        return 2.0 / self.n_points * super().weight_jacobian(weights, seeds)


class _WrongSign(_Ridge):
    def weight_jacobian(self, weights, seeds):
        return -super().weight_jacobian(weights, seeds)


class _RotatedPoints(_Ridge):
    def weight_jacobian(self, weights, seeds):
        return np.roll(super().weight_jacobian(weights, seeds), 1, axis=-1)


class _ColumnOfTheNextPoint(_Ridge):
    def weight_jacobian_column(self, weights, seeds, point):
        return self.weight_jacobian(weights, seeds)[..., (point + 1) % self.n_points]


class _NotANumber(_Ridge):
    def respond(self, weights, seeds):
        answers = super().respond(weights, seeds)
        answers[-1, -1, -1] = np.nan
        return answers


class _Float32(_Ridge):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds).astype(np.float32)


class _SwappedAxes(_Ridge):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds).swapaxes(1, 2)


class _SumOfLossesInHessian(_Ridge):
    def linearize(self, weights, seeds):
        at = super().linearize(weights, seeds)
        return replace(at, hessian=self.n_points * at.hessian)


class _WeightedPointGradients(_Ridge):
    def linearize(self, weights, seeds):
        at = super().linearize(weights, seeds)
        return replace(at, point_gradients=np.asarray(weights)[:, None] * at.point_gradients)


class _SumNotMean(_Ridge):
    """(1/2) sum_i w_i r_i^2 + (l2/2) ||theta||^2, and does not say so."""

    def respond(self, weights, seeds):
        return super().respond(self.n_points * np.asarray(weights), seeds)

    def weight_jacobian(self, weights, seeds):
        return self.n_points * super().weight_jacobian(self.n_points * np.asarray(weights), seeds)


class _SumAndSaysSo(_SumNotMean):
    normalization = "sum"


@dataclass(frozen=True, eq=False)
class _KeepsTheCallersArrays:
    X: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)

    n_points, n_outputs = 6, 1

    def respond(self, weights, seeds):
        effect = (np.asarray(weights) @ (self.X[:, 0] * self.y))[:, None, None] / len(self.X)
        return np.repeat(effect, len(seeds), axis=1)


BROKEN = {
    _CentredWithoutWeights: "weight 0 is deletion",
    _SquaredWeights: "weight 2 is a duplicate",
    _FirstPointIsSpecial: "order is free",
    _BatchShares: "batch is its rows",
    _ForgetsTheLastBlock: "place in a long batch is free",
    _WritesToWeights: "inputs are left alone",
    _HandsOutItsCache: "inputs are left alone",
    _Unseeded: "seeds decide",
    _SeedByPosition: "seeds decide",
    _TwoOverN: "Jacobian is the derivative",
    _WrongSign: "Jacobian is the derivative",
    _RotatedPoints: "Jacobian is the derivative",
    _ColumnOfTheNextPoint: "Jacobian is the derivative",
    _NotANumber: "answers are finite",
    _Float32: "answers are finite",
    _SwappedAxes: "answers are finite",
    _SumOfLossesInHessian: "linearization is consistent",
    _WeightedPointGradients: "linearization is consistent",
    _SumNotMean: "weight 0 is deletion",
}


def ridge(kind):
    return kind(X, TARGETS, X_QUERY, l2=0.1, normalization="sum" if kind is _SquaredWeights else "n_points")


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_law_is_found_and_explained(kind):
    check_learner(ridge(_Ridge)).raise_if_broken()
    report = check_learner(ridge(kind))
    found = {finding.law: finding.reason for finding in report.broken}
    assert BROKEN[kind] in found, str(report)
    assert "likely cause: " in found[BROKEN[kind]]
    with pytest.raises(AssertionError, match=f"BROKEN   {BROKEN[kind]}"):
        report.raise_if_broken()


@pytest.mark.parametrize("kind", [_WrongSign, _ForgetsTheLastBlock, _SumOfLossesInHessian])
def test_nothing_else_is_blamed_than_what_is_broken(kind):
    assert {finding.law for finding in check_learner(ridge(kind)).broken} == {BROKEN[kind]}


def test_the_factor_of_a_wrong_derivative_is_named():
    def reason(kind):
        return {f.law: f.reason for f in check_learner(ridge(kind)).broken}[BROKEN[kind]]

    assert "slope 0.333333 where 1 is right: a factor 2/N" in reason(_TwoOverN)
    assert "slope -1 where 1 is right: the sign" in reason(_WrongSign)
    assert "a factor 1/N" in reason(_SumOfLossesInHessian)


def test_the_message_has_the_weights_what_was_got_and_what_was_expected():
    (finding,) = check_learner(ridge(_WrongSign)).broken
    for part in ("weights [1.", "value    [", "expected [", "differs by"):
        assert part in finding.reason


def test_a_sum_in_place_of_the_mean_passes_where_it_is_declared():
    with pytest.raises(AssertionError):
        check_learner(ridge(_SumNotMean)).raise_if_broken()
    check_learner(_SumAndSaysSo(X, TARGETS, X_QUERY, l2=0.1), leave_out=["linearization is consistent"])
    report = check_learner(ridge(_SumNotMean))
    assert any("normalization = 'sum'" in finding.reason for finding in report.broken)


def test_data_of_the_caller_that_is_kept_is_found():
    report = check_learner(_KeepsTheCallersArrays(X, TARGETS))
    assert [finding.law for finding in report.broken] == ["data are copied"]


# --- what cannot be asked ---------------------------------------------------------------------------------------------------


class _Plain:
    """The least that is a learner."""

    def __init__(self, values=TARGETS):
        self.values, self.n_points, self.n_outputs = np.array(values), len(values), 1

    def respond(self, weights, seeds):
        effect = (np.asarray(weights) @ self.values)[:, None, None] / self.n_points
        return np.repeat(effect, len(seeds), axis=1)


def test_what_cannot_be_asked_is_skipped_with_the_reason():
    report = check_learner(_Plain())
    report.raise_if_broken()
    skipped = {finding.law: finding.reason for finding in report.skipped}
    assert set(skipped) == {
        "data are copied",
        "weight 0 is deletion",
        "weight 2 is a duplicate",
        "order is free",
        "Jacobian is the derivative",
        "linearization is consistent",
    }
    assert "pass rebuild=" in skipped["weight 0 is deletion"]
    assert "no weight_jacobian" in skipped["Jacobian is the derivative"]
    assert "skipped  Jacobian is the derivative: the learner has no weight_jacobian" in str(report)


def test_influence_of_training_that_has_not_converged_is_not_asked_and_not_passed():
    report = check_learner(MLP(X, (TARGETS > 0.0).astype(float), X_QUERY, hidden=(), steps=5, l2=0.1))
    assert "linearization is consistent" not in report.passed
    (finding,) = (finding for finding in report.skipped if finding.law == "linearization is consistent")
    assert "converged, isolated optimum" in finding.reason


def test_a_learner_that_can_be_made_again_is_asked_for_the_laws_on_other_rows():
    report = check_learner(_Plain(), rebuild=lambda rows: _Plain(TARGETS[rows]))
    assert {"weight 0 is deletion", "weight 2 is a duplicate", "order is free"} <= set(report.passed)
    wrong = check_learner(_Plain(), rebuild=lambda rows: _Plain(TARGETS[rows] + 1e-6))
    assert {"weight 0 is deletion", "order is free"} <= {finding.law for finding in wrong.broken}


def test_a_law_that_is_left_out_is_reported_and_an_unknown_one_refused():
    report = check_learner(ridge(_WrongSign), leave_out=["Jacobian is the derivative"])
    report.raise_if_broken()
    assert [(f.law, f.reason) for f in report.skipped] == [("Jacobian is the derivative", "left out by the caller")]
    with pytest.raises(ValueError, match=r"leave_out names \['order'\], expected laws: "):
        check_learner(ridge(_Ridge), leave_out=["order"])


def test_a_learner_that_raises_is_broken_and_one_that_refuses_every_deletion_is_not():
    class Raises(_Ridge):
        def respond(self, weights, seeds):
            raise KeyError("no such thing")

    assert "KeyError: 'no such thing'" in check_learner(ridge(Raises)).broken[0].reason
    two = LeastSquares(np.eye(2), [1.0, 2.0], np.eye(2))
    report = check_learner(two)
    report.raise_if_broken()
    (finding,) = (f for f in report.skipped if f.law == "weight 0 is deletion")
    assert "refuses to do without any one point" in finding.reason


def test_a_law_that_would_take_too_long_is_skipped_and_says_what_to_do(monkeypatch):
    monkeypatch.setattr(testing, "PATIENCE", 0.0)
    (finding,) = (f for f in check_learner(ridge(_Ridge)).skipped if f.law == "place in a long batch is free")
    assert "4096 rows would take about" in finding.reason
    assert "`block_rows`" in finding.reason


def test_a_derivative_that_differences_cannot_see_is_undecided_unless_it_is_plainly_wrong():
    class Rough(_Ridge):
        """A response with noise of 1e-6 that the weights decide, as of fits that stop early."""

        factor = 1.0

        def respond(self, weights, seeds):
            noise = [zlib.crc32(row.tobytes()) / 2**32 for row in np.ascontiguousarray(weights)]
            return super().respond(weights, seeds) + 1e-6 * np.array(noise)[:, None, None]

        def weight_jacobian(self, weights, seeds):
            return self.factor * super().weight_jacobian(weights, seeds)

    class RoughAndWrong(Rough):
        factor = 2.0

    law = "Jacobian is the derivative"
    undecided = {f.law: f.reason for f in check_learner(ridge(Rough)).skipped}
    assert "too little to check a derivative" in undecided[law]
    wrong = {f.law: f.reason for f in check_learner(ridge(RoughAndWrong)).broken}
    assert "slope 1.99" in wrong[law]
