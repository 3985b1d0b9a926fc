"""Claims about training that has not converged, jumps or interpolates: every status that they can reach, on made-up results."""

import numpy as np
import pytest
import xarray as xr

from theory.claims import Status, all_claims

MEASURES = ["slope", "relative_error", "pearson", "spearman"]
PAIRS = ["beta on D(1)", "Hessian influence on D(1)"]


def judged(identifier, **results):
    return next(c for c in all_claims() if c.id == identifier).judge(results)


def training(essay, influence, spread=0.0, cutoffs=(0.0, 0.0), beta=1.0, null=1):
    """A `training_time` result with relative errors (essay, influence) at times 1, 10, .., and standard errors all equal."""
    times = 10 ** np.arange(len(essay))
    measured = np.ones((len(essay), 2, 4))
    measured[:, 0, 1], measured[:, 1, 1] = essay, influence
    per_seed = np.ones((len(essay), 2))
    return xr.Dataset(
        {
            "measured": (("time", "pair", "measure"), measured),
            "measured_error": (("time", "pair", "measure"), np.full_like(measured, spread)),
            "cutoff_error": (("time", "cutoff"), np.tile(cutoffs, (len(essay), 1))),
            "null_space": (("time", "cutoff", "seed"), np.full((len(essay), 2, 2), null)),
            "least_eigenvalue": (("time", "seed"), -per_seed),
            "gradient_norm": (("time", "seed"), per_seed),
            "beta": (("time", "point", "output"), np.full((len(essay), 1, 1), beta)),
        },
        {"time": times, "pair": PAIRS, "measure": MEASURES},
        {"case": f"made up {essay}"},
    )


def average(error, node_change):
    values = {"error": (("law", "nodes", "time"), [[[1.0], [error]]]), "node_change": (("law", "time"), [[node_change]])}
    return xr.Dataset(values, {"law": ["L"], "nodes": [1, 2], "time": [5]}, {"case": f"{error}, {node_change}"})


def changed(result, **values):
    """The same with other values of some variables."""
    return result.assign({name: (result[name].dims, np.broadcast_to(new, result[name].shape)) for name, new in values.items()})


@pytest.mark.parametrize(("early", "spread", "status"), [(0.5, 0.0, "HOLDS"), (0.01, 0.0, "FAILS"), (0.06, 0.02, "INCONCLUSIVE")])
def test_c3_needs_a_large_error_at_every_early_time_beyond_its_standard_error(early, spread, status):
    wrong = training([0.1] * 4, [9.0, early, 0.1, 1e-9], spread)
    assert judged("C3", training_time=[training([0.1] * 4, [9.0, 9.0, 0.1, 1e-9]), wrong]).status == status


def test_c3_holds_only_when_negative_eigenvalues_appear_in_every_case():
    convex = training([0.0, 0.0, 0.0], [0.5, 0.5, 0.0])
    convex["least_eigenvalue"] = -convex.least_eigenvalue
    indefinite = training([0.0, 0.0, 0.0], [0.5, 0.5, 0.0])
    assert judged("C3", training_time=[indefinite]).status is Status.HOLDS
    assert judged("C3", training_time=[indefinite, convex]).status is Status.HOLDS_WHEN


@pytest.mark.parametrize(
    ("eigenvalues", "status"),
    [([[1.0, -1.0], [1.0, 1.0], [1.0, 1.0]], Status.HOLDS), ([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0]], Status.HOLDS_WHEN)],
    ids=["of one seed, early", "of every seed, late"],
)
def test_c3_asks_for_a_negative_eigenvalue_of_some_seed_in_the_first_hundredth(eigenvalues, status):
    result = changed(training([0.0, 0.0, 0.0], [0.5, 0.5, 0.0]), least_eigenvalue=eigenvalues)
    assert judged("C3", training_time=[result]).status is status


def test_c3_looks_at_the_first_hundredth_of_training_only():
    assert judged("C3", training_time=[training([0.1] * 4, [9.0, 9.0, 0.0, 0.0])]).figure == 9.0


def test_c3_leaves_out_times_at_which_the_influence_is_undefined():
    assert judged("C3", training_time=[training([0.1] * 4, [np.nan, 7.0, 0.0, 0.0])]).figure == 7.0


@pytest.mark.parametrize(("last", "spread", "status"), [(1.0, 0.0, "FAILS"), (0.01, 0.0, "HOLDS"), (0.06, 0.02, "INCONCLUSIVE")])
def test_c6_for_networks_is_decided_at_the_end_of_training_by_the_mildest_case(last, spread, status):
    cases = [training([0.0, 9.0], [1.0, 1.0], spread), training([0.0, last], [1.0, 1.0], spread)]
    verdict = judged("C6 networks", training_time=cases)
    assert verdict.status == status
    assert verdict.figure == last


