"""An account of the simulated venue: balances, holds, ledger, rate counters, statement.

Rounding: a fill's cost is price times quantity rounded half up to the quote asset's atoms; its fee
is the exact cost times the rate, rounded half up likewise. A buy holds its cost and fee rounded up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.venues.counterpart import FillRecord, LedgerRecord, OrderRecord, Tier

PPM = 1_000_000
NS = 1_000_000_000
BUY = 1

# Source: Kraken, Spot Trading Limits and Spot REST Rate Limits (2026).
TIERS: Mapping[str, Tier] = {
    "starter": Tier("starter", 60_000, 1_000, 60, 15_000, 330),
    "intermediate": Tier("intermediate", 125_000, 2_340, 80, 20_000, 500),
    "pro": Tier("pro", 180_000, 3_750, 225, 20_000, 1_000),
}


def half_up(value: int, unit: int) -> int:
    """Divide and round half up; `unit` > 0."""
    return (2 * value + unit) // (2 * unit)


def ceil_to(value: int, unit: int) -> int:
    """Divide and round up; `unit` > 0."""
    return -(-value // unit)


@dataclass(frozen=True, slots=True)
class Money:
    """Exact money arithmetic of one instrument."""

    instrument: Instrument

    def __post_init__(self) -> None:
        pair = self.instrument
        if pair.base_decimals < pair.qty_decimals:
            raise ConfigError(
                f"{pair.name}.base_decimals", pair.base_decimals, "at least its quantity decimals"
            )
        if pair.price_decimals + pair.qty_decimals < pair.quote_decimals:
            raise ConfigError(
                f"{pair.name}.quote_decimals", pair.quote_decimals, "at most its cost's decimals"
            )

    @property
    def _unit(self) -> int:
        pair = self.instrument
        unit: int = 10 ** (pair.price_decimals + pair.qty_decimals - pair.quote_decimals)
        return unit

    def _points(self, price_ticks: int, qty_lots: int) -> int:
        pair = self.instrument
        return price_ticks * pair.tick_points * qty_lots * pair.lot_points

    def base_atoms(self, qty_lots: int) -> int:
        """Convert lots to atoms of the base asset, exactly."""
        pair = self.instrument
        scale: int = 10 ** (pair.base_decimals - pair.qty_decimals)
        return qty_lots * pair.lot_points * scale

    def cost_atoms(self, price_ticks: int, qty_lots: int) -> int:
        """Return a fill's cost in quote atoms, half up."""
        return half_up(self._points(price_ticks, qty_lots), self._unit)

    def fee_atoms(self, price_ticks: int, qty_lots: int, fee_ppm: int) -> int:
        """Return a fill's fee in quote atoms, half up."""
        return half_up(self._points(price_ticks, qty_lots) * fee_ppm, self._unit * PPM)

    def hold_atoms(self, price_ticks: int, qty_lots: int, fee_ppm: int) -> int:
        """Return what a buy holds in quote atoms: cost and fee, rounded up."""
        points = self._points(price_ticks, qty_lots)
        return ceil_to(points * (PPM + max(0, fee_ppm)), self._unit * PPM)


@dataclass(slots=True)
class RateCounter:
    """A counter that transactions fill and time empties, continuously; in thousandths."""

    threshold_milli: int
    decay_milli_per_s: int
    _level: int = 0  # thousandths times nanoseconds
    _updated_ns: int = 0

    def level_milli(self, now_ns: int) -> int:
        """Return the counter, rounded up to a thousandth."""
        self._decay(now_ns)
        return ceil_to(self._level, NS)

    def add(self, cost_milli: int, now_ns: int, forced: bool = False) -> bool:
        """Add a cost; refuse (adding nothing) what would pass the threshold, unless forced."""
        self._decay(now_ns)
        level = self._level + cost_milli * NS
        if level > self.threshold_milli * NS and not forced:
            return False
        self._level = level
        return True

    def _decay(self, now_ns: int) -> None:
        if now_ns > self._updated_ns:
            gone = (now_ns - self._updated_ns) * self.decay_milli_per_s
            self._level = max(0, self._level - gone)
            self._updated_ns = now_ns


# Cost of touching an order by its age. Source: Kraken, Spot Trading Limits (2026).
AMEND_BY_AGE = ((5, 3_000), (10, 2_000), (15, 1_000))
CANCEL_BY_AGE = ((5, 8_000), (10, 6_000), (15, 5_000), (45, 4_000), (90, 2_000), (300, 1_000))


