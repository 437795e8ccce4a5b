"""Types of requests and responses, and their tensors in the model's signatures.


The tensors have the names that tfrec/export/recommender.py writes.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from serving.client.constraints import NO_CONSTRAINTS, Constraints, UnknownInput
from serving.client.model_info import Tensor
from serving.client.texts import is_blank, strings
from tfrec.errors import ServingError

EVENT_KINDS = ("view", "click", "cart", "purchase", "rating", "search", "favorite", "share", "dislike", "return")
"""Equal to tfrec.schema.EVENT_KINDS, as a test checks; tfrec.schema itself imports pandas."""
PROFILE_PREFIX, ITEM_PREFIX = "user_", "item_"
YEAR_3000 = 32_503_680_000  # seconds since the epoch
NO_PROFILE: Mapping[str, str] = {}


@dataclasses.dataclass(frozen=True)
class Event:
    """One event of a user's history."""

    item_id: str
    kind: str = "purchase"  # one of EVENT_KINDS
    timestamp: int = 0  # seconds since the epoch
    price: float = 0.0  # of one unit, in the shop's currency; 0: unknown
    context: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    """Where it happened, by context columns of the model: {"store": "367"}. The latest event stands
    for a request whose profile has no such column."""

    def __post_init__(self) -> None:
        check_seconds("timestamp", self.timestamp)
        if self.kind not in EVENT_KINDS:
            raise ServingError(f"kind is {self.kind!r} but must be one of {', '.join(EVENT_KINDS)}; use one of them")


@dataclasses.dataclass(frozen=True)
class Item:
    """Texts and attributes of an item, in the catalog or not; "" and 0 stand for unknown."""

    title: str
    item_id: str = ""
    description: str = ""
    category: str = ""
    """A path, widest level first: "Food > Pasta > Dry"."""
    brand: str = ""
    price: float = 0.0
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Values of the other columns that the model was trained with: {"manufacturer_id": "69"}."""
    numbers: Mapping[str, float | Sequence[float]] = dataclasses.field(default_factory=dict)
    """Numbers and vectors of those columns: {"weight": 0.5, "image": [0.1, 0.7]}."""


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """One item of a response.

    A higher score is better, and only scores of one response are comparable.
    """

    item_id: str
    title: str
    score: float


@dataclasses.dataclass(frozen=True)
class Probabilities:
    """Probabilities that a user interacts with an item within the next window, by kind of event."""

    item_id: str
    is_known: bool
    """True if the item is in the catalog; otherwise every probability is 0."""
    by_kind: Mapping[str, float]
    """Kind of event -> probability in [0, 1]: {"purchase": 0.02}."""


@dataclasses.dataclass(frozen=True)
class User:
    """A user at query time, with query and constraints: one row of a signature's inputs."""

    history: Sequence[Event]
    now: int
    """Query time in seconds since the epoch; 0: see Client.recommend."""
    profile: Mapping[str, str] = dataclasses.field(default_factory=dict)
    query: str = ""
    user_id: str = ""
    constraints: Constraints = NO_CONSTRAINTS

    def __post_init__(self) -> None:
        check_seconds("now", self.now)
        if self.now < 0:
            raise ServingError(f"now is {self.now} but no query was before 1970; 0 is the server's clock")

    def inputs(self, names: Collection[str], length: int = 0) -> dict[str, np.ndarray]:
        """The tensors of one request, restricted to `names` (a signature's inputs).

        Events are [1, length] in time order: the latest if there are more, padded with "" at the
        end if fewer. Length 0 takes all of them. Raises UnknownInput for a profile column or a
        constraint that the model lacks.
        """
        self._check_profile(names)
        events = self._events(length)
        inputs = {
            "event_item_id": strings("item_id", [event.item_id for event in events])[None],
            "event_kind": strings("kind", [event.kind if event.item_id else "" for event in events])[None],
            "event_timestamp": np.array([[event.timestamp for event in events]], np.int64),
            "event_price": np.array([[event.price for event in events]], np.float32),
            "timestamp": np.array([self.now], np.int64),
            "query": strings("query", ["" if is_blank(self.query) else self.query]),
        } | self.constraints.inputs(names)
        profile = {**self._last_context(), **self.profile}
        for name in names:
            if name.startswith(PROFILE_PREFIX):
                column = name.removeprefix(PROFILE_PREFIX)
                inputs[name] = strings(f"profile column {column}", [profile.get(column, "")])
        inputs["user_id"] = strings("user_id", [self.user_id])
        return {name: array for name, array in inputs.items() if name in names}

    def _events(self, length: int) -> list[Event]:
        events = [event for event in self.history if event.item_id]  # a search has no item
        events = sorted(events, key=lambda event: event.timestamp)[-length:]
        return events + [Event("")] * (max(length, 1) - len(events))

    def _last_context(self) -> Mapping[str, str]:
        events = [event for event in self.history if event.item_id]
        return max(reversed(events), key=lambda event: event.timestamp).context if events else {}

    def _check_profile(self, names: Collection[str]) -> None:
        columns = {name.removeprefix(PROFILE_PREFIX) for name in names if name.startswith(PROFILE_PREFIX)}
        columns.discard("id")
        for column in self.profile:
            if column not in columns:
                known = ", ".join(sorted(columns)) or "none"
                raise UnknownInput(
                    f"profile column is {column!r} but the served model knows {known}; drop it, or train with it"
                )


