"""Any calls at the door, in any order: what is not granted changes nothing; all is on record."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from openmm.control.access import Caps, Client, Scope
from openmm.control.actions import ACTIONS
from openmm.control.audit import Audit
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.control.once import bound_of
from openmm.engine.commands import READS, Request
from openmm.engine.door import CommandServer
from openmm.engine.rundir import RunDir, lock_bot
from openmm.errors import OpenMMError
from tests.control.running import until

BOT = "btc-grid"
ROOT = Path(__file__).resolve().parent.parent.parent
TEXTS = st.text(max_size=12) | st.sampled_from(["buy", "1", "0.5", "all", "paper", BOT])
VALUES = (
    TEXTS
    | st.integers(-5, 600)
    | st.none()
    | st.booleans()
    | st.dictionaries(st.sampled_from(["strategy.spread", "risk.max_order_size", "x"]), TEXTS)
)
WRITES = [one.name for one in ACTIONS.values() if one.writes]
GOOD = {
    "side": "buy", "qty": "0.5", "price": "100", "order": "all", "mode": "paper", "hours": "1",
    "changes": {"strategy.spread": "1%"}, "reason": "", "limit": 1,
}  # fmt: skip


def _calls_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Give arguments that will do, and some that will not."""
    action = ACTIONS.get(name)
    params = action.params if action is not None else ()
    fit = {one.name: GOOD.get(one.name, "x") for one in params if one.required}
    fit |= {"bot": BOT} if action is None or action.bot else {}
    odd = st.dictionaries(st.sampled_from([*fit, "reason", "x"]), VALUES, max_size=2)
    return st.just(fit) | st.just(fit) | odd.map(lambda changed: {**fit, **changed})


CALLS = st.lists(
    st.sampled_from([*WRITES, *WRITES, *WRITES, *ACTIONS, "", "x"]).flatmap(
        lambda name: st.tuples(
            st.just(name),
            _calls_of(name),
            st.sampled_from([name in ACTIONS and ACTIONS[name].previewed, False, True]),
            st.sampled_from(["", "", "", "k1"]),
        )
    ),
    max_size=8,
)


