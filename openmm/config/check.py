"""Tell impossible combinations: those of the file alone, and those with the venue's instrument."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NoReturn

from openmm.config.schema import (
    ENDPOINT_KEYS,
    PAPER_VENUES,
    SECOND,
    VENUES_MAX,
    WATCHED,
    WITHOUT_DEADLINES_S,
    Bot,
    BotConfig,
    Glft,
    Grid,
    Hedge,
    Inventory,
    Ladder,
    Model,
    Risk,
    Signal,
    Strategy,
    Venue,
    key_of,
)
from openmm.config.values import PPM, format_duration, format_ppm, is_loopback
from openmm.errors import ConfigError, ConfigErrors
from openmm.instrument import LOTS_MAX, TICKS_MAX, Instrument

# Keys of [inventory] that say something of a group.
GROUP_ONLY = (
    "target_base_ppm", "claim", "members", "neighbour_age_max_ns", "silence", "look_every_ns",
    "capital_alert_after_ns",
)  # fmt: skip


def signal_errors(signal: Signal) -> list[ConfigError]:
    """Check the estimators' half-lives against each other."""
    found = []
    if signal.vol_slow_ns <= signal.vol_fast_ns:
        found.append(
            ConfigError(
                "signal.vol_slow",
                format_duration(signal.vol_slow_ns),
                f"longer than signal.vol_fast, {format_duration(signal.vol_fast_ns)}",
            )
        )
    return found


def strategy_errors(strategy: Strategy) -> list[ConfigError]:
    """Check the strategy's keys against each other."""
    found: list[ConfigError] = []
    if isinstance(strategy, Ladder):
        found += ladder_errors(strategy)
    if isinstance(strategy, Model):
        found += model_errors(strategy)
    if not isinstance(strategy, Grid):
        return found
    if strategy.spacing == "custom" and "level_step_ppm" in strategy.model_fields_set:
        found.append(
            ConfigError(
                "strategy.level_step", format_ppm(strategy.level_step_ppm),
                'left out with spacing = "custom": level_offsets has all the distances',
            )
        )  # fmt: skip
    elif strategy.spacing != "custom":
        far_ppm = strategy.offsets_ppm(strategy.level_step_ppm)[-1]
        if far_ppm > 500_000:
            found.append(
                ConfigError(
                    "strategy.level_ratio", str(strategy.level_ratio),
                    f'one that keeps {strategy.num_orders} levels within "50%" of the inner quote: '
                    f"the last is {format_ppm(far_ppm)} off",
                )
            )  # fmt: skip
    spread = format_ppm(strategy.spread_ppm)
    if strategy.spread_min_ppm > strategy.spread_ppm:
        found.append(
            ConfigError(
                "strategy.spread_min",
                format_ppm(strategy.spread_min_ppm),
                f"at most strategy.spread, {spread}",
            )
        )
    if strategy.spread_max_ppm < strategy.spread_ppm:
        found.append(
            ConfigError(
                "strategy.spread_max",
                format_ppm(strategy.spread_max_ppm),
                f"at least strategy.spread, {spread}",
            )
        )
    if strategy.rebalance_exit_ppm > strategy.rebalance_threshold_ppm:
        found.append(
            ConfigError(
                "strategy.rebalance_exit",
                format_ppm(strategy.rebalance_exit_ppm),
                "at most strategy.rebalance_threshold, "
                + format_ppm(strategy.rebalance_threshold_ppm),
            )
        )
    return found


