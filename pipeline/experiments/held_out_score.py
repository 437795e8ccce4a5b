"""Score of a second stage on users of the validation window that it was not fitted on.

What a search for settings of the ranker compares. Candidates, statistics and trend are those at
the start of the window, so neither the held-out users' labels nor the other users' are known.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tfrec import metrics
from tfrec.config import Config
from tfrec.console import log
from tfrec.examples.batches import Batch, history_only, query_times_of, window_start
from tfrec.examples.dataset import READ_BATCH, read_events, sequences
from tfrec.ranking.fit_second_stage import USERS_AT_ONCE, fit_second_stage
from tfrec.ranking.second_stage import SecondStage
from tfrec.training.learning_curve import LearningCurve
from tfrec.training.train import Trained, follow_trend
from tfrec.training.validation import label_indices

K = 20
PARTS = 4
"""One in so many users is held out."""


@dataclasses.dataclass(frozen=True)
class UserParts:
    """Files of the validation window's examples, by users."""

    fitted: str
    held_out: str


def split_users(files: Sequence[str], folder: Path) -> UserParts:
    """Write the examples of one in PARTS users, by a hash of the user id, and those of the others.

    Files that exist are left as they are.
    """
    parts = UserParts(str(folder / "fitted.gz"), str(folder / "held-out.gz"))
    if Path(parts.held_out).exists():  # the last one to be renamed
        return parts
    folder.mkdir(parents=True, exist_ok=True)
    staging = [folder / ".tmp-fitted.gz", folder / ".tmp-held-out.gz"]
    with tf.io.TFRecordWriter(str(staging[0]), "GZIP") as fitted, tf.io.TFRecordWriter(str(staging[1]), "GZIP") as held:
        for record, is_held_out in _marked(files):
            (held if is_held_out else fitted).write(record)
    for path, target in zip(staging, (parts.fitted, parts.held_out), strict=True):
        path.replace(target)
    return parts


def held_out_score(
    trained: Trained, train_files: Sequence[str], users: UserParts, config: Config, checkpoint_dir: str
) -> float:
    """Mean NDCG@20 of the held-out users, over the whole catalog, by a stage fitted on the others.

    Of the labels that `train.validation_slice` names. NaN without held-out users. A second call
    with the same arguments resumes an interrupted fit; raises DataError when the other users have
    no positive.
    """
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, catch_up_rate=0.0))
    trained.model.config = config
    own_curve = dataclasses.replace(trained, curve=LearningCurve())
    stage = fit_second_stage(own_curve, train_files, [users.fitted], config, checkpoint_dir)
    # The fit ends with the window's events as known ones: back to what was known at its start.
    names, context = config.features.profile_columns, config.examples.context_columns
    files = [users.fitted, users.held_out]
    start = window_start(sequences(files, names, USERS_AT_ONCE)) if config.has_windows else None
    events = read_events(train_files, trained.catalog, context)
    follow_trend(trained.model, events)
    stage.set_known_events(events, start)
    kinds = label_indices(config.evaluation.label_kinds)
    values = [np.empty(0)]
    for batch in sequences([users.held_out], names, USERS_AT_ONCE, context_columns=context):
        values.append(_ndcg(stage, batch, start, kinds, is_novel=config.train.validation_slice == "novel"))
    joined = np.concatenate(values)
    if not len(joined):
        return math.nan
    error = float(joined.std(ddof=1) / math.sqrt(len(joined))) if len(joined) > 1 else math.nan
    log(f"{len(joined):,} held-out users: NDCG@20 {joined.mean():.4f}, standard error {error:.4f}")
    return float(joined.mean())


def _marked(files: Sequence[str]) -> list[tuple[bytes, bool]]:
    """Each serialized example, and whether its user is held out."""
    marked: list[tuple[bytes, bool]] = []
    for batch in tf.data.TFRecordDataset(list(files), "GZIP").batch(READ_BATCH):
        parsed = tf.io.parse_example(batch, {"user_id": tf.io.FixedLenFeature([], tf.string)})
        is_held_out = tf.strings.to_hash_bucket_fast(parsed["user_id"], PARTS) == 0
        marked += zip(batch.numpy().tolist(), is_held_out.numpy().tolist(), strict=True)
    return marked


def _ndcg(stage: SecondStage, batch: Batch, start: int | None, kinds: Sequence[int], *, is_novel: bool) -> np.ndarray:
    """NDCG@20 of each user of the batch with a label."""
    history, query_times = history_only(batch), query_times_of(batch, start)
    scores = _score_catalog(stage, history, query_times).numpy()
    scores[:, 0] = -np.inf
    is_label = (batch["event_is_target"].numpy() > 0) & np.isin(batch["event_kind"].numpy(), kinds)
    labels = _matrix(stage, batch, is_label)
    if is_novel:
        known = _matrix(stage, history, history["event_item_id"].numpy() != b"")
        scores[known.nonzero()] = -np.inf
        labels = metrics.not_in_history(labels, known)
    return metrics.ndcg_of_scores(scores, labels, K)


def _matrix(stage: SecondStage, batch: Batch, is_kept: np.ndarray) -> sp.csr_matrix:
    """[users, rows] 1 for the items of the events that `is_kept` [users, length] marks."""
    rows = stage.catalog_rows(batch["event_item_id"]).numpy()
    users, _ = np.nonzero(is_kept & (rows > 0))
    items = rows[is_kept & (rows > 0)]
    return sp.csr_matrix((np.ones(len(items), np.float32), (users, items)), (len(rows), stage.catalog_size)).sign()


@tf.function(reduce_retracing=True, autograph=False)
def _score_catalog(stage: SecondStage, history: Batch, query_times: tf.Tensor) -> tf.Tensor:
    return stage.score_catalog(history, query_times, stage.embed_queries(history, query_times))
