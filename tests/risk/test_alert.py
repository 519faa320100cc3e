"""The webhook: delivered, tried again, given up, and never an exception."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from openmm.risk.alert import AlertMessage, post_alert

MESSAGE = AlertMessage(
    event="halted",
    severity="critical",
    bot="btc",
    session="s1",
    ts_ns=1,
    text="loss of 2.1% passes the limit of 2%",
)


@asynccontextmanager
async def hook(*statuses: int) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Serve an address that answers with these statuses, one after the other."""
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        status = statuses[min(len(got), len(statuses)) - 1]
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:1/elsewhere"})

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}/hook", got
    finally:
        await runner.cleanup()


@pytest.mark.asyncio
async def test_alert_is_posted_once() -> None:
    async with hook(200) as (url, got):
        assert await post_alert(url, MESSAGE) == ""
    [body] = got
    line = "[critical] btc: loss of 2.1% passes the limit of 2%"
    assert body == {
        "text": line, "content": line, "event": "halted", "severity": "critical", "bot": "btc",
        "session": "s1", "ts_ns": 1, "detail": "loss of 2.1% passes the limit of 2%",
    }  # fmt: skip


def test_manual_names_what_is_posted() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    told = page.split("\n## Alerts\n")[1].split("Delivery")[0]
    assert set(MESSAGE.body()) == set(re.findall(r"`([a-z_]+)`", told)) - {"halted", "incident"}


@pytest.mark.asyncio
async def test_alert_is_tried_again_when_the_server_fails() -> None:
    async with hook(500, 429, 204) as (url, got):
        assert await post_alert(url, MESSAGE, backoff_s=(0, 0)) == ""
        assert len(got) == 3


@pytest.mark.parametrize(("status", "tries"), [(503, 3), (404, 1), (302, 1)])
@pytest.mark.asyncio
async def test_alert_that_is_refused_is_given_up_with_the_reason(status: int, tries: int) -> None:
    async with hook(status) as (url, got):
        assert await post_alert(url, MESSAGE, backoff_s=(0, 0)) == f"HTTP status {status}"
        assert len(got) == tries


@pytest.mark.asyncio
async def test_alert_to_nobody_is_given_up_with_the_reason() -> None:
    async with hook(200) as (url, _):
        pass
    assert "Connect" in await post_alert(url, MESSAGE, backoff_s=(0,))
