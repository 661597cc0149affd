"""The menu store: revisions, undo, what a crash leaves, damaged files, several writers."""

from __future__ import annotations

import datetime
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import checkout.menu_store as menu_store
from checkout.menu_records import MOST_PHOTOS, DishRecord, changed, make_record, menu_on, put, remove, rename
from checkout.menu_store import MenuBroken, MenuStore
from core.errors import DataError, FolderUnusable
from tests.fakes import ColourEmbedder, menu
from tests.taught import store_in, teach, teacher_for

SOUP = make_record("Soup", 3.4)


def test_nothing_is_there_before_the_first_change(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert store.mark() is None
    assert store.current().number == 0
    assert store.history() == []
    assert not store.folder.exists()
    with pytest.raises(DataError, match="nothing to undo"):
        store.undo("me")


def test_a_taught_dish_is_kept_whole(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    outcome = teach(store, "soup")
    revision = store.current()
    assert revision.number == outcome.revision == 1
    record = revision.dishes["soup"]
    assert (record.title, record.price, len(record.photos)) == ("Soup", 4.0, 1)
    gallery = store.gallery(revision, "colours@1")
    assert gallery.names == ("soup",)
    again = ColourEmbedder().embed(menu_store.views_of(store.photo(record.photos[0])))
    np.testing.assert_array_equal(gallery.views, again)
    assert store.thumbnail(record.photos[0])[:2] == b"\xff\xd8"


def test_undo_goes_back_step_by_step_and_is_itself_in_the_history(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    teach(store, "soup")
    teach(store, "peas")
    store.change("soup: price 9.00", "me", lambda dishes: put(dishes, "soup", changed(dishes["soup"], price=9.0)))
    store.undo("me")
    assert store.current().dishes["soup"].price == 4.0
    store.undo("me")
    assert list(store.current().dishes) == ["soup"]
    store.undo("me")
    assert not store.current().dishes
    assert store.current().calibration is None
    with pytest.raises(DataError, match="nothing to undo"):
        store.undo("me")
    assert [one.what for one in store.history()] == [
        "undo: teach soup: 1 photo",
        "undo: teach peas: 1 photo",
        "undo: soup: price 9.00",
        "soup: price 9.00",
        "teach peas: 1 photo",
        "teach soup: 1 photo",
    ]
    teach(store, "rice")
    assert list(store.current().dishes) == ["rice"]
    store.undo("me")
    assert not store.current().dishes


_STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "rename", "price"]), st.sampled_from("abc"), st.integers(1, 9)),
    max_size=6,
)


@given(_STEPS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_undo_of_everything_gives_the_start(tmp_path: Path, steps: list[tuple[str, str, int]]) -> None:
    folder = tmp_path / f"{time.monotonic_ns()}"
    folder.mkdir()
    store = store_in(folder)
    states = [dict(store.current().dishes)]
    for kind, name, value in steps:

        def change(dishes: dict[str, DishRecord], kind: str = kind, name: str = name, value: int = value) -> object:
            if kind == "remove" and name in dishes:
                return remove(dishes, name)
            if kind == "rename" and name in dishes and f"{name}{value}" not in dishes:
                return rename(dishes, name, f"{name}{value}")
            return put(dishes, name, make_record(name, float(value)))

        revision = store.change(kind, "me", change)  # type: ignore[arg-type]
        if dict(revision.dishes) != states[-1]:
            states.append(dict(revision.dishes))
    for state in reversed(states[:-1]):
        store.undo("me")
        assert dict(store.current().dishes) == state
    assert not store.current().dishes


class Crash(BaseException):
    """What a power cut looks like to a test: nobody catches it."""


@pytest.mark.parametrize("point", range(8))
def test_a_crash_at_any_write_leaves_the_old_or_the_new_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    store = store_in(tmp_path)
    teach(store, "soup")
    before = store.current()
    writes = itertools.count()
    whole: Callable[[Path, bytes], None] = menu_store.write_atomic

    def failing(path: Path, content: bytes) -> None:
        # Before the write, and after it.
        if (at := next(writes)) * 2 == point:
            raise Crash
        whole(path, content)
        if at * 2 + 1 == point:
            raise Crash

    monkeypatch.setattr(menu_store, "write_atomic", failing)
    with pytest.raises(Crash):
        teach(store, "peas")
    monkeypatch.undo()
    after = store.current()
    assert after == before or set(after.dishes) == {"soup", "peas"}
    assert (set(after.dishes) == {"soup", "peas"}) == (point == 7), "only the pointer brings a revision into force"
    assert store.gallery(after, "colours@1").names == tuple(after.dishes)
    # And the store works on.
    teach(store, "rice")
    assert set(store.current().dishes) == {*after.dishes, "rice"}


def write_for_ever(folder: str) -> None:
    """Change the menu as fast as it goes; ends by being killed."""
    from core.clock import SystemClock

    store = MenuStore(Path(folder), SystemClock())
    for number in itertools.count():
        store.change("more", "me", lambda dishes, n=number: put(dishes, f"dish {n % 40}", make_record("x", n % 90)))


@pytest.mark.slow
def test_killed_writers_never_leave_half_a_menu(tmp_path: Path) -> None:
    store, context = store_in(tmp_path), multiprocessing.get_context("spawn")
    store.change("first", "me", lambda dishes: put(dishes, "soup", SOUP))
    numbers = [1]
    for _ in range(2):
        writers = [context.Process(target=write_for_ever, args=(str(store.folder),)) for _ in range(2)]
        for writer in writers:
            writer.start()
        deadline_s, seen = time.monotonic() + 30.0, store.current().number
        while store.current().number < seen + 6 and time.monotonic() < deadline_s:
            numbers.append(store.current().number)  # reads whole revisions while others write
        for writer in writers:
            assert writer.pid is not None
            os.kill(writer.pid, signal.SIGKILL)
            writer.join(10.0)
        assert store.current().dishes["soup"] == SOUP
    assert numbers == sorted(numbers)
    assert store.current().number > 12
    assert store.history(5)[0].number == store.current().number


def test_two_changes_at_once_are_both_kept(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    other = MenuStore(store.folder, menu_store_clock())

    def change(dishes: dict[str, DishRecord]) -> dict[str, DishRecord]:
        return put(dishes, "soup", SOUP)

    store.change("one", "a", change)  # type: ignore[arg-type]
    other.change("two", "b", lambda dishes: put(dishes, "peas", SOUP))
    assert set(store.current().dishes) == {"soup", "peas"}


def menu_store_clock() -> object:
    from core.clock import SystemClock

    return SystemClock()


def test_a_writer_that_waits_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    monkeypatch.setattr(menu_store, "LOCK_S", 0.05)
    with store._locked(), pytest.raises(menu_store.MenuLocked, match="another program"):
        store.change("x", "me", lambda dishes: put(dishes, "soup", SOUP))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda s: (s.folder / "current").write_text("rubbish"), "does not name a revision"),
        (lambda s: (s.folder / "revisions" / "000001.json").write_text("{}"), "damaged"),
        (lambda s: (s.folder / "revisions" / "000001.json").unlink(), "cannot be read"),
    ],
    ids=["pointer", "revision", "revision gone"],
)
def test_damage_is_named(tmp_path: Path, spoil: Callable[[MenuStore], object], told: str) -> None:
    store = store_in(tmp_path)
    teach(store, "soup")
    spoil(store)
    with pytest.raises(MenuBroken, match=told):
        store.current()


