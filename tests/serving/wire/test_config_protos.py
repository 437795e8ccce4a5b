"""TensorFlow Serving's text files: their fields, and the errors of a file that can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.wire.config_protos import BatchingParameters, MonitoringConfig, SSLConfig, read
from tfrec.errors import ServingError


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_field_that_is_left_out_differs_from_a_zero(tmp_path: Path) -> None:
    batching = read("batching_parameters_file", write(tmp_path, "max_batch_size { value: 0 }"), BatchingParameters)
    assert batching.HasField("max_batch_size")
    assert not batching.HasField("num_batch_threads")


def test_a_monitoring_file_and_an_ssl_file_are_read(tmp_path: Path) -> None:
    text = 'prometheus_config { enable: true, path: "/metrics" }'
    monitoring = read("monitoring_config_file", write(tmp_path, text), MonitoringConfig)
    assert (monitoring.prometheus_config.enable, monitoring.prometheus_config.path) == (True, "/metrics")
    text = 'server_key: "-----BEGIN\\nkey" server_cert: "cert" custom_ca: "ca" client_verify: true'
    ssl = read("ssl_config_file", write(tmp_path, text), SSLConfig)
    assert (ssl.server_key, ssl.server_cert, ssl.custom_ca) == ("-----BEGIN\nkey", "cert", "ca")
    assert ssl.client_verify


def test_the_error_of_a_missing_file_names_its_flag(tmp_path: Path) -> None:
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
def test_the_error_of_a_malformed_file_names_its_line(tmp_path: Path, text: str, reason: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(
        ServingError, match=rf"batching_parameters_file: Invalid protobuf file: '{path}' \({reason}.*BatchingParameters"
    ):
        read("batching_parameters_file", path, BatchingParameters)


def test_a_file_that_is_not_text_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ServingError, match="Invalid protobuf file"):
        read("monitoring_config_file", path, MonitoringConfig)
