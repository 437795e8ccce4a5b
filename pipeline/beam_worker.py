"""A Beam worker for worker pools, started by the pool's `--container_executable=tfrec-beam-worker`.

Beam's default worker imports modules in the order in which a step's functions are unpickled. TFX
must be imported before the other TFX libraries, since it patches what they need. And a worker that
runs a single stage may unpickle none of this project's functions, yet a graph with operations of
TensorFlow Text. Where Beam's own script starts the workers, locally or in Dataflow, `--beam_plugin`
with this module has the same effect.
"""

from __future__ import annotations

import argparse
import os

import pipeline  # noqa: F401  # isort: skip  decides which Keras TensorFlow uses, before TFX imports it

import tfx  # noqa: F401  # isort: skip  before tensorflow_data_validation and tensorflow_transform
import tensorflow_text  # noqa: F401  registers operations of Transform's graphs
from apache_beam.runners.worker.sdk_worker import SdkHarness


def main() -> None:
    """Serve the runner at the control endpoint until it closes the connection."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--id", required=True)
    parser.add_argument("--control_endpoint", required=True)
    options, _ = parser.parse_known_args()  # Beam passes further endpoints
    os.dup2(2, 1)  # the pool opens a pipe for stdout that nobody reads
    SdkHarness(options.control_endpoint, worker_id=options.id).run()


if __name__ == "__main__":
    main()
