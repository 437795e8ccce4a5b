"""What the steps before training cost as a shop grows, and beside TFX's stock parquet executor.

    python benchmarks/scale.py                       # 1, 4 and 16 times the tables in data/complete-journey
    python benchmarks/scale.py --factors 1 --stock   # and the same Transform behind TFX's own executor

Each step is a process of its own, told by its seconds and by the most memory that it held, start-up included; start-up
alone is what the step takes when nothing is left to do. The stock executor makes one example of each event,
without history; its second row is given histories that were made beforehand, which it can't make itself.
Prints a table and writes out/benchmarks/scale.json. The larger shops stay below out/scale: delete them when done.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.demo import run_and_watch
from benchmarks.enlarged_shop import write_enlarged_shop
from pipeline.runs import RUNS, Run
from tfrec.schema import TableSet, read_table_set

OUT = Path("out/benchmarks/scale.json")
HOME = Path("out/scale")
ROOT = Path(__file__).parents[1]
EVENTS_OF_PARTITION = 100_000
OURS = "import sys; from pipeline.local_runner import run_pipeline; from pipeline.runs import run_from_json; " + (
    "run_pipeline(run_from_json(sys.argv[1]), sys.argv[2])"
)
STOCK = "import sys; from benchmarks.tfx_stock_pipeline import run; run(*sys.argv[1:])"


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one step at one size."""

    what: str
    factor: int
    events: int
    seconds: float
    startup_seconds: float  # nan: not told apart
    peak_bytes: int


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("data/complete-journey"))
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--stock", action="store_true", help="of the first factor, by TFX's own executor too")
    options = parser.parse_args()
    tables, costs = read_table_set(options.tables), []
    print(f"{'':40}{'times':>6}{'events':>12}{'seconds':>9}{'start-up':>10}{'us an event':>13}{'GB':>7}")
    for factor in options.factors:
        for cost in measure(tables, factor, options.stock and factor == options.factors[0]):
            costs.append(cost)
            print(told(cost), flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps([dataclasses.asdict(cost) for cost in costs], indent=2), encoding="utf-8")


def measure(tables: TableSet, factor: int, stock: bool) -> Iterator[Cost]:
    """The steps of a shop that is `factor` times as large."""
    home = HOME / f"{factor}x"
    mapping = write_enlarged_shop(tables, factor, home / "raw")
    partitions = max(tables.manifest.rows["interactions"] * factor // EVENTS_OF_PARTITION, 1)
    ingest = [*("ingest", str(mapping)), "--out", str(home / "tables"), "--partitions", str(partitions)]
    seconds, peak = watched([str(Path(sys.executable).with_name("tfrec")), *ingest])
    grown = read_table_set(home / "tables").manifest
    events = grown.rows["interactions"]
    yield Cost("ingest", factor, events, seconds, float("nan"), peak)
    for what, step in (("ours", OURS), ("stock, an event a row", STOCK), ("stock, histories given", STOCK)):
        if step == OURS or stock:
            told = what.rpartition(" ")[2]
            arguments = [of_run(home)] if step == OURS else [of_run(home), str(home / told), told]
            if step == STOCK:
                watched([sys.executable, "-c", step, *arguments, ""])  # its files, which a shop has
            for node in ("TableSetExampleGen" if step == OURS else "FileBasedExampleGen", "Transform"):
                command = [sys.executable, "-c", step, *arguments, node]
                seconds, peak = watched(command)
                startup, _ = watched(command)
                yield Cost(f"{node} ({what})", factor, events, seconds, startup, peak)


def of_run(home: Path) -> str:
    """The run over the tables there, as JSON; Transform's settings are `laptop`'s."""
    config = RUNS["laptop"].config
    return Run("scale", config, tables=str(home / "tables"), out=str(home / "out")).to_json()


def watched(command: list[str]) -> tuple[float, int]:
    """Seconds and the most bytes of a command run from here."""
    minutes, peak = run_and_watch(["env", f"PYTHONPATH={ROOT}", *command], ".")
    return minutes * 60, peak


def told(cost: Cost) -> str:
    """The line of a cost; an event's share leaves start-up out."""
    start = 0.0 if cost.startup_seconds != cost.startup_seconds else cost.startup_seconds
    each = (cost.seconds - start) / cost.events * 1e6
    figures = (
        f"{cost.events:12,}{cost.seconds:9.0f}{cost.startup_seconds:10.0f}{each:13.1f}{cost.peak_bytes / 1e9:7.1f}"
    )
    return f"{cost.what:40}{cost.factor:6}{figures}"


if __name__ == "__main__":
    main()
