"""The picture of what libraries compute shows the judge's table."""

import json
from pathlib import Path

from figures import peers

TABLE = Path(__file__).parents[2] / "sims" / "peers" / "scores" / "table.json"


def test_it_shows_every_line_with_the_errors_of_the_table() -> None:
    lines = peers.data(json.loads(TABLE.read_text(encoding="utf-8")))
    assert all(line.error for line in lines)
    errors = {(line.library, line.label): line.error["logistic_spector"] for line in lines if "logistic_spector" in line.error}
    assert errors["pyDVL", "explicit"] < 1e-14
    assert errors["dattri", "explicit, batches of 4"] > 0.01
    text = peers.alt(lines)
    assert "shapiq exact Shapley values" in text
    figure = peers.draw(lines)
    assert len(figure.axes[0].get_yticklabels()) == len(lines)
