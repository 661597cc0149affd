"""Teaching: what is taken, what is refused with what advice, and that a refusal changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from checkout.teaching import TeachRequest, remake
from core.errors import DataError
from tests.dish_photos import blank, jpeg, plate
from tests.fakes import ColourEmbedder, Seen, detections, menu
from tests.taught import FOODS, store_in, teach, teacher_for

SOUP = jpeg(plate(FOODS["soup"]))
PEAS = jpeg(plate(FOODS["peas"]))


def test_a_new_dish_needs_a_price_and_gets_a_title(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    outcome = teacher_for(store).teach([PEAS], TeachRequest("pea_soup", 3.6, plu="202", days=("mon", "fri")))
    assert outcome.name == "pea_soup"
    assert (outcome.dish.title, outcome.dish.plu, outcome.dish.days) == ("Pea soup", "202", ("mon", "fri"))
    assert outcome.found == ("stands out from a plain background",)
    assert any("shipped values" in warning for warning in outcome.warnings)
    assert outcome.thumbnail[:2] == b"\xff\xd8"


def test_photos_are_added_without_a_price_and_replaced_on_demand(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    teach(store, "soup")
    teach(store, "soup", seed=1, price=None)
    assert len(store.current().dishes["soup"].photos) == 2
    outcome = teach(store, "soup", seed=2, price=5.0, replace=True)
    assert (len(outcome.dish.photos), outcome.dish.price) == (1, 5.0)


def test_a_dish_of_the_menu_file_keeps_what_that_says(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    outcome = teacher_for(store).teach([PEAS], TeachRequest("Bread"))
    assert (outcome.name, outcome.dish.title, outcome.dish.price) == ("bread", "Bread", 1.0)


def test_five_dishes_are_calibrated_on_and_the_order_of_teaching_does_not_matter(tmp_path: Path) -> None:
    found = []
    for order in (list(FOODS), list(reversed(FOODS))):
        store = store_in(tmp_path / order[0])
        for name in order:
            teach(store, name)
        revision = store.current()
        assert revision.calibration is not None
        assert revision.calibration.dishes == len(FOODS)
        gallery = store.gallery(revision, "colours@1")
        assert (gallery.match(gallery.views).argmax(axis=1) == gallery.owner).all()
        found.append((revision.calibration, revision.dishes.keys()))
    assert found[0] == found[1]


BAD: dict[str, tuple[list[bytes], dict[str, Any], str]] = {
    "no dish": ([jpeg(blank())], {"name": "x", "price": 1.0}, "no dish found.*--box"),
    "two dishes": ([jpeg(plate(second=True))], {"name": "x", "price": 1.0}, "two things seen"),
    "not a picture": ([b"%PDF-1.4"], {"name": "x", "price": 1.0}, "not a picture"),
    "no photo": ([], {"name": "x", "price": 1.0}, "1 to 20"),
    "too many photos": ([SOUP] * 21, {"name": "x", "price": 1.0}, "1 to 20"),
    "the same photo twice": ([PEAS, PEAS], {"name": "x", "price": 1.0}, "given twice"),
    "box and two photos": ([PEAS, SOUP], {"name": "x", "price": 1.0, "box": (1.0, 2.0, 3.0, 4.0)}, "one by one"),
    "new without price": ([PEAS], {"name": "x"}, "give its price"),
    "duplicate name": ([PEAS], {"name": "SOUP", "price": 1.0}, "there is a dish 'soup' already.*--replace"),
    "name of the menu file": ([PEAS], {"name": "bread", "price": 9.0}, "there is a dish 'bread' already"),
    "photo of another dish": ([SOUP], {"name": "x", "price": 1.0}, "photo 1 teaches 'soup' already"),
    "photo of this dish": ([SOUP], {"name": "soup"}, "photo 1 teaches this dish already"),
    "look-alike": ([jpeg(plate(FOODS["soup"], seed=8))], {"name": "x", "price": 1.0}, "looks like 'soup'.*--force"),
    "no goods": ([PEAS], {"name": "phone", "price": 1.0}, "under `ignore`"),
    "role": ([PEAS], {"name": "@item", "price": 1.0}, "roles of the model"),
    "odd name": ([PEAS], {"name": "../x", "price": 1.0}, "use 1 to 80 letters"),
    "no name": ([PEAS], {"name": "  ", "price": 1.0}, "use 1 to 80 letters"),
    "negative price": ([PEAS], {"name": "x", "price": -1.0}, "price.*greater than or equal to 0"),
    "price with a fraction of a cent": ([PEAS], {"name": "x", "price": 1.005}, "whole number of cents"),
    "price that is no number": ([PEAS], {"name": "x", "price": float("nan")}, "price"),
    "odd day": ([PEAS], {"name": "x", "price": 1.0, "days": ("someday",)}, "no weekday"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_taught_is_refused_with_advice_and_changes_nothing(tmp_path: Path, case: str) -> None:
    photos, values, told = BAD[case]
    store = store_in(tmp_path)
    teacher_for(store).teach([SOUP], TeachRequest("soup", 3.0))
    before = store.current()
    with pytest.raises(DataError, match=told):
        teacher_for(store).teach(photos, TeachRequest(**values))
    assert store.current() == before


def test_a_look_alike_can_be_forced_and_is_warned_about(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    teach(store, "soup")
    request = TeachRequest("bisque", 5.0, force_lookalike=True)
    outcome = teacher_for(store).teach([jpeg(plate(FOODS["soup"], seed=8))], request)
    assert any("looks like 'soup'" in warning for warning in outcome.warnings)


def test_a_photo_that_looks_like_none_of_the_dish_is_warned_about(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    for name in FOODS:
        teach(store, name)
    odd = jpeg(plate((40, 70, 200), garnish=(250, 250, 90)))
    outcome = teacher_for(store).teach([odd], TeachRequest("soup", force_lookalike=True))
    assert any("unlike the other photos" in warning for warning in outcome.warnings)


class Finder:
    """A detector that sees what it is told, in a picture of the size in which the photo fills its canvas."""

    name, labels = "finder@1", ("@item", "@hand")

    def __init__(self, *things: Seen) -> None:
        self.things, self.shown = things, 0

    def detect(self, frames: Any) -> list[Any]:
        self.shown += 1
        things = self.things if self.shown == 1 else ()
        return [detections(things, self.labels, 0, 0.0)]

    def close(self) -> None:
        """Nothing to let go."""


def busy() -> NDArray[np.uint8]:
    """Return a picture without a plain background."""
    rng = np.random.default_rng(3)
    image = rng.integers(0, 255, (360, 640, 3)).astype(np.uint8)
    image[90:270, 230:410] = plate()[90:270, 230:410]
    return image


@pytest.mark.parametrize(
    ("things", "told"),
    [
        ((Seen("@item", (230.0, 90.0, 410.0, 270.0)),), ""),
        ((Seen("@item", (230.0, 90.0, 410.0, 270.0)), Seen("@item", (280.0, 130.0, 340.0, 190.0))), ""),
        ((Seen("@item", (230.0, 90.0, 410.0, 270.0)), Seen("@hand", (0.0, 90.0, 100.0, 270.0))), ""),
        ((Seen("@item", (230.0, 90.0, 410.0, 270.0)), Seen("@item", (20.0, 20.0, 90.0, 90.0))), "two things seen"),
    ],
    ids=["one", "one with a part", "one and a hand", "two"],
)
def test_a_detector_tells_where_the_dish_is(things: tuple[Seen, ...], told: str) -> None:
    from models.dish_photo import prepare_photo

    if told:
        with pytest.raises(DataError, match=told):
            prepare_photo(jpeg(busy()), Finder(*things))
        return
    photo = prepare_photo(jpeg(busy()), Finder(*things))
    assert photo.found == "detected"
    assert (photo.box[2] - photo.box[0], photo.box[3] - photo.box[1]) == (180.0, 180.0)


def test_a_gallery_is_made_again_for_another_embedder(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    for name in FOODS:
        teach(store, name)
    before = store.current()
    after = remake(store, before, ColourEmbedder("colours@2"), "me")
    assert (after.embedder, after.number, after.dishes) == ("colours@2", before.number + 1, before.dishes)
    assert remake(store, after, ColourEmbedder("colours@2"), "me") is after
    store.undo("me")
    assert "soup" not in store.current().dishes, "undo takes a dish back, not the making of vectors"


def test_the_base_menu_is_not_touched(tmp_path: Path) -> None:
    base = menu("bread")
    store = store_in(tmp_path)
    teacher_for(store, base).teach([PEAS], TeachRequest("peas", 1.0))
    assert set(base.dishes) == {"bread"}
