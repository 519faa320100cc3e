"""What slow-path messages of all venues share: where subscriptions stand, secrets blanked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

from openmm.errors import ProtocolError
from openmm.events import Event, Unrecognised

ORDERS_KEPT: Final = 4096
TEXT_KEPT: Final = 2000

Requested = Callable[[int], tuple[str, Sequence[str]]]


class Order(Protocol):
    """What a venue's reader keeps of an order."""

    terminal: bool


S = TypeVar("S")
K = TypeVar("K", bound=Order)


class State(Enum):
    """Where a subscription stands."""

    ASKED = "asked"
    ACTIVE = "active"
    REFUSED = "refused"


class Standing(Generic[S]):
    """Know where one connection's subscriptions stand; a venue's fill in how it asks and learns."""

    def __init__(self) -> None:
        self._states: dict[S, State] = {}
        self._asked: dict[int, S] = {}  # by request id, where answers name it

    def reset(self) -> None:
        """Forget everything: the connection is a new one."""
        self._states.clear()
        self._asked.clear()

    def state(self, one: S) -> State | None:
        """Tell where a subscription stands; None when it is not held."""
        return self._states.get(one)

    @property
    def settled(self) -> bool:
        """Whether everything asked for is active, and something was."""
        return bool(self._states) and all(state is State.ACTIVE for state in self._states.values())

    @property
    def refused(self) -> list[S]:
        """List what the venue refused and has not taken since."""
        return [one for one, state in self._states.items() if state is State.REFUSED]


def redact(message: bytes, *secrets: str) -> bytes:
    """Replace secrets by asterisks of the same length, for logs and the journal."""
    for secret in secrets:
        if secret:
            message = message.replace(secret.encode(), b"*" * len(secret))
    return message


def nothing_requested(_req_id: int) -> tuple[str, Sequence[str]]:
    """Tell that no request of this side is known."""
    return "", ()


def unrecognised(data: bytes | str) -> Unrecognised:
    """Return the event of a message that is of no known form."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    return Unrecognised(text[:TEXT_KEPT])


def read_rows(
    rows: object, read: Callable[[Mapping[str, Any]], Iterable[Event]], data: bytes | str
) -> list[Event]:
    """Read a list of objects one by one: one that makes no sense does not hide the others.

    Args:
        data: the whole message, told for each that could not be read.
    """
    if not isinstance(rows, list):
        return [unrecognised(data)]
    events: list[Event] = []
    for row in rows:
        try:
            if not isinstance(row, dict):
                raise ProtocolError("object expected")
            events += read(row)
        except ProtocolError:
            events.append(unrecognised(data))
    return events


class OrderMemory(Generic[K]):
    """The part of a private reader that remembers orders, a bounded number of them.

    Args:
        blank: makes the memory of an order of which nothing has been told.
    """

    def __init__(self, blank: Callable[[], K]) -> None:
        self._blank = blank
        self._orders: OrderedDict[str, K] = OrderedDict()

    @property
    def orders_kept(self) -> int:
        """Count the orders remembered, never more than `ORDERS_KEPT`."""
        return len(self._orders)

    def _remembered(self, order_id: str) -> K:
        """Return what is known of an order; the oldest that is done makes room for a new one."""
        order = self._orders.get(order_id)
        if order is not None:
            return order
        if len(self._orders) >= ORDERS_KEPT:
            gone = next((key for key, one in self._orders.items() if one.terminal), None)
            self._orders.pop(next(iter(self._orders)) if gone is None else gone)
        order = self._orders[order_id] = self._blank()
        return order
