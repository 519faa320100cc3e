"""The door against a real running bot: what it lets in, what it refuses, what the audit says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec import structs

from openmm.control import alerts, deeds
from openmm.control.access import LOCAL, Caps, Client, Clients, Scope
from openmm.control.actions import ACTIONS
from openmm.control.audit import Audit
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.engine import process
from openmm.engine.commands import Place
from openmm.errors import ControlError, OpenMMError
from tests.control.running import running_bot, until
from tests.e2e.programs import KEYS

BOT = {"bot": "btc-grid"}
NOW = 1_800_000_000_000_000_000
READER = Client("ann")
BRAKER = Client("bob", frozenset({Scope.READ, Scope.BRAKE}))
TRADER = Client("cid", frozenset(Scope))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running_bot(tmp_path_factory.mktemp("door")) as found:
        yield found


@pytest.fixture
def empty(tmp_path: Path) -> Home:
    return Home(tmp_path / "runs", tmp_path / "state", tmp_path / "clients.toml")


def call(home: Home, client: Client, action: str, args: dict[str, Any], **how: Any) -> Any:
    return Door(home).call(client, action, args, surface="test", **how)


def refused(home: Home, client: Client, action: str, args: dict[str, Any], **how: Any) -> str:
    """Call what must be refused; return the code, after a look at the audit."""
    with pytest.raises(OpenMMError) as caught:
        call(home, client, action, args, **how)
    last = next(Audit(home.audit).newest())
    assert last["verdict"].startswith(f"refused: {caught.value.code}: ")
    assert last["caller"]["client"] == client.name
    return str(caught.value.code)


def verdicts(home: Home, count: int) -> list[tuple[str, str]]:
    found = Audit(home.audit).newest()
    return [(one["action"], one["verdict"]) for one, _ in zip(found, range(count), strict=False)]


def state(home: Home) -> str:
    return str(call(home, LOCAL, "status", BOT)["risk_state"])


def made(home: Home, client: Client, action: str, args: dict[str, Any], **how: Any) -> Any:
    """Preview and call."""
    shown = Door(home).preview(client, action, args, surface="test")
    return call(home, client, action, args, preview=shown["preview"], **how)


def far_bid(home: Home, part: str = "0.97") -> dict[str, str]:
    """Return an order that rests far below the market."""
    book = call(home, LOCAL, "status", BOT)["book"]
    price = (Decimal(book["bids"][0][0]) * Decimal(part)).quantize(Decimal("0.1"))
    return {**BOT, "side": "buy", "qty": "0.001", "price": str(price)}


# First: every pause and resume after it costs the venue's rate budget for orders.
def test_order_by_hand_is_placed_within_the_caps_and_cancelled(home: Home) -> None:
    args = far_bid(home, "0.99")
    client = structs.replace(TRADER, caps=Caps(120, 1, Decimal(1_000), Decimal(1_000)))
    done = made(home, client, "place", args)
    order = done["order"]["client_id"]
    assert done["order"]["by"] == "hand:cid"
    with pytest.raises(OpenMMError) as caught:
        made(home, client, "place", args, key="o2")
    assert caught.value.code == "over_cap"
    assert call(home, BRAKER, "cancel", {**BOT, "order": order})["orders"] == [order]


def test_brakes_need_no_preview_and_the_way_back_does(home: Home) -> None:
    assert call(home, BRAKER, "pause", BOT)["risk_state"] == "PAUSED"
    assert verdicts(home, 2) == [("pause", "done"), ("pause", "asked")]
    assert refused(home, BRAKER, "resume", BOT) == "forbidden"
    assert refused(home, TRADER, "resume", BOT) == "preview_required"
    shown = Door(home).preview(TRADER, "resume", BOT, surface="test")
    assert shown["diff"] == [{"key": "state", "before": "paused", "after": "running"}]
    assert shown["needs"] == {"scope": "resume"}
    token = shown["preview"]
    assert refused(home, LOCAL, "resume", BOT, preview=token) == "preview_mismatch"
    assert refused(home, TRADER, "resume", {**BOT, "reason": "x"}, preview=token) == (
        "preview_mismatch"
    )
    assert call(home, TRADER, "resume", BOT, preview=token)["risk_state"] == "RUNNING"
    assert refused(home, TRADER, "resume", BOT, preview=token) == "preview_used"


def test_preview_of_a_state_that_has_moved_is_refused(home: Home) -> None:
    call(home, LOCAL, "pause", BOT)
    token = Door(home).preview(TRADER, "resume", BOT, surface="test")["preview"]
    call(home, LOCAL, "halt", {**BOT, "reason": "news"})
    moved = refused(home, TRADER, "resume", BOT, preview=token)
    assert moved == "preview_mismatch"
    assert call(home, LOCAL, "resume", BOT, confirmed=True)["risk_state"] == "RUNNING"


def test_change_is_shown_made_told_once_and_taken_back(home: Home) -> None:
    args = {**BOT, "changes": {"strategy.num_orders": "2"}}
    shown = Door(home).preview(TRADER, "set", args, surface="test")
    assert {"key": "strategy.num_orders", "before": "3", "after": "2"} in shown["diff"]
    assert [len(shown["ladder"][when]["bids"]) for when in ("before", "after")] == [3, 2]
    done = call(home, TRADER, "set", args, preview=shown["preview"], key="s1")
    assert done["changed"]["strategy.num_orders"] == "2"
    assert call(home, TRADER, "set", args, preview=shown["preview"], key="s1")["repeated"]
    back = made(home, TRADER, "undo", BOT)
    assert "strategy.num_orders" not in back["changed"]


def test_change_whose_values_have_moved_since_is_refused(home: Home) -> None:
    args = {**BOT, "changes": {"strategy.num_orders": "2"}}
    token = Door(home).preview(TRADER, "set", args, surface="test")["preview"]
    made(home, TRADER, "set", {**BOT, "changes": {"risk.max_order_size": "0.04"}})
    assert refused(home, TRADER, "set", args, preview=token) == "stale_preview"
    made(home, TRADER, "undo", BOT)


def test_limit_looser_than_the_file_s_is_refused_at_the_preview(home: Home) -> None:
    args = {**BOT, "changes": {"risk.max_order_size": "0.06"}}
    with pytest.raises(OpenMMError) as caught:
        Door(home).preview(TRADER, "set", args, surface="test")
    assert caught.value.code == "looser"
    assert verdicts(home, 1)[0][1].startswith("refused: looser")
    with pytest.raises(OpenMMError) as caught:
        call(home, LOCAL, "set", args, confirmed=True)
    assert caught.value.code == "looser"


@pytest.mark.parametrize(
    "caps",
    [Caps(), Caps(120, 5), Caps(120, 5, Decimal(1), Decimal(10_000)), Caps(120, 0, Decimal(10**6))],
)
def test_order_over_a_cap_is_refused_at_door_and_bot(home: Home, caps: Caps) -> None:
    args = far_bid(home)
    client = structs.replace(TRADER, caps=caps)
    with pytest.raises(OpenMMError) as caught:
        Door(home).preview(client, "place", args, surface="test")
    assert caught.value.code == "over_cap"
    bot = next(one for one in home.bots() if one.bot == "btc-grid")
    command = Place("buy", args["qty"], args["price"])
    with pytest.raises(OpenMMError) as caught:
        deeds.send(bot, command, client, "test")
    assert caught.value.code == "over_cap"


def test_flatten_is_shown_and_left_by_resume(home: Home) -> None:
    shown = Door(home).preview(TRADER, "flatten", BOT, surface="test")
    assert shown["diff"][0]["key"] == "state"
    assert shown["needs"]["scope"] == "trade"
    call(home, TRADER, "flatten", BOT, preview=shown["preview"])
    assert made(home, TRADER, "resume", BOT)["risk_state"] == "RUNNING"


def test_only_the_operator_confirms_without_a_preview(home: Home) -> None:
    assert refused(home, TRADER, "resume", BOT, confirmed=True) == "forbidden"


def test_write_told_again_with_its_key_happens_once(home: Home) -> None:
    call(home, LOCAL, "pause", BOT)
    token = Door(home).preview(TRADER, "resume", BOT, surface="test")["preview"]
    first = call(home, TRADER, "resume", BOT, preview=token, key="k1")
    assert "repeated" not in first
    again = call(home, TRADER, "resume", BOT, preview=token, key="k1")
    assert again == {**first, "repeated": True}
    assert refused(home, TRADER, "resume", {**BOT, "reason": "x"}, key="k1") == "key_reused"


def test_brake_told_again_with_its_key_brakes_again(home: Home) -> None:
    call(home, BRAKER, "pause", BOT, key="p1")
    call(home, LOCAL, "resume", BOT, confirmed=True)
    again = call(home, BRAKER, "pause", BOT, key="p1")
    assert (again["repeated"], again["risk_state"]) == (True, "PAUSED")
    call(home, LOCAL, "resume", BOT, confirmed=True)


@pytest.mark.parametrize(
    ("action", "args", "told"),
    [
        ("nonsense", {}, "one of bots, status"),
        ("status", {}, "bot: status needs it"),
        ("status", {"bot": "btc-grid", "x": 1}, "x: status takes bot; got 1"),
        ("status", {"bot": "../../etc"}, "bot: 1 to 32"),
        ("status", {"bot": ["btc-grid"]}, "bot: a text"),
        ("orders", {"bot": "btc-grid", "limit": 501}, "limit: an integer from 1 to 500; got 501"),
        ("orders", {"bot": "btc-grid", "limit": True}, "limit: an integer"),
        ("fills", {"bot": "btc-grid", "hours": "-1"}, "hours: a positive number"),
        ("fills", {"bot": "btc-grid", "hours": "1e999999"}, "hours: a positive number"),
        ("portfolio", {"hours": "1e-2000000000"}, "hours: a positive number"),
        ("halt", {"bot": "btc-grid", "reason": "x" * 401}, "reason: a text of at most 400"),
        ("halt", {"bot": "btc-grid", "reason": "\x1b[2J"}, "reason: a text of at most 400"),
        ("place", {"bot": "btc-grid", "side": "up", "qty": "1", "price": "1"}, "one of buy, sell"),
        ("set", {"bot": "btc-grid", "changes": {}}, "changes: an object of 1 to 40"),
        ("set", {"bot": "btc-grid", "changes": {"a b": "1"}}, "changes: keys as in the file"),
        ("set", {"bot": "btc-grid", "changes": {"strategy.spread": 1}}, "changes.strategy.spread"),
    ],
)
def test_bad_argument_is_refused_by_its_name(
    empty: Home, action: str, args: dict[str, Any], told: str
) -> None:
    assert refused(empty, TRADER, action, args) == "bad_argument"
    with pytest.raises(ControlError) as caught:
        call(empty, TRADER, action, args)
    assert told in str(caught.value)


def test_bad_argument_that_opens_doors_is_told_nowhere(empty: Home) -> None:
    for args in ({"api_key": "geheim"}, {"bot": "b", "changes": {"x.password": ["geheim"]}}):
        with pytest.raises(ControlError) as caught:
            call(empty, TRADER, "set", args)
        assert caught.value.code == "bad_argument"
        assert "geheim" not in str(caught.value)
    assert "geheim" not in empty.audit.read_text()


def test_unknown_bot_tells_of_no_other_client_s_bots(home: Home) -> None:
    stranger = Client("eve", frozenset(Scope), ("eth-grid",))
    for action in ("status", "halt"):
        with pytest.raises(ControlError) as caught:
            call(home, stranger, action, BOT)
        assert caught.value.code == "unknown_bot"
        assert "there are: none" in str(caught.value)
    assert call(home, stranger, "bots", {})["bots"] == []
    assert call(home, READER, "bots", {})["bots"][0]["bot"] == "btc-grid"
    seen = call(home, stranger, "audit", {"limit": 500})["records"]
    assert seen
    assert {one["caller"]["client"] for one in seen} == {"eve"}


def test_reads_that_are_used_up_leave_the_brakes(home: Home) -> None:
    door = Door(home)
    for _ in range(READER.caps.requests_per_minute):
        door.call(BRAKER, "audit", {"limit": 1}, surface="test")
    with pytest.raises(ControlError) as caught:
        door.call(BRAKER, "audit", {}, surface="test")
    assert caught.value.code == "rate_limited"
    assert door.call(BRAKER, "pause", BOT, surface="test")["risk_state"] == "PAUSED"
    call(home, LOCAL, "resume", BOT, confirmed=True)


def test_flood_of_refusals_is_one_line_a_second_with_its_count(empty: Home) -> None:
    now = [time.time_ns()]
    door = Door(empty, clock=lambda: now[0])
    for number in range(50):
        with pytest.raises(ControlError, match="opens nothing"):
            # Whose it claims to be is the sender's choice.
            door.authenticate(f"omm_ann{number}_x", surface="gateway")
    assert len(list(Audit(empty.audit).newest())) == 1
    now[0] += 1_000_000_000
    with pytest.raises(ControlError):
        door.authenticate("omm_ann_x", surface="gateway")
    last = next(Audit(empty.audit).newest())
    assert last["not_listed"] == 49
    assert last["caller"]["client"] == "ann"
    assert last["verdict"].startswith("refused: unauthenticated")


def test_token_that_is_revoked_opens_nothing_where_it_had_been_let_in(empty: Home) -> None:
    book, door = Clients(empty.clients), Door(empty)
    client = door.authenticate(book.add(Client("ann"), time.time_ns()))
    assert door.call(client, "bots", {}, surface="test")["bots"] == []
    book.revoke("ann")
    with pytest.raises(ControlError) as caught:
        door.call(client, "bots", {}, surface="test")
    assert caught.value.code == "unauthenticated"
    book.add(Client("ann"), time.time_ns())  # another token of the same name
    with pytest.raises(ControlError) as caught:
        door.call(client, "bots", {}, surface="test")
    assert caught.value.code == "unauthenticated"


def test_audit_that_cannot_be_written_stops_all_but_the_brakes(home: Home) -> None:
    blocked = Home(home.root, home.root.parent / "blocked", home.clients)
    blocked.state.write_text("a file where the folder should be")
    for action, args in (("status", BOT), ("bots", {})):
        with pytest.raises(ControlError) as caught:
            call(blocked, LOCAL, action, args)
        assert caught.value.code == "not_recorded"
    done = call(blocked, BRAKER, "pause", BOT)
    assert done["risk_state"] == "PAUSED"
    assert "not recorded" in done["audit"]
    with pytest.raises(ControlError) as caught:
        call(blocked, LOCAL, "resume", BOT, confirmed=True)
    assert caught.value.code == "not_recorded"
    until(lambda: state(home) == "paused", "the page tells it")
    call(home, LOCAL, "resume", BOT, confirmed=True)


def test_audit_of_all_that_was_done_here_holds(home: Home) -> None:
    assert Audit(home.audit).verify().problem == ""


def in_ledger(home: Home, order: str) -> bool:
    try:
        return bool(call(home, LOCAL, "order", {**BOT, "order": order}))
    except OpenMMError as error:
        if "ledger" not in str(error):
            raise
        return False


def test_every_action_can_be_called_and_is_on_record(home: Home) -> None:
    """Reads with what a surface would send; what acts has its own tests, but is asked for here."""
    until(lambda: bool(call(home, LOCAL, "orders", BOT)["orders"]), "orders rest again")
    order = str(call(home, LOCAL, "orders", BOT)["orders"][0]["client_id"])
    until(lambda: in_ledger(home, order), "the writer has booked it")
    told = {
        "order": order, "venue": "kraken", "pair": "BTC/USD", "side": "buy", "qty": "0.001",
        "price": "1", "changes": {"strategy.num_orders": "3"}, "mode": "paper", "alert": "none",
        "description": "a grid on BTC/USD at kraken with 1% spread",
    }  # fmt: skip
    for action in ACTIONS.values():
        args = {one.name: told[one.name] for one in action.params if one.required}
        args |= BOT if action.bot else {}
        before = next(Audit(home.audit).newest())["ts_ns"]
        if action.writes:
            code = refused(home, READER, action.name, args)
            assert code == "forbidden", action.name
        else:
            assert isinstance(call(home, TRADER, action.name, args), dict), action.name
        last = next(Audit(home.audit).newest())
        assert (last["action"], last["scope"]) == (action.name, action.scope.value)
        assert last["ts_ns"] > before
        orjson.dumps(last)


def test_alert_is_taken_note_of_by_name(empty: Home) -> None:
    with alerts.changing(empty) as book:
        alert = book.see("halt", "critical", "btc-grid", "", "halted", NOW).id
    assert refused(empty, READER, "acknowledge", {"alert": alert}) == "forbidden"
    stranger = Client("eve", frozenset(Scope), ("eth-grid",))
    assert refused(empty, stranger, "acknowledge", {"alert": alert}) == "no_alert"
    done = call(empty, BRAKER, "acknowledge", {"alert": alert})["alert"]
    assert done["acknowledged_by"] == "bob"
    assert call(empty, READER, "alerts", {})["alerts"] == [done]


# Last: the bot is another one after it.
def test_bot_is_stopped_and_started_again_once_a_key(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in KEYS.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home.root.parent))
    run_dir = next(one for one in home.bots() if one.bot == "btc-grid")
    before = run_dir.read_session()["session"]
    with pytest.raises(ControlError) as caught:
        Door(home).preview(TRADER, "start", BOT, surface="test")
    assert caught.value.code == "already_running"
    call(home, BRAKER, "stop", BOT, key="stop")
    until(lambda: run_dir.holder_pid() is None, "the bot has ended")
    assert call(home, BRAKER, "stop", BOT, key="stop")["repeated"]  # there is nothing to stop
    shown = Door(home).preview(TRADER, "start", BOT, surface="test")
    try:
        first = call(home, TRADER, "start", BOT, preview=shown["preview"], key="go")
        again = call(home, TRADER, "start", BOT, preview=shown["preview"], key="go")
        assert again == {**first, "repeated": True}
        assert run_dir.read_session()["session"] != before
        assert verdicts(home, 1) == [("start", "done")]
    finally:
        call(home, LOCAL, "stop", BOT)
        until(lambda: run_dir.holder_pid() is None, "the bot has ended")
        for child in process._OUTLIVING:
            child.wait(30)
    assert Audit(home.audit).verify().problem == ""
