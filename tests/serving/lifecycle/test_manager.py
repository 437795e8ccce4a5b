"""Several models, policies and labels: by a file, by a call, and while requests come in."""

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
from serving.lifecycle.manager import Models
from serving.lifecycle.options import LifecycleOptions
from serving.request.status import StatusError
from serving.server.config_poll import ConfigPoll
from serving.server.embedded import Server, start
from serving.wire.config_protos import read
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

Eventually = Callable[[Callable[[], bool]], None]
FAST = LifecycleOptions(poll_seconds=0.05)


def config(*models: str) -> ModelServerConfig:
    """Of the bodies of `config {...}`."""
    text = "".join(f'config {{ model_platform: "tensorflow" {model} }}' for model in models)
    return text_format.Parse(f"model_config_list {{ {text} }}", ModelServerConfig())


def toy(base_path: Path, more: str = "", name: str = "toy") -> str:
    return f'name: "{name}" base_path: "{base_path}" {more}'


def specific(*versions: int) -> str:
    return f"model_version_policy {{ specific {{ {' '.join(f'versions: {number}' for number in versions)} }} }}"


def labelled(**labels: int) -> str:
    return " ".join(f'version_labels {{ key: "{label}" value: {number} }}' for label, number in labels.items())


class Asked:
    """TensorFlow's own stubs."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.service = model_service_pb2_grpc.ModelServiceStub(channel)

    def version(self, name: str = "toy", **spec: Any) -> int:
        """Which version answers; its answer is 10 more than its number."""
        request = predict_pb2.PredictRequest(model_spec={"name": name, **spec})
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
        request.inputs["y"].CopyFrom(tf.make_tensor_proto([10.0]))
        response = self.prediction.Predict(request, timeout=20)
        assert response.outputs["sum"].float_val[0] == 10 + response.model_spec.version.value
        return int(response.model_spec.version.value)

    def states(self, name: str = "toy") -> dict[int, int]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": name})
        return {one.version: one.state for one in self.service.GetModelStatus(request, timeout=20).model_version_status}

    def reload(self, wanted: ModelServerConfig, timeout: float = 60) -> model_management_pb2.ReloadConfigResponse:
        request = model_management_pb2.ReloadConfigRequest()
        request.config.ParseFromString(wanted.SerializeToString())
        return self.service.HandleReloadConfigRequest(request, timeout=timeout)


@contextlib.contextmanager
def asked(server: Server) -> Iterator[Asked]:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Asked(channel)


@contextlib.contextmanager
def served(wanted: ModelServerConfig, lifecycle: LifecycleOptions = FAST) -> Iterator[Asked]:
    with start(wanted, Options(rest_api_port=None, lifecycle=lifecycle)) as server, asked(server) as ask:
        yield ask


@pytest.fixture
def versions(exported: Path, tmp_path: Path) -> Path:
    """A base path with the versions 1, 2 and 3."""
    shutil.copytree(exported, tmp_path / "versions")
    return tmp_path / "versions"


def test_several_models_are_served_by_a_file_each_by_its_policy(
    versions: Path, tmp_path: Path, eventually: Eventually
) -> None:
    file = tmp_path / "models.config"
    wanted = config(toy(versions), toy(versions, specific(1, 2), name="other"))
    file.write_text(text_format.MessageToString(wanted), encoding="utf-8")
    with served(read("--model_config_file", file, ModelServerConfig)) as ask:
        assert (ask.version(), ask.version("other")) == (3, 2)
        eventually(lambda: ask.states("other") == {2: 30, 1: 30})
        assert list(ask.states("other")) == [2, 1]  # the newest first
        assert ask.version("other", version={"value": 1}) == 1
        with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Specific\(other, 3\)"):
            ask.version("other", version={"value": 3})


def test_a_label_leads_to_its_version_and_moves_by_a_reload(versions: Path, eventually: Eventually) -> None:
    with served(config(toy(versions, specific(1)))) as ask:
        with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: stable"):
            ask.version(version_label="stable")
        ask.reload(config(toy(versions, specific(1, 2) + labelled(stable=1))))
        assert ask.version(version_label="stable") == 1
        eventually(lambda: 2 in ask.states() and ask.version() == 2)
        ask.reload(config(toy(versions, specific(1, 2) + labelled(stable=1, canary=2))))
        assert (ask.version(version_label="stable"), ask.version(version_label="canary")) == (1, 2)
        ask.reload(config(toy(versions, specific(1, 2) + labelled(stable=2))))
        assert ask.version(version_label="stable") == 2
        with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: canary"):
            ask.version(version_label="canary")


def test_a_label_of_a_version_that_is_not_in_service_is_refused_and_all_stays(versions: Path) -> None:
    with served(config(toy(versions, specific(1)))) as ask:
        with pytest.raises(grpc.RpcError) as caught:
            ask.reload(config(toy(versions, specific(1, 2) + labelled(canary=2))))
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == (
            "Request to assign label to version 2 of model toy, which is not currently available for inference"
        )
        assert ask.states() == {1: 30}
        assert ask.version() == 1


def test_labels_may_wait_for_their_versions_where_it_is_allowed(versions: Path, eventually: Eventually) -> None:
    wanted = config(toy(versions, specific(1, 2) + labelled(stable=1, canary=2)))
    with pytest.raises(ServingError, match=r"FAILED_PRECONDITION: Request to assign label to version \d of model toy"):
        start(wanted, Options(rest_api_port=None))
    with served(wanted, LifecycleOptions(poll_seconds=0.05, labels_may_wait=True)) as ask:
        eventually(lambda: set(ask.states().values()) == {30})
        assert (ask.version(version_label="stable"), ask.version(version_label="canary")) == (1, 2)
        # One that is assigned moves only to a version that is in service.
        with pytest.raises(grpc.RpcError, match="Request to assign label to version 3"):
            ask.reload(config(toy(versions, specific(1, 2, 3) + labelled(stable=1, canary=3))))


def test_a_reload_adds_models_and_removes_those_that_it_leaves_out(versions: Path, eventually: Eventually) -> None:
    with served(config(toy(versions))) as ask:
        response = ask.reload(config(toy(versions, name="new")))
        assert (response.status.error_code, response.status.error_message) == (0, "")
        assert ask.version("new") == 3
        with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Latest\(toy\)"):
            ask.version()
        assert ask.states() == {3: 50}  # it is known that it was there
        ask.reload(config(toy(versions, specific(1)), toy(versions, name="new")))
        assert (ask.version(), ask.version("new")) == (1, 3)
        assert ask.states() == {1: 30}


@pytest.mark.parametrize(
    ("models", "code", "text"),
    [
        ([], "INVALID_ARGUMENT", "Only ModelConfigList is currently supported"),
        (["PATH", "PATH"], "INVALID_ARGUMENT", "Illegal to list model toy multiple times in config list"),
        (
            ["relative"],
            "INVALID_ARGUMENT",
            r"Expected model toy to have an absolute path or URI; got base_path\(\)=rel",
        ),
        (["tflite"], "INVALID_ARGUMENT", "For model toy platform was tensorflow and new platform requested is tflite"),
    ],
)
def test_a_wrong_configuration_is_refused_and_all_stays(
    versions: Path, models: list[str], code: str, text: str
) -> None:
    wanted = config(*(toy(Path("relative") if model == "relative" else versions) for model in models))
    if not models:
        wanted = ModelServerConfig()
    if models == ["tflite"]:
        wanted.model_config_list.config[0].model_platform = "tflite"
    with served(config(toy(versions))) as ask:
        with pytest.raises(grpc.RpcError, match=text) as caught:
            ask.reload(wanted)
        assert caught.value.code().name == code
        assert ask.version() == 3


def test_a_model_that_can_not_be_loaded_is_told_and_the_others_serve(
    versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.lifecycle.version.MAX_RETRY_SECONDS", 0.0)
    (tmp_path / "bad" / "7").mkdir(parents=True)
    (tmp_path / "bad" / "7" / "saved_model.pb").write_bytes(b"not a model")
    with served(config(toy(versions))) as ask:
        with pytest.raises(grpc.RpcError) as caught:
            ask.reload(config(toy(versions), toy(tmp_path / "bad", name="bad")))
        assert caught.value.code() == grpc.StatusCode.UNKNOWN
        assert caught.value.details().startswith("1 model(s) did not become available: {{{name: bad version: 7} due to")
        assert ask.version() == 3
        # It did not come, but it is watched, as in the stock server.
        shutil.copytree(versions / "1", tmp_path / "bad" / "8")
        with pytest.raises(grpc.RpcError, match="Latest"):
            ask.version("bad")


def test_a_reload_ends_with_its_callers_patience_and_the_next_one_is_not_held_up(
    versions: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with served(config(toy(versions))) as ask:
        with pytest.raises(grpc.RpcError) as caught:
            ask.reload(config(toy(versions), toy(tmp_path / "empty", name="empty")), timeout=1)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        ask.reload(config(toy(versions, specific(2))), timeout=20)


def waiting_for_nothing(ask: Asked, versions: Path, empty: Path) -> grpc.Future:
    """A reload without an end that waits for a model of which no version comes; it has the configuration's lock."""
    empty.mkdir()
    request = model_management_pb2.ReloadConfigRequest()
    request.config.ParseFromString(config(toy(versions), toy(empty, name="empty")).SerializeToString())
    return ask.service.HandleReloadConfigRequest.future(request)


