"""What the tracker assumes about its world: seconds, and lengths relative to the size of a box.

Two presets, and the few physical facts in which they differ: `COUNTER` (the default: a fixed camera over dishes that
keep their size, lie still for long and are covered by hands) and `PEDESTRIAN` (people who walk towards a camera).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.settings import Settings
from tracker.flow_settings import FlowSettings


class TrackerSettings(Settings):
    """Every tunable of the tracker. One *size* is the square root of a box's area."""

    # Which detections count
    low_score: float = Field(default=0.1, ge=0, le=1, description="detections below this score are not used at all")
    high_score: float = Field(default=0.5, ge=0, le=1, description="detections from this score on are associated first")
    birth_score: float = Field(
        default=0.5, ge=0, le=1, description="only a detection of at least this score starts a track"
    )
    duplicate_iou: float = Field(
        default=0.65, gt=0, le=1, description="two detections that overlap more are one object"
    )
    birth_overlap: float = Field(default=0.5, gt=0, le=1, description="no birth where a live track overlaps more (IoU)")

    twin_overlap: float = Field(
        default=0.35,
        gt=0,
        le=1,
        description="the same where that track is seen and of the detection's class (a long thing)",
    )
    twin_nested: float = Field(
        default=0.6, gt=0, le=1, description="nor where so much of the detection lies within such a track"
    )

    # Motion
    acceleration: float = Field(
        default=8.0, gt=0, description="standard deviation of an object's acceleration, sizes/s^2"
    )
    resize_acceleration: float = Field(default=2.0, gt=0, description="the same for width and height, own lengths/s^2")
    position_noise: float = Field(default=0.025, gt=0, description="measurement noise of the centre, sizes")
    size_noise: float = Field(default=0.05, gt=0, description="measurement noise of width and height, own lengths")
    sharpness: float = Field(
        default=0.0, ge=0, le=1, description="share by which the reported box follows its detection beyond the filter"
    )
    score_noise: float = Field(
        default=2.0, ge=0, description="how much noisier a detection of score 0 is than one of score 1 (times 1 + this)"
    )
    adapt_rate: float = Field(
        default=0.0,
        ge=0,
        description="how fast the acceleration follows what is seen to move, 1/frame at 30/s; 0: never",
    )
    adapt_size_rate: float = Field(default=0.0, ge=0, description="the same for the resizing")
    adapt_set_point: float = Field(
        default=0.1, description="correlation of successive errors of the filter that is left as it is"
    )
    calmest: float = Field(default=0.5, gt=0, le=1, description="least factor of the acceleration")
    liveliest: float = Field(default=5.0, ge=1, description="greatest factor of the acceleration")
    first_speed: float = Field(
        default=3.0, gt=0, description="standard deviation of the velocity of a new track, sizes/s"
    )
    reupdate_s: float = Field(
        default=0.0,
        ge=0,
        description="unseen for longer, an object's velocity is taken anew from both sightings; 0: never",
    )
    slow: float = Field(
        default=0.35, ge=0, description="an object slower than this (sizes/s) stays in place while unseen"
    )
    coast_s: float = Field(
        default=0.6, gt=0, description="the velocity of an unseen object decays with this time constant"
    )
    steady_coast_s: float = Field(default=3.0, gt=0, description="the same for one that has moved evenly (a belt)")
    keeps_size: bool = Field(
        default=True, description="objects keep their size: a smaller box is a cut one (covered, at the edge)"
    )
    max_step_s: float = Field(default=1.0, gt=0, description="a longer time between two frames counts as a gap")

    # Association
    buffer: float = Field(
        default=0.3, ge=0, description="boxes are grown by this share of their sides before their IoU is taken"
    )
    reach: float = Field(
        default=0.65, gt=0, description="largest centre distance of a match, in box sides, at once after a sighting"
    )
    reach_rate: float = Field(
        default=0.8, ge=0, description="how that distance grows with the time unseen, box sides/s"
    )
    max_reach: float = Field(default=1.1, gt=0, description="and where it stops growing")
    distance_weight: float = Field(default=0.5, ge=0, description="cost of a centre distance of one box side")
    class_weight: float = Field(
        default=0.25, ge=0, description="cost of a class that the track is sure not to be; never a gate"
    )
    height_weight: float = Field(
        default=0.0, ge=0, description="power with which the overlap of the heights counts beside that of the boxes"
    )
    match_cost: float = Field(default=1.25, gt=0, description="a pair that costs more is no match (1: no overlap)")
    low_match_cost: float = Field(
        default=0.8, gt=0, description="the same for detections of low score: these may only continue what is there"
    )
    low_overlap: float = Field(default=0.0, ge=0, le=1, description="overlap that such a pair must have")
    embedding_weight: float = Field(
        default=0.25,
        ge=0,
        description="cost of a detection that looks nothing like the track, where embeddings are given",
    )
    embedding_s: float = Field(default=1.0, gt=0, description="time constant of a track's mean embedding")
    unseen_weight: float = Field(default=0.1, ge=0, description="cost of a track that was not seen in the frame before")

    # Life
    confirm_s: float = Field(default=0.15, ge=0, description="a track counts when it was seen over this time")
    confirm_share: float = Field(
        default=0.5, ge=0, le=1, description="and in at least this share of the frames of its life"
    )
    confirm_hits: int = Field(
        default=5, ge=2, description="or, where the detector misses much, so many times in half that share"
    )
    sure_score: float = Field(
        default=0.6,
        ge=0,
        le=2,
        description="what this sure lies in the first frame of a stream counts at once",
    )
    start_looks: Literal[1, 2] = Field(
        default=1, description="2: it counts only when the next look at it says the same class (the label is steadier)"
    )
    tentative_s: float = Field(
        default=0.3, gt=0, description="a tentative track that is not seen for this long is dropped"
    )
    lost_after_s: float = Field(default=0.2, ge=0, description="unseen and uncovered for this long: LOST")
    stranger_s: float = Field(
        default=0.5, ge=0, description="unseen for this long, it is not found again as an object of another class"
    )
    recover_s: float = Field(
        default=0.3, ge=0, description="a lost track that is covered again within this time was only hidden"
    )
    hold_s: float = Field(default=10.0, gt=0, description="a lost track is kept in place for this long, then removed")
    hold_per_s: float = Field(
        default=10.0, gt=0, description="but at most for this many seconds per second it was seen"
    )
    coasted_s: float = Field(default=1.0, ge=0, description="a lost track is still shown as in view for this long")
    occluded_s: float = Field(default=60.0, gt=0, description="an occluded track is removed after this long")
    reentry_s: float = Field(
        default=3.0, ge=0, description="a track that left over the edge can come back there for this long"
    )
    relocate_s: float = Field(
        default=4.0, ge=0, description="a lost object can turn up elsewhere in the frame for this long"
    )

    # Occlusion
    hand_cover: float = Field(
        default=0.3, gt=0, le=1, description="share of a box under a hand from which it may be hidden"
    )
    dish_cover: float = Field(default=0.45, gt=0, le=1, description="share of a box under another object, likewise")
    hand_memory_s: float = Field(
        default=0.15, ge=0, description="a hand that the detector misses stays where it was for this long"
    )

    # Groups
    group_motion: bool = Field(
        default=True, description="unseen objects move with their visible neighbours, and trays that jump"
    )
    group_reach: float = Field(default=5.0, gt=0, description="how far away a neighbour on the same tray may be, sizes")

    # Class evidence
    view_s: float = Field(
        default=0.5, gt=0, description="views of an object at rest count as independent after this time"
    )
    view_shift: float = Field(default=0.5, gt=0, description="and after a movement of so many sizes")
    reliability: float = Field(
        default=0.95, gt=0, lt=1, description="how often a detector's class with score 1 is right"
    )

    # Pictures
    optical_flow: FlowSettings = Field(default=FlowSettings(), description="motion and presence from the pictures")

    # Speed
    compiled: Literal["auto", "never"] = Field(
        default="auto",
        description="auto: quiet frames are worked on by compiled code once it is there, where numba is installed "
        "(pip install traylane[fast]); results are the same to the last bit",
    )

    # For people who debug
    explain: bool = Field(
        default=False, description="tell for each track and frame why it is where it is; the overlay then shows it"
    )


COUNTER = TrackerSettings()

PEDESTRIAN = TrackerSettings(
    low_score=0.15,
    high_score=0.7,
    birth_score=0.6,
    duplicate_iou=1.0,
    twin_overlap=1.0,
    twin_nested=1.0,
    acceleration=2.6,
    resize_acceleration=1.0,
    position_noise=0.065,
    size_noise=0.045,
    score_noise=3.3,
    sharpness=0.6,
    adapt_rate=0.6,
    adapt_size_rate=0.1,
    first_speed=4.2,
    slow=0.0,
    coast_s=1.2,
    steady_coast_s=1.2,
    keeps_size=False,
    reach=0.75,
    reach_rate=0.75,
    buffer=0.28,
    distance_weight=0.25,
    height_weight=1.5,
    match_cost=1.08,
    low_match_cost=0.5,
    confirm_s=0.0,
    tentative_s=0.1,
    hold_s=1.8,
    hold_per_s=7.0,
    coasted_s=0.0,
    occluded_s=1.8,
    reentry_s=0.0,
    relocate_s=0.0,
    group_motion=False,
)
