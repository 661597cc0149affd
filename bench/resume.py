"""`python -m bench.resume`: a fine-tuning killed with SIGKILL at 10 random moments ends as one that was left alone.

The command line runs as a process of its own on pictures of the synthetic lane. It is killed, resumed, killed again;
at the end metrics.jsonl, best.pt and the weights in last.pt must be equal, byte by byte, to those of a calm run.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from bench.results_file import ROOT, row, write_results
from streams.synthetic.lane import SyntheticLane
from training.finetune.checkpoints import read_log, read_pt
from training.finetune.run_record import RECORD

_PATIENCE_S = 900.0


@dataclass(frozen=True)
class Setup:
    """What both runs have in common.

    Attributes:
        pictures: folder with the sets `train` and `validation`.
        steps: of a whole run.
        arch: the detector.
    """

    pictures: Path
    steps: int
    arch: str = "traynet"

    def command(self, out: Path, resume: bool) -> list[str]:
        """Return the command line of a run in `out`."""
        line = [sys.executable, "-m", "app", "train", "--out", str(out)]
        if resume:
            return [*line, "--resume"]
        sets = ["--data", str(self.pictures / "train"), "--validation", str(self.pictures / "validation")]
        shape = ["--arch", self.arch, "--size", "128x96", "--batch", "4", "--augment", "counter", "--threads", "1"]
        saves = ["--checkpoint-every-steps", "3", "--device", "cpu", "--no-gate"]
        return [*line, *sets, *shape, *saves, "--steps", str(self.steps)]


def film(folder: Path, seed: int, count: int, every: int = 12) -> Path:
    """Write frames of the synthetic lane and what lies in them as a YOLO set of one class; return its folder."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    (folder / "data.yaml").write_text("names: [item]\n", encoding="utf-8")
    lane = SyntheticLane(seed, "easy", width=256, height=144)
    written = 0
    for image, truth in lane:
        seen = [box for box, label in zip(truth.boxes, truth.labels, strict=True) if not label.startswith("@")]
        if truth.index % every or not seen:
            continue
        lines = [
            f"0 {(x1 + x2) / 512:.6f} {(y1 + y2) / 288:.6f} {(x2 - x1) / 256:.6f} {(y2 - y1) / 144:.6f}"
            for x1, y1, x2, y2 in seen
        ]
        cv2.imwrite(str(folder / "images" / f"{written:03d}.png"), image[:, :, ::-1])
        (folder / "labels" / f"{written:03d}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        written += 1
        if written == count:
            break
    return folder


def finish(setup: Setup, out: Path, resume: bool) -> float:
    """Let a run go to its end; return its seconds. Raises RuntimeError when it fails."""
    before_s = time.monotonic()
    done = subprocess.run(
        setup.command(out, resume), cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the run ended with code {done.returncode}: {done.stderr[-2000:]}")
    return time.monotonic() - before_s


def kill_again_and_again(setup: Setup, out: Path, kills: int, longest_s: float, seed: int) -> int:
    """Start a run, kill it `kills` times up to `longest_s` after it began to train, let it finish; return the kills."""
    chance = random.Random(seed)
    killed, tries = 0, 0
    while killed < kills and tries < 3 * kills:
        tries += 1
        known = (out / RECORD).read_bytes() if (out / RECORD).exists() else b""
        child = subprocess.Popen(
            setup.command(out, resume=(out / "last.pt").exists()),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # The record is written anew when the run begins: imports are behind it, training is ahead.
        while child.poll() is None and (not (out / RECORD).exists() or (out / RECORD).read_bytes() == known):
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, longest_s))
        if child.poll() is None:
            child.kill()
            killed += 1
        child.wait()
    finish(setup, out, resume=True)
    return killed


def digests(out: Path) -> dict[str, str]:
    """Return the SHA-256 of what must not depend on kills."""
    weights = hashlib.sha256()
    for part in ("net", "mean_net"):
        for name, tensor in read_pt(out / "last.pt")[part].items():
            weights.update(name.encode() + tensor.numpy().tobytes())
    files = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in ("metrics.jsonl", "best.pt")}
    return {**files, "weights": weights.hexdigest()}


def main() -> int:
    """Run the bench; exit code 1 when anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--arch", default="traynet")
    parser.add_argument("--seed", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film(folder / "train", 100_000, 32)
        film(folder / "validation", 200_000, 8)
        setup = Setup(folder, args.steps, args.arch)
        calm_s = finish(setup, folder / "calm", resume=False)
        finish(setup, folder / "again", resume=False)
        trained_s = sum(line["train_s"] + line["validate_s"] for line in read_log(folder / "calm" / "timings.jsonl"))
        killed = kill_again_and_again(setup, folder / "killed", args.kills, 1.5 * trained_s / args.kills, args.seed)
        wanted, again, got = (digests(folder / run) for run in ("calm", "again", "killed"))
        lines = read_log(folder / "calm" / "metrics.jsonl")
    rows: list[dict[str, Any]] = [
        row("steps", args.steps, "steps"),
        row("calm_run", calm_s, "s"),
        row("loss_fell_to", lines[-1]["loss"] / lines[0]["loss"], "share"),
        row("kills", killed, "kills", reference=args.kills),
    ]
    for key, digest in wanted.items():
        label = key.replace(".", "_")
        rows.append(row(f"repeat_{label}_differ", int(again[key] != digest), "files", reference=0, better="lower"))
        rows.append(row(f"killed_{label}_differ", int(got[key] != digest), "files", reference=0, better="lower"))
    write_results("resume", rows)
    return int(killed < args.kills or got != wanted or again != wanted)


if __name__ == "__main__":
    sys.exit(main())
