"""`/metrics`: what the telemetry pages say, in Prometheus' text format.

Nothing is kept between two scrapes: a counter is the bot's own, which begins again with a session,
as Prometheus expects of a process that was restarted. Names are in docs/monitoring.md.

Source: Prometheus, "Metric and label naming" and "Exposition formats", read 2026-11-26.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import partial
from typing import Final

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from openmm import __version__
from openmm._fast.book import BookState
from openmm._fast.checks import Reason, RiskState
from openmm._fast.latency import Stage
from openmm.control import alerts, groups
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.control.looks import FLEET
from openmm.control.views import BotState, enum_name, look
from openmm.errors import BoardError, CommandError, ControlError
from openmm.gateway.routes import client_of, in_lane
from openmm.telemetry import BOUNDS_NS, LIMITS, MISSING, TelemetrySnapshot, VenuePage

BOT: Final = ("bot", "mode", "pair")
NS: Final = 1_000_000_000
PPM: Final = 1_000_000
# Counters of the page, and what each counts.
COUNTERS: Final = {
    "placed": "orders placed", "amended": "orders amended", "cancelled": "cancels sent",
    "filled": "fills", "rejected": "orders the venue rejected",
    "refused": "orders a check refused", "decisions": "decisions of the quoting path",
    "requotes": "decisions that made a ladder", "incidents": "incidents",
}  # fmt: skip
UNITS: Final = {"lots": "base asset", "ticklots": "quote asset", "ppm": "share", "count": "number",
                "ns": "seconds", "milli": "units of the venue"}  # fmt: skip


def mount(app: FastAPI, door: Door) -> None:
    """Serve `/metrics` to clients that may read; each sees its own bots."""

    async def metrics(request: Request) -> Response:
        client = client_of(request)
        seen = await in_lane(
            app.state.lanes, "reads", client,
            partial(door.call, client, "bots", {}, surface="metrics"),
        )  # fmt: skip
        names = tuple(one["bot"] for one in seen["bots"])
        text = await in_lane(
            app.state.lanes, "reads", client, partial(render, door.home.of(names), time.time_ns())
        )
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    app.add_api_route("/metrics", metrics, methods=["GET"], include_in_schema=False)


def render(home: Home, now_ns: int) -> bytes:
    """Return the metrics of every bot in sight."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Pages(home, now_ns))
    ProcessCollector(namespace="openmm_gateway", registry=registry)
    return generate_latest(registry)


class _Pages(Collector):
    """Give the metrics of one moment."""

    def __init__(self, home: Home, now_ns: int) -> None:
        self._home = home
        self._now_ns = now_ns

    def describe(self) -> Iterable[Metric]:
        """Name nothing ahead: what there is depends on the bots."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read every page once."""
        seen, unreadable = _look(self._home, self._now_ns)
        build = GaugeMetricFamily(
            "openmm_build", "the gateway's build; always 1", labels=["version"]
        )
        build.add_metric([__version__], 1)
        yield build
        up = GaugeMetricFamily(
            "openmm_up", "1: the engine runs and publishes; 0: it ended, died or fell silent",
            labels=["bot"],
        )  # fmt: skip
        for one in seen:
            up.add_metric([one.bot], int(one.running and one.page_state == "alive"))
        for name in unreadable:
            up.add_metric([name], 0)
        yield up
        yield _alerts(self._home)
        pages = [one.page for one in seen if one.page is not None]
        yield from _bots(pages, self._now_ns)
        yield from _venues(pages)
        yield from _counters(pages)
        yield from _limits(pages)
        yield _stages(pages)
        yield from _groups(self._home, self._now_ns)


