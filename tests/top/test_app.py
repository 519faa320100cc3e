"""The application without a terminal: an empty host, help, a question whose first answer is no."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Button, Static

from openmm.control.home import Home
from openmm.engine.rundir import RunDir
from openmm.top.app import BotScreen, FleetScreen, Top
from openmm.top.dialogs import Confirm, Help


def home(folder: Path, *names: str) -> Home:
    for name in names:
        RunDir(folder, name).make().lock.touch()
    return Home(folder, folder / "state", folder / "clients.toml")


async def settled(pilot: Pilot[Any]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def test_host_without_bots_says_how_to_get_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        app = Top(home(tmp_path))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert isinstance(app.screen, FleetScreen)
            assert "openmm run bot.toml" in str(app.screen.query_one("#note", Static).content)

    asyncio.run(scenario())


def test_keys_lead_from_the_fleet_to_a_bot_and_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        app = Top(home(tmp_path, "a", "b"))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await pilot.press("j", "enter")
            await pilot.pause()
            assert isinstance(app.screen, BotScreen)
            assert app.screen.watched.name == "b"
            await pilot.press("tab")
            await pilot.pause()
            assert isinstance(app.screen, BotScreen)
            assert app.screen.watched.name == "a"
            await pilot.press("question_mark")
            assert isinstance(app.screen, Help)
            await pilot.press("escape", "escape")
            await pilot.pause()
            assert isinstance(app.screen, FleetScreen)
            await pilot.resize_terminal(40, 10)
            await pilot.press("enter")
            await pilot.resize_terminal(200, 60)
            await pilot.pause()
            assert isinstance(app.screen, BotScreen)
            assert app.screen.whole

    asyncio.run(scenario())


def test_question_is_answered_no_unless_yes_is_chosen(tmp_path: Path) -> None:
    async def scenario() -> None:
        app = Top(home(tmp_path, "a"))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            for key in ("enter", "n", "escape"):
                await pilot.press("h")
                await settled(pilot)
                assert isinstance(app.screen, Confirm)
                assert app.screen.query_one("#no", Button).has_focus
                await pilot.press(key)
                await pilot.pause()
                assert isinstance(app.screen, BotScreen)
            assert not app.home.audit.exists()  # nothing was sent
            # A bot that does not run is said so, and the call stands in the audit.
            await pilot.press("h")
            await settled(pilot)
            await pilot.press("y")
            await settled(pilot)
            assert '"action":"halt"' in app.home.audit.read_text()
            assert any("not running" in str(one.message) for one in app._notifications)

    asyncio.run(scenario())
