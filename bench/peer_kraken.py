"""Time Kraken frames from bytes to book: ours, and what a Python program would use instead.

Runs under the interpreter of `bench.peers`: `python -m bench.peer_kraken [--rounds N]` prints one
JSON object. Every round times every candidate for as long as the others, in turn, on the thread's
own clock; a figure is the median over the rounds, a ratio the median of its rounds. The peers check
no checksum, and keep floats as they come: the least they can do. All but nautilus_trader's book,
which has no call for it, cut their book to the subscribed depth.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time

import msgspec
import orjson
from nautilus_trader.model.book import OrderBook as NautilusBook  # type: ignore[import-not-found]
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas  # type: ignore[import-not-found]
from nautilus_trader.model.enums import BookAction, BookType, OrderSide  # type: ignore[import-not-found]
from nautilus_trader.model.identifiers import InstrumentId  # type: ignore[import-not-found]
from nautilus_trader.model.objects import Price, Quantity  # type: ignore[import-not-found]
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from bench.kraken_frames import Frames, all_frames
from bench.timers import Timer, decoded, in_turn, ratio
from openmm._fast.book import Book
from openmm.venues.kraken.wire import KrakenDecoder


def ours(frames: Frames, verify: bool) -> Timer:
    """Time our decoder, whose book stays from round to round: the first frame is a snapshot."""
    decoder, book = KrakenDecoder(), Book()
    decoder.bind(
        "BTC/USD", 0, book, 1, frames.price_decimals, 1, frames.qty_decimals, frames.depth, verify
    )
    return decoded(lambda: (decoder, book), frames.frames)


def orjson_sorted_dict(frames: Frames) -> Timer:
    """Time orjson and a SortedDict of floats a side."""
    depth, loads = frames.depth, orjson.loads

    def run() -> tuple[int, float, float]:
        bids, asks = SortedDict(), SortedDict()
        start = time.thread_time_ns()
        for data in frames.frames:
            message = loads(data)
            if message["channel"] != "book":
                continue
            book = message["data"][0]
            if message["type"] == "snapshot":
                bids.clear()
                asks.clear()
            for side, levels in ((bids, book["bids"]), (asks, book["asks"])):
                for level in levels:
                    qty = level["qty"]
                    if qty:
                        side[level["price"]] = qty
                    else:
                        side.pop(level["price"], None)
            while len(bids) > depth:
                bids.popitem(0)
            while len(asks) > depth:
                asks.popitem(-1)
        took = time.thread_time_ns() - start
        return took, bids.peekitem(-1)[0], asks.peekitem(0)[0]

    return run


class Level(msgspec.Struct):
    """One level as the venue writes it."""

    price: float
    qty: float


class BookData(msgspec.Struct):
    """One book."""

    symbol: str
    bids: list[Level]
    asks: list[Level]
    checksum: int
    timestamp: str = ""


class BookMessage(msgspec.Struct):
    """One frame of the book channel."""

    channel: str
    type: str
    data: list[BookData]


def msgspec_nautilus(frames: Frames) -> Timer:
    """Time typed msgspec, nautilus_trader's deltas and its book."""
    instrument = InstrumentId.from_str("BTC/USD.KRAKEN")
    decode = msgspec.json.Decoder(BookMessage).decode
    price_decimals, qty_decimals = frames.price_decimals, frames.qty_decimals
    update, delete = BookAction.UPDATE, BookAction.DELETE
    sides = (OrderSide.BUY, OrderSide.SELL)

    def run() -> tuple[int, float, float]:
        book = NautilusBook(instrument, BookType.L2_MBP)
        start = time.thread_time_ns()
        for data in frames.frames:
            message = decode(data)
            one = message.data[0]
            deltas = (
                [OrderBookDelta.clear(instrument, 0, 0, 0)] if message.type == "snapshot" else []
            )
            for side, levels in zip(sides, (one.bids, one.asks), strict=True):
                for level in levels:
                    order = BookOrder(
                        side, Price(level.price, price_decimals),
                        Quantity(level.qty, qty_decimals), 0,
                    )  # fmt: skip
                    deltas.append(
                        OrderBookDelta(
                            instrument, update if level.qty else delete, order, 0, 0, 0, 0
                        )
                    )
            if deltas:
                book.apply_deltas(OrderBookDeltas(instrument, deltas))
        took = time.thread_time_ns() - start
        return took, round(float(book.best_bid_price()), 6), round(float(book.best_ask_price()), 6)

    return run


def measure(frames: Frames, rounds: int) -> dict[str, float]:
    """Time all candidates in turn.

    Returns: {"<ours>/<peer>": median of the peer's time over ours, "<name>_ns": time of a frame}.

    Raises:
        AssertionError: two candidates that cut their book end with different best prices.
    """
    timers = {
        "verified": ours(frames, verify=True),
        "plain": ours(frames, verify=False),
        "orjson_sorteddict": orjson_sorted_dict(frames),
        "msgspec_nautilus": msgspec_nautilus(frames),
    }
    # An uncut book keeps levels that fell out of the depth, and may end with one as its best.
    times = in_turn(timers, rounds, frames.name, apart=("msgspec_nautilus",))
    figures = {
        f"{name}_ns": statistics.median(each) / len(frames.frames) for name, each in times.items()
    }
    for own in ("verified", "plain"):
        for peer in ("orjson_sorteddict", "msgspec_nautilus"):
            figures[f"{own}/{peer}"] = ratio(times[peer], times[own])
    return figures


def main() -> None:
    """Measure every set of frames and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.peer_kraken", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=4000, help="of the generated sets")
    args = parser.parse_args()
    gc.disable()
    print(json.dumps({one.name: measure(one, args.rounds) for one in all_frames(args.messages)}))


if __name__ == "__main__":
    main()
