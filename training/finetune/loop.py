"""A run of transfer learning: read `finetune` from top to bottom.

A run repeats: each batch depends on (seed, step) alone, each forward pass draws its random numbers from (seed, step),
and sums are made in one order. So metrics.jsonl and best.pt of two runs with the same pictures, settings and number of
threads are equal byte by byte, also when one of them was killed and resumed. What depends on the clock goes to
timings.jsonl and run.json.
"""

from __future__ import annotations

import copy
import itertools
import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from dataset.records import DetectionSet
from training.finetune.batches import Batch
from training.finetune.checkpoints import Parts, Progress, RunIdentity, newest_state, put_back, save_state
from training.finetune.detectors import Detector, build, detector_of
from training.finetune.determinism import repeatable, seed_all
from training.finetune.distributed import World, from_leader, loss_module, same_everywhere
from training.finetune.ema import Ema
from training.finetune.freezing import freeze
from training.finetune.journal import Journal, Lap, check_free, fresh_record, resumed_record
from training.finetune.loader import Loader
from training.finetune.logit_adjustment import adjust_logits
from training.finetune.overfit import GateResult, overfit_gate
from training.finetune.progress import NOBODY, Watchers
from training.finetune.rates import make_optimiser, set_rates
from training.finetune.run_record import BestRecord, RunRecord, run_folder
from training.finetune.schedules import make_momentum, make_schedule, never_firing
from training.finetune.settings import CheckpointRecipe, FinetuneSettings
from training.finetune.start import Start, start_net, start_optimiser
from training.finetune.stepping import is_stale, judge, memory_told, take_step, taught_by_mean
from training.finetune.tracking import Board
from training.finetune.tutor import tutor_of
from training.finetune.validation import check_sets, validate

CACHE = Path("var/weights")
#: From so many on the gate can tell whether boxes and pictures belong together.
GATE_PICTURES = 8
NOT_CHECKED = GateResult(False, ("this process did not check",), (), 0.0, (0.0, 0.0))
ALONE = World()

_log = logging.getLogger(__name__)


