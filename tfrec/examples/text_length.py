"""Length of the catalog's texts in WordPieces, which decides how many of them the BERT reads."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from tfrec.config import FeaturesConfig
from tfrec.examples.preprocessing import item_text
from tfrec.language.tokenizer import word_piece_of
from tfrec.schema import TableSet

MOST_ITEMS = 8000
"""Items whose texts are measured: the first of each partition, which holds random ones."""

SHARE = 95
"""Percentage of the texts that fit whole."""

STEP, SHORTEST = 8, 16
"""A length is a multiple of STEP, so that a few new items change nothing; queries need SHORTEST."""


def fitting_text_tokens(tables: TableSet, features: FeaturesConfig) -> int:
    """`features.text_tokens`, or less where SHARE percent of the texts are shorter."""
    columns = ["title", "brand", "category", "description"]
    rows = -(-MOST_ITEMS // tables.manifest.partitions)
    files = [pq.ParquetFile(path) for path in tables.parts("items")]
    parts = [batch for file in files for batch in itertools.islice(file.iter_batches(rows, columns=columns), 1)]
    if not sum(part.num_rows for part in parts):
        return features.text_tokens
    items = pa.Table.from_batches(parts)
    texts = item_text(*(tf.constant(pc.fill_null(items[name], "").to_pylist()) for name in columns))
    lengths = word_piece_of(features)(texts).row_lengths().numpy()
    needed = -(-int(np.percentile(lengths, SHARE)) // STEP) * STEP
    return min(features.text_tokens, max(needed, SHORTEST))
