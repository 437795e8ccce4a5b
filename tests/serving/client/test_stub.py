"""The methods of RecommenderStub through both clients and protocols, on the toy model.

Tests with the fixture `client` run four times: blocking and in an event loop, over gRPC and over
REST.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.client import Client, Event, Item, Recommendation
from serving.client.model_info import Tensor
from serving.client.types import item_inputs
from tfrec.errors import ServingError

HISTORY = [Event("b", "purchase", 200), Event("a", "view", 100, 2.5), Event("b", "click", 300)]


def ids(items: list[Recommendation]) -> list[tuple[str, float]]:
    return [(item.item_id, item.score) for item in items]


def test_recommend_returns_the_best_items_with_their_titles(client: Client) -> None:
    # b is twice in the history, a once, c never.
    assert client.recommend(HISTORY, k=2) == [
        Recommendation("b", "Brot", 2.0),
        Recommendation("a", "Apple", 1.0),
    ]


def test_the_profile_reaches_the_model_and_is_empty_by_default(client: Client) -> None:
    assert ids(client.recommend([], k=3))[0] == ("a", 0.0)
    assert ids(client.recommend([], profile={"city": "north"}, k=3))[0] == ("c", 0.5)


def test_seen_items_are_left_out_on_request(client: Client) -> None:
    assert ids(client.recommend(HISTORY, k=3, exclude_seen=True)) == [("c", 0.0)]


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ({}, [("b", 2.0), ("a", 1.0), ("c", 0.0)]),
        ({"exclude": ["b", "nobody"]}, [("a", 1.0), ("c", 0.0)]),
        ({"categories": ["Food", "Nowhere"]}, [("b", 2.0), ("c", 0.0)]),
        ({"categories": ["Nowhere"]}, []),
        ({"not_categories": ["Food"]}, [("a", 1.0)]),
        ({"not_categories": ["Fruit"], "exclude": ["c"]}, [("b", 2.0)]),
        ({"diversity": 0.5, "exclude": ["b"]}, [("c", 0.0), ("a", -1.0)]),
        ({"list_calibration": 0.75}, [("b", 2.0), ("a", 1.75), ("c", 0.0)]),
        ({"list_calibration": None}, [("b", 2.0), ("a", 1.0), ("c", 0.0)]),
    ],
)
def test_constraints_reach_the_model_and_there_are_none_by_default(
    client: Client, constraints: dict[str, Any], expected: list[tuple[str, float]]
) -> None:
    assert ids(client.recommend(HISTORY, k=3, **constraints)) == expected


@pytest.mark.parametrize(
    ("constraints", "text"),
    [
        ({"exclude": ["a"]}, r"exclude is \['a'\] but the served model takes no exclude_item_id; train and push"),
        ({"not_categories": ["Food"]}, "not_categories is .* takes no deny_category"),
        ({"diversity": 0.1}, "diversity is 0.1 but the served model takes no diversity"),
        ({"list_calibration": 0.1}, "list_calibration is 0.1 but the served model takes no list_calibration"),
    ],
)
def test_a_constraint_that_an_older_model_does_not_take_is_refused(
    client: Client, constraints: dict[str, Any], text: str
) -> None:
    # The toy's `search` has the inputs of older models; it still works without constraints.
    assert ids(client.search("茶", k=1)) == [("c", 100.0)]
    with pytest.raises(ServingError, match=text):
        client.search("茶", **constraints)


def test_rank_returns_the_known_candidates_best_first(client: Client) -> None:
    # b is twice in the history, a once, c never; c gets 100 for its title and 0.5 in the north.
    assert client.rank(HISTORY, ["c", "nobody", "a", "b"]) == [
        Recommendation("b", "B", 2.0),
        Recommendation("a", "A", 1.0),
        Recommendation("c", "C", 0.0),
    ]
    assert ids(client.rank(HISTORY, ["a", "c"], query="茶", profile={"city": "north"})) == [("c", 100.5), ("a", 1.0)]
    assert client.rank(HISTORY, []) == []


def test_ctr_returns_probabilities_in_the_order_of_the_items(client: Client) -> None:
    probabilities = client.ctr(HISTORY, ["a", "nobody", "b"])
    assert [(item.item_id, item.is_known) for item in probabilities] == [("a", True), ("nobody", False), ("b", True)]
    assert [item.by_kind for item in probabilities] == [
        {"click": pytest.approx(0.1), "purchase": pytest.approx(0.01)},
        {"click": 0.0, "purchase": 0.0},
        {"click": pytest.approx(0.2), "purchase": pytest.approx(0.02)},
    ]
    assert client.ctr(HISTORY, []) == []


def test_search_ranks_by_text_and_history(client: Client) -> None:
    assert ids(client.search("茶", k=1)) == [("c", 100.0)]
    assert client.search("茶", HISTORY, k=3) == [
        Recommendation("c", "茶", 100.0),
        Recommendation("b", "Brot", 2.0),
        Recommendation("a", "Apple", 1.0),
    ]


@pytest.mark.parametrize("query", ["", " ", "\u3000"])
def test_a_search_needs_a_word(client: Client, query: str) -> None:
    with pytest.raises(ServingError, match=r"the query is .* but must hold a word; `recommend` needs no query"):
        client.search(query, HISTORY)


def test_similar_items_returns_a_list_for_each_item(client: Client) -> None:
    # Distances in the alphabet: from a to b 1, to c 2; from c to b 1, to a 2.
    assert [ids(items) for items in client.similar_items(["a", "c"], k=2)] == [
        [("a", 0.0), ("b", -1.0)],
        [("c", 0.0), ("b", -1.0)],
    ]


def test_a_missing_signature_raises_an_error_with_those_served(client: Client) -> None:
    with pytest.raises(
        ServingError, match=r"signature is 'complementary_items' but model 'toy' at .* serves ctr, embed_item,"
    ):
        client.complementary_items(["a"])
    with pytest.raises(
        ServingError, match=r"train and push a model with this tfrec \(ctr and complementary_items need "
    ):
        client.complementary_items(["a"])


def test_embed_query_sends_events_in_time_order_and_the_query_time(client: Client) -> None:
    # Counts of a and b, the last event's timestamp, now.
    assert client.embed_query(HISTORY, now=400).tolist() == [1.0, 2.0, 300.0, 400.0]


def test_the_query_time_is_0_by_default(client: Client) -> None:
    # The model then takes its clock, or the position after the last event: only it knows which.
    assert client.embed_query()[3] == 0


def test_embed_items_sends_texts_and_prices(client: Client) -> None:
    items = [Item("Tea", brand="Xy", price=3.5), Item("Apple pie")]
    assert client.embed_items(items).tolist() == [[3.0, 2.0, 3.5], [9.0, 0.0, 0.0]]


def test_item_attributes_must_be_columns_of_the_model(client: Client) -> None:
    with pytest.raises(ServingError, match="item attribute is 'color' but the served model knows none"):
        client.embed_items([Item("Tea"), Item("Mug", attributes={"color": "blue"})])
    known = {f"item_{name}": Tensor("string", (-1,)) for name in ("id", "title", "color", "size")}
    inputs = item_inputs([Item("Tea"), Item("Mug", attributes={"color": "blue"})], known)
    assert inputs["item_color"].tolist() == [b"", b"blue"]
    assert inputs["item_size"].tolist() == [b"", b""]


def test_numbers_and_vectors_of_items_have_the_shapes_of_the_model() -> None:
    known = {"item_id": Tensor("string", (-1,)), "item_weight": Tensor("float", (-1,))}
    known |= {"item_image": Tensor("float", (-1, 2))}
    inputs = item_inputs([Item("Mug", numbers={"weight": 0.5, "image": [1, 2]}), Item("Tea")], known)
    np.testing.assert_array_equal(inputs["item_weight"], np.array([0.5, np.nan], np.float32))
    assert inputs["item_image"].tolist() == [[1, 2], [0, 0]]
    with pytest.raises(ServingError, match=r"item number image has the shape \[3\] but the served model takes \[2\]"):
        item_inputs([Item("Mug", numbers={"image": [1, 2, 3]})], known)
    with pytest.raises(ServingError, match="item number is 'width' but the served model knows image, weight; drop it"):
        item_inputs([Item("Mug", numbers={"width": 1})], known)


def test_k_above_the_served_top_k_is_refused(client: Client) -> None:
    with pytest.raises(ServingError, match="k is 500 but the server returns at most 3 items; lower k, or export"):
        client.recommend([], k=500)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(by_grpc: Client, k: int) -> None:
    with pytest.raises(ServingError, match=f"k is {k} but must be at least 1"):
        by_grpc.similar_items(["a"], k=k)


def test_an_unknown_profile_column_is_refused(client: Client) -> None:
    with pytest.raises(ServingError, match="profile column is 'age' but the served model knows city; drop it"):
        client.recommend([], profile={"age": "40"})
