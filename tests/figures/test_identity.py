"""The identity figure: its numbers, its labels, the same bytes for the same results, and its picture."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_close, assert_identical
from stored import described

from figures import fig_identity
from figures.style import render


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
    attributes = described(f"{dataset}-{n} {learner}", unit="logit")
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


def test_where_spector_or_longley_is_missing_the_other_is_shown_and_else_the_largest_two_others(results):
    assert [panels[0].title for panels in fig_identity.data(results[:1])] == ["Longley, N = 4, ridge regression"]
    others = [result("mine", "logistic", 2.0, n) for n in (2, 4)] + [result("yours", "least_squares", 2.0, n=3)]
    shown = [panels[0].title for panels in fig_identity.data(others)]
    assert shown == ["Yours, N = 3, ridge regression", "Mine, N = 4, logistic regression"]


def test_results_without_an_average_derivative_have_nothing_to_show(results):
    with pytest.raises(ValueError, match=r"no penalised case with its average derivative among \['longley-4 least_squares'\]"):
        fig_identity.data([results[0].drop_vars("average_derivative")])


def test_the_description_has_slope_and_relative_error_on_every_candidate(results):
    text = fig_identity.alt(fig_identity.data(results))
    assert "Spector, N = 4, logistic regression: D(1) 1.80 (0.8), leave-one-out 1.64 (0.6), D(½) 1.11 (0.1)" in text


def test_the_drawing_has_labels_units_slopes_and_one_dot_per_point_and_query(results):
    figure = fig_identity.draw(fig_identity.data(results))
    assert len(figure.axes) == 8
    first = figure.axes[0]
    assert first.get_xlabel() == "D(1): derivative at w = 1"
    assert "(logit)" in first.get_ylabel()
    assert "slope 1.80" in first.texts[0].get_text()
    assert len(first.collections[0].get_offsets()) == 12
    assert first.get_xlim() == first.get_ylim()


def test_the_same_results_give_the_same_bytes_without_a_date(results):
    one, two = (render(fig_identity.draw(fig_identity.data(results))) for _ in range(2))
    assert one == two
    assert b"date" not in one["svg"].lower()


@pytest.mark.mpl_image_compare(filename="identity.png", savefig_kwargs={"dpi": 50})
def test_the_picture_looks_as_it_did(results):
    return fig_identity.draw(fig_identity.data(results))
