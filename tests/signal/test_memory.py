"""What a bot that is back within minutes goes on from, and what it leaves aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from openmm._fast.book import Book
from openmm._fast.intensity import Intensity
from openmm._fast.pipeline import Feed
from openmm._fast.signals import Signals
from openmm._fast.units import BookSide
from openmm.config import BotConfig, intensity_params, parse
from openmm.signal.memory import SignalMemory, go_on, restore, states
from openmm.testing.workload import canonical_instrument
from openmm.venues.kraken.wire import KrakenDecoder

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
BTC = [canonical_instrument()]


def parsed(**signal: str) -> BotConfig:
    return parse(
        {
            "bot": {"name": "grid", "mode": "paper"},
            "venue": [
                {"name": "kraken", "quote": "BTC/USD", "maker_fee": "0.2%", "taker_fee": "0.35%"}
            ],
            "strategy": {
                "kind": "grid", "spread": "0.6%", "order_amount": "0.01", "num_orders": 2,
                "rebalance_threshold": "10%", "target_base": "50%",
            },
            "risk": {
                "max_order_size": "0.05", "max_open_notional": "20000",
                "max_inventory": "0.5", "max_drawdown": "2%",
            },
            "signal": signal,
        }
    )  # fmt: skip


CONFIG = parsed()


def fresh() -> Feed:
    book = Book()
    decoder = KrakenDecoder()
    decoder.bind("BTC/USD", 0, book, 1, 1, 1, 8)
    return Feed(decoder, book, Signals(), 0, quoted=True)


def warm() -> Feed:
    feed = fresh()
    feed.book.catch_up()
    for number in range(4):
        feed.book.apply(BookSide.BID, 1_000 + number, 10)
        feed.book.apply(BookSide.ASK, 1_010, 10)
        feed.book.verify(NOW - SECOND)
        feed.signals.on_book(feed.book, NOW - 4 * SECOND + number * SECOND)
    return feed


def test_signals_of_a_bot_that_is_back_go_on_where_they_were(tmp_path: Path) -> None:
    before, after = warm(), fresh()
    memory = SignalMemory(tmp_path / "signals")
    memory.write({"a longer text": {"that": "was there before" * 100}})
    memory.write(states(CONFIG, BTC, [before]))
    # No close: what a killed engine leaves.
    found = SignalMemory(tmp_path / "signals").read()
    taken = go_on(CONFIG, BTC, [after], found, NOW)
    assert list(taken) == ["kraken"]
    assert after.signals.warm
    assert after.signals.state() == before.signals.state()
    assert after.signals.sigma_uticks == before.signals.sigma_uticks


@pytest.mark.parametrize(
    ("config", "now_ns", "tick"),
    [
        (CONFIG, NOW + 121 * SECOND, "same"),  # older than the slow variance remembers
        (CONFIG, NOW - 10 * SECOND, "same"),  # from the future
        (parsed(vol_fast="20s"), NOW, "same"),
        (CONFIG, NOW, "other"),
    ],
)
def test_state_that_is_old_or_of_other_settings_is_left_aside(
    config: BotConfig, now_ns: int, tick: str
) -> None:
    after = fresh()
    instruments = BTC if tick == "same" else [replace(BTC[0], tick_size=BTC[0].tick_size * 10)]
    assert go_on(config, instruments, [after], states(CONFIG, BTC, [warm()]), now_ns) == {}
    assert not after.signals.warm


def test_state_of_another_venue_under_the_same_label_is_left_aside() -> None:
    before = states(CONFIG, BTC, [warm()])
    venue = CONFIG.venue[0].model_copy(update={"name": "gateio"})
    after = fresh()
    moved = CONFIG.model_copy(update={"venue": (venue,)})
    assert go_on(moved, BTC, [after], before, NOW) == {}
    assert not after.signals.warm


@pytest.mark.parametrize(
    "state",
    [None, [], {}, {"sampled_ns": "x"}, {"sampled_ns": NOW}, {"sampled_ns": NOW - 1, "q": 2}],
)
def test_damaged_state_is_left_aside(state: Any) -> None:
    before = states(CONFIG, BTC, [warm()])
    before["kraken"]["state"] = state
    after = fresh()
    assert go_on(CONFIG, BTC, [after], before, NOW) == {}
    assert go_on(CONFIG, BTC, [after], {"kraken": state}, NOW) == {}
    assert not after.signals.warm


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[1]", b'{"kraken": {"st'])
def test_file_that_is_torn_gives_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "signals").write_bytes(text)
    assert SignalMemory(tmp_path / "signals").read() == {}


def test_cold_signals_are_not_kept() -> None:
    assert states(CONFIG, BTC, [fresh()]) == {}


def fitted(feed: Feed, at_ns: int) -> Feed:
    """Give a feed a fit that has seen a minute."""
    fit = Intensity(**intensity_params(CONFIG.signal, 1_000))
    made = Feed(feed_decoder(), feed.book, feed.signals, 0, quoted=True, intensity=fit)
    for i in range(400):
        fit.on_mid(at_ns - 60 * SECOND + i * SECOND // 8, 1_000_000_000)
        fit.on_trade(
            at_ns - 60 * SECOND + i * SECOND // 8, 1 + i % 2, 1_000 + (i % 9) * (1 - 2 * (i % 2))
        )
    fit.on_mid(at_ns, 1_000_000_000)
    return made


def cold_fit() -> Feed:
    feed = fresh()
    fit = Intensity(**intensity_params(CONFIG.signal, 1_000))
    return Feed(feed_decoder(), feed.book, feed.signals, 0, quoted=True, intensity=fit)


def feed_decoder() -> KrakenDecoder:
    decoder = KrakenDecoder()
    decoder.bind("BTC/USD", 0, Book(), 1, 1, 1, 8)
    return decoder


def fit_of(feed: Feed) -> Intensity:
    assert feed.intensity is not None
    return feed.intensity


@pytest.mark.parametrize(
    ("away_s", "kept"), [(1, ["state", "fit"]), (300, ["fit"]), (700, []), (-10, [])]
)
def test_fit_outlives_the_process_for_its_half_life(away_s: int, kept: list[str]) -> None:
    before, after = fitted(warm(), NOW), cold_fit()
    assert fit_of(before).decay_uticks > 0
    known = orjson.loads(orjson.dumps(states(CONFIG, BTC, [before])))
    taken = go_on(CONFIG, BTC, [after], known, NOW + away_s * SECOND)
    told = taken.get("kraken", {})
    assert [key for key in ("state", "fit") if key in told] == kept
    same = fit_of(after).state() == fit_of(before).state()
    assert same == ("fit" in kept)
    assert (fit_of(after).decay_uticks > 0) == same
    # A replay goes on from what the session did.
    replayed = cold_fit()
    restore(replayed, told)
    assert fit_of(replayed).state() == fit_of(after).state()
    assert replayed.signals.state() == after.signals.state()


def test_damaged_fit_is_left_aside_and_the_signals_taken() -> None:
    known = states(CONFIG, BTC, [fitted(warm(), NOW)])
    known["kraken"]["fit"]["trials"] = -1.0
    after = cold_fit()
    taken = go_on(CONFIG, BTC, [after], known, NOW)
    assert "state" in taken["kraken"]
    assert "fit" not in taken["kraken"]
    assert fit_of(after).decay_uticks == 0


def test_what_fills_have_left_of_a_ladder_does_not_age_and_needs_no_warm_signals() -> None:
    feed = fresh()
    waits = ([1, 0], [0] * 64, [0] * 64)
    told = orjson.loads(orjson.dumps(states(CONFIG, BTC, [feed], waits)))
    later_ns = NOW + 7 * 86_400 * SECOND
    taken = go_on(CONFIG, BTC, [fresh()], told, later_ns)
    assert taken["kraken"]["waits"] == [list(one) for one in waits]
    assert "state" not in taken["kraken"]
    # The signals' settings say nothing of it, another pair does.
    assert "waits" in go_on(parsed(flow="7s"), BTC, [fresh()], told, NOW)["kraken"]
    other = [replace(BTC[0], name="ETH/USD")]
    assert go_on(CONFIG, other, [fresh()], told, NOW) == {}


def test_side_that_is_quoted_alone_does_not_age_either() -> None:
    feed = fresh()
    told = orjson.loads(orjson.dumps(states(CONFIG, BTC, [feed], one_sided=-1)))
    later_ns = NOW + 7 * 86_400 * SECOND
    assert go_on(CONFIG, BTC, [fresh()], told, later_ns)["kraken"]["one_sided"] == -1
    assert states(CONFIG, BTC, [feed], one_sided=0) == {}
