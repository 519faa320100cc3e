"""Who may place orders at a real venue, and how large: the rules, and a session under them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from openmm.config import BotConfig, Grid
from openmm.engine import admission
from openmm.engine.admission import (
    CANARY,
    DAY_NS,
    FULL,
    STRICT,
    Canary,
    Doctored,
    Live,
    admit,
    canary_config,
    capital_problem,
    config_hash,
    confirmed,
    fingerprint,
    goes_live,
    is_real,
    read_record,
    write_record,
)
from openmm.errors import RiskError
from openmm.instrument import Instrument
from tests.e2e import planted
from tests.e2e.planted import Planted

NOW = 1_800_000_000_000_000_000
KEY = "key-of-the-account"


@pytest.fixture
def config() -> BotConfig:
    made = planted.config("kraken")
    venue = made.venue[0]
    real = venue.model_copy(update={"endpoints": type(venue.endpoints)()})
    return made.model_copy(update={"venue": (real,)})


def seen(config: BotConfig, key: str = KEY, passed_ns: int = NOW - 1) -> Doctored:
    venue = config.quoted.name
    return Doctored(venue, fingerprint(venue, key), config_hash(config), passed_ns)


def word(config: BotConfig, size: str = CANARY, key: str = KEY) -> Live:
    return confirmed(config, key, None, size, "ann", NOW - 1)


@pytest.mark.parametrize(
    ("url", "real"),
    [
        ("http://127.0.0.1:9", False), ("wss://ws.kraken.com/v2", True), (None, True),
        ("https://localhost.example.com", True), ("ws://[::1]:8", False),
    ],
)  # fmt: skip
def test_every_address_off_this_machine_is_a_real_one(url: str | None, real: bool) -> None:
    assert is_real(url, {}) is real
    assert is_real(url, {STRICT: "1"})
    # There is no value that makes it laxer.
    for value in ("", "0", "no"):
        assert is_real(url, {STRICT: value}) >= real


def test_everything_in_place_is_admitted_at_the_size_that_was_confirmed(config: BotConfig) -> None:
    assert goes_live(config, {})
    small = admit(config, KEY, seen(config), word(config), NOW)
    assert (small.real, small.canary) == (True, True)
    large = admit(config, KEY, seen(config), word(config, FULL), NOW)
    assert (large.real, large.canary) == (True, False)
    assert admit(config, KEY, seen(config), word(config, FULL), NOW, canary=True).canary


Change = Callable[[BotConfig, Doctored, Live], tuple[Doctored | None, Live | None]]
REFUSED: dict[str, tuple[Change, str, str]] = {
    "nothing": (lambda _c, _d, _w: (None, None), "no passed doctor", "openmm doctor kraken --for"),
    "no word": (lambda _c, d, _w: (d, None), "no live start", "openmm run FILE at a terminal"),
    "no doctor": (
        lambda _c, _d, w: (None, replace(w, config="other")), "no passed doctor", "openmm doctor",
    ),
    "old doctor": (
        lambda _c, d, w: (replace(d, passed_ns=NOW - DAY_NS - 1), replace(w, config="other")),
        "more than a day old", "openmm doctor",
    ),
    "doctor of tomorrow": (
        lambda _c, d, w: (replace(d, passed_ns=NOW + 1), replace(w, config="other")),
        "more than a day old", "openmm doctor",
    ),
    "doctor of another venue": (
        lambda _c, d, w: (replace(d, venue="gateio"), replace(w, config="other")),
        "another venue or key", "openmm doctor",
    ),
    "doctor of another key": (
        lambda _c, d, w: (replace(d, key="other"), replace(w, config="other")),
        "another venue or key", "openmm doctor",
    ),
    "changed file": (
        lambda _c, d, w: (replace(d, config="other"), replace(w, config="other")),
        "has changed", "openmm doctor",
    ),
    "word for another bot": (
        lambda _c, d, w: (d, replace(w, bot="other")), "other on kraken", "at a terminal",
    ),
    "word for another venue": (
        lambda _c, d, w: (d, replace(w, venue="mexc")), "on mexc", "at a terminal",
    ),
    "word for another key": (
        lambda _c, d, w: (d, replace(w, key="other")), "another key", "at a terminal",
    ),
    "word for other addresses": (
        lambda _c, d, w: (d, replace(w, endpoints=("rest=https://example.com",))),
        "other addresses", "at a terminal",
    ),
    "word for another pair": (
        lambda _c, d, w: (d, replace(w, pair="ETH/USD")), "is ETH/USD, not BTC/USD",
        "at a terminal",
    ),
    "word for smaller orders": (
        lambda _c, d, w: (d, replace(w, max_order_size=w.max_order_size / 2)),
        "risk.max_order_size is", "at a terminal",
    ),
    "word for less at once": (
        lambda _c, d, w: (d, replace(w, max_open_notional=w.max_open_notional - 1)),
        "risk.max_open_notional is", "at a terminal",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_is_missing_is_refused_with_what_to_do(config: BotConfig, case: str) -> None:
    change, why, what = REFUSED[case]
    doctor, live = change(config, seen(config), word(config, FULL))
    with pytest.raises(RiskError, match=why) as caught:
        admit(config, KEY, doctor, live, NOW, environ={})
    assert caught.value.code == "not_confirmed"
    assert what in str(caught.value)


def test_same_file_starts_again_without_another_doctor(config: BotConfig) -> None:
    live = word(config, FULL)
    assert admit(config, KEY, None, live, NOW + 300 * DAY_NS).real
    old = replace(seen(config), passed_ns=NOW - 9 * DAY_NS)
    assert admit(config, KEY, old, live, NOW).real


def test_any_change_of_the_file_is_another_file(config: BotConfig) -> None:
    risk = config.risk.model_copy(update={"max_inventory": Decimal("0.31")})
    assert config_hash(config.model_copy(update={"risk": risk})) != config_hash(config)
    bot = config.bot.model_copy(update={"run_dir": Path("/elsewhere")})
    assert config_hash(config.model_copy(update={"bot": bot})) == config_hash(config)


def test_simulated_venue_needs_no_word_but_counts_as_real_when_declared(config: BotConfig) -> None:
    local = planted.config("kraken")
    assert not admit(local, KEY, None, None, NOW, environ={}).real
    with pytest.raises(RiskError):
        admit(local, KEY, None, None, NOW, environ={STRICT: "1"})
    paper = config.model_copy(update={"bot": config.bot.model_copy(update={"mode": "paper"})})
    assert not admit(paper, KEY, None, None, NOW, environ={STRICT: "1"}).real


def test_canary_still_counts_after_another_word_of_the_same_account(config: BotConfig) -> None:
    ended = Canary("s1", NOW, True, 4)
    first = replace(word(config), canary=ended)
    assert confirmed(config, KEY, first, FULL, "ann", NOW).canary == ended
    assert confirmed(config, "another", first, FULL, "ann", NOW).canary is None
    admitted = admission.Admission(real=True, canary=True)
    assert admission.after_start(first, config, admitted).canary is None


def test_record_is_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    record = Live("b", "kraken", "k", ("rest=x",), "c", 5, "ann")
    write_record(path, record)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_record(path, Live) == record
    path.chmod(0o644)
    with pytest.raises(RiskError, match="others than its user"):
        read_record(path, Live)
    path.chmod(0o600)
    path.write_text("{")
    with pytest.raises(RiskError, match="damaged"):
        read_record(path, Live)
    path.unlink()
    assert read_record(path, Live) is None


def btc(**other: object) -> Instrument:
    fields: dict[str, object] = {
        "venue": "kraken", "name": "BTC/USD", "base": "BTC", "quote": "USD", "price_decimals": 1,
        "qty_decimals": 8, "tick_size": Decimal("0.1"), "lot_size": Decimal("0.00000001"),
        "qty_min": Decimal("0.0001"), "cost_min": Decimal(5), "base_decimals": 10,
        "quote_decimals": 4,
    }  # fmt: skip
    return Instrument(**(fields | other))  # type: ignore[arg-type]


def test_canary_trades_the_least_the_venue_takes(config: BotConfig) -> None:
    mid = Decimal(50_000)
    small = canary_config(config, btc(), mid)
    assert isinstance(small.strategy, Grid)
    # 5 USD at 50,000, and a tenth more: 0.00011; an order grows by half where it leans.
    assert small.strategy.order_amount == Decimal("0.00011")
    assert small.risk.max_order_size == Decimal("0.000165")
    assert small.risk.max_open_notional == Decimal("33.00")
    assert small.strategy.order_amount * mid >= 5


def test_canary_is_never_looser_than_the_file(config: BotConfig) -> None:
    small = canary_config(config, btc(qty_min=Decimal(1)), Decimal(50_000))
    assert isinstance(small.strategy, Grid)
    assert isinstance(config.strategy, Grid)
    assert small.strategy.order_amount <= config.strategy.order_amount
    assert small.risk.max_order_size <= config.risk.max_order_size
    assert small.risk.max_open_notional <= config.risk.max_open_notional


@pytest.mark.parametrize(("capital", "good"), [("50999", True), ("51001", False)])
def test_capital_is_held_against_what_the_account_holds(
    config: BotConfig, capital: str, good: bool
) -> None:
    held = {"BTC": Decimal("0.02"), "USD": Decimal(50_000)}
    bot = config.bot.model_copy(update={"capital": Decimal(capital)})
    told = capital_problem(config.model_copy(update={"bot": bot}), btc(), Decimal(50_000), held)
    assert (told == "") is good
    assert good or "bot.capital allots 51001: fund it, or allot less" in told
    without = capital_problem(config, btc(), Decimal(50_000), {"USD": Decimal(49_999)})
    assert "risk.max_open_notional allots 50000" in without


def test_session_declared_real_is_refused_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STRICT, "1")
    one = Planted("kraken", tmp_path)
    with pytest.raises(RiskError, match="no passed doctor"):
        one.bot.start()
    assert one.core.orders(one.account) == []


def test_canary_session_stays_small_and_ends_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STRICT, "1")
    one = Planted("kraken", tmp_path)
    folder = tmp_path / "kraken"
    folder.mkdir()
    key = one.core._accounts[one.account].key
    config = one.bot.config
    write_record(admission.doctor_path(folder), seen(config, key, one.bot.now_ns))
    write_record(admission.live_path(folder), word(config, key=key))
    one.bot.start()
    one.until(lambda: bool(one.core.orders(one.account)))
    one.bot.run(20)
    orders = one.core.orders(one.account)
    qtys = {one.bot.step.instrument.qty(order.qty_lots) for order in orders}
    assert max(qtys) < Decimal("0.0003") < Decimal("0.01")
    running = read_record(admission.live_path(folder), Live)
    assert running is not None
    assert running.canary is None
    assert one.bot.stop() == 0
    ended = read_record(admission.live_path(folder), Live)
    assert ended is not None
    assert ended.canary is not None
    assert (ended.canary.session, ended.canary.clean) == (one.bot.session_id, True)


def test_canary_that_halted_did_not_end_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STRICT, "1")
    one = Planted("kraken", tmp_path)
    folder = tmp_path / "kraken"
    folder.mkdir()
    key = one.core._accounts[one.account].key
    write_record(admission.doctor_path(folder), seen(one.bot.config, key, one.bot.now_ns))
    write_record(admission.live_path(folder), word(one.bot.config, key=key))
    one.bot.start()
    one.core.tamper(one.account, "USD", -one.atoms("USD", "500"))
    one.until_told(asset="USD", state="open")
    assert one.bot.stop() == 1
    ended = read_record(admission.live_path(folder), Live)
    assert ended is not None
    assert ended.canary is not None
    assert not ended.canary.clean


def test_account_with_less_than_its_capital_is_refused(tmp_path: Path) -> None:
    one = Planted("kraken", tmp_path)
    bot = one.bot.config.bot.model_copy(update={"capital": Decimal(500_000)})
    one.bot.engine.config = one.bot.config.model_copy(update={"bot": bot})
    with pytest.raises(RiskError, match="allots 500000") as caught:
        one.bot.start()
    assert caught.value.code == "capital"
    assert one.core.orders(one.account) == []
