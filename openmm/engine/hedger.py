"""A bot's hedge, as [hedge] of its file tells: its venue and log, and what it tells the quotes.

`engine.hedging` carries hedges out; here is what a bot needs beside that. How much may be quoted,
and what a quote has to keep, go to the step as entries: a replay knows them. The hedge venue's
balances are held against the hedges' executions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Protocol, final

from msgspec import Struct

from openmm._fast.units import Side
from openmm.clock import Clock
from openmm.config import BotConfig, Hedge
from openmm.config.values import PPM
from openmm.engine.hedging import Hedging
from openmm.engine.neighbours import hedge_guard
from openmm.engine.pretend import HedgeDesk, PaperHedgeDesk
from openmm.errors import ConfigError, VenueError
from openmm.events import BalanceUpdated, OrderFilled
from openmm.execution.hedge import HedgeTerms, HedgeUnits
from openmm.execution.hedge.messages import Incident, Released
from openmm.instrument import Instrument
from openmm.telemetry import HEDGE_STOPS, HedgePage
from openmm.venues.connector import Keys
from openmm.venues.desk import Desk, connect

log = logging.getLogger(__name__)

# Room is told in steps of so much of all of it, and an edge in so many millionths: neither follows
# every message of the hedge venue.
ROOM_STEPS: Final = 256
EDGE_STEP_PPM: Final = 10
STOP_S: Final = 20.0
SIDES: Final = (Side.BUY, Side.SELL)


class Told(Struct, frozen=True):
    """What the quotes were told last."""

    bid_lots: int = 0
    ask_lots: int = 0
    edge_ppm: int = 0


class Listener(Protocol):
    """What a hedge needs of its engine."""

    def hedge_told(self, told: Told) -> None:
        """Quote within what was told."""
        ...

    def hedge_filled(self, event: OrderFilled) -> None:
        """Put a hedge's execution on record."""
        ...

    def hedge_incident(self, incident: Incident) -> None:
        """Tell people."""
        ...

    def hedge_differs(self, text: str, asset: str, amount: Decimal, *, halt: bool) -> None:
        """Tell people of money that does not add up, and halt where it is too much."""
        ...


def hedge_terms(hedge: Hedge, units: HedgeUnits, taker_fee_ppm: int) -> HedgeTerms:
    """Return the terms of a hedge as its table of the file tells them.

    Raises:
        ConfigError: they cannot hold at that venue.
    """
    order_max = hedge.order_max
    return units.terms(
        unhedged_max=hedge.unhedged_max,
        slippage_ppm=hedge.slippage_ppm,
        taker_fee_ppm=taker_fee_ppm,
        urgent_share_ppm=hedge.urgent_ppm,
        order_lots_max=0 if order_max is None else max(1, units.hedge.floor_lots(order_max)),
        when=hedge.when,
        delay_ns=hedge.delay_ns,
        edge_ppm_min=hedge.edge_min_ppm,
        latency_ppm=hedge.latency_allowance_ppm,
        allowance_ppm=hedge.slippage_allowance_ppm,
        deadline_ns=hedge.deadline_ns,
        book_ns_max=hedge.max_book_age_ns,
        resume_ns=hedge.resume_after_ns,
        exposure_ns_max=hedge.exposure_max_ns,
        doubt_ns_max=hedge.doubt_max_ns,
        attempts_max=hedge.attempts_max,
    )


def log_name(config: BotConfig) -> str:
    """Name the hedge's log in the bot's folder: one a mode, venue and pair."""
    hedge = config.hedge
    assert hedge is not None
    return f"hedge-{config.bot.mode}-{hedge.venue}-{hedge.pair.replace('/', '-')}.log"


