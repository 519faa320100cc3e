"""Kraken as the engine sees it, against the simulated venue."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from openmm._fast.book import Book, BookState
from openmm._fast.planner import ActionKind
from openmm._fast.ports import Decoded
from openmm._fast.text import parse_client_id
from openmm._fast.units import Side
from openmm.clock import ManualClock
from openmm.events import Event, OrderStatus, OrderUpdated, RequestAccepted, Subscribed
from openmm.venues.connector import Connector
from openmm.venues.kraken.auth import Key
from openmm.venues.kraken.connector import KrakenConnector
from openmm.venues.kraken.encode import KrakenEncoder
from openmm.venues.kraken.rest import Rest
from openmm.venues.kraken.spec import Endpoints
from openmm.venues.session import bot_mark
from tests.sim.venue import BTC, SECRET, SELL, T0, Venue
from tests.venues.kraken.test_venue import InProcess

PLACE = int(ActionKind.ACTION_PLACE)
CANCEL = int(ActionKind.ACTION_CANCEL)


def made() -> tuple[KrakenConnector, Venue]:
    sim = Venue()
    sim.market(SELL, "60010.0", "1")
    sim.market(1, "60000.0", "1")
    clock = ManualClock(T0)
    rest = Rest(key=Key("one", SECRET, clock), clock=clock, round_trip=InProcess(sim))
    return KrakenConnector(rest, Endpoints(ws_public="ws://a", ws_private="ws://b")), sim


class Private:
    """The private connection between connector and simulated venue, with an encoder."""

    def __init__(self, connector: KrakenConnector, sim: Venue) -> None:
        self.connector = connector
        self.sim = sim
        self.session = sim.gateway.connect(sim.now_ns, private=True)
        self.encoder: KrakenEncoder = connector.order_encoder(
            BTC, bot="btc-grid", session_s=1_700_000_000
        )

    def start(self) -> list[Event]:
        self.connector.set_token(self.sim.token())
        return self.tell(*self.connector.subscribe_private())

    def tell(self, *messages: bytes) -> list[Event]:
        frames = []
        for message in messages:
            frames += self.session.on_client_frame(message, self.sim.now_ns)
        frames += self.session.poll(self.sim.now_ns)
        return [
            event
            for frame in frames
            for event in self.connector.read_private(frame, self.sim.now_ns)
        ]

    def act(self, *actions: tuple[int, int, int, int, int, bool]) -> list[Event]:
        written = self.encoder.encode(list(actions), self.sim.now_ns)
        return self.tell(*(self.encoder.fill_secret(*one) for one in written))


def test_connector_fills_in_the_protocol() -> None:
    connector: Connector = made()[0]
    assert connector.name == "kraken"
    assert (connector.public_url, connector.private_url) == ("ws://a", "ws://b")
    assert connector.capabilities.amend
    assert "ws://a" in repr(connector)


def test_an_answer_tells_when_its_request_came() -> None:
    connector = made()[0]
    answer = b'{"method":"add_order","time_in":"2023-11-14T22:13:20.013001Z","time_out":"x"}'
    assert connector.answered_ns(answer) == 1_700_000_000_013_001_000
    assert connector.answered_ns(b'{"channel":"heartbeat"}') == 0
    assert connector.answered_ns(b'{"time_in":"soon"}') == 0


def test_a_request_tells_the_id_that_its_answer_repeats() -> None:
    connector = made()[0]
    assert connector.asked_id(b'{"method":"batch_cancel","params":{},"req_id":49}') == 49
    assert connector.asked_id(b'{"method":"ping"}') == 0


@pytest.mark.asyncio
async def test_questions_of_start_up() -> None:
    connector, sim = made()
    rest = connector.rest()
    found = await rest.instruments(["BTC/USD", "NO/PE"])
    assert list(found) == ["BTC/USD"]
    assert connector.instrument("BTC/USD") is found["BTC/USD"]
    assert await rest.mid(found["BTC/USD"]) == Decimal(60005)
    assert abs(await rest.server_time_ns() - sim.now_ns) <= 1_000_000_000
    assert (await rest.balances())["USD"] == Decimal(1_000_000)
    assert await rest.open_orders() == []
    fees = await rest.fees(found["BTC/USD"])
    assert (fees.maker_ppm, fees.taker_ppm) == (2500, 4000)
    assert len(await rest.token()) > 20


def test_market_data_of_the_simulated_venue_verifies() -> None:
    connector, sim = made()
    book = Book()
    decoder = connector.market_decoder(BTC, book, depth=10, verify=True)
    session = sim.gateway.connect(sim.now_ns, private=False)
    frames = session.poll(sim.now_ns)
    for message in connector.subscribe_market(BTC, 10):
        frames += session.on_client_frame(message, sim.now_ns)
    events: list[Event] = []
    for frame in frames:
        if decoder.decode(frame, sim.now_ns) is Decoded.DECODED_SLOW:
            events += connector.read_public(frame, sim.now_ns)
    assert book.state is BookState.BOOK_VERIFIED
    assert (book.best_bid_ticks, book.best_ask_ticks) == (600000, 600100)
    assert {one.channel for one in events if isinstance(one, Subscribed)} == {
        "book", "trade", "instrument",
    }  # fmt: skip
    leave, enter = (json.loads(one) for one in connector.resubscribe_book(BTC, 10))
    assert (leave["method"], enter["method"]) == ("unsubscribe", "subscribe")


def test_private_streams_are_ready_once_both_snapshots_are_read() -> None:
    connector, sim = made()
    line = Private(connector, sim)
    assert not connector.private_ready()
    events = line.start()
    assert connector.private_ready()
    (threshold,) = [
        one.rate_threshold for one in events if isinstance(one, Subscribed) and one.rate_threshold
    ]
    assert threshold == 180
    connector.subscribe_private()
    assert not connector.private_ready()


def test_orders_by_the_encoder_live_at_the_venue() -> None:
    connector, sim = made()
    line = Private(connector, sim)
    line.start()
    events = line.act(
        (PLACE, 513, int(Side.BUY), 600001, 10_000_000, True),
        (PLACE, 514, int(Side.SELL), 600099, 10_000_000, True),
    )
    acked = [one for one in events if isinstance(one, RequestAccepted)]
    assert [connector.seq_of(one.client_id) for one in acked] == [513, 514]
    assert connector.requested(acked[0].req_id) == ("add", [513, 514])
    opened = [
        one for one in events if isinstance(one, OrderUpdated) and one.status is OrderStatus.OPEN
    ]
    assert [(one.client_id, one.price_ticks, one.side) for one in opened] == [
        (connector.client_id(513), 600001, Side.BUY),
        (connector.client_id(514), 600099, Side.SELL),
    ]
    events = line.act((CANCEL, 513, 0, 0, 0, False), (CANCEL, 514, 0, 0, 0, False))
    gone = [one for one in events if isinstance(one, OrderUpdated)]
    assert {one.status for one in gone} == {OrderStatus.CANCELLED}
    assert {one.client_id for one in gone} == {connector.client_id(513), connector.client_id(514)}


@pytest.mark.asyncio
async def test_orders_are_found_with_their_fills() -> None:
    connector, sim = made()
    line = Private(connector, sim)
    line.start()
    events = line.act(
        (PLACE, 513, int(Side.BUY), 600001, 10_000_000, True),
        (PLACE, 514, int(Side.BUY), 599000, 10_000_000, True),
    )
    named = {one.client_id: one.venue_order_id for one in events if isinstance(one, OrderUpdated)}
    sim.market(SELL, "60000.1", "0.05")
    line.act((CANCEL, 514, 0, 0, 0, False))
    sim.wait(60)
    ids = [connector.client_id(seq) for seq in (513, 514, 515)]
    by_client = await connector.rest().find_orders(ids, [])
    by_venue = await connector.rest().find_orders(ids[:2], [named[one] for one in ids[:2]])
    at_once = await connector.rest().find_orders(ids, [], T0 - 60 * 10**9)
    for found in (by_client, by_venue, at_once):
        states = {one.client_id: one for one in found if isinstance(one, OrderUpdated)}
        assert states[ids[0]].status is OrderStatus.PARTIALLY_FILLED
        assert states[ids[1]].status is OrderStatus.CANCELLED
        assert set(states) == set(ids[:2])
        (fill,) = [one for one in found if not isinstance(one, OrderUpdated)]
        assert fill.qty_lots == 5_000_000
    assert len(await connector.rest().fills_since(T0)) == 1
    assert await connector.rest().cancel([named[ids[0]], named[ids[1]]]) == 1


def test_account_commands_carry_the_latest_token_and_are_redacted() -> None:
    connector, _ = made()
    connector.set_token("old-token")
    connector.set_token("new-token")
    for message in (connector.cancel_all(), connector.dead_man(60)):
        assert message is not None
        assert json.loads(message)["params"]["token"] == "new-token"
        assert b"new-token" not in connector.redact(message)
    assert connector.redact(b"old-token") == b"*********"
    assert json.loads(connector.ping())["method"] == "ping"


def test_budget_counts_as_the_venue_does() -> None:
    budget = made()[0].rate_budget(reserve=lambda threshold: threshold // 10)
    second = 1_000_000_000
    assert (budget.threshold_milli, budget.reserve_milli) == (60_000, 6_000)
    assert budget.cost(PLACE) == 1000
    amend = int(ActionKind.ACTION_AMEND)
    assert [budget.cost(amend, age * second) for age in (0, 5, 10, 15)] == [4000, 3000, 2000, 1000]
    assert [budget.cost(CANCEL, age * second) for age in (4, 9, 14, 44, 89, 299, 300)] == [
        8000, 6000, 5000, 4000, 2000, 1000, 0,
    ]  # fmt: skip


def test_bot_is_told_by_its_name_in_client_ids() -> None:
    connector, _ = made()
    connector.order_encoder(BTC, bot="btc-grid", session_s=1_700_000_000)
    parts: Any = parse_client_id(connector.client_id(7))
    assert parts[0] == bot_mark("btc-grid") != bot_mark("eth-grid")
    assert parts[2] == 7
    before = connector.client_id(7)
    connector.order_encoder(BTC, bot="btc-grid", session_s=1_700_000_001)
    assert connector.is_earlier(before)
    assert connector.seq_of(before) == 0


def test_pair_of_two_currencies_is_named_in_amends() -> None:
    from msgspec.structs import replace

    connector, _ = made()
    fx = replace(BTC, name="EUR/USD", base="EUR")
    encoder = connector.order_encoder(fx, bot="fx", session_s=1)
    ((message, _),) = encoder.encode([(int(ActionKind.ACTION_AMEND), 1, 1, 10, 10, True)], T0)
    assert json.loads(message)["params"]["symbol"] == "EUR/USD"
