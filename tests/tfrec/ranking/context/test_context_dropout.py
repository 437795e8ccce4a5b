"""Requests whose context the ranker does not get in training."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.examples.batches import without_context

IDS = [f"user {number}" for number in range(1000)]
BATCH = {"user_id": tf.constant(IDS), "user_store": tf.fill([1000], tf.constant(7, tf.int64))}


def hidden(share: float, salt: str) -> np.ndarray:
    return without_context(BATCH, ("store",), share, salt)["user_store"].numpy() == 0


def test_a_share_of_the_users_has_no_context():
    assert (hidden(0, "whole").sum(), hidden(1, "whole").sum()) == (0, 1000)
    assert 250 < hidden(0.3, "whole").sum() < 350


def test_it_depends_on_the_user_and_the_salt_alone():
    np.testing.assert_array_equal(hidden(0.3, "whole"), hidden(0.3, "whole"))
    # Independent shares of 0.3 have 0.09 in common.
    assert 60 < (hidden(0.3, "whole") & hidden(0.3, "short")).sum() < 120


def test_other_columns_stay():
    assert without_context(BATCH, (), 1.0, "whole") == BATCH
