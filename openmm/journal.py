"""The journal: the tape on disk, in segments, checksummed and hash-chained, and its payloads.

A session's journal is a folder of segments `000000.omj, 000001.omj, ...`. A segment is a header
and blocks; a block is a header and records; a record is the tape's own (`RecordHeader`, payload,
padding).

- Segment header, 224 bytes: magic, version, header bytes, number, flags, created_ns, session id,
  build, hash that the previous segment ended with, first index; CRC-32 in the last 4 bytes.
- Block header, 56 bytes: magic, payload bytes, record count, CRC-32 of the payload, first index,
  chain: blake2b-256 of (chain before, the block header up to here, payload).

A segment that was closed is compressed as a whole, `000000.omj.zst`. One being written is
preallocated; zeros behind the last block are its unused room. A block that was being
written when power or process went is *torn*: it is the last thing in the last segment, is left out,
and is reported by `torn_bytes`. Anything else that does not add up is a `JournalError`.

The payloads of JSON records carry decimals as text and nothing as a float.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self, TypeVar

import orjson
from msgspec import Struct
from msgspec.structs import asdict

from openmm._fast.tape import Record
from openmm.errors import ConfigError, JournalError
from openmm.events import BalanceUpdated, Fee, OrderFilled, Source
from openmm.instrument import Instrument

JOURNAL_VERSION = 3
SEGMENT_MAGIC = b"OMMJRNL1"
BLOCK_MAGIC = b"BLK1"
SUFFIX = ".omj"
PACKED_SUFFIX = ".zst"  # behind it: a segment that was closed, and compressed (`packed`)
SEGMENT_HEADER = struct.Struct("<8sIIIIq64s64s32sQ20xI")
BLOCK_HEADER = struct.Struct("<4sIIIQ32s")
BLOCK_PREFIX = struct.Struct("<4sIIIQ")
RECORD_HEADER = struct.Struct("<IHHQqQ")
HASH_BYTES = 32
T = TypeVar("T")
NO_HASH = bytes(HASH_BYTES)
BLOCK_BYTES_MAX = 1 << 28
MISSING = -(1 << 63)  # "no value" of `_fast.units`


class JournalRecord(NamedTuple):
    """One record as the engine wrote it."""

    record_index: int
    kind: int
    source: int
    ts_ns: int
    payload: bytes


# ---------------------------------------------------------------- segments


class SegmentHeader(Struct, frozen=True):
    """What a segment says of itself."""

    number: int
    session_id: str
    build: str
    created_ns: int
    previous_hash: bytes
    first_index: int
    flags: int = 0

    def encode(self) -> bytes:
        """Return the bytes of the header."""
        head = SEGMENT_HEADER.pack(
            SEGMENT_MAGIC,
            JOURNAL_VERSION,
            SEGMENT_HEADER.size,
            self.number,
            self.flags,
            self.created_ns,
            self.session_id.encode("ascii"),
            self.build.encode("ascii", "replace")[:64],
            self.previous_hash,
            self.first_index,
            0,
        )
        return head[:-4] + struct.pack("<I", zlib.crc32(head[:-4]))

    @classmethod
    def decode(cls, data: bytes, path: Path) -> Self:
        """Parse a header; raise JournalError when it is not one of this version."""
        if len(data) < SEGMENT_HEADER.size:
            raise JournalError(f"segment header is cut at byte {len(data)}: {path}")
        fields = SEGMENT_HEADER.unpack_from(data)
        if fields[0] != SEGMENT_MAGIC:
            raise JournalError(f"not a journal segment: {path}")
        if fields[1] != JOURNAL_VERSION:
            raise JournalError(f"journal version {fields[1]} is not {JOURNAL_VERSION}: {path}")
        if zlib.crc32(data[: SEGMENT_HEADER.size - 4]) != fields[-1]:
            raise JournalError(f"segment header is corrupt at byte 0: {path}")
        return cls(
            number=fields[3],
            flags=fields[4],
            created_ns=fields[5],
            session_id=fields[6].rstrip(b"\0").decode("ascii"),
            build=fields[7].rstrip(b"\0").decode("ascii"),
            previous_hash=fields[8],
            first_index=fields[9],
        )


def chain_start(header: bytes) -> bytes:
    """Return the hash that a segment's chain begins with."""
    return blake2b(header, digest_size=HASH_BYTES).digest()


