"""Engines: the same bits whoever computes them, and no crash, kill or interrupt loses a finished block or leaves a process."""

import contextlib
import dataclasses
import hashlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from concurrent.futures import Future, ThreadPoolExecutor, _base
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl
from wavy import Wavy

from sims.experiments import all_experiments
from sims.experiments.shared import cases
from sims.learners import Logistic
from sims.retrain import engine, handover, response_table, store
from sims.retrain import tables as retrain
from sims.retrain.store import block_store

SEEDS = (0, 3)
LEARNER = Wavy()  # 32 blocks


def digest(responses):
    return hashlib.sha256(responses.samples.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def truth():
    return digest(response_table(LEARNER, SEEDS))


@pytest.fixture
def processes_for_little_work(monkeypatch):
    monkeypatch.setattr(retrain, "_WORTH_PROCESSES", 0.0)


def processes_of(group):
    """Running processes of a process group; a zombie only waits to be counted by its parent."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(status.parent.name)
    return found


def assert_all_gone(group, within=5.0):
    deadline = time.monotonic() + within
    while processes_of(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(group) == []


# --- the same bits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])  # two are below, where one of them is killed
@pytest.mark.usefixtures("processes_for_little_work")
def test_any_number_of_processes_gives_the_same_bits(workers, truth):
    assert digest(response_table(LEARNER, SEEDS, executor=workers)) == truth


@pytest.mark.usefixtures("processes_for_little_work")
def test_a_real_learner_gives_the_same_bits_in_processes_and_threads_and_in_any_grouping(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((16, 4))
    learner = Logistic(X, (X[:, 0] > 0.0).astype(float), X[:3], l2=1e-2)
    expected = digest(response_table(learner, (0,)))
    assert digest(response_table(learner, (0,), executor=2)) == expected
    for seconds in (1e-9, 0.02, 10.0):
        monkeypatch.setattr(retrain, "_TASK_SECONDS", seconds)
        with ThreadPoolExecutor(2) as threads:
            assert digest(response_table(learner, (0,), executor=threads)) == expected


def test_a_dask_cluster_gives_the_same_bits(truth, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        engine.dask_executor(cluster.scheduler_address) as executor,
    ):
        assert digest(response_table(LEARNER, SEEDS, executor=executor, store=tmp_path)) == truth


@pytest.mark.parametrize("per_task", [1, 3, 50])
def test_every_piece_comes_back_once_whatever_the_grouping(per_task):
    with ThreadPoolExecutor(3) as threads:
        results = list(engine.completed(_squares, range(20), executor=threads, per_task=per_task))
    merged = {piece: value for result in results for piece, value in result.items()}
    assert merged == {k: k * k for k in range(20)}
    assert sum(len(result) for result in results) == 20


def _squares(pieces):
    return [k * k for k in pieces]


class Counting(ThreadPoolExecutor):
    """Counts the tasks that it was given and has not finished."""

    in_flight = most = 0
    lock = threading.Lock()

    def submit(self, fn, /, *args):
        with self.lock:
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
        return super().submit(self.counted, fn, *args)

    def counted(self, fn, *args):
        time.sleep(0.005)
        result = fn(*args)
        with self.lock:
            self.in_flight -= 1
        return result


def test_at_most_two_tasks_per_worker_are_in_flight():
    with Counting(2) as threads:
        assert len(list(engine.completed(_squares, range(40), executor=threads))) == 40
    assert threads.most <= 4


def test_at_most_two_tasks_per_process_are_in_flight(monkeypatch):
    with Counting(2) as threads:
        monkeypatch.setattr(engine, "process_pool", lambda workers: contextlib.nullcontext(threads))
        monkeypatch.setattr(engine, "_folders", [tempfile.gettempdir()])  # of a worker process, which is this one here
        assert len(list(engine.completed(_squares, range(40), executor=2))) == 40
    assert threads.most <= 4


def test_one_blas_thread_computes_however_many_there_are():
    def threads(pieces):
        return [[library["num_threads"] for library in threadpoolctl.threadpool_info()]] * len(pieces)

    with threadpoolctl.threadpool_limits(2):
        (result,) = engine.completed(threads, [0])
    assert set(result[0]) == {1}


@pytest.mark.parametrize(("siblings", "expected"), [("0-1", 1), ("", 2)])
def test_hyper_threads_are_not_counted_as_cores_where_linux_tells(siblings, expected, monkeypatch):
    def topology(path):
        if not siblings:
            raise FileNotFoundError(path)
        return io.StringIO(siblings)

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    monkeypatch.setattr("builtins.open", topology)
    cores = engine.physical_cores()
    monkeypatch.undo()
    assert cores == expected


def test_as_many_tasks_are_kept_on_a_cluster_as_its_workers_have_threads():
    client = types.SimpleNamespace(ncores=lambda: {"tcp://a": 2, "tcp://b": 3})
    assert engine._capacity(types.SimpleNamespace(_client=client)) == 5


def test_no_process_is_started_for_little_work(monkeypatch, truth):
    def refuse(workers):
        raise AssertionError("a pool was started")

    monkeypatch.setattr(engine, "process_pool", refuse)
    assert digest(response_table(LEARNER, SEEDS, executor=4)) == truth


# --- what goes wrong in a worker -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("processes_for_little_work")
def test_blocks_that_kill_their_worker_are_named_the_rest_is_stored_and_a_cure_resumes(tmp_path, truth):
    learner = dataclasses.replace(LEARNER, poison=(3, 17), log=str(tmp_path / "log"), cure=str(tmp_path / "cure"))
    named = r"block 3 \(subsets 96..127\), block 17 \(subsets 544..575\)|block 17 \(.*\), block 3 \(.*\)"
    with pytest.raises(ChildProcessError, match=rf"({named}) of Wavy.* killed the worker process, twice each; 30/32"):
        response_table(learner, SEEDS, executor=2, store=tmp_path / "s")
    assert store.check(tmp_path / "s") == ([], 2)
    before = len(learner.computed())
    (tmp_path / "cure").touch()
    assert digest(response_table(learner, SEEDS, executor=2, store=tmp_path / "s")) == truth
    assert sorted(learner.computed()[before:]) == [3, 17]


def test_dask_naming_tasks_that_killed_workers_costs_these_pieces_only():
    """It tells of a whole task, here of four pieces, and of tasks that only stood in the queue of a worker that died."""
    scheduler = pytest.importorskip("distributed.scheduler")
    KilledWorker, finished = scheduler.KilledWorker, {}

    def killed_by_3_and_11(pieces):
        if {3, 11} & set(pieces) or (5 in pieces and len(pieces) > 1):
            raise KilledWorker("a task", None, 3)
        return list(pieces)

    def run():
        with ThreadPoolExecutor(2) as threads:
            for results in engine.completed(killed_by_3_and_11, range(16), executor=threads, per_task=4):
                finished.update(results)

    with pytest.raises(engine.WorkerDeathError, match=r"3, 11 killed|11, 3 killed"):
        run()
    assert finished == {k: k for k in range(16) if k not in (3, 11)}


class Mortal(ThreadPoolExecutor):
    """Stands for processes: it breaks at a task with piece 1 as often as it is told to, when others are done already."""

    def __init__(self, deaths):
        super().__init__(1)
        self.deaths, self.tasks = deaths, []

    def submit(self, fn, /, *args):
        future, task = Future(), args[-1]
        self.tasks.append(task)
        if 1 in task and self.deaths:
            self.deaths -= 1
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result(fn(*args))
        return future


def in_mortal_processes(monkeypatch, deaths):
    """Results of eight pieces, and the tasks that were run."""
    with Mortal(deaths) as pool:
        monkeypatch.setattr(engine, "process_pool", lambda workers: contextlib.nullcontext(pool))
        monkeypatch.setattr(engine, "_folders", [tempfile.gettempdir()])
        results = list(engine.completed(_squares, range(8), executor=4))
    return sorted((piece, value) for result in results for piece, value in result.items()), pool.tasks


def test_what_was_done_when_a_process_died_is_kept_and_the_others_are_run_once_more(monkeypatch):
    for _ in range(10):  # finished tasks come in any order
        results, tasks = in_mortal_processes(monkeypatch, deaths=1)
        assert results == [(k, k * k) for k in range(8)]
        assert sorted(tasks) == sorted([*((k,) for k in range(8)), (1,)])


def test_a_piece_is_guilty_of_its_second_death_alone(monkeypatch):
    assert in_mortal_processes(monkeypatch, deaths=2)[0] == [(k, k * k) for k in range(8)]
    with pytest.raises(engine.WorkerDeathError, match="1 killed"):
        in_mortal_processes(monkeypatch, deaths=3)


def folders_of_results(process):
    return [folder for where in ("/dev/shm", tempfile.gettempdir()) for folder in Path(where).glob(f"dfdw-{process}-*")]


def test_results_that_nobody_reads_and_files_that_a_killed_worker_began_do_not_stay():
    with engine.process_pool(1) as pool:
        result = Path(pool.submit(engine._sent, _squares, (1, 2)).result())
        assert result.parent in folders_of_results(os.getpid())
        result.with_name("begun").touch()
    assert folders_of_results(os.getpid()) == []


def test_results_do_not_stay_where_the_process_that_reads_them_is_killed(tmp_path):
    process = start(tmp_path, workers=2)
    deadline = time.monotonic() + 20
    while journal_lines(tmp_path) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(folders_of_results(process.pid)) == 2  # in memory and on disk
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert_all_gone(process.pid)
    assert folders_of_results(process.pid) == []


@pytest.mark.usefixtures("processes_for_little_work")
def test_results_go_through_the_folder_for_temporary_files_where_there_is_no_memory_for_files(monkeypatch, truth):
    monkeypatch.setattr(handover, "_MEMORY", "/no/such/folder")
    assert digest(response_table(LEARNER, SEEDS, executor=2)) == truth


def test_an_executor_that_is_shut_down_is_an_error_that_says_so():
    class Cancelling(ThreadPoolExecutor):
        def submit(self, fn, /, *args):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with Cancelling(1) as threads, pytest.raises(ConnectionError, match="has given up its tasks"):
        list(engine.completed(_squares, range(3), executor=threads))


@pytest.mark.usefixtures("processes_for_little_work")
def test_a_worker_killed_from_outside_costs_nothing_but_time(tmp_path, truth):
    learner = dataclasses.replace(LEARNER, delay=0.02, log=str(tmp_path / "log"))
    killed = []

    def kill_one():
        while not killed:
            time.sleep(0.01)
            with contextlib.suppress(OSError, IndexError, ProcessLookupError):
                worker = int((tmp_path / "log").read_text().splitlines()[2].split()[1])
                assert worker != os.getpid()
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

    killer = threading.Thread(target=kill_one)
    killer.start()
    assert digest(response_table(learner, SEEDS, executor=2)) == truth
    killer.join()
    assert killed


@pytest.mark.usefixtures("processes_for_little_work")
def test_an_error_of_the_learner_in_a_worker_is_that_error(tmp_path):
    learner = dataclasses.replace(LEARNER, broken=5)
    with pytest.raises(ArithmeticError, match="no optimum in block 5"):
        response_table(learner, SEEDS, executor=2, store=tmp_path)


def test_an_error_cancels_what_an_executor_has_not_begun():
    class Queue:
        _max_workers = 2

        def __init__(self):
            self.futures = []

        def submit(self, fn, /, *args):
            self.futures.append(Future())
            if len(self.futures) == 2:
                self.futures[1].set_exception(ArithmeticError("no optimum"))
            return self.futures[-1]

    queue = Queue()
    with pytest.raises(ArithmeticError, match="no optimum"):
        list(engine.completed(_squares, range(9), executor=queue))
    assert [future.cancelled() for future in queue.futures] == [True, False, True, True]


# --- what goes wrong in the coordinator ------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[3]
SCRIPT = """
import hashlib, sys
from sims.retrain import response_table
from wavy import Wavy
if __name__ == "__main__":
    folder, log, workers = sys.argv[1:]
    table = response_table(Wavy(delay=0.03, log=log), (0, 3), store=folder, executor=int(workers))
    print(hashlib.sha256(table.samples.tobytes()).hexdigest())
"""


def start(tmp_path, workers):
    (tmp_path / "run.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, "run.py", "s", "log", str(workers)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def journal_lines(tmp_path):
    journal = tmp_path / "s" / "journal.jsonl"
    return journal.read_text().count("\n") if journal.exists() else 0


def test_four_kills_of_the_coordinator_lose_no_finished_block_and_no_bit(tmp_path, truth):
    """Each time once a random number of further blocks is done, plus a random moment; half of the times with two workers."""
    rng = np.random.default_rng(11)
    learner, finished = dataclasses.replace(LEARNER, log=str(tmp_path / "log")), set()
    for kill in range(4):
        process = start(tmp_path, workers=1 + kill % 2)
        target, deadline = journal_lines(tmp_path) + rng.integers(0, 4), time.monotonic() + 20
        before = len(learner.computed())
        while journal_lines(tmp_path) < target and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert_all_gone(process.pid)
        assert not finished & set(learner.computed()[before:]), "a finished block was computed again"
        lines = (tmp_path / "s" / "journal.jsonl").read_text().splitlines() if journal_lines(tmp_path) else []
        finished = {int(line.split(",")[0].split(":")[1]) for line in lines if line.endswith("}")}
    process = start(tmp_path, workers=2)
    output, errors = process.communicate(timeout=60)
    assert output.strip() == truth, errors
    assert store.check(tmp_path / "s") == ([], 0)
    assert 0 < len(finished) <= 32


def test_an_interrupt_waits_while_a_process_starts_which_never_hears_of_it():
    reached = []

    def start_interrupted():
        with engine.interrupts_held_back():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    with pytest.raises(KeyboardInterrupt):
        start_interrupted()
    assert signal.SIGINT in reached[0]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with engine.process_pool(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


def interrupted_at(owner, name, monkeypatch):
    """Every call of it begins with Ctrl-C; returns the list of what the calls that came to their end gave."""
    function, finished = getattr(owner, name), []

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        finished.append(function(*arguments))
        return finished[-1]

    monkeypatch.setattr(owner, name, interrupted)
    return finished


def test_an_interrupt_waits_until_a_store_is_made(tmp_path, monkeypatch):
    made = interrupted_at(block_store, "_create", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        response_table(LEARNER, SEEDS, store=tmp_path)
    assert len(made) == 1


def test_an_interrupt_waits_until_what_is_being_stored_is_stored(tmp_path, monkeypatch):
    interrupted_at(store.BlockStore, "write", monkeypatch)
    with pytest.raises(KeyboardInterrupt, match=r"^[1-9]\d*/32 blocks are stored in "):
        response_table(LEARNER, SEEDS, store=tmp_path)


def test_an_interrupt_waits_until_a_stored_block_is_read(tmp_path, monkeypatch):
    response_table(LEARNER, SEEDS, store=tmp_path)
    blocks = interrupted_at(store.BlockStore, "read", monkeypatch)
    with pytest.raises(KeyboardInterrupt, match=r"^32/32 blocks are stored in "):
        response_table(LEARNER, SEEDS, store=tmp_path)
    assert len(blocks) == 1


def test_an_interrupt_waits_until_a_result_is_saved(tmp_path, monkeypatch):
    folders = interrupted_at(cases, "save", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        cases.run_cases(cases.jobs_of([all_experiments()["normalisation"]], small=True), out=tmp_path, quiet=True)
    assert [folder.is_dir() for folder in folders] == [True]


def test_an_interrupt_leaves_no_future_locked(monkeypatch):
    """`wait` locks every future before its with block begins: interrupted there, what a worker ends with would wait for ever."""
    lock, submitted, free = _base._AcquireFutures.__enter__, [], []

    def interrupted(futures):
        lock(futures)
        os.kill(os.getpid(), signal.SIGINT)

    class Slow:
        def submit(self, function, *arguments):
            submitted.append(threads.submit(time.sleep, 0.3))
            return submitted[-1]

    def look():
        free.append(submitted[0]._condition.acquire(blocking=False))
        if free[0]:
            submitted[0]._condition.release()

    monkeypatch.setattr(_base._AcquireFutures, "__enter__", interrupted)
    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(KeyboardInterrupt):
            list(engine.completed(tuple, ["a"], executor=Slow()))
        other = threading.Thread(target=look)
        other.start()
        other.join()
        if not free[0]:
            submitted[0]._condition.release()  # it is this thread's: the pool could not end
    assert free == [True]


def test_an_interrupt_says_how_many_blocks_are_stored_and_leaves_no_process(tmp_path):
    command = ["run", "identity", "--points", "20", "--workers", "2", "--out", "r"]
    program = "import sims.__main__ as m, sims.retrain.tables as r; r._WORTH_PROCESSES = 0.0; m.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        journals = list(tmp_path.glob("r/identity/*/journal.jsonl"))
        if journals and journals[0].read_text().count("\n") >= 2:
            break
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("Interrupted: ")
    assert "/64 blocks are stored" in last
    assert last.endswith("Run the same command to resume.")
    assert "Traceback" not in errors
    assert_all_gone(process.pid)


@pytest.mark.parametrize("delay", [0.1, 0.6, 1.0, 1.5])
def test_an_interrupt_while_processes_start_is_answered_once_and_without_a_traceback(tmp_path, delay):
    process = subprocess.Popen(
        [sys.executable, "-m", "sims", "verify", "--workers", "2", "--out", "r"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    if delay >= 0.6:  # before that, Python itself may still be starting
        assert process.returncode in (130, -signal.SIGINT), errors  # the second where an import was interrupted; a shell says 130
        assert "Traceback" not in errors
    assert_all_gone(process.pid)
