"""The split of users between stable version and canary, alone and against a real server."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.client import Client, Event
from serving.client.canary import Canary
from serving.lifecycle.model_config import single
from serving.server.embedded import Server, start
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

# The first 8 bytes of BLAKE2b as coreutils prints them: `printf 7:ann | b2sum -l 64`.
DIGESTS = {
    "7:ann": "425f067cf9024ed5",
    "7:bob": "c38a787bac59f510",
    "8:ann": "393c1348941d477f",
    ":茶": "823bcc7c43831e24",
}


@pytest.mark.parametrize(("salted", "digest"), DIGESTS.items())
def test_a_user_is_drawn_by_the_documented_digest(salted: str, digest: str) -> None:
    salt, _, user_id = salted.partition(":")
    fraction = int(digest, 16) / 2**64
    assert Canary(fraction + 1e-9, salt).label(user_id) == "canary"
    assert Canary(fraction - 1e-9, salt).label(user_id) == "stable"


def test_a_greater_share_keeps_the_users_of_a_smaller_one() -> None:
    users = [f"user{number}" for number in range(20_000)]
    drawn = {share: {user for user in users if Canary(share, "7").label(user) == "canary"} for share in (0.1, 0.25)}
    # The standard deviation of 20,000 draws is 42 at a tenth, 61 at a quarter; four of each.
    assert abs(len(drawn[0.1]) - 2_000) < 170
    assert abs(len(drawn[0.25]) - 5_000) < 245
    assert drawn[0.1] < drawn[0.25]
    others = {user for user in users if Canary(0.1, "8").label(user) == "canary"}
    # A tenth of the tenth is in another draw too: 200, with a standard deviation of 13.
    assert abs(len(others & drawn[0.1]) - 200) < 60


def test_share_0_draws_nobody_and_share_1_draws_every_user() -> None:
    users = ["ann", "bob", "茶", "x" * 10_000]
    assert {Canary(0.0).label(user) for user in users} == {"stable"}
    assert {Canary(1.0).label(user) for user in users} == {"canary"}
    assert Canary(1.0).label("") == "stable"  # a request without a user


@pytest.mark.parametrize("share", [-0.1, 1.1, 10, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ServingError, match=r"share is .* but must lie in \[0, 1\]; 0.1 is a tenth of the users"):
        Canary(share)


@pytest.fixture
def config(exported: Path, tmp_path: Path, rename_input: Callable[[Path, str, str], None]) -> ModelServerConfig:
    """Versions 1 and 2 of the toy.

    Version 2 names the profile column user_town instead of user_city.
    """
    for number in ("1", "2"):
        shutil.copytree(exported / number, tmp_path / "toy" / number)
    rename_input(tmp_path / "toy" / "2", "user_city", "user_town")
    config = single("toy", tmp_path / "toy")
    config.model_config_list.config[0].model_version_policy.specific.versions.extend([1, 2])
    return config


@pytest.fixture
def server(config: ModelServerConfig) -> Iterator[Server]:
    """A server with both versions in service and no label."""
    with start(config) as running, Client(f"127.0.0.1:{running.port}", "toy", 20) as client:
        while [one.state for one in client.status()] != ["AVAILABLE", "AVAILABLE"]:
            time.sleep(0.05)
        yield running


def with_labels(config: ModelServerConfig, **labels: int) -> ModelServerConfig:
    config.model_config_list.config[0].version_labels.clear()
    config.model_config_list.config[0].version_labels.update(labels)
    return config


def column(client: Client, user_id: str) -> str:
    """The name of the profile column in the user's version: "city" in 1, "town" in 2."""
    for name in ("city", "town"):
        with contextlib.suppress(ServingError):
            best, *_ = client.recommend([], k=3, profile={name: "north"}, user_id=user_id)
            assert (best.item_id, best.score) == ("c", 0.5)
            return name
    raise AssertionError("neither")


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_each_user_always_gets_the_same_version(server: Server, config: ModelServerConfig, protocol: str) -> None:
    address = f"127.0.0.1:{server.port}"
    target = address if protocol == "gRPC" else f"http://127.0.0.1:{server.rest_api_port}"
    # The digests of 7:ann and 7:bob are 0.26 and 0.76 times 2**64 (DIGESTS).
    with Client(address, "toy", 20) as operator, Client(target, "toy", 20, canary=Canary(0.5, "7")) as client:
        operator.reload(with_labels(config, stable=1, canary=2))
        assert [column(client, user) for user in ("ann", "bob", "ann", "")] == ["town", "city", "town", "city"]
        # An explicit version or label overrides the canary.
        assert column(client.using(version=1), "ann") == "city"
        assert column(client.using(label="canary"), "bob") == "town"


def test_users_of_a_missing_canary_get_the_stable_version(server: Server, config: ModelServerConfig) -> None:
    with Client(f"127.0.0.1:{server.port}", "toy", 20, canary=Canary(1.0)) as client:
        client.reload(with_labels(config, stable=1))
        assert column(client, "ann") == "city"
        client.reload(with_labels(config, stable=1, canary=2))
        assert column(client, "ann") == "town"
        client.reload(with_labels(config, stable=1))
        assert column(client, "ann") == "city"


def test_any_other_error_of_the_canary_is_raised(server: Server, config: ModelServerConfig) -> None:
    with Client(f"127.0.0.1:{server.port}", "toy", 20, canary=Canary(1.0)) as client:
        client.reload(with_labels(config, stable=1, canary=2))
        with pytest.raises(ServingError, match="profile column is 'city' but the served model knows town"):
            client.recommend([Event("a")], k=1, profile={"city": "north"}, user_id="ann")
