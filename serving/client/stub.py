"""Stub of a model exported by tfrec: a method for each signature, for both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from serving.client.connection import Arrays
from serving.client.constraints import Constraints
from serving.client.model_info import Tensor
from serving.client.session import Session
from serving.client.texts import is_blank, strings
from serving.client.types import (
    NO_PROFILE,
    Event,
    Item,
    Probabilities,
    Recommendation,
    User,
    check_k,
    item_inputs,
    probabilities,
    recommendations,
)
from tfrec.errors import ServingError


class RecommenderStub(Session):
    """The model's signatures as coroutine functions.

    On a blocking connection they never suspend.
    """

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
        list_calibration: float | None = None,
    ) -> list[Recommendation]:
        """The k best items for a user, best first; fewer if the constraints leave fewer.

        `history` may be in any order; `profile` has the columns of the users table; `now` is the
        query time in seconds since the epoch. `now` 0 means the server's clock, or just after the
        last event if events only have an order. For `exclude_seen` and the arguments after
        `user_id` see serving.client.constraints.Constraints.
        """
        constraints = Constraints(
            exclude,
            categories,
            not_categories,
            exclude_seen=exclude_seen,
            diversity=diversity,
            list_calibration=list_calibration,
        )
        user = User(history, now, profile, query=query, user_id=user_id, constraints=constraints)
        return await self._top_items("recommend", user, k)

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
        list_calibration: float | None = None,
    ) -> list[Recommendation]:
        """The k items that fit a text best, for this user if a history or profile is given.

        For the other arguments see `recommend`. A blank query raises ServingError; the signature
        itself takes it for no search.
        """
        if is_blank(query):
            raise ServingError(f"the query is {query!r} but must hold a word; `recommend` needs no query")
        constraints = Constraints(
            exclude, categories, not_categories, diversity=diversity, list_calibration=list_calibration
        )
        user = User(history, now, profile, query=query, user_id=user_id, constraints=constraints)
        return await self._top_items("search", user, k)

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
        """The given items, best first for a user (and a query).

        Items outside the catalog are left out.
        """
        user = User(history, now, profile, query=query, user_id=user_id)
        outputs = await self._predict_candidates("rank", user, item_ids)
        return recommendations(outputs, outputs["item_id"].shape[1])[0]

    async def ctr(
        self,
        history: Sequence[Event],
        item_ids: Sequence[str],
        *,
        profile: Mapping[str, str] = NO_PROFILE,
        now: int = 0,
        user_id: str = "",
    ) -> list[Probabilities]:
        """Probabilities that a user clicks, purchases ... each given item, in their order."""
        user = User(history, now, profile, user_id=user_id)
        return probabilities(await self._predict_candidates("ctr", user, item_ids), item_ids)

    async def similar_items(self, item_ids: Sequence[str], k: int = 10) -> list[list[Recommendation]]:
        """The k items closest to each given item of the catalog."""
        return await self._neighbors("similar_items", item_ids, k)

    async def complementary_items(self, item_ids: Sequence[str], k: int = 10) -> list[list[Recommendation]]:
        """The k items bought together with each given item of the catalog, not instead of it."""
        return await self._neighbors("complementary_items", item_ids, k)

    async def embed_query(
        self,
        history: Sequence[Event] = (),
        *,
        profile: Mapping[str, str] = NO_PROFILE,
        query: str = "",
        now: int = 0,
        user_id: str = "",
    ) -> np.ndarray:
        """Embedding of a user and a query, [dim + 1] float32.

        Its inner product with an item's embedding is the retrieval score; the last number, 1, meets
        the item's bias.
        """
        user = User(history, now, profile, query=query, user_id=user_id)
        return (await self._predict_user("embed_query", user))["embedding"][0]

    async def embed_items(self, items: Sequence[Item]) -> np.ndarray:
        """Embeddings of items, [items, dim + 1] float32, from their texts and attributes.

        The last number is the item's bias. An item need not be in the catalog.
        """
        outputs = await self.predict_for_user("embed_item", lambda known: item_inputs(items, known))
        return outputs["embedding"]

    async def _top_items(self, signature: str, user: User, k: int) -> list[Recommendation]:
        check_k(k)
        return recommendations(await self._predict_user(signature, user), k)[0]

    async def _neighbors(self, signature: str, item_ids: Sequence[str], k: int) -> list[list[Recommendation]]:
        check_k(k)
        outputs = await self.predict_for_user(signature, lambda _: {"item_id": strings("item_id", item_ids)})
        return recommendations(outputs, k)

    async def _predict_user(self, signature: str, user: User) -> Arrays:
        return await self.predict_for_user(
            signature, lambda known: user.inputs(known, _history_length(known)), user.user_id
        )

    async def _predict_candidates(self, signature: str, user: User, item_ids: Sequence[str]) -> Arrays:
        candidates = {"candidate_item_id": strings("item_id", item_ids)[None]}
        return await self.predict_for_user(
            signature, lambda known: user.inputs(known, _history_length(known)) | candidates, user.user_id
        )


def _history_length(inputs: Mapping[str, Tensor]) -> int:
    """The number of events that the model was exported for; 0: any number."""
    shape = inputs["event_item_id"].shape if "event_item_id" in inputs else None
    return max(shape[1], 0) if shape and len(shape) == 2 else 0