def is_waiting(server: Server) -> bool:
    return "empty" in server.models._watched


def test_a_reload_whose_caller_has_gone_is_given_up(versions: Path, tmp_path: Path, eventually: Eventually) -> None:
    with start(config(toy(versions)), Options(rest_api_port=None, lifecycle=FAST)) as server, asked(server) as ask:
        call = waiting_for_nothing(ask, versions, tmp_path / "empty")
        eventually(lambda: is_waiting(server))
        call.cancel()
        ask.reload(config(toy(versions, specific(2))), timeout=20)
        eventually(lambda: ask.version() == 2)


def test_a_reload_that_waits_for_another_one_in_vain_is_not_made(
    versions: Path, tmp_path: Path, eventually: Eventually
) -> None:
    with start(config(toy(versions)), Options(rest_api_port=None, lifecycle=FAST)) as server, asked(server) as ask:
        call = waiting_for_nothing(ask, versions, tmp_path / "empty")
        eventually(lambda: is_waiting(server))
        with pytest.raises(grpc.RpcError) as caught:
            ask.reload(config(toy(versions, specific(1))), timeout=0.5)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        call.cancel()
        time.sleep(1)  # it would have had its turn by now, and loaded version 1
        assert ask.states() == {3: 30}


def test_a_stopped_server_takes_no_configuration_up(versions: Path) -> None:
    models = Models(FAST)
    models.stop()
    with pytest.raises(StatusError, match="UNAVAILABLE: the server stops"):
        models.configure(config(toy(versions)), lambda: None)
    assert models.statuses("toy") == []


