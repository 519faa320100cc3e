"""Data in spans: as much covered time in each, whole files as they are, parts behind their book."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from openmm.backtest.columns import run
from openmm.backtest.gather import gather
from openmm.config import parse
from openmm.data import store
from openmm.data.events import CLEAR, Events
from openmm.errors import ConfigError, DataError
from openmm.sweep.columns import Columns
from openmm.sweep.plan import Spec
from openmm.sweep.spans import Opened, left_out, opened, spans, windows
from openmm.sweep.worker import outcome
from tests.sweep.made import NS, job, market, market_file

CONFIG = parse(job("tiny").data)


def file_of(start: int, end: int, label: str = "kraken") -> Opened:
    header = store.Header(
        1, label, "", "BTC/USD", "0.1", "0.001", 10, 9, {}, start, end - 1, 0, 0, [], {}, {},
        f"{label}{start}",
    )  # fmt: skip
    return Opened(Path("none"), header, market(6))


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
    assert windows([file_of(*one) for one in files], split) == wanted


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


def test_part_that_was_harmed_is_written_anew(tmp_path: Path) -> None:
    files = opened([market_file(tmp_path, 20)])
    found = spans(CONFIG, files, tmp_path / "out", 2)
    path = Path(found[1].parts[0].path)
    whole = path.read_bytes()
    harm(path)
    assert spans(CONFIG, files, tmp_path / "out", 2) == found
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-64])
    assert spans(CONFIG, files, tmp_path / "out", 2) == found
    assert path.read_bytes() == whole


def test_part_that_is_harmed_after_the_plan_is_run_by_no_worker(tmp_path: Path) -> None:
    (found, _, _) = spans(CONFIG, opened([market_file(tmp_path, 20)]), tmp_path / "out", 2)
    runner = Columns(replace_struct(job("tiny"), spans=(found,)))
    assert len(runner.events(0)[0]) == found.parts[0].events
    harm(Path(found.parts[0].path))
    spec = Spec("id", 0, 0, 0, (("strategy.num_orders", "2"),))
    told = outcome(Columns(replace_struct(job("tiny"), spans=(found,))), spec, "")
    assert (told.state, told.figures) == ("failed", None)
    assert found.parts[0].path in told.why
    assert f"the plan's, {found.parts[0].content}" in told.why


def test_parts_are_written_once_behind_the_book_that_they_meet(tmp_path: Path) -> None:
    whole = market(20)
    files = opened([market_file(tmp_path, 20)])
    found = spans(CONFIG, files, tmp_path / "out", 3)
    assert [one.slice for one in found] == [0, 1, 2, 3]
    assert found[0].start_ns == whole.recv_ns[0]
    assert all(a.end_ns == b.start_ns for a, b in pairwise(found))
    parts = [store.load(one.parts[0].path) for one in found]
    assert all(one.events.kinds[0] == CLEAR for one in parts)
    for one, part in zip(found, parts, strict=True):
        assert store.digest(part.events) == one.contents[0]
        mine = whole.between(one.start_ns, one.end_ns)
        assert part.events.recv_ns[-len(mine) :].tolist() == mine.recv_ns.tolist()
    # Books are those of the whole: at each part's end they have the same best prices.
    for one, part in zip(found, parts, strict=True):
        book, theirs = (
            part.events.book_before(len(part)),
            whole.book_before(whole.place(one.end_ns)),
        )
        assert book.best_bid_ticks == theirs.best_bid_ticks
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "spans").iterdir()}
    assert spans(CONFIG, files, tmp_path / "out", 3) == found
    assert before == {one: one.stat().st_mtime_ns for one in (tmp_path / "out" / "spans").iterdir()}


def test_events_in_coarser_steps_are_written_once_in_the_venues(tmp_path: Path) -> None:
    made = market(20)
    lots = replace(made.market, lot_size=made.market.lot_size * 10)
    coarse = replace(made, market=lots, qty_lots=made.qty_lots // 10)
    store.write(tmp_path / "coarse.omd", coarse)
    (one,) = spans(CONFIG, opened([tmp_path / "coarse.omd"]), tmp_path / "out", 0)
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
    ] * 2
    assert left_out(config, files) == ["coinbase"]
    with pytest.raises(ConfigError, match="does not only watch"):
        spans(config, opened([tmp_path / "b.omd"]), tmp_path / "out", 0)


def test_watched_market_in_several_files_is_one_series(tmp_path: Path) -> None:
    data = job("tiny").data
    data["venue"] = [*data["venue"], {"name": "gateio", "reference": "BTC/USD"}]
    config = parse(data)
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
    # Steps within one file map a part of that one alone; the one across has both.
    steps = spans(config, opened(paths), tmp_path / "steps", 2)
    assert [len(one.parts) for one in steps] == [2, 2, 2]
    names = [Path(one.parts[1].path).name.partition("-")[0] for one in steps]
    assert names == ["b", "b", "c"]
    assert "-and-1-" in steps[1].parts[1].path
    assert spans(config, opened(paths), tmp_path / "steps", 2) == steps
    store.write(tmp_path / "d.omd", watched.opened(start_ns + 9 * NS, start_ns + 20 * NS))
    with pytest.raises(ConfigError, match="do not overlap"):
        spans(config, opened(sorted(tmp_path.glob("?.omd"))), tmp_path / "twice", 0)


def test_markets_that_are_not_watched_are_each_quoted(tmp_path: Path) -> None:
    market_file(tmp_path, 6)
    market_file(tmp_path, 6, seed=3)
    found = spans(CONFIG, opened(sorted(tmp_path.glob("*.omd"))), tmp_path / "out", 1)
    assert [one.slice for one in found] == [0, 0, 1, 1]
    assert all(len(one.parts) == 1 for one in found)
