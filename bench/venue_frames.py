"""Book frames of Gate.io, Bitget, Binance and Coinbase that decoders are timed on.

The changes are those of the canonical market. Gate.io and Bitget maintain a window, as they do in
truth: their frames are what their simulated venues tell of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, Final, cast

from openmm.instrument import Instrument
from openmm.testing.workload import Mix, WorkloadSpec, make_workload
from openmm.venues.bitget.dialect_book import BookPublisher as BitgetPublisher
from openmm.venues.bitget.spec import Family
from openmm.venues.counterpart import Core
from openmm.venues.gateio.dialect_book import BookPublisher as GateioPublisher

DEPTH: Final = 25
NS: Final = 1_000_000_000
BID, ASK = 0, 1
PRICE_DECIMALS, QTY_DECIMALS = 1, 8
# Venue and what it is told by: channel or generation of its feed.
FEEDS: Final = (
    "gateio_obu",
    "gateio_update",
    "bitget_seq",
    "bitget_checksum",
    "binance",
    "coinbase",
)
SYMBOLS: Final = {
    "gateio": "BTC_USDT", "bitget": "BTCUSDT", "binance": "BTCUSDT", "coinbase": "BTC-USD",
}  # fmt: skip
GATEIO_DEPTHS: Final = {"gateio_obu": 50, "gateio_update": 100}
GENERATIONS: Final = {"bitget_seq": "2026p", "bitget_checksum": "legacy"}

Sides = list[list[list[str]]]


@dataclass(slots=True)
class Frames:
    """A whole book, and the increments behind it."""

    feed: str
    start: bytes
    frames: list[bytes] = field(default_factory=list)
    level_count: int = 0

    @property
    def venue(self) -> str:
        """Whose frames they are."""
        return self.feed.partition("_")[0]


def generated(feed: str, mix: Mix, messages: int = 4000) -> Frames:
    """Make the frames of one mix. What the workload's depth cuts off stays in these books."""
    spec = WorkloadSpec(
        messages=messages, mix=mix, depth=DEPTH, trade_share=0.0, heartbeat_share=0.0
    )
    writer = None
    out = None
    for at, data in enumerate(make_workload(spec).frames, start=1):
        told = json.loads(data, parse_float=str)["data"][0]
        sides = [[[row["price"], row["qty"]] for row in told[name]] for name in ("bids", "asks")]
        if feed in GATEIO_DEPTHS or feed in GENERATIONS:
            if writer is None:
                writer = _Window(feed)
            frame, levels = writer.tell(at, sides)
        else:
            start, more = (_binance_start, _binance) if feed == "binance" else (_start, _coinbase)
            frame = start(at, sides) if out is None else more(at, sides)
            levels = len(sides[BID]) + len(sides[ASK])
        if out is None:
            out = Frames(feed, frame)
            continue
        out.frames.append(frame)
        out.level_count += levels
    assert out is not None, "a workload begins with a snapshot"
    return out


class _Window:
    """A market of so many levels, and the simulated venue's words for what changes in it."""

    def __init__(self, feed: str) -> None:
        self._sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        pair = Instrument(
            feed.partition("_")[0], "BTC/USDT", "BTC", "USDT", PRICE_DECIMALS, QTY_DECIMALS,
            Decimal(1).scaleb(-PRICE_DECIMALS), Decimal(1).scaleb(-QTY_DECIMALS),
            Decimal(0), Decimal(0), 12, 9,
        )  # fmt: skip
        core = cast(Core, self)  # of the whole core, the writers ask for the depth alone
        self._gateio: GateioPublisher | None = None
        self._bitget: BitgetPublisher | None = None
        if feed in GATEIO_DEPTHS:
            self._gateio = GateioPublisher(core, pair, GATEIO_DEPTHS[feed], 1)
        else:
            self._bitget = BitgetPublisher(
                core, pair, "books", Family.CLASSIC, GENERATIONS[feed], Random(1)
            )

    def depth(self, _name: str, side: int, count: int) -> list[tuple[int, int]]:
        """Return the best levels of a side, best first."""
        return sorted(self._sides[side].items(), reverse=side == BID)[:count]

    def tell(self, at: int, sides: Sides) -> tuple[bytes, int]:
        """Take levels over; return the frame, the first a snapshot, and how many it carries."""
        for side, rows in enumerate(sides):
            held = self._sides[side]
            for price, qty in rows:
                ticks = int(Decimal(price).scaleb(PRICE_DECIMALS))
                if lots := int(Decimal(qty).scaleb(QTY_DECIMALS)):
                    held[ticks] = lots
                else:
                    held.pop(ticks, None)
            for ticks in sorted(held, reverse=side == BID)[DEPTH:]:
                del held[ticks]
        frame = self._frame(at)
        return frame, frame.count(b'["')

    def _frame(self, at: int) -> bytes:
        now_ns = 1_790_281_243 * NS + at * NS
        if (gateio := self._gateio) is not None:
            gateio.book_id += 1
            if at == 1:
                gateio.start()
                if gateio.obu:
                    return gateio.full(now_ns)
                return self._copy(gateio)
            frame = gateio.update(now_ns)
        else:
            bitget = self._bitget
            assert bitget is not None
            if at == 1:
                bitget.start()
                return bitget.snapshot(now_ns)
            frame = bitget.update(now_ns)
        assert frame is not None, "every message of the workload changes the book"
        return frame

    def _copy(self, gateio: GateioPublisher) -> bytes:
        """Write the REST copy that increments join, as the connector hands it on."""
        bids, asks = (
            [
                [f"{price / 10:.1f}", f"{lots / 1e8:.8f}"]
                for price, lots in self.depth("", side, 100)
            ]
            for side in (BID, ASK)
        )
        told = {"id": gateio.last_id, "current": 0, "update": 0, "asks": asks, "bids": bids}
        return b'{"channel":"rest.order_book","s":"BTC_USDT","result":%b}' % _dumps(told)


def _dumps(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def _start(_at: int, sides: Sides) -> bytes:
    head = {"type": "snapshot", "product_id": SYMBOLS["coinbase"]}
    return _dumps(head | {"asks": sides[ASK], "bids": sides[BID]})


def _coinbase(_at: int, sides: Sides) -> bytes:
    names = ("buy", "sell")
    changes = [[names[side], *level] for side in (BID, ASK) for level in sides[side]]
    return _dumps(
        {
            "type": "l2update", "product_id": SYMBOLS["coinbase"], "changes": changes,
            "time": "2021-04-17T16:43:37.075687Z",
        }
    )  # fmt: skip


def _binance_start(at: int, sides: Sides) -> bytes:
    copy = {"lastUpdateId": at, "bids": sides[BID], "asks": sides[ASK]}
    return _dumps({"stream": f"{SYMBOLS['binance']}@rest", "data": copy})


def _binance(at: int, sides: Sides) -> bytes:
    data = {
        "e": "depthUpdate", "E": 1_790_281_243_000 + at, "s": SYMBOLS["binance"], "U": at, "u": at,
        "b": sides[BID], "a": sides[ASK],
    }  # fmt: skip
    return _dumps({"stream": "btcusdt@depth@100ms", "data": data})
