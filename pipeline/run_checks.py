"""What is known before a training is checked before it: folders, windows, memory and disk.

docs/run.md lists the checks and the estimates.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.runs import Run, RunFolders
from tfrec.console import log
from tfrec.errors import ConfigError, DataError, MachineError
from tfrec.examples.split import boundaries
from tfrec.memory import memory_bytes
from tfrec.schema import DAY_SECONDS, POSITIVE_KINDS, Manifest, TableSet, read_table_set

GLOB = "*?["
"""Characters that Beam reads as a pattern wherever a path is expected."""
MIN_FREE_BYTES = 100_000_000
FULL_BYTES = 10_000_000
FEW_USERS = 30
"""Users with a label in the test window below which the verdict is uncertain."""

_MB, _GB = 1_000_000, 1_000_000_000


def check_folders(run: RunFolders) -> None:
    """Raise an error for folders that can't be used, before anything is read or written."""
    for name, path in (("tables", run.tables), ("out", run.out)):
        absolute = Path(path).absolute()
        if set(GLOB) & set(str(absolute)):
            raise ConfigError(
                f"`{name}` is {absolute}, but Beam reads * ? and [ in it as a pattern; rename the folder or name "
                "another in the shop's file"
            )
    _check_writable(Path(run.out).absolute())


def check_space(run: RunFolders, error: Exception) -> None:
    """Raise MachineError if a run may have failed since its disk is full."""
    free = _free_bytes(Path(run.out).absolute())
    if free < FULL_BYTES:
        raise MachineError(
            f"the run failed, and {Path(run.out).absolute()} has {free / _MB:,.1f} MB free; free some and run it "
            "again, which resumes it"
        ) from error


def check_data(run: Run) -> None:
    """Raise an error for windows that hold no label; warn of few labels and of a small machine."""
    tables = read_table_set(run.tables)
    bounds = boundaries(tables.manifest, run.config.examples.split)
    if bounds.validation_start is None or bounds.test_start is None:
        _check_last_baskets(tables, run)
    else:
        _check_windows(tables, run, bounds.validation_start, bounds.test_start)
    _check_size(tables.manifest, run)


def estimate_memory(manifest: Manifest) -> int:
    """Bytes at the peak: of the shuffle in ExampleGen, or of the catalog in training."""
    return int(1.2 * _GB + max(460 * manifest.rows["interactions"], 3_100 * manifest.rows["items"]))


def estimate_disk(manifest: Manifest) -> int:
    """Bytes of a whole run: examples, checkpoints, and six copies of the model on its way."""
    return int(600 * manifest.rows["interactions"] + 6 * (100 * _MB + 3_500 * manifest.rows["items"]))


def _check_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"`out` is {out}, which can't be made ({error.strerror}); name another folder") from None
    if not os.access(out, os.W_OK):
        raise MachineError(f"`out` is {out}, which can't be written; change its rights or name another folder")
    free = _free_bytes(out)
    if free < MIN_FREE_BYTES:
        raise MachineError(
            f"`out` is {out}, where {free / _MB:,.1f} MB are free, fewer than {MIN_FREE_BYTES // _MB}; free some, or "
            "name a folder on another disk"
        )


