"""What the optical flow assumes: lengths in pixels of its small working picture, shares, and numbers of points."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.settings import Settings


class FlowSettings(Settings):
    """Every tunable of the optical flow. A *reading* is a frame in which something moved."""

    when: Literal["always", "doubt", "never"] = Field(
        default="doubt", description="look at every frame; only while an object is not detected; or never"
    )
    believe: float = Field(default=0.5, gt=0, le=1, description="a motion that is this certain is taken")
    witness_s: float = Field(
        default=1.0,
        ge=0,
        description="an object that is not detected but still looks as it did is there, for this long",
    )
    width_px: int = Field(default=320, ge=64, le=1920, description="frames are shrunk to this width; never enlarged")
    points_per_track: int = Field(default=6, ge=1, le=32, description="so many points are followed on one object")
    most_points: int = Field(
        default=96, ge=2, le=1024, description="bound of the cost of a frame: points followed, background included"
    )
    background_points: int = Field(
        default=24, ge=0, le=128, description="of these, points outside of all boxes, for the motion of the camera"
    )
    still_threshold: float = Field(
        default=3.0, gt=0, description="grey levels that a 4x4 block may change while nothing moves, light taken out"
    )
    noise_share: float = Field(
        default=4.0, ge=0, description="and so many times the median change of all blocks, which is the sensor's noise"
    )
    round_trip_px: float = Field(
        default=0.4, gt=0, description="a point must come back this close to where it was when followed backwards"
    )
    likeness: float = Field(
        default=0.75, gt=-1, lt=1, description="correlation of a point's patch with the one it was seeded with"
    )
    agreement_px: float = Field(
        default=0.6, gt=0, description="a point agrees with the motion of its object when it differs by less than this"
    )
    agreement_share: float = Field(
        default=0.1, ge=0, description="or by less than this share of that motion: dishes on a tray turn a little"
    )
    least_corner: float = Field(
        default=4.0, gt=0, description="texture: square of the slope in the weaker direction, (grey levels/pixel)^2"
    )
    window_px: int = Field(default=11, ge=5, le=31, description="side of the window of Lucas and Kanade")
    levels: int = Field(default=3, ge=0, le=6, description="how often the picture is halved for large motions")
    jumps: int = Field(
        default=3, ge=0, le=8, description="large common displacements proposed by phase correlation, 0: none"
    )
    patience: int = Field(
        default=60, ge=0, description="readings for which a point that was covered is looked for where it should be"
    )
    oldest: int = Field(default=200, ge=1, description="readings after which a point is seeded anew")
