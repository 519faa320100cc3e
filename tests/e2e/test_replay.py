"""Sessions replayed from their journals: the same order bytes, ledger and state, or the first
difference told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from openmm import config
from openmm._fast.checks import RiskState
from openmm._fast.tape import Record
from openmm.cli.main import main
from openmm.config import parse
from openmm.engine import money
from openmm.engine.commands import Pause, Resume, Tighten
from openmm.engine.replay import Outcome, replay
from openmm.errors import JournalError
from openmm.journal import JournalRecord
from openmm.sim.faults import chaos
from openmm.sim.options import SimOptions
from openmm.strategy.python import View
from openmm.strategy.quotes import Quotes
from openmm.testing.virtual import VirtualBot
from openmm.writer.segments import SegmentWriter
from tests.e2e import crossed, virtual

FAULTY_S = 90
CALM_S = 5
Capture = pytest.CaptureFixture[str]


def session(bot: VirtualBot, seconds: int = FAULTY_S) -> list[JournalRecord]:
    """Run a bot, its operator resuming it after a halt, to its end; returns its journal."""
    bot.start()
    for _ in range(0, seconds, 5):
        bot.run(5)
        if bot.tables.monitor.state is RiskState.HALTED:
            bot.command(Resume())
    for venue in bot.venues.values():
        venue.strikes.end(bot.now_ns)
    bot.run(CALM_S)
    assert bot.stop() == 0
    return bot.records


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> list[JournalRecord]:
    """Return the journal of a session without faults, with commands."""
    bot = virtual.bot(tmp_path_factory.mktemp("calm"), 3)
    bot.start()
    bot.run(12)
    bot.command(Tighten(max_open_notional="9000"))
    bot.run(6)
    bot.command(Pause())
    bot.run(3)
    bot.command(Resume())
    bot.run(12)
    assert bot.stop() == 0
    return bot.records


def write(folder: Path, records: Iterable[JournalRecord], segment_bytes: int = 1 << 18) -> Path:
    """Put records into segments, as the writer process does."""
    writer = SegmentWriter(
        folder, session_id="virtual", build="test", created_ns=1, segment_bytes=segment_bytes
    )
    batch: list[JournalRecord] = []
    for one in records:
        batch.append(one)
        if len(batch) == 200:
            writer.append([*batch], 1)
            batch = []
    writer.append([*batch], 1)
    writer.close()
    return folder


def assert_identical(found: Outcome, records: list[JournalRecord]) -> None:
    assert found.difference is None
    assert found.records == len(records)
    assert found.ended
    assert found.orders == sum(one.kind == Record.REC_ORDER_BYTES for one in records) > 20
    assert found.states == sum(one.kind == Record.REC_STATE for one in records) > 2


def test_calm_session_replays_identically(calm: list[JournalRecord]) -> None:
    found = replay(calm)
    assert_identical(found, calm)
    assert any(one.kind == Record.REC_FILL for one in calm)


@pytest.mark.timeout(120)
def test_session_with_every_fault_replays_identically(tmp_path: Path) -> None:
    bot = virtual.bot(tmp_path, 2, faults=chaos(2))
    records = session(bot)
    assert bot.venue.strikes.struck.total() >= 5
    assert_identical(replay(records), records)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("venue", crossed.PLACES)
def test_session_with_faults_on_each_venue_replays_identically(tmp_path: Path, venue: str) -> None:
    bot = crossed.bot(tmp_path, venue, 1, faults=chaos)
    records = session(bot, 20)
    assert bot.venue.strikes.struck.total() >= 1
    assert_identical(replay(records), records)


class Moody:
    """A strategy that no second run would repeat: its quotes follow from how often it was asked in
    this process, and now and then it fails, or answers what nobody can quote."""

    asked = 0

    def quote(self, view: View) -> Quotes | None:
        """Quote around the best prices."""
        Moody.asked += 1
        turn = Moody.asked % 23
        if turn == 5:
            raise ValueError("in a mood")
        if turn == 11:
            return Quotes(bids=[(1.5, 2)])  # type: ignore[list-item]
        if turn == 17:
            return None
        return Quotes(
            [(view.best_bid_ticks - turn, 1_000_000)], [(view.best_ask_ticks + turn, 1_000_000)]
        )


def test_strategy_in_python_is_not_asked_again(tmp_path: Path) -> None:
    at = {"ws": "ws://127.0.0.1:1", "ws_auth": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"}
    quoted = {"name": "kraken", "quote": "BTC/USD", "account": "dedicated", "endpoints": at}
    parsed = parse(
        {
            "bot": {"name": "virtual", "mode": "live"},
            "venue": [quoted],
            "strategy": {"kind": "python", "class": f"{__name__}:Moody"},
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
    bot = VirtualBot(parsed, sim, tmp_path)
    bot.start()
    bot.run(20)
    assert bot.stop() == 0
    answers = [one.payload for one in bot.records if one.kind == Record.REC_STRATEGY]
    assert sum(one.endswith(b" null") for one in answers) > 5
    assert len(set(answers)) > 20
    asked = Moody.asked
    found = replay(bot.records)
    assert found.difference is None
    assert found.orders > 10
    assert Moody.asked == asked


# ---------------------------------------------------------------- what is not the same


def altered(
    monkeypatch: pytest.MonkeyPatch, where: str, name: str, by: int
) -> None:  # fmt: skip
    """Change one number that the tables are built with."""
    original = getattr(config, where)

    def changed(*args: object) -> dict[str, int]:
        params: dict[str, int] = original(*args)
        return {**params, name: params[name] + by}

    monkeypatch.setattr(config, where, changed)


@pytest.mark.parametrize(
    ("where", "name"),
    [("strategy_params", "spread_ppm"), ("planner_params", "tolerance_ticks")],
)
def test_changed_constant_is_caught_with_the_first_order_it_changes(
    monkeypatch: pytest.MonkeyPatch, calm: list[JournalRecord], where: str, name: str
) -> None:
    altered(monkeypatch, where, name, 1)
    found = replay(calm).difference
    assert found is not None
    assert found.order_seq > 0
    assert found.client_id.startswith("m")
    held = calm[found.record_index]
    assert (held.record_index, held.ts_ns) == (found.record_index, found.ts_ns)
    assert found.input_index < found.record_index


def test_changed_rule_of_the_slow_path_is_caught(
    monkeypatch: pytest.MonkeyPatch, calm: list[JournalRecord]
) -> None:
    monkeypatch.setattr(money, "FOREIGN", "somebody")
    assert replay(calm).identical, "nothing in this session is foreign"
    monkeypatch.setattr(money.Money, "_settle", lambda _self: None)
    found = replay(calm).difference
    assert found is not None
    assert found.kind in ("state", "ladder", "sample", "intent")


@pytest.mark.parametrize(
    "kind",
    [
        Record.REC_LADDER, Record.REC_INTENT, Record.REC_ORDER_BYTES, Record.REC_TRANSITION,
        Record.REC_FILL, Record.REC_REFUSAL, Record.REC_RISK, Record.REC_BOOK, Record.REC_SAMPLE,
        Record.REC_STATE, Record.REC_TIMER,
    ],
)  # fmt: skip
def test_every_kind_of_output_that_is_edited_left_out_or_added_is_caught(
    calm: list[JournalRecord], kind: Record
) -> None:
    at = next(one.record_index for one in calm if one.kind == kind)
    held = calm[at]
    if held.payload:
        payload = bytes([held.payload[0] ^ 1]) + held.payload[1:]
        edited = replay([*calm[:at], held._replace(payload=payload), *calm[at + 1 :]])
        assert edited.difference is not None
        assert edited.difference.record_index == at
    later = replay([*calm[:at], held._replace(ts_ns=held.ts_ns + 1), *calm[at + 1 :]])
    assert later.difference is not None
    assert "record.ts_ns" in later.difference.text
    less = [one._replace(record_index=index) for index, one in enumerate(calm) if index != at]
    less = [one._replace(record_index=index) for index, one in enumerate(less)]
    missing = replay(less)
    assert missing.difference is not None
    assert missing.difference.record_index in (at, missing.difference.input_index)
    more = [*calm[: at + 1], held, *calm[at + 1 :]]
    more = [one._replace(record_index=index) for index, one in enumerate(more)]
    doubled = replay(more)
    assert doubled.difference is not None
    assert doubled.difference.record_index == at + 1


def test_frame_that_is_left_out_is_caught(calm: list[JournalRecord]) -> None:
    frames = [one.record_index for one in calm if one.kind == Record.REC_FRAME and not one.source]
    at = frames[len(frames) // 2]
    rest = [one for one in calm if one.record_index != at]
    found = replay(one._replace(record_index=index) for index, one in enumerate(rest))
    assert found.difference is not None


def test_stamps_are_not_compared(calm: list[JournalRecord]) -> None:
    other = [
        one._replace(payload=bytes(len(one.payload))) if one.kind == Record.REC_STAMPS else one
        for one in calm
    ]
    assert replay(other).identical


# ---------------------------------------------------------------- the command, and bad journals


def told(capsys: Capture, *args: str | Path) -> tuple[int, str, str]:
    code = main(["replay", *map(str, args)])
    out, err = capsys.readouterr()
    return code, out, err


def test_command_says_identical_and_what_was_compared(
    tmp_path: Path, calm: list[JournalRecord], capsys: Capture
) -> None:
    folder = write(tmp_path / "journal", calm)
    assert len(list(folder.iterdir())) > 1
    code, out, _ = told(capsys, folder, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["identical"] is True
    assert found["records"] == len(calm)
    assert found["difference"] is None
    assert len(found["journal_hash"]) == 64
    code, out, _ = told(capsys, folder)
    assert code == 0
    assert out.endswith("\nidentical\n")


def test_command_names_the_first_difference_and_its_order(
    tmp_path: Path, calm: list[JournalRecord], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "journal", calm)
    altered(monkeypatch, "strategy_params", "spread_ppm", 1)
    code, out, _ = told(capsys, folder)
    assert code == 1
    assert "differs at record " in out
    assert "ladder differs in " in out
    assert "  order         m" in out
    assert "journal: " in out
    assert "replay:  " in out
    code, out, _ = told(capsys, folder, "--json")
    assert code == 1
    found = json.loads(out)["difference"]
    assert found["client_id"].startswith("m")
    assert found["journal"].keys() == found["replay"].keys() != set()


def test_journal_that_ends_before_its_session_is_told_as_such(
    tmp_path: Path, calm: list[JournalRecord], capsys: Capture
) -> None:
    folder = write(tmp_path / "cut", calm[: len(calm) // 2])
    code, out, _ = told(capsys, folder)
    assert code == 1
    assert "before its session did" in out
    assert told(capsys, folder, "--partial")[0] == 0
    # A block that was being written when the power went.
    (last,) = sorted(folder.iterdir())[-1:]
    last.write_bytes(last.read_bytes()[:-300])
    code, out, _ = told(capsys, folder)
    assert code == 1
    assert "bytes of a torn block" in out


def test_journal_cut_anywhere_is_identical_as_far_as_it_goes(calm: list[JournalRecord]) -> None:
    inside = next(one.record_index for one in calm if one.kind == Record.REC_ORDER_BYTES)
    for end in (*range(inside - 4, inside + 4), len(calm) - 1):
        found = replay(calm[:end])
        assert found.difference is None
        assert not found.ended
        assert found.records == end


def test_edited_journal_is_refused_in_one_line(
    tmp_path: Path, calm: list[JournalRecord], capsys: Capture
) -> None:
    folder = write(tmp_path / "edited", calm)
    first = sorted(folder.iterdir())[0]
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    code, out, err = told(capsys, folder)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "corrupt at byte" in err


def test_journal_without_its_beginning_or_a_middle_is_refused(
    tmp_path: Path, calm: list[JournalRecord]
) -> None:
    with pytest.raises(JournalError, match="missing"):
        replay(calm[1:])
    with pytest.raises(JournalError, match=r"records 50 to 59 are missing"):
        replay([*calm[:50], *calm[60:]])
    unnumbered = [one._replace(record_index=index) for index, one in enumerate(calm[1:])]
    with pytest.raises(JournalError, match="does not begin with its session"):
        replay(unnumbered)


def test_journal_of_a_build_without_calls_is_refused(calm: list[JournalRecord]) -> None:
    session = json.loads(calm[0].payload)
    del session["seeds"]["session_s"]
    old = calm[0]._replace(payload=json.dumps(session).encode())
    with pytest.raises(JournalError, match="did not record every input"):
        replay([old, *calm[1:]])
    session = json.loads(calm[0].payload)
    session["config"]["risk"]["a_limit_of_later"] = 5
    other = calm[0]._replace(payload=json.dumps(session).encode())
    with pytest.raises(JournalError, match="another build"):
        replay([other, *calm[1:]])
