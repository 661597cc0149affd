"""A taught menu: 24 dishes taught from one render each, then lanes of the synthetic counter.

    python -m bench.taught_menu [--lanes 6] [--trays 20] [--final] [--workers 2] [--embedder CARD] [--dry]

Two ways. *Class heads off* (`models.detector.items_only`): the detector tells that something lies there, the gallery
alone what it is; the menu has the 24 dishes, and the catalogue's other 12 are unknown. *Class heads on*: the shipped
menu of 36 dishes, 24 of them taught as well. The photos are renders of a dish alone on a counter, taken through
`traylane teach`'s own way: found by the detector, judged, turned, embedded.

The shipped embedder learnt from renders of all 36 dishes, on other lanes: with it this bench says what teaching and
recognition are worth, not how an embedder does on dishes that it never saw. `--embedder` takes another card: one that
learnt only the 12 dishes that are not taught here (`TAUGHT`) gives that figure.

Objects are judged one by one: a track belongs to the true object that it overlaps most often. Development is done on
seeds from 861000 on; `--final` takes those from 901000 on, which nothing was chosen by. Intervals of shares are
Wilson's, those of AUROC and calibration error bootstrapped over lanes. Writes bench/results/taught_menu.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.lane_accuracy import FPS, SIZE, LaneSource, code_key, configuration
from bench.results_file import ROOT, row, write_results
from bench.workers import worker_pool
from checkout.build import build_detector, build_live_menu, build_menu, build_pipeline, build_teacher
from checkout.config import LoadedConfig
from checkout.live_menu import Knowledge
from checkout.menu import Menu
from checkout.pipeline import LaneUpdate
from checkout.teaching import TeachRequest
from core.boxes import iou
from core.clock import SystemClock
from core.files import sha256_of, write_atomic
from core.records import HAND, DecisionKind
from models.bare_onnx import find_model
from models.settings import EmbedderSettings
from replay.metrics import calibration
from replay.observe import updates
from replay.recording import Recording
from replay.uncertainty import wilson
from streams.synthetic.camera import Camera
from streams.synthetic.catalogue import DISH_NAMES, kind_named
from streams.synthetic.counter import paint_counter
from streams.synthetic.lane import SyntheticLane
from streams.synthetic.paint import Canvas
from streams.synthetic.presets import preset_named
from streams.synthetic.sprites import bake, lay
from streams.synthetic.truth import FrameTruth

#: Two of three; see the module.
TAUGHT = tuple(name for at, name in enumerate(DISH_NAMES) if at % 3 != 2)
DEVELOPMENT_SEED, FINAL_SEED = 861_000, 901_000
FOLDER = ROOT / "var" / "bench" / "taught_menu"
CARD = "traynet@2"
#: Marks of the task: agreement and AUROC with class heads off; agreement, error of calibration, share asked with them.
AGREEMENT_OFF, AUROC_OFF, AGREEMENT_ON, ECE_ON, ASKED = 0.95, 0.95, 0.982, 0.05, 0.05
_PHOTO = (640, 360, 10.0)


@dataclasses.dataclass(frozen=True)
class Task:
    """One lane: its seed, how many trays, whether the detector names classes, and another embedder than the shipped."""

    seed: int
    trays: int
    heads: bool
    embedder: str = ""


@dataclasses.dataclass
class Seen:
    """What became of one true object of the zone.

    Attributes:
        dish: what it is.
        taught: whether the gallery has it.
        known: whether it is on the menu.
        unknown: probability of being none of the menu's dishes when it was last seen well; None if it never was.
        guess, sure: the likeliest label and its probability at that time.
        lines: dishes of its lines on closed bills.
        asked: whether the lane asked about it.
    """

    dish: str
    taught: bool
    known: bool
    unknown: float | None = None
    guess: str = ""
    sure: float = 0.0
    lines: list[str] = dataclasses.field(default_factory=list)
    asked: bool = False


def teaching_photo(dish: str, seed: int = 0) -> bytes:
    """Return a JPEG of a dish alone on a counter, nearer than the lane's camera is."""
    width, height, px_cm = _PHOTO
    rng = np.random.default_rng([33, DISH_NAMES.index(dish), seed])
    picture = paint_counter(rng, width, height, px_cm)
    kind = kind_named(dish)
    canvas = Canvas(kind.width_cm + 3, kind.height_cm + 3, 1.6 * px_cm, rng)
    angle = float(rng.normal(0.0, 0.15))
    canvas.light_from(angle)
    kind.paint(canvas)
    lay(picture, bake(canvas, px_cm, angle, kind.tall_cm), width / 2, height * 0.42)
    image = Camera(preset_named("easy"), width, height, rng).shoot(picture, 0.0, (0.0, 0.0), None)
    done, packed = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise ValueError(f"the JPEG encoder refused the photo of {dish}")
    return packed.tobytes()


