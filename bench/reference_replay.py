"""Replay three recorded markets on one clock through the reference price.

`python -m bench.reference_replay [--plot FILE.svg] [--json]` prints the reference against each mid,
and what killing, freezing or shifting one feed by 50 bps does to it. The recordings are Binance
spot, USD-M and COIN-M of 2024-08-08 and 09: one recorder, so one clock; USD-M ends after 345 s.

A feed that is frozen stays connected and says nothing more. One that is killed is reported by its
connection, so its book is not verified from then on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.book_streams import shared_data
from openmm._fast.book import Book
from openmm._fast.ports import Decoded
from openmm._fast.reference import Reference, SourceVerdict
from openmm._fast.units import BookSide
from openmm.venues.binance.verify import rest_frame
from openmm.venues.binance.wire import BinanceDecoder
from openmm.venues.recordings import read_stamped

SECOND: Final = 1_000_000_000
PRICE_UTICKS: Final = 100_000_000  # of one USD: spot's tick is a cent
SHIFT_PPM: Final = 5_000
WARM_NS: Final = 150 * SECOND
FAULTS: Final = ("kill", "freeze", "shift")
# As `[signal]` says it for markets this deep: two sources 3 bps apart are no reference, and the
# basis is known after a minute, well before the first fault.
SIGNAL: Final = {
    "outlier_floor_ppm": 300, "clamp_ppm": 300, "basis_ns": 60 * SECOND, "basis_cap_ppm": 5_000,
    "readmit_count": 3, "jump_ppm": 5_000, "jump_hold_ns": 10 * SECOND,
}  # fmt: skip
AGE_NS_MAX: Final = 5 * SECOND
SPREAD_PPM_MAX: Final = 10_000
DEPTH_PRICE: Final = 60  # USD from the best price within which depth counts
OUTSIDE_LEVELS: Final = 1 << 16

Prices = NDArray[np.float64]


@dataclass(frozen=True)
class Feed:
    """One recorded market. `ticks`: spot's ticks in one of its own; `lots`: spot's lots in one."""

    label: str
    symbol: str
    files: tuple[str, ...]
    price_decimals: int
    qty_decimals: int
    chained: bool
    ticks: int
    lots: tuple[int, int]


FEEDS: Final = (
    Feed("spot", "BTCUSDT", ("spot_btcusdt",), 2, 5, False, 1, (1, 1)),
    Feed("usdm", "BTCUSDT", ("usdm_btcusdt",), 2, 3, True, 1, (100, 1)),
    # A contract is 100 USD, about 1/600 of a coin.
    Feed("coinm", "BTCUSD_PERP", ("cm_btcusd_perp",), 1, 0, True, 10, (100_000, 600)),
)
BOTH_DAYS: Final = ("20240808", "20240809")


@dataclass(frozen=True)
class Rows:
    """What the books said after each message: int64 columns, by time of receipt."""

    recv_ns: NDArray[np.int64]
    feed: NDArray[np.int64]
    mid_uticks: NDArray[np.int64]
    spread_uticks: NDArray[np.int64]
    depth_lots: NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """The reference after each row, NaN where there was none, with its parts."""

    price: Prices
    mids: Prices  # [rows, feeds]
    verdicts: NDArray[np.int64]


def load(data: Path, days: Sequence[str] = BOTH_DAYS) -> Rows:
    """Put the recordings through decoder and books.

    Args:
        data: folder of the recordings, `<feed>_<day>.gz`.
    """
    rows: list[tuple[int, int, int, int, int]] = []
    for index, feed in enumerate(FEEDS):
        rows += _books(data, feed, index, days)
    rows.sort(key=lambda row: row[0])
    columns = np.array(rows, dtype=np.int64).T
    return Rows(*columns)


def _books(
    data: Path, feed: Feed, index: int, days: Sequence[str]
) -> list[tuple[int, int, int, int, int]]:
    decoder, book = BinanceDecoder(), Book(outside_levels=OUTSIDE_LEVELS)
    decoder.bind(
        feed.symbol, 0, book, 1, feed.price_decimals, 1, feed.qty_decimals, 0, feed.chained
    )
    paths = [data / f"{name}_{day}.gz" for name in feed.files for day in days]
    distance = DEPTH_PRICE * 10**feed.price_decimals
    num, den = feed.lots
    found = []
    for record in chain.from_iterable(read_stamped(path) for path in paths if path.is_file()):
        frame = record.data
        if frame.startswith(b'{"lastUpdateId"'):
            frame = rest_frame(feed.symbol, frame)
        elif b"@depth" not in frame[:64]:
            continue
        if decoder.decode(frame, record.recv_ns) is not Decoded.DECODED_BOOK:
            continue
        bid, ask = book.best_bid_ticks, book.best_ask_ticks
        assert bid is not None
        assert ask is not None
        depth = min(book.depth(side, distance) for side in (BookSide.BID, BookSide.ASK))
        scale = feed.ticks * 1_000_000
        found.append(
            (
                record.recv_ns,
                index,
                (bid + ask) * scale // 2,
                (ask - bid) * scale,
                depth * num // den,
            )
        )
    return found


def replay(
    rows: Rows, fault: str = "", victim: int = -1, at_ns: int = 0, until_ns: int = 1 << 62
) -> Run:
    """Compute the reference after every message, one feed of them at fault from a moment on."""
    reference = Reference(**SIGNAL)
    for index in range(len(FEEDS)):
        reference.add_source(
            age_ns_max=AGE_NS_MAX, spread_ppm_max=SPREAD_PPM_MAX, quoted=index == 0
        )
    prices, mids, verdicts = [], [], []
    columns = (rows.recv_ns, rows.feed, rows.mid_uticks, rows.spread_uticks, rows.depth_lots)
    for recv_ns, feed, mid, spread, depth in zip(*(one.tolist() for one in columns), strict=True):
        if recv_ns > until_ns:
            break
        bad = feed == victim and recv_ns >= at_ns
        if bad and fault == "kill":
            reference.set(feed, None, 0, 0, recv_ns, False)
        elif not (bad and fault == "freeze"):
            shift = mid * SHIFT_PPM // 1_000_000 if bad and fault == "shift" else 0
            reference.set(feed, mid + shift, spread, depth, recv_ns, True)
        prices.append(reference.compute(recv_ns))
        parts = [reference.source(index) for index in range(len(FEEDS))]
        mids.append([part[0] for part in parts])
        verdicts.append([int(part[2]) for part in parts])
    return Run(
        np.array(prices, dtype=np.float64) / PRICE_UTICKS,
        np.array(mids, dtype=np.float64) / PRICE_UTICKS,
        np.array(verdicts, dtype=np.int64),
    )


def moved_bps(clean: Run, faulty: Run) -> Prices:
    """Return how far the reference is from the clean run's, where both have one."""
    moved = np.abs(faulty.price - clean.price) / clean.price * 10_000
    return moved[~np.isnan(moved)]


