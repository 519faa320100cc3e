"""The simulated venue without its wire: orders, matching, money, limits, modes, switch.

Pure: time comes in as an argument, chance from a seed. A dialect (`venues/<venue>/dialect.py`)
speaks for it; `sim/market.py` and `sim/replay.py` drive the market side of its books.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Protocol

from openmm._fast.matching import Executed, Matching, MatchResult, ReplayMatching, Stp, Tif
from openmm.errors import ConfigError
from openmm.events import SystemMode
from openmm.instrument import TICKS_MAX, Instrument
from openmm.sim.accounts import (
    AMEND_BY_AGE,
    CANCEL_BY_AGE,
    NS,
    PPM,
    Account,
    Money,
    cost_by_age,
    half_up,
)
from openmm.venues.counterpart import (
    Change,
    FillRecord,
    LedgerRecord,
    Listener,
    OrderRecord,
    OrderState,
    PlaceRequest,
    Refusal,
    Tier,
    TradeRecord,
)

BID, ASK = 0, 1
BUY, SELL = 1, 2
ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
TRADES_KEPT = 1000
FIRST_TRADE_ID = 70_000_000
USER = "User requested"
SELF_TRADE = "Self trade prevention"


class Driver(Protocol):
    """The market side of a book: it acts at times of its own."""

    @property
    def next_ns(self) -> int | None:
        """Return when it wants to act next, None for never."""

    def fire(self, core: VenueCore) -> None:
        """Act once, at `next_ns`."""

    def skip(self, now_ns: int) -> None:
        """Pass over the time in which nothing matched: act next after `now_ns`."""


class VenueCore:
    """Hold accounts, orders and books of a venue; carry out what a dialect asks.

    Args:
        instruments: what is traded.
        seed: makes the venue's ids; the same calls give the same ids.
        recorded: names of instruments whose book is recorded (or live): matched by queue model.
        post_only_accepted: take a post-only order that would take and cancel it at once, instead
            of refusing it.
        fee_in_received: charge a fee in what the fill brings: base for a buy, quote for a sell.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        seed: int,
        recorded: Iterable[str] = (),
        post_only_accepted: bool = False,
        fee_in_received: bool = False,
    ) -> None:
        self._post_only_accepted = post_only_accepted
        self._fee_in_received = fee_in_received
        self._fee_asset: tuple[str, int, int] | None = None
        self._instruments = {pair.name: pair for pair in instruments}
        self._money = {pair.name: Money(pair) for pair in instruments}
        names = set(recorded)
        self._recorded = {name: ReplayMatching() for name in self._instruments if name in names}
        self._books = {name: Matching() for name in self._instruments if name not in names}
        self._trades: dict[str, deque[TradeRecord]] = {
            name: deque(maxlen=TRADES_KEPT) for name in self._instruments
        }
        self._trade_ids = dict.fromkeys(self._instruments, FIRST_TRADE_ID)
        self._rng = Random(f"ids:{seed}")
        self._seed = seed
        self._accounts: dict[int, Account] = {}
        self._keys: dict[str, int] = {}
        self._orders: dict[int, OrderRecord] = {}
        self._numbers = 0
        self._expiries: list[tuple[int, int]] = []
        self._listeners: list[Listener] = []
        self._drivers: list[Driver] = []
        self._depths: dict[str, int] = {}
        self._waiting: dict[str, list[Driver]] = {}
        self._mode = SystemMode.ONLINE
        self._described: dict[str, object] = {}
        self.now_ns = 0
        self._decimals: dict[str, int] = {}
        for pair in instruments:
            for asset, decimals in (
                (pair.base, pair.base_decimals),
                (pair.quote, pair.quote_decimals),
            ):
                if self._decimals.setdefault(asset, decimals) != decimals:
                    raise ConfigError(f"{pair.name}.decimals", decimals, f"those of {asset}")

    # ---- set-up

    def open_account(
        self,
        key: str,
        secret: bytes,
        balances: Mapping[str, Decimal],
        tier: Tier,
        maker_ppm: int,
        taker_ppm: int,
    ) -> int:
        """Open an account and return its number (1, 2, ...).

        Raises:
            ConfigError: if an asset is not traded here, or an amount is negative or too fine.
        """
        opening = dict.fromkeys(self._decimals, 0)
        for asset, amount in balances.items():
            if asset not in opening:
                raise ConfigError("sim.balances", asset, f"one of {', '.join(sorted(opening))}")
            atoms = amount.scaleb(self._decimals[asset])
            if amount < 0 or atoms != atoms.to_integral_value():
                raise ConfigError(
                    f"sim.balances.{asset}", amount, "a positive amount in whole atoms"
                )
            opening[asset] = int(atoms)
        number = len(self._accounts) + 1
        self._accounts[number] = Account(
            number, key, secret, tier, maker_ppm, taker_ppm, dict(self._decimals), opening
        )
        self._keys[key] = number
        return number

    @property
    def drivers(self) -> tuple[Driver, ...]:
        """Return what drives the market."""
        return tuple(self._drivers)

    def drive(self, driver: Driver) -> None:
        """Let a market driver act from now on."""
        self._drivers.append(driver)

    def serve_recording(self, instrument: str, depth: int) -> None:
        """Say that an instrument's public messages are recorded ones, and how deep."""
        self._depths[instrument] = depth

    def listen(self, listener: Listener) -> None:
        """Tell a listener from now on."""
        self._listeners.append(listener)

    def describe(self, options: Mapping[str, object]) -> None:
        """Keep what the venue was set up with, to be told by `config`."""
        self._described.update(options)

    # ---- what is

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Return what is traded, by name."""
        return self._instruments

    @property
    def accounts(self) -> Sequence[int]:
        """Return the numbers of the accounts."""
        return list(self._accounts)

    @property
    def mode(self) -> SystemMode:
        """Return the trading mode."""
        return self._mode

    def recorded_depth(self, instrument: str) -> int:
        """Return the depth of the recording that is served, 0 without one."""
        return self._depths.get(instrument, 0)

    def begin(self, instrument: str, now_ns: int) -> None:
        """Start the drivers that wait for the first reader of an instrument."""
        self.advance(now_ns)
        for driver in self._waiting.pop(instrument, []):
            self.drive(driver)

    def drive_on_demand(self, instrument: str, driver: Driver) -> None:
        """Let a driver act from the first subscription to an instrument's book on."""
        self._waiting.setdefault(instrument, []).append(driver)

    def account_of(self, key: str) -> int | None:
        """Return the account of an API key."""
        return self._keys.get(key)

    def secret_of(self, account: int) -> bytes:
        """Return the secret of an account's key."""
        return self._accounts[account].secret

    def tier_of(self, account: int) -> Tier:
        """Return an account's tier."""
        return self._accounts[account].tier

    def fees_ppm(self, account: int) -> tuple[int, int]:
        """Return maker and taker fee."""
        return self._accounts[account].maker_ppm, self._accounts[account].taker_ppm

    def new_id(self, prefix: str) -> str:
        """Make an id of the venue's form, `prefix` first: `OXXXXX-XXXXX-XXXXXX`."""
        text = prefix + "".join(self._rng.choices(ID_LETTERS, k=16 - len(prefix)))
        return f"{text[:6]}-{text[6:11]}-{text[11:]}" + self._rng.choice(ID_LETTERS)

    def order(self, account: int, venue_order_id: str) -> OrderRecord | None:
        """Find an order by the venue's id."""
        return self._accounts[account].by_venue_id.get(venue_order_id)

    def by_client_id(self, account: int, client_id: str) -> list[OrderRecord]:
        """Find orders by the client's id, the open one first, then newest first."""
        found = self._accounts[account].by_client_id.get(client_id, [])
        return sorted(reversed(found), key=lambda order: not order.open)

    def orders(self, account: int) -> Sequence[OrderRecord]:
        """Return every order of an account, oldest first."""
        return self._accounts[account].orders

    def open_orders(self, account: int) -> Sequence[OrderRecord]:
        """Return the open orders of an account, oldest first."""
        return list(self._accounts[account].live.values())

    def fills(self, account: int) -> Sequence[FillRecord]:
        """Return every fill of an account, oldest first."""
        return self._accounts[account].fills

    def balances(self, account: int) -> Mapping[str, tuple[int, int]]:
        """Return (total, held) atoms by asset."""
        book = self._accounts[account]
        return {asset: (total, book.held[asset]) for asset, total in book.totals.items()}

    def asset_decimals(self, asset: str) -> int:
        """Return the decimals of an asset's atoms."""
        return self._decimals[asset]

    def rate_milli(self, account: int, instrument: str, now_ns: int) -> int:
        """Return the engine's counter of a pair, in thousandths."""
        return self._accounts[account].rate(instrument).level_milli(now_ns)

    def matcher(self, instrument: str) -> Matching:
        """Return the kernel of an instrument whose market is made here."""
        return self._books[instrument]

    @property
    def made_here(self) -> frozenset[str]:
        """Return the instruments whose market is made here, not recorded or live."""
        return frozenset(self._books)

    def forget(self, order: OrderRecord) -> bool:
        """Lose an open order without a word, as a venue should not; one with fills is kept.

        Returns whether it is lost: it is then in no list of open or closed orders.
        """
        if not order.open or order.fills:
            return False
        holder = self._accounts[order.account]
        self._kernel(order.instrument).cancel(order.number)
        order.state, order.closed_ns = OrderState.CANCELLED, self.now_ns
        del holder.live[order.number]
        del self._orders[order.number]
        del holder.by_venue_id[order.venue_order_id]
        holder.by_client_id.get(order.client_id, [order]).remove(order)
        holder.orders.remove(order)
        self._rehold(holder, order)
        self._book_changed(order.instrument, self.now_ns)
        return True

    def recording(self, instrument: str) -> ReplayMatching:
        """Return the kernel of an instrument whose book is recorded or live."""
        return self._recorded[instrument]

    def _kernel(self, instrument: str) -> Matching | ReplayMatching:
        return self._books.get(instrument) or self._recorded[instrument]

    def depth(self, instrument: str, book_side: int, n: int) -> list[tuple[int, int]]:
        """Return the best levels of the public book."""
        return self._kernel(instrument).depth(book_side, n)

    def qty_at(self, instrument: str, book_side: int, price_ticks: int) -> int:
        """Return the quantity of the public book at a price."""
        return self._kernel(instrument).qty_at(book_side, price_ticks)

    def trades(self, instrument: str, n: int) -> Sequence[TradeRecord]:
        """Return the last trades, oldest first."""
        return list(self._trades[instrument])[-n:]

    def statement(self, account: int) -> dict[str, object]:
        """Return the venue's own account of what happened."""
        return self._accounts[account].statement()

    def config(self) -> dict[str, object]:
        """Return what the venue was set up with."""
        return dict(self._described)

    # ---- time

    def advance(self, now_ns: int) -> None:
        """Let everything that is due happen, in order of time, up to `now_ns`."""
        while True:
            due_ns, driver, switch = self._next()
            if due_ns is None or due_ns > now_ns:
                self.now_ns = max(self.now_ns, now_ns)
                return
            self.now_ns = max(self.now_ns, due_ns)
            if driver is not None:
                driver.fire(self)
            elif switch is not None:
                switch.switch_ns = 0
                self._cancel_all(switch, "Cancel all orders after", self.now_ns)
            else:
                self._expire(heapq.heappop(self._expiries)[1])

    def next_ns(self) -> int | None:
        """Return when something happens next by itself, None for never."""
        return self._next()[0]

    def _next(self) -> tuple[int | None, Driver | None, Account | None]:
        """Find what is due first: its time, and its driver or the account whose switch it is."""
        due_ns: int | None = self._expiries[0][0] if self._expiries else None
        switch: Account | None = None
        driver: Driver | None = None
        if self._mode is not SystemMode.MAINTENANCE:
            for account in self._accounts.values():
                at_ns = account.switch_ns
                if at_ns and (due_ns is None or at_ns < due_ns):
                    due_ns, switch = at_ns, account
        if self._mode is SystemMode.ONLINE:
            for one in self._drivers:
                at = one.next_ns
                if at is not None and (due_ns is None or at < due_ns):
                    due_ns, driver, switch = at, one, None
        return due_ns, driver, switch

    def _expire(self, number: int) -> None:
        order = self._orders.get(number)
        if order is not None:
            self._kernel(order.instrument).cancel(number)
            self._close(order, OrderState.EXPIRED, "Order expired", self.now_ns)
            self._book_changed(order.instrument, self.now_ns)

    def set_mode(self, mode: SystemMode, now_ns: int) -> None:
        """Change the trading mode. Outside `ONLINE` nothing matches and the market stands still."""
        self.advance(now_ns)
        if mode is SystemMode.ONLINE:
            for driver in self._drivers:
                driver.skip(now_ns)
        self._mode = mode
        for listener in self._listeners:
            listener.on_mode(mode, now_ns)

    # ---- orders of accounts

    def place(
        self, account: int, requests: Sequence[PlaceRequest], now_ns: int, validate: bool = False
    ) -> list[OrderRecord | Refusal | None]:
        """Place orders (None each if only validated); more than one is a batch.

        The counter takes 1 for one order, n/2 for a batch of n, also for orders refused later.
        """
        self.advance(now_ns)
        holder = self._accounts[account]
        instrument = requests[0].instrument
        count = len(requests)
        found: list[OrderRecord | Refusal | None] = []
        if instrument not in self._instruments:
            found = [Refusal.INSTRUMENT] * count
        elif not holder.rate(instrument).add(1000 if count == 1 else 500 * count, now_ns):
            found = [Refusal.RATE_LIMIT] * count
        else:
            for request in requests:
                refusal = self._check(holder, request, now_ns)
                if refusal is not None or validate:
                    found.append(refusal)
                else:
                    found.append(self._enter(holder, request, now_ns))
        for outcome in found:
            if isinstance(outcome, Refusal):
                holder.refusals[outcome.value] = holder.refusals.get(outcome.value, 0) + 1
        return found

    def _check(self, holder: Account, request: PlaceRequest, now_ns: int) -> Refusal | None:
        mode = self._mode_refusal(request.post_only)
        if mode is not None:
            return mode
        if request.deadline_ns is not None and request.deadline_ns <= now_ns:
            return Refusal.DEADLINE
        pair = self._instruments[request.instrument]
        price_ticks = request.price_ticks
        if price_ticks is not None and not 0 < price_ticks <= TICKS_MAX:
            return Refusal.PRICE
        if request.qty_lots <= 0:
            return Refusal.QTY
        small = self._too_small(pair, request.side, price_ticks, request.qty_lots)
        if small is not None:
            return small
        if request.client_id and any(
            order.open for order in holder.by_client_id.get(request.client_id, ())
        ):
            return Refusal.DUPLICATE_ID
        if holder.open_count(request.instrument) >= holder.tier.orders_max:
            return Refusal.ORDERS_LIMIT
        asset, atoms = self._needs(holder, request)
        if atoms > holder.available(asset):
            return Refusal.FUNDS
        return None

    def _mode_refusal(self, post_only: bool) -> Refusal | None:
        if self._mode is SystemMode.MAINTENANCE:
            return Refusal.MAINTENANCE
        if self._mode is SystemMode.CANCEL_ONLY:
            return Refusal.CANCEL_ONLY
        if self._mode is SystemMode.POST_ONLY and not post_only:
            return Refusal.POST_ONLY_MODE
        return None

    def _too_small(
        self, pair: Instrument, side: int, price_ticks: int | None, qty_lots: int
    ) -> Refusal | None:
        if qty_lots < pair.qty_lots_min:
            return Refusal.QTY_MIN
        if price_ticks is None:
            best = self.depth(pair.name, ASK if side == BUY else BID, 1)
            price_ticks = best[0][0] if best else None
        if price_ticks is not None and price_ticks * qty_lots < pair.notional_ticklots_min:
            return Refusal.COST_MIN
        return None

    def _needs(self, holder: Account, request: PlaceRequest) -> tuple[str, int]:
        """Return the asset and the atoms an order must have available."""
        pair, money = self._instruments[request.instrument], self._money[request.instrument]
        if request.side == SELL:
            return pair.base, money.base_atoms(request.qty_lots)
        fee_ppm = self._held_fee_ppm(holder, request.post_only)
        if request.price_ticks is not None:
            return pair.quote, money.hold_atoms(request.price_ticks, request.qty_lots, fee_ppm)
        left, atoms = request.qty_lots, 0
        own: dict[int, int] = {}
        for order in holder.live.values():
            if order.side == SELL and order.price_ticks is not None:
                lots = order.qty_lots - order.filled_lots
                own[order.price_ticks] = own.get(order.price_ticks, 0) + lots
        for price_ticks, qty_lots in self.depth(request.instrument, ASK, 1 << 20):
            lots = min(left, max(0, qty_lots - own.get(price_ticks, 0)))
            atoms += money.hold_atoms(price_ticks, lots, fee_ppm)
            left -= lots
            if left == 0:
                break
        return pair.quote, atoms

    def _enter(self, holder: Account, request: PlaceRequest, now_ns: int) -> OrderRecord | Refusal:
        """Match an accepted order; tell of it only if it was not refused as post-only."""
        self._numbers += 1
        number = self._numbers
        kernel = self._kernel(request.instrument)
        tif, price_ticks = request.tif, request.price_ticks
        if price_ticks is None:
            tif = Tif.FOK if request.tif == Tif.FOK else Tif.IOC
            price_ticks = TICKS_MAX if request.side == BUY else 1
        result = kernel.submit(
            number,
            holder.number,
            request.side,
            price_ticks,
            request.qty_lots,
            tif,
            request.post_only,
            now_ns,
            request.stp,
        )
        if result == MatchResult.MATCH_POST_ONLY and not self._post_only_accepted:
            return Refusal.POST_ONLY
        if result == MatchResult.MATCH_FULL:
            return Refusal.CAPACITY
        if result == MatchResult.MATCH_BAD:
            return Refusal.QTY
        matches, removed, met_own = kernel.matches(), kernel.removed_ids(), kernel.met_own()
        order = OrderRecord(
            number=number,
            venue_order_id=self.new_id("O"),
            account=holder.number,
            instrument=request.instrument,
            side=request.side,
            qty_lots=request.qty_lots,
            price_ticks=request.price_ticks,
            tif=tif,
            post_only=request.post_only,
            stp=request.stp,
            client_id=request.client_id,
            user_ref=request.user_ref,
            created_ns=now_ns,
            touched_ns=now_ns,
            expire_ns=request.expire_ns,
        )
        self._orders[number] = order
        holder.orders.append(order)
        holder.live[number] = order
        holder.by_venue_id[order.venue_order_id] = order
        if order.client_id:
            holder.by_client_id.setdefault(order.client_id, []).append(order)
        if order.expire_ns is not None:
            heapq.heappush(self._expiries, (order.expire_ns, number))
        self._rehold(holder, order)
        self._tell(order, Change.PENDING, None, now_ns)
        if result == MatchResult.MATCH_POST_ONLY:
            self._close(order, OrderState.CANCELLED, "Post only order", now_ns)
            return order
        order.state = OrderState.OPEN
        self._tell(order, Change.OPENED, None, now_ns)
        self._settle(order, result, matches, removed, met_own, now_ns)
        return order

    def _settle(
        self,
        order: OrderRecord,
        result: MatchResult,
        matches: Sequence[Executed],
        removed: Sequence[int],
        met_own: bool,
        now_ns: int,
    ) -> None:
        """Book what entering or amending an order led to."""
        self.book_matches(order.instrument, matches, now_ns, market_order=order.price_ticks is None)
        for number in removed:
            self._close(self._orders[number], OrderState.EXPIRED, SELF_TRADE, now_ns)
        if result == MatchResult.MATCH_CANCELLED:
            if met_own and order.stp != Stp.CANCEL_OLDEST:
                self._close(order, OrderState.EXPIRED, SELF_TRADE, now_ns)
            else:
                self._close(order, OrderState.CANCELLED, "Immediate or cancel", now_ns)
        self._book_changed(order.instrument, now_ns)

    def amend(
        self,
        account: int,
        order: OrderRecord,
        price_ticks: int | None,
        qty_lots: int | None,
        post_only: bool,
        now_ns: int,
        deadline_ns: int | None = None,
    ) -> Refusal | None:
        """Change an order in place; a quantity at or under the filled one cancels the rest."""
        self.advance(now_ns)
        holder = self._accounts[account]
        refusal = self._amend(holder, order, price_ticks, qty_lots, post_only, now_ns, deadline_ns)
        if refusal is not None:
            holder.refusals[refusal.value] = holder.refusals.get(refusal.value, 0) + 1
        return refusal

    def _amend(
        self,
        holder: Account,
        order: OrderRecord,
        new_price_ticks: int | None,
        new_qty_lots: int | None,
        post_only: bool,
        now_ns: int,
        deadline_ns: int | None,
    ) -> Refusal | None:
        age_ns = now_ns - order.touched_ns
        cost_milli = 1000 + (cost_by_age(AMEND_BY_AGE, age_ns) if order.open else 0)
        if not holder.rate(order.instrument).add(cost_milli, now_ns):
            return Refusal.RATE_LIMIT
        mode = self._mode_refusal(post_only or order.post_only)
        if mode is not None:
            return mode
        if not order.open or order.price_ticks is None:
            return Refusal.UNKNOWN_ORDER
        if deadline_ns is not None and deadline_ns <= now_ns:
            return Refusal.DEADLINE
        price_ticks = order.price_ticks if new_price_ticks is None else new_price_ticks
        qty_lots = order.qty_lots if new_qty_lots is None else new_qty_lots
        if price_ticks == order.price_ticks and qty_lots == order.qty_lots:
            return Refusal.NO_CHANGE
        if not 0 < price_ticks <= TICKS_MAX:
            return Refusal.PRICE
        if qty_lots <= 0:
            return Refusal.QTY
        pair = self._instruments[order.instrument]
        if qty_lots > order.filled_lots:
            small = self._too_small(pair, order.side, price_ticks, qty_lots)
            if small is not None:
                return small
        need = self._hold_of(holder, order, price_ticks, qty_lots)
        if need - order.held_atoms > holder.available(order.held_asset):
            return Refusal.FUNDS
        kernel = self._kernel(order.instrument)
        result = kernel.amend(
            order.number, price_ticks, qty_lots, post_only or order.post_only, now_ns, order.stp
        )
        if result == MatchResult.MATCH_POST_ONLY:
            return Refusal.POST_ONLY
        if result == MatchResult.MATCH_BAD:
            return Refusal.QTY
        matches, removed, met_own = kernel.matches(), kernel.removed_ids(), kernel.met_own()
        if qty_lots <= order.filled_lots:
            self._close(order, OrderState.CANCELLED, USER, now_ns)
            self._book_changed(order.instrument, now_ns)
            return None
        order.price_ticks, order.qty_lots, order.touched_ns = price_ticks, qty_lots, now_ns
        self._rehold(holder, order)
        self._tell(order, Change.AMENDED, None, now_ns)
        self._settle(order, result, matches, removed, met_own, now_ns)
        return None

    def cancel(self, account: int, order: OrderRecord | None, now_ns: int) -> Refusal | None:
        """Cancel one order; its age sets the counter's cost."""
        self.advance(now_ns)
        holder = self._accounts[account]
        refusal = None
        if self._mode is SystemMode.MAINTENANCE:
            refusal = Refusal.MAINTENANCE
        elif order is None or not order.open:
            refusal = Refusal.UNKNOWN_ORDER
        else:
            cost_milli = cost_by_age(CANCEL_BY_AGE, now_ns - order.touched_ns)
            if not holder.rate(order.instrument).add(cost_milli, now_ns):
                refusal = Refusal.RATE_LIMIT
            else:
                self._withdraw(order, USER, now_ns)
        if refusal is not None:
            holder.refusals[refusal.value] = holder.refusals.get(refusal.value, 0) + 1
        return refusal

    def cancel_many(
        self, account: int, orders: Sequence[OrderRecord], now_ns: int
    ) -> int | Refusal:
        """Cancel a batch, whatever the counter says; return how many were open."""
        self.advance(now_ns)
        if self._mode is SystemMode.MAINTENANCE:
            return Refusal.MAINTENANCE
        holder = self._accounts[account]
        count = 0
        for order in orders:
            if order.open:
                cost_milli = cost_by_age(CANCEL_BY_AGE, now_ns - order.touched_ns)
                holder.rate(order.instrument).add(cost_milli, now_ns, forced=True)
                self._withdraw(order, USER, now_ns)
                count += 1
        return count

    def cancel_all(self, account: int, now_ns: int) -> int | Refusal:
        """Cancel everything of an account; the counter of each pair concerned takes 1."""
        self.advance(now_ns)
        if self._mode is SystemMode.MAINTENANCE:
            return Refusal.MAINTENANCE
        holder = self._accounts[account]
        for name in sorted({order.instrument for order in holder.live.values()}):
            holder.rate(name).add(1000, now_ns, forced=True)
        return self._cancel_all(holder, USER, now_ns)

    def _cancel_all(self, holder: Account, reason: str, now_ns: int) -> int:
        orders = list(holder.live.values())
        for order in orders:
            self._withdraw(order, reason, now_ns)
        return len(orders)

    def arm(self, account: int, timeout_s: int, now_ns: int) -> int | Refusal:
        """Set (0: clear) the dead man's switch; return when it fires, 0 if never."""
        self.advance(now_ns)
        if self._mode is SystemMode.MAINTENANCE:
            return Refusal.MAINTENANCE
        holder = self._accounts[account]
        holder.switch_ns = now_ns + timeout_s * NS if timeout_s else 0
        return holder.switch_ns

    # ---- money that moves for another reason than trades

    def transfer(
        self, account: int, asset: str, atoms: int, kind: str, now_ns: int
    ) -> LedgerRecord:
        """Move money into (positive) or out of an account, with an entry and a word about it."""
        self.advance(now_ns)
        entry = self._post(self._accounts[account], self.new_id("F"), asset, atoms, 0, now_ns, kind)
        for listener in self._listeners:
            listener.on_ledger(account, entry, now_ns)
        return entry

    def tamper(self, account: int, asset: str, atoms: int) -> None:
        """Change what an account holds without entry or word, as a venue should not."""
        self._accounts[account].totals[asset] += atoms

    def tell_again(self, account: int, now_ns: int) -> FillRecord:
        """Tell of an account's last fill once more, under other ids, as a venue should not."""
        last = self._accounts[account].fills[-1]
        trade_id = self._trade_ids[last.instrument] = self._trade_ids[last.instrument] + 1
        # Venues name executions by either id, or by their place among the account's.
        position = last.position + 1_000_000
        again = replace(last, exec_id=self.new_id("T"), trade_id=trade_id, position=position)
        order = self._accounts[account].by_venue_id[last.venue_order_id]
        self._tell(order, Change.TRADED, again, now_ns)
        return again

    def charge_fees_in(self, asset: str, numerator: int, denominator: int) -> None:
        """Charge every fee in one asset from now on, at so many of its units for a quote unit."""
        self._fee_asset = (asset, numerator, denominator)

    # ---- the market's side, for drivers

    def market_submit(
        self, instrument: str, side: int, price_ticks: int, qty_lots: int, tif: int, now_ns: int
    ) -> int:
        """Enter an order of the market itself; return its number if it rests, else 0."""
        self._numbers += 1
        number = self._numbers
        kernel = self._books[instrument]
        result = kernel.submit(number, 0, side, price_ticks, qty_lots, tif, False, now_ns)
        matches = kernel.matches()
        self.book_matches(instrument, matches, now_ns, market_order=tif == Tif.IOC)
        if matches or result == MatchResult.MATCH_RESTING:
            self._book_changed(instrument, now_ns)
        return number if result == MatchResult.MATCH_RESTING else 0

    def market_cancel(self, instrument: str, number: int, now_ns: int) -> bool:
        """Withdraw an order of the market; False if it is gone."""
        gone = self._books[instrument].cancel(number) == MatchResult.MATCH_UNKNOWN
        if not gone:
            self._book_changed(instrument, now_ns)
        return not gone

    def book_matches(
        self,
        instrument: str,
        matches: Sequence[Executed],
        now_ns: int,
        market_order: bool = True,
        printed: bool = True,
    ) -> None:
        """Book executions of a kernel: fills to accounts, prints (if asked) to the public."""
        if not matches:
            return
        trades = []
        for row in matches:
            trade_id = self._trade_ids[instrument] = self._trade_ids[instrument] + 1
            if printed:
                trades.append(
                    TradeRecord(
                        instrument,
                        row.taker_side,
                        row.price_ticks,
                        row.qty_lots,
                        market_order,
                        trade_id,
                        now_ns,
                    )
                )
            if row.maker_owner:
                self._fill(self._orders[row.maker_id], row, True, trade_id, now_ns)
            if row.taker_owner:
                self._fill(self._orders[row.taker_id], row, False, trade_id, now_ns)
        if printed:
            self._trades[instrument].extend(trades)
            for listener in self._listeners:
                listener.on_trades(trades)

    def print_recorded(self, trade: TradeRecord) -> None:
        """Keep a recorded trade for later snapshots; its message is served as recorded."""
        self._trades[trade.instrument].append(trade)
        self._trade_ids[trade.instrument] = max(self._trade_ids[trade.instrument], trade.trade_id)

    def tell_recorded(self, trade: TradeRecord) -> None:
        """Tell the public of a recorded trade, under the next of this venue's ids."""
        trade_id = self._trade_ids[trade.instrument] = self._trade_ids[trade.instrument] + 1
        told = replace(trade, trade_id=trade_id)
        self._trades[trade.instrument].append(told)
        for listener in self._listeners:
            listener.on_trades([told])

    def serve_frame(self, instrument: str, channel: str, frame: bytes, now_ns: int) -> None:
        """Hand a recorded message to every listener as it is."""
        for listener in self._listeners:
            listener.on_recorded(instrument, channel, frame, now_ns)

    def book_told(self, instrument: str, now_ns: int) -> None:
        """Let readers of other depths than the recorded one know that the book changed."""
        self._book_changed(instrument, now_ns)

    # ---- private

    def _fill(
        self, order: OrderRecord, row: Executed, maker: bool, trade_id: int, now_ns: int
    ) -> None:
        holder = self._accounts[order.account]
        pair, money = self._instruments[order.instrument], self._money[order.instrument]
        fee_ppm = holder.maker_ppm if maker else holder.taker_ppm
        cost_atoms = money.cost_atoms(row.price_ticks, row.qty_lots)
        in_base = self._fee_in_received and order.side == BUY
        if in_base:
            fee_atoms = half_up(money.base_atoms(row.qty_lots) * fee_ppm, PPM)
        else:
            fee_atoms = money.fee_atoms(row.price_ticks, row.qty_lots, fee_ppm)
        third = self._fee_asset
        if third is not None:
            asset, numerator, denominator = third
            scale = 10 ** self._decimals[asset]
            quote_fee = money.fee_atoms(row.price_ticks, row.qty_lots, fee_ppm)
            fee_atoms = (
                quote_fee * numerator * scale // (denominator * 10 ** self._decimals[pair.quote])
            )
        order.filled_lots += row.qty_lots
        order.cost_atoms += cost_atoms
        order.fee_atoms += fee_atoms
        sign = 1 if order.side == BUY else -1
        ref_id = self.new_id("A")
        fee_asset = third[0] if third is not None else pair.base if in_base else pair.quote
        legs = [
            (pair.base, sign * money.base_atoms(row.qty_lots), fee_atoms if in_base else 0),
            (pair.quote, -sign * cost_atoms, 0 if in_base else fee_atoms),
        ]
        if third is not None:
            legs = [(asset, amount, 0) for asset, amount, _ in legs]
            legs.append((fee_asset, 0, fee_atoms))
        self._rehold(holder, order)
        entries = [self._post(holder, ref_id, *leg, now_ns) for leg in legs]
        fill = FillRecord(
            exec_id=self.new_id("T"),
            trade_id=trade_id,
            ref_id=ref_id,
            venue_order_id=order.venue_order_id,
            instrument=order.instrument,
            side=order.side,
            price_ticks=row.price_ticks,
            qty_lots=row.qty_lots,
            cost_atoms=cost_atoms,
            fee_atoms=fee_atoms,
            fee_asset=fee_asset,
            maker=maker,
            ts_ns=now_ns,
            filled_lots=order.filled_lots,
            order_cost_atoms=order.cost_atoms,
            order_fee_atoms=order.fee_atoms,
            ledger_ids=(entries[0].ledger_id, entries[1].ledger_id),
            position=len(holder.fills),
        )
        order.fills.append(fill)
        holder.fills.append(fill)
        self._tell(order, Change.TRADED, fill, now_ns)
        for entry in entries:
            for listener in self._listeners:
                listener.on_ledger(order.account, entry, now_ns)
        if order.filled_lots == order.qty_lots:
            self._close(order, OrderState.FILLED, "", now_ns)

    def _post(
        self, holder: Account, ref_id: str, asset: str, amount: int, fee: int, now_ns: int,
        kind: str = "trade",
    ) -> LedgerRecord:  # fmt: skip
        holder.totals[asset] += amount - fee
        entry = LedgerRecord(
            self.new_id("L"), ref_id, asset, kind, amount, fee, holder.totals[asset], now_ns
        )
        holder.ledger.append(entry)
        return entry

    def _hold_of(self, holder: Account, order: OrderRecord, price_ticks: int, qty_lots: int) -> int:
        money = self._money[order.instrument]
        lots = max(0, qty_lots - order.filled_lots)
        if order.side == SELL:
            return money.base_atoms(lots)
        return money.hold_atoms(price_ticks, lots, self._held_fee_ppm(holder, order.post_only))

    def _held_fee_ppm(self, holder: Account, post_only: bool) -> int:
        """Return the fee that a buy must be able to pay beside its cost."""
        if self._fee_in_received:
            return 0
        return holder.maker_ppm if post_only else holder.taker_ppm

    def _rehold(self, holder: Account, order: OrderRecord) -> None:
        pair = self._instruments[order.instrument]
        asset = pair.base if order.side == SELL else pair.quote
        if order.open and order.price_ticks is not None:
            atoms = self._hold_of(holder, order, order.price_ticks, order.qty_lots)
        else:
            atoms = 0
        holder.hold(order, asset, atoms)

    def _withdraw(self, order: OrderRecord, reason: str, now_ns: int) -> None:
        self._kernel(order.instrument).cancel(order.number)
        self._close(order, OrderState.CANCELLED, reason, now_ns)
        self._book_changed(order.instrument, now_ns)

    def _close(self, order: OrderRecord, state: OrderState, reason: str, now_ns: int) -> None:
        holder = self._accounts[order.account]
        order.state, order.reason, order.closed_ns = state, reason, now_ns
        del holder.live[order.number]
        del self._orders[order.number]
        self._rehold(holder, order)
        change = {
            OrderState.FILLED: Change.FILLED,
            OrderState.CANCELLED: Change.CANCELLED,
            OrderState.EXPIRED: Change.EXPIRED,
        }[state]
        self._tell(order, change, None, now_ns)

    def _tell(
        self, order: OrderRecord, change: Change, fill: FillRecord | None, now_ns: int
    ) -> None:
        for listener in self._listeners:
            listener.on_order(order, change, fill, now_ns)

    def _book_changed(self, instrument: str, now_ns: int) -> None:
        for listener in self._listeners:
            listener.on_book(instrument, now_ns)
