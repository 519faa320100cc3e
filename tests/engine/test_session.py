"""The files around a session: what an earlier one left is written out before a new one begins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openmm._fast.tape import Tape
from openmm.config import BotConfig, parse
from openmm.engine.rundir import RunDir
from openmm.engine.session import ON_DISK_NS, SessionFiles, SettledMark
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
def open_files(config: BotConfig) -> Iterator[Callable[[], SessionFiles]]:
    opened: list[SessionFiles] = []

    def make() -> SessionFiles:
        opened.append(SessionFiles(config, T0 + 3600 * 10**9))
        return opened[-1]

    yield make
    for files in opened:
        files.close({})


def leave(config: BotConfig, session_id: str) -> Path:
    """Make the tape of an engine that died together with its writer."""
    assert config.bot.run_dir is not None
    path = RunDir(config.bot.run_dir, config.bot.name).make().tape(session_id)
    tape = Tape(path, size_bytes=1 << 16, session_id=session_id)
    for _index, kind, source, ts_ns, payload in hand_made(session_id)[:-1]:
        assert tape.append(kind, source, ts_ns, payload)
    return path


def test_tape_left_by_a_dead_session_is_written_out(
    config: BotConfig, open_files: Callable[[], SessionFiles]
) -> None:
    path = leave(config, "grid-20251124T160000")
    files = open_files()
    tape = files.open_tape()
    files.start_writer()
    asyncio.run(files.wait_writer())
    assert tape.next_index == 0
    assert files.close({})
    assert list(read_journal(files.run_dir.journal / path.stem)) == hand_made(path.stem)[:-1]
    report = load_report(files.store_url, path.stem)
    assert (report.session.state, report.volume.fills) == ("lost", 4)
    assert files.run_dir.tapes() == []


def test_tape_that_cannot_be_written_out_stops_the_start(
    config: BotConfig, open_files: Callable[[], SessionFiles]
) -> None:
    path = leave(config, "grid-20251124T160000")
    path.write_bytes(b"not a tape" * 1000)
    files = open_files()
    files.open_tape()
    files.start_writer()
    with pytest.raises(JournalError, match=r"the writer process ended with 1; see .*writer\.log"):
        asyncio.run(files.wait_writer())
    assert path.read_bytes() == b"not a tape" * 1000
    assert b"not a tape" in (files.run_dir.path / "writer.log").read_bytes()


def test_session_is_later_than_one_that_left_only_its_tape(config: BotConfig) -> None:
    started_ns = T0 + 3600 * 10**9
    first = SessionFiles(config, started_ns)
    first.open_tape()
    first.close({})
    second = SessionFiles(config, started_ns)
    second.close({})
    assert second.session_s == first.session_s + 1


def test_moment_of_the_last_proof_outlives_the_session(tmp_path: Path) -> None:
    path = RunDir(tmp_path, "bot").make().settled("live", "kraken", "BTC/USD")
    mark = SettledMark(path)
    assert mark.read() is None
    first = 1_795_654_771_000_000_000
    mark.prove(first)
    assert mark.read() is None, "the journal of that moment may not be on disk yet"
    mark.prove(first + ON_DISK_NS - 1)
    assert mark.read() is None
    mark.prove(first + ON_DISK_NS)
    # No close: what a killed engine leaves.
    assert SettledMark(path).read() == first


@pytest.mark.parametrize("whole", [True, False])
def test_last_moment_is_written_only_with_the_whole_journal(tmp_path: Path, whole: bool) -> None:
    path = RunDir(tmp_path, "bot").make().settled("live", "kraken", "BTC/USD")
    mark = SettledMark(path)
    mark.prove(T0)
    mark.close(whole=whole)
    assert SettledMark(path).read() == (T0 if whole else None)


@pytest.mark.parametrize(
    "other",
    [("live", "kraken", "BTC/USD"), ("paper", "gateio", "BTC/USD"), ("paper", "kraken", "ETH/USD")],
)
def test_proof_of_one_market_is_none_of_another(
    config: BotConfig, tmp_path: Path, other: tuple[str, str, str]
) -> None:
    mode, name, pair = other
    venue = config.quoted.model_copy(update={"name": name, "quote": pair})
    bot = config.bot.model_copy(update={"mode": mode})
    changed = config.model_copy(update={"bot": bot, "venue": (venue,)})
    for one, before in ((config, None), (changed, None), (config, T0)):
        files = SessionFiles(one, T0)
        assert files.settled_ns == before
        files.settle(T0)
        files.settle(T0 + ON_DISK_NS)
        asyncio.run(asyncio.to_thread(files.close, {"state": "ended"}))


def test_bot_that_is_back_within_the_second_takes_ids_of_its_own(config: BotConfig) -> None:
    started_ns = T0 + 3600 * 10**9
    first = SessionFiles(config, started_ns)
    (first.run_dir.journal / first.session_id).mkdir()
    first.close({})
    second = SessionFiles(config, started_ns + 1)
    second.close({})
    assert second.session_s == first.session_s + 1
    assert second.session_id != first.session_id


def test_session_begun_after_the_clock_was_set_back_is_later_than_those_before(
    config: BotConfig,
) -> None:
    started_ns = T0 + 3600 * 10**9
    first = SessionFiles(config, started_ns)
    (first.run_dir.journal / first.session_id).mkdir()
    first.close({})
    second = SessionFiles(config, T0)
    second.close({})
    assert second.session_s == first.session_s + 1
    assert second.session_id > first.session_id
