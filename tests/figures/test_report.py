"""The report as text: verdicts, numbers and what is missing, from whole, partial and hostile results."""

import html
import html.parser
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner
from stored import computed, renamed, stored
from wavy import Wavy

from figures.__main__ import cli
from figures.numbers import numbers
from figures.report import COMPUTED_WITH
from figures.results import read_all, retrainings
from sims.experiments.shared.results import save
from sims.retrain import response_table
from sims.retrain.provenance import environment
from theory.claims import judge
from theory.claims.sources import reference

HOSTILE = "<script>alert(1)</script>"
FORMULA = "=HYPERLINK(1)"


class Reader(html.parser.HTMLParser):
    """Elements with their attributes, and the texts between them; every tag that opens must close."""

    void = ("meta", "link", "img", "br")

    def __init__(self, page):
        super().__init__()
        self.elements, self.text, self.open = [], [], []
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def make(folder, *arguments):
    result = CliRunner().invoke(cli, ["--from", str(folder), *arguments])
    return result, (folder / "report.html").read_text() if (folder / "report.html").exists() else ""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = stored(tmp_path_factory.mktemp("whole") / "r", "identity", "normalisation", "budget", "approximations", "leverage")
    result, page = make(folder)
    assert result.exit_code == 0, result.output
    return folder, page, result.stdout


def test_the_last_line_is_the_path_of_the_report_and_a_second_run_gives_the_same_bytes(whole):
    folder, page, output = whole
    *_, counted, last = output.splitlines()
    assert re.fullmatch(rf"\d+ figures \(\d+ files\) in {folder / 'figures'}", counted)
    assert "figure:" not in output
    assert last == f"report: {folder / 'report.html'}"
    result, again = make(folder, "report")
    assert result.output.count("figure:") == 0
    assert again == page  # test_commands.py has --check of a whole run


def edited(folder):
    page = (folder / "report.html").read_text()
    assert "HOLDS" in page
    (folder / "report.html").write_text(page.replace("HOLDS", "FAILS"))


def another_result(folder):
    save(computed("leverage")[0].assign_attrs(unit="another unit"), folder)


def one_more_case(folder):
    save(renamed(computed("leverage")[0], "mine"), folder)


def one_more_experiment(folder):
    stored(folder, "normalisation")


def drawn_by_others(folder):
    page = (folder / "report.html").read_text()
    (folder / "report.html").write_text(re.sub(r"matplotlib [\d.]+", "matplotlib 3.0", page))


def no_list(folder):
    (folder / "report.html").write_text("<html></html>")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edited, "results and versions are those of the page, so that theory or figures has changed since it was written"),
        (another_result, "results are newer than the report: 1 case of leverage changed since it was written"),
        (one_more_case, "results are newer than the report: 1 case of leverage not on it"),
        (one_more_experiment, "results are newer than the report: 2 cases of normalisation not on it"),
        (drawn_by_others, "it was drawn with other versions: "),
        (no_list, "it has no list of the results that it was made of"),
    ],
)
def test_a_report_that_is_not_what_the_results_give_is_found_and_it_is_said_why(tmp_path, change, reason):
    folder = stored(tmp_path / "r", "leverage")
    make(folder)
    change(folder)
    checked = CliRunner().invoke(cli, ["--from", str(folder), "--check"])
    assert checked.exit_code == 1
    assert f"report.html: {reason}" in checked.output
    assert f"python -m figures report --from {folder}" in checked.output


@pytest.mark.parametrize("small", [False, True])
def test_only_the_page_of_a_small_run_has_a_banner(tmp_path, small):
    save(computed("normalisation")[0].assign_attrs(small=small), tmp_path)
    assert ("Small run:" in make(tmp_path)[1]) == small


def test_the_versions_on_the_page_are_versions_and_nothing_else(whole):
    table = whole[1].split('aria-label="Versions"')[1].split("</table>")[0]
    assert "left_out" not in table
    assert re.findall(r'<th scope="row">([^<]*)</th>', table) == [*COMPUTED_WITH, "drawn with"]
    assert set(COMPUTED_WITH) == set(environment())


