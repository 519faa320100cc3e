"""Fitting a recording: a known market is found again, counts are the kernel's, a bot goes on."""

from __future__ import annotations

import json
import math
import re
import time
import tomllib
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest

from openmm._fast.book import Book
from openmm._fast.intensity import Intensity
from openmm._fast.pipeline import Feed
from openmm._fast.signals import Signals
from openmm._fast.units import UTICKS_PER_TICK
from openmm.cli.fit import seed_memory
from openmm.cli.main import main
from openmm.config import BotConfig, intensity_params, load, model_params, parse, signal_params
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.rerun.fit import Fitted, fit, read
from openmm.rerun.fit_page import cells, page, why_none
from openmm.rerun.streams import Stream, synthetic
from openmm.signal.memory import SignalMemory, go_on, seeded
from openmm.venues.kraken.wire import KrakenDecoder
from openmm.venues.recordings import Record, RecordedPair
from tests.rerun.made import bot

SECOND = 1_000_000_000
MS = 1_000_000
T0 = 1_750_000_000 * SECOND
PRICE = 600_000  # ticks of 0.1
PPM = 1_000_000
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "bots" / "grid.toml"
WALK = 4  # ticks up or down, each second


def frame(kind: str, data: str) -> bytes:
    return f'{{"channel":"{kind}","type":"update","data":[{data}]}}'.encode()


def book_of(mid: int) -> bytes:
    sides = [f'[{{"price":{(mid + away) / 10:.1f},"qty":1.00000000}}]' for away in (-1, 1)]
    return (
        '{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD",'
        f'"bids":{sides[0]},"asks":{sides[1]},"checksum":0}}]}}'
    ).encode()


def market(
    arrival: float, decay_ticks: float, seed: int, seconds: int = 1_200, trades: bool = True
) -> Stream:
    """A mid that walks each second, and takers of both sides, each to an exponential distance."""
    chance = Random(seed)
    mid, number = PRICE, 0
    records = []
    for second in range(seconds):
        now_ns = T0 + second * SECOND
        # Just before the interval begins: its distances are from this mid.
        records.append(Record(now_ns - (MS if second else 0), book_of(mid)))
        moments = []
        for side, sign in (("buy", 1), ("sell", -1)):
            at = chance.expovariate(arrival)
            while at < 1.0:
                moments.append((at, side, sign))
                at += chance.expovariate(arrival)
        for at, side, sign in sorted(moments) if trades else ():
            number += 1
            price = mid + sign * math.floor(chance.expovariate(1 / decay_ticks))
            told = (
                f'{{"symbol":"BTC/USD","side":"{side}","price":{price / 10:.1f},"qty":0.01,'
                f'"ord_type":"market","trade_id":{number},'
                '"timestamp":"2025-06-15T15:06:40.000000Z"}'
            )
            records.append(Record(now_ns + int(at * 0.998 * SECOND), frame("trade", told)))
        mid += chance.choice((-WALK, WALK))
    pair = RecordedPair("BTC/USD", 1, 8, 10)
    return Stream("made", "made for a test", "BTC/USD", pair, records, unverified)


def unverified(pair: RecordedPair, instrument: Instrument, book: Book) -> KrakenDecoder:
    """Kraken's decoder without checksums: these books have none."""
    made = KrakenDecoder()
    made.bind(
        pair.symbol, 0, book, instrument.tick_points, pair.price_decimals,
        instrument.lot_points, pair.qty_decimals, 10, False,
    )  # fmt: skip
    return made


def configured(**signal: int) -> BotConfig:
    config = bot()
    return config.model_copy(update={"signal": config.signal.model_copy(update=signal)})


@pytest.fixture(scope="module")
def made() -> Fitted:
    return fit(bot(), market(1.5, 40, 3))


# ------------------------------------------------------------------------ what is recovered


