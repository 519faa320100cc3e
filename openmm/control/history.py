"""Spread, depth and mid of a bot's market over time, out of samples of one a second.

A `Sampler` in the gateway reads the telemetry page of every bot that runs and keeps what it saw in
a ring file a bot: the last day, of fixed size. Seconds that no ring has come from the bot's ledger,
which knows best prices but no depth. Estimates for people: what is exact stands in report and P&L.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import sqlalchemy as sa

from openmm._fast.book import BookState
from openmm.control.home import Home
from openmm.control.looks import run_dir_of
from openmm.control.plain import iso, plain
from openmm.control.records import pair_of, reading, sessions_since, since
from openmm.control.views import STALE_NS, Fleet
from openmm.engine.rundir import RunDir
from openmm.errors import CommandError, LedgerError, TelemetryError
from openmm.settlement import store as tables
from openmm.telemetry import TelemetrySnapshot

SECOND_NS: Final = 1_000_000_000
SLOTS: Final = 86_400  # a day of one a second
HOURS_MAX: Final = 168  # seconds of a week are held at once
DEPTH_LEVELS: Final = 10
BUCKETS: Final = 60
# What "then" and "now" are means over: this share of the time covered, each.
EDGE: Final = 10
_MAGIC: Final = b"OMMRING1"
_HEAD: Final = struct.Struct("<8sIQ40s40s40s")  # magic, slots, written, instrument, tick, lot
_HEAD_BYTES: Final = 192
_SLOT: Final = struct.Struct("<7qI")
_CRC: Final = struct.Struct("<7q")


class Sample(NamedTuple):
    """One moment of a market; depths are sums over the best levels a side, None: not known."""

    ts_ns: int
    bid: Decimal
    ask: Decimal
    bid_qty: Decimal | None
    ask_qty: Decimal | None
    bid_depth: Decimal | None
    ask_depth: Decimal | None

    @property
    def mid(self) -> float:
        """The middle of the best prices."""
        return float(self.bid + self.ask) / 2

    @property
    def spread_bps(self) -> float:
        """The spread, of the mid."""
        return float(self.ask - self.bid) * 10_000 / self.mid


def ring_path(home: Home, bot: str) -> Path:
    """Return where a bot's samples are kept."""
    return home.state / "samples" / f"{bot}.ring"


@final
class Ring:
    """The one writer of a bot's samples. Begun anew when the pair or its steps have changed."""

    def __init__(self, path: Path, page: TelemetrySnapshot, slots: int = SLOTS) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.told = (page.instrument, str(page.tick_size), str(page.lot_size))
        size = _HEAD_BYTES + slots * _SLOT.size
        names = [text.encode()[:40] for text in self.told]
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            head = os.pread(fd, _HEAD.size, 0)
            fits = os.fstat(fd).st_size == size and len(head) == _HEAD.size
            found = _HEAD.unpack(head) if fits else (b"", 0, 0)
            told = [text.rstrip(b"\0") for text in found[3:]]
            self._written = found[2] if found[:2] == (_MAGIC, slots) and told == names else 0
            if not self._written:
                os.ftruncate(fd, 0)
                os.posix_fallocate(fd, 0, size)
            self._map = mmap.mmap(fd, size)
        finally:
            os.close(fd)
        self._slots = slots
        _HEAD.pack_into(self._map, 0, _MAGIC, slots, self._written, *names)

    def add(self, page: TelemetrySnapshot) -> None:
        """Keep what a page shows of the market; it has both sides."""
        bids, asks = page.book_bids[:DEPTH_LEVELS], page.book_asks[:DEPTH_LEVELS]
        values = (
            page.heartbeat_ns, bids[0].price_ticks, asks[0].price_ticks, bids[0].qty_lots,
            asks[0].qty_lots, sum(one.qty_lots for one in bids),
            sum(one.qty_lots for one in asks),
        )  # fmt: skip
        at = _HEAD_BYTES + self._written % self._slots * _SLOT.size
        _SLOT.pack_into(self._map, at, *values, zlib.crc32(_CRC.pack(*values)))
        self._written += 1
        struct.pack_into("<Q", self._map, 12, self._written)

    def close(self) -> None:
        """Let go of the file; what was kept stays."""
        self._map.close()


