"""Gaps, categories, constant columns and classes of a user's file: what is skipped, filled, encoded and left out, and said."""

import json

import numpy as np
import pandas as pd
import pytest
from assertions import assert_close, assert_identical
from hypothesis import given, reject
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sims.datasets.user_file import _shares, as_user_data
from sims.datasets.user_record import in_words, write_down


@pytest.fixture
def write(tmp_path):
    def of(frame, name="data.csv"):
        path = tmp_path / name
        frame.to_csv(path, index=False)
        return path

    return of


def people(n=60, gaps=0.2, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n).astype(float),
            "city": rng.choice(["Oslo", "Bern", "Rome"], n),
            "size": rng.choice(["10", "9", "2"], n),
            "pay": rng.standard_normal(n),
            "y": rng.choice(["no", "yes"], n),
        }
    )
    for name in ("age", "city"):
        frame.loc[rng.random(n) < gaps, name] = None
    return frame


OPTIONS = {"categories": ["city", "size"], "n_queries": 6}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fill", ["median", "mode", None])
def test_the_design_is_that_of_scikit_learn_fitted_to_the_training_rows(write, fill, seed):
    """SimpleImputer, OneHotEncoder(drop="first") and StandardScaler are fitted to the training rows and applied to all."""
    frame = people(seed=seed)
    user = as_user_data(write(frame), "y", fill=fill, seed=seed, **OPTIONS)
    data = user.load(16)
    train, asked = (frame.iloc[list(rows)] for rows in (data.train_rows, data.query_rows))
    made = []
    for name in ("age", "city", "size", "pay"):
        fitted, others = train[[name]], asked[[name]]
        if fill:
            strategy = fill if name == "age" and fill == "median" else "most_frequent"
            imputer = SimpleImputer(strategy=strategy)
            fitted, others = imputer.fit_transform(fitted), imputer.transform(others)
        fitted, others = np.asarray(fitted), np.asarray(others)
        if name in OPTIONS["categories"]:
            levels = [sorted({*fitted[:, 0]}, key=float if name == "size" else str)]
            encoder = OneHotEncoder(categories=levels, drop="first", sparse_output=False, handle_unknown="ignore").fit(fitted)
            fitted, others = encoder.transform(fitted), encoder.transform(others)
        scaler = StandardScaler().fit(fitted.astype(float))
        made.append((scaler.transform(fitted.astype(float)), scaler.transform(others.astype(float))))
    assert_close(data.X[:, 1:], np.hstack([x for x, _ in made]), rtol=1e-12, atol=1e-14)
    assert_close(data.X_query[:, 1:], np.hstack([x for _, x in made]), rtol=1e-12, atol=1e-14)
    assert data.columns == ("intercept", "age", "city=Oslo", "city=Rome", "size=9", "size=10", "pay")
    assert (len(user.drawn(16).rows.skipped) == 0) == bool(fill)


def test_rows_with_gaps_are_skipped_counted_and_never_drawn(write, tmp_path):
    frame = people()
    frame.loc[[0, 7], "y"] = None
    user = as_user_data(write(frame), "y", **OPTIONS)
    data, gaps = user.load(12), frame[["age", "city", "y"]].isna()
    complete = set(np.flatnonzero(~gaps.any(axis=1)))
    assert set(data.train_rows) | set(data.query_rows) <= complete
    written = json.loads(write_down(user, 12, tmp_path / "out").read_text())
    assert written["skipped_rows"] == sorted(set(range(60)) - complete)
    assert written["gaps"] == gaps.sum().to_dict()
    n = 60 - len(complete)
    assert f"{n} of 60 rows have gaps in columns 'age', 'city', 'y': skipped" in written["said"]
    with_fill = as_user_data(write(frame), "y", fill="mode", **OPTIONS)
    assert with_fill.drawn(12).rows.skipped == (0, 7)  # a gap in the target cannot be filled


