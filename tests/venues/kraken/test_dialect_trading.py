"""The simulated Kraken's trading methods: format checks, order lives, refusals, rate counter."""

from __future__ import annotations

import pytest

from openmm.events import SystemMode
from tests.sim.venue import BUY, IOC, SELL, T0, Line, Venue


@pytest.fixture
def line() -> Line:
    """Return a private line that reads executions; the market is 999.0 to 1000.0, one each."""
    venue = Venue()
    venue.market(BUY, "999.0", "1")
    venue.market(SELL, "1000.0", "1")
    found = venue.connect()
    found.one("subscribe", channel="executions")
    return found


BASE = {
    "order_type": "limit",
    "side": "buy",
    "symbol": "BTC/USD",
    "order_qty": 0.5,
    "limit_price": 900.0,
}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"symbol": None}, "Symbol(s) not found"),
        ({"side": None}, "Side(s) not found"),
        ({"order_type": None}, "Order_type(s) not found"),
        ({"order_qty": None}, "Order_qty(s) not found"),
        ({"limit_price": None}, "Limit_price(s) not found"),
        ({"symbol": "XBT/USD"}, "Currency pair not supported XBT/USD"),
        ({"limit_price": "900.0"}, "Limit_price field must be a number_float"),
        ({"order_qty": "0.5"}, "Order_qty field must be a number_float"),
        ({"price": 900.0}, "Unsupported field: 'price' for the given msg type: add order"),
        ({"limit_price": 900.05}, "EOrder:Tick size check failed"),
        ({"limit_price": -1}, "EOrder:Invalid price"),
        ({"order_qty": 0.000000001}, "EGeneral:Invalid arguments:order_qty"),
        ({"order_qty": 0.00001}, "EOrder:Order minimum not met"),
        ({"order_qty": 0.0001, "limit_price": 100}, "EOrder:Cost minimum not met"),
        ({"order_qty": 5000}, "EOrder:Insufficient funds"),
        ({"limit_price": 1000.0, "post_only": True}, "EOrder:Post only order"),
        ({"cl_ord_id": "nineteen-characters"}, "EGeneral:Invalid arguments:cl_ord_id"),
        (
            {"cl_ord_id": "a", "order_userref": 1},
            "EGeneral:Invalid arguments:cl_ord_id and order_userref are exclusive",
        ),
        ({"post_only": True, "time_in_force": "ioc"}, "EGeneral:Invalid arguments:post_only"),
        ({"time_in_force": "day"}, "EGeneral:Invalid arguments:time_in_force"),
        ({"deadline": "2020-01-01T00:00:00Z"}, "EService:Deadline elapsed"),
        ({"deadline": "soon"}, "EGeneral:Invalid arguments:deadline"),
        ({"order_type": "iceberg"}, "EGeneral:Invalid arguments:order_type"),
        ({"time_in_force": "gtd"}, "EGeneral:Invalid arguments:expire_time"),
    ],
)
def test_a_bad_order_is_refused_with_the_venue_s_text(
    line: Line, change: dict[str, object], error: str
) -> None:
    params = {name: value for name, value in (BASE | change).items() if value is not None}
    reply = line.one("add_order", **params)
    assert (reply["error"], reply["success"]) == (error, False)
    assert line.reports() == []
    assert line.venue.core.open_orders(1) == []


def test_resting_order_is_pending_then_new_and_sparse(line: Line) -> None:
    reply = line.add("buy", 900.0, 0.5, cl_ord_id="m1", post_only=True)
    assert reply["result"]["cl_ord_id"] == "m1"
    pending, opened = line.reports()
    assert (pending["exec_type"], pending["order_status"]) == ("pending_new", "pending_new")
    assert pending["time_in_force"] == "GTC"
    assert pending["post_only"] is True
    assert (opened["exec_type"], opened["order_status"]) == ("new", "new")
    assert not {"symbol", "side", "order_qty", "limit_price", "cl_ord_id"} & set(opened)


def test_taker_that_rests_its_remainder_reports_trade_and_stays_open(line: Line) -> None:
    line.add("buy", 1000.0, 1.5)
    trade = line.reports()[-1]
    assert line.kinds() == ["pending_new", "new", "trade"]
    assert (trade["liquidity_ind"], float(trade["last_qty"]), float(trade["cost"])) == (
        "t",
        1.0,
        1000.0,
    )
    assert float(trade["fees"][0]["qty"]) == 4.0
    line.venue.market(SELL, "1000.0", "0.5", IOC)
    line.poll()
    trade, filled = line.reports()[-2:]
    assert (trade["liquidity_ind"], trade["order_status"]) == ("m", "partially_filled")
    assert float(trade["fees"][0]["qty"]) == 1.25
    assert (filled["exec_type"], filled["order_status"]) == ("filled", "filled")
    assert float(filled["cum_qty"]) == 1.5
    assert float(filled["fee_usd_equiv"]) == 5.25


