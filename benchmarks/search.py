"""How well a search finds texts by their words, by the BERT and by both: a shop's aisles as the searches.

The tables of Complete Journey give both sides: a search is the name of a group of products ("FROZEN PIZZA"), what it
should find are the titles of that group's products ("SNACKS/APPETIZERS"), among all the titles of the shop. "In other
words" leaves out, for each search, the titles that share a WordPiece with it. Nothing is trained but the words' table,
on the titles.

    python benchmarks/search.py [--tables data/complete-journey]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import scipy.sparse as sp
import tensorflow as tf
from sklearn.feature_extraction.text import TfidfTransformer

from tfrec import metrics
from tfrec.confidence import interval
from tfrec.config import FeaturesConfig, TowerConfig
from tfrec.errors import DataError
from tfrec.features import WordPiece
from tfrec.schema import CATEGORY_SEPARATOR, read_table_set
from tfrec.text import TextEncoder, pool_all, vocabulary
from tfrec.words import WordEncoder

K = 20


def main() -> None:
    """Prints a table and writes out/benchmarks/search.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="data/complete-journey")
    try:
        searches, titles, relevant = aisles(parser.parse_args().tables)
    except DataError as error:
        raise SystemExit(str(error)) from None
    features = FeaturesConfig(vocabulary=vocabulary("", "")[0])
    word_piece = WordPiece(features.vocabulary, features.text_tokens)
    queries, documents = (word_piece(texts).to_tensor().numpy() for texts in (searches, titles))
    shares = shared_pieces(queries, documents, {word_piece.cls, word_piece.sep})
    print(f"{len(searches):,} searches, {len(titles):,} titles; NDCG@{K} ± half its 95 % interval over the searches")
    bert = TextEncoder(features, TowerConfig())
    by = {"TF-IDF": by_tfidf(queries, documents)}
    by["TF-IDF in 256 dimensions"] = by_words(WordEncoder(bert.pieces, 256), queries, documents)
    by["BERT"] = by_bert(bert, queries, documents)
    by["BERT + TF-IDF"] = (by["TF-IDF"] + by["BERT"]) / 2
    result = {}
    for name, scores in by.items():
        found = {"any words": ndcg(scores, relevant), "in other words": ndcg_of_others(scores, relevant, shares)}
        result[name] = {task: {"mean": values.mean(), "interval": interval(values)} for task, values in found.items()}
        print(f"{name:<26}" + "".join(f"  {task} {told(values)}" for task, values in found.items()), flush=True)
    path = Path("out/benchmarks/search.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2))


def aisles(root: str) -> tuple[list[str], list[str], sp.csr_matrix]:
    """Names of the groups at the second level of the categories, distinct titles, and which title is in which group."""
    items = pq.read_table(read_table_set(root).snapshot / "items", columns=["title", "category"]).to_pandas().dropna()
    path = items.category.str.split(CATEGORY_SEPARATOR)
    items = items.assign(aisle=path.str[1]).dropna().drop_duplicates(["title", "aisle"])
    aisle, title = (items[column].astype("category") for column in ("aisle", "title"))
    cells = (np.ones(len(items), np.float32), (aisle.cat.codes, title.cat.codes))
    return list(aisle.cat.categories), list(title.cat.categories), sp.csr_matrix(cells)


def counts(tokens: np.ndarray, size: int, without: Collection[int] = ()) -> sp.csr_matrix:
    """[n, size] how often each of n texts [n, length] holds each token id; neither 0 nor those of `without`."""
    row, place = np.nonzero((tokens > 0) & ~np.isin(tokens, list(without)))
    return sp.csr_matrix((np.ones(len(row), np.float32), (row, tokens[row, place])), (len(tokens), size))


def shared_pieces(queries: np.ndarray, documents: np.ndarray, marks: set[int]) -> np.ndarray:
    """[queries, documents] bool: whether they have a token id in common, 0 and the marks apart."""
    size = int(max(queries.max(), documents.max())) + 1
    return np.asarray((counts(queries, size, marks) @ counts(documents, size, marks).T).todense() > 0)


def by_tfidf(queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[queries, documents] cosines of token ids [n, length] by TF-IDF, every WordPiece a dimension."""
    size = int(max(queries.max(), documents.max())) + 1
    weights = TfidfTransformer(sublinear_tf=True).fit(counts(documents, size))
    return np.asarray(
        (weights.transform(counts(queries, size)) @ weights.transform(counts(documents, size)).T).todense()
    )


def by_words(encoder: WordEncoder, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[queries, documents] cosines of token ids [n, length] by the words, weighed by the documents."""
    encoder.learn(documents)
    return np.asarray(encoder.read(queries) @ encoder.read(documents).T)


def by_bert(encoder: TextEncoder, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[queries, documents] cosines of token ids [n, length] by the BERT, centred on the documents."""
    pooled = pool_all(encoder, documents)
    encoder.mean.assign(pooled.mean(axis=0))
    return np.asarray(encoder(tf.constant(queries)).numpy() @ encoder.normalise(pooled).numpy().T)


def ndcg(scores: np.ndarray, relevant: sp.csr_matrix) -> np.ndarray:
    """[queries] NDCG@20."""
    return metrics.ndcg(metrics.hits(metrics.top_k(scores, K), relevant), np.diff(relevant.indptr), K)


def ndcg_of_others(scores: np.ndarray, relevant: sp.csr_matrix, shares: np.ndarray) -> np.ndarray:
    """As `ndcg`, without the documents that share a word with the query; of the queries that still have an answer."""
    left = sp.csr_matrix(relevant.toarray() * ~shares)
    asked = np.diff(left.indptr) > 0
    return ndcg(np.where(shares, -np.inf, scores)[asked], left[asked])


def told(values: np.ndarray) -> str:
    """Mean, and half the width of its interval."""
    low, high = interval(values)
    return f"{values.mean():.4f} ± {(high - low) / 2:.4f} ({len(values)})"


if __name__ == "__main__":
    main()
