"""The watchdog cancels ours only, proves it by query, and steps back when an engine is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from openmm.engine.rundir import RunDir, lock_bot
from openmm.errors import TransportError
from openmm.events import OrderStatus, OrderUpdated, Source
from openmm.watchdog.watch import Watchdog, Watched

DEAD_PID = 2**22 - 1  # no process has it


class Account:
    """An account's open orders, by venue id: the client id of each."""

    def __init__(self, orders: dict[str, str], fail: int = 0) -> None:
        self.orders = dict(orders)
        self.late: dict[str, str] = {}  # listed only from the second answer on
        self.asked: list[Sequence[str]] = []
        self.lists = 0  # answered
        self._fail = fail

    async def open_orders(self) -> list[OrderUpdated]:
        if self._fail:
            self._fail -= 1
            raise TransportError("unreachable", venue="kraken")
        found = [
            OrderUpdated(venue_id, client_id, OrderStatus.OPEN, Source.QUERY, 0)
            for venue_id, client_id in self.orders.items()
        ]
        self.orders |= self.late
        self.late = {}
        self.lists += 1
        return found

    async def cancel(self, venue_order_ids: Sequence[str]) -> int:
        self.asked.append(tuple(venue_order_ids))
        for one in venue_order_ids:
            del self.orders[one]
        return len(venue_order_ids)


def watch(
    folder: Path,
    account: Account,
    *,
    farewell: Callable[[], bool] = lambda: False,
    pid: int = DEAD_PID,
    gone: bool = True,
) -> tuple[bool, list[str], Watchdog]:
    """Run a watchdog on an engine that is gone (or hangs); returns result, log and watchdog."""
    said: list[str] = []
    fired: list[str] = []

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    async def body() -> tuple[bool, Watchdog]:
        event = asyncio.Event()
        if gone:
            event.set()
        dog = Watchdog(
            Watched(RunDir(folder, "bot").make(), pid, silent_s=0.05), account,
            lambda client_id: client_id.startswith("ours"), event, farewell,
            lambda text, **_values: said.append(text), on_fire=lambda: fired.append("fired"),
            sleep=at_once,
        )  # fmt: skip
        return await dog.run(), dog

    closed, dog = asyncio.run(body())
    return closed, said + fired, dog


def test_engine_gone_without_farewell_gets_ours_cancelled_and_no_foreign_order(
    tmp_path: Path,
) -> None:
    account = Account({"A": "ours1", "B": "someone", "C": "ours2", "D": ""})
    closed, said, dog = watch(tmp_path, account)
    assert closed
    assert account.orders == {"B": "someone", "D": ""}
    assert dog.cancelled == ["A", "C"]
    assert "fired" in said
    assert said[-2] == "nothing of ours is open"


def test_farewell_dismisses_it(tmp_path: Path) -> None:
    account = Account({"A": "ours1"})
    closed, said, _ = watch(tmp_path, account, farewell=lambda: True)
    assert closed
    assert account.orders == {"A": "ours1"}
    assert "fired" not in said


def test_engine_without_heartbeat_counts_as_hung(tmp_path: Path) -> None:
    account = Account({"A": "ours1"})
    closed, said, _ = watch(tmp_path, account, gone=False)
    assert closed
    assert account.orders == {}
    assert "firing" in said


def test_order_listed_late_is_cancelled_too(tmp_path: Path) -> None:
    account = Account({})
    account.late = {"L": "ours9"}
    closed, _, dog = watch(tmp_path, account)
    assert closed
    assert dog.cancelled == ["L"]


def test_venue_that_does_not_answer_is_asked_until_it_does(tmp_path: Path) -> None:
    account = Account({"A": "ours1"}, fail=7)
    closed, said, _ = watch(tmp_path, account)
    assert closed
    assert said.count("the venue did not answer") == 7
    assert account.orders == {}


def test_watchdog_leaves_the_orders_of_an_engine_that_has_taken_over(tmp_path: Path) -> None:
    account = Account({"A": "ours1"})
    with lock_bot(RunDir(tmp_path, "bot").make()):
        closed, said, _ = watch(tmp_path, account)
    assert closed
    assert account.orders == {"A": "ours1"}
    assert "an engine has taken over" in said


def test_engine_that_came_back_keeps_what_it_quotes(tmp_path: Path) -> None:
    # It has another watchdog by then, and tells this one so while a list is on its way.
    account = Account({"A": "ours1"})
    closed, said, _ = watch(tmp_path, account, gone=False, farewell=lambda: account.lists > 0)
    assert closed
    assert "fired" in said
    assert account.orders == {"A": "ours1"}
    assert said[-2] == "an engine has taken over"


def test_lock_that_outlives_the_pipe_for_a_moment_is_no_engine(tmp_path: Path) -> None:
    account = Account({"A": "ours1"})
    with lock_bot(RunDir(tmp_path, "bot").make()):
        closed, _, dog = watch(tmp_path, account, pid=os.getpid())
    assert closed
    assert dog.cancelled == ["A"]


@pytest.mark.parametrize("client_id", ["mabc", "", "someone"])
def test_order_of_another_mark_is_never_asked_about(tmp_path: Path, client_id: str) -> None:
    account = Account({"X": client_id})
    watch(tmp_path, account)
    assert account.asked == []
