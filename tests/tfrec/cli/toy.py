"""A toy model for the command line, whose responses are counted by hand.

The toy scores an item by how often it is in the history, + 100 if the query is its title, + 0.5 for
fern if the city is Lyon; of equal scores the item that comes first in the shop's list wins.
`similar_items` returns the items in the list's order, but none for an item outside the list.
`recommend` applies the constraints, with categories of one level only; `diversity` is added to the
score of lamp. `ctr` returns a tenth of the score for a click and a hundredth for a purchase. The
embedding of a query is a tenth of the numbers of events and of characters of query and age; that of
an item is the lengths of its texts and its price.
"""

from __future__ import annotations

from pathlib import Path

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
    import tensorflow as tf

    def texts(name: str, *shape: int | None) -> tf.TensorSpec:
        return tf.TensorSpec([None, *shape], tf.string, name)

    def named(names: tf.Tensor, of_items: list[str]) -> tf.Tensor:
        return tf.reduce_any(names[:, :, None] == tf.constant(of_items), axis=1)

    history = [texts("event_item_id", None), texts("query"), texts("user_city"), texts("user_age")]

    class Toy(tf.Module):
        @tf.function(input_signature=history)
        def search(self, event_item_id, query, user_city, user_age):
            return self.top_items(self.scores(event_item_id, query, user_city))

        @tf.function(
            input_signature=[
                *history,
                *(texts(name, None) for name in ("exclude_item_id", "allow_category", "deny_category")),
                tf.TensorSpec([None], tf.float32, "diversity"),
            ]
        )
        def recommend(
            self, event_item_id, query, user_city, user_age, exclude_item_id, allow_category, deny_category, diversity
        ):
            denied = named(exclude_item_id, ITEMS) | named(deny_category, CATEGORIES)
            allowed = named(allow_category, CATEGORIES) | tf.reduce_all(allow_category == "", axis=1, keepdims=True)
            lamp = diversity[:, None] * tf.one_hot([ITEMS.index("lamp")], len(ITEMS))
            scores = self.scores(event_item_id, query, user_city) + lamp
            return self.top_items(tf.where(denied | ~allowed, scores.dtype.min, scores))

        @tf.function(input_signature=[*history, texts("candidate_item_id", None)])
        def rank(self, event_item_id, query, user_city, user_age, candidate_item_id):
            is_candidate = named(candidate_item_id, ITEMS)
            return self.top_items(tf.where(is_candidate, self.scores(event_item_id, query, user_city), tf.float32.min))

        @tf.function(input_signature=[*history, texts("candidate_item_id", None)])
        def ctr(self, event_item_id, query, user_city, user_age, candidate_item_id):
            is_item = candidate_item_id[:, :, None] == tf.constant(ITEMS)
            scores = self.scores(event_item_id, query, user_city)[:, None]
            of_items = tf.reduce_sum(tf.where(is_item, scores, 0.0), axis=2)
            known = tf.where(tf.reduce_any(is_item, axis=2), candidate_item_id, "")
            return {"item_id": known, "purchase": of_items / 100.0, "click": of_items / 10.0}

        @tf.function(input_signature=history)
        def embed_query(self, event_item_id, query, user_city, user_age):
            lengths = [tf.shape(event_item_id)[1:], tf.strings.length(query), tf.strings.length(user_age)]
            return {"embedding": tf.cast(tf.stack(lengths, axis=1), tf.float32) / 10.0}

        @tf.function(
            input_signature=[
                *(texts(name) for name in ("item_id", "item_title", "item_description", "item_category")),
                *(texts(name) for name in ("item_brand", "item_maker")),
                tf.TensorSpec([None], tf.float32, "item_price"),
            ]
        )
        def embed_item(self, item_id, item_title, item_description, item_category, item_brand, item_maker, item_price):
            columns = (item_id, item_title, item_description, item_category, item_brand, item_maker)
            lengths = [tf.cast(tf.strings.length(text), tf.float32) for text in columns]
            return {"embedding": tf.stack([*lengths, item_price], axis=1)}

        def scores(self, event_item_id, query, user_city):
            counts = tf.reduce_sum(tf.cast(event_item_id[:, :, None] == tf.constant(ITEMS), tf.float32), axis=1)
            titled = 100.0 * tf.cast(query[:, None] == tf.constant(TITLES), tf.float32)
            fern = 0.5 * tf.one_hot([len(ITEMS) - 1], len(ITEMS)) * tf.cast(user_city == "Lyon", tf.float32)[:, None]
            return counts + titled + fern

        def top_items(self, scores):
            top_scores, rows = tf.math.top_k(scores, len(ITEMS))
            ids = tf.where(top_scores > tf.float32.min, tf.gather(ITEMS, rows), "")
            return {"item_id": ids, "title": tf.gather(TITLES, rows), "score": top_scores}

        @tf.function(input_signature=[texts("item_id")])
        def similar_items(self, item_id):
            is_known = tf.reduce_any(item_id[:, None] == tf.constant(ITEMS), axis=1, keepdims=True)
            ids, titles = tf.constant([ITEMS]), tf.constant([TITLES])
            scores = tf.zeros([tf.size(item_id), len(ITEMS)])
            return {
                "item_id": tf.where(is_known, ids, ""),
                "title": tf.where(is_known, titles, ""),
                "score": scores,
            }

    toy = Toy()
    names = ("recommend", "search", "rank", "ctr", "similar_items", "embed_query", "embed_item")
    signatures = {name: getattr(toy, name) for name in names}
    tf.saved_model.save(toy, str(folder), signatures=signatures)
