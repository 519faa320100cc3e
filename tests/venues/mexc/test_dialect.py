"""The simulated MEXC: its protobuf by the reference implementation, its limits, its refusals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf import json_format

from openmm._fast.matching import Tif
from openmm.venues.mexc.auth import Key
from openmm.venues.mexc.dialect import MexcSession
from openmm.venues.mexc.dialect_faults import kind_of_message, lying, wrong_checksum
from openmm.venues.mexc.rest import query_of
from openmm.venues.mexc.spec import BAD_LISTEN_KEY, ORDERS_PER_S
from openmm.venues.mexc.stream import PRIVATE
from tests.oracles.mexc import BODIES, push_class
from tests.venues.mexc.venue import BUY, NS, PUBLIC, SECRET, SELL, T0, Venue

PUSH = push_class()


def read(frame: bytes) -> dict[str, Any]:
    """Read a push by the reference implementation; it must write the very same bytes again."""
    message = PUSH.FromString(frame)
    assert message.SerializeToString(deterministic=True) == frame
    found: dict[str, Any] = json_format.MessageToDict(message)
    return found


def ask(session: MexcSession, venue: Venue, message: dict[str, Any]) -> list[Any]:
    told = session.on_client_frame(json.dumps(message).encode(), venue.now_ns)
    return [json.loads(one) if one[:1] == b"{" else one for one in told]


def subscribed(venue: Venue, *topics: str, query: str = "") -> MexcSession:
    session = venue.gateway.connect(venue.now_ns, False)
    session.authorise(query, venue.now_ns)
    [answer] = ask(session, venue, {"method": "SUBSCRIPTION", "params": list(topics), "id": 3})
    assert answer == {"id": 3, "code": 0, "msg": ",".join(topics)}
    return session


def reader(session: MexcSession) -> int | None:
    return session.account


async def call(
    venue: Venue, verb: str, path: str, params: dict[str, str | int] | None = None, *,
    key: Key | None = None, change: Sequence[tuple[str, str]] = (), stamp_ms: int = T0 // 10**6,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:  # fmt: skip
    key = key or Key(PUBLIC, SECRET)
    query = query_of({**(params or {}), "timestamp": stamp_ms})
    query += f"&signature={key.sign(query.encode()).decode()}"
    for old, new in change:
        query = query.replace(old, new)
    told = key.headers() if headers is None else headers
    status, body = await venue(verb, "", path, query, b"", told)
    return status, json.loads(body)


ORDER: dict[str, str | int] = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.01",
    "price": "59990", "newClientOrderId": "mine",
}  # fmt: skip


# --- protobuf


@pytest.mark.asyncio
async def test_every_push_reads_and_writes_alike_by_the_reference_implementation() -> None:
    venue = Venue()
    [key] = (await call(venue, "POST", "/api/v3/userDataStream"))[1].values()
    names = (
        "spot@public.aggre.depth.v3.api.pb@10ms@BTCUSDT",
        "spot@public.aggre.bookTicker.v3.api.pb@10ms@BTCUSDT",
        "spot@public.limit.depth.v3.api.pb@BTCUSDT@5",
    )
    session = subscribed(venue, *names, *PRIVATE, query=f"listenKey={key}")
    session.poll(venue.now_ns)
    status, answer = await call(venue, "POST", "/api/v3/order", ORDER)
    assert status == 200
    venue.wait(0.2)
    venue.market(SELL, "59990", "1.004", Tif.IOC)
    seen: dict[str, dict[str, Any]] = {}
    for frame in session.poll(venue.now_ns):
        told = read(frame)
        [body] = told.keys() & BODIES.keys()
        seen[body] = told[body]
        assert kind_of_message(frame) or body == "publicAggreBookTicker"
    assert seen.keys() == BODIES.keys()
    deal = seen["privateDeals"]
    assert (deal["orderId"], deal["clientOrderId"]) == (answer["orderId"], "mine")
    assert (deal["quantity"], deal["isMaker"], deal["feeCurrency"]) == ("0.004", True, "USDT")
    assert seen["privateOrders"]["status"] == "3"
    assert seen["publicAggreDepths"]["toVersion"] == seen["publicAggreBookTicker"]["version"]


@pytest.mark.asyncio
async def test_increments_chain_and_begin_behind_the_rest_copy() -> None:
    venue = Venue()
    name = "spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT"
    session = subscribed(venue, name)
    _, copy = await call(venue, "GET", "/api/v3/depth", {"symbol": "BTCUSDT"})
    last = copy["lastUpdateId"]
    for step in range(4):
        venue.market(BUY, f"{59_900 + step}", "0.5")
        venue.wait(0.2)
        [frame] = session.poll(venue.now_ns)
        body = read(frame)["publicAggreDepths"]
        assert int(body["fromVersion"]) == last + 1
        last = int(body["toVersion"])
        assert read(wrong_checksum(frame))["publicAggreDepths"]["toVersion"] == "x"
    _, copy = await call(venue, "GET", "/api/v3/depth", {"symbol": "BTCUSDT"})
    assert copy["lastUpdateId"] == last


# --- WebSocket


def test_both_spellings_of_a_ping_are_answered() -> None:
    venue = Venue()
    session = venue.gateway.connect(venue.now_ns, False)
    for method in ("PING", "ping"):
        assert ask(session, venue, {"method": method}) == [{"id": 0, "code": 0, "msg": "PONG"}]


def test_a_topic_that_is_none_is_refused_with_code_zero() -> None:
    venue = Venue()
    session = venue.gateway.connect(venue.now_ns, False)
    for topic in ("spot@public.deals.v3.api@BTCUSDT", PRIVATE[0]):
        [answer] = ask(session, venue, {"method": "SUBSCRIPTION", "params": [topic], "id": 1})
        assert (answer["id"], answer["code"]) == (0, 0)
        assert answer["msg"].startswith(f"Not Subscribed successfully! [{topic}]")


@pytest.mark.asyncio
async def test_a_listen_key_opens_an_hour_and_its_end_is_told() -> None:
    venue = Venue()
    [key] = (await call(venue, "POST", "/api/v3/userDataStream"))[1].values()
    session = subscribed(venue, *PRIVATE, query=f"listenKey={key}")
    assert reader(session) == venue.account
    venue.wait(3601)
    assert session.poll(venue.now_ns) == [BAD_LISTEN_KEY]
    assert reader(session) is None
    late = venue.gateway.connect(venue.now_ns, True)
    late.authorise(f"listenKey={key}", venue.now_ns)
    assert late.poll(venue.now_ns) == [BAD_LISTEN_KEY]


@pytest.mark.asyncio
async def test_a_lying_balance_is_told_of_one_asset() -> None:
    venue = Venue()
    [key] = (await call(venue, "POST", "/api/v3/userDataStream"))[1].values()
    session = subscribed(venue, *PRIVATE, query=f"listenKey={key}")
    await call(venue, "POST", "/api/v3/order", ORDER)
    frames = [one for one in session.poll(venue.now_ns) if kind_of_message(one) == "balances"]
    before = read(frames[0])["privateAccount"]
    after = read(lying(frames[0], Decimal(5)))["privateAccount"]
    assert Decimal(after["balanceAmount"]) == Decimal(before["balanceAmount"]) + 5


# --- REST


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"change": [("signature=", "signature=0")]}, 700004),
        ({"change": [("price=59990", "price=59991")]}, 700002),
        ({"key": Key(PUBLIC, "other")}, 700002), ({"key": Key("other", SECRET)}, 10072),
        ({"stamp_ms": T0 // 10**6 + 1000}, 700003), ({"stamp_ms": T0 // 10**6 - 5001}, 700003),
        ({"headers": {"X-MEXC-APIKEY": PUBLIC}}, 700013),
        ({"headers": {"Content-Type": "application/json"}}, 400),
    ],
)  # fmt: skip
@pytest.mark.asyncio
async def test_who_is_not_the_account_or_not_in_time_is_refused(
    change: dict[str, Any], code: int
) -> None:
    status, body = await call(Venue(), "POST", "/api/v3/order", ORDER, **change)
    assert (status, body["code"]) == (400, code)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": "0.0100001"}, 10096), ({"price": "59990.001"}, 10096),
        ({"quantity": "0.000001"}, 30002), ({"quantity": "5"}, 30004), ({"symbol": "NO"}, -1121),
        ({"type": "MARKET"}, 30019), ({"newClientOrderId": "a b"}, 700008), ({"side": "x"}, 33333),
        ({"price": "x"}, 30010), ({"quantity": ""}, 10095),
    ],
)  # fmt: skip
@pytest.mark.asyncio
async def test_a_bad_order_has_the_venues_code(change: dict[str, str], code: int) -> None:
    status, body = await call(Venue(), "POST", "/api/v3/order", {**ORDER, **change})
    assert (status, body["code"]) == (400, code)


@pytest.mark.asyncio
async def test_orders_and_cancels_share_one_count_a_second() -> None:
    venue = Venue()
    for number in range(ORDERS_PER_S - 1):
        await call(venue, "POST", "/api/v3/order", {**ORDER, "newClientOrderId": f"n{number}"})
    cancel: dict[str, str | int] = {"symbol": "BTCUSDT", "origClientOrderId": "n0"}
    assert (await call(venue, "DELETE", "/api/v3/order", cancel))[0] == 200
    status, body = await call(venue, "POST", "/api/v3/order", ORDER)
    assert (status, body["code"]) == (429, 429)
    venue.wait(1.1)
    assert (await call(venue, "POST", "/api/v3/order", ORDER, stamp_ms=venue.now_ns // 10**6))[
        0
    ] == 200


@pytest.mark.asyncio
async def test_a_post_only_order_that_would_take_is_taken_and_cancelled() -> None:
    venue = Venue()
    status, answer = await call(venue, "POST", "/api/v3/order", {**ORDER, "price": "60010"})
    assert status == 200
    asked: dict[str, str | int] = {"symbol": "BTCUSDT", "orderId": answer["orderId"]}
    _, told = await call(venue, "GET", "/api/v3/order", asked)
    assert told["status"] == "CANCELED"


@pytest.mark.asyncio
async def test_a_batch_answers_each_order_in_its_place() -> None:
    venue = Venue()
    rows = [{**ORDER, "newClientOrderId": "a"}, {**ORDER, "newClientOrderId": "b", "quantity": "9"}]
    _, told = await call(venue, "POST", "/api/v3/batchOrders", {"batchOrders": json.dumps(rows)})
    assert [one.get("code") for one in told] == [None, 30004]
    assert told[0]["orderId"].startswith("C02__")
    assert (await call(venue, "DELETE", "/api/v3/order/all"))[1]["code"] == 200
    assert (await call(venue, "GET", "/api/v3/openOrders"))[1] == []


@pytest.mark.asyncio
async def test_weights_are_counted() -> None:
    venue = Venue()
    answers = [await call(venue, "GET", "/api/v3/account") for _ in range(31)]
    assert [status for status, _ in answers] == [200] * 30 + [429]
    venue.wait(10.1)
    status, _ = await call(venue, "GET", "/api/v3/account", stamp_ms=venue.now_ns // 10**6)
    assert status == 200
    assert venue.now_ns > T0 + 10 * NS
