"""A toy model for the command line, whose responses are counted by hand.

The toy scores an item by how often it is in the history, + 100 if the query is its title, + 0.5 for
fern if the city is Lyon; of equal scores the item that comes first in the shop's list wins.
`similar_items` returns the items in the list's order, but none for an item outside the list.
`recommend` applies the constraints, with categories of one level only; `diversity` is added to the
score of lamp, and a `list_calibration` above 0 to that of mug. `ctr` returns a tenth of the score
for a click and a hundredth for a purchase. The embedding of a query is a tenth of the numbers of
events and of characters of query and age; that of an item is the lengths of its texts and its
price.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

ITEMS = ["pasta", "sauce", "tea", "mug", "lamp", "book", "soap", "fern"]
CATEGORIES = ["Food", "Food", "Food", "Home", "Home", "Books", "", "Home"]
TITLES = [
    "Penne, 500 g",
    "Tomato sauce",
    "西湖龙井 绿茶",
    'Mug "Blue"',
    "Desk lamp",
    "Learning to cook",
    "Soap",
    "Fern in a pot",
]


def export_toy(folder: Path) -> None:
    """Write the SavedModel of the toy."""
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(folder), {**_lists(), **_of_candidates(), **_embeddings()})


def _lists() -> dict[str, Any]:
    """The signatures that choose among all items."""
    import tensorflow as tf

    def search(event_item_id, query, user_city, user_age):
        return _top_items(_scores(event_item_id, query, user_city))

    def recommend(
        event_item_id,
        query,
        user_city,
        user_age,
        exclude_item_id,
        allow_category,
        deny_category,
        diversity,
        list_calibration,
    ):
        denied = _named(exclude_item_id, ITEMS) | _named(deny_category, CATEGORIES)
        allowed = _named(allow_category, CATEGORIES) | tf.reduce_all(allow_category == "", axis=1, keepdims=True)
        lamp = diversity[:, None] * tf.one_hot([ITEMS.index("lamp")], len(ITEMS))
        mug = tf.maximum(list_calibration, 0.0)[:, None] * tf.one_hot([ITEMS.index("mug")], len(ITEMS))
        scores = _scores(event_item_id, query, user_city) + lamp + mug
        return _top_items(tf.where(denied | ~allowed, scores.dtype.min, scores))

    def similar_items(item_id):
        is_known = tf.reduce_any(item_id[:, None] == tf.constant(ITEMS), axis=1, keepdims=True)
        ids, titles = tf.constant([ITEMS]), tf.constant([TITLES])
        scores = tf.zeros([tf.size(item_id), len(ITEMS)])
        return {"item_id": tf.where(is_known, ids, ""), "title": tf.where(is_known, titles, ""), "score": scores}

    constraints = [_texts(name, None) for name in ("exclude_item_id", "allow_category", "deny_category")]
    order = [tf.TensorSpec([None], tf.float32, name) for name in ("diversity", "list_calibration")]
    return {
        "search": _concrete(search, _history()),
        "recommend": _concrete(recommend, [*_history(), *constraints, *order]),
        "similar_items": _concrete(similar_items, [_texts("item_id")]),
    }


def _of_candidates() -> dict[str, Any]:
    """The signatures that score the items of the request."""
    import tensorflow as tf

    def rank(event_item_id, query, user_city, user_age, candidate_item_id):
        is_candidate = _named(candidate_item_id, ITEMS)
        return _top_items(tf.where(is_candidate, _scores(event_item_id, query, user_city), tf.float32.min))

    def ctr(event_item_id, query, user_city, user_age, candidate_item_id):
        is_item = candidate_item_id[:, :, None] == tf.constant(ITEMS)
        scores = _scores(event_item_id, query, user_city)[:, None]
        of_items = tf.reduce_sum(tf.where(is_item, scores, 0.0), axis=2)
        known = tf.where(tf.reduce_any(is_item, axis=2), candidate_item_id, "")
        return {"item_id": known, "purchase": of_items / 100.0, "click": of_items / 10.0}

    inputs = [*_history(), _texts("candidate_item_id", None)]
    return {"rank": _concrete(rank, inputs), "ctr": _concrete(ctr, inputs)}


def _embeddings() -> dict[str, Any]:
    """The signatures of embeddings."""
    import tensorflow as tf

    def embed_query(event_item_id, query, user_city, user_age):
        lengths = [tf.shape(event_item_id)[1:], tf.strings.length(query), tf.strings.length(user_age)]
        return {"embedding": tf.cast(tf.stack(lengths, axis=1), tf.float32) / 10.0}

    def embed_item(item_id, item_title, item_description, item_category, item_brand, item_maker, item_price):
        columns = (item_id, item_title, item_description, item_category, item_brand, item_maker)
        lengths = [tf.cast(tf.strings.length(text), tf.float32) for text in columns]
        return {"embedding": tf.stack([*lengths, item_price], axis=1)}

    names = ("item_id", "item_title", "item_description", "item_category", "item_brand", "item_maker")
    price = tf.TensorSpec([None], tf.float32, "item_price")
    return {
        "embed_query": _concrete(embed_query, _history()),
        "embed_item": _concrete(embed_item, [*map(_texts, names), price]),
    }


def _concrete(function: Any, inputs: list[tf.TensorSpec]) -> Any:
    import tensorflow as tf

    return tf.function(function, input_signature=inputs).get_concrete_function()


def _texts(name: str, *shape: int | None) -> tf.TensorSpec:
    import tensorflow as tf

    return tf.TensorSpec([None, *shape], tf.string, name)


def _history() -> list[tf.TensorSpec]:
    return [_texts("event_item_id", None), _texts("query"), _texts("user_city"), _texts("user_age")]


def _named(names: tf.Tensor, of_items: list[str]) -> tf.Tensor:
    """[batch, items] bool: the item's id or category is one of `names` [batch, any]."""
    import tensorflow as tf

    return tf.reduce_any(names[:, :, None] == tf.constant(of_items), axis=1)


def _scores(event_item_id: tf.Tensor, query: tf.Tensor, user_city: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    counts = tf.reduce_sum(tf.cast(event_item_id[:, :, None] == tf.constant(ITEMS), tf.float32), axis=1)
    titled = 100.0 * tf.cast(query[:, None] == tf.constant(TITLES), tf.float32)
    fern = 0.5 * tf.one_hot([len(ITEMS) - 1], len(ITEMS)) * tf.cast(user_city == "Lyon", tf.float32)[:, None]
    return counts + titled + fern


def _top_items(scores: tf.Tensor) -> dict[str, tf.Tensor]:
    import tensorflow as tf

    top_scores, rows = tf.math.top_k(scores, len(ITEMS))
    ids = tf.where(top_scores > tf.float32.min, tf.gather(ITEMS, rows), "")
    return {"item_id": ids, "title": tf.gather(TITLES, rows), "score": top_scores}
