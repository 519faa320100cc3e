"""The clients file: what it may hold, who may read it, and a token's life."""

from __future__ import annotations

import os
import stat
import threading
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.control.access import (
    LOCAL,
    Caps,
    Client,
    Clients,
    Scope,
    digest_of,
    make_token,
    read_clients,
)
from openmm.errors import ConfigError

NOW = 1_800_000_000_000_000_000
GOOD = f'token = "sha256:{"a" * 64}"\nbots = ["*"]\n'


def clients(folder: Path) -> Clients:
    return Clients(folder / "openmm" / "clients.toml")


def test_token_opens_as_its_client_with_all_that_was_granted(tmp_path: Path) -> None:
    asked = Client(
        "desk-agent", frozenset({Scope.READ, Scope.BRAKE}), ("btc-grid",),
        Caps(60, 5, Decimal("500"), Decimal("2000.50")), expires_ns=NOW + 30 * 86_400 * 10**9,
    )  # fmt: skip
    book = clients(tmp_path)
    token = book.add(asked, NOW)
    found = book.by_token(token, NOW)
    assert found is not None
    assert found.issued
    assert (found.name, found.scopes, found.bots) == (asked.name, asked.scopes, asked.bots)
    assert (found.caps, found.expires_ns) == (asked.caps, asked.expires_ns)
    assert not found.local
    assert found.may(Scope.BRAKE)
    assert not found.may(Scope.SET)
    assert found.sees("btc-grid")
    assert not found.sees("eth-grid")
    assert book.by_name("desk-agent", NOW) == found


