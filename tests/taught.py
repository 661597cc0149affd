"""Menu stores with dishes in them, taught through the product's own way with an embedder of colours."""

from __future__ import annotations

from pathlib import Path

from checkout.menu import Menu
from checkout.menu_store import MenuStore
from checkout.teaching import Teacher, TeachOutcome, TeachRequest
from core.clock import ManualClock
from models.embedder import Embedder
from tests.dish_photos import Colour, jpeg, plate
from tests.fakes import ColourEmbedder, menu

#: Foods that an embedder of colours tells apart.
FOODS: dict[str, Colour] = {
    "beetroot": (120, 20, 70),
    "curry": (220, 160, 30),
    "lentils": (120, 80, 40),
    "peas": (70, 170, 50),
    "rice": (235, 232, 220),
    "soup": (210, 60, 20),
}


def store_in(folder: Path) -> MenuStore:
    """Return a store that is not there yet, on a clock that stands still."""
    return MenuStore(folder / "menu", ManualClock(1_700_000_000.0))


def teacher_for(store: MenuStore, base: Menu | None = None, embedder: Embedder | None = None) -> Teacher:
    """Return a teacher without a detector."""
    return Teacher(store, base or menu("bread", ignored=["phone"]), lambda: embedder or ColourEmbedder(), lambda: None)


def teach(store: MenuStore, name: str, seed: int = 0, price: float | None = 4.0, **more: object) -> TeachOutcome:
    """Teach one of `FOODS`."""
    request = TeachRequest(name, price, force_lookalike=True, who="tester", **more)  # type: ignore[arg-type]
    return teacher_for(store).teach([jpeg(plate(FOODS[name], seed=seed))], request)
