"""Requests that are sent twice and done once: what a POST with an `Idempotency-Key` was answered.

After draft-ietf-httpapi-idempotency-key-header: the key is the client's, the server keeps what it answered and gives
it again. A key that is at work is refused until it is done; if the process died meanwhile, nobody knows whether the
change was made, so the key stays refused until `ABANDONED_S` have passed and the request is then tried anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from core.clock import Clock
from store.api_tables import idempotency_keys
from store.sql_store import SqlStore

KEPT_S = 24 * 3600.0
ABANDONED_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


class KeyInUse(Exception):
    """The same request is at work at this moment."""


class KeyOfAnotherRequest(Exception):
    """The key was used for a request with other content."""


class IdempotencyKeys:
    """The keys in a store. A key belongs to a `scope`: who asks for what.

    Args:
        store: where they are kept.
        clock: tells when they expire.
    """

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def begin(self, scope: str, key: str, request_sha256: str) -> Answer | None:
        """Claim a key; return the kept answer if the request was answered already.

        Raises:
            KeyInUse: the request is at work.
            KeyOfAnotherRequest: the key was used with another content.
            StoreUnavailable: see `Store`.
        """
        now_s = self._clock.utc_s()
        mine = (idempotency_keys.c.scope == scope) & (idempotency_keys.c.key == key)
        with self._store.writing("claim an idempotency key") as connection:
            connection.execute(delete(idempotency_keys).where(idempotency_keys.c.expires_at_s <= now_s))
            row = connection.execute(select(idempotency_keys).where(mine)).mappings().first()
            if row is not None and row["request_sha256"] != request_sha256:
                raise KeyOfAnotherRequest
            if row is not None and row["status"] is not None:
                headers = tuple((name, value) for name, value in json.loads(row["headers"]))
                return Answer(row["status"], headers, row["body"])
            if row is not None and now_s - row["created_at_s"] < ABANDONED_S:
                raise KeyInUse
            connection.execute(delete(idempotency_keys).where(mine))
            connection.execute(
                insert(idempotency_keys).values(
                    scope=scope,
                    key=key,
                    request_sha256=request_sha256,
                    created_at_s=now_s,
                    expires_at_s=now_s + KEPT_S,
                )
            )
        return None

    def keep(self, scope: str, key: str, answer: Answer) -> None:
        """Keep what the request of a claimed key was answered. Raises StoreUnavailable."""
        mine = (idempotency_keys.c.scope == scope) & (idempotency_keys.c.key == key)
        with self._store.writing("keep an answer") as connection:
            connection.execute(
                update(idempotency_keys)
                .where(mine)
                .values(status=answer.status, headers=json.dumps(answer.headers), body=answer.body)
            )

    def forget(self, scope: str, key: str) -> None:
        """Give a claimed key free again: nothing was changed. Raises StoreUnavailable."""
        mine = (idempotency_keys.c.scope == scope) & (idempotency_keys.c.key == key)
        with self._store.writing("free an idempotency key") as connection:
            connection.execute(delete(idempotency_keys).where(mine))
