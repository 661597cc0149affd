"""A registry whose writer dies or meets a full disk at any write is whole: the old state or the new one."""

import contextlib
import errno
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core import files
from core.errors import ModelError
from models.registry import Registry
from tests.registry_models import made_card, made_registry, scored

ROOT = Path(__file__).resolve().parents[3]


class Killed(BaseException):
    """kill -9, as far as one process can play it: nobody catches it."""


@pytest.fixture
def registry(tmp_path):
    made = made_registry(tmp_path)
    for name, ap50 in (("a", 0.7), ("b", 0.8)):
        card = made_card(tmp_path, name)
        made.add(card, scored(card, ap50))
    made.promote("a@1")
    return made


def failures(monkeypatch, fail):
    """Yield again and again, with `fail` in force at the first, second, … call of each step of an atomic write."""
    real_unlink = files.Path.unlink

    def keeps_parts(path, **options):  # the dead clean nothing up
        if fail is not killed or path.suffix != ".part":
            real_unlink(path, **options)

    for step in ("mkstemp", "fsync", "replace"):
        for at in range(20):
            count = 0
            owner = files.tempfile if step == "mkstemp" else files.os
            real = getattr(owner, step)

            def patched(*args, _at=at, _real=real, **kwargs):
                nonlocal count
                count += 1
                if count == _at + 1:
                    fail()
                return _real(*args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(owner, step, patched)
                patch.setattr(files.Path, "unlink", keeps_parts)
                yield at
            if count <= at:  # it went through without reaching that call
                break
        else:
            pytest.fail("more writes than were thought of")


def consistent(folder, shipped):
    """Look at a registry as another process would and return what is in force."""
    seen = Registry(folder, shipped)
    for known in seen.models():
        seen.load(known.card.ref)
        seen.scores(known.card.ref)
    history = seen.promotions.history()
    assert [entry.sequence for entry in history] == list(range(1, len(history) + 1))
    in_force = {}
    for entry in history:
        in_force[entry.channel] = entry.model
    assert in_force == {channel: held.model for channel, held in seen.promotions.current().items()}
    return in_force["default"], len(history)


def killed():
    raise Killed


def full():
    raise OSError(errno.ENOSPC, "No space left on device")


def attempt(change):
    try:
        change()
    except Killed:
        return "died"
    except ModelError as err:
        return "refused" if "nothing was changed; free space and try again" in str(err) else str(err)
    return "done"


@pytest.mark.parametrize("fail", [killed, full])
def test_a_promotion_that_dies_anywhere_is_made_or_not_made(registry, tmp_path, monkeypatch, fail):
    shipped, states = tmp_path / "shipped", set()
    for _ in failures(monkeypatch, fail):
        before = consistent(registry.folder, shipped)
        wanted = "b@1" if before[0] == "a@1" else "a@1"
        answered = attempt(lambda name=wanted: registry.promote(name, force="back and forth"))
        after = consistent(registry.folder, shipped)
        assert after in ((wanted, before[1] + 1), before)
        if answered == "done":
            assert after[0] == wanted
        if answered == "refused":
            assert after == before
        states.add((answered, after[0] == wanted))
    if fail is killed:
        assert states == {("died", True), ("died", False), ("done", True)}
    else:
        assert states == {("refused", False), ("done", True)}
    registry.roll_back()
    consistent(registry.folder, shipped)
    assert not list(registry.folder.rglob("*.part"))


@pytest.mark.parametrize("fail", [killed, full])
def test_an_import_that_dies_anywhere_is_there_or_not_there(registry, tmp_path, monkeypatch, fail):
    shipped, states = tmp_path / "shipped", set()
    for number, _ in enumerate(failures(monkeypatch, fail)):
        card = made_card(tmp_path, "new", str(number))
        with contextlib.suppress(Killed, ModelError):
            registry.add(card, scored(card))
        refs = {known.card.ref for known in registry.models()}
        consistent(registry.folder, shipped)
        states.add(card.ref in refs)
        if card.ref not in refs:  # it can be tried again
            registry.add(card)
            assert registry.scores(card.ref) is None
    assert states == {True, False}


SCRIPT = """
import os, sys
from pathlib import Path
from core import files
from models.registry import Registry
folder, at = Path(sys.argv[1]), int(sys.argv[2])
count, real = 0, os.replace
def replace(*args):
    global count
    count += 1
    if count == at:
        os.kill(os.getpid(), 9)
    real(*args)
files.os.replace = replace
Registry(folder, folder.parent / "shipped").promote("b@1")
"""


@pytest.mark.parametrize(("at", "in_force"), [(1, "a@1"), (2, "b@1")])
def test_a_real_kill_9(registry, tmp_path, at, in_force):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(registry.folder), str(at)], cwd=ROOT, timeout=60)
    assert done.returncode == -9
    assert consistent(registry.folder, tmp_path / "shipped")[0] == in_force
    assert list(registry.folder.rglob("*.part"))
    registry.promote("net@1", force="the next one clears up")
    assert not list(registry.folder.rglob("*.part"))
    assert len((registry.folder / "history.jsonl").read_text().splitlines()) == (2 if at == 1 else 3)


def test_writers_wait_for_one_another(registry, tmp_path):
    for i in range(6):
        card = made_card(tmp_path, f"n{i}")
        registry.add(card, scored(card, 0.85))

    def promote(name):
        Registry(registry.folder, tmp_path / "shipped").promote(name, force="all at once")

    threads = [threading.Thread(target=promote, args=(f"n{i}@1",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    model, entries = consistent(registry.folder, tmp_path / "shipped")
    assert entries == 7
    current = json.loads((registry.folder / "current.json").read_text())
    assert len(current["channels"]["default"]) == 7
    assert current["channels"]["default"][-1]["model"] == model


def test_a_writer_that_never_ends_is_told_of(registry, monkeypatch):
    monkeypatch.setattr("models.promotions._LOCK_S", 0.1)
    with registry.promotions.locked(), pytest.raises(ModelError, match="another `traylane models` is changing it"):
        registry.promote("b@1")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    registry = Registry(tmp_path / "file" / "models")
    with pytest.raises(ModelError, match=r"make it writable, or correct models\.registry"):
        registry.add(made_card(tmp_path, "a"))
