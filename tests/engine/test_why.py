"""What decisions saw, by replay: sources that make the reference, and every check passed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from openmm import journal
from openmm._fast.checks import Reason
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm._fast.units import UTICKS_PER_TICK
from openmm.engine.why import Seen, seen
from openmm.errors import JournalError
from openmm.journal import ActionRecord, JournalRecord
from tests.e2e import crossed

# Every check of an order that is placed, in the order they are made; the last two need no figures.
PASSED = [
    one.name.lower()
    for one in Reason
    if Reason.STATE <= one <= Reason.TAPE_FULL and one not in (Reason.DUPLICATE,)
]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[JournalRecord]:
    """The journal of some seconds at Kraken, the other venues its reference."""
    bot = crossed.bot(tmp_path_factory.mktemp("run"), "kraken", seed=1)
    bot.start()
    bot.run(12)
    assert bot.stop() == 0
    return bot.records


def acts(records: Sequence[JournalRecord], kind: ActionKind) -> dict[int, ActionRecord]:
    """Return the intents of a kind by their record."""
    told = {
        one.record_index: journal.read_intent(one.payload).action
        for one in records
        if one.kind == Record.REC_INTENT
    }
    return {index: action for index, action in told.items() if action.kind == kind}


def of(told: Seen, check: str) -> tuple[int, int]:
    [found] = [one for one in told.checks if one.check == check]
    assert found.limit is not None
    assert found.value is not None
    return found.limit, found.value


def test_each_placed_order_tells_every_check_with_limit_and_value(
    records: list[JournalRecord],
) -> None:
    placed = acts(records, ActionKind.ACTION_PLACE)
    assert len(placed) >= 6
    found = seen(records, placed)
    assert found.keys() == placed.keys()
    for index, action in placed.items():
        told = found[index]
        names = [one.check for one in told.checks]
        side = "inventory_short" if action.side == 1 else "inventory_long"
        assert names == [name for name in PASSED if name != side]
        assert of(told, "order_size_max")[1] == action.qty_lots
        limit, value = of(told, "notional_max")
        assert value == action.price_ticks * action.qty_lots <= limit
        limit, value = of(told, "open_notional")
        assert action.price_ticks * action.qty_lots <= value <= limit
        assert of(told, "order_count")[1] >= 1
    # Orders of one batch count one after another.
    first, second = (found[index] for index in sorted(placed)[:2])
    assert of(second, "order_count")[1] == of(first, "order_count")[1] + 1
    assert of(second, "open_notional")[1] > of(first, "open_notional")[1]


def test_sources_tell_their_part_in_the_reference(records: list[JournalRecord]) -> None:
    last = max(acts(records, ActionKind.ACTION_PLACE))
    told = seen(records, {last})[last]
    assert [one.venue for one in told.sources] == [
        "kraken", "gateio", "bitget", "mexc", "binance", "tether",
    ]  # fmt: skip
    weights = {one.venue: one.weight for one in told.sources if one.verdict == "used"}
    assert len(weights) >= 3
    assert abs(sum(weights.values(), Decimal(0)) - 1) < Decimal("0.00001")
    assert told.sources[-1].verdict == "rate"
    ladder = journal.read_ladder(
        next(
            one
            for one in reversed(records[:last])
            if one.kind == Record.REC_LADDER
        ).payload
    )  # fmt: skip
    reference = Decimal(ladder.view.reference_uticks) / UTICKS_PER_TICK / 10
    for one in told.sources:
        if one.verdict == "used":
            assert one.mid is not None
            assert abs(one.mid / reference - 1) < Decimal("0.001")


def test_cancel_has_no_checks_and_an_order_of_another_session_nothing(
    records: list[JournalRecord],
) -> None:
    cancelled = acts(records, ActionKind.ACTION_CANCEL)
    index = min(cancelled)
    assert seen(records, {index})[index].checks == ()
    assert seen(records, set()) == {}


def test_journal_that_does_not_replay_is_told(records: list[JournalRecord]) -> None:
    first, last = (pick(acts(records, ActionKind.ACTION_PLACE)) for pick in (min, max))
    record = records[first]
    body = bytearray(record.payload)
    body[8] ^= 1
    forged = [*records[:first], record._replace(payload=bytes(body)), *records[first + 1 :]]
    with pytest.raises(JournalError, match=rf"differs at record {first}"):
        seen(forged, {last})


def test_command_tells_what_an_order_saw(
    records: list[JournalRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from openmm.cli.main import main
    from tests.settlement.test_explain import written

    folder = str(written(tmp_path / "session", records))
    assert main(["explain", "512", "--journal", folder]) == 0
    text = capsys.readouterr().out
    assert "    reference   kraken: used, " in text
    assert "                open_notional: limit " in text
    assert main(["explain", "512", "--journal", folder, "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seen"] == []
    assert main(["explain", "512", "--journal", folder, "--json"]) == 0
    [told, *_] = json.loads(capsys.readouterr().out)["seen"]
    assert {"check": "state", "limit": 1, "value": 1} in told["checks"]
