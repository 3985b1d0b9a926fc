"""The figures on estimated datamodels: their numbers, labels and bytes."""

import numpy as np
import xarray as xr
from assertions import assert_close, assert_identical
from stored import described

from figures import fig_estimators, fig_scale_at_size

ESTIMATORS = list(fig_estimators._LOOKS)
SIZES = np.array([32, 64, 128])


def estimators(data="spector", learner="logistic", scale=1.0):
    """Errors 8, 4, 2 of the first estimator, a tenth more for each next one; coverage 90%, 93%, 96%; no fold-over at 0.9."""
    measured = np.empty((2, len(ESTIMATORS), 3, 3))
    measured[..., 0] = scale * np.multiply.outer(1.0 + 0.1 * np.arange(len(ESTIMATORS)), [8.0, 4.0, 2.0])
    measured[..., 1], measured[..., 2] = 1.0, [0.90, 0.93, 0.96]
    measured[1, ESTIMATORS.index("fold-over")] = np.nan
    measured[:, ESTIMATORS.index("ridge"), :, 2] = np.nan
    measured[1, :, 0] = np.nan
    return xr.Dataset(
        {
            "measured": (("p", "estimator", "m", "quality"), measured),
            "measured_error": (("p", "estimator", "m", "quality"), 0.01 * measured),
            "surrogate_cost": (("p",), [1234.0, 99.0]),
        },
        {"p": [0.5, 0.9], "estimator": ESTIMATORS, "m": SIZES, "quality": ["relative_error", "slope", "coverage"]},
        described(f"{data}-8 {learner} hidden=4 l2=0.1", designs=7),
    )


def scale(n_points=100, l2=1e-6, excess=0.5):
    """Slopes on D(p 1) of 1 + excess of both outputs and more, on D(1) of 2; OLS is far off and not to be drawn."""
    both = np.array([[[9.0, 9.0], [1.0 + 0.5 * excess, 1.0 + 1.5 * excess]]] * 4)
    p = np.array([0.25, 0.5, 0.75, 0.9])
    return xr.Dataset(
        {
            "slope": (("p", "estimator", "output"), np.full((4, 2, 2), 2.0)),
            "standard_error": (("p", "estimator", "output"), np.full((4, 2, 2), 0.1)),
            "slope_at_mean": (("p", "estimator", "output"), both),
            "standard_error_at_mean": (("p", "estimator", "output"), np.full((4, 2, 2), 0.01)),
            "second_order": (("p", "output"), np.full((4, 2), 1.0 + 0.8 * excess)),
            "gain": (("p", "output"), np.full((4, 2), n_points / 10.0)),
            "gain_error": (("p", "output"), np.full((4, 2), 0.5)),
        },
        {"p": p, "estimator": ["OLS", "control variate"], "output": [0, 1]},
        described(f"fair-{n_points} logistic l2={l2:g}", l2=l2),
    )


FIGURES = {
    "estimators": (fig_estimators, [estimators(), estimators("two_moons", "mlp", scale=3.0)]),
    "scale_at_size": (fig_scale_at_size, [scale(1000, excess=0.05), scale(), scale(100, 0.1), scale(100, 0.01)]),
}


def drawn(name):
    module, results = FIGURES[name]
    return module.data(results), module.draw(module.data(results))


def test_estimators_have_their_errors_where_they_are_defined():
    estimates, _ = drawn("estimators")
    panel = estimates.panels[0.5][1]
    assert panel.title == "Two moons, N = 8, network, l2 = 0.1"
    assert_close(panel.curves["OLS"].value, 3.0 * 1.1 * np.array([8.0, 4.0, 2.0]), rtol=1e-15)
    assert_close(panel.curves["OLS"].error, 0.03 * 1.1 * np.array([8.0, 4.0, 2.0]), rtol=1e-14)
    later = estimates.panels[0.9][0]
    assert "fold-over" not in later.curves
    assert_identical(later.curves["OLS"].m, SIZES[1:])
    assert (panel.surrogate_cost, later.surrogate_cost) == (1234.0, 99.0)


