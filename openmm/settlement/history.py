"""What a ledger tells of the incidents of a session: each as it stood last."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from openmm.errors import LedgerError
from openmm.settlement import store as tables
from openmm.settlement.store import Store


def incidents_of(url: str, session_id: str, now_ns: int) -> list[dict[str, Any]]:
    """Return a session's incidents of the money, oldest first, in the form of `Incident.shown`.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
    """
    store = Store(url, create=False)
    one = tables.incident.c
    try:
        with store.reading() as connection:
            booked = connection.execute(
                sa.select(tables.session.c.session_id).where(
                    tables.session.c.session_id == session_id
                )
            ).first()
            if booked is None:
                # Not "no incident": nobody has looked.
                raise LedgerError(f"the store holds no session {session_id or '(none ran)'}")
            rows = connection.execute(
                sa.select(tables.incident)
                .where(one.session_id == session_id, one.number > 0)
                .order_by(one.record_index)
            ).all()
    finally:
        store.close()
    last = {row.number: row for row in rows}
    return [
        {
            "number": row.number, "kind": row.kind.removeprefix("reconciliation_"),
            "subject": row.subject, "asset": row.asset, "amount": row.amount, "cause": row.cause,
            "since_ns": row.since_ns,
            "age_ns": (now_ns if row.state == "open" else row.ts_ns) - row.since_ns,
            "state": row.state, "severity": row.severity, "text": row.text,
            "resolution": row.resolution,
        }
        for _, row in sorted(last.items())
    ]  # fmt: skip
