"""The base classes refuse until they are filled in; the transports keep what they are given."""

from __future__ import annotations

import pytest

from openmm._fast.book import BookState
from openmm._fast.pipeline import Decision
from openmm._fast.ports import (
    Encoder,
    MemoryTransport,
    NullTransport,
    Strategy,
    TradeLog,
    Transport,
)
from openmm._fast.tape import Record
from openmm.testing.canonical import CanonicalBot, make_bot
from openmm.testing.workload import WorkloadSpec, make
from openmm.venues.kraken.wire import KrakenDecoder

WORK = make(WorkloadSpec(messages=50))


def decide(bot: CanonicalBot) -> None:
    """Show the opening snapshot until the estimators are warm and a ladder is decided."""
    for at in range(3):
        bot.pipeline.mark_dirty()
        bot.pipeline.on_frame(bot.feed, WORK.frames[0], WORK.recv_ns[0] + at * 300_000_000)


def test_base_strategy_quotes_nothing() -> None:
    bot = make_bot(strategy=Strategy(), transport=MemoryTransport())
    decide(bot)
    assert bot.book.state is BookState.BOOK_VERIFIED
    assert bot.pipeline.last_decision is Decision.DECISION_KEPT
    assert bot.pipeline.ladder_levels() == [[], []]


def test_base_transport_never_sends_and_the_orders_are_taken_back() -> None:
    bot = make_bot(transport=Transport())
    decide(bot)
    assert bot.pipeline.last_decision is Decision.DECISION_FAILED
    assert bot.pipeline.table.live_count == 0
    assert bot.pipeline.write_failed_count == 1
    assert not bot.pipeline.stream_live


def test_base_encoder_refuses_and_nothing_is_sent() -> None:
    transport = MemoryTransport()
    bot = make_bot(transport=transport, encoder=Encoder())
    decide(bot)
    assert bot.pipeline.last_decision is Decision.DECISION_FAILED
    assert transport.take() == []
    assert bot.pipeline.table.live_count == 0
    # The journal says that what was meant never left.
    results = [row[4] for row in bot.pipeline.tape.records() if row[1] == Record.REC_WRITE_RESULT]
    assert results == [(-1).to_bytes(8, "little", signed=True)]


def test_memory_transport_hands_over_each_decision_and_keeps_none() -> None:
    got: list[list[bytes]] = []
    transport = MemoryTransport(got.append)
    bot = make_bot(transport=transport)
    decide(bot)
    assert len(got) == 1
    assert all(b'"token":"TTTT' in message for message in got[0])
    assert transport.sent == []
    assert transport.write_count == 1


def test_memory_transport_that_is_down_refuses() -> None:
    transport = MemoryTransport()
    transport.set_live(False)
    bot = make_bot(transport=transport)
    decide(bot)
    assert bot.pipeline.last_decision is Decision.DECISION_FAILED
    assert transport.take() == []


def test_null_transport_counts_what_it_takes() -> None:
    transport = NullTransport()
    bot = make_bot(transport=transport)
    decide(bot)
    assert transport.write_count == 1
    assert transport.message_count == bot.pipeline.message_count > 0
    assert transport.byte_count > 1000


def test_trade_log_keeps_trades_in_order_and_counts_what_it_drops() -> None:
    log = TradeLog(capacity=1)
    decoder = KrakenDecoder()
    decoder.set_sink(log)
    bot = make_bot()
    instrument = bot.instrument
    decoder.bind(
        instrument.name, 0, bot.book, instrument.tick_points, instrument.price_decimals,
        instrument.lot_points, instrument.qty_decimals, 25, True,
    )  # fmt: skip
    trades = [frame for frame in make(WorkloadSpec(messages=200)).frames if b'"trade"' in frame]
    assert len(trades) >= 2
    decoder.decode(trades[0])
    decoder.decode(trades[1])
    assert log.dropped == 1
    kept = log.take()
    assert len(kept) == 1
    assert kept[0][4] == 1001  # trade id
    assert log.take() == []


def test_trade_log_refuses_no_capacity() -> None:
    with pytest.raises(ValueError, match="capacity must be positive: 0"):
        TradeLog(0)
