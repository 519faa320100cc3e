"""Queue places in whole sessions: what stays for its place, what is told of it, and its replay."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from openmm import journal
from openmm._fast.planner import ActionKind
from openmm._fast.queue import QueueModel
from openmm._fast.tape import Record
from openmm.engine.commands import Set
from openmm.engine.replay import replay
from openmm.journal import JournalRecord, PlaceRecord
from openmm.settlement.booking import Booker
from openmm.settlement.explain import explain
from openmm.settlement.report import load_report
from openmm.settlement.store import Store
from openmm.testing.virtual import VirtualBot
from tests.e2e import virtual

SECONDS = 40
PLACES = {"queue_value": "0.5bps", "queue_model": "log"}


def session(folder: Path, strategy: dict[str, str]) -> tuple[VirtualBot, list[JournalRecord]]:
    bot = virtual.bot(folder, 3, strategy=strategy)
    bot.start()
    bot.run(SECONDS)
    assert bot.stop() == 0
    return bot, bot.records


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> list[JournalRecord]:
    """The journal of a session whose places are worth half a level."""
    return session(tmp_path_factory.mktemp("held"), PLACES)[1]


def places(records: list[JournalRecord]) -> list[PlaceRecord]:
    return [journal.read_place(one.payload) for one in records if one.kind == Record.REC_PLACE]


def amends(records: list[JournalRecord]) -> int:
    intents = [journal.read_intent(one.payload) for one in records if one.kind == Record.REC_INTENT]
    return sum(one.action.kind == ActionKind.ACTION_AMEND for one in intents)


def test_orders_stay_for_their_place_and_fewer_are_moved(
    held: list[JournalRecord], tmp_path: Path
) -> None:
    _, without = session(tmp_path, {"queue_value": "0 ticks"})
    kept = [one for one in places(held) if one.wanted_ticks]
    assert len(kept) > 10
    assert places(without) == []
    assert amends(held) < amends(without)
    # A tolerance of 0.3 bps, and what the place was worth beyond it.
    for one in kept:
        tolerance_ticks = one.price_ticks * 30 // 1_000_000 + 1
        assert 0 < one.worth_ticks <= one.price_ticks * 51 // 1_000_000
        assert abs(one.price_ticks - one.wanted_ticks) <= tolerance_ticks + one.worth_ticks


def test_every_fill_tells_the_place_it_met(held: list[JournalRecord]) -> None:
    filled = [one for one in held if one.kind == Record.REC_FILL]
    met = [one for one in places(held) if not one.wanted_ticks]
    assert 0 < len(met) <= len(filled)
    assert all(one.ahead_lots >= 0 and one.behind_lots >= 0 for one in met)
    assert all(one.since_ns > 0 for one in met)


def test_session_with_places_replays_identically(held: list[JournalRecord]) -> None:
    found = replay(held)
    assert found.difference is None
    assert found.ended
    edited = next(one for one in held if one.kind == Record.REC_PLACE)
    payload = bytes([edited.payload[0] ^ 1]) + edited.payload[1:]
    at = edited.record_index
    told = replay([*held[:at], edited._replace(payload=payload), *held[at + 1 :]])
    assert told.difference is not None
    assert told.difference.record_index == at


def test_explain_tells_why_an_order_stayed(held: list[JournalRecord]) -> None:
    kept = next(one for one in places(held) if one.wanted_ticks)
    life = explain(held, str(kept.seq))
    told = next(one for one in life.events if one.what == "place" and "kept" in one.text)
    assert told.details["worth_ticks"] == kept.worth_ticks
    assert told.details["queue_age_ns"] >= 0
    assert f"{abs(kept.price_ticks - kept.wanted_ticks)} ticks off" in told.text


def test_worth_and_model_change_while_the_bot_runs(tmp_path: Path) -> None:
    bot = virtual.bot(tmp_path, 3)
    bot.start()
    bot.run(5)
    queue = bot.tables.pipeline.planner.queue
    # Half a level unless told.
    assert queue.params == {"value_ticks": 30, "model": QueueModel.QUEUE_CAUTIOUS, "power": 3}
    changes = {
        "strategy.queue_value": "4 ticks", "strategy.queue_model": "power",
        "strategy.queue_power": "2",
    }  # fmt: skip
    bot.command(Set(changes=json.dumps(changes)))
    bot.run(1)
    assert queue.params == {"value_ticks": 4, "model": QueueModel.QUEUE_POWER, "power": 2}
    assert bot.stop() == 0


def test_report_tells_the_places_of_what_was_filled(
    held: list[JournalRecord], tmp_path: Path
) -> None:
    told = [one for one in places(held) if not one.wanted_ticks]
    url = f"sqlite:///{tmp_path / 'books.db'}"
    session_id = journal.read_session(held[0].payload).session_id
    store = Store(url)
    booker = Booker(store, session_id)
    booker.apply((one.record_index, one.kind, one.source, one.ts_ns, one.payload) for one in held)
    booker.commit()
    store.close()
    queue = load_report(url, session_id).queue
    assert queue.fills == len(told) > 3
    front = sum(one.ahead_lots == 0 for one in told)
    assert queue.at_front == round(Decimal(front) / len(told), 4)
    ages = sorted(
        at.ts_ns - one.since_ns
        for at in held
        if at.kind == Record.REC_PLACE and not (one := journal.read_place(at.payload)).wanted_ticks
    )
    assert queue.age_s is not None
    assert float(queue.age_s) == pytest.approx(
        ages[(len(ages) - 1) // 2] / 1e9, rel=0.01, abs=0.001
    )
