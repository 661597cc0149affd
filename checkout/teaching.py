"""Teach a dish from photos: the one way in, for the command line and the pages alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from checkout.menu import Menu
from checkout.menu_records import (
    MOST_PHOTOS,
    WEEKDAYS,
    Dishes,
    DishRecord,
    PhotoRecord,
    Revision,
    add_photos,
    changed,
    checked_name,
    make_record,
    owner_of,
    put,
    same_name,
)
from checkout.menu_store import MenuStore
from core.errors import DataError
from core.records import Box
from models.detector import Detector
from models.dish_photo import DishPhoto, content_hash, encode_photo, prepare_photo, thumbnail, views_of
from models.embedder import Embedder
from models.gallery import Gallery, Resemblance, Vectors, make_gallery, resemblances


@dataclass(frozen=True, slots=True)
class TeachRequest:
    """What is to be taught.

    Attributes:
        name: of the dish.
        price: of a new dish; None adds the photos to a dish that is there.
        title, plu, category: None leaves them as they are; of a new dish: title from the name, the others empty.
        days: weekdays on which it is sold; None leaves them as they are.
        replace: forget the dish's photos so far, and take the values given here.
        box: where the dish is in the photo, pixels; only with one photo.
        force_lookalike: teach it although it looks like another dish.
        who: for the history.
    """

    name: str
    price: float | None = None
    title: str | None = None
    plu: str | None = None
    category: str | None = None
    days: tuple[str, ...] | None = None
    replace: bool = False
    box: Box | None = None
    force_lookalike: bool = False
    who: str = ""


@dataclass(frozen=True, slots=True)
class TeachOutcome:
    """What was taught.

    Attributes:
        name: of the dish, as it is kept.
        dish: its record.
        revision: of the menu, that lanes take up within a second or two.
        warnings: what could be better, for people.
        thumbnail: JPEG of what was taken for the dish in the last photo.
        found: how the dish was found in each photo.
    """

    name: str
    dish: DishRecord
    revision: int
    warnings: tuple[str, ...]
    thumbnail: bytes
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What a photo would teach, before it does.

    Attributes:
        thumbnail: JPEG of what was taken for the dish.
        found: how the dish was found in the photo.
        warnings: what could be better, for people.
        alike: dishes that it is easily confused with, the most alike first.
    """

    thumbnail: bytes
    found: str
    warnings: tuple[str, ...]
    alike: tuple[Resemblance, ...]


