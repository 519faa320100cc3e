"""The `Venue` protocol over REST, against the simulated venue; samples of its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from openmm._fast.matching import Tif
from openmm._fast.units import Side
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.events import Fee, OrderStatus, SystemMode
from openmm.venues.base import PlaceOrder
from openmm.venues.base import Venue as VenueProtocol
from openmm.venues.faults import Code
from openmm.venues.mexc.auth import Key
from openmm.venues.mexc.dialect import DialectOptions
from openmm.venues.mexc.rest import Rest, parse
from openmm.venues.mexc.rows import ppm_of, read_symbol
from openmm.venues.mexc.venue import MexcVenue
from tests.venues.mexc.samples import load, rest
from tests.venues.mexc.venue import BTC, BUY, PUBLIC, SECRET, SELL, T0, Venue


def made(options: DialectOptions | None = None) -> tuple[MexcVenue, Venue]:
    sim = Venue(options)
    return MexcVenue(sim.rest()), sim


def order(
    name: str, price_ticks: int = 5_990_000, side: Side = Side.BUY, **more: bool
) -> PlaceOrder:
    return PlaceOrder(BTC, side, price_ticks, 10_000, name, **more)


@pytest.mark.asyncio
async def test_public_questions() -> None:
    venue, sim = made()
    fills_in: VenueProtocol = venue
    assert fills_in.name == "mexc"
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


@pytest.mark.parametrize("ids", ["stream", "other"])
@pytest.mark.asyncio
async def test_an_orders_life(ids: str) -> None:
    venue, sim = made(DialectOptions(rest_ids=ids))
    placed = await venue.place_order(order("one"))
    found = await venue.get_order(client_id="one")
    assert found is not None
    assert (found.venue_order_id, found.status) == (placed.venue_order_id, OrderStatus.OPEN)
    [found] = await venue.get_open_orders()
    assert (found.price_ticks, found.qty_lots) == (5_990_000, 10_000)
    sim.market(SELL, "59900", "1.004", Tif.IOC)
    found = await venue.get_order(venue_order_id=placed.venue_order_id)
    assert found is not None
    assert (found.status, found.filled_lots) == (OrderStatus.PARTIALLY_FILLED, 4_000)
    [fill] = await venue.get_fills_of([found])
    assert (fill.qty_lots, fill.price_ticks, fill.maker) == (4_000, 5_990_000, True)
    assert fill.cost == Decimal("239.6")
    assert fill.fees == (Fee("USDT", Decimal("0.2396")),)
    assert await venue.get_fills(0) == [fill]
    assert await venue.cancel_order(client_id="one") == 1
    assert await venue.cancel_order(client_id="one") == 0
    found = await venue.get_order(client_id="one")
    assert found is not None
    assert found.status is OrderStatus.CANCELLED
    assert await venue.get_order(client_id="none") is None


@pytest.mark.asyncio
async def test_batches_refusals_and_cancelling_everything() -> None:
    venue, _ = made()
    placed = await venue.place_orders([order("a"), order("b", 5_980_000)])
    assert [one.client_id for one in placed] == ["a", "b"]
    with pytest.raises(VenueRejected) as caught:
        await venue.place_orders([order("c", 5_970_000), order("a")])
    assert caught.value.code == Code.ARGUMENTS
    assert len(await venue.get_open_orders()) == 3
    found = await venue.find("BTC/USDT", ["a", "x"], [placed[1].venue_order_id])
    assert {one.client_id for one in found} == {"a", "b"}
    assert await venue.cancel_orders(["a"]) == 1
    assert await venue.cancel_all() == 2
    assert await venue.get_open_orders() == []
    with pytest.raises(VenueRejected):
        await venue.amend_order(BTC, "a", 1, 1)
    with pytest.raises(VenueRejected):
        await venue.dead_man_switch(10)
    await venue.dead_man_switch(0)


@pytest.mark.asyncio
async def test_money_fees_and_listen_keys() -> None:
    venue, sim = made()
    await venue.place_order(order("one"))
    balance = (await venue.get_balance())["USDT"]
    assert (balance.total, balance.held > 599) == (Decimal(60000), True)
    fees = await venue.get_fees("BTC/USDT")
    assert (fees.maker_ppm, fees.taker_ppm) == (1000, 1000)
    key = await venue.create_listen_key()
    assert len(key) == 64
    sim.wait(3000)
    await venue.renew_listen_key(key)
    sim.wait(3000)
    await venue.renew_listen_key(key)
    await venue.close_listen_key(key)
    with pytest.raises(VenueRejected):
        await venue.renew_listen_key(key)


@pytest.mark.asyncio
async def test_more_fills_than_one_answer_holds_are_all_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openmm.venues.mexc.venue.FILLS_LIMIT", 3)
    venue, sim = made()
    await venue.place_order(order("one", 6_000_000, post_only=False))
    for _ in range(8):
        sim.wait(1)
        sim.market(SELL, "60000", "0.126", Tif.IOC)
    fills = await venue.get_fills(T0)
    assert len(fills) == len(sim.core.fills(sim.account)) > 0
    assert sum(fill.qty_lots for fill in fills) > 0


@pytest.mark.asyncio
async def test_an_order_is_never_sent_twice() -> None:
    class Broken:
        count = 0

        async def __call__(
            self, verb: str, base: str, path: str, query: str, body: bytes,
            headers: Mapping[str, str],
        ) -> tuple[int, bytes]:  # fmt: skip
            self.count += 1
            raise TransportError("no answer", retryable=True)

        async def close(self) -> None:
            """Nothing is held."""

    async def at_once(_seconds: float) -> None:
        """No time passes."""

    for path in ("/api/v3/order", "/api/v3/batchOrders"):
        wire = Broken()
        asked = Rest(key=Key(PUBLIC, SECRET), round_trip=wire, sleep=at_once)
        with pytest.raises(TransportError) as caught:
            await asked.private("POST", path)
        assert (caught.value.code, wire.count) == ("outcome_unknown", 1)
        with pytest.raises(TransportError):
            await asked.private("DELETE", path)
        assert wire.count == 4


@pytest.mark.asyncio
async def test_without_a_key_nothing_private_is_asked() -> None:
    with pytest.raises(VenueRejected) as caught:
        await Rest().private("GET", "/api/v3/account")
    assert caught.value.code == Code.CREDENTIALS


# --- samples


def test_documented_metadata_is_an_instrument(shared: Path) -> None:
    metal = read_symbol(rest(shared, "exchangeInfo, one symbol entry"))
    assert (metal.name, metal.status) == ("METAL/USDT", "online")
    assert (metal.tick_size, metal.lot_size) == (Decimal("0.00001"), Decimal("0.01"))
    assert (metal.qty_min, metal.cost_min) == (Decimal("0.1"), Decimal(1))
    assert (metal.maker_fee_ppm, metal.taker_fee_ppm) == (0, 500)
    [row] = rest(shared, "exchangeInfo with envelope, old capture")["symbols"]
    assert read_symbol(row).tick_size == Decimal("0.0001")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"status": "2"}, "offline"), ({"isSpotTradingAllowed": False}, "offline"),
        ({"permissions": []}, "offline"), ({"tradeSideType": 2}, "restricted"),
        ({"tradeSideType": "1"}, "online"),
    ],
)  # fmt: skip
def test_a_pair_that_may_not_be_traded_is_not_online(
    shared: Path, change: dict[str, object], status: str
) -> None:
    row = rest(shared, "exchangeInfo, one symbol entry")
    assert read_symbol({**row, **change}).status == status


@pytest.mark.parametrize("missing", ["baseAssetPrecision", "baseAsset", "quoteAsset", "symbol"])
def test_a_pair_without_its_steps_or_names_is_refused(shared: Path, missing: str) -> None:
    row = dict(rest(shared, "exchangeInfo, one symbol entry"))
    del row[missing]
    with pytest.raises(ProtocolError):
        read_symbol(row)


def test_documented_rates_are_millionths(shared: Path) -> None:
    told = rest(shared, "trade fee")["data"]
    assert (ppm_of(told["makerCommission"]), ppm_of("0.0000001"), ppm_of(None)) == (3000, 1, None)


def test_every_captured_error_is_typed(shared: Path) -> None:
    for row in load(shared, "rest_errors.json"):
        with pytest.raises(VenueRejected) as caught:
            parse(row["raw"].encode(), "x")
        assert caught.value.code != Code.UNKNOWN
