"""Data in spans: as much covered time in each, whole files as they are, parts behind their book."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from openmm.backtest.columns import run
from openmm.backtest.gather import Span, gather, with_rates
from openmm.config import BotConfig, parse
from openmm.data import store
from openmm.data.events import CLEAR, Events
from openmm.errors import ConfigError, DataError
from openmm.sweep.columns import Columns
from openmm.sweep.plan import Spec
from openmm.sweep.spans import left_out, most, opened, refuse_rates, spans, windows
from openmm.sweep.worker import outcome
from tests.sweep.made import NS, job, market, market_file

CONFIG = parse(job("tiny").data)


def watching() -> BotConfig:
    data = job("tiny").data
    data["venue"] = [*data["venue"], {"name": "gateio", "reference": "BTC/USD"}]
    return parse(data)


@pytest.mark.parametrize(
    ("files", "split", "wanted"),
    [
        ([(0, 10)], 0, [(0, 10)]),
        ([(0, 10), (20, 30)], 0, [(0, 10), (20, 30)]),
        ([(0, 10), (5, 30), (40, 50)], 0, [(0, 30), (40, 50)]),
        ([(0, 12)], 3, [(0, 3), (3, 6), (6, 9), (9, 12)]),
        # The gap counts for nothing: ten of twenty are in each half.
        ([(0, 10), (90, 100)], 1, [(0, 90), (90, 100)]),
        ([(0, 10), (90, 120)], 3, [(0, 90), (90, 100), (100, 110), (110, 120)]),
    ],
)
def test_windows_have_as_much_covered_time(
    files: list[tuple[int, int]], split: int, wanted: list[tuple[int, int]]
) -> None:
    assert windows(files, split) == wanted


def test_whole_file_is_its_own_span(tmp_path: Path) -> None:
    path = market_file(tmp_path, 20)
    files = opened([path])
    (one,) = spans(CONFIG, files, tmp_path / "out", 0)
    assert [part.path for part in one.parts] == [str(path)]
    assert one.contents == [files[0].header.content]
    assert not (tmp_path / "out").exists()


def harm(path: Path) -> None:
    """Divide every quantity by three, as only the content's own hash tells."""
    harmed = store.load(path).events
    data = path.read_bytes()
    whole = np.asarray(harmed.qty_lots).tobytes()
    assert data.count(whole) == 1
    path.chmod(0o644)
    path.write_bytes(data.replace(whole, (harmed.qty_lots // 3).tobytes()))
    assert store.digest(store.load(path).events) != store.read_header(path).content


def coarse_file(folder: Path) -> Path:
    """Write a market whose lots are ten of the venue's: a part in the venue's has to be made."""
    made = market(20)
    lots = replace(made.market, lot_size=made.market.lot_size * 10)
    store.write(folder / "coarse.omd", replace(made, market=lots, qty_lots=made.qty_lots // 10))
    return folder / "coarse.omd"


def test_part_that_was_harmed_is_written_anew(tmp_path: Path) -> None:
    files = opened([coarse_file(tmp_path)])
    found = spans(CONFIG, files, tmp_path / "out", 2)
    path = Path(found[0].parts[0].path)
    whole = path.read_bytes()
    harm(path)
    assert spans(CONFIG, files, tmp_path / "out", 2) == found
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-64])
    assert spans(CONFIG, files, tmp_path / "out", 2) == found
    assert path.read_bytes() == whole


def test_part_that_is_harmed_after_the_plan_is_run_by_no_worker(tmp_path: Path) -> None:
    (found,) = spans(CONFIG, opened([coarse_file(tmp_path)]), tmp_path / "out", 2)
    runner = Columns(replace_struct(job("tiny"), spans=(found,)))
    assert len(runner.events(0)[0]) == found.parts[0].events
    harm(Path(found.parts[0].path))
    spec = Spec("id", 0, 0, 0, (("strategy.num_orders", "2"),))
    told = outcome(Columns(replace_struct(job("tiny"), spans=(found,))), spec, "")
    assert (told.state, told.figures) == ("failed", None)
    assert found.parts[0].path in told.why
    assert f"the plan's, {found.parts[0].content}" in told.why


def test_split_cuts_no_run(tmp_path: Path) -> None:
    path = market_file(tmp_path, 20)
    (whole,) = spans(CONFIG, opened([path]), tmp_path / "out", 0)
    (found,) = spans(CONFIG, opened([path]), tmp_path / "out", 3)
    assert found.parts == whole.parts
    assert (whole.cuts, len(found.cuts)) == ((), 3)
    assert [place for place, _, _ in found.slices] == [0, 1, 2, 3]
    assert (found.slices[0][1], found.slices[-1][2]) == (found.start_ns, found.end_ns)
    lengths = [end - start for _, start, end in found.slices]
    assert max(lengths) - min(lengths) <= 1
    assert not (tmp_path / "out").exists(), "nothing is written"
    assert most(CONFIG, opened([path]), 3) == (1, 4)


def test_files_that_carry_a_market_on_are_one_span_as_in_a_backtest(tmp_path: Path) -> None:
    made = market(60)
    start_ns, end_ns = int(made.recv_ns[0]), int(made.recv_ns[-1]) + 1
    borders = [start_ns, start_ns + 14 * NS, start_ns + 40 * NS, end_ns]
    for at, (begin, end) in enumerate(pairwise(borders)):
        store.write(tmp_path / f"{at}.omd", made.opened(begin, end))
    later = replace(made, **{name: getattr(made, name) + (end_ns - start_ns) + 60 * NS
                             for name in ("recv_ns", "venue_ns")})  # fmt: skip
    store.write(tmp_path / "later.omd", later)
    paths = sorted(tmp_path.glob("*.omd"))
    first, second = spans(CONFIG, opened(paths), tmp_path / "out", 0)
    assert (first.slice, second.slice) == (0, 1), "more than a minute lies between them"
    assert (first.start_ns, first.end_ns) == (start_ns, end_ns)
    assert second.parts[0].path == str(tmp_path / "later.omd")
    joined = store.load(first.parts[0].path).events
    as_backtest = gather([str(path) for path in paths])
    assert [len(one.markets) for one in as_backtest] == [1, 1]
    assert isinstance(as_backtest[0].markets[0], Events)
    assert store.digest(joined) == store.digest(as_backtest[0].markets[0])
    # Slices go across files as if there was one.
    (one, other) = spans(CONFIG, opened(paths), tmp_path / "out", 3)
    assert [place for place, _, _ in one.slices + other.slices] == [0, 1, 2, 3]
    assert one.parts == first.parts
    assert most(CONFIG, opened(paths), 3) == (2, 4)


def test_parts_of_a_watched_market_are_behind_the_book_that_they_meet(tmp_path: Path) -> None:
    config, whole = watching(), market(20, seed=5)
    whole = replace(whole, market=replace(whole.market, venue="gateio"))
    traded = market(20)
    start_ns = int(traded.recv_ns[0])
    store.write(tmp_path / "a.omd", traded.opened(start_ns + 7 * NS, start_ns + 13 * NS))
    store.write(tmp_path / "b.omd", whole)
    files = opened(sorted(tmp_path.glob("*.omd")))
    (found,) = spans(config, files, tmp_path / "out", 2)
    path = Path(found.parts[1].path)
    part = store.load(path).events
    assert part.kinds[0] == CLEAR
    assert store.digest(part) == found.contents[1]
    mine = whole.between(found.start_ns, found.end_ns)
    assert part.recv_ns[-len(mine) :].tolist() == mine.recv_ns.tolist()
    # The book is that of the whole: at the part's end it has the same best prices.
    book, theirs = part.book_before(len(part)), whole.book_before(whole.place(found.end_ns))
    assert book.best_bid_ticks == theirs.best_bid_ticks
    before = path.stat().st_mtime_ns
    assert spans(config, files, tmp_path / "out", 2) == [found]
    assert path.stat().st_mtime_ns == before, "it is written once"


def test_events_in_coarser_steps_are_written_once_in_the_venues(tmp_path: Path) -> None:
    made, path = market(20), coarse_file(tmp_path)
    coarse = store.load(path).events
    (one,) = spans(CONFIG, opened([path]), tmp_path / "out", 0)
    found = store.load(one.parts[0].path)
    assert Path(one.parts[0].path).parent == tmp_path / "out" / "spans"
    assert found.market.lot_size == made.market.lot_size
    assert found.qty_lots.tolist() == (coarse.qty_lots * 10).tolist()


def test_events_in_finer_ticks_are_written_in_those_that_are_quoted(tmp_path: Path) -> None:
    made = market(20)
    fine = replace(made.market, venue="binance", tick_size=made.market.tick_size / 100)
    told = replace(made, market=fine, price_ticks=made.price_ticks * 100 + (made.price_ticks > 0))
    store.write(tmp_path / "fine.omd", told)
    (one,) = spans(CONFIG, opened([tmp_path / "fine.omd"]), tmp_path / "out", 0)
    found = store.load(one.parts[0].path).events
    assert (
        found.market.tick_size == made.market.tick_size == run(CONFIG, [told]).instrument.tick_size
    )
    # As the run takes them: written, they come to the same.
    assert run(CONFIG, [found]).fills.tobytes() == run(CONFIG, [told]).fills.tobytes()


def test_place_for_parts_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "spans").touch()
    with pytest.raises(DataError, match=r"out/spans: file: a folder that can be made"):
        spans(CONFIG, opened([coarse_file(tmp_path)]), tmp_path / "out", 0)


def test_contracts_are_watched_and_not_quoted(tmp_path: Path) -> None:
    made = market(20)
    coinm = replace(made, market=replace(made.market, venue="binance", market="coinm"))
    store.write(tmp_path / "coinm.omd", coinm)
    with pytest.raises(ConfigError, match="contracts are worth 100"):
        spans(CONFIG, opened([tmp_path / "coinm.omd"]), tmp_path / "out", 0)


def test_file_that_was_changed_below_its_header_is_refused(tmp_path: Path) -> None:
    path = market_file(tmp_path, 6)
    data = bytearray(path.read_bytes())
    places = store.load(path)
    # A price, somewhere in the middle of its column.
    at = data.rfind(places.price_ticks[-1].tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="the hash of what it holds"):
        opened([path])


def test_the_same_file_twice_and_none_are_refused(tmp_path: Path) -> None:
    path = market_file(tmp_path, 6)
    with pytest.raises(ConfigError, match="each file's content once"):
        opened([path, path])
    with pytest.raises(ConfigError, match="one file or more"):
        opened([])


def test_watched_markets_are_beside_the_quoted_one(tmp_path: Path) -> None:
    data = job("tiny").data
    data["venue"] = [*data["venue"], {"name": "gateio", "reference": "BTC/USD"},
                     {"name": "coinbase", "reference": "BTC/USD"}]  # fmt: skip
    config = parse(data)
    traded, watched = market(20), market(20, seed=5)
    store.write(tmp_path / "a.omd", traded)
    store.write(
        tmp_path / "b.omd", replace(watched, market=replace(watched.market, venue="gateio"))
    )
    files = opened([tmp_path / "b.omd", tmp_path / "a.omd"])
    found = spans(config, files, tmp_path / "out", 1)
    assert [[part.label for part in one.parts] for one in found] == [
        ["kraken BTC/USD", "gateio BTC/USD"]
    ]
    assert left_out(config, files) == ["coinbase"]
    with pytest.raises(ConfigError, match="does not only watch"):
        spans(config, opened([tmp_path / "b.omd"]), tmp_path / "out", 0)


def test_watched_market_in_several_files_is_one_series(tmp_path: Path) -> None:
    config = watching()
    store.write(tmp_path / "a.omd", market(30))
    watched = market(30, seed=5)
    watched = replace(watched, market=replace(watched.market, venue="gateio"))
    start_ns = int(watched.recv_ns[0])
    middle_ns, end_ns = start_ns + 14 * NS, int(watched.recv_ns[-1]) + 1
    store.write(tmp_path / "b.omd", watched.opened(0, middle_ns))
    store.write(tmp_path / "c.omd", watched.opened(middle_ns, end_ns))
    paths = sorted(tmp_path.glob("?.omd"))
    (one,) = spans(config, opened(paths), tmp_path / "out", 0)
    assert [part.label for part in one.parts] == ["kraken BTC/USD", "gateio BTC/USD"]
    made = store.load(one.parts[1].path).events
    as_backtest = gather([str(path) for path in paths])[0].markets[1]
    assert isinstance(as_backtest, Events)
    assert made.recv_ns.tolist() == as_backtest.recv_ns.tolist()
    assert store.digest(made) == one.contents[1]
    assert int(made.recv_ns[-1]) == end_ns - 1, "what is in the second file is not left out"
    outcome = run(config, [store.load(part.path).events for part in one.parts])
    assert outcome.events == one.parts[0].events + len(watched.opened(0, middle_ns)) + len(
        watched.opened(middle_ns, end_ns)
    )
    assert spans(config, opened(paths), tmp_path / "out", 2)[0].parts == one.parts
    store.write(tmp_path / "d.omd", watched.opened(start_ns + 9 * NS, start_ns + 20 * NS))
    with pytest.raises(ConfigError, match="do not overlap"):
        spans(config, opened(sorted(tmp_path.glob("?.omd"))), tmp_path / "twice", 0)


def test_markets_that_are_not_watched_are_each_quoted(tmp_path: Path) -> None:
    market_file(tmp_path, 6)
    market_file(tmp_path, 6, seed=3)
    found = spans(CONFIG, opened(sorted(tmp_path.glob("*.omd"))), tmp_path / "out", 1)
    assert [[place for place, _, _ in one.slices] for one in found] == [[0, 1]] * 2
    assert all(len(one.parts) == 1 for one in found)


def led() -> BotConfig:
    """Watch a market in another currency, which a rate converts."""
    data = job("tiny").data
    data["venue"] = [
        *data["venue"],
        {"name": "gateio", "reference": "BTC/USDT", "convert": "tether"},
        {"name": "coinbase", "label": "tether", "rate": "USDT/USD"},
    ]
    return parse(data)


def test_rate_is_held_as_in_a_backtest_and_written_once(tmp_path: Path) -> None:
    config = led()
    watched = market(30, seed=5)
    other = replace(watched.market, venue="gateio", pair="BTC/USDT")
    store.write(tmp_path / "a.omd", market(30))
    store.write(tmp_path / "b.omd", replace(watched, market=other))
    files = opened(sorted(tmp_path.glob("?.omd")))
    rates = [("USDT/USD", "1.0005")]
    (one,) = spans(config, files, tmp_path / "out", 0, None, rates)
    assert [part.label for part in one.parts] == [
        "kraken BTC/USD", "gateio BTC/USDT", "coinbase USDT/USD"
    ]  # fmt: skip
    events = [store.load(Path(part.path)).events for part in one.parts]
    wanted = with_rates(Span(tuple(events[:2]), ()), [config], rates).columns("")[2]
    assert store.digest(events[2]) == store.digest(wanted) == one.parts[2].content
    before = Path(one.parts[2].path).stat().st_mtime_ns
    assert spans(config, files, tmp_path / "out", 0, None, rates) == [one]
    assert Path(one.parts[2].path).stat().st_mtime_ns == before, "it is written once"
    (other_rate,) = spans(config, files, tmp_path / "out", 0, None, [("USDT/USD", "0.9")])
    assert other_rate.contents[2] != one.contents[2]
    runner = Columns(replace_struct(job("tiny"), spans=(one,)))
    assert len(runner.events(0)) == 3


def test_market_that_nothing_converts_and_rates_of_nobody_are_refused(tmp_path: Path) -> None:
    config, watched = led(), market(6, seed=5)
    other = replace(watched.market, venue="gateio", pair="BTC/USDT")
    store.write(tmp_path / "a.omd", market(6))
    store.write(tmp_path / "b.omd", replace(watched, market=other))
    files = opened(sorted(tmp_path.glob("?.omd")))
    with pytest.raises(ConfigError, match=r"venue.gateio.convert: .*--rate.* got 'tether'"):
        refuse_rates(config, files, [])
    refuse_rates(config, files, [("USDT/USD", "1")])
    assert left_out(config, files, [("USDT/USD", "1")]) == []
    with pytest.raises(ConfigError, match=r"a pair that a .* has as rate: USDT/USD"):
        refuse_rates(config, files, [("EUR/USD", "1")])
    with pytest.raises(ConfigError, match="at most 7 digits"):
        refuse_rates(config, files, [("USDT/USD", "1.00000001")])
    # Without the market there is nothing to convert: the reference is without it.
    alone = [one for one in files if one.events.market.venue == "kraken"]
    refuse_rates(config, alone, [])
    assert left_out(config, alone) == ["gateio", "tether"]
