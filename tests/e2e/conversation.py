"""A conversation with the MCP server as a model has it, and its transcript for docs/mcp.md.

    python -m tests.e2e.conversation        writes the transcript into the page
    python -m tests.e2e.conversation --print

The answers are those of a real bot on a simulated venue. Of each answer the transcript shows the
fields that a step names. Numbers differ from run to run; `plain` takes them out, and a test holds
what is left against the page.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from mcp import Client as McpClient
from mcp import StdioServerParameters

from openmm.control import RunDir, Stop, send_command
from openmm.control.access import Caps, Client, Clients, Scope
from openmm.control.home import Home
from tests.control.running import until
from tests.e2e import programs
from tests.gateway.serving import gateway, home_of

PAGE = programs.ROOT / "docs" / "mcp.md"
BEGIN, END = "<!-- conversation: begin -->", "<!-- conversation: end -->"
AGENT = Client("desk-agent", frozenset(Scope), caps=Caps(600, 5, Decimal(1000), Decimal(20_000)))
Answers: TypeAlias = dict[str, Any]
Args: TypeAlias = dict[str, Any]


@dataclass
class Step:
    """One call.

    Args:
        user: what the user says before it; empty: the model goes on by itself.
        args: or made of the answers so far, by the name of their steps.
        show: fields of the answer in the transcript, with dots into objects; a list shows its
            first item.
        model: what the model says after it.
        code: of the refusal that is expected.
        until: call again until this holds of the answer.
    """

    tool: str
    args: Args | Callable[[Answers], Args]
    user: str = ""
    show: tuple[str, ...] = ()
    model: str = ""
    name: str = ""
    code: str = ""
    until: Callable[[dict[str, Any]], bool] | None = None


@dataclass
class Turn:
    """A step that was made."""

    step: Step
    args: Args
    answer: dict[str, Any]


@dataclass
class Scene:
    """A simulated venue, and a client with a token in a file; the bot comes later."""

    home: Home
    token_file: Path
    env: dict[str, str]

    def server(self) -> StdioServerParameters:
        """How a client starts the server."""
        command = [*programs.COMMAND, "mcp", "--run-dir", str(self.home.root)]
        return StdioServerParameters(
            command=command[0],
            args=[*command[1:], "--token-file", str(self.token_file)],
            cwd=programs.ROOT,
            env={**os.environ, **self.env, "OPENMM_CLIENTS": str(self.home.clients)},
        )


BOT = "desk-grid"
TOKEN = "pv_…"
WISH = {"description": "start a grid on BTC/USD with 1% spread, named desk-grid", "mode": "live"}
MARKET = ("half_spread_bps=2", "taker_share=0.35", "calm_volatility=0.3")
SPREAD = {"strategy.spread": "2bps", "strategy.level_step": "1bps"}
STEPS: tuple[Step, ...] = (
    Step(
        "my_access", {}, "What can you do with my bots?",
        ("client", "scopes", "bots", "caps", "not_granted"),
        "I may look at your bots, operate them and place small orders by hand: at most 1,000 USD "
        "an order and 20,000 USD an hour.",
    ),
    Step(
        "ticker", {"venue": "kraken", "pair": "BTC/USD"}, "Where is BTC/USD now?",
        ("venue", "simulated", "bid", "ask", "spread_bps"),
        "At the simulated kraken, with a spread of a few bps.", "ticker",
    ),
    Step(
        "create_bot", WISH, "Start a grid on BTC/USD with 1% spread.",
        ("needs.summary", "needs.config", "ladder.after", "needs.capital", "needs.assumed",
         "preview_token", "expires_s", "next"),
        "This is the bot I would start: a grid of five levels a side with 1% between the innermost "
        "two. Nothing runs yet. You did not say the capital, the sizes and the limits: those under "
        "needs.assumed are proposals. Shall I start it?", "create",
    ),
    Step(
        "create_bot", lambda told: {**WISH, "preview_token": told["create"]["preview_token"]},
        "Yes.", ("bot", "mode", "state"), "desk-grid is running and quotes.", "created",
    ),
    Step(
        "set_parameters", {"bot": BOT, "changes": SPREAD},
        "Its spread of 1% is too wide. Take 2 bps.",
        ("diff", "ladder", "warnings", "preview_token", "expires_s", "next"), name="spread",
        model="The spread would go from 1% to 2 bps; the innermost quotes move to within 1 bps of "
        "the reference price. Shall I?",
    ),
    Step(
        "set_parameters",
        lambda told: {"bot": BOT, "changes": SPREAD,
                      "preview_token": told["spread"]["preview_token"]},
        "Yes.", ("bot", "changed"), "Done. It quotes closer to the market now.",
    ),
    Step(
        "bot_status", {"bot": BOT}, "Has it traded since?",
        ("risk_state", "reference.price", "counters"),
        until=lambda told: bool(told["fills"]), name="status",
    ),
    Step(
        "bot_pnl", {"bot": BOT, "hours": "1"}, "What is my P&L, and what do we hold?",
        ("pnl.asset", "pnl.net", "pnl.fees", "by_cause.total.spread", "by_cause.total.adverse",
         "by_cause.total.drift"), name="pnl",
        until=lambda told: bool(told["by_cause"]["total"]["fills"]),
    ),
    Step(
        "bot_inventory", {"bot": BOT}, "",
        ("base", "quote", "off_target", "share_ppm", "target_ppm", "max_inventory_used"),
        "The P&L is what the quotes have captured so far, in USD; its causes add up. Inventory is "
        "near its target of 50%, well inside its limit.", "inventory",
    ),
    Step(
        "market_stats", {"bot": BOT, "hours": "1"}, "Has the market's spread changed?",
        ("covered_s", "spread_bps", "depth_best", "note"),
        "There are only some seconds of samples so far; within those it moved by what "
        "change_percent says. Ask again in an hour.", "stats",
        until=lambda told: bool(told["spread_bps"]["now"] and told["depth_best"]["now"]),
    ),
    Step(
        "portfolio", {"hours": "24"}, "And over all bots?", ("by_currency", "holdings"),
        name="portfolio",
    ),
    Step(
        "risk_limits", {"bot": BOT}, "How close are we to our limits?", ("limits",), name="limits",
    ),
    Step(
        "set_parameters", {"bot": BOT, "changes": {"risk.max_order_size": "0.015"}},
        "Make the largest order 0.015 BTC.",
        ("diff", "warnings", "preview_token", "expires_s", "next"), name="tighten",
        model="This would lower the largest order to 0.015 BTC. Shall I?",
    ),
    Step(
        "set_parameters",
        lambda told: {"bot": BOT, "changes": {"risk.max_order_size": "0.015"},
                      "preview_token": told["tighten"]["preview_token"]},
        "Yes.", ("bot", "limits.max_order_size"),
        "Done: no order is larger than 0.015 BTC from now on.",
    ),
    Step(
        "set_parameters", {"bot": BOT, "changes": {"risk.max_order_size": "0.1"}},
        "Hm, make it 0.1 BTC instead.", code="looser",
        model="That is refused: 0.1 BTC is looser than what stands in the bot's file. Only you "
        "can loosen it, in the file, with a restart.",
    ),
    Step(
        "place_order",
        lambda told: {"bot": BOT, "side": "buy", "qty": "0.05", "price": price(told)},
        "Then buy 0.05 BTC right below the market.", code="over_cap",
        model="That order is over what I was granted: at most 1,000 USD an order. I can place a "
        "smaller one, or you raise my cap; I will not split it up.",
    ),
    Step(
        "halt_bot", {"bot": BOT, "reason": "the user said stop", "key": "stop-1"},
        "Stop everything!", ("bot", "risk_state", "live_orders"),
        "desk-grid is halted and every order is cancelled. It stays so until you resume it.",
    ),
    Step("bot_status", {"bot": BOT}, "", ("risk_state", "risk_reason", "orders"), name="after",
         until=lambda told: told["risk_state"] == "halted" and not any(told["orders"].values())),
    Step(
        "read_audit", {"limit": 3}, "What did you just do, exactly?",
        ("records.caller", "records.action", "records.args", "records.verdict"),
    ),
)  # fmt: skip


def price(told: Answers) -> str:
    """Return a price a little under the market."""
    return str(
        (Decimal(told["status"]["reference"]["price"]) * Decimal("0.999")).quantize(Decimal(1))
    )


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Run a simulated venue, with a client that has every scope and small caps."""
    home = home_of(folder)
    token_file = folder / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(Clients(home.clients).add(AGENT, time.time_ns()))
    market = [f"--market={one}" for one in MARKET]
    with programs.simulator("--seed", "7", "--maker-fee", "0%", *market) as sim:
        env = {"OPENMM_SIM_KRAKEN": json.dumps(sim), "XDG_RUNTIME_DIR": str(folder)}
        try:
            yield Scene(home, token_file, env)
        finally:
            # A bot that was created outlives whoever asked for it.
            for bot in home.bots():
                if bot.holder_pid() is not None:
                    send_command(bot, Stop("the conversation is over"))
                until(partial(ended, bot), "the bot has ended")


