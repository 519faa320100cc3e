"""Book a `Stream` as a writer does that is killed again and again, and prove the books.

`run` gives the store; `prove` compares it with decimals and fractions that were added up apart.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import sqlalchemy as sa

from openmm._fast.units import UTICKS_PER_TICK
from openmm.settlement import store as tables
from openmm.settlement.booking import Booker
from openmm.settlement.report import Report, load_report
from openmm.settlement.results import CausePart
from openmm.settlement.store import Store
from tests.oracles.causes import HORIZONS_S, Deal, Reckoner
from tests.settlement.made import BUY, PAIR, RecordTuple
from tests.settlement.stream import Stream

BATCH = 500  # records of one transaction, about
QUOTE_DECIMALS = 9  # of an atom of the pair's USD: tick and lot together
PRICE_UNIT = Fraction(PAIR.tick_size) / UTICKS_PER_TICK


@dataclass
class Run:
    """What a run was like."""

    records: int = 0
    commits: int = 0
    restarts: int = 0
    seconds: list[tuple[int, float]] = field(default_factory=list)  # records of a commit, CPU
    resident_bytes: int = 0


def batches(records: Iterator[RecordTuple], chance: random.Random) -> Iterator[list[RecordTuple]]:
    batch: list[RecordTuple] = []
    wanted = chance.randrange(1, 2 * BATCH)
    for record in records:
        batch.append(record)
        if len(batch) >= wanted:
            yield batch
            batch = []
            wanted = chance.randrange(1, 2 * BATCH)
    yield batch


def run(store: Store, stream: Stream, restarts: int) -> Run:
    """Book a stream. Of the writers that die, half had booked a batch and not stored it.

    A writer that starts is given the whole batch again, and what the one before had stored as well.
    """
    chance = random.Random(stream.seed + 1)
    out = Run()
    share = 1.2 * restarts * BATCH / (stream.fill_count * 1.5 + 1)
    booker = Booker(store, "s-1")
    before: list[RecordTuple] = []
    checked = -1
    for batch in batches(stream.records(), chance):
        out.records += len(batch)
        started = time.process_time()
        killed = chance.random() < share and out.restarts < restarts
        if killed and chance.random() < 0.5:
            booker.apply(batch[: chance.randrange(len(batch) + 1)])  # never stored
        if killed:
            out.restarts += 1
            booker = Booker(store, "s-1")
            booker.apply(before)
        booker.apply(batch)
        booker.commit()
        out.commits += 1
        out.seconds.append((len(batch), time.process_time() - started))
        before = batch
        checked = balanced(store, checked)
    out.resident_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return out


def balanced(store: Store, after_index: int) -> int:
    """Hold debits to credits, per asset, of what a commit posted; return its last record."""
    c = tables.posting.c
    with store.engine.connect() as connection:
        rows = connection.execute(
            sa.select(c.asset, sa.func.sum(c.atoms), sa.func.max(c.record_index))
            .where(c.session_id == "s-1", c.record_index > after_index)
            .group_by(c.asset)
        ).all()
        sums: dict[str, int] = {}
        for row in connection.execute(sa.select(tables.account_total)):
            sums[row.asset] = sums.get(row.asset, 0) + row.atoms
    assert not [row for row in rows if row[1]], f"debits differ from credits: {rows}"
    assert not any(sums.values()), f"debits differ from credits: {sums}"
    return max((row[2] for row in rows), default=after_index)


def prove(url: str, stream: Stream) -> None:
    """Compare the report with what happened, to the last unit of the ledger."""
    _prove_each_fill(url, stream)
    report = load_report(url)
    assert report.volume.fills == len(stream.fills)
    assert {one.kind for one in report.incidents} <= {"doubled_fill", "doubled_cost"}
    doubled = sum(1 for one in report.incidents if one.kind == "doubled_fill")
    assert doubled <= stream.duplicates
    for asset, part in report.inventory.items():
        assert part.difference == 0, f"{asset} differs: {part}"
        assert part.closing == stream.total(asset), asset
    for kind in ("deposit", "withdrawal", "adjustment"):
        assert any(name == kind for name, _ in stream.moved) or stream.fill_count < 5_000
    for (kind, asset), amount in stream.moved.items():
        if kind == "wallet":
            assert report.costs["gas"][asset] == -amount
    fees: dict[str, Decimal] = {}
    for one in stream.fills:
        for fee in one.fees:
            fees[fee.asset] = fees.get(fee.asset, Decimal(0)) + fee.amount
    assert {key: value for key, value in report.fees.items() if value} == {
        key: value for key, value in fees.items() if value
    }
    _prove_pnl(report, stream)
    _prove_reporting(report, stream)


def deals_of(stream: Stream) -> list[Deal]:
    """Give the fills as the reckoner wants them."""
    return [
        Deal(
            one.arrived_ns, one.level,
            one.qty if one.side == BUY else -one.qty, one.cost if one.side == BUY else -one.cost,
            None if one.reference_uticks is None else one.reference_uticks * PRICE_UNIT,
        )
        for one in stream.fills
    ]  # fmt: skip


def _prove_each_fill(url: str, stream: Stream) -> None:
    """What each fill realised, by both methods: a later one must not make up for a mistake."""
    reckoner, deals = Reckoner(QUOTE_DECIMALS), deals_of(stream)
    average, fifo = reckoner.realised_average(deals), reckoner.realised_fifo(deals)
    c = tables.fill.c
    store = Store(url, create=False)
    with store.engine.connect() as connection:
        rows = connection.execute(
            sa.select(c.realised_average_atoms, c.realised_fifo_atoms, c.quote_atoms)
            .where(c.session_id == "s-1")
            .order_by(c.record_index)
        )
        place = -1
        for place, row in enumerate(rows):
            cost = abs(reckoner.units(deals[place].cost))
            assert tuple(row) == (average[place], fifo[place], cost), f"fill {place}"
    store.close()
    assert place == len(deals) - 1


def _prove_pnl(report: Report, stream: Stream) -> None:
    reckoner = Reckoner(QUOTE_DECIMALS)
    references = [(when, price * PRICE_UNIT) for when, price in stream.references]
    told = reckoner.reckon(deals_of(stream), references, stream.last_ns)

    def quote(units: int) -> Decimal:
        return Decimal(units).scaleb(-QUOTE_DECIMALS)

    pnl, found = report.pnl, report.by_cause
    assert found is not None
    assert found.unexplained == 0
    assert pnl.realised_average == quote(told.realised_average)
    assert pnl.realised_fifo == quote(told.realised_fifo)
    assert pnl.total == found.total.total == quote(told.total)
    assert pnl.unrealised_average == quote(told.total - told.realised_average)
    assert pnl.unrealised_fifo == quote(told.total - told.realised_fifo)
    names = ("spread", "adverse", "drift", "unsplit")
    for which, parts in ((0, found.hours), (1, found.levels)):
        expected: dict[str, dict[str, int]] = {}
        for key, part in told.causes.items():
            sums = expected.setdefault(_name(which, key[which]), dict.fromkeys(names, 0))
            for name in names:
                sums[name] += part[name]
        shown = {
            key: {name: getattr(part, name) for name in names}
            for key, part in parts.items()
            if any(getattr(part, name) for name in names)
        }
        assert shown == {
            key: {name: quote(value) for name, value in sums.items()}
            for key, sums in expected.items()
            if any(sums.values())
        }
    for parts in (found.venues, found.levels, found.hours):
        _adds_up(found.total, parts.values())
    for span in HORIZONS_S:
        fills, late, notional, units = told.markouts[span]
        shown_ = found.total.markouts[f"{Decimal(span.numerator) / span.denominator}s"]
        assert (shown_.fills, shown_.late, shown_.quote) == (fills, late, quote(units))
        if notional:
            assert shown_.bps == Decimal(round(Fraction(units * 10**8, notional))).scaleb(-4)
    assert pnl.net is not None


def _prove_reporting(report: Report, stream: Stream) -> None:
    """USD is told in USDT, by the last journalled rate; KFEE and ETH have none."""
    told = report.reporting
    assert told.currency == "USDT"
    assert report.pnl.total is not None
    if not stream.rate_uticks:
        assert told.total is None
        return
    rate = 1 / (Fraction(stream.rate_uticks, UTICKS_PER_TICK) / 10**5)
    assert told.total is not None
    assert told.total == Decimal(round(Fraction(report.pnl.total) * rate * 10**8)).scaleb(-8)
    parts = (told.spread, told.adverse, told.drift, told.unsplit)
    assert sum((part for part in parts if part is not None), Decimal(0)) == told.total
    assert set(report.pnl.unvalued_fees) <= {"KFEE"}
    assert set(told.unknown) <= {"KFEE", "ETH"}


def _name(which: int, value: int) -> str:
    if which == 1:
        return "-" if value < 0 else str(value)
    return time.strftime("%Y-%m-%dT%H:00Z", time.gmtime(value * 3600))


def _adds_up(whole: CausePart, parts: Collection[CausePart]) -> None:
    for name in ("spread", "adverse", "drift", "unsplit", "total", "fees", "costs", "net"):
        assert sum((getattr(part, name) for part in parts), Decimal(0)) == getattr(whole, name), (
            name
        )


def main() -> int:
    """`python -m tests.settlement.harness FOLDER FILLS RESTARTS`: run, prove, print."""
    folder, fills, restarts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    url = str(folder / "store.sqlite")
    store, stream = Store(url), Stream(seed=int(os.environ.get("SEED", "7")), fill_count=fills)
    done = run(store, stream, restarts)
    store.close()
    cpu_s = sum(cpu for _, cpu in done.seconds)
    print(f"{fills:,} fills in {done.records:,} records, {stream.duplicates:,} of them doubled")
    print(f"{done.commits} commits, {done.restarts} restarts, {done.resident_bytes / 1e6:.0f} MB")
    print(f"{cpu_s:.1f} s of CPU; a record of the last tenth {tenths(done):.2f} of the first's")
    prove(url, stream)
    print("zero unexplained")
    return 0


def tenths(done: Run) -> float:
    """Return the CPU of a record in the last tenth of the run over that in the first."""
    tenth = max(1, len(done.seconds) // 10)

    def per_record(part: list[tuple[int, float]]) -> float:
        return sum(cpu for _, cpu in part) / max(1, sum(count for count, _ in part))

    return per_record(done.seconds[-tenth:]) / per_record(done.seconds[:tenth])


if __name__ == "__main__":
    sys.exit(main())
