"""Where a bot sees the other bots of its host, and is seen: its row of the board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openmm.board import FILE_NAME, Board, Guard, Market, Seat
from openmm.config import BotConfig, Venue
from openmm.config.secrets import Keys
from openmm.engine.host import Host
from openmm.instrument import Instrument
from openmm.venues.claims import account_name, accounts_dir, own_folder

if TYPE_CHECKING:
    from openmm.venues.desk import Desk


def market_of(venue: Venue) -> Market:
    """Name the market that a venue of a configuration is."""
    return Market(venue.name, venue.pair, venue.endpoints.rest or "")


def open_board() -> Board:
    """Open the board of this user, beside the account locks; it is made if there is none.

    Raises:
        BoardError: it cannot be used. CommandError: its folder is not safely ours.
    """
    return Board(own_folder(accounts_dir()) / FILE_NAME)


def hedge_guard(desk: Desk, pair: Instrument, bot: str, board: Board | None = None) -> Guard:
    """Take a row for the hedges of a bot, for `Hedging(guard=...)`.

    Args:
        desk, pair: where they are traded.
        board: None: this user's.

    Raises:
        BoardError: the board, or this row of it, cannot be had.
    """
    market = Market(desk.name, pair.name, desk.config.endpoints.rest or "")
    seat = (board or open_board()).claim(
        market, bot=bot, account=desk.account, tick_size=pair.tick_size, purpose="hedge"
    )
    return Guard(seat)


def take_seat(
    config: BotConfig, host: Host, instrument: Instrument, keys: Keys | None
) -> Seat | None:
    """Claim the row of a live bot; None where it neither looks nor is looked at.

    Raises:
        BoardError: the board, or this row of it, cannot be had: nothing may be traded.
    """
    venue = config.quoted
    if config.risk.neighbours == "off" or keys is None:
        return None
    if host.board is None and host.round_trip is not None:
        return None
    board = open_board() if host.board is None else Board(host.board)
    return board.claim(
        market_of(venue), bot=config.bot.name, tick_size=instrument.tick_size,
        account=account_name(venue.name, venue.endpoints.rest or "", keys.key),
        group=config.inventory.group or "",
    )  # fmt: skip
