"""Contrastive tuning of the BERT on the shop's own pairs of texts, before the towers train.

Pairs: two items that a user interacted with soon after each other, a search and the item that it
led to, a title and the rest of the item's text. All events are those of the training split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec.config import Config
from tfrec.console import log
from tfrec.errors import ConfigError
from tfrec.examples.catalog import Catalog
from tfrec.examples.dataset import READ_BATCH, sequences, without_autotune
from tfrec.language.catalog_encoder import CatalogEncoder
from tfrec.language.tokenizer import word_piece_of
from tfrec.retrieval.text_pair_model import TextPairModel
from tfrec.retrieval.two_tower import TwoTower
from tfrec.schema import EVENT_KINDS, NEGATIVE_KINDS
from tfrec.training.lazy_adam import LazyAdam
from tfrec.training.progress import Phase, Progress, Reporter

FOLDER = "text-pairs"
BLOCK = 8
"""Events of a user whose pairs are drawn together: they share texts, each encoded once a step."""
CURE = "lower text_pair_learning_rate ({rate}) or raise text_pair_temperature"


def tune_texts(model: TwoTower, catalog: Catalog, train_files: Sequence[str], checkpoint_dir: str) -> None:
    """Train the model's BERT on pairs of texts for `train.text_pair_steps` steps.

    An interrupted call resumes from its last checkpoint in `checkpoint_dir`. Without a pair the
    BERT stays as it is. Raises ConfigError if it is frozen or several workers train.
    """
    config = model.config
    settings = config.train
    check(config)
    pairs = item_pairs(train_files, catalog, config)
    tokens, title_pairs = title_rest_pairs(catalog, config)
    pairs = np.concatenate([pairs, title_pairs])
    if not len(pairs):
        log("no pairs of texts, so the BERT stays as it is")
        return
    batch_size = min(settings.text_pair_batch_size, len(pairs))
    phase = Phase("text pairs", 1, batch_size, settings.text_pair_learning_rate, settings.text_pair_steps, cure=CURE)
    log(f"tuning the BERT on {len(pairs):,} pairs of texts: {phase.steps} steps of {batch_size}")
    texts = CatalogEncoder(model.texts.encoder, tokens) if len(title_pairs) else model.texts.catalog_encoder
    model.texts.set_live(True)
    tf.keras.utils.set_random_seed(settings.seed)
    with model.distribute_strategy.scope():
        pair_model = TextPairModel(model.texts.encoder, texts, settings.text_pair_temperature)
    _run(pair_model, phase, pairs, Progress(pair_model, str(Path(checkpoint_dir) / FOLDER)), config)
    model.texts.set_live(False)


def check(config: Config) -> None:
    """Raise ConfigError for settings with which no BERT could be tuned on pairs."""
    if config.towers.text_mode == "frozen":
        raise ConfigError(
            f"text_pair_steps is {config.train.text_pair_steps} but text_mode is 'frozen', so no text would train; "
            "give text_mode 'top', or text_pair_steps 0"
        )
    if config.train.workers > 1:
        raise ConfigError(
            f"text_pair_steps is {config.train.text_pair_steps} and workers {config.train.workers}, but one process "
            "tunes the BERT on pairs; give workers 1, or text_pair_steps 0"
        )


def _run(model: TextPairModel, phase: Phase, pairs: np.ndarray, progress: Progress, config: Config) -> None:
    """Train the steps that are left."""
    if int(progress.epoch) >= phase.epochs:
        return
    rate = tf.keras.optimizers.schedules.PolynomialDecay(phase.learning_rate, phase.steps, phase.learning_rate / 100)
    with model.distribute_strategy.scope():
        optimizer = LazyAdam(rate)
        progress.track(optimizer)
        model.compile(optimizer=optimizer)
    data = batches(pairs, phase.batch_size, config.train.seed).skip(int(progress.step))
    data = data.take(int(phase.steps or 0) - int(progress.step))
    reporter = Reporter(phase, progress, config.train.checkpoint_seconds)
    model.fit(data, verbose=0, callbacks=[reporter])
    progress.next_epoch()
    log(f"text pairs: {reporter.summary()}")


def batches(pairs: np.ndarray, batch_size: int, seed: int) -> tf.data.Dataset:
    """Endless batches [batch_size, 3] of pairs; the pairs of a block follow each other."""
    ordered = pairs[np.argsort(pairs[:, 2], kind="stable")]
    _, block = np.unique(ordered[:, 2], return_inverse=True)
    blocks = tf.RaggedTensor.from_value_rowids(ordered, block)
    data = tf.data.Dataset.from_tensor_slices(blocks).shuffle(blocks.nrows(), seed).unbatch().repeat()
    return without_autotune(data.batch(batch_size))


def item_pairs(train_files: Sequence[str], catalog: Catalog, config: Config) -> np.ndarray:
    """Pairs [n, 3] int64 by the training events: two text rows, and the number of a block.

    Two items whose events are at most `text_pair_window` events of one user apart, and each search
    with the item of its event. Each event counts once, as a target; negative events and items
    without a text count never.
    """
    query_row = dict(zip(catalog.queries, catalog.query_row, strict=True))
    row_of = dict(zip(catalog.item_ids, catalog.known_text_row, strict=True))
    negative = [1 + EVENT_KINDS.index(kind) for kind in NEGATIVE_KINDS]
    parts, first_block = [np.empty((0, 3), np.int64)], 0
    for batch in sequences(train_files, (), READ_BATCH).as_numpy_iterator():
        ids, queries = batch["event_item_id"], batch["event_query"]
        rows = np.array([row_of.get(item_id, 0) for item_id in ids.ravel()], np.int64).reshape(ids.shape)
        rows[np.isin(batch["event_kind"], negative)] = 0
        is_target = batch["event_is_target"] > 0
        searches = np.array([query_row.get(query, 0) for query in queries.ravel()], np.int64).reshape(ids.shape)
        users, length = ids.shape
        block = np.arange(users)[:, np.newaxis] * length + np.arange(length) // BLOCK + first_block
        first_block += users * length
        parts.append(_different(searches[is_target], rows[is_target], block[is_target]))
        for distance in range(1, min(config.train.text_pair_window, length - 1) + 1):
            later = is_target[:, distance:]
            parts.append(_different(rows[:, :-distance][later], rows[:, distance:][later], block[:, distance:][later]))
    return np.concatenate(parts)


def title_rest_pairs(catalog: Catalog, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Pairs [n, 3] of an item's title and the rest of its text: brand, category, description.

    Returns the tokens [texts, length] of the catalog's texts and of these, and the pairs of their
    rows, each in a block of its own, below 0.
    """
    word_piece, length = word_piece_of(config.features), catalog.tokens.shape[1]
    rows, first = np.unique(catalog.text_row, return_index=True)
    titles = word_piece(tf.constant(catalog.titles[first])).to_tensor(shape=[None, length]).numpy()
    texts = catalog.tokens[rows]
    n_title, n_text = (titles > 0).sum(axis=1), (texts > 0).sum(axis=1)
    position = np.arange(length)
    is_title = position < n_title[:, np.newaxis] - 1  # [SEP] aside
    has_both = (n_title > 2) & (n_text > n_title) & np.where(is_title, titles == texts, True).all(axis=1)
    titles, texts, n_title = titles[has_both], texts[has_both], n_title[has_both]
    # The rest moves to the front, behind [CLS].
    source = position + n_title[:, np.newaxis] - 2
    rest = np.where(source < length, np.take_along_axis(texts, np.minimum(source, length - 1), axis=1), 0)
    rest[:, 0] = word_piece.cls
    tokens = np.concatenate([catalog.tokens, titles, rest])
    number = len(catalog.tokens) + np.arange(len(titles))
    return tokens, np.stack([number, number + len(titles), -1 - np.arange(len(titles))], axis=1)


def _different(left: np.ndarray, right: np.ndarray, block: np.ndarray) -> np.ndarray:
    """[n, 3] of the pairs whose texts are known and differ."""
    is_pair = (left > 0) & (right > 0) & (left != right)
    return np.stack([left[is_pair], right[is_pair], block[is_pair]], axis=1)
