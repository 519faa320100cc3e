"""Two Ray nodes on this machine, one of them killed half-way: the results are the local ones."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from openmm.data import store
from openmm.errors import CommandError, DataError
from openmm.sweep.plan import Part
from openmm.sweep.results import TIMINGS
from openmm.sweep.store import FILE
from tests.sweep.made import bot_file, job, market, market_file

ROOT = Path(__file__).resolve().parent.parent.parent
RUNS = 400
SEARCH = ("--random", str(RUNS // 2), "strategy.spread=2bps..9bps", "strategy.num_orders=1,2,3",
          "strategy.vol_factor=0..1", "model.queue=careful,power")  # fmt: skip


def until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until something holds, no longer than that."""
    deadline_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.02)


def below(pid: int) -> list[int]:
    """Return a process and all that it started."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in path.read_text().split():
                found += below(int(child))
    return found


class Node:
    """One `ray start`, its processes below it, and where it keeps data."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.cache = folder / f"cache{len(list(folder.iterdir()))}"
        self.cache.mkdir()
        env = os.environ | {
            "PYTHONPATH": str(ROOT), "OPENMM_SWEEP_CACHE": str(self.cache),
            "RAY_USAGE_STATS_ENABLED": "0", "RAY_health_check_period_ms": "500",
            "RAY_health_check_failure_threshold": "3", "RAY_health_check_initial_delay_ms": "500",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "ray.scripts.scripts", "start", "--block",
                "--node-ip-address=127.0.0.1", "--num-cpus=1", "--disable-usage-stats",
                "--object-store-memory=80000000", *options,
            ],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def raylet(self) -> int | None:
        for pid in below(self.process.pid):
            with suppress(OSError):
                if Path(f"/proc/{pid}/exe").resolve().name == "raylet":
                    return pid
        return None

    def end(self) -> None:
        for pid in below(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, list[Node]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The paths of Ray's sockets lie below it, and must be short.
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    nodes: list[Node] = []
    try:
        nodes.append(
            Node(folder, "--head", f"--port={port}", "--include-dashboard=false",
                 f"--temp-dir={folder}")
        )  # fmt: skip
        until(lambda: listens(port) and nodes[0].raylet(), "the head node does not start")
        nodes.append(Node(folder, f"--address=127.0.0.1:{port}"))
        until(lambda: nodes[1].raylet(), "the second node does not start")
        yield f"127.0.0.1:{port}", nodes
    finally:
        for one in reversed(nodes):
            one.end()
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, data: str, out: str, *options: str, fds: tuple[int, ...] = ()) -> Any:
    return subprocess.Popen(
        [
            sys.executable, "-m", "openmm.cli.main", "sweep", str(folder / "bot.toml"), data,
            *SEARCH, "--out", str(folder / out), "--json", *options,
        ],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, pass_fds=fds, text=True,
    )  # fmt: skip


def done(path: Path) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=10)) as beside:
        try:
            return int(beside.execute("SELECT count(*) FROM result").fetchone()[0])
        except sqlite3.OperationalError:  # the tables are not there yet
            return 0


def rows(folder: Path, out: str) -> Any:
    return parquet.read_table(folder / out / "results.parquet")


