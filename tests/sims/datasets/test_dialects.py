"""How a CSV file is written is recognised by stated rules: pandas, told the right options, reads the same values."""

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sims.datasets.cells import GAPS, number
from sims.datasets.csv_file import read_csv
from sims.datasets.dialect import SEPARATORS, inspected, separator_of
from sims.datasets.user_file import as_user_data

PROSE = st.text(st.sampled_from("abz äöÄß,;|\t\"'Ж()"), min_size=1, max_size=6).map(lambda text: f"t{text.strip()}e")
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6).map(lambda k: k / 1000)


@st.composite
def written(draw):
    """A table of numbers, a category and a target with gaps, and the options of pandas to write and to read it."""
    n = draw(st.integers(3, 8))
    names = draw(st.lists(PROSE, min_size=4, max_size=4, unique=True))
    frame = pd.DataFrame(
        {
            names[0]: [0.5, *draw(st.lists(NUMBERS, min_size=n - 1, max_size=n - 1))],
            names[1]: draw(st.lists(NUMBERS | st.none(), min_size=n, max_size=n)),
            names[2]: draw(st.lists(PROSE | st.none(), min_size=n, max_size=n)),
            names[3]: draw(st.lists(PROSE, min_size=n, max_size=n) | st.lists(NUMBERS, min_size=n, max_size=n)),
        }
    )
    frame[names[1]] = frame[names[1]].astype(float)
    options = {
        "sep": draw(st.sampled_from([*SEPARATORS])),
        "decimal": draw(st.sampled_from(".,")),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])),
    }
    writing = {
        "index": draw(st.booleans()),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n", "\r"])),
    }
    return frame, options, writing


@given(written())
def test_a_table_written_in_any_dialect_is_read_as_pandas_reads_it_with_the_right_options(tmp_path_factory, table):
    frame, options, writing = table
    path = tmp_path_factory.mktemp("dialect") / "table.csv"
    try:
        frame.to_csv(path, **options, **writing)
    except UnicodeEncodeError:
        assume(False)
    oracle = pd.read_csv(path, **options, keep_default_na=False, na_values=[""], float_precision="round_trip")
    a, b, city, goal = frame.columns
    read = read_csv(path, goal, categories=[city])
    if writing["index"]:
        assert read.left_out == {"number 1": f"it names the rows: {', '.join(map(str, range(len(frame))[:3]))}, .."}
    assert (read.separator, read.decimal) == (options["sep"], options["decimal"])
    assert read.encoding == options["encoding"] or (options["encoding"] == "cp1252" and path.read_bytes().isascii())
    assert read.columns == (a, b, city)
    for name in (a, b):
        np.testing.assert_array_equal(read.numbers[name], oracle[name].to_numpy(float))
    assert [None if pd.isna(text) else text for text in oracle[city]] == cells(read.texts[city])
    targets = cells(read.target)
    if oracle[goal].dtype == float:
        assert [read.number(text) for text in targets] == oracle[goal].tolist()
    else:
        assert targets == oracle[goal].tolist()


def cells(column):
    return [column.values[code] if code >= 0 else None for code in column.codes]


@pytest.fixture
def write(tmp_path):
    def of(content, encoding="utf-8"):
        path = tmp_path / "data.csv"
        path.write_bytes(content.encode(encoding))
        return path

    return of


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ("a,b;c\n1,5;2,5\n2,5;3,5\n", ";"),  # with commas the rows would have three fields
        ("a,b;c,d;y\n1,5;2,5;x\n2,5;3,5;x\n", ";"),  # as many fields, more numbers
        ("a;b,c,d\n1;2,3,4\n2;2,4,5\n", ","),
        ("a b;c\td\ty\n1;2\t3\t4\n", "\t"),
        ("a;b,c\n1;2,3\n2;2,4\n", ";"),  # it could be either: two decimal numbers are better than one and a text
        ("a|y\n1|2\n", "|"),
        ("y\n1\n", ","),
        ('"a;b",y\n1,2\n', ","),
        ("a,y\n1,2\n1,2,3\n", ","),
    ],
)
def test_the_separator_is_the_mark_that_fits_the_rows(write, content, separator):
    path = write(content)
    assert separator_of(path, inspected(path).encoding) == separator


