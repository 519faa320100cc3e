"""Fill models by hand: every rule and every queue model with its numbers, for buys and for sells.

docs/fill-models.md lists the cases. Prices are told as of a buy at 99 in a book of 99 against 101;
for a sell all is mirrored at 100. Quantities in lots.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from openmm._fast.book import Book
from openmm._fast.queue import QueueModel
from openmm._fast.queue_venue import Link, QueueVenue, Told
from openmm._fast.units import BookSide, Side

CAREFUL = (QueueModel.QUEUE_CAUTIOUS, 1)
POWER = [(QueueModel.QUEUE_POWER, power) for power in (1, 2, 3)]
LOG = (QueueModel.QUEUE_LOG, 1)
ALL = [CAREFUL, *POWER, LOG]
NAMES = ["careful", "power 1", "power 2", "power 3", "log"]
FAR = 1 << 60


@pytest.fixture(params=[Side.BUY, Side.SELL], ids=["buy", "sell"])
def side(request: pytest.FixtureRequest) -> Side:
    found: Side = request.param
    return found


class Venue:
    """A venue, told as for buys."""

    def __init__(
        self, side: Side, model: tuple[QueueModel, int] = CAREFUL, *, here: int = 0,
        impact_ns: int = 0,
    ) -> None:  # fmt: skip
        self.buys = side == Side.BUY
        self.side = side
        book, self.answers = Book(), Link([0])
        book.catch_up()
        self.venue = QueueVenue(book, self.answers, *model, impact_ns)
        self.own, self.other = (
            (BookSide.BID, BookSide.ASK) if self.buys else (BookSide.ASK, BookSide.BID)
        )
        self.now = 0
        self.level(90, 1)
        self.level(101, 10_000, opposite=True)
        if here:
            self.level(99, here)

    def price(self, told: int) -> int:
        return told if self.buys else 200 - told

    def level(self, price: int, qty: int, *, opposite: bool = False, at_ns: int = 0) -> None:
        """Tell a level of the book, in a message of its own."""
        self.now = max(self.now + 1, at_ns)
        book_side = self.other if opposite else self.own
        self.venue.level(book_side, self.price(price), qty, self.now)
        self.venue.settle(self.now)

    def trade(self, price: int, qty: int) -> None:
        """Tell a trade that takes from our side of the book."""
        self.now += 1
        taker = Side.SELL if self.buys else Side.BUY
        self.venue.trade(taker, self.price(price), qty, self.now)

    def place(self, seq: int, price: int, qty: int, *, post_only: bool = True) -> None:
        self.now += 1
        self.venue.request(
            Told.TOLD_PLACE, seq, self.now, side=self.side, price_ticks=self.price(price),
            qty_lots=qty, post_only=post_only,
        )  # fmt: skip

    def amend(self, seq: int, price: int, qty: int) -> None:
        self.now += 1
        self.venue.request(
            Told.TOLD_AMEND, seq, self.now, price_ticks=self.price(price), qty_lots=qty
        )

    def fills(self) -> list[tuple[int, int, int]]:
        """Return (order, price, lots) of all that was filled since the last look."""
        return [
            (one.seq, self.price(one.price_ticks), one.qty_lots)
            for one in self.answers.take(1 << 62)
            if one.told == Told.TOLD_FILL
        ]

    def ahead(self, seq: int = 1) -> int | None:
        return self.venue.ahead(seq)


def queued(side: Side, model: tuple[QueueModel, int], ahead: int, behind: int) -> Venue:
    """Let an order of 1,000 stand behind `ahead` lots at 99 and in front of `behind`."""
    made = Venue(side, model, here=ahead)
    made.place(1, 99, 1_000)
    if behind:
        made.level(99, ahead + behind)
    assert made.ahead() == ahead
    return made


# ------------------------------------------------------------------ queue models


@pytest.mark.parametrize(
    ("model", "left"),
    [
        # 1,200 in front, 400 behind; 800 of 1,600 leave and nothing traded.
        (CAREFUL, 800),  # all from behind as far as that goes: 400, then no more than is shown
        (POWER[0], 600),  # 1,200 / (1,200 + 400) = 3/4 of 800 = 600 in front
        (POWER[1], 480),  # 1,440,000 / (1,440,000 + 160,000) = 9/10: 720
        (POWER[2], 429),  # 27 / (27 + 1) = 0.96429: 771.4, whole lots: 771
        (LOG, 767),  # ln 1,201 = 7.0909, ln 401 = 5.9940: 0.54192 of 800 = 433.5: 433
    ],
    ids=NAMES,
)
def test_an_untraded_decrease_is_shared_out(
    side: Side, model: tuple[QueueModel, int], left: int
) -> None:
    venue = queued(side, model, 1_200, 400)
    venue.level(99, 800)
    assert venue.ahead() == left


@pytest.mark.parametrize(
    ("model", "left"),
    [
        # 1,200 in front, 100 behind; 500 of 1,300 leave: at least 400 of them were in front.
        (CAREFUL, 800),
        (POWER[0], 739),  # 1,200 / 1,300 * 500 = 461.5: 461
        (POWER[1], 704),  # 144 / 145 * 500 = 496.6: 496
        (POWER[2], 701),  # 1,728 / 1,729 * 500 = 499.7: 499
        (LOG, 800),  # 7.0909 / (7.0909 + 4.6151) * 500 = 302.9, but only 100 stood behind
    ],
    ids=NAMES,
)
def test_no_more_leaves_behind_than_stood_there(
    side: Side, model: tuple[QueueModel, int], left: int
) -> None:
    venue = queued(side, model, 1_200, 100)
    venue.level(99, 800)
    assert venue.ahead() == left


@pytest.mark.parametrize(
    ("model", "left"),
    [
        # 300 in front, 100 behind; 350 of 400 leave, 50 stay.
        (CAREFUL, 50),
        (POWER[0], 38),  # 3/4 of 350 = 262.5: 262
        (POWER[1], 0),  # 9/10: 315, but only 300 stood in front
        (POWER[2], 0),  # 27/28: 337
        # ln 301 / (ln 301 + ln 101) = 5.7071 / 10.3222: 193, but 250 of 350 were in front at least.
        (LOG, 50),
    ],
    ids=NAMES,
)
def test_no_more_leaves_in_front_than_stood_there(
    side: Side, model: tuple[QueueModel, int], left: int
) -> None:
    venue = queued(side, model, 300, 100)
    venue.level(99, 50)
    assert venue.ahead() == left


@pytest.mark.parametrize(
    ("model", "left"),
    [
        # 200 trade: 1,000 in front, 400 behind. The level falls from 1,600 to 1,100: 300 cancelled.
        (CAREFUL, 1_000),
        (POWER[0], 786),  # 1,000 / 1,400 * 300 = 214.3: 214
        (POWER[1], 742),  # 100 / 116 * 300 = 258.6: 258
        (POWER[2], 719),  # 1,000 / 1,064 * 300 = 281.95: 281
        (LOG, 840),  # 6.9088 / (6.9088 + 5.9940) * 300 = 160.6: 160
    ],
    ids=NAMES,
)
def test_what_traded_is_taken_off_the_decrease_first(
    side: Side, model: tuple[QueueModel, int], left: int
) -> None:
    venue = queued(side, model, 1_200, 400)
    venue.trade(99, 200)
    assert venue.ahead() == 1_000
    venue.level(99, 1_100)
    assert venue.ahead() == left


@pytest.mark.parametrize("model", ALL, ids=NAMES)
def test_a_trade_told_ahead_of_its_book_is_no_cancel(
    side: Side, model: tuple[QueueModel, int]
) -> None:
    """The level is told again as it was, then less the trade: nobody has cancelled."""
    venue = queued(side, model, 1_200, 400)
    venue.trade(99, 200)
    venue.level(99, 1_600)
    venue.level(99, 1_400)
    assert venue.ahead() == 1_000


@pytest.mark.parametrize("model", ALL, ids=NAMES)
def test_who_comes_later_stands_behind(side: Side, model: tuple[QueueModel, int]) -> None:
    venue = queued(side, model, 1_200, 0)
    venue.level(99, 2_000)
    venue.level(99, 9_000)
    assert venue.ahead() == 1_200


@pytest.mark.parametrize("model", ALL, ids=NAMES)
def test_never_more_is_in_front_than_is_shown(side: Side, model: tuple[QueueModel, int]) -> None:
    venue = queued(side, model, 1_200, 0)
    venue.level(99, 70)  # nobody behind: all that left was in front
    assert venue.ahead() == 70
    venue.level(99, 0)
    assert venue.ahead() == 0
    venue.level(99, 500)  # a level that comes anew comes behind us
    assert venue.ahead() == 0


# ------------------------------------------------------------------ trades


@pytest.mark.parametrize("model", ALL, ids=NAMES)
def test_a_trade_at_the_price_serves_the_queue_in_front(
    side: Side, model: tuple[QueueModel, int]
) -> None:
    venue = Venue(side, model, here=50)
    venue.place(1, 99, 30)
    venue.trade(99, 40)
    assert (venue.fills(), venue.ahead()) == ([], 10)
    venue.trade(99, 25)  # 10 in front, then 15 of ours
    assert (venue.fills(), venue.ahead()) == ([(1, 99, 15)], 0)
    venue.trade(99, 100)  # of which we have 15 left
    assert (venue.fills(), venue.ahead()) == ([(1, 99, 15)], None)


@pytest.mark.parametrize("model", ALL, ids=NAMES)
def test_a_trade_through_the_price_fills_as_much_as_was_traded(
    side: Side, model: tuple[QueueModel, int]
) -> None:
    venue = Venue(side, model, here=50)
    venue.place(1, 99, 40)
    venue.trade(98, 30)  # at our price, whatever stood in front
    assert venue.fills() == [(1, 99, 30)]
    venue.trade(97, 30)
    assert venue.fills() == [(1, 99, 10)]
    assert venue.venue.resting_count == 0


def test_a_trade_that_takes_from_the_other_side_is_none_of_ours(side: Side) -> None:
    venue = Venue(side, here=0)
    venue.place(1, 99, 40)
    venue.venue.trade(side, venue.price(99), 100, 9)
    venue.trade(100, 100)  # not as far as our price
    assert venue.fills() == []


def test_our_orders_share_a_trade_by_price_then_time(side: Side) -> None:
    venue = Venue(side, here=10)
    venue.place(1, 98, 20)
    venue.place(2, 99, 20)  # behind 10
    venue.place(3, 99, 20)  # behind the same 10, and behind order 2
    venue.trade(99, 35)  # 10 in front, 20 of order 2, 5 of order 3
    assert venue.fills() == [(2, 99, 20), (3, 99, 5)]
    venue.trade(98, 25)  # 15 of order 3 at its better price, the rest at 98
    assert venue.fills() == [(3, 99, 15), (1, 98, 10)]


# ------------------------------------------------------------------ the book reaches us


def test_the_opposite_best_fills_what_it_shows_once(side: Side) -> None:
    venue = Venue(side, here=50)
    venue.place(1, 99, 100)
    venue.level(99, 0)
    venue.level(99, 60, opposite=True)
    assert venue.fills() == [(1, 99, 60)]
    venue.level(97, 5)  # another message: those 60 are used up
    assert venue.fills() == []
    venue.level(99, 25, opposite=True)  # told anew
    assert venue.fills() == [(1, 99, 25)]


def test_a_book_that_runs_through_us_fills_at_our_price(side: Side) -> None:
    venue = Venue(side, here=50)
    venue.place(1, 99, 100)
    venue.level(99, 0)
    venue.venue.level(venue.other, venue.price(97), 30, 9)
    venue.venue.level(venue.other, venue.price(98), 40, 9)
    venue.venue.settle(9)  # 30 at 97 and 40 at 98 lie within reach of a buy at 99
    assert venue.fills() == [(1, 99, 30), (1, 99, 40)]
    assert venue.venue.resting_count == 1


def test_what_we_took_stays_missing_for_the_time_of_our_impact(side: Side) -> None:
    venue = Venue(side, here=50, impact_ns=1_000)
    venue.place(1, 99, 100)
    venue.level(99, 0)
    venue.level(99, 60, opposite=True)
    assert venue.fills() == [(1, 99, 60)]
    venue.level(99, 60, opposite=True)  # told again, but we took those
    assert venue.fills() == []
    venue.level(99, 60, opposite=True, at_ns=2_000)
    assert venue.fills() == [(1, 99, 40)]


# ------------------------------------------------------------------ joining


def test_nobody_is_in_front_between_the_levels(side: Side) -> None:
    venue = Venue(side, here=50)
    venue.place(1, 100, 10)  # inside the spread
    venue.place(2, 95, 10)  # an empty price in front of the last level
    assert (venue.ahead(1), venue.ahead(2)) == (0, 0)
    venue.trade(100, 4)
    assert venue.fills() == [(1, 100, 4)]


def test_what_lies_beyond_the_last_level_is_in_front_once_it_is_told(side: Side) -> None:
    venue = Venue(side, here=50)
    venue.place(1, 80, 10)  # the book ends at 90
    assert venue.ahead() == FAR
    venue.trade(80, 1_000)
    assert venue.fills() == []
    venue.trade(79, 4)  # through the price: whoever stood in front was served
    assert venue.fills() == [(1, 80, 4)]
    venue.level(80, 33)
    assert venue.ahead() == 33


def test_what_would_take_is_refused_or_takes(side: Side) -> None:
    venue = Venue(side)
    venue.place(1, 101, 10)
    assert [one.told for one in venue.answers.take(99)] == [Told.TOLD_REFUSED]
    venue.place(2, 101, 12_000, post_only=False)  # 10,000 are there
    told = venue.answers.take(99)
    assert [(one.told, one.qty_lots) for one in told] == [
        (Told.TOLD_ACKED, 12_000), (Told.TOLD_FILL, 10_000), (Told.TOLD_CANCELLED, 12_000),
    ]  # fmt: skip


SHRINKS: Sequence[tuple[int, int, int]] = [
    (99, 20, 30),  # less: the place stays
    (99, 60, 80),  # more: to the end, 80 shown now
    (98, 40, 0),  # elsewhere: to the end there
]


@pytest.mark.parametrize(("price", "qty", "ahead"), SHRINKS)
def test_an_amend_keeps_its_place_only_when_it_shrinks(
    side: Side, price: int, qty: int, ahead: int
) -> None:
    venue = Venue(side, here=50)
    venue.place(1, 99, 40)
    venue.trade(99, 20)
    venue.level(99, 80)
    assert venue.ahead() == 30
    venue.amend(1, price, qty)
    assert venue.ahead() == ahead
