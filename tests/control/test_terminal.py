"""What an operator tells a bot at a terminal: on record, and never held up by the record."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openmm.control.audit import Audit
from openmm.control.home import Home
from openmm.control.terminal import operate
from openmm.engine.commands import Halt, Request, Resume, Tighten
from openmm.engine.door import CommandServer
from openmm.engine.rundir import RunDir
from openmm.errors import CommandError, ControlError, RiskError

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[RunDir]:
    """Serve a bot's command socket that refuses to resume."""

    async def take(asked: Request) -> dict[str, Any]:
        if isinstance(asked.command, Resume):
            raise RiskError("neither paused nor halted")
        return {"risk_state": "HALTED"}

    run_dir = RunDir(tmp_path / "runs", "btc").make()
    loop, server = asyncio.new_event_loop(), CommandServer(run_dir.socket, take)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    yield run_dir
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def verdicts(home: Home) -> list[str]:
    return [one["verdict"] for one in Audit(home.audit).newest()]


def test_command_is_on_record_before_and_after(bot: RunDir) -> None:
    home = Home.find(bot.root)
    assert operate(home, bot, Halt("news"), surface="cli") == {"risk_state": "HALTED"}
    with pytest.raises(CommandError, match="neither paused"):
        operate(home, bot, Resume(), surface="cli")
    assert verdicts(home) == ["refused: risk: neither paused nor halted", "asked", "done", "asked"]
    last = next(Audit(home.audit).newest())
    assert (last["caller"]["client"], last["action"], last["bot"]) == ("local", "resume", "btc")
    assert Audit(home.audit).verify().problem == ""


def test_without_a_record_only_brakes_are_sent(bot: RunDir) -> None:
    home = Home(bot.root, bot.root.parent / "state", bot.root / "none")
    home.state.write_text("a file where the folder should be")
    assert "not recorded" in operate(home, bot, Halt(), surface="cli")["audit"]
    with pytest.raises(ControlError) as caught:
        operate(home, bot, Tighten(max_orders="1"), surface="cli")
    assert caught.value.code == "not_recorded"


def test_brake_at_a_terminal_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import openmm.control.terminal\n"
        "heavy = {'sqlalchemy', 'aiohttp', 'alembic', 'openmm.control.readers'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