def against_mids(clean: Run) -> list[dict[str, Any]]:
    """Return each mid's distance from the reference, in bps."""
    table = []
    for index, feed in enumerate(FEEDS):
        used = clean.verdicts[:, index] != SourceVerdict.SOURCE_STALE
        away = (clean.mids[:, index] - clean.price) / clean.price * 10_000
        away = away[used & ~np.isnan(away)]
        table.append(
            {
                "feed": feed.label,
                "rows": len(away),
                "mean_bps": float(away.mean()),
                "std_bps": float(away.std()),
                "p99_bps": float(np.percentile(np.abs(away - away.mean()), 99)),
            }
        )
    return table


def faults(
    rows: Rows, clean: Run, kinds: Sequence[str], victims: Sequence[int]
) -> list[dict[str, Any]]:
    """Return what each fault does to the reference from its begin until the first feed ends."""
    begin_ns = int(rows.recv_ns[0]) + WARM_NS
    end_ns = min(int(rows.recv_ns[rows.feed == index][-1]) for index in range(len(FEEDS)))
    window = (rows.recv_ns >= begin_ns) & (rows.recv_ns <= end_ns)
    first = int(np.argmax(window))
    table = []
    for kind in kinds:
        for victim in victims:
            run = replay(rows, kind, victim, begin_ns, end_ns)
            last = len(run.price)
            part = Run(clean.price[first:last], clean.mids, clean.verdicts)
            moved = moved_bps(part, Run(run.price[first:last], run.mids, run.verdicts))
            table.append(
                {
                    "fault": kind,
                    "feed": FEEDS[victim].label,
                    "rows": last - first,
                    "p99_bps": float(np.percentile(moved, 99)),
                    "max_bps": float(moved.max()),
                    "without": int(np.isnan(run.price[first:last]).sum()),
                    "told_after": _told_after(rows, run, kind, victim, begin_ns),
                }
            )
    return table


