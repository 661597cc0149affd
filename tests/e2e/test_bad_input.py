"""The table of bad input at the command line: one clear line, the documented exit code, nothing half-written."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from app.cli import main
from tests.media import make_clip, make_resized, make_sound
from tests.onnx_graphs import write_card, write_graph, yolox_heads

OK, CONFIG, MODEL, STORE, SOURCE = 0, 2, 3, 4, 5


class Site:
    """A site file in a folder of its own, with a small real model, a menu and a clip; cases spoil one part of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.clip = make_clip(folder / "clip.mp4", frames=20)
        self.model = folder / "net.onnx"
        write_graph(self.model, {"output": yolox_heads()})
        self.card = write_card(self.model)
        dishes = {name: {"title": name.title(), "price": 1.0} for name in ("cup", "plate")}
        (folder / "menu.yaml").write_text(yaml.safe_dump({"currency": "EUR", "dishes": dishes}))
        self.content: dict[str, object] = {
            "store": {"url": f"sqlite:///{folder}/t.db", "spool": str(folder / "spool")},
            "record": {"evidence": {"folder": str(folder / "evidence")}},
            "models": {"detector": {"card": str(self.card), "device": "cpu"}},
            "menu": {"file": "menu.yaml"},
            "lanes": {"lane1": {"source": {"url": str(self.clip)}}},
        }
        self.path = folder / "site.yaml"
        self.write()

    def write(self, **changes: object) -> None:
        """Write the site file with some top-level keys replaced."""
        self.path.write_text(yaml.safe_dump({**self.content, **changes}, sort_keys=False))

    def lane(self, **keys: object) -> None:
        """Write the site file with more keys for its lane."""
        lane = {"source": {"url": str(self.clip)}, **keys}
        self.write(lanes={"lane1": lane})

    def replay(self, clip: Path | str | None = None, *more: str) -> list[str]:
        return [
            "replay",
            str(clip or self.clip),
            "--config",
            str(self.path),
            "--out",
            str(self.out),
            "--no-video",
            *more,
        ]

    def run(self, *more: str) -> list[str]:
        return ["run", "--config", str(self.path), "--port", "0", *more]


@dataclass(frozen=True)
class Case:
    """One row: how the input is spoiled (returns the command line), the exit code, and what the line must say."""

    name: str
    spoil: Callable[[Site], list[str]]
    code: int
    says: tuple[str, ...]


def written(name: str, content: bytes) -> Callable[[Site], list[str]]:
    def spoil(site: Site) -> list[str]:
        (site.folder / name).write_bytes(content)
        return site.replay(site.folder / name)

    return spoil


def sound_only(site: Site) -> list[str]:
    return site.replay(make_sound(site.folder / "radio.m4a"))


def cut_short(site: Site) -> list[str]:
    clip = make_clip(site.folder / "cut.mp4", frames=60, index_first=False)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    return site.replay(clip)


def truncated(site: Site) -> list[str]:
    clip = make_clip(site.folder / "short.mp4", frames=60)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 3 // 4])
    return site.replay(clip)


def wrong_codec(site: Site) -> list[str]:
    clip = make_clip(site.folder / "foreign.mp4", frames=20)
    clip.write_bytes(clip.read_bytes().replace(b"avc1", b"zz9z"))
    return site.replay(clip)


def resized(site: Site) -> list[str]:
    return site.replay(make_resized(site.folder / "sizes.h264", [(160, 96), (96, 64)]))


def config_text(text: str) -> Callable[[Site], list[str]]:
    def spoil(site: Site) -> list[str]:
        site.path.write_text(text)
        return site.replay()

    return spoil


def lane_keys(**keys: object) -> Callable[[Site], list[str]]:
    def spoil(site: Site) -> list[str]:
        site.lane(**keys)
        return site.replay()

    return spoil


def zone(polygon: str) -> Callable[[Site], list[str]]:
    return lane_keys(zones={"tray": {"role": "tray", "polygon": polygon}})


def no_config(site: Site) -> list[str]:
    site.path.unlink()
    return site.replay()


def not_a_model(site: Site) -> list[str]:
    site.model.write_bytes(b"not a model" * 100)
    write_card(site.model)
    return site.replay()


