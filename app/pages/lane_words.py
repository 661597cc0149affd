"""Texts that the scripts of the lanes' pages say, in the reader's language."""

from __future__ import annotations

from app.languages import gettext


def lane_words() -> dict[str, str]:
    """Return the texts of `lanes.js` and the pages that use it, by the key that `Traylane.t()` knows."""
    return {**_states(), **_bills(), **_questions(), **_corrections()}


def _states() -> dict[str, str]:
    return {
        "live": gettext("live"),
        "no_link": gettext("no connection, trying again"),
        "connecting": gettext("connecting"),
        "running": gettext("running"),
        "degraded": gettext("degraded"),
        "offline": gettext("offline"),
        "off": gettext("switched off"),
        "stopped": gettext("stopped"),
        "failed_state": gettext("failed"),
        "fps": gettext("{n} fps"),
        "fps_unknown": gettext("fps unknown"),
        "p95": gettext("p95 {n} ms"),
        "p95_title": gettext(
            "From the camera's picture to the decision: half within {p50} ms, 99 of 100 within {p99} ms"
        ),
        "dropped": gettext("{n} dropped"),
        "dropped_none": gettext("No frame was left out"),
        "spooled": gettext("{n} events wait for the store"),
        "tile_connecting": gettext("Connecting to the camera"),
        "tile_offline": gettext("Stream offline"),
        "tile_off": gettext("Detection is switched off"),
        "tile_stopped": gettext("The lane has stopped"),
        "tile_failed": gettext("The lane has failed"),
        "since": gettext("for {time}"),
        "next_try": gettext("next try in {n} s"),
        "next_try_now": gettext("trying again now"),
    }


def _bills() -> dict[str, str]:
    return {
        "bill": gettext("Bill"),
        "last_bill": gettext("Last bill"),
        "no_bill": gettext("No bill"),
        "put_tray": gettext("Put a tray under the camera."),
        "looking": gettext("Looking …"),
        "revision": gettext("revision {n}"),
        "sure": gettext("{share} sure"),
        "confirmed": gettext("confirmed"),
        "thanks": gettext("Thank you"),
        "one_moment": gettext("One moment, we are asking a colleague …"),
    }


def _questions() -> dict[str, str]:
    return {
        "what_is_this": gettext("What is this?"),
        "something_else": gettext("Something else …"),
        "not_a_dish": gettext("Not a dish"),
        "object_picture": gettext("Picture of the object in question"),
        "answered": gettext("Answered: {dish}"),
        "open_questions": gettext("{n} open"),
        "asked_ago": gettext("asked {time} ago"),
        "no_guess": gettext("No guess; choose a dish."),
    }


def _corrections() -> dict[str, str]:
    return {
        "take_off": gettext("Take it off the bill"),
        "choose_dish": gettext("Which dish is it?"),
        "replace_dish": gettext("Instead of {dish}"),
        "add_dish": gettext("Which dish is missing?"),
        "no_such_dish": gettext("No dish has this in its name."),
        "change_line": gettext("Change {dish}"),
        "corrected": gettext("Corrected"),
        "removed": gettext("Taken off the bill"),
        "added": gettext("Added"),
        "changed_meanwhile": gettext("The bill has changed meanwhile. Look at it again, then decide."),
        "is_confirmed": gettext("The bill is confirmed"),
    }
