"""The linear autoencoder against the closed form of EASE, whose low-rank variant it is."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from tfrec.ranking.linear_autoencoder import factorize

INTERACTIONS = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 1, 1, 1], [1, 0, 0, 1]], np.float32)


def test_at_full_rank_the_scores_of_other_items_are_those_of_ease():
    # EASE: B = I - P / diag(P) with P = (X'X + r I)^-1, so for an item outside of x the score is
    # -(x P)_j / P_jj.
    regularization = 2.0
    inverse = np.linalg.inv(INTERACTIONS.T @ INTERACTIONS + regularization * np.eye(4))
    ease = -(INTERACTIONS @ inverse) / np.diag(inverse)
    factors = factorize(sp.csr_matrix(INTERACTIONS), 4, regularization)
    scores = INTERACTIONS @ factors.encoder @ factors.decoder.T
    np.testing.assert_allclose(scores[INTERACTIONS == 0], ease[INTERACTIONS == 0], rtol=1e-4)


def test_a_lower_rank_keeps_the_items_that_are_bought_together():
    # Two tastes: items 0 and 1, items 2 and 3. A user of item 0 gets 1 before 2 and 3.
    tastes = sp.csr_matrix(np.kron(np.eye(2), np.ones((6, 2))).astype(np.float32))
    factors = factorize(tastes, 2, 1.0)
    scores = factors.encoder[0] @ factors.decoder.T
    assert scores[1] > 0.5
    assert abs(scores[2:]).max() < 1e-5


def test_a_rank_above_the_matrix_and_a_matrix_of_zeros_are_accepted():
    assert factorize(sp.csr_matrix(INTERACTIONS), 100, 1.0).encoder.shape == (4, 4)
    nothing = factorize(sp.csr_matrix((3, 4), dtype=np.float32), 2, 1.0)
    assert (np.zeros(4) @ nothing.encoder @ nothing.decoder.T).tolist() == [0, 0, 0, 0]
