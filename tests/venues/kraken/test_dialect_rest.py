"""The simulated Kraken's REST: signatures, nonces, call counter, recovery calls, own paths."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from tests.sim.venue import BUY, SELL, T0, Line, Venue


def test_the_official_signing_vector_is_accepted_and_one_changed_byte_is_not() -> None:
    secret = (
        "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
    )
    venue = Venue(secret=secret)
    body = b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
    sign = (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    )
    headers = {"API-Key": "one", "API-Sign": sign}
    path = "/0/private/AddOrder"
    wrong = json.loads(venue.http.answer("POST", path, headers, body + b"0", T0)[1])
    assert wrong == {"error": ["EAPI:Invalid signature"]}
    right = json.loads(venue.http.answer("POST", path, headers, body, T0)[1])
    assert right["result"]["descr"]["order"] == "buy 1.25000000 XBTUSD @ limit 37500"
    again = json.loads(venue.http.answer("POST", path, headers, body, T0)[1])
    assert again == {"error": ["EAPI:Invalid nonce"]}


def test_json_bodies_are_signed_with_their_nonce_member() -> None:
    venue = Venue()
    body = json.dumps({"nonce": "77"}).encode()
    answer = venue.signed("Balance", "one", "77", body, kind="application/json")
    assert answer["result"]["XXBT"] == "10.0000000000"
    answer = venue.signed("Balance", "one", "78", b'{"nonce":', kind="application/json")
    assert answer["error"] == ["EGeneral:Invalid arguments"]


@pytest.mark.parametrize("nonce", ["", "-1", "1.5", "18446744073709551616", "abc"])
def test_a_nonce_must_be_an_unsigned_number(nonce: str) -> None:
    venue = Venue()
    body = urlencode({"nonce": nonce}).encode()
    assert venue.signed("Balance", "one", nonce, body)["error"] == ["EAPI:Invalid nonce"]


def test_nonces_are_kept_a_key() -> None:
    venue = Venue()
    venue.nonce = 100
    assert venue.rest("Balance")["error"] == []
    assert venue.signed("Balance", "two", "5", b"nonce=5")["error"] == []
    assert venue.signed("Balance", "one", "5", b"nonce=5")["error"] == ["EAPI:Invalid nonce"]


def test_call_counter_fills_and_decays() -> None:
    venue = Venue()
    answers = [venue.rest("Balance")["error"] for _ in range(21)]
    assert answers[19:] == [[], ["EAPI:Rate limit exceeded"]]
    venue.wait(2)
    assert venue.rest("TradesHistory")["error"] == []
    assert venue.rest("Balance")["error"] == ["EAPI:Rate limit exceeded"]
    assert venue.rest("CancelOrder", txid="ONOPE")["error"] == ["EOrder:Unknown order"]


def test_public_calls_answer_in_the_venue_s_shapes() -> None:
    venue = Venue()
    venue.market(BUY, "999.0", "1")
    venue.market(SELL, "1000.0", "2")
    pairs = venue.get("/0/public/AssetPairs?pair=XBTUSD")["result"]
    row = pairs["XXBTZUSD"]
    assert (row["wsname"], row["base"], row["quote"]) == ("XBT/USD", "XXBT", "ZUSD")
    assert (row["tick_size"], row["ordermin"], row["costmin"]) == ("0.1", "0.00005", "0.5")
    assert row["fees"][0] == [0, 0.4]
    assert row["fees_maker"][-1] == [10_000_000, 0.0]
    depth = venue.get("/0/public/Depth?pair=BTC/USD&count=1")["result"]["XXBTZUSD"]
    assert depth == {
        "asks": [["1000.0", "2.00000000", T0 // 10**9]],
        "bids": [["999.0", "1.00000000", T0 // 10**9]],
    }
    assert venue.get("/0/public/SystemStatus")["result"] == {
        "status": "online",
        "timestamp": "2023-11-14T22:13:20Z",
    }
    assert venue.get("/0/public/Time")["result"]["unixtime"] == T0 // 10**9
    assert venue.get("/0/public/Depth?pair=WWW")["error"] == ["EQuery:Unknown asset pair"]
    assert venue.get("/0/public/Nothing")["error"] == ["EGeneral:Unknown method"]


def test_order_by_rest_is_found_amended_and_cancelled() -> None:
    venue = Venue()
    order = {
        "pair": "XBTUSD",
        "type": "buy",
        "ordertype": "limit",
        "volume": "0.5",
        "price": "900.0",
        "oflags": "post",
        "cl_ord_id": "m1",
    }
    placed = venue.rest("AddOrder", **order)["result"]
    (txid,) = placed["txid"]
    found = venue.rest("OpenOrders", cl_ord_id="m1")["result"]["open"]
    assert list(found) == [txid]
    assert found[txid]["descr"]["price"] == "900.0"
    assert (found[txid]["vol"], found[txid]["vol_exec"]) == ("0.50000000", "0.00000000")
    assert found[txid]["cl_ord_id"] == "m1"
    assert venue.rest("OpenOrders", cl_ord_id="m2")["result"] == {"open": {}}
    assert "amend_id" in venue.rest("AmendOrder", txid=txid, limit_price="901.0")["result"]
    assert venue.rest("CancelOrder", cl_ord_id="m1")["result"] == {"count": 1}
    row = venue.rest("QueryOrders", txid=txid)["result"][txid]
    assert (row["status"], row["reason"]) == ("canceled", "User requested")
    closed = venue.rest("ClosedOrders", cl_ord_id="m1")["result"]
    assert (list(closed["closed"]), closed["count"]) == ([txid], 1)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"price": "900.05"}, "EOrder:Tick size check failed"),
        ({"price": "x"}, "EGeneral:Invalid arguments:price"),
        ({"volume": "0"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "0.00001"}, "EOrder:Order minimum not met"),
        ({"volume": "10000"}, "EOrder:Insufficient funds"),
        ({"pair": "WWW"}, "EQuery:Unknown asset pair"),
        ({"type": "hold"}, "EGeneral:Invalid arguments:ordertype"),
        ({"timeinforce": "DAY"}, "EGeneral:Invalid arguments:timeinforce"),
    ],
)
def test_a_bad_order_by_rest_is_refused(change: dict[str, str], error: str) -> None:
    venue = Venue()
    order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.5"}
    answer = venue.rest("AddOrder", **(order | {"price": "900.0"} | change))
    assert answer == {"error": [error]}


def filled(venue: Venue) -> Line:
    """Fill 60 orders of 0.01, one a second."""
    line = venue.connect()
    for _ in range(60):
        venue.market(SELL, "1000.0", "0.01")
        line.add("buy", 1000.0, 0.01)
        venue.wait(1)
    return line


def test_history_is_paged_newest_first_and_filtered_by_time() -> None:
    venue = Venue()
    filled(venue)
    first = venue.rest("TradesHistory")["result"]
    assert (len(first["trades"]), first["count"]) == (50, 60)
    rest = venue.rest("TradesHistory", ofs=50)["result"]
    assert len(rest["trades"]) == 10
    assert not set(first["trades"]) & set(rest["trades"])
    newest = next(iter(first["trades"].values()))
    assert newest["time"] == T0 / 10**9 + 59
    assert (newest["cost"], newest["fee"], newest["maker"]) == ("10.00000", "0.04000", False)
    late = venue.rest("TradesHistory", start=T0 // 10**9 + 55)["result"]
    assert late["count"] == 4
    closed = venue.rest("ClosedOrders", ofs=50)["result"]
    assert (len(closed["closed"]), closed["count"]) == (10, 60)
    assert all(row["status"] == "closed" for row in closed["closed"].values())


def test_statement_adds_up_for_every_asset() -> None:
    venue = Venue()
    line = filled(venue)
    line.add("sell", 1001.0, 0.3)
    venue.market(BUY, "1001.0", "0.1", 2)
    statement = venue.get("/sim/statement?account=1")
    for asset in statement["assets"].values():
        total = float(asset["opening"])
        for entry in asset["entries"]:
            total += float(entry["amount"]) - float(entry["fee"])
            assert float(entry["balance"]) == pytest.approx(total)
        assert float(asset["closing"]) == pytest.approx(total)
    assert (len(statement["fills"]), statement["open_orders"]) == (61, 1)
    assert statement["assets"]["BTC"]["held"] == "0.2000000000"
    assert next(iter(venue.get("/sim/open-orders").values()))["vol_exec"] == "0.10000000"
    assert venue.get("/sim/statement?account=2")["fills"] == []


def test_fees_of_the_account_are_told() -> None:
    venue = Venue(fees_ppm=(0, 1000))
    volume = venue.rest("TradeVolume", pair="XBTUSD")["result"]
    assert volume["fees"]["XXBTZUSD"]["fee"] == "0.1000"
    assert volume["fees_maker"]["XXBTZUSD"]["fee"] == "0.0000"


def test_switch_by_rest_and_cancel_all() -> None:
    venue = Venue()
    line = venue.connect()
    line.add("buy", 900.0, 0.5)
    assert venue.rest("CancelAllOrdersAfter", timeout=60)["result"]["triggerTime"] == (
        "2023-11-14T22:14:20Z"
    )
    assert venue.rest("CancelAll")["result"] == {"count": 1}
    assert venue.rest("CancelAllOrdersAfter", timeout="x")["error"] != []


def test_own_paths_set_modes_and_faults_and_refuse_others() -> None:
    venue = Venue()
    status, _ = venue.http.answer("POST", "/sim/mode?set=maintenance", {}, b"", T0)
    assert status == 200
    assert venue.get("/0/public/SystemStatus")["result"]["status"] == "maintenance"
    assert venue.http.answer("POST", "/sim/mode?set=lunch", {}, b"", T0)[0] == 400
    assert venue.http.answer("POST", "/sim/fault?kind=tokens", {}, b"", T0)[0] == 400
    venue.http.on_fault = lambda told, now_ns: f"{told['kind']} {now_ns - T0}"
    told = venue.http.answer("POST", "/sim/fault?kind=tokens", {}, b"", T0 + 5)
    assert told == (200, b'{"added": "tokens 5"}')
    assert venue.http.answer("GET", "/sim/other", {}, b"", T0)[0] == 400
    for account in ("9", "x", "-1"):
        answer = venue.http.answer("GET", f"/sim/statement?account={account}", {}, b"", T0)
        assert answer[0] == 400
    assert venue.http.answer("GET", "/0/private/Balance", {}, b"", T0)[0] == 404
