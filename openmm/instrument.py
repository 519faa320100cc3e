"""A traded pair: its names, steps and minimums; text to ticks, lots and atoms and back."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from msgspec import Struct

from openmm.errors import ConfigError

# Prices and quantities are bounded when an instrument is loaded, so that int64 arithmetic on
# ticks and lots cannot overflow; notional is 128-bit.
TICKS_MAX = 1 << 40
LOTS_MAX = 1 << 52
# Of steps and minimums, beyond any venue's: larger ones are slow or impossible to divide by.
EXPONENT_MAX = 30


def _is_within_reason(value: Decimal) -> bool:
    return value.is_finite() and abs(value.adjusted()) <= EXPONENT_MAX


class Instrument(Struct, frozen=True):
    """One pair on one venue. Steps and minimums are exact decimals in the venue's units."""

    venue: str
    name: str  # ours and the venue's public one: "BTC/USD"
    base: str
    quote: str
    price_decimals: int
    qty_decimals: int
    tick_size: Decimal
    lot_size: Decimal
    qty_min: Decimal
    cost_min: Decimal
    base_decimals: int  # atoms of the base asset: 10**-base_decimals
    quote_decimals: int
    status: str = "online"
    maker_fee_ppm: int | None = None
    taker_fee_ppm: int | None = None

    def __post_init__(self) -> None:
        for field in ("tick_size", "lot_size"):
            value: Decimal = getattr(self, field)
            if not _is_within_reason(value) or value <= 0:
                raise ConfigError(f"{self.venue}.{self.name}.{field}", value, "a positive decimal")
        for field in ("qty_min", "cost_min"):
            value = getattr(self, field)
            if not _is_within_reason(value) or value < 0:
                raise ConfigError(f"{self.venue}.{self.name}.{field}", value, "a decimal from 0")
        if not 0 <= self.price_decimals <= 15 or not 0 <= self.qty_decimals <= 15:
            raise ConfigError(
                f"{self.venue}.{self.name}.decimals",
                (self.price_decimals, self.qty_decimals),
                "0 to 15 decimals",
            )
        if self.tick_points * self._unit(self.price_decimals) != self.tick_size:
            raise ConfigError(
                f"{self.venue}.{self.name}.tick_size", self.tick_size, "a multiple of its precision"
            )
        if self.lot_points * self._unit(self.qty_decimals) != self.lot_size:
            raise ConfigError(
                f"{self.venue}.{self.name}.lot_size", self.lot_size, "a multiple of its precision"
            )

    @staticmethod
    def _unit(decimals: int) -> Decimal:
        return Decimal(1).scaleb(-decimals)

    @property
    def tick_points(self) -> int:
        """Tick size in units of 10**-price_decimals."""
        return int(self.tick_size.scaleb(self.price_decimals))

    @property
    def lot_points(self) -> int:
        """Lot size in units of 10**-qty_decimals."""
        return int(self.lot_size.scaleb(self.qty_decimals))

    @property
    def qty_lots_min(self) -> int:
        """Smallest order, in lots, rounded up."""
        return int((self.qty_min / self.lot_size).to_integral_value(ROUND_CEILING))

    @property
    def notional_ticklots_min(self) -> int:
        """Smallest cost of an order, in ticklots, rounded up."""
        unit = self.tick_size * self.lot_size
        return int((self.cost_min / unit).to_integral_value(ROUND_CEILING))

    def floor_ticks(self, price: Decimal) -> int:
        """Round a price down to ticks."""
        return int((price / self.tick_size).to_integral_value(ROUND_FLOOR))

    def ceil_ticks(self, price: Decimal) -> int:
        """Round a price up to ticks."""
        return int((price / self.tick_size).to_integral_value(ROUND_CEILING))

    def exact_ticks(self, price: Decimal) -> int:
        """Convert a price that must be a whole number of ticks; raise ValueError otherwise."""
        ticks = price / self.tick_size
        if ticks != ticks.to_integral_value():
            raise ValueError(f"price is finer than the tick {self.tick_size}: {price}")
        return int(ticks)

    def exact_lots(self, qty: Decimal) -> int:
        """Convert a quantity that must be a whole number of lots; raise ValueError otherwise."""
        lots = qty / self.lot_size
        if lots != lots.to_integral_value():
            raise ValueError(f"quantity is finer than the lot {self.lot_size}: {qty}")
        return int(lots)

    def floor_lots(self, qty: Decimal) -> int:
        """Round a quantity down to lots."""
        return int((qty / self.lot_size).to_integral_value(ROUND_FLOOR))

    def price(self, ticks: int) -> Decimal:
        """Convert ticks to a price with the pair's decimals."""
        return Decimal(ticks * self.tick_points).scaleb(-self.price_decimals)

    def qty(self, lots: int) -> Decimal:
        """Convert lots to a quantity with the pair's decimals."""
        return Decimal(lots * self.lot_points).scaleb(-self.qty_decimals)

    def notional(self, ticklots: int) -> Decimal:
        """Convert ticklots to an exact amount of the quote asset."""
        return Decimal(ticklots) * self.tick_size * self.lot_size

    def spec(self) -> dict[str, int]:
        """Return the fields of `_fast.units.InstrumentSpec`."""
        return {
            "tick_points": self.tick_points,
            "lot_points": self.lot_points,
            "qty_lots_min": self.qty_lots_min,
            "qty_lots_max": LOTS_MAX,
            "notional_ticklots_min": self.notional_ticklots_min,
            "price_decimals": self.price_decimals,
            "qty_decimals": self.qty_decimals,
        }
