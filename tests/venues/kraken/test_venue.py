"""The Venue protocol over REST: recorded answers, and the simulated venue's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from msgspec import structs

from openmm._fast.units import Side
from openmm.clock import ManualClock
from openmm.errors import ProtocolError, VenueRejected
from openmm.events import Fee, OrderFilled, OrderStatus, OrderUpdated, Source, SystemMode
from openmm.venues.base import Balance, PlaceOrder
from openmm.venues.base import Venue as VenueProtocol
from openmm.venues.connector import Fees
from openmm.venues.kraken.auth import Key
from openmm.venues.kraken.rest import Rest
from openmm.venues.kraken.venue import KrakenVenue, percent_to_ppm
from tests.sim.venue import ASK, BTC, SECRET, SELL, T0, Venue

D = Decimal
PAIRS = {
    "XXBTZUSD": ("XBTUSD", "XBT/USD", "XXBT", "ZUSD", 1),
    "XBTUSDT": ("XBTUSDT", "XBT/USDT", "XXBT", "USDT", 1),
    "XETHZUSD": ("ETHUSD", "ETH/USD", "XETH", "ZUSD", 2),
    "ETHUSDT": ("ETHUSDT", "ETH/USDT", "XETH", "USDT", 2),
    "MATICUSD": ("MATICUSD", "MATIC/USD", "MATIC", "ZUSD", 4),
    "XDGUSD": ("XDGUSD", "XDG/USD", "XXDG", "ZUSD", 7),
}


def listed() -> dict[str, Any]:
    return {
        name: {
            "altname": altname, "wsname": wsname, "base": base, "quote": quote,
            "pair_decimals": decimals, "lot_decimals": 8, "cost_decimals": 5,
            "fees": [[0, D("0.4")]], "fees_maker": [[0, D("0.25")]], "ordermin": "0.00005",
            "costmin": "0.5", "status": "online",
        }
        for name, (altname, wsname, base, quote, decimals) in PAIRS.items()
    }  # fmt: skip


class Recorded:
    """Answer each method with one recorded result, AssetPairs with the pairs they name."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self.results = {"AssetPairs": listed()} | dict(results)
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        method = path.rsplit("/", 1)[1]
        self.asked.append((method, dict(parse_qsl(query or body.decode()))))
        result = self.results[method]
        if callable(result):
            result = result(self.asked[-1][1])
        if isinstance(result, str):
            return 200, json.dumps({"error": [result]}).encode()
        return 200, json.dumps({"error": [], "result": result}, default=float).encode()

    async def close(self) -> None:
        pass


def recorded(**results: Any) -> tuple[KrakenVenue, Recorded]:
    answers = Recorded(results)
    clock = ManualClock(T0)
    return KrakenVenue(
        Rest(key=Key("one", SECRET, clock), clock=clock, round_trip=answers)
    ), answers


@pytest.fixture(scope="module")
def samples(shared: Path) -> dict[str, Any]:
    found = {}
    for one in json.loads((shared / "venues/samples/kraken/rest_responses.json").read_text()):
        body = one.get("body") or (json.loads(one["raw"]) if "raw" in one else None)
        found[one["name"]] = one["result"] if body is None else body.get("result")
    return found


# --- recorded answers


@pytest.mark.asyncio
async def test_pair_of_assetpairs(samples: dict[str, Any]) -> None:
    venue, _ = recorded(AssetPairs=samples["AssetPairs (one pair)"])
    pair = (await venue.get_instruments())["BTC/USDT"]
    assert (pair.base, pair.quote, pair.status) == ("BTC", "USDT", "online")
    assert (pair.tick_size, pair.lot_size) == (D("0.1"), D("0.00000001"))
    assert (pair.qty_min, pair.cost_min) == (D("0.00005"), D("0.5"))
    assert (pair.maker_fee_ppm, pair.taker_fee_ppm) == (2500, 4000)


@pytest.mark.asyncio
async def test_names_follow_websocket_v2() -> None:
    venue, _ = recorded()
    assert set(await venue.get_instruments()) == {
        "BTC/USD", "BTC/USDT", "ETH/USD", "ETH/USDT", "MATIC/USD", "DOGE/USD",
    }  # fmt: skip


@pytest.mark.asyncio
async def test_depth_of_sample(samples: dict[str, Any]) -> None:
    venue, answers = recorded(Depth=samples["Depth"])
    book = await venue.get_order_book("BTC/USDT", 5)
    assert book.bids[0] == (D("105944.20000"), D("0.002"))
    assert book.asks[4] == (D("105963.60000"), D("0.024"))
    assert answers.asked[-1] == ("Depth", {"pair": "XBTUSDT", "count": "5"})


