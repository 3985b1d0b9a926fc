"""The README's example runs and says what its comments promise."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from sims.experiments import all_experiments

README = Path(__file__).parents[2] / "README.md"


def test_the_python_examples_print_the_slopes_that_their_comments_name(capsys):
    example, budget, sampled, network, own, estimator, jax_network = re.findall(
        r"```python\n(.*?)```", README.read_text(), re.DOTALL
    )
    names = {}

    def slopes(code):
        exec(compile(code, "README.md", "exec"), names)
        return [float(text) for text in re.findall(r"slope=([\d.]+)", capsys.readouterr().out)]

    promised = float(re.search(r"# slope (1\.\d+)\n", example).group(1))
    at_one, averaged, of_shapley = slopes(example)
    assert abs(at_one - promised) < 0.005
    assert abs(averaged - 1.0) < 1e-12
    assert abs(of_shapley - 1.0) < 1e-12
    (newton,) = slopes(budget)
    assert abs(newton - 1.0) < 0.05
    ratio = float(re.search(r"# (\d+) times smaller errors", sampled).group(1))
    exec(compile(sampled, "README.md", "exec"), names)
    assert abs(float(capsys.readouterr().out) / ratio - 1.0) < 0.2
    early, late = slopes(network)
    assert abs(early - 1.0) < 0.05
    assert abs(late - 1.0) > 0.5
    exec(compile(own, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "passed   weight 0 is deletion" in printed
    assert "BROKEN" not in printed
    assert "C6         FAILS" in printed
    assert "C1: identity: WeightedMean has no linearize" in printed
    assert "T2, T16: identity: WeightedMean has no weight_jacobian" in printed
    exec(compile(estimator, "README.md", "exec"), names)
    assert names["beta"].shape == (8, 3)
    (one_step,) = slopes(jax_network)
    assert abs(one_step - 1.0) < 0.005


def test_every_file_that_the_readme_shows_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (README.parent / target).is_file(), target


def commands():
    """Every `python -m sims|figures ..` of the README, as words."""
    lines = re.findall(r"python -m ((?:sims|figures) [^`#\n]*)", README.read_text())
    return sorted({line.strip() for line in lines})


@pytest.mark.parametrize("line", commands())
def test_every_command_is_one_that_the_program_takes(line, tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    package, *words = shlex.split(line)
    command = importlib.import_module(f"{package}.__main__").cli
    if package == "figures":
        names = command.make_context(package, words).params["names"]
        assert all((README.parent / "figures" / f"fig_{name}.py").is_file() for name in names)
        return
    subcommand, *words = words
    parameters = command.commands[subcommand].make_context(subcommand, words).params
    if subcommand == "run":
        assert parameters["name"] in all_experiments()
