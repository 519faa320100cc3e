"""The planner: table of cases, then properties over random tables and ladders."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import Book
from openmm._fast.orders import Lane, OrderEvent, OrderState, OrderTable, OrderView, Transition
from openmm._fast.planner import ActionKind, ActionView, ActionWhy, Planner
from openmm._fast.queue import Queue
from openmm._fast.units import Side
from tests.oracles import planner as oracle

BUY, SELL = Side.BUY, Side.SELL
CANCEL, AMEND, PLACE = ActionKind.ACTION_CANCEL, ActionKind.ACTION_AMEND, ActionKind.ACTION_PLACE
Level = tuple[int, int]


def rested(table: OrderTable, side: int, price: int, qty: int = 10, level: int = 0) -> int:
    seq = table.place(side, level, price, qty, now_ns=1)
    assert table.event(seq, OrderEvent.EV_ACKED, 1) is Transition.TR_OK
    return seq


def short(actions: list[ActionView]) -> list[tuple[str, str, int, int]]:
    return [
        (a.kind.name[7:], a.why.name[4:], a.seq if a.seq else a.side, a.price_ticks)
        for a in actions
    ]


def apply(table: OrderTable, actions: list[ActionView], now_ns: int = 2) -> None:
    """Send a plan: the table holds every request as under way."""
    for action in actions:
        if action.kind is PLACE:
            table.place(
                action.side, action.level, action.price_ticks, action.qty_lots, now_ns=now_ns
            )
        elif action.kind is AMEND:
            sent = table.amend_sent(action.seq, action.price_ticks, action.qty_lots, now_ns)
            assert sent is Transition.TR_OK
        else:
            assert table.cancel_sent(action.seq, now_ns) is Transition.TR_OK


def answer(table: OrderTable, now_ns: int = 3) -> None:
    """Let the venue do all that was asked."""
    answers = {
        OrderState.PENDING_NEW: OrderEvent.EV_ACKED,
        OrderState.PENDING_AMEND: OrderEvent.EV_AMENDED,
        OrderState.PENDING_CANCEL: OrderEvent.EV_CANCELLED,
        OrderState.UNKNOWN: OrderEvent.EV_PROVEN_GONE,
    }
    for order in table.live():
        if order.state in answers:
            assert table.event(order.seq, answers[order.state], now_ns) is Transition.TR_OK


# ------------------------------------------------------------------ cases


def test_empty_table_places_every_level_best_first() -> None:
    plan = Planner().plan([(99, 1), (98, 2)], [(101, 3), (102, 4)], OrderTable(), 1)
    assert [(a.side, a.level, a.price_ticks, a.qty_lots) for a in plan] == [
        (BUY, 0, 99, 1), (SELL, 0, 101, 3), (BUY, 1, 98, 2), (SELL, 1, 102, 4),
    ]  # fmt: skip
    assert all(a.kind is PLACE and a.why is ActionWhy.WHY_MISSING for a in plan)


def test_unchanged_ladder_needs_nothing() -> None:
    table = OrderTable()
    rested(table, BUY, 99)
    rested(table, SELL, 101)
    assert Planner().plan([(99, 10)], [(101, 10)], table, 2) == []


@pytest.mark.parametrize(("moved", "actions"), [(2, 0), (-2, 0), (3, 1), (-3, 1)])
def test_order_within_the_tolerance_keeps_its_place(moved: int, actions: int) -> None:
    table = OrderTable()
    rested(table, BUY, 99)
    assert len(Planner(tolerance_ticks=2).plan([(99 + moved, 10)], [], table, 2)) == actions


@pytest.mark.parametrize(("wanted", "actions"), [(10, 0), (8, 0), (7, 1), (13, 0), (14, 1)])
def test_quantity_within_the_tolerance_keeps_its_place(wanted: int, actions: int) -> None:
    table = OrderTable()
    rested(table, BUY, 99, 10)
    plan = Planner(qty_tolerance_ppm=250_000).plan([(99, wanted)], [], table, 2)
    assert len(plan) == actions
    assert all(a.why is ActionWhy.WHY_RESIZED for a in plan)


def test_moved_order_is_amended_to_the_total_quantity() -> None:
    table = OrderTable()
    seq = rested(table, BUY, 99, 10)
    table.fill(seq, 99, 4, 2)
    (action,) = Planner().plan([(97, 10)], [], table, 3)
    assert short([action]) == [("AMEND", "MOVED", seq, 97)]
    assert action.qty_lots == 14


def test_tolerance_is_cut_where_levels_are_close() -> None:
    table = OrderTable()
    rested(table, BUY, 99)
    near = Planner(tolerance_ticks=5)
    assert near.plan([(97, 10), (92, 10)], [], table, 2)[0].kind is PLACE  # 2 of half of 5
    assert near.plan([(97, 10), (93, 10)], [], table, 2)[0].kind is AMEND  # 1 of half of 4


def test_resized_order_keeps_its_price_within_the_tolerance() -> None:
    table = OrderTable()
    seq = rested(table, BUY, 99, 10)
    (action,) = Planner(tolerance_ticks=3).plan([(98, 5)], [], table, 3)
    assert short([action]) == [("AMEND", "RESIZED", seq, 99)]
    assert action.qty_lots == 5


def test_shifted_ladder_moves_one_order() -> None:
    table = OrderTable()
    seqs = [rested(table, BUY, 99 - i, level=i) for i in range(5)]
    plan = Planner().plan([(100 - i, 10) for i in range(5)], [], table, 2)
    assert short(plan) == [("AMEND", "MOVED", seqs[4], 100)]


def test_shifted_ladder_relabels_the_orders_it_keeps() -> None:
    table = OrderTable()
    for i in range(3):
        rested(table, BUY, 99 - i, level=i)
    ladder = [(100 - i, 10) for i in range(3)]
    planner = Planner()
    apply(table, planner.plan(ladder, [], table, 2))
    answer(table)
    assert planner.plan(ladder, [], table, 4) == []
    assert {o.price_ticks: o.level for o in table.live()} == {100: 0, 99: 1, 98: 2}


def test_surplus_order_is_cancelled() -> None:
    table = OrderTable()
    rested(table, BUY, 99)
    seq = rested(table, BUY, 95)
    assert short(Planner().plan([(99, 10)], [], table, 2)) == [("CANCEL", "UNWANTED", seq, 95)]


def test_empty_ladder_cancels_all_that_rests() -> None:
    table = OrderTable()
    seqs = [rested(table, BUY, 99), rested(table, SELL, 101)]
    table.place(BUY, 1, 98, 10, now_ns=1)
    assert [a.seq for a in Planner().plan([], [], table, 2)] == seqs


def test_order_with_a_cancel_under_way_displaces_no_order() -> None:
    table = OrderTable()
    rested(table, BUY, 499)
    surplus = rested(table, BUY, 500)
    planner = Planner(tolerance_ticks=1)
    plan = planner.plan([(499, 10)], [], table, 2)
    assert short(plan) == [("CANCEL", "UNWANTED", surplus, 500)]
    apply(table, plan)
    assert planner.plan([(499, 10)], [], table, 3) == []


def test_order_that_waits_for_its_way_is_not_displaced_by_one_that_leaves() -> None:
    table = OrderTable()
    bid, ask = rested(table, BUY, 499), rested(table, SELL, 501)
    leaving = rested(table, BUY, 498)
    table.cancel_sent(leaving, 2)
    table.cancel_sent(ask, 2)
    planner = Planner()
    assert planner.plan([(501, 10)], [], table, 3) == []
    table.event(ask, OrderEvent.EV_CANCELLED, 4)
    assert short(planner.plan([(501, 10)], [], table, 5)) == [("AMEND", "MOVED", bid, 501)]


def test_without_amend_the_level_waits_for_the_cancel() -> None:
    table = OrderTable()
    seq = rested(table, BUY, 99)
    planner = Planner(amend_supported=False)
    plan = planner.plan([(97, 10)], [], table, 2)
    assert short(plan) == [("CANCEL", "MOVED", seq, 99)]
    apply(table, plan)
    assert planner.plan([(97, 10)], [], table, 3) == []
    answer(table)
    assert short(planner.plan([(97, 10)], [], table, 4)) == [("PLACE", "MISSING", BUY, 97)]


@pytest.mark.parametrize(
    "event", [OrderEvent.EV_UNDECIDED, OrderEvent.EV_CANCEL_SENT, OrderEvent.EV_TIMEOUT]
)
def test_order_under_way_is_not_touched_and_holds_its_level(event: OrderEvent) -> None:
    table = OrderTable()
    seq = table.place(BUY, 0, 99, 10, now_ns=1)
    if event:
        table.event(seq, event, 2)
    planner = Planner()
    assert planner.plan([(99, 10)], [], table, 3) == []
    assert planner.plan([(80, 10)], [], table, 3) == []
    assert planner.plan([], [], table, 3) == []
    assert short(planner.plan([(80, 10), (79, 10)], [], table, 3)) == [
        ("PLACE", "MISSING", BUY, 79)
    ]


def test_nearest_of_two_orders_at_a_level_stays() -> None:
    table = OrderTable()
    near, far = rested(table, BUY, 500), rested(table, BUY, 498)
    planner = Planner(tolerance_ticks=3)
    assert short(planner.plan([(500, 10)], [], table, 2)) == [("CANCEL", "UNWANTED", far, 498)]
    assert short(planner.plan([(498, 10)], [], table, 2)) == [("CANCEL", "UNWANTED", near, 500)]


def test_order_of_the_right_quantity_stays_before_a_nearer_one() -> None:
    table = OrderTable()
    right, near = rested(table, BUY, 500, 10), rested(table, BUY, 498, 7)
    plan = Planner(tolerance_ticks=3).plan([(498, 10)], [], table, 2)
    assert short(plan) == [("CANCEL", "UNWANTED", near, 498)]
    assert right != near


def test_order_within_the_tolerance_moves_when_it_meets_the_wanted_other_side() -> None:
    table = OrderTable()
    bid = rested(table, BUY, 101)
    rested(table, SELL, 103)
    plan = Planner(tolerance_ticks=3).plan([(100, 10)], [(101, 10)], table, 2)
    assert short(plan) == [("AMEND", "CROSSING", bid, 100)]


def test_order_that_would_cross_the_wanted_asks_goes_first() -> None:
    table = OrderTable()
    seq = rested(table, BUY, 99)
    rested(table, BUY, 90)
    plan = Planner().plan([(95, 10), (88, 10)], [(97, 10)], table, 2)
    assert short(plan)[:2] == [
        ("AMEND", "CROSSING", seq, 95),
        ("AMEND", "MOVED", table.live()[1].seq, 88),
    ]
    # The ask itself waits: our bid of 99 still stands.
    assert len(plan) == 2


def test_bid_waits_until_the_own_ask_is_out_of_the_way() -> None:
    table = OrderTable()
    bid, ask = rested(table, BUY, 99), rested(table, SELL, 101)
    planner = Planner()
    ladder: tuple[list[Level], list[Level]] = ([(109, 10)], [(111, 10)])
    plan = planner.plan(*ladder, table, 2)
    assert short(plan) == [("AMEND", "CROSSING", ask, 111)]
    apply(table, plan)
    assert planner.plan(*ladder, table, 3) == []
    answer(table)
    assert short(planner.plan(*ladder, table, 4)) == [("AMEND", "MOVED", bid, 109)]


def test_small_move_up_amends_asks_first_and_down_bids_first() -> None:
    table = OrderTable()
    bid, ask = rested(table, BUY, 90), rested(table, SELL, 110)
    assert [a.seq for a in Planner().plan([(92, 10)], [(112, 10)], table, 2)] == [ask, bid]
    assert [a.seq for a in Planner().plan([(88, 10)], [(108, 10)], table, 2)] == [bid, ask]


def test_crossed_own_book_is_opened_by_a_cancel() -> None:
    table = OrderTable()
    bid, ask = rested(table, BUY, 100), rested(table, SELL, 100)
    plan = Planner().plan([(99, 10)], [(101, 10)], table, 2)
    assert [(a.seq, a.kind) for a in plan] == [(bid, AMEND), (ask, AMEND)]
    plan = Planner().plan([(105, 10)], [(106, 10)], table, 2)
    assert short(plan) == [("AMEND", "CROSSING", ask, 106)]


def test_stale_order_is_cancelled_and_its_level_waits() -> None:
    table = OrderTable()
    seq = rested(table, BUY, 99)
    planner = Planner(order_age_ns_max=100)
    assert planner.plan([(99, 10)], [], table, 101) == []
    plan = planner.plan([(99, 10)], [], table, 102)
    assert short(plan) == [("CANCEL", "STALE", seq, 99)]
    apply(table, plan, 102)
    answer(table, 103)
    assert short(planner.plan([(99, 10)], [], table, 104)) == [("PLACE", "MISSING", BUY, 99)]


def test_cancel_all_leaves_out_cancels_under_way_and_repeats_what_failed_ever_later() -> None:
    table = OrderTable()
    resting, pending = rested(table, BUY, 99), table.place(SELL, 0, 101, 10, now_ns=1)
    amending, cancelling = rested(table, BUY, 98), rested(table, BUY, 97)
    doubtful, silent = rested(table, BUY, 96), table.place(SELL, 1, 102, 10, now_ns=1)
    table.amend_sent(amending, 95, 10, 2)
    table.cancel_sent(cancelling, 2)
    table.cancel_sent(doubtful, 2)
    table.event(doubtful, OrderEvent.EV_CANCEL_REJECTED, 3)
    table.event(silent, OrderEvent.EV_TIMEOUT, 3)
    planner = Planner()
    plan = planner.plan_cancel_all(table, 4)
    assert [a.seq for a in plan] == [resting, pending, amending, silent]
    assert all(a.kind is CANCEL and a.why is ActionWhy.WHY_RISK for a in plan)
    apply(table, plan)
    second = 10**9
    assert planner.plan_cancel_all(table, second) == []
    again = [a.seq for a in planner.plan_cancel_all(table, 5 + second)]
    assert again == [doubtful, silent]  # the others' cancels are under way
    table.cancel_sent(doubtful, 5 + second)
    table.event(doubtful, OrderEvent.EV_CANCEL_REJECTED, 6 + second)
    assert [a.seq for a in planner.plan_cancel_all(table, 4 + 3 * second)] == [silent]
    assert [a.seq for a in planner.plan_cancel_all(table, 5 + 3 * second)] == [doubtful, silent]


def test_cancel_the_venue_refuses_for_ever_is_asked_for_ever_more_seldom() -> None:
    table = OrderTable()
    seq = rested(table, BUY, 99)
    planner, sent_ns = Planner(), []
    for now_ns in range(1, 600 * 10**9, 50 * 10**6):  # ten minutes
        if planner.plan_cancel_all(table, now_ns):
            sent_ns.append(now_ns)
            table.cancel_sent(seq, now_ns)
            table.event(seq, OrderEvent.EV_CANCEL_REJECTED, now_ns)
    waits = [round((b - a) / 1e9) for a, b in pairwise(sent_ns)]
    assert waits[:6] == [1, 2, 4, 8, 16, 16]
    assert set(waits[6:]) == {16}
    # Left in peace for a minute, it is an order as any other.
    later = sent_ns[-1] + 61 * 10**9
    assert len(planner.plan_cancel_all(table, later)) == 1
    table.cancel_sent(seq, later)
    table.event(seq, OrderEvent.EV_CANCEL_REJECTED, later)
    assert len(planner.plan_cancel_all(table, later + 10**9)) == 1


def test_more_actions_than_fit_wait_for_the_next_plan() -> None:
    table = OrderTable()
    for i in range(200):
        rested(table, BUY, i + 1)
    planner = Planner()
    assert len(planner.plan([], [], table, 2)) == 128
    apply(table, planner.planned())
    answer(table)
    assert len(planner.plan([], [], table, 4)) == 72


def test_bad_arguments_are_refused() -> None:
    for bad in ((-1, 0, 0), (1 << 30, 0, 0), (0, -1, 0), (0, 0, -1)):
        with pytest.raises(ValueError, match="must"):
            Planner(bad[0], bad[1], True, bad[2])
    with pytest.raises(ValueError, match="at most 32"):
        Planner().plan([(i + 1, 1) for i in range(33)], [], OrderTable(), 1)
    with pytest.raises(ValueError, match="must be positive"):
        Planner().plan([(1, 0)], [], OrderTable(), 1)


# ------------------------------------------------------------------ properties

MID = 500


@dataclass
class World:
    """A table in any state, a ladder, and a planner's settings."""

    table: OrderTable
    bids: list[Level]
    asks: list[Level]
    settings: dict[str, int] = field(default_factory=dict)
    queue: Queue = field(default_factory=Queue)

    @property
    def planner(self) -> Planner:
        """A planner of these settings."""
        s = self.settings
        return Planner(s["tolerance"], s["qty_ppm"], bool(s["amend"]), s["age"], self.queue)

    def held(self, side: int, touchable: set[int]) -> oracle.Places:
        """What the places of a side let its orders be off by."""
        levels = self.bids if side == BUY else self.asks
        if not self.queue.on:
            return oracle.NO_PLACES
        told = {seq: self.queue.place(self.table, seq) for seq in touchable}
        worth = {seq: 0 if place is None else place.worth_ticks for seq, place in told.items()}
        half = (self.asks[0][0] - self.bids[0][0]) * 500_000 if self.bids and self.asks else 0
        return oracle.places(levels, half, self.settings["tolerance"], worth)


