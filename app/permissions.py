"""THE table: who may do what. Deny by default: a route without a row answers 403, and a test fails.

A row names a route by method and path as it is in Flask's url map, so that a renamed function changes no right. A right
is an `Action`; a role is a set of actions; a token's scopes are actions, too. A route with `<lane_id>` in its path is
open only to people whose lanes include that one (`app/guard.py`); what a list shows is filtered by the page itself with
`current_person().may_see(lane_id)`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType


class Action(enum.StrEnum):
    """A right. The value is what a token's scope, a message and the audit call it."""

    VIEW = "view"  #: lanes: state, picture, the bill that is open now
    READ = "read"  #: bills, events, evidence, menu, models: what was and what is in force
    ANSWER = "answer"  #: answer a question of a lane, correct its open bill
    TEACH = "teach"  #: change the menu: dishes, photos, prices
    LABEL = "label"  #: propose labels
    REVIEW = "review"  #: accept or refuse labels
    REPLAY = "replay"  #: start replays and comparisons
    MODELS = "models"  #: promote and roll back models
    CONFIGURE = "configure"  #: settings, cameras, zones
    USERS = "users"  #: people, roles, tokens
    AUDIT = "audit"  #: read the audit
    METRICS = "metrics"  #: figures for monitoring


class Role(enum.StrEnum):
    """What a person is here; a person may have several."""

    GUEST_DISPLAY = "guest-display"
    CASHIER = "cashier"
    OPERATOR = "operator"
    ANNOTATOR = "annotator"
    REVIEWER = "reviewer"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Everyone(enum.StrEnum):
    """A need that is not an action."""

    ANYONE = "anyone"  #: no log-in
    SIGNED_IN = "signed-in"  #: any person in a browser, for what is their own; no token


Need = Action | Everyone

ROLE_ACTIONS: Mapping[Role, frozenset[Action]] = MappingProxyType(
    {
        Role.GUEST_DISPLAY: frozenset({Action.VIEW}),
        Role.CASHIER: frozenset({Action.VIEW, Action.READ, Action.ANSWER}),
        Role.OPERATOR: frozenset(
            {Action.VIEW, Action.READ, Action.ANSWER, Action.TEACH, Action.REPLAY, Action.METRICS}
        ),
        Role.ANNOTATOR: frozenset({Action.VIEW, Action.LABEL}),
        Role.REVIEWER: frozenset({Action.VIEW, Action.READ, Action.LABEL, Action.REVIEW}),
        Role.AUDITOR: frozenset({Action.VIEW, Action.READ, Action.AUDIT, Action.METRICS}),
        Role.ADMIN: frozenset(Action),
    }
)

#: Rights about the whole site: who is confined to some lanes has them only on routes of one of those lanes. Recordings
#: are of no lane that the program knows, so replays are among them.
SITE_WIDE = frozenset({Action.REPLAY, Action.MODELS, Action.CONFIGURE, Action.USERS, Action.AUDIT, Action.METRICS})

_PAGES: Mapping[str, Need] = {
    "GET /": Action.VIEW,
    "GET /lanes/<lane_id>": Action.VIEW,
    "GET /dashboards": Action.READ,
    "GET /dashboards/<slug>": Action.READ,
    "GET /dashboards/state": Action.READ,
    "POST /dashboards/<slug>/pass": Action.READ,
    "GET /settings": Action.CONFIGURE,
    "GET /settings/zones": Action.CONFIGURE,
    "GET /menu": Action.READ,
    "GET /models": Action.READ,
    "GET /replay": Action.REPLAY,
    "GET /lanes/<lane_id>/video.mjpg": Action.VIEW,
    "GET /lanes/<lane_id>/still.jpg": Action.VIEW,
    "GET /lanes/<lane_id>/tracks/<track_id>.jpg": Action.VIEW,
    "GET /display/<lane_id>": Action.VIEW,
    "GET /bills": Action.READ,
    "GET /bills/<bill_id>": Action.READ,
    "GET /questions": Action.ANSWER,
}

