"""What a bot is doing now: its telemetry page and session file as JSON-ready values.

Nothing here asks the bot anything, but for `orders`, `limits` and `config` of one that runs: client
ids and what was changed since its start are on no page.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from openmm._fast.orders import OrderState
from openmm.config.restore import restore
from openmm.config.schema import BotConfig
from openmm.control.client import send_command
from openmm.control.home import Home
from openmm.control.ladder import resolved
from openmm.control.plain import iso, plain
from openmm.control.views import BotState, Fleet, enum_name, look, page_view
from openmm.engine.commands import Orders, Status
from openmm.engine.rundir import RunDir
from openmm.errors import CommandError, ConfigError, ControlError
from openmm.telemetry import MISSING, TelemetrySnapshot

FLEET: Final = Fleet()
# Pages are published ten times a second; an answer to a look is not worth waiting longer for.
ASK_S: Final = 3.0


def run_dir_of(home: Home, bot: str) -> RunDir:
    """Return a bot's folder.

    Raises:
        ControlError: there is no such bot in sight (`unknown_bot`).
    """
    seen = home.bots()
    for one in seen:
        if one.bot == bot:
            return one
    names = ", ".join(one.bot for one in seen) or "none"
    raise ControlError(
        f"no bot {bot!r}; there are: {names}", code="unknown_bot", hint="the action bots lists them"
    )


def bots(home: Home, now_ns: int) -> dict[str, Any]:
    """List every bot in sight: state, pair, position and P&L. A bad one is told, not left out."""
    return {"bots": [_row(one, now_ns) for one in home.bots()], "ts": iso(now_ns)}


def _row(run_dir: RunDir, now_ns: int) -> dict[str, Any]:
    try:
        seen = look(run_dir, now_ns, FLEET)
    except CommandError as error:
        return {"bot": run_dir.bot, "running": None, "page": "unreadable", "error": str(error)}
    row = _head(seen)
    config = _configured(seen)
    if config is not None:
        row |= {"venue": config.quoted.label, "instrument": config.quoted.pair}
    page = seen.page
    if page is None:
        return row
    view = page_view(page, now_ns)
    row |= {
        "instrument": page.instrument,
        "risk_state": view["risk_state"], "risk_reason": page.risk_reason,
        "heartbeat_age_ms": view["heartbeat_age_ms"], "uptime_s": view["uptime_s"],
        "reference": view["reference"]["price"],
        "orders": {"bids": len(page.own_bids), "asks": len(page.own_asks)},
        "fills": page.counters.filled,
        "inventory": view["inventory"], "pnl": _pnl(page),
    }  # fmt: skip
    return _plain(row)


def _head(seen: BotState) -> dict[str, Any]:
    session = seen.session
    started = session.get("started_ns")
    return {
        "bot": seen.bot, "running": seen.running, "pid": seen.pid,
        "mode": session.get("mode"), "session": session.get("session"),
        "state": session.get("state"),
        "started": iso(started if isinstance(started, int) else None),
        "exit_code": session.get("exit_code"), "end_reason": session.get("reason"),
        "page": seen.page_state, "page_error": seen.page_error,
    }  # fmt: skip


def _pnl(page: TelemetrySnapshot) -> dict[str, Any]:
    """Return the session's P&L; net is what is left of it after fees."""
    net = page.realised_ticklots + page.unrealised_ticklots - page.fees_ticklots
    return {
        "asset": page.quote,
        "realised": page.money(page.realised_ticklots),
        "unrealised": page.money(page.unrealised_ticklots),
        "fees": page.money(page.fees_ticklots),
        "net": page.money(net),
        "equity": page.money(page.equity_ticklots),
        "equity_start": page.money(page.equity_start_ticklots),
        "drawdown_ppm": page.drawdown_ppm,
        "drawdown_peak_ppm": page.drawdown_peak_ppm,
    }


def _plain(value: Any) -> dict[str, Any]:
    found = plain(value)
    assert isinstance(found, dict)
    return found


def status(home: Home, bot: str, now_ns: int) -> dict[str, Any]:
    """Return everything on a bot's page, and how its session began or ended."""
    return status_of(run_dir_of(home, bot), now_ns)


def status_of(run_dir: RunDir, now_ns: int) -> dict[str, Any]:
    """Return the same of a bot whose folder is known."""
    seen = look(run_dir, now_ns, FLEET)
    told = _head(seen)
    if seen.page is not None:
        view = page_view(seen.page, now_ns)
        told |= view
        told["pnl"] = {**view["pnl"], **_pnl(seen.page)}
        told["fills"] = [{"ts": iso(one["ts_ns"]), **one} for one in view["fills"]]
    return _plain(told)


