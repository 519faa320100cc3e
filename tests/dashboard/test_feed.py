"""What the feed keeps of bots."""

from __future__ import annotations

from pathlib import Path

from openmm.control.home import Home
from openmm.control.views import BotState
from openmm.dashboard.feed import POINTS_MAX, Feed, Track
from openmm.engine.rundir import RunDir
from openmm.telemetry import FillPage, TelemetrySnapshot, TelemetryWriter
from tests.test_telemetry import NOW_NS, snapshot

S = 1_000_000_000


def seen(page: TelemetrySnapshot, page_state: str = "alive") -> BotState:
    return BotState("btc-grid", True, 1, {}, page, page_state)


def test_one_point_a_second_and_none_of_a_silent_engine() -> None:
    track = Track(seen(snapshot()), NOW_NS)
    for beat in range(8):
        track.see(seen(snapshot()), NOW_NS + beat * S // 4)
    assert [one.ts_ms for one in track.points] == [NOW_NS // 10**6, NOW_NS // 10**6 + 1000]
    track.see(seen(snapshot(), "stale"), NOW_NS + 60 * S)
    assert track.point_count == 2
    for beat in range(POINTS_MAX + 10):
        track.see(seen(snapshot()), NOW_NS + (100 + beat) * S)
    assert len(track.points) == POINTS_MAX


def test_each_fill_is_marked_once() -> None:
    a, b, c = (FillPage(NOW_NS + i, 1 + i % 2, 1000 + i, 5, 1) for i in range(3))
    track = Track(seen(snapshot()), NOW_NS)
    track.see(seen(snapshot(fills=(b, a))), NOW_NS)
    track.see(seen(snapshot(fills=(b, a))), NOW_NS + S)
    track.see(seen(snapshot(fills=(c, b))), NOW_NS + 2 * S)
    assert [(one.price, one.buy) for one in track.marks] == [
        (100.0, True), (100.1, False), (100.2, True),
    ]  # fmt: skip
    assert track.mark_count == 3


def test_bot_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / ".control", tmp_path / "clients.toml")
    good, bad = RunDir(tmp_path, "good").make(), RunDir(tmp_path, "bad").make()
    for one in (good, bad):
        one.lock.touch(0o600)
    bad.session.write_text("{")
    writer = TelemetryWriter(good.page)
    writer.publish(snapshot(bot="good", heartbeat_ns=NOW_NS))
    feed = Feed(home, lambda: NOW_NS)
    states, problems = feed.read()
    feed.take(states, problems, NOW_NS)
    assert list(feed.tracks) == ["good"]
    assert "damaged" in feed.problems["bad"]
    assert not feed.tracks["good"].state.running
    feed.take({}, {}, NOW_NS)
    assert feed.tracks == {}
    writer.close()