def model_errors(strategy: Model) -> list[ConfigError]:
    """Check that a model has either the paper's risk aversion or the plain shift."""
    found: list[ConfigError] = []
    told = [key for key in ("gamma", "skew_full_ppm") if getattr(strategy, key) is not None]
    if len(told) != 1:
        found.append(
            ConfigError(
                "strategy.gamma",
                " and ".join(map(key_of, told)) or "nothing",
                'exactly one of gamma = "0.001" (risk aversion, per unit of quote currency) and '
                'skew_full = "8bps" (shift at full inventory); the other is "off", or left out',
            )
        )  # fmt: skip
    elif strategy.gamma is None and strategy.skew_factor != 1:
        allowed = "left out with strategy.skew_full, which tells the shift itself"
        found.append(ConfigError("strategy.skew_factor", str(strategy.skew_factor), allowed))
    for key in ("half_factor", "skew_factor"):
        if getattr(strategy, key) > 1_000:
            found.append(
                ConfigError(f"strategy.{key}", str(getattr(strategy, key)), "at most 1000")
            )
    if strategy.spread_max_ppm < max(2, strategy.spread_min_ppm):
        found.append(
            ConfigError(
                "strategy.spread_max", format_ppm(strategy.spread_max_ppm),
                f"at least strategy.spread_min, {format_ppm(strategy.spread_min_ppm)}",
            )
        )  # fmt: skip
    if strategy.rebalance_exit_ppm > strategy.rebalance_threshold_ppm:
        found.append(
            ConfigError(
                "strategy.rebalance_exit", format_ppm(strategy.rebalance_exit_ppm),
                "at most strategy.rebalance_threshold, "
                + format_ppm(strategy.rebalance_threshold_ppm),
            )
        )  # fmt: skip
    if isinstance(strategy, Glft) and (strategy.fit_decay is None) != (strategy.fit_arrival == 0):
        found.append(
            ConfigError(
                "strategy.fit_arrival", str(strategy.fit_arrival),
                "told together with strategy.fit_decay, or left out with it",
            )
        )  # fmt: skip
    return found


def ladder_errors(strategy: Ladder) -> list[ConfigError]:
    """Check the keys of a ladder's shape against each other."""
    found: list[ConfigError] = []

    def wrong(key: str, value: object, allowed: str) -> None:
        found.append(ConfigError(f"strategy.{key}", value, allowed))

    offsets, amounts = strategy.level_offsets_ppm, strategy.level_amounts
    told = ", ".join(map(format_ppm, offsets))
    if not 1 <= strategy.level_ratio <= 10:
        wrong("level_ratio", str(strategy.level_ratio), "from 1 to 10")
    elif strategy.level_ratio != 1 and strategy.spacing != "geometric":
        wrong("level_ratio", str(strategy.level_ratio), 'left out but with spacing = "geometric"')
    if (strategy.spacing == "custom") != bool(offsets):
        wrong("level_offsets", told, 'told with spacing = "custom", and only then')
    elif offsets and len(offsets) != strategy.num_orders:
        wrong("level_offsets", told, f"one value a level: num_orders is {strategy.num_orders}")
    elif any(far <= near for near, far in pairwise(offsets)):
        wrong("level_offsets", told, "each further out than the one before")
    if strategy.size_step_ppm and strategy.sizes != "pyramid":
        wrong(
            "size_step", format_ppm(strategy.size_step_ppm), 'left out but with sizes = "pyramid"'
        )
    elif PPM + (strategy.num_orders - 1) * strategy.size_step_ppm <= 0:
        wrong(
            "size_step",
            format_ppm(strategy.size_step_ppm),
            "one that leaves the outermost level a quantity",
        )
    told = ", ".join(map(str, amounts))
    if (strategy.sizes == "custom") != bool(amounts):
        wrong("level_amounts", told, 'told with sizes = "custom", and only then')
    elif amounts and len(amounts) != strategy.num_orders:
        wrong("level_amounts", told, f"one value a level: num_orders is {strategy.num_orders}")
    elif amounts and amounts[0] != strategy.order_amount:
        wrong("level_amounts", told, f"the first as strategy.order_amount, {strategy.order_amount}")
    if strategy.rebalance == "take" and (
        strategy.rebalance_exit_ppm >= strategy.rebalance_threshold_ppm
    ):
        wrong(
            "rebalance_exit", format_ppm(strategy.rebalance_exit_ppm),
            'with rebalance = "take" below strategy.rebalance_threshold, '
            + format_ppm(strategy.rebalance_threshold_ppm),
        )  # fmt: skip
    floor, ceiling = strategy.price_floor, strategy.price_ceiling
    if floor is not None and ceiling is not None and floor >= ceiling:
        wrong("price_floor", str(floor), f"below strategy.price_ceiling, {ceiling}")
    return found