def model_replaced(site: Site) -> list[str]:
    site.model.write_bytes(site.model.read_bytes() + b"x")
    return site.replay()


def model_gone(site: Site) -> list[str]:
    site.model.unlink()
    return site.replay()


def other_classes(site: Site) -> list[str]:
    write_card(site.model, classes=["cup", "plate", "fork"])
    return site.replay()


def class_not_on_menu(site: Site) -> list[str]:
    write_card(site.model, classes=["cup", "pizza"])
    return site.replay()


def menu_broken(site: Site) -> list[str]:
    (site.folder / "menu.yaml").write_text("dishes:\n  cup: {title: Cup, price: cheap}\n")
    return site.replay()


def menu_gone(site: Site) -> list[str]:
    (site.folder / "menu.yaml").unlink()
    return site.replay()


def truth_broken(site: Site) -> list[str]:
    (site.folder / "truth.json").write_text('{"fps": 20, "items": [')
    return site.replay(None, "--truth", str(site.folder / "truth.json"))


def out_is_a_file(site: Site) -> list[str]:
    site.out.write_text("mine")
    return site.replay()


def out_has_other_files(site: Site) -> list[str]:
    site.out.mkdir()
    (site.out / "holiday.jpg").write_bytes(b"x")
    return site.replay()


def away(site: Site) -> list[str]:
    site.write(web={"host": "203.0.113.7"})
    return site.run()


def lane_file_gone(site: Site) -> list[str]:
    site.clip.unlink()
    return site.run()


def foreign_database(site: Site) -> list[str]:
    with contextlib.closing(sqlite3.connect(site.folder / "t.db")) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
        database.commit()
    return site.run()


def store_is_text(site: Site) -> list[str]:
    (site.folder / "t.db").write_text("Dear diary, " * 200)
    return site.run()


def store_in_no_folder(site: Site) -> list[str]:
    site.write(store={"url": "sqlite:////proc/none/t.db", "spool": str(site.folder / "spool")})
    return site.run()


def database_server_away(site: Site) -> list[str]:
    site.write(store={"url": "postgresql://bob:pa55@127.0.0.1:9/x", "spool": str(site.folder / "spool")})
    return site.run()


