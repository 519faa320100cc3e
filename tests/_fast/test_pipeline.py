"""The hot path end to end in memory: what is decided, what is sent, what stands on the tape."""

from __future__ import annotations

import gc
from pathlib import Path

import orjson
import pytest
from msgspec.structs import replace

from openmm import journal
from openmm._fast.book import BookBreak, BookState
from openmm._fast.checks import Reason, RiskState
from openmm._fast.orders import Lane, OrderEvent, OrderState
from openmm._fast.pipeline import Decision, Frames
from openmm._fast.ports import Decoded, MemoryTransport
from openmm._fast.quotes import QuoteClamp
from openmm._fast.reference import SourceVerdict
from openmm._fast.signals import Want
from openmm._fast.tape import Record, Tape, TapeReader
from openmm._fast.units import BookSide, Side
from openmm.strategy.grid import GridStrategy
from openmm.testing.canonical import REQUOTE_UTICKS, CanonicalBot, frames_of, make_bot
from openmm.testing.workload import WorkloadSpec, make
from openmm.venues.kraken.encode import KrakenEncoder
from tests.oracles import quotes as oracle

WORK = make(WorkloadSpec(messages=3_000))
MS = 1_000_000
WARM_NS = 1_000_000_000
# The estimators want two samples first: the workload proper begins a second after its snapshot.
TIMES = [ns + WARM_NS for ns in WORK.recv_ns]


def warmed(**options: object) -> CanonicalBot:
    """A bot that has seen the opening snapshot often enough to quote at the next frame."""
    bot = make_bot(requote_uticks=options.pop("requote_uticks", REQUOTE_UTICKS), **options)  # type: ignore[arg-type]
    bot.pipeline.quoting = False
    for at in range(3):
        bot.pipeline.on_frame(bot.feed, WORK.frames[0], WORK.recv_ns[0] + at * 300 * MS)
    bot.pipeline.quoting = True
    bot.pipeline.mark_dirty()
    return bot


def quoting(**options: object) -> tuple[CanonicalBot, MemoryTransport]:
    """A bot that has placed its first ladder, every order acknowledged."""
    transport = MemoryTransport()
    bot = warmed(transport=transport, **options)
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0])
    accept(bot, TIMES[0])
    return bot, transport


def later() -> Frames:
    return Frames(WORK.frames, TIMES)


def accept(bot: CanonicalBot, now_ns: int) -> None:
    table = bot.pipeline.table
    for order in table.live():
        if order.state is OrderState.PENDING_NEW:
            table.event(order.seq, OrderEvent.EV_ACKED, now_ns)
        elif order.state is OrderState.PENDING_AMEND:
            table.event(order.seq, OrderEvent.EV_AMENDED, now_ns)
        elif order.state is OrderState.PENDING_CANCEL:
            table.event(order.seq, OrderEvent.EV_CANCELLED, now_ns)


def records(bot: CanonicalBot, kind: Record) -> list[bytes]:
    return [payload for _, k, _, _, payload in bot.pipeline.tape.records() if k == kind]


def cancels(messages: list[bytes]) -> list[str]:
    ids: list[str] = []
    for message in messages:
        body = orjson.loads(message)
        if body["method"] in ("cancel_order", "batch_cancel"):
            ids += body["params"]["cl_ord_id"]
    return ids


def test_first_verified_book_places_a_whole_ladder_in_one_write() -> None:
    bot, transport = quoting()
    assert transport.write_count == 1
    bodies = [orjson.loads(message) for message in transport.take()]
    orders = [order for body in bodies for order in body["params"].get("orders", [body["params"]])]
    assert sum(order["side"] == "buy" for order in orders) == 10
    assert sum(order["side"] == "sell" for order in orders) == 10
    assert all(order["post_only"] is True for order in orders)
    assert bot.pipeline.last_decision is Decision.DECISION_SENT
    assert bot.pipeline.table.live_count == 20


