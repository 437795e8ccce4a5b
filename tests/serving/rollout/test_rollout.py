"""Promotion, canary and rollback on running servers, interrupted at any moment too."""

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
from serving.rollout import release
from serving.rollout.config_file import ConfigFile
from serving.rollout.release import Release, promoted, rolled_back, with_canary
from serving.rollout.rollout import Rollout
from serving.server.config_poll import ConfigPoll
from serving.server.embedded import Server, start
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

Eventually = Callable[[Callable[[], bool]], None]
FAST = LifecycleOptions(poll_seconds=0.05)
# As a server must be started whose file has labels: docs/serving.md.
WAITING = LifecycleOptions(poll_seconds=0.05, labels_may_wait=True)


@pytest.fixture
def file(exported: Path, tmp_path: Path) -> Path:
    """Of a model whose versions 1, 2 and 3 lie there, of which the first is served."""
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
    return lambda state: promoted(state, version)


def canary(version: int, share: float = 0.1) -> Callable[[Release], Release]:
    return lambda state: with_canary(state, version, share)


@contextlib.contextmanager
def serving(file: Path, polls: bool = True, lifecycle: LifecycleOptions = FAST) -> Iterator[tuple[Server, Client]]:
    """A server of the file, which reads it again and again if `polls`."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start(ConfigFile(file).config(), Options(rest_api_port=None, lifecycle=lifecycle)))
        if polls:
            stack.enter_context(ConfigPoll(server.models, str(file), 0.05))
        yield server, stack.enter_context(Client(f"127.0.0.1:{server.port}", "toy", 20))


def seen(client: Client) -> dict[str, int]:
    """Which version answers: whoever asks for no label, for stable, for canary."""
    labels = ("", "stable", "canary")
    return {label: (client.using(label=label) if label else client).version() for label in labels}


def in_service(client: Client) -> list[int]:
    return [status.version for status in client.status() if status.state == "AVAILABLE"]


@pytest.mark.parametrize("sends", [False, True])
def test_a_canary_is_promoted_and_rolled_back(file: Path, sends: bool, eventually: Eventually) -> None:
    with serving(file, polls=not sends) as (_, client):
        rollout = Rollout(file, "toy", [client], sends=sends, wait_seconds=60)
        assert rollout.change(to(1)) == Release(1)
        assert seen(client) == {"": 1, "stable": 1, "canary": 1}
        assert rollout.change(canary(2)) == Release(1, 2, 0.1)
        assert seen(client) == {"": 2, "stable": 1, "canary": 2}
        assert rollout.change(to(2)) == Release(2, previous=(1,))
        assert seen(client) == {"": 2, "stable": 2, "canary": 2}
        assert in_service(client) == [1, 2]  # so that the way back takes no load
        assert rollout.change(canary(3, 0.5)) == Release(2, 3, 0.5, (1,))
        assert seen(client) == {"": 3, "stable": 2, "canary": 3}
        assert rollout.change(rolled_back) == Release(2, previous=(1,))
        eventually(lambda: seen(client) == {"": 2, "stable": 2, "canary": 2})
        assert rollout.change(rolled_back) == Release(1)
        eventually(lambda: seen(client) == {"": 1, "stable": 1, "canary": 1})
        assert in_service(client) == [1]
        assert release.read(file, "toy") == Release(1)
    assert file.read_text(encoding="utf-8").startswith("# By hand.\n# tfrec: {")


def test_what_was_stable_outlives_a_restart_of_the_server(file: Path, eventually: Eventually) -> None:
    with serving(file) as (_, client):
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        for version in (1, 3):
            rollout.change(to(version))
        rollout.change(canary(2, 0.25))
    with serving(file, lifecycle=WAITING) as (_, client):
        eventually(lambda: in_service(client) == [1, 2, 3])
        assert seen(client) == {"": 3, "stable": 3, "canary": 2}
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        rollout.change(rolled_back)
        assert rollout.change(rolled_back) == Release(1)
        eventually(lambda: seen(client) == {"": 1, "stable": 1, "canary": 1})


def test_a_version_that_was_unloaded_is_loaded_before_it_is_gone_back_to(file: Path) -> None:
    with serving(file) as (_, client):
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        for version in (1, 2, 3):
            rollout.change(to(version))
        rollout.change(rolled_back)
        assert in_service(client) == [2]
        assert rollout.change(rolled_back) == Release(1)
        assert seen(client)["stable"] == 1


def test_every_server_of_a_file_is_waited_for(file: Path) -> None:
    with serving(file) as (_, first), serving(file) as (_, second):
        rollout = Rollout(file, "toy", [first, second], wait_seconds=60)
        rollout.change(to(1))
        rollout.change(canary(2))
        assert seen(first) == seen(second) == {"": 2, "stable": 1, "canary": 2}


@pytest.mark.parametrize("sends", [False, True])
def test_a_version_that_can_not_be_loaded_leaves_all_as_it_was(file: Path, tmp_path: Path, sends: bool) -> None:
    (tmp_path / "toy" / "4").mkdir()
    (tmp_path / "toy" / "4" / "saved_model.pb").write_bytes(b"not a model")
    with serving(file, polls=not sends) as (_, client):
        rollout = Rollout(file, "toy", [client], sends=sends, wait_seconds=60)
        rollout.change(to(1))
        before = file.read_text(encoding="utf-8")
        with pytest.raises(ServingError, match=r"version 4 can't be loaded by 127.* what was in service is in s"):
            rollout.change(canary(4))
        assert file.read_text(encoding="utf-8") == before
        assert seen(client) == {"": 1, "stable": 1, "canary": 1}
        rollout.change(to(2))
        assert seen(client)["stable"] == 2


def test_a_version_that_does_not_lie_there_is_told_at_once(file: Path, tmp_path: Path) -> None:
    with serving(file) as (_, client):
        with pytest.raises(ServingError, match=r"the version is 9 but .*/toy holds 1, 2, 3; name one of them"):
            Rollout(file, "toy", [client]).change(to(9))
        # The server's folders may be another machine's.
        elsewhere = file.read_text(encoding="utf-8").replace(str(tmp_path / "toy"), "/models/toy")
        file.with_name("other.config").write_text(elsewhere, encoding="utf-8")
        with pytest.raises(ServingError, match=r"version 9 is unknown, after 0\.5 seconds; does it read .*other"):
            Rollout(file.with_name("other.config"), "toy", [client], wait_seconds=0.5).change(to(9))


def test_a_server_that_does_not_read_the_file_again_is_told_and_all_is_as_before(file: Path) -> None:
    with serving(file, polls=False) as (_, client):
        before = file.read_text(encoding="utf-8")
        text = r"127.*: version 2 is unknown, after 0\.5 seconds; does it read .*models.config again and again\? If not"
        with pytest.raises(ServingError, match=text):
            Rollout(file, "toy", [client], wait_seconds=0.5).change(to(2))
        assert file.read_text(encoding="utf-8") == before
        with pytest.raises(ServingError, match=r"label stable leads to nothing, not to 1, after 0\.5 seconds; does it"):
            Rollout(file, "toy", [client], wait_seconds=0.5).change(to(1))
        assert release.read(file, "toy") == Release(1)  # the version is in service: it is the server's turn


def test_a_label_of_a_version_that_is_gone_holds_nothing_up(file: Path, tmp_path: Path, eventually: Eventually) -> None:
    with serving(file) as (_, client):
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        rollout.change(to(1))
        rollout.change(canary(2))
        shutil.rmtree(tmp_path / "toy" / "2")
        eventually(lambda: in_service(client) == [1])
        assert rollout.change(to(3)) == Release(3, previous=(1,))
        assert seen(client) == {"": 3, "stable": 3, "canary": 3}


def test_no_question_fails_while_versions_come_and_go(file: Path) -> None:
    stopping, failures, answered = threading.Event(), [], set()
    with serving(file) as (_, client):
        rollout = Rollout(file, "toy", [client], wait_seconds=60)
        rollout.change(to(1))

        def ask(label: str) -> None:
            while not stopping.is_set():
                try:
                    answered.add(client.using(label=label).version())
                except Exception as error:
                    failures.append(error)

        askers = [threading.Thread(target=ask, args=(label,)) for label in ("stable", "canary")]
        for asker in askers:
            asker.start()
        for step in (canary(2), to(2), canary(3), rolled_back, to(3), rolled_back, rolled_back):
            rollout.change(step)
        stopping.set()
        for asker in askers:
            asker.join()
    assert failures == []
    assert answered == {1, 2, 3}


def test_wherever_it_is_interrupted_the_file_serves(file: Path) -> None:
    """Whatever the file said at any moment of all the steps, a server starts with it and the stable version answers."""
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
        for step in (to(1), canary(2), to(2), rolled_back, to(3)):
            rollout.change(step)
            time.sleep(0.1)
        stopping.set()
        watcher.join()
    stable = [text_format.Parse(text, ModelServerConfig()).model_config_list.config[0].version_labels for text in texts]
    # Before: no label. A canary, and what is not in service, takes two writes.
    assert [dict(labels).get("stable") for labels in stable] == [None, 1, 1, 1, 2, 1, 1, 3]
    for text in dict.fromkeys(texts):
        file.write_text(text, encoding="utf-8")
        with serving(file, lifecycle=WAITING) as (_, client):
            wanted = dict(text_format.Parse(text, ModelServerConfig()).model_config_list.config[0].version_labels)
            for label, version in wanted.items():
                deadline = time.monotonic() + 15
                while version not in in_service(client):
                    assert time.monotonic() < deadline
                assert client.using(label=label).version() == version
