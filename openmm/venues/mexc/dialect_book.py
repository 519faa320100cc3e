"""Publish books as MEXC does: one counter of versions a pair, shared by REST and every channel.

Source: MEXC API documentation, "Diff.Depth Stream", "Partial Book Depth Streams", "Individual
Symbol Book Ticker Streams", "Order Book", 2026.
"""

from __future__ import annotations

from typing import Final

from openmm.instrument import Instrument
from openmm.venues.counterpart import Core
from openmm.venues.mexc.dialect_text import MS, message, price_text, push, qty_text
from openmm.venues.mexc.spec import INTERVALS, WHOLE_DEPTHS

BID, ASK = 0, 1
# SIM: how deep the venue's book of changes is, nothing tells.
DEPTH: Final = 200
FIRST_VERSION: Final = 82_164_153_436
INTERVALS_NS: Final = dict(zip(INTERVALS, (10 * MS, 100 * MS), strict=True))
LIMIT_NS: Final = 100 * MS
LIMIT_AGAIN_NS: Final = 500 * MS  # told again, unchanged
Levels = dict[int, int]


class BookState:
    """The book of a pair, and the number of its changes."""

    def __init__(self, core: Core, pair: Instrument) -> None:
        self.pair = pair
        self.version = FIRST_VERSION
        self.levels: tuple[Levels, Levels] = ({}, {})
        self._core = core
        self.refresh()

    def refresh(self) -> tuple[Levels, Levels]:
        """Take the book as it is now; return what changed, a quantity of 0 for what is gone."""
        name = self.pair.name
        new = (
            dict(self._core.depth(name, BID, DEPTH)),
            dict(self._core.depth(name, ASK, DEPTH)),
        )
        changes = (
            _changes(self.levels[BID], new[BID]),
            _changes(self.levels[ASK], new[ASK]),
        )
        self.version += len(changes[BID]) + len(changes[ASK])
        self.levels = new
        return changes

    def best(self, side: int, depth: int) -> list[tuple[int, int]]:
        """Return the best levels of a side, best first."""
        prices = sorted(self.levels[side], reverse=side == BID)[:depth]
        return [(price, self.levels[side][price]) for price in prices]


class Publisher:
    """The channels of one pair; all readers of a channel are told the same.

    Channels are keyed by their names as subscribed to.
    """

    def __init__(self, core: Core, pair: Instrument) -> None:
        self.state = BookState(core, pair)
        self._symbol = pair.base + pair.quote
        self._due_ns: dict[str, int] = {}
        self._changed: dict[str, tuple[Levels, Levels]] = {}
        self._told: dict[str, int] = {}  # version of the last push

    def is_book(self, channel: str) -> bool:
        """Whether a channel is one of these."""
        return channel in self._names()

    def _names(self) -> dict[str, tuple[str, int]]:
        """Return kind and interval or depth of every channel."""
        symbol = self._symbol
        names: dict[str, tuple[str, int]] = {}
        for text, span_ns in INTERVALS_NS.items():
            names[f"spot@public.aggre.depth.v3.api.pb@{text}@{symbol}"] = ("depth", span_ns)
            names[f"spot@public.aggre.bookTicker.v3.api.pb@{text}@{symbol}"] = ("ticker", span_ns)
        for depth in WHOLE_DEPTHS:
            names[f"spot@public.limit.depth.v3.api.pb@{symbol}@{depth}"] = ("limit", depth)
        return names

    def start(self, channel: str) -> None:
        """Begin to gather for a channel nobody read before."""
        if channel not in self._told:
            self._note(self.state.refresh())
            self._changed[channel] = ({}, {})
            self._told[channel] = self.state.version
            self._due_ns[channel] = 0

    def stop(self, channel: str) -> None:
        """Forget a channel that nobody reads any more."""
        for table in (self._told, self._changed, self._due_ns):
            table.pop(channel, None)

    def refresh(self) -> BookState:
        """Bring the state up to now; every channel gathers what changed."""
        self._note(self.state.refresh())
        return self.state

    def _note(self, changes: tuple[Levels, Levels]) -> None:
        if not any(changes):
            return
        for gathered in self._changed.values():
            for side in (BID, ASK):
                gathered[side].update(changes[side])

    def due(self, now_ns: int) -> list[tuple[str, bytes]]:
        """Return the pushes that are due: changes first, then what is told of the same version."""
        waiting = [name for name, at_ns in self._due_ns.items() if at_ns <= now_ns]
        if not waiting:
            return []
        self.refresh()
        names = self._names()
        out = []
        for name in sorted(waiting, key=lambda one: names[one][0]):
            kind, span = names[name]
            frame = self._push(name, kind, span, now_ns)
            if frame is not None:
                out.append((name, frame))
        return out

    def _push(self, name: str, kind: str, span: int, now_ns: int) -> bytes | None:
        version, pair, told = self.state.version, self.state.pair, self._told[name]
        if kind == "limit":
            again = now_ns >= self._due_ns[name] + LIMIT_AGAIN_NS - LIMIT_NS
            if version == told and not again and self._due_ns[name]:
                return None
            self._due_ns[name] = now_ns + LIMIT_NS
            self._told[name] = version
            body = self._levels(ASK, self.state.best(ASK, span))
            body += self._levels(BID, self.state.best(BID, span))
            body += message([(3, name.rpartition("@")[0].rpartition("@")[0]), (4, str(version)),
                             (5, now_ns // MS - 6)])  # fmt: skip
            return push(name, self._symbol, 303, body, now_ns)
        if version == told:
            return None
        self._due_ns[name] = now_ns + span
        self._told[name] = version
        if kind == "ticker":
            best = [self.state.best(side, 1) for side in (BID, ASK)]
            fields: list[tuple[int, int | str | bytes]] = []
            for at, side in ((1, best[BID]), (3, best[ASK])):
                if side:
                    fields += [(at, price_text(pair, side[0][0])),
                               (at + 1, qty_text(pair, side[0][1]))]  # fmt: skip
            fields += [(5, str(version)), (6, now_ns // MS - 6)]
            return push(name, self._symbol, 315, message(fields), now_ns)
        changed, self._changed[name] = self._changed[name], ({}, {})
        body = self._levels(ASK, list(changed[ASK].items()))
        body += self._levels(BID, list(changed[BID].items()))
        body += message(
            [
                (3, name.rpartition("@")[0]), (4, str(told + 1)), (5, str(version)),
                (6, now_ns // MS - 6),
            ]
        )  # fmt: skip
        return push(name, self._symbol, 313, body, now_ns)

    def _levels(self, side: int, rows: list[tuple[int, int]]) -> bytes:
        pair = self.state.pair
        number = 1 if side == ASK else 2
        return b"".join(
            message(
                [(number, message([(1, price_text(pair, price)), (2, qty_text(pair, qty))]))]
            )
            for price, qty in rows
        )  # fmt: skip


def _changes(old: Levels, new: Levels) -> Levels:
    changed = {price: 0 for price in old if price not in new}
    return changed | {price: qty for price, qty in new.items() if old.get(price) != qty}