STATES = st.sampled_from(["open"] * 6 + ["part", "new", "amend", "cancel", "unknown"])
QTY = st.integers(5, 15)


@st.composite
def worlds(draw: st.DrawFn, quiet: bool = False) -> World:
    """Draw a world; `quiet`: nothing under way, own bids below own asks."""
    table = OrderTable()
    wide = draw(st.sampled_from([3, 12, 60]))
    own_mid = MID + draw(st.integers(-wide, wide))
    now_ns = 1
    for side in (BUY, SELL):
        sign = -1 if side is BUY else 1
        offsets = draw(st.lists(st.integers(1, wide), max_size=9, unique=True))
        for offset in offsets:
            state = "open" if quiet else draw(STATES)
            price = own_mid + sign * offset
            seq = table.place(side, draw(st.integers(0, 9)), price, draw(QTY), now_ns=now_ns)
            if state in ("open", "part", "amend", "cancel"):
                table.event(seq, OrderEvent.EV_ACKED, now_ns)
            if state == "part":
                table.fill(seq, price, draw(st.integers(1, 4)), now_ns)
            elif state == "amend":
                table.amend_sent(seq, price + sign * draw(st.integers(0, 9)), draw(QTY), now_ns)
            elif state == "cancel":
                table.cancel_sent(seq, now_ns)
            elif state == "unknown":
                table.event(seq, OrderEvent.EV_TIMEOUT, now_ns)
            now_ns += 1
    mid = MID + draw(st.integers(-wide, wide))
    apart = draw(st.sampled_from([1, 1, 7]))  # levels far apart: several orders are near one
    levels: list[list[Level]] = []
    for sign in (-1, 1):
        offsets = sorted(draw(st.lists(st.integers(1, wide), max_size=9, unique=True)))
        levels.append([(mid + sign * (1 + (o - 1) * apart), draw(QTY)) for o in offsets])
    settings_ = {
        "tolerance": draw(st.sampled_from([0, 0, 1, 2, 5])),
        "qty_ppm": draw(st.sampled_from([0, 200_000, 1_000_000])),
        "amend": draw(st.sampled_from([1, 1, 0])),
        "age": draw(st.sampled_from([0, 0, 8])),
    }
    queue = Queue(draw(st.sampled_from([0, 1, 4, 30])))
    queued(draw, queue, table)
    return World(table, levels[0], levels[1], settings_, queue)


