"""Statements against the books: races pass, differences do not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from openmm.events import Fee, OrderFilled
from openmm.settlement.incidents import INCIDENTS_MAX, Cause, Incidents
from openmm.settlement.reconcile import (
    DRIFT_NS,
    LAG_NS,
    MISSED_NS,
    RACE_NS,
    SECOND_NS,
    Comparison,
    Difference,
    FillWatch,
    Totals,
)

T0 = 1_000 * SECOND_NS
D = Decimal


class Books:
    """One asset, its past totals, and statements of it."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.comparison = Comparison(self.totals)
        self.total = D(0)

    def post(self, total: str, at_ns: int) -> None:
        self.total = D(total)
        self.totals.note("USD", self.total, at_ns)

    def state(self, seen: str, at_ns: int, *, final: bool = False) -> list[Difference]:
        expected = {"USD": self.total}
        told = self.comparison.take(expected, {"USD": D(seen)}, at_ns, at_ns, final=final)
        return list(told.differences)


@pytest.fixture
def books() -> Books:
    made = Books()
    made.post("100", T0 - 60 * SECOND_NS)
    return made


def test_statement_of_before_a_fill_that_came_meanwhile_agrees(books: Books) -> None:
    books.post("90", T0 + SECOND_NS)
    assert books.state("100", T0 + 2 * SECOND_NS) == []
    assert books.comparison.suspects == frozenset()


def test_statement_ahead_of_a_late_report_is_a_suspicion_that_the_report_ends(
    books: Books,
) -> None:
    assert books.state("90", T0) == []
    assert books.comparison.suspects == {"USD"}
    books.post("90", T0 + 3 * SECOND_NS)
    assert books.state("90", T0 + 4 * SECOND_NS) == []
    assert books.comparison.suspects == frozenset()


def test_statement_as_of_too_long_ago_is_a_suspicion(books: Books) -> None:
    books.post("90", T0)
    assert books.state("100", T0 + LAG_NS - 1) == []
    assert books.comparison.suspects == frozenset()
    books.state("100", T0 + LAG_NS + 1)
    assert books.comparison.suspects == {"USD"}


def test_difference_that_outlives_the_races_is_told_with_its_age(books: Books) -> None:
    found = [books.state("99", T0 + at * SECOND_NS) for at in range(0, 14, 2)]
    first = next(index for index, told in enumerate(found) if told)
    assert 2 * first * SECOND_NS >= RACE_NS
    (one,) = found[first]
    assert (one.amount, one.seen, one.since_ns) == (D(-1), D(99), T0)


def test_difference_is_found_though_money_never_rests(books: Books) -> None:
    # A fill every half second, statements between: the amount missing is the same throughout.
    found: list[Difference] = []
    for at in range(40):
        now_ns = T0 + at * SECOND_NS // 2
        books.post(str(100 - at), now_ns)
        if at % 4 == 0:
            found += books.state(str(books.total - D("0.25")), now_ns)
    assert {one.amount for one in found} == {D("-0.25")}


def test_difference_that_grows_all_the_time_is_found_too(books: Books) -> None:
    found: list[Difference] = []
    for at in range(0, 80, 2):
        found += books.state(str(D(99) - D(at) / 1000), T0 + at * SECOND_NS)
    assert found
    assert found[0].since_ns == T0
    assert books.comparison.suspects == {"USD"}
    assert T0 + DRIFT_NS <= T0 + 60 * SECOND_NS


def test_suspicion_of_before_an_outage_proves_nothing_after_it(books: Books) -> None:
    assert books.state("90", T0) == []
    # Nobody could ask for two minutes; the first statement behind them may race like any other.
    assert books.state("85", T0 + 120 * SECOND_NS) == []
    assert books.state("80", T0 + 122 * SECOND_NS) == []
    books.post("80", T0 + 123 * SECOND_NS)
    assert books.state("80", T0 + 124 * SECOND_NS) == []
    assert books.comparison.suspects == frozenset()


def test_last_statement_is_believed_at_once(books: Books) -> None:
    (one,) = books.state("99.5", T0, final=True)
    assert one.amount == D("-0.5")


def test_asset_the_venue_does_not_list_is_zero_there(books: Books) -> None:
    told = books.comparison.take({"USD": D(100)}, {}, T0, T0, final=True)
    assert [one.amount for one in told.differences] == [D(-100)]


