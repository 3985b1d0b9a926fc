"""The module reads one cell of a table: as a number with a decimal point or a decimal comma, or as a gap."""

import re
import shlex
from collections.abc import Iterable, Sequence

__all__ = ["GAPS", "as_options", "in_order", "is_gap", "number", "plain", "quoted", "three_digits"]

GAPS = frozenset({"", "na", "n/a", "nan", "-nan", "null", "<na>", "#na", "#n/a"})
"""Cells that count as a gap, in lower case."""

_THREE_DIGITS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")


def is_gap(text: str) -> bool:
    """Return whether a cell has no value.

    >>> [is_gap(text) for text in ("", " NA ", "0", "none")]
    [True, True, False, False]
    """
    return text.strip().lower() in GAPS


def number(text: str, decimal: str = ".", thousands: str = "") -> float | None:
    """Return the number in a cell as Python reads it, or None if the cell is not a number.

    `decimal` is the mark before the fraction. `thousands`, if given, may separate groups of three digits. Underscores (1_000) and
    non-ASCII digits, which Python would accept, give None.

    >>> number("1.5"), number("1,5"), number("1,5", ","), number("1,234.5", ".", ","), number("1,5", ".", ",")
    (1.5, None, 1.5, 1234.5, None)
    """
    if not text.isascii() or "_" in text:
        return None
    if thousands and thousands in text:
        groups = rf"\s*[+-]?[0-9]{{1,3}}({re.escape(thousands)}[0-9]{{3}})+({re.escape(decimal)}[0-9]*)?\s*"
        if not re.fullmatch(groups, text):
            return None
        text = text.replace(thousands, "")
    if decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def three_digits(text: str) -> bool:
    """Return whether a number has one mark with three digits behind it: 1,234 may be 1.234 or 1234, but 0,234 and 1,23 may not.

    >>> [three_digits(text) for text in ("1,234", "12.345", "0,234", "1,23", "1234,567")]
    [True, True, False, False, False]
    """
    return _THREE_DIGITS.fullmatch(text.strip()) is not None


def in_order(texts: Iterable[str], decimal: str = ".", thousands: str = "") -> tuple[str, ...]:
    """Return the different texts, sorted as numbers if all are numbers, else as text.

    >>> in_order(["10", "9", "10"]), in_order(["10", "9", "a"])
    (('9', '10'), ('10', '9', 'a'))
    """
    different = sorted(set(texts))
    numbers = {text: value for text in different if (value := number(text, decimal, thousands)) is not None}
    return tuple(sorted(different, key=numbers.__getitem__)) if len(numbers) == len(different) else tuple(different)


def plain(text: str, most: int = 40) -> str:
    r"""Return a cell for a sentence: as it is, or quoted and cut off if it is long, empty or not printable.

    >>> print(plain("Bern"), plain("two lines\n"), plain(""))
    Bern 'two lines\n' ''
    """
    return text if text.isprintable() and 0 < len(text) <= most else repr(text[:most])


def quoted(noun: str, names: Sequence[str], most: int = 12) -> str:
    """Return `noun` and names for a message, such as "column 'a'" or "columns 'a', 'b'", with at most `most` names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(map(repr, names[:most]))}{more}"


def as_options(option: str, names: Sequence[str], most: int = 12) -> str:
    """Return options to paste, such as "--drop a --drop 'b c'", for at most `most` names.

    >>> as_options("--drop", ["a", "b c"])
    "--drop a --drop 'b c'"
    """
    return " ".join(f"{option} {shlex.quote(name)}" for name in names[:most]) + (" .." if len(names) > most else "")
