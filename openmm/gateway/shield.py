"""What stands before every path: host, origin, token, size and time of a request.

A middleware below FastAPI, so that a body is never read before its sender is known, and nothing
that is mounted later (dashboard, MCP) is reached another way.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeAlias, final
from urllib.parse import quote

from msgspec import Struct

from openmm.control.access import Client
from openmm.control.door import Door
from openmm.errors import ControlError
from openmm.gateway.refusals import Refusal, refusal_of
from openmm.gateway.sessions import COOKIE, Sessions

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
OPEN: Final = frozenset({"/login"})  # exchanges a token for a session: cannot ask for one
STREAM: Final = "/api/stream"  # may tell its token in its first message
BROWSER_PATHS: Final = ("/api/", "/metrics", "/readyz", "/openapi.json", "/mcp", "/healthz")

_CLOSED: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
_LOGIN: Final = f"{_CLOSED}; style-src 'unsafe-inline'"
# The dashboard's framework compiles its templates in the page; everything comes from here only.
_PAGE: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; frame-ancestors 'none'; "
    "base-uri 'self'; form-action 'self'"
)


class Settings(Struct, frozen=True):
    """What the shield lets through.

    Args:
        hosts: names a Host header may have, without port, in lower case.
        secure: the gateway speaks TLS.
    """

    hosts: frozenset[str] = LOOPBACK
    secure: bool = False
    body_bytes_max: int = 64 << 10
    url_bytes_max: int = 4 << 10
    head_bytes_max: int = 16 << 10
    headers_max: int = 100
    body_s: float = 15.0
    drain_s: float = 3.0
    client_requests_max: int = 64  # under way at once, streams of the dashboard among them
    failures_max: int = 10
    failures_s: float = 60.0


@final
class Failures:
    """Wrong tokens by address, of the last while.

    A right token is let through all the same: whoever knows none must not be able to shut the
    operator out of a halt, and 256 bits are not guessed. What is throttled is the noise.
    """

    def __init__(self, most: int, span_s: float, addresses_max: int = 1024) -> None:
        self._most = most
        self._span_s = span_s
        self._addresses_max = addresses_max
        self._seen: dict[str, deque[float]] = {}

    def failed(self, address: str, now_s: float) -> float:
        """Note a wrong token; return for how many seconds the address is to be refused, 0: none."""
        times = self._seen.setdefault(address, deque(maxlen=self._most))
        while times and now_s - times[0] >= self._span_s:
            times.popleft()
        if len(times) >= self._most:
            return self._span_s - (now_s - times[0])
        times.append(now_s)
        if len(self._seen) > self._addresses_max:
            self._seen.pop(next(iter(self._seen)))
        return 0.0


@final
class Shield:
    """Refuse what should not reach the application; tell it who asks (`request.state.client`)."""

    def __init__(
        self, app: App, door: Door, settings: Settings, sessions: Sessions, *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._app = app
        self._door = door
        self._settings = settings
        self._sessions = sessions
        self._clock_s = clock_s
        self._failures = Failures(settings.failures_max, settings.failures_s)
        self._under_way: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or one WebSocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        dressed = _Dressed(send, _policy(path), self._settings.secure)
        body = _Body(receive, self._settings, empty=not _has_body(scope))
        client: Client | None = None
        try:
            self._check_size(scope)
            if path == "/healthz" and scope["method"] in ("GET", "HEAD"):
                await _plain(dressed, b"ok\n")
                return
            self._check(scope)
            if path not in OPEN:
                client = self._authenticate(scope)
                scope.setdefault("state", {})["client"] = client
                self._enter(client)
            try:
                await body.read(_header(scope, b"content-length"))
                await self._app(scope, body, dressed)
            finally:
                if client is not None:
                    self._leave(client)
        except Refusal as refusal:
            if dressed.began:
                return  # the answer is on its way: it ends here, cut
            if refusal.status == 401 and _wants_page(scope):
                await _login(scope, dressed)
                return
            await self._refuse(scope, refusal, body, dressed)

    async def _refuse(self, scope: Scope, refusal: Refusal, body: _Body, dressed: _Dressed) -> None:
        """Answer, then read on for a while: a sender cut off in its body never sees the answer."""
        response = refusal.response()
        headers = [*response.raw_headers]
        if not body.complete:
            headers.append((b"connection", b"close"))
        start = {"type": "http.response.start", "status": response.status_code, "headers": headers}
        await dressed(start)
        empty = scope["method"] == "HEAD"
        content = b"" if empty else bytes(response.body)
        if not body.complete:
            await dressed({"type": "http.response.body", "body": content, "more_body": True})
            await body.drain()
            content = b""
        await dressed({"type": "http.response.body", "body": content, "more_body": False})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check_size(scope)
            self._check(scope)
            try:
                client = self._authenticate(scope)
            except Refusal as refusal:
                if scope["path"] != STREAM or refusal.code != "unauthenticated" or _tried(scope):
                    raise
            else:
                scope.setdefault("state", {})["client"] = client
        except Refusal as refusal:
            await receive()  # the handshake
            await _refuse_websocket(scope, send, refusal)
            return
        await self._app(scope, receive, send)

    def failed(self, address: str) -> Refusal:
        """Note a wrong token from an address; return the answer."""
        wait_s = self._failures.failed(address, self._clock_s())
        if wait_s:
            return Refusal(
                429, "rate_limited", "too many wrong tokens from this address",
                "wait, then try the right one", retry_after_s=wait_s,
            )  # fmt: skip
        return Refusal(
            401, "unauthenticated", "the token is not known", "openmm token add NAME makes one"
        )

    def _check_size(self, scope: Scope) -> None:
        size = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
        if size > self._settings.url_bytes_max:
            raise Refusal(
                414, "too_long", f"the address has {size} bytes; the most is "
                f"{self._settings.url_bytes_max}", "send arguments in the body",
                headers={"Connection": "close"},
            )  # fmt: skip
        headers = scope["headers"]
        size = sum(len(name) + len(value) for name, value in headers)
        if size > self._settings.head_bytes_max or len(headers) > self._settings.headers_max:
            raise Refusal(
                431, "too_long", f"{len(headers)} headers of {size} bytes; the most are "
                f"{self._settings.headers_max} of {self._settings.head_bytes_max}",
                "send fewer: the gateway sets one cookie", headers={"Connection": "close"},
            )  # fmt: skip

    def _check(self, scope: Scope) -> None:
        """Refuse by where the request is going and where it comes from, whoever sent it."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        host = hosts[0].decode("latin-1").strip().lower() if len(hosts) == 1 else ""
        if _name_of(host) not in self._settings.hosts:
            raise Refusal(
                403, "host_refused", f"this gateway is not called {host[:80]!r}",
                "use the address it was started with, or start it with --host-name",
            )  # fmt: skip
        upgrade = scope["type"] == "websocket"
        if not upgrade and scope["method"] in SAFE:
            return
        site = _header(scope, b"sec-fetch-site")
        origin = _header(scope, b"origin")
        scheme = "https" if self._settings.secure else "http"
        foreign = site is not None and site not in ("same-origin", "none")
        if origin is not None and origin.lower() != f"{scheme}://{host}":
            foreign = True
        # A browser always tells one of them: a session without either is not a browser's.
        if site is None and origin is None and _cookie(scope) and not _tried(scope):
            foreign = True
        if foreign:
            raise Refusal(
                403, "cross_site", "the request comes from another site",
                "open the dashboard at the gateway's own address; programs send a token instead",
            )  # fmt: skip

    def _authenticate(self, scope: Scope) -> Client:
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        token: str | None = None
        if len(values) == 1:
            kind, _, rest = values[0].decode("latin-1").strip().partition(" ")
            token = rest.strip() if kind.lower() == "bearer" else ""
        elif values:
            token = ""
        elif cookie := _cookie(scope):
            token = self._sessions.token(cookie, self._clock_s())
        if token is None:
            raise Refusal(
                401, "unauthenticated", "no token was given",
                "send Authorization: Bearer TOKEN, or log in at /login",
            )  # fmt: skip
        try:
            return self._door.authenticate(token)
        except ControlError as error:
            if error.code != "unauthenticated":
                raise refusal_of(error) from error
            raise self.failed(address_of(scope)) from None

    def _enter(self, client: Client) -> None:
        count = self._under_way.get(client.name, 0)
        if count >= self._settings.client_requests_max:
            raise Refusal(
                429, "busy", f"{client.name} has {count} requests under way; the most there are",
                "wait for an answer before the next request", retry_after_s=1,
            )  # fmt: skip
        self._under_way[client.name] = count + 1

    def _leave(self, client: Client) -> None:
        left = self._under_way[client.name] - 1
        if left:
            self._under_way[client.name] = left
        else:
            del self._under_way[client.name]


