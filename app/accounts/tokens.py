"""Bearer tokens for machines: a subset of their owner's rights and lanes, with an end. Only a hash is kept."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.accounts.audit import Values, entry
from app.accounts.errors import AccountRefused
from app.accounts.people import person_of
from app.accounts.person import Person, Via
from app.accounts.sessions import TOUCH_S, digest
from app.permissions import Action, Role, actions_of
from store.accounts import AccountStore, PersonRow, TokenRow

MARK = "tlk_"
LONGEST_DAYS = 730
_DAY_S = 86400.0
_SHOWN = len(MARK) + 6


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made: the only moment at which it can be read."""

    row: TokenRow
    token: str


class Tokens:
    """Makes, finds and revokes tokens."""

    def __init__(self, rows: AccountStore) -> None:
        self._rows = rows

    def all(self) -> list[TokenRow]:
        """Return all tokens, latest made first."""
        return self._rows.tokens()

    def make(
        self,
        by: Person,
        owner: PersonRow,
        label: str,
        scopes: Iterable[Action],
        days: float,
        lanes: Iterable[str] | None = None,
    ) -> NewToken:
        """Make a token.

        Args:
            by: who does it.
            owner: whose rights it has a part of; it dies with them.
            label: what it is for.
            scopes: which of the owner's rights.
            days: until it ends.
            lanes: which of the owner's lanes; None for all of theirs.

        Raises:
            AccountRefused: no label, no scope, more than the owner may, or no end within two years.
        """
        told, wanted = " ".join(label.split()), frozenset(Action(scope) for scope in scopes)
        if not 1 <= len(told) <= 80:
            raise AccountRefused("token-label", "say in 1 to 80 letters what the token is for")
        if not 0 < days <= LONGEST_DAYS:
            raise AccountRefused("token-days", f"a token ends after 1 to {LONGEST_DAYS} days")
        may = actions_of(frozenset(Role(role) for role in owner.roles))
        beyond = wanted - may
        if not wanted or beyond:
            what = f"{owner.name} lacks {', '.join(sorted(beyond))}" if beyond else "name what it may do"
            raise AccountRefused("token-scopes", f"a token has a part of its owner's rights: {what}")
        if owner.disabled_at_s is not None:
            raise AccountRefused("disabled", f"{owner.name} is disabled")
        only = None if lanes is None else frozenset(lanes)
        if only is not None and (not only or (owner.lanes is not None and not only <= owner.lanes)):
            raise AccountRefused(
                "token-lanes", f"a token sees a part of its owner's lanes; those of {owner.name} differ"
            )
        token, now_s = MARK + secrets.token_urlsafe(32), self._rows.clock.utc_s()
        row = TokenRow(
            token_id=uuid.uuid4().hex,
            person_id=owner.person_id,
            label=told,
            prefix=token[:_SHOWN],
            token_hash=digest(token),
            scopes=frozenset(map(str, wanted)),
            lanes=only,
            created_at_s=now_s,
            expires_at_s=now_s + days * _DAY_S,
        )
        with self._rows.changing("make a token") as change:
            change.add_token(row)
            change.write(entry(by, "token.make", f"{row.prefix}… of {owner.name}", None, _told(row), now_s))
        return NewToken(row, token)

    def revoke(self, by: Person, token_id: str) -> TokenRow:
        """Revoke a token at once.

        Raises:
            AccountRefused: there is no such token in force.
        """
        now_s = self._rows.clock.utc_s()
        row = next((token for token in self.all() if token.token_id == token_id), None)
        owner = None if row is None else self._rows.person(row.person_id)
        with self._rows.changing("revoke a token") as change:
            if row is None or owner is None or not change.revoke_token(token_id, now_s):
                raise AccountRefused("no-token", "there is no such token in force")
            change.write(entry(by, "token.revoke", f"{row.prefix}… of {owner.name}", _told(row), None, now_s))
        return row

    def find(self, token: str, address: str) -> Person | None:
        """Return who a token stands for, None if it is not in force; and write down that it was used."""
        if not token.startswith(MARK):
            return None
        row, now_s = self._rows.token(digest(token)), self._rows.clock.utc_s()
        if row is None or row.revoked_at_s is not None or now_s >= row.expires_at_s:
            return None
        owner = self._rows.person(row.person_id)
        if owner is None or owner.disabled_at_s is not None:
            return None
        if row.last_used_at_s is None or now_s - row.last_used_at_s > TOUCH_S:
            with self._rows.changing("touch a token") as change:
                change.touch_token(row.token_id, now_s)
        person = person_of(owner, Via.TOKEN, address)
        scopes = frozenset(action for action in Action if str(action) in row.scopes)
        lanes = row.lanes if owner.lanes is None else owner.lanes if row.lanes is None else owner.lanes & row.lanes
        return replace(person, name=f"{owner.name} ({row.prefix}…)", actions=person.actions & scopes, lanes=lanes)


def _told(row: TokenRow) -> Values:
    return {
        "label": row.label,
        "scopes": sorted(row.scopes),
        "lanes": "all" if row.lanes is None else sorted(row.lanes),
        "expires_at_s": row.expires_at_s,
    }
