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


def test_it_is_drawn_on_log_axes_with_a_row_for_the_widths():
    axes = [ax for ax in fig_kinks.draw(fig_kinks.data(RESULTS)).axes if ax.get_visible()]
    assert [ax.get_xlabel() for ax in axes] == ["step size", "step size", "hidden units"]
    assert {(ax.get_xscale(), ax.get_yscale()) for ax in axes} == {("log", "log")}
    assert [len(ax.containers) for ax in axes] == [2, 2, 2]
