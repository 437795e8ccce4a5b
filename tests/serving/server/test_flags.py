"""The stock server's flags: how they are written, what they come to, and those that are taken without effect."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import pytest

from serving.api.options import Options
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.servable.servable import Threads
from serving.server import flags
from serving.server.main import config_of, options_of, warn_about_flags
from tfrec.errors import ConfigError


def given(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    flags.add(parser)
    return parser.parse_args(words)


def test_without_flags_the_ports_are_the_stock_images_and_nothing_is_open() -> None:
    assert options_of(given()) == Options(port=8500, rest_api_port=8501, host="127.0.0.1")


def test_each_flag_comes_to_its_option(tmp_path: Path) -> None:
    words = [
        *("--port=1", "--rest_api_port=0", "--host=::1", "--rest_api_timeout_in_ms=1500"),
        *("--rest_api_enable_cors_support", "--enable_grpc_healthcheck_service=true", "--grpc_max_threads=16"),
        "--grpc_channel_arguments=grpc.max_connection_age_ms=20000,grpc.primary_user_agent=shop",
        *("--file_system_poll_wait_seconds=3", "--tensorflow_intra_op_parallelism=2", "--enable_model_warmup=false"),
        *("--allow_version_labels_for_unavailable_models=true", "--enable_signature_method_name_check"),
        f"--model_base_path={tmp_path}",
    ]
    assert options_of(given(*words)) == Options(
        host="::1",
        port=1,
        rest_api_port=None,
        rest_api_timeout_seconds=1.5,
        rest_api_cors=True,
        grpc_threads=16,
        grpc_arguments=(("grpc.max_connection_age_ms", 20_000), ("grpc.primary_user_agent", "shop")),
        has_health=True,
        lifecycle=LifecycleOptions(
            poll_seconds=3,
            threads=Threads(2, 0),
            labels_may_wait=True,
            warms_up=False,
            checks_method_names=True,
        ),
    )
    assert config_of(given(*words)) == single("default", tmp_path)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--enable_model_warmup=maybe", "'maybe' is neither true nor false"),
        ("--grpc_channel_arguments=grpc.age", "'grpc.age' is not name=value"),
        ("--port=high", "invalid int value: 'high'"),
    ],
)
def test_a_flag_that_is_wrong_is_told(capsys: pytest.CaptureFixture[str], word: str, text: str) -> None:
    with pytest.raises(SystemExit):
        given(word)
    assert text in capsys.readouterr().err


def test_with_nothing_to_serve_the_flags_are_told() -> None:
    with pytest.raises(ConfigError, match="--model_base_path and --model_config_file are both missing"):
        config_of(given())


def test_a_stock_flag_without_effect_is_taken_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_about_flags(given("--num_load_threads=1", "--flush_filesystem_caches=false"))
    assert [record.getMessage().split(" ")[0] for record in caplog.records] == [
        "--flush_filesystem_caches",
        "--num_load_threads",
    ]
