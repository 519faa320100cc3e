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
    parameter and the ladder it would quote with inventory on target.
    """
    from openmm.cli.spans import decimal
    from openmm.config import check_with_instrument, load
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
    }
    emit(payload, json_, lambda: _text(payload, config))
    return EXIT_DONE


def ask_venue(config: BotConfig) -> tuple[Instrument, Decimal]:
    """Return what the venue says of the traded pair, and its price now."""
    import asyncio

    from msgspec.structs import replace

    from openmm.config.secrets import has_keys, load_keys
    from openmm.errors import ConfigError
    from openmm.venues import registry

    venue = config.quoted
    keys = load_keys(venue.label) if has_keys(venue.label) else None

    async def ask() -> tuple[Instrument, Decimal]:
        rest = registry.connector(venue, keys).rest()
        try:
            found = await rest.instruments([venue.pair])
            if venue.pair not in found:
                raise ConfigError(f"venue.{venue.label}", venue.pair, f"a pair of {venue.name}")
            instrument = found[venue.pair]
            if keys is not None:
                fees = await rest.fees(instrument)
                instrument = replace(
                    instrument, maker_fee_ppm=fees.maker_ppm, taker_fee_ppm=fees.taker_ppm
                )
            return instrument, await rest.mid(instrument)
        finally:
            await rest.close()

    return asyncio.run(ask())


def resolved(config: BotConfig) -> dict[str, str]:
    """List every key with the value it has, defaults included, as the file would have it."""
    from pydantic import BaseModel

    from openmm.config.schema import key_of
    from openmm.config.values import format_bytes, format_duration, format_ppm

    found: dict[str, str] = {}

    def walk(model: BaseModel, prefix: str) -> None:
        for field in type(model).model_fields:
            value, path = getattr(model, field), prefix + key_of(field)
            if isinstance(value, BaseModel):
                walk(value, f"{path}.")
            elif isinstance(value, tuple):
                for item in value:
                    walk(item, f"{path}.{item.label}.")
            elif value is None:
                found[path] = "-"
            elif field.endswith("_ppm"):
                found[path] = format_ppm(value)
            elif field.endswith("_ns"):
                found[path] = format_duration(value)
            elif field.endswith("_bytes"):
                found[path] = format_bytes(value)
            elif field in ("webhook", "store"):
                found[path] = "set"
            elif isinstance(value, bool):
                found[path] = str(value).lower()
            else:
                found[path] = str(value)

    walk(config, "")
    found["risk.max_orders"] = str(config.max_orders)
    found["strategy.inventory_scale"] = str(config.inventory_scale)
    dead_man_ns = config.dead_man_ns
    watchdog_ns = config.watchdog_ns
    found["risk.watchdog_timeout"] = "off" if watchdog_ns is None else format_duration(watchdog_ns)
    found["risk.dead_man_timeout"] = "off" if dead_man_ns is None else format_duration(dead_man_ns)
    return found


def preview(
    config: BotConfig, instrument: Instrument | None, mid: Decimal
) -> dict[str, list[dict[str, Decimal]]] | None:
    """Return the ladder at a price with inventory on target and a calm market.

    With an instrument the kernel itself makes it; without one prices are not rounded to ticks.
    None for a strategy that is no grid.
    """
    from openmm.config import Grid

    grid = config.strategy
    if not isinstance(grid, Grid):
        return None
    if instrument is not None:
        return _by_kernel(config, instrument, mid)
    sides: dict[str, list[dict[str, Decimal]]] = {"bids": [], "asks": []}
    for index in range(grid.num_orders):
        away = Decimal(grid.spread_ppm) / 2 + index * grid.level_step_ppm
        for side, sign in (("bids", -1), ("asks", 1)):
            price = mid * (1_000_000 + sign * away) / 1_000_000
            sides[side].append({"price": price.normalize(), "qty": grid.order_amount})
    return sides


def _by_kernel(
    config: BotConfig, instrument: Instrument, mid: Decimal
) -> dict[str, list[dict[str, Decimal]]]:
    from openmm._fast.quotes import grid_ladder
    from openmm._fast.units import UTICKS_PER_TICK
    from openmm.config import grid_params

    mid_ticks = instrument.floor_ticks(mid)
    view = {
        "now_ns": 1,
        "reference_uticks": mid_ticks * UTICKS_PER_TICK,
        "confidence_ppm": 1_000_000,
        "best_bid_ticks": mid_ticks - 1,
        "best_ask_ticks": mid_ticks + 1,
        "own_bid_ticks": 0,
        "own_ask_ticks": 0,
        "sigma_uticks": 0,
        "depth_lots": 1,
        "depth_mean_lots": 1,
        "spread_mean_uticks": 2_000_000,
        "flow_ppm": 0,
        "x_ppm": 0,
        "share_ppm": config.strategy.target_base_ppm,
        "target_ppm": config.strategy.target_base_ppm,
        "base_lots": 1 << 50,
        "quote_lots_max": 1 << 50,
        "allow_bid": 1,
        "allow_ask": 1,
        "warm": 1,
    }
    _, _, ladder = grid_ladder(view, grid_params(config, instrument), instrument)
    return {
        side: [
            {"price": instrument.price(price), "qty": instrument.qty(qty)}
            for price, qty in ladder[side]
        ]
        for side in ("bids", "asks")
    }


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
