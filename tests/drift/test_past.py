"""What a journal tells of its session's orders: arrivals, clocks, whose book it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm.backtest.model import Model
from openmm.drift.measured import model_of
from openmm.drift.own import Sent
from openmm.drift.past import Past
from openmm.engine.context import SOURCE_PRIVATE
from openmm.errors import JournalError
from openmm.journal import JournalRecord, read_session, session_record
from tests.drift import live

MS = 1_000_000
HOUR_NS = 3_600_000_000_000
CANCEL = ActionKind.ACTION_CANCEL


@pytest.fixture(scope="module")
def records(shared: Path) -> Sequence[JournalRecord]:
    return live.recorded(shared / "data")


@pytest.fixture(scope="module")
def past(records: Sequence[JournalRecord]) -> Past:
    return Past(records)


def spans(sent: Sequence[Sent]) -> tuple[list[int], list[int]]:
    return (
        [one.arrived_ns - one.sent_ns for one in sent],
        [one.answered_ns - one.arrived_ns for one in sent],
    )


def test_every_request_of_the_session_arrived_when_the_venue_says(past: Past) -> None:
    assert past.offset_ns == 0
    assert past.ended
    assert past.apart
    assert all(one.told for one in past.sent)
    there, back = spans(past.sent)
    # As the venue was set: 20 ms and an exponential part on top; its times are cut to microseconds.
    for delays in (there, back, past.seen_ns().tolist()):
        assert min(delays) > 20 * MS - 1_001
        assert 21 * MS < np.mean(delays) < 60 * MS
    assert len(past.market_ns) > len(past.seen_ns()) > 1000  # some messages tell nothing
    assert (np.diff(past.market_ns) >= 0).all()


def test_a_clock_that_is_off_by_an_hour_changes_no_delay(
    past: Past, records: Sequence[JournalRecord]
) -> None:
    shifted = Past([one._replace(ts_ns=one.ts_ns + HOUR_NS) for one in records])
    # Anything that neither a request nor an answer contradicts is as good: the middle is taken.
    assert abs(shifted.offset_ns - HOUR_NS) < 21 * MS
    for told, known in zip(spans(shifted.sent), spans(past.sent), strict=True):
        assert abs(np.median(told) - np.median(known)) < 21 * MS
        assert min(told) >= 0


def test_a_venue_that_stamps_its_answers_is_not_taken_to_cut_its_times(
    past: Past, records: Sequence[JournalRecord]
) -> None:
    assert len(past.sent) > 50
    assert all(one.stamped for one in past.sent)
    assert [past.filled_ns(one) for one in past.fills] == [one.venue_ns for one in past.fills]
    behind_ns = 400 * MS
    shifted = Past([one._replace(ts_ns=one.ts_ns + behind_ns) for one in records])
    assert abs(shifted.offset_ns - behind_ns) < 21 * MS


def test_own_orders_of_a_market_of_their_own_stand_in_its_book() -> None:
    past = Past(live.synthetic())
    assert not past.apart
    assert len(past.fills) > 20
    # Each order that rested is gone at the end, in fills or by a cancel.
    left = {one.seq: one.left_lots for one in past.steps}
    assert left
    assert set(left.values()) == {0}


def test_a_fill_that_the_book_told_first_is_no_order_that_the_book_does_not_hold() -> None:
    # A short session, in which two orders were gone from the book before their fills were told.
    assert not Past(live.synthetic(20)).apart
    halted = live.halted()
    assert not Past(halted).apart


def test_an_order_whose_end_may_have_been_missed_is_not_looked_for() -> None:
    records = live.synthetic(20)
    # From the loss on nothing is told of what rests, and the book shows it no more.
    at = next(i for i, one in enumerate(records) if one.ts_ns > records[0].ts_ns + 2_000 * MS)
    down = records[at]._replace(
        kind=int(Record.REC_CONNECTION), source=SOURCE_PRIVATE, payload=b"0"
    )
    deaf = [
        one for one in records[at:]
        if not (one.kind == Record.REC_FRAME and one.source == SOURCE_PRIVATE)
        and not one.payload.startswith(b'["on_events"') and one.kind != Record.REC_FILL
    ]  # fmt: skip
    assert Past([*records[:at], *deaf]).apart  # nobody said that the connection was lost
    assert not Past([*records[:at], down, *deaf]).apart


def test_delays_of_a_venue_that_tells_milliseconds_lie_within_them() -> None:
    past = Past(live.over_rest())
    assert past.is_coarse
    assert past.apart
    told = [one for one in past.sent if one.told]
    assert len(told) > len(past.sent) * 0.9
    there, back = spans(told)
    assert min(there) > 3 * MS
    assert min(back) > 3 * MS


def test_what_is_no_session_of_orders_is_refused(records: Sequence[JournalRecord]) -> None:
    with pytest.raises(JournalError, match="does not begin"):
        Past(records[1:])
    sending = (Record.REC_INTENT, Record.REC_ORDER_BYTES)
    with pytest.raises(JournalError, match="sent no order"):
        Past([one for one in records if one.kind not in sending])
    opening = b'["set_opening"'
    with pytest.raises(JournalError, match="never opened"):
        Past([one for one in records if not one.payload.startswith(opening)])
    with pytest.raises(JournalError, match="second session"):
        Past([*records, *records])
    with pytest.raises(JournalError, match="never told what its instruments"):
        Past([one for one in records if one.kind != Record.REC_INSTRUMENT])
    call = next(i for i, one in enumerate(records) if one.payload.startswith(b'["on_events"'))
    for payload in (b'["on_\xffvents",[]]', b'["on_events'):
        broken = records[call]._replace(payload=payload)
        Past([*records[:call], broken, *records[call + 1 :]])  # told when it is called again


def test_a_session_of_another_build_is_told_or_refused(records: Sequence[JournalRecord]) -> None:
    session = read_session(records[0].payload)

    def past(**changed: object) -> Past:
        payload = session_record(replace(session, **changed))
        return Past([records[0]._replace(payload=payload), *records[1:]])

    assert not any("build" in one for one in past().notes)
    assert any("the session is of build 0.0.1" in one for one in past(build="0.0.1").notes)
    seeds = {name: one for name, one in session.seeds.items() if name != "symbols"}
    with pytest.raises(JournalError, match=r"of a build \(.*\) that did .* without symbols"):
        past(seeds=seeds)


def test_a_lost_connection_is_told(records: Sequence[JournalRecord]) -> None:
    middle = len(records) // 2
    down = records[middle]._replace(kind=int(Record.REC_CONNECTION), source=100, payload=b"0")
    past = Past([*records[:middle], down, *records[middle:]])
    assert any("lost 1 times" in one for one in past.notes)


def test_an_answer_that_names_none_of_its_orders_is_known_by_its_request(
    records: Sequence[JournalRecord],
) -> None:
    # As when the orders of a batch were filled on its way: no word of their end by a cancel.
    kept = [
        one for one in records
        if not (one.kind == Record.REC_CALL and b'"status":"cancelled"' in one.payload)
    ]  # fmt: skip
    assert len(kept) < len(records)
    found = Past(kept)
    batches = [one for one in found.sent if len(one.own) > 1 and one.own[0].kind == CANCEL]
    assert batches
    for one in batches:
        assert one.told
        assert one.stamped
        assert 20 * MS - 1_001 < one.arrived_ns - one.sent_ns < 200 * MS
        assert 20 * MS - 1_001 < one.answered_ns - one.arrived_ns < 200 * MS


def test_a_request_that_was_never_answered_has_no_delay_to_fit(
    records: Sequence[JournalRecord],
) -> None:
    last_ns = Past(records).sent[-1].sent_ns
    silent = [one for one in records if one.ts_ns <= last_ns or one.kind != Record.REC_CALL]
    # And then nothing for a while: when the request arrived is anybody's guess.
    end = silent.pop()
    found = Past([*silent, end._replace(ts_ns=end.ts_ns + 10_000 * MS)])
    assert not found.sent[-1].answered_ns
    model = model_of(found, Model(queue="careful"), each=False)
    assert max(model.orders_ns) < 200 * MS


def test_a_session_without_any_answer_has_nothing_to_fit(records: Sequence[JournalRecord]) -> None:
    found = Past(records)
    for one in found.sent:
        one.answered_ns = 0
    with pytest.raises(JournalError, match="no request of the session was answered"):
        model_of(found, Model(queue="careful"), each=False)
