"""How many events a second become serialized tf.train.Examples on one core, beside TFX's parquet executor.

    python benchmarks/build_examples.py [--tables data/complete-journey]        what `tfrec ingest` wrote

Prints a table and writes out/benchmarks/build_examples.json. TFX's executor makes one example of each event,
without history, and knows no timestamps: it is given the same rows with seconds as integers.
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
"""Rows given to TFX's executor, which is too slow for all of them."""


def main() -> None:
    """Measures, prints and writes."""
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
        print(f"{row['what']:52}{row['events']:>10,}{row['seconds']:>10.2f}{row['events_per_second']:>12,}")


def measure(tables: TableSet) -> list[dict[str, Any]]:
    """A row for each way of making examples of the same interactions."""
    events = tables.manifest.rows["interactions"]
    with tempfile.TemporaryDirectory() as folder:
        stock_rows = write_stock_rows(tables, Path(folder))
        return [
            timed("tfrec.examples.build.build_partition", events, lambda: build_all(tables)),
            timed("the same through Beam, as in the pipeline", events, lambda: build_through_beam(tables)),
            timed("TFX parquet executor through Beam", stock_rows, lambda: build_by_stock_executor(folder)),
        ]


def timed(what: str, events: int, build: Callable[[], None]) -> dict[str, Any]:
    """The better of two runs: the first also imports and warms the file cache."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        build()
        seconds.append(time.perf_counter() - start)
    rate = round(events / min(seconds))
    return {"what": what, "events": events, "seconds": round(min(seconds), 3), "events_per_second": rate}


def build_all(tables: TableSet) -> None:
    """Every split of every partition, each block of examples dropped as soon as it is made."""
    for index in range(tables.manifest.partitions):
        for _ in build_partition(tables, index, Config().examples):
            pass


def build_through_beam(tables: TableSet) -> None:
    """The executor's Beam graph, without the writing."""
    import apache_beam as beam

    from pipeline.nodes.example_gen import TableSetExecutor, example_gen

    properties = example_gen(str(tables.root), Config()).exec_properties
    with beam.Pipeline(argv=BEAM_ARGS) as graph:
        for split, examples in TableSetExecutor().GenerateExamplesByBeam(graph, properties).items():
            count(examples, split)


def write_stock_rows(tables: TableSet, folder: Path) -> int:
    """Writes the first interactions for TFX's executor; their number."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pa.concat_tables(pq.read_table(path) for path in tables.parts("interactions")).slice(0, STOCK_ROWS)
    column = rows.column_names.index("timestamp")
    seconds = pc.divide(rows["timestamp"].cast(pa.int64()), 1000)
    pq.write_table(rows.set_column(column, "timestamp", seconds), folder / "rows.parquet")
    return len(rows)


def build_by_stock_executor(folder: str) -> None:
    """TFX's own parquet executor, up to serialized examples, without the writing."""
    import apache_beam as beam
    from tfx.components.example_gen.custom_executors import parquet_executor
    from tfx.components.example_gen.write_split import MaybeSerialize

    to_examples = parquet_executor.Executor().GetInputSourceToExamplePTransform()
    with beam.Pipeline(argv=BEAM_ARGS) as graph:
        examples = graph | to_examples({"input_base": folder}, "*.parquet")
        count(examples | beam.ParDo(MaybeSerialize()), "rows")


def count(examples: Any, name: str) -> None:
    """Consumes a PCollection."""
    import apache_beam as beam

    _ = examples | f"Count {name}" >> beam.combiners.Count.Globally()


if __name__ == "__main__":
    main()
