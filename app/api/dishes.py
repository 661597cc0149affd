"""The menu that is in force."""

from __future__ import annotations

from pydantic import Field

from app.api.operation import Call, Operation, Reply
from app.api.problems import unknown
from app.api.shapes import DishName, Shape
from checkout.menu import Dish


class DishShape(Shape):
    """One article."""

    name: str = Field(description="As the model calls it", examples=["soup"])
    title: str = Field(description="What people read", examples=["Tomato soup"])
    price: float = Field(description="In the menu's currency", examples=[4.5])
    plu: str = Field(description="Article number of the till, or empty")
    category: str = Field(description="Group for reports, or empty")


class MenuShape(Shape):
    """All articles, and what is known to be no goods."""

    currency: str = Field(description="ISO 4217", examples=["EUR"])
    dishes: list[DishShape] = Field(description="By name")
    ignored: list[str] = Field(description="Labels that are no goods")


class DishPath(Shape):
    """Which dish."""

    dish: DishName


def _shown(dish: Dish) -> DishShape:
    return DishShape(name=dish.name, title=dish.title, price=dish.price, plu=dish.plu, category=dish.category)


def _menu(call: Call) -> Reply:
    menu = call.services.site.menu
    dishes = [_shown(menu[name]) for name in sorted(menu.dishes)]
    return Reply(MenuShape(currency=menu.currency, dishes=dishes, ignored=sorted(menu.ignored)))


def _dish(call: Call) -> Reply:
    menu, name = call.services.site.menu, call.path_as(DishPath).dish
    if name not in menu:
        raise unknown("dish", name, sorted(menu.dishes))
    return Reply(_shown(menu[name]))


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation("menu_get", "GET", "/menu", "The menu", "menu", _menu, MenuShape, tagged=True),
        Operation(
            "dishes_get", "GET", "/menu/{dish}", "One dish", "menu", _dish, DishShape, path=DishPath, tagged=True
        ),
    )
