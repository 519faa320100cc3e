"""Gate.io as the engine sees it, against the simulated venue."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest

from openmm._fast.book import Book, BookState
from openmm._fast.planner import ActionKind
from openmm._fast.ports import Decoded
from openmm._fast.units import Side
from openmm.errors import TransportError
from openmm.events import (
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    StatusChanged,
    SystemMode,
)
from openmm.venues.connector import Connector
from openmm.venues.faults import Code
from openmm.venues.gateio import connector as module
from openmm.venues.gateio.dialect import DialectOptions
from openmm.venues.gateio.spec import Settings
from tests.venues.gateio.venue import BTC, BUY, PUBLIC, SELL, T0, Line, Venue

PLACE, CANCEL, AMEND = (
    int(ActionKind.ACTION_PLACE), int(ActionKind.ACTION_CANCEL), int(ActionKind.ACTION_AMEND),
)  # fmt: skip
Action = tuple[int, int, int, int, int, bool]


def private(options: DialectOptions | None = None) -> tuple[Line, Venue]:
    venue = Venue(options)
    connector = venue.connector()
    connector.order_encoder(BTC, bot="gate", session_s=1_700_000_000)
    return Line(venue, connector), venue


def act(line: Line, *actions: Action) -> list[object]:
    encoder = line.connector._ids()
    written = encoder.encode(list(actions), line.venue.now_ns)
    return [*line.private(*(message for message, _ in written))]


def test_connector_fills_in_the_protocol() -> None:
    connector: Connector = Venue().connector()
    assert connector.name == "gateio"
    assert connector.public_url == connector.private_url == "ws://a"
    assert connector.capabilities.batch_add_max == 10
    assert PUBLIC not in repr(connector)
    assert connector.dead_man(30) is None


def test_an_answer_tells_when_its_request_came() -> None:
    connector = private()[0].connector
    assert connector.answered_ns(b'{"header":{"x_in_time":1681985856667598}}') == (
        1_681_985_856_667_598_000
    )
    assert connector.answered_ns(b'{"header":{}}') == 0


def test_a_request_tells_the_id_that_its_answer_repeats() -> None:
    connector = private()[0].connector
    assert connector.asked_id(b'{"payload":{"req_id":"49","req_param":{}}}') == 49
    assert connector.asked_id(b'{"channel":"spot.ping"}') == 0


@pytest.mark.asyncio
async def test_questions_of_start_up() -> None:
    venue = Venue()
    rest = venue.connector().rest()
    assert await rest.server_time_ns() == T0
    assert await rest.token() == ""
    pairs = await rest.instruments(["BTC/USDT", "NO/PAIR"])
    assert set(pairs) == {"BTC/USDT"}
    assert pairs["BTC/USDT"].tick_size == Decimal("0.1")
    assert await rest.mid(BTC) == Decimal(60005)
    assert (await rest.fees(BTC)).maker_ppm == 1000
    assert await rest.balances() == {"BTC": Decimal(1), "USDT": Decimal(60_000)}
    assert await rest.open_orders() == []
    await rest.close()


def test_ready_only_after_login_and_every_subscription() -> None:
    line, _ = private()
    messages = line.connector.subscribe_private()
    assert [json.loads(one)["channel"] for one in messages] == [
        "spot.login", "spot.orders", "spot.usertrades", "spot.balances",
    ]  # fmt: skip
    for message in messages:
        assert not line.connector.private_ready()
        line.private(message)
    assert line.connector.private_ready()
    # A new connection starts anew.
    line.connector.subscribe_private()
    assert not line.connector.private_ready()


def test_a_login_says_that_orders_may_be_sent() -> None:
    line, _ = private()
    events = line.private(line.connector.subscribe_private()[0])
    assert events[-1] == StatusChanged(SystemMode.ONLINE, "online")


def test_a_wrong_secret_is_refused_and_not_ready() -> None:
    line, venue = private()
    venue.core._accounts[venue.account].secret = b"other"
    events = line.private(*line.connector.subscribe_private())
    refused = [one for one in events if isinstance(one, RequestRefused)]
    assert [one.code for one in refused] == [Code.CREDENTIALS] * 4
    assert not line.connector.private_ready()


@pytest.mark.parametrize("order", ["random", "result_first", "events_first"])
def test_orders_live_whatever_comes_first(order: str) -> None:
    line, venue = private(DialectOptions(order=order))
    line.private(*line.connector.subscribe_private())
    events = act(line, (PLACE, 1, Side.BUY, 599_000, 10_000, True))
    assert any(isinstance(one, RequestAccepted) and one.kind == "add" for one in events)
    events = act(line, (AMEND, 1, Side.BUY, 599_500, 20_000, True))
    assert any(isinstance(one, RequestAccepted) and one.kind == "amend" for one in events)
    venue.market(SELL, "59950", "1.01")
    events = [*line.private()]
    fills = [one for one in events if isinstance(one, OrderFilled)]
    assert [one.qty_lots for one in fills] == [10_000]
    assert fills[0].fees[0].asset == "BTC"
    assert fills[0].fees[0].amount == Decimal("0.00001")
    venue.wait(1)
    events = act(line, (CANCEL, 1, 0, 0, 0, False))
    ended = [one for one in events if isinstance(one, OrderUpdated)][-1]
    assert (ended.status, ended.filled_lots) == (OrderStatus.CANCELLED, 10_000)
    assert venue.core.open_orders(venue.account) == []


def test_a_batch_is_answered_order_by_order() -> None:
    line, _ = private()
    line.private(*line.connector.subscribe_private())
    events = act(
        line, (PLACE, 1, Side.BUY, 599_000, 10_000, True),
        (PLACE, 2, Side.BUY, 700_000, 10_000, True), (PLACE, 3, Side.SELL, 610_000, 10_000, True),
    )  # fmt: skip
    taken = [one.client_id for one in events
             if isinstance(one, RequestAccepted) and one.kind == "add"]  # fmt: skip
    assert taken == [line.connector.client_id(1), line.connector.client_id(3)]
    [refused] = [one for one in events if isinstance(one, RequestRefused)]
    assert (refused.client_id, refused.code) == (line.connector.client_id(2), Code.POST_ONLY)
    events = act(line, *((CANCEL, seq, 0, 0, 0, False) for seq in (1, 2, 3)))
    cancels = [one for one in events
               if isinstance(one, RequestAccepted | RequestRefused)]  # fmt: skip
    assert [type(one).__name__ for one in cancels] == [
        "RequestAccepted", "RequestRefused", "RequestAccepted",
    ]  # fmt: skip


def test_an_order_before_the_login_is_refused_and_asks_for_a_new_connection() -> None:
    line, _ = private()
    events = act(line, (PLACE, 1, Side.BUY, 599_000, 10_000, True))
    assert isinstance(events[0], RequestRefused)
    assert events[0].code == Code.LOGIN


@pytest.mark.parametrize("depth", [50, 400])
def test_an_obu_book_starts_renews_and_follows(depth: int) -> None:
    venue = Venue()
    connector = venue.connector()
    line, book = Line(venue, connector), Book()
    decoder = connector.market_decoder(BTC, book, depth=depth, verify=True)
    for frame in line.frames(*connector.subscribe_market(BTC, depth)):
        if decoder.decode(frame, 1) is Decoded.DECODED_SLOW:
            connector.read_public(frame, 1)
    assert book.state is BookState.BOOK_VERIFIED
    venue.market(BUY, "60001", "0.5")
    venue.wait(0.2)
    for frame in line.frames():
        decoder.decode(frame, 2)
    assert book.best_bid_ticks == 600_010
    book.catch_up()
    for frame in line.frames(*connector.resubscribe_book(BTC, depth)):
        decoder.decode(frame, 3)
    assert book.state is BookState.BOOK_VERIFIED


@pytest.mark.asyncio
@pytest.mark.parametrize("depth", [20, 100])
async def test_a_book_from_requests_waits_for_the_acknowledgement(depth: int) -> None:
    venue = Venue()
    connector = venue.connector()
    await connector.rest().instruments(["BTC/USDT"])
    line, book = Line(venue, connector), Book()
    decoder = connector.market_decoder(BTC, book, depth=depth, verify=True)
    frames = line.frames(*connector.subscribe_market(BTC, depth))
    asking = asyncio.ensure_future(connector.book_snapshot(BTC, depth))
    await asyncio.sleep(0)
    assert not asking.done()
    venue.market(BUY, "60001", "0.5")
    venue.wait(0.2)
    for frame in [*frames, *line.frames()]:
        if decoder.decode(frame, 1) is Decoded.DECODED_SLOW:
            connector.read_public(frame, 1)
    assert book.state is BookState.BOOK_CATCHING_UP
    frame_of_rest = await asking
    assert frame_of_rest is not None
    assert decoder.decode(frame_of_rest, 2) is Decoded.DECODED_BOOK
    assert book.best_bid_ticks == 600_010
    assert connector.resubscribe_book(BTC, depth) == []


@pytest.mark.asyncio
async def test_without_an_acknowledgement_there_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACK_WAIT_S", 0.0)
    connector = Venue().connector()
    connector.subscribe_market(BTC, 100)
    with pytest.raises(TransportError, match="not acknowledged"):
        await connector.book_snapshot(BTC, 100)
    assert await connector.book_snapshot(BTC, 50) is None


@pytest.mark.asyncio
async def test_orders_in_doubt_are_found_open_done_and_absent() -> None:
    line, venue = private()
    line.private(*line.connector.subscribe_private())
    rest = line.connector.rest()
    await rest.instruments(["BTC/USDT"])
    act(line, (PLACE, 1, Side.BUY, 599_000, 10_000, True),
        (PLACE, 2, Side.SELL, 600_200, 10_000, True))  # fmt: skip
    venue.market(BUY, "60020", "1.01")
    venue.wait(1)
    ids = [line.connector.client_id(seq) for seq in (1, 2, 3)]
    found = await rest.find_orders(ids, [])
    states = {one.client_id: one.status for one in found if isinstance(one, OrderUpdated)}
    assert states == {ids[0]: OrderStatus.OPEN, ids[1]: OrderStatus.FILLED}
    [fill] = [one for one in found if isinstance(one, OrderFilled)]
    assert (fill.client_id, fill.side, fill.maker) == (ids[1], Side.SELL, True)
    streamed = [one for one in line.private() if isinstance(one, OrderFilled)]
    # The same fill by stream and by request is one.
    assert [one.exec_id for one in streamed] == [fill.exec_id]
    assert [one.exec_id for one in await rest.fills_since(T0)] == [fill.exec_id]
    assert await rest.fills_since(venue.now_ns + 10**9) == []
    [still] = await rest.open_orders()
    assert await rest.cancel([still.venue_order_id]) == 1
    assert await rest.cancel([still.venue_order_id]) == 0


@pytest.mark.asyncio
async def test_the_countdown_cancels_what_is_open() -> None:
    line, venue = private()
    line.private(*line.connector.subscribe_private())
    act(line, (PLACE, 1, Side.BUY, 599_000, 10_000, True))
    await line.connector.rest().dead_man(5)
    venue.wait(4.9)
    assert len(venue.core.open_orders(venue.account)) == 1
    venue.wait(0.2)
    assert venue.core.open_orders(venue.account) == []
    await line.connector.rest().dead_man(0)


def test_the_pair_is_cancelled_over_the_stream() -> None:
    line, venue = private()
    line.private(*line.connector.subscribe_private())
    act(line, (PLACE, 1, Side.BUY, 599_000, 10_000, True))
    message = line.connector.cancel_all()
    assert message is not None
    events = line.private(message)
    assert any(isinstance(one, RequestAccepted) and one.kind == "cancel_all" for one in events)
    assert venue.core.open_orders(venue.account) == []


def test_no_second_holds_more_orders_than_the_venue_allows() -> None:
    budget = Venue().connector().rate_budget(reserve=lambda threshold: threshold // 2)
    now_ns, sent = T0, []
    for _ in range(4000):
        cost = budget.cost(PLACE)
        if budget.allows(PLACE, cost, now_ns):
            budget.spend(cost)
            sent.append(now_ns)
        now_ns += 1_000_000
    assert max(sum(at <= one < at + 10**9 for one in sent) for at in sent) <= 10
    assert len(sent) >= 20
    assert budget.cost(CANCEL) == 0


def test_what_the_venue_repeats_of_the_key_is_blanked() -> None:
    line, _ = private()
    [answer] = line.frames(line.connector.subscribe_private()[0])
    assert b'"key"' in answer
    assert b'":"***"' in line.connector.redact(answer)
    assert b'"key"' not in line.connector.redact(answer)


def test_settings_reach_the_orders() -> None:
    venue = Venue()
    connector = venue.connector(Settings(deadline_ms=0, action_mode="ACK"))
    connector.order_encoder(BTC, bot="gate", session_s=1_700_000_000)
    line = Line(venue, connector)
    line.private(*connector.subscribe_private())
    events = act(line, (PLACE, 1, Side.BUY, 599_000, 10_000, True))
    assert any(isinstance(one, RequestAccepted) and one.kind == "add" for one in events)


def test_client_ids_are_the_venues_texts() -> None:
    line, _ = private()
    text = line.connector.client_id(7)
    assert text.startswith("t-m")
    assert line.connector.seq_of(text) == 7
    assert not line.connector.is_earlier(text)
    assert line.connector.requested(99) == ("", [])
    assert json.loads(line.connector.ping())["channel"] == "spot.ping"
