"""API keys: signatures of the WebSocket login and of REST requests.

Source: Bitget API documentation, pages "Signature" and "Websocket API", crawl of 2025-12-05. The
login's timestamp is in seconds: its prose says milliseconds, its code, its example and every
official SDK send seconds.
"""

from __future__ import annotations

import base64
from typing import final

from cryptography.hazmat.primitives import hashes, hmac

from openmm.errors import ConfigError
from openmm.venues.bitget.spec import LOGIN_PATH


@final
class Key:
    """One API key; the keyed hash state is made once and copied for each signature."""

    def __init__(self, api_key: str, secret: str, passphrase: str) -> None:
        for name, text in (("api_key", api_key), ("passphrase", passphrase)):
            if not text or not text.isascii() or not _plain(text):
                raise ConfigError(name, "<redacted>", f"the {name} of an API key")
        if not secret:
            raise ConfigError("secret", "<redacted>", "the secret of an API key")
        self.public = api_key
        self.passphrase = passphrase
        self._keyed = hmac.HMAC(secret.encode(), hashes.SHA256())

    def __repr__(self) -> str:
        """Show no part of the key."""
        return "Key(<redacted>)"

    def sign(self, text: bytes) -> str:
        """Return HMAC-SHA256 of a text in base64."""
        state = self._keyed.copy()
        state.update(text)
        return base64.b64encode(state.finalize()).decode()

    def sign_login(self, time_s: int) -> str:
        """Sign a login at a moment in seconds: milliseconds are dropped without an answer."""
        return self.sign(f"{time_s}GET{LOGIN_PATH}".encode())

    def sign_request(self, verb: str, path: str, query: str, body: bytes, time_ms: int) -> str:
        """Sign a REST request.

        Args:
            path: with /api, without host.
            query: as text, nothing percent-encoded, parameters in the order sent; may be empty.
            body: the very bytes sent.
        """
        asked = f"?{query}" if query else ""
        return self.sign(f"{time_ms}{verb}{path}{asked}".encode() + body)

    def headers(
        self, verb: str, path: str, query: str, body: bytes, time_ms: int
    ) -> dict[str, str]:
        """Return the headers of a signed REST request."""
        return {
            "ACCESS-KEY": self.public,
            "ACCESS-SIGN": self.sign_request(verb, path, query, body, time_ms),
            "ACCESS-TIMESTAMP": str(time_ms),
            "ACCESS-PASSPHRASE": self.passphrase,
        }


def _plain(text: str) -> bool:
    return text.isprintable() and not any(char in text for char in '"\\ ')
