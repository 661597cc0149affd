"""`traylane models`: import, promote, run, compare and roll back a real small net; each refusal with its code."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

import app.cli
from checkout.build import build_site
from checkout.config import load_config
from core.clock import ManualClock
from core.records import Frame
from models.card import load_card
from models.registry import Registry
from tests.onnx_graphs import card_for, write_card, write_convnet, write_graph
from tests.registry_models import scored

SIZE = {"width": 96, "height": 64}
CLASSES = ["red", "green", "blue"]
MENU = {"dishes": {name: {"title": name, "price": 1} for name in (*CLASSES, "Soup")}}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site whose lanes follow promotions, with an empty registry."""
    (tmp_path / "menu.yaml").write_text(yaml.safe_dump(MENU))
    config = {
        "store": {"url": f"sqlite:///{tmp_path}/site.db", "spool": str(tmp_path / "spool")},
        "record": {"evidence": {"folder": str(tmp_path / "evidence")}},
        "models": {"detector": {"card": "@current", "device": "cpu"}, "registry": str(tmp_path / "models")},
        "lanes": {name: {"source": {"url": "synthetic://easy?seed=1&fps=20"}} for name in ("left", "right")},
    }
    (tmp_path / "lane.yaml").write_text(yaml.safe_dump(config))
    verb = EntryPoint("models", "app.commands.models:add", "traylane.commands")
    monkeypatch.setattr(app.cli, "entry_points", lambda **_: (verb,))
    return tmp_path


@pytest.fixture
def models(site, capsys):
    """Run `traylane models …` for that site; returns exit code, output and errors."""

    def run(*words):
        code = app.cli.main(["models", words[0], "--config", str(site / "lane.yaml"), *map(str, words[1:])])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def foreign(site, name="tray", seed=3, **changes):
    """A net as others give it: weights and card."""
    weights = write_convnet(site / f"{name}.onnx", seed=seed)
    write_card(weights, name=name, input=SIZE, classes=CLASSES, **changes)
    return weights


def with_scores(site, name, ap50, seed):
    weights = foreign(site, name, seed)
    record = scored(load_card(str(weights.with_suffix(".yaml"))), ap50)
    (site / f"{name}.json").write_text(record.model_dump_json())
    return weights


def test_a_model_comes_in_is_promoted_runs_and_goes_back(site, models):
    for name, ap50, seed in (("old", 0.7, 3), ("new", 0.8, 4)):
        weights = with_scores(site, name, ap50, seed)
        code, out, _ = models("import", weights, "--scores", site / f"{name}.json")
        assert (code, out.count("labels: red, green, blue")) == (0, 1)
    code, out, _ = models("promote", "old@1")
    assert code == 0
    assert "old@1 is promoted to default" in out
    assert "lanes take it at their next start" in out
    code, out, _ = models("promote", "new@1", "--channel", "right")
    assert code == 0

    config = load_config(site / "lane.yaml")
    built = build_site(config, ManualClock(0))
    assert {detector.name for detector in built.detectors} == {"old@1", "new@1"}
    built.close()
    listed = json.loads(models("list", "--json")[1])
    assert listed["lanes"] == {"left": "old@1", "right": "new@1"}
    assert listed["channels"] == {"default": "old@1", "right": "new@1"}
    code, out, _ = models("list")
    assert "old@1" in out
    assert "0.700 (holdout canteen)" in out

    code, out, _ = models("promote", "new@1")
    assert "hold-out canteen: ap50 0.700 -> 0.800 (better)" in out
    built = build_site(config, ManualClock(0))
    assert len(built.detectors) == 1  # both lanes run the same now and share it
    built.close()
    code, out, _ = models("rollback")
    assert (code, out.splitlines()[0]) == (0, "default runs old@1 again (before: new@1)")
    code, _, err = models("rollback")
    assert code == 3
    assert "old@1 is the first model there" in err
    code, out, _ = models("show", "old@1")
    assert code == 0
    assert "rollback default -> old@1 (before: new@1)" in out
    assert "holdout  canteen" in out


