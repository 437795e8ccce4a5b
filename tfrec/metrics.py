"""Metrics of ranked lists: pure functions over a batch of users.

`scores` is [batch, items] float32, higher is better, -inf must not be recommended. `relevant` is a
CSR matrix [batch, items] whose stored entries are the user's labels; gain is binary. `totals` is
[batch], the number of relevant items; every user must have at least one. Definitions: Järvelin and
Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002); ties: McSherry and Najork,
"Computing information retrieval performance measures efficiently in the presence of tied scores"
(2008).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

MASKED = -1
"""No item in a position of a ranked list: fewer than k items may be recommended to the user."""

GROUPS_PER_POSITION = 16  # groups of items for each position of the list, see `_thresholds`


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """[batch, min(k, items)] int64 columns of the highest scores in descending order.

    MASKED where the score is -inf. Equal scores rank by column: shuffle the items beforehand, so
    that their order carries no information. No score may be NaN.
    """
    batch, items = scores.shape
    k = min(k, items)
    top = np.full((batch, k), MASKED, np.int64)
    if k == 0:
        return top
    for row, (line, threshold) in enumerate(zip(scores, _thresholds(scores, k), strict=True)):
        columns = np.flatnonzero(line >= threshold)  # ascending, at least k
        values = line[columns]
        kth = np.partition(values, len(values) - k)[len(values) - k]
        kept = np.concatenate([np.flatnonzero(values > kth), np.flatnonzero(values == kth)])[:k]
        kept = kept[np.argsort(-values[kept], kind="stable")]
        top[row] = np.where(np.isneginf(values[kept]), MASKED, columns[kept])
    return top


def _thresholds(scores: np.ndarray, k: int) -> np.ndarray:
    """[batch] score that at least k items of each row reach, and in a long row hardly more than k.

    It is the k-th highest of the maxima of groups of items: each of k groups has an item that
    reaches it. The k-th highest score of all items takes five times as long to find.
    """
    batch, items = scores.shape
    groups = min(GROUPS_PER_POSITION * k, items)
    maxima = scores[:, : items // groups * groups].reshape(batch, -1, groups).max(axis=1)
    return np.partition(maxima, groups - k, axis=1)[:, groups - k]


def hits(top: np.ndarray, relevant: sp.csr_matrix) -> np.ndarray:
    """[batch, k] bool: the item at each rank of `top` is relevant."""
    batch, items = relevant.shape
    rows = np.arange(batch, dtype=np.int64)
    relevant_cells = np.repeat(rows * items, np.diff(relevant.indptr)) + relevant.indices
    return np.isin(rows[:, None] * items + top, relevant_cells) & (top != MASKED)


def recall(hits: np.ndarray, totals: np.ndarray, k: int) -> np.ndarray:
    """[batch] share of the relevant items that are among the first k."""
    return np.asarray(hits[:, :k].sum(axis=1) / totals)


def precision(hits: np.ndarray, totals: np.ndarray, k: int) -> np.ndarray:
    """[batch] share of relevant items in the k positions of the list, empty ones included."""
    return np.asarray(hits[:, :k].sum(axis=1) / k)


def f1(hits: np.ndarray, totals: np.ndarray, k: int) -> np.ndarray:
    """[batch] harmonic mean of precision and recall of the first k."""
    return np.asarray(2 * hits[:, :k].sum(axis=1) / (k + totals))


def hit_rate(hits: np.ndarray, k: int) -> np.ndarray:
    """[batch] 1.0 where any of the first k is relevant, else 0.0."""
    return np.asarray(hits[:, :k].any(axis=1), np.float64)


def ndcg(hits: np.ndarray, totals: np.ndarray, k: int) -> np.ndarray:
    """[batch] discounted gain of the first k over that of an ideal list of min(k, totals) hits."""
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
    """Entries of `relevant` [batch, items] that are not in `history` [batch, items]."""
    novel = sp.csr_matrix(relevant - relevant.multiply(history.sign()))
    novel.eliminate_zeros()
    return novel


def average_precision(hits: np.ndarray, totals: np.ndarray, k: int) -> np.ndarray:
    """[batch] sum of precisions at hits in the first k / min(k, totals); its mean is the MAP."""
    first = hits[:, :k]
    precision = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    return np.asarray((precision * first).sum(axis=1) / np.minimum(totals, k))


def reciprocal_rank(scores: np.ndarray | Sequence[np.ndarray], relevant: sp.csr_matrix) -> np.ndarray:
    """[batch] 1 / rank of the best relevant item among all items; its mean over users is the MRR.

    An item tied with e others takes the mean of the ranks they share: 1 + (items above) + e / 2, so
    a constant score gives the middle rank, not the first.
    """
    ranks = np.empty(len(scores))
    labels = np.split(relevant.indices, relevant.indptr[1:-1])
    for row, (line, columns) in enumerate(zip(scores, labels, strict=True)):  # row by row: a line fits into the cache
        best = line[columns].max()
        ranks[row] = 1 + np.count_nonzero(line > best) + (np.count_nonzero(line == best) - 1) / 2
    return 1 / ranks


def coverage(top: np.ndarray, items: int) -> float:
    """Share of the catalog of `items` that is in any list; 0.0 for an empty catalog."""
    return len(np.unique(top[top != MASKED])) / max(items, 1)


def gini(top: np.ndarray, items: int) -> float:
    """Gini coefficient of items' numbers of lists: 0.0 if equal, near 1.0 for one item only."""
    shown = np.sort(np.bincount(top[top != MASKED], minlength=items))
    total = shown.sum()
    if not total:
        return 0.0
    return float((2 * np.arange(1, items + 1) - items - 1) @ shown / (items * total))


def popularity(top: np.ndarray, buyers: np.ndarray, users: int) -> np.ndarray:
    """[batch] mean share of the `users` that are buyers [items] of a list's items; 0.0 if empty."""
    shares = np.append(buyers / max(users, 1), 0.0)  # the last one is for MASKED
    return shares[top].sum(axis=1) / np.maximum((top != MASKED).sum(axis=1), 1)


def novelty(top: np.ndarray, buyers: np.ndarray, users: int) -> np.ndarray:
    """[batch] mean surprise of a list in bits: -log2((buyers + 1) / (users + 1)); 0.0 if empty.

    `buyers` is [items], the distinct users of each item among `users`. Add-one keeps an item
    without buyers finite. Source: Vargas and Castells, "Rank and relevance in novelty and
    diversity" (2011).
    """
    surprise = np.append(np.log2(users + 1) - np.log2(buyers + 1.0), 0.0)  # the last one is for MASKED
    return surprise[top].sum(axis=1) / np.maximum((top != MASKED).sum(axis=1), 1)


def diversity(top: np.ndarray, vectors: np.ndarray, row: np.ndarray) -> np.ndarray:
    """[batch] mean of 1 - cosine over the pairs of a list, in [0, 2]; 0.0 below two items.

    `vectors` is [texts, dim] float32 of length 1, `row` [items] int64 the text of each item.
    Source: Ziegler et al., "Improving recommendation lists through topic diversification" (2005).
    """
    is_item = top != MASKED
    listed = vectors[row[np.where(is_item, top, 0)]] * is_item[:, :, np.newaxis]
    count = is_item.sum(axis=1)
    pairs = count * (count - 1)
    # The square of the sum counts each pair twice, and each item with itself once.
    cosines = np.square(listed.sum(axis=1)).sum(axis=1) - np.square(listed).sum(axis=(1, 2))
    return np.where(pairs > 0, 1 - cosines / np.maximum(pairs, 1), 0.0)