_API: Mapping[str, Need] = {
    "GET /api/v1/openapi.json": Everyone.ANYONE,
    "GET /api/v1/docs": Everyone.ANYONE,
    "GET /api/v1/health": Action.METRICS,
    "GET /api/v1/lanes": Action.VIEW,
    "GET /api/v1/lanes/stream": Action.VIEW,
    "GET /api/v1/lanes/<lane_id>": Action.VIEW,
    "GET /api/v1/lanes/<lane_id>/snapshot": Action.VIEW,
    "GET /api/v1/questions": Action.ANSWER,
    "POST /api/v1/lanes/<lane_id>/answers": Action.ANSWER,
    "GET /api/v1/bills": Action.READ,
    "GET /api/v1/bills.csv": Action.READ,
    "GET /api/v1/bills/<bill_id>": Action.READ,
    "GET /api/v1/bills/<bill_id>/revisions": Action.READ,
    "POST /api/v1/bills/<bill_id>/lines/<line_no>/correction": Action.ANSWER,
    "POST /api/v1/bills/<bill_id>/lines": Action.ANSWER,
    "POST /api/v1/bills/<bill_id>/confirmation": Action.ANSWER,
    "GET /api/v1/bills/<bill_id>/evidence": Action.READ,
    "GET /api/v1/bills/<bill_id>/evidence/clip": Action.READ,
    "GET /api/v1/bills/<bill_id>/evidence/crops/<line_no>": Action.READ,
    "POST /api/v1/bills/<bill_id>/evidence/rerun": Action.READ,
    "DELETE /api/v1/bills/<bill_id>/evidence": Action.CONFIGURE,
    "GET /api/v1/events": Action.READ,
    "GET /api/v1/events/stream": Action.READ,
    "GET /api/v1/menu": Action.READ,
    "GET /api/v1/menu/<dish>": Action.READ,
    "GET /api/v1/menu/<dish>/photos/<number>": Action.READ,
    "GET /api/v1/menu.csv": Action.READ,
    "GET /api/v1/menu-history": Action.READ,
    "POST /api/v1/menu": Action.TEACH,
    "PATCH /api/v1/menu/<dish>": Action.TEACH,
    "DELETE /api/v1/menu/<dish>": Action.TEACH,
    "POST /api/v1/menu-looks": Action.TEACH,
    "POST /api/v1/menu-undo": Action.TEACH,
    "POST /api/v1/menu-import": Action.TEACH,
    "GET /api/v1/stats": Action.READ,
    "GET /api/v1/models": Action.READ,
    "GET /api/v1/models/promotions": Action.READ,
    "GET /api/v1/models/<model>": Action.READ,
    "GET /api/v1/models/<model>/gate": Action.READ,
    "POST /api/v1/models/<model>/promotion": Action.MODELS,
    "POST /api/v1/models/rollback": Action.MODELS,
    "GET /api/v1/recordings": Action.REPLAY,
    "GET /api/v1/replays": Action.REPLAY,
    "POST /api/v1/replays": Action.REPLAY,
    "GET /api/v1/replays/<replay_id>": Action.REPLAY,
    "DELETE /api/v1/replays/<replay_id>": Action.REPLAY,
    "GET /api/v1/replays/<replay_id>/bills": Action.REPLAY,
    "GET /api/v1/replays/<replay_id>/video": Action.REPLAY,
    "GET /api/v1/replays/<replay_id>/comparison/<other_id>": Action.REPLAY,
    "GET /api/v1/replays/<replay_id>/report": Action.REPLAY,
    "GET /api/v1/settings": Action.CONFIGURE,
    "POST /api/v1/settings/check": Action.CONFIGURE,
    "PUT /api/v1/settings": Action.CONFIGURE,
    "PATCH /api/v1/settings": Action.CONFIGURE,
    "GET /api/v1/settings/versions": Action.CONFIGURE,
    "GET /api/v1/settings/versions/<sha256>": Action.CONFIGURE,
    "GET /api/v1/settings/zones": Action.CONFIGURE,
    "POST /api/v1/settings/rollback": Action.CONFIGURE,
    "GET /api/v1/webhooks": Action.CONFIGURE,
    "GET /api/v1/webhooks/dead-letters": Action.CONFIGURE,
    "GET /api/v1/webhooks/dead-letters/<letter_id>": Action.CONFIGURE,
    "POST /api/v1/webhooks/dead-letters/<letter_id>/resend": Action.CONFIGURE,
}

_ACCOUNTS: Mapping[str, Need] = {
    "GET /login": Everyone.ANYONE,
    "POST /login": Everyone.ANYONE,
    "POST /logout": Everyone.ANYONE,
    "GET /account": Everyone.SIGNED_IN,
    "POST /account/password": Everyone.SIGNED_IN,
    "POST /account/logout-everywhere": Everyone.SIGNED_IN,
    "GET /users": Action.USERS,
    "POST /users": Action.USERS,
    "GET /users/<person_id>": Action.USERS,
    "POST /users/<person_id>/access": Action.USERS,
    "POST /users/<person_id>/password": Action.USERS,
    "POST /users/<person_id>/disabled": Action.USERS,
    "GET /users/tokens": Action.USERS,
    "POST /users/tokens": Action.USERS,
    "POST /users/tokens/<token_id>/revoke": Action.USERS,
    "GET /audit": Action.AUDIT,
    "GET /audit.csv": Action.AUDIT,
}

_FRAME: Mapping[str, Need] = {
    "GET /static/<path:filename>": Everyone.ANYONE,
    "GET /healthz": Everyone.ANYONE,
    "GET /readiness": Everyone.ANYONE,
    "GET /metrics": Action.METRICS,
    "POST /language": Everyone.ANYONE,
}

TABLE: Mapping[str, Need] = MappingProxyType({**_PAGES, **_API, **_ACCOUNTS, **_FRAME})


def need_of(method: str, rule: str) -> Need | None:
    """Return what a route needs, None if the table has no row for it (then nobody may).

    Args:
        method: HTTP method; HEAD needs what GET needs.
        rule: path as in the url map, such as `/api/v1/lanes/<lane_id>`.

    >>> need_of("HEAD", "/bills")
    <Action.READ: 'read'>
    >>> need_of("DELETE", "/bills") is None
    True
    """
    return TABLE.get(f"{'GET' if method == 'HEAD' else method} {rule}")


def actions_of(roles: frozenset[Role]) -> frozenset[Action]:
    """Return what people with these roles may do."""
    return frozenset().union(*(ROLE_ACTIONS[role] for role in roles))