def test_nothing_is_placed_before_every_input_is_known() -> None:
    bot = warmed(transport=MemoryTransport(), inputs_known=False)
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0])
    assert bot.pipeline.last_decision is Decision.DECISION_WITHDRAWN
    assert bot.pipeline.sent_count == 0


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ({"risk_state": RiskState.RISK_UNDECIDED}, Reason.STATE),
        ({"risk_state": RiskState.PAUSED}, Reason.STATE),
        ({"drawdown_breached": True}, Reason.DRAWDOWN),
        ({"fills_last_minute": 1_001}, Reason.FILL_BRAKE),
        ({"clock_offset_ns": 3_000_000_000}, Reason.CLOCK_SKEW),
    ],
)
def test_input_that_refuses_lets_no_order_out(missing: dict[str, object], reason: Reason) -> None:
    transport = MemoryTransport()
    bot = warmed(transport=transport)
    bot.pipeline.set_inputs(**missing)  # type: ignore[arg-type]
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0])
    assert bot.pipeline.last_decision is Decision.DECISION_WITHDRAWN
    assert transport.take() == []
    assert bot.pipeline.checks.refusals()[reason] == 1
    refusals = [journal.read_refusal(payload) for payload in records(bot, Record.REC_REFUSAL)]
    assert {refusal.reason for refusal in refusals} == {reason}


def test_same_refusal_is_journalled_once_not_every_tick() -> None:
    bot = warmed(transport=MemoryTransport())
    bot.pipeline.set_inputs(drawdown_breached=True)
    for at in range(5):
        bot.pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0] + at * MS)
        bot.pipeline.mark_dirty()
    assert len(records(bot, Record.REC_REFUSAL)) == 1


@pytest.mark.parametrize(
    "brake",
    [
        {"fills_last_minute": 1_001}, {"clock_offset_ns": 3_000_000_000},
        {"drawdown_breached": True}, {"stream_live": False}, {"instrument_online": False},
    ],
    ids=str,
)  # fmt: skip
def test_brake_takes_away_what_rests(brake: dict[str, object]) -> None:
    bot, transport = quoting()
    transport.take()
    bot.pipeline.set_inputs(**brake)  # type: ignore[arg-type]
    bot.pipeline.on_frame(bot.feed, WORK.frames[1], TIMES[1])
    assert bot.pipeline.last_decision is Decision.DECISION_WITHDRAWN
    assert len(cancels(transport.take())) == 20


