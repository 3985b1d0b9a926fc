"""make faults: attack the package, count what is lost or wrong without a word, and write the table of README.md.

    python tests/faults [--trials-factor X] [--only NAME ..] [--seed N] [--out FOLDER]

An hour or more on two cores. The record (record.json) has the counts, a typical message of every study, versions and the seed;
the same seed makes the same faults. With --only, the record keeps what it has of other studies. The exit status is 1 when a trial
lost something, used something wrong without a word, or ended with a traceback.
"""

import json
import math
import sys
from pathlib import Path

import click

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from faults.frame import MARKS, put_table, short_table, table  # noqa: E402
from faults.record import records  # noqa: E402
from faults.studies import STUDIES  # noqa: E402


@click.command()
@click.option("--trials-factor", type=click.FloatRange(0.0, min_open=True), default=1.0, show_default=True)
@click.option("--only", metavar="NAME", multiple=True, type=click.Choice([study.name for study in STUDIES]))
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=HERE, help="Folder of the record and the table.")
def main(trials_factor: float, only: tuple[str, ...], seed: int, out: Path) -> None:
    """Run all studies, or those named; print the table, and write it with its record and into the README of the project."""
    out.mkdir(parents=True, exist_ok=True)
    file, page = out / "record.json", out / "README.md"
    before = json.loads(file.read_text()) if only and file.exists() else {"studies": {}}
    chosen = [study for study in STUDIES if not only or study.name in only]
    record = before
    for record in records(chosen, seed, lambda study: math.ceil(trials_factor * study.trials), before["studies"]):
        record["studies"] = {study.name: record["studies"][study.name] for study in STUDIES if study.name in record["studies"]}
        file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        page.write_text(put_table(page.read_text() if page.exists() else "\n".join(MARKS), table(record)))
        if out == HERE:
            README.write_text(put_table(README.read_text(), short_table(record)))
    print(table(record))
    sys.exit(1 if any(study["found"] for study in record["studies"].values()) else 0)


if __name__ == "__main__":
    main()