def test_a_server_stops_although_a_reload_waits_without_an_end(
    versions: Path, tmp_path: Path, eventually: Eventually
) -> None:
    server = start(config(toy(versions)), Options(rest_api_port=None, lifecycle=FAST))
    with asked(server) as ask:
        call = waiting_for_nothing(ask, versions, tmp_path / "empty")
        eventually(lambda: is_waiting(server))
        stopping = threading.Thread(target=server.stop, args=(0.5,))
        stopping.start()
        stopping.join(20)
        assert not stopping.is_alive()
        assert call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_a_file_that_changes_is_taken_up_and_a_broken_one_is_not(
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
        asked(server) as ask,
        ConfigPoll(server.models, str(file), 0.05),
    ):
        write("model_config_list { config { nonsense } }")
        eventually(lambda: "write it as a ModelServerConfig" in caplog.text)
        assert ask.version() == 1
        write(text_format.MessageToString(config(toy(versions, specific(3)))))
        eventually(lambda: ask.version() == 3)
    assert caplog.text.count("write it as a ModelServerConfig") == 1


def test_no_request_fails_while_a_label_moves_to_and_fro(versions: Path, eventually: Eventually) -> None:
    stopping, seen = threading.Event(), set()
    with served(config(toy(versions, specific(1, 2)))) as ask:
        eventually(lambda: set(ask.states().values()) == {30} and len(ask.states()) == 2)
        ask.reload(config(toy(versions, specific(1, 2) + labelled(stable=1))))

        def go_on() -> None:
            while not stopping.is_set():
                try:
                    seen.add(ask.version(version_label="stable"))
                except Exception as error:
                    seen.add(error)

        askers = [threading.Thread(target=go_on) for _ in range(4)]
        for asker in askers:
            asker.start()
        for number in (2, 1, 2, 1, 2):
            ask.reload(config(toy(versions, specific(1, 2) + labelled(stable=number))))
            eventually(lambda number=number: ask.version(version_label="stable") == number)
        stopping.set()
        for asker in askers:
            asker.join()
    assert seen == {1, 2}
