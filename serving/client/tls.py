"""TLS and mutual TLS of a client: whom it trusts, and who it says it is."""

from __future__ import annotations

import dataclasses
import ssl
from pathlib import Path

import grpc

from tfrec.errors import ServingError


@dataclasses.dataclass(frozen=True)
class Tls:
    """Files in PEM form; those that are left out are the system's, or none."""

    ca: str | Path | None = None
    """Certificates of the authorities that the server's is from."""
    cert: str | Path | None = None
    """The client's own certificate, where the server wants one, with those between it and its authority."""
    key: str | Path | None = None
    """The private key of `cert`, not encrypted."""

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            given, missing = ("cert", "key") if self.cert else ("key", "cert")
            raise ServingError(f"{given} is {getattr(self, given)} but {missing} is missing; give both or neither")

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For gRPC; ServingError as `context`."""
        self.context()  # gRPC takes broken files in silence and fails at the first call
        files = [Path(path).read_bytes() if path else None for path in (self.ca, self.key, self.cert)]
        return grpc.ssl_channel_credentials(*files)

    def context(self) -> ssl.SSLContext:
        """For HTTPS; ServingError where a file is missing, broken, or does not fit another."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                context.load_cert_chain(self.cert, self.key, password=self._refuse_password)
        except OSError as error:  # of which ssl.SSLError is one
            raise ServingError(
                f"ca is {self.ca}, cert {self.cert}, key {self.key} but they can't be used ({error}); "
                "give readable PEM files, the key being that of the certificate"
            ) from error
        return context

    def _refuse_password(self) -> str:
        raise ServingError(f"key is {self.key} but it is encrypted; decrypt it, for instance by `openssl pkey`")
