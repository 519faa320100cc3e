"""No sequence of MCP calls passes a limit or a cap, or changes anything without a record.

Any tool, any arguments, any order, tokens that are replayed, expired or another client's, by
clients of different rights; the bot, its checks, its door and the server are real, the venue is the
simulator's in memory. What may not happen is worked out here again from what the venue holds and
from what reached the bot. `OPENMM_SOAK=1` runs a thousand sequences.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client as McpClient
from mcp.types import CallToolResult

from openmm.config.schema import BotConfig
from openmm.control.access import Caps, Client, Scope
from openmm.control.actions import ACTIONS
from openmm.control.audit import Audit
from openmm.engine.commands import READS, Command, Place, name_of
from openmm.engine.rundir import RunDir
from openmm.mcp.tools import ACCESS, TOOLS
from openmm.risk.limits import LOWER, UPPER
from tests.mcp.desk import BOT, Rig, rig

SOAK = os.environ.get("OPENMM_SOAK") == "1"
MINUTE_NS, HOUR_NS = 60 * 10**9, 3_600 * 10**9
# Nobody may start programs here; all else is granted to someone, and to nobody more than needed.
TRADER = Client(
    "trader", frozenset(Scope) - {Scope.START}, caps=Caps(10_000, 3, Decimal(700), Decimal(1500))
)
SETTER = Client("setter", frozenset({Scope.READ, Scope.SET, Scope.BRAKE, Scope.TRADE}))
READER = Client("reader", caps=Caps(10_000))
STRANGER = Client("stranger", frozenset(Scope) - {Scope.START}, ("other-bot",), TRADER.caps)
CLIENTS = {one.name: one for one in (TRADER, SETTER, READER, STRANGER)}
RISK = {"max_order_size": "0.02", "max_open_notional": "6000", "max_inventory": "0.05"}

KEYS = ("strategy.spread", "strategy.order_amount", "strategy.num_orders", "risk.max_order_size",
        "risk.max_open_notional", "risk.max_inventory", "risk.max_drawdown", "risk.price_collar",
        "risk.quote_reserve", "risk.fills_per_minute", "bot.mode", "venue.name", "no")  # fmt: skip
VALUES = ("0.001", "0.01", "0.02", "0.03", "1", "3", "6000", "6001", "1000000", "1%", "5%", "6%",
          "50%", "2bps", "0", "-1", "off", "inf", "NaN", "", "1e9", "live")  # fmt: skip
PRICES = ("50000", "59000.0", "59900.1", "60100.1", "61000", "70000", "1", "0", "abc")
QTYS = ("0.001", "0.01", "0.0115", "0.02", "0.021", "1", "1000000", "0", "-1")
ARGS: Mapping[str, st.SearchStrategy[Any]] = {
    "bot": st.sampled_from([BOT] * 9 + ["other-bot", "../" + BOT, "", 7]),
    "side": st.sampled_from(["buy", "sell", "both"]),
    "qty": st.sampled_from(QTYS),
    "price": st.sampled_from(PRICES),
    "order": st.sampled_from(["all", "1", "2", "7", "nobody", ""]),
    "changes": st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3),
    "reason": st.sampled_from(["", "because", "x" * 500]),
    "limit": st.sampled_from([1, 50, 10**9]),
    "description": st.sampled_from(["a grid on BTC/USD with 1% spread", ""]),
    "mode": st.sampled_from(["live", "paper"]),
}
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20))


@dataclass
class Call:
    """One call to make. `token`: how its preview token is come by."""

    client: str
    tool: str
    args: dict[str, Any]
    token: str = "none"
    key: str = ""


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Draw a call: of a likely tool with likely arguments mostly, of anything otherwise."""
    writes = [name for name, action in TOOLS.items() if action.writes]
    likely = ["place_order"] * 4 + ["set_parameters"] * 4 + ["resume_bot"] * 2 + writes
    tool = draw(st.sampled_from([*likely, *TOOLS, ACCESS, "nothing"]))
    client = draw(st.sampled_from(["trader"] * 5 + ["setter"] * 2 + ["reader", "stranger"]))
    action = TOOLS.get(tool)
    args: dict[str, Any] = {}
    if action is not None:
        names = [*(["bot"] if action.bot else []), *(param.name for param in action.params)]
        args = {name: draw(ARGS[name]) for name in names if name in ARGS}
    if draw(st.integers(0, 9)) == 9:
        args[draw(st.sampled_from([*ARGS, "preview_token", "key", "x"]))] = draw(ANYTHING)
    token = "none"
    if action is not None and action.previewed:
        token = draw(st.sampled_from(["proper"] * 6 + ["none", "replayed", "foreign", "made up",
                                                        "expired", "twice"]))  # fmt: skip
    return Call(client, tool, args, token, draw(st.sampled_from(["", "", "", "k1", "k2"])))


Step = Call | float
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(calls(), calls(), calls(), st.sampled_from([0.2, 3.0])), min_size=10, max_size=40
)


