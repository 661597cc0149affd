"""The menu: which dishes there are, what they cost, and which labels of the model are no goods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from core.errors import ModelMismatch
from core.records import HAND, ITEM
from core.settings import Settings, load_settings


class DishSettings(Settings):
    """One dish of the menu file."""

    title: str = Field(min_length=1, description="What people read")
    price: float = Field(ge=0, le=100_000, description="Unit price in the menu's currency, whole cents")
    plu: str = Field(default="", description="Article number of the till")
    category: str = Field(default="", description="Group for reports")

    @field_validator("price")
    @classmethod
    def _whole_cents(cls, price: float) -> float:
        if abs(price * 100 - round(price * 100)) > 1e-6:
            raise ValueError(f"price {price} is not a whole number of cents")
        return round(price, 2)


class MenuSettings(Settings):
    """The whole menu file."""

    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$", description="ISO 4217 code")
    dishes: dict[str, DishSettings] = Field(min_length=1, description="By label of the model")
    ignore: list[str] = Field(default_factory=list, description="Labels of the model that are no goods")

    @model_validator(mode="after")
    def _apart(self) -> MenuSettings:
        both = sorted(set(self.dishes) & set(self.ignore))
        if both:
            raise ValueError(f"{', '.join(both)}: both a dish and ignored; decide for one")
        roles = sorted(name for name in self.dishes if name.startswith("@"))
        if roles:
            raise ValueError(f"{', '.join(roles)}: names that start with @ are roles of the model, not dishes")
        return self


@dataclass(frozen=True, slots=True)
class Dish:
    """One article: `name` is the model's label, `title` what people read, `price` in the menu's currency."""

    name: str
    title: str
    price: float
    plu: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Menu:
    """The dishes by label.

    Attributes:
        ignored: labels that are known and no goods (phone, keys, wallet).
        off_today: dishes that are known and not sold today; never on a bill.
        revision: of the taught menu that it holds; 0 for the menu file alone.
    """

    currency: str
    dishes: Mapping[str, Dish]
    ignored: frozenset[str] = field(default_factory=frozenset)
    off_today: frozenset[str] = field(default_factory=frozenset)
    revision: int = 0

    def __getitem__(self, name: str) -> Dish:
        return self.dishes[name]

    def __contains__(self, name: object) -> bool:
        return name in self.dishes

    def title(self, name: str) -> str:
        """Return what people read for a dish; its name if it is not on the menu (any more)."""
        return self.dishes[name].title if name in self.dishes else name

    def keeping(self, dishes: Iterable[Dish]) -> Menu:
        """Return this menu with some dishes as they are given: those of an open bill keep title and price."""
        return replace(self, dishes={**self.dishes, **{dish.name: dish for dish in dishes}})

    def is_goods(self, label: str) -> bool:
        """Return whether an object of this label can be on a bill: a dish, or an item of unknown dish."""
        return label in self.dishes or label == ITEM

    def check_labels(self, labels: Iterable[str], model: str) -> None:
        """Make sure that every label of a model has a meaning.

        Raises:
            ModelMismatch: the menu neither prices nor ignores some of the labels, or knows none of them.
        """
        labels = [label for label in labels if label not in (HAND, ITEM)]
        known = self.dishes.keys() | self.ignored | self.off_today
        strange = sorted(label for label in labels if label not in known)
        if strange:
            shown = ", ".join(strange[:8]) + (" …" if len(strange) > 8 else "")
            raise ModelMismatch(
                f"model {model} reports {len(strange)} labels that the menu does not know: {shown}; "
                "add each under `dishes` or under `ignore` of the menu file, or choose another model card"
            )
        if labels and not any(label in self.dishes or label in self.off_today for label in labels):
            raise ModelMismatch(f"model {model} knows no dish of the menu; choose another model card or menu")


def make_menu(settings: MenuSettings) -> Menu:
    """Return the menu of a parsed file."""
    dishes = {
        name: Dish(name, dish.title, dish.price, dish.plu, dish.category) for name, dish in settings.dishes.items()
    }
    return Menu(settings.currency, dishes, frozenset(settings.ignore))


def load_menu(path: Path) -> Menu:
    """Read a menu file: `{currency: EUR, dishes: {label: {title, price, plu, category}}, ignore: [label]}`.

    Raises:
        ConfigError: missing, not YAML, or wrong; names file, line and key.
    """
    return make_menu(load_settings(MenuSettings, path)[0])
