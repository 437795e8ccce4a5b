"""Settings that `tfrec tune` varies, and their values around those of a run."""

from __future__ import annotations

from typing import Any

from tfrec.config import Config
from tfrec.setting_names import value_of

Space = dict[str, tuple[Any, ...]]
"""Dotted name of a setting -> its values, the run's own among them."""

_MULTIPLES: dict[str, tuple[float, ...]] = {
    "train.learning_rate": (0.3, 0.5, 2, 3),
    "train.batch_size": (0.5, 2),
    "train.uniform_negatives": (0.5, 4),
    "towers.dim": (0.5, 2),
}
_VALUES: Space = {
    "train.mask_positives": ("sequence", "basket", "repeat"),
    "train.recency_half_life_days": (0.0, 30.0, 60.0, 180.0),
    "train.trend_half_life_days": (0.0, 7.0, 28.0),
    "train.repeat_weight": (0.3, 1.0),
    "towers.dropout": (0.1, 0.2, 0.3, 0.4, 0.5),
    "towers.id_dropout": (0.0, 0.1, 0.3, 0.5),
    "towers.blocks": (1, 2),
}
_RANKER_MULTIPLES: dict[str, tuple[float, ...]] = {
    "ranking.learning_rate": (0.3, 3),
    "ranking.epochs": (0.5, 2),
    "ranking.n_towers": (0.5, 2),
    "ranking.n_copurchase": (0.5, 2),
    "ranking.n_popular": (0.5, 2),
    "ranking.copurchase_regularization": (0.1, 0.3, 3),
}
_RANKER_VALUES: Space = {
    "ranking.dropout": (0.0, 0.1, 0.3),
    "ranking.hidden": ((64,), (128, 64), (256, 128)),
    "ranking.cross_layers": (0, 1, 2, 3),
    "ranking.embedding_dim": (4, 8, 16),
}


def towers_space(config: Config) -> Space:
    """Settings of the towers and their training, or those of `tune.space` where it is given."""
    return _around(config, {}, dict(config.tune.space)) if config.tune.space else _around(config, _MULTIPLES, _VALUES)


def ranker_space(config: Config) -> Space:
    """Settings of the second stage."""
    # States of items are kept for one earlier window: resolved_run.py refuses more.
    windows = (0, 1) if config.examples.item_states else (0, 1, 2)
    return _around(config, _RANKER_MULTIPLES, _RANKER_VALUES | {"ranking.earlier_windows": windows})


def _around(config: Config, multiples: dict[str, tuple[float, ...]], values: Space) -> Space:
    without_effect = [
        *(["ranking.earlier_windows"] if not config.has_windows else []),
        *(["train.trend_half_life_days"] if config.clock == "order" else []),
    ]
    space: Space = {}
    for name, factors in multiples.items():
        own = value_of(config, name)
        others = (max(round(own * factor), 1) if isinstance(own, int) else own * factor for factor in factors)
        space[name] = tuple(dict.fromkeys((own, *others))) if own else (own,)
    for name, listed in values.items():
        space[name] = tuple(dict.fromkeys((value_of(config, name), *listed)))
    return {name: each for name, each in space.items() if len(each) > 1 and name not in without_effect}
