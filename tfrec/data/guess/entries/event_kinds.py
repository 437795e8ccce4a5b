"""Entries of the kinds of events."""

from __future__ import annotations

from tfrec.data.guess.entries.event_columns import EventColumns
from tfrec.data.guess.entries.yaml_text import Entry, note, percent
from tfrec.data.guess.kinds import KindGuess, guess_kinds
from tfrec.data.guess.lexicon import is_no_kind, kind_of_file, role_score, squeeze
from tfrec.data.guess.picks import Pick, is_rating
from tfrec.data.guess.sampling.column import Column
from tfrec.schema import EVENT_KINDS, KINDS

_ORDERS = ("order", "invoice", "basket", "transaction", "receipt", "ticket", "bill", "bestell", "pedido", "commande")
_FEW_ITEMS = 0.05  # share of rows with an item, below which an event kind is not about items
_SHOWN = 8  # words in a comment


def kind_column_entry(columns: EventColumns) -> Entry | None:
    """Entry of the column that holds the kinds, None if no column does."""
    if columns.kind is None:
        return None
    column, guess = columns.kind.column, guess_kinds(columns.kind.column)
    if guess is None:
        codes = ", ".join(column.texts.head(_SHOWN))
        cure = "write what each means under kinds, such as {1: view, 2: favorite, 3: cart, 4: purchase}"
        return Entry("kind", column.name, doubt=f"{column.name} holds codes ({codes}); {cure}")
    shares = sorted(guess.shares.items(), key=lambda pair: -pair[1])[:_SHOWN]
    return Entry("kind", column.name, ", ".join(f"{word} {percent(share)}" for word, share in shares))


def kind_entries(columns: EventColumns) -> tuple[Entry, ...]:
    """Entries of the words of the kind column, or of the kind of all rows."""
    if columns.kind is None:
        return (_constant_kind(columns),)
    guess = guess_kinds(columns.kind.column)
    return () if guess is None else (*_renamed(guess), *_unknown_words(guess, columns.kind, columns.item))


def kind_shares(columns: EventColumns) -> dict[str, float]:
    """Share of the rows of each event kind."""
    if columns.kind is None:
        return {str(_constant_kind(columns).value): 1.0}
    guess = guess_kinds(columns.kind.column)
    shares: dict[str, float] = {}
    for word, kind in guess.kinds.items() if guess else ():
        shares[kind] = shares.get(kind, 0.0) + (guess.shares[word] if guess else 0.0)
    return shares


def _renamed(guess: KindGuess) -> tuple[Entry, ...]:
    """Words that are not called as their kind, once where case and blanks alone differ."""
    words = {word.strip().casefold(): (word.strip(), kind) for word, kind in reversed(guess.kinds.items())}
    entries = [Entry(word, kind) for folded, (word, kind) in reversed(words.items()) if folded != kind]
    return (Entry("kinds", tuple(entries)),) if entries else ()


def _unknown_words(guess: KindGuess, found: Pick, item: Pick | None) -> tuple[Entry, ...]:
    itemless = [word for word in guess.unknown if item and _has_no_item(found, word, item)]
    undone = [word for word in guess.unknown if is_no_kind(word) and word not in itemless]
    unknown = [word for word in guess.unknown if word not in (*itemless, *undone)]
    notes = [note(f"rows of {', '.join(itemless[:_SHOWN])} name no item and are dropped")] if itemless else []
    notes += [note(f"rows of {', '.join(undone[:_SHOWN])} are no kind of tfrec and are dropped")] if undone else []
    if unknown:
        words = ", ".join(f"{word} ({percent(guess.shares[word])})" for word in unknown[:_SHOWN])
        cure = f"map them to one of {', '.join(KINDS)}, or leave them"
        notes.append(Entry("", doubt=f"no kind is known for {words}: these rows are dropped; {cure}"))
    return tuple(notes)


def _has_no_item(found: Pick, word: str, item: Pick) -> bool:
    return float(item.column.values[found.column.values == word].notna().mean()) < _FEW_ITEMS


def _constant_kind(columns: EventColumns) -> Entry:
    """The kind of all rows, from the columns beside it and from the file's name."""
    if columns.is_search_log:
        return Entry("kind", "search", f"{columns.further['query'].name} holds searches, and no column an item")
    file = columns.group.files[0]
    rating = columns.further.get("rating") or _named_rating(columns.group.columns)
    order_columns = [each.name for role, each in columns.further.items() if role in ("quantity", "price")]
    if rating and not order_columns:
        return Entry("kind", "rating", f"{rating.name} holds {rating.column.distinct} different ratings")
    kind = kind_of_file(file.name) or kind_of_file(file.parent.name)
    if kind in KINDS:
        return Entry("kind", str(kind), f"by the name {file.name}")
    session = columns.session
    if session and any(word in squeeze(session.name) for word in _ORDERS):
        order_columns = [session.name, *order_columns]
    if order_columns:
        return Entry("kind", "purchase", f"orders have such columns: {', '.join(order_columns)}")
    return Entry("kind", "purchase", doubt=_unknown_kind(columns))


def _unknown_kind(columns: EventColumns) -> str:
    unknown = [c for c in columns.group.columns if role_score(c.name, "kind") > 0.9 and 2 <= c.distinct <= 30]
    if not unknown:
        return "nothing says what these events are; the kinds are " + ", ".join(EVENT_KINDS)
    words = ", ".join(unknown[0].texts.head(_SHOWN))
    return f"the words of {unknown[0].name} ({words}) are unknown; map it as the column kind, and them under kinds"


def _named_rating(columns: tuple[Column, ...]) -> Pick | None:
    named = [column for column in columns if role_score(column.name, "rating") > 0 and is_rating(column)]
    return next((Pick(column, 0.5) for column in named), None)
