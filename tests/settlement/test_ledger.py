"""Debits equal credits; what was booked once is not booked again; the venue's word is checked."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm import journal
from openmm.errors import LedgerError
from openmm.events import Fee, OrderFilled
from openmm.journal import BalanceRecord, FillRecord
from openmm.settlement.ledger import Entry, Ledger, ledger_decimals
from openmm.settlement.reconcile import Difference
from tests.settlement.made import PAIR, T0

BUY, SELL = 1, 2
D = Decimal


def fill(
    exec_id: str,
    side: int = BUY,
    price_ticks: int = 500_000,
    qty_lots: int = 100,
    fees: tuple[Fee, ...] = (),
) -> FillRecord:
    return journal.fill_of(
        OrderFilled(
            exec_id=exec_id,
            venue_order_id="O",
            client_id="c",
            instrument="BTC/USD",
            side=side,
            price_ticks=price_ticks,
            qty_lots=qty_lots,
            cost=PAIR.notional(price_ticks * qty_lots),
            fees=fees,
            maker=True,
            ts_ns=T0,
        ),
        1,
        None,
    )


def balance(
    asset: str, total: str, kind: str, change: str | None = None, fee: str = "0", ref: str = "r"
) -> BalanceRecord:
    return BalanceRecord(
        asset, D(total), None if change is None else D(change), D(fee), kind, ref, T0
    )


def ledger() -> Ledger:
    return Ledger("kraken", ledger_decimals([PAIR]))


def lines(entry: Entry | None) -> list[tuple[str, str, str, int]]:
    assert entry is not None
    return [(p.kind, p.account, p.asset, p.atoms) for p in entry.postings]


def test_decimals_hold_every_price_times_quantity() -> None:
    assert ledger_decimals([PAIR]) == {"BTC": 10, "USD": 9}


def test_buy_posts_both_legs_and_every_fee() -> None:
    fees = (Fee("USD", D("0.05")), Fee("KFEE", D("-1.5")))
    entry = ledger().book_fill(fill("E1", qty_lots=1_000_000, fees=fees), PAIR)
    assert lines(entry) == [
        ("fill", "venue:kraken", "BTC", 100_000_000),
        ("fill", "trading", "BTC", -100_000_000),
        ("fill", "venue:kraken", "USD", -500_000_000_000),
        ("fill", "trading", "USD", 500_000_000_000),
        ("fee", "venue:kraken", "USD", -50_000_000),
        ("fee", "fee", "USD", 50_000_000),
        ("fee", "venue:kraken", "KFEE", 15_000_000_000),  # a rebate: the venue holds more for us
        ("fee", "fee", "KFEE", -15_000_000_000),
    ]


def test_sell_moves_the_other_way() -> None:
    book = ledger()
    book.book_fill(fill("E1", SELL), PAIR)
    assert (book.balance("BTC"), book.balance("USD")) == (D("-0.000001"), D("0.05"))


def test_doubled_fill_books_once_and_a_late_one_books() -> None:
    book = ledger()
    assert book.book_fill(fill("E1"), PAIR) is not None
    assert book.book_fill(fill("E2"), PAIR) is not None
    before = dict(book.totals)
    assert book.book_fill(fill("E1"), PAIR) is None
    assert book.totals == before
    assert book.book_fill(fill("E0"), PAIR) is not None, "an older execution that comes late"


def test_first_statement_opens_and_later_ones_move_nothing() -> None:
    book = ledger()
    assert lines(book.book_balance(balance("USD", "100", "snapshot"))) == [
        ("opening", "venue:kraken", "USD", 100 * 10**9),
        ("opening", "equity:opening", "USD", -100 * 10**9),
    ]
    assert book.book_balance(balance("USD", "90", "snapshot")) is None
    assert book.book_balance(balance("USD", "90", "closing")) is None
    assert book.book_balance(balance("USD", "90", "trade", "-10")) is None
    assert book.balance("USD") == D(100)


def test_opening_that_comes_after_a_fill_leaves_the_fill_out() -> None:
    book = ledger()
    book.book_fill(fill("E1"), PAIR)
    book.book_balance(balance("BTC", "1.000001", "opening"))
    assert book.balance("BTC") == D("1.000001")
    assert book.totals["equity:opening", "BTC"] == -(10**10)


def test_deposit_and_withdrawal_are_transfers_booked_once() -> None:
    book = ledger()
    assert lines(book.book_balance(balance("USD", "50", "deposit", "50", ref="D1"))) == [
        ("transfer", "venue:kraken", "USD", 50 * 10**9),
        ("transfer", "equity:transfer", "USD", -50 * 10**9),
    ]
    assert book.book_balance(balance("USD", "50", "deposit", "50", ref="D1")) is None
    entry = book.book_balance(balance("USD", "29", "withdrawal", "-20", "1", "W1"))
    assert ("fee", "fee", "USD", 10**9) in lines(entry)
    assert book.balance("USD") == D(29)


def test_costs_and_named_adjustments() -> None:
    book = ledger()
    assert lines(book.book_cost("ETH", D("0.002"), "tx1"))[1] == ("cost", "cost", "ETH", 20_000_000)
    assert book.book_cost("ETH", D("0.002"), "tx1") is None
    book.adjust("USD", D("-0.01"), "venue rounded order O1")
    assert book.balance("USD") == D("-0.01")
    with pytest.raises(LedgerError, match="needs a name"):
        book.adjust("USD", D(1), " ")


def test_amount_finer_than_an_atom_is_rounded_and_named() -> None:
    book = ledger()
    entry = book.book_fill(fill("E1", fees=(Fee("USD", D("0.00000000050")),)), PAIR)
    assert entry is not None
    assert entry.inexact == (Fee("USD", D("0.00000000050")),)
    assert ("fee", "fee", "USD", 0) in lines(entry), "half to even"


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (fill("E1", side=0), "no side"),
        (fill("E1", fees=(Fee("USD", D("NaN")),)), "not a number"),
        (fill("E1", fees=(Fee("USD", D("1e10")),)), "beyond the ledger"),
    ],
)
def test_fill_that_cannot_be_booked_changes_nothing(record: FillRecord, text: str) -> None:
    book = ledger()
    with pytest.raises(LedgerError, match=text):
        book.book_fill(record, PAIR)
    assert book.totals == {}
    assert book.book_fill(fill("E1"), PAIR) is not None, "the execution was not used up"


def test_opening_twice_is_refused() -> None:
    book = ledger()
    book.open("USD", D(1))
    with pytest.raises(LedgerError, match="opened before"):
        book.open("USD", D(1))


def test_difference_is_named_with_its_amount() -> None:
    book = ledger()
    book.open("USD", D("100"))
    book.book_fill(fill("E1"), PAIR)
    assert book.differences({"USD": D("99.95"), "BTC": D("0.000001")}) == []
    assert book.differences({"USD": D("99.95")}) == [Difference("BTC", D("0.000001"), D(0))]
    found = book.differences({"USD": D("99.949999999"), "BTC": D("0.000001"), "DOT": D(2)})
    assert [(one.asset, one.amount) for one in found] == [
        ("DOT", D(2)), ("USD", D("-0.000000001")),
    ]  # fmt: skip


fees = st.lists(
    st.tuples(st.sampled_from(["USD", "BTC", "KFEE"]), st.decimals(-5, 5, places=6)), max_size=3
)
events = st.lists(
    st.one_of(
        st.tuples(
            st.just("fill"), st.integers(0, 30), st.sampled_from([BUY, SELL]),
            st.integers(1, 10**6), st.integers(1, 10**8), fees,
        ),
        st.tuples(
            st.just("move"), st.integers(0, 10), st.sampled_from(["USD", "BTC", "DOT"]),
            st.decimals(-1000, 1000, places=8),
        ),
        st.tuples(st.just("restart")),
    ),
    max_size=60,
)  # fmt: skip


@settings(deadline=None)
@given(events=events)
def test_any_sequence_balances_and_equals_a_plain_sum(
    events: list[tuple[object, ...]],
) -> None:
    """Doubles and restarts included; the plain sum is of decimals, by first appearance."""
    book = ledger()
    seen: set[tuple[str, object]] = set()
    plain: dict[str, Decimal] = {}

    def add(asset: str, amount: Decimal) -> None:
        plain[asset] = plain.get(asset, D(0)) + amount

    for event in events:
        if event[0] == "restart":
            fresh = ledger()
            fresh.decimals = dict(book.decimals)
            fresh.restore(
                book.totals,
                opened=book.opened,
                exec_ids=[str(key) for what, key in seen if what == "fill"],
                transfers=[
                    ("transfer", f"deposit:{key[0]}", key[1])
                    for what, key in seen
                    if what == "move" and isinstance(key, tuple)
                ],
            )
            book = fresh
        elif event[0] == "fill":
            _, number, side, price, qty, paid = event
            assert isinstance(side, int)
            assert isinstance(price, int)
            assert isinstance(qty, int)
            assert isinstance(paid, list)
            charged = tuple(Fee(asset, amount) for asset, amount in paid)
            record = fill(str(number), side, price, qty, charged)
            entry = book.book_fill(record, PAIR)
            assert (entry is None) == (("fill", str(number)) in seen)
            if entry is not None:
                seen.add(("fill", str(number)))
                sign = 1 if side == BUY else -1
                add("BTC", sign * PAIR.qty(qty))
                add("USD", -sign * PAIR.notional(price * qty))
                for fee in charged:
                    add(fee.asset, -fee.amount)
        else:
            _, number, asset, change = event
            assert isinstance(asset, str)
            assert isinstance(change, Decimal)
            record_ = balance(asset, "0", "deposit", str(change), ref=str(number))
            entry = book.book_balance(record_)
            assert (entry is None) == (("move", (str(number), asset)) in seen)
            if entry is not None:
                seen.add(("move", (str(number), asset)))
                add(asset, change)
        sums: dict[str, int] = {}
        for (_, asset_), atoms in book.totals.items():
            sums[asset_] = sums.get(asset_, 0) + atoms
        assert not any(sums.values()), "debits differ from credits"
    assert book.differences(plain) == []


def test_coin_held_by_the_billion_fits_with_fewer_decimals() -> None:
    books = Ledger("kraken")
    assert books.open("PEPE", Decimal("123456789012.5")) is not None
    assert books.balance("PEPE") == Decimal("123456789012.5")
    assert books.decimals["PEPE"] == 3
    books.open("KFEE", Decimal("99999.25"))
    assert books.decimals["KFEE"] == 10
