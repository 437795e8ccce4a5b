"""The page: that it says what the evaluation says, loads nothing, and lets no title of a shop become a part of it."""

from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser

import pytest

from tfrec.errors import DataError
from tfrec.evaluation.evaluate import METRICS
from tfrec.evaluation.scores import (
    Bin,
    ColdStart,
    Details,
    Evaluation,
    Gain,
    Listed,
    Point,
    Protocol,
    Reliability,
    Scores,
    Shopper,
    SliceScores,
    Verdict,
)
from tfrec.reports.page import MISSING, render_page, write_page
from tfrec.training.learning_curve import Epoch

SECTIONS = "scores recall-curves cold-start reliability-and-exposure learning groups shoppers costs protocol".split()
EVIL = "<script>alert('tea')</script><img src=x onerror=alert(1)> & \"西湖龙井\""

PROTOCOL = Protocol("test", 1_512_432_000, "utc", ("purchase",), "sold", 2003, 5, 68260, 2627, "by chance", "history")


def part(ndcg: float, recall: float, users: int = 2003) -> SliceScores:
    numbers = dict.fromkeys(METRICS, 0.25) | {"ndcg@20": ndcg, "recall@20": recall, "diversity@20": 0.8125}
    return SliceScores(users, 0.01, numbers, {"ndcg@20": (ndcg - 0.0123, ndcg + 0.0123)})


def scores(name: str, ndcg: float) -> Scores:
    slices = {
        "all": part(ndcg, 0.3),
        "novel": part(ndcg / 10, 0.1),
        "cold": part(math.nan, math.nan, 0),
        "cold_among": part(0.02, 0.0276),
        "new_users": part(math.nan, math.nan, 0),
    }
    ages = {"never chosen before": part(0.0, 0.0), "0 to 7 days": part(0.1, 0.1234)}
    return Scores(name, slices, 12.5, {"item age": ages}, (0.55, 0.45))


def point(events: int | None, ndcg: float) -> Point:
    return Point(events, {"all": part(ndcg, 0.2), "novel": part(ndcg / 10, 0.1)})


DETAILS = Details(
    baseline="personal_frequency",
    gains=(
        Gain("department", EVIL, 900, 0.4444, 0.3333, 0.0511, 0.1711),
        Gain("department", "TOYS", 30, 0.1, 0.2, -0.2, -0.0001),
        Gain("activity", "1 to 120", 500, 0.25, 0.2499, -0.01, 0.0102),
        Gain("item age", "0 to 7 days", 500, 0.9, 0.1, 0.7, 0.9),
    ),
    cold_start=ColdStart(
        500,
        (point(0, 0.1111), point(1, 0.2222), point(None, 0.3456)),
        {"all": part(0.1528, 0.1), "novel": part(0.04, 0.1)},
    ),
    reliability=Reliability((Bin(0.001, 0.0, 1000), Bin(0.2, 0.25, 1001)), 0.0255),
    chosen=(0.7531, 0.2469),
    shoppers=(
        Shopper(
            "u<b>1</b>",
            (Listed("i1", "Soap\x1b[2J", False),),
            (Listed("i2", EVIL, True), Listed("i3", "", False)),
            (Listed("i2", EVIL, True),),
            12,
        ),
    ),
    training=(Epoch("towers", 1, 5.4321, 60.0, 0.1212, 0.0313), Epoch("second stage", 1, 0.0871, 12.25)),
)
NDCG = {"popularity": 0.1361, "personal_frequency": 0.3501, "two stages": 0.36}
EVALUATION = Evaluation(
    PROTOCOL,
    {name: scores(name, ndcg) for name, ndcg in NDCG.items()},
    Verdict(True, ("two stages has ndcg@20 0.3600 on all, above <the> floor",)),
    DETAILS,
)


