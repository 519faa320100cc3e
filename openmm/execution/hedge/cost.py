"""What the position of both venues cost, by average cost, and what closing it brought.

Exact: what was realised less the cost of what is open is all the cash that moved.
"""

from __future__ import annotations

from typing import final

from openmm._fast.units import Side


@final
class HedgeCost:
    """The joint position and its cost; money in tickatoms, fees included.

    `net_atoms` is bought less sold less fees in base, on both venues; `cost_tickatoms` is what was
    paid for it (negative for a short position: what it brought).
    """

    def __init__(self, net_atoms: int = 0, cost_tickatoms: int = 0) -> None:
        self.net_atoms = net_atoms
        self.cost_tickatoms = cost_tickatoms
        self.realised_tickatoms = 0
        self.fees_tickatoms = 0
        self.hedged_atoms = 0

    def book(
        self, side: Side, qty_atoms: int, cost_tickatoms: int, fee_tickatoms: int, fee_atoms: int
    ) -> None:
        """Book one execution of either venue."""
        self.fees_tickatoms += fee_tickatoms
        if side == Side.BUY:
            moved, cash = qty_atoms - fee_atoms, -cost_tickatoms - fee_tickatoms
        else:
            moved, cash = -qty_atoms - fee_atoms, cost_tickatoms - fee_tickatoms
        if moved == 0:
            self.realised_tickatoms += cash
            return
        before = self.net_atoms
        self.net_atoms += moved
        if before == 0 or (before > 0) == (moved > 0):
            self.cost_tickatoms -= cash
            return
        closed = min(abs(moved), abs(before))
        share = cash * closed // abs(moved)
        released = self.cost_tickatoms * closed // abs(before)
        self.realised_tickatoms += share - released
        self.hedged_atoms += closed
        self.cost_tickatoms -= released + (cash - share)

    def share_of(self, atoms: int) -> int:
        """Return the cost of part of the position, rounded against us; `atoms` up to all of it."""
        if self.net_atoms == 0:
            return 0
        return -(-self.cost_tickatoms * atoms // abs(self.net_atoms))
