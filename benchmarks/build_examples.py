"""Events per second made into serialized tf.train.Examples on one core, also by TFX's executor.

    python benchmarks/build_examples.py [--tables data/complete-journey]

The tables are those of `tfrec ingest`. TFX's parquet executor makes one example per event, without
history. It supports no timestamps, so it reads the same rows with integer seconds. Prints a table
and writes out/benchmarks/build_examples.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tfrec  # noqa: F401  before TensorFlow
from tfrec.config import Config
from tfrec.errors import DataError
from tfrec.examples.build import build_partition
from tfrec.schema import TableSet, read_table_set

OUT = Path("out/benchmarks/build_examples.json")
BEAM_ARGS = ["--runner=FnApiRunner", "--sdk_container_image=unused"]
STOCK_ROWS = 100_000
"""Rows that TFX's executor reads; it is too slow for all of them."""


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("data/complete-journey"), help="root of a table set")
    arguments = parser.parse_args()
    try:
        tables = read_table_set(arguments.tables)
    except DataError as error:
        sys.exit(str(error))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    results = measure(tables)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"source": tables.manifest.source, "cores": 1, "results": results}, indent=2) + "\n")
    print(f"{'one core, ' + tables.manifest.source:52}{'events':>10}{'seconds':>10}{'events/s':>12}")
    for row in results:
        print(f"{row['name']:52}{row['events']:>10,}{row['seconds']:>10.2f}{row['events_per_second']:>12,}")


def measure(tables: TableSet) -> list[dict[str, Any]]:
    """Measure each way of making examples of the same interactions."""
    events = tables.manifest.rows["interactions"]
    with tempfile.TemporaryDirectory() as folder:
        stock_rows = write_stock_rows(tables, Path(folder))
        return [
            time_build("tfrec.examples.build.build_partition", events, lambda: build_all(tables)),
            time_build("the same through Beam, as in the pipeline", events, lambda: build_through_beam(tables)),
            time_build("TFX parquet executor through Beam", stock_rows, lambda: build_by_stock_executor(folder)),
        ]


def time_build(name: str, events: int, build: Callable[[], None]) -> dict[str, Any]:
    """Time two builds and return the better; the first also imports and warms the file cache."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        build()
        seconds.append(time.perf_counter() - start)
    rate = round(events / min(seconds))
    return {"name": name, "events": events, "seconds": round(min(seconds), 3), "events_per_second": rate}


def build_all(tables: TableSet) -> None:
    """Build all splits of all partitions, and discard the examples."""
    for index in range(tables.manifest.partitions):
        for _ in build_partition(tables, index, Config().examples):
            pass


def build_through_beam(tables: TableSet) -> None:
    """Run the executor's Beam graph, without writing."""
    import apache_beam as beam

    from pipeline.nodes.example_gen import TableSetExecutor, example_gen

    properties = example_gen(str(tables.root), Config()).exec_properties
    with beam.Pipeline(argv=BEAM_ARGS) as graph:
        for split, examples in TableSetExecutor().GenerateExamplesByBeam(graph, properties).items():
            count(examples, split)


def write_stock_rows(tables: TableSet, folder: Path) -> int:
    """Write the first interactions for TFX's executor, and return their number."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pa.concat_tables(pq.read_table(path) for path in tables.parts("interactions")).slice(0, STOCK_ROWS)
    column = rows.column_names.index("timestamp")
    seconds = pc.divide(rows["timestamp"].cast(pa.int64()), 1000)
    pq.write_table(rows.set_column(column, "timestamp", seconds), folder / "rows.parquet")
    return len(rows)


def build_by_stock_executor(folder: str) -> None:
    """Run TFX's parquet executor up to serialized examples, without writing."""
    import apache_beam as beam
    from tfx.components.example_gen.custom_executors import parquet_executor
    from tfx.components.example_gen.write_split import MaybeSerialize

    to_examples = parquet_executor.Executor().GetInputSourceToExamplePTransform()
    with beam.Pipeline(argv=BEAM_ARGS) as graph:
        examples = graph | to_examples({"input_base": folder}, "*.parquet")
        count(examples | beam.ParDo(MaybeSerialize()), "rows")


def count(examples: Any, name: str) -> None:
    """Consume a PCollection."""
    import apache_beam as beam

    _ = examples | f"Count {name}" >> beam.combiners.Count.Globally()


if __name__ == "__main__":
    main()
