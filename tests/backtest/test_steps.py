"""Ticks, lots and minimums of recorded markets: the venue's, the data's, and contracts in base."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from openmm._fast.units import UTICKS_PER_TICK
from openmm.backtest.columns import events_of, instrument_of, run
from openmm.backtest.model import SECOND
from openmm.backtest.steps import in_base, in_steps_of, opening
from openmm.data.events import LEVEL, TRADE, Events, Market, finer
from openmm.errors import ConfigError
from openmm.rerun import runs
from openmm.rerun.streams import synthetic
from tests.backtest.test_columns import watching
from tests.data.made import small
from tests.rerun.made import bot

COINM = Market("binance", "BTC/USD", Decimal("0.1"), Decimal(1), 0, "coinm")


@pytest.fixture(scope="module")
def thin() -> Events:
    return events_of(synthetic("thin", 2, 120))


def at_market(events: Events, **told: object) -> Events:
    return replace(events, market=replace(events.market, **told))  # type: ignore[arg-type]


def test_a_tick_is_the_coarser_one_and_minimums_are_the_venues(thin: Events) -> None:
    # Bitget has two decimals, the data one: no order stands at a price the market cannot have.
    made = run(bot(venue="bitget", pair="BTC/USDT"), [at_market(thin, pair="BTC/USDT")])
    one = made.instrument
    assert (one.tick_size, one.qty_min, one.cost_min) == (
        Decimal("0.1"), Decimal("0.000001"), Decimal(1),
    )  # fmt: skip
    assert made.placed > 20
    assert "ticks are the data's 0.1, bitget's are 0.01" in made.problems
    assert "lots are the data's 0.00000001, bitget's are 0.000001" in made.problems
    # The venue's own market is as it lists it, and nothing is told.
    own = run(bot(), [thin])
    assert own.instrument.qty_min == Decimal("0.00005")
    assert own.instrument.cost_min == Decimal("0.5")
    assert own.problems == ()


def test_finer_data_are_quoted_in_the_venues_ticks(thin: Events) -> None:
    # The same market, told in hundredths, and in the name of the pair it stands in for.
    fine = finer(thin, replace(thin.market, tick_size=Decimal("0.01")))
    shifted = replace(fine, price_ticks=np.where(fine.price_ticks > 0, fine.price_ticks + 3, 0))
    made = run(bot(), [at_market(shifted, pair="BTC/USDT")])
    assert made.instrument.tick_size == Decimal("0.1")
    assert made.instrument.name == "BTC/USDT"
    assert made.placed > 20
    assert made.problems == ("ticks are kraken's 0.1: bids were taken down to them, asks up",)
    # Where the finer ticks are empty it is the market in the venue's.
    same = run(bot(), [at_market(fine, pair="BTC/USDT")])
    assert same.fills.tobytes() == run(bot(), [thin]).fills.tobytes()


def test_what_a_venue_does_not_list_is_in_the_datas_steps() -> None:
    events = at_market(small(), pair="DOGE/USD")
    one = instrument_of("kraken", events)
    assert (one.tick_size, one.lot_size, one.qty_min) == (
        Decimal("0.1"), Decimal("0.0001"), Decimal("0.0001"),
    )  # fmt: skip
    # A pair of another base lists nothing for it.
    assert instrument_of("kraken", events, "BTC/USD") == one
    assert instrument_of("kraken", at_market(events, pair="BTC/USDT"), "BTC/USD").qty_min == (
        Decimal("0.00005")
    )


def test_a_contract_is_worth_what_it_buys_when_the_book_is_first_whole() -> None:
    events = replace(small(), market=COINM)
    one = in_base(instrument_of("binance", events), events)
    # The middle of 100.0 and 100.1 rounds down to a tick.
    assert opening(events)[1] == 1000
    assert one.lot_size == 1  # 100 dollars at 100 dollars
    dear = replace(events, price_ticks=events.price_ticks * 600)
    told = in_base(instrument_of("binance", dear), dear)
    assert told.lot_size == (Decimal(100) / 60030).quantize(Decimal("1e-12"))
    assert np.array_equal(in_steps_of(told, dear).qty_lots, events.qty_lots)
    ether = replace(dear, market=replace(COINM, pair="ETH/USD"))
    lot = in_base(instrument_of("binance", ether), ether).lot_size
    assert lot == (Decimal(10) / 60030).quantize(Decimal("1e-12"))
    # Where no book is whole the first price counts; without any nothing can be said.
    cut = dear.cut(6, 8)
    assert in_base(instrument_of("binance", cut), cut).lot_size == (
        (Decimal(100) / 60060).quantize(Decimal("1e-12"))
    )
    assert in_base(instrument_of("binance", dear.cut(0, 1)), dear.cut(0, 1)).lot_size == 1


def test_a_contract_is_never_quoted(thin: Events) -> None:
    contracts = replace(thin, market=COINM)
    with pytest.raises(ConfigError, match=r"worth 100 of .* got .binance-coinm BTC/USD"):
        run(bot(), [contracts])
    stream = synthetic("thin", 2, 1)
    perpetual = msgspec.structs.replace(stream.told, symbol="ETHUSD_PERP")
    messages = replace(stream, venue="binance", pair="ETHUSD_PERP", told=perpetual)
    for whole in (lambda: run(bot(), [messages]), lambda: runs.run(bot(), messages)):
        with pytest.raises(ConfigError, match=r"worth 10 of .* got .binance ETHUSD_PERP"):
            whole()


def test_contracts_weigh_as_what_they_are_worth(thin: Events) -> None:
    # The same depth on both markets, told in contracts on one: nobody leads by its units.
    mid = opening(thin)[1] * thin.market.tick_size
    worth = Decimal(100) / mid / thin.market.lot_size
    levels = thin.qty_lots > 0
    qtys = np.where(levels, np.maximum(1, (thin.qty_lots / float(worth)).round()), 0)
    # It is two seconds ahead: the more it weighs, the more of that is in the reference.
    times = thin.recv_ns - 2 * SECOND
    contracts = replace(thin, recv_ns=times, qty_lots=qtys.astype(np.int64), market=COINM)
    coins = replace(thin, recv_ns=times, market=replace(thin.market, venue="binance"))
    config = watching(bot())
    venue = config.venue[1].model_copy(update={"options": {"market": "coinm"}})
    led = config.model_copy(update={"venue": (config.venue[0], venue)})
    plain, told = (
        run(one, markets).marks[:, 3].astype(float)
        for one, markets in ((config, [thin, coins]), (led, [thin, contracts]))
    )
    alone = run(bot(), [thin]).marks[:, 3].astype(float)
    count = len(alone) - 2
    gained = np.abs(plain[:count] - alone[:count]).mean()
    assert gained > 10 * UTICKS_PER_TICK
    assert np.abs(told - plain).mean() < 0.1 * gained


def test_coarser_ticks_hold_what_stood_at_finer_ones() -> None:
    cents = at_market(small(), tick_size=Decimal("0.01"))
    made = in_steps_of(instrument_of("kraken", cents), cents)
    # 10.00, 9.99 | 10.01, 10.03: bids down to 10.0 and 9.9, asks up to 10.1.
    kinds = made.kinds
    assert made.market.tick_size == Decimal("0.1")
    assert made.price_ticks[kinds == LEVEL].tolist() == [100, 99, 101, 101, 101, 100, 99, 101]
    lots = made.qty_lots[kinds == LEVEL] // 10_000  # the venue's are finer
    assert lots.tolist() == [50, 20, 30, 40, 30, 0, 7, 9]
    assert made.price_ticks[kinds == TRADE].tolist() == [101]
    with pytest.raises(ValueError, match="no multiple of"):
        finer(small(), replace(small().market, tick_size=Decimal("0.25")))