OWNER = """
import json, sys
from contextlib import closing
import msgspec
from openmm.errors import CommandError
from openmm.sweep.plan import build_of, specs
from openmm.sweep.ray_pool import RayPool
from tests.sweep.made import job, points, span
spans = (msgspec.structs.replace(span(0), parts=()),)  # its runner needs no data
made = msgspec.structs.replace(job("deadly"), build=build_of(), spans=spans)
other = msgspec.structs.replace(made, build="0.0.1+another")
refused = ""
with closing(RayPool(other, sys.argv[1])) as pool:
    try:
        list(pool.run(specs(other, points(12))))
    except CommandError as error:
        refused = str(error)
with closing(RayPool(made, sys.argv[1])) as pool:
    came = {one.run_id: one for part in pool.run(specs(made, points(12))) for one in part}
print(json.dumps([refused, *([one.state, one.why, one.attempts] for one in
                             (came[spec.run_id] for spec in specs(made, points(12))))]))
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_run_that_ends_its_process_is_given_up_and_a_node_of_another_build_refused(
    cluster: tuple[str, list[Node]],
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWNER, cluster[0]], cwd=ROOT, check=False, timeout=100,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refused, *found = json.loads(done.stdout)
    assert "not 0.0.1+another: install the same" in refused
    assert [(state, attempts) for state, _, attempts in (found[2], found[4])] == [("failed", 3)] * 2
    assert "ZeroDivisionError: a fault of the program" in found[4][1]
    assert {state for at, (state, _, _) in enumerate(found) if at not in (2, 4)} == {"done"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_cluster_that_loses_a_node_gives_the_local_results(
    cluster: tuple[str, list[Node]], tmp_path: Path
) -> None:
    address, nodes = cluster
    bot_file(tmp_path)
    file = market_file(tmp_path, 160)
    # A path that only the driver can follow: the nodes have to be sent the data.
    handle = os.open(tmp_path, os.O_RDONLY)
    data = f"/proc/self/fd/{handle}/{file.name}"
    running = sweep(tmp_path, data, "ray", "--ray", address, fds=(handle,))
    os.close(handle)
    until(
        lambda: done(tmp_path / "ray" / FILE) > RUNS // 4 or running.poll() is not None,
        "a quarter of the runs",
    )
    raylet = nodes[1].raylet()
    assert raylet is not None
    os.kill(raylet, signal.SIGKILL)
    out, errors = running.communicate(timeout=90)
    assert running.returncode == 0, errors
    assert json.loads(out)["runs"] == {"done": RUNS, "refused": 0, "failed": 0}
    local = sweep(tmp_path, str(file), "local", "--workers", "2")
    _, errors = local.communicate(timeout=90)
    assert local.returncode == 0, errors
    found, wanted = rows(tmp_path, "ray"), rows(tmp_path, "local")
    assert found.num_rows == RUNS
    assert set(found["state"].to_pylist()) == {"done"}
    assert found.drop_columns(list(TIMINGS)).equals(wanted.drop_columns(list(TIMINGS)))
    # Both nodes had their part, each with one copy of the data, and the one that is left the rest.
    hosts = found["host"].to_pylist()
    assert len(set(hosts)) == 2
    assert min(hosts.count(one) for one in set(hosts)) < RUNS // 2
    content = store.read_header(file).content
    for one in nodes:
        assert [path.name for path in one.cache.glob("*.omd")] == [f"{content}.omd"]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_head_that_is_gone_for_good_is_told_soon_and_the_results_stay(
    cluster: tuple[str, list[Node]], tmp_path: Path
) -> None:
    address, nodes = cluster  # the last test of it
    bot_file(tmp_path)
    file = market_file(tmp_path, 160)
    running = sweep(tmp_path, str(file), "ray", "--ray", address)
    until(lambda: done(tmp_path / "ray" / FILE) or running.poll() is not None, "a result")
    nodes[0].end()
    out, errors = running.communicate(timeout=40)  # Ray would wait for a minute
    assert (running.returncode, out) == (1, ""), errors
    message = json.loads(errors.splitlines()[-1])["error"]["message"]
    assert message.startswith(f"no Ray cluster at {address}: ")
    assert message.endswith("the same command goes on, there or here")
    assert 0 < done(tmp_path / "ray" / FILE) < RUNS


def test_data_that_was_sent_is_proven_and_written_once(tmp_path: Path) -> None:
    from openmm.sweep.ray_pool import keep, placed

    file = market_file(tmp_path, 6)
    content, whole = store.read_header(file).content, file.read_bytes()
    cache = tmp_path / "cache"
    here = Part(str(file), content, "kraken BTC/USD", 1)
    assert placed(here, cache) == here
    elsewhere = placed(Part(str(tmp_path / "none.omd"), content, "kraken BTC/USD", 1), cache)
    assert elsewhere.path == str(cache / f"{content}.omd")
    # Another file under the same path is not taken for it.
    store.write(tmp_path / "other.omd", market(6, seed=3))
    other = Part(str(tmp_path / "other.omd"), content, "kraken BTC/USD", 1)
    assert placed(other, cache) == elsewhere
    with pytest.raises(DataError, match="the hash it was sent under"):
        keep(elsewhere, [(tmp_path / "other.omd").read_bytes()])
    assert not Path(elsewhere.path).exists()
    keep(elsewhere, [whole[:100], whole[100:]])
    assert Path(elsewhere.path).read_bytes() == whole
    keep(elsewhere, [b"not looked at: it is there"])
    assert Path(elsewhere.path).read_bytes() == whole


def test_address_where_nothing_answers_is_an_error_at_once() -> None:
    from openmm.sweep.ray_pool import RayPool

    with socket.socket() as bound:  # not listening: nothing else takes the port meanwhile
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        for told in (address, f"ray://{address}"):
            with pytest.raises(CommandError, match=f"no Ray cluster at {told}: .*refused"):
                RayPool(job("tiny"), told)
