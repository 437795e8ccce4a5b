"""Benchmark of several kinds: its hand-made list, and the runs of its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.kinds import DATASETS, VARIANTS, carted_then_viewed, make_run
from tfrec.evaluation.holdout import holdout_from_events
from tfrec.schema import DAY_SECONDS, read_table_set

COLUMNS = ["user_id", "item_id", "kind", "timestamp"]


def test_the_list_has_the_latest_items_of_the_cart_first_then_the_viewed_ones() -> None:
    kinds = [("a", "view"), ("b", "cart"), ("c", "cart"), ("d", "view"), ("b", "view"), ("e", "purchase")]
    before = pd.DataFrame(
        [("ann", item, kind, second * DAY_SECONDS) for second, (item, kind) in enumerate(kinds, 20_000)],
        columns=COLUMNS,
    )
    during = pd.DataFrame([("ann", "f", "purchase", 20_010 * DAY_SECONDS)], columns=COLUMNS)
    holdout = holdout_from_events(before, during, np.array(list("abcdef"), object), label_kinds=("purchase",))
    scores = carted_then_viewed(holdout)(np.array([0]))[0]
    assert np.array(list("abcdef"))[np.argsort(-scores, kind="stable")].tolist() == ["c", "b", "d", "a", "e", "f"]
    assert scores[4:].tolist() == [0, 0]


@pytest.mark.slow
def test_purchases_alone_are_tables_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS["retailrocket"]["interactions"], "path", "events.csv")
    lines = [f"u{n % 3},i{n % 5},{kind},{1_433_000_000 + n * 86_400}" for n in range(80) for kind in ("view", "buy")]
    (tmp_path / "events.csv").write_text("user_id,item_id,event,timestamp\n" + "\n".join(lines))
    rows = {}
    for name, (events, settings) in VARIANTS.items():
        run = make_run("retailrocket", tmp_path, tmp_path / "out", events, settings)
        rows[name] = read_table_set(run.tables).manifest.rows["interactions"]
        assert run.config.evaluation.label_kinds == ("purchase",)
        assert run.config.ranking.kind_features == (name != "all kinds as equal")
    assert rows.pop("purchases alone") == 80
    assert set(rows.values()) == {160}
