"""The table of permissions is about all routes there are, and about nothing else."""

from __future__ import annotations

from app.permissions import TABLE
from app.web import create_app
from tests.accounts import still_site


def routes(app) -> set[str]:
    """Return "METHOD /path" of every route, without what Flask answers by itself."""
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_has_a_row_and_every_row_a_route(tmp_path):
    with still_site(tmp_path) as site:
        found = routes(create_app(site))
    assert found - set(TABLE) == set(), "routes without a row in app/permissions.py: nobody may use them"
    assert set(TABLE) - found == set(), "rows of routes that are not there"


def test_a_route_without_a_row_is_refused(tmp_path):
    with still_site(tmp_path) as site:
        app = create_app(site)
        app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
        answer = app.test_client().get("/forgotten")
    assert answer.status_code == 403
    assert "permission row" in answer.get_json()["detail"]
