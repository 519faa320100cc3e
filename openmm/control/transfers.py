"""What would have to be moved between the venues of a group to bring each back to its wish.

OpenMM moves nothing itself: a transfer is an operator's, at the venues.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction

from msgspec import Struct

from openmm.config.values import PPM


class Holder(Struct, frozen=True):
    """What one venue of a group holds and wishes.

    `price`: of a unit of base in its quote. `target_ppm`: wanted share of base in what it has.
    `base_max`, `quote_max`: what may lie there at most, None for no bound. `base_step`,
    `quote_step`: the smallest amount of each that can be moved.
    """

    venue: str
    base_asset: str
    quote_asset: str
    base: Decimal
    quote: Decimal
    price: Decimal
    target_ppm: int = PPM // 2
    base_max: Decimal | None = None
    quote_max: Decimal | None = None
    base_step: Decimal = Decimal("0.00000001")
    quote_step: Decimal = Decimal("0.01")


class Transfer(Struct, frozen=True):
    """An amount of an asset that is to go from one venue to another."""

    asset: str
    source: str
    target: str
    amount: Decimal


class Need(Struct, frozen=True):
    """What a venue holds of an asset and should; `away`: by more than is let be."""

    asset: str
    venue: str
    held: Decimal
    wish: Decimal
    away: bool


class Plan(Struct, frozen=True):
    """The needs of all venues, the transfers that would meet them, and what no venue may hold."""

    needs: tuple[Need, ...]
    transfers: tuple[Transfer, ...]
    homeless: tuple[tuple[str, Decimal], ...] = ()  # asset and amount beyond every venue's bound


def plan(holders: Sequence[Holder], within_ppm: int = 200_000) -> Plan:
    """Return the transfers that bring every venue back to its wish.

    A venue wishes for its share of the group's base, and of its quote asset, in proportion to what
    its own value and its target ask for, within its bounds. What is no further off than
    `within_ppm` of the wish is let be, so that small differences cost no fees; a venue that is
    further off is brought all the way, from and to those that have most to spare and room for.
    Amounts of an asset are conserved: nothing is bought or sold. Assets are moved among the venues
    that hold the same one; dollars and tethers are two. At most one transfer fewer than venues.
    """
    needs: list[Need] = []
    transfers: list[Transfer] = []
    homeless: list[tuple[str, Decimal]] = []
    with localcontext() as context:
        context.prec = 60
        assets = (
            sorted({one.base_asset for one in holders}),
            sorted({one.quote_asset for one in holders}),
        )
        for is_base, names in zip((True, False), assets, strict=True):
            for asset in names:
                lots = [_lot(one, is_base) for one in holders if _asset(one, is_base) == asset]
                found = _plan_asset(asset, lots, within_ppm)
                needs += found.needs
                transfers += found.transfers
                homeless += found.homeless
    return Plan(tuple(needs), tuple(transfers), tuple(homeless))


class _Lot(Struct, frozen=True):
    venue: str
    held: Decimal
    weight: Fraction
    most: Decimal | None
    step: Decimal


def _asset(one: Holder, is_base: bool) -> str:
    return one.base_asset if is_base else one.quote_asset


def _lot(one: Holder, is_base: bool) -> _Lot:
    worth = Fraction(one.base) * Fraction(one.price) + Fraction(one.quote)
    if is_base:
        wish = worth * one.target_ppm / PPM / Fraction(one.price)
        return _Lot(one.venue, one.base, wish, one.base_max, one.base_step)
    wish = worth * (PPM - one.target_ppm) / PPM
    return _Lot(one.venue, one.quote, wish, one.quote_max, one.quote_step)


def _plan_asset(asset: str, lots: list[_Lot], within_ppm: int) -> Plan:
    step = max(one.step for one in lots)
    wishes, left = _wishes(lots, step)
    needs = []
    moves: list[Decimal] = []
    for one, wish in zip(lots, wishes, strict=True):
        band = wish * within_ppm / PPM
        over = one.most is not None and one.held > one.most
        away = abs(one.held - wish) > max(band, step) or over
        needs.append(Need(asset, one.venue, one.held, wish, away))
        moves.append(one.held - wish)
    homeless = ((asset, left),) if left > 0 else ()
    transfers: list[Transfer] = []
    if any(need.away for need in needs):
        transfers = _transfers(asset, lots, needs, moves, step)
    return Plan(tuple(needs), tuple(transfers), homeless)


def _wishes(lots: list[_Lot], step: Decimal) -> tuple[list[Decimal], Decimal]:
    """Part what is there by the weights, within the bounds; return wishes and what has no place.

    What has no place stays where it is: with the venues that have more than their bound.
    """
    total = sum((one.held for one in lots), Decimal(0))
    wishes = [Decimal(0)] * len(lots)
    open_, rest = list(range(len(lots))), total
    while open_:
        weight = sum((lots[i].weight for i in open_), Fraction(0))
        parts = {
            i: rest * _decimal(lots[i].weight / weight if weight else Fraction(1, len(open_)))
            for i in open_
        }
        full = {i: most for i in open_ if (most := lots[i].most) is not None and parts[i] >= most}
        if not full:
            for i in open_:
                wishes[i] = (parts[i] / step).to_integral_value(ROUND_FLOOR) * step
            break
        for i, most in full.items():
            wishes[i] = most
            rest -= most
            open_.remove(i)
    # What rounding leaves, or no bound lets in, goes where most is held beyond the wish.
    left = total - sum(wishes, Decimal(0))
    if open_:
        at = max(open_, key=lambda i: lots[i].held - wishes[i])
        wishes[at] += left
        return wishes, Decimal(0)
    kept = left
    for i in sorted(range(len(lots)), key=lambda i: wishes[i] - lots[i].held):
        more = min(kept, max(Decimal(0), lots[i].held - wishes[i]))
        wishes[i] += more
        kept -= more
    return wishes, left


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _transfers(
    asset: str, lots: list[_Lot], needs: list[Need], moves: list[Decimal], step: Decimal
) -> list[Transfer]:
    """Match the greatest surplus with the greatest lack until nobody that was away is away."""
    found: list[Transfer] = []
    pending = {i for i, need in enumerate(needs) if need.away}
    while pending:
        source = max(range(len(moves)), key=lambda i: moves[i])
        target = min(range(len(moves)), key=lambda i: moves[i])
        # One of the two has to be somebody that is away: the others are let be.
        if source not in pending and target not in pending:
            at = max(pending, key=lambda i: abs(moves[i]))
            source, target = (at, target) if moves[at] > 0 else (source, at)
        amount = min(moves[source], -moves[target])
        amount = (amount / step).to_integral_value(ROUND_FLOOR) * step
        if amount <= 0:
            break
        found.append(Transfer(asset, lots[source].venue, lots[target].venue, amount.quantize(step)))
        moves[source] -= amount
        moves[target] += amount
        pending = {i for i in pending if abs(moves[i]) >= step}
    return found
