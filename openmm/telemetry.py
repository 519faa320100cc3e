"""The telemetry page: what a bot is doing, in shared memory, for any number of readers.

One file of fixed size, written by the engine and mapped by the surfaces. Publishing is one pack
into memory: no system call, no lock, nothing a reader does can hold the engine up.

    offset  bytes
    0       8     magic
    8       4     version of the layout; a reader refuses any other
    12      4     bytes of the body
    16      8     sequence: odd while the writer is at work
    24      4     CRC-32 of the body
    28      4     1 once the writer has closed the page
    64      ...   body, little endian, fields in the order of `_pack`

A reader copies the body between two looks at the sequence and keeps it if both looks were equal and
even and the checksum is right; so a torn copy is seen on machines that reorder stores as well.
"""

from __future__ import annotations

import functools
import mmap
import os
import struct
import time
import zlib
from decimal import Decimal
from enum import Enum
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, final

from msgspec import Struct

from openmm._fast import latency
from openmm._fast.units import UTICKS_PER_TICK
from openmm.errors import TelemetryError

VERSION = 8
MAGIC = b"OMMPAGE\0"
MISSING = -(1 << 63)  # "no value", as in the kernels

VENUES_MAX = 8
LEVELS_MAX = 32
BOOK_LEVELS_MAX = 10
FILLS_MAX = 8
STAGES_MAX = 13
REASONS_MAX = 40
TEXT_BYTES = 160

# Upper bounds of the counts of a stage, as `_fast.latency` counts.
BOUNDS_NS = latency.BOUNDS_NS
# What is limited, and in which unit limit and use are: lots, ticklots, ppm, count, ns or milli
# (thousandths of a venue's own unit). The rows of `TelemetrySnapshot.limits`, in their order.
LIMITS = (
    ("order_size", "lots"), ("order_notional", "ticklots"), ("open_notional", "ticklots"),
    ("inventory_long", "lots"), ("inventory_short", "lots"), ("drawdown", "ppm"),
    ("drawdown_peak", "ppm"), ("orders", "count"), ("message_age", "ns"), ("clock_offset", "ns"),
    ("fills_per_minute", "count"), ("rejects_per_minute", "count"),
    ("post_only_per_minute", "count"), ("cancels_per_minute", "count"), ("rate_budget", "milli"),
)  # fmt: skip

_HEADER_BYTES = 64
_HEADER = struct.Struct("<8sIIQII")
_SEQUENCE = struct.Struct("<Q")
_CHECK = struct.Struct("<II")
_SEQUENCE_AT = 16
_CHECK_AT = 24
_READ_TRIES = 1_000


class VenuePage(NamedTuple):
    """One venue's book and its part in the reference. Unknown prices are MISSING."""

    label: bytes
    quoted: int
    book_state: int  # _fast.book.BookState
    best_bid_ticks: int
    best_ask_ticks: int
    age_ns: int
    break_count: int
    message_count: int
    mid_uticks: int
    basis_uticks: int  # lasting gap to the others' price, taken off before they are compared
    weight_ppm: int
    verdict: int  # _fast.reference.SourceVerdict
    tick_points: int  # its own tick, in units of 10**-price_decimals: prices are in these
    price_decimals: int
    resync_count: int = 0  # how often its book was asked for anew
    broken_ns: int = 0  # since its book was last verified; 0 while it is
    break_reason: int = 0  # _fast.book.BookBreak of the last break
    clock_offset_ns: int = MISSING  # the venue's clock may be so far off ours; of the traded venue
    ack_p50_ns: int = MISSING  # request written to its reply; of the traded venue
    rate_used_ppm: int = MISSING  # of the rate budget; of the traded venue

    def price(self, ticks: int) -> Decimal:
        """Return a price of this venue, in its own currency, from ticks."""
        return Decimal(ticks * self.tick_points).scaleb(-self.price_decimals)


class OwnLevel(NamedTuple):
    """One live order of ours."""

    price_ticks: int
    qty_lots: int
    filled_lots: int
    state: int  # _fast.orders.OrderState
    by_hand: int = 0  # 1: not the ladder's: placed by hand or to flatten
    created_ns: int = 0
    client_id: bytes = b""


