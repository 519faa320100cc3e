"""The REST side: documented requests and answers, pages, refusals, both families."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest

from openmm._fast.units import Side
from openmm.clock import ManualClock
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.events import Fee, OrderStatus
from openmm.instrument import Instrument
from openmm.venues.base import PlaceOrder
from openmm.venues.bitget.auth import Key
from openmm.venues.bitget.rest import Rest, query_texts
from openmm.venues.bitget.spec import Endpoints, Family, Settings
from openmm.venues.bitget.venue import BitgetVenue
from openmm.venues.faults import Code
from tests.venues.bitget.samples import cases, dump, load

T = TypeVar("T")
Reply = Any
NOW_NS = 1_700_000_000_000_000_000


class Asked:
    """A venue that answers from a table and remembers what it was asked."""

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        self.replies = dict(replies)
        self.calls: list[tuple[str, str, str, Any, Mapping[str, str]]] = []

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self.calls.append((verb, path, query, json.loads(body) if body else None, headers))
        reply = self.replies[path]
        if isinstance(reply, list) and reply and isinstance(reply[0], tuple):
            reply = reply.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, tuple):
            return reply
        return 200, dump({"code": "00000", "msg": "success", "requestTime": 1, "data": reply})

    async def close(self) -> None:
        pass


SYMBOLS = "/api/v2/spot/public/symbols"


def make(
    shared: Path, replies: Mapping[str, Reply], settings: Settings | None = None
) -> tuple[BitgetVenue, Asked]:
    listed = cases(shared)["rest_docs:GET /api/v2/spot/public/symbols"]["message"]["data"]
    more = [listed[0] | {"symbol": "LTCUSDT", "baseCoin": "LTC", "quantityPrecision": "4"}]
    unified = [{**row, "category": "SPOT", "minOrderAmount": "1"} for row in listed]
    asked = Asked({SYMBOLS: listed + more, "/api/v3/market/instruments": unified, **replies})
    key = Key("k", "secret", "p")
    clock = ManualClock(NOW_NS)

    async def no_sleep(_s: float) -> None:
        return None

    rest = Rest(Endpoints(rest="https://x"), key, clock, settings, round_trip=asked, sleep=no_sleep)
    return BitgetVenue(rest), asked


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def refused(code: str, text: str = "no", status: int = 400) -> tuple[int, bytes]:
    return status, dump({"code": code, "msg": text, "requestTime": 1, "data": None})


def btc(venue: BitgetVenue) -> Instrument:
    return run(venue.get_instruments())["BTC/USDT"]


def order(venue: BitgetVenue, client_id: str = "121211212122") -> PlaceOrder:
    return PlaceOrder(btc(venue), Side.BUY, 2322250, 1_000_000, client_id, post_only=False)


# --- documented answers


def test_pairs_come_with_steps_and_minimum(shared: Path) -> None:
    venue, _ = make(shared, {})
    one = btc(venue)
    assert (one.base, one.quote, one.price_decimals, one.qty_decimals) == ("BTC", "USDT", 2, 6)
    assert (one.cost_min, one.status) == (Decimal(1), "online")
    assert venue.symbol_of("BTC/USDT") == "BTCUSDT"


@pytest.mark.parametrize("missing", ["pricePrecision", "quantityPrecision", "minTradeUSDT"])
def test_a_pair_without_its_steps_is_not_listed(
    shared: Path, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    listed = cases(shared)["rest_docs:GET /api/v2/spot/public/symbols"]["message"]["data"]
    row = {name: value for name, value in listed[0].items() if name != missing}
    venue, _ = make(shared, {SYMBOLS: [row]})
    assert run(venue.get_instruments()) == {}
    assert "a pair is left out" in caplog.text


def test_documented_queries_are_answered(shared: Path) -> None:
    docs = {
        name.partition(":")[2]: case["message"]["data"]
        for name, case in cases(shared, "rest_docs").items()
    }
    book = next(value for name, value in docs.items() if "orderbook" in name)
    ticker = next(value for name, value in docs.items() if "tickers" in name)
    venue, asked = make(shared, {
        "/api/v2/spot/market/orderbook": book, "/api/v2/spot/market/tickers": ticker,
        "/api/v2/public/time": docs["GET /api/v2/public/time"],
    })  # fmt: skip
    found = run(venue.get_order_book("BTC/USDT", 100))
    assert found.asks[0] == (Decimal("34567.15"), Decimal("0.0131"))
    assert found.bids[0] == (Decimal("34567"), Decimal("0.2917"))
    assert asked.calls[-1][2] == "limit=100&symbol=BTCUSDT&type=step0"
    told = run(venue.get_ticker("BTC/USDT"))
    assert (told.last, told.ask_qty) == (Decimal("34413.1"), Decimal("0.0119"))
    assert run(venue.get_server_time()).ts_ns == 1688008631614 * 1_000_000


def test_captured_orders_and_fills_are_read_each_in_its_own_words(shared: Path) -> None:
    rows = {name: case["message"].get("data") for name, case in cases(shared).items()
            if "data" in case["message"]}  # fmt: skip
    venue, _ = make(shared, {
        "/api/v2/spot/trade/unfilled-orders":
            rows["live_captures:unfilled-orders, live limit buy"],
        "/api/v2/spot/trade/orderInfo":
            rows["live_captures:orderInfo, live limit buy, nothing filled"],
        "/api/v2/spot/trade/fills": rows["live_captures:fills, market sell"],
    })  # fmt: skip
    [opened] = run(venue.get_open_orders())
    # Among open orders the order's price stands in priceAvg.
    assert (opened.instrument, opened.price_ticks, opened.qty_lots) == ("LTC/USDT", 5000, 1100)
    assert (opened.status, opened.filled_lots) == (OrderStatus.OPEN, 0)
    info = run(venue.get_order(venue_order_id="1111461743123927040"))
    assert info is not None
    assert (info.price_ticks, info.qty_lots, info.filled_lots) == (2_500_000, 200, 0)
    [fill] = run(venue.get_fills(1697603539000_000_000))
    assert fill.exec_id == "1098394344925597696-1098394344974925824"
    assert (fill.cost, fill.maker, fill.side) == (Decimal("5.693536"), False, Side.SELL)
    assert fill.fees == (Fee("USDT", Decimal("0.005693536")),)


def test_a_market_buys_size_is_money_and_not_a_quantity(shared: Path) -> None:
    data = cases(shared)["rest_docs:GET /api/v2/spot/trade/orderInfo?orderId=1234567890"]
    venue, _ = make(shared, {"/api/v2/spot/trade/orderInfo": data["message"]["data"]})
    found = run(venue.get_order(client_id="121211212122"))
    assert found is not None
    assert (found.status, found.qty_lots, found.filled_lots) == (OrderStatus.FILLED, None, 700)


@pytest.mark.parametrize(
    ("detail", "fee"),
    [
        ({"deduction": "no", "feeCoin": "BTC", "totalFee": "-0.1"}, Fee("BTC", Decimal("0.1"))),
        ({"deduction": "no", "feeCoin": "BTC", "totalFee": "0.1"}, Fee("BTC", Decimal("-0.1"))),
        ({"deduction": "yes", "feeCoin": "BGB", "totalDeductionFee": "0.2", "totalFee": "0.2"},
         Fee("BGB", Decimal("0.2"))),
    ],
)  # fmt: skip
def test_a_fees_sign_is_the_channels(shared: Path, detail: dict[str, str], fee: Fee) -> None:
    data = cases(shared)["live_captures:fills, market sell"]["message"]["data"]
    venue, _ = make(shared, {"/api/v2/spot/trade/fills": [data[0] | {"feeDetail": detail}]})
    [fill] = run(venue.get_fills(1))
    assert fill.fees == (fee,)


def test_documented_balances_in_lower_case_are_read(shared: Path) -> None:
    row = {"coin": "usdt", "available": "1", "frozen": "2", "locked": "3", "limitAvailable": "0"}
    venue, _ = make(shared, {"/api/v2/spot/account/assets": [row]})
    balance = run(venue.get_balance())["USDT"]
    assert (balance.total, balance.held) == (Decimal(6), Decimal(5))


# --- documented requests


def test_a_placement_is_the_documented_request(shared: Path) -> None:
    documented = cases(shared)["rest_docs:POST /api/v2/spot/trade/place-order"]
    path = "/api/v2/spot/trade/place-order"
    venue, asked = make(shared, {path: documented["message"]["data"]})
    accepted = run(venue.place_order(order(venue)))
    verb, called, _, body, headers = asked.calls[-1]
    assert (verb, called) == ("POST", path)
    wanted = documented["request"]
    assert body == wanted | {"price": "23222.50", "size": "1.000000"}
    assert accepted.venue_order_id == "1001"
    raw = dump(body)
    assert headers["ACCESS-SIGN"] == Key("k", "secret", "p").sign_request(
        "POST", path, "", raw, NOW_NS // 1_000_000
    )
    assert headers["locale"] == "en-US"


def test_a_batch_is_the_documented_request_and_its_refusal_is_raised(shared: Path) -> None:
    documented = cases(shared)["rest_docs:POST /api/v2/spot/trade/batch-orders"]
    captured = cases(shared)["live_captures:batch-orders, one accepted and one refused"]
    data = captured["message"]["data"]
    names = [data["successList"][0]["clientOid"], data["failureList"][0]["clientOid"]]
    venue, asked = make(shared, {"/api/v2/spot/trade/batch-orders": data})
    with pytest.raises(VenueRejected, match="45110") as caught:
        run(venue.place_orders([order(venue, name) for name in names]))
    assert caught.value.code == Code.MINIMUM
    body = asked.calls[-1][3]
    assert list(body) == list(documented["request"])
    assert sorted(body["orderList"][0]) == sorted(documented["request"]["orderList"][0])


def test_cancels_are_the_documented_requests(shared: Path) -> None:
    single = cases(shared)["rest_docs:POST /api/v2/spot/trade/cancel-order"]
    batch = cases(shared)["rest_docs:POST /api/v2/spot/trade/batch-cancel-order"]
    symbol = cases(shared)["rest_docs:POST /api/v2/spot/trade/cancel-symbol-order"]
    venue, asked = make(shared, {
        "/api/v2/spot/trade/cancel-order": single["message"]["data"],
        "/api/v2/spot/trade/batch-cancel-order": {"successList": [{"orderId": "121211212122",
                                                                  "clientOid": ""}]},
        "/api/v2/spot/trade/cancel-symbol-order": symbol["message"]["data"],
        "/api/v2/spot/trade/unfilled-orders": [],
    })  # fmt: skip
    run(venue.get_instruments())
    venue._used["BTCUSDT"] = None
    assert run(venue.cancel_order(venue_order_id="121211212122")) == 1
    assert asked.calls[-1][3] == single["request"]
    assert run(venue.cancel_ids(["121211212122"])) == 1
    sent, wanted = asked.calls[-1][3], batch["request"]
    assert (sent["symbol"], sent["batchMode"]) == (wanted["symbol"], wanted["batchMode"])
    # One kind of name only: mixed rows fail.
    assert sent["orderList"] == [{"symbol": "BTCUSDT", "orderId": "121211212122"}]
    run(venue.cancel_all())
    assert asked.calls[-1][3] == symbol["request"]


def test_a_replacement_tells_its_verdict_inside_the_envelope(shared: Path) -> None:
    path = "/api/v2/spot/trade/cancel-replace-order"
    rows = [
        {"orderId": "", "clientOid": "old", "success": "success", "msg": None},
        {"orderId": "", "clientOid": None, "success": "failure", "msg": "duplicate"},
    ]
    venue, asked = make(shared, {path: rows[0], "/api/v2/spot/trade/batch-cancel-replace-order":
                                 rows})  # fmt: skip
    new = order(venue, "new")
    assert run(venue.replace_order("old", new)).client_id == "new"
    assert asked.calls[-1][3] == {
        "symbol": "BTCUSDT", "clientOid": "old", "price": "23222.50", "size": "1.000000",
        "newClientOid": "new",
    }  # fmt: skip
    with pytest.raises(VenueRejected, match="duplicate"):
        run(venue.replace_orders([("old", new), ("other", new)]))


# --- refusals, repeats, pages


def test_every_captured_error_is_typed(shared: Path) -> None:
    wanted = {
        "43012": Code.FUNDS, "40762": Code.FUNDS, "45110": Code.MINIMUM, "40808": Code.ARGUMENTS,
        "41117": Code.PRICE, "41114": Code.INSTRUMENT,
    }  # fmt: skip
    seen = set()
    for case in load(shared, "errors")["cases"]:
        message = case["message"]
        if "requestTime" not in message:
            continue
        path = "/api/v2/spot/trade/place-order"
        venue, _ = make(shared, {path: (400, dump(message))})
        with pytest.raises(VenueRejected) as caught:
            run(venue.place_order(order(venue)))
        assert caught.value.code == wanted[message["code"]]
        seen.add(message["code"])
    assert seen == set(wanted)


def test_an_order_is_never_placed_twice(shared: Path) -> None:
    path = "/api/v2/spot/trade/place-order"
    lost = TransportError("gone", retryable=True)
    venue, asked = make(shared, {path: lost})
    with pytest.raises(TransportError, match="outcome unknown"):
        run(venue.place_order(order(venue)))
    assert sum(call[1] == path for call in asked.calls) == 1


def test_queries_are_repeated_within_a_bound(shared: Path) -> None:
    path = "/api/v2/spot/trade/unfilled-orders"
    replies = [refused("429", status=429), refused("40010"), (200, dump(
        {"code": "00000", "data": []}))]  # fmt: skip
    venue, asked = make(shared, {path: list(replies)})
    assert run(venue.get_open_orders()) == []
    assert sum(call[1] == path for call in asked.calls) == 3
    venue, asked = make(shared, {path: refused("429", status=429)})
    with pytest.raises(VenueRejected) as caught:
        run(venue.get_open_orders())
    assert caught.value.code == Code.CALL_RATE
    assert sum(call[1] == path for call in asked.calls) == 3


@pytest.mark.parametrize("code", ["43001", "40109", "43004", "31007", "45057", "22001"])
def test_cancelling_what_is_gone_cancels_nothing(shared: Path, code: str) -> None:
    venue, _ = make(shared, {"/api/v2/spot/trade/cancel-order": refused(code),
                             "/api/v2/spot/trade/unfilled-orders": []})  # fmt: skip
    run(venue.get_instruments())
    venue._used["BTCUSDT"] = None
    assert run(venue.cancel_order(client_id="x")) == 0


def test_a_page_that_is_not_the_venues_is_no_answer(shared: Path) -> None:
    venue, _ = make(shared, {"/api/v2/public/time": (502, b"<html>")})
    with pytest.raises(TransportError):
        run(venue.get_server_time())
    venue, _ = make(shared, {"/api/v2/public/time": (200, b"<html>")})
    with pytest.raises(ProtocolError):
        run(venue.get_server_time())


def test_pages_are_read_to_their_end(shared: Path) -> None:
    path = "/api/v2/spot/trade/unfilled-orders"
    row = cases(shared)["live_captures:unfilled-orders, live limit buy"]["message"]["data"][0]
    pages = [[row | {"orderId": str(n), "clientOid": str(n)} for n in part]
             for part in (range(300, 200, -1), range(200, 190, -1))]  # fmt: skip
    replies = [(200, dump({"code": "00000", "data": page})) for page in pages]
    venue, asked = make(shared, {path: replies})
    assert len(run(venue.get_open_orders())) == 110
    assert asked.calls[-1][2] == "idLessThan=201&limit=100"


def test_a_query_is_signed_as_text_and_sent_encoded() -> None:
    text, wire = query_texts({"symbol": "$ALTUSDT", "limit": 5})
    assert text == "limit=5&symbol=$ALTUSDT"
    assert wire == "limit=5&symbol=%24ALTUSDT"


# --- families


def test_the_venues_refusal_names_the_family(shared: Path) -> None:
    assets = {"assets": [{"coin": "USDT", "balance": "5", "available": "4", "locked": "1"}]}
    venue, _ = make(shared, {
        "/api/v2/spot/account/assets": refused("40085", "unified account"),
        "/api/v3/account/assets": assets,
    })  # fmt: skip
    before, balance = venue.unified, run(venue.get_balance())["USDT"]
    assert (before, venue.unified) == (False, True)
    assert (balance.total, balance.held) == (Decimal(5), Decimal(1))
    assert venue.capabilities.dead_man
    assert venue.capabilities.cancel_all_scope == "account"


def test_a_family_that_was_set_is_kept(shared: Path) -> None:
    venue, _ = make(shared, {"/api/v2/spot/account/assets": refused("40085")},
                    Settings(account="classic"))  # fmt: skip
    with pytest.raises(VenueRejected) as caught:
        run(venue.get_balance())
    assert caught.value.code == Code.PERMISSION
    assert venue.rest.family is Family.CLASSIC


UNIFIED_CALLS: list[tuple[str, Callable[[BitgetVenue], Coroutine[Any, Any, Any]], Any]] = [
    ("/api/v3/trade/place-order", lambda venue: venue.place_order(order_of(venue)), {
        "category": "SPOT", "symbol": "BTCUSDT", "side": "buy", "orderType": "limit",
        "timeInForce": "post_only", "price": "1.00", "qty": "0.000005", "clientOid": "c",
    }),
    ("/api/v3/trade/cancel-order", lambda venue: venue.cancel_order(client_id="c"),
     {"category": "SPOT", "clientOid": "c"}),
    ("/api/v3/trade/countdown-cancel-all", lambda venue: venue.dead_man_switch(40),
     {"countdown": "40"}),
    ("/api/v3/trade/cancel-symbol-order", lambda venue: venue.cancel_all(), {"category": "SPOT"}),
    ("/api/v3/trade/modify-order",
     lambda venue: venue.amend_order(order_of(venue).instrument, "c", 200, 7),
     {"clientOid": "c", "qty": "0.000007", "price": "2.00", "autoCancel": "no",
      "symbol": "BTCUSDT", "category": "SPOT"}),
]  # fmt: skip


def order_of(venue: BitgetVenue) -> PlaceOrder:
    return PlaceOrder(venue.pairs["BTCUSDT"], Side.BUY, 100, 5, "c")


@pytest.mark.parametrize(("path", "call", "body"), UNIFIED_CALLS)
def test_unified_requests(
    shared: Path, path: str, call: Callable[[BitgetVenue], Coroutine[Any, Any, Any]], body: Any
) -> None:
    venue, asked = make(
        shared,
        {path: {"orderId": "9", "clientOid": "c"}, "/api/v3/trade/unfilled-orders": {"list": []}},
        Settings(account="unified", amend=True),
    )
    run(venue.get_instruments())
    run(call(venue))
    assert asked.calls[-1][3] == body


def test_unified_orders_are_found_and_listed(shared: Path) -> None:
    row = {
        "category": "SPOT", "symbol": "BTCUSDT", "orderId": "7", "clientOid": "c", "price": "2",
        "qty": "1", "side": "sell", "orderType": "limit", "cumExecQty": "0", "orderStatus": "live",
        "createdTime": "1730186725663", "updatedTime": "1730186725691",
    }  # fmt: skip
    venue, _ = make(shared, {
        "/api/v3/trade/unfilled-orders": {"list": [row], "cursor": "7"},
        "/api/v3/trade/order-info": row,
        "/api/v3/account/fee-rate": {"makerFeeRate": "0.0008", "takerFeeRate": "0.001"},
    }, Settings(account="unified"))  # fmt: skip
    [opened] = run(venue.get_open_orders())
    assert opened == run(venue.get_order(client_id="c"))
    assert (opened.price_ticks, opened.qty_lots) == (200, 1_000_000)
    assert run(venue.get_fees("BTC/USDT")).maker_ppm == 800


@pytest.mark.parametrize("call", ["amend", "dead man"])
def test_what_a_classic_account_cannot_do_is_said(shared: Path, call: str) -> None:
    venue, asked = make(shared, {})
    instrument = btc(venue)
    count = len(asked.calls)
    with pytest.raises(VenueRejected, match="classic"):
        run(venue.amend_order(instrument, "c", 1, 1) if call == "amend"
            else venue.dead_man_switch(30))  # fmt: skip
    assert len(asked.calls) == count


def test_an_order_whose_client_id_was_forgotten_is_found_in_the_history(shared: Path) -> None:
    row = cases(shared)["live_captures:orderInfo, live limit buy, nothing filled"]["message"][
        "data"
    ][0]
    venue, asked = make(
        shared,
        {
            "/api/v2/spot/trade/unfilled-orders": [],
            "/api/v2/spot/trade/orderInfo": [],
            "/api/v2/spot/trade/history-orders": [row | {"status": "cancelled"}],
        },
    )
    since_ns = NOW_NS - 3 * 3600 * 1_000_000_000
    [found] = run(venue.find([row["clientOid"]], [], since_ns))
    assert found.status is OrderStatus.CANCELLED
    count = len(asked.calls)
    # A younger one would have been found by its id: it is unknown.
    assert run(venue.find(["another"], [], NOW_NS - 60_000_000_000)) == []
    assert "/api/v2/spot/trade/history-orders" not in {call[1] for call in asked.calls[count:]}
