"""The engine's side: login before subscriptions, readiness, secrets, family."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from openmm._fast.book import Book
from openmm.clock import ManualClock
from openmm.config.schema import Venue as VenueConfig
from openmm.config.secrets import Keys
from openmm.errors import ConfigError
from openmm.events import RequestRefused, StatusChanged, SystemMode
from openmm.venues import registry
from openmm.venues.bitget.auth import Key
from openmm.venues.bitget.connector import BitgetConnector
from openmm.venues.bitget.rest import Rest
from openmm.venues.bitget.spec import Endpoints, Settings
from openmm.venues.bitget.stream import Subscription, Subscriptions, messages
from tests.venues.bitget.samples import cases, dump, instrument
from tests.venues.bitget.test_venue import Asked

NOW_NS = 1_538_054_050_123_000_000
SECRET = "22582BD0CFF14C41EDBF1AB98506286D"


def make(shared: Path, settings: Settings | None = None) -> BitgetConnector:
    listed = cases(shared)["rest_docs:GET /api/v2/spot/public/symbols"]["message"]["data"]
    asked = Asked({
        "/api/v2/spot/public/symbols": listed, "/api/v2/spot/account/assets": [],
        "/api/v3/market/instruments": [{**listed[0], "minOrderAmount": "1"}],
        "/api/v3/account/assets": {"assets": []},
    })  # fmt: skip
    key = Key("the-key", SECRET, "the-pass")
    rest = Rest(Endpoints(), key, ManualClock(NOW_NS), settings, round_trip=asked)
    connector = BitgetConnector(rest)
    found = asyncio.run(connector.rest().instruments(["BTC/USDT"]))
    connector.order_encoder(found["BTC/USDT"], bot="bot", session_s=1)
    return connector


def ack(channel: str) -> bytes:
    return dump({"event": "subscribe", "arg": {"instType": "SPOT", "channel": channel}})


def test_private_channels_are_asked_for_only_behind_the_login(shared: Path) -> None:
    connector = make(shared)
    [login] = connector.subscribe_private()
    sent = json.loads(login)["args"][0]
    assert sent["timestamp"] == "1538054050"
    assert sent["sign"] == "/4S0C3L8mGdm8894ulf8wfnQ6dqMXO8Iw95zlvMN8Zw="
    assert connector.due() == []
    events = connector.read_private(b'{"event":"login","code":0}', 1)
    assert StatusChanged(SystemMode.ONLINE, "online") in events
    [wanted] = connector.due()
    assert json.loads(wanted) == {
        "op": "subscribe",
        "args": [
            {"instType": "SPOT", "channel": "orders", "instId": "default"},
            {"instType": "SPOT", "channel": "account", "coin": "default"},
        ],
    }
    assert connector.due() == []
    assert not connector.private_ready()
    for channel in ("account", "orders"):
        connector.read_private(ack(channel), 1)
    assert connector.private_ready()
    connector.subscribe_private()
    assert not connector.private_ready()


def test_a_refused_login_is_never_ready(shared: Path) -> None:
    connector = make(shared)
    connector.subscribe_private()
    [event] = connector.read_private(b'{"event":"error","code":30015,"msg":"Invalid sign"}', 1)
    assert isinstance(event, RequestRefused)
    assert connector.due() == []
    assert not connector.private_ready()


def test_subscriptions_are_the_documented_ones(shared: Path) -> None:
    documented = {
        name: case["message"] for name, case in cases(
            shared, "ws_public_and_session_docs", "ws_private_docs", direction="client>venue"
        ).items() if "subscribe" in name
    }  # fmt: skip
    connector = make(shared)
    ours = json.loads(connector.subscribe_market(instrument(), 5)[0])
    for name in ("books5", "trade"):
        wanted = documented[f"ws_public_and_session_docs:{name} subscribe"]
        assert wanted["args"][0] in ours["args"]
    family = connector.family
    for name in ("account", "fill"):
        wanted = documented[f"ws_private_docs:{name} subscribe"]
        assert json.loads(messages("subscribe", family, [Subscription(name)])[0]) == wanted
    wanted = documented["ws_public_and_session_docs:unsubscribe two channels"]
    pairs = [Subscription(arg["channel"], arg["instId"]) for arg in wanted["args"]]
    assert json.loads(messages("unsubscribe", family, pairs)[0]) == wanted


def test_a_unified_account_speaks_its_own_words(shared: Path) -> None:
    connector = make(shared, Settings(account="unified"))
    assert connector.public_url == "wss://ws.bitget.com/v3/ws/public"
    assert json.loads(connector.subscribe_market(instrument(), 400)[0])["args"] == [
        {"instType": "spot", "topic": "books", "symbol": "BTCUSDT"},
        {"instType": "spot", "topic": "publicTrade", "symbol": "BTCUSDT"},
    ]
    connector.subscribe_private()
    connector.read_private(b'{"event":"login","code":"0"}', 1)
    assert [arg["topic"] for arg in json.loads(connector.due()[0])["args"]] == [
        "order", "fill", "account",
    ]  # fmt: skip


def test_a_depth_of_the_other_family_is_refused(shared: Path) -> None:
    with pytest.raises(ConfigError, match=r"venue\.bitget\.depth: one of 1, 5, 15, 400 on classic"):
        make(shared).market_decoder(instrument(), Book(), depth=50, verify=True)
    make(shared, Settings(account="unified")).market_decoder(
        instrument(), Book(), depth=50, verify=True
    )


def test_a_new_snapshot_comes_by_leaving_and_asking_again(shared: Path) -> None:
    connector = make(shared)
    connector.subscribe_market(instrument(), 400)
    sent = [json.loads(message) for message in connector.resubscribe_book(instrument(), 400)]
    assert [message["op"] for message in sent] == ["unsubscribe", "subscribe"]
    assert sent[0]["args"] == sent[1]["args"]


def test_many_subscriptions_stay_below_the_venues_size() -> None:
    subs = Subscriptions()
    sent = subs.subscribe(
        Settings().family, *(Subscription("books", f"P{n}USDT") for n in range(99))
    )
    assert len(sent) > 1
    assert all(len(message) <= 4096 for message in sent)
    assert sum(len(json.loads(message)["args"]) for message in sent) == 99


def test_ping_is_text_of_four_characters(shared: Path) -> None:
    connector = make(shared)
    assert connector.ping() == b"ping"
    assert 0 < connector.ping_every_s < 30


def test_no_secret_reaches_the_journal(shared: Path) -> None:
    connector = make(shared)
    [login] = connector.subscribe_private()
    blank = connector.redact(login)
    assert len(blank) == len(login)
    assert b"the-key" not in blank
    assert b"the-pass" not in blank
    assert SECRET not in repr(connector)


def test_messages_of_a_connection_stay_below_the_venues_limit(shared: Path) -> None:
    budget = make(shared).rate_budget(reserve=lambda threshold: threshold // 2)
    assert (budget.threshold_milli + budget.decay_milli_per_s) // 1000 <= 9


def test_registry_makes_both_sides() -> None:
    config = VenueConfig.model_validate(
        {"name": "bitget", "quote": "BTC/USDT", "options": {"account": "unified"}}
    )
    made = registry.connector(config, Keys("k", "s", "p"))
    assert made.private_url == "wss://ws.bitget.com/v3/ws/private"
    assert registry.venue(config, None).name == "bitget"
    with pytest.raises(ConfigError, match="passphrase"):
        registry.connector(config, Keys("k", "s"))


@pytest.mark.parametrize("options", [{"account": "both"}, {"what": 1}, {"demo": "yes"},
                                     {"fills": "none"}, {"stp_mode": "x"}])  # fmt: skip
def test_options_that_are_not_known_are_refused(options: dict[str, str | int | bool]) -> None:
    config = VenueConfig(name="bitget", quote="BTC/USDT", options=options)
    for make_one in (registry.connector, registry.venue):
        with pytest.raises(ConfigError):
            make_one(config, None)


def test_ids_tell_earlier_and_later_sessions(shared: Path) -> None:
    connector = make(shared)
    pair = connector.instrument("BTC/USDT")
    ids = {}
    for session_s in (1_700_000_000, 1_700_000_100, 1_700_000_050):
        connector.order_encoder(pair, bot="bit", session_s=session_s)
        ids[session_s] = connector.client_id(7)
    assert connector.is_earlier(ids[1_700_000_000])
    assert not connector.is_later(ids[1_700_000_000])
    assert connector.is_later(ids[1_700_000_100])
    assert not connector.is_earlier(ids[1_700_000_100])
    assert not connector.is_earlier(ids[1_700_000_050])
    assert connector.seq_of(ids[1_700_000_050]) == 7
    assert not connector.superseded(1, 7)
