"""The taught menu as people change it over the pages: one change at a time, each a revision that can be taken back."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from checkout.build import build_menu, build_menu_store, build_teacher
from checkout.config import LoadedConfig
from checkout.menu import Menu
from checkout.menu_csv import read_csv, whole_menu, write_csv
from checkout.menu_records import Dishes, DishRecord, PhotoRecord, Revision, changed, put, remove, rename, same_name
from checkout.menu_store import MenuStore
from checkout.teaching import Look, Teacher, TeachOutcome, TeachRequest
from core.clock import Clock
from core.errors import ConfigError, DataError
from core.records import Box


class MenuChanged(DataError):
    """The menu is not as the person saw it."""


class DishDesk:
    """The menu of a site, to be changed. Safe to call from several threads; the models are loaded with the first photo.

    Args:
        config: names the menu file and the folder of what is taught.
        clock: dates the changes.
        timezone: of the place: its date tells what is sold today.
    """

    def __init__(self, config: LoadedConfig, clock: Clock, timezone: str) -> None:
        self._config, self._clock, self._zone = config, clock, ZoneInfo(timezone)
        self._lock = threading.Lock()
        self._base: Menu | None = None
        self._teacher: Teacher | None = None

    @property
    def base(self) -> Menu:
        """The menu file's dishes, as they were at the first look."""
        if self._base is None:
            self._base = build_menu(self._config)
        return self._base

    @property
    def store(self) -> MenuStore:
        """Where the taught menu is kept.

        Raises:
            ConfigError: the configuration names no folder.
        """
        store = build_menu_store(self._config, self._clock)
        if store is None:
            raise ConfigError(f"{self._config.name}: menu.store is null, so nothing can be taught; name a folder there")
        return store

    def today(self) -> datetime.date:
        """Return the date of the place."""
        return datetime.datetime.fromtimestamp(self._clock.utc_s(), self._zone).date()

    def revision(self) -> Revision:
        """Return what is taught; an empty menu where the configuration wants nothing taught."""
        store = build_menu_store(self._config, self._clock)
        return Revision() if store is None else store.current()

    def whole(self) -> dict[str, DishRecord]:
        """Return every dish of the menu file and of what is taught, sold today or not, by name."""
        return whole_menu(self.base, self.revision().dishes)

    def history(self, limit: int) -> list[Revision]:
        """Return the changes, the latest first."""
        return self.store.history(limit)

    def thumbnail(self, photo: PhotoRecord, side: int) -> bytes:
        """Return a small square JPEG of a kept photo."""
        return self.store.thumbnail(photo, side)

    def look(self, photo: bytes, name: str, box: Box | None) -> Look:
        """Return what a photo would teach; see `Teacher.look`."""
        with self._lock:
            return self._taught_by().look(photo, name, box)

    def teach(self, photo: bytes, request: TeachRequest) -> TeachOutcome:
        """Teach a dish; see `Teacher.teach`."""
        with self._lock:
            return self._taught_by().teach([photo], request)

    def set_values(self, name: str, values: Mapping[str, object], to: str | None, who: str) -> Revision:
        """Set values of a dish of the menu file or of a taught one, and perhaps its name.

        Raises:
            DataError: no such dish, a value is out of range, or the name is taken.
        """

        def change(dishes: Dishes) -> dict[str, DishRecord]:
            menu = whole_menu(self.base, dishes)
            found = same_name(name, menu)
            if found is None:
                raise DataError(f"there is no dish {name!r} any more; load the page again")
            after = put(dishes, found, changed(menu[found], **values)) if values else dict(dishes)
            return self._renamed(after, found, to) if to is not None and to != found else after

        told = [f"{key} {value if not isinstance(value, tuple) else ' '.join(value)}" for key, value in values.items()]
        what = f"{name}: {', '.join([*told, *([f'name {to}'] if to else [])])}"
        return self.store.change(what, who, change)

    def remove(self, name: str, who: str) -> Revision:
        """Forget what was taught of a dish.

        Raises:
            DataError: nothing was taught of it.
        """

        def change(dishes: Dishes) -> dict[str, DishRecord]:
            filed = same_name(name, self.base.dishes)
            if filed is not None and same_name(name, dishes) is None:
                raise DataError(f"{filed!r} stands in the menu file: take it out there, or let it be sold on no day")
            return remove(dishes, name)

        return self.store.change(f"remove {name}", who, change)

    def undo(self, seen: int, who: str) -> Revision:
        """Take the change back that made revision `seen`.

        Raises:
            MenuChanged: somebody changed the menu after it.
            DataError: there is nothing to undo.
        """
        with self._lock:
            now = self.store.current().number
            if now != seen:
                raise MenuChanged(f"the menu was changed after that (it is at revision {now}); look at its history")
            return self.store.undo(who)

    def as_csv(self) -> str:
        """Return the whole menu as a table."""
        return write_csv(self.whole())

    def read_csv(self, text: str) -> tuple[dict[str, DishRecord], dict[str, DishRecord]]:
        """Return the whole menu as it is and as a table would make it; nothing changes.

        Raises:
            FormatError: a line cannot be used; says which and why.
        """
        now = self.revision().dishes
        after = read_csv(text.encode(), "the table", self.base, now)
        return whole_menu(self.base, now), whole_menu(self.base, after)

    def bring_in(self, text: str, who: str) -> Revision:
        """Take what a table says of dishes.

        Raises:
            FormatError: a line cannot be used; nothing has changed.
        """
        return self.store.change(
            "import a table", who, lambda dishes: read_csv(text.encode(), "the table", self.base, dishes)
        )

    def _renamed(self, dishes: Dishes, name: str, to: str) -> dict[str, DishRecord]:
        if same_name(name, self.base.dishes) is not None:
            raise DataError(f"{name!r} is a name of the menu file, which the model reports: change its title instead")
        taken = same_name(to, self.base.dishes)
        if taken is not None:
            raise DataError(f"the menu file has a dish {taken!r}; choose another name")
        return rename(dishes, name, to)

    def _taught_by(self) -> Teacher:
        if self._teacher is None:
            self._teacher = build_teacher(self._config, self._clock)
        return self._teacher
