"""`explain` on a real session: every act follows from the terms it is told with."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from openmm import journal
from openmm._fast.tape import Record
from openmm.cli.main import main
from openmm.errors import CommandError, JournalError
from openmm.journal import JournalRecord, SegmentHeader, chain_start, encode_block
from openmm.settlement.explain import Explanation, explain
from tests.e2e import virtual

# A name of the simulator's session below; its sequence numbers start from 512.
FIRST = 512


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[JournalRecord]:
    """The tape of a minute's trading with little room in the message budget."""
    kept: list[JournalRecord] = []
    bot = virtual.bot(tmp_path_factory.mktemp("run"), 3, on_record=kept.append)
    bot.start()
    bot.run(60)
    assert bot.stop() == 0
    return kept


@pytest.fixture(scope="module")
def lives(records: list[JournalRecord]) -> list[Explanation]:
    """Every order of it."""
    placed = {
        intent.action.seq
        for one in records
        if one.kind == Record.REC_INTENT and (intent := journal.read_intent(one.payload))
    }
    assert len(placed) > 10
    return [explain(records, str(seq)) for seq in sorted(placed) if seq]


def test_terms_add_up_to_the_prices_asked(lives: list[Explanation]) -> None:
    acts = 0
    for life in lives:
        for event in life.events:
            terms = event.terms
            if terms is None or event.what not in ("place", "amend"):
                continue
            acts += 1
            assert terms.centre == terms.reference + terms.skew + terms.flow_skew
            if not {"spread_min", "spread_max", "fee_floor", "jump"} & set(terms.clamps):
                widened = terms.widened_by_volatility + terms.widened_by_depth
                widened += terms.widened_by_inventory + terms.widened_by_schedule + terms.held_wide
                assert terms.half_spread == terms.half_base + widened
            assert event.level is not None
            levels = terms.bids if life.side == "buy" else terms.asks
            assert levels[event.level][0] == event.price
            assert event.sent_bytes is not None
            assert event.sent_bytes > 0
            assert event.stages_ns
    assert acts > 20


def test_a_life_begins_with_its_place_and_its_states_join(lives: list[Explanation]) -> None:
    for life in lives:
        assert life.events[0].what == "place"
        assert [one.record_index for one in life.events] == sorted(
            one.record_index for one in life.events
        )
        states = [one for one in life.events if one.state_to is not None]
        for before, after in pairwise(states):
            assert after.state_from in (before.state_to, "PENDING_AMEND", "PENDING_CANCEL")
        filled = [one for one in life.events if one.what == "fill" and one.state_to is None]
        assert all(one.details["cost"] > 0 and one.price for one in filled)


def test_refusals_tell_limit_and_value(lives: list[Explanation]) -> None:
    refused = [one for life in lives for one in life.events if one.what == "refused"]
    assert refused
    for one in refused:
        assert one.limit is not None
        assert one.value is not None
        assert one.text.split(": ")[0] in ("place", "amend", "cancel")


def test_every_name_of_an_order_leads_to_it(records: list[JournalRecord]) -> None:
    fills = [journal.read_fill(one.payload) for one in records if one.kind == Record.REC_FILL]
    assert fills
    for fill in fills:
        life = explain(records, str(fill.seq))
        assert life.client_id == fill.client_id
        assert life.venue_order_ids == (fill.venue_order_id,)
        for name in (fill.client_id, fill.venue_order_id, fill.exec_id):
            assert explain(records, name) == life


@pytest.mark.parametrize("name", ["99999", "OXXXXX-YYYYY-ZZZZZZ", "", "mfdn1k4toc00!!!"])
def test_an_order_that_is_not_there_is_told(records: list[JournalRecord], name: str) -> None:
    with pytest.raises(CommandError, match=r"has no order .*: orders 512 to .* are in it; give"):
        explain(records, name)


def test_a_watched_pair_of_the_same_name_changes_nothing(records: list[JournalRecord]) -> None:
    (at,) = (n for n, one in enumerate(records) if one.kind == Record.REC_INSTRUMENT)
    pair = replace_steps(records[at])
    mixed = [*records[: at + 1], pair, *records[at + 1 :]]
    assert explain(mixed, str(FIRST)) == explain(records, str(FIRST))


def replace_steps(record: JournalRecord) -> JournalRecord:
    own = journal.read_instrument(record.payload)
    other = replace(own, tick_size=Decimal("0.01"), price_decimals=2)
    return record._replace(source=1, payload=journal.instrument_record(other))


def written(folder: Path, records: list[JournalRecord]) -> Path:
    """Write a journal of one segment."""
    header = SegmentHeader(0, "virtual", "test", 0, bytes(32), 0).encode()
    chain, blocks = chain_start(header), []
    for start in range(0, len(records), 500):
        block, chain = encode_block(chain, list(records[start : start + 500]))
        blocks.append(block)
    folder.mkdir()
    (folder / "000000.omj").write_bytes(header + b"".join(blocks))
    return folder


def test_the_command_tells_it_as_text_and_as_json(
    tmp_path: Path, records: list[JournalRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(written(tmp_path / "session", records))
    assert main(["explain", str(FIRST), "--journal", folder]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"order {FIRST}: buy BTC/USD on kraken\nclient id m")
    assert "  place  " in text
    assert "no order stood at its level\n    market      " in text
    assert main(["explain", str(FIRST), "--journal", folder, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    life = explain(records, str(FIRST))
    assert told["seq"] == FIRST
    assert [one["what"] for one in told["events"]] == [one.what for one in life.events]
    assert Decimal(told["events"][0]["terms"]["centre"]) == life.events[0].terms.centre  # type: ignore[union-attr]
    assert main(["explain", "7", "--journal", folder, "--json"]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "no_order"


def test_a_journal_that_is_cut_or_bad_is_told(
    tmp_path: Path, records: list[JournalRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(JournalError, match="does not begin with its session"):
        explain(records[5:], str(FIRST))
    bad = [one._replace(payload=b"x") if one.kind == Record.REC_LADDER else one for one in records]
    with pytest.raises(JournalError, match="ladder"):
        explain(bad, str(FIRST))
    assert main(["explain", "512", "--journal", str(tmp_path / "nothing")]) == 1
    assert "no journal segments" in capsys.readouterr().err
