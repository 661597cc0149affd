"""The taught menu as plain records, and its changes as pure functions from one set of dishes to the next.

A revision holds, beside the menu file, dishes that were taught from photos, and what else was changed: a record of the
name of a dish of the menu file goes before that one, with or without photos.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

from pydantic import Field, field_validator, model_validator

from checkout.menu import Dish, DishSettings, Menu
from core.errors import DataError
from core.settings import Settings
from models.gallery import Calibration

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Photos that one dish may have.
MOST_PHOTOS = 20
#: Dishes that a menu may have.
MOST_DISHES = 20_000
_NAME = re.compile(r"[^\W_]([\w .-]{0,78}[\w])?")
_HASH = r"^[0-9a-f]{64}$"


class PhotoRecord(Settings):
    """One photo of a dish, kept under the hash of its bytes."""

    sha256: str = Field(pattern=_HASH, description="Of the kept JPEG file")
    box: tuple[float, float, float, float] = Field(description="Where the dish is in it, xyxy pixels")
    original: str = Field(pattern=_HASH, description="SHA-256 of the file that was given, to know it again")


class DishRecord(DishSettings):
    """One dish of the taught menu."""

    days: tuple[str, ...] = Field(default=WEEKDAYS, description="Weekdays on which it is sold")
    first_day: datetime.date | None = Field(default=None, description="First day on which it is sold")
    last_day: datetime.date | None = Field(default=None, description="Last day on which it is sold")
    photos: tuple[PhotoRecord, ...] = Field(default=(), max_length=MOST_PHOTOS, description="What it looks like")

    @field_validator("days")
    @classmethod
    def _known_days(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        strange = [day for day in days if day not in WEEKDAYS]
        if strange:
            raise ValueError(f"{', '.join(strange)}: no weekday; use {', '.join(WEEKDAYS)}")
        return tuple(day for day in WEEKDAYS if day in days)

    @model_validator(mode="after")
    def _in_order(self) -> DishRecord:
        if self.first_day is not None and self.last_day is not None and self.last_day < self.first_day:
            raise ValueError(f"the last day {self.last_day} lies before the first, {self.first_day}")
        return self

    def sold_on(self, day: datetime.date) -> bool:
        """Return whether the dish is sold on a day."""
        begun = self.first_day is None or day >= self.first_day
        over = self.last_day is not None and day > self.last_day
        return begun and not over and WEEKDAYS[day.weekday()] in self.days


Dishes = Mapping[str, DishRecord]


class CalibrationRecord(Settings):
    """How similarities become probabilities; see `models/gallery.py`."""

    threshold: float = Field(ge=-1, le=1)
    temperature: float = Field(gt=0, le=10)
    lookalike: float = Field(ge=-1, le=1)
    dishes: int = Field(ge=0)

    def calibration(self) -> Calibration:
        """Return it as the gallery takes it."""
        return Calibration(self.threshold, self.temperature, self.lookalike, self.dishes)


class Revision(Settings):
    """One state of the taught menu; never changed once it is written.

    Attributes are described below; `parent` is the revision whose content came before this content, and `before` the
    one that was in force when this was written: they differ after an undo.
    """

    number: int = Field(default=0, ge=0, description="Counted from 1; 0 is the empty menu at the start")
    parent: int = Field(default=0, ge=0, description="What undo goes back to")
    before: int = Field(default=0, ge=0, description="What was in force before")
    content_of: int = Field(default=0, ge=0, description="Which revision had this content first; 0: this one")
    made_at_s: float = Field(default=0.0, description="UTC epoch seconds")
    who: str = Field(default="", max_length=200, description="Who made it")
    what: str = Field(default="", max_length=500, description="What was done, for people")
    embedder: str = Field(default="", description="Name and version of the model that the calibration belongs to")
    calibration: CalibrationRecord | None = Field(default=None, description="Of the gallery; none without photos")
    dishes: dict[str, DishRecord] = Field(default_factory=dict, description="By name")


def checked_name(name: str) -> str:
    """Return a dish's name without spaces around it.

    Raises:
        DataError: it cannot be one.
    """
    name = " ".join(name.split())
    if name.startswith("@"):
        raise DataError(f"dish name {name!r}: names that start with @ are roles of the model; choose another")
    if not _NAME.fullmatch(name):
        raise DataError(
            f"dish name {name!r}: use 1 to 80 letters, digits, spaces and . _ -, a letter or digit first and last"
        )
    return name


def same_name(name: str, dishes: Mapping[str, object]) -> str | None:
    """Return the dish that has this name, whatever the case of its letters; None if there is none."""
    folded = name.casefold()
    return name if name in dishes else next((one for one in dishes if one.casefold() == folded), None)


def make_record(
    title: str,
    price: float,
    plu: str = "",
    category: str = "",
    days: tuple[str, ...] = WEEKDAYS,
    photos: tuple[PhotoRecord, ...] = (),
) -> DishRecord:
    """Return a record.

    Raises:
        DataError: the price, a day or another value is out of range; says which.
    """
    return _valid({"title": title, "price": price, "plu": plu, "category": category, "days": days, "photos": photos})


def changed(record: DishRecord, **values: object) -> DishRecord:
    """Return a record with other values, checked.

    Raises:
        DataError: a value is out of range.
    """
    return _valid({**{name: getattr(record, name) for name in DishRecord.model_fields}, **values})


def _valid(values: Mapping[str, object]) -> DishRecord:
    from pydantic import ValidationError

    try:
        return DishRecord.model_validate(values)
    except ValidationError as err:
        told = [
            f"{'.'.join(map(str, e['loc'])) or 'dish'}: {e['msg'].removeprefix('Value error, ')}" for e in err.errors()
        ]
        raise DataError("; ".join(told)) from err


# --- changes: dishes -> dishes ---------------------------------------------------------------------------------------


def known(dishes: Dishes, name: str) -> str:
    """Return the stored name of a taught dish.

    Raises:
        DataError: there is no such dish.
    """
    found = same_name(name, dishes)
    if found is None:
        raise DataError(f"no taught dish {name!r}; `traylane menu list` shows all")
    return found


def put(dishes: Dishes, name: str, record: DishRecord) -> dict[str, DishRecord]:
    """Return the dishes with one added or replaced, in the order of names.

    Raises:
        DataError: there are too many.
    """
    after = dict(sorted({**dishes, name: record}.items()))
    if len(after) > MOST_DISHES:
        raise DataError(f"the menu has {MOST_DISHES} dishes already; remove some that are not sold any more")
    return after


def add_photos(dishes: Dishes, name: str, photos: tuple[PhotoRecord, ...]) -> dict[str, DishRecord]:
    """Return the dishes with more photos of one.

    Raises:
        DataError: no such dish, a photo teaches another dish already, or there are too many.
    """
    record = dishes[known(dishes, name)]
    every = (*record.photos, *(one for one in photos if one not in record.photos))
    if len(every) > MOST_PHOTOS:
        raise DataError(
            f"{name}: {len(record.photos)} photos and {len(photos)} more are over {MOST_PHOTOS}; "
            "start anew with --replace, with photos that differ from one another"
        )
    return put(dishes, known(dishes, name), changed(record, photos=every))


def remove(dishes: Dishes, name: str) -> dict[str, DishRecord]:
    """Return the dishes without one.

    Raises:
        DataError: there is no such dish.
    """
    gone = known(dishes, name)
    return {one: record for one, record in dishes.items() if one != gone}


def rename(dishes: Dishes, name: str, to: str) -> dict[str, DishRecord]:
    """Return the dishes with another name for one.

    Raises:
        DataError: no such dish, or the new name is taken or impossible.
    """
    old, new = known(dishes, name), checked_name(to)
    taken = same_name(new, dishes)
    if taken is not None and taken != old:
        raise DataError(f"there is a dish {taken!r} already; remove it first, or choose another name")
    return put(remove(dishes, old), new, dishes[old])


def owner_of(dishes: Dishes, original: str) -> str | None:
    """Return the dish that a given file (its SHA-256) teaches already; None if there is none."""
    for name, record in dishes.items():
        if any(original in (photo.original, photo.sha256) for photo in record.photos):
            return name
    return None


def menu_on(base: Menu, revision: Revision, day: datetime.date) -> Menu:
    """Return the whole menu of a day: the menu file's dishes and the taught ones; those not sold are `off_today`."""
    if not revision.dishes:
        return base
    dishes = dict(base.dishes)
    off = set()
    for name, record in revision.dishes.items():
        if record.sold_on(day):
            dishes[name] = Dish(name, record.title, record.price, record.plu, record.category)
        else:
            dishes.pop(name, None)
            off.add(name)
    return Menu(base.currency, dishes, base.ignored - dishes.keys(), frozenset(off), revision.number)