def _told_after(rows: Rows, run: Run, kind: str, victim: int, begin_ns: int) -> int:
    """Count the faulty feed's messages, from the first, until its verdict tells; frozen: any."""
    told = run.verdicts[:, victim] != SourceVerdict.SOURCE_USED
    count = len(told)
    if kind == "freeze":
        # The last word of the feed is too old: from there on each message of the others.
        last_ns = rows.recv_ns[(rows.feed == victim) & (rows.recv_ns < begin_ns)][-1]
        since = rows.recv_ns[:count] > last_ns + AGE_NS_MAX
    else:
        since = (rows.recv_ns[:count] >= begin_ns) & (rows.feed[:count] == victim)
    return int(np.argmax(told[since])) + 1 if told[since].any() else -1


# --- to look at

COLOURS: Final = ("#1f77b4", "#2ca02c", "#ff7f0e")
WIDTH, HEIGHT, MARGIN = 1200, 640, 60
POINTS_MAX = 3000


def plot(rows: Rows, clean: Run) -> str:
    """Draw the reference and each mid, in bps of the first reference, as SVG."""
    good = ~np.isnan(clean.price)
    seconds = (rows.recv_ns - rows.recv_ns[0]) / SECOND
    start = clean.price[good][0]
    series = [(feed.label, COLOURS[at], clean.mids[:, at]) for at, feed in enumerate(FEEDS)]
    series.append(("reference", "#000000", clean.price))
    ends = {feed.label: seconds[rows.feed == at][-1] for at, feed in enumerate(FEEDS)} | {
        "reference": seconds[-1]
    }
    all_bps = (np.concatenate([one[2][good] for one in series]) / start - 1) * 10_000
    low, high = float(np.nanmin(all_bps)), float(np.nanmax(all_bps))
    body = []
    for at in range(11):
        bps = low + (high - low) * at / 10
        y = HEIGHT - MARGIN - (bps - low) / (high - low) * (HEIGHT - 2 * MARGIN)
        body.append(f'<path d="M{MARGIN} {y:.1f}H{WIDTH - MARGIN}" stroke="#ddd"/>')
        body.append(f'<text x="8" y="{y + 4:.1f}">{bps:+.1f}</text>')
    for at in range(0, int(seconds[-1]) + 1, 60):
        x = MARGIN + at / seconds[-1] * (WIDTH - 2 * MARGIN)
        body.append(f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 20}">{at} s</text>')
    step = max(1, len(seconds) // POINTS_MAX)
    for place, (label, colour, values) in enumerate(series):
        kept = good & (seconds <= ends[label]) & ~np.isnan(values)
        x = MARGIN + seconds[kept][::step] / seconds[-1] * (WIDTH - 2 * MARGIN)
        bps_ = (values[kept][::step] / start - 1) * 10_000
        y_ = HEIGHT - MARGIN - (bps_ - low) / (high - low) * (HEIGHT - 2 * MARGIN)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y_, strict=True))
        body.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="0.8"/>'
            f'<text x="{MARGIN + 120 * place}" y="30" fill="{colour}">{label}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{WIDTH - 260}" y="30">bps from the first reference</text>{"".join(body)}</svg>'
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; returns 1 when the data is not there."""
    parser = argparse.ArgumentParser(prog="python -m bench.reference_replay")
    parser.add_argument("--plot", type=Path, help="write the reference and each mid as SVG")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    shared = shared_data()
    if shared is None:
        print("recorded data is absent", file=sys.stderr)
        return 1
    rows = load(shared / "binance")
    clean = replay(rows)
    if asked.plot is not None:
        asked.plot.write_text(plot(rows, clean))
    tables = {"mids": against_mids(clean), "faults": faults(rows, clean, FAULTS, range(len(FEEDS)))}
    if asked.json:
        print(json.dumps(tables))
        return 0
    for name, table in tables.items():
        print(name)
        print("  ".join(f"{key:>10}" for key in table[0]))
        for row in table:
            print("  ".join(f"{_cell(value):>10}" for value in row.values()))
    return 0


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
