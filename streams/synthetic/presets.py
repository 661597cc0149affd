"""How difficult a synthetic lane is: three presets of one set of knobs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """The knobs of a lane. Pairs are (lowest, highest) of a uniform draw; `_p` are probabilities.

    Attributes:
        dishes: number of dishes on a tray.
        things: number of things that are no dishes.
        equal_p: that a dish is followed by an equal one.
        stack_p: that a small dish lies on the rim of a plate.
        overlap: how deep two dishes may lie over each other, as a share of the smaller one's radius.
        acts: number of hand acts while the tray stands.
        push_p: that a hand pushes the tray in.
        queue_p: that the next tray waits at the left edge.
        dwell_s, pause_s: how long a tray stands, and how long the zone is clear before the next one.
        tilt: largest turn of a tray, radians.
        exposure_s: shutter time; motion blur is speed times this.
        noise: sensor noise, standard deviation in grey levels.
        jpeg: quality of the camera's JPEG.
        shake: standard deviation of camera shake as a share of the frame's width.
        flicker: amplitude of lamp flicker, share of brightness.
        drift: amplitude of slow light change, share of brightness.
        shade_p: that somebody's shadow passes over while a tray stands.
    """

    dishes: tuple[int, int]
    things: tuple[int, int]
    equal_p: float
    stack_p: float
    overlap: float
    acts: tuple[int, int]
    push_p: float
    queue_p: float
    dwell_s: tuple[float, float]
    pause_s: tuple[float, float]
    tilt: float
    exposure_s: float
    noise: float
    jpeg: tuple[int, int]
    shake: float
    flicker: float
    drift: float
    shade_p: float


PRESETS: dict[str, Preset] = {
    "easy": Preset(
        dishes=(1, 4),
        things=(0, 2),
        equal_p=0.12,
        stack_p=0.0,
        overlap=0.04,
        acts=(0, 1),
        push_p=0.2,
        queue_p=0.25,
        dwell_s=(4.0, 6.5),
        pause_s=(1.7, 2.8),
        tilt=0.04,
        exposure_s=0.004,
        noise=1.5,
        jpeg=(90, 95),
        shake=0.0,
        flicker=0.0,
        drift=0.02,
        shade_p=0.0,
    ),
    "medium": Preset(
        dishes=(1, 6),
        things=(0, 4),
        equal_p=0.2,
        stack_p=0.12,
        overlap=0.16,
        acts=(0, 2),
        push_p=0.45,
        queue_p=0.45,
        dwell_s=(4.0, 7.5),
        pause_s=(1.6, 2.6),
        tilt=0.09,
        exposure_s=0.008,
        noise=3.0,
        jpeg=(78, 90),
        shake=0.0006,
        flicker=0.02,
        drift=0.07,
        shade_p=0.3,
    ),
    "hard": Preset(
        dishes=(2, 8),
        things=(1, 5),
        equal_p=0.28,
        stack_p=0.3,
        overlap=0.34,
        acts=(1, 3),
        push_p=0.7,
        queue_p=0.6,
        dwell_s=(4.0, 8.0),
        pause_s=(1.5, 2.2),
        tilt=0.2,
        exposure_s=0.016,
        noise=6.0,
        jpeg=(55, 80),
        shake=0.0016,
        flicker=0.05,
        drift=0.16,
        shade_p=0.7,
    ),
}


def preset_named(name: str) -> Preset:
    """Return the preset called `name`.

    Raises:
        ValueError: there is none.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r} of the synthetic lane; choose {', '.join(PRESETS)}")
    return PRESETS[name]
