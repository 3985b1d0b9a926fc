"""The commands `truth` and `judge`, as a user meets them: what they write and print, and what they refuse."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sims.referee import PROBLEMS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a truth, made by the command, and scores as a library might have them."""
    place = tmp_path_factory.mktemp("referee")
    command = [sys.executable, "-m", "sims", "truth", "xor_young", "--out", "truths"]
    done = subprocess.run(
        command, cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["truths/xor_young.npz", "truths/xor_young.json"]
    truth = np.load(place / "truths/xor_young.npz")
    np.save(place / "scores.npy", -8.0 * truth["D1"].T)
    np.save(place / "one.npy", truth["D1_by_seed"][2])
    return place


def test_the_list_names_every_truth(answer):
    status, out, _ = answer("sims", "truth")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[:-1]] == list(PROBLEMS)


def test_the_judge_says_sign_scale_and_orientation(answer, folder):
    status, out, _ = answer("sims", "judge", str(folder / "scores.npy"), "--truth", str(folder / "truths/xor_young.npz"))
    assert status == 0
    assert "query x train" in out
    assert "They are -8 times D(1)" in out
    assert "They are N = 8 times too large. Divide by N" in out


def test_scores_of_one_seed_are_right_with_its_number_alone(answer, folder):
    command = ["judge", str(folder / "one.npy"), "--truth", str(folder / "truths/xor_young.npz"), "--json"]
    found = [json.loads(answer("sims", *command, *more)[1]) for more in (["--seed", "2"], [])]
    assert found[0]["causes"] == []
    assert found[0]["estimates"] == "D1"
    assert found[1]["mismatch"] > 0.01


def test_json_is_all_that_is_printed_and_a_picture_is_drawn(answer, folder, tmp_path):
    picture = tmp_path / "scores.png"
    command = ["judge", str(folder / "scores.npy"), "--truth", str(folder / "truths/xor_young.npz")]
    status, out, err = answer("sims", *command, "--json", "--figure", str(picture))
    assert (status, json.loads(out)["factor"]) == (0, -8.0)
    assert "figure: " in err
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["truth", "xor_yung"], "did you mean 'xor_young'"),
        (["judge", "none.npy", "--truth", "xor_young"], "none.npy is no file"),
        (["judge", "none.npy", "--truth", "none.npz"], "none.npy is no file"),
    ],
)
def test_what_is_not_there_is_named_in_one_line(answer, arguments, words):
    status, out, err = answer("sims", *arguments)
    assert (status, out) == (1, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_scores_of_another_shape_are_refused_with_the_shape_that_is_expected(answer, folder, tmp_path):
    np.save(tmp_path / "few.npy", np.ones((8, 3)))
    status, _, err = answer("sims", "judge", str(tmp_path / "few.npy"), "--truth", str(folder / "truths/xor_young.npz"))
    assert status == 1
    assert "scores have shape (8, 3), expected (8, 8), train x query" in err


def test_an_interrupt_is_one_line_and_leaves_no_half_file(tmp_path):
    """`digits_converged` trains for many seconds; a signal in the middle ends it at once."""
    command = [sys.executable, "-m", "sims", "truth", "digits_converged", "--out", "t"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(4.0)
    assert run.poll() is None
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "t").exists()
