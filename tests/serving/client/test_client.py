"""The typed clients, against a real server of the toy model (conftest.py says how it scores).

Whatever has the fixture `client` is asked four times: at once and in an event loop, by gRPC and by REST.
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
from serving.client.stub import Asker
from serving.client.types import EVENT_KINDS, Shopper, item_inputs
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.server.embedded import Server, start
from tfrec import schema
from tfrec.errors import ServingError

HISTORY = [Event("b", "purchase", 200), Event("a", "view", 100, 2.5), Event("b", "click", 300)]


class InALoop:
    """An AsyncClient, each of whose methods is run to its end in one event loop."""

    def __init__(self, target: str) -> None:
        async def make() -> AsyncClient:
            return AsyncClient(target, "toy", timeout_seconds=20)

        self._loop = asyncio.Runner()
        self._client = self._loop.run(make())

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given, **named: self._loop.run(getattr(self._client, name)(*given, **named))

    def __enter__(self) -> InALoop:
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
    with InALoop(at) if in_a_loop else Client(at, "toy", timeout_seconds=20) as client:
        yield client


@pytest.fixture(scope="module")
def by_grpc(server: Server) -> Iterator[Client]:
    with Client(target(server, "gRPC"), "toy", timeout_seconds=20) as client:
        yield client


def ids(items: list[Recommendation]) -> list[tuple[str, float]]:
    return [(item.item_id, item.score) for item in items]


def test_recommend_gives_the_best_items_with_their_titles(client: Client) -> None:
    # b is twice in the history, a once, c never.
    assert client.recommend(HISTORY, k=2) == [
        Recommendation("b", "Brot", 2.0),
        Recommendation("a", "Apple", 1.0),
    ]


def test_the_profile_reaches_the_model_and_is_empty_by_default(client: Client) -> None:
    assert ids(client.recommend([], k=3))[0] == ("a", 0.0)
    assert ids(client.recommend([], profile={"city": "north"}, k=3))[0] == ("c", 0.5)


def test_seen_items_are_left_out_on_request_and_the_answer_is_shorter(client: Client) -> None:
    assert ids(client.recommend(HISTORY, k=3, exclude_seen=True)) == [("c", 0.0)]


@pytest.mark.parametrize(
    ("wishes", "expected"),
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
def test_wishes_reach_the_model_and_there_are_none_by_default(
    client: Client, wishes: dict[str, Any], expected: list[tuple[str, float]]
) -> None:
    assert ids(client.recommend(HISTORY, k=3, **wishes)) == expected


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"exclude": "tea"}, r"exclude is 'tea' but must be a list of texts; write \['tea'\]"),
        ({"categories": "Food"}, "categories is 'Food' but must be a list"),
        ({"diversity": 1.5}, r"diversity is 1.5 but must lie in \[0, 1\]; 0 keeps"),
        ({"diversity": float("nan")}, r"diversity is nan but must lie in \[0, 1\]"),
    ],
)
def test_a_wish_that_can_not_be_is_told(client: Client, wishes: dict[str, Any], text: str) -> None:
    with pytest.raises(ServingError, match=text):
        client.recommend([], **wishes)


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"exclude": ["a"]}, r"exclude is \['a'\] but the served model takes no exclude_item_id; train and push"),
        ({"not_categories": ["Food"]}, "not_categories is .* takes no deny_category"),
        ({"diversity": 0.1}, "diversity is 0.1 but the served model takes no diversity"),
    ],
)
def test_a_wish_that_an_older_model_does_not_take_is_told(client: Client, wishes: dict[str, Any], text: str) -> None:
    # The toy's `search` is as models were before; without a wish it answers as it did.
    assert ids(client.search("茶", k=1)) == [("c", 100.0)]
    with pytest.raises(ServingError, match=text):
        client.search("茶", **wishes)


def test_given_items_come_best_first_without_those_that_are_unknown(client: Client) -> None:
    # b is twice in the history, a once, c never; c is what is searched for, or wanted in the north.
    assert client.rank(HISTORY, ["c", "nobody", "a", "b"]) == [
        Recommendation("b", "B", 2.0),
        Recommendation("a", "A", 1.0),
        Recommendation("c", "C", 0.0),
    ]
    assert ids(client.rank(HISTORY, ["a", "c"], query="茶", profile={"city": "north"})) == [("c", 100.5), ("a", 1.0)]
    assert client.rank(HISTORY, []) == []


def test_chances_come_in_the_order_of_the_items_by_kind_of_event(client: Client) -> None:
    found = client.ctr(HISTORY, ["a", "nobody", "b"])
    assert [(item.item_id, item.is_known) for item in found] == [("a", True), ("nobody", False), ("b", True)]
    assert [item.by_kind for item in found] == [
        {"click": pytest.approx(0.1), "purchase": pytest.approx(0.01)},
        {"click": 0.0, "purchase": 0.0},
        {"click": pytest.approx(0.2), "purchase": pytest.approx(0.02)},
    ]
    assert client.ctr(HISTORY, []) == []


def test_search_ranks_by_the_text_and_the_history(client: Client) -> None:
    assert ids(client.search("茶", k=1)) == [("c", 100.0)]
    assert client.search("茶", HISTORY, k=3) == [
        Recommendation("c", "茶", 100.0),
        Recommendation("b", "Brot", 2.0),
        Recommendation("a", "Apple", 1.0),
    ]


def test_similar_items_answers_for_each_item(client: Client) -> None:
    # Distances in the alphabet: from a to b 1, to c 2; from c to b 1, to a 2.
    assert [ids(items) for items in client.similar_items(["a", "c"], k=2)] == [
        [("a", 0.0), ("b", -1.0)],
        [("c", 0.0), ("b", -1.0)],
    ]


def test_a_model_without_complements_says_what_it_serves(client: Client) -> None:
    with pytest.raises(
        ServingError, match=r"signature is 'complementary_items' but model 'toy' at .* serves ctr, embed_item,"
    ):
        client.complementary_items(["a"])
    with pytest.raises(
        ServingError, match=r"train and push a model with this tfrec \(ctr and complementary_items want "
    ):
        client.complementary_items(["a"])


def test_embed_query_sends_the_events_in_time_order_and_the_time_of_the_request(client: Client) -> None:
    # Counts of a and b, the last event's timestamp, now.
    assert client.embed_query(HISTORY, now=400).tolist() == [1.0, 2.0, 300.0, 400.0]


def test_the_time_of_a_request_is_the_servers_business_by_default(client: Client) -> None:
    # Its clock, or the place behind the last event: a client can't know how the model counts.
    assert client.embed_query()[3] == 0


def test_embed_items_reads_texts_and_prices(client: Client) -> None:
    items = [Item("Tea", brand="Xy", price=3.5), Item("Apple pie")]
    assert client.embed_items(items).tolist() == [[3.0, 2.0, 3.5], [9.0, 0.0, 0.0]]


def test_attributes_of_items_are_those_that_the_model_was_trained_with(client: Client) -> None:
    with pytest.raises(ServingError, match="item attribute is 'colour' but the served model knows none"):
        client.embed_items([Item("Tea"), Item("Mug", attributes={"colour": "blue"})])
    names = ["item_id", "item_title", "item_colour", "item_size"]
    inputs = item_inputs([Item("Tea"), Item("Mug", attributes={"colour": "blue"})], names)
    assert inputs["item_colour"].tolist() == [b"", b"blue"]
    assert inputs["item_size"].tolist() == [b"", b""]


def test_signatures_say_names_types_and_shapes(client: Client) -> None:
    signatures = client.signatures()
    assert "__saved_model_init_op" not in signatures
    assert signatures["recommend"].inputs["event_item_id"] == Tensor("string", (-1, -1))
    assert signatures["recommend"].outputs["score"] == Tensor("float", (-1, 3))


def test_status_lists_versions(client: Client) -> None:
    assert client.status() == [VersionStatus(1, "AVAILABLE", "")]


def test_any_signature_can_be_asked_for_some_of_its_outputs(client: Client) -> None:
    # Version 1 is 1 x + y.
    inputs = {"x": np.array([1.5, float("nan")], np.float32), "y": np.array([2.0, 0.0], np.float32)}
    outputs = client.predict("serving_default", inputs, ["sum"])
    assert list(outputs) == ["sum"]
    assert outputs["sum"].dtype == np.float32
    np.testing.assert_array_equal(outputs["sum"], np.array([3.5, float("nan")], np.float32))


def test_values_of_every_type_come_back_as_they_were_sent(client: Client) -> None:
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


def test_more_than_4_mb_are_answered(by_grpc: Client) -> None:
    client = by_grpc
    many = np.arange(1_500_000, dtype=np.float32)  # 6 MB
    outputs = client.predict("serving_default", {"x": many, "y": many[:1]}, ["sum"])
    assert list(outputs) == ["sum"]
    assert outputs["sum"][-1] == 1_499_999.0


def test_k_above_what_is_served_is_told(client: Client) -> None:
    with pytest.raises(ServingError, match="k is 500 but the server returns at most 3 items; lower k, or export"):
        client.recommend([], k=500)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_told(client: Client, k: int) -> None:
    with pytest.raises(ServingError, match=f"k is {k} but must be at least 1"):
        client.similar_items(["a"], k=k)


def test_a_profile_column_that_the_model_lacks_is_told(client: Client) -> None:
    with pytest.raises(ServingError, match="profile column is 'age' but the served model knows city; drop it"):
        client.recommend([], profile={"age": "40"})


def test_an_event_kind_that_is_none_is_told() -> None:
    with pytest.raises(ServingError, match="kind is 'bought' but must be one of view, click"):
        Event("a", "bought")


def test_the_kinds_of_events_are_those_of_the_schema() -> None:
    assert EVENT_KINDS == schema.EVENT_KINDS


def test_a_refusal_says_who_refused_what(by_grpc: Client) -> None:
    with pytest.raises(CallError, match=r"refused nope of 'toy': Serving signature key \"nope\" not found") as caught:
        by_grpc.predict("nope", {})
    assert caught.value.code == grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_a_model_that_is_not_served_is_told(server: Server, protocol: str) -> None:
    with Client(target(server, protocol), "other") as client:
        text = r"refused its metadata of 'other': Servable not found for request: Latest\(other\) \(NOT_FOUND\)"
        with pytest.raises(ServingError, match=text):
            client.recommend([])


@pytest.mark.parametrize("target", ["127.0.0.1:1", "http://127.0.0.1:1"])
def test_an_unreachable_server_is_told_with_its_target_and_the_cure(target: str) -> None:
    with Client(target, timeout_seconds=2) as client:
        text = f"target is {target} but no model server answers there .*; start one with `tfrec serve`"
        for ask in (lambda: client.recommend([]), client.status, lambda: client.predict("recommend", {})):
            with pytest.raises(ServingError, match=text):
                ask()


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_server_that_does_not_answer_in_time_is_told(scheme: str) -> None:
    async def ask(target: str) -> None:
        async with AsyncClient(target, timeout_seconds=0.3) as client:
            await client.status()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"{scheme}127.0.0.1:{silent.getsockname()[1]}"
        text = r"did not answer its status within timeout_seconds=0\.3; raise timeout_seconds"
        with Client(target, timeout_seconds=0.3) as client, pytest.raises(CallError, match=text) as caught:
            client.status()
        assert caught.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(CallError, match=text):
            asyncio.run(ask(target))


def test_a_client_made_before_its_server_finds_it_later(exported: Path) -> None:
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
def test_a_new_version_with_other_inputs_is_asked_as_it_wants(
    base_path: Path,
    exported: Path,
    eventually: Callable[[Callable[[], bool]], None],
    rename_input: Callable[[Path, str, str], None],
    protocol: str,
) -> None:
    """Version 2 calls the profile column user_town: the client learns it at its next question."""
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
def test_a_model_of_a_fixed_history_length_gets_the_latest_events(
    length: int, item_ids: list[str], kinds: list[str], times: list[int]
) -> None:
    names = ["event_item_id", "event_kind", "event_timestamp"]
    inputs = Shopper(HISTORY, now=400).inputs(names, length)
    assert [value.decode() for value in inputs["event_item_id"][0]] == item_ids
    assert [value.decode() for value in inputs["event_kind"][0]] == kinds
    assert inputs["event_timestamp"].tolist() == [times]


def test_both_clients_have_every_question() -> None:
    questions = {name for name, _ in inspect.getmembers(Asker, inspect.iscoroutinefunction) if name[0] != "_"} - {"ask"}
    assert len(questions) == 13
    for kind in (Client, AsyncClient):
        assert questions <= vars(kind).keys()
        assert kind.recommend.__doc__ == Asker.recommend.__doc__


def test_a_client_of_a_loop_is_made_within_it() -> None:
    with pytest.raises(ServingError, match="AsyncClient is made outside of an event loop; make it in a coroutine"):
        AsyncClient()


def test_importing_the_client_imports_no_tensorflow_and_leaves_it_importable() -> None:
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
