"""Run time of `tfrec --help`, `tfrec doctor`, an empty Python and the import of TensorFlow.

    python benchmarks/help_time.py

Prints a table and writes out/benchmarks/help_time.json.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
OUT = Path("out/benchmarks/help_time.json")
COMMANDS = {
    "python -c pass": ([sys.executable, "-c", "pass"], 10),
    "tfrec --help": ([str(BIN / "tfrec"), "--help"], 10),
    "tfrec doctor": ([str(BIN / "tfrec"), "doctor"], 10),
    "import tensorflow": ([sys.executable, "-c", "import tfrec, tensorflow"], 3),
}
"""Name -> command, number of runs."""


def main() -> None:
    """Measure, print a table and write JSON."""
    results = {name: measure(command, repeats) for name, (command, repeats) in COMMANDS.items()}
    print(f"{'command':<20} {'best s':>8} {'median s':>9} {'runs':>5}")
    for name, result in results.items():
        print(f"{name:<20} {result['best']:>8.3f} {result['median']:>9.3f} {result['runs']:>5}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def measure(command: list[str], repeats: int) -> dict[str, float]:
    """Run a command several times, and return its wall seconds."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, check=False)
        seconds.append(time.perf_counter() - started)
    return {"best": min(seconds), "median": statistics.median(seconds), "runs": repeats}


if __name__ == "__main__":
    main()
