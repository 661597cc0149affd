"""The queue of questions: what all lanes ask, oldest first, answered by one key each."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.pages.lane_words import lane_words
from app.site import Site


def question_pages(site: Site) -> Blueprint:
    """Return the page of questions of `site`."""
    pages = Blueprint("question_pages", __name__)

    @pages.get("/questions")
    def questions() -> str:
        several = len(site.lane_ids) > 1
        return render_template("questions.html", several=several, words=lane_words())

    return pages
