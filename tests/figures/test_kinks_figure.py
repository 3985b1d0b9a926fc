"""The figure `kinks`: its numbers, its title and its panels, on results made by hand."""

import numpy as np
import pytest
from assertions import assert_close, assert_identical
from by_hand.kinks import CONTROL, kinks
from stored import described

from figures import fig_kinks


def result(case, widths=(), **values):
    """A result by hand, with errors by width that are those by step size where there are `widths`."""
    ds = kinks(**values, seeds=4)
    if widths:
        by_width = {"step_size": "width"}
        errors = {f"width_{name}": ds[name].rename(by_width).drop_vars("width") for name in ("error", "reference_error")}
        ds = ds.assign(errors).assign_coords(width=list(widths))
    return ds.assign_attrs(described(case, config='{"sweep_step": 0.04}'))


RESULTS = [
    result("xor-8 mlp hidden=6x5 momentum=0.5", unrolled=0.2, corrected=0.04),
    result("two_moons-8 mlp hidden=8 batch_size=4", widths=(4, 8), unrolled=0.1, corrected=0.04),
]


def test_the_panels_have_medians_quartiles_and_the_error_of_the_reference():
    found = RESULTS[0].copy(deep=True)
    found.error.loc[{"derivative": "unrolled", "step_size": 0.1}] = [0.1, 0.2, 0.3, 0.4]
    panel = fig_kinks.data([found, CONTROL]).steps[0]
    assert panel.title == "Xor, N = 8, widths 6 and 5, momentum 0.5"
    assert_identical(panel.x, np.array([0.2, 0.1]))
    assert_close(panel.median["unrolled"], [0.2, 0.25], rtol=1e-12)
    assert_close(panel.quartiles["unrolled"][:, 1], [0.175, 0.325], rtol=1e-12)
    assert_close(panel.median["crossings"], [0.04, 0.02], rtol=1e-12)
    assert_close(panel.reference, [1e-3, 1e-3], rtol=1e-12)


def test_networks_without_kinks_have_no_panel():
    assert [len(panels) for panels in (fig_kinks.data([*RESULTS, CONTROL]).steps, fig_kinks.data([RESULTS[0]]).widths)] == [2, 0]
    with pytest.raises(ValueError, match="no training crossed a kink"):
        fig_kinks.data([CONTROL])


def test_the_title_and_the_description_have_the_errors_at_the_smallest_step():
    data = fig_kinks.data(RESULTS)
    figure = fig_kinks.draw(data)
    assert "off by 10% to 20%, however small the step" in figure.get_suptitle()
    text = fig_kinks.alt(data)
    assert "in 2 cases: differentiated step by step, 10% to 20% at the largest step and 10% to 20% at the smallest" in text
    assert "with a term for every crossing of a kink, 4% at the largest step and 2% at the smallest" in text
    assert "From width 4 to 8 on Two moons, N = 8, step size 0.04, batches of 4: 10% differentiated step by step" in text


def swept():
    """A result with every comparison: unrolled errors 0.1 at first and 0.3 at last, corrected ones a tenth of them."""
    ds = result("xor-8 mlp hidden=8", widths=(4, 8))
    errors = np.array([0.1, 0.3])[None, :, None] * np.array([1.0, 0.1])[:, None, None] * np.ones(4)
    by = ("derivative", "time", "seed")
    soft = np.array([[[0.001, 0.002, 0.003, 0.006], [0.5, 1.0, 2.0, 20.0]]])  # one step; two values of s; seeds
    return ds.assign(
        time_error=(by, errors),
        time_reference_error=(by[1:], np.full((2, 4), 0.005)),
        edge_width_missed=(("derivative", "edge_width", "edge_seed"), errors[..., :2]),
        hinge_error=(("derivative", "step_size"), [[2.0, 2.5], [0.1, 0.05]]),
        hinge_reference_error=(("step_size",), [0.01, 0.01]),
        sharpness_error=(("derivative", "sharpness_step", "sharpness", "seed"), np.stack([soft, soft])),
    ).assign_coords(time=[2.0, 20.0], edge_width=[4, 256], edge_seed=[0, 1], sharpness_step=[0.1], sharpness=[10.0, 1000.0])


def test_every_comparison_has_its_panel_and_its_numbers():
    data = fig_kinks.data([swept()])
    assert_close(data.times[0].median["crossings"], [0.01, 0.03], rtol=1e-12)
    assert_close(data.edges[0].median["unrolled"], [0.1, 0.3], rtol=1e-12)
    assert np.isnan(data.edges[0].reference).all()
    assert_close(data.hinges[0].quartiles["unrolled"], [[2.0, 2.5]] * 2, rtol=1e-12)
    (soft,) = data.sharpness
    assert_close(soft.x, [[1.0, 100.0]], rtol=1e-12)
    assert_close(soft.median, [[0.0025, 1.5]], rtol=1e-12)
    assert_close(soft.relu, 0.2, rtol=1e-12)
    axes = [ax for ax in fig_kinks.draw(data).axes if ax.get_visible()]
    names = ["step size", "hidden units", "training time", "hidden units", "step size", "sharpness times step size"]
    assert [ax.get_xlabel() for ax in axes] == names
    text = fig_kinks.alt(data)
    assert "Unrolled from training time 2 to 20 on Xor, N = 8, step size 0.04: 10%, 30%." in text
    assert "What the integral of the unrolled D misses of the change of F from hidden units 4 to 256" in text
    assert "hinge loss, at the smallest step: 250% differentiated step by step, 5% projected on the kinks." in text
    assert "softplus, step by step: right up to sharpness times step 1, off from 100 on, by up to 2 times itself." in text


def test_it_is_drawn_on_log_axes_with_a_row_for_the_widths():
    axes = [ax for ax in fig_kinks.draw(fig_kinks.data(RESULTS)).axes if ax.get_visible()]
    assert [ax.get_xlabel() for ax in axes] == ["step size", "step size", "hidden units"]
    assert {(ax.get_xscale(), ax.get_yscale()) for ax in axes} == {("log", "log")}
    assert [len(ax.containers) for ax in axes] == [2, 2, 2]
