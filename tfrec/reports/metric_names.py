"""Metrics of the terminal's tables, by their names on the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfrec.errors import ConfigError
from tfrec.evaluation.per_user import DIVERSITY, METRICS
from tfrec.settings import suggestion

SHOWN_KS = (5, 10, 20)
"""List lengths of a metric that is named without one, such as `recall`."""

PROBABILITY_METRICS = ("auc", "log_loss", "accuracy")
"""Metrics of the candidates' probabilities: fields of details.ProbabilityMetrics."""

RANKING_METRICS = (*METRICS, DIVERSITY)


@dataclasses.dataclass(frozen=True)
class MetricNames:
    """Metrics to print: those of rankings by slice, and those of probabilities in a table apart."""

    ranking: tuple[str, ...] = ("ndcg@5", "ndcg@10", "ndcg@20", "recall@5", "recall@10", "recall@20", "mrr")
    probability: tuple[str, ...] = ()


DEFAULT_METRICS = MetricNames()


def parse_metrics(text: str) -> MetricNames:
    """Metrics of a list with commas, such as `precision,f1@10,auc`; "" gives DEFAULT_METRICS.

    A name without a list length stands for SHOWN_KS, or for the only length that there is. Raises
    ConfigError for an unknown name.
    """
    words = [word for part in text.split(",") if (word := part.strip().lower())]
    names = list(dict.fromkeys(name for word in words for name in _names(word)))
    if not names:
        return DEFAULT_METRICS
    return MetricNames(
        tuple(name for name in names if name not in PROBABILITY_METRICS),
        tuple(name for name in names if name in PROBABILITY_METRICS),
    )


def _names(word: str) -> Sequence[str]:
    if word in (*RANKING_METRICS, *PROBABILITY_METRICS):
        return (word,)
    names = [f"{word}@{k}" for k in SHOWN_KS if f"{word}@{k}" in RANKING_METRICS]
    if not names:
        known = [*dict.fromkeys(name.split("@")[0] for name in RANKING_METRICS), *PROBABILITY_METRICS]
        near = suggestion(word, [*known, *RANKING_METRICS])
        raise ConfigError(f"--metrics has {word!r}{near}; use some of {', '.join(known)}, or with a length: recall@100")
    return names