def test_ioc_remainder_is_cancelled_and_fok_miss_trades_nothing(line: Line) -> None:
    line.add("buy", 1000.0, 1.5, time_in_force="ioc")
    assert line.kinds()[-2:] == ["trade", "canceled"]
    line.venue.market(SELL, "1000.0", "1")
    line.seen.clear()
    line.add("buy", 1000.0, 1.5, time_in_force="fok")
    assert line.kinds() == ["pending_new", "new", "canceled"]


def test_good_till_date_order_expires_at_its_time(line: Line) -> None:
    reply = line.add("buy", 900.0, 0.5, time_in_force="gtd", expire_time="2023-11-14T22:13:50Z")
    assert reply["success"] is True
    line.venue.wait(29)
    line.poll()
    assert "expired" not in line.kinds()
    line.venue.wait(2)
    line.poll()
    assert line.kinds()[-1] == "expired"


def test_validate_checks_and_places_nothing(line: Line) -> None:
    assert line.add("buy", 900.0, 0.5, validate=True)["result"] == {"order_id": ""}
    assert line.add("buy", 900.0, 5000, validate=True)["error"] == "EOrder:Insufficient funds"
    assert line.reports() == []


def test_client_id_is_unique_among_open_orders_only(line: Line) -> None:
    first = line.add("buy", 900.0, 0.5, cl_ord_id="m1")
    assert line.add("buy", 901.0, 0.5, cl_ord_id="m1")["success"] is False
    line.one("cancel_order", order_id=[first["result"]["order_id"]])
    assert line.add("buy", 901.0, 0.5, cl_ord_id="m1")["success"] is True


def test_batch_is_refused_whole_for_format_and_one_by_one_by_the_engine(line: Line) -> None:
    good = {"order_type": "limit", "side": "buy", "order_qty": 0.5, "limit_price": 900.0}
    bad = good | {"limit_price": "900"}
    reply = line.one("batch_add", symbol="BTC/USD", orders=[good, bad])
    assert reply["error"] == "Limit_price field must be a number_float"
    assert line.reports() == []
    poor = good | {"order_qty": 5000, "cl_ord_id": "poor"}
    reply = line.one("batch_add", symbol="BTC/USD", orders=[good | {"cl_ord_id": "rich"}, poor])
    rich_row, poor_row = reply["result"]
    assert (rich_row["cl_ord_id"], "error" in rich_row) == ("rich", False)
    assert poor_row == {"error": "EOrder:Insufficient funds", "cl_ord_id": "poor"}
    assert len(line.venue.core.open_orders(1)) == 1
    for orders in ([good], [good] * 16, "no"):
        assert line.one("batch_add", symbol="BTC/USD", orders=orders)["success"] is False


def test_amend_changes_in_place_and_keeps_both_ids(line: Line) -> None:
    order_id = line.add("buy", 900.0, 0.5, cl_ord_id="m1")["result"]["order_id"]
    reply = line.one("amend_order", cl_ord_id="m1", limit_price=901.0, order_qty=0.6)
    assert set(reply["result"]) == {"amend_id", "cl_ord_id"}
    report = line.reports()[-1]
    assert (report["exec_type"], report["order_id"], report["amended"]) == (
        "amended",
        order_id,
        True,
    )
    assert (float(report["limit_price"]), float(report["order_qty"])) == (901.0, 0.6)
    (order,) = line.venue.core.open_orders(1)
    assert (order.venue_order_id, order.client_id) == (order_id, "m1")
    assert line.venue.core.balances(1)["USD"][1] == 5_427_624  # 901.0 * 0.6 and the taker fee


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"order_qty": 0.5}, "EGeneral:Invalid arguments:No amendable parameters"),
        ({}, "EGeneral:Invalid arguments:No amendable parameters"),
        ({"limit_price": 1000.0, "post_only": True}, "EOrder:Post only order"),
        ({"limit_price": 900.05}, "EOrder:Tick size check failed"),
        ({"order_qty": 5000}, "EOrder:Insufficient funds"),
        ({"order_qty": 0.00001}, "EOrder:Order minimum not met"),
        ({"order_id": "OAAAAA"}, "EGeneral:Invalid arguments:order_id"),
        (
            {"display_qty": 1},
            "Unsupported field: 'display_qty' for the given msg type: amend order",
        ),
    ],
)
def test_a_bad_amend_is_refused_and_changes_nothing(
    line: Line, change: dict[str, object], error: str
) -> None:
    line.add("buy", 900.0, 0.5, cl_ord_id="m1")
    reply = line.one("amend_order", cl_ord_id="m1", **change)
    assert (reply["error"], reply["success"]) == (error, False)
    (order,) = line.venue.core.open_orders(1)
    assert (order.price_ticks, order.qty_lots) == (9000, 50_000_000)


