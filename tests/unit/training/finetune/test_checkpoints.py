"""Checkpoints are whole or absent, checked when read, and refused when they belong to another run."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import ConfigError, FolderUnusable, ModelError, ModelMismatch, ModelNotFound
from dataset.records import DetectionSet
from tests.painted_sets import TINY, painted
from training.finetune import checkpoints
from training.finetune.checkpoints import add_line, cut_log, net_of_run, read_log, read_pt, write_pt
from training.finetune.loop import finetune
from training.finetune.progress import Watchers
from training.finetune.run_record import RECORD, read_record, run_folder
from training.finetune.settings import CheckpointRecipe, NetRecipe


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[DetectionSet, DetectionSet]:
    folder = tmp_path_factory.mktemp("painted")
    return painted(folder / "train", 8, 1), painted(folder / "validation", 4, 2)


@pytest.fixture
def run(sets: tuple[DetectionSet, DetectionSet], tmp_path: Path) -> Path:
    """Return the folder of a finished run of three epochs."""
    finetune(*sets, TINY, tmp_path / "run")
    return tmp_path / "run"


def flip_a_bit(path: Path) -> None:
    """Change one byte in the middle of the file, where the weights are."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_changed_byte_and_a_cut_file_are_found(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    write_pt(path, {"weights": torch.arange(5000.0)})
    assert torch.equal(read_pt(path)["weights"], torch.arange(5000.0))
    whole = path.read_bytes()
    flip_a_bit(path)
    with pytest.raises(ModelError, match=r"broken checkpoint .* does not fit its checksum"):
        read_pt(path)
    for length in (0, 10, len(whole) - 30):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match="not a whole checkpoint"):
            read_pt(path)
    with pytest.raises(ModelNotFound, match="no such checkpoint"):
        read_pt(tmp_path / "absent.pt")
    torch.save(torch.arange(3), path)
    with pytest.raises(ModelError, match="not a checkpoint of a run"):
        read_pt(path)


@pytest.mark.parametrize("broken", [["last.pt"], ["last.pt", "checkpoints/epoch-0003.pt"]])
def test_a_broken_checkpoint_is_passed_over_for_the_one_before(
    sets: tuple[DetectionSet, DetectionSet], run: Path, broken: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    metrics, best = (run / "metrics.jsonl").read_bytes(), (run / "best.pt").read_bytes()
    for name in broken:
        content = (run / name).read_bytes()
        (run / name).unlink()
        (run / name).write_bytes(content[: len(content) // 2])
    told: list[str] = []
    finetune(*sets, TINY, run, resume=True, watchers=Watchers(said=told.append))
    goes_on_from = "epoch-0003.pt" if len(broken) == 1 else "epoch-0002.pt"
    assert goes_on_from in told[0]
    for name in broken:
        assert f"{run / name}: not a whole checkpoint" in caplog.text
    assert "going back to the checkpoint before it" in caplog.text
    assert (run / "metrics.jsonl").read_bytes() == metrics
    assert (run / "best.pt").read_bytes() == best


def test_nothing_whole_is_an_error(sets: tuple[DetectionSet, DetectionSet], run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no checkpoint to resume from; leave --resume out"):
        finetune(*sets, TINY, tmp_path / "other", resume=True)
    for path in (run / "last.pt", *(run / "checkpoints").iterdir()):
        path.unlink()
        path.write_bytes(b"nothing")
    before = (run / RECORD).read_bytes()
    with pytest.raises(ModelError, match="every checkpoint is broken"):
        finetune(*sets, TINY, run, resume=True)
    assert (run / RECORD).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 3}, r"settings.seed: 1 -> 3"),
        ({"batch": 2}, r"settings.batch: 4 -> 2"),
        ({"threads": 2}, r"settings.threads: 1 -> 2"),
        ({"net": NetRecipe(arch="ssdlite320_mobilenet_v3_large")}, r"settings.net.arch: traynet -> ssdlite320"),
    ],
)
def test_a_run_of_other_settings_is_refused_and_nothing_is_touched(
    sets: tuple[DetectionSet, DetectionSet], run: Path, change: dict[str, Any], message: str
) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with pytest.raises(ConfigError, match=message):
        finetune(*sets, TINY.model_copy(update=change), run, resume=True)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_other_pictures_and_labels_are_refused(
    sets: tuple[DetectionSet, DetectionSet], run: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"training pictures: .* -> .*; resume with what it was started with"):
        finetune(painted(tmp_path / "more", 9, 1), sets[1], TINY, run, resume=True)
    with pytest.raises(ConfigError, match="validation pictures"):
        finetune(sets[0], painted(tmp_path / "others", 4, 3), TINY, run, resume=True)
    renamed = [painted(tmp_path / f"named{i}", 8, 1 + i, labels=("red", "verde")) for i in range(2)]
    with pytest.raises(ConfigError, match=r"labels: .*green.* -> .*verde"):
        finetune(renamed[0], renamed[1], TINY, run, resume=True)
    # What no weight depends on may change.
    free = TINY.model_copy(update={"checkpoints": CheckpointRecipe(keep_last=9)})
    assert finetune(*sets, free, run, resume=True).status == "finished"