def _groups(home: Home, now_ns: int) -> Iterator[Metric]:
    """Give what the groups in sight hold, how far off target, and how many transfers are needed."""
    labels = ["group", "mode", "asset"]
    held = GaugeMetricFamily("openmm_group_base", "base that a group holds", labels=labels)
    away = GaugeMetricFamily("openmm_group_off_target", "of its target", labels=labels)
    moves = GaugeMetricFamily(
        "openmm_group_transfers_needed", "to bring every venue back to its wish", labels=labels
    )
    starved = GaugeMetricFamily(
        "openmm_group_sides_without_capital", "sides that cannot be quoted", labels=labels
    )
    try:
        found = groups.groups(home, now_ns)["groups"]
    except BoardError:
        found = []  # its bots say so themselves: they have halted
    for one in found:
        of = [one["group"], one["mode"], one["base_asset"]]
        held.add_metric(of, float(one["base"]))
        away.add_metric(of, float(one["off_target"]))
        moves.add_metric(of, len(one["transfers"]))
        starved.add_metric(of, sum(len(member["lacks"]) for member in one["members"]))
    yield from (held, away, moves, starved)


def _alerts(home: Home) -> Metric:
    """Count the open alerts in sight; none are counted of a book that cannot be read."""
    family = GaugeMetricFamily(
        "openmm_alerts_open", "open alerts in sight; of the host: no bot",
        labels=["bot", "rule", "severity", "acknowledged"],
    )  # fmt: skip
    try:
        rows = alerts.listed(home)["alerts"]
    except ControlError:
        return family
    counts = Counter(
        (one["bot"], one["rule"], one["severity"], str(bool(one["acknowledged_ns"])).lower())
        for one in rows
    )
    for labels, count in sorted(counts.items()):
        family.add_metric(labels, count)
    return family


def _look(home: Home, now_ns: int) -> tuple[list[BotState], list[str]]:
    """Return what is known of each bot, and the names of those of whom nothing can be read."""
    seen, unreadable = [], []
    for run_dir in home.bots():
        try:
            seen.append(look(run_dir, now_ns, FLEET))
        except CommandError:
            unreadable.append(run_dir.bot)
    return seen, unreadable


def _of(page: TelemetrySnapshot) -> list[str]:
    return [page.bot, page.mode, page.instrument]


