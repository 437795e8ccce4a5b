"""Refusal of requests whose inputs have unequal numbers of rows or of events."""

from __future__ import annotations

from collections.abc import Callable, Collection

import tensorflow as tf

from tfrec.export.request_features import EVENT_INPUTS, Tensors


def with_equal_sizes(signature: Callable[..., Tensors], with_default: Collection[str] = ()) -> Callable[..., Tensors]:
    """The signature, refusing inputs of unequal batch sizes and histories of unequal columns.

    One row of the [batch] inputs `with_default` serves a whole batch: the default is of that size.

    TensorFlow Serving answers INVALID_ARGUMENT. Without it the kinds and prices beyond the last
    item would be ignored, a column of one row would serve a batch, and other inputs would fail at
    an op that names no input. The graph can't refuse one row of a merged batch: all of it fails.
    """

    def check(**inputs: tf.Tensor) -> Tensors:
        if len(inputs) == 1:
            return signature(**inputs)
        reference = next(name for name in (*EVENT_INPUTS, "item_id", *inputs) if name in inputs)
        names = sorted(inputs, key=lambda name: (name != reference, name))
        batch = tf.shape(inputs[reference])[0]
        inputs |= {name: _for_each_row(inputs[name], batch) for name in inputs.keys() & set(with_default)}
        rows = _refuse_unequal([tf.shape(inputs[name])[0] for name in names], names, "batch size")
        checks = [rows]
        if reference in EVENT_INPUTS:
            lengths = [tf.shape(inputs[name])[1] for name in EVENT_INPUTS]
            checks.append(_refuse_unequal(lengths, list(EVENT_INPUTS), "history length"))
        with tf.control_dependencies(checks):
            return signature(**{name: tf.identity(value) for name, value in inputs.items()})

    check.__name__ = signature.__name__  # of the function in the graph, which errors name
    return check


def _for_each_row(values: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    """[batch] `values` of one row, or the values as they are."""
    rows = tf.shape(values)[0]
    return tf.tile(values, [tf.where(rows == 1, batch, 1)])


def _refuse_unequal(sizes: list[tf.Tensor], names: list[str], unit: str) -> tf.Tensor:
    """Assert that all sizes are the first one; the message names the first that is another."""
    stacked = tf.stack(sizes)
    is_first = tf.equal(stacked, stacked[0])

    def refuse() -> tf.Tensor:
        other = tf.argmin(tf.cast(is_first, tf.int32))
        text = tf.strings.join(
            [
                *(tf.gather(names, other), f" has {unit} ", tf.strings.as_string(tf.gather(stacked, other))),
                *(f" but {names[0]} has ", tf.strings.as_string(stacked[0]), "; send both of one size"),
            ]
        )
        with tf.control_dependencies([tf.debugging.Assert(False, [text])]):
            return tf.constant(False)

    return tf.cond(tf.reduce_all(is_first), lambda: tf.constant(True), refuse)
