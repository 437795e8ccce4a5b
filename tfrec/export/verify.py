"""`python -m tfrec.export.verify FOLDER`: check that stock TensorFlow Serving can load a
SavedModel.

Run it in a fresh process.

It loads the model as TensorFlow Serving does (a session on signature tensors), looks at every op,
and repeats the model's probes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import numpy as np

from tfrec.errors import ModelError
from tfrec.export.supported_ops import check_ops

DEFAULT = "serving_default"  # the same function as `recommend`, whose probe is its own

TOLERANCE = 1e-4  # absolute and relative, on scores and embeddings


def verify_in_fresh_process(folder: str) -> str | None:
    """None when the model in `folder` may be served; else the reason why not, in a sentence."""
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
    """Raises ModelError when the SavedModel can't be served or does not answer as the model in
    memory did.
    """
    import tensorflow as tf

    check_ops(folder)  # before tensorflow_text is imported
    import tensorflow_text  # noqa: F401  registers the ops that the model may use

    from tfrec.export.golden_requests import read_probes

    try:
        probes = read_probes(folder)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{folder} has no readable probes ({error}); export the model again") from error
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        try:
            meta = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        except Exception as error:  # whatever a damaged file raises, the model is not fit to be served
            raise ModelError(f"{folder} does not load: {error}") from error
        for signature in sorted(meta.signature_def):
            if meta.signature_def[signature].inputs and signature not in (*probes, DEFAULT):
                raise ModelError(
                    f"signature {signature} has no probe, so nothing tells whether it is sound; export again"
                )
        for signature, (inputs, expected) in probes.items():
            _compare(session, meta.signature_def[signature], signature, inputs, expected)


def _compare(session, signature_def, signature, inputs, expected) -> None:  # type: ignore[no-untyped-def]
    feeds = {signature_def.inputs[name].name: value for name, value in inputs.items()}
    fetches = {name: tensor.name for name, tensor in signature_def.outputs.items()}
    try:
        answers = session.run(fetches, feeds)
    except Exception as error:  # any refusal of a known-good request
        raise ModelError(f"signature {signature} fails after a reload: {error}") from error
    for name, wanted in expected.items():
        if not _alike(answers[name], wanted):
            raise ModelError(
                f"output {name} of signature {signature} is not what the trained model gave: the export is damaged"
            )


def _alike(answer: np.ndarray, wanted: np.ndarray) -> bool:
    if answer.shape != wanted.shape:
        return False
    if wanted.dtype == object:
        return bool(np.mean(answer == wanted) > 0.9)  # equal scores may change places
    return bool(np.allclose(answer, wanted, rtol=TOLERANCE, atol=TOLERANCE))


def main() -> None:
    """Prints one line of JSON: {"reason": null} for a model that may be served."""
    import tfrec  # noqa: F401  which Keras

    try:
        verify(sys.argv[1])
        reason = None
    except ModelError as error:
        reason = str(error)
    print(json.dumps({"reason": reason}))


if __name__ == "__main__":
    main()