def _bots(pages: list[TelemetrySnapshot], now_ns: int) -> Iterator[Metric]:
    def gauge(name: str, what: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"openmm_{name}", what, labels=BOT)

    state = StateSetMetricFamily("openmm_risk_state", "the risk state", labels=BOT)
    states = [one.name.lower() for one in RiskState if one.value]
    for page in pages:
        now = enum_name(RiskState, page.risk_state)
        state.add_metric(_of(page), {name: name == now for name in states})
    yield state
    values: dict[str, tuple[str, list[tuple[TelemetrySnapshot, Decimal | float | int | None]]]] = {
        "heartbeat_age_seconds": (
            "since the page was last published",
            [(page, (now_ns - page.heartbeat_ns) / NS) for page in pages],
        ),
        "reference_price": (
            "cross-venue reference price, in the quote asset",
            [
                (
                    page,
                    None if page.reference_uticks == MISSING else page.mid(page.reference_uticks),
                )
                for page in pages
            ],
        ),
        "reference_confidence_ratio": (
            "confidence in the reference, of one",
            [(page, page.confidence_ppm / PPM) for page in pages],
        ),
        "half_spread": (
            "half-spread of the wanted ladder, in the quote asset",
            [(page, page.mid(page.half_uticks)) for page in pages],
        ),
        "skew": (
            "shift of the ladder's centre by inventory, in the quote asset",
            [(page, page.mid(page.skew_uticks)) for page in pages],
        ),
        "signal_trade_flow_ratio": (
            "signed taker volume over the usual one, from -1 to 1",
            [(page, page.flow_ppm / PPM) for page in pages],
        ),
        "signal_order_flow_imbalance_ratio": (
            "what came and went at the best prices, from -1 to 1; 0 unless computed",
            [(page, page.ofi_ppm / PPM) for page in pages],
        ),
        "signal_depth_imbalance_ratio": (
            "bids less asks over both, from -1 to 1; 0 unless computed",
            [(page, page.imbalance_ppm / PPM) for page in pages],
        ),
        "signal_fair_value_offset_ratio": (
            "fair value of the traded book off its mid, of the mid; 0 unless computed",
            [(page, page.micro_ppm / PPM) for page in pages],
        ),
        "inventory_base": (
            "base asset held",
            [
                (page, None if page.base_lots == MISSING else page.qty(page.base_lots))
                for page in pages
            ],
        ),
        "inventory_off_target_base": (
            "base asset held beyond the target; negative: short of it",
            [(page, page.qty(page.q_lots)) for page in pages],
        ),
        "inventory_share_ratio": (
            "base asset's share of equity, of one",
            [(page, page.share_ppm / PPM) for page in pages],
        ),
        "inventory_target_ratio": (
            "target of that share",
            [(page, page.target_ppm / PPM) for page in pages],
        ),
        "equity": (
            "worth of both assets at the reference, in the quote asset",
            [(page, page.money(page.equity_ticklots)) for page in pages],
        ),
        "realised_pnl": (
            "realised in the session, average cost, before fees, in the quote asset",
            [(page, page.money(page.realised_ticklots)) for page in pages],
        ),
        "unrealised_pnl": (
            "unrealised at the reference, in the quote asset",
            [(page, page.money(page.unrealised_ticklots)) for page in pages],
        ),
        "fees": (
            "fees of the session, rebates negative, in the quote asset",
            [(page, page.money(page.fees_ticklots)) for page in pages],
        ),
        "drawdown_ratio": (
            "loss of equity since the start, of one",
            [(page, page.drawdown_ppm / PPM) for page in pages],
        ),
        "drawdown_peak_ratio": (
            "loss of equity since its peak, of one",
            [(page, page.drawdown_peak_ppm / PPM) for page in pages],
        ),
        "orders_open": (
            "live orders",
            [(page, len(page.own_bids) + len(page.own_asks)) for page in pages],
        ),
        "orders_unknown": (
            "orders in doubt, counted in full",
            [(page, page.counters.unknown) for page in pages],
        ),
        "incidents_open": (
            "incidents of the money that are not reconciled yet",
            [(page, page.open_incidents) for page in pages],
        ),
        "tape_used_ratio": (
            "share of the tape its writer has still to read, of one",
            [(page, page.tape_unread_bytes / max(1, page.tape_size_bytes)) for page in pages],
        ),
    }
    for name, (what, rows) in values.items():
        family = gauge(name, what)
        for page, value in rows:
            if value is not None:
                family.add_metric(_of(page), float(value))
        yield family
    causes = GaugeMetricFamily(
        "openmm_pnl_by_cause", "change of equity since the start by cause, in the quote asset",
        labels=[*BOT, "cause"],
    )  # fmt: skip
    for page in pages:
        for cause, ticklots in page.causes().items():
            causes.add_metric([*_of(page), cause], float(page.money(ticklots)))
    yield causes


