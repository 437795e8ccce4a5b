"""Which versions of a model are for whom, and the steps from one such state to the next.

It is read from a file of models and written into it; rollout.py makes servers follow.
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
"""How many steps back are remembered."""


@dataclasses.dataclass(frozen=True)
class Release:
    """`stable` answers everybody, but for `share` of the users, whom `canary` answers where there is one."""

    stable: int | None = None
    canary: int | None = None
    share: float = 0.0
    previous: tuple[int, ...] = ()
    """What was stable before, the latest first."""

    @staticmethod
    def of(model: ModelConfig, notes: Mapping[str, Any]) -> Release:
        """As the labels of a configuration say, with the notes that `noted` gave."""
        stable, canary = (model.version_labels.get(label) for label in (STABLE, CANARY))
        has_canary = canary is not None and canary != stable
        share = float(notes.get("share", 0.0)) if has_canary else 0.0
        return Release(stable, canary if has_canary else None, share, tuple(notes.get("previous", ())))

    def noted(self) -> dict[str, Any]:
        """What the labels do not say."""
        return {"share": self.share, "previous": list(self.previous)}

    def labels(self) -> dict[str, int]:
        """Both labels always lead somewhere, so that nobody who asks for the canary is refused when it ends."""
        if self.stable is None:
            return {}
        return {STABLE: self.stable, CANARY: self.stable if self.canary is None else self.canary}

    def versions(self, in_service: Collection[int]) -> set[int]:
        """Those to serve: what is labelled and, so that the way back takes no load, what was stable before.

        That only where it is in service already, and below the stable version: who asks for no label gets the highest.
        """
        kept = {version for version in self.previous[:1] if version in in_service}
        return {*self.labels().values(), *(version for version in kept if version < (self.stable or 0))}

    def drawn(self) -> Canary | None:
        """Which users get which version, for a client; None where no version is labelled."""
        return None if self.stable is None else Canary(self.share, "" if self.canary is None else str(self.canary))

    def sentence(self) -> str:
        """The state in words."""
        before = f", before it {self.previous[0]}" if self.previous else ""
        canary = "" if self.canary is None else f"; {self.share:.4g} of the users get {self.canary}, the canary"
        return f"version {self.stable} is stable{before}{canary}"


def read(path: str | Path, model: str = "tfrec") -> Release:
    """The state that a file of models says; ServingError where it is none, or has no such model."""
    file = ConfigFile(Path(path))
    return Release.of(model_of(file.config(), model, path), file.notes().get(model, {}))


def model_of(config: ModelServerConfig, name: str, path: str | Path) -> ModelConfig:
    """A model's part of the configuration in `path`, to read or to change; ServingError where it has none."""
    for model in config.model_config_list.config:
        if model.name == name:
            return model
    names = ", ".join(model.name for model in config.model_config_list.config) or "none"
    raise ServingError(f"the model is {name!r} but {path} serves {names}; name one of them, or write it there")


def promoted(release: Release, version: int) -> Release:
    """`version` for everybody; what was stable is remembered, a canary ends."""
    before = release.previous
    if release.stable not in (None, version):
        before = (release.stable, *before)[:MAX_PREVIOUS]
    return Release(stable=version, previous=before)


def with_canary(release: Release, version: int, share: float) -> Release:
    """`version` for `share` of the users; ServingError where there is nothing for the others."""
    if release.stable is None:
        raise ServingError("no version is labelled stable, for all others to get; name it: `tfrec promote VERSION`")
    if version == release.stable:
        raise ServingError(f"version {version} is the stable one, so it can't be the canary; name another")
    return dataclasses.replace(release, canary=version, share=share)


def rolled_back(release: Release) -> Release:
    """Without the canary where there is one, else with the version that was stable before; ServingError without one."""
    if release.canary is not None:
        return dataclasses.replace(release, canary=None, share=0.0)
    if not release.previous:
        raise ServingError("no version was stable before this one; name one to go to: `tfrec promote VERSION`")
    return Release(stable=release.previous[0], previous=release.previous[1:])


def configure(model: ModelConfig, labels: Mapping[str, int], versions: Iterable[int]) -> None:
    """Gives the model these labels and serves these versions; labels of other names stay, with their versions."""
    others = {label: version for label, version in model.version_labels.items() if label not in (STABLE, CANARY)}
    model.version_labels.clear()
    model.version_labels.update(others | dict(labels))
    model.model_version_policy.specific.versions[:] = sorted({*versions, *others.values()})
