"""Releases step by step, and their labels and notes in a model configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.client.canary import Canary
from serving.rollout.release import Release, read_release, with_canary, with_promotion, with_rollback, with_versions
from serving.wire.protos import ModelConfig
from tfrec.errors import ServingError


def test_a_rollback_returns_to_the_previous_stable_version() -> None:
    first = with_promotion(Release(), 5)
    assert first == Release(stable=5)
    third = with_promotion(with_promotion(first, 6), 7)
    assert third == Release(stable=7, previous=(6, 5))
    back = with_rollback(third)
    assert back == Release(stable=6, previous=(5,))
    assert with_rollback(back) == Release(stable=5)
    with pytest.raises(ServingError, match="no version was stable before this one; name one to go to"):
        with_rollback(first)


def test_promoting_the_stable_version_changes_nothing() -> None:
    assert with_promotion(Release(6, previous=(5,)), 6) == Release(6, previous=(5,))


def test_ten_previous_versions_are_remembered() -> None:
    state = Release()
    for version in range(1, 20):
        state = with_promotion(state, version)
    assert state.previous == tuple(range(18, 8, -1))


def test_a_canary_ends_by_a_promotion_or_a_rollback() -> None:
    stable = Release(6, previous=(5,))
    canary = with_canary(stable, 7, 0.1)
    assert canary == Release(6, 7, 0.1, (5,))
    assert with_canary(canary, 7, 0.3) == Release(6, 7, 0.3, (5,))
    assert with_promotion(canary, 7) == Release(7, previous=(6, 5))
    assert with_promotion(canary, 8) == Release(8, previous=(6, 5))
    assert with_rollback(canary) == stable


def test_a_canary_needs_another_stable_version() -> None:
    with pytest.raises(ServingError, match="no version is labeled stable for all other users; name it: `tfrec"):
        with_canary(Release(), 7, 0.1)
    with pytest.raises(ServingError, match="version 6 is the stable one, so it can't be the canary"):
        with_canary(Release(6), 6, 0.1)


def test_both_labels_always_point_to_a_version() -> None:
    assert Release().labels() == {}
    assert Release(6).labels() == {"stable": 6, "canary": 6}
    assert Release(6, 7).labels() == {"stable": 6, "canary": 7}


@pytest.mark.parametrize(
    ("state", "in_service", "expected"),
    [
        (Release(6), {5, 6, 9}, {6}),
        (Release(6, 7, 0.1, (5, 4)), {5, 6}, {5, 6, 7}),
        (Release(6, previous=(5, 4)), {4, 6}, {6}),
        # 7 was bad; if it stayed in service, requests without a label would get it.
        (Release(6, previous=(7,)), {6, 7}, {6}),
    ],
)
def test_the_previous_version_is_kept_only_in_service_and_below_the_stable_one(
    state: Release, in_service: set[int], expected: set[int]
) -> None:
    assert state.versions_to_serve(in_service) == expected


def test_each_canary_draws_other_users() -> None:
    assert Release(6, 7, 0.1).client_canary() == Canary(0.1, "7")
    assert Release(6).client_canary() == Canary(0.0)
    assert Release().client_canary() is None


def test_other_labels_stay_with_their_versions() -> None:
    model = ModelConfig(version_labels={"stable": 1, "canary": 1, "audit": 3})
    model.model_version_policy.latest.num_versions = 2
    changed = with_versions(model, {"stable": 2, "canary": 2}, {1, 2})
    assert dict(changed.version_labels) == {"stable": 2, "canary": 2, "audit": 3}
    assert list(changed.model_version_policy.specific.versions) == [1, 2, 3]
    assert dict(model.version_labels) == {"stable": 1, "canary": 1, "audit": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('version_labels { key: "stable" value: 6 }', Release(6)),
        ('version_labels { key: "stable" value: 6 } version_labels { key: "canary" value: 6 }', Release(6)),
        ('version_labels { key: "stable" value: 6 } version_labels { key: "canary" value: 7 }', Release(6, 7)),
        ("", Release()),
    ],
)
def test_a_release_is_read_from_a_file_without_notes(tmp_path: Path, text: str, expected: Release) -> None:
    file = tmp_path / "models.config"
    file.write_text(f'model_config_list {{ config {{ name: "toy" {text} }} }}', encoding="utf-8")
    assert read_release(file, "toy") == expected
    with pytest.raises(ServingError, match=r"the model is 'other' but .*models.config serves toy; name one of them"):
        read_release(file, "other")


def test_a_release_is_described_in_words() -> None:
    assert Release(6).describe() == "version 6 is stable"
    words = "version 6 is stable, before it 5; 0.1 of the users get 7, the canary"
    assert Release(6, 7, 0.1, (5, 4)).describe() == words
