"""In which ticks and lots recorded markets are run: the venue's, the data's, contracts in base."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np

from openmm.data.events import CLEAR, MESSAGE_END, Events, Market, coarser, many
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.sim.dialects import WATCHED, Dialect, dialect
from openmm.sim.recorded import DECIMALS_MAX, FEE_DECIMALS
from openmm.venues.binance.spec import contract_lot


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


def speaker(venue: str, market: Market) -> Dialect:
    """Return the dialect of a venue, or of that one of its markets that the data are of."""
    name = f"{venue}-{market.market}"
    return dialect(name if venue == market.venue and name in WATCHED else venue)


def in_base(instrument: Instrument, events: Events) -> Instrument:
    """Return an instrument whose lot is worth base units, where the market counts in contracts.

    As in a session: a lot is what a contract is worth at the market's first price, which is good
    enough to weigh depth by.
    """
    market = events.market
    mid = _first_price(events) if market.contract_size is not None else None
    if market.contract_size is None or mid is None:
        return instrument
    lot = contract_lot(market.lot_size, market.contract_size, mid)
    decimals = decimals_of(lot)
    return msgspec.structs.replace(
        instrument, lot_size=lot, qty_min=lot, qty_decimals=decimals, base_decimals=decimals,
        quote_decimals=min(DECIMALS_MAX, instrument.price_decimals + decimals),
    )  # fmt: skip


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


def _first_price(events: Events) -> Decimal | None:
    """Return the price where the book is first whole, or else the first one that there is."""
    found = _first_whole(events)
    if found is not None:
        return Decimal(found[1]) * events.market.tick_size
    told = np.flatnonzero(events.price_ticks > 0)
    return int(events.price_ticks[told[0]]) * events.market.tick_size if len(told) else None


def in_steps_of(instrument: Instrument, events: Events) -> Events:
    """Return events in an instrument's ticks and lots.

    Raises:
        ConfigError: the store's steps are no multiples of them, or numbers become too large.
    """
    market = events.market
    if instrument.tick_size > market.tick_size and not instrument.tick_size % market.tick_size:
        events = coarser(events, instrument.tick_size)
        market = events.market
    ticks, lots = market.tick_size / instrument.tick_size, market.lot_size / instrument.lot_size
    if market.contract_size is not None:
        lots = Decimal(1)  # a contract is a lot, whatever it is worth
    for name, step, factor in (
        ("tick", market.tick_size, ticks), ("lot", market.lot_size, lots),
    ):  # fmt: skip
        if factor != factor.to_integral_value() or factor < 1:
            raise ConfigError(
                "data", f"{market.label}, {name} size {step}",
                f"a {name} size that is a multiple of {instrument.name}'s",
            )  # fmt: skip
    if ticks == lots == 1:
        return events
    try:
        prices, qtys = many(events.price_ticks, int(ticks)), many(events.qty_lots, int(lots))
    except ValueError as error:
        told = f"{market.label}, steps of {market.tick_size} and {market.lot_size}"
        raise ConfigError("data", told, f"steps near {instrument.name}'s ({error})") from error
    return Events(market, events.recv_ns, events.venue_ns, prices, qtys, events.flags)


def opening(events: Events) -> tuple[int, int]:
    """Return when the book is first whole, and the mid then, in ticks.

    Raises:
        ConfigError: it never is.
    """
    found = _first_whole(events)
    if found is None:
        raise ConfigError("data", events.market.label, "events whose book becomes whole")
    return found


def _first_whole(events: Events) -> tuple[int, int] | None:
    for start in np.flatnonzero(events.kinds == CLEAR)[:64]:
        ends = np.flatnonzero(events.flags[start : start + (1 << 20)] & np.uint16(MESSAGE_END))
        if not len(ends):
            continue
        stop = int(start + ends[0]) + 1
        book = events.book_before(stop)
        bid, ask = book.best_bid_ticks, book.best_ask_ticks
        if bid is not None and ask is not None and bid < ask:
            return int(events.recv_ns[stop - 1]), (bid + ask) // 2
    return None
