"""The figure of the LDS by law: its numbers, its labels, and what it says in words."""

import numpy as np
import xarray as xr
from stored import described

from figures import fig_lds_by_law

NAMES = list(fig_lds_by_law._LINES)


def result(case, lowest, error=np.nan):
    p, values = [0.1, 0.5, 0.9], np.full((3, len(NAMES), 2), 0.8)
    values[:, NAMES.index("D(1)"), 0] = [lowest, 0.6, 0.9]
    dims = ("p", "estimate", "quality")
    arrays = {"measured": (dims, values), "measured_error": (dims, np.full(values.shape, error))}
    return xr.Dataset(arrays, {"p": p, "estimate": NAMES, "quality": ["lds", "slope"]}, described(case))


RESULTS = [result("spector-12 logistic l2=0.1", 0.3), result("xor-8 mlp hidden=4 steps=3000", 0.2, 0.05)]


def test_a_panel_has_the_numbers_of_its_case():
    first, second = fig_lds_by_law.data(RESULTS)
    assert first.value["D(1)"][0].tolist() == [0.3, 0.6, 0.9]
    assert second.error["D(1)"][1].tolist() == [0.05] * 3
    assert second.title.endswith("network, 3,000 steps")


def test_words_say_the_range_of_every_score():
    assert "D(1): LDS 0.20 to 0.90, slope 0.80 to 0.80" in fig_lds_by_law.alt(fig_lds_by_law.data(RESULTS))


def test_cases_may_have_other_probabilities():
    panels = fig_lds_by_law.data([RESULTS[0], RESULTS[1].isel(p=[0, 2])])
    assert "LDS 0.20 to 0.90" in fig_lds_by_law.alt(panels)
    assert len(fig_lds_by_law.draw(panels).axes) == 4


def test_axes_are_labelled_and_every_line_is_named():
    figure = fig_lds_by_law.draw(fig_lds_by_law.data(RESULTS))
    assert figure.axes[0].get_ylabel() == "exact LDS"
    assert figure.get_supxlabel() == "share p of points in the subsets"
    assert len(figure.legends[0].get_texts()) == len(NAMES)
