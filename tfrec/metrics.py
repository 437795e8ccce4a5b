"""How good ranked lists are: pure functions over a batch of users that know nothing of shops or models.

`scores` is [batch, items] float32, higher is better, -inf = may not be recommended. `relevant` is a CSR
matrix [batch, items] whose stored entries are what the user chose; gain is binary. `totals` is [batch], the
number of relevant items; every user must have at least one. Definitions: Järvelin and Kekäläinen, "Cumulated
gain-based evaluation of IR techniques" (2002); ties: McSherry and Najork, "Computing information retrieval
performance measures efficiently in the presence of tied scores" (2008).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

MASKED = -1
"""Stands in a ranked list for "no item": the user has fewer than k items that may be recommended."""

GROUPS_PER_PLACE = 16  # of the items of a row, when the best are looked for


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """[batch, min(k, items)] int64 columns of the highest scores, best first; MASKED where the score is -inf.

    Equal scores rank by column: shuffle the items beforehand, so that their order carries no information.
    No score may be NaN.
    """
    batch, items = scores.shape
    k = min(k, items)
    top = np.full((batch, k), MASKED, np.int64)
    if k == 0:
        return top
    for row, (line, border) in enumerate(zip(scores, _borders(scores, k), strict=True)):
        best = np.flatnonzero(line >= border)  # in the order of columns, at least k
        values = line[best]
        kth = np.partition(values, len(values) - k)[len(values) - k]
        kept = np.concatenate([np.flatnonzero(values > kth), np.flatnonzero(values == kth)])[:k]
        kept = kept[np.argsort(-values[kept], kind="stable")]
        top[row] = np.where(np.isneginf(values[kept]), MASKED, best[kept])
    return top


def _borders(scores: np.ndarray, k: int) -> np.ndarray:
    """[batch] a score that at least k items of each row reach, and in a long row hardly more than k.

    The k-th best of the best scores of groups of items: each of k groups holds one that reaches it. To look for the
    k-th best of the items themselves takes five times as long.
    """
    batch, items = scores.shape
    groups = min(GROUPS_PER_PLACE * k, items)
    best = scores[:, : items // groups * groups].reshape(batch, -1, groups).max(axis=1)
    return np.partition(best, groups - k, axis=1)[:, groups - k]


def hits(top: np.ndarray, relevant: sp.csr_matrix) -> np.ndarray:
    """[batch, k] bool: whether the item at each rank of `top` is relevant."""
    batch, items = relevant.shape
    rows = np.arange(batch, dtype=np.int64)
    wanted = np.repeat(rows * items, np.diff(relevant.indptr)) + relevant.indices
    return np.isin(rows[:, None] * items + top, wanted) & (top != MASKED)


def recall(hits: np.ndarray, totals: np.ndarray, k: int) -> np.ndarray:
    """[batch] share of the relevant items that are among the first k."""
    return np.asarray(hits[:, :k].sum(axis=1) / totals)


def hit_rate(hits: np.ndarray, k: int) -> np.ndarray:
    """[batch] 1.0 where any of the first k is relevant, else 0.0."""
    return np.asarray(hits[:, :k].any(axis=1), np.float64)


def ndcg(hits: np.ndarray, totals: np.ndarray, k: int) -> np.ndarray:
    """[batch] discounted gain of the first k over that of an ideal list of min(k, relevant) hits."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    first = hits[:, :k]
    ideal = np.cumsum(discounts)[np.minimum(totals, k) - 1]
    return first @ discounts[: first.shape[1]] / ideal


def ndcg_of_scores(scores: np.ndarray, relevant: sp.csr_matrix, k: int) -> np.ndarray:
    """NDCG@k of each user of the batch who has something relevant, in the order of the batch."""
    totals = np.diff(relevant.indptr)
    kept = totals > 0
    return ndcg(hits(top_k(scores, k), relevant)[kept], totals[kept], k)


