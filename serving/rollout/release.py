"""The stable version and canary of a model, and the steps from one release to the next.

A release is read from a model configuration file and written to it; rollout.py makes servers
follow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from serving.client.canary import CANARY, STABLE, Canary
from serving.rollout.config_file import ConfigFile
from serving.wire.protos import ModelConfig, ModelServerConfig
from tfrec.errors import ServingError

MAX_PREVIOUS = 10
"""Number of previous stable versions that are kept."""


@dataclasses.dataclass(frozen=True)
class Release:
    """A model's versions by label: `canary` serves `share` of the users, `stable` the others."""

    stable: int | None = None
    canary: int | None = None
    share: float = 0.0
    previous: tuple[int, ...] = ()
    """Previous stable versions, the latest first."""

    @staticmethod
    def from_config(model: ModelConfig, notes: Mapping[str, Any]) -> Release:
        """The release of a model's labels and its notes (see `to_notes`)."""
        stable, canary = (model.version_labels.get(label) for label in (STABLE, CANARY))
        has_canary = canary is not None and canary != stable
        share = float(notes.get("share", 0.0)) if has_canary else 0.0
        return Release(stable, canary if has_canary else None, share, tuple(notes.get("previous", ())))

    def to_notes(self) -> dict[str, Any]:
        """State that the labels do not hold: the share and the previous versions."""
        return {"share": self.share, "previous": list(self.previous)}

    def labels(self) -> dict[str, int]:
        """Label -> version.

        Both labels exist, so that requests for the canary do not fail when it ends.
        """
        if self.stable is None:
            return {}
        return {STABLE: self.stable, CANARY: self.stable if self.canary is None else self.canary}

    def versions_to_serve(self, in_service: Collection[int]) -> set[int]:
        """The labeled versions, and the previous stable one, so that a rollback loads nothing.

        The previous one is kept only if it is in service and below the stable version, because
        requests without a label get the highest version.
        """
        kept = {version for version in self.previous[:1] if version in in_service}
        return {*self.labels().values(), *(version for version in kept if version < (self.stable or 0))}

    def client_canary(self) -> Canary | None:
        """The split of users for a client; None if no version is labeled."""
        return None if self.stable is None else Canary(self.share, "" if self.canary is None else str(self.canary))

    def describe(self) -> str:
        """The release in words."""
        before = f", before it {self.previous[0]}" if self.previous else ""
        canary = "" if self.canary is None else f"; {self.share:.4g} of the users get {self.canary}, the canary"
        return f"version {self.stable} is stable{before}{canary}"


def read_release(path: str | Path, model: str = "tfrec") -> Release:
    """Read the release of a model; raises ServingError if the file is broken or lacks the model."""
    file = ConfigFile(Path(path))
    return Release.from_config(find_model(file.config(), model, path), file.notes().get(model, {}))


def find_model(config: ModelServerConfig, name: str, path: str | Path) -> ModelConfig:
    """The part of a model in the configuration read from `path`.

    Raises ServingError if there is none.
    """
    for model in config.model_config_list.config:
        if model.name == name:
            return model
    names = ", ".join(model.name for model in config.model_config_list.config) or "none"
    raise ServingError(f"the model is {name!r} but {path} serves {names}; name one of them, or add it to the file")


def with_promotion(release: Release, version: int) -> Release:
    """The release with `version` as stable for all users.

    It remembers the one before and ends the canary.
    """
    previous = release.previous
    if release.stable not in (None, version):
        previous = (release.stable, *previous)[:MAX_PREVIOUS]
    return Release(stable=version, previous=previous)


def with_canary(release: Release, version: int, share: float) -> Release:
    """The release with `version` for `share` of the users.

    Raises ServingError without another stable version.
    """
    if release.stable is None:
        raise ServingError("no version is labeled stable for all other users; name it: `tfrec promote VERSION`")
    if version == release.stable:
        raise ServingError(f"version {version} is the stable one, so it can't be the canary; name another")
    return dataclasses.replace(release, canary=version, share=share)


def with_rollback(release: Release) -> Release:
    """The release without its canary, or else with the previous stable version.

    Raises ServingError without one.
    """
    if release.canary is not None:
        return dataclasses.replace(release, canary=None, share=0.0)
    if not release.previous:
        raise ServingError("no version was stable before this one; name one to go to: `tfrec promote VERSION`")
    return Release(stable=release.previous[0], previous=release.previous[1:])


def with_versions(model: ModelConfig, labels: Mapping[str, int], versions: Iterable[int]) -> ModelConfig:
    """A copy of the model's configuration that has these labels and serves these versions.

    Labels of other names stay, with their versions.
    """
    others = {label: version for label, version in model.version_labels.items() if label not in (STABLE, CANARY)}
    changed = ModelConfig()
    changed.CopyFrom(model)
    changed.version_labels.clear()
    changed.version_labels.update(others | dict(labels))
    changed.model_version_policy.specific.versions[:] = sorted({*versions, *others.values()})
    return changed
