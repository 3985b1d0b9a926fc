"""Test settings: hypothesis profiles (HYPOTHESIS_PROFILE=dev or ci), no display, BLAS_THREADS (1); what many tests share."""

import importlib
import os
import signal
import sys
import tempfile

import hypothesis
import matplotlib
import pytest
import scipy.linalg  # noqa: F401  its BLAS is another library than numpy's, and only what is loaded can be limited
import threadpoolctl

matplotlib.use("Agg")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite started in the background inherits "ignore" and passes it on

hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_configure(config):
    """A folder that all processes of this run share, for results that many tests read (`stored.computed`)."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory()
        os.environ["SMALL_RESULTS"] = folder.name
        config.add_cleanup(folder.cleanup)


def pytest_collection_finish():
    """One BLAS and OpenMP thread from here on: every library is loaded now, and a limit does not reach those loaded later.

    Idle threads of scipy's BLAS spin, and made tests of small matrices cost three times as much.
    """
    threadpoolctl.threadpool_limits(int(os.environ.get("BLAS_THREADS", "1")))


@pytest.fixture
def answer(tmp_path, monkeypatch, capsys):
    """What `python -m MODULE ARGUMENTS` in tmp_path answers, without a new Python: exit status, standard output and error."""

    def run(module, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        with pytest.raises(SystemExit) as end:
            importlib.import_module(f"{module}.__main__").main()
        return end.value.code, *capsys.readouterr()

    return run
