"""Faults as they strike: each kind at one pipe, on a virtual clock, from the client's side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from openmm.errors import ConfigError
from openmm.events import SystemMode
from openmm.sim.faults import FaultScript, chaos, parse_rule
from openmm.sim.pipe import Pipe
from openmm.sim.strikes import Answered, Strikes
from openmm.venues.kraken.dialect_rest import KrakenRest
from tests.oracles.kraken_reader import ReaderBook, loads
from tests.sim.venue import BUY, NS, SELL, T0, Venue

MS = 1_000_000


class Client:
    """A client of a venue with faults: everything it gets, with the time it got it."""

    def __init__(self, *rules: dict[str, Any], private: bool = True, seed: int = 1) -> None:
        self.venue = Venue()
        self.venue.market(BUY, "990.0", "1")
        self.venue.market(SELL, "1010.0", "1")
        script = FaultScript(tuple(parse_rule(rule) for rule in rules), seed)
        self.strikes = Strikes(script, self.venue.core, self.venue.gateway, T0)
        self.token = self.venue.token()
        self.pipe = Pipe(self.venue.gateway, private, T0, MS, strikes=self.strikes)
        self.seen: list[tuple[int, Any]] = []
        self.now_ns = T0
        self.numbers = 0
        if private:
            self.ask("subscribe", channel="executions")
            self.ask("subscribe", channel="balances")
        else:
            self.ask("subscribe", channel="book", symbol=["BTC/USD"], depth=10)
        self.wait(10 * MS)

    def send(self, method: str, **params: object) -> int:
        self.numbers += 1
        message = {
            "method": method,
            "params": params | {"token": self.token},
            "req_id": self.numbers,
        }
        self.pipe.send(json.dumps(message).encode(), self.now_ns)
        return self.numbers

    def wait(self, span_ns: int) -> None:
        end_ns = self.now_ns + span_ns
        while self.now_ns < end_ns:
            self.now_ns = min(end_ns, self.now_ns + MS)
            self.venue.now_ns = self.now_ns
            for frame in self.pipe.receive(self.now_ns):
                self.seen.append((self.now_ns, loads(frame) if frame.endswith(b"}") else frame))

    def ask(self, method: str, **params: object) -> Any:
        """Return the reply within 50 ms, None without one."""
        number = self.send(method, **params)
        self.wait(50 * MS)
        found = [m for _, m in self.seen if isinstance(m, dict) and m.get("req_id") == number]
        return found[-1] if found else None

    def add(self, client_id: str = "one", side: str = "buy", price: float = 980.0) -> Any:
        return self.ask(
            "add_order", order_type="limit", side=side, symbol="BTC/USD", order_qty=0.5,
            limit_price=price, post_only=True, cl_ord_id=client_id,
        )  # fmt: skip

    def channel(self, name: str) -> list[Any]:
        return [m for _, m in self.seen if isinstance(m, dict) and m.get("channel") == name]

    def reports(self) -> list[str]:
        return [row["exec_type"] for m in self.channel("executions") for row in m["data"]]

    def sequence(self) -> list[int]:
        return [m["sequence"] for m in self.channel("executions")]

    @property
    def open_orders(self) -> list[str]:
        return [order.client_id for order in self.venue.core.open_orders(1)]


def test_late_ack_stalls_all_that_follows_it() -> None:
    client = Client({"kind": "late", "on": "ack.add", "by": "200ms"})
    assert client.add() is None
    assert client.open_orders == ["one"]
    client.wait(200 * MS)
    times = [at for at, m in client.seen if isinstance(m, dict) and "req_id" in m][-1:]
    reports = [at for at, m in client.seen if m in client.channel("executions")[1:]]
    assert reports == [times[0]] * 2  # pending_new and new came behind it


def test_lost_ack_leaves_the_order_open() -> None:
    client = Client({"kind": "lost", "on": "ack.add"})
    assert client.add() is None
    client.wait(NS)
    assert client.open_orders == ["one"]
    assert client.reports() == ["pending_new", "new"]


def test_lost_request_never_reaches_the_venue() -> None:
    client = Client({"kind": "lost", "on": "add"})
    assert client.add() is None
    assert client.open_orders == []
    assert client.add("two")["success"] is True


def test_doubled_request_is_carried_out_twice() -> None:
    client = Client({"kind": "doubled", "on": "add"})
    assert client.add()["success"] is False  # the second: its client id is taken
    assert client.open_orders == ["one"]


@pytest.mark.parametrize(
    ("kind", "seen", "numbers"),
    [
        ("lost", False, [1, 2]),
        ("lost", True, [1, 3]),
        ("doubled", False, [1, 2, 3, 4]),
        ("doubled", True, [1, 2, 2, 3]),
    ],
)
def test_numbers_tell_of_lost_and_doubled_reports_only_where_asked(
    kind: str, seen: bool, numbers: list[int]
) -> None:
    client = Client({"kind": kind, "on": "executions", "seen": seen, "at": "50ms"})
    client.wait(50 * MS)
    client.add()
    assert client.sequence() == numbers


@pytest.mark.parametrize(("seen", "numbers"), [(False, [1, 2, 3]), (True, [1, 3, 2])])
def test_reordered_report_is_overtaken(seen: bool, numbers: list[int]) -> None:
    rule = {"kind": "reordered", "on": "executions", "by": "20ms", "seen": seen, "at": "150ms"}
    client = Client(rule)
    client.wait(150 * MS)
    client.add()
    assert client.reports() == ["new", "pending_new"]
    assert client.sequence() == numbers


def test_wrong_checksum_is_wrong_once() -> None:
    client = Client({"kind": "checksum", "at": "70ms"}, private=False)
    client.wait(100 * MS)
    book = ReaderBook(10)
    right = []
    for price in ("991.0", "992.0"):
        client.venue.market(BUY, price, "1")
        client.wait(10 * MS)
    for message in client.channel("book"):
        book.apply(message)
        right.append(book.checksum() == message["data"][0]["checksum"])
    assert right == [True, False, True]


def test_lost_book_message_is_a_gap() -> None:
    client = Client({"kind": "lost", "on": "book", "at": "70ms"}, private=False)
    client.wait(100 * MS)
    for price in ("991.0", "992.0"):
        client.venue.market(BUY, price, "1")
        client.wait(10 * MS)
    book = ReaderBook(10)
    for message in client.channel("book"):
        book.apply(message)
    assert len(client.channel("book")) == 2
    assert book.checksum() != client.channel("book")[-1]["data"][0]["checksum"]


def test_garbled_message_does_not_read() -> None:
    client = Client({"kind": "garbled", "on": "executions", "at": "150ms"})
    client.wait(150 * MS)
    client.add()
    (cut,) = [m for _, m in client.seen if isinstance(m, bytes)]
    assert cut.startswith(b'{"channel":"executions"')


@pytest.mark.parametrize(("when", "placed"), [("before", []), ("after", ["one"])])
def test_socket_falls_before_or_after_the_venue_acts(when: str, placed: list[str]) -> None:
    client = Client({"kind": "closed", "on": "add", "when": when})
    assert client.add() is None
    assert client.pipe.fallen
    assert client.open_orders == placed
    assert client.venue.gateway.sessions == []


def test_half_open_connection_passes_nothing_either_way_until_it_heals() -> None:
    client = Client({"kind": "half_open", "on": "add", "for": "2s"})
    before = len(client.seen)
    assert client.add() is None
    client.wait(NS)
    assert client.pipe.is_deaf(client.now_ns)
    assert (client.open_orders, len(client.seen)) == ([], before)
    client.wait(2 * NS)
    assert client.open_orders == ["one"]
    assert len(client.seen) > before


@pytest.mark.parametrize(("when", "placed"), [("before", []), ("after", ["one"])])
def test_refused_request_has_been_carried_out_or_not(when: str, placed: list[str]) -> None:
    client = Client({"kind": "refused", "on": "add", "when": when, "text": "EService:Busy"})
    reply = client.add()
    assert (reply["success"], reply["error"]) == (False, "EService:Busy")
    assert client.open_orders == placed
    assert client.reports() == ["pending_new", "new"][: 2 * len(placed)]


def test_post_only_loop_lasts_as_long_as_asked() -> None:
    text = "EOrder:Post only order"
    client = Client({"kind": "refused", "on": "add", "text": text, "for": "120ms"})
    replies = [client.add(str(number)) for number in range(4)]
    assert [reply["success"] for reply in replies] == [False, False, False, True]
    assert replies[0]["error"] == text


def test_forgotten_order_is_in_no_list() -> None:
    client = Client({"kind": "forget"})
    assert client.add()["success"] is True
    assert client.reports() == ["pending_new", "new"]
    assert client.open_orders == []
    assert client.venue.rest("ClosedOrders")["result"]["count"] == 0
    assert client.ask("cancel_order", cl_ord_id=["one"])["error"] == "EOrder:Unknown order"
    held = client.venue.rest("BalanceEx")["result"]["ZUSD"]["hold_trade"]
    assert float(held) == 0


@pytest.mark.parametrize(
    ("by", "told"),
    [(None, ["trade", "canceled"]), ("30ms", ["canceled", "trade"])],
)
def test_fill_comes_before_the_cancel_and_is_told_before_or_after_its_end(
    by: str | None, told: list[str]
) -> None:
    rule = {"kind": "fill", "on": "cancel", "share": "40%"} | ({"by": by} if by else {})
    client = Client(rule)
    client.add(price=985.0)
    assert client.ask("cancel_order", cl_ord_id=["one"])["success"] is True
    assert client.reports()[2:] == told
    (fill,) = client.venue.core.fills(1)
    assert fill.qty_lots == 20_000_000
    assert client.venue.core.open_orders(1) == []


def test_amend_races_a_fill() -> None:
    client = Client({"kind": "fill", "on": "amend", "share": "50%"})
    client.add()
    assert client.ask("amend_order", cl_ord_id="one", limit_price=979.0)["success"] is True
    assert client.reports()[2:] == ["trade", "amended"]


def test_pushed_balance_lies() -> None:
    client = Client({"kind": "lie", "on": "balances", "amount": "-0.25", "at": "150ms"})
    client.wait(150 * MS)
    client.add()
    client.venue.market(SELL, "980.0", "2.0", 2)
    client.wait(10 * MS)
    told = [row["balance"] for m in client.channel("balances")[1:] for row in m["data"]]
    true = [row.balance_atoms for row in client.venue.core._accounts[1].ledger]
    assert float(told[0]) == pytest.approx(true[0] / 1e10 - 0.25)
    assert float(told[1]) == pytest.approx(true[1] / 1e4)


# ---- REST


def call(client: Client, path: str) -> Answered:
    return client.strikes.rest(client.venue.http, "GET", path, {}, b"", client.now_ns)


def test_rest_fails_by_status_silence_refusal_delay_and_wrong_time() -> None:
    client = Client(
        {"kind": "status", "on": "rest.Time", "code": 502},
        {"kind": "timeout", "on": "rest.SystemStatus", "by": "4s"},
        {"kind": "refused", "on": "rest.AssetPairs", "text": "EAPI:Rate limit exceeded"},
        {"kind": "late", "on": "rest.Depth", "by": "3s"},
        {"kind": "clock", "offset": "-7s", "for": "5s", "at": "1s"},
    )
    assert call(client, "/0/public/Time").status == 502
    assert json.loads(call(client, "/0/public/Time").body)["result"]["unixtime"] == T0 // NS
    silent = call(client, "/0/public/SystemStatus")
    assert (silent.lost, silent.delay_ns) == (True, 4 * NS)
    assert b"EAPI:Rate limit exceeded" in call(client, "/0/public/AssetPairs").body
    depth = call(client, "/0/public/Depth?pair=XBTUSD&count=1")
    assert (depth.status, depth.delay_ns, depth.lost) == (200, 3 * NS, False)
    client.wait(2 * NS)
    wrong = json.loads(call(client, "/0/public/Time").body)["result"]["unixtime"]
    assert wrong == client.now_ns // NS - 7
    client.wait(5 * NS)
    assert json.loads(call(client, "/0/public/Time").body)["result"]["unixtime"] == (
        client.now_ns // NS
    )


class Through(KrakenRest):
    """Pass calls through the faults; what the caller would get is kept."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.venue.gateway)
        self.client = client
        self.told: list[Answered] = []

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now_ns: int
    ) -> tuple[int, bytes]:
        inner = KrakenRest(self.gateway)
        self.told.append(self.client.strikes.rest(inner, method, path, headers, body, now_ns))
        return 200, self.told[-1].body or b"{}"


