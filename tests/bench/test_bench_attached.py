"""The bench of what is attached runs: every watcher sees the bot, and every tick is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.bench_attached import CALLS, SOCKET_CALLS, attached
from bench.bench_wire import OURS
from bench.wire.rounds import Setting, build, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SUMMARY = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 95.58    0.442508         710       623           mmap
  1.06    0.004906           1      2609           sendto
  0.74    0.003435           0      3563       800 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.450849                  6795       800 total
"""


def test_socket_calls_are_read_with_errors_and_without() -> None:
    found = {name: int(count) for count, name in CALLS.findall(SUMMARY)}
    assert {name: found[name] for name in SOCKET_CALLS & set(found)} == {
        "sendto": 2609, "recvfrom": 3563,
    }  # fmt: skip


def test_every_tick_is_answered_with_all_of_them_attached(tmp_path: Path) -> None:
    built, on = build(tmp_path), Setting(ticks=60, warm=20)
    seen = run(OURS, on, built, tmp_path / "bot", beside=attached)
    assert len(seen.first) == 60
    assert (tmp_path / "bot" / "attached.log").read_text() == ""
