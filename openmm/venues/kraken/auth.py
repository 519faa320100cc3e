"""API keys: request signatures and nonces.

Source: Kraken API documentation, page "Spot REST Authentication", read 2026-06, whose test vector
is a test here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from typing import final

from cryptography.hazmat.primitives import hashes, hmac

from openmm.clock import Clock
from openmm.errors import ConfigError


@final
class Signer:
    """Sign request bodies with one private key; the keyed state is made once and copied."""

    def __init__(self, private_key: str) -> None:
        try:
            secret = base64.b64decode(private_key, validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if not secret:
            raise ConfigError("secret", "<redacted>", "base64 text as the venue gave it")
        self._keyed = hmac.HMAC(secret, hashes.SHA512())

    def __repr__(self) -> str:
        """Show no part of the key."""
        return "Signer(<redacted>)"

    def sign(self, uri_path: str, nonce: int, body: bytes) -> str:
        """Return `API-Sign` for the exact bytes that will be sent.

        Source: HMAC-SHA512(uri_path + SHA256(nonce + body)), base64.
        """
        state = self._keyed.copy()
        state.update(uri_path.encode())
        state.update(hashlib.sha256(str(nonce).encode() + body).digest())
        return base64.b64encode(state.finalize()).decode()


@final
class Key:
    """One API key with everything that must be one per key: its nonces and the order of requests.

    Hold `turn` from `nonce` until the reply: requests must reach the venue in nonce order.
    """

    def __init__(self, api_key: str, private_key: str, clock: Clock) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable():
            raise ConfigError("api_key", "<redacted>", "the public part of an API key")
        self.api_key = api_key
        self.signer = Signer(private_key)
        self.turn = asyncio.Lock()
        self._clock = clock
        self._last = 0

    def __repr__(self) -> str:
        """Show no part of the key."""
        return "Key(<redacted>)"

    def nonce(self) -> int:
        """Return the next nonce: nanoseconds since 1970, and always more than the one before."""
        self._last = max(self._last + 1, self._clock.now_ns())
        return self._last

    def headers(self, uri_path: str, nonce: int, body: bytes) -> dict[str, str]:
        """Return the headers that authenticate a request."""
        return {"API-Key": self.api_key, "API-Sign": self.signer.sign(uri_path, nonce, body)}
