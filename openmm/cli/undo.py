"""`openmm undo`: take the last change of a running bot's parameters or limits back."""

from __future__ import annotations

from openmm.cli.agree import Key, Yes, agree, fresh_key, ladders, tell
from openmm.cli.output import Json, emit
from openmm.cli.pick import Bot, Folder, pick

EXAMPLE = "Example: openmm undo --bot btc-grid"


def undo(
    bot: Bot = None,
    run_dir: Folder = None,
    key: Key = "",
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Take the last change back: of `openmm set`, or of `openmm tighten`. One step, once.

    A limit it loosens again is at most the file's.
    """
    from openmm.control import Preview, Undo, send_command

    found = pick(bot, run_dir)
    shown = send_command(found, Preview(undo="yes"))
    agree(f"{found.bot}:\n{ladders(shown)}", yes)
    key = fresh_key(key)
    told = tell(found, Undo(str(shown["version"]), key), key)
    emit(
        {"bot": found.bot, "key": key, **told}, json_,
        lambda: f"{found.bot}: in force\n{ladders({**shown, 'ladder': None, 'warnings': []})}",
    )  # fmt: skip
