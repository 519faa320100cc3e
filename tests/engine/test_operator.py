"""Commands of operators and their clients: through every check, once, within caps, replayable."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from openmm._fast.orders import Lane
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm.engine.commands import (
    Caller,
    Cancel,
    Command,
    Flatten,
    Halt,
    Orders,
    Pause,
    Place,
    Preview,
    Request,
    Resume,
    Set,
    Status,
    Tighten,
    Undo,
)
from openmm.engine.replay import replay
from openmm.engine.rundir import RunDir
from openmm.errors import OpenMMError
from openmm.journal import JournalRecord, read_command, read_intent
from openmm.sim.faults import chaos
from openmm.testing.virtual import VirtualBot
from tests.e2e import virtual
from tests.e2e.checker import check

CAPS = {"orders_per_minute": "3", "order_notional": "700", "notional_per_hour": "2500"}


class Desk:
    """A bot on a virtual clock, and who commands it."""

    def __init__(self, folder: Path, seed: int = 3, *, faulty: bool = False, **risk: Any) -> None:
        faults = chaos(seed) if faulty else None
        self.bot: VirtualBot = virtual.bot(folder, seed, faults=faults, **risk)
        self.bot.start()
        self.bot.run(3)

    def tell(
        self, command: Command, client: str = "", caps: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Send a command, as the socket does."""
        granted = CAPS if client and caps is None else caps or {}
        caller = Caller("test", "ann", 1, 2, client, granted)
        engine = self.bot.engine
        return self.bot.loop.run_until_complete(engine.on_command(Request(0, command, caller)))

    def refused(self, command: Command, client: str = "", **other: Any) -> OpenMMError:
        """Send a command that has to be refused; return the error."""
        with pytest.raises(OpenMMError) as caught:
            self.tell(command, client, **other)
        return caught.value

    def until(self, holds: Callable[[], bool], seconds: float = 120) -> None:
        """Let virtual time pass until something holds."""
        for _ in range(int(2 * seconds)):
            if holds():
                return
            self.bot.run(0.5)
        raise AssertionError(f"not within {seconds:g} s")

    def orders(self) -> list[dict[str, Any]]:
        """Return the live orders as the bot tells them."""
        told = self.tell(Orders())
        rows: list[dict[str, Any]] = told["orders"]
        return rows

    def by_hand(self) -> list[dict[str, Any]]:
        """Return those placed by hand."""
        return [one for one in self.orders() if one["by"].startswith("hand")]

    def price(self, ticks_away: int, side: str = "buy") -> str:
        """Return a price behind the best one of a side."""
        book = self.bot.tables.pipeline.feed.book
        best = book.best_bid_ticks if side == "buy" else book.best_ask_ticks
        assert best is not None
        ticks = best - ticks_away if side == "buy" else best + ticks_away
        return f"{self.bot.tables.instrument.price(ticks):f}"

    def end(self) -> list[JournalRecord]:
        """Stop the bot; its journal has to replay, and an independent look to find nothing."""
        self.bot.venue.strikes.end(self.bot.now_ns)
        table = self.bot.tables.pipeline.table
        # What a fault left in doubt is proven by questions, which takes its time.
        self.until(lambda: table.unknown_count == 0, 300)
        assert self.bot.stop() in (0, 3)
        records = self.bot.records
        found = replay(records)
        assert found.difference is None
        assert found.ended
        assert self.bot.differences() == {}
        seen = check(records)
        assert seen.found == []
        return records


@contextmanager
def desk_at(folder: Path, seed: int = 3, *, faulty: bool = False, **risk: Any) -> Iterator[Desk]:
    """Open a desk for a block; its bot has stopped after it."""
    opened = Desk(folder, seed, faulty=faulty, **risk)
    try:
        yield opened
    finally:
        if opened.bot.exit_code is None:
            opened.bot.stop()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path) as opened:
        yield opened


