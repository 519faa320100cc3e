"""A seeded synthetic market, endless: fair value, volatility spells, clustered order flow.

Model, all of it estimates in floats that become ticks and lots in `_price` and `_qty`:

* Fair value: a random walk in the logarithm, stepped on a fixed grid, with a constant drift if
  asked for. Its volatility switches between a calm and a volatile regime after exponential times.
* Arrivals: one self-exciting process (exponential kernel) for all of the market's orders, twice
  over in a volatile spell. Source: Hawkes, Biometrika 58(1), 1971; thinning after Ogata, IEEE
  Trans. Inf. Theory 27(1), 1981.
* Each arrival is a limit order at a geometric distance from the fair value, a cancellation of a
  random market order, or a taker whose side persists. A side thinner than its target gets more
  limit orders and fewer cancellations: depth refills.
* After each step of the fair value informed takers trade what rests on the wrong side of it, so
  a stale quote is picked off; most of the market's own stale orders are withdrawn first, and
  most of those come back at new prices.

The fair value has its own random stream: trading against this market does not change its path.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from openmm._fast.matching import Tif
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.sim.accounts import NS
from openmm.sim.core import ASK, BID, BUY, SELL, VenueCore

YEAR_S = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class MarketOptions:
    """Parameters of the market. Volatilities are annual; times in seconds; bps of the price."""

    start_price: Decimal
    calm_volatility: float = 0.40
    volatile_volatility: float = 1.60
    calm_s: float = 150.0
    volatile_s: float = 30.0
    first_spell_s: float = 90.0  # the first calm spell ends after exactly this
    step_s: float = 0.1
    arrivals_per_s: float = 12.0
    excitation: float = 0.55  # expected children of an arrival, below 1
    memory_s: float = 0.5
    half_spread_bps: float = 0.25
    depth_bps: float = 5.0  # mean distance of a limit order
    orders_a_side: int = 120
    order_notional: float = 4_000.0  # median, in the quote asset
    taker_share: float = 0.12
    side_persistence: float = 0.6
    drift_bps_per_min: float = 0.0  # of the fair value, beside its walk

    def __post_init__(self) -> None:
        if self.start_price <= 0:
            raise ConfigError("sim.start_price", self.start_price, "a positive price")
        if not 0 <= self.excitation < 1:
            raise ConfigError("sim.market.excitation", self.excitation, "0 up to below 1")
        for name in ("step_s", "arrivals_per_s", "memory_s", "calm_s", "volatile_s", "depth_bps"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"sim.market.{name}", getattr(self, name), "above 0")


class SyntheticMarket:
    """Drive one instrument of a core as owner 0, from `start_ns` on.

    Args:
        pair: the instrument; it must be matched here (not recorded).
        seed: the same seed and calls give the same market.
        start_ns: when it begins.
        options: its parameters.
    """

    def __init__(self, pair: Instrument, seed: int, start_ns: int, options: MarketOptions) -> None:
        self.pair = pair
        self.options = options
        self._walk = Random(f"fair:{seed}")
        self._flow = Random(f"flow:{seed}")
        self._log_fair = math.log(float(options.start_price))
        self._volatile = False
        self._start_ns = start_ns
        self._spell_ns = start_ns + round(options.first_spell_s * NS)
        self._fair_ns = start_ns
        self._arrival_ns = start_ns
        self._excited = 0.0  # intensity above the base, at `_excited_ns`
        self._excited_ns = start_ns
        self._side = BUY
        self._resting: dict[int, list[tuple[int, int]]] = {BUY: [], SELL: []}
        self._seeded = False

    @property
    def next_ns(self) -> int | None:
        """Return when the market acts next."""
        return min(self._fair_ns, self._arrival_ns)

    @property
    def fair_price(self) -> float:
        """Return the fair value in price units (an estimate, for charts and tests)."""
        return math.exp(self._log_fair)

    @property
    def volatile(self) -> bool:
        """Return whether a volatile spell is on."""
        return self._volatile

    def shock(self, share: float) -> None:
        """Move the fair value by a share of itself, at once."""
        self._log_fair += math.log1p(share)

    def skip(self, now_ns: int) -> None:
        """Pass over a halt: nobody trades here, and the fair value goes on without this venue."""
        while self._seeded and self._fair_ns < now_ns:
            self._move_fair()
        self._fair_ns = max(self._fair_ns, now_ns)
        self._arrival_ns = max(self._arrival_ns, now_ns)
        self._excited_ns = max(self._excited_ns, now_ns)

    def fire(self, core: VenueCore) -> None:
        """Act once."""
        if not self._seeded:
            self._seed_book(core)
        elif self._fair_ns <= self._arrival_ns:
            self._step(core)
        else:
            self._arrive(core)

    # ---- fair value

    def _seed_book(self, core: VenueCore) -> None:
        self._seeded = True
        for _ in range(self.options.orders_a_side):
            for side in (BUY, SELL):
                self._add_limit(core, side, self._start_ns)
        self._fair_ns = self._start_ns + round(self.options.step_s * NS)
        self._arrival_ns = self._next_arrival(self._start_ns)

    def _step(self, core: VenueCore) -> None:
        now_ns = self._fair_ns
        self._move_fair()
        fair = self.fair_price
        self._pick_off(core, SELL, fair, now_ns)
        self._pick_off(core, BUY, fair, now_ns)

    def _move_fair(self) -> None:
        """Take the walk's next step: its draws follow the clock alone, whatever happens here."""
        options, now_ns = self.options, self._fair_ns
        while self._spell_ns <= now_ns:
            self._volatile = not self._volatile
            mean_s = options.volatile_s if self._volatile else options.calm_s
            self._spell_ns += max(1, round(self._walk.expovariate(1 / mean_s) * NS))
        annual = options.volatile_volatility if self._volatile else options.calm_volatility
        self._log_fair += self._walk.gauss(0.0, annual * math.sqrt(options.step_s / YEAR_S))
        self._log_fair += options.drift_bps_per_min / 10_000 * options.step_s / 60
        self._fair_ns = now_ns + round(options.step_s * NS)

    def _pick_off(self, core: VenueCore, taker_side: int, fair: float, now_ns: int) -> None:
        """Withdraw the market's stale orders, then take what is still on the wrong side."""
        maker_side = BUY + SELL - taker_side
        edge = fair * self.options.half_spread_bps / 10_000
        limit = fair + edge if taker_side == SELL else fair - edge
        limit_ticks = self._ticks(limit, up=taker_side == SELL)
        book_side = BID if maker_side == BUY else ASK
        best = core.depth(self.pair.name, book_side, 1)
        if not best or not self._beyond(maker_side, best[0][0], limit_ticks):
            return
        kept, moved = [], 0
        for number, price_ticks in self._resting[maker_side]:
            stale = self._beyond(maker_side, price_ticks, limit_ticks)
            if stale and self._flow.random() < 0.85:
                moved += core.market_cancel(self.pair.name, number, now_ns)
            else:
                kept.append((number, price_ticks))
        self._resting[maker_side] = kept
        rows = core.depth(self.pair.name, book_side, 50)
        lots = sum(qty for price, qty in rows if self._beyond(maker_side, price, limit_ticks))
        if lots:
            core.market_submit(self.pair.name, taker_side, limit_ticks, lots, Tif.IOC, now_ns)
        for _ in range(moved):
            if self._flow.random() < 0.8:
                self._add_limit(core, maker_side, now_ns)

    @staticmethod
    def _beyond(maker_side: int, price_ticks: int, limit_ticks: int) -> bool:
        return price_ticks >= limit_ticks if maker_side == BUY else price_ticks <= limit_ticks

    # ---- order flow

    def _next_arrival(self, now_ns: int) -> int:
        """Draw the next arrival by thinning; the intensity only falls between arrivals."""
        options = self.options
        base = options.arrivals_per_s * (2.0 if self._volatile else 1.0)
        at_ns = now_ns
        while True:
            ceiling = base + self._intensity(at_ns)
            at_ns += max(1, round(self._flow.expovariate(ceiling) * NS))
            if self._flow.random() * ceiling <= base + self._intensity(at_ns):
                return at_ns

    def _intensity(self, now_ns: int) -> float:
        age_s = (now_ns - self._excited_ns) / NS
        return self._excited * math.exp(-age_s / self.options.memory_s)

    def _arrive(self, core: VenueCore) -> None:
        options, now_ns, draw = self.options, self._arrival_ns, self._flow.random
        self._excited = self._intensity(now_ns) + options.excitation / options.memory_s
        self._excited_ns = now_ns
        if draw() < options.taker_share:
            if draw() > options.side_persistence:
                self._side = BUY + SELL - self._side
            self._add_taker(core, self._side, now_ns)
        else:
            side = BUY if draw() < 0.5 else SELL
            # Full sides lose orders, thin sides gain them; at the target both are as likely.
            fill = len(self._resting[side]) / options.orders_a_side
            if draw() < 1.0 / (1.0 + math.exp(6.0 * (fill - 1.0))):
                self._add_limit(core, side, now_ns)
            else:
                self._drop_one(core, side, now_ns)
        self._arrival_ns = self._next_arrival(now_ns)

    def _add_taker(self, core: VenueCore, side: int, now_ns: int) -> None:
        fair = self.fair_price
        reach = fair * 4 * self.options.half_spread_bps / 10_000
        limit = fair + reach if side == BUY else fair - reach
        core.market_submit(
            self.pair.name,
            side,
            self._ticks(limit, up=side == BUY),
            self._qty(fair),
            Tif.IOC,
            now_ns,
        )

    def _add_limit(self, core: VenueCore, side: int, now_ns: int) -> None:
        options, fair = self.options, self.fair_price
        distance = options.half_spread_bps + self._flow.expovariate(1 / options.depth_bps)
        offset = fair * distance / 10_000
        price_ticks = self._ticks(fair - offset if side == BUY else fair + offset, up=side == SELL)
        lots = self._qty(fair)
        number = core.market_submit(self.pair.name, side, price_ticks, lots, Tif.GTC, now_ns)
        if number:
            self._resting[side].append((number, price_ticks))

    def _drop_one(self, core: VenueCore, side: int, now_ns: int) -> None:
        """Withdraw a random order of a side; forget those that traded away."""
        rows = self._resting[side]
        while rows:
            at = self._flow.randrange(len(rows))
            rows[at], rows[-1] = rows[-1], rows[at]
            number, _ = rows.pop()
            if core.market_cancel(self.pair.name, number, now_ns):
                return

    # ---- the one place where estimates become integers

    def _ticks(self, price: float, up: bool) -> int:
        steps = price / float(self.pair.tick_size)
        return max(1, math.ceil(steps) if up else math.floor(steps))

    def _qty(self, fair: float) -> int:
        notional = self.options.order_notional * math.exp(self._flow.gauss(0.0, 1.0))
        lots = round(notional / fair / float(self.pair.lot_size))
        return max(self.pair.qty_lots_min, 1, lots)


def market_options(price: Decimal, overrides: Mapping[str, float]) -> MarketOptions:
    """Return default options at a price, some replaced by name.

    Raises:
        ConfigError: if a name is not an option or a value not in range.
    """
    known = set(MarketOptions.__dataclass_fields__) - {"start_price"}
    for name, value in overrides.items():
        if name not in known:
            raise ConfigError(f"sim.market.{name}", value, f"one of {', '.join(sorted(known))}")
    whole = {
        name: round(value) if name == "orders_a_side" else value
        for name, value in overrides.items()
    }
    return MarketOptions(start_price=price, **whole)  # type: ignore[arg-type]
