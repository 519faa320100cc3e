"""Ask the venue and act on its word: adoption, orders in doubt, balances, proof at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import TypeVar, final

from msgspec.structs import replace

from openmm import journal
from openmm._fast.tape import Record
from openmm.engine.carried import carried, take_left
from openmm.engine.context import SOURCE_REST, Context
from openmm.engine.offset import ClockOffset
from openmm.engine.step import CancelStray
from openmm.errors import TransportError, VenueError
from openmm.events import FATAL_CODES, RATES, Event, OrderFilled, OrderUpdated
from openmm.venues.connector import Rest

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 20.0
# With orders still live after this, the venue is asked and cancelled by request all the same.
STOP_ASK_S = 5.0
# At stop, statements are asked for so often, half a second apart, before the last one counts.
SETTLE_LOOKS = 10
SETTLE_PAUSE_S = 0.5
# Lists of orders and fills are asked for no more often, but for a difference to be explained.
LISTS_EVERY_NS = 30_000_000_000
# Fills are asked for from this long before the money was last proven.
RECOVER_OVERLAP_NS = 60_000_000_000
# Of the trade history while balances differ: later than this no venue lists a fill.
HISTORY_OVERLAP_NS = 300 * 1_000_000_000
OPENING_TRIES = 5
FATAL_AGAIN_S = 60.0
# A start waits so often, a second each, for a limit that the session before used up.
LIMIT_WAITS = 90
# Fills are asked for from this long before the last message of a lost private stream, or before
# the balances last agreed.
OVERLAP_NS = 60_000_000_000

T = TypeVar("T")


async def within_limits(make: Callable[[], Awaitable[T]]) -> T:
    """Ask again while the venue says "too often": a session just killed may have used it up.

    Raises:
        VenueError: any other refusal, or that one for a minute and a half.
    """
    for _ in range(LIMIT_WAITS):
        try:
            return await make()
        except VenueError as error:
            if error.code not in RATES:
                raise
            log.warning("at start: %s; asking again in a second", error)
        await asyncio.sleep(1.0)
    return await make()


@final
class Proof:
    """The engine's questions to the venue's request side."""

    def __init__(self, context: Context) -> None:
        self._ctx = context
        self._strays: set[str] = set()
        self._agreed_ns = 0  # when the balances last were as booked
        self._history_ns = 0  # when the history was last asked for and taken in
        self._listed_ns = 0  # when orders and fills were last held against the venue's lists
        self._one_at_a_time = asyncio.Lock()
        self._offset = ClockOffset()
        # Balances at the last quiet comparison, and open orders of ours by the venue's last word.
        self.closing: dict[str, Decimal] = {}
        self.open_count: int | None = None

    @property
    def _rest(self) -> Rest:
        return self._ctx.trading.rest()

    # ------------------------------------------------------------------ start

    async def measure_clock(self) -> None:
        """Ask the venue for its time; without a recent answer no order passes."""
        clock = self._ctx.clock
        before_ns = clock.now_ns()
        venue_ns = await self._rest.server_time_ns()
        self._offset.add(before_ns, venue_ns, clock.now_ns())
        self.tell_clock()

    def tell_clock(self) -> None:
        """Tell the checks what is known of the venue's clock by now, be it nothing."""
        now_ns = self._ctx.clock.now_ns()
        self._ctx.step.clock_told(self._offset.value_ns(now_ns), now_ns)

    async def adopt(self) -> None:
        """Cancel what earlier sessions of this bot left open, and prove it; touch nothing foreign.

        Raises:
            TransportError: some are still open after ten tries.
        """
        ours: list[OrderUpdated] = []
        pause_s = 0.05
        for _ in range(10):
            listed = await within_limits(self._rest.open_orders)
            ours = [order for order in listed if self._is_ours(order)]
            if not ours:
                others = [order.venue_order_id for order in listed]
                if others:
                    log.warning(
                        "%d open orders are not this bot's and are left alone: %s",
                        len(others), ", ".join(others[:20]),
                    )  # fmt: skip
                return
            log.warning("cancelling %d orders of an earlier session", len(ours))
            venue_ids = [order.venue_order_id for order in ours]
            await within_limits(partial(self._rest.cancel, venue_ids))
            await asyncio.sleep(pause_s)
            pause_s = min(1.0, 2 * pause_s)
        raise TransportError(
            f"{len(ours)} orders of an earlier session are still open",
            venue=self._ctx.trading.name,
        )

    async def open_account(self) -> None:
        """Take the account's balances as the session's opening, and what leads up to them.

        What orders of earlier sessions filled since the account's money was last proven, less the
        lag of the venue's lists, goes on record ahead of the opening, which contains it: the ledger
        books what it lacks. Every fill listed by now is in the opening, whoever made it.

        Raises:
            VenueError: the venue did not tell.
        """
        ctx = self._ctx
        now_ns = ctx.clock.now_ns()
        live = ctx.config.bot.mode == "live"
        settled_ns = now_ns if ctx.settled_ns is None else min(now_ns, ctx.settled_ns)
        since_ns = settled_ns - RECOVER_OVERLAP_NS
        listed = partial(self._rest.fills_since, since_ns)
        fills = await within_limits(listed) if live else []
        for _ in range(OPENING_TRIES):
            asked_ns = ctx.clock.now_ns()
            balances = await within_limits(self._rest.balances)
            if not live or ctx.config.quoted.account == "dedicated":
                break
            # Others trade on it: a fill between the two lists may be in the balances, or not.
            again = await within_limits(listed)
            if len(again) == len(fills):
                break
            fills = again
        ours = await self._of_earlier_sessions(fills)
        if ours:
            log.warning(
                "%d fills of earlier sessions since %d go to the ledger, which has them once",
                len(ours), settled_ns,
            )  # fmt: skip
        ctx.handle(ctx.step.recover(ours, [fill.exec_id for fill in fills], asked_ns))
        instrument = ctx.tables.instrument
        opening = {
            asset: balances.get(asset, Decimal(0)) for asset in (instrument.base, instrument.quote)
        }
        others = {asset: total for asset, total in balances.items() if asset not in opening}
        left = None if ctx.left is None else take_left(ctx.left)
        carry = {} if left is None else carried(left, fills, instrument)
        ctx.handle(ctx.step.set_opening(opening, others, carry, asked_ns))
        ctx.settle(asked_ns)

    async def _of_earlier_sessions(self, fills: Sequence[OrderFilled]) -> list[OrderFilled]:
        """Return the fills of this bot's orders; where a list tells no client ids, orders do."""
        nameless = sorted({fill.venue_order_id for fill in fills if not fill.client_id})
        asked = partial(self._rest.find_orders, (), nameless)
        told = await within_limits(asked) if nameless else ()
        return [
            fill
            for fill in _with_names(fills, told)
            if isinstance(fill, OrderFilled)
            and fill.client_id
            and self._ctx.trading.is_earlier(fill.client_id)
        ]

    # ------------------------------------------------------------------ orders

    async def query(self, seqs: Sequence[int]) -> None:
        """Ask about orders in doubt once; the step's schedule asks again."""
        ctx = self._ctx
        asked_ns = ctx.clock.now_ns()
        try:
            found = await self.find(seqs)
        except VenueError as error:
            # The orders stay UNKNOWN and count in full.
            log.warning("order query: %s", error)
            self.note(error)
            return
        ctx.handle(ctx.step.on_query(seqs, found, asked_ns, ctx.clock.now_ns()))

    async def find(self, seqs: Sequence[int]) -> list[Event]:
        """Return states and fills of orders of this session, by the venue's word."""
        ctx = self._ctx
        client_ids, venue_ids = [], []
        since_ns = ctx.clock.now_ns()
        for seq in seqs:
            order = ctx.tables.pipeline.table.get(seq)
            if order is None:
                continue
            client_ids.append(ctx.trading.client_id(seq))
            since_ns = min(since_ns, order.created_ns)
            if order.venue_id:
                venue_ids.append(order.venue_id)
        if not client_ids:
            return []
        # The venue's clock may be behind ours, within what the checks let pass.
        found = await self._rest.find_orders(client_ids, venue_ids, since_ns - OVERLAP_NS)
        ctx.append(
            Record.REC_REST, SOURCE_REST, ctx.clock.now_ns(),
            journal.json_record({"asked": client_ids, "found": [str(one) for one in found]}),
        )  # fmt: skip
        return _with_names(found, found)

    async def fills_since(self, since_ns: int) -> list[Event]:
        """Return the account's fills since a moment, with the client ids of their orders.

        Fills name only the venue's id; of an order whose answer was lost we do not know it, and
        its fill must not pass for another's.
        """
        fills: list[Event] = list(await self._rest.fills_since(since_ns))
        orders = self._ctx.step.orders
        nameless = {
            one.venue_order_id
            for one in fills
            if isinstance(one, OrderFilled) and not orders.seq(one.client_id, one.venue_order_id)
            and not one.client_id
        }  # fmt: skip
        if not nameless:
            return fills
        return _with_names(fills, await self._rest.find_orders([], sorted(nameless)))

    async def everything_since(self, since_ns: int) -> tuple[list[int], list[Event], int]:
        """Return live orders, their states and fills, all fills since a moment, and when asked."""
        ctx = self._ctx
        asked_ns = ctx.clock.now_ns()
        seqs = [order.seq for order in ctx.tables.pipeline.table.live()]
        found = await self.retry(lambda: self.find(seqs), "order query")
        fills = await self.retry(lambda: self.fills_since(since_ns), "fill query")
        return seqs, [*found, *fills], asked_ns

    async def name_orders(self, venue_order_ids: Sequence[str]) -> None:
        """Ask whose orders are that fills were told of by the venue's id alone."""
        ctx = self._ctx
        found = await self.retry(
            partial(self._rest.find_orders, (), venue_order_ids), "whose an order is"
        )
        ctx.append(
            Record.REC_REST, SOURCE_REST, ctx.clock.now_ns(),
            journal.json_record(
                {"asked": list(venue_order_ids), "found": [str(one) for one in found]}
            ),
        )  # fmt: skip
        told = [one for one in found if isinstance(one, OrderUpdated)]
        ctx.handle(ctx.step.on_named(venue_order_ids, told, ctx.clock.now_ns()))

    async def cancel_stray(self, request: CancelStray) -> None:
        """Cancel orders that should not be open, asking until the venue has answered for each."""
        new = [one for one in request.venue_order_ids if one not in self._strays]
        if not new:
            return
        self._strays.update(new)
        # Told of again while the venue is asked, they need no second request; afterwards they do:
        # a venue whose request side lags answers that there is no such order.
        try:
            await self.retry(lambda: self._rest.cancel(new), "cancelling stray orders")
        finally:
            self._strays.difference_update(new)

    async def retry(self, make: Callable[[], Awaitable[T]], what: str) -> T:
        """Ask until there is an answer: nothing can be placed before it."""
        delay_s = 0.5
        while True:
            try:
                return await make()
            except VenueError as error:
                log.warning("%s: %s", what, error)
                self.note(error)
                if error.code in FATAL_CODES:
                    # Asking on would only prolong it.
                    delay_s = FATAL_AGAIN_S
                await asyncio.sleep(delay_s)
                delay_s = min(max(10.0, delay_s), 2 * delay_s)

    def note(self, error: VenueError) -> None:
        """Halt when the venue refused what no retry mends, with its own words."""
        if error.code in FATAL_CODES:
            self._ctx.handle(self._ctx.step.refused(str(error), self._ctx.clock.now_ns()))

    # ------------------------------------------------------------------ money

    async def reconcile(self, *, final: bool = False) -> None:
        """Hold the books against the venue's lists and balances; the step judges what differs.

        Args:
            final: no other statement will follow.
        """
        async with self._one_at_a_time:
            ctx, step = self._ctx, self._ctx.step
            now_ns = ctx.clock.now_ns()
            if final or step.reconciler.in_doubt or now_ns - self._listed_ns >= LISTS_EVERY_NS:
                await self._ask_lists()
                self._listed_ns = now_ns
            asked_ns = ctx.clock.now_ns()
            balances = await self._rest.balances()
            now_ns = ctx.clock.now_ns()
            ctx.append(Record.REC_REST, SOURCE_REST, now_ns, journal.json_record(balances))
            ctx.handle(step.on_statement(balances, asked_ns, final, now_ns))
            self.closing = {asset: balances.get(asset, Decimal(0)) for asset in step.expected()}
            if step.reconciler.agreed_ns == now_ns:
                self._agreed_ns = now_ns
                ctx.settle(asked_ns)

    async def _ask_lists(self) -> None:
        """Ask for open orders and for the fills since the balances last agreed."""
        ctx, step = self._ctx, self._ctx.step
        asked_ns = ctx.clock.now_ns()
        listed = await self._rest.open_orders()
        ctx.handle(step.on_open_orders(listed, asked_ns, ctx.clock.now_ns()))
        asked_ns = ctx.clock.now_ns()
        # Bounded however long a difference stands: an answer goes to the tape as one record, and
        # its pages are paid out of the budget that cancels need.
        since_ns = max(
            ctx.started_ns, self._agreed_ns - OVERLAP_NS, self._history_ns - HISTORY_OVERLAP_NS
        )
        fills = await self.fills_since(since_ns)
        ctx.handle(step.on_history(fills, since_ns, asked_ns, ctx.clock.now_ns()))
        self._history_ns = asked_ns

    # ------------------------------------------------------------------ stop

    async def close_all(self) -> bool:
        """Cancel everything and ask until nothing of ours is open; returns whether it is proven."""
        ctx = self._ctx
        ctx.handle(ctx.step.stop(ctx.clock.now_ns()))
        loop = asyncio.get_running_loop()
        started = loop.time()
        pause_s = 0.2
        table = ctx.tables.pipeline.table
        while loop.time() < started + STOP_TIMEOUT_S:
            await asyncio.sleep(0.05)
            ctx.handle(ctx.step.on_timer(ctx.clock.now_ns()))
            if table.live_count and loop.time() < started + STOP_ASK_S:
                continue
            if await self._none_open() and table.live_count == 0:
                return True
            # Asking is counted by the venue, and orders in doubt need what is left of the count.
            await asyncio.sleep(pause_s)
            pause_s = min(2.0, 2 * pause_s)
        ctx.alert(
            "critical",
            f"stop: {self.open_count or 0} orders of ours may still be open, "
            f"{table.live_count} unproven",
        )
        return False

    async def _none_open(self) -> bool:
        """Ask for open orders of ours and cancel them; False when there are, or no answer came."""
        try:
            mine = [one for one in await self._rest.open_orders() if self._is_ours(one)]
            self.open_count = len(mine)
            if mine:
                await self._rest.cancel([one.venue_order_id for one in mine])
        except VenueError as error:
            log.warning("open orders: %s", error)
            return False
        return not mine

    def _is_ours(self, order: OrderUpdated) -> bool:
        trading = self._ctx.trading
        if not order.client_id:
            return False
        return bool(trading.seq_of(order.client_id)) or trading.is_earlier(order.client_id)

    async def settle(self) -> bool:
        """Reconcile once more; returns whether nothing is left open."""
        for look in range(SETTLE_LOOKS):
            await self.reconcile(final=look == SETTLE_LOOKS - 1)
            step = self._ctx.step
            incidents = step.reconciler.incidents
            # The last statement goes on record: it is to be of after the last fill.
            whole = self.closing == step.expected() or incidents.open_count
            if whole and not step.reconciler.in_doubt:
                break
            await asyncio.sleep(SETTLE_PAUSE_S)
        return self._ctx.step.reconciler.incidents.open_count == 0


def _with_names(events: Sequence[Event], told: Sequence[Event]) -> list[Event]:
    """Write into fills the client ids that an answer tells of their orders."""
    names = {
        one.venue_order_id: one.client_id
        for one in told
        if isinstance(one, OrderUpdated) and one.client_id
    }
    return [
        replace(one, client_id=names.get(one.venue_order_id, ""))
        if isinstance(one, OrderFilled) and not one.client_id
        else one
        for one in events
    ]