def limit_errors(strategy: Strategy, risk: Risk) -> list[ConfigError]:
    """Check that the ladder fits into the limits."""
    found: list[ConfigError] = []
    if risk.min_order_size > risk.max_order_size:
        found.append(
            ConfigError(
                "risk.min_order_size",
                str(risk.min_order_size),
                f"at most risk.max_order_size, {risk.max_order_size}",
            )
        )
    if risk.max_order_notional is not None and risk.max_order_notional > risk.max_open_notional:
        found.append(
            ConfigError(
                "risk.max_order_notional",
                str(risk.max_order_notional),
                f"at most risk.max_open_notional, {risk.max_open_notional}",
            )
        )
    if not isinstance(strategy, Ladder) or ladder_errors(strategy):
        return found
    if strategy.rebalance == "take":
        for key, bound_ppm in (
            ("max_slippage", risk.max_slippage_ppm), ("price_collar", risk.price_collar_ppm),
        ):  # fmt: skip
            if strategy.rebalance_slippage_ppm > bound_ppm:
                found.append(
                    ConfigError(
                        "strategy.rebalance_slippage",
                        format_ppm(strategy.rebalance_slippage_ppm),
                        f"at most risk.{key}, {format_ppm(bound_ppm)}",
                    )
                )
    amounts = strategy.amounts
    largest = max(amounts) * (PPM + strategy.size_skew_ppm) / PPM
    if largest > risk.max_order_size:
        found.append(
            ConfigError(
                "strategy.order_amount",
                str(max(amounts)),
                f"with strategy.size_skew {format_ppm(strategy.size_skew_ppm)} an order grows to "
                f"{largest.normalize():f}: at most risk.max_order_size, {risk.max_order_size}",
            )
        )
    if min(amounts) < risk.min_order_size:
        found.append(
            ConfigError(
                "strategy.order_amount",
                str(min(amounts)),
                f"at least risk.min_order_size, {risk.min_order_size}",
            )
        )
    if risk.max_orders is not None and 2 * strategy.num_orders > risk.max_orders:
        found.append(
            ConfigError(
                "strategy.num_orders",
                strategy.num_orders,
                f"a ladder of two sides within risk.max_orders, {risk.max_orders}",
            )
        )
    side = sum(amounts)
    if side > risk.max_inventory:
        found.append(
            ConfigError(
                "strategy.num_orders",
                strategy.num_orders,
                f"a side of {side} within risk.max_inventory, {risk.max_inventory}",
            )
        )
    reach = outermost_ppm(strategy)
    if reach >= risk.price_collar_ppm:
        found.append(
            ConfigError(
                "risk.price_collar",
                format_ppm(risk.price_collar_ppm),
                f"more than the outermost level's distance, {format_ppm(reach)}",
            )
        )
    return found


def outermost_ppm(strategy: Ladder) -> int:
    """Return how far from the reference the last level lies with the shading full, unwidened.

    Of a model, whose spread the market makes, at the least.
    """
    if isinstance(strategy, Model):
        return (
            strategy.spread_min_ppm // 2
            + strategy.offsets_ppm(strategy.level_step_ppm)[-1]
            + (strategy.skew_full_ppm or 0)
            + strategy.flow_full_ppm
        )
    assert isinstance(strategy, Grid), "a ladder is a grid's or a model's"
    return (
        strategy.spread_ppm // 2
        + strategy.offsets_ppm(strategy.level_step_ppm)[-1]
        + strategy.skew_full_ppm
        + strategy.flow_full_ppm
        + (strategy.micro_cap_ppm if strategy.micro_weight_ppm else 0)
        + strategy.imbalance_full_ppm
        + strategy.ofi_full_ppm
    )


