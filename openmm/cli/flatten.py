"""`openmm flatten`: bring a running bot's position to its target, then pause."""

from __future__ import annotations

from typing import Annotated

import typer

from openmm.cli.agree import Key, Yes, agree, fresh_key, tell
from openmm.cli.output import Json, emit
from openmm.cli.pick import Bot, Folder, pick

EXAMPLE = 'Example: openmm flatten --bot btc-grid --reason "end of the week"'


def flatten(
    bot: Bot = None,
    run_dir: Folder = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes to the journal.")] = "",
    key: Key = "",
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Cancel all of a bot's orders, then work its position off with post-only orders at the touch.

    When the position is at its target the bot pauses; `openmm resume`, `pause` and `halt` end it
    before. `openmm status` shows what is left.
    """
    from openmm.control import Flatten, Status, send_command

    found = pick(bot, run_dir)
    if not yes:
        now = send_command(found, Status())
        agree(
            f"{found.bot}: {now['risk_state']}, cancel {now['live_orders']} orders, bring the "
            "position to its target, then pause",
            yes,
        )
    key = fresh_key(key)
    told = tell(found, Flatten(reason, key), key)
    left = told["flattening"] or {"left": "0", "asset": ""}
    emit(
        {"bot": found.bot, "key": key, **told}, json_,
        lambda: f"{found.bot}: {told['risk_state']}, "
        f"{left['left'] or 'an unknown part'} {left['asset']} off target",
    )  # fmt: skip