def encode_records(records: list[tuple[int, int, int, int, bytes]]) -> bytes:
    """Lay out records as on the tape; the check word is zero, the block's CRC stands for it."""
    parts = []
    for index, kind, source, ts_ns, payload in records:
        parts.append(RECORD_HEADER.pack(len(payload) + 1, kind, source, index, ts_ns, 0))
        parts.append(payload)
        parts.append(bytes(-len(payload) % 8))
    return b"".join(parts)


def encode_block(
    chain: bytes, records: list[tuple[int, int, int, int, bytes]]
) -> tuple[bytes, bytes]:
    """Return a block of at least one record, and the chain behind it."""
    payload = encode_records(records)
    prefix = BLOCK_PREFIX.pack(
        BLOCK_MAGIC, len(payload), len(records), zlib.crc32(payload), records[0][0]
    )
    chain = blake2b(chain + prefix + payload, digest_size=HASH_BYTES).digest()
    return prefix + chain + payload, chain


def decode_records(payload: bytes, count: int, where: str) -> Iterator[JournalRecord]:
    """Parse the records of a block whose checksum holds."""
    offset = 0
    for _ in range(count):
        if len(payload) - offset < RECORD_HEADER.size:
            raise JournalError(f"record is cut at {where} + {offset}")
        commit, kind, source, index, ts_ns, _check = RECORD_HEADER.unpack_from(payload, offset)
        start = offset + RECORD_HEADER.size
        end = start + commit - 1
        if commit == 0 or end > len(payload):
            raise JournalError(f"record is corrupt at {where} + {offset}")
        yield JournalRecord(index, kind, source, ts_ns, payload[start:end])
        offset = start + (commit - 1 + 7) // 8 * 8
    if offset != len(payload):
        raise JournalError(f"block holds more than its {count} records at {where} + {offset}")


class JournalTail(Struct, frozen=True):
    """Where the whole part of a journal ends: what a writer continues from."""

    path: Path  # of the last segment
    number: int
    offset: int  # behind the last whole block
    chain: bytes
    next_index: int
    torn_bytes: int
    lost_count: int
    headers: tuple[SegmentHeader, ...]


def session_folder(journal_dir: Path, session_id: str) -> Path:
    """Name the folder of a session's segments."""
    return journal_dir / (session_id or "session")


def segment_paths(folder: Path) -> list[Path]:
    """Return the segments of a session in order, of one in both forms the plain one.

    Files whose names are no numbers are none of it.
    """
    plain = {path.name: path for path in folder.glob(f"[0-9]*{SUFFIX}")}
    packed = {path.stem: path for path in folder.glob(f"[0-9]*{SUFFIX}{PACKED_SUFFIX}")}
    every = sorted((packed | plain).items())
    return [path for name, path in every if name.removesuffix(SUFFIX).isdecimal()]


def opened_segment(path: Path) -> BinaryIO:
    """Open a segment, which its writer may have compressed since it was listed.

    Raises:
        JournalError: it cannot be read.
    """
    try:
        try:
            return path.open("rb")
        except FileNotFoundError:
            return path.with_name(path.name + PACKED_SUFFIX).open("rb")
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from error


def segment_content(file: BinaryIO) -> mmap.mmap | bytes:
    """Return a segment's bytes, of a compressed one those inside."""
    path = Path(file.name)
    if path.suffix == PACKED_SUFFIX:
        from openmm.packed import unpack

        return unpack(path)
    size = os.fstat(file.fileno()).st_size
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""


