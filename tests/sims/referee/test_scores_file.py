"""Scores are read from files of every kind as they are, and nothing in a file is executed."""

import pickle

import numpy as np
import pytest

from sims.referee.scores_file import ENDINGS, read_scores

SCORES = np.array([[1.0, -2.5, 1e-300], [0.1, 3.0, float("nan")]])


class Harmful:
    """An object whose unpickling would be seen."""

    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def write(path):
    """Write the scores in the format of the path's ending."""
    if path.suffix == ".npy":
        np.save(path, SCORES)
    elif path.suffix == ".npz":
        np.savez(path, scores=SCORES, note=np.array("other arrays may stand beside them"))
    elif path.suffix == ".csv":
        path.write_text("\n".join(["a,b,c", *(",".join(map(repr, row)) for row in SCORES.tolist())]))
    else:
        torch = pytest.importorskip("torch")
        torch.save(torch.tensor(SCORES), path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_scores_are_read_to_the_last_digit(ending, tmp_path):
    path = tmp_path / f"scores{ending}"
    write(path)
    np.testing.assert_array_equal(read_scores(path), SCORES)
    np.testing.assert_array_equal(read_scores(str(path)), SCORES)


def test_the_type_of_numbers_is_kept(tmp_path):
    np.save(tmp_path / "s.npy", SCORES.astype(np.float32))
    assert read_scores(tmp_path / "s.npy").dtype == np.float32


def test_a_csv_needs_no_names(tmp_path):
    (tmp_path / "s.csv").write_text("1,2\n3,4\n\n")
    assert read_scores(tmp_path / "s.csv").tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_pickled_objects_are_never_loaded(ending, tmp_path):
    harmful = np.array([[Harmful()]], dtype=object)
    path = tmp_path / f"s{ending}"
    np.save(path, harmful, allow_pickle=True) if ending == ".npy" else np.savez(path, scores=harmful, allow_pickle=True)
    with pytest.raises(ValueError, match=rf"s\{ending} is no \{ending} file"):
        read_scores(path)


def test_a_pickle_named_pt_is_not_loaded(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "s.pt").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ValueError, match="no file of plain tensors"):
        read_scores(tmp_path / "s.pt")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("s.txt", b"1", r"ends in '\.txt', expected one of \.npy, \.npz, \.csv, \.pt"),
        ("s.npy", b"", r"is no \.npy file of plain numbers"),
        ("s.npy", b"no array", r"is no \.npy file of plain numbers"),
        ("s.npz", b"no archive", r"is no \.npz file of scores"),
        ("s.csv", b"", "has rows of no cells"),
        ("s.csv", b"1,2\n3\n", "has rows of 1, 2 cells, expected as many in each"),
        ("s.csv", b"a,b\n1,x\n", "row 1 of numbers: 1, x are not all numbers"),
        ("s.csv", b"\xff\xfe\x00", r"is no \.csv file of text in UTF-8"),
    ],
)
def test_what_is_no_file_of_scores_is_named(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_scores(tmp_path / name)


def test_several_arrays_without_one_of_the_name_are_listed(tmp_path):
    np.savez(tmp_path / "s.npz", a=SCORES, b=SCORES)
    with pytest.raises(ValueError, match="it has the arrays a, b, expected one, or one that is named 'scores'"):
        read_scores(tmp_path / "s.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.npy is no file"):
        read_scores(tmp_path / "none.npy")
