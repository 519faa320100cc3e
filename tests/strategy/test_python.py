"""A strategy in Python: what it sees, what is made of its answer, what happens when it fails."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openmm._fast.quotes import QuoteClamp
from openmm._fast.tape import Tape
from openmm.strategy.python import PythonStrategy, View
from openmm.strategy.quotes import Quotes
from openmm.strategy.recorded import RecalledQuoter
from tests._fast.test_quotes import MISSING, PAIR, VIEW

LOTS = 10_000_000
GOOD = Quotes(bids=[(9_990, LOTS), (9_985, LOTS)], asks=((10_010, LOTS),))


class Says:
    """Answer every view the same, or by a function; keep what was seen."""

    def __init__(self, answer: Any) -> None:
        self.answer: Callable[[View], Any] = answer if callable(answer) else lambda _: answer
        self.seen: list[View] = []

    def quote(self, view: View) -> Any:
        self.seen.append(view)
        return self.answer(view)


class Short(list[tuple[int, int]]):
    """A list that tells another length than it has."""

    def __len__(self) -> int:
        return 1


class Moody(list[tuple[int, int]]):
    """A list that holds something else each time it is read."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self[0] = (self[0][0] - 1, LOTS)
        return iter([self[0]])


def test_quotes_become_the_ladder() -> None:
    strategy = PythonStrategy(PAIR, Says(GOOD))
    quoting, ladder = strategy.quote(VIEW)
    assert quoting == 1
    assert ladder["bids"] == [(9_990, LOTS), (9_985, LOTS)]
    assert ladder["asks"] == [(10_010, LOTS)]
    assert (strategy.call_count, strategy.error_count, strategy.last_error) == (1, 0, None)


def test_view_has_the_fields_and_is_frozen() -> None:
    says = Says(None)
    strategy = PythonStrategy(PAIR, says)
    assert strategy.quote(VIEW | {"x_ppm": -77, "flow_ppm": 5})[0] == 0
    (view,) = says.seen
    for name in VIEW.keys() - {"warm"}:
        expected = (VIEW | {"x_ppm": -77, "flow_ppm": 5})[name]
        assert getattr(view, name) == expected, name
    with pytest.raises(AttributeError):
        view.x_ppm = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        View()


def test_view_that_is_kept_does_not_change() -> None:
    says = Says(None)
    strategy = PythonStrategy(PAIR, says)
    for x_ppm in range(3):
        strategy.quote(VIEW | {"x_ppm": x_ppm})
    assert [view.x_ppm for view in says.seen] == [0, 1, 2]


def test_only_a_new_answer_goes_on_the_tape() -> None:
    tape = Tape(None, size_bytes=1 << 20, follow=False)
    answers = iter([None, None, GOOD, Quotes(bids=[*GOOD.bids], asks=[*GOOD.asks]), None])
    strategy = PythonStrategy(PAIR, Says(lambda _: next(answers)), tape)
    for _ in range(5):
        strategy.quote(VIEW)
    told = [b"1 null", b"3 [[[9990,10000000],[9985,10000000]],[[10010,10000000]]]", b"5 null"]
    assert [one[-1] for one in tape.records()] == told


def test_tape_has_what_was_taken_of_an_answer_that_changes() -> None:
    tape = Tape(None, size_bytes=1 << 20, follow=False)
    strategy = PythonStrategy(PAIR, Says(Quotes(bids=Moody([(9_990, LOTS)]))), tape)
    quoted = [strategy.quote(VIEW)[1]["bids"][0][0] for _ in range(3)]
    assert quoted == [9_989, 9_988, 9_987]
    told = [b"%d [[[%d,10000000]],[]]" % (n, price) for n, price in enumerate(quoted, 1)]
    assert [one[-1] for one in tape.records()] == told


def test_levels_may_come_from_a_generator() -> None:
    tape = Tape(None, size_bytes=1 << 20, follow=False)
    levels: Any = ((9_990 - n, LOTS) for n in range(2))
    strategy = PythonStrategy(PAIR, Says(Quotes(bids=levels)), tape)
    assert strategy.quote(VIEW)[1]["bids"] == [(9_990, LOTS), (9_989, LOTS)]
    assert [one[-1] for one in tape.records()] == [b"1 [[[9990,10000000],[9989,10000000]],[]]"]