def not_in_history(relevant: sp.csr_matrix, history: sp.csr_matrix) -> sp.csr_matrix:
    """The entries of `relevant` [batch, items] that `history` [batch, items] does not hold."""
    novel = sp.csr_matrix(relevant - relevant.multiply(history.sign()))
    novel.eliminate_zeros()
    return novel


def average_precision(hits: np.ndarray, totals: np.ndarray, k: int) -> np.ndarray:
    """[batch] mean of the precision at each hit of the first k, of min(k, relevant) hits; its mean is the MAP."""
    first = hits[:, :k]
    precision = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    return np.asarray((precision * first).sum(axis=1) / np.minimum(totals, k))


def reciprocal_rank(scores: np.ndarray | Sequence[np.ndarray], relevant: sp.csr_matrix) -> np.ndarray:
    """[batch] 1 / rank of the best relevant item among all items; its mean over users is the MRR.

    An item tied with e others takes the mean of the ranks they share: 1 + (items above) + e / 2. So a
    constant score earns the middle rank, not the first.
    """
    ranks = np.empty(len(scores))
    wanted = np.split(relevant.indices, relevant.indptr[1:-1])
    for row, (line, columns) in enumerate(zip(scores, wanted, strict=True)):  # each line is read twice from the cache
        best = line[columns].max()
        ranks[row] = 1 + np.count_nonzero(line > best) + (np.count_nonzero(line == best) - 1) / 2
    return 1 / ranks


def coverage(top: np.ndarray, items: int) -> float:
    """Share of the catalogue of `items` that is in anybody's list; 0.0 for an empty catalogue."""
    return len(np.unique(top[top != MASKED])) / max(items, 1)


def gini(top: np.ndarray, items: int) -> float:
    """How unevenly the lists are spread over the catalogue of `items`: 0.0 alike to all, near 1.0 one item alone."""
    shown = np.sort(np.bincount(top[top != MASKED], minlength=items))
    total = shown.sum()
    if not total:
        return 0.0
    return float((2 * np.arange(1, items + 1) - items - 1) @ shown / (items * total))


def popularity(top: np.ndarray, buyers: np.ndarray, users: int) -> np.ndarray:
    """[batch] mean share of the `users` who bought an item of the list; `buyers` [items]; 0.0 for an empty list."""
    shares = np.append(buyers / max(users, 1), 0.0)  # the last one answers MASKED
    return shares[top].sum(axis=1) / np.maximum((top != MASKED).sum(axis=1), 1)


def novelty(top: np.ndarray, buyers: np.ndarray, users: int) -> np.ndarray:
    """[batch] mean surprise of a list in bits: -log2((buyers + 1) / (users + 1)); 0.0 for an empty list.

    `buyers` is [items], the distinct users of each item among `users`. Add-one keeps an item that nobody
    bought finite. Source: Vargas and Castells, "Rank and relevance in novelty and diversity" (2011).
    """
    surprise = np.append(np.log2(users + 1) - np.log2(buyers + 1.0), 0.0)  # the last one answers MASKED
    return surprise[top].sum(axis=1) / np.maximum((top != MASKED).sum(axis=1), 1)


def diversity(top: np.ndarray, vectors: np.ndarray, row: np.ndarray) -> np.ndarray:
    """[batch] mean of 1 - cosine over the pairs of a list, in [0, 2]; 0.0 for a list of fewer than two items.

    `vectors` is [texts, dim] float32 of length 1, `row` [items] int64 the text of each item. Source: Ziegler et al.,
    "Improving recommendation lists through topic diversification" (2005).
    """
    is_item = top != MASKED
    listed = vectors[row[np.where(is_item, top, 0)]] * is_item[:, :, np.newaxis]
    count = is_item.sum(axis=1)
    pairs = count * (count - 1)
    # The square of the sum holds each pair twice, and each item with itself once.
    cosines = np.square(listed.sum(axis=1)).sum(axis=1) - np.square(listed).sum(axis=(1, 2))
    return np.where(pairs > 0, 1 - cosines / np.maximum(pairs, 1), 0.0)
