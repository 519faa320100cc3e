"""The one way into the slow path: on the tape first, and no other way in."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from openmm._fast.tape import Record
from openmm.engine.entry import is_entry, read_call
from openmm.engine.step import Step
from openmm.errors import JournalError, RiskError
from openmm.events import (
    BalanceUpdated,
    Event,
    Fee,
    InstrumentUpdated,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
    StatusChanged,
    StreamGapped,
    Subscribed,
    SystemMode,
    Unrecognised,
)
from openmm.risk.brakes import BrakeLimits
from openmm.risk.monitor import MonitorLimits
from tests.engine.world import START, World, quoting

ENGINE = Path(__file__).resolve().parent.parent.parent / "openmm" / "engine"
# What only looks: its result follows from the state, which it leaves alone.
LOOKS = {"broken_ns", "check_adjustment", "counter_values", "expected"}
# The parts of the step, and what makes, replays or describes it.
INSIDE = {
    "step.py", "money.py", "guard.py", "entry.py", "state.py", "replay.py", "wiring.py",
    "reconciler.py", "quoting.py", "rebalance.py",
}  # fmt: skip
# Methods of the tables that change them, by the name of what they are called on.
CHANGES = {
    "pipeline": {
        "set_inputs", "requote", "withdraw", "refresh", "mark_dirty", "note_taking", "on_frame",
        "end_read", "run", "set_leans", "set_requote_uticks", "set_transport",
    },
    "book": {"apply", "break_", "catch_up", "clear", "cut", "recentre", "verify"},
    "signals": {"decay", "lose", "on_book", "on_trade", "set_own", "set_wanted", "restore"},
    "reference": {"set", "compute"},
    "inventory": {"set_balances", "forget_balances", "adjust", "fill", "fee", "mark"},
    "checks": {"tighten", "set_spec", "approve", "hedge", "hedge_filled"},
    "budget": {"decay", "spend", "refund_batch", "set_threshold", "exhaust", "allows"},
    "table": {
        "place", "adopt", "amend_sent", "cancel_sent", "event", "amended", "fill", "release",
        "set_venue_id",
    },
    "monitor": {
        "tighten", "on_fill", "on_refused", "on_cancels", "on_fill_price", "on_transfer",
        "on_mark", "on_time", "halt", "pause", "resume",
    },
    "orders": {"on_accepted", "on_refused", "on_order", "on_fill", "on_timer", "first_seen"},
    "money": {"set_opening", "on_fill", "on_balance", "on_foreign_fill", "adjust"},
    "reconciler": {"on_balances", "on_open_orders", "on_fill", "on_moved", "on_adjusted"},
    "guard": {"rest", "sent", "on_accepted", "on_refused", "on_lost", "due"},
}  # fmt: skip


def calls(world: World) -> list[tuple[int, bytes]]:
    rows = world.step.pipeline.tape.records()
    return [(row[3], row[4]) for row in rows if row[1] == Record.REC_CALL]


def test_every_public_method_of_the_step_is_an_entry_or_only_looks() -> None:
    methods = {
        name
        for name, value in vars(Step).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    assert {name for name in methods if not is_entry(getattr(Step, name))} == LOOKS
    assert len(methods - LOOKS) >= 20


def changes(source: str) -> Iterator[str]:
    """Yield what a module does to the tables by itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            on = node.func.value
            owner = on.attr if isinstance(on, ast.Attribute) else getattr(on, "id", "")
            if node.func.attr in CHANGES.get(owner.lstrip("_"), ()):
                yield f"{node.lineno}: {ast.unparse(node.func)}"
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []
        for target in targets:
            if isinstance(target, ast.Attribute):
                on = target.value
                owner = on.attr if isinstance(on, ast.Attribute) else getattr(on, "id", "")
                if owner.lstrip("_") in {*CHANGES, "step"}:
                    yield f"{target.lineno}: {ast.unparse(target)}"


def test_nothing_of_the_engine_changes_the_tables_but_through_an_entry() -> None:
    found = [
        f"{path.name}:{one}"
        for path in sorted(ENGINE.glob("*.py"))
        if path.name not in INSIDE
        for one in changes(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "ctx.tables.pipeline.set_inputs(stream_live=False)",
        "feed.book.break_(1)",
        "self._ctx.step.money.on_fill(event, now_ns)",
        "pipeline.quoting = False",
        "self.step.stopping = True",
        "tables.pipeline.checks.budget.decay(now_ns)",
    ],
)
def test_the_rule_sees_a_way_around(source: str) -> None:
    assert list(changes(source))