@final
class _Body:
    """The body of a request: counted as it comes, whole before the application sees it."""

    def __init__(self, receive: Receive, settings: Settings, *, empty: bool) -> None:
        self._receive = receive
        self._settings = settings
        self._content: bytes | None = None
        self.complete = empty

    async def read(self, told: str | None) -> None:
        """Take the whole body in.

        Args:
            told: the length that the request claims.

        Raises:
            Refusal: it is too long (read no further than that), or did not arrive in time.
        """
        most = self._settings.body_bytes_max
        if self.complete:
            return
        if told is not None and not (told.isdecimal() and len(told) < 20 and int(told) <= most):
            raise self._too_large()
        content = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_s):
                while not self.complete:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        self.complete = True  # it has left: the application need not start
                        raise Refusal(408, "gone", "the sender left", "")
                    content += message.get("body", b"")
                    self.complete = not message.get("more_body", False)
                    if len(content) > most:
                        raise self._too_large()
        except TimeoutError:
            raise Refusal(
                408, "too_slow", f"the body did not arrive within {self._settings.body_s:g} s",
                "send it in one go",
            ) from None  # fmt: skip
        self._content = bytes(content)

    async def __call__(self) -> Message:
        """Give the application the body, then what the connection says."""
        if self._content is None:
            return await self._receive()
        content, self._content = self._content, None
        return {"type": "http.request", "body": content, "more_body": False}

    async def drain(self) -> None:
        """Read on and keep nothing, for a bounded time."""
        try:
            async with asyncio.timeout(self._settings.drain_s):
                while not self.complete:
                    message = await self._receive()
                    self.complete = message["type"] != "http.request" or not message.get(
                        "more_body", False
                    )
        except TimeoutError:
            return

    def _too_large(self) -> Refusal:
        return Refusal(
            413, "too_large", f"the body has more than {self._settings.body_bytes_max} bytes",
            "no call needs as much",
        )  # fmt: skip