def bench_configuration(heads: bool, store: Path, embedder: str = "") -> LoadedConfig:
    """Return the shipped configuration with the counter's zone, `CARD`, and a menu store of the bench."""
    config = configuration("tray")
    site = config.site
    detector = site.models.detector.model_copy(update={"card": CARD, "items_only": not heads})
    models = site.models.model_copy(update={"detector": detector})
    if embedder:
        models = models.model_copy(update={"embedder": EmbedderSettings(card=embedder)})
    menu = site.menu.model_copy(update={"store": store})
    return dataclasses.replace(config, site=site.model_copy(update={"models": models, "menu": menu}))


def teach_all(store: Path, embedder: str = "") -> dict[str, Any]:
    """Teach the 24 dishes; return what it took and what was said."""
    config, clock = bench_configuration(True, store, embedder), SystemClock()
    teacher = build_teacher(config, clock)
    seconds, warnings = [], []
    try:
        for dish in TAUGHT:
            began_s = time.monotonic()
            price = build_menu(config)[dish].price
            request = TeachRequest(dish, price, replace=True, force_lookalike=True, who="bench")
            outcome = teacher.teach([teaching_photo(dish)], request)
            seconds.append(time.monotonic() - began_s)
            warnings += outcome.warnings
    finally:
        teacher.close()
    return {"seconds": seconds, "warnings": warnings}


def knowledge_of(config: LoadedConfig, heads: bool) -> Knowledge:
    """Return what a lane knows; with class heads off the menu is what was taught, and nothing else."""
    base = build_menu(config) if heads else Menu("EUR", {})
    return build_live_menu(config, SystemClock(), base).load()


