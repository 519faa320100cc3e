"""A reader's book by the venue's published rules, on the digits as sent, and its checksum."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from zlib import crc32

Message = dict[str, Any]


def loads(frame: bytes) -> Message:
    """Read a message without losing a digit."""
    message: Message = json.loads(frame, parse_float=Decimal)
    return message


class ReaderBook:
    """Apply a message, cut to the depth after it, compute the checksum of what is left."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.sides: dict[str, dict[Decimal, tuple[str, str]]] = {"bids": {}, "asks": {}}

    def apply(self, message: Message) -> None:
        """Take a snapshot or an update over."""
        row = message["data"][0]
        if message["type"] == "snapshot":
            self.sides = {"bids": {}, "asks": {}}
        for name, side in self.sides.items():
            for level in row[name]:
                price, qty = level["price"], level["qty"]
                if qty == 0:
                    side.pop(price, None)
                else:
                    side[price] = (f"{price:f}", f"{qty:f}")
            for price in sorted(side, reverse=name == "bids")[self.depth :]:
                del side[price]

    def checksum(self) -> int:
        """Return the CRC32 of the best ten asks, then bids."""
        text = ""
        for name in ("asks", "bids"):
            side = self.sides[name]
            for price in sorted(side, reverse=name == "bids")[:10]:
                text += "".join(part.replace(".", "").lstrip("0") for part in side[price])
        return crc32(text.encode())

    def top(self, name: str) -> list[tuple[str, str]]:
        """Return a side's (price, quantity) texts, best first."""
        side = self.sides[name]
        return [side[price] for price in sorted(side, reverse=name == "bids")]

    def crossed(self) -> bool:
        """Whether the best bid reaches the best ask."""
        bids, asks = self.sides["bids"], self.sides["asks"]
        return bool(bids and asks) and max(bids) >= min(asks)
