"""Words that shops use for columns, event kinds and files (names.yaml)."""

from __future__ import annotations

import functools
import re
import unicodedata
from importlib.resources import files
from typing import Any

import yaml

_SUFFIX_SCORE = 0.75  # fk_customer_id, whose end is a known name
_PREFIX_SCORE = 0.6  # timestamp_utc, whose beginning is a known name
_PREFIX_ROLES = ("timestamp", "price", "quantity")
_SHORTEST_PART = 3


@functools.cache
def role_score(column: str, role: str) -> float:
    """How well a column's name fits a role, from 0 (unknown) to 1 (its most telling name)."""
    known = _ranks("columns", role)
    words = split_words(last_part(column))
    whole = [squeeze(column), squeeze(last_part(column)), *(squeeze(part) for part in _parents(column))]
    ranks = [known[name] for name in whole if name in known]
    if ranks:
        return 1.0 - 0.2 * min(ranks) / len(known)
    for start in range(1, len(words)):
        suffix = "".join(words[start:])
        if suffix in known and (len(suffix) >= _SHORTEST_PART or len(words) - start > 1):
            return _SUFFIX_SCORE - 0.1 * known[suffix] / len(known)
    prefixes = ["".join(words[:end]) for end in range(1, len(words))]
    has_prefix = role in _PREFIX_ROLES and any(p in known and len(p) > _SHORTEST_PART for p in prefixes)
    return _PREFIX_SCORE if has_prefix else 0.0


@functools.cache
def best_score(column: str) -> float:
    """The score of the role that a column's name fits best."""
    return max(role_score(column, role) for role in _lexicon()["columns"])


def is_known_name(column: str) -> bool:
    """Whether a column's name fits any role."""
    return best_score(column) > 0


def kind_of(word: str) -> str | None:
    """The event kind that a value of a kind column means, None if unknown."""
    forms = (squeeze(word), squeeze(word).removesuffix("s"))
    return next((kind for kind in _lexicon()["kinds"] if any(form in _ranks("kinds", kind) for form in forms)), None)


def is_no_kind(word: str) -> bool:
    """Whether a value of a kind column means nothing that a user did with an item, or undoes it."""
    return squeeze(word) in _no_kinds()


def file_fits(name: str, table: str) -> bool:
    """Whether a file's name holds a word of a table, such as `products_2024.csv` of items."""
    return _has_word(name, _lexicon()["files"][table])


def kind_of_file(name: str) -> str | None:
    """The event kind that a file's name means, None if unknown."""
    return next((kind for kind, words in _lexicon()["file_kinds"].items() if _has_word(name, words)), None)


def is_missing_word(value: str) -> bool:
    """Whether a value is a word for "unknown", such as NULL."""
    return value.strip().casefold() in _missing_words()


def is_no_item(title: str) -> bool:
    """Whether the title of a line is that of a fee, a discount or the like."""
    folded = title.casefold()
    return any(re.search(rf"\b{re.escape(word)}", folded) for word in _lexicon()["never_items"])


def squeeze(name: str) -> str:
    """Letters and digits of a name, without case and accents."""
    plain = unicodedata.normalize("NFKD", name)
    kept = (letter for letter in plain if letter.isalnum())
    return unicodedata.normalize("NFKC", "".join(kept)).casefold()


def last_part(column: str) -> str:
    """The telling part of a path: `id` of `_id.$oid`, `session` of `params[key=session]`."""
    parts = [part for part in column.split(".") if not part.startswith("$")]
    last = parts[-1] if parts else column
    key = re.search(r"\[\w+=([^\]]+)\]", last)
    return key.group(1) if key else last


def split_words(name: str) -> list[str]:
    """Words of a name, squeezed: `orderItemSku` and `order_item_sku` have three."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [squeeze(word) for word in re.split(r"[\W_]+", spaced) if squeeze(word)]


def _parents(column: str) -> list[str]:
    """`product.id` also fits the name productid."""
    parts = [part for part in re.sub(r"\[[^\]]*\]", "", column).split(".") if not part.startswith("$")]
    if len(parts) < 2:
        return []
    return [f"{parts[-2]}{parts[-1]}", f"{parts[-2].removesuffix('s')}{parts[-1]}"]


def _has_word(name: str, words: list[str]) -> bool:
    own = {form for word in split_words(name) for form in (word, word.removesuffix("s"), word.removesuffix("es"))}
    squeezed = squeeze(name)
    return any(word in own or (len(word) > 5 and word in squeezed) for word in words)


@functools.cache
def _ranks(section: str, key: str) -> dict[str, int]:
    names = [squeeze(str(name)) for name in _lexicon()[section][key]]
    return {name: rank for rank, name in reversed(list(enumerate(names)))}


@functools.cache
def _no_kinds() -> frozenset[str]:
    return frozenset(squeeze(str(word)) for word in _lexicon()["no_kinds"])


@functools.cache
def _missing_words() -> frozenset[str]:
    return frozenset(str(word) for word in _lexicon()["missing"])


@functools.cache
def _lexicon() -> dict[str, Any]:
    text = files("tfrec.data.guess").joinpath("names.yaml").read_text(encoding="utf-8")
    lexicon: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)  # the word null stays a word
    return lexicon