class Observer:
    """Puts tracks beside the truth, frame by frame."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self.objects: dict[int, Seen] = {}
        self._votes: dict[int, Counter[int]] = {}
        self._asked: set[int] = set()
        self._lines: list[tuple[int, str]] = []
        self._judged: dict[tuple[int, int], tuple[float, str, float]] = {}
        self.recognise_s: list[float] = []

    def add(self, update: LaneUpdate, truth: FrameTruth | None) -> None:
        """Take in one update and the truth of its frame."""
        if "recognise" in update.stage_s:
            self.recognise_s.append(update.stage_s["recognise"])
        for event in update.events:
            if event.decision.kind is DecisionKind.ASK and event.decision.track_id is not None:
                self._asked.add(event.decision.track_id)
        for bill in update.closed:
            self._lines += [(line.track_id, line.dish) for line in bill.lines]
        if truth is None:
            return
        tracks = [track for track in update.tracks.tracks if track.matched]
        rows = [i for i, label in enumerate(truth.labels) if label != HAND and truth.in_zone[i]]
        for i in rows:
            dish = truth.labels[i]
            self.objects.setdefault(int(truth.object_ids[i]), Seen(dish, dish in TAUGHT, dish in self._known))
        if not tracks or not rows:
            return
        overlap = iou(np.array([track.box for track in tracks], np.float64), truth.boxes[rows].astype(np.float64))
        for at, track in enumerate(tracks):
            best = int(overlap[at].argmax())
            if overlap[at, best] < 0.5:
                continue
            object_id = int(truth.object_ids[rows[best]])
            self._votes.setdefault(track.track_id, Counter())[object_id] += 1
            if truth.visible[rows[best]] >= 0.7:
                total = min(sum(p for _, p in track.posterior if not _.startswith("@")), 1.0)
                self._judged[track.track_id, object_id] = (1.0 - total, track.label, track.confidence)

    def finish(self) -> tuple[list[Seen], int]:
        """Return the objects, and how many questions were about none of them."""
        owner = {track_id: votes.most_common(1)[0][0] for track_id, votes in self._votes.items()}
        for (track_id, object_id), (unknown, guess, sure) in self._judged.items():
            if owner.get(track_id) == object_id:
                seen = self.objects[object_id]
                seen.unknown, seen.guess, seen.sure = unknown, guess, sure
        for track_id, dish in self._lines:
            if track_id in owner:
                self.objects[owner[track_id]].lines.append(dish)
        stray = 0
        for track_id in self._asked:
            if track_id in owner:
                self.objects[owner[track_id]].asked = True
            else:
                stray += 1
        return list(self.objects.values()), stray


def run_task(task: Task, store: str) -> dict[str, Any]:
    """Run one lane and return its objects as plain values."""
    cv2.setNumThreads(1)
    began_s = time.monotonic()
    config, clock = bench_configuration(task.heads, Path(store), task.embedder), SystemClock()
    knowledge = knowledge_of(config, task.heads)
    lane_id, _ = config.lane()
    source: Any = LaneSource(SyntheticLane(task.seed, "medium", *SIZE, FPS, trays=task.trays), lane_id)
    detector = build_detector(config)
    pipeline = build_pipeline(config, lane_id, f"taught-{task.seed}", clock, detector, knowledge=knowledge)
    observer, recording, frames = Observer(knowledge.menu.dishes), Recording(lane_id), 0
    for update in updates(source, pipeline, recording, clock):
        truth = source.truths[-1] if update.frame is not None else None
        observer.add(update, truth)
        frames += update.frame is not None
        if len(source.truths) > 1:
            del source.truths[:-1]
    objects, stray = observer.finish()
    detector.close()
    return {
        "task": dataclasses.asdict(task),
        "objects": [dataclasses.asdict(seen) for seen in objects],
        "stray_questions": stray,
        "frames": frames,
        "seconds": round(time.monotonic() - began_s, 1),
        "recognise_s": observer.recognise_s,
    }


# --- figures ---------------------------------------------------------------------------------------------------------


def auroc(unknown: Sequence[float], is_unknown: Sequence[bool]) -> float | None:
    """Return the probability that an unknown object is thought unknown more than a known one; ties count half.

    >>> auroc([0.9, 0.2, 0.2], [True, False, True])
    0.75
    """
    values, truth = np.array(unknown), np.array(is_unknown, bool)
    if not truth.any() or truth.all():
        return None
    higher = values[truth][:, None] - values[~truth][None]
    return float((higher > 0).mean() + 0.5 * (higher == 0).mean())


def bootstrap(lanes: Sequence[Sequence[Seen]], figure: Callable[[list[Seen]], float | None], draws: int = 400) -> Any:
    """Return the 95 % interval of a figure, lanes drawn with replacement; None where it has no value."""
    rng = np.random.default_rng(5)
    values = []
    for _ in range(draws):
        chosen = rng.integers(0, len(lanes), len(lanes))
        value = figure([seen for at in chosen.tolist() for seen in lanes[at]])
        if value is not None:
            values.append(value)
    return (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))) if values else None


def objects_auroc(objects: list[Seen]) -> float | None:
    """Return the unknown-dish AUROC over objects that were seen well at least once."""
    judged = [seen for seen in objects if seen.unknown is not None]
    return auroc([float(seen.unknown or 0.0) for seen in judged], [not seen.known for seen in judged])


def objects_ece(objects: list[Seen]) -> float | None:
    """Return the expected calibration error of the likeliest label, over known objects that were seen well."""
    judged = [seen for seen in objects if seen.unknown is not None and seen.known]
    found = calibration([seen.sure for seen in judged], [seen.guess == seen.dish for seen in judged])
    return None if found is None else found.ece


def risk_at(objects: list[Seen], coverage: float) -> float | None:
    """Return the share of wrong labels among the known objects that the lane is surest of."""
    judged = sorted((s for s in objects if s.unknown is not None and s.known), key=lambda seen: -seen.sure)
    chosen = judged[: math.ceil(coverage * len(judged))]
    return sum(seen.guess != seen.dish for seen in chosen) / len(chosen) if chosen else None


def figures(results: Sequence[Mapping[str, Any]], heads: bool) -> list[dict[str, Any]]:
    """Return the rows of one way."""
    lanes = [[Seen(**plain) for plain in result["objects"]] for result in results]
    objects = [seen for lane in lanes for seen in lane]
    name = "heads_on" if heads else "heads_off"
    known = [seen for seen in objects if seen.known]
    lines = [(seen, dish) for seen in objects for dish in seen.lines]
    on_known = [(seen, dish) for seen, dish in lines if seen.known]
    rows = [row(f"{name}_lanes", len(lanes), "lanes"), row(f"{name}_objects", len(objects), "objects")]
    rows.append(row(f"{name}_objects_unknown", len(objects) - len(known), "objects"))
    mark = AGREEMENT_ON if heads else AGREEMENT_OFF
    rows += _share(f"{name}_agreement", sum(s.dish == dish for s, dish in on_known), len(on_known), mark)
    rows += _share(f"{name}_agreement_with_lines_of_unknown", sum(s.dish == dish for s, dish in lines), len(lines))
    rows += _share(f"{name}_known_with_right_line", sum(s.dish in s.lines for s in known), len(known))
    rows += _share(f"{name}_known_asked", sum(s.asked for s in known), len(known), ASKED, "lower")
    if not heads:
        unknown = [seen for seen in objects if not seen.known]
        rows += _share(f"{name}_unknown_asked", sum(s.asked for s in unknown), len(unknown))
        rows += _share(f"{name}_unknown_billed_as_known", sum(bool(s.lines) for s in unknown), len(unknown))
        rows += _interval(f"{name}_unknown_auroc", objects_auroc(objects), bootstrap(lanes, objects_auroc), AUROC_OFF)
    ece = objects_ece(objects)
    rows += _interval(f"{name}_ece", ece, bootstrap(lanes, objects_ece), ECE_ON if heads else None, "lower")
    for coverage in (0.8, 0.9, 0.95, 1.0):
        rows.append(row(f"{name}_risk_at_{coverage:.0%}".replace("%", ""), risk_at(objects, coverage), "share"))
    rows.append(row(f"{name}_questions_about_things", sum(r["stray_questions"] for r in results), "questions"))
    spent = np.array([s for result in results for s in result["recognise_s"]])
    if len(spent):
        rows.append(row(f"{name}_recognise_mean", 1000 * float(spent.mean()), "ms/frame"))
        rows.append(row(f"{name}_recognise_p95", 1000 * float(np.quantile(spent, 0.95)), "ms/frame"))
    return rows


def _share(
    name: str, hits: int, trials: int, reference: float | None = None, better: str = "higher"
) -> list[dict[str, Any]]:
    return _interval(name, hits / trials if trials else None, wilson(hits, trials), reference, better)


def _interval(
    name: str,
    value: float | None,
    interval: tuple[float, float] | None,
    reference: float | None = None,
    better: str = "higher",
) -> list[dict[str, Any]]:
    low, high = interval or (None, None)
    return [
        row(name, value, "share", reference, better),
        row(f"{name}_ci95_low", low, "share"),
        row(f"{name}_ci95_high", high, "share"),
    ]


def large_gallery(dishes: int = 10_000, dimensions: int = 256) -> list[dict[str, Any]]:
    """Measure a look-up in a gallery of 10 000 dishes of one photo each."""
    from models.dish_photo import TURNS
    from models.gallery import calibrate, make_gallery

    rng = np.random.default_rng(3)
    centres = rng.standard_normal((dishes, dimensions)).astype(np.float32)
    views = centres[:, None] + 0.4 * rng.standard_normal((dishes, TURNS, dimensions)).astype(np.float32)
    views /= np.linalg.norm(views, axis=2, keepdims=True)
    began_s = time.monotonic()
    gallery = make_gallery("random@1", [(f"dish {k:05d}", views[k]) for k in range(dishes)])
    made_s = time.monotonic() - began_s
    began_s = time.monotonic()
    calibrate(gallery)
    calibrated_s = time.monotonic() - began_s
    spent = []
    for _ in range(15):
        began_s = time.monotonic()
        gallery.log_posterior(gallery.match(views[rng.integers(0, dishes, 4), 0]))
        spent.append(time.monotonic() - began_s)
    return [
        row("dishes_10000_make", made_s, "s"),
        row("dishes_10000_calibrate", calibrated_s, "s"),
        row("dishes_10000_look_up_of_4_crops_median", 1000 * float(np.median(spent)), "ms"),
    ]


def key(embedder: str) -> str:
    """Return a hash of all that a result depends on: the product's code, both models, and this file."""
    content = hashlib.sha256(code_key(with_model=False).encode() + Path(__file__).read_bytes())
    config = configuration("tray")
    for card in (CARD, embedder or EmbedderSettings().card):
        content.update(sha256_of(Path(find_model(card, config.folder).file)).encode())
    return content.hexdigest()[:12]


