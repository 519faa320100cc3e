"""`openmm serve` beside a bot that trades: what it refuses, and that the bot does not notice."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trustme

from openmm._fast.latency import Stage
from openmm.cli.main import main
from openmm.control.audit import Audit
from openmm.control.views import BotState, look
from openmm.telemetry import TelemetrySnapshot
from tests.control.running import quotes, until
from tests.e2e.programs import ROOT, openmm
from tests.gateway.serving import BOT, World, add, gateway, home_of

FLOOD_S = 3.0
FLOODERS = 16
SHOWN = {
    "tick to order": Stage.STAGE_TICK_TO_ORDER,
    "answer to order": Stage.STAGE_ANSWER_TO_ORDER,
    "signal": Stage.STAGE_SIGNAL,
    "plan": Stage.STAGE_PLAN,
}


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, str]:
    """Check a refusal's status and shape; return what it says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    error: dict[str, str] = answer.json()["error"]
    assert sorted(error) == ["code", "hint", "message"]
    assert error["code"] == code
    assert "Traceback" not in answer.text
    return error


def test_reads_tell_of_the_bot(world: World) -> None:
    with world.client(world.reader) as client:
        (bot,) = client.get("/api/bots").json()["bots"]
        assert bot["bot"] == BOT
        status = client.get(f"/api/bots/{BOT}/status").json()
        assert (status["bot"], status["running"]) == (BOT, True)
        assert client.get("/readyz").json()["ready"] is True
        audit = client.get("/api/audit", params={"limit": 3}).json()["records"]
        assert [one["caller"]["client"] for one in audit] == ["reader"] * 3


def test_schema_lists_every_action_and_its_preview(world: World) -> None:
    with world.client(world.reader) as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert "get" in paths["/api/bots/{bot}/status"]
    assert "get" in paths["/api/market/ticker"]
    assert "post" in paths["/api/bots/{bot}/set"]
    assert "post" in paths["/api/bots/{bot}/set/preview"]
    assert "/api/bots/{bot}/halt/preview" not in paths


def test_brakes_are_carried_out_once_a_key(world: World) -> None:
    with world.client() as client:
        key = {"Idempotency-Key": "pause-1"}
        first = client.post(f"/api/bots/{BOT}/pause", json={"reason": "a test"}, headers=key)
        assert first.status_code == 200, first.text
        again = client.post(f"/api/bots/{BOT}/pause", json={"reason": "a test"}, headers=key)
        assert again.json()["repeated"] is True
        other = client.post(f"/api/bots/{BOT}/pause", json={"reason": "another"}, headers=key)
        refused(other, 409, "key_reused")
        until(lambda: not quotes(world.home, BOT), "the quotes to be withdrawn")
        shown = client.post(f"/api/bots/{BOT}/resume/preview", json={})
        assert shown.status_code == 200, shown.text
        body = {"preview": shown.json()["preview"]}
        assert client.post(f"/api/bots/{BOT}/resume", json=body).status_code == 200
        until(lambda: quotes(world.home, BOT), "quotes after the resume")
        replayed = client.post(f"/api/bots/{BOT}/resume", json=body)
        assert replayed.status_code == 409
        assert replayed.json()["error"]["code"] in ("preview_used", "preview_mismatch")


