"""What `traylane teach` and `traylane menu` do and print; as text or as JSON."""

from __future__ import annotations

import argparse
import datetime
import getpass
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from checkout.build import build_embedder, build_menu, build_menu_store, build_teacher
from checkout.config import LoadedConfig
from checkout.menu import Menu
from checkout.menu_csv import days_of, read_csv, whole_menu, write_csv
from checkout.menu_records import WEEKDAYS, Dishes, DishRecord, Revision, changed, put, same_name
from checkout.menu_records import remove as without
from checkout.menu_records import rename as renamed
from checkout.menu_store import MenuStore
from checkout.teaching import TeachRequest, remake
from core.clock import SystemClock
from core.errors import ConfigError, DataError, FolderUnusable
from core.files import write_atomic
from core.records import Box
from models.gallery import lookalikes


def teach(config: LoadedConfig, photos: Sequence[Path], args: argparse.Namespace) -> int:
    """Teach a dish from photo files and say what came of it; return the exit code.

    Raises:
        DataError: a photo or value cannot be used; nothing has changed.
        ModelError: the embedder or the detector cannot be loaded.
    """
    began_s = time.monotonic()
    contents = [_read(path) for path in photos]
    request = TeachRequest(
        name=args.name,
        price=args.price,
        title=args.title,
        plu=args.plu,
        category=args.category,
        days=None if args.days is None else days_of(args.days),
        replace=args.replace,
        box=None if args.box is None else _box(args.box),
        force_lookalike=args.force_lookalike,
        who=_who(args.who),
    )
    teacher = build_teacher(config, SystemClock())
    try:
        outcome = teacher.teach(contents, request)
    finally:
        teacher.close()
    if args.thumbnail is not None:
        _write(args.thumbnail, outcome.thumbnail)
    seconds = round(time.monotonic() - began_s, 2)
    if args.json:
        told = {
            "name": outcome.name,
            "dish": outcome.dish.model_dump(mode="json"),
            "revision": outcome.revision,
            "warnings": outcome.warnings,
            "found": outcome.found,
            "seconds": seconds,
        }
        print(json.dumps(told, indent=1))
        return 0
    dish, currency = outcome.dish, build_menu(config).currency
    plural = "s" if len(dish.photos) > 1 else ""
    print(f"{outcome.name}: {dish.title}, {dish.price:.2f} {currency}, {len(dish.photos)} photo{plural}")
    print(f"dish {'; '.join(outcome.found)}; revision {outcome.revision} made in {seconds:g} s; live in 1 to 2 s")
    for warning in outcome.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def show_list(config: LoadedConfig, as_json: bool, only_taught: bool = False) -> int:
    """Print the dishes; return the exit code."""
    store, base = _store(config), build_menu(config)
    revision = store.current()
    menu = revision.dishes if only_taught else whole_menu(base, revision.dishes)
    today = datetime.date.today()
    if as_json:
        dishes = [
            {"name": name, **record.model_dump(mode="json"), "sold_today": record.sold_on(today)}
            for name, record in menu.items()
        ]
        print(json.dumps({"revision": revision.number, "currency": base.currency, "dishes": dishes}, indent=1))
        return 0
    if not menu:
        print("nothing is taught yet: traylane teach dish.jpg --name goulash --price 6.50")
        return 0
    rows = [
        (
            name,
            record.title,
            f"{record.price:.2f}",
            record.plu,
            record.category,
            "yes" if record.sold_on(today) else "no",
            str(len(record.photos) or "-"),
        )
        for name, record in menu.items()
    ]
    print(_table(("NAME", "TITLE", base.currency, "PLU", "CATEGORY", "TODAY", "PHOTOS"), rows))
    print(f"\nrevision {revision.number} of {store.folder}")
    return 0


