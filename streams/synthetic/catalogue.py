"""What can lie on a tray: the dishes with their menu entries and sizes, and the things that are no dishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.synthetic import bowls, drinks, plates, snacks, things
from streams.synthetic.paint import Canvas


@dataclass(frozen=True)
class Kind:
    """One kind of thing.

    Attributes:
        name: the label in the truth and the key in the menu.
        paint: how it looks from above.
        width_cm, height_cm: what its painter fills, before the size of the single thing varies.
        tall_cm: how high it stands; sets its shadow.
        container: plate, bowl, cup, glass, bottle, bread, fruit, cake, packet; "thing" for what is no dish.
        title: for people.
        price: of the demo menu, EUR.
        category: main, side, dessert, drink, bread, fruit, snack.
        sizes: smallest and largest scale of single things.
    """

    name: str
    paint: Callable[[Canvas], None]
    width_cm: float
    height_cm: float
    tall_cm: float
    container: str
    title: str = ""
    price: float = 0.0
    category: str = ""
    sizes: tuple[float, float] = (0.94, 1.06)

    @property
    def radius_cm(self) -> float:
        """Radius of the circle that has its area, for placing."""
        return float((self.width_cm * self.height_cm) ** 0.5 / 2)


_PLATE = (0.86, 0.97)

DISHES: tuple[Kind, ...] = (
    Kind("schnitzel_fries", plates.schnitzel_fries, 24, 24, 3, "plate", "Schnitzel with fries", 7.90, "main", _PLATE),
    Kind("spaghetti", plates.spaghetti, 24, 24, 3, "plate", "Spaghetti Bolognese", 6.50, "main", _PLATE),
    Kind("curry_rice", plates.curry_rice, 24, 24, 3, "plate", "Chicken curry with rice", 6.90, "main", _PLATE),
    Kind("steak_beans", plates.steak_beans, 24, 24, 3, "plate", "Steak with green beans", 9.80, "main", _PLATE),
    Kind("fish_spinach", plates.fish_spinach, 24, 24, 3, "plate", "Fish with spinach", 8.20, "main", _PLATE),
    Kind("pizza", plates.pizza, 24, 24, 2.5, "plate", "Pizza Salami", 6.80, "main", _PLATE),
    Kind("burger", plates.burger, 19, 15.5, 7, "plate", "Burger in a basket", 7.50, "main"),
    Kind("lasagne", plates.lasagne, 22, 15, 5, "plate", "Lasagne", 6.70, "main"),
    Kind("sushi", plates.sushi, 23, 12.5, 4, "plate", "Sushi plate", 8.90, "main"),
    Kind("tomato_soup", bowls.tomato_soup, 16, 16, 5, "bowl", "Tomato soup", 3.40, "side"),
    Kind("pea_soup", bowls.pea_soup, 16, 16, 5, "bowl", "Pea soup", 3.60, "side"),
    Kind("noodle_soup", bowls.noodle_soup, 17.2, 17.2, 6, "bowl", "Noodle soup", 4.90, "side"),
    Kind("green_salad", bowls.green_salad, 16, 16, 6, "bowl", "Green salad", 3.20, "side"),
    Kind("beet_salad", bowls.beet_salad, 12, 12, 5, "bowl", "Beetroot salad", 2.90, "side"),
    Kind("fruit_salad", bowls.fruit_salad, 12, 12, 5, "bowl", "Fruit salad", 3.10, "dessert"),
    Kind("chocolate_pudding", bowls.chocolate_pudding, 10.8, 10.8, 5, "bowl", "Chocolate pudding", 2.40, "dessert"),
    Kind("coffee", drinks.coffee, 14.4, 14.4, 6, "cup", "Coffee", 1.90, "drink"),
    Kind("cappuccino", drinks.cappuccino, 16, 16, 6, "cup", "Cappuccino", 2.60, "drink"),
    Kind("tea", drinks.tea, 14, 14, 6, "cup", "Tea", 1.80, "drink"),
    Kind("orange_juice", drinks.orange_juice, 9.4, 9.4, 11, "glass", "Orange juice", 2.50, "drink", (0.95, 1.1)),
    Kind("water_glass", drinks.water_glass, 8.2, 8.2, 11, "glass", "Glass of water", 0.80, "drink", (0.95, 1.1)),
    Kind("cola_glass", drinks.cola_glass, 8.6, 8.6, 12, "glass", "Cola", 2.20, "drink", (0.98, 1.12)),
    Kind("water_bottle", drinks.water_bottle, 22.6, 6.6, 6, "bottle", "Bottle of water", 1.60, "drink", (0.9, 1.04)),
    Kind("cola_bottle", drinks.cola_bottle, 22.6, 6.6, 6, "bottle", "Bottle of cola", 2.40, "drink", (0.9, 1.04)),
    Kind("bread_roll", snacks.bread_roll, 10, 7.4, 5, "bread", "Bread roll", 0.70, "bread"),
    Kind("pretzel", snacks.pretzel, 13.2, 10, 3, "bread", "Pretzel", 1.10, "bread"),
    Kind("croissant", snacks.croissant, 13.5, 8, 4.5, "bread", "Croissant", 1.50, "bread"),
    Kind("apple", snacks.apple, 7.8, 7.8, 7, "fruit", "Apple", 0.60, "fruit", (0.92, 1.1)),
    Kind("banana", snacks.banana, 19, 8, 4, "fruit", "Banana", 0.65, "fruit"),
    Kind("orange", snacks.orange, 7.8, 7.8, 7, "fruit", "Orange", 0.75, "fruit", (0.96, 1.14)),
    Kind("donut", snacks.donut, 9.4, 9.4, 4, "cake", "Donut", 1.70, "dessert", (0.95, 1.1)),
    Kind("muffin", snacks.muffin, 8.8, 8.8, 6, "cake", "Chocolate muffin", 1.90, "dessert", (0.95, 1.1)),
    Kind("crisps", snacks.crisps, 12.6, 18.8, 5, "packet", "Crisps", 1.40, "snack", (0.84, 0.96)),
    Kind("chocolate_bar", snacks.chocolate_bar, 16.8, 4.6, 1.5, "packet", "Chocolate bar", 1.20, "snack"),
    Kind("yoghurt", snacks.yoghurt, 8.4, 7.8, 7, "packet", "Yoghurt", 1.00, "dessert", (0.98, 1.12)),
    Kind("juice_carton", snacks.juice_carton, 8.6, 15, 4, "packet", "Juice carton", 1.30, "drink"),
)

THINGS: tuple[Kind, ...] = (
    Kind("phone", things.phone, 7.4, 15.2, 0.9, "thing"),
    Kind("keys", things.keys, 10, 11, 0.8, "thing"),
    Kind("wallet", things.wallet, 11.4, 9.2, 2, "thing"),
    Kind("napkin", things.napkin, 13, 13, 0.3, "thing"),
    Kind("card", things.card, 8.5, 5.4, 0.2, "thing"),
    Kind("fork", things.fork, 3, 19, 0.8, "thing"),
    Kind("knife", things.knife, 2.4, 20, 0.8, "thing"),
    Kind("spoon", things.spoon, 4, 18, 0.8, "thing"),
)

DISH_NAMES: tuple[str, ...] = tuple(kind.name for kind in DISHES)
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in DISHES + THINGS}


def kind_named(name: str) -> Kind:
    """Return the kind called `name`.

    Raises:
        ValueError: there is none.
    """
    if name not in BY_NAME:
        raise ValueError(f"the synthetic catalogue has no {name!r}; it has {', '.join(sorted(BY_NAME))}")
    return BY_NAME[name]