def test_a_damaged_photo_or_vector_is_named_and_vectors_are_made_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    teach(store, "soup")
    revision, record = store.current(), store.current().dishes["soup"].photos[0]
    whole = store.gallery(revision, "colours@1").views
    next((store.folder / "vectors").rglob("*.npy")).write_bytes(b"half")
    with pytest.raises(MenuBroken, match="--repair"):
        store.gallery(revision, "colours@1")
    np.testing.assert_array_equal(store.gallery(revision, "colours@1", ColourEmbedder()).views, whole)
    next((store.folder / "photos").rglob("*.jpg")).write_bytes(b"half")
    with pytest.raises(MenuBroken, match="damaged"):
        store.photo(record)


def test_a_gallery_of_another_embedder_is_made_from_the_photos(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    teach(store, "soup")
    revision = store.current()
    with pytest.raises(MenuBroken, match="no vectors by colours@2"):
        store.gallery(revision, "colours@2")
    other = store.gallery(revision, "colours@2", ColourEmbedder("colours@2"))
    assert other.embedder == "colours@2"
    store.gallery(revision, "colours@2")  # kept from then on


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "menu").write_text("a file where a folder should be")
    with pytest.raises(FolderUnusable, match="cannot be written"):
        store_in(tmp_path).change("x", "me", lambda dishes: put(dishes, "soup", SOUP))


def test_a_dish_has_at_most_twenty_photos(tmp_path: Path) -> None:
    from checkout.teaching import TeachRequest
    from tests.dish_photos import jpeg, plate

    store = store_in(tmp_path)
    small = [jpeg(plate((200, 60, seed * 5)), quality=60) for seed in range(MOST_PHOTOS)]
    box = (220.0, 80.0, 420.0, 280.0)
    teacher = teacher_for(store)
    teacher.teach(small[:1], TeachRequest("soup", 3.0, box=box))
    record = store.current().dishes["soup"]
    many = tuple(record.photos[0].model_copy(update={"original": f"{k:064x}"}) for k in range(MOST_PHOTOS))
    store.change("many", "me", lambda dishes: put(dishes, "soup", changed(record, photos=many)))
    with pytest.raises(DataError, match="over 20"):
        teacher.teach(small[1:2], TeachRequest("soup", box=box))
    teacher.teach(small[1:2], TeachRequest("soup", box=box, replace=True))
    assert len(store.current().dishes["soup"].photos) == 1


def test_the_menu_of_a_day_has_what_is_sold_on_it(tmp_path: Path) -> None:
    store, base = store_in(tmp_path), menu("bread", "tea", ignored=["phone"])
    friday, saturday = datetime.date(2026, 5, 29), datetime.date(2026, 5, 30)
    assert menu_on(base, store.current(), friday) is base
    store.change("fish", "me", lambda dishes: put(dishes, "fish", changed(SOUP, days=("fri",))))
    store.change("tea", "me", lambda dishes: put(dishes, "tea", changed(SOUP, last_day=friday)))
    on_friday, on_saturday = (menu_on(base, store.current(), day) for day in (friday, saturday))
    assert set(on_friday.dishes) == {"bread", "tea", "fish"}
    assert on_friday["tea"].price == 3.4
    assert set(on_saturday.dishes) == {"bread"}
    assert on_saturday.off_today == {"tea", "fish"}
    on_saturday.check_labels(["bread", "tea"], "m@1")
    assert base["tea"].price == 2.0
