"""The linear autoencoder against the closed form of EASE, of which it is the low-rank kin."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from tfrec.ranking.linear_autoencoder import factorize

CHOSEN = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 1, 1, 1], [1, 0, 0, 1]], np.float32)


def test_of_full_rank_it_ranks_what_was_not_chosen_as_ease_does():
    # EASE: B = I - P / diag(P) with P = (X'X + r I)^-1, so for an item outside of x the score is -(x P)_j / P_jj.
    regularization = 2.0
    inverse = np.linalg.inv(CHOSEN.T @ CHOSEN + regularization * np.eye(4))
    ease = -(CHOSEN @ inverse) / np.diag(inverse)
    factors = factorize(sp.csr_matrix(CHOSEN), 4, regularization)
    scores = CHOSEN @ factors.choice @ factors.target.T
    np.testing.assert_allclose(scores[CHOSEN == 0], ease[CHOSEN == 0], rtol=1e-4)


def test_a_lower_rank_keeps_what_goes_together():
    # Two tastes: items 0 and 1, items 2 and 3. Who chose 0 gets 1 before 2 and 3.
    tastes = sp.csr_matrix(np.kron(np.eye(2), np.ones((6, 2))).astype(np.float32))
    factors = factorize(tastes, 2, 1.0)
    scores = factors.choice[0] @ factors.target.T
    assert scores[1] > 0.5
    assert abs(scores[2:]).max() < 1e-5


def test_more_rank_than_there_is_and_no_choice_at_all_do_no_harm():
    assert factorize(sp.csr_matrix(CHOSEN), 100, 1.0).choice.shape == (4, 4)
    nothing = factorize(sp.csr_matrix((3, 4), dtype=np.float32), 2, 1.0)
    assert (np.zeros(4) @ nothing.choice @ nothing.target.T).tolist() == [0, 0, 0, 0]
