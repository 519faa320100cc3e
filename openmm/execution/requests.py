"""What the life of orders wants done outside: values that the engine's loop carries out."""

from __future__ import annotations

from msgspec import Struct


class QueryOrders(Struct, frozen=True):
    """Ask the venue for these orders' states and fills."""

    seqs: tuple[int, ...]


class NameOrders(Struct, frozen=True):
    """Ask the venue whose these orders are, by venue id: fills of them may be ours."""

    venue_order_ids: tuple[str, ...]


class CancelStray(Struct, frozen=True):
    """Cancel orders that no slot of the table holds, by venue id."""

    venue_order_ids: tuple[str, ...]


class RenewToken(Struct, frozen=True):
    """Get a fresh credential at once: the venue takes the present one no more."""

    text: str


class Alert(Struct, frozen=True):
    """Tell people. `severity`: info, warning, critical."""

    severity: str
    text: str


OrderRequest = QueryOrders | CancelStray | RenewToken | Alert
