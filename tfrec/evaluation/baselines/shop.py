"""Data that the strong baselines are fitted on: a holdout, and texts of its items."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec.config import FeaturesConfig, TowerConfig
from tfrec.console import log
from tfrec.evaluation.holdout import Holdout
from tfrec.examples.read import read_texts


@dataclasses.dataclass(frozen=True)
class Shop:
    """Data that a baseline may be fitted on."""

    holdout: Holdout
    texts: np.ndarray  # [items] str
    vectors: np.ndarray  # [items, dim] float32 of length 1, by a frozen BERT; dim 0: not encoded


def make_shops(
    validation: Holdout, test: Holdout, examples_dir: str | Path, features: FeaturesConfig | None = None
) -> tuple[Shop, Shop]:
    """Add texts to both holdouts; `test` has all items of `validation`.

    With `features`, which name a BERT and its vocabulary, the texts get vectors too.
    """
    texts = read_texts(examples_dir, test.item_ids)
    vectors = np.empty((len(texts), 0), np.float32) if features is None else _encode(texts, features)
    known = pd.Index(test.item_ids).get_indexer(pd.Index(validation.item_ids))
    return Shop(validation, texts[known], vectors[known]), Shop(test, texts, vectors)


def _encode(texts: np.ndarray, features: FeaturesConfig) -> np.ndarray:
    """[texts, dim] float32 vectors; each distinct text is encoded once."""
    from tfrec.language.catalog_encoder import pool_all  # imports TensorFlow
    from tfrec.language.text_encoder import TextEncoder
    from tfrec.language.tokenizer import WordPiece

    distinct, index = np.unique(texts.astype(str), return_inverse=True)
    log(f"encoding {len(distinct):,} distinct texts with the frozen BERT")
    length = features.text_tokens
    tokens = WordPiece(features.vocabulary, length)(distinct.tolist()).to_tensor(shape=[None, length]).numpy()
    return np.asarray(pool_all(TextEncoder(features, TowerConfig()), tokens)[index])
