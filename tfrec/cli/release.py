"""The verbs that say which version is for whom: promote, canary, rollback.

Part of the edge (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfrec.cli.connect import connect

if TYPE_CHECKING:
    from serving.rollout.release import Release


def promote(options: argparse.Namespace) -> None:
    """let a version answer everybody, and remember the one before"""
    from serving.rollout.release import promoted

    _change(options, lambda release: promoted(release, options.version))


def canary(options: argparse.Namespace) -> None:
    """let a version answer a share of the users"""
    from serving.rollout.release import with_canary

    release = _change(options, lambda release: with_canary(release, options.version, options.share))
    highest = max(release.stable or 0, options.version)
    print(f"who asks for no label gets the highest version in service, {highest}: let clients ask for stable or canary")


def rollback(options: argparse.Namespace) -> None:
    """withdraw the canary, or else go back to the version that was stable before"""
    from serving.rollout.release import rolled_back

    _change(options, rolled_back)


def _change(options: argparse.Namespace, step: Callable[[Release], Release]) -> Release:
    from serving.rollout.rollout import Rollout

    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(connect(options, server)) for server in options.server or [None]]
        rollout = Rollout(
            options.model_config_file, options.name, servers, sends=options.send, wait_seconds=options.wait
        )
        release = rollout.change(step)
    print(release.sentence())
    return release
