"""A hedge over real sockets on a simulated venue: orders, log, a crash, a venue that falls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from openmm import BotConfig, Keys, parse
from openmm._fast.orders import OrderTable
from openmm._fast.units import Side
from openmm.config import grid_params
from openmm.engine.hedged import GridQuoter, HedgedQuoter
from openmm.engine.hedging import Hedging, LogLine, LogOpened
from openmm.errors import ConfigError, JournalError
from openmm.events import Fee, OrderFilled, Source
from openmm.execution.hedge import HedgeUnits
from openmm.execution.hedge.messages import (
    BookSeen,
    HedgeEnded,
    HedgeFilled,
    PlaceHedge,
    QuoteFilled,
    QuotesStood,
    Reason,
)
from openmm.sim.dialects import GATEIO_PAIRS, KRAKEN_PAIRS
from openmm.sim.faults import FaultScript, parse_rule
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer
from openmm.strategy.python import PythonStrategy
from openmm.strategy.quotes import Quotes
from openmm.venues import Desk, connect
from openmm.venues.claims import lock_account

QUOTING = GATEIO_PAIRS["BTC/USDT"][0]
HEDGE = KRAKEN_PAIRS["BTC/USD"][0]
UNITS = HedgeUnits.of(QUOTING, HEDGE, Fraction(1))
MONEY = {"BTC": Decimal(1), "USD": Decimal(60_000)}


def filled(exec_id: str, side: Side, qty: str, fee: str = "0") -> OrderFilled:
    """Make an execution of the quoting venue."""
    qty_lots = QUOTING.exact_lots(Decimal(qty))
    cost = Decimal(qty) * 60_000
    return OrderFilled(
        exec_id, "v", "t-q", QUOTING.name, int(side), 600_000, qty_lots, cost,
        (Fee("BTC", Decimal(fee)), Fee("USDT", Decimal("0.5"))), True, 0,
    )  # fmt: skip


@asynccontextmanager
async def hedge_desk(**more: Any) -> AsyncIterator[tuple[SimServer, Desk]]:
    """Open a simulated Kraken and a desk on it."""
    options = SimOptions(venue="kraken", balances=MONEY, taker_fee_ppm=400, **more)
    async with SimServer(options) as sim:
        endpoints = {"ws": sim.ws_url, "ws_auth": sim.ws_auth_url, "rest": sim.rest_url}
        keys = Keys(options.api_key, options.api_secret)
        async with connect("kraken", keys, endpoints=endpoints) as desk:
            yield sim, desk


def made(desk: Desk, folder: Path, **changes: Any) -> Hedging:
    usual: dict[str, Any] = {
        "unhedged_max": Decimal("0.1"), "slippage_ppm": 20_000, "taker_fee_ppm": 400,
        "resume_ns": 0, "book_ns_max": 60_000_000_000,
    }  # fmt: skip
    return Hedging(desk, UNITS, UNITS.terms(**(usual | changes)), folder / "hedge.log")


async def until(hedging: Hedging, good: Callable[[], bool]) -> None:
    await hedging._until(good, 20)
    assert good(), hedging.failure


def held(sim: SimServer) -> Decimal:
    """What the hedge venue's balance of base moved by."""
    atoms = sim.core.balances(1)["BTC"][0] - 10**HEDGE.base_decimals
    return Decimal(atoms).scaleb(-HEDGE.base_decimals)


def lines(folder: Path) -> list[LogLine]:
    reader = msgspec.json.Decoder(LogLine)
    return [reader.decode(line) for line in (folder / "hedge.log").read_bytes().splitlines()]


