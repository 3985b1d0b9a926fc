"""The figures on predicting other training sets: their numbers, labels and bytes."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_identical
from stored import described

from figures import fig_counterfactual, fig_lds, fig_seeds, fig_spectrum


def spectrum(first, case, error=np.nan):
    share = np.array([[first, 0.9 - first, 0.06, 0.03, 0.01]])
    return xr.Dataset(
        {
            "share": (("p", "degree"), share),
            "share_error": (("p", "degree"), np.full_like(share, error)),
            "lds": (("p",), [0.95]),
        },
        {"p": [0.5], "degree": [1, 2, 3, 4, 5]},
        described(case),
    )


def counterfactual(n, drawn):
    names = list(fig_counterfactual._SERIES)
    values = 0.01 * (1.0 + np.arange(3.0 * len(names)).reshape(3, len(names), 1))
    return xr.Dataset(
        {
            "prediction": (("removed", "estimate", "quality"), values),
            "prediction_error": (("removed", "estimate", "quality"), 0.1 * values if drawn else np.full_like(values, np.nan)),
        },
        {"removed": [1, 2, 4], "estimate": names, "quality": ["relative_error"]},
        described(f"two_moons-{n} mlp hidden=4"),
    )


def seeds(noise, steps):
    values = np.arange(1.0, 5.0).reshape(2, 1, 2, 1, 1) / 10.0
    dims = ("averaged", "estimate", "pairing", "target", "quality")
    return xr.Dataset(
        {
            "prediction": (dims, values),
            "prediction_error": (dims, 0.1 * values),
            "noise": (("averaged",), [noise, 0.5 * noise]),
        },
        {
            "averaged": [1, 8],
            "estimate": ["beta"],
            "pairing": ["same seeds", "other seeds"],
            "target": ["all subsets"],
            "quality": ["relative_error"],
        },
        described(f"xor-8 mlp hidden=4 steps={steps}"),
    )


def lds():
    targets, scores = ["p = 0.5", "p = 0.9", "1 to 3 removed"], ["D(1)", "LOO", "exact H", "damped H"]
    datamodel = np.arange(12.0).reshape(2, 2, 3, 1) / 12.0
    half = ("design", "half", "without", "target")
    fitted = np.full((3, 2, 1, 3, 2, 2, 1), [[0.2], [0.6]]) + np.arange(3.0).reshape(3, 1, 1, 1, 1, 1, 1) / 100
    return xr.Dataset(
        {
            "score": (("target", "estimate", "quality"), np.array([[0.1, 0.2, 0.3, 0.4]] * 3)[:, :, None]),
            "datamodel": (("p", "retrainings", "target", "quality"), datamodel),
            "datamodel_error": (("p", "retrainings", "target", "quality"), 0.1 * datamodel),
            "score_of_design": ((*half, "estimate", "quality"), np.full((3, 2, 1, 3, 4, 1), 0.4)),
            "datamodel_of_design": ((*half, "p", "retrainings", "quality"), fitted),
        },
        {
            "target": targets,
            "estimate": scores,
            "quality": ["lds"],
            "p": [0.5, 0.9],
            "retrainings": [50, 400],
            "without": ["none"],
            "half": ["even outputs", "odd outputs"],
        },
        described("two_moons-40 mlp hidden=4 steps=500", hessian_based=scores[2:]),
    )


FIGURES = {
    "spectrum": (
        fig_spectrum,
        [spectrum(0.6, "two_moons-8 mlp hidden=4", 0.01), spectrum(0.8, "spector-14 logistic l2=0.1")],
    ),
    "counterfactual": (fig_counterfactual, [counterfactual(40, True), counterfactual(16, False)]),
    "seeds": (fig_seeds, [seeds(0.01, 1000), seeds(0.3, 10)]),
    "lds": (fig_lds, [lds()]),
}


def drawn(name):
    module, results = FIGURES[name]
    return module.data(results), module.draw(module.data(results))


def test_spectrum_shows_r_squared_alone_where_subsets_were_drawn():
    drawn_case = xr.Dataset(
        {"r_squared": (("p",), [0.9]), "r_squared_error": (("p",), [0.02])}, {"p": [0.5]}, described("digits-500 mlp steps=30")
    )
    bars = fig_spectrum.data([drawn_case, spectrum(0.6, "iris-14 softmax_regression l2=0.01")])
    assert bars[0].label == "Digits 0 to 9, N = 500: network, 30 steps, drawn"
    assert bars[0].share.round(12).tolist() == [0.9, 0.0, 0.0, 0.1]
    assert bars[0].error == 0.02
    assert "Digits 0 to 9, N = 500: network, 30 steps, drawn: 90% (LDS not known)" in fig_spectrum.alt(bars)
    assert "Iris, N = 14: softmax, l2 = 0.01: 60% (LDS 0.95)" in fig_spectrum.alt(bars)
    (legend,) = fig_spectrum.draw(bars).legends
    assert "all degrees above 1 count as higher" in legend.get_title().get_text()
    assert fig_spectrum.draw(bars[1:]).legends[0].get_title().get_text() == ""


def test_spectrum_stacks_degrees_to_the_whole_variance_the_most_linear_first():
    bars, figure = drawn("spectrum")
    assert [bar.label for bar in bars] == ["Spector, N = 14: logistic, l2 = 0.1", "Two moons, N = 8: network"]
    assert_identical(bars[1].share, np.array([0.6, 0.9 - 0.6, 0.06, 0.03 + 0.01]))
    ax = figure.axes[0]
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches[-2:]]
    np.testing.assert_allclose(ends, [100.0, 100.0])
    assert "60% to 80%" in figure.get_suptitle()
    assert len(ax.containers) == 5  # four degrees, and one error bar where there are seeds
    assert "%" in ax.get_xlabel()


def test_counterfactual_has_an_error_line_per_estimate_by_share_of_points_the_smallest_n_first():
    panels, figure = drawn("counterfactual")
    assert [panel.title for panel in panels] == [
        "Two moons, N = 16, network (all groups)",
        "Two moons, N = 40, network (drawn groups)",
    ]
    assert_identical(panels[0].removed, np.array([1, 2, 4]) / 16)
    assert_identical(panels[1].error["LOO"], 0.01 * np.array([5.0, 12.0, 19.0]))
    assert not panels[0].spread["LOO"].any()
    assert [len(ax.containers) for ax in figure.axes] == [7, 7]
    assert figure.axes[1].get_xlabel() == "training points removed (% of N)"
    assert figure.axes[0].get_yscale() == "log"


def test_seeds_has_same_and_other_seeds_the_noisiest_case_first():
    panels, figure = drawn("seeds")
    assert panels[0].title == "Xor, N = 8: network, 10 steps"
    assert_identical(panels[0].error["other seeds"], np.array([0.2, 0.4]))
    assert "30.0% of the variance" in figure.axes[0].get_title()
    assert [len(ax.containers) for ax in figure.axes] == [2, 2]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "8"]


def test_lds_shows_datamodels_by_retrainings_and_names_the_best_score():
    ((first, _, last),), figure = drawn("lds")
    assert first.best == "damped H"
    mean, half = first.crossing
    by_hand = 50.0 * 8.0 ** ((0.2 - 0.01 * np.arange(3.0)) / 0.4)  # from 0.2, 0.21, 0.22 to 0.4 higher, where 0.4 lies
    np.testing.assert_allclose(mean, by_hand.mean())
    np.testing.assert_allclose(half, 4.302652729911275 * by_hand.std(ddof=1) / np.sqrt(3.0))  # Student's t with 2 df
    assert last.crossing is None
    assert first.score == {"LOO": 0.2, "D(1)": 0.1, "best Hessian-based": 0.4}
    assert_identical(last.datamodel[0.9][0], np.array([8.0, 11.0]) / 12.0)
    assert [len(ax.containers) for ax in figure.axes] == [2, 2, 2]
    assert figure.axes[2].get_title() == "predicting fresh subsets: 1 to 3 removed"
    assert "retrainings" in figure.axes[0].get_xlabel()
    assert "500 steps" in figure.axes[0].get_ylabel()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("spectrum", "Spector, N = 14: logistic, l2 = 0.1: 80% (LDS "),
        (
            "counterfactual",
            "Two moons, N = 16, network (all groups), 6% and 25% of the points removed: datamodel, p = 0.5 0.01 and 0.15",
        ),
        ("seeds", "Xor, N = 8: network, 10 steps: 0.20 with one seed, 0.40 with 8 on other seeds ("),
        ("lds", "Predicting 1 to 3 removed: datamodel fitted at p = 0.5 "),
    ],
)
def test_the_descriptions_are_made_of_the_numbers(name, sentence):
    module, results = FIGURES[name]
    assert sentence in module.alt(module.data(results))
