"""A report is recomputed from its journal: what was changed in the store is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from msgspec.structs import replace as with_fields

from openmm import journal
from openmm._fast.tape import Record
from openmm.errors import JournalError, LedgerError
from openmm.settlement.report import load_report
from openmm.settlement.store import Store
from openmm.settlement.touch import Uptime
from openmm.settlement.verify import rebuilt, verify
from openmm.writer.books import rebuild
from openmm.writer.segments import SegmentWriter
from tests.settlement.made import T0, RecordTuple, hand_made

Database = Callable[[str], str]


def write(folder: Path, records: list[RecordTuple], session_id: str = "s-1") -> Path:
    """Write a journal of one session."""
    place = folder / session_id
    place.mkdir(parents=True)
    segments = SegmentWriter(
        place, session_id=session_id, build="test", created_ns=T0, segment_bytes=1 << 16
    )
    segments.append(records, records[0][3])
    segments.close()
    return place


def change(url: str, statement: str) -> None:
    store = Store(url)
    with store.begin() as connection:
        connection.execute(sa.text(statement))
    store.close()


def test_report_holds_and_names_build_and_journal(database: Database, tmp_path: Path) -> None:
    url = database("store")
    place = write(tmp_path, hand_made())
    rebuild(tmp_path, url, "s-1")
    seen: list[int] = []
    verdict = verify(url, "s-1", place, seen.append)
    assert verdict.holds
    assert verdict.figures > 100
    assert (verdict.build, verdict.journal_hash) == (
        "0.1.0", journal.Journal(place).tail.chain.hex(),
    )  # fmt: skip
    assert seen[-1] == len(hand_made())


@pytest.mark.parametrize(
    ("statement", "figure"),
    [
        ("UPDATE touch SET bid_touch_ns = bid_touch_ns + 1000000", "time_at_touch.bid.at_touch"),
        ("UPDATE session SET journal_hash = 'aa'", "session.journal_hash"),
        ("UPDATE latency SET max_ns = max_ns + 1", "latency_ns.tick_to_order.max"),
        ("DELETE FROM refusal", "refusals.PRICE_COLLAR"),
        ("UPDATE incident SET severity = 'none'", "incidents.0.severity"),
    ],
)
def test_changed_row_is_found_and_named(
    database: Database, tmp_path: Path, statement: str, figure: str
) -> None:
    url = database("store")
    place = write(tmp_path, hand_made())
    rebuild(tmp_path, url, "s-1")
    change(url, statement)
    verdict = verify(url, "s-1", place)
    assert not verdict.holds
    assert verdict.difference == figure
    assert verdict.stored != verdict.recomputed


def test_fill_that_an_earlier_session_booked_is_no_difference(
    database: Database, tmp_path: Path
) -> None:
    url = database("store")
    write(tmp_path, hand_made())
    rebuild(tmp_path, url, "s-1")
    # The next session recovers a fill of the first, and one that nobody knows.
    fill = next(journal.read_fill(r[4]) for r in hand_made() if r[1] == Record.REC_FILL)
    later = hand_made("s-2")[:4]
    for exec_id in (fill.exec_id, "new"):
        told = journal.json_record(with_fields(fill, exec_id=exec_id, seq=0))
        later.append((len(later), int(Record.REC_FILL), 0, later[-1][3], told))
    end = (len(later), *hand_made("s-2")[-1][1:])
    place = write(tmp_path, [*later, end], "s-2")
    rebuild(tmp_path, url, "s-2")
    assert load_report(url, "s-2").volume.fills == 1
    assert verify(url, "s-2", place).holds


def test_session_that_runs_and_journal_that_is_damaged_are_errors(tmp_path: Path) -> None:
    url = str(tmp_path / "store.sqlite")
    place = write(tmp_path, hand_made())
    rebuild(tmp_path, url, "s-1")
    segment = next(place.glob("*.omj"))
    whole = segment.read_bytes()
    at = whole.index(b"BTC/USD")
    segment.write_bytes(whole[:at] + b"X" + whole[at + 1 :])
    with pytest.raises(JournalError, match="no whole record"):
        verify(url, "s-1", place)
    segment.write_bytes(whole)
    change(url, "UPDATE session SET state = 'running'")
    with pytest.raises(LedgerError, match="is not over"):
        verify(url, "s-1", place)


def test_uptime_is_measured_anew(tmp_path: Path) -> None:
    place = write(tmp_path, hand_made())
    found = {}
    for name, uptime in (
        ("any", Uptime(5_000, Decimal(0))),
        ("near", Uptime(20, Decimal(0))),
        ("deep", Uptime(5_000, Decimal("0.0101"))),
    ):
        with rebuilt(place, "s-1", uptime=uptime) as url:
            found[name] = load_report(url).uptime
    # Both sides are live together from 0.1 s, when they were acknowledged, to 1.5 s.
    assert (found["any"].bid, found["any"].ask) == (Decimal("0.25"), Decimal("0.39"))
    assert found["any"].both == Decimal("0.14")
    # 0.2 bps of 50,000 is one: orders at 49,999.0 and 50,001.0 are on its edge, 49,997.0 is not.
    assert found["near"].bid is not None
    assert Decimal(0) < found["near"].bid < Decimal("0.25")
    assert found["near"].within_bps == Decimal("0.2")
    # With both bids, 0.015; the order of 0.02 from 5.1 to 6.2 s. No ask is that deep.
    assert (found["deep"].bid, found["deep"].ask) == (Decimal("0.18"), Decimal(0))
    assert replace(found["deep"], within_bps=None) != found["any"]
