"""Baselines that learn from who chose what: item-kNN, EASE, a linear autoencoder, iALS and BPR.

Each is a function from a holdout to a scorer, as those of popularity.py: rows of the holdout's users [batch] to
fresh scores [batch, items] float32. They learn from every user's events before the window.
"""

from __future__ import annotations

import importlib

import numpy as np
import scipy.sparse as sp

from tfrec.errors import ConfigError, MachineError
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.ranking.linear_autoencoder import factorize
from tfrec.schema import DAY_SECONDS

WEIGHTS = ("binary", "log", "recent")
"""How much a user chose an item: once or not, log(1 + baskets), or baskets halved with every HALF_LIFE_DAYS."""

HALF_LIFE_DAYS = 60.0
MAX_DENSE = 20_000  # rows and columns of a matrix that is inverted: 1.6 GB in float32

_SEED = 7
_BLOCK = 2000  # items whose neighbours are searched at once


def choices(holdout: Holdout, weight: str = "binary") -> sp.csr_matrix:
    """[users, items] float32 weights of what was chosen before the window; the holdout's users come first."""
    if weight not in WEIGHTS:
        raise ConfigError(f"`weight` is {weight!r}; use one of {', '.join(WEIGHTS)}")
    values = np.ones(len(holdout.event_user), np.float32)
    if weight == "recent":
        age_days = (holdout.window_start - holdout.event_timestamp) / DAY_SECONDS
        values = (0.5 ** (age_days / HALF_LIFE_DAYS)).astype(np.float32)
    users = max(len(holdout.user_ids), int(holdout.event_user.max(initial=-1)) + 1)
    counts = sp.csr_matrix((values, (holdout.event_user, holdout.event_item)), (users, len(holdout.item_ids)))
    counts.sum_duplicates()
    if weight == "binary":
        counts.data[:] = 1
    elif weight == "log":
        counts.data = np.log1p(counts.data)
    return counts


def item_knn(holdout: Holdout, neighbours: int = 100, weight: str = "binary") -> Scorer:
    """The summed cosine of an item to those that the user chose, each item counting its nearest neighbours alone."""
    chosen = choices(holdout, weight)
    norms = np.maximum(np.sqrt(np.asarray(chosen.multiply(chosen).sum(axis=0)).ravel()), 1e-9)
    by_item = sp.csr_matrix(sp.diags((1 / norms).astype(np.float32)) @ chosen.T)
    similar = sp.vstack(
        [_largest(by_item[start : start + _BLOCK] @ by_item.T, neighbours) for start in _starts(by_item)]
    )
    nearest = sp.csr_matrix(similar.T)
    return lambda user_rows: (chosen[user_rows] @ nearest).toarray()


def ease(holdout: Holdout, regularization: float = 500.0, weight: str = "binary") -> Scorer:
    """EASE^R over the whole catalogue: the linear map from a user's choices that best predicts each from the others.

    Solved over users or over items, whichever are fewer. ConfigError when both are more than MAX_DENSE. Source: Steck,
    "Embarrassingly shallow autoencoders for sparse data" (2019).
    """
    chosen = choices(holdout, weight)
    users, items = chosen.shape
    if min(users, items) > MAX_DENSE:
        raise ConfigError(
            f"EASE inverts a matrix of {min(users, items):,} rows, more than {MAX_DENSE:,}; use item_knn or "
            "linear_autoencoder for a shop of this size"
        )
    if users <= items:
        gram = (chosen @ chosen.T).toarray() + regularization * np.eye(users, dtype=np.float32)
        solved = np.asarray(np.linalg.inv(gram) @ chosen, np.float32)  # (X X' + r)^-1 X
        diagonal = ((1 - np.asarray(chosen.multiply(solved).sum(axis=0)).ravel()) / regularization).astype(np.float32)
        return lambda user_rows: chosen[user_rows].toarray() - solved[user_rows] / diagonal
    gram = (chosen.T @ chosen).toarray() + regularization * np.eye(items, dtype=np.float32)
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return lambda user_rows: np.asarray(chosen[user_rows] @ weights)


def linear_autoencoder(
    holdout: Holdout, rank: int = 256, regularization: float = 1000.0, weight: str = "binary"
) -> Scorer:
    """The low-rank kin of EASE that also serves a large shop: see linear_autoencoder.py."""
    chosen = choices(holdout, weight)
    factors = factorize(chosen, rank, regularization)
    return lambda user_rows: np.asarray(chosen[user_rows] @ factors.choice) @ factors.target.T


def ials(
    holdout: Holdout, factors: int = 64, regularization: float = 5.0, alpha: float = 1.0, weight: str = "log"
) -> Scorer:
    """Matrix factorisation by alternating least squares on implicit feedback, of the package `implicit`.

    Source: Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets" (2008).
    """
    need("implicit")
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    model = AlternatingLeastSquares(
        factors=factors, regularization=regularization, alpha=alpha, iterations=12, random_state=_SEED
    )
    with threadpool_limits(1, "blas"):  # implicit has threads of its own
        model.fit(choices(holdout, weight), show_progress=False)
    return lambda user_rows: np.asarray(model.user_factors[user_rows] @ model.item_factors.T, np.float32)


def bpr(holdout: Holdout, factors: int = 64, learning_rate: float = 0.05, regularization: float = 0.01) -> Scorer:
    """Matrix factorisation by Bayesian personalised ranking, of the package `implicit`; one thread, so that it repeats.

    Source: Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback" (2009).
    """
    need("implicit")
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=factors,
        learning_rate=learning_rate,
        regularization=regularization,
        iterations=60,
        num_threads=1,
        random_state=_SEED,
    )
    model.fit(choices(holdout), show_progress=False)
    return lambda user_rows: np.asarray(model.user_factors[user_rows] @ model.item_factors.T, np.float32)


def need(package: str) -> None:
    """MachineError when an optional package, or the libgomp that it loads, is not there."""
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
        places = np.argpartition(values, -count)[-count:] if len(values) > count else np.arange(len(values))
        kept.append(start + places)
    indptr = np.append(0, np.cumsum([len(places) for places in kept]))
    places = np.concatenate(kept) if kept else np.empty(0, np.int64)
    return sp.csr_matrix((block.data[places], block.indices[places], indptr), block.shape)
