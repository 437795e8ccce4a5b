"""TensorFlow Serving's text files are read as it reads them, and one that can't be read is told in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.wire.config_protos import BatchingParameters, MonitoringConfig, SSLConfig, read
from tfrec.errors import ServingError

EVERY_FIELD = """
max_batch_size { value: 128 }  # a comment
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 4 }
thread_pool_name { value: "pool" }
allowed_batch_sizes: 8
allowed_batch_sizes: 128
pad_variable_length_inputs: true
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 64 }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_field_of_a_batching_file_is_read(tmp_path: Path) -> None:
    batching = read("batching_parameters_file", written(tmp_path, EVERY_FIELD), BatchingParameters)
    assert (batching.max_batch_size.value, batching.batch_timeout_micros.value) == (128, 2000)
    assert (batching.max_enqueued_batches.value, batching.num_batch_threads.value) == (100, 4)
    assert (batching.thread_pool_name.value, list(batching.allowed_batch_sizes)) == ("pool", [8, 128])
    assert batching.pad_variable_length_inputs
    assert (batching.enable_large_batch_splitting.value, batching.max_execution_batch_size.value) == (True, 64)


def test_a_field_left_out_is_told_from_a_zero(tmp_path: Path) -> None:
    batching = read("batching_parameters_file", written(tmp_path, "max_batch_size { value: 0 }"), BatchingParameters)
    assert batching.HasField("max_batch_size")
    assert not batching.HasField("num_batch_threads")


def test_a_monitoring_file_and_an_ssl_file_are_read(tmp_path: Path) -> None:
    text = 'prometheus_config { enable: true, path: "/metrics" }'
    monitoring = read("monitoring_config_file", written(tmp_path, text), MonitoringConfig)
    assert (monitoring.prometheus_config.enable, monitoring.prometheus_config.path) == (True, "/metrics")
    text = 'server_key: "-----BEGIN\\nkey" server_cert: "cert" custom_ca: "ca" client_verify: true'
    ssl = read("ssl_config_file", written(tmp_path, text), SSLConfig)
    assert (ssl.server_key, ssl.server_cert, ssl.custom_ca) == ("-----BEGIN\nkey", "cert", "ca")
    assert ssl.client_verify


def test_a_missing_file_is_told_with_its_flag(tmp_path: Path) -> None:
    text = r"ssl_config_file is .*nowhere but it can't be read \(No such file or directory\); name a file"
    with pytest.raises(ServingError, match=text):
        read("ssl_config_file", tmp_path / "nowhere", SSLConfig)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("max_batchsize { value: 1 }", r'1:1 : .* has no field named "max_batchsize"'),
        ("max_batch_size: 5", "1:17"),
        ("\nallowed_batch_sizes: many", "2:22"),
    ],
    ids=["unknown field", "a number for a wrapper", "a word for a number"],
)
def test_a_malformed_file_is_told_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(
        ServingError, match=rf"batching_parameters_file: Invalid protobuf file: '{path}' \({reason}.*BatchingParameters"
    ):
        read("batching_parameters_file", path, BatchingParameters)


def test_a_file_that_is_no_text_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ServingError, match="Invalid protobuf file"):
        read("monitoring_config_file", path, MonitoringConfig)
