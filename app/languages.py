"""Languages and times of the pages: German or English by person, site time by the `site_time` filter.

Texts are marked `_("…")` in templates and `gettext("…")` of this module in code; `docs/translate.py` collects them.
"""

from __future__ import annotations

import datetime
from typing import cast
from zoneinfo import ZoneInfo

from flask import Flask, request
from flask_babel import (  # type: ignore[import-untyped]
    Babel,
    format_currency,
    format_datetime,
    format_percent,
    get_locale,
)
from flask_babel import gettext as _gettext
from flask_babel import lazy_gettext as _lazy_gettext

from app.guard import current_person

LANGUAGES = {"en": "English", "de": "Deutsch"}
LANGUAGE_COOKIE = "traylane_language"


def speak(app: Flask, timezone: str) -> None:
    """Let the pages of `app` speak the reader's language and tell times in the site's zone."""
    Babel(
        app,
        default_translation_directories="translations",
        locale_selector=chosen_language,
        timezone_selector=lambda: timezone,
    )
    app.jinja_env.add_extension("jinja2.ext.i18n")
    zone = ZoneInfo(timezone)

    def site_time(when: float | str | None, style: str = "medium") -> str:
        """Return UTC seconds or an ISO text as local date and time; None as a dash."""
        if when is None:
            return "–"
        if isinstance(when, str):
            moment = datetime.datetime.fromisoformat(when.replace("Z", "+00:00"))
        else:
            moment = datetime.datetime.fromtimestamp(when, datetime.UTC)
        return str(format_datetime(moment.astimezone(zone), style, rebase=False))

    def money(amount: float, currency: str) -> str:
        """Return an amount as the reader's language writes it."""
        return str(format_currency(amount, currency))

    app.jinja_env.filters["site_time"] = site_time
    app.jinja_env.filters["money"] = money
    app.jinja_env.filters["share"] = lambda part: str(format_percent(part))


def chosen_language() -> str:
    """Return the person's own language, else the one chosen in this browser, else what the browser asks for."""
    for wanted in (current_person().language, request.cookies.get(LANGUAGE_COOKIE, "")):
        if wanted in LANGUAGES:
            return wanted
    return request.accept_languages.best_match(list(LANGUAGES)) or "en"


def shown_language() -> str:
    """Return the code of the language in use."""
    locale = get_locale()
    return locale.language if locale is not None else "en"


def gettext(text: str, **values: object) -> str:
    """Return a text in the reader's language; `%(name)s` in it is filled in from `values`."""
    return str(_gettext(text, **values))


def lazy_gettext(text: str) -> str:
    """Return a text that is translated when it is shown: for what is made before a request."""
    # The lazy string behaves as a str everywhere that a page needs.
    return cast(str, _lazy_gettext(text))
