"""The bit convention, against Python's own integers and sets."""

import itertools
import os

import numpy as np
import pytest
from assertions import assert_identical
from hypothesis import given
from hypothesis import strategies as st

from theory import memory, subsets

POINT_SETS = st.sets(st.integers(0, 61), max_size=12)


@pytest.mark.parametrize("n", range(1, 9))
def test_row_r_of_all_masks_holds_the_binary_digits_of_r_lowest_first(n):
    digits = [[int(digit) for digit in reversed(f"{r:0{n}b}")] for r in range(2**n)]
    assert_identical(subsets.all_masks(n), np.array(digits, dtype=float))


def test_digits_written_highest_first_are_another_order_of_rows():
    highest_first = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    assert not np.array_equal(subsets.all_masks(3), highest_first)
    assert_identical(subsets.all_masks(3)[:, ::-1], highest_first)


@given(st.data())
def test_mask_rows_are_a_slice_of_all_masks(data):
    n = data.draw(st.integers(1, 8), label="n")
    start, stop = sorted(data.draw(st.lists(st.integers(0, 2**n), min_size=2, max_size=2), label="rows"))
    assert_identical(subsets.mask_rows(start, stop, n), subsets.all_masks(n)[start:stop])


def test_mask_rows_are_right_at_the_end_of_the_longest_list():
    assert_identical(subsets.mask_rows(2**62 - 2, 2**62, 62), [[0.0] + 61 * [1.0], 62 * [1.0]])


@pytest.mark.parametrize("n", range(1, 11))
def test_sizes_count_the_points_of_every_mask(n):
    assert_identical(subsets.sizes(n), [r.bit_count() for r in range(2**n)])
    assert_identical(subsets.sizes(n), subsets.all_masks(n).sum(axis=1).astype(int))


@given(POINT_SETS)
def test_mask_of_and_points_of_are_inverse(points):
    mask = subsets.mask_of(points)
    assert mask == sum(2**i for i in points)
    assert subsets.points_of(mask) == tuple(sorted(points))


def test_the_subset_of_point_zero_is_not_the_empty_subset():
    assert (subsets.mask_of([]), subsets.mask_of([0])) == (0, 1)
    assert (subsets.points_of(0), subsets.points_of(1)) == ((), (0,))


@pytest.mark.parametrize("n", range(1, 7))
def test_every_subset_is_the_row_of_its_mask(n):
    masks = subsets.all_masks(n)
    for size in range(n + 1):
        for points in itertools.combinations(range(n), size):
            assert_identical(np.flatnonzero(masks[subsets.mask_of(points)]), np.array(points, dtype=int))


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ([1.0, 0.0, 0.0, 1.0], "subset {0, 3} (mask 9)"),
        ([0.0, 0.0], "subset {} (mask 0)"),
        ([1.0, 0.5], "weights [1. , 0.5]"),
    ],
)
def test_a_subset_is_named_by_points_and_mask_and_other_weights_by_value(weights, name):
    assert subsets.name_subset(np.array(weights)) == name


@pytest.mark.parametrize("n", [-1, 0, 63])
@pytest.mark.parametrize("function", [subsets.all_masks, subsets.sizes, lambda n: subsets.mask_rows(0, 1, n)])
def test_a_number_of_points_without_masks_is_refused(function, n):
    with pytest.raises(ValueError, match=f"n = {n} training points, expected 1 to 62"):
        function(n)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 9)])
def test_rows_outside_the_list_are_refused(start, stop):
    with pytest.raises(ValueError, match=rf"rows {start}\.\.{stop} asked for, expected 0 <= start <= stop <= 2\*\*3 = 8"):
        subsets.mask_rows(start, stop, 3)


@pytest.mark.parametrize("points", [[1, 1], [-1, 2]])
def test_points_that_are_not_a_set_of_indices_are_refused(points):
    with pytest.raises(ValueError, match=r"points \[.*\] are not a set of indices: expected distinct integers >= 0"):
        subsets.mask_of(points)


def test_a_list_of_masks_beyond_memory_is_refused_with_its_size():
    needed = 8 * 60 * 2**60 / 2**30
    with pytest.raises(
        MemoryError, match=rf"all subsets of 60 points needs {needed:,.1f} GiB, .* GiB are free: read it in blocks"
    ):
        subsets.all_masks(60)


@pytest.mark.parametrize(("needed", "refused"), [(800, False), (801, True)])
def test_memory_is_refused_above_four_fifths_of_what_is_free(monkeypatch, needed, refused):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    if refused:
        with pytest.raises(MemoryError, match="a table needs"):
            memory.require_memory(needed, "a table", "use less")
    else:
        memory.require_memory(needed, "a table", "use less")


def test_available_memory_is_positive_and_not_more_than_the_machine_has():
    assert 0 < memory.available_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