def test_order_by_hand_is_the_planners_no_more_than_a_strangers(desk: Desk) -> None:
    told = desk.tell(Place("buy", "0.01", desk.price(3000)))
    placed = told["order"]
    assert (placed["side"], placed["qty"], placed["by"]) == ("buy", "0.01000000", "hand:local")
    desk.bot.run(40)
    # Beside the whole ladder, at the venue too.
    desk.until(lambda: len(desk.bot.open_orders()) == len(desk.orders()) == 7)
    (order,) = desk.by_hand()
    assert order["state"] == "open"
    assert (order["client_id"], order["price"]) == (placed["client_id"], placed["price"])
    assert order["venue_id"]
    status = desk.tell(Status())
    assert (status["client_orders"], status["ladder_orders"]) == (1, 6)
    told = desk.tell(Cancel(order["venue_id"]))
    assert (told["cancelled"], told["orders"]) == (1, [order["client_id"]])
    desk.bot.run(2)
    assert desk.by_hand() == []
    records = desk.end()
    lanes = [
        one.action for one in map(read_intent, _of(records, Record.REC_INTENT))
        if one.action.level == Lane.LANE_HAND
    ]  # fmt: skip
    assert [one.kind for one in lanes] == [ActionKind.ACTION_PLACE, ActionKind.ACTION_CANCEL]


def _of(records: list[JournalRecord], kind: Record) -> list[bytes]:
    return [one.payload for one in records if one.kind == kind]


def test_refusal_tells_check_limit_and_value(desk: Desk) -> None:
    error = desk.refused(Place("buy", "0.03", desk.price(3000)))
    assert error.code == "refused"
    assert error.details == {
        "reason": "order_size_max", "limit": "0.02000000 BTC", "value": "0.03000000 BTC",
    }  # fmt: skip
    error = desk.refused(Place("sell", "0.01", desk.price(1)))
    assert error.details["reason"] == "post_only_cross"
    error = desk.refused(Place("buy", "0.01", "30000"))
    assert (error.details["reason"], error.details["limit"]) == ("price_collar", "5%")
    assert "order refused by the check price_collar: limit 5%" in str(error)
    for command, code in (
        (Place("long", "0.01", "60000"), "bad_order"),
        (Place("buy", "0.01", "60000.05"), "bad_order"),
        (Place("buy", "NaN", "60000"), "bad_order"),
        (Place("buy", "-1", "60000"), "bad_order"),
        (Place("buy", "1e9", "60000"), "bad_order"),
        (Cancel("nobody"), "no_order"),
        (Cancel(""), "no_order"),
    ):
        assert desk.refused(command).code == code
    assert desk.by_hand() == []
    desk.end()


@pytest.mark.parametrize("brake", [Pause(), Halt("news"), Tighten(max_orders="9"), Cancel("all")])
def test_whatever_withdraws_the_quotes_takes_orders_by_hand_along(
    desk: Desk, brake: Command
) -> None:
    desk.tell(Place("sell", "0.01", desk.price(2000, "sell")))
    desk.bot.run(10)
    assert len(desk.by_hand()) == 1
    desk.tell(brake)
    desk.until(lambda: desk.by_hand() == [], 5)
    if isinstance(brake, Pause | Halt):
        assert desk.orders() == []
        assert desk.refused(Place("sell", "0.01", desk.price(2000, "sell"))).code == "refused"
    else:
        desk.until(lambda: len(desk.orders()) == 6)
        assert {one["by"] for one in desk.orders()} == {"ladder"}
    desk.end()


def test_cancel_all_says_that_the_bot_quotes_on(desk: Desk) -> None:
    desk.until(lambda: len(desk.orders()) == 6)
    told = desk.tell(Cancel("all"))
    assert told["cancelled"] == len(told["orders"]) == 6
    assert "may come back" in told["note"]
    gone = set(told["orders"])
    desk.until(lambda: not gone & {one["client_id"] for one in desk.orders()}, 5)
    desk.until(lambda: len(desk.orders()) == 6)
    desk.tell(Pause())
    assert desk.tell(Cancel("all"))["note"] == "the bot does not quote"


