"""The benches of the replay with small input: sound streams, told alike in both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.bench_replay import figures
from bench.replay_runs import CADENCE_NS, OURS, PEERS, RATIOS, Found, counts_of, ours
from bench.replay_streams import Replay, save, synthetic
from openmm.data.events import FILTERED, MESSAGE_END, TRADE


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    return synthetic(tmp_path_factory.mktemp("market"), 600)


def test_the_same_seed_makes_the_same_market(market: Replay, tmp_path: Path) -> None:
    again = synthetic(tmp_path, 600)
    assert [one.data for one in again.messages.records] == [
        one.data for one in market.messages.records
    ]
    other = synthetic(tmp_path, 600, seed=6)
    assert other.events.price_ticks.tobytes() != market.events.price_ticks.tobytes()


def test_columns_hold_every_message_and_never_cross(market: Replay) -> None:
    events = market.events
    assert np.count_nonzero(events.flags & np.uint16(MESSAGE_END)) == len(market.messages.records)
    assert np.count_nonzero(events.kinds == TRADE) > 500
    assert (np.diff(events.recv_ns) >= 0).all()
    _, made = ours(market, CADENCE_NS, frames=False)
    assert made.crossed_count == 0


@pytest.mark.parametrize("every_ns", [CADENCE_NS, 0])
def test_messages_and_columns_come_to_the_same_fills(market: Replay, every_ns: int) -> None:
    runs = [ours(market, every_ns, frames=frames)[1] for frames in (False, True)]
    assert runs[0].fills_bytes() == runs[1].fills_bytes() != b""
    assert counts_of(runs[0]) == counts_of(runs[1])
    assert counts_of(runs[0])["live"] > 10


def test_hftbacktest_is_given_every_event(market: Replay, tmp_path: Path) -> None:
    with np.load(save(market, tmp_path)) as kept:
        table, flags = kept["table"], kept["flags"]
    assert not np.count_nonzero(flags & np.uint16(FILTERED))
    assert len(table) == len(market.events)
    assert (table["exch_ts"] == table["local_ts"]).all()
    assert (table["local_ts"] == market.events.recv_ns).all()
    prices = market.events.price_ticks * float(market.events.market.tick_size)
    assert np.allclose(table["px"], prices)


def test_figures_are_ratios_of_the_same_round() -> None:
    jobs = [*OURS, *PEERS]
    found = Found("made", 1_000_000, 10, {job: [10**6, 10**6, 10**6] for job in jobs})
    found.times_ns["hftbacktest/grid_roi"] = [2 * 10**6, 3 * 10**6, 40 * 10**6]
    found.times_ns["nautilus/grid"] = [50 * 10**6]
    told = figures("x", found)
    assert set(RATIOS) == {name.split("/")[1] for name in told if "per_s" not in name}
    assert told["replay/hftbacktest/x"] == 3
    assert told["replay/nautilus/x"] == 50
    assert told["replay/million_events_per_s/ours/grid/x"] == pytest.approx(1_000)
