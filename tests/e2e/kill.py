"""A venue, a bot and its helpers as processes of their own, killed at will, and what must hold."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from openmm._fast.tape import Record, TapeReader
from openmm._fast.units import Side
from openmm.config.secrets import Keys
from openmm.errors import JournalError
from openmm.venues import connect
from openmm.venues.base import PlaceOrder
from tests.cli.processes import ROOT, get

FILE = """\
[bot]
name = "kill"
mode = "live"
run_dir = "{run_dir}"
[[venue]]
name = "{name}"
quote = "{pair}"
account = "{account}"
options = {{ {options} }}
maker_fee = "0.1%"
taker_fee = "0.2%"
endpoints = {{ ws = "{ws}", ws_auth = "{ws_auth}", rest = "{rest}" }}
[strategy]
kind = "grid"
spread = "2bps"
fee_budget = "50%"
level_step = "1bps"
order_amount = "0.01"
num_orders = 2
rebalance_threshold = "20%"
vol_factor = "0.25"
depth_factor = "0%"
{strategy}
[risk]
max_order_size = "0.02"
max_open_notional = "20000"
max_inventory = "0.5"
max_drawdown = "50%"
fills_per_minute = 10000
{risk}
[settlement]
reconcile_every = "1s"
[engine]
tape_size = "4MiB"
"""
PATIENCE_S = 60.0
SIDES = {"buy": int(Side.BUY), "sell": int(Side.SELL)}


def until(check: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait for something to become true, or to give a value."""
    deadline_s = time.monotonic() + patience_s
    while not (found := check()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {patience_s:g} s: {what}")
        time.sleep(0.001)
    return found


def until_later(seconds: float) -> None:
    """Let a drawn span pass: the point at which to kill, whatever happens then."""
    later_s = time.monotonic() + seconds
    until(lambda: time.monotonic() >= later_s, "the point to kill at")


class Bot:
    """One bot's folder, and its processes as they come and go."""

    def __init__(
        self, folder: Path, sim: dict[str, Any], *, account: str, risk: str, name: str = "kraken",
        options: str = "", strategy: str = "",
    ) -> None:  # fmt: skip
        self.sim = sim
        self.name = name
        self.foreign = 0
        self.folder = folder / "runs" / "kill"
        self.file = folder / "bot.toml"
        self.file.write_text(
            FILE.format(
                name=name,
                pair=sim["instrument"],
                run_dir=folder / "runs",
                account=account,
                risk=risk,
                options=options,
                strategy=strategy,
                **sim,
            )
        )
        self.log = folder / "output"
        self.process: subprocess.Popen[bytes] | None = None
        self._env = os.environ | {
            f"OPENMM_{name.upper()}_KEY": sim["api_key"],
            f"OPENMM_{name.upper()}_SECRET": sim["api_secret"],
            f"OPENMM_{name.upper()}_PASSPHRASE": sim.get("passphrase", ""),
            "XDG_RUNTIME_DIR": str(folder),
        }

    def start(self) -> None:
        """Start the bot's process; whatever ran before is dead."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "openmm.cli.main", "run", str(self.file), "--json"],
                cwd=ROOT, env=self._env, stdout=output, stderr=output,
            )  # fmt: skip

    def freeze(self) -> None:
        """Let the engine stand still: what it has open stays as it is."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the engine go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self, *, writer: bool = False, watchdog: bool = False, engine: bool = True) -> None:
        """SIGKILL the engine, its writer, its watchdog, or more than one; the engine last."""
        assert self.process is not None
        for module, dies in (("openmm.writer", writer), ("openmm.watchdog", watchdog)):
            for pid in self.children(module) if dies else ():
                os.kill(pid, signal.SIGKILL)
        if engine:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def children(self, module: str) -> list[int]:
        """Return the processes of this bot that run a module, dead ones left out."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if module.encode() in command and f"XDG_RUNTIME_DIR={self.file.parent}\0".encode() in (
                environment + b"\0"
            ):
                found.append(int(entry.name))
        return found

    def wait_for(self, kind: Record, count: int, patience_s: float = PATIENCE_S) -> None:
        """Wait for so many records of a kind on the running session's tape, or for so long."""
        reader: TapeReader = until(self._tape, "the tape")
        deadline_s = time.monotonic() + patience_s
        found = 0

        def seen() -> bool:
            nonlocal found
            found += sum(one[1] == kind for one in reader.read(64, acknowledge=False))
            self._alive()
            return found >= count or time.monotonic() > deadline_s

        until(seen, f"{count} records of {kind.name}")

    def _tape(self) -> TapeReader | None:
        self._alive()
        assert self.process is not None
        for path in self.folder.glob("*.tape"):
            try:
                found = TapeReader(path)
            except JournalError:
                continue
            if found.engine_pid == self.process.pid:
                return found
        return None

    def _alive(self) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the bot ended: {self.log.read_text()[-3000:]}")

    def stop(self) -> int:
        """Stop the bot in good order; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def settled(self) -> None:
        """Wait until no process of the bot is left."""
        until(
            lambda: not self.children("openmm.writer") and not self.children("openmm.watchdog"),
            "writer and watchdog to end",
        )

    def end(self) -> None:
        """End whatever of the bot still runs, at the end of a test."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        for module in ("openmm.watchdog", "openmm.writer"):
            for pid in self.children(module):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    # ---------------------------------------------------------------- the venue's side

    def place_foreign(self) -> str:
        """Place an order far from the market by hand, on the bot's account; returns its id."""
        keys = Keys(self.sim["api_key"], self.sim["api_secret"], self.sim.get("passphrase", ""))

        client = "t-byhand" if self.name == "gateio" else "byhand"

        async def place() -> str:
            endpoints = {key: self.sim[key] for key in ("ws", "ws_auth", "rest")}
            async with connect(self.name, keys, endpoints=endpoints) as hand:
                pair = (await hand.get_instruments())[self.sim["instrument"]]
                price_ticks = pair.floor_ticks((await hand.get_ticker(pair.name)).bid / 2)
                taken = await hand.place_order(
                    PlaceOrder(
                        pair, Side.BUY, price_ticks, pair.floor_lots(Decimal("0.01")), client
                    )
                )
                return taken.venue_order_id

        placed = asyncio.run(place())
        self.foreign += 1
        return placed

    def forget_a_fill(self) -> None:
        """Remove one fill from the store."""
        with closing(sqlite3.connect(self.folder / "store.sqlite")) as store, store:
            store.execute("DELETE FROM fill WHERE exec_id = (SELECT MIN(exec_id) FROM fill)")

    def open_orders(self) -> set[str]:
        """Return the ids of what the venue holds open on the account."""
        found = get(self.sim["rest"], "/sim/open-orders")
        if isinstance(found, dict):
            return set(found)
        return {str(one["orderId" if "orderId" in one else "id"]) for one in found}

    def statement(self) -> dict[str, Any]:
        """Return the venue's own account of what happened."""
        found: dict[str, Any] = get(self.sim["rest"], "/sim/statement")
        return found

    # ---------------------------------------------------------------- what must hold

    def check(self) -> list[str]:
        """Compare the store with the venue's statement; returns what is wrong."""
        wrong = []
        statement = self.statement()
        with closing(sqlite3.connect(self.folder / "store.sqlite")) as store:
            booked = store.execute(
                "SELECT exec_id, side, price_ticks, qty_lots FROM fill"
            ).fetchall()
            postings = store.execute(
                "SELECT s.session_id, p.kind, p.asset, SUM(p.atoms), a.decimals FROM session s "
                "JOIN posting p ON p.session_id = s.session_id "
                "JOIN asset a ON a.session_id = p.session_id AND a.asset = p.asset "
                "WHERE p.account = ? "
                "GROUP BY s.session_id, p.kind, p.asset ORDER BY s.started_ns",
                [f"venue:{self.name}"],
            ).fetchall()
            placed = store.execute("SELECT COUNT(*) FROM 'order' WHERE side > 0").fetchone()[0]
        ids = [row[0] for row in booked]
        if len(ids) != len(set(ids)):
            wrong.append(f"booked twice: {sorted(one for one in set(ids) if ids.count(one) > 1)}")
        # Only Kraken tells an execution by the id that the simulator itself keeps.
        known = self.name == "kraken"
        ours = Counter((row[0] if known else "", *row[1:]) for row in booked)
        told = Counter(
            (
                one["exec_id"] if known else "",
                SIDES[one["side"]], one["price_ticks"], one["qty_lots"],
            )
            for one in statement["fills"]
        )  # fmt: skip
        if missing := told - ours:
            wrong.append(f"never booked: {missing} of {told.total()}")
        if strange := ours - told:
            wrong.append(f"booked, and the venue knows nothing of: {strange}")
        wrong += self._money(postings, statement)
        # Every order the venue took stood in the journal first, and was sent once.
        if statement["orders"] - self.foreign > placed:
            wrong.append(f"the venue took {statement['orders']} orders, {placed} are on record")
        return wrong

    def _money(self, postings: list[Any], statement: dict[str, Any]) -> list[str]:
        """Follow every asset through all sessions: each opens where the one before ended."""
        wrong = []
        held: dict[str, Decimal] = {}
        sessions: dict[str, dict[str, dict[str, Decimal]]] = {}
        for session, kind, asset, atoms, decimals in postings:
            amount = Decimal(int(atoms)).scaleb(-decimals)
            sessions.setdefault(session, {}).setdefault(asset, {})[kind] = amount
        for session, assets in sessions.items():
            for asset, kinds in assets.items():
                opening = kinds.pop("opening", None)
                if opening is not None and asset in held and held[asset] != opening:
                    wrong.append(f"{session} opens with {opening} {asset}, not {held[asset]}")
                start = opening if opening is not None else held.get(asset, Decimal(0))
                held[asset] = start + sum(kinds.values())
        for asset, row in statement["assets"].items():
            if asset in held and held[asset] != Decimal(row["closing"]):
                wrong.append(f"{asset}: the ledger ends with {held[asset]}, venue {row['closing']}")
        return wrong
