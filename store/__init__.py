"""What survives a power cut: events (append-only), bills (a projection), checkpoints, the outbox, and the spool.

Reading order: `store.py` (the seam), `tables.py`, `rows.py`, `sql_store.py`, `engine.py`, `migrate.py`, `faults.py`,
`spool.py`. Imports `core`, SQLAlchemy and Alembic; never torch, flask, or a neighbour on its floor.
"""