def test_command_with_a_key_happens_once_and_with_other_arguments_not_at_all(desk: Desk) -> None:
    first = Place("buy", "0.01", desk.price(3000), "", "k1")
    told = desk.tell(first)
    again = desk.tell(first)
    assert again == {**told, "repeated": True}
    assert len(desk.by_hand()) == 1
    assert desk.refused(msgspec.structs.replace(first, qty="0.011")).code == "key_reused"
    assert desk.refused(Flatten("", "k1")).code == "key_reused"
    # Another client's key is another key.
    desk.tell(msgspec.structs.replace(first, price=desk.price(3100)), "mcp")
    assert len(desk.by_hand()) == 2
    # What was refused may be told again.
    bad = Place("buy", "0.5", desk.price(3200), "", "k2")
    assert desk.refused(bad).code == desk.refused(bad).code == "refused"
    tighten = Tighten(max_orders="10", key="t")
    assert "repeated" not in desk.tell(tighten)
    assert desk.tell(tighten)["repeated"] is True
    desk.tell(Pause(key="p"))
    desk.tell(Resume(key="r"))
    assert desk.tell(Resume(key="r"))["repeated"] is True
    # A brake brakes again: it was let go in between.
    assert desk.tell(Pause(key="p"))["risk_state"] == "PAUSED"
    records = desk.end()
    verdicts = [read_command(one).verdict for one in _of(records, Record.REC_COMMAND)]
    assert verdicts.count("repeated") == 3
    assert sum(one.startswith("refused") for one in verdicts) == 2


def test_client_is_held_to_its_caps_by_the_engine_itself(desk: Desk, tmp_path: Path) -> None:
    at = desk.price(3000)
    error = desk.refused(Place("buy", "0.012", at), "mcp")
    assert (error.code, error.details["cap"], error.details["limit"]) == (
        "over_cap", "order_notional", "700",
    )  # fmt: skip
    for step in range(3):
        desk.tell(Place("buy", "0.01", desk.price(3000 + step)), "mcp")
    error = desk.refused(Place("buy", "0.01", desk.price(3010)), "mcp")
    assert (error.code, error.details["cap"]) == ("over_cap", "orders_per_minute")
    # Others, and the bot's own user, are not held back by it.
    desk.tell(Place("buy", "0.01", desk.price(3020)), "other")
    desk.tell(Place("buy", "0.01", desk.price(3030)))
    desk.bot.run(61)
    desk.tell(Place("buy", "0.01", desk.price(3040)), "mcp")
    error = desk.refused(Place("buy", "0.01", desk.price(3050)), "mcp")
    assert (error.code, error.details["cap"]) == ("over_cap", "notional_per_hour")
    used = desk.tell(Status(), "mcp")["used"]
    assert used["orders_per_minute"] == "1"
    assert Decimal(2300) < Decimal(used["notional_per_hour"]) < Decimal(2500)
    # A client of whom nothing was granted places nothing; one with caps of nonsense neither.
    assert desk.refused(Place("buy", "0.001", at), "new", caps={}).code == "over_cap"
    assert desk.refused(Place("buy", "0.001", at), "new", caps={"orders": "1"}).code == "bad_caps"
    # What a check refuses uses nothing up.
    before = desk.tell(Status(), "other")["used"]
    assert desk.refused(Place("buy", "0.01", "30000"), "other").code == "refused"
    assert desk.tell(Status(), "other")["used"] == before
    desk.end()
    # A restart forgives nothing within the hour.
    with desk_at(tmp_path) as again:
        error = again.refused(Place("buy", "0.01", again.price(3000)), "mcp")
        assert error.code == "over_cap"


