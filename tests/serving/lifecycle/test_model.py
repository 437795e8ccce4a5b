"""Versions of a model: how they come into service, fail, recover and retire."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from serving.lifecycle.model import Model
from serving.lifecycle.options import LifecycleOptions
from serving.lifecycle.storage import find_versions, select_versions
from serving.request.status import StatusError
from serving.servable.servable import Threads

Eventually = Callable[[Callable[[], bool]], None]
ONE, TEN = np.array([1.0], np.float32), np.array([10.0], np.float32)


def look(model: Model, base_path: Path) -> None:
    """Look at the base path once, as the watcher does every second."""
    model.set_aspired_versions(select_versions(find_versions(base_path)))


def answer(model: Model, version: int | None = None) -> tuple[int, float]:
    """Run a version; return its number and 1 * number + 10."""
    with model.use(version) as (number, servable):
        return number, servable.predict("", {"x": ONE, "y": TEN})["sum"][0]


def states(model: Model) -> dict[int, str]:
    return {status.number: status.state for status in model.statuses()}


def push(exported: Path, base_path: Path, version: int) -> Path:
    """Push a version as the pipeline does: staged, then renamed."""
    staged = base_path / f".tmp-{version}"
    shutil.copytree(exported / str(version), staged)
    return staged.rename(base_path / str(version))


def corrupt(path: Path) -> None:
    (path / "saved_model.pb").write_bytes(b"not a model")


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model("toy")
    yield model
    model.stop()


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


def test_a_half_copied_version_loads_once_its_files_are_complete(model: Model, exported: Path, base_path: Path) -> None:
    look(model, base_path)
    (base_path / "2").mkdir()
    look(model, base_path)
    assert states(model) == {1: "AVAILABLE", 2: "END"}
    shutil.copytree(exported / "2", base_path / "2", dirs_exist_ok=True)
    look(model, base_path)  # at once, without the wait before a retry
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


def test_an_unexpected_error_ends_a_version_as_any_other(base_path: Path) -> None:
    model = Model("toy", LifecycleOptions(threads=Threads(intra_op=2**40)))  # out of range
    look(model, base_path)
    (status,) = model.statuses()
    assert status.state == "END"
    with pytest.raises(StatusError, match=r"UNKNOWN: .*out of range"):
        raise status.error or AssertionError("no error")


def test_a_failed_version_waits_before_its_retry(
    model: Model, base_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt(base_path / "1")
    monkeypatch.setattr("serving.lifecycle.version.MAX_RETRY_SECONDS", 0.0)
    for _ in range(4):
        look(model, base_path)
    monkeypatch.setattr("serving.lifecycle.version.MAX_RETRY_SECONDS", 60.0)
    look(model, base_path)  # the fifth failure: the retry is due after 2**4 = 16 seconds
    look(model, base_path)
    assert [record.message[:25] for record in caplog.records] == ["Loading version 1 of toy "] * 5


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


@pytest.mark.slow
def test_no_request_fails_or_mixes_versions_while_versions_change(
    model: Model, exported: Path, eventually: Eventually
) -> None:
    stopping = threading.Event()
    answers: set[tuple[int, float]] = set()
    errors: list[Exception] = []

    def call() -> None:
        while not stopping.is_set() and not errors:
            try:
                answers.add(answer(model))
            except Exception as error:
                errors.append(error)

    def is_in_service(number: int) -> bool:
        model.set_aspired_versions({number: exported / str(number)})
        return states(model)[number] == "AVAILABLE"

    eventually(lambda: is_in_service(1))
    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for number in (2, 3, 1, 2, 3, 1):
        eventually(partial(is_in_service, number))
    stopping.set()
    for caller in callers:
        caller.join()
    assert errors == []
    assert answers == {(1, 11.0), (2, 12.0), (3, 13.0)}