def fill(exec_id: str, *, ts_ns: int = T0, side: int = 1, qty: str = "0.5") -> OrderFilled:
    return OrderFilled(
        exec_id=exec_id, venue_order_id="V1", client_id="c", instrument="BTC/USD", side=side,
        price_ticks=10, qty_lots=5, cost=D(50), fees=(Fee("USD", D("0.1")),), maker=True,
        ts_ns=ts_ns, qty=D(qty),
    )  # fmt: skip


def test_fill_that_history_lists_explains_nothing() -> None:
    watch = FillWatch()
    watch.booked(fill("A"), T0, listed=False, expected=True)
    watch.on_history(["A"], T0 - 60 * SECOND_NS, T0 + 10 * SECOND_NS)
    assert watch.explain("BTC", D("-0.5"), "BTC", "USD") is None


@pytest.mark.parametrize(("asset", "amount"), [("BTC", "-0.5"), ("USD", "50.1")])
def test_fill_missing_in_history_explains_its_own_amounts(asset: str, amount: str) -> None:
    watch = FillWatch()
    for name in ("A", "B"):
        watch.booked(fill(name), T0, listed=False, expected=True)
    watch.on_history(["A"], T0 - 60 * SECOND_NS, T0 + 10 * SECOND_NS)
    found = watch.explain(asset, D(amount), "BTC", "USD")
    assert found is not None
    assert found.exec_id == "B"
    assert watch.doubled(found)
    assert watch.explain(asset, D(amount) + 1, "BTC", "USD") is None


def test_fill_too_young_for_the_history_is_not_missing_there() -> None:
    watch = FillWatch()
    watch.booked(fill("B"), T0, listed=False, expected=True)
    watch.on_history([], T0 - 60 * SECOND_NS, T0 + SECOND_NS)
    assert watch.explain("BTC", D("-0.5"), "BTC", "USD") is None
    assert not watch.doubled(fill("B"))


def test_fill_known_from_lists_alone_is_missed_once_its_report_is_overdue() -> None:
    watch = FillWatch()
    watch.booked(fill("A"), T0, listed=True, expected=True)
    watch.booked(fill("B"), T0, listed=True, expected=True)
    watch.booked(fill("C"), T0, listed=True, expected=False)
    watch.told("B")
    assert watch.missed(T0 + MISSED_NS - 1) == []
    assert [one.fill.exec_id for one in watch.missed(T0 + MISSED_NS)] == ["A"]
    assert watch.missed(T0 + 2 * MISSED_NS) == []


def test_lost_stream_makes_no_fill_a_missed_one() -> None:
    watch = FillWatch()
    watch.booked(fill("A"), T0, listed=True, expected=True)
    watch.stream_lost()
    assert watch.missed(T0 + 2 * MISSED_NS) == []


def test_incident_is_told_when_it_opens_changes_and_ends() -> None:
    book = Incidents()
    first = book.open("balance", "USD", Cause.UNKNOWN, "a", T0, asset="USD", amount=D(-1))
    assert book.open("balance", "USD", Cause.UNKNOWN, "a", T0, amount=D(-1)) == first
    book.open("balance", "USD", Cause.UNKNOWN, "less", T0, amount=D("-0.5"))
    book.open("balance", "USD", Cause.UNKNOWN, "more", T0, amount=D(-2))
    assert book.resolve("balance", "USD", "gone", T0 + 9 * SECOND_NS) is not None
    assert book.resolve("balance", "USD", "gone", T0) is None
    moved = book.take()
    assert [one.alert for one in moved] == [True, False, True, False]
    assert {one.incident.number for one in moved} == {1}
    last = moved[-1].incident
    assert (last.state, last.resolution, last.age_ns(T0 + 99 * SECOND_NS)) == (
        "resolved", "gone", 9 * SECOND_NS,
    )  # fmt: skip
    assert book.take() == []
    assert book.open_count == 0


def test_memory_of_incidents_is_bounded_and_keeps_the_open_ones() -> None:
    book = Incidents()
    kept = book.open("balance", "USD", Cause.UNKNOWN, "a", T0)
    for at in range(INCIDENTS_MAX + 50):
        book.note("fill", f"E{at}", Cause.MISSED_FILL, "b", T0, "booked")
    held = list(book)
    assert len(held) == INCIDENTS_MAX
    assert held[0] == kept
