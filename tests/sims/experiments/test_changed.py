"""Experiments changed from outside: settings, names that never collide, problems, files of one's own; claims and figures."""

import dataclasses
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures.attempts import Absent, attempt
from figures.catalogue import figure_module, names
from figures.pictures import draw_picture
from sims.experiments import all_experiments
from sims.experiments.shared.cases import jobs_of
from sims.experiments.shared.changes import Changes, case_name, changed_cases, settable
from sims.experiments.shared.own_file import experiment_in
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import settings_of, shown, value_of
from theory.claims import judge
from theory.storage.results import file_name

ROOT = Path(__file__).parents[3]
EXPERIMENTS = all_experiments()


# --- problems --------------------------------------------------------------------------------------------------------------


def test_options_are_keywords_and_copies_keep_them():
    problem = Problem("fair", "mlp", hidden=[4, 4], l2=0.05, n_points=24)
    assert problem.options == (("hidden", (4, 4)), ("l2", 0.05))
    copy = dataclasses.replace(problem, n_queries=2)
    assert (copy.options, copy.n_points, copy.n_queries) == (problem.options, 24, 2)
    assert len({problem, Problem("fair", "mlp", hidden=(4, 4), l2=0.05, n_points=24)}) == 1
    assert problem.changed("hidden", l2=1.0).options == (("l2", 1.0),)


def test_penalties_that_print_alike_have_different_names():
    one, other = (Problem("xor", "logistic", l2=l2).name for l2 in (0.1234567, 0.12345671))
    assert one != other
    assert Problem("xor", "logistic", l2=1e-6).name == "xor-8 logistic l2=1e-06"


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (Problem("xor", "logistic", l3=0.1), "logistic has no option 'l3': did you mean 'l2'"),
        (Problem("xor", "logistik", l2=0.1), "learner 'logistik': did you mean 'logistic'"),
    ],
)
def test_an_unknown_option_or_learner_is_refused_by_name(problem, message):
    with pytest.raises(ValueError, match=message):
        problem.build()


# --- settings --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_setting_is_explained_and_its_default_can_be_set(name):
    for config in (*EXPERIMENTS[name].cases, *EXPERIMENTS[name].small):
        for heading, settings in settable(EXPERIMENTS[name], config).items():
            for setting in settings.values():
                assert setting.text, (heading, setting.name)
                if setting.default not in ("", None):
                    assert setting.read(shown(setting.default).replace("..", ":")) is not None


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1).map(tuple))
def test_numbers_that_are_shown_are_read_again(values):
    assert value_of("x", shown(values), tuple[float, ...]) == values