def test_every_verdict_stands_with_its_statement_figure_condition_case_and_evidence(whole):
    folder, page, _ = whole
    text = " ".join(" ".join(Reader(page).text).split())
    ledger = judge(read_all(folder)).verdicts
    assert {"C1", "C4", "C6", "C7", "T1", "T2", "T2 local", "T10", "T16"} == {claim.id for claim, _ in ledger}
    for claim, verdict in ledger:
        assert f"{claim.id} {verdict.status.value} {claim.statement}" in text
        assert f"{verdict.figure:.3g} (tolerance {verdict.tolerance:.3g}): {verdict.measure}" in text
        assert f"Decided by {verdict.case} Condition {verdict.condition} Sensitivity {verdict.sensitivity} Kind" in text
        assert f"Essay {claim.essay} Idea {claim.idea} Sources {'; '.join(map(reference, claim.sources))}" in text
        for item in verdict.evidence:
            mark = " (control: does not decide)" if item.control else ""
            assert f"{item.case}{mark} {item.figure:.3g}" in text


def test_the_counts_on_top_are_those_of_the_verdicts(whole):
    folder, page, _ = whole
    text = " ".join(" ".join(Reader(page).text).split())
    found = [verdict.status.value for claim, verdict in judge(read_all(folder)).verdicts if claim.id.startswith("C")]
    told = re.search(r"The essay's claims: (.*?) What is true instead:", text).group(1)
    assert {status: int(count) for count, status in re.findall(r"(\d+) ([A-Z ]+[A-Z])", told)} == {
        status: found.count(status) for status in found
    }


def test_every_picture_is_embedded_once_with_a_description_and_linked_from_its_other_claims(whole):
    elements = Reader(whole[1]).elements
    pictures = [attributes for tag, attributes in elements if tag == "img"]
    assert len(pictures) == 3
    assert all(len(picture["alt"]) > 50 and picture["src"].startswith("data:image/png;base64,") for picture in pictures)
    links = [attributes["href"] for tag, attributes in elements if tag == "a"]
    assert links.count("#picture-identity") == 2  # from T2, and from the list of all


def test_every_link_has_a_target_and_nothing_comes_from_elsewhere(whole):
    elements = Reader(whole[1]).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in elements:
        for name in ("href", "src", "action", "data", "srcset"):
            if name in attributes:
                target = attributes[name]
                assert target.startswith("data:") or target.removeprefix("#") in ids, target
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert "url(" not in whole[1]
    assert "@import" not in whole[1]


def test_the_error_budget_has_a_row_per_step_with_size_and_share(whole):
    text = " ".join(" ".join(Reader(whole[1]).text).split())
    for ds in computed("budget"):
        last = ds.budget.isel(time=-1)
        size, share = (float(last.sel(step="beta -> D(1/2)", column=column)) for column in ("size", "share"))
        assert f"{size:.2g}" in text
        assert f"{100 * share:.0f}%" in text


def test_the_table_has_the_evidence_of_every_verdict_and_every_small_variable_to_the_last_bit(whole):
    folder, page, _ = whole
    results = read_all(folder)
    rows = numbers(judge(results).verdicts, results)
    told = [float(attributes["data-value"]) for tag, attributes in Reader(page).elements if "data-value" in attributes]
    assert told == [row.value for row in rows]
    for claim, verdict in judge(results).verdicts:
        assert {(item.case, item.figure) for item in verdict.evidence} <= {
            (row.case, row.value) for row in rows if row.source == claim.id
        }
    ds = results["identity"][0]
    local = [row for row in rows if (row.case, row.quantity) == (ds.attrs["case"], "local_error")]
    assert [row.value for row in local] == ds.local_error.values.tolist()
    assert [row.at for row in local] == [f"scale = {scale:g}" for scale in ds.scale.values]
    assert not [row for row in rows if row.quantity == "beta"]


def test_how_it_was_computed_names_versions_seeds_configs_and_what_is_not_there(whole):
    text = " ".join(" ".join(Reader(whole[1]).text).split())
    assert f"numpy {np.__version__}" in text
    assert "xor-4" in text or "spector" in text
    assert '"n_seeds": ' in text
    assert "figure two_regimes: no results of 'training_time'" in text
    assert "claim C3: convergence has no results" in text


