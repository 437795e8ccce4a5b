"""Versions under a base path: which are found, how they come into service, fail, heal and retire."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from serving.lifecycle.model import Model
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.lifecycle.storage import find_versions, wanted
from serving.lifecycle.warmup import MAX_RECORDS, WARMUP_FILE
from serving.lifecycle.watcher import Watcher
from serving.request.status import Code, StatusError
from serving.servable.servable import Threads
from serving.wire.protos import PredictionLog, VersionPolicy
from serving.wire.tensors import to_proto

Eventually = Callable[[Callable[[], bool]], None]
ONE, TEN = np.array([1.0], np.float32), np.array([10.0], np.float32)


def look(model: Model, base_path: Path) -> None:
    """One look at the base path, as the watcher does every second."""
    model.aspire(wanted(find_versions(base_path)))


def answer(model: Model, version: int | None = None) -> tuple[int, float]:
    """Which version answered, and its 1 * scale + 10: 10 more than the version's number."""
    with model.use(version) as (number, servable):
        return number, servable.predict("", {"x": ONE, "y": TEN})["sum"][0]


def states(model: Model) -> dict[int, str]:
    return {status.number: status.state for status in model.statuses()}


def push(exported: Path, base_path: Path, version: int) -> Path:
    """Puts a version into service as the pipeline does: staged, then renamed."""
    staged = base_path / f".tmp-{version}"
    shutil.copytree(exported / str(version), staged)
    return staged.rename(base_path / str(version))


def corrupt(path: Path) -> None:
    (path / "saved_model.pb").write_bytes(b"not a model")


def write_warmup(path: Path, log: PredictionLog, count: int = 1) -> None:
    (path / WARMUP_FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path / WARMUP_FILE)) as writer:
        for _ in range(count):
            writer.write(log.SerializeToString())


def warmup_request(**inputs: np.ndarray) -> PredictionLog:
    log = PredictionLog()
    for name, array in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(to_proto(array))
    return log


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model("toy")
    yield model
    model.stop()


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("5", 5),
        ("00005", 5),
        ("-3", -3),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        (".tmp-5", None),
        ("tmp_5", None),
        ("5.staging", None),
        ("5_1", None),
        ("v5", None),
        ("5 ", None),
        ("٥", None),
    ],
)
def test_only_an_int64_names_a_version(tmp_path: Path, name: str, version: int | None) -> None:
    (tmp_path / name).mkdir()
    assert list(find_versions(tmp_path)) == ([] if version is None else [version])


def test_the_latest_version_is_the_highest_number_not_the_last_name() -> None:
    assert wanted({9: Path("9"), 10: Path("10"), -1: Path("-1")}) == {10: Path("10")}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", [10]),
        ("latest {}", [10]),  # 0 is none given
        ("latest { num_versions: 2 }", [9, 10]),
        ("latest { num_versions: 9 }", [-1, 9, 10]),
        ("all {}", [-1, 9, 10]),
        ("specific { versions: 10 versions: -1 versions: 7 }", [-1, 10]),  # there is no 7
        ("specific {}", []),
    ],
)
def test_a_policy_says_which_versions_are_wanted(policy: str, expected: list[int]) -> None:
    versions = {9: Path("9"), 10: Path("10"), -1: Path("-1")}
    assert sorted(wanted(versions, text_format.Parse(policy, VersionPolicy()))) == expected


def test_a_new_version_takes_over_and_the_old_one_is_unloaded(
    model: Model, exported: Path, base_path: Path, eventually: Eventually
) -> None:
    look(model, base_path)
    assert (answer(model), states(model)) == ((1, 11.0), {1: "AVAILABLE"})
    push(exported, base_path, 2)
    look(model, base_path)
    assert answer(model) == (2, 12.0)
    eventually(lambda: states(model) == {1: "END", 2: "AVAILABLE"})
    with pytest.raises(StatusError, match=r"NOT_FOUND: Servable not found for request: Specific\(toy, 1\)"):
        answer(model, 1)


