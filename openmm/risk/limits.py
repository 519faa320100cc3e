"""The limits of a bot's file as the integers of `openmm._fast.checks`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError

from openmm.config.check import taker_fee_ppm
from openmm.config.schema import BotConfig, Risk, key_of
from openmm.config.values import PPM, format_duration, format_ppm
from openmm.errors import ConfigError, RiskError
from openmm.instrument import Instrument
from openmm.risk.brakes import BrakeLimits
from openmm.risk.monitor import MonitorLimits

# What a running bot takes closer limits for: fields of `Risk`. Of the first lower is tighter.
UPPER: Final = (
    "max_order_size", "max_order_notional", "max_open_notional", "max_inventory",
    "max_drawdown_ppm", "max_drawdown_peak_ppm", "price_collar_ppm", "max_orders",
    "max_message_age_ns", "max_clock_offset_ns", "max_slippage_ppm", "fills_per_minute",
    "rejects_per_minute", "post_only_per_minute", "cancels_per_minute",
)  # fmt: skip
LOWER: Final = ("min_order_size", "base_reserve", "quote_reserve")
TIGHTENED: Final = {key_of(field): field for field in (*UPPER, *LOWER)}


def limits(config: BotConfig, instrument: Instrument) -> dict[str, int]:
    """Return the fields of `checks.Limits`; upper limits round down, reserves round up.

    Raises:
        ConfigError: the taker fee is unknown.
    """
    risk = config.risk
    fee_ppm = taker_fee_ppm(config, instrument)
    if fee_ppm is None:
        raise ConfigError("venue.taker_fee", "nothing", "a fee: the venue does not tell it here")
    order_notional = risk.max_order_notional
    return {
        "order_lots_max": instrument.floor_lots(risk.max_order_size),
        "order_lots_min": max(instrument.qty_lots_min, _ceil_lots(instrument, risk.min_order_size)),
        "order_ticklots_max": _floor_ticklots(
            instrument,
            risk.max_open_notional if order_notional is None else order_notional,
        ),
        "open_ticklots_max": _floor_ticklots(instrument, risk.max_open_notional),
        "inventory_lots_max": instrument.floor_lots(risk.max_inventory),
        "collar_ppm": risk.price_collar_ppm,
        "order_count_max": config.max_orders,
        "message_age_ns_max": risk.max_message_age_ns,
        "clock_offset_ns_max": risk.max_clock_offset_ns,
        "base_reserve_lots": _ceil_lots(instrument, risk.base_reserve),
        "quote_reserve_ticklots": -_floor_ticklots(instrument, -risk.quote_reserve),
        "fills_per_minute_max": risk.fills_per_minute,
        "fee_ppm": fee_ppm,
    }


def monitor_limits(config: BotConfig, instrument: Instrument) -> MonitorLimits:
    """Return what the monitor watches."""
    risk = config.risk
    return MonitorLimits(
        drawdown_ppm_max=risk.max_drawdown_ppm,
        drawdown_peak_ppm_max=risk.max_drawdown_peak_ppm,
        inventory_lots_max=instrument.floor_lots(risk.max_inventory),
        cooldown_ns=risk.cooldown_ns,
        slippage_ppm_max=risk.max_slippage_ppm,
        brakes=BrakeLimits(
            fills_max=risk.fills_per_minute,
            rejects_max=risk.rejects_per_minute,
            post_only_max=risk.post_only_per_minute,
            cancels_max=risk.cancels_per_minute,
            hold_ns=risk.brake_ns,
        ),
    )


def tightened(file: BotConfig, in_force: BotConfig, changes: Mapping[str, str]) -> BotConfig:
    """Return the configuration in force after a change of limits, by their keys in the file.

    Raises:
        RiskError: no change, an unknown limit, a value that is none, or one looser than the file's.
    """
    if not changes:
        raise RiskError(f"no limit given; known are {', '.join(TIGHTENED)}", code="bad_limit")
    update: dict[str, Any] = {}
    for key, text in changes.items():
        field = TIGHTENED.get(key)
        if field is None:
            raise RiskError(
                f"known limits are {', '.join(TIGHTENED)}; got {key!r}", code="bad_limit"
            )
        value = _value(field, key, text)
        bound = _in_effect(file, field)
        looser = bound is not None and (value > bound if field in UPPER else value < bound)
        if looser:
            side = "at most" if field in UPPER else "at least"
            raise RiskError(
                f"risk.{key}: never looser than the file: {side} {_shown(field, bound)}; "
                f"got {text!r}", code="looser",
            )  # fmt: skip
        update[field] = value
    return in_force.model_copy(update={"risk": in_force.risk.model_copy(update=update)})


def shown(config: BotConfig) -> dict[str, str | None]:
    """Return the limits that can be tightened as the file would have them; None: not set."""
    return {key: _shown(field, _in_effect(config, field)) for key, field in TIGHTENED.items()}


def _value(field: str, key: str, text: str) -> Any:
    info = Risk.model_fields[field]
    value: object = int(text) if info.annotation in (int, int | None) and text.isdigit() else text
    kind: Any = info.annotation
    if info.metadata:
        kind = Annotated[kind, *info.metadata]
    try:
        made = TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RiskError(f"risk.{key}: {why}; got {text!r}", code="bad_limit") from None
    if made is None:
        raise RiskError(f"risk.{key}: a value; got {text!r}", code="bad_limit")
    return made


def _in_effect(config: BotConfig, field: str) -> Any:
    """Return a limit as it works: one left out of the file follows from others."""
    value = getattr(config.risk, field)
    if value is None and field == "max_orders":
        return config.max_orders
    if value is None and field == "max_order_notional":
        return config.risk.max_open_notional
    return value


def _shown(field: str, value: Any) -> str | None:
    if value is None:
        return None
    if field.endswith("_ppm"):
        return format_ppm(value)
    return format_duration(value) if field.endswith("_ns") else str(value)


def _ceil_lots(instrument: Instrument, qty: Decimal) -> int:
    return -instrument.floor_lots(-qty)


def _floor_ticklots(instrument: Instrument, amount: Decimal) -> int:
    unit = instrument.tick_size * instrument.lot_size
    return int((amount / unit).to_integral_value(ROUND_FLOOR))


def rate_reserve_milli(config: BotConfig, threshold_milli: int) -> int:
    """Return the part of a venue's rate threshold that only cancels may use, rounded up."""
    return -(-threshold_milli * config.risk.rate_reserve_ppm // PPM)


def drawdown_ticklots(limit_ppm: int, equity_ticklots: int) -> int:
    """Return the loss of equity at which a drawdown limit is reached, rounded down."""
    return equity_ticklots * limit_ppm // PPM