def venue_errors(
    venues: Sequence[Venue],
    strategy: Strategy | None,
    risk: Risk | None,
    bot: Bot | None,
) -> list[ConfigError]:
    """Check the venues against each other, the mode and the fees they state."""
    found: list[ConfigError] = []
    quoted = [(i, venue) for i, venue in enumerate(venues) if venue.quote is not None]
    if len(venues) > VENUES_MAX:
        found.append(ConfigError("venue", f"{len(venues)} of them", f"at most {VENUES_MAX}"))
    labels: set[str] = set()
    for index, venue in enumerate(venues):
        path = f"venue[{index}]"
        if venue.label in labels:
            found.append(ConfigError(f"{path}.label", venue.label, "a label of its own"))
        labels.add(venue.label)
        roles = [key for key in ("quote", "reference", "rate") if getattr(venue, key) is not None]
        if len(roles) != 1:
            allowed = (
                'one of quote = "BASE/QUOTE" (traded), reference = "BASE/QUOTE" (watched) and '
                'rate = "BASE/QUOTE" (converts the currency of others)'
            )
            found.append(ConfigError(f"{path}.quote", " and ".join(roles) or "none", allowed))
        if venue.quote is not None and venue.name in WATCHED:
            allowed = f"left out: {venue.name} is only watched (reference, rate)"
            found.append(ConfigError(f"{path}.quote", venue.quote, allowed))
            return found
    if len(quoted) == 1:
        found += reference_errors(venues, quoted[0][1])
    if len(quoted) != 1:
        seen = ", ".join(venue.label for _, venue in quoted) or "none"
        found.append(ConfigError("venue", seen, "exactly one venue with quote"))
        return found
    index, venue = quoted[0]
    path = f"venue[{index}]"
    if all(item.weight_ppm == 0 or item.rate is not None for item in venues):
        found.append(ConfigError("venue", "weights of 0", "one venue with a weight above 0"))
    if venue.maker_fee_ppm is not None and isinstance(strategy, Grid):
        found += spread_errors(strategy, venue.maker_fee_ppm)
    if bot is not None and bot.mode != "live" and venue.name not in PAPER_VENUES:
        allowed = (
            f'on {" or ".join(PAPER_VENUES)} only in mode = "paper": {venue.name} is watched '
            f'(reference, rate), or traded in mode = "live" on a simulated one (openmm sim '
            f"{venue.name})"
        )
        found.append(ConfigError(f"{path}.quote", venue.pair, allowed))
    if risk is not None and risk.dead_man_timeout_ns:
        found += switch_errors(venue, path, risk.dead_man_timeout_ns)
    return found


def switch_errors(venue: Venue, path: str, timeout_ns: int) -> list[ConfigError]:
    """Check that the traded venue has a dead-man's switch, for this account and this timeout."""
    allowed = []
    if venue.account == "shared":
        allowed.append(
            f'{path}.account = "dedicated" (the switch cancels every order of the account)'
        )
    if venue.switch_s is None:
        which = f"{venue.name} has no such switch"
        if venue.name == "bitget":
            which += f' unless {path}.options.account = "unified"'
        allowed.append(f"left out: {which}, the watchdog stands in")
    else:
        low_ns, high_ns = (each * SECOND for each in venue.switch_s)
        if not low_ns <= timeout_ns <= high_ns:
            low, high = format_duration(low_ns), format_duration(high_ns)
            allowed.append(f'from "{low}" to "{high}": what {venue.name} takes')
    told = format_duration(timeout_ns)
    return [ConfigError("risk.dead_man_timeout", told, each) for each in allowed]


