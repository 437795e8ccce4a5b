"""A process of ours for Beam's worker pools, as `--container_executable=tfrec-beam-worker` of Beam's pool starts it.

Beam's default, a bare Python, imports what a step's functions come from in the order in which they are unpickled. TFX
has to come first of its family: it mends what later imports lack. And a worker of which an engine asks one stage alone
may get no function of ours, yet a graph that needs TensorFlow Text's operations. Where Beam starts workers by its own
script, as on this machine and in Dataflow, `--beam_plugin` names this module, which is all that it takes.
"""

from __future__ import annotations

import argparse
import os

import pipeline  # noqa: F401  # isort: skip  decides which Keras TensorFlow uses, before TFX imports it

import tfx  # noqa: F401  # isort: skip  before tensorflow_data_validation and tensorflow_transform
import tensorflow_text  # noqa: F401  registers the operations of text that Transform's graphs hold
from apache_beam.runners.worker.sdk_worker import SdkHarness


def main() -> None:
    """Serves the runner at the control endpoint until it lets go."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--id", required=True)
    parser.add_argument("--control_endpoint", required=True)
    options, _ = parser.parse_known_args()  # Beam's contract names further endpoints
    os.dup2(2, 1)  # nobody reads the pipe that the pool opens for what a worker prints
    SdkHarness(options.control_endpoint, worker_id=options.id).run()


if __name__ == "__main__":
    main()
