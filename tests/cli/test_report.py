"""`openmm report`: the last session of a bot, or any of any store."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from openmm.cli.main import main
from openmm.cli.report import store_of
from openmm.engine.rundir import RunDir, lock_bot
from openmm.settlement.booking import Booker
from openmm.settlement.store import Store
from openmm.writer.books import rebuild
from tests.settlement.made import hand_made
from tests.settlement.test_verify import write

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Book the hand-made session."""
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    made = Store(url)
    booker = Booker(made, "s-1")
    booker.apply(hand_made())
    booker.commit()
    made.close()
    return url


def test_report_of_a_store(store: str, capsys: Capture) -> None:
    assert main(["report", "--store", store, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["session"]["session_id"] == "s-1"
    assert body["volume"]["quote"] == "1249.976000000"


def test_report_as_text(store: str, capsys: Capture) -> None:
    assert main(["report", "--store", store, "--session", "s-1"]) == 0
    out = capsys.readouterr().out
    assert "Session s-1" in out
    assert "1249.976" in out


def test_report_of_a_bot_finds_the_store_its_session_told(
    store: str, tmp_path: Path, capsys: Capture
) -> None:
    run_dir = RunDir(tmp_path / "runs", "grid").make()
    with lock_bot(run_dir):
        run_dir.write_session({"session": "s-1", "store": store})
    assert main(["report", "--run-dir", str(tmp_path / "runs"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["session"]["session_id"] == "s-1"


def test_report_of_a_bot_is_none_of_another_on_its_store(
    store: str, tmp_path: Path, capsys: Capture
) -> None:
    made = Store(store)
    booker = Booker(made, "s-2")
    booker.apply(hand_made("s-2", "other"))
    booker.commit()
    made.close()
    for bot in ("grid", "other", "new"):
        run_dir = RunDir(tmp_path / "runs", bot).make()
        with lock_bot(run_dir):
            run_dir.write_session({"session": "one", "store": store})
    for bot, session in (("grid", "s-1"), ("other", "s-2")):
        asked = ["report", "--run-dir", str(tmp_path / "runs"), "--bot", bot, "--json"]
        assert main(asked) == 0
        assert json.loads(capsys.readouterr().out)["session"]["session_id"] == session
    assert main(["report", "--run-dir", str(tmp_path / "runs"), "--bot", "new"]) == 1
    assert "no session of new" in capsys.readouterr().err


def test_unknown_session_is_one_line(store: str, capsys: Capture) -> None:
    assert main(["report", "--store", store, "--session", "s-9"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite:///none.sqlite", "none.sqlite"])
def test_absent_store_is_told_and_never_made(
    form: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", "--json", "--store", form.format(tmp_path / "none.sqlite")]) == 1
    told = json.loads(capsys.readouterr().err)["error"]
    assert told["code"] == "no_store"
    assert "none.sqlite" in told["message"]
    assert list(tmp_path.iterdir()) == []


def test_store_may_be_named_by_its_path(store: str, capsys: Capture) -> None:
    assert main(["report", "--store", store.removeprefix("sqlite:///"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["session"]["session_id"] == "s-1"


@pytest.mark.parametrize("version", ["0000", "9999", None])
def test_report_never_changes_a_store_of_another_version(
    store: str, version: str | None, capsys: Capture
) -> None:
    path = store.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA journal_mode=DELETE")
        base.execute("DELETE FROM alembic_version")
        if version is not None:
            base.execute("INSERT INTO alembic_version VALUES (?)", (version,))
        base.commit()
    before = Path(path).read_bytes()
    assert main(["report", "--store", store]) == 1
    assert (version or "no ledger") in capsys.readouterr().err
    assert Path(path).read_bytes() == before


def test_report_reads_while_the_writer_holds_the_store(store: str, capsys: Capture) -> None:
    made = Store(store)
    with made.begin() as connection:
        connection.execute(sa.text("UPDATE session SET state = 'lost'"))
        assert main(["report", "--store", store, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["session"]["state"] == "ended"
    made.close()


@pytest.mark.parametrize("address", ["mongo://x/y", "sqlite://", "://"])
def test_address_that_is_no_store_is_one_line(address: str, capsys: Capture) -> None:
    assert main(["report", "--store", address]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_page_is_written_and_a_folder_that_is_not_there_is_told(
    store: str, tmp_path: Path, capsys: Capture
) -> None:
    page = tmp_path / "report.html"
    assert main(["report", "--store", store, "--html", str(page), "--json"]) == 0
    capsys.readouterr()
    assert page.read_text().startswith("<!doctype html>")
    assert main(["report", "--store", store, "--html", str(tmp_path / "no" / "x.html")]) == 2
    assert "--html: a file in a folder that is there" in capsys.readouterr().err
    # A page is written over, a file that is none is not.
    page.write_text(page.read_text().partition("<main>")[0])
    assert main(["report", "--store", store, "--html", str(page)]) == 0
    assert page.read_text().endswith("</main></body></html>\n")


def test_verify_needs_a_journal_and_says_what_differs(
    store: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["report", "--store", store, "--verify"]) == 1
    assert "--journal" in capsys.readouterr().err
    write(tmp_path, hand_made())
    asked = ["report", "--store", store, "--journal", str(tmp_path), "--verify", "--json"]
    assert main(asked) == 1, "this store was never told the journal's hash"
    told = json.loads(capsys.readouterr().out)
    assert (told["holds"], told["difference"]) == (False, "session.journal_hash")
    rebuild(tmp_path, store, "s-1")
    assert main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["holds"], told["build"], len(told["journal_hash"])) == (True, "0.1.0", 64)
    assert main(asked[:-1]) == 0
    assert "holds: " in capsys.readouterr().out


def test_uptime_is_measured_by_other_terms(store: str, tmp_path: Path, capsys: Capture) -> None:
    write(tmp_path, hand_made())
    asked = ["report", "--store", store, "--journal", str(tmp_path), "--json"]
    assert main([*asked, "--uptime-within", "10bps", "--uptime-depth", "0.0101"]) == 0
    found = json.loads(capsys.readouterr().out)["uptime"]
    assert (found["within_bps"], found["depth"], found["ask"]) == ("10.00", "0.0101", "0.000000")
    for option, value in (("--uptime-within", "wide"), ("--uptime-depth", "-1")):
        assert main([*asked, option, value]) == 2
        assert option in capsys.readouterr().err


def test_password_of_a_bots_store_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = RunDir(tmp_path, "grid").make()
    run_dir.write_session({"store": "postgresql+psycopg://ann@db/mm"})
    assert store_of(run_dir) == "postgresql+psycopg://ann@db/mm"
    for whole, used in (
        ("postgresql+psycopg://ann:pw@db/mm", True),
        ("postgresql+psycopg://ann:pw@db/other", False),
    ):
        monkeypatch.setenv("OPENMM_STORE", whole)
        assert (store_of(run_dir) == whole) is used