class BookLevel(NamedTuple):
    """One level of the quoted book."""

    price_ticks: int
    qty_lots: int


class FillPage(NamedTuple):
    """One recent fill of ours."""

    ts_ns: int
    side: int  # _fast.units.Side
    price_ticks: int
    qty_lots: int
    maker: int


class StagePage(NamedTuple):
    """Latency of one stage since the session's start; the index is _fast.latency.Stage."""

    sample_count: int
    p50_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int
    sum_ns: int = 0
    upto: bytes = bytes(8 * len(BOUNDS_NS))

    def cumulative(self) -> tuple[int, ...]:
        """Return how many samples took at most each of `BOUNDS_NS`."""
        return _UPTO.unpack(self.upto)


class LimitPage(NamedTuple):
    """One limit in force and what is used of it, in one unit; MISSING: not set, not known."""

    limit: int
    used: int


class Counters(NamedTuple):
    """What was done since the session's start."""

    placed: int = 0
    amended: int = 0
    cancelled: int = 0
    filled: int = 0
    rejected: int = 0
    unknown: int = 0
    refused: int = 0
    decisions: int = 0
    requotes: int = 0
    incidents: int = 0  # alerts of the session that are no mere information


NOTHING_DONE = Counters()


class ModelPage(NamedTuple):
    """What a model (GLFT, Avellaneda-Stoikov) came to last, and from what; 0: none was solved."""

    risk_uticks: int = 0  # 1 / (gamma * order size)
    order_lots: int = 0
    skew_uticks: int = 0  # at full inventory
    half_uticks: int = 0
    sigma_uticks: int = 0  # volatility, decay and arrival as they were put in
    decay_uticks: int = 0
    arrival_uhz: int = 0  # 0: the model has none
    fitted: int = 0  # 1: decay and arrival are fitted; 0: as told in the file


NO_MODEL = ModelPage()
# Why a hedge lets nothing be quoted, by its number less one on the page: `execution.hedge`'s words.
HEDGE_STOPS = (
    "unknown", "venue_down", "book", "recovering", "attempts", "refused", "old", "doubt",
    "evidence", "killed", "limit",
)  # fmt: skip


class HedgePage(NamedTuple):
    """How the hedge on another venue stands; all 0: there is none. Lots are the traded pair's."""

    hedged: int = 0  # 1: it has one
    stopped: int = 0  # place in HEDGE_STOPS plus 1; 0: quotes may stand
    unhedged_lots: int = 0  # both venues together; positive is long
    bid_lots: int = 0  # what either side may hold
    ask_lots: int = 0
    edge_ppm: int = 0  # what quotes keep for it
    open_count: int = 0  # hedge orders live or unknown
    fill_count: int = 0  # of the session
    last_ns: int = 0  # its last execution; 0: none yet

    @property
    def state(self) -> str:
        """What it does: "hedging", or why nothing may be quoted."""
        return HEDGE_STOPS[self.stopped - 1] if self.stopped else "hedging"


NO_HEDGE = HedgePage()