def test_limit_tightened_cancels_from_the_outside_until_it_holds() -> None:
    bot, transport = quoting()
    transport.take()
    table, checks = bot.pipeline.table, bot.pipeline.checks
    q_lots = bot.pipeline.inventory.q_lots
    assert q_lots is not None
    bids = sorted((o.price_ticks for o in table.live() if o.side == Side.BUY), reverse=True)
    most = table.totals().buy_lots + q_lots
    checks.tighten(inventory_lots_max=most // 2)
    bot.pipeline.mark_dirty()
    bot.pipeline.on_frame(bot.feed, WORK.frames[1], TIMES[1])
    encoder = bot.pipeline.encoder
    assert isinstance(encoder, KrakenEncoder)
    gone = {encoder.seq_of(one) for one in cancels(transport.take())}
    left = [o for o in table.live() if o.side == Side.BUY and o.seq not in gone]
    assert sum(o.qty_lots for o in left) + q_lots <= most // 2
    assert sorted((o.price_ticks for o in left), reverse=True) == bids[: len(left)]
    assert len(left) >= 3


def test_halt_cancels_orders_in_doubt_and_asks_again_ever_later() -> None:
    bot, transport = quoting()
    transport.take()
    table = bot.pipeline.table
    for order in table.live()[:10]:
        table.event(order.seq, OrderEvent.EV_TIMEOUT, TIMES[0])
    bot.pipeline.quoting = False
    assert bot.pipeline.withdraw(TIMES[1]) == 20
    assert bot.pipeline.withdraw(TIMES[1] + MS) == 0
    for order in table.live():
        table.event(order.seq, OrderEvent.EV_TIMEOUT, TIMES[1] + 5_000 * MS)
    assert bot.pipeline.withdraw(TIMES[1] + 5_001 * MS) == 20
    for order in table.live():
        table.event(order.seq, OrderEvent.EV_TIMEOUT, TIMES[1] + 6_000 * MS)
    assert bot.pipeline.withdraw(TIMES[1] + 6_900 * MS) == 0
    assert bot.pipeline.withdraw(TIMES[1] + 7_001 * MS) == 20


def test_late_news_is_old_news() -> None:
    bot, transport = quoting(lag_counts=True)
    transport.take()
    bot.pipeline.on_frame(bot.feed, WORK.frames[1], WORK.recv_ns[1] + 70_000 * MS)
    assert bot.feed.lag_ns >= 69_000 * MS
    assert bot.pipeline.reference.source(0)[2] is SourceVerdict.SOURCE_STALE
    assert bot.pipeline.last_decision is Decision.DECISION_WITHDRAWN
    assert len(cancels(transport.take())) == 20


def test_trade_through_our_best_price_waits_for_news_of_the_book() -> None:
    bot, _ = quoting()
    bid = bot.book.best_bid_ticks
    assert bid is not None
    price = bot.instrument.price(bid - 100)
    trade = (
        b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":'
        + str(price).encode() + b',"qty":0.01,"ord_type":"market","trade_id":1,'
        b'"timestamp":"2026-08-02T00:00:00.000000Z"}]}'
    )  # fmt: skip
    bot.pipeline.on_frame(bot.feed, trade, TIMES[1])
    assert bot.feed.through_ns == TIMES[1]
    bot.pipeline.on_frame(bot.feed, WORK.frames[1], TIMES[1])
    assert bot.feed.through_ns == 0


def test_wrong_checksum_cancels_every_quote_in_the_same_step() -> None:
    bot, transport = quoting()
    transport.take()
    broken = WORK.frames[1].replace(b'"checksum":', b'"checksum":1')
    decoded = bot.pipeline.on_frame(bot.feed, broken, TIMES[1])
    assert decoded is Decoded.DECODED_BROKEN
    assert bot.book.state is BookState.BOOK_BROKEN
    assert bot.book.break_reason is BookBreak.BREAK_CHECKSUM
    assert bot.pipeline.last_decision is Decision.DECISION_WITHDRAWN
    assert len(cancels(transport.take())) == 20
    books = [journal.read_book(payload) for payload in records(bot, Record.REC_BOOK)]
    assert [book.state for book in books] == [BookState.BOOK_VERIFIED, BookState.BOOK_BROKEN]


def test_broken_book_is_not_quoted_from_until_its_snapshot() -> None:
    bot, transport = quoting()
    bot.pipeline.on_frame(
        bot.feed, WORK.frames[1].replace(b'"checksum":', b'"checksum":1'), TIMES[1]
    )
    accept(bot, TIMES[1])
    transport.take()
    for at in range(2, 20):
        bot.pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
    assert transport.take() == []
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[20])
    assert bot.book.state is BookState.BOOK_VERIFIED
    assert bot.pipeline.last_decision is Decision.DECISION_SENT


def snapshot(bid_points: int, ask_points: int, bid_qty: float = 5.0, ask_qty: float = 5.0) -> bytes:
    """A book of one level a side; prices in tenths. For bots that verify no checksum."""
    sides = (("bids", bid_points, bid_qty), ("asks", ask_points, ask_qty))
    levels = {side: [{"price": at / 10, "qty": qty}] for side, at, qty in sides}
    data = [{"symbol": "BTC/USD", **levels, "checksum": 0}]
    return orjson.dumps({"channel": "book", "type": "snapshot", "data": data})


LEANS = {
    "micro_weight_ppm": 0, "micro_cap_ppm": 1_000, "imbalance_full_ppm": 0, "ofi_full_ppm": 0,
    "compression_full_ppm": 0,
}  # fmt: skip


def leaning(wanted: int, **leans: int) -> CanonicalBot:
    """A bot whose book stands at 59,999.9 / 60,000.1, five a side; its ladder is out."""
    bot = make_bot(verify=False)
    strategy = bot.pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    strategy.params = replace(strategy.params, **(LEANS | leans))
    bot.feed.signals.set_wanted(wanted)
    bot.pipeline.set_leans(LEANS | leans)
    for at in range(5):
        # It moves a little, so that what comes is no jump.
        moved = 3 * (at % 2)
        frame = snapshot(599_999 + moved, 600_001 + moved)
        bot.pipeline.on_frame(bot.feed, frame, WARM_NS + at * 300 * MS)
        accept(bot, 2 * WARM_NS)
    assert bot.pipeline.table.live_count == 20
    return bot


