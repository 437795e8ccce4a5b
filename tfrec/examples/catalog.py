"""The catalog as arrays: the features of every item, row by row.

Row 0 is "no item": padding, or an item that is not in the catalog. Items start at row 1.
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class StateTable:
    """States of the items over time, a row a change, sorted by the item's row and by time."""

    row: np.ndarray  # [changes] int64 catalog row
    start: np.ndarray  # [changes] int64 seconds; a change holds until the next one of its row
    values: dict[str, np.ndarray]  # column -> [changes] float32, see item_states.py


@dataclasses.dataclass(frozen=True)
class Catalog:
    """Features of `items + 1` rows; row 0 is empty."""

    item_ids: np.ndarray  # [rows] bytes objects, b"" in row 0
    titles: np.ndarray  # [rows] bytes objects
    text_row: np.ndarray  # [rows] int64, the row's text in `tokens`; row 0 of `tokens` is the empty text
    tokens: np.ndarray  # [texts, length] int64 WordPieces padded by 0, each distinct text once
    category: np.ndarray  # [rows, columns] int64 index of the path to each level, then of further columns
    category_path: np.ndarray  # [rows] bytes objects, the whole path; b"" unknown
    brand: np.ndarray  # [rows] int64
    price: np.ndarray  # [rows] int64 quantile bucket
    frequency: np.ndarray  # [rows] int64 times the item is a training target
    queries: np.ndarray  # [queries] bytes objects: distinct search queries of the training sequences
    query_row: np.ndarray  # [queries] int64, the query's text in `tokens`
    category_size: int  # number of indices of the vocabularies, the out-of-vocabulary ones included
    brand_size: int
    price_size: int
    profile_sizes: dict[str, int]  # user_<column> -> number of indices
    states: StateTable | None = None
    number_widths: dict[str, int] = dataclasses.field(default_factory=dict)
    """Columns of numbers (1 each) and of vectors (their length), side by side in `numbers`."""
    numbers: np.ndarray | None = None  # [rows, sum of the widths] float32, 0 unknown; None: no column

    @property
    def rows(self) -> int:
        """Number of items plus the empty row 0."""
        return len(self.item_ids)

    @property
    def known_text_row(self) -> np.ndarray:
        """[rows] int64 `text_row`, 0 for an item without a text, [CLS] and [SEP] alone."""
        is_blank = (self.tokens > 0).sum(axis=1) == 2
        return np.where(is_blank[self.text_row], 0, self.text_row)

    @property
    def id_row(self) -> np.ndarray:
        """Row [rows] int64 of the id embedding; 0 for an item without a training event."""
        trained = self.frequency > 0
        return np.where(trained, np.cumsum(trained), 0)


def distinct_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of an int64 matrix, and the index of each row among them.

    [0, ...] is always distinct row 0.
    """
    padded = np.concatenate([np.zeros((1, matrix.shape[1]), np.int64), matrix])
    as_bytes = np.ascontiguousarray(padded).view(f"V{padded.dtype.itemsize * padded.shape[1]}").ravel()
    _, first, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")  # in order of appearance: the empty text comes first
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    return padded[first[order]], position[inverse][1:]
