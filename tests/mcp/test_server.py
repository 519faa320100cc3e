"""The server with the SDK's own client, over a bot in memory and the real door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anyio
import pytest
from mcp import MCPError
from mcp.types import TextResourceContents

from openmm.control.access import Caps, Client
from openmm.mcp.tools import ACCESS
from tests.mcp.desk import BOT, FULL, Rig, refused, rig, told


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with pytest.MonkeyPatch.context() as patch, rig(tmp_path_factory.mktemp("mcp"), patch) as made:
        yield made


def ask(rig: Rig, tool: str, args: dict[str, Any] | None = None, client: Client = FULL) -> Any:
    """Call one tool and return its result."""

    async def main() -> Any:
        async with rig.connect(client) as session:
            return await session.call_tool(tool, args)

    return anyio.run(main)


def test_reads_and_writes_go_through_the_door_and_its_audit(desk: Rig) -> None:
    assert [one["bot"] for one in told(ask(desk, "list_bots"))["bots"]] == [BOT]
    assert told(ask(desk, "bot_status", {"bot": BOT}))["mode"] == "live"
    assert told(ask(desk, "pause_bot", {"bot": BOT, "reason": "a test"}))["bot"] == BOT
    last = desk.audit()[-1]
    assert (last["action"], last["verdict"]) == ("pause", "done")
    assert last["caller"]["client"] == "agent"
    assert last["caller"]["surface"] == "test"


def test_what_needs_a_preview_happens_with_its_token_only(desk: Rig) -> None:
    told(ask(desk, "pause_bot", {"bot": BOT}))
    before = len(desk.sent)
    shown = told(ask(desk, "resume_bot", {"bot": BOT}))
    assert shown["diff"] == [{"key": "state", "before": "paused", "after": "running"}]
    assert "resume_bot" in shown["next"]
    assert not [one for one, _ in desk.sent[before:] if type(one).__name__ == "Resume"]
    token = shown["preview_token"]
    other = {"bot": BOT, "reason": "other", "preview_token": token}
    assert refused(ask(desk, "resume_bot", other)) == "preview_mismatch"
    stranger = Client("other", FULL.scopes, caps=FULL.caps)
    args = {"bot": BOT, "preview_token": token}
    assert refused(ask(desk, "resume_bot", args, stranger)).startswith("preview")
    told(ask(desk, "resume_bot", args))
    assert refused(ask(desk, "resume_bot", args)) == "preview_used"
    assert type(desk.sent[-1][0]).__name__ in ("Resume", "Status")


def test_client_without_scopes_sees_and_does_nothing_more(desk: Rig) -> None:
    reader = Client("reader")

    async def main() -> None:
        async with desk.connect(reader) as session:
            tools = [tool.name for tool in (await session.list_tools()).tools]
            assert ACCESS in tools
            assert "halt_bot" not in tools
            assert refused(await session.call_tool("halt_bot", {"bot": BOT})) == "forbidden"
            mine = told(await session.call_tool(ACCESS, {}))
            assert mine["scopes"] == ["read"]
            assert mine["not_granted"]["halt_bot"] == "brake"
            assert mine["bots"] == [BOT]

    anyio.run(main)
    assert desk.audit()[-2]["verdict"].startswith("refused: forbidden")


def test_bots_of_others_are_not_there(desk: Rig) -> None:
    blind = Client("blind", bots=("other-bot",))
    assert told(ask(desk, "list_bots", client=blind))["bots"] == []
    assert refused(ask(desk, "bot_status", {"bot": BOT}, blind)) == "unknown_bot"


@pytest.mark.parametrize(
    ("tool", "args", "code"),
    [
        ("no_such_tool", {}, "unknown_tool"),
        ("bot_status", {}, "bad_argument"),
        ("bot_status", {"bot": "../x"}, "bad_argument"),
        ("bot_status", {"bot": "nobody"}, "unknown_bot"),
        ("bot_status", {"bot": BOT, "preview_token": "x"}, "bad_argument"),
        ("halt_bot", {"bot": BOT, "key": 7}, "bad_argument"),
        ("halt_bot", {"bot": BOT, "key": "x" * 300}, "bad_argument"),
        ("place_order", {"bot": BOT, "side": "buy", "qty": 0.01, "price": "1"}, "bad_argument"),
        ("place_order", {"bot": BOT, "side": "up", "qty": "1", "price": "1"}, "bad_argument"),
        ("list_trades", {"limit": 10**9, "venue": "kraken", "pair": "BTC/USD"}, "bad_argument"),
    ],
)
def test_bad_calls_are_answered_with_what_is_wrong(
    desk: Rig, tool: str, args: dict[str, Any], code: str
) -> None:
    assert refused(ask(desk, tool, args)) == code


def test_rate_cap_holds_for_tools_and_resources_and_spares_the_brakes(desk: Rig) -> None:
    slow = Client("slow", FULL.scopes, caps=Caps(3, 20, Decimal(1)))

    async def main() -> None:
        async with desk.connect(slow) as session:
            for _ in range(2):
                told(await session.call_tool("list_bots", {}))
            await session.read_resource("openmm://bots")
            assert refused(await session.call_tool("list_bots", {})) == "rate_limited"
            with pytest.raises(MCPError, match="rate_limited"):
                await session.read_resource("openmm://bots")
            with pytest.raises(MCPError, match="rate_limited"):
                await session.get_prompt("portfolio_overview", {})
            told(await session.call_tool("halt_bot", {"bot": BOT}))

    anyio.run(main)


def test_resources_and_prompts_show_what_the_door_gives(desk: Rig) -> None:
    async def main() -> None:
        async with desk.connect() as session:
            uris = [one.uri for one in (await session.list_resources()).resources]
            assert f"openmm://bots/{BOT}/status" in uris
            assert (await session.list_resource_templates()).resource_templates
            content = (await session.read_resource(f"openmm://bots/{BOT}/status")).contents[0]
            assert isinstance(content, TextResourceContents)
            assert json.loads(content.text)["bot"] == BOT
            with pytest.raises(MCPError, match="unknown_resource"):
                await session.read_resource("openmm://bots/../status")
            with pytest.raises(MCPError, match="unknown_bot"):
                await session.read_resource("openmm://bots/nobody/status")
            assert len((await session.list_prompts()).prompts) == 4
            with pytest.raises(MCPError, match="unknown_bot"):
                await session.get_prompt("incident_review", {"bot": "nobody"})

    anyio.run(main)
    assert {one["caller"]["surface"] for one in desk.audit()} == {"test"}


def test_brake_is_idempotent_under_its_key(desk: Rig) -> None:
    args = {"bot": BOT, "key": "once"}
    assert "repeated" not in told(ask(desk, "halt_bot", args))
    assert told(ask(desk, "halt_bot", args))["repeated"] is True
    other = {**args, "reason": "other"}
    assert refused(ask(desk, "halt_bot", other)) == "key_reused"
