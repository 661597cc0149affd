"""The pages for those who run the place: settings, zones, models, replays. What they show comes from the API."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.guard import current_person
from app.permissions import Action
from app.site import Site
from checkout.config import LoadedConfig


def desk_pages(site: Site, config: LoadedConfig | None) -> Blueprint:
    """Return the pages of settings, zones, models and replays.

    Args:
        site: has the lanes.
        config: of the site; without it the pages say that there is no file.
    """
    pages = Blueprint("desk_pages", __name__)
    name = "" if config is None else config.name

    @pages.get("/settings")
    def settings() -> str:
        return render_template("settings.html", file=name)

    @pages.get("/settings/zones")
    def zones() -> str:
        return render_template("zones.html", file=name)

    @pages.get("/menu")
    def menu() -> str:
        lanes = [lane_id for lane_id in site.lane_ids if current_person().may_see(lane_id)]
        may_teach = config is not None and current_person().may(Action.TEACH)
        return render_template("menu.html", lanes=lanes, may_teach=may_teach)

    @pages.get("/models")
    def models() -> str:
        lanes = [lane_id for lane_id in site.lane_ids if current_person().may_see(lane_id)]
        may_promote = current_person().may(Action.MODELS)
        return render_template("models.html", file=name, lanes=lanes, may_promote=may_promote)

    @pages.get("/replay")
    def replay() -> str:
        lanes = [lane_id for lane_id in site.lane_ids if current_person().may_see(lane_id)]
        folder = "" if config is None else str(config.site.replays.recordings)
        rights = {"models": current_person().may(Action.READ), "settings": current_person().may(Action.CONFIGURE)}
        return render_template("replay.html", file=name, lanes=lanes, folder=folder, rights=rights)

    return pages