def test_set_changes_parameters_and_limits_as_one(desk: Desk) -> None:
    changes = '{"strategy.spread": "3bps", "strategy.num_orders": "2", "risk.max_orders": "10"}'
    seen = desk.tell(Preview(changes))
    moved = {one["key"]: (one["before"], one["after"]) for one in seen["diff"]}
    assert moved["strategy.spread"] == ("0.015%", "0.03%")
    assert moved["strategy.num_orders"] == ("3", "2")
    assert moved["risk.max_orders"] == ("12", "10")
    # Follows from the spread, as the file does not say it; what the file says stays.
    assert moved["strategy.spread_max"] == ("0.075%", "0.15%")
    assert "strategy.level_step" not in moved
    assert [len(seen["ladder"][when]["bids"]) for when in ("before", "after")] == [3, 2]
    assert desk.tell(Preview(changes)) == seen
    assert desk.tell(Status())["version"] == 0
    told = desk.tell(Set(changes, "0"))
    assert (told["version"], told["limits"]["max_orders"]) == (1, "10")
    assert told["diff"] == seen["diff"]
    desk.until(lambda: len(desk.orders()) == 4)
    session = folder(desk).read_session()
    assert session["changed"]["strategy.spread"] == "0.03%"
    assert (session["version"], session["tightened"]) == (1, {"max_orders": "10"})
    assert desk.refused(Set(changes, "0")).code == "stale_preview"
    back = desk.tell(Preview(undo="yes"))
    assert {one["key"]: one["after"] for one in back["diff"]}["strategy.spread"] == "0.015%"
    desk.tell(Undo(str(back["version"])))
    assert desk.tell(Status())["changed"] == {}
    assert desk.refused(Undo()).code == "nothing_to_undo"
    desk.until(lambda: len(desk.orders()) == 6)
    desk.end()


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ("{}", "bad_change", "1 to 64 keys"),
        ("[1]", "bad_change", "JSON object"),
        ("{", "bad_change", "JSON object"),
        ('{"strategy.spread": 1}', "bad_change", "a text"),
        ('{"venue.name": "mexc"}', "bad_change", "keys that can be changed"),
        ('{"strategy.kind": "python"}', "bad_change", "got 'kind'"),
        ('{"strategy.nonsense": "1"}', "bad_change", "got 'nonsense'"),
        ('{"strategy.spread": "wide"}', "config", "a share with its unit"),
        ('{"strategy.spread": "0.4"}', "config", "a share with its unit"),
        ('{"strategy.num_orders": "33"}', "config", "less than or equal to 32"),
        ('{"strategy.num_orders": "7"}', "config", "within risk.max_orders, 12"),
        ('{"strategy.order_amount": "0.02"}', "config", "at most risk.max_order_size"),
        ('{"strategy.order_amount": "0.00000000001"}', "config", "venue's minimum"),
        ('{"strategy.fee_budget": "1%"}', "looser", "at most 0%"),
        ('{"risk.max_order_size": "0.03"}', "looser", "at most 0.02"),
        ('{"risk.cooldown": "1s"}', "bad_limit", "known limits"),
        ('{"strategy.target_base": "30%"}', "over_limit", "beyond risk.max_inventory, 0.3"),
        # One that is well does not let the other in.
        ('{"strategy.spread": "3bps", "risk.max_orders": "13"}', "looser", "at most 12"),
    ],
)
def test_set_of_what_the_file_would_not_take_changes_nothing(
    changes: str, code: str, words: str, tmp_path: Path, quiet: Desk
) -> None:
    before = quiet.bot.tables.pipeline.checks.current_limits()
    for command in (Preview(changes), Set(changes)):
        error = quiet.refused(command)
        assert error.code == code
        assert words in str(error)
    assert quiet.tell(Status())["version"] == 0
    assert quiet.bot.tables.pipeline.checks.current_limits() == before


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_at(tmp_path_factory.mktemp("quiet")) as opened:
        yield opened


def test_resume_that_was_shown_before_a_halt_does_not_lift_it(desk: Desk) -> None:
    desk.tell(Halt("first"))
    shown = str(desk.tell(Status())["risk_moves"])
    desk.tell(Halt("again"))
    assert desk.refused(Resume(version=shown)).code == "stale_preview"
    assert desk.tell(Status())["risk_state"] == "HALTED"
    now = str(desk.tell(Status())["risk_moves"])
    assert desk.tell(Resume(version=now))["risk_state"] == "RUNNING"
    desk.end()


def folder(desk: Desk) -> RunDir:
    bot = desk.bot.config.bot
    assert bot.run_dir is not None
    return RunDir(bot.run_dir, bot.name)


def test_what_holds_a_bot_is_on_disk_until_it_is_let_go(desk: Desk) -> None:
    run_dir = folder(desk)
    desk.tell(Halt("first"))
    assert run_dir.why_held() == "halted: operator"
    desk.tell(Resume())
    assert run_dir.why_held() == ""
    desk.tell(Pause())
    assert run_dir.why_held() == "paused: operator"
    desk.end()
    assert run_dir.why_held() == ""  # a pause ends with its session


