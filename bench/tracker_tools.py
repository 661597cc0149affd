"""The yardsticks that lie beside the checkout (`../shared/tools/mot`), and what all sections of the bench share."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.results_file import ROOT

TOOLS = Path(os.environ.get("TRAYLANE_TOOLS") or ROOT.parent / "shared" / "tools") / "mot"

Rows = NDArray[np.float64]
Step = Callable[[Rows], Rows]
Maker = Callable[[Mapping[str, Any]], Step]
Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        seeds: worlds of each stress case.
        first_seed: of both, to look at worlds that nothing was tuned on.
        flow_seeds: worlds of each stress case that are rendered.
        repeats: runs of each speed scene; each frame counts with its best.
        frames: length of the memory run.
        peers: whether the stress set is run for the peers too.
        cases: names of stress cases; empty for all.
        sets: MOTChallenge sets.
        sequences: names of their sequences; empty for all.
        full_frames: render at the size of the stress world instead of half of it.
    """

    seeds: int = 3
    first_seed: int = 0
    flow_seeds: int = 1
    repeats: int = 7
    frames: int = 1_000_000
    peers: bool = False
    cases: tuple[str, ...] = ()
    sets: tuple[str, ...] = ("MOT17-val", "MOT17-train", "MOT15-train")
    sequences: tuple[str, ...] = ()
    full_frames: bool = False

    @property
    def stress_seeds(self) -> range:
        """The seeds of each stress case."""
        return range(self.first_seed, self.first_seed + self.seeds)


@dataclass(frozen=True, slots=True)
class Tools:
    """The modules of the yardsticks: `bench.py`, `peers.py` and `stress.py`."""

    bench: ModuleType
    peers: ModuleType
    stress: ModuleType


@functools.cache
def load_tools(folder: Path = TOOLS) -> Tools | None:
    """Import the yardsticks, or return None where they are not.

    Their module `bench` has the name of this package, so ours steps aside for a moment.
    """
    if not all((folder / f"{name}.py").exists() for name in ("bench", "peers", "stress")):
        return None
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "bench"}
    path = sys.path[:]
    sys.path.insert(0, str(folder))
    try:
        stress = importlib.import_module("stress")
        return Tools(bench=stress.bench, peers=importlib.import_module("peers"), stress=stress)
    finally:
        sys.path[:] = path
        sys.modules.pop("bench", None)
        sys.modules.update(ours)


def slug(name: str) -> str:
    """Return `name` as part of a row's name: "trackers BoT-SORT noCMC" becomes "bot_sort_nocmc"."""
    kept = "".join(letter if letter.isalnum() else " " for letter in name.removeprefix("trackers ").lower())
    return "_".join(kept.split())


@functools.cache
def stress_world(tools: Tools, case: str, seed: int) -> Any:
    """Return one world of the stress set, with hands; making one takes most of a second, so they are kept."""
    return tools.stress.make(case, seed)


def without_hands(tools: Tools, detections: list[Rows]) -> list[Rows]:
    """Return the detections of each frame as a detector that knows no hands gives them."""
    return [rows[rows[:, 5] != tools.stress.HAND] for rows in detections]


def thinned(detections: list[Rows], misses: float, seed: int) -> list[Rows]:
    """Return what a weaker detector gives: it misses this share of the detections, the same ones in each run."""
    if not misses:
        return detections
    rng = np.random.default_rng(seed)
    return [rows[rng.random(len(rows)) >= misses] for rows in detections]


def stress_cases(tools: Tools, options: Options) -> list[str]:
    """Return the names of the cases that are asked for."""
    return list(options.cases or tools.stress.CASES)


def load_sequences(tools: Tools, name: str, options: Options) -> list[Any]:
    """Return the sequences of a MOTChallenge set that are asked for."""
    found = [s for s in tools.bench.list_seqs(name) if not options.sequences or s in options.sequences]
    return [tools.bench.load_seq(name, s) for s in found]


def boxes_only(maker: Maker) -> Maker:
    """Return `maker` without the camera motion that a sequence may carry."""
    return lambda seq: maker({**seq, "gmc": None})