class Page(HTMLParser):
    """What a browser would make of it, as far as the tests ask."""

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
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag not in self.VOID:
            self._open.append((tag, given))
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
        section = next((given["id"] for tag, given in reversed(self._open) if tag == "section" and "id" in given), "")
        self.text[section] = self.text.get(section, "") + data
        if names[-1:] == ["caption"]:
            self._caption += data
        if {"td", "th"} & set(names):
            self._rows[-1][-1] += data

    def having(self, tag: str) -> list[dict[str, str]]:
        return [given for name, given in self.tags if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return render_page(EVALUATION, "Run <laptop>", {"Transform": 31.25, "Trainer": 402.0})


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_every_section_is_there_under_a_headline(page):
    assert [given["id"] for given in page.having("section") if "id" in given] == SECTIONS
    assert len(page.having("h2")) == len(SECTIONS)
    assert [given["id"] for given in page.having("div") if given.get("class", "").startswith("verdict")] == ["verdict"]
    assert MISSING not in page.text.values()


def test_the_verdict_comes_first_with_its_reasons(page, html):
    assert html.index("BLESSED") < html.index('id="scores"')
    assert "above &lt;the&gt; floor" in html
    refused = render_page(dataclasses.replace(EVALUATION, verdict=Verdict(False, ("too bad",))), "Run")
    assert "REFUSED" in Page(refused).text[""]
    assert "BLESSED" not in refused


def test_the_table_holds_the_numbers_of_the_evaluation_with_intervals(page):
    (table,) = [rows for caption, rows in page.tables.items() if caption.startswith("Means over users")]
    assert table[0][:2] == ["model", "NDCG@20"]
    assert [row[0] for row in table[1:]] == ["popularity", "personal_frequency", "two stages"]
    ours = dict(zip(table[0], table[-1], strict=True))
    assert ours["NDCG@20"] == "0.3600" + "0.3477 to 0.3723"
    assert ours["NDCG@20, never chosen before"].startswith("0.0360")
    assert ours["Recall@20 among new items"] == "0.0276"
    assert ours["diversity@20 by text"] == "0.8125"


def test_the_plots_come_with_their_numbers(page):
    recall = page.tables["Recall@k of all choices"]
    assert recall[0] == ["k", "popularity", "personal_frequency", "two stages"]
    assert recall[3] == ["20", "0.3000", "0.3000", "0.3000"]
    cold = page.tables["NDCG@20 by events of history, 500 users"]
    assert cold == [
        ["events", "the model", "the model, 95 % interval", "the same for all"],
        ["0", "0.1111", "0.0988 to 0.1234", "0.1528"],
        ["1", "0.2222", "0.2099 to 0.2345", "0.1528"],
        ["all", "0.3456", "0.3333 to 0.3579", "0.1528"],
    ]
    assert page.tables["Recall@20 by days since an item was first chosen"][2] == ["0 to 7 days", "0.1234", "0.1234"]
    assert page.tables["Reliability of the chances"][1:] == [
        ["0.00100", "0.00000", "1,000"],
        ["0.20000", "0.25000", "1,001"],
    ]
    assert "off by 0.0255" in page.text["reliability-and-exposure"]
    exposure = page.tables["Share of recommendations and of choices by popularity"]
    assert exposure[:2] == [
        ["tenth", "chosen", "two stages", "personal_frequency"],
        ["1", "0.7531", "0.5500", "0.5500"],
    ]
    assert page.tables["Loss: towers"] == [["epoch", "loss"], ["1", "5.4321"]]
    assert page.tables["NDCG@20 on the validation window"][1] == ["1", "0.1212", "0.0313"]


def test_gains_and_losses_are_ordered_by_their_size(page):
    gains, losses = page.tables["Largest gains"], page.tables["Largest losses"]
    assert gains[1][0] == f"department: {EVIL}"
    assert gains[1][1:] == ["900", "0.4444", "0.3333", "+0.1111", "0.0511 to 0.1711"]
    assert [row[0] for row in gains[2:]] == ["activity: 1 to 120"]  # the ages of items are plotted
    assert [row[0] for row in losses[1:]] == ["department: TOYS"]


def test_costs_are_those_of_the_steps_the_training_and_the_scoring(page):
    assert page.tables["Seconds of each step"][1:] == [
        ["Transform", "31.2"],
        ["Trainer", "402.0"],
        ["training: towers", "60.0"],
        ["training: second stage", "12.2"],
        *([f"scoring: {name}", "12.5"] for name in EVALUATION.scores),
    ]


def test_shoppers_are_shown_by_titles(page):
    said = " ".join(page.text["shoppers"].split())
    assert "u<b>1</b>: 1 of 2 recommended items chosen, 12 choices" in said
    assert "i3" in said  # it has no title
    assert "and 11 more" in said
    assert "\x1b" not in said


def test_no_text_of_the_shop_becomes_a_part_of_the_page(page, html):
    assert EVIL in page.text["shoppers"]
    assert page.having("script") == []
    assert page.having("img") == []
    assert page.having("b") == []
    assert "Run &lt;laptop&gt;" in html


def test_nothing_is_loaded_from_anywhere(page, html):
    for tag, given in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "script")
        for name, value in given.items():
            if name in ("src", "href", "xlink:href", "data", "action", "srcset"):
                assert value.startswith("#")
            assert not name.startswith("on")
    assert [found for found in re.findall(r"url\(([^)]*)\)", html) if not found.startswith("#")] == []
    assert "@import" not in html
    assert "://" not in html
    assert len(html) < 300_000