def _check_windows(tables: TableSet, run: Run, validation_start: int, test_start: int) -> None:
    """Check that each window of global time holds a label."""
    validation, test = (second // DAY_SECONDS for second in (validation_start, test_start))
    end = tables.manifest.last_timestamp // DAY_SECONDS + 1
    kinds = run.config.evaluation.label_kinds
    days: Counter[int] = Counter()
    users = 0
    for labels in _labels(tables, kinds):
        day = labels["timestamp"].cast(pa.int64()).to_numpy() // (1000 * DAY_SECONDS)
        days.update(dict(zip(*(values.tolist() for values in np.unique(day, return_counts=True)), strict=True)))
        users += len(pc.unique(labels["user_id"].filter(pa.array(day >= test))))
    for name, first, last, cure in (
        ("training data", 0, validation, "lower the days of both windows"),
        ("validation window", validation, test, "raise examples.split.validation_days"),
        ("test window", test, end, "raise examples.split.test_days"),
    ):
        if not any(first <= day < last for day in days):
            raise DataError(
                f"the {name}, {_window(first, last)}, holds no label, {_described(kinds)}; {_last_days(days)}; correct "
                f"or remove stray dates, or {cure}"
            )
    _warn(days, users, run.config.examples.split.test_days)


def _check_last_baskets(tables: TableSet, run: Run) -> None:
    """Check that the baskets that are held out, some users' last two, hold labels."""
    kinds = run.config.evaluation.label_kinds
    tests, validations = 0, 0
    for events in _labels(tables, ()):  # a basket of other kinds is held out too
        second = pc.floor_temporal(events["timestamp"], unit="second")
        is_label = pc.is_in(events["kind"], pa.array(kinds or POSITIVE_KINDS)).cast(pa.int8())
        baskets = pa.table({"user": events["user_id"], "basket": second, "is_label": is_label})
        baskets = baskets.group_by(["user", "basket"]).aggregate([("is_label", "max")]).sort_by("basket").to_pandas()
        of_user = baskets.groupby("user").basket
        from_end, count = of_user.cumcount(ascending=False), of_user.transform("size")
        has_label = baskets.is_label_max > 0
        tests += int((has_label & (from_end == 0) & (count >= 2)).sum())
        validations += int((has_label & (from_end == 1) & (count >= 3)).sum())
    if not tests or not validations:
        what = "ranks of the order" if tables.manifest.clock == "order" else "times"
        raise DataError(
            f"no user has labels, {_described(kinds)}, at the last of two {what} or more, which is the test, or none "
            "at the last but one of three, which is the validation; add events or label kinds"
        )
    _warn_of_few(tests)


def _labels(tables: TableSet, kinds: tuple[str, ...]) -> Iterator[pa.Table]:
    """Events that count as labels, a table for each partition."""
    for path in tables.parts("interactions"):
        columns = ["user_id", "item_id", "timestamp", "kind"]
        rows = pq.read_table(path, columns=columns, filters=[("kind", "in", kinds or POSITIVE_KINDS)])
        yield rows.filter(pc.is_valid(rows["item_id"]))


def _warn(days: Counter[int], users: int, test_days: int) -> None:
    _warn_of_few(users)
    known = sorted(days)
    gap = known[-1] - known[-2] if len(known) > 1 else 0
    if gap >= max(test_days, 2):  # consecutive days are no gap, even with a window of one day
        log(
            f"warning: {_day(known[-1])}, the last day, is {gap} days after the day before it; if its date is wrong, "
            "correct it: the test window holds nothing else"
        )


def _warn_of_few(users: int) -> None:
    if users < FEW_USERS:
        log(f"warning: only {users} users have a label in the test window, so the verdict is uncertain")


def _check_size(manifest: Manifest, run: Run) -> None:
    memory, needed = memory_bytes(), estimate_memory(manifest)
    if memory < needed:
        log(f"warning: the run needs about {needed / _GB:.1f} GB of memory, and this machine has {memory / _GB:.1f}")
    free, needed = _free_bytes(Path(run.out).absolute()), estimate_disk(manifest)
    if free < needed:
        log(f"warning: a whole run writes about {needed / _GB:.1f} GB below {run.out}, where {free / _GB:.1f} are free")


def _free_bytes(folder: Path) -> int:
    """Free bytes of the disk that holds, or will hold, the folder."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def _described(kinds: tuple[str, ...]) -> str:
    return f"an event of kind {' or '.join(kinds)}" if kinds else "an event with an item"


def _window(first: int, end: int) -> str:
    return f"{_day(first)} to {_day(end - 1)}" if first else f"before {_day(end)}"


def _last_days(days: Counter[int]) -> str:
    """The last days with labels, in words."""
    if not days:
        return "there is no label on any day"
    return "the last days with labels are " + ", ".join(f"{_day(day)} ({days[day]:,})" for day in sorted(days)[-3:])


def _day(day: int) -> str:
    return f"{datetime.fromtimestamp(day * DAY_SECONDS, UTC):%Y-%m-%d}"