@dataclass
class Placed:
    """An order by hand that the bot took."""

    client: str
    qty: Decimal
    price: Decimal
    ts_ns: int


@dataclass
class Watch:
    """What reached the bot, and what may not be."""

    rig: Rig
    placed: list[Placed] = field(default_factory=list)
    acted: list[tuple[str, str]] = field(default_factory=list)  # command, client
    tokens: dict[str, list[str]] = field(default_factory=dict)

    def send(self, run_dir: RunDir, command: Command, **more: Any) -> dict[str, Any]:
        """Note what goes to the bot, hold it against the limits in force, and pass it on."""
        client = more.get("client", "")
        if isinstance(command, READS):
            return self.rig.send(run_dir, command, **more)
        self.acted.append((name_of(command), client))
        self.recorded(name_of(command), client)
        size_max = self.in_force.risk.max_order_size
        result = self.rig.send(run_dir, command, **more)
        if isinstance(command, Place) and not result.get("repeated"):
            one = Placed(client, Decimal(command.qty), Decimal(command.price), self.now_ns)
            assert one.qty <= size_max, (one, size_max)
            self.placed.append(one)
        return result

    @property
    def now_ns(self) -> int:
        """The bot's time."""
        return self.rig.bot.now_ns

    @property
    def file(self) -> BotConfig:
        """The limits nobody may pass."""
        return self.rig.bot.config

    @property
    def in_force(self) -> BotConfig:
        """The limits in force."""
        operator = self.rig.bot.engine._operator
        assert operator is not None
        return operator.tuning.in_force

    def recorded(self, command: str, client: str) -> None:
        """Tell that the audit has the call before the bot has."""
        newest = next(Audit(self.rig.home.audit).newest())
        assert newest["verdict"] == "asked", newest
        assert (newest["action"], newest["caller"]["client"]) == (command, client)
        assert CLIENTS[client].may(ACTIONS[command].scope)
        assert CLIENTS[client].sees(newest["bot"])

    def check(self) -> None:
        """Hold everything against the file's limits and the clients' caps."""
        bot, risk = self.rig.bot, self.file.risk
        one = bot.tables.instrument
        opened = [order for order in bot.core.open_orders(bot.account)]
        worth = Decimal(0)
        for order in opened:
            assert order.price_ticks is not None
            assert one.qty(order.qty_lots) <= risk.max_order_size
            worth += one.qty(order.qty_lots - order.filled_lots) * one.price(order.price_ticks)
        assert worth <= risk.max_open_notional, worth
        assert abs(bot.tables.pipeline.inventory.q_lots or 0) <= one.floor_lots(risk.max_inventory)
        now = self.in_force.risk
        for name in (*UPPER, *LOWER):
            hard, soft = getattr(risk, name), getattr(now, name)
            if hard is not None:
                assert soft is not None, name
                assert soft <= hard if name in UPPER else soft >= hard, (name, hard, soft)
        for last in self.placed[-1:]:
            caps = CLIENTS[last.client].caps
            mine = [order for order in self.placed if order.client == last.client]
            assert caps.order_notional is not None
            assert caps.notional_per_hour is not None
            assert last.qty * last.price <= caps.order_notional
            hour = [x.qty * x.price for x in mine if x.ts_ns > last.ts_ns - HOUR_NS]
            assert sum(hour) <= caps.notional_per_hour
            minute = [x for x in mine if x.ts_ns > last.ts_ns - MINUTE_NS]
            assert len(minute) <= caps.orders_per_minute


async def make(call: Call, watch: Watch, sessions: Mapping[str, McpClient]) -> str:
    """Make one call, with the preview it needs; return "done" or the code of its refusal."""
    session = sessions[call.client]
    args = dict(call.args)
    if call.key:
        args.setdefault("key", call.key)
    before = len(watch.acted)
    if call.token not in ("none", "made up"):
        shown = await session.call_tool(call.tool, args)
        assert len(watch.acted) == before, "a preview changes nothing"
        if shown.is_error and call.token != "replayed":
            return code_of(shown)
        if not shown.is_error:
            token = shown.structured_content["preview_token"]
            watch.tokens.setdefault(call.client, []).append(token)
    if call.token != "none":
        mine = watch.tokens.get(call.client, [])
        others = [x for name, found in watch.tokens.items() if name != call.client for x in found]
        pool = {"replayed": mine[:-1], "foreign": others, "made up": []}.get(call.token, mine)
        args["preview_token"] = pool[-1] if pool else "pv_" + "A" * 43
    if call.token == "expired":
        watch.rig.clock_ns += MINUTE_NS + 1
    done = await session.call_tool(call.tool, args)
    if call.token in ("foreign", "made up", "expired") or not CLIENTS[call.client].sees(BOT):
        told_before = not done.is_error and done.structured_content.get("repeated")
        assert done.is_error or told_before or not writes(call.tool), (call, done)
    if call.token == "twice":
        again = await session.call_tool(call.tool, args)
        assert again.is_error or again.structured_content.get("repeated"), call
    if not writes(call.tool):
        assert len(watch.acted) == before
    return code_of(done)


