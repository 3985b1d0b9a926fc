"""Sidecars say what a picture was made of, and --check says which of it is no longer so."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from stored import computed, renamed, stored

from figures.__main__ import cli
from figures.pictures import draw_picture
from figures.results import fingerprint
from sims.experiments.shared.results import save
from theory.storage import ResultsFolder


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def drawn_once(tmp_path_factory):
    folder = stored(tmp_path_factory.mktemp("a run") / "my results", "leverage")
    result = run("leverage", "--from", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def drawn(drawn_once, tmp_path):
    return shutil.copytree(drawn_once, tmp_path / "r")


def check(folder):
    result = run("leverage", "--check", "--from", folder)
    return result.exit_code, result.output


def test_a_sidecar_names_results_seeds_scripts_versions_and_files(drawn):
    record = json.loads((drawn / "figures" / "leverage.json").read_text())
    first = computed("leverage")[0]
    of_case = record["results"]["leverage"][first.attrs["case"]]
    assert of_case["sha256"] == fingerprint(
        xr.open_zarr(next(drawn.glob(f"leverage/{first.attrs['data']}*.zarr")), consolidated=False)
    )
    assert of_case["config"]["problem"]["data"] == first.attrs["data"]
    assert set(record["scripts"]) == {"fig_leverage.py", "results.py", "style.py"}
    assert {"numpy", "matplotlib", "freetype", "python"} <= set(record["versions"])
    assert set(record["files"]) == {"leverage.png", "leverage.svg"}
    assert "leverage" in record["description"].lower()


def test_the_same_results_give_the_same_files_and_nothing_is_drawn_by_a_check(drawn, tmp_path):
    assert run("leverage", "--from", drawn, "--out", tmp_path / "again").exit_code == 0
    for file in (drawn / "figures").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name
    before = {file: file.stat().st_mtime_ns for file in drawn.rglob("*")}
    code, said = check(drawn)
    assert (code, said) == (0, "1 figure as the sidecar says, the same bytes when made again\n")
    assert {file: file.stat().st_mtime_ns for file in drawn.rglob("*")} == before


def flip(folder):
    file = folder / "figures" / "leverage.png"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)


def rewrite(key, change):
    def edit(folder):
        file = folder / "figures" / "leverage.json"
        record = json.loads(file.read_text())
        change(record[key])
        file.write_text(json.dumps(record))

    return edit


def one_more_case(folder):
    save(renamed(computed("leverage")[0], "mine"), folder)


def one_other_number(folder):
    result = computed("leverage")[0].copy(deep=True)
    result.ratio[0] = np.nextafter(result.ratio[0], np.inf)
    save(result, folder)


def a_case_less(folder):
    shutil.rmtree(next(folder.glob("leverage/longley*.zarr")))
    ResultsFolder(folder).check(repair=True)  # which forgets what is missing


def no_case(folder):
    shutil.rmtree(folder / "leverage")
    ResultsFolder(folder).check(repair=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flip, "leverage.png is not the picture that its sidecar describes"),
        (lambda folder: (folder / "figures/leverage.svg").unlink(), "leverage.svg is missing"),
        (lambda folder: (folder / "figures/leverage.json").unlink(), "leverage.json is missing, so nothing says"),
        (lambda folder: (folder / "figures/leverage.json").write_text("[]"), "leverage.json is not a sidecar"),
        (one_more_case, "the results have leverage: mine-"),
        (a_case_less, "it shows leverage: longley-9 least_squares l2=0.001, which the results no longer have"),
        (one_other_number, "has changed since (sha256)"),
        (rewrite("scripts", lambda scripts: scripts.update({"style.py": "0"})), "figures/style.py has changed since"),
        (rewrite("files", lambda files: files.update({"leverage.svg": "0"})), "leverage.svg drawn again has other bytes"),
        (no_case, "no results of 'leverage'"),
    ],
)
def test_a_check_names_what_differs_and_ends_with_1(drawn, change, message):
    change(drawn)
    result = run("--check", "leverage", "--from", drawn) if (drawn / "leverage").exists() else None
    if result is None:  # another experiment's results keep the folder from being empty
        stored(drawn, "normalisation")
        result = run("--check", "--from", drawn)
    assert result.exit_code == 1
    assert f"figure leverage: {message}" in result.output or message in result.output
    assert f"python -m figures leverage --from {drawn}" in result.output


def test_other_versions_are_told_and_are_no_mismatch(drawn):
    rewrite("versions", lambda versions: versions.update(matplotlib="3.0"))(drawn)
    code, said = check(drawn)
    assert code == 0
    assert "versions differ (matplotlib 3.0, now " in said


def test_a_title_that_says_what_was_found_elsewhere_gives_way_to_the_caption_on_own_data():
    (case,) = computed("leverage")[:1]
    config = json.loads(case.attrs["config"])
    config["problem"]["data"] = {"path": "mine.csv", "target": "y"}
    own = case.assign_attrs(config=json.dumps(config))
    here, there = (draw_picture("leverage", {"leverage": [ds]}) for ds in (case, own))
    assert "Influence misses leave-one-out by the factor" in here.files["svg"].decode()
    assert "Influence misses leave-one-out by the factor" not in there.files["svg"].decode()
    assert "Leave-one-out over influence, point by point" in there.files["svg"].decode()


def test_a_check_of_a_folder_without_pictures_is_an_error(tmp_path):
    result = run("--check", "--from", stored(tmp_path, "normalisation"))
    assert isinstance(result.exception, FileNotFoundError)
    assert "nothing to check" in str(result.exception)


def test_a_fingerprint_sees_every_value_name_dimension_and_attribute():
    ds = xr.Dataset({"a": (("x", "y"), np.zeros((2, 2)))}, {"x": np.array(["u", "v"], object)}, {"case": "one"})
    others = [
        ds.rename(a="b"),
        ds.rename(y="z"),
        ds.assign_attrs(case="two"),
        ds.assign_coords(x=np.array(["u", "w"], object)),
        ds.assign(a=ds.a + np.array([[0.0, 0.0], [0.0, 1e-300]])),
        ds.assign(a=ds.a.astype(np.float32)),
        ds.assign(a=-ds.a),
    ]
    prints = [fingerprint(one) for one in (ds, *others)]
    assert len(set(prints)) == len(prints)
    assert fingerprint(ds.copy(deep=True)) == prints[0]