def test_a_request_in_flight_finishes_on_the_version_it_began_with(
    model: Model, exported: Path, base_path: Path, eventually: Eventually
) -> None:
    look(model, base_path)
    with model.use() as (number, servable):
        push(exported, base_path, 2)
        look(model, base_path)
        assert answer(model) == (2, 12.0)
        look(model, base_path)  # a second look must not close it either
        assert states(model) == {1: "UNLOADING", 2: "AVAILABLE"}
        assert (number, servable.predict("", {"x": ONE, "y": TEN})["sum"][0]) == (1, 11.0)
    eventually(lambda: states(model) == {1: "END", 2: "AVAILABLE"})


def test_a_corrupted_version_leaves_the_old_one_in_service(model: Model, exported: Path, base_path: Path) -> None:
    look(model, base_path)
    shutil.copytree(exported / "2", base_path / ".tmp-2")
    corrupt(base_path / ".tmp-2")
    (base_path / ".tmp-2").rename(base_path / "2")
    look(model, base_path)
    assert (answer(model), states(model)) == ((1, 11.0), {1: "AVAILABLE", 2: "END"})
    (failed,) = [status for status in model.statuses() if status.number == 2]
    assert failed.error is not None
    assert "Cannot parse file" in failed.error.message


def test_a_half_copied_version_heals_once_its_files_are_there(model: Model, exported: Path, base_path: Path) -> None:
    look(model, base_path)
    (base_path / "2").mkdir()
    look(model, base_path)
    assert states(model) == {1: "AVAILABLE", 2: "END"}
    shutil.copytree(exported / "2", base_path / "2", dirs_exist_ok=True)
    look(model, base_path)  # at once: not after the wait that a failed version has to sit out
    assert answer(model) == (2, 12.0)


