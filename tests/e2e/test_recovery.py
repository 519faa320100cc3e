"""What an engine does about one fault at a time, on a virtual clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openmm._fast.checks import Reason
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm.engine.context import SOURCE_PRIVATE
from openmm.journal import JournalRecord, read_payload
from openmm.sim.faults import FaultScript, parse_rule
from openmm.testing.virtual import VirtualBot
from tests.e2e import virtual
from tests.e2e.checker import check

NS = 1_000_000_000


def bot(folder: Path, *rules: dict[str, Any], **risk: Any) -> VirtualBot:
    """Start a bot at a venue with these faults."""
    script = FaultScript(tuple(parse_rule(rule) for rule in rules), seed=1)
    made = virtual.bot(folder, faults=script, **risk)
    made.start()
    return made


def ended_well(made: VirtualBot) -> None:
    """Stop the bot: everything proven, nothing wrong."""
    assert made.stop() == 0
    assert check(made.records).found == []
    assert made.differences() == {}
    assert made.open_orders() == []


def since(made: VirtualBot, seconds: float) -> list[JournalRecord]:
    """Return the records of the last so many seconds."""
    return [one for one in made.records if one.ts_ns > made.now_ns - seconds * NS]


def payload(record: JournalRecord) -> Any:
    """Read a record's content."""
    return read_payload(record)


def private_connections(records: list[JournalRecord]) -> list[bytes]:
    return [
        one.payload
        for one in records
        if one.kind == Record.REC_CONNECTION and one.source == SOURCE_PRIVATE
    ]


def test_token_that_is_refused_is_replaced_at_once(tmp_path: Path) -> None:
    made = bot(tmp_path, {"kind": "tokens", "at": "20s"})
    made.run(60)
    assert private_connections(made.records) == [b"1", b"0", b"1"]
    assert made.tables.pipeline.stream_live
    assert made.tables.pipeline.table.live_count >= 2
    ended_well(made)


def test_private_stream_that_comes_back_without_a_snapshot_is_made_anew(tmp_path: Path) -> None:
    made = bot(
        tmp_path,
        {"kind": "tokens", "at": "20s"},
        {"kind": "lost", "on": "balances", "at": "20s", "until": "25s", "chance": "100%"},
    )
    made.run(60)
    assert private_connections(made.records) == [b"1", b"0", b"1", b"0", b"1"]
    assert made.tables.pipeline.stream_live
    assert made.tables.pipeline.table.live_count >= 2
    ended_well(made)


def test_half_open_private_stream_is_lost_within_ten_seconds_and_made_anew(tmp_path: Path) -> None:
    made = bot(tmp_path, {"kind": "half_open", "on": "executions", "at": "20s"})
    made.run(20)
    while not made.venue.strikes.struck:
        made.run(1)
    made.run(11)
    assert private_connections(made.records) == [b"1", b"0", b"1"]
    made.run(30)
    assert made.tables.pipeline.stream_live
    ended_well(made)


def test_half_open_feed_drops_the_book_and_comes_back(tmp_path: Path) -> None:
    made = bot(tmp_path, {"kind": "half_open", "on": "book", "at": "20s"})
    made.run(60)
    texts = [payload(one).text for one in made.records if one.kind == Record.REC_INCIDENT]
    assert texts == ["feed 0 is silent: book dropped"]
    assert made.tables.pipeline.table.live_count >= 2
    ended_well(made)


@pytest.mark.parametrize("kind", ["lost", "forget"])
def test_order_that_the_venue_does_not_have_is_proven_gone_by_query(
    tmp_path: Path, kind: str
) -> None:
    made = bot(tmp_path, {"kind": kind, "on": ["add", "batch_add"], "at": "5s"})
    made.run(120)
    assert made.venue.strikes.struck.total() == 1
    assert made.tables.pipeline.table.unknown_count == 0
    ended_well(made)


@pytest.mark.parametrize("when", ["before", "after"])
def test_request_of_unknown_outcome_counts_in_full_until_it_is_proven(
    tmp_path: Path, when: str
) -> None:
    rule = {"kind": "closed", "on": ["add", "batch_add"], "at": "5s", "when": when}
    made = bot(tmp_path, rule)
    made.run(30)
    assert made.venue.strikes.struck.total() == 1
    told = [payload(one) for one in made.records if one.kind == Record.REC_TRANSITION]
    assert OrderState.UNKNOWN in [one.to_state for one in told]
    assert made.tables.pipeline.table.unknown_count == 0
    ended_well(made)