class Journal:
    """Read one session's journal: a folder of segments, or a single segment.

    Raises JournalError, naming file and byte, when bytes do not add up.
    """

    def __init__(self, path: Path | str) -> None:
        path = Path(path)
        self.paths = segment_paths(path) if path.is_dir() else [path]
        self._single = not path.is_dir()
        if not self.paths or not self.paths[0].exists():
            raise JournalError(f"no journal segments: {path}")
        self._tail: JournalTail | None = None

    def __iter__(self) -> Iterator[JournalRecord]:
        """Yield every record in order; after the last, `tail` is known."""
        chain = NO_HASH
        next_index = 0
        lost = 0
        headers: list[SegmentHeader] = []
        for place, path in enumerate(self.paths):
            last = place == len(self.paths) - 1
            with opened_segment(path) as file:
                data = segment_content(file)
                try:
                    head = bytes(data[: SEGMENT_HEADER.size])
                    if last and headers and not head.startswith(SEGMENT_MAGIC):
                        if bytes(data).strip(b"\0"):
                            raise JournalError(f"not a journal segment: {path}")
                        break  # made, and its header never reached the disk
                    header = SegmentHeader.decode(head, path)
                    self._check_sequence(header, headers, chain, path)
                    headers.append(header)
                    if len(headers) == 1:
                        next_index = header.first_index
                    chain = chain_start(head)
                    offset = SEGMENT_HEADER.size
                    torn = 0
                    while True:
                        block = block_at(data, offset)
                        if block is None:
                            try:
                                torn = torn_bytes_at(data, offset, path, last)
                                break
                            except JournalError:
                                # A writer at work may have written it, and more, since the look.
                                block = block_at(data, offset)
                                if block is None:
                                    raise
                        payload, prefix, stored = block
                        chain = blake2b(chain + prefix + payload, digest_size=HASH_BYTES).digest()
                        if chain != stored:
                            raise JournalError(f"hash chain breaks at byte {offset}: {path}")
                        count = BLOCK_PREFIX.unpack(prefix)[2]
                        for record in decode_records(payload, count, f"byte {offset} of {path}"):
                            if record.record_index < next_index:
                                raise JournalError(
                                    f"record {record.record_index} follows {next_index - 1} "
                                    f"at byte {offset}: {path}"
                                )
                            lost += record.record_index - next_index
                            next_index = record.record_index + 1
                            yield record
                        offset += BLOCK_HEADER.size + len(payload)
                finally:
                    if isinstance(data, mmap.mmap):
                        data.close()
            self._tail = JournalTail(
                path, header.number, offset, chain, next_index, torn, lost, tuple(headers)
            )

    def _check_sequence(
        self, header: SegmentHeader, before: list[SegmentHeader], chain: bytes, path: Path
    ) -> None:
        if not before:
            if header.number != 0 and not self._single:
                raise JournalError(f"segment 0 is missing before {header.number}: {path}")
            return
        if header.number != before[-1].number + 1:
            raise JournalError(f"segment {before[-1].number + 1} is missing: {path}")
        if header.session_id != before[-1].session_id:
            raise JournalError(f"segment is of session {header.session_id!r}: {path}")
        if header.previous_hash != chain:
            raise JournalError(f"segment does not continue the one before it, byte 0: {path}")

    @property
    def tail(self) -> JournalTail:
        """Where the whole part ends; reads the journal through if that was not done yet."""
        if self._tail is None:
            for _ in self:
                pass
        assert self._tail is not None
        return self._tail

    @property
    def torn_bytes(self) -> int:
        """Bytes of a block that was being written when the writer died; 0 when it ended well."""
        return self.tail.torn_bytes


def read_journal(path: Path | str) -> Iterator[JournalRecord]:
    """Yield every whole record of a journal in order; see `Journal` for what else it tells."""
    return iter(Journal(path))


def block_at(data: mmap.mmap | bytes, offset: int) -> tuple[bytes, bytes, bytes] | None:
    """Return (payload, prefix, chain) of the block at `offset` when its checksum holds."""
    if offset + BLOCK_HEADER.size > len(data):
        return None
    head = data[offset : offset + BLOCK_HEADER.size]
    magic, payload_bytes, count, crc, _first, chain = BLOCK_HEADER.unpack(head)
    end = offset + BLOCK_HEADER.size + payload_bytes
    if magic != BLOCK_MAGIC or not count or payload_bytes > BLOCK_BYTES_MAX or end > len(data):
        return None
    payload = bytes(data[offset + BLOCK_HEADER.size : end])
    if zlib.crc32(payload) != crc:
        return None
    return payload, bytes(head[: BLOCK_PREFIX.size]), chain


def torn_bytes_at(data: mmap.mmap | bytes, offset: int, path: Path, last: bool) -> int:
    """Return how many bytes behind the last whole block are torn.

    Raises:
        JournalError: they are corrupt: it is not the last segment, or whole blocks follow.
    """
    rest = bytes(data[offset:]).rstrip(b"\0")
    if not rest:
        return 0
    if not last:
        raise JournalError(f"block is corrupt at byte {offset}: {path}")
    at = rest.find(BLOCK_MAGIC, 1)
    while at >= 0:
        if at % 8 == 0 and block_at(data, offset + at) is not None:
            raise JournalError(f"block is corrupt at byte {offset}, whole ones follow: {path}")
        at = rest.find(BLOCK_MAGIC, at + 1)
    return len(rest)


