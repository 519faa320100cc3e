from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, final

from openmm._fast.book import Book
from openmm._fast.checks import Checks, RiskState
from openmm._fast.intensity import Intensity
from openmm._fast.inventory import Inventory
from openmm._fast.latency import StageLatency
from openmm._fast.orders import OrderTable
from openmm._fast.planner import Planner
from openmm._fast.ports import Decoded, Decoder, Encoder, Neighbours, Sink, Strategy, Transport
from openmm._fast.reference import Reference
from openmm._fast.signals import Signals
from openmm._fast.tape import Tape

class Decision(IntEnum):
    DECISION_UNDECIDED = 0
    DECISION_SKIPPED = 1
    DECISION_KEPT = 2
    DECISION_SENT = 3
    DECISION_WITHDRAWN = 4
    DECISION_REFUSED = 5
    DECISION_FAILED = 6

@final
class Feed(Sink):
    book: Book
    signals: Signals
    intensity: Intensity | None
    index: int
    quoted: bool
    frame_count: int
    trade_count: int
    last_trade_id: int
    last_trade_ticks: int
    lag_ns: int
    through_ns: int
    last_recv_ns: int
    def __new__(
        cls,
        decoder: Decoder,
        book: Book,
        signals: Signals,
        index: int,
        quoted: bool = False,
        intensity: Intensity | None = None,
    ) -> Feed: ...
    @property
    def counters(self) -> dict[str, int]: ...
    def decode(self, frames: Frames, start: int = 0, stop: int | None = None) -> int: ...

@final
class Pipeline:
    quoting: bool
    allow_bid: bool
    allow_ask: bool
    feed: Feed
    reference: Reference
    strategy: Strategy
    planner: Planner
    checks: Checks
    table: OrderTable
    inventory: Inventory
    encoder: Encoder
    transport: Transport
    tape: Tape
    latency: StageLatency
    neighbours: Neighbours
    decision_count: int
    skipped_count: int
    requote_count: int
    sent_count: int
    spared_count: int
    met_count: int
    shut_count: int
    placed_count: int
    amended_count: int
    cancel_count: int
    message_count: int
    write_count: int
    write_failed_count: int
    lost_record_count: int
    last_decision: Decision
    def __new__(
        cls,
        feed: Feed,
        reference: Reference,
        strategy: Strategy,
        planner: Planner,
        checks: Checks,
        table: OrderTable,
        inventory: Inventory,
        encoder: Encoder,
        transport: Transport,
        tape: Tape,
        latency: StageLatency,
        requote_uticks: int = 0,
        own_in_book: bool = True,
        lag_counts: bool = False,
        neighbours: Neighbours | None = None,
    ) -> Pipeline: ...
    def on_frame(self, feed: Feed, data: bytes, recv_ns: int, last: bool = True) -> Decoded: ...
    def end_read(self, feed: Feed, now_ns: int) -> None: ...
    def requote(self, now_ns: int) -> Decision: ...
    def withdraw(self, now_ns: int) -> int: ...
    def place_by_hand(
        self,
        side: int,
        lane: int,
        price_ticks: int,
        qty_lots: int,
        now_ns: int,
        taking: bool = False,
    ) -> int: ...
    def amend_by_hand(self, seq: int, price_ticks: int, qty_lots: int, now_ns: int) -> bool: ...
    def cancel_by_hand(self, seqs: Iterable[int], now_ns: int) -> int: ...
    def note_fill(self, seq: int, qty_lots: int, now_ns: int) -> None: ...
    def note_taking(self, side: int, price_ticks: int, sent_ns: int, now_ns: int) -> None: ...
    def refresh(self, feed: Feed, now_ns: int) -> None: ...
    def jumped(self, now_ns: int) -> bool: ...
    def mark_dirty(self) -> None: ...
    def tell_place(self, seq: int, now_ns: int) -> bool: ...
    def append(self, kind: int, source: int, ts_ns: int, data: bytes) -> bool: ...
    def set_inputs(
        self,
        *,
        risk_state: RiskState | None = None,
        stream_live: bool | None = None,
        instrument_online: bool | None = None,
        clock_offset_ns: int | None = None,
        fills_last_minute: int | None = None,
        drawdown_breached: bool | None = None,
    ) -> None: ...
    def set_leans(self, params: Mapping[str, Any]) -> None: ...
    def bound_base(self, least_lots: int | None, most_lots: int | None) -> None: ...
    @property
    def base_bounds(self) -> tuple[int, int] | None: ...
    def set_requote_uticks(self, value: int) -> None: ...
    def set_transport(self, transport: Transport) -> None: ...
    @property
    def risk_state(self) -> RiskState: ...
    @property
    def stream_live(self) -> bool: ...
    @property
    def is_dirty(self) -> bool: ...
    @property
    def one_sided_state(self) -> int: ...
    def ladder_levels(self) -> list[list[tuple[int, int]]]: ...
    def ladder_parts(self) -> dict[str, int]: ...
    def run(
        self,
        feed: Feed,
        frames: Frames,
        start: int = 0,
        stop: int | None = None,
        *,
        accept: bool = False,
        shift_ns: int = 0,
    ) -> int: ...

@final
class Frames:
    count: int
    size: int
    def __new__(cls, frames: list[bytes], recv_ns: list[int]) -> Frames: ...
    def __len__(self) -> int: ...
