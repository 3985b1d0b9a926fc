"""A results folder: whatever happens to it, a reader gets what was written, or an error that names the file."""

import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from theory import storage
from theory.storage.files import leftovers, write_whole

MANIFEST = storage.MANIFEST


def case(scale=1.0, name="moons-8 mlp"):
    attributes = {"experiment": "identity", "case": name, "options": json.dumps({"l2": "0.1"})}
    values = {"beta": (("point", "output"), scale * np.arange(6.0).reshape(3, 2)), "zero": ((), 0.0)}
    return xr.Dataset(values, {"point": np.array(["a", "bb", "c"], dtype=object)}, attributes)


@pytest.fixture
def folder(tmp_path):
    """A results folder with two results, a file, and a file in a folder."""
    storage.save(case(), tmp_path)
    storage.save(case(3.0, "moons-8 ridge"), tmp_path)
    storage.keep(tmp_path / "report.html", b"<p>report")
    storage.keep(tmp_path / "figures" / "identity.json", b"{}")
    return tmp_path


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def named_by(faults, path):
    """Whether one of the faults names a file, or the result that it is a part of."""
    return any(str(part) in fault for fault in faults for part in (path, *path.parents) if part.suffix)


# --- what is written comes back -------------------------------------------------------------------------------------------------


def test_what_is_saved_comes_back_and_opens_with_xarray(folder):
    first, second = storage.read(folder, "identity")
    xr.testing.assert_identical(first, case())
    xr.testing.assert_identical(second, case(3.0, "moons-8 ridge"))
    plain = xr.open_zarr(storage.case_folder(folder, "identity", "moons-8 mlp"), chunks=None).load()
    xr.testing.assert_identical(plain, case())
    assert storage.experiments_in(folder) == ["identity"]
    assert storage.read(folder, "another") == []
    assert storage.ResultsFolder(folder).check() == ([], 0)


@given(st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "e.zarr/f"]), st.binary(max_size=20), min_size=1, max_size=4))
def test_a_folder_of_any_files_comes_back_and_its_sha256_is_that_of_no_other(files):
    assert storage.digest(files) == storage.digest(dict(reversed(files.items())))
    for name in files:
        assert storage.digest({**files, name: files[name] + b"x"}) != storage.digest(files)
        assert storage.digest({key: part for key, part in files.items() if key != name}) != storage.digest(files)
        moved = {**{key: part for key, part in files.items() if key != name}, name + "x": files[name]}
        assert storage.digest(moved) != storage.digest(files)


def test_the_same_result_is_not_written_again_and_a_damaged_one_is(folder):
    path = storage.case_folder(folder, "identity", "moons-8 mlp")
    before = (path / "zarr.json").stat().st_ino
    storage.save(case(), folder)
    assert (path / "zarr.json").stat().st_ino == before
    (path / "zarr.json").write_text("{}")
    storage.save(case(), folder)
    xr.testing.assert_identical(storage.read(folder, "identity")[0], case())


def test_a_file_outside_a_results_folder_is_written_whole_and_listed_nowhere(tmp_path):
    assert storage.keep(tmp_path / "new" / "a.json", b"{}").read_bytes() == b"{}"
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "a.json"]


def test_nested_folders_have_manifests_of_their_own(folder):
    storage.save(case(), folder / "user" / "file")
    storage.keep(folder / "user" / "file" / "figures" / "a.png", b"x")
    assert "figures/a.png" in storage.ResultsFolder(folder / "user" / "file").listed()
    assert storage.ResultsFolder(folder).check() == ([], 0)


# --- damage -------------------------------------------------------------------------------------------------------------

DAMAGES = {
    "flipped at the start": lambda file: file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:]),
    "flipped at the end": lambda file: file.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1])),
    "removed": lambda file: file.unlink(),
    "truncated": lambda file: os.truncate(file, file.stat().st_size // 2),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damaged_file_is_named_no_reader_gets_another_number_and_repair_and_rerun_restore_every_bit(
    folder, tmp_path_factory, damage
):
    """Every file gets two of the four damages; `tests/faults` has all, many times over."""
    sound = files_of(folder)
    for name in sorted(sound)[list(DAMAGES).index(damage) % 2 :: 2]:
        copy = tmp_path_factory.mktemp("copy")
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        DAMAGES[damage](copy / name)
        check = storage.ResultsFolder(copy)
        damaged = files_of(copy)
        faults, _ = check.check()
        assert named_by(faults, copy / name), (name, faults)
        assert files_of(copy) == damaged, "a check writes nothing"
        if ".zarr" in str(name) or str(name) == MANIFEST:
            with pytest.raises(OSError, match=r"sims check .* --repair"):
                storage.read(copy, "identity")
        check.check(repair=True)
        assert check.check()[0] == []
        storage.save(case(), copy)
        storage.save(case(3.0, "moons-8 ridge"), copy)
        storage.keep(copy / "report.html", b"<p>report")
        storage.keep(copy / "figures" / "identity.json", b"{}")
        assert files_of(copy) == sound
        assert check.check() == ([], 0)


def test_swapped_results_are_both_named(folder):
    first, second = (storage.case_folder(folder, "identity", f"moons-8 {learner}") for learner in ("mlp", "ridge"))
    first.rename(folder / "other")
    second.rename(first)
    (folder / "other").rename(second)
    faults, _ = storage.ResultsFolder(folder).check()
    assert named_by(faults, first)
    assert named_by(faults, second)
    with pytest.raises(OSError, match="is damaged"):
        storage.read(folder, "identity")


