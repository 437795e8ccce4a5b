"""Batching parameters: stock defaults, fields of a file, values that are refused."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from serving.batching.options import BatchOptions, read_batch_options
from tfrec.errors import ServingError


def write(folder: Path, text: str) -> str:
    path = folder / "batching.config"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_field_that_a_file_leaves_out_has_the_stock_default(tmp_path: Path) -> None:
    """The defaults are those of shared_batch_scheduler.h."""
    assert read_batch_options(True, write(tmp_path, "")) == BatchOptions(
        max_batch_size=1000,
        batch_timeout_micros=0,
        max_enqueued_batches=10,
        num_batch_threads=len(os.sched_getaffinity(0)),
        thread_pool_name="batch_threads",
        allowed_batch_sizes=(),
        pad_variable_length_inputs=False,
        enable_large_batch_splitting=False,
        max_execution_batch_size=None,
    )


def test_without_a_file_all_fields_have_their_defaults() -> None:
    assert read_batch_options(True, None) == BatchOptions(thread_pool_name="model_server_batch_threads")


def test_without_batching_there_are_no_options() -> None:
    assert read_batch_options(False, None) is None


def test_every_field_of_a_file_is_read(tmp_path: Path) -> None:
    text = """
        max_batch_size { value: 128 }  # a comment
        batch_timeout_micros { value: 2000 }
        max_enqueued_batches { value: 7 }
        num_batch_threads { value: 3 }
        thread_pool_name { value: "pool" }
        allowed_batch_sizes: 8
        allowed_batch_sizes: 64
        pad_variable_length_inputs: true
        enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 64 }
    """
    assert read_batch_options(True, write(tmp_path, text)) == BatchOptions(
        max_batch_size=128,
        batch_timeout_micros=2000,
        max_enqueued_batches=7,
        num_batch_threads=3,
        thread_pool_name="pool",
        allowed_batch_sizes=(8, 64),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=64,
    )


@pytest.mark.parametrize(
    ("splitting", "execution", "limit"),
    [(False, None, 100), (False, 10, 100), (True, None, 100), (True, 10, 10)],
)
def test_a_batch_is_smaller_than_a_request_only_where_requests_are_split(
    splitting: bool, execution: int | None, limit: int
) -> None:
    options = BatchOptions(100, enable_large_batch_splitting=splitting, max_execution_batch_size=execution)
    assert options.batch_size_limit == limit


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"num_batch_threads": 0}, "num_batch_threads must be positive; was 0"),
    ({"max_batch_size": 0}, "input_batch_size_limit must be positive; was 0"),
    ({"batch_timeout_micros": -1}, "batch_timeout_micros must be non-negative; was -1"),
    ({"max_enqueued_batches": -1}, "max_enqueued_batches must be positive; was -1"),
    (
        {"max_enqueued_batches": 0, "enable_large_batch_splitting": True},
        "max_enqueued_batches must be positive; was 0",
    ),
    (
        {"max_batch_size": 8, "enable_large_batch_splitting": True, "max_execution_batch_size": 9},
        "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
        "max_execution_batch_size. They are 8 and 9",
    ),
    (
        {"max_batch_size": 8, "allowed_batch_sizes": (2, 4)},
        "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
    ),
    (
        {"max_batch_size": 8, "allowed_batch_sizes": (4, 2, 8), "enable_large_batch_splitting": True},
        "allowed_batch_sizes entries must be monotonically increasing",
    ),
    (
        {"allowed_batch_sizes": (2, 4), "enable_large_batch_splitting": True, "max_execution_batch_size": 8},
        "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; last entry was 4; expected 8",
    ),
]


@pytest.mark.parametrize(("fields", "text"), REFUSED)
def test_a_bad_value_is_refused_with_the_stock_text(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ServingError, match=f"^{re.escape(text)}$"):
        BatchOptions(**fields)


def test_a_bad_value_in_a_file_is_refused_with_the_name_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "num_batch_threads { value: 0 }")
    text = f"batching_parameters_file is {file} but num_batch_threads must be positive; was 0"
    with pytest.raises(ServingError, match=f"^{re.escape(text)}$"):
        read_batch_options(True, file)


def test_a_file_without_batching_is_refused(tmp_path: Path) -> None:
    text = "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
    with pytest.raises(ServingError, match=f"^{re.escape(text)}$"):
        read_batch_options(False, write(tmp_path, "num_batch_threads { value: 3 }"))
