"""A bot whose own strategy fails: people are told, it stops after too many, and a replay agrees."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from openmm._fast.checks import RiskState
from openmm._fast.tape import Record
from openmm.config import parse
from openmm.engine.commands import Preview, Resume, Set
from openmm.engine.failures import FAILURES_IN_A_ROW
from openmm.engine.replay import replay
from openmm.errors import CommandError, JournalError
from openmm.journal import read_incident, read_risk
from openmm.sim.options import SimOptions
from openmm.strategy.python import View
from openmm.strategy.quotes import Quotes
from openmm.testing.virtual import VirtualBot

AT = {"ws": "ws://127.0.0.1:1", "ws_auth": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"}


class Switched:
    """Quote a tick behind the best prices, or fail while told to."""

    fails: ClassVar[str] = ""
    leaves: ClassVar[bool] = False

    def quote(self, view: View) -> Quotes:
        """Return a level a side."""
        if Switched.leaves:
            raise SystemExit("done here")
        if Switched.fails:
            raise ValueError(f"{Switched.fails} at {view.now_ns}")
        return Quotes(
            [(view.best_bid_ticks - 1, 1_000_000)], [(view.best_ask_ticks + 1, 1_000_000)]
        )


def bot(folder: Path, strategy: Mapping[str, Any]) -> VirtualBot:
    parsed = parse(
        {
            "bot": {"name": "virtual", "mode": "live"},
            "venue": [
                {"name": "kraken", "quote": "BTC/USD", "account": "dedicated", "endpoints": AT}
            ],
            "strategy": strategy,
            "risk": {
                "max_order_size": "0.02", "max_open_notional": "50000", "max_inventory": "0.3",
                "max_drawdown": "5%",
            },
        }
    )  # fmt: skip
    sim = SimOptions(
        seed=5, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000,
        balances={"BTC": Decimal(1), "USD": Decimal(60_000)},
    )  # fmt: skip
    return VirtualBot(parsed, sim, folder)


def incidents(one: VirtualBot) -> list[str]:
    return [
        read_incident(record.payload).text
        for record in one.records
        if record.kind == Record.REC_INCIDENT
    ]


def test_failing_strategy_is_told_halts_resumes_and_replays_without_failing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = bot(tmp_path, {"kind": "python", "class": f"{__name__}:Switched"})
    one.start()
    one.run(3)
    assert one.tables.pipeline.table.live_count == 2
    monkeypatch.setattr(Switched, "fails", "no idea")
    one.run(3)
    monitor = one.tables.monitor
    assert (monitor.state, monitor.reason) == (RiskState.HALTED, "strategy")
    assert one.tables.pipeline.table.live_count == 0
    failed = one.step.failures.count
    assert failed >= FAILURES_IN_A_ROW
    # Halted, it is not asked any more; resumed, it has as many failures again before the next halt.
    one.run(2)
    assert one.step.failures.count == failed
    monkeypatch.setattr(Switched, "fails", "")
    one.command(Resume())
    one.run(3)
    assert monitor.state is RiskState.RUNNING
    assert one.tables.pipeline.table.live_count == 2
    assert one.stop() == 0
    told = [text for text in incidents(one) if "ValueError: no idea at" in text]
    # One word about the failure, whatever the number in its text, and one about the halt.
    assert len(told) == 2, told
    assert "of the strategy failed and quoted nothing: " in told[0]
    assert "test_failing_strategy.py:" in told[0]
    assert "in quote()" in told[0]
    assert "risk RUNNING -> HALTED: strategy: " in told[1]
    assert f"failed in a row, the limit is {FAILURES_IN_A_ROW}" in told[1]
    moves = [read_risk(r.payload).reason for r in one.records if r.kind == Record.REC_RISK]
    assert moves == ["strategy", "operator"]
    assert any(
        record.exc_info and "no idea" in str(record.exc_info[1]) for record in caplog.records
    )
    calls = [
        r for r in one.records if r.kind == Record.REC_CALL and b"strategy_failed" in r.payload
    ]
    assert calls
    # The replay asks nobody, so nothing fails there: what was done follows from the journal.
    monkeypatch.setattr(Switched, "quote", None)
    found = replay(one.records)
    assert found.difference is None
    assert found.records == len(one.records)
    assert found.orders > 4


def test_strategy_that_leaves_does_not_end_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bot(tmp_path, {"kind": "python", "class": f"{__name__}:Switched"})
    one.start()
    one.run(2)
    monkeypatch.setattr(Switched, "leaves", True)
    one.run(3)
    assert one.tables.monitor.reason == "strategy"
    assert one.stop() == 3
    assert any("SystemExit: done here" in text for text in incidents(one))
    assert replay(one.records).difference is None


def test_keys_of_every_strategy_change_live_and_its_ladder_is_not_previewed(
    tmp_path: Path,
) -> None:
    one = bot(tmp_path, {"kind": "python", "class": f"{__name__}:Switched"})
    one.start()
    one.run(2)
    asked = one.tables.pipeline.strategy.call_count  # type: ignore[attr-defined]
    cancelled = one.tables.pipeline.cancel_count
    change = '{"strategy.tolerance": "400 ticks"}'
    shown = one.command(Preview(changes=change))
    assert shown["ladder"] is None
    assert any("the strategy is the user's own" in text for text in shown["warnings"])
    assert one.tables.pipeline.strategy.call_count == asked  # type: ignore[attr-defined]
    one.command(Set(changes=change))
    # Within that of its wanted price an order stays: nothing is cancelled for the change.
    one.run(1)
    assert one.tables.pipeline.cancel_count == cancelled
    assert one.tables.pipeline.table.live_count == 2
    with pytest.raises(CommandError, match="cannot be previewed"):
        one.command(Preview(changes='{"strategy.params": "x"}'))
    assert one.stop() == 0
    assert replay(one.records).difference is None


def test_answer_that_no_strategy_gave_is_refused_by_a_replay(tmp_path: Path) -> None:
    one = bot(tmp_path, {"kind": "python", "class": f"{__name__}:Switched"})
    one.start()
    one.run(2)
    assert one.stop() == 0
    records = [
        record._replace(payload=b"torn") if record.kind == Record.REC_STRATEGY else record
        for record in one.records
    ]
    with pytest.raises(JournalError, match="strategy record cannot be read"):
        replay(records)