def test_the_gate_speaks_and_force_is_kept(site, models):
    for name, ap50, seed in (("old", 0.8, 3), ("new", 0.6, 4)):
        models("import", with_scores(site, name, ap50, seed), "--scores", site / f"{name}.json")
    models("promote", "old@1")
    code, out, err = models("promote", "new@1")
    assert (code, out) == (3, "")
    assert "new@1 is not promoted to default" in err
    assert "ap50 falls from 0.800 to 0.600" in err
    code, out, _ = models("promote", "new@1", "--force", "the old one crashes at noon")
    assert code == 0
    assert "the gate refused and was overruled: the old one crashes at noon" in out
    content = json.loads(models("show", "@current", "--json")[1])
    assert content["card"]["name"] == "new"
    assert content["history"][-1]["forced"] == "the old one crashes at noon"
    (site / "rules.yaml").write_text("tolerances: {ap50: 0.3, f1_frozen: 0.3}\nfloors: [{figure: ap50, bound: 0.75}]\n")
    code, _, err = models("promote", "new@1", "--channel", "left", "--rules", site / "rules.yaml")
    assert code == 3
    assert "ap50 is 0.600, it must be at least 0.75" in err


def test_two_models_side_by_side(site, models):
    for name, ap50, seed in (("old", 0.8, 3), ("new", 0.6, 4)):
        models("import", with_scores(site, name, ap50, seed), "--scores", site / f"{name}.json")
    models("import", foreign(site, "bare", 5))
    code, out, _ = models("compare", "old@1", "new@1")
    assert code == 0
    assert "the gate would not let new@1 take its place" in out
    row = next(line for line in out.splitlines() if "ap50" in line)
    assert row.split() == ["holdout", "canteen", "ap50", "0.800", "0.600", "-0.200"]
    content = json.loads(models("compare", "old@1", "new@1", "--json")[1])
    assert content["figures"][0]["change"] == pytest.approx(-0.2)
    assert content["gate"]["passed"] is False
    code, out, _ = models("compare", "old@1", "bare@1")
    assert code == 0
    assert "bare@1 has no scores; run `traylane evaluate bare@1" in out
    assert "unknown" in out


def test_weights_without_a_card_need_a_licence_and_take_a_class_map(site, models):
    weights = write_graph(site / "Bare Net.onnx", {"output": np.zeros((1, 84, 7), np.float32)})
    code, _, err = models("import", weights)
    assert code == 2
    assert "no licence is known; say what the weights may be used for: --licence NAME" in err
    code, out, err = models(
        "import", weights, "--licence", "MIT", "--class-map", "class 0=Soup,class 1=@hand", "--name", "bare"
    )
    assert code == 0, err
    assert "bare@1 is in the registry" in out
    card = Registry(site / "models").load("bare@1")
    assert (card.labels, card.licence, card.source) == (("Soup", "@hand"), "MIT", "imported from Bare Net.onnx")
    (site / "map.yaml").write_text("class 0: Soup\nclass 1: null\n")
    code, _, err = models(
        "import", weights, "--licence", "MIT", "--class-map", site / "map.yaml", "--name", "bare", "--version", "2"
    )
    assert code == 0, err
    assert Registry(site / "models").load("bare@2").labels == ("Soup",)


def test_labels_that_are_not_on_the_menu_are_told_at_import_and_refused_at_promotion(site, models):
    weights = foreign(site, class_map={"red": "Caviar"})
    code, out, _ = models("import", weights)
    assert code == 0
    assert "before it can be promoted: model tray@1 reports 1 labels that the menu does not know: Caviar" in out
    code, _, err = models("promote", "tray@1", "--force", "I want it")
    assert code == 3
    assert "labels that the menu does not know: Caviar" in err
    assert not (site / "models" / "current.json").exists()


def test_a_lane_that_follows_promotions_says_what_to_do_before_the_first(site, models):
    code, out, _ = models("list")
    assert code == 0
    assert "cannot start: models.detector.card: @current: nothing is promoted there" in out
    code, _, err = models("show", "@current")
    assert code == 3
    assert "run `traylane models promote NAME@VERSION`" in err


def test_a_lane_that_names_its_model_is_told_how_to_follow(site, models):
    text = (site / "lane.yaml").read_text()
    (site / "lane.yaml").write_text(text.replace("'@current'", "tray@1"))
    models("import", foreign(site))
    built = build_site(load_config(site / "lane.yaml"), ManualClock(0))  # imported models have names, too
    assert [detector.name for detector in built.detectors] == ["tray@1"]
    frame = Frame("left", 0, 0.0, 0.0, np.full((64, 96, 3), 90, np.uint8))
    assert built.detectors[0].detect([frame])[0].model == "tray@1"
    built.close()
    code, out, _ = models("promote", "tray@1", "--force", "the first one")
    assert code == 0
    assert 'run tray@1 by name; to follow promotions, set models.detector.card: "@current"' in out


def no_file(site):
    return ["import", site / "gone.onnx"]


