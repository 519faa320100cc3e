"""A session made by hand: every number that its report must give is worked out in `test_report`."""

from __future__ import annotations

from decimal import Decimal

from openmm import journal
from openmm._fast.checks import Reason
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.planner import ActionKind, ActionWhy
from openmm._fast.tape import Record
from openmm.events import BalanceUpdated, Fee, OrderFilled, Source
from openmm.instrument import Instrument
from openmm.journal import (
    ActionRecord,
    BookRecord,
    EndRecord,
    IntentRecord,
    LadderParts,
    LadderRecord,
    MarketViewRecord,
    RefusalRecord,
    SessionRecord,
)

T0 = 1_764_000_000_000_000_000  # a whole second
MS = 1_000_000
BUY, SELL = 1, 2
PLACE, AMEND = ActionKind.ACTION_PLACE, ActionKind.ACTION_AMEND
CANCEL = ActionKind.ACTION_CANCEL

PAIR = Instrument(
    venue="kraken",
    name="BTC/USD",
    base="BTC",
    quote="USD",
    price_decimals=1,
    qty_decimals=8,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.00000001"),
    qty_min=Decimal("0.00005"),
    cost_min=Decimal("0.5"),
    base_decimals=10,
    quote_decimals=4,
)

RecordTuple = tuple[int, int, int, int, bytes]


class Tape:
    """Collect records at stated milliseconds."""

    def __init__(self) -> None:
        self.records: list[RecordTuple] = []

    def add(self, kind: Record, at_ms: int, payload: bytes = b"", source: int = 0) -> None:
        self.records.append((len(self.records), int(kind), source, T0 + at_ms * MS, payload))

    def session(self, session_id: str, bot: str = "grid") -> None:
        self.add(
            Record.REC_SESSION,
            0,
            journal.session_record(
                SessionRecord(
                    session_id, bot, "paper", "kraken", "BTC/USD", "0.1.0", T0,
                    {"bot": {"name": bot}, "venue": [{"label": "kraken"}, {"label": "other"}]},
                    {"flow": 7},
                )
            ),
        )  # fmt: skip
        self.add(Record.REC_INSTRUMENT, 0, journal.instrument_record(PAIR))

    def balance(
        self, at_ms: int, asset: str, total: str, kind: str, change: str | None = None
    ) -> None:
        event = BalanceUpdated(
            asset,
            Decimal(total),
            None if change is None else Decimal(change),
            Decimal(0),
            kind,
            f"ref-{at_ms}",
            T0 + at_ms * MS,
        )
        self.add(Record.REC_BALANCE, at_ms, journal.balance_record(event))

    def book(self, at_ms: int, state: int, bid: int, ask: int, breaks: int) -> None:
        self.add(
            Record.REC_BOOK, at_ms, journal.book_record(BookRecord(state, 0, bid, ask, breaks))
        )

    def ladder(self, at_ms: int, bid: int, ask: int, reference_uticks: int) -> None:
        view = MarketViewRecord(*[0] * 32)._replace(
            best_bid_ticks=bid, best_ask_ticks=ask, reference_uticks=reference_uticks
        )
        record = LadderRecord(view, 0, 0, (), (), LadderParts(*[0] * 22), 0, 0)
        self.add(Record.REC_LADDER, at_ms, journal.ladder_record(record))

    def intent(
        self, at_ms: int, kind: int, seq: int, side: int, price_ticks: int, qty_lots: int
    ) -> None:
        action = ActionRecord(kind, ActionWhy.WHY_MISSING, seq, price_ticks, qty_lots, side, 0)
        self.add(Record.REC_INTENT, at_ms, journal.intent_record(IntentRecord(action, 1000)))

    def sent(self, at_ms: int, accepted: int = 200) -> None:
        self.add(Record.REC_ORDER_BYTES, at_ms, b"{}")
        self.add(Record.REC_WRITE_RESULT, at_ms, accepted.to_bytes(8, "little", signed=True))

    def move(self, at_ms: int, seq: int, event: int, before: int, after: int) -> None:
        self.add(
            Record.REC_TRANSITION,
            at_ms,
            journal.transition_record(
                seq, event, before, after, journal.SOURCE_CODES[Source.STREAM]
            ),
        )

    def fill(
        self,
        at_ms: int,
        exec_id: str,
        seq: int,
        side: int,
        price_ticks: int,
        qty_lots: int,
        fee: str,
        reference_uticks: int,
        *,
        maker: bool = True,
        again_ms: int = 0,
    ) -> None:
        event = OrderFilled(
            exec_id=exec_id,
            venue_order_id=f"O{seq}",
            client_id=f"c{seq}",
            instrument="BTC/USD",
            side=side,
            price_ticks=price_ticks,
            qty_lots=qty_lots,
            cost=PAIR.notional(price_ticks * qty_lots),
            fees=(Fee("USD", Decimal(fee)),),
            maker=maker,
            ts_ns=T0 + at_ms * MS,
        )
        payload = journal.fill_record(event, seq, reference_uticks)
        self.add(Record.REC_FILL, at_ms, payload)
        if again_ms:
            self.add(Record.REC_FILL, again_ms, payload)


