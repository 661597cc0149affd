"""What accounts refuse and what roles and rights are called, in the reader's language."""

from __future__ import annotations

from app.accounts.errors import AccountRefused
from app.accounts.passwords import LONGEST, SHORTEST
from app.languages import gettext, lazy_gettext
from app.permissions import Action, Role

ROLE_TEXTS = {
    Role.GUEST_DISPLAY: (lazy_gettext("Guest display"), lazy_gettext("a screen at the lane")),
    Role.CASHIER: (lazy_gettext("Cashier"), lazy_gettext("lanes, bills, answers to questions")),
    Role.OPERATOR: (lazy_gettext("Operator"), lazy_gettext("runs the shift: menu, prices, replays, too")),
    Role.ANNOTATOR: (lazy_gettext("Annotator"), lazy_gettext("proposes labels")),
    Role.REVIEWER: (lazy_gettext("Reviewer"), lazy_gettext("accepts or refuses labels")),
    Role.AUDITOR: (lazy_gettext("Auditor"), lazy_gettext("reads everything, changes nothing")),
    Role.ADMIN: (lazy_gettext("Admin"), lazy_gettext("may do everything")),
}

ACTION_TEXTS = {
    Action.VIEW: lazy_gettext("see lanes: state, picture, open bill"),
    Action.READ: lazy_gettext("read bills, events, evidence, menu, models"),
    Action.ANSWER: lazy_gettext("answer questions"),
    Action.TEACH: lazy_gettext("change menu and prices"),
    Action.LABEL: lazy_gettext("propose labels"),
    Action.REVIEW: lazy_gettext("accept or refuse labels"),
    Action.REPLAY: lazy_gettext("start replays"),
    Action.MODELS: lazy_gettext("promote and roll back models"),
    Action.CONFIGURE: lazy_gettext("change settings"),
    Action.USERS: lazy_gettext("manage people and tokens"),
    Action.AUDIT: lazy_gettext("read the audit"),
    Action.METRICS: lazy_gettext("read figures for monitoring"),
}

_REFUSALS = {
    "password-long": lazy_gettext("The password is too long."),
    "password-guessed": lazy_gettext("This password is easily guessed. Take a few words that do not belong together."),
    "old-password": lazy_gettext("The present password does not fit."),
    "same-password": lazy_gettext("This is the present password. Take a new one."),
    "name-taken": lazy_gettext("There is a person with this name already. Take another name."),
    "bad-name": lazy_gettext(
        "A name has 1 to 64 letters, digits, blanks or . @ + - _ and starts with a letter or digit."
    ),
    "last-admin": lazy_gettext("This is the last admin. Make another one first."),
    "no-person": lazy_gettext("There is no such person."),
    "no-token": lazy_gettext("There is no such token in force."),
    "token-label": lazy_gettext("Say in 1 to 80 letters what the token is for."),
    "token-days": lazy_gettext("A token ends after 1 to 730 days."),
    "token-scopes": lazy_gettext("Choose at least one right, and only rights that the owner has."),
    "token-lanes": lazy_gettext("Choose at least one lane, and only lanes that the owner may see."),
    "disabled": lazy_gettext("This person is disabled."),
    "bad-lane": lazy_gettext("There is no such lane."),
}


def refused_text(error: AccountRefused) -> str:
    """Return why accounts refused something, in the reader's language."""
    if error.code == "password-short":
        return gettext(
            "The password is too short. Give at least %(n)s characters, %(most)s at most.", n=SHORTEST, most=LONGEST
        )
    return str(_REFUSALS.get(error.code, str(error)))
