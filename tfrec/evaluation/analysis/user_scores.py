"""Scores and lists of models user by user, kept beside an evaluation as two Parquet files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.atomic_file import sync
from tfrec.errors import DataError
from tfrec.evaluation.holdout import Holdout
from tfrec.evaluation.scores import Scores, SliceScores

SCORES_FILE, LISTS_FILE = "user_scores.parquet", "user_lists.parquet"
METRIC = "ndcg@20"
SLICE = "slice"
"""Partition of the rows that belong to a slice; other partitions are those of Scores.groups."""
LABELS = "labels"
"""Model of the rows of labels."""
LIST_LENGTH = 10


@dataclasses.dataclass(frozen=True)
class UserScores:
    """Tables of some models of one evaluation; among the lists are those of the labels."""

    scores: pa.Table  # model, partition, group, user_id: str; value: float32 NDCG@20
    lists: pa.Table  # model, user_id: str; items: list of str, titles or ids; is_label: list of bool

    def write(self, folder: Path) -> None:
        """Write both files, each beside its place first, then by a rename."""
        for table, name in ((self.scores, SCORES_FILE), (self.lists, LISTS_FILE)):
            staging = folder / f".tmp-{name}"
            pq.write_table(table, staging, compression="zstd")
            sync(staging)
            os.replace(staging, folder / name)

    @staticmethod
    def read(folder: Path) -> UserScores | None:
        """Read the files that `write` wrote; None without them. DataError for damaged ones."""
        paths = [folder / SCORES_FILE, folder / LISTS_FILE]
        if not all(path.is_file() for path in paths):
            return None
        try:
            return UserScores(*(pq.read_table(path) for path in paths))
        except pa.ArrowException as error:
            raise DataError(f"{folder} holds damaged scores of users ({error}); run `tfrec train` again") from error


def user_scores(holdout: Holdout, models: Mapping[str, Scores], titles: np.ndarray) -> UserScores:
    """The tables of the models by name; `titles` [items] are shown in place of ids where known."""
    users = pa.array(holdout.user_ids.tolist(), pa.string())
    shown = np.where(titles == "", holdout.item_ids, titles)
    parts = [
        _rows(name, partition, group, part, users)
        for name, scores in models.items()
        for partition, groups in ({SLICE: scores.slices} | scores.groups).items()
        for group, part in groups.items()
        if part.users
    ]
    labels = [holdout.labels[row].indices[:LIST_LENGTH] for row in range(len(holdout.user_ids))]
    lists = {LABELS: labels} | {
        name: [row[row >= 0] for row in each.lists[:, :LIST_LENGTH]] for name, each in models.items()
    }
    return UserScores(
        pa.concat_tables(parts) if parts else _rows("", "", "", SliceScores(0, 0.0, {}), users),
        pa.concat_tables([_lists(name, rows, holdout, shown) for name, rows in lists.items()]),
    )


def _rows(model: str, partition: str, group: str, part: SliceScores, users: pa.Array) -> pa.Table:
    values = part.per_user.get(METRIC, np.empty(0, np.float32))
    return pa.table(
        {
            "model": _repeated(model, len(values)),
            "partition": _repeated(partition, len(values)),
            "group": _repeated(group, len(values)),
            "user_id": users.take(pa.array(part.user_rows)),
            "value": pa.array(values, pa.float32()),
        }
    )


def _lists(model: str, rows: list[np.ndarray], holdout: Holdout, shown: np.ndarray) -> pa.Table:
    labels = [np.isin(row, holdout.labels[user].indices).tolist() for user, row in enumerate(rows)]
    return pa.table(
        {
            "model": _repeated(model, len(rows)),
            "user_id": pa.array(holdout.user_ids.tolist(), pa.string()),
            "items": pa.array([shown[row].tolist() for row in rows], pa.list_(pa.string())),
            "is_label": pa.array(labels, pa.list_(pa.bool_())),
        }
    )


def _repeated(text: str, count: int) -> pa.Array:
    return pa.array([text] * count, pa.string())