class TelemetrySnapshot(Struct, frozen=True):
    """Everything on the page. Amounts of money are ticklots of the traded pair."""

    session: str
    bot: str
    mode: str
    pid: int
    started_ns: int
    heartbeat_ns: int
    instrument: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    risk_state: int  # _fast.checks.RiskState
    risk_reason: str = ""
    message: str = ""
    incident: str = ""
    reference_uticks: int = MISSING
    confidence_ppm: int = 0
    sigma_uticks: int = MISSING
    flow_ppm: int = 0
    micro_ppm: int = 0  # fair value off the mid; these three 0 unless computed
    imbalance_ppm: int = 0
    ofi_ppm: int = 0
    skew_uticks: int = 0
    half_uticks: int = 0
    base_lots: int = MISSING
    q_lots: int = 0
    x_ppm: int = 0
    share_ppm: int = 0
    target_ppm: int = 0
    quote_ticklots: int = 0
    realised_ticklots: int = 0
    unrealised_ticklots: int = 0
    fees_ticklots: int = 0
    equity_ticklots: int = 0
    equity_start_ticklots: int = 0
    drawdown_ppm: int = 0
    drawdown_peak_ppm: int = 0
    rate_level_milli: int = 0
    rate_threshold_milli: int = 0
    captured_ticklots: int = 0  # fills against the reference when they arrived, fees apart
    open_incidents: int = 0  # of the money: what is not yet reconciled
    tape_unread_bytes: int = 0  # what the writer has still to read
    tape_size_bytes: int = 0
    tape_lost: int = 0  # records that did not fit: any is one too many
    counters: Counters = NOTHING_DONE
    model: ModelPage = NO_MODEL
    hedge: HedgePage = NO_HEDGE
    venues: tuple[VenuePage, ...] = ()
    own_bids: tuple[OwnLevel, ...] = ()
    own_asks: tuple[OwnLevel, ...] = ()
    book_bids: tuple[BookLevel, ...] = ()
    book_asks: tuple[BookLevel, ...] = ()
    fills: tuple[FillPage, ...] = ()  # newest first
    stages: tuple[StagePage, ...] = ()
    limits: tuple[LimitPage, ...] = ()  # a row for each of LIMITS, or none
    refusals: tuple[int, ...] = ()  # count by _fast.checks.Reason
    closed: bool = False  # set by the reader: the writer ended in good order

    def price(self, ticks: int) -> Decimal:
        """Return a price from ticks."""
        return ticks * self.tick_size

    def mid(self, uticks: int) -> Decimal:
        """Return a price from millionths of a tick."""
        return uticks * self.tick_size / UTICKS_PER_TICK

    def qty(self, lots: int) -> Decimal:
        """Return a quantity from lots."""
        return lots * self.lot_size

    def money(self, ticklots: int) -> Decimal:
        """Return an amount of the quote asset from ticklots."""
        return ticklots * self.tick_size * self.lot_size

    def limit(self, name: str) -> LimitPage:
        """Return a limit of `LIMITS` as it is on the page; without one both values are MISSING."""
        return self.limits[_LIMIT_AT[name]] if self.limits else LimitPage(MISSING, MISSING)

    def measure(self, value: int, unit: str) -> Decimal | None:
        """Return a value of a limit in assets, shares, seconds or numbers; None: MISSING."""
        if value == MISSING:
            return None
        if unit == "lots":
            return self.qty(value)
        if unit == "ticklots":
            return self.money(value)
        return Decimal(value).scaleb(_DECIMALS[unit])

    def model_numbers(self) -> dict[str, Decimal]:
        """Return a model's parameters, the paper's and the plain ones; empty: none was solved.

        `gamma` is per unit of the quote asset; `skew_full`, `half`, `sigma` and `decay` (1/k) are
        shares of the price; `arrival` (A) is a second, 0 of a model without.
        """
        one = self.model
        if not one.risk_uticks or self.reference_uticks <= 0:
            return {}
        order = self.qty(one.order_lots) * self.tick_size / UTICKS_PER_TICK
        shares = {
            "skew_full": one.skew_uticks, "half": one.half_uticks,
            "sigma": one.sigma_uticks, "decay": one.decay_uticks,
        }  # fmt: skip
        found = {
            "gamma": 1 / (one.risk_uticks * order),
            **{name: Decimal(uticks) / self.reference_uticks for name, uticks in shares.items()},
            "arrival": Decimal(one.arrival_uhz).scaleb(-6),
        }
        return {name: Decimal(f"{value:.4g}").normalize() for name, value in found.items()}

    def causes(self) -> dict[str, int]:
        """Split the change of equity since the start, in ticklots; the parts sum up to it.

        `spread`: fills against the reference when they arrived. `move`: what the reference did to
        what was traded since. `fees`: negative what was paid. `holding`: what the price did to the
        inventory of the start, and money that moved in or out before it was told apart.
        """
        if not self.equity_start_ticklots:
            return {"spread": 0, "move": 0, "fees": 0, "holding": 0}
        traded = self.realised_ticklots + self.unrealised_ticklots
        change = self.equity_ticklots - self.equity_start_ticklots
        return {
            "spread": self.captured_ticklots,
            "move": traded - self.captured_ticklots,
            "fees": -self.fees_ticklots,
            "holding": change - traded + self.fees_ticklots,
        }


