"""What the signals are worth: each one's correlation with where the mid goes, on recorded markets.

`python -m bench.signal_study [--json] [--frames N] [--ofi SECONDS]` prints a table. At every
100 ms of a recording the signals are read as a strategy would see them, no order of ours in the
book, and compared with the change of the mid over the next 1, 5 and 30 s. A *slope* is how far, in
bps, the mid goes on average for a signal of 1 (for a fair value: for each bp of its distance), by
least squares; `t` is its size over its error, taken over stretches as long as the horizon, so
that overlapping spans count once. Trades go to the flow where the recording has some.

A correlation within a recording of minutes is no promise: it says in which direction and order of
size a weight makes sense, not what it will earn.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.book_streams import shared_data
from bench.compare_requote import MARKETS, SPOT, Market, Message, _read_binance, load
from openmm._fast.book import Book, BookState
from openmm._fast.signals import Signals, Want
from openmm.instrument import Instrument
from openmm.venues.binance.wire import BinanceDecoder

GRID_NS: Final = 100_000_000
HORIZONS_S: Final = (1, 5, 30)
SIGNALS: Final = ("micro", "imbalance", "ofi", "flow", "compression")
WARM_NS: Final = 5_000_000_000


def _perpetual(pair: Instrument, book: Book) -> BinanceDecoder:
    decoder = BinanceDecoder()
    decoder.bind("BTCUSDT", 0, book, 1, pair.price_decimals, 1, pair.qty_decimals, 0, True)
    return decoder


STUDIED: Final = (
    *MARKETS[:3],
    Market(
        "Binance USD-M BTC/USDT 2024-08-08", SPOT, _perpetual,
        _read_binance("usdm_btcusdt_20240808.gz"), 100, "0.01",
    ),
    *MARKETS[3:],
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """The market at one point of the grid."""

    mid_uticks: int
    values: tuple[float, ...]  # one of SIGNALS each: a share, of a fair value the distance in bps


def looks(market: Market, messages: Sequence[Message], **settings: int) -> list[Look]:
    """Read the signals every 100 ms of a recording, once they are warm."""
    book = Book(outside_levels=1 << 16)
    decoder = market.decoder(market.instrument, book)
    signals = Signals(
        depth_distance_ppm=1_000,
        wanted=Want.WANT_MICRO | Want.WANT_IMBALANCE | Want.WANT_OFI,
        **settings,
    )
    found: list[Look] = []
    due_ns = 0
    for message in messages:
        while due_ns and message.recv_ns > due_ns:
            signals.decay(due_ns)
            if signals.mid_uticks is not None:
                found.append(_look(signals))
            due_ns += GRID_NS
        decoder.decode(message.data, message.recv_ns)
        if message.trade is not None:
            signals.on_trade(message.recv_ns, *message.trade)
        elif book.state is BookState.BOOK_VERIFIED:
            signals.on_book(book, message.recv_ns)
            if not due_ns and signals.warm:
                due_ns = message.recv_ns + WARM_NS
        else:
            signals.lose()
    return found


def _look(signals: Signals) -> Look:
    assert signals.mid_uticks is not None
    return Look(
        signals.mid_uticks,
        (
            signals.micro_ppm / 100, signals.imbalance_ppm / 1e6, signals.ofi_ppm / 1e6,
            signals.flow_ppm / 1e6, signals.spread_compression_ppm / 1e6,
        ),
    )  # fmt: skip


def relation(values: Sequence[float], moves: Sequence[float], stretch: int) -> dict[str, float]:
    """Return correlation, slope, and how many errors the slope is off zero.

    Args:
        stretch: points over which neighbours are no evidence of their own.
    """
    count = len(values)
    mean, other = sum(values) / max(1, count), sum(moves) / max(1, count)
    offs = [(value - mean, move - other) for value, move in zip(values, moves, strict=True)]
    power = sum(off * off for off, _ in offs)
    spread = math.sqrt(power * sum(off * off for _, off in offs))
    if spread == 0:
        return {"correlation": 0.0, "slope_bps": 0.0, "t": 0.0}
    product = sum(off * moved for off, moved in offs)
    slope = product / power
    left = [off * (moved - slope * off) for off, moved in offs]
    blocks = [sum(left[i : i + stretch]) for i in range(0, count, stretch)]
    error = math.sqrt(sum(block * block for block in blocks)) / power
    return {
        "correlation": product / spread, "slope_bps": slope,
        "t": slope / error if error else 0.0,
    }  # fmt: skip


def study(market: Market, messages: Sequence[Message], **settings: int) -> list[dict[str, Any]]:
    """Return a row for each signal and horizon."""
    seen = looks(market, messages, **settings)
    rows = []
    for horizon_s in HORIZONS_S:
        steps = horizon_s * 1_000_000_000 // GRID_NS
        count = len(seen) - steps
        if count < 5 * steps:
            continue
        moves = [1e4 * (seen[i + steps].mid_uticks / seen[i].mid_uticks - 1) for i in range(count)]
        for at, name in enumerate(SIGNALS):
            if name == "flow" and not any(one.values[at] for one in seen):
                continue
            # A tight spread tells of no direction: of how far, perhaps.
            far = [abs(move) for move in moves] if name == "compression" else moves
            told = relation([one.values[at] for one in seen[:count]], far, steps)
            rows.append(
                {"market": market.label, "signal": name, "horizon_s": horizon_s, "points": count}
                | {key: round(value, 3) for key, value in told.items()}
            )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.signal_study")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    parser.add_argument("--frames", type=int, default=1 << 40, help="messages of each recording")
    parser.add_argument("--ofi", type=float, default=1.0, help="its half-life in seconds")
    chosen = parser.parse_args(argv)
    data = shared_data()
    if data is None:
        print("no recorded data beside the checkout", file=sys.stderr)
        return 1
    rows = []
    for market in STUDIED:
        messages = load(market, data, chosen.frames)
        rows += study(market, messages, ofi_ns=int(chosen.ofi * 1e9))
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(
        f"{'market':34}{'signal':13}"
        + "".join(f"{f'{h} s: corr, slope, t':>28}" for h in HORIZONS_S)
    )
    for label in dict.fromkeys(row["market"] for row in rows):
        for name in SIGNALS:
            mine = [row for row in rows if (row["market"], row["signal"]) == (label, name)]
            if mine:
                cells = (
                    f"{row['correlation']:+.2f} {row['slope_bps']:+.3f} {row['t']:+.1f}"
                    for row in mine
                )
                print(f"{label:34}{name:13}" + "".join(f"{cell:>28}" for cell in cells))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