BAD: list[tuple[str, str, str, dict[str, Any], int, str]] = [
    # what, method, path, request, status, code
    ("no such bot", "GET", "/api/bots/none/status", {}, 404, "unknown_bot"),
    ("no such bot to halt", "POST", "/api/bots/none/halt", {"json": {}}, 404, "unknown_bot"),
    ("no name of a bot", "GET", "/api/bots/A%00B/status", {}, 422, "bad_argument"),
    ("no such action", "POST", f"/api/bots/{BOT}/frob", {"json": {}}, 404, "not_found"),
    ("no such path", "GET", "/api/none", {}, 404, "not_found"),
    ("another method", "DELETE", f"/api/bots/{BOT}/halt", {}, 405, "method_not_allowed"),
    ("a read by POST", "POST", f"/api/bots/{BOT}/status", {"json": {}}, 405, "method_not_allowed"),
    ("too many rows", "GET", f"/api/bots/{BOT}/fills?limit=501", {}, 422, "bad_argument"),
    ("an unknown argument", "GET", f"/api/bots/{BOT}/fills?x=1", {}, 422, "bad_argument"),
    ("an argument twice", "GET", f"/api/bots/{BOT}/fills?limit=1&limit=2", {}, 422, "bad_argument"),
    ("the bot twice", "GET", f"/api/bots/{BOT}/fills?bot=x", {}, 422, "bad_argument"),
    ("a query on a write", "POST", f"/api/bots/{BOT}/halt?reason=x", {}, 422, "bad_argument"),
    ("no JSON", "POST", f"/api/bots/{BOT}/pause", {"content": b"{"}, 422, "bad_argument"),
    ("no object", "POST", f"/api/bots/{BOT}/pause", {"json": [1]}, 422, "bad_argument"),
    ("not UTF-8", "POST", f"/api/bots/{BOT}/pause", {"content": b'{"reason":"\xff"}'}, 422,
     "bad_argument"),
    ("a form", "POST", f"/api/bots/{BOT}/pause", {"data": {"a": "b"}}, 415, "unsupported"),
    ("a reason that is none", "POST", f"/api/bots/{BOT}/pause", {"json": {"reason": 1}}, 422,
     "bad_argument"),
    ("a side that is none", "POST", f"/api/bots/{BOT}/place/preview",
     {"json": {"side": "up", "qty": "0.01", "price": "1"}}, 422, "bad_argument"),
    ("a negative quantity", "POST", f"/api/bots/{BOT}/place/preview",
     {"json": {"side": "buy", "qty": "-1", "price": "1"}}, 422, "bad_argument"),
    ("a number without end", "POST", f"/api/bots/{BOT}/place/preview",
     {"json": {"side": "buy", "qty": "1e999999", "price": "1"}}, 422, "bad_argument"),
    ("no preview", "POST", f"/api/bots/{BOT}/flatten", {"json": {}}, 409, "preview_required"),
    ("a made-up preview", "POST", f"/api/bots/{BOT}/flatten", {"json": {"preview": "x" * 43}}, 409,
     "preview_mismatch"),
    ("a preview that is no text", "POST", f"/api/bots/{BOT}/flatten", {"json": {"preview": 1}}, 422,
     "bad_argument"),
    ("a preview of a brake", "POST", f"/api/bots/{BOT}/halt/preview", {"json": {}}, 404,
     "not_found"),
    ("a key that is none", "POST", f"/api/bots/{BOT}/pause",
     {"json": {}, "headers": {"Idempotency-Key": "a b"}}, 422, "bad_argument"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "request_", "status", "code"), [r[1:] for r in BAD],
                         ids=[r[0] for r in BAD])  # fmt: skip
def test_bad_input_is_refused_with_its_reason(
    world: World, method: str, path: str, request_: dict[str, Any], status: int, code: str
) -> None:
    with world.client() as client:
        more = dict(request_)
        if "content" in more:
            more["headers"] = {"Content-Type": "application/json"}
        error = refused(client.request(method, path, **more), status, code)
    assert error["message"]
    assert error["hint"] or code not in ("unknown_bot", "preview_required")


def test_a_client_without_scope_changes_nothing(world: World) -> None:
    with world.client(world.reader) as client:
        for action in ("halt", "pause", "stop", "flatten", "resume", "undo", "start"):
            error = refused(client.post(f"/api/bots/{BOT}/{action}", json={}), 403, "forbidden")
            assert "reader" in error["message"]
        body = {"changes": {"strategy.spread": "5%"}}
        refused(client.post(f"/api/bots/{BOT}/set/preview", json=body), 403, "forbidden")
    assert quotes(world.home, BOT)


