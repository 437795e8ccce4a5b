"""Costs of the steps before training by shop size, also with TFX's own parquet executor.

    python benchmarks/scale.py                       # 1, 4 and 16 times data/complete-journey
    python benchmarks/scale.py --factors 1 --stock   # also TFX's own executor before Transform

Each step runs in its own process; seconds and peak memory include the start-up. The start-up is the
time of a second run, which has nothing left to do. TFX's executor makes one example per event,
without history; its second row reads histories that were written beforehand. Prints a table and
writes out/benchmarks/scale.json. The enlarged shops stay in out/scale: delete them afterwards.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.demo import run_and_watch
from benchmarks.harness.enlarged_shop import write_enlarged_shop
from pipeline.configuration import named_run
from pipeline.runs import Run
from tfrec.schema import TableSet, read_table_set

OUT = Path("out/benchmarks/scale.json")
HOME = Path("out/scale")
ROOT = Path(__file__).parents[1]
EVENTS_PER_PARTITION = 100_000
TFREC = "import sys; from pipeline.local_runner import run_pipeline; from pipeline.runs import run_from_json; " + (
    "run_pipeline(run_from_json(sys.argv[1]), sys.argv[2])"
)
STOCK = "import sys; from benchmarks.harness.tfx_stock_pipeline import run; run(*sys.argv[1:])"


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cost of a step at one size."""

    step: str
    factor: int
    events: int
    seconds: float
    startup_seconds: float  # NaN: not measured
    peak_bytes: int


def main() -> None:
    """Measure all sizes, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("data/complete-journey"))
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--stock", action="store_true", help="also run TFX's own executor, at the first factor")
    options = parser.parse_args()
    tables, costs = read_table_set(options.tables), []
    print(f"{'':40}{'times':>6}{'events':>12}{'seconds':>9}{'start-up':>10}{'us an event':>13}{'GB':>7}")
    for factor in options.factors:
        for cost in measure(tables, factor, options.stock and factor == options.factors[0]):
            costs.append(cost)
            print(format_cost(cost), flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps([dataclasses.asdict(cost) for cost in costs], indent=2), encoding="utf-8")


def measure(tables: TableSet, factor: int, stock: bool) -> Iterator[Cost]:
    """Measure the steps at `factor` times the size of the tables."""
    home = HOME / f"{factor}x"
    mapping = write_enlarged_shop(tables, factor, home / "raw")
    partitions = max(tables.manifest.rows["interactions"] * factor // EVENTS_PER_PARTITION, 1)
    ingest = [*("ingest", str(mapping)), "--out", str(home / "tables"), "--partitions", str(partitions)]
    seconds, peak = measure_command([str(Path(sys.executable).with_name("tfrec")), *ingest])
    events = read_table_set(home / "tables").manifest.rows["interactions"]
    yield Cost("ingest", factor, events, seconds, float("nan"), peak)
    for step, seconds, startup, peak in measure_nodes("TableSetExampleGen", TFREC, [make_run(home)]):
        yield Cost(f"{step} (tfrec)", factor, events, seconds, startup, peak)
    if stock:
        for rows, label in (("event", "TFX, an event a row"), ("history", "TFX, a history a row")):
            arguments = [make_run(home), str(home / rows), rows]
            measure_command([sys.executable, "-c", STOCK, *arguments, ""])  # writes the input files
            for step, seconds, startup, peak in measure_nodes("FileBasedExampleGen", STOCK, arguments):
                yield Cost(f"{step} ({label})", factor, events, seconds, startup, peak)


def measure_nodes(example_gen: str, program: str, arguments: list[str]) -> Iterator[tuple[str, float, float, int]]:
    """Measure ExampleGen and Transform of the pipeline that `program` runs.

    Yields node, seconds, start-up seconds and peak bytes.
    """
    for node in (example_gen, "Transform"):
        command = [sys.executable, "-c", program, *arguments, node]
        seconds, peak = measure_command(command)
        startup, _ = measure_command(command)
        yield node, seconds, startup, peak


def make_run(home: Path) -> str:
    """Make a run over the tables in `home`, with the settings of `laptop`, as JSON."""
    config = named_run("laptop").config
    return Run("scale", config=config, tables=str(home / "tables"), out=str(home / "out")).to_json()


def measure_command(command: list[str]) -> tuple[float, int]:
    """Run a command in the current folder; return its seconds and peak bytes."""
    minutes, peak = run_and_watch(["env", f"PYTHONPATH={ROOT}", *command], ".")
    return minutes * 60, peak


def format_cost(cost: Cost) -> str:
    """Format a line of the table; the time per event excludes the start-up."""
    startup = 0.0 if math.isnan(cost.startup_seconds) else cost.startup_seconds
    per_event = (cost.seconds - startup) / cost.events * 1e6
    figures = (
        f"{cost.events:12,}{cost.seconds:9.0f}{cost.startup_seconds:10.0f}{per_event:13.1f}{cost.peak_bytes / 1e9:7.1f}"
    )
    return f"{cost.step:40}{cost.factor:6}{figures}"


if __name__ == "__main__":
    main()