def test_whoever_does_not_see_the_plots_reads_them(page):
    drawings = page.having("svg")
    assert len(drawings) == 10
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    assert all(given["role"] == "img" and given["aria-labelledby"] in ids for given in drawings)
    assert all(given.get("scope") in ("row", "col") for given in page.having("th"))
    assert len(page.having("caption")) == len(page.having("table")) == len(page.tables)
    assert page.having("html")[0]["lang"] == "en"
    assert any(given.get("name") == "viewport" for given in page.having("meta"))


def test_plots_take_their_colours_from_the_page(html):
    drawn = html[html.index("<svg") : html.rindex("</svg>")]
    assert "var(--ours)" in drawn
    assert re.findall(r"#[0-9a-f]{6}\b", re.sub(r'href="#[^"]*"|url\(#[^)]*\)', "", drawn)) == []


def test_an_evaluation_of_before_is_shown_as_far_as_it_goes():
    old = {}
    for name, each in EVALUATION.scores.items():
        slices = {key: dataclasses.replace(part, intervals={}) for key, part in each.slices.items()}
        old[name] = dataclasses.replace(each, groups={}, exposure=(), slices=slices)
    page = Page(render_page(Evaluation(PROTOCOL, old, EVALUATION.verdict), "Run"))
    assert [given["id"] for given in page.having("section") if "id" in given] == SECTIONS
    for section in ("cold-start", "learning", "groups", "shoppers"):
        assert MISSING in page.text[section]
    assert "0.3600" in str(page.tables)


def test_numbers_that_do_not_exist_are_a_dash():
    nothing = {name: scores(name, math.nan) for name in ("popularity", "two stages")}
    page = Page(render_page(Evaluation(PROTOCOL, nothing, Verdict(False, ("no number",))), "Run"))
    (table,) = [rows for caption, rows in page.tables.items() if caption.startswith("Means over users")]
    assert table[1][1] == "–"
    assert not any("nan" in cell for rows in page.tables.values() for row in rows for cell in row)


def test_an_evaluation_without_a_model_is_refused():
    with pytest.raises(DataError, match="holds no model, so there is nothing to report"):
        render_page(Evaluation(PROTOCOL, {}, Verdict(True, ())), "Run")


def test_a_page_is_written_whole_or_a_sentence_says_why_not(tmp_path):
    (tmp_path / "report.html").write_text("an older one")
    assert write_page("页", tmp_path / "report.html") == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "页"
    for bad in (tmp_path / "no" / "report.html", tmp_path):
        with pytest.raises(DataError, match=r"--out is .* can't be written .* give a file in a folder that exists"):
            write_page("page", bad)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
