"""Who is answered by the canary: a share of the users, drawn by a hash, so that a user always sees one version."""

from __future__ import annotations

import dataclasses
import hashlib

from tfrec.errors import ServingError

STABLE, CANARY = "stable", "canary"
"""The labels of the two versions; without a canary both lead to one version."""


@dataclasses.dataclass(frozen=True)
class Canary:
    """Sends `share` of the users to the label canary, all others to stable, and who is nobody to stable too.

    A user is one of the share where the first 8 bytes, big-endian, of the 8-byte BLAKE2b digest of "SALT:USER_ID"
    in UTF-8 are below share * 2**64: `printf 7:ann | b2sum -l 64` tells any language. So a greater share keeps the
    users of a smaller one, and another salt draws others.
    """

    share: float
    """From 0 to 1."""
    salt: str = ""
    """What to draw by: the canary's version number, so that not the same users are the first to see every canary."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ServingError(f"share is {self.share} but must lie in [0, 1]; 0.1 is a tenth of the users")

    def label(self, user_id: str) -> str:
        """CANARY or STABLE."""
        digest = hashlib.blake2b(f"{self.salt}:{user_id}".encode(), digest_size=8).digest()
        is_drawn = int.from_bytes(digest, "big") < self.share * 2**64
        return CANARY if user_id and is_drawn else STABLE
