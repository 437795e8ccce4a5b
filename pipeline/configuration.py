"""The run that a shop's file describes: the preset's configuration with the file's settings."""

from __future__ import annotations

import dataclasses

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.auto_preset import Choice, choose_preset
from pipeline.run_file import SHORT_NAMES, RunFile, find_run
from pipeline.runs import Run, preset
from tfrec.console import log
from tfrec.schema import POSITIVE_KINDS, TableSet, read_table_set
from tfrec.setting_names import with_named

LABEL_KINDS = SHORT_NAMES["label_kinds"]
MIN_BUYERS = 200
"""Users with a purchase from which purchases alone are the default labels."""


def named_run(name: str) -> Run:
    """The run of a shop's file or of a name of the project; errors as in `find_run`."""
    return run_of(find_run(name))


def run_of(file: RunFile) -> Run:
    """The run of a file; with the preset `auto` its tables decide, and the choices are logged.

    Raises DataError when they do not exist.
    """
    if file.preset == "auto":
        choice = choose(file)
        log(f"preset {choice.preset}: {choice.reason}")
        file = with_default_labels(dataclasses.replace(file, preset=choice.preset), read_table_set(file.tables))
    config = with_named(preset(file.preset), file.settings)
    return Run(
        file.name,
        file.tables,
        file.out,
        file=file.file,
        metadata_server=file.metadata_server,
        config=config,
        beam=file.beam,
    )


def choose(file: RunFile) -> Choice:
    """The preset that the file's tables suggest, with the reason; DataError without tables."""
    return choose_preset(read_table_set(file.tables))


def with_default_labels(file: RunFile, tables: TableSet) -> RunFile:
    """The file with purchases as labels if it names none and its tables hold other kinds too.

    Purchases of fewer than MIN_BUYERS users are too few to train and judge a model by: then every
    kind is a label, and the log says so.
    """
    if LABEL_KINDS in file.settings:
        return file
    kinds = _kinds(tables)
    others = [kind for kind in kinds if kind not in ("purchase", "search")]
    if not others or "purchase" not in kinds:
        return file
    buyers = _count_buyers(tables)
    if buyers < MIN_BUYERS:
        log(
            f"label_kinds {kinds}: {buyers:,} users bought, fewer than {MIN_BUYERS}, so every kind is a label; set "
            "label_kinds to change it"
        )
        return file
    log(f"label_kinds [purchase]: {others[0]} events are logged beside purchases; name others to change it")
    return dataclasses.replace(file, settings={**file.settings, LABEL_KINDS: ["purchase"]})


def _count_buyers(tables: TableSet) -> int:
    """Number of users with a purchase; each user's events are in one partition."""
    purchases = [("kind", "==", "purchase")]
    paths = tables.parts("interactions")
    return sum(len(pc.unique(pq.read_table(path, columns=["user_id"], filters=purchases)["user_id"])) for path in paths)


def _kinds(tables: TableSet) -> list[str]:
    """Positive kinds of the tables, in the order of the schema."""
    kinds: set[str] = set()
    for path in tables.parts("interactions"):
        kinds |= set(pc.unique(pq.read_table(path, columns=["kind"])["kind"]).to_pylist())
    return [kind for kind in POSITIVE_KINDS if kind in kinds]
