"""Quality of text search by TF-IDF, by the BERT and by both, with a shop's categories as searches.

The tables are those of Complete Journey. A search is the name of a group of products ("FROZEN
PIZZA"); its relevant documents are the titles of that group's products ("SNACKS/APPETIZERS"), among
all titles of the shop. "In other words" excludes, for each search, the titles that share a word
with it, by the first WordPiece of each word. Only titles are encoded, because an item's full text
ends with its categories; the towers are not used. Only the TF-IDF weights are fitted, on the
titles. The two parts of a mixture have equal weights.

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
from tfrec.language.catalog_encoder import pool_all
from tfrec.language.text_encoder import TextEncoder, vocabulary
from tfrec.language.tfidf_encoder import WordEncoder, piece_counts
from tfrec.language.tokenizer import WordPiece
from tfrec.schema import CATEGORY_SEPARATOR, read_table_set

K = 20


def main() -> None:
    """Measure, print a table and write out/benchmarks/search.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="data/complete-journey")
    try:
        searches, titles, relevant = read_aisles(parser.parse_args().tables)
    except DataError as error:
        raise SystemExit(str(error)) from None
    features = FeaturesConfig(vocabulary=vocabulary("", "")[0])
    word_piece = WordPiece(features.vocabulary, features.text_tokens)
    queries, documents = (word_piece(texts).to_tensor().numpy() for texts in (searches, titles))
    shares = share_a_word(queries, documents, find_word_starts(features.vocabulary))
    print(f"{len(searches):,} searches, {len(titles):,} titles; NDCG@{K} with 95 % intervals over searches")
    bert = TextEncoder(features, TowerConfig())
    scores_by = {"BERT": score_by_bert(bert, queries, documents)}
    scores_by["TF-IDF"] = score_by_tfidf(queries, documents, {word_piece.cls, word_piece.sep})
    scores_by["an item's words"] = score_by_words(WordEncoder(bert.pieces, TowerConfig().word_dim), queries, documents)
    scores_by |= {f"BERT + {name}": (scores_by["BERT"] + scores_by[name]) / 2 for name in ("TF-IDF", "an item's words")}
    result = {}
    for task, values in {
        "any words": {name: ndcg(scores, relevant) for name, scores in scores_by.items()},
        "in other words": {name: ndcg_in_other_words(scores, relevant, shares) for name, scores in scores_by.items()},
    }.items():
        print(f"\n{task}: {len(values['BERT'])} searches", flush=True)
        result[task] = {name: report(name, each, values["BERT"]) for name, each in values.items()}
    path = Path("out/benchmarks/search.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2))


def read_aisles(root: str) -> tuple[list[str], list[str], sp.csr_matrix]:
    """Read names of second-level categories, distinct titles in random order, and their relation.

    The relation is a [names, titles] matrix, 1 where a title belongs to a category.
    """
    items = pq.read_table(read_table_set(root).snapshot / "items", columns=["title", "category"]).to_pandas().dropna()
    path = items.category.str.split(CATEGORY_SEPARATOR)
    items = items.assign(aisle=path.str[1]).dropna().drop_duplicates(["title", "aisle"])
    items = items[items.title != ""].sort_values(["title", "aisle"]).sample(frac=1, random_state=0)
    (aisle, aisle_names), (title, titles) = (pd.factorize(items[column]) for column in ("aisle", "title"))
    return list(aisle_names), list(titles), sp.csr_matrix((np.ones(len(items), np.float32), (aisle, title)))


def find_word_starts(vocabulary_file: str) -> set[int]:
    """Return the token ids of pieces that begin a word: letters only, no numbers or punctuation."""
    pieces = Path(vocabulary_file).read_text(encoding="utf-8").splitlines()
    return {index for index, piece in enumerate(pieces) if piece.isalpha()}


def share_a_word(queries: np.ndarray, documents: np.ndarray, words: set[int]) -> np.ndarray:
    """[queries, documents] bool, true where both hold one of `words` (token ids)."""
    counts = _count_pieces(queries, documents, is_left_out=lambda tokens: ~np.isin(tokens, list(words)))
    query_counts, document_counts = counts
    return np.asarray((query_counts @ document_counts.T).todense() > 0)


def score_by_tfidf(queries: np.ndarray, documents: np.ndarray, separators: set[int]) -> np.ndarray:
    """[queries, documents] TF-IDF cosines of token ids [n, length], without `separators`."""
    counts = _count_pieces(queries, documents, is_left_out=lambda tokens: np.isin(tokens, list(separators)))
    query_counts, document_counts = counts
    weights = TfidfTransformer(sublinear_tf=True).fit(document_counts)
    return np.asarray((weights.transform(query_counts) @ weights.transform(document_counts).T).todense())


def score_by_words(encoder: WordEncoder, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[queries, documents] cosines of token ids [n, length] by the model's TF-IDF vectors."""
    encoder.fit(documents)
    return np.asarray(encoder.encode(queries) @ encoder.encode(documents).T)


def score_by_bert(encoder: TextEncoder, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[queries, documents] BERT cosines of token ids [n, length], centered on the documents."""
    pooled = pool_all(encoder, documents)
    encoder.mean.assign(pooled.mean(axis=0))
    return np.asarray(encoder(tf.constant(queries)).numpy() @ encoder.normalize(pooled).numpy().T)


def ndcg(scores: np.ndarray, relevant: sp.csr_matrix) -> np.ndarray:
    """[queries] NDCG@20."""
    return metrics.ndcg_of_scores(scores, relevant, K)


def ndcg_in_other_words(scores: np.ndarray, relevant: sp.csr_matrix, shares: np.ndarray) -> np.ndarray:
    """[queries] NDCG@20 without documents that share a word with the query.

    Queries without other relevant documents are left out.
    """
    left = sp.csr_matrix(relevant.toarray() * ~shares)
    has_relevant = np.diff(left.indptr) > 0
    return ndcg(np.where(shares, -np.inf, scores)[has_relevant], left[has_relevant])


def _count_pieces(*texts: np.ndarray, is_left_out: Callable[[np.ndarray], np.ndarray]) -> list[sp.csr_matrix]:
    """Count each WordPiece in each text of the [n, length] token ids, without those left out."""
    size = int(max(tokens.max() for tokens in texts)) + 1
    return [piece_counts(np.where(is_left_out(tokens), 0, tokens), size) for tokens in texts]


def report(name: str, values: np.ndarray, base: np.ndarray) -> dict[str, float]:
    """Print and return the mean, the gain over `base` and their 95 % intervals."""
    (low, high), (least, most) = interval(values), interval(values - base)
    gain = float((values - base).mean())
    print(
        f"{name:<24} {values.mean():.4f} [{low:.4f}, {high:.4f}]  minus BERT {gain:+.4f} [{least:+.4f}, {most:+.4f}]",
        flush=True,
    )
    return {"mean": float(values.mean()), "low": low, "high": high, "gain": gain, "gain_low": least, "gain_high": most}


if __name__ == "__main__":
    main()
