"""Tuned baselines on the examples of tests/conftest.py, stored one by one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import pipeline  # noqa: F401  # isort: skip  before TensorFlow
from pipeline.experiments.baselines import Measured, measure
from pipeline.runs import Run
from tests.conftest import SHOP_INTERACTIONS, WriteTables


@pytest.fixture
def run(tmp_path: Path, write_tables: WriteTables) -> Run:
    """A run over any dated tables: the examples are given, and the clock is the tables'."""
    tables = write_tables(tmp_path / "tables", SHOP_INTERACTIONS)
    return Run("shop", tables=str(tables.root), out=str(tmp_path / "out"))


def test_baselines_are_measured_in_order_and_stored(run: Run, toy_examples: Path, capsys: pytest.CaptureFixture[str]):
    names = ["popularity", "recent popularity", "EASE"]
    first = measure(run, str(toy_examples), names)
    assert list(first.scores) == names
    assert first.protocol.users == 3
    # Worked out in tests/conftest.py.
    assert first.scores["recent popularity"].slices["all"].metrics["ndcg@20"] == pytest.approx(0.4769, abs=1e-4)
    output = capsys.readouterr().out
    assert "EASE: tuning and measuring, 3 of 3" in output
    assert "the run has no model yet; train one: `tfrec train" in output

    # An interrupted call goes on: what is stored is read, what is missing is measured.
    (stored,) = Path(run.work).glob("baselines/*/EASE.json")
    stored.unlink()
    again = measure(run, str(toy_examples), names)
    output = capsys.readouterr().out
    assert "popularity: measured before, 1 of 3" in output
    assert "EASE: tuning and measuring, 3 of 3" in output
    assert_equal(again, first)


def assert_equal(measured: Measured, expected: Measured) -> None:
    for name, scores in expected.scores.items():
        for slice_, part in scores.slices.items():
            np.testing.assert_equal(measured.scores[name].slices[slice_].metrics, part.metrics)


def test_a_baseline_whose_package_is_missing_is_left_out_with_one_sentence(
    run: Run, toy_examples: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "implicit", None)  # as if it was not installed
    measured = measure(run, str(toy_examples), ["iALS", "popularity"])
    assert list(measured.scores) == ["popularity"]
    output = capsys.readouterr().out
    assert "iALS is left out: the baseline needs the package implicit, which does not load here" in output


def test_titles_without_a_shared_word_leave_tfidf_out(run: Run, toy_examples: Path, capsys: pytest.CaptureFixture[str]):
    # The items of these examples have no texts at all.
    measured = measure(run, str(toy_examples), ["TF-IDF profile", "random"])
    assert list(measured.scores) == ["random"]
    assert "TF-IDF profile is left out: TF-IDF needs words that two items' texts share" in capsys.readouterr().out
