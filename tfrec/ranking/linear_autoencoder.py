"""Co-purchase as a linear autoencoder of low rank: two vectors for each item.

A user's interactions x [items] give the scores x V D V', with V the right singular vectors of the
interaction matrix and D = w / (w + r) their shrunken share: the ridge regression of each item on
all items, of rank k. An item must not predict itself, so each column is divided by the share that
the other items leave unexplained, as in EASE. Sources: Steck, "Autoencoders that don't overfit
towards the identity" (2020); Cremonesi et al., PureSVD (2010).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.sparse as sp
from sklearn.utils.extmath import randomized_svd

_SEED = 7
_POWER_ITERATIONS = 4  # the spectrum of a shop falls slowly; more change nothing on Complete Journey


@dataclasses.dataclass(frozen=True)
class Factors:
    """The score of item j for interactions x [items] is (x @ encoder) @ decoder[j]."""

    encoder: np.ndarray  # [items, rank] float32
    decoder: np.ndarray  # [items, rank] float32


def factorize(interactions: sp.csr_matrix, rank: int, regularization: float) -> Factors:
    """Factorize a [users, items] matrix of 0 and 1; the rank is at most its smaller side."""
    rank = min(rank, *interactions.shape)
    if rank < 1 or interactions.nnz == 0:
        empty = np.zeros((interactions.shape[1], 1), np.float32)
        return Factors(empty, empty)
    _, singular, right = randomized_svd(interactions, rank, n_iter=_POWER_ITERATIONS, random_state=_SEED)
    vectors, share = right.T, singular**2 / (singular**2 + regularization)
    unexplained = 1 - (vectors**2 * share).sum(axis=1)
    decoder = vectors * share / np.maximum(unexplained, 1e-6)[:, np.newaxis]
    return Factors(vectors.astype(np.float32), decoder.astype(np.float32))
