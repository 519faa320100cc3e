"""One session through everything a venue and a network do: books, sockets, frames, modes.

The session runs once, over real sockets; each test looks at its part of the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm._fast.book import BookBreak, BookState
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.engine.context import SOURCE_PRIVATE
from openmm.events import SystemMode
from openmm.journal import JournalRecord, read_book, read_intent, read_payload, read_transition
from tests.e2e.checker import Checker, check
from tests.e2e.desk import Desk, options

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
GARBAGE = b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":1e'


@dataclass(frozen=True)
class Session:
    """The session that has ended."""

    exit_code: int
    counters: dict[str, int]
    marks: dict[str, int]
    open_at_end: list[object]
    statement: dict[str, Any]
    expected: dict[str, Decimal]
    journal: list[JournalRecord]
    checker: Checker

    def part(self, name: str) -> list[JournalRecord]:
        """Return the records from a mark to the next."""
        order = sorted(self.marks.values())
        start = self.marks[name]
        ends = [one for one in order if one > start]
        end = ends[0] if ends else len(self.journal)
        return [one for one in self.journal if start <= one.record_index < end]


async def disturbed(folder: Path) -> Session:
    """Disturb a session in every way, waiting for quotes after each."""
    grid = {"spread": "1.5bps", "vol_factor": "0.25", "depth_factor": "0%", "skew_full": "6bps"}
    risk = {"max_message_age": "1500ms"}
    async with Desk(folder, options(), risk=risk, strategy=grid) as desk:
        server, engine = desk.server, desk.engine
        book = engine.tables.pipeline.feed.book
        await desk.until_quoting()

        async def disturb(name: str, act: Callable[[], object], seen: Callable[[], bool]) -> None:
            desk.mark(name)
            act()
            await desk.until(seen, name)
            await desk.until_quoting()

        def broken_again() -> Callable[[], bool]:
            before = book.break_count
            return lambda: book.break_count > before

        def reconnected() -> Callable[[], bool]:
            before = engine._traffic.links[-1].connect_count  # type: ignore[union-attr]
            return lambda: engine._traffic.links[-1].connect_count > before  # type: ignore[union-attr]

        await disturb("checksum", lambda: desk.fault(kind="checksum"), broken_again())
        await disturb("garbage", lambda: desk.say(GARBAGE), broken_again())
        told = engine.step.counters.unrecognised
        await disturb(
            "text",
            lambda: desk.say(b"proxy restarting"),
            lambda: engine.step.counters.unrecognised > told,
        )

        def cut(private: bool, side: Side) -> None:
            desk.drop(private=private)
            desk.hit(side)  # filled while we cannot hear it, or cannot see the market

        desk.hit(Side.BUY)
        await desk.until_quoting()
        await disturb("public", lambda: cut(False, Side.SELL), broken_again())
        await disturb("private", lambda: cut(True, Side.BUY), reconnected())
        await disturb(
            "lost reply",
            lambda: desk.fault(kind="closed", on="order", when="after"),
            reconnected(),
        )
        await disturb(
            "lost request",
            lambda: desk.fault(kind="closed", on="order", when="before"),
            reconnected(),
        )
        await disturb(
            "sequence", lambda: desk.fault(kind="lost", on="executions", seen=True), reconnected()
        )
        desk.mark("mode")
        server.core.set_mode(SystemMode.CANCEL_ONLY, server.now_ns())
        await desk.until(lambda: not desk.venue_orders(), "no order while the venue takes none")
        server.core.set_mode(SystemMode.ONLINE, server.now_ns())
        await desk.until_quoting()
        desk.mark("silence")
        desk.fault(kind="half_open", on="book")
        await desk.until(broken_again(), "silence noticed")
        await desk.until_quoting()
        desk.mark("end")
    found = Session(
        engine.exit_code, engine.step.counter_values(), desk.marks, desk.open_at_end,
        desk.statement, engine.step.expected(), records := desk.journal(), check(records),
    )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return asyncio.run(disturbed(tmp_path_factory.mktemp("faults")))


def breaks(part: list[JournalRecord]) -> list[tuple[int, BookBreak]]:
    """Return place and reason of every broken book."""
    found = []
    for place, record in enumerate(part):
        if record.kind == Record.REC_BOOK:
            book = read_book(record.payload)
            if book.state == BookState.BOOK_BROKEN:
                found.append((place, BookBreak(book.reason)))
    return found


def kinds(part: list[JournalRecord]) -> list[ActionKind]:
    return [
        ActionKind(read_intent(one.payload).action.kind)
        for one in part
        if one.kind == Record.REC_INTENT
    ]


def test_session_ends_well_with_the_venues_money(session: Session) -> None:
    assert session.exit_code == 0
    assert session.open_at_end == []
    assert (session.counters["overfills"], session.counters["illegal"]) == (0, 0)
    fills = session.statement["fills"]
    assert len(fills) >= 3
    assert session.checker.fills.keys() == {fill["exec_id"] for fill in fills}
    for asset, told in session.statement["assets"].items():
        assert session.expected[asset] == Decimal(told["closing"])


def test_checker_finds_nothing_wrong(session: Session) -> None:
    # No quote on a broken book or without the private stream, no limit passed, nothing doubled.
    assert session.checker.found == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("checksum", BookBreak.BREAK_CHECKSUM), ("garbage", BookBreak.BREAK_PARSE)],
)
def test_bad_frame_breaks_the_book_and_cancels_in_the_same_step(
    session: Session, name: str, reason: BookBreak
) -> None:
    part = session.part(name)
    ((at, seen), *_) = breaks(part)
    assert seen is reason
    # By the end of the read that brought it, every live order is on its way out.
    ended = [one.kind == Record.REC_BATCH_END for one in part[at:]].index(True) + at + 1
    step = []
    for record in part[ended:]:
        if record.kind in (Record.REC_FRAME, Record.REC_TIMER):
            break
        step.append(record)
    assert kinds(part[at:ended]) == []
    assert set(kinds(step)) == {ActionKind.ACTION_CANCEL}
    assert len(kinds(step)) >= 2
    states = [
        BookState(read_book(one.payload).state) for one in part if one.kind == Record.REC_BOOK
    ]
    assert states[-1] is BookState.BOOK_VERIFIED
    assert ActionKind.ACTION_PLACE in kinds(part)


def test_text_frame_of_no_protocol_changes_nothing(session: Session) -> None:
    assert breaks(session.part("text")) == []
    assert session.counters["unrecognised"] >= 1


def test_lost_public_connection_drops_the_book_until_it_is_verified_anew(session: Session) -> None:
    part = session.part("public")
    connections = [one.payload for one in part if one.kind == Record.REC_CONNECTION]
    assert connections[:2] == [b"0", b"1"]
    lost = [one.kind == Record.REC_CONNECTION for one in part].index(True)
    ((at, reason), *_) = breaks(part)
    # The first thing that is done about it: its call, then the break.
    assert part[lost + 1].payload == b'["market_lost",0]'
    assert (at, reason) == (lost + 2, BookBreak.BREAK_DISCONNECT)
    verified = next(
        place
        for place, one in enumerate(part)
        if place > at
        and one.kind == Record.REC_BOOK
        and read_book(one.payload).state == BookState.BOOK_VERIFIED
    )
    meanwhile = kinds(part[lost:verified])
    assert meanwhile.count(ActionKind.ACTION_CANCEL) >= 2
    assert set(meanwhile) == {ActionKind.ACTION_CANCEL}
    assert ActionKind.ACTION_PLACE in kinds(part[verified:])


@pytest.mark.parametrize("name", ["private", "lost reply", "lost request", "sequence"])
def test_lost_private_connection_is_made_anew_and_doubles_nothing(
    session: Session, name: str
) -> None:
    part = session.part(name)
    connections = [
        one.payload
        for one in part
        if one.kind == Record.REC_CONNECTION and one.source == SOURCE_PRIVATE
    ]
    assert connections[:2] == [b"0", b"1"]
    told: list[Any] = [
        read_transition(one.payload) for one in part if one.kind == Record.REC_TRANSITION
    ]
    doubted = {one.seq for one in told if one.event == OrderEvent.EV_TIMEOUT}
    settled = {
        one.seq for one in told
        if one.from_state == OrderState.UNKNOWN and one.to_state != OrderState.UNKNOWN
    }  # fmt: skip
    rest = [one for one in part if one.kind == Record.REC_REST]
    # Nothing is asked where the first message of the new connection has told of every order.
    assert doubted
    assert rest or doubted <= settled, "the venue was not asked about orders"


def test_lost_reply_leaves_orders_unknown_until_the_venue_tells(session: Session) -> None:
    events = [
        OrderEvent(read_transition(one.payload).event)
        for name in ("lost reply", "lost request")
        for one in session.part(name)
        if one.kind == Record.REC_TRANSITION
    ]
    assert OrderEvent.EV_TIMEOUT in events


def test_silence_drops_the_book(session: Session) -> None:
    incidents: list[Any] = [
        read_payload(one) for one in session.part("silence") if one.kind == Record.REC_INCIDENT
    ]
    assert any("silent" in one.text for one in incidents)


def test_mode_without_orders_is_respected(session: Session) -> None:
    part = kinds(session.part("mode"))
    assert part.index(ActionKind.ACTION_CANCEL) < part.index(ActionKind.ACTION_PLACE)
