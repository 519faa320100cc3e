"""One market and one bot that quotes on it, for every test that only looks."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from openmm.cli.demo import MARKET
from openmm.control.home import Home
from openmm.control.looks import status
from tests.control.running import until
from tests.e2e.programs import COMMAND, KEYS, ROOT, bot_toml, simulator

BOT = "watched"
FILLS = 2


class Running(Struct, frozen=True):
    """A bot that trades, and the simulated venue it trades on."""

    home: Home
    sim: dict[str, Any]
    file: Path

    @property
    def sim_line(self) -> str:
        """What the venue said when it was ready."""
        return json.dumps(self.sim)


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A live bot on a simulated venue that has had some fills; ended with the last of its tests."""
    folder = tmp_path_factory.mktemp("running")
    home = Home(folder / "runs", folder / "state", folder / "clients.toml")
    market = [part for option in MARKET for part in ("--market", option)]
    fees = ("--maker-fee", "0%", "--taker-fee", "0.1%")
    with simulator("--seed", "7", *fees, *market) as sim:
        file = bot_toml(folder, sim, name=BOT)
        with (folder / "bot.err").open("wb") as told:
            bot = subprocess.Popen(
                [*COMMAND, "run", str(file)], cwd=ROOT,
                env={**os.environ, **KEYS, "XDG_RUNTIME_DIR": str(folder)},
                stdout=subprocess.DEVNULL, stderr=told,
            )  # fmt: skip
        try:
            until(lambda: bot.poll() is not None or _filled(home), "the bot trades")
            assert bot.poll() is None, (folder / "bot.err").read_text()
            yield Running(home, sim, file)
        finally:
            bot.terminate()
            try:
                bot.wait(30)
            except subprocess.TimeoutExpired:
                bot.kill()
                bot.wait()


def _filled(home: Home) -> bool:
    if not home.bots():
        return False
    told = status(home, BOT, time.time_ns())
    return bool(told.get("counters", {}).get("filled", 0) >= FILLS)
