"""Strong baselines, tuned on the validation window and fitted again for the test window.

Settings are tuned for two targets, all labels and novel labels, because a baseline that is best on
one may be weak on the other.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfrec import metrics
from tfrec.errors import ConfigError
from tfrec.evaluation.baselines import popularity
from tfrec.evaluation.baselines.collaborative import Weight, bpr, ease, ials, item_knn, linear_autoencoder
from tfrec.evaluation.baselines.content import text_knn, tfidf_profile
from tfrec.evaluation.baselines.hybrid import boosted, hybrid, with_fallback
from tfrec.evaluation.baselines.personal_frequency import HALF_LIVES_DAYS, personal_frequency
from tfrec.evaluation.baselines.shop import Shop
from tfrec.evaluation.evaluate import Extras, evaluate
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.evaluation.scores import Scores
from tfrec.schema import POSITIVE_KINDS
from tfrec.settings import suggestion

TARGETS = {"all": ("all", "new_users"), "novel": ("novel", "cold", "cold_among")}
"""Labels that a setting is tuned for -> the slices that it is then used for."""

BOOSTED = "LightGBM over these"
TEXT_KNN = "text-kNN"
USES_VECTORS = (TEXT_KNN, BOOSTED)
"""Baselines that need the texts' vectors."""

TUNING_USERS = 500
_BATCH = 128
_SEED = 0


Fit = Callable[..., Scorer]
"""(shop, **settings) -> scorer."""


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A function that fits a scorer, and the settings to try."""

    fit: Fit
    grid: tuple[Mapping[str, Any], ...] = ({},)


def strong_baselines(clock: str) -> dict[str, Baseline]:
    """The baselines by name. Without timestamps there is no recency and no decay."""
    has_dates = clock == "utc"
    weights = ("binary", "recent") if has_dates else ("binary",)
    half_lives = HALF_LIVES_DAYS if has_dates else (None,)
    return {
        "random": Baseline(lambda shop: popularity.random_ranking(shop.holdout)),
        "popularity": Baseline(
            lambda shop, count: popularity.popularity(shop.holdout, count), _grid(count=("users", "baskets"))
        ),
        "recent popularity": Baseline(lambda shop: popularity.recent_popularity(shop.holdout)),
        "personal frequency": Baseline(_frequency, _grid(kinds=("labels", "all"), half_life=half_lives)),
        "item-kNN": Baseline(_without_texts(item_knn), _grid(neighbors=(50, 300), weight=weights)),
        "EASE": Baseline(_without_texts(ease), _grid(regularization=(100.0, 500.0, 2000.0), weight=weights)),
        "linear autoencoder": Baseline(
            _without_texts(linear_autoencoder), _grid(rank=(256, 512), regularization=(300.0, 1000.0, 3000.0))
        ),
        "iALS": Baseline(_without_texts(ials), _grid(factors=(64, 128), regularization=(0.05, 5.0), weight=("log",))),
        "BPR": Baseline(_without_texts(bpr), _grid(regularization=(0.01, 0.05))),
        "TF-IDF profile": Baseline(_tfidf, _grid(weight=weights[-1:], popularity=(0.0, 0.1, 0.3))),
        TEXT_KNN: Baseline(_text_knn, _grid(weight=weights[-1:], power=(8, 16), popularity=(0.0, 0.3))),
        "frequency + EASE": Baseline(_hybrid, _grid(share=(0.1, 0.3, 1.0), weight=weights[-1:])),
    }


def names(clock: str) -> list[str]:
    """Names of the baselines that `compare` can measure, in its order."""
    return [*strong_baselines(clock), BOOSTED]


def select_names(only: Sequence[str]) -> list[str]:
    """Names of the baselines `only`, in the order of `names`; without any, all but BOOSTED.

    Case, spaces and punctuation do not matter. Raises ConfigError for an unknown one.
    """
    known = {_plain(name): name for name in names("utc")}  # those of the order clock are the same
    for name in only:
        if _plain(name) not in known:
            raise ConfigError(
                f"--only is {name!r}{suggestion(name, known.values())}; use one of {', '.join(known.values())}"
            )
    selected = [known[_plain(name)] for name in only]
    return [name for name in known.values() if name in selected or (not only and name != BOOSTED)]


def compare(
    validation: Shop,
    test: Shop,
    log: Callable[[str], None],
    selected: Sequence[str] | None = None,
    per_user: tuple[str, ...] = ("ndcg@20",),
) -> Iterator[Scores]:
    """Test scores of each selected baseline (None: all) with its tuned settings.

    `per_user` are the metrics that are returned as each user's own value too. Boosting fits all
    other baselines, selected or not.
    """
    selected = names(test.holdout.clock) if selected is None else selected
    extras = Extras(per_user)
    fitted: dict[str, tuple[Scorer, Scorer]] = {}
    for name, baseline in strong_baselines(test.holdout.clock).items():
        if name not in selected and BOOSTED not in selected:
            continue
        started = time.monotonic()
        settings = tune(name, baseline, validation)
        scorers = {"all": _fit(name, baseline, test, settings["all"])}
        if name in selected:
            is_one = settings["novel"] is settings["all"]
            scorers["novel"] = scorers["all"] if is_one else _fit(name, baseline, test, settings["novel"])
            yield _scores_by_target(name, scorers, test.holdout, extras)
        if name != "random" and BOOSTED in selected:
            fitted[name] = (_fit(name, baseline, validation, settings["all"]), scorers["all"])
        described = ", ".join(f"{target} {dict(values)}" for target, values in settings.items() if values)
        log(f"{name}: {described or 'no settings'}; {time.monotonic() - started:.0f} s")
    if BOOSTED in selected:
        earlier, current = ({name: pair[index] for name, pair in fitted.items()} for index in range(2))
        yield evaluate(BOOSTED, boosted(earlier, validation.holdout, current), test.holdout, extras)


def tune(name: str, baseline: Baseline, shop: Shop) -> dict[str, Mapping[str, Any]]:
    """Target -> the settings with the best NDCG@20 over a fixed sample of the window's users."""
    if len(baseline.grid) == 1 or not len(shop.holdout.user_ids):
        return dict.fromkeys(TARGETS, baseline.grid[0])
    rows = np.random.default_rng(_SEED).permutation(len(shop.holdout.user_ids))[:TUNING_USERS]
    scores = [_ndcg(_fit(name, baseline, shop, settings), shop.holdout, rows) for settings in baseline.grid]
    return {target: baseline.grid[int(np.argmax([each[target] for each in scores]))] for target in TARGETS}


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


