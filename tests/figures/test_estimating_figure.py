"""The figure on estimating D(1): its numbers, labels and bytes."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_close, assert_identical
from stored import described

from figures import fig_estimating_influence
from figures.style import render
from sims.experiments.estimating_influence import INFLUENCE

SIZES = np.array([96, 192])


def estimated(data="spector", learner="logistic", error=0.01, new_seeds=0):
    """Ways err by `error` times 1, 2, .. and half of it with most retrainings, subsets by 0.3; coverage is 0.95 and 0.93."""
    value = np.multiply.outer(error * (1.0 + np.arange(len(INFLUENCE))), [1.0, 0.5])
    value[[way.startswith("subsets") for way in INFLUENCE]] = 0.3
    measured = np.stack([value, np.broadcast_to([0.95, 0.93], value.shape)], axis=-1)
    dims = ("way", "m", "quality")
    return xr.Dataset(
        {"influence": (dims, measured), "influence_error": (dims, 0.01 * measured)},
        {"way": list(INFLUENCE), "m": SIZES, "quality": ["error", "coverage"]},
        described(f"{data}-12 {learner} l2=0.1", repetitions=30, scale=0.25, new_seeds=new_seeds),
    )


RESULTS = [estimated(), estimated("two_moons", "mlp", 0.2, new_seeds=1)]


def test_curves_are_those_of_the_results_and_ranges_those_with_most_retrainings():
    found = fig_estimating_influence.data(RESULTS)
    assert [panel.title.splitlines()[0] for panel in found.panels] == [
        "Spector, N = 12, logistic",
        "Two moons, N = 12, tanh network, new seeds",
    ]
    curve = found.panels[1].curves["fold-over, two scales"]
    assert_close(curve.value, [0.2, 0.1], rtol=1e-12)
    assert_close(curve.error, [0.002, 0.001], rtol=1e-12)
    assert_identical(curve.m, SIZES)
    assert_close(found.recommended, [0.005, 0.1], rtol=1e-12)
    assert_close(found.subsets, [0.3, 0.3], rtol=1e-12)
    assert_close(found.panels[0].coverage.value, [0.95, 0.93], rtol=1e-12)


def test_every_panel_has_its_labels_bars_and_message():
    found = fig_estimating_influence.data(RESULTS)
    figure = fig_estimating_influence.draw(found)
    assert "off by 0.5% to 10%" in figure.get_suptitle()
    assert "by 30%, and" in figure.get_suptitle()
    assert [len(ax.containers) for ax in figure.axes] == [8, 8, 2]
    assert all("retrainings" in ax.get_xlabel() for ax in figure.axes)
    assert "(%)" in figure.axes[2].get_ylabel()
    assert "30 designs" in figure.legends[0].get_title().get_text()
    text = fig_estimating_influence.alt(found)
    assert "errs by 0.5% to 10%, the best way with subsets by 30%;" in text
    assert "in 93% to 95%" in text


def test_the_same_results_give_the_same_bytes():
    first, again = (render(fig_estimating_influence.draw(fig_estimating_influence.data(RESULTS))) for _ in range(2))
    assert first == again


def test_a_learner_that_learns_nothing_has_no_figure():
    with pytest.raises(ValueError, match="relative error of D\\(1\\) is undefined"):
        fig_estimating_influence.data([estimated(error=np.nan)])
