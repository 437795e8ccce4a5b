"""A server with the default flags whose models change: reloads, policies, labels, failures."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.serving import processes
from tests.serving.conformance import changes, headers, models, predict, toy
from tests.serving.conformance.changes import file_of, labeled, model, reload, specific
from tests.serving.conformance.row import ANY, Like, Rest

pytestmark = pytest.mark.slow  # the server is a process of TensorFlow

Eventually = Callable[[Callable[[], bool]], None]
AVAILABLE, END = ("AVAILABLE", 0, ""), ("END", 0, "")
SUMS = {
    1: predict.BY_1,
    2: predict.BOTH,
    3: predict.DIFFERENCE | {"sum": [13.0, 26.0]},  # 3 * 1 + 10, 3 * 2 + 20
}


@dataclasses.dataclass(frozen=True)
class Changing:
    """A running server and the folder of the versions of `toy`."""

    channel: grpc.Channel
    rest: str
    base_path: Path
    exported: Path

    def push(self, version: int, as_name: str = "") -> Path:
        """Copy a version as a push does, with a rename at the end."""
        staged = shutil.copytree(self.exported / str(version), self.base_path / ".tmp")
        return staged.rename(self.base_path / (as_name or str(version)))

    def reload(self, *configs: str) -> None:
        """Reload the configuration; fail when it is refused."""
        reload(file_of(*configs)).check(self.channel)

    def check_version(self, version: int, /, **spec: Any) -> None:
        """Fail when another version answers."""
        predict.answered(predict.request(**spec), SUMS[version], "serving_default", version).check(self.channel)

    def states(self, name: str = "toy") -> dict[int, tuple[str, int, str]]:
        """State, code and text of each version since the start; empty for an unknown model."""
        _, _, answer = models.status(models.status_of(name=name)).send(self.channel)
        return {version: (state, code, text) for version, state, code, text in answer or ()}


@pytest.fixture(scope="module")
def server(own: None, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changing]:
    root = tmp_path_factory.mktemp("changing")
    base_path = root / "toy"
    shutil.copytree(folder / "toy" / "1", base_path / "1")
    with (
        processes.running("--file_system_poll_wait_seconds=0.2", base_path=base_path) as running,
        grpc.insecure_channel(running.target) as channel,
    ):
        yield Changing(channel, running.rest, base_path, folder / "toy")


@pytest.fixture
def changing(server: Changing, eventually: Eventually) -> Changing:
    """The server with version 1 alone in its folder and the default policy."""
    server.reload(model(server.base_path))
    for version in server.base_path.iterdir():
        if version.name != "1":
            shutil.rmtree(version)
    eventually(lambda: [number for number, state in server.states().items() if state == AVAILABLE] == [1])
    return server


@pytest.mark.parametrize("name", changes.REFUSALS)
def test_a_refused_configuration_changes_nothing(changing: Changing, name: str) -> None:
    changes.refusals(changing.base_path)[name].check(changing.channel)
    assert changing.states()[1] == AVAILABLE
    changing.check_version(1)


def test_a_pushed_version_takes_over_and_the_old_one_ends(changing: Changing, eventually: Eventually) -> None:
    changing.push(2)
    eventually(lambda: changing.states().get(1) == END)
    changing.check_version(2)
    predict.refused(
        predict.request(version={"value": 1}), "Servable not found for request: Specific(toy, 1)", "NOT_FOUND"
    ).check(changing.channel)


def test_versions_are_ordered_by_number_not_by_name(changing: Changing, eventually: Eventually) -> None:
    changing.push(2, as_name="0010")
    changing.push(3, as_name="9")
    eventually(lambda: changing.states().get(10) == AVAILABLE)
    row = predict.answered(predict.request(), SUMS[2], "serving_default", 10)
    row.check(changing.channel)


def test_a_folder_whose_name_is_not_a_number_is_not_a_version(changing: Changing, eventually: Eventually) -> None:
    for name in ("tmp_77", "77.0", "v77", "77x"):
        changing.push(2, as_name=name)
    changing.push(3)
    eventually(lambda: changing.states().get(3) == AVAILABLE)
    assert 77 not in changing.states()
    changing.check_version(3)


def test_deleting_the_latest_version_goes_back_to_the_one_before(changing: Changing, eventually: Eventually) -> None:
    changing.push(2)
    eventually(lambda: changing.states().get(2) == AVAILABLE)
    shutil.rmtree(changing.base_path / "2")
    eventually(lambda: changing.states().get(1) == AVAILABLE and changing.states().get(2) == END)
    changing.check_version(1)


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", [3]),
        ("model_version_policy { latest { num_versions: 2 } }", [2, 3]),
        ("model_version_policy { all {} }", [1, 2, 3]),
        (specific(1, 3), [1, 3]),
    ],
    ids=["default", "latest", "all", "specific"],
)
def test_a_policy_selects_the_versions_in_service(
    changing: Changing, eventually: Eventually, policy: str, served: list[int]
) -> None:
    changing.push(2)
    changing.push(3)
    changing.reload(model(changing.base_path, policy))
    eventually(
        lambda: [number for number in sorted(changing.states()) if changing.states()[number] == AVAILABLE] == served
    )
    changing.check_version(3)
    for number in served:
        changing.check_version(number, version={"value": number})


def test_a_label_moves_by_a_reload_and_is_removed_by_the_next(changing: Changing, eventually: Eventually) -> None:
    changing.push(2)
    both = specific(1, 2)
    changing.reload(model(changing.base_path, both))
    eventually(lambda: changing.states().get(2) == AVAILABLE)
    changing.reload(model(changing.base_path, both + labeled(stable=1, canary=2)))
    changing.check_version(1, version_label="stable")
    changing.check_version(2, version_label="canary")
    changing.reload(model(changing.base_path, both + labeled(stable=2)))
    changing.check_version(2, version_label="stable")
    predict.refused(predict.request(version_label="canary"), "Unrecognized servable version label: canary").check(
        changing.channel
    )


def test_a_reload_adds_models_and_removes_those_that_it_omits(changing: Changing, eventually: Eventually) -> None:
    changing.reload(model(changing.base_path, name="new"))
    predict.refused(predict.request(), "Servable not found for request: Latest(toy)", "NOT_FOUND").check(
        changing.channel
    )
    assert changing.states("new") == {1: AVAILABLE}
    eventually(lambda: changing.states()[1] == END)
    changing.reload(model(changing.base_path), model(changing.base_path, name="new"))
    changing.check_version(1)


def test_a_reload_returns_the_increase_of_the_metrics_that_it_names(changing: Changing) -> None:
    """The first series of each metric by its labels; 0 for a histogram and an unknown name."""
    path = shutil.copytree(changing.exported / "1", changing.base_path.parent / "aaa" / "1").parent
    toy, first = model(changing.base_path), model(path, name="aaa")
    changing.reload(toy, first)
    changing.reload(toy)
    grown = {
        "/tensorflow/cc/saved_model/load_attempt_count": 1,  # of /.../aaa/1, which comes before /.../toy/1
        "/tensorflow/serving/request_count": 0,
        "/tensorflow/serving/request_latency": 0,
        "/not/there": 0,
    }
    reload(file_of(toy, first), grown).check(changing.channel)
    changing.reload(toy)


def test_a_metric_named_twice_in_a_reload_is_returned_once(changing: Changing) -> None:
    row = reload(file_of(model(changing.base_path)), {"/not/there": 0})
    row.request.metric_names.append("/not/there")
    row.check(changing.channel)


def test_a_failing_warm_up_fails_the_version_and_keeps_the_old_one(changing: Changing, eventually: Eventually) -> None:
    staged = changing.push(2, as_name="tmp_2")
    log = prediction_log_pb2.PredictionLog(predict_log={"request": predict.request("nope")})
    (staged / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(staged / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    staged.rename(changing.base_path / "102")
    eventually(lambda: 102 in changing.states() and changing.states()[102][1] != 0)
    # FAILED_PRECONDITION
    assert changing.states()[102] == ("END", 9, 'Serving signature key "nope" not found.')
    changing.check_version(1)


def test_an_unknown_op_fails_the_version(changing: Changing, eventually: Eventually) -> None:
    staged = changing.push(2, as_name="tmp_2")
    toy.break_op(staged, "TFText>NotThere")
    staged.rename(changing.base_path / "103")
    eventually(lambda: 103 in changing.states() and changing.states()[103][1] != 0)
    text = Like(
        r"Op type not registered 'TFText>NotThere' in binary running on .*\. Make sure the Op and Kernel are .*"
    )
    assert changing.states()[103] == ("END", 5, text)  # NOT_FOUND
    changing.check_version(1)


def test_health_cors_and_metrics_are_off_without_their_flags(changing: Changing) -> None:
    models.health("", code="UNIMPLEMENTED", text=ANY).check(changing.channel)
    nobody = dict.fromkeys(headers.ALLOWED)
    with httpx.Client(base_url=changing.rest, trust_env=False) as http:
        headers.posted(headers=headers.ORIGIN, answer=None, answered_headers=nobody).check(http)
        Rest(method="OPTIONS", path=headers.PATH, headers=headers.ORIGIN, answered_headers=nobody).check(http)
        Rest(method="GET", path="/monitoring/prometheus/metrics", status=404, answered_headers={}).check(http)
