"""Read-only views of a bot for the surfaces: plain values, decimals exact, no kernel units."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, final

from openmm._fast.book import BookState
from openmm._fast.checks import Reason, RiskState
from openmm._fast.latency import Stage
from openmm._fast.orders import OrderState
from openmm._fast.reference import SourceVerdict
from openmm._fast.units import Side
from openmm.engine.rundir import RunDir
from openmm.errors import TelemetryError
from openmm.telemetry import (
    MISSING,
    OwnLevel,
    TelemetryReader,
    TelemetrySnapshot,
    VenuePage,
    WriterState,
    writer_state,
)

STALE_NS = 3_000_000_000
PAGE_STATES = (*(state.value for state in WriterState), "absent", "unreadable")


@dataclass(frozen=True, slots=True)
class BotState:
    """What is known of a bot from its folder alone; asks the bot nothing."""

    bot: str
    running: bool
    pid: int | None
    session: dict[str, Any]
    page: TelemetrySnapshot | None
    page_state: str  # one of PAGE_STATES
    page_error: str | None = None  # why there is no page


def look(run_dir: RunDir, now_ns: int, fleet: Fleet | None = None) -> BotState:
    """Return a bot's state by its lock, its session file and its telemetry page.

    Args:
        fleet: keeps pages open between looks.

    Raises:
        CommandError: the session file is damaged.
    """
    pid = run_dir.holder_pid()
    page: TelemetrySnapshot | None = None
    why: str | None = None
    try:
        page = (
            _read_once(run_dir.page)
            if fleet is None
            else fleet.read(run_dir.page, written=pid is not None)
        )
        state = writer_state(page, now_ns, STALE_NS).value
    except TelemetryError as error:
        # Of another build, of a bot that has not published yet, or of one that died writing.
        state, why = "unreadable" if run_dir.page.exists() else "absent", str(error)
    session = run_dir.read_session()
    return BotState(run_dir.bot, pid is not None, pid, session, page, state, why)


def _read_once(path: Path) -> TelemetrySnapshot:
    reader = TelemetryReader(path)
    try:
        return reader.read()
    finally:
        reader.close()


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


@final
class Fleet:
    """Readers of pages, kept open between looks: the ones used last, a bounded number.

    Safe to share between threads. A page is followed into the file of a new session; one that
    cannot be read is let go of, and opened anew at the next look.
    """

    def __init__(self, pages_max: int = 64) -> None:
        self._lock = threading.Lock()
        self._readers: OrderedDict[Path, TelemetryReader] = OrderedDict()
        self._most = pages_max
        self._torn: dict[Path, tuple[int, str]] = {}  # by inode

    def read(self, path: Path, *, written: bool = True) -> TelemetrySnapshot:
        """Return a page's newest snapshot.

        Args:
            written: somebody may still write to it. Of one that nobody writes to, what could not
                be read is not tried again: a page torn by a death takes many tries to tell.

        Raises:
            TelemetryError: there is none that can be read.
        """
        # A read takes some tens of microseconds: one lock for all is enough.
        with self._lock:
            torn = None if written else self._torn.get(path)
            if torn is not None and torn[0] == _inode(path):
                raise TelemetryError(torn[1])
            reader = self._readers.pop(path, None) or TelemetryReader(path)
            try:
                page = reader.read()
            except TelemetryError as error:
                reader.close()
                if len(self._torn) >= self._most:
                    self._torn.clear()
                self._torn[path] = (_inode(path), str(error))
                raise
            self._readers[path] = reader
            while len(self._readers) > self._most:
                self._readers.popitem(last=False)[1].close()
            return page

    def close(self) -> None:
        """Let go of every page."""
        with self._lock:
            for reader in self._readers.values():
                reader.close()
            self._readers.clear()


def enum_name(kind: Any, value: int, prefix: str = "") -> str:
    """Return an enum value's name in lower case, "unknown N" for what this build does not know."""
    for name, member in kind.__members__.items():
        if member == value:
            return str(name).removeprefix(prefix).lower()
    return f"unknown {value}"