def finetune(
    train_set: DetectionSet,
    validation_set: DetectionSet,
    settings: FinetuneSettings,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    world: World = ALONE,
    watchers: Watchers = NOBODY,
    source: Mapping[str, str] | None = None,
    cache: Path = CACHE,
) -> RunRecord:
    """Fine-tune a detector; leave metrics.jsonl, run.json, best.pt and what a resume needs in `out`.

    Args:
        train_set: pictures to learn from.
        validation_set: pictures to choose by; same labels.
        settings: the run. With epochs 0 the first weights are validated, and that is all.
        out: folder of the run.
        resume: go on from the newest checkpoint in `out`.
        overwrite: throw away what a run left in `out`.
        world: the processes that share the run.
        watchers: who is told how it goes.
        source: where the pictures were read from, for run.json.
        cache: folder of downloaded weights.

    Raises:
        DataError: the sets cannot be learnt from, or a picture is corrupt.
        ConfigError: settings that do not fit the net, or a checkpoint of another run.
        ModelError: a loss that is not finite (names its pictures), a net that cannot even learn one batch, no memory.
        FolderUnusable: `out` cannot be written.
    """
    identity = RunIdentity(settings, train_set.labels, train_set.sha256, validation_set.sha256, world.size)
    with ExitStack() as stack:
        # The folder is ours, what we go on from is whole: only then is anything changed in it.
        stack.enter_context(repeatable(settings, world))
        stack.enter_context(run_folder(out, world.leads))
        state, path = newest_state(out, identity) if resume else (None, out)
        if world.leads and not resume:
            check_free(out, overwrite)
        record = fresh_record({"train": train_set, "validation": validation_set}, settings, world, source or {})
        journal = Journal(out, resumed_record(record, out) if resume else record, world)
        stack.enter_context(journal.kept())
        stack.enter_context(memory_told(settings))
        for note in check_sets(train_set, validation_set, settings.batch, settings.allow_missing_classes):
            _log.warning("%s", note)

        # What learns, and from what.
        loader = Loader(train_set, settings.loader(world.size), settings.augmentations(), world.rank, world.size)
        per_epoch = math.ceil(loader.steps_per_epoch / settings.accumulate)  # optimiser steps
        planned = settings.steps or settings.epochs * per_epoch
        if state is None:
            parts, start = new_parts(train_set.labels, loader, settings, world, cache, planned)
            progress = Progress()
            journal.note_start(start)
        else:
            parts = parts_of(detector_of(state["shape"]), settings, world, planned)
            progress = put_back(state, parts)
            watchers.said(f"goes on from {path} after step {progress.step}")
        adjust_logits(parts.net, loader.class_counts(), settings.logit_adjustment)
        journal.begin_logs(None if state is None else progress.step)
        if settings.epochs == 0:
            scores = validate(parts.mean_net, validation_set, settings, world)
            journal.add({"epoch": 0, "step": 0, "planned_steps": 0, **scores}, {"epoch": 0, "step": 0})
            journal.note(best=BestRecord(epoch=0, step=0, scores=scores))
            return journal.finish("evaluated only")
        if settings.gate and state is None:
            journal.note_gate(checked(parts.net, loader, settings, world))
        factor_at, momentum_at = schedule_of(settings, per_epoch, planned)
        board = stack.enter_context(Board(out, settings.tensorboard and world.leads, progress.step))

        # The run.
        frozen: tuple[str, ...] | None = None
        batches = loader.batches(progress.step * settings.accumulate, planned * settings.accumulate)
        lap = Lap()
        while progress.step < planned and not is_stale(progress, settings):
            held = settings.start.plan().frozen_at(progress.step // per_epoch, parts.net)
            if held != frozen:
                freeze(parts.net, held)
                frozen, losses_of = held, loss_module(parts.net, world)
            parts.net.train()
            set_rates(parts.optimiser, factor_at(progress.step), momentum_at(progress.step))
            of_step = list(itertools.islice(batches, settings.accumulate))
            of_step, taught = taught_by_mean(of_step, parts, progress.step, world)
            figures = take_step(losses_of, of_step, parts, settings, progress.step, world) | taught
            parts.mean.update(parts.net, progress.step)
            progress.count(figures)
            lap.pictures += sum(len(batch.images) for batch in of_step) * world.size
            watchers.stepped(progress.step, planned, progress.latest_loss)

            # Between epochs: scores, the best weights, a checkpoint.
            epoch, rest = math.ceil(progress.step / per_epoch), progress.step % per_epoch
            last = progress.step == planned
            if last or (rest == 0 and epoch % settings.validate_every == 0):
                lap.trained()
                same_everywhere(parts.mean_net, world)
                scores = validate(parts.mean_net, validation_set, settings, world)
                if judge(progress, scores[settings.chosen_by], epoch, settings):
                    journal.keep_best(parts.mean_net, epoch, progress.step, scores)
                rate = settings.optimiser.rate * factor_at(progress.step - 1)
                line = progress.line(epoch, planned, rate) | scores
                journal.add(line, lap.line(epoch, progress.step, world))
                board.add(line)
                watchers.validated(line)
                progress.sums, progress.summed, lap = {}, 0, Lap()
            if world.leads and is_due(progress.step, per_epoch, last, settings.checkpoints):
                save_state(out, parts, progress, identity, epoch if rest == 0 else None)
        early = progress.step < planned
        return journal.finish(f"no gain in {progress.stale} validations" if early else "all steps done")


def new_parts(
    labels: tuple[str, ...], loader: Loader, settings: FinetuneSettings, world: World, cache: Path, planned: int
) -> tuple[Parts, Start | None]:
    """Return what a new run changes, with its first weights; they depend on the seed and the recipe alone."""
    seed_all(settings.seed)
    net = build(settings.net.shape(labels))
    start = start_net(net, settings.start, cache, lambda: loader.batch(0).images)
    parts = parts_of(net, settings, world, planned)
    start_optimiser(net, parts.optimiser, settings.start)
    return parts, start


def checked(net: Detector, loader: Loader, settings: FinetuneSettings, world: World) -> GateResult:
    """Return what the overfit gate says of copies of the net, frozen as it will be, and of the run's first pictures."""
    plan, rule = settings.start.plan(), settings.optimiser.rule()

    def copied() -> Detector:
        twin = copy.deepcopy(net).cpu()
        freeze(twin, plan.frozen_at(0, twin))
        return twin

    if not world.leads:
        return from_leader(NOT_CHECKED, world)
    batch = joined_batches([loader.batch(step) for step in range(math.ceil(GATE_PICTURES / loader.settings.batch))])
    return from_leader(overfit_gate(copied, batch, make_optimiser=lambda twin: make_optimiser(twin, rule)), world)


def joined_batches(batches: Sequence[Batch]) -> Batch:
    """Return the pictures of several batches as one."""
    images = [image for batch in batches for image in batch.images]
    targets = [target for batch in batches for target in batch.targets]
    return Batch(images, targets, [where for batch in batches for where in batch.where])


def parts_of(net: Detector, settings: FinetuneSettings, world: World, planned: int) -> Parts:
    """Return what a run of so many optimiser steps changes, around a net."""
    net.to(world.device)
    optimiser = make_optimiser(net, settings.optimiser.rule())
    scaler = torch.amp.GradScaler(world.device.type, enabled=settings.amp == "fp16")
    return Parts(net, Ema(net, settings.ema), optimiser, scaler, tutor_of(settings, net, planned, world))


def is_due(step: int, per_epoch: int, last: bool, recipe: CheckpointRecipe) -> bool:
    """Tell whether the state is to be written after so many steps."""
    in_between = recipe.every_steps > 0 and step % recipe.every_steps == 0
    return last or in_between or step % (per_epoch * recipe.every_epochs) == 0


def schedule_of(
    settings: FinetuneSettings, per_epoch: int, planned: int
) -> tuple[Callable[[int], float], Callable[[int], float | None]]:
    """Return the factor of the rate and the momentum as functions of the step; warn of changes that never come."""
    schedule = settings.schedule.in_steps(per_epoch)
    for text in never_firing(schedule, planned):
        _log.warning("schedule: %s", text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # just said
        return make_schedule(schedule, planned), make_momentum(schedule, planned)
