"""Where the taught menu is kept: immutable revisions, photos by content, and one pointer to what is in force.

    var/menu/current                 "12 <sha256 of its file>": written beside, synced, renamed
             revisions/000012.json   who, when, what, all dishes; never changed
             photos/ab/ab34….jpg     photos under the hash of their bytes
             vectors/<embedder>/ab/ab34…-<box>.npy   what an embedder made of a photo; can be made again

Whoever writes holds the lock file, puts photos and vectors there first, then the revision, then the pointer. So a
crash at any moment leaves the old revision or the new one, and a reader never sees half of anything. Undo is a new
revision with the content of the one before; nothing is ever deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from checkout.menu_records import CalibrationRecord, Dishes, DishRecord, PhotoRecord, Revision
from core.clock import Clock
from core.errors import DataError, FolderUnusable, TraylaneError
from core.files import write_atomic
from models.dish_photo import DishPhoto, content_hash, decode_photo, thumbnail, views_of
from models.embedder import Embedder
from models.gallery import SHIPPED, Calibration, Gallery, Vectors, calibrate, make_gallery

#: How long a writer waits for another one.
LOCK_S = 10.0
_POINTER = re.compile(r"(\d{1,12}) ([0-9a-f]{64})\n")

Change = Callable[[Dishes], Mapping[str, DishRecord]]


class MenuLocked(TraylaneError):
    """Another program changes the menu at this moment."""

    retryable = True


class MenuBroken(DataError):
    """A file of the menu store is missing or is not what it must be; says which."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Tells whether the pointer was written again, without reading it."""

    inode: int
    changed_ns: int
    size: int


