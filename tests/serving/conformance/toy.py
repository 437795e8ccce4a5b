"""Toy model of the suite: outputs are worked out by hand, a version's scale is its number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text as text
from tensorflow.core.protobuf import saved_model_pb2

FLOAT, INT64, STRING = tf.float32, tf.int64, tf.string
WORDS = ("pasta", "tee", "茶")
DEFAULT_Y = 100.0


def _spec(name: str, dtype: tf.DType) -> tf.TensorSpec:
    return tf.TensorSpec([None], dtype, name=name)


TYPES = {
    "flag": tf.bool,
    "tiny": tf.int8,
    "short": tf.int16,
    "small": tf.int32,
    "big": tf.int64,
    "byte": tf.uint8,
    "count": tf.uint32,
    "hash": tf.uint64,
    "exact": tf.float64,
}
"""Input by name: one of each type that JSON can hold, beside float and string."""


class Toy(tf.Module):
    """Signatures of every type, rank, batch size and name that the contract distinguishes.

    `x * scale + y` identifies the version.
    """

    def __init__(self, scale: float, words: Path) -> None:
        super().__init__()
        self.scale = tf.Variable(scale)
        lines = tf.lookup.TextFileInitializer(
            str(words),
            STRING,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            INT64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.words = tf.lookup.StaticHashTable(lines, -1)

    @tf.function(input_signature=[_spec("x", FLOAT), _spec("y", FLOAT)])
    def linear(self, x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": x * self.scale + y, "difference": x - y}

    @tf.function(input_signature=[_spec("word", STRING)])
    def lookup(self, word: tf.Tensor) -> dict[str, tf.Tensor]:
        """A table, an asset, an op of TF Text, and an output whose name ends in _bytes."""
        normal = text.normalize_utf8(text.case_fold_utf8(word), "NFKC")
        return {"line": self.words.lookup(word), "normal": normal, "normal_bytes": normal}

    @tf.function(input_signature=[_spec("x", STRING)])
    def mirror(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"x": x}

    @tf.function(input_signature=[_spec("x", FLOAT)])
    def number(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"x": x}

    @tf.function
    def types(self, **values: tf.Tensor) -> dict[str, tf.Tensor]:
        return values

    @tf.function(input_signature=[_spec("half", tf.float16)])
    def halves(self, half: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"double": half + half}

    @tf.function(input_signature=[_spec("x", FLOAT)])
    def to_half(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"half": tf.cast(x, tf.float16)}

    @tf.function(input_signature=[_spec("x", FLOAT)])
    def total(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[_spec("x", STRING)])
    def joined(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"text": tf.strings.reduce_join(x)}

    @tf.function(input_signature=[_spec("x", FLOAT)])
    def uneven(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"once": x, "twice": tf.concat([x, x], axis=0)}

    @tf.function(input_signature=[])
    def constant(self) -> dict[str, tf.Tensor]:
        return {"scale": tf.reshape(self.scale, [1])}

    @tf.function(input_signature=[_spec("steps", INT64)])
    def slow(self, steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Count to the largest of `steps`; a billion steps take minutes."""
        end = tf.reduce_max(steps)
        (last,) = tf.while_loop(lambda step: step < end, lambda step: [step + 1], [tf.zeros([], INT64)])
        return {"last": tf.fill(tf.shape(steps), last)}

    def signatures(self) -> dict[str, Any]:
        """Return the exported signatures by name; `export` adds with_default."""
        names = ("lookup", "mirror", "number", "halves", "to_half", "total", "joined", "uneven", "constant", "slow")
        types = self.types.get_concrete_function(**{name: _spec(name, TYPES[name]) for name in TYPES})
        return {"serving_default": self.linear, "types": types} | {name: getattr(self, name) for name in names}


def export(version: Path, scale: int, kind: type[Toy] = Toy) -> None:
    """Write the model as the SavedModel `version`."""
    words = version.parent / "words.txt"
    words.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    toy = kind(float(scale), words)
    tf.saved_model.save(toy, str(version), signatures=toy.signatures())
    words.unlink()  # the asset was copied: a server must not need the original
    _edit(version, _give_defaults)


def break_op(version: Path, name: str) -> None:
    """Rename the op of TF Text in a saved version to one that no binary links."""

    def rename(saved: Any) -> None:
        for function in saved.meta_graphs[0].graph_def.library.function:
            for node in function.node_def:
                node.op = name if node.op == "NormalizeUTF8" else node.op

    _edit(version, rename)


def _give_defaults(saved: Any) -> None:
    """Add with_default, the signature of linear with an optional y, which no exporter writes."""
    signatures = saved.meta_graphs[0].signature_def
    signatures["with_default"].CopyFrom(signatures["serving_default"])
    signatures["with_default"].defaults["y"].CopyFrom(tf.make_tensor_proto([DEFAULT_Y]))


def _edit(version: Path, change: Any) -> None:
    file = version / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(saved)
    file.write_bytes(saved.SerializeToString())
    (version / "fingerprint.pb").unlink(missing_ok=True)  # of the graph as it was
