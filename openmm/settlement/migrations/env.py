"""Run the schema versions on the connection that the store hands over."""

from __future__ import annotations

from alembic import context

from openmm.settlement.store import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("migrations run through openmm.settlement.store.Store")
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
