"""An operator at a running bot: processes, sockets and commands as people use them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm.control import Orders, Place, RunDir, Status, send_command
from openmm.control.views import look, page_view
from openmm.errors import CommandError
from tests.control.running import running_bot, until
from tests.e2e.programs import COMMAND, ROOT, openmm

pytestmark = pytest.mark.timeout(180)
PLACED: list[str] = []
CAPS = {"orders_per_minute": "1", "order_notional": "700", "notional_per_hour": "900"}


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDir]:
    """Run one bot on a simulated venue for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        # What it leaves to a collection of garbage, it says.
        patch.setenv("PYTHONWARNINGS", "default::ResourceWarning")
        with running_bot(tmp_path_factory.mktemp("operator")) as home:
            patch.undo()
            (found,) = home.bots()
            yield found


def said(bot: RunDir, *args: str) -> tuple[int, dict[str, Any]]:
    """Run a command with --json; return its exit code and object."""
    done = openmm(*args, "--run-dir", bot.root, "--json")
    return done.returncode, json.loads(done.stdout or done.stderr)


def price(bot: RunDir, share: str) -> str:
    """Return a price so far below the reference."""
    page = look(bot, time.time_ns()).page
    assert page is not None
    reference: Decimal = page_view(page, time.time_ns())["reference"]["price"]
    return f"{(reference * Decimal(share)).quantize(Decimal('0.1')):f}"


def orders(bot: RunDir) -> list[dict[str, Any]]:
    """Return the live orders."""
    told: list[dict[str, Any]] = send_command(bot, Orders())["orders"]
    return told


def test_order_by_hand_is_placed_once_listed_and_cancelled(bot: RunDir) -> None:
    args = ["place", "buy", "0.01", price(bot, "0.98"), "--yes", "--key", "once"]
    code, body = said(bot, *args)
    assert code == 0
    client_id = body["order"]["client_id"]
    PLACED.append(client_id)
    code, again = said(bot, *args)
    assert (code, again["order"]["client_id"], again["repeated"]) == (0, client_id, True)

    def rests() -> bool:
        mine = [one for one in orders(bot) if one["by"] == "hand:local"]
        return [(one["client_id"], one["state"]) for one in mine] == [(client_id, "open")]

    until(rests, "the order rests")
    code, body = said(bot, "place", "buy", "1", price(bot, "0.98"), "--yes")
    assert (code, body["error"]["code"]) == (1, "refused")
    assert "order_size_max: limit 0.05" in body["error"]["message"]
    code, body = said(bot, "cancel", client_id, "--yes")
    assert (code, body["cancelled"], body["note"]) == (0, 1, "the bot quotes on")
    until(lambda: all(one["client_id"] != client_id for one in orders(bot)), "it is gone")


def test_client_is_held_to_its_caps_whatever_came_before(bot: RunDir) -> None:
    at = price(bot, "0.975")
    placed = send_command(bot, Place("buy", "0.01", at), surface="test", client="mcp", caps=CAPS)
    assert placed["order"]["by"] == "hand:mcp"
    for qty, cap in (("0.001", "orders_per_minute"), ("0.02", "order_notional")):
        with pytest.raises(CommandError) as caught:
            send_command(bot, Place("buy", qty, at), client="mcp", caps=CAPS)
        assert (caught.value.code, caught.value.details["cap"]) == ("over_cap", cap)
    assert (bot.path / "clients-used").stat().st_mode & 0o777 == 0o600
    assert said(bot, "cancel", placed["order"]["client_id"], "--yes")[0] == 0