def hedge_errors(
    hedge: Hedge, bot: Bot | None, venues: Sequence[Venue], strategy: Strategy | None
) -> list[ConfigError]:
    """Check a hedge's keys against each other, the traded venue, the mode and the strategy."""
    found: list[ConfigError] = []

    def wrong(key: str, value: object, allowed: str) -> None:
        found.append(ConfigError(f"hedge.{key}", value, allowed))

    quoted = next((venue for venue in venues if venue.quote is not None), None)
    if quoted is not None:
        base, _, money = quoted.pair.partition("/")
        hedge_base, _, hedge_money = hedge.pair.partition("/")
        if hedge.venue == quoted.name and hedge.endpoints.rest == quoted.endpoints.rest:
            wrong("venue", hedge.venue, "another venue than the one that is quoted on")
        if hedge.label == quoted.label:
            wrong("label", hedge.label, "a label of its own: keys are found by it")
        if base != hedge_base:
            wrong("pair", hedge.pair, f"a pair of {base}")
        elif money != hedge_money and hedge.price_rate is None:
            wrong("pair", hedge.pair, f"a pair in {money}, or price_rate: what one {money} is "
                  f"worth in {hedge_money}")  # fmt: skip
    if hedge.venue in WATCHED:
        wrong("venue", hedge.venue, f"a venue that is traded on: {hedge.venue} is only watched")
    if strategy is not None and not isinstance(strategy, Ladder):
        wrong("venue", hedge.venue, "a built-in strategy with [hedge]: it has to keep what the "
              "hedge costs from the reference")  # fmt: skip
    least_s = WITHOUT_DEADLINES_S
    if hedge.venue != "kraken" and hedge.deadline_ns < least_s * SECOND:
        wrong("deadline", format_duration(hedge.deadline_ns),
              f'at least "{least_s}s": {hedge.venue} keeps no deadlines')  # fmt: skip
    if hedge.exposure_max_ns <= hedge.delay_ns:
        wrong("exposure_max", format_duration(hedge.exposure_max_ns), "longer than hedge.delay")
    if hedge.order_max is not None and hedge.order_max > hedge.unhedged_max:
        wrong("order_max", f"{hedge.order_max:f}", "at most hedge.unhedged_max")
    if bot is not None and bot.mode == "live":
        needed = ENDPOINT_KEYS.get(hedge.venue, ("ws", "rest"))
        for key in needed:
            url = getattr(hedge.endpoints, key)
            if url is None or not is_loopback(url):
                wrong(f"endpoints.{key}", url, "an address of this machine: hedges go to "
                      "simulated venues only in this version")  # fmt: skip
    return found


def capital_errors(bot: Bot, risk: Risk) -> list[ConfigError]:
    """Check that what may be open at once is no more than the bot's capital."""
    if bot.capital is None or risk.max_open_notional <= bot.capital:
        return []
    allowed = f"at most bot.capital, {bot.capital:f}"
    return [ConfigError("risk.max_open_notional", str(risk.max_open_notional), allowed)]


def group_errors(
    inventory: Inventory, risk: Risk, strategy: Strategy | None = None
) -> list[ConfigError]:
    """Check that a group has its limit, and that nothing is told of a group that there is not."""
    found: list[ConfigError] = []
    if inventory.group is not None:
        if risk.max_group_inventory is None:
            allowed = f'a limit of the group "{inventory.group}", in base'
            found.append(ConfigError("risk.max_group_inventory", "nothing", allowed))
        if risk.neighbours == "off":
            allowed = '"refuse": the bots of a group meet where neighbours do'
            found.append(ConfigError("risk.neighbours", risk.neighbours, allowed))
        if isinstance(strategy, Ladder) and strategy.rebalance == "take":
            # It goes by the share held here: a group at its target would pay to even itself out.
            allowed = '"passive" with inventory.group'
            found.append(ConfigError("strategy.rebalance", strategy.rebalance, allowed))
        return found
    allowed = "left out, or told with inventory.group"
    if risk.max_group_inventory is not None:
        told = str(risk.max_group_inventory)
        found.append(ConfigError("risk.max_group_inventory", told, allowed))
    for name in GROUP_ONLY:
        if name in inventory.model_fields_set:
            value = getattr(inventory, name)
            found.append(ConfigError(f"inventory.{key_of(name)}", str(value), allowed))
    return found


