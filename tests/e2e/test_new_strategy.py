"""A strategy from the template: it builds, its own tests pass, its bot is good, and it trades."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from openmm._fast.tape import Record
from openmm.cli.main import main
from openmm.cli.new import KINDS
from openmm.config import parse
from openmm.engine.replay import replay
from openmm.errors import JournalError
from openmm.sim.options import SimOptions
from openmm.strategy.fenced import FencedStrategy
from openmm.strategy.python import PythonStrategy
from openmm.testing.virtual import VirtualBot

ROOT = Path(__file__).resolve().parent.parent.parent
AT = {"ws": "ws://127.0.0.1:1", "ws_auth": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"}
EGG = ("-c", "from setuptools import setup; setup()", "-q", "egg_info")
BUILD = {"python": EGG, "cython": ("setup.py", "-q", "build_ext", "--inplace", "egg_info")}

# The shortest name and the longest: no line of the template may depend on it.
NAMES = {"python": "m", "cython": "a-name-of-32-characters-at-most9"}

pytestmark = pytest.mark.slow


def run(folder: Path, *command: str) -> str:
    """Run Python in a project as if it and the engine were installed; fail with what it said."""
    env = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_project_builds_passes_its_tests_and_trades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name = NAMES[kind]
    assert main(["new", "strategy", name, "--kind", kind, "--into", str(tmp_path)]) == 0
    folder = tmp_path / name
    run(folder, *BUILD[kind])
    for lint in (["check"], ["format", "--check"]):
        run(folder, "-m", "ruff", *lint, "--no-cache", ".")
    told = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert " passed" in told
    assert " failed" not in told
    checked = json.loads(
        run(folder, "-m", "openmm.cli.main", "check", "bot.toml", "--offline", "--json")
    )
    assert checked["ok"]
    assert checked["ladder"] is None
    assert checked["plugin"]["package"] == f"{name} 0.1.0"
    assert checked["plugin"]["asked"] == {"python": "in Python", "cython": "in C"}[kind]
    assert checked["parameters"]["strategy.name"] == name

    monkeypatch.syspath_prepend(folder)
    data = tomllib.loads((folder / "bot.toml").read_text())
    data["bot"]["mode"] = "live"
    data["venue"][0] |= {"account": "dedicated", "endpoints": AT}
    # The template stands well off the market of a real venue; here it shall be met.
    data["strategy"]["params"] |= {"half_ppm": 60, "skew_ppm": 30}
    sim = SimOptions(
        seed=5, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000,
        balances={"BTC": Decimal(1), "USD": Decimal(60_000)},
    )  # fmt: skip
    bot = VirtualBot(parse(data), sim, tmp_path / "runs")
    bot.start()
    bot.run(10)
    strategy = bot.tables.pipeline.strategy
    assert isinstance(strategy, PythonStrategy if kind == "python" else FencedStrategy)
    assert strategy.error_count == 0
    assert bot.tables.pipeline.table.live_count == 2
    assert bot.stop() == 0
    answers = [one for one in bot.records if one.kind == Record.REC_STRATEGY]
    assert bool(answers) is (kind == "python")
    found = replay(bot.records)
    assert found.difference is None
    assert found.orders > 4
    if kind == "cython":
        # It is run again by a replay, which says so when it cannot be.
        monkeypatch.undo()
        with pytest.raises(JournalError, match="an installed strategy"):
            replay(bot.records)