def test_call_is_on_the_tape_before_what_follows_from_it() -> None:
    world = quoting()
    before = world.step.pipeline.tape.next_index
    world.step.halt("operator", START + 5)
    rows = [row for row in world.step.pipeline.tape.records() if row[0] >= before]
    assert (rows[0][1], rows[0][3], rows[0][4]) == (
        Record.REC_CALL, START + 5, b'["halt","operator"]',
    )  # fmt: skip
    assert Record.REC_RISK in {row[1] for row in rows[1:]}


def test_call_that_is_refused_is_on_the_tape_too() -> None:
    world = quoting()
    with pytest.raises(RiskError):
        world.step.tighten({"order_lots_max": 1 << 60}, MonitorLimits(), START)
    assert read_call(Step, calls(world)[-1][1])[0] == "tighten"


EVENTS: list[Event] = [
    RequestAccepted("add", 7, client_id="m1", venue_order_id="V1", index=2),
    RequestRefused("amend", 8, "no \"such\" order\n", "unknown_order", retryable=False),
    OrderUpdated("V1", "m1", OrderStatus.OPEN, Source.QUERY, 12, price_ticks=5, amended=True),
    OrderFilled(
        "E1", "V1", "m1", "BTC/USD", 1, 600_000, 100_000, Decimal("60.00000000"),
        (Fee("USD", Decimal("-1E-8")), Fee("BTC", Decimal("0.10"))), True, 99,
        qty=Decimal("0.001"), filled_lots=3,
    ),
    BalanceUpdated("USD", Decimal("1.10"), None, Decimal("0E-8"), "snapshot", "", 5),
    StatusChanged(SystemMode.CANCEL_ONLY, "cancel only"),
    StreamGapped("executions", 3, 5),
    Subscribed("book", "BTC/USD", rate_threshold=60),
    Unrecognised("{\"a\": 1}"),
]  # fmt: skip


def test_arguments_come_back_as_they_went() -> None:
    world = quoting()
    step = world.step
    events = [*EVENTS, InstrumentUpdated(step.instrument)]
    step.on_events(events, START + 1)
    step.on_query([5, 6], events, START, START + 2)
    step.recover([EVENTS[3]], ["E1", "E2"], START + 3)  # type: ignore[list-item]
    step.on_named(["V9"], [EVENTS[2]], START + 4)  # type: ignore[list-item]
    held = {"BTC": Decimal("1.0"), "USD": Decimal("0.9")}
    step.on_statement(held, START, False, START + 5)
    step.adjust("BTC", Decimal("-0.10"), "why", "who", "k1", START + 5)
    step.on_open_orders([EVENTS[2]], START, START + 5)  # type: ignore[list-item]
    step.on_history([EVENTS[3]], START, START, START + 5)
    step.clock_told(None, START + 6)
    limits = MonitorLimits(drawdown_ppm_max=1, brakes=BrakeLimits(fills_max=3))
    step.tighten({}, limits, START + 7)
    step.market_lost(0, START + 8)
    told = {name: args for name, args in (read_call(Step, one) for _, one in calls(world))}
    assert list(told["on_query"][0]) == [5, 6]
    assert list(told["on_query"][1]) == events
    assert told["on_query"][2] == START
    assert repr(told["on_query"][1]) == repr(events)
    assert list(told["recover"][0]) == [EVENTS[3]]
    assert list(told["recover"][1]) == ["E1", "E2"]
    assert list(told["on_named"][1]) == [EVENTS[2]]
    assert told["on_statement"] == (held, START, False)
    assert told["adjust"] == ("BTC", Decimal("-0.10"), "why", "who", "k1")
    assert list(told["on_open_orders"][0]) == [EVENTS[2]]
    assert list(told["on_history"][0]) == [EVENTS[3]]
    assert told["clock_told"] == (None,)
    assert told["tighten"] == ({}, limits)
    assert told["market_lost"] == (0,)
    assert dict(told["set_opening"][0]) == {"BTC": Decimal(2), "USD": Decimal(120_000)}


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"[", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'["explode"]', "does not have"),
        (b'["_gate"]', "does not have"),
        (b'["expected"]', "does not have"),
        (b'["halt"]', "0 arguments instead of 1"),
        (b'["halt",5]', "cannot be read"),
        (b'["on_events",[{"type":"Nothing"}]]', "cannot be read"),
    ],
)
def test_call_of_another_form_is_refused(payload: bytes, told: str) -> None:
    with pytest.raises(JournalError, match=told):
        read_call(Step, payload)
