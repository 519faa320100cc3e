"""Run many bots side by side: start them, start again what failed, stop them all.

A bot is a process of its own in a session of its own, and keeps its lock: it outlives whoever
supervises it, and the next supervisor finds it by that lock and takes it on. A bot that ended
because risk halted it, because its file is bad, or because somebody stopped it, stays down.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, final

from openmm.config import BotConfig
from openmm.config.load import default_run_dir
from openmm.config.passphrase import FD_VARIABLE
from openmm.config.secrets import env_names, passphrase_name
from openmm.control.fleet_file import FleetFile, Member
from openmm.engine.rundir import Lock
from openmm.errors import CommandError
from openmm.undumped import environment_of_child

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_HALTED = 0, 1, 2, 3
RUN = (sys.executable, "-m", "openmm.cli.main", "run")
LOG_BYTES_MAX = 10_000_000
LOGS_KEPT = 5
# Exit code of a bot that is not our child and left no word of how it ended.
UNKNOWN = 1


class Stage(StrEnum):
    """Where a bot of a fleet is."""

    WAITING = "waiting"  # for its turn, or for its back-off to pass
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"  # stopped, and proven
    HALTED = "halted"  # ended by risk; stays down
    REFUSED = "refused"  # its file or its keys are bad; stays down
    FAILED = "failed"  # ended otherwise, and is not to be started again


Event = Callable[[str, str, Mapping[str, Any]], None]  # bot, what, more of it


@final
class Supervised:
    """One bot: its process, how often it failed, and when it is started again."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.stage = Stage.REFUSED if member.error else Stage.WAITING
        self.reason = member.error
        self.pid: int | None = None
        self.process: subprocess.Popen[bytes] | None = None  # None while adopted
        self.started_ns = 0
        self.due_ns = 0
        self.failures = 0  # in a row
        self.restarts = 0  # in all
        self.exit_code: int | None = EXIT_USAGE if member.error else None

    @property
    def adopted(self) -> bool:
        """Whether it runs and is not our child."""
        return self.pid is not None and self.process is None

    def ended(
        self, code: int, now_ns: int, fleet: FleetFile, held: str = ""
    ) -> None:  # fmt: skip
        """Take note of an end; decide whether and when it is started again.

        Args:
            held: what a person or a risk limit had decided before: not ours to undo.
        """
        self.pid, self.process, self.exit_code = None, None, code
        asked = self.stage is Stage.STOPPING
        if code == EXIT_HALTED:
            self.stage, self.reason = Stage.HALTED, "halted by risk: openmm report, then start it"
        elif code == EXIT_USAGE:
            self.stage, self.reason = Stage.REFUSED, "bad usage or configuration"
        elif code == EXIT_DONE:
            self.stage, self.reason = Stage.DONE, "stopped, nothing open"
        elif held:
            self.stage, self.reason = (
                Stage.HALTED,
                f"{held}, and ended with {told(code)}: see to it",
            )
        elif asked or self.member.restart == "never":
            self.stage, self.reason = Stage.FAILED, f"ended with {told(code)}"
        else:
            if now_ns - self.started_ns >= fleet.healthy_ns:
                self.failures = 0
            wait_ns = backoff_ns(self.failures, fleet)
            self.failures += 1
            self.stage, self.due_ns = Stage.WAITING, now_ns + wait_ns
            self.reason = f"ended with {told(code)}; again in {wait_ns / 1e9:.1f} s"


@contextmanager
def supervising(path: Path) -> Iterator[None]:
    """Keep a second supervisor of the same file out for a block.

    Raises:
        CommandError: there is one (`in_use`).
    """
    folder = default_run_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    with Lock(folder / f".up-{mark}.lock", f"the fleet of {path}"):
        yield


def backoff_ns(failures: int, fleet: FleetFile) -> int:
    """Return how long to wait after so many failures in a row before this one."""
    return min(fleet.backoff_max_ns, fleet.backoff_ns << min(failures, 40))


def told(code: int) -> str:
    """Describe an exit code: a signal by its name."""
    if code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


