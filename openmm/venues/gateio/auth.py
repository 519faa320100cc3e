"""API keys: signatures of subscriptions, of the WebSocket login, and of REST requests.

Source: Gate documentation, "Spot WebSocket v4" (authentication, login) and "APIv4 signed request",
read 2026-05-27. The official REST vector and two computed from the documented text are tests here.
"""

from __future__ import annotations

import hashlib
from typing import Final, final

from cryptography.hazmat.primitives import hashes, hmac

from openmm.errors import ConfigError

EMPTY_BODY_SHA512: Final = hashlib.sha512(b"").hexdigest()


@final
class Key:
    """One API key; the keyed hash state is made once and copied for each signature."""

    def __init__(self, api_key: str, secret: str) -> None:
        if not api_key or not api_key.isascii() or not _plain(api_key):
            raise ConfigError("api_key", "<redacted>", "the public part of an API key")
        if not secret:
            raise ConfigError("secret", "<redacted>", "the secret of an API key")
        self.public = api_key
        self._keyed = hmac.HMAC(secret.encode(), hashes.SHA512())

    def __repr__(self) -> str:
        """Show no part of the key."""
        return "Key(<redacted>)"

    def sign(self, text: bytes) -> str:
        """Return HMAC-SHA512 of a text in lower-case hexadecimal."""
        state = self._keyed.copy()
        state.update(text)
        return state.finalize().hex()

    def sign_subscription(self, channel: str, event: str, time_s: int) -> str:
        """Sign a private channel's subscribe or unsubscribe request."""
        return self.sign(f"channel={channel}&event={event}&time={time_s}".encode())

    def sign_call(self, channel: str, req_param: bytes, time_s: int) -> str:
        """Sign a call of the trading API over the very bytes of its `req_param`; none: empty."""
        return self.sign(b"api\n%s\n%s\n%d" % (channel.encode(), req_param, time_s))

    def sign_request(self, verb: str, path: str, query: str, body: bytes, time_s: int) -> str:
        """Sign a REST request.

        Args:
            path: with /api/v4, without host.
            query: as sent, but with nothing percent-encoded, parameters in the same order.
        """
        digest = hashlib.sha512(body).hexdigest() if body else EMPTY_BODY_SHA512
        return self.sign(f"{verb}\n{path}\n{query}\n{digest}\n{time_s}".encode())

    def headers(self, verb: str, path: str, query: str, body: bytes, time_s: int) -> dict[str, str]:
        """Return the headers of a signed REST request."""
        return {
            "KEY": self.public,
            "Timestamp": str(time_s),
            "SIGN": self.sign_request(verb, path, query, body, time_s),
        }


def _plain(text: str) -> bool:
    return text.isprintable() and not any(char in text for char in '"\\ ')
