"""Tables of scores for the terminal: their numbers, and their width."""

from __future__ import annotations

import dataclasses
import math

import pytest

from tfrec.errors import ConfigError, DataError
from tfrec.evaluation.details import Details, ProbabilityMetrics
from tfrec.evaluation.per_user import METRICS
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Protocol, Scores, SliceScores, Verdict
from tfrec.reports.columns import display_width
from tfrec.reports.metric_names import MetricNames, parse_metrics
from tfrec.reports.score_tables import render_comparison, render_table

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


REASONS = ("because " * 30, "also")


def scores(name: str, ndcg: float, new_users: int = 1) -> Scores:
    numbers = dict.fromkeys(METRICS, 0.25) | {"ndcg@20": ndcg, "novelty@20": 11.5, "mrr": 0.75}
    new = SliceScores(new_users, math.nan, numbers)
    return Scores(name, {"all": SliceScores(2003, 0.0061, numbers), "new_users": new}, 1.0)


def evaluation(*models: Scores, blessed: bool = True) -> Evaluation:
    return Evaluation(
        PROTOCOL, {model.name: model for model in models}, Verdict(blessed, REASONS, () if blessed else REASONS[1:])
    )


def test_each_slice_is_a_block_with_a_row_for_each_model_in_order():
    table = render_table(evaluation(scores("popularity", 0.1480), scores("two-tower", 0.3652)))
    lines = table.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("all: 2,003 users"))
    assert lines[start].split() == (
        "all: 2,003 users ndcg@5 ndcg@10 ndcg@20 (se) recall@5 recall@10 recall@20 mrr".split()
    )
    assert set(lines[start + 1]) == {"-"}
    assert lines[start + 2].split() == "popularity 0.2500 0.2500 0.1480 (0.0061) 0.2500 0.2500 0.2500 0.7500".split()
    assert lines[start + 3].startswith("two-tower ")


def test_numbers_are_aligned_with_their_headings():
    lines = render_table(evaluation(scores("人气", 0.1480))).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("all:"))
    for heading, number in (("ndcg@20 (se)", "0.1480 (0.0061)"), ("mrr", "0.7500")):
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
    assert lines[-1] == ("- also" if blessed else "- NOT MET: also")


def test_the_table_fits_in_120_columns():
    table = render_table(evaluation(scores("a model with a name that is far too long", 0.1), scores("模型" * 20, 0.2)))
    assert max(display_width(line) for line in table.splitlines()) <= 120


def test_a_slice_without_users_is_left_out():
    empty = evaluation(scores("popularity", 0.1, new_users=0))
    for text in (render_table(empty), render_comparison({"one": empty, "other": empty})):
        assert "new_users" not in text
        assert "\n\n\n" not in text


def test_nan_is_printed_as_nan():
    line = next(
        line for line in render_table(evaluation(scores("two-tower", math.nan, 2))).splitlines() if line[:3] == "two"
    )
    assert line.split()[3] == "nan"


def test_a_comparison_shows_each_model_and_its_difference_from_the_first():
    old, new = evaluation(scores("popularity", 0.1), scores("two-tower", 0.3)), evaluation(scores("two stages", 0.35))
    lines = render_comparison({"old": old, "new": new}).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("all: "))
    rows = [[line.split()[n] for n in (0, 3)] for line in lines[start + 2 : start + 4]]
    assert rows == [["old", "0.3000"], ["new", "0.3500"]]
    assert lines[start + 4].split()[:5] == ["new,", "difference", "+0.0000", "+0.0000", "+0.0500"]
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


def test_metrics_by_name_are_the_columns_in_their_order():
    lines = render_table(evaluation(scores("popularity", 0.1)), parse_metrics("novelty, ndcg@20,f1@10")).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("all: "))
    assert lines[start].split() == "all: 2,003 users novelty@20 ndcg@20 (se) f1@10".split()
    assert lines[start + 2].split() == "popularity 11.5000 0.1000 (0.0061) 0.2500".split()


def test_more_metrics_than_fit_are_tables_below_each_other():
    table = render_table(evaluation(scores("popularity", 0.1)), parse_metrics("precision,f1,recall,hit_rate"))
    assert max(map(display_width, table.splitlines())) <= 120
    headers = [line.split()[3:] for line in table.splitlines() if line.startswith("all: 2,003 users")]
    assert headers == [
        [*(f"{name}@{k}" for name in ("precision", "f1") for k in (5, 10, 20)), "recall@5"],
        ["recall@10", "recall@20", "hit_rate@5", "hit_rate@10", "hit_rate@20"],
    ]


def test_a_metric_without_a_length_stands_for_5_10_and_20_or_its_only_length():
    assert parse_metrics("recall,COVERAGE,recall@5,auc,mrr,recall@100") == MetricNames(
        ("recall@5", "recall@10", "recall@20", "coverage@20", "mrr", "recall@100"), ("auc",)
    )
    assert parse_metrics("") == MetricNames()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("precison", r"--metrics has 'precison' \(did you mean 'precision'\?\); use some of ndcg, recall, map"),
        ("recall@7", r"--metrics has 'recall@7' \(did you mean 'recall@5'\?\)"),
    ],
)
def test_an_unknown_metric_is_refused_with_the_nearest_one(text, error):
    with pytest.raises(ConfigError, match=error):
        parse_metrics(text)


def test_a_metric_that_an_older_evaluation_lacks_is_named():
    old = scores("two-tower", 0.1)
    for part in old.slices.values():
        part.metrics.pop("precision@5", None)
    with pytest.raises(DataError, match="this evaluation has no precision@5; evaluate again with `tfrec train`"):
        render_table(evaluation(old), parse_metrics("precision"))


def test_metrics_of_probabilities_have_a_table_and_a_protocol_of_their_own():
    of_probabilities = ProbabilityMetrics(2000, 50, auc=0.91, log_loss=0.08, accuracy=0.976)
    whole = dataclasses.replace(
        evaluation(scores("popularity", 0.1), scores("two stages", 0.2)),
        details=Details(probabilities=of_probabilities),
    )
    text = render_table(whole, parse_metrics("auc,accuracy"))
    assert "all: 2,003 users" not in text
    assert "each model's own candidates of all users together, not the whole catalog" in text
    assert "where a constant 0 reaches 0.9750." in " ".join(text.split())  # 1 - 50 / 2,000
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("candidates  "))
    assert lines[start].split() == ["candidates", "auc", "accuracy", "candidates", "labels"]
    assert lines[start + 2].split() == ["two", "stages", "0.9100", "0.9760", "2,000", "50"]
    assert "auc" not in render_table(whole)
    assert "0.9100" in render_comparison({"old": whole, "new": whole}, parse_metrics("auc"))


def test_a_model_without_probabilities_has_no_auc():
    with pytest.raises(DataError, match=r"no auc: probabilities come from a second stage \(ranking.epochs"):
        render_table(evaluation(scores("two-tower", 0.1)), parse_metrics("auc"))
