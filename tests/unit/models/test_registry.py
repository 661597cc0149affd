"""The registry: what comes in, what is in force, what the gate refuses, and what the history tells."""

import json

import pytest

from core.errors import ConfigError, ModelError, ModelMismatch, ModelNotFound
from models.card import Lineage, Variant
from models.registry import PromotionRefused, Registry
from tests.registry_models import made_card, made_registry, scored


@pytest.fixture
def registry(tmp_path):
    return made_registry(tmp_path)


def add(registry, tmp_path, name, ap50=None, **changes):
    card = made_card(tmp_path, name, **changes)
    registry.add(card, None if ap50 is None else scored(card, ap50))
    return card


def test_an_imported_model_is_found_with_its_weights_by_content(registry, tmp_path):
    lineage = Lineage(run="run-7", data_sha256={"train": "abc"}, parent_sha256="0" * 64, git="1234+")
    card = add(registry, tmp_path, "cups", 0.9, class_map={"cup": "Coffee", "plate": None}, lineage=lineage)
    (tmp_path / "cups-1.onnx").unlink()  # the registry has its own
    found = registry.load("cups@1")
    assert found.file == str(registry.folder / "weights" / f"{card.sha256}.onnx")
    assert (found.labels, found.lineage, found.licence) == (("Coffee",), lineage, "MIT")
    assert registry.scores("cups@1") == scored(card, 0.9)
    assert [(known.card.ref, known.origin) for known in registry.models()] == [
        ("net@1", "shipped"),
        ("cups@1", "registry"),
    ]


def test_variants_come_along(registry, tmp_path):
    low = made_card(tmp_path, "low")
    add(registry, tmp_path, "cups", variants={"int8": Variant(file=low.file, sha256=low.sha256)})
    assert registry.load("cups@1", "int8").sha256 == low.sha256


def test_nothing_comes_in_twice(registry, tmp_path):
    card = add(registry, tmp_path, "cups")
    with pytest.raises(ModelMismatch, match=r"cups@1: there is a model of that name and version \(registry\)"):
        registry.add(card)
    with pytest.raises(ModelMismatch, match=r"net@1: there is a model of that name and version \(shipped\)"):
        registry.add(made_card(tmp_path, "net"))
    with pytest.raises(ModelMismatch, match=r"mugs@1: weights and class map are those of cups@1 \(registry\)"):
        registry.add(card.model_copy(update={"name": "mugs"}))
    registry.add(card.model_copy(update={"name": "mugs", "class_map": {"cup": "Mug"}}))  # other labels: another model


def test_what_is_not_there_is_named(registry, tmp_path):
    with pytest.raises(ModelNotFound, match=r"cups@1: no such model \(there are: net@1\)"):
        registry.find("cups@1")
    with pytest.raises(ModelNotFound, match="no such model"):
        registry.find("../shipped/net@1")
    card = add(registry, tmp_path, "cups")
    (registry.folder / "weights" / f"{card.sha256}.onnx").unlink()
    with pytest.raises(ModelNotFound, match="weights of cups@1 are missing"):
        registry.load("cups@1")


def test_a_broken_card_does_not_keep_others_from_being_found(registry, tmp_path):
    add(registry, tmp_path, "cups")
    (registry.folder / "cards" / "a@1.yaml").write_text("name: [")
    assert registry.find("cups@1").card.name == "cups"
    with pytest.raises(ConfigError, match=r"a@1\.yaml"):
        registry.models()


def test_nothing_is_promoted_at_first_and_the_error_says_what_to_do(registry):
    with pytest.raises(ModelNotFound, match=r"@current: nothing is promoted there .*models promote NAME@VERSION`, or"):
        registry.resolve("@current", "lane1")
    with pytest.raises(ModelNotFound, match=r"@night: nothing .*promote NAME@VERSION --channel night`"):
        registry.resolve("@night")


def test_a_lanes_own_channel_goes_before_the_default(registry, tmp_path):
    for name, channel in (("cups", "default"), ("mugs", "lane2")):
        card = add(registry, tmp_path, name, 0.9)
        entry, verdict = registry.promote(card.ref, channel)
        assert (entry.gate, entry.previous, verdict.passed) == ("passed", None, True)
    assert registry.resolve("@current", "lane1").ref == "cups@1"
    assert registry.resolve("@current", "lane2").ref == "mugs@1"
    assert registry.resolve("@current").ref == "cups@1"
    assert registry.resolve("@lane2", "lane1").ref == "mugs@1"


def test_the_gate_refuses_and_nothing_changes(registry, tmp_path):
    add(registry, tmp_path, "cups", 0.9)
    add(registry, tmp_path, "worse", 0.8)
    add(registry, tmp_path, "unscored")
    registry.promote("cups@1")
    before = (registry.folder / "current.json").read_bytes(), registry.promotions.history()
    with pytest.raises(PromotionRefused, match=r"worse@1 is not promoted to default:\n  - hold-out canteen: ap50"):
        registry.promote("worse@1")
    with pytest.raises(PromotionRefused, match=r"  - unscored@1 has no scores; run `traylane evaluate unscored@1"):
        registry.promote("unscored@1")
    with pytest.raises(ModelMismatch, match="cups@1 is what channel default runs already"):
        registry.promote("cups@1")
    with pytest.raises(ModelNotFound, match="no such model"):
        registry.promote("none@1")
    assert ((registry.folder / "current.json").read_bytes(), registry.promotions.history()) == before


