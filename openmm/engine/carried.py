"""What a session left behind, for the next one to be held against: totals, and the fills in them.

A file of the bot's folder, written at the end of a live session and taken away by the next start: a
session that was killed leaves none, and what then filled is looked up anyway (`proof.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec import Struct

from openmm.events import OrderFilled
from openmm.instrument import Instrument
from openmm.whole import write_whole

log = logging.getLogger(__name__)

EXEC_IDS_KEPT = 5000


class Left(Struct, frozen=True):
    """What the books said at the end; `exec_ids`: the newest fills that are in it."""

    ended_ns: int
    totals: dict[str, Decimal]
    exec_ids: list[str]


def write_left(path: Path, left: Left) -> None:
    """Replace the file as a whole, readable by its user only."""
    write_whole(path, msgspec.json.encode(left), lasting=False)


def take_left(path: Path) -> Left | None:
    """Return what the last session left, and take it away: it is compared once."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    path.unlink()
    try:
        return msgspec.json.decode(raw, type=Left)
    except msgspec.DecodeError as error:
        log.warning("what the last session left cannot be read (%s): %s", error, path)
        return None


def carried(left: Left, fills: Iterable[OrderFilled], pair: Instrument) -> dict[str, Decimal]:
    """Return what base and quote should be now: what was left, and the fills since.

    Args:
        fills: the account's, from before the session ended on.
    """
    totals = {
        asset: left.totals[asset] for asset in (pair.base, pair.quote) if asset in left.totals
    }
    known = set(left.exec_ids)
    for fill in fills:
        if fill.exec_id in known:
            continue
        for asset, change in _changes(fill, pair).items():
            if asset in totals:
                totals[asset] += change
    return totals


def _changes(fill: OrderFilled, pair: Instrument) -> Mapping[str, Decimal]:
    base, _, quote = fill.instrument.partition("/")
    qty = fill.qty
    if qty is None:
        qty = pair.qty(fill.qty_lots) if fill.instrument == pair.name else Decimal(0)
    sign = 1 if fill.side == 1 else -1
    changes = {base: sign * qty, quote: -sign * fill.cost}
    for fee in fill.fees:
        changes[fee.asset] = changes.get(fee.asset, Decimal(0)) - fee.amount
    return changes
