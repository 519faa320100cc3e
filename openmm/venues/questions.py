"""The engine's questions to a venue, asked over its REST side: what no venue does differently."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Generic, TypeVar

from openmm.errors import VenueRejected
from openmm.events import OrderFilled, OrderUpdated
from openmm.instrument import Instrument
from openmm.venues.base import Venue
from openmm.venues.connector import Fees

V = TypeVar("V", bound=Venue)


class Questions(Generic[V]):
    """Ask what `venues.connector.Rest` is asked, but for what venues differ in: orders."""

    def __init__(self, venue: V) -> None:
        self.venue = venue
        self.known: dict[str, Instrument] = {}

    async def server_time_ns(self) -> int:
        """Return the venue's clock."""
        return (await self.venue.get_server_time()).ts_ns

    async def instruments(self, names: Sequence[str]) -> dict[str, Instrument]:
        """Return the named instruments; those the venue does not list are absent."""
        listed = await self.venue.get_instruments()
        found = {name: listed[name] for name in names if name in listed}
        self.known.update(found)
        return found

    def remember(self, instrument: Instrument) -> None:
        """Take an instrument as the venue listed it before."""
        self.known[instrument.name] = instrument

    async def mid(self, instrument: Instrument) -> Decimal:
        """Return the middle of the best bid and ask now."""
        book = await self.venue.get_order_book(instrument.name, 1)
        if not book.bids or not book.asks:
            raise VenueRejected(
                f"{instrument.name} has no two-sided market",
                venue=self.venue.name,
                instrument=instrument.name,
                code="no_market",
                retryable=True,
            )
        return (book.bids[0][0] + book.asks[0][0]) / 2

    async def token(self) -> str:
        """Return nothing: messages are signed, or follow a login."""
        return ""

    async def fees(self, instrument: Instrument) -> Fees:
        """Return the account's own rates."""
        return await self.venue.get_fees(instrument.name)

    async def balances(self) -> dict[str, Decimal]:
        """Return the total held of every asset."""
        found = await self.venue.get_balance()
        return {asset: balance.total for asset, balance in found.items()}

    async def open_orders(self) -> list[OrderUpdated]:
        """Return every open order of the account."""
        return await self.venue.get_open_orders()

    async def fills_since(self, ts_ns: int) -> list[OrderFilled]:
        """Return the account's fills from a moment on, oldest first."""
        return await self.venue.get_fills(ts_ns)

    async def dead_man(self, timeout_s: int) -> None:
        """Arm (0: disarm) the dead-man's switch of the account."""
        await self.venue.dead_man_switch(timeout_s)

    async def close(self) -> None:
        """Release the connections."""
        await self.venue.close()