def queued(draw: st.DrawFn, queue: Queue, table: OrderTable) -> None:
    """Let the book show others around the orders, before them and behind."""
    book = Book()
    for side, price in ((0, 1), (1, 1 << 20)):
        book.apply(side, price, 1)
    for _ in range(2):
        for order in table.live():
            lots = table.own_lots_at(order.side, order.price_ticks) + draw(st.integers(0, 40))
            book.apply(order.side - 1, order.price_ticks, lots)
        book.verify(1)
        queue.look(book, table)
    for order in table.live():
        queue.trade(table, 3 - order.side, order.price_ticks, draw(st.integers(1, 30)))


@settings(max_examples=200, deadline=None)
@given(worlds(), st.lists(st.tuples(st.sampled_from([BUY, SELL]), STATES), max_size=5))
def test_orders_beside_the_ladder_are_neither_matched_nor_counted(
    world: World, others: list[tuple[int, str]]
) -> None:
    """So far from the ladder that they are in no level's way, they change no plan."""
    wanted = [plan_of(world)]
    for number, (side, state) in enumerate(others):
        price = 1 + number if side == BUY else 10 * MID + number
        seq = world.table.place(side, Lane.LANE_HAND, price, 10, now_ns=1)
        if state != "new":
            world.table.event(seq, OrderEvent.EV_ACKED, 1)
        if state == "cancel":
            world.table.cancel_sent(seq, 1)
        elif state == "unknown":
            world.table.event(seq, OrderEvent.EV_TIMEOUT, 1)
    wanted.append(plan_of(world))
    assert wanted[0] == wanted[1]
    assert [order.level for order in world.table.live()[world.table.ladder_count :]] == [
        Lane.LANE_HAND
    ] * len(others)


