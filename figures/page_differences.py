"""The module says why a stored report is not the page that the results give today."""

import re
from collections.abc import Iterator

__all__ = ["page_differences"]

_CASE = re.compile(
    r'<tr><td>([^<]*)</td><td>([^<]*)</td><td class="n">[^<]*</td>\s*'
    r"<td><details>.*?</details></td>\s*<td><code>(\w+)</code></td></tr>",
    re.DOTALL,
)
_DRAWN_WITH = re.compile(r"<tr><th scope=\"row\">drawn with</th>\s*<td>([^<]*)</td></tr>")


def page_differences(before: str, now: str) -> list[str]:
    """List what differs between a stored page and today's: results by the sha256 on them, or else versions, or else the text."""
    return [*_cases(before, now)] or [*_versions(before, now)] or [_OTHER]


_OTHER = (
    "results and versions are those of the page, so that theory or figures has changed since it was written, a benchmark or a "
    "table was added, or the page was edited"
)


def _cases(before: str, now: str) -> Iterator[str]:
    old, new = ({(name, case): digest for name, case, digest in _CASE.findall(page)} for page in (before, now))
    if not old:
        yield "it has no list of the results that it was made of: it is damaged, or another version wrote it"
        return
    for kind, told in (
        ([key for key in new if key not in old], "results are newer than the report: {} not on it"),
        (
            [key for key in new if old.get(key, new[key]) != new[key]],
            "results are newer than the report: {} changed since it was written",
        ),
        ([key for key in old if key not in new], "it shows {}, which the results no longer have"),
    ):
        if kind:
            yield told.format(_counted(kind))


def _counted(keys: list[tuple[str, str]]) -> str:
    """Return the experiments of some cases, with their number: "2 cases of identity, 1 case of lds"."""
    names = [name for name, _ in keys]
    return ", ".join(f"{names.count(name)} case{'s' * (names.count(name) > 1)} of {name}" for name in dict.fromkeys(names))


def _versions(before: str, now: str) -> Iterator[str]:
    old, new = (" ".join(match[1].split()) if (match := _DRAWN_WITH.search(page)) else "" for page in (before, now))
    if old != new:
        yield f"it was drawn with other versions: {old or 'unknown'}; now {new}"