class MenuStore:
    """The taught menu of a site. Any number of processes may read and write at once.

    Args:
        folder: made when the first dish is taught.
        clock: for the times in the history.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock

    # --- reading -------------------------------------------------------------------------------------------------

    def mark(self) -> Mark | None:
        """Return what changes whenever another revision comes into force; None while there is none."""
        try:
            status = os.stat(self.folder / "current")
        except FileNotFoundError:
            return None
        except OSError as err:
            raise MenuBroken(f"{self.folder / 'current'}: cannot be read: {err.strerror}") from err
        return Mark(status.st_ino, status.st_mtime_ns, status.st_size)

    def current(self) -> Revision:
        """Return the revision in force; an empty one of number 0 before anything was taught.

        Raises:
            MenuBroken: a file is damaged; says which, and what can be done.
        """
        pointer = self.folder / "current"
        try:
            text = pointer.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return Revision()
        except OSError as err:
            raise MenuBroken(f"{pointer}: cannot be read: {err.strerror}") from err
        found = _POINTER.fullmatch(text)
        if found is None:
            raise MenuBroken(f"{pointer}: does not name a revision; bring it back from a copy of {self.folder}")
        return self._read(int(found[1]), found[2])

    def read(self, number: int) -> Revision:
        """Return a revision by number; 0 is the empty one.

        Raises:
            MenuBroken: it is not there, or damaged.
        """
        return Revision() if number == 0 else self._read(number, None)

    def history(self, limit: int = 100) -> list[Revision]:
        """Return the revisions that were in force, the latest first.

        Raises:
            MenuBroken: one of them is damaged.
        """
        found: list[Revision] = []
        revision = self.current()
        while revision.number and len(found) < limit:
            found.append(revision)
            revision = self.read(revision.before)
        return found

    def photo(self, record: PhotoRecord) -> DishPhoto:
        """Return a kept photo.

        Raises:
            MenuBroken: it is not there, or damaged.
        """
        path = self._photo_path(record.sha256)
        try:
            content = path.read_bytes()
        except OSError as err:
            raise MenuBroken(f"{path}: the photo cannot be read: {err.strerror}; teach the dish again") from err
        if content_hash(content) != record.sha256:
            raise MenuBroken(f"{path}: the photo is damaged; bring it back from a copy, or teach the dish again")
        return DishPhoto(decode_photo(content, str(path)), record.box, "kept")

    def thumbnail(self, record: PhotoRecord, side: int = 160) -> bytes:
        """Return a small square JPEG of a kept photo.

        Raises:
            MenuBroken: the photo is not there, or damaged.
        """
        return thumbnail(self.photo(record), side)

    def vectors(self, record: PhotoRecord, embedder: str, make: Embedder | None = None) -> Vectors:
        """Return the vectors (n, D) of a photo by an embedder, made again from the photo where they are missing.

        Raises:
            MenuBroken: they are not there and no embedder was given to make them, or the photo is damaged.
        """
        path = self._vector_path(record, embedder)
        try:
            vectors: Vectors = np.load(path, allow_pickle=False)
            if vectors.ndim == 2 and vectors.dtype == np.float32 and len(vectors) and np.isfinite(vectors).all():
                return vectors
        except FileNotFoundError:
            pass
        except (OSError, ValueError, EOFError) as err:
            if make is None:
                raise MenuBroken(f"{path}: cannot be read: {err}; run `traylane menu check --repair`") from err
        if make is None:
            raise MenuBroken(
                f"{path}: no vectors by {embedder}; run `traylane menu check --repair` with the configuration in force"
            )
        vectors = np.ascontiguousarray(make.embed(views_of(self.photo(record))), dtype=np.float32)
        self._keep_vectors(path, vectors)
        return vectors

    def gallery(
        self, revision: Revision, embedder: str, make: Embedder | None = None, known: dict[str, Vectors] | None = None
    ) -> Gallery:
        """Return the gallery of a revision's dishes, with its calibration.

        Args:
            revision: see there.
            embedder: name of the model whose vectors are wanted.
            make: makes the vectors that are missing: those of photos taught with another model.
            known: vectors that were loaded before, by photo; is added to.

        Raises:
            MenuBroken: vectors are missing or damaged, and cannot be made.
        """
        cache = {} if known is None else known
        dishes: list[tuple[str, Vectors]] = []
        for name, record in revision.dishes.items():
            views = []
            for photo in record.photos:
                key = f"{embedder} {_key(photo)}"
                if key not in cache:
                    cache[key] = self.vectors(photo, embedder, make)
                views.append(cache[key])
            if views:
                dishes.append((name, np.concatenate(views)))
        if len({views.shape[1] for _, views in dishes}) > 1:
            raise MenuBroken(
                f"{self.folder}: vectors of different lengths by {embedder}; run `traylane menu check --repair`"
            )
        if revision.calibration is not None and revision.embedder == embedder:
            return make_gallery(embedder, dishes, revision.calibration.calibration())
        gallery = make_gallery(embedder, dishes)
        return make_gallery(embedder, dishes, calibrate(gallery)) if dishes else gallery

    def gallery_and_vectors(
        self, revision: Revision, embedder: str, make: Embedder | None, known: Mapping[str, Vectors]
    ) -> tuple[Gallery, dict[str, Vectors]]:
        """Return the gallery, and the vectors that it is made of, those of other photos left out. See `gallery`."""
        cache = dict(known)
        gallery = self.gallery(revision, embedder, make, cache)
        used = {f"{embedder} {_key(photo)}" for record in revision.dishes.values() for photo in record.photos}
        return gallery, {name: vectors for name, vectors in cache.items() if name in used}

    # --- writing -------------------------------------------------------------------------------------------------

    def keep_photo(self, content: bytes) -> str:
        """Keep a photo under the hash of its bytes, which is returned.

        Raises:
            FolderUnusable: the disk is full, or the folder cannot be written.
        """
        sha256 = content_hash(content)
        path = self._photo_path(sha256)
        if not path.exists():
            self._write(path, content)
        return sha256

    def change(
        self,
        what: str,
        who: str,
        change: Change,
        embedder: Embedder | None = None,
        known: dict[str, Vectors] | None = None,
    ) -> Revision:
        """Bring into force what `change` makes of the dishes of the revision in force.

        Args:
            what: for people, in the history.
            who: likewise.
            change: from dishes to dishes; it is called under the lock, so that nobody's change is lost.
            embedder: makes vectors and the calibration where photos are new; without it those must be there.
            known: see `gallery`.

        Returns:
            The new revision; the old one when nothing changed.

        Raises:
            MenuLocked: another program holds the lock.
            MenuBroken: the store is damaged.
            FolderUnusable: it cannot be written; nothing has changed.
        """
        with self._locked():
            before = self.current()
            dishes = dict(change(before.dishes))
            if dishes == before.dishes:
                return before
            name = before.embedder if embedder is None else embedder.name
            draft = Revision(embedder=name, dishes=dishes)
            if name == before.embedder and _photos(dishes) == _photos(before.dishes):
                calibration = before.calibration
            else:
                calibration = self._calibration(draft, embedder, known) if _photos(dishes) else None
            return self._put_in_force(before, before.number, what, who, draft, calibration)

    def recalibrate(self, what: str, who: str, embedder: Embedder) -> Revision:
        """Bring the dishes in force into force again, with vectors and a calibration by another embedder.

        Raises: as `change`.
        """
        with self._locked():
            before = self.current()
            draft = Revision(embedder=embedder.name, dishes=dict(before.dishes))
            calibration = self._calibration(draft, embedder, None) if _photos(draft.dishes) else None
            return self._put_in_force(before, before.parent, what, who, draft, calibration)

    def undo(self, who: str) -> Revision:
        """Bring the content of the revision before back into force, as a new revision.

        Raises:
            DataError: there is nothing to undo.
            MenuLocked: another program holds the lock.
            MenuBroken: the store is damaged.
            FolderUnusable: it cannot be written; nothing has changed.
        """
        with self._locked():
            before = self.current()
            if before.number == 0 or (before.parent == 0 and not before.dishes):
                raise DataError("nothing to undo: the taught menu is as it was at the start")
            old = self.read(before.parent)
            undone = self.read(before.content_of or before.number).what
            first = old.content_of or old.number
            return self._put_in_force(before, old.parent, f"undo: {undone}", who, old, old.calibration, first)

    def _put_in_force(
        self,
        before: Revision,
        parent: int,
        what: str,
        who: str,
        content: Revision,
        calibration: CalibrationRecord | None,
        content_of: int = 0,
    ) -> Revision:
        folder = self.folder / "revisions"
        taken = [int(path.stem) for path in folder.glob("*.json") if path.stem.isdigit()] if folder.is_dir() else []
        revision = Revision(
            number=max([before.number, *taken]) + 1,
            parent=parent,
            before=before.number,
            content_of=content_of,
            made_at_s=round(self._clock.utc_s(), 3),
            who=who[:200],
            what=what[:500],
            embedder=content.embedder,
            calibration=calibration,
            dishes=dict(content.dishes),
        )
        text = revision.model_dump_json(indent=1).encode()
        self._write(folder / f"{revision.number:06d}.json", text)
        self._write(self.folder / "current", f"{revision.number} {hashlib.sha256(text).hexdigest()}\n".encode())
        return revision

    def _calibration(
        self, draft: Revision, embedder: Embedder | None, known: dict[str, Vectors] | None
    ) -> CalibrationRecord:
        gallery = self.gallery(draft, draft.embedder, embedder, known)
        made: Calibration = calibrate(gallery) if len(gallery) else SHIPPED
        return CalibrationRecord(
            threshold=made.threshold, temperature=made.temperature, lookalike=made.lookalike, dishes=made.dishes
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as err:
            raise FolderUnusable(f"{self.folder}: the menu cannot be written: {err.strerror}") from err
        try:
            deadline_s = time.monotonic() + LOCK_S
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as err:
                    if time.monotonic() > deadline_s:
                        raise MenuLocked(
                            f"{self.folder}: another program has been changing the menu for {LOCK_S:g} s; try again"
                        ) from err
                    time.sleep(0.02)
            yield
        finally:
            os.close(descriptor)  # lets go of the lock, too

    def _write(self, path: Path, content: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
        except OSError as err:
            raise FolderUnusable(f"{path}: cannot be written: {err.strerror}; the menu stays as it was") from err

    def _keep_vectors(self, path: Path, vectors: Vectors) -> None:
        import io

        packed = io.BytesIO()
        np.save(packed, vectors, allow_pickle=False)
        self._write(path, packed.getvalue())

    def _read(self, number: int, sha256: str | None) -> Revision:
        path = self.folder / "revisions" / f"{number:06d}.json"
        try:
            content = path.read_bytes()
        except OSError as err:
            raise MenuBroken(f"{path}: revision {number} cannot be read: {err.strerror}") from err
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise MenuBroken(f"{path}: revision {number} is damaged; bring the file back from a copy")
        try:
            revision = Revision.model_validate_json(content)
        except ValidationError as err:
            first = err.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise MenuBroken(f"{path}: revision {number} is damaged: {where}: {first['msg']}") from err
        if revision.number != number:
            raise MenuBroken(f"{path}: calls itself revision {revision.number}")
        return revision

    def _photo_path(self, sha256: str) -> Path:
        return self.folder / "photos" / sha256[:2] / f"{sha256}.jpg"

    def _vector_path(self, record: PhotoRecord, embedder: str) -> Path:
        safe = re.sub(r"[^A-Za-z0-9@._-]", "_", embedder).lstrip(".") or "_"
        key = _key(record)
        return self.folder / "vectors" / safe / key[:2] / f"{key}.npy"


def _key(record: PhotoRecord) -> str:
    """Return what names a photo's views: its bytes, and where the dish is in it."""
    box = ",".join(f"{value:.2f}" for value in record.box)
    return f"{record.sha256}-{hashlib.sha256(box.encode()).hexdigest()[:8]}"


def _photos(dishes: Dishes) -> dict[str, tuple[PhotoRecord, ...]]:
    """Return the photos of the dishes that have any."""
    return {name: record.photos for name, record in dishes.items() if record.photos}
