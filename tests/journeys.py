"""What the journeys of PRODUCT have in common: quick lanes, and what a person reads on the live page."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import av
from playwright.sync_api import Page

from streams.synthetic.lane import SyntheticLane
from tests.appliance import ROOT, demo

#: Pictures for people; not in git.
SHOTS = ROOT / "var" / "shots"


def keep_picture(page: Page, name: str) -> None:
    """Keep a picture of the page in `var/shots`."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}.png"))


def lane(source: str, **changes: Any) -> dict[str, Any]:
    """Return the demo's lane on another source."""
    return {**demo()["lanes"]["lane1"], "source": {"url": source, "timeout_s": 3}, **changes}


def site(lanes: dict[str, dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return the demo's configuration with other lanes."""
    return {**demo(**changes), "lanes": lanes}


def tile(page: Page, lane_id: str) -> str:
    """Return what the tile over a lane's picture says; "" while there is none."""
    text: str = page.evaluate(
        "id => { const box = document.querySelector(`#lane-${id} .offline`); return box.hidden ? '' : box.innerText }",
        lane_id,
    )
    return text


def lines_on(page: Page, lane_id: str) -> list[str]:
    """Return the names on a lane's bill as the page shows it."""
    names = page.locator(f"#lane-{lane_id} .lines li").all_inner_texts()
    return [text.split("\n")[0].strip() for text in names]


def picture_of(folder: Path, seconds: float = 12.0, fps: float = 10.0) -> Path:
    """Film an easy synthetic lane to an H.264 file without B-frames, for cameras and `--source`."""
    path = folder / "counter.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=round(fps))
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.options = {"bf": "0", "g": "10", "crf": "20", "preset": "ultrafast"}
        pictures = islice(SyntheticLane(900900, "easy", 640, 360, fps), round(seconds * fps))
        for image, _ in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
