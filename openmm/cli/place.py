"""`openmm place`: one order by hand through a running bot."""

from __future__ import annotations

from typing import Annotated

import typer

from openmm.cli.agree import Key, Yes, agree, fresh_key, tell
from openmm.cli.output import Json, emit
from openmm.cli.pick import Bot, Folder, pick

EXAMPLE = "Example: openmm place buy 0.01 59000 --bot btc-grid"


def place(
    side: Annotated[str, typer.Argument(help="buy or sell.")],
    qty: Annotated[str, typer.Argument(help="Quantity, in base.")],
    price: Annotated[str, typer.Argument(help="Limit price, in quote.")],
    bot: Bot = None,
    run_dir: Folder = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes to the journal.")] = "",
    key: Key = "",
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Place one post-only limit order beside a bot's ladder, through every check of its own.

    The bot neither moves nor replaces it; every limit counts it, and whatever withdraws the quotes
    cancels it: pause, halt, stop, flatten, closer limits.
    """
    from openmm.control import Place

    found = pick(bot, run_dir)
    agree(f"{found.bot}: {side} {qty} at {price}, post-only", yes)
    key = fresh_key(key)
    told = tell(found, Place(side, qty, price, reason, key), key)
    order = told["order"]
    emit(
        {"bot": found.bot, "key": key, **told}, json_,
        lambda: f"{found.bot}: {order['side']} {order['qty']} at {order['price']} is on its way: "
        f"{order['client_id']}",
    )  # fmt: skip