def test_amend_of_an_unknown_or_gone_order_says_so(line: Line) -> None:
    assert line.one("amend_order", cl_ord_id="x", order_qty=1)["error"] == "EOrder:Unknown order"
    order_id = line.add("buy", 900.0, 0.5)["result"]["order_id"]
    line.one("cancel_order", order_id=[order_id])
    reply = line.one("amend_order", order_id=order_id, order_qty=0.4)
    assert reply["error"] == "EOrder:Unknown order"


def test_amend_below_the_filled_part_cancels_the_rest(line: Line) -> None:
    order_id = line.add("buy", 1000.0, 1.5)["result"]["order_id"]
    assert line.one("amend_order", order_id=order_id, order_qty=0.9)["success"] is True
    assert line.kinds()[-1] == "canceled"
    assert float(line.reports()[-1]["cum_qty"]) == 1.0


def test_cancel_answers_once_an_order_and_names_only_successes(line: Line) -> None:
    first = line.add("buy", 900.0, 0.5)["result"]["order_id"]
    line.add("buy", 901.0, 0.5, cl_ord_id="m2")
    line.add("buy", 902.0, 0.5, order_userref=7)
    replies = line.ask(
        "cancel_order", order_id=[first, "ONOPE"], cl_ord_id=["m2"], order_userref=[7]
    )
    assert [reply["success"] for reply in replies] == [True, False, True, True]
    assert replies[0]["result"] == {"order_id": first}
    assert replies[1]["error"] == "EOrder:Unknown order"
    assert replies[2]["result"] == {"cl_ord_id": "m2"}
    assert line.kinds().count("canceled") == 3


def test_batch_cancel_counts_and_cancel_all_takes_the_rest(line: Line) -> None:
    ids = [line.add("buy", 900.0 + i, 0.01)["result"]["order_id"] for i in range(4)]
    assert line.one("batch_cancel", orders=[ids[0], "ONOPE"])["result"] == {"count": 1}
    assert line.one("batch_cancel", orders=[ids[1]])["success"] is False
    assert line.one("cancel_all")["result"] == {"count": 3}
    assert line.one("cancel_all")["result"] == {"count": 0}


def test_self_trade_prevention_ends_the_newer_order_by_default(line: Line) -> None:
    line.add("sell", 999.5, 0.5)
    line.add("buy", 999.5, 0.5)
    assert line.kinds()[-3:] == ["pending_new", "new", "expired"]
    line.add("buy", 999.5, 0.5, stp_type="cancel_oldest")
    assert line.kinds()[-3:] == ["pending_new", "new", "expired"]
    (order,) = line.venue.core.open_orders(1)
    assert order.side == BUY


def test_dead_man_s_switch_fires_once_survives_the_socket_and_can_be_cleared(line: Line) -> None:
    venue = line.venue
    reply = line.one("cancel_all_orders_after", timeout=60)
    assert reply["result"] == {
        "currentTime": "2023-11-14T22:13:20Z",
        "triggerTime": "2023-11-14T22:14:20Z",
    }
    line.add("buy", 900.0, 0.5)
    venue.gateway.drop(line.session)
    venue.wait(59)
    assert len(venue.core.open_orders(1)) == 1
    venue.wait(2)
    assert venue.core.open_orders(1) == []
    (order,) = venue.core.orders(1)
    assert order.closed_ns == T0 + 60_000_000_000
    again = venue.connect()
    again.add("buy", 900.0, 0.5)
    venue.wait(120)
    assert len(venue.core.open_orders(1)) == 1
    again.one("cancel_all_orders_after", timeout=10)
    assert again.one("cancel_all_orders_after", timeout=0)["result"]["triggerTime"] == "0"
    venue.wait(20)
    assert len(venue.core.open_orders(1)) == 1
    for timeout in (-1, 86_400, 1.5, "60"):
        assert again.one("cancel_all_orders_after", timeout=timeout)["success"] is False