@pytest.mark.asyncio
async def test_fills_are_hedged_and_the_log_tells_all_of_it(tmp_path: Path) -> None:
    async with hedge_desk() as (sim, desk):
        async with made(desk, tmp_path) as hedging:
            await until(hedging, lambda: hedging.machine.stopped is None)
            hedging.on_fill(filled("a", Side.BUY, "0.03", fee="0.00003"))
            hedging.on_fill(filled("a", Side.BUY, "0.03", fee="0.00003"))
            await until(hedging, lambda: hedging.settled)
            assert held(sim) == Decimal("-0.02997")
            hedging.on_fill(filled("b", Side.SELL, "0.02"))
            await until(hedging, lambda: hedging.settled)
            assert held(sim) == Decimal("-0.00997")
            # Its stream told what it holds: more than the limit on either side.
            machine = hedging.machine
            await until(
                hedging, lambda: machine._base_atoms == UNITS.atoms(1 + Decimal("-0.00997"))
            )
            assert machine.capacity_atoms(Side.BUY) == machine.terms.unhedged_atoms_max
            assert await hedging.close()
        assert hedging.failure is None
        assert not hedging.incidents
        # Both quoting fees and both hedge fees.
        assert hedging.machine.cost.fees_tickatoms > UNITS.tickatoms(Decimal(1), quoting=True)
        assert sim.core.open_orders(1) == []
    told = lines(tmp_path)
    assert isinstance(told[0], LogOpened)
    kinds = [type(line) for line in told[1:]]
    assert kinds.count(PlaceHedge) == kinds.count(HedgeEnded) == 2
    assert kinds.count(QuoteFilled) == 3  # the doubled one too: it is told apart when it is read
    order = [kinds.index(kind) for kind in (QuoteFilled, PlaceHedge, HedgeFilled, HedgeEnded)]
    assert order == sorted(order)


@pytest.mark.asyncio
async def test_a_crash_with_an_order_on_its_way_hedges_nothing_twice(tmp_path: Path) -> None:
    async with hedge_desk() as (sim, desk):
        async with made(desk, tmp_path) as first:
            await until(first, lambda: first.machine.stopped is None)
            first.on_fill(filled("a", Side.BUY, "0.03"))
            await until(first, lambda: held(sim) < 0)
            # Dead: what the venue tells of it reaches nobody.
            for task in list(first._tasks):
                task.cancel()
            await asyncio.gather(*first._tasks, return_exceptions=True)
            first._file.close()
        told = [line for line in lines(tmp_path) if not isinstance(line, HedgeFilled | HedgeEnded)]
        encoded = [msgspec.json.encode(line) + b"\n" for line in told]
        (tmp_path / "hedge.log").write_bytes(b"".join(encoded) + b'{"type":"HedgeF')
        async with made(desk, tmp_path) as second:
            assert second.machine.net_atoms == UNITS.atoms(Decimal("0.03"))
            assert second.machine.low_atoms == 0  # in doubt, in full
            second.on_fill(filled("a", Side.BUY, "0.03"))
            await until(second, lambda: second.settled)
            assert second.machine.net_atoms == 0
            second.on_fill(filled("b", Side.BUY, "0.01"))
            await until(second, lambda: held(sim) == Decimal("-0.04"))
            assert await second.close()
        assert held(sim) == Decimal("-0.04")
        placed = [line for line in lines(tmp_path) if isinstance(line, PlaceHedge)]
        assert [one.seq for one in placed] == [1, 2]
        async with made(desk, tmp_path) as third:
            assert third.settled
            assert third.machine.net_atoms == 0


@pytest.mark.asyncio
async def test_answers_and_reports_that_go_wrong_hedge_nothing_twice(tmp_path: Path) -> None:
    rules: list[dict[str, Any]] = [
        {"kind": "status", "on": "rest.AddOrder", "code": 502, "when": "after", "chance": "30%"},
        {"kind": "status", "on": "rest.AddOrder", "code": 502, "when": "before", "chance": "10%"},
        {"kind": "late", "on": "rest.AddOrder", "by": "300ms", "chance": "20%"},
        {"kind": "lost", "on": "executions", "seen": False, "chance": "20%"},
        {"kind": "doubled", "on": "executions", "seen": False, "chance": "20%"},
        {"kind": "late", "on": "executions", "by": "200ms", "chance": "20%"},
    ]
    times = {"ack_ns": 200_000_000, "deadline_ns": 2_000_000_000, "lag_ns": 10**9}
    async with (
        hedge_desk(faults=FaultScript(tuple(parse_rule(rule) for rule in rules), seed=5)) as (
            sim, desk,
        ),
        made(desk, tmp_path, live_max=8, rest_ns=200_000_000, **times) as hedging,
    ):  # fmt: skip
        await until(hedging, lambda: hedging.machine.stopped is None)
        for n in range(12):
            hedging.on_fill(filled(f"f{n}", Side.BUY, "0.005"))
            await hedging._until(lambda: False, 0.1)
            assert held(sim) >= Decimal("-0.005") * (n + 1)
        await until(hedging, lambda: hedging.settled)
        assert sum(sim.strikes.struck.values()) > 5
        assert held(sim) == Decimal("-0.06")
        assert hedging.machine.net_atoms == 0
        assert not any(one.code == "hedge_evidence" for one in hedging.incidents)
        assert await hedging.close()


