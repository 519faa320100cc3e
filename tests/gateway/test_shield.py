"""The shield: who gets in, from where, with how much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from openmm.control.access import Clients, Scope
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.gateway.app import create_app
from openmm.gateway.sessions import COOKIE, Sessions
from openmm.gateway.shield import LOOPBACK, Failures, Settings, Shield
from tests.gateway.serving import add, home_of

URL = "http://127.0.0.1:8080"
SETTINGS = Settings(body_s=0.05, drain_s=0.05)
# Every path that there is, but the open ones; a few that there are not.
PATHS = ["/api/bots", "/api/bots/x/status", "/api/audit", "/readyz", "/metrics", "/openapi.json",
         "/docs", "/mcp", "/", "/none", "/api/bots/x/../../healthz", "/logout"]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_of(tmp_path)


def ask(home: Home, use: Callable[[httpx.AsyncClient], Awaitable[Any]], **settings: Any) -> Any:
    """Run requests against an application of this home."""

    async def scenario() -> Any:
        app = create_app(Door(home), Settings(**{"body_s": 0.05, "drain_s": 0.05, **settings}))
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            return await use(client)

    return asyncio.run(scenario())


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **more}


@pytest.fixture
def token(home: Home) -> str:
    return add(home, "reader")


def test_every_path_but_liveness_needs_a_token(home: Home, token: str) -> None:
    async def use(client: httpx.AsyncClient) -> None:
        for path in PATHS:
            for method in ("GET", "POST", "PUT", "OPTIONS", "PROPFIND"):
                answer = await client.request(method, path)
                assert answer.status_code == 401, (method, path)
                assert answer.json()["error"]["code"] == "unauthenticated"
                assert answer.headers["www-authenticate"].startswith("Bearer")
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.get("/login")).status_code == 200

    ask(home, use)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer {token}x", "Bearer {token} x",
     "Bearer " + "a" * 3_000],
)  # fmt: skip
def test_what_is_not_the_token_opens_nothing(home: Home, token: str, header: str) -> None:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/api/bots", headers={"Authorization": header.format(token=token)})

    answer = ask(home, use)
    assert answer.status_code == 401
    assert token not in answer.text


def test_two_tokens_open_nothing(home: Home, token: str) -> None:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        both = [("Authorization", f"Bearer {token}")] * 2
        return await client.get("/api/bots", headers=both)

    assert ask(home, use).status_code == 401


def test_a_token_that_was_taken_back_opens_nothing(home: Home, token: str) -> None:
    async def use(client: httpx.AsyncClient) -> list[int]:
        first = await client.get("/api/bots", headers=bearer(token))
        Clients(home.clients).revoke("reader")
        second = await client.get("/api/bots", headers=bearer(token))
        return [first.status_code, second.status_code]

    assert ask(home, use) == [200, 401]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:8080", 200), ("localhost:1", 200), ("[::1]:8080", 200),
        ("LOCALHOST", 200), ("bots.example.org", 200), ("evil.example", 403), ("", 403),
        ("127.0.0.1.evil.example", 403), ("127.0.0.1:80:80", 403), ("127.0.0.1:x", 403),
        ("localhost@evil.example", 403), ("[::1", 403), ("10.0.0.1:8080", 403),
    ],
)  # fmt: skip
def test_only_names_of_the_gateway_are_served(
    home: Home, token: str, host: str, status: int
) -> None:
    """A page whose name resolves to this host (DNS rebinding) has its own name in Host."""

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/api/bots", headers=bearer(token, Host=host))

    answer = ask(home, use, hosts=LOOPBACK | {"bots.example.org"})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "host_refused"


ORIGINS = [
    ({"Origin": URL}, 404),
    ({"Origin": URL, "Sec-Fetch-Site": "same-origin"}, 404),
    ({"Sec-Fetch-Site": "none"}, 404),
    ({}, 404),  # a program with a token
    ({"Origin": "http://127.0.0.1:9090"}, 403),
    ({"Origin": "https://127.0.0.1:8080"}, 403),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": URL, "Sec-Fetch-Site": "cross-site"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), ORIGINS)
def test_a_write_from_another_site_is_refused(
    home: Home, headers: dict[str, str], status: int
) -> None:
    token = add(home, "operator", Scope.BRAKE)

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/api/bots/none/halt", headers=bearer(token, **headers))

    answer = ask(home, use)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == ("cross_site" if status == 403 else "unknown_bot")


def test_a_session_needs_to_say_where_its_writes_come_from(home: Home) -> None:
    token = add(home, "operator", Scope.BRAKE)

    async def use(client: httpx.AsyncClient) -> None:
        login = await client.post("/login", data={"token": token}, headers={"Origin": URL})
        assert login.status_code == 303
        told = login.headers["set-cookie"].lower()
        assert "httponly" in told
        assert "samesite=strict" in told
        assert "secure" not in told
        assert token not in login.headers["set-cookie"]
        assert (await client.get("/api/bots")).status_code == 200
        bare = await client.post("/api/bots/none/halt")
        assert (bare.status_code, bare.json()["error"]["code"]) == (403, "cross_site")
        ours = await client.post("/api/bots/none/halt", headers={"Origin": URL})
        assert (ours.status_code, ours.json()["error"]["code"]) == (404, "unknown_bot")
        out = await client.post("/logout", headers={"Origin": URL})
        assert out.status_code == 303
        client.cookies.set(COOKIE, login.headers["set-cookie"].split("=")[1].split(";")[0])
        assert (await client.get("/api/bots")).status_code == 401

    ask(home, use)


def test_a_session_ends_with_its_token(home: Home, token: str) -> None:
    async def use(client: httpx.AsyncClient) -> list[int]:
        await client.post("/login", data={"token": token})
        before = await client.get("/api/bots")
        Clients(home.clients).revoke("reader")
        after = await client.get("/api/bots")
        return [before.status_code, after.status_code]

    assert ask(home, use) == [200, 401]


def test_a_browser_without_session_is_led_to_the_login_and_back(home: Home, token: str) -> None:
    async def use(client: httpx.AsyncClient) -> None:
        page = await client.get("/bot/btc-grid", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/login?next=/bot/btc-grid")
        login = await client.get(page.headers["location"])
        assert 'name="next" value="/bot/btc-grid"' in login.text
        fields = {"token": token, "next": "/bot/btc-grid"}
        done = await client.post("/login", data=fields, headers={"Origin": URL})
        assert done.headers["location"] == "/bot/btc-grid"

    ask(home, use)


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil", "x", "/\u00e9"]
)
def test_the_login_leads_to_no_other_site(home: Home, token: str, to: str) -> None:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/login", data={"token": token, "next": to})

    assert ask(home, use).headers["location"] == "/"


def test_a_wrong_token_at_the_login_is_told_and_its_text_is_not_repeated(home: Home) -> None:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/login", data={"token": "<script>"})

    answer = ask(home, use)
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "<script" not in answer.text


def test_wrong_tokens_are_throttled_and_the_right_one_comes_in(home: Home, token: str) -> None:
    async def use(client: httpx.AsyncClient) -> None:
        for _ in range(3):
            assert (await client.get("/api/bots", headers=bearer("no"))).status_code == 401
        late = await client.get("/api/bots", headers=bearer("no"))
        assert (late.status_code, late.json()["error"]["code"]) == (429, "rate_limited")
        assert 1 <= int(late.headers["retry-after"]) <= 60
        assert (await client.post("/login", data={"token": "no"})).status_code == 429
        assert (await client.get("/api/bots", headers=bearer(token))).status_code == 200

    ask(home, use, failures_max=3)


def test_failures_are_forgotten_and_addresses_bounded() -> None:
    failures = Failures(2, 60.0, addresses_max=3)
    assert [failures.failed("a", now_s) for now_s in (0.0, 1.0, 2.0)] == [0.0, 0.0, 58.0]
    assert failures.failed("a", 60.0) == 0.0
    for address in "bcde":
        assert failures.failed(address, 61.0) == 0.0
    assert len(failures._seen) == 3


async def _chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 1024


@pytest.mark.parametrize("path", ["/api/bots/x/halt", "/login", "/mcp"])
def test_a_body_over_the_limit_is_refused_as_it_comes(home: Home, path: str) -> None:
    token = add(home, "operator", Scope.BRAKE)

    async def use(client: httpx.AsyncClient) -> list[httpx.Response]:
        told = await client.post(path, headers=bearer(token), content=b" " * 70_000)
        chunked = await client.post(path, headers=bearer(token), content=_chunks(70))
        return [told, chunked]

    for answer in ask(home, use):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        assert answer.headers["connection"] == "close"


def test_a_body_that_does_not_come_is_waited_for_no_longer_than_allowed(home: Home) -> None:
    token = add(home, "operator", Scope.BRAKE)

    async def scenario() -> list[dict[str, Any]]:
        app = create_app(Door(home), SETTINGS)
        sent: list[dict[str, Any]] = []
        first = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> Any:
            return first.pop() if first else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode()),
                   (b"content-length", b"100")]  # fmt: skip
        scope = {
            "type": "http", "method": "POST", "path": "/api/bots/x/halt", "query_string": b"",
            "raw_path": b"/api/bots/x/halt", "headers": headers, "client": ("127.0.0.1", 1),
        }  # fmt: skip
        async with asyncio.timeout(10):
            await app(scope, receive, send)
        return sent

    sent = asyncio.run(scenario())
    assert sent[0]["status"] == 408
    assert b"too_slow" in sent[1]["body"]


def test_an_address_over_the_limit_is_refused(home: Home, token: str) -> None:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(f"/api/bots?x={'a' * 5_000}", headers=bearer(token))

    answer = ask(home, use)
    assert (answer.status_code, answer.json()["error"]["code"]) == (414, "too_long")


def test_every_answer_has_the_headers_that_keep_a_browser_safe(home: Home, token: str) -> None:
    async def use(client: httpx.AsyncClient) -> None:
        for path in ("/healthz", "/login", "/api/bots", "/none", "/api/none"):
            headers = (await client.get(path, headers=bearer(token))).headers
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["cache-control"] == "no-store"
            assert headers["referrer-policy"] == "same-origin"
            assert "access-control-allow-origin" not in headers
            assert "server" not in headers

    ask(home, use)


def test_a_client_has_so_many_requests_under_way(home: Home, token: str) -> None:
    """Counted before the application: one that never answers cannot be asked without end."""

    async def scenario() -> list[int]:
        gate = asyncio.Event()
        statuses: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await gate.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        shield = Shield(app, Door(home), Settings(client_requests_max=2), Sessions())
        transport = httpx.ASGITransport(shield)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            held = [
                asyncio.ensure_future(client.get("/x", headers=bearer(token))) for _ in range(2)
            ]
            while sum(shield._under_way.values()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)  # the shield tells nobody
            statuses.append((await client.get("/x", headers=bearer(token))).status_code)
            gate.set()
            statuses += [(await one).status_code for one in held]
            statuses.append((await client.get("/x", headers=bearer(token))).status_code)
        return statuses

    assert asyncio.run(scenario()) == [429, 200, 200, 200]
