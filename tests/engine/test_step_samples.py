"""What the slow path journals of the market: each second, and where a markout asks for it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from openmm._fast.tape import Record, Tape, TapeReader
from openmm.engine.step import MARK_AFTER_NS, StepConfig
from openmm.journal import MISSING, SampleRecord, read_balance, read_sample
from tests.engine.world import SECOND, START, World, quoting

TICK = SECOND // 20


def bot(tmp_path: Path, rates: frozenset[int] = frozenset()) -> tuple[World, TapeReader]:
    tape = Tape(str(tmp_path / "tape"), session_id="s")
    return quoting(StepConfig(rates=rates), tape=tape), TapeReader(tape.path)


def samples(reader: TapeReader) -> list[tuple[int, SampleRecord]]:
    """Return the samples since the last look, with their times."""
    return [
        (ts_ns, read_sample(payload))
        for _, kind, _, ts_ns, payload in reader.read(100_000)
        if kind == Record.REC_SAMPLE
    ]


def test_market_is_sampled_once_a_second_and_after_a_fill(tmp_path: Path) -> None:
    world, reader = bot(tmp_path)
    world.step.on_timer(START + SECOND)
    assert len(samples(reader)) == 1
    world.now_ns = START + SECOND + TICK
    world.feed(world.fill(world.seq(), "E1"), world.fill(world.seq(), "E2"))
    filled_ns = world.now_ns
    for number in range(1, 11):
        world.step.on_timer(filled_ns + number * TICK)
    found = samples(reader)
    assert [ts_ns for ts_ns, _ in found] == [filled_ns + MARK_AFTER_NS], "once for both"
    assert found[0][1].reference_uticks > 0


def test_book_that_converts_currencies_is_sampled_as_itself(tmp_path: Path) -> None:
    world, reader = bot(tmp_path, frozenset({0}))
    world.step.on_timer(START + SECOND)
    rate, quoted = (sample for _, sample in samples(reader))
    assert (rate.reference_uticks, rate.base_lots) == (MISSING, MISSING)
    assert (rate.best_bid_ticks, rate.best_ask_ticks) == (
        quoted.best_bid_ticks, quoted.best_ask_ticks,
    )  # fmt: skip


def test_posted_cost_is_on_record_and_moves_nothing_at_the_venue(tmp_path: Path) -> None:
    world, reader = bot(tmp_path)
    before = world.step.expected()
    world.step.post_cost("ETH", Decimal("0.002"), "0xab", "gas", "wallet:base", START)
    assert world.step.expected() == before
    told = [
        read_balance(payload)
        for _, kind, _, _, payload in reader.read(100_000)
        if kind == Record.REC_BALANCE
    ]
    assert told[-1].kind == "cost"
    assert (told[-1].change, told[-1].ref_id) == (Decimal("-0.002"), "0xab")
    assert (told[-1].name, told[-1].account) == ("gas", "wallet:base")