@pytest.mark.parametrize(
    ("arrival", "decay_ticks", "seed"), [(0.5, 40, 1), (1.5, 40, 3), (3, 15, 2), (6, 100, 4)]
)
def test_known_market_lies_within_the_error_bars(
    arrival: float, decay_ticks: float, seed: int
) -> None:
    found = fit(bot(), market(arrival, decay_ticks, seed))
    assert found.fit is not None
    for one, truth in ((found.fit.arrival, arrival), (found.fit.decay, decay_ticks / PRICE)):
        assert abs(one.value - truth) < 2.5 * one.error
        assert one.error < 0.25 * truth
        low, high = one.range95
        assert high - low == pytest.approx(2 * 1.96 * one.error)
    assert found.fit.chance > 1e-3
    # What the engine would quote by is of the last minutes and near.
    assert found.kernel_arrival == pytest.approx(arrival, rel=0.3)
    assert found.kernel_decay == pytest.approx(decay_ticks / PRICE, rel=0.3)
    # The mid walks by so many ticks a second.
    assert found.sigma is not None
    assert abs(found.sigma.value - WALK / PRICE) < 3 * found.sigma.error
    assert found.sigma.error < 0.1 * found.sigma.value


def test_trades_and_intervals_are_counted(made: Fitted) -> None:
    stream = market(1.5, 40, 3)
    assert made.trades == sum(b'"channel":"trade"' in one.data for one in stream.records)
    assert made.intervals == 2 * int(made.seconds / made.sample_s)
    assert made.price == PRICE / 10
    hits = [one.hits for one in made.points]
    assert hits == sorted(hits, reverse=True)
    assert all(one.low < one.rate < one.high for one in made.points)
    assert sum(one.used for one in made.points) >= 10


def test_counts_are_the_kernels() -> None:
    stream = market(2, 30, 7, seconds=300)
    instrument, signal = stream.instrument("kraken"), bot().signal
    told = intensity_params(signal, PRICE) | {"half_life_ns": 10**6 * SECOND}
    kernel, signals = Intensity(**told), Signals(**signal_params(bot(), PRICE))
    seen = read(stream, instrument, signals, kernel, signal.sample_ns, signal.fit_sample_ns)
    state = kernel.state()
    assert state["trials"] == pytest.approx(len(seen.reaches), rel=1e-3)
    for edge, hits in zip(kernel.distances_uticks, state["hits"], strict=True):
        assert hits == pytest.approx(sum(one >= edge for one in seen.reaches), rel=1e-3)


def test_samples_are_those_of_the_bots_signals(made: Fitted) -> None:
    stream = market(1.5, 40, 3)
    longer = fit(configured(fit_sample_ns=SECOND), stream)
    assert longer.intervals < made.intervals / 3
    assert longer.sample_s == 1.0
    rarer = fit(configured(sample_ns=30 * SECOND), stream)
    assert rarer.sigma is not None
    assert made.sigma is not None
    assert rarer.sigma.error > 2 * made.sigma.error
    shorter = fit(configured(fit_ns=60 * SECOND), stream)
    assert shorter.kernel_arrival != made.kernel_arrival
    assert shorter.fit == made.fit


def test_stream_without_trades_has_a_volatility_and_no_intensity() -> None:
    found = fit(bot(), market(1, 40, 1, seconds=60, trades=False))
    assert found.fit is None
    assert found.sigma is not None
    assert found.settings() == {}
    assert "no trades" in why_none(found)
    assert cells(found)[6:12] == ["-"] * 6
    few = fit(bot(), market(0.05, 40, 1, seconds=60))
    assert few.fit is None
    assert "too few" in why_none(few)
    assert "<svg" in page([few])


def test_settings_are_what_a_model_takes(made: Fitted) -> None:
    assert made.fit is not None
    told = made.settings()
    file = tomllib.loads(EXAMPLE.read_text())
    del file["strategy"]["spread"]
    file["strategy"] |= {"kind": "glft", "skew_full": "6bps", **told}
    params = model_params(parse(file), market(1, 1, 1, 1).instrument("kraken"))
    assert params["prior_decay_ppm"] == pytest.approx(made.fit.decay.value * PPM, abs=0.51)
    assert params["prior_arrival_uhz"] == pytest.approx(made.fit.arrival.value * 1e6, rel=1e-3)


# ------------------------------------------------------------------------ the page and the command