def ended(bot: RunDir) -> bool:
    """Tell whether nobody holds a bot's lock."""
    return bot.holder_pid() is None


async def converse(session: McpClient, steps: tuple[Step, ...] = STEPS) -> list[Turn]:
    """Make every step; an answer that is not the expected one ends it."""
    answers: Answers = {}
    turns: list[Turn] = []
    for step in steps:
        args = step.args(answers) if callable(step.args) else step.args
        with anyio.fail_after(60):
            while True:
                result = await session.call_tool(step.tool, args)
                told: dict[str, Any] = result.structured_content
                code = told["error"]["code"] if result.is_error else ""
                wanted = code == step.code
                assert wanted or step.until is not None, f"{step.tool}: {told}"
                if wanted and (step.until is None or step.until(told)):
                    break
                await anyio.sleep(0.2)
        if step.name:
            answers[step.name] = told
        turns.append(Turn(step, args, told))
    return turns


def transcript(turns: list[Turn], folder: Path) -> str:
    """Write a conversation as Markdown.

    Args:
        folder: of the scene, told as the user's own.
    """
    lines: list[str] = []
    for turn in turns:
        step = turn.step
        if step.user:
            lines += [f"**User:** {step.user}", ""]
        args = {**turn.args, **({"preview_token": TOKEN} if "preview_token" in turn.args else {})}
        lines += ["```text", f"→ {step.tool} {json.dumps(args, ensure_ascii=False)}"]
        if step.code:
            error = turn.answer["error"]
            told = [f"refused: {error['code']}: {error['message']}", f"what to do: {error['hint']}"]
        else:
            told = _shown(turn)
        lines += [f"{'  ' if index else '← '}{line}".rstrip() for index, line in enumerate(told)]
        lines += ["```", ""]
        if step.model:
            lines += [f"**Model:** {step.model}", ""]
    return "\n".join(lines).rstrip().replace(str(folder), "~") + "\n"


