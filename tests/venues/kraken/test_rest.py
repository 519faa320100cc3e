"""The REST client: envelopes, errors, repeats, nonces, real HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from openmm.clock import ManualClock
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.venues.http import HttpRoundTrip
from openmm.venues.kraken.auth import Key, Signer
from openmm.venues.kraken.rest import CallBudget, Rest, unwrap
from openmm.venues.kraken.spec import TIERS, Endpoints

PRIVATE = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
OK = b'{"error":[],"result":{"x":1}}'
Reply = bytes | TransportError


def refused(text: str) -> bytes:
    return json.dumps({"error": [text]}).encode()


class Scripted:
    """Answer from a list, keeping what was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, str, bytes, dict[str, str]]] = []
        self.busy = 0
        self.busy_max = 0
        self.closed = False

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self.asked.append((verb, path, query, body, dict(headers)))
        self.busy += 1
        self.busy_max = max(self.busy_max, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        reply = self.replies.pop(0)
        if isinstance(reply, TransportError):
            raise reply
        return 200, reply

    async def close(self) -> None:
        self.closed = True


class Waits:
    """Take the place of sleeping; keep how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def made(*replies: Reply) -> tuple[Rest, Scripted, Waits]:
    script, waits = Scripted(*replies), Waits()
    clock = ManualClock(1_616_492_376_594)
    key = Key("api-key-text", PRIVATE, clock)
    return Rest(key=key, clock=clock, round_trip=script, sleep=waits), script, waits


LOST = TransportError("lost", retryable=True)


@pytest.mark.asyncio
async def test_public_call_is_a_get_with_a_query() -> None:
    rest, script, _ = made(OK)
    assert await rest.public("Depth", {"pair": "XBT/USD", "count": 5}) == {"x": 1}
    assert script.asked == [("GET", "/0/public/Depth", "pair=XBT%2FUSD&count=5", b"", {})]


@pytest.mark.asyncio
async def test_private_call_is_signed_over_its_exact_bytes() -> None:
    rest, script, _ = made(OK)
    await rest.private("AddOrder", {"pair": "XBT/USD", "validate": True})
    ((verb, path, query, body, headers),) = script.asked
    assert (verb, path, query) == ("POST", "/0/private/AddOrder", "")
    assert body == b"nonce=1616492376594&pair=XBT%2FUSD&validate=true"
    assert headers == {
        "API-Key": "api-key-text",
        "API-Sign": Signer(PRIVATE).sign(path, 1616492376594, body),
        "Content-Type": "application/x-www-form-urlencoded",
    }


@pytest.mark.asyncio
async def test_nonces_rise_and_calls_of_a_key_wait_for_each_other() -> None:
    rest, script, _ = made(*[OK] * 10)
    await asyncio.gather(*(rest.private("Balance") for _ in range(10)))
    nonces = [int(dict(parse_qsl(body.decode()))["nonce"]) for _, _, _, body, _ in script.asked]
    assert nonces == sorted(set(nonces))
    assert script.busy_max == 1


@pytest.mark.asyncio
async def test_private_call_without_a_key_is_refused() -> None:
    rest = Rest(round_trip=Scripted())
    with pytest.raises(VenueRejected, match="API key"):
        await rest.private("Balance")


@pytest.mark.asyncio
async def test_query_is_repeated_with_growing_waits_then_given_up() -> None:
    rest, script, waits = made(LOST, LOST, OK)
    assert await rest.private("Balance") == {"x": 1}
    assert waits.seconds == [0.5, 1.0]
    rest, script, _ = made(LOST, LOST, LOST, OK)
    with pytest.raises(TransportError):
        await rest.private("Balance")
    assert len(script.asked) == 3


@pytest.mark.parametrize("method", ["AddOrder", "AmendOrder", "AddOrderBatch", "EditOrder"])
@pytest.mark.parametrize(
    "reply", [LOST, refused("EAPI:Invalid nonce"), refused("EService:Unavailable"),
              refused("EAPI:Rate limit exceeded")]
)  # fmt: skip
@pytest.mark.asyncio
async def test_placement_is_never_repeated(method: str, reply: Reply) -> None:
    rest, script, _ = made(reply, OK)
    with pytest.raises((TransportError, VenueRejected)) as caught:
        await rest.private(method)
    assert len(script.asked) == 1
    if reply is LOST:
        assert caught.value.code == "outcome_unknown"
        assert not caught.value.retryable


@pytest.mark.asyncio
async def test_bad_nonce_is_tried_once_more_with_a_new_one() -> None:
    bad = refused("EAPI:Invalid nonce")
    rest, script, waits = made(bad, OK)
    assert await rest.private("CancelAll") == {"x": 1}
    assert script.asked[0][3] != script.asked[1][3]
    assert waits.seconds == []
    rest, script, _ = made(bad, bad, OK)
    with pytest.raises(VenueRejected) as caught:
        await rest.private("Balance")
    assert caught.value.code == "nonce"
    assert len(script.asked) == 2


@pytest.mark.parametrize(
    ("text", "tries"),
    [
        ("EService:Unavailable", 3),
        ("EGeneral:Internal error", 3),
        ("EAPI:Rate limit exceeded", 3),
        ("EService:Throttled: 1700000000", 3),
        ("EAPI:Invalid key", 1),
        ("EGeneral:Temporary lockout", 1),
        ("EOrder:Unknown order", 1),
        ("EQuery:Unknown asset pair", 1),
        ("ESomething:New", 1),
    ],
)
@pytest.mark.asyncio
async def test_refusals_are_repeated_only_where_it_helps(text: str, tries: int) -> None:
    rest, script, _ = made(*[refused(text)] * 5)
    with pytest.raises(VenueRejected, match=text[:10]):
        await rest.private("CancelOrder")
    assert len(script.asked) == tries


@pytest.mark.asyncio
async def test_token_is_unescaped_and_not_shown(shared: Path) -> None:
    samples = json.loads((shared / "venues/samples/kraken/rest_responses.json").read_text())
    raw = next(one["raw"] for one in samples if one["name"] == "GetWebSocketsToken")
    rest, _, _ = made(raw.encode())
    token = await rest.websocket_token()
    assert token.text == "xeAQ/RCChBYNVh53sTv1yZ5H4wIbwDF20PiHtTF+4UI"
    assert token.life_s == 900
    assert token.text not in repr(token)


@pytest.mark.asyncio
async def test_key_without_websocket_right_is_told_so() -> None:
    rest, _, _ = made(b'{"error":[],"result":{}}')
    with pytest.raises(ProtocolError, match="WebSocket"):
        await rest.websocket_token()


@pytest.mark.parametrize(
    ("raw", "status", "error"),
    [
        (b"<html>", 502, TransportError),
        (b"<html>", 403, TransportError),
        (b"<html>", 200, ProtocolError),
        (b"[]", 200, ProtocolError),
        (b'{"error":[]}', 200, ProtocolError),
        (b'{"result":1}', 200, ProtocolError),
        (b'{"error":["EQuery:Unknown asset pair"]}', 200, VenueRejected),
        (b'{"error":["EAPI:Invalid key"],"result":{}}', 500, VenueRejected),
    ],
)
def test_bad_envelopes(raw: bytes, status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        unwrap(raw, status, "url")


def test_warning_beside_a_result_is_no_error() -> None:
    result = unwrap(b'{"error":["WGeneral:Old"],"result":{"a":0.10}}', 200, "url")
    assert str(result["a"]) == "0.10"


# --- real HTTP


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def serving(handler: Handler, do: Callable[[str], Awaitable[None]]) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        await do(f"http://127.0.0.1:{port}")
    finally:
        await runner.cleanup()


def calling(base: str, timeout_s: float = 5.0) -> Rest:
    clock = ManualClock(5)
    return Rest(
        Endpoints(rest=base), Key("api-key-text", PRIVATE, clock), clock,
        round_trip=HttpRoundTrip("kraken", timeout_s), sleep=Waits(),
    )  # fmt: skip


@pytest.mark.asyncio
async def test_bytes_signed_are_the_bytes_received() -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(
            (request.method, request.raw_path, await request.read(), request.headers.copy())
        )
        return web.Response(body=OK)

    async def do(base: str) -> None:
        rest = calling(base)
        await rest.private("AddOrder", {"pair": "BTC/USD", "price": "1+1 %"})
        await rest.public("Depth", {"pair": "BTC/USD"})
        await rest.close()

    await serving(handler, do)
    method, path, body, headers = seen[0]
    assert (method, path) == ("POST", "/0/private/AddOrder")
    assert headers["API-Sign"] == Signer(PRIVATE).sign(path, 5, body)
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert seen[1][:2] == ("GET", "/0/public/Depth?pair=BTC%2FUSD")
    assert "API-Key" not in seen[1][3]


FAILED = {
    "slow": "no answer within 0.2 s",
    "status": "HTTP status 503",
    "redirect": "HTTP status 302",
    "cut": "the connection ended before the answer did",
    "nobody": "no connection: connection refused",
}


@pytest.mark.parametrize("kind", FAILED)
@pytest.mark.asyncio
async def test_failed_exchange_is_a_transport_error_without_secrets(kind: str) -> None:
    never = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        match kind:
            case "slow":
                await never.wait()
            case "status":
                return web.Response(status=503, text="down")
            case "redirect":
                return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})
        reply = web.StreamResponse(headers={"Content-Length": "100"})
        await reply.prepare(request)
        await reply.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return reply

    async def do(base: str) -> None:
        if kind == "nobody":
            base = "http://127.0.0.1:1"
        rest = calling(base, 0.2 if kind == "slow" else 5.0)
        with pytest.raises(TransportError) as caught:
            await rest.private("AddOrder", {"pair": "x"})
        assert "api-key-text" not in str(caught.value)
        assert FAILED[kind] in str(caught.value)
        assert caught.value.code == "outcome_unknown"
        await rest.close()
        never.set()

    await serving(handler, do)


# ---- the call counter


def test_calls_wait_for_their_turn_and_those_of_orders_do_not() -> None:
    budget = CallBudget(TIERS["starter"])  # 15, one in three seconds
    now_ns = 1_000_000_000
    assert [budget.book(1, now_ns) for _ in range(15)] == [0.0] * 15
    assert budget.book(2, now_ns) == pytest.approx(2 / 0.33)
    assert budget.book(0, now_ns) == 0.0
    # The wait of the next one counts the one that waits already.
    assert budget.book(1, now_ns) == pytest.approx(3 / 0.33)
    assert budget.book(1, now_ns + 12_000_000_000) == pytest.approx((4 - 12 * 0.33) / 0.33)


def test_turn_too_far_away_is_refused_and_not_counted() -> None:
    budget = CallBudget(TIERS["pro"])  # 20, one a second
    while budget.book(2, 0) < 30:
        pass
    for _ in range(2):
        with pytest.raises(VenueRejected, match="31 s") as caught:
            budget.book(1, 0)
        assert caught.value.code == "call_rate"
    assert budget.book(1, 1_000_000_000) == pytest.approx(30)


def test_told_tier_and_a_refusal_set_the_counter() -> None:
    budget = CallBudget(TIERS["starter"])
    budget.set_tier(TIERS["pro"])
    budget.exhaust(0)
    assert budget.book(1, 0) == pytest.approx(1.0)
    assert budget.book(1, 60_000_000_000) == 0.0


@pytest.mark.asyncio
async def test_refusal_for_coming_too_fast_makes_the_next_call_wait() -> None:
    rest, script, waits = made(refused("EAPI:Rate limit exceeded"), OK, OK)
    assert await rest.private("Balance") == {"x": 1}
    assert len(script.asked) == 2
    assert waits.seconds == [pytest.approx(0.5), pytest.approx(1 / 0.33)]
    await rest.private("CancelOrder")
    assert len(waits.seconds) == 2