def test_an_incumbent_without_scores_cannot_be_compared_with(registry, tmp_path):
    registry.promote("net@1", force="the first one")
    add(registry, tmp_path, "cups", 0.9)
    with pytest.raises(PromotionRefused, match=r"  - net@1 has no scores; run `traylane evaluate net@1"):
        registry.promote("cups@1")
    registry.keep_scores("net@1", scored(registry.find("net@1").card, 0.5))
    registry.promote("cups@1")
    assert not list((tmp_path / "shipped").glob("*.json"))  # where the product lies is not written


def test_force_overrules_and_is_written_down(registry, tmp_path):
    add(registry, tmp_path, "cups", 0.9)
    add(registry, tmp_path, "worse", 0.8)
    registry.promote("cups@1", force="not needed")
    registry.promote("worse@1", force="the old one crashes")
    first, second = registry.promotions.history()
    assert (first.gate, first.forced) == ("passed", "")
    assert (second.gate, second.forced, second.previous) == ("refused", "the old one crashes", "cups@1")
    assert "ap50 falls from 0.900 to 0.800" in second.reasons[0]
    assert second.utc == "2026-11-25T12:00:00+00:00"
    assert registry.resolve("@current").ref == "worse@1"


def test_rollback_goes_back_step_by_step(registry, tmp_path):
    for name, ap50 in (("a", 0.7), ("b", 0.8), ("c", 0.9)):
        add(registry, tmp_path, name, ap50)
        registry.promote(f"{name}@1")
    assert [registry.roll_back().model, registry.roll_back().model] == ["b@1", "a@1"]
    assert registry.resolve("@current").ref == "a@1"
    with pytest.raises(ModelNotFound, match="channel default: a@1 is the first model there"):
        registry.roll_back()
    with pytest.raises(ModelNotFound, match="channel lane9: nothing is promoted there"):
        registry.roll_back("lane9")
    registry.promote("c@1")
    assert registry.roll_back().model == "a@1"
    history = registry.promotions.history()
    assert [entry.sequence for entry in history] == [1, 2, 3, 4, 5, 6, 7]
    assert [entry.action for entry in history[3:5]] == ["rollback", "rollback"]
    assert history[3].previous == "c@1"


def test_rollback_to_what_is_gone_or_changed_is_refused(registry, tmp_path):
    for name, ap50 in (("a", 0.7), ("b", 0.8)):
        add(registry, tmp_path, name, ap50)
        registry.promote(f"{name}@1")
    weights = registry.folder / "weights" / f"{registry.find('a@1').card.sha256}.onnx"
    weights.write_bytes(b"damaged")
    with pytest.raises(ModelMismatch, match="SHA-256 is"):
        registry.roll_back()
    weights.unlink()
    with pytest.raises(ModelNotFound, match="weights of a@1 are missing"):
        registry.roll_back()
    assert registry.resolve("@current").ref == "b@1"


def test_other_weights_under_a_promoted_name_are_refused(registry, tmp_path):
    registry.promote("net@1", force="the first one")
    card = made_card(tmp_path, "other")
    path = tmp_path / "shipped" / "net@1.yaml"
    path.write_text(path.read_text().replace(registry.find("net@1").card.sha256, card.sha256))
    with pytest.raises(ModelMismatch, match=r"net@1: its weights are .*promoted were"):
        registry.resolve("@current")


@pytest.mark.parametrize("channel", ["", "current", "a b", "../x", "@x"])
def test_names_that_cannot_be_channels(registry, channel):
    with pytest.raises(ConfigError, match="use default, or a lane's id"):
        registry.promote("net@1", channel, force="why not")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("current.json", "{", r"current\.json: damaged .*restore it from a backup"),
        ("current.json", '{"channels": {"default": "net@1"}}', r"current\.json: damaged"),
        ("history.jsonl", '{"sequence": 1}\n', r"history\.jsonl:1: damaged"),
        ("cards/net@1.scores.json", "[]", "not a score record"),
    ],
)
def test_damaged_files_are_named(registry, name, content, message):
    path = registry.folder / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ModelError, match=message):
        registry.promote("net@1", force="why not")


def test_scores_of_other_weights_are_refused(registry, tmp_path):
    stranger = made_card(tmp_path, "other")
    registry.keep_scores("net@1", scored(stranger))
    with pytest.raises(ModelMismatch, match=r"scores of the weights .*evaluate net@1 itself"):
        registry.promote("net@1")


def test_the_history_is_lines_of_json_that_others_can_read(registry):
    registry.promote("net@1", force="the first one")
    (line,) = (registry.folder / "history.jsonl").read_text().splitlines()
    assert json.loads(line)["model"] == "net@1"
    assert Registry(registry.folder, registry.folder.parent / "shipped").resolve("@default").ref == "net@1"