@pytest.mark.parametrize(
    ("wanted", "leans", "part"),
    [
        (Want.WANT_MICRO, {"micro_weight_ppm": 2_000_000}, "micro_uticks"),
        (Want.WANT_IMBALANCE, {"imbalance_full_ppm": 100}, "imbalance_uticks"),
        (Want.WANT_OFI, {"ofi_full_ppm": 100}, "ofi_uticks"),
    ],
)
def test_signal_moves_the_quotes_though_no_price_moved(
    wanted: int, leans: dict[str, int], part: str
) -> None:
    still, bot = leaning(wanted), leaning(wanted, **leans)
    for one in (still, bot):
        one.pipeline.on_frame(one.feed, snapshot(599_999, 600_001, 20.0, 5.0), 3 * WARM_NS)
    assert still.pipeline.last_decision is Decision.DECISION_SKIPPED
    assert bot.pipeline.last_decision is Decision.DECISION_SENT
    assert bot.pipeline.ladder_parts()[part] > 0
    record = journal.read_ladder(records(bot, Record.REC_LADDER)[-1])
    signals = bot.feed.signals
    assert (record.view.micro_ppm, record.view.imbalance_ppm, record.view.ofi_ppm) == (
        signals.micro_ppm, signals.imbalance_ppm, signals.ofi_ppm,
    )  # fmt: skip
    assert getattr(record.parts, part) == bot.pipeline.ladder_parts()[part]


def test_signal_that_no_weight_follows_moves_nothing() -> None:
    quiet, watching = leaning(0), leaning(Want.WANT_MICRO | Want.WANT_IMBALANCE | Want.WANT_OFI)
    for bot in (quiet, watching):
        for qty in (20.0, 1.0, 80.0):
            bot.pipeline.on_frame(bot.feed, snapshot(599_999, 600_001, qty, 5.0), 3 * WARM_NS)
        bot.pipeline.requote(3 * WARM_NS)
    assert watching.feed.signals.ofi_ppm != 0
    assert quiet.pipeline.ladder_levels() == watching.pipeline.ladder_levels()
    assert quiet.pipeline.skipped_count == watching.pipeline.skipped_count


def test_our_own_orders_lean_us_nowhere() -> None:
    """The ladder's own levels come into the book: all is as if they had not."""
    bot, twin = (leaning(Want.WANT_OFI, ofi_full_ppm=100) for _ in range(2))
    ours: dict[str, dict[float, float]] = {"bids": {59_999.9: 5.0}, "asks": {60_000.1: 5.0}}
    for order in bot.pipeline.table.live():
        side = "bids" if order.side == Side.BUY else "asks"
        price = order.price_ticks / 10
        ours[side][price] = ours[side].get(price, 0.0) + order.qty_lots / 1e8
    levels = {
        side: [
            {"price": price, "qty": round(rows[price], 8)}
            for price in sorted(rows, reverse=side == "bids")
        ]
        for side, rows in ours.items()
    }
    data = [{"symbol": "BTC/USD", **levels, "checksum": 0}]
    frame = orjson.dumps({"channel": "book", "type": "snapshot", "data": data})
    bot.pipeline.on_frame(bot.feed, frame, 3 * WARM_NS)
    twin.pipeline.on_frame(twin.feed, snapshot(599_999, 600_001), 3 * WARM_NS)
    assert len(bot.book.levels(BookSide.BID)) > 1
    assert bot.feed.signals.ofi_ppm == twin.feed.signals.ofi_ppm != 0
    assert bot.pipeline.ladder_levels() == twin.pipeline.ladder_levels()


