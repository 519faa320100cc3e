"""What a file would quote, without a running bot: every value of it, and the ladder at a price."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel

from openmm._fast.units import UTICKS_PER_TICK
from openmm.config import BotConfig, Grid, Model, strategy_params
from openmm.config.change import text_of
from openmm.config.schema import key_of
from openmm.config.values import format_bytes, format_duration, format_ppm
from openmm.instrument import Instrument
from openmm.strategy import compiled

# What a model is shown with: some 50 % a year.
CALM_SIGMA_PPM = 100

Side = list[dict[str, Decimal]]


def resolved(config: BotConfig) -> dict[str, str]:
    """List every key with the value it has, defaults included, as the file would have it."""
    found: dict[str, str] = {}

    def walk(model: BaseModel, prefix: str) -> None:
        for field in type(model).model_fields:
            value, path = getattr(model, field), prefix + key_of(field)
            if isinstance(value, BaseModel):
                walk(value, f"{path}.")
            elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
                for item in value:
                    walk(item, f"{path}.{item.label}.")
            elif isinstance(value, tuple):
                found[path] = text_of(field, value) or "-"
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
) -> dict[str, Side] | None:
    """Return the ladder at a price with inventory on target and a calm market.

    With an instrument the kernel itself makes it; without one prices are not rounded to ticks.
    None for a strategy in Python, and for a model without an instrument or without an intensity
    in the file (`fit_decay`): the market makes its spread.
    """
    grid = config.strategy
    if isinstance(grid, Model):
        if instrument is None or grid.fit_decay is None:
            return None
        return _by_kernel(config, instrument, mid)
    if not isinstance(grid, Grid):
        return None
    if instrument is not None:
        return _by_kernel(config, instrument, mid)
    sides: dict[str, Side] = {"bids": [], "asks": []}
    offsets = grid.offsets_ppm(grid.level_step_ppm)
    for offset_ppm, amount in zip(offsets, grid.amounts, strict=True):
        away = Decimal(grid.spread_ppm) / 2 + offset_ppm
        for side, sign in (("bids", -1), ("asks", 1)):
            price = mid * (1_000_000 + sign * away) / 1_000_000
            sides[side].append({"price": price.normalize(), "qty": amount})
    return sides


def model(config: BotConfig, instrument: Instrument | None, mid: Decimal) -> dict[str, Decimal]:
    """Tell a model's parameters, the paper's and the plain ones, as they come out at a price.

    Of a market whose volatility is `CALM_SIGMA_PPM` a root second and whose intensity is the
    file's. Nothing of another strategy, without an instrument, or without an intensity in the file.
    """
    if not isinstance(config.strategy, Model) or instrument is None:
        return {}
    view = _view(config, instrument, mid)
    fields = strategy_params(config, instrument)
    _, solved = compiled.ladder(config.strategy.kind, view, fields, instrument)
    return compiled.model_numbers(solved, instrument, fields, view["reference_uticks"])


def _view(config: BotConfig, instrument: Instrument, mid: Decimal) -> dict[str, int]:
    mid_ticks = instrument.floor_ticks(mid)
    calm = isinstance(config.strategy, Model)  # a grid is shown unwidened
    return {
        "now_ns": 1,
        "reference_uticks": mid_ticks * UTICKS_PER_TICK,
        "confidence_ppm": 1_000_000,
        "best_bid_ticks": mid_ticks - 1,
        "best_ask_ticks": mid_ticks + 1,
        "own_bid_ticks": 0,
        "own_ask_ticks": 0,
        "sigma_uticks": mid_ticks * CALM_SIGMA_PPM if calm else 0,
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


def _by_kernel(config: BotConfig, instrument: Instrument, mid: Decimal) -> dict[str, Side]:
    view = _view(config, instrument, mid)
    fields = strategy_params(config, instrument)
    ladder, _ = compiled.ladder(config.strategy.kind, view, fields, instrument)
    return {
        side: [
            {"price": instrument.price(price), "qty": instrument.qty(qty)}
            for price, qty in ladder[side]
        ]
        for side in ("bids", "asks")
    }