def test_halt_outlives_its_session_on_disk(desk: Desk) -> None:
    desk.tell(Halt("first"))
    desk.end()
    assert folder(desk).why_held() == "halted: operator"


def test_flatten_works_the_position_off_and_then_pauses(desk: Desk) -> None:
    pipeline, one = desk.bot.tables.pipeline, desk.bot.tables.instrument
    desk.until(lambda: abs(pipeline.inventory.q_lots or 0) > one.floor_lots(Decimal("0.005")))
    held = pipeline.inventory.q_lots
    assert held is not None
    desk.tell(Place("buy", "0.001", desk.price(3000)))
    told = desk.tell(Flatten("enough", "f1"))
    assert desk.tell(Flatten("enough", "f1"))["repeated"] is True
    assert (told["risk_state"], told["risk_reason"]) == ("REDUCING", "flatten")
    assert Decimal(told["flattening"]["left"]) > 0
    # It would wait for that order's end.
    assert desk.refused(Place("sell", "0.001", desk.price(9000))).code == "flattening"
    desk.until(lambda: desk.tell(Status())["risk_state"] == "PAUSED", 400)
    status = desk.tell(Status())
    assert (status["risk_reason"], status["flattening"]) == ("flatten", None)
    assert desk.orders() == []
    assert abs(pipeline.inventory.q_lots or 0) < abs(held) // 4
    desk.tell(Resume())
    desk.until(lambda: len(desk.orders()) == 6)
    records = desk.end()
    moves = [
        action for action in (read_intent(one).action for one in _of(records, Record.REC_INTENT))
        if action.level == Lane.LANE_FLATTEN
    ]  # fmt: skip
    assert {action.side for action in moves} == {2 if held > 0 else 1}


@pytest.mark.parametrize("ends", [Pause(), Halt("news"), Resume()])
def test_flatten_ends_by_pause_halt_and_resume(desk: Desk, ends: Command) -> None:
    pipeline, one = desk.bot.tables.pipeline, desk.bot.tables.instrument
    desk.until(lambda: abs(pipeline.inventory.q_lots or 0) > one.floor_lots(Decimal("0.005")))
    assert desk.tell(Flatten())["risk_reason"] == "flatten"
    told = desk.tell(ends)
    wanted = {Pause: "PAUSED", Halt: "HALTED", Resume: "RUNNING"}[type(ends)]
    assert (told["risk_state"], told["flattening"]) == (wanted, None)
    desk.until(lambda: not any(row["by"] == "flatten" for row in desk.orders()), 10)
    if isinstance(ends, Halt):
        assert desk.refused(Flatten()).code == "halted"
    elif isinstance(ends, Pause):
        assert desk.tell(Flatten())["risk_state"] == "REDUCING"
    else:
        desk.until(lambda: len(desk.orders()) == 6)
    desk.end()


# ---------------------------------------------------------------- any sequence

QTY = st.sampled_from(["0.0001", "0.005", "0.01", "0.02", "0.021", "0.3", "5"])
CLIENTS = st.sampled_from(["", "mcp", "other"])
KEYS = st.sampled_from(["", "", "a", "b"])
SETS = st.sampled_from(
    [
        {"strategy.spread": "4bps"}, {"strategy.spread": "0.9bps"}, {"strategy.num_orders": "5"},
        {"strategy.num_orders": "1"}, {"strategy.order_amount": "0.013"},
        {"strategy.target_base": "48%"}, {"strategy.order_amount": "0.02"},
        {"risk.max_order_size": "0.012"}, {"risk.max_order_size": "0.02"},
        {"risk.max_open_notional": "2500"}, {"risk.max_open_notional": "60000"},
        {"risk.max_inventory": "0.08"}, {"risk.max_orders": "7"}, {"risk.max_orders": "13"},
        {"strategy.num_orders": "6", "risk.max_orders": "12"}, {"strategy.skew_full": "12bps"},
    ]
)  # fmt: skip


