"""The bottle clip at every 3rd frame: what happens, in which order, when, and how right it is.

`bottle.json` is renewed by `python -m tests.golden.test_golden_bottle` from the repository's root. Its scores may rise;
they fall only with a decision record in docs/decisions that says what was gained for it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bench.bottle import truth_of
from replay.run import Job, replay

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TRAYLANE_DATA") or ROOT.parent / "shared" / "data")
CLIP = DATA / "videos" / "intel-bottle-detection.mp4"
GOLDEN = Path(__file__).with_name("bottle.json")
#: An event may move by this much without being another one.
MOVES_S = 0.25


def summary(folder: Path) -> dict[str, Any]:
    """Replay the clip into `folder`; return its events and scores in short."""
    os.environ.setdefault("TRAYLANE_DATA", str(DATA))
    truth = folder / "truth.json"
    truth.write_text(json.dumps(truth_of(json.loads(CLIP.with_suffix(".events.json").read_text(encoding="utf-8")))))
    job = Job(str(CLIP), folder / "out", config=ROOT / "configs" / "bottle.yaml", truth=truth, stride=3, video=False)
    figures = replay(job)
    events = [json.loads(line) for line in (folder / "out" / "events.jsonl").read_text().splitlines()]
    return {
        "events": [[event["kind"], round(event["t_s"], 2), event["dish"]] for event in events],
        "scores": {
            "count_right": round(1 - figures["count_error"], 4),
            "t4_f1": figures["t4"]["f1"],
            "cacc": figures["cacc"],
        },
    }


@pytest.mark.slow
@pytest.mark.skipif(not CLIP.exists(), reason=f"the bottle clip is not in {DATA}")
def test_the_bottle_clip_tells_what_it_told(tmp_path: Path) -> None:
    golden, now = json.loads(GOLDEN.read_text()), summary(tmp_path)
    assert [(kind, dish) for kind, _, dish in now["events"]] == [(kind, dish) for kind, _, dish in golden["events"]]
    moved = [abs(a[1] - b[1]) for a, b in zip(now["events"], golden["events"], strict=True)]
    assert max(moved) <= MOVES_S
    fallen = {name: (now["scores"][name], was) for name, was in golden["scores"].items() if now["scores"][name] < was}
    assert not fallen, "scores fell; give docs/decisions a record and renew bottle.json"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        GOLDEN.write_text(json.dumps(summary(Path(scratch)), indent=1) + "\n")
