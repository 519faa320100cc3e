"""A shadow: the fills of a paper bot with its parameters, others with others; the bot untouched."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console

from openmm._fast.tape import Record
from openmm.cli.main import main
from openmm.cli.shadow import follow
from openmm.errors import ConfigErrors, JournalError
from openmm.journal import Journal, JournalRecord
from openmm.rerun.follow import JournalFollower
from openmm.rerun.shadow import Change, Shadow, render, to_json
from openmm.settlement import store as tables
from openmm.settlement.store import Store
from openmm.venues.http import HttpRoundTrip
from openmm.writer.segments import SegmentWriter
from tests.rerun.made import bot
from tests.rerun.paper import paper_bot, play

Capture = pytest.CaptureFixture[str]
SECONDS = 30


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[JournalRecord]:
    """Return what a paper bot put on its tape."""
    made = paper_bot(tmp_path_factory.mktemp("bot"))
    play(made, SECONDS)
    return made.records


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory, records: list[JournalRecord]) -> Path:
    """Return the same as a journal of two segments."""
    folder = tmp_path_factory.mktemp("journal")
    write(folder, records, segment_bytes=1 << 18)
    assert len(list(folder.iterdir())) > 1
    return folder


def write(folder: Path, records: list[JournalRecord], segment_bytes: int = 1 << 20) -> None:
    writer = SegmentWriter(
        folder, session_id="virtual", build="0", created_ns=1, segment_bytes=segment_bytes
    )
    for at in range(0, len(records), 500):
        writer.append([tuple(one) for one in records[at : at + 500]], 1)  # type: ignore[misc]
    writer.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def fills(path: Path) -> list[Any]:
    store = Store(f"sqlite:///{path}", create=False)
    c = tables.fill.c
    try:
        with store.reading() as connection:
            asked = sa.select(c.side, c.price_ticks, c.qty_lots, c.ts_ns, c.maker, c.level)
            return [tuple(row) for row in connection.execute(asked.order_by(c.record_index))]
    finally:
        store.close()


def shadowed(folder: Path, records: list[JournalRecord], change: Change) -> dict[str, Any]:
    made = Shadow(folder, change)
    try:
        made.take(records)
        sides = made.sides()
        assert sides is not None
        assert made.is_over
        return to_json(made, sides)
    finally:
        made.close()


def test_the_same_parameters_make_the_paper_bots_fills(
    folder: Path, records: list[JournalRecord]
) -> None:
    told = shadowed(folder, records, Change())
    assert len(fills(folder / "live.sqlite")) > 10
    assert fills(folder / "store.sqlite") == fills(folder / "live.sqlite")
    for name in ("pnl", "by_cause", "volume", "messages", "orders", "time_at_touch"):
        assert told["shadow"][name] == told["live"][name], name


def test_so_do_those_of_a_bot_whose_orders_leave_over_rest(folder: Path) -> None:
    made = paper_bot(folder / "bot", "mexc", "BTC/USDT")
    play(made, 20)
    books = folder / "books"
    books.mkdir()
    told = shadowed(books, made.records, Change())
    assert len(fills(books / "live.sqlite")) > 5
    assert fills(books / "store.sqlite") == fills(books / "live.sqlite")
    assert told["shadow"]["messages"] == told["live"]["messages"]


@pytest.mark.parametrize(
    "change",
    [
        Change({"spread": "6bps"}),
        Change(latency_ns=400_000_000),
        Change(instead=bot({"num_orders": 1, "spread": "5bps"})),
    ],
)
def test_others_make_others(folder: Path, records: list[JournalRecord], change: Change) -> None:
    told = shadowed(folder, records, change)
    live, made = told["live"], told["shadow"]
    assert made["pnl"]["net"] != live["pnl"]["net"]
    assert made["orders"]["acknowledged"] > 0
    assert fills(folder / "store.sqlite") != fills(folder / "live.sqlite")
    for side in (live, made):
        assert float(side["by_cause"]["unexplained"]) == 0
    assert "queue ahead" in told["fill_model"]


def test_the_bot_is_the_same_with_a_shadow_beside_it(
    folder: Path, records: list[JournalRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise AssertionError("a shadow opens no socket and asks nobody")

    journal = folder / "journal"
    writer = SegmentWriter(
        journal, session_id="virtual", build="0", created_ns=1, segment_bytes=1 << 18
    )
    books = folder / "books"
    books.mkdir()
    shadow = Shadow(books, Change({"spread": "6bps"}))
    follower = JournalFollower(journal)
    beside: list[JournalRecord] = []

    def on_record(one: JournalRecord) -> None:
        beside.append(one)
        writer.append([tuple(one)], 1)  # type: ignore[list-item]
        if len(beside) % 700 == 0:
            with monkeypatch.context() as patch:
                patch.setattr(socket, "socket", nowhere)
                patch.setattr(HttpRoundTrip, "__call__", nowhere)
                shadow.take(follower.read())

    made = paper_bot(folder / "bot", on_record=on_record)
    play(made, SECONDS)
    writer.close()
    shadow.take(follower.read())
    assert shadow.is_over
    assert follower.record_count == len(beside)
    shadow.close()
    mine = [one for one in beside if one.kind != Record.REC_STAMPS]
    theirs = [one for one in records if one.kind != Record.REC_STAMPS]
    # The session's record names the folder; all else is the same, byte for byte.
    assert mine[1:] == theirs[1:]
    assert mine[0].payload != b""


def test_a_journal_is_read_and_not_written(journal: Path) -> None:
    def state() -> list[tuple[str, int, int]]:
        return sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in journal.iterdir())

    before = state()
    found = list(JournalFollower(journal).read())
    assert found[-1].kind == Record.REC_END
    assert state() == before


def test_a_torn_block_waits_until_it_is_whole(folder: Path, records: list[JournalRecord]) -> None:
    write(folder / "whole", records[:1000])
    whole = (folder / "whole" / "000000.omj").read_bytes()
    path = folder / "torn" / "000000.omj"
    path.parent.mkdir()
    path.write_bytes(whole[:-100] + bytes(100))
    follower = JournalFollower(path.parent)
    assert list(follower.read()) == records[:500]
    path.write_bytes(whole)
    assert list(follower.read()) == records[500:1000]
    assert list(follower.read()) == []


def test_a_segment_that_is_missing_or_torn_before_another_is_told(
    folder: Path, records: list[JournalRecord]
) -> None:
    write(folder, records, segment_bytes=1 << 16)
    paths = sorted(folder.iterdir())
    assert len(paths) > 3
    (folder / "abc.omj").touch()
    assert len(list(JournalFollower(folder).read())) == len(records)
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(JournalError, match=f"block is corrupt at byte .*{paths[1]}"):
        list(JournalFollower(folder).read())
    paths[1].write_bytes(b"")
    with pytest.raises(JournalError, match=str(paths[1])):
        list(JournalFollower(folder).read())
    for at in (1, 0):
        paths[at].unlink()
        with pytest.raises(JournalError, match=f"segment {at} is missing"):
            list(JournalFollower(folder).read())


def test_a_segment_that_cannot_be_read_is_told(
    folder: Path, records: list[JournalRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, records[:10])

    def closed(path: Path, *_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "open", closed)  # root reads what nobody may
    for reading in (JournalFollower(folder).read(), iter(Journal(folder))):
        with pytest.raises(JournalError, match=r"000000\.omj: Permission denied"):
            next(reading)


@pytest.mark.parametrize("latency", ["-5ms", "9999h"])
def test_latency_out_of_bounds_is_refused(journal: Path, latency: str, capsys: Capture) -> None:
    assert main(["shadow", str(journal), "--once", "--latency", latency]) == 2
    assert "--latency: " in capsys.readouterr().err


def test_line_that_cannot_be_printed_is_an_error_of_one(journal: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [
                sys.executable, "-m", "openmm.cli.main", "shadow", str(journal), "--json",
                "--once", "--every", "1",
            ],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    told = json.loads(done.stderr)["error"]["message"]
    assert told == "cannot print the result: No space left on device"


def test_an_altered_block_is_no_record(folder: Path, records: list[JournalRecord]) -> None:
    write(folder, records[:500])
    path = folder / "000000.omj"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)
    assert list(JournalFollower(folder).read()) == []


def test_following_survives_the_bots_death(folder: Path, records: list[JournalRecord]) -> None:
    journal = folder / "journal"
    write(journal, records[: len(records) // 2])
    books = folder / "books"
    books.mkdir()
    shadow = Shadow(books, Change())
    now = [0.0]
    told: list[float] = []

    def wait(seconds: float) -> None:
        now[0] += seconds

    follow(
        shadow, JournalFollower(journal), once=False, every_s=10, clock=lambda: now[0], wait=wait,
        tell=lambda: told.append(now[0]),
    )  # fmt: skip
    assert 30 < now[0] < 31
    assert len(told) == 3
    assert not shadow.is_over
    assert shadow.sides() is not None
    shadow.close()


def test_what_does_not_fit_is_refused(folder: Path, records: list[JournalRecord]) -> None:
    made = Shadow(folder, Change({"spread": "0.0001bps"}))
    with pytest.raises(ConfigErrors):
        made.take(records)
    made.close()
    other = Shadow(folder, Change())
    with pytest.raises(JournalError, match="does not begin"):
        other.take(records[1:])
    other.close()


@pytest.mark.parametrize(
    ("strategy", "risk", "changed", "told"),
    [
        ({"order_amount": "0.00002"}, {}, {}, "order_amount: at least the venue's minimum"),
        ({"order_amount": "0.00002"}, {}, {"spread": "5bps"}, "at least the venue's minimum"),
        ({}, {"max_open_notional": "900"}, {}, "risk.max_open_notional: at least the whole ladder"),
    ],
)  # fmt: skip
def test_another_bots_file_that_does_not_fit_the_market_is_refused(
    folder: Path, records: list[JournalRecord], strategy: dict[str, Any], risk: dict[str, Any],
    changed: dict[str, str], told: str,
) -> None:  # fmt: skip
    made = Shadow(folder, Change(changed, instead=bot(strategy, **risk)))
    with pytest.raises(ConfigErrors, match=told):
        made.take(records)
    made.close()


def test_what_is_changed_may_mend_another_bots_file(
    folder: Path, records: list[JournalRecord]
) -> None:
    small = bot({"order_amount": "0.00002"})
    told = shadowed(folder, records, Change({"order_amount": "0.002"}, instead=small))
    assert told["shadow"]["orders"]["acknowledged"] > 0


def test_operators_changes_are_told_as_the_bots_alone(
    folder: Path, records: list[JournalRecord]
) -> None:
    made = Shadow(folder, Change())
    at = next(
        place for place, one in enumerate(records)
        if one.kind == Record.REC_CALL and one.payload.startswith(b'["on_timer"')
    )  # fmt: skip
    call = b'["tune",null,null,null,null,null]'
    pause = b'["pause","somebody"]'
    head = records[at]
    told = [
        *records[:at], *(head._replace(payload=one) for one in (call, pause)), *records[at:]
    ]  # fmt: skip
    made.take(told)
    assert any("parameters were changed" in one for one in made.notes)
    sides = made.sides()
    assert sides is not None
    assert sides[1].report.volume.fills == 0  # paused, as the bot was told to be
    made.close()


def test_the_command_compares_and_tells_the_model(journal: Path, capsys: Capture) -> None:
    arguments = ["shadow", str(journal), "--set", "strategy.spread=6bps"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert re.search(r"grid, paper +\d", out)
    assert "shadow, pretended" in out
    assert "Fill model of the shadow" in out
    assert main([*arguments, "--once", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["over"] is True
    assert told["live"]["pnl"] != told["shadow"]["pnl"]


def test_a_narrow_console_cuts_no_figure(folder: Path, records: list[JournalRecord]) -> None:
    made = Shadow(folder, Change())
    made.take(records)
    sides = made.sides()
    assert sides is not None
    wide, narrow = io.StringIO(), io.StringIO()
    for out, width in ((wide, 200), (narrow, 60)):
        render(made, sides, Console(width=width, file=out))
    rows = [
        [line.split() for line in out.getvalue().splitlines() if "grid, paper" in line]
        for out in (wide, narrow)
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 1
    made.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "spread=6bps"], "strategy.KEY=VALUE"),
        (["--set", "strategy.kind=python"], "keys of a running bot's strategy"),
        (["--latency", "soon"], "--latency"),
    ],
)
def test_bad_arguments_are_refused(
    journal: Path, arguments: list[str], told: str, capsys: Capture
) -> None:
    assert main(["shadow", str(journal), *arguments]) in (1, 2)
    assert told in capsys.readouterr().err
