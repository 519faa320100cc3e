"""Who may do what: clients, their scopes and caps."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct


class Scope(StrEnum):
    """A right of a client. None includes another, but that every client may read what it sees."""

    READ = "read"
    BRAKE = "brake"  # pause, halt, cancel, stop: what lowers risk
    RESUME = "resume"  # leave a pause or a halt
    SET = "set"  # parameters and limits, and taking the last change back
    TRADE = "trade"  # orders by hand, flatten
    START = "start"  # create and start bots


class Caps(Struct, frozen=True):
    """What a client may use up; money in the quote asset of the bot it commands.

    None for a sum of money: none at all. Enforced by the engine's risk layer for orders and
    notional, by the door for requests.
    """

    requests_per_minute: int = 120
    orders_per_minute: int = 0
    order_notional: Decimal | None = None
    notional_per_hour: Decimal | None = None


class Client(Struct, frozen=True):
    """One who calls. `bots`: names, or "*" for all. `local`: the bot's own user at a terminal."""

    name: str
    scopes: frozenset[Scope] = frozenset({Scope.READ})
    bots: tuple[str, ...] = ("*",)
    caps: Caps = Caps()
    local: bool = False

    def may(self, scope: Scope) -> bool:
        """Tell whether a scope is granted."""
        return scope in self.scopes

    def sees(self, bot: str) -> bool:
        """Tell whether a bot is one of this client's."""
        return "*" in self.bots or bot in self.bots


# The bot's own user, who could as well write to the command socket: all rights, the file's limits.
LOCAL = Client("local", frozenset(Scope), local=True)
