"""What a call would change, shown before it is made."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import orjson
from msgspec import Struct

from openmm._fast.checks import RiskState
from openmm.control.access import Client
from openmm.control.views import enum_name, look
from openmm.engine.commands import Command, Preview, Status
from openmm.engine.rundir import RunDir
from openmm.errors import ControlError
from openmm.telemetry import MISSING, TelemetrySnapshot

Send: TypeAlias = Callable[[RunDir, Command], dict[str, Any]]
Diff: TypeAlias = list[dict[str, Any]]


class Shown(Struct, frozen=True):
    """A preview's content.

    Args:
        version: of the state it was made from; a call on another one is refused.
        diff: rows of `key`, `before`, `after`.
        ladder: the quotes before and after, where they change.
        warnings: what to think of before going on.
        needs: scope, money, what else it takes.
    """

    version: str
    diff: Diff
    ladder: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    needs: dict[str, Any] = {}


def changes_text(changes: dict[str, str]) -> str:
    """Write changes as the command socket takes them."""
    return orjson.dumps(changes).decode()


def of_change(bot: RunDir, changes: dict[str, str] | None, send: Send) -> Shown:
    """Ask the bot what a change of parameters would do.

    Args:
        changes: None: taking the last one back.
    """
    asked = Preview(undo="yes") if changes is None else Preview(changes_text(changes))
    told = send(bot, asked)
    warnings = told.get("warnings", [])
    return Shown(
        change_version(bot, str(told.get("version", ""))), list(told.get("diff", [])),
        told.get("ladder"), tuple(str(one) for one in warnings),
    )  # fmt: skip


def of_resume(bot: RunDir, send: Send, now_ns: int) -> Shown:
    """Show the state that would be left, and why the bot is in it."""
    page = _page(bot, now_ns)
    told = send(bot, Status())  # the page is a moment behind
    state = str(told.get("risk_state", "")).lower()
    version = state_version(bot, send)
    warnings = []
    if state == "halted":
        warnings.append(f"it was halted: {told.get('risk_reason') or 'no reason told'}")
    if page.incident:
        warnings.append(f"an incident is open: {page.incident}")
    if state == "running":
        warnings.append("the bot runs already: a resume will be refused")
    return Shown(
        version, [{"key": "state", "before": state, "after": "running"}],
        warnings=tuple(warnings),
    )  # fmt: skip


def of_flatten(bot: RunDir, send: Send, now_ns: int) -> Shown:
    """Show what there is to trade to the target, and the state after."""
    page = _page(bot, now_ns)
    off = page.qty(page.q_lots)
    side = "sell" if off > 0 else "buy"
    held = None if page.base_lots == MISSING else page.qty(page.base_lots)
    after = None if held is None else held - off
    value = None if page.reference_uticks == MISSING else abs(off) * page.mid(page.reference_uticks)
    needs = {"side": side if off else None, "qty": abs(off), "notional": value}
    count = len(page.own_bids) + len(page.own_asks)
    return Shown(
        state_version(bot, send),
        [
            {"key": "state", "before": _state(page), "after": "flattening, then paused"},
            {"key": "orders", "before": count, "after": 0},
            {"key": f"inventory {page.base}", "before": held, "after": after},
        ],
        warnings=("post-only orders wait for the market: it takes as long as it takes",),
        needs=needs,
    )


def of_place(bot: RunDir, client: Client, args: dict[str, Any], now_ns: int) -> Shown:
    """Show an order's value and its place in the market; the bot itself checks it when it comes."""
    page = _page(bot, now_ns)
    qty, price = Decimal(args["qty"]), Decimal(args["price"])
    side, notional = args["side"], qty * price
    check_notional(client, notional, page.quote)
    warnings = []
    touch = page.book_asks if side == "buy" else page.book_bids
    if touch:
        best = page.price(touch[0].price_ticks)
        if price >= best if side == "buy" else price <= best:
            warnings.append(
                f"it would take from the book, whose best is {best}: post-only, refused"
            )
    if page.risk_state != RiskState.RUNNING:
        warnings.append(f"the bot is {_state(page)}")
    count = len(page.own_bids) + len(page.own_asks)
    return Shown(
        f"{session_version(bot)}:",
        [
            {"key": "orders", "before": count, "after": count + 1},
            {"key": f"order {side}", "before": None,
             "after": f"{qty:f} {page.base} at {price:f} {page.quote}"},
        ],
        warnings=tuple(warnings),
        needs={"notional": notional, "asset": page.quote},
    )  # fmt: skip


def check_notional(client: Client, notional: Decimal, asset: str) -> None:
    """Refuse an order over a client's cap before the bot is asked; the bot refuses it as well.

    Raises:
        ControlError: it is (`over_cap`).
    """
    if client.local:
        return
    most = client.caps.order_notional
    if most is None or notional > most or not client.caps.orders_per_minute:
        allowed = "none was granted" if most is None else f"at most {most:f}"
        if most is not None and not client.caps.orders_per_minute:
            allowed = "orders_per_minute is 0"
        raise ControlError(
            f"over the cap order_notional of {client.name}: {allowed}; got {notional:f} {asset}",
            code="over_cap",
            hint="place a smaller order, or ask the operator for a higher cap in the clients file",
        )


def state_version(bot: RunDir, send: Send) -> str:
    """Tell one state of a bot from another, by its own word: sessions count their moves from 0."""
    told = send(bot, Status())
    state = f"{told.get('risk_state')}:{told.get('risk_reason')}"
    return f"{session_version(bot)}:{state}:{told.get('risk_moves')}"


def change_version(bot: RunDir, count: str) -> str:
    """Tell one set of values in force from another: sessions count their changes from 0."""
    return f"{session_version(bot)}:{count}"


def session_version(bot: RunDir) -> str:
    """Return the session that runs, or ran last."""
    return str(bot.read_session().get("session", ""))


def _page(bot: RunDir, now_ns: int) -> TelemetrySnapshot:
    seen = look(bot, now_ns)
    if seen.page is None or not seen.running:
        raise ControlError(
            f"the bot {bot.bot} is not running", code="not_running",
            hint="the action start starts it",
        )  # fmt: skip
    return seen.page


def _state(page: TelemetrySnapshot) -> str:
    return enum_name(RiskState, page.risk_state)
