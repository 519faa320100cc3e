"""One inventory over several bots: what the members of a group show, and what each may hold.

Each member shows the most and the least base that it may come to hold by orders it may have: its
share. A member keeps to its own share and looks at nobody while it quotes; what it holds beyond
the group's limit cannot come about as long as the shares of all add up to no more. A share is
raised by showing the greater one first and looking at the others after it: of two that raise at
once at least one sees the other. The share of a member that is silent, or gone, counts on.

Amounts are whole units of 10**-decimals of the base asset, with decimals enough for every member's
lot: nothing is rounded but the group's target, and that so that it allows less.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Self

from msgspec import Struct

from openmm._fast.board import Holdings
from openmm.config.values import PPM

INT64_MAX = (1 << 63) - 1
SPARE = 10
PAPER_FILE = "board-paper"  # bots of paper mode share a page of their own


class Share(Struct, frozen=True):
    """What a member shows beside its holdings: the room that the page leaves to its users.

    Amounts in the row's base atoms. `value`: all it has, quote counted as the base that it buys at
    its reference; `reference_uticks`: that price. `starved`: bit 0, no quote left to bid with; bit
    1, no base left to ask with.
    """

    most: int
    least: int
    value: int
    target_ppm: int
    group_target_ppm: int
    reference_uticks: int
    starved: int = 0

    def spare(self) -> tuple[int, ...]:
        """Return it as the page holds it.

        Raises:
            ValueError: an amount beyond 63 bits.
        """
        told = (
            self.most, self.least, self.value, self.target_ppm, self.group_target_ppm,
            self.reference_uticks, self.starved,
        )  # fmt: skip
        if not all(0 <= one <= INT64_MAX for one in told):
            raise ValueError(f"amounts of a group must be from 0 to {INT64_MAX}: {told}")
        return told + (0,) * (SPARE - len(told))

    @classmethod
    def read(cls, holdings: Holdings) -> Self:
        """Read it off the page."""
        return cls(*holdings.spare[: len(cls.__struct_fields__)])


class Member(Struct, frozen=True):
    """Another bot of the group as its row shows it; `holdings` is None until it has told any."""

    index: int
    bot: str
    alive: bool
    holdings: Holdings | None


class Others(Struct, frozen=True):
    """What the others of a group hold and may come to hold, in 10**-decimals of base."""

    decimals: int
    base: int = 0
    value: int = 0
    most: int = 0
    least: int = 0
    count: int = 0
    silent: tuple[str, ...] = ()
    first_index: int = 1 << 30  # the lowest row of one that is not silent


def silent(member: Member, now_ns: int, age_ns_max: int) -> bool:
    """Whether a member is gone, or has told nothing for too long."""
    if member.holdings is None:
        # One that begins has told nothing yet, and quotes nothing before it has.
        return not member.alive
    return not member.alive or now_ns - member.holdings.updated_ns > age_ns_max


def others(members: Iterable[Member], now_ns: int, age_ns_max: int, decimals: int) -> Others:
    """Add up what the others show; the silent ones count in full, as they told last.

    Args:
        decimals: of our own lot; the sum has as many as any member needs.
    """
    told = list(members)
    known = [one for one in told if one.holdings is not None]
    decimals = max([decimals, *(one.holdings.base_decimals for one in known if one.holdings)])
    base = value = most = least = 0
    for one in known:
        assert one.holdings is not None, "only those that told are counted"
        unit, share = 10 ** (decimals - one.holdings.base_decimals), Share.read(one.holdings)
        base += one.holdings.base_atoms * unit
        value += share.value * unit
        most += max(share.most, one.holdings.base_atoms) * unit
        least += min(share.least, one.holdings.base_atoms) * unit
    gone = {one.index for one in told if silent(one, now_ns, age_ns_max)}
    return Others(
        decimals, base, value, most, least, len(known),
        tuple(sorted(one.bot for one in told if one.index in gone)),
        min((one.index for one in known if one.index not in gone), default=1 << 30),
    )  # fmt: skip


class Own(Struct, frozen=True):
    """What we hold, in the same units as `Others`."""

    base: int
    value: int  # in all, quote counted as the base that it buys


class Rule(Struct, frozen=True):
    """What a member goes by: `limit` and `claim` in the units of `Others`."""

    target_ppm: int
    limit: int
    claim: int
    members: int = 0
    reduce: bool = True  # when somebody is silent; else each looks after its own


def off_target(own: Own, rest: Others, target_ppm: int) -> int:
    """Return the group's base less its target, toward zero as the kernel has it."""
    return own.base + rest.base - (own.value + rest.value) * target_ppm // PPM


def room(own: Own, rest: Others, rule: Rule) -> tuple[int, int]:
    """Return the most and the least base that the limit leaves us beside the others' shares."""
    worth = (own.value + rest.value) * rule.target_ppm
    return worth // PPM + rule.limit - rest.most, -(-worth // PPM) - rule.limit - rest.least


def lacking(rest: Others, rule: Rule) -> bool:
    """Whether somebody is silent, or fewer are there than there have to be."""
    return bool(rest.silent) or rest.count + 1 < rule.members


def wanted(own: Own, rest: Others, rule: Rule, before: tuple[int, int] | None) -> tuple[int, int]:
    """Return the most and the least base that we should be allowed: our share.

    A share follows what is held at a distance of `claim`, at most our part of the limit, so that
    who comes first does not take all of it; lazily, and within what the others leave.
    Never less than what is held: beyond the limit nothing that adds is quoted, by anybody. While
    somebody is silent and `rule.reduce` says so, no share lets the group's distance from its
    target grow; what brings it back is parted among those that are there.
    """
    claim = min(rule.claim, rule.limit // (1 + rest.count))
    most, least = own.base + claim, own.base - claim
    if before is not None and own.base + claim // 2 <= before[0] <= most + claim // 2:
        most = before[0]
    if before is not None and least - claim // 2 <= before[1] <= own.base - claim // 2:
        least = before[1]
    room_most, room_least = room(own, rest, rule)
    most, least = min(most, room_most), max(least, room_least)
    if rule.reduce and lacking(rest, rule):
        away, there = off_target(own, rest, rule.target_ppm), 1 + rest.count - len(rest.silent)
        most = min(most, own.base + max(0, -away) // max(1, there))
        least = max(least, own.base - max(0, away) // max(1, there))
    return max(most, own.base), max(0, min(least, own.base))


class Told(Struct, frozen=True):
    """What a bot is told of its group: an input of its decisions, and on its tape.

    `base`, `value`: of the others, None: the own inventory alone is followed. `most_lots`,
    `least_lots`: our share, None: not known. `scale`: distance from the target at which the skew is
    full. `lacking`: members that are silent, or "" for one that is not there.
    """

    base: Decimal | None
    value: Decimal | None
    target_ppm: int
    scale: Decimal
    most_lots: int | None
    least_lots: int | None
    members: int
    lacking: tuple[str, ...] = ()
