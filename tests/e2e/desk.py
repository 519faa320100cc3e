"""A simulated venue and an engine in one loop, over real sockets, for tests that disturb them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from picows import WSMsgType

from openmm import Engine, Keys, parse
from openmm._fast.book import BookState
from openmm._fast.matching import Tif
from openmm._fast.orders import OrderState
from openmm._fast.units import BookSide, Side
from openmm.journal import Journal, JournalRecord
from openmm.sim.faults import parse_rule
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer

PATIENCE_S = 90.0


def options(**changed: Any) -> SimOptions:
    """Make the options of a venue without maker fee."""
    money = {"BTC": Decimal(1), "USD": Decimal(60_000)}
    base: dict[str, Any] = {"seed": 3, "maker_fee_ppm": 0, "taker_fee_ppm": 1000, "balances": money}
    return SimOptions(**(base | changed))


class Desk:
    """One venue and one bot: `async with Desk(folder) as desk`. Both stop at the end.

    `others` are further venues of the bot's file, as it has them.
    """

    def __init__(
        self, folder: Path, sim: SimOptions | None = None, *, risk: Mapping[str, Any] | None = None,
        strategy: Mapping[str, Any] | None = None, engine: Mapping[str, Any] | None = None,
        mode: str = "live", venue: Mapping[str, Any] | None = None, with_keys: bool = True,
        ws_auth: str | None = None, ws: str | None = None,
        others: Sequence[Mapping[str, Any]] = (),
    ) -> None:  # fmt: skip
        self.folder = folder
        self.options = sim or options()
        self.server = SimServer(self.options)
        self.marks: dict[str, int] = {}
        self._changed = (risk or {}, strategy or {}, engine or {}, venue or {})
        self._mode = mode
        self._ws = ws
        self._others = [dict(one) for one in others]
        self._ws_auth = ws_auth
        self._keys = Keys(self.options.api_key, self.options.api_secret) if with_keys else None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.server)
            risk, strategy, engine, venue = self._changed
            self.config = parse(
                {
                    "bot": {"name": "desk", "mode": self._mode, "run_dir": str(self.folder)},
                    "venue": [
                        {
                            "name": "kraken", "quote": "BTC/USD", "account": "dedicated",
                            "endpoints": {
                                "ws": self._ws or self.server.ws_url,
                                "ws_auth": self._ws_auth or self.server.ws_auth_url,
                                "rest": self.server.rest_url,
                            },
                            **venue,
                        },
                        *self._others,
                    ],
                    "strategy": {
                        "kind": "grid", "spread": "2bps", "level_step": "1bps",
                        "order_amount": "0.01", "num_orders": 2, "rebalance_threshold": "20%",
                        **strategy,
                    },
                    "risk": {
                        "max_order_size": "0.02", "max_open_notional": "20000",
                        "max_inventory": "0.5", "max_drawdown": "5%", **risk,
                    },
                    "engine": dict(engine),
                }
            )  # fmt: skip
            self.engine = Engine(self.config, keys=self._keys)
            await self.engine.start()
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.engine.stop("end of the test")
        finally:
            self.open_at_end = list(self.venue_orders())
            self.statement = self.server.core.statement(self.account)
            await self._open.aclose()

    @property
    def account(self) -> int:
        """The bot's account at the venue."""
        number = self.server.core.account_of(self.options.api_key)
        assert number is not None
        return number

    def venue_orders(self) -> list[object]:
        """Return what the venue holds open."""
        return list(self.server.core.open_orders(self.account))

    @property
    def quoting(self) -> bool:
        """Whether the bot rests on both sides, nothing in doubt, and the venue says so too."""
        pipeline = self.engine.tables.pipeline
        table = pipeline.table
        resting = (OrderState.OPEN, OrderState.PARTIALLY_FILLED)
        sides = {order.side for order in table.live() if order.state in resting}
        return (
            sides == {1, 2}
            and pipeline.feed.book.state is BookState.BOOK_VERIFIED
            and table.unknown_count == 0
            and len(self.venue_orders()) >= 2
            and pipeline.stream_live
        )

    async def until(self, check: Callable[[], bool], what: str = "") -> None:
        """Wait for something to become true."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not check():
                    if self.server._task is not None and self.server._task.done():
                        await self.server.wait()  # it has failed: say so
                    await asyncio.sleep(0.002)
        except TimeoutError:
            pipeline = self.engine.tables.pipeline
            raise AssertionError(
                f"not within {PATIENCE_S:g} s: {what}; {pipeline.last_decision.name}, "
                f"{pipeline.feed.book.state.name}, {pipeline.risk_state.name}, "
                f"stream live {pipeline.stream_live}, {pipeline.table.live()}, "
                f"refused {pipeline.checks.refusals()}"
            ) from None

    async def until_quoting(self) -> None:
        """Wait until the bot rests on both sides."""
        await self.until(lambda: self.quoting, "quotes on both sides")

    def mark(self, name: str) -> None:
        """Remember where the tape stands."""
        self.marks[name] = self.engine.tables.pipeline.tape.next_index

    def hit(self, side: Side) -> None:
        """Let the market take our best order of a side, and all that stands before it."""
        core, pair = self.server.core, self.config.quoted.pair
        ours = [
            order.price_ticks
            for order in core.open_orders(self.account)
            if order.side == side and order.price_ticks is not None
        ]
        price = max(ours) if side is Side.BUY else min(ours)
        book_side = BookSide.BID if side is Side.BUY else BookSide.ASK
        lots = sum(
            qty
            for at, qty in core.depth(pair, book_side, 500)
            if (at >= price) is (side is Side.BUY) or at == price
        )
        taker = Side.SELL if side is Side.BUY else Side.BUY
        core.market_submit(pair, taker, price, lots, Tif.IOC, self.server.now_ns())
        self.server.flush()

    def fault(self, **rule: object) -> None:
        """Let one more fault strike: a rule as a script would have it."""
        self.server.strikes.add(parse_rule(rule), self.server.now_ns())

    def sockets(self, *, private: bool) -> list[Any]:
        """Return the venue's ends of the bot's connections."""
        return [one for one in self.server.sockets if one.private is private]

    def say(self, frame: bytes, *, private: bool = False) -> None:
        """Let the venue send a frame of ours."""
        for socket in self.sockets(private=private):
            socket.transport.send(WSMsgType.TEXT, frame)

    def drop(self, *, private: bool) -> None:
        """Cut the bot's connections of one kind."""
        for socket in self.sockets(private=private):
            socket.transport.disconnect(False)

    def journal(self) -> list[JournalRecord]:
        """Read the session's journal, after its end."""
        (path,) = (self.folder / "desk" / "journal").iterdir()
        return list(Journal(path))
