"""The ExampleGen in TFX's LocalDagRunner: its records, and when it runs again."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from pipeline.engines import Local
from pipeline.nodes.example_gen import TableSetExecutor, example_gen
from tfrec.config import Config, ExamplesConfig
from tfrec.errors import DataError
from tfrec.schema import TableSet, read_table_set


def run(tables_root: Path, home: Path, config: Config | None = None) -> list[str]:
    """Run a pipeline of this component; returns the states of all executions, oldest first."""
    from ml_metadata.proto import metadata_store_pb2
    from tfx.orchestration import metadata
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.pipeline import Pipeline

    connection = metadata.sqlite_metadata_connection_config(str(home / "metadata.db"))
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="test",
            pipeline_root=str(home / "root"),
            components=[example_gen(str(tables_root), config or Config())],
            enable_cache=True,
            metadata_connection_config=connection,
            beam_pipeline_args=Local().beam_flags(),
        )
    )
    with metadata.Metadata(connection) as handle:
        executions = sorted(handle.store.get_executions(), key=lambda execution: execution.id)
    name = metadata_store_pb2.Execution.State.Name
    return [name(execution.last_known_state) for execution in executions]


def read_split(home: Path, split: str) -> list[dict[str, Any]]:
    """Read the examples of a split of the newest execution, as dictionaries of lists."""
    import tensorflow as tf

    newest = max((home / "root" / "TableSetExampleGen" / "examples").iterdir(), key=lambda path: int(path.name))
    files = sorted(str(path) for path in (newest / f"Split-{split}").glob("*.gz"))
    assert 1 <= len(files) <= 4
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
    return [_as_lists(tf.train.Example.FromString(record)) for record in records]


def _as_lists(example: Any) -> dict[str, Any]:
    features = example.features.feature
    return {name: list(getattr(value, value.WhichOneof("kind")).value) for name, value in features.items()}


@pytest.fixture(scope="module")
def ran(shop: TableSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A copy of the shop's tables, and the folder of a pipeline that ran on it once."""
    tables, home = tmp_path_factory.mktemp("run") / "tables", tmp_path_factory.mktemp("home")
    shutil.copytree(shop.root, tables)
    assert run(tables, home) == ["COMPLETE"]
    return tables, home


def test_each_split_holds_the_users_with_events_in_its_window(ran: tuple[Path, Path]) -> None:
    """Users with events in each window, counted in tests/conftest.py by eye; all 8 items."""
    _, home = ran
    users = {
        split: sorted(example["user_id"][0].decode() for example in read_split(home, split))
        for split in ("train", "validation", "test")
    }
    assert users == {
        "train": ["ann", "bob", "cai", "dee", "eve"],
        "validation": ["ann", "bob", "eve"],
        "test": ["ann", "cai", "eve", "fay"],
    }
    items = {example["item_id"][0].decode() for example in read_split(home, "catalog")}
    assert items == {"pasta", "sauce", "tea", "mug", "lamp", "book", "soap", "fern"}


def test_a_record_holds_the_events_of_its_user(ran: tuple[Path, Path]) -> None:
    _, home = ran
    [eve] = [example for example in read_split(home, "test") if example["user_id"] == [b"eve"]]
    # eve bought soap on 25 January and 15 February (history), then again and saw a mug on 15 March,
    # 5 minutes later. She has no row among the users. Seconds: `date -u -d '2024-01-25 07:00' +%s`
    # and so on.
    assert eve == {
        "user_id": [b"eve"],
        "user_age": [b""],
        "user_city": [b""],
        "event_item_id": [b"soap", b"soap", b"soap", b"mug"],
        "event_kind": [b"purchase", b"purchase", b"purchase", b"view"],
        "event_timestamp": [1706166000, 1707980400, 1710486000, 1710486300],
        "event_price": [2.0, 2.0, 2.0, 0.0],
        "event_query": [b"", b"", b"", b""],
        "event_is_target": [0, 0, 1, 1],
    }


@pytest.mark.slow
def test_only_new_data_or_settings_run_it_again(ran: tuple[Path, Path], write_tables: Any, tmp_path: Path) -> None:
    tables, home = ran
    for path in tables.rglob("*"):  # as after the same data was ingested again
        os.utime(path, (2_000_000_000, 2_000_000_000))
    assert run(tables, home) == ["COMPLETE", "CACHED"]

    only_other_settings = dataclasses.replace(Config(), train=dataclasses.replace(Config().train, epochs=1))
    assert run(tables, home, only_other_settings)[2:] == ["CACHED"]

    shorter = Config(examples=ExamplesConfig(max_events=2, stride=1))
    assert run(tables, home, shorter)[3:] == ["COMPLETE"]
    # ann has 3 training events (2 chunks of at most 2), cai 3 (2), bob and dee 2, eve 1.
    assert len(read_split(home, "train")) == 2 + 2 + 1 + 1 + 1

    fewer: list[tuple] = [("ann", "tea", "view", "2024-01-20 09:00:00", None, None, None, "a2", None)]
    fewer += [("ann", "fern", "purchase", "2024-03-20 10:00:00", 1.0, 12.0, None, "a5", None)]
    write_tables(tmp_path / "new", interactions=fewer)
    shutil.copytree(tmp_path / "new", tables, dirs_exist_ok=True)  # a second snapshot, and its manifest
    assert run(tables, home)[4:] == ["COMPLETE"]
    assert [example["user_id"] for example in read_split(home, "test")] == [[b"ann"]]
    assert read_split(home, "validation") == []


def test_tables_that_change_between_driver_and_executor_end_the_run(write_tables: Any, tmp_path: Path) -> None:
    rows: list[tuple] = [("ann", "tea", "view", "2024-01-20 09:00:00", None, None, None, "a2", None)]
    write_tables(tmp_path, interactions=rows)
    properties = {**example_gen(str(tmp_path), Config()).exec_properties, "input_fingerprint": '{"snapshot": "other"}'}
    with pytest.raises(DataError, match="was ingested again while the pipeline started; run it again"):
        TableSetExecutor().GenerateExamplesByBeam(beam.Pipeline(argv=Local().beam_flags()), properties)


def test_a_folder_without_ingested_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no ingested tables"):
        read_table_set(tmp_path)
    with pytest.raises(DataError, match="holds no ingested tables"):
        run(tmp_path, tmp_path)
