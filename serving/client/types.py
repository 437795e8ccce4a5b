"""What a shop asks and is told: events, items, recommendations, and their tensors in the model's signatures.

The names of the tensors are those that tfrec/export/recommender.py writes. It knows nothing of connections.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from serving.client.constraints import NO_WISHES, UnknownInput, Wishes
from tfrec.errors import ServingError

EVENT_KINDS = ("view", "click", "cart", "purchase", "rating", "search")
"""As in tfrec.schema, which imports pandas; a test compares the two."""
PROFILE_PREFIX, ITEM_PREFIX = "user_", "item_"
NO_PROFILE: Mapping[str, str] = {}


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that a user did."""

    item_id: str
    kind: str = "purchase"
    """One of EVENT_KINDS."""
    timestamp: int = 0
    """Seconds since the epoch."""
    price: float = 0.0
    """Of one unit, in the shop's currency; 0: unknown."""

    def __post_init__(self) -> None:
        if self.kind not in EVENT_KINDS:
            raise ServingError(
                f"kind is {self.kind!r} but must be one of {', '.join(EVENT_KINDS)}; name the event as one of them"
            )


@dataclasses.dataclass(frozen=True)
class Item:
    """A product as the model reads it, known to the catalogue or not; "" and 0 stand for unknown."""

    title: str
    item_id: str = ""
    description: str = ""
    category: str = ""
    """A path, widest first: "Food > Pasta > Dry"."""
    brand: str = ""
    price: float = 0.0
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Values of the further columns that the model was trained with: {"manufacturer_id": "69"}."""


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """One item of an answer; a higher score is better, and scores of one answer alone compare."""

    item_id: str
    title: str
    score: float


@dataclasses.dataclass(frozen=True)
class Chances:
    """How likely a shopper is to do something with an item within the next window."""

    item_id: str
    is_known: bool
    """Whether the model knows the item; if not, every chance is 0."""
    by_kind: Mapping[str, float]
    """Kind of event -> chance in [0, 1]: {"purchase": 0.02}."""


@dataclasses.dataclass(frozen=True)
class Shopper:
    """Who asks, when, and for what: one row of the inputs of the signatures that read a history."""

    history: Sequence[Event]
    now: int
    """Seconds since the epoch, the time of the request; 0: see Client.recommend."""
    profile: Mapping[str, str] = dataclasses.field(default_factory=dict)
    query: str = ""
    user_id: str = ""
    wishes: Wishes = NO_WISHES

    def inputs(self, names: Collection[str], length: int = 0) -> dict[str, np.ndarray]:
        """The tensors of one request, those of `names` (a signature's inputs).

        Events are [1, length] in time order, the latest where there are more, padded with "" at the end;
        length 0 takes all of them. Raises UnknownInput for a profile column or a wish that the model lacks.
        """
        self._check_profile(names)
        events = self._events(length)
        inputs = {
            "event_item_id": strings([event.item_id for event in events])[None],
            "event_kind": strings([event.kind if event.item_id else "" for event in events])[None],
            "event_timestamp": np.array([[event.timestamp for event in events]], np.int64),
            "event_price": np.array([[event.price for event in events]], np.float32),
            "timestamp": np.array([self.now], np.int64),
            "query": strings([self.query]),
        } | self.wishes.inputs(names)
        for name in names:
            if name.startswith(PROFILE_PREFIX):
                inputs[name] = strings([self.profile.get(name.removeprefix(PROFILE_PREFIX), "")])
        inputs["user_id"] = strings([self.user_id])
        return {name: array for name, array in inputs.items() if name in names}

    def _events(self, length: int) -> list[Event]:
        events = [event for event in self.history if event.item_id]  # a search names no item
        events = sorted(events, key=lambda event: event.timestamp)[-length:]
        return events + [Event("")] * (max(length, 1) - len(events))

    def _check_profile(self, names: Collection[str]) -> None:
        columns = {name.removeprefix(PROFILE_PREFIX) for name in names if name.startswith(PROFILE_PREFIX)}
        columns.discard("id")
        for column in self.profile:
            if column not in columns:
                known = ", ".join(sorted(columns)) or "none"
                raise UnknownInput(
                    f"profile column is {column!r} but the served model knows {known}; drop it, or train with it"
                )


def item_inputs(items: Sequence[Item], names: Collection[str]) -> dict[str, np.ndarray]:
    """The tensors of `embed_item`, each [items], those of `names` (the signature's inputs).

    Raises UnknownInput for an attribute that the model lacks.
    """
    fields = ("item_id", "title", "description", "category", "brand")
    inputs = {
        name if name == "item_id" else f"item_{name}": strings([getattr(item, name) for item in items])
        for name in fields
    }
    inputs["item_price"] = np.array([item.price for item in items], np.float32)
    further = [name.removeprefix(ITEM_PREFIX) for name in sorted(set(names) - set(inputs))]
    for column in sorted({column for item in items for column in item.attributes} - set(further)):
        known = ", ".join(further) or "none"
        raise UnknownInput(
            f"item attribute is {column!r} but the served model knows {known}; drop it, or train with it"
        )
    return inputs | {
        f"{ITEM_PREFIX}{column}": strings([item.attributes.get(column, "") for item in items]) for column in further
    }


def recommendations(outputs: Mapping[str, np.ndarray], k: int) -> list[list[Recommendation]]:
    """The first k items of each row of item_id, title and score [rows, items]; fewer where fewer remain.

    Raises ServingError when the model returns fewer than k columns.
    """
    served = outputs["item_id"].shape[1]
    if k > served:
        raise ServingError(
            f"k is {k} but the server returns at most {served} items; lower k, or export the model with a higher top_k"
        )
    rows = zip(outputs["item_id"], outputs["title"], outputs["score"], strict=True)
    return [
        [
            Recommendation(item_id.decode(), title.decode(), float(score))
            for item_id, title, score in list(zip(ids, titles, scores, strict=True))[:k]
            if item_id
        ]
        for ids, titles, scores in rows
    ]


def chances(outputs: Mapping[str, np.ndarray], item_ids: Sequence[str]) -> list[Chances]:
    """Of one shopper and each of `item_ids`, from item_id and a column [1, items] for each kind of event."""
    kinds = sorted(set(outputs) - {"item_id"})
    return [
        Chances(item_id, bool(outputs["item_id"][0, place]), {kind: float(outputs[kind][0, place]) for kind in kinds})
        for place, item_id in enumerate(item_ids)
    ]


def check_k(k: int) -> None:
    """Raises ServingError when k asks for nothing."""
    if k < 1:
        raise ServingError(f"k is {k} but must be at least 1; ask for one item or more")


def strings(values: Sequence[str]) -> np.ndarray:
    """The string tensor of some texts: [values] of bytes."""
    return np.array([value.encode() for value in values], object)