def test_rate_counter_follows_the_documented_example(line: Line) -> None:
    venue = line.venue
    order_id = line.add("buy", 900.0, 0.5)["result"]["order_id"]
    assert venue.core.rate_milli(1, "BTC/USD", venue.now_ns) == 1000
    start_ns = venue.now_ns
    venue.wait(7)
    decayed = max(0, 1000 - 7 * 3750)
    line.one("amend_order", order_id=order_id, order_qty=0.4)
    assert venue.core.rate_milli(1, "BTC/USD", venue.now_ns) == decayed + 1000 + 2000
    venue.wait(36)
    line.one("cancel_order", order_id=[order_id])
    assert venue.core.rate_milli(1, "BTC/USD", venue.now_ns) == 4000
    assert venue.now_ns - start_ns == 43_000_000_000


def test_rate_limit_refuses_until_it_has_decayed_and_batch_cancel_goes_through() -> None:
    venue = Venue(tier="starter")
    line = venue.connect()
    ids = []
    for step in range(6):
        reply = line.add("buy", 900.0 + step, 0.01)
        ids.append(reply["result"]["order_id"])
    for order_id in ids[:6]:
        line.one("cancel_order", order_id=[order_id])
    assert venue.core.rate_milli(1, "BTC/USD", venue.now_ns) == 6000 + 6 * 8000
    for step in range(6):
        line.add("buy", 900.0 + step, 0.01)
    assert line.add("buy", 950.0, 0.01)["error"] == "EOrder:Rate limit exceeded"
    order = venue.core.open_orders(1)[0]
    reply = line.one("cancel_order", order_id=[order.venue_order_id])
    assert reply["error"] == "EOrder:Rate limit exceeded"
    ids = [o.venue_order_id for o in venue.core.open_orders(1)]
    assert line.one("batch_cancel", orders=ids)["result"] == {"count": 6}
    reply = line.one(
        "batch_add",
        symbol="BTC/USD",
        orders=[{"order_type": "limit", "side": "buy", "order_qty": 1, "limit_price": 900}] * 2,
    )
    assert reply["error"] == "EOrder:Rate limit exceeded"
    venue.wait(49)
    assert line.add("buy", 950.0, 0.01)["success"] is True


def test_open_order_limit_is_that_of_the_tier() -> None:
    venue = Venue(tier="starter")
    line = venue.connect()
    for step in range(60):
        assert line.add("buy", 900.0 + step, 0.01)["success"] is True
        venue.wait(1)
    assert line.add("buy", 800.0, 0.01)["error"] == "EOrder:Orders limit exceeded"


@pytest.mark.parametrize(
    ("mode", "add", "post", "cancel"),
    [
        (SystemMode.CANCEL_ONLY, "EService:Market in cancel_only mode", None, True),
        (SystemMode.POST_ONLY, "EService:Market in post_only mode", True, True),
        (SystemMode.MAINTENANCE, "EService:Unavailable", None, None),
    ],
)
def test_trading_modes_allow_what_they_say(
    line: Line, mode: SystemMode, add: str, post: bool | None, cancel: bool | None
) -> None:
    order_id = line.add("buy", 900.0, 0.5)["result"]["order_id"]
    line.venue.core.set_mode(mode, line.venue.now_ns)
    assert line.add("buy", 901.0, 0.5)["error"] == add
    assert line.add("buy", 901.0, 0.5, post_only=True)["success"] is bool(post)
    assert line.one("cancel_order", order_id=[order_id])["success"] is bool(cancel)
    line.venue.core.set_mode(SystemMode.ONLINE, line.venue.now_ns)
    assert line.add("buy", 902.0, 0.5)["success"] is True


def test_market_order_needs_the_money_for_what_it_would_take(line: Line) -> None:
    line.venue.market(SELL, "2000000.0", "10")
    params = {"order_type": "market", "side": "buy", "symbol": "BTC/USD"}
    assert line.one("add_order", order_qty=1.6, **params)["error"] == "EOrder:Insufficient funds"
    assert line.one("add_order", order_qty=1.2, **params)["success"] is True
    assert line.kinds() == ["pending_new", "new", "trade", "trade", "filled"]


def test_post_only_order_that_would_take_may_be_taken_and_cancelled_instead() -> None:
    venue = Venue(post_only_accepted=True)
    venue.market(SELL, "1000.0", "1")
    line = venue.connect()
    line.one("subscribe", channel="executions")
    assert line.add("buy", 1000.0, 0.5, post_only=True)["success"] is True
    assert line.kinds() == ["pending_new", "canceled"]
    assert line.reports()[-1]["reason"] == "Post only order"
    assert venue.core.open_orders(1) == []
    assert venue.core.balances(1)["USD"] == (10_000_000_000, 0)
