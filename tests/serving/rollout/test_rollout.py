"""Promotion, canary and rollback on running servers, interruptions included."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format

from serving.api.options import Options
from serving.client import Client
from serving.lifecycle.options import LifecycleOptions
from serving.rollout.config_file import ConfigFile
from serving.rollout.release import Release, read_release, with_canary, with_promotion, with_rollback
from serving.rollout.rollout import Rollout
from serving.server.config_poll import ConfigPoll
from serving.server.embedded import Server, start
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

Eventually = Callable[[Callable[[], bool]], None]
FAST = LifecycleOptions(poll_seconds=0.05)
# Settings of a server whose file has labels when it starts: docs/serving.md.
WAITING = LifecycleOptions(poll_seconds=0.05, labels_may_wait=True)


@pytest.fixture
def file(exported: Path, tmp_path: Path) -> Path:
    """A configuration file of a model with versions 1, 2 and 3 that serves version 1."""
    shutil.copytree(exported, tmp_path / "toy")
    path = tmp_path / "config" / "models.config"
    path.parent.mkdir()
    path.write_text(
        f"""# By hand.
        model_config_list {{ config {{
            name: "toy" base_path: "{tmp_path / "toy"}" model_platform: "tensorflow"
            model_version_policy {{ specific {{ versions: 1 }} }}
        }} }}""",
        encoding="utf-8",
    )
    return path


def to(version: int) -> Callable[[Release], Release]:
    return lambda release: with_promotion(release, version)


def canary(version: int, share: float = 0.1) -> Callable[[Release], Release]:
    return lambda release: with_canary(release, version, share)


@contextlib.contextmanager
def serving(file: Path, polls: bool = True, lifecycle: LifecycleOptions = FAST) -> Iterator[tuple[Server, Client]]:
    """A server of the file, which polls it if `polls`, and its client."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start(ConfigFile(file).config(), Options(rest_api_port=None, lifecycle=lifecycle)))
        if polls:
            stack.enter_context(ConfigPoll(server.models, str(file), 0.05))
        yield server, stack.enter_context(Client(f"127.0.0.1:{server.port}", "toy", 20))


def versions_by_label(client: Client) -> dict[str, int]:
    """The version for each label, "" without a label."""
    labels = ("", "stable", "canary")
    return {label: (client.using(label=label) if label else client).version() for label in labels}


def in_service(client: Client) -> list[int]:
    return [status.version for status in client.status() if status.state == "AVAILABLE"]


@pytest.mark.parametrize("sends", [False, True])
def test_a_canary_is_promoted_and_rolled_back(file: Path, sends: bool, eventually: Eventually) -> None:
    with serving(file, polls=not sends) as (_, client):
        rollout = Rollout(file, "toy", [client], sends=sends, wait_seconds=60)
        assert rollout.change(to(1)) == Release(1)
        assert versions_by_label(client) == {"": 1, "stable": 1, "canary": 1}
        assert rollout.change(canary(2)) == Release(1, 2, 0.1)
        assert versions_by_label(client) == {"": 2, "stable": 1, "canary": 2}
        assert rollout.change(to(2)) == Release(2, previous=(1,))
        assert versions_by_label(client) == {"": 2, "stable": 2, "canary": 2}
        assert in_service(client) == [1, 2]  # a rollback loads nothing
        assert rollout.change(canary(3, 0.5)) == Release(2, 3, 0.5, (1,))
        assert versions_by_label(client) == {"": 3, "stable": 2, "canary": 3}
        assert rollout.change(with_rollback) == Release(2, previous=(1,))
        eventually(lambda: versions_by_label(client) == {"": 2, "stable": 2, "canary": 2})
        assert rollout.change(with_rollback) == Release(1)
        eventually(lambda: versions_by_label(client) == {"": 1, "stable": 1, "canary": 1})
        assert in_service(client) == [1]
        assert read_release(file, "toy") == Release(1)
    assert file.read_text(encoding="utf-8").startswith("# By hand.\n# tfrec: {")


def test_the_release_survives_a_restart_of_the_server(file: Path, eventually: Eventually) -> None:
    with serving(file) as (_, client):
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        for version in (1, 3):
            rollout.change(to(version))
        rollout.change(canary(2, 0.25))
    with serving(file, lifecycle=WAITING) as (_, client):
        eventually(lambda: in_service(client) == [1, 2, 3])
        assert versions_by_label(client) == {"": 3, "stable": 3, "canary": 2}
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        rollout.change(with_rollback)
        assert rollout.change(with_rollback) == Release(1)
        eventually(lambda: versions_by_label(client) == {"": 1, "stable": 1, "canary": 1})


def test_a_rollback_loads_an_unloaded_version_first(file: Path) -> None:
    with serving(file) as (_, client):
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        for version in (1, 2, 3):
            rollout.change(to(version))
        rollout.change(with_rollback)
        assert in_service(client) == [2]
        assert rollout.change(with_rollback) == Release(1)
        assert versions_by_label(client)["stable"] == 1


def test_a_change_waits_for_every_server_of_the_file(file: Path) -> None:
    with serving(file) as (_, first), serving(file) as (_, second):
        rollout = Rollout(file, "toy", [first, second], wait_seconds=60)
        rollout.change(to(1))
        rollout.change(canary(2))
        assert versions_by_label(first) == versions_by_label(second) == {"": 2, "stable": 1, "canary": 2}


