"""All figures of the tracker: MOTChallenge beside peers, the tray stress set, flow, speed and memory.

`python -m bench.tracker [--only SECTION…]` writes `bench/results/tracker.json`; rows of sections that did not run stay
as they are in the file. Sections that need the yardsticks of `../shared/tools/mot` say so where those are missing.
One thread, CPU time, and whatever is compared runs in turns in one process.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import bench.one_thread  # noqa: F401  # before numpy
from bench.results_file import RESULTS, write_results
from bench.tracker_flow import flow_rows, rendered_rows
from bench.tracker_memory import memory_rows
from bench.tracker_mot import mot_rows
from bench.tracker_peers import PEERS
from bench.tracker_speed import speed_rows
from bench.tracker_stress import stress_rows
from bench.tracker_tools import TOOLS, Options, Result, Tools, load_tools

#: Sections in the order of the file, and how the names of their rows begin.
SECTIONS: dict[str, tuple[str, ...]] = {
    "mot": ("mot17_", "mot15_"),
    "stress": ("stress_",),
    "rendered": ("rendered_",),
    "speed": (
        "frames_per_s_",
        "counter_frames_",
        "frame_p",
        "pedestrian_frame_",
        "numpy_frames_per_s_",
        *(f"{peer}_frames_per_s_" for peer in PEERS),
    ),
    "flow": ("flow_",),
    "memory": ("memory_",),
}
NEED_TOOLS: dict[str, Callable[[Tools, Options], list[Result]]] = {
    "mot": mot_rows,
    "stress": stress_rows,
    "rendered": rendered_rows,
}
ALONE: dict[str, Callable[[Options], list[Result]]] = {
    "speed": lambda options: speed_rows(options.repeats),
    "flow": lambda options: flow_rows(options.repeats),
    "memory": lambda options: memory_rows(options.frames),
}


def section_of(name: str) -> str | None:
    """Return the section that a row belongs to, by its name."""
    return next((section for section, starts in SECTIONS.items() if name.startswith(starts)), None)


def kept_rows(path: Path, ran: list[str]) -> list[Result]:
    """Return the rows of an earlier run whose sections did not run now; rows of no section are left out."""
    if not path.exists():
        return []
    rows: list[Result] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [line for line in rows if (section := section_of(line["name"])) is not None and section not in ran]


def measure(only: list[str], options: Options) -> dict[str, list[Result]]:
    """Run the sections and return their rows; one whose yardsticks are missing is left out and said."""
    tools = load_tools()
    done = {}
    for section in only:
        if section in ALONE:
            rows = ALONE[section](options)
        elif tools is not None:
            rows = NEED_TOOLS[section](tools, options)
        else:
            print(f"no yardsticks under {TOOLS}: section {section} is left out")
            continue
        strange = [line["name"] for line in rows if section_of(line["name"]) != section]
        if strange:
            raise ValueError(f"rows {strange} do not begin as those of section {section} do: see SECTIONS")
        done[section] = rows
    return done


def ordered(rows: list[Result]) -> list[Result]:
    """Return the rows in the order of the sections."""
    place = {section: k for k, section in enumerate(SECTIONS)}
    return sorted(rows, key=lambda line: place[section_of(line["name"]) or "memory"])


def parse(arguments: list[str] | None = None) -> tuple[list[str], Options, Path]:
    """Return the sections to run, their options and the folder of results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Options()
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS), help="sections to run")
    parser.add_argument("--seeds", type=int, default=usual.seeds, help="worlds of each stress case")
    parser.add_argument("--first-seed", type=int, default=usual.first_seed, help="the first of these worlds")
    parser.add_argument("--flow-seeds", type=int, default=usual.flow_seeds, help="worlds of each rendered case")
    parser.add_argument("--repeats", type=int, default=usual.repeats, help="runs of each speed scene")
    parser.add_argument("--frames", type=int, default=usual.frames, help="frames of the memory run")
    parser.add_argument("--peers", action="store_true", help="run the peers through the stress set too")
    parser.add_argument("--cases", nargs="+", default=usual.cases, help="stress cases instead of all")
    parser.add_argument("--sets", nargs="+", default=usual.sets, help="MOTChallenge sets")
    parser.add_argument("--sequences", nargs="+", default=usual.sequences, help="their sequences instead of all")
    parser.add_argument("--full-frames", action="store_true", help="render at 1280x720 instead of 640x360")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = vars(parser.parse_args(arguments))
    chosen = {
        field.name: tuple(given[field.name]) if isinstance(given[field.name], list) else given[field.name]
        for field in fields(Options)
    }
    return given["only"], Options(**chosen), given["out"]


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    only, options, out = parse(arguments)
    done = measure(only, options)
    rows = [line for found in done.values() for line in found]
    write_results("tracker", ordered(rows + kept_rows(out / "tracker.json", list(done))), out)


if __name__ == "__main__":
    main()
