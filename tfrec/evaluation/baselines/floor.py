"""Baselines of the verdict, with settings that the validation window chooses."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator

import numpy as np

from tfrec import metrics
from tfrec.config import VerdictConfig
from tfrec.evaluation.baselines.collaborative import Weight, decomposed_autoencoder
from tfrec.evaluation.baselines.hybrid import with_fallback
from tfrec.evaluation.baselines.personal_frequency import personal_frequency, settings_to_try
from tfrec.evaluation.baselines.popularity import popularity, random_ranking, recent_popularity
from tfrec.evaluation.evaluate import SLICES, evaluate
from tfrec.evaluation.holdout import Holdout, Scorer

TUNING_USERS = 300
RANK, ITERATIONS = 128, 2  # of the linear autoencoder: seconds on Complete Journey
REGULARIZATIONS = (10.0, 100.0, 1000.0)

_BATCH = 128
_SEED = 0


@dataclasses.dataclass(frozen=True)
class FloorBaselines:
    """Baselines of a test window, and the one that was the strongest on the validation window."""

    scorers: dict[str, Scorer]  # by name, in the order of the table
    strongest: str
    settings: dict[str, str]  # of the tuned ones, in words


@dataclasses.dataclass(frozen=True)
class _Trial:
    """A baseline with one choice of its settings on the validation window."""

    settings: str
    score: Scorer
    fit: Callable[[Holdout], Scorer]  # with the same settings before any window


def floor_baselines(validation: Holdout, test: Holdout, verdict: VerdictConfig) -> FloorBaselines:
    """Fit the baselines before the test window, with settings that the validation window chooses.

    The strongest one has the best mean of the verdict's metric on its slice of a fixed sample of
    the validation window's users; on "all" where none of them is in the slice.
    """
    rows = np.random.default_rng(_SEED).permutation(len(validation.user_ids))[:TUNING_USERS]
    is_novel = SLICES[verdict.slice] != "open"

    def best(trials: Iterator[_Trial]) -> _Trial:
        return max(trials, key=lambda trial: _mean_ndcg(trial.score, validation, rows, is_novel))

    selected = {
        "recent_popularity": _Trial("", recent_popularity(validation), recent_popularity),
        "personal_frequency": best(_frequencies(validation)),
        "linear_autoencoder": best(_autoencoders(validation)),
    }
    values = {name: _value(name, trial.score, validation, rows, verdict) for name, trial in selected.items()}
    fitted = {name: trial.fit(test) for name, trial in selected.items()}
    return FloorBaselines(
        {"random": random_ranking(test), "popularity": popularity(test), **fitted},
        max(values, key=lambda name: values[name]),
        {name: trial.settings for name, trial in selected.items() if trial.settings},
    )


def _frequencies(holdout: Holdout) -> Iterator[_Trial]:
    for settings in settings_to_try(holdout):
        fit = functools.partial(personal_frequency, half_life_days=settings.half_life_days, weights=settings.weights)
        yield _Trial(str(settings), fit(holdout), fit)


def _autoencoders(holdout: Holdout) -> Iterator[_Trial]:
    weights: tuple[Weight, ...] = ("binary",) if holdout.clock == "order" else ("binary", "recent")
    for weight in weights:
        decomposed = decomposed_autoencoder(holdout, RANK, weight, ITERATIONS)
        for regularization in REGULARIZATIONS:
            fit = functools.partial(_autoencoder, weight=weight, regularization=regularization)
            score = _filled(decomposed(regularization), holdout)
            yield _Trial(f"{weight} weights, regularization {regularization:g}", score, fit)


def _autoencoder(holdout: Holdout, weight: Weight, regularization: float) -> Scorer:
    return _filled(decomposed_autoencoder(holdout, RANK, weight, ITERATIONS)(regularization), holdout)


def _filled(score: Scorer, holdout: Holdout) -> Scorer:
    return with_fallback(score, recent_popularity(holdout), holdout)


def _mean_ndcg(score: Scorer, holdout: Holdout, rows: np.ndarray, is_novel: bool, k: int = 20) -> float:
    """Mean NDCG@k over the users `rows`; with `is_novel`, of labels that are not in the history."""
    values = [np.zeros(0)]
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        scores, labels, history = np.array(score(part), np.float32), holdout.labels[part], holdout.history[part]
        if is_novel:
            scores[np.repeat(np.arange(len(part)), np.diff(history.indptr)), history.indices] = -np.inf
            labels = metrics.not_in_history(labels, history)
        values.append(metrics.ndcg_of_scores(scores, labels, k))
    joined = np.concatenate(values)
    return float(joined.mean()) if len(joined) else 0.0


def _value(name: str, score: Scorer, holdout: Holdout, rows: np.ndarray, verdict: VerdictConfig) -> float:
    """The metric on the slice that decide the verdict; minus infinity where nobody has a label."""
    slices = evaluate(name, score, holdout, rows=rows).slices
    part = slices[verdict.slice] if slices[verdict.slice].users else slices["all"]
    return part.metrics[verdict.metric] if part.users else -math.inf
