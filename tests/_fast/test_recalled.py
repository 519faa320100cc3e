"""The transport of a replay: it answers what the session's did, and sends nothing."""

from __future__ import annotations

from openmm._fast.pipeline import Decision
from openmm._fast.recalled import RecalledTransport
from openmm._fast.tape import Record
from openmm.testing.canonical import make_bot
from tests._fast.test_ports import decide

DOWN = -2


def results(bot: object) -> list[int]:
    tape = bot.pipeline.tape  # type: ignore[attr-defined]
    return [
        int.from_bytes(row[4], "little", signed=True)
        for row in tape.records()
        if row[1] == Record.REC_WRITE_RESULT
    ]


def test_sends_get_the_recorded_results_in_order() -> None:
    transport = RecalledTransport()
    bot = make_bot(transport=transport)
    transport.recall([4321])
    decide(bot)
    assert bot.pipeline.last_decision is Decision.DECISION_SENT
    assert results(bot) == [4321]
    transport.recall([-1])
    bot.pipeline.withdraw(bot.pipeline.feed.last_recv_ns)
    assert results(bot) == [4321, -1]
    assert transport.missing_count == 0


def test_send_that_the_session_did_not_make_is_counted() -> None:
    transport = RecalledTransport()
    bot = make_bot(transport=transport)
    decide(bot)
    assert bot.pipeline.last_decision is Decision.DECISION_FAILED
    assert transport.missing_count == 1


def test_withdrawal_over_a_transport_that_was_down_says_so_and_keeps_the_orders() -> None:
    transport = RecalledTransport()
    bot = make_bot(transport=transport)
    transport.recall([100])
    decide(bot)
    live = bot.pipeline.table.live_count
    transport.recall([DOWN])
    assert bot.pipeline.withdraw(bot.pipeline.feed.last_recv_ns) == 0
    assert results(bot) == [100, DOWN]
    assert bot.pipeline.table.live_count == live > 0
    assert transport.missing_count == 0
