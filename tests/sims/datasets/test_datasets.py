"""Data sets: the rows that were promised, standardised as promised; synthetic designs with the properties prescribed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import strategies
from assertions import assert_close, assert_identical
from hypothesis import given
from hypothesis import strategies as st

from sims import datasets
from sims.learners.logistic import is_separable
from theory.streams import stream


@pytest.mark.parametrize(
    ("name", "n_points", "n_queries", "n_columns"),
    [
        ("longley", 16, 16, 7),
        ("stackloss", 16, 21, 4),
        ("stackloss", 21, 21, 4),
        ("spector", 16, 16, 4),
        ("fair", 200, 16, 9),
        ("fair_anew", 200, 16, 9),
        ("randhie", 200, 16, 10),
        ("anes96", 928, 16, 10),
    ],
)
def test_real_data_have_the_documented_sizes_and_are_standardised_on_their_training_rows(name, n_points, n_queries, n_columns):
    data = datasets.by_name(name, n_points)
    assert data.X.shape == (n_points, n_columns)
    assert data.X_query.shape == (n_queries, n_columns)
    assert len(data.columns) == n_columns
    assert len(set(data.train_rows)) == n_points
    assert_identical(data.X[:, 0], np.ones(n_points))
    assert_close(data.X[:, 1:].mean(axis=0), np.zeros(n_columns - 1), atol=1e-12)
    assert_close(data.X[:, 1:].std(axis=0), np.ones(n_columns - 1), atol=1e-12)


def test_longley_is_the_table_that_statsmodels_ships():
    from statsmodels.datasets import longley

    data, frame = datasets.by_name("longley"), longley.load_pandas().data
    assert data.columns[1:] == tuple(frame.columns[1:])
    gnp = frame["GNP"].to_numpy(float)
    assert_close(data.X[:, 2], (gnp - gnp.mean()) / gnp.std(), rtol=1e-12)
    assert_close(data.y, (frame["TOTEMP"] - frame["TOTEMP"].mean()).to_numpy() / frame["TOTEMP"].std(ddof=0), rtol=1e-12)


@pytest.mark.parametrize("n_points", [8, 16, 22])
def test_spector_trains_on_as_many_of_either_class_and_asks_for_all_others(n_points):
    data = datasets.by_name("spector", n_points)
    assert data.y.sum() == n_points / 2
    assert sorted(data.train_rows + data.query_rows) == list(range(32))


def test_fair_draws_the_same_rows_every_time_and_more_points_extend_fewer():
    few, many = datasets.by_name("fair", 50), datasets.by_name("fair", 100)
    assert many.train_rows[:50] == few.train_rows
    assert not set(many.train_rows) & set(many.query_rows)


@pytest.mark.parametrize("name", ["fair_anew", "randhie", "anes96"])
def test_rows_drawn_anew_share_as_many_as_chance_and_have_the_same_queries(name):
    """Two independent draws of 300 and 400 of T rows share 300 400 / T on average; nested ones would share 300."""
    few, many = datasets.by_name(name, 300), datasets.by_name(name, 400)
    total = {"fair_anew": 6366, "randhie": 20190, "anes96": 944}[name] - 16
    expected = 300 * 400 / total
    spread = np.sqrt(expected * (1.0 - 300 / total) * (1.0 - 400 / total))  # hypergeometric
    assert abs(len(set(few.train_rows) & set(many.train_rows)) - expected) < 4.0 * spread + 1.0
    assert few.query_rows == many.query_rows
    assert not set(many.train_rows) & set(many.query_rows)


@pytest.mark.parametrize(
    ("name", "n_points", "n_columns", "of_each", "labels"),
    [
        ("digits", 500, 65, 2, tuple("0123456789")),
        ("digits_pooled", 12, 17, 4, tuple("358")),
        ("digits_components", 13, 9, 4, tuple("358")),
        ("iris", 14, 5, 4, ("setosa", "versicolor", "virginica")),
    ],
)
def test_several_classes_have_as_many_points_each_and_the_queries_are_others(name, n_points, n_columns, of_each, labels):
    data, n_classes = datasets.by_name(name, n_points), len(labels)
    assert data.X.shape == (n_points, n_columns) == (n_points, len(data.columns))
    assert data.X_query.shape == (of_each * n_classes, n_columns)
    assert data.labels == labels
    assert np.bincount(data.y.astype(int)).tolist() == [len(range(k, n_points, n_classes)) for k in range(n_classes)]
    assert data.y_query.tolist() == np.repeat(range(n_classes), of_each).tolist()
    assert not set(data.train_rows) & set(data.query_rows)
    fewer, other = datasets.by_name(name, n_points - 1), datasets.by_name(name, n_points, seed=1)
    assert fewer.train_rows == data.train_rows[:-1]
    assert fewer.query_rows == data.query_rows
    assert other.train_rows != data.train_rows


def test_digits_and_iris_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits, load_iris
    from sklearn.decomposition import PCA

    data, pixels = datasets.by_name("digits", 40), load_digits()
    assert_identical(data.X[:, 1:], pixels.data[list(data.train_rows)] / 16.0)
    assert [int(data.labels[int(k)]) for k in data.y] == pixels.target[list(data.train_rows)].tolist()
    pooled = datasets.by_name("digits_pooled")
    by_hand = pixels.images[pooled.query_rows[0]][2:4, 4:6].mean() / 16.0  # block 12
    assert pooled.X_query[0, 1 + 4 + 2] == by_hand
    confused = np.isin(pixels.target, [3, 5, 8])
    fitted, components = PCA(8, svd_solver="full").fit(pixels.data[confused]), datasets.by_name("digits_components")
    scores = fitted.transform(pixels.data[list(components.train_rows)]) / np.sqrt(fitted.explained_variance_[0])
    assert_close(np.abs(components.X[:, 1:]), np.abs(scores) * np.sqrt(confused.sum() / (confused.sum() - 1.0)), atol=1e-9)
    flowers, table = datasets.by_name("iris", 30), load_iris()
    values = table.data[list(flowers.train_rows)]
    assert_close(flowers.X[:, 1:], (values - values.mean(axis=0)) / values.std(axis=0), atol=1e-12)
    assert [flowers.labels[int(k)] for k in flowers.y] == table.target_names[table.target[list(flowers.train_rows)]].tolist()


@pytest.mark.parametrize(
    ("name", "n_points", "message"),
    [
        ("anes96", 929, "n_points = 929, expected 1 to 928"),
        ("longley", 17, "n_points = 17, expected 1 to 16"),
        ("spector", 15, "expected an even number from 2 to 22"),
        ("spector", 24, "11 students of the smaller class"),
        ("longley", 1, "do not vary"),
        ("spector", 6, r"\[.PSI.\] do not vary among them; take more rows"),
        ("iris", 2, "expected 3 or more for iris: one of each class"),
        ("iris", 139, "n_points = 139, expected 1 to 138 for iris"),
        ("penguins", None, "data set 'penguins' is unknown, expected one of anes96, digits, digits_components"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(name, n_points, message):
    with pytest.raises(ValueError, match=message):
        datasets.by_name(name, n_points)


@given(eigenvalues=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=5), seed=st.integers(0, 9))
def test_a_design_has_the_eigenvalues_prescribed(eigenvalues, seed):
    X = datasets.with_eigenvalues(8, eigenvalues, seed)
    assert_close(np.linalg.eigvalsh(X.T @ X / 8), np.sort(eigenvalues), atol=1e-12 * max(eigenvalues))


@given(seed=strategies.SEEDS, n=st.integers(2, 12), data=st.data())
def test_a_design_has_the_leverages_prescribed(seed, n, data):
    d = data.draw(st.integers(1, n))
    rng = np.random.default_rng(seed)
    wanted = (np.linalg.qr(rng.standard_normal((n, d)))[0] ** 2).sum(axis=1)  # the leverages of some design: every valid list is
    built = datasets.with_leverages(wanted / wanted.sum() * d, d, seed % 7)
    assert_close(np.einsum("ij,ij->i", built, np.linalg.solve(built.T @ built, built.T).T), wanted, atol=1e-10)


def test_leverages_at_their_extremes_are_reached():
    wanted = np.array([1.0, 0.0, 0.5, 0.5, 1.0])
    X = datasets.with_leverages(wanted, 3, 0)
    assert_close(np.einsum("ij,ij->i", X, np.linalg.solve(X.T @ X, X.T).T), wanted, atol=1e-12)


@pytest.mark.parametrize(("gap", "separable"), [(0.5, True), (1e-3, True), (-0.5, False)])
def test_two_classes_are_separable_exactly_when_the_gap_says_so(gap, separable):
    for seed in range(5):
        X, y = datasets.two_classes(40, 1, gap, seed)
        assert is_separable(X, y) is separable
        assert X[y == 1, 1].min() - X[y == 0, 1].max() == pytest.approx(gap, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: datasets.with_eigenvalues(3, [1.0, -1.0], 0), "expected 1 to 3 numbers >= 0"),
        (lambda: datasets.with_leverages([0.5, 0.2], 1, 0), "leverages sum to 0.7, expected .* sum to n_columns = 1"),
        (lambda: datasets.two_classes(3, 1, 1.0, 0), "expected at least 4 points"),
        (lambda: stream("x", -1), "seed = -1, expected"),
    ],
)
def test_an_impossible_design_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_streams_of_other_purposes_and_seeds_differ_and_the_same_one_repeats():
    draws = {(p, s): tuple(stream(p, s).random(4)) for p in ("a", "b") for s in (0, 1)}
    assert len(set(draws.values())) == 4
    assert draws["a", 0] == tuple(stream("a", 0).random(4))


def test_data_sets_in_a_new_file_are_found_without_another_edit(tmp_path):
    """A copy of the package with one more file, in a process of its own: what is registered stays registered."""
    package = tmp_path / "sims" / "datasets"
    shutil.copytree(Path(datasets.__file__).parent, package)
    (tmp_path / "sims" / "__init__.py").write_text("")
    (package / "third.py").write_text(
        "from sims.datasets.base import register\nfrom sims.datasets.synthetic import one_point\n\n"
        "@register\ndef third(n_points: int = 1):\n    return one_point(n_points)\n"
    )
    root = Path(datasets.__file__).parents[2]
    program = "from sims import datasets; print(datasets.__file__, len(datasets.by_name('third').X))"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    found = subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.split() == [str(package / "__init__.py"), "1"], found.stderr


@pytest.mark.parametrize("n_points", [6, 8, 11])
def test_planted_data_differ_from_the_moons_on_a_quarter_of_the_points_only(n_points):
    moons = datasets.by_name("two_moons", n_points)
    wrong, triggered = datasets.by_name("mislabelled_moons", n_points), datasets.by_name("triggered_moons", n_points)
    assert (wrong.y != moons.y).sum() == n_points // 4
    assert_identical(wrong.X, moons.X)
    planted = triggered.X[:, 2] != 0.0
    assert planted.sum() == n_points // 4
    assert_identical(moons.y[planted], np.zeros(n_points // 4))
    assert_identical(triggered.y, np.where(planted, 1.0, moons.y))
    assert_identical(triggered.X[:, :2], moons.X)
    assert (triggered.X_query[:, 2] == 2.0).all()
