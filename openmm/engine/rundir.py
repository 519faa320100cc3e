"""Where a running bot keeps its files, and the locks that keep a second one out.

    <run_dir>/<bot>/
        lock            held (flock) while the engine runs; holds its process id
        session.json    who runs: session, pid, mode, configuration and its hash, how it ended
        command.sock    commands in, one JSON object a line
        clients-used    orders by hand of the last hour, by client, for their caps
        file            the path of the bot's file, for whoever starts it again
        telemetry.page  the state, for readers
        <session>.tape  what happens, as it happens; gone once journal and store have it all
        journal/        the tape's segments, compressed and chained
        signals         state of the estimators, of a second ago
        held            why it is halted or paused by a person: nobody else starts it again
        clients-used    what clients used of their caps within the last hour
        left-…          what the books said at the end, by mode, venue and pair
        settled-…       until when every fill is known to be booked, by mode, venue and pair
        store.sqlite    the ledger
        log             JSON lines, rotated

An account lock stands outside, one a host, venue and key: two bots with different folders still
meet there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import orjson
from msgspec import Struct

from openmm.errors import CommandError, ConfigError
from openmm.venues.claims import Lock as Lock
from openmm.venues.claims import accounts_dir as accounts_dir
from openmm.venues.claims import holder_pid
from openmm.venues.claims import lock_account as lock_account

TAPE_SUFFIX = ".tape"


class RunDir(Struct, frozen=True):
    """The folder of one bot."""

    root: Path
    bot: str

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.root / self.bot

    @property
    def lock(self) -> Path:
        """Held while the engine runs."""
        return self.path / "lock"

    @property
    def session(self) -> Path:
        """Who runs, or ran last."""
        return self.path / "session.json"

    @property
    def socket(self) -> Path:
        """Where commands go in."""
        return self.path / "command.sock"

    @property
    def held(self) -> Path:
        """Why the bot is halted, or paused by a person; gone once it is let go or started again."""
        return self.path / "held"

    def why_held(self) -> str:
        """Return what holds the bot, "" when nothing does; a note that cannot be read holds it."""
        try:
            return self.held.read_text("utf-8", "replace").strip()[:200] or "held"
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"held ({error.strerror}: {self.held})"

    @property
    def uses(self) -> Path:
        """What clients have used of their caps within the last hour."""
        return self.path / "clients-used"

    @property
    def page(self) -> Path:
        """The telemetry page."""
        return self.path / "telemetry.page"

    @property
    def file(self) -> Path:
        """Which file it was started with last, by its path."""
        return self.path / "file"

    def tape(self, session_id: str) -> Path:
        """The ring the hot path of a session writes to."""
        return self.path / f"{session_id}{TAPE_SUFFIX}"

    def tapes(self) -> list[Path]:
        """List the rings that are there, oldest session first."""
        return sorted(self.path.glob(f"*{TAPE_SUFFIX}"))

    @property
    def signals(self) -> Path:
        """What the estimators knew a second ago: a bot that is back at once goes on from there."""
        return self.path / "signals"

    @property
    def journal(self) -> Path:
        """The folder of journal segments."""
        return self.path / "journal"

    @property
    def store(self) -> Path:
        """The ledger, unless `settlement.store` says otherwise."""
        return self.path / "store.sqlite"

    def settled(self, mode: str, venue: str, pair: str) -> Path:
        """Until when the account's money was last proven: a recovery asks for fills from there.

        What is proven of one market says nothing of another that the bot traded before.
        """
        return self.path / f"settled-{mode}-{venue}-{pair.replace('/', '-')}"

    def left(self, mode: str, venue: str, pair: str) -> Path:
        """What the books of that market said when a session of it ended."""
        return self.path / f"left-{mode}-{venue}-{pair.replace('/', '-')}"

    @property
    def log(self) -> Path:
        """The log file."""
        return self.path / "log"

    def make(self) -> Self:
        """Make the folder, readable by its owner only.

        Raises:
            ConfigError: it cannot be made or written to.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.journal.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                "bot.run_dir", str(self.path), f"a folder ({error.strerror})"
            ) from None
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise ConfigError("bot.run_dir", str(self.path), "a folder that can be written to")
        return self

    def write_session(self, session: Mapping[str, Any]) -> None:
        """Replace session.json as a whole."""
        fresh = self.session.with_name(".session.json")
        fresh.write_bytes(orjson.dumps(dict(session), option=orjson.OPT_INDENT_2) + b"\n")
        fresh.replace(self.session)

    def read_session(self) -> dict[str, Any]:
        """Return session.json, empty when there is none.

        Raises:
            CommandError: it is damaged.
        """
        try:
            body = orjson.loads(self.session.read_bytes())
        except FileNotFoundError:
            return {}
        except orjson.JSONDecodeError as error:
            raise CommandError(f"damaged ({error}): {self.session}") from None
        if not isinstance(body, dict):
            raise CommandError(f"damaged: {self.session}")
        return body

    def holder_pid(self) -> int | None:
        """Return the process that holds the bot's lock; None when no engine runs."""
        return holder_pid(self.lock)


def bots(root: Path) -> list[RunDir]:
    """List the bots that ever ran under a folder, by name."""
    if not root.is_dir():
        return []
    found = [RunDir(root, item.name) for item in sorted(root.iterdir()) if item.is_dir()]
    return [run_dir for run_dir in found if run_dir.lock.exists()]


def lock_bot(run_dir: RunDir) -> Lock:
    """Keep a second engine of the same bot out.

    Raises:
        CommandError: one runs already.
    """
    return Lock(run_dir.lock, f"the bot {run_dir.bot}")
