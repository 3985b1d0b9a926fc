"""The table "which score for which question": its costs are what the calls that it names take, its misses are the evidence."""

import re

import numpy as np
import pytest

from figures.decisions import decisions
from sims.experiments.shared.problem import Problem
from theory.claims import much_better
from theory.derivatives import finite_difference
from theory.sampling.plans import for_leave_one_out, for_shapley

SCORES = ("D(1)", "leave-one-out", "datamodel, p = 0.5", "Shapley")
ROWS = {
    row.score.partition(" ")[0].strip(","): row
    for row in decisions(
        [(f"{case}: {a} for {b}", size) for case, size in (("x", 0.25), ("y", 2.0)) for a in SCORES for b in SCORES]
    )
}


@pytest.mark.parametrize("n", [8, 12, 16])
def test_the_costs_are_those_of_the_plans(n):
    for plan, least, score, words in (
        (for_leave_one_out, n + 1, "leave-one-out", "N + 1 retrainings"),
        (for_shapley, 16 * n - 8, "Shapley", "16 N - 8 retrainings or more"),
    ):
        assert words in ROWS[score].cost
        assert len(plan(n_points=n, n_retrainings=least, seed=0).weights) == least
        with pytest.raises(ValueError, match=f"expected at least {least}"):
            plan(n_points=n, n_retrainings=least - 1, seed=0)


def test_differences_take_as_many_retrainings_as_the_table_says():
    low, high = map(int, re.search(r"(\d+) N to (\d+) N retrainings", ROWS["D(1)"].cost).groups())
    for n in (8, 16):
        learner = Problem("spector", "logistic", l2=0.1, n_points=n).build()
        trained = []

        class Counted:
            n_points, n_outputs = learner.n_points, learner.n_outputs

            def respond(self, weights, seeds, learner=learner, trained=trained):
                trained.append(len(weights))
                return learner.respond(weights, seeds)

        finite_difference(Counted(), np.ones(n), [0])
        assert low * n <= sum(trained) <= high * n


def test_the_budget_of_a_datamodel_is_that_of_its_claim():
    assert f"{much_better._BUDGET:g} N of them where C10 judges it" in ROWS["the"].cost


def test_what_a_score_misses_is_the_least_and_the_largest_figure_of_the_evidence():
    assert (
        ROWS["leave-one-out"].misses == "off from D(1) by 0.25 to 2 of its size, from the datamodel on random halves by 0.25 to 2"
    )
    assert decisions([]) == []