@pytest.mark.parametrize("when", ["before", "after"])
def test_amend_of_unknown_outcome_is_settled_by_what_the_venue_shows(
    tmp_path: Path, when: str
) -> None:
    made = bot(tmp_path, {"kind": "closed", "on": "amend", "count": 8, "when": when, "at": "5s"})
    made.run(120)
    assert made.venue.strikes.struck.total() >= 3
    told = [payload(one) for one in made.records if one.kind == Record.REC_TRANSITION]
    proven = [one for one in told if one.event == OrderEvent.EV_PROVEN_OPEN and one.price_ticks]
    assert proven
    ended_well(made)


def test_fill_of_an_order_whose_answers_were_all_lost_is_ours(tmp_path: Path) -> None:
    # The venue's id of these orders is told by nothing but a query.
    lost = {"kind": "lost", "on": ["ack.add", "ack.batch_add", "executions"], "at": "5s"}
    made = bot(tmp_path, lost | {"chance": "70%", "until": "65s"})
    made.run(120)
    assert made.step.counters.foreign_fills == 0
    fills = [payload(one) for one in made.records if one.kind == Record.REC_FILL]
    assert any(one.source == "query" for one in fills)
    ended_well(made)


def test_maintenance_withdraws_and_returns(tmp_path: Path) -> None:
    made = bot(tmp_path, {"kind": "mode", "mode": "maintenance", "at": "20s", "for": "15s"})
    made.run(30)
    placed = [
        payload(one).action
        for one in since(made, 9)
        if one.kind == Record.REC_INTENT and payload(one).action.kind != ActionKind.ACTION_CANCEL
    ]
    assert placed == []
    made.run(30)
    assert made.tables.pipeline.table.live_count >= 2
    ended_well(made)


def asked_too_soon(records: list[JournalRecord]) -> list[str]:
    """Find orders at a price, or a better one, that was refused less than 20 ms before."""
    placed: dict[int, tuple[int, int]] = {}
    refused: list[tuple[int, int, int]] = []
    wrong = []
    for one in records:
        if one.kind == Record.REC_INTENT:
            action = payload(one).action
            if action.kind != ActionKind.ACTION_PLACE:
                continue
            sign = 1 if action.side == 1 else -1
            placed[action.seq] = (action.side, action.price_ticks)
            wrong += [
                f"{action.price_ticks} after {price_ticks} was refused"
                for side, price_ticks, ts_ns in refused
                if side == action.side
                and one.ts_ns - ts_ns < NS // 50
                and sign * action.price_ticks >= sign * price_ticks
            ]
        elif one.kind == Record.REC_TRANSITION:
            moved = payload(one)
            if moved.event == OrderEvent.EV_REJECTED:
                refused.append((*placed[moved.seq], one.ts_ns))
    assert refused
    return wrong


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_loop_of_post_only_refusals_is_not_hammered(tmp_path: Path, seed: int) -> None:
    # The brake is out of the way: what is left alone here is left alone by itself.
    loud: dict[str, Any] = {"post_only_per_minute": 100_000}
    refused = {"kind": "refused", "on": ["add", "batch_add"], "text": "EOrder:Post only order"}
    script = FaultScript((parse_rule({**refused, "at": "1ms", "for": "10s"}),), seed=seed)
    made = virtual.bot(tmp_path, seed, faults=script, **loud)
    made.start()
    made.run(10)
    # To ask at every tick would take three hundred, and the venue's budget. What is asked beyond
    # nine times a side (20 ms, 40 ms and so on to 5 s) is further away than all that was refused.
    assert 6 <= made.step.counters.rejected <= 100
    assert Reason.RATE_BUDGET not in made.step.pipeline.checks.refusals()
    assert asked_too_soon(made.records) == []
    # The venue has come to its senses.
    made.run(10)
    assert made.step.pipeline.table.live_count == 6
    ended_well(made)
