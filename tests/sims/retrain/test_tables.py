"""The table over all subsets: every row is the learner on that subset, and what cannot be right is refused."""

import numpy as np
import pytest
import strategies
from assertions import assert_close, assert_identical
from hypothesis import given

from sims import datasets
from sims.learners import MLP, LeastSquares
from sims.retrain import Responses, response_table, streamed_table
from theory import memory
from theory.datamodel import optimal_datamodel, streamed_datamodels
from theory.laws import Bernoulli
from theory.subsets import all_masks
from theory.values import leave_one_out


class Noisy:
    """F = number of points present + seed: made to see where rows, seeds and outputs end up."""

    n_points, n_outputs = 3, 2

    def respond(self, weights, seeds):
        size = np.asarray(weights).sum(axis=1)[:, None, None]
        return size + 10.0 * np.asarray(seeds)[None, :, None] + np.array([0.0, 0.5])


@given(learner=strategies.logistics(max_points=6))
def test_every_row_is_the_learner_on_the_subset_with_that_mask(learner):
    table = response_table(learner, (0,))
    single = np.concatenate([learner.respond(mask[None], (0,)) for mask in all_masks(learner.n_points)])
    assert_close(table.samples[0], single[:, 0], rtol=1e-12)


def test_more_subsets_than_one_block_are_in_mask_order():
    class Masks(Noisy):
        n_points, n_outputs = 13, 1

        def respond(self, weights, seeds):
            return (np.asarray(weights) @ 2.0 ** np.arange(13))[:, None, None] + np.zeros((1, len(seeds), 1))

    assert_identical(response_table(Masks(), (5,)).mean[:, 0], np.arange(2.0**13))


def test_samples_keep_seeds_apart_and_the_mean_and_its_standard_error_are_over_seeds():
    table = response_table(Noisy(), (5, 0, 1))
    assert table.samples.shape == (3, 8, 2)
    assert_identical(table.samples[:, 7, 1], [53.5, 3.5, 13.5])
    assert_identical(table.mean[7], [23.0, 23.5])
    assert_close(table.standard_error[0], np.full(2, np.std([0, 10, 50], ddof=1) / np.sqrt(3)), rtol=1e-14)


def test_one_seed_has_no_standard_error():
    assert np.isnan(Responses(np.zeros((1, 4, 2))).standard_error).all()


def test_a_table_that_does_not_fit_is_refused_before_training_with_an_estimate(monkeypatch):
    class Untouched(Noisy):
        n_points = 40

        def respond(self, weights, seeds):
            raise AssertionError("trained before checking")

    with pytest.raises(
        MemoryError, match=r"1 seeds x 2\*\*40 subsets x 2 outputs needs 32,768.0 GiB, .* GiB are free: take fewer"
    ):
        response_table(Untouched(), (0,))
    monkeypatch.setattr(memory, "available_bytes", lambda: 100)
    with pytest.raises(MemoryError, match="the table of 1 seeds"):
        response_table(Noisy(), (0,))


def test_a_response_that_is_not_finite_is_named_by_subset_seed_and_output():
    class Diverging(Noisy):
        def respond(self, weights, seeds):
            out = super().respond(weights, seeds)
            out[5, 1, 0] = np.inf
            return out

    with pytest.raises(ArithmeticError, match=r"answered inf on subset \{0, 2\} \(mask 5\), seed 9, output 0"):
        response_table(Diverging(), (4, 9))


def test_a_learner_that_answers_in_another_shape_is_refused():
    class Flat(Noisy):
        def respond(self, weights, seeds):
            return super().respond(weights, seeds)[:, 0]

    with pytest.raises(ValueError, match=r"returned shape \(8, 2\), expected \(subsets, seeds, outputs\) = \(8, 1, 2\)"):
        response_table(Flat(), (0,))


@pytest.mark.parametrize("seeds", [(0,), (3, 1)])
def test_a_streamed_table_gives_the_datamodels_and_leave_one_out_of_the_held_one(seeds):
    laws = [Bernoulli(0.5), Bernoulli(0.9)]

    class Wavy(Noisy):
        n_points, block_rows = 10, 64

        def respond(self, weights, seeds):
            size = np.asarray(weights) @ np.arange(1.0, 11.0)
            return np.sin(size[:, None, None] + np.asarray(seeds)[None, :, None] + np.array([0.0, 0.5]))

    streamed, table = streamed_table(Wavy(), seeds, laws), response_table(Wavy(), seeds).mean
    assert_identical(streamed.leave_one_out(), leave_one_out(table))
    for model, law in zip(streamed_datamodels(streamed), laws, strict=True):
        expected = optimal_datamodel(table, law)
        assert_close(model.coefficients, expected.coefficients, rtol=1e-12)
        assert_close(model.r_squared, expected.r_squared, rtol=1e-12)


