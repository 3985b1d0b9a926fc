"""The error budget: its steps telescope, its shares add up, and its sizes are those found by hand."""

import dataclasses

import numpy as np
import pytest
import strategies
from assertions import assert_close
from hypothesis import given
from hypothesis import strategies as st

from theory.influence.budget import Trust, error_budget, trust
from theory.metrics import Comparison, compare

NAN = float("nan")


def chains(seed, length=4, shape=(5, 6, 2)):
    rng = np.random.default_rng(seed)
    return {f"effect {k}": 10.0 ** rng.uniform(-3, 3) * rng.standard_normal(shape) for k in range(length)}


@given(strategies.SEEDS, st.integers(2, 7), st.integers(1, 4))
def test_signed_steps_add_up_to_the_whole_gap_and_shares_to_one(seed, length, n_seeds):
    chain = chains(seed, length, (n_seeds, 6, 2))
    budget, effects = error_budget(chain), list(chain.values())
    assert [(step.before, step.after) for step in budget.steps] == list(zip(list(chain)[:-1], list(chain)[1:], strict=True))
    scale = max(np.abs(effect).max() for effect in effects)
    assert_close(
        sum(step.difference for step in budget.steps), (effects[0] - effects[-1]).mean(axis=0), atol=1e-14 * scale, call="sum"
    )
    assert budget.closure <= 1e-14 * scale / np.abs(effects[0].mean(axis=0)).max() * 4.0
    assert sum(step.share for step in budget.steps) == pytest.approx(1.0, abs=1e-9 * scale**2 / np.sum(budget.total**2))


def test_sizes_and_shares_of_a_chain_of_numbers_are_those_found_by_hand():
    """4 -> 1 -> 2: steps 3 and -1 of a gap of 2, relative to 4."""
    first, second = error_budget({name: np.full((1, 1, 1), value) for name, value in (("a", 4.0), ("b", 1.0), ("c", 2.0))}).steps
    assert (first.size, first.share, second.size, second.share) == (0.75, 1.5, 0.25, -0.5)
    assert (first.measured.slope, second.measured.slope) == (0.25, 2.0)
    assert np.isnan([first.size_error, first.share_error, first.measured_error.slope]).all()  # one seed has no spread


@given(strategies.SEEDS)
def test_a_step_is_measured_after_against_before_on_the_mean_over_seeds(seed):
    chain = chains(seed)
    for step in error_budget(chain).steps:
        assert step.measured == compare(chain[step.after].mean(axis=0), chain[step.before].mean(axis=0))
        rest = [[np.delete(chain[name], r, axis=0).mean(axis=0) for name in (step.after, step.before)] for r in range(5)]
        delete_one = np.array([dataclasses.astuple(compare(*pair)) for pair in rest])
        expected = np.sqrt(4.0 / 5.0 * np.square(delete_one - delete_one.mean(axis=0)).sum(axis=0))
        assert_close(dataclasses.astuple(step.measured_error), expected, rtol=1e-6, call="error")


def test_standard_errors_are_the_spread_over_repeated_sets_of_seeds():
    """60 sets of 25 seeds: the jackknife's error of size and share against the standard deviation from set to set."""
    rng = np.random.default_rng(0)
    base, shift = rng.standard_normal((6, 2)), 0.5 * rng.standard_normal((6, 2))
    sizes, shares, errors = [], [], []
    for _ in range(60):
        noise = 0.3 * rng.standard_normal((3, 25, 6, 2))
        step = error_budget({"a": base + noise[0], "b": base + shift + noise[1], "c": base - shift + noise[2]}).steps[0]
        sizes.append(step.size)
        shares.append(step.share)
        errors.append((step.size_error, step.share_error))
    spread, jackknifed = np.std([sizes, shares], axis=1, ddof=1), np.mean(errors, axis=0)
    assert_close(jackknifed / spread, [1.0, 1.0], atol=0.2, call="jackknife / spread")


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ({"a": np.ones((1, 2, 1))}, "expected two or more effects of one shape"),
        (
            {"a": np.ones((1, 2, 1)), "b": np.ones((2, 2, 1))},
            r"'a': \(1, 2, 1\), 'b': \(2, 2, 1\).*expected two or more effects of",
        ),
        ({"a": np.ones((2, 1)), "b": np.ones((2, 1))}, r"expected .* \(R, N, M\)"),
        ({"a": np.ones((1, 2, 1)), "b": np.full((1, 2, 1), NAN)}, r"the effects \['b'\] are not finite"),
    ],
)
def test_a_chain_that_is_none_is_refused(chain, message):
    with pytest.raises(ValueError, match=message):
        error_budget(chain)


def test_what_divides_by_nothing_is_undefined():
    same = {"a": np.ones((3, 2, 1)), "b": np.ones((3, 2, 1))}
    assert np.isnan(error_budget(same).steps[0].share)
    assert error_budget(same).steps[0].size == 0.0
    assert np.isnan(error_budget({"a": np.zeros((3, 2, 1)), "b": np.ones((3, 2, 1))}).steps[0].size)


@pytest.mark.parametrize(
    ("error", "rank", "expected"),
    [
        (0.0, 1.0, Trust.TRUST),
        (0.1, 0.2, Trust.TRUST),
        (0.11, 0.9, Trust.RANK_ONLY),
        (3.0, 0.99, Trust.RANK_ONLY),
        (0.11, 0.89, Trust.DO_NOT_TRUST),
        (2.0, -1.0, Trust.DO_NOT_TRUST),
        (2.0, NAN, Trust.DO_NOT_TRUST),
        (NAN, 1.0, Trust.UNDEFINED),
    ],
)
def test_the_rule_of_the_maps(error, rank, expected):
    assert trust(Comparison(1.0, error, 1.0, rank)) is expected
