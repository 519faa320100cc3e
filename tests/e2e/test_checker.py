"""The checker of sessions sees what is wrong: errors planted in a journal and in an engine."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm.engine.step import Step
from openmm.events import OrderFilled
from openmm.journal import (
    JournalRecord,
    intent_record,
    json_record,
    ladder_record,
    read_fill,
    read_intent,
    read_ladder,
)
from tests.e2e import virtual
from tests.e2e.checker import check

SECONDS = 120


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> list[JournalRecord]:
    folder = tmp_path_factory.mktemp("virtual")
    bot = virtual.bot(folder)
    bot.start()
    bot.run(SECONDS)
    assert bot.stop() == 0
    return bot.records


def renumbered(records: list[JournalRecord]) -> list[JournalRecord]:
    """Close the gaps, so that only what records say can tell that one is gone."""
    return [one._replace(record_index=index) for index, one in enumerate(records)]


def places(session: list[JournalRecord], kind: Record) -> list[int]:
    return [index for index, one in enumerate(session) if one.kind == kind]


def test_sound_session_passes(session: list[JournalRecord]) -> None:
    checker = check(session)
    assert checker.found == []
    assert checker.ladders >= 20
    assert len(checker.fills) >= 10
    assert checker.end is not None


def test_missing_record_is_seen_by_its_number(session: list[JournalRecord]) -> None:
    del (cut := list(session))[places(session, Record.REC_TIMER)[5]]
    assert "missing" in check(cut).found[0]


def test_missing_fill_is_seen_from_what_the_other_records_say(
    session: list[JournalRecord],
) -> None:
    del (cut := list(session))[places(session, Record.REC_FILL)[0]]
    found = "\n".join(check(renumbered(cut)).found)
    assert "transition without its fill" in found
    assert "view's base is" in found
    assert "fills counted" in found


def test_doubled_fill_is_seen(session: list[JournalRecord]) -> None:
    at = places(session, Record.REC_FILL)[0]
    found = "\n".join(check(renumbered([*session[: at + 1], *session[at:]])).found)
    assert "fill booked twice" in found


def test_fill_at_a_worse_price_is_seen(session: list[JournalRecord]) -> None:
    at = places(session, Record.REC_FILL)[0]
    fill = read_fill(session[at].payload)
    worse = fill.price_ticks + (50 if fill.side == 1 else -50)
    changed = list(session)
    changed[at] = changed[at]._replace(payload=json_record(replace(fill, price_ticks=worse)))
    assert any("fill worse than" in one for one in check(changed).found)


@pytest.mark.parametrize(
    ("times", "told"),
    [(2, "is no level of"), (3, "limit broken, largest order"), (100, "limit broken, inventory")],
)
def test_oversized_intent_is_seen(session: list[JournalRecord], times: int, told: str) -> None:
    changed = list(session)
    at = next(
        index
        for index in places(session, Record.REC_INTENT)
        if read_intent(session[index].payload).action.kind == ActionKind.ACTION_PLACE
    )
    intent = read_intent(session[at].payload)
    larger = intent.action._replace(qty_lots=intent.action.qty_lots * times)
    changed[at] = changed[at]._replace(payload=intent_record(intent._replace(action=larger)))
    assert any(told in one for one in check(changed).found)


def test_ladder_off_by_a_tick_is_seen(session: list[JournalRecord]) -> None:
    at = places(session, Record.REC_LADDER)[3]
    ladder = read_ladder(session[at].payload)
    (price, lots), *rest = ladder.bids
    changed = list(session)
    wrong = ladder._replace(bids=((price - 1, lots), *rest))
    changed[at] = changed[at]._replace(payload=ladder_record(wrong))
    assert any("ladder bids" in one for one in check(changed).found)


def test_intent_on_a_broken_book_is_seen(session: list[JournalRecord]) -> None:
    at = next(i for i in places(session, Record.REC_BOOK) if session[i].payload[0] == 3)
    broken = session[at]._replace(payload=b"\x01" + session[at].payload[1:])
    changed = [*session[:at], broken, *session[at + 1 :]]
    assert any("BOOK_BROKEN" in one for one in check(changed).found)


def test_engine_that_drops_a_fill_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    booked = Step._on_fill
    dropped: list[OrderFilled] = []

    def forgetful(step: Step, event: OrderFilled, now_ns: int) -> None:
        if len(step.recent_fills) == 3 and not dropped:
            dropped.append(event)
            return
        # A query brings it again, as the state is ahead of the fills.
        if event.exec_id not in [one.exec_id for one in dropped]:
            booked(step, event, now_ns)

    monkeypatch.setattr(Step, "_on_fill", forgetful)
    bot = virtual.bot(tmp_path)
    bot.start()
    bot.run(SECONDS)
    # The order never ends, and the balances never fit.
    assert bot.stop() == 1
    assert len(dropped) == 1
    sign = 1 if dropped[0].side == 1 else -1
    ours, venues = bot.differences()["BTC"]
    assert ours - venues == -sign * Decimal(dropped[0].qty_lots).scaleb(-8)
    checker = check(bot.records)
    assert len(checker.fills) == len(bot.statement()["fills"]) - 1


def test_fill_lost_on_the_stream_is_found_by_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = Step._on_fill
    lost: list[OrderFilled] = []

    def lossy(step: Step, event: OrderFilled, now_ns: int) -> None:
        if len(step.recent_fills) == 3 and not lost:
            lost.append(event)
            return
        booked(step, event, now_ns)

    monkeypatch.setattr(Step, "_on_fill", lossy)
    bot = virtual.bot(tmp_path)
    bot.start()
    bot.run(SECONDS)
    bot.stop()
    assert len(lost) == 1
    assert bot.differences() == {}
    checker = check(bot.records)
    assert lost[0].exec_id in checker.fills
    assert checker.fills.keys() == {fill["exec_id"] for fill in bot.statement()["fills"]}


def test_engine_that_books_a_fill_but_not_its_lots_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = Step._on_fill

    def careless(step: Step, event: OrderFilled, now_ns: int) -> None:
        booked(step, event, now_ns)
        if step.counters.fills == 3:
            step.pipeline.inventory.adjust(-event.qty_lots, 0)

    monkeypatch.setattr(Step, "_on_fill", careless)
    bot = virtual.bot(tmp_path)
    bot.start()
    bot.run(SECONDS)
    bot.stop()
    assert any("view's base is" in one for one in check(bot.records).found)
