"""Everything that may watch a bot through a gateway, at once, until it is ended.

`python -m bench.attached_clients URL BOT`: the token is in `BENCH_TOKEN`. Opens the stream, scrapes
the metrics each second, asks for the bot's status over REST ten times a second and as an MCP client
twice, and keeps the bot's page open in a browser where there is one. Prints a JSON line when the
browser is up, and another once each has seen the bot; any that fails later ends the program.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Coroutine
from typing import TypeAlias

import httpx2
from aiohttp import ClientSession
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from playwright.async_api import TimeoutError, async_playwright

Told: TypeAlias = Callable[[], None]
Watcher: TypeAlias = Callable[[str, str, Told], Coroutine[None, None, None]]
AGAIN_S = 0.2


def bearer() -> dict[str, str]:
    """Return the header that carries the token."""
    return {"Authorization": f"Bearer {os.environ['BENCH_TOKEN']}"}


async def stream(url: str, bot: str, told: Told) -> None:
    """Follow the stream of states; subscribes again until the bot is there."""
    async with (
        ClientSession(headers=bearer()) as session,
        session.ws_connect(f"{url}/api/stream") as line,
    ):
        await line.send_json({"subscribe": [bot]})
        async for message in line:
            if "reference" in message.data:
                told()
            elif '"error"' in message.data:
                await asyncio.sleep(AGAIN_S)
                await line.send_json({"subscribe": [bot]})
    raise ConnectionError("the stream ended")


def getter(path: str, every_s: float, word: str) -> Watcher:
    """Ask for a path again and again; told once the answer has a word."""

    async def ask(url: str, bot: str, told: Told) -> None:
        seen = False
        async with httpx2.AsyncClient(base_url=url, headers=bearer(), timeout=30) as client:
            while True:
                answer = await client.get(path.format(bot=bot))
                if word in answer.text:
                    seen = True
                    told()
                elif seen:
                    answer.raise_for_status()
                await asyncio.sleep(every_s if seen else AGAIN_S)

    return ask


async def agent(url: str, bot: str, told: Told) -> None:
    """Ask for the bot's state as an MCP client does."""
    seen = False
    async with (
        httpx2.AsyncClient(headers=bearer(), timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        while True:
            found = await client.call_tool("bot_status", {"bot": bot})
            if not found.is_error:
                seen = True
                told()
            assert not (seen and found.is_error), found
            await asyncio.sleep(0.5 if seen else AGAIN_S)


async def browser(url: str, bot: str, told: Told) -> None:
    """Keep the bot's page of the dashboard open; says so once the browser is up."""
    path = shutil.which("chromium")
    if path is None:
        print(json.dumps({"browser": None}), flush=True)
        told()
        return
    async with async_playwright() as playwright:
        window = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = await window.new_page()
        await page.goto(f"{url}/login")
        await page.get_by_label("token").fill(os.environ["BENCH_TOKEN"])
        await page.keyboard.press("Enter")
        await page.wait_for_url(lambda at: "/login" not in at)
        print(json.dumps({"browser": path}), flush=True)
        while True:
            await page.goto(f"{url}/ui/bot/{bot}")
            try:
                await page.get_by_text("BTC/USD").first.wait_for(timeout=1000)
                break
            except TimeoutError:
                continue
        told()
        await asyncio.Event().wait()


WATCHERS: dict[str, Watcher] = {
    "stream": stream,
    "metrics": getter("/metrics", 1.0, "openmm_equity"),
    "rest": getter("/api/bots/{bot}/status", 0.1, "reference"),
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
