"""Test settings: hypothesis profiles (HYPOTHESIS_PROFILE=dev, ci or fast), no display, BLAS_THREADS (1), long files first."""

import importlib
import os
import signal
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import hypothesis
import matplotlib
import pytest
import scipy.linalg  # noqa: F401  its BLAS is another library than numpy's, and only what is loaded can be limited
import threadpoolctl

matplotlib.use("Agg")
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    signal.signal(number, handler)  # a suite started in the background or by nohup inherits "ignore" and passes it on

hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=15, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("fast", deadline=None, max_examples=10)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

SLOW = {
    "sims/command_line/test_commands.py": 50,
    "faults/test_short_form.py": 35,
    "sims/retrain/test_engine.py": 50,
    "sims/command_line/test_user_data.py": 45,
    "theory/storage/test_folder.py": 15,
    "sims/experiments/test_changed.py": 60,
    "sims/command_line/test_endings.py": 45,
    "sims/command_line/test_terminal.py": 20,
    "meta/test_face.py": 25,
    "sims/retrain/test_provenance.py": 30,
    "sims/testing/test_hostile_learners.py": 20,
    "sims/learners/test_crossings.py": 30,
    "sims/learners/test_mlp.py": 25,
    "sims/learners/test_jax_learner.py": 25,
    "sims/learners/test_torch_learner.py": 40,
    "sims/learners/test_sklearn_learner.py": 20,
    "figures/test_report.py": 20,
    "figures/test_sidecars.py": 8,
    "sims/peers/test_peers.py": 8,
    "sims/command_line/test_publish.py": 20,
    "sims/experiments/test_experiments.py": 15,
    "sims/experiments/test_training.py": 15,
    "sims/retrain/test_store.py": 10,
    "theory/edges/test_edges.py": 15,
    "sims/ledger/test_judge.py": 15,
    "theory/test_derivatives.py": 10,
    "sims/experiments/test_memory.py": 10,
    "sims/experiments/test_prediction.py": 8,
    "theory/claims/test_datamodel_claims.py": 8,
    "sims/learners/test_bistable.py": 8,
    "figures/test_report_in_a_browser.py": 10,
    "sims/experiments/test_influence.py": 10,
    "sims/experiments/test_drawn.py": 8,
    "figures/test_user_file.py": 8,
    "sims/experiments/test_estimating_influence.py": 10,
    "meta/test_findings.py": 5,
    "sims/datasets/test_user_file.py": 8,
    "meta/test_machines.py": 8,
    "theory/claims/test_averages.py": 8,
    "sims/learners/test_moving_jump.py": 8,
    "sims/experiments/test_size.py": 5,
    "sims/learners/test_proximal.py": 8,
    "meta/test_examples.py": 5,
    "meta/test_readme.py": 5,
    "meta/test_wheel.py": 5,
    "sims/learners/test_objective.py": 5,
    "sims/referee/test_judge.py": 15,
    "sims/referee/test_truth.py": 10,
    "sims/testing/test_attributions.py": 8,
    "sims/experiments/test_field.py": 8,
    "sims/ledger/test_explain.py": 5,
}
"""Test files that need about five seconds of a processor or more. The longest start first; `pytest --fast` leaves them out."""


def pytest_addoption(parser):
    parser.addoption("--fast", action="store_true", help="leave out the files in SLOW (tests/conftest.py), and try few examples")


def pytest_configure(config):
    """Make a folder that all processes of this run share, for results that many tests read (`stored.computed`)."""
    if config.getoption("fast"):
        hypothesis.settings.load_profile("fast")
    if not hasattr(config, "workerinput") and "SMALL_RESULTS" not in os.environ:
        folder = tempfile.TemporaryDirectory()
        os.environ["SMALL_RESULTS"] = folder.name
        config.add_cleanup(folder.cleanup)


def seconds(path):
    """What SLOW says of a file, 0 for those that it does not have."""
    folder = Path(__file__).parent
    return SLOW.get(path.relative_to(folder).as_posix(), 0) if path.is_relative_to(folder) else 0


def pytest_ignore_collect(collection_path, config):
    return True if config.getoption("fast") and seconds(collection_path) else None


def pytest_collection_modifyitems(items):
    """Put the longest files first, so that no process is left with one of them at the end (with --no-loadscope-reorder)."""
    items.sort(key=lambda item: -seconds(item.path))


def pytest_collection_finish():
    """One BLAS and OpenMP thread from here on: every library is loaded now, and a limit does not reach those loaded later.

    Idle threads of scipy's BLAS spin, and made tests of small matrices cost three times as much.
    """
    threadpoolctl.threadpool_limits(int(os.environ.get("BLAS_THREADS", "1")))


def pytest_terminal_summary(terminalreporter):
    """Name the files that took so long that they belong in SLOW; several tests run at once, so that all take longer."""
    taken = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                taken[report.nodeid.split("::")[0]] += report.duration
    for file, duration in taken.items():
        if duration > 30.0 and file.removeprefix("tests/") not in SLOW:
            terminalreporter.write_line(f"{file} took {duration:.0f} s: make it shorter, or list it in SLOW (tests/conftest.py)")


@pytest.fixture
def answer(tmp_path, monkeypatch, capsys):
    """What `python -m MODULE ARGUMENTS` in tmp_path answers, without a new Python: exit status, standard output and error."""

    def run(module, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        status, hook = 0, sys.unraisablehook
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            importlib.import_module(f"{module}.__main__").main()
        except SystemExit as end:
            status = end.code
        finally:  # a program that ends leaves signals ignored
            sys.unraisablehook = hook
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return status, *capsys.readouterr()

    return run
