"""Tardis' CSV files: their columns and rules, from the description of their format."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from openmm.data import tardis
from openmm.data.events import ASK, CLEAR, LEVEL, MESSAGE_END, READ_END, TRADE
from openmm.data.integrity import examine
from openmm.errors import ConfigError, DataError, ProtocolError
from tests.data.test_store import alike

US = 1_750_000_000_000_000
BOOK = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
END, KEPT = MESSAGE_END, 0xFFFF & ~READ_END


def book(rows: Sequence[tuple[int, str, str, str, str]], market: str = "binance,BTCUSDT") -> bytes:
    lines = [
        f"{market},{US + at},{US + at + 9},{snapshot},{side},{price},{amount}"
        for at, snapshot, side, price, amount in rows
    ]
    return "\n".join([BOOK, *lines, ""]).encode()


ROWS = [
    (0, "false", "bid", "99.5", "1"),  # ahead of the first snapshot: nobody's
    (1, "true", "bid", "100.5", "0.25"),
    (1, "true", "ask", "101", "1e-3"),
    (1, "true", "bid", "100", "0.5"),
    (4, "false", "bid", "100.5", "0"),
    (4, "false", "ask", "100.5", "2.00"),
    (6, "false", "ask", "101", "0"),
    (8, "true", "bid", "90", "1"),
    (8, "true", "ask", "91", "1"),
]


def test_increments_begin_with_a_clear_and_end_at_their_message(tmp_path: Path) -> None:
    path = tmp_path / "binance_incremental_book_L2_BTCUSDT.csv.gz"
    path.write_bytes(gzip.compress(book(ROWS)))
    assert tardis.kind_of(path) == "book"
    (one,) = tardis.convert([path])
    events, market = one.events, one.events.market
    assert (market.label, market.tick_size, market.lot_size) == (
        "binance-spot BTC/USDT", Decimal("0.1"), Decimal("0.001"),
    )  # fmt: skip
    assert one.notes == {"updates_ahead_of_snapshot": 1}
    assert (events.flags & KEPT).tolist() == [
        CLEAR, LEVEL, LEVEL | ASK, LEVEL | END,
        LEVEL, LEVEL | ASK | END, LEVEL | ASK | END,
        CLEAR, LEVEL, LEVEL | ASK | END,
    ]  # fmt: skip
    assert events.price_ticks.tolist() == [0, 1005, 1010, 1000, 1005, 1005, 1010, 0, 900, 910]
    assert events.qty_lots.tolist() == [0, 250, 1, 500, 0, 2000, 0, 0, 1000, 1000]
    assert (events.venue_ns // 1000 - US).tolist() == [1, 1, 1, 1, 4, 4, 6, 8, 8, 8]
    assert (events.recv_ns // 1000 - US).tolist() == [10, 10, 10, 10, 13, 13, 15, 17, 17, 17]
    last = events.book_before(7)
    assert (last.levels(0), last.levels(1)) == ([(1000, 500)], [(1005, 2000)])
    assert (one.sources[0].name, one.sources[0].bytes) == (path.name, path.stat().st_size)


def test_trades_of_the_same_market_join_its_book_by_arrival(tmp_path: Path) -> None:
    books, trades = tmp_path / "book.csv", tmp_path / "trades.csv"
    books.write_bytes(book(ROWS))
    lines = [
        TRADES,
        f"binance,BTCUSDT,{US + 3},{US + 12},77,sell,100.5,0.1",
        f"binance,BTCUSDT,{US + 3},{US + 12},78,sell,100.55,0.1",
        f"binance,BTCUSDT,{US + 7},{US + 16},,unknown,100.5,0.0005",
    ]
    trades.write_text("\n".join([*lines, ""]))
    (one,) = tardis.convert([trades, books])
    events = one.events
    assert (events.market.tick_size, events.market.lot_size) == (Decimal("0.01"), Decimal("0.0001"))
    at = events.kinds == TRADE
    assert (events.flags[at] & KEPT).tolist() == [TRADE | ASK, TRADE | ASK | END, TRADE | END]
    assert events.price_ticks[at].tolist() == [10050, 10055, 10050]
    assert events.qty_lots[at].tolist() == [1000, 1000, 5]
    assert (events.recv_ns // 1000 - US).tolist() == [
        10, 10, 10, 10, 12, 12, 13, 13, 15, 16, 17, 17, 17,
    ]  # fmt: skip
    assert one.notes["trades_side_unknown"] == 1
    assert len(one.sources) == 2


def test_whole_best_levels_are_told_as_what_is_different(tmp_path: Path) -> None:
    path = tmp_path / "binance-futures_book_snapshot_2.csv"
    head = ",".join(
        f"{side}[{level}].{what}"
        for level in (0, 1)
        for side in ("asks", "bids")
        for what in ("price", "amount")
    )
    market = "binance-futures,BTCUSDT"
    path.write_text(
        f"exchange,symbol,timestamp,local_timestamp,{head}\n"
        f"{market},{US},{US + 1},101,1,100,2,102,1,99,2\n"
        f"{market},{US + 3},{US + 4},101,1,100,3,102,1,99,2\n"
        f"{market},{US + 6},{US + 7},103,1,100,3,,,99,2\n"
    )
    (one,) = tardis.convert([path])
    events = one.events
    assert events.market.label == "binance-usdm BTC/USDT"
    assert (events.flags & KEPT).tolist() == [
        CLEAR, LEVEL, LEVEL, LEVEL | ASK, LEVEL | ASK | END, LEVEL | END,
        LEVEL | ASK, LEVEL | ASK, LEVEL | ASK | END,
    ]  # fmt: skip
    assert events.price_ticks.tolist() == [0, 100, 99, 101, 102, 100, 101, 102, 103]
    assert events.qty_lots.tolist() == [0, 2, 2, 1, 1, 3, 0, 0, 1]


@pytest.mark.parametrize(
    ("market", "label"),
    [
        ("coinbase,ETH-USD", "coinbase ETH/USD"),
        ("gate-io,ETH_USDT", "gateio ETH/USDT"),
        ("binance-delivery,BTCUSD_PERP", "binance-coinm BTC/USD"),
        ("deribit,BTC-PERPETUAL", "deribit BTC/PERPETUAL"),
    ],
)
def test_market_has_our_name(tmp_path: Path, market: str, label: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(book(ROWS, market))
    (one,) = tardis.convert([path])
    assert one.events.market.label == label


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"

    def refused(data: bytes, told: str) -> None:
        path.write_bytes(data)
        with pytest.raises(DataError) as caught:
            tardis.convert([path])
        assert told in str(caught.value)
        assert str(path) in str(caught.value)

    refused(b"a,b\n1,2\n", "header: a CSV file of incremental_book_L2, trades or book_snapshot")
    refused(f"{BOOK}\n".encode(), "rows: a row at least")
    refused(book(ROWS).replace(b",bid,100,", b",both,100,"), "side, row 5: bid or ask; got 'both'")
    refused(book(ROWS).replace(b",100,", b",x,"), "column price: a number in each row")
    refused(book(ROWS).replace(b",100,", b",-1,"), "price, row 5: 0 or more; got -1.0")
    refused(book(ROWS).replace(b",100,", b",,"), "price, row 5: 0 or more; got nan")
    refused(book(ROWS).replace(b",100,", b",None,"), "column price: a number in each row; got 'No")
    refused(book(ROWS).replace(b",100,", b",5e,"), "column price: a number in each row; got '5e'")
    refused(book(ROWS).replace(b"false,ask,101", b"0,ask,101"), "is_snapshot, row 8: true or false")
    refused(book(ROWS) + b"binance,BTCUSDT,1\n", "rows: whole rows of its columns")
    two = book(ROWS) + book(ROWS, "binance,ETHUSDT").partition(b"\n")[2]
    refused(two, "column symbol: one market in a file; got ['BTCUSDT', 'ETHUSDT']")
    shared = b"exchange,symbol,timestamp,local_timestamp,"
    row = b"\nkraken,BTC/USD,1750000000000000,1750000000000000,"
    refused(shared + b"id,amount,amount,price,side" + row + b"1,5,5,1,buy\n", "header: amount once")
    refused(shared + b"id,amount,side" + row + b"1,5,buy\n", "header: price among them")
    refused(shared + b"is_snapshot,amount" + row + b"true,5\n", "header: price, side among them")
    refused(
        shared + b"asks[0].price,bids[0].price,bids[0].amount" + row + b"2,1,5\n",
        "header: asks[0].amount among them",
    )


def test_a_data_frame_s_true_and_false_are_read(tmp_path: Path) -> None:
    """What pandas wrote again holds the same rows."""
    path, again = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes(book(ROWS))
    again.write_bytes(book(ROWS).replace(b",true,", b",True,").replace(b",false,", b",False,"))
    (one,), (other,) = tardis.convert([path]), tardis.convert([again])
    assert len(one.events) == 10
    assert alike(one.events, other.events)


def test_updates_ahead_of_every_snapshot_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(book([row for row in ROWS if row[1] == "false"]))
    (one,) = tardis.convert([path])
    found = examine(one.events, one.notes)
    assert found.verdict == "broken"
    assert [text for _, _, text in found.problems] == [
        "no events: there is nothing in it", "updates ahead of snapshot: 4, when converted",
    ]  # fmt: skip
    path.write_bytes(book(ROWS))
    (one,) = tardis.convert([path])
    assert ("doubtful", "updates_ahead_of_snapshot") in {
        problem[:2] for problem in examine(one.events, one.notes).problems
    }


def test_numbers_that_would_come_out_as_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"

    def refused(old: bytes, new: bytes, told: str) -> None:
        path.write_bytes(book(ROWS).replace(old, new))
        with pytest.raises(DataError) as caught:
            tardis.convert([path])
        assert told in str(caught.value)

    us = "microseconds since 1970; got"
    ns, ms = f"{US + 10}000".encode(), str((US + 10) // 1000).encode()
    for wrong in (ns, ms):
        text = f"local_timestamp, row 3: {us} {int(wrong)}"
        refused(f"{US + 10},true,bid,100.5".encode(), wrong + b",true,bid,100.5", text)
    refused(f"{US + 4},".encode(), f"{US + 4}000,".encode(), f"timestamp, row 6: {us}")
    refused(b"100,0.5", b"100,1e-17", "amount, row 5: 0, or a step of 1E-15 at least; got 1e-17")
    fine = (
        "amount, row 3: 4,503,599,627,370,496 steps of 1E-15 at most: fewer decimals in the files"
    )
    path.write_bytes(
        book(ROWS)
        .replace(b"100.5,0.25", b"100.5,12.5")
        .replace(b",0.5\n", b",0.30000000000000004\n")
    )
    with pytest.raises(DataError, match=f"{fine}; got 12.5"):
        tardis.convert([path])
    # A venue that tells no time of its own is none of them.
    path.write_bytes(book(ROWS).replace(f"{US + 4},".encode(), b"0,"))
    (one,) = tardis.convert([path])
    assert one.events.venue_ns[4] == 0


def test_increments_and_best_levels_of_one_market_are_two_books(tmp_path: Path) -> None:
    books, tops = tmp_path / "a.csv", tmp_path / "b.csv"
    books.write_bytes(book(ROWS))
    tops.write_text(
        "exchange,symbol,timestamp,local_timestamp,asks[0].price,asks[0].amount,bids[0].price,"
        f"bids[0].amount\nbinance,BTCUSDT,{US},{US},2,1,1,1\n"
    )
    with pytest.raises(ConfigError, match="either incremental_book_L2 or book_snapshot"):
        tardis.convert([books, tops])


def test_a_file_cut_in_its_first_block_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(book(ROWS))[:30])
    with pytest.raises(ProtocolError, match=f"{path}: cut or damaged"):
        tardis.kind_of(path)


def test_only_its_own_files_are_taken_for_one(tmp_path: Path, shared: Path) -> None:
    assert tardis.kind_of(shared / "data/coinbase/btcusd_20180417_full.csv.gz") == ""
    assert tardis.kind_of(shared / "data/binance/spot_btcusdt_20230405.gz") == ""
