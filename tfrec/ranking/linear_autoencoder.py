"""A linear autoencoder of low rank: what is chosen with what, as a vector for each item.

A user's choices x [items] give the scores x V D V' with V the right singular vectors of the matrix of choices and D
= w / (w + r) their shrunken share: the ridge regression of each item on all, of rank k. An item may not vouch
for itself, so each column is divided by the share that the others leave unexplained, as in EASE. Sources: Steck,
"Autoencoders that don't overfit towards the identity" (2020); Cremonesi et al., PureSVD (2010). It knows nothing of
files or models.
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
    """Score of item j for choices x: (x @ choice) @ target[j]."""

    choice: np.ndarray  # [items, rank] float32
    target: np.ndarray  # [items, rank] float32


def factorize(chosen: sp.csr_matrix, rank: int, regularization: float) -> Factors:
    """Factors of a [users, items] matrix of choices; their rank is at most its smaller side."""
    rank = min(rank, *chosen.shape)
    if rank < 1 or chosen.nnz == 0:
        empty = np.zeros((chosen.shape[1], 1), np.float32)
        return Factors(empty, empty)
    _, singular, right = randomized_svd(chosen, rank, n_iter=_POWER_ITERATIONS, random_state=_SEED)
    vectors, share = right.T, singular**2 / (singular**2 + regularization)
    unexplained = 1 - (vectors**2 * share).sum(axis=1)
    target = vectors * share / np.maximum(unexplained, 1e-6)[:, np.newaxis]
    return Factors(vectors.astype(np.float32), target.astype(np.float32))
