"""What Coinbase Exchange publishes about itself: addresses and channels. Market data only.

`level2_batch` is `level2` gathered over 50 ms; the latter asks for a key.
Source: Coinbase Exchange documentation, "WebSocket channels" and "REST API", read 2026.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

VENUE: Final = "coinbase"
BOOK_CHANNEL: Final = "level2_batch"
CHANNELS: Final = (BOOK_CHANNEL, "matches", "heartbeat")


class Endpoints(Struct, frozen=True):
    """Where to connect. Every address can be replaced, for a simulated venue or a proxy."""

    ws: str = "wss://ws-feed.exchange.coinbase.com"
    rest: str = "https://api.exchange.coinbase.com"


def venue_symbol(instrument: str) -> str:
    """Return the venue's name of a pair."""
    return instrument.replace("/", "-")


def our_name(product: str) -> str:
    """Return our name of a product."""
    return product.replace("-", "/")
