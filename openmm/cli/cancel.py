"""`openmm cancel`: one live order of a running bot, or all."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from openmm.cli.agree import Key, Yes, agree, fresh_key, tell
from openmm.cli.output import Json, emit
from openmm.cli.pick import Bot, Folder, pick

EXAMPLE = "Example: openmm cancel all --bot btc-grid"


def cancel(
    order: Annotated[str, typer.Argument(help="Client id, venue id or number; or all.")],
    bot: Bot = None,
    run_dir: Folder = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes to the journal.")] = "",
    key: Key = "",
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Cancel one live order of a bot, or all; it quotes on, and a level may come back.

    To keep it from quoting: openmm pause, openmm halt.
    """
    from openmm.control import Cancel, Orders, send_command

    found = pick(bot, run_dir)
    if not yes:
        live = send_command(found, Orders())["orders"]
        meant = [one for one in live if order in ("all", *_ids(one))]
        agree("\n".join([f"{found.bot}: cancel", *map(_line, meant)]), yes)
    key = fresh_key(key)
    told = tell(found, Cancel(order, reason, key), key)
    emit(
        {"bot": found.bot, "key": key, **told}, json_,
        lambda: f"{found.bot}: {told['cancelled']} cancels sent; {told['note']}",
    )  # fmt: skip


def _ids(one: dict[str, Any]) -> tuple[str, ...]:
    return one["client_id"], one["venue_id"], str(one["seq"])


def _line(one: dict[str, Any]) -> str:
    return f"  {one['side']} {one['qty']} at {one['price']}  {one['client_id']}  {one['by']}"
