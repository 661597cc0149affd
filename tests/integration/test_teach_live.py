"""Dishes taught while a lane runs: live within seconds, taken back, refused when broken; and the command line."""

from __future__ import annotations

import datetime
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml

import app.cli
import checkout.build
from checkout.health import LaneState
from checkout.lane import Lane
from checkout.live_menu import LiveMenu
from checkout.menu_records import changed, put
from checkout.menu_store import MenuStore
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.recognition import Recogniser
from checkout.settings import CheckoutSettings, RecognitionSettings
from checkout.teaching import TeachRequest
from checkout.zones import Zone, parse_polygon
from core.clock import SystemClock
from core.errors import SourceEnded
from core.records import HAND, ITEM, DecisionKind, Frame
from store.engine import open_store
from store.spool import Spool
from tests.dish_photos import jpeg, plate
from tests.fakes import ColourEmbedder, FixedDetector, Seen, menu
from tests.taught import FOODS, teacher_for
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

PATIENCE_S = 30.0
LIVE_S = 5.0
ZONES = (Zone("tray", "tray", parse_polygon("0,0,1,0,1,1,0,1")),)
BOX = (220.0, 80.0, 420.0, 280.0)


class Camera:
    """A camera over a plate of soup, for ever."""

    lane_id, shown_url, live = "lane1", "camera://plate", True

    def __init__(self) -> None:
        self._image, self._index, self._closed = plate(FOODS["soup"], seed=3), 0, threading.Event()

    @property
    def dropped(self) -> Mapping[str, int]:
        return {}

    def open(self) -> None:
        """There is nothing to open."""

    def read(self) -> Frame:
        if self._closed.wait(0.05):
            raise SourceEnded("closed")
        self._index += 1
        return Frame("lane1", self._index, time.time(), time.monotonic(), self._image, self._index * 0.05)

    def close(self) -> None:
        self._closed.set()


