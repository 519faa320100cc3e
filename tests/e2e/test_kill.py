"""`kill -9` at any point: money and orders stay right, restarted or not."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from openmm._fast.tape import Record
from tests.cli.processes import venue
from tests.e2e.kill import Bot, until, until_later

SOAK = os.environ.get("OPENMM_SOAK") == "1"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if SOAK else 900)]
POINTS = int(os.environ.get("OPENMM_KILLS", "1000" if SOAK else "20"))
# A market that trades often, close to the touch: kills fall into fills and amends.
MARKET = ("--market", "taker_share=0.3")


@contextmanager
def traded(folder: Path, *, account: str = "dedicated", risk: str = "") -> Iterator[Bot]:
    with venue("--seed", "5", "--balance", "BTC=1", "--balance", "USD=60000",
               "--maker-fee", "0.01%", "--taker-fee", "0.02%", *MARKET) as (sim, _):  # fmt: skip
        bot = Bot(folder, sim, account=account, risk=risk)
        try:
            yield bot
        finally:
            bot.end()


def kill_somewhere(bot: Bot, draw: random.Random) -> str:
    """Let the bot run to a random point, by time or by what is on its tape, and kill it there."""
    kind = draw.choice(("time", "starting", "intent", "write", "transition", "fill"))
    victims = draw.choice(("engine", "engine", "both", "writer, then engine"))
    if kind == "starting":
        until_later(draw.uniform(0.0, 1.5))
    elif kind == "time":
        bot.wait_for(Record.REC_INTENT, 1)
        until_later(draw.uniform(0.0, 0.4))
    else:
        bot.wait_for(Record.REC_INTENT, 1)
        records = {
            "intent": Record.REC_INTENT, "write": Record.REC_WRITE_RESULT,
            "transition": Record.REC_TRANSITION, "fill": Record.REC_FILL,
        }  # fmt: skip
        count = 1 if kind == "fill" else draw.randint(1, 40)
        bot.wait_for(records[kind], count, patience_s=3.0)
    if victims == "writer, then engine":
        bot.kill(writer=True, engine=False)
        until_later(draw.uniform(0.0, 0.3))
    bot.kill(writer=victims == "both")
    return f"{kind}, {victims}"


@pytest.mark.parametrize("seed", [int(os.environ.get("OPENMM_SEED", "1"))])
def test_killed_at_random_points_the_ledger_is_the_venues_and_nothing_is_doubled(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    points: list[str] = []
    with traded(tmp_path) as bot:
        for number in range(POINTS):
            bot.start()
            points.append(kill_somewhere(bot, draw))
            if SOAK and number % 50 == 49:
                bot.settled()
        bot.start()
        bot.wait_for(Record.REC_INTENT, 4)
        assert bot.stop() == 0, bot.log.read_text()[-3000:]
        bot.settled()
        assert not bot.open_orders()
        assert bot.check() == [], (seed, points)
        assert len(bot.statement()["fills"]) >= POINTS // 10, "kills must meet fills"


def test_without_a_restart_the_watchdog_ends_ours_and_no_foreign_order(tmp_path: Path) -> None:
    with traded(tmp_path, account="shared") as bot:
        foreign = bot.place_foreign()
        bot.start()
        until(lambda: len(bot.open_orders()) >= 3, "resting orders")
        bot.kill()
        until(lambda: bot.open_orders() == {foreign}, "the watchdog to fire", 30)
        bot.settled()
        assert bot.open_orders() == {foreign}
        told = (bot.folder / "watchdog.log").read_text()
        assert "nothing of ours is open" in told
        assert bot.sim["api_secret"] not in told


def test_watchdog_fires_when_the_engine_hangs_and_a_clean_stop_dismisses_it(
    tmp_path: Path,
) -> None:
    with traded(tmp_path, account="shared", risk='watchdog_timeout = "2s"') as bot:
        bot.start()
        until(lambda: len(bot.open_orders()) >= 2, "resting orders")
        assert bot.process is not None
        bot.process.send_signal(signal.SIGSTOP)
        until(lambda: not bot.open_orders(), "the watchdog to fire", 30)
        bot.process.send_signal(signal.SIGCONT)
        # The engine finds another one, and only then quotes again.
        until(lambda: len(bot.open_orders()) >= 2, "quotes with a new watchdog")
        assert bot.stop() == 0, bot.log.read_text()[-3000:]
        bot.settled()
        told = (bot.folder / "watchdog.log").read_text()
        assert "no heartbeat" in told
        assert "dismissed" in told
        assert bot.check() == []


def test_killed_watchdog_is_replaced_before_anything_more_is_quoted(tmp_path: Path) -> None:
    with traded(tmp_path, account="shared") as bot:
        bot.start()
        until(lambda: len(bot.open_orders()) >= 2, "resting orders")
        (first,) = bot.children("openmm.watchdog")
        os.kill(first, signal.SIGKILL)
        until(lambda: set(bot.children("openmm.watchdog")) - {first}, "another watchdog")
        until(lambda: len(bot.open_orders()) >= 2, "quotes again")
        bot.kill()
        until(lambda: not bot.open_orders(), "it to fire", 30)
        bot.settled()


def another(bot: Bot, first: int) -> set[int]:
    """Return the writers that run beside, or in place of, a dead one."""
    return set(bot.children("openmm.writer")) - {first}


def test_killed_writer_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    with traded(tmp_path) as bot:
        bot.start()
        for _ in range(3):
            bot.wait_for(Record.REC_INTENT, 2)
            (first,) = until(lambda: bot.children("openmm.writer"), "a writer")
            os.kill(first, signal.SIGKILL)
            until(partial(another, bot, first), "another writer")
        assert bot.stop() == 0, bot.log.read_text()[-3000:]
        bot.settled()
        assert bot.check() == []


def test_check_sees_a_fill_that_was_never_booked(tmp_path: Path) -> None:
    with traded(tmp_path) as bot:
        bot.start()
        until(lambda: bot.statement()["fills"], "a fill", 180)
        bot.stop()
        bot.settled()
        assert bot.check() == []
        bot.forget_a_fill()
        wrong: list[Any] = bot.check()
    assert any("never booked" in one for one in wrong)