@pytest.mark.asyncio
async def test_system_status_and_clock_of_sample(samples: dict[str, Any]) -> None:
    venue, _ = recorded(SystemStatus=samples["SystemStatus"])
    assert (await venue.get_system_state()).mode is SystemMode.ONLINE
    time = await venue.get_server_time()
    assert time.ts_ns == 1_772_104_193_500_000_000
    assert time.offset_ns == time.ts_ns - T0


@pytest.mark.asyncio
async def test_open_order_of_sample(samples: dict[str, Any]) -> None:
    venue, _ = recorded(OpenOrders=samples["OpenOrders"])
    assert await venue.get_open_orders() == [
        OrderUpdated(
            "OCUG7Z-4EM5R-7ZCJ47", "", OrderStatus.OPEN, Source.QUERY, 1_680_777_427_576_083_000,
            172037, 2_000_000, 0, Side.BUY, instrument="ETH/USD",
        )
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_cancelled_order_of_sample(samples: dict[str, Any]) -> None:
    venue, answers = recorded(QueryOrders=samples["QueryOrders (cancelled order)"])
    order = await venue.get_order(venue_order_id="OAUHYR-YCVK6-P22G6P")
    assert order == OrderUpdated(
        "OAUHYR-YCVK6-P22G6P", "", OrderStatus.CANCELLED, Source.QUERY, 1_680_756_419_576_873_500,
        10501, 4_761_450_000, 0, Side.BUY, "User requested", instrument="MATIC/USD",
    )  # fmt: skip
    assert answers.asked[-1][1]["txid"] == "OAUHYR-YCVK6-P22G6P"


@pytest.mark.asyncio
async def test_filled_order_of_sample_is_found_by_client_id(samples: dict[str, Any]) -> None:
    venue, answers = recorded(
        OpenOrders={"open": {}}, ClosedOrders=samples["ClosedOrders (filled order)"]
    )
    order = await venue.get_order(client_id="mabc00000000000001")
    assert order is not None
    assert (order.status, order.filled_lots) == (OrderStatus.FILLED, 2_000_000)
    assert [name for name, _ in answers.asked] == ["AssetPairs", "OpenOrders", "ClosedOrders"]
    assert answers.asked[1][1]["cl_ord_id"] == answers.asked[2][1]["cl_ord_id"]


@pytest.mark.asyncio
async def test_order_nobody_knows_is_none() -> None:
    venue, _ = recorded(OpenOrders={"open": {}}, ClosedOrders={"closed": {}, "count": 0})
    assert await venue.get_order(client_id="mabc00000000000001") is None
    with pytest.raises(ValueError, match="needed"):
        await venue.get_order()


@pytest.mark.asyncio
async def test_balances_of_sample(samples: dict[str, Any]) -> None:
    venue, _ = recorded(BalanceEx=samples["BalanceEx"])
    found = await venue.get_balance()
    assert found["BTC"] == Balance("BTC", D("2.1031709100"), D("0.1401000000"))
    assert found["BTC"].free == D("1.9630709100")
    assert "XXLM" in found  # no pair of it is listed here


@pytest.mark.asyncio
async def test_fills_of_sample(samples: dict[str, Any]) -> None:
    venue, answers = recorded(TradesHistory=samples["TradesHistory"])
    fills = await venue.get_fills(1_688_585_000_000_000_000)
    assert fills[0] == OrderFilled(
        "TCCCTY-WJ6EO-4FP4VZ", "O26VBY-ISGAE-JP5TLU", "", "BTC/USDT", Side.BUY, 295005,
        50_000_000, D("14750.25"), (Fee("USDT", D("23.60")),), True, 1_688_585_840_892_100_000,
        Source.QUERY, 1001, qty=D("0.5"),
    )  # fmt: skip
    assert [fill.maker for fill in fills] == [True, False]
    assert answers.asked[-1][1]["start"] == "1688584999"
    assert await venue.get_fills(1_688_586_440_345_600_001) == []


@pytest.mark.asyncio
async def test_error_of_sample_is_a_refusal(shared: Path) -> None:
    venue, _ = recorded(Depth="EQuery:Unknown asset pair")
    with pytest.raises(VenueRejected) as caught:
        await venue.get_order_book("BTC/USD")
    assert caught.value.code == "instrument"


@pytest.mark.asyncio
async def test_pages_are_followed_to_the_count() -> None:
    def page(asked: dict[str, str]) -> dict[str, Any]:
        first = int(asked["ofs"])
        row = {
            "ordertxid": "O", "pair": "XBTUSD", "time": 1, "type": "buy", "price": "1.0",
            "cost": "1", "fee": "0", "vol": "1", "maker": True,
        }  # fmt: skip
        return {
            "trades": {f"T{i}": row | {"trade_id": i} for i in range(first, min(first + 50, 120))},
            "count": 120,
        }

    venue, answers = recorded(TradesHistory=page)
    assert len(await venue.get_fills(0)) == 120
    assert [asked["ofs"] for name, asked in answers.asked if name == "TradesHistory"] == [
        "0", "50", "100",
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_order_ids_are_asked_for_fifty_at_a_time() -> None:
    venue, answers = recorded(QueryOrders={})
    assert await venue.query_orders([f"O{i}" for i in range(51)]) == []
    sizes = [asked["txid"].count(",") + 1 for name, asked in answers.asked if name == "QueryOrders"]
    assert sizes == [50, 1]


@pytest.mark.asyncio
async def test_one_unknown_id_does_not_hide_the_others() -> None:
    def answer(asked: dict[str, str]) -> Any:
        return "EOrder:Unknown order" if "O3" in asked["txid"].split(",") else {}

    venue, answers = recorded(QueryOrders=answer)
    assert await venue.query_orders([f"O{i}" for i in range(8)]) == []
    told = [asked["txid"] for name, asked in answers.asked if name == "QueryOrders"]
    assert told[1:] == ["O0,O1,O2,O3", "O0,O1", "O2,O3", "O2", "O3", "O4,O5,O6,O7"]


@pytest.mark.asyncio
async def test_fees_without_a_maker_table_hold_for_both() -> None:
    venue, _ = recorded(TradeVolume={"fees": {"XXBTZUSD": {"fee": "0.2600"}}})
    assert await venue.get_fees("BTC/USD") == Fees(2600, 2600)
    venue, _ = recorded(TradeVolume={"fees": None})
    with pytest.raises(ProtocolError):
        await venue.get_fees("BTC/USD")


@pytest.mark.parametrize(("percent", "ppm"), [("0.26", 2600), ("0", 0), ("-0.01", -100)])
def test_percent_to_ppm_is_exact(percent: str, ppm: int) -> None:
    assert percent_to_ppm(D(percent)) == ppm
    with pytest.raises(ProtocolError, match="finer"):
        percent_to_ppm(D(percent) + D("0.00001"))


@pytest.mark.asyncio
async def test_ticker_and_trades() -> None:
    ticker = {
        "XXBTZUSD": {
            "a": ["30300.1", "1", "1.5"], "b": ["30300.0", "1", "2.5"], "c": ["30303.2", "0.1"],
            "v": ["4083.6", "4412.7"],
        }
    }  # fmt: skip
    rows = {
        "XXBTZUSD": [["30243.4", "0.34507674", 1688669597.8277369, "b", "m", "", 61044952]],
        "last": "1688671969993150842",
    }
    venue, _ = recorded(Ticker=ticker, Trades=rows)
    told = await venue.get_ticker("BTC/USD")
    assert (told.bid, told.bid_qty, told.ask, told.volume) == (
        D("30300.0"), D("2.5"), D("30300.1"), D("4412.7"),
    )  # fmt: skip
    (trade,) = await venue.get_trades("BTC/USD", 1)
    assert (trade.trade_id, trade.taker_side, trade.qty) == (61044952, Side.BUY, D("0.34507674"))


@pytest.mark.asyncio
async def test_unknown_pair_and_bad_arguments_are_refused() -> None:
    venue, _ = recorded()
    with pytest.raises(VenueRejected, match="no such pair"):
        await venue.get_ticker("XBT/USD2")
    with pytest.raises(ValueError, match="501"):
        await venue.get_order_book("BTC/USD", 501)
    with pytest.raises(ValueError, match="86400"):
        await venue.dead_man_switch(86_400)
    with pytest.raises(ValueError, match="one of"):
        await venue.cancel_order(client_id="a", venue_order_id="b")


# --- against the simulated venue, which checks signatures and nonces


class InProcess:
    """Carry requests to a simulated venue of this process."""

    def __init__(self, sim: Venue) -> None:
        self.sim = sim

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        full = f"{path}?{query}" if query else path
        return self.sim.http.answer(verb, full, headers, body, self.sim.now_ns)

    async def close(self) -> None:
        pass


def simulated() -> tuple[VenueProtocol, Venue]:
    sim = Venue()
    sim.market(SELL, "60010.0", "1")
    sim.market(1, "60000.0", "1")
    clock = ManualClock(T0)
    rest = Rest(key=Key("one", SECRET, clock), clock=clock, round_trip=InProcess(sim))
    return KrakenVenue(rest), sim


def placing(price: str, qty: str, client_id: str, side: Side = Side.BUY) -> PlaceOrder:
    return PlaceOrder(BTC, side, BTC.exact_ticks(D(price)), BTC.exact_lots(D(qty)), client_id)


@pytest.mark.asyncio
async def test_order_lives_through_place_amend_query_and_cancel() -> None:
    venue, sim = simulated()
    placed = await venue.place_order(placing("60000.1", "0.5", "mabc00000000000001"))
    assert placed.venue_order_id
    sim.wait(60)
    (order,) = await venue.get_open_orders()
    assert (order.client_id, order.price_ticks, order.qty_lots, order.status) == (
        "mabc00000000000001", 600001, 50_000_000, OrderStatus.OPEN,
    )  # fmt: skip
    await venue.amend_order(BTC, "mabc00000000000001", 600002, 40_000_000)
    sim.wait(60)
    found = await venue.get_order(venue_order_id=placed.venue_order_id)
    assert found is not None
    assert (found.price_ticks, found.qty_lots) == (600002, 40_000_000)
    assert (await venue.get_balance())["USD"].held > 0
    assert await venue.cancel_order(client_id="mabc00000000000001") == 1
    assert await venue.cancel_order(client_id="mabc00000000000001") == 0
    sim.wait(60)
    assert await venue.get_open_orders() == []
    done = await venue.get_order(client_id="mabc00000000000001")
    assert done is not None
    assert done.status is OrderStatus.CANCELLED


@pytest.mark.asyncio
async def test_an_order_that_arrives_after_its_deadline_is_refused() -> None:
    venue, sim = simulated()
    order = placing("60000.1", "0.5", "mabc00000000000001")
    with pytest.raises(VenueRejected) as caught:
        await venue.place_order(structs.replace(order, deadline_ns=sim.now_ns))
    assert caught.value.code == "deadline"
    assert await venue.get_open_orders() == []
    await venue.place_order(structs.replace(order, deadline_ns=sim.now_ns + 5 * 10**9))
    assert len(await venue.get_open_orders()) == 1


@pytest.mark.asyncio
async def test_fill_is_listed_with_its_fee() -> None:
    venue, sim = simulated()
    placed = await venue.place_order(placing("60000.1", "0.5", "mabc00000000000001"))
    sim.market(SELL, "60000.1", "0.2")
    sim.wait(60)
    assert isinstance(venue, KrakenVenue)
    (order,) = await venue.get_open_orders()
    assert (order.status, order.filled_lots) == (OrderStatus.PARTIALLY_FILLED, 20_000_000)
    (fill,) = await venue.get_fills(T0)
    assert fill.venue_order_id == placed.venue_order_id
    assert (fill.price_ticks, fill.qty_lots, fill.maker) == (600001, 20_000_000, True)
    assert fill.fees == (Fee("USD", D("30.0001")),)
    assert await venue.get_fills_of([order]) == [fill]


@pytest.mark.asyncio
async def test_refused_order_carries_its_code() -> None:
    venue, _ = simulated()
    with pytest.raises(VenueRejected) as caught:
        await venue.place_order(placing("60000.1", "9999", "mabc00000000000001"))
    assert caught.value.code == "funds"
    with pytest.raises(VenueRejected) as caught:
        await venue.place_orders([placing("60020.0", "0.1", "mabc00000000000002")])
    assert caught.value.code == "post_only"


@pytest.mark.asyncio
async def test_account_wide_commands() -> None:
    venue, sim = simulated()
    for n in range(3):
        await venue.place_order(placing(f"5000{n}.0", "0.1", f"mabc0000000000000{n}"))
    assert await venue.cancel_orders(["mabc00000000000000"]) == 1
    assert await venue.cancel_all() == 2
    await venue.place_order(placing("50000.0", "0.1", "mabc00000000000009"))
    await venue.dead_man_switch(5)
    sim.wait(66)
    assert await venue.get_open_orders() == []
    await venue.dead_man_switch(0)


@pytest.mark.asyncio
async def test_fees_book_and_mode_of_the_simulated_venue() -> None:
    venue, _ = simulated()
    assert await venue.get_fees("BTC/USD") == Fees(2500, 4000)
    book = await venue.get_order_book("BTC/USD", 5)
    assert (book.bids[0][0], book.asks[ASK - 1][0]) == (D(60000), D(60010))
    assert (await venue.get_system_state()).mode is SystemMode.ONLINE
