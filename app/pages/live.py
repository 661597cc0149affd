"""The live page: all lanes the person may see, with their pictures; and one lane at full size."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, render_template, request

from app.guard import current_person
from app.languages import gettext
from app.pages.lane_words import lane_words
from app.permissions import Action
from app.problems import refusal
from app.site import Site


def live_pages(site: Site) -> Blueprint:
    """Return the live pages of `site`."""
    pages = Blueprint("live_pages", __name__)

    @pages.get("/")
    def live() -> str:
        lane_ids = [lane_id for lane_id in site.lane_ids if current_person().may_see(lane_id)]
        may_answer = current_person().may(Action.ANSWER)
        return render_template("live.html", lane_ids=lane_ids, may_answer=may_answer, words=lane_words())

    @pages.get("/lanes/<lane_id>")
    def lane(lane_id: str) -> Response:
        if lane_id not in site.lane_ids:
            return no_such_lane(lane_id)
        person = current_person()
        page = render_template(
            "lane.html",
            lane_id=lane_id,
            may_answer=person.may(Action.ANSWER, lane_id),
            may_read=person.may(Action.READ),
            debug=request.args.get("debug") == "1",
            words=lane_words(),
        )
        return current_app.make_response(page)

    return pages


def no_such_lane(lane_id: str) -> Response:
    """Return the page that says that there is no such lane."""
    told = gettext("There is no lane %(lane)s. The lanes are on the live page.", lane=lane_id)
    return refusal(404, gettext("Unknown lane"), told)