def test_token_is_long_and_stands_nowhere(tmp_path: Path) -> None:
    book = clients(tmp_path)
    token = book.add(Client("ann"), NOW)
    assert token.startswith("omm_ann_")
    assert len(token.removeprefix("omm_ann_")) == 43  # 256 bits
    text = book.path.read_text()
    assert token not in text
    assert digest_of(token) in text
    assert make_token("ann") != make_token("ann")
    for path in (book.path, *book.path.parent.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("told", ["", "omm_ann_", "omm_bob_x", "x" * 10_000, "omm_ann_é", "\ud800"])
def test_other_tokens_open_nothing(tmp_path: Path, told: str) -> None:
    book = clients(tmp_path)
    token = book.add(Client("ann"), NOW)
    assert book.by_token(told, NOW) is None
    assert book.by_token(token[:-1], NOW) is None
    assert book.by_token(token + "A", NOW) is None


def test_without_a_file_nobody_is_let_in(tmp_path: Path) -> None:
    assert clients(tmp_path).by_token("omm_ann_x", NOW) is None
    assert clients(tmp_path).all() == []


def test_expired_token_opens_nothing(tmp_path: Path) -> None:
    book = clients(tmp_path)
    token = book.add(Client("ann", expires_ns=NOW + 10**9), NOW)
    assert book.by_token(token, NOW + 10**9 - 1) is not None
    assert book.by_token(token, NOW + 10**9) is None
    assert book.by_name("ann", NOW + 10**9) is None


def test_revoked_token_opens_nothing_from_then_on_in_every_reader(tmp_path: Path) -> None:
    reader, writer = clients(tmp_path), clients(tmp_path)
    token, other = writer.add(Client("ann"), NOW), writer.add(Client("bob"), NOW)
    assert reader.by_token(token, NOW) is not None
    writer.revoke("ann")
    assert reader.by_token(token, NOW) is None
    assert reader.by_token(other, NOW) is not None
    again = writer.add(Client("ann"), NOW)
    assert reader.by_token(token, NOW) is None
    assert reader.by_token(again, NOW) is not None


def test_revoking_keeps_comments_and_the_others(tmp_path: Path) -> None:
    book = clients(tmp_path)
    book.add(Client("ann"), NOW)
    with book.path.open("a") as file:
        file.write("\n# the desk's own\n[client.bob]  # bob\n" + GOOD)
    book.add(Client("cid"), NOW)
    book.revoke("ann")
    book.revoke("cid")
    assert "# the desk's own" in book.path.read_text()
    assert [one.name for one in book.all()] == ["bob"]
    with pytest.raises(ConfigError, match="one of: bob"):
        book.revoke("ann")


def test_client_written_another_way_is_to_be_taken_out_by_hand(tmp_path: Path) -> None:
    book = clients(tmp_path)
    book.path.parent.mkdir()
    book.path.write_text(f'client.ann = {{ token = "sha256:{"a" * 64}", bots = ["*"] }}\n')
    book.path.chmod(0o600)
    with pytest.raises(ConfigError, match="by hand"):
        book.revoke("ann")
    assert [one.name for one in book.all()] == ["ann"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    book = clients(tmp_path)
    token = book.add(Client("ann"), NOW)
    assert book.by_token(token, NOW) is not None
    book.path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        book.by_token(token, NOW)
    book.path.chmod(0o600)
    assert book.by_token(token, NOW) is not None


def test_link_and_folder_are_refused(tmp_path: Path) -> None:
    book = clients(tmp_path)
    book.path.parent.mkdir()
    (tmp_path / "real.toml").write_text("")
    book.path.symlink_to(tmp_path / "real.toml")
    with pytest.raises(ConfigError, match="no link"):
        book.all()
    book.path.unlink()
    book.path.mkdir()
    with pytest.raises(ConfigError):
        book.all()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives a file away")
def test_file_of_another_user_is_refused(tmp_path: Path) -> None:
    book = clients(tmp_path)
    book.add(Client("ann"), NOW)
    os.chown(book.path, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to this user"):
        book.all()


@pytest.mark.parametrize(
    ("text", "place", "allowed"),
    [
        ("x = 1", "x", "tables"),
        ("[client.Ann]\n" + GOOD, "client.Ann", "a name of"),
        ("[client.local]\n" + GOOD, "client.local", "other than local"),
        ("[client.ann]\nbots = ['*']", "client.ann.token", "64 hexadecimal"),
        ("[client.ann]\ntoken = 'geheim'\nbots = ['*']", "client.ann.token", "<redacted>"),
        ("[client.ann]\n" + GOOD + "nonsense = 1", "client.ann.nonsense", "one of bots"),
        ("[client.ann]\n" + GOOD + "scopes = ['all']", "client.ann.scopes", "of read, brake"),
        ("[client.ann]\n" + GOOD + "scopes = 'read'", "client.ann.scopes", "a list"),
        ("[client.ann]\n" + GOOD.replace("*", "../x"), "client.ann.bots", "names of bots"),
        ("[client.ann]\n" + GOOD.split("\n")[0], "client.ann.bots", "a list"),
        ("[client.ann]\n" + GOOD + "order_notional = 5", "client.ann.order_notional", "as text"),
        ("[client.ann]\n" + GOOD + "order_notional = '-5'", "order_notional", "positive"),
        ("[client.ann]\n" + GOOD + "order_notional = 'NaN'", "order_notional", "positive"),
        ("[client.ann]\n" + GOOD + "notional_per_hour = 'inf'", "notional_per_hour", "positive"),
        ("[client.ann]\n" + GOOD + "orders_per_minute = -1", "orders_per_minute", "from 0"),
        ("[client.ann]\n" + GOOD + "requests_per_minute = true", "requests_per", "from 1"),
        ("[client.ann]\n" + GOOD + "expires = 2027-01-01", "client.ann.expires", "with its zone"),
        ("[client.ann]\n" + GOOD + "[client.bob]\n" + GOOD, "client.bob.token", "of its own"),
        ("[client", "c.toml", "TOML"),
    ],
)
def test_bad_file_is_refused_by_place_and_what_is_allowed(
    text: str, place: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_clients(text, Path("c.toml"))
    assert place in str(caught.value)
    assert allowed in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "Ann", "a_b", "local", "a" * 33, "1a", "a.b", 'a"'])
def test_names_that_will_not_do_are_not_added(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        clients(tmp_path).add(Client(name), NOW)
    assert clients(tmp_path).all() == []


def test_one_name_is_added_once(tmp_path: Path) -> None:
    clients(tmp_path).add(Client("ann"), NOW)
    with pytest.raises(ConfigError, match="not there yet"):
        clients(tmp_path).add(Client("ann"), NOW)


def test_added_at_once_from_many_threads_none_is_lost(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(12)]
    threads = [
        threading.Thread(target=clients(tmp_path).add, args=(Client(name), NOW)) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.name for one in clients(tmp_path).all()] == sorted(names)


@given(st.text(max_size=300))
def test_no_text_makes_a_client_by_chance(text: str) -> None:
    try:
        found = read_clients(text, Path("c.toml"))
    except ConfigError:
        return
    assert found == {}


def test_operator_at_the_terminal_may_everything_and_is_in_no_file() -> None:
    assert LOCAL.local
    assert all(LOCAL.may(scope) for scope in Scope)
    assert LOCAL.sees("any")
