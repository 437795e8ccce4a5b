"""Entries about canceled orders and lines that are no items."""

from __future__ import annotations

import re

import pandas as pd

from tfrec.data.guess.entries.event_columns import EventColumns
from tfrec.data.guess.entries.yaml_text import Entry
from tfrec.data.guess.lexicon import is_no_item
from tfrec.data.guess.picks import Pick, candidates
from tfrec.data.guess.sampling.column import Column, is_on_one_row
from tfrec.data.guess.sampling.groups import Group

_BAD = (
    r"(?i)(wc-)?(cancel+ed|refunded|voided|failed|returned|chargeback|trash|"
    r"storniert|annul.*|cancelad.*|已取消|已退款).*"
)
_FALSE = ("false", "0", "no")
_MOST_LETTERED = 0.3  # share of the orders whose number begins with a letter, of canceled ones
_NEGATIVE = 0.8  # share of negative quantities among canceled lines


def cancellation_entries(columns: EventColumns) -> tuple[Entry, ...]:
    """Entries `cancelled` and `per_session`, or a status filter."""
    session, quantity = columns.session, columns.further.get("quantity")
    found = _by_prefix(session, quantity) or _by_column(columns.group) or _by_status(columns.group)
    entries = (found[0],) if found else ()
    holders = {"user_id": columns.user, "timestamp": columns.time_column}
    stated = {role: each.column for role, each in holders.items() if each and each is not session}
    if found and found[0].key == "cancelled":
        stated = {"cancelled": found[1]} | stated
    if session is None:
        return entries
    names = {role: c.name for role, c in stated.items() if c.name != session.name and is_on_one_row(c, session.column)}
    if not names:
        return entries
    reason = f"on one line of an order alone: {', '.join(names.values())}"
    return (*entries, Entry("per_session", tuple(names), reason))


def item_filter(items: Column, titles: Column | None) -> Entry | None:
    """`only` for ids that begin with a digit, where the others are postage, fees and the like."""
    if titles is None or not 0.9 < items.share_matching(r"\d.*") < 1:
        return None
    frame = pd.DataFrame({"item": items.values, "title": titles.values}).dropna()
    others = frame[~frame["item"].str.match(r"\d")]
    fees = sum(is_no_item(title) for title in others["title"])
    if fees < 0.5 * len(others):
        return None
    names = ", ".join(others["item"].value_counts().index[:5])
    reason = f"{len(others) / len(frame):.1%} of the rows have other ids ({names}), most of them fees"
    return Entry("only", (Entry(items.name, "^[0-9]", reason.replace("%", " %")),))


def _by_prefix(session: Pick | None, quantity: Pick | None) -> tuple[Entry, Column] | None:
    """Invoice C536379 beside 536365: a letter before the number, and negative quantities."""
    if session is None:
        return None
    texts = session.column.texts
    letters = texts.str.extract(r"^([A-Za-z])\d+$")[0]
    if not 0 < letters.notna().mean() < _MOST_LETTERED or texts.str.fullmatch(r"\d+").mean() < 1 - _MOST_LETTERED:
        return None
    letter = str(letters.value_counts().index[0])
    if quantity is not None:
        is_lettered = session.column.values.str.startswith(letter, na=False)
        numbers = pd.to_numeric(quantity.column.values[is_lettered], errors="coerce")
        if (numbers < 0).mean() < _NEGATIVE:
            return None
        reason = f"{(numbers < 0).mean():.0%} of its lines have a negative quantity".replace("%", " %")
        return _cancelled(session.name, letter, reason), session.column
    share = float((letters == letter).mean())
    return _cancelled(session.name, letter, f"{share:.1%} of the orders begin so".replace("%", " %")), session.column


def _by_column(group: Group) -> tuple[Entry, Column] | None:
    for found in candidates(group.columns, "cancelled"):
        counts = found.column.counts
        rows = int(counts[[str(value).strip().lower() not in _FALSE for value in counts.index]].sum())
        if rows:
            reason = f"{rows:,} of {len(found.column.values):,} rows have a value but {', '.join(_FALSE[:3])}"
            return _cancelled(found.name, "", reason), found.column
    return None


def _by_status(group: Group) -> tuple[Entry, Column] | None:
    for found in candidates(group.columns, "status"):
        bad = [word for word in found.column.texts if re.fullmatch(_BAD, word)]
        if not bad:
            continue
        if len(bad) == 1 or found.column.known_share < 1:
            rest = ", ".join(bad[1:])
            doubt = f"{rest} are not orders either, but one prefix is allowed" if rest else ""
            reason = f"{int(found.column.counts[bad[0]]):,} rows"
            entry = _cancelled(found.name, bad[0], reason)
            return Entry(entry.key, entry.value, "", doubt), found.column
        good = [word for word in found.column.texts if word not in bad]
        pattern = "^(" + "|".join(re.escape(word) for word in good) + ")$"
        reason = f"without {', '.join(bad)}"
        return Entry("only", (Entry(found.name, pattern, reason),)), found.column
    return None


def _cancelled(column: str, prefix: str, reason: str) -> Entry:
    entries = (Entry("column", column, reason), *((Entry("prefix", prefix),) if prefix else ()))
    return Entry("cancelled", entries)
