"""Groups as people see them: members, wishes, transfers; off the board, nothing is asked."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm.board import FILE_NAME, Board, Holdings, Market
from openmm.cli.main import main
from openmm.control.groups import NOTE, groups
from openmm.control.home import Home
from openmm.errors import CommandError
from openmm.risk.group import PAPER_FILE, Share

NOW = 10**18


def put(
    folder: Path, bot: str, venue: str, base: str, quote: str, *, name: str = FILE_NAME,
    target_ppm: int = 500_000, capital: str = "0", starved: int = 0, pair: str = "BTC/USD",
    age_ns: int = 0,
) -> None:  # fmt: skip
    atoms = int(Decimal(base).scaleb(8))
    value = atoms + int((Decimal(quote) / 50_000).scaleb(8))
    share = Share(
        atoms + 10, max(0, atoms - 10), value, 500_000, target_ppm, 500_000 * 10**6, starved
    )
    board = Board(folder / name)
    seat = board.claim(
        Market(venue, pair), bot=bot, account=bot, tick_size=Decimal("0.1"), group="btc"
    )
    seat.row.tell(
        Holdings(
            NOW - age_ns, 8, 2, atoms, int(Decimal(quote).scaleb(2)), 0,
            int(Decimal(capital).scaleb(8)), 0, share.spare(),
        )
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, tmp_path / "state", tmp_path / "clients")


def test_group_shows_members_wishes_and_transfers(home: Home) -> None:
    folder = home.root
    put(folder, "a", "kraken", "2", "0", starved=1)
    put(folder, "b", "gateio", "0", "100000", starved=2)
    told = groups(home, NOW, folder=folder)
    assert told["note"] == NOTE
    (one,) = told["groups"]
    assert (one["group"], one["mode"], one["base"]) == ("btc", "live", "2.00000000")
    assert Decimal(one["off_target"]) == 0
    assert one["agreed"]
    assert [(row["bot"], row["state"], row["lacks"]) for row in one["members"]] == [
        ("a", "here", ["USD"]), ("b", "here", ["BTC"]),
    ]  # fmt: skip
    assert one["transfers"] == [
        {
            "asset": "BTC", "amount": "1.00000000", "from": {"bot": "a", "venue": "kraken"},
            "to": {"bot": "b", "venue": "gateio"},
        },
        {
            "asset": "USD", "amount": "50000.00", "from": {"bot": "b", "venue": "gateio"},
            "to": {"bot": "a", "venue": "kraken"},
        },
    ]  # fmt: skip


def test_capital_bounds_and_the_band_reach_the_transfers(home: Home) -> None:
    folder = home.root
    put(folder, "a", "kraken", "1.1", "50000", capital="0.5")
    put(folder, "b", "gateio", "0.9", "50000")
    (one,) = groups(home, NOW, folder=folder)["groups"]
    assert [move["amount"] for move in one["transfers"]] == ["0.60000000"]
    (wide,) = groups(home, NOW, within="60", folder=folder)["groups"]
    assert [move["amount"] for move in wide["transfers"]] == ["0.60000000"]


def test_paper_stands_apart_and_disagreement_is_told(home: Home) -> None:
    folder = home.root
    put(folder, "a", "kraken", "1", "0")
    put(folder, "p", "kraken", "7", "0", name=PAPER_FILE)
    put(folder, "q", "mexc", "7", "0", name=PAPER_FILE, target_ppm=400_000, age_ns=3 * 10**9)
    live, paper = groups(home, NOW, "btc", folder=folder)["groups"]
    assert (live["mode"], paper["mode"]) == ("live", "paper")
    assert (live["agreed"], paper["agreed"]) == (True, False)
    assert [row["state"] for row in paper["members"]] == ["here", "silent"]


def test_who_may_not_see_a_member_sees_no_group_of_it(home: Home) -> None:
    put(home.root, "a", "kraken", "1", "0")
    put(home.root, "b", "gateio", "1", "0")
    assert groups(home.of(("a",)), NOW, folder=home.root)["groups"] == []
    assert len(groups(home.of(("a", "b")), NOW, folder=home.root)["groups"]) == 1
    with pytest.raises(CommandError, match="no group 'eth'"):
        groups(home, NOW, "eth", folder=home.root)


def test_command_prints_a_table_and_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("openmm.control.groups.accounts_dir", lambda: tmp_path)
    args = ["inventory", "--run-dir", str(tmp_path)]
    assert main(args) == 0
    assert capsys.readouterr().out == "no bots share an inventory on this host\n"
    put(tmp_path, "a", "kraken", "2", "0", starved=1)
    put(tmp_path, "b", "gateio", "0", "100000")
    assert main(args) == 0
    out = capsys.readouterr().out
    assert "btc (live): 2.00000000 BTC held, +0.00000000 off a target of 50%" in out
    assert "transfer 1.00000000 BTC from kraken (a) to gateio (b)" in out
    assert NOTE in out
    assert main([*args, "btc", "--json", "--within", "100"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["groups"][0]["transfers"] == []
    assert main([*args, "--within", "200"]) == 2
    assert main([*args, "eth"]) == 1