def cost_by_age(table: tuple[tuple[int, int], ...], age_ns: int) -> int:
    """Look up a cost in thousandths: the first row whose age in seconds is above."""
    for below_s, cost_milli in table:
        if age_ns < below_s * NS:
            return cost_milli
    return 0


@dataclass(slots=True)
class Account:
    """Everything the venue knows of one client."""

    number: int
    key: str
    secret: bytes
    tier: Tier
    maker_ppm: int
    taker_ppm: int
    decimals: dict[str, int]
    opening: dict[str, int]  # atoms
    totals: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    ledger: list[LedgerRecord] = field(default_factory=list)
    fills: list[FillRecord] = field(default_factory=list)
    orders: list[OrderRecord] = field(default_factory=list)
    live: dict[int, OrderRecord] = field(default_factory=dict)  # open orders by number
    by_venue_id: dict[str, OrderRecord] = field(default_factory=dict)
    by_client_id: dict[str, list[OrderRecord]] = field(default_factory=dict)
    rates: dict[str, RateCounter] = field(default_factory=dict)
    switch_ns: int = 0  # dead man's switch, 0 off
    refusals: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.totals = dict(self.opening)
        self.held = dict.fromkeys(self.opening, 0)

    def available(self, asset: str) -> int:
        """Return atoms that no open order holds."""
        return self.totals.get(asset, 0) - self.held.get(asset, 0)

    def hold(self, order: OrderRecord, asset: str, atoms: int) -> None:
        """Set what an order holds."""
        self.held[asset] = self.held.get(asset, 0) + atoms - order.held_atoms
        order.held_asset = asset
        order.held_atoms = atoms

    def rate(self, instrument: str) -> RateCounter:
        """Return the counter of a pair."""
        counter = self.rates.get(instrument)
        if counter is None:
            counter = RateCounter(self.tier.threshold_milli, self.tier.decay_milli_per_s)
            self.rates[instrument] = counter
        return counter

    def open_count(self, instrument: str) -> int:
        """Return how many orders of a pair are open."""
        return sum(order.instrument == instrument for order in self.live.values())

    def text(self, asset: str, atoms: int) -> str:
        """Write an amount with the asset's decimals."""
        return f"{Decimal(atoms).scaleb(-self.decimals[asset]):f}"

    def statement(self) -> dict[str, object]:
        """Return opening, ledger and closing of every asset, and every fill; amounts as text."""
        assets: dict[str, object] = {}
        for asset, opening in self.opening.items():
            rows = [entry for entry in self.ledger if entry.asset == asset]
            assets[asset] = {
                "opening": self.text(asset, opening),
                "entries": [
                    {
                        "ledger_id": row.ledger_id,
                        "ref_id": row.ref_id,
                        "kind": row.kind,
                        "amount": self.text(asset, row.amount_atoms),
                        "fee": self.text(asset, row.fee_atoms),
                        "balance": self.text(asset, row.balance_atoms),
                        "ts_ns": row.ts_ns,
                    }
                    for row in rows
                ],
                "fees": self.text(asset, sum(row.fee_atoms for row in rows)),
                "held": self.text(asset, self.held[asset]),
                "closing": self.text(asset, self.totals[asset]),
            }
        return {
            "assets": assets,
            "fills": [self._fill_row(fill) for fill in self.fills],
            "orders": len(self.orders),
            "open_orders": len(self.live),
            "refusals": dict(sorted(self.refusals.items())),
        }

    def _fill_row(self, fill: FillRecord) -> dict[str, object]:
        quote = fill.instrument.partition("/")[2]
        return {
            "exec_id": fill.exec_id,
            "order_id": fill.venue_order_id,
            "client_id": self.by_venue_id[fill.venue_order_id].client_id,
            "instrument": fill.instrument,
            "side": "buy" if fill.side == BUY else "sell",
            "price_ticks": fill.price_ticks,
            "qty_lots": fill.qty_lots,
            "cost": self.text(quote, fill.cost_atoms),
            "fee": self.text(fill.fee_asset, fill.fee_atoms),
            "fee_asset": fill.fee_asset,
            "maker": fill.maker,
            "trade_id": fill.trade_id,
            "ts_ns": fill.ts_ns,
        }
