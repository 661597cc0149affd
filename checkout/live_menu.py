"""The taught menu as lanes run it: loaded whole beside the lanes, checked, and only then handed over."""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from checkout.menu import Menu
from checkout.menu_records import Revision, menu_on
from checkout.menu_store import Mark, MenuStore
from core.errors import TraylaneError
from models.embedder import Embedder
from models.gallery import Gallery, Vectors

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """What a lane knows of its dishes. Frozen: a lane goes from one to the next between two frames.

    Attributes:
        menu: of today: the menu file's dishes and the taught ones.
        gallery: what they look like; None while nothing is taught.
        embedder: that made the gallery; None without one.
    """

    menu: Menu
    gallery: Gallery | None = None
    embedder: Embedder | None = None

    @property
    def revision(self) -> int:
        """Number of the menu's revision; 0: only the menu file."""
        return self.menu.revision


class LiveMenu:
    """Follows a menu store for the lanes of a process, which share it. May be called from any thread.

    Args:
        store: see there; None: nothing is ever taught.
        base: the menu file's dishes.
        make_embedder: loads the embedder; called when the first photo is there. Owned from then on.
        today: the date of this place.
    """

    def __init__(
        self,
        store: MenuStore | None,
        base: Menu,
        make_embedder: Callable[[], Embedder],
        today: Callable[[], datetime.date],
    ) -> None:
        self._store, self._base, self._make_embedder, self._today = store, base, make_embedder, today
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None
        self._loaded = Knowledge(base)
        self._seen: tuple[Mark | None, datetime.date] | None = None
        self._vectors: dict[str, Vectors] = {}
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the newest revision is not in force; "" when it is."""
        return self._trouble

    @property
    def current(self) -> Knowledge:
        """What was loaded last, without a look at the store."""
        return self._loaded

    def load(self) -> Knowledge:
        """Return what is in force now, read if it changed.

        Raises:
            MenuBroken: the newest revision cannot be used.
            ModelError: the embedder cannot be loaded.
        """
        with self._lock:
            self._follow()
            return self._loaded

    def latest(self) -> Knowledge:
        """Return what is in force now; what was before where the newest revision cannot be used. See `trouble`."""
        with self._lock:
            try:
                self._follow()
                self._trouble = ""
            except TraylaneError as err:
                kept = f"revision {self._loaded.revision}" if self._loaded.revision else "the menu file"
                trouble = f"the taught menu cannot be used, {kept} stays in force: {err}"
                if trouble != self._trouble:
                    _LOG.error("%s", trouble)
                self._trouble = trouble
            return self._loaded

    def close(self) -> None:
        """Let go of the embedder, after the lanes have stopped."""
        with self._lock:
            if self._embedder is not None:
                self._embedder.close()
                self._embedder = None

    def _follow(self) -> None:
        if self._store is None:
            return
        seen = (self._store.mark(), self._today())
        if seen == self._seen:
            return
        revision = self._store.current()
        self._loaded = self._knowledge(revision, seen[1])
        # Only now: what could not be loaded is tried again.
        self._seen = seen
        if revision.number:
            _LOG.info("menu revision %d: %d dishes taught (%s)", revision.number, len(revision.dishes), revision.what)

    def _knowledge(self, revision: Revision, day: datetime.date) -> Knowledge:
        menu = menu_on(self._base, revision, day)
        sold = {name: record for name, record in revision.dishes.items() if name in menu and record.photos}
        if not sold or self._store is None:
            return Knowledge(menu)
        if self._embedder is None:
            self._embedder = self._make_embedder()
        today = revision.model_copy(update={"dishes": sold})
        gallery, self._vectors = self._store.gallery_and_vectors(
            today, self._embedder.name, self._embedder, self._vectors
        )
        return Knowledge(menu, gallery, self._embedder)