def plan_of(world: World) -> list[ActionView]:
    made = Planner(
        tolerance_ticks=world.settings["tolerance"], qty_tolerance_ppm=world.settings["qty_ppm"],
        amend_supported=bool(world.settings["amend"]), order_age_ns_max=world.settings["age"],
    )  # fmt: skip
    return made.plan(world.bids, world.asks, world.table, 100)


def test_order_beside_the_ladder_is_in_the_way_of_a_level() -> None:
    table = OrderTable()
    table.place(BUY, Lane.LANE_HAND, 99, 10, now_ns=1)
    table.place(SELL, Lane.LANE_FLATTEN, 103, 10, now_ns=1)
    planner = Planner()
    plan = planner.plan([(99, 10), (98, 10)], [], table, 2)
    assert short(plan) == [("PLACE", "MISSING", BUY, 98)]
    # Nor is anything placed that would meet it.
    assert planner.plan([(103, 10)], [], table, 2) == []
    assert len(planner.plan_cancel_all(table, 2)) == 2


def test_planner_takes_other_parameters_while_it_runs() -> None:
    table = OrderTable()
    rested(table, BUY, 99)
    planner = Planner()
    assert short(planner.plan([(97, 10)], [], table, 2)) == [("AMEND", "MOVED", 512, 97)]
    planner.set_params(tolerance_ticks=2, qty_tolerance_ppm=0, order_age_ns_max=0)
    assert planner.plan([(97, 10)], [], table, 2) == []
    planner.set_params(tolerance_ticks=2, qty_tolerance_ppm=0, order_age_ns_max=1)
    assert short(planner.plan([(99, 10)], [], table, 9)) == [("CANCEL", "STALE", 512, 99)]
    with pytest.raises(ValueError, match="must not be negative"):
        planner.set_params(tolerance_ticks=0, qty_tolerance_ppm=-1, order_age_ns_max=0)