def test_a_result_that_was_copied_to_its_place_is_refused(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    storage.save(case(5.0, "moons-8 bistable"), other)
    shutil.copytree(other / "identity", folder / "identity", dirs_exist_ok=True)
    with pytest.raises(OSError, match=r"bistable\.zarr is not listed in manifest\.json"):
        storage.read(folder, "identity")


def test_repair_removes_nothing_that_is_sound_even_without_a_manifest(folder):
    (folder / MANIFEST).unlink()
    sound = files_of(folder)
    faults, wanted = storage.ResultsFolder(folder).check(repair=True)
    assert (faults, wanted) == ([f"{folder / MANIFEST} is missing, and there are results"], 2)
    assert {name: part for name, part in files_of(folder).items() if name != Path(MANIFEST)} == sound
    with pytest.raises(OSError, match="its sha256 was lost"):
        storage.read(folder, "identity")


# --- those who write ----------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """What stands for the end of a process: nothing that runs afterwards can put anything right."""


def test_a_reader_finds_the_earlier_or_the_later_result_wherever_its_writer_was_killed(tmp_path, monkeypatch):
    """Every call that changes names is the last one of some writer."""
    n_calls, seen = 0, set()
    for last in range(1, 100):
        folder = tmp_path / str(last)
        storage.save(case(), folder)
        calls = 0

        def counted(function, last=last):
            def wrapped(*args, **kwargs):
                nonlocal calls
                calls += 1
                if calls >= last:  # later calls belong to a `finally`, which a killed process does not reach
                    raise Killed
                return function(*args, **kwargs)

            return wrapped

        with monkeypatch.context() as patched:
            for name in ("rename", "replace", "mkdir", "unlink", "rmdir", "fsync"):
                patched.setattr(os, name, counted(getattr(os, name)))
            patched.setattr(shutil, "rmtree", counted(shutil.rmtree))
            with suppress(Killed):
                storage.save(case(2.0), folder)
        (found,) = storage.read(folder, "identity")
        seen.add(float(found.beta[0, 1]))
        assert found.identical(case()) or found.identical(case(2.0))
        storage.save(case(2.0), folder)
        assert storage.read(folder, "identity")[0].identical(case(2.0))
        assert not [path for inner in folder.rglob("*") if inner.is_dir() for path in leftovers(inner)]
        assert storage.ResultsFolder(folder).check() == ([], 0)
        n_calls = calls
        if calls < last:
            break
    assert seen == {1.0, 2.0}
    assert n_calls > 20


def test_what_killed_writers_left_is_named_and_removed_by_the_next_run(folder):
    left = folder / "identity" / ".moons-8_mlp.zarr.0123.partial"
    left.mkdir()
    faults, _ = storage.ResultsFolder(folder).check()
    assert faults == [f"{left} was left by a process that was killed"]
    storage.ResultsFolder.made(folder)
    assert storage.ResultsFolder(folder).check() == ([], 0)


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_readers_beside_a_writer_get_one_version_as_a_whole(tmp_path):
    versions = [case(float(scale)) for scale in range(1, 5)]
    storage.save(versions[0], tmp_path)
    with ThreadPoolExecutor(2) as pool:
        writer = pool.submit(lambda: [storage.save(versions[turn % 4], tmp_path) for turn in range(40)])
        while not writer.done():
            (found,) = storage.read(tmp_path, "identity")
            assert any(found.identical(version) for version in versions)
        writer.result()


@pytest.mark.filterwarnings("ignore:Consolidated metadata")  # the filters of threads are one
def test_writers_at_the_same_time_lose_nothing(tmp_path):
    cases = [case(1.0, f"case {number}") for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: storage.save(one, tmp_path), cases))
    assert len(storage.read(tmp_path, "identity")) == 12
    assert storage.ResultsFolder(tmp_path).check() == ([], 0)


def test_a_full_disk_leaves_the_earlier_file_and_says_which_could_not_be_written(folder, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"manifest.json could not be written: .*No space left"):
            storage.save(case(2.0), folder)
    assert storage.read(folder, "identity")[0].identical(case())
    assert storage.ResultsFolder(folder).check() == ([], 0)


def test_a_second_process_waits_for_the_lock_and_names_who_holds_it(tmp_path):
    file = tmp_path / "lock"
    with storage.locked(file, "the folder"):
        second = storage.locked(file, "the folder", patience=0.1)
        with pytest.raises(BlockingIOError, match=f"the folder is being written by process {os.getpid()}"), second:
            pass
    with storage.locked(file, "the folder"):
        pass


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_is_removed_while_it_is_written_is_missed_also_where_another_took_its_place(tmp_path, again, at_once):
    def written():
        with storage.staying(tmp_path / "out") as require:
            storage.save(case(), tmp_path / "out")
            require()
            shutil.rmtree(tmp_path / "out")
            if again:
                storage.save(case(), tmp_path / "out")
            if at_once:
                require()
                pytest.fail("it was not missed")

    with pytest.raises(FileNotFoundError, match="out was removed or replaced"):
        written()


def test_a_file_takes_the_place_of_an_earlier_one_whole(tmp_path):
    write_whole(tmp_path / "f", b"one")
    write_whole(tmp_path / "f", b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("f", b"two")]
