"""Tables of what the door tells: orders, fills, P&L by cause, incidents, one order's life. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from openmm.dashboard import words
from openmm.dashboard.patch import Cell, Sheet
from openmm.dashboard.shape import STAGES, gain

SEVERITIES: Final = {"critical": "bad", "error": "bad", "warning": "warn", "info": ""}
CAUSES: Final = {
    "spread": "spread earned", "adverse": "adverse selection", "drift": "price drift",
    "unsplit": "not split", "fees": "fees", "costs": "costs", "net": "net",
}  # fmt: skip


def owners(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return who placed each live order, by its client id."""
    return {str(one.get("client_id")): str(one.get("by")) for one in answer.get("orders", ())}


def fills(sheet: Sheet, answer: Mapping[str, Any]) -> None:
    """Show fills, newest first, with what each cost and how far from the reference it was."""
    sheet.rows.setdefault("fills", [])
    for one in answer.get("fills", ()):
        side = str(one.get("side", ""))
        fees = " ".join(
            f"{words.number(amount, 8).rstrip('0').rstrip('.')} {asset}"
            for asset, amount in (one.get("fees") or {}).items()
        )
        realised = one.get("realised")
        decimals = words.money_decimals(str(one.get("quote", "")))
        sheet.row("fills", [
            [words.clock(one.get("ts_ns")), "", {"title": words.moment(one.get("ts_ns"))}],
            [side, side], [words.number(one.get("price")), side], words.number(one.get("qty")),
            words.number(one.get("notional"), decimals),
            [edge(side, one.get("price"), one.get("reference")), ""],
            [fees or "0", "dim"],
            [words.signed(realised, decimals), "" if realised is None else gain(Decimal(realised))],
            ["maker" if one.get("maker") else "taker", "dim" if one.get("maker") else "warn"],
            [str(one.get("client_id", "")), "code"],
        ], ident=str(one.get("client_id") or one.get("venue_order_id") or ""))  # fmt: skip
    sheet.put("fills_count", words.number(answer.get("count", 0)))


def edge(side: str, price: Any, reference: Any) -> str:
    """Write how much better than the reference a fill was, in hundredths of a per cent."""
    if price is None or reference is None or not Decimal(reference):
        return words.NONE
    away = (Decimal(reference) - Decimal(price)) / Decimal(reference) * 10_000
    return f"{words.signed(away if side == 'buy' else -away, 2)} bps"


def causes(sheet: Sheet, answer: Mapping[str, Any]) -> None:
    """Show P&L by cause of the last hours, as booked, a bar for each cause."""
    sheet.rows.setdefault("causes", [])
    window = answer.get("window") or {}
    for asset, part in (window.get("by_asset") or {}).items():
        decimals = words.money_decimals(asset)
        values = {
            name: Decimal(str(part.get(name, 0))) * (-1 if name in ("fees", "costs") else 1)
            for name in CAUSES
        }
        largest = max(map(abs, values.values())) or Decimal(1)
        for name, label in CAUSES.items():
            value = values[name]
            if name in ("unsplit", "costs") and not value:
                continue
            half = float(value / largest) * 50
            sheet.row("causes", [
                label,
                ["", gain(value), {"span": [50 + min(0.0, half), 50 + max(0.0, half)]}],
                [words.signed(value, decimals), gain(value)],
            ], "strong" if name == "net" else "")  # fmt: skip
        sheet.put("causes_of", f"{asset}, last {window.get('hours', '')} h, "
                  f"{words.number(part.get('fills', 0))} fills")  # fmt: skip


