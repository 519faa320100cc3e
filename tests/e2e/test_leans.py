"""Whole sessions that lean on every signal: each part told, each key felt, all of it replayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm import journal
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm.engine.replay import replay
from openmm.journal import JournalRecord, LadderRecord
from openmm.settlement.explain import explain
from tests.e2e import virtual

LEANS = {
    "flow_full": "1bps", "micro_weight": "80%", "micro_cap": "1bps", "imbalance_full": "1bps",
    "ofi_full": "1bps", "compression_full": "0.5bps",
}  # fmt: skip
# Name of a ladder's part -> how `openmm explain` tells it.
PARTS = {
    "flow_uticks": "flow_skew", "micro_uticks": "fair_skew",
    "imbalance_uticks": "imbalance_skew", "ofi_uticks": "order_flow_skew",
    "widen_compression_uticks": "widened_by_compression",
}  # fmt: skip


def session(folder: Path, changed: dict[str, str], seconds: int = 12) -> list[JournalRecord]:
    bot = virtual.bot(folder, 3, strategy=LEANS | changed)
    bot.start()
    bot.run(seconds)
    assert bot.stop() == 0
    return bot.records


def ladders(records: list[JournalRecord]) -> list[LadderRecord]:
    return [journal.read_ladder(one.payload) for one in records if one.kind == Record.REC_LADDER]


@pytest.fixture(scope="module")
def leaning(tmp_path_factory: pytest.TempPathFactory) -> list[JournalRecord]:
    """The journal of a session with every weight on."""
    return session(tmp_path_factory.mktemp("leaning"), {})


def test_session_that_leans_on_every_signal_replays_identically(
    leaning: list[JournalRecord],
) -> None:
    told = ladders(leaning)
    for part in PARTS:
        assert any(getattr(one.parts, part) for one in told), part
    found = replay(leaning)
    assert found.difference is None
    assert found.ended


def test_explain_shows_each_leans_part(leaning: list[JournalRecord]) -> None:
    placed = [
        intent.action.seq
        for one in leaning
        if one.kind == Record.REC_INTENT
        and (intent := journal.read_intent(one.payload)).action.kind == ActionKind.ACTION_PLACE
    ]
    missing = set(PARTS.values())
    for seq in placed:
        for event in explain(leaning, str(seq)).events:
            if event.terms is not None:
                missing -= {name for name in missing if getattr(event.terms, name)}
    assert missing == set()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("flow_full", "0bps"), ("micro_weight", "0%"), ("micro_cap", "0.01bps"),
        ("imbalance_full", "0bps"), ("ofi_full", "0bps"), ("compression_full", "0bps"),
    ],
)  # fmt: skip
def test_every_weight_and_cap_changes_the_quotes(
    key: str, value: str, leaning: list[JournalRecord], tmp_path: Path
) -> None:
    without = ladders(session(tmp_path, {key: value}, 6))
    on = ladders(leaning)
    assert [(one.bids, one.asks) for one in without] != [
        (one.bids, one.asks) for one in on[: len(without)]
    ]
    # The ladders part over this key alone: up to there the same market was seen.
    first = next(
        (a, b) for a, b in zip(without, on, strict=False) if (a.bids, a.asks) != (b.bids, b.asks)
    )
    assert first[0].view.reference_uticks == first[1].view.reference_uticks