@pytest.mark.parametrize(
    "bad",
    [
        Quotes(asks=[(10_010 + i, LOTS) for i in range(10**5)]),  # longer than a record may be
        Quotes(bids=[(9_980, LOTS), (9_990, LOTS)]),
        Quotes(bids=[(9_990, LOTS)], asks=[(10_010, 1.5)]),  # type: ignore[list-item]
        [(9_990, LOTS)],
    ],
    ids=("long", "disordered", "broken", "bare"),
)
def test_refused_answer_is_nothing_on_the_tape_and_in_the_replay(bad: Any) -> None:
    tape = Tape(None, size_bytes=1 << 20, follow=False)
    answers = iter([GOOD, bad, bad, GOOD])
    strategy = PythonStrategy(PAIR, Says(lambda _: next(answers)), tape)
    live = [strategy.quote(VIEW) for _ in range(4)]
    assert [quoting for quoting, _ in live] == [1, 0, 0, 1]
    told = [one[-1] for one in tape.records()]
    assert told[1] == b"2 null"
    assert len(told) == 3
    recalled = RecalledQuoter()
    recalled.recall(told)
    again = PythonStrategy(PAIR, recalled)
    assert [again.quote(VIEW) for _ in range(4)] == live


def test_none_quotes_nothing_without_an_error() -> None:
    strategy = PythonStrategy(PAIR, Says(None))
    quoting, ladder = strategy.quote(VIEW)
    assert (quoting, ladder["bids"], ladder["asks"]) == (0, [], [])
    assert strategy.error_count == 0


def test_exception_quotes_nothing_and_is_kept() -> None:
    error = RuntimeError("no idea")

    def fail(view: View) -> Quotes:
        if view.x_ppm:
            return GOOD
        raise error

    strategy = PythonStrategy(PAIR, Says(fail))
    quoting, ladder = strategy.quote(VIEW)
    assert (quoting, ladder["bids"], ladder["asks"]) == (0, [], [])
    assert strategy.last_error is error
    assert strategy.error_count == 1
    assert strategy.quote(VIEW | {"x_ppm": 1})[0] == 1
    assert (strategy.error_count, strategy.call_count) == (1, 2)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ([(9_990, LOTS)], TypeError, "Quotes or None"),
        (Quotes(bids=[(9_990.5, LOTS)]), TypeError, "int"),  # type: ignore[list-item]
        (Quotes(bids=[("9990", LOTS)]), TypeError, "int"),  # type: ignore[list-item]
        (Quotes(bids=[(9_990,)]), ValueError, "unpack"),  # type: ignore[list-item]
        (Quotes(bids=[(0, LOTS)]), ValueError, "out of bounds"),
        (Quotes(asks=[(10_010, 0)]), ValueError, "out of bounds"),
        (Quotes(asks=[(1 << 41, LOTS)]), ValueError, "out of bounds"),
        (Quotes(asks=[(1 << 70, LOTS)]), OverflowError, "int"),
        (Quotes(bids=[(9_980, LOTS), (9_990, LOTS)]), ValueError, "best first"),
        (Quotes(asks=[(10_010, LOTS), (10_010, LOTS)]), ValueError, "best first"),
        (Quotes(bids=[(10_000, LOTS)], asks=[(10_000, LOTS)]), ValueError, "cross themselves"),
        (Quotes(bids=[(9_990 - i, LOTS) for i in range(33)]), ValueError, "more than 32 levels"),
        (Quotes(bids=Short((9_990 - i, LOTS) for i in range(500))), ValueError, "more than 32"),
        (Quotes(asks=[(10_010 + i, LOTS) for i in range(10**5)]), ValueError, "more than 32"),
        (Quotes(bids=7), TypeError, "not iterable"),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_bad_answer_quotes_nothing_and_says_why(
    answer: Any, kind: type[Exception], text: str
) -> None:
    strategy = PythonStrategy(PAIR, Says(answer))
    quoting, ladder = strategy.quote(VIEW)
    assert (quoting, ladder["bids"], ladder["asks"]) == (0, [], [])
    assert isinstance(strategy.last_error, kind)
    assert text in str(strategy.last_error)
    assert strategy.error_count == 1


