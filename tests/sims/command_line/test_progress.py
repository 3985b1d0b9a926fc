"""The progress of many cases: weighted by what they cost, honest about what is left, sparse where nobody watches."""

import pytest

from sims.experiments import all_experiments
from sims.experiments.shared import progress
from sims.experiments.shared.cases import jobs_of
from sims.experiments.shared.costs import expected_seconds, is_measured
from sims.experiments.shared.progress import Progress, announced


@pytest.fixture
def at(monkeypatch):
    """Sets the clock to a second."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def set_clock(second):
        now[0] = float(second)

    return set_clock


def test_cases_weigh_what_they_cost_and_not_one_each(at):
    with Progress(["cheap", "dear"], [10.0, 90.0]) as found:
        assert found.share() == 0.0
        assert found.left() == pytest.approx(100.0)
        at(10)
        found.done(0, 10.0)
        assert found.share() == pytest.approx(0.1)
        assert found.left() == pytest.approx(90.0)
        at(55)
        assert found.share() == pytest.approx(0.55)
        assert found.left() == pytest.approx(45.0)


def test_a_case_that_takes_longer_than_expected_is_never_done_before_it_is(at):
    with Progress(["slow"] * 2, [10.0, 10.0]) as found:
        at(1000)
        assert found.share() == pytest.approx(0.45)
        assert found.left() == pytest.approx(11.0)
        found.done(0, 1000.0)
        assert found.left() > 400.0  # the other one will take as long


def test_what_is_left_is_shared_by_the_processes_but_a_long_case_is_not(at):
    with Progress(["a"] * 4, [10.0] * 4, 2) as even, Progress(["long", "b"], [100.0, 1.0], 2) as uneven:
        assert even.left() == pytest.approx(20.0)
        assert uneven.left() == pytest.approx(100.0)


def test_lines_are_sparse_where_there_is_no_terminal(at, capsys):
    with Progress(["a"] * 200, [1.0] * 200) as found:
        for k in range(200):
            at(k + 1)
            found.done(k, 1.0)
    told = capsys.readouterr().err.splitlines()
    assert 11 <= len(told) <= 12
    assert told[0].startswith("[1/200] ")
    assert told[-1] == "[200/200] 100% of the work, in 3:20"


def test_the_cost_of_a_run_is_that_of_its_longest_case_at_least():
    assert announced(["a"] * 2, [600.0, 60.0], 2).startswith("2 cases, about 10 minutes on 2 processes")
    assert announced(["a"], [600.0]) == "1 case, about 10 minutes; resumes if interrupted"


@pytest.mark.parametrize("small", [False, True])
def test_most_cases_were_measured_and_all_have_a_cost(small):
    jobs = jobs_of(list(all_experiments().values()), small=small)
    assert all(expected_seconds(str(job), small=small) > 0.0 for job in jobs)
    assert sum(is_measured(str(job), small=small) for job in jobs) > 0.9 * len(jobs)