def test_jump_past_our_quotes_widens_them_to_the_most_for_a_while() -> None:
    transport = MemoryTransport()
    bot = make_bot(transport=transport, verify=False, requote_uticks=10**9)
    times = iter(range(WARM_NS, 100 * WARM_NS, 250 * MS))
    for _ in range(4):
        bot.pipeline.on_frame(bot.feed, snapshot(599_999, 600_001), next(times))
    bot.pipeline.requote(2 * WARM_NS)
    accept(bot, 2 * WARM_NS)
    assert bot.pipeline.table.live_count == 20
    calm = bot.pipeline.ladder_parts()
    # 20 ticks: no more than a requote is worth, within our own half-spread of 72.
    bot.pipeline.on_frame(bot.feed, snapshot(600_019, 600_021), next(times))
    assert bot.feed.signals.jump
    assert bot.pipeline.ladder_parts()["clamps"] & QuoteClamp.CLAMP_JUMP == 0
    accept(bot, 2 * WARM_NS)
    transport.take()
    # 200 ticks, past our asks: still no more than the requote threshold, yet everything moves.
    bot.pipeline.on_frame(bot.feed, snapshot(600_219, 600_221), next(times))
    assert bot.pipeline.last_decision is Decision.DECISION_SENT
    wide = bot.pipeline.ladder_parts()
    assert wide["clamps"] & QuoteClamp.CLAMP_JUMP
    assert wide["half_uticks"] == 600_220 * 2_000 > 10 * calm["half_uticks"]
    accept(bot, 100 * WARM_NS)
    for _ in range(3):
        bot.pipeline.on_frame(bot.feed, snapshot(600_219, 600_221), next(times))
        assert bot.pipeline.ladder_parts()["half_uticks"] == wide["half_uticks"]
    bot.pipeline.on_frame(bot.feed, snapshot(600_219, 600_221), next(times))
    assert bot.pipeline.last_decision is Decision.DECISION_SENT
    assert bot.pipeline.ladder_parts()["half_uticks"] < wide["half_uticks"]


def test_frames_of_one_read_are_decided_once() -> None:
    bot, _ = quoting()
    before = bot.pipeline.decision_count
    for at in range(1, 10):
        bot.pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[1], at == 9)
    assert bot.pipeline.decision_count == before + 1


def test_tick_that_moves_nothing_is_skipped() -> None:
    bot, transport = quoting(requote_uticks=10**15)
    transport.take()
    bot.pipeline.requote(TIMES[0])
    accept(bot, TIMES[0])
    for at in range(1, 200):
        bot.pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
    assert bot.pipeline.skipped_count >= 100
    assert bot.pipeline.last_decision is Decision.DECISION_SKIPPED


def test_pending_orders_are_left_alone() -> None:
    transport = MemoryTransport()
    bot = warmed(transport=transport)
    for at in range(300):
        bot.pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
    # Nobody answered: nothing may be sent on top of what is unanswered.
    assert transport.write_count == 1
    assert bot.pipeline.table.pending_count == 20


def test_halted_bot_cancels_and_stays_silent() -> None:
    bot, transport = quoting()
    transport.take()
    bot.pipeline.quoting = False
    bot.pipeline.set_inputs(risk_state=RiskState.HALTED)
    assert bot.pipeline.withdraw(TIMES[1]) == 20
    assert len(cancels(transport.take())) == 20
    accept(bot, TIMES[1])
    for at in range(1, 50):
        bot.pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
    assert transport.take() == []


def test_full_tape_stops_quoting_but_cancels_still_leave(tmp_path) -> None:  # type: ignore[no-untyped-def]
    tape = Tape(tmp_path / "tape", size_bytes=1 << 16, session_id="full")
    transport = MemoryTransport()
    bot = warmed(transport=transport, tape=tape)
    at = live = 0
    sent: list[bytes] = []
    while not tape.full:
        live = bot.pipeline.table.live_count
        bot.pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
        sent = transport.take()
        if not tape.full:
            accept(bot, TIMES[at])
        at += 1
    # The frame that found the tape full found the quotes withdrawn as well.
    assert len(cancels(sent)) == live > 0
    assert all(b"cancel" in message for message in sent)
    for order in bot.pipeline.table.live():
        bot.pipeline.table.event(order.seq, OrderEvent.EV_CANCELLED, TIMES[at])
    bot.pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
    assert transport.take() == []
    assert bot.pipeline.lost_record_count > 0


def test_every_order_is_on_the_tape_before_its_bytes() -> None:
    bot, transport = quoting()
    bot.pipeline.run(bot.feed, later(), 1, accept=True)
    sent = 0
    intents: set[int] = set()
    for _, kind, _, _, payload in bot.pipeline.tape.records():
        if kind == Record.REC_INTENT:
            intents.add(journal.read_intent(payload).action.seq)
        elif kind == Record.REC_ORDER_BYTES:
            sent += 1
            assert b'"token":"****' in payload
            assert b"TTTT" not in payload
    assert intents
    assert sent == bot.pipeline.message_count
    assert transport.sent