# ---------------------------------------------------------------- binary payloads


class MarketViewRecord(NamedTuple):
    """`quotes.MarketView`: what the strategy saw."""

    now_ns: int
    reference_uticks: int
    confidence_ppm: int
    best_bid_ticks: int
    best_ask_ticks: int
    own_bid_ticks: int
    own_ask_ticks: int
    sigma_uticks: int
    depth_lots: int
    depth_mean_lots: int
    spread_mean_uticks: int
    flow_ppm: int
    x_ppm: int
    share_ppm: int
    target_ppm: int
    base_lots: int
    quote_lots_max: int
    allow_bid: int
    allow_ask: int
    warm: int
    jump_ppm: int
    micro_ppm: int
    imbalance_ppm: int
    ofi_ppm: int
    compression_ppm: int
    q_lots: int
    decay_uticks: int
    arrival_uhz: int
    hanging_bids: int
    hanging_asks: int
    own_x_ppm: int
    own_q_lots: int


class LadderParts(NamedTuple):
    """The terms of `quotes.Ladder`, for explain and the independent checker."""

    centre_uticks: int
    skew_uticks: int
    flow_uticks: int
    half_uticks: int
    half_base_uticks: int
    widen_sigma_uticks: int
    widen_depth_uticks: int
    widen_inventory_uticks: int
    micro_uticks: int
    imbalance_uticks: int
    ofi_uticks: int
    widen_compression_uticks: int
    widen_schedule_uticks: int
    widen_held_uticks: int
    anchor_uticks: int
    anchor_ns: int
    held_bids: int
    held_asks: int
    quoted_bids: int
    quoted_asks: int
    bid_bound_ticks: int
    ask_bound_ticks: int


class LadderRecord(NamedTuple):
    """REC_LADDER: view, answer and one-sided state. Levels: (price_ticks, qty_lots), best first."""

    view: MarketViewRecord
    clamps: int
    sides_off: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    parts: LadderParts
    one_sided_before: int
    one_sided_after: int


class ActionRecord(NamedTuple):
    """`planner.Action`."""

    kind: int
    why: int
    seq: int
    price_ticks: int
    qty_lots: int
    side: int
    level: int


class IntentRecord(NamedTuple):
    """REC_INTENT."""

    action: ActionRecord
    rate_cost_milli: int


class RefusalRecord(NamedTuple):
    """REC_REFUSAL: which check said no, its limit and the value it saw."""

    action: ActionRecord
    reason: int
    limit: int
    value: int


class TransitionRecord(NamedTuple):
    """REC_TRANSITION. `source`: 0 our own act, else 1 + position in `events.Source`."""

    seq: int
    event: int
    from_state: int
    to_state: int
    source: int
    price_ticks: int
    qty_lots: int


class BookRecord(NamedTuple):
    """REC_BOOK: a book broke or was verified again."""

    state: int
    reason: int
    best_bid_ticks: int
    best_ask_ticks: int
    break_count: int


class NeighboursRecord(NamedTuple):
    """REC_NEIGHBOURS: what our other bots on the market show from a look on.

    `bid_ticks` is 0, `ask_ticks` the largest of its type where none shows one.
    """

    look: int
    bid_ticks: int
    ask_ticks: int
    others: int


class PlaceRecord(NamedTuple):
    """REC_PLACE: a queue place. `wanted_ticks`: what it stays away from; 0: it was filled."""

    seq: int
    price_ticks: int
    wanted_ticks: int
    ahead_lots: int
    behind_lots: int
    worth_ticks: int
    since_ns: int


class SampleRecord(NamedTuple):
    """REC_SAMPLE: what the slow path saw at a timer."""

    best_bid_ticks: int
    best_ask_ticks: int
    reference_uticks: int
    base_lots: int