@pytest.mark.asyncio
async def test_a_venue_that_falls_stops_the_quotes_and_calls_the_gate(tmp_path: Path) -> None:
    async with hedge_desk() as (sim, desk):
        hedging = made(desk, tmp_path)
        calls: list[Reason | None] = []
        hedging.on_gate = lambda: calls.append(hedging.machine.stopped)
        async with hedging:
            await until(hedging, lambda: calls == [None])
            await sim.close()
            await until(hedging, lambda: len(calls) == 2)
            assert calls[1] in (Reason.BOOK, Reason.VENUE_DOWN)
            assert hedging.machine.room_atoms(Side.BUY) == 0
            hedging.on_fill(filled("a", Side.BUY, "0.03"))
            assert not hedging.machine.orders.live
            await hedging.close(0.1)


@pytest.mark.asyncio
async def test_an_account_that_is_anothers_is_a_refusal_not_a_doubt(tmp_path: Path) -> None:
    async with hedge_desk() as (sim, desk):
        lock = lock_account("kraken", sim.rest_url, SimOptions().api_key)
        async with made(desk, tmp_path, backoff_ns_max=300_000_000) as hedging:
            await until(hedging, lambda: hedging.machine.stopped is None)
            hedging.on_fill(filled("a", Side.BUY, "0.03"))
            await until(hedging, lambda: bool(hedging.incidents))
            assert hedging.incidents[0].code == "hedge_refused"
            assert hedging.machine.stopped is Reason.REFUSED
            assert not hedging.machine.orders.live
            lock.close()
            await until(hedging, lambda: hedging.settled)
            assert held(sim) == Decimal("-0.03")


@pytest.mark.asyncio
async def test_a_part_that_fails_stops_everything_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hedge_desk() as (_, desk), made(desk, tmp_path) as hedging:
        await until(hedging, lambda: hedging.machine.stopped is None)

        async def broken(order: object) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(Desk, "place_order", lambda self, order: broken(order))
        hedging.on_fill(filled("a", Side.BUY, "0.03"))
        await hedging._until(lambda: False, 20)
        assert isinstance(hedging.failure, ZeroDivisionError)
        assert hedging.incidents[-1].code == "hedge_failed"
        assert hedging.machine.stopped is Reason.VENUE_DOWN
        assert not await hedging.close(0.1)


@pytest.mark.asyncio
async def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    async with hedge_desk() as (_, desk):
        path = tmp_path / "hedge.log"
        path.write_text("{}\n")
        with pytest.raises(JournalError, match="is no hedge log"):
            made(desk, tmp_path)
        path.write_bytes(msgspec.json.encode(LogOpened(2, "t-h-", 0)) + b"\n")
        with pytest.raises(JournalError, match="of version 1"):
            made(desk, tmp_path)


