"""The files and processes around one session: folder, locks, tape, telemetry page, writer."""

from __future__ import annotations

import asyncio
import calendar
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from openmm import __version__, journal
from openmm._fast.tape import Tape
from openmm.address import STORE_VARIABLE, without_password
from openmm.config import BotConfig, default_run_dir
from openmm.config.redact import public
from openmm.engine.process import outlives, unpin
from openmm.engine.rundir import Lock, RunDir, lock_account, lock_bot
from openmm.errors import JournalError
from openmm.signal.memory import SignalMemory
from openmm.telemetry import TelemetryWriter
from openmm.undumped import environment_of_child
from openmm.venues.connector import Keys

log = logging.getLogger(__name__)

WRITER_START_S = 20.0
WRITER_LOOK_S = 0.005  # each takes the starting engine a tenth of a millisecond
WRITER_END_S = 30.0
ON_DISK_NS = 5_000_000_000  # ten times the writer's interval between syncs
_STARTED = "%Y%m%dT%H%M%S"


@final
class SettledMark:
    """Keep one moment on disk: until then, the account's money was proven to the last unit.

    One write of 20 bytes into an open file; what a power cut loses of it only makes the next
    recovery ask for more. The mark must never be ahead of the journal, so a moment is written once
    another was proven that is so much later that what was on the tape then is on disk by now.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._waiting_ns: int | None = None

    def read(self) -> int | None:
        """Return the moment; None when none was proven yet."""
        text = os.pread(self._fd, 32, 0).strip()
        return int(text) if text.isdigit() else None

    def prove(self, ts_ns: int) -> None:
        """Note a moment; the one before it is written, if that long ago."""
        if self._waiting_ns is None:
            self._waiting_ns = ts_ns
        elif ts_ns - self._waiting_ns >= ON_DISK_NS:
            self._write(self._waiting_ns)
            self._waiting_ns = ts_ns

    def _write(self, ts_ns: int) -> None:
        os.pwrite(self._fd, f"{ts_ns:019d}\n".encode(), 0)

    def close(self, *, whole: bool = False) -> None:
        """Let the file go; with the journal on disk as a whole, the last moment is written too."""
        if self._fd >= 0:
            if whole and self._waiting_ns is not None:
                self._write(self._waiting_ns)
            os.close(self._fd)
            self._fd = -1


def _session_id(bot: str, session_s: int) -> str:
    return f"{bot}-{time.strftime(_STARTED, time.gmtime(session_s))}"


@final
class SessionFiles:
    """Own what a session leaves on disk; made before anything is connected, closed last."""

    def __init__(self, config: BotConfig, started_ns: int) -> None:
        self.config = config
        self.started_ns = started_ns
        root = config.bot.run_dir or default_run_dir()
        self.run_dir = RunDir(root, config.bot.name).make()
        self._locks: list[Lock] = [lock_bot(self.run_dir)]
        # Whoever starts it has looked at what held it.
        self.run_dir.held.unlink(missing_ok=True)
        # Of engines that died together with their writer: this session's writes them out.
        self._left = self.run_dir.tapes()
        # Client ids carry the start in seconds, and tell earlier sessions by it. A bot that is back
        # within the same second after a kill, or after its clock was set back, goes on from the
        # newest: two sessions never share ids, and the later one has the greater.
        self.session_s = max(started_ns // 1_000_000_000, self._newest_s() + 1)
        self.session_id = _session_id(config.bot.name, self.session_s)
        quoted = config.quoted
        self._settled = SettledMark(self.run_dir.settled(config.bot.mode, quoted.name, quoted.pair))
        self.signals = SignalMemory(self.run_dir.signals)
        self.tape: Tape | None = None
        self.telemetry: TelemetryWriter | None = None
        self._writer: subprocess.Popen[bytes] | None = None

    def _newest_s(self) -> int:
        """Return the newest session this bot has a journal or a tape of, in seconds; 0: none."""
        newest_s = 0
        named = [(folder, folder.name) for folder in self.run_dir.journal.iterdir()]
        for path, name in [*named, *((tape, tape.stem) for tape in self._left)]:
            bot, _, started = name.rpartition("-")
            if bot != self.config.bot.name:
                continue
            try:
                newest_s = max(newest_s, calendar.timegm(time.strptime(started, _STARTED)))
            except ValueError:
                log.warning("not a session's journal or tape: %s", path)
        return newest_s

    @property
    def settled_ns(self) -> int | None:
        """Until when every fill is booked, by the sessions before; None: there was none."""
        return self._settled.read()

    @property
    def left(self) -> Path:
        """Where the books stand at the end, for the next session of this market."""
        venue = self.config.quoted
        return self.run_dir.left(self.config.bot.mode, venue.name, venue.pair)

    def settle(self, ts_ns: int) -> None:
        """Note that the money of the account was proven as of a moment."""
        self._settled.prove(ts_ns)

    def lock_account(self, keys: Keys) -> None:
        """Keep other bots of this host off the account.

        Raises:
            CommandError: one trades it already.
        """
        venue = self.config.quoted
        self._locks.append(lock_account(venue.name, venue.endpoints.rest or "", keys.key))

    @property
    def store_url(self) -> str:
        """Where the writer keeps the ledger."""
        return self.config.settlement.store or f"sqlite:///{self.run_dir.store}"

    def open_tape(self) -> Tape:
        """Make the session's ring and telemetry page."""
        for path in self._left:
            log.warning("an earlier session left its tape; it is written out: %s", path)
        self.tape = Tape(
            self.run_dir.tape(self.session_id),
            size_bytes=self.config.engine.tape_size_bytes,
            session_id=self.session_id,
        )
        self.telemetry = TelemetryWriter(self.run_dir.page)
        return self.tape

    def session_record(self, client_id_prefix: str, seeds: Mapping[str, Any]) -> bytes:
        """Encode REC_SESSION.

        Args:
            seeds: what the session starts from beside its configuration.
        """
        config, venue = self.config, self.config.quoted
        return journal.session_record(
            journal.SessionRecord(
                session_id=self.session_id,
                bot=config.bot.name,
                mode=config.bot.mode,
                venue=venue.label,
                instrument=venue.pair,
                build=__version__,
                started_ns=self.started_ns,
                config=public(config),
                seeds=dict(seeds),
                client_id_prefix=client_id_prefix,
            )
        )

    def note(self, **fields: Any) -> None:
        """Write what readers find in session.json."""
        self.run_dir.write_session(
            {
                "session": self.session_id,
                "bot": self.config.bot.name,
                "mode": self.config.bot.mode,
                "started_ns": self.started_ns,
                "store": without_password(self.store_url),
                "journal": str(self.run_dir.journal),
                **fields,
            }
        )

    def hold(self, why: str) -> None:
        """Note that the bot is held, for those who might start it again; "": it is let go.

        A disk that does not take it changes nothing of what holds the bot itself.
        """
        try:
            if why:
                self.run_dir.held.write_text(why + "\n")
            else:
                self.run_dir.held.unlink(missing_ok=True)
        except OSError as error:
            log.error("why the bot is held was not kept (%s): %s", error.strerror, why)

    def start_writer(self) -> None:
        """Start the process that follows the tape; `wait_writer` tells when it does."""
        self._writer = self._spawn_writer()

    def writer_follows(self) -> bool:
        """Whether the writer follows the tape by now.

        Raises:
            JournalError: it ended.
        """
        assert self.tape is not None, "the tape comes first"
        writer = self._writer
        assert writer is not None, "start it first"
        if self.tape.follower_pid == writer.pid:
            return True
        if writer.poll() is not None:
            raise JournalError(
                f"the writer process ended with {writer.returncode}; see {self._writer_log}"
            )
        return False

    async def wait_writer(self) -> None:
        """Wait until the writer follows the tape: on the loop, as one that spins starves threads.

        Raises:
            JournalError: it ended, or did not attach in time.
        """
        deadline = time.monotonic() + WRITER_START_S
        while not self.writer_follows():
            if time.monotonic() > deadline:
                raise JournalError(
                    f"the writer process did not attach within {WRITER_START_S:g} s; "
                    f"see {self._writer_log}"
                )
            await asyncio.sleep(WRITER_LOOK_S)

    @property
    def _writer_log(self) -> Path:
        return self.run_dir.path / "writer.log"

    def _kept(self) -> list[str]:
        """Return what the writer is told of older journals."""
        rules = self.config.journal
        told = {
            "bytes": rules.max_size_bytes, "days": rules.keep_days, "sessions": rules.keep_sessions,
        }  # fmt: skip
        return [f"--keep-{name}={value}" for name, value in told.items() if value is not None]

    def _spawn_writer(self) -> subprocess.Popen[bytes]:
        with self._writer_log.open("ab") as output:
            writer = subprocess.Popen(
                [
                    sys.executable, "-m", "openmm.writer",
                    "--tape", str(self.run_dir.tape(self.session_id)),
                    *(f"--left={path}" for path in self._left),
                    "--journal", str(self.run_dir.journal),
                    *self._kept(),
                ],
                # Not among the arguments, which every user of the machine may read.
                env={**environment_of_child(), STORE_VARIABLE: self.store_url},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                # Ctrl+C at a terminal reaches the whole group; the writer outlives the engine.
                start_new_session=True,
            )  # fmt: skip
        # It inherits our core, which is ours alone.
        unpin(writer.pid)
        return writer

    def writer_lost(self) -> bool:
        """Whether the writer process has ended though the session goes on."""
        return self._writer is not None and self._writer.poll() is not None

    async def restart_writer(self) -> None:
        """Start another writer where the dead one left off."""
        log.error("the writer process ended with %s; starting another",
                  self._writer.returncode if self._writer else None)  # fmt: skip
        self.start_writer()
        await self.wait_writer()

    def close(self, end: Mapping[str, Any]) -> bool:
        """Close tape and page, wait for the writer to drain; returns whether it did."""
        drained = True
        if self.telemetry is not None:
            self.telemetry.close()
        if self.tape is not None:
            self.tape.close()
        if self._writer is not None:
            try:
                drained = self._writer.wait(WRITER_END_S) == 0
            except subprocess.TimeoutExpired:
                drained = False
                outlives(self._writer)
        self.note(**end)
        self._settled.close(whole=drained and self._writer is not None)
        self.signals.close()
        for lock in self._locks:
            lock.close()
        self._locks.clear()
        return drained
