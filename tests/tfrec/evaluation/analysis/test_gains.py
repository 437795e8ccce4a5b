"""Gains and losses group by group."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.evaluation.analysis.gains import gains, strongest
from tfrec.evaluation.details import GroupGain
from tfrec.evaluation.scores import Scores, SliceScores


def scores(name: str, mean: float, tea: list[float], tools: list[float]) -> Scores:
    def part(values: list[float]) -> SliceScores:
        mean = float(np.mean(values)) if values else float("nan")
        return SliceScores(len(values), 0.0, {"ndcg@20": mean}, per_user={"ndcg@20": np.array(values)})

    of_all = {"all": SliceScores(3, 0.0, {"ndcg@20": mean})}
    return Scores(name, of_all, 1.0, {"department": {"tea": part(tea), "tools": part(tools), "toys": part([])}})


def test_a_gain_has_the_interval_of_the_paired_differences():
    # tea: differences 0.1, 0.2, 0.3, interval by Student's t. tools has one user, toys none.
    by_group = gains(scores("ours", 0.5, [0.2, 0.5, 0.5], [0.9]), scores("theirs", 0.4, [0.1, 0.3, 0.2], [0.1]))
    near = lambda value: pytest.approx(value, abs=1e-5)  # noqa: E731
    assert by_group == (GroupGain("department", "tea", 3, near(0.4), near(0.2), near(-0.04841), near(0.44841)),)


def test_the_strongest_baseline_has_the_best_mean():
    known = {name: scores(name, mean, [], []) for name, mean in (("a", 0.1), ("b", 0.3), ("c", 0.2))}
    assert strongest(known).name == "b"
