"""Turn a configuration into the integers of the compiled kernels, for one instrument.

The keys of each mapping are the fields of the struct of the same name in `openmm/_fast`.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any

from openmm._fast.leans import LEAN_FIELDS
from openmm._fast.queue import QueueModel
from openmm._fast.signals import Fair, Want
from openmm._fast.units import UTICKS_PER_TICK
from openmm.config.check import maker_fee_ppm, taker_fee_ppm
from openmm.config.schema import (
    Avellaneda,
    BotConfig,
    Glft,
    Grid,
    Ladder,
    Model,
    Signal,
    Venue,
)
from openmm.config.values import PPM
from openmm.errors import ConfigError
from openmm.instrument import TICKS_MAX, Instrument

QUEUE_MODELS = {
    "cautious": QueueModel.QUEUE_CAUTIOUS,
    "power": QueueModel.QUEUE_POWER,
    "log": QueueModel.QUEUE_LOG,
}
# Distances of the planner's are below this.
QUEUE_TICKS_MAX = (1 << 30) - 1


RISK_UTICKS_MAX = 10**18  # of strategy.model_parameters


def shape_params(strategy: Ladder, instrument: Instrument, step_ppm: int) -> dict[str, Any]:
    """Return the fields of `shape.ShapeParams`, as `shape.SHAPE_FIELDS` names them.

    Args:
        step_ppm: from the first level to the second, of price.

    Raises:
        ConfigError: an amount that is no whole number of lots.
    """
    lots = []
    for amount in strategy.amounts:
        # A pyramid's steps fall where they fall: to the lot below.
        if strategy.sizes == "custom":
            lots.append(_exact_lots("level_amounts", amount, instrument))
        else:
            lots.append(instrument.floor_lots(amount))
    floor, ceiling = strategy.price_floor, strategy.price_ceiling
    return {
        "order_lots": _exact_lots("order_amount", strategy.order_amount, instrument),
        "num_orders": strategy.num_orders,
        "level_step_ppm": step_ppm,
        "rebalance_threshold_ppm": strategy.rebalance_threshold_ppm,
        "rebalance_exit_ppm": strategy.rebalance_exit_ppm,
        "size_skew_ppm": strategy.size_skew_ppm,
        "floor_ticks": 0 if floor is None else instrument.ceil_ticks(floor),
        "ceiling_ticks": TICKS_MAX if ceiling is None else instrument.floor_ticks(ceiling),
        "level_offsets_ppm": () if strategy.spacing == "linear" else strategy.offsets_ppm(step_ppm),
        "level_lots": () if strategy.sizes == "flat" else tuple(lots),
    }


def _exact_lots(key: str, amount: Decimal, instrument: Instrument) -> int:
    try:
        return instrument.exact_lots(amount)
    except ValueError as error:
        raise ConfigError(f"strategy.{key}", str(amount), str(error)) from None


def grid_params(config: BotConfig, instrument: Instrument) -> dict[str, Any]:
    """Return the fields of `parameters.GridParameters`.

    Raises:
        ConfigError: the strategy is no grid, the amount is no whole number of lots, or the
            maker fee is unknown.
    """
    grid = config.strategy
    if not isinstance(grid, Grid):
        raise ConfigError("strategy.kind", grid.kind, 'a "grid"')
    fee_ppm = maker_fee_ppm(config, instrument)
    if fee_ppm is None:
        raise ConfigError("venue.maker_fee", "nothing", "a fee: the venue does not tell it here")
    return {
        **shape_params(grid, instrument, grid.level_step_ppm),
        "spread_ppm": grid.spread_ppm,
        "skew_full_ppm": grid.skew_full_ppm,
        "flow_full_ppm": grid.flow_full_ppm,
        **lean_params(grid),
        "vol_ppm": grid.vol_ppm,
        "rest_ns": grid.quote_rest_ns,
        "depth_ppm": grid.depth_factor_ppm,
        "inventory_widen_ppm": grid.inventory_widen_ppm,
        "fee_floor_ppm": fee_ppm + grid.min_edge_ppm - grid.fee_budget_ppm,
        "half_min_ppm": grid.spread_min_ppm // 2,
        "half_max_ppm": grid.spread_max_ppm // 2,
        "schedule": tuple(tuple(map(int, window)) for window in grid.schedule),
        "narrow_ppm": grid.narrow_rate_ppm,
        "refill_ns": grid.refill_delay_ns,
        "ping_pong": int(grid.ping_pong),
        "hanging": int(grid.hanging),
        "hanging_ns_max": grid.hanging_age_max_ns,
        "hanging_distance_ppm": grid.hanging_distance_max_ppm,
    }


def lean_params(strategy: Ladder) -> dict[str, int]:
    """Return the fields of `leans.LeanParams` but for that of the trade flow."""
    return {
        "micro_weight_ppm": strategy.micro_weight_ppm,
        "micro_cap_ppm": strategy.micro_cap_ppm,
        "imbalance_full_ppm": strategy.imbalance_full_ppm,
        "ofi_full_ppm": strategy.ofi_full_ppm,
        "compression_full_ppm": strategy.compression_full_ppm,
    }


NO_LEANS = {name: 0 for name in LEAN_FIELDS if name != "flow_full_ppm"}


def wanted_signals(config: BotConfig) -> int:
    """Return the `signals.Want` bits of what is computed: what a weight follows, or all of it.

    A strategy that is no ladder of ours sees every signal: what it reads is its own business.
    """
    strategy = config.strategy
    every = Want.WANT_MICRO | Want.WANT_IMBALANCE | Want.WANT_OFI
    if config.signal.watch or not isinstance(strategy, Ladder):
        return int(every)
    told = (
        (strategy.micro_weight_ppm, Want.WANT_MICRO),
        (strategy.imbalance_full_ppm, Want.WANT_IMBALANCE),
        (strategy.ofi_full_ppm, Want.WANT_OFI),
    )
    return sum(int(bit) for weight, bit in told if weight)


def model_params(
    config: BotConfig, instrument: Instrument, scale_lots: int | None = None
) -> dict[str, Any]:
    """Return the fields of `model_parameters.GlftParameters` or `AvellanedaParameters`.

    Args:
        scale_lots: the inventory at which the shift is full; None: the configuration's.

    Raises:
        ConfigError: the strategy is no model, the amount is no whole number of lots, a risk
            aversion beyond what the kernel takes, or the maker fee is unknown.
    """
    model = config.strategy
    if not isinstance(model, Glft | Avellaneda):
        raise ConfigError("strategy.kind", model.kind, 'a "glft" or an "avellaneda"')
    fee_ppm = maker_fee_ppm(config, instrument)
    if fee_ppm is None:
        raise ConfigError("venue.maker_fee", "nothing", "a fee: the venue does not tell it here")
    told: dict[str, Any] = {
        **shape_params(model, instrument, model.level_step_ppm),
        **lean_params(model),
        "flow_full_ppm": model.flow_full_ppm,
        "risk_uticks": _risk_uticks(model, instrument),
        "skew_full_ppm": model.skew_full_ppm or 0,
        "scale_lots": scale_lots or inventory_params(config, instrument)["scale_lots"],
        "half_factor_ppm": max(1, int(model.half_factor * PPM)),
        "skew_factor_ppm": int(model.skew_factor * PPM),
        "prior_decay_ppm": 0,
        "prior_decay_uticks": 0,
        "fee_floor_ppm": fee_ppm + model.min_edge_ppm - model.fee_budget_ppm,
        "half_min_ppm": model.spread_min_ppm // 2,
        "half_max_ppm": model.spread_max_ppm // 2,
    }
    if model.fit_decay is not None:
        told["prior_decay_ppm"] = model.fit_decay.ppm or 0
        told["prior_decay_uticks"] = (model.fit_decay.ticks or 0) * UTICKS_PER_TICK
    if isinstance(model, Glft):
        told["xi_ppm"] = model.xi_ppm
        told["prior_arrival_uhz"] = int(model.fit_arrival * 1_000_000)
    else:
        told["horizon_ns"] = model.horizon_ns
        told["repeating"] = int(model.horizon_mode == "repeating")
    return told


def _risk_uticks(model: Model, instrument: Instrument) -> int:
    """Return 1 / (gamma * order size) as a distance; 0: the shift is told instead."""
    if model.gamma is None:
        return 0
    price = Fraction(instrument.tick_size) / UTICKS_PER_TICK
    risk = round(1 / (Fraction(model.gamma) * Fraction(model.order_amount) * price))
    if not 1 <= risk <= RISK_UTICKS_MAX:
        least, most = gamma_of(RISK_UTICKS_MAX, model, instrument), gamma_of(1, model, instrument)
        allowed = f"from {least:.3g} to {most:.3g} for orders of {model.order_amount}"
        raise ConfigError("strategy.gamma", str(model.gamma), allowed)
    return risk


def gamma_of(risk_uticks: int, model: Model, instrument: Instrument) -> Decimal:
    """Return the risk aversion, per unit of quote currency, that the kernel has as a distance."""
    price = instrument.tick_size / UTICKS_PER_TICK
    return 1 / (max(1, risk_uticks) * model.order_amount * price)


def strategy_params(
    config: BotConfig, instrument: Instrument, scale_lots: int | None = None
) -> dict[str, Any]:
    """Return the fields of a compiled strategy's parameters: `grid_params` or `model_params`."""
    if isinstance(config.strategy, Grid):
        return grid_params(config, instrument)
    return model_params(config, instrument, scale_lots)