def not_onnx(site):
    (site / "net.pt").write_bytes(b"torch")
    return ["import", site / "net.pt"]


def damaged(site):
    (site / "net.onnx").write_bytes(b"no model")
    return ["import", site / "net.onnx", "--licence", "MIT"]


def unclear(site):
    return ["import", write_graph(site / "net.onnx", {"a": np.zeros((1, 5, 7), np.float32)}), "--licence", "MIT"]


def other_weights(site):
    weights = foreign(site)
    model = onnx.load(weights)
    model.producer_name = "somebody else"
    weights.write_bytes(model.SerializeToString())
    return ["import", weights]


def does_not_run(site):
    weights = write_convnet(site / "tray.onnx")
    return ["import", write_card(weights, name="tray", input=SIZE, classes=["one", "two"])]


def unknown_class(site):
    return ["import", foreign(site), "--class-map", "violet=Soup"]


def no_pairs(site):
    return ["import", foreign(site), "--class-map", "map.yaml"]


def class_twice(site):
    return ["import", foreign(site), "--class-map", "red=Soup,red=red"]


def map_of_lists(site):
    (site / "map.yaml").write_text("red: [Soup]")
    return ["import", foreign(site), "--class-map", site / "map.yaml"]


def bad_name(site):
    return ["import", foreign(site), "--name", "My Net"]


def scores_of_others(site):
    with_scores(site, "other", 0.9, 9)
    return ["import", foreign(site), "--scores", site / "other.json"]


def no_scores_file(site):
    return ["import", foreign(site), "--scores", site / "gone.json"]


def shipped_name(site):
    return ["import", foreign(site, "traynet")]


def unknown_model(site):
    return ["promote", "none@1"]


def unknown_lane(site):
    return ["promote", "traynet@1", "--channel", "lane9"]


def nothing_to_go_back_to(site):
    return ["rollback"]


def bad_rules(site):
    Registry(site / "models").add(card_for(foreign(site), input=SIZE, classes=CLASSES))
    (site / "rules.yaml").write_text("tolerance: 0.1")
    return ["promote", "testnet@1", "--rules", site / "rules.yaml"]


def registry_is_a_file(site):
    (site / "models").write_text("not a folder")
    return ["import", foreign(site)]


@pytest.mark.parametrize(
    ("case", "code", "message"),
    [
        (no_file, 3, "gone.onnx: no such file; give an .onnx file or a model card"),
        (not_onnx, 3, "only .onnx files and .yaml cards are imported; export the model to ONNX first"),
        (damaged, 3, "ONNX Runtime cannot load it"),
        (unclear, 3, "write a model card for it"),
        (other_weights, 3, "SHA-256 is"),
        (does_not_run, 3, "the model has 3 classes, its card names 2"),
        (unknown_class, 3, "class_map names violet, which the model does not have; its classes are red, green, blue"),
        (no_pairs, 2, "give class=dish,class=dish or an existing YAML file"),
        (class_twice, 2, "--class-map: red is there twice"),
        (map_of_lists, 2, "must be a mapping of the model's class to a dish, @hand or null"),
        (bad_name, 2, "correct --name or --version"),
        (scores_of_others, 3, "evaluate tray@1 itself"),
        (no_scores_file, 3, "no such score record; `traylane evaluate` writes one"),
        (shipped_name, 3, "traynet@1: there is a model of that name and version (shipped)"),
        (unknown_model, 3, "none@1: no such model (there are: dish-embed@1, traynet@1"),
        (unknown_lane, 2, "--channel lane9: "),
        (nothing_to_go_back_to, 3, "channel default: nothing is promoted there; nothing to roll back"),
        (bad_rules, 2, "rules.yaml:1: tolerance: unknown key"),
        (registry_is_a_file, 3, "the registry cannot be written"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_bad_input_is_explained_and_nothing_is_half_done(site, models, case, code, message):
    words = case(site)
    before = sorted(path for path in (site / "models").rglob("*") if path.name != ".lock")
    found, out, err = models(*words)
    assert (found, out) == (code, ""), err
    assert message in err
    assert all(line.startswith("traylane: error: ") for line in err.splitlines())
    assert sorted(path for path in (site / "models").rglob("*") if path.name != ".lock") == before


def test_the_demo_configuration_lists_the_shipped_models(models, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where var/models would be
    assert app.cli.main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert "traynet@1" in [model["model"] for model in listed["models"]]
    assert listed["lanes"]["lane1"].startswith("traynet@")
    assert not list(Path(tmp_path).glob("var/*"))
