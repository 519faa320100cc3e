"""A simulated venue and a live bot on it, as processes, for tests of what stands above the bot."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openmm.control.home import Home
from openmm.control.views import look
from tests.e2e.programs import COMMAND, KEYS, ROOT, bot_toml, simulator

PATIENCE_S = 60.0


def until(check: Callable[[], bool], what: str) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE_S
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE_S:g} s: {what}")
        time.sleep(0.02)


@contextmanager
def running_bot(folder: Path, name: str = "btc-grid") -> Iterator[Home]:
    """Run a venue and a live bot that quotes on it, for a block; both have ended after it."""
    home = Home(folder / "runs", folder / "state", folder / "clients.toml")
    with simulator("--seed", "7") as sim:
        file = bot_toml(folder, sim, name=name)
        # Far from the market: it seldom moves, which leaves orders by hand their rate budget.
        text = file.read_text().replace('spread = "2bps"', 'spread = "1%"')
        file.write_text(text.replace('level_step = "1bps"', 'level_step = "20bps"'))
        with (folder / "bot.err").open("wb") as told:
            bot = subprocess.Popen(
                [*COMMAND, "run", str(file)],
                cwd=ROOT,
                env={**os.environ, **KEYS, "XDG_RUNTIME_DIR": str(folder)},
                stdout=subprocess.DEVNULL,
                stderr=told,
            )
        try:
            until(lambda: bot.poll() is not None or quotes(home, name), "the bot quotes")
            assert bot.poll() is None, (folder / "bot.err").read_text()
            yield home
        finally:
            bot.terminate()
            try:
                bot.wait(30)
            except subprocess.TimeoutExpired:
                bot.kill()
                bot.wait()


def quotes(home: Home, name: str) -> bool:
    """Tell whether a bot's page shows orders on both sides."""
    for run_dir in home.bots():
        if run_dir.bot == name:
            page = look(run_dir, time.time_ns()).page
            return page is not None and bool(page.own_bids) and bool(page.own_asks)
    return False