@pytest.mark.parametrize("sends", [False, True])
def test_a_version_that_does_not_load_changes_nothing(file: Path, tmp_path: Path, sends: bool) -> None:
    (tmp_path / "toy" / "4").mkdir()
    (tmp_path / "toy" / "4" / "saved_model.pb").write_bytes(b"not a model")
    with serving(file, polls=not sends) as (_, client):
        rollout = Rollout(file, "toy", [client], sends=sends, wait_seconds=60)
        rollout.change(to(1))
        before = file.read_text(encoding="utf-8")
        with pytest.raises(ServingError, match=r"version 4 can't be loaded by 127.* the versions in s"):
            rollout.change(canary(4))
        assert file.read_text(encoding="utf-8") == before
        assert versions_by_label(client) == {"": 1, "stable": 1, "canary": 1}
        rollout.change(to(2))
        assert versions_by_label(client)["stable"] == 2


def test_a_missing_version_is_refused_at_once(file: Path, tmp_path: Path) -> None:
    with serving(file) as (_, client):
        with pytest.raises(ServingError, match=r"the version is 9 but .*/toy holds 1, 2, 3; name one of them"):
            Rollout(file, "toy", [client]).change(to(9))
        # The server's folders may be on another machine.
        elsewhere = file.read_text(encoding="utf-8").replace(str(tmp_path / "toy"), "/models/toy")
        file.with_name("other.config").write_text(elsewhere, encoding="utf-8")
        with pytest.raises(ServingError, match=r"version 9 is unknown, after 0\.5 seconds; does it poll .*other"):
            Rollout(file.with_name("other.config"), "toy", [client], wait_seconds=0.5).change(to(9))


def test_a_server_that_does_not_poll_the_file_raises_an_error(file: Path) -> None:
    with serving(file, polls=False) as (_, client):
        before = file.read_text(encoding="utf-8")
        text = r"127.*: version 2 is unknown, after 0\.5 seconds; does it poll .*models.config\? If not, use --send"
        with pytest.raises(ServingError, match=text):
            Rollout(file, "toy", [client], wait_seconds=0.5).change(to(2))
        assert file.read_text(encoding="utf-8") == before
        with pytest.raises(ServingError, match=r"label stable points to nothing, not to 1, after 0\.5 seconds; does"):
            Rollout(file, "toy", [client], wait_seconds=0.5).change(to(1))
        assert read_release(file, "toy") == Release(1)  # version 1 is in service


def test_a_label_of_a_deleted_version_blocks_no_change(file: Path, tmp_path: Path, eventually: Eventually) -> None:
    with serving(file) as (_, client):
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        rollout.change(to(1))
        rollout.change(canary(2))
        shutil.rmtree(tmp_path / "toy" / "2")
        eventually(lambda: in_service(client) == [1])
        assert rollout.change(to(3)) == Release(3, previous=(1,))
        assert versions_by_label(client) == {"": 3, "stable": 3, "canary": 3}


@pytest.mark.slow
def test_no_call_fails_while_versions_change(file: Path) -> None:
    stopping, failures, versions = threading.Event(), [], set()
    with serving(file) as (_, client):
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        rollout.change(to(1))

        def call_until_stopped(label: str) -> None:
            while not stopping.is_set():
                try:
                    versions.add(client.using(label=label).version())
                except Exception as error:
                    failures.append(error)

        threads = [threading.Thread(target=call_until_stopped, args=(label,)) for label in ("stable", "canary")]
        for thread in threads:
            thread.start()
        for step in (canary(2), to(2), canary(3), with_rollback, to(3), with_rollback, with_rollback):
            rollout.change(step)
        stopping.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert versions == {1, 2, 3}


@pytest.mark.slow
def test_every_intermediate_file_can_be_served(file: Path) -> None:
    """A server starts with each text that the file had during the steps, and its labels work."""
    stopping, texts = threading.Event(), [file.read_text(encoding="utf-8")]

    def watch() -> None:
        while not stopping.is_set():
            text = file.read_text(encoding="utf-8")
            if text != texts[-1]:
                texts.append(text)

    watcher = threading.Thread(target=watch)
    with serving(file) as (_, client):
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        watcher.start()
        for step in (to(1), canary(2), to(2), with_rollback, to(3)):
            rollout.change(step)
            time.sleep(0.1)
        stopping.set()
        watcher.join()
    stable = [text_format.Parse(text, ModelServerConfig()).model_config_list.config[0].version_labels for text in texts]
    # None: before the first step. A canary and a version not in service take two writes.
    assert [dict(labels).get("stable") for labels in stable] == [None, 1, 1, 1, 2, 1, 1, 3]
    for text in dict.fromkeys(texts):
        file.write_text(text, encoding="utf-8")
        with serving(file, lifecycle=WAITING) as (_, client):
            labels = dict(text_format.Parse(text, ModelServerConfig()).model_config_list.config[0].version_labels)
            for label, version in labels.items():
                deadline = time.monotonic() + 60
                while version not in in_service(client):
                    assert time.monotonic() < deadline
                assert client.using(label=label).version() == version