_LIMIT_AT = {name: at for at, (name, _) in enumerate(LIMITS)}
_DECIMALS = {"ppm": -6, "count": 0, "ns": -9, "milli": -3}
_TEXTS = (
    ("session", 32), ("bot", 32), ("mode", 8), ("instrument", 24), ("base", 12), ("quote", 12),
    ("tick_size", 32), ("lot_size", 32), ("risk_reason", TEXT_BYTES), ("message", TEXT_BYTES),
    ("incident", TEXT_BYTES),
)  # fmt: skip
_NUMBERS = (
    "pid", "started_ns", "heartbeat_ns", "risk_state", "reference_uticks", "confidence_ppm",
    "sigma_uticks", "flow_ppm", "micro_ppm", "imbalance_ppm", "ofi_ppm", "skew_uticks",
    "half_uticks", "base_lots", "q_lots", "x_ppm",
    "share_ppm", "target_ppm", "drawdown_ppm", "drawdown_peak_ppm", "rate_level_milli",
    "rate_threshold_milli", "open_incidents", "tape_unread_bytes", "tape_size_bytes", "tape_lost",
)  # fmt: skip
_WIDE = (
    "quote_ticklots", "realised_ticklots", "unrealised_ticklots", "fees_ticklots",
    "equity_ticklots", "equity_start_ticklots", "captured_ticklots",
)  # fmt: skip
# field, most rows, struct of a row, its type, which of its values is text
_TABLES = (
    ("venues", VENUES_MAX, "16s19q", VenuePage, 0),
    ("own_bids", LEVELS_MAX, "6q24s", OwnLevel, 6),
    ("own_asks", LEVELS_MAX, "6q24s", OwnLevel, 6),
    ("book_bids", BOOK_LEVELS_MAX, "2q", BookLevel, None),
    ("book_asks", BOOK_LEVELS_MAX, "2q", BookLevel, None),
    ("fills", FILLS_MAX, "5q", FillPage, None),
    ("stages", STAGES_MAX, f"6q{8 * len(BOUNDS_NS)}s", StagePage, None),
)
_UPTO = struct.Struct(f"<{len(BOUNDS_NS)}q")
_HEAD = struct.Struct(
    "<"
    + "".join(f"{size}s" for _, size in _TEXTS)
    + f"{len(_NUMBERS)}q"
    + "16s" * len(_WIDE)
    + f"{len(Counters._fields) + len(ModelPage._fields) + len(HedgePage._fields)}q"
    + f"{len(_TABLES) + 2}q"
)
_ROWS = tuple(struct.Struct(f"<{shape}") for _, _, shape, _, _ in _TABLES)
_LIMIT_ROWS = struct.Struct("<" + "16s" * (2 * len(LIMITS)))
_REFUSALS = struct.Struct(f"<{REASONS_MAX}q")
_BODY_BYTES = (
    _HEAD.size
    + sum(most * row.size for (_, most, _, _, _), row in zip(_TABLES, _ROWS, strict=True))
    + _LIMIT_ROWS.size
    + _REFUSALS.size
)
PAGE_BYTES = _HEADER_BYTES + _BODY_BYTES


def _text(value: str, size: int) -> bytes:
    """Encode and cut a text to its field, never inside a character."""
    raw = value.encode("utf-8", "replace")
    return raw if len(raw) <= size else raw[:size].decode("utf-8", "ignore").encode()


def _wide(value: int) -> bytes:
    return value.to_bytes(16, "little", signed=True)


def _narrow(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True)


@functools.cache
def _filled(shape: str, count: int, most: int) -> struct.Struct:
    """Return the struct of so many rows, with zeros for the others."""
    rest = (most - count) * struct.calcsize(f"<{shape}")
    return struct.Struct(f"<{shape * count}{rest}x")


