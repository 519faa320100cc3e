"""No secret is left anywhere: planted in live bots, then looked for in all that they leave."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zstandard

from openmm.config.keys import Keys
from openmm.config.vault import Costs, create_vault, put_keys
from openmm.control.views import look
from openmm.engine.rundir import RunDir
from tests.e2e.leaks import find, forms, processes_below, search, search_processes
from tests.e2e.programs import BOT, COMMAND, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# As long and as mixed as the venues': each with characters that the encodings change.
SECRETS = {
    "kraken key": "kKey/Plant+7Yq2Zr8Xw3Vt9Us4Lm1",
    "kraken secret": base64.b64encode(
        b"kraken secret, planted to be looked for \xfe\xff\x00"
    ).decode(),
    "bitget key": "bg_plant3dK3y7f9e2d1c0b",
    "bitget secret": "bgS3cret+plant/ed&found=never%5678",
    "bitget passphrase": "bgPassPhrase~planted!42",
    "vault passphrase": "vault words, planted /+& and long",
    "wrong key": "wr0ngKeyThatTheVenueRefuses/+1",
    "wrong secret": base64.b64encode(b"a secret that is refused, and shown nowhere").decode(),
}
SIM = """
import os, sys
from openmm.sim.main import run
from openmm.sim.options import SimOptions
from openmm.venues.bitget import dialect, dialect_rest
dialect.PASSPHRASE = dialect_rest.PASSPHRASE = os.environ["PLANTED_PASSPHRASE"]
key, secret = os.environ["PLANTED_KEY"], os.environ["PLANTED_SECRET"]
run(SimOptions(venue=sys.argv[1], seed=5, fee_tier=int(sys.argv[2]), maker_fee_ppm=0,
               api_key=key, api_secret=secret, market={"taker_share": 0.3}))
"""
# A bot whose engine fails in the midst of trading, with its keys in reach of the trace.
CRASH = """
import sys
from openmm.cli.main import main
from openmm.engine.loop import Engine
async def wait(self, duration_s):
    keys = self._keys
    raise RuntimeError(f"planted crash: {keys!r} {keys} {self.config!r}")
