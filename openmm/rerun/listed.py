"""A pair of some data as a venue would list it: ticks, lots, minimums; and what is not quoted."""

from __future__ import annotations

from decimal import Decimal

from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.sim.dialects import Dialect
from openmm.sim.recorded import DECIMALS_MAX, FEE_DECIMALS


def listed(speaks: Dialect, pair: str, own: str = "") -> Instrument | None:
    """Return what a venue lists for a pair of some data; None: nothing.

    Args:
        own: the pair that the data stand in for; counts where it is of the same base.
    """
    base = pair.partition("/")[0]
    found = speaks.pairs.get(own) if own.partition("/")[0] == base else None
    found = found or speaks.pairs.get(pair)
    return None if found is None else found[0]


def as_listed(
    speaks: Dialect, pair: str, tick: Decimal, lot: Decimal, own: str = "", *, finest: bool = False
) -> Instrument:
    """Return a pair of some data as a venue would list it.

    Its minimums are the venue's. A tick is the venue's or the data's, whichever is coarser: the
    market has no price in between. A lot is the finer one, so that every quantity is whole. What
    the venue does not list is in the data's steps.

    Args:
        tick, lot: of the data.
        own: as `listed`.
        finest: a tick of the data is met whatever the venue's is: messages are told in it.
    """
    known = listed(speaks, pair, own)
    if known is None:
        return in_steps_of_data(speaks, pair, tick, lot)
    base, _, quote = pair.partition("/")
    ticks, lots = sorted((known.tick_size, tick)), sorted((known.lot_size, lot))
    # Steps that are no multiples of each other are met in the power of ten below both.
    tick_size = tick if finest else ticks[1]
    if ticks[1] % ticks[0]:
        tick_size = Decimal(1).scaleb(-max(map(decimals_of, ticks)))
    lot_size = lots[0]
    if lots[1] % lots[0]:
        lot_size = Decimal(1).scaleb(-max(map(decimals_of, lots)))
    price_decimals, qty_decimals = decimals_of(tick_size), decimals_of(lot_size)
    base_decimals, quote_decimals = known.base_decimals, known.quote_decimals
    if tick_size < known.tick_size or lot_size < known.lot_size:
        # Finer steps than the venue's make amounts that its own assets could not hold.
        base_decimals = min(DECIMALS_MAX, qty_decimals + FEE_DECIMALS)
        quote_decimals = min(DECIMALS_MAX, price_decimals + qty_decimals)
    return Instrument(
        known.venue, pair, base, quote or base, price_decimals, qty_decimals, tick_size, lot_size,
        known.qty_min, known.cost_min, base_decimals, quote_decimals,
    )  # fmt: skip


def in_steps_of_data(speaks: Dialect, pair: str, tick: Decimal, lot: Decimal) -> Instrument:
    """Return a pair as a venue with the data's steps would list it, a lot its smallest order."""
    base, _, quote = pair.partition("/")
    price_decimals, qty_decimals = decimals_of(tick), decimals_of(lot)
    return Instrument(
        next(iter(speaks.pairs.values()))[0].venue, pair, base, quote or base, price_decimals,
        qty_decimals, tick, lot, lot, tick, min(DECIMALS_MAX, qty_decimals + FEE_DECIMALS),
        min(DECIMALS_MAX, price_decimals + qty_decimals),
    )  # fmt: skip


def decimals_of(step: Decimal) -> int:
    """Return how many decimals a step is written with."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def refuse_contracts(label: str, contract_size: Decimal | None) -> None:
    """Refuse to quote a market that counts in contracts.

    Raises:
        ConfigError: it does.
    """
    if contract_size is not None:
        raise ConfigError(
            "data", label,
            "a market to quote whose quantities are of its base: contracts that are worth "
            f"{contract_size} of its quote currency can only be watched",
        )  # fmt: skip
