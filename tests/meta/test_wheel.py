"""The wheel: it holds the face and the three packages, nothing else, and works from any folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("theory", "sims", "figures")


def run(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=240
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built without network from a copy of the sources, where no earlier build has left anything."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dfdw.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = ("-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(out))
    process = run(*build, cwd=source, PIP_DISABLE_PIP_VERSION_CHECK="1")
    assert process.returncode == 0, process.stdout + process.stderr
    (file,) = out.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site-packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_it_holds_every_module_and_file_of_the_packages_but_pictures(wheel):
    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "gallery" not in path.parts
    }
    assert files == expected | {"dfdw.py"}


def test_its_types_are_for_users_too(wheel):
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(zipfile.ZipFile(wheel).namelist())


def test_it_names_its_licence_and_its_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        assert "dfdw = sims.__main__:main" in archive.read(info["entry_points.txt"]).decode()
        assert "MIT License" in archive.read(info["LICENSE"]).decode()
        assert "License-Expression: MIT" in archive.read(info["METADATA"]).decode()


def test_the_citation_and_the_changelog_name_its_version(wheel):
    version = wheel.name.split("-")[1]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert version in (ROOT / "CHANGELOG.md").read_text()


def test_its_commands_run_from_another_folder(unpacked, tmp_path):
    where = run("-c", "import dfdw, sims, theory, figures; print(sims.__file__)", cwd=tmp_path, PYTHONPATH=str(unpacked))
    assert Path(where.stdout.strip()).is_relative_to(unpacked)
    at_once = {"PYTHONPATH": str(unpacked), "NUMBA_DISABLE_JIT": "1"}  # other tests compile: here it would be done once more
    process = run("-m", "sims", "run", "leverage", "--small", cwd=tmp_path, **at_once)
    assert process.returncode == 0, process.stderr
    assert len(list((tmp_path / "results" / "leverage").glob("*.zarr"))) == 2
    drawn = run("-m", "figures", "leverage", cwd=tmp_path, **at_once)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "results" / "figures" / "leverage.png").is_file()


def test_its_command_goes_by_the_name_dfdw(unpacked, tmp_path):
    code = "import sys; sys.argv[0] = 'bin/dfdw'; from sims.__main__ import main; main()"
    process = run("-c", code, "--help", cwd=tmp_path, PYTHONPATH=str(unpacked))
    assert process.stdout.startswith("Usage: dfdw [OPTIONS] COMMAND")