def incidents(sheet: Sheet, answer: Mapping[str, Any]) -> None:
    """Show what went wrong, open ones first."""
    sheet.rows.setdefault("incidents", [])
    for one in answer.get("open", ()):
        sheet.row("incidents", [
            words.moment(one.get("ts_ns") or one.get("opened_ns")), ["open", "bad"],
            [str(one.get("kind", "")), "bad"],
            [str(one.get("text") or one.get("cause") or ""), "text"],
            _amount(one),
        ], "bad")  # fmt: skip
    for one in answer.get("events", ()):
        tone = SEVERITIES.get(str(one.get("severity", "")), "warn")
        sheet.row("incidents", [
            words.moment(one.get("ts_ns")), [str(one.get("severity", "")), tone],
            words.phrase(one.get("kind")), [str(one.get("text", "")), "text"], _amount(one),
        ])  # fmt: skip
    sheet.put("incidents_open", str(len(answer.get("open", ()))),
              "bad" if answer.get("open") else "")  # fmt: skip


def _amount(one: Mapping[str, Any]) -> str:
    amount = one.get("amount")
    return f"{amount} {one.get('asset') or ''}".strip() if amount not in (None, "") else ""


def audit(
    sheet: Sheet, answer: Mapping[str, Any], table: str, bot: str = "", most: int = 100
) -> None:
    """Show who asked for what; what only reads is left out.

    Args:
        bot: of this bot only; empty: of all, and which it was.
    """
    sheet.rows[table] = []
    for one in answer.get("records", ()):
        if one.get("scope") == "read" or (bot and one.get("bot") != bot):
            continue
        if len(sheet.rows[table]) >= most:
            break
        who = one.get("caller") or {}
        verdict = str(one.get("verdict", ""))
        asked = ", ".join(_asked(one.get("args") or {}))
        of = [] if bot else [str(one.get("bot", ""))]
        when = one.get("ts_ns")
        sheet.row(table, [
            words.moment(when) if when else str(one.get("ts", "")),
            f"{who.get('client', '?')} · {who.get('surface', '?')}", *of,
            str(one.get("action", "")) + (" (preview)" if one.get("preview") else ""),
            [asked, "text"], [verdict, "text" if verdict == "done" else "text bad"],
        ])  # fmt: skip


def _asked(args: Mapping[str, Any]) -> list[str]:
    """Write the arguments of a call, those of a change as its keys."""
    found = []
    for name, value in args.items():
        if isinstance(value, Mapping):
            found += _asked(value)
        elif name != "bot" and value not in (None, ""):
            found.append(f"{name} {value}")
    return found


def life(answer: Mapping[str, Any]) -> list[list[Cell]]:
    """Return an order's transitions with the evidence of each."""
    return [
        [
            words.moment(one.get("ts_ns")), words.phrase(one.get("event")),
            f"{words.phrase(one.get('from'))} → {words.phrase(one.get('to'))}",
            f"{words.number(one['qty'])} @ {words.number(one['price'])}" if one.get("qty") else "",
            str(one.get("evidence") or ""),
        ]
        for one in answer.get("transitions", ())
    ]  # fmt: skip


def reasons(answer: Mapping[str, Any]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return what explains an order: moment, what was done and why, its terms by name."""
    found = []
    for one in answer.get("events", ()):
        title = " · ".join(
            words.phrase(one[key]) if key == "what" else str(one[key])
            for key in ("what", "why", "text", "evidence") if one.get(key)
        )  # fmt: skip
        terms: list[tuple[str, str]] = []
        for key, value in one.items():
            if key in ("ts", "ts_ns", "what", "why", "text", "evidence", "record_index"):
                continue
            terms += _terms(key, value)
        found.append((words.moment(one.get("ts_ns")), title, terms))
    return found


def _terms(key: str, value: Any) -> list[tuple[str, str]]:
    if value in (None, "", [], {}):
        return []
    if isinstance(value, Mapping):
        return [pair for inner, told in value.items() for pair in _terms(inner, told)]
    if key in ("bids", "asks"):
        return [
            (f"{key[:-1]} {index}", f"{words.number(qty)} @ {words.number(price)}")
            for index, (price, qty) in enumerate(value)
        ]
    if isinstance(value, list | tuple):
        return [(words.phrase(key), ", ".join(str(one) for one in value))]
    if key in STAGES or key.endswith("_ns"):
        return [(STAGES.get(key, words.phrase(key.removesuffix("_ns"))), words.latency(int(value)))]
    return [(words.phrase(key), str(value))]