def show_dish(config: LoadedConfig, name: str, as_json: bool) -> int:
    """Print one dish; return the exit code.

    Raises:
        DataError: there is no such dish.
    """
    store, base = _store(config), build_menu(config)
    revision = store.current()
    menu = whole_menu(base, revision.dishes)
    found = _named(menu, name)
    record = menu[found]
    if as_json:
        print(json.dumps({"name": found, **record.model_dump(mode="json")}, indent=1))
        return 0
    days = "every day" if record.days == WEEKDAYS else " ".join(record.days) or "on no day"
    rows = [
        ("name", found),
        ("title", record.title),
        ("price", f"{record.price:.2f} {base.currency}"),
        ("plu", record.plu or "-"),
        ("category", record.category or "-"),
        ("sold", days),
        ("from", "in the menu file" if found not in revision.dishes else "taught"),
        ("photos", str(len(record.photos))),
    ]
    rows += [("", f"{photo.sha256[:12]}  box {','.join(f'{v:.0f}' for v in photo.box)}") for photo in record.photos]
    print("\n".join(f"{key:<9} {value}" for key, value in rows))
    return 0


def set_values(
    config: LoadedConfig, name: str, values: Mapping[str, object], told: str, who: str | None, as_json: bool
) -> int:
    """Set values of a dish of the menu file or of a taught one; return the exit code.

    Raises:
        DataError: no such dish, or a value is out of range.
    """
    base = build_menu(config)

    def change(dishes: Dishes) -> dict[str, DishRecord]:
        menu = whole_menu(base, dishes)
        found = _named(menu, name)
        return put(dishes, found, changed(menu[found], **values))

    return _change(config, f"{name}: {', '.join(values)} {told}", change, who, as_json)


def rename(config: LoadedConfig, name: str, to: str, who: str | None, as_json: bool) -> int:
    """Give a taught dish another name; return the exit code.

    Raises:
        DataError: no such dish, or the name is taken.
    """
    base = build_menu(config)

    def change(dishes: Dishes) -> dict[str, DishRecord]:
        taken = same_name(to, base.dishes)
        if taken is not None and taken != same_name(name, dishes):
            raise DataError(f"the menu file has a dish {taken!r}; choose another name")
        return renamed(dishes, name, to)

    return _change(config, f"rename {name} to {to}", change, who, as_json)


def remove(config: LoadedConfig, name: str, who: str | None, as_json: bool) -> int:
    """Forget what was taught of a dish; return the exit code.

    Raises:
        DataError: nothing was taught of it.
    """
    base = build_menu(config)

    def change(dishes: Dishes) -> dict[str, DishRecord]:
        filed = same_name(name, base.dishes)
        if filed is not None and same_name(name, dishes) is None:
            raise DataError(
                f"{filed!r} stands in the menu file and nothing of it was taught: take it out of that file, or let it "
                f"be sold on no day: traylane menu days {filed} none"
            )
        return without(dishes, name)

    return _change(config, f"remove {name}", change, who, as_json)


def undo(config: LoadedConfig, who: str | None, as_json: bool) -> int:
    """Take the latest change back; return the exit code.

    Raises:
        DataError: there is none.
    """
    return _tell(_store(config).undo(_who(who)), as_json)


def show_history(config: LoadedConfig, limit: int, as_json: bool) -> int:
    """Print who changed what, when; return the exit code.

    Raises:
        ConfigError: `limit` is no number of changes.
    """
    if limit < 1:
        raise ConfigError(f"--limit {limit}: give 1 or more")
    found = _store(config).history(limit)
    if as_json:
        told = [
            {"revision": r.number, "at": _utc(r.made_at_s), "who": r.who, "what": r.what, "dishes": len(r.dishes)}
            for r in found
        ]
        print(json.dumps(told, indent=1))
        return 0
    if not found:
        print("nothing was changed yet")
        return 0
    rows = [(str(r.number), _utc(r.made_at_s), r.who, str(len(r.dishes)), r.what) for r in found]
    print(_table(("REVISION", "AT", "WHO", "DISHES", "WHAT"), rows))
    return 0


