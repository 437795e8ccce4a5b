"""The strong baselines with their small grids: chosen on the validation window, refitted for the test window.

A setting is chosen for each of two questions, what a user chooses at all and what a user chooses for the first time:
a baseline that wins one may lose the other. It knows nothing of the model that they are compared with.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfrec import metrics
from tfrec.evaluation.baselines import popularity
from tfrec.evaluation.baselines.collaborative import bpr, ease, ials, item_knn, linear_autoencoder
from tfrec.evaluation.baselines.content import text_knn, tfidf_profile
from tfrec.evaluation.baselines.hybrid import boosted, hybrid, with_fallback
from tfrec.evaluation.evaluate import evaluate
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.evaluation.scores import Scores

QUESTIONS = {"all": ("all", "new_users"), "novel": ("novel", "cold", "cold_among")}
"""What a setting is chosen for -> the slices that it answers."""

BOOSTED = "LightGBM over these"

TUNING_USERS = 500
_BATCH = 128
_SEED = 0


@dataclasses.dataclass(frozen=True)
class Shop:
    """What a baseline may learn from."""

    holdout: Holdout
    texts: np.ndarray  # [items] str
    vectors: np.ndarray  # [items, dim] float32 of length 1, by a frozen BERT


Fit = Callable[..., Scorer]


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A way to fit a scorer, and the settings to try."""

    fit: Fit  # (shop, **settings) -> scorer
    grid: tuple[Mapping[str, Any], ...] = ({},)


def strong_baselines(clock: str) -> dict[str, Baseline]:
    """The baselines by name. Without timestamps nothing is recent or decays."""
    dated = clock == "utc"
    weights = ("binary", "recent") if dated else ("binary",)
    found = {
        "random": Baseline(lambda shop: popularity.random_ranking(shop.holdout)),
        "popularity": Baseline(
            lambda shop, count: popularity.popularity(shop.holdout, count), _grid(count=("users", "baskets"))
        ),
        "recent popularity": Baseline(lambda shop: popularity.recent_popularity(shop.holdout)),
        "personal frequency": Baseline(_frequency, _grid(half_life=(None, 30, 60, 120) if dated else (None,))),
        "item-kNN": Baseline(_of(item_knn), _grid(neighbours=(50, 300), weight=weights)),
        "EASE": Baseline(_of(ease), _grid(regularization=(100.0, 500.0, 2000.0), weight=weights)),
        "linear autoencoder": Baseline(
            _of(linear_autoencoder), _grid(rank=(256, 512), regularization=(300.0, 1000.0, 3000.0))
        ),
        "iALS": Baseline(_of(ials), _grid(factors=(64, 128), regularization=(0.05, 5.0), weight=("log",))),
        "BPR": Baseline(_of(bpr), _grid(regularization=(0.01, 0.05))),
        "TF-IDF profile": Baseline(_tfidf, _grid(weight=weights[-1:], popularity=(0.0, 0.1, 0.3))),
        "text-kNN": Baseline(_text_knn, _grid(weight=weights[-1:], power=(8, 16), popularity=(0.0, 0.3))),
        "frequency + EASE": Baseline(_hybrid, _grid(share=(0.1, 0.3, 1.0), weight=weights[-1:])),
    }
    return found


def names(clock: str) -> list[str]:
    """What `compare` can measure, in its order."""
    return [*strong_baselines(clock), BOOSTED]


