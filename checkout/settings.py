"""The thresholds of a lane's decisions. All durations are seconds, all lengths are relative to the object's box."""

from __future__ import annotations

from pydantic import Field, model_validator

from core.settings import Settings


class CheckoutSettings(Settings):
    """When items enter, leave and become lines, and when a bill closes."""

    clear_s: float = Field(default=1.0, gt=0, le=60, description="A zone clear for this long ends a tray")
    return_s: float = Field(
        default=2.2, ge=0, le=60, description="How long a bill waits for the same object before it closes for good"
    )
    max_open_s: float = Field(default=120.0, gt=0, le=86_400, description="A bill closes after this long in any case")
    commit_confidence: float = Field(default=0.9, gt=0, le=1, description="An item this sure becomes a line at once")
    ask_confidence: float = Field(default=0.6, gt=0, le=1, description="Below this the lane asks and does not guess")
    ask_after_s: float = Field(
        default=1.5, gt=0, le=60, description="How long an item may stay unknown before a question"
    )
    commit_after_s: float = Field(
        default=1.0, gt=0, le=60, description="An item that stays between ask and commit becomes a line after this long"
    )
    enter_s: float = Field(
        default=0.1, ge=0, le=10, description="How long an item is seen in the zone before it counts"
    )
    leave_s: float = Field(
        default=0.4, gt=0, le=10, description="How long it is neither seen nor covered before it left"
    )
    settle_s: float = Field(
        default=2.0, ge=0, le=60, description="A dish like one that just left may move this long before it is a new one"
    )
    stay_s: float = Field(
        default=3.0, gt=0, le=60, description="A moving tray that then lies still this long has lost what left it"
    )
    regret_s: float = Field(
        default=1.5, ge=0, le=60, description="A dish that vanished at rest this short before its tray left is put back"
    )
    recover_s: float = Field(
        default=2.0, gt=0, le=60, description="After a gap or restart: how long the lines' objects are looked for"
    )
    still_window_s: float = Field(default=0.4, gt=0, le=5, description="Over this time movement is measured")
    still_boxes: float = Field(
        default=0.12, gt=0, le=2, description="Moved less than this many box sides in the window: it lies still"
    )
    near_boxes: float = Field(
        default=1.0, gt=0, le=10, description="The same dish this many box sides from where a line was: the same object"
    )
    nested_share: float = Field(
        default=0.75, gt=0, le=1, description="A box that lies this much inside another of its dish is no second item"
    )

    @model_validator(mode="after")
    def _ordered(self) -> CheckoutSettings:
        if self.ask_confidence > self.commit_confidence:
            raise ValueError(
                f"ask_confidence {self.ask_confidence} is above commit_confidence {self.commit_confidence}; lower it"
            )
        return self


class RecognitionSettings(Settings):
    """How the looks of taught dishes are weighed beside the detector's classes."""

    crops_per_frame: int = Field(default=4, ge=1, le=64, description="Most crops that are looked at in one frame")
    first_looks: int = Field(default=3, ge=1, le=100, description="So many looks are taken at a new object soon")
    look_s: float = Field(default=0.2, gt=0, le=60, description="Time between these looks at one object")
    later_look_s: float = Field(default=0.6, gt=0, le=60, description="Time between the looks that follow")
    kept_looks: int = Field(default=12, ge=1, le=100, description="Looks kept of an object, to judge it by a new menu")
    most_views: float = Field(default=9.0, ge=1, le=100, description="More independent views than this add nothing")
    view_s: float = Field(
        default=0.5, gt=0, le=60, description="Views of an object at rest count as independent after this time"
    )
    view_shift: float = Field(default=0.5, gt=0, le=10, description="And after a movement of so many sizes")
    least_visible: float = Field(default=0.5, ge=0, le=1, description="An object that is hidden more is not looked at")
    least_side_px: float = Field(default=12.0, ge=1, le=1000, description="Nor one that is smaller, pixels")
    foreign_floor: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="For a dish that the detector never learnt: its word for another one leaves at least this much",
    )
    gallery_floor: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="A gallery that does not recognise a dish leaves this much for a detector that does",
    )
    unknown_floor: float = Field(
        default=0.005, gt=0, le=1, description="What a detector that is sure leaves for something unknown at least"
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        le=10,
        description="Of the combined posterior; above 1 it is less sure (bench/taught_menu.py)",
    )
