"""The menu that is in force: every dish with its price, its days and what it looks like."""

from __future__ import annotations

import datetime
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from app.api.operation import Call, Operation, Reply
from app.api.problems import unknown
from app.api.services import Services
from app.api.shapes import DishName, Shape, Whole
from checkout.menu_records import WEEKDAYS, DishRecord, make_record

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class DishShape(Shape):
    """One article."""

    name: str = Field(description="As the model calls it", examples=["soup"])
    title: str = Field(description="What people read", examples=["Tomato soup"])
    price: float = Field(description="In the menu's currency", examples=[4.5])
    plu: str = Field(description="Article number of the till, or empty")
    category: str = Field(description="Group for reports, or empty")
    days: list[str] = Field(description="Weekdays on which it is sold", examples=[list(WEEKDAYS)])
    first_day: datetime.date | None = Field(description="First day on which it is sold")
    last_day: datetime.date | None = Field(description="Last day on which it is sold")
    sold_today: bool = Field(description="Whether it is sold today, at this place")
    taught: bool = Field(description="It was taught or changed here; else it is only in the menu file")
    photos: list[str] = Field(description="Addresses of what it looks like, small JPEGs")


class MenuShape(Shape):
    """All articles, and what is known to be no goods."""

    currency: str = Field(description="ISO 4217", examples=["EUR"])
    dishes: list[DishShape] = Field(description="By name")
    ignored: list[str] = Field(description="Labels that are no goods")
    revision: int = Field(description="Of what is taught; 0: nothing was changed here yet")


class DishPath(Shape):
    """Which dish."""

    dish: DishName


class PhotoPath(Shape):
    """Which photo of which dish."""

    dish: DishName
    number: Whole = Field(ge=0, le=99, description="Counted from 0")


class PhotoQuery(Shape):
    """How large."""

    side: Whole = Field(default=320, ge=32, le=800, description="Pixels")
    v: str = Field(default="", pattern=r"^[0-9a-f]{0,64}$", description="Hash of the photo, so that it may be kept")


def shown_dish(name: str, record: DishRecord, today: datetime.date, taught: bool) -> DishShape:
    """Return a dish as the API tells it."""
    where = f"/api/v1/menu/{quote(name, safe='')}/photos"
    return DishShape(
        name=name,
        title=record.title,
        price=record.price,
        plu=record.plu,
        category=record.category,
        days=list(record.days),
        first_day=record.first_day,
        last_day=record.last_day,
        sold_today=record.sold_on(today),
        taught=taught,
        # The hash makes another photo another address.
        photos=[f"{where}/{number}?v={photo.sha256[:8]}" for number, photo in enumerate(record.photos)],
    )


def shown_dishes(services: Services) -> dict[str, DishShape]:
    """Return every dish by name, sold today or not."""
    desk, menu = services.dishes, services.site.menu
    if desk is None:
        today = datetime.datetime.now(datetime.UTC).date()
        filed = [menu[name] for name in sorted(menu.dishes)]
        return {
            dish.name: shown_dish(dish.name, make_record(dish.title, dish.price, dish.plu, dish.category), today, False)
            for dish in filed
        }
    taught, today = desk.revision().dishes, desk.today()
    return {name: shown_dish(name, record, today, name in taught) for name, record in desk.whole().items()}


def _menu(call: Call) -> Reply:
    menu, desk = call.services.site.menu, call.services.dishes
    dishes = list(shown_dishes(call.services).values())
    revision = 0 if desk is None else desk.revision().number
    return Reply(MenuShape(currency=menu.currency, dishes=dishes, ignored=sorted(menu.ignored), revision=revision))


def _dish(call: Call) -> Reply:
    dishes, name = shown_dishes(call.services), call.path_as(DishPath).dish
    if name not in dishes:
        raise unknown("dish", name, sorted(dishes))
    return Reply(dishes[name])


def _photo(call: Call) -> Reply:
    desk, path = call.services.dishes, call.path_as(PhotoPath)
    record = None if desk is None else desk.whole().get(path.dish)
    if desk is None or record is None or path.number >= len(record.photos):
        raise unknown("photo", f"{path.dish}/{path.number}")
    jpeg = desk.thumbnail(record.photos[path.number], call.query_as(PhotoQuery).side)
    # An address with a hash never means another picture.
    return Reply(body=jpeg, media="image/jpeg", headers=(("Cache-Control", "private, max-age=86400"),))


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation("menu_get", "GET", "/menu", "The menu", "menu", _menu, MenuShape, tagged=True),
        Operation(
            "dishes_get", "GET", "/menu/{dish}", "One dish", "menu", _dish, DishShape, path=DishPath, tagged=True
        ),
        Operation(
            "dishes_photo", "GET", "/menu/{dish}/photos/{number}", "What a dish looks like", "menu", _photo,
            path=PhotoPath, query=PhotoQuery, media=("image/jpeg",),
        ),
    )  # fmt: skip
