"""Both clients, against a real server of the toy model.

Its scores are those of tests/serving/shop.py.

Tests with the fixture `client` run four times: blocking and in an event loop, over gRPC and over
REST.
"""

from __future__ import annotations

import asyncio
import inspect
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.api.options import Options
from serving.client import AsyncClient, CallError, Client, Event, Item, Recommendation, Tensor, VersionStatus
from serving.client.stub import RecommenderStub
from serving.client.types import EVENT_KINDS, User, item_inputs
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.server.embedded import Server, start
from tfrec import schema
from tfrec.errors import ServingError

HISTORY = [Event("b", "purchase", 200), Event("a", "view", 100, 2.5), Event("b", "click", 300)]


class LoopClient:
    """An AsyncClient whose methods block: each runs to its end in one event loop."""

    def __init__(self, target: str) -> None:
        async def make() -> AsyncClient:
            return AsyncClient(target, "toy", timeout_seconds=20)

        self._loop = asyncio.Runner()
        self._client = self._loop.run(make())

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._loop.run(getattr(self._client, name)(*args, **kwargs))

    def __enter__(self) -> LoopClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.close()


def target(server: Server, protocol: str) -> str:
    return f"127.0.0.1:{server.port}" if protocol == "gRPC" else f"http://127.0.0.1:{server.rest_api_port}"


@pytest.fixture(scope="module", params=["gRPC", "REST", "gRPC in a loop", "REST in a loop"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    protocol, _, in_a_loop = request.param.partition(" ")
    at = target(server, protocol)
    with LoopClient(at) if in_a_loop else Client(at, "toy", timeout_seconds=20) as client:
        yield client


@pytest.fixture(scope="module")
def by_grpc(server: Server) -> Iterator[Client]:
    with Client(target(server, "gRPC"), "toy", timeout_seconds=20) as client:
        yield client


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
    ],
)
def test_constraints_reach_the_model_and_there_are_none_by_default(
    client: Client, constraints: dict[str, Any], expected: list[tuple[str, float]]
) -> None:
    assert ids(client.recommend(HISTORY, k=3, **constraints)) == expected


@pytest.mark.parametrize(
    ("constraints", "text"),
    [
        ({"exclude": "tea"}, r"exclude is 'tea' but must be a list of texts; write \['tea'\]"),
        ({"categories": "Food"}, "categories is 'Food' but must be a list"),
        ({"diversity": 1.5}, r"diversity is 1.5 but must lie in \[0, 1\]; 0 keeps"),
        ({"diversity": float("nan")}, r"diversity is nan but must lie in \[0, 1\]"),
    ],
)
def test_an_impossible_constraint_is_refused(client: Client, constraints: dict[str, Any], text: str) -> None:
    with pytest.raises(ServingError, match=text):
        client.recommend([], **constraints)


