"""The display at a lane: the bill in big letters for the guest; answers and corrections for the cashier."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, render_template

from app.guard import current_person
from app.pages.lane_words import lane_words
from app.pages.live import no_such_lane
from app.permissions import Action
from app.site import Site


def display_pages(site: Site) -> Blueprint:
    """Return the displays of the lanes of `site`."""
    pages = Blueprint("display_pages", __name__)

    @pages.get("/display/<lane_id>")
    def display(lane_id: str) -> Response:
        if lane_id not in site.lane_ids:
            return no_such_lane(lane_id)
        person = current_person()
        # Who answers reads the bill and the menu, too: corrections name the bill as it was seen.
        may_answer = person.may(Action.ANSWER, lane_id) and person.may(Action.READ)
        page = render_template("display.html", lane_id=lane_id, may_answer=may_answer, words=lane_words())
        return current_app.make_response(page)

    return pages