@given(
    x=st.lists(st.none() | st.sampled_from([1.5, 2.0, 7.0, -1e308, 1.7e308]), min_size=12, max_size=12),
    fill=st.sampled_from(["median", "mode"]),
)
def test_what_fills_a_gap_depends_on_the_training_rows_only(tmp_path_factory, x, fill):
    path = tmp_path_factory.mktemp("fill") / "f.csv"
    frame = pd.DataFrame({"x": x, "z": range(12), "y": ["a", "b"] * 6}).astype({"x": float})
    frame.to_csv(path, index=False)
    try:
        drawn = as_user_data(path, "y", fill=fill, n_queries=2).drawn(8)
    except ValueError as error:  # a query at -1e308 beside training rows of 1.75 and 2
        if "another row is infinitely far" not in str(error):
            raise
        reject()
    train = frame["x"].iloc[list(drawn.data.train_rows)].dropna()
    if train.empty:
        assert "no value in" in drawn.features.left_out["x"]
        return
    expected = sorted(train)[(len(train) - 1) // 2 : len(train) // 2 + 1]
    expected = expected[0] / 2 + expected[-1] / 2 if fill == "median" else train.mode().iloc[0]
    chosen = frame["x"].iloc[[*drawn.data.train_rows, *drawn.data.query_rows]]
    if chosen.isna().any():
        value, count = drawn.features.fills["x"]
        assert_close(value, expected, rtol=1e-15)
        assert count == chosen.isna().sum()
    else:
        assert drawn.features.fills == {}


def test_a_constant_column_is_left_out_and_named_over_the_file_and_over_the_training_rows(write):
    frame = pd.DataFrame(
        {
            "x": range(40),
            "same": 3,
            "rare": [0] * 40,
            "one": "a",
            "empty": None,
            "y": [0.5 * k for k in range(40)],
        }
    )
    asked = as_user_data(write(frame), "y", categories=["one"]).load(8).query_rows[0]
    frame.loc[asked, "rare"] = 1  # it varies in the file, but not among the training rows
    drawn = as_user_data(write(frame), "y", categories=["one"]).drawn(8)
    assert drawn.data.columns == ("intercept", "x")
    assert drawn.features.left_out == {
        "same": "the same in every row",
        "rare": "the same in all 8 training rows",
        "one": "the same in every row",
        "empty": "no value in any row",
    }
    (said,) = [line for line in in_words(drawn) if line.startswith("left out")]
    assert said == (
        "left out: columns 'same', 'one' (the same in every row); column 'rare' (the same in all 8 training rows); "
        "column 'empty' (no value in any row)"
    )


def test_levels_that_do_not_train_have_no_column_and_are_named(write):
    frame = pd.DataFrame({"x": range(40), "c": ["a", "b"] * 20, "y": [0.5 * k for k in range(40)]})
    asked = as_user_data(write(frame), "y", categories=["c"]).load(8).query_rows[0]
    frame.loc[asked, "c"] = "new"
    drawn = as_user_data(write(frame), "y", categories=["c"]).drawn(8)
    assert drawn.data.columns == ("intercept", "x", "c=b")
    place = drawn.data.query_rows.index(asked)
    assert drawn.data.X_query[place, 2] == min(drawn.data.X[:, 2])  # as the baseline a
    assert "categories: 'c' b against a (in no training row, counted as a: new)" in [*in_words(drawn)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            r"30 rows, of which 3 are usable: 27 of 30 rows have gaps in columns 'x', 'z'; .* fill gaps with --fill median or "
            r"--fill mode, leave out columns with many \(--drop x\)",
        ),
        ({"fill": "median", "n_queries": 40}, "has 30 rows; 8 training points and 40 queries need 48"),
    ],
)
def test_too_few_rows_without_gaps_are_an_error_that_offers_what_helps(write, options, message):
    frame = pd.DataFrame({"x": [None] * 26 + [1, 2, 3, 4], "z": [*range(29), None], "y": [0.5 * k for k in range(30)]})
    with pytest.raises(ValueError, match=message):
        as_user_data(write(frame), "y", **options).load(8)
    assert as_user_data(write(frame), "y", fill="median").load(8).columns == ("intercept", "z")