class Bot:
    """The bot's end of the command socket, on a thread of its own: notes what would act."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "runs", folder / "state", folder / "clients.toml")
        self.run_dir = RunDir(self.home.root, BOT).make()
        self.acted: list[Request] = []
        self.silent = False
        self._loop = asyncio.new_event_loop()
        self._server = CommandServer(self.run_dir.socket, self._take)
        self._thread = threading.Thread(target=self._loop.run_forever)

    async def _take(self, asked: Request) -> dict[str, Any]:
        if not isinstance(asked.command, READS):
            self.acted.append(asked)
        if self.silent:
            await asyncio.Event().wait()
        return {"risk_state": "RUNNING", "diff": [], "ladder": None, "version": 0, "warnings": []}

    @contextmanager
    def serving(self) -> Iterator[Bot]:
        self._thread.start()
        self._do(self._server.start())
        try:
            with lock_bot(self.run_dir):
                yield self
        finally:
            self._do(self._server.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


@pytest.fixture(scope="module")
def bot() -> Iterator[Bot]:
    with tempfile.TemporaryDirectory() as folder, Bot(Path(folder)).serving() as serving:
        yield serving


def granted(scopes: set[Scope]) -> Client:
    return Client("ann", frozenset(scopes | {Scope.READ}), caps=Caps(requests_per_minute=100_000))


SCOPE_OF = {
    "halt": Scope.BRAKE, "pause": Scope.BRAKE, "stop": Scope.BRAKE, "cancel": Scope.BRAKE,
    "resume": Scope.RESUME, "set": Scope.SET, "undo": Scope.SET, "place": Scope.TRADE,
    "flatten": Scope.TRADE,
}  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    calls=CALLS,
    scopes=st.sets(st.sampled_from([one for one in Scope if one is not Scope.START])),
)
def test_no_sequence_of_calls_without_a_scope_changes_anything(
    bot: Bot, calls: list[Any], scopes: set[Scope]
) -> None:
    door, client = Door(bot.home), granted(scopes)
    bot.acted.clear()
    before = len(list(Audit(bot.home.audit).newest()))
    done: list[str] = []
    asked = 0
    for action, args, shown_first, key in calls:
        token = ""
        try:
            asked += 1
            if shown_first:
                token = door.preview(client, action, args, surface="test")["preview"]
                asked += 1
            door.call(client, action, args, surface="test", key=key, preview=token)
            done.append(action)
        except OpenMMError:
            continue
    kinds = [type(one.command).__name__.lower() for one in bot.acted]
    assert all(SCOPE_OF[kind] in scopes for kind in kinds)
    assert all(one.caller.client == "ann" for one in bot.acted)
    # Each call is a line, a preview too, and a write that was let in has one more.
    lines = len(list(Audit(bot.home.audit).newest())) - before
    assert asked <= lines <= asked + len(calls)
    writes = [name for name in done if ACTIONS[name].writes]
    assert len(kinds) <= len(calls)
    assert {ACTIONS[name].scope for name in writes} <= scopes
    if not scopes - {Scope.READ}:
        assert not bot.acted
    event(f"acted {len(kinds)}")


@pytest.mark.parametrize("action", [one for one in ACTIONS.values() if one.writes], ids=str)
def test_write_without_its_scope_never_reaches_the_bot(bot: Bot, action: Any) -> None:
    bot.acted.clear()
    client = granted(set(Scope) - {action.scope})
    args = {one.name: one.choices[0] if one.choices else "1" for one in action.params}
    args |= {"changes": {"strategy.spread": "1%"}} if "changes" in args else {}
    args |= {"bot": BOT} if action.bot else {}
    door = Door(bot.home)
    for ask in (door.call, door.preview):
        with pytest.raises(OpenMMError) as caught:
            ask(client, action.name, args, surface="test")
        assert caught.value.code == "forbidden"
    assert not bot.acted


def test_many_threads_one_door_one_chain(bot: Bot) -> None:
    door = Door(bot.home)
    before = len(list(Audit(bot.home.audit).newest()))
    client = granted({Scope.BRAKE})
    bot.acted.clear()

    def work(who: int) -> None:
        for number in range(5):
            door.call(client, "pause", {"bot": BOT}, surface="test", key=f"{who}-{number}")
            door.call(client, "audit", {"limit": 1}, surface="test")

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bot.acted) == 20
    assert len(list(Audit(bot.home.audit).newest())) - before == 60
    assert Audit(bot.home.audit).verify().problem == ""


def test_uncertain_call_goes_on_with_its_key_and_no_second_preview(bot: Bot) -> None:
    door, client = Door(bot.home), granted({Scope.SET})
    args = {"bot": BOT, "changes": {"strategy.spread": "1%"}}
    bot.acted.clear()
    token = door.preview(client, "set", args, surface="test")["preview"]
    bound = bound_of("set", args)
    door._once.begin(client.name, "k", bound, time.time_ns(), token)
    door._once.uncertain(client.name, "k")  # as after a bot that did not answer in time
    done = door.call(client, "set", args, surface="test", key="k")
    assert done["repeated"]
    assert [one.command.key for one in bot.acted] == ["k"]  # type: ignore[union-attr]
    # The session that knew whether it did it is over: it is not sent again.
    door._once.begin(client.name, "k2", bound, time.time_ns(), version="an-older-session:")
    door._once.uncertain(client.name, "k2")
    with pytest.raises(OpenMMError) as caught:
        door.call(client, "set", args, surface="test", key="k2")
    assert caught.value.code == "outcome_unknown"
    assert len(bot.acted) == 1


def test_brake_needs_no_session_file(bot: Bot) -> None:
    bot.acted.clear()
    bot.run_dir.session.write_text("damaged")
    Door(bot.home).call(granted({Scope.BRAKE}), "halt", {"bot": BOT}, surface="test", key="d")
    bot.run_dir.session.unlink()
    assert len(bot.acted) == 1


def test_crash_between_a_command_and_its_answer_leaves_its_trace(bot: Bot) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from openmm.control.access import LOCAL\n"
        "from openmm.control.door import Door\n"
        "from openmm.control.home import Home\n"
        "home = Home(*map(Path, sys.argv[1:]))\n"
        f"Door(home).call(LOCAL, 'pause', {{'bot': {BOT!r}}}, surface='crash')\n"
    )
    args = [str(one) for one in (bot.home.root, bot.home.state, bot.home.clients)]
    bot.acted.clear()
    bot.silent = True
    process = subprocess.Popen([sys.executable, "-c", code, *args], cwd=ROOT)
    try:
        until(lambda: bool(bot.acted), "the command has arrived")
    finally:
        process.kill()
        process.wait()
        bot.silent = False
    last = next(Audit(bot.home.audit).newest())
    assert (last["action"], last["verdict"]) == ("pause", "asked")
    assert last["caller"]["surface"] == "crash"
    assert Audit(bot.home.audit).verify().problem == ""


@pytest.mark.parametrize("held", ["audit", "keys"])
def test_brake_goes_on_while_another_process_stands_still_on_the_record(
    bot: Bot, held: str
) -> None:
    place = bot.home.once if held == "keys" else Audit(bot.home.audit).mark
    Door(bot.home).call(granted(set()), "bots", {}, surface="test")
    with _stuck(place):
        bot.acted.clear()
        began_s = time.monotonic()
        door, client = Door(bot.home), granted({Scope.BRAKE})
        done = door.call(client, "halt", {"bot": BOT}, surface="test", key="h")
        assert time.monotonic() - began_s < 3
    assert [one.command.reason for one in bot.acted] == [""]  # type: ignore[union-attr]
    assert done["risk_state"] == "RUNNING"


@contextmanager
def _stuck(place: Path) -> Iterator[None]:
    """Hold a lock as a process does that was stopped with it."""
    if place.suffix == ".sqlite":
        base = sqlite3.connect(place, isolation_level=None)
        base.execute("begin exclusive")
        yield
        base.close()
    else:
        with place.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