def twice_errors(venues: Sequence[Venue]) -> list[ConfigError]:
    """Check that no market is blended into the reference twice: it would confirm itself."""
    found: list[ConfigError] = []
    seen: dict[str, Venue] = {}
    for index, venue in enumerate(venues):
        if not venue.blended:
            continue
        key = (venue.name, venue.pair, venue.endpoints.ws, venue.options)
        first = seen.setdefault(repr(key), venue)
        if first is not venue:
            allowed = f"a market once: {venue.pair} of {venue.name} is {first.label} already"
            found.append(ConfigError(f"venue[{index}]", venue.label, allowed))
    return found


def reference_errors(venues: Sequence[Venue], traded: Venue) -> list[ConfigError]:
    """Check that every watched pair is the traded one, or is converted into its currency."""
    found = twice_errors(venues)
    rates = {venue.label: venue.pair for venue in venues if venue.rate is not None}
    base, _, currency = traded.pair.partition("/")
    for index, venue in enumerate(venues):
        path = f"venue[{index}]"
        own_base, _, own_currency = venue.pair.partition("/")
        if venue.reference is None:
            if venue.convert is not None:
                allowed = "only beside reference"
                found.append(ConfigError(f"{path}.convert", venue.convert, allowed))
        elif own_base != base:
            allowed = f"a pair of {base}, as the traded {traded.pair}"
            found.append(ConfigError(f"{path}.reference", venue.pair, allowed))
        elif own_currency != currency or venue.convert is not None:
            wanted = (f"{own_currency}/{currency}", f"{currency}/{own_currency}")
            if venue.convert is None or rates.get(venue.convert) not in wanted:
                allowed = (
                    f'the label of a venue with rate = "{wanted[0]}" or "{wanted[1]}": '
                    f"{venue.pair} is converted"
                )
                found.append(ConfigError(f"{path}.convert", venue.convert or "none", allowed))
    return found


def spread_errors(strategy: Grid, maker_fee_ppm: int) -> list[ConfigError]:
    """Check that the spread pays the maker fee both ways, less the budget for fees."""
    needed_ppm = 2 * (maker_fee_ppm + strategy.min_edge_ppm - strategy.fee_budget_ppm)
    if strategy.spread_ppm >= needed_ppm:
        return []
    return [
        ConfigError(
            "strategy.spread",
            format_ppm(strategy.spread_ppm),
            f"at least {format_ppm(needed_ppm)}: the maker fee {format_ppm(maker_fee_ppm)} both "
            f"ways and strategy.min_edge {format_ppm(strategy.min_edge_ppm)}; or a "
            "strategy.fee_budget for what is missing on a side",
        )
    ]


def instrument_errors(
    config: BotConfig, instrument: Instrument, mid: Decimal | None = None
) -> list[ConfigError]:
    """Check a file against what the venue says of the pair; more with a price at hand."""
    risk, strategy, venue = config.risk, config.strategy, config.quoted
    found: list[ConfigError] = []
    if instrument.name != venue.quote:
        found.append(ConfigError("venue.quote", venue.quote, f"the pair of {instrument.name}"))
    if maker_fee_ppm(config, instrument) is None or taker_fee_ppm(config, instrument) is None:
        allowed = "maker_fee and taker_fee are needed: the venue does not tell them here"
        found.append(ConfigError(f"venue.{venue.label}.maker_fee", "nothing", allowed))
    if risk.max_order_size < instrument.qty_min:
        found.append(
            ConfigError(
                "risk.max_order_size",
                str(risk.max_order_size),
                f"at least the venue's minimum, {instrument.qty_min} {instrument.base}",
            )
        )
    for key, qty in (
        ("max_order_size", risk.max_order_size),
        ("max_inventory", risk.max_inventory),
    ):
        if instrument.floor_lots(qty) > LOTS_MAX:
            allowed = f"at most {instrument.qty(LOTS_MAX)} {instrument.base}"
            found.append(ConfigError(f"risk.{key}", str(qty), allowed))
    if mid is not None and not 0 < instrument.floor_ticks(mid) <= TICKS_MAX:
        found.append(ConfigError("mid", str(mid), f"from one tick, {instrument.tick_size}, on"))
        return found
    if isinstance(strategy, Ladder) and not ladder_errors(strategy):
        found += _ladder_errors(config, strategy, instrument, mid)
    return found