@final
class Hedger:
    """Hedge what a bot's orders fill.

    Args:
        keys: of the hedge venue; None on paper.
        folder: of the bot.
        listener: the engine.
    """

    def __init__(
        self, config: BotConfig, keys: Keys | None, clock: Clock, folder: Path, listener: Listener
    ) -> None:
        assert config.hedge is not None, "the file tells of a hedge"
        self._config = config
        self._hedge = config.hedge
        self._keys = keys
        self._folder = folder
        self._listener = listener
        ends = self._hedge.endpoints
        told = {
            key: url for key in ("ws", "ws_auth", "rest") if (url := getattr(ends, key)) is not None
        }
        self._desk: Desk = connect(
            self._hedge.venue, keys, endpoints=told, options=self._hedge.options, clock=clock
        )
        self._venue: HedgeDesk = self._desk
        self._made: Hedging | None = None
        self._begun = False
        self._telling = False
        self._due = False
        self._taken_off = False  # the checks took a fill off what was told
        self.told = Told()
        self.fill_count = 0
        self.last_ns: int | None = None
        # What hedges moved since the start, by asset, and what was there before them.
        self._flow: dict[str, Decimal] = {}
        self._opening: dict[str, Decimal] | None = None
        self._seen: dict[str, Decimal] = {}
        self._bought = self._sold = Decimal(0)
        self._fees: dict[str, Decimal] = {}
        self._realised_before = 0  # by the log's sessions before, in tickatoms

    @property
    def connected(self) -> bool:
        """Whether it has been connected."""
        return self._made is not None

    @property
    def hedging(self) -> Hedging:
        """What carries hedges out; there once connected."""
        assert self._made is not None, "connect comes first"
        return self._made

    # ------------------------------------------------------------------ life

    async def connect(self, quoted: Instrument) -> None:
        """Ask the venue for its facts, take its account, and read the log.

        Raises:
            ConfigError: the terms do not hold at that venue, or its fee is not known.
            RiskError: the account is another's, or not at a simulated venue.
            VenueError: the venue does not answer.
            BoardError: no row among the bots of this host can be had.
        """
        hedge = self._hedge
        pairs = await self._desk.get_instruments()
        pair = pairs.get(hedge.pair)
        if pair is None:
            raise ConfigError("hedge.pair", hedge.pair, f"a pair that {hedge.venue} lists")
        rate = None if hedge.price_rate is None else Fraction(hedge.price_rate)
        units = HedgeUnits.of(quoted, pair, rate)
        fee_ppm = pair.taker_fee_ppm if hedge.taker_fee_ppm is None else hedge.taker_fee_ppm
        if self._keys is not None:
            self._desk.claim()
            if hedge.taker_fee_ppm is None:
                fee_ppm = (await self._desk.get_fees(hedge.pair)).taker_ppm
        if fee_ppm is None:
            raise ConfigError("hedge.taker_fee", "nothing", "a fee: the venue does not tell it")
        if self._keys is None:
            money = {pair.base: hedge.paper_base, pair.quote: hedge.paper_quote}
            self._venue = PaperHedgeDesk(
                self._desk, pair, fee_ppm, money, self._config.paper.latency_ns
            )
        guard = None
        if self._keys is not None and self._config.risk.neighbours != "off":
            guard = hedge_guard(self._desk, pair, self._config.bot.name)
        self._flow = {pair.base: Decimal(0), pair.quote: Decimal(0)}
        self._made = Hedging(
            self._venue, units, hedge_terms(hedge, units, fee_ppm),
            self._folder / log_name(self._config), on_incident=self._listener.hedge_incident,
            on_told=self._on_told, on_hedged=self._on_hedged, guard=guard,
        )  # fmt: skip

    async def open(self) -> None:
        """Open the streams; the quotes are told of room once the venue was healthy for a while.

        Raises:
            ConfigError: no order under these terms is large enough at the venue's price.
            VenueError: the venue does not tell that price.
        """
        await self.hedging.__aenter__()
        self._realised_before = self.hedging.machine.cost.realised_tickatoms
        self._begun = True

    def begin(self) -> None:
        """Tell the quotes from now on: the engine can hear it."""
        self._telling = True
        self._tell()

    async def close(self, seconds: float | None = None) -> bool:
        """Hedge what can be, cancel and prove the rest; returns whether no hedge order is open."""
        if self._made is None or not self._begun:
            return True
        self._begun = self._telling = False
        return await self._made.close(STOP_S if seconds is None else seconds)

    async def disconnect(self) -> None:
        """Give back connections and the account."""
        if self._made is not None:
            self._made.drop()
        await self._desk.close()

    # ------------------------------------------------------------------ what is

    @property
    def unhedged(self) -> Decimal:
        """Net of both venues in base: positive is long."""
        return self.hedging.machine.net_atoms * self.hedging.units.atom

    @property
    def state(self) -> str:
        """Why nothing may be quoted; "" while something may."""
        stopped = self.hedging.machine.stopped
        return "" if stopped is None else stopped.value

    def told_at_end(self) -> str:
        """Say what the session's hedges came to, for its report.

        What is realised is of both venues together, by average cost and net of all their fees.
        """
        units, cost = self.hedging.units, self.hedging.machine.cost
        pair = units.hedge
        realised = units.money(cost.realised_tickatoms - self._realised_before)
        fees = ", ".join(f"{paid:f} {asset}" for asset, paid in sorted(self._fees.items()))
        return (
            f"hedge on {self._hedge.label}: {self.fill_count} fills, bought {self._bought:f} and "
            f"sold {self._sold:f} {pair.base}, fees {fees or 'none'}; realised {realised:+f} "
            f"{pair.quote} on both venues, net of fees; {self.unhedged:+f} {pair.base} unhedged"
        )

    def page(self) -> HedgePage:
        """Return what the telemetry page shows."""
        machine, lot = self.hedging.machine, self.hedging.units.quote_atoms(1)
        stopped = machine.stopped
        return HedgePage(
            1, 0 if stopped is None else 1 + HEDGE_STOPS.index(stopped.value),
            round(Fraction(machine.net_atoms, lot)), self.told.bid_lots, self.told.ask_lots,
            self.told.edge_ppm, len(machine.orders.live), self.fill_count, self.last_ns or 0,
        )  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """Return what people are shown: of this session, and the position of all."""
        cost, units = self.hedging.machine.cost, self.hedging.units
        return {
            "venue": self._hedge.label, "pair": self._hedge.pair, "state": self.state or "hedging",
            "unhedged": f"{self.unhedged:f}", "fills": self.fill_count, "last_ns": self.last_ns,
            "realised": f"{units.money(cost.realised_tickatoms):f}",
            "orders": len(self.hedging.machine.orders.live), "edge_ppm": self.told.edge_ppm,
        }  # fmt: skip

    # ------------------------------------------------------------------ the quotes

    def on_fill(self, event: OrderFilled) -> None:
        """Take an execution of the quoting venue."""
        self._taken_off = True
        self.hedging.on_fill(event)

    def release(self) -> None:
        """Let go of what waits for a person: the operator has looked."""
        if self._begun:
            self.hedging.tell(Released(self._desk.now_ns()))

    def _on_told(self) -> None:
        """Tell the quotes, in the loop's next turn: this may be called from within the step."""
        if not self._due and self._telling:
            self._due = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._due = False
        told = self._wanted()
        # The checks have less than was told once something filled: fills below a step would add up,
        # hedged or not, until nothing is left to quote.
        if (told != self.told or self._taken_off) and self._telling:
            self.told, self._taken_off = told, False
            self._listener.hedge_told(told)

    def _wanted(self) -> Told:
        machine, lot = self.hedging.machine, self.hedging.units.quote_atoms(1)
        step = max(1, machine.terms.unhedged_atoms_max // lot // ROOM_STEPS)
        bid, ask = (
            0 if machine.is_stopped(side)
            else max(0, machine.capacity_atoms(side)) // lot // step * step
            for side in SIDES
        )  # fmt: skip
        edge_ppm, before = machine.edge_floor_ppm(), self.told.edge_ppm
        if edge_ppm is None or before - 2 * EDGE_STEP_PPM < edge_ppm <= before:
            edge_ppm = before
        else:
            edge_ppm = -(-edge_ppm // EDGE_STEP_PPM) * EDGE_STEP_PPM
        return Told(bid, ask, edge_ppm)

    # ------------------------------------------------------------------ money

    def _on_hedged(self, event: OrderFilled) -> None:
        self.fill_count += 1
        self.last_ns = event.ts_ns
        pair = self.hedging.units.hedge
        sign = 1 if event.side == Side.BUY else -1
        if event.side == Side.BUY:
            self._bought += pair.qty(event.qty_lots)
        else:
            self._sold += pair.qty(event.qty_lots)
        for fee in event.fees:
            self._fees[fee.asset] = self._fees.get(fee.asset, Decimal(0)) + fee.amount
        self._flow[pair.base] += sign * pair.qty(event.qty_lots)
        self._flow[pair.quote] -= sign * event.cost
        for fee in event.fees:
            if fee.asset in self._flow:
                self._flow[fee.asset] -= fee.amount
        self._listener.hedge_filled(event)

    async def look(self) -> None:
        """Reconcile once; a venue that does not answer is asked again the next time."""
        try:
            await self.reconcile()
        except VenueError as error:
            log.warning("hedge reconciliation: %s", error)

    async def reconcile(self) -> None:
        """Hold the hedge venue's balances against the hedges' executions, while none is open.

        A difference that two looks in a row tell is an incident.

        Raises:
            VenueError: the venue did not tell.
        """
        if not self._begun or self.hedging.machine.orders.live:
            return
        before = dict(self._flow)
        balances = await self._venue.get_balance()
        if self.hedging.machine.orders.live or before != self._flow:
            return  # a hedge went in between
        held = {
            asset: balances[asset].total if asset in balances else Decimal(0) for asset in before
        }
        now_ns = self._desk.now_ns()
        for asset, total in held.items():
            # What a stream did not tell: quotes go no further than the funds reach.
            told = BalanceUpdated(asset, total, None, Decimal(0), "snapshot", "", now_ns)
            self.hedging.on_balance(told)
        if self._opening is None:
            self._opening = {asset: total - before[asset] for asset, total in held.items()}
            return
        opening = self._opening
        differs = {
            asset: off
            for asset, total in held.items()
            if (off := total - opening[asset] - before[asset])
        }
        lasting = {asset: off for asset, off in differs.items() if self._seen.get(asset) == off}
        self._seen = differs
        self._judge(lasting, held)

    def _judge(self, differs: Mapping[str, Decimal], held: Mapping[str, Decimal]) -> None:
        """Tell of what differs, once, and take it for the books' from then on."""
        assert self._opening is not None
        pair, limits = self.hedging.units.hedge, self._config.settlement
        mid_uticks = self.hedging.machine.mid_uticks
        price = Decimal(0) if mid_uticks is None else mid_uticks * pair.tick_size / PPM
        worth = {pair.base: price, pair.quote: Decimal(1)}
        equity = sum((held[asset] * worth[asset] for asset in held), Decimal(0))
        for asset, off in differs.items():
            share_ppm = PPM if equity <= 0 else abs(off) * worth[asset] * PPM / equity
            decimals = pair.base_decimals if asset == pair.base else pair.quote_decimals
            dust = self.fill_count * Decimal(1).scaleb(-decimals)
            if abs(off) <= dust or (worth[asset] and share_ppm <= limits.alert_above_ppm):
                continue
            self._opening[asset] += off
            self._seen.pop(asset, None)
            text = (
                f"the hedge venue {self._hedge.label} holds {off:+f} {asset} beside what the "
                "hedges account for"
            )
            # Of a worth that nothing tells, any difference is too much.
            halt = not worth[asset] or share_ppm > limits.halt_above_ppm
            self._listener.hedge_differs(text, asset, off, halt=halt)
