"""`openmm check`: tell what is wrong with a bot's file, and what it would quote."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, Json, emit, pairs, table

if TYPE_CHECKING:
    from openmm.config import BotConfig
    from openmm.instrument import Instrument

EXAMPLE = "Example: openmm check bot.toml --offline --mid 66000"


def check(
    file: Annotated[Path, typer.Argument(help="The bot's file.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the file alone; ask no venue.")
    ] = False,
    mid: Annotated[
        str | None, typer.Option("--mid", help="Price for the preview of the ladder.")
    ] = None,
    json_: Json = False,
) -> int:
    """Check a file, with the venue's minimums, steps and fees unless --offline.

    Fees are the account's own when its keys are there, else the venue's list. Prints every resolved
    parameter and the ladder it would quote with inventory on target; a plug-in is loaded, and made
    with its params, but not asked.
    """
    from openmm.cli.spans import decimal
    from openmm.config import check_with_instrument, load
    from openmm.control.ladder import model, preview, resolved
    from openmm.control.market import ask_venue
    from openmm.errors import TransportError

    config = load(file)
    price = None if mid is None else decimal("--mid", mid)
    instrument: Instrument | None = None
    if not offline:
        try:
            instrument, seen = ask_venue(config)
        except TransportError as error:
            raise TransportError(
                f"{file} is good by itself, but the venue could not be asked; --offline leaves "
                f"that out: {error}",
                venue=error.venue, code=error.code, retryable=error.retryable,
            ) from error  # fmt: skip
        price = price or seen
        check_with_instrument(config, instrument, price)
    payload: dict[str, Any] = {
        "file": file,
        "ok": True,
        "asked_venue": not offline,
        "parameters": resolved(config),
        "instrument": None if instrument is None else _facts(instrument),
        "mid": price,
        "ladder": None if price is None else preview(config, instrument, price),
        "plugin": _plugin(config, instrument),
        "neighbours": _others(config),
        "model": {} if price is None else model(config, instrument, price),
    }
    emit(payload, json_, lambda: _text(payload, config))
    return EXIT_DONE


def _others(config: BotConfig) -> dict[str, Any]:
    """Return the live bots of this host that are on the market, and what is done about it."""
    from openmm.control.neighbours import on_market

    if config.bot.mode != "live":
        return {"on": False, "bots": [], "error": None}
    bots, why = on_market(config)
    return {"on": config.risk.neighbours == "refuse", "bots": bots, "error": why}


def _plugin(config: BotConfig, instrument: Instrument | None) -> dict[str, Any] | None:
    """Load the plug-in of a file, and make it where that can be done; None without one.

    Raises:
        ConfigError: it does not load, is no strategy, or refuses the params.
    """
    from openmm.config import PluginStrategy

    told = config.strategy
    if not isinstance(told, PluginStrategy):
        return None
    from openmm._fast.ports import Strategy
    from openmm.strategy import plugins

    found = plugins.look_at(told.name)
    compiled = found.compiled
    if instrument is not None or compiled is False:
        compiled = isinstance(plugins.make(told.name, told.params, instrument), Strategy)
    return {
        "name": found.name, "package": found.package, "value": found.value,
        "asked": None if compiled is None else "in C" if compiled else "in Python",
    }  # fmt: skip


def _facts(instrument: Instrument) -> dict[str, Any]:
    return {
        "name": instrument.name,
        "status": instrument.status,
        "tick_size": instrument.tick_size,
        "lot_size": instrument.lot_size,
        "qty_min": instrument.qty_min,
        "cost_min": instrument.cost_min,
        "maker_fee_ppm": instrument.maker_fee_ppm,
        "taker_fee_ppm": instrument.taker_fee_ppm,
    }


def _text(payload: dict[str, Any], config: BotConfig) -> str:
    parts = [f"{payload['file']}: good" + ("" if payload["asked_venue"] else " (venue not asked)")]
    parts.append(pairs(payload["parameters"]))
    if payload["instrument"] is not None:
        parts.append(pairs({k: _shown(v) for k, v in payload["instrument"].items()}))
    if payload["plugin"] is not None:
        parts.append(pairs({f"plugin.{k}": _shown(v) for k, v in payload["plugin"].items()}))
        parts.append("its ladder is its own code's: it cannot be previewed")
    if payload["model"]:
        # The paper's parameters and the plain ones, each from the other.
        parts.append(pairs({f"model.{k}": f"{v:f}" for k, v in payload["model"].items()}))
    others = payload["neighbours"]
    if others["bots"]:
        names = ", ".join(one["bot"] for one in others["bots"])
        what = "keeps clear of their prices" if others["on"] else "may trade with them: it is off"
        parts.append(f"{names} of this host quote {config.quoted.pair} there: this bot {what}")
    if others["error"]:
        parts.append(f"other bots of this host cannot be seen: {others['error']}")
    ladder = payload["ladder"]
    if ladder is not None:
        base, _, quote = config.quoted.pair.partition("/")
        rows: list[tuple[str, ...]] = [("", f"price {quote}", f"qty {base}", "from mid")]
        for name in ("asks", "bids"):
            levels = ladder[name][::-1] if name == "asks" else ladder[name]
            for level in levels:
                away = (level["price"] / payload["mid"] - 1) * 100
                rows.append((name[:3], f"{level['price']:f}", f"{level['qty']:f}", f"{away:+.4f}%"))
        parts.append(table(rows))
    return "\n\n".join(parts)


def _shown(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return "-" if value is None else str(value)