def ahead_of(table: OrderTable, queue: Queue, lots: dict[int, tuple[int, int]]) -> None:
    """Put others in front of orders and behind them: by sequence, lots of either."""
    book = Book()
    for side, price in ((0, 1), (1, 1 << 20)):
        book.apply(side, price, 1)
    for part in range(2):
        for seq, around in lots.items():
            order = table.get(seq)
            assert order is not None
            shown = sum(around[: part + 1]) + order.qty_lots
            book.apply(order.side - 1, order.price_ticks, shown)
        book.verify(1)
        queue.look(book, table)


@pytest.mark.parametrize(
    ("ahead", "behind", "off", "moves"),
    [
        (0, 60, 8, False),  # the front: worth 8 ticks
        (0, 60, 9, True),
        (30, 30, 4, False),  # the middle: worth 4
        (30, 30, 5, True),
        (60, 0, 0, False),  # the back: worth nothing
        (60, 0, 1, True),
    ],
)
def test_order_stays_while_its_place_is_worth_more_than_its_move(
    ahead: int, behind: int, off: int, moves: bool
) -> None:
    table, queue = OrderTable(), Queue(8)
    seq = rested(table, BUY, 900)
    ahead_of(table, queue, {seq: (ahead, behind)})
    planner = Planner(queue=queue)
    plan = planner.plan([(900 + off, 10)], [(1100, 10)], table, 2)
    moved = [one for one in short(plan) if one[0] != "PLACE"]  # the ask
    assert moved == ([("AMEND", "MOVED", seq, 900 + off)] if moves else [])
    assert planner.held_count == (not moves and off > 0)


