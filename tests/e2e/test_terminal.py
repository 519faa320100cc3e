"""`openmm top` and the wizard in a real terminal, over a live bot: what a person sees."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openmm._fast.checks import RiskState
from openmm.config import load
from openmm.config.vault import read_vault
from openmm.control.home import Home
from openmm.control.views import enum_name, look
from openmm.sim.options import DEMO_KEY, DEMO_SECRET
from tests.control.running import running_bot
from tests.e2e.programs import COMMAND, ROOT, openmm, simulator
from tests.e2e.tmux import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
BOT = "btc-grid"
PASS = "three words long"


@pytest.fixture(scope="module", autouse=True)
def _tmux() -> None:
    if shutil.which("tmux") is None:
        if os.environ.get("OPENMM_REQUIRE_DATA") == "1":
            pytest.fail("tmux is not installed: apt-get install tmux")
        pytest.skip("tmux is not installed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running_bot(tmp_path_factory.mktemp("bot")) as found:
        yield found


def top(home: Home, width: int, height: int, **env: str) -> Terminal:
    command = [*COMMAND, "top", "--run-dir", str(home.root)]
    told = {"PYTHONPATH": str(ROOT), "OPENMM_VAULT": ""} | env
    return Terminal(command, folder=home.root, env=told, width=width, height=height)


def contains(text: str) -> Callable[[str], bool]:
    return lambda shown: text in shown


def risk(home: Home) -> str:
    (run_dir,) = home.bots()
    page = look(run_dir, time.time_ns()).page
    assert page is not None
    return enum_name(RiskState, page.risk_state)


def test_top_shows_a_bot_whole_at_80_by_24(home: Home) -> None:
    with top(home, 80, 24) as screen:
        shown = screen.until(lambda s: s.count("◄") >= 4, "our orders, marked")
        lines = shown.splitlines()
        assert re.match(rf" {BOT}  RUNNING  live BTC/USD  up ", lines[0])
        assert all(len(line) <= 80 for line in lines)
        # Our prices are those of the page, asks above the reference and bids below.
        marked = [line.split()[0] for line in lines if "◄" in line]
        middle = next(at for at, line in enumerate(lines) if " ref " in line)
        assert any("◄" in line for line in lines[:middle])
        assert any("◄" in line for line in lines[middle:])
        prices = [float(text.replace(",", "")) for text in marked]
        assert prices == sorted(prices, reverse=True)
        for words in ("share, target", "off target", "realised", "inventory", "notional",
                      "drawdown", "reference •", "p pause", "r resume", "h halt"):  # fmt: skip
            assert words in shown, words
        assert re.search(r"notional +[█▏▎▍▌▋▊▉░]+ +\d+%", shown)

        screen.press("2")
        shown = screen.until(lambda s: "latency by stage" in s, "health")
        assert re.search(r"kraken\* +verified +[\d,.]+ +[\d,.]+ +\d+ ms", shown)
        assert re.search(r"^ ack +[\d.]+ [um]s +[\d.]+ [um]s", shown, re.M)
        screen.press("3")
        shown = screen.until(lambda s: "since the start" in s, "orders")
        assert len(re.findall(r"^ (?:buy|sell) +[\d,.]+ +[\d.]+ +[\d.]+ +\w+", shown, re.M)) >= 4
        assert re.search(r"placed \d+", shown)
        screen.press("4")
        screen.until(lambda s: "none" in s and "incident" in s, "incidents")
        screen.press("?")
        screen.until(lambda s: "openmm top: keys" in s, "help")
        screen.press("Escape")
        screen.until(lambda s: "openmm top: keys" not in s, "help gone")
        screen.press("Escape")
        shown = screen.until(lambda s: "position" in s, "the fleet")
        assert re.search(rf"{BOT} +running +live +BTC/USD +[\d,]+ USD", shown)
        screen.press("q")
        screen.until(lambda s: "ended with 0" in s, "a clean end")


def test_pause_resume_and_halt_ask_first_and_reach_the_bot(home: Home) -> None:
    with top(home, 100, 30, NO_COLOR="1") as screen:
        screen.until(lambda s: "RUNNING" in s and "◄" in s, "the bot")
        screen.press("p")
        screen.until(lambda s: f"pause {BOT}?" in s, "a question")
        screen.press("Enter")  # no, the answer that stands there
        screen.until(lambda s: f"pause {BOT}?" not in s, "the question gone")
        assert risk(home) == "running"
        for key, state, question in (
            ("p", "PAUSED", "pause"), ("r", "RUNNING", "resume"),
            ("h", "HALTED", "halt"), ("r", "RUNNING", "resume"),
        ):  # fmt: skip
            screen.press(key)
            shown = screen.until(contains(f"{question} {BOT}?"), "a question")
            if question == "resume":
                assert "-> running" in shown.lower()
            screen.press("y")
            screen.until(contains(f" {BOT}  {state}"), state)
            assert risk(home) == state.lower()
            if state != "RUNNING":
                screen.until(lambda s: "◄" not in s, "no order of ours")
        screen.until(lambda s: "◄" in s, "quotes again")
    told = Home.find(home.root).audit.read_text()
    for action in ("pause", "resume", "halt"):
        assert f'"action":"{action}"' in told
    assert '"surface":"top"' in told


def test_top_follows_the_size_of_its_terminal(home: Home) -> None:
    with top(home, 80, 24) as screen:
        screen.until(lambda s: "◄" in s, "the bot")
        screen.resize(150, 45)
        every = (
            "latency by stage", "our orders on the book", "venues", "fills", "incidents",
            "limits in use",
        )  # fmt: skip
        screen.until(lambda s: all(words in s for words in every), f"all of {every} at once")
        screen.resize(60, 15)
        screen.until(lambda s: "latency by stage" not in s and BOT in s, "a page again")
        screen.resize(80, 24)
        screen.until(lambda s: "◄" in s and "limits in use" in s, "as before")


def test_top_outlives_a_bot_that_dies(home: Home, tmp_path: Path) -> None:
    (run_dir,) = home.bots()
    copy = Home(tmp_path / "runs", tmp_path / "state", tmp_path / "clients.toml")
    shutil.copytree(
        run_dir.path, copy.root / BOT, ignore=shutil.ignore_patterns("*.sock", "*.tape")
    )
    with top(copy, 80, 24) as screen:
        # The lock is nobody's, the page stands still.
        shown = screen.until(lambda s: "DEAD" in s, "dead")
        assert "last seen" in shown.splitlines()[0]
        screen.press("p")
        screen.until(contains(f"pause {BOT}?"), "a question")
        screen.press("y")
        screen.until(lambda s: "not running" in s, "why it was not paused")


def test_wizard_proposes_a_grid_from_the_market_and_puts_keys_into_the_vault(
    tmp_path: Path,
) -> None:
    vault, file = tmp_path / "vault.json", tmp_path / "bot.toml"
    env = {
        "PYTHONPATH": str(ROOT), "OPENMM_VAULT": str(vault),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }  # fmt: skip
    with simulator("--seed", "7", "--fee-tier", "5") as sim:
        command = [*COMMAND, "init", str(file), "--rest", sim["rest"], "--ws", sim["ws"],
                   "--ws-auth", sim["ws_auth"]]  # fmt: skip
        with Terminal(command, folder=tmp_path, env=env, width=100, height=60) as screen:
            screen.answer("Venue [kraken]:", "mtgox")
            screen.until(lambda s: "one of kraken, " in s, "the venues there are")
            screen.answer("Venue [kraken]:", "")
            screen.answer("[paper]:", "live")
            screen.answer("into the vault now [Y/n]:", "")
            screen.answer("New passphrase of the vault:", PASS)
            screen.answer("Repeat for confirmation:", PASS)
            screen.answer("kraken: API key:", DEMO_KEY)
            screen.answer("kraken: API secret:", DEMO_SECRET)
            screen.answer("Pair [BTC/USD]:", "BTC/DOGE")
            screen.until(contains("kraken lists no BTC/DOGE"), "what there is not")
            screen.answer("Pair [BTC/USD]:", "")
            shown = screen.until(lambda s: "Capital in USD" in s, "the market")
            assert re.search(r"kraken BTC/USD: [\d,.]+ USD, spread [\d.]+ bps", shown)
            assert "maker fee 0.08% (your account)" in shown
            assert "the account holds" in shown
            screen.answer("[2000.00]:", "5000")
            screen.answer("The bot's name [btc-grid]:", "mine")
            shown = screen.until(lambda s: s.rstrip().endswith("Take it [yes]:"), "a grid")
            asks = re.findall(r"^ask +([\d,.]+) +([\d.]+)", shown, re.M)
            bids = re.findall(r"^bid +([\d,.]+) +([\d.]+)", shown, re.M)
            assert len(asks) == len(bids) == 5
            prices = [float(price.replace(",", "")) for price, _ in asks + bids]
            assert prices == sorted(prices, reverse=True)
            assert re.search(r"needs [\d,.]+ BTC and [\d,.]+ USD", shown)
            worth = [float(p.replace(",", "")) * float(qty) for p, qty in asks + bids]
            assert sum(worth) < 5000
            screen.type("0.1%")
            screen.until(contains("at least 0.16%, the maker fee"), "fees are not paid")
            screen.answer("Take it [yes]:", "0.9%")
            screen.answer("Take it [yes]:", "3")
            screen.until(lambda s: len(re.findall(r"^ask ", s, re.M)) % 5 == 3, "another grid")
            screen.answer("Take it [yes]:", "")
            shown = screen.until(lambda s: "ended with 0" in s, "the end")
            for secret in (DEMO_KEY, DEMO_SECRET, PASS):
                assert secret not in shown
            for following in ("check", "doctor kraken --for", "run", "top"):
                assert f"openmm {following}" in shown
        config = load(file)
        assert (config.bot.name, config.bot.mode) == ("mine", "live")
        assert str(config.bot.capital) == "5000"
        grid = config.strategy
        assert (grid.spread_ppm, grid.num_orders) == (9_000, 3)  # type: ignore[union-attr]
        assert read_vault(vault, PASS)["kraken"].key == DEMO_KEY
        words = tmp_path / "words"
        words.write_text(PASS)
        words.chmod(0o600)
        # What it wrote runs.
        env |= {"OPENMM_VAULT_PASSPHRASE_FILE": str(words), "OPENMM_RUN_DIR": str(tmp_path / "r")}
        done = openmm("run", file, "--for", "2s", env=env)
        assert done.returncode == 0, done.stderr
