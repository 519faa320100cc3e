"""Fills by the thousand through journal records, booker and store: nothing is left unexplained.

The long one, a million fills and 1,000 restarts, is `OPENMM_SOAK=1`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm.errors import LedgerError
from openmm.journal import FillRecord
from openmm.settlement import causes, pnl, tallies
from openmm.settlement.booking import Booker
from openmm.settlement.ledger import Ledger
from openmm.settlement.store import Store
from tests.settlement.harness import prove, run, tenths
from tests.settlement.stream import Stream

SOAK = os.environ.get("OPENMM_SOAK") == "1"
FILLS, RESTARTS = (1_000_000, 1_000) if SOAK else (20_000, 40)


def booked(folder: Path, stream: Stream, restarts: int) -> str:
    url = str(folder / "store.sqlite")
    store = Store(url)
    try:
        run(store, stream, restarts)
    finally:
        store.close()
    return url


def test_fills_by_the_thousand_leave_nothing_unexplained(tmp_path: Path) -> None:
    """Doubles, late and unordered events, killed writers: every figure equals plain fractions."""
    stream = Stream(seed=7, fill_count=FILLS)
    url = str(tmp_path / "store.sqlite")
    store = Store(url)
    done = run(store, stream, RESTARTS)
    store.close()
    print(f"{done.records} records, {done.restarts} restarts, last tenth {tenths(done):.2f} times")
    assert done.restarts >= RESTARTS * 9 // 10
    assert stream.duplicates > FILLS // 50
    prove(url, stream)


@settings(max_examples=200 if SOAK else 4, deadline=None)
@given(seed=st.integers(0, 2**32), fills=st.integers(0, 120), restarts=st.integers(0, 3))
def test_any_small_session_adds_up(
    tmp_path_factory: pytest.TempPathFactory, seed: int, fills: int, restarts: int
) -> None:
    stream = Stream(seed, fills)
    prove_small(booked(tmp_path_factory.mktemp("small"), stream, restarts), stream)


def test_each_database_keeps_the_same_books(database: Callable[[str], str]) -> None:
    stream = Stream(seed=5, fill_count=600)
    store = Store(database("books"))
    try:
        run(store, stream, 3)
    finally:
        store.close()
    prove(database("books"), stream)


def prove_small(url: str, stream: Stream) -> None:
    if stream.references:  # without any there is nothing to mark at
        prove(url, stream)


# ---------------------------------------------------------------- what the harness would see


def _upward(monkeypatch: pytest.MonkeyPatch) -> None:
    def atoms(self: pnl.Valuer, base_atoms: int, price_uticks: int) -> int:
        return -(-base_atoms * price_uticks * self._num // self._den)

    monkeypatch.setattr(pnl.Valuer, "atoms", atoms)


def _floor_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pnl, "part", lambda whole, top, under: whole * top // under)


def _dropped_fee(monkeypatch: pytest.MonkeyPatch) -> None:
    book_fill = Ledger.book_fill

    def dropped(self: Ledger, fill: FillRecord, pair: object) -> object:
        if fill.exec_id == "E77":
            fill = FillRecord(**{key: getattr(fill, key) for key in fill.__struct_fields__}
                              | {"fees": ()})  # fmt: skip
        return book_fill(self, fill, pair)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "book_fill", dropped)


def _forgotten_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Booker, "_look_up_fills", lambda *_: None)


def _marks_lost_in_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes.Causes, "wait_again", lambda *_: None)


def _lots_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies.Tallies, "_restore_positions", lambda *_: None)


def _rebates_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    convert = Ledger._convert

    def unsigned(self: Ledger, asset: str, amount: object, inexact: object) -> int:
        atoms = convert(self, asset, amount, inexact)  # type: ignore[arg-type]
        return abs(atoms) if asset == "KFEE" else atoms

    monkeypatch.setattr(Ledger, "_convert", unsigned)


def test_the_session_of_the_mistakes_adds_up_without_one(tmp_path: Path) -> None:
    stream = Stream(seed=3, fill_count=1_000)
    prove(booked(tmp_path, stream, 3), stream)


@pytest.mark.parametrize(
    "plant",
    [
        _upward, _floor_of_parts, _dropped_fee, _forgotten_doubles, _marks_lost_in_a_restart,
        _lots_not_stored, _rebates_paid,
    ],
)  # fmt: skip
def test_a_planted_mistake_is_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    stream = Stream(seed=3, fill_count=1_000)
    with monkeypatch.context() as patched:
        plant(patched)
        with pytest.raises((AssertionError, LedgerError, sa.exc.IntegrityError)):
            prove(booked(tmp_path, stream, 3), stream)
