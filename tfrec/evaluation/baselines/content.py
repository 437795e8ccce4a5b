"""Content-based baselines: a TF-IDF profile, and nearest neighbors by the vectors of a frozen BERT.

They use the items' texts alone, so a cold item competes like any other. Functions from a holdout
and the texts of its items to a scorer, as in popularity.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from tfrec.errors import DataError
from tfrec.evaluation.baselines.collaborative import Weight, interactions
from tfrec.evaluation.holdout import Holdout, Scorer, count_users


def tfidf_profile(
    holdout: Holdout, texts: Sequence[str], weight: Weight = "recent", popularity: float = 0.0, ngrams: int = 2
) -> Scorer:
    """Cosine of TF-IDF vectors of item and history, plus `popularity` times log popularity."""
    vectorizer = TfidfVectorizer(
        ngram_range=(1, ngrams), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32
    )
    try:
        vectors = sp.csr_matrix(vectorizer.fit_transform(texts))
    except ValueError as error:  # scikit-learn's only answer to an empty vocabulary
        raise DataError(
            f"TF-IDF needs words that two items' texts share ({error}); name `title` or `description` of the items, or "
            "leave this baseline out"
        ) from error
    profiles = sp.csr_matrix(normalize(interactions(holdout, weight) @ vectors))
    prior = popularity * log_popularity(holdout)
    columns = sp.csc_matrix(vectors.T)
    return lambda user_rows: (profiles[user_rows] @ columns).toarray() + prior


def text_knn(
    holdout: Holdout,
    texts: Sequence[str],
    vectors: np.ndarray,
    *,
    power: int = 8,
    weight: Weight = "recent",
    popularity: float = 0.0,
) -> Scorer:
    """Sum of an item's cosines, to the power of `power`, to the items of the user's history.

    `vectors` [items, dim] have length 1. The power gives one close item more weight than many
    distant ones. Equal texts are counted as one, which bounds the matrix of similarities.
    """
    _, first, text = np.unique(np.asarray(texts, dtype=object), return_index=True, return_inverse=True)
    items = np.arange(len(text))
    of_text = sp.csr_matrix((np.ones(len(text), np.float32), (items, text)), (len(text), len(first)))
    histories, distinct = sp.csr_matrix(interactions(holdout, weight) @ of_text), vectors[first]
    prior = popularity * log_popularity(holdout)

    def score(user_rows: np.ndarray) -> np.ndarray:
        weights = sp.csc_matrix(histories[user_rows])
        known = np.flatnonzero(np.diff(weights.indptr))
        similar = distinct[known] @ distinct.T
        np.maximum(similar, 0, out=similar)
        np.power(similar, power, out=similar)
        scores = np.asarray(weights[:, known] @ similar)
        scores /= np.maximum(scores.max(axis=1, keepdims=True, initial=0), 1e-9)
        return np.asarray(scores[:, text] + prior, np.float32)

    return score


def log_popularity(holdout: Holdout) -> np.ndarray:
    """[items] float32 in [0, 1]: log(1 + users) over that of the most popular item."""
    logs = np.log1p(count_users(holdout))
    return (logs / max(logs.max(initial=0), 1e-9)).astype(np.float32)
