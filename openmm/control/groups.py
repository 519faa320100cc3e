"""Bots of this host that share an inventory: what each holds, wishes and may hold, and what would
have to be transferred. Read off the board; nobody is asked, and nothing is moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from openmm._fast.units import UTICKS_PER_TICK
from openmm.board import FILE_NAME, Board, Row
from openmm.config.schema import Inventory
from openmm.config.values import PPM
from openmm.control.home import Home
from openmm.control.plain import plain
from openmm.control.transfers import Holder, Plan, plan
from openmm.engine.capital import ASKS, BIDS
from openmm.errors import BoardError, CommandError
from openmm.risk.group import PAPER_FILE, Share
from openmm.venues.claims import accounts_dir

WITHIN: Final = "20"  # percent of a wish that are let be
NOTE: Final = "OpenMM transfers nothing: a transfer is made by a person, at the venues"
SILENT_NS: Final[int] = Inventory.model_fields["neighbour_age_max_ns"].default


def groups(
    home: Home, now_ns: int, group: str = "", within: str = WITHIN, folder: Path | None = None
) -> dict[str, Any]:
    """Return every group of the host, or the one of that name.

    Args:
        within: percent of its wish that a venue may be off without a transfer.
        folder: of the boards; None: this user's.

    Raises:
        CommandError: no such group (`not_found`). BoardError: a board that cannot be read.
    """
    found = [
        one for one in _found(group, within, folder, now_ns)
        # What a client may not see of it would make all of it wrong.
        if "*" in home.only or all(row["bot"] in home.only for row in one["members"])
    ]  # fmt: skip
    if group and not found:
        raise CommandError(f"no group {group!r} on this host's board", code="not_found")
    told = plain({"groups": found, "note": NOTE})
    assert isinstance(told, dict)
    return told


def _found(group: str, within: str, folder: Path | None, now_ns: int) -> list[dict[str, Any]]:
    """Return every group of that name; of "" all."""
    within_ppm = int(Decimal(within) * PPM / 100)
    found: list[dict[str, Any]] = []
    for mode, name in (("live", FILE_NAME), ("paper", PAPER_FILE)):
        path = (folder or accounts_dir()) / name
        by_name: dict[tuple[str, str], list[Row]] = {}
        for row in _rows(path):
            if row.group and group in ("", row.group):
                by_name.setdefault((row.group, row.pair.partition("/")[0]), []).append(row)
        for (label, base), members in sorted(by_name.items()):
            found.append(
                {"group": label, "mode": mode, **_group(base, members, within_ppm, now_ns)}
            )
    return found


def _rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    board = Board(path)
    try:
        return board.rows()
    finally:
        board.close()


def _group(base: str, rows: Sequence[Row], within_ppm: int, now_ns: int) -> dict[str, Any]:
    """Return one group: sums, members, needs and transfers."""
    known = [_member(row, now_ns) for row in rows]
    holders = [holder for _, holder in known if holder is not None]
    members = [told for told, _ in known]
    wanted = plan(holders, within_ppm)
    where = {row.bot: row.venue for row in rows}
    total = sum((one.base for one in holders), Decimal(0))
    value = sum((one["value"] for one in members if one["value"] is not None), Decimal(0))
    target_ppm = max((one["group_target_ppm"] or 0 for one in members), default=0)
    return {
        "base_asset": base, "base": total, "value": value, "target_ppm": target_ppm,
        "off_target": total - value * target_ppm / PPM,
        "agreed": len({one["group_target_ppm"] for one in members} - {None}) <= 1,
        "members": members,
        **_needs(wanted, where),
    }  # fmt: skip


def _needs(wanted: Plan, where: dict[str, str]) -> dict[str, Any]:
    return {
        "needs": [
            {
                "bot": one.venue, "venue": where[one.venue], "asset": one.asset,
                "held": one.held, "wish": one.wish, "away": one.away,
            }
            for one in wanted.needs
        ],
        "transfers": [
            {
                "asset": one.asset, "amount": one.amount,
                "from": {"bot": one.source, "venue": where[one.source]},
                "to": {"bot": one.target, "venue": where[one.target]},
            }
            for one in wanted.transfers
        ],
        "homeless": [{"asset": asset, "amount": amount} for asset, amount in wanted.homeless],
    }  # fmt: skip


def _member(row: Row, now_ns: int) -> tuple[dict[str, Any], Holder | None]:
    """Return a member as it is shown, and as the transfers are made of; None: it told nothing."""
    told: dict[str, Any] = {
        "bot": row.bot, "venue": row.venue, "pair": row.pair, "state": _state(row, now_ns),
        "age_ms": None, "base": None, "quote": None, "value": None, "most": None, "least": None,
        "target_ppm": None, "group_target_ppm": None, "price": None, "lacks": [],
        "capital_base_max": None, "capital_quote_max": None,
    }  # fmt: skip
    held = row.holdings
    if held is None:
        return told, None
    share = Share.read(held)

    def base(atoms: int) -> Decimal:
        return Decimal(atoms).scaleb(-held.base_decimals)

    quote = Decimal(held.quote_atoms).scaleb(-held.quote_decimals)
    price = share.reference_uticks * row.tick_size / UTICKS_PER_TICK
    base_asset, _, quote_asset = row.pair.partition("/")
    capital_quote = Decimal(held.capital_quote_atoms).scaleb(-held.quote_decimals)
    told |= {
        "age_ms": max(0, now_ns - held.updated_ns) // 1_000_000, "base": base(held.base_atoms),
        "quote": quote, "value": base(share.value), "most": base(share.most),
        "least": base(share.least), "target_ppm": share.target_ppm,
        "group_target_ppm": share.group_target_ppm, "price": price,
        "lacks": [
            asset for bit, asset in ((BIDS, quote_asset), (ASKS, base_asset))
            if share.starved & bit
        ],
        "capital_base_max": base(held.capital_base_atoms) or None,
        "capital_quote_max": capital_quote or None,
    }  # fmt: skip
    if price <= 0:
        return told, None
    return told, Holder(
        row.bot, base_asset, quote_asset, base(held.base_atoms), quote, price, share.target_ppm,
        base(held.capital_base_atoms) or None, capital_quote or None,
        Decimal(1).scaleb(-held.base_decimals), Decimal(1).scaleb(-min(2, held.quote_decimals)),
    )  # fmt: skip


def _state(row: Row, now_ns: int) -> str:
    if not row.alive:
        return "gone"
    if row.holdings is None:
        return "starting"
    return "silent" if now_ns - row.holdings.updated_ns > SILENT_NS else "here"


def group_of(
    session: Mapping[str, Any], now_ns: int, folder: Path | None = None
) -> dict[str, Any] | None:
    """Return the group that a session's bot is in, as everything of it is seen by this user.

    Args:
        session: a bot's session file.

    Returns:
        As one of `groups`, or {"group": its name, "error": why it cannot be seen}; None: in none.
    """
    config = session.get("config")
    told = config.get("inventory") if isinstance(config, dict) else None
    name = told.get("group") if isinstance(told, dict) else None
    if not isinstance(name, str) or not name:
        return None
    mode = session.get("mode") or (config.get("bot") or {}).get("mode") if config else ""
    try:
        rows = _found(name, WITHIN, folder, now_ns)
    except BoardError as error:
        return {"group": name, "error": str(error)}
    for one in rows:
        if one["mode"] == mode or mode is None:
            shown = plain(one)
            assert isinstance(shown, dict)
            return shown
    return {"group": name, "error": "not on the board"}


def group_line(one: Mapping[str, Any]) -> str:
    """Tell of a group, as `group_of` has it, in one line."""
    if "error" in one:
        return f"{one['group']}: {one['error']}"
    lacks = [
        f"{member['venue']} lacks {' and '.join(member['lacks'])}"
        for member in one["members"] if member["lacks"]
    ]  # fmt: skip
    gone = [
        f"{member['bot']} is {member['state']}"
        for member in one["members"] if member["state"] not in ("here", "starting")
    ]  # fmt: skip
    count = len(one["transfers"])
    return ", ".join(
        [
            f"{one['group']} of {len(one['members'])}: {Decimal(one['base']):f} "
            f"{one['base_asset']}, {Decimal(one['off_target']):+f} off target",
            *gone,
            *lacks,
            f"{count} transfers needed (openmm inventory {one['group']})"
            if count
            else "no transfer needed",
        ]
    )