def test_coverage_is_the_mean_over_cases_with_its_error():
    coverage = drawn("estimators")[0].coverage
    assert "ridge" not in coverage[0.5]
    assert_close(coverage[0.5]["fold-over"].value, [0.90, 0.93, 0.96], rtol=1e-15)
    assert_close(coverage[0.5]["fold-over"].error, 0.01 * np.array([0.90, 0.93, 0.96]) / np.sqrt(2.0), rtol=1e-14)


def test_the_title_says_what_fold_over_saves_and_differences_of_means_waste():
    estimates, figure = drawn("estimators")
    assert_close(estimates.saved["fold-over"], [(1.1 / 1.6) ** 2] * 2, rtol=1e-14)
    assert "1/0.5 to 1/0.5" in figure.get_suptitle()  # made-up numbers: it is worse here
    assert "0.8 to 1 times as many" in figure.get_suptitle()


def test_every_panel_of_estimators_has_its_labels_bars_and_the_cost_of_the_surrogate():
    estimates, figure = drawn("estimators")
    assert [ax.get_title() for ax in figure.axes[:2]] == [panel.title for panel in estimates.panels[0.5]]
    assert [len(ax.containers) for ax in figure.axes] == [7, 7, 6, 6, 6, 5]  # a row of cases, then coverage, per p
    assert all("retrainings" in ax.get_xlabel() for ax in figure.axes)
    assert "p = 0.9" in figure.axes[3].get_ylabel()
    assert figure.axes[5].get_ylabel().endswith("(%)")
    assert "1,234" in figure.axes[0].texts[0].get_text()
    assert "7 designs" in figure.legends[0].get_title().get_text()


def test_scales_are_means_over_outputs_of_the_control_variate_sorted_by_size_and_by_penalty():
    scales, _ = drawn("scale_at_size")
    half = scales.by_size[1]
    assert half.p == 0.5
    assert_identical(half.n_points, [100, 1000])
    assert_close(half.excess, [0.5, 0.05], rtol=1e-14)
    assert_close(half.predicted, [0.4, 0.04], rtol=1e-14)
    assert_identical(half.excess_error, [0.01, 0.01])
    assert_identical(half.gain, [10.0, 100.0])
    penalty = scales.by_penalty[0]
    assert (scales.n_points, scales.smallest_l2, penalty.p) == (100, 1e-6, 0.25)
    assert_identical(penalty.l2, [1e-6, 0.01, 0.1])
    assert_identical(penalty.on_one, np.full(3, 0.5))
    assert_identical(penalty.on_one_error, np.full(3, 0.025))
    assert_close(penalty.on_mean, np.full(3, 1.5), rtol=1e-15)


def test_scales_have_a_line_per_p_with_bars_and_say_what_is_sampled():
    figure = drawn("scale_at_size")[1]
    excess, penalty, gain = figure.axes
    assert [len(ax.containers) for ax in figure.axes] == [4, 8, 4]
    assert [ax.get_xlabel() for ax in figure.axes] == ["training points N", "penalty l2", "training points N"]
    assert "1e-06" in excess.get_title()
    assert "N = 100" in penalty.get_title()
    assert "OLS" in gain.get_ylabel()
    assert {text.get_text() for text in penalty.get_legend().get_texts()} == {"on (1/p) D(1; l2/p)", "on (1/p) D(1)"}
    assert "2 standard errors" in figure.get_supxlabel()


def test_the_descriptions_are_made_of_the_numbers():
    estimates, scales = (module.alt(module.data(results)) for module, results in FIGURES.values())
    assert "With 128 retrainings at p = 0.9: difference of means (MSR) " in estimates
    assert "From N = 100 to 1,000: p = 0.25: slope less 1 0.5 to 0.05, gain 10 to 1e+02." in scales
