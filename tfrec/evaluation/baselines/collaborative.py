"""Collaborative baselines: item-kNN, EASE, a linear autoencoder, iALS and BPR.

Each is a function from a holdout to a scorer, as in popularity.py: rows of the holdout's users
[batch] to new scores [batch, items] float32. They are fitted on the interactions of all users
before the window.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import scipy.sparse as sp

from tfrec.errors import ConfigError, MachineError
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.ranking.linear_autoencoder import POWER_ITERATIONS, decompose

Weight = Literal["binary", "log", "recent"]
"""1, log(1 + baskets), or baskets halved for every HALF_LIFE_DAYS of age."""

HALF_LIFE_DAYS = 60.0
MAX_DENSE = 20_000  # rows and columns of a matrix that is inverted: 1.6 GB in float32

_SEED = 7
_BLOCK = 2000  # items whose neighbors are searched at once


def interactions(holdout: Holdout, weight: Weight = "binary") -> sp.csr_matrix:
    """[users, items] float32 weights before the window; the holdout's users come first."""
    if weight not in get_args(Weight):
        raise ConfigError(f"`weight` is {weight!r}; use one of {', '.join(get_args(Weight))}")
    values = np.ones(len(holdout.event_user), np.float32)
    if weight == "recent":
        age_days = holdout.age_days(holdout.event_user, holdout.event_timestamp)
        values = (0.5 ** (age_days / HALF_LIFE_DAYS)).astype(np.float32)
    users = max(len(holdout.user_ids), int(holdout.event_user.max(initial=-1)) + 1)
    counts = sp.csr_matrix((values, (holdout.event_user, holdout.event_item)), (users, len(holdout.item_ids)))
    counts.sum_duplicates()
    if weight == "binary":
        counts.data[:] = 1
    elif weight == "log":
        counts.data = np.log1p(counts.data)
    return counts


def item_knn(holdout: Holdout, neighbors: int = 100, weight: Weight = "binary") -> Scorer:
    """Sum of cosines to the items of the user's history, of each item's nearest neighbors only."""
    matrix = interactions(holdout, weight)
    lengths = np.maximum(np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel()), 1e-9)
    by_item = sp.csr_matrix(sp.diags((1 / lengths).astype(np.float32)) @ matrix.T)
    similar = sp.vstack(
        [_largest(by_item[start : start + _BLOCK] @ by_item.T, neighbors) for start in _starts(by_item)]
    )
    nearest = sp.csr_matrix(similar.T)
    return lambda user_rows: (matrix[user_rows] @ nearest).toarray()


def ease(holdout: Holdout, regularization: float = 500.0, weight: Weight = "binary") -> Scorer:
    """EASE^R: the linear map that best predicts each item of a history from the others.

    Solved over users or over items, whichever are fewer. ConfigError when both are more than
    MAX_DENSE. Source: Steck, "Embarrassingly shallow autoencoders for sparse data" (2019).
    """
    matrix = interactions(holdout, weight)
    users, items = matrix.shape
    if min(users, items) > MAX_DENSE:
        raise ConfigError(
            f"EASE inverts a matrix of {min(users, items):,} rows, more than {MAX_DENSE:,}; use item_knn or "
            "linear_autoencoder for a shop of this size"
        )
    if users <= items:
        gram = (matrix @ matrix.T).toarray() + regularization * np.eye(users, dtype=np.float32)
        solved = np.asarray(np.linalg.inv(gram) @ matrix, np.float32)  # (X X' + r)^-1 X
        diagonal = ((1 - np.asarray(matrix.multiply(solved).sum(axis=0)).ravel()) / regularization).astype(np.float32)
        return lambda user_rows: matrix[user_rows].toarray() - solved[user_rows] / diagonal
    gram = (matrix.T @ matrix).toarray() + regularization * np.eye(items, dtype=np.float32)
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return lambda user_rows: np.asarray(matrix[user_rows] @ weights)


def linear_autoencoder(
    holdout: Holdout, rank: int = 256, regularization: float = 1000.0, weight: Weight = "binary"
) -> Scorer:
    """Low-rank variant of EASE that also fits a large shop; see linear_autoencoder.py."""
    return decomposed_autoencoder(holdout, rank, weight)(regularization)


def decomposed_autoencoder(
    holdout: Holdout, rank: int, weight: Weight, iterations: int = POWER_ITERATIONS
) -> Callable[[float], Scorer]:
    """Function from a regularization to the linear autoencoder: one decomposition serves all."""
    matrix = interactions(holdout, weight)
    decomposition = decompose(matrix, rank, iterations)

    def fit(regularization: float) -> Scorer:
        factors = decomposition.factors(regularization)
        return lambda user_rows: np.asarray(matrix[user_rows] @ factors.encoder) @ factors.decoder.T

    return fit


def ials(
    holdout: Holdout, factors: int = 64, regularization: float = 5.0, alpha: float = 1.0, weight: Weight = "log"
) -> Scorer:
    """Matrix factorization by alternating least squares, from the package `implicit`.

    Source: Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets" (2008).
    """
    require("implicit")
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # implicit has threads of its own
        model = AlternatingLeastSquares(
            factors=factors, regularization=regularization, alpha=alpha, iterations=12, random_state=_SEED
        )
        model.fit(interactions(holdout, weight), show_progress=False)
    return lambda user_rows: np.asarray(model.user_factors[user_rows] @ model.item_factors.T, np.float32)


def bpr(holdout: Holdout, factors: int = 64, learning_rate: float = 0.05, regularization: float = 0.01) -> Scorer:
    """Matrix factorization by Bayesian personalized ranking, from the package `implicit`.

    One thread makes it repeatable.

    Source: Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback" (2009).
    """
    require("implicit")
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=factors,
        learning_rate=learning_rate,
        regularization=regularization,
        iterations=60,
        num_threads=1,
        random_state=_SEED,
    )
    model.fit(interactions(holdout), show_progress=False)
    return lambda user_rows: np.asarray(model.user_factors[user_rows] @ model.item_factors.T, np.float32)


def require(package: str) -> None:
    """Check that an optional package loads.

    MachineError when it, or the libgomp that it needs, is missing.
    """
    try:
        importlib.import_module(package)
    except (ImportError, OSError) as error:
        raise MachineError(
            f"the baseline needs the package {package}, which does not load here ({error}); `apt-get install libgomp1` "
            "and install tfrec's extra `baselines`, or leave the baseline out"
        ) from error


def _starts(matrix: sp.csr_matrix) -> range:
    return range(0, matrix.shape[0], _BLOCK)


def _largest(block: sp.csr_matrix, count: int) -> sp.csr_matrix:
    """The block with only the `count` largest entries of each row."""
    block = sp.csr_matrix(block)
    kept = []
    for start, end in zip(block.indptr[:-1], block.indptr[1:], strict=True):
        values = block.data[start:end]
        largest = np.argpartition(values, -count)[-count:] if len(values) > count else np.arange(len(values))
        kept.append(start + largest)
    indptr = np.append(0, np.cumsum([len(entries) for entries in kept]))
    entries = np.concatenate(kept) if kept else np.empty(0, np.int64)
    return sp.csr_matrix((block.data[entries], block.indices[entries], indptr), block.shape)
