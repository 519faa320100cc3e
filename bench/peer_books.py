"""Time one level update, with the best read after each message, on our book and on its peers.

Runs under the interpreter of `bench.peers`, our kernels imported from the checkout beside it:
`python -m bench.peer_books [--rounds N] [--rows N]` prints one JSON object. Every round times every
book once, in turn; a figure is the median over the rounds, a ratio the median of its rounds. Time
is the thread's own, so that a busy neighbour weighs less.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from array import array
from collections.abc import Callable

from nautilus_trader.model.book import OrderBook as NautilusBook  # type: ignore[import-not-found]
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas  # type: ignore[import-not-found]
from nautilus_trader.model.enums import BookAction, BookType, OrderSide  # type: ignore[import-not-found]
from nautilus_trader.model.identifiers import InstrumentId  # type: ignore[import-not-found]
from nautilus_trader.model.objects import Price, Quantity  # type: ignore[import-not-found]
from order_book import OrderBook as COrderBook  # type: ignore[import-not-found]
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from bench.book_streams import Row, Stream, binance_spot, shared_data, synthetic, table
from openmm._fast.book import Book

# A timer starts from the snapshot and returns (nanoseconds, sum of best bids, sum of best asks).
Timer = Callable[[], tuple[int, int, int]]


def ours(stream: Stream) -> Timer:
    """Time our ladder: one compiled call."""
    snapshot, rows, ends = table(stream.snapshot), table(stream.rows), array("q", stream.ends)
    book = Book()

    def run() -> tuple[int, int, int]:
        book.catch_up()
        book.apply_many(snapshot)
        start = time.thread_time_ns()
        bids, asks = book.replay(rows, ends)
        return time.thread_time_ns() - start, bids, asks

    return run


def sorted_dict(stream: Stream) -> Timer:
    """Time a SortedDict of ints a side."""
    messages = stream.messages()

    def run() -> tuple[int, int, int]:
        sides = bids, asks = SortedDict(), SortedDict()
        for side, price, qty in stream.snapshot:
            sides[side][price] = qty
        bid_sum = ask_sum = 0
        start = time.thread_time_ns()
        for message in messages:
            for side, price, qty in message:
                if qty:
                    sides[side][price] = qty
                else:
                    sides[side].pop(price, None)
            bid_sum += bids.peekitem(-1)[0]
            ask_sum += asks.peekitem(0)[0]
        return time.thread_time_ns() - start, bid_sum, ask_sum

    return run


def c_order_book(stream: Stream) -> Timer:
    """Time order_book, a C extension, with ints as keys. It sorts when the best is read."""
    messages = stream.messages()

    def run() -> tuple[int, int, int]:
        book = COrderBook()
        sides = bids, asks = book.bids, book.asks
        for side, price, qty in stream.snapshot:
            sides[side][price] = qty
        bid_sum = ask_sum = 0
        start = time.thread_time_ns()
        for message in messages:
            for side, price, qty in message:
                levels = sides[side]
                if qty:
                    levels[price] = qty
                elif price in levels:
                    del levels[price]
            bid_sum += bids.index(0)[0]
            ask_sum += asks.index(0)[0]
        return time.thread_time_ns() - start, bid_sum, ask_sum

    return run


def nautilus(stream: Stream) -> Timer:
    """Time nautilus_trader's book, its deltas built beforehand."""
    instrument = InstrumentId.from_str("BTCUSDT.BINANCE")

    def deltas(rows: list[Row]) -> OrderBookDeltas:
        return OrderBookDeltas(
            instrument,
            [
                OrderBookDelta(
                    instrument,
                    BookAction.UPDATE if qty else BookAction.DELETE,
                    BookOrder(
                        OrderSide.SELL if side else OrderSide.BUY,
                        Price(price / 100, 2),
                        Quantity(qty / 10**8, 8),
                        price,
                    ),
                    0, 0, 0, 0,
                )
                for side, price, qty in rows
            ],
        )  # fmt: skip

    snapshot = deltas(stream.snapshot)
    messages = [deltas(message) for message in stream.messages()]

    def run() -> tuple[int, int, int]:
        book = NautilusBook(instrument, BookType.L2_MBP)
        book.apply_deltas(snapshot)
        start = time.thread_time_ns()
        reads = []
        for message in messages:
            book.apply_deltas(message)
            reads.append((book.best_bid_price(), book.best_ask_price()))
        took = time.thread_time_ns() - start
        return (
            took,
            sum(round(float(bid) * 100) for bid, _ in reads),
            sum(round(float(ask) * 100) for _, ask in reads),
        )

    return run


PEERS: dict[str, Callable[[Stream], Timer]] = {
    "sorteddict": sorted_dict,
    "nautilus": nautilus,
    "order_book": c_order_book,
}


def measure(stream: Stream, rounds: int) -> dict[str, float]:
    """Time all books on a stream in turn.

    Returns: {peer: median of its time over ours, "<name>_ns": median time of a level}.

    Raises:
        AssertionError: two books read different best prices.
    """
    timers = {"ours": ours(stream)} | {name: make(stream) for name, make in PEERS.items()}
    times: dict[str, list[int]] = {name: [] for name in timers}
    for _ in range(rounds):
        found = {}
        for name, timer in timers.items():
            took, *found[name] = timer()
            times[name].append(took)
        assert all(sums == found["ours"] for sums in found.values()), (stream.name, found)
    figures = {
        f"{name}_ns": statistics.median(each) / len(stream.rows) for name, each in times.items()
    }
    for name in PEERS:
        pairs = zip(times[name], times["ours"], strict=True)
        figures[name] = statistics.median(peer / own for peer, own in pairs)
    return figures


def main() -> None:
    """Measure every stream and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.peer_books", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=50_000, help="of the synthetic streams")
    parser.add_argument("--messages", type=int, help="of the recorded stream; all if not given")
    args = parser.parse_args()
    gc.disable()
    figures: dict[str, dict[str, float]] = {}
    for depth in (25, 100, 1000):
        figures[str(depth)] = measure(synthetic(depth, args.rows), args.rounds)
    data = shared_data()
    if data is not None:
        recorded = binance_spot(data / "binance" / "spot_btcusdt_20240808.gz", args.messages)
        figures["recorded"] = measure(recorded, args.rounds)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
