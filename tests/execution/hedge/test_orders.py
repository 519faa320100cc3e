"""The life of a hedge order: every event in every state, as docs/hedging.md tells it."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from openmm._fast.orders import OrderState
from openmm._fast.units import Side
from openmm.execution.hedge.messages import (
    CancelHedge,
    HedgeAbsent,
    HedgeAccepted,
    HedgeEnded,
    HedgeFilled,
    HedgeFound,
    HedgeRefused,
    QueryHedge,
)
from openmm.execution.hedge.orders import ENDED_KEPT, HedgeOrders
from tests.execution.hedge.two_venues import MS, SECOND, T0, terms

PAGE = Path("docs/hedging.md")
TERMS = terms()
LATE_NS = T0 + TERMS.deadline_ns + TERMS.lag_ns + 1


def fill(orders: HedgeOrders, lots: int, seq: int = 1, side: Side = Side.SELL) -> None:
    orders.on_fill(HedgeFilled(T0, seq, f"{lots}", side, lots, 0))


def made(state: str) -> HedgeOrders:
    """Make an order of 10 lots in a state; where one is partly filled, by 4."""
    orders = HedgeOrders(TERMS)
    orders.place(1, Side.SELL, 600_000, 10, T0)
    if state != "PENDING_NEW":
        orders.on_accepted(HedgeAccepted(T0, 1))
    match state:
        case "PARTIALLY_FILLED":
            fill(orders, 4)
        case "PENDING_CANCEL":
            orders.cancel_all(T0)
        case "UNKNOWN":
            orders = HedgeOrders(TERMS)
            orders.place(1, Side.SELL, 600_000, 10, T0)
            orders.on_unanswered(1, T0)
        case "ending":
            orders.on_ended(HedgeEnded(T0, 1, 6))
        case "CANCELLED":
            orders.on_ended(HedgeEnded(T0, 1, 0))
        case "REJECTED":
            orders = HedgeOrders(TERMS)
            orders.place(1, Side.SELL, 600_000, 10, T0)
            orders.on_refused(HedgeRefused(T0, 1, "funds"))
    orders.take_ended()
    assert label(orders) == state
    return orders


def label(orders: HedgeOrders) -> str:
    order = orders.get(1)
    assert order is not None
    if order.live and order.told_lots >= 0:
        return "ending"
    return order.state.name


def booked(orders: HedgeOrders) -> int:
    order = orders.get(1)
    assert order is not None
    return order.filled_lots


def absent_late(orders: HedgeOrders) -> None:
    for _ in range(2):
        orders.on_absent(HedgeAbsent(LATE_NS, 1, LATE_NS))


EVENTS: dict[str, Callable[[HedgeOrders], object]] = {
    "accepted": lambda o: o.on_accepted(HedgeAccepted(T0, 1)),
    "refused": lambda o: o.on_refused(HedgeRefused(T0, 1, "funds")),
    "refused, no proof": lambda o: o.on_refused(HedgeRefused(T0, 1, "internal")),
    "unanswered": lambda o: o.on_unanswered(1, T0),
    "fills a part": lambda o: fill(o, 2),
    "fills in full": lambda o: fill(o, 10 - booked(o)),
    "ended, all booked": lambda o: o.on_ended(HedgeEnded(T0, 1, booked(o))),
    "ended, more filled": lambda o: o.on_ended(HedgeEnded(T0, 1, 8)),
    "ended, count not told": lambda o: o.on_ended(HedgeEnded(T0, 1, None)),
    "found open": lambda o: o.on_found(HedgeFound(T0, 1, booked(o))),
    "found open, more filled": lambda o: o.on_found(HedgeFound(T0, 1, 8)),
    "absent, too early to tell": lambda o: o.on_absent(HedgeAbsent(T0, 1, T0)),
    "absent twice, late": absent_late,
    "cancel answered": lambda o: o.on_cancel_answered(1, T0),
    "`ack_ns` passed": lambda o: o.on_time(T0 + TERMS.ack_ns),
    "`rest_ns` passed": lambda o: o.on_time(T0 + TERMS.rest_ns),
}
STATES = (
    "PENDING_NEW", "OPEN", "PARTIALLY_FILLED", "PENDING_CANCEL", "UNKNOWN", "ending", "CANCELLED",
    "REJECTED",
)  # fmt: skip


def outcome(event: str, state: str) -> str:
    orders = made(state)
    EVENTS[event](orders)
    after = label(orders)
    text = "·" if after == state else after
    return text + " !" if orders.take_broken() else text


def table() -> dict[str, dict[str, str]]:
    """Read the page's table: by event, by state."""
    text = PAGE.read_text()
    rows = re.findall(r"^\| (.+) \|$", text.split("## Events and states")[1], re.MULTILINE)
    head = [cell.strip() for cell in rows[0].split(" | ")]
    found = {}
    for row in rows[1:]:
        cells = [cell.strip() for cell in row.split(" | ")]
        if len(cells) != len(head):
            break
        if not set(cells[0]) <= {"-", "|"}:
            found[cells[0]] = dict(zip(head[1:], cells[1:], strict=True))
    return found


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_does_in_every_state_what_the_page_says(event: str) -> None:
    assert table()[event] == {state: outcome(event, state) for state in STATES}


