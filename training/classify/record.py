"""`run.json` of a study of classifiers: what it was made of, and how it stands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.settings import Settings
from training.classify.pictures import ClassSet


class PhotosRecord(Settings):
    """What is known of a part of the photos."""

    name: str = Field(description="Name of the set, and of its part")
    sha256: str = Field(description="Of labels, classes and photos")
    photos: int = Field(description="How many")
    scenes: int = Field(description="How many moments they show; near-equal photos are one")
    labels: tuple[str, ...] = Field(description="The classes")
    counts: tuple[int, ...] = Field(description="Photos of each class")


def described(pictures: ClassSet) -> PhotosRecord:
    """Return what a record keeps of a part."""
    return PhotosRecord(
        name=pictures.name,
        sha256=pictures.sha256,
        photos=len(pictures),
        scenes=len(set(pictures.scenes.tolist())),
        labels=pictures.labels,
        counts=tuple(pictures.counts().tolist()),
    )


class Standing(Settings):
    """How a run stands."""

    git: str = Field(description="Commit of the checkout, with + when files differ from it")
    machine: str = Field(description="Processor and cores")
    versions: dict[str, str] = Field(description="Of Python and the libraries")
    load: tuple[float, float, float] = Field(description="Of the machine at the start: 1, 5 and 15 minutes")
    started_utc: str = Field(description="When it was started last")
    ended_utc: str | None = Field(default=None, description="When it ended; none while it runs, or after a kill")
    status: Literal["running", "finished"] = Field(default="running", description="How it stands")
