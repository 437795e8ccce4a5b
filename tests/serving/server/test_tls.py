"""TLS and mutual TLS by the stock server's file: clients with access or without, unusable files."""

from __future__ import annotations

import argparse
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
import trustme
from google.protobuf import text_format
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.api.options import Options
from serving.lifecycle.model_config import single
from serving.server import flags
from serving.server.embedded import Server, start
from serving.server.main import warn_about_flags
from serving.server.tls import credentials
from serving.wire.config_protos import SSLConfig
from tfrec.errors import ServingError

AUTHORITY, OTHER_AUTHORITY = trustme.CA(), trustme.CA()
SERVER = AUTHORITY.issue_cert("localhost")
CLIENT = AUTHORITY.issue_cert("client@shop.example")
OTHER_CLIENT = OTHER_AUTHORITY.issue_cert("client@elsewhere.example")


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def chain(leaf: trustme.LeafCert) -> str:
    return "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)


def key(leaf: trustme.LeafCert) -> str:
    return leaf.private_key_pem.bytes().decode()


def written(path: Path, **fields: object) -> Path:
    """Write an SSLConfig with the server's key and certificate, overridden by `fields`."""
    config = SSLConfig(**{"server_key": key(SERVER), "server_cert": chain(SERVER), **fields})
    path.write_text(text_format.MessageToString(config), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=[False, True], ids=["tls", "mutual"])
def mutual(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module")
def served(mutual: bool, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("served")
    shutil.copytree(exported / "1", base / "1")
    verified = {"custom_ca": pem(AUTHORITY), "client_verify": True} if mutual else {}
    secret = credentials(written(base.parent / f"ssl-{mutual}.config", **verified))
    with start(single("toy", base), Options(rest_api_port=None, credentials=secret)) as running:
        yield running


def predict(channel: grpc.Channel) -> float:
    request = predict_pb2.PredictRequest(model_spec={"name": "toy"})
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
    request.inputs["y"].CopyFrom(tf.make_tensor_proto([10.0]))
    response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=5)
    return float(response.outputs["sum"].float_val[0])


def secure(server: Server, trusted: trustme.CA, leaf: trustme.LeafCert | None = None) -> grpc.Channel:
    own = (key(leaf).encode(), chain(leaf).encode()) if leaf else (None, None)
    return grpc.secure_channel(f"localhost:{server.port}", grpc.ssl_channel_credentials(pem(trusted).encode(), *own))


def test_a_client_of_the_authority_is_served(served: Server) -> None:
    with secure(served, AUTHORITY, CLIENT) as channel:
        assert predict(channel) == 11.0


def test_a_client_without_a_certificate_is_served_only_without_client_verify(served: Server, mutual: bool) -> None:
    with secure(served, AUTHORITY) as channel:
        if not mutual:
            assert predict(channel) == 11.0
            return
        with pytest.raises(grpc.RpcError, match=r"StatusCode\.UNAVAILABLE"):
            predict(channel)


def test_a_client_of_another_authority_is_served_only_without_client_verify(served: Server, mutual: bool) -> None:
    with secure(served, AUTHORITY, OTHER_CLIENT) as channel:
        if not mutual:
            assert predict(channel) == 11.0
            return
        with pytest.raises(grpc.RpcError, match=r"StatusCode\.UNAVAILABLE"):
            predict(channel)


def test_a_client_without_tls_or_without_trust_in_the_server_gets_no_answer(served: Server) -> None:
    plain = grpc.insecure_channel(f"localhost:{served.port}")
    for channel in (plain, secure(served, OTHER_AUTHORITY, CLIENT)):
        with channel, pytest.raises(grpc.RpcError, match=r"StatusCode\.UNAVAILABLE"):
            predict(channel)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"server_cert": ""}, "server_cert holds no certificate"),
        ({"server_cert": "-----BEGIN"}, "server_cert holds no certificate"),
        ({"server_key": "nonsense"}, "server_key holds no private key"),
        ({"server_key": key(CLIENT)}, "server_key is not the key of server_cert"),
        ({"custom_ca": "nonsense"}, "custom_ca holds no certificate"),
        ({"client_verify": True}, "has client_verify but no custom_ca"),
    ],
)
def test_a_file_that_lets_no_client_connect_is_refused(tmp_path: Path, fields: dict[str, object], text: str) -> None:
    with pytest.raises(ServingError, match=text):
        credentials(written(tmp_path / "ssl.config", **fields))


@pytest.mark.parametrize(
    ("words", "warnings"),
    [
        ([], []),
        (["--host=0.0.0.0"], ["gRPC IS OPEN on 0.0.0.0", "REST IS OPEN on 0.0.0.0"]),
        (["--host=0.0.0.0", "--ssl_config_file=f"], ["REST IS OPEN on 0.0.0.0"]),
        (["--host=::", "--rest_api_port=0"], ["gRPC IS OPEN on ::"]),
    ],
)
def test_the_server_warns_of_ports_that_are_open_to_other_machines(
    caplog: pytest.LogCaptureFixture, words: list[str], warnings: list[str]
) -> None:
    parser = argparse.ArgumentParser()
    flags.add(parser)
    with caplog.at_level(logging.WARNING):
        warn_about_flags(parser.parse_args(words))
    assert [" ".join(record.getMessage().split()[:5]) for record in caplog.records] == warnings
