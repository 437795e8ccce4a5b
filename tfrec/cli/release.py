"""The verbs that move labels between versions: promote, canary, rollback.

Serving is imported inside functions only (docs/decisions/0001-command-line.md).
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
    """make a version the stable one for all users, and remember the one before"""
    from serving.rollout.release import with_promotion

    _change(options, lambda release: with_promotion(release, options.version))


def canary(options: argparse.Namespace) -> None:
    """serve a version to a share of the users"""
    from serving.rollout.release import with_canary

    release = _change(options, lambda release: with_canary(release, options.version, options.share))
    highest = max(release.stable or 0, options.version)
    print(
        f"requests without a label get the highest version in service, {highest}: "
        "let clients request the label stable or canary"
    )


def rollback(options: argparse.Namespace) -> None:
    """withdraw the canary, or else go back to the previous stable version"""
    from serving.rollout.release import with_rollback

    _change(options, with_rollback)


def _change(options: argparse.Namespace, step: Callable[[Release], Release]) -> Release:
    from serving.rollout.rollout import Rollout

    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(connect(options, server)) for server in options.server or [None]]
        rollout = Rollout(
            options.model_config_file, options.name, servers, sends=options.send, wait_seconds=options.wait
        )
        release = rollout.change(step)
    print(release.describe())
    return release