@pytest.mark.parametrize(("first", "last", "status"), [(0.0, 0.02, "INCONCLUSIVE"), (9.0, 0.0, "FAILS")])
def test_c6_for_networks_is_as_sure_as_the_error_at_the_end_of_training(first, last, status):
    result = changed(training([0.0, 0.06], [1.0, 1.0]), measured_error=np.reshape([first, last], (2, 1, 1)))
    assert judged("C6 networks", training_time=[result]).status == status


@pytest.mark.parametrize(
    ("null", "cutoffs", "status"),
    [(3, (0.9, 0.1), "HOLDS WHEN"), (3, (0.9, 0.01), "FAILS"), (0, (0.9, 0.1), "INCONCLUSIVE")],
)
def test_c2_asks_singular_hessians_whether_any_cut_off_gives_the_derivative(null, cutoffs, status):
    assert judged("C2", training_time=[training([1.0], [1.0], cutoffs=cutoffs, null=null)]).status == status


@pytest.mark.parametrize(
    ("null", "status"),
    [([[3, 3], [3, 0]], "HOLDS WHEN"), ([[0, 0], [3, 3]], "INCONCLUSIVE")],
    ids=["of one seed at a cut-off", "at the largest cut-off only"],
)
def test_c2_calls_a_hessian_singular_if_every_cut_off_takes_something_away_for_some_seed(null, status):
    assert judged("C2", training_time=[changed(training([1.0], [1.0], cutoffs=(0.9, 0.1)), null_space=[null])]).status == status


def test_c2_is_decided_at_the_end_of_training_by_the_mildest_singular_case():
    results = [training([1.0, 1.0], [1.0, 1.0], cutoffs=(0.9, error)) for error in (0.5, 0.1)]
    singular = [
        changed(result, null_space=[[[0]], [[1]]], cutoff_error=result.cutoff_error * [[0.0], [1.0]]) for result in results
    ]
    verdict = judged("C2", training_time=singular[::-1])
    assert (verdict.status, verdict.figure, len(verdict.evidence)) == (Status.HOLDS_WHEN, 0.1, 2)


def test_c9_judges_converged_quadratures_only_and_says_which_were_not():
    cases = [average(1e-9, 1e-8), average(0.3, 0.2)]
    verdict = judged("C9", training_time=[training([1.0], [1.0])], average_derivative=cases)
    assert verdict.status is Status.HOLDS_WHEN
    assert len(verdict.evidence) == 1
    assert "nothing said: 0.3, 0.2, L, 5 steps: 0.3" in verdict.condition


def test_c9_says_nothing_where_no_quadrature_converged():
    assert (
        judged("C9", training_time=[training([0.0], [0.0])], average_derivative=[average(1.0, 1e-3)]).status
        is Status.INCONCLUSIVE
    )


def test_c9_fails_where_a_converged_average_is_not_beta_or_beta_is_not_finite():
    good = [training([1.0], [1.0])]
    assert judged("C9", training_time=good, average_derivative=[average(0.3, 1e-9)]).status is Status.FAILS
    broken = training([1.0], [1.0], beta=np.nan)
    assert judged("C9", training_time=[*good, broken], average_derivative=[average(1e-9, 1e-9)]).status is Status.FAILS


@pytest.mark.parametrize(
    ("error", "slopes", "spread", "status"),
    [
        (0.01, (1.01, 1.9), 0.01, Status.HOLDS_WHEN),
        (0.1, (1.01, 1.9), 0.01, Status.FAILS),
        (0.01, (2.02, 3.8), 0.01, Status.FAILS),  # beta twice too large
        (0.01, (0.9, 1.9), 0.01, Status.FAILS),
        (0.01, (1.01, 1.0), 0.01, Status.FAILS),
        (0.01, (1.01, 1.9), 0.5, Status.FAILS),
        (0.01, (1.01, 1.9), np.nan, Status.HOLDS_WHEN),  # one seed: nothing is sampled
    ],
)
def test_t6_over_time_needs_the_law_of_gradient_flow_and_a_slope_of_beta_that_grows_from_one(error, slopes, spread, status):
    """At one p of one case, late for the law; the others are as they should be."""
    mild = flowing(0.01, (1.01, 1.4), 0.01)
    assert judged("T6 time", finite_time_scale=[flowing(error, slopes, spread), mild]).status is status


def flowing(error, slopes, spread):
    """A `finite_time_scale` result: error of the law at the end, slopes at both times, all at p = 1/2."""
    dims = ("p", "time")
    values = {
        "flow_error": (dims, [[0.0, error], [0.0, 0.0]]),
        "slope": (dims, [slopes, [1.0, 1.3]]),
        "slope_error": (dims, np.full((2, 2), [[spread], [0.01]])),
        "interaction": (dims, np.full((2, 2), 0.1)),
        "eta_t": (("time",), [0.1, 9.0]),
    }
    return xr.Dataset(values, {"p": [0.5, 0.75], "time": [4, 400]}, {"case": "made up"})
