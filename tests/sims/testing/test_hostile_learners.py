"""Whatever a learner does, it is named: no wrong table, no half-true store, and nothing of the caller's is changed."""

import os

import hostile
import numpy as np
import pytest

from sims.retrain import response_table, store, streamed_table
from sims.retrain.engine import process_pool
from sims.testing import check_learner
from theory.derivatives import average_derivative, finite_difference
from theory.laws import Bernoulli
from theory.response import mean_response, weight_derivative

SEEDS = [5, 0, 3]
WEIGHTS = np.random.default_rng(0).uniform(0.5, 1.5, (10, 4))
ERRORS = (ValueError, TypeError, ArithmeticError, MemoryError, OSError, RuntimeError)

refused = pytest.mark.parametrize("kind", hostile.REFUSED, ids=lambda kind: kind.__name__)
named = pytest.mark.parametrize("kind", hostile.NAMED, ids=lambda kind: kind.__name__)


@pytest.fixture(scope="module")
def pool():
    with process_pool(2) as executor:
        yield executor


@pytest.fixture
def caller():
    """What belongs to the caller: weights and seeds. Both are compared when the test is over."""
    seeds, weights = list(SEEDS), WEIGHTS.copy()
    yield weights, seeds
    assert seeds == SEEDS
    np.testing.assert_array_equal(weights, WEIGHTS)
    assert weights.flags.writeable


def is_complete(folder):
    """Whether a folder has a stored table without a missing block."""
    return bool(store.find_stores(folder)) and store.check(folder) == ([], 0)


def test_there_are_many_kinds_and_the_sound_one_is_none_of_them():
    assert len(hostile.REFUSED) + len(hostile.NAMED) >= 56
    check_learner(hostile.Sound()).raise_if_broken()


@refused
def test_a_table_refuses_by_name_here_in_processes_and_with_a_store(kind, caller, pool, tmp_path):
    weights, seeds = caller
    for options in ({}, {"weights": weights}, {"executor": pool}, {"store": tmp_path}):
        learner = kind()
        data = {name: value.copy() for name, value in getattr(learner, "__dict__", {}).items()}
        if kind.__name__ == "TooManyPoints" and "weights" in options:
            continue  # four columns are too few
        with pytest.raises(ERRORS, match=kind.__name__):
            response_table(learner, seeds, **options)
        for name, value in data.items():
            np.testing.assert_array_equal(getattr(learner, name), value)
    assert not is_complete(tmp_path)


@refused
def test_everything_else_refuses_by_the_same_name(kind, caller):
    weights, seeds = caller
    for call in (
        lambda learner: streamed_table(learner, seeds, [Bernoulli(0.5)]),
        lambda learner: mean_response(learner, weights, seeds),
        lambda learner: finite_difference(learner, weights[0], seeds),
    ):
        if kind.__name__ in ("OnlyTheFullSet", "TooManyPoints") or kind.__name__.startswith("BlocksOf"):
            continue  # a matter of tables
        with pytest.raises(ERRORS, match=kind.__name__):
            call(kind())


@refused
def test_check_learner_names_what_a_table_refuses(kind, caller):
    if kind is hostile.OnlyTheFullSet:
        return  # its weights do not occur
    with pytest.raises((*ERRORS, AssertionError), match=kind.__name__):
        check_learner(kind(), seeds=caller[1]).raise_if_broken()


@named
def test_check_learner_names_the_law_that_is_broken(kind, caller):
    report = check_learner(kind(), seeds=caller[1])
    assert hostile.NAMED[kind] in {finding.law for finding in report.broken}, str(report)
    assert kind.__name__ in report.learner


@named
def test_a_table_is_right_where_the_answers_are_and_leaves_everything_alone(kind, caller, pool, tmp_path):
    weights, seeds = caller
    for options in ({}, {"weights": weights}, {"executor": pool}, {"store": tmp_path}):
        found = response_table(kind(), seeds, **options).samples
        if kind in hostile.SAME:
            expected = response_table(hostile.Sound(), seeds, **{k: v for k, v in options.items() if k == "weights"}).samples
            coarse = {"ReturnsFloat32": 1e-6, "ReturnsFloat16": 2e-3, "ReturnsIntegers": 1.0}
            np.testing.assert_allclose(found, expected, rtol=coarse.get(kind.__name__, 0.0))
    again = response_table(kind(), seeds, store=tmp_path).samples
    np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize("kind", [k for k in hostile.NAMED if k.__name__.startswith("Jacobian")], ids=lambda k: k.__name__)
def test_derivatives_are_refused_by_name_or_are_those_of_the_method(kind, caller):
    weights, seeds = caller
    for call in (
        lambda: weight_derivative(kind(), weights[0], seeds),
        lambda: average_derivative(kind(), Bernoulli(0.5), seeds, nodes=2),
    ):
        if kind.__name__ in ("JacobianIsFloat32", "JacobianIsNegative", "JacobianIsInfinite"):
            np.testing.assert_array_equal(np.abs(call()) >= 1.0, True)
        else:
            with pytest.raises(ERRORS, match=kind.__name__):
                call()


# --- one table of one seed, whose blocks need no copy ------------------------------------------------------------------------


def test_a_reused_buffer_does_not_mix_blocks_that_are_computed_in_one_task(tmp_path, pool):
    expected = response_table(hostile.Sound(), [3]).samples
    for options in ({}, {"executor": pool}, {"store": tmp_path}):
        np.testing.assert_array_equal(response_table(hostile.ReusesItsBuffer(), [3], **options).samples, expected)


# --- what an error says --------------------------------------------------------------------------------------------------------


def test_an_error_has_learner_block_seeds_and_the_learners_own_error():
    kind = next(kind for kind in hostile.REFUSED if kind.__name__ == "RaisesKeyError")
    with pytest.raises(
        RuntimeError, match=r"RaisesKeyError.*\.respond failed on .*, seeds \(5, 0\): KeyError: 'alpha'"
    ) as caught:
        response_table(kind(), (5, 0))
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_process_sends_the_text_of_the_learners_own_error(pool):
    with pytest.raises(RuntimeError, match=r"block \d \(subsets .*\), seeds \(5,\): NeedsArguments: 1 and 2") as caught:
        response_table(hostile.RaisesElsewhere(os.getpid()), (5,), executor=pool)
    assert "NeedsArguments" in str(caught.value.__cause__)


def test_ctrl_c_inside_a_learner_passes():
    class Interrupted(hostile.Sound):
        def respond(self, weights, seeds):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        response_table(Interrupted(), (0,))
    with pytest.raises(KeyboardInterrupt):
        check_learner(Interrupted())


def test_a_class_in_place_of_an_object_is_refused():
    for call in (lambda: response_table(hostile.Sound, (0,)), lambda: check_learner(hostile.Sound)):
        with pytest.raises(TypeError, match=r"learner is the class Sound, expected an object of it: make one, as in Sound\("):
            call()


# --- processes ------------------------------------------------------------------------------------------------------------------


def test_a_learner_that_cannot_be_sent_is_named(pool):
    class Local(hostile.Sound):
        pass

    with pytest.raises(ValueError, match=r"Local.* cannot be sent to other processes .*: define it in a file, or leave out"):
        response_table(Local(), (0,), executor=pool)


def test_a_learner_that_ends_its_process_is_named():
    with process_pool(1) as executor, pytest.raises(ChildProcessError, match=r"Exits.*nothing is stored: make a new executor"):
        response_table(hostile.Exits(os.getpid()), (0,), executor=executor)
