"""Fit the ranker with users held out, who decide on its blend with others and calibrate it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy.special import logit

from tfrec.config import Config, RankingConfig
from tfrec.console import log
from tfrec.ranking.blend import (
    NO_EVENT,
    PARTS,
    POPULARITY,
    TOWERS,
    Blend,
    best_blend,
    best_blend_without_history,
    ndcg_of_blends,
    parts_of,
    scores_of,
)
from tfrec.ranking.calibration import MIN_LABELS, MIN_SLOPE, Calibration, calibrate, can_fit
from tfrec.ranking.fit_ranker import fit_ranker
from tfrec.ranking.ranker import Ranker
from tfrec.ranking.second_stage import SecondStage
from tfrec.ranking.training_data import Examples
from tfrec.training.learning_curve import LearningCurve

MIN_USERS = 200
"""Users that one held-out part needs; a smaller shop has two parts, and a fit for each."""

PREDICTED_AT_ONCE = 16_384


def fit_with_held_out_users(
    stage: SecondStage, examples: Examples, first: int, config: Config, checkpoint_dir: str
) -> LearningCurve:
    """Fit the stage's ranker, set its blend with the towers and calibrate its probabilities.

    The candidates of whole histories begin at index `first` of `examples`. Those before it are of
    short histories of the same users, who are held out there too, or of earlier windows. Where two
    parts are held out in turn, the ranker is fitted a last time, on all users. The learning curve
    is that of the ranker that is kept.
    """
    folds = held_out_folds(examples.user[first:], config.ranking)
    held_out, logits = [], []
    for number, users in enumerate(folds):
        log(f"second stage: fit with {len(users):,} users held out, {number + 1} of {len(folds)}")
        ranker = stage.ranker if len(folds) == 1 else stage.new_ranker()
        is_held_out = np.isin(examples.user, users)
        curve = fit_ranker(ranker, examples, config, f"{checkpoint_dir}/fold-{number}", np.flatnonzero(~is_held_out))
        held_out.append(np.flatnonzero(is_held_out))
        logits.append(_logits(ranker, examples, held_out[-1]))
    if len(folds) != 1:
        curve = fit_ranker(stage.ranker, examples, config, checkpoint_dir)
    if not folds:
        log("second stage: probabilities are not calibrated: no users are held out for it")
        return curve
    indices = np.concatenate(held_out)
    set_blends(stage, examples, indices, np.concatenate(logits), indices >= first)
    return curve


def held_out_folds(user: np.ndarray, settings: RankingConfig) -> list[np.ndarray]:
    """Users that are held out from a fit each: the last `calibration_share`, or two halves.

    `user` [n] are the users of the window's candidates. The halves are for a shop whose share is
    below MIN_USERS. Nobody is held out with a share of 0 or a single user.
    """
    users = np.unique(user)
    count = round(len(users) * settings.calibration_share)
    if not settings.calibration_share or len(users) < 2:
        return []
    return [users[-count:]] if count >= MIN_USERS else [users[0::2], users[1::2]]


def set_blends(
    stage: SecondStage, examples: Examples, held_out: np.ndarray, logits: np.ndarray, is_whole: np.ndarray
) -> None:
    """Set blends, slopes and biases by the ranker's `logits` [n, heads] of candidates.

    `held_out` [n] are their indices in `examples`. Where `is_whole` [n] bool is false they are
    those of a short history: a blend must suit both, each like a user of its own.
    """
    ranker, labels, names = stage.ranker, examples.labels[held_out], stage.features.names
    features = examples.features[held_out]
    scores, part = scores_of(features, names).numpy(), parts_of(features, names).numpy()
    positive = slice(len(ranker.heads) - len(stage.positive_heads), None)
    user = 2 * examples.user[held_out] + is_whole
    # Scores of the towers or of popularity are no logits before they are calibrated.
    can_calibrate = labels[is_whole][:, positive].sum(axis=0).min() >= MIN_LABELS
    blends, calibrations = [Blend()] * len(PARTS), []
    for index in range(len(PARTS)):
        is_part = part == index
        ndcg = ndcg_of_blends(
            user[is_part], logits[is_part][:, positive], scores[is_part], labels[is_part][:, positive]
        )
        if can_calibrate:
            blends[index] = best_blend_without_history(ndcg) if index == NO_EVENT else best_blend(ndcg)
        _log_blend(PARTS[index], blends[index], ndcg)
        # Real histories of this length, else also those that were cut to it, else all of them.
        calibrations.append(
            fit_calibrations(blends[index], logits, scores, labels, (is_part & is_whole, is_part, is_whole))
        )
    ranker.blend.assign(blends)
    calibrate_ranker(ranker, calibrations)
    log(f"second stage: calibrated on {is_whole.sum():,} candidates of held-out users")
    _warn_of_few_labels(ranker.heads, labels[is_whole].sum(axis=0))


def fit_calibrations(
    blend: Blend, logits: np.ndarray, scores: np.ndarray, labels: np.ndarray, choices: Sequence[np.ndarray]
) -> list[Calibration]:
    """Calibration of each head by held-out candidates, `logits` and `labels` [n, heads].

    It is fitted on the first of `choices`, each [n] bool, that holds enough labels of the head.
    Where none does the logits stay as they are, but a blend without the ranker, whose scores are no
    logits, gives each candidate nearly the head's share of labels.
    """
    blended, calibrations = blend.apply(logits, scores), []
    for head in range(labels.shape[1]):
        positives = labels[:, head]
        rows = next((rows for rows in choices if can_fit(positives[rows])), None)
        if rows is not None:
            calibrations.append(calibrate(blended[rows, head], positives[rows]))
        elif blend.ranker:
            calibrations.append(Calibration())
        else:
            share = (positives.sum() + 0.5) / (len(positives) + 1)
            calibrations.append(Calibration(MIN_SLOPE, logit(share) - MIN_SLOPE * blended[:, head].mean()))
    return calibrations


def calibrate_ranker(ranker: Ranker, calibrations: Sequence[Sequence[Calibration]]) -> None:
    """Set slope and bias of each head for each of PARTS."""
    ranker.slope.assign([[one.slope for one in part] for part in calibrations])
    ranker.bias.assign([[one.bias for one in part] for part in calibrations])


def _log_blend(part: str, blend: Blend, ndcg: dict[Blend, np.ndarray]) -> None:
    if not len(ndcg[blend]) and blend != Blend():
        log(f"second stage: after {part} ordered by {blend}: there is no held-out history to compare it by")
    if len(ndcg[blend]):
        means = {each: f"{values.mean():.4f}" for each, values in ndcg.items()}
        log(
            f"second stage: after {part} ordered by {blend}, NDCG@20 {means[blend]} of {len(ndcg[blend]):,} held-out "
            f"histories; the ranker {means[Blend()]}, the towers {means[TOWERS]}, recent popularity {means[POPULARITY]}"
        )


def _warn_of_few_labels(heads: Sequence[str], positives: np.ndarray) -> None:
    for head, count in zip(heads, positives, strict=True):
        if count < MIN_LABELS:
            log(
                f"warning: probabilities of {head} are not calibrated: {count:,.0f} of the candidates are "
                f"positives, fewer than {MIN_LABELS}"
            )


def _logits(ranker: Ranker, examples: Examples, indices: np.ndarray) -> np.ndarray:
    """[n, heads] logits of the examples at `indices` [n], before blend and calibration."""
    starts: Sequence[int] = range(0, len(indices), PREDICTED_AT_ONCE)
    pieces = [examples.inputs(indices[start : start + PREDICTED_AT_ONCE]) for start in starts]
    logits = [ranker({name: tf.constant(values) for name, values in piece.items()}).numpy() for piece in pieces]
    return np.concatenate([np.empty((0, len(ranker.heads)), np.float32), *logits])