def export(config: LoadedConfig, path: Path | None) -> int:
    """Write all dishes as CSV to a file or to standard output; return the exit code.

    Raises:
        FolderUnusable: the file cannot be written.
    """
    text = write_csv(whole_menu(build_menu(config), _store(config).current().dishes))
    if path is None:
        sys.stdout.write(text)
    else:
        _write(path, text.encode())
        print(f"{path}: {text.count(chr(10)) - 1} dishes")
    return 0


def bring_in(config: LoadedConfig, path: Path, who: str | None, as_json: bool) -> int:
    """Take what a CSV table says of dishes; return the exit code.

    Raises:
        FormatError: a line cannot be used; nothing has changed.
    """
    base, content = build_menu(config), _read(path)
    return _change(
        config, f"import {path.name}", lambda dishes: read_csv(content, str(path), base, dishes), who, as_json
    )


def check(config: LoadedConfig, repair: bool, who: str | None, as_json: bool) -> int:
    """Read every file of the taught menu, and name the dishes that look alike; return 1 if something is amiss.

    Raises:
        DataError: a file is missing or damaged and cannot be made again.
    """
    store = _store(config)
    revision = store.current()
    taught = {name: record for name, record in revision.dishes.items() if record.photos}
    for record in taught.values():
        for photo in record.photos:
            store.photo(photo)
    trouble: list[str] = []
    if taught:
        embedder = build_embedder(config)
        try:
            if repair:
                revision = remake(store, revision, embedder, _who(who))
            elif revision.embedder != embedder.name:
                trouble.append(
                    f"calibrated for {revision.embedder}, {embedder.name} is configured: lanes make the gallery anew "
                    "at each start; run `traylane menu check --repair` once"
                )
            gallery = store.gallery(revision, embedder.name, embedder if revision.embedder != embedder.name else None)
        finally:
            embedder.close()
        trouble += [
            f"{pair.dish} and {pair.other} look alike (similarity {pair.similarity:.2f}): add photos that show what "
            "tells them apart"
            for pair in lookalikes(gallery)
        ]
    photos = sum(len(record.photos) for record in taught.values())
    if as_json:
        print(json.dumps({"revision": revision.number, "photos": photos, "trouble": trouble}, indent=1))
    else:
        print(f"revision {revision.number}: {len(revision.dishes)} dishes, {photos} photos, all files are whole")
        print("\n".join(trouble) or "nothing to complain of")
    return 1 if trouble else 0


# --- shared ----------------------------------------------------------------------------------------------------------


def _store(config: LoadedConfig) -> MenuStore:
    store = build_menu_store(config, SystemClock())
    if store is None:
        raise ConfigError(f"{config.name}: menu.store is null, so nothing is taught; name a folder there")
    return store


def _change(
    config: LoadedConfig,
    what: str,
    change: Callable[[Dishes], Mapping[str, DishRecord]],
    who: str | None,
    as_json: bool,
) -> int:
    store = _store(config)
    number = store.current().number
    revision = store.change(what, _who(who), change)
    if revision.number == number and not as_json:
        print("nothing changes")
        return 0
    return _tell(revision, as_json)


def _tell(revision: Revision, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"revision": revision.number, "what": revision.what, "dishes": len(revision.dishes)}))
    else:
        print(f"revision {revision.number}: {revision.what}; live in 1 to 2 s")
    return 0


def _named(menu: Mapping[str, DishRecord] | Menu, name: str) -> str:
    dishes = menu.dishes if isinstance(menu, Menu) else menu
    found = same_name(name, dishes)
    if found is None:
        raise DataError(f"no dish {name!r} on the menu; `traylane menu list` shows all")
    return found


def _who(given: str | None) -> str:
    if given is not None:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user needs no name.
        return ""


def _box(text: str) -> Box:
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError as err:
        raise ConfigError(f"--box {text}: give left,top,right,bottom in pixels, such as 40,30,200,190") from err
    return x1, y1, x2, y2


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise DataError(f"{path}: cannot be read: {err.strerror}") from err


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomic(path, content)
    except OSError as err:
        raise FolderUnusable(f"{path}: cannot be written: {err.strerror}") from err


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(str(line[i])) for line in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in (head, *rows)
    )
