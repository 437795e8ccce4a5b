"""Leak audit of the examples, before anything trains on them.

A leak gives a score that no shop will see. The audit reads ExampleGen's output and finds:

    events after the split      context or target on the wrong side of a window's start
    target in history           a target of a window's example is part of its own context
    same-basket leakage         context of a window's example at the time of a target, or later
    duplicates                  two examples of a user in a window, or a target of two splits
    disorder                    events of an example out of time order, or without windows a
                                target of a split that is not before the user's later ones
    states out of time order    changes of an item's state that do not rise: one read as of a query
                                time could be a later one
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec.examples.read import read_events, read_state_times

WINDOWS = ("validation", "test")
_EVENT = ["user_id", "item_id", "kind", "timestamp"]


def find_leaks(examples_dir: str | Path, validation_start: int | None, test_start: int | None) -> list[str]:
    """One sentence for each kind of leak, with an example; [] where the splits are sound.

    The windows start at these seconds since the epoch. None, for data that is split without
    windows, checks the order of each user's splits instead. Raises DataError when a split cannot be
    read.
    """
    splits = {split: read_events(examples_dir, split) for split in ("train", *WINDOWS)}
    leaks: list[str] = []
    for split, events in splits.items():
        if validation_start is not None and test_start is not None:
            leaks += _after_the_split(split, events, validation_start, test_start)
        leaks += _inside_an_example(split, events)
    leaks += _duplicates(splits)
    if validation_start is None:
        leaks += _after_later_splits(splits)
    return leaks


def find_state_leaks(examples_dir: str | Path) -> list[str]:
    """One sentence where the states of items are out of time order; [] where they are sound."""
    states = read_state_times(examples_dir)
    is_late = (states.timestamp.diff() <= 0) & (states.item_id == states.item_id.shift())
    if not is_late.any():
        return []
    first = states[is_late].iloc[0]
    return [
        f"{is_late.sum():,} states of items out of time order, the first of them of item {first.item_id!r} at "
        f"{first.timestamp}"
    ]


def _after_the_split(split: str, events: pd.DataFrame, validation_start: int, test_start: int) -> Iterator[str]:
    begin = {"validation": validation_start, "test": test_start}.get(split)
    end = {"train": validation_start, "validation": test_start}.get(split)
    targets, context = events[events.is_target], events[~events.is_target]
    if begin is not None:
        yield from _described(
            f"{split} targets before second {begin}, where it starts", targets.timestamp < begin, targets
        )
    if end is not None:
        yield from _described(f"{split} targets from second {end} on, where it ends", targets.timestamp >= end, targets)
    limit = end if begin is None else begin
    yield from _described(f"{split} context from second {limit} on", context.timestamp >= limit, context)


def _inside_an_example(split: str, events: pd.DataFrame) -> Iterator[str]:
    earlier = (events.timestamp.diff() < 0) & (events.example.diff() == 0)
    yield from _described(f"{split} events out of time order", earlier, events)
    if split not in WINDOWS:
        return  # a training chunk may end inside a basket: the model reads strictly earlier events only
    targets, context = events[events.is_target], events[~events.is_target]
    keys = ["example", "item_id", "kind", "timestamp"]
    is_known = pd.MultiIndex.from_frame(targets[keys]).isin(pd.MultiIndex.from_frame(context[keys]))
    yield from _described(f"{split} targets in their own history", is_known, targets)
    first = targets.groupby("example").timestamp.min().reindex(context.example).to_numpy()
    is_late = context.timestamp.to_numpy() >= first
    yield from _described(f"{split} context at the time of a target or later", is_late, context)


def _duplicates(splits: dict[str, pd.DataFrame]) -> Iterator[str]:
    for split in WINDOWS:
        examples = splits[split].drop_duplicates("example")
        yield from _described(f"users with more than one example in {split}", examples.user_id.duplicated(), examples)
    targets = pd.concat([events[events.is_target].assign(split=split) for split, events in splits.items()])
    homes = targets.drop_duplicates([*_EVENT, "split"])
    yield from _described("events that are targets of two splits", homes.duplicated(_EVENT), homes)


def _after_later_splits(splits: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Find targets that are not before the same user's first target of a later split."""
    targets = {split: events[events.is_target] for split, events in splits.items()}
    for split, later in (("train", "validation"), ("train", "test"), ("validation", "test")):
        first = targets[later].groupby("user_id").timestamp.min().reindex(targets[split].user_id)
        is_late = targets[split].timestamp.to_numpy() >= first.to_numpy()  # NaN without a later target
        yield from _described(f"{split} targets at the user's {later} targets or later", is_late, targets[split])


def _described(problem: str, is_leak: Any, events: pd.DataFrame) -> Iterator[str]:
    leaks = events[np.asarray(is_leak, bool)]
    if len(leaks):
        row = leaks.iloc[0]
        yield (
            f"{len(leaks):,} {problem}, the first of them user {row.user_id!r}, item {row.item_id!r}, "
            f"{row.kind} at {row.timestamp}"
        )