Engine.wait = wait
sys.exit(main(["--debug", "run", *sys.argv[1:]]))
"""


@contextmanager
def venue(name: str, fee_tier: int) -> Iterator[dict[str, Any]]:
    told = {"KEY": f"{name} key", "SECRET": f"{name} secret", "PASSPHRASE": "bitget passphrase"}
    process = subprocess.Popen(
        [sys.executable, "-c", SIM, name, str(fee_tier)], cwd=ROOT, stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **{f"PLANTED_{key}": SECRETS[of] for key, of in told.items()}},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=30)


class Planted:
    """Two live bots: Kraken's keys come from a vault, Bitget's from the environment."""

    def __init__(self, folder: Path, sims: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.out.mkdir()
        self.words = folder / "words"
        self.vault = folder / "vault.json"
        self.words.write_text(SECRETS["vault passphrase"] + "\n")
        self.words.chmod(0o600)
        create_vault(self.vault, SECRETS["vault passphrase"], Costs(n=1 << 14))
        keys = Keys(SECRETS["kraken key"], SECRETS["kraken secret"])
        put_keys(self.vault, SECRETS["vault passphrase"], "kraken", keys)
        self.env = {
            **os.environ, "OPENMM_RUN_DIR": str(folder / "runs"), "XDG_RUNTIME_DIR": str(folder),
            "PYTHONFAULTHANDLER": "1",
        }  # fmt: skip
        self.of = {
            "kraken": {"OPENMM_VAULT": str(self.vault),
                       "OPENMM_VAULT_PASSPHRASE_FILE": str(self.words)},
            "bitget": {"OPENMM_BITGET_KEY": SECRETS["bitget key"],
                       "OPENMM_BITGET_SECRET": SECRETS["bitget secret"],
                       "OPENMM_BITGET_PASSPHRASE": SECRETS["bitget passphrase"]},
        }  # fmt: skip
        for name, sim in sims.items():
            text = BOT.format(
                name=name, mode="live", run_dir=folder / "runs", depth=25, venue="", risk="",
                engine='log_level = "debug"', **{key: sim[key] for key in ("ws", "ws_auth", "rest")}
            )  # fmt: skip
            text = text.replace('"2bps"', '"1bps"').replace(
                "[risk]",
                'vol_factor = "0"\ndepth_factor = "0%"\ninventory_widen = "0%"\n[risk]',
            )
            if name == "bitget":
                text = text.replace('"kraken"', '"bitget"').replace("BTC/USD", "BTC/USDT")
                text = text.replace("depth = 25", "depth = 400")
                text = text.replace('account = "dedicated"', 'account = "shared"')
            (folder / f"{name}.toml").write_text(text)

    def run(self, name: str, label: str, *args: str, env: Mapping[str, str] | None = None) -> int:
        """Run a command to its end; what it said is kept among the rest."""
        done = subprocess.run(
            [*COMMAND, *args], cwd=self.out, timeout=90, check=False, capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**self.env, "PYTHONPATH": str(ROOT), **self.of[label], **(env or {})},
        )  # fmt: skip
        (self.out / f"{name}.txt").write_bytes(done.stdout + b"\n" + done.stderr)
        return done.returncode

    def start(self, label: str, program: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self.out / f"{name}.txt").open("wb") as out:
            return subprocess.Popen(
                [*program, str(self.folder / f"{label}.toml")], cwd=self.out, stdout=out,
                stderr=out, stdin=subprocess.DEVNULL,
                env={**self.env, "PYTHONPATH": str(ROOT), **self.of[label]},
            )  # fmt: skip

    def trades_or_ended(self, label: str, bot: subprocess.Popen[bytes]) -> bool:
        if bot.poll() is not None:
            return True
        page = look(RunDir(self.folder / "runs", label), time.time_ns()).page
        return page is not None and page.counters.filled > 0 and bool(page.own_bids)


def until(holds: Callable[[], Any], what: str, within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Planted, list[str]]]:
    """Let both bots trade, ask them all there is to ask, crash them; give what they left."""
    found: list[str] = []
    with ExitStack() as stack:
        sims = {
            "kraken": stack.enter_context(venue("kraken", 9)),
            "bitget": stack.enter_context(venue("bitget", 0)),
        }
        planted = Planted(tmp_path_factory.mktemp("planted"), sims)
        bots = {}
        for label in sims:
            bots[label] = planted.start(label, [*COMMAND, "run"], f"{label}-run")
            stack.callback(end, bots[label])
        for label, bot in bots.items():
            until(partial(planted.trades_or_ended, label, bot), f"{label} trades")
            assert bot.poll() is None, (planted.out / f"{label}-run.txt").read_text()
            family = processes_below(bot.pid)
            assert len(family) >= 2, "the writer at least"
            # The environment that a key was put into by its user has it, and nobody else's.
            env_of = frozenset(family) - ({bot.pid} if label == "bitget" else set())
            found += search_processes(family, SECRETS, env_of=env_of)
            for kept in ("telemetry.page", "session.json"):
                shutil.copy(planted.folder / "runs" / label / kept, planted.out / f"{label}-{kept}")
            for tape in (planted.folder / "runs" / label).glob("*.tape"):
                shutil.copy(tape, planted.out / f"{label}-{tape.name}")
            assert planted.run(f"{label}-halt", label, "halt", "--bot", label, "--reason", "x") == 0
        assert planted.run("status", "kraken", "status", "--json") in (1, 3)
        assert planted.run("check", "kraken", "check", "../kraken.toml") == 0
        doctor = ("doctor", "bitget", "--for", "../bitget.toml", "--json")
        assert planted.run("doctor", "bitget", *doctor) in (0, 1)
        # One is killed by a fault, one stopped in order.
        bots["kraken"].send_signal(signal.SIGSEGV)
        _, status = os.waitpid(bots["kraken"].pid, 0)
        bots["kraken"].returncode = os.waitstatus_to_exitcode(status)
        assert bots["kraken"].returncode == -signal.SIGSEGV
        assert not os.WCOREDUMP(status)
        bots["bitget"].terminate()
        assert bots["bitget"].wait(60) == 3
        # One crashes with its trace, one is refused its key.
        crash = planted.start("kraken", [sys.executable, "-c", CRASH], "kraken-crash")
        stack.callback(end, crash)
        assert crash.wait(90) == 1
        wrong = {"OPENMM_VAULT": "", "OPENMM_KRAKEN_KEY": SECRETS["wrong key"],
                 "OPENMM_KRAKEN_SECRET": SECRETS["wrong secret"]}  # fmt: skip
        refused = ("--debug", "run", "../kraken.toml")
        assert planted.run("refused", "kraken", *refused, env=wrong) == 1
        bad_words = {"OPENMM_VAULT_PASSPHRASE_FILE": str(planted.vault)}
        assert planted.run("no-words", "kraken", "--debug", "balance", "kraken",
                           env=bad_words) == 1  # fmt: skip
        for label in sims:
            assert planted.run(f"{label}-report", label, "report", "--bot", label, "--json",
                               "--html", f"{label}.html") == 0  # fmt: skip
        yield planted, found


def test_nothing_planted_is_found_anywhere(left: tuple[Planted, list[str]]) -> None:
    planted, found = left
    found += search(planted.folder, SECRETS, but=frozenset({planted.words}))
    assert found == []


def test_search_saw_what_it_was_meant_to_see(left: tuple[Planted, list[str]]) -> None:
    """The artefacts are there and hold what happened: an empty folder has no leaks either."""
    planted, _ = left
    runs = planted.folder / "runs"
    for label in ("kraken", "bitget"):
        assert list((runs / label / "journal").rglob("*.zst")), "compressed segments"
        assert (runs / label / "store.sqlite").stat().st_size > 50_000
        assert "quoting" in (runs / label / "log").read_text()
        assert (planted.out / f"{label}.html").stat().st_size > 10_000
        assert (planted.out / f"{label}-telemetry.page").stat().st_size > 1_000
    assert '"halt"' in (runs / ".control" / "audit.jsonl").read_text()
    crash = (planted.out / "kraken-crash.txt").read_text()
    assert "Traceback" in crash
    assert "planted crash: Keys(key=<redacted>, secret=<redacted>)" in crash
    assert "planted crash" in (runs / "kraken" / "log").read_text()
    assert "Invalid key" in (planted.out / "refused.txt").read_text()
    assert "Traceback" in (planted.out / "refused.txt").read_text()
    assert "not the passphrase" in (planted.out / "no-words.txt").read_text()
    segmentation = (planted.out / "kraken-run.txt").read_text()
    assert "Fatal Python error: Segmentation fault" in segmentation


@pytest.mark.parametrize("form", forms("secret/of+one&and two"))
def test_planted_leak_is_found_in_every_form(form: str, tmp_path: Path) -> None:
    secret = "secret/of+one&and two"
    data = b"before " + forms(secret)[form] + b" after"
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_bytes(data)
    assert any(form in line for line in search(tmp_path, {"it": secret}, but=frozenset()))
    assert search(tmp_path, {"it": "something else"}, but=frozenset()) == []


@pytest.mark.parametrize("offset", range(3))
def test_planted_leak_is_found_within_base64_of_more(offset: int) -> None:
    text = b"x" * offset + b"secret/of+one&and two" + b" and more"
    for encoded in (base64.b64encode(text), base64.urlsafe_b64encode(text)):
        assert find(encoded, {"it": "secret/of+one&and two"}, "here") != []


def test_planted_leak_is_found_compressed_and_in_a_database(tmp_path: Path) -> None:
    secret = "secret/of+one&and two"
    packed = zstandard.ZstdCompressor().compress(b"so " * 500 + secret.encode() + b" it is")
    (tmp_path / "segment.omj.zst").write_bytes(b"HEAD" + packed + packed)
    with sqlite3.connect(tmp_path / "store.sqlite") as base:
        base.execute("create table notes (text)")
        base.execute("insert into notes values (?)", (f"a {secret} b",))
    base.close()
    found = search(tmp_path, {"it": secret}, but=frozenset())
    assert {line.partition(":")[0].partition(" ")[0] for line in found} == {
        "segment.omj.zst", "store.sqlite"
    }  # fmt: skip


def test_planted_leak_is_found_in_a_process() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()", "secret-argument"],
        stdin=subprocess.PIPE, env={**os.environ, "LEAKED": "secret-variable"},
    )  # fmt: skip
    try:
        assert child.pid in processes_below(os.getpid())
        secrets = {"one": "secret-argument", "two": "secret-variable"}
        found = search_processes([child.pid], secrets, env_of=frozenset({child.pid}))
        assert {line.split(": ")[1] for line in found} >= {"one (plain)", "two (plain)"}
        assert len(found) == len(search_processes([child.pid], secrets, env_of=frozenset())) * 2
    finally:
        child.kill()
        child.communicate()
