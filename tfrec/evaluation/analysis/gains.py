"""Where a model gains and loses beside another one: the difference in every group of items and of users."""

from __future__ import annotations

from tfrec.evaluation.bootstrap import interval
from tfrec.evaluation.scores import Gain, Scores

METRIC = "ndcg@20"


def strongest(baselines: dict[str, Scores]) -> Scores:
    """The baseline with the best mean NDCG@20 over all users; the first of those that are equal, or are no number."""
    return max(baselines.values(), key=lambda scores: scores.slices["all"].metrics[METRIC])


def gains(model: Scores, other: Scores) -> tuple[Gain, ...]:
    """The paired difference of NDCG@20 in each group with two users or more, in the order of the groups."""
    found = []
    for partition, parts in model.groups.items():
        for name, part in parts.items():
            theirs = other.groups[partition][name]
            if part.users > 1:
                low, high = interval(part.per_user[METRIC] - theirs.per_user[METRIC])
                values = part.metrics[METRIC], theirs.metrics[METRIC]
                found.append(Gain(partition, name, part.users, *values, low, high))
    return tuple(found)