def read_ring(path: Path, since_ns: int, instrument: str) -> list[Sample]:
    """Return the samples of a pair after a moment, oldest first; none where there is no ring."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    if len(raw) < _HEAD_BYTES:
        return []
    magic, slots, written, name, tick_text, lot_text = _HEAD.unpack_from(raw)
    if magic != _MAGIC or len(raw) != _HEAD_BYTES + slots * _SLOT.size:
        return []
    if name.rstrip(b"\0").decode() != instrument:
        return []
    tick, lot = (Decimal(text.rstrip(b"\0").decode()) for text in (tick_text, lot_text))
    found = []
    for number in range(max(0, written - slots), written):
        *values, crc = _SLOT.unpack_from(raw, _HEAD_BYTES + number % slots * _SLOT.size)
        # A slot that is being written, or was left half written, is left out.
        if values[0] < since_ns or zlib.crc32(_CRC.pack(*values)) != crc:
            continue
        ts_ns, bid, ask, *lots = values
        found.append(Sample(ts_ns, bid * tick, ask * tick, *(one * lot for one in lots)))
    found.sort(key=lambda one: one.ts_ns)
    return found


@final
class Sampler:
    """Keep samples of every bot in sight: `sample` once, or `start` a thread that goes on."""

    def __init__(
        self, home: Home, *, clock: Callable[[], int] = time.time_ns, every_s: float = 1.0
    ) -> None:
        self._home, self._clock, self._every_s = home, clock, every_s
        self._fleet = Fleet()
        self._rings: dict[str, Ring] = {}
        self._last: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem = ""  # of the last round: a disk that is full

    def sample(self) -> int:
        """Keep one sample of each bot whose book is good; return of how many."""
        kept = 0
        self.problem = ""
        now_ns = self._clock()
        for one in self._home.bots():
            page = self._page(one, now_ns)
            if page is None or page.heartbeat_ns <= self._last.get(one.bot, 0):
                continue
            try:
                ring = self._ring(one.bot, page)
            except OSError as error:
                self.problem = f"{one.bot}: {error}"
                continue
            ring.add(page)
            self._last[one.bot] = page.heartbeat_ns
            kept += 1
        return kept

    def _page(self, one: RunDir, now_ns: int) -> TelemetrySnapshot | None:
        """Return a page that is fresh, with a verified book of two sides."""
        alive = one.holder_pid() is not None
        if not alive:
            return None
        try:
            page = self._fleet.read(one.page)
        except TelemetryError:
            return None  # of another build, or not there yet: `status` tells
        fresh = now_ns - page.heartbeat_ns < STALE_NS and not page.closed
        good = any(v.quoted and v.book_state == BookState.BOOK_VERIFIED for v in page.venues)
        return page if fresh and good and page.book_bids and page.book_asks else None

    def _ring(self, bot: str, page: TelemetrySnapshot) -> Ring:
        told = (page.instrument, str(page.tick_size), str(page.lot_size))
        ring = self._rings.get(bot)
        if ring is None or ring.told != told:
            if ring is not None:
                ring.close()
            ring = self._rings[bot] = Ring(ring_path(self._home, bot), page)
        return ring

    def start(self) -> None:
        """Sample on a thread of its own until closed."""
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.sample()

    def close(self) -> None:
        """End the thread and let go of the files."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for ring in self._rings.values():
            ring.close()
        self._rings.clear()
        self._fleet.close()


# ---------------------------------------------------------------- what they come to


