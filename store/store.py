"""The seam between a lane and what outlives it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.records import Bill, Event

if TYPE_CHECKING:
    from store.accounts import AccountStore


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A moment of a stream from which everything that is not stored yet can be re-done.

    Attributes:
        lane_id: the lane.
        stream_key: the recording's content hash prefix, or the start time of a live session.
        stream_s: seconds on the stream's own time line.
        frame_index: 0-based index of the frame at `stream_s`.
        last_track_id: highest track id given up to there, so that ids are never used twice.
    """

    lane_id: str
    stream_key: str
    stream_s: float
    frame_index: int
    last_track_id: int = 0


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event and its place in the log.

    Attributes:
        seq: rises with each stored event in the order of commits; readers use it as their cursor. Gaps are possible.
    """

    seq: int
    event: Event


class Store(Protocol):
    """Keeps events, bills and checkpoints. All methods may be called from several threads.

    Every method but `close` raises StoreUnavailable (a later call may succeed) or SchemaMismatch (it may not).
    """

    def append(self, events: Sequence[Event], bills: Sequence[Bill], checkpoint: Checkpoint | None = None) -> int:
        """Store everything in one transaction, or nothing.

        An event whose id is stored already is left out. A bill replaces the stored one if its revision is higher, or
        equal while the stored one is open (places of objects change without a revision). A checkpoint never moves
        backwards.

        Returns:
            How many events were new.
        """
        ...

    def open_bill(self, lane_id: str) -> Bill | None:
        """Return the lane's latest bill that is not closed."""
        ...

    def bills(
        self, lane_id: str | None = None, closed: bool | None = None, limit: int = 100, before: str | None = None
    ) -> list[Bill]:
        """Return bills, latest opened first.

        Args:
            lane_id: of this lane only.
            closed: True for closed bills only, False for open ones only.
            limit: at most this many.
            before: a bill id; only bills older than it (the cursor of the next page).
        """
        ...

    def events(
        self,
        lane_id: str | None = None,
        after_seq: int = 0,
        limit: int = 1000,
        bill_id: str | None = None,
        lane_ids: Collection[str] | None = None,
    ) -> list[StoredEvent]:
        """Return events with `seq > after_seq`, oldest first.

        Args:
            lane_id: of this lane only.
            after_seq: the last one that the reader has.
            limit: at most this many.
            bill_id: of this bill only.
            lane_ids: of these lanes only.
        """
        ...

    def checkpoint(self, lane_id: str, stream_key: str) -> Checkpoint | None:
        """Return the checkpoint of a lane on a stream."""
        ...

    def accounts(self) -> AccountStore:
        """Return the rows of accounts in the same database."""
        ...

    def close(self) -> None:
        """Let go of connections; calling it again is harmless."""
        ...
