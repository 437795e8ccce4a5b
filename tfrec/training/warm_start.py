"""Warm start: towers begin with the weights of another version although the catalog has changed.

Rows of a table are carried over by what they stand for: an item's id, a category's path, a brand, a
value of a profile column. New entries keep the row of a fresh model. Buckets of price (tenths of
the catalog), age and position keep their numbers. The TF-IDF weights stay as they are, because a
new fit would rotate their dimensions, and so does the mean of the BERT's vectors.
"""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.config import Config
from tfrec.console import log
from tfrec.errors import ModelError
from tfrec.examples.batches import window_start
from tfrec.examples.catalog import Catalog
from tfrec.examples.dataset import sequences
from tfrec.examples.preprocessing import Transformed
from tfrec.retrieval.two_tower import TwoTower
from tfrec.schema import DAY_SECONDS
from tfrec.training.train import Begin, TrainingJob, begin_cold
from tfrec.training.validation import BATCH

FILE = "assets.extra/tfrec_towers.json"
OF_NO_WEIGHT = ("vocabulary", "text_tokens")
"""Settings of features that no weight depends on: the path of a file, and a length of texts that
changes with the catalog."""
ITEM_IDS = "item_id"
SPLIT_SETTING = "examples.split.method"
"""Key of a record's settings; a record without it is of the split by time."""


@dataclasses.dataclass(frozen=True)
class Record:
    """Description of a version's towers that a later warm start needs."""

    settings: dict[str, Any]  # settings that determine shapes and meaning of the weights, by name
    trained_before: float  # seconds: end of the training events; see `_trained_before`
    vocabularies: dict[str, list[bytes]]  # names of the towers' `tables` -> entries from row 1 on
    known_before: float = 0.0  # seconds: end of all events of the version, those of the ranker too


def record_of(
    catalog: Catalog, transformed: Transformed, config: Config, validation_files: Sequence[str], is_caught_up: bool
) -> Record:
    """Record of towers over this catalog; `is_caught_up`: trained on the validation window too.

    A ranker is always fitted on that window.
    """
    names = ["item_category", "item_brand", *catalog.profile_sizes]
    knows_window = is_caught_up or config.ranking.epochs > 0
    trained_ids = catalog.item_ids[catalog.id_row > 0]
    return Record(
        settings=_settings(config),
        trained_before=_trained_before(validation_files, config, is_caught_up),
        vocabularies={ITEM_IDS: list(trained_ids)} | {name: transformed.vocabulary(name) for name in names},
        known_before=_trained_before(validation_files, config, knows_window),
    )


def write_record(record: Record, folder: str) -> None:
    """Write the record into the assets.extra of a SavedModel."""
    texts = {name: [_text(entry) for entry in entries] for name, entries in record.vocabularies.items()}
    path = Path(folder) / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(dataclasses.asdict(record) | {"vocabularies": texts}), encoding="utf-8")


def read_record(version: Path) -> Record:
    """Read the record of a version; ModelError if there is none."""
    try:
        raw = json.loads((version / FILE).read_text(encoding="utf-8"))
        vocabularies = {name: [_entry(text) for text in texts] for name, texts in raw["vocabularies"].items()}
        for name in OF_NO_WEIGHT:  # of older versions
            raw["settings"].pop(f"features.{name}", None)
        trained_before = float(raw["trained_before"])
        known_before = float(raw.get("known_before", trained_before))  # older versions have no such key
        return Record(raw["settings"], trained_before, vocabularies, known_before)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"version {version.name} has no valid {FILE} ({error!r})") from error


def configured_begin(version: str, transformed: Transformed, config: Config, validation_files: Sequence[str]) -> Begin:
    """Warm start from the version in that folder ("": none) if so configured, else a cold start."""
    if not config.train.warm_start:
        return begin_cold
    return warm_begin(Path(version) if version else None, transformed, config, validation_files)


def warm_begin(
    version: Path | None, transformed: Transformed, config: Config, validation_files: Sequence[str]
) -> Begin:
    """Start from the towers of a version; if they can't be used, log the reason and start cold."""

    def begin(model: TwoTower, catalog: Catalog, job: TrainingJob) -> bool:
        try:
            if version is None:
                raise ModelError("no version is in service yet")
            current = record_of(catalog, transformed, config, validation_files, is_caught_up=False)
            n_known = carry_over(version, model, current)
        except ModelError as reason:
            log(f"the towers start cold: {reason}")
            return begin_cold(model, catalog, job)
        total = catalog.id_row.max()
        log(f"the towers start from version {version.name}, which knows {n_known:,} of {total:,} item ids")
        model.texts.encode_texts(keep_mean=True)
        model.texts.encode_words()
        return True

    return begin


