"""The report: one file that needs no network, with every picture, texts for those who do not see them, and a slider."""

import base64
import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from maps import chl_map, psc_map

import xgapfill
from xgapfill.api.strips import Fields
from xgapfill.cli import main

pytest.importorskip("matplotlib")
pytest.importorskip("cmocean")


class Page(HTMLParser):
    """Tags with attributes, the text of the page, and its headings."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.headings, self.last = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: D102
        self.tags.append((tag, dict(attrs)))
        self.last = tag

    def handle_data(self, data):  # noqa: D102
        self.words.append(data)
        if self.last == "h2":
            self.headings.append(data)
            self.last = ""

    def all(self, tag):
        """Attributes of all tags of a kind."""
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def chl():
    """A small series with a title that must be escaped."""
    return chl_map((8, 24, 30), share=0.4).assign_attrs(source="<b>made</b> & up")


@pytest.fixture(scope="module")
def written(chl, tmp_path_factory):
    """The report on a background fill, with match-ups."""
    truth = chl.fillna(0.4).to_series().sample(80, random_state=0).reset_index()
    out = tmp_path_factory.mktemp("report") / "report.html"
    return xgapfill.report(chl, out=out, matchups=truth)


@pytest.fixture(scope="module")
def page(written):
    """Its tags."""
    return Page(written.read_text())


def test_the_page_is_self_contained(written, page):
    """Nothing is loaded from elsewhere, and it is small."""
    assert written.stat().st_size < 5e6
    assert all(attrs["src"].startswith("data:") for attrs in page.all("img"))
    assert all(attrs.get("href", "").startswith("data:") for attrs in page.all("link"))
    assert not any("src" in attrs for attrs in page.all("script"))
    assert "http" not in "".join(attrs.get("style", "") for _, attrs in page.tags)


def test_every_picture_has_a_text(page):
    """Also those that the slider shows later; all are PNG files."""
    assert all(attrs["alt"] for attrs in page.all("img"))
    (data,) = [word for word in page.words if word.startswith('{"dates"')]
    found = json.loads(data)
    assert len(found["dates"]) == 8
    assert all(len(one) == 8 for one in [*found["maps"], *found["texts"]])
    for one in found["maps"]:
        for each in one:
            assert base64.b64decode(each.partition(",")[2]).startswith(b"\x89PNG")
    assert all(date in text for one in found["texts"] for date, text in zip(found["dates"], one, strict=True))


def test_all_sections_are_there(page):
    """In the order of reading, with headings, and a language."""
    text = " ".join(page.words)
    titles = ["How the data were understood", "What not to conclude", "Maps", "Gaps", "Scores"]
    assert page.headings == [*titles, "Calibration and texture", "Match-ups", "Provenance"]
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("label")[0]["for"] == page.all("input")[0]["id"]
    assert "texture S_1" in text
    assert "<b>made</b> & up" in text  # escaped, so it is text and no tag
    assert not [attrs for tag, attrs in page.tags if tag == "b" and "made" in str(attrs)]


def test_members_and_their_tests_are_shown(tmp_path):
    """Two members in place of the estimate, and tests that only members allow."""
    chl = chl_map((5, 16, 20), share=0.4)
    written = xgapfill.report(chl, "kriging", members=3, out=tmp_path / "members.html", baseline=None)
    text = " ".join(Page(written.read_text()).words)
    for word in ("member 1", "member 2", "TARP mean", "range coverage"):
        assert word in text


@pytest.mark.slow
@pytest.mark.slow
def test_classes_and_latitude_downward(tmp_path):
    """The first class is shown, and maps from north to south are drawn as others are."""
    chl = chl_map((4, 16, 20), share=0.4)
    psc = psc_map(chl)
    turned = psc.isel(lat=slice(None, None, -1))
    up, down = (Fields.of(each, xgapfill.background(each, full=True).compute()) for each in (psc, turned))
    assert np.array_equal(up.cube(up.observed), down.cube(down.observed), equal_nan=True)
    written = xgapfill.report(psc, cond=chl, out=tmp_path / "psc.html", baseline=None)
    assert "PSC filled by background" in written.read_text()


@pytest.mark.filterwarnings("ignore:the period of the only map")
@pytest.mark.parametrize("timed", [True, False])
def test_a_single_map_has_a_report(timed, tmp_path):
    """Discs are withheld from it, and the slider has one date; there are too few dates for verdicts."""
    one = chl_map((1, 40, 50), share=0.3)
    written = xgapfill.report(one if timed else one.isel(time=0, drop=True), out=tmp_path / "one.html", baseline=None)
    assert json.loads(next(w for w in Page(written.read_text()).words if w.startswith('{"dates"')))["dates"]


def test_the_command_writes_it(chl, tmp_path, capsys):
    """From a file to a file."""
    chl.to_netcdf(tmp_path / "in.nc")
    out = tmp_path / "out.html"
    pd.DataFrame({"time": chl.time.values[:3], "lat": 40.1, "lon": -39.9, "CHL": 0.3}).to_csv(tmp_path / "s.csv")
    arguments = ["report", str(tmp_path / "in.nc"), "--var", "CHL", "--matchups", str(tmp_path / "s.csv")]
    assert main([*arguments, "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert "Match-ups" in out.read_text()


@pytest.mark.slow
def test_the_page_works_in_a_browser(written, tmp_path):
    """No message, no request, every picture decoded; the slider works by keyboard and changes pictures and texts."""
    browsers = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium")
    with browsers.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page, messages = browser.new_page(), []
        page.on("console", lambda one: messages.append(one.text))
        page.on("pageerror", lambda one: messages.append(str(one)))
        page.on("request", lambda one: messages.append(one.url) if one.url.startswith("http") else None)
        page.goto(written.as_uri())
        assert page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
        look = "[...document.querySelectorAll('img.map')].map(one => [one.src, one.alt])"
        before, date = page.evaluate(look), page.inner_text("#shown")
        page.focus("#date")
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("End")
        after = page.evaluate(look)
        assert page.inner_text("#shown") != date
        assert all(one[1] != two[1] for one, two in zip(before, after, strict=True))
        assert np.mean([one[0] != two[0] for one, two in zip(before, after, strict=True)]) > 0.5
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        page.pdf(path=tmp_path / "page.pdf")
        browser.close()
    assert messages == []
