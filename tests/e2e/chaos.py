"""A bot through a stretch of synthetic market in which everything goes wrong, judged afterwards.

The market, the venue's faults and so the whole session follow from one seed. The judge is the
checker of `tests.e2e.checker`, which reads the journal alone, and the venue's own statement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from openmm._fast.checks import RiskState
from openmm._fast.tape import Record
from openmm.engine.commands import Resume
from openmm.engine.step import Step
from openmm.journal import FillRecord, JournalRecord
from openmm.sim.core import VenueCore
from openmm.sim.faults import chaos
from openmm.testing.virtual import VirtualBot
from tests.e2e import crossed, virtual
from tests.e2e.checker import Checker

# After the last fault: longer than the longest wait between two questions about an order.
CALM_S = 70
OPERATOR_S = 5


@dataclass(frozen=True)
class Session:
    """What is left of a session, and what is wrong with it."""

    seed: int
    seconds: int
    test: str
    wrong: list[str]
    struck: Counter[str]
    counters: dict[str, int]
    halts: Counter[str]
    digest: str
    checker: Checker

    def report(self) -> str:
        """Tell what is wrong and how to see it again."""
        lines = "\n".join(self.wrong[:20])
        return (
            f"seed {self.seed}, {self.seconds} simulated seconds: {len(self.wrong)} complaints\n"
            f"{lines}\nrerun: OPENMM_CHAOS_SEEDS={self.seed} OPENMM_CHAOS_S={self.seconds} "
            f"python -m pytest tests/e2e/{self.test}"
        )


def session(
    folder: Path, seed: int, seconds: int, quoted: str = "", **risk: Any
) -> Session:  # fmt: skip
    """Run a session: `seconds` with every fault, then calm, then the stop.

    `quoted`: on this venue, with all the others as reference, every one with its own faults; else
    on Kraken alone.
    """
    checker, digest = Checker(), sha256()

    def take(record: JournalRecord) -> None:
        checker.take(record)
        # Stamps are measured, not made: they tell of this machine.
        if record.kind != Record.REC_STAMPS:
            digest.update(repr(record).encode())

    if quoted:
        bot = crossed.bot(folder, quoted, seed, faults=chaos, on_record=take, **risk)
        test = f"test_crossed.py -k {quoted}"
    else:
        bot = virtual.bot(folder, seed, faults=chaos(seed), on_record=take, **risk)
        test = "test_chaos.py -k everything"
    halts: Counter[str] = Counter()
    bot.start()
    for _ in range(0, seconds, OPERATOR_S):
        bot.run(OPERATOR_S)
        _resume(bot, halts)
    for venue in bot.venues.values():
        venue.strikes.end(bot.now_ns)
    bot.run(CALM_S)
    _resume(bot, halts)
    bot.stop()
    wrong = judge(checker, bot.exit_code, bot.core, bot.account, bot.step)
    counters = bot.step.counter_values()
    return Session(
        seed, seconds, test, wrong, bot.venue.strikes.struck, counters, halts, digest.hexdigest(),
        checker,
    )  # fmt: skip


def _resume(bot: VirtualBot, halts: Counter[str]) -> None:
    """Be the operator: look at a halt, and let the bot go on."""
    if bot.tables.monitor.state is RiskState.HALTED:
        halts[bot.tables.monitor.halt_reason] += 1
        bot.command(Resume())


def judge(
    checker: Checker, exit_code: int | None, core: VenueCore, account: int, step: Step
) -> list[str]:
    """Say what is wrong with an ended session, by its journal and by the venue's own account."""
    wrong = list(checker.found)
    if exit_code != 0:
        wrong.append(f"exit code {exit_code}")
    wrong += [f"still open at the venue: {order}" for order in core.open_orders(account)]
    if checker.end is None:
        wrong.append("the journal has no end")
    statement: dict[str, Any] = core.statement(account)
    # Kraken tells executions by the core's own ids; the others make theirs.
    wrong += _fills(statement["fills"], checker.fills, step.instrument.venue == "kraken")
    for asset, booked in step.expected().items():
        held = Decimal(statement["assets"][asset]["closing"])
        if booked != held:
            wrong.append(f"{asset}: booked {booked}, the venue holds {held}")
    client_ids = Counter(order.client_id for order in core.orders(account))
    for client_id, count in client_ids.items():
        if count > 1:
            wrong.append(f"order {client_id} is at the venue {count} times")
    if len(client_ids) > checker.placed:
        wrong.append(f"{len(client_ids)} orders at the venue, {checker.placed} were placed")
    for name in ("overfills", "illegal"):
        if step.counter_values()[name]:
            wrong.append(f"{name}: {step.counter_values()[name]}")
    return wrong


def _fills(
    theirs: Sequence[dict[str, Any]], ours: dict[str, FillRecord], same_names: bool
) -> list[str]:  # fmt: skip
    """Compare fills one by one, to the last unit; `same_names`: their ids are the statement's."""
    names = {told["exec_id"] for told in theirs}
    wrong = [f"the venue knows no fill {one}" for one in ours.keys() - names if same_names]
    told = Counter(
        (
            1 if one["side"] == "buy" else 2, one["price_ticks"], one["qty_lots"],
            Decimal(one["cost"]), Decimal(one["fee"]),
        )
        for one in theirs
    )  # fmt: skip
    booked = Counter(
        (
            one.side, one.price_ticks, one.qty_lots, one.cost,
            sum((fee.amount for fee in one.fees), Decimal(0)),
        )
        for one in ours.values()
    )  # fmt: skip
    wrong += [f"fill not booked: {one}" for one in (told - booked).elements()]
    wrong += [f"fill booked that was none: {one}" for one in (booked - told).elements()]
    return wrong
