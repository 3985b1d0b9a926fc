"""Results of workers in files: folders of dead runs go, those of living ones stay, and a full one is not the end."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from wavy import Wavy

from sims.retrain import engine, handover, response_table
from sims.retrain import tables as retrain

ROOT = Path(__file__).parents[3]
LIVE = """
import time
from sims.retrain import handover
with handover.run_folders() as folders:
    with handover.semaphores_named_after(folders[0]):
        import multiprocessing
        semaphore = multiprocessing.get_context("spawn").Lock()
    print(*folders, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A folder that stands for memory, and one for temporary files."""
    memory, disk = tmp_path / "memory", tmp_path / "disk"
    for place in (memory, disk):
        place.mkdir()
    monkeypatch.setattr(handover, "_MEMORY", str(memory))
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    return memory, disk


def another_run(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", LIVE],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return process, [Path(folder) for folder in process.stdout.readline().split()]


def test_the_next_run_sweeps_what_a_killed_run_has_left_and_nothing_of_one_that_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, left = another_run(tmp_path)
    living, used = another_run(tmp_path)
    with living, dead:
        os.killpg(dead.pid, signal.SIGKILL)
        dead.wait()
        assert left[1].is_dir()  # in memory, another run beside this test may have swept it by now
        with handover.run_folders():
            pass
        assert not any(folder.exists() for folder in left)
        assert not sweepable(left[0])
        assert all(folder.is_dir() for folder in used)
        living.kill()


def sweepable(folder):
    """Semaphores of a run; where they have names that can be listed, on Linux, there is one."""
    return list(folder.parent.glob(f"sem.{folder.name}-*")) or not sys.platform.startswith("linux")


def test_a_folder_that_has_not_got_its_lock_yet_is_left_alone_until_it_is_old(places):
    begun = places[0] / "dfdw-1-begun"
    begun.mkdir()
    with handover.run_folders():
        assert begun.is_dir()
    long_ago = time.time() - 3600
    os.utime(begun, (long_ago, long_ago))
    with handover.run_folders():
        assert not begun.exists()


def test_results_that_do_not_fit_into_memory_go_to_the_disk(places, monkeypatch):
    full(monkeypatch, places[0])
    with handover.run_folders() as folders:
        path = Path(handover.sent([np.arange(3.0)], folders))
        assert path.parent.parent == places[1]
        assert handover.received(path)[0].tolist() == [0.0, 1.0, 2.0]
        assert [file.name for folder in folders for file in Path(folder).iterdir()] == ["alive", "alive"]


def full(monkeypatch, *places):
    """Make folders that have no room for results, however small."""
    dump = handover.pickle.dump

    def refuse(results, file, protocol):
        if any(Path(file.name).is_relative_to(place) for place in places):
            raise OSError(28, "No space left on device")
        dump(results, file, protocol)

    monkeypatch.setattr(handover.pickle, "dump", refuse)


def test_where_everything_is_full_an_error_names_the_folders_and_what_is_stored(places, monkeypatch, tmp_path):
    full(monkeypatch, *places)
    with handover.run_folders() as folders, pytest.raises(engine.NoRoomError) as error:
        handover.sent([1], folders)
    assert str(error.value) == (
        f"results of a worker do not fit into {places[0]} (No space left on device) or {places[1]} "
        "(No space left on device): make room there, or set TMPDIR to a folder that has it"
    )
    monkeypatch.setattr(engine, "process_pool", lambda workers: pytest.fail("not here"))

    def refuse(*_, **__):
        raise error.value
        yield

    monkeypatch.setattr(engine, "completed", refuse)
    with pytest.raises(OSError, match=r"to a folder that has it; 0/32 blocks are stored in .*, the same command resumes$"):
        response_table(Wavy(), (0,), store=tmp_path / "s", executor=2)


@pytest.fixture
def small_memory(tmp_path, monkeypatch):
    """A real file system of 64 KiB, where this user may mount one."""
    memory = tmp_path / "small"
    memory.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", memory], capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    monkeypatch.setattr(handover, "_MEMORY", str(memory))
    yield memory
    subprocess.run(["umount", memory], check=True)


def test_a_table_is_the_same_where_memory_for_files_is_too_small_for_a_message(small_memory, monkeypatch):
    monkeypatch.setattr(retrain, "_WORTH_PROCESSES", 0.0)
    learner, seeds = Wavy(n_points=11), tuple(range(200))  # a message has 100 KB
    assert (response_table(learner, seeds, executor=2).samples == response_table(learner, seeds).samples).all()
    assert list(small_memory.iterdir()) == []
