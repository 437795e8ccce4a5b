"""Who gets which version, step by step, and what a file of models says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.client.canary import Canary
from serving.rollout import release
from serving.rollout.release import Release, configure, promoted, rolled_back, with_canary
from serving.wire.protos import ModelConfig
from tfrec.errors import ServingError


def test_what_was_stable_is_remembered_and_gone_back_to() -> None:
    first = promoted(Release(), 5)
    assert first == Release(stable=5)
    third = promoted(promoted(first, 6), 7)
    assert third == Release(stable=7, previous=(6, 5))
    back = rolled_back(third)
    assert back == Release(stable=6, previous=(5,))
    assert rolled_back(back) == Release(stable=5)
    with pytest.raises(ServingError, match="no version was stable before this one; name one to go to"):
        rolled_back(first)


def test_what_is_stable_already_may_be_promoted_again() -> None:
    assert promoted(Release(6, previous=(5,)), 6) == Release(6, previous=(5,))


def test_only_the_last_ten_are_remembered() -> None:
    state = Release()
    for version in range(1, 20):
        state = promoted(state, version)
    assert state.previous == tuple(range(18, 8, -1))


def test_a_canary_leaves_the_stable_version_and_ends_by_a_promotion_or_a_rollback() -> None:
    stable = Release(6, previous=(5,))
    canary = with_canary(stable, 7, 0.1)
    assert canary == Release(6, 7, 0.1, (5,))
    assert with_canary(canary, 7, 0.3) == Release(6, 7, 0.3, (5,))
    assert promoted(canary, 7) == Release(7, previous=(6, 5))
    assert promoted(canary, 8) == Release(8, previous=(6, 5))
    assert rolled_back(canary) == stable


def test_a_canary_needs_a_stable_version_beside_it() -> None:
    with pytest.raises(ServingError, match="no version is labelled stable, for all others to get; name it: `tfrec"):
        with_canary(Release(), 7, 0.1)
    with pytest.raises(ServingError, match="version 6 is the stable one, so it can't be the canary"):
        with_canary(Release(6), 6, 0.1)


def test_both_labels_always_lead_somewhere() -> None:
    assert Release().labels() == {}
    assert Release(6).labels() == {"stable": 6, "canary": 6}
    assert Release(6, 7).labels() == {"stable": 6, "canary": 7}


@pytest.mark.parametrize(
    ("state", "in_service", "expected"),
    [
        (Release(6), {5, 6, 9}, {6}),
        (Release(6, 7, 0.1, (5, 4)), {5, 6}, {5, 6, 7}),
        (Release(6, previous=(5, 4)), {4, 6}, {6}),
        # 7 was bad: were it kept, who asks for no label would get it.
        (Release(6, previous=(7,)), {6, 7}, {6}),
    ],
)
def test_what_was_before_is_kept_only_below_the_stable_version_and_never_loaded(
    state: Release, in_service: set[int], expected: set[int]
) -> None:
    assert state.versions(in_service) == expected


def test_users_are_drawn_anew_for_each_canary() -> None:
    assert Release(6, 7, 0.1).drawn() == Canary(0.1, "7")
    assert Release(6).drawn() == Canary(0.0)
    assert Release().drawn() is None


def test_labels_of_other_names_stay_with_their_versions() -> None:
    model = ModelConfig(version_labels={"stable": 1, "canary": 1, "audit": 3})
    model.model_version_policy.latest.num_versions = 2
    configure(model, {"stable": 2, "canary": 2}, {1, 2})
    assert dict(model.version_labels) == {"stable": 2, "canary": 2, "audit": 3}
    assert list(model.model_version_policy.specific.versions) == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('version_labels { key: "stable" value: 6 }', Release(6)),
        ('version_labels { key: "stable" value: 6 } version_labels { key: "canary" value: 6 }', Release(6)),
        ('version_labels { key: "stable" value: 6 } version_labels { key: "canary" value: 7 }', Release(6, 7)),
        ("", Release()),
    ],
)
def test_a_file_that_somebody_else_wrote_is_understood(tmp_path: Path, text: str, expected: Release) -> None:
    file = tmp_path / "models.config"
    file.write_text(f'model_config_list {{ config {{ name: "toy" {text} }} }}', encoding="utf-8")
    assert release.read(file, "toy") == expected
    with pytest.raises(ServingError, match=r"the model is 'other' but .*models.config serves toy; name one of them"):
        release.read(file, "other")


def test_a_state_in_words() -> None:
    assert Release(6).sentence() == "version 6 is stable"
    words = "version 6 is stable, before it 5; 0.1 of the users get 7, the canary"
    assert Release(6, 7, 0.1, (5, 4)).sentence() == words
