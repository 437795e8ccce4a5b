"""Exported toy models as scorers of a holdout."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.errors import ModelError
from tfrec.evaluation.exported_model import ExportedModel
from tfrec.evaluation.holdout import read_holdout


def test_a_user_is_scored_by_the_events_before_the_window(toys, toy_examples):
    holdout = read_holdout(toy_examples, "test", clock="utc")
    assert list(holdout.user_ids) == ["ann", "bob", "cai"]
    assert list(holdout.item_ids) == ["book", "mug", "pen", "tea"]
    (score,) = ExportedModel(toys["wise"], toy_examples, holdout).stages()
    # ann: the mug for tea; cai: the pen for a book. -9 would mean that the model saw the label.
    np.testing.assert_array_equal(score(np.array([2, 0])), [[0, 0, 1, 0], [0, 1, 0, 0]])


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
