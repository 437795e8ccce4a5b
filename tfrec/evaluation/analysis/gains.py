"""Gains and losses of a model against a baseline in every group of items and of users."""

from __future__ import annotations

from tfrec.evaluation.bootstrap import DIFFERENCES, interval
from tfrec.evaluation.details import GroupGain
from tfrec.evaluation.scores import Scores

METRIC = "ndcg@20"


def strongest(baselines: dict[str, Scores]) -> Scores:
    """The baseline with the best mean NDCG@20 over all users; the first if equal or NaN."""
    return max(baselines.values(), key=lambda scores: scores.slices["all"].metrics[METRIC])


def gains(model: Scores, baseline: Scores) -> tuple[GroupGain, ...]:
    """Paired difference of NDCG@20 in each group with two users or more, in their order."""
    by_group = []
    for partition, parts in model.groups.items():
        for name, part in parts.items():
            other = baseline.groups[partition][name]
            if part.users > 1:
                low, high = interval(part.per_user[METRIC] - other.per_user[METRIC], DIFFERENCES)
                means = part.metrics[METRIC], other.metrics[METRIC]
                by_group.append(GroupGain(partition, name, part.users, *means, low, high))
    return tuple(by_group)