def _pack(snapshot: TelemetrySnapshot) -> bytes:
    """Return the body of a page."""
    head: list[object] = [_text(str(getattr(snapshot, name)), size) for name, size in _TEXTS]
    head += [getattr(snapshot, name) for name in _NUMBERS]
    head += [_wide(getattr(snapshot, name)) for name in _WIDE]
    head += snapshot.counters
    head += snapshot.model
    head += snapshot.hedge
    tables: list[tuple[tuple[object, ...], ...]] = [getattr(snapshot, t[0]) for t in _TABLES]
    limits = snapshot.limits
    if limits and len(limits) != len(LIMITS):
        raise TelemetryError(f"limits: a row for each of {len(LIMITS)}; got {len(limits)}")
    if len(snapshot.refusals) > REASONS_MAX:
        raise TelemetryError(f"refusals: at most {REASONS_MAX}; got {len(snapshot.refusals)}")
    head += [len(table) for table in tables]
    head += (len(limits), len(snapshot.refusals))
    parts = [_HEAD.pack(*head)]
    for table, (name, most, shape, _, _) in zip(tables, _TABLES, strict=True):
        if len(table) > most:
            raise TelemetryError(f"{name}: at most {most} rows fit the page; got {len(table)}")
        parts.append(_filled(shape, len(table), most).pack(*chain.from_iterable(table)))
    if limits:
        parts += [_wide(value) for row in limits for value in row]
    else:
        parts.append(bytes(_LIMIT_ROWS.size))
    parts.append(_filled("q", len(snapshot.refusals), REASONS_MAX).pack(*snapshot.refusals))
    return b"".join(parts)


def _unpack(body: bytes, closed: bool) -> TelemetrySnapshot:
    """Build the snapshot from a body's bytes."""
    head = iter(_HEAD.unpack_from(body))
    fields: dict[str, object] = {}
    for name, _ in _TEXTS:
        text = next(head).rstrip(b"\0").decode("utf-8", "replace")
        fields[name] = Decimal(text) if name in ("tick_size", "lot_size") else text
    for name in _NUMBERS:
        fields[name] = next(head)
    for name in _WIDE:
        fields[name] = _narrow(next(head))
    fields["counters"] = Counters(*islice(head, len(Counters._fields)))
    fields["model"] = ModelPage(*islice(head, len(ModelPage._fields)))
    fields["hedge"] = HedgePage(*islice(head, len(HedgePage._fields)))
    *counts, limit_count, refusal_count = head
    at = _HEAD.size
    for (name, most, _, kind, text_at), row, count in zip(_TABLES, _ROWS, counts, strict=True):
        rows = []
        for values in row.iter_unpack(body[at : at + count * row.size]):
            if text_at is not None:
                text = values[text_at].rstrip(b"\0")
                values = (*values[:text_at], text, *values[text_at + 1 :])
            rows.append(kind(*values))
        fields[name] = tuple(rows)
        at += most * row.size
    wide = [_narrow(value) for value in _LIMIT_ROWS.unpack_from(body, at)]
    fields["limits"] = tuple(LimitPage(*wide[2 * i : 2 * i + 2]) for i in range(limit_count))
    fields["refusals"] = _REFUSALS.unpack_from(body, at + _LIMIT_ROWS.size)[:refusal_count]
    fields["closed"] = closed
    return TelemetrySnapshot(**fields)  # type: ignore[arg-type]


