"""Two processes that torchrun starts train as one: equal weights in both, near those of a single process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from app.cli import main
from dataset.reading import read_set
from tests.painted_sets import TINY, paint
from training.finetune.checkpoints import read_pt
from training.finetune.detectors import Detector, build
from training.finetune.determinism import seed_all
from training.finetune.distributed import World, loss_module
from training.finetune.loader import Loader
from training.finetune.loop import parts_of
from training.finetune.run_record import read_record
from training.finetune.stepping import take_step
from training.finetune_command import ended_by_sigterm

ROOT = Path(__file__).resolve().parents[2]
#: The command line as torchrun starts it; once joined, both processes first take one step and show their weights.
SCRIPT = """
import hashlib, json, sys
from contextlib import contextmanager
from pathlib import Path
import torch
from app.cli import main
from tests.integration.test_finetune_processes import step_of
from training.finetune import distributed
from training.finetune.distributed import faults_of, from_leader, gathered

out, train = Path(sys.argv[1]), Path(sys.argv[2])
whole = distributed.joined

@contextmanager
def checked(device, timeout_s):
    with whole(device, timeout_s) as world:
        net, where = step_of(train, world)
        digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in net.parameters())).hexdigest()
        told = {
            "digests": gathered([digest], world.size, world),
            "where": sorted(sum(gathered([where], world.size, world), [])),
            "leader": from_leader(world.rank + 10, world),
            "faults": [faults_of("", world), faults_of("bad" if world.rank == 1 else "", world)],
            "order": gathered(list(range(5))[world.rank :: world.size], 5, world),
        }
        if world.leads:
            torch.save(net.state_dict(), out / "step.pt")
            (out / "told.json").write_text(json.dumps(told))
        yield world

distributed.joined = checked
sys.exit(main(sys.argv[3:]))
"""


def step_of(train: Path, world: World) -> tuple[Detector, list[str]]:
    """Return a tiny net after one step on this process's part of the first batch, and the pictures of that part."""
    torch.set_num_threads(1)
    pictures = read_set(train)
    seed_all(1)
    net = build(TINY.net.shape(pictures.labels)).eval()  # in inference mode batch norm knows nothing of the batch
    batch = Loader(pictures, TINY.loader(world.size), None, world.rank, world.size).batch(0)
    take_step(loss_module(net, world), [batch], parts_of(net, TINY, world, 1), TINY, 0, world)
    return net, batch.where


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    train, validation = paint(tmp_path / "train", 12, 1), paint(tmp_path / "validation", 5, 2)
    (tmp_path / "tiny.yaml").write_text(
        "net: {widths: [8, 8, 16, 16, 16], depths: [0, 0, 0, 0], neck: 16}\nema: 0.9\nepochs: 2\n"
    )
    flags = ["--size", "64x64", "--batch", "4", "--rate", "0.001", "--augment", "none", "--threads", "1"]
    line = ["--data", str(train), "--validation", str(validation), "--recipe", str(tmp_path / "tiny.yaml"), *flags]
    line += ["--device", "cpu", "--no-gate"]
    (tmp_path / "both.py").write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [str(tmp_path / "both.py"), str(tmp_path), str(train)]
    done = subprocess.run(
        [*torchrun, *script, "train", "--out", str(tmp_path / "two"), *line],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "told.json").read_text())
    assert len(told["digests"]) == 2
    assert told["digests"][0] == told["digests"][1]
    assert len(set(told["where"])) == 4
    assert told["leader"] == 10
    assert told["faults"] == [[], ["bad"]]
    assert told["order"] == [0, 1, 2, 3, 4]

    # One process with the whole batch takes nearly the same step: losses are means over each half's own objects.
    seed_all(1)
    before = build(TINY.net.shape(("red", "green"))).state_dict()
    net, where = step_of(train, World())
    assert sorted(where) == told["where"]
    both = torch.load(tmp_path / "step.pt", weights_only=True)
    moved = torch.cat([(net.state_dict()[n] - before[n]).flatten() for n, _ in net.named_parameters()])
    moved_by_both = torch.cat([(both[n] - before[n]).flatten() for n, _ in net.named_parameters()])
    assert torch.nn.functional.cosine_similarity(moved, moved_by_both, dim=0) > 0.8

    # The whole run: rank 0 alone wrote, each line once, and the scores are near those of one process.
    assert main(["train", "--out", str(tmp_path / "one"), *line]) == 0
    two = [json.loads(text) for text in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    one = [json.loads(text) for text in (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in two] == [entry["step"] for entry in one] == [3, 6]
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], rel=0.2)
    record = read_record(tmp_path / "two")
    assert (record.status, record.world) == ("finished", 2)
    assert read_pt(tmp_path / "two" / "last.pt")["progress"]["step"] == 6
    # A run of two is not gone on with by one.
    assert main(["train", "--out", str(tmp_path / "two"), "--resume"]) == 2


def test_sigterm_ends_a_run_as_stopped(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
