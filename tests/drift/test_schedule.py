"""Own orders against queue models: cases worked by hand, and a market with queues."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from openmm._fast.planner import ActionKind
from openmm._fast.units import Side
from openmm.backtest.model import Model
from openmm.data.events import ASK, LEVEL, MESSAGE_END, ROW, TRADE
from openmm.drift.own import Got, Moved
from openmm.drift.past import Past
from openmm.drift.schedule import SAME_NS, STAY_NS, TRIED, Fate, Schedule, tally
from tests.drift import live

BUY, SELL = int(Side.BUY), int(Side.SELL)
PLACE, AMEND, CANCEL = (
    int(ActionKind.ACTION_PLACE), int(ActionKind.ACTION_AMEND), int(ActionKind.ACTION_CANCEL)
)  # fmt: skip
BID_LEVEL = LEVEL | MESSAGE_END
SOLD = TRADE | ASK | MESSAGE_END  # a taker sold


class Written:
    """A session written by hand, as far as a schedule reads one."""

    apart = False
    steps: tuple[Any, ...] = ()

    def __init__(
        self, market: list[tuple[int, int, int, int]], moves: list[Moved], fills: list[Got]
    ) -> None:
        rows = np.zeros(len(market), ROW)
        for name, place in (("flags", 1), ("price_ticks", 2), ("qty_lots", 3)):
            rows[name] = [one[place] for one in market]
        self.rows = rows
        self.times = np.array([one[0] for one in market], np.int64)
        self.moves, self.fills = moves, fills

    def market(self) -> tuple[Any, Any]:
        return self.rows, self.times

    def filled_ns(self, fill: Got) -> int:
        return fill.venue_ns


def fates(
    market: list[tuple[int, int, int, int]], moves: list[Moved], fills: list[Got],
    model: Model | None = None,
) -> list[Fate]:  # fmt: skip
    return Schedule(cast("Past", Written(market, moves, fills))).run(model or Model())


def got(ns: int, lots: int, seq: int = 7) -> Got:
    return Got(seq, BUY, 100, lots, True, ns, ns)


def placed(ns: int, lots: int = 5, price: int = 100, seq: int = 7) -> Moved:
    return Moved(PLACE, seq, BUY, price, lots, ns)


BOOK = [(1, BID_LEVEL, 100, 10), (1, LEVEL | ASK | MESSAGE_END, 110, 9)]


def test_the_queue_ahead_trades_first_and_the_rest_fills_in_parts() -> None:
    market = [*BOOK, (30, SOLD, 100, 12), (40, SOLD, 100, 9)]
    (one,) = fates(market, [placed(20)], [got(30, 2), got(40, 3)])
    assert one.got == [(30, 100, 2), (40, 100, 3)]
    assert one.expected == one.got
    assert one.ahead_lots is None  # it was filled, as expected
    told = tally([one])
    assert (told.both, told.never, told.extra, told.lots, told.lots_expected) == (1, 0, 0, 5, 5)
    assert told.apart_ns == [0]
    assert told.error == 0


def test_a_fill_that_the_model_does_not_expect_tells_what_stood_ahead() -> None:
    market = [*BOOK, (30, SOLD, 100, 4), (60, SOLD, 100, 11)]
    # The venue filled all at 35: half of what stood ahead must have gone unseen.
    (one,) = fates(market, [placed(20)], [got(35, 5)])
    assert one.ahead_lots == 6
    assert one.expected == [(60, 100, 5)]
    told = tally([one])
    assert (told.both, told.apart_ns, told.ahead_lots) == (1, [-25], [6])
    (later,) = fates(
        [*BOOK, (35 + SAME_NS + 1, SOLD, 100, 20)], [placed(20)], [got(35, 5)]
    )  # fmt: skip
    assert tally([later]).later == 1
    assert tally([later]).lots_differing == 5
    (never,) = fates([*BOOK, (35 + STAY_NS + 1, SOLD, 100, 20)], [placed(20)], [got(35, 5)])
    assert tally([never]).never == 1
    assert tally([never]).error == 1


def test_what_we_take_is_still_there_when_the_book_says_at_once_that_it_is_gone() -> None:
    gone = [(30, LEVEL | ASK, 110, 0), (30, LEVEL | ASK | MESSAGE_END, 111, 9)]
    taking = [Got(7, BUY, 110, 9, False, 30, 30)]
    (one,) = fates([*BOOK, *gone], [placed(30, 9, 111)], taking)
    assert one.expected == one.got == [(30, 110, 9)]


def test_a_fill_that_never_came_counts_until_the_cancel() -> None:
    market = [*BOOK, (30, SOLD, 100, 12), (50, SOLD, 100, 30)]
    cancel = Moved(CANCEL, 7, BUY, 100, 0, 40)
    (one,) = fates(market, [placed(20), cancel], [])
    assert (one.gone_ns, one.expected) == (40, [(30, 100, 2)])
    told = tally([one])
    assert (told.extra, told.lots_differing) == (1, 2)


def test_an_amend_to_another_price_goes_to_the_end_of_its_queue() -> None:
    market = [*BOOK, (2, BID_LEVEL, 99, 3), (40, SOLD, 99, 4)]
    amend = Moved(AMEND, 7, BUY, 99, 6, 30)
    (one,) = fates(market, [placed(20), amend], [])
    assert one.qty_lots == 6
    assert one.expected == [(40, 99, 1)]


def test_a_cancel_ahead_is_where_models_differ() -> None:
    market = [*BOOK, (30, BID_LEVEL, 100, 12), (40, BID_LEVEL, 100, 6), (50, SOLD, 100, 7)]
    careful, power = (
        fates(market, [placed(20)], [], Model(queue=name, power=1))[0]
        for name in ("careful", "power")
    )
    # Careful: six of six still stand ahead. By share: some of those that left stood there too.
    assert careful.expected == [(50, 100, 1)]
    assert sum(lots for *_, lots in power.expected) > 1


def test_a_market_with_queues_tells_models_apart() -> None:
    schedule = Schedule(Past(live.queued()))
    found = sorted((tally(schedule.run(one)) for one in TRIED), key=lambda told: told.rank)
    assert len({(told.lots_expected, sum(told.apart_ns)) for told in found}) > 1
    best = found[0]
    assert best.filled > 5
    assert best.both + best.earlier + best.later + best.never == best.filled
    assert best.ahead_lots  # some were filled although something stood ahead, by the model


def test_lots_that_are_filled_at_another_time_are_off() -> None:
    second = SAME_NS
    right, short, early, parts, late = (
        tally([Fate(k, BUY, 10, 0, 0, [(60 * second, 100, 10)], fills) for k in range(4)])
        for fills in (
            [(60 * second, 100, 10)], [(60 * second, 100, 9)], [(second, 100, 10)],
            [(second, 100, 3), (59 * second, 100, 4), (61 * second, 100, 3)],
            [(62 * second, 100, 10)],
        )
    )  # fmt: skip
    assert [one.lots_differing for one in (right, short, early, parts, late)] == [0, 4, 40, 12, 40]
    assert sorted((late, early, parts, short, right), key=lambda one: one.rank)[:3] == [
        right, short, parts,
    ]  # fmt: skip
    # Lot after lot: the first five came when the model fills all ten.
    (one,) = [Fate(1, BUY, 10, 0, 0, [(9, 100, 5), (9 * second, 100, 5)], [(9, 100, 10)])]
    assert tally([one]).lots_differing == 5


def test_of_equals_the_nearest_on_average_is_taken_however_many_it_fills() -> None:
    far, near = (
        tally([Fate(k, BUY, 10, 0, 0, [(100, 100, 10)], told) for k, told in enumerate(fills)])
        for fills in ([[(60, 100, 10)], []], [[(80, 100, 10)], [(75, 100, 10), (75, 100, 10)]])
    )  # fmt: skip
    assert (far.error, near.error) == (0.5, 0.5)
    assert sum(near.apart_ns) > sum(far.apart_ns)
    assert near.rank < far.rank


@pytest.mark.parametrize("venue", ["kraken", "mexc", "synthetic"])
def test_a_venue_whose_queues_are_known_fills_as_expected(shared: Any, venue: str) -> None:
    if venue == "kraken":
        records = live.recorded(shared / "data")
    else:
        records = live.over_rest() if venue == "mexc" else live.synthetic()
    told = tally(Schedule(Past(records)).run(Model()))
    assert told.filled == told.both > 5
    assert (told.error, told.extra, told.never) == (0, 0, 0)
