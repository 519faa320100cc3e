"""What the parts of a running engine share: the bot's tables, its venue, and the ways to act."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from openmm._fast.feed import EventClock
from openmm._fast.rehearsal import Rehearsal
from openmm._fast.tape import Record
from openmm.config import BotConfig
from openmm.engine.host import Host
from openmm.engine.step import Request, Step
from openmm.engine.wiring import Tables
from openmm.instrument import Instrument
from openmm.venues.connector import Connector

# Tape sources beside the feeds' own (0 ...): the private stream and REST.
SOURCE_PRIVATE = 100
SOURCE_REST = 101
SOURCE_HEDGE = 102  # a hedge's executions: evidence, no input


Handler: TypeAlias = Callable[[bytes, int], None]


class AlertFn(Protocol):
    """Tell people; journalled unless it is for information only."""

    def __call__(
        self, severity: str, text: str, asset: str = "", amount: Decimal | None = None
    ) -> None:
        """Tell."""
        ...


class SpawnFn(Protocol):
    """Run a task; an error of a vital one halts the bot."""

    def __call__(self, work: Coroutine[Any, Any, None], name: str, *, vital: bool = True) -> None:
        """Start it."""
        ...


class Context(Struct):
    """One running bot. `trading` is the connector of the traded account."""

    config: BotConfig
    host: Host
    connectors: list[Connector]
    trading: Connector
    instruments: list[Instrument]
    tables: Tables
    step: Step
    mid_ticks: int  # of the quoted instrument, at start: shares of the price became ticks at it
    started_ns: int
    handle: Callable[[Sequence[Request]], None]
    alert: AlertFn
    spawn: SpawnFn
    # Until when every fill is booked: as the sessions before left it, and how to move it on.
    settled_ns: int | None
    settle: Callable[[int], None]
    # Wrap a socket callback: an error in it halts the bot but keeps the connection, which has to
    # carry the cancels and bring their answers.
    safely: Callable[[Handler], Handler]
    left: Path | None = None  # where a live session leaves its books for the next
    rehearsal: Rehearsal | None = None  # keeps the hot path warm; None: nothing does

    @property
    def clock(self) -> EventClock:
        """Event time."""
        return self.host.clock

    @property
    def quoted_index(self) -> int:
        """Place of the traded venue in the configuration."""
        return self.config.venue.index(self.config.quoted)

    def append(self, kind: Record, source: int, now_ns: int, data: bytes) -> None:
        """Put a record of the slow path on the tape; a full tape latches and stops quoting."""
        self.tables.pipeline.append(kind, source, now_ns, data)
