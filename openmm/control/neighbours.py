"""Who else of this host quotes where a bot does: read from the board, which is not made for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from openmm.board import FILE_NAME, Board, Row
from openmm.config import BotConfig
from openmm.engine.neighbours import market_of
from openmm.errors import BoardError
from openmm.venues.claims import accounts_dir, own_folder


def board_rows() -> list[Row]:
    """Return the rows of this user's board; none where there is no board.

    Raises:
        BoardError: it cannot be read. CommandError: its folder is not safely ours.
    """
    path = accounts_dir() / FILE_NAME
    if not path.exists():
        return []
    board = Board(path)
    try:
        return board.rows()
    finally:
        board.close()


def forget(bot: str) -> list[Row]:
    """Take off the rows that a bot left behind; return them.

    Raises:
        BoardError: the bot runs, is not there, or the board cannot be used.
    """
    board = Board(own_folder(accounts_dir()) / FILE_NAME)
    try:
        return board.forget(bot)
    finally:
        board.close()


def row_view(row: Row) -> dict[str, Any]:
    """Describe a row in plain values, decimals exact."""
    return {
        "bot": row.bot, "venue": row.venue, "pair": row.pair, "purpose": row.purpose,
        "pid": row.owner.pid if row.alive else None, "alive": row.alive, "bid": row.bid,
        "ask": row.ask, "group": row.group,
    }  # fmt: skip


def beside(bot: str) -> tuple[list[dict[str, Any]], str | None]:
    """Return who else is on the markets a bot is on, and why that is not known, if it is not."""
    try:
        rows = board_rows()
    except BoardError as error:
        return [], str(error)
    mine = {row.market for row in rows if row.bot == bot}
    return [row_view(row) for row in rows if row.market in mine and row.bot != bot], None


def on_market(config: BotConfig) -> tuple[list[dict[str, Any]], str | None]:
    """Return which other bots are where a configuration would quote, and why that is not known."""
    try:
        rows = board_rows()
    except BoardError as error:
        return [], str(error)
    key = market_of(config.quoted).key
    return [row_view(row) for row in rows if row.market == key and row.bot != config.bot.name], None


def shared(configs: Iterable[BotConfig]) -> list[dict[str, Any]]:
    """Return the markets on which several live bots would quote, with their names."""
    found: dict[int, dict[str, Any]] = {}
    for config in configs:
        if config.bot.mode != "live":
            continue
        market = market_of(config.quoted)
        one = found.setdefault(
            market.key, {"venue": market.venue, "pair": market.pair, "bots": [], "off": []}
        )
        one["bots"].append(config.bot.name)
        if config.risk.neighbours == "off":
            one["off"].append(config.bot.name)
    return [one for one in found.values() if len(one["bots"]) > 1]


def shared_text(one: dict[str, Any]) -> str:
    """Tell what bots on one market do about each other."""
    names = ", ".join(one["bots"])
    if one["off"]:
        off = ", ".join(one["off"])
        return f"{one['pair']} on {one['venue']}: {names} may trade with each other: off for {off}"
    return f"{one['pair']} on {one['venue']}: {names} keep clear of each other's prices"
