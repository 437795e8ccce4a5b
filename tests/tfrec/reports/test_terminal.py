"""Recommendations for the terminal, and the widths of text."""

from __future__ import annotations

from tfrec.reports.columns import display_width, fit
from tfrec.reports.terminal import Recommendation, render_recommendations


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
        "   1    1.5000  purchase  t-1   西湖龙井",
        "  10   -0.2500            茶    Penne, 500 g",
    ]


def test_without_next_events_there_is_no_column_for_them():
    assert render_recommendations([Recommendation(1, 0.5, "s", "Soap")]) == (
        "rank     score  item  title\n   1    0.5000  s     Soap"
    )


def test_line_breaks_and_escapes_of_a_title_are_removed():
    table = render_recommendations([Recommendation(1, 0.5, "s", "Soap\n\t\x1b[2Jbar" + "x" * 10_000, "view")])
    assert len(table.splitlines()) == 2
    assert "\x1b" not in table
    assert max(map(display_width, table.splitlines())) == 120
    assert table.endswith("…")


def test_no_recommendations_give_a_table_without_rows():
    assert render_recommendations([]) == "rank     score  item  title"
