"""Alerts from pages to a real service on loopback: fire, once, again, graver, noted, resolved."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from openmm._fast.checks import RiskState
from openmm.control import alerts
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.engine.rundir import RunDir
from openmm.gateway.alerts import Post, Watch, mount
from openmm.telemetry import LIMITS, LimitPage, TelemetrySnapshot, TelemetryWriter
from tests.control.running import until
from tests.gateway.serving import gateway
from tests.test_telemetry import snapshot

# Of apprise's, with the first service that is loaded.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

S = 1_000_000_000
MINUTE = 60 * S
TOKEN = "t0ps3cr3t"
HALTED = int(RiskState.HALTED)


class Service:
    """What apprise talks to: paths and messages as they came; `status` is its answer."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.status = 200
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.got.append((self.path, json.loads(body)))
                self.send_response(service.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.port = self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def titles(self, path: str) -> list[str]:
        return [body["title"] for at, body in self.got if at == f"/{path}"]


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


class Host:
    """A bot's page under the test's hand, and the watch over it."""

    def __init__(self, folder: Path, file: str, service: Service) -> None:
        self.home = Home(folder / "runs", folder / "runs" / ".control", folder / "clients.toml")
        run_dir = RunDir(self.home.root, "btc-grid").make()
        run_dir.lock.touch()
        self.writer = TelemetryWriter(run_dir.page)
        self.path = folder / "alerts.toml"
        self.path.write_text(file.format(base=f"json://127.0.0.1:{service.port}", token=TOKEN))
        self.path.chmod(0o600)
        self.service = service
        self.now_ns = time.time_ns()
        self.started_ns = self.now_ns
        self.page: dict[str, Any] = {}
        self.open()

    def open(self) -> None:
        self.post = Post()
        self.watch = Watch(self.home, self.path, self.post)

    def tick(self, seconds: float = 1, **page: Any) -> None:
        """Let time pass, publish, look; then wait for what was sent to be answered."""
        self.now_ns += int(seconds * S)
        self.page |= page
        made: TelemetrySnapshot = snapshot(
            started_ns=self.started_ns, heartbeat_ns=self.now_ns, **self.page
        )
        self.writer.publish(made)
        self.watch.tick(self.now_ns)
        deadline = time.monotonic() + 10
        while self.watch.waiting:
            assert time.monotonic() < deadline
            self.post.answered.wait(0.05)
            self.watch.tick(self.now_ns)

    def alerts(self) -> list[alerts.Alert]:
        return alerts.read(self.home).open()


FILE = """
[channel.ops]
url = "{base}/ops?+X-Key={token}"
[channel.phone]
url = "{base}/phone?+X-Key={token}"
[severity.critical]
channels = ["ops"]
repeat_every = "30m"
escalate_after = "10m"
escalate_to = ["phone"]
[severity.warning]
channels = ["ops"]
"""


@contextmanager
def host(folder: Path, service: Service, file: str = FILE) -> Iterator[Host]:
    made = Host(folder, file, service)
    try:
        yield made
    finally:
        made.watch.close()
        made.writer.close()


def test_halt_fires_once_escalates_is_noted_and_resolved(tmp_path: Path, service: Service) -> None:
    with host(tmp_path, service) as one:
        one.tick()
        assert service.got == []
        one.tick(risk_state=HALTED, risk_reason="drawdown")
        for _ in range(5):
            one.tick()
        assert service.titles("ops") == ["[critical] btc-grid: halt"]
        assert "halted: drawdown" in service.got[0][1]["message"]
        one.tick(9 * 60)
        assert service.titles("phone") == []
        one.tick(60)
        assert service.titles("phone") == ["[critical] btc-grid: halt"]
        one.tick(21 * 60)
        assert len(service.titles("ops")) == 2, "nobody took note: told again"
        (alert,) = one.alerts()
        alerts.acknowledge(one.home, alert.id, "ann", one.now_ns)
        one.tick(120 * 60)
        assert (len(service.titles("ops")), len(service.titles("phone"))) == (2, 1)
        one.tick(risk_state=1)
        for _ in range(4):
            one.tick(10)
        assert service.titles("ops")[2:] == ["[resolved] btc-grid: halt"]
        assert service.titles("phone")[1:] == ["[resolved] btc-grid: halt"]
        one.tick(60)
        assert len(service.got) == 5
        assert one.alerts() == []


def test_killed_gateway_neither_repeats_nor_loses(tmp_path: Path, service: Service) -> None:
    with host(tmp_path, service) as one:
        one.tick(risk_state=HALTED)
        assert len(service.got) == 1
        one.post.close()
        one.open()  # nothing was said goodbye to: all it knows is in the book
        one.tick()
        one.tick(20)
        assert len(service.got) == 1
        service.status = 503
        one.tick(counters=snapshot().counters._replace(incidents=1), incident="book dropped")
        assert len(service.got) == 2, "tried, and not taken"
        one.post.close()
        one.open()
        service.status = 200
        one.tick()
        assert service.titles("ops")[-1] == "[warning] btc-grid: incident"
        count = len(service.got)
        one.tick()
        assert len(service.got) == count


def test_channel_that_fails_is_tried_with_back_off_and_told_of(
    tmp_path: Path, service: Service
) -> None:
    service.status = 500
    with host(tmp_path, service) as one:
        one.tick(risk_state=HALTED)
        for _ in range(60):
            one.tick()
        assert 4 <= len(service.got) <= 5, "after 2, 5, 15 and 60 seconds"
        (told,) = [alert for alert in one.alerts() if alert.rule == "alerts_channel"]
        assert told.subject == "ops"
        assert "not reached" in told.text
        service.status = 200
        one.tick(60)
        assert "2 alerts" in service.titles("ops")[-1]


def test_many_alerts_are_one_message_and_few_a_minute(tmp_path: Path, service: Service) -> None:
    file = FILE.replace("[channel.phone]", "per_minute = 2\n[channel.phone]")
    with host(tmp_path, service, file) as one:
        for number in range(30):
            with alerts.changing(one.home) as book:
                for part in range(10):
                    book.see("halt", "critical", f"bot-{number}-{part}", "", "x", one.now_ns)
            one.tick()
        assert len(service.got) == 2
        one.tick(60)
        assert len(service.got) == 3
        assert "more: openmm alerts" in service.got[-1][1]["message"]


def test_loss_that_grows_is_told_at_once_and_one_alert(tmp_path: Path, service: Service) -> None:
    def limits(used: int) -> tuple[LimitPage, ...]:
        return tuple(LimitPage(1_000, used if name == "drawdown" else 0) for name, _ in LIMITS)

    with host(tmp_path, service) as one:
        one.tick(limits=limits(490))
        assert one.alerts() == []
        one.tick(limits=limits(500))
        assert [alert.severity for alert in one.alerts()] == ["info"]
        assert service.got == [], "nobody is told of what is for information"
        one.tick(limits=limits(800))
        one.tick(limits=limits(1_000))
        assert service.titles("ops") == [
            "[warning] btc-grid: drawdown", "[critical] btc-grid: drawdown",
        ]  # fmt: skip
        one.tick(limits=limits(820))
        (alert,) = one.alerts()
        assert alert.severity == "critical", "a loss that shrinks is no news"
        assert len(service.got) == 2


def test_address_is_in_no_log_and_in_no_book(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.status = 500
    with host(tmp_path, service) as one:
        one.tick(risk_state=HALTED)
        for _ in range(20):
            one.tick(30)
        one.path.write_text(f'[channel.x]\nurl = "json://127.0.0.1/{TOKEN}\n')
        one.tick()
        assert [alert.rule for alert in one.alerts() if not alert.bot] == [
            "alerts_channel", "alerts_file",
        ]  # fmt: skip
        assert "[channel.x]" not in caplog.text
    assert "alert channel ops" in caplog.text
    assert TOKEN not in caplog.text
    assert all(TOKEN not in file.read_text() for file in one.home.state.iterdir())
    assert TOKEN not in repr(one.watch._file)


def test_bot_whose_files_cannot_be_read_hides_no_other(tmp_path: Path, service: Service) -> None:
    with host(tmp_path, service) as one:
        bad = RunDir(one.home.root, "aaa").make()
        bad.lock.touch()
        bad.session.mkdir()
        one.tick(risk_state=HALTED)
        assert {(alert.bot, alert.rule) for alert in one.alerts()} == {
            ("aaa", "engine_silent"), ("btc-grid", "halt"),
        }  # fmt: skip


def test_watch_that_breaks_says_so_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Watch, "tick", broken)
    home = Home(tmp_path / "runs", tmp_path / "runs" / ".control", tmp_path / "clients.toml")
    app = FastAPI()
    mount(app, Door(home))

    async def lives() -> None:
        async with app.router.lifespan_context(app):
            (task,) = [one for one in asyncio.all_tasks() if one.get_name() == "alerts"]
            await asyncio.wait([task], timeout=10)
            assert "nobody is told any more" in caplog.text, "while the gateway still runs"

    with pytest.raises(KeyError):
        asyncio.run(lives())
    assert "a bug" in caplog.text


def test_short_condition_is_no_alert_and_a_long_one_is(tmp_path: Path, service: Service) -> None:
    def tape(used: int) -> dict[str, int]:
        return {"tape_unread_bytes": used, "tape_size_bytes": 100}

    with host(tmp_path, service) as one:
        one.tick(**tape(60))
        one.tick(3, **tape(10))
        one.tick(3, **tape(60))
        assert one.alerts() == []
        one.tick(5, **tape(60))
        assert [alert.rule for alert in one.alerts()] == ["writer_behind"]


def test_gateway_tells_of_a_dead_engine_once_in_two_lives(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(30)
    with host(tmp_path, service) as one:
        one.writer.publish(snapshot(pid=child.pid, heartbeat_ns=time.time_ns()))
        monkeypatch.setenv("OPENMM_ALERTS", str(one.path))
        with gateway(one.home, "--no-dashboard", "--no-mcp") as served:
            assert "alerts" in served.parts
            until(lambda: bool(service.got), "a message")
            until(lambda: [alert.told_count for alert in one.alerts()] == [1], "its entry")
            served.kill()
            served.start()
            with alerts.changing(one.home) as book:
                book.rules = []
            until(lambda: bool(alerts.read(one.home).rules), "a look")
        assert service.titles("ops") == ["[critical] btc-grid: engine_silent"]