def test_a_client_over_its_rate_is_told_when_to_come_back_and_may_brake(world: World) -> None:
    with world.client(world.small) as client:
        statuses = [client.get("/api/bots").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        late = client.get("/api/bots")
        refused(late, 429, "rate_limited")
        assert int(late.headers["retry-after"]) >= 1
        # What lowers risk has a budget of its own; asked of a bot that is not there.
        refused(client.post("/api/bots/none/halt", json={}), 404, "unknown_bot")


def test_a_body_of_100_mb_is_refused_and_not_kept(world: World) -> None:
    def resident_kib() -> int:
        status = Path(f"/proc/{world.gateway.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    def body() -> Iterator[bytes]:
        piece = b"x" * (1 << 20)
        for _ in range(100):
            yield piece

    with world.client() as client:
        before = resident_kib()
        path = f"/api/bots/{BOT}/pause"
        for more in ({"content": body()}, {"content": b"x" * (100 << 20)}):
            refused(client.post(path, **more), 413, "too_large")
        assert resident_kib() - before < 8 << 10
    assert quotes(world.home, BOT)


def raw(world: World, data: bytes, *, wait_s: float = 30.0) -> bytes:
    """Send bytes as they are; return everything that comes back until the end."""
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=wait_s) as line:
        line.sendall(data)
        got = b""
        while chunk := line.recv(65_536):
            got += chunk
        return got


HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
TORN = [
    (b"\x16\x03\x01 no HTTP\r\n\r\n", b"400"),
    (HEAD + b"X: " + b"a" * 20_000 + b"\r\n\r\n", b"431"),
    (HEAD + b"".join(b"X%d: y\r\n" % i for i in range(500)) + b"\r\n", b"431"),
    (HEAD + b"Bad Header\r\n\r\n", b"400"),
    (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"414"),
    (b"GET /" + b"a" * 17_000, b"400"),
    (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", b"400"),
    (HEAD + b"Content-Length: -1\r\n\r\n", b"400"),
    (b"GET /api/bots HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", b"400"),
    (b"GET /api/bots HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
]


@pytest.mark.parametrize(("data", "status"), TORN, ids=[str(i) for i in range(len(TORN))])
def test_what_is_no_request_is_refused_and_its_connection_closed(
    world: World, data: bytes, status: bytes
) -> None:
    got = raw(world, data)
    assert got.startswith(b"HTTP/1.1 " + status), got[:200]
    assert b'{"error":{"code":' in got


def test_a_second_gateway_of_the_folder_is_refused(world: World) -> None:
    done = openmm(
        "serve", "--port", "0", "--run-dir", world.home.root, "--json",
        env={"OPENMM_CLIENTS": str(world.home.clients)},
    )  # fmt: skip
    assert done.returncode == 1
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "in_use"
    assert f"process {world.gateway.pid}" in error["message"]


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = openmm("serve", "--port", str(port), "--run-dir", tmp_path, env={})
    assert done.returncode == 2
    assert "a free port of 127.0.0.1 (Address already in use); 0 finds one" in done.stderr
    assert f"got {port}" in done.stderr


def requote_for(world: World, client: httpx.Client, seconds: float) -> list[float]:
    """Cancel all again and again, for the bot to quote anew each time; return what each took, s."""
    waits_s: list[float] = []
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        placed = world.page().counters.placed
        at_s = time.monotonic()
        done = client.post(f"/api/bots/{BOT}/cancel", json={"order": "all"})
        waits_s.append(time.monotonic() - at_s)
        assert done.status_code == 200, done.text
        until(lambda count=placed: world.page().counters.placed > count, "new quotes")  # type: ignore[misc]
    return waits_s


def told(page: TelemetrySnapshot) -> str:
    """Describe the latency that a page tells of the session so far."""
    parts = []
    for name, stage in SHOWN.items():
        if stage < len(page.stages) and (seen := page.stages[stage]).sample_count:
            p50_us, p99_us = seen.p50_ns / 1e3, seen.p99_ns / 1e3
            parts.append(f"{name} p50 {p50_us:.0f} us, p99 {p99_us:.0f} us of {seen.sample_count}")
    return "; ".join(parts)


def test_a_flood_of_reads_delays_no_brake_and_disturbs_no_order(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many requests as one client can send, on as many connections as it likes."""
    before = world.page()
    with world.client() as client:
        calm_s = requote_for(world, client, FLOOD_S)
        calm = world.page()
        done = threading.Event()

        def flood() -> Counter[int]:
            seen: Counter[int] = Counter()
            with world.client(world.reader) as reader:
                while not done.is_set():
                    seen[reader.get(f"/api/bots/{BOT}/status").status_code] += 1
            return seen

        with ThreadPoolExecutor(FLOODERS) as pool:
            floods = [pool.submit(flood) for _ in range(FLOODERS)]
            try:
                flood_s = requote_for(world, client, FLOOD_S)
            finally:
                done.set()
            counts: Counter[int] = sum((one.result() for one in floods), Counter())
    after = world.page()
    assert set(counts) <= {200, 429, 503}
    assert counts[200]
    assert (after.session, after.pid) == (before.session, before.pid)
    assert after.risk_state == before.risk_state
    assert not after.incident
    assert after.counters.decisions > calm.counters.decisions > before.counters.decisions
    assert after.counters.placed > calm.counters.placed
    assert max(flood_s) < 5
    with capsys.disabled():
        print(
            f"\n{counts.total()} reads in {FLOOD_S:g} s on {FLOODERS} connections: "
            f"{dict(sorted(counts.items()))}\nbrakes answered within {max(calm_s) * 1e3:.0f} ms "
            f"before, {max(flood_s) * 1e3:.0f} ms during\nbefore: {told(calm)}"
            f"\nwith the flood: {told(after)}"
        )


def test_a_gateway_killed_and_started_again_changes_nothing_for_the_bot(world: World) -> None:
    before = world.page()
    with world.client() as client:
        shown = client.post(f"/api/bots/{BOT}/flatten/preview", json={})
        done = client.post(
            f"/api/bots/{BOT}/pause", json={}, headers={"Idempotency-Key": "over-a-kill"}
        )
        assert done.status_code == 200, done.text
    world.gateway.kill()
    assert look_at(world).running
    world.gateway.start()
    with world.client() as client:
        # What was told before the kill still holds: the key, the preview, the token.
        again = client.post(
            f"/api/bots/{BOT}/pause", json={}, headers={"Idempotency-Key": "over-a-kill"}
        )
        assert again.json()["repeated"] is True
        moved = client.post(f"/api/bots/{BOT}/flatten", json={"preview": shown.json()["preview"]})
        refused(moved, 409, "preview_mismatch")  # the bot was paused since
        resume(client)
    until(lambda: quotes(world.home, BOT), "quotes after the kill")
    after = world.page()
    assert (after.session, after.pid) == (before.session, before.pid)


def look_at(world: World) -> BotState:
    (bot,) = world.home.bots()
    return look(bot, time.time_ns())


def resume(client: httpx.Client) -> None:
    shown = client.post(f"/api/bots/{BOT}/resume/preview", json={})
    done = client.post(f"/api/bots/{BOT}/resume", json={"preview": shown.json()["preview"]})
    assert done.status_code == 200, done.text


def test_every_write_that_a_bot_took_stands_in_the_audit(world: World) -> None:
    records = list(Audit(world.home.audit).newest())
    assert Audit(world.home.audit).verify().problem == ""
    done = [one for one in records if one["verdict"] == "done" and one["action"] == "pause"]
    assert done
    assert all(one["caller"]["surface"] == "rest" for one in done)
    text = orjson.dumps(records).decode()
    for token in (world.operator, world.reader, world.small):
        assert token not in text
        assert token not in (world.home.root.parent / "gateway.err").read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_another_address_needs_tls_and_a_client(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = home_of(tmp_path)
    monkeypatch.setenv("OPENMM_CLIENTS", str(home.clients))
    args = ["serve", "--host", host, "--port", "0", "--run-dir", str(home.root)]
    add(home, "reader")
    assert main(args) == 2
    assert "--cert and --key: tokens do not travel in the clear" in capsys.readouterr().err
    home.clients.unlink()
    files = certificate(tmp_path)
    assert main([*args, *files]) == 2
    assert "openmm token add NAME makes one" in capsys.readouterr().err


def certificate(folder: Path) -> list[str]:
    """Write a certificate and its key; return the options that name them."""
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1", "localhost")
    cert, key = folder / "cert.pem", folder / "key.pem"
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    made.cert_chain_pems[0].write_to_path(str(cert))
    key.touch(0o600)
    made.private_key_pem.write_to_path(str(key))
    return ["--cert", str(cert), "--key", str(key)]


def test_over_tls_the_session_is_secure_and_plain_http_is_refused(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    token = add(home, "reader")
    with gateway(home, *certificate(tmp_path), "--host", "0.0.0.0", "--no-dashboard") as served:
        url = f"https://127.0.0.1:{served.port}"
        trusted = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with httpx.Client(base_url=url, verify=trusted) as client:
            answer = client.get("/api/bots", headers={"Authorization": f"Bearer {token}"})
            assert answer.json()["bots"] == []
            assert "max-age" in answer.headers["strict-transport-security"]
            login = client.post("/login", data={"token": token}, headers={"Origin": url})
            assert "; Secure" in login.headers["set-cookie"]
            assert client.get("/api/bots", headers={"Host": "evil.example"}).status_code == 403
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{served.port}/healthz")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(tmp_path / "ca.pem")
        assert old.maximum_version != ssl.TLSVersion.TLSv1_1


def test_the_gateway_ends_in_good_order_and_steps_back_behind_the_bots(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    mine = os.nice(0)
    with gateway(home) as served:
        assert os.getpriority(os.PRIO_PROCESS, served.pid) == min(19, mine + 5)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(20) == 0
    assert os.nice(0) == mine
    told = (tmp_path / "gateway.err").read_text()
    assert told == "openmm: no client may come in yet: openmm token add NAME makes one\n"


def test_a_missing_extra_is_told_in_one_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None; sys.modules['uvicorn'] = None\n"
        "from openmm.cli.main import main; sys.exit(main(['serve', '--port', '0']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "OPENMM_RUN_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'openmm-engine[gateway]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_service_file_starts_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    unit = configparser.ConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "contrib" / "systemd" / "openmm-gateway.service")
    program, *args = shlex.split(unit["Service"]["ExecStart"])
    assert program == "openmm"
    assert main([*args, "--help"]) == 0
    assert "Example: openmm serve" in capsys.readouterr().out
