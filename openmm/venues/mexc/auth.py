"""API keys: signatures of REST requests. WebSockets carry a listen key instead.

Source: MEXC API documentation, "Signed", example 2, read 2026; its example 1 prints a signature
that is wrong, which is a test here.
"""

from __future__ import annotations

from typing import final

from cryptography.hazmat.primitives import hashes, hmac

from openmm.errors import ConfigError

KEY_HEADER = "X-MEXC-APIKEY"


@final
class Key:
    """One API key; the keyed hash state is made once and copied for each signature."""

    def __init__(self, api_key: str, secret: str) -> None:
        if not api_key or not api_key.isascii() or not _plain(api_key):
            raise ConfigError("api_key", "<redacted>", "the public part of an API key")
        if not secret:
            raise ConfigError("secret", "<redacted>", "the secret of an API key")
        self.public = api_key
        self._keyed = hmac.HMAC(secret.encode(), hashes.SHA256())

    def __repr__(self) -> str:
        """Show no part of the key."""
        return "Key(<redacted>)"

    def sign(self, query: bytes) -> bytes:
        """Return HMAC-SHA256 of a query as it is sent, in lower-case hexadecimal."""
        state = self._keyed.copy()
        state.update(query)
        return state.finalize().hex().encode()

    def headers(self) -> dict[str, str]:
        """Return the headers of a signed request; without this content type it is refused."""
        return {KEY_HEADER: self.public, "Content-Type": "application/json"}


def _plain(text: str) -> bool:
    return text.isprintable() and not any(char in text for char in '"\\ ')
