"""What a Bitget book must hold after each push, in plain Python."""

from __future__ import annotations

import json
import zlib
from decimal import Decimal, InvalidOperation
from typing import Any

Texts = dict[Decimal, tuple[str, str]]


class OracleBook:
    """Apply pushes of one channel of one pair; None as `state` while it waits for a snapshot."""

    def __init__(self, symbol: str = "BTCUSDT", channel: str = "books") -> None:
        self.symbol, self.channel = symbol, channel
        self.bids: Texts = {}
        self.asks: Texts = {}
        self.good = False
        self.seq: int | None = None
        self.joined = False
        self.chained = False
        self.dropped = 0

    def apply(self, frame: bytes) -> None:
        """Take one well-formed push of the book."""
        message: dict[str, Any] = json.loads(frame)
        arg = message["arg"]
        if (arg.get("instId", arg.get("symbol")), arg.get("channel", arg.get("topic"))) != (
            self.symbol, self.channel,
        ):  # fmt: skip
            return
        data = message["data"][0] if isinstance(message["data"], list) else message["data"]
        seq, pseq = _number(data.get("seq")), _number(data.get("pseq"))
        if message["action"] == "snapshot":
            self.bids, self.asks = {}, {}
            self.joined = self.chained = False
            self.dropped = 0
        elif not self.good or not self._follows(seq, pseq):
            return
        else:
            self.joined = True
            self.chained |= pseq is not None
            self.dropped = 0
        self.seq = seq
        for side, names in ((self.bids, ("bids", "b")), (self.asks, ("asks", "a"))):
            for price, qty in next((data[name] for name in names if name in data), []):
                if Decimal(qty) == 0:
                    side.pop(Decimal(price), None)
                else:
                    side[Decimal(price)] = (price, qty)
        told = _number(data.get("checksum"))
        self.good = self._sound() and told in (None, 0, self.checksum())

    def _follows(self, seq: int | None, pseq: int | None) -> bool:
        anew = pseq is not None and (pseq == 0 or seq is None)
        silent = (self.seq is not None and seq is None) or (self.chained and pseq is None)
        if anew or silent:
            self.good = False
        elif self.seq is not None and seq is not None:
            first = pseq is not None and not self.joined
            if (first and seq < self.seq) or (not first and seq <= self.seq):
                self.dropped += 1
                self.good = self.dropped <= 3
                return False
            if pseq is not None and (pseq > self.seq if first else pseq != self.seq):
                self.good = False
        return self.good

    def _sound(self) -> bool:
        return bool(self.bids) and bool(self.asks) and max(self.bids) < min(self.asks)

    def checksum(self) -> int:
        """Compute the venue's checksum over the texts kept."""
        bids = [self.bids[price] for price in sorted(self.bids, reverse=True)[:25]]
        asks = [self.asks[price] for price in sorted(self.asks)[:25]]
        return checksum(bids, asks)

    def levels(self, scale: tuple[int, int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return both sides in ticks and lots, best first."""

        def steps(side: Texts, *, best_high: bool) -> list[tuple[int, int]]:
            return [
                (int(price.scaleb(scale[0])), int(Decimal(side[price][1]).scaleb(scale[1])))
                for price in sorted(side, reverse=best_high)
            ]

        return steps(self.bids, best_high=True), steps(self.asks, best_high=False)


def checksum(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> int:
    """Compute the checksum of levels in order, best first."""
    parts: list[str] = []
    for index in range(25):
        for side in (bids, asks):
            if index < len(side):
                parts += side[index]
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >= 1 << 31 else value


def _number(value: object) -> int | None:
    if value is None or value == "":
        return None
    try:
        return int(Decimal(str(value)))
    except InvalidOperation:
        return None
