"""The live page: all lanes the person may see, with their pictures."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.guard import current_person
from app.site import Site


def live_pages(site: Site) -> Blueprint:
    """Return the live page of `site`."""
    pages = Blueprint("live_pages", __name__)

    @pages.get("/")
    def live() -> str:
        lane_ids = [lane_id for lane_id in site.lane_ids if current_person().may_see(lane_id)]
        return render_template("live.html", menu=site.menu_titles, lane_ids=lane_ids)

    return pages
