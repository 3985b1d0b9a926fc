"""The stored scores of other libraries load, and give the same findings, rows and page; no library is needed."""

import json

import numpy as np
import pytest

from sims.peers import formulas
from sims.peers.findings import FINDINGS, TOLERANCE, checked, relative_error
from sims.peers.page import PAGE, content
from sims.peers.slim import NAMES, slim
from sims.peers.stored import LIBRARIES, SCORES, records, truths
from sims.peers.table import judged, rows
from sims.referee import judge_scores


def test_the_page_is_what_the_stored_scores_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == content()


@pytest.mark.parametrize("library", LIBRARIES)
def test_stored_scores_load(library: str) -> None:
    found = records(library)
    assert found
    assert len({record.version for record in found}) == 1
    for record in found:
        truth = truths()[record.truth]
        assert (record.scores is None) == bool(record.error), record
        if record.scores is not None:
            assert record.by_point().shape == (truth.n_points, truth.n_queries), record
            assert record.scores.dtype.kind == "f"


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: f"{finding.library}-{finding.title}")
def test_the_formula_of_a_finding_gives_the_scores(finding) -> None:
    found = checked(finding)
    assert found.runs
    assert found.error <= TOLERANCE


@pytest.mark.parametrize(
    ("library", "method", "key"),
    [
        ("dattri", "IFAttributorExplicit", "batch"),
        ("dattri", "IFAttributorEKFAC", ""),
        ("pyDVL", "DirectInfluence", "second_order_mode"),
        ("pyDVL", "EkfacInfluence", ""),
    ],
)
def test_the_formula_of_what_was_meant_does_not(library: str, method: str, key: str) -> None:
    """A finding says something: what the documentation promises gives other scores, by far."""
    truth = truths()["logistic_spector"]
    g, (layer,) = formulas.point_gradients(truth), formulas.layers(truth, "loss")
    runs = [run for run in records(library) if (run.method, run.truth, run.target, run.error) == (method, truth.name, "loss", "")]
    if key:
        runs = [run for run in runs if run.options.get(key) is not None and run.options["batch"] is not None]
    meant = {
        "IFAttributorExplicit": formulas.batched(truth, "loss", truth.n_points, truth.l2),
        "DirectInfluence": formulas.bilinear(truth, "loss", g.T @ g / truth.n_points + truth.l2 * np.eye(g.shape[1])),
    }.get(method, formulas.kronecker(layer, truth.l2))
    assert runs
    assert all(relative_error(run.by_point(), meant) > 0.01 for run in runs)


def test_layers_are_those_of_the_truth() -> None:
    for name in ("logistic_spector", "two_moons_converged", "two_moons_young"):
        truth = truths()[name]
        by_layer = sum(np.einsum("nij,mij->nm", *layer.gradients) for layer in formulas.layers(truth, "loss"))
        np.testing.assert_allclose(by_layer, formulas.bilinear(truth, "loss"), rtol=1e-12, atol=1e-14)


def test_kronecker_is_exact_for_one_layer_with_one_output() -> None:
    """With one output E-K-FAC of a linear model has the eigenvectors of X^T X, and K-FAC is s X^T X / N."""
    truth = truths()["logistic_spector"]
    (layer,) = formulas.layers(truth, "loss")
    moments = np.mean(layer.slopes**2) * truth.X.T @ truth.X / truth.n_points
    expected = formulas.bilinear(truth, "loss", moments + 0.1 * np.eye(len(moments)))
    np.testing.assert_allclose(formulas.kronecker(layer, 0.1, corrected=False), expected, rtol=1e-11)


@pytest.mark.parametrize("at", [0, 40, 100, 200, -30, -1])
def test_rows_are_what_the_judge_says(at: int) -> None:
    every = [record for library in LIBRARIES for record in records(library)]
    assert len(every) == len(rows())
    assert judged(every[at]) == rows()[at]


def test_scores_of_another_truth_are_refused(tmp_path, monkeypatch) -> None:
    for suffix in (".json", ".npz"):
        (tmp_path / f"shapiq{suffix}").write_bytes((SCORES / f"shapiq{suffix}").read_bytes())
    path = tmp_path / "shapiq.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    next(iter(facts.values()))["truth_sha256"] = "0" * 64
    path.write_text(json.dumps(facts), encoding="utf-8")
    monkeypatch.setattr("sims.peers.stored.SCORES", tmp_path)
    with pytest.raises(ValueError, match="computed from another two_moons_converged"):
        records("shapiq")


def test_a_row_that_was_not_judged_is_named(tmp_path) -> None:
    (tmp_path / "table.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match=r"is not in table.json: run `python -m sims.peers judge`"):
        rows(tmp_path / "table.json")


def test_slim_truths_keep_their_effects() -> None:
    for name in NAMES:
        truth = truths()[name]
        assert truth.seeds == (0,)
        assert len(truth.masks) <= 256
        assert slim(truth) is truth
        assert judge_scores(truth.D1, truth).estimates == "D1"


def test_stored_files_are_small() -> None:
    assert sum(path.stat().st_size for folder in ("scores", "truths") for path in (SCORES.parent / folder).iterdir()) < 1.5e6
