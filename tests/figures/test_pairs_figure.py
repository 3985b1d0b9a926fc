"""The figure on pairs: its numbers, its labels, and what it says in words."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_identical
from stored import described

from figures import fig_pairs


def pairs(first, case, error=np.nan, p=(0.5, 0.9)):
    shares = np.array([[first, first + 0.04]] * len(p))
    errors = np.array([[0.4, 0.1], [0.2, 0.01]])[: len(p)]
    return xr.Dataset(
        {
            "r_squared": (("p", "degree"), shares),
            "r_squared_error": (("p", "degree"), np.full_like(shares, error)),
            "leave_one_out_error": (("p", "estimate"), errors),
            "leave_one_out_error_error": (("p", "estimate"), np.full_like(errors, error)),
        },
        {"p": list(p), "degree": [1, 2], "estimate": ["beta", "beta and pairs"]},
        described(case),
    )


RESULTS = [
    pairs(0.6, "xor-6 mlp activation=relu hidden=3 steps=30", 0.01),
    pairs(0.9, "spector-16 logistic l2=0.1"),
    pairs(0.3, "longley-16 least_squares l2=0.1"),
]


def test_the_most_linear_case_comes_first_with_its_own_numbers():
    cases = fig_pairs.data(RESULTS)
    assert [case.label for case in cases] == [
        "Spector, N = 16: logistic, l2 = 0.1",
        "Xor, N = 6: network, relu, 30 steps",
        "Longley, N = 16: ridge, l2 = 0.1",
    ]
    assert_identical(cases[1].r_squared, np.array([0.6, 0.64]))
    assert_identical(cases[0].removal, np.array([[0.4, 0.1], [0.2, 0.01]]))
    assert not cases[0].removal_error.any()


def test_bars_end_at_r_squared_with_pairs_and_every_case_has_two_curves():
    figure = fig_pairs.draw(fig_pairs.data(RESULTS))
    bars, curves = figure.axes
    ends = [bar.get_x() + bar.get_width() for bar in bars.patches]
    np.testing.assert_allclose(ends, [0.9, 0.6, 0.3, 0.94, 0.64, 0.34])
    lines = [line for line in curves.lines if len(line.get_xdata()) == 2 and line.get_linestyle() in ("-", "--")]
    assert len(lines) == 6
    assert curves.get_yscale() == "log"
    assert "0.34 or more" in figure.get_suptitle()
    assert "at p = 0.9 by 20 or more" in figure.get_suptitle()
    assert "standard errors" in bars.get_xlabel()
    assert [text.get_text() for text in bars.get_legend().get_texts()] == ["linear datamodel", "added by pairs"]


def test_many_cases_keep_the_first_and_the_last_curve():
    many = fig_pairs.data([pairs(0.05 * k, f"xor-{k} mlp steps={k}") for k in range(1, 13)])
    shown = fig_pairs._spread(many, 5)
    assert (shown[0], shown[-1], len(shown)) == (many[0], many[-1], 5)


def test_the_description_is_made_of_the_numbers():
    text = fig_pairs.alt(fig_pairs.data(RESULTS))
    assert (
        "Longley, N = 16: ridge, l2 = 0.1: R^2 0.30, with pairs 0.34; error of leave-one-out 0.4, with pairs 0.1 at p = 0.5"
        in text
    )


def test_results_without_uniform_subsets_have_nothing_to_show():
    with pytest.raises(ValueError, match="no result of pairs has p"):
        fig_pairs.data([pairs(0.5, "xor-6 mlp steps=1", p=(0.75,))])