def test_a_folder_with_weights_is_not_overwritten_unless_asked(
    sets: tuple[DetectionSet, DetectionSet], run: Path
) -> None:
    best, record = (run / "best.pt").read_bytes(), (run / RECORD).read_bytes()
    with pytest.raises(ConfigError, match=r"holds the weights of a run .*--resume"):
        finetune(*sets, TINY, run)
    assert (run / "best.pt").read_bytes() == best
    assert (run / RECORD).read_bytes() == record
    (run / "tensorboard").mkdir()
    finetune(*sets, TINY.model_copy(update={"epochs": 1}), run, overwrite=True)
    assert not (run / "tensorboard").exists()
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["epoch-0001.pt"]
    assert len(read_log(run / "metrics.jsonl")) == 1


def test_a_full_disk_fails_the_run_and_leaves_whole_files(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = checkpoints.write_atomic

    def full(path: Path, content: bytes | memoryview | str) -> None:
        if path.name == "last.pt" and path.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(path, content)

    monkeypatch.setattr(checkpoints, "write_atomic", full)
    with pytest.raises(FolderUnusable, match=r"last\.pt: cannot be written: No space left on device; make room"):
        finetune(*sets, TINY, tmp_path)
    record = read_record(tmp_path)
    assert record.status == "failed"
    assert "No space left" in record.reason
    assert read_pt(tmp_path / "last.pt")["progress"]["step"] == 2
    assert not list(tmp_path.rglob(".*.part"))
    # With room again it goes on as if nothing had been.
    monkeypatch.undo()
    finetune(*sets, TINY, tmp_path, resume=True)
    finetune(*sets, TINY, tmp_path / "calm")
    assert (tmp_path / "best.pt").read_bytes() == (tmp_path / "calm" / "best.pt").read_bytes()
    assert (tmp_path / "metrics.jsonl").read_bytes() == (tmp_path / "calm" / "metrics.jsonl").read_bytes()


def test_a_disk_too_full_for_the_record_does_not_hide_the_cause(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = checkpoints.write_atomic
    full: list[bool] = []

    def filling(path: Path, content: bytes | memoryview | str) -> None:
        full.extend([True] if path.name == "last.pt" else [])
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(path, content)

    monkeypatch.setattr(checkpoints, "write_atomic", filling)
    with pytest.raises(FolderUnusable, match=r"last\.pt") as caught:
        finetune(*sets, TINY, tmp_path)
    assert any("still says running" in note for note in caught.value.__notes__)


def test_best_of_another_program_is_refused(tmp_path: Path, run: Path) -> None:
    write_pt(tmp_path / "best.pt", {"weights": {}})
    with pytest.raises(ModelError, match=r"not the best\.pt of a fine-tuned run"):
        net_of_run(tmp_path)
    content = read_pt(run / "best.pt")
    content["weights"].pop("net.stem.0.weight")
    write_pt(tmp_path / "best.pt", content)
    with pytest.raises(ModelMismatch, match="do not fit its own description"):
        net_of_run(tmp_path / "best.pt")


def test_logs_end_at_the_checkpoint(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    cut_log(log, 3)
    assert not log.exists()
    for step in (2, 4, 6):
        add_line(log, {"step": step})
    with log.open("a") as handle:
        handle.write('{"step": 7, "lo')
    cut_log(log, 4)
    assert [line["step"] for line in read_log(log)] == [2, 4]
    with pytest.raises(FolderUnusable, match="cannot be written"):
        add_line(tmp_path / "absent" / "log.jsonl", {})


def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    script = (
        "import fcntl, os, sys, time\n"
        "fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.lockf(fd, fcntl.LOCK_EX)\n"
        "os.write(fd, b'pid %d on here' % os.getpid())\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        message = rf"another process trains here \(pid {other.pid} on here\)"
        with pytest.raises(ConfigError, match=message), run_folder(tmp_path):
            pass
        other.kill()
    with run_folder(tmp_path):
        assert f"pid {os.getpid()} on " in (tmp_path / "run.lock").read_text()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = r"cannot be written: .*; give another --out"
    with pytest.raises(FolderUnusable, match=message), run_folder(tmp_path / "file" / "run"):
        pass