@pytest.mark.parametrize(
    ("constraints", "text"),
    [
        ({"exclude": ["a"]}, r"exclude is \['a'\] but the served model takes no exclude_item_id; train and push"),
        ({"not_categories": ["Food"]}, "not_categories is .* takes no deny_category"),
        ({"diversity": 0.1}, "diversity is 0.1 but the served model takes no diversity"),
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
    names = ["item_id", "item_title", "item_color", "item_size"]
    inputs = item_inputs([Item("Tea"), Item("Mug", attributes={"color": "blue"})], names)
    assert inputs["item_color"].tolist() == [b"", b"blue"]
    assert inputs["item_size"].tolist() == [b"", b""]


def test_signatures_have_names_types_and_shapes(client: Client) -> None:
    signatures = client.signatures()
    assert "__saved_model_init_op" not in signatures
    assert signatures["recommend"].inputs["event_item_id"] == Tensor("string", (-1, -1))
    assert signatures["recommend"].outputs["score"] == Tensor("float", (-1, 3))


def test_status_lists_versions(client: Client) -> None:
    assert client.status() == [VersionStatus(1, "AVAILABLE", "")]


def test_predict_calls_any_signature_and_filters_outputs(client: Client) -> None:
    # Version 1 is 1 x + y.
    inputs = {"x": np.array([1.5, float("nan")], np.float32), "y": np.array([2.0, 0.0], np.float32)}
    outputs = client.predict("serving_default", inputs, ["sum"])
    assert list(outputs) == ["sum"]
    assert outputs["sum"].dtype == np.float32
    np.testing.assert_array_equal(outputs["sum"], np.array([3.5, float("nan")], np.float32))


def test_values_of_every_type_come_back_unchanged(client: Client) -> None:
    inputs = {
        "flag": np.array([True, False]),
        "tiny": np.array([-128, 127], np.int8),
        "short": np.array([-(2**15), 2**15 - 1], np.int16),
        "small": np.array([-(2**31), 2**31 - 1], np.int32),
        "big": np.array([-(2**63), 2**63 - 1], np.int64),
        "byte": np.array([0, 255], np.uint8),
        "count": np.array([0, 2**32 - 1], np.uint32),
        "hash": np.array([0, 2**64 - 1], np.uint64),
        "exact": np.array([0.1, float("-inf")]),
    }
    outputs = client.predict("types", inputs)
    for name, sent in inputs.items():
        assert outputs[name].dtype == sent.dtype
        assert outputs[name].tolist() == sent.tolist()
    assert client.predict("total", {"x": np.array([1.0, 2.0], np.float32)})["total"].shape == ()
    words = np.array([b"tee", "茶".encode(), b"", b"a\0b"], object)
    outputs = client.predict("lookup", {"word": words})
    assert outputs["normal"].tolist() == outputs["normal_bytes"].tolist() == words.tolist()
    assert outputs["line"].tolist() == [1, 2, -1, -1]


def test_a_response_may_exceed_4_mb(by_grpc: Client) -> None:
    client = by_grpc
    many = np.arange(1_500_000, dtype=np.float32)  # 6 MB
    outputs = client.predict("serving_default", {"x": many, "y": many[:1]}, ["sum"])
    assert list(outputs) == ["sum"]
    assert outputs["sum"][-1] == 1_499_999.0


def test_k_above_the_served_top_k_is_refused(client: Client) -> None:
    with pytest.raises(ServingError, match="k is 500 but the server returns at most 3 items; lower k, or export"):
        client.recommend([], k=500)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(client: Client, k: int) -> None:
    with pytest.raises(ServingError, match=f"k is {k} but must be at least 1"):
        client.similar_items(["a"], k=k)


def test_an_unknown_profile_column_is_refused(client: Client) -> None:
    with pytest.raises(ServingError, match="profile column is 'age' but the served model knows city; drop it"):
        client.recommend([], profile={"age": "40"})


def test_an_unknown_event_kind_is_refused() -> None:
    with pytest.raises(ServingError, match="kind is 'bought' but must be one of view, click"):
        Event("a", "bought")


def test_event_kinds_equal_those_of_the_schema() -> None:
    assert EVENT_KINDS == schema.EVENT_KINDS


def test_a_server_error_names_signature_and_model(by_grpc: Client) -> None:
    with pytest.raises(CallError, match=r"refused nope of 'toy': Serving signature key \"nope\" not found") as caught:
        by_grpc.predict("nope", {})
    assert caught.value.code == grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_a_model_that_is_not_served_raises_an_error(server: Server, protocol: str) -> None:
    with Client(target(server, protocol), "other") as client:
        text = r"refused its metadata of 'other': Servable not found for request: Latest\(other\) \(NOT_FOUND\)"
        with pytest.raises(ServingError, match=text):
            client.recommend([])


@pytest.mark.parametrize("target", ["127.0.0.1:1", "http://127.0.0.1:1"])
def test_an_unreachable_server_raises_an_error_with_target_and_cure(target: str) -> None:
    with Client(target, timeout_seconds=2) as client:
        text = f"target is {target} but no model server answers there .*; start one with `tfrec serve`"
        for call in (lambda: client.recommend([]), client.status, lambda: client.predict("recommend", {})):
            with pytest.raises(ServingError, match=text):
                call()


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_silent_server_raises_an_error_at_the_deadline(scheme: str) -> None:
    async def call(target: str) -> None:
        async with AsyncClient(target, timeout_seconds=0.3) as client:
            await client.status()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"{scheme}127.0.0.1:{silent.getsockname()[1]}"
        text = r"did not answer its status within timeout_seconds=0\.3; raise timeout_seconds"
        with Client(target, timeout_seconds=0.3) as client, pytest.raises(CallError, match=text) as caught:
            client.status()
        assert caught.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(CallError, match=text):
            asyncio.run(call(target))


def test_a_client_created_before_its_server_connects_later(exported: Path) -> None:
    with start(single("toy", exported)) as running:
        port = running.port
    with Client(f"127.0.0.1:{port}", "toy", timeout_seconds=5) as client:
        with pytest.raises(ServingError, match="no model server answers"):
            client.status()
        with start(single("toy", exported), Options(port=port)):
            deadline = time.monotonic() + 10
            while True:
                try:
                    assert client.status()[0].version == 3
                    break
                except ServingError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_a_new_version_gets_the_inputs_of_its_own_signature(
    base_path: Path,
    exported: Path,
    eventually: Callable[[Callable[[], bool]], None],
    rename_input: Callable[[Path, str, str], None],
    protocol: str,
) -> None:
    """Version 2 names the profile column user_town; the client uses that name in its next call."""
    with start(single("toy", base_path), Options(lifecycle=LifecycleOptions(poll_seconds=0.05))) as running:
        client = Client(target(running, protocol), "toy", timeout_seconds=20)
        assert ids(client.recommend([], profile={"city": "north"}, k=1)) == [("c", 0.5)]
        shutil.copytree(exported / "2", base_path / ".tmp-2")
        rename_input(base_path / ".tmp-2", "user_city", "user_town")
        (base_path / ".tmp-2").rename(base_path / "2")
        eventually(lambda: client.status()[-1] == VersionStatus(2, "AVAILABLE", ""))
        assert ids(client.recommend([], k=1)) == [("a", 0.0)]
        assert ids(client.recommend([], profile={"town": "north"}, k=1)) == [("c", 0.5)]
        client.close()


@pytest.mark.parametrize(
    ("length", "item_ids", "kinds", "times"),
    [
        (0, ["a", "b", "b"], ["view", "purchase", "click"], [100, 200, 300]),
        (2, ["b", "b"], ["purchase", "click"], [200, 300]),
        (5, ["a", "b", "b", "", ""], ["view", "purchase", "click", "", ""], [100, 200, 300, 0, 0]),
    ],
    ids=["any length", "shorter than the history", "longer than the history"],
)
def test_a_model_with_a_fixed_history_length_gets_the_latest_events(
    length: int, item_ids: list[str], kinds: list[str], times: list[int]
) -> None:
    names = ["event_item_id", "event_kind", "event_timestamp"]
    inputs = User(HISTORY, now=400).inputs(names, length)
    assert [value.decode() for value in inputs["event_item_id"][0]] == item_ids
    assert [value.decode() for value in inputs["event_kind"][0]] == kinds
    assert inputs["event_timestamp"].tolist() == [times]


def test_both_clients_have_every_method_of_the_stub() -> None:
    coroutines = inspect.getmembers(RecommenderStub, inspect.iscoroutinefunction)
    methods = {name for name, _ in coroutines if name[0] != "_"} - {"predict_for_user"}
    assert len(methods) == 13
    for kind in (Client, AsyncClient):
        assert methods <= vars(kind).keys()
        assert kind.recommend.__doc__ == RecommenderStub.recommend.__doc__


def test_an_async_client_must_be_created_in_an_event_loop() -> None:
    with pytest.raises(ServingError, match="AsyncClient is created outside of an event loop; create it in a coroutine"):
        AsyncClient()


def test_the_client_imports_no_tensorflow_and_leaves_it_importable() -> None:
    code = (
        "import sys, serving.client\n"
        "assert not {'tensorflow', 'pandas', 'pyarrow', 'httpx'} & set(sys.modules), 'heavy'\n"
        "import tensorflow as tf\n"
        "from serving.wire.protos import PredictRequest\n"
        "request = PredictRequest()\n"
        "request.inputs['x'].CopyFrom(tf.make_tensor_proto([1.5]))\n"
        "print(tf.make_ndarray(request.inputs['x']))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout == "[1.5]\n", done.stderr
    assert tf.__version__
