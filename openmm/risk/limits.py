"""The limits of a bot's file as the integers of `openmm._fast.checks`."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from openmm.config.check import taker_fee_ppm
from openmm.config.schema import BotConfig
from openmm.config.values import PPM
from openmm.errors import ConfigError
from openmm.instrument import Instrument


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
