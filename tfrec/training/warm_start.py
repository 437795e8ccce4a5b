"""A warm start: towers that begin with what those of another version learnt, though the catalogue has moved on since.

Rows of a table are carried over by what they stand for: an item's id, a category's path, a brand, a
value of a profile column. What is new keeps the row of a fresh model. Buckets of price (tenths of
the catalogue), age and place keep their numbers. The words' table stays as it is, for its
dimensions would turn if it were learnt again; so does the mean of the BERT's vectors. It knows
folders of versions, not who serves them.
"""

from __future__ import annotations

import dataclasses
import json
import math
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
from tfrec.training.train import Begin, begin_cold
from tfrec.training.validation import BATCH

FILE = "assets.extra/tfrec_towers.json"
ITEM_IDS = "item_id"


@dataclasses.dataclass(frozen=True)
class Record:
    """What a version says of its towers: all that a later training must know to go on from them."""

    settings: dict[str, Any]  # those that give the weights their shapes and their meaning, by name
    learnt_before: float  # seconds: the towers have learnt from no later event; see `_learnt_before`
    vocabularies: dict[str, list[bytes]]  # name of CandidateTower.tables and QueryTower.tables -> entries from row 1 on


def record_of(
    catalog: Catalog, transformed: Transformed, config: Config, validation_files: Sequence[str], is_caught_up: bool
) -> Record:
    """The record of towers over this catalogue; `is_caught_up` where they learn the validation window too."""
    names = ["item_category", "item_brand", *catalog.profile_sizes]
    learnt_ids = catalog.item_ids[catalog.id_row > 0]
    return Record(
        settings=_settings(config),
        learnt_before=_learnt_before(validation_files, config, is_caught_up),
        vocabularies={ITEM_IDS: list(learnt_ids)} | {name: transformed.vocabulary(name) for name in names},
    )


def write_record(record: Record, folder: str) -> None:
    """Puts it into the SavedModel's assets.extra."""
    texts = {name: [_text(entry) for entry in entries] for name, entries in record.vocabularies.items()}
    path = Path(folder) / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(dataclasses.asdict(record) | {"vocabularies": texts}), encoding="utf-8")


def read_record(version: Path) -> Record:
    """What `write_record` wrote; ModelError where a version carries none."""
    try:
        raw = json.loads((version / FILE).read_text(encoding="utf-8"))
        vocabularies = {name: [_entry(text) for text in texts] for name, texts in raw["vocabularies"].items()}
        return Record(raw["settings"], float(raw["learnt_before"]), vocabularies)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"version {version.name} does not say what its towers have learnt ({error!r})") from error


def beginning(version: str, transformed: Transformed, config: Config, validation_files: Sequence[str]) -> Begin:
    """As the configuration says: afresh, or with the towers of the version in that folder ("": there is none)."""
    if not config.train.warm_start:
        return begin_cold
    return going_on(Path(version) if version else None, transformed, config, validation_files)


def going_on(version: Path | None, transformed: Transformed, config: Config, validation_files: Sequence[str]) -> Begin:
    """Begins with the towers of a version; where they can't be taken it says why in a line and begins afresh."""

    def begin(model: TwoTower, catalog: Catalog) -> bool:
        try:
            if version is None:
                raise ModelError("no version is in service yet")
            current = record_of(catalog, transformed, config, validation_files, is_caught_up=False)
            known = carry_over(version, model, current)
        except ModelError as reason:
            log(f"the towers train anew: {reason}")
            return begin_cold(model, catalog)
        log(f"the towers go on from version {version.name}, which knows {known:,} of {catalog.id_row.max():,} item ids")
        model.texts.encode_texts(keep_mean=True)
        model.texts.encode_words()
        return True

    return begin