def market_stats(home: Home, bot: str, now_ns: int, hours: str = "24") -> dict[str, Any]:
    """Return how spread, depth and mid moved within the last hours, and by how many percent.

    `then` and `now` are means over the first and last tenth of the time covered (`edge_s`), so that
    one odd moment makes no change. `covered_s`: seconds there is a sample of; `wanted_s`: of how
    many, a week's at most. Spreads in bps of the mid, depths in base: `depth_best` at the best
    price and `depth_10` over the best ten levels, both sides together.
    """
    run_dir, since_ns = run_dir_of(home, bot), since(now_ns, hours, HOURS_MAX)
    pair, booked = _booked(run_dir, bot, since_ns)
    ringed = read_ring(ring_path(home, bot), since_ns, pair) if pair else []
    by_second = {one.ts_ns // SECOND_NS: one for one in booked}
    by_second |= {one.ts_ns // SECOND_NS: one for one in ringed}
    samples = [by_second[second] for second in sorted(by_second) if second * SECOND_NS <= now_ns]
    told: dict[str, Any] = {
        "bot": bot, "instrument": pair, "hours": hours, "since": iso(since_ns),
        "wanted_s": (now_ns - since_ns) // SECOND_NS, "covered_s": len(samples),
        "sources": {"gateway": len(ringed), "ledger": len(samples) - len(ringed)},
    }  # fmt: skip
    if not samples:
        return _plain(
            told | {"note": "no samples: the bot did not run then, or no gateway and no ledger"}
        )
    first, last = samples[0].ts_ns, samples[-1].ts_ns
    edge_ns = max(SECOND_NS, (last - first) // EDGE)
    longest = max((b.ts_ns - a.ts_ns for a, b in itertools.pairwise(samples)), default=0)
    told |= {
        "first": iso(first), "last": iso(last), "edge_s": edge_ns // SECOND_NS,
        "longest_gap_s": longest // SECOND_NS,
        "spread_bps": _change(samples, _spread, edge_ns, 4),
        "mid": _change(samples, _mid, edge_ns, 8),
        "depth_best": _change(samples, _depth_best, edge_ns, 8),
        "depth_10": _change(samples, _depth_10, edge_ns, 8),
        "series": _series(samples),
    }  # fmt: skip
    if len(samples) < told["wanted_s"] * 9 // 10:
        told["note"] = (
            f"{len(samples)} of {told['wanted_s']} s are covered: changes are within those"
        )
    return _plain(told)


def _spread(one: Sample) -> float | None:
    return one.spread_bps


def _mid(one: Sample) -> float | None:
    return one.mid


def _depth_best(one: Sample) -> float | None:
    return None if one.bid_qty is None or one.ask_qty is None else float(one.bid_qty + one.ask_qty)


def _depth_10(one: Sample) -> float | None:
    if one.bid_depth is None or one.ask_depth is None:
        return None
    return float(one.bid_depth + one.ask_depth)


Of = Callable[[Sample], float | None]


def _change(samples: Sequence[Sample], of: Of, edge_ns: int, digits: int) -> dict[str, Any] | None:
    """Return a figure's course over samples; None where it is not known of any."""
    rows = [(one.ts_ns, value) for one in samples if (value := of(one)) is not None]
    if not rows:
        return None
    values = [value for _, value in rows]
    then = _mean([value for ts, value in rows if ts <= rows[0][0] + edge_ns])
    now = _mean([value for ts, value in rows if ts >= rows[-1][0] - edge_ns])
    return {
        "then": _round(then, digits), "now": _round(now, digits),
        "change_percent": _round((now / then - 1) * 100, 2) if then else None,
        "mean": _round(_mean(values), digits), "min": _round(min(values), digits),
        "max": _round(max(values), digits), "last": _round(values[-1], digits),
        "samples": len(values),
    }  # fmt: skip


def _series(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Return means over equal spans, to draw."""
    first = samples[0].ts_ns
    span_ns = max(SECOND_NS, (samples[-1].ts_ns - first) // BUCKETS + 1)
    spans: dict[int, list[Sample]] = {}
    for one in samples:
        spans.setdefault((one.ts_ns - first) // span_ns, []).append(one)
    return [
        {
            "ts": iso(first + index * span_ns), "samples": len(rows),
            "spread_bps": _round(_mean([one.spread_bps for one in rows]), 4),
            "mid": _round(_mean([one.mid for one in rows]), 8),
            "depth_10": _round(_mean(known), 8) if (known := list(_known(rows))) else None,
        }
        for index, rows in sorted(spans.items())
    ]  # fmt: skip


def _known(rows: Sequence[Sample]) -> Iterator[float]:
    for one in rows:
        if (depth := _depth_10(one)) is not None:
            yield depth


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _round(value: float, digits: int) -> Decimal:
    return Decimal(format(value, f".{digits}f")).normalize()


def _booked(run_dir: RunDir, bot: str, since_ns: int) -> tuple[str, list[Sample]]:
    """Return the pair traded last, and its best prices by second as booked."""
    pair, found = "", []
    try:
        with reading(run_dir) as connection:
            for session in sessions_since(connection, bot, since_ns):
                one = pair_of(connection, session)
                pair = pair or one.name
                if one.name != pair:
                    continue
                c = tables.touch.c
                for row in connection.execute(
                    sa.select(c.second, c.best_bid_ticks, c.best_ask_ticks).where(
                        c.session_id == session.session_id, c.second >= since_ns // SECOND_NS,
                        c.best_bid_ticks.is_not(None), c.best_ask_ticks.is_not(None),
                    )
                ):  # fmt: skip
                    bid, ask = one.price(row.best_bid_ticks), one.price(row.best_ask_ticks)
                    ts_ns = row.second * SECOND_NS
                    found.append(Sample(ts_ns, bid, ask, None, None, None, None))
    except LedgerError as error:
        if error.code != "no_store":
            raise
    if not pair:
        pair = _traded(run_dir)
    return pair, found


def _traded(run_dir: RunDir) -> str:
    """Return the pair of a bot's session file."""
    try:
        config = run_dir.read_session().get("config")
    except CommandError:
        return ""
    venues = config.get("venue", []) if isinstance(config, dict) else []
    return next((str(one["quote"]) for one in venues if one.get("quote")), "")


def _plain(value: Any) -> dict[str, Any]:
    found = plain(value)
    assert isinstance(found, dict)
    return found