def test_the_page_has_no_event_more() -> None:
    assert set(table()) == set(EVENTS)


@pytest.mark.parametrize(
    ("state", "rest_lots"),
    [
        ("PENDING_NEW", 10), ("OPEN", 10), ("PARTIALLY_FILLED", 6), ("PENDING_CANCEL", 10),
        ("UNKNOWN", 10), ("ending", 6), ("CANCELLED", 0), ("REJECTED", 0),
    ],
)  # fmt: skip
def test_what_is_not_proven_counts_in_full(state: str, rest_lots: int) -> None:
    orders = made(state)
    assert orders.rest_lots(Side.SELL) == rest_lots
    assert orders.rest_lots(Side.BUY) == 0


def test_one_absent_answer_is_no_proof_and_an_early_one_counts_for_nothing_alone() -> None:
    orders = made("UNKNOWN")
    orders.on_absent(HedgeAbsent(LATE_NS, 1, LATE_NS))
    assert label(orders) == "UNKNOWN"
    orders.on_absent(HedgeAbsent(LATE_NS, 1, LATE_NS - 1))
    assert label(orders) == "UNKNOWN"
    orders.on_absent(HedgeAbsent(LATE_NS, 1, LATE_NS))
    assert label(orders) == "REJECTED"


def test_an_order_that_was_ever_seen_is_not_absent() -> None:
    for seen in ("accepted", "fills a part", "found open"):
        orders = made("PENDING_NEW")
        EVENTS[seen](orders)
        orders.on_unanswered(1, T0)
        absent_late(orders)
        assert label(orders) == "UNKNOWN", seen


def test_an_end_waits_for_its_executions_and_asks_for_them() -> None:
    orders = made("ending")
    assert orders.on_time(T0) == []
    assert orders.on_time(T0 + SECOND) == [QueryHedge(1)]
    fill(orders, 2)
    assert orders.rest_lots(Side.SELL) == 4
    fill(orders, 4)
    assert label(orders) == "CANCELLED"
    assert [order.seq for order in orders.take_ended()] == [1]


def test_questions_back_off_and_never_end() -> None:
    orders = made("UNKNOWN")
    asked = [s for s in range(200) if orders.on_time(T0 + s * SECOND)]
    assert asked[:6] == [0, 1, 3, 8, 18, 48]
    assert {later - one for one, later in pairwise(asked[5:])} == {30}


def test_an_order_that_rests_is_cancelled_once_until_it_is_seen_open_again() -> None:
    orders = made("OPEN")
    at_ns = T0 + TERMS.rest_ns
    assert orders.on_time(at_ns) == [CancelHedge(1)]
    assert orders.on_time(at_ns + 1 * MS) == []
    assert orders.cancel_all(at_ns + 1 * MS) == []
    # Unanswered: asked for, not cancelled blindly.
    assert orders.on_time(at_ns + TERMS.ack_ns) == [QueryHedge(1)]
    orders.on_found(HedgeFound(at_ns + SECOND, 1, 0))
    assert orders.on_time(at_ns + SECOND) == [CancelHedge(1)]


@pytest.mark.parametrize(
    ("state", "tell", "text"),
    [
        ("OPEN", lambda o: fill(o, 11), "filled 11 lots of 10"),
        ("OPEN", lambda o: fill(o, 1, side=Side.BUY), "on the other side"),
        ("ending", lambda o: fill(o, 7), "filled 7 lots of 6"),
        ("ending", lambda o: o.on_ended(HedgeEnded(T0, 1, 0)), "with 6 lots and with 0"),
        ("CANCELLED", lambda o: fill(o, 1), "filled after its end was proven"),
        ("OPEN", lambda o: fill(o, 1, seq=9), "of no hedge of ours"),
        ("OPEN", lambda o: o.on_ended(HedgeEnded(T0, 1, 11)), "ended with 11 lots"),
        ("REJECTED", lambda o: o.on_accepted(HedgeAccepted(T0, 1)), "is accepted, though"),
    ],
)
def test_what_cannot_be_is_told(
    state: str, tell: Callable[[HedgeOrders], object], text: str
) -> None:
    orders = made(state)
    tell(orders)
    (told,) = orders.take_broken()
    assert text in told
    assert orders.take_broken() == []


def test_ended_orders_are_kept_for_late_words_within_a_bound() -> None:
    orders = HedgeOrders(TERMS)
    for seq in range(1, ENDED_KEPT + 3):
        orders.place(seq, Side.BUY, 1, 1, T0)
        orders.on_ended(HedgeEnded(T0, seq, 0))
    assert orders.get(2) is None
    assert orders.get(3) is not None
    assert not orders.live
    assert orders.doubt_ns(T0) == 0
    assert OrderState.CANCELLED > OrderState.FILLED
