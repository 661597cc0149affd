"""Bring Superset to what the assets say, in one process: schema, roles, administrator, import, embedding.

    python bootstrap.py ASSETS      inside Superset's environment; `dash.py` sets the variables

It can be run again at any time: what is missing is made, what is ours is overwritten by its UUID. What the assets
cannot know is filled in from the store: its address, the site's currency, a colour for each lane and model.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

PALETTE = ("#0f766e", "#f59e0b", "#3b82f6", "#e11d48", "#8b5cf6", "#84cc16", "#64748b", "#ec4899")


class Store:
    """What the store says of itself; an unreadable one ends the program with a sentence."""

    def __init__(self, uri: str) -> None:
        engine = create_engine(uri)
        try:
            with engine.connect() as connection:
                self.lanes = [row[0] for row in connection.execute("SELECT lane_id FROM lanes ORDER BY lane_id")]
                self.models = [row[0] for row in connection.execute("SELECT DISTINCT model FROM v_model_versions")]
                sites = connection.execute("SELECT currency, timezone FROM sites ORDER BY updated_at_s DESC").all()
        except SQLAlchemyError as err:
            reason = str(getattr(err, "orig", err)).strip()
            sys.exit(
                f"the store {engine.url!r} cannot be read: {reason}\n"
                "start `traylane run` on it once (this makes its views), and check --store"
            )
        finally:
            engine.dispose()
        self.currency, self.timezone = sites[0] if sites else ("EUR", "UTC")


def colours(names: Iterable[str], first: int = 0) -> dict[str, str]:
    """Give each name a colour of the palette, in order, again from the start when it is used up."""
    return {name: PALETTE[(first + i) % len(PALETTE)] for i, name in enumerate(sorted(names))}


def assets(root: Path, uri: str, store: Store) -> dict[str, str]:
    """Return the files of the assets with what only this store knows."""
    found = {}
    for path in sorted(root.rglob("*.yaml")):
        name, text = str(path.relative_to(root)), path.read_text()
        content = yaml.safe_load(text)
        if name.startswith("databases/"):
            content["sqlalchemy_uri"] = uri
        elif name.startswith("datasets/"):
            for metric in content["metrics"]:
                if metric.get("currency"):
                    metric["currency"]["symbol"] = store.currency
        elif name.startswith("dashboards/"):
            fixed = content["metadata"]["label_colors"]
            content["metadata"]["label_colors"] = {**colours(store.lanes), **colours(store.models, 4), **fixed}
        found[name] = yaml.safe_dump(content, sort_keys=False)
    return found


def make_roles(security: Any) -> Any:
    """Make what is missing: permissions, roles, the administrator; return the administrator."""
    from superset.extensions import appbuilder

    appbuilder.add_permissions(update_perms=True)
    security.sync_role_definitions()
    name = os.environ.get("DASH_ADMIN", "admin")
    found = security.find_user(name)
    if found is None:
        password = os.environ["DASH_ADMIN_PASSWORD"]
        role = security.find_role("Admin")
        found = security.add_user(name, "Traylane", "Admin", f"{name}@localhost.invalid", role, password)
    if not found:
        sys.exit(f"could not make the administrator {name!r}")
    return found


def import_assets(files: dict[str, str], user: Any) -> None:
    """Overwrite everything of ours in one transaction."""
    from marshmallow import ValidationError
    from superset.commands.exceptions import CommandException
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.utils.core import override_user

    with override_user(user):
        try:
            ImportAssetsCommand(files).run()
        except (CommandException, ValidationError) as err:
            told = getattr(err, "normalized_messages", None)
            sys.exit(f"the import failed: {told() if told else repr(err.__cause__ or err)}")


def remove_strays(files: dict[str, str], record: Path) -> None:
    """Delete the charts that an earlier import made and that have no file any more: an import never deletes.

    Args:
        files: the assets.
        record: where the UUIDs of the last import are kept; what people made by hand is not among them.
    """
    from superset.extensions import db
    from superset.models.slice import Slice

    wanted = {yaml.safe_load(text)["uuid"] for name, text in files.items() if name.startswith("charts/")}
    before = set(json.loads(record.read_text())) if record.exists() else set()
    for key in before - wanted:
        for chart in db.session.query(Slice).filter_by(uuid=uuid.UUID(key)):
            db.session.delete(chart)
    db.session.commit()
    record.write_text(json.dumps(sorted(wanted)))


def allow_embedding(files: dict[str, str], security: Any, guest_role: str) -> None:
    """Make the role of embedded viewers, and give each dashboard an embed id that is its own UUID."""
    from superset.extensions import db
    from superset.models.dashboard import Dashboard
    from superset.models.embedded_dashboard import EmbeddedDashboard

    def may(permission: Any) -> bool:
        # Without `can_log` each look at a page fills the log with refusals.
        named = (permission.permission.name, permission.view_menu.name)
        return bool(security._is_public_pvm(permission)) or named == ("can_log", "Superset")

    security.set_role(guest_role, may, security._get_all_pvms())
    origins = os.environ.get("DASH_ORIGINS", "").replace(" ", ",")
    for name, text in files.items():
        if name.startswith("dashboards/"):
            key = uuid.UUID(yaml.safe_load(text)["uuid"])
            page = db.session.query(Dashboard).filter_by(uuid=key).one()
            row = db.session.get(EmbeddedDashboard, key) or EmbeddedDashboard(uuid=key)
            row.allow_domain_list = origins
            page.embedded = [row]
    db.session.commit()


def main() -> None:
    """Do all of it, with the time that each step took."""
    started_s = time.monotonic()

    def done(step: str) -> None:
        print(f"bootstrap: {step} ({time.monotonic() - started_s:.1f} s)", flush=True)

    uri, home = os.environ["DASH_STORE_URI"], Path(os.environ["DASH_HOME"])
    store = Store(uri)
    files = assets(Path(sys.argv[1]), uri, store)
    done("store read")
    import superset
    from superset.app import create_app

    app = create_app()
    done("Superset loaded")
    with app.app_context():
        from flask_migrate import upgrade
        from superset import security_manager

        upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
        done("schema")
        admin = make_roles(security_manager)
        done("roles")
        import_assets(files, admin)
        remove_strays(files, home / "imported.json")
        allow_embedding(files, security_manager, app.config["GUEST_ROLE_NAME"])
        done("assets")
    (home / "timezone").write_text(store.timezone)


if __name__ == "__main__":
    main()