def planner_params(config: BotConfig, price_ticks: int) -> dict[str, int]:
    """Return the settings of `planner.Planner` and its queue at a price, and what goes with them.

    That is the pipeline's `requote_uticks` and leans, and what is `wanted` of the traded book's
    signals.
    """
    strategy = config.strategy
    return {
        "tolerance_ticks": strategy.tolerance.to_ticks(price_ticks),
        "requote_uticks": strategy.requote_threshold.to_uticks(price_ticks * UTICKS_PER_TICK),
        "qty_tolerance_ppm": strategy.qty_tolerance_ppm,
        "order_age_ns_max": strategy.order_age_max_ns,
        "queue_value_ticks": min(QUEUE_TICKS_MAX, strategy.queue_value.to_ticks(price_ticks)),
        "queue_model": int(QUEUE_MODELS[strategy.queue_model]),
        "queue_power": strategy.queue_power,
        "wanted": wanted_signals(config),
        **(lean_params(strategy) if isinstance(strategy, Ladder) else NO_LEANS),
    }


def rebalance_params(config: BotConfig, instrument: Instrument) -> dict[str, int]:
    """Return the terms of `engine.rebalance`: when inventory is brought back by taking."""
    strategy, fee_ppm = config.strategy, taker_fee_ppm(config, instrument)
    if not isinstance(strategy, Ladder) or fee_ppm is None:
        return {}
    return {
        "rebalance_take": int(strategy.rebalance == "take"),
        "rebalance_threshold_ppm": strategy.rebalance_threshold_ppm,
        "rebalance_exit_ppm": strategy.rebalance_exit_ppm,
        "rebalance_slippage_ppm": strategy.rebalance_slippage_ppm,
        "rebalance_cost_ppm_max": strategy.rebalance_cost_max_ppm,
        "rebalance_wait_ns": strategy.rebalance_wait_ns,
        "taker_fee_ppm": fee_ppm,
    }


