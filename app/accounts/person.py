"""Who somebody is to the rest of the program: a name, rights, lanes, a language."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from app.permissions import SITE_WIDE, Action, Everyone, Need, Role


class Via(enum.StrEnum):
    """How a person proved who they are in this request."""

    NOTHING = "nothing"  #: not at all
    DEMO = "demo"  #: accounts are off: whoever reaches the loopback address
    SESSION = "session"  #: logged in with a password
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    PROXY = "proxy"  #: a trusted proxy logged them in
    TERMINAL = "terminal"  #: whoever runs `traylane users` on the machine


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as of one request.

    Attributes:
        person_id: "" for nobody.
        name: the log-in name, for people and the audit.
        roles: may be several.
        actions: what they may do: the roles' rights, less what a token leaves out.
        lanes: the only lanes they may see; None means all lanes.
        language: "de" or "en"; "" if they never chose.
        via: how they proved who they are.
        must_change: their password was made by somebody else, and must be changed before anything else.
        address: where the request came from.
    """

    person_id: str
    name: str
    roles: frozenset[Role]
    actions: frozenset[Action]
    lanes: frozenset[str] | None
    language: str = ""
    via: Via = Via.NOTHING
    must_change: bool = False
    address: str = ""

    @property
    def known(self) -> bool:
        """Whether this is somebody."""
        return self.via is not Via.NOTHING

    def may(self, need: Need | None, lane_id: str | None = None) -> bool:
        """Return whether they may do what needs `need`.

        Args:
            need: None is what nobody may.
            lane_id: the lane it is done to; None for the whole site.
        """
        if need is None:
            return False
        if need is Everyone.ANYONE:
            return True
        if need is Everyone.SIGNED_IN:
            return self.known and self.via is not Via.TOKEN
        if need not in self.actions:
            return False
        if lane_id is not None:
            return self.may_see(lane_id)
        return self.lanes is None or need not in SITE_WIDE

    def may_see(self, lane_id: str) -> bool:
        """Return whether a lane is one of theirs."""
        return self.known and (self.lanes is None or lane_id in self.lanes)


def nobody(address: str = "") -> Person:
    """Return who somebody is that did not say who they are."""
    return Person("", "", frozenset(), frozenset(), frozenset(), address=address)


def demo_person(address: str = "") -> Person:
    """Return who everybody is while accounts are off: an admin without a name."""
    return Person("demo", "demo", frozenset({Role.ADMIN}), frozenset(Action), None, via=Via.DEMO, address=address)