@pytest.mark.parametrize(
    ("content", "decimal", "note"),
    [
        ("x;y\n1,5;2\n2,25;3\n", ",", ""),
        ("x;y\n1,234;2\n2,5;3\n", ",", ""),  # 2,5 shows what the comma is
        ("x;y\n0,234;2\n1;3\n", ",", ""),  # no thousands begin with 0
        ("x;y\n1,234;2\n2;3\n", ",", "'1,234' is read as 1.234; --decimal . would read 1234"),
        ("x\ty\n1.234\t2\n2\t3\n", ".", "'1.234' is read as 1.234; --decimal , would read 1234"),
        ("x,y\n1.234,2\n2,3\n", ".", ""),
        ("x;y\n1;2,5\n2;3,5\n", ",", ""),  # a target of numbers takes part
        ("x;y\n1;a,b\n2;1,5\n", ".", ""),  # a target of texts does not
    ],
)
def test_the_decimal_mark_is_what_the_numbers_have_and_what_could_be_thousands_is_said(write, content, decimal, note):
    table = read_csv(write(content), "y")
    assert (table.decimal, table.note) == (decimal, note)


def test_a_given_decimal_mark_lets_the_other_one_separate_thousands(write):
    path = write('x,z,y\n"1,234.5",7,1\n"12,345",8,2\n"1,234,567",9,3\n')
    with pytest.raises(ValueError, match=r"--decimal \."):
        read_csv(path, "y")
    assert read_csv(path, "y", decimal=".").numbers["x"].tolist() == [1234.5, 12345.0, 1234567.0]
    german = read_csv(write("x;y\n1.234,5;1.000\n12.345;2\n"), "y", decimal=",")
    assert german.numbers["x"].tolist() == [1234.5, 12345.0]
    assert german.number("1.000") == 1000.0
    oracle = pd.read_csv(write("x;y\n1.234,5;1.000\n12.345;2\n"), sep=";", decimal=",", thousands=".")
    assert oracle["x"].tolist() == german.numbers["x"].tolist()


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "value"),
    [
        ("1,23", ".", ",", None),
        ("1234,567", ".", ",", None),
        (",234", ".", ",", None),
        ("1,234,56", ".", ",", None),
        ("1.2.3", ",", "", None),
        ("1,2,3", ",", "", None),
        (" -1,234.5 ", ".", ",", -1234.5),
        ("+1.234", ",", ".", 1234.0),
        ("1,5e3", ",", "", 1500.0),
    ],
)
def test_numbers_with_other_marks(text, decimal, thousands, value):
    assert number(text, decimal, thousands) == value


@pytest.mark.parametrize(
    ("header", "cells", "reason"),
    [
        ("", "012345", "it names the rows: 0, 1, 2, .."),
        ("", "124689", "it names the rows: 1, 2, 4, .."),
        ("", "bacdfe", "it names the rows: b, a, c, .."),
        ("Unnamed: 0", "123456", "it names the rows: 1, 2, 3, .."),
        ("", ["", "", "", "", "", ""], "neither a name nor values"),
    ],
)
def test_a_first_column_that_only_names_rows_is_left_out_and_said(write, header, cells, reason):
    table = read_csv(write(f"{header},x,y\n" + "".join(f"{cell},{k * k},{k}\n" for k, cell in enumerate(cells))), "y")
    assert table.columns == ("x",)
    assert table.left_out == {header or "number 1": reason}


def test_a_separator_at_the_end_of_every_line_makes_no_column(write):
    table = read_csv(write("x;y;\n1;2;\n3;4;\n"), "y")
    assert (table.columns, table.left_out) == (("x",), {"number 3": "neither a name nor values"})


@pytest.mark.parametrize("gap", sorted(GAPS))
def test_gaps_are_not_numbers_and_not_texts(write, gap):
    table = read_csv(write(f"x,c,y\n1,a,2\n{gap.upper()},{gap},{gap}\n"), "y", categories=["c"])
    assert np.isnan(table.numbers["x"]).tolist() == [False, True]
    assert table.texts["c"].codes.tolist() == table.target.codes.tolist() == [0, -1]


def test_the_same_table_in_other_dialects_is_the_same_data_set(write):
    rows = [(k * 0.5, (k * 7) % 5 + 0.25, "jä" if k % 3 else "no") for k in range(30)]
    frame = pd.DataFrame(rows, columns=["a", "b", "y"])
    loaded = []
    for options in ({}, {"sep": ";", "decimal": ","}, {"sep": "\t"}, {"decimal": ","}):
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
            text = frame.to_csv(index=False, **options)
            loaded.append(as_user_data(write(text, encoding), "y").load(8))
    for data in loaded[1:]:
        assert data.X.tobytes() == loaded[0].X.tobytes()
        assert data.y.tobytes() == loaded[0].y.tobytes()
        assert data.labels == ("jä", "no")
