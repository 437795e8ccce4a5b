"""The served models by name, each watched for new versions, and the labels of their versions.

A ModelServerConfig lists the models. A new one replaces the old one as in TensorFlow Serving:
labels first, then removed models are unloaded and new ones awaited.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from serving.lifecycle import model_config
from serving.lifecycle.model import Model
from serving.lifecycle.options import DEFAULT_LIFECYCLE, LifecycleOptions
from serving.lifecycle.version import VersionStatus
from serving.lifecycle.watcher import Watcher
from serving.request.status import Code, StatusError, invalid, not_found
from serving.servable.servable import Servable
from serving.wire.protos import ModelConfig, ModelServerConfig, ModelSpec

_SLICE_SECONDS = 0.2  # a caller that gave up is noticed within this time

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _WatchedModel:
    model: Model
    watcher: Watcher


class Models:
    """The models of a server; any thread may call any method."""

    def __init__(self, options: LifecycleOptions = DEFAULT_LIFECYCLE) -> None:
        self._options = options
        self._changing = threading.Lock()  # one configuration at a time
        self._config = ModelServerConfig()
        self._is_stopping = False
        # Each mapping is replaced as a whole, never changed: requests read it without a lock.
        self._watched: Mapping[str, _WatchedModel] = {}
        self._known: Mapping[str, Model] = {}
        self._labels: Mapping[str, Mapping[str, int]] = {}

    def configure(self, config: ModelServerConfig, check_caller: Callable[[], None]) -> None:
        """Serve the models of `config` alone; return once each new one has a version in service.

        It may wait, first for another configuration to end. `check_caller` is called now and then
        meanwhile; it raises when the caller no longer waits. Raises StatusError, with the stock
        texts, for a wrong configuration, which changes nothing, and for a model that can't be
        loaded.
        """
        with self._locked(check_caller):
            model_config.check(config, self._config)
            configs = {model.name: model for model in config.model_config_list.config}
            labels = {name: self._check_labels(model) for name, model in configs.items()}
            self._config, self._labels = config, labels
            new = self._replace(configs)
            self._await(new, check_caller)

    @contextlib.contextmanager
    def use(self, spec: ModelSpec) -> Iterator[tuple[int, Servable]]:
        """Keep the version that `spec` names loaded for a block; yield its number and servable."""
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        number = self._resolve(spec)
        watched = self._watched.get(spec.name)
        if watched is None:
            raise not_found(spec.name, number)
        with watched.model.use(number) as used:
            yield used

    def statuses(self, name: str) -> list[VersionStatus]:
        """Return every version of a model found since the start, of a removed model too."""
        return self._known[name].statuses() if name in self._known else []

    def in_flight(self) -> dict[str, int]:
        """Return the number of requests that run, by the name of each watched model."""
        return {name: watched.model.in_flight() for name, watched in self._watched.items()}

    def stop(self) -> None:
        """Unload all models; cancel requests in flight and a configuration that still waits."""
        self._is_stopping = True
        for model in self._known.values():
            model.cancel()
        with self._changing:
            self._retire(self._watched.values())

    @contextlib.contextmanager
    def _locked(self, check_caller: Callable[[], None]) -> Iterator[None]:
        """Hold the lock of the configuration, if the caller still waits once it is free."""
        while not self._changing.acquire(timeout=_SLICE_SECONDS):
            self._check(check_caller)
        try:
            self._check(check_caller)
            yield
        finally:
            self._changing.release()

    def _check(self, check_caller: Callable[[], None]) -> None:
        check_caller()
        if self._is_stopping:
            raise StatusError(Code.UNAVAILABLE, "the server stops; retry when it is back")

    def _resolve(self, spec: ModelSpec) -> int | None:
        if spec.HasField("version"):
            return int(spec.version.value)
        if not spec.HasField("version_label"):
            return None
        labels = self._labels.get(spec.name, {})
        if spec.version_label not in labels:
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        return labels[spec.version_label]

    def _check_labels(self, config: ModelConfig) -> dict[str, int]:
        """Return version by label; StatusError for one not in service, unless labels may wait."""
        available = {status.number for status in self.statuses(config.name) if status.state == "AVAILABLE"}
        assigned = self._labels.get(config.name, {})
        for label, version in config.version_labels.items():
            may_wait = self._options.labels_may_wait and assigned.get(label, version) == version
            if version not in available and not may_wait:
                raise StatusError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {config.name}, "
                    "which is not currently available for inference",
                )
        return dict(config.version_labels)

    def _replace(self, configs: Mapping[str, ModelConfig]) -> dict[str, Model]:
        """Watch these models and no others; return the new ones."""
        before = self._watched
        new = {name: Model(name, self._options) for name in configs if name not in before}
        watched = {name: before[name] for name in configs if name in before}
        for name, model in new.items():
            watched[name] = _WatchedModel(model, Watcher(model, configs[name], self._options.poll_seconds))
        self._watched = watched
        self._known = {**self._known, **new}
        for name, one in watched.items():
            if name in new:
                one.watcher.start()
            else:
                one.watcher.follow(configs[name])
        self._retire(one for name, one in before.items() if name not in configs)
        return new

    def _await(self, models: Mapping[str, Model], check_caller: Callable[[], None]) -> None:
        waiting = list(models.values())
        while waiting:
            self._check(check_caller)
            waiting[0].wait_until_decided(_SLICE_SECONDS)
            waiting = [model for model in waiting if not model.wait_until_decided(0)]
        failed = [model for model in models.values() if not model.is_available()]
        if failed:
            reasons = ", ".join(_reason(model) for model in failed)
            raise StatusError(Code.UNKNOWN, f"{len(failed)} model(s) did not become available: {{{reasons}}}")

    def _retire(self, removed: Iterable[_WatchedModel]) -> None:
        stopped = list(removed)
        for one in stopped:
            one.watcher.stop()
        for one in stopped:
            one.model.stop()


def _reason(model: Model) -> str:
    failed = [status for status in model.statuses() if status.error]
    return ", ".join(
        f"{{{{name: {model.name} version: {status.number}}} due to error: {status.error}}}" for status in failed
    )
