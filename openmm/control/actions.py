"""Every action of the door: name, scope, arguments. Surfaces are made from this list."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from openmm.control.access import Scope


class Param(Struct, frozen=True):
    """One argument of an action.

    Args:
        kind: `text`, `decimal` (exact text), `integer`, `flag`, `changes` (an object of file keys
            and texts), `choice`.
        doc: what it is, its unit, an example.
    """

    name: str
    kind: str
    doc: str
    required: bool = True
    default: str | int | bool | None = None
    choices: tuple[str, ...] = ()
    most: int | None = None  # of an integer


class Action(Struct, frozen=True):
    """One thing that can be asked of the door.

    Args:
        bot: it takes a bot's name (argument `bot`).
        writes: it changes something: audited with its key, told once.
        previewed: it needs the token of a preview of the very same arguments.
    """

    name: str
    scope: Scope
    doc: str
    params: tuple[Param, ...] = ()
    bot: bool = True
    writes: bool = False
    previewed: bool = False


def _read(name: str, doc: str, *params: Param, bot: bool = True) -> Action:
    return Action(name, Scope.READ, doc, params, bot)


def _write(
    name: str, scope: Scope, doc: str, *params: Param, bot: bool = True, previewed: bool = False
) -> Action:
    return Action(name, scope, doc, params, bot, writes=True, previewed=previewed)


_LIMIT = Param("limit", "integer", "most rows, newest first", False, 50, most=500)
_HOURS = Param("hours", "decimal", "how far back, in hours, such as 24", False, "24")
_REASON = Param("reason", "text", "why, for the audit and the journal", False, "")
_VENUE = Param("venue", "text", "venue's name, such as kraken")
_PAIR = Param("pair", "text", "BASE/QUOTE, such as BTC/USD")

_ALL: Final = (
    _read("bots", "every bot on this host: state, mode, pair, equity, P&L, position", bot=False),
    _read("status", "one bot as a whole: quotes, position, P&L, risk, venues, rate budget"),
    _read("book", "live ladder of the quoted venue with our own orders marked"),
    _read("orders", "live orders with their states", _LIMIT),
    _read(
        "order", "one order with every transition and its evidence",
        Param("order", "text", "client id or venue id"),
    ),
    _read(
        "explain", "why this order: terms of the quote, reference, every check",
        Param("order", "text", "client id, venue id or number of the order"),
    ),
    _read("fills", "fills of ours with fees", _LIMIT, _HOURS),
    _read("pnl", "P&L by cause, exact, of the session or of the last hours", _HOURS),
    _read("positions", "inventory against target and limits, balances by asset"),
    _read("portfolio", "P&L, equity and positions over all bots and venues", _HOURS, bot=False),
    _read(
        "groups", "bots that share an inventory: holdings, wishes, shares, needed transfers",
        Param("group", "text", "its name; left out: every group", False, ""),
        Param("within", "decimal", "percent of a wish that need no transfer", False, "20"),
        bot=False,
    ),
    _read("incidents", "what went wrong, newest first", _LIMIT, _HOURS),
    _read("report", "the session report as data"),
    _read("limits", "each limit: the file's, in force, in use"),
    _read("latency", "p50, p99, p99.9 and worst of every stage"),
    _read("venues", "book state, age, gaps, clock and rate budget of each venue of a bot"),
    _read("config", "the configuration in force, without secrets"),
    _read("ticker", "best bid, ask and last trade at a venue", _VENUE, _PAIR, bot=False),
    _read("trades", "last public trades", _VENUE, _PAIR, _LIMIT, bot=False),
    _read(
        "candles", "open, high, low, close, volume", _VENUE, _PAIR,
        Param("interval", "text", "such as 1m, 15m, 1h, 1d", False, "1m"), _LIMIT, bot=False,
    ),
    _read("market_stats", "spread and depth of a bot's market over time, and their change", _HOURS),
    _read("strategies", "the strategies and their parameters", bot=False),
    _read("profiles", "ready configurations to begin with", bot=False),
    _read("alerts", "alerts that are open, and their rules", bot=False),
    _read("audit", "who asked for what, and the verdict", _LIMIT, bot=False),
    _write("pause", Scope.BRAKE, "withdraw the quotes until resumed", _REASON),
    _write("halt", Scope.BRAKE, "cancel everything, latched until resumed", _REASON),
    _write("stop", Scope.BRAKE, "cancel all, prove that nothing is open, end the bot", _REASON),
    _write(
        "cancel", Scope.BRAKE, "cancel one order, or all; the bot quotes on",
        Param("order", "text", "client id, or all"),
    ),
    _write("resume", Scope.RESUME, "quote again after a pause or a halt", _REASON, previewed=True),
    _write(
        "flatten", Scope.TRADE,
        "cancel all, bring inventory to its target with reducing orders only, then pause",
        _REASON, previewed=True,
    ),
    _write(
        "place", Scope.TRADE, "one post-only limit order by hand, through every risk check",
        Param("side", "choice", "which side", choices=("buy", "sell")),
        Param("qty", "decimal", "quantity in the base asset"),
        Param("price", "decimal", "limit price in the quote asset"),
        previewed=True,
    ),
    _write(
        "set", Scope.SET, "change parameters; limits only tighter than the file's",
        Param("changes", "changes", 'file keys and values, such as {"strategy.spread": "0.4%"}'),
        previewed=True,
    ),
    _write("undo", Scope.SET, "take the last change of parameters back", previewed=True),
    _write("start", Scope.START, "start a bot that was created or has run before", previewed=True),
    _write(
        "create", Scope.START, "write a bot's file from a plain description and start it",
        Param("description", "text", "such as: a grid on BTC/USD at kraken with 1% spread"),
        Param("mode", "choice", "paper trades nothing", False, "paper", ("paper", "live")),
        bot=False, previewed=True,
    ),
    _write(
        "acknowledge", Scope.BRAKE, "take note of an alert: it escalates no further",
        Param("alert", "text", "the alert's id"), bot=False,
    ),
)  # fmt: skip
ACTIONS: Final = {one.name: one for one in _ALL}