def run_all(tasks: Sequence[Task], store: Path, workers: int, name: str) -> dict[Task, dict[str, Any]]:
    """Run the tasks that have no kept result; a run that was cut goes on where it was."""
    places = {task: FOLDER / f"{name}-{task.seed}-{task.trays}-{task.heads:d}.json" for task in tasks}
    missing = [task for task in tasks if not places[task].exists()]
    print(f"{len(tasks) - len(missing)} of {len(tasks)} lanes are kept from before ({name})", flush=True)
    with worker_pool(workers) as pool:
        running = {pool.submit(run_task, task, str(store)): task for task in missing}
        for done, future in enumerate(as_completed(running), start=1):
            result, task = future.result(), running[future]
            write_atomic(places[task], json.dumps(result))
            rate = result["frames"] / result["seconds"]
            print(f"{done}/{len(missing)} {task}: {result['frames']} frames at {rate:.0f}/s", flush=True)
    return {task: json.loads(place.read_text()) for task, place in places.items()}


def _reached(line: Mapping[str, Any]) -> bool:
    """Return whether a row reaches its mark; nothing at all, where less is better, has no ratio and does."""
    return bool(line["value"] == 0 if line["ratio"] is None else line["ratio"] >= 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return 1 if a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=6, help="of each way")
    parser.add_argument("--trays", type=int, default=20, help="of each lane")
    parser.add_argument("--final", action="store_true", help="take the seeds that nothing was chosen by")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--embedder", default="", help="another card of task embed, name or path")
    parser.add_argument("--dry", action="store_true", help="print only, leave bench/results as it is")
    args = parser.parse_args(arguments)
    store = FOLDER / f"menu-{os.getpid()}"
    taught = teach_all(store, args.embedder)
    print(f"{len(TAUGHT)} dishes taught, {np.median(taught['seconds']):.2f} s each (median)", flush=True)
    for warning in taught["warnings"]:
        print(f"  {warning}", flush=True)
    first = FINAL_SEED if args.final else DEVELOPMENT_SEED
    tasks = [
        Task(first + 10 * heads + i, args.trays, bool(heads), args.embedder)
        for heads in (0, 1)
        for i in range(args.lanes)
    ]
    results = run_all(tasks, store, args.workers, key(args.embedder))
    shutil.rmtree(store)
    rows = [
        row("dishes_taught", len(TAUGHT), "dishes"),
        row("teach_median", float(np.median(taught["seconds"])), "s", 5.0, "lower"),
    ]
    for heads in (False, True):
        rows += figures([results[task] for task in tasks if task.heads is heads], heads)
    rows += large_gallery()
    if args.dry:
        for line in rows:
            print(f"{line['name']:<46} {line['value']!s:>10} {line['unit']}")
    else:
        write_results("taught_menu" + ("_other_embedder" if args.embedder else ""), rows)
    missed = [line["name"] for line in rows if line["reference"] is not None and not _reached(line)]
    print("missed: " + ", ".join(missed) if missed else "all marks are reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
