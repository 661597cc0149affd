"""HOTA, IDF1 and the rest on MOTChallenge sequences, by TrackEval's rules, beside the peers in the same run.

Main figure: boxes only (`gmc` stripped). Then the gain with the sequences' camera motion, and the speed of all.
"""

from __future__ import annotations

from typing import Any

from bench.results_file import row
from bench.tracker_tools import Maker, Options, Result, Tools, boxes_only, load_sequences, slug
from tracker.mot import make

METRICS = {"HOTA": "hota", "IDF1": "idf1", "AssA": "assa", "DetA": "deta", "MOTA": "mota"}
#: What to reach on a set, %, where the issue names a number.
BARS = {("MOT17-val", "HOTA"): 71.8, ("MOT17-val", "IDF1"): 84.2}
#: And how far above the best peer, where it names that.
ABOVE_PEERS = {("MOT17-train", "HOTA"): 1.0, ("MOT15-train", "HOTA"): 0.5}
#: Gain of HOTA by camera motion to reach on a sequence; on the others it may cost nothing.
GMC_BARS = {"MOT17-13": 1.5}
OURS, OURS_GMC = "traylane", "traylane gmc"

Scores = dict[str, Any]


def mot_rows(tools: Tools, options: Options) -> list[Result]:
    """Return the figures of all sets."""
    rows: list[Result] = []
    for name in options.sets:
        sequences = load_sequences(tools, name, options)
        if not sequences:
            raise ValueError(f"none of the sequences {options.sequences} is in {name}")
        print(f"{name}: {len(sequences)} sequences, {sum(s.n for s in sequences)} frames", flush=True)
        rows += _set_rows(tools, name, sequences)
    return rows


def _set_rows(tools: Tools, name: str, sequences: list[Any]) -> list[Result]:
    makers: dict[str, Maker] = {OURS: boxes_only(make), **tools.peers.select(["all"])}
    if all(s.gmc is not None for s in sequences):
        makers[OURS_GMC] = make
    scores: dict[str, Scores] = {}
    for who, maker in makers.items():
        scores[who] = tools.bench.bench({who: maker}, sequences)[who]
        print(f"{who:34s} {tools.bench.fmt(scores[who]['all'])}", flush=True)
    ours, gmc = scores.pop(OURS), scores.pop(OURS_GMC, None)
    prefix = slug(name)
    rows = _overall(name, prefix, ours["all"], {who: s["all"] for who, s in scores.items()})
    for key in ours["seq"]:
        peers = {who: s["seq"][key] for who, s in scores.items()}
        part = f"{prefix}_{slug(key.split('/')[-1]).removeprefix('mot17_')}"
        rows += [row(f"{part}_{METRICS[m]}", ours["seq"][key][m], "%", _best(peers, m)) for m in METRICS]
    if gmc is not None:
        rows += _gmc_rows(prefix, ours, gmc)
    return rows


def _overall(name: str, prefix: str, ours: Scores, peers: dict[str, Scores]) -> list[Result]:
    rows = []
    for metric, short in METRICS.items():
        bar = BARS.get((name, metric)) or _best(peers, metric) + ABOVE_PEERS.get((name, metric), 0.0)
        rows.append(row(f"{prefix}_{short}", ours[metric], "%", reference=bar))
    rows.append(row(f"{prefix}_id_switches", ours["IDSW"], "switches"))
    rows.append(row(f"{prefix}_frames_per_s", ours["fps"], "frames/s", reference=_best(peers, "fps")))
    for who, found in peers.items():
        label = f"{prefix}_peer_{slug(who)}"
        rows += [row(f"{label}_{short}", found[metric], "%") for metric, short in METRICS.items()]
        rows.append(row(f"{label}_frames_per_s", found["fps"], "frames/s"))
    return rows


def _gmc_rows(prefix: str, ours: Scores, gmc: Scores) -> list[Result]:
    """Return the gain that camera motion brings, overall and on each sequence."""
    rows = [row(f"{prefix}_gmc_{short}", gmc["all"][metric], "%") for metric, short in METRICS.items()]
    rows.append(row(f"{prefix}_gmc_gain_hota", gmc["all"]["HOTA"] - ours["all"]["HOTA"], "points", reference=0.0))
    for key, found in ours["seq"].items():
        sequence = key.split("/")[-1]
        gain = gmc["seq"][key]["HOTA"] - found["HOTA"]
        part = f"{prefix}_{slug(sequence).removeprefix('mot17_')}"
        rows.append(row(f"{part}_gmc_gain_hota", gain, "points", reference=GMC_BARS.get(sequence, 0.0)))
    return rows


def _best(peers: dict[str, Scores], metric: str) -> float:
    return max(float(found[metric]) for found in peers.values())
