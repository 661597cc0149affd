"""Everything that a run of transfer learning depends on, beside its pictures: one recipe, as YAML or as flags.

These models are the file that people write; each makes the plain settings of the module that does the work.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.errors import ConfigError
from core.settings import Settings
from training.finetune.augmentations import AugmentSettings, Strength
from training.finetune.detectors import DetectorShape
from training.finetune.freezing import FreezePlan
from training.finetune.loader import LoaderSettings
from training.finetune.rates import OptimiserSettings
from training.finetune.schedules import ScheduleSettings

Share = Annotated[float, Field(ge=0, le=1)]
ScoreName = Literal["ap50", "ap", "f1_best", "f1_frozen"]


class NetRecipe(Settings):
    """The detector."""

    arch: str = Field(default="traynet", min_length=1, description="Its name, such as fasterrcnn_resnet50_fpn")
    size: tuple[int, int] = Field(default=(320, 320), description="Width and height that pictures are fitted into")
    norm: Literal["batch", "frozen", "group"] = Field(
        default="batch", description="batch; frozen: pretrained statistics, for small batches; group: from scratch"
    )
    norm_eps: float = Field(default=1e-5, ge=0, description="Epsilon of frozen norms")
    widths: tuple[int, ...] = Field(default=(), description="Channels of traynet's five stages; empty for the standard")
    depths: tuple[int, ...] = Field(default=(), description="Blocks of traynet's four stages; empty for the standard")
    neck: int = Field(default=0, ge=0, description="Channels of traynet's pyramid; 0 for the standard")

    def shape(self, labels: tuple[str, ...]) -> DetectorShape:
        """Return what the net for these labels is built from."""
        return DetectorShape(labels=labels, **self.model_dump())


class StartRecipe(Settings):
    """The first weights, and what is held still."""

    init: str = Field(
        default="", description="none (empty), pretrained, backbone (torchvision's own), or a checkpoint's path"
    )
    match: Literal["name", "shape"] = Field(default="name", description="How a checkpoint's tensors find their places")
    accept: str = Field(
        default="",
        description="Which of the net's tensors take part: a prefix with a final dot, or a regular expression",
    )
    rename: dict[str, str] = Field(default={}, description="Prefixes of the checkpoint's names -> those of the net")
    strict: bool = Field(default=False, description="Refuse a checkpoint that leaves anything over, new classes apart")
    optimiser_state: bool = Field(default=False, description="Take the checkpoint's momentum or moments over, too")
    freeze_depth: int = Field(default=0, ge=0, description="Stages, from the input on, that are held still")
    freeze: tuple[str, ...] = Field(default=(), description="Prefixes of parts that are held still")
    freeze_until: int | None = Field(default=None, ge=0, description="Epoch (from 0) that lets them go; null for never")
    one_by_one: bool = Field(default=False, description="From freeze_until on let go of one stage in each epoch")

    def plan(self) -> FreezePlan:
        """Return what is held still, and until when."""
        return FreezePlan(self.freeze_depth, self.freeze, self.freeze_until, self.one_by_one)


class OptimiserRecipe(Settings):
    """The rule that changes the weights."""

    kind: Literal["sgd", "adamw"] = Field(default="adamw", description="SGD with momentum, or AdamW")
    rate: float = Field(default=1e-3, gt=0, description="Learning rate of the head, before the schedule's factor")
    weight_decay: float = Field(default=0.02, ge=0, description="Of weights; norms and biases never decay")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of SGD; AdamW's first beta")
    second_beta: float = Field(default=0.999, ge=0, lt=1, description="Of AdamW")
    nesterov: bool = Field(default=False, description="Of SGD")
    depth_decay: float = Field(default=1.0, gt=0, le=1, description="Factor of the rate per stage away from the head")
    factors: dict[str, float] = Field(default={}, description="Prefix -> factor of the rate; in place of depth_decay")

    def rule(self) -> OptimiserSettings:
        """Return what the optimiser is made of."""
        return OptimiserSettings(**{**self.model_dump(), "factors": tuple(self.factors.items())})


class ScheduleRecipe(Settings):
    """The course of the rate; lengths are in `unit`."""

    kind: Literal["constant", "step", "multistep", "cosine", "cyclic", "one_cycle"] = Field(
        default="cosine", description="constant, step, multistep, cosine, cyclic (Smith) or one_cycle"
    )
    unit: Literal["epochs", "steps"] = Field(default="epochs", description="What lengths count")
    warm_up: float = Field(default=0.0, ge=0, description="Length of the linear warm-up")
    warm_up_from: float = Field(default=0.001, gt=0, le=1, description="Factor at its first step")
    every: float = Field(default=3.0, gt=0, description="step: length between two falls")
    milestones: tuple[float, ...] = Field(default=(), description="multistep: when the rate falls")
    gamma: float = Field(default=0.1, gt=0, description="step, multistep: what a fall multiplies by")
    final: Share = Field(default=0.01, description="cosine: factor at the end")
    half_cycle: float = Field(default=2.0, gt=0, description="cyclic: length of a rise, and of a fall")
    low: Share = Field(default=0.1, description="cyclic: factor at the foot")
    cycle_mode: Literal["triangular", "triangular2", "exp_range"] = Field(
        default="triangular", description="cyclic: equal triangles, halving ones, or shrinking by cycle_gamma"
    )
    cycle_gamma: float = Field(
        default=1.0, gt=0, le=1, description="exp_range: what each step multiplies the height by"
    )
    peak_at: float = Field(default=0.3, gt=0, lt=1, description="one_cycle: share of the run at the highest rate")
    first_part: float = Field(default=25.0, ge=1, description="one_cycle: 1 / factor at the start")
    last_part: float = Field(default=1e4, ge=1, description="one_cycle: start / end")
    cycle_momentum: bool = Field(default=True, description="cyclic, one_cycle: momentum moves against the rate")
    momentum_low: float = Field(default=0.85, ge=0, lt=1, description="Momentum at the highest rate")
    momentum_high: float = Field(default=0.95, ge=0, lt=1, description="Momentum at the lowest rate")

    def in_steps(self, per_epoch: int) -> ScheduleSettings:
        """Return the schedule with its lengths in optimiser steps."""
        factor = per_epoch if self.unit == "epochs" else 1
        values = self.model_dump(exclude={"unit"}) | {
            "warm_up": round(self.warm_up * factor),
            "every": max(1, round(self.every * factor)),
            "half_cycle": max(1, round(self.half_cycle * factor)),
            "milestones": tuple(round(milestone * factor) for milestone in self.milestones),
        }
        return ScheduleSettings(**values)


class CheckpointRecipe(Settings):
    """When the state of a run is written, and how much of it is kept."""

    every_epochs: int = Field(default=1, ge=1, description="Epochs between two checkpoints")
    every_steps: int = Field(default=0, ge=0, description="Steps between two checkpoints within an epoch; 0 for none")
    keep_last: int = Field(default=2, ge=1, description="How many of the epochs' checkpoints are kept; best.pt always")


class EarlyStopRecipe(Settings):
    """When a run that no longer gains ends before its time."""

    patience: int = Field(default=0, ge=0, description="Validations without a gain that end the run; 0 for never")
    min_delta: float = Field(default=0.0, ge=0, description="What the chosen score must rise by to count as a gain")


class IncompleteRecipe(Settings):
    """Labels that lack objects: what the mean of weights sees, and no label explains, is no plain background."""

    on: bool = Field(default=False, description="Learn from labels that lack objects")
    run_in: Share = Field(default=0.3, description="Share of the run's steps before pseudo-labels are made")
    labelled: Share = Field(default=0.0, description="Share of the objects that have a label, where known; 0 estimates")
    precision: Share = Field(default=0.8, description="Expected share of right ones among a class's pseudo-labels")
    most: float = Field(default=1.5, gt=0, description="Pseudo-labels of a class, as a multiple of what should lack")


class NoisyRecipe(Settings):
    """Labels with wrong classes: what the running mean of weights takes a box for is weighed against its label."""

    on: bool = Field(default=False, description="Learn from labels of which some have a wrong class")
    run_in: Share = Field(default=0.3, description="Share of the run's steps before labels are doubted")
    wrong: Share = Field(default=0.0, description="Share of the labels with a wrong class, where known; 0 estimates")


class FinetuneSettings(Settings):
    """One run of transfer learning."""

    net: NetRecipe = Field(default=NetRecipe(), description="The detector")
    start: StartRecipe = Field(default=StartRecipe(), description="First weights, and what is held still")
    epochs: int = Field(default=10, ge=0, description="Times through the pictures; 0 to evaluate only")
    steps: int | None = Field(default=None, ge=1, description="Optimiser steps of the run, instead of epochs")
    batch: int = Field(default=8, ge=1, description="Pictures of one forward pass, of all processes together")
    accumulate: int = Field(default=1, ge=1, description="Forward passes of one optimiser step")
    optimiser: OptimiserRecipe = Field(default=OptimiserRecipe(), description="Rule and rates")
    schedule: ScheduleRecipe = Field(default=ScheduleRecipe(), description="Course of the rate over the run")
    augment: Strength | AugmentSettings = Field(
        default="light", description="none, light, counter, strong, or each chance by itself"
    )
    repeat_threshold: Share = Field(
        default=0.0, description="Classes on a smaller share of the pictures come up more often (LVIS); 0 for never"
    )
    incomplete: IncompleteRecipe = Field(default=IncompleteRecipe(), description="Labels that lack objects")
    noisy: NoisyRecipe = Field(default=NoisyRecipe(), description="Labels with wrong classes")
    logit_adjustment: float = Field(
        default=0.0, ge=0, description="Factor of the classes' log frequencies in training (Menon); 1 is usual, 0 none"
    )
    ema: float = Field(default=0.998, ge=0, lt=1, description="Decay of the running mean of weights; 0 for none")
    amp: Literal["off", "bf16", "fp16"] = Field(default="off", description="Mixed precision of the forward pass")
    clip_norm: float = Field(default=10.0, ge=0, description="Longest gradient; 0 for no limit")
    validate_every: int = Field(default=1, ge=1, description="Epochs between two validations")
    chosen_by: ScoreName = Field(default="ap50", description="Validation score that chooses the best weights")
    frozen_threshold: Share = Field(default=0.5, description="Score threshold fixed in advance, for f1_frozen")
    early_stop: EarlyStopRecipe = Field(default=EarlyStopRecipe(), description="Ending before time")
    checkpoints: CheckpointRecipe = Field(default=CheckpointRecipe(), description="What a resume goes on from")
    gate: bool = Field(default=True, description="Overfit one batch before the run, to catch broken set-ups")
    allow_missing_classes: bool = Field(
        default=False, description="Train although a class to be found in validation is not in the training pictures"
    )
    seed: int = Field(default=1, ge=0, description="Of weights, order and augmentation")
    threads: int = Field(default=2, ge=1, description="Threads of torch; another number rounds differently")
    workers: int = Field(default=0, ge=0, description="Processes that prepare pictures; 0 to do it in between")
    device: str = Field(default="auto", min_length=1, description="auto, cpu, cuda or cuda:N")
    deterministic: Literal["auto", "on", "off"] = Field(
        default="auto", description="Only algorithms that repeat exactly; auto: on a CPU, not on a GPU (slower there)"
    )
    timeout_s: float = Field(default=1800, gt=0, description="Longest that processes of one run wait for each other")
    tensorboard: bool = Field(default=False, description="Write TensorBoard's event files beside the metrics")

    @property
    def longest_px(self) -> int:
        """Longest side that pictures are read at: some more than the net sees, so that a zoom shows something."""
        return round(1.5 * max(self.net.size))

    def loader(self, world_size: int) -> LoaderSettings:
        """Return how the pictures become batches, on each of so many processes.

        Raises:
            ConfigError: the processes cannot share a batch evenly.
        """
        if self.batch % world_size:
            raise ConfigError(f"batch {self.batch}: {world_size} processes cannot share it evenly")
        return LoaderSettings(
            batch=self.batch // world_size,
            seed=self.seed,
            repeat=self.repeat_threshold,
            longest=self.longest_px,
            workers=self.workers,
        )

    def augmentations(self) -> AugmentSettings | None:
        """Return what may happen to a training picture."""
        if isinstance(self.augment, AugmentSettings):
            return self.augment
        return None if self.augment == "none" else AugmentSettings.preset(self.augment)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.steps is not None and self.epochs == 0:
            raise ValueError("epochs 0 evaluates only; leave steps out")
        return self
