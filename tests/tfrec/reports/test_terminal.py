"""Tables for the terminal: their numbers, and their width."""

from __future__ import annotations

import dataclasses
import math

import pytest

from tfrec.errors import DataError
from tfrec.evaluation.per_user import METRICS
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Protocol, Scores, SliceScores, Verdict
from tfrec.reports.columns import display_width, fit
from tfrec.reports.terminal import (
    Recommendation,
    render_comparison,
    render_recommendations,
    render_table,
)

PROTOCOL = Protocol(
    window="test",
    window_start=1_512_432_000,  # 2017-12-05 00:00 UTC
    clock="utc",
    label_kinds=("view", "click", "cart", "purchase", "rating", "search"),
    candidates="sold",
    users=2003,
    new_users=5,
    items=68260,
    cold_items=2627,
    ties="at random",
    masks="history",
)


def scores(name: str, ndcg: float, new_users: int = 1) -> Scores:
    numbers = dict.fromkeys(METRICS, 0.25) | {"ndcg@20": ndcg, "novelty@20": 11.5}
    new = SliceScores(new_users, math.nan, numbers)
    return Scores(name, {"all": SliceScores(2003, 0.0061, numbers), "new_users": new}, 1.0)


def evaluation(*models: Scores, blessed: bool = True) -> Evaluation:
    return Evaluation(PROTOCOL, {model.name: model for model in models}, Verdict(blessed, ("because " * 30, "also")))


def test_each_slice_is_a_block_with_a_row_for_each_model_in_order():
    table = render_table(evaluation(scores("popularity", 0.1480), scores("two-tower", 0.3652)))
    lines = table.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("all: 2,003 users"))
    assert lines[start].split() == (
        "all: 2,003 users ndcg@20 (se) recall@20 recall@100 hit_rate@20 mrr coverage@20 novelty@20".split()
    )
    assert set(lines[start + 1]) == {"-"}
    assert lines[start + 2].split() == "popularity 0.1480 (0.0061) 0.2500 0.2500 0.2500 0.2500 0.2500 11.5000".split()
    assert lines[start + 3].startswith("two-tower ")


def test_numbers_are_aligned_with_their_headings():
    lines = render_table(evaluation(scores("人气", 0.1480))).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("all:"))
    for heading, number in (("ndcg@20 (se)", "0.1480 (0.0061)"), ("novelty@20", "11.5000")):
        ends = [
            display_width(line[: line.index(text) + len(text)])
            for line, text in ((lines[start], heading), (lines[start + 2], number))
        ]
        assert ends[0] == ends[1]


def test_the_protocol_names_window_users_and_candidates():
    text = " ".join(render_table(evaluation(scores("popularity", 0.1))).split())
    assert "test window from 2017-12-05 00:00 UTC; 2,003 users, 5 of them new;" in text
    assert "68,260 candidates (sold), 2,627 cold, none sampled;" in text


def test_an_order_has_no_date():
    order = dataclasses.replace(
        evaluation(scores("popularity", 0.1)),
        protocol=dataclasses.replace(PROTOCOL, clock="order", window_start=3),
    )
    assert "test window from position 3 of an order (leave-last-out);" in render_table(order)


def test_leave_last_out_of_dated_data_says_that_it_knows_later_events():
    last_out = dataclasses.replace(
        evaluation(scores("popularity", 0.1)), protocol=dataclasses.replace(PROTOCOL, split="leave_last_out")
    )
    text = " ".join(render_table(last_out).split())
    assert "test window from 2017-12-05 00:00 UTC on (leave-last-out: of other users also later events are" in text


@pytest.mark.parametrize(("blessed", "word"), [(True, "BLESSED"), (False, "REFUSED")])
def test_the_verdict_comes_last_with_its_reasons(blessed, word):
    lines = render_table(evaluation(scores("popularity", 0.1), blessed=blessed)).splitlines()
    assert f"Verdict: {word}" in lines
    assert lines[-1] == "- also"


def test_the_table_fits_in_120_columns():
    table = render_table(evaluation(scores("a model with a name that is far too long", 0.1), scores("模型" * 20, 0.2)))
    assert max(display_width(line) for line in table.splitlines()) <= 120


def test_a_slice_without_users_is_one_line():
    lines = render_table(evaluation(scores("popularity", 0.1, new_users=0))).splitlines()
    assert lines[lines.index("new_users: 0 users") + 1] == ""


def test_nan_is_printed_as_nan():
    assert "two-tower" + " " * 30 + "nan" in render_table(evaluation(scores("two-tower", math.nan, 2)))


def test_a_comparison_shows_each_model_and_its_difference_from_the_first():
    old, new = evaluation(scores("popularity", 0.1), scores("two-tower", 0.3)), evaluation(scores("two stages", 0.35))
    lines = render_comparison({"old": old, "new": new}).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("all: "))
    assert [line.split()[:2] for line in lines[start + 2 : start + 4]] == [["old", "0.3000"], ["new", "0.3500"]]
    assert lines[start + 4].split()[:3] == ["new,", "difference", "+0.0500"]
    assert max(map(display_width, lines)) <= 120


def test_different_protocols_are_not_compared_and_the_differences_are_named():
    other = dataclasses.replace(PROTOCOL, data="another hash", users=7)
    with pytest.raises(
        DataError, match=r"users is 2003 in old but 7 in new; data is '' in old but 'another hash' in new"
    ):
        render_comparison(
            {
                "old": evaluation(scores("a", 0.1)),
                "new": dataclasses.replace(evaluation(scores("a", 0.1)), protocol=other),
            }
        )


def test_a_chinese_character_takes_two_columns_and_a_combining_one_none():
    assert display_width("茶 tea") == 6
    assert display_width("cafe\u0301") == 4
    assert display_width("（") == 2


def test_text_is_padded_or_cut_to_a_width():
    assert fit("tea", 5) == "tea  "
    assert fit("green tea", 6) == "green…"
    assert fit("西湖龙井", 8) == "西湖龙井"
    # Five columns: two characters and the ellipsis. Four: one character, the ellipsis, a space.
    assert fit("西湖龙井", 5) == "西湖…"
    assert fit("西湖龙井", 4) == "西… "


def test_recommendations_are_listed_with_the_next_event():
    rows = [
        Recommendation(1, 1.5, "t-1", "西湖龙井", "purchase"),
        Recommendation(10, -0.25, "茶", "Penne, 500 g", ""),
    ]
    assert render_recommendations(rows).splitlines() == [
        "rank     score  then      item  title",
        "   1     1.500  purchase  t-1   西湖龙井",
        "  10    -0.250            茶    Penne, 500 g",
    ]


def test_without_next_events_there_is_no_column_for_them():
    assert render_recommendations([Recommendation(1, 0.5, "s", "Soap")]) == (
        "rank     score  item  title\n   1     0.500  s     Soap"
    )


def test_line_breaks_and_escapes_of_a_title_are_removed():
    table = render_recommendations([Recommendation(1, 0.5, "s", "Soap\n\t\x1b[2Jbar" + "x" * 10_000, "view")])
    assert len(table.splitlines()) == 2
    assert "\x1b" not in table
    assert max(map(display_width, table.splitlines())) == 120
    assert table.endswith("…")


def test_no_recommendations_give_a_table_without_rows():
    assert render_recommendations([]) == "rank     score  item  title"
