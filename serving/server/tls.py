"""TLS of the gRPC server, from the stock server's --ssl_config_file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificates

from serving.wire.config_protos import SSLConfig, read
from tfrec.errors import ServingError

FLAG = "--ssl_config_file"


def credentials(path: str | Path) -> grpc.ServerCredentials:
    """Read the server's key and certificates.

    With `client_verify` a client needs a certificate signed by `custom_ca`. Raises ServingError
    for a file with which gRPC would open a port that no client can use.
    """
    config = read(FLAG, path, SSLConfig)
    _check(config, path)
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def _check(config: Any, path: str | Path) -> None:
    if config.client_verify and not config.custom_ca:
        raise ServingError(
            f"{FLAG} {path} has client_verify but no custom_ca; "
            "give the PEM text of the authority that signs their certificates"
        )
    chains = {"server_cert": config.server_cert, **({"custom_ca": config.custom_ca} if config.custom_ca else {})}
    certificates = {}
    for field, text in chains.items():
        try:
            certificates[field] = load_pem_x509_certificates(text.encode())
        except ValueError as error:
            raise ServingError(f"{FLAG} {path}: {field} holds no certificate; give its whole PEM text") from error
    try:
        key = serialization.load_pem_private_key(config.server_key.encode(), None)
    except (ValueError, TypeError) as error:
        raise ServingError(
            f"{FLAG} {path}: server_key holds no private key without a password; give its whole PEM text"
        ) from error
    if key.public_key() != certificates["server_cert"][0].public_key():
        raise ServingError(
            f"{FLAG} {path}: server_key is not the key of server_cert; give the two that belong together"
        )
