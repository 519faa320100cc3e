"""The SDK's client talks to a bot that trades: on standard input, and over HTTP at the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from openmm.control.audit import Audit
from tests.e2e import conversation
from tests.e2e.conversation import BOT, Scene, Turn
from tests.gateway.serving import Gateway, gateway
from tests.mcp.desk import refused, told


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with conversation.scene(tmp_path_factory.mktemp("mcp")) as made:
        yield made


@pytest.fixture(scope="module")
def served(scene: Scene) -> Iterator[Gateway]:
    with gateway(scene.home, "--no-dashboard", "--no-alerts") as made:
        assert "mcp" in made.parts
        yield made


@pytest.fixture(scope="module")
def turns(scene: Scene, served: Gateway) -> list[Turn]:
    # The gateway keeps samples of the market, which the conversation asks for.
    async def talk() -> list[Turn]:
        async with McpClient(scene.server()) as session:
            return await conversation.converse(session)

    return anyio.run(talk)


def answer(turns: list[Turn], name: str) -> dict[str, Any]:
    return next(turn.answer for turn in turns if turn.step.name == name)


def test_conversation_operates_a_bot_and_is_stopped_at_its_limits(turns: list[Turn]) -> None:
    codes = [turn.step.code for turn in turns if turn.step.code]
    assert codes == ["looser", "over_cap"]
    assert answer(turns, "status")["fills"]
    after = answer(turns, "after")
    assert after["risk_state"] == "halted"
    assert after["orders"] == {"bids": [], "asks": []}


def test_conversation_is_the_one_on_the_page(scene: Scene, turns: list[Turn]) -> None:
    """`python -m tests.e2e.conversation` writes it there again."""
    found = conversation.plain(conversation.transcript(turns, scene.home.root.parent))
    assert found == conversation.plain(conversation.on_page())


def test_every_call_of_the_conversation_is_in_the_audit(scene: Scene, turns: list[Turn]) -> None:
    records = list(Audit(scene.home.audit).newest())
    assert {one["caller"]["client"] for one in records} == {conversation.AGENT.name}
    done = [one["action"] for one in records if one["verdict"] == "done"]
    assert done.count("halt") == 1
    assert done.count("set") >= 2
    assert not Audit(scene.home.audit).verify().problem


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_gateway_serves_the_same_tools_over_http(
    scene: Scene, turns: list[Turn], served: Gateway, mode: str
) -> None:
    token = scene.token_file.read_text()

    async def main() -> None:
        headers = {"authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(f"{served.url}/mcp", http_client=http)
            async with McpClient(transport, mode=mode) as session:
                assert "halt_bot" in [one.name for one in (await session.list_tools()).tools]
                seen = told(await session.call_tool("bot_status", {"bot": BOT}))
                assert seen["risk_state"] == "halted"
                args = {"bot": BOT, "side": "buy", "qty": "1", "price": "50000"}
                assert refused(await session.call_tool("place_order", args)) == "over_cap"
                content = (await session.read_resource(f"openmm://bots/{BOT}/status")).contents
                assert content

    anyio.run(main)
    assert next(Audit(scene.home.audit).newest())["caller"]["surface"] == "mcp-http"


def test_flood_of_questions_does_not_keep_a_halt_out(
    scene: Scene, turns: list[Turn], served: Gateway
) -> None:
    codes: list[str] = []
    headers = {"authorization": f"Bearer {scene.token_file.read_text()}"}

    async def main() -> None:
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(f"{served.url}/mcp", http_client=http)
            async with McpClient(transport) as session:

                async def question() -> None:
                    result = await session.call_tool("session_report", {"bot": BOT})
                    codes.append(refused(result) if result.is_error else "done")

                async with anyio.create_task_group() as group:
                    for _ in range(40):
                        group.start_soon(question)
                    await anyio.wait_all_tasks_blocked()
                    told(await session.call_tool("halt_bot", {"bot": BOT}))
                    codes.append("halted")

    anyio.run(main)
    assert codes.count("done") >= 8
    assert codes.count("busy") + codes.count("done") == 40, codes
    assert codes.index("halted") < 40


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer omm_desk-agent_wrong"}, 401),
        ({"host": "evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_strangers_and_other_sites_do_not_come_in(
    served: Gateway, scene: Scene, headers: dict[str, str], status: int
) -> None:
    sent = {"accept": "application/json, text/event-stream", **headers}
    if status == 403:
        sent["authorization"] = f"Bearer {scene.token_file.read_text()}"
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    got = httpx2.post(f"{served.url}/mcp", json=body, headers=sent, timeout=30)
    assert got.status_code == status


def test_transcript_leaves_out_what_differs_and_keeps_the_rest() -> None:
    text = "→ a pv_… 2026-11-26T23:31:00.5Z 0.015 -3 deadbeef01 halted"
    assert conversation.plain(text) == "→ a pv_… TIME N N ID halted"


def test_page_has_a_conversation() -> None:
    assert "**User:**" in conversation.on_page()
    assert Path(conversation.PAGE).name == "mcp.md"
