"""Time one level update, with the best read after each message, on our book and on its peers.

Runs under the interpreter of `bench.peers`, our kernels imported from the checkout beside it:
`python -m bench.peer_books [--rounds N] [--rows N]` prints one JSON object. Every round times every
book for as long as the others, in turn; a figure is the median over the rounds, a ratio the median
of its rounds. Time is the thread's own, so that a busy neighbour weighs less.

Books are called in two ways. `ladder`: as few calls as the book offers, ours and nautilus_trader's
one for the whole stream (nautilus' reads no best price then, which favours it). `called`: once a
message from Python, best prices read after each, ours too.
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
from bench.timers import as_long
from openmm._fast.book import Book

# A timer starts from the snapshot and returns nanoseconds, the best bid and ask at the end, and the
# sums of those read after each message where it reads them.
Read = tuple[int, int] | None
Timer = Callable[[], tuple[int, tuple[int, int], Read]]


def ours(stream: Stream) -> Timer:
    """Time our ladder: one compiled call, which reads both best prices after each message."""
    snapshot, rows, ends = table(stream.snapshot), table(stream.rows), array("q", stream.ends)
    book = Book()

    def run() -> tuple[int, tuple[int, int], Read]:
        book.catch_up()
        book.apply_many(snapshot)
        start = time.thread_time_ns()
        sums = book.replay(rows, ends)
        took = time.thread_time_ns() - start
        return took, best(book), sums

    return run


def ours_called(stream: Stream) -> Timer:
    """Time our ladder called once a message, both best prices read from Python."""
    snapshot = table(stream.snapshot)
    messages = [table(message) for message in stream.messages()]
    book = Book()

    def run() -> tuple[int, tuple[int, int], Read]:
        book.catch_up()
        book.apply_many(snapshot)
        reads = []
        start = time.thread_time_ns()
        for message in messages:
            book.apply_many(message)
            reads.append((book.best_bid_ticks, book.best_ask_ticks))
        took = time.thread_time_ns() - start
        return (
            took,
            best(book),
            (sum(bid or 0 for bid, _ in reads), sum(ask or 0 for _, ask in reads)),
        )

    return run


def best(book: Book) -> tuple[int, int]:
    """Read the best prices of our book, which has both sides."""
    assert book.best_bid_ticks is not None
    assert book.best_ask_ticks is not None
    return book.best_bid_ticks, book.best_ask_ticks


def sorted_dict(stream: Stream) -> Timer:
    """Time a SortedDict of ints a side."""
    messages = stream.messages()

    def run() -> tuple[int, tuple[int, int], Read]:
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
        took = time.thread_time_ns() - start
        return took, (bids.peekitem(-1)[0], asks.peekitem(0)[0]), (bid_sum, ask_sum)

    return run


def c_order_book(stream: Stream) -> Timer:
    """Time order_book, a C extension, with ints as keys. It sorts when the best is read."""
    messages = stream.messages()

    def run() -> tuple[int, tuple[int, int], Read]:
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
        took = time.thread_time_ns() - start
        return took, (bids.index(0)[0], asks.index(0)[0]), (bid_sum, ask_sum)

    return run


INSTRUMENT = InstrumentId.from_str("BTCUSDT.BINANCE")


def deltas(rows: list[Row]) -> OrderBookDeltas:
    """Build nautilus_trader's message of some level changes."""
    return OrderBookDeltas(
        INSTRUMENT,
        [
            OrderBookDelta(
                INSTRUMENT,
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


def nautilus_best(book: NautilusBook) -> tuple[int, int]:
    """Read the best prices of nautilus_trader's book, in ticks."""
    return round(float(book.best_bid_price()) * 100), round(float(book.best_ask_price()) * 100)


def nautilus(stream: Stream) -> Timer:
    """Time nautilus_trader's book in one call: all changes one message, built beforehand."""
    snapshot, rows = deltas(stream.snapshot), deltas(stream.rows)

    def run() -> tuple[int, tuple[int, int], Read]:
        book = NautilusBook(INSTRUMENT, BookType.L2_MBP)
        book.apply_deltas(snapshot)
        start = time.thread_time_ns()
        book.apply_deltas(rows)
        took = time.thread_time_ns() - start
        return took, nautilus_best(book), None

    return run


def nautilus_called(stream: Stream) -> Timer:
    """Time nautilus_trader's book called once a message, its deltas built beforehand."""
    snapshot = deltas(stream.snapshot)
    messages = [deltas(message) for message in stream.messages()]

    def run() -> tuple[int, tuple[int, int], Read]:
        book = NautilusBook(INSTRUMENT, BookType.L2_MBP)
        book.apply_deltas(snapshot)
        reads = []
        start = time.thread_time_ns()
        for message in messages:
            book.apply_deltas(message)
            reads.append((book.best_bid_price(), book.best_ask_price()))
        took = time.thread_time_ns() - start
        sums = (
            sum(round(float(bid) * 100) for bid, _ in reads),
            sum(round(float(ask) * 100) for _, ask in reads),
        )
        return took, nautilus_best(book), sums

    return run


# By how the books are called: ours, and its peers.
WAYS: dict[str, tuple[Callable[[Stream], Timer], dict[str, Callable[[Stream], Timer]]]] = {
    "ladder": (ours, {"sorteddict": sorted_dict, "nautilus": nautilus, "order_book": c_order_book}),
    "called": (ours_called, {"sorteddict": sorted_dict, "nautilus": nautilus_called}),
}


def measure(stream: Stream, rounds: int) -> dict[str, float]:
    """Time all books on a stream in turn.

    Returns: {"<way>/<peer>": median of its time over ours, "<way>/<name>_ns": median of a level}.

    Raises:
        AssertionError: two books read different best prices.
    """
    timers = {
        (way, name): make(stream)
        for way, (own, peers) in WAYS.items()
        for name, make in ({"ours": own} | peers).items()
    }
    times: dict[tuple[str, str], list[int]] = {key: [] for key in timers}
    for _ in range(rounds):
        last: set[tuple[int, int]] = set()
        sums: set[tuple[int, int]] = set()
        for key, timer in timers.items():
            took, told = as_long(timer)
            times[key].append(took)
            last.update(at_end for at_end, _ in told)
            sums.update(read for _, read in told if read is not None)
        assert len(last) == len(sums) == 1, (stream.name, last, sums)
    figures = {
        f"{way}/{name}_ns": statistics.median(each) / len(stream.rows)
        for (way, name), each in times.items()
    }
    for way, (_, peers) in WAYS.items():
        for name in peers:
            pairs = zip(times[way, name], times[way, "ours"], strict=True)
            figures[f"{way}/{name}"] = statistics.median(peer / own for peer, own in pairs)
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
