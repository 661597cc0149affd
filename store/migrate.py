"""Bring a database to the schema of this program, in code: one transaction, one process at a time.

Alembic is imported only where there is something to migrate: a warm start should not pay for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

import store.api_tables  # noqa: F401 - its tables belong to the metadata
from core.errors import SchemaMismatch
from store.account_tables import people

if TYPE_CHECKING:
    from alembic.config import Config

#: The last step in `migrations/versions`, as a test checks.
HEAD = "0004"
# Not Alembic's default name: a PostgreSQL database may be shared with another program that uses Alembic.
VERSION_TABLE = "traylane_schema_version"
_MIGRATIONS = Path(__file__).parent / "migrations"


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, made in code, for steps on `connection`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    return config


def is_current(connection: Connection, shown_url: str) -> bool:
    """Return whether the schema is the one of this program; False when it is older or absent.

    Raises:
        SchemaMismatch: the schema is newer than this program, or the database belongs to another program.
    """
    if not inspect(connection).has_table(VERSION_TABLE):
        _refuse_foreign(connection, shown_url)
        return False
    found = {row[0] for row in connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))}  # noqa: S608
    if found == {HEAD}:
        return True
    from alembic.script import ScriptDirectory

    known = {step.revision for step in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if not known.issuperset(found):
        raise SchemaMismatch(
            f"{shown_url}: the database has schema {', '.join(sorted(found))}, this program knows up to {HEAD}; "
            "install the newer Traylane, or give another store url"
        )
    return False


def migrate(connection: Connection, shown_url: str) -> None:
    """Run the missing steps. The caller holds the writer's lock, and commits.

    Raises:
        SchemaMismatch: see `is_current`, which is asked again now that the lock is held.
    """
    if not is_current(connection, shown_url):
        from alembic import command

        command.upgrade(alembic_config(connection), "head")


def _refuse_foreign(connection: Connection, shown_url: str) -> None:
    present = set(inspect(connection).get_table_names())
    # An SQLite file belongs to one program; a PostgreSQL database may be shared if no table of ours is taken.
    clash = present if connection.dialect.name == "sqlite" else present & set(people.metadata.tables)
    if clash:
        raise SchemaMismatch(
            f"{shown_url}: not a Traylane database: it holds {', '.join(sorted(clash)[:5])} of another program; "
            "give another store url"
        )
