"""The supervisor's rules, with small programs in the place of bots."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openmm.control.fleet_file import FleetFile, read_fleet
from openmm.control.supervise import (
    Fleet,
    Stage,
    Supervised,
    backoff_ns,
    keys_for,
    log_path,
    supervising,
    trim_log,
)
from openmm.engine.rundir import RunDir, lock_bot
from openmm.errors import CommandError
from tests.control.test_fleet_file import BOT

SECOND = 1_000_000_000
# What each bot does is in the file beside its own; it tells in its log that it is there.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
todo = Path(sys.argv[1]).with_suffix(".do").read_text()
asked = 0
def on_term(*_):
    global asked
    asked += 1
    print("asked", flush=True)
    if asked > 1: os._exit(1)
signal.signal(signal.SIGTERM, on_term)
print("up", os.environ.get("OPENMM_KRAKEN_KEY"), os.environ.get("OPENMM_OTHER_KEY"), flush=True)
if "passphrase" in todo:
    print(os.fdopen(int(os.environ["OPENMM_VAULT_PASSPHRASE_FD"])).read(), flush=True)
if "exit" in todo: os._exit(int(todo.split()[1]))
while not asked or "stubborn" in todo: time.sleep(0.01)
os._exit(0)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMM_RUN_DIR", str(tmp_path / "state"))


class World:
    """A fleet of small programs under a clock of its own."""

    def __init__(self, folder: Path, *todo: str, head: str = "", passphrase: str | None = None):
        text = head
        for name, what in zip("abc", todo, strict=False):
            (folder / f"{name}.toml").write_text(BOT.format(name=name))
            (folder / f"{name}.do").write_text(what.partition(";")[0])
            restart = what.partition(";")[2] or "on-failure"
            text += f'[[bot]]\nfile = "{name}.toml"\nrestart = "{restart}"\n'
        (folder / "fleet.toml").write_text(text)
        self.folder = folder
        self.file: FleetFile = read_fleet(folder / "fleet.toml")
        self.told: list[tuple[str, str]] = []
        self.now_ns = 1_000 * SECOND
        command = (sys.executable, "-c", PROGRAM)
        self.fleet = Fleet(self.file, self.event, passphrase=passphrase, command=command)

    def event(self, bot: str, what: str, more: Mapping[str, Any]) -> None:
        self.told.append((bot, what))

    def tick(self, after_s: float = 0.0) -> None:
        self.now_ns += int(after_s * SECOND)
        self.fleet.tick(self.now_ns)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline, self.told
            self.tick()

    def log(self, name: str) -> str:
        path = log_path(self.folder / "runs" / name)
        return path.read_text() if path.exists() else ""

    def end(self) -> None:
        for bot in self.fleet.bots:
            if bot.process is not None:
                bot.process.kill()
                bot.process.wait()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(*todo: str, **more: Any) -> World:
        worlds.append(World(tmp_path, *todo, **more))
        return worlds[-1]

    yield make
    for world in worlds:
        world.end()


def test_bots_start_one_after_the_other(made: Callable[..., World]) -> None:
    world = made("run", "run", head='[fleet]\nstagger = "5s"\n')
    world.fleet.begin(world.now_ns)
    world.tick()
    assert world.told == [("a", "started")]
    world.tick(4.9)
    assert world.told == [("a", "started")]
    world.tick(0.1)
    assert world.told == [("a", "started"), ("b", "started")]


@pytest.mark.parametrize(
    ("todo", "stage", "code"),
    [
        ("exit 3", Stage.HALTED, 3),
        ("exit 2", Stage.REFUSED, 2),
        ("exit 0", Stage.DONE, 0),
        ("exit 1;never", Stage.FAILED, 1),
    ],
)
def test_bot_that_is_not_to_come_back_stays_down(
    made: Callable[..., World], todo: str, stage: Stage, code: int
) -> None:
    world = made(todo)
    world.tick()
    world.until(lambda: world.fleet.over)
    world.tick(10_000)
    assert world.told == [("a", "started"), ("a", "ended")]
    assert world.fleet.bots[0].stage is stage
    assert world.fleet.exit_code() == code


def test_failure_is_started_again_after_a_growing_wait(made: Callable[..., World]) -> None:
    world = made("exit 1", head='[fleet]\nbackoff = "1s"\nbackoff_max = "3s"\n')
    bot = world.fleet.bots[0]
    waits = []
    for _ in range(4):
        world.tick()
        assert bot.stage.value == Stage.RUNNING
        world.until(lambda: bot.stage.value == Stage.WAITING)
        waits.append((bot.due_ns - world.now_ns) / SECOND)
        world.now_ns = bot.due_ns - 1
        world.tick()
        assert bot.stage.value == Stage.WAITING
        # Beyond the stagger, 2 s, too.
        world.now_ns += max(1, 2 * SECOND)
    assert waits == [1, 2, 3, 3]
    assert bot.restarts == 3


@pytest.mark.parametrize(
    ("last", "stage"),
    [
        ({"reason": "stopped by ann by cli (uid 0, pid 1)"}, Stage.HALTED),
        ({"reason": "", "risk_state": "HALTED", "risk_reason": "reconciliation"}, Stage.HALTED),
        ({"reason": "", "risk_state": "HALTED", "risk_reason": "internal"}, Stage.WAITING),
        ({"reason": "", "risk_state": "RUNNING", "risk_reason": ""}, Stage.WAITING),
        ({"reason": "stopped by ann", "exit_code": 0}, Stage.WAITING),  # of another end
    ],
)
def test_what_was_stopped_or_halted_is_not_started_again_for_an_unproven_end(
    made: Callable[..., World], last: dict[str, Any], stage: Stage
) -> None:
    world = made("exit 1")
    run_dir = world.file.members[0].run_dir
    assert run_dir is not None
    run_dir.make().write_session({"state": "ended", "exit_code": 1, **last})
    world.tick()
    bot = world.fleet.bots[0]
    world.until(lambda: bot.stage.value != Stage.RUNNING)
    assert bot.stage.value == stage


def test_bot_that_was_killed_while_halted_is_not_started_again(
    made: Callable[..., World],
) -> None:
    world = made("exit 1")
    run_dir = world.file.members[0].run_dir
    assert run_dir is not None
    world.tick()
    run_dir.held.write_text("halted: drawdown\n")
    bot = world.fleet.bots[0]
    world.until(lambda: bot.stage.value != Stage.RUNNING)
    assert bot.stage.value == Stage.HALTED
    assert "it was halted: drawdown" in bot.reason


@pytest.mark.parametrize("readable", [True, False])
def test_new_fleet_starts_no_bot_that_is_held(made: Callable[..., World], readable: bool) -> None:
    world = made("run", "run", head='[fleet]\nstagger = "0s"\n')
    run_dir = world.file.members[0].run_dir
    assert run_dir is not None
    if readable:
        run_dir.make().held.write_text("halted: reconciliation\n")
    else:
        run_dir.make().held.mkdir()
    world.tick()
    assert world.told == [("a", "held"), ("b", "started")]
    held = world.fleet.bots[0]
    assert (held.stage, held.pid) == (Stage.HALTED, None)
    assert ("reconciliation" if readable else "held") in held.reason


def test_long_run_forgets_earlier_failures(made: Callable[..., World]) -> None:
    world = made("run", head='[fleet]\nhealthy_after = "60s"\n')
    bot = Supervised(world.file.members[0])
    for ran_s, wait_s in ((1, 1), (1, 2), (59, 4), (60, 1), (1, 2)):
        bot.started_ns = world.now_ns - ran_s * SECOND
        bot.ended(-9, world.now_ns, world.file)
        assert (bot.due_ns - world.now_ns) / SECOND == wait_s
        assert "SIGKILL" in bot.reason
    assert backoff_ns(10_000, world.file) == world.file.backoff_max_ns


def test_stop_is_clean_and_the_second_one_at_once(made: Callable[..., World]) -> None:
    world = made("run", "stubborn", "exit 1", head='[fleet]\nstagger = "0s"\nstop_within = "9s"\n')
    world.tick()
    world.until(lambda: world.fleet.bots[2].stage.value == Stage.WAITING)
    world.until(lambda: all(world.log(name) for name in "ab"))
    world.fleet.stop(world.now_ns)
    world.until(lambda: world.fleet.bots[0].stage.value == Stage.DONE)
    assert world.fleet.bots[1].stage.value == Stage.STOPPING
    world.tick(9)
    world.tick(9)
    assert world.told.count(("b", "slow to stop")) == 1
    # Two signals that wait for a process are one to it.
    world.until(lambda: "asked" in world.log("b"))
    world.fleet.stop(world.now_ns)
    world.until(lambda: world.fleet.over)
    assert world.told[-2:] == [("b", "stopping at once"), ("b", "ended")]
    assert [bot.exit_code for bot in world.fleet.bots] == [0, 1, 1]
    assert world.fleet.exit_code() == 1
    assert world.told.count(("c", "started")) == 1


def test_bot_gets_its_own_keys_and_the_passphrase_in_a_pipe(
    made: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_KRAKEN_KEY", "its-own")
    monkeypatch.setenv("OPENMM_OTHER_KEY", "of another")
    world = made("passphrase", passphrase="three words long")
    world.tick()
    world.until(lambda: world.log("a").count("\n") == 2)
    assert world.log("a") == "up its-own None\nthree words long\n"


def test_bot_that_runs_already_is_taken_on(made: Callable[..., World], tmp_path: Path) -> None:
    world = made("exit 1", head='[fleet]\nstagger = "0s"\n')
    run_dir = RunDir(tmp_path / "runs", "a").make()
    with lock_bot(run_dir):
        world.fleet.begin(world.now_ns)
        world.tick()
        bot = world.fleet.bots[0]
        assert (bot.pid, bot.adopted, bot.stage) == (os.getpid(), True, Stage.RUNNING)
        run_dir.write_session({"state": "ended", "exit_code": 3})
        world.tick()
        assert bot.stage.value == Stage.RUNNING  # it has the lock: it has not ended
    world.tick()
    assert bot.stage.value == Stage.HALTED
    assert world.told == [("a", "adopted"), ("a", "ended")]


def test_taken_on_and_killed_it_is_started_again(
    made: Callable[..., World], tmp_path: Path
) -> None:
    world = made("run", head='[fleet]\nstagger = "0s"\n')
    run_dir = RunDir(tmp_path / "runs", "a").make()
    with lock_bot(run_dir):
        run_dir.write_session({"state": "running"})
        world.fleet.begin(world.now_ns)
    world.tick()
    assert world.fleet.bots[0].stage.value == Stage.WAITING
    world.tick(1)
    assert world.told == [("a", "adopted"), ("a", "ended"), ("a", "started")]


def test_one_supervisor_a_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    with supervising(path):
        with pytest.raises(CommandError) as caught, supervising(tmp_path / "x" / ".." / path.name):
            pass
        assert caught.value.code == "in_use"
        with supervising(tmp_path / "other.toml"):
            pass
    with supervising(path):
        pass


def test_log_is_rotated_under_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "up.log"
    with path.open("ab", buffering=0) as writer:
        for number in range(4):
            writer.write(b"%d" % number * 10)
            assert trim_log(path, 10, 3)
            assert not trim_log(path, 10, 3)
        writer.write(b"last")
    assert path.read_bytes() == b"last"
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p != path}
    assert kept == {f"up.log.{n + 1}": b"%d" % (3 - n) * 10 for n in range(3)}
    assert not trim_log(tmp_path / "none")


def test_signals_are_told_by_name() -> None:
    from openmm.control.supervise import told

    assert told(-signal.SIGKILL) == "SIGKILL"
    assert told(1) == "exit code 1"


def test_a_bot_that_hedges_gets_the_keys_of_both_venues(monkeypatch: pytest.MonkeyPatch) -> None:
    for label in ("KRAKEN", "GATEIO", "OTHER"):
        monkeypatch.setenv(f"OPENMM_{label}_KEY", label.lower())
    config: Any = SimpleNamespace(
        quoted=SimpleNamespace(label="kraken"), hedge=SimpleNamespace(label="gateio")
    )
    both = {"OPENMM_KRAKEN_KEY": "kraken", "OPENMM_GATEIO_KEY": "gateio"}
    assert keys_for(config) == both
    config.hedge = None
    assert keys_for(config) == {"OPENMM_KRAKEN_KEY": "kraken"}
