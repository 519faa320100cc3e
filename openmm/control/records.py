"""What a bot has done: fills, P&L, incidents, orders and their reasons, out of store and journal.

All of it is read only: SQLite by a read-only address, PostgreSQL in a read-only transaction. A
writer never waits for a reader here. Figures are those of the session report, by the same code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from msgspec import to_builtins
from sqlalchemy.engine import Connection

from openmm import journal
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.address import STORE_VARIABLE, without_password
from openmm.control.client import send_command
from openmm.control.home import Home
from openmm.control.looks import ASK_S, run_dir_of
from openmm.control.plain import iso, plain
from openmm.control.views import enum_name
from openmm.engine.commands import Incidents
from openmm.engine.rundir import RunDir
from openmm.engine.why import seen
from openmm.errors import CommandError, ControlError, JournalError, LedgerError
from openmm.instrument import Instrument
from openmm.journal import read_journal, session_folder
from openmm.settlement import store as tables
from openmm.settlement.explain import explain as told_of
from openmm.settlement.history import incidents_of
from openmm.settlement.ledger import FEE
from openmm.settlement.report import load_report
from openmm.settlement.store import Store

HOUR_NS: Final = 3_600_000_000_000
HOURS_MAX: Final = 8_784  # a year: reports are read whole
SESSIONS_MAX: Final = 200  # of a bot, looked at for one question
# A replay of more than this takes longer than an answer may; what it tells is left out.
REPLAY_RECORDS_MAX: Final = 200_000


def store_of(run_dir: RunDir) -> str:
    """Return the address of a bot's ledger: of the environment, or as its last session told it."""
    told = run_dir.read_session().get("store")
    if not isinstance(told, str):
        return f"sqlite:///{run_dir.store}"
    # The session's is without its password, if it has one.
    whole = os.environ.get(STORE_VARIABLE, "")
    return whole if whole and without_password(whole) == told else told


@contextmanager
def reading(run_dir: RunDir) -> Iterator[Connection]:
    """Open a bot's ledger to read.

    Raises:
        LedgerError: there is none, or it is of another build.
    """
    store = Store(store_of(run_dir), create=False)
    try:
        with store.reading() as connection:
            yield connection
    finally:
        store.close()


def sessions_since(connection: Connection, bot: str, since_ns: int) -> list[Any]:
    """Return the bot's sessions that ran after a moment, newest first."""
    c, p = tables.session.c, tables.progress.c
    last = sa.func.coalesce(c.ended_ns, p.last_ts_ns)
    return list(
        connection.execute(
            sa.select(tables.session, p.last_ts_ns)
            .join(tables.progress, p.session_id == c.session_id)
            .where(c.bot == bot, last >= since_ns)
            .order_by(c.started_ns.desc(), c.session_id.desc())
            .limit(SESSIONS_MAX)
        )
    )


def pair_of(connection: Connection, session: Any) -> Instrument:
    """Return the traded pair of a session as its journal has it."""
    c = tables.instrument.c
    found = connection.execute(
        sa.select(c.definition).where(
            c.session_id == session.session_id, c.venue == session.venue,
            c.name == session.instrument,
        )
    ).scalar()  # fmt: skip
    if found is None:
        raise LedgerError(f"session {session.session_id} has no record of {session.instrument}")
    return journal.read_instrument(str(found).encode())


def since(now_ns: int, hours: str | Decimal, most: int = HOURS_MAX) -> int:
    """Return the moment so many hours ago, no further back than `most`."""
    return max(0, now_ns - int(min(Decimal(hours), Decimal(most)) * HOUR_NS))


# ---------------------------------------------------------------- fills


def fills(home: Home, bot: str, now_ns: int, limit: int = 50, hours: str = "24") -> dict[str, Any]:
    """Return the fills of the last hours, newest first, each with its fees as booked."""
    run_dir, since_ns = run_dir_of(home, bot), since(now_ns, hours)
    rows: list[dict[str, Any]] = []
    total = 0
    with reading(run_dir) as connection:
        for session in sessions_since(connection, bot, since_ns):
            pair = pair_of(connection, session)
            c = tables.fill.c
            mine = (
                c.session_id == session.session_id, c.instrument == pair.name, c.ts_ns >= since_ns
            )  # fmt: skip
            total += connection.execute(
                sa.select(sa.func.count()).select_from(tables.fill).where(*mine)
            ).scalar_one()
            if len(rows) >= limit:
                continue
            found = connection.execute(
                sa.select(tables.fill)
                .where(*mine)
                .order_by(c.ts_ns.desc(), c.record_index.desc())
                .limit(limit - len(rows))
            ).all()
            fees = _fees(connection, session.session_id, [one.record_index for one in found])
            decimals = _decimals(connection, session.session_id)
            rows += [_fill(one, pair, fees.get(one.record_index, {}), decimals) for one in found]
    rows.sort(key=lambda one: one["ts_ns"], reverse=True)
    return _plain(
        {"bot": bot, "since": iso(since_ns), "fills": rows, "count": total,
         "more": total - len(rows)}
    )  # fmt: skip


