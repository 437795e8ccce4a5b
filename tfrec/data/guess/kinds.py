"""Event kinds, guessed from the words of a column."""

from __future__ import annotations

import dataclasses
import functools

from tfrec.data.guess.lexicon import kind_of
from tfrec.data.guess.sampling.column import Column
from tfrec.schema import KINDS

_MOST_WORDS = 60
_ENOUGH = 0.5  # share of the rows whose word is known


@dataclasses.dataclass(frozen=True)
class KindGuess:
    """Words of a kind column and the event kinds that they mean."""

    kinds: dict[str, str]  # word -> one of KINDS
    unknown: tuple[str, ...]  # words without a kind, the most common first
    shares: dict[str, float]  # word -> share of the known rows


@functools.lru_cache(maxsize=4096)
def guess_kinds(column: Column) -> KindGuess | None:
    """Guess the kinds of a column's words; None if most of its rows hold no known word."""
    if not 1 <= column.distinct <= _MOST_WORDS:
        return None
    shares = {str(word): float(rows) / column.known for word, rows in column.counts.items()}
    meant = {word: kind_of(word) for word in shares}
    kinds = {word: kind for word, kind in meant.items() if kind in KINDS}
    has_share = sum(shares[word] for word, kind in meant.items() if kind) >= _ENOUGH
    if not has_share and not {"purchase", "cart"} <= set(kinds.values()):
        return None
    return KindGuess(kinds, tuple(word for word in shares if word not in kinds), shares)


def is_code(column: Column) -> bool:
    """Whether a column holds few whole numbers, such as 1 to 4: kinds that no word names."""
    return 2 <= column.distinct <= 8 and column.whole_share == 1.0 and column.share_between(0, 9) == 1.0
