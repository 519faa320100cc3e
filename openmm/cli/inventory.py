"""`openmm inventory`: bots that share an inventory, and what would have to be transferred."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from openmm.cli.output import Json, emit, table
from openmm.cli.pick import Folder, root_of

EXAMPLE = "Example: openmm inventory btc --json"


def inventory(
    group: Annotated[str, typer.Argument(help="Name of the group; without it every group.")] = "",
    within: Annotated[
        str, typer.Option("--within", help="Percent of a wish that need no transfer.")
    ] = "20",
    run_dir: Folder = None,
    json_: Json = False,
) -> None:
    """Show what the members of a group hold and wish, and the transfers that would be needed.

    Nothing is moved: a transfer is made by a person, at the venues.
    """
    import time
    from decimal import Decimal, InvalidOperation

    from openmm.control.groups import groups
    from openmm.control.home import Home
    from openmm.errors import ConfigError

    try:
        percent = Decimal(within)
    except InvalidOperation:
        percent = Decimal(-1)
    if not 0 <= percent <= 100:
        raise ConfigError("--within", within, "percent, from 0 to 100")
    told = groups(Home.find(root_of(run_dir)), time.time_ns(), group, within)
    emit(told, json_, lambda: _text(told))


def _text(told: dict[str, Any]) -> str:
    if not told["groups"]:
        return "no bots share an inventory on this host"
    return "\n\n".join([*(_group(one) for one in told["groups"]), told["note"]])


def _group(one: dict[str, Any]) -> str:
    asset = one["base_asset"]
    lines = [
        f"{one['group']} ({one['mode']}): {one['base']} {asset} held, "
        f"{float(one['off_target']):+.8f} off a target of {one['target_ppm'] / 10_000:g}%"
        + ("" if one["agreed"] else "; the members' files give different targets")
    ]
    rows: list[tuple[str, ...]] = [
        ("bot", "venue", "state", "base", "quote", "may hold", "wish", "lacks")
    ]
    wishes = {(need["bot"], need["asset"]): need["wish"] for need in one["needs"]}
    for member in one["members"]:
        if member["base"] is None:
            rows.append((member["bot"], member["venue"], member["state"], *["-"] * 5))
            continue
        quote = member["pair"].partition("/")[2]
        rows.append(
            (
                member["bot"], member["venue"], member["state"], f"{member['base']} {asset}",
                f"{member['quote']} {quote}", f"{member['least']} to {member['most']}",
                f"{_short(wishes.get((member['bot'], asset)))} {asset}, "
                f"{_short(wishes.get((member['bot'], quote)))} {quote}",
                ", ".join(member["lacks"]) or "-",
            )
        )  # fmt: skip
    lines.append(table(rows))
    lines += [
        f"transfer {move['amount']} {move['asset']} from {move['from']['venue']} "
        f"({move['from']['bot']}) to {move['to']['venue']} ({move['to']['bot']})"
        for move in one["transfers"]
    ] or ["no transfer is needed"]
    lines += [f"{left['amount']} {left['asset']} pass every bound" for left in one["homeless"]]
    return "\n".join(lines)


def _short(amount: str | None) -> str:
    return "-" if amount is None else f"{float(amount):.8g}"
