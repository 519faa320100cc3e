"""Requests of the slow path, and what is known of subscriptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openmm.errors import VenueRejected
from openmm.events import RequestRefused, Subscribed
from openmm.venues.faults import Code
from openmm.venues.gateio.auth import Key
from openmm.venues.gateio.stream import (
    PRIVATE,
    REQ_ID_FIRST,
    Requests,
    Subscription,
    Subscriptions,
    book,
    trades,
)
from openmm.venues.messages import State, redact
from tests.venues.gateio.samples import load

KEY = Key("key", "secret")


def documented(shared: Path, file: str, name: str) -> Any:
    [found] = [one["msg"] for one in load(shared, file)["messages"] if one["name"] == name]
    return found


def test_documented_requests_are_written_field_for_field(shared: Path) -> None:
    requests = Requests(Key("xxxx", "secret"))
    assert json.loads(requests.ping(1545404023)) == documented(shared, "official_ws_public", "ping")
    wanted = documented(shared, "official_ws_public", "obu_subscribe")
    ours = json.loads(requests.subscription("subscribe", book("BTC_USDT", 50), 123456)[1])
    assert ours.pop("id") >= REQ_ID_FIRST
    assert ours == wanted
    wanted = documented(shared, "official_ws_public", "private_subscribe_request")
    pair = Subscription("spot.orders", ("BTC_USDT", "GT_USDT"), private=True)
    _, raw = requests.subscription("subscribe", pair, 1611541000)
    ours = json.loads(raw)
    assert list(ours) == list(wanted)
    assert list(ours["auth"]) == list(wanted["auth"])
    assert len(ours["auth"].pop("SIGN")) == 128
    wanted["auth"].pop("SIGN")
    ours["id"] = wanted["id"]
    assert ours == wanted


def test_recorded_subscriptions_are_written_byte_for_byte(shared: Path) -> None:
    rows = [one["raw"] for one in load(shared, "capture_public_misc")["sent"]]
    requests = Requests()
    for wanted, one in (
        (rows[0], trades(json.loads(rows[0])["payload"][0])),
        (rows[1], book("INK_USDT", 100)),
    ):
        req_id, raw = requests.subscription("subscribe", one, 1619093532)
        ours = raw.replace(b'"id":%d,' % req_id, b"")
        expected = json.loads(wanted) | {"payload": list(one.payload)}
        assert ours == json.dumps(expected, separators=(",", ":")).encode()


def test_login_is_signed_over_the_bytes_of_its_parameter(shared: Path) -> None:
    wanted = documented(shared, "official_ws_trading_api", "login_request")
    ours = json.loads(Requests(KEY).login(1681984544, "request-1"))
    assert list(ours) == list(wanted)
    assert list(ours["payload"]) == list(wanted["payload"])
    [vector] = [
        one for one in load(shared, "signing")["vectors"] if one["name"] == "ws_login_no_req_param"
    ]
    assert ours["payload"]["signature"] == vector["sign"]
    other = json.loads(Requests(KEY, "{}").login(1681984544, "request-1"))
    assert other["payload"]["req_param"] == {}
    assert other["payload"]["signature"] == KEY.sign_call("spot.login", b"{}", 1681984544)


def test_a_private_request_needs_a_key() -> None:
    with pytest.raises(VenueRejected) as caught:
        Requests().login(1)
    assert caught.value.code == Code.CREDENTIALS


def test_cancelling_without_a_pair_is_refused_here() -> None:
    with pytest.raises(ValueError, match="all pairs"):
        Requests(KEY).cancel_pair("", 1)
    message = json.loads(Requests(KEY).cancel_pair("BTC_USDT", 1, "buy"))
    assert message["payload"]["req_param"] == {"currency_pair": "BTC_USDT", "side": "buy"}


def test_a_depth_tells_the_channel() -> None:
    assert book("BTC_USDT", 20) == Subscription("spot.order_book_update", ("BTC_USDT", "20ms"))
    assert book("BTC_USDT", 100) == Subscription("spot.order_book_update", ("BTC_USDT", "100ms"))
    assert book("BTC_USDT", 400) == Subscription("spot.obu", ("ob.BTC_USDT.400",))
    with pytest.raises(ValueError, match="depth"):
        book("BTC_USDT", 10)


def made() -> tuple[Requests, Subscriptions]:
    requests = Requests(KEY)
    return requests, Subscriptions(requests)


def test_subscriptions_settle_with_their_answers() -> None:
    _, known = made()
    known.subscribe(*PRIVATE, time_s=1)
    assert not known.settled
    # The payload is not repeated in every answer.
    known.on_events([Subscribed("spot.orders"), Subscribed("spot.usertrades", "!all")])
    assert not known.settled
    known.on_events([Subscribed("spot.balances")])
    settled = known.settled
    known.reset()
    assert (settled, known.settled) == (True, False)


def test_an_answer_for_another_pair_settles_nothing() -> None:
    _, known = made()
    one = book("BTC_USDT", 50)
    known.subscribe(one, time_s=1)
    known.on_events([Subscribed("spot.obu", "ob.ETH/USDT.50")])
    assert known.state(one) is State.ASKED
    known.on_events([Subscribed("spot.obu", "ob.BTC/USDT.50")])
    assert known.state(one) is State.ACTIVE


def test_a_refusal_names_its_request() -> None:
    _, known = made()
    one = book("BTC_USDT", 50)
    [raw] = known.subscribe(one, time_s=1)
    req_id = json.loads(raw)["id"]
    known.on_events([RequestRefused("subscribe", req_id, "no", Code.ARGUMENTS, False)])
    assert known.refused == [one]


def test_renewing_leaves_first_what_is_held() -> None:
    _, known = made()
    one = book("BTC_USDT", 50)
    assert [json.loads(raw)["event"] for raw in known.renew(one, 1)] == ["subscribe"]
    assert [json.loads(raw)["event"] for raw in known.renew(one, 1)] == [
        "unsubscribe", "subscribe",
    ]  # fmt: skip


def test_ids_keep_to_32_bits() -> None:
    requests = Requests()
    requests._req_id = (1 << 31) - 2
    assert requests.next_id() == (1 << 31) - 1
    assert requests.next_id() == REQ_ID_FIRST


def test_secrets_are_blanked_at_the_same_length() -> None:
    assert redact(b'{"api_key":"abc"}', "abc", "") == b'{"api_key":"***"}'
