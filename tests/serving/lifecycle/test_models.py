"""The served models: labels that wait, models that fail, and reloads that wait or are given up.

Policies, labels and refused configurations are held by conformance/test_changes.py.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.api.options import Options
from serving.lifecycle.models import Models
from serving.lifecycle.options import LifecycleOptions
from serving.request.status import StatusError
from serving.server.config_poll import ConfigPoll
from serving.server.embedded import Server, start
from serving.wire.config_protos import read
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

Eventually = Callable[[Callable[[], bool]], None]
FAST = LifecycleOptions(poll_seconds=0.05)
AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE


def config(*models: str) -> ModelServerConfig:
    """Make a configuration from the bodies of its models."""
    text = "".join(f'config {{ model_platform: "tensorflow" {model} }}' for model in models)
    return text_format.Parse(f"model_config_list {{ {text} }}", ModelServerConfig())


def toy(base_path: Path, more: str = "", name: str = "toy") -> str:
    return f'name: "{name}" base_path: "{base_path}" {more}'


def specific(*versions: int) -> str:
    return f"model_version_policy {{ specific {{ {' '.join(f'versions: {number}' for number in versions)} }} }}"


def labeled(**labels: int) -> str:
    return " ".join(f'version_labels {{ key: "{label}" value: {number} }}' for label, number in labels.items())


class Stubs:
    """TensorFlow's own stubs of one server."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.service = model_service_pb2_grpc.ModelServiceStub(channel)

    def version(self, name: str = "toy", **spec: Any) -> int:
        """Predict; return the version that answers, 10 less than its answer."""
        request = predict_pb2.PredictRequest(model_spec={"name": name, **spec})
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
        request.inputs["y"].CopyFrom(tf.make_tensor_proto([10.0]))
        response = self.prediction.Predict(request, timeout=20)
        assert response.outputs["sum"].float_val[0] == 10 + response.model_spec.version.value
        return int(response.model_spec.version.value)

    def states(self, name: str = "toy") -> dict[int, int]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": name})
        return {one.version: one.state for one in self.service.GetModelStatus(request, timeout=20).model_version_status}

    def reload(self, new_config: ModelServerConfig, timeout: float = 60) -> model_management_pb2.ReloadConfigResponse:
        request = model_management_pb2.ReloadConfigRequest()
        request.config.ParseFromString(new_config.SerializeToString())
        return self.service.HandleReloadConfigRequest(request, timeout=timeout)


@contextlib.contextmanager
def connect(server: Server) -> Iterator[Stubs]:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Stubs(channel)


@contextlib.contextmanager
def serving(new_config: ModelServerConfig, lifecycle: LifecycleOptions = FAST) -> Iterator[Stubs]:
    with start(new_config, Options(rest_api_port=None, lifecycle=lifecycle)) as server, connect(server) as stubs:
        yield stubs


@pytest.fixture
def versions(exported: Path, tmp_path: Path) -> Path:
    """A base path with the versions 1, 2 and 3."""
    shutil.copytree(exported, tmp_path / "versions")
    return tmp_path / "versions"


def test_labels_may_wait_for_their_versions_where_that_is_on(versions: Path, eventually: Eventually) -> None:
    new_config = config(toy(versions, specific(1, 2) + labeled(stable=1, canary=2)))
    with pytest.raises(ServingError, match=r"FAILED_PRECONDITION: Request to assign label to version \d of model toy"):
        start(new_config, Options(rest_api_port=None))
    with serving(new_config, LifecycleOptions(poll_seconds=0.05, labels_may_wait=True)) as stubs:
        eventually(lambda: stubs.states() == {1: AVAILABLE, 2: AVAILABLE})
        assert (stubs.version(version_label="stable"), stubs.version(version_label="canary")) == (1, 2)
        # An assigned label moves only to a version that is in service.
        with pytest.raises(grpc.RpcError, match="Request to assign label to version 3"):
            stubs.reload(config(toy(versions, specific(1, 2, 3) + labeled(stable=1, canary=3))))


