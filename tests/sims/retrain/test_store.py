"""The store: whatever happens to it, a wrong number never comes out, what is wrong is named, and what is sound is kept."""

import builtins
import dataclasses
import errno
import hashlib
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from assertions import assert_identical
from wavy import Wavy

from sims.learners import LeastSquares
from sims.retrain import living, provenance, response_table, sources, store
from sims.retrain import tables as retrain
from sims.retrain.store import journal as journals

SEEDS = (0, 3)
SMALL = Wavy(n_points=7)  # four blocks


def digest(responses):
    return hashlib.sha256(responses.samples.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def truth():
    return digest(response_table(SMALL, SEEDS))


@pytest.fixture
def full(tmp_path):
    """A complete store of SMALL."""
    response_table(SMALL, SEEDS, store=tmp_path / "s")
    return tmp_path / "s"


def chunk(folder, block):
    return folder / "responses.zarr" / "responses" / f"c.0.{block}.0"


def test_the_last_block_is_as_long_as_what_is_left():
    shape = store.TableShape((0,), 700, 1, 64)
    assert shape.n_blocks == 11
    assert shape.name(10) == "block 10 (subsets 640..699)"
    assert shape.n_rows([0, 10]) == 64 + 60


# --- what is on the disk ---------------------------------------------------------------------------------------------------


def test_a_store_opens_with_xarray_and_says_what_was_run(full):
    data = xr.open_zarr(full / "responses.zarr", consolidated=False)
    assert data.responses.dims == ("seed", "subset", "output")
    assert_identical(data.responses.values, response_table(SMALL, SEEDS).samples)
    assert_identical(data.seed.values, SEEDS)
    settings = json.loads(data.attrs["settings"])
    assert settings["learner"]["class"] == "wavy.Wavy"
    assert settings["table"] == {"seeds": [0, 3], "n_subsets": 128, "n_outputs": 2, "block_rows": 32}
    metadata = json.loads((full / "responses.zarr" / "responses" / "zarr.json").read_text())
    assert metadata["zarr_format"] == 3
    assert [codec["name"] for codec in metadata["codecs"]] == ["bytes", "crc32c"]
    assert metadata["fill_value"] == 0.0
    xr.testing.assert_identical(data.load(), store.load(full))


def test_a_second_run_reads_the_table_and_trains_nothing(tmp_path, truth):
    learner = dataclasses.replace(SMALL, log=str(tmp_path / "log"))
    first, second = (response_table(learner, SEEDS, store=tmp_path / "s") for _ in range(2))
    assert digest(first) == digest(second) == truth
    assert learner.computed() == [0, 1, 2, 3]


def test_an_error_of_the_learner_keeps_what_was_done_and_the_next_run_resumes(tmp_path):
    learner = dataclasses.replace(SMALL, log=str(tmp_path / "log"), broken=2, cure=str(tmp_path / "cure"))
    with pytest.raises(ArithmeticError, match="no optimum in block 2"):
        response_table(learner, SEEDS, store=tmp_path / "s")
    assert (tmp_path / "s" / "responses.partial.zarr").exists()
    with pytest.raises(OSError, match="is not complete, 2 blocks are missing"):
        store.load(tmp_path / "s")
    (tmp_path / "cure").touch()
    response_table(learner, SEEDS, store=tmp_path / "s")
    assert learner.computed() == [0, 1, 2, 2, 3]


def test_blocks_of_zeros_are_blocks_like_others(tmp_path):
    nothing = LeastSquares(np.eye(3), np.zeros(3), np.eye(3), l2=0.1)
    response_table(nothing, SEEDS, store=tmp_path)
    assert store.check(tmp_path) == ([], 0)
    assert not response_table(nothing, SEEDS, store=tmp_path).samples.any()


# --- damage ----------------------------------------------------------------------------------------------------------------


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def swap(one, other):
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def flip_end(path):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\v", 1))  # one bit


def edit_line(path):
    lines = path.read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace('"sha256": "', '"sha256": "0', 1)
    path.write_text("".join(lines))


def add_line(folder):
    fingerprint = json.loads((folder / "run.json").read_text())["fingerprint"]
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write(journals.line(fingerprint, 1, 64 * "0"))


def transplant(folder):
    """Chunks and journal that fit each other, but not run.json."""
    other = folder.with_name("other")
    response_table(SMALL, (8, 9), store=other)
    for name in ("journal.jsonl", *(f"responses.zarr/responses/c.0.{block}.0" for block in range(4))):
        shutil.copy(other / name, folder / name)


DAMAGES = {
    "a flipped byte": (lambda s: flip(chunk(s, 1)), "block 1 (subsets 32..63)"),
    "a truncated chunk": (lambda s: os.truncate(chunk(s, 1), 100), "block 1 (subsets 32..63)"),
    "an emptied chunk": (lambda s: chunk(s, 3).write_bytes(b""), "block 3 (subsets 96..127)"),
    "a deleted chunk": (lambda s: chunk(s, 0).unlink(), "c.0.0.0 is missing"),
    "swapped chunks": (lambda s: swap(chunk(s, 1), chunk(s, 2)), "c.0.2.0 are not those that were stored"),
    "a flipped end of a journal line": (lambda s: flip_end(s / "journal.jsonl"), "journal.jsonl was edited"),
    "an edited journal line": (lambda s: edit_line(s / "journal.jsonl"), "journal.jsonl, about block 1"),
    "a journal line of nonsense": (lambda s: (s / "journal.jsonl").write_text("{}\n"), "journal.jsonl was edited"),
    "a second line about a block": (add_line, "journal.jsonl gives block 1 (subsets 32..63) a second sha256"),
    "the table of another run": (transplant, "journal.jsonl, about block 0 (subsets 0..31), was edited or damaged"),
    "a deleted journal": (lambda s: (s / "journal.jsonl").unlink(), "journal.jsonl is missing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_refused_and_repair_brings_the_same_table_back(name, full, truth):
    damage, message = DAMAGES[name]
    damage(full)
    damages, _ = store.check(full)
    assert any(message in found.reason for found in damages), damages
    with pytest.raises(OSError, match=r"sims check .* --repair"):
        response_table(SMALL, SEEDS, store=full)
    with pytest.raises(OSError, match="is damaged"):
        store.load(full)
    store.check(full, repair=True)
    assert store.check(full)[0] == []
    assert not (full / "responses.zarr").exists(), "it is not complete any more, and must not be named so"
    assert not any((full / "responses.partial.zarr/responses" / f"c.0.{found.block}.0").exists() for found in damages)
    assert digest(response_table(SMALL, SEEDS, store=full)) == truth
    assert store.check(full) == ([], 0)


def read_only(*table, store):
    """The digest of a table of which no block may be computed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(retrain, "_compute", lambda *_: pytest.fail("a block was computed"))
        return digest(response_table(*table, store=store))


METADATA = ["zarr.json", "responses/zarr.json", "seed/zarr.json", "seed/c/0"]


def other_shape(file):
    record = json.loads(file.read_text())
    record["shape"][-1] += 1
    file.write_text(json.dumps(record))


def big_endian(file):
    file.write_text(file.read_text().replace("little", "big"))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, damage) for name in METADATA for damage in (flip, Path.unlink, lambda file: os.truncate(file, 3))),
        *((name, damage) for name in METADATA[1:3] for damage in (other_shape, big_endian)),
    ],
)
def test_damaged_metadata_cost_no_block_and_are_written_again_by_repair_or_by_the_next_run(full, tmp_path, truth, name, damage):
    file = full / "responses.zarr" / name
    sound = file.read_bytes()
    damage(file)
    assert [found.reason.partition(" is ")[0] for found in store.check(full)[0]] == [str(file)]
    with pytest.raises(OSError, match=f"is damaged: {file} is"):
        store.load(full)
    shutil.copytree(full, tmp_path / "copy")
    assert store.check(full, repair=True)[1] == 0
    assert file.read_bytes() == sound
    assert read_only(SMALL, SEEDS, store=tmp_path / "copy") == truth
    for folder in (full, tmp_path / "copy"):
        assert store.check(folder) == ([], 0)
        assert_identical(store.load(folder).seed.values, SEEDS)


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_journal_that_has_lost_whole_lines_is_named_and_their_blocks_are_computed_again_repaired_or_not(
    full, truth, kept, repair
):
    journal = full / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:kept]))
    damages, missing = store.check(full, repair=repair)
    expected = f"{journal} has lost the lines of {4 - kept} blocks: the table was complete"
    assert ([damage.reason for damage in damages], missing) == ([expected], 4 - kept)
    assert store.check(full)[0] == ([] if repair else damages)
    with pytest.raises(OSError, match="is not complete" if repair else "is damaged"):
        store.load(full)
    assert digest(response_table(SMALL, SEEDS, store=full)) == truth
    assert store.check(full) == ([], 0)


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("kept", [1, 40, 99])
def test_a_torn_last_line_is_named_and_its_block_computed_again_repaired_or_not(full, truth, kept, repair):
    journal = full / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]) + lines[-1][:kept])
    damages, missing = store.check(full, repair=repair)
    assert ([damage.reason.split(":")[0] for damage in damages], missing) == ([f"line {len(lines)} of {journal} is torn"], 1)
    assert store.check(full)[0] == ([] if repair else damages)
    assert digest(response_table(SMALL, SEEDS, store=full)) == truth
    assert store.check(full) == ([], 0)


@pytest.mark.parametrize("damage", [flip, Path.unlink, lambda file: file.write_text("{}")])
def test_lost_settings_come_back_from_their_copy_and_cost_no_block(full, truth, damage):
    damage(full / "run.json")
    assert store.find_stores(full.parent) == [full]
    assert [found.reason.partition(" ")[0] for found in store.check(full)[0]] == [str(full / "run.json")]
    with pytest.raises(OSError, match=r"run.json.*sims check .* --repair"):
        response_table(SMALL, SEEDS, store=full)
    store.check(full, repair=True)
    assert store.check(full) == ([], 0)
    assert read_only(SMALL, SEEDS, store=full) == truth


def test_without_settings_and_their_copy_nothing_can_be_trusted_and_a_person_must_delete(full):
    flip(full / "run.json")
    flip(full / "responses.zarr/zarr.json")
    for repair in (False, True):
        (damage,), _ = store.check(full, repair=repair)
        assert f"delete {full} to start again" in damage.reason


def test_a_lost_array_is_computed_again_after_a_repair(full, truth):
    shutil.rmtree(full / "responses.zarr")
    with pytest.raises(OSError, match=r"chunk .* is missing.*sims check .* --repair"):
        response_table(SMALL, SEEDS, store=full)
    assert store.check(full, repair=True)[1] == 4
    assert digest(response_table(SMALL, SEEDS, store=full)) == truth
    assert store.check(full) == ([], 0)


def test_a_check_needs_no_permission_to_write_and_disturbs_no_writer(full):
    with store.open_store(full, provenance.settings_of(SMALL), retrain.table_shape(SMALL, SEEDS)):
        assert store.check(full) == ([], 0)
    lock = full / "lock"
    before = {file: file.stat().st_mtime_ns for file in full.rglob("*")}
    store.check(full)
    assert {file: file.stat().st_mtime_ns for file in full.rglob("*")} == before
    lock.unlink()
    assert store.check(full) == ([], 0)
    assert not lock.exists()


def test_the_check_command_names_damage_with_exit_1_and_repairs_it(answer, full):
    command = ("sims", "check", str(full.parent))
    totals = r"1 table, 0 folders of results, \d+ files, [\d.]+ kB, all sound\.\n"
    assert re.fullmatch(totals, answer(*command)[1])
    flip(chunk(full, 1))
    status, printed, _ = answer(*command)
    assert status == 1
    assert "block 1 (subsets 32..63)" in printed
    assert answer(*command, "--repair")[0] == 0
    status, printed, _ = answer(*command)
    assert status == 0
    assert re.fullmatch(re.escape(f"{full}: sound, 1 block to make\n") + totals, printed)


def test_the_check_command_ends_with_1_where_a_repair_is_not_possible(answer, full):
    flip(full / "run.json")
    flip(full / "responses.zarr/zarr.json")
    status, printed, _ = answer("sims", "check", str(full), "--repair")
    assert status == 1
    assert f"delete {full} to start again" in printed
    assert printed.endswith("1 of them cannot be repaired, as is said above.\n")


# --- who may write, and what -----------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_with_the_process_that_writes(full):
    settings = provenance.settings_of(SMALL)
    with (
        store.open_store(full, settings, retrain.table_shape(SMALL, SEEDS)),
        pytest.raises(OSError, match=f"is being written by process {os.getpid()}"),
    ):
        response_table(SMALL, SEEDS, store=full)
    response_table(SMALL, SEEDS, store=full)


@pytest.mark.parametrize(
    ("learner", "seeds", "difference"),
    [
        (Wavy(n_points=7, delay=1e-9), SEEDS, r"learner.delay: the store has 0.0, this run 1e-09\. Choose"),
        (SMALL, (0, 4), r"table.seeds: the store has \[0, 3\], this run \[0, 4\]\. Choose"),
        (Wavy(n_points=6), SEEDS, r"learner.n_points: the store has 7, this run 6; table.n_subsets"),
    ],
)
def test_another_run_is_refused_with_all_that_differs(full, learner, seeds, difference):
    with pytest.raises(ValueError, match=difference):
        response_table(learner, seeds, store=full)


@pytest.mark.parametrize(
    ("of", "name", "value", "message"),
    [
        (provenance, "hardware", {"machine": "abacus"}, "hardware.machine: the store has .*, this run abacus"),
        (sources, "version_of", "1.0", r"versions.numpy: the store has .*, this run 1.0"),
        (sources, "meaning", "0", r"code.wavy: the store has .*, this run 0\."),
        (living, "class_in_memory", "0", r"in_memory.wavy.Wavy: the store has .*, this run 0\."),
    ],
)
def test_other_hardware_versions_and_code_are_refused_by_name(full, of, name, value, message, monkeypatch):
    monkeypatch.setattr(of, name, lambda *_, **__: value)
    with pytest.raises(ValueError, match=f"holds another run: .*{message}"):
        response_table(SMALL, SEEDS, store=full)


@pytest.mark.parametrize("module", ["nowhere", "__main__"])
def test_a_learner_that_no_file_defines_is_refused_by_a_store(tmp_path, module, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))  # that of a notebook
    namespace = {"__name__": module}
    exec("class Typed:\n    n_points = n_outputs = 1\n    def respond(self, weights, seeds): ...", namespace)
    with pytest.raises(ValueError, match=r"Typed was not read from a file, .*: put it into a module"):
        response_table(namespace["Typed"](), (0,), store=tmp_path)


# --- the disk --------------------------------------------------------------------------------------------------------------


class FailingDisk:
    """Counts the calls that touch a folder, and lets the n-th fail with EIO."""

    def __init__(self, monkeypatch, folder, fail_at):
        self.count, self.folder, self.fail_at, self.descriptors = 0, str(folder), fail_at, set()
        for module, name in ((os, "open"), (io, "open"), (builtins, "open"), (os, "replace"), (os, "rename"), (os, "mkdir")):
            monkeypatch.setattr(module, name, self.by_path(getattr(module, name)))
        for name in ("fsync", "write"):
            monkeypatch.setattr(os, name, self.by_descriptor(getattr(os, name)))

    def call(self, what):
        self.count += 1
        if self.count == self.fail_at:
            raise OSError(errno.EIO, f"the disk failed in {what}")

    def by_path(self, function):
        def wrapped(path, *args, **kwargs):
            ours = not isinstance(path, int) and self.folder in os.fspath(path)
            if ours:
                self.call(function.__name__)
            result = function(path, *args, **kwargs)
            if ours and isinstance(result, int):
                self.descriptors.add(result)
            return result

        return wrapped

    def by_descriptor(self, function):
        def wrapped(descriptor, *args):
            if descriptor in self.descriptors:
                self.call(function.__name__)
            return function(descriptor, *args)

        return wrapped


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # zarr's open coroutines
def test_whichever_call_to_the_disk_fails_the_table_is_right_or_refused_and_the_next_run_completes_it(tmp_path, truth):
    n, failures = 0, 0
    while True:
        n += 1
        folder = tmp_path / str(n)
        with pytest.MonkeyPatch.context() as patch:
            disk = FailingDisk(patch, folder, n)
            try:
                assert digest(response_table(SMALL, SEEDS, store=folder)) == truth
            except OSError:
                failures += 1
        if (folder / "run.json").exists():
            assert store.check(folder)[0] == [], f"call {n}: what the journal lists must be on the disk"
        assert digest(response_table(SMALL, SEEDS, store=folder)) == truth, f"call {n}"
        assert store.check(folder) == ([], 0)
        if disk.count < n:
            break
        shutil.rmtree(folder)
    assert n > 40
    assert failures > 30


def test_a_line_follows_its_chunk_on_the_disk_and_nothing_goes_on_before_the_line_is_there_too(tmp_path, monkeypatch):
    """What a power cut leaves: every call that orders what reaches the disk, and every file as it was at its fsync."""
    calls, synced = [], {}
    partial = re.compile(r"\.([^/]+)\.[0-9a-f]{32}\.partial")  # what is written, before it gets its name

    def called(name, path):
        if path.is_relative_to(tmp_path):
            calls.append((name, partial.sub(r"\1", str(path.relative_to(tmp_path)))))
            synced[calls[-1][1]] = os.stat(path)

    def by_descriptor(name, function):
        def wrapped(descriptor, *args):
            result = function(descriptor, *args)
            called(name, Path(os.readlink(f"/proc/self/fd/{descriptor}")))
            return result

        monkeypatch.setattr(os, name, wrapped)

    def by_path(name, function):
        def wrapped(source, target, **kwargs):
            result = function(source, target, **kwargs)
            called(name, Path(target))
            return result

        monkeypatch.setattr(os, name, wrapped)

    for name in ("fsync", "write"):
        by_descriptor(name, getattr(os, name))
    for name in ("rename", "replace"):
        by_path(name, getattr(os, name))
    response_table(SMALL, SEEDS, store=tmp_path / "new" / "s")
    assert {("fsync", "."), ("fsync", "new")} <= set(calls)
    calls = [(name, path.removeprefix("new/")) for name, path in calls]
    of_store = [(name, path) for name, path in calls if not path.startswith("s/responses.partial.zarr") or name == "fsync"]

    made = of_store.index(("replace", "s/run.json"))
    assert of_store[made - 1 : made + 3] == [
        ("fsync", "s/run.json"),
        ("replace", "s/run.json"),
        ("fsync", "s"),
        ("fsync", "new"),
    ]
    before, array = of_store[:made], tmp_path / "new" / "s" / "responses.zarr"
    for path in (array, *array.rglob("*")):
        if not path.name.startswith("c.0."):
            assert ("fsync", f"s/responses.partial.zarr/{path.relative_to(array)}".removesuffix("/.")) in before
    journal, folder = "s/journal.jsonl", "s/responses.partial.zarr/responses"
    assert of_store[made + 3 :] == [
        *(
            call
            for block in range(4)
            for call in (("fsync", f"{folder}/c.0.{block}.0"), ("fsync", folder), ("write", journal), ("fsync", journal))
        ),
        ("rename", "s/responses.zarr"),
        ("fsync", "s"),
    ]
    for block in range(4):
        then, now = synced[f"new/{folder}/c.0.{block}.0"], chunk(tmp_path / "new" / "s", block).stat()
        assert (then.st_ino, then.st_size, then.st_mtime_ns) == (now.st_ino, now.st_size, now.st_mtime_ns), (
            "written after its fsync"
        )


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_whole_lines(tmp_path, monkeypatch, truth):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    assert digest(response_table(SMALL, SEEDS, store=tmp_path)) == truth
    assert store.check(tmp_path) == ([], 0)


def test_a_full_disk_ends_with_a_line_and_what_is_stored_is_sound(tmp_path):
    """A limit on the size of files stands for a full disk: the chunks of 2^16 subsets x 16 outputs are 2 MiB."""
    command = [sys.executable, "-m", "sims", "run", "identity", "--points", "16", "--workers", "1", "--out", str(tmp_path)]
    limited = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    )
    assert limited.returncode == 1
    assert "Traceback" not in limited.stderr
    assert re.search(r"File too large.*; 0/4 blocks are stored in .*\.table, the same command resumes", limited.stderr)
    tables = store.find_stores(tmp_path)
    assert tables
    assert all(store.check(table)[0] == [] for table in tables)


def test_paths_with_spaces_and_text_serve(tmp_path, truth):
    assert digest(response_table(SMALL, SEEDS, store=str(tmp_path / "a folder" / "of tables"))) == truth
    assert store.find_stores(tmp_path) == [Path(tmp_path / "a folder" / "of tables")]
