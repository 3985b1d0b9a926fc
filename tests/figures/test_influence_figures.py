"""The figures on influence: their numbers, labels and bytes."""

import numpy as np
import pytest
import xarray as xr
from assertions import assert_identical
from stored import described

from figures import fig_breakdown, fig_budget, fig_depth, fig_leverage, fig_proximal
from theory.influence.budget import Trust

MEASURES = ["slope", "relative_error", "pearson", "spearman"]
STEPS = [*fig_budget._STEPS, "beta -> LOO"]


def both(dims, values):
    """A variable and its standard error, a tenth of it."""
    return (dims, values), (dims, 0.1 * np.abs(values))


def budget(data, learner, times, n_seeds):
    columns = ["size", "share", *MEASURES]
    share = np.array([0.5, 0.25, 0.0, 0.5, -0.25, 0.0, 9.0])
    table = np.zeros((len(times), len(STEPS), len(columns)))
    table[:, :, 1], table[:, :, 0] = share, np.abs(share)
    values, errors = both(("time", "step", "column"), table)
    measured = np.full((len(times), 1, 1, 4), 0.75)
    return xr.Dataset(
        {
            "budget": values,
            "budget_error": errors,
            "measured": (("time", "estimate", "reference", "measure"), measured),
            "gradient_norm": (("time", "seed"), np.ones((len(times), n_seeds))),
        },
        {
            "time": times,
            "step": STEPS,
            "column": columns,
            "estimate": ["damped GN by CG"],
            "reference": ["beta"],
            "measure": MEASURES,
        },
        described(f"{data}-8 {learner}"),
    )


def proximal():
    steps, stages, columns = list(fig_proximal._GAPS), list(fig_proximal._STAGES), ["size", "share", *MEASURES]
    sizes, size_errors = both(("time", "step", "column"), 1.0 + np.arange(2.0 * 5 * 6).reshape(2, 5, 6))
    explained, explained_errors = both(("time", "stage", "measure"), 1.0 + np.arange(2.0 * 4 * 4).reshape(2, 4, 4))
    return xr.Dataset(
        {"budget": sizes, "budget_error": size_errors, "explained": explained, "explained_error": explained_errors},
        {"time": [1, 10], "step": steps, "column": columns, "stage": stages, "measure": MEASURES},
        described("two_moons-8 mlp", n_seeds=4),
    )


def cells(*shape):
    """Comparisons of one map: relative errors 0.05, then 0.5 with a good, then with a bad rank correlation, then undefined."""
    kinds = np.array([[1.0, 0.05, 1.0, 1.0], [0.5, 0.5, 1.0, 0.95], [0.5, 0.5, 0.2, 0.2], [np.nan] * 4])
    return np.resize(kinds, (*shape, 4))


def maps():
    curvatures, references, solvers = ["hessian", "gauss_newton"], ["D(1)", "LOO", "beta"], ["conjugate_gradients", "lissa"]
    damping = xr.Dataset(
        {"measured": (("curvature", "damping", "time", "reference", "measure"), cells(2, 2, 2, 3))},
        {"curvature": curvatures, "damping": [0.0, 0.01], "time": [1, 1000], "reference": references, "measure": MEASURES},
        described("xor-8 mlp"),
    )
    width = xr.Dataset(
        {
            "measured": (("width", "l2", "estimate", "reference", "measure"), cells(2, 1, 1, 3)),
            "n_params": (("width",), [5, 9]),
        },
        {"width": [1, 2], "l2": [0.1], "estimate": ["exact"], "reference": references, "measure": MEASURES},
        described("two_moons-8 mlp"),
    )
    solver = xr.Dataset(
        {
            "measured": (("l2", "solver", "products", "reference", "measure"), cells(1, 2, 4, 1)),
            "condition": (("l2",), [450.0]),
        },
        {"l2": [0.1], "solver": solvers, "products": [1, 2, 3, 4], "reference": ["D(1)"], "measure": MEASURES},
        described("longley-12 least_squares"),
    )
    return [damping], [width], [solver]


def depth():
    shape = (2, 1, 3, 4)
    values, errors = both(("depth", "estimate", "reference", "measure"), np.arange(24.0).reshape(shape) / 24.0)
    return xr.Dataset(
        {"single_seed": values, "single_seed_error": errors},
        {"depth": [0, 2], "estimate": ["exact"], "reference": ["D(1)", "LOO", "beta"], "measure": MEASURES},
        described("two_moons-8 mlp", n_seeds=4),
    )


def leverage(learner):
    h = np.array([0.0, 0.5, 0.75])
    return xr.Dataset(
        {"leverage": (("point",), h), "ratio": (("point",), 1.0 / (1.0 - h))},
        {},
        described(f"longley-16 {learner} l2=0.1"),
    )


FIGURES = {
    "budget": (fig_budget, [[budget("xor", "mlp", [1, 10, 1000], 4), budget("longley", "least_squares", [0], 1)]]),
    "proximal": (fig_proximal, [[proximal()]]),
    "breakdown": (fig_breakdown, maps()),
    "depth": (fig_depth, [[depth()]]),
    "leverage": (fig_leverage, [[leverage("least_squares"), leverage("logistic")]]),
}


def drawn(name):
    module, results = FIGURES[name]
    return module.data(*results), module.draw(module.data(*results))