def acts() -> st.SearchStrategy[tuple[Any, ...]]:
    """Draw one thing to do: a command, with its client, or a span of market."""
    side, away = st.sampled_from(["buy", "sell"]), st.sampled_from([-40, 0, 1, 30, 400, 4000])
    return st.one_of(
        st.tuples(st.just("run"), st.sampled_from([0.05, 1, 7, 31])),
        st.tuples(st.just("place"), side, QTY, away, CLIENTS, KEYS),
        *(
            st.tuples(st.just("place"), side, st.just(qty), st.just(away), CLIENTS, KEYS)
            for qty, away in (("0.01", 400), ("0.005", 700), ("0.011", 30))
        ),
        st.tuples(st.just("cancel"), st.sampled_from(["all", "first", "last"]), CLIENTS),
        st.tuples(st.just("set"), SETS, CLIENTS),
        st.tuples(st.just("do"), st.sampled_from([Undo(), Pause(), Resume(), Flatten(), Halt()])),
    )


@settings(
    max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    seed=st.integers(1, 50), faulty=st.booleans(), plan=st.lists(acts(), min_size=6, max_size=22)
)
def test_no_sequence_of_commands_exceeds_a_limit_or_a_cap(
    tmp_path_factory: pytest.TempPathFactory, seed: int, faulty: bool, plan: list[tuple[Any, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with desk_at(folder, seed, faulty=faulty, max_inventory="0.1") as desk:
        hard = desk.bot.tables.pipeline.checks.hard_limits()
        asked: dict[tuple[str, str], set[str]] = defaultdict(set)
        for act in plan:
            _act(desk, act, asked)
            for name, now in desk.bot.tables.pipeline.checks.current_limits().items():
                bound = hard[name]
                assert bound is not None
                assert now is not None
                assert now >= bound if name in LOWER else now <= bound
        # One order for each key, however often it was told.
        assert all(len(ids) <= 1 for ids in asked.values())
        records = desk.end()
    _assert_caps_kept(records, Decimal(CAPS["order_notional"]), Decimal(CAPS["notional_per_hour"]))


LOWER = {"order_lots_min", "base_reserve_lots", "quote_reserve_ticklots", "fee_ppm"}


def _act(desk: Desk, act: tuple[Any, ...], asked: dict[tuple[str, str], set[str]]) -> None:
    match act:
        case ("run", seconds):
            desk.bot.run(seconds)
            return
        case ("place", side, qty, away, client, key):
            book = desk.bot.tables.pipeline.feed.book
            if book.best_bid_ticks is None or book.best_ask_ticks is None:
                return
            command: Command = Place(side, qty, desk.price(away, side), "", key)
        case ("cancel", which, client):
            live = desk.orders()
            if which != "all" and not live:
                return
            command = Cancel(which if which == "all" else live[-(which == "last")]["client_id"])
        case ("set", changes, client):
            command = Set(json.dumps(changes))
        case _:
            command, client = act[1], ""
    try:
        told = desk.tell(command, client)
    except OpenMMError:
        return
    if isinstance(command, Place) and command.key:
        asked[client, command.key].add(told["order"]["client_id"])


def _assert_caps_kept(records: list[JournalRecord], most: Decimal, hourly: Decimal) -> None:
    """Hold what went out for clients against their caps, from the journal alone."""
    sent: dict[str, list[tuple[int, Decimal]]] = defaultdict(list)
    who = ""
    for record in records:
        if record.kind == Record.REC_CALL and record.payload.startswith(b'["place_by_hand"'):
            who = json.loads(record.payload)[4]
        elif record.kind == Record.REC_INTENT:
            action = read_intent(record.payload).action
            if action.level == Lane.LANE_HAND and action.kind == ActionKind.ACTION_PLACE:
                money = Decimal(action.price_ticks) / 10 * action.qty_lots / 10**8
                sent[who].append((record.ts_ns, money))
    assert sent.keys() <= {"local", "mcp", "other"}
    for client in ("mcp", "other"):
        rows = sent[client]
        assert all(money <= most for _, money in rows)
        assert sum(money for _, money in rows) <= hourly  # no plan lasts an hour
        for at_ns, _ in rows:
            assert sum(at_ns - 60 * 10**9 < other <= at_ns for other, _ in rows) <= 3
