"""In which ticks and lots recorded markets are run: the venue's, the data's, contracts in base."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np

from openmm.data.events import CLEAR, MESSAGE_END, Events, Market, coarser, many
from openmm.errors import ConfigError
from openmm.instrument import LOTS_MAX, TICKS_MAX, Instrument
from openmm.rerun.listed import decimals_of
from openmm.sim.dialects import WATCHED, Dialect, dialect
from openmm.sim.recorded import DECIMALS_MAX
from openmm.venues.binance.spec import contract_lot


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
        try:
            events = coarser(events, instrument.tick_size)
        except ValueError as error:
            told = f"{market.label}, steps of {market.tick_size}"
            raise ConfigError("data", told, f"steps near {instrument.name}'s ({error})") from error
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
    for name, numbers, most in (("price", prices, TICKS_MAX), ("quantity", qtys, LOTS_MAX)):
        if len(numbers) and int(numbers.max()) > most:
            raise ConfigError(
                "data", f"{market.label}, a {name} of {int(numbers.max()):,} steps of "
                f"{instrument.name}", f"at most {most:,}: a book holds no more",
            )  # fmt: skip
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
