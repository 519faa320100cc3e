"""Pull the plug on a bot at each simulated venue: its orders end in time, its money stays right."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from openmm._fast.tape import Record
from tests.cli.processes import venue
from tests.e2e.kill import Bot, until, until_later

SOAK = os.environ.get("OPENMM_SOAK") == "1"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if SOAK else 300)]
# Of each venue: left alone, and started again at once, by turns. One of each where none of ours is
# left to end the orders, else one.
KILLS = int(os.environ.get("OPENMM_KILLS", "100" if SOAK else "0"))
SEED = int(os.environ.get("OPENMM_SEED", "1"))
# What this machine may add to a span that two other processes keep, both of them off their core.
LATE_S = 2.0


class Plug(Struct, frozen=True):
    """A venue, and what ends a dead bot's orders there within `timeout_s`.

    A venue's own switch counts from the last refresh, so it is done earlier than that after the
    end; the watchdog fires at once, and the timeout is what it waits for an engine that hangs.
    """

    name: str
    sim: str
    timeout_s: int
    switch: bool
    options: str = ""

    @property
    def risk(self) -> str:
        """The key of the file."""
        key = "dead_man_timeout" if self.switch else "watchdog_timeout"
        return f'{key} = "{self.timeout_s}s"'


PLUGS = {
    "kraken": Plug("kraken", "kraken", 2, True),
    "gateio": Plug("gateio", "gateio", 5, True),
    "bitget-unified": Plug("bitget", "bitget-unified", 5, True, 'account = "unified"'),
    "bitget-classic": Plug("bitget", "bitget", 3, False, 'account = "classic"'),
    "mexc": Plug("mexc", "mexc", 3, False),
}


@contextmanager
def traded(folder: Path, plug: Plug) -> Iterator[Bot]:
    quote = "USD" if plug.name == "kraken" else "USDT"
    with venue("--seed", str(SEED), "--balance", "BTC=1", "--balance", f"{quote}=60000",
               "--maker-fee", "0.01%", "--taker-fee", "0.02%", "--market", "taker_share=0.3",
               name=plug.sim) as (sim, _):  # fmt: skip
        account = "dedicated" if plug.switch else "shared"
        bot = Bot(
            folder, sim, account=account, risk=plug.risk, name=plug.name, options=plug.options,
            strategy='tolerance = "1bps"',  # quotes that stand, so that kills find some
        )  # fmt: skip
        try:
            yield bot
        finally:
            bot.end()


def start(bot: Bot, plug: Plug, left: set[str]) -> None:
    """Start the bot and let it quote; what its last session left was cancelled before."""
    bot.start()
    bot.wait_for(Record.REC_INTENT, 4)
    assert not bot.open_orders() & left
    assert bool(bot.children("openmm.watchdog")) is not plug.switch


def stands_with_orders(bot: Bot, foreign: set[str]) -> bool:
    """Freeze the bot if orders of its are open then; one that lost its watchdog would end them."""
    if len(bot.open_orders() - foreign) < 2:
        return False
    bot.freeze()
    if bot.open_orders() - foreign:
        return True
    bot.thaw()
    return False


@pytest.mark.parametrize("plug", PLUGS.values(), ids=PLUGS)
def test_killed_its_orders_are_gone_in_time_and_its_money_is_the_venues(
    tmp_path: Path, plug: Plug
) -> None:
    draw = random.Random(f"{SEED}:{plug.sim}")
    spans_s: list[float] = []
    with traded(tmp_path, plug) as bot:
        # On a dedicated account nothing is anybody else's.
        foreign = set() if plug.switch else {bot.place_foreign()}
        left: set[str] = set()
        for number in range(KILLS or (1 if plug.switch else 2)):
            start(bot, plug, left)
            until_later(draw.uniform(0.0, 0.5))
            writer, at_once = draw.random() < 0.5, number % 2 == 1
            until(lambda: stands_with_orders(bot, foreign), "resting orders")
            killed_s = time.monotonic()
            # All that is ours dies where the venue has a switch, else all but the watchdog.
            bot.kill(writer=writer, watchdog=plug.switch or at_once)
            if at_once:
                # Nothing is left that would end them soon: the next start has to.
                left = bot.open_orders() - foreign
                assert left, "orders stand"
                continue
            until(lambda: bot.open_orders() == foreign, "the orders to end", 60)
            spans_s.append(time.monotonic() - killed_s)
            assert spans_s[-1] < plug.timeout_s + LATE_S, spans_s
            bot.settled()
            assert bot.open_orders() == foreign
        start(bot, plug, left)
        assert bot.stop() == 0, bot.log.read_text()[-3000:]
        bot.settled()
        assert bot.open_orders() == foreign
        assert bot.check() == [], (SEED, spans_s)
        if not plug.switch:
            assert '"message":"cancelling"' in (bot.folder / "watchdog.log").read_text()
    print(f"{plug.sim}: gone {max(spans_s):.2f} s after the kill at most, {len(spans_s)} kills")