@pytest.mark.parametrize(("when", "left"), [("before", ["one"]), ("after", [])])
def test_rest_that_is_not_answered_has_acted_or_not(when: str, left: list[str]) -> None:
    client = Client({"kind": "timeout", "on": "rest.CancelAll", "when": when})
    client.add()
    client.venue.http = through = Through(client)
    client.venue.rest("CancelAll")
    assert [one.lost for one in through.told] == [True]
    assert client.open_orders == left


def test_rest_balances_lie() -> None:
    client = Client(
        {"kind": "lie", "on": ["rest.Balance", "rest.BalanceEx"], "amount": "0.5", "count": 2}
    )
    client.venue.http = Through(client)
    assert client.venue.rest("Balance")["result"] == {
        "XXBT": "10.5000000000",
        "ZUSD": "1000000.5000",
    }
    assert client.venue.rest("BalanceEx")["result"]["XXBT"]["balance"] == "10.5000000000"
    assert client.venue.rest("Balance")["result"]["XXBT"] == "10.0000000000"


# ---- the venue itself


def test_mode_lasts_as_long_as_asked_and_is_told() -> None:
    client = Client({"kind": "mode", "mode": "maintenance", "for": "2s", "at": "1s"})
    client.wait(NS)
    modes = [client.venue.core.mode]
    assert client.add()["error"] == "EService:Unavailable"
    client.wait(2 * NS)
    modes.append(client.venue.core.mode)
    assert modes == [SystemMode.MAINTENANCE, SystemMode.ONLINE]
    told = [m["data"][0]["system"] for m in client.channel("status")]
    assert told == ["online", "maintenance", "online"]


