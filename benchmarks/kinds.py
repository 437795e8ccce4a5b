"""What several kinds of events add: the same model on purchases alone, and on all kinds.

    python benchmarks/kinds.py retailrocket --folder FOLDER   # with events.csv.gz
    python benchmarks/kinds.py taobao --folder FOLDER         # with UserBehavior.csv.gz

The labels are the purchases of the last days, the rest of the log is history. Settings were
selected and baselines are tuned on the validation window; the test window is used once.
Each row is stored below out/kinds/DATASET; delete it to measure again. Prints tables.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.harness import model_variants
from benchmarks.harness.quality_table import Row, format_gains, format_rows
from benchmarks.quality import StoredScores, score_baselines, score_variant
from pipeline.configuration import named_run
from pipeline.outcome import latest_artifact
from pipeline.runs import Run
from tfrec.evaluation.baselines.tuning import names
from tfrec.evaluation.evaluate import Extras, evaluate
from tfrec.evaluation.holdout import Holdout, Scorer, configured_holdout
from tfrec.evaluation.scores import Scores
from tfrec.schema import read_table_set

RETAILROCKET: dict[str, Any] = {
    "interactions": {
        "path": "events.csv.gz",
        "columns": {"user_id": "user_id", "item_id": "item_id", "timestamp": "timestamp", "kind": "event"},
        "kinds": {"buy": "purchase"},
        "timestamp_format": "seconds",
    },
}
TAOBAO_COLUMNS = ["user_id", "item_id", "category_id", "event", "timestamp"]
TAOBAO: dict[str, Any] = {
    "interactions": {
        "path": "UserBehavior.csv.gz",
        "header": TAOBAO_COLUMNS,
        "columns": {"user_id": "user_id", "item_id": "item_id", "timestamp": "timestamp", "kind": "event"},
        "kinds": {"pv": "view", "fav": "favorite", "buy": "purchase"},
        "timestamp_format": "seconds",
    },
    "items": {
        "path": "UserBehavior.csv.gz",
        "header": TAOBAO_COLUMNS,
        "columns": {"item_id": "item_id", "category": "category_id"},
    },
    "settings": {"examples.split.test_days": 1, "examples.split.validation_days": 1},
}
DATASETS = {"retailrocket": RETAILROCKET, "taobao": TAOBAO}
EQUAL = {"train.other_kinds_weight": 1.0, "ranking.kind_features": False}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "purchases alone": ("purchases", {}),
    "all kinds as equal": ("all", EQUAL),
    "all kinds weighted": ("all", {}),
    "all kinds weighted, funnel": ("all", {"ranking.heads": "funnel"}),
}
"""Row -> events that it trains on, settings beyond those of the preset."""
LIST = "carted, then viewed"
KNOWN = "known users"
COLUMNS = (("all", "ndcg@20"), (KNOWN, "ndcg@20"), (KNOWN, "recall@20"))


def main() -> None:
    """Ingest, train the variants, tune the baselines and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--folder", required=True, help="folder of the file")
    parser.add_argument("--only", action="append", metavar="ROW", help="measure only this row; repeatable")
    options = parser.parse_args()
    home = Path("out/kinds") / options.dataset
    rows, names_of_rows = {}, options.only or [*VARIANTS, LIST, "baselines"]
    for name in (name for name in VARIANTS if name in names_of_rows):
        events, settings = VARIANTS[name]
        run = make_run(options.dataset, Path(options.folder), home, events, settings)
        towers, both = score_variant(run, model_variants.FULL_MODEL, home)[-2:]
        rows[f"towers alone: {name}"] = _row(f"towers alone: {name}", towers)
        rows[name] = _row(name, both)
    run = make_run(options.dataset, Path(options.folder), home, "all", {})
    if "baselines" in names_of_rows:
        rows |= {name: _row(name, stored) for name, stored in score_baselines(run, names("utc"), home).items()}
    if LIST in names_of_rows:
        rows[LIST] = Row(LIST, score_list(run))
    is_known = ~read_holdout_of(run).is_new
    rows = {name: with_known_users(row, is_known) for name, row in rows.items()}
    print(format_rows(list(rows.values()), COLUMNS))
    best = rows.pop("all kinds weighted", None)
    if best:
        print("\n" + format_gains([best] * len(rows), list(rows.values()), COLUMNS))


def make_run(dataset: str, folder: Path, home: Path, events: str, settings: Mapping[str, Any]) -> Run:
    """Ingest a data set's events, "all" or its "purchases", unless done; return the run on them."""
    mapping = yaml.safe_load(yaml.safe_dump(DATASETS[dataset]))
    for table in (mapping[name] for name in ("interactions", "items") if name in mapping):
        table["path"] = str((folder / table["path"]).absolute())
    if events == "purchases":
        mapping["interactions"]["only"] = {"event": "^buy$"}
    mapping |= {"preset": "retail", "label_kinds": ["purchase"]}
    mapping["settings"] = mapping.get("settings", {}) | dict(settings)
    mapping |= {"tables": str(home / f"tables-{events}"), "out": str(home / events)}
    path = home / f"{dataset}-{events}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(mapping), encoding="utf-8")
    if not (home / f"tables-{events}" / "manifest.json").exists():
        tfrec = str(Path(sys.executable).parent / "tfrec")
        subprocess.run([tfrec, "ingest", str(path)], check=True)
    return dataclasses.replace(named_run(str(path)), file="")


def read_holdout_of(run: Run) -> Holdout:
    """Read the test window of a run."""
    model_variants.prepare(run)
    config = dataclasses.replace(run.config, clock=read_table_set(run.tables).manifest.clock)
    return configured_holdout(str(latest_artifact(run, "TableSetExampleGen", "examples")), "test", config)


def with_known_users(row: Row, is_known: np.ndarray) -> Row:
    """Add the slice of the users `is_known` [users], who have an event of any kind before."""
    every = row.scores.slices["all"]
    known = dataclasses.replace(every, per_user={name: values[is_known] for name, values in every.per_user.items()})
    return dataclasses.replace(row, scores=dataclasses.replace(row.scores, slices=row.scores.slices | {KNOWN: known}))


def score_list(run: Run) -> Scores:
    """Scores of the list of the items in the cart by recency, then of the viewed ones."""
    holdout = read_holdout_of(run)
    return evaluate(LIST, carted_then_viewed(holdout), holdout, Extras(model_variants.PER_USER_METRICS))


def carted_then_viewed(holdout: Holdout) -> Scorer:
    """Rank a user's items in the cart by their last time, then those viewed or favored."""
    own = holdout.own_events
    base = pd.Series(own.kind).map({"cart": 2.0, "view": 1.0, "favorite": 1.0}).to_numpy(float)
    recency = pd.Series(own.timestamp).rank(method="dense", pct=True).to_numpy() * 0.9
    scores = np.zeros((len(holdout.user_ids), len(holdout.item_ids)), np.float32)
    np.fmax.at(scores, (own.user, own.item), (base + recency).astype(np.float32))
    return lambda user_rows: scores[user_rows]


def _row(name: str, stored: StoredScores) -> Row:
    return Row(name, stored.evaluation.model, stored.cpu_minutes)


if __name__ == "__main__":
    main()