LEVELS_MAX = 32
STAGES = 13
STAGES_ONCE = 10  # the fewest any journal has: each format of later added some at the end
_LADDER = struct.Struct(f"<17q4i11q2iII{4 * LEVELS_MAX}q16q4I2q2i")
_INTENT = struct.Struct("<iiQqqiiq")
_REFUSAL = struct.Struct("<iiQqqiiii16s16s")
_TRANSITION = struct.Struct("<Qiiiiqq")
_STAMPS = struct.Struct(f"<{STAGES}q")
_BOOK = struct.Struct("<iiqqQ")
_PLACE = struct.Struct("<Q6q")
_NEIGHBOURS = struct.Struct("<Q3q")
_SAMPLE = struct.Struct("<qqqq")
BINARY_BYTES = {
    "Ladder": _LADDER.size,
    "Intent": _INTENT.size,
    "Refusal": _REFUSAL.size,
    "Transition": _TRANSITION.size,
    "Stamps": _STAMPS.size,
    "Book": _BOOK.size,
    "Place": _PLACE.size,
    "Neighbours": _NEIGHBOURS.size,
    "Sample": _SAMPLE.size,
}


def _unpack(layout: struct.Struct, payload: bytes, name: str) -> tuple[Any, ...]:
    if len(payload) != layout.size:
        raise JournalError(f"{name} record has {len(payload)} bytes instead of {layout.size}")
    return layout.unpack(payload)


def read_ladder(payload: bytes) -> LadderRecord:
    """Parse REC_LADDER."""
    values = _unpack(_LADDER, payload, "ladder")
    view, rest = MarketViewRecord._make(values[:32]), values[32:]
    bid_count, ask_count, clamps = rest[0], rest[1], rest[2]
    flat = rest[4 : 4 + 4 * LEVELS_MAX]
    levels = list(zip(flat[0::2], flat[1::2], strict=True))
    parts = LadderParts._make(rest[4 + 4 * LEVELS_MAX : 26 + 4 * LEVELS_MAX])
    if not 0 <= bid_count <= LEVELS_MAX or not 0 <= ask_count <= LEVELS_MAX:
        raise JournalError(f"ladder record has {bid_count} bids and {ask_count} asks")
    return LadderRecord(
        view,
        clamps,
        rest[3],
        tuple(levels[:bid_count]),
        tuple(levels[LEVELS_MAX : LEVELS_MAX + ask_count]),
        parts,
        rest[-2],
        rest[-1],
    )


def ladder_record(record: LadderRecord) -> bytes:
    """Encode REC_LADDER, as tests and tools need it; the pipeline writes the struct itself."""
    flat = []
    for side in (record.bids, record.asks):
        filled = [*side, *[(0, 0)] * (LEVELS_MAX - len(side))]
        flat += [value for level in filled for value in level]
    return _LADDER.pack(
        *record.view,
        len(record.bids),
        len(record.asks),
        record.clamps,
        record.sides_off,
        *flat,
        *record.parts,
        record.one_sided_before,
        record.one_sided_after,
    )


def read_intent(payload: bytes) -> IntentRecord:
    """Parse REC_INTENT."""
    values = _unpack(_INTENT, payload, "intent")
    return IntentRecord(ActionRecord._make(values[:7]), values[7])


def intent_record(record: IntentRecord) -> bytes:
    """Encode REC_INTENT."""
    return _INTENT.pack(*record.action, record.rate_cost_milli)


def read_refusal(payload: bytes) -> RefusalRecord:
    """Parse REC_REFUSAL."""
    values = _unpack(_REFUSAL, payload, "refusal")
    limit, value = (int.from_bytes(v, "little", signed=True) for v in values[9:])
    return RefusalRecord(ActionRecord._make(values[:7]), values[7], limit, value)


def refusal_record(record: RefusalRecord) -> bytes:
    """Encode REC_REFUSAL."""
    limit, value = (v.to_bytes(16, "little", signed=True) for v in (record.limit, record.value))
    return _REFUSAL.pack(*record.action, record.reason, 0, limit, value)


def read_transition(payload: bytes) -> TransitionRecord:
    """Parse REC_TRANSITION."""
    return TransitionRecord._make(_unpack(_TRANSITION, payload, "transition"))


# Evidence of a transition; 0 is our own act.
SOURCE_CODES = {source: place + 1 for place, source in enumerate(Source)}