TABLE = [
    Case("missing clip", lambda s: s.replay(s.folder / "none.mp4"), SOURCE, ("none.mp4", "no such file")),
    Case("empty clip", written("empty.mp4", b""), SOURCE, ("empty.mp4", "empty")),
    Case("text as clip", written("notes.mp4", b"shopping list\n" * 99), SOURCE, ("notes.mp4", "not a video")),
    Case("audio only", sound_only, SOURCE, ("radio.m4a", "only sound")),
    Case("index cut off", cut_short, SOURCE, ("cut.mp4", "cut off")),
    Case("truncated clip plays what is there", truncated, OK, ()),
    Case("unknown codec", wrong_codec, SOURCE, ("foreign.mp4", "codec")),
    Case("size changes in mid-stream", resized, OK, ()),
    Case("missing config", no_config, CONFIG, ("site.yaml", "no such configuration file")),
    Case("config is no YAML", config_text("lanes: [\n"), CONFIG, ("site.yaml:", "not valid YAML")),
    Case("config is a list", config_text("- a\n"), CONFIG, ("site.yaml:1", "mapping")),
    Case("empty config", config_text(""), CONFIG, ("site.yaml", "lanes", "missing")),
    Case("unknown key", lane_keys(detekt={"fps": 3}), CONFIG, ("site.yaml:", "lanes.lane1.detekt", "unknown key")),
    Case("out of range", lane_keys(detect={"fps": 0}), CONFIG, ("lanes.lane1.detect.fps", "greater than 0")),
    Case("ask above commit", lane_keys(checkout={"ask_confidence": 0.95}), CONFIG, ("lanes.lane1.checkout", "commit")),
    Case("polygon of 2 points", zone("0,0,1,1"), CONFIG, ("lanes.lane1.zones.tray.polygon", "3")),
    Case("polygon crosses itself", zone("0,0,1,1,1,0,0,1"), CONFIG, ("lanes.lane1.zones.tray.polygon", "cross")),
    Case("polygon outside", zone("0,0,2,0,1,1"), CONFIG, ("lanes.lane1.zones.tray.polygon", "2")),
    Case("no tray zone", lane_keys(zones={}), CONFIG, ("lanes.lane1.zones", "tray")),
    Case("unset variable", lane_keys(source={"url": "rtsp://${NO_SUCH_USER}@h"}), CONFIG, ("NO_SUCH_USER", "not set")),
    Case("no such lane", lambda s: s.replay(None, "--lane", "x"), CONFIG, ("'x'", "lane1")),
    Case("stride 0", lambda s: s.replay(None, "--stride", "0"), CONFIG, ("stride", "0")),
    Case("model file is none", not_a_model, MODEL, ("net.onnx",)),
    Case("model file replaced", model_replaced, MODEL, ("net.onnx", "SHA-256")),
    Case("model file gone", model_gone, MODEL, ("net.onnx",)),
    Case("wrong number of classes", other_classes, MODEL, ("3",)),
    Case("class that the menu lacks", class_not_on_menu, MODEL, ("pizza",)),
    Case("price is a word", menu_broken, CONFIG, ("menu.yaml:2", "dishes.cup.price", "cheap")),
    Case("menu gone", menu_gone, CONFIG, ("menu.yaml",)),
    Case("truth is cut", truth_broken, CONFIG, ("truth.json",)),
    Case("truth gone", lambda s: s.replay(None, "--truth", "/no/truth.json"), CONFIG, ("/no/truth.json",)),
    Case("out is a file", out_is_a_file, CONFIG, ("out", "file")),
    Case("out holds other files", out_has_other_files, CONFIG, ("out", "empty folder")),
    Case("address of another machine", away, CONFIG, ("web", "203.0.113.7")),
    Case("only lane's file is gone", lane_file_gone, SOURCE, ("clip.mp4", "no such file")),
    Case("another program's database", foreign_database, STORE, ("t.db",)),
    Case("store is no database", store_is_text, STORE, ("t.db",)),
    Case("store in no folder", store_in_no_folder, STORE, ("/proc/none",)),
    Case("database server away", database_server_away, STORE, ("127.0.0.1",)),
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("case", TABLE, ids=[case.name.replace(" ", "-") for case in TABLE])
def test_bad_input(tmp_path, capsys, case):
    arguments = case.spoil(Site(tmp_path))
    before = contents(tmp_path)
    code = main(arguments)
    errors = capsys.readouterr().err
    assert code == case.code, errors
    lines = [line for line in errors.splitlines() if line.startswith("traylane: error: ")]
    if case.code == OK:
        assert not lines
        assert {"events.jsonl", "bills.json", "metrics.json"} <= {p.name for p in (tmp_path / "out").iterdir()}
        return
    assert len(lines) == 1, errors
    assert "Traceback" not in errors
    assert "pa55" not in errors
    for word in case.says:
        assert word in lines[0]
    after = contents(tmp_path)
    assert {name for name in after if not name.startswith(("spool", "t.db"))} == set(before) - {
        name for name in before if name.startswith(("spool", "t.db"))
    }
    for name in before:
        if name.startswith("t.db"):
            assert after[name] == before[name], "another program's file was changed"


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def test_port_taken(tmp_path, capsys):
    site = Site(tmp_path)
    with taken_port() as port:
        assert main(["run", "--config", str(site.path), "--port", str(port)]) == CONFIG
    errors = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in errors
    assert "web.port" in errors
    assert not (tmp_path / "t.db").exists(), "the store was opened before the port was known to be free"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only disk needs the rights of root")
def test_read_only_disk(tmp_path, capsys):
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a read-only disk")
    try:
        site = Site(tmp_path)
        site.out = disk / "out"
        assert main(site.replay()) in {CONFIG, STORE}
        assert "read-only" in capsys.readouterr().err.lower()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_mistake_starts_no_thread(tmp_path):
    site = Site(tmp_path)
    site.lane(zones={"tray": {"role": "tray", "polygon": "0,0,1,1"}})
    before = threading.active_count()
    assert main(site.run()) == CONFIG
    assert threading.active_count() == before


def test_the_site_of_these_tests_is_right(tmp_path):
    site = Site(tmp_path)
    assert main(site.replay()) == OK
    assert np.all([(site.out / name).stat().st_size >= 0 for name in ("events.jsonl", "report.html")])
