"""Where the control plane finds the bots and keeps what is its own."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from openmm.config import default_run_dir
from openmm.engine.rundir import RunDir, bots

STATE_FOLDER = ".control"


class Home(Struct, frozen=True):
    """The places of one host's control plane.

    Args:
        root: the folder of all bots, as `bot.run_dir` has it.
        state: what the door keeps: audit, previews, alerts. Its owner's only.
        clients: the file of clients and their scopes.
        only: names of the bots that are seen from here; "*": all.
    """

    root: Path
    state: Path
    clients: Path
    only: tuple[str, ...] = ("*",)

    @classmethod
    def find(cls, root: Path | None = None) -> Home:
        """Return the places of this user.

        Args:
            root: of the bots; None: OPENMM_RUN_DIR or the user's state folder.
        """
        folder = (root or default_run_dir()).expanduser().absolute()
        told = os.environ.get("OPENMM_CLIENTS")
        settings = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        clients = Path(told) if told else Path(settings) / "openmm" / "clients.toml"
        return cls(folder, folder / STATE_FOLDER, clients.expanduser().absolute())

    @property
    def audit(self) -> Path:
        """The newest file of the audit; older ones have a number behind it."""
        return self.state / "audit.jsonl"

    @property
    def once(self) -> Path:
        """What may be used once: preview tokens and idempotency keys."""
        return self.state / "once.sqlite"

    def bots(self) -> list[RunDir]:
        """List the bots that are there to be seen, by name."""
        return [one for one in bots(self.root) if "*" in self.only or one.bot in self.only]

    def of(self, names: tuple[str, ...]) -> Home:
        """Return the same places with none but these bots in sight; "*": all."""
        return replace(self, only=names)

    def make(self) -> Path:
        """Make the state folder, open to its owner only; return it.

        Raises:
            OSError: it cannot be made, or others could change what is in it.
        """
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = self.state.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
            raise OSError(f"not a folder that only this user can change: {self.state}")
        return self.state