def transition_record(
    seq: int,
    event: int,
    from_state: int,
    to_state: int,
    source: int = 0,
    price_ticks: int = 0,
    qty_lots: int = 0,
) -> bytes:
    """Encode REC_TRANSITION. `source`: see `SOURCE_CODES`, 0 our own act.

    Price and quantity: of the fill for EV_FILL; else as confirmed by the evidence, 0 when not told.
    """
    return _TRANSITION.pack(seq, event, from_state, to_state, source, price_ticks, qty_lots)


def transition_source(record: TransitionRecord) -> str:
    """Name the evidence of a transition."""
    for source, place in SOURCE_CODES.items():
        if place == record.source:
            return source.value
    return "own" if record.source == 0 else "unknown"


def read_stamps(payload: bytes) -> tuple[int, ...]:
    """Parse REC_STAMPS: nanoseconds by `latency.Stage`; 0 or less was not measured."""
    if 8 * STAGES_ONCE <= len(payload) < _STAMPS.size and len(payload) % 8 == 0:
        payload += bytes(_STAMPS.size - len(payload))
    return _unpack(_STAMPS, payload, "stamps")


def stamps_record(stage_ns: tuple[int, ...] | list[int]) -> bytes:
    """Encode REC_STAMPS; stages at the end that are not given were not measured."""
    return _STAMPS.pack(*stage_ns, *(0,) * (STAGES - len(stage_ns)))


def read_book(payload: bytes) -> BookRecord:
    """Parse REC_BOOK."""
    return BookRecord._make(_unpack(_BOOK, payload, "book"))


def book_record(record: BookRecord) -> bytes:
    """Encode REC_BOOK."""
    return _BOOK.pack(*record)


def read_place(payload: bytes) -> PlaceRecord:
    """Parse REC_PLACE."""
    return PlaceRecord._make(_unpack(_PLACE, payload, "place"))


def place_record(record: PlaceRecord) -> bytes:
    """Encode REC_PLACE."""
    return _PLACE.pack(*record)


def read_neighbours(payload: bytes) -> NeighboursRecord:
    """Parse REC_NEIGHBOURS."""
    return NeighboursRecord._make(_unpack(_NEIGHBOURS, payload, "neighbours"))


def neighbours_record(record: NeighboursRecord) -> bytes:
    """Encode REC_NEIGHBOURS."""
    return _NEIGHBOURS.pack(*record)


def read_sample(payload: bytes) -> SampleRecord:
    """Parse REC_SAMPLE."""
    return SampleRecord._make(_unpack(_SAMPLE, payload, "sample"))


def sample_record(
    best_bid_ticks: int, best_ask_ticks: int, reference_uticks: int, base_lots: int
) -> bytes:
    """Encode REC_SAMPLE; pass MISSING for what is not known."""
    return _SAMPLE.pack(best_bid_ticks, best_ask_ticks, reference_uticks, base_lots)


# ---------------------------------------------------------------- JSON payloads


class SessionRecord(Struct, frozen=True):
    """REC_SESSION, first of a session: what ran, with which configuration and seeds."""

    session_id: str
    bot: str
    mode: str  # live, paper
    venue: str
    instrument: str
    build: str
    started_ns: int
    config: Mapping[str, Any]  # canonical, plain JSON, without secrets
    seeds: Mapping[str, int]
    client_id_prefix: str = ""


class FillRecord(Struct, frozen=True):
    """REC_FILL: one execution of an own order. `reference_uticks`: at that moment, if there was."""

    exec_id: str
    seq: int
    client_id: str
    venue_order_id: str
    instrument: str
    side: int
    price_ticks: int
    qty_lots: int
    cost: Decimal
    fees: tuple[Fee, ...]
    maker: bool
    ts_ns: int
    source: str
    trade_id: int
    reference_uticks: int | None
    venue: str = ""  # empty: the session's


class BalanceRecord(Struct, frozen=True):
    """REC_BALANCE. `kind`: `opening` and `closing` are statements asked for by the engine; else the
    venue's ledger type."""

    asset: str
    total: Decimal
    change: Decimal | None
    fee: Decimal
    kind: str
    ref_id: str
    ts_ns: int
    venue: str = ""  # empty: the session's
    name: str = ""  # of a `cost` or an `adjustment`: what for
    account: str = ""  # of a `cost`: what paid it; empty: the venue's


class RiskRecord(Struct, frozen=True):
    """REC_RISK: a change of the risk state."""

    from_state: str
    to_state: str
    reason: str
    detail: str


