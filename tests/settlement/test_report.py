"""The report of the hand-made session, number by number, and what it says of an empty one."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from decimal import Decimal

import orjson
import pytest
import sqlalchemy as sa
from rich.console import Console

from openmm._fast.tape import Record
from openmm.errors import LedgerError
from openmm.settlement.booking import Booker
from openmm.settlement.histogram import bucket_ns, quantile_ns
from openmm.settlement.report import Report, load_report
from openmm.settlement.store import Store, metadata
from tests.settlement.made import T0, RecordTuple, Tape, hand_made

D = Decimal
Database = Callable[[str], str]


def book(url: str, records: list[RecordTuple], session_id: str = "s-1") -> None:
    store = Store(url)
    booker = Booker(store, session_id)
    booker.apply(records)
    booker.set_journal_hash(b"\xab" * 32)
    booker.commit()
    store.close()


@pytest.fixture
def report(database: Database) -> Report:
    url = database("store")
    book(url, hand_made())
    return load_report(url)


def test_session_span_and_build(report: Report) -> None:
    part = report.session
    assert (part.session_id, part.bot, part.mode, part.venue) == ("s-1", "grid", "paper", "kraken")
    assert (part.build, part.started_ns, part.ended_ns) == ("0.1.0", T0, T0 + 10_000_000_000)
    assert part.duration_s == D("10.000")
    assert (part.state, part.end_reason, part.open_order_count) == ("ended", "stop", 0)
    assert (part.record_count, part.lost_record_count) == (len(hand_made()), 0)
    assert part.journal_hash == "ab" * 32


def test_volume_by_side_and_role(report: Report) -> None:
    volume = report.volume
    # 0.01 at 49,999.0, 0.005 at 49,997.0 bought; 0.004 at 50,001.0, 0.006 at 49,999.5 sold.
    assert (volume.fills, volume.base, volume.quote) == (4, D("0.025"), D("1249.976"))
    assert (volume.buys.fills, volume.buys.base, volume.buys.quote) == (2, D("0.015"), D("749.975"))
    assert (volume.sells.fills, volume.sells.base) == (2, D("0.01"))
    assert volume.sells.quote == D("500.001")
    assert (volume.maker.fills, volume.maker.quote) == (3, D("999.991"))
    assert (volume.taker.fills, volume.taker.quote) == (1, D("249.985"))


def test_pnl_by_average_cost_and_fifo(report: Report) -> None:
    pnl = report.pnl
    # Average: 749.975 / 0.015 a coin. 0.004 cost 199.993333333 (rounded down) and brought 200.004;
    # of the 549.981666667 left, 0.006 of 0.011 cost 299.990000000 and brought 299.997.
    assert pnl.realised_average == D("0.010666667") + D("0.007")
    # FIFO: both sells come out of the first lot at 49,999.0: 199.996 and 299.994.
    assert pnl.realised_fifo == D("0.008") + D("0.003")
    # 0.005 is left, worth 249.995 at the last reference of 49,999.0.
    assert (pnl.position, pnl.reference) == (D("0.005"), D("49999"))
    assert pnl.unrealised_average == D("249.995") - (D("549.981666667") - D("299.99"))
    assert pnl.unrealised_fifo == D("249.995") - D("249.985")
    assert pnl.total == D("0.021")
    assert (pnl.fees, pnl.net) == (D("0.09"), D("-0.069"))
    assert pnl.unvalued_fees == ()


def test_fees_by_asset_with_their_sign(report: Report) -> None:
    assert report.fees == {"USD": D("0.05") + D("0.02") - D("0.01") + D("0.03")}


def test_spread_captured_is_weighted_by_notional(report: Report) -> None:
    spread = report.spread_captured
    # 499.99 * 1/50000, 249.985 * 3/50000, 200.004 * 1/50000, 299.997 * 0.5/49999
    parts = (D("0.0099998"), D("0.0149991"), D("0.00400008"), D("0.003000030"))
    assert spread.quote == sum(parts)
    assert spread.notional == D("1249.976")
    assert spread.bps == D("0.2560")  # 0.03199901 / 1249.976 = 0.00002559970...
    assert (spread.fills, spread.fills_without_reference) == (4, 0)


def test_fill_rate_by_both_definitions(report: Report) -> None:
    rate = report.fill_rate
    # Placed 0.01, 0.01, 0.005, 0.02 and the rejected 0.01; the unsent one is no order.
    assert (rate.placed_base, rate.filled_base) == (D("0.055"), D("0.025"))
    assert rate.by_quantity == D("0.454545")
    assert (rate.orders_filled, rate.orders_acknowledged) == (3, 4)
    assert rate.by_order == D("0.75")


def test_inventory_delta_apart_from_transfers(report: Report) -> None:
    base, quote = report.inventory["BTC"], report.inventory["USD"]
    assert (base.opening, base.closing, base.delta) == (D(1), D("1.005"), D("0.005"))
    assert (base.venue, base.difference) == (D("1.005"), D(0))
    # -499.99 - 249.985 + 200.004 + 299.997 - 0.09
    assert (quote.opening, quote.delta, quote.transfers) == (D(100000), D("-250.064"), D(50))
    assert quote.closing == D("99799.936")
    assert (quote.venue, quote.difference) == (D("99799.935"), D("-0.001"))


def test_time_at_touch_by_side(report: Report) -> None:
    assert report.observed_s == D("10.000")
    # Bid: 0.1 to 1.0 s at best; to 1.5 s behind it; 5.1 to 6.2 s at best again.
    assert report.time_at_touch["bid"].quoted == D("0.25")
    assert report.time_at_touch["bid"].at_touch == D("0.20")
    # Ask: 0.1 to 2.5 s at best; to 3.1 s behind it; amended, at best until 4.0 s.
    assert report.time_at_touch["ask"].quoted == D("0.39")
    assert report.time_at_touch["ask"].at_touch == D("0.33")


def test_orders_refusals_and_books(report: Report) -> None:
    orders = report.orders
    assert (orders.placed, orders.acknowledged, orders.amended) == (5, 4, 1)
    assert (orders.cancelled, orders.rejected, orders.filled) == (1, 1, 3)
    assert (orders.live, orders.unknown, orders.unsent) == (0, 0, 1)
    assert report.refusals == {"PRICE_COLLAR": 1}
    assert (report.books["0"].breaks, report.books["0"].unverified_s) == (1, D("1.000"))


def test_latency_percentiles_by_stage(report: Report) -> None:
    latency = report.latency_ns
    assert list(latency) == ["tick_to_order", "decode", "quote", "ack"]
    total = latency["tick_to_order"]
    assert (total.count, total.max) == (2, 50_000)
    assert (total.p50, total.p99_9) == (bucket_ns(20_000), bucket_ns(50_000))
    assert (latency["ack"].count, latency["ack"].max) == (4, 100_000_000)


def test_incidents_and_risk(report: Report) -> None:
    assert [one.kind for one in report.incidents] == ["doubled_fill", "feed"]
    assert [(one.from_state, one.to_state) for one in report.risk_events] == [("RUNNING", "PAUSED")]


def test_json_is_plain_and_exact(report: Report) -> None:
    plain = report.to_json()
    assert orjson.loads(orjson.dumps(plain)) == plain
    assert plain["pnl"]["realised_average"] == "0.017666667"
    assert plain["fees"] == {"USD": "0.090000000"}
    assert plain["fill_rate"]["by_order"] == "0.750000"
    assert plain["inventory"]["USD"]["difference"] == "-0.001000000"
    assert plain["latency_ns"]["tick_to_order"]["max"] == 50_000
    assert list(plain) == [
        "session", "volume", "pnl", "by_cause", "reporting", "costs", "movements", "fees",
        "spread_captured", "fill_rate", "queue", "inventory", "time_at_touch", "uptime",
        "observed_s", "orders", "refusals", "books", "latency_ns", "incidents", "risk_events",
        "format",
    ]  # fmt: skip


def test_text_names_every_part(report: Report) -> None:
    out = io.StringIO()
    report.render(Console(file=out, width=120))
    text = out.getvalue()
    for part in (
        "Session s-1", "0.017666667 USD", "0.011 USD", "-0.069 USD", "0.256 bps", "45.45%",
        "75.00%", "20.00% (quoted 25.00%)", "refused: PRICE_COLLAR", "1 breaks, unverified 1 s",
        "tick_to_order", "50.0 us", "doubled_fill", "PAUSED", "-0.001",
    ):  # fmt: skip
        assert part in text, part


def test_report_of_a_session_without_trades(database: Database) -> None:
    url = database("store")
    tape = Tape()
    tape.session("s-2")
    book(url, tape.records, "s-2")
    report = load_report(url)
    assert report.session.state == "running"
    assert report.volume.fills == 0
    assert (report.pnl.total, report.pnl.net) == (D(0), D(0))
    assert report.spread_captured.bps is None
    assert (report.fill_rate.by_quantity, report.fill_rate.by_order) == (None, None)
    assert report.time_at_touch["bid"].at_touch is None
    report.render(Console(file=io.StringIO()))


def test_last_session_is_the_default_and_a_missing_one_is_named(database: Database) -> None:
    url = database("store")
    Store(url).close()
    with pytest.raises(LedgerError, match="no session"):
        load_report(url)
    book(url, hand_made())
    tape = Tape()
    tape.session("s-2")
    book(url, tape.records, "s-2")
    assert load_report(url).session.session_id == "s-2"
    assert load_report(url, "s-1").volume.fills == 4
    with pytest.raises(LedgerError, match="'s-9'"):
        load_report(url, "s-9")


def test_base_fees_are_valued_and_third_assets_are_named(database: Database) -> None:
    url = database("store")
    records = hand_made()
    for place, record in enumerate(records):
        payload = record[4]
        payload = payload.replace(
            b'"amount":"0.05","asset":"USD"', b'"amount":"0.00001","asset":"BTC"'
        )
        payload = payload.replace(b'"amount":"0.03","asset":"USD"', b'"amount":"2","asset":"KFEE"')
        records[place] = (*record[:4], payload)
    book(url, records)
    report = load_report(url)
    assert report.fees == {"BTC": D("0.00001"), "KFEE": D(2), "USD": D("0.01")}
    assert report.pnl.unvalued_fees == ("KFEE",)
    assert report.pnl.fees == D("0.01") + D("0.49999")  # at the reference of 49,999
    assert report.pnl.net == D("0.021") - D("0.50999")


def test_histogram_buckets_and_quantiles() -> None:
    for value in (0, 1, 255, 256, 999, 123_456_789, 60_000_000_000):
        assert value * 127 // 128 <= bucket_ns(value) <= value
    assert quantile_ns({}, 500_000) is None
    counts = {10: 50, 20: 49, 30: 1}
    assert [quantile_ns(counts, p) for p in (500_000, 500_001, 990_000, 999_000)] == [
        10,
        20,
        20,
        30,
    ]


def test_brackets_in_a_venues_words_are_shown_as_they_are(database: Database) -> None:
    url = database("store")
    book(url, hand_made())
    store = Store(url)
    with store.begin() as connection:
        connection.execute(
            sa.update(metadata.tables["session"]).values(end_reason="see [/x] [red]")
        )
    store.close()
    out = io.StringIO()
    load_report(url).render(Console(file=out, width=200))
    assert "see [/x] [red]" in out.getvalue()


def test_queue_places_at_fill_are_told(database: Database) -> None:
    url, tape = database("store"), Tape()
    tape.session("s-3")
    second = 1_000_000_000
    for at_ms, ahead, behind, age_s, wanted in (
        (10_000, 0, 10, 1, 0), (10_000, 0, 0, 2, 0), (10_000, 30, 10, 8, 0), (10_000, 9, 1, 4, 777),
    ):  # fmt: skip
        since_ns = T0 + at_ms * 1_000_000 - age_s * second
        payload = struct.pack("<Q6q", 513, 780, wanted, ahead, behind, 5, since_ns)
        tape.add(Record.REC_PLACE, at_ms, payload)
    book(url, tape.records, "s-3")
    queue = load_report(url).queue
    # One that only stayed for its place was not filled.
    assert (queue.fills, queue.at_front, queue.ahead) == (3, D("0.6667"), D(0))
    assert queue.age_s is not None
    assert queue.age_p90_s is not None
    assert D("1.98") < queue.age_s <= 2
    assert D("7.93") < queue.age_p90_s <= 8
    out = io.StringIO()
    load_report(url).render(Console(file=out, width=120))
    assert "66.67% at the front" in out.getvalue()