class Running:
    """A lane that runs, its store and its menu."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.store = MenuStore(folder / "menu", clock)
        self.live = LiveMenu(self.store, menu("bread"), ColourEmbedder, datetime.date.today)
        detector = FixedDetector((ITEM, HAND), lambda s: [Seen(ITEM, BOX, 0.95)])
        knowledge = self.live.load()

        def make_policy() -> Policy:
            return Policy("lane1", "key", CheckoutSettings(), ZONES, knowledge.menu)

        def make_tracker(size: tuple[int, int]) -> MultiObjectTracker:
            return MultiObjectTracker(TrackerSettings(), (ITEM, HAND), size)

        recogniser = Recogniser((ITEM, HAND), knowledge, RecognitionSettings())
        pipeline = Pipeline("lane1", "key", detector, make_tracker, make_policy, clock, recogniser=recogniser)
        self._events = open_store(f"sqlite:///{folder}/lane.db")
        self._spool = Spool(self._events, folder / "spool.jsonl", clock)
        self.lane = Lane(Camera(), pipeline, self._spool, knowledge.menu, clock, live_menu=self.live)

    def close(self) -> None:
        assert self.lane.stop(PATIENCE_S)
        self._spool.close()
        self._events.close()

    def wait(self, there: Callable[[], object], within_s: float = PATIENCE_S) -> float:
        """Wait until something is so; return how long it took."""
        began_s = time.monotonic()
        while not there():
            assert time.monotonic() - began_s < within_s, self.lane.health()
            time.sleep(0.01)
        return time.monotonic() - began_s

    def label(self) -> str:
        tracks = self.lane.latest.tracks.tracks if self.lane.latest is not None else ()
        return tracks[0].label if tracks else ""

    def bill(self) -> Any:
        return None if self.lane.latest is None else self.lane.latest.bill


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    made.lane.start()
    yield made
    made.close()


def test_a_dish_is_live_within_seconds_and_taken_back(running: Running) -> None:
    running.wait(lambda: running.lane.health().asks == 1)
    assert running.label() == ITEM
    teacher_for(running.store).teach([jpeg(plate(FOODS["soup"]))], TeachRequest("soup", 3.4))
    took_s = running.wait(lambda: running.label() == "soup")
    assert took_s < LIVE_S
    running.wait(lambda: running.bill() is not None and running.bill().lines)
    assert [(line.dish, line.unit_price) for line in running.bill().lines] == [("soup", 3.4)]
    assert running.lane.health().menu_revision == 1
    # A new price is for later bills: what stands on the open one keeps its own.
    running.store.change("price", "me", lambda dishes: put(dishes, "soup", changed(dishes["soup"], price=9.0)))
    running.wait(lambda: running.lane.menu.revision == 2, LIVE_S)
    assert running.lane.menu["soup"].price == 9.0
    running.store.undo("me")
    running.store.undo("me")
    running.wait(lambda: "soup" not in running.lane.menu, LIVE_S)
    frames = running.lane.health().decided_frames
    running.wait(lambda: running.lane.health().decided_frames > frames + 5)
    assert [line.unit_price for line in running.bill().lines] == [3.4]
    assert running.lane.health().state is LaneState.RUNNING


def test_a_broken_menu_is_refused_and_shown_and_the_old_one_stays(running: Running) -> None:
    teacher_for(running.store).teach([jpeg(plate(FOODS["soup"]))], TeachRequest("soup", 3.4))
    running.wait(lambda: running.label() == "soup")
    pointer = running.store.folder / "current"
    whole = pointer.read_bytes()
    pointer.write_text("half a line")
    running.wait(lambda: running.lane.health().state is LaneState.DEGRADED, LIVE_S)
    assert "revision 1 stays in force" in running.lane.health().why
    assert running.label() == "soup"
    pointer.write_bytes(whole)
    running.wait(lambda: running.lane.health().state is LaneState.RUNNING, LIVE_S)


def test_the_bill_says_which_menu_it_was_made_with(running: Running) -> None:
    opened: list[Any] = []
    running.lane.subscribe(
        lambda update: opened.extend(e for e in update.events if e.decision.kind is DecisionKind.BILL_OPEN)
    )
    teacher_for(running.store).teach([jpeg(plate(FOODS["soup"]))], TeachRequest("soup", 3.4))
    running.wait(lambda: opened)
    assert opened[0].decision.detail.get("menu_revision") in (None, 1)


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `traylane …` for a site of its own; returns exit code, output and errors."""
    config = {
        "store": {"url": f"sqlite:///{tmp_path}/site.db", "spool": str(tmp_path / "spool")},
        "menu": {"file": str(tmp_path / "menu.yaml"), "store": str(tmp_path / "menu")},
        "lanes": {"lane1": {}},
    }
    (tmp_path / "lane.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "menu.yaml").write_text(yaml.safe_dump({"dishes": {"bread": {"title": "Bread", "price": 1}}}))
    verbs = tuple(EntryPoint(n, f"app.commands.{n}:add", "traylane.commands") for n in ("teach", "menu"))
    monkeypatch.setattr(app.cli, "entry_points", lambda **_: verbs)
    monkeypatch.setattr(checkout.build, "build_embedder", lambda config: ColourEmbedder())
    monkeypatch.setattr("app.menu_views.build_embedder", lambda config: ColourEmbedder())
    monkeypatch.setattr(checkout.build, "build_detector", lambda config, settings: None)

    def run(*words: object) -> tuple[int, str, str]:
        code = app.cli.main([*map(str, words), "--config", str(tmp_path / "lane.yaml")])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def photo(folder: Path, food: str, **more: Any) -> Path:
    path = folder / f"{food}.jpg"
    path.write_bytes(jpeg(plate(FOODS[food], **more)))
    return path


def test_a_dish_from_photo_to_price_and_back(command: Any, tmp_path: Path) -> None:
    soup = photo(tmp_path, "soup")
    code, out, err = command("teach", soup, "--name", "soup", "--price", 3.4, "--who", "anna", "--days", "all")
    assert (code, "soup: Soup, 3.40 EUR, 1 photo" in out) == (0, True)
    assert "few dishes have photos" in err
    assert command("menu", "price", "bread", "1.20")[0] == 0
    code, out, _ = command("menu", "list", "--json")
    listed = {dish["name"]: dish for dish in json.loads(out)["dishes"]}
    assert listed["bread"]["price"] == 1.2
    assert len(listed["soup"]["photos"]) == 1
    code, out, _ = command("teach", "--list")
    assert code == 0
    assert "soup" in out
    assert "photos    1" in command("menu", "show", "Soup")[1]
    assert command("menu", "days", "bread", "none")[0] == 0
    assert command("menu", "rename", "soup", "tomato soup")[0] == 0
    assert "nothing to complain of" in command("menu", "check")[1]
    code, out, _ = command("menu", "history")
    assert "anna" in out
    assert "rename soup to tomato soup" in out
    table = tmp_path / "menu.csv"
    assert command("menu", "export", table)[0] == 0
    table.write_text(table.read_text().replace("3.40", "3.80"))
    assert command("menu", "import", table)[0] == 0
    assert "nothing changes" in command("menu", "import", table)[1]
    assert command("menu", "remove", "tomato soup")[0] == 0
    for _ in range(6):
        assert command("menu", "undo")[0] == 0
    code, _, err = command("teach", "--undo")
    assert (code, "nothing to undo" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["teach"], 2, "give a photo and --name"),
        (["teach", "none.jpg", "--name", "x", "--price", "1"], 1, "none.jpg: cannot be read"),
        (["teach", "SOUP", "--name", "x"], 1, "give its price"),
        (["teach", "SOUP", "--name", "x", "--price", "1", "--box", "1,2"], 2, "left,top,right,bottom"),
        (["teach", "--undo", "--list"], 2, "stand alone"),
        (["menu", "price", "nothing", "1"], 1, "no dish 'nothing'"),
        (["menu", "remove", "bread"], 1, "stands in the menu file"),
        (["menu", "days", "bread", "someday"], 1, "no weekday"),
        (["menu", "history", "--limit", "0"], 2, "give 1 or more"),
        (["menu", "import", "none.csv"], 1, "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    command: Any, tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    soup = photo(tmp_path, "soup")
    got, _, err = command(*[str(soup) if word == "SOUP" else word for word in words])
    assert (got, told in err) == (code, True), err
    assert not (tmp_path / "menu" / "current").exists()