def _venues(pages: list[TelemetrySnapshot]) -> Iterator[Metric]:
    labels = [*BOT, "venue"]
    rows = [(page, venue) for page in pages for venue in page.venues]
    state = StateSetMetricFamily("openmm_book_state", "state of a venue's book", labels=labels)
    states = [one.name.removeprefix("BOOK_").lower() for one in BookState]
    for page, venue in rows:
        now = enum_name(BookState, venue.book_state, "BOOK_")
        state.add_metric(_at(page, venue), {name: name == now for name in states})
    yield state
    gauges: dict[str, tuple[str, list[float | None]]] = {
        "book_age_seconds": (
            "since the venue's connection last brought anything",
            [_seconds(venue.age_ns) for _, venue in rows],
        ),
        "book_broken_seconds": (
            "since the book was last verified; 0 while it is",
            [_seconds(venue.broken_ns) for _, venue in rows],
        ),
        "book_weight_ratio": (
            "the venue's weight in the reference, of one",
            [venue.weight_ppm / PPM for _, venue in rows],
        ),
        "clock_offset_seconds": (
            "how far the traded venue's clock may be off ours",
            [_seconds(venue.clock_offset_ns) for _, venue in rows],
        ),
        "rate_budget_used_ratio": (
            "share of the traded venue's rate budget in use, of one",
            [
                None if venue.rate_used_ppm == MISSING else venue.rate_used_ppm / PPM
                for _, venue in rows
            ],
        ),
    }
    for name, (what, values) in gauges.items():
        family = GaugeMetricFamily(f"openmm_{name}", what, labels=labels)
        for (page, venue), value in zip(rows, values, strict=True):
            if value is not None:
                family.add_metric(_at(page, venue), value)
        yield family
    for name, what, field in (
        ("book_breaks", "times the book broke", "break_count"),
        ("book_resyncs", "times the book was asked for anew", "resync_count"),
        ("market_messages", "frames of market data", "message_count"),
    ):
        counter = CounterMetricFamily(f"openmm_{name}", what, labels=labels)
        for page, venue in rows:
            counter.add_metric(
                _at(page, venue), getattr(venue, field), created=page.started_ns / NS
            )
        yield counter


def _at(page: TelemetrySnapshot, venue: VenuePage) -> list[str]:
    return [*_of(page), venue.label.decode("utf-8", "replace")]


def _seconds(span_ns: int) -> float | None:
    return None if span_ns == MISSING else span_ns / NS


def _counters(pages: list[TelemetrySnapshot]) -> Iterator[Metric]:
    for name, what in COUNTERS.items():
        family = CounterMetricFamily(f"openmm_{name}", f"{what} in the session", labels=BOT)
        for page in pages:
            family.add_metric(_of(page), getattr(page.counters, name), created=page.started_ns / NS)
        yield family
    lost = CounterMetricFamily("openmm_tape_lost", "records the tape had no room for", labels=BOT)
    refusals = CounterMetricFamily(
        "openmm_refusals", "orders refused by each check", labels=[*BOT, "reason"]
    )
    for page in pages:
        lost.add_metric(_of(page), page.tape_lost, created=page.started_ns / NS)
        for reason, count in enumerate(page.refusals):
            if count:
                refusals.add_metric(
                    [*_of(page), enum_name(Reason, reason)], count, created=page.started_ns / NS
                )
    yield lost
    yield refusals


def _limits(pages: list[TelemetrySnapshot]) -> Iterator[Metric]:
    labels = [*BOT, "limit", "unit"]
    most = GaugeMetricFamily("openmm_limit", "each risk limit in force", labels=labels)
    used = GaugeMetricFamily("openmm_limit_used", "what is used of it", labels=labels)
    for page in pages:
        for name, unit in LIMITS:
            row = page.limit(name)
            for family, raw in ((most, row.limit), (used, row.used)):
                value = page.measure(raw, unit)
                if value is not None:
                    family.add_metric([*_of(page), name, UNITS[unit]], float(value))
    yield most
    yield used


def _stages(pages: list[TelemetrySnapshot]) -> Metric:
    family = HistogramMetricFamily(
        "openmm_stage_seconds", "time of each stage from tick to order and to the venue's answer",
        labels=[*BOT, "stage"],
    )  # fmt: skip
    for page in pages:
        for at, stage in enumerate(page.stages):
            name = enum_name(Stage, at, "STAGE_")
            buckets = [
                (repr(bound_ns / NS), float(count))
                for bound_ns, count in zip(BOUNDS_NS, stage.cumulative(), strict=True)
            ]
            buckets.append(("+Inf", float(stage.sample_count)))
            family.add_metric([*_of(page), name], buckets, sum_value=stage.sum_ns / NS)
    return family
