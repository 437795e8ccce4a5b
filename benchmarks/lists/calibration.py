"""Price of list calibration: popularity and categories of the lists against their NDCG@20.

    python benchmarks/lists/calibration.py [--run laptop] [--users 640]

Requests to the pushed model as a client sends them, for users of the test window at its start. Each
strength has two lists: of all items, and without those of the history ("novel"). Differences are
paired with those of strength 0. Prints a table and writes out/benchmarks/list_calibration.json.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks.recommend import make_request
from pipeline.configuration import named_run
from pipeline.outcome import latest_artifact
from serving.servable.servable import Servable
from tfrec import metrics
from tfrec.evaluation.bootstrap import interval
from tfrec.evaluation.evaluate import popularity_tenths
from tfrec.evaluation.exported_model import EVENTS
from tfrec.evaluation.groups import departments
from tfrec.evaluation.holdout import Holdout, configured_holdout
from tfrec.evaluation.per_user import LIST_LENGTH
from tfrec.examples.read import read_histories, read_items
from tfrec.schema import read_table_set
from tfrec.versions import latest_version

OUT = Path("out/benchmarks/list_calibration.json")
STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
SEED = 7
SMOOTHING = 0.01  # of the divergence, as Steck (2018)


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="laptop")
    parser.add_argument("--users", type=int, default=640)
    options = parser.parse_args()
    run = named_run(options.run)
    version = latest_version(run.serving)
    if version is None:
        raise SystemExit(f"{run.serving} holds no model; push one with `make demo`")
    examples = latest_artifact(run, "TableSetExampleGen", "examples")
    config = dataclasses.replace(run.config, clock=read_table_set(run.tables).manifest.clock)
    holdout = configured_holdout(examples, "test", config)
    users = np.random.default_rng(SEED).permutation(len(holdout.user_ids))[: options.users]
    lists = serve(Servable(version), holdout, examples, np.sort(users))
    table = measure(lists, holdout, np.sort(users), read_items(examples, holdout.item_ids).category.to_numpy())
    print(table.to_string(index=False, float_format="{:.4f}".format))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(table.to_json(orient="records", indent=2))


def serve(servable: Servable, holdout: Holdout, examples: Path, users: np.ndarray) -> np.ndarray:
    """[users, 2, strengths, 20] columns of the holdout's items, MASKED for none.

    The first list is of all items, the second one without the history.
    """
    inputs = servable.signature_defs["recommend"].inputs
    profile = [name for name in inputs if name.startswith("user_") and name != "user_id"]
    histories = read_histories(examples, holdout.window, EVENTS, profile)
    row_of = pd.Index([user_id.decode() for user_id in histories["user_id"]]).get_indexer(holdout.user_ids)
    columns = pd.Index(holdout.item_ids)
    rows = 2 * len(STRENGTHS)
    lists = []
    for user in users:
        request = {
            name: np.repeat(value, rows, axis=0) for name, value in make_request(histories, row_of[user]).items()
        }
        request |= {
            "timestamp": np.full(rows, holdout.query_times[user]),
            "exclude_seen": np.repeat([False, True], len(STRENGTHS)),
            "list_calibration": np.tile(np.array(STRENGTHS, np.float32), 2),
        }
        item_ids = servable.predict("recommend", request)["item_id"][:, :LIST_LENGTH]
        found = columns.get_indexer(pd.Index([item_id.decode() for item_id in item_ids.ravel()]))
        lists.append(np.where(found < 0, metrics.MASKED, found).reshape(2, len(STRENGTHS), -1))
    return np.stack(lists)


def measure(lists: np.ndarray, holdout: Holdout, users: np.ndarray, categories: np.ndarray) -> pd.DataFrame:
    """A row for each strength, of the lists of `serve`."""
    is_popular = popularity_tenths(holdout) == 0
    department = departments(holdout, categories)
    labels, history = holdout.labels[users], holdout.history[users]
    novel = metrics.not_in_history(labels, history)
    shares = _shares_of_groups(history, department.group, len(department.names))
    plain = {name: ndcg(lists[:, index, 0], relevant) for index, name, relevant in _slices(labels, novel)}
    rows = []
    for number, strength in enumerate(STRENGTHS):
        row: dict[str, object] = {"strength": strength}
        for index, name, relevant in _slices(labels, novel):
            values = ndcg(lists[:, index, number], relevant)
            row[f"{name} NDCG@20"] = values.mean()
            row[f"{name} change, 95 % interval"] = _change(values - plain[name], plain[name].mean())
        shown = lists[:, 0, number]
        row["in the most popular tenth"] = is_popular[shown[shown != metrics.MASKED]].mean()
        row["departments' divergence"] = _divergence(shares, shown, department.group)
        rows.append(row)
    row = {"strength": "users' labels", "in the most popular tenth": is_popular[labels.indices].mean()}
    return pd.DataFrame([*rows, row])


def ndcg(lists: np.ndarray, relevant: sp.csr_matrix) -> np.ndarray:
    """[users] NDCG@20 of the users with something relevant."""
    totals = np.diff(relevant.indptr)
    kept = totals > 0
    return metrics.ndcg(metrics.hits(lists, relevant)[kept], totals[kept], LIST_LENGTH)


def _slices(labels: sp.csr_matrix, novel: sp.csr_matrix) -> tuple[tuple[int, str, sp.csr_matrix], ...]:
    return (0, "all", labels), (1, "novel", novel)


def _change(differences: np.ndarray, base: float) -> str:
    """Mean of [users] differences and its interval, in percent of `base`."""
    mean, low, high = (100 * value / base for value in (differences.mean(), *interval(differences)))
    return f"{mean:+.2f} % [{low:+.2f}, {high:+.2f}]"


def _shares_of_groups(history: sp.csr_matrix, group: np.ndarray, groups: int) -> np.ndarray:
    """[users, groups] share of each group in the history, 0 without one."""
    of_group = sp.csr_matrix((np.ones(len(group)), (np.arange(len(group)), group)), (len(group), groups))
    counts = (history @ of_group).toarray()
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _divergence(shares: np.ndarray, lists: np.ndarray, group: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence of the lists' shares of groups from the histories'."""
    values = []
    for target, listed in zip(shares, lists, strict=True):
        shown = np.bincount(group[listed[listed != metrics.MASKED]], minlength=len(target)) / max(len(listed), 1)
        smooth, used = (1 - SMOOTHING) * shown + SMOOTHING * target, target > 0
        values.append((target[used] * np.log(target[used] / smooth[used])).sum())
    return float(np.mean(values))


if __name__ == "__main__":
    main()
