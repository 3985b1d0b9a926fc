"""Write PEERS.md: what attribution libraries compute, from the stored scores and the judge's table."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sims.peers.findings import FINDINGS, TOLERANCE, Checked, checked
from sims.peers.slim import NAMES
from sims.peers.stored import LIBRARIES, records
from sims.peers.table import rows
from sims.referee.problems import PROBLEMS
from theory.storage.files import write_whole

__all__ = ["PAGE", "content", "write"]

PAGE = Path(__file__).parent / "PEERS.md"
"""The page."""

_ENVIRONMENTS = {"pyDVL": "pydvl", "shapiq": "shapiq"}
_COLUMNS = (
    *("library", "method", "options", "target", "orientation", "scale"),
    *("estimates", "factor", "rest", "to D(1)", "rank", "causes"),
)

_HEAD = """# What attribution libraries compute

Each method below was run on {n_truths} small models of which the exact answers are known, and its scores were compared with them.
The answers come from retraining on all subsets of the training points, and from the derivative of training. No library was
changed, and none is needed to read or rebuild this page: it is made from the stored scores (`python -m sims.peers page`).
To run the libraries again: `make peers`. Versions: {versions}.

![relative error of the scores after the best factor, by library and method](../../figures/gallery/peers.png)

**Conventions.** Training minimises L(theta) = (1/N) sum_i l_i(theta) + (l2/2) ||theta||^2. An exact effect is positive if the
point raises the loss (or the margin) of the query. D(1) is the derivative of that loss in the weight of the point at w = 1;
it has the factor 1/N. Quotations leave out markup. The *factor* below is the one by which scores exceed what they estimate,
and the *rest* is the relative error that is left after it: 0 for scores that are proportional, 1 for unrelated ones. A
negative factor is the convention of change on removal, and N that of a summed loss; both are choices, and right if
documented. In formulas g_i and g_q are the gradients of the losses of a point and of a query, H_j is the Hessian of a point's
loss without the penalty, and (x)^-1 an inverse.

| truth | what it is |
|---|---|
{truths}

Every right method of influence gives D(1) on all truths but the last, up to 1e-8. On `two_moons_young` training has
not converged, so D(1) is not the influence of the final model; there *influence* is the right answer for methods that use that
model alone. This package's own scores (dfdw) are for margins, the libraries' for losses unless the target says margin.

Not run: bergson and quanda, which bring transformers; projections of dattri's TracIn and TRAK, Arnoldi iterations and LiSSA were
run, but no formula was looked for.
"""


def content() -> str:
    """Return the page.

    >>> content().startswith("# What attribution libraries compute")
    True
    """
    table = rows()
    versions = ", ".join(f"{library} {records(library)[0].version}" for library in LIBRARIES)
    truths = "\n".join(f"| `{name}` | {PROBLEMS[name].what} |" for name in NAMES)
    found = [checked(finding) for finding in FINDINGS]
    parts = [_HEAD.format(n_truths=len(NAMES), versions=versions, truths=truths)]
    parts += ["## Findings\n", *_findings(found)]
    parts += ["## All runs\n", *_tables(table)]
    return "\n".join(parts)


def write(path: Path = PAGE) -> Path:
    """Write the page."""
    return write_whole(path, content().encode())


def _findings(found: Sequence[Checked]) -> Iterator[str]:
    """Yield the findings that a formula reproduces, by library; name those that it does not."""
    yield (
        f"A finding is listed only if its formula, computed by numpy from the stored truth, gives the stored scores up "
        f"to a relative "
        f"error of {TOLERANCE:g} in all the runs that it names.\n"
    )
    for library in LIBRARIES:
        listed = [each for each in found if each.finding.library == library and each.error <= TOLERANCE]
        if not listed:
            continue
        yield f"### {library} {listed[0].runs[0].version}\n"
        for each in listed:
            yield _finding(each)
    withheld = [each.finding for each in found if each.error > TOLERANCE]
    if withheld:
        yield "Left out, because the formula does not reach this error:\n"
        yield "\n".join(f"- {finding.library}, {finding.method}: {finding.title}" for finding in withheld) + "\n"


def _finding(each: Checked) -> str:
    """Return one finding as a paragraph and a list."""
    finding, run = each.finding, each.runs[0]
    environment = _ENVIRONMENTS.get(finding.library, "torch")
    names = [name for name in NAMES if any(r.truth == name for r in each.runs)]
    promise, place = finding.promise if finding.promise[0] else (run.promise, run.place)
    script = f"sims/peers/scripts/from_{finding.library.lower()}.py {names[0]} --again"
    python = f".peers/{environment}/bin/python"
    python = "python" if finding.library == "statsmodels" else python
    command = "python -m sims.peers ours" if finding.library == "dfdw" else f"{python} {script}"
    lines = [
        f"**{finding.method}: {finding.title}.** {finding.came_out}\n",
        f"- {finding.verdict}; {len(each.runs)} runs on {', '.join(names)}",
        f"- documentation: \u201c{promise}\u201d ({place})" if promise else "",
        f"- formula: `{finding.formula}`, largest relative error {each.error:.0e}",
        f"- command: `{command}`",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _tables(table: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a table for each truth."""
    yield (
        "What the judge of `sims.referee` says of every run, in the same way for all libraries and for this package (dfdw). "
        "*Scale* is the slope on D(1) of the target, *to D(1)* the relative error after the best factor, *rank* the rank "
        "correlation with D(1).\n"
    )
    for name in NAMES:
        yield f"### {name}: {PROBLEMS[name].what}\n"
        yield f"| {' | '.join(_COLUMNS)} |"
        yield f"|{'---|' * len(_COLUMNS)}"
        for row in table:
            if row["truth"] == name:
                yield _row(row)
        yield ""


def _row(row: dict[str, Any]) -> str:
    start = f"| {row['library']} | {row['method']} | {row['options']} | {row['target']} |"
    if row["error"]:
        return f"{start} | | | | | | | {' '.join(row['error'].replace('|', '/').split())[:90]} |"
    numbers = [_shown(row[name]) for name in ("factor", "mismatch", "to_D1", "spearman")]
    causes = ", ".join(row["causes"]) or "none"
    return f"{start} {row['orientation']} | {_shown(row['scale'])} | {row['estimates']} | {' | '.join(numbers)} | {causes} |"


def _shown(value: float | None) -> str:
    return "NaN" if value is None else f"{value:.4g}"