def page_view(page: TelemetrySnapshot, now_ns: int) -> dict[str, Any]:
    """Return a snapshot as plain values: prices, quantities and money as decimals."""

    def best(venue: VenuePage, ticks: int) -> Decimal | None:
        return None if ticks == MISSING else venue.price(ticks)

    def mid(uticks: int) -> Decimal | None:
        return None if uticks == MISSING else page.mid(uticks)

    def orders(levels: tuple[OwnLevel, ...]) -> list[dict[str, Any]]:
        return [
            {
                "price": page.price(level.price_ticks),
                "qty": page.qty(level.qty_lots),
                "filled": page.qty(level.filled_lots),
                "state": enum_name(OrderState, level.state),
            }
            for level in levels
        ]

    return {
        "bot": page.bot,
        "session": page.session,
        "mode": page.mode,
        "instrument": page.instrument,
        "heartbeat_age_ms": (now_ns - page.heartbeat_ns) // 1_000_000,
        "uptime_s": (page.heartbeat_ns - page.started_ns) // 1_000_000_000,
        "risk_state": enum_name(RiskState, page.risk_state),
        "risk_reason": page.risk_reason,
        "message": page.message,
        "incident": page.incident,
        "reference": {
            "price": mid(page.reference_uticks),
            "confidence_ppm": page.confidence_ppm,
            "sources": [
                {
                    "label": venue.label.decode("utf-8", "replace"),
                    "mid": mid(venue.mid_uticks),
                    "age_ms": None if venue.age_ns == MISSING else venue.age_ns // 1_000_000,
                    "basis": mid(venue.basis_uticks),
                    "weight_ppm": venue.weight_ppm,
                    "verdict": enum_name(SourceVerdict, venue.verdict, "SOURCE_"),
                }
                for venue in page.venues
            ],
        },
        "model": _model(page),
        "hedge": _hedge(page),
        "venues": [
            {
                "label": venue.label.decode("utf-8", "replace"),
                "quoted": bool(venue.quoted),
                "book": enum_name(BookState, venue.book_state, "BOOK_"),
                "best_bid": best(venue, venue.best_bid_ticks),
                "best_ask": best(venue, venue.best_ask_ticks),
                "age_ms": None if venue.age_ns == MISSING else venue.age_ns // 1_000_000,
                "breaks": venue.break_count,
                "messages": venue.message_count,
            }
            for venue in page.venues
        ],
        "inventory": {
            "base_asset": page.base,
            "quote_asset": page.quote,
            "base": None if page.base_lots == MISSING else page.qty(page.base_lots),
            "quote": page.money(page.quote_ticklots),
            "off_target": page.qty(page.q_lots),
            "share_ppm": page.share_ppm,
            "target_ppm": page.target_ppm,
        },
        "pnl": {
            "realised": page.money(page.realised_ticklots),
            "unrealised": page.money(page.unrealised_ticklots),
            "fees": page.money(page.fees_ticklots),
            "equity": page.money(page.equity_ticklots),
            "drawdown_ppm": page.drawdown_ppm,
            "drawdown_peak_ppm": page.drawdown_peak_ppm,
        },
        "orders": {"bids": orders(page.own_bids), "asks": orders(page.own_asks)},
        "book": {
            "bids": [[page.price(x.price_ticks), page.qty(x.qty_lots)] for x in page.book_bids],
            "asks": [[page.price(x.price_ticks), page.qty(x.qty_lots)] for x in page.book_asks],
        },
        "fills": [
            {
                "ts_ns": fill.ts_ns,
                "side": enum_name(Side, fill.side),
                "price": page.price(fill.price_ticks),
                "qty": page.qty(fill.qty_lots),
                "maker": bool(fill.maker),
            }
            for fill in page.fills
        ],
        "counters": page.counters._asdict(),
        "refusals": {
            enum_name(Reason, index): count for index, count in enumerate(page.refusals) if count
        },
        "rate": {
            "level": Decimal(page.rate_level_milli) / 1000,
            "threshold": Decimal(page.rate_threshold_milli) / 1000,
        },
        "latency_ns": {
            enum_name(Stage, index, "STAGE_"): stage._asdict()
            for index, stage in enumerate(page.stages)
            if stage.sample_count
        },
    }


def _model(page: TelemetrySnapshot) -> dict[str, Any] | None:
    """Return a model's parameters in both forms, and whether its fit is; None: no model."""
    found = page.model_numbers()
    return {**found, "fitted": bool(page.model.fitted)} if found else None


def _hedge(page: TelemetrySnapshot) -> dict[str, Any] | None:
    """Return how the hedge on another venue stands; None: the bot has none."""
    one = page.hedge
    if not one.hedged:
        return None
    return {
        "state": one.state,
        "unhedged": page.qty(one.unhedged_lots),
        "room_bid": page.qty(one.bid_lots),
        "room_ask": page.qty(one.ask_lots),
        "edge_ppm": one.edge_ppm,
        "open_orders": one.open_count,
        "fills": one.fill_count,
        "last_ns": one.last_ns or None,
    }


def hedge_line(hedge: Mapping[str, Any], base: str, now_ns: int) -> str:
    """Say how a hedge stands, as `page_view` has it."""
    last = hedge["last_ns"]
    ago = "none yet" if last is None else f"last {max(0, now_ns - last) // 1_000_000_000} s ago"
    return (
        f"{hedge['state']}, {hedge['unhedged']:+f} {base} unhedged, room {hedge['room_bid']:f} / "
        f"{hedge['room_ask']:f}, edge {hedge['edge_ppm'] / 100:g} bps, "
        f"{hedge['open_orders']} orders open, {hedge['fills']} fills, {ago}"
    )


def model_lines(model: Mapping[str, Any], quote: str) -> dict[str, str]:
    """Say a model's parameters, the paper's beside the plain ones, as `page_view` has them.

    Args:
        quote: the asset that prices are in.
    """
    source = "fitted" if model["fitted"] else "as told"
    arrival = f"A {model['arrival']:f}/s, " if model["arrival"] else ""
    return {
        "inventory skew": f"{bps(model['skew_full'])} at full inventory; "
        f"gamma {model['gamma']:f} per {quote}",
        "half spread": f"{bps(model['half'])} of the model, before fee floor and leans",
        "intensity": f"{arrival}1/k {bps(model['decay'])}, {source}; "
        f"sigma {bps(model['sigma'])} a root second",
    }


def bps(share: Decimal) -> str:
    """Write a share of the price in basis points."""
    return f"{(share * 10_000).normalize():f} bps"
