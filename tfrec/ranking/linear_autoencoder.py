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
POWER_ITERATIONS = 4  # the spectrum of a shop falls slowly; more change nothing on Complete Journey


@dataclasses.dataclass(frozen=True)
class Factors:
    """The score of item j for interactions x [items] is (x @ encoder) @ decoder[j]."""

    encoder: np.ndarray  # [items, rank] float32
    decoder: np.ndarray  # [items, rank] float32


@dataclasses.dataclass(frozen=True)
class Decomposition:
    """Singular values and right singular vectors of an interaction matrix."""

    singular: np.ndarray  # [rank]
    vectors: np.ndarray  # [items, rank]

    def factors(self, regularization: float) -> Factors:
        """Factors of the linear autoencoder with this regularization."""
        share = self.singular**2 / (self.singular**2 + regularization)
        unexplained = 1 - (self.vectors**2 * share).sum(axis=1)
        decoder = self.vectors * share / np.maximum(unexplained, 1e-6)[:, np.newaxis]
        return Factors(self.vectors.astype(np.float32), decoder.astype(np.float32))


def decompose(interactions: sp.csr_matrix, rank: int, iterations: int = POWER_ITERATIONS) -> Decomposition:
    """Decompose a [users, items] matrix; the rank is at most its smaller side.

    `iterations` are those of the randomized power method: fewer are faster and less exact.
    """
    rank = min(rank, *interactions.shape)
    if rank < 1 or interactions.nnz == 0:
        return Decomposition(np.zeros(1), np.zeros((interactions.shape[1], 1)))
    _, singular, right = randomized_svd(interactions, rank, n_iter=iterations, random_state=_SEED)
    return Decomposition(singular, right.T)


def factorize(interactions: sp.csr_matrix, rank: int, regularization: float) -> Factors:
    """Factorize a [users, items] matrix of 0 and 1; the rank is at most its smaller side."""
    return decompose(interactions, rank).factors(regularization)
