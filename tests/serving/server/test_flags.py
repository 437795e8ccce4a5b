"""The stock server's flags: their syntax, their options, and those without effect."""

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


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    flags.add(parser)
    return parser.parse_args(words)


def test_without_flags_the_server_has_the_stock_images_ports_on_this_machine_alone() -> None:
    assert options_of(parsed()) == Options(port=8500, rest_api_port=8501, host="127.0.0.1")


def test_each_flag_sets_its_option(tmp_path: Path) -> None:
    words = [
        *("--port=1", "--rest_api_port=0", "--host=::1", "--rest_api_timeout_in_ms=1500"),
        *("--rest_api_enable_cors_support", "--enable_grpc_healthcheck_service=true", "--grpc_max_threads=16"),
        "--grpc_channel_arguments=grpc.max_connection_age_ms=20000,grpc.primary_user_agent=shop",
        *("--file_system_poll_wait_seconds=3", "--tensorflow_intra_op_parallelism=2", "--enable_model_warmup=false"),
        *("--allow_version_labels_for_unavailable_models=true", "--enable_signature_method_name_check"),
        f"--model_base_path={tmp_path}",
    ]
    assert options_of(parsed(*words)) == Options(
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
    assert config_of(parsed(*words)) == single("default", tmp_path)


def test_an_ipv6_host_may_stand_in_brackets() -> None:
    assert options_of(parsed("--host=[::1]")).host == "::1"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--enable_model_warmup=maybe", "'maybe' is neither true nor false"),
        ("--grpc_channel_arguments=grpc.age", "'grpc.age' is not name=value"),
        ("--port=high", "invalid int value: 'high'"),
    ],
)
def test_a_wrong_flag_is_refused_with_its_value(capsys: pytest.CaptureFixture[str], word: str, text: str) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        parsed(word)
    assert text in capsys.readouterr().err


def test_without_a_model_the_error_names_the_flags() -> None:
    with pytest.raises(ConfigError, match="--model_base_path and --model_config_file are both missing"):
        config_of(parsed())


def test_a_stock_flag_without_effect_is_accepted_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_about_flags(parsed("--num_load_threads=1", "--flush_filesystem_caches=false"))
    assert [record.getMessage().split(" ")[0] for record in caplog.records] == [
        "--flush_filesystem_caches",
        "--num_load_threads",
    ]
