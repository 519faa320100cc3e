"""A bot that trades: every unit of its P&L has a cause, and what is posted is in the books."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from openmm._fast.tape import Record
from openmm.engine.commands import Adjust, Cost
from openmm.engine.replay import replay
from openmm.errors import CommandError
from openmm.journal import read_command, read_session
from openmm.settlement.booking import Booker
from openmm.settlement.report import load_report
from openmm.settlement.store import Store
from openmm.sim.faults import chaos
from tests.e2e import virtual


@pytest.mark.timeout(120)
@pytest.mark.parametrize("faults", [False, True])
def test_profit_of_a_session_has_its_causes_and_replays(tmp_path: Path, faults: bool) -> None:
    bot = virtual.bot(tmp_path, 2, faults=chaos(2)) if faults else virtual.bot(tmp_path, 3)
    bot.start()
    bot.run(70)
    gas = Cost("USD", "0.125", "0xab", "gas", "wallet:base")
    for command in (gas, gas, Cost("USD", "0.5", "0xab2", "hedge", "hedge:perp")):
        bot.command(command)
    with pytest.raises(CommandError, match="amount of a cost"):
        bot.command(Cost("USD", "much", "0xac", "gas", "wallet:base"))
    before = bot.step.expected()
    session = read_session(bot.records[0].payload).session_id
    for amount in ("1e11", "-100000001", "1e999999999", "1e-999999999", "1e-31", "NaN"):
        with pytest.raises(CommandError, match="an adjustment is an amount"):
            bot.command(Adjust("USD", amount, "a slip", amount, session))
    assert bot.step.expected() == before
    bot.venue.strikes.end(bot.now_ns)
    bot.run(20)
    assert bot.stop() == 0
    assert replay(bot.records).difference is None
    verdicts = [
        (one.command, one.verdict.partition(":")[0])
        for record in bot.records
        if record.kind == Record.REC_COMMAND and (one := read_command(record.payload))
    ]
    refused = [("cost", "refused"), *[("adjust", "refused")] * 6]
    assert verdicts[:10] == [*[("cost", "done")] * 3, *refused]

    url = str(tmp_path / "books.sqlite")
    store = Store(url)
    booker = Booker(store, read_session(bot.records[0].payload).session_id)
    booker.apply(bot.records)
    booker.commit()
    store.close()
    report = load_report(url)
    found = report.by_cause
    assert found is not None
    assert report.volume.fills > 5
    assert found.unexplained == 0
    assert found.total.total == report.pnl.total
    assert report.costs == {"gas": {"USD": Decimal("0.125")}, "hedge": {"USD": Decimal("0.5")}}
    assert {
        asset: one.difference for asset, one in report.inventory.items() if one.difference
    } == {}
    assert all(level.isdigit() for level in found.levels if level != "-")
    if not faults:
        # Each fill met the reference that its markouts asked for.
        for horizon in ("0.1s", "1s"):
            markout = found.total.markouts[horizon]
            assert markout.fills >= report.volume.fills - 2, horizon
            assert not markout.late, horizon