def test_journalled_ladders_equal_the_oracle_of_the_grid() -> None:
    bot, _ = quoting()
    bot.pipeline.run(bot.feed, later(), 1, accept=True)
    spec = {
        name: bot.instrument.spec()[name]
        for name in ("qty_lots_min", "qty_lots_max", "notional_ticklots_min")
    }
    params = bot.pipeline.strategy.params.fields()  # type: ignore[attr-defined]
    seen = 0
    for payload in records(bot, Record.REC_LADDER):
        record = journal.read_ladder(payload)
        wanted = oracle.ladder(record.view._asdict(), params, spec, record.one_sided_before)
        assert [tuple(level) for level in wanted["bids"]] == list(record.bids)
        assert [tuple(level) for level in wanted["asks"]] == list(record.asks)
        seen += 1
    assert seen > 50


def test_same_frames_give_the_same_order_bytes() -> None:
    def order_bytes() -> list[bytes]:
        bot, transport = quoting()
        bot.pipeline.run(bot.feed, later(), 1, accept=True)
        return transport.take()

    first = order_bytes()
    assert len(first) > 50
    assert first == order_bytes()


def test_second_feed_moves_the_reference_and_its_silence_ends_it() -> None:
    from openmm._fast.book import Book
    from openmm._fast.pipeline import Feed
    from openmm._fast.signals import Signals
    from openmm.venues.kraken.wire import KrakenDecoder

    bot, _ = quoting()
    reference = bot.pipeline.reference
    reference.add_source(age_ns_max=100 * MS, spread_ppm_max=10_000)
    book, decoder = Book(), KrakenDecoder()
    instrument = bot.instrument
    decoder.bind(
        instrument.name, 0, book, instrument.tick_points, instrument.price_decimals,
        instrument.lot_points, instrument.qty_decimals, 25, True,
    )  # fmt: skip
    other = Feed(decoder, book, Signals(), 1)
    bot.pipeline.on_frame(other, WORK.frames[0], TIMES[1])
    assert reference.used_count == 2
    bot.pipeline.on_frame(bot.feed, WORK.frames[1], TIMES[1] + 200 * MS)
    assert reference.used_count == 1


def test_receive_time_that_goes_back_is_refused() -> None:
    bot, _ = quoting()
    with pytest.raises(ValueError, match="receive time goes back"):
        bot.pipeline.on_frame(bot.feed, WORK.frames[1], TIMES[0] - 1)


def test_empty_frame_is_refused() -> None:
    bot = make_bot()
    with pytest.raises(ValueError, match="an empty frame"):
        bot.pipeline.on_frame(bot.feed, b"", TIMES[0])


def test_frames_and_times_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1 frames but 0 receive times"):
        Frames([b"{}"], [])


def test_run_refuses_a_span_outside_the_frames() -> None:
    bot = make_bot()
    with pytest.raises(ValueError, match="frames"):
        bot.pipeline.run(bot.feed, later(), 0, len(WORK.frames) + 1)


def test_pipeline_refuses_a_feed_that_is_not_quoted() -> None:
    bot = make_bot()
    from openmm._fast.pipeline import Feed, Pipeline

    with pytest.raises(ValueError, match="must be the quoted one"):
        Pipeline(
            Feed(bot.decoder, bot.book, bot.feed.signals, 1), bot.pipeline.reference,
            bot.pipeline.strategy, bot.pipeline.planner, bot.pipeline.checks, bot.pipeline.table,
            bot.pipeline.inventory, bot.pipeline.encoder, bot.pipeline.transport,
            bot.pipeline.tape, bot.pipeline.latency,
        )  # fmt: skip


def test_hot_run_makes_no_collection() -> None:
    bot = make_bot()
    frames = frames_of(make(WorkloadSpec(messages=5_000)))
    bot.pipeline.run(bot.feed, frames, 0, 1_000, accept=True)
    gc.collect()
    before = [generation["collections"] for generation in gc.get_stats()]
    bot.pipeline.run(bot.feed, frames, 1_000, accept=True)
    assert [generation["collections"] for generation in gc.get_stats()] == before


