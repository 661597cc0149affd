"""Settings of what is kept of each bill."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from core.settings import Settings


class EvidenceSettings(Settings):
    """Clip, crops and journal of each bill."""

    days: float = Field(default=30.0, ge=0, le=3650, description="How long evidence is kept; 0 keeps none")
    folder: Path = Field(default=Path("var/evidence"), description="Where: LANE/YYYY-MM-DD/BILL/ below this folder")
    clip_s: float = Field(default=2.5, ge=0.5, le=10, description="Length of a bill's clip")
    clip_fps: float = Field(default=10.0, ge=1, le=30, description="Pictures a second of the clip")
    clip_width: int = Field(default=640, ge=160, le=1920, description="Pictures wider than this are scaled down")
    most_bytes: int = Field(default=1_000_000, ge=100_000, le=50_000_000, description="Most bytes of one bill")


class RecordSettings(Settings):
    """What is kept of what the cameras saw; nothing outside the zones ever is."""

    evidence: EvidenceSettings = Field(default=EvidenceSettings(), description="Clip, crops and journal of each bill")
