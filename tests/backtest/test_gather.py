"""Files and recordings become spans: joined where they go on, broken where nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from openmm.backtest.gather import Span, cut, first, gather, quoted_first, with_rates
from openmm.config import BotConfig
from openmm.data.events import BROKEN, CLEAR, MESSAGE_END, READ_END, Events, Market
from openmm.data.integrity import examine
from openmm.data.store import Source, write
from openmm.errors import ConfigError, DataError
from tests.backtest.outcomes import market
from tests.backtest.test_columns import watching
from tests.data.made import small
from tests.rerun.made import bot

NS = 1_000_000_000
SPOT = Market("binance", "BTC/USDT", Decimal("0.1"), Decimal("0.0001"), 0, "spot")


def whole() -> Events:
    """Return a market without its break."""
    return small().cut(0, 8)


def columns(span: Span) -> list[Events]:
    """Return the markets of a span, which none is of messages."""
    found = [one for one in span.markets if isinstance(one, Events)]
    assert len(found) == len(span.markets)
    return found


def labels(span: Span) -> list[str]:
    return [one.market.label for one in columns(span)]


def later(events: Events, s: float, of: Market | None = None) -> Events:
    moved = events.recv_ns + round(s * NS)
    return replace(events, recv_ns=moved, market=of or events.market)


def stored(folder: Path, name: str, events: Events, sources: Sequence[Source] = ()) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.omd"
    write(path, events, sources=sources, integrity=examine(events).to_json())
    return str(path)


def test_files_that_go_on_are_one_series_and_times_apart_are_spans(tmp_path: Path) -> None:
    files = [
        stored(tmp_path, "c", later(whole(), 7200)), stored(tmp_path, "a", whole()),
        stored(tmp_path, "b", later(whole(), 30)),
    ]  # fmt: skip
    early, second = gather(files)
    assert [one.name for one in early.pieces] == ["a.omd", "b.omd"]
    assert [one.name for one in second.pieces] == ["c.omd"]
    (events,) = columns(early)
    assert len(events) == 2 * len(whole()) + 1
    assert not np.any(np.diff(events.recv_ns) < 0)
    assert early.name == "2025-06-15 15:06:40, 30 s"


def test_the_book_is_broken_between_files_unless_the_gap_is_a_moment(tmp_path: Path) -> None:
    near = [stored(tmp_path, "a", whole()), stored(tmp_path, "b", later(whole(), 0.5))]
    (span,) = gather(near)
    assert np.count_nonzero(columns(span)[0].kinds == BROKEN) == 0
    far = [*near[:1], stored(tmp_path, "c", later(whole(), 30))]
    (span,) = gather(far)
    (events,) = columns(span)
    (at,) = np.flatnonzero(events.kinds == BROKEN)
    assert events.recv_ns[at] == whole().recv_ns[-1]
    assert events.flags[at] & np.uint16(MESSAGE_END | READ_END) == MESSAGE_END | READ_END
    assert events.kinds[at + 1] == CLEAR


def test_a_file_that_carries_the_book_on_does_not_break_it(tmp_path: Path) -> None:
    parts = [
        stored(tmp_path, "a", whole().cut(0, 5)),
        stored(tmp_path, "b", later(whole().cut(5, 8), 40)),
    ]
    (span,) = gather(parts)
    assert len(columns(span)[0]) == len(whole())


def test_files_in_other_steps_are_told_in_the_finest(tmp_path: Path) -> None:
    coarse = replace(
        later(whole(), 30), market=replace(whole().market, tick_size=Decimal(1))
    )  # fmt: skip
    (span,) = gather([stored(tmp_path, "a", whole()), stored(tmp_path, "b", coarse)])
    (events,) = columns(span)
    assert events.market.tick_size == Decimal("0.1")
    assert events.price_ticks[-1] == 10 * whole().price_ticks[-1]


def test_markets_of_one_time_are_one_span_in_the_order_named(tmp_path: Path) -> None:
    files = [
        stored(tmp_path, "z", later(whole(), 0, SPOT)), stored(tmp_path, "a", whole()),
        stored(tmp_path, "b", later(whole(), 40)),
    ]  # fmt: skip
    (span,) = gather(files)
    assert labels(span) == [
        "binance-spot BTC/USDT",
        "kraken BTC/USD",
    ]
    (span,) = gather([str(tmp_path)])
    assert labels(span) == [
        "binance-spot BTC/USDT",
        "kraken BTC/USD",
    ]
    (span,) = gather([files[1], str(tmp_path)])
    assert labels(span) == [
        "kraken BTC/USD",
        "binance-spot BTC/USDT",
    ]
    assert len(span.pieces) == 3


def test_one_market_is_put_first_by_its_label(tmp_path: Path) -> None:
    stored(tmp_path, "a", whole())
    stored(tmp_path, "z", later(whole(), 0, SPOT))
    (span,) = gather([str(tmp_path)])
    for text, label in (("kraken", "kraken BTC/USD"), ("binance-spot", "binance-spot BTC/USDT")):
        made = first(span, text)
        assert columns(made)[0].market.label == label
        assert len(columns(made)) == 2
    for text in ("mexc", ""):
        with pytest.raises(ConfigError, match="--quote: the beginning of one of"):
            first(span, text)


def test_it_is_asked_which_market_to_quote_where_several_could_be(tmp_path: Path) -> None:
    coinm = replace(SPOT, pair="BTC/USD", lot_size=Decimal(1), market="coinm")
    usdm = replace(SPOT, market="usdm")
    for name, one in (("a", coinm), ("b", SPOT)):
        stored(tmp_path, name, later(whole(), 0, one))
    (span,) = gather([str(tmp_path)])
    # Contracts cannot be quoted: one is left, wherever it stands.
    made = quoted_first(span, bot())
    assert labels(made) == [
        "binance-spot BTC/USDT", "binance-coinm BTC/USD",
    ]  # fmt: skip
    stored(tmp_path, "c", later(whole(), 0, usdm))
    (span,) = gather([str(tmp_path)])
    asked = "--quote: which of binance-spot BTC/USDT, binance-usdm BTC/USDT to quote as grid's"
    with pytest.raises(ConfigError, match=asked):
        quoted_first(span, bot())
    # A market that the bot's file watches is none to quote.
    config = watching(bot())
    told = {"reference": "BTC/USDT", "options": {"market": "usdm"}}
    venues = (config.venue[0], config.venue[1].model_copy(update=told))
    led = config.model_copy(update={"venue": venues})
    assert columns(quoted_first(span, led))[0].market == SPOT
    # What is chosen, or the bot's own, is quoted.
    chosen = first(span, "binance-usdm")
    assert quoted_first(chosen, bot()) is chosen
    stored(tmp_path, "d", whole())
    (span,) = gather([str(tmp_path)])
    assert quoted_first(span, bot()) is span


def test_files_of_one_market_at_one_time_are_refused(tmp_path: Path) -> None:
    files = [stored(tmp_path, "a", later(whole(), 0)), stored(tmp_path, "b", later(whole(), 1e-8))]
    with pytest.raises(ConfigError, match="do not overlap"):
        gather(files)


def test_two_feeds_of_one_market_in_one_recording_are_two_markets(tmp_path: Path) -> None:
    """A bot may follow a pair of a venue twice; what is recorded of it is no overlap."""
    source = (Source("journal.omj.zst", "5a" * 32, 1),)
    files = [
        stored(tmp_path, name, later(whole(), s), source)
        for name, s in (("a", 0), ("b", 1e-8), ("copy", 0))
    ]
    (span,) = gather(files[:2])
    assert [one.feed for one in span.pieces] == [0, 1]
    assert [len(one) for one in columns(span)] == [len(whole())] * 2
    with pytest.raises(ConfigError, match="do not overlap"):
        gather(files)
    # In a folder the names have the order, whichever began first; parts are no feeds.
    folder = tmp_path / "market"
    stored(folder, "a-2", whole(), source)
    stored(folder, "a", later(whole(), 1e-8), source)
    stored(folder, "b", later(whole(), 30), source)
    (span,) = gather([str(folder)])
    assert [one.name for one in span.pieces] == ["a.omd", "b.omd", "a-2.omd"]
    assert [one.feed for one in span.pieces] == [0, 0, 1]


def test_steps_that_no_number_holds_are_refused(tmp_path: Path) -> None:
    fine = replace(later(whole(), 30), market=replace(whole().market, tick_size=Decimal("1e-18")))
    files = [stored(tmp_path, "a", whole()), stored(tmp_path, "b", fine)]
    with pytest.raises(ConfigError, match="steps too fine"):
        gather(files)


def test_names_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    path = stored(tmp_path, "a", whole())
    with pytest.raises(ConfigError, match="--pair: one of BTC/USD; got 'NOPE/X'"):
        gather([path], "NOPE/X")
    assert len(gather([path], "BTC/USD")) == 1
    with pytest.raises(ConfigError, match="--data"):
        gather([""])


def test_a_market_that_may_be_of_contracts_is_refused(tmp_path: Path) -> None:
    untold = stored(tmp_path, "a", later(whole(), 0, replace(SPOT, pair="BTC/USD", market="")))
    with pytest.raises(
        ConfigError, match=r"a\.omd, --market of its import: one of spot, usdm, coinm"
    ):
        gather([untold])
    assert gather([stored(tmp_path, "b", later(whole(), 0, SPOT))])


def test_verdicts_come_with_the_pieces(tmp_path: Path) -> None:
    write(tmp_path / "unchecked.omd", later(whole(), 7200))
    broken, unchecked = gather([stored(tmp_path, "gap", small()), str(tmp_path / "unchecked.omd")])
    assert [one.name for one in broken.broken] == ["gap.omd"]
    assert "continuity lost" in " ".join(broken.pieces[0].problems)
    assert unchecked.pieces[0].verdict == "not checked"
    assert not unchecked.broken


def test_a_report_of_before_is_told_that_trades_are_missing(tmp_path: Path) -> None:
    events = whole()
    alone = events.cut(0, 5)
    for verdict, told in (("good", "doubtful"), ("broken", "broken")):
        write(tmp_path / f"{verdict}.omd", alone, integrity={"verdict": verdict, "problems": []})
        (span,) = gather([str(tmp_path / f"{verdict}.omd")])
        assert span.pieces[0].verdict == told
        assert "no trades: orders would be filled" in " ".join(span.pieces[0].problems)
    (span,) = gather([stored(tmp_path, "new", alone)])
    assert len(span.pieces[0].problems) == 1


def test_a_recording_is_converted_as_it_is_read(shared: Path) -> None:
    path = shared / "data/kraken/v2_btcusd_d10_20260801.cbcap.gz"
    (span,) = gather([str(path)])
    assert span.about.startswith("kraken BTC/USD, ")
    assert span.pieces[0].verdict == "doubtful"
    assert span.pieces[0].problems == (
        "no trades: orders would be filled by the book crossing them alone",
    )


def test_a_cut_begins_behind_the_book_that_was_there(tmp_path: Path) -> None:
    (span,) = gather([stored(tmp_path, "a", whole())])
    start_ns = int(whole().recv_ns[5])
    (part,) = cut([span], start_ns, start_ns + 1)
    (events,) = columns(part)
    assert events.kinds[0] == CLEAR
    assert set(events.recv_ns.tolist()) == {start_ns}
    with pytest.raises(ConfigError, match=r"--from, --to: a part of the data, "):
        cut([span], start_ns + NS, start_ns + 2 * NS)


def with_rate() -> BotConfig:
    """Return a bot that watches a market whose rate the data lacks."""
    config = bot()
    venue = config.venue[0].model_copy(
        update={"name": "binance", "label": "parity", "quote": None, "rate": "USDT/USD"}
    )
    return config.model_copy(update={"venue": (*config.venue, venue)})


def test_a_rate_that_the_data_lacks_is_held(tmp_path: Path) -> None:
    config = with_rate()
    path = tmp_path / "a.omd"
    write(path, market(seconds=5))
    (span,) = gather([str(path)])
    made = with_rates(span, [config], [("USDT/USD", "0.9995")])
    events = columns(made)[1]
    assert (events.market.venue, events.market.pair) == ("binance", "USDT/USD")
    book = events.book_before(len(events))
    bid, ask = book.best_bid_ticks, book.best_ask_ticks
    assert bid is not None
    assert ask is not None
    assert (bid + ask) * events.market.tick_size / 2 == Decimal("0.9995")
    assert np.diff(np.unique(events.recv_ns)).max() == NS
    assert made.pieces[-1].name == "USDT/USD held at 0.9995"
    assert with_rates(made, [config], [("USDT/USD", "1")]).markets == made.markets
    with pytest.raises(ConfigError, match="EUR/USD"):
        with_rates(span, [config], [("EUR/USD", "1")])


def test_a_rate_is_held_over_a_gap_without_a_message_for_every_second(tmp_path: Path) -> None:
    config = with_rate()
    path = tmp_path / "a.omd"
    write(path, market(seconds=5))
    (span,) = gather([str(path)])
    (events,) = columns(span)
    half = len(events) // 2
    late = np.arange(len(events)) >= half
    gone = replace(events, recv_ns=events.recv_ns + np.where(late, 30 * 86_400 * NS, 0))
    made = columns(with_rates(replace(span, markets=(gone,)), [config], [("USDT/USD", "0.9995")]))
    told = np.unique(made[1].recv_ns)
    assert len(told) < 2 * 3600
    # By the second at each event, and for an hour behind the last one before the gap.
    for at_ns in (*gone.recv_ns.tolist(), int(gone.recv_ns[half - 1]) + 3600 * NS):
        assert 0 <= at_ns - told[np.searchsorted(told, at_ns, side="right") - 1] < NS


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--data: a \.omd file, a folder"):
        gather([])
    with pytest.raises(ConfigError, match="it is not there"):
        gather([str(tmp_path / "none.omd")])
    with pytest.raises(ConfigError, match="a recording that is there"):
        gather([str(tmp_path / "none.gz")])
    with pytest.raises(ConfigError, match=r"a folder with \.omd files"):
        gather([str(tmp_path)])
    (tmp_path / "bad.omd").write_bytes(b"OMDATA1\n" + bytes(40))
    with pytest.raises(DataError):
        gather([str(tmp_path)])
