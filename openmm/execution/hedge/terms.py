"""The terms of a hedge: its limits and times, its units, and what it costs the quotes."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from openmm.errors import ConfigError
from openmm.instrument import Instrument

PPM: Final = 1_000_000
MS: Final = 1_000_000
SECOND: Final = 1_000_000_000


class HedgeTerms(Struct, frozen=True):
    """What a hedge machine goes by; all integers of the hedge venue's steps.

    Args:
        lot_atoms: atoms in a lot of the hedge venue.
        qty_lots_min, notional_ticklots_min: the least order it takes.
        unhedged_atoms_max: never more than this unhedged, resting quotes and doubt counted.
        urgent_atoms: from here on neither the netting window nor a profit is waited for.
        order_lots_max: of one hedge order; 0: no bound but the exposure.
        taker_fee_ppm: of the hedge venue.
        slippage_ppm: from the middle of its book to the worst price of an order.
        latency_ppm: allowance for what the market moves while a hedge is on its way.
        allowance_ppm: expected of a hedge beyond the touch: part of the quotes' least edge.
        edge_ppm_min: what a profitable hedge must leave, of its proceeds.
        when: "always": hedge at the window's end; "profitable": not while it would lose.
        delay_ns: the netting window.
        deadline_ns: how long a request may take to reach the venue: afterwards it refuses it.
        lag_ns: how old an answer may be when it is told.
        ack_ns: unanswered for longer, an order is unknown.
        rest_ns: an accepted order with no end is cancelled after this.
        book_ns_max: a book not told of for longer is no price.
        resume_ns: healthy for so long before quotes come back.
        exposure_ns_max: exposure that could be hedged and is not for so long stops the quotes.
        quote_atoms_min: the least order of the quoting venue: less room stops the side.
        doubt_ns_max: an order unknown for so long stops the quotes.
        attempts_max: hedges in a row that leave a rest, before quotes stop.
        backoff_ns: the wait after the first of them; it doubles, up to `backoff_ns_max`.
        live_max: orders that may be on their way or unknown at once.
    """

    lot_atoms: int
    qty_lots_min: int
    notional_ticklots_min: int
    unhedged_atoms_max: int
    urgent_atoms: int
    taker_fee_ppm: int
    slippage_ppm: int
    order_lots_max: int = 0
    latency_ppm: int = 0
    allowance_ppm: int = 0
    edge_ppm_min: int = 0
    when: Literal["always", "profitable"] = "always"
    delay_ns: int = 0
    deadline_ns: int = 5 * SECOND
    lag_ns: int = 2 * SECOND
    ack_ns: int = SECOND
    rest_ns: int = SECOND
    book_ns_max: int = 5 * SECOND
    resume_ns: int = 5 * SECOND
    exposure_ns_max: int = 10 * SECOND
    quote_atoms_min: int = 1
    doubt_ns_max: int = 5 * SECOND
    attempts_max: int = 5
    backoff_ns: int = 100 * MS
    backoff_ns_max: int = 5 * SECOND
    live_max: int = 4

    def __post_init__(self) -> None:
        for field, least in _LEAST.items():
            value = getattr(self, field)
            if value < least:
                raise ConfigError(f"hedge.{field}", value, f"at least {least}")
        if not self.urgent_atoms <= self.unhedged_atoms_max:
            raise ConfigError(
                "hedge.urgent_atoms", self.urgent_atoms, "at most hedge.unhedged_atoms_max"
            )
        if self.unhedged_atoms_max < self.qty_lots_min * self.lot_atoms:
            raise ConfigError(
                "hedge.unhedged_atoms_max", self.unhedged_atoms_max,
                f"at least the hedge venue's smallest order, {self.qty_lots_min * self.lot_atoms}",
            )  # fmt: skip
        if 0 < self.order_lots_max < self.qty_lots_min:
            raise ConfigError(
                "hedge.order_lots_max", self.order_lots_max, f"0, or at least {self.qty_lots_min}"
            )
        if self.exposure_ns_max <= self.delay_ns:
            raise ConfigError("hedge.exposure_ns_max", self.exposure_ns_max, "more than the delay")
        if not 0 <= self.slippage_ppm < PPM:
            raise ConfigError("hedge.slippage_ppm", self.slippage_ppm, f"from 0 to under {PPM}")
        if self.when not in ("always", "profitable"):
            raise ConfigError("hedge.when", self.when, '"always" or "profitable"')

    def least_lots(self, price_ticks: int) -> int:
        """Return the least quantity of an order at a price."""
        by_cost = -(-self.notional_ticklots_min // price_ticks) if price_ticks > 0 else 0
        return max(1, self.qty_lots_min, by_cost)

    def check_price(self, price_ticks: int) -> None:
        """Refuse terms under which the hedge venue would take no order at its price of now.

        Raises:
            ConfigError: the most that may be unhedged, or a part, costs less than its least order.
        """
        least_lots = self.least_lots(price_ticks)
        least = f"at least the hedge venue's smallest order, {least_lots} lots at {price_ticks}"
        if self.unhedged_atoms_max < least_lots * self.lot_atoms:
            lots = self.unhedged_atoms_max // self.lot_atoms
            raise ConfigError("hedge.unhedged_atoms_max", f"{lots} lots", least)
        if 0 < self.order_lots_max < least_lots:
            raise ConfigError("hedge.order_lots_max", self.order_lots_max, f"0, or {least}")

    def edge_floor_ppm(self, half_spread_ppm: int) -> int:
        """Return what a quote must keep from the reference, beyond its own maker fee, for its fill
        to be hedged without a loss.

        Taker fee, half the hedge venue's spread, the allowances for slippage and latency, and the
        least edge. Spread and slippage count up to the slippage bound: a hedge never pays more. Add
        it to the strategy's `min_edge`: the grid's `fee_floor_ppm` is the maker fee plus that.
        """
        if half_spread_ppm < 0:
            raise ConfigError("half_spread_ppm", half_spread_ppm, "at least 0")
        reach_ppm = min(self.slippage_ppm, half_spread_ppm + self.allowance_ppm)
        return self.taker_fee_ppm + reach_ppm + self.latency_ppm + self.edge_ppm_min


_LEAST: Final = {
    "lot_atoms": 1, "qty_lots_min": 0, "notional_ticklots_min": 0, "unhedged_atoms_max": 1,
    "urgent_atoms": 1, "order_lots_max": 0, "latency_ppm": 0, "allowance_ppm": 0,
    "quote_atoms_min": 1, "delay_ns": 0, "deadline_ns": 1,
    "lag_ns": 0, "ack_ns": 1, "rest_ns": 1, "book_ns_max": 1, "resume_ns": 0,
    "exposure_ns_max": 1, "doubt_ns_max": 1, "attempts_max": 1, "backoff_ns": 1,
    "backoff_ns_max": 1, "live_max": 1,
}  # fmt: skip


class HedgeUnits(Struct, frozen=True):
    """The two pairs in one unit: base atoms for quantities, hedge ticks times atoms for money.

    `rate` is the price of the quoting venue's quote currency in the hedge venue's, 1 when they are
    the same.
    """

    quoting: Instrument
    hedge: Instrument
    atom: Decimal
    rate: Fraction = Fraction(1)

    @classmethod
    def of(cls, quoting: Instrument, hedge: Instrument, rate: Fraction | None = None) -> HedgeUnits:
        """Join two pairs.

        Raises:
            ConfigError: they are not of one base asset, or their quote currencies differ and no
                rate is given.
        """
        if quoting.base != hedge.base:
            raise ConfigError("hedge", hedge.name, f"a pair of {quoting.base}")
        if rate is None and quoting.quote != hedge.quote:
            raise ConfigError("hedge", hedge.name, f"a pair in {quoting.quote}, or a rate")
        rate = Fraction(1) if rate is None else rate
        if rate <= 0:
            raise ConfigError("hedge.rate", str(rate), "more than zero")
        decimals = max(
            quoting.base_decimals, hedge.base_decimals, quoting.qty_decimals, hedge.qty_decimals
        )
        return cls(quoting, hedge, Decimal(1).scaleb(-decimals), rate)

    def atoms(self, qty: Decimal) -> int:
        """Convert a quantity of base, or a fee in it, to atoms; a finer one rounds up."""
        return int((qty / self.atom).to_integral_value(ROUND_CEILING))

    def quote_atoms(self, lots: int) -> int:
        """Convert lots of the quoting venue."""
        return self.atoms(self.quoting.qty(lots))

    @property
    def lot_atoms(self) -> int:
        """Atoms in a lot of the hedge venue."""
        return self.atoms(self.hedge.lot_size)

    def tickatoms(self, money: Decimal, *, quoting: bool) -> int:
        """Convert an amount of quote currency, of the quoting venue or of the hedge venue."""
        exact = Fraction(money) / (Fraction(self.hedge.tick_size) * Fraction(self.atom))
        return round(exact * self.rate if quoting else exact)

    def money(self, tickatoms: int) -> Decimal:
        """Convert tickatoms to the hedge venue's quote currency, to its atoms."""
        exact = Decimal(tickatoms) * self.hedge.tick_size * self.atom
        step = Decimal(1).scaleb(-self.hedge.quote_decimals)
        return exact.quantize(step, ROUND_HALF_EVEN)

    def terms(
        self,
        *,
        unhedged_max: Decimal,
        slippage_ppm: int,
        taker_fee_ppm: int,
        urgent_share_ppm: int = PPM // 2,
        **others: int | Literal["always", "profitable"],
    ) -> HedgeTerms:
        """Make the terms of a hedge between the two pairs; `others` are fields of `HedgeTerms`."""
        most = int(unhedged_max / self.atom)
        made = HedgeTerms(
            lot_atoms=self.lot_atoms,
            qty_lots_min=self.hedge.qty_lots_min,
            notional_ticklots_min=self.hedge.notional_ticklots_min,
            unhedged_atoms_max=most,
            quote_atoms_min=max(1, self.quote_atoms(self.quoting.qty_lots_min)),
            urgent_atoms=max(1, most * urgent_share_ppm // PPM),
            taker_fee_ppm=taker_fee_ppm,
            slippage_ppm=slippage_ppm,
        )
        return replace(made, **others)
