"""Poll of a model's base path: the model gets the versions that its policy selects there."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from serving.lifecycle.model import Model
from serving.lifecycle.storage import find_versions, select_versions
from serving.wire.protos import ModelConfig, VersionPolicy

log = logging.getLogger(__name__)


class Watcher:
    """Thread that polls the base path of one model's configuration."""

    def __init__(self, model: Model, config: ModelConfig, poll_seconds: float = 1.0) -> None:
        self._model = model
        self._config = config
        self._poll_seconds = poll_seconds
        self._awake = threading.Event()
        self._stopping = False
        self._last_message = ""  # logged at the last look
        self._thread = threading.Thread(target=self._run, name=f"watch-{model.name}", daemon=True)

    def start(self) -> None:
        """Start to look, at once and then every `poll_seconds`."""
        self._thread.start()

    def follow(self, config: ModelConfig) -> None:
        """Use another configuration of the same model from now on."""
        self._config = config
        self._awake.set()

    def stop(self) -> None:
        """End the thread, after a load that is under way."""
        self._stopping = True
        self._awake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._awake.clear()
            try:
                self._look(Path(self._config.base_path), self._config.model_version_policy)
            except Exception:  # a thread that dies would freeze the model for ever
                log.exception("Looking at %s failed; trying again", self._config.base_path)
            if not self._stopping:
                self._awake.wait(self._poll_seconds)

    def _look(self, base_path: Path, policy: VersionPolicy) -> None:
        name = self._model.name
        try:
            versions = find_versions(base_path)
        except OSError as error:  # nothing is unloaded: the path may be back at the next look
            self._log_once(
                logging.ERROR, f"Could not find base path {base_path} for servable {name} with error {error}"
            )
            return
        selected = select_versions(versions, policy)
        missing = sorted(set(policy.specific.versions) - set(selected))
        if missing:
            self._log_once(
                logging.WARNING,
                f"Version {missing[0]} of servable {name}, which was requested to be served as a 'specific' version "
                "in the servable's version policy, was not found in the base path",
            )
        elif not selected:
            self._log_once(
                logging.WARNING,
                f"No versions of servable {name} found under base path {base_path}. "
                "Did you forget to name your leaf directory as a number (eg. '/1/')?",
            )
        else:
            self._last_message = ""
        self._model.set_aspired_versions(selected)

    def _log_once(self, level: int, message: str) -> None:
        """Log a message once, not at every look."""
        if message != self._last_message:
            log.log(level, "%s", message)
            self._last_message = message