def _without_texts(fit: Callable[..., Scorer]) -> Fit:
    return lambda shop, **settings: fit(shop.holdout, **settings)


def _frequency(shop: Shop, half_life: float | None, kinds: str) -> Scorer:
    weights: Mapping[str, float] | None = None if kinds == "labels" else {kind: 1.0 for kind in POSITIVE_KINDS}
    return personal_frequency(shop.holdout, half_life, weights)


def _tfidf(shop: Shop, **settings: Any) -> Scorer:
    return tfidf_profile(shop.holdout, shop.texts.tolist(), **settings)


def _text_knn(shop: Shop, **settings: Any) -> Scorer:
    return text_knn(shop.holdout, shop.texts.tolist(), shop.vectors, **settings)


def _hybrid(shop: Shop, share: float, weight: Weight) -> Scorer:
    half_life = 60.0 if shop.holdout.clock == "utc" else None
    other = ease(shop.holdout, 100.0 if weight == "recent" else 500.0, weight)
    return hybrid(personal_frequency(shop.holdout, half_life), other, share)


def _grid(**values: tuple[Any, ...]) -> tuple[dict[str, Any], ...]:
    """Settings for all combinations of the values."""
    return tuple(dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values()))


def _fit(name: str, baseline: Baseline, shop: Shop, settings: Mapping[str, Any]) -> Scorer:
    score = baseline.fit(shop, **settings)
    return score if name == "random" else with_fallback(score, popularity.recent_popularity(shop.holdout), shop.holdout)


def _ndcg(score: Scorer, holdout: Holdout, rows: np.ndarray, k: int = 20) -> dict[str, float]:
    """Target -> mean NDCG@k over the users `rows`."""
    values: dict[str, list[np.ndarray]] = {target: [] for target in TARGETS}
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        scores, labels, history = np.array(score(part), np.float32), holdout.labels[part], holdout.history[part]
        values["all"].append(metrics.ndcg_of_scores(scores, labels, k))
        scores[np.repeat(np.arange(len(part)), np.diff(history.indptr)), history.indices] = -np.inf
        values["novel"].append(metrics.ndcg_of_scores(scores, metrics.not_in_history(labels, history), k))
    return {target: float(np.concatenate(parts).mean()) for target, parts in values.items()}


def _scores_by_target(name: str, scorers: Mapping[str, Scorer], holdout: Holdout, extras: Extras) -> Scores:
    """Scores in which each slice is that of the scorer tuned for its target."""
    evaluated: dict[int, Scores] = {}
    for scorer in scorers.values():
        if id(scorer) not in evaluated:
            evaluated[id(scorer)] = evaluate(name, scorer, holdout, extras)
    novel, first = evaluated[id(scorers["novel"])].slices, next(iter(evaluated.values()))
    slices = {slice_: novel[slice_] if slice_ in TARGETS["novel"] else part for slice_, part in first.slices.items()}
    return Scores(name, slices, first.score_seconds)
