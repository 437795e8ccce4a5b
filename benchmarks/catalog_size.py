"""What a larger catalogue costs the two towers: a step of training, the candidate index, one exact search, memory.

    python benchmarks/catalog_size.py [--items 68000 272000 1088000]

The catalogue is generated as in training.py, a text for each three items, and each size has a process of its own, whose
memory is told; of the variables, those that the served model holds. Writes out/benchmarks/catalog_size.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

OUT = Path("out/benchmarks/catalog_size.json")
ROOT = Path(__file__).parents[1]
LENGTH, BATCH, STEPS, K = 50, 32, 40, 500
ITEMS_OF_TEXT = 3
SHOWN = {
    "items": ",.0f",
    "variables_mb": ",.0f",
    "process_gb": ".1f",
    "events_per_second": ",.0f",
    "index_seconds": ".2f",
    "search_ms": ".1f",
}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[68_000, 272_000, 1_088_000])
    found = []
    print("".join(f"{name:>20}" for name in SHOWN))
    for items in parser.parse_args().items:
        program = "import sys; from benchmarks.catalog_size import one; one(int(sys.argv[1]))"
        command = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-c", program, str(items)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found.append(json.loads(said.splitlines()[-1]))
        print("".join(f"{found[-1][name]:>20{how}}" for name, how in SHOWN.items()), flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2), encoding="utf-8")


def one(items: int) -> None:
    """Prints the costs of a catalogue of that size as a line of JSON."""
    import psutil
    import tensorflow as tf

    from benchmarks.training import batches, build, speed
    from tfrec.export.top_k_index import Index
    from tfrec.training.lazy_adam import LazyAdam

    model = build(LENGTH, BATCH, items, max(items // ITEMS_OF_TEXT, 2))
    events = speed(model, LazyAdam(1e-3), batches(model, BATCH, LENGTH), STEPS)
    started = time.perf_counter()
    index = Index(model.all_candidates(), K)
    index_seconds = time.perf_counter() - started
    query = tf.random.normal([1, index.embeddings.shape[1]])

    @tf.function
    def search(vector: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return index.top_k(tf.matmul(vector, index.embeddings, transpose_b=True), tf.zeros([1, 1], tf.int64))

    variables = [*model.variables, index.embeddings]
    result = {
        "items": items,
        "events_per_second": events,
        "index_seconds": index_seconds,
        "search_ms": 1000 * median_seconds(lambda: search(query)),
        "variables_mb": sum(variable.shape.num_elements() * variable.dtype.size for variable in variables) / 1e6,
        "process_gb": psutil.Process().memory_info().rss / 1e9,
    }
    print(json.dumps(result))


def median_seconds(call: Callable[[], object], times: int = 50) -> float:
    """Of a call, after two that warm up."""
    found = []
    for _ in range(times + 2):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return sorted(found[2:])[times // 2]


if __name__ == "__main__":
    main()
