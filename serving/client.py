"""One client for both servers, the embedded one and TensorFlow Serving: a shop's questions, typed answers.

    with Client("127.0.0.1:8500") as client:
        for item in client.recommend([Event("1082185", "purchase", 1500000000)], k=10):
            print(item.item_id, item.title, item.score)

Each method is one request, and the first also reads the model's signatures. Threads may share a Client,
and it keeps its connection: make one a process, not one a request. Importing it takes 0.5 s and no
TensorFlow. Every method raises tfrec.errors.ServingError with one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import grpc
import numpy as np

from serving.connection import CallError, Connection, Signature, Tensor, VersionStatus
from serving.queries import (
    NO_PROFILE,
    Chances,
    Event,
    Item,
    Recommendation,
    Shopper,
    chances,
    check_k,
    item_inputs,
    recommendations,
    strings,
)
from serving.wishes import UnknownInput, Wishes
from tfrec.errors import ServingError

__all__ = ["Chances", "Client", "Event", "Item", "Recommendation", "Signature", "Tensor", "VersionStatus"]


class Client(Connection):
    """A connection to one model that tfrec exported, with its signatures as methods."""

    def __init__(self, target: str = "127.0.0.1:8500", model: str = "tfrec", timeout_seconds: float = 5.0) -> None:
        """Connects at the first call, not here; `timeout_seconds` bounds each request."""
        super().__init__(target, model, timeout_seconds)
        self._known: dict[str, Signature] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def recommend(
        self,
        history: Sequence[Event],
        *,
        profile: Mapping[str, str] = NO_PROFILE,
        k: int = 10,
        now: int = 0,
        query: str = "",
        exclude_seen: bool = False,
        user_id: str = "",
        exclude: Sequence[str] = (),
        categories: Sequence[str] = (),
        not_categories: Sequence[str] = (),
        diversity: float = 0.0,
    ) -> list[Recommendation]:
        """The k best items for a user, best first; fewer when fewer may be shown.

        `history` in any order; `profile` by column of the users table; `now` in seconds since the epoch
        (0: the server's own clock, or just after the last event where events have an order alone).
        `exclude_seen` and what follows `user_id` are serving.wishes.Wishes.
        """
        wishes = Wishes(exclude, categories, not_categories, exclude_seen, diversity)
        return self._items("recommend", Shopper(history, now, profile, query, user_id, wishes), k)

    def search(
        self,
        query: str,
        history: Sequence[Event] = (),
        profile: Mapping[str, str] = NO_PROFILE,
        k: int = 10,
        now: int = 0,
        user_id: str = "",
        *,
        exclude: Sequence[str] = (),
        categories: Sequence[str] = (),
        not_categories: Sequence[str] = (),
        diversity: float = 0.0,
    ) -> list[Recommendation]:
        """The k items that fit a text best, for this user where a history or profile is given; else as `recommend`."""
        wishes = Wishes(exclude, categories, not_categories, diversity=diversity)
        return self._items("search", Shopper(history, now, profile, query, user_id, wishes), k)

    def rank(
        self,
        history: Sequence[Event],
        item_ids: Sequence[str],
        *,
        profile: Mapping[str, str] = NO_PROFILE,
        now: int = 0,
        query: str = "",
        user_id: str = "",
    ) -> list[Recommendation]:
        """The given items, best first for a user (and a search); those that the model does not know are left out."""
        outputs = self._ask_of("rank", Shopper(history, now, profile, query, user_id), item_ids)
        return recommendations(outputs, outputs["item_id"].shape[1])[0]

    def ctr(
        self,
        history: Sequence[Event],
        item_ids: Sequence[str],
        *,
        profile: Mapping[str, str] = NO_PROFILE,
        now: int = 0,
        user_id: str = "",
    ) -> list[Chances]:
        """How likely a user is to click, purchase ... each of the given items, in their order."""
        outputs = self._ask_of("ctr", Shopper(history, now, profile, user_id=user_id), item_ids)
        return chances(outputs, item_ids)

    def similar_items(self, item_ids: Sequence[str], k: int = 10) -> list[list[Recommendation]]:
        """For each item of the catalogue the k items closest to it."""
        check_k(k)
        return recommendations(self.predict("similar_items", {"item_id": strings(item_ids)}), k)

    def complementary_items(self, item_ids: Sequence[str], k: int = 10) -> list[list[Recommendation]]:
        """For each item of the catalogue the k items that are chosen with it, not instead of it."""
        check_k(k)
        self._inputs("complementary_items")  # says what is served, where a model has no such signature
        return recommendations(self.predict("complementary_items", {"item_id": strings(item_ids)}), k)

    def embed_query(
        self,
        history: Sequence[Event] = (),
        *,
        profile: Mapping[str, str] = NO_PROFILE,
        query: str = "",
        now: int = 0,
        user_id: str = "",
    ) -> np.ndarray:
        """[dim] float32: where a user and a query lie in the space of the items."""
        shopper = Shopper(history, now, profile, query, user_id=user_id)
        return self._ask_for("embed_query", shopper)["embedding"][0]

    def embed_items(self, items: Sequence[Item]) -> np.ndarray:
        """[items, dim] float32, from texts and attributes: an item need not be in the catalogue."""
        return self._ask("embed_item", lambda known: item_inputs(items, known))["embedding"]

    def _items(self, signature: str, shopper: Shopper, k: int) -> list[Recommendation]:
        check_k(k)
        return recommendations(self._ask_for(signature, shopper), k)[0]

    def _ask_for(self, signature: str, shopper: Shopper) -> dict[str, np.ndarray]:
        """The outputs for one shopper."""
        return self._ask(signature, lambda known: shopper.inputs(known, _length(known)))

    def _ask_of(self, signature: str, shopper: Shopper, item_ids: Sequence[str]) -> dict[str, np.ndarray]:
        """The outputs for one shopper and items that they might be shown."""
        given = {"candidate_item_id": strings(item_ids)[None]}
        return self._ask(signature, lambda known: shopper.inputs(known, _length(known)) | given)

    def _ask(
        self, signature: str, inputs: Callable[[Mapping[str, Tensor]], dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """The outputs for the inputs that a signature takes. A new version may take others: then it asks again."""
        known = self._inputs(signature)
        try:
            return self.predict(signature, inputs(known))
        except (CallError, UnknownInput) as error:
            if isinstance(error, CallError) and error.code != grpc.StatusCode.INVALID_ARGUMENT:
                raise
            self._known = {}
            if self._inputs(signature) == known:
                raise
        return self.predict(signature, inputs(self._inputs(signature)))

    def _inputs(self, signature: str) -> Mapping[str, Tensor]:
        self._known = known = self._known or self.signatures()
        if signature not in known:
            raise ServingError(
                f"signature is {signature!r} but model {self.model!r} at {self.target} serves "
                f"{', '.join(known)}; train and push a model with this tfrec (ctr and complementary_items want "
                "ranking.epochs above 0)"
            )
        return known[signature].inputs


def _length(inputs: Mapping[str, Tensor]) -> int:
    """How many events the model was exported for; 0: any number."""
    shape = inputs["event_item_id"].shape if "event_item_id" in inputs else None
    return max(shape[1], 0) if shape and len(shape) == 2 else 0
