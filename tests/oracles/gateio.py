"""Gate.io's books once more in plain Python: dictionaries, exact decimals, the sheet's rules."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Levels = dict[Decimal, Decimal]


@dataclass(slots=True)
class OracleBook:
    """One pair's book of one channel; `usable` says whether it may be read."""

    symbol: str
    depth: int
    last_id: int = 0
    usable: bool = False
    bids: Levels = field(default_factory=dict)
    asks: Levels = field(default_factory=dict)
    held: list[dict[str, Any]] = field(default_factory=list)

    @property
    def needs_rest(self) -> bool:
        """Whether the book starts from a REST copy."""
        return self.depth in (20, 100)

    def feed(self, raw: bytes) -> None:
        """Take one frame of the stream, or the REST copy."""
        message = json.loads(raw)
        result = message.get("result")
        if message["channel"] == "rest.order_book":
            self._rest(result)
        elif message["channel"] == "spot.obu" and not self.needs_rest:
            self._obu(result)
        elif message["channel"] == "spot.order_book_update" and self.needs_rest:
            self._update(result)

    def _obu(self, frame: dict[str, Any]) -> None:
        if frame["s"] != f"ob.{self.symbol}.{self.depth}":
            return
        if frame.get("full"):
            self._replace(frame, frame["u"])
        elif self.usable:
            if frame["U"] != self.last_id + 1:
                self.usable = False
                return
            self._apply(frame)
            self._check()

    def _update(self, frame: dict[str, Any]) -> None:
        if frame["s"] != self.symbol:
            return
        if frame.get("full"):
            self.held.clear()
            self._replace(frame, frame["u"])
        elif not self.usable:
            self._hold(frame)
        elif frame["u"] <= self.last_id:
            return
        elif frame["U"] > self.last_id + 1:
            self.usable = False
            self._hold(frame)
        else:
            self._apply(frame)
            self._check()

    def _hold(self, frame: dict[str, Any]) -> None:
        if self.held:
            end = self.held[-1]["u"]
            if frame["u"] <= end:
                return
            if frame["U"] > end + 1:
                self.held.clear()
        self.held.append(frame)

    def _rest(self, copy: dict[str, Any]) -> None:
        if self.usable or not self.needs_rest:
            return
        self._load(copy)
        self.last_id = copy["id"]
        if self.held and self.held[0]["U"] > self.last_id + 1:
            return
        for frame in self.held:
            if frame["u"] > self.last_id:
                self._apply(frame)
        self.held.clear()
        self.usable = True
        self._check()

    def _replace(self, frame: dict[str, Any], last_id: int) -> None:
        self._load(frame)
        self.last_id = last_id
        self.usable = True
        self._check()

    def _load(self, frame: dict[str, Any]) -> None:
        self.bids.clear()
        self.asks.clear()
        self._levels(frame)

    def _apply(self, frame: dict[str, Any]) -> None:
        self._levels(frame)
        self.last_id = frame["u"]

    def _levels(self, frame: dict[str, Any]) -> None:
        for side, names in ((self.bids, ("b", "bids")), (self.asks, ("a", "asks"))):
            for name in names:
                for price, qty in frame.get(name) or []:
                    if Decimal(qty):
                        side[Decimal(price)] = Decimal(qty)
                    else:
                        side.pop(Decimal(price), None)

    def _check(self) -> None:
        for side, best_first in ((self.bids, True), (self.asks, False)):
            for price in sorted(side, reverse=best_first)[self.depth :]:
                del side[price]
        if not self.bids or not self.asks or max(self.bids) >= min(self.asks):
            self.usable = False