@pytest.mark.parametrize(("off", "moves"), [(8, False), (9, True), (-4, False), (-5, True)])
def test_place_holds_an_order_that_is_too_good_half_as_far_as_a_shy_one(
    off: int, moves: bool
) -> None:
    table, queue = OrderTable(), Queue(100)
    seq = rested(table, BUY, 900)
    ahead_of(table, queue, {seq: (0, 60)})
    wanted = 900 + off
    plan = Planner(queue=queue).plan([(wanted, 10)], [(wanted + 32 + off % 3, 10)], table, 2)
    assert len(plan) == 1 + moves  # the ask is placed


@pytest.mark.parametrize(
    ("off", "moves"), [(4, False), (5, False), (6, True), (-4, False), (-5, True), (-6, True)]
)
def test_place_holds_an_order_within_half_a_level(off: int, moves: bool) -> None:
    table, queue = OrderTable(), Queue(100)
    first, second = rested(table, BUY, 900), rested(table, BUY, 890)
    ahead_of(table, queue, {first: (0, 60), second: (0, 60)})
    plan = Planner(queue=queue).plan(
        [(900 + off, 10), (890 + off, 10)], [(1100, 10)], table, 2
    )  # fmt: skip
    # Nearer to the next level than to its own, an order serves that one: one move, not two.
    moved = second if off > 0 else first
    assert [a.seq for a in plan if a.kind is AMEND] == ([moved] if moves else [])


