"""TLS and mutual TLS of a client: the authorities it trusts and its own certificate."""

from __future__ import annotations

import dataclasses
import ssl
from pathlib import Path

import grpc

from tfrec.errors import ServingError


@dataclasses.dataclass(frozen=True)
class Tls:
    """Paths of PEM files."""

    ca: str | Path | None = None
    """Certificates of the trusted authorities; by default the system's."""
    cert: str | Path | None = None
    """The client's certificate, followed by the intermediate ones, for servers that require one."""
    key: str | Path | None = None
    """The private key of `cert`, not encrypted."""

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            present, missing = ("cert", "key") if self.cert else ("key", "cert")
            raise ServingError(f"{present} is {getattr(self, present)} but {missing} is missing; give both or neither")

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Credentials for gRPC; raises ServingError if a file can't be used."""
        self.context()  # gRPC accepts broken files silently and fails at the first call
        files = [Path(path).read_bytes() if path else None for path in (self.ca, self.key, self.cert)]
        return grpc.ssl_channel_credentials(*files)

    def context(self) -> ssl.SSLContext:
        """SSL context for HTTPS.

        Raises ServingError if a file is missing, broken or does not match another.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                context.load_cert_chain(self.cert, self.key, password=self._refuse_password)
        except OSError as error:  # ssl.SSLError is one
            raise ServingError(
                f"ca is {self.ca}, cert {self.cert}, key {self.key} but they can't be used ({error}); "
                "give readable PEM files, and the key of that certificate"
            ) from error
        return context

    def _refuse_password(self) -> str:
        raise ServingError(f"key is {self.key} but it is encrypted; decrypt it, for example with `openssl pkey`")
