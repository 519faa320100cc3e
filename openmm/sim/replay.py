"""Serve a recording: its book messages as they are, our orders matched by the queue model.

A capture is `CBCAP1`: a header line, then `<receive ns> <byte count>`, the bytes, a newline for
each frame. `Flow` adds seeded takers over a recording that has no trades.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from random import Random
from typing import Any

from openmm._fast.matching import MatchResult
from openmm.errors import ConfigError, ProtocolError
from openmm.instrument import Instrument
from openmm.sim.accounts import NS
from openmm.sim.core import ASK, BID, BUY, SELL, VenueCore
from openmm.venues.capture import is_zstd, open_bytes
from openmm.venues.counterpart import TradeRecord
from openmm.venues.kraken.dialect_text import parse_time, time_text

SIDES = {"buy": BUY, "sell": SELL}
LOOP_GAP_NS = NS
CAPTURE_BYTES_MAX = 1 << 30  # unpacked


@dataclass(frozen=True, slots=True)
class Capture:
    """A recording in memory: who was recorded, how deep, and (receive ns, frame) rows."""

    venue: str
    instrument: str
    depth: int
    frames: Sequence[tuple[int, bytes]]


def read_capture(path: Path) -> Capture:
    """Read a whole `CBCAP1` file, plain or gzip.

    Raises:
        ConfigError: if it is not one, is cut, or holds no book.
    """
    data = _content(path)
    head, _, _ = data.partition(b"\n")
    words = head.decode("ascii", "replace").split()
    if len(words) != 4 or words[0] != "CBCAP1":
        raise ConfigError("sim.replay", str(path), "a CBCAP1 capture")
    at = len(head) + 1
    frames: list[tuple[int, bytes]] = []
    while at < len(data):
        line_end = data.find(b"\n", at)
        parts = data[at:line_end].split() if line_end >= 0 else []
        good = len(parts) == 2 and parts[0].isdigit() and parts[1].isdigit()
        count = int(parts[1]) if good else 0
        if not good or line_end + 1 + count + 1 > len(data):
            if frames and is_zstd(path) and (good or line_end < 0):
                break  # cut off while it was recorded: what is there is whole
            raise ConfigError(
                "sim.replay", str(path), f"a whole capture; cut at record {len(frames)}"
            )
        start = line_end + 1
        frames.append((int(parts[0]), data[start : start + count]))
        at = start + count + 1
    return Capture(words[1], words[2], _depth(path, frames), frames)


def _content(path: Path) -> bytes:
    """Return a file's bytes, unpacked; a small file may unpack to more than memory holds."""
    try:
        with open_bytes(path) as file:
            data: bytes = file.read(CAPTURE_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError("sim.replay", str(path), "a whole gzip file") from error
    if len(data) > CAPTURE_BYTES_MAX:
        raise ConfigError("sim.replay", str(path), f"at most {CAPTURE_BYTES_MAX >> 20} MiB")
    return data


def _depth(path: Path, frames: Sequence[tuple[int, bytes]]) -> int:
    """Find the subscribed depth in the acknowledgement, else in the first snapshot."""
    for _, frame in frames:
        message = _loads(frame)
        result = message.get("result")
        if message.get("method") == "subscribe" and isinstance(result, dict) and "depth" in result:
            return int(result["depth"])
        if message.get("channel") == "book" and message.get("type") == "snapshot":
            row = message["data"][0]
            levels = max(len(row["bids"]), len(row["asks"]))
            return next((d for d in (10, 25, 100, 500, 1000) if d >= levels), 1000)
    raise ConfigError("sim.replay", str(path), "a capture with a book")


def _loads(frame: bytes) -> dict[str, Any]:
    try:
        message = json.loads(frame, parse_float=Decimal)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


class RecordedFeed:
    """Apply public messages of one instrument to a core's `ReplayMatching`."""

    def __init__(self, pair: Instrument, depth: int, printed: bool = True) -> None:
        self.pair = pair
        self.depth = depth
        self.printed = printed  # whether a fill that the book implies is a public trade

    def apply(self, core: VenueCore, frame: bytes, now_ns: int) -> str:
        """Take a message over and book what it fills; return its channel, "" if not ours.

        Raises:
            ProtocolError: if it is not what the venue sends for this instrument.
        """
        message = _loads(frame)
        channel, rows = message.get("channel"), message.get("data")
        if channel not in ("book", "trade") or not isinstance(rows, list):
            return ""
        snapshot = message.get("type") == "snapshot"
        rows = [
            row for row in rows if isinstance(row, dict) and row.get("symbol") == self.pair.name
        ]
        if not rows:
            return ""
        try:
            if channel == "book":
                self._book(core, rows, snapshot)
            else:
                for row in rows:
                    self._trade(core, row, snapshot, now_ns)
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise ProtocolError(
                f"{channel} message does not fit the instrument: {error}",
                instrument=self.pair.name,
            ) from error
        if channel == "book":
            matches = core.recording(self.pair.name).settle()
            core.book_matches(self.pair.name, matches, now_ns, printed=self.printed)
        return str(channel)

    def _book(self, core: VenueCore, rows: Sequence[Any], snapshot: bool) -> None:
        kernel = core.recording(self.pair.name)
        for row in rows:
            told = [
                (side, *self._level(level))
                for side, levels in ((BID, row["bids"]), (ASK, row["asks"]))
                for level in levels
            ]
            if snapshot:
                kernel.clear()
            for side, price_ticks, qty_lots in told:
                if kernel.set_level(side, price_ticks, qty_lots) != MatchResult.MATCH_RESTING:
                    raise ValueError(f"level {price_ticks} {qty_lots}")
            kernel.cut(self.depth)

    def _level(self, row: Any) -> tuple[int, int]:
        price_ticks = self.pair.exact_ticks(Decimal(row["price"]))
        return price_ticks, self.pair.exact_lots(Decimal(row["qty"]))

    def _trade(self, core: VenueCore, row: Any, snapshot: bool, now_ns: int) -> None:
        price_ticks, qty_lots = self._level(row)
        trade = TradeRecord(
            self.pair.name,
            SIDES[row["side"]],
            price_ticks,
            qty_lots,
            row.get("ord_type") == "market",
            int(row.get("trade_id", 0)),
            parse_time(row.get("timestamp")) or now_ns,
        )
        core.print_recorded(trade)
        if not snapshot:
            kernel = core.recording(self.pair.name)
            matches = kernel.trade(trade.taker_side, price_ticks, qty_lots)
            core.book_matches(self.pair.name, matches, now_ns, printed=False)


class Paced:
    """Act at the pace of recorded times, `speed` times as fast; at the end hold, or start over."""

    def __init__(
        self, times_ns: Sequence[int], start_ns: int, speed: Decimal = Decimal(1),
        loop: bool = False,
    ) -> None:  # fmt: skip
        self._times_ns = times_ns
        self._num, self._den = speed.as_integer_ratio()
        self._loop = loop
        self._first = 0  # where the recording begins
        self._at = 0
        self._start_ns: int | None = None
        self._floor_ns = start_ns
        self.loops = 0

    @property
    def next_ns(self) -> int | None:
        """Return when the next message is due; the first is due at once."""
        if self.done:
            return None
        if self._start_ns is None:
            return self._floor_ns
        span_ns = self._times_ns[self._at] - self._times_ns[self._first]
        return self._start_ns + span_ns * self._den // self._num

    @property
    def done(self) -> bool:
        """Whether every message was served."""
        return self._at == len(self._times_ns)

    def begin_at(self, first: int) -> None:
        """Let the recording begin with a later message."""
        self._first = self._at = first

    def skip(self, now_ns: int) -> None:
        """Pass over a halt: what was due stays due, later."""
        due_ns = self.next_ns
        if due_ns is not None and due_ns < now_ns:
            if self._start_ns is None:
                self._floor_ns = now_ns
            else:
                self._start_ns += now_ns - due_ns

    def take(self, now_ns: int) -> int:
        """Return the number of the message that is due, and go on to the next."""
        if self._start_ns is None:
            self._start_ns = now_ns
        at = self._at
        self._at += 1
        if self.done and self._loop:
            self.loops += 1
            self._at = self._first
            self._start_ns = now_ns + LOOP_GAP_NS
        return at


class ReplayDriver(Paced):
    """Serve a capture's book and trade messages at their pace, `speed` times as fast.

    At the end the last book stands (`hold`) or the capture starts over (`loop`).
    """

    def __init__(
        self,
        capture: Capture,
        pair: Instrument,
        start_ns: int,
        speed: Decimal = Decimal(1),
        loop: bool = False,
        restamp: bool = False,
    ) -> None:
        self.feed = RecordedFeed(pair, capture.depth)
        self._frames = [
            (recv_ns, frame)
            for recv_ns, frame in capture.frames
            if b'"book"' in frame[:60] or b'"trade"' in frame[:60]
            if _loads(frame).get("channel") in ("book", "trade")
        ]
        if not self._frames:
            raise ConfigError("sim.replay", pair.name, "a capture with book messages")
        super().__init__([recv_ns for recv_ns, _ in self._frames], start_ns, speed, loop)
        self._restamp = restamp

    def prime(self, core: VenueCore) -> None:
        """Let the venue know its opening book before anybody has subscribed, for REST's Depth."""
        self.feed.apply(core, self._frames[0][1], core.now_ns)

    def fire(self, core: VenueCore) -> None:
        """Serve the next message."""
        now_ns = core.now_ns
        frame = self._frames[self.take(now_ns)][1]
        if self._restamp:
            frame = restamped(frame, now_ns)
        name = self.feed.pair.name
        channel = "trade" if _loads(frame).get("channel") == "trade" else "book"
        core.serve_frame(name, channel, frame, now_ns)
        self.feed.apply(core, frame, now_ns)
        core.book_told(name, now_ns)


def restamped(frame: bytes, now_ns: int) -> bytes:
    """Replace every `timestamp` of a message by another time, digits kept."""
    mark = b'"timestamp":"'
    head, *rest = frame.split(mark)
    text = time_text(now_ns).encode()
    return head + b"".join(mark + text + part[part.index(b'"') :] for part in rest)


class Flow:
    """Seeded takers over a recording: each sweeps to a random distance from the best price.

    Arrivals are Poisson; distances exponential; the quantity is that of what rests up to the
    distance times a uniform factor of 0.5 to 1.5, so that a quote near the touch is reached as
    often as the distance says. The recorded book does not change: a level they ate is used up
    until it is next told.
    """

    def __init__(
        self,
        pair: Instrument,
        seed: int,
        start_ns: int,
        rate_per_s: float = 1.5,
        distance_bps: float = 1.0,
        speed: Decimal = Decimal(1),
    ) -> None:
        self.pair = pair
        self._rng = Random(f"takers:{seed}")
        self._rate = rate_per_s * float(speed)
        self._distance_bps = distance_bps
        self._next_ns = start_ns

    @property
    def next_ns(self) -> int | None:
        """Return when the next taker comes."""
        return self._next_ns

    def skip(self, now_ns: int) -> None:
        """Pass over a halt."""
        self._next_ns = max(self._next_ns, now_ns)

    def fire(self, core: VenueCore) -> None:
        """Send a taker and draw the next."""
        rng, now_ns = self._rng, core.now_ns
        self._next_ns = now_ns + max(1, round(rng.expovariate(self._rate) * NS))
        side = BUY if rng.random() < 0.5 else SELL
        distance = rng.expovariate(1 / self._distance_bps) / 10_000
        factor = Decimal(round(rng.uniform(0.5, 1.5), 6))
        kernel = core.recording(self.pair.name)
        book_side = ASK if side == BUY else BID
        best_ticks = kernel.best_ask_ticks if side == BUY else kernel.best_bid_ticks
        if not best_ticks:
            return
        reach_ticks = round(best_ticks * distance)
        limit_ticks = max(1, best_ticks + (reach_ticks if side == BUY else -reach_ticks))
        rows = kernel.depth(book_side, 1 << 16)
        lots = sum(
            qty
            for price, qty in rows
            if (price <= limit_ticks if side == BUY else price >= limit_ticks)
        )
        matches = kernel.take(side, limit_ticks, max(1, int(lots * factor)))
        core.book_matches(self.pair.name, matches, now_ns)
