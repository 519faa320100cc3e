"""What each tool says of itself, written for a model: what it does, units, an example, refusals."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from openmm.control.actions import Action

SCOPE_NEEDED: Final = (
    "Refused with forbidden: tell the user that the operator grants the scope {scope} with "
    "`openmm token add`; do not try another tool instead."
)
PREVIEWED: Final = (
    "Two steps. Call it without preview_token: nothing happens, you get the exact change, "
    "warnings and a preview_token that works once, within a minute, for these very arguments. "
    "Show the preview to the user; when they agree, call again with the same arguments and the "
    "token."
)


class Words(Struct, frozen=True):
    """One tool's name and texts.

    Args:
        tool: the name a model calls it by.
        does: what it does and returns, with units.
        example: arguments of a call, as JSON.
        refused: what to do when it says no; empty: what the error's hint says.
        destructive: it takes something away that does not come back by itself.
    """

    tool: str
    title: str
    does: str
    example: str
    refused: str = ""
    destructive: bool = False


_MARKET = (
    "Prices are in the quote asset, quantities in the base asset, both exact decimal text. "
    "Public data: needs no keys."
)
WORDS: Final = {
    "bots": Words(
        "list_bots", "All bots",
        "List every bot on this host that you may see: name, mode (live or paper), pair, state "
        "(running, paused, halted, stopped), equity and P&L in the bot's quote asset, inventory "
        "in its base asset. Start here to learn the names that the other tools take as `bot`.",
        "{}",
    ),
    "status": Words(
        "bot_status", "One bot as a whole",
        "Show one bot: risk state and its reason, reference price, own quotes, inventory against "
        "target, P&L, health of each venue's book, rate budget, counters. Money is in the quote "
        "asset, quantities in the base asset, shares in ppm (10000 ppm = 1%), ages in ms.",
        '{"bot": "btc-grid"}',
    ),
    "book": Words(
        "order_book", "Order book with own orders",
        "Show the live order book of the bot's market, best level first, with the bot's own "
        f"orders marked. {_MARKET}",
        '{"bot": "btc-grid"}',
    ),
    "orders": Words(
        "list_orders", "Live orders",
        "List the bot's live orders: client id, side, price, quantity, filled, state, who placed "
        "it (the strategy or a client by hand). An order in state unknown counts in full against "
        "every limit until the venue has proved what became of it.",
        '{"bot": "btc-grid", "limit": 20}',
    ),
    "order": Words(
        "get_order", "One order's life",
        "Show one order with every transition of its state, when, and the evidence for it. Name it "
        "by its client id, from list_orders or list_fills.",
        '{"bot": "btc-grid", "order": "mcj81lghk6100000g1"}',
    ),
    "explain": Words(
        "explain_order", "Why this order",
        "Explain one order of any session: the reference price and its sources, each term of the "
        "quote (spread, volatility, skew), and every risk check it passed. Use it to answer "
        "questions such as: why did it quote there?",
        '{"bot": "btc-grid", "order": "mcj81lghk6100000g1"}',
    ),
    "fills": Words(
        "list_fills", "Own fills",
        "List the bot's own fills, newest first: time (UTC), side, price, quantity, fee and its "
        "asset, whether maker, reference price then. The market's own trades are in list_trades.",
        '{"bot": "btc-grid", "hours": "1", "limit": 50}',
    ),
    "pnl": Words(
        "bot_pnl", "P&L by cause",
        "Show the bot's P&L exactly: realised, unrealised (marked at the reference price), fees, "
        "and its causes (spread captured, adverse selection, inventory drift, fees), which add "
        "up. Money is in the quote asset.",
        '{"bot": "btc-grid", "hours": "24"}',
    ),
    "positions": Words(
        "bot_inventory", "Inventory and balances",
        "Show the bot's inventory in the base asset against its target and limits, and the "
        "balances by asset. Use it for: what do we hold, how far are we from target?",
        '{"bot": "btc-grid"}',
    ),
    "portfolio": Words(
        "portfolio", "P&L and positions over all bots",
        "Sum P&L, equity and positions over all bots and venues you may see. Sums are by quote "
        "asset: USD and USDT are not added to each other.",
        '{"hours": "24"}',
    ),
    "groups": Words(
        "inventory_groups", "One inventory over several venues",
        "Show the groups of bots that share an inventory: what each venue holds, wishes and may "
        "hold, which sides lack capital, and the transfers that would bring each back to its "
        "wish. Nothing is moved: a transfer is made by a person, at the venues.",
        '{"group": "btc"}',
    ),
    "incidents": Words(
        "list_incidents", "What went wrong",
        "List incidents, newest first: halts, broken books, reconciliation differences, venue "
        "outages, with when, how long and what was done.",
        '{"bot": "btc-grid", "hours": "24"}',
    ),
    "report": Words(
        "session_report", "The session report",
        "Return the report of the bot's last session as data: volume, realised P&L, average "
        "spread captured, fill rate, inventory change, fees, incidents.",
        '{"bot": "btc-grid"}',
    ),
    "limits": Words(
        "risk_limits", "Limits and their use",
        "List each risk limit: the value in the bot's file (hard), the value in force (the same "
        "or tighter), and how much of it is in use. Read it before set_parameters on a limit or "
        "place_order.",
        '{"bot": "btc-grid"}',
    ),
    "latency": Words(
        "bot_latency", "Latency by stage",
        "Show the time from a market message to the order's bytes, stage by stage: p50, p99, "
        "p99.9 and worst, in nanoseconds.",
        '{"bot": "btc-grid"}',
    ),
    "venues": Words(
        "venue_health", "Health of a bot's venues",
        "Show each venue of a bot: book state (verified, catching up, broken), age in ms, gaps, "
        "clock offset, rate budget left. Only a verified book is quoted from.",
        '{"bot": "btc-grid"}',
    ),
    "config": Words(
        "bot_config", "Configuration in force",
        "Return the bot's configuration as it is in force, by file key, without secrets. The keys "
        "are those that set_parameters takes.",
        '{"bot": "btc-grid"}',
    ),
    "ticker": Words(
        "ticker", "Best bid and ask",
        f"Ask a venue for best bid, best ask and last trade of a pair now. {_MARKET}",
        '{"venue": "kraken", "pair": "BTC/USD"}',
    ),
    "trades": Words(
        "list_trades", "Public trades",
        f"List the last public trades of a pair at a venue, newest first. {_MARKET} Own fills are "
        "in list_fills.",
        '{"venue": "kraken", "pair": "BTC/USD", "limit": 20}',
    ),
    "candles": Words(
        "candles", "Candles",
        f"Return open, high, low, close and volume of a pair at a venue. {_MARKET}",
        '{"venue": "kraken", "pair": "BTC/USD", "interval": "15m", "limit": 48}',
    ),
    "market_stats": Words(
        "market_stats", "Spread and depth over time",
        "Tell how spread and depth of the bot's market changed over the last hours: now, then, "
        "mean, minimum, maximum and the change in percent. Use it for statements such as: the "
        "spread has compressed 40% in the last hour. Spreads are in bps of the mid (1 bps = "
        "0.01%), depth in the base asset.",
        '{"bot": "btc-grid", "hours": "1"}',
    ),
    "strategies": Words(
        "list_strategies", "Strategies and parameters",
        "List the strategies and their parameters: meaning, unit, default, what is allowed. Read "
        "it before set_parameters or create_bot.",
        "{}",
    ),
    "profiles": Words(
        "list_profiles", "Ready configurations",
        "List ready configurations to begin with, and what each is for.",
        "{}",
    ),
    "alerts": Words(
        "list_alerts", "Open alerts",
        "List the alerts that are open, with severity and age, and the rules behind them.",
        "{}",
    ),
    "audit": Words(
        "read_audit", "Who asked for what",
        "List what was asked of the control plane, newest first: who, through what, action, "
        "arguments, verdict. Your own calls are in it too.",
        '{"limit": 20}',
    ),
    "pause": Words(
        "pause_bot", "Withdraw the quotes",
        "Withdraw the bot's quotes until resume_bot. Lowers risk; inventory stays as it is. Takes "
        "effect at once, without a preview. Safe to repeat.",
        '{"bot": "btc-grid", "reason": "user asked to stop quoting over the announcement"}',
    ),
    "halt": Words(
        "halt_bot", "Cancel everything and latch",
        "Cancel every order of the bot and latch it halted until resume_bot. The emergency brake: "
        "takes effect at once, without a preview. Safe to repeat. Use it when the user says stop, "
        "halt or cancel everything, or when something is plainly wrong.",
        '{"bot": "btc-grid", "reason": "user asked to halt"}',
        "If it fails, say so at once and tell the user to run `openmm halt` in a terminal.",
        True,
    ),
    "stop": Words(
        "stop_bot", "End the bot",
        "Cancel all orders, prove at the venue that nothing is open, and end the bot's process. "
        "start_bot starts it again. To only stop quoting, use pause_bot.",
        '{"bot": "btc-grid", "reason": "user asked to end it"}',
        "", True,
    ),
    "cancel": Words(
        "cancel_orders", "Cancel one order or all",
        "Cancel one order by its client id (from list_orders), or all of the bot's with order = "
        "all. A running strategy quotes again right after: to keep it out, use pause_bot.",
        '{"bot": "btc-grid", "order": "all"}',
        "", True,
    ),
    "resume": Words(
        "resume_bot", "Quote again",
        "Leave a pause or a halt: the bot quotes again. Find out first why it halted "
        "(list_incidents) and tell the user.",
        '{"bot": "btc-grid", "reason": "user checked the incident"}',
    ),
    "flatten": Words(
        "flatten_bot", "Bring inventory to target",
        "Cancel all quotes, then place only post-only orders that reduce the distance to the "
        "target inventory, until it is reached; then pause. May take a while and is not sure to "
        "fill.",
        '{"bot": "btc-grid", "reason": "user wants out"}',
        "", True,
    ),
    "place": Words(
        "place_order", "One order by hand",
        "Place one post-only limit order by hand, through every risk check of the bot. qty is in "
        'the base asset, price in the quote asset, both exact text such as "0.01".',
        '{"bot": "btc-grid", "side": "buy", "qty": "0.01", "price": "60000.0"}',
        "Refused over a cap or limit: tell the user the limit and its value. Never split an order "
        "to get under a cap.",
    ),
    "set": Words(
        "set_parameters", "Change parameters or tighten limits",
        "Change strategy parameters, or tighten risk limits, of a running bot by file key. The "
        "preview shows the difference and the ladder it would give. Limits (risk.*) can only be "
        "tightened below the bot's file, from here and from every other surface. One step can be "
        "taken back with undo_change.",
        '{"bot": "btc-grid", "changes": {"strategy.spread": "0.4%"}}',
        "Refused as looser: the operator loosens a limit in the bot's file and restarts it; do "
        "not look for another way.",
    ),
    "undo": Words(
        "undo_change", "Take the last change back",
        "Take back the last set_parameters of this bot.",
        '{"bot": "btc-grid"}',
    ),
    "start": Words(
        "start_bot", "Start a bot",
        "Start a bot that was created or has run before, with its file as it is.",
        '{"bot": "btc-grid"}',
        "", False,
    ),
    "create": Words(
        "create_bot", "Create a bot from a description",
        "Make a bot from a plain description (strategy, pair, venue, spread, size, capital). The "
        "first call returns a validated configuration, the ladder it would quote now, the capital "
        "it needs, and a preview_token; nothing is written. The second call, with the same "
        "arguments and the token, writes the file and starts the bot. Mode paper (the default) "
        "trades nothing. Ask the user for what the description leaves open only if the warnings "
        "say so.",
        '{"description": "start a grid on BTC/USD with 1% spread"}',
        "Refused: the message names the key, the value and what is allowed; change the "
        "description accordingly.",
    ),
    "acknowledge": Words(
        "acknowledge_alert", "Take note of an alert",
        "Take note of an open alert by its id (from list_alerts): it escalates no further.",
        '{"alert": "halt:btc-grid"}',
    ),
}  # fmt: skip


def words_of(action: Action) -> Words:
    """Return a tool's texts: its own, or made of the action's."""
    return WORDS.get(action.name) or Words(
        action.name, action.name.replace("_", " "), action.doc, "{}"
    )


def description(action: Action) -> str:
    """Return the whole description of a tool."""
    words = words_of(action)
    parts = [words.does]
    if action.previewed:
        parts.append(PREVIEWED)
    parts.append(f"Example: {words.tool}({words.example})")
    if words.refused:
        parts.append(words.refused)
    if action.writes:
        parts.append(SCOPE_NEEDED.format(scope=action.scope.value))
    return "\n".join(parts)