def item_inputs(items: Sequence[Item], known: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """The tensors of `embed_item`, each [items], restricted to `known` (the signature's inputs).

    Raises UnknownInput for an attribute or number that the model lacks.
    """
    fields = ("item_id", "title", "description", "category", "brand")
    inputs = {
        name if name == "item_id" else f"item_{name}": strings(name, [getattr(item, name) for item in items])
        for name in fields
    }
    inputs["item_price"] = np.array([item.price for item in items], np.float32)
    further = {name.removeprefix(ITEM_PREFIX): known[name] for name in sorted(set(known) - set(inputs))}
    numbers = {column: tensor for column, tensor in further.items() if tensor.dtype == "float"}
    attributes = [column for column in further if column not in numbers]
    _check_columns("attribute", (item.attributes for item in items), attributes)
    _check_columns("number", (item.numbers for item in items), numbers)
    texts = {
        column: strings(f"item attribute {column}", [item.attributes.get(column, "") for item in items])
        for column in attributes
    }
    values = {column: _numbers(column, items, tensor) for column, tensor in numbers.items()}
    return inputs | {f"{ITEM_PREFIX}{column}": array for column, array in (texts | values).items()}


def _check_columns(word: str, given: Iterable[Mapping[str, object]], known: Collection[str]) -> None:
    for column in sorted({column for columns in given for column in columns} - set(known)):
        raise UnknownInput(
            f"item {word} is {column!r} but the served model knows {', '.join(known) or 'none'}; drop it, or train "
            "with it"
        )


def _numbers(column: str, items: Sequence[Item], tensor: Tensor) -> np.ndarray:
    """[items] or [items, length] float32 of a column; NaN, or zeros, for an item without it."""
    shape = (tensor.shape or (-1,))[1:]
    unknown = np.zeros(shape, np.float32) if shape else np.float32(np.nan)
    arrays = [np.asarray(item.numbers.get(column, unknown), np.float32) for item in items]
    for array in arrays:
        if array.shape != shape:
            raise ServingError(
                f"item number {column} has the shape {list(array.shape)} but the served model takes {list(shape)}"
            )
    return np.stack(arrays) if arrays else np.zeros((0, *shape), np.float32)


def recommendations(outputs: Mapping[str, np.ndarray], k: int) -> list[list[Recommendation]]:
    """The first k items of each row of item_id, title and score [rows, items], without empty ids.

    Raises ServingError if the model returns fewer than k columns.
    """
    n_columns = outputs["item_id"].shape[1]
    if k > n_columns:
        raise ServingError(
            f"k is {k} but the server returns at most {n_columns} items; "
            "lower k, or export the model with a higher top_k"
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


def probabilities(outputs: Mapping[str, np.ndarray], item_ids: Sequence[str]) -> list[Probabilities]:
    """One user's probabilities for `item_ids`, from item_id and columns [1, items] by kind."""
    known_ids = outputs["item_id"][0]
    columns = {kind: outputs[kind][0] for kind in sorted(set(outputs) - {"item_id"})}
    return [
        Probabilities(item_id, bool(known_ids[index]), {kind: float(column[index]) for kind, column in columns.items()})
        for index, item_id in enumerate(item_ids)
    ]


def check_seconds(name: str, value: object) -> None:
    """Raise ServingError for a time that is no number of seconds before the year 3000.

    The graph takes any number: milliseconds would be an event of the far future.
    """
    if not (isinstance(value, numbers.Real) and abs(float(value)) < YEAR_3000):
        raise ServingError(
            f"{name} is {value!r} but must be in seconds since the epoch, before the year 3000; "
            "divide milliseconds by 1000, and take int(time.timestamp()) of a datetime"
        )


def check_k(k: int) -> None:
    """Raise ServingError if k is below 1."""
    if k < 1:
        raise ServingError(f"k is {k} but must be at least 1; ask for one item or more")