def test_page_draws_every_point_and_the_curve(made: Fitted) -> None:
    told = page([made])
    (drawn,) = re.findall(r"<svg.*?</svg>", told, re.DOTALL)
    root = ElementTree.fromstring(drawn)
    marks = [one.get("class") for one in root.iter("circle")]
    assert marks.count("p50") == sum(one.used for one in made.points)
    assert len(marks) == len(made.points)
    (line,) = [one for one in root.iter("path") if one.get("class") == "line target"]
    # A straight line on the logarithmic scale: of slope -1/k between its ends.
    path = re.findall(r"[ML]([\d.]+) ([\d.]+)", str(line.get("d")))
    (x0, y0), *_, (x1, y1) = [(float(x), float(y)) for x, y in path]
    middle = path[len(path) // 2]
    between = y0 + (y1 - y0) * (float(middle[0]) - x0) / (x1 - x0)
    assert float(middle[1]) == pytest.approx(between, abs=0.2)
    for cell in cells(made):
        assert f"<td>{cell}</td>" in told


RUN = ["fit", str(EXAMPLE), "--regime", "calm", "--seconds", "90"]


def test_command_prints_a_table_and_writes_page_and_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html, memory = tmp_path / "fit.html", tmp_path / "signals"
    assert main([*RUN, "--html", str(html), "--write", str(memory)]) == 0
    text = capsys.readouterr().out
    assert "±" in text
    assert re.search(r'fit_decay = "[\d.]+%"', text)
    assert html.read_text().startswith("<!doctype html>")
    assert str(memory) in text
    # A bot that starts now goes on from it.
    config = load(EXAMPLE)
    instrument = synthetic("calm", 1, 5).instrument("kraken")
    feed = cold(config)
    taken = go_on(config, [instrument], [feed], SignalMemory(memory).read(), time.time_ns())
    assert "fit" in taken["kraken"]
    assert feed.intensity is not None
    assert feed.intensity.decay_uticks > 0
    assert main([*RUN, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["results"]
    assert told["kernel"]["decay"] * PRICE * UTICKS_PER_TICK == pytest.approx(
        feed.intensity.decay_uticks, rel=0.01
    )
    assert told["fit"]["decay"]["low95"] < told["fit"]["decay"]["value"]


def cold(config: BotConfig) -> Feed:
    book = Book()
    decoder = KrakenDecoder()
    decoder.bind("BTC/USD", 0, book, 1, 1, 1, 8)
    fresh = Intensity(**intensity_params(config.signal, PRICE))
    return Feed(decoder, book, Signals(), 0, quoted=True, intensity=fresh)


def test_what_else_a_memory_holds_stays(made: Fitted) -> None:
    config, now_ns = bot(), T0 + 5 * SECOND
    whole = seeded(config, made.instrument, made.state, {"other": {"state": 1}}, now_ns)
    assert whole["other"] == {"state": 1}
    known = whole["kraken"] | {"state": {"sampled_ns": 7}, "fit": {"old": 1}}
    again = seeded(config, made.instrument, made.state, {"kraken": known}, now_ns)
    assert again["kraken"]["state"] == {"sampled_ns": 7}
    assert again["kraken"]["fit"]["counted_ns"] == now_ns
    moved = seeded(config, made.instrument, made.state, {"kraken": known | {"venue": "x"}}, now_ns)
    assert "state" not in moved["kraken"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["fit", str(EXAMPLE)], "--regime"),
        (["fit", str(EXAMPLE), "--regime", "thin", "--seconds", "5", "--write", "{}/m"], "ends"),
        ([*RUN, "--html", "{}/none/x.html"], "--html: a file in a folder that is there"),
        ([*RUN, "--write", "{}/none/x"], "cannot write"),
    ],
)
def test_what_cannot_be_done_is_refused(
    args: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([one.format(tmp_path) for one in args]) in (1, 2)
    assert told in capsys.readouterr().err


def test_recording_of_another_pair_is_no_bots_memory(made: Fitted, tmp_path: Path) -> None:
    other = bot(pair="ETH/USD")
    with pytest.raises(ConfigError, match="ETH/USD"):
        seed_memory(other, made, tmp_path / "signals", T0)
    assert not (tmp_path / "signals").exists()