def carry_over(version: Path, model: TwoTower, current: Record) -> int:
    """Copy the version's weights into the model; returns the number of item ids that both have.

    `current` is the model's own record. Raises ModelError and leaves the model unchanged if the
    version's towers have other settings, were trained on the windows that evaluate the model, or
    can't be read.
    """
    previous = read_record(version)
    _check_compatible(version, previous, current)
    tables = model.candidate_tower.tables() | model.query_tower.tables()
    feature = {table.ref(): name for name, parts in tables.items() for table in parts}
    carried: list[tuple[tf.Variable, np.ndarray]] = []
    value: np.ndarray | None
    for variable, saved in _saved(version, model):
        name, value = feature.get(variable.ref()), saved
        if name is not None:
            value = _carried_table(saved, variable, previous.vocabularies.get(name, []), current.vocabularies[name])
        if value is None or value.shape != tuple(variable.shape):
            raise ModelError(f"{variable.name} of version {version.name} does not fit its vocabulary or this model")
        carried.append((variable, value))
    for variable, value in carried:
        variable.assign(value)
    return len(set(previous.vocabularies[ITEM_IDS]) & set(current.vocabularies[ITEM_IDS]))


def _settings(config: Config) -> dict[str, Any]:
    """Settings by name, with the types that JSON gives back."""
    parts = {"towers": dataclasses.asdict(config.towers), "features": dataclasses.asdict(config.features)}
    for name in OF_NO_WEIGHT:
        del parts["features"][name]
    for name in ("item_numbers", "item_vectors"):  # which records of older versions lack
        if not parts["features"][name]:
            del parts["features"][name]
    settings = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    settings |= {"clock": config.clock, "examples.max_events": config.examples.max_events}
    if config.clock == "utc" and not config.has_windows:
        # Towers of one split have seen the held-out events of the other. Records of older versions
        # lack the key, and all of them are split by windows.
        settings[SPLIT_SETTING] = config.examples.split.method
    return dict(json.loads(json.dumps(settings)))


def _trained_before(validation_files: Sequence[str], config: Config, is_caught_up: bool) -> float:
    """Start of the validation window, or its end if caught up; 0 or infinity without windows."""
    if not config.has_windows:
        return math.inf if is_caught_up else 0.0
    start = window_start(sequences(validation_files, (), BATCH))
    return float(start + is_caught_up * config.examples.split.validation_days * DAY_SECONDS)


def _check_compatible(version: Path, previous: Record, current: Record) -> None:
    """Raise ModelError if towers of record `current` must not start from those of `previous`."""
    for name in sorted(previous.settings.keys() | current.settings.keys()):
        was, now = previous.settings.get(name), current.settings.get(name)
        if was != now:
            raise ModelError(f"{name} is {now!r}, but {was!r} in version {version.name}")
    if previous.trained_before > current.trained_before:
        raise ModelError(
            f"version {version.name} was trained on events of the windows that evaluate the model: it caught up "
            "with its validation window, or the windows have moved back"
        )


def _saved(version: Path, model: TwoTower) -> list[tuple[tf.Variable, np.ndarray]]:
    """Trained variables of the model, without text vectors, and their values in the version."""
    # export.Recommender has the model as `_model`.
    root = tf.train.Checkpoint(_model=tf.train.Checkpoint(**model.checkpointed(with_text_vectors=False)))
    weights = str(version / "variables" / "variables")
    try:
        reader = tf.train.load_checkpoint(weights)
        keys = _keys(reader, tf.train.CheckpointView(weights).match(root))
        variables = [part for part in tf.train.TrackableView(root).descendants() if isinstance(part, tf.Variable)]
        return [(variable, reader.get_tensor(keys[variable.ref()])) for variable in variables]
    except (KeyError, ValueError, tf.errors.OpError) as error:
        reason = textwrap.shorten(str(error), 160)  # else all values of a variable
        raise ModelError(f"version {version.name} does not hold the towers of this configuration ({reason})") from error


def _keys(reader: Any, matched: dict[int, Any]) -> dict[Any, str]:
    """Key in the checkpoint of each matched variable, by its reference."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    )
    return {
        part.ref(): graph.nodes[node].attributes[0].checkpoint_key
        for node, part in matched.items()
        if isinstance(part, tf.Variable)
    }


def _carried_table(
    saved: np.ndarray, fresh: tf.Variable, old: Sequence[bytes], new: Sequence[bytes]
) -> np.ndarray | None:
    """The `fresh` table with the `saved` rows of common entries; None if sizes differ.

    Row 0 is the empty value. The entries follow, then the out-of-vocabulary buckets by number.
    """
    buckets = len(saved) - 1 - len(old)
    if buckets < 0 or buckets != fresh.shape[0] - 1 - len(new) or saved.shape[1:] != tuple(fresh.shape[1:]):
        return None
    table = tf.keras.utils.warmstart_embedding_matrix(
        base_vocabulary=[b"", *old, *range(buckets)],
        new_vocabulary=[b"", *new, *range(buckets)],
        base_embeddings=saved,
        new_embeddings_initializer=tf.keras.initializers.Constant(fresh.numpy()),
    )
    return np.asarray(table)


def _text(entry: bytes) -> str:
    """Text of any bytes for JSON; `_entry` is the inverse."""
    return entry.decode("utf-8", "surrogateescape")


def _entry(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
