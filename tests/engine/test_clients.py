"""What clients use of their caps: counted before an order leaves, kept over restarts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from openmm.engine.clients import HOUR_NS, MINUTE_NS, USES_MAX, Caps, ClientUses, read_caps
from openmm.errors import CommandError

NOW = 1_800_000_000_000_000_000
CAPS = Caps(2, Decimal(100), Decimal(250))


def refusal(uses: ClientUses, notional: str, now_ns: int, caps: Caps = CAPS) -> str:
    """Return the cap that an order would pass, "": none."""
    try:
        uses.check("desk", caps, Decimal(notional), now_ns)
    except CommandError as error:
        return error.details["cap"] if error.code == "over_cap" else error.code
    return ""


def test_each_cap_holds_to_the_last_unit() -> None:
    uses = ClientUses(None, NOW)
    assert refusal(uses, "100", NOW) == ""
    assert refusal(uses, "100.00000001", NOW) == "order_notional"
    uses.note("desk", Decimal(100), NOW)
    uses.note("desk", Decimal(100), NOW)
    assert refusal(uses, "1", NOW) == "orders_per_minute"
    assert refusal(uses, "1", NOW + MINUTE_NS - 1) == "orders_per_minute"
    assert refusal(uses, "50", NOW + MINUTE_NS) == ""
    assert refusal(uses, "50.01", NOW + MINUTE_NS) == "notional_per_hour"
    assert refusal(uses, "50.01", NOW + HOUR_NS - 1) == "notional_per_hour"
    assert refusal(uses, "100", NOW + HOUR_NS) == ""
    assert uses.used("desk", NOW + HOUR_NS) == {"orders_per_minute": "0", "notional_per_hour": "0"}


@pytest.mark.parametrize(
    ("caps", "cap"),
    [
        (Caps(), "order_notional"),
        (Caps(5), "order_notional"),
        (Caps(5, Decimal(10)), "notional_per_hour"),
        (Caps(0, Decimal(10), Decimal(10)), "orders_per_minute"),
    ],
)
def test_cap_that_was_not_granted_is_none_at_all(caps: Caps, cap: str) -> None:
    assert refusal(ClientUses(None, NOW), "1", NOW, caps) == cap


def test_restart_forgives_nothing_within_the_hour(tmp_path: Path) -> None:
    path = tmp_path / "clients-used"
    uses = ClientUses(path, NOW)
    for notional in ("100", "90", "40.5"):
        uses.note("desk", Decimal(notional), NOW)
    uses.note("other", Decimal(7), NOW)
    uses.take_back("other")
    uses.take_back("desk")
    again = ClientUses(path, NOW + MINUTE_NS)
    assert again.used("desk", NOW + MINUTE_NS)["notional_per_hour"] == "190"
    assert again.used("other", NOW + MINUTE_NS)["notional_per_hour"] == "0"
    assert path.stat().st_mode & 0o777 == 0o600
    # Over and over, and with what was cut off by a crash: that order did not leave.
    with path.open("ab") as file:
        file.write(b'{"ts_ns": 18')
    assert refusal(ClientUses(path, NOW + MINUTE_NS), "61", NOW + MINUTE_NS) == "notional_per_hour"
    assert refusal(ClientUses(path, NOW + MINUTE_NS), "60", NOW + MINUTE_NS) == ""
    assert ClientUses(path, NOW + HOUR_NS).used("desk", NOW + HOUR_NS)["notional_per_hour"] == "0"
    assert path.read_bytes() == b""


def test_order_that_cannot_be_counted_does_not_leave(tmp_path: Path) -> None:
    path = tmp_path / "clients-used"
    uses = ClientUses(path, NOW)
    uses.note("desk", Decimal(100), NOW)
    path.unlink()
    path.mkdir()
    with pytest.raises(CommandError) as caught:
        uses.note("desk", Decimal(100), NOW)
    assert caught.value.code == "not_counted"
    assert uses.used("desk", NOW)["notional_per_hour"] == "100"
    uses.take_back("desk")
    assert uses.used("desk", NOW)["notional_per_hour"] == "0"


def test_clock_set_back_makes_no_use_younger_than_now(tmp_path: Path) -> None:
    path = tmp_path / "clients-used"
    ClientUses(path, NOW).note("desk", Decimal(100), NOW + 5 * HOUR_NS)
    uses = ClientUses(path, NOW)
    assert refusal(uses, "100", NOW + MINUTE_NS, Caps(9, Decimal(100), Decimal(150))) != ""
    assert refusal(uses, "100", NOW + HOUR_NS, Caps(9, Decimal(100), Decimal(150))) == ""


@pytest.mark.parametrize("damage", [b"[]\n", b"{}\n", b'{"ts_ns": "x"}\n', b"\0\0\n"])
def test_damaged_file_lets_no_client_place_for_an_hour(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "clients-used"
    path.write_bytes(damage)
    assert refusal(ClientUses(path, NOW), "1", NOW) == "notional_per_hour"
    # Nor does a second start make it forget.
    later = ClientUses(path, NOW + MINUTE_NS)
    assert refusal(later, "1", NOW + HOUR_NS - 1) == "notional_per_hour"
    assert refusal(later, "1", NOW + HOUR_NS) == ""
    assert (tmp_path / "clients-used.damaged").read_bytes() == damage


def test_what_is_counted_is_bounded() -> None:
    uses = ClientUses(None, NOW)
    for _ in range(USES_MAX):
        uses.note("desk", Decimal(0), NOW)
    late_ns = NOW + 2 * MINUTE_NS
    assert refusal(uses, "1", late_ns, Caps(10**9, Decimal(9), Decimal(9))) == "orders_per_minute"


@pytest.mark.parametrize(
    "told",
    [
        {"orders": "1"}, {"orders_per_minute": "1.5"}, {"orders_per_minute": "many"},
        {"order_notional": "-1"}, {"notional_per_hour": "NaN"}, {"notional_per_hour": "Infinity"},
    ],
)  # fmt: skip
def test_caps_that_cannot_be_read_are_refused(told: dict[str, str]) -> None:
    with pytest.raises(CommandError) as caught:
        read_caps(told)
    assert caught.value.code == "bad_caps"


def test_caps_are_read_exactly() -> None:
    told = {"orders_per_minute": "3", "order_notional": "0.1", "notional_per_hour": "1e3"}
    assert read_caps(told) == Caps(3, Decimal("0.1"), Decimal(1000))
