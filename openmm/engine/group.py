"""One inventory over several bots, in a running engine: show ours, read theirs, tell the step.

The rules stand in `risk.group`. What the others show is an input: it reaches the decisions as a
call of the step, which is on the tape, and only when it has changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import final

from msgspec.structs import replace

from openmm._fast.pipeline import Pipeline
from openmm._fast.units import UTICKS_PER_TICK
from openmm.board import Board, Holdings, Market, Row, Seat
from openmm.config import BotConfig
from openmm.config.values import PPM
from openmm.engine.capital import starved_sides
from openmm.errors import BoardError
from openmm.instrument import Instrument
from openmm.risk import group as rules
from openmm.risk.group import PAPER_FILE, Member, Others, Own, Rule, Share, Told
from openmm.venues.claims import accounts_dir, own_folder

log = logging.getLogger(__name__)

# What moves by itself, the value of what is held, is told so often at most; a fill or another share
# at once.
TELL_EVERY_NS = 100_000_000
SHOW_EVERY_NS = 100_000_000
DRIFT = 1000  # a move of the others' value below this part of the limit is not told
UTICKS = int(UTICKS_PER_TICK)


def paper_seat(config: BotConfig, path: Path | None, instrument: Instrument) -> Seat:
    """Claim a row under the group's name among the bots of paper mode.

    They share a page of their own: pretended coins never count as real ones.

    Args:
        path: of the page; None: beside the account locks.

    Raises:
        BoardError: the page, or a row of it, cannot be had. CommandError: its folder is not ours.
    """
    venue = config.quoted
    board = Board(own_folder(accounts_dir()) / PAPER_FILE if path is None else path)
    return board.claim(
        Market(venue.name, venue.pair), bot=config.bot.name, account=f"paper {config.bot.name}",
        tick_size=instrument.tick_size, group=config.inventory.group or "",
    )  # fmt: skip


@final
class Group:
    """Follow the group of one bot.

    Args:
        seat: our row, claimed under the group's name.
        config: what is in force; asked at each look.
        told: takes what is new; the step's entry.
    """

    def __init__(
        self, seat: Seat, pipeline: Pipeline, instrument: Instrument,
        config: Callable[[], BotConfig], told: Callable[[Told, int], None],
    ) -> None:  # fmt: skip
        self._seat = seat
        self._pipeline = pipeline
        self._one = instrument
        self._config = config
        self._tell = told
        self._share: tuple[int, int] | None = None  # in own lots
        self._last: Told | None = None
        self._told_ns = 0
        self._shown: tuple[int, ...] | None = None
        self._shown_ns = 0
        self._members: dict[int, Member] = {}
        self._wait = False

    def look(self, now_ns: int) -> None:
        """Look at the others once; raise, keep or lower our share; tell what changed."""
        config, pipeline = self._config(), self._pipeline
        held, reference = pipeline.inventory, pipeline.reference.price_uticks
        if held.base_lots is None or held.quote_ticklots is None:
            return
        reference = reference or held.mark_uticks
        if not reference:
            return  # nothing tells yet what the quote is worth
        value_lots = (held.quote_ticklots * UTICKS + held.base_lots * reference) // reference
        rest = self._others(config, now_ns)
        wanted = self._wanted(config, rest, value_lots)
        if self._raises(wanted):
            wanted = self._raise(config, rest, value_lots, reference, wanted, now_ns)
        self._say(config, rest, wanted, now_ns)
        self._publish(config, value_lots, reference, self._showing(), now_ns)

    # ------------------------------------------------------------------ the share

    def _own(self, rest: Others, value_lots: int) -> tuple[Own, int]:
        """Return what we hold in the group's units, and how many of them a lot of ours is."""
        unit = self._one.lot_points * 10 ** (rest.decimals - self._one.qty_decimals)
        return Own((self._pipeline.inventory.base_lots or 0) * unit, value_lots * unit), unit

    def _rule(self, config: BotConfig, decimals: int) -> Rule:
        limit = config.risk.max_group_inventory
        assert limit is not None, "a group has its limit: checked with the file"
        # Nothing is reserved by who does not quote.
        claim = config.group_claim if self._pipeline.quoting else Decimal(0)
        return Rule(
            config.group_target_ppm, int(limit.scaleb(decimals)), int(claim.scaleb(decimals)),
            config.inventory.members, config.inventory.silence == "reduce",
        )  # fmt: skip

    def _wanted(self, config: BotConfig, rest: Others, value_lots: int) -> tuple[int, int]:
        """Return the share to ask for, in own lots: whole ones, so that it allows less."""
        own, unit = self._own(rest, value_lots)
        before = None if self._share is None else (self._share[0] * unit, self._share[1] * unit)
        most, least = rules.wanted(own, rest, self._rule(config, rest.decimals), before)
        most_lots = most // unit
        if config.inventory.capital_base_max is not None:
            most_lots = min(most_lots, self._one.floor_lots(config.inventory.capital_base_max))
        return most_lots, -(-least // unit)

    def _raises(self, wanted: tuple[int, int]) -> bool:
        most, least = self._showing()
        return wanted[0] > most or wanted[1] < least

    def _raise(
        self, config: BotConfig, rest: Others, value_lots: int, reference: int,
        wanted: tuple[int, int], now_ns: int,
    ) -> tuple[int, int]:  # fmt: skip
        """Show a greater share, then look again: what another shows by then is not ours to take."""
        most, least = self._showing()
        if self._wait:
            self._wait = False
            return min(wanted[0], most), max(wanted[1], least)
        asked = max(wanted[0], most), min(wanted[1], least)
        self._publish(config, value_lots, reference, asked, now_ns)
        again = self._others(config, now_ns)
        left = self._wanted(config, again, value_lots)
        if left[0] < wanted[0] or left[1] > wanted[1]:
            # Somebody raised his at the same time; who has the lower row tries first again.
            self._wait = again.first_index < self._seat.row.index
            return min(wanted[0], max(left[0], most)), max(wanted[1], min(left[1], least))
        return wanted

    def _showing(self) -> tuple[int, int]:
        """Return what is shown now: in own lots, nothing beyond what is held where nothing is."""
        totals, base = self._pipeline.table.totals(), self._pipeline.inventory.base_lots or 0
        open_ = base + totals.buy_lots, max(0, base - totals.sell_lots)
        if self._share is None:
            return open_
        return max(self._share[0], open_[0]), min(self._share[1], open_[1])

    # ------------------------------------------------------------------ the page

    def _others(self, config: BotConfig, now_ns: int) -> Others:
        """Add up the others of the group; the last known of one that cannot be read just now."""
        mine, group, seen = self._seat.row.index, config.inventory.group, {}
        base = self._one.base
        for row in self._seat.board.rows():
            if row.group == group and row.index != mine and row.pair.partition("/")[0] == base:
                seen[row.index] = self._member(row)
        self._members = seen
        return rules.others(
            seen.values(), now_ns, config.inventory.neighbour_age_max_ns, self._one.qty_decimals
        )

    def _member(self, row: Row) -> Member:
        holdings = row.holdings
        if holdings is None and (known := self._members.get(row.index)) is not None:
            # Its writer was stopped within: it is as old as it says.
            holdings = known.holdings
        return Member(row.index, row.bot, row.alive, holdings)

    def _publish(
        self, config: BotConfig, value_lots: int, reference: int, share: tuple[int, int],
        now_ns: int,
    ) -> None:  # fmt: skip
        """Show what we hold and may come to hold, if it changed, and now and then that we live."""
        one, held, points = self._one, self._pipeline.inventory, self._one.lot_points
        base_lots = held.base_lots or 0
        told = Share(
            share[0] * points, share[1] * points, value_lots * points,
            config.strategy.target_base_ppm, config.group_target_ppm, reference,
            starved_sides(self._pipeline),
        )  # fmt: skip
        quote_atoms = int(one.notional(held.quote_ticklots or 0).scaleb(one.quote_decimals))
        capital = config.inventory
        key = (base_lots, share[0], share[1], quote_atoms, told.starved)
        if key == self._shown and now_ns - self._shown_ns < SHOW_EVERY_NS:
            return
        self._shown, self._shown_ns = key, now_ns
        self._seat.row.tell(
            Holdings(
                now_ns, one.qty_decimals, one.quote_decimals, base_lots * points, quote_atoms,
                value_lots * points * config.strategy.target_base_ppm // PPM,
                int((capital.capital_base_max or Decimal(0)).scaleb(one.qty_decimals)),
                int((capital.capital_quote_max or Decimal(0)).scaleb(one.quote_decimals)),
                told.spare(),
            )
        )  # fmt: skip

    # ------------------------------------------------------------------ the step

    def _say(self, config: BotConfig, rest: Others, share: tuple[int, int], now_ns: int) -> None:
        """Tell the step what it does not know yet."""
        lacking = rest.silent
        if rest.count + 1 < config.inventory.members:
            lacking = (*lacking, "")
        alone = bool(lacking) and config.inventory.silence == "own"
        unit = Decimal(1).scaleb(-rest.decimals)
        limit = config.risk.max_group_inventory
        assert limit is not None, "a group has its limit: checked with the file"
        told = Told(
            None if alone else rest.base * unit, None if alone else rest.value * unit,
            config.group_target_ppm, limit, share[0], share[1], rest.count + 1, lacking,
        )  # fmt: skip
        last = self._last
        if told == last:
            return
        if last is not None and last.value is not None and told.value is not None:
            moved, drifted = abs(told.value - last.value), replace(told, value=last.value)
            soon = now_ns - self._told_ns < TELL_EVERY_NS
            if drifted == last and (soon or moved * DRIFT < limit):
                return  # only what the others' quote is worth, a moment ago or a trifle else
        self._last, self._told_ns = told, now_ns
        self._share = share
        self._tell(told, now_ns)

    def lose(self, error: BoardError, now_ns: int) -> None:
        """The page cannot be read any more: nothing that adds to the group may be quoted."""
        last = self._last
        base = self._pipeline.inventory.base_lots
        if last is None or base is None:
            return
        log.error("the group cannot be seen: %s", error)
        share = min(base, last.most_lots or 0), max(base, last.least_lots or 0)
        self._share = share
        told = Told(
            last.base, last.value, last.target_ppm, last.scale, share[0], share[1], last.members,
            ("",),
        )  # fmt: skip
        if told != last:
            self._last = told
            self._tell(told, now_ns)