def test_failures_are_told_once_with_how_many_stood_in_a_row() -> None:
    def moody(view: View) -> Quotes:
        if view.x_ppm:
            raise ValueError(f"off by {view.x_ppm}")
        return GOOD

    strategy = PythonStrategy(PAIR, Says(moody))
    assert strategy.take_failures() is None
    for x_ppm in (1, 2, 3, 0, 4):
        strategy.quote(VIEW | {"x_ppm": x_ppm})
    failed = strategy.take_failures()
    assert failed is not None
    assert (failed.count, failed.row) == (4, 3)
    assert failed.text.startswith("ValueError: off by 4 (at ")
    assert "test_python.py" in failed.text
    assert strategy.take_failures() is None
    # The row goes on over a look, and ends by a good call, or by a word.
    strategy.quote(VIEW | {"x_ppm": 1})
    failed = strategy.take_failures()
    assert failed is not None
    assert (failed.count, failed.row) == (1, 2)
    strategy.forgive()
    strategy.quote(VIEW | {"x_ppm": 1})
    failed = strategy.take_failures()
    assert failed is not None
    assert (failed.count, failed.row) == (1, 1)


def test_leaving_is_a_failure_and_an_interrupt_reaches_who_waits_for_it() -> None:
    def leave(view: View) -> Quotes:
        raise (KeyboardInterrupt if view.x_ppm else SystemExit)("done")

    strategy = PythonStrategy(PAIR, Says(leave))
    assert strategy.quote(VIEW)[0] == 0
    failed = strategy.take_failures()
    assert failed is not None
    assert failed.text.startswith("SystemExit: done (at ")

    def ask_often() -> None:
        for _ in range(1_000):
            strategy.quote(VIEW | {"x_ppm": 1})

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask_often()
    finally:
        signal.signal(signal.SIGINT, before)


def test_wanting_nothing_ends_a_row_of_failures() -> None:
    answers = iter([7, None, 7])
    strategy = PythonStrategy(PAIR, Says(lambda _: next(answers)))
    for _ in range(3):
        strategy.quote(VIEW)
    failed = strategy.take_failures()
    assert failed is not None
    assert (failed.count, failed.row) == (2, 1)
    assert failed.kind == "TypeError in what quote() returned"


def test_answer_is_clamped_to_post_only() -> None:
    strategy = PythonStrategy(PAIR, Says(Quotes(bids=[(10_500, LOTS), (10_400, LOTS)])))
    quoting, ladder = strategy.quote(VIEW)
    assert quoting == 1
    assert ladder["bids"] == [(10_099, LOTS), (10_098, LOTS)]
    assert ladder["clamps"] == QuoteClamp.CLAMP_POST_ONLY_BID


def test_answer_is_capped_by_what_is_held_and_allowed() -> None:
    strategy = PythonStrategy(PAIR, Says(GOOD))
    _, ladder = strategy.quote(VIEW | {"quote_lots_max": LOTS + 1, "allow_ask": 0})
    assert ladder["bids"] == [(9_990, LOTS)]
    assert ladder["asks"] == []


@pytest.mark.parametrize(
    "changes", [{"reference_uticks": MISSING}, {"warm": 0}, {"x_ppm": MISSING}], ids=str
)
def test_strategy_is_not_asked_while_it_must_not_quote(changes: dict[str, int]) -> None:
    strategy = PythonStrategy(PAIR, Says(GOOD))
    assert strategy.quote(VIEW | changes)[0] == 0
    assert strategy.call_count == 0


def test_object_without_the_method_is_refused() -> None:
    with pytest.raises(TypeError, match="quote"):
        PythonStrategy(PAIR, object())  # type: ignore[arg-type]
