"""The decoder of Kraken's market data once more, in plain Python: the executable specification.

JSON with exact decimals, a SortedDict a side, zlib's CRC32 over the digits. Slow and obvious.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sortedcontainers import SortedDict  # type: ignore[import-untyped]

Level = tuple[int, int]


def digits_crc(
    bids: Sequence[Level], asks: Sequence[Level], tick_points: int = 1, lot_points: int = 1
) -> int:
    """Compute the checksum of the best ten levels a side: asks, then bids, digits only."""
    text = ""
    for side in (asks[:10], bids[:10]):
        for price_ticks, qty_lots in side:
            text += f"{price_ticks * tick_points}{qty_lots * lot_points}"
    return zlib.crc32(text.encode())


class Broken(Exception):
    """The book is not usable; the text is the name of the `BookBreak`."""


class OracleBook:
    """One book: `apply` a frame; `verified` tells whether it may be used."""

    def __init__(
        self,
        price_decimals: int,
        qty_decimals: int,
        depth: int,
        tick_points: int = 1,
        lot_points: int = 1,
        verify: bool = True,
    ) -> None:
        self.price_unit = Decimal(tick_points).scaleb(-price_decimals)
        self.qty_unit = Decimal(lot_points).scaleb(-qty_decimals)
        self.tick_points = tick_points
        self.lot_points = lot_points
        self.depth = depth
        self.verify = verify
        self.sides: dict[str, SortedDict] = {"bids": SortedDict(), "asks": SortedDict()}
        self.verified = False
        self.reason = "BREAK_NONE"

    def levels(self, side: str) -> list[Level]:
        """List a side, best first."""
        items = list(self.sides[side].items())
        return items[::-1] if side == "bids" else items

    def apply(self, frame: bytes) -> None:
        """Apply one book frame by the rules of the venue's page."""
        message = json.loads(frame, parse_float=Decimal)
        book = message["data"][0]
        if message["type"] == "snapshot":
            self.sides = {"bids": SortedDict(), "asks": SortedDict()}
        elif not self.verified:
            return
        self.verified = False
        try:
            self._apply(book)
        except Broken as broken:
            self.reason = str(broken)
        else:
            self.verified = True

    def _apply(self, book: dict[str, Any]) -> None:
        for name in ("bids", "asks"):
            for level in book.get(name, []):
                price = Decimal(level["price"]) / self.price_unit
                qty = Decimal(level["qty"]) / self.qty_unit
                if price != price.to_integral_value() or qty != qty.to_integral_value():
                    raise Broken("BREAK_OFF_TICK")
                if qty == 0:
                    self.sides[name].pop(int(price), None)
                else:
                    self.sides[name][int(price)] = int(qty)
        for name in ("bids", "asks"):
            for behind, _ in self.levels(name)[self.depth :]:
                del self.sides[name][behind]
        if self.verify:
            found = digits_crc(
                self.levels("bids"), self.levels("asks"), self.tick_points, self.lot_points
            )
            if found != book["checksum"]:
                raise Broken("BREAK_CHECKSUM")
        if not self.sides["bids"] or not self.sides["asks"]:
            raise Broken("BREAK_EMPTY")
        if self.levels("bids")[0][0] >= self.levels("asks")[0][0]:
            raise Broken("BREAK_CROSSED")