def test_tokens_in_use_count_no_more() -> None:
    client = Client({"kind": "tokens", "at": "1s"})
    assert client.add()["success"] is True
    client.wait(2 * NS)
    assert client.add("two")["error"] == "ESession:Invalid session"
    client.token = client.venue.token()
    assert client.add("two")["success"] is True


def test_ended_faults_strike_no_more_and_leave_the_venue_online() -> None:
    client = Client(
        {"kind": "mode", "mode": "maintenance", "for": "1h", "at": "1s"},
        {"kind": "lost", "on": "ack", "chance": "100%"},
    )
    client.wait(2 * NS)
    client.strikes.end(client.now_ns)
    assert client.venue.core.mode is SystemMode.ONLINE
    assert client.add()["success"] is True


def test_chance_and_count_bound_what_strikes() -> None:
    client = Client(
        {"kind": "lost", "on": "ack.add", "chance": "50%"},
        {"kind": "lost", "on": "ack.cancel", "chance": "100%", "count": 2},
    )
    replies = [client.add(str(number)) for number in range(40)]
    assert 8 <= sum(reply is None for reply in replies) <= 32
    cancels = [client.ask("cancel_order", cl_ord_id=[str(number)]) for number in range(4)]
    assert [reply is None for reply in cancels] == [True, True, False, False]
    assert client.strikes.struck["lost ack.cancel"] == 2


def test_same_seed_strikes_the_same_way() -> None:
    def run(seed: int) -> list[tuple[int, Any]]:
        client = Client()
        client.strikes = Strikes(chaos(seed), client.venue.core, client.venue.gateway, T0)
        client.pipe._strikes = client.strikes
        for number in range(300):
            client.add(f"a{number}")
            client.ask("cancel_order", cl_ord_id=[f"a{number}"])
            client.wait(200 * MS)
            if client.pipe.fallen:
                client.pipe = Pipe(
                    client.venue.gateway, True, client.now_ns, strikes=client.strikes
                )
        assert len(client.strikes.struck) >= 5
        return client.seen

    first = run(3)
    assert run(3) == first
    assert run(4) != first


def test_told_rule_is_read_from_text_and_checked() -> None:
    client = Client()
    told = {"kind": "lost", "on": "ack.add,ack.amend", "count": "2", "seen": "true"}
    assert client.strikes.add_told(told, client.now_ns) == "lost"
    assert client.add() is None
    with pytest.raises(ConfigError, match=r"fault\.on"):
        client.strikes.add_told({"kind": "lost", "on": "snack"}, client.now_ns)
