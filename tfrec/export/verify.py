"""Check that stock TensorFlow Serving can load a SavedModel.

Run `python -m tfrec.export.verify FOLDER` in a fresh process. It loads the model as TensorFlow
Serving does (a session on signature tensors), checks every op and repeats the golden requests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from typing import Any

import numpy as np

from tfrec.errors import ModelError
from tfrec.export.supported_ops import check_ops

DEFAULT = "serving_default"  # the same function as `recommend`, which has a golden request

Golden = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
"""Inputs and outputs of a golden request by name."""

TOLERANCE = 1e-4  # absolute and relative, on scores and embeddings


def verify_in_fresh_process(folder: str) -> str | None:
    """Reason why the model in `folder` must not be served, in a sentence; None if there is none."""
    # On the CPU: the process that trained may hold all of a GPU's memory.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", __name__, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    try:
        return json.loads(done.stdout.splitlines()[-1])["reason"]
    except (IndexError, ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return f"loading {folder} ended the process with code {done.returncode}: {last}"


def verify(folder: str) -> None:
    """Raise ModelError if the SavedModel can't be served or answers differently than in memory."""
    import tensorflow as tf

    check_ops(folder)  # before tensorflow_text is imported
    import tensorflow_text  # noqa: F401  registers the ops that the model may use

    from tfrec.export.golden_requests import read_golden_requests

    try:
        golden = read_golden_requests(folder)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{folder} has no readable golden requests ({error}); export the model again") from error
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        try:
            meta = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        except Exception as error:  # a damaged file may raise anything
            raise ModelError(f"{folder} does not load: {error}") from error
        for signature in sorted(meta.signature_def):
            if meta.signature_def[signature].inputs and signature not in (*golden, DEFAULT):
                raise ModelError(f"signature {signature} has no golden request, so it can't be checked; export again")
        for signature, request in golden.items():
            _compare(session, meta.signature_def[signature], signature, request)


def _compare(session: Any, signature_def: Any, signature: str, golden: Golden) -> None:
    inputs, expected = golden
    feeds = {signature_def.inputs[name].name: value for name, value in inputs.items()}
    fetches = {name: tensor.name for name, tensor in signature_def.outputs.items()}
    try:
        answers = session.run(fetches, feeds)
    except Exception as error:  # any refusal of a known-good request
        raise ModelError(f"signature {signature} fails after a reload: {error}") from error
    for name, value in expected.items():
        if not _alike(answers[name], value):
            raise ModelError(
                f"output {name} of signature {signature} differs from that of the trained model: the export is damaged"
            )


def _alike(answer: np.ndarray, expected: np.ndarray) -> bool:
    if answer.shape != expected.shape:
        return False
    if expected.dtype == object:
        return bool(np.mean(answer == expected) > 0.9)  # equal scores may swap positions
    return bool(np.allclose(answer, expected, rtol=TOLERANCE, atol=TOLERANCE))


def main() -> None:
    """Print one line of JSON: {"reason": null} for a model that may be served."""
    import tfrec  # noqa: F401  which Keras

    try:
        verify(sys.argv[1])
        reason = None
    except ModelError as error:
        reason = str(error)
    print(json.dumps({"reason": reason}))


if __name__ == "__main__":
    main()