@final
class Fleet:
    """Supervise the bots of a file.

    Args:
        on_event: told of every start, end, adoption and stop, in order.
        passphrase: of the vault, for the bots that are started; handed over in a pipe.
        command: what runs a bot; its file comes last.
    """

    def __init__(
        self,
        file: FleetFile,
        on_event: Event,
        *,
        passphrase: str | None = None,
        command: Sequence[str] = RUN,
    ) -> None:
        self.file = file
        self.bots = [Supervised(member) for member in file.members]
        self._event = on_event
        self._passphrase = passphrase
        self._command = command
        self._next_start_ns = 0
        self.stopping = False
        self._late_ns: int | None = None  # when people are told that a stop takes long

    def begin(self, now_ns: int) -> None:
        """Take on what runs already; the others get their turn."""
        for bot in self.bots:
            if bot.stage is Stage.REFUSED:
                self._tell(bot, "refused", reason=bot.reason)
            elif self._adopt(bot, now_ns):
                self._tell(bot, "adopted", pid=bot.pid)

    def _adopt(self, bot: Supervised, now_ns: int) -> bool:
        run_dir = bot.member.run_dir
        assert run_dir is not None, "a member without a folder is refused"
        pid = run_dir.holder_pid()
        if not pid:
            return False
        bot.pid, bot.process, bot.stage, bot.reason = pid, None, Stage.RUNNING, ""
        with suppress(CommandError):
            bot.started_ns = int(run_dir.read_session().get("started_ns") or now_ns)
        return True

    def _held(self, bot: Supervised, code: int) -> str:
        """Return what had been decided of a bot that ended, by its own last word."""
        run_dir = bot.member.run_dir
        assert run_dir is not None
        if note := run_dir.why_held():
            # Killed while it was: it said so when it was put on.
            return f"it was {note}"
        try:
            last = run_dir.read_session()
        except CommandError:
            return ""
        if last.get("state") != "ended" or last.get("exit_code") != code:
            return ""
        if str(last.get("reason", "")).startswith("stopped by "):
            return "it was told to stop"
        halted = last.get("risk_state") == "HALTED" and last.get("risk_reason") != "internal"
        return f"it was halted ({last.get('risk_reason')})" if halted else ""

    def tick(self, now_ns: int) -> None:
        """Look after every bot once; never waits."""
        for bot in self.bots:
            if bot.pid is not None and (code := self._ended(bot)) is not None:
                bot.ended(code, now_ns, self.file, self._held(bot, code))
                if code not in (EXIT_DONE, EXIT_HALTED) and (said := self._last_words(bot)):
                    bot.reason += f": {said}"
                self._tell(bot, "ended", exit_code=code, reason=bot.reason)
            if bot.pid is not None:
                self._trim(bot)
        if self.stopping:
            if self._late_ns is not None and now_ns >= self._late_ns:
                self._late_ns = None
                for bot in self.bots:
                    if bot.stage is Stage.STOPPING:
                        self._tell(bot, "slow to stop", pid=bot.pid)
            return
        for bot in self.bots:
            if bot.stage is not Stage.WAITING or now_ns < max(bot.due_ns, self._next_start_ns):
                continue
            if self._adopt(bot, now_ns):
                # Somebody else started it meanwhile.
                self._tell(bot, "adopted", pid=bot.pid)
                continue
            run_dir = bot.member.run_dir
            assert run_dir is not None
            if note := run_dir.why_held():
                # Nobody has looked at it: not a restart of ours, nor of the machine, lets it go.
                bot.stage = Stage.HALTED
                bot.reason = f"it was {note}: look at it, then openmm run {bot.member.file}"
                self._tell(bot, "held", reason=bot.reason)
                continue
            self._start(bot, now_ns)
            self._next_start_ns = now_ns + self.file.stagger_ns

    def _ended(self, bot: Supervised) -> int | None:
        """Return how a bot ended; None while it runs."""
        if bot.process is not None:
            return bot.process.poll()
        run_dir = bot.member.run_dir
        assert run_dir is not None
        holder = run_dir.holder_pid()
        if holder is not None:
            # 0: the lock is taken, and its holder has not written its number yet.
            bot.pid = holder or bot.pid
            return None
        try:
            session = run_dir.read_session()
        except CommandError:
            return UNKNOWN
        code = session.get("exit_code")
        return code if isinstance(code, int) and session.get("state") == "ended" else UNKNOWN

    def _last_words(self, bot: Supervised) -> str:
        """Return the last line of a bot's output if it is an error's."""
        run_dir = bot.member.run_dir
        assert run_dir is not None
        try:
            with log_path(run_dir.path).open("rb") as output:
                output.seek(max(0, output.seek(0, os.SEEK_END) - 4096))
                lines = output.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return ""
        last = lines[-1] if lines else ""
        return last.removeprefix("openmm: ")[:300] if last.startswith("openmm: ") else ""

    def _start(self, bot: Supervised, now_ns: int) -> None:
        member, run_dir = bot.member, bot.member.run_dir
        assert run_dir is not None
        assert member.config is not None
        run_dir.make()
        if bot.exit_code is not None:
            bot.restarts += 1
        with (
            handed_over(self._passphrase) as (environment, descriptors),
            log_path(run_dir.path).open("ab") as output,
        ):
            bot.process = subprocess.Popen(
                [*self._command, str(member.file)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                # Ctrl+C at our terminal is for us; and it outlives us.
                start_new_session=True, pass_fds=descriptors,
                env=environment_of_child() | keys_for(member.config) | environment,
            )  # fmt: skip
        bot.pid, bot.started_ns = bot.process.pid, now_ns
        bot.stage, bot.reason = Stage.RUNNING, ""
        self._tell(bot, "started", pid=bot.pid, restarts=bot.restarts)

    def stop(self, now_ns: int) -> None:
        """Ask every bot to stop in order; asked again, they end at once."""
        again = self.stopping
        if not again:
            self.stopping, self._late_ns = True, now_ns + self.file.stop_ns
        for bot in self.bots:
            if bot.stage is Stage.WAITING:
                bot.stage, bot.reason = Stage.FAILED if bot.failures else Stage.DONE, "not started"
            if bot.pid is None or self._ended(bot) is not None:
                continue
            bot.stage = Stage.STOPPING
            with suppress(ProcessLookupError):
                os.kill(bot.pid, signal.SIGTERM)
            self._tell(bot, "stopping at once" if again else "stopping", pid=bot.pid)

    @property
    def over(self) -> bool:
        """Whether nothing runs and nothing is to be started."""
        live = (Stage.WAITING, Stage.RUNNING, Stage.STOPPING)
        return all(bot.stage not in live for bot in self.bots)

    def exit_code(self) -> int:
        """Return what the worst of the bots is worth: failed, then bad file, then halted."""
        stages = {bot.stage for bot in self.bots}
        if stages & {Stage.FAILED, Stage.WAITING, Stage.RUNNING, Stage.STOPPING}:
            return EXIT_FAILED
        if Stage.REFUSED in stages:
            return EXIT_USAGE
        return EXIT_HALTED if Stage.HALTED in stages else EXIT_DONE

    def _trim(self, bot: Supervised) -> None:
        run_dir = bot.member.run_dir
        assert run_dir is not None
        trim_log(log_path(run_dir.path))

    def _tell(self, bot: Supervised, what: str, **more: Any) -> None:
        self._event(bot.member.name, what, {"stage": bot.stage.value, **more})


def keys_for(config: BotConfig) -> dict[str, str]:
    """Return the environment's keys that a bot trades with: its venue's, and its hedge's."""
    hedge = {} if config.hedge is None else keys_of(config.hedge.label)
    return keys_of(config.quoted.label) | hedge


def keys_of(label: str) -> dict[str, str]:
    """Return the environment's keys of one label: a bot gets its own and no other's."""
    names = (*env_names(label), passphrase_name(label))
    return {name: os.environ[name] for name in names if name in os.environ}


@contextmanager
def handed_over(passphrase: str | None) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Hold a pipe with a passphrase in it while a process is started, for it alone to read.

    Gives what to add to the environment, and the descriptors to pass on.
    """
    if passphrase is None:
        yield {}, ()
        return
    ours, theirs = os.pipe()
    try:
        # A pipe takes this much at once: nobody has to read for it.
        os.write(theirs, passphrase.encode())
        os.close(theirs)
        yield {FD_VARIABLE: str(ours)}, (ours,)
    finally:
        os.close(ours)


def log_path(folder: Path) -> Path:
    """Return where a supervised bot's own output goes."""
    return folder / "up.log"


def trim_log(path: Path, bytes_max: int = LOG_BYTES_MAX, kept: int = LOGS_KEPT) -> bool:
    """Rotate a log that its writer holds open; returns whether it did.

    It is copied and emptied in place: the writer appends, and goes on at the new start. What it
    writes between the two is lost, a line at most.
    """
    try:
        if path.stat().st_size < bytes_max:
            return False
    except FileNotFoundError:
        return False
    for number in range(kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.with_name(f"{path.name}.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    return True
