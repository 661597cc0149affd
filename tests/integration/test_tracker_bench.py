"""The tracker's bench on the yardsticks that lie beside the checkout, with tiny sizes."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from bench.tracker import measure, section_of
from bench.tracker_ablation import PARTS, ablation_rows
from bench.tracker_render import NOISE, Renderer
from bench.tracker_tools import TOOLS, Options, Tools, load_tools, stress_world


@pytest.fixture(scope="module")
def tools() -> Tools:
    found = load_tools()
    if found is None:
        pytest.skip(f"no yardsticks in {TOOLS}; set TRAYLANE_TOOLS")
    if importlib.util.find_spec("trackeval") is None:
        pytest.skip("trackeval is not installed: make .venv/ok")
    return found


@pytest.mark.parametrize(("case", "index"), [("shake_60", 30), ("occl_moving_15", 40), ("hand_sweep", 60)])
def test_the_fast_renderer_draws_what_the_yardstick_draws(tools: Tools, case: str, index: int) -> None:
    world = stress_world(tools, case, 0)
    clean = Renderer(tools, world).clean(index)
    noise = np.random.default_rng([0, int(world.keep[index])]).normal(0, NOISE, clean.shape)
    ours = np.clip(clean + noise, 0, 255).astype(np.uint8).astype(int)
    away = np.abs(ours - tools.stress.render(world, index))
    assert away.max() <= 1
    assert (away > 0).mean() < 1e-3
    assert Renderer(tools, world).frame(index).shape == (360, 640, 3)
    assert Renderer(tools, world, full=True).frame(index).shape == (720, 1280, 3)


def test_stress_section(tools: Tools) -> None:
    cases = ("plain", "class_flicker_25")
    rows = {r["name"]: r["value"] for r in measure(["stress"], Options(seeds=1, cases=cases))["stress"]}
    assert rows["stress_plain_kept_hands"] > 90
    assert rows["stress_plain_id_switches_no_hands"] == 0
    assert rows["stress_class_flicker_25_class_right_hands"] > 80
    assert rows["stress_kept_hands"] == pytest.approx(
        (rows["stress_plain_kept_hands"] + rows["stress_class_flicker_25_kept_hands"]) / 2, abs=0.1
    )


def test_stress_figures_equal_the_yardstick(tools: Tools) -> None:
    """The tool's own loop over cases and seeds is the oracle of ours."""
    from tracker.mot import make_counter

    theirs = tools.stress.run({"ours": make_counter}, ["miss_70"], 2, strip=False)["miss_70"]["ours"]
    rows = {r["name"]: r["value"] for r in measure(["stress"], Options(seeds=2, cases=("miss_70",)))["stress"]}
    assert rows["stress_miss_70_kept_hands"] == pytest.approx(theirs["kept"], rel=1e-3)
    assert rows["stress_miss_70_count_error_hands"] == pytest.approx(theirs["cnt"], rel=1e-3)
    assert rows["stress_miss_70_idf1_hands"] == pytest.approx(theirs["IDF1"], rel=1e-3)


def test_rendered_section(tools: Tools) -> None:
    rows = {r["name"]: r["value"] for r in measure(["rendered"], Options(cases=("fps_5",)))["rendered"]}
    assert rows["rendered_fps_5_kept_flow"] > 90
    assert "rendered_missing_fps_5_kept_gain" in rows


def test_mot_section(tools: Tools) -> None:
    options = Options(sets=("MOT15-train",), sequences=("TUD-Campus",))
    rows = {r["name"]: r for r in measure(["mot"], options)["mot"]}
    ours = rows["mot15_train_hota"]
    peers = [r["value"] for name, r in rows.items() if "_peer_" in name and name.endswith("_hota")]
    assert len(peers) >= 5
    assert ours["reference"] == pytest.approx(max(peers) + 0.5, abs=0.01)
    assert rows["mot15_train_tud_campus_hota"]["value"] == ours["value"]
    assert not any("gmc" in name for name in rows), "this set has no camera motion"
    assert all(section_of(name) == "mot" for name in rows)


def test_mot_section_with_camera_motion(tools: Tools) -> None:
    options = Options(sets=("MOT17-val",), sequences=("MOT17-13",))
    rows = {r["name"]: r for r in measure(["mot"], options)["mot"]}
    assert rows["mot17_val_hota"]["reference"] == 71.8
    assert rows["mot17_val_13_gmc_gain_hota"]["reference"] == 1.5
    gain = rows["mot17_val_gmc_hota"]["value"] - rows["mot17_val_hota"]["value"]
    assert rows["mot17_val_gmc_gain_hota"]["value"] == pytest.approx(gain, abs=0.02)


def test_a_row_of_the_ablation(tools: Tools) -> None:
    options = Options(seeds=1, cases=("plain",), sets=("MOT15-train",), sequences=("TUD-Campus",))
    rows = {r["name"]: r for r in ablation_rows(tools, options, {"class_cost": PARTS["class_cost"]})}
    whole, without = rows["whole_mot15_train_hota"], rows["without_class_cost_mot15_train_hota"]
    assert without["reference"] == whole["value"] > 20
    assert rows["without_class_cost_stress_kept"]["value"] > 90
