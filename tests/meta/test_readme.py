"""The examples of README.md and GUIDE.md run, and say what their comments promise."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

from sims.experiments import all_experiments
from sims.experiments.shared.cases import jobs_of
from sims.experiments.shared.changes import Changes
from sims.experiments.shared.own_file import experiment_in

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "FINDINGS.md", "GUIDE.md")


def examples(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_readme_is_short_enough_to_be_read():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_the_five_lines_of_the_readme_print_what_they_promise(capsys):
    start, own = examples("README.md")
    names = {}
    exec(compile(start, "README.md", "exec"), names)
    printed = [float(text) for text in re.findall(r"slope=([\d.]+)", capsys.readouterr().out)]
    promised = [float(text) for text in re.findall(r"slope (\d\.\d+)\n", start)]
    assert len(promised) == 2
    assert printed == pytest.approx(promised, abs=0.005)
    exec(compile(own, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert re.search(r"C6 +FAILS", printed)
    assert "C1: identity: WeightedMean has no linearize" in printed


def test_the_examples_of_the_guide_print_the_slopes_that_their_comments_name(capsys):
    judged, example, budget, sampled, network, kinks, own, estimator, jax_network, *_ = examples("GUIDE.md")
    names = {}

    def slopes(code):
        exec(compile(code, "GUIDE.md", "exec"), names)
        return [float(text) for text in re.findall(r"slope=([\d.]+)", capsys.readouterr().out)]

    exec(compile(judged, "GUIDE.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "the damping 0.05" in printed
    assert "They are N = 16 times too large" in printed
    promised = float(re.search(r"# slope (1\.\d+)\n", example).group(1))
    at_one, averaged, of_shapley = slopes(example)
    assert abs(at_one - promised) < 0.005
    assert abs(averaged - 1.0) < 1e-12
    assert abs(of_shapley - 1.0) < 1e-12
    (newton,) = slopes(budget)
    assert abs(newton - 1.0) < 0.05
    ratio = float(re.search(r"# (\d+) times smaller errors", sampled).group(1))
    exec(compile(sampled, "GUIDE.md", "exec"), names)
    assert abs(float(capsys.readouterr().out) / ratio - 1.0) < 0.2
    early, late = slopes(network)
    assert abs(early - 1.0) < 0.05
    assert abs(late - 1.0) > 0.5
    exec(compile(kinks, "GUIDE.md", "exec"), names)
    found = [float(text) for text in re.findall(r"relative_error=([\d.]+)", capsys.readouterr().out)]
    promised = [float(text) for text in re.search(r"# relative error (0\.\d+) and (0\.\d+)\n", kinks).groups()]
    assert found == pytest.approx(promised, abs=0.005)
    exec(compile(own, "GUIDE.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "passed   weight 0 is deletion" in printed
    assert "BROKEN" not in printed
    assert re.search(r"C6 +FAILS", printed)
    assert "C1: identity: WeightedMean has no linearize" in printed
    assert "T2, T16: identity: WeightedMean has no weight_jacobian" in printed
    exec(compile(estimator, "GUIDE.md", "exec"), names)
    assert names["beta"].shape == (8, 3)
    (one_step,) = slopes(jax_network)
    assert abs(one_step - 1.0) < 0.005


def test_the_module_in_pytorch_of_the_guide_is_judged_as_its_comment_says(capsys):
    pytest.importorskip("torch", reason="NOT TESTED: the example of GUIDE.md in PyTorch, which is not installed")
    example, *_, own, _, _, in_torch, _ = examples("GUIDE.md")
    names = {}
    exec(compile(example, "GUIDE.md", "exec"), names)
    exec(compile(own.split("class")[0], "GUIDE.md", "exec"), names)
    capsys.readouterr()
    exec(compile(in_torch, "GUIDE.md", "exec"), names)
    assert re.search(r"T2 +HOLDS", capsys.readouterr().out)


def test_the_experiment_of_the_guide_finds_what_its_comment_says(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    *_, code = examples("GUIDE.md")
    (tmp_path / "far_from_one.py").write_text(code)
    experiment, module = experiment_in(tmp_path / "far_from_one.py")
    (job,) = jobs_of([experiment], module=module)
    promised = float(re.search(r"# error (0\.\d+)\n", code).group(1))
    assert float(experiment.run(job.config).error) == pytest.approx(promised, abs=0.005)
    (changed,) = jobs_of([experiment], changes=Changes((("l2", "0.05"),), "two_moons:8:logistic"), module=module)
    assert changed.case == "two_moons-8 logistic l2=0.05"
    sys.modules.pop("far_from_one")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_shows_exists(page):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        assert (ROOT / target).is_file(), target


def commands():
    """Every `python -m sims|figures ..` of the pages, as words."""
    lines = [line for page in PAGES for line in re.findall(r"python -m ((?:sims|figures) [^`#\n]*)", (ROOT / page).read_text())]
    return sorted({line.strip() for line in lines})


@pytest.mark.parametrize("line", commands())
def test_every_command_is_one_that_the_program_takes(line, tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    package, *words = shlex.split(line)
    command = importlib.import_module(f"{package}.__main__").cli
    if package == "figures":
        names = command.make_context(package, words).params["names"]
        assert all((ROOT / "figures" / f"fig_{name}.py").is_file() for name in names)
        return
    subcommand, *words = words
    if "--help" in words:
        words.remove("--help")
    parameters = command.commands[subcommand].make_context(subcommand, words).params
    if subcommand == "run":
        name = parameters["name"]
        if not name.endswith(".py"):  # such as the one that the guide writes
            settings = tuple(tuple(text.split("=")) for text in parameters["settings"])
            assert jobs_of([all_experiments()[name]], changes=Changes(settings, parameters["problem"], parameters["points"]))
