"""`openmm set`: other parameters, or closer limits, for a running bot."""

from __future__ import annotations

from typing import Annotated

import typer

from openmm.cli.agree import Key, Yes, agree, fresh_key, ladders, tell
from openmm.cli.output import Json, emit
from openmm.cli.pick import Bot, Folder, pick

EXAMPLE = "Example: openmm set strategy.spread=0.4% risk.max_order_size=0.02 --bot btc-grid"


def set_(
    changes: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="As the bot's file writes them.")
    ],
    bot: Bot = None,
    run_dir: Folder = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show it, and change nothing.")
    ] = False,
    key: Key = "",
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Change parameters of a running bot's strategy, or its limits, all at once or none.

    Shown first: every value that moves, and the ladder it gives on the market as it is. Checked as
    the file is; no limit is ever looser than the file's. It lasts until the bot ends, and `openmm
    undo` takes it back.
    """
    import orjson

    from openmm.control import Preview, Set, send_command
    from openmm.errors import CommandError

    found = pick(bot, run_dir)
    asked: dict[str, str] = {}
    for one in changes:
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise CommandError(f"a change is KEY=VALUE; got {one!r}", code="bad_change")
        asked[name] = text
    body = orjson.dumps(asked).decode()
    shown = send_command(found, Preview(body))
    if preview:
        emit({"bot": found.bot, **shown}, json_, lambda: f"{found.bot}:\n{ladders(shown)}")
        return
    agree(f"{found.bot}:\n{ladders(shown)}", yes)
    key = fresh_key(key)
    told = tell(found, Set(body, str(shown["version"]), key), key)
    emit(
        {"bot": found.bot, "key": key, **told}, json_,
        lambda: f"{found.bot}: in force\n{ladders({**shown, 'ladder': None, 'warnings': []})}",
    )  # fmt: skip