def _fees(connection: Connection, session: str, indices: list[int]) -> dict[int, dict[str, int]]:
    """Return what fills cost, in atoms by asset."""
    c = tables.posting.c
    out: dict[int, dict[str, int]] = {}
    if not indices:
        return out
    for row in connection.execute(
        sa.select(c.record_index, c.asset, c.atoms).where(
            c.session_id == session, c.account == FEE, c.record_index.in_(indices)
        )
    ):
        named = out.setdefault(row.record_index, {})
        named[row.asset] = named.get(row.asset, 0) + row.atoms
    return out


def _decimals(connection: Connection, session: str) -> dict[str, int]:
    c = tables.asset.c
    return {
        row.asset: row.decimals
        for row in connection.execute(sa.select(c.asset, c.decimals).where(c.session_id == session))
    }


def _amount(atoms: int, decimals: int) -> Decimal:
    return Decimal(int(atoms)).scaleb(-decimals)


def _fill(
    one: Any, pair: Instrument, fees: dict[str, int], decimals: dict[str, int]
) -> dict[str, Any]:
    return {
        "ts": iso(one.ts_ns), "ts_ns": one.ts_ns, "session": one.session_id, "venue": one.venue,
        "instrument": one.instrument, "side": enum_name(Side, one.side),
        "price": pair.price(one.price_ticks), "qty": pair.qty(one.qty_lots),
        "notional": _amount(one.quote_atoms, decimals[pair.quote]), "quote": pair.quote,
        "fees": {asset: _amount(atoms, decimals[asset]) for asset, atoms in sorted(fees.items())},
        "maker": bool(one.maker),
        "reference": None if one.reference_uticks is None
        else one.reference_uticks * pair.tick_size / UTICKS_PER_TICK,
        "realised": _amount(one.realised_average_atoms, decimals[pair.quote]),
        "level": one.level, "order": one.seq, "client_id": one.client_id,
        "venue_order_id": one.venue_order_id, "exec_id": one.exec_id,
    }  # fmt: skip


# ---------------------------------------------------------------- P&L


CAUSES: Final = ("spread", "adverse", "drift", "unsplit", "total", "fees", "costs", "net")


def pnl(home: Home, bot: str, now_ns: int, hours: str = "24") -> dict[str, Any]:
    """Return the last session's P&L as its report has it, and by cause over the last hours.

    The window is made of whole hours (UTC) of every session: the one it begins in counts in full.
    """
    run_dir, since_ns = run_dir_of(home, bot), since(now_ns, hours)
    url = store_of(run_dir)
    latest = load_report(url, bot=bot)
    told = latest.to_json()
    with reading(run_dir) as connection:
        names = [
            one.session_id
            for one in sessions_since(connection, bot, since_ns)
            if one.mode == latest.session.mode
        ]
    first = since_ns - since_ns % HOUR_NS
    sums: dict[str, dict[str, Any]] = {}
    missing: list[str] = []
    for name in names:
        found = latest if name == latest.session.session_id else load_report(url, name)
        if found.by_cause is None:
            missing.append(name)
            continue
        asset = sums.setdefault(
            found.by_cause.asset, {"fills": 0, **dict.fromkeys(CAUSES, Decimal(0))}
        )
        for hour, part in found.by_cause.hours.items():
            if _hour_ns(hour) < first:
                continue
            asset["fills"] += part.fills
            for cause in CAUSES:
                asset[cause] += getattr(part, cause)
    return _plain(
        {
            "bot": bot,
            "session": {**told["session"], "started": iso(latest.session.started_ns)},
            "pnl": told["pnl"], "by_cause": told["by_cause"], "reporting": told["reporting"],
            "fees": told["fees"], "costs": told["costs"], "volume": told["volume"],
            "window": {
                "since": iso(first), "hours": hours, "sessions": names, "by_asset": sums,
                "sessions_without_causes": missing,
            },
        }
    )  # fmt: skip


