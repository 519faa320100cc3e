"""The engine in virtual time: its records replay, its account is the venue's."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm._fast.book import BookState
from openmm._fast.tape import Record, Tape, TapeReader
from openmm.config import Hedge
from openmm.engine.replay import replay
from openmm.errors import ConfigError, OpenMMError
from openmm.journal import JournalRecord
from openmm.rerun.engine import TICK_NS, Rerun, finished
from openmm.rerun.runs import placed_in
from openmm.rerun.streams import Stream, synthetic
from tests.rerun.made import bot


@pytest.fixture(scope="module")
def thin() -> Stream:
    return synthetic("thin", 5, 40)


def make(folder: Path, stream: Stream) -> tuple[Rerun, TapeReader]:
    one = stream.instrument("kraken")
    started_ns, mid_ticks = stream.opening(one)
    tape = Tape(folder / "tape", size_bytes=1 << 24, session_id="grid-run")
    reader = TapeReader(folder / "tape")
    reader.attach()
    rerun = Rerun(
        placed_in(bot(), one, mid_ticks), [one], [stream], tape, session_id="grid-run",
        started_ns=started_ns, mid_ticks=mid_ticks,
    )  # fmt: skip
    return rerun, reader


def play(rerun: Rerun, stream: Stream) -> int:
    """Give a stream to an engine with its timer; return the end."""
    due_ns = 0
    for record in stream.records:
        while rerun.is_quoting and due_ns <= record.recv_ns:
            rerun.on_timer(due_ns)
            due_ns += TICK_NS
        rerun.on_frame(0, record.data, record.recv_ns)
        if not rerun.is_quoting and rerun.is_ready:
            assert rerun.tables.pipeline.feed.book.state is BookState.BOOK_VERIFIED
            rerun.quote(record.recv_ns)
            due_ns = record.recv_ns + TICK_NS
    return stream.records[-1].recv_ns


def test_a_bot_that_hedges_is_refused(thin: Stream) -> None:
    one = thin.instrument("kraken")
    hedge = Hedge.model_validate(
        {"venue": "gateio", "pair": "BTC/USD", "unhedged_max": "1", "slippage": "1%"}
    )
    config = bot().model_copy(update={"hedge": hedge})
    with pytest.raises(ConfigError, match="recordings have no second venue"):
        Rerun(
            config, [one], [thin], Tape(None, size_bytes=1 << 20, follow=False),
            session_id="x", started_ns=1, mid_ticks=1,
        )  # fmt: skip


def test_its_records_replay_byte_for_byte(tmp_path: Path, thin: Stream) -> None:
    rerun, reader = make(tmp_path, thin)
    rerun.close(play(rerun, thin), "over")
    records = [JournalRecord(*one) for one in reader.read(1 << 20)]
    kinds = [one.kind for one in records]
    assert kinds[0] == Record.REC_SESSION
    assert kinds.count(Record.REC_FILL) > 5
    outcome = replay(records)
    assert outcome.difference is None
    assert outcome.identical
    assert outcome.ended
    assert outcome.orders > 20


def test_it_ends_with_the_books_that_the_venue_holds(tmp_path: Path, thin: Stream) -> None:
    rerun, _ = make(tmp_path, thin)
    rerun.close(play(rerun, thin), "over")
    assert rerun.step.expected() == rerun.proof.closing
    assert rerun.venue.core.open_orders(rerun.venue.account) == []
    assert rerun.step.counters.fills == len(rerun.venue.core.fills(rerun.venue.account)) > 5


def test_a_lost_book_fills_and_quotes_nothing_until_it_is_whole(
    tmp_path: Path, thin: Stream
) -> None:
    rerun, _ = make(tmp_path, thin)
    now_ns = play(rerun, thin.cut(10))
    assert rerun.tables.pipeline.table.live_count > 0
    fills = rerun.step.counters.fills
    rerun.market_lost(0, now_ns)
    for tick in range(1, 20):
        rerun.on_timer(now_ns + tick * TICK_NS)
    assert rerun.tables.pipeline.table.live_count == 0
    assert rerun.step.counters.fills == fills
    assert any("DISCONNECT" in one for one in rerun.problems)


def test_a_lost_private_stream_comes_back_with_its_orders(tmp_path: Path, thin: Stream) -> None:
    rerun, _ = make(tmp_path, thin)
    now_ns = play(rerun, thin.cut(10))
    rerun.venue.connect(now_ns)  # the old connection's subscriptions are gone with it
    rerun._resync_due = True
    for tick in range(1, 20):
        rerun.on_timer(now_ns + tick * TICK_NS)
    assert rerun.tables.pipeline.stream_live
    rerun.close(now_ns + 20 * TICK_NS, "over")


def test_its_questions_wait_for_no_limit_of_the_venue(tmp_path: Path, thin: Stream) -> None:
    rerun, _ = make(tmp_path, thin)
    now_ns = play(rerun, thin)
    # A busy bot's fills come in many pages: more calls at once than an account may make.
    for _ in range(16):
        rerun.reconcile(now_ns)
        assert finished(rerun.trading.rest().open_orders()) is not None
    rerun.close(now_ns, "test")


def test_a_coroutine_that_waits_is_refused() -> None:
    class Never:
        def __await__(self):  # type: ignore[no-untyped-def]
            yield

    async def wait() -> None:
        await Never()

    with pytest.raises(OpenMMError, match="waits"):
        finished(wait())
