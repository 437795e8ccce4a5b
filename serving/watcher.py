"""Looks at a model's base path every second and tells the model which versions are wanted: the latest."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from serving.model import Model
from serving.storage import find_versions, latest

log = logging.getLogger(__name__)


class Watcher:
    """The thread that polls one model's base path."""

    def __init__(self, model: Model, base_path: str | Path, poll_seconds: float = 1.0) -> None:
        self._model = model
        self._base_path = Path(base_path)
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._said = ""  # of the base path, at the last look that found no version
        self._thread = threading.Thread(target=self._run, name=f"watch-{model.name}", daemon=True)

    def start(self) -> None:
        """Begins to look, at once and then every `poll_seconds`."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch, after a load that is under way."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look()
            except Exception:  # a watch that died would freeze the model for ever
                log.exception("Looking at %s failed; trying again", self._base_path)
            self._stopping.wait(self._poll_seconds)

    def _look(self) -> None:
        name, base_path = self._model.name, self._base_path
        try:
            versions = find_versions(base_path)
        except OSError as error:  # nothing is unloaded: the path may be back at the next look
            self._say(logging.ERROR, f"Could not find base path {base_path} for servable {name} with error {error}")
            return
        if versions:
            self._said = ""
        else:
            self._say(
                logging.WARNING,
                f"No versions of servable {name} found under base path {base_path}. "
                "Did you forget to name your leaf directory as a number (eg. '/1/')?",
            )
        self._model.aspire(latest(versions))

    def _say(self, level: int, message: str) -> None:
        """Once, not at every look."""
        if message != self._said:
            log.log(level, "%s", message)
            self._said = message