def test_scarce_budget_spares_moves_that_are_not_worth_it() -> None:
    plenty, _ = quoting()
    plenty.pipeline.run(plenty.feed, later(), 1, accept=True)
    scarce, _ = quoting(rate_threshold_milli=100_000)
    scarce.pipeline.run(scarce.feed, later(), 1, accept=True)
    assert plenty.pipeline.spared_count == 0
    assert scarce.pipeline.spared_count > 0
    assert scarce.pipeline.amended_count < plenty.pipeline.amended_count
    assert scarce.pipeline.checks.budget.level_milli <= 100_000


def test_quote_that_may_not_move_is_taken_away_when_the_market_leaves_it() -> None:
    bot, transport = quoting()
    transport.take()
    # The fill brake refuses every amend; the market moves on.
    bot.pipeline.set_inputs(fills_last_minute=1_000_000)
    bot.pipeline.run(bot.feed, later(), 1)
    assert bot.pipeline.amended_count == 0
    assert cancels(transport.take())


def bids_of(bot: CanonicalBot) -> list[int]:
    """The bids that are live, best first."""
    live = bot.pipeline.table.live()
    return sorted((one.price_ticks for one in live if one.side == Side.BUY), reverse=True)


def refuse_bids(bot: CanonicalBot, now_ns: int) -> None:
    """Answer every bid as a venue whose book is ahead of ours: it would take."""
    for order in bot.pipeline.table.live():
        if order.side == Side.BUY:
            bot.pipeline.note_taking(Side.BUY, order.price_ticks, order.acted_ns, now_ns)
            bot.pipeline.table.event(order.seq, OrderEvent.EV_REJECTED, now_ns)
            bot.pipeline.table.release(order.seq)


def test_price_refused_as_taking_is_left_until_time_and_news() -> None:
    bot = warmed()
    now_ns = TIMES[0]
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], now_ns)
    bids = bids_of(bot)
    refuse_bids(bot, now_ns)
    # News alone is not enough, nor is time alone.
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], now_ns + 19 * MS)
    assert bids_of(bot) == []
    bot.pipeline.note_taking(Side.BUY, bids[0], now_ns, now_ns + 19 * MS)
    bot.pipeline.requote(now_ns + 60 * MS)
    assert bids_of(bot) == []
    assert bot.pipeline.shut_count >= 2 * len(bids)
    assert bot.pipeline.table.live_count == 10, "the asks rest on"
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], now_ns + 61 * MS)
    assert bids_of(bot) == bids


def test_prices_behind_the_refused_one_are_quoted_on() -> None:
    bot = warmed()
    now_ns = TIMES[0]
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], now_ns)
    bids = bids_of(bot)
    for order in bot.pipeline.table.live():
        if order.side == Side.BUY and order.price_ticks >= bids[1]:
            bot.pipeline.note_taking(Side.BUY, order.price_ticks, order.acted_ns, now_ns)
        if order.side == Side.BUY:
            bot.pipeline.table.event(order.seq, OrderEvent.EV_REJECTED, now_ns)
            bot.pipeline.table.release(order.seq)
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], now_ns + MS)
    assert bids_of(bot) == bids[2:]


def test_refused_again_a_price_is_left_twice_as_long_up_to_seconds() -> None:
    bot = warmed()
    now_ns = TIMES[0]
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], now_ns)
    waits = []
    for _ in range(11):
        refuse_bids(bot, now_ns)
        refused_ns = now_ns
        while not bids_of(bot):
            now_ns += 5 * MS
            bot.pipeline.on_frame(bot.feed, WORK.frames[0], now_ns)
        waits.append((now_ns - refused_ns) // MS)
    assert waits == [20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 5120, 5120]
    # Long without a refusal: the next one is the first again.
    now_ns += 6_000 * MS
    refuse_bids(bot, now_ns)
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], now_ns + 20 * MS)
    assert bids_of(bot)


@pytest.mark.parametrize(("side", "price_ticks"), [(0, 5), (3, 5), (1, 0), (2, -1)])
def test_note_of_no_orders_side_or_price_is_refused(side: int, price_ticks: int) -> None:
    with pytest.raises(ValueError, match="not an order's side and price"):
        make_bot().pipeline.note_taking(side, price_ticks, 1, 1)