def signal_params(
    config: BotConfig, price_ticks: int, tick_ratio: Fraction = Fraction(1)
) -> dict[str, int]:
    """Return the fields of `signals.SignalParams` at a price.

    Args:
        price_ticks: in the ticks of the book they are for.
        tick_ratio: that book's tick over the quoted one's: the file's ticks are those.
    """
    signal = config.signal
    depth = signal.depth_distance
    return {
        "sample_ns": signal.sample_ns,
        "vol_fast_ns": signal.vol_fast_ns,
        "vol_slow_ns": signal.vol_slow_ns,
        "flow_ns": signal.flow_ns,
        "ofi_ns": signal.ofi_ns,
        "depth_ns": signal.depth_ns,
        "depth_distance_ticks": max(1, int((depth.ticks or 0) / tick_ratio)),
        "depth_distance_ppm": depth.ppm or 0,
        "jump_sigma_ppm": int(signal.jump_sigma * PPM),
        "sigma_floor_uticks": signal.sigma_floor.to_uticks(price_ticks * UTICKS_PER_TICK),
    }


FAIR = {"micro": Fair.FAIR_MICRO, "depth": Fair.FAIR_DEPTH, "vamp": Fair.FAIR_VAMP}
TICKLOTS_MAX = (1 << 62) - 1


def fair_params(config: BotConfig, instrument: Instrument, price_ticks: int) -> dict[str, int]:
    """Return the fields of `signals.SignalParams` that say which fair value the traded book has."""
    signal = config.signal
    worth = signal.fair_notional / (instrument.tick_size * instrument.lot_size)
    return {
        "fair": int(FAIR[signal.fair]),
        "fair_levels": signal.fair_levels,
        "fair_decay_uticks": signal.fair_decay.to_uticks(price_ticks * UTICKS_PER_TICK),
        "fair_ticklots": max(1, min(int(worth), TICKLOTS_MAX)),
    }


def intensity_params(signal: Signal, price_ticks: int) -> dict[str, int]:
    """Return the settings of `intensity.Intensity` at a price."""
    return {
        "sample_ns": signal.fit_sample_ns,
        "half_life_ns": signal.fit_ns,
        "price_ticks": price_ticks,
    }


def reference_params(signal: Signal) -> dict[str, int]:
    """Return the settings of `reference.Reference`."""
    return {
        "outlier_floor_ppm": signal.outlier_floor_ppm,
        "clamp_ppm": signal.clamp_ppm,
        "basis_ns": signal.basis_ns,
        "basis_cap_ppm": signal.basis_cap_ppm,
        "readmit_count": signal.readmit_updates,
        "jump_ppm": signal.jump_ppm,
        "jump_hold_ns": signal.jump_hold_ns,
    }


def source_params(venue: Venue) -> dict[str, int]:
    """Return the settings of one `reference.Source`."""
    return {
        "age_ns_max": venue.max_age_ns,
        "spread_ppm_max": venue.max_spread_ppm,
        "trust_ppm": max(1, venue.weight_ppm),
    }


def inventory_params(config: BotConfig, instrument: Instrument) -> dict[str, int]:
    """Return the settings of `inventory.Inventory`."""
    return {
        "target_ppm": config.strategy.target_base_ppm,
        "scale_lots": max(1, instrument.floor_lots(config.inventory_scale)),
    }


def paper_balances(config: BotConfig, instrument: Instrument) -> dict[str, Decimal]:
    """Return the pretended opening balances by asset, whole atoms, rounded down."""
    return {
        instrument.base: _atoms(config.paper.base, instrument.base_decimals),
        instrument.quote: _atoms(config.paper.quote, instrument.quote_decimals),
    }


def _atoms(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR)
