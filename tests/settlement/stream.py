"""A long session made by chance: fills told late, twice and out of order, fees in any asset, money
that moves for other reasons, orders of several levels, and a market whose reference comes and goes.

`Stream` gives the records of a journal, and keeps what really happened for whoever adds it up.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from openmm import journal
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.planner import ActionKind, ActionWhy
from openmm._fast.tape import Record
from openmm.events import BalanceUpdated, Fee, OrderFilled, Source
from openmm.instrument import Instrument
from openmm.journal import ActionRecord, EndRecord, IntentRecord, SessionRecord
from tests.settlement.made import BUY, MS, PAIR, SELL, T0, RecordTuple

D = Decimal
RATE = Instrument(
    venue="kraken",
    name="USDT/USD",
    base="USDT",
    quote="USD",
    price_decimals=5,
    qty_decimals=8,
    tick_size=D("0.00001"),
    lot_size=D("0.00000001"),
    qty_min=D(5),
    cost_min=D("0.5"),
    base_decimals=8,
    quote_decimals=4,
)
FEE_ASSETS = ("USD", "BTC", "USDT", "KFEE")


class Happened(NamedTuple):
    """One fill as it is to be booked: at its first record."""

    arrived_ns: int
    level: int
    side: int
    qty: Decimal
    cost: Decimal
    fees: tuple[Fee, ...]
    reference_uticks: int | None


@dataclass
class Stream:
    """Make `fill_count` fills by a seed."""

    seed: int
    fill_count: int
    fills: list[Happened] = field(default_factory=list)
    references: list[tuple[int, int]] = field(default_factory=list)  # ns, microticks, as journalled
    moved: dict[tuple[str, str], Decimal] = field(default_factory=dict)  # kind, asset
    duplicates: int = 0
    rate_uticks: int = 0
    last_ns: int = 0
    _random: random.Random = field(init=False)
    _index: int = 0
    _now_ns: int = T0
    _price_ticks: int = 500_000
    _seq: int = 0
    _levels: dict[int, int] = field(default_factory=dict)
    _held: list[tuple[int, OrderFilled, int]] = field(default_factory=list)  # due, fill, seq
    _told: list[tuple[bytes, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Seed it."""
        self._random = random.Random(self.seed)

    def records(self) -> Iterator[RecordTuple]:
        """Yield the records of the session."""
        yield from self._open()
        made = 0
        while made < self.fill_count or self._held:
            self._now_ns += self._random.randrange(0, 400) * MS
            self._price_ticks += self._random.randrange(-15, 16)
            if self._random.random() < 0.15:
                yield self._sample()
            if self._random.random() < 0.01:
                yield self._rate()
            if self._random.random() < 0.3:
                yield from self._order()
            for _ in range(self._random.randrange(0, 5)):
                if made < self.fill_count:
                    made += 1
                    self._hold(made)
            yield from self._tell_fills(everything=made >= self.fill_count)
            if self._random.random() < 0.01:
                yield from self._move()
        yield from self._close()

    # ---------------------------------------------------------------- parts

    def _record(self, kind: Record, payload: bytes, source: int = 0) -> RecordTuple:
        # Now and then the clock is behind what it was: the journal's time does not go back.
        behind = self._random.randrange(1, 50) * MS if self._random.random() < 0.02 else 0
        self.last_ns = max(self.last_ns, self._now_ns - behind)
        self._index += 1
        return (self._index - 1, int(kind), source, self._now_ns - behind, payload)

    def _open(self) -> Iterator[RecordTuple]:
        config = {
            "venue": [{"label": "kraken"}, {"label": "rate"}], "settlement": {"currency": "USDT"}
        }  # fmt: skip
        yield self._record(
            Record.REC_SESSION,
            journal.session_record(
                SessionRecord("s-1", "grid", "paper", "kraken", "BTC/USD", "b", T0, config, {})
            ),
        )
        yield self._record(Record.REC_INSTRUMENT, journal.instrument_record(PAIR))
        yield self._record(Record.REC_INSTRUMENT, journal.instrument_record(RATE), 1)
        for asset, total in (("BTC", D("3.0000000001")), ("USD", D("100000.000000001"))):
            yield self._balance(asset, total, None, "opening", "")
            self._add("opening", asset, total)

    def _close(self) -> Iterator[RecordTuple]:
        moved = {asset for kind, asset in self.moved if kind != "wallet"}
        assets = moved | set(FEE_ASSETS)
        for asset in sorted(assets):
            yield self._balance(asset, self.total(asset), None, "closing", "")
        self.last_ns = max(self.last_ns, self._now_ns)
        yield self._record(
            Record.REC_END, journal.end_record(EndRecord("stop", self._now_ns, 0, {}))
        )

    def total(self, asset: str) -> Decimal:
        """What the venue holds of an asset at the end."""
        out = D(0)
        for (kind, name), amount in self.moved.items():
            out += amount if name == asset and kind != "wallet" else 0
        for one in self.fills:
            sign = 1 if one.side == BUY else -1
            out += sign * one.qty if asset == PAIR.base else 0
            out -= sign * one.cost if asset == PAIR.quote else 0
            out -= sum((fee.amount for fee in one.fees if fee.asset == asset), D(0))
        return out

    def _add(self, kind: str, asset: str, amount: Decimal) -> None:
        self.moved[kind, asset] = self.moved.get((kind, asset), D(0)) + amount

    def _reference(self) -> int:
        return self._price_ticks * 1_000_000 + self._random.randrange(-400_000, 400_000)

    def _sample(self) -> RecordTuple:
        reference = journal.MISSING if self._random.random() < 0.1 else self._reference()
        record = self._record(
            Record.REC_SAMPLE,
            journal.sample_record(self._price_ticks - 5, self._price_ticks + 5, reference, 0),
        )
        if reference > 0:
            self.references.append((self.last_ns, reference))
        return record

    def _rate(self) -> RecordTuple:
        bid = self._random.randrange(99_900, 100_100)
        self.rate_uticks = (2 * bid + 1) * 500_000
        payload = journal.sample_record(bid, bid + 1, journal.MISSING, journal.MISSING)
        return self._record(Record.REC_SAMPLE, payload, 1)

    def _order(self) -> Iterator[RecordTuple]:
        self._seq += 1
        seq, level = self._seq, self._random.randrange(0, 3)
        self._levels[seq] = level
        side = self._random.choice((BUY, SELL))
        action = ActionRecord(
            ActionKind.ACTION_PLACE,
            ActionWhy.WHY_MISSING,
            seq,
            self._price_ticks,
            1000,
            side,
            level,
        )
        yield self._record(Record.REC_INTENT, journal.intent_record(IntentRecord(action, 0)))
        sent = (200).to_bytes(8, "little", signed=True)
        yield self._record(Record.REC_WRITE_RESULT, sent)
        ended = self._seq - 20
        if ended > 0:  # what fills it later is late
            self._levels.pop(ended - 200, None)
            yield self._record(
                Record.REC_TRANSITION,
                journal.transition_record(
                    ended, OrderEvent.EV_CANCELLED, OrderState.OPEN, OrderState.CANCELLED,
                    journal.SOURCE_CODES[Source.STREAM],
                ),
            )  # fmt: skip

    def _hold(self, number: int) -> None:
        """Make a fill, to be told now, soon or much later."""
        chance = self._random.random
        side = self._random.choice((BUY, SELL))
        price = self._price_ticks + self._random.randrange(-30, 31)
        qty = self._random.randrange(1, 3_000_000)
        delay = (
            0 if chance() < 0.8 else self._random.randrange(0, 90_000 if chance() < 0.2 else 900)
        )
        exact = PAIR.notional(price * qty)
        # A venue rounds what it states in its own way.
        cost = exact if chance() < 0.7 else exact.quantize(D("0.0001"))
        seq = self._seq - self._random.randrange(0, 8) if chance() < 0.9 else 0
        event = OrderFilled(
            exec_id=f"E{number}",
            venue_order_id=f"O{seq}",
            client_id=f"c{seq}",
            instrument="BTC/USD",
            side=side,
            price_ticks=price,
            qty_lots=qty,
            cost=cost,
            fees=self._fees(cost),
            maker=chance() < 0.9,
            ts_ns=self._now_ns,
        )
        self._held.append((self._now_ns + delay * MS, event, max(0, seq)))

    def _fees(self, cost: Decimal) -> tuple[Fee, ...]:
        fees = []
        for _ in range(self._random.choice((0, 1, 1, 1, 2))):
            asset = self._random.choice(FEE_ASSETS)
            amount = D(self._random.randrange(-2_000, 9_000)).scaleb(-8)
            fees.append(Fee(asset, amount))
        return tuple(fees)

    def _tell_fills(self, *, everything: bool) -> Iterator[RecordTuple]:
        ready = [one for one in self._held if everything or one[0] <= self._now_ns]
        self._held = [one for one in self._held if one not in ready] if ready else self._held
        self._random.shuffle(ready)
        for _, event, seq in ready:
            reference = None if self._random.random() < 0.05 else self._reference()
            payload = journal.fill_record(event, seq, reference)
            record = self._record(Record.REC_FILL, payload)
            if reference is not None:
                self.references.append((self.last_ns, reference))
            level = self._levels.get(seq, -1) if seq else -1
            self.fills.append(
                Happened(
                    self.last_ns, level, event.side, PAIR.qty(event.qty_lots), event.cost,
                    event.fees, reference,
                )
            )  # fmt: skip
            yield record
            if self._random.random() < 0.05:
                self._told.append((payload, seq))
        while self._told and self._random.random() < 0.3:
            place = self._random.randrange(len(self._told))
            payload, seq = self._told.pop(place)
            self.duplicates += 1
            yield self._record(Record.REC_FILL, payload)

    def _balance(
        self, asset: str, total: Decimal, change: Decimal | None, kind: str, ref: str
    ) -> RecordTuple:
        event = BalanceUpdated(asset, total, change, D(0), kind, ref, self._now_ns)
        return self._record(Record.REC_BALANCE, journal.balance_record(event))

    def _move(self) -> Iterator[RecordTuple]:
        kind = self._random.choice(("deposit", "withdrawal", "cost", "adjustment"))
        asset = self._random.choice((*FEE_ASSETS, "ETH"))
        change = D(self._random.randrange(1, 10**9)).scaleb(-8)
        change = -change if kind in ("withdrawal", "cost") else change
        ref = f"R{self._index}"
        if kind == "cost":
            paid = change.copy_negate()
            payload = journal.cost_record(asset, paid, ref, "gas", "wallet:base", self._now_ns)
            record = self._record(Record.REC_BALANCE, payload)
            self._add("wallet", asset, change)
        else:
            record = self._balance(asset, D(0), change, kind, ref)
            self._add(kind, asset, change)
        yield record
        if kind != "adjustment" and self._random.random() < 0.3:
            yield self._record(Record.REC_BALANCE, record[4])
