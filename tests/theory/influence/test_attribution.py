"""The one type of all scores: what every method puts into it, and how it is labelled and shown."""

import numpy as np
import pytest
from assertions import assert_identical

from sims.learners import MLP, LeastSquares
from theory.influence import Attribution, influence
from theory.influence.trajectory import gradient_dot, source, tracin, trak

SCORES = np.arange(12.0).reshape(2, 3, 2)


def found():
    return Attribution(SCORES, "exact", {"residual": np.array([0.5, 0.25]), "distance": np.arange(6.0).reshape(2, 3)})


def test_the_labelled_form_has_the_scores_and_diagnostics_with_named_dimensions():
    labelled = found().to_xarray()
    assert {name: variable.dims for name, variable in labelled.items()} == {
        "scores": ("seed", "point", "output"),
        "residual": ("seed",),
        "distance": ("seed", "point"),
    }
    assert_identical(labelled.scores.to_numpy(), SCORES)
    assert labelled.scores.sel(seed=1, point=2, output=0) == 10.0
    assert labelled.attrs == {"method": "exact"}


def test_the_data_frame_has_a_row_per_score():
    frame = found().to_dataframe()
    assert list(frame.columns) == ["seed", "point", "output", "scores", "residual", "distance"]
    assert_identical(frame.scores.to_numpy(), np.arange(12.0))
    assert frame[frame.scores == 9.0].to_numpy().tolist() == [[1.0, 1.0, 1.0, 9.0, 0.25, 4.0]]


def test_it_says_what_it_is_in_a_line_and_in_a_table():
    assert repr(found()) == (
        "Attribution(method=exact, n_seeds=2, n_points=3, n_outputs=2, residual=0.25 to 0.5, distance=0 to 5)"
    )
    table = found()._repr_html_()
    assert table.startswith("<table><caption>Attribution</caption><tr><th>method</th><td>exact</td></tr>")
    assert table.count("<tr>") == 6
    assert "<i>" not in Attribution(SCORES, "<i>")._repr_html_()


def test_every_method_returns_it_with_what_it_knows_of_its_scores():
    """Least squares: H = 1 + l2 = 2, F(w) = w / (w + 1). The network takes 20 steps of 0.1, with two checkpoints."""
    at = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0).linearize([1.0], [0])
    exact = influence(at)
    assert (exact.method, exact.mean.tolist()) == ("exact", [[0.25]])
    assert {name: values.tolist() for name, values in exact.diagnostics.items()} == {
        "residual": [0.0],
        "null_space": [0],
        "least_eigenvalue": [2.0],
        "gradient_norm": at.gradient_norm.tolist(),
    }
    X, y = np.array([[-1.0], [0.5], [1.0]]), np.array([0, 1, 1])
    network = MLP(X, y, X[:1], hidden=(2,), steps=20, learning_rate=0.1, snapshots=(10, 20))
    checkpoints = network.checkpoints(np.ones(3), (0, 1))
    last = checkpoints[-1].linearization
    for method in (tracin, gradient_dot, source):
        scored = method(checkpoints)
        assert scored.method == method.__name__
        assert scored.scores.shape == (2, 3, 1)
        assert_identical(scored.diagnostics["gradient_norm"], last.gradient_norm)
        assert scored.diagnostics["training_time"] == pytest.approx([2.0, 2.0])
    first, second = (np.linalg.eigvalsh(part) for part in _mean_hessians(checkpoints))
    diagnostics = source(checkpoints).diagnostics
    assert diagnostics["least_eigenvalue"] == pytest.approx(np.minimum(first, second)[:, 0], rel=1e-12)
    assert diagnostics["largest_eigenvalue"] == pytest.approx(np.maximum(first, second)[:, -1], rel=1e-12)
    projected = trak(last, dimension=2, seed=0)
    assert projected.method == "trak"
    assert (projected.diagnostics["least_eigenvalue"] > 0.0).all()


def _mean_hessians(checkpoints):
    """Of every segment: that of its end for the first, whose start is not known, else the mean of both ends."""
    one, two = (c.linearization.hessian for c in checkpoints)
    return one, (one + two) / 2.0


@pytest.mark.parametrize(
    ("scores", "diagnostics", "message"),
    [
        (np.zeros((3, 2)), {}, r"scores has shape \(3, 2\), expected \(seeds, points, outputs\)"),
        (SCORES, {"residual": np.zeros(3)}, r"'residual' has shape \(3,\), expected \(2,\), one number per seed, or \(2, 3\)"),
        (SCORES, {"residual": np.array(0.0)}, r"'residual' has shape \(\), expected \(2,\)"),
    ],
)
def test_arrays_of_another_shape_are_refused(scores, diagnostics, message):
    with pytest.raises(ValueError, match=message):
        Attribution(scores, "exact", diagnostics)
