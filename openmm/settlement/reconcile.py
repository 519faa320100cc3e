"""The difference between what we should hold and what the venue says we hold."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct


class Difference(Struct, frozen=True):
    """One asset whose balance is not what opening plus postings make it."""

    asset: str
    expected: Decimal
    seen: Decimal

    @property
    def amount(self) -> Decimal:
        """What the venue has more (positive) or less than we expect."""
        return self.seen - self.expected

    def __str__(self) -> str:
        return (
            f"{self.asset}: venue has {self.seen:f}, expected {self.expected:f} ({self.amount:+f})"
        )


def reconcile(expected: Mapping[str, Decimal], seen: Mapping[str, Decimal]) -> list[Difference]:
    """Compare per asset, to the last unit; an asset the venue does not list is zero there."""
    return [
        Difference(asset, amount, seen.get(asset, Decimal(0)))
        for asset, amount in sorted(expected.items())
        if seen.get(asset, Decimal(0)) != amount
    ]
