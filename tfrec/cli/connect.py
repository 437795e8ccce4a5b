"""The connection that the flags of recommend_flags.py name.

Part of the edge (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tfrec.cli.recommend_flags import GRPC_SERVER, REST_SERVER

if TYPE_CHECKING:
    from serving.client import Client
    from serving.rollout.release import Release


def connect(options: argparse.Namespace, server: str | None = None) -> Client:
    """A client of `server`, by default of the one that the flags name."""
    from serving.client import Client, Tls

    has_tls = options.tls or options.tls_ca or options.tls_cert or options.tls_key
    tls = Tls(options.tls_ca, options.tls_cert, options.tls_key) if has_tls else None
    address = server or options.server or (REST_SERVER if options.rest else GRPC_SERVER)
    if options.rest and "://" not in address:
        address = f"{'https' if tls else 'http'}://{address}"
    return Client(address, options.name, options.timeout, tls=tls, **_choice(options))


def _choice(options: argparse.Namespace) -> dict[str, Any]:
    """The client's arguments of which version; none where a verb has no such flags."""
    if "label" not in options:
        return {}
    canary = release_of(options).drawn() if options.model_config_file else None
    return {"version": options.version, "label": options.label, "canary": canary}


def release_of(options: argparse.Namespace) -> Release:
    """Which versions are for whom, as --model_config_file says."""
    from serving.rollout.release import read

    return read(options.model_config_file, options.name)
