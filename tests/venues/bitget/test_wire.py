"""The market data decoder: recorded frames, the rules, bad input, and its oracle."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.ports import Decoded, TradeLog
from openmm._fast.units import BookSide, Side
from openmm.venues.bitget.wire import BitgetDecoder
from tests.oracles.bitget import OracleBook
from tests.oracles.bitget import checksum as oracle_checksum
from tests.venues.bitget.samples import cases, dump, load

BID, ASK = int(BookSide.BID), int(BookSide.ASK)
PAIR = "BTCUSDT"
Level = tuple[str, str]
Made = tuple[BitgetDecoder, Book]


def make(
    channel: str = "books",
    price_decimals: int = 2,
    qty_decimals: int = 6,
    symbol: str = PAIR,
    *,
    verify: bool = True,
    tick: int = 1,
    lot: int = 1,
) -> Made:
    decoder, book = BitgetDecoder(), Book()
    decoder.bind(symbol, 7, book, tick, price_decimals, lot, qty_decimals, channel, verify)
    return decoder, book


def push(
    action: str, bids: list[Level], asks: list[Level], seq: int | None = None,
    pseq: int | None = None, crc: int | None = None, channel: str = "books", symbol: str = PAIR,
    unified: bool = False,
) -> bytes:  # fmt: skip
    names = ("a", "b") if unified else ("asks", "bids")
    data: dict[str, object] = {names[0]: asks, names[1]: bids}
    for name, value in (("checksum", crc), ("seq", seq), ("pseq", pseq)):
        if value is not None:
            data[name] = value
    data["ts"] = "1695710946294"
    if unified:
        arg = {"instType": "spot", "symbol": symbol, "topic": channel}
        return dump({"data": [data], "arg": arg, "action": action, "ts": 1695710946297})
    arg = {"instType": "SPOT", "channel": channel, "instId": symbol}
    return dump({"action": action, "arg": arg, "data": [data], "ts": 1695710946297})


BIDS, ASKS = [("10.00", "1"), ("9.99", "2")], [("10.01", "3"), ("10.02", "4")]


def snapshot(seq: int | None = 100, **more: object) -> bytes:
    return push("snapshot", BIDS, ASKS, seq, **more)  # type: ignore[arg-type]


def update(seq: int | None, pseq: int | None = None, **more: object) -> bytes:
    return push("update", [("9.98", "5")], [], seq, pseq, **more)  # type: ignore[arg-type]


def usable(book: Book) -> bool:
    return book.state is BookState.BOOK_VERIFIED


def levels(book: Book) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    return book.levels(BID, 10_000), book.levels(ASK, 10_000)


# --- recordings and documents


def test_recorded_frames_match_their_checksums_and_the_oracle(shared: Path) -> None:
    frames = load(shared, "books_checksum_capture_STGUSDT")["frames"]
    decoder, book = make(price_decimals=3, qty_decimals=3, symbol="STGUSDT")
    oracle = OracleBook("STGUSDT")
    for frame in frames:
        raw = frame["raw"].encode()
        assert decoder.decode(raw, 5) is Decoded.DECODED_BOOK
        oracle.apply(raw)
        assert oracle.good
        assert levels(book) == oracle.levels((3, 3))
    assert decoder.counters["checksums_ok"] == len(frames) == 13


def test_a_wrong_checksum_breaks_the_book_until_the_next_snapshot(shared: Path) -> None:
    first, second, third = [
        row["raw"] for row in load(shared, "books_checksum_capture_STGUSDT")["frames"][:3]
    ]
    decoder, book = make(price_decimals=3, qty_decimals=3, symbol="STGUSDT")
    decoder.decode(first.encode())
    told = json.loads(second)["data"][0]["checksum"]
    assert decoder.decode(second.replace(str(told), str(told + 1)).encode()) is (
        Decoded.DECODED_BROKEN
    )
    assert book.break_reason is BookBreak.BREAK_CHECKSUM
    assert decoder.decode(third.encode()) is Decoded.DECODED_IGNORED
    assert decoder.decode(first.encode()) is Decoded.DECODED_BOOK
    assert usable(book)


def test_documented_books_of_both_generations_are_verified(shared: Path) -> None:
    found = [
        case["message"] for name, case in cases(shared, "ws_public_and_session_docs").items()
        if "books5 push" in name
    ]  # fmt: skip
    assert len(found) == 2
    for message in found:
        decoder, book = make("books5")
        assert decoder.decode(dump(message)) is Decoded.DECODED_BOOK
        assert usable(book)
        assert book.levels(BID, 1) == [(2627480, 900)]


def test_documented_trade_is_handed_on(shared: Path) -> None:
    message = cases(shared)["ws_public_and_session_docs:trade push"]["message"]
    decoder, log = make()[0], TradeLog(8)
    decoder.set_sink(log)
    assert decoder.decode(dump(message)) is Decoded.DECODED_TRADE
    [trade] = log.take()
    assert trade == (7, 1695709835822000000, 2629340, 1300, 1000000000, Side.BUY, 1)


@pytest.mark.parametrize("name", ["subscribe ack", "login ok", "ticker push", "books5 ack"])
def test_documented_session_messages_go_the_slow_way(shared: Path, name: str) -> None:
    message = cases(shared)[f"ws_public_and_session_docs:{name}"]["message"]
    assert make()[0].decode(dump(message)) is Decoded.DECODED_SLOW


def test_pong_is_life_and_nothing_else() -> None:
    decoder, _ = make()
    assert decoder.decode(b"pong") is Decoded.DECODED_IGNORED
    assert decoder.counters["heartbeats"] == 1


# --- sequences


@pytest.mark.parametrize("unified", [False, True])
def test_updates_chained_by_pseq_are_applied(unified: bool) -> None:
    decoder, book = make()
    decoder.decode(snapshot(100, unified=unified))
    for seq, pseq in ((105, 98), (110, 105), (111, 110)):
        assert decoder.decode(update(seq, pseq, unified=unified)) is Decoded.DECODED_BOOK
    assert usable(book)
    assert decoder.state(PAIR)[0] == 111


@pytest.mark.parametrize(
    "after", [(120, 101), (120, 0)], ids=["first lies behind the snapshot", "reset"]
)
def test_a_first_update_that_does_not_contain_the_snapshot_breaks(after: tuple[int, int]) -> None:
    decoder, book = make()
    decoder.decode(snapshot(100))
    assert decoder.decode(update(*after)) is Decoded.DECODED_BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP


@pytest.mark.parametrize("lost", [(115, 111), (115, 0), (115, None), (None, None)])
def test_a_lost_push_breaks_a_chain(lost: tuple[int | None, int | None]) -> None:
    decoder, book = make()
    for frame in (snapshot(100), update(105, 98), update(110, 105)):
        decoder.decode(frame)
    assert decoder.decode(update(*lost)) is Decoded.DECODED_BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP
    assert decoder.decode(update(120, 115)) is Decoded.DECODED_IGNORED
    assert decoder.decode(snapshot(121)) is Decoded.DECODED_BOOK


def test_a_first_update_from_before_the_snapshot_is_left_out() -> None:
    decoder, book = make()
    decoder.decode(snapshot(100))
    before = levels(book)
    assert decoder.decode(update(99, 97)) is Decoded.DECODED_IGNORED
    assert levels(book) == before
    assert decoder.decode(update(100, 99)) is Decoded.DECODED_BOOK


def test_a_repeated_or_older_push_is_left_out_but_not_for_ever() -> None:
    decoder, book = make()
    decoder.decode(snapshot(100))
    assert decoder.decode(update(101)) is Decoded.DECODED_BOOK
    for seq in (101, 100, 55):
        assert decoder.decode(update(seq)) is Decoded.DECODED_IGNORED
    assert usable(book)
    assert decoder.decode(update(56)) is Decoded.DECODED_BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP


def test_seq_is_exact_to_its_last_digit() -> None:
    decoder, _book = make()
    last = 1304314508780744705
    decoder.decode(snapshot(last))
    assert decoder.decode(update(last + 1, last)) is Decoded.DECODED_BOOK
    assert decoder.decode(update(last + 3, last + 2)) is Decoded.DECODED_BROKEN


def test_numbers_may_be_text() -> None:
    decoder, _book = make()
    first = snapshot(100).replace(b'"seq":100', b'"seq":"100","checksum":null')
    assert decoder.decode(first) is Decoded.DECODED_BOOK
    assert decoder.decode(update(105, 100).replace(b":100", b':"100"')) is Decoded.DECODED_BOOK
    assert decoder.state(PAIR)[0] == 105


def test_updates_wait_for_a_snapshot() -> None:
    decoder, book = make()
    assert decoder.decode(update(5)) is Decoded.DECODED_IGNORED
    assert not usable(book)
    assert decoder.counters["not_ready"] == 1


def test_a_snapshot_in_the_stream_replaces_the_book() -> None:
    decoder, book = make()
    decoder.decode(snapshot(100))
    decoder.decode(update(101, 100))
    assert decoder.decode(push("snapshot", [("8", "1")], [("12", "1")], 50)) is Decoded.DECODED_BOOK
    assert levels(book) == ([(800, 1_000_000)], [(1200, 1_000_000)])
    assert decoder.decode(update(55, 50)) is Decoded.DECODED_BOOK


# --- levels


@pytest.mark.parametrize("zero", ["0", "0.0000", "0e3"])
def test_a_quantity_of_zero_deletes_and_an_unknown_level_is_no_matter(zero: str) -> None:
    decoder, book = make()
    decoder.decode(snapshot())
    frame = push("update", [("10", zero), ("3", zero)], [], 101)
    assert decoder.decode(frame) is Decoded.DECODED_BOOK
    assert book.levels(BID, 5) == [(999, 2_000_000)]


def test_one_price_in_two_texts_is_one_level() -> None:
    decoder, book = make()
    first = push("snapshot", [("3.040", "1")], [("5", "1")], crc=oracle_checksum(
        [("3.040", "1")], [("5", "1")]))  # fmt: skip
    assert decoder.decode(first) is Decoded.DECODED_BOOK
    second = push("update", [("3.04", "2.0")], [], crc=oracle_checksum(
        [("3.04", "2.0")], [("5", "1")]))  # fmt: skip
    assert decoder.decode(second) is Decoded.DECODED_BOOK
    assert levels(book)[0] == [(304, 2_000_000)]


def test_a_crossed_book_is_broken() -> None:
    decoder, book = make()
    decoder.decode(snapshot())
    assert decoder.decode(push("update", [("10.01", "1")], [], 101)) is Decoded.DECODED_BROKEN
    assert (book.break_reason, decoder.counters["crossed"]) == (BookBreak.BREAK_CROSSED, 1)


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        (("10.001", "1"), BookBreak.BREAK_OFF_TICK),
        (("10", "0.0000001"), BookBreak.BREAK_OFF_TICK),
        (("99999999999999", "1"), BookBreak.BREAK_BOUNDS),
        (("-1", "1"), BookBreak.BREAK_PARSE),
        (("1", "-1"), BookBreak.BREAK_PARSE),
        (("x", "1"), BookBreak.BREAK_PARSE),
    ],
)
def test_a_level_that_cannot_be_kept_breaks_and_leaves_the_rest(
    level: Level, reason: BookBreak
) -> None:
    decoder, book = make()
    decoder.decode(snapshot())
    assert decoder.decode(push("update", [("9", "1"), level], [], 101)) is Decoded.DECODED_BROKEN
    assert book.break_reason is reason


def test_checksums_that_begin_without_their_snapshot_cost_one_resync() -> None:
    decoder, book = make()
    decoder.decode(snapshot(100))
    oracle = OracleBook()
    oracle.apply(snapshot(100))
    told = oracle_checksum([*BIDS, ("9.98", "5")], ASKS)
    assert decoder.decode(update(101, crc=told)) is Decoded.DECODED_BROKEN
    assert decoder.decode(snapshot(102)) is Decoded.DECODED_BOOK
    assert decoder.decode(update(103, crc=told)) is Decoded.DECODED_BOOK
    assert usable(book)


def test_checksums_are_left_alone_when_told_so() -> None:
    decoder, book = make(verify=False)
    assert decoder.decode(snapshot(100, crc=17)) is Decoded.DECODED_BOOK
    assert usable(book)


# --- other frames


def test_other_pairs_and_other_channels_are_not_ours() -> None:
    decoder, book = make()
    decoder.decode(snapshot())
    before = levels(book)
    for frame in (snapshot(symbol="ETHUSDT"), snapshot(channel="books1")):
        assert decoder.decode(frame) is Decoded.DECODED_IGNORED
    assert levels(book) == before
    assert decoder.counters["unbound"] == 2


def test_a_broken_frame_that_names_no_book_breaks_all() -> None:
    decoder, book = make()
    decoder.decode(snapshot())
    assert decoder.decode(b'{"action":"update","arg":{"channel":"books","in') is (
        Decoded.DECODED_BROKEN
    )
    assert not usable(book)
    assert decoder.last_touched == -1


@pytest.mark.parametrize(
    "change",
    [
        (b'"update"', b'"partial"'), (b'"data":[', b'"data":[{},'), (b'"ts"', b'"seq":5,"ts"'),
        (b'"bids"', b'"asks"'), (b'],"seq"', b',"seq"'), (b'"data"', b'"rows"'),
    ],
)  # fmt: skip
def test_a_frame_not_in_the_form_breaks_its_book(change: tuple[bytes, bytes]) -> None:
    decoder, book = make()
    decoder.decode(snapshot())
    frame = update(101)
    if change[0] == b'"ts"':
        # A number told twice is read: the last one counts, and levels must still be whole.
        assert decoder.decode(frame.replace(*change)) is not Decoded.DECODED_BOOK
        return
    assert decoder.decode(frame.replace(*change, 1)) is Decoded.DECODED_BROKEN
    assert not usable(book)


def test_members_may_stand_in_any_order_and_with_spaces() -> None:
    decoder, book = make()
    decoder.decode(snapshot())
    message = json.loads(update(101, 100))
    turned = dict(reversed(list(message.items())))
    assert decoder.decode(json.dumps(turned, indent=1).encode()) is Decoded.DECODED_BOOK
    assert book.levels(BID, 9)[-1] == (998, 5_000_000)


# --- trades


def row(trade_id: int, ts_ms: int, side: str = "sell") -> dict[str, str]:
    return {"ts": str(ts_ms), "price": "10.5", "size": "0.5", "side": side,
            "tradeId": str(trade_id)}  # fmt: skip


def trades(action: str, *rows: dict[str, str]) -> bytes:
    arg = {"instType": "SPOT", "channel": "trade", "instId": PAIR}
    return dump({"action": action, "arg": arg, "data": list(rows), "ts": 1})


def test_trades_come_oldest_first_and_once() -> None:
    decoder, log = make()[0], TradeLog(16)
    decoder.set_sink(log)
    decoder.decode(trades("snapshot", row(3, 30), row(2, 20, "buy"), row(1, 10)))
    decoder.decode(trades("update", row(4, 40)))
    decoder.decode(trades("snapshot", row(5, 50), row(4, 40), row(3, 30)))
    taken = log.take()
    assert [trade[4] for trade in taken] == [1, 2, 3, 4, 5]
    assert [trade[6] for trade in taken] == [1, 1, 1, 0, 1]
    assert [trade[5] for trade in taken[:2]] == [Side.SELL, Side.BUY]
    assert decoder.counters["trades_repeated"] == 2


def test_unified_trades_are_read() -> None:
    decoder, log = make()[0], TradeLog(4)
    decoder.set_sink(log)
    for price in ("p", "P"):
        data = {price: "10.5", "S": "buy", "T": "1736348770627", "v": "0.25",
                "i": str(5 + (price == "P")), "L": "1"}  # fmt: skip
        arg = {"instType": "spot", "symbol": PAIR, "topic": "publicTrade"}
        frame = dump({"data": [data], "arg": arg, "action": "update", "ts": 1})
        assert decoder.decode(frame) is Decoded.DECODED_TRADE
    assert [one[2:4] for one in log.take()] == [(1050, 250_000)] * 2


def test_a_trade_that_cannot_be_read_is_left_to_the_slow_path() -> None:
    decoder, log = make()[0], TradeLog(4)
    decoder.set_sink(log)
    assert decoder.decode(trades("update", row(1, 10), {"price": "1"})) is Decoded.DECODED_SLOW
    assert log.take() == []


# --- against the oracle, and any bytes

price_text = st.integers(900, 1100).map(lambda n: f"{n // 100}.{n % 100:02d}")
qty_text = st.sampled_from(["0", "1", "2.5", "0.000001", "7.10"])
side_text = st.lists(st.tuples(price_text, qty_text), max_size=5)


@settings(deadline=None)
@given(st.data())
def test_decoder_agrees_with_the_oracle(data: st.DataObject) -> None:
    decoder, book = make()
    oracle = OracleBook()
    seq = 100
    for _ in range(data.draw(st.integers(1, 8))):
        action = data.draw(st.sampled_from(["snapshot", "update", "update", "update"]))
        told = data.draw(st.sampled_from(["none", "seq", "pseq", "lost", "old"]))
        last, seq = seq, seq + data.draw(st.integers(1, 3))
        numbers: dict[str, tuple[int | None, int | None]] = {
            "none": (None, None), "seq": (seq, None), "pseq": (seq, last),
            "lost": (seq, last - 1), "old": (last, None),
        }  # fmt: skip
        bids, asks = data.draw(side_text), data.draw(side_text)
        frame = push(action, bids, asks, *numbers[told], unified=data.draw(st.booleans()))
        decoder.decode(frame)
        oracle.apply(frame)
        assert usable(book) == oracle.good
        if oracle.good:
            assert levels(book) == oracle.levels((2, 6))


@settings(deadline=None)
@given(st.lists(st.tuples(side_text, side_text), min_size=1, max_size=6), st.integers(0, 9))
def test_checksums_agree_with_the_oracle(
    pushes: list[tuple[list[Level], list[Level]]], wrong_at: int
) -> None:
    decoder, book = make()
    oracle = OracleBook()
    first = push("snapshot", [("8", "1")], [("12.00", "1")])
    oracle.apply(first)
    decoder.decode(push("snapshot", [("8", "1")], [("12.00", "1")], crc=oracle.checksum()))
    assert usable(book)
    for index, (bids, asks) in enumerate(pushes):
        oracle.apply(push("update", bids, asks))
        if not oracle.good:
            return
        told = oracle.checksum() ^ (index == wrong_at)
        decoder.decode(push("update", bids, asks, crc=told or 1))
        if index == wrong_at:
            assert book.break_reason is BookBreak.BREAK_CHECKSUM
            return
        if told:
            assert usable(book)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_any_bytes_give_a_result_and_never_a_new_book(raw: bytes) -> None:
    decoder, book = make()
    decoder.decode(raw)
    assert not usable(book)


@settings(deadline=None)
@given(st.data())
def test_damaged_frames_never_leave_a_crossed_book_valid(data: st.DataObject) -> None:
    decoder, book = make()
    frames = [snapshot(100, crc=oracle_checksum(BIDS, ASKS)), update(101, 100), update(102, 101)]
    for frame in frames:
        damaged = bytearray(frame)
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(damaged) - 1))
            change = data.draw(st.sampled_from(["cut", "drop", "set"]))
            if change == "cut":
                del damaged[at + 1 :]
            elif change == "drop" and len(damaged) > 1:
                del damaged[at]
            else:
                damaged[at] = data.draw(st.integers(0, 255))
        decoder.decode(bytes(damaged))
        bids, asks = levels(book)
        if usable(book):
            assert bids
            assert asks
            assert bids[0][0] < asks[0][0]


def test_random_streams_of_one_pair_stay_equal_to_the_oracle() -> None:
    rng = random.Random(7)
    decoder, book = make()
    oracle = OracleBook()
    mid, seq = 100_000, 1
    side = [(f"{(mid - i) / 100:.2f}", "1.000000") for i in range(1, 60)]
    other = [(f"{(mid + i) / 100:.2f}", "1") for i in range(1, 60)]
    frame = push("snapshot", side, other, seq)
    oracle.apply(frame)
    decoder.decode(push("snapshot", side, other, seq, crc=oracle.checksum()))
    for _ in range(400):
        mid += rng.choice((-1, 0, 0, 1))
        bids = [(f"{(mid - rng.randint(1, 40)) / 100:.2f}", rng.choice(("0", "2.5", "1.10")))
                for _ in range(rng.randint(0, 8))]  # fmt: skip
        asks = [(f"{(mid + rng.randint(1, 40)) / 100:.2f}", rng.choice(("0", "2.5", "1.10")))
                for _ in range(rng.randint(0, 8))]  # fmt: skip
        # Nothing may stand on the other side of the middle.
        bids += [(f"{price:.2f}", "0") for price in oracle.bids if price * 100 >= mid]
        asks += [(f"{price:.2f}", "0") for price in oracle.asks if price * 100 <= mid]
        last, seq = seq, seq + rng.randint(1, 5)
        oracle.apply(push("update", bids, asks, seq, last))
        assert oracle.good
        frame = push("update", bids, asks, seq, last, crc=oracle.checksum())
        assert decoder.decode(frame) is Decoded.DECODED_BOOK
        assert levels(book) == oracle.levels((2, 6))
    assert decoder.counters["checksums_ok"] == 401


def test_steps_coarser_than_the_decimals_are_kept() -> None:
    decoder, book = make(price_decimals=3, tick=5, lot=10)
    frame = push("snapshot", [("9.995", "0.00001")], [("10.005", "1")])
    assert decoder.decode(frame) is Decoded.DECODED_BOOK
    assert levels(book) == ([(1999, 1)], [(2001, 100_000)])
    assert decoder.decode(push("update", [("9.994", "1")], [])) is Decoded.DECODED_BROKEN


def test_bind_refuses_what_it_cannot_serve() -> None:
    decoder, book = BitgetDecoder(), Book()
    for arguments in (("", 0, book, 1, 2, 1, 6), ("A", 0, book, 0, 2, 1, 6),
                      ("A", 0, book, 1, 2, 1, 16), ("A", -1, book, 1, 2, 1, 6)):  # fmt: skip
        with pytest.raises(ValueError, match="must"):
            decoder.bind(*arguments)
    with pytest.raises(ValueError, match="channel"):
        decoder.bind("A", 0, book, 1, 2, 1, 6, "trade")
    assert Decimal(decoder.counters["messages"]) == 0