def _hour_ns(text: str) -> int:
    """Read an hour as reports write it."""
    at = datetime.strptime(text, "%Y-%m-%dT%H:00Z").replace(tzinfo=UTC)
    return int(at.timestamp()) * 1_000_000_000


def report(home: Home, bot: str, now_ns: int) -> dict[str, Any]:
    """Return the last session's report, as `openmm report --json` has it."""
    return _plain(load_report(store_of(run_dir_of(home, bot)), bot=bot).to_json())


# ---------------------------------------------------------------- incidents


def incidents(
    home: Home, bot: str, now_ns: int, limit: int = 50, hours: str = "24"
) -> dict[str, Any]:
    """Return what went wrong in the last hours, newest first, and what of the money is open.

    Of a bot that runs the open ones are the bot's own; else those its last session left.
    """
    run_dir, since_ns = run_dir_of(home, bot), since(now_ns, hours)
    rows: list[dict[str, Any]] = []
    with reading(run_dir) as connection:
        names = [one.session_id for one in sessions_since(connection, bot, since_ns)]
        for kind, table in (("incident", tables.incident), ("risk", tables.risk_event)):
            c = table.c
            for row in connection.execute(
                sa.select(table)
                .where(c.session_id.in_(names), c.ts_ns >= since_ns)
                .order_by(c.ts_ns.desc())
                .limit(limit)
            ):
                rows.append(_event(kind, row))
    rows.sort(key=lambda one: one["ts_ns"], reverse=True)
    return _plain(
        {"bot": bot, "since": iso(since_ns), "open": _open(run_dir, now_ns), "events": rows[:limit]}
    )


def _event(kind: str, row: Any) -> dict[str, Any]:
    head = {"ts": iso(row.ts_ns), "ts_ns": row.ts_ns, "session": row.session_id, "what": kind}
    if kind == "risk":
        return head | {
            "severity": "critical" if row.to_state.lower() == "halted" else "info",
            "kind": f"{row.from_state} to {row.to_state}", "text": f"{row.reason}: {row.detail}",
        }  # fmt: skip
    return head | {
        "severity": row.severity, "kind": row.kind, "text": row.text, "asset": row.asset,
        "amount": row.amount, "cause": row.cause, "state": row.state, "number": row.number,
        "resolution": row.resolution,
    }  # fmt: skip


def _open(run_dir: RunDir, now_ns: int) -> list[dict[str, Any]]:
    if run_dir.holder_pid() is not None:
        try:
            told = send_command(run_dir, Incidents(""), surface="control", timeout_s=ASK_S)
        except CommandError as error:
            if error.code not in ("not_running", "ended"):
                raise
        else:
            found: list[dict[str, Any]] = told["incidents"]
            return found
    session = str(run_dir.read_session().get("session", ""))
    stored = incidents_of(store_of(run_dir), session, now_ns)
    return [one for one in stored if one["state"] == "open"]


# ---------------------------------------------------------------- one order


def order(home: Home, bot: str, now_ns: int, order: str) -> dict[str, Any]:
    """Return an order of the bot with every transition, its evidence, and its fills.

    Args:
        order: its client id, the venue's id, or its number in the last session.

    Raises:
        ControlError: no session of the bot has it (`no_order`).
    """
    run_dir, wanted = run_dir_of(home, bot), order.strip()
    with reading(run_dir) as connection:
        row, session = _find(connection, bot, wanted)
        pair = pair_of(connection, session)
        mine = (row.session_id, row.seq)
        t, f = tables.transition.c, tables.fill.c
        transitions = connection.execute(
            sa.select(tables.transition)
            .where(t.session_id == mine[0], t.seq == mine[1])
            .order_by(t.record_index)
        ).all()
        found = connection.execute(
            sa.select(tables.fill)
            .where(f.session_id == mine[0], f.seq == mine[1])
            .order_by(f.record_index)
        ).all()
        fees = _fees(connection, row.session_id, [one.record_index for one in found])
        decimals = _decimals(connection, row.session_id)
    return _plain(
        {
            "bot": bot, "session": row.session_id, "venue": session.venue, "instrument": pair.name,
            "order": row.seq, "client_id": row.client_id, "venue_order_id": row.venue_order_id,
            "side": enum_name(Side, row.side), "level": row.level,
            "price": pair.price(row.price_ticks), "qty": pair.qty(row.qty_lots),
            "filled": pair.qty(row.filled_lots), "state": enum_name(OrderState, row.state),
            "created": iso(row.created_ns), "created_ns": row.created_ns,
            "ended": iso(row.ended_ns), "ended_ns": row.ended_ns,
            "never_sent": bool(row.unsent), "amends": row.amended_count,
            "transitions": [
                {
                    "ts": iso(one.ts_ns), "ts_ns": one.ts_ns,
                    "event": enum_name(OrderEvent, one.event, "EV_"),
                    "from": enum_name(OrderState, one.from_state),
                    "to": enum_name(OrderState, one.to_state), "evidence": one.evidence,
                    # 0: this change did not tell.
                    "price": pair.price(one.price_ticks) if one.price_ticks else None,
                    "qty": pair.qty(one.qty_lots) if one.qty_lots else None,
                }
                for one in transitions
            ],
            "fills": [_fill(one, pair, fees.get(one.record_index, {}), decimals) for one in found],
        }
    )  # fmt: skip


