"""The figures of training time, finite-time scale and jumps: their numbers, labels and bytes."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_identical
from stored import described

from figures import fig_finite_time_scale, fig_jumps, fig_two_regimes

MEASURES = ["slope", "relative_error", "pearson", "spearman"]


def training(case):
    pairs = ["beta on D(1)", "Hessian influence on D(1)"]
    values = np.arange(1.0, 25.0).reshape(3, 2, 4)
    return xr.Dataset(
        {
            "measured": (("time", "pair", "measure"), values),
            "measured_error": (("time", "pair", "measure"), 0.1 * values),
            "beta": (("time", "point", "output"), np.ones((3, 8, 2))),
            "gradient_norm": (("time", "seed"), np.ones((3, 4))),
        },
        {"time": [1, 10, 100], "pair": pairs, "measure": MEASURES},
        described(case),
    )


def scale(case):
    slope = np.array([[1.0, 2.0], [1.0, 1.5]])
    values = {"slope": (("p", "time"), slope), "slope_error": (("p", "time"), 0.1 * slope), "eta_t": (("time",), [0.1, 1.0])}
    return xr.Dataset(values, {"p": [0.5, 0.75], "time": [4, 40]}, described(case, n_seeds=5))


def jumping(learner):
    quantities = ["path-wise derivative", "difference of F", "beta"]
    values = {name: (("quantity", "n_seeds"), np.arange(6.0).reshape(3, 2) + 1.0) for name in ("slope", "slope_error")}
    effect = {"truth": (("point", "output"), np.ones((4, 1)))}
    return xr.Dataset({**values, **effect}, {"quantity": quantities, "n_seeds": [10, 100]}, {"learner": learner})


FIGURES = {
    "two_regimes": (fig_two_regimes, [training("xor-8 mlp l2=0"), training("two_moons-8 mlp l2=0.01")]),
    "finite_time_scale": (
        fig_finite_time_scale,
        [scale("xor-8 mlp hidden=4"), scale("noisy_line-12 mlp hidden=none")],
    ),
    "jumps": (fig_jumps, [jumping("bistable"), jumping("moving_jump")]),
}


@pytest.mark.parametrize("missing", ["options", "n_points"])
def test_results_of_an_earlier_version_are_refused_with_the_command_to_run_again(missing):
    old = training("xor-8 mlp l2=0").assign_attrs(experiment="training_time")
    del old.attrs[missing]
    with pytest.raises(ValueError, match=f"xor-8 mlp l2=0 has no attribute '{missing}'.*`python -m sims run training_time`"):
        fig_two_regimes.data([old])


def test_two_regimes_has_the_relative_errors_by_time_penalised_cases_first():
    first, second = fig_two_regimes.data(FIGURES["two_regimes"][1])
    assert first.title == "Two moons, N = 8, penalised"
    assert second.title == "Xor, N = 8, no penalty, more parameters than points"
    assert_identical(first.error["beta on D(1)"], np.array([2.0, 10.0, 18.0]))
    assert_identical(first.error["Hessian influence on D(1)"], np.array([6.0, 14.0, 22.0]))
    assert first.n_seeds == 4


def test_two_regimes_tells_adam_from_descent_and_names_digits_for_what_they_are():
    adam = training("digits_pooled-12 mlp l2=0.01 optimizer=adam").isel(seed=slice(0, 2))
    descent, by_adam = panels = fig_two_regimes.data([adam, training("digits_pooled-12 mlp l2=0.01")])
    assert [panel.title for panel in panels] == ["Digits 3, 5, 8, N = 12, penalised", "Digits 3, 5, 8, N = 12 by adam, penalised"]
    assert (descent.adaptive, by_adam.adaptive) == (False, True)
    figure = fig_two_regimes.draw(panels)
    assert "early in descent, not under adam" in figure.get_suptitle()
    assert "2 or 4 seeds" in figure.get_supxlabel()
    assert "early in training" in fig_two_regimes.draw([descent]).get_suptitle()


def test_the_description_of_two_regimes_has_both_ends_and_says_where_influence_is_undefined():
    one, two = (training(case) for case in ("xor-8 mlp l2=0.01", "xor-4 mlp l2=0"))
    one.measured[-1, 1, 1] = np.nan
    text = fig_two_regimes.alt(fig_two_regimes.data([one, two]))
    assert "Xor, N = 8, penalised: datamodel β (the essay's identity) 2 at step 1 and 18 at 100" in text
    assert "Hessian influence, exact Hessian 6 at step 1 and undefined at 100. Xor, N = 4, no penalty" in text


@pytest.mark.mpl_image_compare(filename="two_regimes.png", savefig_kwargs={"dpi": 50})
def test_two_regimes_looks_as_it_did():
    return fig_two_regimes.draw(fig_two_regimes.data(FIGURES["two_regimes"][1]))


def test_the_descriptions_of_scale_and_jumps_have_the_slopes():
    scale, jump = (module.alt(module.data(results)) for module, results in list(FIGURES.values())[1:])
    assert "Xor, N = 8, network: 1.00 to 2.00 at p = 0.5, 1.00 to 1.50 at p = 0.75" in scale
    assert "sign of a moving threshold, N = 4, 100 seeds: 2.00 for the mean of path-wise derivatives, 4.00 for" in jump


def test_two_regimes_is_drawn_on_log_axes_with_bars_and_a_unit_of_time():
    figure = fig_two_regimes.draw(fig_two_regimes.data(FIGURES["two_regimes"][1]))
    first = figure.axes[0]
    assert (first.get_xscale(), first.get_yscale()) == ("log", "log")
    assert "against D(1)" in first.get_ylabel()
    assert len(first.containers) == 2
    assert "gradient steps" in figure.get_supxlabel()
    assert "4 seeds" in figure.get_supxlabel()


def test_finite_time_scale_has_a_line_per_p_and_its_limit():
    figure = fig_finite_time_scale.draw(fig_finite_time_scale.data(FIGURES["finite_time_scale"][1]))
    first = figure.axes[0]
    assert first.get_title() == "Noisy line, N = 12, linear model"
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["p = 0.5", "p = 0.75"]
    assert sorted({line.get_ydata()[0] for line in first.lines if line.get_linestyle() == "--"}) == [1 / 0.75, 2.0]


def test_jumps_has_three_lines_with_bars_per_learner():
    panels = fig_jumps.data(FIGURES["jumps"][1])
    assert_identical(panels[0].slope["difference of F"], np.array([3.0, 4.0]))
    figure = fig_jumps.draw(panels)
    assert [len(ax.containers) for ax in figure.axes] == [3, 3]
    assert figure.axes[1].get_title() == "sign of a moving threshold, N = 4"
    assert figure.axes[0].get_xlabel() == "number of seeds averaged"
