"""The REST client: signatures, errors, repeats; and the venue's typed answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm.clock import ManualClock
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.venues.faults import Code
from openmm.venues.gateio.auth import Key
from openmm.venues.gateio.rest import Rest, refusal
from openmm.venues.gateio.spec import ERRORS, Endpoints
from tests.venues.gateio.samples import load

KEY = Key("key", "secret")
ELSEWHERE = Endpoints(rest="https://testnet.invalid/api/v4")
LOST = TransportError("lost", retryable=True)
Reply = tuple[int, bytes] | TransportError


class Scripted:
    """Answer from a list, keeping what was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, str, str, bytes, dict[str, str]]] = []
        self.waits: list[float] = []

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self.asked.append((verb, base, path, query, body, dict(headers)))
        reply = self.replies.pop(0)
        if isinstance(reply, TransportError):
            raise reply
        return reply

    async def close(self) -> None:
        """Nothing is held."""

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def made(*replies: Reply, endpoints: Endpoints | None = None) -> tuple[Rest, Scripted]:
    script = Scripted(*replies)
    clock = ManualClock(1_541_993_715 * 10**9)
    rest = Rest(endpoints, KEY, clock, round_trip=script, sleep=script.sleep)
    return rest, script


def error(label: str, status: int = 400) -> Reply:
    return status, json.dumps({"label": label, "message": "no"}).encode()


@pytest.mark.asyncio
async def test_a_call_is_signed_over_what_is_sent() -> None:
    rest, script = made((200, b"[]"), (200, b"{}"))
    await rest.private("GET", "/spot/orders", {"currency_pair": "BTC_USDT", "limit": 5})
    verb, base, path, query, body, headers = script.asked[0]
    assert (verb, base, path) == ("GET", "https://api.gateio.ws", "/api/v4/spot/orders")
    assert (query, body) == ("currency_pair=BTC_USDT&limit=5", b"")
    assert headers["SIGN"] == KEY.sign_request(verb, path, query, b"", 1_541_993_715)
    assert headers["Timestamp"] == "1541993715"
    await rest.private("POST", "/spot/countdown_cancel_all", body={"timeout": 30})
    verb, _, path, query, body, headers = script.asked[1]
    assert body == b'{"timeout":30}'
    assert headers["Content-Type"] == "application/json"
    assert headers["SIGN"] == KEY.sign_request(verb, path, query, body, 1_541_993_715)


@pytest.mark.asyncio
async def test_a_public_call_carries_no_key() -> None:
    rest, script = made((200, b'{"server_time":1597026383085}'), endpoints=ELSEWHERE)
    assert await rest.public("/spot/time") == {"server_time": 1597026383085}
    _, base, path, *_, headers = script.asked[0]
    assert base + path == "https://testnet.invalid/api/v4/spot/time"
    assert "KEY" not in headers


@pytest.mark.asyncio
@pytest.mark.parametrize("reply", [LOST, (502, b"<html>"), error("TOO_BUSY", 500)])
async def test_queries_are_repeated_within_a_bound(reply: Reply) -> None:
    rest, script = made(reply, reply, (200, b"[]"))
    assert await rest.private("GET", "/spot/accounts") == []
    assert script.waits == [0.5, 1.0]
    rest, script = made(reply, reply, reply)
    with pytest.raises((TransportError, VenueRejected)):
        await rest.private("GET", "/spot/accounts")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("verb", "path"),
    [("POST", "/spot/orders"), ("POST", "/spot/batch_orders"), ("PATCH", "/spot/orders/5")],
)
async def test_an_order_is_never_sent_twice(verb: str, path: str) -> None:
    rest, script = made(LOST, (201, b"{}"))
    with pytest.raises(TransportError) as caught:
        await rest.private(verb, path, body={})
    assert caught.value.code == "outcome_unknown"
    assert len(script.asked) == 1


@pytest.mark.asyncio
async def test_a_refusal_that_no_wait_mends_is_raised_at_once() -> None:
    rest, script = made(error("INVALID_KEY", 401))
    with pytest.raises(VenueRejected) as caught:
        await rest.private("GET", "/spot/accounts")
    assert caught.value.code == Code.CREDENTIALS
    assert script.waits == []


@pytest.mark.asyncio
async def test_without_a_key_private_calls_are_refused_here() -> None:
    rest = Rest(round_trip=Scripted())
    with pytest.raises(VenueRejected) as caught:
        await rest.private("GET", "/spot/accounts")
    assert caught.value.code == Code.CREDENTIALS


@pytest.mark.parametrize("label", sorted(ERRORS))
def test_every_label_is_a_typed_error(label: str) -> None:
    body = json.dumps({"label": label, "message": "m"}).encode()
    raised = refusal(body, 400, "url")
    assert isinstance(raised, VenueRejected)
    assert (raised.code, raised.retryable) == (ERRORS[label].code, ERRORS[label].retryable)


def test_the_documented_error_and_its_other_spelling(shared: Path) -> None:
    [case] = [one for one in load(shared, "official_rest")["cases"] if one["name"] == "error_body"]
    raised = refusal(json.dumps(case["response"]).encode(), case["status"], "url")
    assert raised.code == Code.ARGUMENTS
    other = refusal(b'{"label":"FORBIDDEN","detail":"why"}', 403, "url")
    assert (other.code, str(other)) == (Code.PERMISSION, "FORBIDDEN: why")