class CommandRecord(Struct, frozen=True):
    """REC_COMMAND: what an operator asked for, through which door, and what came of it."""

    command: str
    arguments: Mapping[str, Any]
    by: str
    door: str
    verdict: str = ""  # done, or refused and why; empty: of a journal that did not tell


class IncidentRecord(Struct, frozen=True):
    """REC_INCIDENT: what a person must be able to look up, with an amount where there is one."""

    text: str
    severity: str  # info, warning, critical
    kind: str
    asset: str
    amount: Decimal | None
    # Of an incident with a life of its own: its number in the session, and how it stands now.
    number: int = 0
    subject: str = ""
    cause: str = ""
    since_ns: int = 0
    state: str = ""
    resolution: str = ""


class EndRecord(Struct, frozen=True):
    """REC_END, last of a session. `open_order_count`: by the venue's word; None: not proved."""

    reason: str
    ended_ns: int
    open_order_count: int | None
    counters: Mapping[str, int]


def json_record(value: object) -> bytes:
    """Encode a JSON payload of no fixed form: decimals as text, keys sorted."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS)


def _plain(value: object) -> str | dict[str, object]:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Struct):
        return asdict(value)
    raise TypeError(f"not a value of a journal record: {value!r}")


def _object(payload: bytes, name: str) -> dict[str, Any]:
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise JournalError(f"{name} record is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise JournalError(f"{name} record is not an object: {value!r}")
    return value


def _build(cls: type[T], fields: dict[str, Any], name: str) -> T:
    try:
        return cls(**fields)
    except (TypeError, ConfigError) as error:
        raise JournalError(f"{name} record has the wrong fields: {error}") from error


def session_record(record: SessionRecord) -> bytes:
    """Encode REC_SESSION."""
    return json_record(record)


def read_session(payload: bytes) -> SessionRecord:
    """Parse REC_SESSION."""
    return _build(SessionRecord, _object(payload, "session"), "session")


def fill_record(
    event: OrderFilled, seq: int, reference_uticks: int | None, venue: str = ""
) -> bytes:
    """Encode REC_FILL. `reference_uticks`: MISSING or None when there is no reference."""
    return json_record(fill_of(event, seq, reference_uticks, venue))


def fill_of(
    event: OrderFilled, seq: int, reference_uticks: int | None, venue: str = ""
) -> FillRecord:
    """Make the record of a fill event."""
    return FillRecord(
        exec_id=event.exec_id,
        seq=seq,
        client_id=event.client_id,
        venue_order_id=event.venue_order_id,
        venue=venue,
        instrument=event.instrument,
        side=int(event.side),
        price_ticks=event.price_ticks,
        qty_lots=event.qty_lots,
        cost=event.cost,
        fees=event.fees,
        maker=event.maker,
        ts_ns=event.ts_ns,
        source=event.source.value,
        trade_id=event.trade_id,
        reference_uticks=None if reference_uticks == MISSING else reference_uticks,
    )


def read_fill(payload: bytes) -> FillRecord:
    """Parse REC_FILL."""
    fields = _object(payload, "fill")
    try:
        fields["cost"] = Decimal(fields["cost"])
        fields["fees"] = tuple(Fee(fee["asset"], Decimal(fee["amount"])) for fee in fields["fees"])
    except (KeyError, TypeError, ArithmeticError) as error:
        raise JournalError(f"fill record is malformed: {fields!r}") from error
    return _build(FillRecord, fields, "fill")


def balance_record(event: BalanceUpdated, kind: str = "", venue: str = "") -> bytes:
    """Encode REC_BALANCE; `kind` overrides the event's: `opening` and `closing` statements."""
    return json_record(
        BalanceRecord(
            venue=venue,
            asset=event.asset,
            total=event.total,
            change=event.change,
            fee=event.fee,
            kind=kind or event.kind,
            ref_id=event.ref_id,
            ts_ns=event.ts_ns,
        )
    )


def cost_record(
    asset: str, amount: Decimal, ref: str, name: str, account: str, ts_ns: int
) -> bytes:
    """Encode REC_BALANCE of kind `cost`: gas or another cost that no fill carries.

    Args:
        amount: what was paid; negative: given back.
        ref: what makes it the same cost when it is told again, a transaction's hash.
        account: what paid, `wallet:base`.
    """
    zero = Decimal(0)
    return json_record(
        BalanceRecord(
            asset, zero, amount.copy_negate(), zero, "cost", ref, ts_ns, name=name, account=account
        )
    )


