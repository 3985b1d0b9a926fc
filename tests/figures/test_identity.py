"""The identity figure: its numbers, its labels, the same bytes for the same results, and its picture."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_close, assert_identical

from figures import fig_identity
from figures.style import save


def result(dataset, learner, slope, n=4):
    """An `identity` result in which beta is `slope` times D(1) and equals the average derivative."""
    rng = np.random.default_rng(n)
    derivative = rng.standard_normal((n, 3))
    beta = slope * derivative[None]
    effects = {
        "beta": (("p", "point", "output"), beta),
        "average_derivative": (("p", "point", "output"), beta * (1 + 1e-10)),
        "derivative_at_p": (("p", "point", "output"), 0.9 * beta),
        "derivative": (("point", "output"), derivative),
        "leave_one_out": (("point", "output"), 1.1 * derivative),
    }
    attributes = {"data": dataset, "learner": learner, "unit": "logit", "case": f"{dataset}-{n} {learner}"}
    return xr.Dataset(effects, {"p": [0.5]}, attributes)


@pytest.fixture
def results():
    return [result("longley", "least_squares", 3.0), result("spector", "logistic", 1.8), result("spector", "logistic", 9.0, n=2)]


def test_the_panels_hold_beta_against_each_candidate_of_the_largest_case(results):
    spector, longley = fig_identity.data(results)
    assert [panel.candidate for panel in spector] == ["derivative", "leave_one_out", "derivative_at_p", "average_derivative"]
    assert_close([panel.measured.slope for panel in spector], [1.8, 1.8 / 1.1, 1 / 0.9, 1.0], rtol=1e-9)
    assert_identical(longley[0].beta, results[0].beta.sel(p=0.5).values)
    assert spector[0].title == "Spector, N = 4, logistic regression"


def test_a_missing_learner_is_named(results):
    with pytest.raises(ValueError, match="no penalised logistic case on spector among"):
        fig_identity.data(results[:1])


def test_the_drawing_has_labels_units_slopes_and_one_dot_per_point_and_query(results):
    figure = fig_identity.draw(fig_identity.data(results))
    assert len(figure.axes) == 8
    first = figure.axes[0]
    assert first.get_xlabel() == "D(1): derivative at w = 1"
    assert "(logit)" in first.get_ylabel()
    assert "slope 1.80" in first.texts[0].get_text()
    assert len(first.collections[0].get_offsets()) == 12
    assert first.get_xlim() == first.get_ylim()


def test_the_same_results_give_the_same_bytes(results, tmp_path):
    files = [save(fig_identity.draw(fig_identity.data(results)), tmp_path / name, "identity") for name in "ab"]
    for one, two in zip(*files, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert b"Date" not in files[0][1].read_bytes()[:2000]
