"""The `Venue` protocol over REST, against the simulated venue."""

from __future__ import annotations

from decimal import Decimal

import pytest

from openmm._fast.matching import Tif
from openmm._fast.units import Side
from openmm.errors import VenueRejected
from openmm.events import OrderStatus, SystemMode
from openmm.venues.base import PlaceOrder
from openmm.venues.base import Venue as VenueProtocol
from openmm.venues.faults import Code
from openmm.venues.gateio.venue import GateioVenue, read_pair
from tests.venues.gateio.venue import BTC, BUY, SELL, T0, Venue


def made() -> tuple[GateioVenue, Venue]:
    sim = Venue()
    return GateioVenue(sim.rest()), sim


def order(name: str, price_ticks: int = 599_000, side: Side = Side.BUY, **more: bool) -> PlaceOrder:
    return PlaceOrder(BTC, side, price_ticks, 10_000, f"t-{name}", **more)


@pytest.mark.asyncio
async def test_public_questions() -> None:
    venue, sim = made()
    fills_in: VenueProtocol = venue
    assert fills_in.name == "gateio"
    assert (await venue.get_server_time()).ts_ns == T0
    assert (await venue.get_system_state()).mode is SystemMode.ONLINE
    book = await venue.get_order_book("BTC/USDT", 5)
    assert (book.bids[0][0], book.asks[0][0]) == (Decimal(60000), Decimal(60010))
    sim.market(BUY, "60010", "0.25", Tif.IOC)
    [trade] = await venue.get_trades("BTC/USDT", 5)
    assert (trade.taker_side, trade.qty) == (Side.BUY, Decimal("0.25"))
    ticker = await venue.get_ticker("BTC/USDT")
    assert (ticker.bid, ticker.ask) == (Decimal(60000), Decimal(60010))
    assert ticker.last == Decimal(60010)
    with pytest.raises(VenueRejected) as caught:
        await venue.get_ticker("NO/PAIR")
    assert caught.value.code == Code.INSTRUMENT
    await venue.close()


@pytest.mark.parametrize(("call", "value"), [("get_order_book", 101), ("get_trades", 1001)])
@pytest.mark.asyncio
async def test_what_the_venue_does_not_offer_is_refused_here(call: str, value: int) -> None:
    venue, _ = made()
    with pytest.raises(ValueError, match=str(value)):
        await getattr(venue, call)("BTC/USDT", value)


@pytest.mark.asyncio
async def test_an_orders_life() -> None:
    venue, sim = made()
    placed = await venue.place_order(order("one"))
    found = await venue.get_order(client_id="t-one")
    assert found is not None
    assert (found.venue_order_id, found.status) == (placed.venue_order_id, OrderStatus.OPEN)
    await venue.amend_order(BTC, "t-one", 599_100, 20_000)
    [found] = await venue.get_open_orders()
    assert (found.price_ticks, found.qty_lots) == (599_100, 20_000)
    held = (await venue.get_balance())["USDT"]
    assert held.held == Decimal("59910") * Decimal("0.02")
    sim.market(SELL, "59910", "1.005", Tif.IOC)
    [fill] = await venue.get_fills(0)
    assert (fill.client_id, fill.maker, fill.fees[0].asset) == ("t-one", True, "BTC")
    sim.wait(1)
    assert await venue.cancel_order(client_id="t-one") == 1
    assert await venue.cancel_order(venue_order_id=placed.venue_order_id) == 0
    # Done: its text finds it among the finished ones only.
    for name in ({"client_id": "t-one"}, {"venue_order_id": placed.venue_order_id}):
        ended = await venue.get_order(**name)
        assert ended is not None
        assert (ended.status, ended.filled_lots) == (OrderStatus.CANCELLED, 5_000)
    assert await venue.get_order(client_id="t-never") is None


@pytest.mark.asyncio
async def test_several_orders_and_the_first_refusal() -> None:
    venue, _ = made()
    taken = await venue.place_orders([order("a"), order("b")])
    assert [one.client_id for one in taken] == ["t-a", "t-b"]
    with pytest.raises(VenueRejected) as caught:
        await venue.place_orders([order("c"), order("d", 700_000)])
    assert caught.value.code == Code.POST_ONLY
    assert {one.client_id for one in await venue.get_open_orders()} == {"t-a", "t-b", "t-c"}
    assert await venue.cancel_orders(["t-a", "t-b", "t-gone"]) == 2
    assert await venue.cancel_all() == 1


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (PlaceOrder(BTC, Side.BUY, 700_000, 10_000, "t-x"), Code.POST_ONLY),
        (PlaceOrder(BTC, Side.BUY, 590_000, 2_000_000, "t-x"), Code.FUNDS),
        (PlaceOrder(BTC, Side.BUY, 590_000, 1, "t-x"), Code.MINIMUM),
        (PlaceOrder(BTC, Side.BUY, 590_000, 10_000, "no-prefix"), Code.ARGUMENTS),
        (PlaceOrder(BTC, Side.BUY, 590_000, 10_000, "t-" + "x" * 29), Code.ARGUMENTS),
    ],
)
@pytest.mark.asyncio
async def test_a_refusal_is_typed(changed: PlaceOrder, code: Code) -> None:
    venue, sim = made()
    with pytest.raises(VenueRejected) as caught:
        await venue.place_order(changed)
    assert caught.value.code == code
    assert sim.core.open_orders(sim.account) == []


@pytest.mark.asyncio
async def test_the_rate_of_orders_is_the_venues() -> None:
    venue, sim = made()
    for number in range(10):
        await venue.place_order(order(f"n{number}"))
    with pytest.raises(VenueRejected) as caught:
        await venue.place_order(order("more"))
    assert (caught.value.code, caught.value.retryable) == (Code.RATE_LIMIT, True)
    # Cancels are counted apart.
    assert await venue.cancel_orders([f"t-n{number}" for number in range(10)]) == 10
    sim.wait(1.1)
    await venue.place_order(order("later"))


@pytest.mark.asyncio
async def test_the_switch_has_its_shortest_time() -> None:
    venue, sim = made()
    await venue.place_order(order("one"))
    with pytest.raises(ValueError, match="5 seconds"):
        await venue.dead_man_switch(4)
    await venue.dead_man_switch(5)
    await venue.dead_man_switch(0)
    sim.wait(10)
    assert len(await venue.get_open_orders()) == 1


@pytest.mark.asyncio
async def test_a_clock_that_is_off_is_told_as_such() -> None:
    sim = Venue()
    rest = sim.rest()
    rest.clock = type(sim.clock)(T0 + 61 * 10**9)
    rest._sleep = lambda _seconds: _nothing()
    with pytest.raises(VenueRejected) as caught:
        await rest.private("GET", "/spot/accounts")
    assert caught.value.code == Code.CLOCK


async def _nothing() -> None:
    return None


def test_the_ledgers_atoms_hold_every_fee_exactly() -> None:
    pair = read_pair({
        "id": "BTC_USDT", "base": "BTC", "quote": "USDT", "precision": 1, "amount_precision": 6,
        "trade_status": "tradable",
    })  # fmt: skip
    fee = Decimal("0.000001") * Decimal("0.000001")
    assert fee == Decimal(1).scaleb(-pair.base_decimals)
    assert pair.quote_decimals == 13