def test_a_reload_names_a_model_that_can_not_be_loaded_and_the_others_serve(
    versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.lifecycle.version.MAX_RETRY_SECONDS", 0.0)
    (tmp_path / "bad" / "7").mkdir(parents=True)
    (tmp_path / "bad" / "7" / "saved_model.pb").write_bytes(b"not a model")
    with serving(config(toy(versions))) as stubs:
        with pytest.raises(grpc.RpcError, match="did not become available") as caught:
            stubs.reload(config(toy(versions), toy(tmp_path / "bad", name="bad")))
        assert caught.value.code() == grpc.StatusCode.UNKNOWN
        assert caught.value.details().startswith("1 model(s) did not become available: {{{name: bad version: 7} due to")
        assert stubs.version() == 3
        # It is not in service, but it is watched, as in the stock server.
        shutil.copytree(versions / "1", tmp_path / "bad" / "8")
        with pytest.raises(grpc.RpcError, match="Latest"):
            stubs.version("bad")


def test_a_reload_ends_with_its_deadline_and_does_not_hold_up_the_next_one(versions: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with serving(config(toy(versions))) as stubs:
        with pytest.raises(grpc.RpcError, match=r"StatusCode\.DEADLINE_EXCEEDED"):
            stubs.reload(config(toy(versions), toy(tmp_path / "empty", name="empty")), timeout=1)
        stubs.reload(config(toy(versions, specific(2))), timeout=20)


def start_endless_reload(stubs: Stubs, versions: Path, empty: Path) -> grpc.Future:
    """Start a reload that waits, with the configuration's lock, for a model without versions."""
    empty.mkdir()
    request = model_management_pb2.ReloadConfigRequest()
    request.config.ParseFromString(config(toy(versions), toy(empty, name="empty")).SerializeToString())
    return stubs.service.HandleReloadConfigRequest.future(request)


def is_waiting(server: Server) -> bool:
    return "empty" in server.models.in_flight()


def test_a_reload_whose_caller_has_gone_is_given_up(versions: Path, tmp_path: Path, eventually: Eventually) -> None:
    with start(config(toy(versions)), Options(rest_api_port=None, lifecycle=FAST)) as server, connect(server) as stubs:
        call = start_endless_reload(stubs, versions, tmp_path / "empty")
        eventually(lambda: is_waiting(server))
        call.cancel()
        stubs.reload(config(toy(versions, specific(2))), timeout=20)
        eventually(lambda: stubs.version() == 2)


def test_a_reload_whose_deadline_passes_while_it_waits_for_another_one_changes_nothing(
    versions: Path, tmp_path: Path, eventually: Eventually
) -> None:
    with start(config(toy(versions)), Options(rest_api_port=None, lifecycle=FAST)) as server, connect(server) as stubs:
        call = start_endless_reload(stubs, versions, tmp_path / "empty")
        eventually(lambda: is_waiting(server))
        with pytest.raises(grpc.RpcError, match=r"StatusCode\.DEADLINE_EXCEEDED"):
            stubs.reload(config(toy(versions, specific(1))), timeout=0.5)
        call.cancel()
        time.sleep(1)  # by now it could have loaded version 1
        assert stubs.states() == {3: AVAILABLE}


def test_a_stopped_server_refuses_a_configuration(versions: Path) -> None:
    models = Models(FAST)
    models.stop()
    with pytest.raises(StatusError, match="UNAVAILABLE: the server stops"):
        models.configure(config(toy(versions)), lambda: None)
    assert models.statuses("toy") == []


def test_a_server_stops_while_a_reload_waits_without_an_end(
    versions: Path, tmp_path: Path, eventually: Eventually
) -> None:
    server = start(config(toy(versions)), Options(rest_api_port=None, lifecycle=FAST))
    with connect(server) as stubs:
        call = start_endless_reload(stubs, versions, tmp_path / "empty")
        eventually(lambda: is_waiting(server))
        stopping = threading.Thread(target=server.stop, args=(0.5,))
        stopping.start()
        stopping.join(20)
        assert not stopping.is_alive()
        assert call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_a_changed_file_is_loaded_and_a_broken_one_is_not(
    versions: Path, tmp_path: Path, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "models.config"

    def write(text: str) -> None:
        (tmp_path / "next").write_text(text, encoding="utf-8")
        (tmp_path / "next").rename(file)

    write(text_format.MessageToString(config(toy(versions, specific(1)))))
    with (
        start(
            read("--model_config_file", file, ModelServerConfig), Options(rest_api_port=None, lifecycle=FAST)
        ) as server,
        connect(server) as stubs,
        ConfigPoll(server.models, str(file), 0.05),
    ):
        write("model_config_list { config { nonsense } }")
        eventually(lambda: "write it as a ModelServerConfig" in caplog.text)
        assert stubs.version() == 1
        write(text_format.MessageToString(config(toy(versions, specific(3)))))
        eventually(lambda: stubs.version() == 3)
    assert caplog.text.count("write it as a ModelServerConfig") == 1


def test_no_request_fails_while_a_label_moves_back_and_forth(versions: Path, eventually: Eventually) -> None:
    stopping, seen = threading.Event(), set()
    with serving(config(toy(versions, specific(1, 2)))) as stubs:
        eventually(lambda: stubs.states() == {1: AVAILABLE, 2: AVAILABLE})
        stubs.reload(config(toy(versions, specific(1, 2) + labeled(stable=1))))

        def call() -> None:
            while not stopping.is_set():
                try:
                    seen.add(stubs.version(version_label="stable"))
                except Exception as error:
                    seen.add(error)

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        for number in (2, 1, 2, 1, 2):
            stubs.reload(config(toy(versions, specific(1, 2) + labeled(stable=number))))
            eventually(lambda number=number: stubs.version(version_label="stable") == number)
        stopping.set()
        for caller in callers:
            caller.join()
    assert seen == {1, 2}
