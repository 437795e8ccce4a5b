"""Batching parameters: TensorFlow Serving's fields, defaults and refusals.

The texts are those of shared_batch_scheduler.h and batching_session.cc.
"""

from __future__ import annotations

import dataclasses
import itertools
import os

from serving.wire.config_protos import BatchingParameters, read
from tfrec.errors import ServingError

_OPTIONAL_FIELDS = (
    "max_batch_size",
    "batch_timeout_micros",
    "max_enqueued_batches",
    "num_batch_threads",
    "thread_pool_name",
    "enable_large_batch_splitting",
    "max_execution_batch_size",
)
"""Fields of the file that tell "left out" from zero."""


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """Batching parameters under their stock names; sizes count rows (tensors' first dimension)."""

    max_batch_size: int = 1000
    """Largest size of a request and, unless large ones are split, of a batch."""
    batch_timeout_micros: int = 0
    """Longest time, from its first request on, that a batch waits to be filled."""
    max_enqueued_batches: int = 10
    """Largest number of waiting batches for each kind of request; those that run do not count."""
    num_batch_threads: int = dataclasses.field(default_factory=lambda: len(os.sched_getaffinity(0)))
    """Largest number of batches that run at once."""
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    """A batch is padded to the next of these (padding.py); empty: it keeps its size."""
    pad_variable_length_inputs: bool = False
    """Tensors that differ in a later dimension are padded (padding.py) instead of refused."""
    enable_large_batch_splitting: bool = False
    """A request larger than max_execution_batch_size runs in several batches."""
    max_execution_batch_size: int | None = None
    """Largest size of a batch where large requests are split; None: max_batch_size."""

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.allowed_batch_sizes:
            self._check_allowed_sizes(self.allowed_batch_sizes[-1])

    @property
    def batch_size_limit(self) -> int:
        """Largest number of rows in a batch before padding."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size is not None:
            return self.max_execution_batch_size
        return self.max_batch_size

    def _check_numbers(self) -> None:
        _check_positive("num_batch_threads", self.num_batch_threads)
        _check_positive("input_batch_size_limit", self.max_batch_size)
        _check_positive("max_execution_batch_size", self.batch_size_limit)
        if self.batch_timeout_micros < 0:
            raise ServingError(f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}")
        if self.enable_large_batch_splitting or self.max_enqueued_batches < 0:  # else 0 counts as 1
            _check_positive("max_enqueued_batches", self.max_enqueued_batches)
        if self.max_batch_size < self.batch_size_limit:
            raise ServingError(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
                f"max_execution_batch_size. They are {self.max_batch_size} and {self.batch_size_limit}"
            )

    def _check_allowed_sizes(self, last: int) -> None:
        sizes = self.allowed_batch_sizes
        if self.enable_large_batch_splitting:
            if any(size >= later for size, later in itertools.pairwise(sizes)):
                raise ServingError("allowed_batch_sizes entries must be monotonically increasing")
            if last != self.batch_size_limit:
                raise ServingError(
                    "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; "
                    f"last entry was {last}; expected {self.batch_size_limit}"
                )
        elif last != self.max_batch_size:
            raise ServingError(
                "Last entry in allowed_batch_sizes must match max_batch_size; "
                f"last entry was {last}; expected {self.max_batch_size}"
            )


def read_batch_options(enable_batching: bool, batching_parameters_file: str | None) -> BatchOptions | None:
    """Read the batching parameters from the text file; None where batching is off.

    Without a file they are the defaults. Raises ServingError when the file can't be read, holds a
    bad value, or would be ignored.
    """
    if not enable_batching:
        if batching_parameters_file:
            raise ServingError(
                "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
            )
        return None
    if not batching_parameters_file:
        return BatchOptions(thread_pool_name="model_server_batch_threads")
    message = read("batching_parameters_file", batching_parameters_file, BatchingParameters)
    fields = {name: getattr(message, name).value for name in _OPTIONAL_FIELDS if message.HasField(name)}
    try:
        return BatchOptions(
            allowed_batch_sizes=tuple(message.allowed_batch_sizes),
            pad_variable_length_inputs=message.pad_variable_length_inputs,
            **fields,
        )
    except ServingError as error:
        raise ServingError(f"batching_parameters_file is {batching_parameters_file} but {error}") from error


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ServingError(f"{name} must be positive; was {value}")
