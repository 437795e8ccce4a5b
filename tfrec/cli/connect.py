"""The client that the flags of recommend_flags.py describe.

Serving is imported inside functions only (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tfrec.cli.recommend_flags import GRPC_SERVER, REST_SERVER

if TYPE_CHECKING:
    from serving.client import Client
    from serving.rollout.release import Release


def connect(options: argparse.Namespace, server: str | None = None) -> Client:
    """Create a client of `server`, by default of the server in the flags."""
    from serving.client import Client, Tls

    has_tls = options.tls or options.tls_ca or options.tls_cert or options.tls_key
    tls = Tls(options.tls_ca, options.tls_cert, options.tls_key) if has_tls else None
    address = server or options.server or (REST_SERVER if options.rest else GRPC_SERVER)
    if options.rest and "://" not in address:
        address = f"{'https' if tls else 'http'}://{address}"
    return Client(address, options.name, options.timeout, tls=tls, **_version_arguments(options))


def release_from_flags(options: argparse.Namespace) -> Release:
    """Read the release from --model_config_file."""
    from serving.rollout.release import read_release

    return read_release(options.model_config_file, options.name)


def _version_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The client's arguments that choose a version; none for verbs without these flags."""
    if "label" not in options:
        return {}
    canary = release_from_flags(options).client_canary() if options.model_config_file else None
    return {"version": options.version, "label": options.label, "canary": canary}
