"""`openmm adjust`: a named correction of what a running bot's books say."""

from __future__ import annotations

from typing import Annotated

import typer

from openmm.cli.output import Json, emit
from openmm.cli.pick import Folder, pick, tell

EXAMPLE = 'Example: openmm adjust btc-grid USD -12.5 --why "fee of March, ticket 4711"'
UNANSWERED = frozenset({"timeout", "ended"})


def adjust(
    bot: Annotated[str, typer.Argument(help="The bot's name.")],
    asset: Annotated[str, typer.Argument(help="The asset, as the venue's pairs name it.")],
    amount: Annotated[
        str, typer.Argument(help="What the venue has more (12.5) or less (-12.5) than the books.")
    ],
    why: Annotated[str, typer.Option("--why", help="The reason; it stays in the ledger.")] = "",
    key: Annotated[
        str,
        typer.Option("--key", help="Of an adjustment sent before: it is booked once, if at all."),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    run_dir: Folder = None,
    json_: Json = False,
) -> None:
    """Book a correction in a running bot's ledger, outside its P&L, and compare with the venue.

    It ends the incident if the venue's statement then agrees. Without an answer send it again with
    the --key that was told: it is never booked twice.
    """
    import uuid

    from openmm.control import Adjust
    from openmm.errors import CommandError

    found = pick(bot, run_dir)
    session = str(found.read_session().get("session", ""))
    key = key or uuid.uuid4().hex[:12]
    if not yes:
        typer.confirm(
            f"{bot}: correct the books by {amount} {asset} ({why or 'no reason given'})?",
            abort=True, err=True,
        )  # fmt: skip
    try:
        told = tell(found, Adjust(asset, amount, why, key, session))
    except CommandError as error:
        if error.code not in UNANSWERED:
            raise
        raise CommandError(f"{error}; send it again with --key {key}", code=error.code) from error
    word = "booked" if told["booked"] else "had been booked before"
    emit(
        {"bot": found.bot, **told}, json_,
        lambda: f"{found.bot}: {told['amount']} {asset} {word}; expected now {told['expected']}",
    )  # fmt: skip
