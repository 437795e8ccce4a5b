"""Looks for the future in the examples before anything trains on them: leaks make a score that no shop will see.

It reads what ExampleGen wrote, not how it was made. The leaks it knows:

    events after the split      context or target on the wrong side of a window's beginning
    target in history           what a window's example is to predict is part of its own context
    same-basket leakage         context of a window's example at the moment of a target, or later
    duplicates                  two examples of a user in a window, or an event that is a target of two splits
    disorder                    events of an example out of time order: who looks back would look ahead
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec.examples.read import read_events

WINDOWS = ("validation", "test")
_EVENT = ["user_id", "item_id", "kind", "timestamp"]


def find_leaks(examples_dir: str | Path, validation_start: int | None, test_start: int | None) -> list[str]:
    """A sentence for each kind of leak that there is, with an example; [] where the splits are sound.

    The windows begin at these seconds since the epoch; None, for data without timestamps, leaves out what only a
    clock can tell. DataError when a split can't be read.
    """
    splits = {split: read_events(examples_dir, split) for split in ("train", *WINDOWS)}
    found: list[str] = []
    for split, events in splits.items():
        found += _after_the_split(split, events, validation_start, test_start)
        found += _inside_an_example(split, events, test_start is not None)
    found += _duplicates(splits)
    return found


def _after_the_split(
    split: str, events: pd.DataFrame, validation_start: int | None, test_start: int | None
) -> Iterator[str]:
    if validation_start is None or test_start is None:
        return
    begin = {"validation": validation_start, "test": test_start}.get(split)
    end = {"train": validation_start, "validation": test_start}.get(split)
    targets, context = events[events.is_target], events[~events.is_target]
    if begin is not None:
        yield from _said(f"{split} targets before second {begin}, where it begins", targets.timestamp < begin, targets)
    if end is not None:
        yield from _said(f"{split} targets from second {end} on, where it ends", targets.timestamp >= end, targets)
    known = end if begin is None else begin
    yield from _said(f"{split} context from second {known} on", context.timestamp >= known, context)


def _inside_an_example(split: str, events: pd.DataFrame, is_dated: bool) -> Iterator[str]:
    earlier = (events.timestamp.diff() < 0) & (events.example.diff() == 0)
    yield from _said(f"{split} events out of time order", earlier, events)
    if split not in WINDOWS:
        return  # a chunk of training may end inside a basket: the model looks at strictly earlier moments alone
    targets, context = events[events.is_target], events[~events.is_target]
    keys = ["example", "item_id", "kind", "timestamp"]
    is_known = pd.MultiIndex.from_frame(targets[keys]).isin(pd.MultiIndex.from_frame(context[keys]))
    yield from _said(f"{split} targets that are in their own history", is_known, targets)
    if is_dated:
        first = targets.groupby("example").timestamp.min().reindex(context.example).to_numpy()
        is_late = context.timestamp.to_numpy() >= first
        yield from _said(f"{split} context at the moment of a target or later", is_late, context)


def _duplicates(splits: dict[str, pd.DataFrame]) -> Iterator[str]:
    for split in WINDOWS:
        examples = splits[split].drop_duplicates("example")
        yield from _said(f"users with more than one example in {split}", examples.user_id.duplicated(), examples)
    targets = pd.concat([events[events.is_target].assign(split=split) for split, events in splits.items()])
    homes = targets.drop_duplicates([*_EVENT, "split"])
    yield from _said("events that are targets of two splits", homes.duplicated(_EVENT), homes)


def _said(what: str, is_leak: Any, events: pd.DataFrame) -> Iterator[str]:
    leaks = events[np.asarray(is_leak, bool)]
    if len(leaks):
        row = leaks.iloc[0]
        yield (
            f"{len(leaks):,} {what}, the first of them user {row.user_id!r}, item {row.item_id!r}, "
            f"{row.kind} at {row.timestamp}"
        )
