"""Default of `label_kinds` with the preset `auto`: purchases where other kinds are logged too."""

from __future__ import annotations

import dataclasses

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.run_file import SHORT_NAMES, RunFile
from tfrec.console import log
from tfrec.schema import POSITIVE_KINDS, TableSet

LABEL_KINDS = SHORT_NAMES["label_kinds"]


def with_default_labels(file: RunFile, tables: TableSet) -> RunFile:
    """The file with purchases as labels if it names none and its tables hold other kinds too."""
    if LABEL_KINDS in file.settings:
        return file
    kinds = _kinds(tables)
    others = [kind for kind in kinds if kind not in ("purchase", "search")]
    if not others or "purchase" not in kinds:
        return file
    log(f"label_kinds [purchase]: {others[0]} events are logged beside purchases; name others to change it")
    return dataclasses.replace(file, settings={**file.settings, LABEL_KINDS: ["purchase"]})


def _kinds(tables: TableSet) -> list[str]:
    """Positive kinds of the tables, in the order of the schema."""
    kinds: set[str] = set()
    for path in tables.parts("interactions"):
        kinds |= set(pc.unique(pq.read_table(path, columns=["kind"])["kind"]).to_pylist())
    return [kind for kind in POSITIVE_KINDS if kind in kinds]