def test_a_class_that_is_gone_with_the_gaps_is_named(write):
    frame = pd.DataFrame({"x": [None if k % 2 else k for k in range(40)], "y": ["a", "b"] * 20})
    with pytest.raises(ValueError, match="no usable row with y = b: 20 of 40 rows have gaps in column 'x'; fill gaps with"):
        as_user_data(write(frame), "y").load(8)


def test_no_feature_left_is_an_error_with_the_reasons(write):
    with pytest.raises(ValueError, match="no feature left: 'x': the same in every row"):
        as_user_data(write(pd.DataFrame({"x": [1] * 30, "y": range(30)})), "y").load(8)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ("abc", {"learner": "least_squares"}, "--positive c takes 'c' .*; --learner softmax_regression takes all classes"),
        ("abc", {"learner": "logistic"}, "expected two classes: --positive c takes 'c' .*; --learner softmax_regression takes"),
        ([f"name {k}" for k in range(21)], {}, "in 21 different values, expected numbers or at most 20 classes: --positive"),
        ([str(k) for k in range(21)], {"learner": "softmax_regression"}, "has 21 different values .*, expected at most 20"),
        ("abc", {"positive": "a", "learner": "softmax_regression"}, "--positive makes two classes"),
        (["a b", "c"], {"learner": "least_squares"}, "holds text .* choose --learner logistic or mlp"),
        ("012", {"positive": "3"}, "--positive '3' is no value of target 'y' .*, which has '0', '1', '2'"),
        ("012", {"positive": "1", "learner": "least_squares"}, "--positive makes two classes"),
        ("012", {"learner": "logistic"}, "has 3 different values .* --positive 2 .*; --learner least_squares takes it"),
        (["", "NA"], {}, "has no value in any row"),
        (["0"], {"positive": "0"}, "is '0' in every row"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_used_so_is_refused_with_what_to_do(write, values, options, message):
    frame = pd.DataFrame({"x": range(60), "y": [values[k % len(values)] for k in range(60)]})
    with pytest.raises(ValueError, match=message):
        as_user_data(write(frame), "y", **options)


@pytest.mark.parametrize(
    ("values", "options", "labels", "ones"),
    [
        ("012", {"positive": "1"}, ("not 1", "1"), "1"),
        ("012", {"positive": "1.0"}, ("not 1", "1"), "1"),
        ("abc", {"positive": "a"}, ("not a", "a"), "a"),
        ("ab", {"positive": "a"}, ("b", "a"), "a"),
        ("ab", {}, ("a", "b"), "b"),
        ("ab", {"positive": "a", "learner": "mlp"}, ("b", "a"), "a"),
        ("012", {"learner": "least_squares"}, (), None),
        ("012", {"learner": "mlp"}, (), None),
        ([str(k) for k in range(21)], {}, (), None),
        (["0.5", "1", "2"], {}, (), None),
        ("01", {"learner": "least_squares"}, (), None),
    ],
)
def test_classes_are_what_was_chosen(write, tmp_path, values, options, labels, ones):
    of_row = [values[k % len(values)] for k in range(60)]
    user = as_user_data(write(pd.DataFrame({"x": range(60), "y": of_row})), "y", **options)
    data = user.load(10)
    assert (user.task, data.labels) == ("two classes" if labels else "number", labels)
    if labels:
        assert data.y.tolist() == [float(of_row[row] == ones) for row in data.train_rows]
        written = json.loads(write_down(user, 10, tmp_path / "out").read_text())
        assert written["classes"] == {labels[0]: 0, labels[1]: 1}
        assert written["values_of_classes"] == [sorted(set(values) - {ones}), [ones]]
    elif len(values) <= 20:
        assert f"(its {len(values)} values {', '.join(sorted(values))} taken as numbers)" in next(in_words(user.drawn(10)))


@pytest.mark.parametrize(
    ("values", "options", "labels", "said"),
    [
        (["b", "a", "c d"], {}, ("a", "b", "c d"), "(3 classes: a, b, c d)"),
        ("102", {}, ("0", "1", "2"), "(3 classes: 0, 1, 2; --learner least_squares takes them as numbers)"),
        (["10", "9", "1.0", "1"], {}, ("1", "9", "10"), "(3 classes: 1, 9, 10; --learner least_squares takes them as numbers)"),
        ("ba", {"learner": "softmax_regression"}, ("a", "b"), "(2 classes: a, b)"),
        ("abc", {"learner": "mlp"}, ("a", "b", "c"), "(3 classes: a, b, c)"),
    ],
)
def test_several_classes_are_numbered_in_order_and_said(write, tmp_path, values, options, labels, said):
    """The oracle is pandas' factorize on texts sorted as text or as numbers; every class trains, and queries know theirs."""
    of_row = [values[k % len(values)] for k in range(60)]
    user = as_user_data(write(pd.DataFrame({"x": range(60), "y": of_row})), "y", **options)
    data = user.load(10)
    assert (user.task, data.labels) == ("classes", labels)
    numbers = all(label.replace(".", "").isdigit() for label in labels)
    column = pd.Series(of_row).astype(float if numbers else str)
    codes = pd.factorize(column, sort=True)[0]
    assert data.y.tolist() == codes[list(data.train_rows)].tolist()
    assert data.y_query.tolist() == codes[list(data.query_rows)].tolist()
    assert np.bincount(data.y.astype(int)).min() >= 2
    assert said in next(in_words(user.drawn(10)))
    written = json.loads(write_down(user, 10, tmp_path / "out").read_text())
    assert written["classes"] == {label: k for k, label in enumerate(labels)}


def test_shares_of_classes_follow_their_sizes_and_never_shrink_with_more_points():
    """Sainte-Lague by a table of quotients: the n largest of size / (2 k + 1) beyond the two that each class has."""
    sizes = [70, 50, 30, 3, 1]
    quotients = sorted(((size / (2 * k + 1), -c) for c, size in enumerate(sizes) for k in range(2, size)), reverse=True)
    for n_points in range(9, 60):
        extra = [-c for _, c in quotients[: n_points - 9]]
        assert _shares(n_points, sizes) == [min(2, size) + extra.count(c) for c, size in enumerate(sizes)]
    with pytest.raises(ValueError, match="--points 8: 5 classes with two training points or more need --points 9; or take"):
        _shares(8, sizes)


def test_every_choice_is_part_of_the_description(write, tmp_path):
    path = write(people())
    first = as_user_data(path, "y", **OPTIONS)
    write_down(first, 8, tmp_path / "out")
    for changed, message in (
        ({"fill": "median"}, "fill was None, is 'median'"),
        ({"positive": "no"}, "positive was None, is 'no'"),
        ({"decimal": "."}, "decimal was None, is '.'"),
        ({"drop": ["size"], "categories": ["city"]}, r"drop was \[\], is \['size'\]; categories was"),
    ):
        other = as_user_data(path, "y", **{**OPTIONS, **changed})
        assert hash(other) != hash(first)
        with pytest.raises(ValueError, match=message):
            write_down(other, 8, tmp_path / "out")


def test_rows_json_says_how_the_file_was_read(write, tmp_path):
    frame = people()
    path = tmp_path / "data.csv"
    frame.to_csv(path, sep=";", decimal=",", encoding="utf-16")
    user = as_user_data(path, "y", fill="median", **OPTIONS)
    written, drawn = json.loads(write_down(user, 12, tmp_path / "out").read_text()), user.drawn(12)
    assert (written["encoding"], written["separator"], written["decimal"]) == ("utf-16", ";", ",")
    assert written["left_out"] == {"number 1": "it names the rows: 0, 1, 2, .."}
    assert written["categories"]["size"] == {"baseline": "2", "levels": ["9", "10"], "untrained": []}
    assert written["fills"] == {name: {"value": v, "cells": n} for name, (v, n) in drawn.features.fills.items()}
    assert written["said"] == [*in_words(drawn)]
    assert "60 rows in UTF-16, separated by semicolons with decimal commas; 6 features" in written["said"][0]
    assert_identical(drawn.data.X, as_user_data(write(frame), "y", fill="median", **OPTIONS).load(12).X)