def hand_made(session_id: str = "s-1", bot: str = "grid") -> list[RecordTuple]:
    """Return ten seconds of trading.

    Four fills, one of them told twice; an amend, a cancel, a reject, a refusal, an order whose
    bytes never left, a broken book, a deposit, and a closing statement that is off by 0.001.
    """
    ev, st = OrderEvent, OrderState
    t = Tape()
    t.session(session_id, bot)
    t.balance(0, "BTC", "1.0000000000", "opening")
    t.balance(0, "USD", "100000.0000", "opening")
    t.book(0, 3, 499_990, 500_010, 0)
    t.ladder(0, 499_990, 500_010, 500_000_000_000)
    t.intent(0, PLACE, 512, BUY, 499_990, 1_000_000)
    t.intent(0, PLACE, 513, SELL, 500_010, 1_000_000)
    t.sent(0)
    t.add(Record.REC_STAMPS, 0, journal.stamps_record([500, 0, 900, 0, 0, 0, 0, 0, 20_000, 0]))
    t.move(100, 512, ev.EV_ACKED, st.PENDING_NEW, st.OPEN)
    t.move(100, 513, ev.EV_ACKED, st.PENDING_NEW, st.OPEN)
    t.intent(200, PLACE, 517, BUY, 499_970, 500_000)
    t.sent(200)
    t.add(Record.REC_STAMPS, 200, journal.stamps_record([700, 0, 900, 0, 0, 0, 0, 0, 50_000, 0]))
    t.move(300, 517, ev.EV_ACKED, st.PENDING_NEW, st.OPEN)
    t.fill(1000, "E1", 512, BUY, 499_990, 1_000_000, "0.05", 500_000_000_000)
    t.move(1000, 512, ev.EV_FILL, st.OPEN, st.FILLED)
    t.fill(1500, "E2", 517, BUY, 499_970, 500_000, "0.02", 500_000_000_000, maker=False)
    t.move(1500, 517, ev.EV_FILL, st.OPEN, st.FILLED)
    t.fill(2000, "E3", 513, SELL, 500_010, 400_000, "-0.01", 500_000_000_000, again_ms=2000)
    t.move(2000, 513, ev.EV_FILL, st.OPEN, st.PARTIALLY_FILLED)
    t.add(Record.REC_SAMPLE, 2500, journal.sample_record(499_980, 500_000, 499_990_000_000, 0))
    t.intent(3000, AMEND, 513, SELL, 499_995, 1_000_000)
    t.sent(3000)
    t.move(3100, 513, ev.EV_AMENDED, st.PENDING_AMEND, st.PARTIALLY_FILLED)
    # The venue's stream tells it once more.
    t.move(3100, 513, ev.EV_AMENDED, st.PARTIALLY_FILLED, st.PARTIALLY_FILLED)
    t.fill(4000, "E4", 513, SELL, 499_995, 600_000, "0.03", 499_990_000_000)
    t.move(4000, 513, ev.EV_FILL, st.PARTIALLY_FILLED, st.FILLED)
    action = ActionRecord(PLACE, ActionWhy.WHY_MISSING, 0, 480_000, 1, BUY, 3)
    refusal = RefusalRecord(action, Reason.PRICE_COLLAR, 50_000, 1 << 70)
    t.add(Record.REC_REFUSAL, 5000, journal.refusal_record(refusal))
    t.intent(5000, PLACE, 514, BUY, 499_980, 2_000_000)
    t.sent(5000)
    t.move(5100, 514, ev.EV_ACKED, st.PENDING_NEW, st.OPEN)
    t.intent(5200, PLACE, 515, SELL, 500_000, 1_000_000)
    t.sent(5200)
    t.move(5300, 515, ev.EV_REJECTED, st.PENDING_NEW, st.REJECTED)
    t.intent(5400, PLACE, 516, SELL, 500_000, 7_000_000)
    t.sent(5400, -1)
    t.intent(6000, CANCEL, 514, BUY, 499_980, 2_000_000)
    t.sent(6000)
    t.move(6200, 514, ev.EV_CANCELLED, st.PENDING_CANCEL, st.CANCELLED)
    t.book(7000, 1, 499_980, 500_000, 1)
    t.book(8000, 3, 499_980, 500_000, 1)
    t.add(Record.REC_RISK, 8000, journal.risk_record("RUNNING", "PAUSED", "operator", "tea"))
    t.add(
        Record.REC_COMMAND,
        8000,
        journal.command_record("pause", {"why": "tea"}, "me", "cli", "done"),
    )
    t.balance(9500, "USD", "99799.9360", "deposit", "50")
    t.add(Record.REC_INCIDENT, 9600, journal.incident_record("feed was silent", kind="feed"))
    t.balance(10_000, "BTC", "1.0050000000", "closing")
    t.balance(10_000, "USD", "99799.9350", "closing")  # 0.001 less than the ledger
    t.add(
        Record.REC_END,
        10_000,
        journal.end_record(EndRecord("stop", T0 + 10_000 * MS, 0, {"decisions": 3})),
    )
    return t.records
