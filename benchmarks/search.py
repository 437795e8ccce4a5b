"""How well a search finds texts by their words, by the BERT and by both: a shop's aisles as the searches.

The tables of Complete Journey give both sides: a search is the name of a group of products ("FROZEN PIZZA"), what it
should find are the titles of that group's products ("SNACKS/APPETIZERS"), among all the titles of the shop. "In other
words" leaves out, for each search, the titles that share a word with it, by the first WordPiece of each. Titles alone
are read, where an item's whole text ends with its categories, and no towers have a say. Nothing is trained but the
words' table, on the titles; the two of a mixture weigh the same.

    python benchmarks/search.py [--tables data/complete-journey]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import scipy.sparse as sp
import tensorflow as tf
from sklearn.feature_extraction.text import TfidfTransformer

from tfrec import metrics
from tfrec.config import FeaturesConfig, TowerConfig
from tfrec.errors import DataError
from tfrec.evaluation.bootstrap import interval
from tfrec.language.text_encoder import TextEncoder, pool_all, vocabulary
from tfrec.language.tfidf_encoder import WordEncoder, piece_counts
from tfrec.language.tokenizer import WordPiece
from tfrec.schema import CATEGORY_SEPARATOR, read_table_set

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
    shares = share_a_word(queries, documents, begins_a_word(features.vocabulary))
    print(f"{len(searches):,} searches, {len(titles):,} titles; NDCG@{K}, ends of 95 % intervals over the searches")
    bert = TextEncoder(features, TowerConfig())
    by = {"BERT": by_bert(bert, queries, documents)}
    by["TF-IDF"] = by_tfidf(queries, documents, {word_piece.cls, word_piece.sep})
    by["an item's words"] = by_words(WordEncoder(bert.pieces, TowerConfig().word_dim), queries, documents)
    by |= {f"BERT + {name}": (by["BERT"] + by[name]) / 2 for name in ("TF-IDF", "an item's words")}
    result = {}
    for task, values in {
        "any words": {name: ndcg(scores, relevant) for name, scores in by.items()},
        "in other words": {name: ndcg_of_others(scores, relevant, shares) for name, scores in by.items()},
    }.items():
        print(f"\n{task}: {len(values['BERT'])} searches", flush=True)
        result[task] = {name: told(name, found, values["BERT"]) for name, found in values.items()}
    path = Path("out/benchmarks/search.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2))


def aisles(root: str) -> tuple[list[str], list[str], sp.csr_matrix]:
    """Names of the groups at the second level of the categories, distinct titles in no order, and which is in which."""
    items = pq.read_table(read_table_set(root).snapshot / "items", columns=["title", "category"]).to_pandas().dropna()
    path = items.category.str.split(CATEGORY_SEPARATOR)
    items = items.assign(aisle=path.str[1]).dropna().drop_duplicates(["title", "aisle"])
    items = items[items.title != ""].sort_values(["title", "aisle"]).sample(frac=1, random_state=0)
    (aisle, aisles), (title, titles) = (pd.factorize(items[column]) for column in ("aisle", "title"))
    return list(aisles), list(titles), sp.csr_matrix((np.ones(len(items), np.float32), (aisle, title)))


def begins_a_word(vocabulary_file: str) -> set[int]:
    """The token ids of pieces of letters that begin a word: no marks, punctuation or numbers."""
    pieces = Path(vocabulary_file).read_text(encoding="utf-8").splitlines()
    return {place for place, piece in enumerate(pieces) if piece.isalpha()}


def share_a_word(queries: np.ndarray, documents: np.ndarray, words: set[int]) -> np.ndarray:
    """[queries, documents] bool: whether they have one of `words`, token ids, in common."""
    of_queries, of_documents = _counts(queries, documents, without=lambda tokens: ~np.isin(tokens, list(words)))
    return np.asarray((of_queries @ of_documents.T).todense() > 0)


def by_tfidf(queries: np.ndarray, documents: np.ndarray, marks: set[int]) -> np.ndarray:
    """[queries, documents] cosines of token ids [n, length] by TF-IDF, every WordPiece but the marks a dimension."""
    of_queries, of_documents = _counts(queries, documents, without=lambda tokens: np.isin(tokens, list(marks)))
    weights = TfidfTransformer(sublinear_tf=True).fit(of_documents)
    return np.asarray((weights.transform(of_queries) @ weights.transform(of_documents).T).todense())


def by_words(encoder: WordEncoder, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[queries, documents] cosines of token ids [n, length] by the words, weighed by the documents."""
    encoder.learn(documents)
    return np.asarray(encoder.read(queries) @ encoder.read(documents).T)


def by_bert(encoder: TextEncoder, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[queries, documents] cosines of token ids [n, length] by the BERT, centred on the documents."""
    pooled = pool_all(encoder, documents)
    encoder.mean.assign(pooled.mean(axis=0))
    return np.asarray(encoder(tf.constant(queries)).numpy() @ encoder.normalize(pooled).numpy().T)


def ndcg(scores: np.ndarray, relevant: sp.csr_matrix) -> np.ndarray:
    """[queries] NDCG@20."""
    return metrics.ndcg_of_scores(scores, relevant, K)


def ndcg_of_others(scores: np.ndarray, relevant: sp.csr_matrix, shares: np.ndarray) -> np.ndarray:
    """As `ndcg`, without the documents that share a word with the query; of the queries that still have an answer."""
    left = sp.csr_matrix(relevant.toarray() * ~shares)
    asked = np.diff(left.indptr) > 0
    return ndcg(np.where(shares, -np.inf, scores)[asked], left[asked])


def _counts(*texts: np.ndarray, without: Callable[[np.ndarray], np.ndarray]) -> list[sp.csr_matrix]:
    """Of each [n, length] of token ids, how often its texts hold each WordPiece but those that `without` marks."""
    size = int(max(tokens.max() for tokens in texts)) + 1
    return [piece_counts(np.where(without(tokens), 0, tokens), size) for tokens in texts]


def told(name: str, values: np.ndarray, base: np.ndarray) -> dict[str, float]:
    """Prints the mean and its interval, and those of the difference to `base`, and gives the same back."""
    (low, high), (least, most) = interval(values), interval(values - base)
    gain = float((values - base).mean())
    print(
        f"{name:<24} {values.mean():.4f} [{low:.4f}, {high:.4f}]  minus BERT {gain:+.4f} [{least:+.4f}, {most:+.4f}]",
        flush=True,
    )
    return {"mean": float(values.mean()), "low": low, "high": high, "gain": gain, "gain_low": least, "gain_high": most}


if __name__ == "__main__":
    main()
