"""Everything that may watch a bot through a gateway, at once, until it is ended.

`python -m bench.attached_clients URL BOT`: the token is in `BENCH_TOKEN`. Opens the stream, scrapes
the metrics each second, asks for the bot's status over REST ten times a second and as an MCP client
twice, and keeps the bot's page open in a browser where there is one. Prints one JSON line once each
of them has had an answer; any that fails ends the program with its error.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Coroutine

import httpx2
from aiohttp import ClientSession
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from playwright.async_api import async_playwright

Told = Callable[[], None]


def bearer() -> dict[str, str]:
    """Return the header that carries the token."""
    return {"Authorization": f"Bearer {os.environ['BENCH_TOKEN']}"}


async def stream(url: str, bot: str, told: Told) -> None:
    """Follow the stream of states."""
    async with (
        ClientSession(headers=bearer()) as session,
        session.ws_connect(f"{url}/api/stream") as line,
    ):
        await line.send_json({"subscribe": [bot]})
        async for _ in line:
            told()
    raise ConnectionError("the stream ended")


def getter(path: str, every_s: float) -> Callable[[str, str, Told], Coroutine[None, None, None]]:
    """Ask for a path again and again."""

    async def ask(url: str, bot: str, told: Told) -> None:
        async with httpx2.AsyncClient(base_url=url, headers=bearer(), timeout=30) as client:
            while True:
                (await client.get(path.format(bot=bot))).raise_for_status()
                told()
                await asyncio.sleep(every_s)

    return ask


async def agent(url: str, bot: str, told: Told) -> None:
    """Ask for the bot's state as an MCP client does."""
    async with (
        httpx2.AsyncClient(headers=bearer(), timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        while True:
            found = await client.call_tool("status", {"bot": bot})
            assert not found.is_error, found
            told()
            await asyncio.sleep(0.5)


async def browser(url: str, bot: str, told: Told) -> None:
    """Keep the bot's page of the dashboard open."""
    path = shutil.which("chromium")
    if path is None:
        told()
        return
    async with async_playwright() as playwright:
        window = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = await window.new_page()
        await page.goto(f"{url}/login")
        await page.get_by_label("token").fill(os.environ["BENCH_TOKEN"])
        await page.keyboard.press("Enter")
        await page.wait_for_url(lambda at: "/login" not in at)
        await page.goto(f"{url}/bot/{bot}")
        await page.get_by_text("BTC/USD").first.wait_for()
        told()
        await asyncio.Event().wait()


WATCHERS = {
    "stream": stream,
    "metrics": getter("/metrics", 1.0),
    "rest": getter("/api/bots/{bot}/status", 0.1),
    "mcp": agent,
    "browser": browser,
}


async def watch(url: str, bot: str) -> None:
    """Run all of them; returns when one fails."""
    waiting = set(WATCHERS)

    def heard(name: str) -> Told:
        def told() -> None:
            if name in waiting:
                waiting.remove(name)
                if not waiting:
                    print(json.dumps({"watching": sorted(WATCHERS)}), flush=True)

        return told

    async with asyncio.TaskGroup() as group:
        for name, one in WATCHERS.items():
            group.create_task(one(url, bot, heard(name)))


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1], sys.argv[2]))