def _ladder_errors(
    config: BotConfig, strategy: Ladder, instrument: Instrument, mid: Decimal | None
) -> list[ConfigError]:
    """Check a ladder against the pair's minimums, lot and tick."""
    found: list[ConfigError] = []
    exact = strategy.level_amounts or (strategy.order_amount,)
    key = "level_amounts" if strategy.level_amounts else "order_amount"
    for amount in exact:
        if amount % instrument.lot_size != 0:
            allowed = f"a multiple of the lot, {instrument.lot_size:f} {instrument.base}"
            found.append(ConfigError(f"strategy.{key}", str(amount), allowed))
    amount, largest = min(strategy.amounts), max(strategy.amounts)
    if amount < instrument.qty_min:
        allowed = f"at least the venue's minimum, {instrument.qty_min} {instrument.base}"
        found.append(ConfigError("strategy.order_amount", str(amount), allowed))
    fee_ppm = maker_fee_ppm(config, instrument)
    if isinstance(strategy, Grid) and fee_ppm is not None and config.quoted.maker_fee_ppm is None:
        found += spread_errors(strategy, fee_ppm)
    if mid is None:
        return found
    if amount * mid < instrument.cost_min:
        allowed = f"worth at least the venue's minimum, {instrument.cost_min} {instrument.quote}"
        found.append(ConfigError("strategy.order_amount", str(amount), f"{allowed}, at {mid}"))
    for key, ppm in _steps(strategy):
        if mid * ppm / PPM < instrument.tick_size:
            least = format_ppm(int(instrument.tick_size / mid * PPM) + 1)
            allowed = f"at least a tick of {instrument.tick_size:f}, {least} at {mid}"
            found.append(ConfigError(f"strategy.{key}", format_ppm(ppm), allowed))
    notional_max = config.risk.max_order_notional or config.risk.max_open_notional
    if largest * mid > notional_max:
        found.append(
            ConfigError(
                "strategy.order_amount",
                str(largest),
                f"{largest * mid:f} {instrument.quote} within "
                f"risk.max_order_notional, {notional_max}, at {mid}",
            )
        )
    ladder = 2 * sum(strategy.amounts) * mid
    if ladder > config.risk.max_open_notional:
        found.append(
            ConfigError(
                "risk.max_open_notional",
                str(config.risk.max_open_notional),
                f"at least the whole ladder, {ladder:f} {instrument.quote} at {mid}",
            )
        )
    return found


def _steps(strategy: Ladder) -> list[tuple[str, int]]:
    """Return the distances that are to be at least a tick, by their keys."""
    steps = []
    if isinstance(strategy, Grid):
        steps.append(("spread", strategy.spread_ppm))
    stepped = strategy.num_orders > 1 and strategy.spacing != "custom"
    if isinstance(strategy, Grid | Model) and stepped:
        steps.append(("level_step", strategy.level_step_ppm))
    offsets = strategy.level_offsets_ppm
    if len(offsets) > 1:
        steps.append(("level_offsets", min(far - near for near, far in pairwise(offsets))))
    return steps


def maker_fee_ppm(config: BotConfig, instrument: Instrument) -> int | None:
    """Return the maker fee: the file's, else the venue's, else None."""
    told = config.quoted.maker_fee_ppm
    return instrument.maker_fee_ppm if told is None else told


def taker_fee_ppm(config: BotConfig, instrument: Instrument) -> int | None:
    """Return the taker fee: the file's, else the venue's, else None."""
    told = config.quoted.taker_fee_ppm
    return instrument.taker_fee_ppm if told is None else told


def check_with_instrument(
    config: BotConfig, instrument: Instrument, mid: Decimal | None = None
) -> None:
    """Refuse a file that the venue's rules of the pair make impossible.

    Raises:
        ConfigErrors: all that is wrong, one line each.
    """
    if found := instrument_errors(config, instrument, mid):
        _refuse(config, found)


def _refuse(config: BotConfig, found: Sequence[ConfigError]) -> NoReturn:
    raise ConfigErrors(config.bot.name, found)