@final
class TelemetryWriter:
    """The one writer of a page. Makes the file anew; readers of an older one notice."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, PAGE_BYTES)
            self._page = mmap.mmap(fd, PAGE_BYTES)
        finally:
            os.close(fd)
        self._sequence = 0
        _HEADER.pack_into(self._page, 0, MAGIC, VERSION, _BODY_BYTES, 0, 0, 0)
        fresh.rename(self.path)

    def publish(self, snapshot: TelemetrySnapshot) -> None:
        """Put a snapshot on the page.

        Raises:
            TelemetryError: a table has more rows than the page, or the page is closed.
        """
        if self._page.closed:
            raise TelemetryError(f"the telemetry page is closed: {self.path}")
        try:
            body = _pack(snapshot)
        except (struct.error, OverflowError) as error:
            raise TelemetryError(f"a value does not fit the telemetry page: {error}") from None
        self._put(body, closed=0)

    def _put(self, body: bytes | None, closed: int) -> None:
        page = self._page
        _SEQUENCE.pack_into(page, _SEQUENCE_AT, self._sequence + 1)
        if body is not None:
            page[_HEADER_BYTES:] = body
            _CHECK.pack_into(page, _CHECK_AT, zlib.crc32(body), closed)
        else:
            check, _ = _CHECK.unpack_from(page, _CHECK_AT)
            _CHECK.pack_into(page, _CHECK_AT, check, closed)
        self._sequence += 2
        _SEQUENCE.pack_into(page, _SEQUENCE_AT, self._sequence)

    def close(self) -> None:
        """Mark the page as closed; what was published last stays readable."""
        if not self._page.closed:
            self._put(None, closed=1)
            self._page.close()


@final
class TelemetryReader:
    """A reader of a page; survives the writer's end and follows it into a new file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._page: mmap.mmap | None = None
        self._inode = -1
        self._open()

    def _open(self) -> None:
        """Map the file, after checking that it is a page of this layout."""
        self.close()
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise TelemetryError(f"no telemetry page ({error.strerror}): {self.path}") from None
        try:
            head = os.pread(fd, _HEADER.size, 0)
            if len(head) < _HEADER.size or not head.startswith(MAGIC):
                raise TelemetryError(f"not a telemetry page: {self.path}")
            _, version, size, _, _, _ = _HEADER.unpack(head)
            if version != VERSION:
                raise TelemetryError(
                    f"telemetry page of version {version}, this build reads {VERSION}: use the "
                    f"same build as the bot: {self.path}"
                )
            if size != _BODY_BYTES or os.fstat(fd).st_size < PAGE_BYTES:
                raise TelemetryError(f"telemetry page of another layout or cut short: {self.path}")
            self._page = mmap.mmap(fd, PAGE_BYTES, prot=mmap.PROT_READ)
            self._inode = os.fstat(fd).st_ino
        finally:
            os.close(fd)

    def read(self) -> TelemetrySnapshot:
        """Return the newest whole snapshot.

        Raises:
            TelemetryError: nothing published yet, no file, another version, or a writer that
                died in the middle of writing.
        """
        try:
            moved = os.stat(self.path).st_ino != self._inode
        except OSError:
            moved = False  # removed: what is mapped is still the last word
        if moved or self._page is None:
            self._open()
        page = self._page
        assert page is not None
        for attempt in range(_READ_TRIES):
            (before,) = _SEQUENCE.unpack_from(page, _SEQUENCE_AT)
            if before == 0:
                raise TelemetryError(f"nothing was published yet: {self.path}")
            if before % 2 == 0:
                body = page[_HEADER_BYTES:PAGE_BYTES]
                check, closed = _CHECK.unpack_from(page, _CHECK_AT)
                (after,) = _SEQUENCE.unpack_from(page, _SEQUENCE_AT)
                if before == after and zlib.crc32(body) == check:
                    return _unpack(body, bool(closed))
            if attempt > 10:
                time.sleep(0.0001)
        raise TelemetryError(f"the writer died while writing: {self.path}")

    def close(self) -> None:
        """Unmap the page."""
        if self._page is not None:
            self._page.close()
            self._page = None


class WriterState(Enum):
    """What a snapshot says of the process that wrote it."""

    ALIVE = "alive"
    STALE = "stale"  # the process lives but published nothing for a while
    DEAD = "dead"  # the process is gone without closing the page
    ENDED = "ended"  # closed in good order


def writer_state(snapshot: TelemetrySnapshot, now_ns: int, age_ns_max: int) -> WriterState:
    """Tell whether the writer of a snapshot still works."""
    if snapshot.closed:
        return WriterState.ENDED
    try:
        os.kill(snapshot.pid, 0)
    except ProcessLookupError:
        return WriterState.DEAD
    except PermissionError:
        pass  # it lives, under another user
    if now_ns - snapshot.heartbeat_ns > age_ns_max:
        return WriterState.STALE
    return WriterState.ALIVE
