"""Alembic migrations, shipped inside the package and run in code by `store.migrate`; never edited once released.

`env.py` is Alembic's entry, `versions/` holds one file per step. Imports SQLAlchemy and Alembic only.
"""
