"""The files around a session: what an earlier one left is written out before a new one begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openmm._fast.tape import Tape
from openmm.config import BotConfig, parse
from openmm.engine.session import SessionFiles
from openmm.errors import JournalError
from openmm.journal import read_journal
from openmm.settlement.report import load_report
from tests.settlement.made import T0, hand_made


@pytest.fixture
def config(tmp_path: Path) -> BotConfig:
    return parse(
        {
            "bot": {"name": "grid", "mode": "paper", "run_dir": str(tmp_path)},
            "venue": [
                {"name": "kraken", "quote": "BTC/USD", "maker_fee": "0.2%", "taker_fee": "0.35%"}
            ],
            "strategy": {
                "kind": "grid", "spread": "0.6%", "order_amount": "0.01", "num_orders": 2,
                "rebalance_threshold": "10%", "target_base": "50%",
            },
            "risk": {
                "max_order_size": "0.05", "max_open_notional": "20000",
                "max_inventory": "0.5", "max_drawdown": "2%",
            },
        }
    )  # fmt: skip


@pytest.fixture
def files(config: BotConfig) -> Iterator[SessionFiles]:
    files = SessionFiles(config, T0 + 3600 * 10**9)
    yield files
    files.close({})


def leave(files: SessionFiles, session_id: str) -> None:
    """Make the tape of an engine that died together with its writer."""
    tape = Tape(files.run_dir.tape, size_bytes=1 << 16, session_id=session_id)
    for _index, kind, source, ts_ns, payload in hand_made(session_id)[:-1]:
        assert tape.append(kind, source, ts_ns, payload)


def test_tape_left_by_a_dead_session_is_written_out_first(files: SessionFiles) -> None:
    leave(files, "s-1")
    tape = files.open_tape()
    assert tape.next_index == 0
    assert list(read_journal(files.run_dir.journal / "s-1")) == hand_made("s-1")[:-1]
    report = load_report(files.store_url, "s-1")
    assert (report.session.state, report.volume.fills) == ("lost", 4)


def test_tape_that_cannot_be_written_out_stops_the_start(files: SessionFiles) -> None:
    files.run_dir.tape.write_bytes(b"not a tape" * 1000)
    with pytest.raises(JournalError, match="was not written out"):
        files.open_tape()
    assert files.run_dir.tape.read_bytes() == b"not a tape" * 1000