class _Disk:
    """A file that takes so many bytes more."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self.room = room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        taken = min(self.room, len(data))
        self.room -= taken
        if data and not taken:
            raise OSError(28, "No space left on device")
        return int(self._file.write(data[:taken]))


@pytest.mark.asyncio
async def test_a_log_the_disk_does_not_take_stops_all_and_loses_no_fill(tmp_path: Path) -> None:
    async with hedge_desk() as (sim, desk), made(desk, tmp_path) as hedging:
        await until(hedging, lambda: hedging.machine.stopped is None)
        disk: Any = _Disk(hedging._file, 10)
        hedging._file = disk
        hedging.on_fill(filled("a", Side.BUY, "0.03"))
        # The position knows of it; nothing is hedged that no log tells of, and nothing quoted.
        assert hedging.machine.net_atoms == UNITS.atoms(Decimal("0.03"))
        assert hedging.machine.stopped is Reason.VENUE_DOWN
        assert isinstance(hedging.failure, OSError)
        assert [one.code for one in hedging.incidents] == ["hedge_failed"]
        assert not hedging.machine.orders.live
        assert (tmp_path / "hedge.log").read_bytes().endswith(b"\n")
        disk.room = 10**6
        assert await hedging.close(0.1)
        assert held(sim) == 0
        # There is room again: the log is whole, and the next start hedges.
        assert [type(line) for line in lines(tmp_path)] == [LogOpened, QuoteFilled]
        async with made(desk, tmp_path) as again:
            await until(again, lambda: again.settled)
            assert held(sim) == Decimal("-0.03")


@pytest.mark.asyncio
async def test_an_order_that_the_log_does_not_take_is_not_sent(tmp_path: Path) -> None:
    async with hedge_desk() as (sim, desk), made(desk, tmp_path, delay_ns=10**9) as hedging:
        await until(hedging, lambda: hedging.machine.stopped is None)
        hedging.on_fill(filled("a", Side.BUY, "0.03"))
        hedging._file = _Disk(hedging._file, 0)  # type: ignore[assignment]
        await hedging._until(lambda: False, 20)
        await asyncio.sleep(0)  # it is refused behind the event it followed from
        assert hedging.machine.attempts == 1
        assert hedging.machine.low_atoms == UNITS.atoms(Decimal("0.03"))
        assert sim.core.orders(1) == []
        assert await hedging.close(0.1)


@pytest.mark.asyncio
async def test_fills_of_the_time_before_the_log_are_of_no_hedge(tmp_path: Path) -> None:
    async with hedge_desk() as (_, desk):
        first = made(desk, tmp_path)  # not begun: it only listens
        opened_ns = first._opened_ns
        old = replace(filled("a", Side.BUY, "0.03"), source=Source.QUERY, ts_ns=opened_ns - 1)
        first.on_fill(old)
        assert first.machine.net_atoms == 0
        first.on_fill(replace(old, ts_ns=opened_ns))
        assert first.machine.net_atoms == UNITS.atoms(Decimal("0.03"))
        first._file.close()
        # A later start goes by when its log began, not by its own time.
        second = made(desk, tmp_path)
        second.on_fill(replace(old, exec_id="b", ts_ns=opened_ns))
        assert second.machine.net_atoms == UNITS.atoms(Decimal("0.06"))
        second._file.close()


@pytest.mark.asyncio
async def test_terms_under_which_no_order_is_large_enough_are_refused(tmp_path: Path) -> None:
    async with hedge_desk() as (_, desk):
        small = made(desk, tmp_path, notional_ticklots_min=600_000 * 10**8)  # 1 BTC
        with pytest.raises(ConfigError, match="the hedge venue's smallest order"):
            await small.__aenter__()
        assert small._file.closed
        assert not small._tasks


@pytest.mark.asyncio
async def test_a_hedge_that_may_arrive_too_late_is_not_sent(tmp_path: Path) -> None:
    late = {"deadline_ns": 1, "lag_ns": 0, "backoff_ns": 10**10}
    async with hedge_desk() as (sim, desk), made(desk, tmp_path, **late) as hedging:
        await until(hedging, lambda: hedging.machine.stopped is None)
        hedging.on_fill(filled("a", Side.BUY, "0.03"))
        await until(hedging, lambda: hedging.machine.attempts == 1)
        assert not hedging.machine.orders.live
        assert sim.core.orders(1) == []
        await hedging.close(0.1)
    # A venue that keeps no deadline: a request counts for as long as a call may take.
    async with connect("gateio", Keys("a" * 32, "b" * 64)) as other:
        with pytest.raises(ConfigError, match="gateio keeps no deadlines"):
            made(other, tmp_path / "other")
        assert not (tmp_path / "other").exists()


@pytest.mark.asyncio
async def test_a_ladder_is_cut_to_the_room_with_what_stands_in_full(tmp_path: Path) -> None:
    async with hedge_desk() as (_, desk), made(desk, tmp_path) as hedging:
        table = OrderTable()
        quotes = Quotes([(599_990, 60_000), (599_980, 60_000)], [(600_010, 30_000)])
        assert hedging.bound(quotes, table) == Quotes([], [])  # nothing before it is healthy
        await until(hedging, lambda: hedging.machine.stopped is None)
        # 0.1 BTC of bids in all.
        assert hedging.bound(quotes, table) == Quotes(
            [(599_990, 60_000), (599_980, 40_000)], [(600_010, 30_000)]
        )
        seq = table.place(Side.BUY, 0, 599_990, 60_000, now_ns=1)
        assert hedging.bound(quotes, table).bids == [(599_990, 60_000), (599_980, 40_000)]
        # One that is being cancelled still counts, and is no order for the level at its price.
        table.cancel_sent(seq, 2)
        assert hedging.bound(quotes, table).bids == [(599_990, 40_000)]
        hedging.tell(QuotesStood(desk.now_ns(), 0, 0))
        quoter = HedgedQuoter(_Always(quotes), hedging, lambda: table)
        view: Any = None
        assert quoter.quote(view) == hedging.bound(quotes, table)


def cross(**strategy: Any) -> BotConfig:
    """Make a bot's file whose grid is to be hedged."""
    return parse(
        {
            "bot": {"name": "cross", "mode": "paper"},
            "venue": [{"name": "gateio", "quote": "BTC/USDT", "maker_fee": "0.1%"}],
            "strategy": {
                "kind": "grid", "spread": "0.01%", "order_amount": "0.01", "num_orders": 2,
                "rebalance_threshold": "10%", "fee_budget": "0.2%", **strategy,
            },
            "risk": {
                "max_order_size": "0.05", "max_open_notional": "20000",
                "max_inventory": "0.5", "max_drawdown": "2%",
            },
        }
    )  # fmt: skip