def test_a_version_that_keeps_failing_is_given_up_after_five_retries(
    model: Model, base_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.lifecycle.version.MAX_RETRY_SECONDS", 0.0)
    corrupt(base_path / "1")
    for _ in range(5):
        look(model, base_path)
        assert not model.wait_until_decided(0)
    look(model, base_path)
    assert model.wait_until_decided(0)
    assert not model.is_available()


def test_a_version_that_fails_in_an_unforeseen_way_is_told_as_any_other(base_path: Path) -> None:
    model = Model("toy", LifecycleOptions(threads=Threads(intra_op=2**40)))  # more than TensorFlow's own settings hold
    look(model, base_path)
    (status,) = model.statuses()
    assert status.state == "END"
    with pytest.raises(StatusError, match=r"UNKNOWN: .*out of range"):
        raise status.error or AssertionError("no error")


def test_a_failed_version_waits_before_it_is_tried_again(
    model: Model, base_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corrupt(base_path / "1")
    look(model, base_path)
    look(model, base_path)
    assert [record.message[:25] for record in caplog.records] == ["Loading version 1 of toy "]


def test_warm_up_requests_are_replayed_before_a_version_is_in_service(
    model: Model, base_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    write_warmup(base_path / "1", warmup_request(x=ONE, y=TEN), count=3)
    look(model, base_path)
    assert answer(model) == (1, 11.0)
    assert "Number of warmup records read: 3" in caplog.text


BAD_WARMUPS = {
    "a request that the model refuses": (
        warmup_request(x=ONE),
        1,
        "input size does not match signature: 1!=2",
    ),
    "a log without a request": (PredictionLog(), 1, "Unsupported log_type for warmup: 0"),
    "too many": (warmup_request(x=ONE, y=TEN), MAX_RECORDS + 1, r"exceeds the maximum \(1000\)"),
}


@pytest.mark.parametrize("case", BAD_WARMUPS.values(), ids=BAD_WARMUPS.keys())
def test_a_failing_warm_up_fails_the_version_and_leaves_the_old_one(
    model: Model, exported: Path, base_path: Path, case: tuple[PredictionLog, int, str]
) -> None:
    log, count, text = case
    look(model, base_path)
    shutil.copytree(exported / "2", base_path / ".tmp-2")
    write_warmup(base_path / ".tmp-2", log, count)
    (base_path / ".tmp-2").rename(base_path / "2")
    look(model, base_path)
    assert (answer(model), states(model)) == ((1, 11.0), {1: "AVAILABLE", 2: "END"})
    with pytest.raises(StatusError, match=text):
        raise model.statuses()[1].error or AssertionError("no error")


def test_a_warm_up_file_that_is_no_tfrecord_fails_the_version(model: Model, base_path: Path) -> None:
    (base_path / "1" / WARMUP_FILE).parent.mkdir()
    (base_path / "1" / WARMUP_FILE).write_bytes(b"these are no records at all")
    look(model, base_path)
    error = model.statuses()[0].error
    assert error is not None
    assert error.code == Code.DATA_LOSS
    assert error.message.endswith("Please verify your warmup data is in TFRecord format.")


def test_deleting_the_latest_version_goes_back_to_the_one_before(
    model: Model, exported: Path, base_path: Path, eventually: Eventually
) -> None:
    look(model, base_path)
    push(exported, base_path, 2)
    look(model, base_path)
    eventually(lambda: states(model)[1] == "END")
    shutil.rmtree(base_path / "2")
    look(model, base_path)
    eventually(lambda: states(model) == {1: "AVAILABLE", 2: "END"})
    assert answer(model) == (1, 11.0)


def test_a_base_path_without_versions_unloads_the_last_one(
    model: Model, base_path: Path, eventually: Eventually
) -> None:
    look(model, base_path)
    (base_path / "1").rename(base_path / "old-1")
    look(model, base_path)
    eventually(lambda: states(model) == {1: "END"})
    with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(toy\)"):
        answer(model)


@contextlib.contextmanager
def watched(model: Model, base_path: Path) -> Iterator[None]:
    (config,) = single(model.name, base_path).model_config_list.config
    watcher = Watcher(model, config, poll_seconds=0.05)
    watcher.start()
    try:
        yield
    finally:
        watcher.stop()


def test_the_watcher_takes_up_a_pushed_version_and_never_a_staged_one(
    model: Model, exported: Path, base_path: Path, eventually: Eventually
) -> None:
    shutil.copytree(exported / "3", base_path / ".tmp-3")
    with watched(model, base_path):
        eventually(model.is_available)
        push(exported, base_path, 2)
        eventually(lambda: answer(model) == (2, 12.0))
    assert 3 not in states(model)


def test_a_base_path_that_vanishes_leaves_the_model_in_service(
    model: Model, exported: Path, base_path: Path, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    with watched(model, base_path):
        eventually(model.is_available)
        base_path.rename(base_path.parent / "elsewhere")
        eventually(lambda: "Could not find base path" in caplog.text)
        assert answer(model) == (1, 11.0)
        (base_path.parent / "elsewhere").rename(base_path)
        push(exported, base_path, 2)
        eventually(lambda: answer(model) == (2, 12.0))


def test_no_request_fails_or_mixes_versions_while_versions_change(
    model: Model, exported: Path, eventually: Eventually
) -> None:
    stopping = threading.Event()
    answers: set[tuple[int, float]] = set()
    errors: list[Exception] = []

    def ask() -> None:
        while not stopping.is_set() and not errors:
            try:
                answers.add(answer(model))
            except Exception as error:
                errors.append(error)

    def serves(number: int) -> bool:
        model.aspire({number: exported / str(number)})
        return states(model)[number] == "AVAILABLE"

    eventually(lambda: serves(1))
    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for number in (2, 3, 1, 2, 3, 1):
        eventually(partial(serves, number))
    stopping.set()
    for asker in askers:
        asker.join()
    assert errors == []
    assert answers == {(1, 11.0), (2, 12.0), (3, 13.0)}
