"""The train/test split by time: where the validation and the test window start.

Without windows, by setting or for want of timestamps, build.py holds out each user's last baskets.
"""

from __future__ import annotations

import dataclasses

from tfrec.config import SplitConfig
from tfrec.errors import ConfigError
from tfrec.schema import DAY_SECONDS, Manifest


@dataclasses.dataclass(frozen=True)
class Boundaries:
    """Starts of the windows, in seconds since the epoch; None where there are no windows."""

    validation_start: int | None
    test_start: int | None


def boundaries(manifest: Manifest, split: SplitConfig) -> Boundaries:
    """Boundaries: the test window is the last `test_days`, the validation window ends there.

    The test window ends at the midnight (UTC) after the last event. There are no windows without
    timestamps and with the method "leave_last_out". Raises ConfigError when nothing is left to
    train on.
    """
    if manifest.clock == "order" or split.method == "leave_last_out":
        return Boundaries(None, None)
    test_start = (manifest.last_timestamp // DAY_SECONDS + 1 - split.test_days) * DAY_SECONDS
    validation_start = test_start - split.validation_days * DAY_SECONDS
    if validation_start <= manifest.first_timestamp:
        days = (manifest.last_timestamp - manifest.first_timestamp) / DAY_SECONDS
        raise ConfigError(
            f"test_days {split.test_days} and validation_days {split.validation_days} cover all {days:.1f} "
            "days of the data and leave no event to train on; lower examples.split.test_days and validation_days"
        )
    return Boundaries(validation_start, test_start)