@given(one=st.lists(st.integers(0, 30), max_size=6).map(tuple), other=st.lists(st.integers(0, 30), max_size=6).map(tuple))
def test_different_lists_have_different_texts_also_as_file_names(one, other):
    assert (one == other) == (file_name(shown(one)) == file_name(shown(other)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (Changes((("pp", "0.5"),)), "no setting 'pp': did you mean 'p'.*To be set are .*scales"),
        (Changes((("p", "0.5,2"),)), "p = 0.5,2, expected more than 0 and less than 1"),
        (Changes((("seeds", "x"),)), "seeds = 'x', expected whole numbers, such as 1,10,100 or 0:16"),
        (Changes((("l2", "much"),)), "l2 = 'much', expected a number"),
        (Changes((("n_points", "4"),)), "--points N"),
        (Changes(problem="fiar:24:logistic"), "data set 'fiar': did you mean 'fair'"),
        (Changes(problem="fair:24:logit"), "learner 'logit': did you mean 'logistic'"),
        (Changes(problem="fair"), "expected DATA:N:LEARNER"),
        (Changes(problem="fair:0:logistic"), "at least 1"),
        (Changes(problem="fair:24:logistic", points=20), "leave out one of the two"),
        (Changes(problem="fair:100:logistic"), "N = 100 is more than 20.*draws subsets, such as lds"),
        (Changes(problem="xor:8:mlp"), "identity is for logistic or least_squares"),
        (Changes(problem="longley:8:logistic"), "expected labels 0 and 1"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_what_can(changes, message):
    with pytest.raises(ValueError, match=message):
        changed_cases(EXPERIMENTS["identity"], changes)


def test_an_option_that_the_experiment_sets_itself_is_refused_with_the_setting_that_decides_it():
    with pytest.raises(ValueError, match="training_time sets steps of the learner itself: set times"):
        changed_cases(EXPERIMENTS["training_time"], Changes((("steps", "5"),)))


@pytest.mark.parametrize(
    ("data", "loss"), [("xor:8", "logistic"), ("digits_pooled:6", "softmax"), ("iris:6", "softmax"), ("longley:8", "logistic")]
)
def test_a_network_for_several_classes_takes_the_case_of_one_and_any_other_that_of_one_output(data, loss):
    """Longley's targets are numbers, which the first case, with labels, refuses."""
    changes = Changes(problem=f"{data}:mlp")
    if data == "longley:8":
        with pytest.raises(ValueError, match="expected labels 0 and 1"):
            changed_cases(EXPERIMENTS["training_time"], changes)
        return
    (config,), _ = changed_cases(EXPERIMENTS["training_time"], changes)
    assert config.problem.build(steps=1).loss == loss


def test_several_classes_get_softmax_where_no_case_has_it():
    (config,), _ = changed_cases(EXPERIMENTS["fixed_size"], Changes(problem="iris:6:mlp"))
    assert config.problem.build().loss == "softmax"


def test_a_learner_without_second_derivatives_is_refused():
    with pytest.raises(ValueError, match="scale_at_size is for logistic or least_squares"):
        changed_cases(EXPERIMENTS["scale_at_size"], Changes(problem="xor:8:mlp"))


def test_settings_reach_the_config_its_practice_and_the_learner():
    (config, *_), _ = changed_cases(EXPERIMENTS["budget"], Changes((("damping", "0.5"), ("l2", "0.25"), ("queries", "2"))))
    assert (config.practice.damping, config.problem.number("l2"), config.problem.n_queries) == (0.5, 0.25, 2)
    found, left_out = changed_cases(EXPERIMENTS["spectrum"], Changes((("steps", "7"), ("seeds", "2"))))
    assert {case.problem.number("steps") for case in found} == {7.0}
    assert all(case.n_seeds == 2 for case in found)
    assert any("logistic has no option 'steps'" in line for line in left_out)


def test_a_problem_takes_the_options_of_the_first_case_with_its_learner_or_usual_ones():
    ((config,), _) = changed_cases(EXPERIMENTS["expansion"], Changes(problem="two_moons:8:logistic"))
    assert config.problem == Problem("two_moons", "logistic", l2=0.1, n_points=8)
    ((other,), _) = changed_cases(EXPERIMENTS["fixed_size"], Changes(problem="xor:logistic"))
    assert other.problem.size == 12
    ((network,), _) = changed_cases(EXPERIMENTS["no_go"], Changes((("loss", "squared"),), problem="longley:6:mlp"))
    assert dict(network.problem.options)["hidden"] == (4,)


def test_both_problems_of_a_pair_are_resized():
    found, _ = changed_cases(EXPERIMENTS["pathology"], Changes(points=6))
    assert all(config.problem.size == config.benign.size == 6 for config in found)


# --- names -----------------------------------------------------------------------------------------------------------------

_SOME = [Changes(points=n) for n in (4, 6, 10, 16, 20, 500)] + [Changes((("queries", "2"),)), Changes((("data_seed", "1"),))]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_two_cases_share_a_folder_whatever_is_changed(name):
    experiment = EXPERIMENTS[name]
    folders = {file_name(case.problem.name).lower(): case for case in experiment.cases}
    assert len(folders) == len(experiment.cases)
    assert [case_name(experiment, case) for case in experiment.cases] == [case.problem.name for case in experiment.cases]
    fields = {setting.short for setting in settings_of(experiment.cases[0]).values()}
    changes = [*_SOME, *(Changes((("p", p),)) for p in ("0.2,0.7", "0.3,0.6") if "p" in fields)]
    changes += [Changes((("seeds", "2"),))] if "seeds" in fields else []
    for change in changes:
        for config in changed_cases(experiment, change)[0]:
            key = file_name(case_name(experiment, config)).lower()
            assert len(key) <= 200
            assert folders.setdefault(key, config) == config, (str(change), key)


def test_a_changed_case_says_what_was_changed_and_one_that_equals_a_case_is_that_case():
    scale = EXPERIMENTS["scale"]
    (job, *_) = jobs_of([scale], changes=Changes((("p", "0.3,0.6"), ("l2", "0.05")), problem="fair:12:logistic"))
    assert job.case == "fair-12 logistic l2=0.05 p=0.3,0.6"
    assert job.changed == "problem=fair:12:logistic p=0.3,0.6 l2=0.05"
    (own,) = jobs_of([EXPERIMENTS["expansion"]], changes=Changes(problem="spector:16:logistic"))
    assert own.config == EXPERIMENTS["expansion"].cases[0]
    sizes = {job.case for job in jobs_of([EXPERIMENTS["scale_at_size"]], changes=Changes(points=20))}
    assert {"fair-20 logistic l2=1e-06 queries=4", "fair-20 logistic l2=1e-06"} & sizes
    assert len(sizes) == len(jobs_of([EXPERIMENTS["scale_at_size"]], changes=Changes(points=20)))


def test_points_that_no_case_can_have_are_refused_and_each_case_says_why(capsys):
    jobs = jobs_of([EXPERIMENTS["scale"]], changes=Changes(points=16))
    assert all(job.config.problem.number("l2") > 0.0 for job in jobs)
    assert "noisy_line-64 least_squares l2=0 left out: with N = 16 and p = 0.25 some subsets" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no case of identity can have points=9000"):
        jobs_of([EXPERIMENTS["identity"]], changes=Changes(points=9000))


# --- a file of one's own ---------------------------------------------------------------------------------------------------

OWN = """
from dataclasses import dataclass

import numpy as np

from dfdw import Experiment, Problem, leave_one_out, weight_derivative
from sims.experiments.shared.experiment import in_memory
from sims.experiments.shared.labels import array, labelled
from theory.metrics import relative_error


@dataclass(frozen=True)
class Config:
    problem: Problem
    scale: float = 1.0


def run(config, *, retrain=in_memory, progress=False):
    learner = config.problem.build()
    derivative = weight_derivative(learner, np.ones(learner.n_points), (0,))
    error = config.scale * relative_error(derivative, leave_one_out(retrain(learner, (0,)).mean))
    return labelled("NAME", config, {"error": (array(error), "||D(1) - LOO|| / ||LOO||")})


EXPERIMENT = Experiment(
    name="NAME",
    question="How far is leave-one-out from D(1)?",
    cases=(Config(Problem("one_point", "least_squares", l2=1.0)), Config(Problem("one_point", "least_squares", l2=3.0))),
    small=(Config(Problem("one_point", "least_squares", l2=1.0)),),
    run=run,
)
"""


def test_a_file_of_ones_own_runs_in_several_processes_and_is_changed_as_any_other(answer, tmp_path):
    """One point, ridge: F(w) = w / (w + l2), so that D(1) / LOO = l2 / (l2 + 1): the error is 1 / (l2 + 1)."""
    (tmp_path / "far.py").write_text(OWN.replace("NAME", "far"))
    command = [sys.executable, "-m", "sims", "run", "far.py", "--workers", "2"]
    both = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "    0.5\n" in both
    assert "    0.25\n" in both
    assert "results: results/far\n" in both
    status, changed, complaint = answer("sims", "run", "far.py", "--set", "scale=3", "--set", "l2=2", "--workers", "1")
    assert status == 0, complaint
    assert "one_point-1 least_squares l2=2 scale=3" in changed
    assert "    1\n" in changed
    assert "Changed cases, in results/changed." in changed
    assert sorted(path.name for path in (tmp_path / "results" / "far").glob("*.zarr")) == [
        "one_point-1_least_squares_l2=1.zarr",
        "one_point-1_least_squares_l2=3.zarr",
    ]


@pytest.mark.parametrize(
    ("stem", "text", "message"),
    [
        ("own_without", "x = 1\n", "has no EXPERIMENT, expected EXPERIMENT = Experiment"),
        ("own_raising", "x = 1\ny = x / 0\n", r"own_raising.py, line 2: ZeroDivisionError"),
        ("own_syntax", "x = 1\ny = (\n", r"own_syntax.py, line 2: "),
        ("own_twice", OWN.replace("NAME", "identity"), "'identity' has the name of one of the package"),
        ("json", OWN, "has the name of another module"),
        ("own-name", OWN, "expected a name that Python can import"),
        ("own_path", OWN.replace("NAME", "a/b"), "is that of a folder"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused_with_what_is_wrong(tmp_path, monkeypatch, stem, text, message):
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / f"{stem}.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        experiment_in(file)
    sys.modules.pop(stem if stem.startswith("own") else "", None)


def test_a_file_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"nowhere\.py is no file"):
        experiment_in(Path("nowhere.py"))


# --- claims and figures ----------------------------------------------------------------------------------------------------

_SET = {"p": "0.3,0.6", "scales": "0.2,0.1", "dampings": "0.05,0.5", "products": "2,9", "penalties": "0.01,0.1", "widths": "3"}
_SET |= {"depths": "1", "levels": "0.5,0.1", "shares": "0.5", "laws": "TwoPoint(0.25)", "times": "10,20"}
_OWN = {
    "lds": {"retrainings": "30,60", "subsets": "20", "designs": "2"},
    "counterfactual": {"removed": "2,4"},
    "seeds": {"averaged": "1,2", "seeds": "4"},
    "scale_by_size": {"sizes": "60,90,130"},
    "estimators": {"sizes": "32,64", "designs": "3", "penalised_designs": "2"},
    "estimating_influence": {"groups": "4", "repetitions": "2"},
    "jumps": {"seeds": "32,64"},
    "budget": {"times": "none"},
}


@cache
def changed_results(name):
    """The first small case of an experiment with everything changed that figures and claims could ask for by its value."""
    experiment = EXPERIMENTS[name]
    fields = {setting.short for setting in settings_of(experiment.small[0]).values()}
    values = {**{key: text for key, text in _SET.items() if key in fields}, **_OWN.get(name, {})} or {"queries": "2"}
    job = jobs_of([experiment], small=True, changes=Changes(tuple(values.items())))[name == "no_go"]  # its first has no parts
    return [experiment.run(job.config).assign_attrs(job.attributes)]


@pytest.mark.parametrize("figure", [name for name in names() if name != "cost"])
def test_a_figure_of_changed_cases_is_drawn_or_left_out_with_a_sentence(figure):
    needed = figure_module(figure).EXPERIMENTS
    results = {name: changed_results(name) for name in needed}
    made = attempt(figure, needed, results, lambda: draw_picture(figure, results))
    assert not (isinstance(made, Absent) and made.fault), made
    assert figure == "pairs" or not isinstance(made, Absent), made


def test_a_claim_that_the_changed_cases_cannot_judge_says_what_they_lack():
    used = ("identity", "spectrum", "expansion", "pairs", "scale")
    ledger = judge({name: changed_results(name) for name in used})
    assert not ledger.faults
    reasons = {claim.id: reason for claim, reason in ledger.not_judged}
    assert reasons["C6"].startswith("the changed cases (p=0.3,0.6 scales=0.2,0.1) do not have what it is judged on")
    assert all(reason.count("'") % 2 == 0 and "not all values found" not in reason for reason in reasons.values()), reasons