def compare(
    validation: Shop,
    test: Shop,
    say: Callable[[str], None],
    wanted: Sequence[str] | None = None,
    by_user: tuple[str, ...] = ("ndcg@20",),
) -> Iterator[Scores]:
    """Test scores of each wanted baseline (None: all) with the settings that did best on the validation window.

    `by_user` are the metrics that are given user by user too. Boosting needs all others, wanted or not.
    """
    wanted = names(test.holdout.clock) if wanted is None else wanted
    fitted: dict[str, tuple[Scorer, Scorer]] = {}
    for name, baseline in strong_baselines(test.holdout.clock).items():
        if name not in wanted and BOOSTED not in wanted:
            continue
        started = time.monotonic()
        chosen = _tune(name, baseline, validation)
        said = ", ".join(f"{question} {dict(settings)}" for question, settings in chosen.items() if settings)
        scorers = {"all": _fit(name, baseline, test, chosen["all"])}
        if name in wanted:
            is_one = chosen["novel"] is chosen["all"]
            scorers["novel"] = scorers["all"] if is_one else _fit(name, baseline, test, chosen["novel"])
            yield _answers(name, scorers, test.holdout, by_user)
        if name != "random" and BOOSTED in wanted:
            fitted[name] = (_fit(name, baseline, validation, chosen["all"]), scorers["all"])
        say(f"{name}: {said or 'no settings'}; {time.monotonic() - started:.0f} s")
    if BOOSTED in wanted:
        past, now = ({name: pair[index] for name, pair in fitted.items()} for index in range(2))
        yield evaluate(BOOSTED, boosted(past, validation.holdout, now), test.holdout, by_user=by_user)


def _of(fit: Callable[..., Scorer]) -> Fit:
    return lambda shop, **settings: fit(shop.holdout, **settings)


def _frequency(shop: Shop, half_life: float | None) -> Scorer:
    return popularity.personal_frequency(shop.holdout, half_life)


def _tfidf(shop: Shop, **settings: Any) -> Scorer:
    return tfidf_profile(shop.holdout, shop.texts.tolist(), **settings)


def _text_knn(shop: Shop, **settings: Any) -> Scorer:
    return text_knn(shop.holdout, shop.texts.tolist(), shop.vectors, **settings)


def _hybrid(shop: Shop, share: float, weight: str) -> Scorer:
    half_life = 60.0 if shop.holdout.clock == "utc" else None
    other = ease(shop.holdout, 100.0 if weight == "recent" else 500.0, weight)
    return hybrid(popularity.personal_frequency(shop.holdout, half_life), other, share)


def _grid(**choices: tuple[Any, ...]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))


def _fit(name: str, baseline: Baseline, shop: Shop, settings: Mapping[str, Any]) -> Scorer:
    score = baseline.fit(shop, **settings)
    return score if name == "random" else with_fallback(score, popularity.recent_popularity(shop.holdout), shop.holdout)


def _tune(name: str, baseline: Baseline, shop: Shop) -> dict[str, Mapping[str, Any]]:
    """Question -> the settings with the best NDCG@20 over a fixed sample of the window's users."""
    if len(baseline.grid) == 1:
        return dict.fromkeys(QUESTIONS, baseline.grid[0])
    rows = np.random.default_rng(_SEED).permutation(len(shop.holdout.user_ids))[:TUNING_USERS]
    found = [_ndcg(_fit(name, baseline, shop, settings), shop.holdout, rows) for settings in baseline.grid]
    return {question: baseline.grid[int(np.argmax([each[question] for each in found]))] for question in QUESTIONS}


def _ndcg(score: Scorer, holdout: Holdout, rows: np.ndarray, k: int = 20) -> dict[str, float]:
    values: dict[str, list[np.ndarray]] = {question: [] for question in QUESTIONS}
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        scores, labels, history = np.array(score(part), np.float32), holdout.labels[part], holdout.history[part]
        for question in QUESTIONS:
            if question == "novel":
                labels = metrics.not_in_history(labels, history)
                scores[np.repeat(np.arange(len(part)), np.diff(history.indptr)), history.indices] = -np.inf
            values[question].append(metrics.ndcg_of_scores(scores, labels, k))
    return {question: float(np.concatenate(found).mean()) for question, found in values.items()}


def _answers(name: str, scorers: Mapping[str, Scorer], holdout: Holdout, by_user: tuple[str, ...]) -> Scores:
    """Each slice by the scorer that was chosen for its question."""
    found: dict[int, Scores] = {}
    for scorer in scorers.values():
        if id(scorer) not in found:
            found[id(scorer)] = evaluate(name, scorer, holdout, by_user=by_user)
    slices = {
        slice_: found[id(scorers[question])].slices[slice_] for question, names in QUESTIONS.items() for slice_ in names
    }
    any_of_them = next(iter(found.values()))
    return Scores(name, {slice_: slices[slice_] for slice_ in any_of_them.slices}, any_of_them.score_seconds)