def read_balance(payload: bytes) -> BalanceRecord:
    """Parse REC_BALANCE."""
    fields = _object(payload, "balance")
    try:
        fields["total"] = Decimal(fields["total"])
        fields["fee"] = Decimal(fields["fee"])
        fields["change"] = None if fields["change"] is None else Decimal(fields["change"])
    except (KeyError, TypeError, ArithmeticError) as error:
        raise JournalError(f"balance record is malformed: {fields!r}") from error
    return _build(BalanceRecord, fields, "balance")


def instrument_record(instrument: Instrument) -> bytes:
    """Encode REC_INSTRUMENT; write it before the first record that speaks of the pair."""
    return json_record(instrument)


def read_instrument(payload: bytes) -> Instrument:
    """Parse REC_INSTRUMENT."""
    fields = _object(payload, "instrument")
    try:
        for name in ("tick_size", "lot_size", "qty_min", "cost_min"):
            fields[name] = Decimal(fields[name])
    except (KeyError, TypeError, ArithmeticError) as error:
        raise JournalError(f"instrument record is malformed: {fields!r}") from error
    return _build(Instrument, fields, "instrument")


def risk_record(from_state: str, to_state: str, reason: str, detail: str = "") -> bytes:
    """Encode REC_RISK."""
    return json_record(RiskRecord(from_state, to_state, reason, detail))


def read_risk(payload: bytes) -> RiskRecord:
    """Parse REC_RISK."""
    return _build(RiskRecord, _object(payload, "risk"), "risk")


def command_record(
    command: str, arguments: Mapping[str, Any], by: str, door: str, verdict: str = ""
) -> bytes:
    """Encode REC_COMMAND."""
    return json_record(CommandRecord(command, arguments, by, door, verdict))


def read_command(payload: bytes) -> CommandRecord:
    """Parse REC_COMMAND."""
    return _build(CommandRecord, _object(payload, "command"), "command")


def incident_record(
    text: str,
    severity: str = "warning",
    *,
    kind: str = "engine",
    asset: str = "",
    amount: Decimal | None = None,
    number: int = 0,
    subject: str = "",
    cause: str = "",
    since_ns: int = 0,
    state: str = "",
    resolution: str = "",
) -> bytes:
    """Encode REC_INCIDENT."""
    return json_record(
        IncidentRecord(
            text, severity, kind, asset, amount, number, subject, cause, since_ns, state, resolution
        )
    )


def read_incident(payload: bytes) -> IncidentRecord:
    """Parse REC_INCIDENT."""
    fields = _object(payload, "incident")
    if fields.get("amount") is not None:
        try:
            fields["amount"] = Decimal(fields["amount"])
        except (TypeError, ArithmeticError) as error:
            raise JournalError(f"incident record is malformed: {fields!r}") from error
    return _build(IncidentRecord, fields, "incident")


def end_record(record: EndRecord) -> bytes:
    """Encode REC_END."""
    return json_record(record)


def read_end(payload: bytes) -> EndRecord:
    """Parse REC_END."""
    return _build(EndRecord, _object(payload, "end"), "end")


READERS = {
    Record.REC_SESSION: read_session,
    Record.REC_COMMAND: read_command,
    Record.REC_LADDER: read_ladder,
    Record.REC_INTENT: read_intent,
    Record.REC_TRANSITION: read_transition,
    Record.REC_FILL: read_fill,
    Record.REC_REFUSAL: read_refusal,
    Record.REC_RISK: read_risk,
    Record.REC_BOOK: read_book,
    Record.REC_BALANCE: read_balance,
    Record.REC_STAMPS: read_stamps,
    Record.REC_INSTRUMENT: read_instrument,
    Record.REC_INCIDENT: read_incident,
    Record.REC_END: read_end,
    Record.REC_SAMPLE: read_sample,
    Record.REC_PLACE: read_place,
    Record.REC_NEIGHBOURS: read_neighbours,
}


def read_payload(record: JournalRecord) -> object:
    """Parse the payload of a record whose kind has a reader; other kinds give their bytes."""
    try:
        reader = READERS.get(Record(record.kind))
    except ValueError:
        return record.payload
    return record.payload if reader is None else reader(record.payload)
