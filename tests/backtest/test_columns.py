"""A bot over columns: money that adds up, the same every time, and every assumption counts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from openmm._fast.backtest import HORIZONS_NS
from openmm._fast.book import Book
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.backtest.columns import (
    FILL_FIELDS,
    MARK_FIELDS,
    ORDER_FIELDS,
    Outcome,
    events_of,
    is_of,
    prepare,
    run,
)
from openmm.backtest.measures import measure
from openmm.backtest.model import MS, SECOND, Model
from openmm.backtest.steps import in_steps_of
from openmm.config import BotConfig
from openmm.data.events import (
    ASK,
    CLEAR,
    LEVEL,
    MESSAGE_END,
    TRADE,
    Events,
    Market,
    sealed,
)
from openmm.errors import ConfigError, ConfigErrors
from openmm.rerun.streams import synthetic
from tests.rerun.made import bot

LEAD_S = 2
FILL = {name: place for place, name in enumerate(FILL_FIELDS)}
STAY = {name: place for place, name in enumerate(ORDER_FIELDS)}


@pytest.fixture(scope="module")
def thin() -> Events:
    return events_of(synthetic("thin", 2, 120))


@pytest.fixture(scope="module")
def found(thin: Events) -> Outcome:
    return run(bot(), [thin])


def test_the_money_adds_up(found: Outcome) -> None:
    sides = np.where(found.fills[:, FILL["side"]] == Side.BUY, 1, -1)
    prices, lots = found.fills[:, FILL["price_ticks"]], found.fills[:, FILL["qty_lots"]]
    assert len(found.fills) > 20
    assert found.closing[0] - found.opening[0] == int((sides * lots).sum())
    paid = int((sides * prices * lots).sum()) + found.fees_ticklots
    assert found.closing[1] - found.opening[1] == -paid
    assert found.fees_ticklots > 0
    assert found.open_orders == 0


def test_stays_hold_every_fill_and_end(found: Outcome) -> None:
    orders = found.orders
    by_seq = {int(seq): 0 for seq in orders[:, STAY["seq"]]}
    for row in orders:
        by_seq[int(row[STAY["seq"]])] += int(row[STAY["filled_lots"]])
        assert row[STAY["ended_ns"]] >= row[STAY["began_ns"]] > 0
        assert row[STAY["filled_lots"]] <= row[STAY["qty_lots"]]
    told = dict.fromkeys(by_seq, 0)
    for row in found.fills:
        told[int(row[FILL["seq"]])] += int(row[FILL["qty_lots"]])
    assert told == by_seq
    assert orders[:, STAY["moves"]].max() > 0
    assert len(np.unique(orders[:, STAY["seq"]])) == found.placed - found.refused


def test_the_same_arguments_give_the_same_outcome(thin: Events, found: Outcome) -> None:
    again = run(bot(), [thin])
    assert again.fills.tobytes() == found.fills.tobytes()
    assert again.marks.tobytes() == found.marks.tobytes()
    assert again.orders.tobytes() == found.orders.tobytes()


@pytest.mark.parametrize(
    "model",
    [
        Model(orders_ns=(200 * MS,)),
        Model(answers_ns=(200 * MS,)), Model(orders_ns=(1 * MS, 90 * MS)), Model(every_ns=SECOND),
        Model(timer_ns=0), Model(rate_threshold=60),
    ],
    ids=lambda model: str(model)[6:40],
)  # fmt: skip
def test_every_assumption_changes_what_comes_of_it(
    thin: Events, found: Outcome, model: Model
) -> None:
    made = run(bot(), [thin], model)
    assert made.orders.tobytes() != found.orders.tobytes()
    assert made.open_orders == 0


def queues(cycles: int = 160) -> Events:
    """Make levels that grow behind us and shrink untraded; takers go further out slowly."""
    rows: list[tuple[int, int, int, int]] = []
    now_ns = 1_700_000_000 * SECOND

    def tell(lots: int) -> None:
        for ticks in range(60, 161):
            rows.append((now_ns, 600_000 - ticks, lots, LEVEL))
            rows.append((now_ns, 600_000 + ticks, lots, LEVEL | ASK))
        rows[-1] = (*rows[-1][:3], rows[-1][3] | MESSAGE_END)

    rows.append((now_ns, 0, 0, CLEAR))
    tell(300_000_000)
    for cycle in range(cycles):
        for lots in (600_000_000, 300_000_000):
            now_ns += 200 * MS
            tell(lots)
        now_ns += MS
        ticks = 60 + cycle // 5
        rows.append((now_ns, 600_000 - ticks, 60_000_000, TRADE | ASK | MESSAGE_END))
        rows.append((now_ns, 600_000 + ticks, 60_000_000, TRADE | MESSAGE_END))
    recv_ns, price_ticks, qty_lots, flags = (
        np.array(one, np.int64) for one in zip(*rows, strict=True)
    )
    market = Market("kraken", "BTC/USD", Decimal("0.1"), Decimal("1E-8"))
    venue_ns = np.zeros_like(recv_ns)
    return sealed(
        Events(market, recv_ns, venue_ns, price_ticks, qty_lots, flags.astype(np.uint16))
    )[0]


def test_every_queue_model_fills_otherwise() -> None:
    market = queues()
    careful, half, power, log = (
        run(bot(), [market], one).fills
        for one in (
            Model(), Model(queue="power", power=1), Model(queue="power"), Model(queue="log"),
        )
    )  # fmt: skip
    assert careful[0, FILL["told_ns"]] > max(one[0, FILL["told_ns"]] for one in (half, power, log))
    assert len({one.tobytes() for one in (careful, half, power)}) == 3
    assert log.tobytes() not in {careful.tobytes(), power.tobytes()}


def test_what_we_took_is_missed_for_as_long_as_the_model_says() -> None:
    # Large orders that arrive late are met by a market that has come to them.
    config = bot(
        {"order_amount": "0.2", "num_orders": 1}, max_order_size="1",
        max_open_notional="500000", max_inventory="3",
    )  # fmt: skip
    market, slow = events_of(synthetic("volatile", 5, 120)), (500 * MS,)
    whole = run(config, [market], Model(orders_ns=slow, answers_ns=slow))
    less = run(config, [market], Model(orders_ns=slow, answers_ns=slow, impact_ns=60 * SECOND))
    assert len(less.fills) < len(whole.fills)


def test_draws_of_delays_follow_the_seed(thin: Events) -> None:
    delays = (1 * MS, 40 * MS, 90 * MS)
    one = run(bot(), [thin], Model(orders_ns=delays, seed=1))
    other = run(bot(), [thin], Model(orders_ns=delays, seed=2))
    assert one.orders.tobytes() == run(bot(), [thin], one.model).orders.tobytes()
    assert one.orders.tobytes() != other.orders.tobytes()


def watching(config: BotConfig) -> BotConfig:
    """Let a bot watch Binance beside its own venue."""
    quoted = config.quoted
    other = quoted.model_copy(
        update={
            "name": "binance", "label": "binance", "quote": None, "reference": quoted.pair,
            "maker_fee_ppm": None, "taker_fee_ppm": None,
        }
    )  # fmt: skip
    return config.model_copy(update={"venue": (*config.venue, other)})


def test_a_watched_market_moves_the_reference(thin: Events, found: Outcome) -> None:
    away = replace(
        thin, market=replace(thin.market, venue="binance"), recv_ns=thin.recv_ns - LEAD_S * SECOND
    )
    config = watching(bot())
    assert is_of(config.venue[1], away)
    made = run(config, [away, thin])
    assert made.markets == ("kraken BTC/USD", "binance BTC/USD")
    assert made.left_out == ()
    assert made.events == 2 * found.events
    # It knows where the quoted market will be.
    told, plain = made.marks[:, 3].astype(float), found.marks[:, 3].astype(float)
    count = min(len(told), len(plain)) - LEAD_S
    later = plain[LEAD_S : LEAD_S + count]
    assert np.abs(told[:count] - later).mean() < 0.95 * np.abs(plain[:count] - later).mean()
    alone = run(config, [thin])
    assert alone.left_out == ("binance",)
    assert alone.fills.tobytes() == found.fills.tobytes() != made.fills.tobytes()


def test_quoting_begins_when_the_quoted_book_is_whole(thin: Events, found: Outcome) -> None:
    first_ns = int(thin.recv_ns[0])
    assert found.quoting_ns == first_ns
    ahead = replace(
        thin, market=replace(thin.market, venue="binance"), recv_ns=thin.recv_ns - 30 * SECOND
    )
    made = run(watching(bot()), [thin, ahead])
    assert (made.started_ns, made.quoting_ns) == (first_ns - 30 * SECOND, first_ns)
    assert measure(made).orders.an_hour == pytest.approx(
        (made.placed + made.amended + made.cancelled) / (made.ended_ns - first_ns) * 3600 * SECOND
    )
    assert run(bot(), [thin], start_ns=first_ns + 9 * SECOND).quoting_ns == first_ns + 9 * SECOND


def book_at(events: Events, now_ns: int) -> Book:
    """Return the book as it was told before a moment."""
    return events.book_before(int(np.searchsorted(events.recv_ns, now_ns)))


def mid_of(book: Book) -> int:
    assert book.best_bid_ticks is not None
    assert book.best_ask_ticks is not None
    return (book.best_bid_ticks + book.best_ask_ticks) * UTICKS_PER_TICK // 2


def exit_of(book: Book, held: int, uticks: int) -> int:
    """Return what trading so many lots away costs against a reference, level by level."""
    worth, left = held * uticks // UTICKS_PER_TICK, abs(held)
    value = price = 0
    for price, qty in book.levels(int(held < 0), 1000):
        value += min(left, qty) * price
        left -= min(left, qty)
    value += left * price
    return worth + value if held < 0 else worth - value


@pytest.mark.parametrize("times", [1, 200])
def test_each_mark_and_the_end_keep_what_leaving_would_cost(thin: Events, times: int) -> None:
    config = bot(
        {"order_amount": str(Decimal("0.01") * times)},
        paper={"base": str(times), "quote": str(60_000 * times)}, max_order_size="10",
        max_open_notional="10000000", max_inventory="60",
    )  # fmt: skip
    found = run(config, [thin])
    told_in = in_steps_of(found.instrument, thin)
    costs, deep = set(), 0
    for told_ns, _, base, uticks, _, cost in found.marks.tolist():
        held, book = base - found.opening[0], book_at(told_in, told_ns)
        assert cost == exit_of(book, held, uticks)
        costs.add(cost)
        deep += abs(held) > book.levels(int(held < 0), 1)[0][1]
    assert len(costs) > 5
    assert deep > 5, "beyond the best level"
    held = found.closing[0] - found.opening[0]
    book = told_in.book_before(len(thin))
    assert found.closing_exit_ticklots == exit_of(book, held, found.closing_uticks) > 0
    assert found.taker_fee_ppm > 0
    told = measure(found)
    assert told.position
    assert told.flattened < told.net


@pytest.mark.parametrize("every_ns", [0, 100 * MS, SECOND])
def test_references_of_a_fill_are_of_their_very_moments(thin: Events, every_ns: int) -> None:
    found = run(bot(), [thin], Model(every_ns=every_ns))
    told_in = in_steps_of(found.instrument, thin)
    end_ns = int(thin.recv_ns[-1])
    assert len(found.fills) > 10
    after = FILL["after_100ms_uticks"]
    missing = 0
    for row in found.fills.tolist():
        told_ns = row[FILL["told_ns"]]
        if told_ns > end_ns:
            continue
        assert row[FILL["reference_uticks"]] == mid_of(book_at(told_in, told_ns)), told_ns
        for place, span_ns in enumerate(HORIZONS_NS):
            reached = told_ns + span_ns <= end_ns
            missing += not reached
            expected = mid_of(book_at(told_in, told_ns + span_ns)) if reached else 0
            assert row[after + place] == expected, (told_ns, span_ns)
    assert missing
    for row in found.orders.tolist():
        told_ns = row[STAY["began_ns"]] + found.model.answers_ns[0]
        if told_ns <= end_ns:
            assert row[STAY["reference_uticks"]] == mid_of(book_at(told_in, told_ns))


def test_no_reference_of_a_moment_is_told_as_none(thin: Events) -> None:
    # Behind the first fill the book is not told for longer than it is believed.
    whole = run(bot(), [thin])
    first_ns = int(whole.fills[0, FILL["told_ns"]])
    gap = thin.recv_ns > first_ns + 100 * MS
    silence = np.where(gap, 40 * SECOND, 0)
    late = replace(thin, recv_ns=thin.recv_ns + silence, venue_ns=thin.venue_ns + silence)
    row = run(bot(), [late]).fills[0, FILL["after_100ms_uticks"] :].tolist()
    assert row[0] > 0
    assert row[1:3] == [row[0], -1]
    assert row[3] > 0
    assert measure(run(bot(), [late])).markouts["10s"].late >= 1


def test_quantities_beyond_a_book_are_refused(thin: Events) -> None:
    # Ten thousand times finer lots of the venue: what they come to is more than a book holds.
    coarse = replace(thin, market=replace(thin.market, lot_size=Decimal("0.0001")))
    many = replace(coarse, qty_lots=np.where(coarse.qty_lots > 0, 1 << 40, 0))
    with pytest.raises(
        ConfigError, match=r"at most 4,503,599,627,370,496: .* a quantity of 10,995"
    ):
        run(bot(), [many])
    assert run(bot(), [replace(coarse, qty_lots=coarse.qty_lots // 10_000 + 1)]).events


def test_orders_that_take_join_no_queue(thin: Events) -> None:
    take = {
        "rebalance": "take", "rebalance_threshold": "0.5%", "rebalance_exit": "0.1%",
        "rebalance_slippage": "20bps", "rebalance_cost_max": "40bps",
    }  # fmt: skip
    found = run(bot(take), [thin])
    taken = found.fills[found.fills[:, FILL["maker"]] == 0]
    assert len(taken) > 2
    assert not np.isin(taken[:, FILL["seq"]], found.orders[:, STAY["seq"]]).any()
    made = found.fills[found.fills[:, FILL["maker"]] == 1]
    assert np.isin(made[:, FILL["seq"]], found.orders[:, STAY["seq"]]).all()


def test_orders_on_their_way_do_not_stand(thin: Events, found: Outcome) -> None:
    late = run(bot(), [thin], Model(orders_ns=(40 * SECOND,)))
    near, far = measure(found), measure(late)
    stood = [(one.quoted or 0) + (one.one_sided or 0) for one in (near, far)]
    assert stood[0] > 0.8
    assert 0 < stood[1] < 0.67, "of 120 s the first 40 are without"
    assert np.mean(late.marks[:, MARK_FIELDS.index("live_count")] > 0) > 0.9, (
        "they are sent at once"
    )


@pytest.mark.parametrize("regime", ["thin", "volatile"])
def test_messages_come_to_what_their_columns_come_to(regime: str) -> None:
    stream = synthetic(regime, 3, 120)
    raw, told = run(bot(), [stream]), run(bot(), [events_of(stream)])
    assert len(raw.fills) > 10
    assert raw.messages == raw.events == len(stream.records)
    assert raw.fills.tobytes() == told.fills.tobytes()
    assert raw.orders.tobytes() == told.orders.tobytes()


def test_what_is_prepared_runs_as_a_run_does(thin: Events, found: Outcome) -> None:
    made = prepare(bot(), [thin], Model())
    assert not made.run()
    assert made.fills_bytes() == found.fills.tobytes()


def test_a_market_of_no_venue_of_the_file_stands_in_for_the_quoted_one(thin: Events) -> None:
    elsewhere = replace(thin, market=replace(thin.market, venue="coinbase"))
    made = run(bot(), [elsewhere])
    assert made.markets == ("coinbase BTC/USD",)
    assert len(made.fills) > 20


def test_the_first_market_is_not_one_that_is_watched(thin: Events) -> None:
    away = replace(thin, market=replace(thin.market, venue="binance"))
    with pytest.raises(ConfigError, match="binance BTC/USD"):
        run(watching(bot()), [away])


def test_steps_that_do_not_fit_are_refused(thin: Events) -> None:
    instrument = synthetic("thin", 2, 1).instrument("kraken")
    finer = replace(thin, market=replace(thin.market, tick_size=Decimal("0.03")))
    with pytest.raises(ConfigError, match=r"tick size 0\.03"):
        in_steps_of(instrument, finer)
    far = Decimal(10) ** 18
    for market in (replace(thin.market, tick_size=far), replace(thin.market, lot_size=far)):
        wide = replace(thin, market=market)
        with pytest.raises(ConfigError, match=r"steps near .*is beyond"):
            in_steps_of(instrument, wide)
    dust = replace(finer.market, tick_size=Decimal("1E-20"))
    with pytest.raises(ConfigError, match=r"steps near .*is beyond"):
        in_steps_of(instrument, replace(finer, market=dust))


def test_a_book_that_never_becomes_whole_is_refused(thin: Events) -> None:
    with pytest.raises(ConfigError, match="becomes whole"):
        run(bot(), [thin.cut(len(thin) - 10, len(thin))])


def test_an_account_that_no_number_holds_is_refused(thin: Events) -> None:
    config = bot()
    rich = config.paper.model_copy(update={"base": Decimal(99_999_999_999)})
    with pytest.raises(ConfigError, match=r"paper: an account worth at most [\d,]+ USD"):
        run(config.model_copy(update={"paper": rich}), [thin])


def test_a_file_without_fees_is_refused(thin: Events) -> None:
    config = bot()
    free = config.quoted.model_copy(update={"maker_fee_ppm": None, "taker_fee_ppm": None})
    with pytest.raises(ConfigErrors, match="maker_fee and taker_fee are needed"):
        run(config.model_copy(update={"venue": (free,)}), [thin])


def test_no_market_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="one market at least"):
        run(bot(), [])
