"""The engine's side: subscriptions, listen keys, budget, secrets, and a book joined to its copy."""

from __future__ import annotations

import asyncio
import json

import pytest

from openmm._fast.book import Book, BookState
from openmm.errors import TransportError
from openmm.events import StatusChanged
from openmm.venues.faults import Code
from openmm.venues.mexc.connector import MexcConnector
from openmm.venues.mexc.rest import Rest
from openmm.venues.mexc.spec import ORDERS_PER_S, Endpoints, Settings
from tests.venues.mexc.venue import BTC, BUY, PUBLIC, Venue

KEYS = "/api/v3/userDataStream"


async def loaded(venue: Venue) -> MexcConnector:
    connector = venue.connector()
    await connector.rest().instruments(["BTC/USDT"])
    return connector


@pytest.mark.asyncio
async def test_a_book_follows_the_venue_through_its_copy_and_its_tickers() -> None:
    venue = Venue()
    connector, book = await loaded(venue), Book()
    pair = connector.instrument("BTC/USDT")
    decoder = connector.market_decoder(pair, book, depth=500, verify=True)
    session = venue.gateway.connect(venue.now_ns, False)
    for message in connector.subscribe_market(pair, 500):
        for answer in session.on_client_frame(message, venue.now_ns):
            connector.read_public(answer, venue.now_ns)
    frame = await connector.book_snapshot(pair, 500)
    assert frame is not None
    decoder.decode(frame, 1)
    for step in range(20):
        venue.market(BUY, f"{59_900 + step % 7}", "0.125")
        venue.wait(0.02)
        for push in session.poll(venue.now_ns):
            decoder.decode(push, 2)
        wanted = venue.core.depth("BTC/USDT", 0, 500)
        assert book.levels(0) == wanted
    assert book.state is BookState.BOOK_VERIFIED
    assert decoder.counters["checksums_ok"] >= 19


@pytest.mark.asyncio
async def test_a_copy_is_fetched_only_once_the_stream_was_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openmm.venues.mexc.connector.ACK_WAIT_S", 0.02)
    venue = Venue()
    connector = await loaded(venue)
    connector.subscribe_market(BTC, 500)
    with pytest.raises(TransportError):
        await connector.book_snapshot(BTC, 500)
    assert ("GET", "/api/v3/depth") not in venue.asked
    assert await connector.book_snapshot(BTC, 20) is None


@pytest.mark.asyncio
async def test_the_private_side_is_ready_when_every_topic_was_taken() -> None:
    venue = Venue()
    connector = await loaded(venue)
    connector.set_token(await connector.rest().token())
    session = venue.gateway.connect(venue.now_ns, True)
    session.authorise(connector.private_url.partition("?")[2], venue.now_ns)
    told = []
    for message in connector.subscribe_private():
        assert not connector.private_ready()
        for answer in session.on_client_frame(message, venue.now_ns):
            told += connector.read_private(answer, venue.now_ns)
    assert connector.private_ready()
    assert [type(event) for event in told].count(StatusChanged) == 1
    assert connector.read_private(b'{"method":"PING"}', 1) == []
    assert connector.due() == [b'{"method":"PONG"}']
    assert connector.due() == []


@pytest.mark.asyncio
async def test_a_listen_key_is_renewed_and_replaced_when_it_is_dead() -> None:
    venue = Venue()
    connector = await loaded(venue)
    rest = connector.rest()
    first = await rest.token()
    connector.set_token(first)
    assert await rest.token() == first
    connector.subscribe_private()
    connector.set_token(first)
    assert [verb for verb, path in venue.asked if path == KEYS] == ["POST", "PUT"]
    venue.gateway.expire_tokens()
    second = await rest.token()
    assert second != first
    # Streams of another key are dead: the connection has to be made anew.
    for topic in ("orders", "deals", "account"):
        answer = json.dumps({"id": 1, "code": 0, "msg": f"spot@private.{topic}.v3.api.pb"})
        connector.read_private(answer.encode(), 1)
    assert connector.private_ready()
    connector.set_token(second)
    assert not connector.private_ready()
    [refused] = connector.read_private(b"Invalid listen key", 1)
    assert refused.code == Code.TOKEN  # type: ignore[union-attr]
    third = await rest.token()
    assert third not in (first, second)
    await rest.close()
    assert third not in venue.gateway.listen_keys


@pytest.mark.asyncio
async def test_no_secret_is_journalled() -> None:
    venue = Venue()
    connector = await loaded(venue)
    token = await connector.rest().token()
    connector.set_token(token)
    kept = connector.redact(f"{token} {PUBLIC} x".encode())
    assert kept == b"*" * 64 + b" *** x"
    assert token not in repr(connector)


def test_no_second_holds_more_requests_than_the_venue_allows() -> None:
    connector = MexcConnector(Rest(), Endpoints())
    burst_milli, decay_milli = connector.tier(ORDERS_PER_S)
    assert burst_milli + decay_milli <= ORDERS_PER_S * 1000
    assert connector.tier(200) == (100_000, 100_000)


def test_without_a_key_no_order_can_leave() -> None:
    connector = MexcConnector(Rest(settings=Settings()), Endpoints())
    assert connector.order_http() is None
    assert connector.private_url == Endpoints().ws


def test_settings_reach_the_topics() -> None:
    connector = MexcConnector(Rest(settings=Settings(interval="100ms")), Endpoints())
    topics = [json.loads(one)["params"][0] for one in connector.subscribe_market(BTC, 100)]
    assert topics == [
        f"spot@public.aggre.{kind}.v3.api.pb@100ms@BTCUSDT"
        for kind in ("depth", "deals", "bookTicker")
    ]
    assert asyncio.run(connector.book_snapshot(BTC, 5)) is None
