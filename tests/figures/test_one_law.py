"""The picture of all scores: a row each, where it looks, how far it is and what it explains."""

import numpy as np
from assertions import assert_close, assert_identical
from stored import computed

from figures import fig_one_law


def test_a_row_has_where_the_score_looks_and_its_distances():
    results = computed("one_law")
    scores = fig_one_law.data(results)
    assert scores.title == "Spector, N = 8, logistic"
    rows = {row.name: row for row in scores.rows}
    assert next(iter(rows)) == "D(1)"
    assert list(rows)[-1] == "Beta Shapley(16, 1)"
    assert_identical(rows["leave-one-out"].weight, np.eye(8)[-1])
    assert_close(rows["Shapley"].share @ rows["Shapley"].weight, 0.5, rtol=1e-12)
    assert rows["Shapley"].around is None
    assert (rows["D(1)"].around, rows["local datamodel, 1 ± 0.25"].around) == (0.0, 0.25)
    assert rows["leave-one-out"].distance["leave-one-out"] == 0.0
    expected = float(results[0].against.sel(score="Shapley", question="D(1)", measure="relative_error"))
    assert rows["Shapley"].distance["D(1)"] == expected


def test_the_three_panels_share_their_rows_and_have_labels():
    scores = fig_one_law.data(computed("one_law"))
    figure = fig_one_law.draw(scores)
    places, distances, shares = figure.axes[:3]
    assert [label.get_text() for label in places.get_yticklabels()] == [row.name for row in scores.rows]
    assert distances.get_xlabel().startswith("relative error")
    assert "p of the points" in shares.get_xlabel()
    best = np.array([row.r_squared for row in scores.rows]).argmax(axis=0)
    marked = shares.collections[1].get_offsets()[:, 1]
    assert_identical(np.asarray(marked), (len(scores.rows) - 1.0 - best))
    assert "share of the variance" in figure.axes[3].get_ylabel()


def test_the_description_names_every_score_with_its_numbers():
    scores = fig_one_law.data(computed("one_law"))
    text = fig_one_law.alt(scores)
    assert all(row.name in text for row in scores.rows)
    assert "leave-one-out: looks where 100% of the other points are present" in text


def test_without_the_preferred_data_the_largest_case_is_shown():
    assert fig_one_law.data(computed("one_law")[1:]).title.startswith("Xor, N = 4")
