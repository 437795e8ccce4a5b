"""A run together with what its tables and its BERT decide, read once before the nodes are made."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

from pipeline.engines import Engine, Step, engines_from
from pipeline.runs import Run
from tfrec.config import Config
from tfrec.errors import ConfigError
from tfrec.examples.split import Boundaries, boundaries
from tfrec.language.text_encoder import bert_directory, vocabulary
from tfrec.schema import TableSet, read_table_set
from tfrec.setting_names import check_search


@dataclasses.dataclass(frozen=True)
class ResolvedRun:
    """A run with everything that `create_pipeline` reads: configuration, data and boundaries."""

    run: Run
    config: Config  # the run's, completed by the tables and the BERT
    snapshot: str  # hash of the content of the tables that a model reads
    boundaries: Boundaries
    bert_weights: str  # fingerprint
    engines: Mapping[Step, Engine]


def resolve(run: Run) -> ResolvedRun:
    """Read the run's table set and its BERT's vocabulary, and check settings before any node runs.

    Raises DataError when nothing was ingested, and ConfigError for a split that leaves nothing to
    train on, an invalid search or an invalid Beam engine.
    """
    tables = read_table_set(run.tables)
    manifest = tables.manifest
    split_boundaries = boundaries(manifest, run.config.examples.split)
    check_search(run.config)
    _check_states(run.config)
    return ResolvedRun(
        run=run,
        config=_completed(run, tables),
        snapshot=manifest.content(item_states=run.config.examples.item_states),
        boundaries=split_boundaries,
        bert_weights=_weights(run.config.features.bert),
        engines=engines_from({step: dataclasses.asdict(engine) for step, engine in run.beam.items()}),
    )


def _check_states(config: Config) -> None:
    """Refuse more earlier windows than the states of items are kept for."""
    windows = config.ranking.earlier_windows
    if config.examples.item_states and config.has_windows and windows > 1:
        raise ConfigError(
            f"`ranking.earlier_windows` is {windows}, but the states of items (`examples.item_states`) are kept for "
            "one window before validation; set it to 1 or 0"
        )


def _completed(run: Run, tables: TableSet) -> Config:
    """The run's configuration with what the tables and the BERT decide."""
    from tfrec.examples.text_length import fitting_text_tokens  # imports TensorFlow

    manifest = tables.manifest
    word_pieces, lowercase = vocabulary(run.config.features.bert, str(Path(run.work) / "bert"))
    features = dataclasses.replace(
        run.config.features,
        profile_columns=manifest.profile_columns,
        item_columns=manifest.item_columns,
        item_numbers=manifest.item_numbers,
        item_vectors=manifest.item_vectors,
        vocabulary=word_pieces,
        lowercase=lowercase,
    )
    features = dataclasses.replace(features, text_tokens=fitting_text_tokens(tables, features))
    return dataclasses.replace(run.config, features=features, clock=manifest.clock)


def _weights(bert: str) -> str:
    """Hash the names and sizes of a BERT's files; of a preset to be downloaded, its name."""
    folder = Path(bert_directory(bert))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = (
        [f"{path.relative_to(folder)} {path.stat().st_size}" for path in files] if folder.is_dir() else [str(folder)]
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