def test_the_retrainings_are_the_sizes_of_all_stored_tables_however_many_blocks_they_have(tmp_path):
    folder = stored(tmp_path, "leverage")
    for k, learner in enumerate((Wavy(n_points=7), Wavy(n_points=3))):  # four blocks, and less than one
        response_table(learner, range(2 + k), store=folder / "leverage" / f"{k}.table")
    arrays = [zarr.open_array(path, mode="r") for path in folder.glob("*/*.table/responses.zarr/responses")]
    assert len(arrays) == 2
    text = " ".join(make(folder, "report")[1].split())
    assert f"All {sum(seeds * subsets for seeds, subsets, _ in (a.shape for a in arrays))} retrainings of 2 tables" in text


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda run: run.write_text(run.read_text().replace("128", "129")), lambda run: run.write_text("{}")]
)
def test_a_table_whose_settings_are_lost_or_edited_is_named_and_never_counted(tmp_path, damage):
    folder = stored(tmp_path, "leverage")
    response_table(Wavy(n_points=7), range(2), store=folder / "leverage" / "0.table")
    (folder / "leverage" / "begun.table").mkdir()  # a run that ended before its first block
    assert retrainings(folder).fits == 2 * 2**7
    damage(folder / "leverage" / "0.table" / "run.json")
    with pytest.raises(ValueError, match=r"0\.table/run\.json is missing, or was edited or damaged: .* --repair"):
        retrainings(folder)


def test_no_results_at_all_are_an_error_that_says_what_to_run(tmp_path):
    result, page = make(tmp_path)
    assert page == ""
    assert "run first `python -m sims verify" in str(result.exception)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Somebody's own data with names that are markup, a formula, mathematics to matplotlib, or not to be printed."""
    folder = tmp_path_factory.mktemp("hostile") / "r"
    names = (FORMULA, HOSTILE, "a $\\frac{$ b\x01")
    for name in names:
        save(renamed(computed("identity")[0], name), folder)
    column = np.array(['"><img src=x onerror=alert(1)>', FORMULA], object)
    told = {"case": FORMULA, "experiment": "own", "config": "{}", "source": "' onmouseover='alert(1)"}
    save(xr.Dataset({"<b onclick=alert(1)>": (("column",), [1.0, -2.0])}, {"column": column}, told), folder)
    result, page = make(folder)
    return folder, page, result


def test_hostile_names_are_shown_as_text_and_run_nothing(hostile):
    _, page, result = hostile
    assert result.exit_code == 0, result.output
    read = Reader(page)
    assert [tag for tag, _ in read.elements].count("script") == 1
    assert HOSTILE not in page
    text = " ".join(read.text)
    assert HOSTILE in text
    assert '"><img src=x onerror=alert(1)>' in text
    assert all(attributes["src"].startswith("data:") for tag, attributes in read.elements if tag == "img")
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]


def test_a_picture_of_hostile_names_is_a_well_formed_svg_with_the_names_as_text(hostile):
    svg = ElementTree.fromstring((hostile[0] / "figures" / "identity.svg").read_text())
    words = " ".join("".join(node.itertext()) for node in svg.iter("{http://www.w3.org/2000/svg}text"))
    assert "<script>alert(1)</script>, N = " in words
    assert "A $\\frac{$ b\N{REPLACEMENT CHARACTER}, N = " in words
    assert not list(svg.iter("{http://www.w3.org/2000/svg}script"))


def test_a_claim_that_odd_results_cannot_answer_is_a_fault_that_leaves_the_rest(tmp_path):
    folder = stored(tmp_path, "identity")
    save(computed("normalisation")[0].drop_vars("prediction"), folder)
    result, page = make(folder)
    assert result.exit_code == 1
    assert "claim C7: AttributeError" in result.output
    assert "claim C7: AttributeError" in html.unescape(page)
    assert 'id="claim-C6"' in page


def test_a_damaged_case_is_named_with_what_to_do(tmp_path):
    folder = stored(tmp_path, "normalisation")
    chunk = next(file for file in sorted(folder.glob("normalisation/*.zarr/prediction/c/**/*")) if file.is_file())
    chunk.write_bytes(b"\0" * chunk.stat().st_size)
    result, _ = make(folder)
    assert re.search(r"normalisation/.*\.zarr is damaged: its sha256 .* --repair", str(result.exception))
