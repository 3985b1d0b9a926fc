"""The report as a browser shows it: no errors, no network, sorting, the CSV, a phone, the dark, print."""

import csv
import io

import numpy as np
import pytest
import xarray as xr
from chromium import EXECUTABLE, browser
from click.testing import CliRunner
from stored import computed, renamed, stored

from figures.__main__ import cli
from figures.numbers import numbers
from figures.results import read_all
from sims.experiments.shared.results import save
from theory.claims import judge

pytestmark = pytest.mark.skipif(
    EXECUTABLE is None, reason="NOT TESTED: report.html in a browser, because no chromium is installed (apt-get install chromium)"
)

HOSTILE = "<script>alert(1)</script>"
VALUES = "[...document.querySelectorAll('#all tbody tr')].map(row => Number(row.cells[4].dataset.value))"
HEAD = "document.querySelectorAll('#all thead th')[4]"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report on real results, on some under hostile names, and on a table of texts that look like formulas."""
    folder = stored(tmp_path_factory.mktemp("report") / "r", "identity", "normalisation", "budget")
    save(renamed(computed("identity")[0], HOSTILE), folder)
    labels = np.array(['=1+1, "quoted"', "@SUM(A1)", "-2", "plain"], object)
    told = {"case": "+1-1", "experiment": "own", "config": "{}"}
    save(xr.Dataset({"=value": (("at",), [1e300, -2.5, 1.0 / 3.0, -np.inf])}, {"at": labels}, told), folder)
    result = CliRunner().invoke(cli, ["--from", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as page:
        page.url = (report / "report.html").as_uri()
        page.open(page.url)
        yield page


def test_the_page_loads_without_an_error_a_request_or_a_dialog(page):
    names = [name for name, _ in page.events]
    assert "Page.loadEventFired" in names
    unwanted = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Page.javascriptDialogOpening"}
    assert not [event for event in page.events if event[0] in unwanted]
    requests = [told["request"]["url"] for name, told in page.events if name == "Network.requestWillBeSent"]
    assert requests[0] == page.url
    assert all(url.startswith("data:") for url in requests[1:])
    assert page.evaluate("document.scripts.length") == 1


def test_the_policy_of_the_page_stops_scripts_and_requests_that_are_not_its_own(page):
    page.open(page.url)
    before = len(page.events)
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x\" onerror=\"window.ran = true\">')"
    )
    page.evaluate(
        "(() => { const s = document.createElement('script'); s.text = 'window.ran = true'; document.body.append(s); })()"
    )
    page.until("document.images[document.images.length - 1].complete")
    assert page.evaluate("window.ran === undefined")
    blocked = [told["entry"]["text"] for name, told in page.events[before:] if name == "Log.entryAdded"]
    assert any("Content Security Policy" in text for text in blocked)


def test_every_picture_is_there_and_has_a_description(page):
    page.open(page.url)
    pictures = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.alt.trim().length])")
    assert len(pictures) == 2
    assert all(width > 600 and words > 50 for width, words in pictures)


def press(page, key):
    for kind in ("keyDown", "keyUp"):
        page.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            code=key,
            windowsVirtualKeyCode=13,
            text="\r" if kind == "keyDown" else "",
        )


def test_a_click_or_the_enter_key_on_a_header_sorts_numbers_as_numbers_and_says_so(page):
    page.open(page.url)
    before = page.evaluate(VALUES.replace("Number(row.cells[4].dataset.value)", "row.cells[4].dataset.value"))
    expected = sorted(map(float, before))
    page.evaluate(f"{HEAD}.querySelector('button').click()")
    texts = page.evaluate(VALUES.replace("Number(row.cells[4].dataset.value)", "row.cells[4].dataset.value"))
    assert list(map(float, texts)) == expected
    assert page.evaluate(f"{HEAD}.getAttribute('aria-sort')") == "ascending"
    page.evaluate(f"{HEAD}.querySelector('button').focus()")
    press(page, "Enter")
    texts = page.evaluate(VALUES.replace("Number(row.cells[4].dataset.value)", "row.cells[4].dataset.value"))
    assert list(map(float, texts)) == expected[::-1]
    assert page.evaluate("[...document.querySelectorAll('[aria-sort]')].map(head => head.getAttribute('aria-sort'))") == [
        "descending"
    ]


def test_texts_sort_as_words_with_their_numbers_in_order(page):
    page.open(page.url)
    page.evaluate("document.querySelectorAll('#all thead th button')[0].click()")
    sources = page.evaluate("[...document.querySelectorAll('#all tbody tr')].map(row => row.cells[0].textContent)")
    order = list(dict.fromkeys(sources))
    assert order.index("C1") < order.index("C6") < order.index("identity") < order.index("T2") < order.index("T10")


def test_the_csv_has_every_row_with_exact_numbers_and_no_text_that_is_a_formula(page, report, tmp_path):
    page.open(page.url)
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path), eventsEnabled=True)
    page.evaluate("document.getElementById('download').click()")
    wait_for_download(page)
    head, *rows = csv.reader(io.StringIO((tmp_path / "numbers.csv").read_text(), newline=""))
    assert head == ["Claim or experiment", "Case", "Quantity", "At", "Value"]
    results = read_all(report)
    expected = numbers(judge(results).verdicts, results)
    assert len(rows) == len(expected) > 100

    def plain(text):
        return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text

    for row, number in zip(rows, expected, strict=True):
        assert row[:4] == [plain(text) for text in (number.source, number.case, number.quantity, number.at)]
        assert float(row[4]) == number.value
    own = [row for row in rows if row[0] == "own"]
    assert {row[1] for row in own} == {"'+1-1"}
    assert {row[2] for row in own} == {"'=value"}
    assert [row[3] for row in own] == ['at = =1+1, "quoted"', "at = @SUM(A1)", "at = -2", "at = plain"]


def wait_for_download(page):
    page.until("new Promise(done => setTimeout(() => done(true), 200))")
    for _ in range(100):
        page.evaluate("new Promise(done => setTimeout(done, 50))")
        if any(name == "Browser.downloadProgress" and told["state"] == "completed" for name, told in page.events):
            return
    raise TimeoutError("no download within 5 s")


@pytest.mark.parametrize("width", [380, 320, 1280])
def test_the_page_does_not_scroll_sideways(page, width):
    page.open(page.url, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate("[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth).length")
    assert wide > 0 or width == 1280, "on a phone wide tables scroll within their boxes"


def test_pictures_stay_on_white_in_the_dark(page):
    page.open(page.url, dark=True)
    assert page.evaluate("getComputedStyle(document.querySelector('figure .scroll')).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 26)"


def test_print_has_verdicts_and_pictures_but_no_buttons_and_no_table_of_thousands_of_rows(page):
    page.open(page.url, media="print")

    def shown(selector):
        return page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).display") != "none"

    assert shown("article")
    assert shown("figure img")
    assert not shown("#download")
    assert not shown("#all")
    assert not shown("nav")


def test_without_javascript_everything_is_there_but_the_button(page):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(page.url)
        assert page.evaluate("document.getElementById('download').hidden")
        assert page.evaluate("document.querySelectorAll('#all tbody tr').length") > 100
        assert page.evaluate("document.querySelectorAll('#all thead button').length") == 0
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