def page_of(home: Home, bot: str, now_ns: int) -> tuple[BotState, TelemetrySnapshot]:
    """Return a bot's state and its page.

    Raises:
        ControlError: no such bot, or no page that can be read (`no_page`).
    """
    seen = look(run_dir_of(home, bot), now_ns, FLEET)
    if seen.page is None:
        raise ControlError(
            f"{bot}: nothing to read yet: {seen.page_error}", code="no_page", retryable=True,
            hint="the bot starts, or is of another build: see status",
        )  # fmt: skip
    return seen, seen.page


def book(home: Home, bot: str, now_ns: int) -> dict[str, Any]:
    """Return the quoted venue's best levels with our own orders marked; those deeper as well."""
    seen, page = page_of(home, bot, now_ns)
    sides: dict[str, list[dict[str, Any]]] = {}
    for name, levels, own in (
        ("bids", page.book_bids, page.own_bids), ("asks", page.book_asks, page.own_asks),
    ):  # fmt: skip
        ours: dict[int, int] = {}
        states: dict[int, list[str]] = {}
        for order in own:
            left = order.qty_lots - order.filled_lots
            ours[order.price_ticks] = ours.get(order.price_ticks, 0) + left
            states.setdefault(order.price_ticks, []).append(enum_name(OrderState, order.state))
        rest = {level.price_ticks: level.qty_lots for level in levels}
        sides[name] = [
            {
                "price": page.price(ticks),
                # Deeper than the page shows: only what is ours is known there.
                "qty": page.qty(rest[ticks]) if ticks in rest else None,
                "ours": page.qty(ours[ticks]) if ticks in ours else None,
                "states": states.get(ticks, []),
            }
            for ticks in sorted({*rest, *ours}, reverse=name == "bids")
        ]
    quoted = [one for one in page.venues if one.quoted]
    told = {
        "bot": bot, "instrument": page.instrument, "page": seen.page_state,
        "heartbeat_age_ms": (now_ns - page.heartbeat_ns) // 1_000_000,
        "reference": None if page.reference_uticks == MISSING else page.mid(page.reference_uticks),
        **spread_of(page), **sides,
        "book_state": page_view(page, now_ns)["venues"][page.venues.index(quoted[0])]["book"]
        if quoted else "unknown",
    }  # fmt: skip
    return _plain(told)


def spread_of(page: TelemetrySnapshot) -> dict[str, Any]:
    """Return mid and spread of the quoted book; None without both sides."""
    if not page.book_bids or not page.book_asks:
        return {"mid": None, "spread": None, "spread_bps": None}
    bid, ask = page.book_bids[0].price_ticks, page.book_asks[0].price_ticks
    middle = Decimal(bid + ask) / 2
    return {
        "mid": middle * page.tick_size,
        "spread": page.price(ask - bid),
        "spread_bps": round(Decimal(ask - bid) * 10_000 / middle, 4) if middle else None,
    }


def orders(home: Home, bot: str, now_ns: int, limit: int = 50) -> dict[str, Any]:
    """List the live orders with client ids, as the bot has them; of none that runs, none."""
    run_dir = run_dir_of(home, bot)
    if run_dir.holder_pid() is None:
        left = run_dir.read_session().get("open_orders")
        return {"bot": bot, "running": False, "orders": [], "live": 0, "left_open": left}
    told = send_command(run_dir, Orders(), surface="control", timeout_s=ASK_S)
    shown = [
        {**one, "created": iso(one.get("created_ns"))} if "created_ns" in one else one
        for one in told["orders"][:limit]
    ]
    return _plain({"bot": bot, "running": True, "orders": shown, "live": told["live"]})


def positions(home: Home, bot: str, now_ns: int) -> dict[str, Any]:
    """Return inventory against target and limits, and what is held of each asset."""
    seen, page = page_of(home, bot, now_ns)
    config = _configured(seen)
    inventory = page_view(page, now_ns)["inventory"]
    reference = None if page.reference_uticks == MISSING else page.mid(page.reference_uticks)
    base = inventory["base"]
    told: dict[str, Any] = {
        "bot": bot, "instrument": page.instrument, "reference": reference, **inventory,
        "balances": [
            {
                "asset": page.base, "total": base,
                "value": None if base is None or reference is None else base * reference,
                "value_asset": page.quote,
            },
            {
                "asset": page.quote, "total": inventory["quote"], "value": inventory["quote"],
                "value_asset": page.quote,
            },
        ],
        "equity": page.money(page.equity_ticklots),
    }  # fmt: skip
    if config is not None:
        most = config.risk.max_inventory
        told |= {
            "max_inventory": most,
            "max_inventory_used": round(abs(inventory["off_target"]) / most, 6),
            "rebalance_threshold_ppm": getattr(config.strategy, "rebalance_threshold_ppm", None),
        }
    return _plain(told)


