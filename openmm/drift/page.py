"""A drift as rows for people, and as one HTML file with plots."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from openmm.drift.measured import PERCENTILES, Count, Drift, Queued
from openmm.rerun.compare import as_bars, rounded
from openmm.settlement.page import data_table, document, figure, section
from openmm.settlement.page_style import STYLE
from openmm.settlement.plots import bars

COUNTS: Final = (
    "", "session", "expected", "exact", "matched", "missing", "extra", "share",
    "later than expected, ms",
)  # fmt: skip
QUEUES: Final = (
    "queue", "orders filled", "expected", "same time", "earlier", "later", "never", "extra",
    "lots off", "apart, ms", "ahead at the fill, lots",
)  # fmt: skip
DELAYS: Final = ("ms", "measured", "assumed")
RANKS: Final = "/".join(f"{one}%" for one in PERCENTILES)
LEGEND: Final = (
    "exact: in every field, to the nanosecond. matched: the same in kind, order, side, price and "
    f"quantity, at about the same time. Several figures: {RANKS}. lots off: filled too much, too "
    "little, or at another time, order by order, as a share of what was filled. earlier, later: "
    "the model filled it at another time; never: not while it looked; ahead: what stood in front, "
    "by the model."
)


def counts(drift: Drift) -> list[tuple[str, ...]]:
    """Return the rows under `COUNTS`."""
    return [
        _count("orders, engine run again", drift.orders),
        _count("fills, engine run again", drift.fills),
        _count(f"fills of own orders, {drift.queue.name} queue", drift.queue.fills),
    ]


def _count(name: str, one: Count) -> tuple[str, ...]:
    return (
        name, f"{one.session:,}", f"{one.expected:,}", f"{one.exact:,}", f"{one.matched:,}",
        f"{one.missing:,}", f"{one.extra:,}", f"{one.share:.2%}", millis(one.apart_ns),
    )  # fmt: skip


def queues(drift: Drift) -> list[tuple[str, ...]]:
    """Return the rows under `QUEUES`: the assumed model, and those that were tried."""
    return [_queue(one) for one in (drift.tried or (drift.queue,))]


def _queue(one: Queued) -> tuple[str, ...]:
    from_ = one.tally
    return (
        one.name, f"{from_.filled:,}", f"{from_.expected:,}", f"{from_.both:,}",
        f"{from_.earlier:,}", f"{from_.later:,}", f"{from_.never:,}", f"{from_.extra:,}",
        f"{from_.error:.2%}", millis(one.apart), ranks(one.ahead),
    )  # fmt: skip


def delays(drift: Drift) -> list[tuple[str, ...]]:
    """Return the rows under `DELAYS`."""
    one = drift.delays
    told = f"request to the venue ({one.told:,} of {one.sent:,} told)"
    return [
        (told, millis(one.requests), millis(one.assumed_requests)),
        ("answer", millis(one.answers), millis(one.assumed_answers)),
        ("market message", millis(one.market), "0"),
    ]


def money(drift: Drift) -> list[tuple[str, ...]]:
    """Return P&L by cause, got and expected."""
    rows: list[tuple[str, ...]] = [
        (name, rounded(drift.got.causes.get(name)), rounded(drift.expected.causes.get(name)))
        for name in drift.got.causes
    ]
    return rows or [("net", rounded(drift.got.net), rounded(drift.expected.net))]


def millis(values: Sequence[int]) -> str:
    """Write delays in milliseconds; a dash for none."""
    return "/".join(f"{one / 1e6:.3g}" for one in values) or "-"


def ranks(values: Sequence[int]) -> str:
    """Write quantities; a dash for none."""
    return "/".join(f"{one:,}" for one in values) or "-"


def statement(drift: Drift) -> list[str]:
    """Say what was compared, and what to know of it."""
    where = (
        "own orders do not stand in its public book, as at a simulated venue that serves a "
        "recording"
        if drift.apart
        else "own orders stand in its public book, and were taken out of it"
    )
    told = [
        f"{drift.bot} on {drift.venue} {drift.instrument}, {drift.seconds:.0f} s, "
        f"{drift.records:,} records; {where}."
    ]
    if drift.exact:
        told.append("Every order and every fill came out as it was, to the nanosecond.")
    if drift.drawn:
        told.append(f"{drift.drawn:,} delays were drawn: the session has no such messages.")
    return [*told, *drift.notes]


def page(drift: Drift) -> str:
    """Return the file's text."""
    notes = "".join(f'<p class="note">{escape(one)}</p>' for one in statement(drift))
    head = f"<header><p class='kicker'>Drift</p><h1>{escape(drift.session)}</h1>{notes}</header>"
    off = [
        (one.name, one.tally.error, f"{one.tally.error:.2%}")
        for one in (drift.tried or (drift.queue,))
    ]
    net = [
        (f"{side}: {name}", float(value), f"{rounded(value)} {drift.got.asset}")
        for side, told in (("got", drift.got), ("expected", drift.expected))
        for name, value in as_bars(told.causes.items())
    ]
    body = [
        section("Orders and fills", data_table(COUNTS, counts(drift))),
        section(
            "Queue", data_table(QUEUES, queues(drift)),
            figure("Lots filled too much, too little, or at another time", bars("lots off", off)),
        ),
        section("Delays", data_table(DELAYS, delays(drift))),
        section(
            f"P&L in {drift.got.asset}", data_table(("", "got", "expected"), money(drift)),
            figure("P&L by cause", bars("P&L by cause", net)),
        ),
    ]  # fmt: skip
    legend = f'<p class="note">{escape(LEGEND)}</p>'
    return document(f"drift of {drift.session}", head + "".join(body) + legend, STYLE)
