"""Model cards: what they must say, and what happens when they, or the weights, say something else."""

import hashlib
from pathlib import Path

import pytest
import yaml

from core.errors import ConfigError, ModelMismatch, ModelNotFound
from core.records import HAND
from models.card import ModelCard, _find_shipped, load_card

CARDS = Path(__file__).resolve().parents[3] / "configs" / "cards"


def content(**changes):
    return {
        "name": "net",
        "version": 2,
        "file": "net.onnx",
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "decoder": "yolox",
        "input": {"width": 416, "height": 416},
        "classes": ["cup", "mug", "person", "table"],
        "licence": "MIT",
        "source": "a test",
    } | changes


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"weights")
    return tmp_path


def write(folder, file_name="net.yaml", **changes):
    (folder / file_name).write_text(yaml.safe_dump(content(**changes), sort_keys=False))
    return folder / file_name


def test_a_good_card_is_loaded_with_its_weights_found(folder):
    card = load_card(str(write(folder)))
    assert card.full_name == "net@2"
    assert card.file == str(folder / "net.onnx")
    assert card.labels == ("cup", "mug", "person", "table")


def test_relative_cards_are_looked_up_beside_the_configuration_first(folder, tmp_path, monkeypatch):
    write(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load_card("net.yaml", folder).name == "net"
    with pytest.raises(ModelNotFound, match=r"net\.yaml: no such model card"):
        load_card("net.yaml", elsewhere)


def test_class_map_unites_classes_and_ignores_the_rest(folder):
    card = load_card(str(write(folder, class_map={"cup": "Cup", "mug": "Cup", "person": HAND, "table": None})))
    assert card.labels == ("Cup", HAND)
    assert card.label_of_class == (0, 0, 1, -1)


def test_class_missing_from_the_map_is_ignored(folder):
    card = load_card(str(write(folder, class_map={"mug": "Cup"})))
    assert card.label_of_class == (-1, 0, -1, -1)


def test_class_map_with_unknown_classes_names_them(folder):
    with pytest.raises(ModelMismatch, match=r"class_map names bottle, jug, which the model does not have; .*cup, mug"):
        load_card(str(write(folder, class_map={"jug": "Jug", "cup": "Cup", "bottle": "Bottle"})))


def test_class_map_that_ignores_everything_is_refused(folder):
    with pytest.raises(ModelMismatch, match="ignores every class"):
        load_card(str(write(folder, class_map={"cup": None})))


def test_wrong_hash_is_refused(folder):
    with pytest.raises(ModelMismatch, match=r"net\.onnx: SHA-256 is .* the card .* says 0000"):
        load_card(str(write(folder, sha256="0" * 64)))


def test_missing_weights_are_named(folder):
    with pytest.raises(ModelNotFound, match=r"gone\.onnx: weights of net@2 are missing"):
        load_card(str(write(folder, file="gone.onnx")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder": "yolo9000"}, r":5: decoder: .*yolo9000"),
        ({"colour": "red"}, r"colour: unknown key"),
        ({"sha256": "abc"}, r":4: sha256: "),
        ({"input": {"width": 416}}, r"input\.height: required key is missing"),
        ({"input": {"width": 416, "height": 416, "std": [1, 0, 1]}}, r"input\.std: every std must be more than 0"),
        ({"input": {"width": 400, "height": 416}}, "input 400x416 must be a multiple of the largest stride 32"),
        ({"classes": []}, r"classes: "),
        ({"classes": ["cup", "cup"]}, r"classes: class names must differ, cup is there twice"),
        ({"strides": [0, 8]}, r"strides: strides must be 1 or more"),
        ({"name": "Net Work"}, r":1: name: "),
    ],
)
def test_a_broken_card_is_explained_with_line_and_key(folder, changes, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_card(str(write(folder, **changes)))
    assert "net.yaml" in str(caught.value)


def test_a_missing_key_and_a_file_that_is_no_yaml(folder):
    path = write(folder)
    path.write_text(path.read_text().replace("licence: MIT\n", ""))
    with pytest.raises(ConfigError, match="licence: required key is missing"):
        load_card(str(path))
    path.write_text("name: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_card(str(path))


def test_shipped_models_are_found_by_name_and_the_newest_version_wins(folder):
    for version in ("1", "9", "10"):
        write(folder, f"net@{version}.yaml", version=version)
    assert _find_shipped("net", folder)[1].version == "10"
    assert _find_shipped("net@9", folder)[1].version == "9"
    with pytest.raises(ModelNotFound, match=r"net@11: no shipped model of that name \(shipped: net@1, net@10, net@9\)"):
        _find_shipped("net@11", folder)


def test_shipped_name_that_does_not_exist_is_named_from_outside():
    with pytest.raises(ModelNotFound, match="no-such-model@1"):
        load_card("no-such-model@1")


def test_weights_may_lie_where_the_environment_says(folder, monkeypatch):
    path = write(folder, file="${TRAYLANE_TEST_DATA:-nowhere}/net.onnx")
    with pytest.raises(ModelNotFound, match="nowhere"):
        load_card(str(path))
    monkeypatch.setenv("TRAYLANE_TEST_DATA", str(folder))
    assert load_card(str(path)).file == str(folder / "net.onnx")


@pytest.mark.parametrize("path", sorted(CARDS.glob("*.yaml")), ids=lambda path: path.name)
def test_cards_of_the_repository_are_valid(path):
    card = ModelCard.model_validate(yaml.safe_load(path.read_text()))
    card.check_class_map(path.name)
    assert card.full_name.startswith(path.stem.partition("@")[0])