@pytest.mark.parametrize(
    ("lots", "moved"),
    [
        (8, ("AMEND", "RESIZED", 900)),  # smaller, it keeps its place
        (12, ("AMEND", "MOVED", 906)),  # larger, it has none to keep
    ],
)
def test_order_that_grows_has_no_place_to_stay_off_for(
    lots: int, moved: tuple[str, str, int]
) -> None:
    table, queue = OrderTable(), Queue(8)
    seq = rested(table, BUY, 900)
    ahead_of(table, queue, {seq: (0, 60)})
    [plan] = [
        one
        for one in Planner(queue=queue).plan([(906, lots)], [(1100, 10)], table, 2)
        if one.kind is AMEND
    ]
    kind, why, price = moved
    assert short([plan]) == [(kind, why, seq, price)]
    assert plan.qty_lots == lots


def test_order_that_grows_waits_where_its_way_is_not_free() -> None:
    table, queue = OrderTable(), Queue(8)
    seq = rested(table, BUY, 900)
    ahead_of(table, queue, {seq: (0, 60)})
    table.place(SELL, 0, 906, 10, now_ns=1)
    planner = Planner(queue=queue)
    plan = planner.plan([(906, 12)], [(1100, 10)], table, 2)
    assert [one.kind for one in plan if one.seq == seq] == []


def test_of_two_orders_at_a_level_the_better_place_stays() -> None:
    table, queue = OrderTable(), Queue(10)
    back, front = rested(table, BUY, 901), rested(table, BUY, 899)
    ahead_of(table, queue, {back: (60, 0), front: (0, 60)})
    plan = Planner(tolerance_ticks=3, queue=queue).plan([(901, 10)], [(1100, 10)], table, 2)
    assert short(plan)[0] == ("CANCEL", "UNWANTED", back, 901)


def test_worth_that_changes_while_it_runs_changes_the_plan() -> None:
    table, queue = OrderTable(), Queue(8)
    seq = rested(table, BUY, 900)
    ahead_of(table, queue, {seq: (0, 60)})
    planner = Planner(queue=queue)
    ladder: tuple[list[Level], list[Level]] = ([(906, 10)], [(1100, 10)])
    assert len(planner.plan(*ladder, table, 2)) == 1  # the ask
    queue.set_params(value_ticks=5, model=1, power=1)
    assert ("AMEND", "MOVED", seq, 906) in short(planner.plan(*ladder, table, 2))


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_plan_never_does_what_no_plan_may(world: World) -> None:
    before = world.table.live()
    plan = world.planner.plan(world.bids, world.asks, world.table, 12)
    assert oracle.violations(before, plan, bool(world.settings["amend"])) == []
    assert [o._replace(level=0) for o in world.table.live()] == [
        o._replace(level=0) for o in before
    ]
    for side, levels in ((BUY, world.bids), (SELL, world.asks)):
        own = [o for o in before if o.side == side]
        placed = [a for a in plan if a.kind is PLACE and a.side == side]
        gone = sum(a.kind is CANCEL and a.side == side for a in plan)
        # One order a level: what was live, cancels included, and what is placed.
        assert not placed or len(own) + len(placed) <= len(levels) + gone
        resting = [o for o in own if o.state in oracle.RESTING]
        assert len(own) - len(resting) + len(placed) <= max(len(levels), len(own) - len(resting))


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_second_plan_before_any_answer_is_empty(world: World) -> None:
    planner = world.planner
    apply(world.table, planner.plan(world.bids, world.asks, world.table, 12), 12)
    assert planner.plan(world.bids, world.asks, world.table, 12) == []


