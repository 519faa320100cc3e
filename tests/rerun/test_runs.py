"""A bot over a stream: figures that add up, are the same every time, and follow the fill model."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from openmm.errors import ConfigErrors, OpenMMError
from openmm.rerun.runs import Books, Result, placed_in, run
from openmm.rerun.streams import Stream, recorded, synthetic
from tests.rerun.made import bot


@pytest.fixture(scope="module")
def thin() -> Stream:
    return synthetic("thin", 2, 120)


@pytest.fixture(scope="module")
def found(thin: Stream) -> Result:
    return run(bot(), thin)


def test_the_causes_add_up_to_the_ledgers_pnl(found: Result) -> None:
    split = found.report.by_cause
    assert split is not None
    whole = split.total
    assert whole.fills > 20
    assert whole.spread + whole.adverse + whole.drift + whole.unsplit == whole.total
    assert whole.total - whole.fees - whole.costs == whole.net == found.report.pnl.net
    assert whole.fees > 0
    assert split.unexplained == 0


def test_messages_are_those_of_the_orders(found: Result) -> None:
    orders = found.report.orders
    assert found.messages.placed == orders.placed
    assert found.messages.actions >= orders.placed + orders.amended
    assert 0 < found.messages.frames <= found.messages.actions
    assert orders.live == 0


def test_extremes_hold_the_end(found: Result) -> None:
    made, position = found.extremes, found.report.pnl.position
    assert made.least <= position <= made.greatest
    assert made.least <= 0 <= made.greatest
    assert made.least < made.greatest
    assert made.drawdown >= 0
    net = found.report.pnl.net
    assert net is not None
    assert made.drawdown >= -net


def test_the_same_arguments_give_the_same_figures(thin: Stream, found: Result) -> None:
    assert run(bot(), thin).to_json() == found.to_json()


def test_latency_and_parameters_change_what_comes_of_it(thin: Stream, found: Result) -> None:
    late = run(bot(paper={"latency": "900ms"}), thin)
    wide = run(bot({"spread": "12bps"}), thin)
    shares = [
        one.report.time_at_touch["bid"].at_touch for one in (found, late, wide)
    ]  # fmt: skip
    assert late.report.pnl.net != found.report.pnl.net
    assert late.latency_ns == 900_000_000
    assert shares[2] is not None
    assert shares[0] is not None
    assert shares[2] < shares[0]


def test_orders_over_rest_run_as_well(thin: Stream) -> None:
    found = run(bot(venue="mexc", pair="BTC/USDT"), thin.cut(30))
    assert found.report.session.venue == "mexc"
    assert found.report.orders.amended == 0
    assert found.report.orders.acknowledged > 0


def test_a_recording_runs_at_its_own_steps(shared: Path) -> None:
    # The second day: it begins with the book that the first one ends with.
    stream = recorded(str(shared / "data/binance/spot_btcusdt_20240809.gz")).cut(120)
    found = run(bot(), stream)
    assert found.report.session.instrument == "BTC/USDT"
    assert found.report.pnl.asset == "USDT"
    assert found.report.orders.acknowledged > 0
    assert found.report.books["0"].breaks == 0


def test_a_tape_that_was_full_is_an_error(tmp_path: Path) -> None:
    books = Books(tmp_path, "small", 1 << 16)
    while not books.tape.full:
        books.tape.append(2, 0, 1, bytes(1000))
    books.tape.append(2, 0, 1, bytes(1000))
    with pytest.raises(OpenMMError, match="the tape was full"):
        books.read(force=True)
    books.close()


def test_the_account_opens_at_the_target(thin: Stream) -> None:
    one = thin.instrument("kraken")
    config = bot({"target_base": "25%"})
    placed = placed_in(config, one, 600_000)
    worth = placed.paper.base * 60_000 + placed.paper.quote
    assert worth == config.paper.base * 60_000 + config.paper.quote
    assert placed.paper.base == Decimal("0.5")


def test_a_bot_that_does_not_fit_the_market_is_refused(thin: Stream) -> None:
    with pytest.raises(ConfigErrors, match="order_amount"):
        run(bot({"order_amount": "0.00000001"}), thin)
