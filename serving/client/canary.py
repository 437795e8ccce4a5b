"""The split of users between the stable version and the canary, by a hash of the user id."""

from __future__ import annotations

import dataclasses
import hashlib

from serving.client.texts import encode
from tfrec.errors import ServingError

STABLE, CANARY = "stable", "canary"
"""The labels of the two versions; without a canary both point to the same version."""


@dataclasses.dataclass(frozen=True)
class Canary:
    """A share of the users that gets the version labeled canary.

    All others, and requests without a user, get stable.

    A user belongs to the share if the first 8 bytes, big-endian, of the 8-byte BLAKE2b digest of
    "SALT:USER_ID" in UTF-8 are below share * 2**64. `printf 7:ann | b2sum -l 64` prints the digest,
    so any language can compute it. A greater share keeps the users of a smaller one; another salt
    draws other users.
    """

    share: float  # in [0, 1]
    salt: str = ""
    """The canary's version number, so that the same users are not the first to get every canary."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ServingError(f"share is {self.share} but must lie in [0, 1]; 0.1 is a tenth of the users")

    def label(self, user_id: str) -> str:
        """The label of the user's version, CANARY or STABLE."""
        digest = hashlib.blake2b(encode("salt", self.salt) + b":" + encode("user_id", user_id), digest_size=8).digest()
        is_drawn = int.from_bytes(digest, "big") < self.share * 2**64
        return CANARY if user_id and is_drawn else STABLE