@pytest.mark.asyncio
async def test_a_grid_that_follows_its_fills_is_refused(tmp_path: Path) -> None:
    async with hedge_desk() as (_, desk):
        hedging = made(desk, tmp_path)
        for key, value in {"refill_delay": "1s", "ping_pong": True, "hanging": True}.items():
            with pytest.raises(ConfigError, match=f"strategy.{key}: left out"):
                GridQuoter(cross(**{key: value}), QUOTING, hedging)
        await hedging.close(0.01)


@pytest.mark.asyncio
async def test_a_grid_keeps_what_its_hedge_costs_now(tmp_path: Path) -> None:
    config = cross()
    view = {
        "now_ns": 1, "reference_uticks": 600_000_000_000, "confidence_ppm": 1_000_000,
        "best_bid_ticks": 599_999, "best_ask_ticks": 600_001, "own_bid_ticks": 0,
        "own_ask_ticks": 0, "sigma_uticks": 0, "depth_lots": 10**9, "depth_mean_lots": 10**9,
        "spread_mean_uticks": 2_000_000, "flow_ppm": 0, "x_ppm": 0, "share_ppm": 500_000,
        "target_ppm": 500_000, "base_lots": 10**9, "quote_lots_max": 10**9, "allow_bid": 1,
        "allow_ask": 1, "warm": 1,
    }  # fmt: skip
    async with hedge_desk() as (_, desk):
        hedging = made(desk, tmp_path)
        quoter = GridQuoter(config, QUOTING, hedging)
        strategy = PythonStrategy(QUOTING, quoter)
        assert strategy.quote(view)[0] == 0  # no book of the hedge venue, no quote
        base_ppm = grid_params(config, QUOTING)["fee_floor_ppm"]
        for half_ticks in (60, 6_000):
            bids, asks = ((600_000 - half_ticks, 10),), ((600_000 + half_ticks, 10),)
            hedging.tell(BookSeen(desk.now_ns(), bids, asks))
            edge_ppm = hedging.machine.edge_floor_ppm()
            assert edge_ppm == 400 + half_ticks * 10 // 6
            assert quoter.params.fee_floor_ppm != base_ppm + edge_ppm
            quoting, ladder = strategy.quote(view)
            assert (quoting, strategy.error_count) == (1, 0)
            assert quoter.params.fee_floor_ppm == base_ppm + edge_ppm
            half = max(base_ppm + edge_ppm, 50)
            assert ladder["bids"][0][0] == 600_000 - -(-half * 6 // 10)
            assert ladder["asks"][0][0] == 600_000 + -(-half * 6 // 10)
        await hedging.close(0.01)


class _Always:
    def __init__(self, quotes: Quotes) -> None:
        self._quotes = quotes

    def quote(self, view: object) -> Quotes:
        return self._quotes


def test_ids_lead_back_to_their_orders_and_no_others() -> None:
    hedging = Hedging.__new__(Hedging)
    hedging._prefix = "t-h65-"
    assert hedging._client_id(255) == "t-h65-ff"
    assert hedging._seq_of("t-h65-ff") == 255
    for other in ("t-h66-ff", "t-h65-", "t-h65-xy", "", "t-h65--1"):
        assert hedging._seq_of(other) == 0
    assert replace(HEDGE, name="X/Y").name == "X/Y"