def test_parameters_are_shown_confirmed_changed_and_taken_back(bot: RunDir) -> None:
    changes = ["strategy.spread=2%", "risk.max_order_size=0.03"]
    code, shown = said(bot, "set", *changes, "--preview")
    assert code == 0, shown
    assert {one["key"]: one["after"] for one in shown["diff"]}["strategy.spread"] == "2%"
    assert len(shown["ladder"]["before"]["bids"]) == len(shown["ladder"]["after"]["bids"]) == 3
    # Nobody is there to confirm it.
    code, body = said(bot, "set", *changes)
    assert (code, body["error"]["code"]) == (1, "not_confirmed")
    code, body = said(bot, "set", "risk.max_order_size=0.06", "--yes")
    assert (code, body["error"]["code"]) == (1, "looser")
    # Nor does anything let the spread below what the venue's own fees ask for.
    code, body = said(bot, "set", "strategy.spread=0.4%", "--yes")
    assert (code, body["error"]["code"]) == (1, "config")
    assert "at least 0.5%: the maker fee 0.25% both ways" in body["error"]["message"]
    assert send_command(bot, Status())["version"] == 0
    code, body = said(bot, "set", *changes, "--yes")
    assert (code, body["version"], body["limits"]["max_order_size"]) == (0, 1, "0.03")
    changed = bot.read_session()["changed"]
    assert changed["strategy.spread"] == "2%"

    def wide() -> bool:
        ladder = [one for one in orders(bot) if one["state"] == "open"]
        bids = [Decimal(one["price"]) for one in ladder if one["side"] == "buy"]
        asks = [Decimal(one["price"]) for one in ladder if one["side"] == "sell"]
        return bool(bids and asks) and (min(asks) - max(bids)) / min(asks) > Decimal("0.015")

    until(wide, "the ladder stands wider")
    code, body = said(bot, "undo", "--yes")
    assert (code, body["changed"], body["version"]) == (0, {}, 2)
    code, body = said(bot, "undo", "--yes")
    assert (code, body["error"]["code"]) == (1, "nothing_to_undo")


@pytest.mark.parametrize(("answer", "code", "version"), [("no", 1, 2), ("yes", 0, 3)])
def test_change_asks_at_a_terminal_and_takes_only_a_typed_yes(
    bot: RunDir, answer: str, code: int, version: int
) -> None:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [*COMMAND, "set", "strategy.num_orders=2", "--run-dir", str(bot.root)],
            cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        os.write(ours, f"{answer}\n".encode())
        out, told = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == code, told
    assert "strategy.num_orders" in told
    assert "3 -> 2" in told
    assert re.search(r"bids: [0-9.]+ at [0-9.]+", told)
    assert "Type yes to do it" in told
    assert ("in force" in out) == (code == 0)
    assert send_command(bot, Status())["version"] == version


def test_flatten_reduces_only_and_ends_by_a_pause(bot: RunDir) -> None:
    until(lambda: bool(orders(bot)), "the bot quotes")
    code, body = said(bot, "flatten", "--yes", "--reason", "night")
    assert (code, body["risk_state"], body["risk_reason"]) == (0, "REDUCING", "flatten")
    until(lambda: not any(one["by"] == "ladder" for one in orders(bot)), "the ladder is gone")
    code, body = said(bot, "pause")
    assert (code, body["risk_state"], body["flattening"]) == (0, "PAUSED", None)
    until(lambda: orders(bot) == [], "nothing is left")
    assert said(bot, "resume")[0] == 0


def test_session_with_every_command_replays_byte_for_byte(bot: RunDir, tmp_path: Path) -> None:
    assert send_command(bot, Status())["version"] == 3
    session = str(bot.read_session()["session"])
    assert openmm("stop", "--run-dir", bot.root).returncode == 0
    # By hand, and through which checks: the first of this file's orders beside the ladder.
    told = openmm("explain", PLACED[0], "--run-dir", bot.root)
    assert told.returncode == 0, told.stderr
    assert "an operator asked for it, beside the ladder" in told.stdout
    assert "ResourceWarning" not in (bot.root.parent / "bot.err").read_text()
    done = openmm("replay", bot.journal / session, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["identical"]
    assert found["ended"]
    assert found["orders"] > 20
