"""`openmm fills`: what a bot bought and sold."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from openmm.cli.output import Json, emit, table
from openmm.cli.pick import Folder, pick

EXAMPLE = "Example: openmm fills btc-grid --hours 24 --limit 20"
HOURS_MAX = 100_000

Hours = Annotated[float, typer.Option("--hours", min=0.001, max=HOURS_MAX, help="How far back.")]
Named = Annotated[str | None, typer.Argument(help="The bot; not needed for the only one.")]


def fills(
    bot: Named = None,
    hours: Hours = 24,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Most rows.")] = 50,
    run_dir: Folder = None,
    json_: Json = False,
) -> None:
    """List a bot's own fills, newest first, with fees, out of its ledger."""
    import time

    from openmm.control.home import Home
    from openmm.control.records import fills as found

    run = pick(bot, run_dir)
    told = found(Home.find(run.root), run.bot, time.time_ns(), limit, f"{hours:f}")
    emit(told, json_, lambda: _text(told))


def _text(told: dict[str, Any]) -> str:
    if not told["fills"]:
        return f"no fills since {told['since']}"
    rows: list[tuple[str, ...]] = [("time", "side", "price", "qty", "notional", "fees", "order")]
    for one in told["fills"]:
        fees = ", ".join(f"{amount} {asset}" for asset, amount in one["fees"].items()) or "-"
        rows.append(
            (
                one["ts"], one["side"], one["price"], one["qty"],
                f"{one['notional']} {one['quote']}", fees, one["client_id"],
            )
        )  # fmt: skip
    more = f"\n{told['more']} more: --limit" if told["more"] else ""
    return table(rows) + more
