"""The market data decoder: recorded frames, the rules, bad input, and its oracle."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.ports import Decoded, TradeLog
from openmm._fast.units import BookSide, Side
from openmm.venues.gateio.wire import GateioDecoder
from tests.oracles.gateio import OracleBook
from tests.venues.gateio.samples import load, messages

BID, ASK = int(BookSide.BID), int(BookSide.ASK)
PAIR = "BTC_USDT"
Level = tuple[str, str]
Made = tuple[GateioDecoder, Book]


def make(depth: int = 100, price_decimals: int = 2, qty_decimals: int = 8, **steps: int) -> Made:
    decoder, book = GateioDecoder(), Book()
    decoder.bind(
        PAIR,
        7,
        book,
        steps.get("tick", 1),
        price_decimals,
        steps.get("lot", 1),
        qty_decimals,
        depth,
    )
    return decoder, book


def usable(book: Book) -> bool:
    return book.state is BookState.BOOK_VERIFIED


def update(
    first: int, last: int, bids: list[Level], asks: list[Level], pair: str = PAIR, **more: object
) -> bytes:
    result = {
        "t": 1606294781123,
        **more,
        "l": "100",
        "e": "depthUpdate",
        "E": 1606294781,
        "s": pair,
    }
    result |= {"U": first, "u": last, "b": bids, "a": asks}
    return dump(
        {"time": 1, "channel": "spot.order_book_update", "event": "update", "result": result}
    )


def obu(
    last: int, bids: list[Level], asks: list[Level], first: int = 0, full: bool = False,
    stream: str = f"ob.{PAIR}.50",
) -> bytes:  # fmt: skip
    result: dict[str, object] = {"t": 1747054612695}
    if full:
        result["full"] = True
    result["s"] = stream
    if not full:
        result["U"] = first
    result |= {"u": last, "b": bids, "a": asks}
    return dump({"channel": "spot.obu", "result": result, "time_ms": 1, "event": "update"})


def rest(last: int, bids: list[Level], asks: list[Level], pair: str = PAIR) -> bytes:
    result = {"id": last, "current": 1623898993123, "update": 1623898993121}
    return dump({
        "channel": "rest.order_book", "s": pair, "result": result | {"asks": asks, "bids": bids},
    })  # fmt: skip


def dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def levels(book: Book) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    return book.levels(BID, 1000), book.levels(ASK, 1000)


BIDS, ASKS = [("10.00", "1"), ("9.99", "2")], [("10.01", "3"), ("10.02", "4")]


# --- recordings


@pytest.mark.parametrize("pair", ["DIS_USDT", "FAST_USDT", "HAI_ETH", "INK_USDT"])
def test_recorded_book_joins_its_snapshot_and_equals_the_oracle(shared: Path, pair: str) -> None:
    body = load(shared, f"capture_book_{pair}")
    decimals = {
        one["id"]: (one["precision"], one["amount_precision"])
        for one in load(shared, "capture_currency_pairs_2021")["pairs"]
    }[pair]
    book, decoder, oracle = Book(), GateioDecoder(), OracleBook(pair, 100)
    decoder.bind(pair, 0, book, 1, decimals[0], 1, 8, 100)
    copy = (b'{"channel":"rest.order_book","s":"%b","result":%b}'
            % (pair.encode(), dump(body["rest_snapshot"])))  # fmt: skip
    frames = [(one["recv_unix_s"], one["raw"].encode()) for one in body["ws_frames"]]
    frames.append((body["rest_received_at_unix_s"], copy))
    for _, frame in sorted(frames, key=lambda one: one[0]):
        decoder.decode(frame, 1)
        oracle.feed(frame)
        assert usable(book) == oracle.usable
        if usable(book):
            assert_same(book, oracle, decimals[0], 8)
    assert usable(book)
    assert decoder.counters["gaps"] == 0
    assert decoder.state(pair)[0] == oracle.last_id


def test_the_sheets_worked_example_drops_and_applies_as_it_says(shared: Path) -> None:
    body = load(shared, "capture_book_HAI_ETH")
    decoder, book = GateioDecoder(), Book()
    decoder.bind("HAI_ETH", 0, book, 1, 8, 1, 8, 100)
    for one in body["ws_frames"]:
        assert decoder.decode(one["raw"].encode(), 1) is Decoded.DECODED_IGNORED
    copy = b'{"channel":"rest.order_book","s":"HAI_ETH","result":%b}' % dump(body["rest_snapshot"])
    assert decoder.decode(copy, 1) is Decoded.DECODED_BOOK
    # Ids 2691446 is contained; ..48, ..52, ..53, ..54 and ..56 follow.
    assert decoder.state("HAI_ETH") == (2691456, 0, 1)
    assert decoder.counters["dropped"] == 1
    assert decoder.counters["book_updates"] == 6


def assert_same(book: Book, oracle: OracleBook, price_decimals: int, qty_decimals: int) -> None:
    for side, theirs in ((BID, oracle.bids), (ASK, oracle.asks)):
        wanted = {
            int(price.scaleb(price_decimals)): int(qty.scaleb(qty_decimals))
            for price, qty in theirs.items()
        }
        assert dict(book.levels(side, 1000)) == wanted


def test_every_sample_decodes_to_its_kind(shared: Path) -> None:
    decoder, _ = make(100)
    books, _ = make(50)
    kinds = {name: decoder.decode(raw, 1) for name, raw in messages(shared).items()}
    obu_kinds = {name: books.decode(raw, 1) for name, raw in messages(shared).items()}
    assert kinds.pop("official_ws_public:order_book_update") is Decoded.DECODED_BOOK
    assert kinds.pop("official_ws_public:pong") is Decoded.DECODED_IGNORED
    assert obu_kinds["official_ws_public:obu_full"] is Decoded.DECODED_BOOK
    # The documentation's increment takes away every ask of its own full frame.
    assert obu_kinds["official_ws_public:obu_incremental"] is Decoded.DECODED_BROKEN
    for name in ("obu_full", "obu_incremental"):
        assert kinds.pop(f"official_ws_public:{name}") is Decoded.DECODED_IGNORED
    assert kinds.pop("capture_misc:obu_full_2026") is Decoded.DECODED_IGNORED
    trade = kinds.pop("official_ws_public:trade_update")
    assert trade is Decoded.DECODED_IGNORED  # of GT_USDT, not bound here
    assert set(kinds.values()) == {Decoded.DECODED_SLOW}


# --- joining a REST copy


def test_increments_wait_for_the_copy_and_are_applied_behind_it() -> None:
    decoder, book = make()
    assert decoder.decode(update(8, 9, [("10.00", "7")], [])) is Decoded.DECODED_IGNORED
    assert decoder.decode(update(10, 12, [("10.00", "8")], [])) is Decoded.DECODED_IGNORED
    assert decoder.decode(update(13, 13, [], [("10.01", "9")])) is Decoded.DECODED_IGNORED
    assert book.state is BookState.BOOK_CATCHING_UP
    assert decoder.decode(rest(9, BIDS, ASKS), 5) is Decoded.DECODED_BOOK
    assert usable(book)
    assert decoder.state(PAIR) == (13, 0, 1)
    assert book.qty_at(BID, 1000) == 8 * 10**8
    assert book.qty_at(ASK, 1001) == 9 * 10**8


def test_a_copy_in_the_middle_of_an_increment_joins_it() -> None:
    decoder, book = make()
    decoder.decode(update(5, 20, [("10.00", "8")], []))
    assert decoder.decode(rest(9, BIDS, ASKS)) is Decoded.DECODED_BOOK
    assert decoder.state(PAIR)[0] == 20
    assert usable(book)


def test_a_copy_from_before_the_first_increment_is_refused_until_a_newer_one() -> None:
    decoder, book = make()
    decoder.decode(update(11, 12, [("10.00", "8")], []))
    assert decoder.decode(rest(9, BIDS, ASKS)) is Decoded.DECODED_BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP
    assert decoder.counters["old_snapshots"] == 1
    decoder.decode(update(13, 13, [("9.98", "1")], []))
    assert decoder.decode(rest(11, BIDS, ASKS)) is Decoded.DECODED_BOOK
    assert decoder.state(PAIR) == (13, 0, 1)
    assert book.qty_at(BID, 998) == 10**8


def test_a_gap_breaks_the_book_and_the_next_copy_mends_it() -> None:
    decoder, book = make()
    decoder.decode(rest(9, BIDS, ASKS))
    assert decoder.decode(update(11, 12, [("9.98", "1")], [])) is Decoded.DECODED_BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP
    assert decoder.counters["gaps"] == 1
    assert decoder.decode(update(13, 14, [("9.97", "1")], [])) is Decoded.DECODED_IGNORED
    assert not usable(book)
    assert decoder.decode(rest(12, BIDS, ASKS)) is Decoded.DECODED_BOOK
    assert decoder.state(PAIR) == (14, 0, 2)


def test_a_gap_among_held_increments_forgets_those_before_it() -> None:
    decoder, _ = make()
    decoder.decode(update(5, 6, [("1.00", "1")], []))
    decoder.decode(update(9, 9, [("2.00", "1")], []))
    assert decoder.state(PAIR)[1] == 1
    assert decoder.decode(rest(6, BIDS, ASKS)) is Decoded.DECODED_BROKEN
    assert decoder.decode(rest(8, BIDS, ASKS)) is Decoded.DECODED_BOOK


def test_an_empty_increment_advances_the_id() -> None:
    decoder, book = make()
    decoder.decode(rest(9, BIDS, ASKS))
    assert decoder.decode(update(10, 15, [], [])) is Decoded.DECODED_BOOK
    assert decoder.decode(update(16, 16, [("9.98", "1")], [])) is Decoded.DECODED_BOOK
    assert usable(book)


def test_what_the_book_contains_is_dropped() -> None:
    decoder, book = make()
    decoder.decode(rest(9, BIDS, ASKS))
    assert decoder.decode(update(8, 9, [("10.00", "99")], [])) is Decoded.DECODED_IGNORED
    assert book.qty_at(BID, 1000) == 10**8


def test_a_full_frame_replaces_the_book_and_needs_no_copy() -> None:
    decoder, book = make()
    decoder.decode(update(5, 6, [("9.90", "1")], []))
    assert decoder.decode(update(7, 8, BIDS, ASKS, full=True)) is Decoded.DECODED_BOOK
    assert decoder.state(PAIR) == (8, 0, 1)
    assert decoder.decode(rest(20, [("1.00", "1")], [("2.00", "1")])) is Decoded.DECODED_IGNORED
    assert levels(book)[0][0] == (1000, 10**8)


def test_a_copy_without_its_id_or_an_error_body_breaks_the_wait() -> None:
    for body in (
        b'{"label":"INVALID_CURRENCY_PAIR"}',
        b'{"asks":[],"bids":[]}',
        b"<html>",
        b"null",
    ):
        decoder, book = make()
        decoder.decode(update(10, 11, [("9.98", "1")], []))
        frame = b'{"channel":"rest.order_book","s":"BTC_USDT","result":%b}' % body
        assert decoder.decode(frame) is Decoded.DECODED_BROKEN
        assert not usable(book)
        # What was held still joins a better copy.
        assert decoder.decode(rest(10, BIDS, ASKS)) is Decoded.DECODED_BOOK
        assert decoder.state(PAIR)[0] == 11


def test_held_increments_are_bounded() -> None:
    decoder, book = make()
    wide = [(f"{price}.00", "1") for price in range(1, 400)]
    last = 0
    while not decoder.counters["overflows"]:
        last += 1
        decoder.decode(update(last, last, wide, []))
        assert last < 1000
    assert decoder.decode(rest(last - 1, BIDS, [("500.00", "1")])) is Decoded.DECODED_BOOK
    assert usable(book)


def test_the_book_is_cut_to_the_depth_of_its_stream() -> None:
    decoder, book = make(20)
    many = [(f"{5 + i / 100:.2f}", "1") for i in range(30)]
    decoder.decode(rest(1, many, [("9.00", "1")]))
    assert len(levels(book)[0]) == 20
    assert levels(book)[0][0] == (529, 10**8)


# --- obu


def test_obu_follows_its_full_frame_id_by_id() -> None:
    decoder, book = make(50)
    assert decoder.decode(obu(11, [], [], first=11)) is Decoded.DECODED_IGNORED
    assert decoder.decode(obu(10, BIDS, ASKS, full=True)) is Decoded.DECODED_BOOK
    assert decoder.decode(obu(15, [("10.00", "0")], [], first=11)) is Decoded.DECODED_BOOK
    assert levels(book)[0] == [(999, 2 * 10**8)]
    assert decoder.state(PAIR)[0] == 15


@pytest.mark.parametrize(("first", "last"), [(12, 13), (10, 11), (9, 9), (5, 20)])
def test_obu_that_does_not_follow_waits_for_a_full_frame(first: int, last: int) -> None:
    decoder, book = make(50)
    decoder.decode(obu(10, BIDS, ASKS, full=True))
    assert decoder.decode(obu(last, [("9.98", "1")], [], first=first)) is Decoded.DECODED_BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP
    assert decoder.decode(obu(last + 1, [], [], first=last + 1)) is Decoded.DECODED_IGNORED
    assert decoder.decode(obu(30, BIDS, ASKS, full=True)) is Decoded.DECODED_BOOK
    assert usable(book)


def test_obu_sides_may_be_missing_or_null() -> None:
    decoder, book = make(50)
    decoder.decode(obu(10, BIDS, ASKS, full=True))
    frame = dump(
        {"channel": "spot.obu", "result": {"t": 1, "s": "ob.BTC_USDT.50", "U": 11, "u": 11}}
    )
    assert decoder.decode(frame) is Decoded.DECODED_BOOK
    frame = frame.replace(b'"U":11,"u":11', b'"U":12,"u":12,"b":null,"a":[["10.03","1"]]')
    assert decoder.decode(frame) is Decoded.DECODED_BOOK
    assert levels(book)[1][-1] == (1003, 10**8)


def test_another_depth_or_pair_of_obu_is_not_ours() -> None:
    decoder, book = make(50)
    for stream in ("ob.BTC_USDT.400", "ob.ETH_USDT.50", PAIR, ""):
        frame = obu(10, BIDS, ASKS, full=True, stream=stream)
        assert decoder.decode(frame) is Decoded.DECODED_IGNORED
    assert decoder.counters["unbound"] == 4
    assert not usable(book)


# --- any form, and none


def test_members_in_any_order_give_the_same_book() -> None:
    rng = random.Random(7)
    plain, plain_book = make()
    plain.decode(rest(9, BIDS, ASKS))
    plain.decode(update(10, 11, [("9.98", "5")], [("10.01", "0")]))
    for _ in range(50):
        decoder, book = make()
        for frame in (rest(9, BIDS, ASKS), update(10, 11, [("9.98", "5")], [("10.01", "0")])):
            decoder.decode(dump(shuffled(json.loads(frame), rng)))
        assert levels(book) == levels(plain_book)
        assert usable(book)
        assert decoder.state(PAIR) == plain.state(PAIR)


def shuffled(value: object, rng: random.Random) -> object:
    if not isinstance(value, dict):
        return value
    rows = [(name, shuffled(one, rng)) for name, one in value.items()]
    rng.shuffle(rows)
    return dict(rows)


def test_full_behind_the_levels_still_replaces() -> None:
    decoder, book = make()
    decoder.decode(rest(9, BIDS, ASKS))
    frame = update(10, 11, [("8.00", "1")], [("8.01", "1")])
    assert decoder.decode(frame[:-2] + b',"full":true}}') is Decoded.DECODED_BOOK
    assert levels(book) == ([(800, 10**8)], [(801, 10**8)])
    assert decoder.counters["again"] == 1


def test_white_space_and_bare_numbers_are_read() -> None:
    decoder, book = make()
    frame = json.dumps(json.loads(rest(9, BIDS, ASKS)), indent=1).encode()
    assert decoder.decode(frame.replace(b'"10.00"', b"10.00")) is Decoded.DECODED_BOOK
    assert levels(book)[0][0] == (1000, 10**8)


def test_a_quantity_finer_than_the_lot_stands_as_a_level() -> None:
    decoder, book = make(qty_decimals=3)
    decoder.decode(rest(9, [("10.00", "20.80412499"), ("9.99", "0.0004")], ASKS))
    assert levels(book)[0] == [(1000, 20804), (999, 1)]
    assert decoder.counters["levels_rounded"] == 2
    decoder.decode(update(10, 10, [("9.99", "0")], []))
    assert levels(book)[0] == [(1000, 20804)]


BAD = [
    ("crossed", update(10, 10, [("10.01", "1")], []), BookBreak.BREAK_CROSSED),
    ("empty", update(10, 10, [("10.00", "0"), ("9.99", "0")], []), BookBreak.BREAK_EMPTY),
    ("off tick", update(10, 10, [("9.995", "1")], []), BookBreak.BREAK_OFF_TICK),
    ("bounds", update(10, 10, [("9.98", "9" * 19)], []), BookBreak.BREAK_BOUNDS),
    ("negative", update(10, 10, [("9.98", "-1")], []), BookBreak.BREAK_PARSE),
    ("zero price", update(10, 10, [("0", "1")], []), BookBreak.BREAK_PARSE),
    ("backward", update(11, 10, [("9.98", "1")], []), BookBreak.BREAK_PARSE),
    ("no number", update(10, 10, [("x", "1")], []), BookBreak.BREAK_PARSE),
    ("cut", update(10, 10, [("9.98", "1")], [])[:-3], BookBreak.BREAK_PARSE),
    ("more behind", update(10, 10, [("9.98", "1")], []) + b"x", BookBreak.BREAK_PARSE),
    ("twice", update(10, 10, [], []).replace(b'"a":[]', b'"b":[]'), BookBreak.BREAK_PARSE),
    ("no id", update(10, 10, [], []).replace(b'"u":10,', b""), BookBreak.BREAK_PARSE),
]


@pytest.mark.parametrize(("frame", "reason"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
def test_a_bad_frame_breaks_its_book(frame: bytes, reason: BookBreak) -> None:
    decoder, book = make()
    decoder.decode(rest(9, BIDS, ASKS))
    assert decoder.decode(frame) is Decoded.DECODED_BROKEN
    assert book.state is BookState.BOOK_BROKEN
    assert book.break_reason is reason
    assert decoder.last_touched == 7


def test_a_frame_of_the_book_channel_that_names_nothing_breaks_all() -> None:
    decoder, book = make()
    decoder.decode(rest(9, BIDS, ASKS))
    assert decoder.decode(b'{"channel":"spot.order_book_update","event":"upd') is (
        Decoded.DECODED_BROKEN
    )
    assert not usable(book)
    assert decoder.last_touched == -1


def test_answers_to_subscriptions_go_to_the_slow_path_and_change_nothing() -> None:
    decoder, book = make()
    decoder.decode(rest(9, BIDS, ASKS))
    for frame in (
        b'{"time":1,"channel":"spot.order_book_update","event":"subscribe",'
        b'"result":{"status":"success"}}',
        b'{"channel":"spot.obu","event":"subscribe","payload":["ob.BTC_USDT.50"],'
        b'"error":{"code":2,"message":"Alert sub ob.BTC_USDT.50"},"result":{"status":"fail"}}',
        b'{"channel":"spot.order_book_update","event":"subscribe","error":{"code":2},"result":null}',
    ):
        assert decoder.decode(frame) is Decoded.DECODED_SLOW
    assert usable(book)


# --- trades


def trade_frame(**fields: object) -> bytes:
    result = {
        "id": 309143071, "create_time": 1606292218, "create_time_ms": "1606292218213.4578",
        "side": "sell", "currency_pair": PAIR, "amount": "16.4700000000", "price": "0.4705000000",
    }  # fmt: skip
    return dump({"channel": "spot.trades", "event": "update", "result": result | fields})


def test_a_trade_reaches_the_sink_with_the_takers_side() -> None:
    decoder, _ = make(price_decimals=4, qty_decimals=2)
    log = TradeLog(4)
    decoder.set_sink(log)
    assert decoder.decode(trade_frame()) is Decoded.DECODED_TRADE
    assert log.take() == [(7, 1606292218213457800, 4705, 1647, 309143071, Side.SELL, 0)]


def test_an_array_of_trades_is_read_too() -> None:
    decoder, _ = make(price_decimals=4, qty_decimals=2)
    one = json.loads(trade_frame())
    one["result"] = [one["result"], one["result"] | {"id": 5, "id_market": 6}]
    assert decoder.decode(dump(one)) is Decoded.DECODED_TRADE
    assert decoder.counters["trades"] == 2


@pytest.mark.parametrize("fields", [{"price": "x"}, {"amount": "-1"}, {"price": "0"}])
def test_a_trade_that_makes_no_sense_goes_to_the_slow_path(fields: dict[str, object]) -> None:
    decoder, _ = make(price_decimals=4, qty_decimals=2)
    assert decoder.decode(trade_frame(**fields)) is Decoded.DECODED_SLOW
    assert decoder.counters["parse_errors"] == 1


# --- binding


@pytest.mark.parametrize(
    "change",
    [{"venue_symbol": ""}, {"venue_symbol": "X" * 60}, {"depth": 10}, {"tick_points": 0},
     {"price_decimals": 16}, {"instrument_index": -1}],
)  # fmt: skip
def test_bad_binding_is_refused(change: dict[str, Any]) -> None:
    given_args: dict[str, Any] = {
        "venue_symbol": PAIR, "instrument_index": 0, "book": Book(), "tick_points": 1,
        "price_decimals": 2, "lot_points": 1, "qty_decimals": 8, "depth": 50,
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"."):
        GateioDecoder().bind(**(given_args | change))


def test_binding_anew_starts_anew() -> None:
    decoder, _ = make()
    decoder.decode(update(8, 9, [("10.00", "7")], []))
    fresh = Book()
    decoder.bind(PAIR, 7, fresh, 1, 2, 1, 8, 100)
    assert decoder.state(PAIR) == (0, 0, 0)
    decoder.decode(rest(9, BIDS, ASKS))
    assert usable(fresh)


# --- properties


PRICES = st.sampled_from([f"{price / 100:.2f}" for price in range(980, 1025)])
QTYS = st.sampled_from(["0", "1", "0.5", "12.00000001"])
LEVELS = st.lists(st.tuples(PRICES, QTYS), max_size=6)


@st.composite
def streams(draw: st.DrawFn, depth: int) -> list[bytes]:
    """Draw frames of one pair: increments that mostly follow, copies, full frames, gaps."""
    frames: list[bytes] = []
    at = draw(st.integers(1, 50))
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(["next"] * 6 + ["skip", "again", "copy", "full"]))
        span = draw(st.integers(1, 3))
        first = at + 1
        if kind == "skip":
            first += draw(st.integers(1, 3))
        elif kind == "again":
            first = max(1, first - draw(st.integers(1, 4)))
        last = first + span - 1
        bids, asks = draw(LEVELS), draw(LEVELS)
        if kind == "copy" and depth in (20, 100):
            copy_id = max(1, at - draw(st.integers(-2, 4)))
            frames.append(rest(copy_id, [("9.79", "1"), *bids], [("10.30", "1"), *asks]))
            continue
        full = kind in ("full", "copy")
        if full:
            bids, asks = [("9.79", "1"), *bids], [("10.30", "1"), *asks]
        if depth in (20, 100):
            frames.append(update(first, last, bids, asks, PAIR, **({"full": True} if full else {})))
        else:
            frames.append(obu(last, bids, asks, first=first, full=full))
        at = max(at, last)
    return frames


@settings(max_examples=400)
@given(st.data(), st.sampled_from([20, 50, 100, 400]))
def test_the_decoder_equals_its_oracle_on_every_stream(data: st.DataObject, depth: int) -> None:
    decoder, book = make(depth)
    oracle = OracleBook(PAIR, depth)
    for frame in data.draw(streams(depth)):
        frame = frame.replace(b"ob.BTC_USDT.50", b"ob.BTC_USDT.%d" % depth)
        decoder.decode(frame, 1)
        oracle.feed(frame)
        assert usable(book) == oracle.usable
        if oracle.usable:
            assert_same(book, oracle, 2, 8)
            assert decoder.state(PAIR)[0] == oracle.last_id
            assert max(oracle.bids) < min(oracle.asks)


@settings(max_examples=600)
@given(st.data(), st.sampled_from([50, 100]))
def test_any_bytes_give_a_result_and_no_crossed_book(data: st.DataObject, depth: int) -> None:
    decoder, book = make(depth)
    for frame in data.draw(streams(depth)):
        raw = bytearray(frame)
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(raw)))
            raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        got = decoder.decode(bytes(raw), 1)
        assert got is not Decoded.DECODED_UNDECIDED
        if usable(book):
            assert book.best_bid_ticks is not None
            assert book.best_ask_ticks is not None
            assert book.best_bid_ticks < book.best_ask_ticks


@given(st.binary(max_size=400))
def test_bytes_of_no_kind_are_for_the_slow_path(raw: bytes) -> None:
    decoder, _ = make()
    assert decoder.decode(raw) in (Decoded.DECODED_SLOW, Decoded.DECODED_BROKEN)


def test_decimal_of_oracle_is_exact() -> None:
    oracle = OracleBook(PAIR, 100)
    oracle.feed(rest(1, [("10.00", "0.1")], [("10.01", "0.2")]))
    assert oracle.bids[Decimal("10.00")] == Decimal("0.1")
