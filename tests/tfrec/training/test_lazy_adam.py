"""LazyAdam: the steps of Adam for used rows, and none for others."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.training.lazy_adam import SMALL, LazyAdam, _dense, _sparse


def slices(rows: list[int], values: list[float]) -> tf.IndexedSlices:
    return tf.IndexedSlices(tf.constant(values)[:, tf.newaxis], tf.constant(rows), tf.constant([3, 1]))


def test_a_row_without_gradient_does_not_move():
    table = tf.Variable([[1.0], [1.0], [1.0]])
    optimizer = LazyAdam(0.1)
    # Adam's first step is the learning rate against the gradient's sign, whatever its size. Row 0
    # comes twice.
    optimizer.apply_gradients([(slices([0, 2, 0], [1.0, -5.0, 2.0]), table)])
    np.testing.assert_allclose(table[:, 0], [0.9, 1.0, 1.1], atol=1e-5)
    # So is the second step with the same gradient, here 3: the moments are 3 and 9 again. Plain
    # Adam would move row 2 too, by its moments.
    optimizer.apply_gradients([(slices([0], [3.0]), table)])
    np.testing.assert_allclose(table[:, 0], [0.8, 1.0, 1.1], atol=1e-5)


def test_with_gradients_for_all_rows_it_is_adam():
    random = np.random.default_rng(3)
    tables = [tf.Variable([[1.0], [2.0], [3.0]]) for _ in range(3)]
    optimizers = [LazyAdam(0.1), LazyAdam(0.1), tf.keras.optimizers.Adam(0.1)]
    for values in random.normal(size=(4, 3)).astype(np.float32):
        dense = tf.constant(values[:, np.newaxis])
        for gradient, optimizer, table in zip(
            (slices([0, 1, 2], values.tolist()), dense, dense), optimizers, tables, strict=True
        ):
            optimizer.apply_gradients([(gradient, table)])
    np.testing.assert_allclose(tables[0], tables[2], rtol=1e-5)
    np.testing.assert_allclose(tables[1], tables[2], rtol=1e-5)


def test_a_dense_sum_of_slices_gives_back_the_used_rows():
    table = tf.Variable(tf.zeros([4, 1]))
    # Row 0 comes twice, row 1 with no gradient, which still counts as used; row 3 does not come.
    gradient = slices([0, 2, 0, 1], [1.0, -5.0, 2.0, 0.0])
    whole = _dense(gradient, table)
    np.testing.assert_array_equal(whole, [[3.0, 2.0], [0.0, 1.0], [-5.0, 1.0], [0.0, 0.0]])
    sparse = _sparse(whole + whole, gradient, table)  # of two equal replicas
    np.testing.assert_array_equal(sparse.indices, [0, 1, 2])
    np.testing.assert_array_equal(sparse.values, [[6.0], [0.0], [-10.0]])


def test_aggregation_keeps_the_kind_and_order_of_gradients():
    rows = SMALL + 1
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        shapes = {"large": [rows, 2], "scalar": [], "vector": [rows], "small": [3, 1], "idle": [2], "half": [rows, 2]}
        kinds = {"half": tf.bfloat16}
        tables = {name: tf.Variable(tf.zeros(shape, kinds.get(name, tf.float32))) for name, shape in shapes.items()}
        optimizer = LazyAdam(0.1)

    def large(values: list, name: str) -> tf.IndexedSlices:
        return tf.IndexedSlices(
            tf.constant(values, tables[name].dtype), tf.constant([4096, 1]), tf.constant(shapes[name])
        )

    gradients = {
        "large": large([[1.0, 2.0], [3.0, 4.0]], "large"),
        "scalar": tf.constant(5.0),
        "vector": large([6.0, 7.0], "vector"),
        "small": slices([2, 2, 0], [8.0, 1.0, 0.0]),
        "idle": None,
        "half": large([[1.0, 2.0], [3.0, 4.0]], "half"),
    }
    for names in (list(tables), ["large", "idle"]):  # of the second, nothing that is dense has a gradient
        pairs = [(gradients[name], tables[name]) for name in names]
        found = strategy.run(lambda pairs=pairs: optimizer.aggregate_gradients(pairs))
        for name, (gradient, table) in zip(names, found, strict=True):
            assert table is tables[name]
            if name == "idle":
                assert gradient is None
            elif name == "scalar":
                assert gradient == 5.0
            else:
                values = [[0.0], [9.0]] if name == "small" else gradients[name].values
                assert gradient.indices.numpy().tolist() == ([0, 2] if name == "small" else [4096, 1])
                np.testing.assert_array_equal(gradient.values, values)
                assert gradient.dtype == table.dtype
