"""Exposure of groups of items: shares of lists beside shares of labels and of the catalog."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tfrec import metrics
from tfrec.evaluation.details import GroupExposure
from tfrec.evaluation.groups import Partition
from tfrec.evaluation.holdout import Holdout
from tfrec.evaluation.scores import Scores


def exposure(
    holdout: Holdout, model: Scores, baseline: Scores, partitions: Mapping[str, Partition]
) -> tuple[GroupExposure, ...]:
    """Shares of each group in each partition, by the first 20 items of all users' lists."""
    columns = np.arange(len(holdout.item_ids)), holdout.labels.indices, model.lists, baseline.lists
    rows = []
    for name, partition in partitions.items():
        shares = [_shares(partition, each) for each in columns]
        rows += [GroupExposure(name, group, *each) for group, *each in zip(partition.names, *shares, strict=True)]
    return tuple(rows)


def _shares(partition: Partition, columns: np.ndarray) -> list[float]:
    """Share of the columns in each group, MASKED ones left out; NaN where there is no column."""
    counts = np.bincount(partition.group[columns[columns != metrics.MASKED]], minlength=len(partition.names))
    return (counts / counts.sum()).tolist() if counts.sum() else [math.nan] * len(counts)