def carry_over(version: Path, model: TwoTower, current: Record) -> int:
    """How many item ids of the model's the version knows, whose weights the model then has.

    `current` is the model's own record. ModelError, and the model is as it was, where the version's
    towers have other settings, have learnt what is to judge the model, or can't be read.
    """
    known = read_record(version)
    _compare(version, known, current)
    tables = model.candidate_tower.tables() | model.query_tower.tables()
    feature = {table.ref(): name for name, found in tables.items() for table in found}
    carried: list[tuple[tf.Variable, np.ndarray]] = []
    value: np.ndarray | None
    for variable, saved in _saved(version, model):
        name, value = feature.get(variable.ref()), saved
        if name is not None:
            value = _moved(saved, variable, known.vocabularies.get(name, []), current.vocabularies[name])
        if value is None or value.shape != tuple(variable.shape):
            raise ModelError(f"version {version.name} holds another {variable.name} than it says")
        carried.append((variable, value))
    for variable, value in carried:
        variable.assign(value)
    return len(set(known.vocabularies[ITEM_IDS]) & set(current.vocabularies[ITEM_IDS]))


def _settings(config: Config) -> dict[str, Any]:
    """By name, as JSON gives them back."""
    parts = {"towers": dataclasses.asdict(config.towers), "features": dataclasses.asdict(config.features)}
    del parts["features"]["vocabulary"]  # a path, of the BERT's own file
    found = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    found |= {"clock": config.clock, "examples.max_events": config.examples.max_events}
    return dict(json.loads(json.dumps(found)))


def _learnt_before(validation_files: Sequence[str], config: Config, is_caught_up: bool) -> float:
    """The start of the validation window, or its end; by an order, which has no moments, 0 or infinity."""
    if config.clock == "order":
        return math.inf if is_caught_up else 0.0
    start = window_start(sequences(validation_files, (), BATCH))
    return float(start + is_caught_up * config.examples.split.validation_days * DAY_SECONDS)


def _compare(version: Path, known: Record, current: Record) -> None:
    """ModelError where the one's towers may not be the other's beginning."""
    for name in sorted(known.settings.keys() | current.settings.keys()):
        was, now = known.settings.get(name), current.settings.get(name)
        if was != now:
            raise ModelError(f"{name} is {now!r}, but {was!r} in version {version.name}")
    if known.learnt_before > current.learnt_before:
        raise ModelError(
            f"version {version.name} has learnt from events of the windows that are to judge the model: it caught up "
            "with its validation window, or the windows have moved back"
        )


def _saved(version: Path, model: TwoTower) -> list[tuple[tf.Variable, np.ndarray]]:
    """Each variable that the model learns, but its readings of texts, with its value in the version."""
    # export.Recommender has the model as `_model`.
    root = tf.train.Checkpoint(_model=tf.train.Checkpoint(**model.checkpointed(with_text_vectors=False)))
    weights = str(version / "variables" / "variables")
    try:
        reader = tf.train.load_checkpoint(weights)
        keys = _keys(reader, tf.train.CheckpointView(weights).match(root))
        wanted = [part for part in tf.train.TrackableView(root).descendants() if isinstance(part, tf.Variable)]
        return [(variable, reader.get_tensor(keys[variable.ref()])) for variable in wanted]
    except (KeyError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"version {version.name} does not hold the towers of this configuration ({error})") from error


def _keys(reader: Any, matched: dict[int, Any]) -> dict[Any, str]:
    """Reference of each matched variable -> its name in the checkpoint."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    )
    return {
        part.ref(): graph.nodes[node].attributes[0].checkpoint_key
        for node, part in matched.items()
        if isinstance(part, tf.Variable)
    }


def _moved(was: np.ndarray, now: tf.Variable, old: Sequence[bytes], new: Sequence[bytes]) -> np.ndarray | None:
    """The fresh table `now` with the rows of `was` for the entries that both have; None where `was` has no such rows.

    Row 0 is nothing's, the entries follow, then buckets for what is in no vocabulary, by their
    number.
    """
    further = len(was) - 1 - len(old)
    if further < 0 or further != now.shape[0] - 1 - len(new) or was.shape[1:] != tuple(now.shape[1:]):
        return None
    found = tf.keras.utils.warmstart_embedding_matrix(
        base_vocabulary=[b"", *old, *range(further)],
        new_vocabulary=[b"", *new, *range(further)],
        base_embeddings=was,
        new_embeddings_initializer=tf.keras.initializers.Constant(now.numpy()),
    )
    return np.asarray(found)


def _text(entry: bytes) -> str:
    """Any bytes as JSON takes them."""
    return entry.decode("utf-8", "surrogateescape")


def _entry(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
