"""What TFX's cache can't see by itself: the code and the weights behind a node's import path.

Each node carries a hash of the modules that decide its output, so that a pulled fix runs again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import tfrec
from tfrec.text import bert_directory

EXAMPLES = ("schema", "examples")
TRANSFORM = ("features",)
TRAIN = (
    *("features", "catalog", "dataset", "text", "towers", "retrieval", "optimizer", "trend", "validation", "train"),
    *("index", "export", "probes"),
)
EVALUATE = ("metrics", "records", "holdout", "baselines", "scores", "verdict", "evaluate", "scorer", "judge")


def code(modules: tuple[str, ...]) -> str:
    """A hash of the source of modules of tfrec."""
    package = Path(str(tfrec.__file__)).parent
    return _digest([(package / f"{name}.py").read_bytes() for name in modules])


def weights(bert: str) -> str:
    """A hash of the names and sizes of a BERT's files; of its name where it is a preset to be downloaded."""
    folder = Path(bert_directory(bert))
    if not folder.is_dir():
        return _digest([str(folder).encode()])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return _digest([f"{path.relative_to(folder)} {path.stat().st_size}".encode() for path in files])


def _digest(parts: list[bytes]) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