def _shown(turn: Turn) -> list[str]:
    """Return the fields that a step shows, or all, one a line."""
    paths = turn.step.show or tuple(turn.answer)
    found = {path: _short(_at(turn.answer, path.split("."))) for path in paths}
    if "preview_token" in found:
        found["preview_token"] = TOKEN
    lines: list[str] = []
    for path, one in found.items():
        if isinstance(one, str) and "\n" in one:
            lines += [f"{path}:", *(f"    {line}".rstrip() for line in one.splitlines())]
        else:
            lines.append(f"{path}: {json.dumps(one, ensure_ascii=False)}")
    return lines


def _at(value: Any, path: list[str]) -> Any:
    if not path:
        return value
    if isinstance(value, list):
        value = value[0] if value else {}
    return _at(value.get(path[0]), path[1:])


def _short(value: Any) -> Any:
    """Keep the first item of each list of objects: the others have the same form."""
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list) and len(value) > 1 and not isinstance(value[0], str):
        return [_short(value[0]), f"{len(value) - 1} more"]
    return [_short(one) for one in value] if isinstance(value, list) else value


def plain(text: str) -> str:
    """Take out of a transcript what differs from run to run: numbers, times, ids."""
    text = re.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "TIME", text)
    text = re.sub(r"\b(?=[0-9]*[a-f])[0-9a-f]{8,}\b", "ID", text)
    return re.sub(r"-?[0-9]+(?:\.[0-9]+)?", "N", text)


def on_page() -> str:
    """Return the transcript that the page has."""
    return PAGE.read_text().split(BEGIN)[1].split(END)[0].strip() + "\n"


def main() -> None:
    """Hold the conversation and write it into the page."""
    with (
        tempfile.TemporaryDirectory() as folder,
        scene(Path(folder)) as made,
        gateway(made.home, "--no-dashboard", "--no-alerts"),
    ):

        async def talk() -> list[Turn]:
            async with McpClient(made.server()) as session:
                return await converse(session)

        text = transcript(anyio.run(talk), Path(folder))
    if "--print" in sys.argv:
        print(text)
        return
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