def test_order_by_hand_goes_through_the_checks_and_stands_on_the_tape_first(
    tmp_path: Path,
) -> None:
    tape = Tape(tmp_path / "tape", size_bytes=1 << 20, session_id="hand")
    bot, transport = quoting(tape=tape)
    transport.take()
    pipeline, now_ns = bot.pipeline, TIMES[0]
    best = bot.book.best_bid_ticks
    assert best is not None
    seq = pipeline.place_by_hand(Side.BUY, Lane.LANE_HAND, best - 900, 1_000_000, now_ns)
    assert seq
    (message,) = transport.take()
    assert b"add_order" in message
    assert b'"post_only":true' in message
    reader = TapeReader(tmp_path / "tape")
    kinds = [Record(one[1]) for one in reader.read(4096)]
    assert kinds[-4:] == [
        Record.REC_INTENT, Record.REC_ORDER_BYTES, Record.REC_WRITE_RESULT, Record.REC_STAMPS,
    ]  # fmt: skip
    # A ladder's decision leaves it where it is, and a withdrawal does not.
    accept(bot, now_ns)
    pipeline.requote(now_ns)
    order = pipeline.table.get(seq)
    assert order is not None
    assert (order.state, order.price_ticks) == (OrderState.OPEN, best - 900)
    assert pipeline.amend_by_hand(seq, best - 800, 1_000_000, now_ns)
    pipeline.table.event(seq, OrderEvent.EV_AMENDED, now_ns)
    assert pipeline.cancel_by_hand([seq, seq, 12345], now_ns) == 1
    assert pipeline.withdraw(now_ns) == pipeline.table.ladder_count
    tape.close()


@pytest.mark.parametrize(
    ("qty_lots", "away", "reason"),
    [
        (10**12, 900, Reason.ORDER_SIZE_MAX),
        (1, 900, Reason.ORDER_SIZE_MIN),
        (1_000_000, -10_000, Reason.POST_ONLY_CROSS),
        (1_000_000, 500_000, Reason.PRICE_COLLAR),
    ],
)
def test_order_by_hand_that_a_check_refuses_leaves_nothing(
    qty_lots: int, away: int, reason: Reason
) -> None:
    bot, transport = quoting()
    transport.take()
    before = bot.pipeline.table.totals()
    best = bot.book.best_bid_ticks
    assert best is not None
    placed = bot.pipeline.place_by_hand(Side.BUY, Lane.LANE_HAND, best - away, qty_lots, TIMES[0])
    assert placed == 0
    assert bot.pipeline.last_decision is Decision.DECISION_REFUSED
    assert bot.pipeline.checks.last_reason is reason
    assert bot.pipeline.table.totals() == before
    assert transport.take() == []


def test_nothing_by_hand_while_nothing_is_quoted_but_cancels() -> None:
    bot, transport = quoting()
    transport.take()
    bot.pipeline.quoting = False
    best = bot.book.best_bid_ticks
    assert best is not None
    placed = bot.pipeline.place_by_hand(Side.BUY, Lane.LANE_HAND, best - 900, 1_000_000, TIMES[0])
    assert placed == 0
    assert bot.pipeline.checks.last_reason is Reason.STATE
    first = bot.pipeline.table.live()[0]
    assert not bot.pipeline.amend_by_hand(first.seq, 1, 1, TIMES[0])
    assert bot.pipeline.cancel_by_hand([first.seq], TIMES[0]) == 1
    with pytest.raises(ValueError, match="beside the ladder"):
        bot.pipeline.place_by_hand(Side.BUY, 0, best - 900, 1_000_000, TIMES[0])


def test_price_refused_as_taking_is_refused_by_hand_too() -> None:
    bot, _ = quoting()
    best = bot.book.best_bid_ticks
    assert best is not None
    bot.pipeline.note_taking(Side.BUY, best - 900, TIMES[0], TIMES[0] + 1)
    placed = bot.pipeline.place_by_hand(
        Side.BUY, Lane.LANE_HAND, best - 900, 1_000_000, TIMES[0] + 2
    )
    assert placed == 0
    assert bot.pipeline.checks.last_reason is Reason.POST_ONLY_CROSS
    assert bot.pipeline.checks.last_limit == best - 900
