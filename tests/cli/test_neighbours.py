"""`openmm neighbours`, and what status, check and up tell of bots on one market."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from openmm.board import FILE_NAME, Board, Market
from openmm.cli.main import main
from openmm.control.neighbours import beside, on_market, shared, shared_text
from openmm.venues.claims import accounts_dir, own_folder
from tests.e2e import virtual
from tests.test_board import dead

Capture = pytest.CaptureFixture[str]
HERE = Market("kraken", "BTC/USD", "http://127.0.0.1:1")  # of `virtual.config`
TICK = Decimal("0.1")


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """Return the board of a user of their own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return Board(own_folder(accounts_dir()) / FILE_NAME)


def test_lists_who_shows_what_and_forgets_the_dead_alone(board: Board, capsys: Capture) -> None:
    live = board.claim(HERE, bot="alive", account="k", tick_size=TICK)
    live.row.publish(600_000, 600_100)
    dead(board, "killed", 990)
    assert main(["neighbours", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["neighbours"]
    told = {row["bot"]: (row["alive"], row["bid"], row["ask"]) for row in rows}
    assert told == {"alive": (True, "60000.0", "60010.0"), "killed": (False, "99.0", None)}
    assert main(["neighbours"]) == 0
    out = capsys.readouterr().out
    assert "gone, in force" in out
    assert "60010.0" in out
    assert main(["neighbours", "--forget", "alive"]) == 1
    assert "alive runs" in capsys.readouterr().err
    assert main(["neighbours", "--forget", "killed"]) == 0
    assert [row.bot for row in board.rows()] == ["alive"]
    assert main(["neighbours", "--forget", "killed", "--json"]) == 1
    captured = capsys.readouterr()
    assert "not_found" in captured.out + captured.err


def test_no_board_is_made_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["neighbours"]) == 0
    assert "no live bot" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_who_is_beside_a_bot_and_where_a_file_would_quote(board: Board) -> None:
    for name, market in (("one", HERE), ("two", HERE), ("far", Market("kraken", "ETH/USD"))):
        board.claim(market, bot=name, account=name, tick_size=TICK)
    assert [row["bot"] for row in beside("one")[0]] == ["two"]
    assert beside("far") == ([], None)
    assert [row["bot"] for row in on_market(virtual.config())[0]] == ["one", "two"]
    board.page.poke(0, b"nonsense")
    assert "not a board" in str(beside("one")[1])
    assert "not a board" in str(on_market(virtual.config())[1])


def test_fleet_tells_of_bots_that_share_a_market() -> None:
    def named(name: str, neighbours: str = "refuse", mode: str = "live") -> object:
        made = virtual.config(neighbours=neighbours)
        return made.model_copy(
            update={"bot": made.bot.model_copy(update={"name": name, "mode": mode})}
        )

    (one,) = shared([named("a"), named("b"), named("c", mode="paper")])  # type: ignore[list-item]
    assert one["bots"] == ["a", "b"]
    assert shared_text(one) == "BTC/USD on kraken: a, b keep clear of each other's prices"
    (one,) = shared([named("a"), named("b", "off")])  # type: ignore[list-item]
    assert "may trade with each other: off for b" in shared_text(one)
    assert shared([named("a")]) == []  # type: ignore[list-item]


def test_check_tells_who_is_there(board: Board, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "bot.toml"
    file.write_text(
        '[bot]\nname = "new"\nmode = "live"\n'
        '[[venue]]\nname = "kraken"\nquote = "BTC/USD"\nmaker_fee = "0%"\ntaker_fee = "0.1%"\n'
        '[venue.endpoints]\nrest = "http://127.0.0.1:1"\nws = "ws://127.0.0.1:1/v2"\n'
        'ws_auth = "ws://127.0.0.1:1/v2"\n'
        '[strategy]\nkind = "grid"\nspread = "0.6%"\norder_amount = "0.01"\nnum_orders = 3\n'
        'rebalance_threshold = "10%"\ntarget_base = "50%"\n'
        '[risk]\nmax_order_size = "0.05"\nmax_open_notional = "20000"\nmax_inventory = "0.5"\n'
        'max_drawdown = "2%"\n'
    )
    board.claim(HERE, bot="old", account="k", tick_size=TICK)
    assert main(["check", str(file), "--offline"]) == 0
    assert "old of this host quote BTC/USD there: this bot keeps clear" in capsys.readouterr().out
    file.write_text(file.read_text() + 'neighbours = "off"\n')
    assert main(["check", str(file), "--offline"]) == 0
    assert "may trade with them: it is off" in capsys.readouterr().out