def latency(home: Home, bot: str, now_ns: int) -> dict[str, Any]:
    """Return the stages' percentiles since the session's start, in nanoseconds."""
    _, page = page_of(home, bot, now_ns)
    return _plain({"bot": bot, "unit": "ns", "stages": page_view(page, now_ns)["latency_ns"]})


def venues(home: Home, bot: str, now_ns: int) -> dict[str, Any]:
    """Return each venue's book, age and breaks, its part in the reference, and the rate budget."""
    _, page = page_of(home, bot, now_ns)
    view = page_view(page, now_ns)
    sources = {one["label"]: one for one in view["reference"]["sources"]}
    rate = view["rate"]
    level, most = rate["level"], rate["threshold"]
    told = {
        "bot": bot,
        "venues": [{**one, "source": sources.get(one["label"])} for one in view["venues"]],
        "rate_budget": {**rate, "used": round(level / most, 6) if most else None},
    }
    return _plain(told)


def limits(home: Home, bot: str, now_ns: int) -> dict[str, Any]:
    """Return each limit: the file's, in force, and how much of it is used where the page tells."""
    seen, page = page_of(home, bot, now_ns)
    config = _configured(seen)
    filed = {} if config is None else _section(config, "risk")
    in_force: dict[str, Any] = {}
    changed: dict[str, str] = {}
    if seen.running:
        told = send_command(
            run_dir_of(home, bot), Status(), surface="control", timeout_s=ASK_S
        )  # fmt: skip
        in_force, changed = told["limits"], told["changed"]
    used = _used(page)
    rows = []
    for key, text in filed.items():
        value = in_force.get(key, changed.get(f"risk.{key}", text))
        amount, unit = used.get(key, (None, None))
        rows.append(
            {
                "limit": f"risk.{key}", "file": text, "in_force": value,
                "used": amount, "unit": unit, "share": _share(key, amount, value),
            }
        )  # fmt: skip
    return _plain({"bot": bot, "running": seen.running, "limits": rows})


def _used(page: TelemetrySnapshot) -> dict[str, tuple[Decimal | int, str]]:
    """Return what is in use of the limits whose use is on the page, and its unit."""
    own = (*page.own_bids, *page.own_asks)
    open_ = sum((o.qty_lots - o.filled_lots) * o.price_ticks for o in own)
    largest = max((o.qty_lots - o.filled_lots for o in own), default=0)
    notional = max(((o.qty_lots - o.filled_lots) * o.price_ticks for o in own), default=0)
    return {
        "max_open_notional": (page.money(open_), page.quote),
        "max_order_notional": (page.money(notional), page.quote),
        "max_order_size": (page.qty(largest), page.base),
        "max_inventory": (abs(page.qty(page.q_lots)), page.base),
        "max_drawdown": (Decimal(page.drawdown_ppm) / 10_000, "%"),
        "max_drawdown_peak": (Decimal(page.drawdown_peak_ppm) / 10_000, "%"),
        "max_orders": (len(own), "orders"),
    }


def _share(key: str, amount: Decimal | int | None, limit: str | None) -> Decimal | None:
    """Return the share of a limit in use, of one."""
    if amount is None or not limit:
        return None
    text = str(limit).removesuffix("%")
    if not text.replace(".", "", 1).isdigit() or not Decimal(text):
        return None
    return round(Decimal(amount) / Decimal(text), 6)


def config(home: Home, bot: str, now_ns: int) -> dict[str, Any]:
    """Return the configuration in force by file key, without secrets."""
    run_dir = run_dir_of(home, bot)
    seen = look(run_dir, now_ns, FLEET)
    found = _configured(seen)
    if found is None:
        raise ControlError(
            f"{bot}: its configuration is of another build, or it never ran", code="no_config",
            hint="openmm check FILE tells a file's values",
        )  # fmt: skip
    values = resolved(found)
    changed: dict[str, str] = {}
    if seen.running:
        told = send_command(run_dir, Status(), surface="control", timeout_s=ASK_S)
        changed = told["changed"]
    return _plain(
        {"bot": bot, "session": seen.session.get("session"), "config": {**values, **changed},
         "changed": changed}
    )  # fmt: skip


def _configured(seen: BotState) -> BotConfig | None:
    """Return the configuration a session was started with; None if this build cannot read it."""
    told = seen.session.get("config")
    if not isinstance(told, dict):
        return None
    try:
        return restore(told)
    except ConfigError:
        return None


def _section(config: BotConfig, name: str) -> dict[str, str]:
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): text
        for key, text in resolved(config).items()
        if key.startswith(prefix)
    }