def test_the_maps_are_of_one_output_and_of_several_classes_where_there_are_some():
    damping, width, solver = maps()
    classes = [
        damping[0].assign_attrs(described("digits_pooled-9 mlp loss=softmax")),
        solver[0].assign_attrs(described("digits_pooled-12 softmax_regression")),
    ]
    found = fig_breakdown.data([classes[0], *damping], width, [classes[1], *solver])
    assert [one.title for one in found] == [
        "Xor, N = 8: Hessian against D(1)",
        "Xor, N = 8: Gauss-Newton against D(1)",
        "Digits 3, 5, 8, N = 9: Hessian against D(1)",
        "Digits 3, 5, 8, N = 9: Gauss-Newton against D(1)",
        "Two moons, N = 8: exact Hessian against D(1)",
        "Two moons, N = 8: exact Hessian against leave-one-out",
        "Longley, N = 12: conjugate gradients against D(1)",
        "Longley, N = 12: LiSSA against D(1)",
        "Digits 3, 5, 8, N = 12: conjugate gradients against D(1)",
        "Digits 3, 5, 8, N = 12: LiSSA against D(1)",
    ]
    assert len([ax for ax in fig_breakdown.draw(found).axes if ax.get_title()]) == 10


def test_the_waterfall_ends_at_the_whole_gap_and_turns_back_where_a_step_takes_back():
    panels, figure = drawn("budget")
    assert [panel.title for panel in panels] == [
        "Longley, N = 8, ridge",
        "Xor, N = 8, network, 10 steps",
        "Xor, N = 8, network, 1,000 steps",
    ]
    bars = figure.axes[0].patches
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    assert ends == [(0.0, 50.0), (50.0, 75.0), (75.0, 75.0), (75.0, 125.0), (125.0, 100.0), (100.0, 100.0)]
    assert bars[4].get_facecolor() != bars[3].get_facecolor()
    assert "0.75" in figure.axes[0].get_title()
    assert len(figure.axes[0].containers) == 1  # exact: no error bars
    assert len(figure.axes[1].containers) == 2
    assert "4 seeds" in figure.get_supxlabel()


def test_proximal_has_the_gaps_and_both_direction_and_size_with_errors():
    (panel,), figure = drawn("proximal")
    assert_identical(panel.gap["warm-start gap"][0], np.array([1.0, 31.0]))
    assert_identical(panel.explained["slope"]["PBRF"][0], np.array([1.0, 17.0]))
    assert_identical(panel.explained["pearson"]["D(1)"][1], 0.1 * np.array([15.0, 31.0]))
    assert [len(ax.containers) for ax in figure.axes] == [5, 4, 4]
    assert all("gradient steps" in ax.get_xlabel() for ax in figure.axes)


def test_the_maps_colour_by_the_rule_of_trust_and_say_the_error():
    panels, figure = drawn("breakdown")
    row = [Trust.TRUST, Trust.RANK_ONLY, Trust.DO_NOT_TRUST, Trust.UNDEFINED]
    assert panels[4].verdict == [row]
    assert [text.get_text() for text in figure.axes[4].texts] == ["0.05", "0.5", "0.5", "none"]
    assert panels[0].title == "Xor, N = 8: Hessian against D(1)"
    assert panels[3].title == "Two moons, N = 8: exact Hessian against leave-one-out"
    assert panels[2].rows == ("width (parameters)", ["1 (5)", "2 (9)"])
    assert figure.axes[4].get_ylabel() == "condition number"
    assert len({text.get_text() for text in figure.legends[0].get_texts()}) == 4


def test_depth_has_error_and_rank_against_three_references():
    ((error, rank),), figure = drawn("depth")
    assert_identical(error.value["LOO"], np.array([5.0, 17.0]) / 24.0)
    assert_identical(rank.spread["beta"], 0.1 * np.array([11.0, 23.0]) / 24.0)
    assert [len(ax.containers) for ax in figure.axes] == [3, 3]
    assert "hidden layers" in figure.axes[0].get_xlabel()
    assert "4 seeds" in figure.legends[0].get_title().get_text()


def test_leverage_draws_the_law_through_the_points():
    cases, figure = drawn("leverage")
    law, *points = figure.axes[0].lines
    for case, line in zip(cases, points, strict=True):
        assert_identical(line.get_xdata(), case.leverage)
        np.testing.assert_allclose(np.interp(case.leverage, law.get_xdata(), law.get_ydata()), case.ratio, rtol=1e-2)
    assert "leverage" in figure.axes[0].get_xlabel()


@pytest.mark.mpl_image_compare(filename="budget.png", savefig_kwargs={"dpi": 50})
def test_the_waterfall_looks_as_it_did():
    return drawn("budget")[1]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "budget",
            "Longley, N = 8, ridge, gap 0.75 of the datamodel's norm: interactions, averaging 50%, centre 25%, not converged",
        ),
        (
            "proximal",
            "warm-start gap 31, proximity gap 37, non-convergence gap 43, linearisation gap 49, solver gap 55; correlation",
        ),
        ("breakdown", "Longley, N = 12: LiSSA against D(1): 1 of 4 trusted, 1 for ranks only."),
        (
            "depth",
            "relative error from 0 to 2 hidden layers: 0.042 to 0.54 against the derivative D(1), 0.21 to 0.71 against leave",
        ),
        ("leverage", "Longley, N = 16, logistic, largest leverage 0.75: ratio 4, the law says 4."),
    ],
)
def test_the_descriptions_are_made_of_the_numbers(name, sentence):
    module, results = FIGURES[name]
    assert sentence in module.alt(module.data(*results))