def resting_and_crossing(
    world: World, side: int, now_ns: int
) -> tuple[list[OrderView], set[int], set[int]]:
    own = [o for o in world.table.live() if o.side == side]
    age = world.settings["age"]
    touchable = {
        o.seq
        for o in own
        if o.state in oracle.RESTING and not (age and now_ns - o.amended_ns > age)
    }
    other = world.asks if side == BUY else world.bids
    crossing = {
        o.seq
        for o in own
        if o.seq in touchable
        and other
        and (o.price_ticks >= other[0][0] if side == BUY else o.price_ticks <= other[0][0])
    }
    return own, touchable, crossing


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_as_many_orders_stay_as_any_matching_allows(world: World) -> None:
    """Compare what is kept with the best of all monotone matchings, found by search."""
    qty_ppm = world.settings["qty_ppm"]
    wanted: dict[int, tuple[int, int, int]] = {}
    for side, levels in ((BUY, world.bids), (SELL, world.asks)):
        tolerance = oracle.effective(levels, world.settings["tolerance"])
        own, touchable, crossing = resting_and_crossing(world, side, 12)
        leaving = {
            o.seq
            for o in own
            if o.state is OrderState.PENDING_CANCEL
            or (o.state in oracle.RESTING and o.seq not in touchable)
        }
        best = oracle.best_fit(
            own, levels, touchable, leaving, crossing, tolerance, qty_ppm,
            world.held(side, touchable),
        )  # fmt: skip
        wanted[side] = (best[1], best[2], len(touchable))
    plan = world.planner.plan(world.bids, world.asks, world.table, 12)
    for side in (BUY, SELL):
        kept, resized, touchable_count = wanted[side]
        changed = {
            a.seq
            for a in plan
            if a.side == side and a.kind is not PLACE and a.why is not ActionWhy.WHY_STALE
        }
        count = sum(a.side == side and a.why is ActionWhy.WHY_RESIZED for a in plan)
        assert count == resized
        assert touchable_count - len(changed) >= kept


@settings(max_examples=200, deadline=None)
@given(worlds(quiet=True))
def test_plan_is_as_small_as_can_be_when_nothing_is_in_the_way(world: World) -> None:
    world.settings |= {"amend": 1, "age": 0}
    qty_ppm = world.settings["qty_ppm"]
    bound = 0
    for side, levels in ((BUY, world.bids), (SELL, world.asks)):
        tolerance = oracle.effective(levels, world.settings["tolerance"])
        own, touchable, crossing = resting_and_crossing(world, side, 12)
        bound += oracle.action_count(
            own, levels, touchable, crossing, tolerance, qty_ppm, world.held(side, touchable)
        )
    totals = world.table.totals()
    plan = world.planner.plan(world.bids, world.asks, world.table, 12)
    blocked = (
        world.bids and totals.best_sell_ticks and world.bids[0][0] >= totals.best_sell_ticks
    ) or (world.asks and totals.best_buy_ticks and world.asks[0][0] <= totals.best_buy_ticks)
    assert len(plan) <= bound
    if not blocked:
        assert len(plan) == bound


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_answered_plans_reach_the_wanted_ladder(world: World) -> None:
    """Plan and answer by turns: within a few rounds the live orders are the ladder."""
    planner = world.planner
    now_ns = 12
    for _ in range(5):
        if world.settings["age"]:
            now_ns = 12  # time stands still, or the young orders age too
        plan = planner.plan(world.bids, world.asks, world.table, now_ns)
        apply(world.table, plan, now_ns)
        answer(world.table, now_ns)
    assert planner.plan(world.bids, world.asks, world.table, now_ns) == []
    qty_ppm = world.settings["qty_ppm"]
    best: dict[int, int] = {}
    for side, levels in ((BUY, world.bids), (SELL, world.asks)):
        tolerance = oracle.effective(levels, world.settings["tolerance"])
        own = [o for o in world.table.live() if o.side == side]
        assert len(own) == len(levels)
        assert sorted(o.level for o in own) == list(range(len(levels)))
        for order in own:
            held = world.held(side, {one.seq for one in own})
            assert oracle.near(order, levels[order.level], tolerance, held)
            assert oracle.sized(order, levels[order.level], qty_ppm)
        prices = sorted(o.price_ticks for o in own)
        best[side] = (prices[-1] if side is BUY else prices[0]) if prices else 0
    if best[BUY] and best[SELL]:
        assert best[BUY] < best[SELL]
