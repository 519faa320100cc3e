"""Sessions of browsers: a token exchanged for a cookie, at a login page without any script."""

from __future__ import annotations

import hashlib
import html
import secrets
import time
from collections.abc import Callable
from typing import Any, Final, final
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from msgspec import Struct
from starlette.responses import HTMLResponse, RedirectResponse, Response

from openmm.control.door import Door
from openmm.errors import ControlError
from openmm.gateway.refusals import Refusal

COOKIE: Final = "openmm_session"
IDLE_S: Final = 8 * 3600.0
LIFE_S: Final = 24 * 3600.0
SESSIONS_MAX: Final = 256


class _Session(Struct):
    token: str
    client: str
    made_s: float
    used_s: float


@final
class Sessions:
    """Who has logged in. Forgotten when the gateway ends; a token taken back ends them at once.

    The client's token is kept in memory to be looked up again at each request: a client that the
    operator removes is out with its next one. The cookie's own text is not kept.
    """

    def __init__(self, most: int = SESSIONS_MAX) -> None:
        self._most = most
        self._open: dict[bytes, _Session] = {}

    def open(self, token: str, client: str, now_s: float) -> str:
        """Begin a session; return the cookie's text. The one unused longest makes room."""
        if len(self._open) >= self._most:
            del self._open[min(self._open, key=lambda one: self._open[one].used_s)]
        cookie = secrets.token_urlsafe(32)
        self._open[_digest(cookie)] = _Session(token, client, now_s, now_s)
        return cookie

    def token(self, cookie: str, now_s: float) -> str | None:
        """Return the token behind a cookie; None when there is no such session any more."""
        name = _digest(cookie)
        session = self._open.get(name)
        if session is None:
            return None
        if now_s - session.used_s > IDLE_S or now_s - session.made_s > LIFE_S:
            del self._open[name]
            return None
        session.used_s = now_s
        return session.token

    def lasts(self, cookie: str, now_s: float) -> bool:
        """Tell whether a session is open, without taking the question for a use of it."""
        session = self._open.get(_digest(cookie))
        return (
            session is not None
            and now_s - session.used_s <= IDLE_S
            and now_s - session.made_s <= LIFE_S
        )

    def close(self, cookie: str) -> None:
        """End a session."""
        self._open.pop(_digest(cookie), None)


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()


def add_login(
    app: FastAPI, door: Door, sessions: Sessions, *, secure: bool,
    failed: Callable[[str], Refusal], clock_s: Callable[[], float] = time.monotonic,
) -> None:  # fmt: skip
    """Add the page that exchanges a token for a session, and the way out.

    Args:
        failed: notes a wrong token of an address and gives the answer.
    """

    async def page(request: Request) -> Response:
        return HTMLResponse(_page(_next(request.query_params.get("next", "/")), ""))

    async def login(request: Request) -> Response:
        raw = (await request.body()).decode("utf-8", "replace")
        fields = parse_qs(raw, max_num_fields=8, keep_blank_values=True) if raw else {}
        token = fields.get("token", [""])[0].strip()
        back = _next(fields.get("next", ["/"])[0])
        try:
            client = door.authenticate(token)
        except ControlError as error:
            if error.code != "unauthenticated":
                raise
            address = request.client.host if request.client else "unknown"
            refusal = failed(address)
            shown = HTMLResponse(_page(back, refusal.message), refusal.status)
            shown.headers.update(
                {k: v for k, v in refusal.response().headers.items() if k == "retry-after"}
            )
            return shown
        answer = RedirectResponse(back, status_code=303)
        _set(answer, sessions.open(token, client.name, clock_s()), secure)
        return answer

    async def logout(request: Request) -> Response:
        sessions.close(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    app.add_api_route("/login", page, methods=["GET"], include_in_schema=False)
    app.add_api_route("/login", login, methods=["POST"], include_in_schema=False)
    app.add_api_route("/logout", logout, methods=["POST"], include_in_schema=False)


def _set(answer: Response, cookie: str, secure: bool) -> None:
    answer.set_cookie(
        COOKIE, cookie, max_age=int(LIFE_S), path="/", secure=secure, httponly=True,
        samesite="strict",
    )  # fmt: skip


def _next(told: Any) -> str:
    """Return where to go after the login: a path of ours, nowhere else."""
    text = str(told)
    plain = text.isascii() and text.isprintable() and len(text) <= 200
    if not plain or not text.startswith("/") or text[1:2] in ("/", "\\") or "\\" in text:
        return "/"
    return text


def _page(back: str, problem: str) -> str:
    told = f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    return _HTML.replace("{problem}", told).replace("{next}", html.escape(back, quote=True))


_HTML: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OpenMM</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid;
       place-items: center; background: light-dark(#f5f6f8, #0f1218);
       color: light-dark(#14181f, #e6e9ef); }
form { width: min(24rem, calc(100vw - 2rem)); box-sizing: border-box; padding: 2rem;
       border-radius: 12px; background: light-dark(#fff, #181c24);
       border: 1px solid light-dark(#dde1e8, #2a303c); }
h1 { font-size: 1.25rem; margin: 0 0 1rem; }
label { display: block; margin-bottom: .4rem; }
input, button { font: inherit; width: 100%; box-sizing: border-box; padding: .6rem .8rem;
       border-radius: 8px; border: 1px solid light-dark(#c4cad4, #3a4252); }
input { background: transparent; color: inherit; }
button { margin-top: 1rem; border: 0; background: #2563eb; color: #fff; cursor: pointer; }
:focus-visible { outline: 2px solid #60a5fa; outline-offset: 2px; }
.problem { color: light-dark(#b42318, #ff9a8f); }
.hint { color: light-dark(#5b6472, #98a1b0); font-size: .875rem; margin: 1rem 0 0; }
</style>
</head>
<body>
<form method="post" action="/login">
<h1>OpenMM</h1>
{problem}
<input type="hidden" name="next" value="{next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Log in</button>
<p class="hint"><code>openmm token add NAME</code> makes one.</p>
</form>
</body>
</html>
"""
