"""What trades that meet our own orders teach the fit of the intensity: what they would without."""

from __future__ import annotations

from random import Random

import pytest

from openmm._fast.intensity import Intensity
from openmm._fast.orders import OrderEvent
from openmm._fast.units import Side
from openmm.testing.canonical import CanonicalBot, make_bot

MS = 1_000_000
SECOND = 1_000 * MS
T0 = 1_750_000_000 * SECOND
PRICE = 600_000
OTHERS = 40  # ticks from the mid to the best of others
OURS = 10  # to our own
LOT = 1_000_000
FIT = {"sample_ns": 250 * MS, "half_life_ns": 600 * SECOND, "price_ticks": PRICE}


def frame_of(ours: bool) -> bytes:
    """A snapshot with levels of others on each tick from `OTHERS` on, and ours inside them."""
    away = [OTHERS + step for step in range(20)]
    if ours:
        away.insert(0, OURS)
    sides = [
        ",".join(
            f'{{"price":{(PRICE + sign * ticks) / 10:.1f},"qty":0.01000000}}' for ticks in away
        )
        for sign in (-1, 1)
    ]
    return (
        '{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD",'
        f'"bids":[{sides[0]}],"asks":[{sides[1]}],"checksum":1}}]}}'
    ).encode()


def trade_of(side: str, price_ticks: int, number: int) -> bytes:
    return (
        '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD",'
        f'"side":"{side}","price":{price_ticks / 10:.1f},"qty":0.01,"ord_type":"market",'
        f'"trade_id":{number},"timestamp":"2025-06-15T15:06:40.000000Z"}}]}}'
    ).encode()


def bot_of(ours: bool, *, own_in_book: bool = True) -> tuple[CanonicalBot, list[int]]:
    bot = make_bot(verify=False, intensity=Intensity(**FIT), own_in_book=own_in_book)
    bot.pipeline.quoting = False
    table, seqs = bot.pipeline.table, []
    if ours:
        for side, price in ((Side.BUY, PRICE - OURS), (Side.SELL, PRICE + OURS)):
            seqs.append(table.place(side, 0, price, LOT, now_ns=T0))
            table.event(seqs[-1], OrderEvent.EV_ACKED, T0)
    bot.pipeline.on_frame(bot.feed, frame_of(ours and own_in_book), T0)
    return bot, seqs


def fit_of(ours: bool, seed: int = 4) -> Intensity:
    """Takers of random size: one that finds ours stops there unless it is the larger."""
    chance = Random(seed)
    bot, _ = bot_of(ours)
    for at in range(1, 2_000):
        now_ns = T0 + at * 300 * MS
        side, sign = chance.choice((("buy", 1), ("sell", -1)))
        reach = int(chance.expovariate(1 / 25))  # how far it goes beyond others' best
        small = chance.random() < 0.5
        prices = [PRICE + sign * (OTHERS + (0 if small else reach))]
        if ours:
            prices = [PRICE + sign * OURS] + ([] if small else prices)
        for price in prices:
            bot.pipeline.on_frame(bot.feed, trade_of(side, price, at), now_ns)
    assert bot.feed.intensity is not None
    return bot.feed.intensity


def test_fit_is_that_of_the_market_without_us() -> None:
    alone, among = fit_of(False), fit_of(True)
    assert alone.decay_uticks > 0
    assert among.state() == alone.state()


def reached(bot: CanonicalBot, now_ns: int) -> int:
    """How many ticks from the mid the running interval counts for the buyers so far."""
    assert bot.feed.intensity is not None
    hits = bot.feed.intensity.state()["hits"]
    bot.pipeline.on_frame(bot.feed, frame_of(True), now_ns)
    after = bot.feed.intensity.state()["hits"]
    edges = bot.feed.intensity.distances_uticks
    met = [edge for edge, old, new in zip(edges, hits, after, strict=True) if new > old]
    return max(met, default=0) // 1_000_000


@pytest.mark.parametrize(
    ("told_first", "after_ms", "own_in_book", "wanted"),
    [
        (False, 0, True, OTHERS),  # the order is still there
        (True, 0, True, OTHERS),  # its fill came before the trade
        (True, 999, True, OTHERS),
        (True, 1_001, True, OURS),  # too long ago: somebody else's order was met
        (False, 0, False, OURS),  # paper orders are not in the market
    ],
)
def test_trade_inside_others_best_counts_as_theirs_where_ours_was_met(
    told_first: bool, after_ms: int, own_in_book: bool, wanted: int
) -> None:
    bot, seqs = bot_of(True, own_in_book=own_in_book)
    now_ns = T0 + 10 * SECOND
    bot.pipeline.on_frame(bot.feed, frame_of(own_in_book), now_ns)
    if told_first:
        bot.pipeline.note_fill(seqs[1], LOT, now_ns)
        bot.pipeline.table.fill(seqs[1], PRICE + OURS, LOT, now_ns)
    now_ns += after_ms * MS
    bot.pipeline.on_frame(bot.feed, trade_of("buy", PRICE + OURS, 1), now_ns)
    counted = reached(bot, now_ns + 300 * MS)
    assert wanted * 13 // 16 - 1 <= counted <= wanted


def test_trade_elsewhere_counts_as_far_as_it_went() -> None:
    for side, price in (("buy", PRICE + OURS + 1), ("sell", PRICE - OURS - 1)):
        bot, _ = bot_of(True)
        bot.pipeline.on_frame(bot.feed, trade_of(side, price, 1), T0 + MS)
        assert reached(bot, T0 + SECOND) < OTHERS * 13 // 16 - 1
    bot, _ = bot_of(True)
    bot.pipeline.on_frame(bot.feed, trade_of("buy", PRICE + OTHERS + 30, 1), T0 + MS)
    assert reached(bot, T0 + SECOND) > OTHERS
