"""Exported toy models as scorers of a holdout."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import TOY_ITEMS, TOY_START
from tfrec.errors import ModelError
from tfrec.evaluation.exported_model import ExportedModel, saved_trace
from tfrec.evaluation.holdout import read_holdout


def test_a_user_is_scored_by_the_events_before_the_window(toys, toy_examples):
    holdout = read_holdout(toy_examples, "test", clock="utc")
    assert list(holdout.user_ids) == ["ann", "bob", "cai"]
    assert list(holdout.item_ids) == ["book", "mug", "pen", "tea"]
    (score,) = ExportedModel(toys["wise"], toy_examples, holdout).stages()
    # ann: the mug for tea; cai: the pen for a book. -9 would mean that the model saw the label.
    np.testing.assert_array_equal(score(np.array([2, 0])), [[0, 0, 1, 0], [0, 1, 0, 0]])


def test_under_leave_last_out_each_user_is_scored_at_the_time_of_their_label(toys, write_records, tmp_path):
    # The toy scores by the history at TOY_START alone, and gives 0 at any other time. ann's mug is
    # bought then, cai's pen nine seconds later.
    bought = ("tea", TOY_START - 99)
    last = {"ann": ("mug", TOY_START), "cai": ("pen", TOY_START + 9)}
    write_records(tmp_path / "Split-train", [record(user, [(*bought, 1)]) for user in last])
    write_records(tmp_path / "Split-validation", [])
    write_records(tmp_path / "Split-test", [record(user, [(*bought, 0), (*label, 1)]) for user, label in last.items()])
    write_records(tmp_path / "Split-catalog", [{"item_id": [item]} for item in TOY_ITEMS])
    holdout = read_holdout(tmp_path, "test", clock="utc", split="leave_last_out")
    (score,) = ExportedModel(toys["wise"], tmp_path, holdout).stages()
    assert list(holdout.item_ids) == ["mug", "pen", "tea"]
    np.testing.assert_array_equal(score(np.array([1, 0])), [[0, 0, 0], [1, 0, 0]])


def record(user: str, events: list[tuple[str, int, int]]) -> dict[str, list]:
    """An example of (item, second, is_target), as ExampleGen writes it."""
    items, seconds, is_target = (list(values) for values in zip(*events, strict=True))
    return {
        "user_id": [user],
        "event_item_id": items,
        "event_kind": ["purchase" for _ in events],
        "event_timestamp": seconds,
        "event_price": [0.0 for _ in events],
        "event_is_target": is_target,
    }


def test_an_item_that_the_model_does_not_know_is_ranked_last(toys, toy_examples, tmp_path):
    import tensorflow as tf

    holdout = read_holdout(toy_examples, "test", clock="utc")
    older = tf.saved_model.load(str(toys["wise"]))
    older.item_ids.assign(["", "tea", "mug", "book", "pencil"])
    tf.saved_model.save(older, str(tmp_path / "older"), older.signatures)
    (score,) = ExportedModel(tmp_path / "older", toy_examples, holdout).stages()
    np.testing.assert_array_equal(score(np.array([0])), [[0, 1, -np.inf, 0]])


def test_a_folder_without_a_model_is_refused(toy_examples, tmp_path):
    holdout = read_holdout(toy_examples, "test", clock="utc")
    with pytest.raises(ModelError, match="holds no exported tfrec model"):
        ExportedModel(tmp_path, toy_examples, holdout)


def test_a_saved_function_is_not_traced_again_for_another_batch_size(tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.double = tf.function(lambda numbers: 2 * numbers)
    module.double.get_concrete_function(numbers=tf.TensorSpec([None], tf.float32))
    tf.saved_model.save(module, str(tmp_path))
    function = tf.saved_model.load(str(tmp_path)).double
    trace = saved_trace(function)
    assert trace(numbers=tf.constant([1.0])).numpy().tolist() == [2.0]
    assert trace(numbers=tf.constant([1.0, 2.0])).numpy().tolist() == [2.0, 4.0]
    assert function.experimental_get_tracing_count() == 0
    function(numbers=tf.constant([1.0]))
    assert function.experimental_get_tracing_count() == 1
