"""Poll of --model_config_file: the file is read again every few seconds, and a change is served."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from serving.lifecycle.models import Models
from serving.request.status import StatusError
from serving.wire import config_protos
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

log = logging.getLogger(__name__)


class ConfigPoll:
    """Polls while its `with` block runs.

    A file that can't be served leaves the last configuration in force and is tried again.
    """

    def __init__(self, models: Models, path: str, poll_seconds: float) -> None:
        self._models = models
        self._path = Path(path)
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._logged = ""
        self._thread = threading.Thread(target=self._run, name="model-config", daemon=True)

    def __enter__(self) -> ConfigPoll:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            try:
                self._models.configure(
                    config_protos.read("--model_config_file", self._path, ModelServerConfig), self._go_on
                )
                self._logged = ""
            except _Stopped:
                return
            except (ServingError, StatusError) as error:
                self._log_once(str(error))
            except Exception:  # the poll must survive, or the configuration never changes again
                log.exception("Reloading %s failed; trying again", self._path)

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise _Stopped

    def _log_once(self, message: str) -> None:
        """Log a message that differs from the last one."""
        if message != self._logged:
            log.error("Reloading %s failed: %s", self._path, message)
            self._logged = message


class _Stopped(Exception):
    pass