class Teacher:
    """Teaches dishes into a menu store. Models are loaded when the first photo comes.

    Args:
        store: see there.
        base: the menu file's dishes.
        make_embedder: loads the embedder; called once.
        make_detector: loads a detector that finds things whatever they are, or None; called once.
    """

    def __init__(
        self,
        store: MenuStore,
        base: Menu,
        make_embedder: Callable[[], Embedder],
        make_detector: Callable[[], Detector | None],
    ) -> None:
        self.store, self._base = store, base
        self._make_embedder, self._make_detector = make_embedder, make_detector
        self._embedder: Embedder | None = None
        self._detector: Detector | None = None
        self._vectors: dict[str, Vectors] = {}

    def close(self) -> None:
        """Let go of the models."""
        for model in (self._embedder, self._detector):
            if model is not None:
                model.close()
        self._embedder = self._detector = None

    def teach(self, photos: Sequence[bytes], request: TeachRequest) -> TeachOutcome:
        """Teach a dish from the contents of 1 to 20 photo files.

        Raises:
            DataError: a photo or a value cannot be used; says which, why, and what to do. Nothing has changed then.
            ModelError: a model cannot be loaded.
            MenuLocked, MenuBroken, FolderUnusable: see `MenuStore.change`.
        """
        name = checked_name(request.name)
        revision = self.store.current()
        stored = self._check(revision.dishes, name, photos, request)
        embedder = self._models()
        prepared = self._prepare(photos, request)
        warnings = [warning for photo in prepared for warning in photo.warnings]
        records = tuple(
            PhotoRecord(
                sha256=self.store.keep_photo(encode_photo(photo)), box=photo.box, original=content_hash(content)
            )
            for photo, content in zip(prepared, photos, strict=True)
        )
        views = np.concatenate([self.store.vectors(record, embedder.name, embedder) for record in records])
        gallery = self.store.gallery(revision, embedder.name, embedder, self._vectors)
        warnings += self._compare(gallery, stored, views, request)

        def change(dishes: Dishes) -> dict[str, DishRecord]:
            # Again under the lock: somebody else may have taught meanwhile.
            return self._changed(dishes, self._check(dishes, name, photos, request), records, request)

        what = (
            f"teach {stored}: {len(records)} photo{'s' * (len(records) > 1)}{' in place of others' * request.replace}"
        )
        after = self.store.change(what, request.who, change, embedder, self._vectors)
        if after.calibration is not None and after.calibration.dishes == 0:
            warnings.append(
                "few dishes have photos so far: until there are 5, what is unknown is told by shipped values"
            )
        return TeachOutcome(
            stored,
            after.dishes[stored],
            after.number,
            tuple(warnings),
            thumbnail(prepared[-1]),
            tuple(photo.found for photo in prepared),
        )

    def look(self, photo: bytes, name: str, box: Box | None) -> Look:
        """Return what a photo would teach of a dish; nothing is kept.

        Args:
            photo: content of the file.
            name: of the dish, which cannot be its own look-alike; "" for a new one.
            box: where the dish is in the photo, pixels; found out if not given.

        Raises:
            DataError: the photo cannot be used; says why, and what to do.
            ModelError: a model cannot be loaded.
        """
        embedder = self._models()
        prepared = self._prepare([photo], TeachRequest(name, box=box))[0]
        gallery = self.store.gallery(self.store.current(), embedder.name, embedder, self._vectors)
        alike: list[Resemblance] = []
        if len(gallery):
            views = np.ascontiguousarray(embedder.embed(views_of(prepared)), dtype=np.float32)
            limit = gallery.calibration.lookalike
            alike = [one for one in resemblances(gallery, name, views) if one.similarity >= limit]
        return Look(thumbnail(prepared), prepared.found, prepared.warnings, tuple(alike[:3]))

    def _models(self) -> Embedder:
        if self._embedder is None:
            self._embedder = self._make_embedder()
        return self._embedder

    def _prepare(self, photos: Sequence[bytes], request: TeachRequest) -> list[DishPhoto]:
        if self._detector is None and request.box is None:
            self._detector = self._make_detector()
        many = len(photos) > 1
        return [
            prepare_photo(content, self._detector, request.box, f"photo {number}" if many else "the photo")
            for number, content in enumerate(photos, start=1)
        ]

    def _check(self, dishes: Dishes, name: str, photos: Sequence[bytes], request: TeachRequest) -> str:
        """Return the name under which the dish is kept, if the request can be meant.

        Raises:
            DataError: it cannot.
        """
        if not 1 <= len(photos) <= MOST_PHOTOS:
            raise DataError(f"{len(photos)} photos given; teach a dish from 1 to {MOST_PHOTOS}")
        if request.box is not None and len(photos) > 1:
            raise DataError("--box says where the dish is in one photo; teach several photos one by one")
        if name in self._base.ignored:
            raise DataError(f"{name!r} is under `ignore` in the menu file: no goods; take it out there, or rename")
        stored = same_name(name, dishes) or same_name(name, self._base.dishes)
        if stored is None and request.price is None:
            raise DataError(f"there is no dish {name!r} yet: give its price (--price 4.50) to add it")
        if stored is not None and request.price is not None and not request.replace:
            raise DataError(
                f"there is a dish {stored!r} already: leave the price out to add photos to it, give --replace to start "
                "it anew, or choose another name"
            )
        originals = [content_hash(content) for content in photos]
        if len(set(originals)) < len(originals):
            raise DataError("the same photo is given twice; give different photos, or one")
        for number, original in enumerate(originals, start=1):
            owner = owner_of(dishes, original)
            if owner is not None and not (owner == stored and request.replace):
                whom = "this dish" if owner == stored else f"{owner!r}"
                raise DataError(f"photo {number} teaches {whom} already; give another photo, or remove that dish first")
        return stored or name

    def _changed(
        self, dishes: Dishes, name: str, records: tuple[PhotoRecord, ...], request: TeachRequest
    ) -> dict[str, DishRecord]:
        """Return the dishes with the one that is taught."""
        own = dishes.get(name)
        if own is None and name in self._base:
            base = self._base[name]
            own = make_record(base.title, base.price, base.plu, base.category)
        if own is None:
            own = make_record(name.replace("_", " ").capitalize(), request.price or 0.0, days=WEEKDAYS)
        given = {
            "title": request.title,
            "price": request.price,
            "plu": request.plu,
            "category": request.category,
            "days": request.days,
        }
        own = changed(own, **{key: value for key, value in given.items() if value is not None})
        if request.replace:
            return put(dishes, name, changed(own, photos=records))
        return add_photos(put(dishes, name, own), name, records)

    def _compare(self, gallery: Gallery, name: str, views: Vectors, request: TeachRequest) -> list[str]:
        """Return what is noteworthy about a dish's looks beside those of the others.

        Raises:
            DataError: it looks like another dish, and nobody said that it may.
        """
        limit, warnings = gallery.calibration.lookalike, []
        others = [one for one in resemblances(gallery, name, views) if one.similarity >= limit] if len(gallery) else []
        if others:
            shown = ", ".join(f"{one.other!r} (similarity {one.similarity:.2f})" for one in others[:3])
            told = f"{name!r} looks like {shown}; {limit:.2f} and more is easily confused"
            if not request.force_lookalike:
                raise DataError(
                    f"{told}: photograph what tells them apart (label, sauce, side), check that it is not the same "
                    "dish under another name, or teach it all the same with --force-lookalike; the lane then asks"
                )
            warnings.append(f"{told}: the lane will ask more often")
        if name in gallery.names and not request.replace:
            own = make_gallery(gallery.embedder, [(name, gallery.views[gallery.owner == gallery.names.index(name)])])
            alike = float(own.match(views).mean())
            if alike < gallery.calibration.threshold:
                warnings.append(
                    f"this photo looks unlike the other photos of {name!r} (similarity {alike:.2f}): the same dish?"
                )
        return warnings


def remake(store: MenuStore, revision: Revision, embedder: Embedder, who: str) -> Revision:
    """Make what is missing of a menu's vectors with an embedder, and calibrate anew.

    Raises:
        MenuBroken: a photo is missing or damaged.
    """
    store.gallery(revision, embedder.name, embedder)
    if revision.embedder == embedder.name:
        return revision
    return store.recalibrate(f"gallery made again with {embedder.name}", who, embedder)
