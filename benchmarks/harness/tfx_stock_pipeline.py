"""Examples by TFX's parquet executor, then the project's Transform: a comparison for scale.py."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pipeline  # noqa: F401  # isort: skip  sets the Keras version before TFX imports TensorFlow

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tfx.components
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.custom_executors import parquet_executor
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2, transform_pb2

from pipeline.engines import Local
from pipeline.local_runner import run_part
from pipeline.nodes.configs import transform_config
from pipeline.nodes.curated_schema import write_schema
from pipeline.resolved_run import resolve
from pipeline.runs import Run, run_from_json
from tfrec.examples.build import SEQUENCE_SPLITS, build_catalog, build_sequences
from tfrec.examples.split import boundaries
from tfrec.schema import TableSet, read_table_set

MAX_EVENTS = 10**6
"""Longer than any history, so that no history is split and no event is written twice."""


def run(run_json: str, folder: str, rows: str, until: str) -> None:
    """Run TFX's pipeline up to the node `until`, or only write its input files if `until` is "".

    `rows` is "event" or "history": what a row of the input holds.
    """
    settings = run_from_json(run_json)
    home = Path(folder)
    if not (home / "rows").exists():
        write_rows(read_table_set(settings.tables), home, settings, histories=rows == "history")
    if until:
        run_part(make_pipeline(settings, home), until)


def write_rows(tables: TableSet, home: Path, settings: Run, histories: bool) -> None:
    """Write the executor's input: one Parquet file per partition and split."""
    temporary = home / "rows.tmp"
    for split in (*SEQUENCE_SPLITS, "catalog"):
        (temporary / split).mkdir(parents=True, exist_ok=True)
    manifest, config = tables.manifest, settings.config.examples
    if not histories:
        config = dataclasses.replace(config, max_events=MAX_EVENTS, stride=MAX_EVENTS, window_history=0)
    bounds = boundaries(manifest, config.split)
    for index in range(manifest.partitions):
        users = pq.read_table(tables.part("users", index)) if manifest.profile_columns else None
        events = pq.read_table(tables.part("interactions", index))
        batches = build_sequences(events, users, manifest.profile_columns, bounds, config)
        batches["catalog"] = build_catalog(pq.read_table(tables.part("items", index)), manifest.item_columns)
        for split, batch in batches.items():
            table = pa.Table.from_batches([batch if histories or split == "catalog" else split_events(batch)])
            pq.write_table(decode_bytes(table), temporary / split / f"{index}.parquet")
    temporary.rename(home / "rows")


def decode_bytes(table: pa.Table) -> pa.Table:
    """Turn bytes into strings, because the executor refuses bytes."""

    def text(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_large_list(kind):
            return pa.large_list(text(kind.value_type))
        return pa.large_string() if pa.types.is_large_binary(kind) else kind

    return table.cast(pa.schema([field.with_type(text(field.type)) for field in table.schema]))


def split_events(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Split sequences into rows of one event each, with the user's columns repeated."""
    parents = pc.list_parent_indices(batch["event_item_id"])
    columns = {
        name: pc.list_flatten(batch[name]) if name.startswith("event_") else pc.list_flatten(batch[name]).take(parents)
        for name in batch.schema.names
    }
    return pa.RecordBatch.from_pydict(columns)


def make_pipeline(settings: Run, home: Path) -> Pipeline:
    """Make a pipeline of TFX's FileBasedExampleGen with its parquet executor, and Transform."""
    config = resolve(settings).config
    splits = [
        example_gen_pb2.Input.Split(name=split, pattern=f"{split}/*.parquet") for split in (*SEQUENCE_SPLITS, "catalog")
    ]
    examples = FileBasedExampleGen(
        input_base=str(home.absolute() / "rows"),
        input_config=example_gen_pb2.Input(splits=splits),
        custom_executor_spec=BeamExecutorSpec(parquet_executor.Executor),
    )
    schema = ImportSchemaGen(write_schema(config, settings.work))
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="tfrec.examples.preprocessing.preprocessing_fn",
        custom_config={"config": transform_config(config).to_json()},
        disable_statistics=True,
        splits_config=transform_pb2.SplitsConfig(analyze=["train", "catalog"], transform=[*SEQUENCE_SPLITS, "catalog"]),
    )
    root = home.absolute() / "out"
    root.mkdir(exist_ok=True)
    return Pipeline(
        pipeline_name="stock",
        pipeline_root=str(root),
        components=[examples, schema, transform],
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        enable_cache=True,
        beam_pipeline_args=Local().beam_flags(),
    )
