"""Batching parameters: the stock defaults, the file that we ship, and what is refused at the start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from serving.batching.options import BatchOptions, read_batch_options
from serving.server.main import main
from tfrec.errors import ServingError

SHIPPED = Path(__file__).parents[3] / "serving" / "batching.config"


def written(folder: Path, text: str) -> str:
    path = folder / "batching.config"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_what_a_file_leaves_out_has_the_stock_default(tmp_path: Path) -> None:
    """Those of shared_batch_scheduler.h."""
    options = read_batch_options(True, written(tmp_path, ""))
    assert options == BatchOptions(
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


def test_without_a_file_all_are_defaults_and_without_batching_there_are_none() -> None:
    assert read_batch_options(True, None) == BatchOptions(thread_pool_name="model_server_batch_threads")
    assert read_batch_options(False, None) is None


def test_every_parameter_of_a_file_is_obeyed(tmp_path: Path) -> None:
    text = (
        "max_batch_size { value: 128 } batch_timeout_micros { value: 2000 } max_enqueued_batches { value: 7 } "
        'num_batch_threads { value: 3 } thread_pool_name { value: "pool" } pad_variable_length_inputs: true '
        "allowed_batch_sizes: 8 allowed_batch_sizes: 64 "
        "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 64 }"
    )
    assert read_batch_options(True, written(tmp_path, text)) == BatchOptions(
        128, 2000, 7, 3, "pool", (8, 64), True, True, 64
    )


def test_the_file_that_we_ship_is_obeyed() -> None:
    options = read_batch_options(True, str(SHIPPED))
    assert options is not None
    assert (options.max_batch_size, options.batch_timeout_micros, options.pad_variable_length_inputs) == (
        64,
        1000,
        False,
    )


@pytest.mark.parametrize(("size", "padded"), [(1, 4), (4, 4), (5, 16), (16, 16)])
def test_a_batch_is_padded_to_the_next_allowed_size(size: int, padded: int) -> None:
    assert BatchOptions(16, allowed_batch_sizes=(4, 16)).padded(size) == padded


def test_without_allowed_sizes_a_batch_runs_as_it_is() -> None:
    assert BatchOptions(16).padded(5) == 5


@pytest.mark.parametrize(
    ("splitting", "execution", "limit"),
    [(False, None, 100), (False, 10, 100), (True, None, 100), (True, 10, 10)],
)
def test_a_batch_is_smaller_than_a_request_only_where_requests_are_split(
    splitting: bool, execution: int | None, limit: int
) -> None:
    options = BatchOptions(100, enable_large_batch_splitting=splitting, max_execution_batch_size=execution)
    assert options.execution_limit == limit


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
def test_what_the_stock_server_refuses_is_refused_in_its_words(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ServingError) as caught:
        BatchOptions(**fields)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--enable_batching=false"], "batching_parameters_file is set without setting server_options.enable_batching"),
        (["--enable_batching"], "but num_batch_threads must be positive; was 0"),
    ],
)
def test_a_file_that_can_not_be_obeyed_ends_the_server_in_one_sentence(
    flags: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "num_batch_threads { value: 0 }")
    assert main(["--model_base_path=nowhere", f"--batching_parameters_file={file}", *flags]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


def test_a_flag_is_true_or_false(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--model_base_path=nowhere", "--enable_batching=maybe"])
    assert "'maybe' is neither true nor false" in capsys.readouterr().err