def test_a_page_of_a_proxy_is_no_answer() -> None:
    raised = refusal(b"<html>", 503, "url")
    assert isinstance(raised, TransportError)
    assert raised.retryable
    assert not refusal(b"[]", 404, "url").retryable


@pytest.mark.asyncio
async def test_what_is_no_json_is_a_protocol_error() -> None:
    rest, _ = made((200, b"<html>"))
    with pytest.raises(ProtocolError):
        await rest.public("/spot/time")


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["a b", "a,b&c", "ä", "a%20"])
async def test_what_would_need_encoding_is_refused(value: str) -> None:
    rest, _ = made()
    with pytest.raises(ValueError, match="needs encoding"):
        await rest.public("/spot/time", {"x": value})


# --- every documented case


def case(shared: Path, name: str) -> Any:
    [found] = [one for one in load(shared, "official_rest")["cases"] if one["name"] == name]
    return found


@pytest.mark.asyncio
async def test_documented_answers_are_read(shared: Path) -> None:
    from_documents = {
        name: (case(shared, name)["status"], json.dumps(case(shared, name)["response"]).encode())
        for name in ("currency_pairs", "order_book", "accounts", "time")
    }
    from_documents["pairs_2021"] = (
        200, json.dumps(load(shared, "capture_currency_pairs_2021")["pairs"]).encode(),
    )  # fmt: skip
    venue, _ = venue_of(*(from_documents[name] for name in ("currency_pairs", "order_book")))
    pairs = await venue.get_instruments()
    eth = pairs["ETH/USDT"]
    assert (eth.price_decimals, eth.qty_decimals) == (6, 3)
    assert (eth.qty_min, eth.cost_min, eth.status) == (Decimal("0.001"), Decimal(1), "online")
    book = await venue.get_order_book("ETH/USDT", 5)
    assert book.bids[0] == (Decimal("1.17"), Decimal("201.863"))
    assert book.asks[0] == (Decimal("1.52"), Decimal("1.151"))
    venue, _ = venue_of(from_documents["accounts"], from_documents["time"])
    assert (await venue.get_balance())["ETH"].total == Decimal("968.8")
    assert (await venue.get_server_time()).ts_ns == 1597026383085 * 10**6
    venue, _ = venue_of(from_documents["pairs_2021"])
    hai = (await venue.get_instruments())["HAI/ETH"]
    # No minimum is told: the step is the floor.
    assert hai.qty_min == hai.lot_size == Decimal("0.001")


def venue_of(*replies: Reply) -> tuple[Any, Scripted]:
    from openmm.venues.gateio.venue import GateioVenue

    rest, script = made(*replies)
    return GateioVenue(rest), script


PAIRS = (200, json.dumps([
    {"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "precision": 1, "amount_precision": 6,
     "trade_status": "tradable"},
    {"id": "ETC_BTC", "base": "ETC", "quote": "BTC", "precision": 8, "amount_precision": 3,
     "trade_status": "sellable"},
]).encode())  # fmt: skip


@pytest.mark.asyncio
async def test_documented_fills_and_countdown_are_read(shared: Path) -> None:
    row = case(shared, "my_trades")["response"][0]
    etc = row | {"currency_pair": "ETC_BTC"}
    venue, _ = venue_of(PAIRS, (200, json.dumps([etc]).encode()), (200, b'{"triggerTime":"1"}'))
    pairs = await venue.get_instruments()
    assert pairs["ETC/BTC"].status == "sellable"
    [fill] = await venue.get_fills(1_541_000_000 * 10**9)
    assert (fill.exec_id, fill.price_ticks, fill.qty_lots) == (
        "ETC_BTC-1232893232", 3_000_000, 150,
    )  # fmt: skip
    assert fill.cost == Decimal(row["deal"])
    assert fill.fees[0].asset == "ETH"
    assert fill.maker
    await venue.dead_man_switch(30)


@pytest.mark.asyncio
async def test_fees_are_those_paid_in_gt_when_that_is_on() -> None:
    row = {"maker_fee": "0.001", "taker_fee": "0.0015", "gt_maker_fee": "0.0009",
           "gt_taker_fee": "0.00090001", "gt_discount": True, "debit_fee": 1}  # fmt: skip
    venue, _ = venue_of(PAIRS, (200, json.dumps(row).encode()))
    fees = await venue.get_fees("BTC/USDT")
    assert (fees.maker_ppm, fees.taker_ppm) == (900, 901)
    venue, _ = venue_of(PAIRS, (200, json.dumps(row | {"gt_discount": False}).encode()))
    fees = await venue.get_fees("BTC/USDT")
    assert (fees.maker_ppm, fees.taker_ppm) == (1000, 1500)


@pytest.mark.asyncio
async def test_a_pair_without_its_precision_is_not_listed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = {"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "precision": 1}
    venue, _ = venue_of((200, json.dumps([row]).encode()))
    assert await venue.get_instruments() == {}
    assert "a pair is left out" in caplog.text
