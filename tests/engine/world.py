"""A bot in mid-quote for tests of the slow path: its tables, its step, and what it sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from openmm._fast.checks import RiskState
from openmm._fast.orders import OrderState, OrderTable, OrderView
from openmm._fast.ports import MemoryTransport
from openmm._fast.tape import Tape
from openmm._fast.units import Side
from openmm.engine.step import Step, StepConfig
from openmm.events import (
    Fee,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    Source,
    StatusChanged,
    SystemMode,
)
from openmm.risk.monitor import MonitorLimits, RiskMonitor
from openmm.testing.canonical import make_bot
from openmm.testing.workload import WorkloadSpec, make

WORK = make(WorkloadSpec(messages=50))
SECOND = 1_000_000_000
START = WORK.recv_ns[0] + SECOND


@dataclass
class Ids:
    """Client ids are sequence digits; `old`... is an earlier session's, `new`... a later one's."""

    sent: dict[int, tuple[str, Sequence[int]]] = field(default_factory=dict)

    def seq_of(self, client_id: str) -> int:
        return int(client_id) if client_id.isdigit() else 0

    def is_earlier(self, client_id: str) -> bool:
        return client_id.startswith("old")

    def is_later(self, client_id: str) -> bool:
        return client_id.startswith("new")

    def tier(self, threshold: int) -> tuple[int, int]:
        return threshold * 1000, 2_000

    def requested(self, req_id: int) -> tuple[str, Sequence[int]]:
        return self.sent.get(req_id, ("", ()))

    def superseded(self, req_id: int, seq: int) -> bool:
        kind, _ = self.requested(req_id)
        later = (request for number, request in self.sent.items() if number > req_id)
        return any(seq in seqs for other, seqs in later if other == kind)


@dataclass
class World:
    step: Step
    ids: Ids
    transport: MemoryTransport
    now_ns: int = START

    @property
    def table(self) -> OrderTable:
        return self.step.pipeline.table

    def order(self, seq: int) -> OrderView:
        order = self.table.get(seq)
        assert order is not None
        return order

    def seq(self, side: int = Side.BUY) -> int:
        return next(order.seq for order in self.table.live() if order.side == side)

    def risk(self) -> RiskState:
        return self.step.monitor.state

    def state(self, seq: int) -> OrderState:
        return self.order(seq).state

    def feed(self, *events: object) -> list[object]:
        return list(self.step.on_events(events, self.now_ns))  # type: ignore[arg-type]

    def fill(self, seq: int, exec_id: str, lots: int = 100_000, **other: object) -> OrderFilled:
        order = self.table.get(seq)
        assert order is not None
        qty = self.step.instrument.qty(lots)
        fields: dict[str, object] = {
            "exec_id": exec_id, "venue_order_id": f"V{seq}", "client_id": str(seq),
            "instrument": "BTC/USD", "side": order.side, "price_ticks": order.price_ticks,
            "qty_lots": lots, "cost": qty * self.step.instrument.price(order.price_ticks),
            "fees": (Fee("USD", Decimal("0.25")),), "maker": True, "ts_ns": self.now_ns,
        }  # fmt: skip
        return OrderFilled(**(fields | other))  # type: ignore[arg-type]


def updated(seq: int, status: OrderStatus, source: Source = Source.STREAM, **other: object):  # type: ignore[no-untyped-def]
    return OrderUpdated(f"V{seq}", str(seq), status, source, START, **other)  # type: ignore[arg-type]


def quoting(
    config: StepConfig | None = None, *, arm: bool = True, tape: Tape | None = None
) -> World:
    """Make a quoting bot whose ladder is acknowledged; `arm`: with what stands behind it armed."""
    transport = MemoryTransport()
    bot = make_bot(transport=transport, inputs_known=False, tape=tape)
    ids = Ids()
    monitor = RiskMonitor(MonitorLimits(drawdown_ppm_max=20_000, inventory_lots_max=150_000_000))
    step = Step(bot.pipeline, [bot.feed], bot.instrument, monitor, ids, config or StepConfig())
    bot.pipeline.quoting = False
    for at in range(3):
        bot.pipeline.on_frame(bot.feed, WORK.frames[0], WORK.recv_ns[0] + at * 300_000_000)
    step.set_opening({"BTC": Decimal(2), "USD": Decimal(120_000)}, {}, {}, START)
    bot.pipeline.set_inputs(clock_offset_ns=0)
    world = World(step, ids, transport)
    world.feed(StatusChanged(SystemMode.ONLINE, "online"))
    step.private_restored(START)
    step.start(START)
    if arm:
        if config is not None and config.watchdog:
            step.watchdog_seen(True, START)
        step.dead_man_sent(True, START)
        world.feed(RequestAccepted("dead_man", 1))
    else:
        return world
    assert bot.pipeline.table.live_count == 20
    for order in bot.pipeline.table.live():
        world.feed(
            RequestAccepted("add", 1, client_id=str(order.seq), venue_order_id=f"V{order.seq}")
        )
    assert {order.state for order in bot.pipeline.table.live()} == {OrderState.OPEN}
    transport.take()
    return world
