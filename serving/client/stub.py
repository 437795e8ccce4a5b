"""A shop's questions to a model that tfrec exported, written once for both clients of client.py and both protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from serving.client.connection import Arrays
from serving.client.constraints import Wishes
from serving.client.model_info import Tensor
from serving.client.session import Session
from serving.client.types import (
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


class Asker(Session):
    """All methods are coroutines, which wait where the connection is one of an event loop."""

    async def recommend(
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
        `exclude_seen` and what follows `user_id` are serving.client.constraints.Wishes.
        """
        wishes = Wishes(exclude, categories, not_categories, exclude_seen, diversity)
        return await self._items("recommend", Shopper(history, now, profile, query, user_id, wishes), k)

    async def search(
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
        return await self._items("search", Shopper(history, now, profile, query, user_id, wishes), k)

    async def rank(
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
        outputs = await self._ask_of("rank", Shopper(history, now, profile, query, user_id), item_ids)
        return recommendations(outputs, outputs["item_id"].shape[1])[0]

    async def ctr(
        self,
        history: Sequence[Event],
        item_ids: Sequence[str],
        *,
        profile: Mapping[str, str] = NO_PROFILE,
        now: int = 0,
        user_id: str = "",
    ) -> list[Chances]:
        """How likely a user is to click, purchase ... each of the given items, in their order."""
        outputs = await self._ask_of("ctr", Shopper(history, now, profile, user_id=user_id), item_ids)
        return chances(outputs, item_ids)

    async def similar_items(self, item_ids: Sequence[str], k: int = 10) -> list[list[Recommendation]]:
        """For each item of the catalogue the k items closest to it."""
        return await self._neighbours("similar_items", item_ids, k)

    async def complementary_items(self, item_ids: Sequence[str], k: int = 10) -> list[list[Recommendation]]:
        """For each item of the catalogue the k items that are chosen with it, not instead of it."""
        return await self._neighbours("complementary_items", item_ids, k)

    async def embed_query(
        self,
        history: Sequence[Event] = (),
        *,
        profile: Mapping[str, str] = NO_PROFILE,
        query: str = "",
        now: int = 0,
        user_id: str = "",
    ) -> np.ndarray:
        """[dim] float32: where a user and a query lie in the space of the items."""
        outputs = await self._ask_for("embed_query", Shopper(history, now, profile, query, user_id=user_id))
        return outputs["embedding"][0]

    async def embed_items(self, items: Sequence[Item]) -> np.ndarray:
        """[items, dim] float32, from texts and attributes: an item need not be in the catalogue."""
        return (await self.ask("embed_item", lambda known: item_inputs(items, known)))["embedding"]

    async def _items(self, signature: str, shopper: Shopper, k: int) -> list[Recommendation]:
        check_k(k)
        return recommendations(await self._ask_for(signature, shopper), k)[0]

    async def _neighbours(self, signature: str, item_ids: Sequence[str], k: int) -> list[list[Recommendation]]:
        check_k(k)
        return recommendations(await self.ask(signature, lambda _: {"item_id": strings(item_ids)}), k)

    async def _ask_for(self, signature: str, shopper: Shopper) -> Arrays:
        """The outputs for one shopper."""
        return await self.ask(signature, lambda known: shopper.inputs(known, _length(known)), shopper.user_id)

    async def _ask_of(self, signature: str, shopper: Shopper, item_ids: Sequence[str]) -> Arrays:
        """The outputs for one shopper and items that they might be shown."""
        given = {"candidate_item_id": strings(item_ids)[None]}
        return await self.ask(signature, lambda known: shopper.inputs(known, _length(known)) | given, shopper.user_id)


def _length(inputs: Mapping[str, Tensor]) -> int:
    """How many events the model was exported for; 0: any number."""
    shape = inputs["event_item_id"].shape if "event_item_id" in inputs else None
    return max(shape[1], 0) if shape and len(shape) == 2 else 0
