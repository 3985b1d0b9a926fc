"""The cost figure: microseconds per fit from seconds per table, and what the picture says."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_close

from figures import fig_cost
from figures.style import render


@pytest.fixture
def results():
    seconds = np.array([[[1.0, 3.0, 2.0], [8.0, 8.0, 8.0]], [[4.0, 5.0, 6.0], [40.0, 50.0, 90.0]]])
    coords = {"n_points": [10, 20], "engine": np.array(["ours", "theirs"], object)}
    return [xr.Dataset({"seconds": (("n_points", "engine", "round"), seconds)}, coords)]


def test_a_curve_is_the_median_over_rounds_in_microseconds_per_fit_with_the_extremes(results):
    ours, theirs = fig_cost.data(results)
    assert (ours.engine, theirs.engine) == ("ours", "theirs")
    assert_close(ours.median, [2e6 / 2**10, 5e6 / 2**20])
    assert_close(ours.fastest, [1e6 / 2**10, 4e6 / 2**20])
    assert_close(theirs.slowest, [8e6 / 2**10, 90e6 / 2**20])


def test_the_description_has_the_smallest_and_the_largest_size_of_every_engine(results):
    text = fig_cost.alt(fig_cost.data(results))
    assert "ours: 1.95e+03 µs at N = 10, 4.77 µs at N = 20. theirs: 7.81e+03 µs" in text


def test_the_axes_name_quantity_and_unit_and_every_engine_is_labelled(results):
    figure = fig_cost.draw(fig_cost.data(results))
    (axes,) = figure.axes
    assert axes.get_ylabel() == "time per exact fit (µs)"
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.texts] == ["ours: 4.8 µs", "theirs: 48 µs"]
    assert all(len(content) > 5_000 for content in render(figure).values())
