"""Bring a database to the schema of this program, in code: one transaction, one process at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from core.errors import SchemaMismatch
from store.tables import metadata

# Not Alembic's default name: a PostgreSQL database may be shared with another program that uses Alembic.
VERSION_TABLE = "traylane_schema_version"
_MIGRATIONS = Path(__file__).parent / "migrations"


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration, made in code, for steps on `connection`."""
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
    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()
    scripts = ScriptDirectory.from_config(alembic_config(connection))
    head = scripts.get_current_head()
    if not found:
        _refuse_foreign(connection, shown_url)
        return False
    if found == (head,):
        return True
    known = {script.revision for script in scripts.walk_revisions()}
    if not known.issuperset(found):
        raise SchemaMismatch(
            f"{shown_url}: the database has schema {', '.join(found)}, this program knows up to {head}; "
            "install the newer Traylane, or give another store url"
        )
    return False


def migrate(connection: Connection, shown_url: str) -> None:
    """Run the missing steps. The caller holds the writer's lock, and commits.

    Raises:
        SchemaMismatch: see `is_current`, which is asked again now that the lock is held.
    """
    if not is_current(connection, shown_url):
        command.upgrade(alembic_config(connection), "head")


def _refuse_foreign(connection: Connection, shown_url: str) -> None:
    present = set(inspect(connection).get_table_names()) - {VERSION_TABLE}
    # An SQLite file belongs to one program; a PostgreSQL database may be shared if no table of ours is taken.
    clash = present if connection.dialect.name == "sqlite" else present & set(metadata.tables)
    if clash:
        raise SchemaMismatch(
            f"{shown_url}: not a Traylane database: it holds {', '.join(sorted(clash)[:5])} of another program; "
            "give another store url"
        )
