"""`run.json` of an embedding study: what it was made of, how long it took, and how it stands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.settings import Settings
from training.embedding_study.settings import StudySettings


class PhotosRecord(Settings):
    """The set as a study saw it."""

    name: str = Field(description="Name of the set")
    sha256: str = Field(description="Hash of labels, coarse classes and photos")
    photos: int = Field(description="How many")
    classes: int = Field(description="Fine classes")
    coarse_classes: int = Field(description="Coarse classes; 0: none are known")
    gallery: int = Field(description="Photos that settings are chosen by")
    aside: int = Field(description="Photos that judge")


class ModelRecord(Settings):
    """One model of the grid."""

    origin: str = Field(description="Where its weights come from")
    key: str = Field(description="Hash of weights, preprocessing and settings; names its folder in the cache")
    settings: int = Field(description="How many settings it has")
    left_out: int = Field(description="Settings whose vectors are too long")
    macs: int = Field(description="Multiply-adds of one photo")
    cpu_s_per_photo: float = Field(description="CPU seconds of one photo, measured when its vectors were computed")


class StudyRecord(Settings):
    """The whole of run.json."""

    kind: Literal["embeddings"] = Field(default="embeddings", description="Which study made the run")
    parameters: StudySettings = Field(description="Every setting of the run")
    data: PhotosRecord = Field(description="The photos")
    models: dict[str, ModelRecord] = Field(default_factory=dict, description="The models, by name")
    git: str = Field(description="Commit of the checkout, with + when files differ from it")
    machine: str = Field(description="Processor and cores")
    versions: dict[str, str] = Field(description="Of Python and the libraries")
    started_utc: str = Field(description="When it was started")
    ended_utc: str | None = Field(default=None, description="When it ended; none while it runs, or after a kill")
    wall_s: float | None = Field(default=None, description="Seconds from start to end")
    cpu_s: float | None = Field(default=None, description="CPU seconds of this process; features from disk cost little")
    status: Literal["running", "finished"] = Field(description="How it stands")
