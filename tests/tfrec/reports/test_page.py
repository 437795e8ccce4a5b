"""HTML page of an evaluation: numbers, markup, and text that must not become markup."""

from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser

import pytest

from tests.tfrec.reports.evaluation_by_hand import EVALUATION, EVIL, PROTOCOL, scores
from tfrec.errors import DataError
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Verdict
from tfrec.reports.figures import MISSING
from tfrec.reports.page import render_page, write_page

SECTIONS = (
    "scores recall-curves cold-start calibration-and-exposure learning exposure-by-group groups sample-users seconds "
    "protocol"
).split()


class Page(HTMLParser):
    """Tags, tables and texts of a page."""

    VOID = ("meta", "br", "img", "link", "use", "path", "rect")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}  # by caption
        self.text: dict[str, str] = {}  # by the id of the innermost section
        self._open: list[tuple[str, dict[str, str]]] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if tag not in self.VOID:
            self._open.append((tag, attributes))
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self._open.pop()[0] == tag
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        names = [tag for tag, _ in self._open]
        sections = (part["id"] for tag, part in reversed(self._open) if tag == "section" and "id" in part)
        section = next(sections, "")
        self.text[section] = self.text.get(section, "") + data
        if names[-1:] == ["caption"]:
            self._caption += data
        if {"td", "th"} & set(names):
            self._rows[-1][-1] += data

    def attributes(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return render_page(EVALUATION, "Run <laptop>", {"Transform": 31.25, "Trainer": 402.0})


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_page_has_every_section_with_a_heading(page):
    assert [section["id"] for section in page.attributes("section") if "id" in section] == SECTIONS
    assert len(page.attributes("h2")) == len(SECTIONS)
    assert not any(MISSING in text for text in page.text.values())


def test_the_verdict_comes_first_with_its_reasons(page, html):
    assert html.index("BLESSED") < html.index('id="scores"')
    assert "above &lt;the&gt; floor" in html
    refused = render_page(
        dataclasses.replace(EVALUATION, verdict=Verdict(False, ("too bad", "no loss"), ("too bad",))), "Run"
    )
    assert "REFUSED" in Page(refused).text[""]
    assert "not met: too bad" in " ".join(Page(refused).text[""].split())
    assert "not met: no loss" not in " ".join(Page(refused).text[""].split())
    assert "BLESSED" not in refused


def test_the_headline_compares_the_model_with_the_strongest_baseline(page):
    assert "NDCG@20: two stages 0.3600, strongest baseline (personal_frequency) 0.3501" in page.text[""]


def test_the_table_has_a_row_for_each_model_with_intervals(page):
    table = page.tables["Means over users"]
    assert table[0][:2] == ["model", "NDCG@20"]
    assert [row[0] for row in table[1:]] == ["popularity", "personal_frequency", "two stages"]
    model = dict(zip(table[0], table[-1], strict=True))
    assert model["NDCG@20"] == "0.3600" + "0.3477 to 0.3723"
    assert model["NDCG@20, new to the user"].startswith("0.0360")
    assert model["Recall@20 among cold items"] == "0.0276"
    assert model["Diversity@20 by text"] == "0.8125"


def test_gains_and_losses_are_ordered_by_size(page):
    gains, losses = page.tables["Largest gains"], page.tables["Largest losses"]
    assert gains[1][0] == f"department: {EVIL}"
    assert gains[1][1:] == ["900", "0.4444", "0.3333", "+0.1111", "0.0511 to 0.1711"]
    assert [row[0] for row in gains[2:]] == ["activity: 1 to 120"]  # the ages of items have a plot instead
    assert [row[0] for row in losses[1:]] == ["department: TOYS"]


def test_exposure_has_a_table_for_each_partition(page):
    brands = page.tables["Shares by brand"]
    assert brands[0] == ["group", "catalog", "labels", "two stages", "personal_frequency"]
    assert brands[1] == ["b0", "0.1000", "0.2000", "0.3000", "0.4000"]
    assert brands[6] == [EVIL, "0.5000", "0.0000", "0.2500", "–"]
    assert page.tables["Shares by item age"][1:] == [["new", "0.0385", "0.0301", "0.0012", "0.0000"]]


def test_seconds_are_those_of_the_steps_the_training_and_the_scoring(page):
    assert page.tables["Seconds of each step"][1:] == [
        ["Transform", "31.2"],
        ["Trainer", "402.0"],
        ["training: towers", "110.0"],
        ["training: second stage", "12.2"],
        *([f"scoring: {name}", "12.5"] for name in EVALUATION.scores),
    ]


def test_sample_users_are_shown_by_titles(page):
    text = " ".join(page.text["sample-users"].split())
    assert "User u<b>1</b>: 1 of 2 recommended items are hits; 12 labels in the window" in text
    assert "i3" in text  # it has no title
    assert "and 11 more" in text
    assert "Soap" in text
    assert "\x1b" not in text


def test_no_text_of_the_shop_becomes_markup(page, html):
    assert EVIL in page.text["sample-users"]
    assert page.attributes("script") == page.attributes("img") == page.attributes("b") == []
    assert "Run &lt;laptop&gt;" in html


def test_the_page_loads_nothing(page, html):
    assert len(page.attributes("section")) >= len(SECTIONS)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "script")
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "data", "action", "srcset"):
                assert value.startswith("#")
            assert not name.startswith("on")
    assert [url for url in re.findall(r"url\(([^)]*)\)", html) if not url.startswith("#")] == []
    assert "@import" not in html
    assert "://" not in html
    assert len(html) < 300_000


