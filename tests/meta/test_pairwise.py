"""The list of pairs has all of them, in few cases."""

from itertools import combinations, product
from math import prod

import pytest
from pairwise import all_pairs

OPTIONS = [
    {"a": [1, 2], "b": ["x", "y", "z"]},
    {"a": range(4), "b": range(2), "c": range(4), "d": range(6), "e": range(2)},
    {"a": range(5), "b": [0], "c": range(3), "d": range(3)},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_two_values_of_two_options_meet_in_a_case(options):
    cases = all_pairs(**options)
    for a, b in combinations(options, 2):
        assert {(case[a], case[b]) for case in cases} == set(product(options[a], options[b])), f"{a} with {b}"
    assert all(list(case) == list(options) for case in cases)


@pytest.mark.parametrize("options", OPTIONS[1:])
def test_there_are_hardly_more_cases_than_pairs_of_the_two_longest_lists(options):
    longest, second = sorted(map(len, options.values()))[-1:-3:-1]
    cases = all_pairs(**options)
    assert longest * second <= len(cases) <= 1.5 * longest * second
    assert len(cases) < prod(map(len, options.values()))


def test_the_same_options_give_the_same_cases():
    assert all_pairs(**OPTIONS[1]) == all_pairs(**OPTIONS[1])