def _find(connection: Connection, bot: str, wanted: str) -> tuple[Any, Any]:
    """Return an order's row and its session's: by an id in any session, by number in the last."""
    o, s = tables.order.c, tables.session.c
    known = sa.or_(o.client_id == wanted, o.venue_order_id == wanted)
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 19 else None
    newest = sa.select(s.session_id).where(s.bot == bot).order_by(s.started_ns.desc()).limit(1)
    # Ours end in the session's start in seconds and the number, both in base 32: venues do not
    # tell them with every order.
    ours = re.fullmatch(r".*?([0-9a-v]{7})([0-9a-v]{7})", wanted[:40])
    if ours is not None:
        start_ns = int(ours[1], 32) * 1_000_000_000
        begun = s.started_ns.between(start_ns, start_ns + 999_999_999)
        known = sa.or_(known, sa.and_(o.seq == int(ours[2], 32), begun))
    for fits in (known, None if number is None else sa.and_(o.seq == number)):
        if fits is None:
            continue
        statement = (
            sa.select(tables.order)
            .join(tables.session, s.session_id == o.session_id)
            .where(s.bot == bot, fits)
            .order_by(s.started_ns.desc())
            .limit(1)
        )
        if fits is not known:
            statement = statement.where(o.session_id == newest.scalar_subquery())
        row = connection.execute(statement).first()
        if row is not None:
            session = connection.execute(
                sa.select(tables.session).where(s.session_id == row.session_id)
            ).one()
            return row, session
    raise ControlError(
        f"no order {wanted!r} of {bot} is in its ledger", code="no_order",
        hint="client ids are in orders and fills; an order of this second may not be booked yet",
    )  # fmt: skip


def explain(home: Home, bot: str, now_ns: int, order: str) -> dict[str, Any]:
    """Tell why an order was placed, moved and ended, out of its session's journal.

    What only a replay tells (parts of the reference, checks that passed) is there while the
    journal is short enough for an answer; else `not_replayed` says so.

    Raises:
        ControlError: no journal has it (`no_order`), or its journal is gone (`no_journal`).
    """
    run_dir = run_dir_of(home, bot)
    session, name = str(run_dir.read_session().get("session", "")), order.strip()
    try:
        with reading(run_dir) as connection:
            row, _ = _find(connection, bot, name)
        session, name = row.session_id, str(row.seq)
    except ControlError:
        pass  # not booked yet, or only ever refused: the last session's journal may know it
    except LedgerError as error:
        if error.code != "no_store":
            raise
    folder = session_folder(run_dir.journal, session)
    if not folder.is_dir():
        raise ControlError(
            f"no journal of session {session or '(none ran)'}", code="no_journal",
            hint="journals of old sessions are removed by [journal] of the bot's file",
        )  # fmt: skip
    try:
        found = told_of(read_journal(folder), name)
    except CommandError as error:
        raise ControlError(
            f"{error}", code="no_order", hint="client ids are in orders and fills"
        ) from error
    acts = [one.record_index for one in found.events if one.what in ("place", "amend")]
    seen_by: list[Any] = []
    missing = ""
    if (last := max(acts, default=0)) > REPLAY_RECORDS_MAX:
        missing = f"it lies {last:,} records into its session: openmm explain replays them"
    else:
        try:
            seen_by = [to_builtins(one) for one in seen(read_journal(folder), acts).values()]
        except JournalError as error:
            missing = str(error)
    events = [{"ts": iso(one["ts_ns"]), **one} for one in asdict(found)["events"]]
    return _plain(asdict(found) | {"events": events, "seen": seen_by, "not_replayed": missing})


def _plain(value: Any) -> dict[str, Any]:
    found = plain(value)
    assert isinstance(found, dict)
    return found
