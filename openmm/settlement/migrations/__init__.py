"""Schema versions of the store, run by Alembic."""
