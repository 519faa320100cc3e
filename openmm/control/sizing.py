"""Size a grid to a market and a capital: spread from fees and volatility, quantities from capital.

The model, which the proposal tells along with its figures: the spread pays the maker fee both ways
with two basis points to spare, is no narrower than the market's own, and is twice what the price
moves in five minutes (the standard deviation of one-minute moves, times the root of five), so
that an ordinary move does not run through the grid. Of the capital half is in each asset, and four
fifths of each half stand in orders; inventory may stray from its target by one side of the grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from msgspec import Struct

from openmm.errors import ConfigError
from openmm.instrument import Instrument

PPM = 1_000_000
SPARE_PPM = 200
STEP_PPM = 100  # a spread is told in hundredths of a per cent
MINUTES = 5
TURNS = 2
# No narrower than this while nobody knows how much the market moves.
UNKNOWN_PPM = 2_000
DIGITS = 3  # of quantities, for people to read
IN_ORDERS = Decimal("0.8")
LEVELS = 5


class Market(Struct, frozen=True):
    """What the proposal looks at.

    Args:
        sigma_ppm: standard deviation of the moves from minute to minute; None: not known.
        minutes: how many moves it is made of.
    """

    bid: Decimal
    ask: Decimal
    sigma_ppm: int | None
    minutes: int

    @property
    def mid(self) -> Decimal:
        """Return the price between the best two."""
        return (self.bid + self.ask) / 2

    @property
    def spread_ppm(self) -> int:
        """Return the market's own spread."""
        return int((self.ask - self.bid) * PPM / self.mid)


class Proposal(Struct, frozen=True):
    """A grid for a market and a capital; quantities in the base asset, sums in the quote asset."""

    spread_ppm: int
    num_orders: int
    order_amount: Decimal
    max_order_size: Decimal
    max_open_notional: Decimal
    max_inventory: Decimal
    reasons: tuple[str, ...]


def market(bid: Decimal, ask: Decimal, closes: Sequence[Decimal]) -> Market:
    """Measure a market.

    Args:
        closes: of minutes, oldest first.
    """
    moves = [
        math.log(after / before) for before, after in pairwise(closes) if before > 0 and after > 0
    ]
    if len(moves) < 2:
        return Market(bid, ask, None, len(moves))
    # About zero: a trend is risk to a grid too.
    sigma = math.sqrt(sum(move * move for move in moves) / len(moves))
    return Market(bid, ask, round(sigma * PPM), len(moves))


def propose(
    instrument: Instrument,
    seen: Market,
    capital: Decimal,
    maker_fee_ppm: int,
    *,
    spread_ppm: int | None = None,
    num_orders: int = LEVELS,
) -> Proposal:
    """Propose a grid; fewer levels where the capital does not reach for `num_orders`.

    Args:
        capital: in the quote asset, base and quote together.
        spread_ppm: instead of the one that fees and volatility ask for.

    Raises:
        ConfigError: the capital does not reach for one order of the venue's least size a side, or
            the spread does not pay the fees.
    """
    paid = 2 * maker_fee_ppm
    reasons = []
    if spread_ppm is None:
        asked = {
            f"the maker fee both ways, {_pct(paid)}, and {_pct(SPARE_PPM)} to spare": paid
            + SPARE_PPM,
            f"the market's own spread, {_pct(seen.spread_ppm)}": seen.spread_ppm,
        }
        if seen.sigma_ppm is not None:
            five = round(seen.sigma_ppm * math.sqrt(MINUTES))
            told = f"twice the usual move of {MINUTES} minutes, {_pct(five)}"
            asked[told] = TURNS * five
        else:
            asked["how much the market moves is not known yet"] = UNKNOWN_PPM
        why = max(asked, key=lambda name: asked[name])
        spread_ppm = -(-max(asked.values()) // STEP_PPM) * STEP_PPM
        reasons.append(f"spread {_pct(spread_ppm)}: {why}")
    elif spread_ppm < paid:
        raise ConfigError("spread", _pct(spread_ppm), f"at least {_pct(paid)}, the fee both ways")
    else:
        reasons.append(f"spread {_pct(spread_ppm)}: yours")
    side = capital / 2 * IN_ORDERS
    least = _least(instrument, seen.mid)
    fitting = int(side / (least * seen.mid))
    if fitting < 1:
        needed = (2 * least * seen.mid / IN_ORDERS).quantize(Decimal("0.01")) + Decimal("0.01")
        raise ConfigError(
            "capital", f"{capital:f}", f"at least {needed:f} {instrument.quote}: one order a side"
        )
    levels = min(num_orders, fitting)
    if levels < num_orders:
        reasons.append(f"{levels} levels a side: the capital reaches for no more")
    amount = max(_even(instrument, side / levels / seen.mid), least)
    reasons.append(
        f"{levels} x {amount.normalize():f} {instrument.base} a side: {IN_ORDERS:.0%} of half the "
        "capital"
    )
    return Proposal(
        spread_ppm, levels, amount.normalize(), (2 * amount).normalize(),
        _up(2 * amount * levels * seen.ask * Decimal("1.02"), capital),
        (amount * levels).normalize(), tuple(reasons),
    )  # fmt: skip


def _least(instrument: Instrument, price: Decimal) -> Decimal:
    """Return the smallest order that the venue takes, with room for the price to fall a tenth."""
    of_cost = instrument.cost_min / price * Decimal("1.1")
    lots = max(instrument.qty_lots_min, instrument.floor_lots(of_cost) + 1)
    return instrument.qty(lots)


def _even(instrument: Instrument, qty: Decimal) -> Decimal:
    """Round a quantity down to few digits and to whole lots."""
    unit = Decimal(1).scaleb(qty.adjusted() - DIGITS + 1)
    return instrument.qty(instrument.floor_lots(qty // unit * unit))


def _up(notional: Decimal, capital: Decimal) -> Decimal:
    """Round a sum up to whole units of the quote asset, within the capital."""
    whole = notional.to_integral_value(rounding="ROUND_CEILING")
    return min(whole, capital) if whole >= 100 else min(notional.quantize(Decimal("0.01")), capital)


def _pct(ppm: int) -> str:
    text = f"{Decimal(ppm).scaleb(-4):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"