def test_plots_and_tables_are_accessible(page):
    drawings = page.attributes("svg")
    assert len(drawings) == 10
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(drawing["role"] == "img" and drawing["aria-labelledby"] in ids for drawing in drawings)
    assert all(cell.get("scope") in ("row", "col") for cell in page.attributes("th"))
    assert len(page.attributes("caption")) == len(page.attributes("table")) == len(page.tables)
    assert page.attributes("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in page.attributes("meta"))


def test_plots_take_their_colors_from_the_page(html):
    drawn = html[html.index("<svg") : html.rindex("</svg>")]
    assert "var(--model)" in drawn
    assert re.findall(r"#[0-9a-f]{6}\b", re.sub(r'href="#[^"]*"|url\(#[^)]*\)', "", drawn)) == []


def test_parts_missing_in_an_older_evaluation_are_named():
    old = {}
    for name, each in EVALUATION.scores.items():
        slices = {key: dataclasses.replace(part, intervals={}) for key, part in each.slices.items()}
        old[name] = dataclasses.replace(each, groups={}, exposure=(), slices=slices)
    page = Page(render_page(Evaluation(PROTOCOL, old, EVALUATION.verdict), "Run"))
    assert [section["id"] for section in page.attributes("section") if "id" in section] == SECTIONS
    for section in ("cold-start", "learning", "groups", "sample-users"):
        assert MISSING in page.text[section]
    assert "0.3600" in str(page.tables)


def test_nan_is_shown_as_a_dash():
    models = {name: scores(name, math.nan) for name in ("popularity", "two stages")}
    page = Page(render_page(Evaluation(PROTOCOL, models, Verdict(False, ("no number",))), "Run"))
    assert page.tables["Means over users"][1][1] == "–"
    assert not any("nan" in cell for rows in page.tables.values() for row in rows for cell in row)


def test_an_evaluation_without_a_model_is_refused():
    with pytest.raises(DataError, match="holds no model, so there is nothing to report"):
        render_page(Evaluation(PROTOCOL, {}, Verdict(True, ())), "Run")


def test_a_page_is_written_whole_or_refused_with_a_cure(tmp_path):
    (tmp_path / "report.html").write_text("an older one")
    assert write_page("页", tmp_path / "report.html") == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "页"
    for bad in (tmp_path / "no" / "report.html", tmp_path):
        with pytest.raises(DataError, match=r"--out is .* can't be written .* give a file in a folder that exists"):
            write_page("page", bad)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
