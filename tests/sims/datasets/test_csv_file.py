"""Reading CSV files: what comes out is what the file says, and whatever cannot be used is refused by its name and line."""

import csv
import io
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.datasets.cells import number
from sims.datasets.csv_file import read_csv
from sims.datasets.dialect import digest

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def write(tmp_path):
    def written(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@given(rows=st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=2, max_size=12, unique_by=(lambda r: r[0], lambda r: r[1])))
def test_every_finite_number_that_csv_writes_is_read_back_to_the_last_bit(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("hypothesis") / "numbers.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("a", "b", "y"), *rows])
    table = read_csv(path, "y")
    assert table.columns == ("a", "b")
    assert np.column_stack([*table.numbers.values()]).tobytes() == np.array([row[:2] for row in rows]).tobytes()
    assert [float(text) for text in cells(table.target)] == [row[2] for row in rows]


def test_a_mark_of_utf8_spaces_quotes_and_empty_lines_change_nothing(write):
    table = read_csv(write('\ufeff x ,"<b>y, z</b>",=1+1\r\n\r\n 1, 2 ,no\r\n3,4,"yes, or so"\r\n'), "=1+1")
    assert table.columns == ("x", "<b>y, z</b>")
    assert [x.tolist() for x in table.numbers.values()] == [[1.0, 3.0], [2.0, 4.0]]
    assert cells(table.target) == ["no", "yes, or so"]


def cells(column):
    return [column.values[code] if code >= 0 else None for code in column.codes]


def test_dropped_columns_may_hold_anything(write):
    table = read_csv(write("id,x,note,y\nA1,1,NA,0\nA2,2,,1\n"), "y", ("id", "note"))
    assert table.columns == ("x",)


@pytest.mark.parametrize("text", ["1_000", "\u0661\u0662", "1,5", "one", "0x10", "1 2", "--1", ""])
def test_text_that_only_some_readers_take_for_a_number_is_text(text):
    assert number(text) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("\ufeff", "is empty"),
        ("x,y\n", "a header and no rows"),
        ("x,y\n1,2\n3\n", "line 3 .* has 1 fields, the header has 2"),
        ("x,y\n1,2,3\n", "line 2 .* has 3 fields, the header has 2"),
        ("x,x,y\n1,2,3\n", "several columns named 'x': give each"),
        ("1,1,0\n1,2,3\n", r"several columns named '1' \(its first line holds numbers: is a line of names missing\?\)"),
        ("3,0.5,1\n1,2,3\n", r"'y' is no column of .*by commas \(its first line holds numbers: is a line of names missing\?\)"),
        ("x, x,y\n1,2,3\n", "several columns named 'x'"),
        (",x,y\n3,1,2\n1,4,2\n", "column 1 of .* has no name, and does not only name rows.*index=False"),
        ("x,,y\n1,0,2\n2,1,3\n", "column 2 of .* has no name, and does not only name rows"),
        ("Unnamed: 0,x,y\n3,1,2\n1,4,2\n", "column 'Unnamed: 0' of .* does not only name rows.* --drop 'Unnamed: 0'"),
        ("y\n1\n", "no column besides the target 'y'"),
        ("x,Y\n1,2\n", "--target 'y' is no column of .*, did you mean 'Y'.; it has columns 'x', 'Y', separated by commas"),
        ("intercept,y\n1,2\n", "column 'intercept' .* --drop intercept"),
        ("x,y\n1,2\n-inf,3\n", r"column 'x' .* is not finite on line 3 \('-inf'\)"),
        ("x,y\n1,2\n1e999,3\n", r"column 'x' .* is not finite on line 3 \('1e999'\)"),
        ("x,city,y\n1,Rome,2\n2,Oslo,3\n", r"column 'city' .* holds text \('Rome' on line 2\).* --drop city"),
        ("a b,b,y\n1,u,2\nx,v,3\n", r"columns 'b', 'a b' .* --drop b --drop 'a b'"),
        (
            "a,x,y\n1,5,2\n2,?,3\n3,6,3\n",
            r"column 'x' .* holds numbers, and text in 1 row \('\?' on line 3\): correct it .* --drop x",
        ),
        (
            "x,y\n1,2\n'1.234.567',3\n2,3\n".replace("'", ""),
            "'1.234.567' on line 3.* --decimal , reads '1.234.567' as 1234567",
        ),
        ("x;y\n1.5;2\n2,5;3\n", r"a point \('1.5' on line 2\) and with a comma \('2,5' on line 3\).*--decimal . or --decimal ,"),
        ('x,y\n"1,234",2\n3,3\n', "'1,234' .line 2.: .*--decimal , reads 1.234, --decimal . reads 1234"),
        ('x,y\n"1,2\n', "is not CSV: unexpected end of data"),
        ('x,y\n"1"2,3\n', "line 2 .* is not CSV: ',' expected after '\"'"),
        (b"x,y\n1,\xe9\x81\n", "is neither UTF-8 nor Windows-1252 .byte 0x81 on line 2"),
        (b"x,y\n1,\xe9\n2,\x07\n", "is not UTF-8 .byte 0xe9. and has a control character .0x07 on line 3.: it is not text"),
        (b"\xef\xbb\xbfx,y\n1,\xe9\n", "begins with the mark of UTF-8 and is not UTF-8 .byte 0xe9 on line 2"),
        (b"\xff\xfex\x00,\x00y", "begins with the mark of UTF-16 and is not UTF-16"),
        ("x,y\n1,2\n".encode("utf-32"), "is UTF-32, expected UTF-8"),
        ("x,y\n1,\0\n".encode("utf-16"), "has a NUL character"),
        ("x,y\n1,2\n".encode("utf-16-le"), "has a NUL byte"),
        (b"PK\x03\x04rest", "is a zip archive or a workbook .* export its table as CSV"),
        (b"\x1f\x8brest", "is compressed by gzip"),
        ("<!DOCTYPE html>\n<p>x,y</p>", "is HTML or XML, expected CSV"),
        ("\n <html>\n", "is HTML or XML, expected CSV"),
        ("x,y\n=1+1,2\n=A1,3\n", r"column 'x' .* holds text \('=1\+1' on line 2\)"),
        (b"x,y\n1,2\n\0,3\n", r"has a NUL byte \(byte 9\)"),
        (bytes(range(1, 256)), "is neither UTF-8 nor Windows-1252"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_line_that_names_the_culprit(write, content, message):
    with pytest.raises(ValueError, match=message) as refusal:
        read_csv(write(content), "y")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("target", "drop", "message"),
    [
        (None, (), "--target is missing of .*; it has columns 'alpha', 'beta', 'y'"),
        ("beat", (), "--target 'beat' is no column of .*, did you mean 'beta'"),
        ("y", ("alhpa",), "--drop 'alhpa' is no column of .*, did you mean 'alpha'"),
        ("y", ("y",), "--drop 'y': this is the target"),
        ("y", ("alpha", "beta"), "no column besides the target 'y'"),
    ],
)
def test_columns_that_are_not_there_are_named_with_those_that_come_close(write, target, drop, message):
    with pytest.raises(ValueError, match=message):
        read_csv(write("alpha,beta,y\n1,2,3\n2,3,4\n"), target, drop)


def test_a_million_columns_are_refused_by_their_number_and_at_once(write):
    header = ",".join(f"c{k}" for k in range(10**6))
    path, start = write(f"{header}\n"), time.perf_counter()
    with pytest.raises(
        ValueError,
        match=r"1,000,000 columns: 16 fits of 999,999 columns take about .* hours, at most 1 is allowed: keep those",
    ):
        read_csv(path, "c1")
    assert time.perf_counter() - start < 10.0


def test_a_file_too_large_for_memory_is_refused_before_it_is_read(write, monkeypatch):
    monkeypatch.setattr("theory.memory.available_bytes", lambda: 1000)
    with pytest.raises(MemoryError, match=r"data.csv, 400 bytes, needs .* take fewer rows or columns"):
        digest(write("x" * 400))


def test_folders_and_missing_files_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv does not exist"):
        read_csv(tmp_path / "none.csv", "y")
    with pytest.raises(ValueError, match="is not a file"):
        read_csv(tmp_path, "y")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is not a file"):
        read_csv(tmp_path / "pipe", "y")


def test_the_line_of_a_fault_is_counted_as_an_editor_does_across_quoted_lines(write):
    content = io.StringIO()
    csv.writer(content).writerows([("x", "note", "y"), (1, "two\nlines", 1), ("?", "", 2)])
    with pytest.raises(ValueError, match=r"'\?' on line 4"):
        read_csv(write(content.getvalue()), "y", ("note",))
