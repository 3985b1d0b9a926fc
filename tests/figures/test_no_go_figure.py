"""The figure of the identity on all parts: its numbers, its choice of cases, its labels."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_close, assert_identical
from stored import described

from figures import fig_no_go


def no_go(case):
    """Parts of one and of two points, and two outputs, whose ranges on all subsets are 4 and 8."""
    by_size = ("size", "output")
    return xr.Dataset(
        {
            "error_by_size": (("size", "quantile"), [[0.22, 0.3, 0.38], [0.5, 0.5, 0.5]]),
            "learnt": (by_size, [[1.5, 2.0], [4.0, 8.0]]),
            "allowed": (by_size, [[0.5, 0.0], [2.0, 2.0]]),
            "violation": (("output",), [1.0, 1.0]),
        },
        {"size": [1, 2], "quantile": [0.1, 0.5, 0.9], "output": [0, 1]},
        described(case),
    )


CASES = [
    "xor-2 mlp l2=0 steps=2000",
    "xor-2 mlp l2=0.01 steps=2000",
    "xor-2 mlp l2=0 steps=5",
    "spector-2 logistic l2=0.1",
    "longley-2 least_squares l2=0.1",
    "noisy_line-2 least_squares l2=0",
]


def test_ranges_are_in_shares_of_the_range_on_all_subsets():
    (panel,) = fig_no_go.data([no_go("xor-2 mlp l2=0 steps=5")])
    assert panel.title == "Xor, N = 2\nnetwork, no penalty, 5 steps"
    assert_identical(panel.size, np.array([1, 2]))
    assert_close(panel.error, [[0.22, 0.5], [0.3, 0.5], [0.38, 0.5]], rtol=1e-12)
    assert_close(panel.learnt, [(1.5 / 4 + 2.0 / 8) / 2, 1.0], rtol=1e-12)
    assert_close(panel.allowed, [0.5 / 4 / 2, (0.5 + 0.25) / 2], rtol=1e-12)


def test_there_is_one_panel_per_learner_and_training_time_without_penalty_first_and_networks_last():
    titles = [panel.title.replace("\n", ", ") for panel in fig_no_go.data([no_go(case) for case in CASES])]
    assert titles == [
        "Noisy line, N = 2, least squares, no penalty",
        "Spector, N = 2, logistic, l2 = 0.1",
        "Xor, N = 2, network, no penalty, 5 steps",
        "Xor, N = 2, network, no penalty, 2,000 steps",
    ]


def test_a_case_without_parts_is_left_out_and_none_at_all_is_refused():
    bare = xr.Dataset({"euler_sum": 0.0}, attrs=described("two_moons-8 logistic l2=0"))
    assert len(fig_no_go.data([bare, no_go(CASES[0])])) == 1
    with pytest.raises(ValueError, match="no_go has no case with parts"):
        fig_no_go.data([bare])


def test_it_is_drawn_in_per_cent_with_both_lines_and_the_share_that_is_allowed():
    figure = fig_no_go.draw(fig_no_go.data([no_go(case) for case in CASES]))
    assert "nothing was learnt" in figure.get_suptitle()
    assert len(figure.axes) == 8
    above, below = figure.axes[0], figure.axes[4]
    assert_close(above.lines[0].get_ydata(), [30.0, 50.0], rtol=1e-12)
    assert above.get_ylim()[0] == 0.0
    assert_close(below.lines[1].get_ydata(), [6.25, 37.5], rtol=1e-12)
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["learnt", "if β = D on all parts"]
    assert [text.get_text() for text in below.texts] == ["38%"]
    assert below.get_xlabel() == "points in the part A"


def test_the_description_has_the_errors_and_the_share_that_is_allowed():
    text = fig_no_go.alt(fig_no_go.data([no_go("xor-2 mlp l2=0 steps=5")]))
    assert "Xor, N = 2, network, no penalty, 5 steps: the identity is off by 30% on one point and by 50% on all 2" in text
    assert "it would allow 38% of the range of F" in text