def writes(tool: str) -> bool:
    """Tell whether a tool changes anything."""
    return tool in TOOLS and TOOLS[tool].writes


def code_of(result: CallToolResult) -> str:
    """Return "done" or the code of a refusal."""
    if not result.is_error:
        return "done"
    code = str(result.structured_content["error"]["code"])
    assert "internal" not in code
    return code


def play(steps: list[Step], watch: Watch) -> list[str]:
    """Make every step; return what came of each call."""
    codes: list[str] = []

    async def main() -> None:
        async with (
            watch.rig.connect(TRADER) as trader, watch.rig.connect(SETTER) as setter,
            watch.rig.connect(READER) as reader, watch.rig.connect(STRANGER) as stranger,
        ):  # fmt: skip
            sessions = {"trader": trader, "setter": setter, "reader": reader, "stranger": stranger}
            for step in steps:
                if isinstance(step, Call):
                    codes.append(await make(step, watch, sessions))
                else:
                    await anyio.to_thread.run_sync(watch.rig.bot.run, step)
                watch.check()

    anyio.run(main)
    return codes


def played(factory: pytest.TempPathFactory, steps: list[Step]) -> tuple[list[str], Watch]:
    """Play a sequence on a fresh bot and check its end."""
    with (
        pytest.MonkeyPatch.context() as patch,
        rig(factory.mktemp("limits"), patch, **RISK) as made,
    ):
        watch = Watch(made)
        patch.setattr("openmm.control.deeds.send_command", watch.send)
        codes = play(steps, watch)
        made.bot.run(1)
        watch.check()
        found = Audit(made.home.audit).verify()
        assert not found.problem
        asked = iter(
            (one["action"], one["caller"]["client"])
            for one in made.audit()
            if one["verdict"] == "asked"
        )
        assert all(one in asked for one in watch.acted), "in this order, each in the audit"
    return codes, watch


@pytest.mark.timeout(7200 if SOAK else 120)
@settings(
    max_examples=1000 if SOAK else 5, deadline=None, derandomize=not SOAK,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(steps=STEPS)
def test_no_sequence_of_calls_passes_a_limit_or_goes_unrecorded(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    played(tmp_path_factory, steps)


def test_sequence_that_does_everything_right_gets_things_done(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The property would hold of a door that is shut: this one shows that it is not."""
    order = {"bot": BOT, "side": "buy", "qty": "0.01", "price": "50000"}
    steps: list[Step] = [
        Call("trader", "set_parameters", {"bot": BOT, "changes": {"risk.max_order_size": "0.015"}},
             "proper"),
        Call("trader", "set_parameters", {"bot": BOT, "changes": {"risk.max_order_size": "0.02"}},
             "proper"),
        Call("trader", "set_parameters", {"bot": BOT, "changes": {"risk.max_order_size": "0.021"}},
             "proper"),
        Call("trader", "undo_change", {"bot": BOT}, "proper"),
        Call("trader", "place_order", {**order, "price": "59000.0"}, "proper"),
        Call("trader", "place_order", {**order, "qty": "0.02"}, "proper"),
        Call("setter", "place_order", order, "proper"),
        Call("reader", "halt_bot", {"bot": BOT}),
        Call("stranger", "halt_bot", {"bot": BOT}),
        Call("setter", "cancel_orders", {"bot": BOT, "order": "all"}),
        Call("trader", "halt_bot", {"bot": BOT}),
        Call("trader", "place_order", {**order, "price": "59000.0"}, "proper"),
        Call("trader", "resume_bot", {"bot": BOT}, "proper"),
    ]  # fmt: skip
    codes, watch = played(tmp_path_factory, steps)
    assert codes[0] == codes[1] == "done"
    assert codes[2] == "looser"
    assert codes[3:5] == ["done", "done"]
    assert codes[5:7] == ["over_cap", "over_cap"]
    assert codes[7:9] == ["forbidden", "unknown_bot"]
    assert codes[9:11] == ["done", "done"]
    assert codes[11] != "done"
    assert codes[12] == "done"
    assert [one.client for one in watch.placed] == ["trader"]


def test_watch_sees_a_door_that_lets_a_cap_pass(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault must fail the property: both counts of a client's caps are taken out."""
    monkeypatch.setattr("openmm.control.previews.check_notional", lambda *_: None)
    monkeypatch.setattr("openmm.engine.clients.ClientUses.check", lambda *_: None)
    order = {"bot": BOT, "side": "buy", "qty": "0.02", "price": "59000.0"}
    with pytest.RaisesGroup(AssertionError, flatten_subgroups=True, allow_unwrapped=True):
        played(tmp_path_factory, [Call("trader", "place_order", order, "proper")])
