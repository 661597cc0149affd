"""A run learns, repeats byte by byte, goes on after any stop as if there had been none, and ends with a true record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.errors import ConfigError, DataError, ModelError
from dataset.records import DetectionSet
from tests.painted_sets import TINY, painted
from training.finetune import loop
from training.finetune.batches import Target
from training.finetune.checkpoints import net_of_run, read_pt
from training.finetune.edge_detector import EdgeDetector
from training.finetune.loop import finetune
from training.finetune.progress import Watchers
from training.finetune.run_record import read_record
from training.finetune.settings import (
    CheckpointRecipe,
    EarlyStopRecipe,
    FinetuneSettings,
    NetRecipe,
    OptimiserRecipe,
    ScheduleRecipe,
    StartRecipe,
)
from training.finetune.validation import found_on

ROOT = Path(__file__).resolve().parents[4]


class PowerCut(BaseException):
    """Ends a run at once."""


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[DetectionSet, DetectionSet]:
    folder = tmp_path_factory.mktemp("painted")
    return painted(folder / "train", 12, 1), painted(folder / "validation", 6, 2)


def changed(**values: Any) -> FinetuneSettings:
    return TINY.model_copy(update=values)


def same_files(one: Path, two: Path) -> None:
    for name in ("metrics.jsonl", "best.pt"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    a, b = read_pt(one / "last.pt"), read_pt(two / "last.pt")
    assert a["progress"] == b["progress"]
    for part in ("net", "mean_net"):
        assert a[part].keys() == b[part].keys()
        assert all(torch.equal(a[part][name], b[part][name]) for name in a[part])


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_a_run_learns_and_leaves_what_it_promises(sets: tuple[DetectionSet, DetectionSet], tmp_path: Path) -> None:
    settings = changed(steps=60, validate_every=5, optimiser=OptimiserRecipe(rate=0.01), augment="light")
    settings = settings.model_copy(update={"checkpoints": CheckpointRecipe(keep_last=3), "tensorboard": True})
    told: list[Mapping[str, object]] = []
    record = finetune(*sets, settings, tmp_path, watchers=Watchers(validated=told.append))
    assert record.status == "finished"
    assert record.best is not None
    assert record.best.scores["ap50"] > 0.3
    assert lines_of(tmp_path) == told
    assert [line["epoch"] for line in told] == [5, 10, 15, 20]
    assert told[-1]["loss"] < 0.5 * told[0]["loss"]  # type: ignore[operator]
    timings = [json.loads(line) for line in (tmp_path / "timings.jsonl").read_text().splitlines()]
    assert [line["step"] for line in timings] == [15, 30, 45, 60]
    assert all(line["images_per_s"] > 0 for line in timings)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        f"epoch-{epoch:04d}.pt" for epoch in (18, 19, 20)
    ]
    assert list((tmp_path / "tensorboard").iterdir())
    assert read_record(tmp_path) == record
    assert record.data["train"].sha256 == sets[0].sha256
    assert len(record.git.rstrip("+")) in (0, 40)

    # What ships is what was scored.
    net = net_of_run(tmp_path)
    assert net.labels == ("red", "green")
    again = finetune(
        *sets,
        changed(epochs=0, start=StartRecipe(init=str(tmp_path / "best.pt"), strict=True)),
        tmp_path / "evaluation",
    )
    assert again.reason == "evaluated only"
    assert again.best is not None
    assert again.best.scores == record.best.scores
    assert again.init_sha256 == record.best.weights_sha256
    assert not (tmp_path / "evaluation" / "best.pt").exists()


def test_equal_runs_are_equal_byte_by_byte_and_other_seeds_are_not(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path
) -> None:
    settings = changed(augment="counter", accumulate=2, schedule=ScheduleRecipe(kind="one_cycle"))
    torch.manual_seed(11)
    finetune(*sets, settings, tmp_path / "one")
    torch.manual_seed(22)
    finetune(*sets, settings, tmp_path / "two")
    same_files(tmp_path / "one", tmp_path / "two")
    finetune(*sets, settings.model_copy(update={"seed": 2}), tmp_path / "three")
    assert (tmp_path / "one" / "best.pt").read_bytes() != (tmp_path / "three" / "best.pt").read_bytes()


@pytest.mark.parametrize("arch", ["traynet", "ssdlite320_mobilenet_v3_large"])
def test_a_run_that_was_cut_goes_on_to_the_same_weights(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, arch: str
) -> None:
    net = TINY.net if arch == "traynet" else NetRecipe(arch=arch, size=(64, 64), norm="group")
    settings = changed(
        net=net,
        epochs=2,
        augment="light",
        optimiser=OptimiserRecipe(kind="sgd", rate=0.005, nesterov=True),
        checkpoints=CheckpointRecipe(every_steps=2),
        start=StartRecipe(freeze_depth=1, freeze_until=1),
    )
    finetune(*sets, settings, tmp_path / "whole")

    def cut(at: int) -> Watchers:
        def stepped(step: int, planned: int, loss: float) -> None:
            if step == at:
                raise PowerCut

        return Watchers(stepped=stepped)

    with pytest.raises(PowerCut):
        finetune(*sets, settings, tmp_path / "cut", watchers=cut(3))
    with pytest.raises(PowerCut):
        finetune(*sets, settings, tmp_path / "cut", resume=True, watchers=cut(5))
    record = finetune(*sets, settings, tmp_path / "cut", resume=True)
    assert len(record.resumed_utc) == 2
    same_files(tmp_path / "whole", tmp_path / "cut")


def test_kill_9_in_mid_epoch_changes_nothing(sets: tuple[DetectionSet, DetectionSet], tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from dataset.reading import read_set\n"
        "from tests.painted_sets import TINY\n"
        "from training.finetune.loop import finetune\n"
        "from training.finetune.progress import Watchers\n"
        "from training.finetune.settings import FinetuneSettings\n"
        "def die(step, planned, loss):\n"
        "    if step == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "train, validation = (read_set(Path(p), labels=('red', 'green')) for p in sys.argv[2:4])\n"
        "settings = FinetuneSettings.model_validate_json(sys.argv[4])\n"
        "finetune(train, validation, settings, Path(sys.argv[1]), watchers=Watchers(stepped=die))\n"
    )
    settings = changed(checkpoints=CheckpointRecipe(every_steps=4))
    folders = [str(pictures.samples[0].image.parents[1]) for pictures in sets]
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "killed"), *folders, settings.model_dump_json()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert read_record(tmp_path / "killed").status == "running"
    finetune(*sets, settings, tmp_path / "killed", resume=True)
    finetune(*sets, settings, tmp_path / "calm")
    same_files(tmp_path / "calm", tmp_path / "killed")
    assert read_record(tmp_path / "killed").status == "finished"


def test_a_run_that_no_longer_gains_ends_early(sets: tuple[DetectionSet, DetectionSet], tmp_path: Path) -> None:
    settings = changed(epochs=30, optimiser=OptimiserRecipe(rate=1e-9), early_stop=EarlyStopRecipe(patience=2))
    record = finetune(*sets, settings, tmp_path)
    assert record.status == "finished"
    assert record.reason == "no gain in 2 validations"
    assert len(lines_of(tmp_path)) == 3
    # Resumed, it stays where it ended.
    assert finetune(*sets, settings, tmp_path, resume=True).reason == "no gain in 2 validations"
    assert len(lines_of(tmp_path)) == 3


def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_pictures(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = EdgeDetector.losses
    calls: list[int] = []

    def broken(self: EdgeDetector, images: list[Tensor], targets: list[Any]) -> dict[str, Tensor]:
        calls.append(1)
        parts = whole(self, images, targets)
        return parts | {"box": parts["box"] * float("nan")} if len(calls) == 2 else parts

    monkeypatch.setattr(EdgeDetector, "losses", broken)
    with pytest.raises(ModelError, match=r"step 1: the loss is not finite \(box nan") as caught:
        finetune(*sets, TINY, tmp_path)
    named = [sample.image for sample in sets[0].samples if str(sample.image) in str(caught.value)]
    assert len(named) == 4
    record = read_record(tmp_path)
    assert record.status == "failed"
    assert "not finite" in record.reason
    assert record.ended_utc is not None
    assert not (tmp_path / "best.pt").exists()


def test_a_gradient_that_is_not_finite_stops_the_run(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.utils, "get_total_norm", lambda gradients: torch.tensor(float("inf")))
    with pytest.raises(ModelError, match="step 0: the gradient is not finite"):
        finetune(*sets, TINY, tmp_path)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_runs_and_stays_near(sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, amp: str) -> None:
    plain = finetune(*sets, changed(epochs=2), tmp_path / "plain")
    mixed = finetune(*sets, changed(epochs=2, amp=amp), tmp_path / "mixed")
    assert plain.status == mixed.status == "finished"
    a, b = lines_of(tmp_path / "plain"), lines_of(tmp_path / "mixed")
    # fp16 leaves out the first steps, until its scale fits.
    assert b[0]["loss"] == pytest.approx(a[0]["loss"], rel=0.05 if amp == "bf16" else 0.2)
    assert b[0]["loss"] != a[0]["loss"]


def test_an_interrupted_run_says_so_and_ctrl_c_is_no_failure(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path
) -> None:
    def stop(step: int, planned: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(*sets, TINY, tmp_path, watchers=Watchers(stepped=stop))
    record = read_record(tmp_path)
    assert (record.status, record.reason) == ("stopped", "interrupted; go on with --resume")


def test_frozen_parts_stay_and_the_mean_follows_the_rest(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path
) -> None:
    settings = changed(epochs=1, start=StartRecipe(freeze_depth=2), ema=0.0)
    finetune(*sets, settings, tmp_path)
    trained = net_of_run(tmp_path).state_dict()
    torch.manual_seed(0)
    loop.seed_all(settings.seed)
    fresh = loop.build(settings.net.shape(("red", "green"))).state_dict()
    frozen = [name for name in fresh if name.startswith(("net.stem.", "net.stage4."))]
    assert frozen
    assert all(torch.equal(fresh[name], trained[name]) for name in frozen)
    assert not torch.equal(fresh["net.heads.0.box.weight"], trained["net.heads.0.box.weight"])


def test_detections_come_back_in_pixels_of_the_whole_picture(sets: tuple[DetectionSet, DetectionSet]) -> None:
    net = loop.build(TINY.net.shape(("red", "green")))
    torch.nn.init.constant_(net.get_parameter("net.heads.0.objectness.bias"), 3.0)
    full = found_on(net, sets[1], 4, 64, loop.ALONE)
    half = found_on(net, sets[1], 4, 32, loop.ALONE)
    assert len(full) == len(half) == 6
    assert max(found.boxes.max() for found in half) > 50
    assert max(found.boxes.max() for found in full) <= 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 13}, "a batch of 13 needs more than 12 pictures; lower --batch"),
        ({"net": NetRecipe(arch="yolo9000")}, "arch 'yolo9000' is not known; use one of"),
        ({"net": NetRecipe(arch="traynet", size=(70, 64))}, "size 70x64"),
        ({"start": StartRecipe(init="nowhere.pt")}, "--init nowhere.pt: no such file"),
        ({"start": StartRecipe(freeze=("net.nothing",))}, "cannot freeze net.nothing"),
        ({"start": StartRecipe(optimiser_state=True)}, "optimiser_state: no checkpoint has none"),
        ({"optimiser": OptimiserRecipe(factors={"net.nothing": 0.1})}, "rate factor of 'net.nothing'"),
    ],
)
def test_settings_that_do_not_fit_fail_the_run(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises((ConfigError, DataError, ModelError), match=message):
        finetune(*sets, changed(**change), tmp_path)
    record = read_record(tmp_path)
    assert record.status == "failed"
    assert record.reason.startswith(message[:20]) or message[:20] in record.reason


def test_a_milestone_that_never_fires_is_told(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = changed(epochs=1, schedule=ScheduleRecipe(kind="multistep", milestones=(7.0,)))
    finetune(*sets, settings, tmp_path)
    assert "milestone at step 21 never fires: the run ends after step 2" in caplog.text


def test_a_run_starts_from_another_with_its_momentum(sets: tuple[DetectionSet, DetectionSet], tmp_path: Path) -> None:
    settings = changed(epochs=1, optimiser=OptimiserRecipe(kind="sgd", rate=0.001))
    finetune(*sets, settings, tmp_path / "first")
    start = StartRecipe(init=str(tmp_path / "first" / "last.pt"), optimiser_state=True)
    record = finetune(*sets, settings.model_copy(update={"start": start}), tmp_path / "second")
    assert record.transfer["missing"] == record.transfer["other_shape"] == 0
    assert record.parent is not None
    assert record.parent.startswith("last.pt")
    plain = StartRecipe(init=str(tmp_path / "first" / "last.pt"))
    finetune(*sets, settings.model_copy(update={"start": plain}), tmp_path / "third")
    one, two = lines_of(tmp_path / "second"), lines_of(tmp_path / "third")
    assert one[0]["loss"] != two[0]["loss"]


def test_the_gate_lets_a_good_run_pass_and_stops_one_with_shifted_labels(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = changed(epochs=1, gate=True)
    good = finetune(*sets, settings, tmp_path / "good")
    assert good.gate is not None
    assert good.gate.passed, good.gate.reasons
    # The gate leaves no trace in the weights.
    finetune(*sets, changed(epochs=1), tmp_path / "without")
    assert (tmp_path / "good" / "best.pt").read_bytes() == (tmp_path / "without" / "best.pt").read_bytes()

    whole = EdgeDetector.losses

    def shifted(self: EdgeDetector, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        return whole(self, images, [Target(t.boxes, 1 - t.classes, t.ignored) for t in targets])

    monkeypatch.setattr(EdgeDetector, "losses", shifted)
    with pytest.raises(ModelError, match=r"cannot learn even one batch by heart: .*--no-gate"):
        finetune(*sets, settings, tmp_path / "bad")
    bad = read_record(tmp_path / "bad")
    assert bad.status == "failed"
    assert bad.gate is not None
    assert not bad.gate.passed
    assert not (tmp_path / "bad" / "metrics.jsonl").exists()