@pytest.mark.parametrize("executor", [None, 2])
def test_drawn_weights_are_retrained_on_row_by_row_stored_and_resumed(tmp_path, executor):
    """700 rows in blocks of 64; an interrupted run leaves blocks that the next one reads; other weights are refused."""
    data = datasets.by_name("fair", 60)
    learner = MLP(data.X[:, 1:], data.y, data.X_query[:2, 1:], hidden=(), steps=3)
    weights = np.random.default_rng(0).integers(0, 2, (700, 60)).astype(float)
    plain = response_table(learner, (0, 1), weights=weights)
    assert plain.samples.shape == (2, 700, 2)
    assert_close(plain.samples.swapaxes(0, 1), learner.respond(weights, (0, 1)), rtol=1e-12)

    stored = response_table(learner, (0, 1), weights=weights, store=tmp_path / "a", executor=executor)
    assert_identical(stored.samples, plain.samples)
    assert_identical(response_table(learner, (0, 1), weights=weights, store=tmp_path / "a").samples, plain.samples)
    with pytest.raises(ValueError, match="weights"):
        response_table(learner, (0, 1), weights=weights[::-1], store=tmp_path / "a")
    with pytest.raises(ValueError, match=r"weights has shape \(700, 59\), expected \(B, 60\)"):
        response_table(learner, (0, 1), weights=weights[:, 1:])
    with pytest.raises(ValueError, match="with at least one row"):
        response_table(learner, (0, 1), weights=weights[:0])


def test_the_bar_counts_subsets_and_begins_with_those_that_are_stored(tmp_path, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, **options):
            self.options, self.counts = options, []
            bars.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, count):
            self.counts.append(count)

        def unpause(self):
            """The rate is that of what is computed from here on."""

    class Pairs(Noisy):
        block_rows = 2

    monkeypatch.setattr("tqdm.tqdm", Bar)
    for progress in (True, False):
        response_table(Pairs(), (0,), weights=np.ones((5, 3)), store=tmp_path, progress=progress)
    assert [bar.counts for bar in bars] == [[0, 2, 2, 1], [5]]
    assert [bar.options["total"] for bar in bars] == [5, 5]
    assert [bar.options["disable"] for bar in bars] == [None, True]  # None: where there is a terminal


def test_blocks_that_are_not_a_power_of_two_are_refused():
    class Odd(Noisy):
        block_rows = 3

    with pytest.raises(ValueError, match=r"Odd.block_rows is 3, expected a power of two"):
        response_table(Odd(), (0,))


def test_twenty_one_points_of_stackloss_are_2097152_fits_that_agree_with_single_ones():
    data = datasets.by_name("stackloss", 21)
    learner = LeastSquares(data.X, data.y, data.X_query[:1], l2=0.1)
    table = response_table(learner, (0,)).samples[0]
    rows = np.random.default_rng(0).integers(0, 2**21, 50)
    weights = (rows[:, None] >> np.arange(21) & 1).astype(float)
    assert table.shape == (2_097_152, 1)
    assert_close(table[rows], learner.respond(weights, (0,))[:, 0], rtol=1e-12)


def test_responses_say_their_sizes_and_become_labelled_arrays_and_tables():
    responses = Responses(np.arange(24.0).reshape(2, 4, 3))
    assert repr(responses) == "Responses(seeds=2, subsets=4, outputs=3)"
    array = responses.to_xarray()["response"]
    assert array.dims == ("seed", "subset", "output")
    assert "<tr><th>subsets</th><td>4</td></tr>" in responses._repr_html_()
    assert float(array.sel(seed=1, subset=2, output=0)) == responses.samples[1, 2, 0]
    table = responses.to_dataframe()
    assert list(table.columns) == ["seed", "subset", "output", "response"]
    assert table.query("seed == 1 and subset == 2 and output == 0")["response"].item() == responses.samples[1, 2, 0]
    assert len(table) == 24
