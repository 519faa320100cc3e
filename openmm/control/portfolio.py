"""All bots together. Amounts are added within one currency alone; others stand beside them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from openmm.control.home import Home
from openmm.control.looks import FLEET, bots
from openmm.control.plain import iso, plain
from openmm.control.records import pnl
from openmm.control.views import look
from openmm.errors import LedgerError, OpenMMError

MONEY: Final = ("realised", "unrealised", "fees", "net", "equity", "equity_start")
WINDOW: Final = ("spread", "adverse", "drift", "unsplit", "total", "fees", "costs", "net")


def portfolio(home: Home, now_ns: int, hours: str = "24") -> dict[str, Any]:
    """Return equity, P&L and holdings over all bots in sight, by currency.

    `by_currency` is of the sessions that run now or ran last, as their pages have it; paper and
    live apart. `window` is P&L by cause of the last hours as booked, likewise. `rates`: the
    references that bots see now, to convert by if one currency is wanted; nothing is converted
    here. Bots on one account each report that account's holdings: `shared` names them, and only
    the first one's equity and holdings count.
    """
    rows = bots(home, now_ns)["bots"]
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    held: dict[tuple[str, str], dict[str, Any]] = {}
    rates: list[dict[str, Any]] = []
    seen: dict[tuple[str, ...], str] = {}
    shared: list[str] = []
    for row in rows:
        if "pnl" not in row:
            continue
        mode, asset = str(row["mode"]), row["pnl"]["asset"]
        account = (mode, str(row.get("venue")), *_endpoints(home, row["bot"], now_ns))
        first = seen.setdefault(account, row["bot"]) if mode == "live" else row["bot"]
        counts = first == row["bot"]
        if not counts:
            shared.append(f"{row['bot']} is on the account of {first}")
        one = sums.setdefault(
            (mode, asset), {"bots": [], **dict.fromkeys(MONEY, Decimal(0)), "fills": 0}
        )
        one["bots"].append(row["bot"])
        one["fills"] += row["fills"]
        for name in MONEY:
            if counts or not name.startswith("equity"):
                one[name] += Decimal(row["pnl"][name])
        inventory = row["inventory"]
        for side in ("base", "quote"):
            if counts and inventory[side] is not None:
                name = inventory[f"{side}_asset"]
                total = held.setdefault((mode, name), {"total": Decimal(0), "bots": []})
                total["total"] += Decimal(inventory[side])
                total["bots"].append(row["bot"])
        if row["reference"] is not None:
            rates.append(
                {"pair": row["instrument"], "rate": row["reference"], "by": row["bot"]}
            )  # fmt: skip
    window, missing = _window(home, [row["bot"] for row in rows], now_ns, hours)
    found = plain(
        {
            "ts": iso(now_ns), "bots": rows,
            "by_currency": [
                {"mode": mode, "currency": asset, **one} for (mode, asset), one in sums.items()
            ],
            "holdings": [
                {"mode": mode, "asset": asset, **one} for (mode, asset), one in held.items()
            ],
            "window": {"hours": hours, "by_currency": window, "missing": missing},
            "rates": rates, "shared": shared,
        }
    )  # fmt: skip
    assert isinstance(found, dict)
    return found


def _endpoints(home: Home, bot: str, now_ns: int) -> tuple[str, ...]:
    """Return what tells accounts apart beside the venue's label: the addresses it is reached at."""
    for one in home.bots():
        if one.bot == bot:
            config = look(one, now_ns, FLEET).session.get("config")
            venues = config.get("venue", []) if isinstance(config, dict) else []
            for venue in venues:
                if venue.get("quote"):
                    return (str((venue.get("endpoints") or {}).get("rest") or ""),)
    return ("",)


def _window(
    home: Home, names: list[str], now_ns: int, hours: str
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Return P&L by cause of the last hours by mode and currency, and the bots it is missing of."""
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    missing: list[dict[str, str]] = []
    for name in names:
        try:
            told = pnl(home, name, now_ns, hours)
        except OpenMMError as error:
            # One ledger that cannot be read hides no other; that it is missing is told.
            code = error.code if isinstance(error, LedgerError) else type(error).__name__
            missing.append({"bot": name, "code": code, "why": str(error)})
            continue
        for asset, part in told["window"]["by_asset"].items():
            key = (told["session"]["mode"], asset)
            one = sums.setdefault(
                key, {"bots": [], "fills": 0, **dict.fromkeys(WINDOW, Decimal(0))}
            )
            one["bots"].append(name)
            one["fills"] += part["fills"]
            for cause in WINDOW:
                one[cause] += Decimal(part[cause])
    return [
        {"mode": mode, "currency": asset, **one} for (mode, asset), one in sums.items()
    ], missing
