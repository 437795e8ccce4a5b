"""Quality tables: means and intervals, spread over seeds, paired gains."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.harness.quality_table import Row, format_gains, format_rows, summarize
from tfrec.evaluation.scores import Scores, SliceScores

ALL, COLD = ("all", "ndcg@20"), ("cold_among", "recall@20")


def row(name: str, values: list[float], cpu_minutes: float = np.nan) -> Row:
    users = {"ndcg@20": np.array(values)}
    mean = {"ndcg@20": float(np.mean(values)), "recall@20": float("nan")}
    slices = {"all": SliceScores(len(values), 0.0, mean, {}, users), "cold_among": SliceScores(0, 0.0, mean)}
    return Row(name, Scores(name, slices, 0.0), cpu_minutes)


def test_a_row_has_its_mean_and_marks_an_empty_slice():
    text = format_rows([row("EASE", [0.2] * 40)], [ALL, COLD])
    assert text.splitlines()[0] == "|  | all ndcg@20 | cold_among recall@20 | CPU minutes |"
    assert "| EASE | 0.2000 ± 0.0000 | no users |  |" in text.splitlines()


def test_only_a_model_with_several_seeds_gets_a_line_with_mean_and_spread():
    rows = [row("tfrec, seed 1", [0.2] * 40, 4.0), row("tfrec, seed 2", [0.4] * 40, 6.0), row("EASE", [0.1] * 40)]
    assert "| **tfrec, mean of 2 seeds** | 0.3000 sd 0.1414 | 5.0 |" in format_rows(rows, [ALL]).splitlines()
    assert "mean of" not in format_rows(rows[1:], [ALL])


def test_a_gain_that_is_equal_for_all_users_has_an_interval_of_width_0():
    random = np.random.default_rng(0).random(50)
    text = format_gains([row("BERT", list(random + 0.01))], [row("no text", list(random))], [ALL])
    assert text.splitlines()[-1].startswith("| BERT minus no text | +0.0100 [+0.0100, +0.0100] |")


def test_the_summary_has_the_ends_of_the_interval_and_the_cpu_minutes():
    scores = summarize([row("tfrec, seed 1", [0.0, 1.0] * 50, 4.0)], [ALL])["tfrec, seed 1"]
    assert scores["all ndcg@20"]["mean"] == 0.5
    assert scores["all ndcg@20"]["low"] == pytest.approx(0.4, abs=0.03)
    assert scores["all ndcg@20"]["high"] == pytest.approx(0.6, abs=0.03)
    assert scores["cpu_minutes"] == {"mean": 4.0}