@final
class _Dressed:
    """`send` with the headers that every answer has."""

    def __init__(self, send: Send, policy: str, secure: bool) -> None:
        self._send = send
        self._headers = {
            b"content-security-policy": policy.encode(),
            b"x-content-type-options": b"nosniff",
            b"x-frame-options": b"DENY",
            # Not `no-referrer`: with that a browser tells no Origin, and its login is refused.
            b"referrer-policy": b"same-origin",
            b"cross-origin-opener-policy": b"same-origin",
            b"cross-origin-resource-policy": b"same-origin",
        }
        if secure:
            self._headers[b"strict-transport-security"] = b"max-age=31536000"
        self.began = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            headers = [
                pair for pair in message.get("headers", ()) if pair[0].lower() not in self._headers
            ]
            headers += self._headers.items()
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await self._send(message)


def _policy(path: str) -> str:
    if path == "/login":
        return _LOGIN
    return _CLOSED if path.startswith(BROWSER_PATHS) else _PAGE


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1").strip())
    return None


def _has_body(scope: Scope) -> bool:
    length = _header(scope, b"content-length")
    return length not in (None, "0") or _header(scope, b"transfer-encoding") is not None


def _tried(scope: Scope) -> bool:
    """Tell whether a token was sent in the request's own head."""
    return any(name == b"authorization" for name, _ in scope["headers"])


def _cookie(scope: Scope) -> str:
    cookies = SimpleCookie()
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                cookies.load(value.decode("latin-1"))
            except CookieError:
                return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _name_of(host: str) -> str:
    """Return a Host header's name without its port: `[::1]:8080` is `[::1]`."""
    if host.startswith("["):
        name, mark, rest = host.partition("]")
        return name + mark if not rest or _port(rest) else ""
    name, mark, port = host.partition(":")
    return name if not mark or _port(mark + port) else ""


def _port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isdecimal() and len(text) <= 6


def address_of(scope: Scope) -> str:
    """Return where a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _wants_page(scope: Scope) -> bool:
    """Tell whether a person's browser asks for a page."""
    accepts = _header(scope, b"accept") or ""
    return (
        scope["method"] == "GET"
        and "text/html" in accepts
        and not scope["path"].startswith(BROWSER_PATHS)
        and not _tried(scope)
    )


async def _login(scope: Scope, send: Send) -> None:
    """Send a browser to the login page, which leads back."""
    back = quote(scope["path"], safe="/")
    headers = [(b"location", f"/login?next={back}".encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _plain(send: Send, text: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def _refuse_websocket(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Answer a handshake like any request where the server can, else just close."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 4000 + refusal.status, "reason": ""})
        return
    response = refusal.response()
    await send(
        {
            "type": "websocket.http.response.start", "status": response.status_code,
            "headers": response.raw_headers,
        }
    )  # fmt: skip
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})
