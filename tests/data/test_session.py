"""A bot's journal as market data: its frames make the books that the bot saw."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from openmm import journal
from openmm._fast.tape import Record
from openmm.backtest.gather import gather
from openmm.config import Venue
from openmm.data import session
from openmm.data.convert import convert_files
from openmm.data.events import BROKEN, CLEAR, TRADE
from openmm.data.raw import Converted
from openmm.data.store import load
from openmm.errors import ConfigError, JournalError
from openmm.instrument import Instrument
from openmm.journal import JournalRecord
from openmm.writer.segments import SegmentWriter
from tests.rerun.paper import paper_bot, play

SECONDS = 20


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[JournalRecord]:
    made = paper_bot(tmp_path_factory.mktemp("bot"))
    play(made, SECONDS)
    return made.records


def written(folder: Path, records: list[JournalRecord]) -> Path:
    folder.mkdir(parents=True)
    writer = SegmentWriter(
        folder, session_id="virtual", build="0", created_ns=1, segment_bytes=1 << 20
    )
    for at in range(0, len(records), 500):
        writer.append([tuple(one) for one in records[at : at + 500]], 1)  # type: ignore[misc]
    writer.close()
    return folder


def converted(folder: Path) -> Converted:
    (one,) = session.convert(folder)
    return one


def test_books_are_those_that_the_bot_quoted_from(
    tmp_path: Path, records: list[JournalRecord]
) -> None:
    one = converted(written(tmp_path / "journal", records))
    events = one.events
    assert events.market.label == "kraken BTC/USD"
    assert np.count_nonzero(events.kinds == CLEAR) == 1
    assert np.count_nonzero(events.kinds == TRADE) > 0
    ladders = [
        (record.ts_ns, journal.read_ladder(record.payload).view)
        for record in records
        if record.kind == Record.REC_LADDER
    ]
    assert len(ladders) > 10
    for ts_ns, view in ladders[:: max(1, len(ladders) // 30)]:
        book = events.book_before(events.place(ts_ns + 1))
        assert (book.best_bid_ticks, book.best_ask_ticks) == (
            view.best_bid_ticks, view.best_ask_ticks,
        )  # fmt: skip


def test_lost_connection_is_a_broken_book(tmp_path: Path, records: list[JournalRecord]) -> None:
    market = [one.kind == Record.REC_FRAME and one.source == 0 for one in records]
    frames = [at for at, is_frame in enumerate(market) if is_frame]
    at = frames[len(frames) // 2]
    lost = JournalRecord(0, Record.REC_CONNECTION, records[at].source, records[at].ts_ns, b"0")
    cut = [*records[:at], lost, *records[at:]]
    numbered = [one._replace(record_index=place) for place, one in enumerate(cut)]
    events = converted(written(tmp_path / "journal", numbered)).events
    # No other snapshot came: it stays broken, and trades go on.
    assert np.count_nonzero(events.kinds == BROKEN) == 1
    place = int(np.argmax(events.kinds == BROKEN))
    assert events.recv_ns[place] == records[at].ts_ns


def test_session_folder_is_converted_by_its_journal(
    tmp_path: Path, records: list[JournalRecord]
) -> None:
    folder = written(tmp_path / "run" / "journal", records).parent
    (one,) = convert_files([str(folder)], tmp_path / "market")
    store = load(one.path)
    assert store.header.pair == "BTC/USD"
    assert [source.name for source in store.header.sources] == ["000000.omj"]
    assert one.found.verdict == "good"  # what closed at the end is no gap


def test_a_runs_folder_is_its_last_session(tmp_path: Path, records: list[JournalRecord]) -> None:
    run = tmp_path / "run"
    for name in ("bot-20260801T100000Z", "bot-20260802T090000Z", "bot-20260802T080000Z"):
        made = written(run / "journal" / name, records)
    last = run / "journal" / "bot-20260802T090000Z"
    assert session.journal_of(run) == session.journal_of(run / "journal") == last
    assert session.journal_of(made) == made
    assert session.journal_of(tmp_path / "none") is None
    for folder in (run, run / "journal", last):
        (one,) = convert_files([str(folder)], tmp_path / "market", replace=True)
        assert [source.name for source in load(one.path).header.sources] == ["000000.omj"]
        (span,) = gather([str(folder)])
        assert [len(one) for one in span.columns("")] == [len(load(one.path))]
    # A folder of .omd files is that, whatever lies beside them.
    convert_files([str(run)], run)
    (span,) = gather([str(run)])
    assert span.pieces[0].name.endswith(".omd")


def test_what_is_no_whole_journal_is_refused(tmp_path: Path, records: list[JournalRecord]) -> None:
    folder = written(tmp_path / "journal", records)
    with pytest.raises(ConfigError, match="pair: one of BTC/USD"):
        list(session.convert(folder, pair="ETH/USD"))
    late = [one._replace(record_index=at) for at, one in enumerate(records[50:])]
    with pytest.raises(JournalError, match="first segment is not there"):
        list(session.convert(written(tmp_path / "late", late)))
    assert not session.is_journal(tmp_path / "none")


@pytest.mark.parametrize(
    ("market", "label", "lot_size"),
    [
        ("spot", "binance-spot BTC/USDT", Decimal("0.0001")),
        ("coinm", "binance-coinm BTC/USDT", Decimal(1)),  # contracts
    ],
)
def test_markets_of_a_watched_venue_are_told_apart(
    market: str, label: str, lot_size: Decimal
) -> None:
    step = Decimal("0.0001")
    pair = Instrument(
        venue="binance", name="BTC/USDT", base="BTC", quote="USDT", price_decimals=4,
        qty_decimals=4, tick_size=step, lot_size=step, qty_min=step, cost_min=step,
        base_decimals=8, quote_decimals=8,
    )  # fmt: skip
    venue = Venue(name="binance", reference="BTC/USDT", options={"market": market})
    found = session.market_of(venue, pair)
    assert (found.label, found.lot_size, found.tick_size) == (label, lot_size, step)
