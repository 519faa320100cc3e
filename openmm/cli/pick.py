"""Find the bot a command is meant for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from openmm.engine.commands import Command
    from openmm.engine.rundir import RunDir

Bot: TypeAlias = Annotated[
    str | None, typer.Option("--bot", help="The bot's name; not needed when only one is there.")
]
Folder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--run-dir", help="Where bots keep their files.", envvar="OPENMM_RUN_DIR"),
]


def root_of(folder: Path | None) -> Path:
    """Return the folder of all bots."""
    if folder is not None:
        return folder.expanduser().absolute()
    from openmm.config.load import default_run_dir

    return default_run_dir()


def pick(bot: str | None, folder: Path | None) -> RunDir:
    """Return the one bot that is meant: by name, the only one running, or the only one there.

    Raises:
        CommandError: none or several fit; the text lists them.
    """
    from openmm.engine.rundir import RunDir, bots
    from openmm.errors import CommandError

    root = root_of(folder)
    if bot is None and (root / "session.json").exists():
        return RunDir(root.parent, root.name)
    known = bots(root)
    if bot is not None:
        for run_dir in known:
            if run_dir.bot == bot:
                return run_dir
        names = ", ".join(run_dir.bot for run_dir in known) or "none"
        raise CommandError(f"no bot {bot} under {root}; there are: {names}", code="no_bot")
    running = [run_dir for run_dir in known if run_dir.holder_pid() is not None]
    for fitting in (running, known):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            names = ", ".join(run_dir.bot for run_dir in fitting)
            raise CommandError(f"several bots: say which with --bot: {names}", code="which_bot")
    raise CommandError(f"no bot ever ran under {root}", code="no_bot")


def tell(run_dir: RunDir, command: Command) -> dict[str, Any]:
    """Send a command as the operator at a terminal; it stands in the audit as such.

    Raises:
        CommandError: the bot does not run or refused.
        ControlError: it cannot be recorded, and lowers no risk.
    """
    from openmm.control.home import Home
    from openmm.control.terminal import operate

    return operate(Home.find(run_dir.root), run_dir, command, surface="cli")


def pick_journal(journal: str | None, bot: str | None, run_dir: Path | None) -> Path:
    """Find the journal that is meant: a folder of segments, a session's id, or the last session's.

    Raises:
        CommandError: there is none; the text lists the sessions.
    """
    from openmm.errors import CommandError
    from openmm.journal import session_folder

    if journal is not None and Path(journal).exists():
        return Path(journal)
    picked = pick(bot, run_dir)
    name = journal or str(picked.read_session().get("session", ""))
    folder = session_folder(picked.journal, name)
    if not folder.is_dir():
        known = ", ".join(sorted(one.name for one in picked.journal.glob("*"))) or "none"
        raise CommandError(f"no journal of session {name}; there are: {known}", code="journal")
    return folder
